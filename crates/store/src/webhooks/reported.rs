//! A change together with the webhooks that report it.

use super::enqueue;
use crate::commit::{Commit, CommitNeeds, Tx};
use crate::fault::Result;
use domain::{PendingWebhook, PurchaseKey};
use std::sync::Arc;

/// A change that is about no purchase, with the webhooks that report it. Each has a number of its
/// own in the place of a purchase's.
#[derive(Clone, Debug)]
pub struct Reported<C: Commit> {
    /// The change.
    pub commit: C,
    /// What reports it; nothing is written if the change is refused.
    pub webhooks: Vec<(PurchaseKey, Arc<PendingWebhook>)>,
}

impl<C: Commit> Commit for Reported<C> {
    type Done = C::Done;
    type Denied = C::Denied;

    fn needs(&self) -> CommitNeeds<'_> {
        self.commit.needs()
    }

    fn apply(&self, tx: &mut Tx<'_>) -> Result<C::Done> {
        let done = self.commit.apply(tx)?;
        for (key, webhook) in &self.webhooks {
            enqueue(tx.sql, tx.run, key, webhook)?;
        }
        Ok(done)
    }
}

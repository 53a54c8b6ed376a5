//! Fills the lists of accounts behind the journals.
//!
//! Nobody waits for it: whoever reads a list reads what it lacks, too. In PostgreSQL no list lacks
//! anything.

use crate::worker::pause;
use crate::{Engine, limits};
use store::{AccountList, Fault};
use tokio_util::sync::CancellationToken;

impl Engine {
    pub(crate) async fn fill_lists(self, stop: CancellationToken) {
        loop {
            for list in AccountList::ALL {
                if let Err(fault) = self.fill_list(list, &stop).await {
                    tracing::warn!(%fault, ?list, "a list of accounts could not be filled");
                }
            }
            let Some(()) = pause(&stop, limits::LISTS_FILLED_EVERY).await else { return };
        }
    }

    async fn fill_list(&self, list: AccountList, stop: &CancellationToken) -> Result<(), Fault> {
        let (journals, parts) = (limits::LISTED_AT_ONCE, limits::LISTED_IN_PARTS);
        loop {
            let next = self.blocking(move |store| store.list_parts(list, journals, parts)).await?;
            if next.is_empty() {
                return Ok(());
            }
            for part in next {
                if stop.is_cancelled() || !self.commit(&self.work(), part).await? {
                    return Ok(());
                }
            }
        }
    }
}

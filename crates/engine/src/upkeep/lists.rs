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
        let mut last = None;
        loop {
            match self.list_at_least(&mut last).await {
                Ok(at_least) => self.fill_all(at_least, &stop).await,
                Err(fault) => tracing::warn!(%fault, "the last journal could not be read"),
            }
            let Some(()) = pause(&stop, limits::LISTS_FILLED_EVERY).await else { return };
        }
    }

    /// How many journals a list lacks before it is filled; `last` is the journal that was the last
    /// one when this was asked before.
    async fn list_at_least(&self, last: &mut Option<i64>) -> Result<u32, Fault> {
        let now = self.blocking(|store| store.last_journal()).await?;
        let added = last.replace(now).map_or(0, |last| now.saturating_sub(last));
        Ok(match added >= i64::from(limits::LISTED_SOON) {
            true => limits::LISTED_WHILE_BUSY,
            false => limits::LISTED_AT_ONCE,
        })
    }

    /// One list that cannot be filled keeps no other from it.
    async fn fill_all(&self, at_least: u32, stop: &CancellationToken) {
        for list in AccountList::ALL {
            if let Err(fault) = self.fill_list(list, at_least, stop).await {
                tracing::warn!(%fault, ?list, "a list of accounts could not be filled");
            }
        }
    }

    async fn fill_list(
        &self,
        list: AccountList,
        at_least: u32,
        stop: &CancellationToken,
    ) -> Result<(), Fault> {
        let rows = limits::LISTED_IN_A_COMMIT;
        loop {
            let parts = self.blocking(move |store| store.list_parts(list, at_least, rows)).await?;
            if parts.is_empty() {
                return Ok(());
            }
            for part in parts {
                if stop.is_cancelled() || !self.commit(&self.work(), part).await? {
                    return Ok(());
                }
            }
        }
    }
}

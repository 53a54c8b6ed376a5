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
            if let Err(fault) = self.fill_all(&mut last, &stop).await {
                tracing::warn!(%fault, "the lists of accounts could not be filled");
            }
            let Some(()) = pause(&stop, limits::LISTS_FILLED_EVERY).await else { return };
        }
    }

    /// Adds to each list what it lacks, if that is enough; `last` is the journal that was the last
    /// one when it was called before.
    async fn fill_all(
        &self,
        last: &mut Option<i64>,
        stop: &CancellationToken,
    ) -> Result<(), Fault> {
        let now = self.blocking(|store| store.last_journal()).await?;
        let added = last.replace(now).map_or(0, |last| now.saturating_sub(last));
        let at_least = match added >= i64::from(limits::LISTED_SOON) {
            true => limits::LISTED_WHILE_BUSY,
            false => limits::LISTED_AT_ONCE,
        };
        for list in AccountList::ALL {
            self.fill_list(list, at_least, stop).await?;
        }
        Ok(())
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

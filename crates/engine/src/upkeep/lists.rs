//! Fills the lists of accounts behind the journals.
//!
//! Nobody waits for it: whoever reads a list reads what it lacks, too. On several nodes each looks,
//! and whichever comes first adds the next rows.

use crate::{Engine, limits};
use store::{AccountList, Fault, FillList};
use tokio_util::sync::CancellationToken;

impl Engine {
    pub(crate) async fn fill_lists(self, stop: CancellationToken) {
        loop {
            for list in AccountList::ALL {
                if let Err(fault) = self.fill_list(list, &stop).await {
                    tracing::warn!(%fault, ?list, "a list of accounts could not be filled");
                }
            }
            let wait = tokio::time::sleep(limits::LISTS_FILLED_EVERY);
            let Some(()) = stop.run_until_cancelled(wait).await else { return };
        }
    }

    async fn fill_list(&self, list: AccountList, stop: &CancellationToken) -> Result<(), Fault> {
        let journals = limits::LISTED_AT_ONCE;
        while !stop.is_cancelled()
            && self.blocking(move |store| store.journals_not_listed(list)).await?
                >= u64::from(journals)
        {
            if !self.commit(&self.work(), FillList { list, journals }).await? {
                return Ok(());
            }
        }
        Ok(())
    }
}

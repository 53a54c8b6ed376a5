//! Months that are over move into files, and out of the live tables.
//!
//! Here: which month may be archived, the order of its steps, and what an upstream says about a
//! purchase that is archived. Not here: names of files and manifests (the app's). Invariant: a
//! month's rows are removed only after its file was audited.

use crate::access::Changed;
use crate::refusals::{ensure, not_possible};
use crate::{Engine, Permit, limits};
use domain::refusal::{StaffRefused, StoreRefused};
use domain::upstream::cleaned;
use domain::{AttemptRef, Month, PurchaseNumber, act};
use serde_json::json;
use std::convert::Infallible;
use std::path::{Path, PathBuf};
use store::{
    Archive, ArchiveDone, ArchiveFile, ArchivesAudit, CloseLateOutcomes, CloseMonth, Closing,
    Commit, Fault, KeepLateOutcome, LateOutcome, PruneArchived, RecordFile, Store,
};

impl Engine {
    /// The next month to archive, if there is one before `before`. The current month and the one
    /// before it stay: an upstream may still be asked about their purchases, staff may refund them,
    /// their webhooks may be due.
    pub fn next_to_archive(&self, before: Month) -> Result<Option<Closing>, StaffRefused> {
        let latest = Month::of(self.proven_now()).previous();
        let because =
            format!("This month and the one before it stay: give --before {latest} or earlier.");
        ensure(before <= latest, not_possible(because))?;
        Ok(self.or_unavailable(self.inner.store.next_to_archive(before, self.now()))?)
    }

    /// Closes a month: nothing in it changes from then on. Refuses while a purchase in it is open.
    pub async fn close_month(
        &self,
        permit: Permit<act::Maintain>,
        closing: &Closing,
    ) -> Result<(), StaffRefused> {
        self.archive_month(&permit, CloseMonth(closing.clone()), closing.month, "closed").await
    }

    /// Writes a closed month into a new file. Blocks.
    pub fn write_archive(
        &self,
        closing: &Closing,
        file: &Path,
        is_wanted: &dyn Fn() -> bool,
    ) -> Result<ArchiveFile, Fault> {
        self.inner.store.write_archive(closing, file, is_wanted)
    }

    /// Records that a file contains a month: the live ledger begins after it.
    pub async fn file_month(
        &self,
        permit: Permit<act::Maintain>,
        filed: ArchiveFile,
        name: String,
    ) -> Result<(), StaffRefused> {
        let month = filed.closing.month;
        let record = RecordFile { filed: Box::new(filed), name, at: self.now() };
        self.archive_month(&permit, record, month, "archived").await
    }

    async fn archive_month(
        &self,
        permit: &Permit<act::Maintain>,
        change: impl Commit<Done = ArchiveDone, Denied = Infallible>,
        month: Month,
        word: &str,
    ) -> Result<(), StaffRefused> {
        let after = json!({ "state": word });
        let changed = Changed::made(format_args!("month {month}"), after);
        let is_written = |done: &ArchiveDone| *done == ArchiveDone::Written;
        let change = self.recorded(permit, change, [changed], is_written);
        match self.or_unavailable(self.commit(permit, change).await)? {
            ArchiveDone::Written => Ok(()),
            ArchiveDone::NotYet(why) => {
                Err(not_possible(format!("{month} stays as it is: {why}.")).into())
            }
        }
    }

    /// Removes the rows of archived months from the live tables, a few in each commit, so that
    /// purchases made meanwhile hardly wait. If it is interrupted, the next call completes it.
    pub async fn remove_archived(&self, permit: Permit<act::Maintain>) -> Result<(), StoreRefused> {
        for tries_left in (0..limits::DROP_TRIES).rev() {
            match self.blocking(Store::drop_archived).await {
                Ok(()) => break,
                Err(fault) if tries_left == 0 => return Err(self.unavailable(&fault)),
                Err(fault) => {
                    tracing::info!(%fault, "archived months are being read; dropping is retried");
                    tokio::time::sleep(limits::DROP_EVERY).await;
                }
            }
        }
        let prune = PruneArchived { rows: limits::ARCHIVE_ROWS };
        while self.or_unavailable(self.commit(&permit, prune).await)? {}
        Ok(())
    }

    /// Every archived month, oldest first.
    pub fn archives(&self) -> Result<Vec<Archive>, Fault> {
        self.inner.store.archives()
    }

    /// Audits archive files, and whether they and the live ledger join.
    pub async fn audit_archives(&self, files: Vec<PathBuf>) -> Result<ArchivesAudit, Fault> {
        self.blocking(move |store| store.audit_archives(&files)).await
    }

    /// For staff: what upstreams said about archived purchases, oldest first.
    pub fn late_outcomes(&self) -> Result<Vec<LateOutcome>, Fault> {
        self.inner.store.late_outcomes()
    }

    pub(crate) fn is_archived(&self, number: PurchaseNumber) -> Result<bool, Fault> {
        let Some(id) = self.purchase_id(number)? else { return Ok(false) };
        self.inner.store.is_closed(id)
    }

    /// Stores for staff what an upstream said about a purchase of a closed month: `code`, text and
    /// the upstream's reference. No money moves.
    pub(crate) async fn keep_late_outcome(
        &self,
        attempt: AttemptRef,
        code: &str,
        text: Option<&str>,
        reference: Option<&str>,
    ) -> Result<(), Fault> {
        let Some(purchase) = self.purchase_id(attempt.purchase)? else { return Ok(()) };
        let late = LateOutcome {
            purchase,
            attempt: attempt.number,
            word: code.to_owned(),
            text: text.map(cleaned).filter(|text| !text.is_empty()),
            upstream_reference: reference.map(cleaned),
            at: self.now(),
        };
        self.commit(&self.work(), KeepLateOutcome(late)).await?;
        tracing::error!(
            %attempt,
            said = code,
            "an upstream sent an update of an archived purchase: a case for staff"
        );
        Ok(())
    }

    /// Closes what upstreams said about an archived purchase; `false` if they said nothing.
    pub(crate) async fn close_late_outcomes(
        &self,
        permit: &Permit<act::SettleDoubt>,
        number: PurchaseNumber,
        by: &str,
        evidence: &str,
    ) -> Result<bool, StoreRefused> {
        let Some(purchase) = self.or_unavailable(self.purchase_id(number))? else {
            return Ok(false);
        };
        let changed = Changed::new(
            format_args!("purchase {purchase}"),
            json!({ "case": "late outcome" }),
            json!({ "case": "closed", "evidence": evidence }),
        );
        let (by, evidence) = (by.to_owned(), evidence.to_owned());
        let close = CloseLateOutcomes { purchase, by, evidence, at: self.now() };
        let close = self.recorded(permit, close, [changed], |was_open| *was_open);
        self.or_unavailable(self.commit(permit, close).await)
    }
}

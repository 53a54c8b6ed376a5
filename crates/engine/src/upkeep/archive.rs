//! Months that are over move into files, and out of the live tables.
//!
//! Here: which month may be archived, the order of its steps, and what an upstream says about a
//! purchase that is archived. Not here: names of files and manifests (the app's). Invariant: a
//! month's rows are removed only after its file was audited.

use crate::refusals::not_possible;
use crate::{Engine, limits};
use domain::upstream::cleaned;
use domain::{AttemptRef, Month, PurchaseId, Refusal};
use std::path::{Path, PathBuf};
use store::{
    Archive, ArchiveChange, ArchiveDone, ArchiveFile, ArchivesAudit, Change, Closing, Done, Fault,
    LateOutcome, Store,
};

impl Engine {
    /// The next month to archive, if there is one before `before`. The current month and the one
    /// before it stay: an upstream may still be asked about their purchases, staff may refund them,
    /// their webhooks may be due.
    pub fn next_to_archive(&self, before: Month) -> Result<Option<Closing>, Refusal> {
        let latest = Month::of(self.now()).previous();
        if before > latest {
            return Err(not_possible(format!(
                "This month and the one before it stay: give --before {latest} or earlier."
            )));
        }
        self.or_unavailable(self.inner.store.next_to_archive(before, self.now()))
    }

    /// Closes a month: nothing in it changes from then on. Refuses while a purchase in it is open.
    pub async fn close_month(&self, closing: &Closing) -> Result<(), Refusal> {
        self.archive_month(ArchiveChange::Close(closing.clone()), closing.month).await
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
    pub async fn file_month(&self, filed: ArchiveFile, name: String) -> Result<(), Refusal> {
        let month = filed.closing.month;
        let change = ArchiveChange::File { filed: Box::new(filed), name, at: self.now() };
        self.archive_month(change, month).await
    }

    async fn archive_month(&self, change: ArchiveChange, month: Month) -> Result<(), Refusal> {
        match self.archive(change).await? {
            ArchiveDone::Written | ArchiveDone::More => Ok(()),
            ArchiveDone::NotYet(why) => {
                Err(not_possible(format!("{month} stays as it is: {why}.")))
            }
        }
    }

    /// Removes the rows of archived months from the live tables, a few in each commit, so that
    /// purchases made meanwhile hardly wait. If it is interrupted, the next call completes it.
    pub async fn remove_archived(&self) -> Result<(), Refusal> {
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
        while self.archive(ArchiveChange::Prune { rows: limits::ARCHIVE_ROWS }).await?
            == ArchiveDone::More
        {}
        Ok(())
    }

    async fn archive(&self, change: ArchiveChange) -> Result<ArchiveDone, Refusal> {
        let written = self.inner.store.write(Change::Archive(change)).await;
        // The writer denies no such change, and answers nothing else to it.
        let Ok(Done::Archive(done)) = self.or_unavailable(written)? else {
            return Ok(ArchiveDone::Written);
        };
        Ok(done)
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

    pub(crate) fn is_archived(&self, id: PurchaseId) -> Result<bool, Fault> {
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
        let late = LateOutcome {
            purchase: attempt.purchase,
            attempt: attempt.number,
            word: code.to_owned(),
            text: text.map(cleaned).filter(|text| !text.is_empty()),
            upstream_reference: reference.map(cleaned),
            at: self.now(),
        };
        self.commit(Change::Archive(ArchiveChange::KeepLateOutcome(late))).await?;
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
        purchase: PurchaseId,
        by: &str,
        evidence: &str,
    ) -> Result<bool, Refusal> {
        let (by, evidence) = (by.to_owned(), evidence.to_owned());
        let close = ArchiveChange::CloseLateOutcomes { purchase, by, evidence, at: self.now() };
        Ok(self.archive(close).await? == ArchiveDone::Written)
    }
}

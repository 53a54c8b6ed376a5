//! Months that are over go into files, and out of the live books.
//!
//! Here: which month may go, in which order its steps are taken, and what is done with a word about a
//! purchase that is gone. Not here: files' names and manifests (the app's matter). Invariant: a month's
//! rows go only after its file was audited.

use crate::{Engine, limits};
use domain::refusal::Refusal;
use domain::upstream::{AttemptRef, cleaned};
use domain::{Month, PurchaseId};
use std::path::{Path, PathBuf};
use store::{
    Archive, ArchiveChange, ArchiveDone, ArchiveFile, ArchivesAudit, Change, Closing, Done, Fault,
    LateOutcome,
};

impl Engine {
    /// The month that is next to be archived, if one before `before` is left. This month and the one
    /// before it never go: their purchases may still be asked about, taken back, told.
    pub fn next_to_archive(&self, before: Month) -> Result<Option<Closing>, Refusal> {
        let latest = Month::of(self.now()).previous();
        if before > latest {
            let because = format!(
                "This month and the one before it stay: give --before {latest} or earlier."
            );
            return Err(Refusal::NotPossible { because });
        }
        let next = self.inner.store.next_to_archive(before, self.now());
        next.map_err(|fault| self.unavailable(&fault))
    }

    /// Closes a month: from now on nothing of it changes. Refuses while anything of it is open.
    pub async fn close_month(&self, closing: &Closing) -> Result<(), Refusal> {
        let done = self.archive(ArchiveChange::Close(closing.clone())).await?;
        self.refuse_not_yet(done, closing.month)
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

    /// Notes that a file has a month: the live books begin after it.
    pub async fn file_month(&self, filed: ArchiveFile, name: String) -> Result<(), Refusal> {
        let month = filed.closing.month;
        let change = ArchiveChange::File { filed: Box::new(filed), name, at: self.now() };
        let done = self.archive(change).await?;
        self.refuse_not_yet(done, month)
    }

    fn refuse_not_yet(&self, done: ArchiveDone, month: Month) -> Result<(), Refusal> {
        match done {
            ArchiveDone::Written | ArchiveDone::More => Ok(()),
            ArchiveDone::NotYet(why) => {
                Err(Refusal::NotPossible { because: format!("{month} stays as it is: {why}.") })
            }
        }
    }

    /// Takes the rows of archived months out of the live books, a few in each commit, so that whoever
    /// buys meanwhile hardly waits. Cut off, it is done by the next call.
    pub async fn remove_archived(&self) -> Result<(), Refusal> {
        for tries_left in (0..limits::DROP_TRIES).rev() {
            let engine = self.clone();
            let dropping = tokio::task::spawn_blocking(move || engine.inner.store.drop_archived());
            match dropping.await.unwrap_or(Err(Fault::Closed)) {
                Ok(()) => break,
                Err(fault) if tries_left == 0 => return Err(self.unavailable(&fault)),
                Err(fault) => {
                    tracing::info!(%fault, "archived months are still read; they go in a moment");
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
        match written.map_err(|fault| self.unavailable(&fault))? {
            Ok(Done::Archive(done)) => Ok(done),
            // Nothing in it can be denied, and the writer answers nothing else.
            Ok(
                Done::Opened { .. }
                | Done::Written
                | Done::Posted { .. }
                | Done::Calls(_)
                | Done::Leased(_)
                | Done::Pushes(_)
                | Done::Webhooks(_)
                | Done::Counted(_)
                | Done::People(_),
            )
            | Err(_) => Ok(ArchiveDone::Written),
        }
    }

    /// Every month that was archived, the first first.
    pub fn archives(&self) -> Result<Vec<Archive>, Fault> {
        self.inner.store.archives()
    }

    /// Audits archive files, and whether they and the live books join.
    pub async fn audit_archives(&self, files: Vec<PathBuf>) -> Result<ArchivesAudit, Fault> {
        let engine = self.clone();
        let auditing =
            tokio::task::spawn_blocking(move || engine.inner.store.audit_archives(&files));
        auditing.await.unwrap_or(Err(Fault::Closed))
    }

    /// For staff: what upstreams said about purchases that are archived, oldest first.
    pub fn late_outcomes(&self) -> Result<Vec<LateOutcome>, Fault> {
        self.inner.store.late_outcomes()
    }

    pub(crate) fn is_archived(&self, id: PurchaseId) -> Result<bool, Fault> {
        self.inner.store.is_closed(id)
    }

    /// Keeps for staff what an upstream said, its `word`, text and reference, about a purchase of a closed
    /// month. It moves nothing.
    pub(crate) async fn keep_late_outcome(
        &self,
        attempt: AttemptRef,
        word: &str,
        text: Option<&str>,
        reference: Option<&str>,
    ) -> Result<(), Fault> {
        tracing::error!(%attempt, said = word, "an upstream speaks of a purchase that is archived: a case for staff");
        let late = LateOutcome {
            purchase: attempt.purchase,
            attempt: attempt.number,
            word: word.to_owned(),
            text: text.map(cleaned).filter(|text| !text.is_empty()),
            upstream_reference: reference.map(cleaned),
            at: self.now(),
        };
        // Nothing in it can be denied: it needs nothing.
        self.inner
            .store
            .write(Change::Archive(ArchiveChange::KeepLateOutcome(late)))
            .await
            .map(|_| ())
    }

    /// Closes what was said about an archived purchase; `false`: nothing was.
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

//! A halted installation: restored from a backup, and nobody has said yet that it may go on.
//!
//! What was open at the backup may have been delivered since, under attempts that our books do not
//! know. So nothing is sold and nothing is sent; what was sent before is asked about, and read. The
//! clock calls nothing off either: what waited for approval may have been approved and delivered.

use crate::{Engine, limits};
use domain::refusal::{FieldError, Refusal};
use std::sync::PoisonError;
use std::time::Duration;
use store::{Change, Fault, Halt, HaltChange};
use tokio_util::sync::CancellationToken;

impl Engine {
    /// Why nothing is sold or sent; `None` while everything is.
    pub fn halt(&self) -> Option<Halt> {
        self.inner.halt.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn is_halted(&self) -> bool {
        self.inner.halt.read().unwrap_or_else(PoisonError::into_inner).is_some()
    }

    /// Refuses while the installation is halted.
    pub(crate) fn may_sell(&self) -> Result<(), Refusal> {
        let retry_after_s = limits::HALTED_RETRY_AFTER_S;
        if self.is_halted() { Err(Refusal::Halted { retry_after_s }) } else { Ok(()) }
    }

    /// Halts the installation: nothing is sold and nothing is sent until [`Engine::resume`]. Refuses a
    /// blank reason.
    pub async fn begin_halt(&self, why: &str) -> Result<(), Refusal> {
        if why.trim().is_empty() {
            let says = "Say why.".to_owned();
            return Err(Refusal::Invalid(vec![FieldError { field: "why", message: says }]));
        }
        let begin = HaltChange::Begin { why: why.trim().to_owned(), at: self.now() };
        let written = self.inner.store.write(Change::Halt(begin)).await;
        // Nothing in it can be denied: it needs nothing.
        let _ = written.map_err(|fault| self.unavailable(&fault))?;
        self.read_halt().map_err(|fault| self.unavailable(&fault))
    }

    /// The last journal and its hash, for whoever keeps outside the books how far they were; `None`
    /// before the first.
    pub fn ledger_end(&self) -> Result<Option<(i64, [u8; 32])>, Fault> {
        self.inner.store.ledger_end()
    }

    /// Whether a journal that was seen before is in the books or in an archive: in books that were put
    /// back from a backup it may be missing, or another.
    pub fn has_journal(&self, seq: i64, hash: &[u8; 32]) -> Result<bool, Fault> {
        self.inner.store.has_journal(seq, hash)
    }

    /// Ends the halt: from now on purchases are sold again, and what is held is sent. Who says so,
    /// and what shows that it may, is kept. Refuses blanks, and when nothing is halted.
    pub async fn resume(&self, by: &str, evidence: &str) -> Result<(), Refusal> {
        let blank = |field, says: &str| FieldError { field, message: says.to_owned() };
        let mut complaints = Vec::new();
        if by.trim().is_empty() {
            complaints.push(blank("by", "Say who decides."));
        }
        if evidence.trim().is_empty() {
            complaints.push(blank("evidence", "Say what was looked into."));
        }
        if !complaints.is_empty() {
            return Err(Refusal::Invalid(complaints));
        }
        if !self.is_halted() {
            let because = "Nothing is halted: what is bought is sent.".to_owned();
            return Err(Refusal::NotPossible { because });
        }
        let (by, evidence) = (by.to_owned(), evidence.to_owned());
        let end = HaltChange::End { by, evidence, at: self.now() };
        let written = self.inner.store.write(Change::Halt(end)).await;
        // Nothing in it can be denied: it needs nothing.
        let _ = written.map_err(|fault| self.unavailable(&fault))?;
        self.read_halt().map_err(|fault| self.unavailable(&fault))?;
        self.inner.wake.notify_one();
        Ok(())
    }

    pub(crate) fn read_halt(&self) -> Result<(), Fault> {
        let halt = self.inner.store.halt()?;
        *self.inner.halt.write().unwrap_or_else(PoisonError::into_inner) = halt;
        Ok(())
    }

    /// Says at the start and now and then that nothing is sent, as long as it is so, whichever node
    /// began or ended it.
    pub(crate) async fn warn_while_halted(self, stop: CancellationToken) {
        let mut said_at: Option<Duration> = None;
        loop {
            let (halt, now) = (self.halt(), self.monotonic());
            let is_due = said_at.is_none_or(|at| now.saturating_sub(at) >= limits::HALT_SAID_EVERY);
            match halt {
                Some(halt) if is_due => {
                    said_at = Some(now);
                    tracing::warn!(
                        why = halt.why,
                        "nothing is sold or sent upstream until `saldo resume`"
                    );
                }
                Some(_) => {}
                None if said_at.take().is_some() => {
                    tracing::info!("the halt has ended: what is bought is sent again");
                }
                None => {}
            }
            tokio::select! {
                () = tokio::time::sleep(limits::HALT_READ_EVERY) => {}
                () = stop.cancelled() => return,
            }
            if self.is_halted()
                && let Err(fault) = self.read_halt()
            {
                tracing::warn!(%fault, "it cannot be read whether the halt has ended; it lasts");
            }
        }
    }
}

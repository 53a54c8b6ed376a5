//! A halted installation: restored from a backup, and nobody has said yet that it may go on.
//!
//! What was open at the backup may have been delivered since, under attempts that our books do not
//! know. So nothing is sold and nothing is sent; what was sent before is asked about, and read. The
//! clock calls nothing off either: what waited for approval may have been approved and delivered.

use crate::{Engine, limits};
use domain::refusal::{Complaint, Refusal};
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

    /// Ends the halt: from now on purchases are sold again, and what is held is sent. Who says so,
    /// and what shows that it may, is kept. Refuses blanks, and when nothing is halted.
    pub async fn resume(&self, by: &str, evidence: &str) -> Result<(), Refusal> {
        let blank = |field, says: &str| Complaint { field, says: says.to_owned() };
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

    /// Says, as long as nothing is sent, that it is so; hears that a halt has ended, whichever node
    /// ended it.
    pub(crate) async fn warn_while_halted(self, stop: CancellationToken) {
        let mut said_at: Option<Duration> = None;
        loop {
            if let Some(halt) = self.halt() {
                let now = self.monotonic();
                if said_at.is_none_or(|at| now.saturating_sub(at) >= limits::HALT_SAID_EVERY) {
                    said_at = Some(now);
                    tracing::warn!(
                        why = halt.why,
                        "nothing is sold or sent upstream until `saldo resume`"
                    );
                }
                if let Err(fault) = self.read_halt() {
                    tracing::warn!(%fault, "it cannot be read whether the halt has ended; it lasts");
                }
            } else if said_at.take().is_some() {
                tracing::info!("the halt has ended: what is bought is sent again");
            }
            tokio::select! {
                () = tokio::time::sleep(limits::HALT_READ_EVERY) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

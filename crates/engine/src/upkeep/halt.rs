//! A halted installation: it was restored from a backup, and staff have not resumed it yet.
//!
//! Purchases that were open at the backup may have been delivered since, by attempts that the
//! restored ledger does not have. So nothing is sold and nothing is sent; enquiries and reads go
//! on. Nothing expires either: what waited for approval may have been approved and delivered.

use crate::access::Changed;
use crate::refusals::{blank, ensure, not_possible, refuse_if_any};
use crate::worker::pause;
use crate::{Engine, Permit, limits};
use domain::refusal::{Halted, SellingRefused, StaffRefused, StoreRefused, Unavailable};
use domain::{Permitted, act};
use serde_json::json;
use std::convert::Infallible;
use std::time::Duration;
use store::{BeginHalt, Commit, EndHalts, Fault, Halt};
use tokio_util::sync::CancellationToken;

impl Engine {
    /// The halt, with its reason; `None` in normal operation.
    pub fn halt(&self) -> Option<Halt> {
        self.inner.halt.read().clone()
    }

    pub(crate) fn is_halted(&self) -> bool {
        self.inner.halt.read().is_some()
    }

    /// Refuses while the installation is halted, and while the clock is too far off to file
    /// anything by it.
    pub(crate) fn may_sell(&self) -> Result<(), SellingRefused> {
        ensure(!self.is_halted(), Halted { retry_after_s: limits::HALTED_RETRY_AFTER_S })?;
        let retry_after_s = limits::CLOCK_RETRY_AFTER_S;
        Ok(ensure(!self.inner.clock.is_far_off(), Unavailable { retry_after_s })?)
    }

    /// Halts the installation: nothing is sold and nothing is sent until [`Engine::resume`].
    /// Refuses a blank reason.
    pub async fn begin_halt(
        &self,
        permit: Permit<act::Freeze>,
        why: &str,
    ) -> Result<(), StaffRefused> {
        refuse_if_any(blank("why", why, "Say why."))?;
        let begin = BeginHalt { why: why.trim().to_owned(), at: self.now() };
        let changed = Changed::new("installation", json!({}), json!({ "halted": why.trim() }));
        Ok(self.write_halt(&permit, begin, changed).await?)
    }

    /// The number and hash of the last journal, to be kept outside the database; `None` before the
    /// first.
    pub fn ledger_end(&self) -> Result<Option<(i64, [u8; 32])>, Fault> {
        self.inner.store.ledger_end()
    }

    /// Whether a journal that was seen before is in the ledger or in an archive. In a database that
    /// was restored from a backup it may be missing, or have another hash.
    pub fn has_journal(&self, seq: i64, hash: &[u8; 32]) -> Result<bool, Fault> {
        self.inner.store.has_journal(seq, hash)
    }

    /// Ends the halt: from now on purchases are sold again, and held ones are sent. Stores who
    /// decided it, and the evidence. Refuses blanks, and if there is no halt.
    pub async fn resume(
        &self,
        permit: Permit<act::Unfreeze>,
        evidence: &str,
    ) -> Result<(), StaffRefused> {
        let by = permit.by("Say who decides.")?.to_owned();
        refuse_if_any(blank("evidence", evidence, "Say what was looked into."))?;
        let because = "Nothing is halted: what is bought is sent.";
        let halt = self.halt().ok_or_else(|| not_possible(because))?;
        let end = EndHalts { by, evidence: evidence.to_owned(), at: self.now() };
        let (before, after) = (json!({ "halted": halt.why }), json!({ "evidence": evidence }));
        self.write_halt(&permit, end, Changed::new("installation", before, after)).await?;
        self.inner.wake.notify_one();
        Ok(())
    }

    async fn write_halt<A: Permitted>(
        &self,
        permit: &Permit<A>,
        halt: impl Commit<Done = (), Denied = Infallible>,
        changed: Changed,
    ) -> Result<(), StoreRefused> {
        let written = self.commit_act(permit, halt, changed).await;
        self.or_unavailable(written.and_then(|()| self.read_halt()))
    }

    pub(crate) fn read_halt(&self) -> Result<(), Fault> {
        *self.inner.halt.write() = self.inner.store.halt()?;
        Ok(())
    }

    /// Warns at the start and then every hour while the installation is halted, whichever node
    /// began or ended the halt.
    pub(crate) async fn warn_while_halted(self, stop: CancellationToken) {
        let mut warned_at: Option<Duration> = None;
        loop {
            let (halt, now) = (self.halt(), self.monotonic());
            let since_warning = warned_at.map(|at| now.saturating_sub(at));
            let is_due = since_warning.is_none_or(|passed| passed >= limits::HALT_WARNED_EVERY);
            match halt {
                Some(halt) if is_due => {
                    warned_at = Some(now);
                    tracing::warn!(
                        why = halt.why,
                        "nothing is sold or sent upstream until `saldo resume`"
                    );
                }
                Some(_) => {}
                None if warned_at.take().is_some() => {
                    tracing::info!("the halt has ended: purchases are sold and sent again");
                }
                None => {}
            }
            let Some(()) = pause(&stop, limits::HALT_READ_EVERY).await else { return };
            if self.is_halted()
                && let Err(fault) = self.read_halt()
            {
                tracing::warn!(%fault, "the halt could not be read again; it stays");
            }
        }
    }
}

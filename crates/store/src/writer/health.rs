//! Whether the writer can write, by the commits that it made last.
//!
//! While nothing can be stored and nobody tries, it tries by itself, so that nobody takes it for
//! broken longer than it is.

use crate::commit::unrefused;
use crate::fault::Fault;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// While nothing can be stored, it is tried so often.
pub(super) const TRY_EVERY: Duration = Duration::from_secs(1);

/// Why the last commit failed, if it did. Cheap to clone: all clones are one.
#[derive(Clone, Default)]
pub(crate) struct WriterHealth {
    failing: Arc<AtomicBool>,
    why: Arc<Mutex<Option<Fault>>>,
}

impl WriterHealth {
    /// What keeps the writer from storing anything; `None`: it could, the last time.
    pub(crate) fn fault(&self) -> Option<Fault> {
        if self.is_failing() { self.why.lock().clone() } else { None }
    }

    pub(super) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Acquire)
    }

    /// Something was stored.
    pub(super) fn stored(&self) {
        if self.is_failing() {
            self.failing.store(false, Ordering::Release);
            tracing::info!("the store can write again");
        }
    }

    /// Nothing was stored. What one change may be to blame for says nothing about the next.
    pub(super) fn failed(&self, fault: &Fault, is_of_all: bool) {
        if matches!(fault, Fault::Fenced) || (fault.may_be_one_change() && !is_of_all) {
            return;
        }
        *self.why.lock() = Some(fault.clone());
        self.failing.store(true, Ordering::Release);
    }
}

/// Writes a row as it is, to find out whether anything can be stored.
pub(super) struct TryToWrite;

unrefused!(TryToWrite, (), |_change, tx| {
    tx.sql.run("UPDATE news SET revision = revision WHERE topic = 'halt'", &[]).map(|_| ())
});

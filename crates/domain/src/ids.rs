//! Identifiers, and the generator of public ones.
//!
//! Invariant: public ids stay below 2^53, so that JavaScript clients keep every digit
//! (CONTRACT A-21).

use crate::clock::Timestamp;
use std::sync::atomic::{AtomicI64, Ordering};

macro_rules! id {
    ($(#[$doc:meta] $name:ident),+ $(,)?) => {$(
        #[$doc]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    )+};
}

id! {
    /// Identifies a purchase; the wire's transaction id.
    PurchaseId,
    /// Identifies a key pair.
    KeyId,
    /// Identifies a user: a login.
    UserId,
    /// Identifies a session: from log-in to log-out.
    SessionId,
    /// Identifies a device that pushes are sent to.
    DeviceId,
    /// Identifies a webhook endpoint of an account.
    EndpointId,
    /// Identifies a journal; dense and ascending in the order of commits.
    JournalSeq,
}

/// 2026-01-01T00:00:00Z in milliseconds: the zero of public ids.
const EPOCH_MS: i64 = 1_767_225_600_000;
const NODE_BITS: u32 = 5;
const SEQUENCE_BITS: u32 = 7;
const SEQUENCE_MASK: i64 = (1 << SEQUENCE_BITS) - 1;

/// The time at which a purchase's id was generated, to the millisecond.
pub(crate) const fn made_at(id: PurchaseId) -> Timestamp {
    Timestamp(((id.0 >> (NODE_BITS + SEQUENCE_BITS)) + EPOCH_MS) * 1_000)
}

/// The lowest id that can be generated at a moment.
pub const fn first_at(at: Timestamp) -> i64 {
    (at.0.div_euclid(1_000) - EPOCH_MS) << (NODE_BITS + SEQUENCE_BITS)
}

/// Generates ids: 41 bits of milliseconds, 5 of node, 7 of sequence. Ids ascend within a process,
/// even if the clock goes back; a burst uses up the sequences of the next milliseconds.
#[derive(Debug)]
pub struct IdMaker {
    last: AtomicI64,
}

impl IdMaker {
    /// All ids will be above `floor`: the highest id that is stored.
    pub fn new(floor: i64) -> IdMaker {
        IdMaker { last: AtomicI64::new(floor) }
    }

    /// The next id. `node` is 0 to 31 and unique among running processes. `random` makes the step
    /// from id to id uneven, so that a customer cannot count our purchases.
    pub fn next(&self, node: u8, now: Timestamp, random: u32) -> i64 {
        let pack = |ms, sequence| pack(node, ms, sequence);
        let step = 1 + i64::from(random & 3);
        let now_ms = (now.0 / 1000 - EPOCH_MS).max(1);
        let mut last = self.last.load(Ordering::Relaxed);
        loop {
            let last_ms = last >> (NODE_BITS + SEQUENCE_BITS);
            let sequence = (last & SEQUENCE_MASK) + step;
            let next = if now_ms > last_ms {
                pack(now_ms, i64::from(random & 15))
            } else if sequence <= SEQUENCE_MASK {
                pack(last_ms, sequence)
            } else {
                pack(last_ms + 1, i64::from(random & 15))
            };
            match self.last.compare_exchange_weak(last, next, Ordering::Relaxed, Ordering::Relaxed)
            {
                Ok(_) => return next,
                Err(seen) => last = seen,
            }
        }
    }
}

const fn pack(node: u8, ms: i64, sequence: i64) -> i64 {
    let node = node as i64 & ((1 << NODE_BITS) - 1);
    (ms << (NODE_BITS + SEQUENCE_BITS)) | (node << SEQUENCE_BITS) | sequence
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_below_two_to_the_53_whatever_the_clock_does() {
        let maker = IdMaker::new(0);
        let mut last = 0;
        for i in 0..10_000_u32 {
            // A clock that jumps back and forth within ten seconds of the year 2060.
            let now =
                Timestamp(2_840_140_800_000_000 + i64::from(i.wrapping_mul(7919) % 10_000) * 1000);
            let id = maker.next(3, now, i.wrapping_mul(2_654_435_761));
            assert!(id > last && id < 1 << 53, "{id} after {last}");
            last = id;
        }
    }

    #[test]
    fn a_restart_does_not_repeat_an_id() {
        let maker = IdMaker::new(1 << 52);
        assert!(maker.next(0, Timestamp(0), 0) > 1 << 52);
    }
}

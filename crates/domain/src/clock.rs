//! Time and randomness as arguments: the traits that the program implements, and the timestamp.
//!
//! Not here: the real clock and the real randomness; `app/src/clock.rs` has the only ones.

use std::time::Duration;

/// A moment in UTC, microseconds since 1970. It never decides an order: sequence numbers do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// Later by `span`.
    pub fn after(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_add(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Earlier by `span`.
    pub fn before(self, span: Duration) -> Timestamp {
        Timestamp(self.0.saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX)))
    }

    /// The time since `earlier`; zero if `earlier` is in the future.
    pub fn since(self, earlier: Timestamp) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

/// The source of time.
pub trait Clock: Send + Sync {
    /// Wall-clock time in UTC; it may jump.
    fn now(&self) -> Timestamp;
    /// Time since an arbitrary fixed moment; it never goes back. For limits and deadlines.
    fn monotonic(&self) -> Duration;
}

/// A source of randomness that is fit for secrets.
pub trait Random: Send + Sync {
    /// Fills `bytes`, or fails if the operating system gives no random bytes.
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandom>;
}

/// The operating system gave no random bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoRandom;

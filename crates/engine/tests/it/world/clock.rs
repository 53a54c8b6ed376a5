//! A clock that the test moves, and random bytes that are the same in every run.

use domain::{Clock, NoRandom, Random, Timestamp};
use fixtures::NOW;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

#[derive(Debug, Default)]
pub struct TestClock {
    micros: AtomicI64,
    micros_per_read: AtomicI64,
    /// How far the wall clock is off.
    jumped: AtomicI64,
}

impl TestClock {
    pub fn advance(&self, span: Duration) {
        self.micros.fetch_add(i64::try_from(span.as_micros()).unwrap(), Ordering::SeqCst);
    }

    /// The wall clock jumps by so many seconds; no time passes.
    pub fn jump(&self, seconds: i64) {
        self.jumped.fetch_add(seconds * 1_000_000, Ordering::SeqCst);
    }

    /// From now on every read of the clock advances it by `span`.
    pub fn advance_per_read(&self, span: Duration) {
        let micros = i64::try_from(span.as_micros()).unwrap();
        self.micros_per_read.store(micros, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp(NOW.after(self.monotonic()).0 + self.jumped.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        let step = self.micros_per_read.load(Ordering::SeqCst);
        let micros = self.micros.fetch_add(step, Ordering::SeqCst);
        Duration::from_micros(u64::try_from(micros).unwrap())
    }
}

#[derive(Debug, Default)]
pub struct CountingRandom(AtomicU64);

impl Random for CountingRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandom> {
        for byte in bytes {
            let n = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            *byte = ((n ^ (n >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 56) as u8;
        }
        Ok(())
    }
}

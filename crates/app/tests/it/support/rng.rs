//! Test data that a seed repeats, and lines beside a test's result.

use std::hash::{BuildHasher, RandomState};

/// A random generator for test data: the same seed gives the same values (splitmix64).
pub struct Rng(u64);

impl Rng {
    /// Seeded by `SALDO_SEED`, else at random; prints the seed, so that a failure can be replayed.
    pub fn new(test: &str) -> Rng {
        let seed = std::env::var("SALDO_SEED")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| RandomState::new().hash_one(test));
        note(&format!("{test}: SALDO_SEED={seed}"));
        Rng(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let n = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    }

    /// From 0 to below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// Another generator, for a task of its own.
    pub fn fork(&mut self) -> Rng {
        Rng(self.next())
    }
}

/// Prints a line, which is shown if the test fails.
#[expect(clippy::print_stderr, reason = "figures and seeds are shown with a failure")]
pub fn note(line: &str) {
    eprintln!("{line}");
}

//! A sliding window that counts calls: in no 60 seconds more calls pass than the limit.
//!
//! It counts by the second. A token bucket of the same size would let twice as many calls through
//! around its refill. Not here: whose calls they are, and where the counts are stored.

/// The seconds for which a call counts.
pub const MINUTE_S: u64 = 60;

/// The calls of the last minute, by the second.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Minute {
    slots: [u32; MINUTE_S as usize],
    at_s: u64,
    sum: u32,
}

impl Minute {
    /// The length of [`Minute::to_bytes`].
    pub const BYTES: usize = 4 * MINUTE_S as usize;

    /// A window without calls that ends at this second.
    pub const fn new(at_s: u64) -> Minute {
        Minute { slots: [0; MINUTE_S as usize], at_s, sum: 0 }
    }

    const fn slot(at_s: u64) -> usize {
        (at_s % MINUTE_S) as usize
    }

    /// Moves the window's end to `now_s` and drops calls older than a minute. An earlier second
    /// changes nothing, unless it is a minute earlier or more: then the clock was ahead, and all
    /// calls count from now on.
    pub fn advance(&mut self, now_s: u64) {
        if self.at_s > now_s.saturating_add(MINUTE_S) {
            let sum = self.sum;
            *self = Minute { sum, ..Minute::new(now_s) };
            self.slots[Minute::slot(now_s)] = sum;
        }
        let passed = now_s.saturating_sub(self.at_s).min(MINUTE_S);
        for step in 1..=passed {
            let slot = &mut self.slots[Minute::slot(now_s - passed + step)];
            self.sum -= *slot;
            *slot = 0;
        }
        self.at_s = self.at_s.max(now_s);
    }

    /// Counts as many of `wanted` calls as fit within `limit`; returns how many.
    pub fn take(&mut self, wanted: u32, limit: u32) -> u32 {
        let taken = wanted.min(limit.saturating_sub(self.sum));
        self.slots[Minute::slot(self.at_s)] += taken;
        self.sum += taken;
        taken
    }

    /// Uncounts `unused` calls that were taken at second `taken_s` and not made.
    pub fn give_back(&mut self, unused: u32, taken_s: u64) {
        if taken_s > self.at_s || taken_s + MINUTE_S <= self.at_s {
            return;
        }
        let slot = &mut self.slots[Minute::slot(taken_s)];
        let back = unused.min(*slot);
        *slot -= back;
        self.sum -= back;
    }

    /// Calls that may still be taken.
    pub const fn left(&self, limit: u32) -> u32 {
        limit.saturating_sub(self.sum)
    }

    /// The second at which the window ends.
    pub const fn at_s(&self) -> u64 {
        self.at_s
    }

    /// Seconds until the oldest counted call leaves the window; 0 if there is none.
    pub fn next_free_in_s(&self) -> u64 {
        (1..=MINUTE_S).find(|age| self.slots[Minute::slot(self.at_s + age)] > 0).unwrap_or(0)
    }

    /// The counts in their stored form; [`Minute::at_s`] is stored beside them.
    pub fn to_bytes(&self) -> [u8; Minute::BYTES] {
        let mut bytes = [0; Minute::BYTES];
        for (four, slot) in bytes.chunks_exact_mut(4).zip(self.slots) {
            four.copy_from_slice(&slot.to_le_bytes());
        }
        bytes
    }

    /// Reads [`Minute::to_bytes`]; `None` for any other bytes.
    pub fn from_bytes(bytes: &[u8], at_s: u64) -> Option<Minute> {
        let bytes = <&[u8; Minute::BYTES]>::try_from(bytes).ok()?;
        let mut minute = Minute::new(at_s);
        for (slot, four) in minute.slots.iter_mut().zip(bytes.chunks_exact(4)) {
            *slot = u32::from_le_bytes(four.try_into().ok()?);
            minute.sum = minute.sum.checked_add(*slot)?;
        }
        Some(minute)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// In no 60 seconds are more calls made than allowed, however many are taken in advance
        /// and given back.
        #[test]
        fn no_minute_has_more_than_its_limit(
            calls in proptest::collection::vec((0_u64..20, 1_u32..9, 0_u32..4), 1..200),
            limit in 1_u32..30,
        ) {
            let (mut now, mut minute) = (1_000, Minute::new(1_000));
            let mut made: Vec<(u64, u32)> = Vec::new();
            for (gap, wanted, unused) in calls {
                now += gap;
                minute.advance(now);
                let taken = minute.take(wanted, limit);
                let recent: u32 =
                    made.iter().filter(|(at, _)| *at + 60 > now).map(|(_, n)| n).sum();
                prop_assert_eq!(taken, wanted.min(limit - recent));
                let unused = unused.min(taken);
                minute.give_back(unused, now);
                made.push((now, taken - unused));
                let kept = Minute::from_bytes(&minute.to_bytes(), minute.at_s());
                prop_assert_eq!(kept.as_ref(), Some(&minute));
            }
        }
    }

    /// The clock was a week ahead for one call.
    #[test]
    fn a_clock_that_was_ahead_counts_for_a_minute() {
        let mut minute = Minute::new(100);
        assert_eq!(minute.take(2, 5), 2);
        minute.advance(100 + 7 * 86_400);
        assert_eq!(minute.take(1, 5), 1);
        minute.advance(110);
        assert_eq!((minute.left(5), minute.at_s()), (4, 110));
        minute.advance(170);
        assert_eq!(minute.left(5), 5);
    }

    #[test]
    fn calls_given_back_too_late_or_twice_change_nothing() {
        let mut minute = Minute::new(100);
        assert_eq!(minute.take(5, 5), 5);
        minute.advance(159);
        minute.give_back(9, 100);
        assert_eq!(minute.left(5), 5);
        assert_eq!(minute.take(2, 5), 2);
        minute.advance(219);
        minute.give_back(2, 159);
        minute.give_back(2, 300);
        assert_eq!((minute.left(5), minute.next_free_in_s()), (5, 0));
        assert_eq!(Minute::from_bytes(&[0; 8], 1), None);
    }
}

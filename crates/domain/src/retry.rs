//! When something is tried again: one type, a schedule for each kind of work.

use std::time::Duration;

/// The waits after the first failures, one after the other; the last one is for all further ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySchedule {
    waits: &'static [Duration],
    /// Every wait is divided by this; 1, but in tests.
    time_divisor: u32,
}

const fn seconds(s: u64) -> Duration {
    Duration::from_secs(s)
}

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

/// Between enquiries about an order in doubt (RELIABILITY 1.4, rule 5).
pub const ENQUIRIES: RetrySchedule = RetrySchedule::new(&[
    seconds(5),
    seconds(15),
    seconds(MINUTE),
    seconds(5 * MINUTE),
    seconds(5 * MINUTE),
    seconds(5 * MINUTE),
    seconds(5 * MINUTE),
    seconds(5 * MINUTE),
    seconds(30 * MINUTE),
]);
/// Between tries of a webhook, without the random part (RELIABILITY P8).
pub const WEBHOOK_TRIES: RetrySchedule = RetrySchedule::new(&[
    seconds(5),
    seconds(5 * MINUTE),
    seconds(30 * MINUTE),
    seconds(2 * HOUR),
    seconds(5 * HOUR),
    seconds(10 * HOUR),
    seconds(10 * HOUR),
    seconds(24 * HOUR),
]);
/// Between tries of a push.
pub const PUSH_TRIES: RetrySchedule = RetrySchedule::new(&[
    seconds(10),
    seconds(MINUTE),
    seconds(5 * MINUTE),
    seconds(30 * MINUTE),
    seconds(2 * HOUR),
]);

impl RetrySchedule {
    /// These waits, shortest first; at least one.
    pub const fn new(waits: &'static [Duration]) -> RetrySchedule {
        RetrySchedule { waits, time_divisor: 1 }
    }

    /// The same with each wait divided by this, at least 1: for tests.
    pub fn divided_by(self, time_divisor: u32) -> RetrySchedule {
        let time_divisor = self.time_divisor.saturating_mul(time_divisor.max(1));
        RetrySchedule { time_divisor, ..self }
    }

    /// The wait before the next try, after `tries` waits.
    pub fn wait(self, tries: u32) -> Duration {
        let last = self.waits.len().saturating_sub(1);
        let index = usize::try_from(tries).unwrap_or(last).min(last);
        self.waits.get(index).copied().unwrap_or_default() / self.time_divisor
    }

    /// Another wait, divided as these are.
    pub fn scaled(self, wait: Duration) -> Duration {
        wait / self.time_divisor
    }

    /// The longest wait.
    pub fn longest(self) -> Duration {
        self.wait(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_never_shrink_and_the_last_one_stays() {
        for schedule in [ENQUIRIES, WEBHOOK_TRIES, PUSH_TRIES] {
            let waits: Vec<_> = (0..20).map(|tries| schedule.wait(tries)).collect();
            assert!(waits.is_sorted() && waits[0] > Duration::ZERO, "{waits:?}");
            assert_eq!(waits[19], schedule.longest());
            assert_eq!(schedule.wait(u32::MAX), schedule.longest());
        }
        assert_eq!(ENQUIRIES.divided_by(10).wait(1).as_millis(), 1_500);
        assert_eq!([0, 2, 7, 8].map(|tries| ENQUIRIES.wait(tries).as_secs()), [5, 60, 300, 1800]);
    }
}

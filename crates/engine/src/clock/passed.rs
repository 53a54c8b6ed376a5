//! How much time passed between two moments, when time was also moved at once.

use domain::Timestamp;
use std::time::Duration;
use store::ClockJump;

/// A move forwards counts for at most this long.
const SKIP_COUNTS_FOR: Duration = Duration::from_secs(3600);
/// A moment that is later than now by no more than this was noted by another node, just now.
const SKEW: Duration = Duration::from_secs(60);

/// The time that passed since `then`.
///
/// The moves divide time into stretches that passed evenly. After a step back one moment may be in
/// two of them; then the later one counts, so that nothing ends too early.
pub(super) fn passed(jumps: &[ClockJump], then: Timestamp, now: Timestamp) -> Duration {
    let stretch = |n: usize| {
        let start = n.checked_sub(1).map_or(Timestamp(i64::MIN), |before| jumps[before].to);
        (start, jumps.get(n).map(|jump| jump.from))
    };
    let has_begun = |n: usize| stretch(n).0 <= then;
    let contains = |n: usize| has_begun(n) && then <= stretch(n).1.unwrap_or(now.after(SKEW));
    let latest = |is_it: &dyn Fn(usize) -> bool| (0..=jumps.len()).rev().find(|n| is_it(*n));
    let first = latest(&contains).or_else(|| latest(&has_begun)).unwrap_or(0);
    let mut total = Duration::ZERO;
    for n in first..=jumps.len() {
        let (start, end) = stretch(n);
        total += end.unwrap_or(now).since(if n == first { then } else { start });
        if let Some(jump) = jumps.get(n) {
            total += jump.to.since(jump.from).min(SKIP_COUNTS_FOR);
        }
    }
    total
}

/// `now` without the moves forwards of the last `proof`: a time that is not too late, should one of
/// them turn out wrong.
pub(super) fn proven(jumps: &[ClockJump], now: Timestamp, proof: Duration) -> Timestamp {
    let recent = jumps.iter().enumerate().filter(|(n, _)| {
        let since = &jumps[n + 1..];
        passed(since, jumps[*n].to, now) < proof
    });
    let moved = recent.map(|(_, jump)| jump.to.since(jump.from)).sum();
    now.before(moved)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    fn at(s: i64) -> Timestamp {
        Timestamp((1_000 * HOUR + s) * 1_000_000)
    }

    fn jump(from: i64, to: i64) -> ClockJump {
        ClockJump { from: at(from), to: at(to) }
    }

    fn passed_s(jumps: &[ClockJump], then: i64, now: i64) -> i64 {
        i64::try_from(passed(jumps, at(then), at(now)).as_secs()).unwrap()
    }

    #[test]
    fn a_move_forwards_counts_for_an_hour_at_most() {
        assert_eq!(passed_s(&[], 0, 100), 100);
        assert_eq!(passed_s(&[jump(50, 50 + 60)], 0, 160), 160);
        let three_days = [jump(50, 50 + 72 * HOUR)];
        assert_eq!(passed_s(&three_days, 0, 72 * HOUR + 100), HOUR + 100);
        assert_eq!(passed_s(&three_days, 72 * HOUR + 60, 72 * HOUR + 100), 40);
        // Noted by another program while no node ran.
        assert_eq!(passed_s(&three_days, HOUR, 72 * HOUR + 100), HOUR + 50);
    }

    #[test]
    fn a_step_back_takes_nothing_away() {
        let six_hours = [jump(100, 100 - 6 * HOUR)];
        // Noted before it, now in the future.
        assert_eq!(passed_s(&six_hours, 60, 110 - 6 * HOUR), 50);
        // Noted before it, and before where it went to.
        assert_eq!(passed_s(&six_hours, 90 - 6 * HOUR, 110 - 6 * HOUR), 6 * HOUR + 20);
        // Noted after it, or by a node whose clock differs a little.
        assert_eq!(passed_s(&six_hours, 105 - 6 * HOUR, 110 - 6 * HOUR), 5);
        assert_eq!(passed_s(&six_hours, 112 - 6 * HOUR, 110 - 6 * HOUR), 0);
    }

    #[test]
    fn there_and_back_counts_once() {
        let day = 24 * HOUR;
        let jumps = [jump(100, 100 + 2 * day), jump(200 + 2 * day, 200)];
        assert_eq!(passed_s(&jumps, 0, 300), HOUR + 300);
        assert_eq!(passed_s(&jumps, 150 + 2 * day, 300), 150);
        assert_eq!(passed_s(&jumps, 250, 300), 50);
    }

    #[test]
    fn what_is_proven_leaves_out_what_was_moved_today() {
        let day = Duration::from_secs(24 * 3600);
        let jumps = [jump(0, 100 * HOUR)];
        assert_eq!(proven(&jumps, at(101 * HOUR), day), at(HOUR));
        assert_eq!(proven(&jumps, at(130 * HOUR), day), at(130 * HOUR));
        assert_eq!(proven(&[jump(100, 0)], at(50), day), at(50));
    }
}

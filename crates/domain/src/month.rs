//! Calendar months in UTC: the database is partitioned and archived by them.
//!
//! Pure arithmetic on the proleptic Gregorian calendar (Howard Hinnant, "chrono-compatible
//! low-level date algorithms"). Not here: time zones.

use crate::clock::Timestamp;
use crate::ids::{self, PurchaseId};

const DAY_MICROS: i64 = 86_400_000_000;

/// A month of a year.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Month {
    /// Months since January of the year 0.
    count: i64,
}

impl Month {
    /// The month that contains a moment.
    pub const fn of(at: Timestamp) -> Month {
        // The algorithm's years begin in March, so that the leap day is the last day of a year.
        let days = at.0.div_euclid(DAY_MICROS) + 719_468;
        let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
        let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
        let day_of_year = day - (365 * year + year / 4 - year / 100);
        let month = (5 * day_of_year + 2) / 153;
        Month { count: (era * 400 + year) * 12 + month + 2 }
    }

    /// The month in which a purchase's number was given.
    pub const fn of_id(id: PurchaseId) -> Month {
        Month::of(ids::made_at(id))
    }

    /// Reads [`Month::number`]; `None` for a number that is no month.
    pub const fn from_number(number: i64) -> Option<Month> {
        let (year, month) = (number.div_euclid(100), number.rem_euclid(100));
        if month < 1 || month > 12 {
            return None;
        }
        Some(Month { count: year * 12 + month - 1 })
    }

    /// As stored: 202604 for April 2026.
    pub const fn number(self) -> i64 {
        self.year() * 100 + self.of_year()
    }

    const fn year(self) -> i64 {
        self.count.div_euclid(12)
    }

    const fn of_year(self) -> i64 {
        self.count.rem_euclid(12) + 1
    }

    /// The following month.
    #[must_use]
    pub const fn next(self) -> Month {
        Month { count: self.count + 1 }
    }

    /// The month before.
    #[must_use]
    pub const fn previous(self) -> Month {
        Month { count: self.count - 1 }
    }

    /// As many months later; earlier, if it is below zero.
    #[must_use]
    pub const fn plus(self, months: i64) -> Month {
        Month { count: self.count + months }
    }

    /// Its first moment.
    pub const fn starts_at(self) -> Timestamp {
        let count = self.count - 2;
        let (year, month) = (count.div_euclid(12), count.rem_euclid(12));
        let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
        let day = year * 365 + year / 4 - year / 100 + (153 * month + 2) / 5;
        Timestamp((era * 146_097 + day - 719_468) * DAY_MICROS)
    }

    /// The lowest possible id of this month; ids of earlier months are lower.
    pub const fn first_id(self) -> i64 {
        ids::first_at(self.starts_at())
    }

    /// The same among the ids of before there were numbers.
    pub const fn first_old_id(self) -> i64 {
        ids::first_old_at(self.starts_at())
    }
}

/// The same time of the same day so many months later; of the month's last day, if it has no such
/// day (31 January and one month: 28 or 29 February).
pub fn months_after(at: Timestamp, months: i64) -> Timestamp {
    let month = Month::of(at);
    let since = at.0 - month.starts_at().0;
    let to = month.plus(months);
    let last_day = (to.next().starts_at().0 - to.starts_at().0) / DAY_MICROS - 1;
    let day = (since / DAY_MICROS).min(last_day);
    Timestamp(to.starts_at().0 + day * DAY_MICROS + since % DAY_MICROS)
}

/// The day of a moment, in UTC: `2026-11-30`.
pub fn day(at: Timestamp) -> String {
    let month = Month::of(at);
    format!("{month}-{:02}", (at.0 - month.starts_at().0) / DAY_MICROS + 1)
}

impl std::fmt::Display for Month {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:04}-{:02}", self.year(), self.of_year())
    }
}

impl std::str::FromStr for Month {
    type Err = NotAMonth;

    fn from_str(text: &str) -> Result<Month, NotAMonth> {
        let is_plain = text.len() == 7
            && text.bytes().enumerate().all(|(n, b)| match n {
                4 => b == b'-',
                _ => b.is_ascii_digit(),
            });
        let number = is_plain.then(|| text.replace('-', "").parse().ok()).flatten();
        number.and_then(Month::from_number).ok_or(NotAMonth)
    }
}

/// The text is no month.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAMonth;

impl std::fmt::Display for NotAMonth {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a year and a month, such as 2026-04")
    }
}

impl std::error::Error for NotAMonth {}

#[cfg(test)]
mod tests {
    use super::*;

    /// Microseconds as `date -u -d … +%s` gives them.
    const MOMENTS: [(i64, &str); 8] = [
        (1_767_225_600, "2026-01"),
        (1_767_225_599, "2025-12"),
        (1_709_164_799, "2024-02"), // the last second of 28 February
        (1_709_251_199, "2024-02"), // of the 29th
        (1_709_251_200, "2024-03"),
        (0, "1970-01"),
        (-1, "1969-12"),
        (4_107_542_400, "2100-03"), // 2100 is no leap year
    ];

    #[test]
    fn a_moment_has_its_month() {
        for (seconds, expected) in MOMENTS {
            let month = Month::of(Timestamp(seconds * 1_000_000));
            assert_eq!(month.to_string(), expected, "{seconds}");
            assert_eq!(expected.parse(), Ok(month));
            assert_eq!(Month::from_number(month.number()), Some(month));
        }
    }

    #[test]
    fn months_follow_each_other_without_a_gap() {
        let mut month = Month::of(Timestamp(-62_135_596_800_000_000));
        for _ in 0..12 * 2_200 {
            let (start, end) = (month.starts_at(), month.next().starts_at());
            assert_eq!(Month::of(start), month);
            assert_eq!(Month::of(Timestamp(end.0 - 1)), month);
            assert_eq!(month.next().previous(), month);
            let days = (end.0 - start.0) / DAY_MICROS;
            assert!((28..=31).contains(&days) && month < month.next(), "{month}: {days}");
            month = month.next();
        }
        assert_eq!(month.to_string(), "2201-01");
    }

    #[test]
    fn an_id_has_the_month_in_which_it_was_generated() {
        let april: Month = "2026-04".parse().unwrap();
        assert_eq!(Month::of_id(PurchaseId(april.first_id())), april);
        assert_eq!(Month::of_id(PurchaseId(april.first_id() - 1)), april.previous());
        assert_eq!("2026-01".parse::<Month>().unwrap().first_old_id(), 0);
    }

    #[test]
    fn what_is_no_month_is_refused() {
        for text in ["2026-13", "2026-00", "2026-4", "202604", "2026-04 ", "+026-04", "2026/04", ""]
        {
            assert_eq!(text.parse::<Month>(), Err(NotAMonth), "{text:?}");
        }
        assert_eq!(Month::from_number(202_613), None);
    }
}

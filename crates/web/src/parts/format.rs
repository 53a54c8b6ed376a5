//! Money, times and numbers as people read them, in their language.
//!
//! Invariant: what a machine reads (amounts in forms, CSV, JSON) is not made here.

use crate::words::{Language, Words};
use domain::{Money, Timestamp};
use jiff::tz::Offset;

/// The minus sign; a hyphen would break, and read as one.
const MINUS: char = '\u{2212}';
/// A space that does not break.
const FIXED_SPACE: char = '\u{a0}';

/// A time zone without summer time, as both our countries have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Zone {
    /// As lists name it: `UTC+6`.
    pub(crate) name: &'static str,
    hours: i8,
}

impl Zone {
    pub(crate) const DHAKA: Zone = Zone { name: "UTC+6", hours: 6 };
    pub(crate) const HARARE: Zone = Zone { name: "UTC+2", hours: 2 };
    pub(crate) const UTC: Zone = Zone { name: "UTC", hours: 0 };

    /// The zone of a country of our catalogs, by its code.
    pub(crate) fn of_country(code: &str) -> Zone {
        match code {
            "BD" => Zone::DHAKA,
            "ZW" => Zone::HARARE,
            _ => Zone::UTC,
        }
    }

    /// How far its clocks are from UTC.
    pub(crate) const fn offset(self) -> Offset {
        Offset::constant(self.hours)
    }

    /// The same in seconds.
    pub(crate) fn seconds(self) -> i64 {
        i64::from(self.hours) * 3600
    }
}

/// An amount with its currency.
pub(crate) fn money(words: Words, amount: Money) -> String {
    let code = amount.currency().code();
    let exact = amount.exact();
    let (sign, digits) = match exact.strip_prefix('-') {
        Some(digits) => (MINUS.to_string(), digits),
        None => (String::new(), exact.as_str()),
    };
    let (whole, cents) = digits.split_once('.').unwrap_or((digits, ""));
    let cents = if cents.is_empty() { String::new() } else { format!(".{cents}") };
    match words.language {
        Language::English => {
            let text = format!("{}{cents}", grouped(whole, &[3]));
            match code {
                "BDT" => format!("{sign}৳{text}"),
                "USD" => format!("{sign}US${text}"),
                "ZWG" => format!("{sign}ZiG{FIXED_SPACE}{text}"),
                other => format!("{sign}{other}{FIXED_SPACE}{text}"),
            }
        }
        Language::Bangla => {
            let text = bangla(&format!("{}{cents}", grouped(whole, &[3, 2])));
            match code {
                "BDT" => format!("{sign}{text}৳"),
                "USD" => format!("{sign}{text}{FIXED_SPACE}US$"),
                "ZWG" => format!("{sign}{text}{FIXED_SPACE}ZiG"),
                other => format!("{sign}{text}{FIXED_SPACE}{other}"),
            }
        }
    }
}

/// A count.
pub(crate) fn number(words: Words, n: u64) -> String {
    match words.language {
        Language::English => grouped(&n.to_string(), &[3]),
        Language::Bangla => bangla(&grouped(&n.to_string(), &[3, 2])),
    }
}

/// A moment in a zone: `29 Nov 2026, 20:05`.
pub(crate) fn time(words: Words, at: Timestamp, zone: Zone) -> String {
    let Ok(moment) = jiff::Timestamp::from_microsecond(at.0) else { return String::new() };
    let there = Offset::constant(zone.hours).to_datetime(moment);
    let month = usize::try_from(there.month() - 1).unwrap_or(0);
    let months = words.t("time.months");
    let month = months.split(' ').nth(month).unwrap_or("");
    let text = format!(
        "{} {month} {}, {:02}:{:02}",
        there.day(),
        there.year(),
        there.hour(),
        there.minute()
    );
    match words.language {
        Language::English => text,
        Language::Bangla => bangla(&text),
    }
}

/// A moment as an element that says it in UTC too.
pub(crate) fn time_tag(words: Words, at: Timestamp, zone: Zone) -> super::Markup {
    let utc = jiff::Timestamp::from_microsecond(at.0).map_or(String::new(), |t| t.to_string());
    super::Markup(format!("<time datetime=\"{utc}\">{}</time>", time(words, at, zone)))
}

/// Digits in groups from the right: the first size once, the last one on and on.
fn grouped(digits: &str, sizes: &[usize]) -> String {
    let mut groups = Vec::new();
    let mut rest = digits;
    let mut turn = 0;
    while !rest.is_empty() {
        let size = sizes.get(turn).or(sizes.last()).copied().unwrap_or(3);
        let (head, group) = rest.split_at(rest.len().saturating_sub(size));
        groups.push(group);
        rest = head;
        turn += 1;
    }
    groups.reverse();
    groups.join(",")
}

/// A text with the digits of the language.
pub(crate) fn in_digits(words: Words, text: &str) -> String {
    match words.language {
        Language::English => text.to_owned(),
        Language::Bangla => bangla(text),
    }
}

fn bangla(text: &str) -> String {
    let digit = |c: char| match c.to_digit(10) {
        Some(value) => char::from_u32(0x9e6 + value).unwrap_or(c),
        None => c,
    };
    text.chars().map(digit).collect()
}

/// Latin digits of what somebody typed, who may have typed Bengali ones.
pub(crate) fn latin_digits(typed: &str) -> String {
    let digit = |c: char| match u32::from(c).checked_sub(0x9e6) {
        Some(value @ 0..=9) => char::from_digit(value, 10).unwrap_or(c),
        Some(_) | None => c,
    };
    typed.chars().map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::Currency;

    const ENGLISH: Words = Words { language: Language::English };
    const BANGLA: Words = Words { language: Language::Bangla };

    #[test]
    fn amounts_are_written_as_they_are_read() {
        let amount = |minor, code| Money::new(minor, Currency::from_code(code).unwrap());
        for (minor, code, english, bangla) in [
            (123_456_750, "BDT", "৳1,234,567.50", "১২,৩৪,৫৬৭.৫০৳"),
            (1_250, "USD", "US$12.50", "১২.৫০\u{a0}US$"),
            (34_000, "ZWG", "ZiG\u{a0}340.00", "৩৪০.০০\u{a0}ZiG"),
            (-50, "BDT", "−৳0.50", "−০.৫০৳"),
        ] {
            assert_eq!(money(ENGLISH, amount(minor, code)), english);
            assert_eq!(money(BANGLA, amount(minor, code)), bangla);
        }
        assert_eq!((number(ENGLISH, 1_234_567), number(BANGLA, 1_234_567)), {
            ("1,234,567".to_owned(), "১২,৩৪,৫৬৭".to_owned())
        });
        assert_eq!(latin_digits("০১৭ 12৳"), "017 12৳");
    }

    #[test]
    fn a_time_is_the_readers() {
        let at = Timestamp(1_795_961_100_000_000);
        assert_eq!(time(ENGLISH, at, Zone::DHAKA), "29 Nov 2026, 20:05");
        assert_eq!(time(ENGLISH, at, Zone::HARARE), "29 Nov 2026, 16:05");
        assert_eq!(time(BANGLA, at, Zone::DHAKA), "২৯ নভে ২০২৬, ২০:০৫");
    }
}

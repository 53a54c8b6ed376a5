//! The public ids of products, categories and payments: `prod_001`, `cat_001`,
//! `TXN-2026-00001234`.
//!
//! Invariant: the id of a product or a category parses to the number that it was made of.

use domain::{PurchaseId, Timestamp};
use jiff::tz::TimeZone;

const PRODUCT: &str = "prod_";
const CATEGORY: &str = "cat_";

/// The id of a product: `prod_001`.
pub(crate) fn product(number: i64) -> String {
    format!("{PRODUCT}{number:03}")
}

/// The id of a category: `cat_001`.
pub(crate) fn category(number: i64) -> String {
    format!("{CATEGORY}{number:03}")
}

/// Parses a product's number from digits or from its [`product`] id; `None` for anything else. 0 is
/// valid here, but no product has it.
pub(crate) fn parse_product(text: &str) -> Option<i64> {
    parse_number(text.strip_prefix(PRODUCT).unwrap_or(text))
}

/// Parses a category's number from digits or from its [`category`] id; `None` for anything else.
pub(crate) fn parse_category(text: &str) -> Option<i64> {
    parse_number(text.strip_prefix(CATEGORY).unwrap_or(text))
}

/// Parses a whole number of at most 20 digits.
pub(super) fn parse_number(digits: &str) -> Option<i64> {
    let is_number = (1..=20).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    // A number beyond 64 bits belongs to nothing: it is answered like any unknown number.
    is_number.then(|| digits.parse().unwrap_or(i64::MAX))
}

/// A payment's reference: the year in which it was opened, in UTC, and its id.
pub(crate) fn reference(id: PurchaseId, opened_at: Timestamp) -> String {
    let opened_at = jiff::Timestamp::from_microsecond(opened_at.0).unwrap_or_default();
    let year = opened_at.to_zoned(TimeZone::UTC).year();
    format!("TXN-{year}-{:08}", id.number().0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_ids() {
        for (number, id) in [(1, "prod_001"), (42, "prod_042"), (1000, "prod_1000")] {
            assert_eq!(product(number), id);
            assert_eq!(parse_product(id), Some(number));
            assert_eq!(parse_product(&number.to_string()), Some(number));
        }
        assert_eq!((category(1).as_str(), parse_category("cat_001")), ("cat_001", Some(1)));
        for (text, number) in
            [("0", Some(0)), ("007", Some(7)), ("99999999999999999999", Some(i64::MAX))]
        {
            assert_eq!(parse_product(text), number, "{text}");
        }
        for bad in
            ["", "prod_", "prod_-1", "-1", "1.0", "1e1", " 1", "cat_001", "PROD_001", "prod_prod_1"]
        {
            assert_eq!(parse_product(bad), None, "{bad}");
        }
    }

    #[test]
    fn references_contain_the_year_of_opening() {
        for (micros, id, text) in [
            (1_770_320_554_000_000, 1234, "TXN-2026-00001234"),
            (1_767_225_599_999_999, 7, "TXN-2025-00000007"),
            (1_767_225_600_000_000, 1_300_225_600_001, "TXN-2026-1300225600001"),
        ] {
            assert_eq!(reference(PurchaseId(id), Timestamp(micros)), text);
        }
    }
}

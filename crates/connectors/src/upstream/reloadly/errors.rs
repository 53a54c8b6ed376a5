//! The closed list: which error codes of a top-up or a payment are definite refusals.
//!
//! A code that is not here is unknown, at any status: whatever says that the operator, or the
//! connection to it, failed is only settled by the report.

/// A definite refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The order is at fault.
    Order,
    /// The account or this upstream is at fault: another one may deliver.
    Upstream,
    /// There lately was, or still is, an order like this one.
    Repeat,
}

/// Checked before the operator is called, or the operator's plain no.
const REFUSALS: &[(&str, Refusal)] = &[
    ("INSUFFICIENT_BALANCE", Refusal::Upstream),
    ("INSUFFICIENT_WALLET_BALANCE", Refusal::Upstream),
    ("PHONE_RECENTLY_RECHARGED", Refusal::Repeat),
    ("RECIPIENT_HAS_PENDING_TRANSACTION", Refusal::Repeat),
    ("COULD_NOT_AUTO_DETECT_OPERATOR", Refusal::Order),
    ("OPERATOR_NOT_FOUND", Refusal::Upstream),
    ("INVALID_RECIPIENT_PHONE", Refusal::Order),
    ("OPERATOR_AND_RECIPIENT_PHONE_MISMATCH", Refusal::Order),
    ("INVALID_AMOUNT", Refusal::Order),
    ("INVALID_AMOUNT_FOR_OPERATOR", Refusal::Order),
    ("INVALID_LOCAL_AMOUNT_FOR_OPERATOR", Refusal::Order),
    ("LOCAL_AMOUNTS_NOT_SUPPORTED_BY_OPERATOR", Refusal::Upstream),
    ("INVALID_AMOUNT_FOR_RECIPIENT_PHONE", Refusal::Order),
    ("INVALID_INPUT_PROVIDED", Refusal::Order),
    ("MISSING_REQUIRED_AMOUNT_ID", Refusal::Upstream),
    ("AMOUNT_ID_NOT_FOUND", Refusal::Upstream),
    ("INVALID_BILLER_ID", Refusal::Upstream),
    ("COUNTRY_NOT_SUPPORTED", Refusal::Upstream),
    ("TRANSACTION_REJECTED_BY_OPERATOR", Refusal::Order),
    ("TRANSACTION_REFUSED_BY_OPERATOR", Refusal::Order),
    ("RECIPIENT_REACHED_MAX_TOPUP_NUMBER", Refusal::Repeat),
    ("RECIPIENT_PHONE_INACTIVE", Refusal::Order),
    ("PHONE_BANNED_BY_OPERATOR", Refusal::Order),
    ("MAX_DAILY_TRANSACTION_AMOUNT_REACHED", Refusal::Upstream),
    ("MAX_DAILY_TRANSACTION_COUNT_REACHED", Refusal::Upstream),
    ("INVALID_SENDER_PHONE", Refusal::Order),
    ("INVALID_PHONE_NUMBER", Refusal::Order),
    ("OPERATOR_NOT_IN_SERVICE", Refusal::Upstream),
    ("ACCOUNT_NOT_FOUND", Refusal::Upstream),
    ("INACTIVE_ACCOUNT", Refusal::Upstream),
];

/// The one definite 5xx: raised before anything is tried.
const UNAVAILABLE: &str = "OPERATOR_UNAVAILABLE_OR_CURRENTLY_INACTIVE";

/// Whether this status with this code is a definite refusal of a submit.
pub(super) fn refusal(status: u16, code: &str) -> Option<Refusal> {
    match status {
        503 if code == UNAVAILABLE => Some(Refusal::Upstream),
        408 => None,
        400..=499 => REFUSALS.iter().find(|(known, _)| *known == code).map(|(_, kind)| *kind),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listed_codes_at_their_statuses_refuse() {
        assert_eq!(refusal(400, "INVALID_AMOUNT"), Some(Refusal::Order));
        assert_eq!(refusal(409, "INSUFFICIENT_WALLET_BALANCE"), Some(Refusal::Upstream));
        assert_eq!(refusal(503, UNAVAILABLE), Some(Refusal::Upstream));
        for (status, code) in [
            (400, "CUSTOM_IDENTIFIER_ALREADY_USED"),
            (400, "REFERENCE_ID_ALREADY_USED"),
            (400, "TRANSACTION_CANNOT_BE_PROCESSED_AT_THE_MOMENT"),
            (400, "PROVIDER_INTERNAL_ERROR"),
            (400, "TRANSACTION_FAILED_ON_OPERATOR"),
            (400, "A_NEW_CODE"),
            (400, ""),
            (408, "INVALID_AMOUNT"),
            (500, "INVALID_AMOUNT"),
            (200, "INVALID_AMOUNT"),
            (500, UNAVAILABLE),
            (400, UNAVAILABLE),
        ] {
            assert_eq!(refusal(status, code), None, "{status} {code}");
        }
    }
}

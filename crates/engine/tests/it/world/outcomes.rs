//! One of each outcome that an upstream can report. What a submit and an enquiry have in common is
//! either of them, as its use requires.

use super::upstream::CAPABILITIES;
use domain::{Answer, EnquiryOutcome, SubmitOutcome};

pub fn delivered<T: From<Answer>>() -> T {
    let text = "Recharge is successful. Your new balance is 6814.64 TAKA.".to_owned();
    Answer::Delivered {
        reference: Some("R26".to_owned()),
        text: Some(text),
        slip: None,
        cost: None,
    }
    .into()
}

pub fn accepted<T: From<Answer>>() -> T {
    Answer::Accepted { reference: Some("R26".to_owned()) }.into()
}

pub fn refused<T: From<Answer>>() -> T {
    Answer::Refused { reason: "no such number".to_owned(), try_elsewhere: false }.into()
}

/// A refusal that allows the next route.
pub fn elsewhere<T: From<Answer>>() -> T {
    Answer::Refused { reason: "we are out of stock".to_owned(), try_elsewhere: true }.into()
}

pub fn unknown<T: From<Answer>>() -> T {
    Answer::Unknown { reason: "no answer".to_owned() }.into()
}

/// An unreadable answer that has our reference, and its own.
pub fn unclear<T: From<Answer>>() -> T {
    let reference = Some("R26".to_owned());
    Answer::Unclear { reference, reason: "the status QUEUED".to_owned() }.into()
}

pub fn unaskable<T: From<Answer>>() -> T {
    Answer::Unaskable { reason: "it has no enquiry".to_owned() }.into()
}

pub fn not_sent() -> SubmitOutcome {
    SubmitOutcome::NotSent { reason: "connection refused".to_owned() }
}

/// The connection failed while the upstream was asked.
pub fn not_asked() -> EnquiryOutcome {
    Answer::Unknown { reason: "connection refused".to_owned() }.into()
}

pub fn reversed() -> EnquiryOutcome {
    let reversals = CAPABILITIES.reversals().unwrap();
    EnquiryOutcome::Reversed { reason: "taken back".to_owned(), reversals }
}

/// Every outcome of a submit, with a name for tables.
pub fn submit_outcomes() -> [(&'static str, SubmitOutcome); 8] {
    [
        ("delivered", delivered()),
        ("accepted", accepted()),
        ("refused", refused()),
        ("elsewhere", elsewhere()),
        ("not_sent", not_sent()),
        ("unknown", unknown()),
        ("unclear", unclear()),
        ("unaskable", unaskable()),
    ]
}

/// Every outcome of an enquiry, with a name for tables.
pub fn enquiry_outcomes() -> [(&'static str, EnquiryOutcome); 9] {
    [
        ("delivered", delivered()),
        ("accepted", accepted()),
        ("refused", refused()),
        ("elsewhere", elsewhere()),
        ("not_found", EnquiryOutcome::NotFound),
        ("reversed", reversed()),
        ("unknown", unknown()),
        ("unclear", unclear()),
        ("unaskable", unaskable()),
    ]
}

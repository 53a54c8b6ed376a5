//! One of each outcome that an upstream can report.

use domain::Outcome;

pub fn delivered() -> Outcome {
    let text = "Recharge is successful. Your new balance is 6814.64 TAKA.".to_owned();
    Outcome::Delivered { reference: Some("R26".to_owned()), text: Some(text), slip: None }
}

pub fn refused() -> Outcome {
    Outcome::Refused { reason: "no such number".to_owned(), try_elsewhere: false }
}

/// A refusal that allows the next route.
pub fn elsewhere() -> Outcome {
    Outcome::Refused { reason: "we are out of stock".to_owned(), try_elsewhere: true }
}

pub fn not_sent() -> Outcome {
    Outcome::NotSent { reason: "connection refused".to_owned() }
}

pub fn reversed() -> Outcome {
    Outcome::Reversed { reason: "taken back".to_owned() }
}

pub fn unknown() -> Outcome {
    Outcome::Unknown { reason: "no answer".to_owned() }
}

pub fn unaskable() -> Outcome {
    Outcome::Unaskable { reason: "it has no enquiry".to_owned() }
}

/// Every outcome, with a name for tables.
pub fn outcomes() -> [(&'static str, Outcome); 9] {
    [
        ("delivered", delivered()),
        ("accepted", Outcome::Accepted { reference: Some("R26".to_owned()) }),
        ("refused", refused()),
        ("elsewhere", elsewhere()),
        ("not_sent", not_sent()),
        ("not_found", Outcome::NotFound),
        ("reversed", reversed()),
        ("unknown", unknown()),
        ("unaskable", unaskable()),
    ]
}

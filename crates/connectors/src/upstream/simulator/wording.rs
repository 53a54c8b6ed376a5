//! The outcomes of the simulator, with texts like those of a telecom operator.
//!
//! Like real texts, they end with the balance of our float. They must be cleaned before a customer
//! sees them ([`domain::upstream::cleaned`], CONTRACT A-19).

use super::bills;
use super::random::random;
use super::script::Script;
use super::truth_log::Record;
use domain::{
    Answer, Capabilities, Currency, EnquiryOutcome, Kind, Money, SubmitOutcome, UpstreamCode,
};
use std::io;

/// The first answer to a submitted order.
pub(super) fn answer(record: &Record, capabilities: &Capabilities) -> SubmitOutcome {
    if matches!(record.script, Script::LoseReply | Script::Mute) {
        return no_reply().into();
    }
    if record.script == Script::Garble {
        let reason = "The reply cannot be read: it begins with \"<html><head><title>502\".".into();
        return Answer::Unknown { reason }.into();
    }
    to_submit(state(record, false, capabilities))
}

/// A state as the answer to a submit.
pub(super) fn to_submit(state: EnquiryOutcome) -> SubmitOutcome {
    match state {
        EnquiryOutcome::Answered(answer) => answer.into(),
        EnquiryOutcome::NotFound | EnquiryOutcome::Reversed { .. } => {
            let reason = "Only an enquiry can tell the state of this order.".into();
            Answer::Unknown { reason }.into()
        }
    }
}

/// The state of a recorded order: the answer to an enquiry, and the content of a status update.
pub(super) fn state(
    record: &Record,
    has_changed: bool,
    capabilities: &Capabilities,
) -> EnquiryOutcome {
    let answer = match (record.script, has_changed) {
        (Script::Deliver | Script::LoseReply | Script::Garble, _)
        | (Script::WorkThenDeliver | Script::RefuseThenDeliver, true)
        | (Script::DeliverThenReverse, false) => delivered(record),
        (Script::WorkThenDeliver | Script::WorkThenRefuse, false) => {
            Answer::Accepted { reference: Some(transaction_number(record)) }
        }
        (Script::RefuseNumber, _) => refused("This number is not valid at the operator."),
        (Script::RefuseAtRandom, _) => {
            refused("The operator declined this recharge; the sandbox does so by chance.")
        }
        (Script::WorkThenRefuse, true) => refused("The operator could not complete this recharge."),
        (Script::RefuseThenDeliver, false) => refused("The operator reported a failure."),
        (Script::DeliverThenReverse, true) => return reversed(capabilities),
        (Script::Mute, _) => unaskable(),
        (Script::LoseRequest | Script::Down, _) => return EnquiryOutcome::NotFound,
    };
    answer.into()
}

fn reversed(capabilities: &Capabilities) -> EnquiryOutcome {
    let reason = "The operator took this recharge back.".into();
    match capabilities.reversals() {
        Some(reversals) => EnquiryOutcome::Reversed { reason, reversals },
        None => Answer::Unknown { reason }.into(),
    }
}

/// No reply was received.
pub(super) fn no_reply() -> Answer {
    Answer::Unknown { reason: "The connection ended without a reply.".into() }
}

/// Nothing was sent.
pub(super) fn connection_refused(code: &UpstreamCode) -> SubmitOutcome {
    SubmitOutcome::NotSent { reason: format!("{code} refused the connection.") }
}

/// There is no way to ask about the order.
pub(super) fn unaskable() -> Answer {
    Answer::Unaskable { reason: "The upstream cannot be asked about this order.".into() }
}

/// The truth file failed. The order may or may not be in it: an enquiry will find out.
pub(super) fn truth_file_failed(error: &io::Error) -> Answer {
    tracing::error!(%error, "the simulator's truth file cannot be read or written");
    Answer::Unknown { reason: "The simulator's truth file fails.".into() }
}

fn refused(reason: &str) -> Answer {
    Answer::Refused { reason: reason.into(), try_elsewhere: false }
}

fn delivered(record: &Record) -> Answer {
    let reference = transaction_number(record);
    let text = delivered_text(record, &reference);
    let slip = bills::slip(record).map(Box::new);
    Answer::Delivered { reference: Some(reference), text: Some(text), slip, cost: None }
}

fn delivered_text(record: &Record, reference: &str) -> String {
    let what = match record.kind {
        Kind::Recharge | Kind::Offer => "Recharge",
        Kind::Banking => "Transfer",
        Kind::Bundle => "Bundle",
        Kind::Bill => "Payment",
    };
    let currency = record.amount.currency();
    let code = currency.code();
    let (short, long) = if currency == Currency::BDT { ("Tk", "TAKA") } else { (code, code) };
    // Operators write a number without its trunk prefix; a bill's reference is not a number.
    let number = record.recipient.strip_prefix('0').filter(|_| record.kind != Kind::Bill);
    let number = number.unwrap_or(&record.recipient);
    let amount = record.amount.shortest();
    let float_minor = 500_000 + i64::from(random_of(record, b"float") as u32 % 9_500_000);
    let float = Money::new(float_minor, currency).exact();
    format!(
        "{what} of {amount} {short} to {number} was successful. \
         Transaction number is {reference}. Your new balance is {float} {long}."
    )
}

/// Like `R260423.2309.36014f9c02aa`: date and minute of the acceptance in UTC, and enough random
/// digits for unique numbers in a busy minute.
fn transaction_number(record: &Record) -> String {
    let minute = jiff::Timestamp::from_microsecond(record.at.0)
        .map_or_else(|_| "000000.0000".to_owned(), |at| at.strftime("%y%m%d.%H%M").to_string());
    format!("R{minute}.{:012x}", random_of(record, b"number") >> 16)
}

fn random_of(record: &Record, what: &[u8]) -> u64 {
    let seed = record.attempt.purchase.0.cast_unsigned();
    random(seed, &[what, &record.attempt.number.to_be_bytes()])
}

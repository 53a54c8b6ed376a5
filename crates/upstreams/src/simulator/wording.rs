//! What the simulator says: outcomes with words like a telco's.
//!
//! Texts leak our float in their last sentence, as real ones do: whoever shows them must have
//! cleaned them ([`domain::upstream::cleaned`], CONTRACT A-19).

use super::bills;
use super::chance::draw;
use super::script::Script;
use super::truth::Record;
use domain::catalog::kind::Kind;
use domain::money::{Currency, Money};
use domain::upstream::{Outcome, UpstreamCode};
use std::io;

/// The answer to a submit.
pub(super) fn answer(record: &Record) -> Outcome {
    match record.script {
        Script::LoseReply | Script::Mute => silence(),
        Script::Garble => Outcome::Unknown {
            reason: "The reply cannot be read: it begins with \"<html><head><title>502\".".into(),
        },
        Script::Deliver
        | Script::RefuseNumber
        | Script::RefuseByChance
        | Script::WorkThenDeliver
        | Script::WorkThenRefuse
        | Script::LoseRequest
        | Script::DeliverThenReverse
        | Script::Down
        | Script::RefuseThenDeliver => state(record, false),
    }
}

/// How an order on record stands: the answer to an enquiry, and the late word.
pub(super) fn state(record: &Record, has_turned: bool) -> Outcome {
    match (record.script, has_turned) {
        (Script::Deliver | Script::LoseReply | Script::Garble, _)
        | (Script::WorkThenDeliver | Script::RefuseThenDeliver, true)
        | (Script::DeliverThenReverse, false) => delivered(record),
        (Script::WorkThenDeliver | Script::WorkThenRefuse, false) => {
            Outcome::Accepted { reference: Some(transaction_number(record)) }
        }
        (Script::RefuseNumber, _) => refused("This number is not valid at the operator."),
        (Script::RefuseByChance, _) => {
            refused("The operator declined this recharge; the sandbox does so by chance.")
        }
        (Script::WorkThenRefuse, true) => refused("The operator could not complete this recharge."),
        (Script::RefuseThenDeliver, false) => refused("The operator reported a failure."),
        (Script::DeliverThenReverse, true) => {
            Outcome::Reversed { reason: "The operator took this recharge back.".into() }
        }
        (Script::Mute, _) => unaskable(),
        (Script::LoseRequest | Script::Down, _) => Outcome::NotFound,
    }
}

/// Nothing came back.
pub(super) fn silence() -> Outcome {
    Outcome::Unknown { reason: "The connection ended without a reply.".into() }
}

/// Nothing went out.
pub(super) fn down(code: &UpstreamCode) -> Outcome {
    Outcome::NotSent { reason: format!("{code} refused the connection.") }
}

/// Nobody can tell.
pub(super) fn unaskable() -> Outcome {
    Outcome::Unaskable { reason: "The upstream cannot be asked about this order.".into() }
}

/// The truth file failed: the order may or may not be in it, an enquiry will find out.
pub(super) fn no_record(error: &io::Error) -> Outcome {
    tracing::error!(%error, "the simulator's truth file fails");
    Outcome::Unknown { reason: "The simulator's truth file fails.".into() }
}

fn refused(reason: &str) -> Outcome {
    Outcome::Refused { reason: reason.into(), try_elsewhere: false }
}

fn delivered(record: &Record) -> Outcome {
    let reference = transaction_number(record);
    let text = delivered_text(record, &reference);
    let slip = bills::slip(record).map(Box::new);
    Outcome::Delivered { reference: Some(reference), text: Some(text), slip }
}

fn delivered_text(record: &Record, reference: &str) -> String {
    let what = match record.kind {
        Kind::Recharge | Kind::Offer => "Recharge",
        Kind::Banking => "Transfer",
        Kind::Bundle => "Bundle",
        Kind::Bill => "Payment",
    };
    let currency = record.amount.currency();
    let (short, long) = match currency == Currency::BDT {
        true => ("Tk", "TAKA"),
        false => (currency.code(), currency.code()),
    };
    // Telcos leave the trunk prefix out.
    let number = match record.kind {
        Kind::Bill => record.recipient.as_str(),
        Kind::Recharge | Kind::Offer | Kind::Banking | Kind::Bundle => {
            record.recipient.strip_prefix('0').unwrap_or(&record.recipient)
        }
    };
    let amount = record.amount.shortest();
    let float_minor = 500_000 + i64::from(luck(record, b"float") as u32 % 9_500_000);
    let float = Money::new(float_minor, currency).exact();
    format!(
        "{what} of {amount} {short} to {number} was successful. \
         Transaction number is {reference}. Your new balance is {float} {long}."
    )
}

/// Like `R260423.2309.36014f9c02aa`: day and minute of the acceptance in UTC, and as much chance
/// as keeps a busy minute's numbers apart.
fn transaction_number(record: &Record) -> String {
    let minute = jiff::Timestamp::from_microsecond(record.at.0)
        .map_or_else(|_| "000000.0000".to_owned(), |at| at.strftime("%y%m%d.%H%M").to_string());
    format!("R{minute}.{:012x}", luck(record, b"number") >> 16)
}

fn luck(record: &Record, what: &[u8]) -> u64 {
    let seed = record.attempt.purchase.0.cast_unsigned();
    draw(seed, &[what, &record.attempt.number.to_be_bytes()])
}

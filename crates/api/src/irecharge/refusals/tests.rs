//! Every error, as it is sent.

use super::super::fixture::{bdt, purchase};
use super::*;
use domain::State;
use expect_test::expect_file;

fn refusals() -> Vec<Refusal> {
    let field_error = |field, text: &str| FieldError { field, message: text.into() };
    vec![
        Refusal::KeysMissing,
        Refusal::KeysInvalid,
        Refusal::AddressNotAllowed,
        Refusal::AccountInactive,
        Refusal::NoSubscription,
        Refusal::TooFast { retry_after_s: 13 },
        Refusal::Invalid(vec![
            field_error("number", "is required."),
            field_error("amount", "must be more than 0."),
            field_error("number", "twice."),
        ]),
        Refusal::ReferenceMissing,
        Refusal::ReferenceKnown(None),
        Refusal::ReferenceKnown(Some(Box::new(purchase(State::Failed)))),
        Refusal::InsufficientBalance { available: bdt(12_345) },
        Refusal::NoWallet,
        Refusal::OfferUnknown,
        Refusal::OfferAmount { costs: bdt(6_850) },
        Refusal::OffersUnavailable { reason: "secret".into() },
        Refusal::IdempotencyMismatch,
        Refusal::IdempotencyRunning,
        Refusal::PurchaseUnknown,
        Refusal::IdentifiersDisagree,
        Refusal::NotPossible { because: "it is delivered.".into() },
        Refusal::Uncertain,
        Refusal::Halted { retry_after_s: 300 },
        Refusal::Unavailable { retry_after_s: 2 },
    ]
}

fn shown(error: &ApiError) -> String {
    let answer = answer(error);
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    for field in ["message", "error", "code"] {
        assert!(body[field].as_str().is_some_and(|t| !t.is_empty()), "{field}: {body}");
    }
    assert_eq!(body["success"], false);
    assert_eq!(body["code"].as_str(), answer.code);
    assert!(CODES.contains(&answer.code.unwrap()), "{body}");
    let retry = answer.retry_after_s.map_or_else(String::new, |s| format!(" after {s} s"));
    format!("{}{retry} {}\n", answer.status.as_u16(), answer.body)
}

#[test]
fn every_refusal() {
    let all: String = refusals().into_iter().map(|r| shown(&ApiError::Refusal(r))).collect();
    expect_file!["refusals.txt"].assert_eq(&all);
}

#[test]
fn every_error_of_the_dialect() {
    let invalid = |is_reference_missing| {
        let field_errors = vec![FieldError { field: "amount", message: "is required.".into() }];
        ApiError::Fields(InvalidFields { is_reference_missing, field_errors })
    };
    let all = [
        invalid(true),
        invalid(false),
        ApiError::Body(BodyError::NotAnObject),
        ApiError::Body(BodyError::NotJson),
        ApiError::Body(BodyError::TooLong),
        ApiError::MethodNotAllowed,
        ApiError::RouteNotFound,
        ApiError::Internal,
    ];
    expect_file!["errors.txt"].assert_eq(&all.iter().map(shown).collect::<String>());
}

//! Every error, as it is sent.

use super::*;
use domain::{Currency, Money};
use expect_test::expect_file;

fn refusals() -> Vec<Refusal> {
    let field_error = |field, text: &str| FieldError { field, message: text.into() };
    let usd = |minor| Money::new(minor, Currency::USD);
    vec![
        Refusal::TokenInvalid,
        Refusal::LogInFailed,
        Refusal::AccountInactive,
        Refusal::ProductUnknown,
        Refusal::PurchaseUnknown,
        Refusal::ReferenceKnown(None),
        Refusal::QuoteExpired,
        Refusal::NotPossible { because: "It is delivered.".into() },
        Refusal::Invalid(vec![
            field_error("productId", "is required."),
            field_error("amount", "must be more than 0."),
            field_error("productId", "twice."),
        ]),
        Refusal::BillUnknown,
        Refusal::InsufficientBalance { available: usd(1_234) },
        Refusal::NoWallet,
        Refusal::CodeInvalid,
        Refusal::TooFast { retry_after_s: 13 },
        Refusal::BillUnavailable { reason: "secret".into() },
        Refusal::Uncertain,
        Refusal::Halted { retry_after_s: 300 },
        Refusal::Unavailable { retry_after_s: 2 },
    ]
}

fn shown(error: &ApiError) -> String {
    let answer = answer(error);
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert!(body["message"].as_str().is_some_and(|t| t.ends_with('.')), "{body}");
    assert_eq!(body["code"].as_str(), answer.code);
    assert!(CODES.contains(&answer.code.unwrap()), "{body}");
    let after = answer.retry_after_s.map_or(String::new(), |s| format!(" after {s} s"));
    assert!(!body.to_string().contains("secret"));
    format!("{}{after} {}\n", answer.status.as_u16(), answer.body)
}

#[test]
fn every_refusal_of_the_engine() {
    let all: String = refusals().into_iter().map(|r| shown(&ApiError::Refusal(r))).collect();
    expect_file!["refusals.txt"].assert_eq(&all);
}

#[test]
fn every_error_of_the_dialect() {
    let all = [
        ApiError::Body(BodyError::NotAnObject),
        ApiError::Body(BodyError::NotJson),
        ApiError::Body(BodyError::TooLong),
        ApiError::DuplicateHeader("Authorization"),
        ApiError::InvalidChannel,
        ApiError::CategoryNotFound,
        ApiError::ProviderNotFound,
        ApiError::MethodNotAllowed,
        ApiError::RouteNotFound,
        ApiError::Internal,
    ];
    expect_file!["errors.txt"].assert_eq(&all.iter().map(shown).collect::<String>());
}

/// 503 promises that nothing was charged, or says to repeat the same request (CONTRACT B-08).
#[test]
fn a_503_says_when_and_how_to_repeat_the_request() {
    for refusal in refusals() {
        let answer = answer(&ApiError::Refusal(refusal));
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            assert!(answer.retry_after_s.is_some());
            assert!(answer.body.contains("Send the same request again"), "{}", answer.body);
        }
        assert_ne!(answer.status, StatusCode::PAYMENT_REQUIRED);
    }
}

#[test]
fn key_errors_are_answered_as_token_errors() {
    for refusal in [Refusal::KeysMissing, Refusal::KeysInvalid] {
        let token = answer(&ApiError::Refusal(Refusal::TokenInvalid));
        assert_eq!(answer(&ApiError::Refusal(refusal)), token);
    }
}

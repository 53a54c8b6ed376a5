//! Every error, as it is sent.

use super::*;
use crate::Settings;
use domain::{Currency, Money};
use expect_test::expect_file;

fn refusals() -> Vec<ApiError> {
    let field_error = |field, text: &str| FieldError { field, message: text.into() };
    let usd = |minor| Money::new(minor, Currency::USD);
    vec![
        TokenInvalid.into(),
        LogInFailed.into(),
        AccountInactive.into(),
        AccountNotApproved.into(),
        ApiError::product_not_found(),
        PurchaseUnknown.into(),
        ReferenceKnown { first: None }.into(),
        QuoteExpired.into(),
        NotPossible { because: "It is delivered.".into() }.into(),
        Invalid {
            errors: vec![
                field_error("productId", "is required."),
                field_error("amount", "must be more than 0."),
                field_error("productId", "twice."),
            ],
        }
        .into(),
        BillUnknown.into(),
        InsufficientBalance { available: usd(1_234) }.into(),
        NoWallet.into(),
        NoRoute.into(),
        NotSold.into(),
        InvalidFields {
            is_any_missing: true,
            field_errors: vec![field_error("requestId", "is required.")],
        }
        .into(),
        CodeInvalid.into(),
        TooFast { retry_after_s: 13 }.into(),
        BillUnavailable { reason: "secret".into() }.into(),
        Uncertain.into(),
        Halted { retry_after_s: 300 }.into(),
        Unavailable { retry_after_s: 2 }.into(),
    ]
}

fn shown(error: &ApiError) -> String {
    let answer = answer(error);
    let body: serde_json::Value = serde_json::from_str(&answer.body).unwrap();
    assert!(body["message"].as_str().is_some_and(|t| t.ends_with('.')), "{body}");
    assert_eq!(body["code"].as_str(), answer.code);
    let mut listed = super::super::document(&Settings::default()).errors.into_iter();
    assert!(listed.any(|listed| Some(listed.code) == answer.code), "{body}");
    let after = answer.retry_after_s.map_or(String::new(), |s| format!(" after {s} s"));
    assert!(!body.to_string().contains("secret"));
    format!("{}{after} {}\n", answer.status.as_u16(), answer.body)
}

#[test]
fn every_refusal_of_the_engine() {
    let all: String = refusals().iter().map(shown).collect();
    expect_file!["refusals.txt"].assert_eq(&all);
}

#[test]
fn every_error_of_the_dialect() {
    let all = [
        BodyError::NotAnObject.into(),
        BodyError::NotJson.into(),
        BodyError::TooLong.into(),
        ApiError::duplicate_header("Authorization"),
        ApiError::invalid_channel(),
        ApiError::category_not_found(),
        ApiError::provider_not_found(),
        ApiError::method_not_allowed(),
        ApiError::route_not_found(),
        ApiError::internal(),
    ];
    expect_file!["errors.txt"].assert_eq(&all.iter().map(shown).collect::<String>());
}

/// 503 promises that nothing was charged, or says to repeat the same request (CONTRACT B-08).
#[test]
fn a_503_says_when_and_how_to_repeat_the_request() {
    for refusal in refusals() {
        let answer = answer(&refusal);
        if answer.status == StatusCode::SERVICE_UNAVAILABLE {
            assert!(answer.retry_after_s.is_some());
            assert!(answer.body.contains("Send the same request again"), "{}", answer.body);
        }
        assert_ne!(answer.status, StatusCode::PAYMENT_REQUIRED);
    }
}

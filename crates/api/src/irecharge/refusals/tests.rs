//! Every error, as it is sent.

use super::super::fixture::{bdt, purchase};
use super::*;
use crate::Settings;
use domain::State;
use expect_test::expect_file;

fn refusals() -> Vec<ApiError> {
    let field_error = |field, text: &str| FieldError { field, message: text.into() };
    vec![
        KeysMissing.into(),
        KeysInvalid.into(),
        KeyExpired.into(),
        ScopeMissing { scope: domain::KeyScope::Buy }.into(),
        AddressNotAllowed { seen: IpAddr::from([203, 0, 113, 7]) }.into(),
        AccountInactive.into(),
        AccountNotApproved.into(),
        NoSubscription.into(),
        TooFast { retry_after_s: 13 }.into(),
        Invalid {
            errors: vec![
                field_error("number", "is required."),
                field_error("amount", "must be more than 0."),
                field_error("number", "twice."),
            ],
        }
        .into(),
        ApiError::reference_missing(),
        ReferenceKnown { first: None }.into(),
        ReferenceKnown { first: Some(Box::new(purchase(State::Failed))) }.into(),
        PossibleDuplicate { earlier: "BILL-026401".into() }.into(),
        InsufficientBalance { available: bdt(12_345) }.into(),
        NoWallet.into(),
        NoRoute.into(),
        OfferUnknown.into(),
        OfferAmount { costs: bdt(6_850) }.into(),
        OffersUnavailable { reason: "secret".into() }.into(),
        IdempotencyMismatch.into(),
        IdempotencyRunning.into(),
        PurchaseUnknown.into(),
        ApiError::identifiers_disagree(),
        NotPossible { because: "it is delivered.".into() }.into(),
        Uncertain.into(),
        Halted { retry_after_s: 300 }.into(),
        Unavailable { retry_after_s: 2 }.into(),
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
    let mut listed = super::super::document(&Settings::default()).errors.into_iter();
    assert!(listed.any(|listed| Some(listed.code) == answer.code), "{body}");
    let retry = answer.retry_after_s.map_or_else(String::new, |s| format!(" after {s} s"));
    format!("{}{retry} {}\n", answer.status.as_u16(), answer.body)
}

#[test]
fn every_refusal() {
    let all: String = refusals().iter().map(shown).collect();
    expect_file!["refusals.txt"].assert_eq(&all);
}

#[test]
fn every_error_of_the_dialect() {
    let invalid = |is_reference_missing| {
        let field_errors = vec![FieldError { field: "amount", message: "is required.".into() }];
        ApiError::from(InvalidFields { is_reference_missing, field_errors })
    };
    let all = [
        invalid(true),
        invalid(false),
        BodyError::NotAnObject.into(),
        BodyError::NotJson.into(),
        BodyError::TooLong.into(),
        ApiError::method_not_allowed(),
        ApiError::route_not_found(),
        ApiError::internal(),
    ];
    expect_file!["errors.txt"].assert_eq(&all.iter().map(shown).collect::<String>());
}

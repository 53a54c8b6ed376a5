//! Every error, as it is sent.

use super::*;
use crate::wrap::wrap;
use domain::{Currency, Money};
use expect_test::expect;

fn refusals() -> Vec<Refusal> {
    let field_error = |field, text: &str| FieldError { field, says: text.into() };
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
        Refusal::Short { available: usd(1_234) },
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
    expect![[r#"
        401 {"message":"The access token is missing, invalid or expired. Nothing was
            charged. Log in again and send Authorization: Bearer with the new token.",
            "code":"TOKEN_INVALID"}
        401 {"message":"The username or the password is wrong. Correct them, or ask for a
            new password.","code":"LOGIN_FAILED"}
        403 {"message":"Your account is inactive. Nothing was charged. Contact support to
            activate it.","code":"ACCOUNT_INACTIVE"}
        404 {"message":"There is no such product. Nothing was charged. GET
            /products/products-list-category/{categoryId} lists them; send a productId or an
            id of the list.","code":"PRODUCT_NOT_FOUND"}
        404 {"message":"You have no such payment. Nothing was charged. Check the requestId
            and the preAuthToken: they must belong together.",
            "code":"TRANSACTION_NOT_FOUND"}
        409 {"message":"This requestId is used up: its payment was authorized, has expired,
            or had other fields. Nothing was charged this time. GET
            /transactions/{requestId} tells how it stands; start a new payment with a new
            requestId.","code":"DUPLICATE_REFERENCE"}
        409 {"message":"The payment was not authorized in time, or was called off. Nothing
            was charged. Start a new payment with a new requestId.","code":"QUOTE_EXPIRED"}
        409 {"message":"This is not possible now. Nothing was changed. It is delivered.",
            "code":"NOT_POSSIBLE"}
        422 {"message":"Some fields are missing or wrong. Nothing was charged. Correct the
            fields named in errors and send the request again.","code":"VALIDATION_ERROR",
            "errors":{"amount":["must be more than 0."],"productId":["is required.",
            "twice."]}}
        422 {"message":"The biller knows nobody by this billReference. Nothing was charged.
            Correct it and send the request again.","code":"BILL_REFERENCE_NOT_FOUND"}
        422 {"message":"The wallet holds 12.34 USD, which is less than amount and fee.
            Nothing was charged. Top the wallet up and authorize the payment again before it
            expires.","code":"INSUFFICIENT_BALANCE"}
        422 {"message":"You have no wallet in this currency. Nothing was charged. Choose a
            product whose currency you hold.","code":"NO_WALLET"}
        422 {"message":"The code is wrong, used or too old. Nothing was changed. Ask for a
            new one.","code":"CODE_INVALID"}
        429 after 13 s {"message":"Too many requests. Nothing was charged. Send the request
            again in 13 seconds.","code":"RATE_LIMIT_EXCEEDED"}
        503 after 5 s {"message":"The biller cannot be asked just now. Nothing was charged
            and the requestId is not used up. Send the same request again in a few
            seconds.","code":"BILLER_UNAVAILABLE"}
        503 after 5 s {"message":"The outcome is not known yet: the store failed while it
            wrote. Send the same request again with the same requestId: it is never charged
            twice.","code":"OUTCOME_UNKNOWN"}
        503 after 300 s {"message":"The service was restored from a backup and sells nothing
            until its staff have checked what was sent before. This request charged nothing.
            Send the same request again later with the same requestId.",
            "code":"TEMPORARILY_UNAVAILABLE"}
        503 after 2 s {"message":"The service is temporarily unavailable. Nothing was
            charged. Send the same request again.","code":"TEMPORARILY_UNAVAILABLE"}
    "#]]
    .assert_eq(&wrap(&all));
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
    expect![[r#"
        400 {"message":"The body is not a readable JSON object. Nothing was charged. Send
            one JSON object in UTF-8, nested at most 32 levels deep.","code":"INVALID_JSON"}
        415 {"message":"The body must be JSON. Nothing was charged. Send the header
            Content-Type: application/json and no Content-Encoding.",
            "code":"UNSUPPORTED_MEDIA_TYPE"}
        413 {"message":"The body is too large. Nothing was charged. Send at most 64 KiB.",
            "code":"BODY_TOO_LARGE"}
        400 {"message":"The header Authorization came twice with different values. Nothing
            was charged. Send it once.","code":"DUPLICATE_HEADER"}
        400 {"message":"X-Channel-Id names no channel. Nothing was charged. Send WEB, APP,
            API, POS or USSD, or leave the header out.","code":"INVALID_CHANNEL"}
        404 {"message":"There is no such category. GET /products/categories lists them.",
            "code":"CATEGORY_NOT_FOUND"}
        404 {"message":"No product goes by this reference name. Send the refName of a
            product.","code":"PROVIDER_NOT_FOUND"}
        405 {"message":"This path does not take this method. Nothing was charged. The header
            Allow names the methods it takes; the reference is at /docs.",
            "code":"METHOD_NOT_ALLOWED"}
        404 {"message":"There is no such endpoint. Nothing was charged. All endpoints are
            listed at /docs.","code":"ROUTE_NOT_FOUND"}
        500 {"message":"Something of ours broke, and whether a payment was made is not
            known. Send the same request again with the same requestId, or ask for its
            status: it is never charged twice.","code":"INTERNAL_ERROR"}
    "#]]
    .assert_eq(&wrap(&all.iter().map(shown).collect::<String>()));
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

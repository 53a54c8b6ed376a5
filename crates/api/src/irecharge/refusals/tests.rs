//! Every error, as it is sent.

use super::super::fixture::{bdt, purchase};
use super::*;
use crate::wrap::wrap;
use domain::State;
use expect_test::expect;

fn refusals() -> Vec<Refusal> {
    let field_error = |field, text: &str| FieldError { field, says: text.into() };
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
        Refusal::Short { available: bdt(12_345) },
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
    expect![[r#"
        401 {"success":false,"message":"Missing headers: X-Open-Key and X-Authorization are
            required.","error":"Nothing was charged. Send both headers of one key pair.",
            "code":"MISSING_API_KEYS"}
        401 {"success":false,"message":"Invalid API credentials.","error":"Nothing was
            charged. X-Open-Key and X-Authorization must be one pair, complete, of one
            environment, and not revoked.","code":"INVALID_API_KEYS"}
        403 {"success":false,"message":"Your IP address is not whitelisted","error":"Nothing
            was charged. Add your server's IP address to the key's whitelist in the
            developer dashboard.","code":"IP_NOT_WHITELISTED"}
        403 {"success":false,"message":"Your account is inactive.","error":"Nothing was
            charged. Ask support to activate the account.","code":"ACCOUNT_INACTIVE"}
        402 {"success":false,"message":"No active API subscription found.","error":"Nothing
            was charged and the reference is not used up. Subscribe to a package, then send
            the request again.","code":"NO_ACTIVE_SUBSCRIPTION"}
        429 after 13 s {"success":false,"message":"Rate limit exceeded.","error":"Nothing
            was charged and the reference is not used up. Send the request again in 13
            seconds.","code":"RATE_LIMIT_EXCEEDED"}
        422 {"success":false,"message":"Some fields are missing or wrong.","error":"Nothing
            was charged and the reference is not used up. Correct the fields named in errors
            and send the request again.","code":"VALIDATION_ERROR","errors":{"amount":["must
            be more than 0."],"number":["is required.","twice."]}}
        422 {"success":false,"message":"Billing recharge requires a unique reference in body
            (reference/client_reference).","error":"Nothing was charged. Send a reference of
            your own that was never used before.","code":"REFERENCE_REQUIRED"}
        422 {"success":false,"message":"Reference already exists. Please send a unique
            reference.","error":"Nothing was charged this time. The first purchase with this
            reference counts: check its status before you send another.",
            "code":"DUPLICATE_REFERENCE"}
        422 {"success":false,"message":"Reference already exists. Please send a unique
            reference.","error":"Nothing was charged this time. The first purchase with this
            reference counts: check its status before you send another.",
            "code":"DUPLICATE_REFERENCE","billing":{"reference":"BILL-026401",
            "status":"failed","rechargeType":"normal","number":"01712345678","amount":10,
            "fee":0.5,"commission":1.5,"remainingBalance":6989.5,"transactionId":21}}
        402 {"success":false,"message":"Insufficient balance","error":"Your account balance
            is insufficient for this transaction","code":"INSUFFICIENT_BALANCE"}
        422 {"success":false,"message":"Your account has no wallet in this currency.",
            "error":"Nothing was charged and the reference is not used up. Ask support to
            open one, or choose an operator whose currency you hold.","code":"NO_WALLET"}
        422 {"success":false,"message":"The operator does not quote this offer for this
            number now.","error":"Nothing was charged and the reference is not used up.
            Fetch the offers again and choose one of them.","code":"OFFER_NOT_FOUND"}
        422 {"success":false,"message":"The offer costs 68.5.","error":"Nothing was charged
            and the reference is not used up. Send the offer's own amount.",
            "code":"OFFER_AMOUNT_MISMATCH"}
        503 after 5 s {"success":false,"message":"The operator's offers cannot be had just
            now.","error":"Nothing was charged and the reference is not used up. Send the
            request again in a few seconds.","code":"OFFERS_UNAVAILABLE"}
        422 {"success":false,"message":"This Idempotency-Key came before with another
            request.","error":"Nothing was charged this time. Use a new key for a new
            request, or repeat the first request unchanged.","code":"IDEMPOTENCY_MISMATCH"}
        409 after 1 s {"success":false,"message":"The first request with this
            Idempotency-Key is still running.","error":"Nothing was charged a second time.
            Send the request again in a few seconds to get the first answer.",
            "code":"IDEMPOTENCY_RUNNING"}
        404 {"success":false,"message":"Transaction not found for provided identifier.",
            "error":"No purchase of this account and environment has this identifier. Check
            the identifier and the keys.","code":"TRANSACTION_NOT_FOUND"}
        422 {"success":false,"message":"The identifiers name different transactions.",
            "error":"Nothing was changed. Send one identifier, or several of the same
            purchase.","code":"IDENTIFIER_MISMATCH"}
        409 {"success":false,"message":"This is not possible now.","error":"Nothing was
            changed: it is delivered.","code":"NOT_POSSIBLE"}
        503 after 5 s {"success":false,"message":"The outcome is not known yet.",
            "error":"The store failed while it wrote, so this may or may not have been
            stored. Check its status with your reference, or send the same request again
            with the same reference: it cannot be charged twice.","code":"OUTCOME_UNKNOWN"}
        503 after 300 s {"success":false,"message":"The service is temporarily
            unavailable.","error":"It was restored from a backup and sells nothing until its
            staff have checked what was sent before. This request charged nothing and used
            up no reference. Send the same request again later with the same reference.",
            "code":"TEMPORARILY_UNAVAILABLE"}
        503 after 2 s {"success":false,"message":"The service is temporarily unavailable.",
            "error":"Nothing was charged and the reference is not used up. Send the same
            request again with the same reference.","code":"TEMPORARILY_UNAVAILABLE"}
    "#]]
    .assert_eq(&wrap(&all));
}

#[test]
fn every_error_of_the_dialect() {
    let invalid = |is_reference_missing| {
        let field_errors = vec![FieldError { field: "amount", says: "is required.".into() }];
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
    expect![[r#"
        422 {"success":false,"message":"Billing recharge requires a unique reference in body
            (reference/client_reference).","error":"Nothing was charged. Send a reference of
            your own that was never used before.","code":"REFERENCE_REQUIRED",
            "errors":{"amount":["is required."]}}
        422 {"success":false,"message":"Some fields are missing or wrong.","error":"Nothing
            was charged and the reference is not used up. Correct the fields named in errors
            and send the request again.","code":"VALIDATION_ERROR","errors":{"amount":["is
            required."]}}
        400 {"success":false,"message":"The body is not a readable JSON object.",
            "error":"Nothing was charged and the reference is not used up. Send one JSON
            object in UTF-8, nested at most 32 levels deep.","code":"INVALID_JSON"}
        415 {"success":false,"message":"The body must be JSON.","error":"Nothing was charged
            and the reference is not used up. Send the header Content-Type: application/json
            and no Content-Encoding.","code":"UNSUPPORTED_MEDIA_TYPE"}
        413 {"success":false,"message":"The body is too large.","error":"Nothing was charged
            and the reference is not used up. Send at most 64 KiB.","code":"BODY_TOO_LARGE"}
        405 {"success":false,"message":"This path does not take this method.",
            "error":"Nothing was charged. The header Allow names the methods it takes; the
            reference is at /docs.","code":"METHOD_NOT_ALLOWED"}
        404 {"success":false,"message":"There is no such endpoint.","error":"Nothing was
            charged. All endpoints are listed at /docs.","code":"ROUTE_NOT_FOUND"}
        500 {"success":false,"message":"Internal Server Error","error":"Whether a purchase
            was made is not known. Check the status of its reference before you send
            anything again; a known reference is never charged twice.",
            "code":"INTERNAL_ERROR"}
    "#]]
    .assert_eq(&wrap(&all.iter().map(shown).collect::<String>()));
}

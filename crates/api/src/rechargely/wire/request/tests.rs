//! Requests that are accepted and requests that are refused, as tables.

use super::super::super::limits::FCM_TOKEN_CHARS_MAX;
use super::*;

/// A body of `fields`, with those of `instead` replaced or added; an empty value removes a field.
pub(super) fn body(fields: &[(&str, &str)], instead: &[(&str, &str)]) -> String {
    let kept = fields.iter().filter(|(n, _)| !instead.iter().any(|(i, _)| i == n));
    let all = kept.chain(instead).filter(|(_, v)| !v.is_empty());
    let all: Vec<_> = all.map(|(n, v)| format!("\"{n}\":{v}")).collect();
    format!("{{{}}}", all.join(","))
}

pub(super) fn names(error: &InvalidFields) -> Vec<&'static str> {
    let mut fields: Vec<_> = error.field_errors.iter().map(|c| c.field).collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}

#[test]
fn all_invalid_fields_are_named_at_once() {
    let none = RawFields::default();
    assert_eq!(names(&auth(&none).unwrap_err()), ["preAuthToken", "requestId"]);
    let invalid = log_in(&none).err().unwrap();
    assert_eq!(names(&invalid), ["fcmToken", "password", "username"]);
    let invalid = registration(&none).err().unwrap();
    assert_eq!(names(&invalid), ["email", "password"]);
    let invalid = password_reset(&none).err().unwrap();
    assert_eq!(names(&invalid), ["code", "email", "newPassword"]);
    let invalid = password_change(&none).err().unwrap();
    assert_eq!(names(&invalid), ["currentPassword", "newPassword"]);
    assert_eq!(names(&confirmation(&none).err().unwrap()), ["code", "email", "password"]);
    assert_eq!(names(&forgotten_password(&none).unwrap_err()), ["email"]);
}

#[test]
fn a_login_has_a_token_that_may_be_empty() {
    let read = |fcm_token: &str| {
        let text =
            body(&[("username", r#""u""#), ("password", r#"" p ""#)], &[("fcmToken", fcm_token)]);
        log_in(&RawFields::from_json(&text).unwrap()).map(|l| (l.username, l.password, l.fcm_token))
    };
    let expected = |token: &str| Ok(("u".to_owned(), " p ".to_owned(), token.to_owned()));
    assert_eq!(read(r#""""#), expected(""));
    assert_eq!(read(r#""t""#), expected("t"));
    let longest = "t".repeat(FCM_TOKEN_CHARS_MAX);
    assert_eq!(read(&format!("\"{longest}\"")), expected(&longest));
    for bad in [&format!("\"{longest}t\""), "1", "null", ""] {
        assert_eq!(names(&read(bad).unwrap_err()), ["fcmToken"]);
    }
}

#[test]
fn a_login_is_live_by_default() {
    let read = |environment: &str| {
        let fields = [("username", r#""u""#), ("password", r#""p""#), ("fcmToken", r#""""#)];
        let text = body(&fields, &[("environment", environment)]);
        log_in(&RawFields::from_json(&text).unwrap()).map(|log_in| log_in.environment)
    };
    for (text, environment) in [
        ("", Environment::Live),
        ("null", Environment::Live),
        (r#""""#, Environment::Live),
        (r#""live""#, Environment::Live),
        (r#""sandbox""#, Environment::Sandbox),
    ] {
        assert_eq!(read(text), Ok(environment), "{text}");
    }
    for bad in [r#""SANDBOX""#, "true", r#""test""#] {
        assert_eq!(names(&read(bad).unwrap_err()), ["environment"], "{bad}");
    }
}

#[test]
fn a_registration_may_use_the_documents_names() {
    let read = |text: &str| {
        let read = registration(&RawFields::from_json(text).unwrap());
        read.map(|r| [r.email, r.password, r.name, r.mobile])
    };
    assert_eq!(
        read(r#"{"email":"u@e.co","password":"p","name":"N","mobile":"077 123-4567"}"#),
        read(r#"{"username":"u@e.co","password":"p","name":"N","customerMobile":"0771234567"}"#),
    );
    let least = read(r#"{"username":"u@e.co","password":"p"}"#);
    assert_eq!(least, Ok(["u@e.co".into(), "p".into(), String::new(), String::new()]));
    let invalid = read(r#"{"email":"a@e.co","username":"b@e.co","password":"p","name":1}"#);
    assert_eq!(names(&invalid.unwrap_err()), ["email", "name", "username"]);
}

fn query(pairs: &[(&str, &str)]) -> RawFields<'static> {
    RawFields::from_query(pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect())
}

#[test]
fn queries_are_validated() {
    let page = |limit, before| Page { limit, before };
    assert_eq!(payments(&query(&[])), Ok((page(20, None), None)));
    let empty = [("limit", ""), ("status", "")];
    assert_eq!(payments(&query(&empty)), Ok((page(20, None), None)));
    let all = [("limit", "100"), ("before", "7"), ("status", "completed")];
    assert_eq!(payments(&query(&all)), Ok((page(100, Some(7)), Some(Status::Completed))));
    for (name, value) in
        [("limit", "0"), ("limit", "101"), ("limit", "x"), ("before", "-1"), ("status", "success")]
    {
        assert_eq!(names(&payments(&query(&[(name, value)])).unwrap_err()), [name], "{value}");
    }
    assert_eq!(balance(&query(&[])), Ok(None));
    assert_eq!(balance(&query(&[("currency", "usd")])), Ok(Some(Currency::USD)));
    assert_eq!(names(&balance(&query(&[("currency", "XX")])).unwrap_err()), ["currency"]);
    let zwg = [("currency", "ZWG"), ("limit", "1")];
    assert_eq!(statement(&query(&zwg)), Ok((Currency::ZWG, page(1, None))));
    assert_eq!(names(&statement(&query(&[])).unwrap_err()), ["currency"]);
    assert_eq!(search(&query(&[("query", " Air ")])), Ok("Air".into()));
    for bad in [&[][..], &[("query", "")], &[("query", " ")], &[("query", &"x".repeat(65))]] {
        assert_eq!(names(&search(&query(bad)).unwrap_err()), ["query"]);
    }
}

/// CONTRACT B-05a.
#[test]
fn a_missing_field_and_a_wrong_one_differ() {
    let is_missing =
        |text: &str| auth(&RawFields::from_json(text).unwrap()).unwrap_err().is_any_missing;
    assert!(is_missing(r#"{"requestId":"R1"}"#));
    assert!(is_missing(r#"{"requestId":"","preAuthToken":null}"#));
    assert!(!is_missing(r#"{"requestId":"","preAuthToken":"x"}"#));
    assert!(!is_missing(r#"{"requestId":"R1","preAuthToken":""}"#));
    assert!(!is_missing(r#"{"requestId":"R1","preAuthToken":7}"#));
}

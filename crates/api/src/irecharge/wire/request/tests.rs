//! Requests that are accepted and requests that are refused, as tables.

use super::super::super::fixture::{bdt, caller, catalog};
use super::*;
use domain::Environment;

const RECHARGE: [(&str, &str); 4] = [
    ("number", r#""01712345678""#),
    ("amount", "10"),
    ("operator", r#""gp""#),
    ("reference", r#""BILL-026401""#),
];

/// A body of `fields`, with those of `instead` replaced or added; an empty value removes a field.
fn body(fields: &[(&str, &str)], instead: &[(&str, &str)]) -> String {
    let kept = fields.iter().filter(|(n, _)| !instead.iter().any(|(i, _)| i == n));
    let all = kept.chain(instead).filter(|(_, v)| !v.is_empty());
    let all: Vec<_> = all.map(|(n, v)| format!("\"{n}\":{v}")).collect();
    format!("{{{}}}", all.join(","))
}

type Names = Vec<&'static str>;

fn invalid_fields(error: &InvalidFields) -> Names {
    let mut fields: Names = error.field_errors.iter().map(|c| c.field).collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}

fn webhooks(environment: Environment) -> AddressPolicy {
    AddressPolicy { environment, allow_loopback: false }
}

fn parse<T>(
    text: &str,
    environment: Environment,
    read: impl FnOnce(RawPurchase<'_, '_>) -> Result<T, InvalidFields>,
) -> Result<T, InvalidFields> {
    let (fields, catalog) = (RawFields::from_json(text).unwrap(), catalog());
    let caller = caller(environment);
    read(RawPurchase {
        fields: &fields,
        catalog: &catalog,
        caller,
        webhooks: webhooks(environment),
        idempotency: Ok(None),
    })
}

fn recharged(instead: &[(&str, &str)]) -> Result<PurchaseRequest, InvalidFields> {
    parse(&body(&RECHARGE, instead), Environment::Live, recharge)
}

#[test]
fn the_seeds_recharge_is_parsed() {
    let request = recharged(&[
        ("service_type", r#""prepaid""#),
        ("webhook_url", r#""https://your-domain.com/webhooks/recharge""#),
        ("unknown", "[1,2,3]"),
        ("account_id", "9"),
    ])
    .unwrap();
    assert_eq!(
        (request.kind, request.operator.as_str(), request.recipient.as_str(), request.amount),
        (Kind::Recharge, "GP", "01712345678", bdt(1_000))
    );
    assert_eq!(
        (request.reference.as_str(), request.scope),
        ("BILL-026401", ReferenceScope::Irecharge)
    );
    assert_eq!(request.webhook_url.as_deref(), Some("https://your-domain.com/webhooks/recharge"));
    assert_eq!((request.service_type, request.idempotency), (ServiceType::Prepaid, None));
    assert_eq!(request.caller, caller(Environment::Live));
    assert!(request.details.is_empty());
}

#[test]
fn every_alias_is_the_field() {
    for (name, alias) in [
        ("reference", "client_reference"),
        ("reference", "clientReference"),
        ("operator", "operator_code"),
        ("operator", "operator_short"),
    ] {
        let value = RECHARGE.iter().find(|(n, _)| *n == name).unwrap().1;
        assert!(recharged(&[(name, ""), (alias, value)]).is_ok(), "{alias}");
        assert!(recharged(&[(name, value), (alias, value)]).is_ok(), "{alias}");
        let invalid = recharged(&[(name, value), (alias, r#""other""#)]).unwrap_err();
        let mut both = vec![name, alias];
        both.sort_unstable();
        assert_eq!(invalid_fields(&invalid), both);
        assert!(
            invalid.field_errors[0].message.contains(name)
                && invalid.field_errors[0].message.contains(alias)
        );
    }
    let request = recharged(&[("recharge_webhook_url", r#""https://a.example/x""#)]).unwrap();
    assert_eq!(request.webhook_url.as_deref(), Some("https://a.example/x"));
}

/// Two names of one operator, in any case, are no difference (CONTRACT A-05).
#[test]
fn one_operator_may_be_named_twice() {
    for (one, other) in [
        (r#""gp""#, r#""GP""#),
        (r#""gp""#, r#""grameenphone""#),
        (r#""Grameenphone ""#, r#"" Gp""#),
    ] {
        let request = recharged(&[("operator", one), ("operator_code", other)]).unwrap();
        assert_eq!(request.operator, "GP", "{one} {other}");
    }
    for (one, other) in [(r#""gp""#, r#""bl""#), (r#""xx""#, r#""XX""#), (r#""gp""#, "1")] {
        let invalid = recharged(&[("operator", one), ("operator_short", other)]).unwrap_err();
        assert_eq!(invalid_fields(&invalid), ["operator", "operator_short"], "{one} {other}");
    }
}

#[test]
fn operators_go_by_many_names() {
    for (name, code) in [
        ("gp", "GP"),
        ("GP", "GP"),
        ("Grameenphone", "GP"),
        ("rb", "RB"),
        ("robi", "RB"),
        ("at", "AT"),
        ("AIRTEL", "AT"),
        ("bl", "BL"),
        ("banglalink", "BL"),
        ("tt", "TT"),
        ("teletalk", "TT"),
        ("sk", "SK"),
        ("skitto", "SK"),
        (" gp", "GP"),
        ("Robi  ", "RB"),
    ] {
        let request = recharged(&[("operator", &format!("\"{name}\""))]).unwrap();
        assert_eq!(request.operator, code, "{name}");
    }
    for name in [r#""""#, r#""bkash""#, r#""vodafone""#, "1", "null", "[\"gp\"]", ""] {
        let invalid = recharged(&[("operator", name)]).unwrap_err();
        assert_eq!(invalid_fields(&invalid), ["operator"], "{name}");
    }
}

#[test]
fn all_invalid_fields_are_named_at_once() {
    let check = |text: &str, fields: &[&str], is_reference_missing| {
        let invalid = parse(text, Environment::Live, recharge).unwrap_err();
        assert_eq!(invalid_fields(&invalid), fields, "{text}");
        assert_eq!(invalid.is_reference_missing, is_reference_missing, "{text}");
    };
    check("{}", &["amount", "number", "operator", "reference"], true);
    check(
        r#"{"number":1712345678,"amount":0,"operator":"x","service_type":"x","reference":" ",
            "webhook_url":"x"}"#,
        &["amount", "number", "operator", "reference", "service_type", "webhook_url"],
        false,
    );
    check(
        r#"{"number":true,"amount":[],"operator":{},"service_type":1,"reference":2,
            "webhook_url":3}"#,
        &["amount", "number", "operator", "reference", "service_type", "webhook_url"],
        false,
    );
    check(&body(&RECHARGE, &[("reference", "")]), &["reference"], true);
    check(&body(&RECHARGE, &[("reference", "null")]), &["reference"], true);
    check(&body(&RECHARGE, &[("reference", r#""""#)]), &["reference"], true);
    check(&body(&RECHARGE, &[("amount", "5")]), &["amount"], false);
    check(&body(&RECHARGE, &[("amount", "1000.01")]), &["amount"], false);
    check(
        &body(&RECHARGE, &[("operator", "\"sk\""), ("service_type", "\"postpaid\"")]),
        &["service_type"],
        false,
    );
    // With an unknown operator, a number of any country is valid; an invalid one is reported.
    check(
        &body(&RECHARGE, &[("operator", "\"x\""), ("number", "\"0771234567\"")]),
        &["operator"],
        false,
    );
    check(&body(&RECHARGE, &[("number", "\"0771234567\"")]), &["number"], false);
    // http is allowed in the sandbox only.
    let plain = body(&RECHARGE, &[("webhook_url", "\"http://a.example/\"")]);
    check(&plain, &["webhook_url"], false);
    assert!(parse(&plain, Environment::Sandbox, recharge).is_ok());
}

#[test]
fn an_invalid_idempotency_key_is_reported_with_the_fields() {
    let (fields, catalog) = (RawFields::from_json("{}").unwrap(), catalog());
    let error = FieldError { field: "Idempotency-Key", message: "is wrong.".into() };
    let parsed = recharge(RawPurchase {
        fields: &fields,
        catalog: &catalog,
        caller: caller(Environment::Live),
        webhooks: webhooks(Environment::Live),
        idempotency: Err(error),
    });
    let names = ["Idempotency-Key", "amount", "number", "operator", "reference"];
    assert_eq!(invalid_fields(&parsed.unwrap_err()), names);
}

/// Values that are not amounts (RELIABILITY Q3).
#[rustfmt::skip]
const NO_AMOUNTS: &[&str] = &[
    "1e309", "1e-400", "1e1", "1E1", "10e0", "1.0e1", "-0", "-0.0", "-10", "-10.00", "0", "0.0",
    "0.00", "0.001", "10.001", "10.000", "9007199254740993", "1000000000", "9999999999.99",
    "100000000000000000000000000000000", "9.99", "1000.01", "999999999", "999999999.99", "true",
    "false", "null", "[10]", "[]", "{}", r#"{"amount":10}"#, r#""""#, r#"" ""#, r#"" 10""#,
    r#""10 ""#, r#""1 0""#, r#""+10""#, r#""-10""#, r#""010""#, r#""00""#, r#""10.""#, r#"".5""#,
    r#""10,5""#, r#""1,000""#, r#""1_000""#, r#""1e1""#, r#""1E1""#, r#""0x10""#, r#""0b11""#,
    r#""NaN""#, r#""Infinity""#, r#""-Infinity""#, r#""inf""#, r#""null""#, r#""٠١""#, r#""١٠""#,
    r#""１０""#, r#""১০""#, r#""10\u0000""#, r#""\u000010""#, r#""10\n""#, r#""10\t""#,
    r#""1\u200d0""#, r#""10\u00a0""#, r#""\ufeff10""#, r#""10৳""#, r#""BDT 10""#, r#""10BDT""#,
    r#""$10""#, r#""10.0.0""#, r#""10..0""#, r#""10-""#, r#""--10""#, r#""ten""#, r#""10;DROP""#,
    r#""\ud800""#, r#""½""#, r#""1½""#, "",
];

#[test]
fn amounts_are_read_digit_by_digit() {
    for (text, minor) in [
        ("10", 1_000),
        ("10.0", 1_000),
        ("10.00", 1_000),
        ("\"10\"", 1_000),
        ("\"10.0\"", 1_000),
        ("\"10.00\"", 1_000),
        ("10.5", 1_050),
        ("10.05", 1_005),
        ("\"10.05\"", 1_005),
        ("99.99", 9_999),
        ("\"\\u0031\\u0030\"", 1_000),
        ("1000", 100_000),
        ("1000.00", 100_000),
    ] {
        let request = recharged(&[("amount", text)]);
        assert_eq!(request.map(|w| w.amount), Ok(bdt(minor)), "{text}");
    }
    for text in NO_AMOUNTS {
        let invalid = recharged(&[("amount", text)]).unwrap_err();
        assert_eq!(invalid_fields(&invalid), ["amount"], "{text}");
    }
}

#[test]
fn numbers_have_one_form_and_look_alikes_are_refused() {
    for number in [
        "01712345678",
        "1712345678",
        "8801712345678",
        "+8801712345678",
        "+880 1712-345678",
        "(017) 1234 5678",
        "008801712345678",
        "০১৭১২৩৪৫৬৭৮",
    ] {
        let request = recharged(&[("number", &format!("\"{number}\""))]).unwrap();
        assert_eq!(request.recipient, "01712345678");
    }
    for number in [
        r#""""#,
        r#"" ""#,
        r#""0171234567""#,
        r#""017123456789""#,
        r#""02712345678""#,
        r#""01012345678""#,
        r#""০১২১২৩৪৫৬৭৮""#,
        r#""０１７１２３４５６７８""#,
        r#""01712345678\n""#,
        r#""01712345678\u0000""#,
        r#""\u00a001712345678""#,
        r#""0171234567a""#,
        r#""017\u200d12345678""#,
        r#""\u202e01712345678""#,
        r#""01712345678;ext=1""#,
        r#""+01712345678""#,
        r#""tel:01712345678""#,
        "1712345678",
        "8801712345678",
        "true",
        "null",
        "[]",
        "",
    ] {
        let invalid = recharged(&[("number", number)]).unwrap_err();
        assert_eq!(invalid_fields(&invalid), ["number"], "{number}");
    }
}

/// CONTRACT A-38: what is empty counts as not sent; and codes are read in any case.
#[test]
fn empty_optional_fields_are_not_sent() {
    let sent = recharged(&[("webhook_url", r#""""#), ("service_type", r#""""#)]).unwrap();
    assert_eq!((sent.webhook_url, sent.service_type), (None, ServiceType::Prepaid));
    let aliased = recharged(&[("operator_code", r#""""#), ("clientReference", r#""""#)]).unwrap();
    assert_eq!((aliased.operator.as_str(), aliased.reference.as_str()), ("GP", "BILL-026401"));
    for code in ["PREPAID", " prepaid ", "Prepaid"] {
        let sent = recharged(&[("service_type", &format!("\"{code}\""))]).unwrap();
        assert_eq!(sent.service_type, ServiceType::Prepaid, "{code}");
    }
}

/// CONTRACT A-39.
#[test]
fn an_idempotency_key_belongs_to_the_parsed_request() {
    let digest = |text: &str| {
        let request = parse(text, Environment::Live, recharge).unwrap();
        idempotency::of_request("k".to_owned(), &request).digest
    };
    let first = digest(
        r#"{"operator":"gp","number":"01712345678","amount":10,"reference":"R","service_type":""}"#,
    );
    let same = r#" {"reference":"R", "amount":"10.0", "number":"+8801712345678","operator":"GP"}"#;
    assert_eq!(digest(same), first);
    for other in [r#""amount":11"#, r#""number":"01712345679""#, r#""reference":"S""#] {
        let (name, _) = other.split_once(':').unwrap();
        let rest: Vec<&str> =
            same.trim_matches([' ', '{', '}']).split(',').filter(|f| !f.contains(name)).collect();
        assert_ne!(digest(&format!("{{{},{other}}}", rest.join(","))), first, "{other}");
    }
}

#[test]
fn references_are_kept_unchanged() {
    for reference in ["a", "A b", "~!@#$%^&*()", "x-1/2?3"] {
        let request = recharged(&[("reference", &format!("\"{reference}\""))]).unwrap();
        assert_eq!(request.reference, reference);
    }
    let (longest, longer) = ("x".repeat(128), format!("\"{}\"", "x".repeat(129)));
    assert!(recharged(&[("reference", &format!("\"{longest}\""))]).is_ok());
    for reference in [
        &longer,
        r#"" a""#,
        r#""a ""#,
        r#"" ""#,
        r#""a\n""#,
        r#""a\u0000b""#,
        r#""ä""#,
        r#""a\u0308""#,
        r#""a\u00a0b""#,
        r#""\u200d""#,
        r#""a\u200bb""#,
        r#""\u202ea""#,
        r#""ａ""#,
        r#""a\r\nb""#,
        r#""a\tb""#,
        r#""😀""#,
        r#""\ud83d""#,
        r#""\u007f""#,
        r#""\ufeffa""#,
        r#""а""#,
        "1",
        "1.5",
        "true",
        "[\"a\"]",
        r#"{"a":1}"#,
    ] {
        let invalid = recharged(&[("reference", reference)]).unwrap_err();
        assert_eq!(invalid_fields(&invalid), ["reference"], "{reference}");
    }
}

fn offered(text: &str) -> Result<(Details, Money, String), Names> {
    let read = |raw: RawPurchase<'_, '_>| {
        offer(raw).map(|(w, operator)| (w.details, w.amount, operator.code.clone()))
    };
    parse(text, Environment::Live, read).map_err(|invalid| invalid_fields(&invalid))
}

#[test]
fn offers_need_the_identifier_that_names_them() {
    let check = |operator: &str, fields: &str, expected: Result<&[(&str, &str)], &[&str]>| {
        let text = format!(
            r#"{{"operator":"{operator}","number":"01612345678","amount":"698",
                "reference":"R"{fields}}}"#
        );
        let found = offered(&text).map(|(details, ..)| details);
        let expected =
            expected.map(|d| d.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect());
        assert_eq!(found, expected.map_err(<[_]>::to_vec), "{text}");
    };
    check("airtel", r#","ticketId":"T_1""#, Ok(&[("ticketId", "T_1")]));
    check("rb", r#","ticketId":"T_1","offerId":"x","campaignId":5"#, Ok(&[("ticketId", "T_1")]));
    check("airtel", "", Err(&["ticketId"]));
    check("airtel", r#","offerId":"x""#, Err(&["ticketId"]));
    check("airtel", r#","ticketId":5"#, Err(&["ticketId"]));
    check("airtel", r#","ticketId":"""#, Err(&["ticketId"]));
    check("airtel", r#","ticketId":"a\u0000""#, Err(&["ticketId"]));
    let both: &[(&str, &str)] = &[("offerId", "OFF"), ("tranId", "489")];
    check("banglalink", r#","offerId":"OFF","tranId":"489""#, Ok(both));
    check("bl", r#","offer_id":"OFF","tran_id":"489""#, Ok(both));
    check("bl", r#","offer_id":"OFF","offerId":"OFF","tran_id":"489""#, Ok(both));
    check("bl", r#","offer_id":"OFF","offerId":"ON""#, Err(&["offerId", "offer_id"]));
    check("bl", r#","offerId":"OFF""#, Ok(&[("offerId", "OFF")]));
    check("bl", r#","tranId":"489""#, Err(&["offerId"]));
    check(
        "gp",
        r#","offerId":"G","campaign_id":"C","session_context":"S","opt_in_keyword":"Y",
            "tranId":"no""#,
        Ok(&[
            ("campaignId", "C"),
            ("offerId", "G"),
            ("optInKeyword", "Y"),
            ("sessionContext", "S"),
        ]),
    );
    check("gp", r#","offerId":"G""#, Ok(&[("offerId", "G")]));
    check("tt", r#","offerId":"G""#, Err(&["operator"]));
    check("bkash", r#","offerId":"G""#, Err(&["operator"]));
    // The limits of recharges do not apply: the operator sets an offer's price.
    let expensive =
        r#"{"operator":"bl","number":"01612345678","amount":1500,"reference":"R","offerId":"O"}"#;
    assert_eq!(offered(expensive).map(|o| o.1), Ok(bdt(150_000)));
    let all = ["amount", "number", "operator", "reference"];
    assert_eq!(offered("{}"), Err(all.to_vec()));
}

#[test]
fn banking_has_a_type_and_an_account_type() {
    let check = |instead: &[(&str, &str)], expected: Result<&[(&str, &str)], &[&str]>| {
        let fields = [&RECHARGE[..], &[("type", "\"cash_in\"")]].concat();
        let base = [&[("operator", "\"bkash\"")], instead].concat();
        let text = body(&fields, &base);
        let found = parse(&text, Environment::Live, banking).map_err(|w| invalid_fields(&w));
        let found = found.map(|w| w.details);
        let expected =
            expected.map(|d| d.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect());
        assert_eq!(found, expected.map_err(<[_]>::to_vec), "{text}");
    };
    check(&[], Ok(&[("account_type", "personal"), ("type", "cash_in")]));
    check(
        &[("type", "\"payment\""), ("account_type", "\"agent\"")],
        Ok(&[("account_type", "agent"), ("type", "payment")]),
    );
    check(&[("type", "")], Err(&["type"]));
    check(&[("type", "\"gift\""), ("account_type", "\"x\"")], Err(&["account_type", "type"]));
    check(&[("type", "1")], Err(&["type"]));
    check(&[("amount", "1000.01")], Err(&["amount"]));
}

fn query(pairs: &[(&str, &str)]) -> RawFields<'static> {
    RawFields::from_query(pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect())
}

#[test]
fn offers_are_listed_by_operator_and_number() {
    let catalog = catalog();
    let check = |pairs: &[(&str, &str)], expected: Result<(&str, &str, &str), &[&str]>| {
        let found = offers(&query(pairs), &catalog);
        let found = found
            .as_ref()
            .map(|o| (o.operator.code.as_str(), o.sent_operator.as_str(), o.recipient.as_str()));
        assert_eq!(found.map_err(invalid_fields), expected.map_err(<[_]>::to_vec), "{pairs:?}");
    };
    let number = ("number", "8801614031175");
    check(&[number, ("operator", "Airtel")], Ok(("AT", "Airtel", "01614031175")));
    check(&[number, ("operator_code", "bl")], Ok(("BL", "bl", "01614031175")));
    check(&[number, ("operator_short", "bl")], Ok(("BL", "bl", "01614031175")));
    check(
        &[number, ("operator", "bl"), ("operator_code", "gp")],
        Err(&["operator", "operator_code"]),
    );
    check(&[number, ("operator", "teletalk")], Err(&["operator"]));
    check(&[("operator", "gp")], Err(&["number"]));
    check(&[("number", "5"), ("operator", "x")], Err(&["number", "operator"]));
    check(&[], Err(&["number", "operator"]));
}

#[test]
fn operators_are_filtered() {
    let catalog = catalog();
    let check = |pairs: &[(&str, &str)], expected: &[&str]| {
        let filter = filter(&query(pairs)).unwrap();
        let passing = catalog.operators.iter();
        let passing = passing.filter(|o| filter.passes(o, catalog.country_of(o)));
        let codes: Vec<_> = passing.map(|o| o.code.as_str()).collect();
        assert_eq!(codes, expected, "{pairs:?}");
    };
    let all = ["GP", "BL", "RB", "AT", "TT", "SK", "BKASH", "ECONET"];
    check(&[], &all);
    check(&[("country", ""), ("service", " "), ("search", "")], &all);
    check(&[("country", "bd")], &all[..7]);
    check(&[("country", "BANGLADESH")], &all[..7]);
    check(&[("country", "zw")], &["ECONET"]);
    check(&[("country", "Atlantis")], &[]);
    check(&[("service", "mobile-banking")], &["BKASH"]);
    check(&[("service", "Mobile Banking")], &["BKASH"]);
    check(&[("service", "x")], &[]);
    check(&[("search", "robi")], &["RB"]);
    check(&[("q", "GP")], &["GP"]);
    check(&[("q", "link")], &["BL"]);
    check(&[("search", "a"), ("q", "a"), ("country", "bd")], &["GP", "BL", "AT", "TT", "BKASH"]);
    check(&[("country", "bd"), ("service", "mobile-recharge"), ("search", "robi")], &["RB"]);
    check(&[("q", "%")], &[]);
    assert!(filter(&query(&[("search", "a"), ("q", "b")])).is_err());
}

#[test]
fn the_default_wallet_is_of_the_first_operators_country() {
    let catalog = catalog();
    let read = |pairs: &[(&str, &str)]| currency(&query(pairs), &catalog).ok();
    assert_eq!(read(&[]), Some(Currency::BDT));
    assert_eq!(read(&[("currency", "USD")]), Some(Currency::USD));
    assert_eq!(read(&[("currency", "x")]), None);
    assert_eq!(currency(&query(&[]), &Catalog::default()), Ok(Currency::BDT));
}

#[test]
fn a_status_check_takes_every_name() {
    let both = |reference: Option<&str>, id: Option<i64>| {
        Ok(Lookup { reference: reference.map(str::to_owned), id: id.map(PurchaseNumber) })
    };
    let check = |text: &str, pairs: &[(&str, &str)], expected: Result<Lookup, Option<&[&str]>>| {
        let found = lookup(&RawFields::from_json(text).unwrap().and(query(pairs)));
        let found = found.map_err(|error| match error {
            LookupError::Fields(error) => Some(invalid_fields(&error)),
            LookupError::Disagree => None,
        });
        assert_eq!(found, expected.map_err(|e| e.map(<[_]>::to_vec)), "{text} {pairs:?}");
    };
    for name in ["reference", "client_reference", "clientReference"] {
        check("{}", &[(name, "R 1")], both(Some("R 1"), None));
        check(&format!(r#"{{"{name}":"R 1"}}"#), &[], both(Some("R 1"), None));
    }
    for name in ["transaction_id", "transactionId"] {
        check("{}", &[(name, "21")], both(None, Some(21)));
        check(&format!(r#"{{"{name}":21}}"#), &[], both(None, Some(21)));
        check(&format!(r#"{{"{name}":"21"}}"#), &[], both(None, Some(21)));
    }
    check(r#"{"transaction_id":21}"#, &[("transactionId", "21")], both(None, Some(21)));
    check(r#"{"transaction_id":21}"#, &[("reference", "R")], both(Some("R"), Some(21)));
    check("{\"transaction_id\":99999999999999999999}", &[], both(None, Some(i64::MAX)));
    check(r#"{"transaction_id":21,"transactionId":22}"#, &[], Err(None));
    check(r#"{"transaction_id":21}"#, &[("transaction_id", "22")], Err(None));
    check(r#"{"reference":"a","client_reference":"b"}"#, &[], Err(None));
    check("{}", &[("reference", "a"), ("reference", "b")], Err(None));
    check("{}", &[], Err(Some(&["reference"])));
    check(r#"{"reference":null,"transaction_id":null}"#, &[], Err(Some(&["reference"])));
    check(r#"{"reference":"","transaction_id":""}"#, &[], Err(Some(&["reference"])));
    check(r#"{"reference":"R"}"#, &[("transaction_id", "")], both(Some("R"), None));
    check(r#"{"reference":5}"#, &[], Err(Some(&["reference"])));
    check("{}", &[("client_reference", " a")], Err(Some(&["client_reference"])));
    for id in ["1.0", "1e3", "-1", "true", "[1]", r#""x""#, r#"" 1""#, r#""+1""#, r#""１""#] {
        check(&format!(r#"{{"transaction_id":{id}}}"#), &[], Err(Some(&["transaction_id"])));
    }
}

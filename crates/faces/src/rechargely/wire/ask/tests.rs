//! What is read and what is refused, as tables.

use super::*;

const PRE_AUTH: [(&str, &str); 6] = [
    ("amount", "10"),
    ("productId", "1"),
    ("requestId", r#""R-1""#),
    ("billReference", r#""0771234567""#),
    ("customerMobile", r#""0771234567""#),
    ("additionalData", "{}"),
];

/// A body of these fields, with others in their place or beside them; an empty value is left out.
fn body(fields: &[(&str, &str)], instead: &[(&str, &str)]) -> String {
    let kept = fields.iter().filter(|(n, _)| !instead.iter().any(|(i, _)| i == n));
    let all = kept.chain(instead).filter(|(_, v)| !v.is_empty());
    let all: Vec<_> = all.map(|(n, v)| format!("\"{n}\":{v}")).collect();
    format!("{{{}}}", all.join(","))
}

fn fields(wrong: &Wrong) -> Vec<&'static str> {
    let mut fields: Vec<_> = wrong.0.iter().map(|c| c.field).collect();
    fields.sort_unstable();
    fields.dedup();
    fields
}

fn read(instead: &[(&str, &str)]) -> Result<PreAuth, Wrong> {
    pre_auth(&Sent::from_json(&body(&PRE_AUTH, instead)).unwrap())
}

#[test]
fn the_seeds_body_is_understood_and_its_amount_refused() {
    let seed = r#"{"amount": 0, "productId": 0, "requestId": "string", "billReference": "string",
        "customerMobile": "0771234567", "additionalData": {"additionalProp1": "string",
        "additionalProp2": "string", "additionalProp3": "string"}}"#;
    assert_eq!(fields(&pre_auth(&Sent::from_json(seed).unwrap()).unwrap_err()), ["amount"]);
    let seed = seed.replace("\"amount\": 0", "\"amount\": 0.5, \"unknown\": [{}]");
    let asked = pre_auth(&Sent::from_json(&seed).unwrap()).unwrap();
    assert_eq!((asked.amount.as_str(), asked.product), ("0.5", 0));
    assert_eq!((asked.request_id.as_str(), asked.bill_reference.as_str()), ("string", "string"));
    assert_eq!(asked.customer_mobile, "0771234567");
    assert_eq!(asked.additional.len(), 3);
    assert_eq!(asked.additional["additionalProp2"], "string");
}

#[test]
fn each_field_has_its_form() {
    let long = |n: usize| format!("\"{}\"", "x".repeat(n));
    let (short_bill, long_bill) = (long(BILL_REFERENCE_MOST), long(BILL_REFERENCE_MOST + 1));
    let (short_id, long_id) = (long(128), long(129));
    for (field, value, is_good) in [
        ("amount", "10.5", true),
        ("amount", r#""10.50""#, true),
        ("amount", "10.505", false),
        ("amount", "1e1", false),
        ("amount", "-1", false),
        ("amount", "0", false),
        ("amount", "0.00", false),
        ("amount", r#""01""#, false),
        ("amount", "1000000000", false),
        ("amount", r#""+1""#, false),
        ("amount", r#""١٠""#, false),
        ("amount", "null", false),
        ("amount", "true", false),
        ("amount", "", false),
        ("productId", "42", true),
        ("productId", "0", true),
        ("productId", r#""42""#, true),
        ("productId", r#""prod_042""#, true),
        ("productId", "1.0", false),
        ("productId", "-1", false),
        ("productId", r#""econet_airtime""#, false),
        ("productId", "{}", false),
        ("productId", "", false),
        ("requestId", &short_id, true),
        ("requestId", &long_id, false),
        ("requestId", r#""""#, false),
        ("requestId", r#"" R""#, false),
        ("requestId", r#""é""#, false),
        ("requestId", "1", false),
        ("requestId", "", false),
        ("billReference", &short_bill, true),
        ("billReference", &long_bill, false),
        ("billReference", r#""077 123-4567""#, true),
        ("billReference", r#""""#, false),
        ("billReference", r#""  ""#, false),
        ("billReference", r#""1\n2""#, false),
        ("billReference", "771234567", false),
        ("billReference", "", false),
        ("customerMobile", r#""+263 (77) 123-4567""#, true),
        ("customerMobile", r#""12345""#, false),
        ("customerMobile", r#""1234567890123456""#, false),
        ("customerMobile", r#""++263771234567""#, false),
        ("customerMobile", r#""string""#, false),
        ("customerMobile", r#""０７７１２３４５６７""#, false),
        ("customerMobile", "", false),
        ("additionalData", r#"{"a":"b","c":1.50,"d":true,"e":null}"#, true),
        ("additionalData", r#"{"a":{"b":"c"}}"#, false),
        ("additionalData", r#"{"a":["b"]}"#, false),
        ("additionalData", r#"{"a":"1","a":"2"}"#, false),
        ("additionalData", r#"{"":"1"}"#, false),
        ("additionalData", r#"{"a":"\u0000"}"#, false),
        ("additionalData", "[]", false),
        ("additionalData", "null", false),
        ("additionalData", r#""{}""#, false),
        ("additionalData", "", false),
    ] {
        match read(&[(field, value)]) {
            Ok(_) => assert!(is_good, "{field} {value}"),
            Err(wrong) => {
                assert!(!is_good, "{field} {value}: {wrong:?}");
                assert_eq!(fields(&wrong), [field], "{value}");
            }
        }
    }
}

#[test]
fn additional_data_is_kept_as_texts_and_has_limits() {
    let sent = |object: &str| read(&[("additionalData", object)]).map(|asked| asked.additional);
    let kept = sent(r#"{"text":"é","number":1.50,"yes":true,"no":false,"nothing":null}"#).unwrap();
    let kept: Vec<_> = kept.iter().map(|(n, v)| format!("{n}={v}")).collect();
    assert_eq!(kept, ["no=false", "number=1.50", "text=é", "yes=true"]);
    let many = |n: usize| {
        let fields: Vec<_> = (0..n).map(|i| format!("\"f{i}\":{i}")).collect();
        format!("{{{}}}", fields.join(","))
    };
    let one = |name: usize, value: usize| {
        format!("{{\"{}\":\"{}\"}}", "é".repeat(name), "é".repeat(value))
    };
    assert_eq!(sent(&many(ADDITIONAL_MOST)).unwrap().len(), ADDITIONAL_MOST);
    assert!(sent(&many(ADDITIONAL_MOST + 1)).is_err());
    assert!(sent(&one(ADDITIONAL_NAME_MOST, ADDITIONAL_VALUE_MOST)).is_ok());
    assert!(sent(&one(ADDITIONAL_NAME_MOST + 1, 1)).is_err());
    assert!(sent(&one(1, ADDITIONAL_VALUE_MOST + 1)).is_err());
    // Two objects are one if they say the same.
    let twice = |other: &str| {
        let text = body(&PRE_AUTH, &[]).replacen('{', &format!("{{\"additionalData\":{other},"), 1);
        pre_auth(&Sent::from_json(&text).unwrap())
    };
    assert!(twice("{ }").is_ok());
    assert_eq!(fields(&twice(r#"{"a":1}"#).unwrap_err()), ["additionalData"]);
}

#[test]
fn all_wrong_fields_are_named_at_once() {
    let all =
        ["additionalData", "amount", "billReference", "customerMobile", "productId", "requestId"];
    for text in [
        "{}",
        r#"{"amount":0,"productId":"x","requestId":" ","billReference":"","customerMobile":"x","additionalData":1}"#,
        r#"{"amount":null,"productId":null,"requestId":null,"billReference":null,"customerMobile":null,"additionalData":null}"#,
    ] {
        let sent = Sent::from_json(text).unwrap();
        assert_eq!(fields(&pre_auth(&sent).unwrap_err()), all, "{text}");
    }
    let none = Sent::default();
    assert_eq!(fields(&auth(&none).unwrap_err()), ["preAuthToken", "requestId"]);
    let wrong = log_in(&none).err().unwrap();
    assert_eq!(fields(&wrong), ["fcmToken", "password", "username"]);
    let wrong = registration(&none).err().unwrap();
    assert_eq!(fields(&wrong), ["email", "password"]);
    let wrong = password_reset(&none).err().unwrap();
    assert_eq!(fields(&wrong), ["code", "email", "newPassword"]);
    let wrong = password_change(&none).err().unwrap();
    assert_eq!(fields(&wrong), ["currentPassword", "newPassword"]);
    assert_eq!(fields(&confirmation(&none).err().unwrap()), ["code", "email"]);
    assert_eq!(fields(&forgotten(&none).unwrap_err()), ["email"]);
}

#[test]
fn the_digest_is_of_the_meaning() {
    let usd = |minor| Money::new(minor, Currency::USD);
    let of = |instead: &[(&str, &str)], minor, bill: &str| {
        read(instead).unwrap().digest(usd(minor), bill)
    };
    let first = of(&[], 1_000, "0771234567");
    for same in [
        &[("amount", r#""10.00""#)][..],
        &[("productId", r#""prod_001""#)],
        &[("customerMobile", r#""077-123 4567""#)],
        &[("additionalData", r#"{"x":null}"#)],
        &[("requestId", r#""R-2""#)],
        &[("unknown", "1")],
    ] {
        assert_eq!(of(same, 1_000, "0771234567"), first, "{same:?}");
    }
    for other in [
        &[("productId", "2")][..],
        &[("customerMobile", r#""0771234568""#)],
        &[("additionalData", r#"{"x":""}"#)],
    ] {
        assert_ne!(of(other, 1_000, "0771234567"), first, "{other:?}");
    }
    assert_ne!(of(&[], 1_001, "0771234567"), first);
    assert_ne!(of(&[], 1_000, "0771234568"), first);
    let zwg = Money::new(1_000, Currency::ZWG);
    assert_ne!(read(&[]).unwrap().digest(zwg, "0771234567"), first);
    // Parts do not run together.
    let one = of(&[("additionalData", r#"{"ab":"c"}"#)], 1_000, "1");
    assert_ne!(of(&[("additionalData", r#"{"a":"bc"}"#)], 1_000, "1"), one);
}

#[test]
fn an_amount_has_its_currencys_decimals() {
    assert_eq!(money("10.50", Currency::USD), Ok(Money::new(1_050, Currency::USD)));
    assert_eq!(fields(&money("10.5", Currency::JPY).unwrap_err()), ["amount"]);
}

#[test]
fn a_login_has_a_token_that_may_be_empty() {
    let read = |fcm_token: &str| {
        let text =
            body(&[("username", r#""u""#), ("password", r#"" p ""#)], &[("fcmToken", fcm_token)]);
        log_in(&Sent::from_json(&text).unwrap()).map(|l| (l.username, l.password, l.fcm_token))
    };
    let wanted = |token: &str| Ok(("u".to_owned(), " p ".to_owned(), token.to_owned()));
    assert_eq!(read(r#""""#), wanted(""));
    assert_eq!(read(r#""t""#), wanted("t"));
    let longest = "t".repeat(FCM_TOKEN_MOST);
    assert_eq!(read(&format!("\"{longest}\"")), wanted(&longest));
    for bad in [&format!("\"{longest}t\""), "1", "null", ""] {
        assert_eq!(fields(&read(bad).unwrap_err()), ["fcmToken"]);
    }
}

#[test]
fn a_registration_may_use_the_documents_names() {
    let read = |text: &str| {
        let read = registration(&Sent::from_json(text).unwrap());
        read.map(|r| [r.email, r.password, r.name, r.mobile])
    };
    assert_eq!(
        read(r#"{"email":"u@e.co","password":"p","name":"N","mobile":"077 123-4567"}"#),
        read(r#"{"username":"u@e.co","password":"p","name":"N","customerMobile":"0771234567"}"#),
    );
    let least = read(r#"{"username":"u@e.co","password":"p"}"#);
    assert_eq!(least, Ok(["u@e.co".into(), "p".into(), String::new(), String::new()]));
    let wrong = read(r#"{"email":"a@e.co","username":"b@e.co","password":"p","name":1}"#);
    assert_eq!(fields(&wrong.unwrap_err()), ["email", "name", "username"]);
}

fn query(pairs: &[(&str, &str)]) -> Sent<'static> {
    Sent::from_query(pairs.iter().map(|(n, v)| ((*n).into(), (*v).into())).collect())
}

#[test]
fn queries_have_their_forms() {
    let page = |limit, before| Page { limit, before };
    assert_eq!(listing(&query(&[])), Ok((page(20, None), None)));
    let all = [("limit", "100"), ("before", "7"), ("status", "completed")];
    assert_eq!(listing(&query(&all)), Ok((page(100, Some(7)), Some(Status::Completed))));
    for (name, value) in [
        ("limit", "0"),
        ("limit", "101"),
        ("limit", "x"),
        ("limit", ""),
        ("before", "-1"),
        ("status", "success"),
        ("status", ""),
    ] {
        assert_eq!(fields(&listing(&query(&[(name, value)])).unwrap_err()), [name], "{value}");
    }
    assert_eq!(balance(&query(&[])), Ok(None));
    assert_eq!(balance(&query(&[("currency", "usd")])), Ok(Some(Currency::USD)));
    assert_eq!(fields(&balance(&query(&[("currency", "XX")])).unwrap_err()), ["currency"]);
    let zwg = [("currency", "ZWG"), ("limit", "1")];
    assert_eq!(statement(&query(&zwg)), Ok((Currency::ZWG, page(1, None))));
    assert_eq!(fields(&statement(&query(&[])).unwrap_err()), ["currency"]);
    assert_eq!(search(&query(&[("query", " Air ")])), Ok("Air".into()));
    for bad in [&[][..], &[("query", "")], &[("query", " ")], &[("query", &"x".repeat(65))]] {
        assert_eq!(fields(&search(&query(bad)).unwrap_err()), ["query"]);
    }
}

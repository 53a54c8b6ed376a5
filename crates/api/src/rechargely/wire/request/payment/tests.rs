//! Payments parsed by the rules of a product, as tables.

use super::super::tests::{body, names};
use super::*;
use domain::catalog::product::BILL_REFERENCE_MAX;
use domain::{AmountRange, BillFormat, Kind, ProductId};

const PRE_AUTH: [(&str, &str); 6] = [
    ("amount", "10"),
    ("productId", "1"),
    ("requestId", r#""R-1""#),
    ("billReference", r#""0771234567""#),
    ("customerMobile", r#""0771234567""#),
    ("additionalData", "{}"),
];

fn product(price: Pricing, bill: &str, kind: Kind) -> Product {
    Product {
        kind,
        price,
        bill: BillFormat::new(bill).unwrap(),
        ..fixtures::product("econet_airtime")
    }
}

fn range(least: i64, most: i64, currency: Currency) -> Pricing {
    let money = |minor| Money::new(minor, currency);
    Pricing::Range(AmountRange { min: money(least), max: money(most) })
}

fn airtime() -> Product {
    product(range(50, 50_000, Currency::USD), "07XXXXXXXX", Kind::Recharge)
}

/// Requires a name; a term of one digit is optional.
fn school_fees() -> Product {
    use domain::Field;
    let name = Field { format: None, length_max: 20, ..fixtures::field("studentName") };
    let term = Field { is_required: false, length_max: 20, ..fixtures::field("term") };
    let price = range(100, 500_000, Currency::USD);
    Product { fields: vec![name, term], ..product(price, "XXXXXXXX", Kind::Bill) }
}

fn zimbabwe() -> Numbering {
    fixtures::zimbabwe().numbering
}

/// Parses the usual body, with other fields in it, as a payment for this product.
fn parse_for(product: &Product, instead: &[(&str, &str)]) -> Result<PreAuth, InvalidFields> {
    let text = body(&PRE_AUTH, instead);
    let rules = ProductRules { product, numbering: &zimbabwe(), is_inactive: !product.is_active };
    pre_auth(&RawFields::from_json(&text).unwrap(), Some(rules))
}

fn parse(instead: &[(&str, &str)]) -> Result<PreAuth, InvalidFields> {
    parse_for(&airtime(), instead)
}

/// CONTRACT B-05: product 0 does not exist, and that is the first error of the seed's body.
#[test]
fn the_seeds_body_names_product_zero() {
    let seed = r#"{"amount": 0, "productId": 0, "requestId": "string", "billReference": "string",
        "customerMobile": "string", "additionalData": {"additionalProp1": "string",
        "additionalProp2": "string", "additionalProp3": "string"}}"#;
    assert_eq!(product_named(&RawFields::from_json(seed).unwrap()), Some(0));
    let seed = seed.replace("\"productId\": 0", "\"productId\": 1, \"unknown\": [{}]");
    let (airtime, numbering) = (airtime(), zimbabwe());
    let rules = ProductRules { product: &airtime, numbering: &numbering, is_inactive: false };
    let invalid = pre_auth(&RawFields::from_json(&seed).unwrap(), Some(rules)).unwrap_err();
    assert_eq!(names(&invalid), ["amount", "billReference", "customerMobile"]);
}

#[test]
fn a_product_is_named_in_three_ways() {
    for (value, number) in [
        ("42", Some(42)),
        ("0", Some(0)),
        (r#""42""#, Some(42)),
        (r#""prod_042""#, Some(42)),
        ("1.0", None),
        ("-1", None),
        (r#""econet_airtime""#, None),
        ("{}", None),
        ("null", None),
        ("", None),
    ] {
        let text = body(&PRE_AUTH, &[("productId", value)]);
        assert_eq!(product_named(&RawFields::from_json(&text).unwrap()), number, "{value}");
    }
}

/// A field, a value, and whether it is valid for airtime.
const VALUES: &[(&str, &str, bool)] = &[
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
    ("amount", "0.49", false),
    ("amount", "0.5", true),
    ("amount", "500.01", false),
    ("productId", r#""1""#, true),
    ("productId", r#""prod_001""#, true),
    ("productId", "1.0", false),
    ("productId", "-1", false),
    ("productId", r#""econet_airtime""#, false),
    ("productId", "{}", false),
    ("productId", "", false),
    ("requestId", r#""""#, false),
    ("requestId", r#"" R""#, false),
    ("requestId", r#""é""#, false),
    ("requestId", "1", false),
    ("requestId", "", false),
    ("billReference", r#""+263 77 123 4567""#, true),
    ("billReference", r#""0871234567""#, false),
    ("billReference", r#""077 123-4567""#, true),
    ("billReference", r#""""#, false),
    ("billReference", r#""  ""#, false),
    ("billReference", r#""1\n2""#, false),
    ("billReference", "771234567", false),
    ("billReference", "", false),
    ("customerMobile", r#""+263 (77) 123-4567""#, true),
    ("customerMobile", r#""+44 7911 123456""#, true),
    ("customerMobile", r#""447911123456""#, false),
    ("customerMobile", r#""+1234567""#, false),
    ("customerMobile", r#""+1234567890123456""#, false),
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
];

#[test]
fn each_field_is_validated() {
    let long = |n: usize| format!("\"{}\"", "x".repeat(n));
    let (short_id, long_id) = (long(128), long(129));
    let long_bill = long(BILL_REFERENCE_MAX + 1);
    let long = [
        ("requestId", short_id.as_str(), true),
        ("requestId", &long_id, false),
        ("billReference", &long_bill, false),
    ];
    for (field, value, is_valid) in VALUES.iter().copied().chain(long) {
        match parse(&[(field, value)]) {
            Ok(_) => assert!(is_valid, "{field} {value}"),
            Err(invalid) => {
                assert!(!is_valid, "{field} {value}: {invalid:?}");
                assert_eq!(names(&invalid), [field], "{value}");
            }
        }
    }
}

#[test]
fn additional_data_is_kept_as_texts_and_has_limits() {
    let kept =
        flat_object(r#"{"text":"é","number":1.50,"yes":true,"no":false,"nothing":null}"#).unwrap();
    let kept: Vec<_> = kept.iter().map(|(n, v)| format!("{n}={v}")).collect();
    assert_eq!(kept, ["no=false", "number=1.50", "text=é", "yes=true"]);
    let sent = |object: &str| parse(&[("additionalData", object)]).map(|payment| payment.details);
    let many = |n: usize| {
        let fields: Vec<_> = (0..n).map(|i| format!("\"f{i}\":{i}")).collect();
        format!("{{{}}}", fields.join(","))
    };
    let one = |name: usize, value: usize| {
        format!("{{\"{}\":\"{}\"}}", "é".repeat(name), "é".repeat(value))
    };
    assert_eq!(
        sent(&many(ADDITIONAL_FIELDS_MAX)).unwrap(),
        Details::new(),
        "airtime has no fields of its own"
    );
    assert!(sent(&many(ADDITIONAL_FIELDS_MAX + 1)).is_err());
    assert!(sent(&one(ADDITIONAL_NAME_CHARS_MAX, ADDITIONAL_VALUE_CHARS_MAX)).is_ok());
    assert!(sent(&one(ADDITIONAL_NAME_CHARS_MAX + 1, 1)).is_err());
    assert!(sent(&one(1, ADDITIONAL_VALUE_CHARS_MAX + 1)).is_err());
    // Two objects are equal if they have the same fields.
    let twice = |other: &str| {
        let text = body(&PRE_AUTH, &[]).replacen('{', &format!("{{\"additionalData\":{other},"), 1);
        let airtime = airtime();
        let rules = ProductRules { product: &airtime, numbering: &zimbabwe(), is_inactive: false };
        pre_auth(&RawFields::from_json(&text).unwrap(), Some(rules))
    };
    assert!(twice("{ }").is_ok());
    assert_eq!(names(&twice(r#"{"a":1}"#).unwrap_err()), ["additionalData"]);
}

#[test]
fn a_products_own_fields_are_kept_and_the_others_ignored() {
    let parse = |object: &str| {
        let instead = [("additionalData", object), ("billReference", r#""12345678""#)];
        parse_for(&school_fees(), &instead)
    };
    let kept = parse(r#"{"studentName":" T. Moyo ","term":1,"other":"x"}"#).unwrap().details;
    let kept: Vec<_> = kept.iter().map(|(n, v)| format!("{n}={v}")).collect();
    assert_eq!(kept, ["studentName=T. Moyo", "term=1"]);
    let invalid = parse(r#"{"term":"first"}"#).unwrap_err();
    let errors: Vec<_> =
        invalid.field_errors.iter().map(|c| (c.field, c.message.as_str())).collect();
    assert_eq!(
        errors,
        [
            ("additionalData", "studentName is required."),
            ("additionalData", "term must look like X, X being a digit."),
        ]
    );
}

#[test]
fn a_price_is_enforced_and_an_inactive_product_is_not_sold() {
    let fixed = |minor, currency| {
        product(Pricing::Fixed(Money::new(minor, currency)), "07XXXXXXXX", Kind::Bundle)
    };
    let check = |product: &Product, amount: &str| {
        let parsed = parse_for(product, &[("amount", amount)]);
        parsed
            .map(|payment| payment.amount.to_string())
            .map_err(|invalid| invalid.field_errors[0].message.clone())
    };
    let bundle = fixed(150, Currency::USD);
    assert_eq!(check(&bundle, "1.5"), Ok("1.50 USD".into()));
    assert_eq!(check(&bundle, "1.51"), Err("must be exactly 1.50 USD: the price.".into()));
    assert_eq!(check(&airtime(), "501"), Err("must be 0.50 USD to 500.00 USD.".into()));
    assert_eq!(
        check(&fixed(10, Currency::JPY), "10.5"),
        Err("has more decimals than the currency.".into())
    );
    let gone = Product { is_active: false, ..airtime() };
    assert_eq!(names(&parse_for(&gone, &[]).unwrap_err()), ["productId"]);
    assert_eq!(names(&parse_for(&gone, &[("amount", "0")]).unwrap_err()), ["amount", "productId"]);
}

#[test]
fn a_mobile_number_is_national_at_home_and_international_elsewhere() {
    let mobile =
        |sent: &str| parse(&[("customerMobile", sent)]).map(|payment| payment.customer_mobile);
    for (sent, kept) in [
        (r#""+263 77 123 4567""#, "0771234567"),
        (r#""771234567""#, "0771234567"),
        (r#""+44 (7911) 123-456""#, "+447911123456"),
    ] {
        assert_eq!(mobile(sent), Ok(kept.to_owned()), "{sent}");
    }
}

#[test]
fn all_invalid_fields_are_named_at_once() {
    let all =
        ["additionalData", "amount", "billReference", "customerMobile", "productId", "requestId"];
    for text in [
        "{}",
        r#"{"amount":0,"productId":"x","requestId":" ","billReference":"","customerMobile":"x",
            "additionalData":1}"#,
        r#"{"amount":null,"productId":null,"requestId":null,"billReference":null,
            "customerMobile":null,"additionalData":null}"#,
    ] {
        let fields = RawFields::from_json(text).unwrap();
        assert_eq!(names(&pre_auth(&fields, None).unwrap_err()), all, "{text}");
    }
}

#[test]
fn the_digest_is_the_same_in_every_notation() {
    let of = |instead: &[(&str, &str)]| parse(instead).unwrap().digest;
    let first = of(&[]);
    for same in [
        &[("amount", r#""10.00""#)][..],
        &[("productId", r#""prod_001""#)],
        &[("customerMobile", r#""077-123 4567""#)],
        &[("customerMobile", r#""+263771234567""#)],
        &[("billReference", r#""+263 771234567""#)],
        &[("additionalData", r#"{"x":null}"#)],
        &[("requestId", r#""R-2""#)],
        &[("unknown", "1")],
    ] {
        assert_eq!(of(same), first, "{same:?}");
    }
    for other in [
        &[("amount", "10.01")][..],
        &[("billReference", r#""0771234568""#)],
        &[("customerMobile", r#""0771234568""#)],
        &[("additionalData", r#"{"x":""}"#)],
    ] {
        assert_ne!(of(other), first, "{other:?}");
    }
    let zwg = product(range(50, 50_000, Currency::ZWG), "07XXXXXXXX", Kind::Recharge);
    assert_ne!(parse_for(&zwg, &[]).unwrap().digest, first);
    let other = Product { id: ProductId(2), ..airtime() };
    assert_ne!(parse_for(&other, &[("productId", "2")]).unwrap().digest, first);
    // The border between name and value counts.
    let one = of(&[("additionalData", r#"{"ab":"c"}"#)]);
    assert_ne!(of(&[("additionalData", r#"{"a":"bc"}"#)]), one);
}

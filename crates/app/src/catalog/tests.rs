//! The catalogs are complete, and a mistake in a catalog file is reported with its row.

use super::*;
use domain::catalog::routing;
use domain::catalog::search::search;
use domain::{AccountId, Path, PriceQuery, Timestamp};
use std::path::Path as FilePath;

#[test]
fn the_catalog_of_bangladesh_is_what_the_document_lists() {
    let catalog = bangladesh().unwrap();
    let codes: Vec<&str> = catalog.operators.iter().map(|o| o.code.as_str()).collect();
    assert_eq!(codes, ["GP", "BL", "RB", "AT", "TT", "SK", "BK", "NG", "RK", "UP"]);
    for (name, code) in [
        ("gp", "GP"),
        ("Grameenphone", "GP"),
        ("rb", "RB"),
        ("airtel", "AT"),
        ("BANGLALINK", "BL"),
        ("sk", "SK"),
    ] {
        assert_eq!(catalog.operator(Service::MobileRecharge, name).unwrap().code, code);
    }
    assert!(catalog.operator(Service::MobileRecharge, "bkash").is_none());
    let reaches_nobody =
        |r: &Route| r.environment == Environment::Sandbox || r.upstreams.is_empty();
    assert!(catalog.routes.iter().all(reaches_nobody));
    assert!(demo_routes().unwrap().routes.iter().all(|r| r.environment == Environment::Live));
}

const fn usd(minor: i64) -> Money {
    Money::new(minor, Currency::USD)
}

/// `seeds/rechargely.txt`, *List Products by Category*; the rest of the row is ours.
#[test]
fn product_1_is_the_documents_sample() {
    let catalog = zimbabwe().unwrap();
    let product = catalog.product(ProductId(1)).unwrap();
    assert_eq!(
        *product,
        Product {
            id: ProductId(1),
            name: "econet_airtime".into(),
            title: "Econet Airtime".into(),
            description: "Econet Airtime".into(),
            ref_name: "econet".into(),
            operator: "ECONET".into(),
            category: CategoryId(1),
            kind: Kind::Recharge,
            price: Pricing::Range(AmountRange { min: usd(50), max: usd(50_000) }),
            bill: BillFormat::new("07XXXXXXXX").unwrap(),
            fields: Vec::new(),
            checks_bill: false,
            receipt: product.receipt.clone(),
            logo: "econet.png".into(),
            is_active: true,
        }
    );
    assert_eq!(catalog.operator_by_code("ECONET").unwrap().name, "Econet Wireless");
    assert_eq!(
        catalog.categories[0],
        Category {
            id: CategoryId(1),
            name: "Airtime".into(),
            description: "Mobile airtime top-ups".into(),
            logo: "airtime.png".into(),
        }
    );
}

#[test]
fn everything_that_a_row_of_zimbabwe_names_exists() {
    let catalog = zimbabwe().unwrap();
    let folder = FilePath::new(env!("CARGO_MANIFEST_DIR")).join("../api/logos");
    let logos = catalog.operators.iter().map(|o| &o.logo);
    let logos = logos.chain(catalog.categories.iter().map(|c| &c.logo));
    for logo in logos.chain(catalog.products.iter().map(|p| &p.logo)) {
        assert!(folder.join(logo).is_file(), "{logo}");
        assert!(folder.join(logo).with_extension("svg").is_file(), "{logo}");
    }
    for operator in &catalog.operators {
        assert!(catalog.country_of(operator).is_some(), "{}", operator.code);
        assert!(catalog.products.iter().any(|p| p.operator == operator.code));
    }
    for product in &catalog.products {
        assert!(catalog.operator_by_code(&product.operator).is_some(), "{}", product.name);
        assert!(catalog.category(product.category).is_some(), "{}", product.name);
        assert!(!product.receipt.is_empty(), "{}", product.name);
    }
    for category in &catalog.categories {
        assert!(catalog.products.iter().any(|p| p.category == category.id));
    }
    assert!(catalog.products.is_sorted_by_key(|p| p.id));
    assert!(catalog.operators.is_sorted_by_key(|o| o.id));
    assert_eq!(catalog.currencies(), [Currency::USD, Currency::ZWG]);
}

/// Apart from the texts that name the currency.
#[test]
fn a_product_in_two_currencies_differs_in_its_price_only() {
    let catalog = zimbabwe().unwrap();
    for name in [
        "econet_airtime",
        "netone_airtime",
        "telecel_airtime",
        "zetdc_prepaid",
        "telone_internet",
        "nyaradzo_policy",
        "harare_rates",
        "bulawayo_rates",
        "school_fees",
    ] {
        let product = catalog.product_by_name(name).unwrap();
        let other = catalog.product_by_name(&format!("{name}_zwg")).unwrap();
        assert_eq!(product.price.currency(), Currency::USD, "{name}");
        assert_eq!(other.price.currency(), Currency::ZWG, "{name}");
        let expected = Product {
            id: other.id,
            name: other.name.clone(),
            title: format!("{} (ZWG)", product.title),
            description: format!("{}, paid in ZWG", product.description),
            price: other.price,
            ..product.clone()
        };
        assert_eq!(*other, expected);
    }
    let of_zwg = |p: &&Product| p.price.currency() == Currency::ZWG;
    assert_eq!(catalog.products.iter().filter(of_zwg).count(), 9);
}

#[test]
fn airtime_has_its_operators_limits() {
    let catalog = zimbabwe().unwrap();
    for product in catalog.products.iter().filter(|p| p.kind == Kind::Recharge) {
        let operator = catalog.operator_by_code(&product.operator).unwrap();
        let currency = catalog.country_of(operator).unwrap().currency;
        if product.price.currency() == currency {
            assert_eq!(Some(product.price), operator.prepaid.map(Pricing::Range));
        }
    }
}

/// Also one with the last three digits that decide the outcome in the sandbox.
#[test]
fn every_bill_format_accepts_an_example() {
    let catalog = zimbabwe().unwrap();
    for product in &catalog.products {
        let operator = catalog.operator_by_code(&product.operator).unwrap();
        let numbering = &catalog.country_of(operator).unwrap().numbering;
        let form = product.bill.as_str();
        let example = format!("{}105", form.replace('X', "7").split_at(form.len() - 3).0);
        let read = product.bill_reference(&example, numbering);
        assert_eq!(read, Some(example), "{}", product.name);
        assert_eq!(product.bill_reference("1", numbering), None, "{}", product.name);
    }
    let meter = catalog.product_by_name("zetdc_prepaid").unwrap();
    assert_eq!(meter.bill.read("41234567890").as_deref(), Some("41234567890"));
}

#[test]
fn all_catalogs_together_route_every_product() {
    let catalogs = [bangladesh().unwrap(), zimbabwe().unwrap(), demo_routes().unwrap()];
    let routes: Vec<Route> = catalogs.iter().flat_map(|c| c.routes.clone()).collect();
    check_unique("route", routes.iter().map(|r| r.id.to_string())).unwrap();
    let operators = catalogs.iter().flat_map(|c| &c.operators);
    check_unique("operator", operators.clone().map(|o| o.id.to_string())).unwrap();
    let names = operators.flat_map(|o| o.aliases.iter().chain([&o.code]));
    check_unique("operator", names.map(|name| name.to_lowercase())).unwrap();

    let upstreams = ["simulator-a", "simulator-b"].map(UpstreamCode::new).to_vec();
    for product in &catalogs[1].products {
        for (environment, recipient, needs_approval) in [
            (Environment::Sandbox, "0771234567", false),
            (Environment::Sandbox, "0771234105", true),
            (Environment::Live, "0771234567", false),
            (Environment::Live, "0771234105", true),
        ] {
            let query = PriceQuery {
                account: AccountId(7),
                plan: None,
                environment,
                operator: &product.operator,
                kind: product.kind,
                product: Some(&product.name),
                recipient,
                amount: usd(100),
                at: Timestamp(0),
            };
            let expected = Path { upstreams: upstreams.clone(), needs_approval };
            assert_eq!(routing::path(&routes, &query), expected, "{}", product.name);
        }
    }
}

/// CONTRACT A-16, for an installation that has nothing of its own yet.
#[test]
fn mobile_banking_is_decided_by_staff_from_the_start() {
    let catalog = bangladesh().unwrap();
    let banks = catalog.operators.iter().filter(|o| o.service == Service::MobileBanking);
    let mut count = 0;
    for (bank, environment) in banks.flat_map(|o| Environment::ALL.map(|e| (o, e))) {
        count += 1;
        let query = PriceQuery {
            account: AccountId(7),
            plan: None,
            environment,
            operator: &bank.code,
            kind: Kind::Banking,
            product: None,
            recipient: "01712345101",
            amount: Money::new(50_000, Currency::BDT),
            at: Timestamp(0),
        };
        let path = routing::path(&catalog.routes, &query);
        assert!(path.needs_approval, "{} {}", bank.code, environment.code());
        // By default no live order reaches an upstream.
        assert_eq!(path.upstreams.is_empty(), environment == Environment::Live);
    }
    assert_eq!(count, 8, "bKash, Nagad, Rocket and Upay, in both environments");
}

#[test]
fn what_people_type_finds_the_products_of_zimbabwe() {
    let catalog = zimbabwe().unwrap();
    for (query, first, count) in [
        ("airtime", 1, 6),
        ("econt", 1, 5),
        ("netone data", 14, 2),
        ("zesa", 21, 2),
        ("electrcity", 21, 2),
        ("nyarazdo", 41, 2),
        ("dstv", 61, 1),
        ("school fees", 71, 2),
    ] {
        let found: Vec<i64> = search(&catalog, query, 50).into_iter().map(|p| p.id.0).collect();
        assert_eq!((found.first(), found.len()), (Some(&first), count), "{query}: {found:?}");
    }
    assert!(search(&catalog, "qqqq", 50).is_empty());
    for product in &catalog.products {
        assert_eq!(search(&catalog, &product.title, 1), [product]);
    }
}

const SMALL: &str = r#"
    [[country]]
    code = "ZW"
    name = "Zimbabwe"
    currency = "USD"
    numbering = { calling_code = "263", trunk = "0", length = 9, begins = "7" }
    [[operator]]
    id = 1
    code = "SCHOOLS"
    name = "School Fees"
    country = "ZW"
    service = "bill-payment"
    logo = "x.png"
    is_active = true
    [[category]]
    id = 1
    name = "Fees"
    description = ""
    logo = "x.png"
    [[product]]
    id = 7
    name = "fees"
    title = "Fees"
    description = ""
    ref_name = "fees"
    operator = "SCHOOLS"
    category = "Fees"
    kind = "bill"
    currency = "USD"
    least = "1"
    most = "5"
    bill_format = "XXXX"
    fields = [{ name = "term", label = "Term", required = false, format = "X" }]
    receipt = [["Account", "bill"], ["Term", "field term"]]
    logo = "x.png"
    is_active = true
"#;

#[test]
fn a_row_that_cannot_be_read_is_named() {
    let small = read(SMALL).unwrap();
    let term = &small.products[0].fields[0];
    assert_eq!((term.is_required, term.length_max), (false, 1));
    for (text, instead, expected) in [
        (r#""bill-payment""#, r#""bills""#, r#"operator 1 SCHOOLS: "bills" is not a known value"#),
        (r#"kind = "bill""#, r#"kind = "bil""#, r#"product 7 fees: "bil" is not a known value"#),
        (r#"operator = "S"#, r#"operator = "P"#, "product 7 fees: there is no operator"),
        (r#"category = "F"#, r#"category = "G"#, "product 7 fees: there is no category"),
        (
            r#"currency = "USD"
    least"#,
            r#"currency = "U$D"
    least"#,
            r#"product 7 fees: "U$D" is not a known value"#,
        ),
        (r#""XXXX""#, r#""four""#, r#"product 7 fees: "four" is not a known value"#),
        (r#"least = "1""#, r#"price = "1""#, "product 7 fees: it has either a price, or"),
        (r#"least = "1""#, "least = \"1\"\nprice = \"1\"", "product 7 fees: it has either"),
        (r#"least = "1""#, "", "product 7 fees: it has either a price, or a least and a most"),
        (r#"least = "1""#, r#"least = "6""#, "product 7 fees: 6 is more than 5"),
        (r#"least = "1""#, r#"least = "0""#, r#"product 7 fees: "0" is nothing to pay"#),
        (r#"least = "1""#, r#"least = "1,5""#, r#"product 7 fees: "1,5" is no amount"#),
        (r#"format = "X""#, r#"format = "1""#, r#"product 7 fees: field term: "1" is no"#),
        (r#""field term""#, r#""field year""#, r#"receipt line "Term": it does not ask for"#),
        (r#""bill"],"#, r#""bills"],"#, r#"receipt line "Account": "bills" is not a known value"#),
        ("ref_name = ", "ref_title = ", "unknown field `ref_title`"),
    ] {
        assert_eq!(SMALL.matches(text).count(), 1, "{text}");
        let error = format!("{:#}", read(&SMALL.replace(text, instead)).unwrap_err());
        assert!(error.contains(expected), "{instead}: {error}");
    }
}

#[test]
fn an_id_or_name_that_occurs_twice_is_an_error() {
    let (before, row) = SMALL.split_at(SMALL.find("[[product]]").unwrap());
    let twice = |row: &str, again: &str| {
        format!("{:#}", read(&format!("{before}{row}{again}")).unwrap_err())
    };
    assert_eq!(twice(row, &row.replace("\"fees\"", "\"more\"")), "product 7 is there twice");
    let eight = row.replace("id = 7", "id = 8");
    assert_eq!(twice(row, &eight), "product fees is there twice");
    assert_eq!(twice(row, &eight.replace("\"fees\"", "\"FEES\"")), "product fees is there twice");
    let term = "{ name = \"term\", label = \"\", required = true }";
    let terms = row.replace("fields = [", &format!("fields = [{term}, "));
    assert_eq!(twice(&terms, ""), "product 7 fees: field term is there twice");
}

//! The catalogs that come with Saldo: data files, read into the domain's types.
//!
//! Not here: where a catalog is stored. Invariant: what is read is whole: every product has its
//! operator, its category and one price, and no id or name is there twice. An error names its row.

use std::collections::BTreeSet;

use anyhow::{Context as _, anyhow, bail, ensure};
use domain::catalog::kind::Kind;
use domain::catalog::number::Numbering;
use domain::catalog::pricing::{PriceComponent, PriceRule};
use domain::catalog::product::{
    BillFormat, Category, CategoryId, Field, Part, Pricing, Product, ProductId, ReceiptLine,
};
use domain::catalog::routing::Route;
use domain::catalog::{AmountRange, Catalog, Country, OfferForm, Operator, Service};
use domain::money::{AmountError, Currency};
use domain::upstream::UpstreamCode;
use domain::{Environment, Money};
use serde::Deserialize;

/// The most characters of a field whose row does not say: a name fits, a story does not.
const FIELD_LENGTH_MAX: usize = 64;

const BANGLADESH: &str = include_str!("../catalog/bangladesh.toml");
const ZIMBABWE: &str = include_str!("../catalog/zimbabwe.toml");
const DEMO_ROUTES: &str = include_str!("../catalog/demo-routes.toml");

/// What is sold in Bangladesh, with routes for the sandbox.
pub(crate) fn bangladesh() -> anyhow::Result<Catalog> {
    read(BANGLADESH).context("the catalog of Bangladesh")
}

/// What is sold in Zimbabwe, by name; its airtime takes the sandbox's routes of Bangladesh.
pub(crate) fn zimbabwe() -> anyhow::Result<Catalog> {
    read(ZIMBABWE).context("the catalog of Zimbabwe")
}

/// The demo's live routes: played by the simulator.
pub(crate) fn demo_routes() -> anyhow::Result<Catalog> {
    read(DEMO_ROUTES).context("the demo's routes")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    country: Vec<CountryRow>,
    #[serde(default)]
    operator: Vec<OperatorRow>,
    #[serde(default)]
    category: Vec<CategoryRow>,
    #[serde(default)]
    product: Vec<ProductRow>,
    #[serde(default)]
    price: Vec<PriceRow>,
    #[serde(default)]
    route: Vec<RouteRow>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CountryRow {
    code: String,
    name: String,
    currency: String,
    numbering: NumberingRow,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NumberingRow {
    calling_code: String,
    trunk: String,
    length: usize,
    begins: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OperatorRow {
    id: i64,
    code: String,
    #[serde(default)]
    aliases: Vec<String>,
    name: String,
    country: String,
    service: String,
    logo: String,
    #[serde(default)]
    prefixes: Vec<String>,
    prepaid: Option<LimitsRow>,
    postpaid: Option<LimitsRow>,
    offers: Option<String>,
    is_active: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsRow {
    least: String,
    most: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CategoryRow {
    id: i64,
    name: String,
    description: String,
    logo: String,
}

/// Either `price`, or `least` and `most`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ProductRow {
    id: i64,
    name: String,
    title: String,
    description: String,
    ref_name: String,
    operator: String,
    category: String,
    kind: String,
    currency: String,
    price: Option<String>,
    least: Option<String>,
    most: Option<String>,
    bill_format: String,
    #[serde(default)]
    fields: Vec<FieldRow>,
    #[serde(default)]
    checks_bill: bool,
    #[serde(default)]
    receipt: Vec<(String, String)>,
    logo: String,
    is_active: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldRow {
    name: String,
    label: String,
    required: bool,
    format: Option<String>,
    length_most: Option<usize>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PriceRow {
    id: i64,
    charge: String,
    plan: Option<String>,
    operator: Option<String>,
    kind: Option<String>,
    currency: String,
    flat: Option<String>,
    #[serde(default)]
    share_ppm: i64,
    least: Option<String>,
    most: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RouteRow {
    id: i64,
    environment: String,
    operator: Option<String>,
    kind: Option<String>,
    recipient_ends: Option<String>,
    upstreams: Vec<String>,
    #[serde(default)]
    needs_approval: bool,
}

fn read(text: &str) -> anyhow::Result<Catalog> {
    let file: File = toml::from_str(text)?;
    let countries = each(file.country, |c| format!("country {}", c.code), country)?;
    let operators = each(
        file.operator,
        |o| format!("operator {} {}", o.id, o.code),
        |row| operator(row, &countries),
    )?;
    let categories =
        each(file.category, |c| format!("category {} {}", c.id, c.name), |row| Ok(category(row)))?;
    let products = each(
        file.product,
        |p| format!("product {} {}", p.id, p.name),
        |row| product(row, &operators, &categories),
    )?;
    let catalog = Catalog {
        prices: each(file.price, |p| format!("price {}", p.id), price)?,
        routes: each(file.route, |r| format!("route {}", r.id), route)?,
        countries,
        operators,
        categories,
        products,
    };
    check_once(&catalog)?;
    Ok(catalog)
}

/// Reads rows; an error says which one.
fn each<R, T>(
    rows: Vec<R>,
    name: impl Fn(&R) -> String,
    read: impl Fn(R) -> anyhow::Result<T>,
) -> anyhow::Result<Vec<T>> {
    let named = |row: R| {
        let name = name(&row);
        read(row).context(name)
    };
    rows.into_iter().map(named).collect()
}

/// No id and no name may be there twice: the later row would silently replace the earlier.
fn check_once(catalog: &Catalog) -> anyhow::Result<()> {
    let Catalog { countries, operators, categories, products, prices, routes } = catalog;
    once("country", countries.iter().map(|c| c.code.clone()))?;
    once("operator", operators.iter().map(|o| o.id.to_string()))?;
    once("operator", operators.iter().map(|o| o.code.to_lowercase()))?;
    once("category", categories.iter().map(|c| c.id.0.to_string()))?;
    once("category", categories.iter().map(|c| c.name.to_lowercase()))?;
    once("product", products.iter().map(|p| p.id.0.to_string()))?;
    once("product", products.iter().map(|p| p.name.to_lowercase()))?;
    once("price", prices.iter().map(|p| p.id.to_string()))?;
    once("route", routes.iter().map(|r| r.id.to_string()))
}

fn once(what: &str, names: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        ensure!(!seen.contains(&name), "{what} {name} is there twice");
        seen.insert(name);
    }
    Ok(())
}

fn word<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> anyhow::Result<T> {
    read(text).ok_or_else(|| anyhow!("{text:?} is no word for this"))
}

fn amount(text: &str, currency: Currency) -> anyhow::Result<Money> {
    match Money::parse(text, currency) {
        Ok(money) => Ok(money),
        Err(AmountError::Zero) => Ok(Money::zero(currency)),
        Err(error @ (AmountError::Form | AmountError::Decimals)) => {
            Err(anyhow!("{text:?} is no amount ({error:?})"))
        }
    }
}

fn country(row: CountryRow) -> anyhow::Result<Country> {
    let NumberingRow { calling_code, trunk, length, begins } = row.numbering;
    Ok(Country {
        currency: word(&row.currency, Currency::from_code)?,
        code: row.code,
        name: row.name,
        numbering: Numbering { calling_code, trunk, length, begins },
    })
}

fn operator(row: OperatorRow, countries: &[Country]) -> anyhow::Result<Operator> {
    let country = countries
        .iter()
        .find(|c| c.code == row.country)
        .with_context(|| format!("{} is in no country", row.code))?;
    let limits = |limits: Option<LimitsRow>| {
        let read = |l: LimitsRow| {
            Ok::<_, anyhow::Error>(AmountRange {
                min: amount(&l.least, country.currency)?,
                max: amount(&l.most, country.currency)?,
            })
        };
        limits.map(read).transpose()
    };
    Ok(Operator {
        id: row.id,
        code: row.code,
        aliases: row.aliases,
        name: row.name,
        country: row.country,
        service: word(&row.service, Service::from_slug)?,
        logo: row.logo,
        prefixes: row.prefixes,
        prepaid: limits(row.prepaid)?,
        postpaid: limits(row.postpaid)?,
        offers: row.offers.map(|form| word(&form, OfferForm::from_code)).transpose()?,
        is_active: row.is_active,
    })
}

fn category(row: CategoryRow) -> Category {
    let CategoryRow { id, name, description, logo } = row;
    Category { id: CategoryId(id), name, description, logo }
}

fn product(
    row: ProductRow,
    operators: &[Operator],
    categories: &[Category],
) -> anyhow::Result<Product> {
    let price = pricing(&row)?;
    let category = categories
        .iter()
        .find(|c| c.name == row.category)
        .with_context(|| format!("there is no category {:?}", row.category))?;
    ensure!(
        operators.iter().any(|o| o.code == row.operator),
        "there is no operator {:?}",
        row.operator
    );
    once("field", row.fields.iter().map(|f| f.name.clone()))?;
    let fields = each(row.fields, |f| format!("field {}", f.name), field)?;
    let line = |(label, part): (String, String)| {
        let part = word(&part, Part::from_code)?;
        if let Part::Field(name) = &part {
            ensure!(fields.iter().any(|f| f.name == *name), "it does not ask for {name:?}");
        }
        Ok(ReceiptLine { label, part })
    };
    Ok(Product {
        id: ProductId(row.id),
        name: row.name,
        title: row.title,
        description: row.description,
        ref_name: row.ref_name,
        operator: row.operator,
        category: category.id,
        kind: word(&row.kind, Kind::from_code)?,
        price,
        bill: word(&row.bill_format, BillFormat::new)?,
        receipt: each(row.receipt, |(label, _)| format!("receipt line {label:?}"), line)?,
        fields,
        checks_bill: row.checks_bill,
        logo: row.logo,
        is_active: row.is_active,
    })
}

fn pricing(row: &ProductRow) -> anyhow::Result<Pricing> {
    let currency = word(&row.currency, Currency::from_code)?;
    let above_zero = |text: &str| {
        let money = amount(text, currency)?;
        ensure!(money.is_positive(), "{text:?} is nothing to pay");
        Ok(money)
    };
    match (&row.price, &row.least, &row.most) {
        (Some(price), None, None) => Ok(Pricing::Fixed(above_zero(price)?)),
        (None, Some(least), Some(most)) => {
            let limits = AmountRange { min: above_zero(least)?, max: above_zero(most)? };
            ensure!(limits.min.minor() <= limits.max.minor(), "{least} is more than {most}");
            Ok(Pricing::Range(limits))
        }
        _ => bail!("it has either a price, or a least and a most"),
    }
}

fn field(row: FieldRow) -> anyhow::Result<Field> {
    let format = row.format.map(|format| word(&format, BillFormat::new)).transpose()?;
    let length = format.as_ref().map_or(FIELD_LENGTH_MAX, |format| format.as_str().len());
    Ok(Field {
        name: row.name,
        label: row.label,
        is_required: row.required,
        format,
        length_max: row.length_most.unwrap_or(length),
    })
}

fn price(row: PriceRow) -> anyhow::Result<PriceRule> {
    let currency = word(&row.currency, Currency::from_code)?;
    let optional = |text: Option<String>| text.map(|t| amount(&t, currency)).transpose();
    Ok(PriceRule {
        id: row.id,
        component: word(&row.charge, PriceComponent::from_code)?,
        account: None,
        plan: row.plan,
        operator: row.operator,
        kind: row.kind.map(|kind| word(&kind, Kind::from_code)).transpose()?,
        from: None,
        until: None,
        flat: optional(row.flat)?.unwrap_or(Money::zero(currency)),
        share_ppm: row.share_ppm,
        min: optional(row.least)?,
        max: optional(row.most)?,
    })
}

fn route(row: RouteRow) -> anyhow::Result<Route> {
    Ok(Route {
        id: row.id,
        environment: word(&row.environment, Environment::from_code)?,
        operator: row.operator,
        kind: row.kind.map(|kind| word(&kind, Kind::from_code)).transpose()?,
        recipient_ends: row.recipient_ends,
        upstreams: row.upstreams.iter().map(|code| UpstreamCode::new(code)).collect(),
        needs_approval: row.needs_approval,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::catalog::pricing::PriceQuery;
    use domain::catalog::routing::{self, Path};
    use domain::catalog::search::search;
    use domain::{AccountId, Timestamp};
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
        assert!(catalog.routes.iter().all(|r| r.environment == Environment::Sandbox));
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
    fn every_row_of_zimbabwe_has_what_it_speaks_of() {
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

    /// In both currencies, alike in all but the price and what says so.
    #[test]
    fn what_is_sold_in_two_currencies_is_one_thing() {
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

    /// Also with the sandbox's numbers, whose last three digits fix the outcome.
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
        once("route", routes.iter().map(|r| r.id.to_string())).unwrap();
        let operators = catalogs.iter().flat_map(|c| &c.operators);
        once("operator", operators.clone().map(|o| o.id.to_string())).unwrap();
        let names = operators.flat_map(|o| o.aliases.iter().chain([&o.code]));
        once("operator", names.map(|name| name.to_lowercase())).unwrap();

        let upstreams = ["simulator-a", "simulator-b"].map(UpstreamCode::new).to_vec();
        for product in &catalogs[1].products {
            for (environment, recipient, needs_approval) in [
                (Environment::Sandbox, "0771234567", false),
                (Environment::Sandbox, "0771234105", true),
                (Environment::Live, "0771234105", false),
            ] {
                let query = PriceQuery {
                    account: AccountId(7),
                    plan: None,
                    environment,
                    operator: &product.operator,
                    kind: product.kind,
                    recipient,
                    amount: usd(100),
                    at: Timestamp(0),
                };
                let expected = Path { upstreams: upstreams.clone(), needs_approval };
                assert_eq!(routing::path(&routes, &query), expected, "{}", product.name);
            }
        }
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
        country = [{ code = "ZW", name = "Zimbabwe", currency = "USD", numbering = { calling_code = "263", trunk = "0", length = 9, begins = "7" } }]
        operator = [{ id = 1, code = "SCHOOLS", name = "School Fees", country = "ZW", service = "bill-payment", logo = "x.png", is_active = true }]
        category = [{ id = 1, name = "Fees", description = "", logo = "x.png" }]
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
            (r#""bill-payment""#, r#""bills""#, r#"operator 1 SCHOOLS: "bills" is no word"#),
            (r#"kind = "bill""#, r#"kind = "bil""#, r#"product 7 fees: "bil" is no word"#),
            (r#"operator = "S"#, r#"operator = "P"#, "product 7 fees: there is no operator"),
            (r#"category = "F"#, r#"category = "G"#, "product 7 fees: there is no category"),
            (
                r#"currency = "USD"
        least"#,
                r#"currency = "U$D"
        least"#,
                r#"product 7 fees: "U$D" is no word"#,
            ),
            (r#""XXXX""#, r#""four""#, r#"product 7 fees: "four" is no word"#),
            (r#"least = "1""#, r#"price = "1""#, "product 7 fees: it has either a price, or"),
            (r#"least = "1""#, "least = \"1\"\nprice = \"1\"", "product 7 fees: it has either"),
            (r#"least = "1""#, "", "product 7 fees: it has either a price, or a least and a most"),
            (r#"least = "1""#, r#"least = "6""#, "product 7 fees: 6 is more than 5"),
            (r#"least = "1""#, r#"least = "0""#, r#"product 7 fees: "0" is nothing to pay"#),
            (r#"least = "1""#, r#"least = "1,5""#, r#"product 7 fees: "1,5" is no amount"#),
            (r#"format = "X""#, r#"format = "1""#, r#"product 7 fees: field term: "1" is no"#),
            (r#""field term""#, r#""field year""#, r#"receipt line "Term": it does not ask for"#),
            (r#""bill"],"#, r#""bills"],"#, r#"receipt line "Account": "bills" is no word"#),
            ("is_active = true\n    ", "is_live = true\n", "unknown field `is_live`"),
        ] {
            assert_eq!(SMALL.matches(text).count(), 1, "{text}");
            let error = format!("{:#}", read(&SMALL.replace(text, instead)).unwrap_err());
            assert!(error.contains(expected), "{instead}: {error}");
        }
    }

    #[test]
    fn nothing_is_there_twice() {
        let (before, row) = SMALL.split_at(SMALL.find("[[product]]").unwrap());
        let twice = |row: &str, again: &str| {
            format!("{:#}", read(&format!("{before}{row}{again}")).unwrap_err())
        };
        assert_eq!(twice(row, &row.replace("\"fees\"", "\"more\"")), "product 7 is there twice");
        let eight = row.replace("id = 7", "id = 8");
        assert_eq!(twice(row, &eight), "product fees is there twice");
        assert_eq!(
            twice(row, &eight.replace("\"fees\"", "\"FEES\"")),
            "product fees is there twice"
        );
        let term = "{ name = \"term\", label = \"\", required = true }";
        let terms = row.replace("fields = [", &format!("fields = [{term}, "));
        assert_eq!(twice(&terms, ""), "product 7 fees: field term is there twice");
    }
}

//! The built-in catalogs: TOML files, read into the domain's types.
//!
//! Not here: where a catalog is stored. Invariant: a catalog that is read without an error is
//! complete: every product has its operator, its category and one price, and no id and no name
//! occurs twice. An error names its row.

mod rows;
#[cfg(test)]
mod tests;
mod write;

pub(crate) use write::write;

use anyhow::{Context as _, anyhow, bail, ensure};
use domain::{
    AccountId, AmountError, AmountRange, BillFormat, Catalog, Category, CategoryId, Country,
    Currency, Environment, Field, Kind, Money, Numbering, OfferForm, Operator, Part,
    PriceComponent, PriceRule, Pricing, Product, ProductId, ReceiptLine, Route, Service, Timestamp,
    UpstreamCode,
};
use rows::{
    CatalogFile, CategoryRow, CountryRow, FieldRow, LimitsRow, NumberingRow, OperatorRow, PriceRow,
    ProductRow, RouteRow,
};
use std::collections::BTreeSet;

/// The longest value of a field whose row gives no length, in characters: long enough for a name.
const FIELD_LENGTH_MAX: usize = 64;

const BANGLADESH: &str = include_str!("../../catalog/bangladesh.toml");
const ZIMBABWE: &str = include_str!("../../catalog/zimbabwe.toml");
const DEMO_ROUTES: &str = include_str!("../../catalog/demo-routes.toml");

/// What is sold in Bangladesh, with routes for the sandbox.
pub(crate) fn bangladesh() -> anyhow::Result<Catalog> {
    read(BANGLADESH).context("the catalog of Bangladesh")
}

/// What is sold in Zimbabwe, as named products. Its airtime uses the sandbox routes of the catalog
/// of Bangladesh, which hold for every operator.
pub(crate) fn zimbabwe() -> anyhow::Result<Catalog> {
    read(ZIMBABWE).context("the catalog of Zimbabwe")
}

/// The built-in catalogs.
pub(crate) fn built_in() -> anyhow::Result<[Catalog; 2]> {
    Ok([bangladesh()?, zimbabwe()?])
}

/// A catalog file's rows over what is there: a row may name an operator or a category that the file
/// does not have.
pub(crate) fn read_over(text: &str, known: &Catalog) -> anyhow::Result<Catalog> {
    read_with(text, known)
}

/// The demo's routes of the live environment: they lead to the simulator.
pub(crate) fn demo_routes() -> anyhow::Result<Catalog> {
    read(DEMO_ROUTES).context("the demo's routes")
}

fn read(text: &str) -> anyhow::Result<Catalog> {
    read_with(text, &Catalog::default())
}

fn read_with(text: &str, known: &Catalog) -> anyhow::Result<Catalog> {
    let file: CatalogFile = toml::from_str(text)?;
    let countries = read_all(file.country, |c| format!("country {}", c.code), country)?;
    let operators = read_all(
        file.operator,
        |o| format!("operator {} {}", o.id, o.code),
        |row| operator(row, &[&countries[..], &known.countries].concat()),
    )?;
    let categories =
        read_all(file.category, |c| format!("category {} {}", c.id, c.name), category)?;
    let products = read_all(
        file.product,
        |p| format!("product {} {}", p.id, p.name),
        |row| {
            let operators = [&operators[..], &known.operators].concat();
            product(row, &operators, &[&categories[..], &known.categories].concat())
        },
    )?;
    let catalog = Catalog {
        prices: read_all(file.price, |p| format!("price {}", p.id), price)?,
        routes: read_all(file.route, |r| format!("route {}", r.id), route)?,
        countries,
        operators,
        categories,
        products,
    };
    check_unique_ids(&catalog)?;
    Ok(catalog)
}

/// Converts rows; an error starts with the name of the row.
fn read_all<R, T>(
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

/// No id and no name may occur twice: the later row would silently replace the earlier one.
fn check_unique_ids(catalog: &Catalog) -> anyhow::Result<()> {
    let Catalog { countries, operators, categories, products, prices, routes } = catalog;
    check_unique("country", countries.iter().map(|c| c.code.clone()))?;
    check_unique("operator", operators.iter().map(|o| o.id.to_string()))?;
    check_unique("operator", operators.iter().map(|o| o.code.to_lowercase()))?;
    check_unique("category", categories.iter().map(|c| c.id.0.to_string()))?;
    check_unique("category", categories.iter().map(|c| c.name.to_lowercase()))?;
    check_unique("product", products.iter().map(|p| p.id.0.to_string()))?;
    check_unique("product", products.iter().map(|p| p.name.to_lowercase()))?;
    check_unique("price", prices.iter().map(|p| p.id.to_string()))?;
    check_unique("route", routes.iter().map(|r| r.id.to_string()))
}

fn check_unique(what: &str, names: impl Iterator<Item = String>) -> anyhow::Result<()> {
    let mut seen = BTreeSet::new();
    for name in names {
        ensure!(seen.insert(name.clone()), "{what} {name} is there twice");
    }
    Ok(())
}

fn parse<T>(text: &str, read: impl Fn(&str) -> Option<T>) -> anyhow::Result<T> {
    read(text).ok_or_else(|| anyhow!("{text:?} is not a known value"))
}

fn amount(text: &str, currency: Currency) -> anyhow::Result<Money> {
    match Money::parse(text, currency) {
        Ok(money) => Ok(money),
        Err(AmountError::Zero) => Ok(Money::zero(currency)),
        Err(error) => Err(anyhow!("{text:?} is no amount ({error:?})")),
    }
}

fn country(row: CountryRow) -> anyhow::Result<Country> {
    let NumberingRow { calling_code, trunk, length, begins } = row.numbering;
    Ok(Country {
        currency: parse(&row.currency, Currency::from_code)?,
        code: row.code,
        name: row.name,
        numbering: Numbering { calling_code, trunk, length, begins },
    })
}

fn operator(row: OperatorRow, countries: &[Country]) -> anyhow::Result<Operator> {
    let country = countries.iter().find(|c| c.code == row.country);
    let currency = country.with_context(|| format!("{} is in no country", row.code))?.currency;
    let limits = |l: LimitsRow| {
        let (min, max) = (amount(&l.least, currency)?, amount(&l.most, currency)?);
        anyhow::Ok(AmountRange { min, max })
    };
    Ok(Operator {
        id: row.id,
        code: row.code,
        aliases: row.aliases,
        name: row.name,
        country: row.country,
        service: parse(&row.service, Service::from_slug)?,
        logo: row.logo,
        prefixes: row.prefixes,
        prepaid: row.prepaid.map(limits).transpose()?,
        postpaid: row.postpaid.map(limits).transpose()?,
        offers: row.offers.map(|form| parse(&form, OfferForm::from_code)).transpose()?,
        is_active: row.is_active,
    })
}

fn category(row: CategoryRow) -> anyhow::Result<Category> {
    let CategoryRow { id, name, description, logo } = row;
    Ok(Category { id: CategoryId(id), name, description, logo })
}

fn product(
    row: ProductRow,
    operators: &[Operator],
    categories: &[Category],
) -> anyhow::Result<Product> {
    let price = pricing(&row)?;
    let category = categories.iter().find(|c| c.name == row.category);
    let category = category.with_context(|| format!("there is no category {:?}", row.category))?;
    let is_known = operators.iter().any(|o| o.code == row.operator);
    ensure!(is_known, "there is no operator {:?}", row.operator);
    check_unique("field", row.fields.iter().map(|f| f.name.clone()))?;
    let fields = read_all(row.fields, |f| format!("field {}", f.name), field)?;
    let line = |(label, part): (String, String)| {
        let part = parse(&part, Part::from_code)?;
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
        kind: parse(&row.kind, Kind::from_code)?,
        price,
        bill: parse(&row.bill_format, BillFormat::new)?,
        receipt: read_all(row.receipt, |(label, _)| format!("receipt line {label:?}"), line)?,
        fields,
        checks_bill: row.checks_bill,
        logo: row.logo,
        is_active: row.is_active,
    })
}

fn pricing(row: &ProductRow) -> anyhow::Result<Pricing> {
    let currency = parse(&row.currency, Currency::from_code)?;
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

fn moment(text: &str) -> anyhow::Result<Timestamp> {
    let at: jiff::Timestamp =
        text.parse().with_context(|| format!("{text:?} is not a moment of RFC 3339"))?;
    Ok(Timestamp(at.as_microsecond()))
}

fn field(row: FieldRow) -> anyhow::Result<Field> {
    let format = row.format.map(|format| parse(&format, BillFormat::new)).transpose()?;
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
    let currency = parse(&row.currency, Currency::from_code)?;
    let optional = |text: Option<String>| text.map(|t| amount(&t, currency)).transpose();
    Ok(PriceRule {
        id: row.id,
        component: parse(&row.charge, PriceComponent::from_code)?,
        account: row.account.map(AccountId),
        plan: row.plan,
        operator: row.operator,
        kind: row.kind.map(|kind| parse(&kind, Kind::from_code)).transpose()?,
        from: row.from.map(|text| moment(&text)).transpose()?,
        until: row.until.map(|text| moment(&text)).transpose()?,
        flat: optional(row.flat)?.unwrap_or(Money::zero(currency)),
        share_ppm: row.share_ppm,
        min: optional(row.least)?,
        max: optional(row.most)?,
    })
}

fn route(row: RouteRow) -> anyhow::Result<Route> {
    Ok(Route {
        id: row.id,
        environment: parse(&row.environment, Environment::from_code)?,
        operator: row.operator,
        kind: row.kind.map(|kind| parse(&kind, Kind::from_code)).transpose()?,
        recipient_ends: row.recipient_ends,
        product: row.product,
        account: row.account.map(AccountId),
        upstreams: row.upstreams.iter().map(|code| UpstreamCode::new(code)).collect(),
        needs_approval: row.needs_approval,
    })
}

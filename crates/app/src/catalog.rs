//! The catalogs that come with Saldo: data files, read into the domain's types.

use anyhow::{Context as _, anyhow};
use domain::catalog::{Catalog, Country, Kind, Limits, OfferForm, Operator, Service};
use domain::money::{AmountError, Currency};
use domain::number::Numbering;
use domain::pricing::{Charge, PriceRule};
use domain::routing::Route;
use domain::upstream::UpstreamCode;
use domain::{Environment, Money};
use serde::Deserialize;

const BANGLADESH: &str = include_str!("../catalog/bangladesh.toml");
const DEMO_ROUTES: &str = include_str!("../catalog/demo-routes.toml");

/// What is sold in Bangladesh, with routes for the sandbox.
pub(crate) fn bangladesh() -> anyhow::Result<Catalog> {
    read(BANGLADESH).context("the catalog of Bangladesh")
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
    let countries = file.country.into_iter().map(country).collect::<anyhow::Result<Vec<_>>>()?;
    let operators = file.operator.into_iter().map(|row| operator(row, &countries));
    Ok(Catalog {
        operators: operators.collect::<anyhow::Result<_>>()?,
        countries,
        categories: Vec::new(),
        products: Vec::new(),
        prices: file.price.into_iter().map(price).collect::<anyhow::Result<_>>()?,
        routes: file.route.into_iter().map(route).collect::<anyhow::Result<_>>()?,
    })
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
            Ok::<_, anyhow::Error>(Limits {
                least: amount(&l.least, country.currency)?,
                most: amount(&l.most, country.currency)?,
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

fn price(row: PriceRow) -> anyhow::Result<PriceRule> {
    let currency = word(&row.currency, Currency::from_code)?;
    let optional = |text: Option<String>| text.map(|t| amount(&t, currency)).transpose();
    Ok(PriceRule {
        id: row.id,
        charge: word(&row.charge, Charge::from_code)?,
        account: None,
        plan: row.plan,
        operator: row.operator,
        kind: row.kind.map(|kind| word(&kind, Kind::from_code)).transpose()?,
        from: None,
        until: None,
        flat: optional(row.flat)?.unwrap_or(Money::zero(currency)),
        share_ppm: row.share_ppm,
        least: optional(row.least)?,
        most: optional(row.most)?,
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
}

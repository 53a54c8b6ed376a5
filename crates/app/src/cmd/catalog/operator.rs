//! `saldo operator`: who delivers to the end customer.

use super::{ByArgs, MadeRows, next_id, set_rows};
use crate::cmd::Caller;
use crate::output::Output;
use anyhow::{Context as _, Result, bail};
use domain::{AmountRange, Catalog, Currency, Money, OfferForm, Operator, Service};
use serde_json::{Value, json};

#[derive(clap::Subcommand, Debug)]
pub(crate) enum OperatorVerb {
    /// Make an operator, or change what is given here of one.
    Set(Box<OperatorArgs>),
    /// List all, those that are off too.
    List {
        /// Print JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Show one.
    Show {
        /// Its code or another name.
        code: String,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Sell and list it no longer; `set CODE` sells it again.
    Off {
        /// Its code or another name.
        code: String,
        #[command(flatten)]
        by: ByArgs,
    },
}

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct OperatorArgs {
    /// Its code: GP. A new one is made.
    code: String,
    /// For people.
    #[arg(long)]
    name: Option<String>,
    /// ISO 3166 code of its country; of a new one only.
    #[arg(long)]
    country: Option<String>,
    /// mobile-recharge, mobile-banking or bill-payment; of a new one only.
    #[arg(long)]
    service: Option<String>,
    /// Other names for it, in place of those that it has: gp,grameenphone.
    #[arg(long, value_delimiter = ',')]
    aliases: Option<Vec<String>>,
    /// The usual first digits of its numbers.
    #[arg(long, value_delimiter = ',')]
    prefixes: Option<Vec<String>>,
    /// Amounts of prepaid purchases: 10-5000, or none.
    #[arg(long, value_name = "MIN-MAX")]
    prepaid: Option<String>,
    /// Amounts of postpaid purchases: 10-5000, or none.
    #[arg(long, value_name = "MIN-MAX")]
    postpaid: Option<String>,
    /// How its offers are bought: ticket, offer-and-tran, campaign, or none.
    #[arg(long)]
    offers: Option<String>,
    /// The file name of its logo.
    #[arg(long)]
    logo: Option<String>,
    #[command(flatten)]
    by: ByArgs,
}

pub(crate) async fn run(on: &Caller<'_>, verb: OperatorVerb, output: &mut Output) -> Result<u8> {
    let engine = on.engine;
    let catalog = engine.catalog();
    match verb {
        OperatorVerb::Set(args) => {
            let make = |catalog: &Catalog| {
                let operator = operator((*args).clone(), catalog)?;
                let shown = operator.code.clone();
                let rows = Catalog { operators: vec![operator], ..Catalog::default() };
                Ok(MadeRows { rows, shown })
            };
            let code = set_rows(engine, &args.by.by, make).await?;
            output.say(format!("{code} is set; it is sold where a route leads."));
        }
        OperatorVerb::List { json } => {
            for operator in &catalog.operators {
                output.row(json, value(operator), line(operator));
            }
        }
        OperatorVerb::Show { code, json } => {
            let operator = found(&catalog, &code)?;
            output.row(json, value(operator), line(operator));
        }
        OperatorVerb::Off { code, by } => {
            let make = |catalog: &Catalog| {
                let operator = Operator { is_active: false, ..found(catalog, &code)?.clone() };
                let shown = operator.code.clone();
                let rows = Catalog { operators: vec![operator], ..Catalog::default() };
                Ok(MadeRows { rows, shown })
            };
            let code = set_rows(engine, &by.by, make).await?;
            output.say(format!("{code} is sold no longer."));
        }
    }
    Ok(0)
}

fn found<'a>(catalog: &'a Catalog, name: &str) -> Result<&'a Operator> {
    let found = catalog.operators.iter().find(|operator| operator.is_called(name));
    found.with_context(|| format!("There is no operator {name}."))
}

/// The code of the operator that a rule is about; none if it is about all.
pub(super) fn code_of(catalog: &Catalog, name: Option<&str>) -> Result<Option<String>> {
    name.map(|name| Ok(found(catalog, name)?.code.clone())).transpose()
}

fn operator(args: OperatorArgs, catalog: &Catalog) -> Result<Operator> {
    let known = catalog.operators.iter().find(|operator| operator.is_called(&args.code));
    let mut operator = match known {
        Some(known) => {
            let is_moved = args.country.as_ref().is_some_and(|country| *country != known.country)
                || args.service.as_ref().is_some_and(|slug| slug != known.service.slug());
            if is_moved {
                bail!("The country and the service of {} stay as they are.", known.code);
            }
            known.clone()
        }
        None => {
            let (Some(country), Some(slug)) = (&args.country, &args.service) else {
                bail!("{} is new: give --country and --service.", args.code);
            };
            let service = Service::from_slug(slug);
            let service = service.with_context(|| format!("There is no service {slug}."))?;
            let code = args.code.to_uppercase();
            Operator {
                id: next_id(catalog.operators.iter().map(|operator| operator.id)),
                name: code.clone(),
                aliases: vec![code.to_lowercase()],
                logo: format!("{}.svg", code.to_lowercase()),
                code,
                country: country.clone(),
                service,
                prefixes: Vec::new(),
                prepaid: None,
                postpaid: None,
                offers: None,
                is_active: true,
            }
        }
    };
    let country = catalog.country_of(&operator);
    let country = country.with_context(|| format!("There is no country {}.", operator.country))?;
    let currency = country.currency;
    operator.is_active = true;
    operator.name = args.name.unwrap_or(operator.name);
    operator.logo = args.logo.unwrap_or(operator.logo);
    operator.aliases = args.aliases.unwrap_or(operator.aliases);
    operator.prefixes = args.prefixes.unwrap_or(operator.prefixes);
    if let Some(text) = args.prepaid {
        operator.prepaid = limits(&text, currency)?;
    }
    if let Some(text) = args.postpaid {
        operator.postpaid = limits(&text, currency)?;
    }
    if let Some(text) = args.offers {
        operator.offers = match text.as_str() {
            "none" => None,
            code => {
                let form = OfferForm::from_code(code);
                Some(form.with_context(|| format!("There is no form of offers {code}."))?)
            }
        };
    }
    Ok(operator)
}

/// `10-5000` in a currency; `none`: not sold.
pub(super) fn limits(text: &str, currency: Currency) -> Result<Option<AmountRange>> {
    if text == "none" {
        return Ok(None);
    }
    let amount = |text: &str| Money::parse(text.trim(), currency).ok();
    let range = text.split_once('-').and_then(|(min, max)| Some((amount(min)?, amount(max)?)));
    let (min, max) = range.with_context(|| {
        format!("{text:?} are no limits in {}: write 10-5000, or none.", currency.code())
    })?;
    Ok(Some(AmountRange { min, max }))
}

fn shown_limits(range: Option<AmountRange>) -> Option<String> {
    range.map(|range| format!("{}-{}", range.min.exact(), range.max.exact()))
}

fn value(operator: &Operator) -> Value {
    json!({
        "id": operator.id,
        "code": operator.code,
        "name": operator.name,
        "country": operator.country,
        "service": operator.service.slug(),
        "aliases": operator.aliases,
        "prefixes": operator.prefixes,
        "prepaid": shown_limits(operator.prepaid),
        "postpaid": shown_limits(operator.postpaid),
        "offers": operator.offers.map(OfferForm::code),
        "logo": operator.logo,
        "is_active": operator.is_active,
    })
}

fn line(operator: &Operator) -> String {
    let sold = |name, range| shown_limits(range).map(|range| format!(", {name} {range}"));
    format!(
        "{}  {}, {}, {}{}{}{}",
        operator.code,
        operator.name,
        operator.country,
        operator.service.slug(),
        sold("prepaid", operator.prepaid).unwrap_or_default(),
        sold("postpaid", operator.postpaid).unwrap_or_default(),
        if operator.is_active { "" } else { ", off" },
    )
}

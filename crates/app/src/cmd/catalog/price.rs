//! `saldo price`: the rules for fees and commissions.

use super::{ByArgs, MadeRows, change, next_id, operator, set_rows};
use crate::cmd::{Caller, currency, instant, kind, moment};
use crate::output::Output;
use anyhow::{Context as _, Result, bail};
use domain::{
    AccountId, AmountError, Catalog, Currency, Kind, Money, PriceComponent, PriceRule, Timestamp,
};
use engine::CatalogChange;
use serde_json::{Value, json};

#[derive(clap::Subcommand, Debug)]
pub(crate) enum PriceVerb {
    /// Make a rule, or replace the one with the same conditions. The most specific rule counts.
    Set(Box<PriceArgs>),
    /// List all rules.
    List {
        /// Print JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Show one.
    Show {
        /// Its number.
        id: i64,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Remove one. What was sold keeps its price.
    Off {
        /// Its number.
        id: i64,
        #[command(flatten)]
        by: ByArgs,
    },
}

#[derive(clap::Args, Clone, Debug)]
pub(crate) struct PriceArgs {
    /// fee (the account pays it) or commission (it earns it).
    #[arg(long)]
    charge: String,
    /// For this account only.
    #[arg(long)]
    account: Option<i64>,
    /// For this plan only: starter, business, enterprise.
    #[arg(long)]
    plan: Option<String>,
    /// For this operator only.
    #[arg(long)]
    operator: Option<String>,
    /// For this kind only: recharge, offer, banking, bundle, bill.
    #[arg(long, value_parser = kind)]
    kind: Option<Kind>,
    /// In which currency purchases are that it holds for.
    #[arg(long, default_value = "BDT", value_parser = currency)]
    currency: Currency,
    /// A fixed part: 0.50
    #[arg(long)]
    flat: Option<String>,
    /// A part of the amount: 1.5
    #[arg(long)]
    percent: Option<String>,
    /// At least this much.
    #[arg(long)]
    min: Option<String>,
    /// At most this much.
    #[arg(long)]
    max: Option<String>,
    /// From this moment: 2026-12-01T00:00:00Z
    #[arg(long, value_parser = instant)]
    from: Option<Timestamp>,
    /// Until this moment.
    #[arg(long, value_parser = instant)]
    until: Option<Timestamp>,
    #[command(flatten)]
    by: ByArgs,
}

pub(crate) async fn run(on: &Caller<'_>, verb: PriceVerb, output: &mut Output) -> Result<u8> {
    let engine = on.engine;
    let catalog = engine.catalog();
    match verb {
        PriceVerb::Set(args) => {
            let make = |catalog: &Catalog| {
                let rule = rule((*args).clone(), catalog)?;
                let shown = rule.id;
                let rows = Catalog { prices: vec![rule], ..Catalog::default() };
                Ok(MadeRows { rows, shown })
            };
            let id = set_rows(engine, &args.by.by, make).await?;
            output.say(format!("Price {id} is set; it holds for what is sold from now on."));
        }
        PriceVerb::List { json } => {
            for rule in &catalog.prices {
                output.row(json, value(rule), line(rule));
            }
        }
        PriceVerb::Show { id, json } => {
            let rule = catalog.prices.iter().find(|rule| rule.id == id);
            let rule = rule.with_context(|| format!("There is no price {id}."))?;
            output.row(json, value(rule), line(rule));
        }
        PriceVerb::Off { id, by } => {
            let removed = CatalogChange { removed_prices: vec![id], ..CatalogChange::default() };
            change(engine, &by.by, removed).await?;
            output.say(format!("Price {id} is removed."));
        }
    }
    Ok(0)
}

fn rule(args: PriceArgs, catalog: &Catalog) -> Result<PriceRule> {
    let component = PriceComponent::from_code(&args.charge);
    let component = component.context("--charge is fee or commission.")?;
    let operator = operator::code_of(catalog, args.operator.as_deref())?;
    let amount = |text: Option<String>| text.map(|text| money(&text, args.currency)).transpose();
    let flat = amount(args.flat)?;
    let share_ppm = args.percent.as_deref().map(ppm).transpose()?;
    if flat.is_none() && share_ppm.is_none() {
        bail!("Give --flat, --percent, or both; --flat 0 for nothing.");
    }
    let mut rule = PriceRule {
        id: next_id(catalog.prices.iter().map(|rule| rule.id)),
        component,
        account: args.account.map(AccountId),
        plan: args.plan,
        operator,
        kind: args.kind,
        from: args.from,
        until: args.until,
        flat: flat.unwrap_or(Money::zero(args.currency)),
        share_ppm: share_ppm.unwrap_or_default(),
        min: amount(args.min)?,
        max: amount(args.max)?,
    };
    let known = catalog.prices.iter().find(|known| known.has_conditions_of(&rule));
    rule.id = known.map_or(rule.id, |known| known.id);
    Ok(rule)
}

fn money(text: &str, currency: Currency) -> Result<Money> {
    match Money::parse(text, currency) {
        Ok(money) => Ok(money),
        Err(AmountError::Zero) => Ok(Money::zero(currency)),
        Err(_) => bail!("{text:?} is no amount in {}.", currency.code()),
    }
}

/// A percentage in millionths: `1.5` is 15,000.
fn ppm(text: &str) -> Result<i64> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let digits = format!("{whole}{fraction:0<4}");
    let is_percentage =
        !whole.is_empty() && fraction.len() <= 4 && digits.bytes().all(|b| b.is_ascii_digit());
    let read = digits.parse().ok().filter(|ppm| is_percentage && *ppm <= 1_000_000);
    read.with_context(|| format!("{text:?} is no percentage such as 1.5."))
}

fn value(rule: &PriceRule) -> Value {
    json!({
        "id": rule.id,
        "charge": rule.component.code(),
        "account": rule.account.map(|account| account.0),
        "plan": rule.plan,
        "operator": rule.operator,
        "kind": rule.kind.map(Kind::code),
        "currency": rule.flat.currency().code(),
        "flat": rule.flat.exact(),
        "percent": percent(rule.share_ppm),
        "min": rule.min.map(Money::exact),
        "max": rule.max.map(Money::exact),
        "from": rule.from.map(moment),
        "until": rule.until.map(moment),
    })
}

fn percent(ppm: i64) -> String {
    let text = format!("{}.{:04}", ppm / 10_000, ppm % 10_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn line(rule: &PriceRule) -> String {
    let named = [
        ("account", rule.account.map(|account| account.to_string())),
        ("plan", rule.plan.clone()),
        ("operator", rule.operator.clone()),
        ("kind", rule.kind.map(|kind| kind.code().to_owned())),
        ("from", rule.from.map(moment)),
        ("until", rule.until.map(moment)),
        ("at least", rule.min.map(Money::exact)),
        ("at most", rule.max.map(Money::exact)),
    ];
    let named = named.into_iter().filter_map(|(name, value)| Some(format!(", {name} {}", value?)));
    format!(
        "{}  {}: {} + {} %{}",
        rule.id,
        rule.component.code(),
        rule.flat,
        percent(rule.share_ppm),
        named.collect::<String>(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentage_is_exact() {
        for (text, expected) in [("1.5", 15_000), ("0.5", 5_000), ("100", 1_000_000), ("0.0001", 1)]
        {
            assert_eq!(ppm(text).unwrap(), expected, "{text}");
            assert_eq!(percent(expected), text);
        }
        for wrong in ["", "-1", "1.00001", "101", "1e1", ".5"] {
            assert!(ppm(wrong).is_err(), "{wrong}");
        }
    }
}

//! `saldo plan`: which account may call how often, and until when; on which terms plans are sold,
//! and months that are bought.
//!
//! Without a plan nothing is sold to an account's keys, and they see no offers (CONTRACT A-41). Not
//! here: months that are given (`saldo account subscribe`), and what a plan's purchases cost
//! (`saldo price set --plan`).

use crate::cmd::{Caller, currency, instant, known_account, moment, parsed_amount};
use crate::output::Output;
use crate::wiring::{machine, refused};
use anyhow::{Context as _, Result, bail, ensure};
use domain::account::HOUSE;
use domain::{Account, AccountId, Currency, Plan, PlanKind, PlanTerms, Subscription, Timestamp};
use engine::{PlanBought, PlanChange, PlanOrder, PlanPrice};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(clap::Subcommand, Debug)]
pub(crate) enum PlanVerb {
    /// Give an account a plan, or change what is given here of the one that it has. It counts at
    /// once.
    Set(PlanArgs),
    /// List the plan of each account.
    List {
        /// Print JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Show an account's.
    Show {
        /// Which account.
        account: i64,
        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// List on which terms plans are sold.
    Terms {
        /// Print JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Change a plan's price or calls a minute. It counts at once, for every account on the plan;
    /// what is paid stays.
    Define(DefineArgs),
    /// Buy months of a plan for an account from its live wallet. They are added to what is left.
    Buy(BuyArgs),
    /// Say whether an account's plan is renewed by itself, month by month.
    Renewal {
        /// Which account.
        account: i64,
        /// From the live wallet, in its last day, at the price of that day.
        #[arg(long, required_unless_present = "off", conflicts_with = "off")]
        on: bool,
        /// Not.
        #[arg(long)]
        off: bool,
        /// The wallet that pays.
        #[arg(long, default_value = "BDT", value_parser = currency)]
        currency: Currency,
        /// Who sets it.
        #[arg(long)]
        by: String,
    },
    /// End an account's plan now.
    Off {
        /// Which account.
        account: i64,
        /// Who does it.
        #[arg(long, default_value = "")]
        by: String,
    },
}

#[derive(clap::Args, Debug)]
pub(crate) struct PlanArgs {
    /// Which account.
    account: i64,
    /// starter, business or enterprise.
    #[arg(long)]
    plan: Option<String>,
    /// Calls a minute, of the enterprise plan only.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    per_minute: Option<u32>,
    /// Until this moment: 2027-11-30T00:00:00Z
    #[arg(long, value_parser = instant)]
    until: Option<Timestamp>,
    /// Who does it.
    #[arg(long, default_value = "")]
    by: String,
}

#[derive(clap::Args, Debug)]
pub(crate) struct DefineArgs {
    /// starter, business or enterprise.
    plan: String,
    /// What a month costs: 500.00
    #[arg(long, conflicts_with = "no_price")]
    price: Option<String>,
    /// It is not sold in this currency.
    #[arg(long)]
    no_price: bool,
    /// In what. Accounts pay in the currency of their wallets.
    #[arg(long, default_value = "BDT", value_parser = currency)]
    currency: Currency,
    /// Calls a minute; of enterprise, where nothing else is agreed with an account.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    per_minute: Option<u32>,
    /// Who changes it.
    #[arg(long)]
    by: String,
}

#[derive(clap::Args, Debug)]
pub(crate) struct BuyArgs {
    /// Which account.
    account: i64,
    /// starter, business or enterprise.
    #[arg(long)]
    plan: String,
    /// For how many calendar months.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=120))]
    months: u32,
    /// The wallet that pays.
    #[arg(long, default_value = "BDT", value_parser = currency)]
    currency: Currency,
    /// The invoice's number, or any other text: the account is charged once under it.
    #[arg(long)]
    reference: String,
    /// What is left of another plan may end now.
    #[arg(long)]
    end_other: bool,
    /// Who buys it.
    #[arg(long)]
    by: String,
}

pub(crate) async fn run(on: &Caller<'_>, verb: PlanVerb, output: &mut Output) -> Result<u8> {
    let engine = on.engine;
    match verb {
        PlanVerb::Set(args) => {
            let now = engine.now();
            let account = change(on, args.account, &args.by, |before| {
                let subscription = changed(before, &args, now, |kind| engine.plan(kind))?;
                Ok(Some(subscription))
            });
            output.line(line(&account.await?));
        }
        PlanVerb::List { json } => {
            for account in engine.accounts()?.iter().filter(|account| account.id != HOUSE) {
                output.row(json, value(account), line(account));
            }
        }
        PlanVerb::Show { account, json } => {
            let account = found(on, account)?;
            let renewal = engine.plan_renewal(account.id).map_err(refused)?;
            let mut shown = value(&account);
            shown["renewed_from"] = renewal.map(|currency| currency.code()).into();
            let renewed = renewal.map_or("", |_| ", renewed by itself");
            output.row(json, shown, format!("{}{renewed}", line(&account)));
        }
        PlanVerb::Terms { json } => {
            for terms in engine.plan_terms().iter() {
                output.row(json, terms_value(terms), terms_line(terms));
            }
        }
        PlanVerb::Define(args) => {
            let kind = plan_kind(&args.plan)?;
            let price = match &args.price {
                Some(text) => Some(parsed_amount("--price", text, args.currency)?),
                None => None,
            };
            let not_sold = args.no_price.then_some(PlanPrice::NotSold(args.currency));
            let price = price.map(PlanPrice::AMonth).or(not_sold);
            let change = PlanChange { per_minute: args.per_minute, price };
            let permit = machine(engine, &args.by)?;
            let terms = engine.set_plan_terms(permit, kind, change).await.map_err(refused)?;
            output.line(terms_line(&terms));
        }
        PlanVerb::Buy(args) => buy(on, &args, output).await?,
        PlanVerb::Renewal { account, on: is_on, off: _, currency, by } => {
            let id = known_account(engine, account)?;
            let renewal = is_on.then_some(currency);
            let permit = machine(engine, &by)?;
            engine.set_plan_renewal(permit, id, renewal).await.map_err(refused)?;
            output.say(match is_on {
                true => format!("The plan is renewed from the live wallet ({}).", currency.code()),
                false => "The plan is not renewed by itself.".to_owned(),
            });
        }
        PlanVerb::Off { account, by } => {
            output.line(line(&change(on, account, &by, |_| Ok(None)).await?));
        }
    }
    Ok(0)
}

/// Reads the name of a plan.
pub(crate) fn plan_kind(text: &str) -> Result<PlanKind> {
    PlanKind::from_code(text).context("A plan is starter, business or enterprise.")
}

async fn buy(on: &Caller<'_>, args: &BuyArgs, output: &mut Output) -> Result<()> {
    let order = PlanOrder {
        kind: plan_kind(&args.plan)?,
        months: args.months,
        currency: args.currency,
        reference: &args.reference,
        ends_another: args.end_other,
        agreed: None,
    };
    let account = known_account(on.engine, args.account)?;
    let permit = machine(on.engine, &args.by)?;
    let bought = on.engine.buy_plan(permit, account, order).await.map_err(refused)?;
    let PlanBought { price, available, .. } = bought;
    output.line(line(&found(on, args.account)?));
    output.say(format!("Paid {price}; account {account} can now spend {available} (live)."));
    Ok(())
}

/// Puts what `make` makes of an account's subscription in its place.
async fn change(
    on: &Caller<'_>,
    id: i64,
    by: &str,
    make: impl Fn(Option<Subscription>) -> Result<Option<Subscription>>,
) -> Result<Account> {
    ensure!(AccountId(id) != HOUSE, "account {id} is the house itself, which needs no plan");
    make(found(on, id)?.subscription)?;
    let permit = machine(on.engine, by)?;
    // It was fine just now; made again of what the account has in the end.
    let change = |account: &mut Account| {
        if let Ok(subscription) = make(account.subscription) {
            account.subscription = subscription;
        }
    };
    on.engine.change_account(permit, AccountId(id), change).await.map_err(refused)
}

fn found(on: &Caller<'_>, id: i64) -> Result<Account> {
    let account = on.engine.account(AccountId(id)).map_err(refused)?;
    account.with_context(|| format!("there is no account {id}"))
}

/// The subscription with what was given; refused if it would be none.
fn changed(
    before: Option<Subscription>,
    args: &PlanArgs,
    now: Timestamp,
    on_terms: impl Fn(PlanKind) -> Plan,
) -> Result<Subscription> {
    let running = before.filter(|before| before.until > now);
    let kind = match (&args.plan, before) {
        (Some(code), _) => plan_kind(code)?,
        (None, Some(before)) => before.plan.kind,
        (None, None) => bail!("It has no plan yet: give --plan and --until."),
    };
    let plan = on_terms(kind);
    let other = args.per_minute.filter(|calls| *calls != plan.per_minute());
    if other.is_some() && !kind.is_agreed() {
        let (code, calls) = (kind.code(), plan.per_minute());
        bail!("--per-minute is for the enterprise plan; {code} has {calls}.");
    }
    let agreed = before.map(|before| before.plan).filter(|plan| plan.kind == kind);
    let agreed = args.per_minute.or(agreed.map(Plan::per_minute)).filter(|_| kind.is_agreed());
    let plan = agreed.map_or(plan, |per_minute| Plan::new(kind, per_minute));
    let until = args.until.or(running.map(|running| running.until));
    let until = until.context("No plan is running: give --until.")?;
    ensure!(until > now, "--until {} is over.", moment(until));
    let since = running.map_or(now, |running| running.since);
    Ok(Subscription { plan, until, since })
}

fn value(account: &Account) -> Value {
    let subscription = account.subscription;
    json!({
        "account": account.id.0,
        "name": account.name,
        "plan": subscription.map(|s| s.plan.code()),
        "per_minute": subscription.map(|s| s.plan.per_minute()),
        "since": subscription.map(|s| moment(s.since)),
        "until": subscription.map(|s| moment(s.until)),
    })
}

fn terms_value(terms: &PlanTerms) -> Value {
    let prices = terms.prices.iter().map(|price| (price.currency().code(), price.exact()));
    json!({
        "plan": terms.kind.code(),
        "per_minute": terms.per_minute,
        "prices": prices.collect::<BTreeMap<_, _>>(),
    })
}

fn terms_line(terms: &PlanTerms) -> String {
    let prices = terms.prices.iter().map(|price| format!("{price} a month"));
    let prices = match terms.prices.is_empty() {
        true => "no price: not for sale".to_owned(),
        false => prices.collect::<Vec<_>>().join(", "),
    };
    let agreed = if terms.kind.is_agreed() { " unless agreed" } else { "" };
    format!("{}  {} a minute{agreed}  {prices}", terms.kind.code(), terms.per_minute)
}

fn line(account: &Account) -> String {
    let (id, name) = (account.id, &account.name);
    match account.subscription {
        None => format!("{id}  {name}: no plan"),
        Some(Subscription { plan, until, since: _ }) => format!(
            "{id}  {name}: {}, {} a minute, until {}",
            plan.code(),
            plan.per_minute(),
            moment(until)
        ),
    }
}

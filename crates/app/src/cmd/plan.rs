//! `saldo plan`: which account may call how often, and until when.
//!
//! Without a plan nothing is sold to an account's keys, and they see no offers (CONTRACT A-41). Not
//! here: months that are added to what is left (`saldo account subscribe`), and what a plan's
//! purchases cost (`saldo price set --plan`).

use crate::cmd::{Caller, instant, moment};
use crate::output::Output;
use crate::wiring::{machine, refused};
use anyhow::{Context as _, Result, bail, ensure};
use domain::account::HOUSE;
use domain::{Account, AccountId, Plan, Subscription, Timestamp};
use serde_json::{Value, json};

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
    /// starter (60 calls a minute), business (120) or enterprise.
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

/// Calls a minute of an enterprise plan that says nothing else.
const PER_MINUTE: u32 = 600;

pub(crate) async fn run(on: &Caller<'_>, verb: PlanVerb, output: &mut Output) -> Result<u8> {
    let engine = on.engine;
    match verb {
        PlanVerb::Set(args) => {
            let now = engine.now();
            let account = change(on, args.account, &args.by, |before| {
                let subscription = changed(before, &args, now)?;
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
            output.row(json, value(&account), line(&account));
        }
        PlanVerb::Off { account, by } => {
            output.line(line(&change(on, account, &by, |_| Ok(None)).await?));
        }
    }
    Ok(0)
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
fn changed(before: Option<Subscription>, args: &PlanArgs, now: Timestamp) -> Result<Subscription> {
    let running = before.filter(|before| before.until > now);
    let per_minute = args.per_minute.or(before.map(|before| before.plan.per_minute()));
    let code = match (&args.plan, before) {
        (Some(code), _) => code.as_str(),
        (None, Some(before)) => before.plan.code(),
        (None, None) => bail!("It has no plan yet: give --plan and --until."),
    };
    let was_enterprise =
        before.is_some_and(|before| matches!(before.plan, Plan::Enterprise { .. }));
    let per_minute = match was_enterprise {
        true => per_minute.unwrap_or(PER_MINUTE),
        false => args.per_minute.unwrap_or(PER_MINUTE),
    };
    let plan = Plan::from_code(code, per_minute);
    let plan = plan.context("--plan is starter, business or enterprise")?;
    if args.per_minute.is_some_and(|calls| calls != plan.per_minute()) {
        bail!("--per-minute is for the enterprise plan; {code} has {}.", plan.per_minute());
    }
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

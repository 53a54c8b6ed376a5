//! `saldo account`: opens, lists and changes the accounts of businesses and persons.
//!
//! Not here: their money (`wallet.rs`), keys (`key.rs`) and logins (`user.rs`).

use crate::cmd::{currency, moment};
use crate::output::Output;
use crate::wiring::{machine, refused};
use anyhow::{Context as _, Result};
use domain::account::HOUSE;
use domain::{Account, AccountId, Currency, Plan, Role, Subscription, Timestamp};
use engine::{Engine, NewAccount};
use std::time::Duration;

/// A subscription is sold by months of 30 days.
const MONTH: Duration = Duration::from_secs(30 * 24 * 3600);

#[derive(clap::Subcommand, Debug)]
pub(crate) enum AccountVerb {
    /// Open a merchant's account, with a wallet in each environment.
    Open {
        /// How people call it.
        #[arg(long)]
        name: String,
        #[command(flatten)]
        subscription: SubscriptionArgs,
        /// What its wallets are in.
        #[arg(long, default_value = "BDT", value_parser = currency)]
        currency: Currency,
    },
    /// List all accounts.
    List {
        /// Print JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Give an account a plan for some months from now.
    Subscribe {
        /// Which account.
        id: i64,
        #[command(flatten)]
        subscription: SubscriptionArgs,
    },
    /// End an account's plan now: calls with its keys are refused (402) until it has one again.
    Unsubscribe {
        /// Which account.
        id: i64,
    },
    /// Stop an account: its calls are refused.
    Suspend {
        /// Which account.
        id: i64,
    },
    /// Let a stopped account go on.
    Resume {
        /// Which account.
        id: i64,
    },
}

#[derive(clap::Args, Debug)]
pub(crate) struct SubscriptionArgs {
    /// starter (60 calls a minute), business (120) or enterprise.
    #[arg(long, default_value = "starter")]
    plan: String,
    /// Calls a minute of the enterprise plan.
    #[arg(long, default_value_t = 600)]
    per_minute: u32,
    /// For how many months.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=120))]
    months: u32,
}

impl SubscriptionArgs {
    fn read(&self, now: Timestamp) -> Result<Subscription> {
        let plan = Plan::from_code(&self.plan, self.per_minute)
            .context("--plan is starter, business or enterprise")?;
        Ok(Subscription { plan, until: now.after(MONTH.saturating_mul(self.months)) })
    }
}

pub(crate) async fn run(engine: &Engine, verb: AccountVerb, output: &mut Output) -> Result<u8> {
    match verb {
        AccountVerb::Open { name, subscription, currency } => {
            let subscription = Some(subscription.read(engine.now())?);
            let (role, currencies) = (Role::Merchant, &[currency]);
            let new = NewAccount { role, name: &name, subscription, currencies };
            let id = engine.open_account(machine(engine, "")?, new).await.map_err(refused)?;
            output.line(id);
            output.say(format!(
                "Account {id} is open. Next: saldo key make --account {id} --environment sandbox"
            ));
        }
        AccountVerb::List { json } => list(engine, json, output)?,
        AccountVerb::Subscribe { id, subscription } => {
            let subscription = Some(subscription.read(engine.now())?);
            change(engine, id, output, |account| account.subscription = subscription).await?;
        }
        AccountVerb::Unsubscribe { id } => {
            change(engine, id, output, |account| account.subscription = None).await?
        }
        AccountVerb::Suspend { id } => change(engine, id, output, |a| a.is_active = false).await?,
        AccountVerb::Resume { id } => change(engine, id, output, |a| a.is_active = true).await?,
    }
    Ok(0)
}

async fn change(
    engine: &Engine,
    id: i64,
    output: &mut Output,
    change: impl FnOnce(&mut Account),
) -> Result<()> {
    anyhow::ensure!(AccountId(id) != HOUSE, "account {id} is the house itself");
    let account = engine
        .change_account(machine(engine, "")?, AccountId(id), change)
        .await
        .map_err(refused)?;
    output.line(line(&account));
    Ok(())
}

fn list(engine: &Engine, json: bool, output: &mut Output) -> Result<()> {
    for account in engine.accounts()? {
        let value = serde_json::json!({
            "id": account.id.0, "role": account.role.code(), "name": account.name,
            "active": account.is_active, "plan": account.subscription.map(|s| s.plan.code()),
            "per_minute": account.subscription.map(|s| s.plan.per_minute()),
            "subscribed_until": account.subscription.map(|s| moment(s.until)),
            "opened_at": moment(account.opened_at),
        });
        output.row(json, value, line(&account));
    }
    Ok(())
}

fn line(account: &Account) -> String {
    let plan = account.subscription.map_or("no plan".to_owned(), |Subscription { plan, until }| {
        let (code, per_minute, until) = (plan.code(), plan.per_minute(), moment(until));
        format!("{code}, {per_minute} a minute, until {until}")
    });
    let active = if account.is_active { "active" } else { "suspended" };
    format!("{}  {}  {}  {active}  {plan}", account.id, account.role.code(), account.name)
}

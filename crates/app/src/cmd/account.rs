//! `saldo account`: opens, lists and changes the accounts of businesses and persons.
//!
//! Not here: their money (`wallet.rs`), keys (`key.rs`) and logins (`user.rs`).

use crate::cmd::plan::plan_kind;
use crate::cmd::{currency, moment};
use crate::output::Output;
use crate::wiring::{machine, refused};
use anyhow::{Result, ensure};
use domain::account::HOUSE;
use domain::{Account, AccountId, Currency, DuplicatePolicy, Plan, Role, Subscription};
use engine::{Engine, NewAccount};

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
    /// Give an account a plan for some months more: after what is left, or from now on. The plan
    /// changes at once. It charges nothing: `saldo plan buy` does.
    Subscribe {
        /// Which account.
        id: i64,
        #[command(flatten)]
        subscription: SubscriptionArgs,
    },
    /// End an account's plan now: sales and offers are refused (402) until it has one again.
    Unsubscribe {
        /// Which account.
        id: i64,
    },
    /// Let an account sell for real money. Its owner has confirmed the e-mail address.
    Approve {
        /// Which account.
        id: i64,
        /// Who approves it.
        #[arg(long)]
        by: String,
        /// What was checked: a licence, a contract, a call.
        #[arg(long)]
        evidence: String,
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
    /// Say what happens to the same sale again: the same recipient, operator and amount within two
    /// minutes under another reference.
    Duplicates {
        /// Which account.
        id: i64,
        /// off; mark: the answer names the earlier reference; refuse: unless the request has
        /// "allow_duplicate": true.
        #[arg(value_parser = duplicates)]
        policy: DuplicatePolicy,
    },
}

#[derive(clap::Args, Debug)]
pub(crate) struct SubscriptionArgs {
    /// starter, business or enterprise: `saldo plan terms` lists them.
    #[arg(long, default_value = "starter")]
    plan: String,
    /// Calls a minute, of the enterprise plan only; without it, those of its terms.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    per_minute: Option<u32>,
    /// For how many calendar months.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=120))]
    months: u32,
}

impl SubscriptionArgs {
    fn plan(&self, engine: &Engine) -> Result<Plan> {
        let kind = plan_kind(&self.plan)?;
        let of_terms = engine.plan(kind);
        let calls = self.per_minute.unwrap_or(of_terms.per_minute());
        let is_used = kind.is_agreed() || calls == of_terms.per_minute();
        let (code, has) = (of_terms.code(), of_terms.per_minute());
        ensure!(is_used, "--per-minute is for the enterprise plan; {code} has {has}.");
        Ok(if kind.is_agreed() { Plan::new(kind, calls) } else { of_terms })
    }
}

pub(crate) async fn run(engine: &Engine, verb: AccountVerb, output: &mut Output) -> Result<u8> {
    match verb {
        AccountVerb::Open { name, subscription, currency } => {
            let (plan, months) = (subscription.plan(engine)?, subscription.months);
            let subscription = Some(Subscription::extended(None, plan, months, engine.now()));
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
            let (plan, months, now) =
                (subscription.plan(engine)?, subscription.months, engine.now());
            let extend = |account: &mut Account| {
                let before = account.subscription;
                account.subscription = Some(Subscription::extended(before, plan, months, now));
            };
            change(engine, id, output, extend).await?;
        }
        AccountVerb::Unsubscribe { id } => {
            change(engine, id, output, |account| account.subscription = None).await?
        }
        AccountVerb::Approve { id, by, evidence } => {
            let permit = machine(engine, &by)?;
            let account =
                engine.approve_account(permit, AccountId(id), &evidence).await.map_err(refused)?;
            output.line(line(&account));
        }
        AccountVerb::Suspend { id } => change(engine, id, output, |a| a.is_active = false).await?,
        AccountVerb::Resume { id } => change(engine, id, output, |a| a.is_active = true).await?,
        AccountVerb::Duplicates { id, policy } => {
            change(engine, id, output, |account| account.duplicates = policy).await?
        }
    }
    Ok(0)
}

fn duplicates(text: &str) -> Result<DuplicatePolicy, String> {
    DuplicatePolicy::from_code(text).ok_or_else(|| "off, mark or refuse".to_owned())
}

async fn change(
    engine: &Engine,
    id: i64,
    output: &mut Output,
    change: impl Fn(&mut Account),
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
            "active": account.is_active, "approved": account.approved_at.is_some(),
            "plan": account.subscription.map(|s| s.plan.code()),
            "per_minute": account.subscription.map(|s| s.plan.per_minute()),
            "subscribed_until": account.subscription.map(|s| moment(s.until)),
            "duplicates": account.duplicates.code(),
            "opened_at": moment(account.opened_at),
        });
        output.row(json, value, line(&account));
    }
    Ok(())
}

fn line(account: &Account) -> String {
    let plan = account.subscription.map_or("no plan".to_owned(), |subscription| {
        let Subscription { plan, until, since: _ } = subscription;
        let (code, per_minute, until) = (plan.code(), plan.per_minute(), moment(until));
        format!("{code}, {per_minute} a minute, until {until}")
    });
    let active = match (account.is_active, account.approved_at) {
        (true, Some(_)) => "active",
        (true, None) => "sandbox only",
        (false, _) => "suspended",
    };
    let (id, role, duplicates) = (account.id, account.role.code(), account.duplicates.code());
    format!("{id}  {role}  {}  {active}  {plan}  duplicates {duplicates}", account.name)
}

//! `saldo commission`: pays commission out to the wallet that earned it, or says when that happens
//! by itself.
//!
//! Invariant: of an account, environment and currency once a day at most.

use crate::cmd::{currency, environment, known_account, moment, parsed_amount};
use crate::output::Output;
use crate::wiring::{machine, refused};
use anyhow::Result;
use domain::{AccountId, Currency, Environment, Money};
use engine::{CommissionPaid, Engine};

#[derive(clap::Subcommand, Debug)]
pub(crate) enum CommissionVerb {
    /// Pay out what an account has earned: all of it, once a day at most.
    Pay {
        /// Whose commission.
        #[arg(long)]
        account: i64,
        /// sandbox or live.
        #[arg(long, value_parser = environment)]
        environment: Environment,
        /// In what.
        #[arg(long, default_value = "BDT", value_parser = currency)]
        currency: Currency,
        /// Who pays it out.
        #[arg(long)]
        by: String,
    },
    /// Say when an account's commission is paid out by itself.
    Rule(RuleArgs),
}

#[derive(clap::Args, Debug)]
pub(crate) struct RuleArgs {
    /// Whose commission.
    #[arg(long)]
    account: i64,
    /// In what.
    #[arg(long, default_value = "BDT", value_parser = currency)]
    currency: Currency,
    #[command(flatten)]
    when: RuleWhen,
}

#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
struct RuleWhen {
    /// Each day (UTC), whatever was earned.
    #[arg(long)]
    daily: bool,
    /// On each day on which so much is there: 500.00
    #[arg(long, value_name = "AMOUNT")]
    at_least: Option<String>,
    /// Only by hand.
    #[arg(long)]
    never: bool,
}

pub(crate) async fn run(engine: &Engine, verb: CommissionVerb, output: &mut Output) -> Result<u8> {
    match verb {
        CommissionVerb::Pay { account, environment, currency, by } => {
            let permit = machine(engine, &by)?;
            let paid = engine.pay_commission(permit, AccountId(account), environment, currency);
            match paid.await.map_err(refused)? {
                CommissionPaid::Paid { amount, available } => {
                    output.line(amount.exact());
                    output.say(format!(
                        "Paid out {amount}; account {account} can now spend {available} ({}).",
                        environment.code()
                    ));
                }
                CommissionPaid::PaidBefore(at) => output.say(format!(
                    "Today's commission was paid out on {}; nothing was paid again.",
                    moment(at)
                )),
                CommissionPaid::Nothing => output.say("There is no commission to pay out."),
            }
        }
        CommissionVerb::Rule(RuleArgs { account, currency, when }) => {
            let account = known_account(engine, account)?;
            let least = match &when.at_least {
                Some(text) => parsed_amount("--at-least", text, currency)?,
                None if when.never => Money::zero(currency),
                None => Money::smallest(currency),
            };
            let permit = machine(engine, "")?;
            engine.set_commission_rule(permit, account, least).await.map_err(refused)?;
            output.say(match least.is_positive() {
                true => format!("Paid out on each day on which at least {least} are there."),
                false => "Paid out by hand only.".to_owned(),
            });
        }
    }
    Ok(0)
}

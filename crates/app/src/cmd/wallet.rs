//! `saldo wallet`: shows the wallets of an account, books deposits and withdrawals, sets alerts.
//!
//! Invariant: a payment is booked once, by its rail and reference.

use crate::cmd::{currency, environment, instant, known_account, moment, parsed_amount};
use crate::output::Output;
use crate::wiring::{machine, refused};
use anyhow::Result;
use domain::{AccountId, Currency, Environment, Money, Reason, Timestamp};
use engine::{BalanceAlert, Booking, Engine, Payment};

#[derive(clap::Subcommand, Debug)]
pub(crate) enum WalletVerb {
    /// Show an account's wallets.
    Show {
        /// Whose.
        #[arg(long)]
        account: i64,
        /// Print JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// List what was paid in and out of an account's wallets, latest first.
    Payments {
        /// Whose.
        #[arg(long)]
        account: i64,
        /// Only what was booked before this: 2026-11-30T10:00:00Z
        #[arg(long, value_parser = instant)]
        before: Option<Timestamp>,
        /// At most this many.
        #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
        limit: u32,
        /// Print JSON, a line each.
        #[arg(long)]
        json: bool,
    },
    /// Book money that was paid in.
    Deposit(BookingArgs),
    /// Book money that was paid out.
    Withdraw(BookingArgs),
    /// Say below which amount an account is told that a wallet's balance is low, by the webhook
    /// account.low_balance: once for each crossing.
    Alert(AlertArgs),
}

#[derive(clap::Args, Debug)]
pub(crate) struct BookingArgs {
    /// Whose wallet.
    #[arg(long)]
    account: i64,
    /// sandbox or live.
    #[arg(long, value_parser = environment)]
    environment: Environment,
    /// How much: 1500.00
    #[arg(long)]
    amount: String,
    /// In what.
    #[arg(long, default_value = "BDT", value_parser = currency)]
    currency: Currency,
    /// How the money came or went: manual, bkash, nagad, bank, …
    #[arg(long, default_value = "manual")]
    rail: String,
    /// The TrxID, or the bank's or the receipt's number. Nobody's wallet gets the same one of a
    /// rail twice; capitals and blanks do not count.
    #[arg(long)]
    reference: String,
    /// Who books it.
    #[arg(long)]
    by: String,
    /// Why.
    #[arg(long, default_value = "")]
    note: String,
}

#[derive(clap::Args, Debug)]
pub(crate) struct AlertArgs {
    /// Whose wallet.
    #[arg(long)]
    account: i64,
    /// sandbox or live.
    #[arg(long, value_parser = environment)]
    environment: Environment,
    /// In what.
    #[arg(long, default_value = "BDT", value_parser = currency)]
    currency: Currency,
    #[command(flatten)]
    when: AlertWhen,
}

#[derive(clap::Args, Debug)]
#[group(required = true, multiple = false)]
struct AlertWhen {
    /// When less than this can be spent: 500.00
    #[arg(long, value_name = "AMOUNT")]
    below: Option<String>,
    /// Not at all.
    #[arg(long)]
    never: bool,
}

pub(crate) async fn run(engine: &Engine, verb: WalletVerb, output: &mut Output) -> Result<u8> {
    match verb {
        WalletVerb::Show { account, json } => show(engine, account, json, output)?,
        WalletVerb::Payments { account, before, limit, json } => {
            let account = known_account(engine, account)?;
            let before = before.unwrap_or(Timestamp(i64::MAX));
            for payment in engine.payments_of(account, before, limit).map_err(refused)? {
                let (value, text) = shown(&payment);
                output.row(json, value, text);
            }
        }
        WalletVerb::Alert(AlertArgs { account, environment, currency, when }) => {
            let account = known_account(engine, account)?;
            let below = match &when.below {
                Some(text) => parsed_amount("--below", text, currency)?,
                None => Money::zero(currency),
            };
            let alert = BalanceAlert { account, environment, below };
            engine.set_balance_alert(machine(engine, "")?, alert).await.map_err(refused)?;
            output.say(match below.is_positive() {
                true => format!("Account {account} is told once less than {below} can be spent."),
                false => "Nobody is told.".to_owned(),
            });
        }
        WalletVerb::Deposit(booking) => book(engine, Reason::Deposit, &booking, output).await?,
        WalletVerb::Withdraw(booking) => book(engine, Reason::Withdraw, &booking, output).await?,
    }
    Ok(0)
}

/// A payment as JSON and as a line.
fn shown(payment: &Payment) -> (serde_json::Value, String) {
    let Payment { rail, reference, moved, .. } = payment;
    let journal = payment.journal.map(|journal| journal.0);
    let amount = moved.map(|moved| Money::new(moved.minor().abs(), moved.currency()));
    let direction = moved.map(|moved| if moved.minor() < 0 { "out" } else { "in" });
    let value = serde_json::json!({
        "at": moment(payment.at), "environment": payment.environment.code(),
        "direction": direction, "amount": amount.map(Money::exact),
        "currency": amount.map(|amount| amount.currency().code()),
        "rail": rail, "reference": reference, "journal": journal,
    });
    let (at, environment) = (moment(payment.at), payment.environment.code());
    let journal = journal.map_or("-".to_owned(), |journal| journal.to_string());
    let amount = amount.map_or("-".to_owned(), |amount| amount.to_string());
    let direction = direction.unwrap_or("-");
    let text = format!(
        "{at}  {environment:<8} {direction:<3}  {amount}  {rail}  {reference}  journal {journal}"
    );
    (value, text)
}

fn show(engine: &Engine, account: i64, json: bool, output: &mut Output) -> Result<()> {
    let account = known_account(engine, account)?;
    let rules = engine.commission_rules(account).map_err(refused)?;
    let alerts = engine.balance_alerts(account).map_err(refused)?;
    for wallet in engine.wallets(account)? {
        let rule = rules.iter().find(|r| r.least.currency() == wallet.available.currency());
        let paid_from = rule.map(|rule| rule.least.exact());
        let (environment, available) = (wallet.environment.code(), wallet.available);
        let (held, commission) = (wallet.held.exact(), wallet.commission.exact());
        let is_of = |alert: &&BalanceAlert| {
            let of = (alert.environment, alert.below.currency());
            of == (wallet.environment, available.currency())
        };
        let alert_below = alerts.iter().find(is_of).map(|alert| alert.below.exact());
        let value = serde_json::json!({
            "environment": environment, "currency": available.currency().code(),
            "available": available.exact(), "held": held, "commission": commission,
            "commission_paid_from": paid_from, "alert_below": alert_below,
        });
        let alert = alert_below.map_or(String::new(), |below| format!(", alert below {below}"));
        let paid = paid_from.map_or("by hand".to_owned(), |least| format!("daily from {least}"));
        let text = format!(
            "{environment:<8} {available}  held {held}  commission {commission}, paid out \
             {paid}{alert}"
        );
        output.row(json, value, text);
    }
    Ok(())
}

async fn book(
    engine: &Engine,
    reason: Reason,
    booking: &BookingArgs,
    output: &mut Output,
) -> Result<()> {
    let amount = parsed_amount("--amount", &booking.amount, booking.currency)?;
    let permit = machine(engine, &booking.by)?;
    let funded = Booking {
        reason,
        account: AccountId(booking.account),
        environment: booking.environment,
        amount,
        rail: &booking.rail,
        reference: &booking.reference,
        note: &booking.note,
    };
    let available = engine.fund(permit, funded).await.map_err(refused)?;
    output.line(available.exact());
    output.say(format!(
        "Booked {amount}; account {} can now spend {available} ({}).",
        booking.account,
        booking.environment.code()
    ));
    Ok(())
}

//! `saldo wallet`: shows the wallets of an account, and books deposits and withdrawals.
//!
//! Invariant: a reference is booked once.

use crate::cmd::{currency, environment, known_account};
use crate::output::Output;
use crate::wiring::{machine, refused};
use anyhow::{Result, anyhow};
use domain::{AccountId, Currency, Environment, Money, Reason};
use engine::{Booking, Engine};

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
    /// Book money that was paid in.
    Deposit(BookingArgs),
    /// Book money that was paid out.
    Withdraw(BookingArgs),
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
    /// The bank's or the receipt's number: the same one is never booked twice.
    #[arg(long)]
    reference: String,
    /// Who books it.
    #[arg(long)]
    by: String,
    /// Why.
    #[arg(long, default_value = "")]
    note: String,
}

pub(crate) async fn run(engine: &Engine, verb: WalletVerb, output: &mut Output) -> Result<u8> {
    match verb {
        WalletVerb::Show { account, json } => show(engine, account, json, output)?,
        WalletVerb::Deposit(booking) => book(engine, Reason::Deposit, &booking, output).await?,
        WalletVerb::Withdraw(booking) => book(engine, Reason::Withdraw, &booking, output).await?,
    }
    Ok(0)
}

fn show(engine: &Engine, account: i64, json: bool, output: &mut Output) -> Result<()> {
    for wallet in engine.wallets(known_account(engine, account)?)? {
        let (environment, available) = (wallet.environment.code(), wallet.available);
        let (held, commission) = (wallet.held.exact(), wallet.commission.exact());
        let value = serde_json::json!({
            "environment": environment, "currency": available.currency().code(),
            "available": available.exact(), "held": held, "commission": commission,
        });
        let text = format!("{environment:<8} {available}  held {held}  commission {commission}");
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
    let amount = Money::parse(&booking.amount, booking.currency)
        .map_err(|_| anyhow!("--amount is a number from 0.01 to 999999999.99, such as 1500.00"))?;
    let permit = machine(engine, &booking.by)?;
    let funded = Booking {
        reason,
        account: AccountId(booking.account),
        environment: booking.environment,
        amount,
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

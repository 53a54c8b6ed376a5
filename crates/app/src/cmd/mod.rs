//! The command line: one file a verb.
//!
//! Verbs that ask something of the engine ([`Ask`]) run on the data folder, or, while a server
//! holds it, in that server. The others start something.

mod account;
mod bench;
pub(crate) mod demo;
mod key;
mod purchase;
pub(crate) mod serve;
mod user;
mod verify;
mod wallet;

use crate::config::{Config, Flags};
use crate::output::Output;
use crate::{control, house};
use engine::Engine;
use std::process::ExitCode;

/// Saldo: sell mobile recharge, offers and mobile banking from prepaid wallets.
#[derive(clap::Parser, Debug)]
#[command(name = "saldo", version, about, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) flags: Flags,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What to do.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Verb {
    /// Try it: makes what is missing, prints how to use it, serves. Everything is simulated.
    Demo(demo::Args),
    /// Serve.
    Serve(serve::Args),
    /// Measure durable recharges a second.
    Bench(bench::Args),
    #[command(flatten)]
    Ask(Ask),
}

/// What to ask of the engine.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Ask {
    /// Audit the ledger: exit 0 and a line of figures, or exit 1 and the rows that lie.
    Verify(verify::Args),
    /// Accounts: open, list, subscribe, suspend, resume.
    #[command(subcommand)]
    Account(account::Verb),
    /// Key pairs: make, list, allow addresses, revoke.
    #[command(subcommand)]
    Key(key::Verb),
    /// Wallets: show, deposit, withdraw.
    #[command(subcommand)]
    Wallet(wallet::Verb),
    /// Purchases: list, show, approve, reject, settle, refund; cases that wait for staff.
    #[command(subcommand)]
    Purchase(purchase::Verb),
    /// Logins: list, disable, enable, log out.
    #[command(subcommand)]
    User(user::Verb),
}

/// Runs what the command line says; the exit code is the command's.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let flags = cli.flags;
    match cli.verb {
        Verb::Demo(args) => demo::run(&flags, args),
        Verb::Serve(args) => serve::run(&flags, args),
        Verb::Bench(args) => bench::run(args),
        Verb::Ask(verb) => run_ask(&flags, verb),
    }
}

fn run_ask(flags: &Flags, verb: Ask) -> anyhow::Result<ExitCode> {
    let config = Config::load(flags, None)?;
    crate::log::start(&config)?;
    anyhow::ensure!(
        config.data_dir.join("saldo.db").exists(),
        "{} holds no Saldo data; give the folder with --data-dir, or start `saldo demo` first",
        config.data_dir.display()
    );
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let engine = match house::open(&config) {
            Ok(engine) => engine,
            Err(error) if house::is_locked(&error) => return control::hand_over(&config.data_dir),
            Err(error) => return Err(error),
        };
        let mut output = Output::default();
        let exit = ask(&engine, verb, &mut output).await;
        output.print();
        Ok(ExitCode::from(exit))
    })
}

/// Asks; answers the exit code. What goes wrong is said in the output.
pub(crate) async fn ask(engine: &Engine, verb: Ask, output: &mut Output) -> u8 {
    let asked = match verb {
        Ask::Verify(args) => verify::run(engine, &args, output).await,
        Ask::Account(verb) => account::run(engine, verb, output).await,
        Ask::Key(verb) => key::run(engine, verb, output).await,
        Ask::Wallet(verb) => wallet::run(engine, verb, output).await,
        Ask::Purchase(verb) => purchase::run(engine, verb, output).await,
        Ask::User(verb) => user::run(engine, verb, output).await,
    };
    match asked {
        Ok(exit) => exit,
        Err(error) => {
            output.say(format!("{error:#}"));
            1
        }
    }
}

/// Reads an environment on the command line.
fn environment(text: &str) -> Result<domain::Environment, String> {
    domain::Environment::from_code(text).ok_or_else(|| "sandbox or live".to_owned())
}

/// Reads a currency on the command line.
fn currency(text: &str) -> Result<domain::Currency, String> {
    domain::Currency::from_code(text).ok_or_else(|| "an ISO 4217 code, such as BDT".to_owned())
}

/// A moment as people and programs read it: RFC 3339 in UTC.
fn moment(at: domain::Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.0).map_or_else(|_| at.0.to_string(), |t| t.to_string())
}

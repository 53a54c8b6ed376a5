//! The command line: one file a verb.
//!
//! Verbs that ask something of the engine ([`Ask`]) run on the data folder, or, while a server
//! holds it, in that server. The others start something.

mod account;
mod archive;
mod backup;
#[cfg(feature = "bench")]
mod bench;
pub(crate) mod demo;
mod halt;
mod key;
mod purchase;
mod restore;
mod resume;
pub(crate) mod serve;
mod user;
mod verify;
mod wallet;
mod webhook;

use crate::config::{Config, Flags};
use crate::output::Output;
use crate::{control, wiring};
use engine::Engine;
use std::path::PathBuf;
use std::process::ExitCode;

/// Saldo: sell mobile recharge, data offers, mobile banking and bill payments from prepaid wallets.
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
    #[cfg(feature = "bench")]
    Bench(::bench::Args),
    /// Store finished purchases in plenty, for `saldo bench --stored`.
    #[cfg(feature = "bench")]
    #[command(hide = true)]
    BenchFill(::bench::fill::FillArgs),
    /// Put a backup in place of an installation; it sends nothing upstream until `saldo resume`.
    Restore(restore::Args),
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
    /// Webhooks: where events are told, how that went, and telling them again.
    #[command(subcommand)]
    Webhook(webhook::Verb),
    /// Logins: list, disable, enable, log out.
    #[command(subcommand)]
    User(user::Verb),
    /// Copy everything into a new folder, while the server serves, and audit the copy.
    Backup(backup::Args),
    /// Move closed months into files, while the server serves.
    Archive(archive::Args),
    /// Sell nothing and send nothing upstream until `saldo resume`: before a restored database is served.
    Halt(halt::Args),
    /// Let a restored installation sell and send again.
    Resume(resume::Args),
}

/// Where a command is asked: paths are the asker's, the data is the server's.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The data folder.
    pub(crate) data_dir: PathBuf,
    /// The folder that the asker works in.
    pub(crate) here: PathBuf,
}

/// Runs what the command line says; the exit code is the command's.
pub(crate) fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    let flags = cli.flags;
    match cli.verb {
        Verb::Demo(args) => demo::run(&flags, args),
        Verb::Serve(args) => serve::run(&flags, args),
        #[cfg(feature = "bench")]
        Verb::Bench(args) => bench::run(&args),
        #[cfg(feature = "bench")]
        Verb::BenchFill(args) => bench::fill(&flags, &args),
        Verb::Restore(args) => restore::run(&flags, &args),
        Verb::Ask(verb) => run_ask(&flags, verb),
    }
}

fn run_ask(flags: &Flags, verb: Ask) -> anyhow::Result<ExitCode> {
    let config = Config::load(flags, None)?;
    crate::log::start(&config)?;
    anyhow::ensure!(
        !config.database_url.0.is_empty() || config.data_dir.join("saldo.db").exists(),
        "{} holds no Saldo data; give the folder with --data-dir, or start `saldo demo` first",
        config.data_dir.display()
    );
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let engine = match wiring::open(&config) {
            Ok(engine) => engine,
            Err(error) if wiring::is_locked(&error) => return control::hand_over(&config.data_dir),
            Err(error) => return Err(error),
        };
        let mut output = Output::default();
        let place = Place { data_dir: config.data_dir, here: std::env::current_dir()? };
        let exit = ask(&engine, &place, verb, &mut output).await;
        output.print();
        Ok(ExitCode::from(exit))
    })
}

/// Asks; answers the exit code. What goes wrong is said in the output.
pub(crate) async fn ask(engine: &Engine, place: &Place, verb: Ask, output: &mut Output) -> u8 {
    let asked = match verb {
        Ask::Verify(args) => verify::run(engine, place, &args, output).await,
        Ask::Account(verb) => account::run(engine, verb, output).await,
        Ask::Key(verb) => key::run(engine, verb, output).await,
        Ask::Wallet(verb) => wallet::run(engine, verb, output).await,
        Ask::Purchase(verb) => purchase::run(engine, verb, output).await,
        Ask::Webhook(verb) => webhook::run(engine, verb, output).await,
        Ask::User(verb) => user::run(engine, verb, output).await,
        Ask::Backup(args) => backup::run(engine, place, &args, output).await,
        Ask::Archive(args) => archive::run(engine, place, &args, output).await,
        Ask::Halt(args) => halt::run(engine, &args, output).await,
        Ask::Resume(args) => resume::run(engine, &args, output).await,
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
pub(crate) fn moment(at: domain::Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.0).map_or_else(|_| at.0.to_string(), |t| t.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, Parser as _};

    #[test]
    fn the_command_line_holds_together() {
        Cli::command().debug_assert();
    }

    /// Every line of the operator's document is a command that this version takes.
    #[test]
    fn documented_commands_are_taken() {
        let mut commands = 0;
        for line in include_str!("../../../../docs/operate.md").lines() {
            let line = line.trim().trim_start_matches("sudo -u saldo ");
            if !line.starts_with("saldo ") {
                continue;
            }
            // Every other part is between quotes: one word, whatever is in it.
            let parts = line.split('"').enumerate();
            let words = parts.flat_map(|(n, part)| match n % 2 {
                0 => part.split_whitespace().collect(),
                _ => vec![part],
            });
            Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{line}: {error}"));
            commands += 1;
        }
        assert!(commands > 10, "{commands}");
    }
}

//! The command line: one file for each verb.
//!
//! Verbs that only need the engine ([`EngineVerb`]) open the data folder themselves or, while a
//! server has locked it, run inside that server. The other verbs start something of their own.

mod account;
mod acts;
#[cfg(feature = "bench")]
mod bench;
pub(crate) mod demo;
mod key;
mod maintenance;
mod purchase;
mod serve;
mod user;
mod wallet;
mod webhook;

use crate::config::{Config, Flags};
use crate::output::Output;
use crate::{control, wiring};
use anyhow::Context as _;
use domain::AccountId;
use engine::Engine;
use maintenance::{archive, backup, halt, restore, resume, verify};
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

/// All verbs.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum Verb {
    /// Try it: makes what is missing, prints how to use it, serves. Everything is simulated.
    Demo(demo::DemoArgs),
    /// Serve.
    Serve(serve::ServeArgs),
    /// Measure durable recharges a second.
    #[cfg(feature = "bench")]
    Bench(::bench::Args),
    /// Store finished purchases in plenty, for `saldo bench --stored`.
    #[cfg(feature = "bench")]
    #[command(hide = true)]
    BenchFill(::bench::fill::FillArgs),
    /// Put a backup in place of an installation; it sends nothing upstream until `saldo resume`.
    Restore(restore::RestoreArgs),
    #[command(flatten)]
    Engine(EngineVerb),
}

/// The verbs that only need the engine.
#[derive(clap::Subcommand, Debug)]
pub(crate) enum EngineVerb {
    /// Audit the ledger: exit 0 and a line of figures, or exit 1 and the rows that lie.
    Verify(verify::VerifyArgs),
    /// Accounts: open, list, subscribe, suspend, resume.
    #[command(subcommand)]
    Account(account::AccountVerb),
    /// Key pairs: make, list, allow addresses, revoke.
    #[command(subcommand)]
    Key(key::KeyVerb),
    /// Wallets: show, deposit, withdraw.
    #[command(subcommand)]
    Wallet(wallet::WalletVerb),
    /// Purchases: list, show, approve, reject, settle, refund; cases that wait for staff.
    #[command(subcommand)]
    Purchase(purchase::PurchaseVerb),
    /// Webhooks: where events are sent, how that went, and sending them again.
    #[command(subcommand)]
    Webhook(webhook::WebhookVerb),
    /// Logins: list, disable, enable, log out.
    #[command(subcommand)]
    User(user::UserVerb),
    /// Who did what: each act of staff, customers and this command line.
    Acts(acts::ActsArgs),
    /// Copy everything into a new folder, while the server serves, and audit the copy.
    Backup(backup::BackupArgs),
    /// Move closed months into files, while the server serves.
    Archive(archive::ArchiveArgs),
    /// Sell nothing and send nothing upstream until `saldo resume`: before a restored database is
    /// served.
    Halt(halt::HaltArgs),
    /// Let a restored installation sell and send again.
    Resume(resume::ResumeArgs),
}

/// What a command runs on, in the caller's process or inside the server.
pub(crate) struct Caller<'a> {
    pub(crate) engine: &'a Engine,
    /// The data folder of the engine.
    pub(crate) data_dir: PathBuf,
    /// The working folder of the caller: paths in its arguments are relative to it.
    pub(crate) working_dir: PathBuf,
}

/// Runs the verb and returns its exit code.
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
        Verb::Engine(verb) => open_and_run(&flags, verb),
    }
}

fn open_and_run(flags: &Flags, verb: EngineVerb) -> anyhow::Result<ExitCode> {
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
            Err(error) if wiring::is_locked(&error) => {
                return control::run_on_server(&config.data_dir);
            }
            Err(error) => return Err(error),
        };
        let mut output = Output::default();
        let working_dir = std::env::current_dir()?;
        let caller = Caller { engine: &engine, data_dir: config.data_dir, working_dir };
        let exit = run_on_engine(&caller, verb, &mut output).await;
        Ok(output.print(exit))
    })
}

/// Runs a verb and returns its exit code; adds an error to the output.
pub(crate) async fn run_on_engine(on: &Caller<'_>, verb: EngineVerb, output: &mut Output) -> u8 {
    let engine = on.engine;
    let result = match verb {
        EngineVerb::Verify(args) => verify::run(on, &args, output).await,
        EngineVerb::Account(verb) => account::run(engine, verb, output).await,
        EngineVerb::Key(verb) => key::run(engine, verb, output).await,
        EngineVerb::Wallet(verb) => wallet::run(engine, verb, output).await,
        EngineVerb::Purchase(verb) => purchase::run(engine, verb, output).await,
        EngineVerb::Webhook(verb) => webhook::run(engine, verb, output).await,
        EngineVerb::User(verb) => user::run(engine, verb, output).await,
        EngineVerb::Acts(args) => acts::run(engine, &args, output),
        EngineVerb::Backup(args) => backup::run(on, &args, output).await,
        EngineVerb::Archive(args) => archive::run(on, &args, output).await,
        EngineVerb::Halt(args) => halt::run(engine, &args, output).await,
        EngineVerb::Resume(args) => resume::run(engine, &args, output).await,
    };
    result.unwrap_or_else(|error| {
        output.say(format!("{error:#}"));
        1
    })
}

/// The number of an account that exists.
fn known_account(engine: &Engine, id: i64) -> anyhow::Result<AccountId> {
    let account = engine.account(AccountId(id)).map_err(wiring::refused)?;
    account.map(|a| a.id).with_context(|| format!("there is no account {id}"))
}

fn environment(text: &str) -> Result<domain::Environment, String> {
    domain::Environment::from_code(text).ok_or_else(|| "sandbox or live".to_owned())
}

fn currency(text: &str) -> Result<domain::Currency, String> {
    domain::Currency::from_code(text).ok_or_else(|| "an ISO 4217 code, such as BDT".to_owned())
}

/// RFC 3339 in UTC.
pub(crate) fn moment(at: domain::Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.0).map_or_else(|_| at.0.to_string(), |t| t.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::{CommandFactory as _, Parser as _};

    #[test]
    fn clap_accepts_the_definitions() {
        Cli::command().debug_assert();
    }

    /// Every command in docs/operate.md is one that this version parses.
    #[test]
    fn documented_commands_parse() {
        let mut commands = 0;
        for line in include_str!("../../../../docs/operate.md").lines() {
            let line = line.trim().trim_start_matches("sudo -u saldo ");
            if !line.starts_with("saldo ") {
                continue;
            }
            // Every second part is between quotes: one argument, spaces included.
            let parts = line.split('"').enumerate();
            let arguments = parts.flat_map(|(n, part)| match n % 2 {
                0 => part.split_whitespace().collect(),
                _ => vec![part],
            });
            Cli::try_parse_from(arguments).unwrap_or_else(|error| panic!("{line}: {error}"));
            commands += 1;
        }
        assert!(commands > 10, "{commands}");
    }
}

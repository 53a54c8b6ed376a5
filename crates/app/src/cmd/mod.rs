//! The command line: one file for each verb.
//!
//! Verbs that only need the engine ([`EngineVerb`]) open the data folder themselves or, while a
//! server has locked it, run inside that server. The other verbs start something of their own.

mod account;
mod acts;
#[cfg(feature = "bench")]
mod bench;
mod catalog;
mod commission;
pub(crate) mod demo;
pub(crate) mod given;
mod key;
mod maintenance;
mod plan;
mod purchase;
mod serve;
mod trial;
mod upstream;
mod user;
mod wallet;
mod webhook;

use crate::config::{Config, Flags};
use crate::files::cannot;
use crate::output::Output;
use crate::{control, wiring};
use anyhow::Context as _;
use catalog::{operator, price, product, route};
use domain::AccountId;
use engine::Engine;
use given::{GivenFiles, NamedFile};
use maintenance::{archive, backup, halt, restore, resume, verify};
use std::path::PathBuf;
use std::process::ExitCode;
use trial::{check, example, simulate};

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
    /// Measure the dashboard's lists over a long history.
    #[cfg(feature = "bench")]
    BenchPages(::bench::pages::PagesArgs),
    /// Serve a simulated upstream with its real wire format: for trials and tests.
    Simulate(simulate::SimulateArgs),
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
    /// Accounts: open, list, approve, subscribe, suspend, resume, duplicates.
    #[command(subcommand)]
    Account(account::AccountVerb),
    /// Key pairs: make, list, allow addresses, revoke.
    #[command(subcommand)]
    Key(key::KeyVerb),
    /// Wallets: show, payments, deposit, withdraw.
    #[command(subcommand)]
    Wallet(wallet::WalletVerb),
    /// Commission: pay out, rule.
    #[command(subcommand)]
    Commission(commission::CommissionVerb),
    /// Purchases: list, show, approve, reject, settle, refund; cases that wait for staff.
    #[command(subcommand)]
    Purchase(purchase::PurchaseVerb),
    /// Upstreams: add, change, map, try, fund, pause, remove; what is left there.
    #[command(subcommand)]
    Upstream(upstream::UpstreamVerb),
    /// Webhooks: where events are sent, how that went, and sending them again.
    #[command(subcommand)]
    Webhook(webhook::WebhookVerb),
    /// Logins: list, make, reset, role, disable, enable, log out.
    #[command(subcommand)]
    User(user::UserVerb),
    /// The catalog: import, export, compare with this version's files.
    #[command(subcommand)]
    Catalog(catalog::CatalogVerb),
    /// Operators: set, list, show, switch off.
    #[command(subcommand)]
    Operator(operator::OperatorVerb),
    /// Products: set, list, show, switch off.
    #[command(subcommand)]
    Product(product::ProductVerb),
    /// Fees and commissions: set, list, show, remove.
    #[command(subcommand)]
    Price(price::PriceVerb),
    /// Routes: set, list, show, remove.
    #[command(subcommand)]
    Route(route::RouteVerb),
    /// Plans, which say how often an account may call, and until when: set, list, show, end, buy;
    /// their prices: terms, define.
    #[command(subcommand)]
    Plan(plan::PlanVerb),
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
    /// The files that its arguments name, as it has read them.
    pub(crate) given: GivenFiles,
}

impl Caller<'_> {
    /// Archives as the caller named them: databases, which are opened where the engine is. Refuses
    /// what is no plain file: a pipe would hold up who opens it.
    fn archives(&self, named: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
        let plain = |file: &PathBuf| {
            let path = self.working_dir.join(file);
            let metadata = std::fs::metadata(&path).with_context(cannot(&path, "be read"))?;
            anyhow::ensure!(metadata.is_file(), "{} is no archive", path.display());
            Ok(path)
        };
        named.iter().map(plain).collect()
    }
}

impl EngineVerb {
    /// The files whose text it needs.
    fn named_files(&self) -> anyhow::Result<Vec<NamedFile>> {
        match self {
            EngineVerb::Upstream(verb) => verb.named_files(),
            EngineVerb::Catalog(verb) => Ok(verb.named_files()),
            EngineVerb::Verify(_)
            | EngineVerb::Account(_)
            | EngineVerb::Key(_)
            | EngineVerb::Wallet(_)
            | EngineVerb::Commission(_)
            | EngineVerb::Purchase(_)
            | EngineVerb::Webhook(_)
            | EngineVerb::User(_)
            | EngineVerb::Operator(_)
            | EngineVerb::Product(_)
            | EngineVerb::Price(_)
            | EngineVerb::Route(_)
            | EngineVerb::Plan(_)
            | EngineVerb::Acts(_)
            | EngineVerb::Backup(_)
            | EngineVerb::Archive(_)
            | EngineVerb::Halt(_)
            | EngineVerb::Resume(_) => Ok(Vec::new()),
        }
    }
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
        #[cfg(feature = "bench")]
        Verb::BenchPages(args) => bench::pages(&args),
        Verb::Simulate(args) => simulate::run(&args),
        Verb::Restore(args) => restore::run(&flags, &args),
        Verb::Engine(EngineVerb::Upstream(upstream::UpstreamVerb::Check(args))) => {
            let mut output = Output::default();
            let exit = check::run(&args, &mut output)?;
            Ok(output.print(exit))
        }
        Verb::Engine(EngineVerb::Upstream(upstream::UpstreamVerb::Example(args))) => {
            let mut output = Output::default();
            example::run(&args, &mut output);
            Ok(output.print(0))
        }
        Verb::Engine(verb) => open_and_run(&flags, verb),
    }
}

fn open_and_run(flags: &Flags, verb: EngineVerb) -> anyhow::Result<ExitCode> {
    let config = Config::load(flags, None)?;
    crate::log::start(&config)?;
    anyhow::ensure!(
        !config.database_url.0.is_empty() || config.data_dir.join("saldo.db").exists(),
        "{} holds no Saldo data; give the folder with --data-dir, or start `saldo serve` once, \
         which sets one up (to try Saldo out: `saldo demo`, with a folder of its own)",
        config.data_dir.display()
    );
    // Before anything else: a pipe is read by the process that it was given to.
    let given = GivenFiles::read(&verb.named_files()?)?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    runtime.block_on(async {
        let engine = match wiring::open(&config) {
            Ok(engine) => engine,
            Err(error) if wiring::is_locked(&error) => {
                return control::run_on_server(&config.data_dir, given);
            }
            Err(error) => return Err(error),
        };
        let mut output = Output::default();
        let working_dir = std::env::current_dir()?;
        let data_dir = config.data_dir;
        let caller = Caller { engine: &engine, data_dir, working_dir, given };
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
        EngineVerb::Key(verb) => key::run(on, verb, output).await,
        EngineVerb::Wallet(verb) => wallet::run(engine, verb, output).await,
        EngineVerb::Commission(verb) => commission::run(engine, verb, output).await,
        EngineVerb::Purchase(verb) => purchase::run(on, verb, output).await,
        EngineVerb::Upstream(verb) => upstream::run(on, verb, output).await,
        EngineVerb::Webhook(verb) => webhook::run(engine, verb, output).await,
        EngineVerb::User(verb) => user::run(engine, verb, output).await,
        EngineVerb::Catalog(verb) => catalog::run(on, verb, output).await,
        EngineVerb::Operator(verb) => operator::run(on, verb, output).await,
        EngineVerb::Product(verb) => product::run(on, verb, output).await,
        EngineVerb::Price(verb) => price::run(on, verb, output).await,
        EngineVerb::Route(verb) => route::run(on, verb, output).await,
        EngineVerb::Plan(verb) => plan::run(on, verb, output).await,
        EngineVerb::Acts(args) => acts::run(engine, &args, output),
        EngineVerb::Backup(args) => backup::run(on, &args, output).await,
        EngineVerb::Archive(args) => archive::run(on, &args, output).await,
        EngineVerb::Halt(args) => halt::run(engine, &args, output).await,
        EngineVerb::Resume(args) => resume::run(engine, &args, output).await,
    };
    result.unwrap_or_else(|error| {
        output.say_error(&error);
        1
    })
}

/// The number of an account that exists.
fn known_account(engine: &Engine, id: i64) -> anyhow::Result<AccountId> {
    let account = engine.account(AccountId(id)).map_err(wiring::refused)?;
    account.map(|a| a.id).with_context(|| format!("there is no account {id}"))
}

/// Whoever decides is named.
fn name(text: &str) -> Result<String, String> {
    let is_name = (1..=100).contains(&text.trim().chars().count());
    is_name.then(|| text.to_owned()).ok_or_else(|| "a name, such as Rahima".to_owned())
}

fn environment(text: &str) -> Result<domain::Environment, String> {
    domain::Environment::from_code(text).ok_or_else(|| "sandbox or live".to_owned())
}

fn kind(text: &str) -> Result<domain::Kind, String> {
    let said = "recharge, offer, banking, bundle or bill";
    domain::Kind::from_code(text).ok_or_else(|| said.to_owned())
}

fn currency(text: &str) -> Result<domain::Currency, String> {
    // Gold, special drawing rights and codes for tests have no smallest unit.
    let is_money = |currency: &domain::Currency| currency.exponent().is_some();
    let currency = domain::Currency::from_code(text).filter(is_money);
    currency.ok_or_else(|| "an ISO 4217 code of money, such as BDT".to_owned())
}

/// RFC 3339 in UTC.
pub(crate) fn moment(at: domain::Timestamp) -> String {
    jiff::Timestamp::from_microsecond(at.0).map_or_else(|_| at.0.to_string(), |t| t.to_string())
}

/// Reads an amount in a currency; the error says what its amounts are like.
fn parsed_amount(
    flag: &str,
    text: &str,
    currency: domain::Currency,
) -> anyhow::Result<domain::Money> {
    use domain::Money;
    Money::parse(text, currency).map_err(|_| {
        let (least, most) = (Money::smallest(currency).exact(), Money::largest(currency).exact());
        let decimals = domain::money::decimals(currency);
        let such = Money::new(1_500 * 10_i64.pow(decimals), currency).exact();
        let code = currency.code();
        anyhow::anyhow!("{flag} is a number from {least} to {most} in {code}, such as {such}")
    })
}

/// Reads RFC 3339.
fn instant(text: &str) -> Result<domain::Timestamp, String> {
    let read = text.parse::<jiff::Timestamp>();
    let said = "a moment such as 2026-11-30T10:00:00Z";
    read.map(|at| domain::Timestamp(at.as_microsecond())).map_err(|_| said.to_owned())
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

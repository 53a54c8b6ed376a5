//! The benchmark: it loads Saldo, fills it with a history, and reports.
//!
//! Machines are noisy: what is compared is measured in turn within each round, and only ratios of
//! one run mean much (`docs/performance.md`). Not here: a clock, and how an engine is opened; the
//! program provides them in a [`Host`]. Invariant: a run with an answer other than success fails.

mod baseline;
mod comparison;
mod cpu;
pub mod fill;
mod footprint;
pub mod history;
mod http_client;
mod load;
mod measure;
pub mod pages;
mod postgres;
mod receiver;
mod report;
mod servers;
mod setup;

use anyhow::Context as _;
use domain::Clock;
use engine::Engine;
use load::{Load, RequestKind};
use setup::Setup;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// The number of connections that the targets are about (PERFORMANCE.md).
const HEADLINE: u16 = 64;

/// Measures durable recharges a second over HTTP, spread over many wallets and on one hot wallet,
/// on SQLite and on PostgreSQL, beside pgbench and a bare endpoint that stores nothing.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Drive the server at this URL, or the nodes at these, instead of starting any.
    #[arg(long, value_name = "URL,URL,…", value_delimiter = ',', requires = "credentials_file")]
    url: Vec<String>,
    /// The running server's credentials file.
    #[arg(long, value_name = "FILE", requires = "url")]
    credentials_file: Option<PathBuf>,
    /// Key pairs of many accounts of the running server, as a JSON array of {"open_key",
    /// "secret_key"}; without it a running server's one account is driven only.
    #[arg(long, value_name = "FILE", requires = "url")]
    keys_file: Option<PathBuf>,
    /// Which stores to measure; PostgreSQL is started from the installed programs.
    #[arg(long, value_name = "STORE,…", value_delimiter = ',', conflicts_with = "url")]
    #[arg(default_value = "sqlite,postgres")]
    stores: Vec<StoreKind>,
    /// How many connections, one measurement each.
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', default_value = "1,16,64,256",
          value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: Vec<u16>,
    /// Measure only what has one of these words in its name.
    #[arg(long, value_name = "WORD,WORD,…", value_delimiter = ',')]
    only: Vec<String>,
    /// How long one measurement lasts.
    #[arg(long, value_name = "N", default_value_t = 5,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// How many times everything is measured; the medians count.
    #[arg(long, value_name = "N", default_value_t = 3,
          value_parser = clap::value_parser!(u16).range(1..=100))]
    rounds: u16,
    /// Over how many wallets the spread load goes.
    #[arg(long, value_name = "N", default_value_t = 1000,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    wallets: u32,
    /// How many threads play the clients.
    #[arg(long, value_name = "N", default_value_t = 1,
          value_parser = clap::value_parser!(u16).range(1..=64))]
    client_threads: u16,
    /// How large pgbench's tables are: 100,000 accounts for each step.
    #[arg(long, value_name = "N", default_value_t = 50,
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pgbench_scale: u32,
    /// Measure what a history costs: the spread load on books that hold so many purchases before,
    /// in turn with empty ones; several counts one by one. None: 0.
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', conflicts_with = "url",
          value_parser = clap::value_parser!(u64).range(0..=100_000_000))]
    stored: Vec<u64>,
    /// Where the measured servers keep their data while they run: on the disk that is meant.
    #[arg(long, value_name = "DIR", conflicts_with = "url")]
    #[arg(default_value_os_t = std::env::temp_dir())]
    scratch_dir: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Write the figures into this page too, between its marks, and the graphs beside it.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Be the bare endpoint, on a free port that is printed.
    #[arg(long = "bare", hide = true)]
    baseline: bool,
}

impl Args {
    /// The measured number of connections that is nearest to the targets' number.
    fn headline(&self) -> u16 {
        self.connections.iter().copied().min_by_key(|n| n.abs_diff(HEADLINE)).unwrap_or(HEADLINE)
    }

    /// Recharges in a closed loop, as long and by as many threads as the arguments say.
    fn load(&self, connections: u16) -> Load {
        let (kind, duration) = (RequestKind::Recharge, Duration::from_secs(self.seconds));
        Load { kind, connections, duration, threads: self.client_threads, per_second: None }
    }

    /// Whether `--only` selects this name.
    fn selects(&self, name: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|word| name.contains(word.as_str()))
    }
}

/// The kind of store that a measured server uses.
// Comments on the variants would appear in the help.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum StoreKind {
    Sqlite,
    Postgres,
}

impl StoreKind {
    /// As in the names of figures.
    const fn name(self) -> &'static str {
        match self {
            StoreKind::Sqlite => "SQLite",
            StoreKind::Postgres => "PostgreSQL",
        }
    }
}

/// What the benchmark needs from the program that it is part of.
///
/// The servers that it measures are child processes of that program's executable, which therefore
/// must have the verbs `bench` and `demo`.
#[derive(Clone)]
pub struct Host {
    /// The program's clock.
    pub clock: Arc<dyn Clock>,
    /// Opens the engine on an installation that no server uses, without workers. It is called
    /// within a Tokio runtime.
    pub open_engine: fn(&Installation) -> anyhow::Result<Engine>,
    /// The files in a demo's data folder that a second node of the same demo needs a copy of.
    pub node_files: &'static [&'static str],
}

/// Where an installation keeps its data.
#[derive(Clone, Debug)]
pub struct Installation {
    /// The address of its PostgreSQL database; empty: SQLite in the data folder.
    pub database_url: String,
    /// The data folder.
    pub data_dir: PathBuf,
}

/// `saldo bench`: measures, and prints a table or JSON. The exit code is a failure if any answer
/// was not a success.
pub fn run(args: &Args, host: &Host) -> anyhow::Result<ExitCode> {
    if args.baseline {
        baseline::serve()?;
        return Ok(ExitCode::SUCCESS);
    }
    // Held until the end: dropping it stops the servers and removes their data.
    let mut setup = Setup::prepare(args, host)?;
    let mut measurements = measure::measure(args, &mut setup)?;
    let conditions = setup.conditions(args);
    // The comparisons that follow have servers of their own; no other server runs beside them.
    setup.stop_servers();
    measurements.extend(comparison::measure(args, &setup)?);
    let binary = std::env::current_exe().context("finding this executable")?;
    let binary_bytes = if args.url.is_empty() { std::fs::metadata(binary)?.len() } else { 0 };
    let report = report::report(conditions, &measurements, &setup.footprints, binary_bytes);
    if let Some(page) = &args.page {
        report::page::write(page, &report)?;
    }
    report::print(&report, args.json)
}

/// Prints a line of progress to stderr: stdout has the data only.
#[expect(clippy::print_stderr, reason = "progress of a command-line verb goes to stderr")]
fn print_progress(line: &str) {
    eprintln!("{line}");
}

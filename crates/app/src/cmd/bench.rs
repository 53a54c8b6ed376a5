//! `saldo bench`: how many durable recharges a second, beside an endpoint that does nothing.
//!
//! Closed loop over HTTP on loopback: every connection sends its next recharge when the last one
//! was answered. Targets take turns within each round, because machines are noisy and only ratios
//! of one run say much (`docs/performance.md`). Invariant: an answer that is not a `success` is an
//! error, and a run with an error says so and fails.

mod bare;
mod drive;
mod report;
mod servers;

use crate::cmd::bench::drive::{Lane, Load, Target};
use crate::cmd::bench::report::{Measured, Setting};
use crate::cmd::bench::servers::{Keys, Scratch};
use anyhow::Context as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// How long each target is driven before anything is measured.
const WARM_UP: Duration = Duration::from_secs(1);

/// Measures durable recharges a second over HTTP: spread over many wallets, and on one hot wallet,
/// beside a bare endpoint that stores nothing.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Drive the server at this URL instead of starting one.
    #[arg(long, value_name = "URL", requires = "credentials_file")]
    url: Option<String>,
    /// The running server's credentials file.
    #[arg(long, value_name = "FILE", requires = "url")]
    credentials_file: Option<PathBuf>,
    /// Key pairs of many accounts of the running server, as a JSON array of {"open_key",
    /// "secret_key"}; without it a running server's one account is driven only.
    #[arg(long, value_name = "FILE", requires = "url")]
    keys_file: Option<PathBuf>,
    /// How many connections, one measurement each.
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', default_value = "1,16,64,256",
          value_parser = clap::value_parser!(u16).range(1..=4096))]
    connections: Vec<u16>,
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
    /// Where the measured server keeps its data while it runs: on the disk that is meant.
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir(), conflicts_with = "url")]
    scratch_dir: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Be the bare endpoint, on a free port that is printed.
    #[arg(long, hide = true)]
    bare: bool,
}

/// Measures, prints a table or JSON; fails if any answer was not a success.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.bare {
        bare::serve()?;
        return Ok(ExitCode::SUCCESS);
    }
    // Held until the end: dropping them stops the servers and removes their data.
    let bare = servers::start_bare()?;
    let (server, mut targets) = match (&args.url, &args.credentials_file) {
        (Some(url), Some(file)) => (None, theirs(url, file, args.keys_file.as_deref())?),
        _ => {
            let scratch = Scratch::start(&args.scratch_dir, args.wallets)?;
            let targets = ours(&scratch)?;
            (Some(scratch), targets)
        }
    };
    targets.insert(0, target("bare", &bare.address, &[Keys::none()])?);

    let setting = Setting {
        cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
        client_threads: args.client_threads,
        seconds: args.seconds,
        rounds: args.rounds,
        wallets: targets.iter().map(|t| t.lanes.len()).max().unwrap_or(0),
        store: server.as_ref().map_or_else(
            || "that of the running server".to_owned(),
            |scratch| format!("SQLite on {}", scratch.filesystem()),
        ),
    };
    let measured = measure(&args, &targets)?;
    report::print(&report::report(setting, measured), args.json)
}

/// The accounts of a server that was already running.
fn theirs(
    url: &str,
    credentials_file: &std::path::Path,
    keys_file: Option<&std::path::Path>,
) -> anyhow::Result<Vec<Target>> {
    let address = servers::address_of(url)?;
    let hot = servers::merchant_keys(credentials_file)?;
    let mut targets = Vec::new();
    if let Some(file) = keys_file {
        targets.push(target("spread", &address, &servers::keys(file)?)?);
    }
    targets.push(target("hot", &address, &[hot])?);
    Ok(targets)
}

/// The accounts of the server that this run started.
fn ours(scratch: &Scratch) -> anyhow::Result<Vec<Target>> {
    let keys = servers::keys(&scratch.keys_file)?;
    let hot = servers::merchant_keys(&scratch.credentials_file)?;
    Ok(vec![
        target("spread", &scratch.server.address, &keys)?,
        target("hot", &scratch.server.address, &[hot])?,
    ])
}

fn target(name: &'static str, address: &str, keys: &[Keys]) -> anyhow::Result<Target> {
    anyhow::ensure!(!keys.is_empty(), "no keys to drive {name} with");
    let lanes = keys.iter().map(Lane::new).collect::<anyhow::Result<Vec<Lane>>>()?;
    Ok(Target { name, address: address.to_owned(), lanes: Arc::new(lanes) })
}

/// Every target at every number of connections, in turn, as many rounds as asked.
fn measure(args: &Args, targets: &[Target]) -> anyhow::Result<Vec<Measured>> {
    let load = |connections, duration| Load { connections, duration, threads: args.client_threads };
    for target in targets {
        say(&format!("warming up {}", target.name));
        drive::drive(target, load(16, WARM_UP)).context("warming up")?;
    }
    let mut measured: Vec<Measured> = args
        .connections
        .iter()
        .flat_map(|connections| targets.iter().map(|t| Measured::new(t.name, *connections)))
        .collect();
    for round in 1..=args.rounds {
        for slot in &mut measured {
            let Some(target) = targets.iter().find(|t| t.name == slot.target) else { continue };
            let run =
                drive::drive(target, load(slot.connections, Duration::from_secs(args.seconds)))?;
            say(&format!(
                "round {round}/{}: {:>6} with {:>3} connections: {:>6}/s, p50 {} µs, p99 {} µs, {} errors",
                args.rounds,
                slot.target,
                slot.connections,
                run.per_second(),
                run.p50_us,
                run.p99_us,
                run.errors,
            ));
            if let Some(sample) = &run.first_error {
                say(&format!("  first error: {sample}"));
            }
            slot.runs.push(run);
        }
    }
    Ok(measured)
}

/// Words for people, beside the data.
#[expect(clippy::print_stderr, reason = "progress of a command-line verb goes to stderr")]
fn say(words: &str) {
    eprintln!("{words}");
}

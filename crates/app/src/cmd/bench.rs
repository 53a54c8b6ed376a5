//! `saldo bench`: durable recharges a second, beside what others do on the same machine.
//!
//! Over HTTP on loopback, with servers, databases and clients of its own. What is measured takes
//! turns within each round, because machines are noisy and only ratios of one run say much
//! (`docs/performance.md`). Here: what is started and what is measured; how, is in the files beside.
//! Invariant: an answer that is not a success is an error, and a run with an error says so and fails.

mod bare;
mod cpu;
mod drive;
mod graph;
mod page;
mod postgres;
mod receiver;
mod report;
mod rest;
mod servers;
mod sides;

use crate::clock::MachineClock;
use anyhow::Context as _;
use cpu::Processes;
use domain::Clock as _;
use drive::{Lane, Load, Run, Target, What};
use postgres::Postgres;
use receiver::Receiver;
use report::{
    ALONE, BARE, BESIDE_ANOTHER, BESIDE_SLOW, Measured, PGBENCH, PGBENCH_HOT, Rests, Setting,
};
use rest::Commits;
use servers::{Demo, Keys, Scratch, Server};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

/// How long each target is driven before anything is measured.
const WARM_UP: Duration = Duration::from_secs(1);
/// The number of connections that the targets are about (PERFORMANCE.md).
const HEADLINE: u16 = 64;
/// Recharges a second at which nothing is saturated, for the way of a webhook.
const UNHURRIED: u64 = 100;
/// How long webhooks may take to arrive once nothing more is bought.
const ARRIVE_WITHIN: Duration = Duration::from_secs(60);
/// Each recharge that is delivered tells two events.
const TOLD_EACH: u64 = 2;
/// Who waits for a paced load: enough that one is always free unless the server stalls.
const PACED_CLIENTS: u16 = 256;

/// Measures durable recharges a second over HTTP, spread over many wallets and on one hot wallet, on
/// SQLite and on PostgreSQL, beside pgbench and a bare endpoint that stores nothing.
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
    #[arg(
        long,
        value_name = "STORE,…",
        value_delimiter = ',',
        default_value = "sqlite,postgres",
        conflicts_with = "url"
    )]
    stores: Vec<Kind>,
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
    /// Measure what a history costs: the spread load on books that hold so many purchases before, in
    /// turn with empty ones; several counts one by one. None: 0.
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', conflicts_with = "url",
          value_parser = clap::value_parser!(u64).range(0..=100_000_000))]
    stored: Vec<u64>,
    /// Where the measured servers keep their data while they run: on the disk that is meant.
    #[arg(long, value_name = "DIR", default_value_os_t = std::env::temp_dir(), conflicts_with = "url")]
    scratch_dir: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    /// Write the figures into this page too, between its marks, and the graphs beside it.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
    /// Be the bare endpoint, on a free port that is printed.
    #[arg(long, hide = true)]
    bare: bool,
}

/// Where a measured server keeps its books.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    const fn name(self) -> &'static str {
        match self {
            Kind::Sqlite => "SQLite",
            Kind::Postgres => "PostgreSQL",
        }
    }
}

/// Measures, prints a table or JSON; fails if any answer was not a success.
pub fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.bare {
        bare::serve()?;
        return Ok(ExitCode::SUCCESS);
    }
    // Held until the end: dropping it stops the servers and removes their data.
    let mut ground = Ground::prepare(&args)?;
    let mut measured = measure(&args, &mut ground)?;
    let setting = ground.setting(&args);
    // What follows is compared with itself alone, and nothing else rests beside it.
    ground.clear();
    measured.extend(sides::measure(&args, &ground)?);
    let binary = std::env::current_exe().context("finding this executable")?;
    let binary_bytes = if args.url.is_empty() { std::fs::metadata(binary)?.len() } else { 0 };
    let report = report::report(setting, &measured, &ground.rests, binary_bytes);
    if let Some(page) = &args.page {
        page::write(page, &report)?;
    }
    report::print(&report, args.json)
}

/// One store with a server on it, and what is asked of it.
struct Stand {
    kind: Option<Kind>,
    server: Option<Server>,
    spread: Option<Arc<Target>>,
    hot: Arc<Target>,
    /// As `spread`, and what becomes of it is told.
    told: Option<ToldTargets>,
    /// An idle demo's store, written to without a server.
    commits: Option<Commits>,
}

impl Stand {
    /// A name with the store's before it, if there are several.
    fn named(&self, what: &str) -> String {
        self.kind.map_or_else(|| what.to_owned(), |kind| format!("{} {what}", kind.name()))
    }
}

/// Who is told: each purchase the receiver, or every other one another at its side.
struct ToldTargets {
    alone: Arc<Target>,
    beside_another: Arc<Target>,
    beside_slow: Arc<Target>,
}

/// Everything that runs meanwhile; the servers end before the folder goes.
struct Ground {
    bare: Server,
    bare_target: Arc<Target>,
    stands: Vec<Stand>,
    rests: Vec<Rests>,
    idle: Vec<(Kind, Demo)>,
    receiver: Receiver,
    postgres: Option<Postgres>,
    scratch: Option<Scratch>,
}

impl Ground {
    fn prepare(args: &Args) -> anyhow::Result<Ground> {
        let bare = servers::start_bare()?;
        let bare_target = target(std::slice::from_ref(&bare.address), &[Keys::none()])?;
        let (stands, rests, idle) = (Vec::new(), Vec::new(), Vec::new());
        let receiver = Receiver::start()?;
        let (postgres, scratch) = (None, None);
        let mut ground =
            Ground { bare, bare_target, stands, rests, idle, receiver, postgres, scratch };
        if let Some(credentials_file) = &args.credentials_file {
            ground.stands.push(theirs(args, credentials_file)?);
            return Ok(ground);
        }
        let scratch = Scratch::new(&args.scratch_dir)?;
        let folder = scratch.path().to_owned();
        ground.scratch = Some(scratch);
        for kind in &args.stores {
            if *kind == Kind::Postgres {
                say("starting PostgreSQL and filling pgbench's tables");
                let mut postgres = Postgres::start(&folder.join("postgres"))?;
                postgres.fill(args.pgbench_scale)?;
                ground.postgres = Some(postgres);
            }
            ground.add(*kind, &folder, args.wallets)?;
        }
        Ok(ground)
    }

    /// Starts a server on one store, and makes an idle demo beside it.
    fn add(&mut self, kind: Kind, folder: &Path, wallets: u32) -> anyhow::Result<()> {
        say(&format!("starting a server on {} with {wallets} accounts", kind.name()));
        let demo = |name: &str, wallets| {
            let on_postgres = self.postgres.as_ref().filter(|_| kind == Kind::Postgres);
            let url = on_postgres.map(|postgres| postgres.database(name)).transpose()?;
            anyhow::Ok(Demo::new(folder.join(format!("{}-{name}", kind.name())), url, wallets))
        };
        let busy = demo("busy", wallets)?;
        let server = busy.start()?;
        let here = std::slice::from_ref(&server.address);
        let (spread, hot) = (target(here, &busy.keys()?)?, target(here, &[busy.merchant_keys()?])?);
        drive::prepare_reads(&spread)?;
        let idle = demo("idle", 0)?;
        // Its first start makes what every later one finds.
        drop(idle.start()?);
        self.idle.push((kind, idle));
        self.rests.push(Rests { store: kind.name().to_owned(), starts: Vec::new() });
        let told = |beside: Option<&String>| {
            let urls = std::iter::once(&self.receiver.url).chain(beside).cloned().collect();
            Arc::new(Target { webhook_urls: urls, ..(*spread).clone() })
        };
        let told = Some(ToldTargets {
            alone: told(None),
            beside_another: told(Some(&self.receiver.neighbour_url)),
            beside_slow: told(Some(&self.receiver.slow_url)),
        });
        let (kind, server, spread) = (Some(kind), Some(server), Some(spread));
        self.stands.push(Stand { kind, server, spread, hot, told, commits: None });
        Ok(())
    }

    /// Stops the servers on the stores; PostgreSQL stays.
    fn clear(&mut self) {
        self.stands.clear();
        self.idle.clear();
    }

    /// Whose work it is that a stand does, or the bare endpoint.
    fn processes(&self, at: Option<usize>) -> Processes {
        let Some(stand) = at.map(|at| &self.stands[at]) else {
            return Processes { servers: vec![self.bare.id()], database: None };
        };
        let is_theirs = stand.kind == Some(Kind::Postgres);
        let database = self.postgres.as_ref().filter(|_| is_theirs).map(Postgres::id);
        Processes { servers: stand.server.iter().map(Server::id).collect(), database }
    }

    /// Where and how it was measured.
    fn setting(&self, args: &Args) -> Setting {
        let spread = self.stands.iter().filter_map(|stand| stand.spread.as_ref());
        let filesystem = self.scratch.as_ref().map(Scratch::filesystem).unwrap_or_default();
        let stores: Vec<String> = match self.postgres.as_ref() {
            None if self.scratch.is_none() => vec!["that of the running server".to_owned()],
            postgres => (self.stands.iter().filter_map(|stand| stand.kind))
                .map(|kind| match (kind, postgres) {
                    (Kind::Postgres, Some(postgres)) => postgres.version().to_owned(),
                    (kind, _) => kind.name().to_owned(),
                })
                .map(|store| format!("{store} on {filesystem}"))
                .collect(),
        };
        Setting {
            at: crate::cmd::moment(MachineClock::new().now()).chars().take(10).collect(),
            machine: machine(),
            cores: std::thread::available_parallelism().map_or(0, std::num::NonZero::get),
            client_threads: args.client_threads,
            seconds: args.seconds,
            rounds: args.rounds,
            wallets: spread.map(|target| target.lanes.len()).max().unwrap_or(1),
            stores: stores.join(", "),
            headline: headline(args),
        }
    }
}

/// The kind of processor and the kernel.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let processors = read("/proc/cpuinfo");
    let name = processors.lines().find(|line| line.starts_with("model name"));
    let name = name.and_then(|line| line.split(": ").nth(1)).unwrap_or("unknown processor");
    format!("{name}, Linux {}", read("/proc/sys/kernel/osrelease").trim())
}

/// The server, or the nodes, that were already running.
fn theirs(args: &Args, credentials_file: &Path) -> anyhow::Result<Stand> {
    let addresses: Vec<String> =
        args.url.iter().map(|url| servers::address_of(url)).collect::<anyhow::Result<_>>()?;
    let keys = args.keys_file.as_deref().map(servers::keys).transpose()?;
    let spread = keys.map(|keys| target(&addresses, &keys)).transpose()?;
    let hot = target(&addresses, &[servers::merchant_keys(credentials_file)?])?;
    Ok(Stand { kind: None, server: None, spread, hot, told: None, commits: None })
}

fn target(addresses: &[String], keys: &[Keys]) -> anyhow::Result<Arc<Target>> {
    anyhow::ensure!(!keys.is_empty(), "no keys to ask with");
    let lanes = keys.iter().map(Lane::new).collect::<anyhow::Result<Vec<Lane>>>()?;
    Ok(Arc::new(Target { addresses: addresses.to_vec(), lanes, webhook_urls: Vec::new() }))
}

/// One thing to measure.
#[derive(Clone, Debug)]
enum Act {
    /// As fast as answers come; of which stand, if it is one's.
    Closed(Arc<Target>, What, Option<usize>),
    /// The same, and what is counted are the webhooks that arrive; at a pace, if there is one.
    Told(Arc<Target>, usize, Option<u64>),
    /// At half the highest rate that the same load had on this stand.
    Paced(Arc<Target>, usize),
    /// Commits of a store without a server.
    Commits(usize),
    /// PostgreSQL's own load; with one hot row.
    Pgbench(bool),
}

/// The number of connections, of those that are measured, that the targets are told of.
fn headline(args: &Args) -> u16 {
    args.connections.iter().copied().min_by_key(|n| n.abs_diff(HEADLINE)).unwrap_or(HEADLINE)
}

/// Whether this is to be measured.
fn is_wanted(args: &Args, name: &str) -> bool {
    args.only.is_empty() || args.only.iter().any(|word| name.contains(word.as_str()))
}

/// Everything to measure, in the order of a round.
fn plan(args: &Args, ground: &Ground) -> Vec<(Measured, Act)> {
    let mut acts: Vec<(String, u16, Act)> = Vec::new();
    let mut add = |name: &str, n: u16, act: Act| acts.push((name.to_owned(), n, act));
    let closed = |target: &Arc<Target>, at| Act::Closed(target.clone(), What::Recharges, at);
    let headline = headline(args);
    for n in args.connections.iter().copied() {
        add(BARE, n, closed(&ground.bare_target, None));
        for (at, stand) in ground.stands.iter().enumerate() {
            if let Some(spread) = &stand.spread {
                add(&stand.named("spread"), n, closed(spread, Some(at)));
            }
            add(&stand.named("hot"), n, closed(&stand.hot, Some(at)));
        }
        if n == headline && ground.postgres.is_some() {
            add(PGBENCH, n, Act::Pgbench(false));
            add(PGBENCH_HOT, n, Act::Pgbench(true));
        }
    }
    for (at, stand) in ground.stands.iter().enumerate() {
        let (Some(spread), Some(_)) = (&stand.spread, stand.kind) else { continue };
        let reads = Act::Closed(spread.clone(), What::Reads, Some(at));
        add(&stand.named("reads"), headline, reads);
        if !args.connections.contains(&ALONE) {
            add(&stand.named("spread"), ALONE, closed(spread, Some(at)));
        }
        add(&stand.named("commit"), 1, Act::Commits(at));
        add(&stand.named("paced"), headline, Act::Paced(spread.clone(), at));
        if let Some(targets) = &stand.told {
            let mut told = |what: &str, target: &Arc<Target>, pace| {
                add(&stand.named(what), headline, Act::Told(target.clone(), at, pace));
            };
            told("webhooks", &targets.alone, None);
            told("webhooks, unhurried", &targets.alone, Some(UNHURRIED));
            // Twice the pace, half of it elsewhere: for the receiver the same, but for its neighbour.
            told(BESIDE_ANOTHER, &targets.beside_another, Some(2 * UNHURRIED));
            told(BESIDE_SLOW, &targets.beside_slow, Some(2 * UNHURRIED));
        }
    }
    let wanted = acts.into_iter().filter(|(name, _, _)| is_wanted(args, name));
    wanted
        .map(|(name, connections, act)| (Measured { name, connections, runs: Vec::new() }, act))
        .collect()
}

/// Everything in turn, as many rounds as asked.
fn measure(args: &Args, ground: &mut Ground) -> anyhow::Result<Vec<Measured>> {
    let mut plan = plan(args, ground);
    for (at, (kind, demo)) in ground.idle.iter().enumerate() {
        for round in 1..=args.rounds {
            say(&format!("start {round}/{} of an idle demo on {}", args.rounds, kind.name()));
            ground.rests[at].starts.push(rest::measure(demo)?);
        }
        ground.stands[at].commits = Some(Commits::open(demo)?);
    }
    for (measured, act) in &plan {
        if let Act::Closed(target, what, _) = act {
            say(&format!("warming up: {}", measured.name));
            let (what, duration) = (*what, WARM_UP);
            let load = Load { what, connections: 16, duration, threads: 1, pace: None };
            drive::drive(target, load).context("warming up")?;
        }
    }
    let mut peaks = vec![0; ground.stands.len()];
    for round in 1..=args.rounds {
        for (measured, act) in &mut plan {
            let run = once(args, ground, (&mut peaks, measured.connections), act)
                .with_context(|| measured.name.clone())?;
            say(&format!("round {round}/{}: {}", args.rounds, progress(measured, &run)));
            measured.runs.push(run);
        }
    }
    Ok(plan.into_iter().map(|(measured, _)| measured).collect())
}

fn once(
    args: &Args,
    ground: &mut Ground,
    (peaks, connections): (&mut [u64], u16),
    act: &Act,
) -> anyhow::Result<Run> {
    let (threads, duration) = (args.client_threads, Duration::from_secs(args.seconds));
    match act {
        Act::Closed(target, what, at) => {
            let load = Load { what: *what, connections, duration, threads, pace: None };
            let run = ground.processes(*at).charged(|| drive::drive(target, load))?;
            if let (Some(at), What::Recharges) = (at, what)
                && ground.stands[*at].spread.as_ref().is_some_and(|s| Arc::ptr_eq(s, target))
            {
                peaks[*at] = peaks[*at].max(run.per_second());
            }
            Ok(run)
        }
        Act::Told(target, at, pace) => {
            let connections = if pace.is_some() { PACED_CLIENTS } else { connections };
            let load = Load { what: What::Recharges, connections, duration, threads, pace: *pace };
            ground.processes(Some(*at)).charged(|| told(&ground.receiver, target, load))
        }
        Act::Paced(target, at) => {
            anyhow::ensure!(peaks[*at] > 0, "its pace is half of spread's: measure that too");
            let (what, pace) = (What::Recharges, Some((peaks[*at] / 2).max(1)));
            let load = Load { what, connections: PACED_CLIENTS, duration, threads, pace };
            ground.processes(Some(*at)).charged(|| drive::drive(target, load))
        }
        Act::Commits(at) => {
            let commits = ground.stands[*at].commits.as_mut().context("no idle demo")?;
            commits.measure(duration)
        }
        Act::Pgbench(is_hot) => {
            let postgres = ground.postgres.as_ref().context("no PostgreSQL")?;
            postgres.pgbench(*is_hot, connections, args.seconds)
        }
    }
}

/// The webhooks of a load: as many a second as arrive until the last one has, and their way.
fn told(receiver: &Receiver, target: &Arc<Target>, load: Load) -> anyhow::Result<Run> {
    let clock = MachineClock::new();
    let began = clock.monotonic();
    drop(receiver.take());
    receiver.slow_down(true);
    let bought = drive::drive(target, load)?;
    // Whoever is told beside the receiver is not counted.
    let receivers = u64::try_from(target.webhook_urls.len().max(1))?;
    let wanted = usize::try_from(bought.successes / receivers * TOLD_EACH)?;
    let bought_at = clock.monotonic();
    while receiver.count() < wanted && clock.monotonic() - bought_at < ARRIVE_WITHIN {
        std::thread::sleep(Duration::from_millis(1));
    }
    let elapsed = clock.monotonic() - began;
    let took_us = receiver.take();
    receiver.slow_down(false);
    let missing = u64::try_from(wanted.saturating_sub(took_us.len()))?;
    let first_error = (missing > 0).then(|| format!("{missing} webhooks did not arrive"));
    let first_error = bought.first_error.or(first_error);
    Ok(Run { errors: bought.errors + missing, first_error, ..Run::of(took_us, elapsed) })
}

fn progress(measured: &Measured, run: &Run) -> String {
    let us = |us: Option<u64>| us.map_or_else(|| "–".to_owned(), |us| us.to_string());
    let mut words = format!(
        "{:>24} with {:>3} connections: {:>6}/s, p50 {} µs, p99 {} µs, CPU {}+{} µs each, {} errors",
        measured.name,
        measured.connections,
        run.per_second(),
        us(run.p50_us),
        us(run.p99_us),
        us(run.cpu_us[0]),
        us(run.cpu_us[1]),
        run.errors,
    );
    if let Some(sample) = &run.first_error {
        words.push_str("\n  first error: ");
        words.push_str(sample);
    }
    words
}

/// Words for people, beside the data.
#[expect(clippy::print_stderr, reason = "progress of a command-line verb goes to stderr")]
fn say(words: &str) {
    eprintln!("{words}");
}

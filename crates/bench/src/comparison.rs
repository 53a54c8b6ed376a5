//! Comparisons of Saldo with itself: two nodes with one, a database with a history with an empty
//! one.
//!
//! Each comparison has databases and servers of its own, and runs after all other servers have
//! ended. Invariant: its variants are measured in turn within each round, after every fill, start
//! and first read is over.

use crate::cpu::Processes;
use crate::load::{self, Target};
use crate::measure::progress_line;
use crate::postgres::Postgres;
use crate::report::{self, Measurement, ONE_NODE, TWO_NODES};
use crate::servers::{Demo, ScratchDir, Server};
use crate::setup::{Setup, target};
use crate::{Args, StoreKind, fill, print_progress};
use anyhow::Context as _;
use domain::Clock;
use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// How often a fill reports its progress.
const PROGRESS_EVERY: Duration = Duration::from_secs(10);
/// The database that the nodes share.
const NODES_DATABASE: &str = "nodes";

/// Variants that are measured in turn, and their servers.
struct Comparison {
    variants: Vec<Variant>,
    servers: Vec<Server>,
}

struct Variant {
    name: String,
    target: Arc<Target>,
    processes: Processes,
}

/// Prepares and measures each comparison that the arguments select, one after the other.
pub(crate) fn measure(args: &Args, setup: &Setup) -> anyhow::Result<Vec<Measurement>> {
    let Some(scratch) = setup.scratch.as_ref().map(ScratchDir::path) else {
        return Ok(Vec::new());
    };
    let clock = &setup.host.clock;
    let mut measurements = Vec::new();
    if let Some(postgres) = &setup.postgres
        && [ONE_NODE, TWO_NODES].iter().any(|name| args.selects(name))
    {
        let nodes = nodes(scratch, postgres, setup.host.node_files)?;
        measurements.extend(measure_in_turn(args, &nodes, clock)?);
    }
    for store in &args.stores {
        let mut counts: BTreeSet<u64> = args.stored.iter().copied().chain([0]).collect();
        counts.retain(|count| args.selects(&report::stored(store.name(), *count)));
        if args.stored.iter().any(|count| *count > 0) && !counts.is_empty() {
            let histories = histories(args, setup, scratch, *store, &counts)?;
            measurements.extend(measure_in_turn(args, &histories, clock)?);
        }
    }
    Ok(measurements)
}

/// One hot wallet through one node, and through two.
fn nodes(scratch: &Path, postgres: &Postgres, node_files: &[&str]) -> anyhow::Result<Comparison> {
    print_progress("starting two nodes on one database");
    let database_url = postgres.database(NODES_DATABASE)?;
    let demo = Demo::first_node(scratch.join("node-1"), database_url);
    let first = demo.start()?;
    let second = demo.another_node(scratch.join("node-2"), node_files)?;
    let servers = vec![first, second.start()?];
    let keys = [demo.merchant_keys()?];
    let variant = |name: &str, nodes: &[Server]| {
        let addresses: Vec<String> = nodes.iter().map(|server| server.address.clone()).collect();
        let target = target(&addresses, &keys)?;
        // An idle node runs its jobs all the same: that is part of the cost of two nodes.
        let servers = servers.iter().map(Server::id).collect();
        let processes = Processes { servers, database: Some(postgres.id()) };
        anyhow::Ok(Variant { name: name.to_owned(), target, processes })
    };
    let variants = vec![variant(ONE_NODE, &servers[..1])?, variant(TWO_NODES, &servers)?];
    Ok(Comparison { variants, servers })
}

/// The spread load on one kind of store, with one variant for each count of stored purchases.
fn histories(
    args: &Args,
    setup: &Setup,
    scratch: &Path,
    store: StoreKind,
    counts: &BTreeSet<u64>,
) -> anyhow::Result<Comparison> {
    let postgres = setup.postgres.as_ref().filter(|_| store == StoreKind::Postgres);
    let mut demos = Vec::new();
    for count in counts {
        let name = report::stored(store.name(), *count);
        print_progress(&format!("{name}: making {} accounts", args.wallets));
        let database = format!("stored_{count}");
        let url = postgres.map(|postgres| postgres.database(&database)).transpose()?;
        let folder = scratch.join(format!("{}-{database}", store.name()));
        let demo = Demo::new(folder, url, args.wallets);
        drop(demo.start()?);
        if *count > 0 {
            fill_demo(&demo, *count, &name, &*setup.host.clock)?;
        }
        if let Some(postgres) = postgres {
            postgres.settle(&database)?;
        }
        demos.push((name, demo));
    }
    // What the fills left in the file system's cache is written now, and not by a measured flush.
    let synced = Command::new("sync").status().context("running sync")?;
    anyhow::ensure!(synced.success(), "sync failed");
    let mut comparison = Comparison { variants: Vec::new(), servers: Vec::new() };
    for (name, demo) in demos {
        let server = demo.start()?;
        let target = target(std::slice::from_ref(&server.address), &demo.keys()?)?;
        let database = postgres.map(Postgres::id);
        let processes = Processes { servers: vec![server.id()], database };
        comparison.variants.push(Variant { name, target, processes });
        comparison.servers.push(server);
    }
    Ok(comparison)
}

/// Stores finished purchases in a demo that has no server.
fn fill_demo(demo: &Demo, count: u64, name: &str, clock: &dyn Clock) -> anyhow::Result<()> {
    let began = clock.monotonic();
    let mut next = PROGRESS_EVERY;
    fill::fill(&demo.installation(), count, None, clock, |so_far| {
        let took = clock.monotonic() - began;
        if took >= next {
            next = took + PROGRESS_EVERY;
            print_progress(&format!("{name}: {}", rate_line(so_far, took)));
        }
    })
    .with_context(|| format!("filling: {name}"))?;
    print_progress(&format!("{name}: filled, {}", rate_line(count, clock.monotonic() - began)));
    Ok(())
}

fn rate_line(count: u64, took: Duration) -> String {
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    format!("{count} in {} s, {} a second", took_ms / 1000, count.saturating_mul(1000) / took_ms)
}

/// Measures as many rounds as the arguments ask for, after one that does not count.
fn measure_in_turn(
    args: &Args,
    comparison: &Comparison,
    clock: &Arc<dyn Clock>,
) -> anyhow::Result<Vec<Measurement>> {
    let connections = args.headline();
    let load = args.load(connections);
    let mut selected: Vec<(Measurement, &Variant)> = (comparison.variants.iter())
        .filter(|variant| args.selects(&variant.name))
        .map(|variant| {
            let name = variant.name.clone();
            (Measurement { name, connections, runs: Vec::new() }, variant)
        })
        .collect();
    for round in 0..=args.rounds {
        for (measurement, variant) in &mut selected {
            let run = variant.processes.charge(|| load::run(clock, &variant.target, load));
            let run = run.with_context(|| variant.name.clone())?;
            let line = progress_line(measurement, &run);
            if round == 0 {
                print_progress(&format!("warming up: {line}"));
            } else {
                print_progress(&format!("round {round}/{}: {line}", args.rounds));
                measurement.runs.push(run);
            }
        }
    }
    Ok(selected.into_iter().map(|(measurement, _)| measurement).collect())
}

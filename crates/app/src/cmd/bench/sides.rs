//! What is compared with itself alone: two nodes with one, books with a history with empty ones.
//!
//! Each comparison has databases and servers of its own, and runs when everything else has ended.
//! Invariant: its sides are driven in turn within each round, and what was just filled, started or
//! read for the first time is over before anything is measured.

use super::cpu::Processes;
use super::drive::{self, Load, Target, What};
use super::postgres::Postgres;
use super::report::{self, Measured, ONE_NODE, TWO_NODES};
use super::servers::{Demo, Server};
use super::{Args, Ground, Kind, Scratch, headline, is_wanted, progress, say, target};
use crate::clock::MachineClock;
use crate::cmd::fill;
use anyhow::Context as _;
use domain::Clock as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

/// Between two words of how far a fill has come.
const TOLD_EVERY: Duration = Duration::from_secs(10);
/// The database that nodes share.
const SHARED: &str = "nodes";

/// Sides that are driven in turn, and their servers.
struct Comparison {
    sides: Vec<Side>,
    servers: Vec<Server>,
}

struct Side {
    name: String,
    target: Arc<Target>,
    processes: Processes,
}

/// Prepares and measures each comparison that is wanted, one after the other.
pub(super) fn measure(args: &Args, ground: &Ground) -> anyhow::Result<Vec<Measured>> {
    let Some(scratch) = ground.scratch.as_ref().map(Scratch::path) else { return Ok(Vec::new()) };
    let mut measured = Vec::new();
    if let Some(postgres) = &ground.postgres
        && [ONE_NODE, TWO_NODES].iter().any(|name| is_wanted(args, name))
    {
        measured.extend(in_turn(args, &nodes(scratch, postgres)?)?);
    }
    for kind in &args.stores {
        let mut counts: Vec<u64> = std::iter::once(0).chain(args.stored.iter().copied()).collect();
        counts.sort_unstable();
        counts.dedup();
        counts.retain(|count| is_wanted(args, &report::stored(kind.name(), *count)));
        if args.stored.iter().any(|count| *count > 0) && !counts.is_empty() {
            let postgres = ground.postgres.as_ref().filter(|_| *kind == Kind::Postgres);
            measured.extend(in_turn(args, &histories(args, scratch, postgres, &counts)?)?);
        }
    }
    Ok(measured)
}

/// One hot wallet through one node, and through both.
fn nodes(scratch: &Path, postgres: &Postgres) -> anyhow::Result<Comparison> {
    say("starting two nodes on one database");
    let one = Demo::first_node(scratch.join("node-1"), postgres.database(SHARED)?);
    let first = one.start()?;
    let other = one.another_node(scratch.join("node-2"))?;
    let servers = vec![first, other.start()?];
    let keys = [one.merchant_keys()?];
    let side = |name: &str, of: &[Server]| {
        let addresses: Vec<String> = of.iter().map(|server| server.address.clone()).collect();
        let target = target(&addresses, &keys)?;
        // The one that rests looks after its jobs too: that is part of what two nodes cost.
        let servers = servers.iter().map(Server::id).collect();
        let processes = Processes { servers, database: Some(postgres.id()) };
        anyhow::Ok(Side { name: name.to_owned(), target, processes })
    };
    let sides = vec![side(ONE_NODE, &servers[..1])?, side(TWO_NODES, &servers)?];
    Ok(Comparison { sides, servers })
}

/// The spread load on books that hold so many purchases each, on PostgreSQL or on SQLite.
fn histories(
    args: &Args,
    scratch: &Path,
    postgres: Option<&Postgres>,
    counts: &[u64],
) -> anyhow::Result<Comparison> {
    let kind = if postgres.is_some() { Kind::Postgres } else { Kind::Sqlite };
    let mut demos = Vec::new();
    for count in counts {
        let name = report::stored(kind.name(), *count);
        say(&format!("{name}: making {} accounts", args.wallets));
        let database = format!("stored_{count}");
        let url = postgres.map(|postgres| postgres.database(&database)).transpose()?;
        let folder = scratch.join(format!("{}-{database}", kind.name()));
        let demo = Demo::new(folder, url, args.wallets);
        drop(demo.start()?);
        if *count > 0 {
            filled(&demo, *count, &name)?;
        }
        if let Some(postgres) = postgres {
            postgres.settle(&database)?;
        }
        demos.push((name, demo));
    }
    // What the fills left in the file system's cache is on the disk before anybody flushes.
    let synced = Command::new("sync").status().context("running sync")?;
    anyhow::ensure!(synced.success(), "sync failed");
    let mut comparison = Comparison { sides: Vec::new(), servers: Vec::new() };
    for (name, demo) in demos {
        let server = demo.start()?;
        let target = target(std::slice::from_ref(&server.address), &demo.keys()?)?;
        let database = postgres.map(Postgres::id);
        let processes = Processes { servers: vec![server.id()], database };
        comparison.sides.push(Side { name, target, processes });
        comparison.servers.push(server);
    }
    Ok(comparison)
}

/// Stores finished purchases in a demo that is not served.
fn filled(demo: &Demo, count: u64, name: &str) -> anyhow::Result<()> {
    let clock = MachineClock::new();
    let mut next = TOLD_EVERY;
    fill::fill((demo.database_url(), &demo.data_dir()), count, None, |so_far| {
        let took = clock.monotonic();
        if took >= next {
            next = took + TOLD_EVERY;
            say(&format!("{name}: {}", so_far_in(so_far, took)));
        }
    })
    .with_context(|| format!("filling: {name}"))?;
    say(&format!("{name}: filled, {}", so_far_in(count, clock.monotonic())));
    Ok(())
}

fn so_far_in(count: u64, took: Duration) -> String {
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).max(1);
    format!("{count} in {} s, {} a second", took_ms / 1000, count.saturating_mul(1000) / took_ms)
}

/// As many rounds as asked, after one that does not count.
fn in_turn(args: &Args, comparison: &Comparison) -> anyhow::Result<Vec<Measured>> {
    let connections = headline(args);
    let (duration, threads) = (Duration::from_secs(args.seconds), args.client_threads);
    let load = Load { what: What::Recharges, connections, duration, threads, pace: None };
    let wanted = comparison.sides.iter().filter(|side| is_wanted(args, &side.name));
    let mut sides: Vec<(Measured, &Side)> = wanted
        .map(|side| (Measured { name: side.name.clone(), connections, runs: Vec::new() }, side))
        .collect();
    for round in 0..=args.rounds {
        for (measured, side) in &mut sides {
            let run = side.processes.charged(|| drive::drive(&side.target, load));
            let run = run.with_context(|| side.name.clone())?;
            let words = progress(measured, &run);
            if round == 0 {
                say(&format!("warming up: {words}"));
            } else {
                say(&format!("round {round}/{}: {words}", args.rounds));
                measured.runs.push(run);
            }
        }
    }
    Ok(sides.into_iter().map(|(measured, _)| measured).collect())
}

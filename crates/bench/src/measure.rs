//! What `saldo bench` measures on the [`Setup`], and in which order.
//!
//! Not here: the comparisons with servers of their own (`comparison`). Invariant: every measurement
//! is repeated in every round, so that a slow minute of the machine falls on all of them.

use crate::footprint::{self, Commits};
use crate::load::{self, Load, RequestKind, Run, Target};
use crate::report::{
    ALONE, BASELINE, BESIDE_ANOTHER, BESIDE_SLOW, Measurement, PGBENCH, PGBENCH_HOT,
};
use crate::setup::Setup;
use crate::{Args, print_progress};
use anyhow::{Context as _, Result};
use std::sync::Arc;
use std::time::Duration;

/// How long each target is loaded before anything is measured.
const WARM_UP: Duration = Duration::from_secs(1);
/// A rate at which nothing is saturated, for the time to deliver a webhook.
const UNHURRIED_PER_SECOND: u64 = 100;
/// How long the last webhooks may take to arrive after the last purchase.
const ARRIVAL_TIMEOUT: Duration = Duration::from_secs(60);
/// Each recharge that is delivered sends two events.
const EVENTS_PER_RECHARGE: u64 = 2;
/// Connections of a load with a fixed rate: enough that one is free unless the server stalls.
const PACED_CONNECTIONS: u16 = 256;

/// One measurement of the plan, and how it is taken.
struct Planned {
    measurement: Measurement,
    action: Action,
}

/// How one run of a measurement is taken. A `subject` is an index into [`Setup::subjects`].
#[derive(Clone, Debug)]
enum Action {
    /// A closed loop: each connection sends the next request when the last one was answered. The
    /// baseline endpoint has no subject.
    ClosedLoop { target: Arc<Target>, kind: RequestKind, subject: Option<usize> },
    /// Recharges in a closed loop, or at a fixed rate; the webhooks that arrive are counted.
    Webhooks { target: Arc<Target>, subject: usize, per_second: Option<u64> },
    /// Recharges at half the highest rate that the closed loop reached on this subject.
    Paced { target: Arc<Target>, subject: usize },
    /// Commits of a store without a server.
    Commits { subject: usize },
    /// PostgreSQL's own load; on one hot row if so.
    Pgbench { is_hot: bool },
}

/// Takes every measurement in turn, as many rounds as the arguments ask for.
pub(crate) fn measure(args: &Args, setup: &mut Setup) -> Result<Vec<Measurement>> {
    let mut plan = plan(args, setup);
    measure_footprints(args, setup)?;
    for Planned { measurement, action } in &plan {
        if let Action::ClosedLoop { target, kind, .. } = action {
            print_progress(&format!("warming up: {}", measurement.name));
            let load = Load { kind: *kind, duration: WARM_UP, threads: 1, ..args.load(16) };
            load::run(&setup.host.clock, target, load).context("warming up")?;
        }
    }
    for round in 1..=args.rounds {
        for Planned { measurement, action } in &mut plan {
            let run = run_once(args, setup, measurement.connections, action)
                .with_context(|| measurement.name.clone())?;
            let line = progress_line(measurement, &run);
            print_progress(&format!("round {round}/{}: {line}", args.rounds));
            measurement.runs.push(run);
        }
    }
    Ok(plan.into_iter().map(|planned| planned.measurement).collect())
}

/// Starts each idle demo once a round, then opens its store for the commits.
fn measure_footprints(args: &Args, setup: &mut Setup) -> Result<()> {
    for (index, (store, demo)) in setup.idle.iter().enumerate() {
        for round in 1..=args.rounds {
            let (rounds, store) = (args.rounds, store.name());
            print_progress(&format!("start {round}/{rounds} of an idle demo on {store}"));
            let footprint = footprint::measure(demo, &*setup.host.clock)?;
            setup.footprints[index].starts.push(footprint);
        }
        setup.subjects[index].commits = Some(Commits::open(demo, &setup.host)?);
    }
    Ok(())
}

/// Everything that the arguments select, in the order of a round.
fn plan(args: &Args, setup: &Setup) -> Vec<Planned> {
    let mut plan: Vec<Planned> = Vec::new();
    let mut add = |name: &str, connections: u16, action: Action| {
        if args.selects(name) {
            let measurement = Measurement { name: name.to_owned(), connections, runs: Vec::new() };
            plan.push(Planned { measurement, action });
        }
    };
    let recharges = |target: &Arc<Target>, subject| Action::ClosedLoop {
        target: target.clone(),
        kind: RequestKind::Recharge,
        subject,
    };
    let headline = args.headline();
    for n in args.connections.iter().copied() {
        add(BASELINE, n, recharges(&setup.baseline_target, None));
        for (index, subject) in setup.subjects.iter().enumerate() {
            if let Some(spread) = &subject.spread {
                add(&subject.named("spread"), n, recharges(spread, Some(index)));
            }
            add(&subject.named("hot"), n, recharges(&subject.hot, Some(index)));
        }
        if n == headline && setup.postgres.is_some() {
            add(PGBENCH, n, Action::Pgbench { is_hot: false });
            add(PGBENCH_HOT, n, Action::Pgbench { is_hot: true });
        }
    }
    for (index, subject) in setup.subjects.iter().enumerate() {
        let (Some(spread), Some(_)) = (&subject.spread, subject.store) else { continue };
        let (target, kind) = (spread.clone(), RequestKind::Read);
        let reads = Action::ClosedLoop { target, kind, subject: Some(index) };
        add(&subject.named("reads"), headline, reads);
        if !args.connections.contains(&ALONE) {
            add(&subject.named("spread"), ALONE, recharges(spread, Some(index)));
        }
        add(&subject.named("commit"), 1, Action::Commits { subject: index });
        let paced = Action::Paced { target: spread.clone(), subject: index };
        add(&subject.named("paced"), headline, paced);
        if let Some(targets) = &subject.webhooks {
            let mut webhooks = |what: &str, target: &Arc<Target>, per_second| {
                let target = target.clone();
                let action = Action::Webhooks { target, subject: index, per_second };
                add(&subject.named(what), headline, action);
            };
            webhooks("webhooks", &targets.alone, None);
            webhooks("webhooks, unhurried", &targets.alone, Some(UNHURRIED_PER_SECOND));
            // At twice the rate the measured receiver gets as many as when it is alone.
            let twice = Some(2 * UNHURRIED_PER_SECOND);
            webhooks(BESIDE_ANOTHER, &targets.beside_another, twice);
            webhooks(BESIDE_SLOW, &targets.beside_slow, twice);
        }
    }
    plan
}

fn run_once(args: &Args, setup: &mut Setup, connections: u16, action: &Action) -> Result<Run> {
    let load = args.load(connections);
    match action {
        Action::ClosedLoop { target, kind, subject } => {
            let load = Load { kind: *kind, ..load };
            let clock = &setup.host.clock;
            let run = setup.processes(*subject).charge(|| load::run(clock, target, load))?;
            if let (Some(index), RequestKind::Recharge) = (subject, kind) {
                let subject = &mut setup.subjects[*index];
                if subject.spread.as_ref().is_some_and(|spread| Arc::ptr_eq(spread, target)) {
                    let peak = &mut subject.spread_peak_per_second;
                    *peak = run.per_second().max(*peak);
                }
            }
            Ok(run)
        }
        Action::Webhooks { target, subject, per_second } => {
            let connections = if per_second.is_some() { PACED_CONNECTIONS } else { connections };
            let load = Load { connections, per_second: *per_second, ..load };
            setup.processes(Some(*subject)).charge(|| run_webhooks(setup, target, load))
        }
        Action::Paced { target, subject } => {
            let peak = setup.subjects[*subject].spread_peak_per_second;
            anyhow::ensure!(peak > 0, "its pace is half of spread's: measure that too");
            let per_second = Some((peak / 2).max(1));
            let load = Load { connections: PACED_CONNECTIONS, per_second, ..load };
            let clock = &setup.host.clock;
            setup.processes(Some(*subject)).charge(|| load::run(clock, target, load))
        }
        Action::Commits { subject } => {
            let commits = setup.subjects[*subject].commits.as_mut().context("no idle demo")?;
            commits.measure(load.duration)
        }
        Action::Pgbench { is_hot } => {
            let postgres = setup.postgres.as_ref().context("no PostgreSQL")?;
            postgres.pgbench(*is_hot, connections, args.seconds)
        }
    }
}

/// Runs a load and waits for its webhooks. The result counts the webhooks that arrived, until the
/// last one, and the time from each event to its arrival.
fn run_webhooks(setup: &Setup, target: &Arc<Target>, load: Load) -> Result<Run> {
    let (clock, receiver) = (&setup.host.clock, &setup.receiver);
    let began = clock.monotonic();
    drop(receiver.take());
    receiver.set_slow(true);
    let bought = load::run(clock, target, load)?;
    // Only the measured receiver counts; a second one gets every other recharge's webhooks.
    let receivers = u64::try_from(target.webhook_urls.len().max(1))?;
    let expected = usize::try_from(bought.successes / receivers * EVENTS_PER_RECHARGE)?;
    let bought_at = clock.monotonic();
    while receiver.count() < expected && clock.monotonic() - bought_at < ARRIVAL_TIMEOUT {
        std::thread::sleep(Duration::from_millis(1));
    }
    let elapsed = clock.monotonic() - began;
    let took_us = receiver.take();
    receiver.set_slow(false);
    let missing = u64::try_from(expected.saturating_sub(took_us.len()))?;
    let first_error = (missing > 0).then(|| format!("{missing} webhooks did not arrive"));
    let first_error = bought.first_error.or(first_error);
    Ok(Run { errors: bought.errors + missing, first_error, ..Run::of(took_us, elapsed) })
}

/// What one run measured, in a line for people.
pub(crate) fn progress_line(measurement: &Measurement, run: &Run) -> String {
    let us = |us: Option<u64>| us.map_or_else(|| "–".to_owned(), |us| us.to_string());
    let mut line = format!(
        "{:>24} with {:>3} connections: {:>6}/s, p50 {} µs, p99 {} µs, \
         CPU {}+{} µs each, {} errors",
        measurement.name,
        measurement.connections,
        run.per_second(),
        us(run.p50_us),
        us(run.p99_us),
        us(run.cpu_us[0]),
        us(run.cpu_us[1]),
        run.errors,
    );
    if let Some(error) = &run.first_error {
        line.push_str("\n  first error: ");
        line.push_str(error);
    }
    line
}

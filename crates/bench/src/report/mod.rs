//! The report: medians with their range, and the figures beside the targets of PERFORMANCE.md; as a
//! table or as JSON. Scripts read the JSON and the names of the figures.
//!
//! Invariant: rates and ratios are computed in integers (thousandths). Only the output has a
//! decimal point.

mod graph;
pub(crate) mod page;

use crate::footprint::Footprint;
use crate::load::Run;
use serde::Serialize;
use std::fmt::Write as _;
use std::process::ExitCode;

/// The baseline endpoint, which stores nothing.
pub(crate) const BASELINE: &str = "bare";
/// PostgreSQL's own load.
pub(crate) const PGBENCH: &str = "pgbench";
/// The same, with one hot row.
pub(crate) const PGBENCH_HOT: &str = "pgbench, hot row";
/// One hot wallet through one node, while a second node on the same database is idle.
pub(crate) const ONE_NODE: &str = "PostgreSQL hot, 1 node";
/// The same connections, spread over both nodes.
pub(crate) const TWO_NODES: &str = "PostgreSQL hot, 2 nodes";
/// Half of the webhooks go to a second receiver, which answers at once; the others are measured.
pub(crate) const BESIDE_ANOTHER: &str = "webhooks, beside another";
/// The same, but the second receiver delays each answer for seconds.
pub(crate) const BESIDE_SLOW: &str = "webhooks, beside a slow one";
/// The number of connections for the latency of a recharge on a server that is not busy.
pub(crate) const ALONE: u16 = 4;

/// All runs of one measurement at one number of connections.
#[derive(Debug)]
pub(crate) struct Measurement {
    pub(crate) name: String,
    pub(crate) connections: u16,
    pub(crate) runs: Vec<Run>,
}

/// Where and how the run measured.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Conditions {
    /// The day in UTC.
    pub(crate) at: String,
    pub(crate) machine: String,
    pub(crate) cores: usize,
    pub(crate) client_threads: u16,
    pub(crate) seconds: u64,
    pub(crate) rounds: u16,
    pub(crate) wallets: usize,
    pub(crate) stores: String,
    /// The number of connections that the targets are measured at.
    pub(crate) headline: u16,
}

/// The footprints of an idle demo on one store, one for each start.
#[derive(Debug, Default)]
pub(crate) struct Footprints {
    pub(crate) store: String,
    pub(crate) starts: Vec<Footprint>,
}

/// One line of the table. Medians over the rounds.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) connections: u16,
    pub(crate) per_second: u64,
    per_second_min: u64,
    per_second_max: u64,
    p50_us: Option<u64>,
    p99_us: Option<u64>,
    server_cpu_us: Option<u64>,
    database_cpu_us: Option<u64>,
    errors: u64,
}

/// One figure with a target in PERFORMANCE.md.
#[derive(Debug, Serialize)]
pub(crate) struct Figure {
    target: &'static str,
    what: String,
    thousandths: u64,
    unit: &'static str,
    goal: Goal,
}

/// The target of a figure, in thousandths: the present one, and the one after it.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Goal {
    AtLeast(u64, u64),
    AtMost(u64, u64),
}

impl Goal {
    fn is_met(self, thousandths: u64) -> bool {
        match self {
            Goal::AtLeast(goal, _) => thousandths >= goal,
            Goal::AtMost(goal, _) => thousandths <= goal,
        }
    }

    fn text(self) -> String {
        let (sign, goal, next) = match self {
            Goal::AtLeast(goal, next) => ('≥', goal, next),
            Goal::AtMost(goal, next) => ('≤', goal, next),
        };
        format!("{sign} {}, then {}", short(goal), short(next))
    }
}

/// Everything that is printed. The names of its fields are the JSON's.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) setting: Conditions,
    pub(crate) lines: Vec<Line>,
    pub(crate) figures: Vec<Figure>,
    errors: u64,
    first_error: Option<String>,
}

/// The name of the spread load on a database that held so many purchases before.
pub(crate) fn stored(store: &str, count: u64) -> String {
    format!("{store} spread, {count} stored")
}

/// The store and the count in such a name; `None` for any other name.
fn stored_of(name: &str) -> Option<(&str, u64)> {
    let (store, count) = name.strip_suffix(" stored")?.split_once(" spread, ")?;
    Some((store, count.parse().ok()?))
}

/// Computes the report. `binary_bytes` is the size of the program; 0 if it is not measured.
pub(crate) fn report(
    setting: Conditions,
    measurements: &[Measurement],
    footprints: &[Footprints],
    binary_bytes: u64,
) -> Report {
    let mut runs = measurements.iter().flat_map(|measurement| &measurement.runs);
    let first_error = runs.find_map(|run| run.first_error.clone());
    let lines: Vec<Line> = measurements.iter().map(line_of).collect();
    let mut figures = ratios(&lines, setting.headline);
    let started = footprints.iter().filter(|footprints| !footprints.starts.is_empty());
    figures.extend(started.flat_map(footprint_figures));
    if binary_bytes > 0 {
        let goal = Goal::AtMost(40_000, 25_000);
        figures.push(figure("10", "the program".to_owned(), mib(binary_bytes / 1024), "MiB", goal));
    }
    let errors = lines.iter().map(|line| line.errors).sum();
    Report { setting, lines, figures, errors, first_error }
}

fn line_of(measurement: &Measurement) -> Line {
    let median_of = |value: fn(&Run) -> Option<u64>| {
        let values: Vec<u64> = measurement.runs.iter().filter_map(value).collect();
        (!values.is_empty()).then(|| median(values))
    };
    let rates: Vec<u64> = measurement.runs.iter().map(Run::per_second).collect();
    Line {
        name: measurement.name.clone(),
        connections: measurement.connections,
        per_second: median(rates.clone()),
        per_second_min: rates.iter().copied().min().unwrap_or(0),
        per_second_max: rates.iter().copied().max().unwrap_or(0),
        p50_us: median_of(|run| run.p50_us),
        p99_us: median_of(|run| run.p99_us),
        server_cpu_us: median_of(|run| run.cpu_us[0]),
        database_cpu_us: median_of(|run| run.cpu_us[1]),
        errors: measurement.runs.iter().map(|run| run.errors).sum(),
    }
}

/// The middle value; of two middle values the lower one. 0 for no values.
pub(crate) fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get((values.len().max(1) - 1) / 2).copied().unwrap_or(0)
}

/// A figure of `n` thousandths of the unit.
fn figure(target: &'static str, what: String, n: u64, unit: &'static str, goal: Goal) -> Figure {
    Figure { target, what, thousandths: n, unit, goal }
}

/// The figures that are computed from lines, as far as those were measured.
fn ratios(lines: &[Line], headline: u16) -> Vec<Figure> {
    let find = |name: &str, connections: u16| {
        lines.iter().find(|l| l.name == name && l.connections == connections)
    };
    let mut found = Vec::new();
    let mut rate = |target, over: &str, under: &str, goal| {
        if let (Some(a), Some(b)) = (find(over, headline), find(under, headline)) {
            let thousandths = a.per_second * 1000 / b.per_second.max(1);
            found.push(figure(target, format!("{over} ÷ {under}"), thousandths, "", goal));
        }
    };
    rate("1", "SQLite spread", PGBENCH, Goal::AtLeast(2_500, 5_000));
    rate("2", "PostgreSQL spread", PGBENCH, Goal::AtLeast(2_000, 4_000));
    rate("3", "PostgreSQL hot", PGBENCH_HOT, Goal::AtLeast(8_000, 20_000));
    for store in ["", "SQLite ", "PostgreSQL "] {
        let (spread, hot) = (format!("{store}spread"), format!("{store}hot"));
        rate("4", &hot, &spread, Goal::AtLeast(900, 1_000));
    }
    rate("5", TWO_NODES, ONE_NODE, Goal::AtLeast(800, 1_000));
    for line in lines {
        if let Some((store, count @ 1..)) = stored_of(&line.name) {
            let (full, empty) = (stored(store, count), stored(store, 0));
            rate("6", &full, &empty, Goal::AtLeast(900, 970));
        }
    }
    for store in ["SQLite", "PostgreSQL"] {
        rate("8", &format!("{store} reads"), BASELINE, Goal::AtLeast(350, 600));
        let (webhooks, spread) = (format!("{store} webhooks"), format!("{store} spread"));
        rate("9", &webhooks, &spread, Goal::AtLeast(600, 1_000));
    }
    for store in ["SQLite", "PostgreSQL"] {
        let of_store = |what: &str, n| find(&format!("{store} {what}"), n);
        let p50 = |what: &str, n| of_store(what, n).and_then(|line| line.p50_us);
        let p99 = |what: &str, n| of_store(what, n).and_then(|line| line.p99_us);
        if let Some(p99_us) = p99("webhooks, unhurried", headline) {
            let what = format!("{store}: event to delivery, unhurried: p99");
            found.push(figure("9", what, p99_us, "ms", Goal::AtMost(16_000, 16_000)));
        }
        let mut ratio = |target, what: String, over: Option<u64>, under: Option<u64>, goal| {
            if let (Some(over), Some(under)) = (over, under) {
                found.push(figure(target, what, over * 1000 / under.max(1), "", goal));
            }
        };
        let what = format!("{store}: event to delivery, beside a slow receiver ÷ a fast one: p50");
        let (slow, other) = (p50(BESIDE_SLOW, headline), p50(BESIDE_ANOTHER, headline));
        ratio("9", what, slow, other, Goal::AtMost(1_100, 1_000));
        let what = format!("p99 of {store} paced ÷ p99 of {store} commit");
        ratio("7", what, p99("paced", headline), p99("commit", 1), Goal::AtMost(5_000, 2_000));
        if let Some(p50_us) = p50("spread", ALONE) {
            let what = format!("{store} spread, {ALONE} connections: p50");
            found.push(figure("10b", what, p50_us, "ms", Goal::AtMost(2_000, 1_000)));
        }
    }
    found.sort_by_key(|figure| figure.target.trim_end_matches('b').parse::<u8>().unwrap_or(0));
    found
}

/// The figures of a server that nobody uses.
fn footprint_figures(footprints: &Footprints) -> [Figure; 2] {
    let median_of =
        |value: fn(&Footprint) -> u64| median(footprints.starts.iter().map(value).collect());
    let store = &footprints.store;
    let start = median_of(|footprint| footprint.first_answer_us);
    let memory = mib(median_of(|footprint| footprint.memory_kib));
    let goals = [Goal::AtMost(40_000, 20_000), Goal::AtMost(100_000, 50_000)];
    [
        figure("10", format!("{store}: memory at rest"), memory, "MiB", goals[0]),
        figure("10", format!("{store}: start to first answer"), start, "ms", goals[1]),
    ]
}

/// KiB in thousandths of a MiB.
fn mib(kib: u64) -> u64 {
    kib * 1000 / 1024
}

/// Prints the report. The exit code is a failure if any answer was not a success.
pub(crate) fn print(report: &Report, as_json: bool) -> anyhow::Result<ExitCode> {
    if as_json {
        print_line(&serde_json::to_string(report)?);
    } else {
        print_line(table(report)?.trim_end());
    }
    Ok(if report.errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How the run measured, in a sentence.
fn sentence(conditions: &Conditions) -> String {
    let Conditions { at, machine, cores, client_threads, seconds, rounds, wallets, stores, .. } =
        conditions;
    format!(
        "{at}. {machine}, {cores} cores, client and server on the same machine; stores: {stores}; \
         {wallets} wallets; {client_threads} client thread(s); {rounds} interleaved rounds of \
         {seconds} s; medians (min–max)."
    )
}

/// The cells of a line of the table, for people.
fn cells(line: &Line) -> [String; 8] {
    let ms = |us: Option<u64>| us.map_or_else(|| "–".to_owned(), with_point);
    let whole = |n: Option<u64>| n.map_or_else(|| "–".to_owned(), |n| n.to_string());
    [
        line.name.clone(),
        line.connections.to_string(),
        line.per_second.to_string(),
        format!("({}–{})", line.per_second_min, line.per_second_max),
        ms(line.p50_us),
        ms(line.p99_us),
        whole(line.server_cpu_us),
        whole(line.database_cpu_us),
    ]
}

/// The heads of the columns.
const HEAD: [&str; 8] =
    ["what", "conns", "per second", "(min–max)", "p50 ms", "p99 ms", "CPU µs", "of database"];

/// The cells of a figure: target, what, measured, goal, whether the goal is met.
fn figure_cells(figure: &Figure) -> [String; 5] {
    let measured = format!("{} {}", short(figure.thousandths), figure.unit);
    let is_met = figure.goal.is_met(figure.thousandths);
    [
        figure.target.to_owned(),
        figure.what.clone(),
        measured.trim_end().to_owned(),
        figure.goal.text(),
        if is_met { "met" } else { "missed" }.to_owned(),
    ]
}

fn table(report: &Report) -> anyhow::Result<String> {
    let mut out = String::new();
    writeln!(out, "{}\n", sentence(&report.setting))?;
    let row = |[what, n, rate, range, p50, p99, cpu, of_database]: [&str; 8]| {
        format!("{what:<36}{n:>6}{rate:>12}{range:>18}{p50:>9}{p99:>9}{cpu:>8}{of_database:>13}\n")
    };
    out.push_str(&row(HEAD));
    for line in &report.lines {
        out.push_str(&row(cells(line).each_ref().map(String::as_str)));
    }
    writeln!(out)?;
    for figure in &report.figures {
        let [target, what, measured, goal, met] = figure_cells(figure);
        writeln!(out, "{target:<4}{what:<66}{measured:>14}  {goal:<24}{met}")?;
    }
    if report.errors > 0 {
        let sample = report.first_error.as_deref().unwrap_or("");
        writeln!(out, "\n{} answers were not a success; the first: {sample}", report.errors)?;
    }
    Ok(out)
}

/// Thousandths with a decimal point: 1234 is `1.234`.
fn with_point(thousandths: u64) -> String {
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
}

/// Thousandths without trailing zeros: 2500 is `2.5`.
fn short(thousandths: u64) -> String {
    with_point(thousandths).trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Prints a line of data.
#[expect(clippy::print_stdout, reason = "a verb's data goes to stdout")]
pub(crate) fn print_line(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(successes: u64) -> Run {
        Run {
            successes,
            elapsed_us: 1_000_000,
            p50_us: Some(1_500),
            p99_us: Some(20_000),
            cpu_us: [Some(60), None],
            ..Run::default()
        }
    }

    fn measured(name: &str, connections: u16, runs: Vec<Run>) -> Measurement {
        Measurement { name: name.to_owned(), connections, runs }
    }

    /// A small report that has most figures.
    pub(super) fn sample() -> Report {
        let broken = Run { errors: 2, first_error: Some("503 busy".into()), ..run(850) };
        let nothing_known = Run { p50_us: None, p99_us: None, cpu_us: [None, None], ..run(40) };
        let measurements = [
            measured(BASELINE, 64, vec![run(9000), run(10_000), run(11_000)]),
            measured("SQLite spread", 4, vec![run(700)]),
            measured("SQLite spread", 64, vec![run(1000), run(900), run(3000)]),
            measured("SQLite spread, 0 stored", 64, vec![run(1100)]),
            measured("SQLite spread, 5000 stored", 64, vec![run(880)]),
            measured(ONE_NODE, 64, vec![run(1000)]),
            measured(TWO_NODES, 64, vec![run(900)]),
            measured("SQLite hot", 64, vec![run(950), broken]),
            measured("SQLite paced", 64, vec![run(500)]),
            measured("SQLite commit", 1, vec![run(900)]),
            measured(PGBENCH, 64, vec![nothing_known]),
        ];
        let setting = Conditions {
            at: "2026-11-22".to_owned(),
            machine: "a machine".to_owned(),
            cores: 2,
            client_threads: 1,
            seconds: 1,
            rounds: 3,
            wallets: 10,
            stores: "SQLite on ext4".to_owned(),
            headline: 64,
        };
        let starts = vec![Footprint { first_answer_us: 80_000, memory_kib: 51_200 }];
        let footprints = [Footprints { store: "SQLite".to_owned(), starts }];
        report(setting, &measurements, &footprints, 30 * 1024 * 1024)
    }

    #[test]
    fn medians_figures_and_errors_are_reported() {
        expect_test::expect_file!["sample.txt"].assert_eq(&table(&sample()).unwrap());
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![]), 0);
        assert_eq!(median(vec![5]), 5);
        assert_eq!(median(vec![9, 1, 5]), 5);
        assert_eq!(median(vec![4, 1, 2, 3]), 2);
    }

    #[test]
    fn trailing_zeros_are_left_out() {
        assert_eq!([2500, 2000, 40_000, 1051, 0].map(short), ["2.5", "2", "40", "1.051", "0"]);
    }
}

//! The figures: medians with their spread, and how they stand against the targets of
//! PERFORMANCE.md; as a table or as JSON.
//!
//! Invariant: rates and ratios are computed in integers (thousandths) and only written with a point.

use super::drive::Run;
use super::rest::Rest;
use serde::Serialize;
use std::fmt::Write as _;
use std::process::ExitCode;

/// The endpoint that stores nothing.
pub(super) const BARE: &str = "bare";
/// PostgreSQL's own load.
pub(super) const PGBENCH: &str = "pgbench";
/// The same, with one hot row.
pub(super) const PGBENCH_HOT: &str = "pgbench, hot row";
/// One node on a database that another shares, which rests meanwhile.
pub(super) const ONE_NODE: &str = "PostgreSQL hot, 1 node";
/// The same connections, over both.
pub(super) const TWO_NODES: &str = "PostgreSQL hot, 2 nodes";
/// Half of the webhooks go to a receiver that answers at once; the other half is measured.
pub(super) const BESIDE_ANOTHER: &str = "webhooks, beside another";
/// The same, and that receiver answers none for seconds.
pub(super) const BESIDE_SLOW: &str = "webhooks, beside a slow one";
/// How many connections the figure for a recharge alone is about.
pub(super) const ALONE: u16 = 4;

/// Every run of one thing at one number of connections.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) name: String,
    pub(super) connections: u16,
    pub(super) runs: Vec<Run>,
}

/// Where and how it was measured.
#[derive(Debug, Default, Serialize)]
pub(super) struct Setting {
    pub(super) at: String,
    pub(super) machine: String,
    pub(super) cores: usize,
    pub(super) client_threads: u16,
    pub(super) seconds: u64,
    pub(super) rounds: u16,
    pub(super) wallets: usize,
    pub(super) stores: String,
    /// The number of connections that the targets are measured at.
    pub(super) headline: u16,
}

/// What a store's servers cost at rest, one start each.
#[derive(Debug, Default)]
pub(super) struct Rests {
    pub(super) store: String,
    pub(super) starts: Vec<Rest>,
}

/// One line of the table. Medians over the rounds.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    pub(super) name: String,
    pub(super) connections: u16,
    pub(super) per_second: u64,
    per_second_min: u64,
    per_second_max: u64,
    p50_us: Option<u64>,
    p99_us: Option<u64>,
    server_cpu_us: Option<u64>,
    database_cpu_us: Option<u64>,
    errors: u64,
}

/// One figure that PERFORMANCE.md sets a target for.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    target: &'static str,
    what: String,
    thousandths: u64,
    unit: &'static str,
    goal: Goal,
}

/// What is wanted of a figure, in thousandths: first, and then.
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

    fn words(self) -> String {
        let (sign, goal, then) = match self {
            Goal::AtLeast(goal, then) => ('≥', goal, then),
            Goal::AtMost(goal, then) => ('≤', goal, then),
        };
        format!("{sign} {}, then {}", short(goal), short(then))
    }
}

/// Everything that is printed.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) setting: Setting,
    pub(super) lines: Vec<Line>,
    pub(super) figures: Vec<Figure>,
    errors: u64,
    first_error: Option<String>,
}

/// What the spread load on a store is called that held so many purchases before.
pub(super) fn stored(store: &str, count: u64) -> String {
    format!("{store} spread, {count} stored")
}

/// The store and the count of such a name; `None` of any other.
pub(super) fn stored_of(name: &str) -> Option<(&str, u64)> {
    let (store, count) = name.strip_suffix(" stored")?.split_once(" spread, ")?;
    Some((store, count.parse().ok()?))
}

/// Sums up.
pub(super) fn report(
    setting: Setting,
    measured: &[Measured],
    rests: &[Rests],
    binary_bytes: u64,
) -> Report {
    let first_error = measured.iter().flat_map(|m| &m.runs).find_map(|run| run.first_error.clone());
    let lines: Vec<Line> = measured.iter().map(line_of).collect();
    let mut figures = ratios(&lines, setting.headline);
    figures.extend(rests.iter().filter(|rests| !rests.starts.is_empty()).flat_map(at_rest));
    if binary_bytes > 0 {
        let goal = Goal::AtMost(40_000, 25_000);
        figures.push(figure("10", "the program".to_owned(), mib(binary_bytes / 1024), "MiB", goal));
    }
    let errors = lines.iter().map(|line| line.errors).sum();
    Report { setting, lines, figures, errors, first_error }
}

fn line_of(measured: &Measured) -> Line {
    let of = |value: fn(&Run) -> Option<u64>| {
        let values: Vec<u64> = measured.runs.iter().filter_map(value).collect();
        (!values.is_empty()).then(|| median(values))
    };
    let rates: Vec<u64> = measured.runs.iter().map(Run::per_second).collect();
    Line {
        name: measured.name.clone(),
        connections: measured.connections,
        per_second: median(rates.clone()),
        per_second_min: rates.iter().copied().min().unwrap_or(0),
        per_second_max: rates.iter().copied().max().unwrap_or(0),
        p50_us: of(|run| run.p50_us),
        p99_us: of(|run| run.p99_us),
        server_cpu_us: of(|run| run.cpu_us[0]),
        database_cpu_us: of(|run| run.cpu_us[1]),
        errors: measured.runs.iter().map(|run| run.errors).sum(),
    }
}

/// The middle one; of two middle ones the lower.
pub(super) fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get((values.len().max(1) - 1) / 2).copied().unwrap_or(0)
}

fn figure(
    target: &'static str,
    what: String,
    thousandths: u64,
    unit: &'static str,
    goal: Goal,
) -> Figure {
    Figure { target, what, thousandths, unit, goal }
}

/// The targets that compare two lines, as far as both were measured.
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
        rate("8", &format!("{store} reads"), BARE, Goal::AtLeast(350, 600));
    }
    for store in ["SQLite", "PostgreSQL"] {
        let (webhooks, spread) = (format!("{store} webhooks"), format!("{store} spread"));
        rate("9", &webhooks, &spread, Goal::AtLeast(600, 1_000));
    }
    for store in ["SQLite", "PostgreSQL"] {
        let unhurried = find(&format!("{store} webhooks, unhurried"), headline);
        if let Some(p99_us) = unhurried.and_then(|line| line.p99_us) {
            let what = format!("{store}: event to delivery, unhurried: p99");
            found.push(figure("9", what, p99_us, "ms", Goal::AtMost(16_000, 16_000)));
        }
        let beside =
            |what: &str| find(&format!("{store} {what}"), headline).and_then(|line| line.p50_us);
        if let (Some(slow), Some(other)) = (beside(BESIDE_SLOW), beside(BESIDE_ANOTHER)) {
            let what =
                format!("{store}: event to delivery, beside a slow receiver ÷ a fast one: p50");
            let goal = Goal::AtMost(1_100, 1_000);
            found.push(figure("9", what, slow * 1000 / other.max(1), "", goal));
        }
        let (paced, commit) = (format!("{store} paced"), format!("{store} commit"));
        let p99 = |name: &str, n| find(name, n).and_then(|line| line.p99_us);
        if let (Some(a), Some(b)) = (p99(&paced, headline), p99(&commit, 1)) {
            let what = format!("p99 of {paced} ÷ p99 of {commit}");
            let goal = Goal::AtMost(5_000, 2_000);
            found.push(figure("7", what, a * 1000 / b.max(1), "", goal));
        }
        if let Some(p50_us) = find(&format!("{store} spread"), ALONE).and_then(|line| line.p50_us) {
            let what = format!("{store} spread, {ALONE} connections: p50");
            found.push(figure("10b", what, p50_us, "ms", Goal::AtMost(2_000, 1_000)));
        }
    }
    found.sort_by_key(|figure| figure.target.trim_end_matches('b').parse::<u8>().unwrap_or(0));
    found
}

/// What a server costs that nobody uses.
fn at_rest(rests: &Rests) -> [Figure; 2] {
    let of = |value: fn(&Rest) -> u64| median(rests.starts.iter().map(value).collect());
    let store = &rests.store;
    let (start, memory) = (of(|rest| rest.first_answer_us), mib(of(|rest| rest.memory_kib)));
    [
        figure(
            "10",
            format!("{store}: memory at rest"),
            memory,
            "MiB",
            Goal::AtMost(40_000, 20_000),
        ),
        figure(
            "10",
            format!("{store}: start to first answer"),
            start,
            "ms",
            Goal::AtMost(100_000, 50_000),
        ),
    ]
}

/// Thousandths of a MiB.
fn mib(kib: u64) -> u64 {
    kib * 1000 / 1024
}

/// Prints it; the exit code tells whether every answer was a success.
pub(super) fn print(report: &Report, as_json: bool) -> anyhow::Result<ExitCode> {
    if as_json {
        line(&serde_json::to_string(report)?);
    } else {
        line(table(report)?.trim_end());
    }
    Ok(if report.errors == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How it was measured, in a sentence.
pub(super) fn sentence(setting: &Setting) -> String {
    let Setting { at, machine, cores, client_threads, seconds, rounds, wallets, stores, .. } =
        setting;
    format!(
        "{at}. {machine}, {cores} cores, client and server on the same machine; stores: {stores}; \
         {wallets} wallets; {client_threads} client thread(s); {rounds} interleaved rounds of \
         {seconds} s; medians (min–max)."
    )
}

/// The cells of a line, as people read them.
pub(super) fn cells(line: &Line) -> [String; 8] {
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

/// What the cells are.
pub(super) const HEAD: [&str; 8] =
    ["what", "conns", "per second", "(min–max)", "p50 ms", "p99 ms", "CPU µs", "of database"];

/// The cells of a figure: target, what, measured, goal, whether it is met.
pub(super) fn figure_cells(figure: &Figure) -> [String; 5] {
    let measured = format!("{} {}", short(figure.thousandths), figure.unit);
    let is_met = figure.goal.is_met(figure.thousandths);
    [
        figure.target.to_owned(),
        figure.what.clone(),
        measured.trim_end().to_owned(),
        figure.goal.words(),
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
        let [target, what, measured, goal, verdict] = figure_cells(figure);
        writeln!(out, "{target:<4}{what:<66}{measured:>14}  {goal:<24}{verdict}")?;
    }
    if report.errors > 0 {
        let sample = report.first_error.as_deref().unwrap_or("");
        writeln!(out, "\n{} answers were not a success; the first: {sample}", report.errors)?;
    }
    Ok(out)
}

/// Thousandths with a point: 1234 is `1.234`.
fn with_point(thousandths: u64) -> String {
    format!("{}.{:03}", thousandths / 1000, thousandths % 1000)
}

/// Thousandths, without noughts at the end: 2500 is `2.5`.
fn short(thousandths: u64) -> String {
    with_point(thousandths).trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// One line of data.
#[expect(clippy::print_stdout, reason = "a verb's data goes to stdout")]
pub(super) fn line(text: &str) {
    println!("{text}");
}

#[cfg(test)]
pub(super) mod tests {
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

    fn measured(name: &str, connections: u16, runs: Vec<Run>) -> Measured {
        Measured { name: name.to_owned(), connections, runs }
    }

    /// What is measured once, in small.
    pub(in super::super) fn sample() -> Report {
        let broken = Run { errors: 2, first_error: Some("503 busy".into()), ..run(850) };
        let nothing_known = Run { p50_us: None, p99_us: None, cpu_us: [None, None], ..run(40) };
        let measured = [
            measured(BARE, 64, vec![run(9000), run(10_000), run(11_000)]),
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
        let setting = Setting {
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
        let starts = vec![Rest { first_answer_us: 80_000, memory_kib: 51_200 }];
        let rests = [Rests { store: "SQLite".to_owned(), starts }];
        report(setting, &measured, &rests, 30 * 1024 * 1024)
    }

    #[test]
    fn medians_figures_and_errors_are_told() {
        expect_test::expect![[r#"
            2026-11-22. a machine, 2 cores, client and server on the same machine; stores: SQLite on ext4; 10 wallets; 1 client thread(s); 3 interleaved rounds of 1 s; medians (min–max).

            what                                 conns  per second         (min–max)   p50 ms   p99 ms  CPU µs  of database
            bare                                    64       10000      (9000–11000)    1.500   20.000      60            –
            SQLite spread                            4         700         (700–700)    1.500   20.000      60            –
            SQLite spread                           64        1000        (900–3000)    1.500   20.000      60            –
            SQLite spread, 0 stored                 64        1100       (1100–1100)    1.500   20.000      60            –
            SQLite spread, 5000 stored              64         880         (880–880)    1.500   20.000      60            –
            PostgreSQL hot, 1 node                  64        1000       (1000–1000)    1.500   20.000      60            –
            PostgreSQL hot, 2 nodes                 64         900         (900–900)    1.500   20.000      60            –
            SQLite hot                              64         850         (850–950)    1.500   20.000      60            –
            SQLite paced                            64         500         (500–500)    1.500   20.000      60            –
            SQLite commit                            1         900         (900–900)    1.500   20.000      60            –
            pgbench                                 64          40           (40–40)        –        –       –            –

            1   SQLite spread ÷ pgbench                                                       25  ≥ 2.5, then 5           met
            4   SQLite hot ÷ SQLite spread                                                  0.85  ≥ 0.9, then 1           missed
            5   PostgreSQL hot, 2 nodes ÷ PostgreSQL hot, 1 node                             0.9  ≥ 0.8, then 1           met
            6   SQLite spread, 5000 stored ÷ SQLite spread, 0 stored                         0.8  ≥ 0.9, then 0.97        missed
            7   p99 of SQLite paced ÷ p99 of SQLite commit                                     1  ≤ 5, then 2             met
            10b SQLite spread, 4 connections: p50                                         1.5 ms  ≤ 2, then 1             met
            10  SQLite: memory at rest                                                    50 MiB  ≤ 40, then 20           missed
            10  SQLite: start to first answer                                              80 ms  ≤ 100, then 50          met
            10  the program                                                               30 MiB  ≤ 40, then 25           met

            2 answers were not a success; the first: 503 busy
        "#]].assert_eq(&table(&sample()).unwrap());
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![]), 0);
        assert_eq!(median(vec![5]), 5);
        assert_eq!(median(vec![9, 1, 5]), 5);
        assert_eq!(median(vec![4, 1, 2, 3]), 2);
    }

    #[test]
    fn noughts_at_the_end_are_left_out() {
        assert_eq!([2500, 2000, 40_000, 1051, 0].map(short), ["2.5", "2", "40", "1.051", "0"]);
    }
}

//! The figures: medians with their spread, ratios, as a table or as JSON.
//!
//! Invariant: rates and ratios are computed in integers (thousandths) and only written with a point.

use crate::cmd::bench::drive::Run;
use serde::Serialize;
use std::fmt::Write as _;
use std::process::ExitCode;

/// The number of connections that the target figures are about (docs/performance.md).
const HEADLINE_CONNECTIONS: u16 = 64;

/// Every run of one target at one number of connections.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) target: &'static str,
    pub(super) connections: u16,
    pub(super) runs: Vec<Run>,
}

impl Measured {
    pub(super) fn new(target: &'static str, connections: u16) -> Measured {
        Measured { target, connections, runs: Vec::new() }
    }
}

/// Where and how it was measured.
#[derive(Debug, Serialize)]
pub(super) struct Setting {
    pub(super) cores: usize,
    pub(super) client_threads: u16,
    pub(super) seconds: u64,
    pub(super) rounds: u16,
    pub(super) wallets: usize,
    pub(super) store: String,
}

/// One line of the table. Rates are medians over the rounds.
#[derive(Debug, Serialize)]
struct Line {
    target: &'static str,
    connections: u16,
    per_second: u64,
    per_second_min: u64,
    per_second_max: u64,
    p50_us: u64,
    p99_us: u64,
    errors: u64,
}

/// A ratio of two medians.
#[derive(Debug, Serialize)]
struct Ratio {
    what: String,
    thousandths: u64,
}

/// Everything that is printed.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    setting: Setting,
    lines: Vec<Line>,
    ratios: Vec<Ratio>,
    errors: u64,
    first_error: Option<String>,
}

/// Sums up.
pub(super) fn report(setting: Setting, measured: Vec<Measured>) -> Report {
    let first_error = measured.iter().flat_map(|m| &m.runs).find_map(|run| run.first_error.clone());
    let lines: Vec<Line> = measured.iter().map(line_of).collect();
    let ratios = ratios(&lines);
    let errors = lines.iter().map(|line| line.errors).sum();
    Report { setting, lines, ratios, errors, first_error }
}

fn line_of(measured: &Measured) -> Line {
    let rates: Vec<u64> = measured.runs.iter().map(Run::per_second).collect();
    Line {
        target: measured.target,
        connections: measured.connections,
        per_second: median(rates.clone()),
        per_second_min: rates.iter().copied().min().unwrap_or(0),
        per_second_max: rates.iter().copied().max().unwrap_or(0),
        p50_us: median(measured.runs.iter().map(|run| u64::from(run.p50_us)).collect()),
        p99_us: median(measured.runs.iter().map(|run| u64::from(run.p99_us)).collect()),
        errors: measured.runs.iter().map(|run| run.errors).sum(),
    }
}

/// The middle one; of two middle ones the lower.
fn median(mut values: Vec<u64>) -> u64 {
    values.sort_unstable();
    values.get((values.len().max(1) - 1) / 2).copied().unwrap_or(0)
}

/// Spread ÷ bare at the headline's number of connections; hot ÷ spread (or bare) at each.
fn ratios(lines: &[Line]) -> Vec<Ratio> {
    let rate = |target: &str, connections: u16| {
        lines.iter().find(|l| l.target == target && l.connections == connections)
    };
    let mut found = Vec::new();
    let mut add = |over: Option<&Line>, under: Option<&Line>| {
        if let (Some(over), Some(under)) = (over, under) {
            found.push(Ratio {
                what: format!(
                    "{} ÷ {}, {} connections",
                    over.target, under.target, over.connections
                ),
                thousandths: over.per_second * 1000 / under.per_second.max(1),
            });
        }
    };
    let mut counts: Vec<u16> = lines.iter().map(|line| line.connections).collect();
    counts.dedup();
    let headline = counts.iter().copied().min_by_key(|n| n.abs_diff(HEADLINE_CONNECTIONS));
    if let Some(n) = headline {
        add(rate("spread", n), rate("bare", n));
        add(rate("hot", n), rate("bare", n));
    }
    for n in counts {
        add(rate("hot", n), rate("spread", n));
    }
    found
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

fn table(report: &Report) -> anyhow::Result<String> {
    let Setting { cores, client_threads, seconds, rounds, wallets, store } = &report.setting;
    let mut out = String::new();
    writeln!(
        out,
        "{cores} cores, client and server on the same machine; store: {store}; {wallets} wallets; \
         {client_threads} client thread(s); {rounds} interleaved rounds of {seconds} s; medians (min–max)\n"
    )?;
    let head = ["target", "connections", "per second", "(min–max)", "p50 ms", "p99 ms", "errors"];
    let [target, connections, rate, range, p50, p99, errors] = head;
    writeln!(
        out,
        "{target:<8}{connections:>12}{rate:>12}{range:>18}{p50:>10}{p99:>10}{errors:>8}"
    )?;
    for row in &report.lines {
        let range = format!("({}–{})", row.per_second_min, row.per_second_max);
        let (target, connections, rate) = (row.target, row.connections, row.per_second);
        let (p50, p99) = (with_point(row.p50_us), with_point(row.p99_us));
        let errors = row.errors;
        writeln!(
            out,
            "{target:<8}{connections:>12}{rate:>12}{range:>18}{p50:>10}{p99:>10}{errors:>8}"
        )?;
    }
    writeln!(out)?;
    for ratio in &report.ratios {
        writeln!(out, "{:<36}{:>8}", ratio.what, with_point(ratio.thousandths))?;
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

/// One line of data.
#[expect(clippy::print_stdout, reason = "a verb's data goes to stdout")]
pub(super) fn line(text: &str) {
    println!("{text}");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(successes: u64) -> Run {
        Run { successes, elapsed_us: 1_000_000, p50_us: 1_500, p99_us: 20_000, ..Run::default() }
    }

    #[test]
    fn medians_ratios_and_errors_are_told() {
        let mut hot = Measured { target: "hot", connections: 64, runs: vec![run(95)] };
        hot.runs.push(Run { errors: 2, first_error: Some("503 busy".into()), ..run(94) });
        let measured = vec![
            Measured {
                target: "bare",
                connections: 64,
                runs: vec![run(900), run(1000), run(1100)],
            },
            Measured { target: "spread", connections: 64, runs: vec![run(100), run(90), run(300)] },
            hot,
        ];
        let setting = Setting {
            cores: 2,
            client_threads: 1,
            seconds: 1,
            rounds: 3,
            wallets: 10,
            store: "SQLite on ext4".into(),
        };
        expect_test::expect![[r#"
            2 cores, client and server on the same machine; store: SQLite on ext4; 10 wallets; 1 client thread(s); 3 interleaved rounds of 1 s; medians (min–max)

            target   connections  per second         (min–max)    p50 ms    p99 ms  errors
            bare              64        1000        (900–1100)     1.500    20.000       0
            spread            64         100          (90–300)     1.500    20.000       0
            hot               64          94           (94–95)     1.500    20.000       2

            spread ÷ bare, 64 connections          0.100
            hot ÷ bare, 64 connections             0.094
            hot ÷ spread, 64 connections           0.940

            2 answers were not a success; the first: 503 busy
        "#]].assert_eq(&table(&report(setting, measured)).unwrap());
    }

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(vec![]), 0);
        assert_eq!(median(vec![5]), 5);
        assert_eq!(median(vec![9, 1, 5]), 5);
        assert_eq!(median(vec![4, 1, 2, 3]), 2);
    }
}

//! `docs/performance.md`: the part of it that a run writes, and the graphs beside it.
//!
//! Invariant: what people wrote round the marks stays as it is.

use super::graph::{Graph, Series, grouped};
use super::report::{self, HEAD, Line, Report, stored_of};
use anyhow::Context as _;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- figures: written by `make bench` -->";
const END: &str = "<!-- end of figures -->";
/// What the throughput is drawn of.
const DRAWN: [&str; 4] = ["SQLite spread", "SQLite hot", "PostgreSQL spread", "PostgreSQL hot"];

/// Writes the figures between the marks of this page, and the graphs into its folder.
pub(super) fn write(page: &Path, report: &Report) -> anyhow::Result<()> {
    let told = || format!("{} has no place for figures", page.display());
    let text = fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let (before, rest) = text.split_once(BEGIN).with_context(told)?;
    let (_, after) = rest.split_once(END).with_context(told)?;
    let folder = page.parent().unwrap_or(Path::new("."));
    let mut graphs = String::new();
    for (name, graph) in [("throughput.svg", throughput(report)), ("stored.svg", stored(report))] {
        if let Some(graph) = graph {
            fs::write(folder.join(name), graph.svg()).with_context(|| name.to_owned())?;
            writeln!(graphs, "![{}]({name})\n", graph.title)?;
        }
    }
    let figures = figures(report)?;
    fs::write(page, format!("{before}{BEGIN}\n{figures}\n{graphs}{END}{after}"))
        .with_context(|| page.display().to_string())
}

/// The two tables.
fn figures(report: &Report) -> anyhow::Result<String> {
    let mut out = format!("{}\n\n", report::sentence(&report.setting));
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    out.push_str(&row(&["", "figure", "measured", "target", ""].map(str::to_owned)));
    out.push_str("|---|---|---|---|---|\n");
    for figure in &report.figures {
        let mut cells = report::figure_cells(figure);
        cells[2] = format!("**{}**", cells[2]);
        out.push_str(&row(&cells));
    }
    out.push('\n');
    out.push_str(&row(&HEAD.map(str::to_owned)));
    out.push_str("|---|---|---|---|---|---|---|---|\n");
    for line in &report.lines {
        out.push_str(&row(&report::cells(line)));
    }
    Ok(out)
}

/// Recharges a second against connections.
fn throughput(report: &Report) -> Option<Graph> {
    let drawn = |line: &&Line| DRAWN.contains(&line.name.as_str());
    let mut counts: Vec<u16> = report.lines.iter().filter(drawn).map(|l| l.connections).collect();
    counts.sort_unstable();
    counts.dedup();
    let value = |name: &str, n: u16| {
        let line = report.lines.iter().find(|l| l.name == name && l.connections == n);
        line.map(|line| line.per_second)
    };
    let series = DRAWN
        .iter()
        .map(|name| Series {
            name: (*name).to_owned(),
            values: counts.iter().map(|n| value(name, *n)).collect(),
        })
        .filter(|series| series.values.iter().any(Option::is_some));
    (!counts.is_empty()).then(|| Graph {
        title: "Durable recharges a second against connections",
        across: "connections",
        places: counts.iter().map(u16::to_string).collect(),
        up: "recharges a second",
        series: series.collect(),
    })
}

/// What a recharge costs against how many purchases are stored.
fn stored(report: &Report) -> Option<Graph> {
    let count = |line: &Line| stored_of(&line.name).map(|(_, count)| count);
    let mut counts: Vec<u64> = report.lines.iter().filter_map(count).collect();
    counts.sort_unstable();
    counts.dedup();
    let cost = |store: &str, count: u64| {
        let line =
            report.lines.iter().find(|line| stored_of(&line.name) == Some((store, count)))?;
        Some(1_000_000 / line.per_second.max(1))
    };
    let series = ["SQLite", "PostgreSQL"].map(|store| Series {
        name: format!("{store} spread"),
        values: counts.iter().map(|count| cost(store, *count)).collect(),
    });
    (!counts.is_empty()).then(|| Graph {
        title: "What a durable recharge takes against how many purchases are stored",
        across: "purchases stored before",
        places: counts.iter().copied().map(grouped).collect(),
        up: "microseconds a recharge",
        series: series.into_iter().filter(|s| s.values.iter().any(Option::is_some)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_keeps_what_is_round_the_figures() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("page.md");
        fs::write(&page, format!("before\n{BEGIN}\nold\n{END}\nafter\n")).unwrap();
        let report = report::tests::sample();
        write(&page, &report).unwrap();
        let once = fs::read_to_string(&page).unwrap();
        assert!(once.starts_with("before\n<!--") && once.ends_with("-->\nafter\n"), "{once}");
        assert!(once.contains("| 4 | SQLite hot ÷ SQLite spread | **0.85** |"), "{once}");
        assert!(!once.contains("old"), "{once}");
        write(&page, &report).unwrap();
        assert_eq!(fs::read_to_string(&page).unwrap(), once, "written twice, it is the same");
        for graph in ["throughput.svg", "stored.svg"] {
            assert!(once.contains(&format!("]({graph})")), "{once}");
            assert!(
                fs::read_to_string(folder.path().join(graph)).unwrap().contains("SQLite spread")
            );
        }
        fs::write(&page, "no marks").unwrap();
        assert!(write(&page, &report).is_err());
    }
}

//! `docs/performance.md`: writes the figures of a run between two marks, and the graphs beside it.
//!
//! Invariant: the text outside the marks is not changed.

use super::graph::{Graph, Series, grouped};
use super::{HEAD, Line, Report, cells, figure_cells, sentence, stored_of};
use anyhow::Context as _;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

const BEGIN: &str = "<!-- figures: written by `make bench` -->";
const END: &str = "<!-- end of figures -->";
/// The series in the graph of throughput.
const DRAWN: [&str; 4] = ["SQLite spread", "SQLite hot", "PostgreSQL spread", "PostgreSQL hot"];

/// Writes the figures between the marks of this page, and the graphs into its folder. Fails if the
/// page has no marks.
pub(crate) fn write(page: &Path, report: &Report) -> anyhow::Result<()> {
    let no_marks = || format!("{} has no place for figures", page.display());
    let text = fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let (before, rest) = text.split_once(BEGIN).with_context(no_marks)?;
    let (_, after) = rest.split_once(END).with_context(no_marks)?;
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

/// The conditions and the two tables, as Markdown.
fn figures(report: &Report) -> anyhow::Result<String> {
    let mut out = format!("{}\n\n", sentence(&report.setting));
    let row = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
    out.push_str(&row(&["", "figure", "measured", "target", ""].map(str::to_owned)));
    out.push_str("|---|---|---|---|---|\n");
    for figure in &report.figures {
        let mut cells = figure_cells(figure);
        cells[2] = format!("**{}**", cells[2]);
        out.push_str(&row(&cells));
    }
    out.push('\n');
    out.push_str(&row(&HEAD.map(str::to_owned)));
    out.push_str("|---|---|---|---|---|---|---|---|\n");
    for line in &report.lines {
        out.push_str(&row(&cells(line)));
    }
    Ok(out)
}

/// Recharges per second by the number of connections.
fn throughput(report: &Report) -> Option<Graph> {
    let drawn = |line: &&Line| DRAWN.contains(&line.name.as_str());
    let counts: BTreeSet<u16> = report.lines.iter().filter(drawn).map(|l| l.connections).collect();
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
        x_label: "connections",
        x_values: counts.iter().map(u16::to_string).collect(),
        y_label: "recharges a second",
        series: series.collect(),
    })
}

/// Time per recharge by the number of stored purchases.
fn stored(report: &Report) -> Option<Graph> {
    let count = |line: &Line| stored_of(&line.name).map(|(_, count)| count);
    let counts: BTreeSet<u64> = report.lines.iter().filter_map(count).collect();
    let cost = |store: &str, count: u64| {
        let line = report.lines.iter().find(|l| stored_of(&l.name) == Some((store, count)));
        line.map(|line| 1_000_000 / line.per_second.max(1))
    };
    let series = ["SQLite", "PostgreSQL"].map(|store| Series {
        name: format!("{store} spread"),
        values: counts.iter().map(|count| cost(store, *count)).collect(),
    });
    (!counts.is_empty()).then(|| Graph {
        title: "What a durable recharge takes against how many purchases are stored",
        x_label: "purchases stored before",
        x_values: counts.iter().copied().map(grouped).collect(),
        y_label: "microseconds a recharge",
        series: series.into_iter().filter(|s| s.values.iter().any(Option::is_some)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_outside_the_marks_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("page.md");
        fs::write(&page, format!("before\n{BEGIN}\nold\n{END}\nafter\n")).unwrap();
        let report = crate::report::tests::sample();
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

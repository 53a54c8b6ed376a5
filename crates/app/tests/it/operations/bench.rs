//! `saldo bench` runs and reports every measurement; the figures themselves are not tested.

use crate::support::{Folder, assert_exit, saldo};
use serde_json::Value;

/// The shortest run there is.
const SHORT: [&str; 6] = ["bench", "--seconds", "1", "--rounds", "1", "--json"];

fn report(arguments: &[&str]) -> Value {
    let output = saldo(&[&SHORT[..], arguments].concat());
    assert_exit(&output, 0, "");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["errors"], 0, "{report}");
    for line in report["lines"].as_array().unwrap() {
        assert!(line["per_second"].as_u64().unwrap() > 0, "{line}");
    }
    report
}

fn names(report: &Value) -> Vec<&str> {
    report["lines"].as_array().unwrap().iter().map(|l| l["name"].as_str().unwrap()).collect()
}

/// The targets of PERFORMANCE.md that have a figure in the report.
fn targets(report: &Value) -> Vec<&str> {
    report["figures"].as_array().unwrap().iter().map(|f| f["target"].as_str().unwrap()).collect()
}

#[test]
fn it_measures_its_own_servers_and_the_comparisons() {
    let folder = Folder::new();
    let scratch = folder.path("");
    let page = folder.path("page.md");
    std::fs::write(&page, "<!-- figures: written by `make bench` -->\n<!-- end of figures -->\n")
        .unwrap();
    let report = report(&[
        "--connections",
        "4",
        "--wallets",
        "5",
        "--pgbench-scale",
        "1",
        "--stored",
        "300",
        "--scratch-dir",
        scratch.to_str().unwrap(),
        "--page",
        page.to_str().unwrap(),
    ]);
    let of_stores = [
        "reads",
        "commit",
        "paced",
        "webhooks",
        "webhooks, unhurried",
        "webhooks, beside another",
        "webhooks, beside a slow one",
    ]
    .map(|what| ["SQLite", "PostgreSQL"].map(|store| format!("{store} {what}")));
    let mut expected =
        vec!["bare", "SQLite spread", "SQLite hot", "PostgreSQL spread", "PostgreSQL hot"];
    expected.extend(["pgbench", "pgbench, hot row"]);
    for store in 0..2 {
        expected.extend(of_stores.iter().map(|names| names[store].as_str()));
    }
    expected.extend(["PostgreSQL hot, 1 node", "PostgreSQL hot, 2 nodes"]);
    expected.extend(["SQLite spread, 0 stored", "SQLite spread, 300 stored"]);
    expected.extend(["PostgreSQL spread, 0 stored", "PostgreSQL spread, 300 stored"]);
    assert_eq!(names(&report), expected);
    let expected_targets =
        "1 2 3 4 4 5 6 6 7 7 8 8 9 9 9 9 9 9 10 10 10 10 10".split(' ').collect::<Vec<_>>();
    let listed: Vec<&str> = targets(&report).into_iter().filter(|t| *t != "10b").collect();
    assert_eq!(listed, expected_targets);
    assert_eq!(report["setting"]["wallets"], 5);
    let left: Vec<_> =
        std::fs::read_dir(scratch).unwrap().flatten().map(|e| e.file_name()).collect();
    let is_left = |name: &str| left.iter().any(|left| left == name);
    let graphs = is_left("throughput.svg") && is_left("stored.svg");
    assert!(graphs && left.len() == 3, "it cleans up: {left:?}");
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("| SQLite spread | 4 |"), "{page}");
    for (target, what) in [
        (5, "PostgreSQL hot, 2 nodes ÷ PostgreSQL hot, 1 node"),
        (6, "SQLite spread, 300 stored ÷ SQLite spread, 0 stored"),
        (6, "PostgreSQL spread, 300 stored ÷ PostgreSQL spread, 0 stored"),
    ] {
        assert!(page.contains(&format!("| {target} | {what} | **")), "{page}");
    }
}

#[test]
fn it_measures_a_running_server() {
    let folder = Folder::new();
    let server = folder.start_with(&["--requests-per-minute", "100000000", "--balance", "9999999"]);
    let credentials_file = folder.path("credentials.json");
    let report = report(&[
        "--url",
        server.base_url(),
        "--credentials-file",
        credentials_file.to_str().unwrap(),
        "--connections",
        "4",
    ]);
    assert_eq!(names(&report), ["bare", "hot"]);
    server.stop();
    folder.verify();
}

#[test]
fn each_list_is_measured_with_each_filter() {
    let folder = Folder::new();
    let scratch = folder.path("");
    let few = ["bench-pages", "--purchases", "700", "--rounds", "1", "--json", "--stores"];
    let output =
        saldo(&[&few[..], &["sqlite", "--scratch-dir", scratch.to_str().unwrap()]].concat());
    assert_exit(&output, 0, "");
    let text = String::from_utf8(output.stdout).unwrap();
    let pages: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let bytes = |name: &str| {
        let page = pages.iter().find(|page| page["page"] == name);
        page.unwrap_or_else(|| panic!("no {name}: {text}"))["bytes"].as_u64().unwrap()
    };
    // A full page is told from one without rows, so each filter is known to find its rows.
    let nothing = bytes("a number that never bought");
    for found in ["the latest", "older ones", "delivered", "an operator", "a kind"] {
        assert!(bytes(found) > 3 * nothing, "{found}: {text}");
    }
    for found in ["a day", "failed", "a number", "a reference", "failed of an operator in a day"] {
        assert!(bytes(found) > nothing + 400, "{found}: {text}");
    }
    for found in ["search: a reference", "search: an id"] {
        assert_eq!(bytes(found), 0, "{found} leads on to its purchase: {text}");
    }
}

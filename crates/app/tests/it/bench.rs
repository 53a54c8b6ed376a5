//! `saldo bench` runs: that it measures is all that is tested, never how fast.

use crate::harness::{Folder, saldo, words};
use serde_json::Value;

/// The shortest run there is.
const SHORT: [&str; 6] = ["bench", "--seconds", "1", "--rounds", "1", "--json"];

fn report(arguments: &[&str]) -> Value {
    let output = saldo(&[&SHORT[..], arguments].concat());
    assert_eq!(output.status.code(), Some(0), "{}", words(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["errors"], 0, "{report}");
    for line in report["lines"].as_array().unwrap() {
        assert!(line["per_second"].as_u64().unwrap() > 0, "{line}");
    }
    report
}

fn targets(report: &Value) -> Vec<&str> {
    report["lines"].as_array().unwrap().iter().map(|l| l["target"].as_str().unwrap()).collect()
}

#[test]
fn it_measures_a_server_of_its_own_beside_the_bare_endpoint() {
    let folder = Folder::new();
    let scratch = folder.path("");
    let report = report(&[
        "--connections",
        "1,4",
        "--wallets",
        "5",
        "--scratch-dir",
        scratch.to_str().unwrap(),
    ]);
    assert_eq!(targets(&report), ["bare", "spread", "hot", "bare", "spread", "hot"]);
    assert_eq!(report["setting"]["wallets"], 5);
    assert_eq!(std::fs::read_dir(scratch).unwrap().count(), 0, "it clears up");
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
    assert_eq!(targets(&report), ["bare", "hot"]);
    server.stop();
    folder.verify();
}

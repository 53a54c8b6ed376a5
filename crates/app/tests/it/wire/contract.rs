//! The OpenAPI documents against the server that serves them: requests that schemathesis derives
//! from each document get documented answers, and never a 5xx.
//!
//! `make test` installs schemathesis (PyPI); without it the tests fail and name what is missing.

use crate::support::{Consumer, Folder, UNLIMITED};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Cases per operation and phase: some thousands of requests per document, in a minute.
const EXAMPLES: &str = "40";

fn schemathesis() -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools");
    let program = tools.join("schemathesis/bin/schemathesis");
    assert!(program.exists(), "{} is missing: run `make tools`", program.display());
    program
}

/// Runs every check but one: that every request which fits the document is accepted. Rules beyond a
/// schema (an operator's limits, a meter's check digits, a used reference) refuse some of them.
fn check(folder: &Folder, url: &str, more: &[&str], headers: &[String]) {
    let flags =
        ["--max-examples", EXAMPLES, "--seed", "1", "--no-color", "--request-timeout", "30"];
    let mut command = Command::new(schemathesis());
    command
        .arg("run")
        .arg(url)
        .args(flags)
        .args(more)
        .args(["--exclude-checks", "positive_data_acceptance"]);
    // Its report and its cache go to the test's own folder.
    command.current_dir(folder.path(".")).env("HYPOTHESIS_STORAGE_DIRECTORY", folder.path("cases"));
    for header in headers {
        command.args(["--header", header]);
    }
    let output = command.output().unwrap();
    let report = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{url}\n{report}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(report.contains("Tested:"), "nothing was tested: {report}");
}

#[tokio::test]
async fn the_server_keeps_to_the_irecharge_document() {
    let folder = Folder::new();
    let server = folder.start_with(&[UNLIMITED, ["--balance", "1000000"]].concat());
    let keys = &folder.credentials().merchant.sandbox;
    let headers =
        [format!("X-Open-Key: {}", keys.open_key), format!("X-Authorization: {}", keys.secret_key)];
    check(&folder, &format!("{}/openapi/irecharge.json", server.base_url()), &[], &headers);
    server.stop();
    folder.verify();
}

#[tokio::test]
async fn the_server_keeps_to_the_rechargely_document() {
    let folder = Folder::new();
    let server = folder.start();
    let url = format!("{}/openapi/rechargely.json", server.base_url());
    // Operations that end the session come last, with a session of their own.
    let groups = ["--exclude-operation-id", "--include-operation-id"]
        .map(|flag| ["log_out", "change_password"].map(|operation| [flag, operation]).concat());
    for operations in groups {
        // Wrong passwords are tried meanwhile; they lock the login on unknown devices.
        let token = Consumer::log_in(&server, "sandbox", "known-phone").await.token;
        check(&folder, &url, &operations, &[format!("Authorization: Bearer {token}")]);
    }
    server.stop();
    folder.verify();
}

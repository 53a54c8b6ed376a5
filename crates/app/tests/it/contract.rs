//! The OpenAPI documents against the server that serves them: requests that schemathesis derives
//! from each document get documented answers, and never a 5xx.
//!
//! `make test` installs schemathesis (PyPI); without it this fails and says so.

use crate::consumer::Consumer;
use crate::harness::{Folder, UNLIMITED};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Cases per operation and phase: some thousands of requests a document, in a minute.
const EXAMPLES: &str = "40";

fn schemathesis() -> PathBuf {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/tools");
    let program = tools.join("schemathesis/bin/schemathesis");
    assert!(program.exists(), "{} is missing: run `make tools`", program.display());
    program
}

/// Runs every check but one: that whatever fits the document is accepted. Rules beyond a schema (an
/// operator's limits, a meter's digits, a reference that is used) refuse some of that.
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
    // Its report and its cache stay in the test's own folder.
    command.current_dir(folder.path(".")).env("HYPOTHESIS_STORAGE_DIRECTORY", folder.path("cases"));
    for header in headers {
        command.args(["--header", header]);
    }
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{url}\n{told}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(told.contains("Tested:"), "nothing was tested: {told}");
}

#[tokio::test]
async fn the_irecharge_document_is_kept() {
    let folder = Folder::new();
    let server = folder.start_with(&[&UNLIMITED[..], &["--balance", "1000000"]].concat());
    let keys = &folder.credentials().merchant.sandbox;
    let headers =
        [format!("X-Open-Key: {}", keys.open_key), format!("X-Authorization: {}", keys.secret_key)];
    check(&folder, &format!("{}/openapi/irecharge.json", server.base_url()), &[], &headers);
    server.stop();
    folder.verify();
}

#[tokio::test]
async fn the_rechargely_document_is_kept() {
    let folder = Folder::new();
    let server = folder.start();
    let url = format!("{}/openapi/rechargely.json", server.base_url());
    // What ends the session comes last, with a session of its own.
    let ends = ["--exclude-operation-id", "--include-operation-id"]
        .map(|flag| ["log_out", "change_password"].map(|operation| [flag, operation]).concat());
    for operations in ends {
        // Wrong passwords are tried meanwhile, and lock whoever is not known.
        let token = Consumer::log_in(&server, "sandbox", "known-phone").await.token;
        check(&folder, &url, &operations, &[format!("Authorization: Bearer {token}")]);
    }
    server.stop();
    folder.verify();
}

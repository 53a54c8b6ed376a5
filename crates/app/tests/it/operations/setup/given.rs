//! Files that a verb names are read by the process that was started with it, never by the server.

use crate::support::{Folder, assert_exit, describe};
use std::fs;
use std::io::Write as _;
use std::process::{Child, Output, Stdio};
use std::time::Duration;
use tokio::time::Instant;

/// Far longer than any verb takes.
const WITHIN: Duration = Duration::from_secs(60);

fn add(folder: &Folder, code: &str, open_key: &str) -> std::process::Command {
    let mut command = folder.command();
    let secret = folder.path("secret.key");
    fs::write(&secret, "sk_live_x\n").unwrap();
    command.args(["upstream", "add", "--code", code, "--kind", "irecharge", "--by", "Rahima"]);
    command.args(["--environment", "live", "--url", "https://api.example.com/api/billing"]);
    command.args(["--secret", &format!("open_key=@{open_key}")]);
    command.args(["--secret", &format!("secret_key=@{}", secret.display())]);
    command.arg("--data-dir").arg(folder.data_dir());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn pipe(folder: &Folder, name: &str) -> String {
    let path = folder.path(name).to_str().unwrap().to_owned();
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    path
}

fn ended(mut child: Child) -> Output {
    let since = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if since.elapsed() > WITHIN {
            let _ = child.kill();
            panic!("it does not end: {}", describe(&child.wait_with_output().unwrap()));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    child.wait_with_output().unwrap()
}

/// Nobody writes into the pipes: their verbs wait, and nobody else does.
#[test]
fn pipes_hold_up_no_server() {
    let folder = Folder::new();
    let server = folder.serve();
    let names: Vec<String> = (0..8).map(|n| pipe(&folder, &format!("pipe-{n}"))).collect();
    let mut waiting: Vec<Child> =
        names.iter().map(|name| add(&folder, "held-up", name).spawn().unwrap()).collect();
    let archive = folder.saldo(&["purchase", "list", "--archive", &names[0]]);
    assert_exit(&archive, 1, "is no archive");
    assert_exit(&folder.saldo(&["verify", "--archive", &names[0]]), 1, "is no archive");
    let export = folder.saldo(&["catalog", "export", "--to", &names[0]]);
    assert_exit(&export, 1, "is no plain file");
    let list = folder.command();
    let mut list = list;
    list.args(["account", "list", "--data-dir"]).arg(folder.data_dir());
    list.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    assert_exit(&ended(list.spawn().unwrap()), 0, "House");
    for child in &mut waiting {
        assert!(child.try_wait().unwrap().is_none(), "it read its pipe without a writer");
        child.kill().unwrap();
        child.wait().unwrap();
    }
    server.stop();
}

/// A pipe, the caller's standard input, an endless device and a long argument.
#[test]
fn whatever_it_is_the_caller_reads_it_within_a_bound() {
    let folder = Folder::new();
    let server = folder.serve();
    let endless = ended(add(&folder, "endless", "/dev/zero").spawn().unwrap());
    assert_exit(&endless, 2, "/dev/zero is too large: at most 64 KiB");
    let endless = folder.saldo(&["catalog", "import", "/dev/zero"]);
    assert_exit(&endless, 2, "/dev/zero is too large: at most 1024 KiB");
    let endless = folder.saldo(&["upstream", "check", "--kind", "generic", "--file", "/dev/zero"]);
    assert_exit(&endless, 2, "is too large");

    let name = pipe(&folder, "key");
    let child = add(&folder, "piped", &name).spawn().unwrap();
    fs::write(&name, "ok_live_piped\n").unwrap();
    assert_exit(&ended(child), 0, "is set up");

    let mut typed = add(&folder, "typed", "/dev/stdin");
    let mut child = typed.stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(b"ok_live_typed\n").unwrap();
    let output = ended(child);
    assert_exit(&output, 0, "is set up");
    assert!(!describe(&output).contains("ok_live_typed"), "{}", describe(&output));
    let shown = folder.saldo_json(&["upstream", "show", "typed", "--json"]).remove(0);
    assert_eq!(shown["state"], "ready", "{shown}");

    let long = "x".repeat(100_000);
    let output = folder.saldo(&["account", "open", "--name", &long]);
    assert_exit(&output, 2, "the command is too long");
    server.stop();
    let log = fs::read_to_string(folder.path("server.log")).unwrap();
    assert!(!log.contains("ok_live_"), "{log}");
}

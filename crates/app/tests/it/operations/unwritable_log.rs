//! A log that cannot be written, that strangers try to flood, or that says what a terminal would
//! obey: none of it stops work, and none of it gets through.

use crate::support::{
    Client, Folder, RECHARGE, Server, UNLIMITED, assert_exit, describe, recharge,
};
use http::Method;
use serde_json::Value;
use std::fs::OpenOptions;
use std::io::{Read as _, Write as _, pipe};
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(30);
/// What a pipe of Linux holds before a writer waits.
const PIPE_BYTES: usize = 64 * 1024;
const NOISY: [&str; 4] = [UNLIMITED[0], UNLIMITED[1], "--log", "debug"];

fn cases(folder: &Folder) -> Vec<Value> {
    folder.saldo_json(&["purchase", "cases", "--json"])
}

async fn cases_open(folder: &Folder, count: usize) {
    let started = Instant::now();
    while cases(folder).len() < count {
        let open = cases(folder).len();
        assert!(started.elapsed() < SOON, "{open} cases of {count} opened");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Five purchases fail, then their upstream says that they were delivered: five cases open. The
/// server answers and stops as always.
async fn late_successes_open_cases(folder: &Folder, server: Server) {
    let mut client = server.sandbox().await;
    for n in 1..=5 {
        let body = recharge(&format!("0171234{n}112"), 10, &format!("LATE-{n}"));
        let reply = client.post(RECHARGE, body).await;
        assert_eq!(reply.status(), 200, "{reply:?}");
    }
    cases_open(folder, 5).await;
    assert_eq!(client.get("/healthz").await.status(), 200);
    server.stop();
    folder.verify();
}

#[tokio::test]
async fn late_successes_open_cases_while_nobody_reads_the_log() {
    let folder = Folder::new();
    let (_reader, mut full) = pipe().unwrap();
    full.write_all(&[b'x'; PIPE_BYTES]).unwrap();
    let server = folder.start_logging_to(full.into(), &NOISY);
    late_successes_open_cases(&folder, server).await;
}

#[tokio::test]
async fn late_successes_open_cases_while_the_log_is_closed() {
    let folder = Folder::new();
    let (reader, closed) = pipe().unwrap();
    drop(reader);
    let server = folder.start_logging_to(closed.into(), &NOISY);
    late_successes_open_cases(&folder, server).await;
}

#[tokio::test]
async fn late_successes_open_cases_while_the_logs_disk_is_full() {
    let folder = Folder::new();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let server = folder.start_logging_to(full.into(), &NOISY);
    late_successes_open_cases(&folder, server).await;
}

/// The pipe closes while the server serves, as when `| tee` is stopped.
#[tokio::test]
async fn late_successes_open_cases_after_the_log_was_closed() {
    let folder = Folder::new();
    let (mut reader, log) = pipe().unwrap();
    let server = folder.start_logging_to(log.into(), &NOISY);
    reader.read_exact(&mut [0; 100]).unwrap();
    drop(reader);
    late_successes_open_cases(&folder, server).await;
}

/// Neither the database nor the log can be written any more. The writer ends, and the process with
/// it: it is not a server that answers 503 for ever and cannot be stopped.
#[tokio::test]
async fn a_writer_that_ends_ends_the_process_although_the_log_is_full() {
    let folder = Folder::new();
    if folder.by_database("sqlite", "postgresql") != "sqlite" {
        // There the database's files are not the server's.
        return;
    }
    let room = 2_000_000;
    std::fs::write(folder.path("server.log"), vec![b'\n'; room]).unwrap();
    // No file can grow beyond that: a write fails.
    let limit = format!("trap '' XFSZ; prlimit --fsize={room}:unlimited --pid $$");
    let server = folder.start_after(&limit, &UNLIMITED);
    let mut client = server.sandbox().await;
    let mut sold = 0;
    while let Ok(reply) = client
        .try_send(Method::POST, RECHARGE, recharge("01712345101", 10, &format!("ROOM-{sold}")))
        .await
        && reply.status() == 200
    {
        sold += 1;
        assert!(sold < 20_000, "the database never fills its room");
    }
    assert_eq!(server.ended().code(), Some(3));
    // With room again everything acknowledged is there.
    let server = folder.start();
    let mut client = server.sandbox().await;
    assert_eq!(client.status("ROOM-0").await["status"], "success");
    // The last one was answered as processing, if its outcome could not be written.
    client.becomes(&format!("ROOM-{}", sold - 1), "success", SOON).await;
    let reply = client.post(RECHARGE, recharge("01712345101", 10, "AFTER")).await;
    assert_eq!(reply.status(), 200, "{reply:?}");
    server.stop();
    folder.verify();
}

/// Requests without keys, with wrong ones and in no form, in plenty: the log has a line a second
/// for each kind, and every request is in its count.
#[tokio::test]
async fn refusals_are_counted_and_not_logged_one_by_one() {
    const EACH: usize = 500;
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let started = Instant::now();
    let mut client = Client::anonymous(&server.address).await;
    for _ in 0..EACH {
        client.post(RECHARGE, "{}").await.assert_refused(401, "MISSING_API_KEYS");
    }
    for _ in 0..EACH {
        assert_eq!(client.post("/callbacks/simulator-a", "{}").await.status(), 401);
    }
    for _ in 0..EACH {
        let mut stream = TcpStream::connect(&server.address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nbad header\r\n\r\n").await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.contains("BAD_REQUEST_FRAMING"), "{answer}");
    }
    let seconds = usize::try_from(started.elapsed().as_secs()).unwrap() + 2;
    let log_file = folder.path("server.log");
    server.stop();
    let log = std::fs::read_to_string(log_file).unwrap();
    for code in ["401 MISSING_API_KEYS", "401 CALLBACK_FORGED", "400 BAD_REQUEST_FRAMING"] {
        let lines: Vec<&str> = log.lines().filter(|line| line.contains(code)).collect();
        assert!((1..=seconds).contains(&lines.len()), "{code} in {seconds} s: {log}");
        let counted = lines.iter().map(|line| {
            let rest = line.split(code).nth(1).unwrap();
            rest.split_whitespace().next().unwrap().parse::<usize>().unwrap()
        });
        assert_eq!(counted.sum::<usize>(), EACH, "{code}: {log}");
    }
}

/// ESC, a newline and a bidi override in what was stored: nothing of it reaches the terminal of who
/// lists it. JSON says the same text in its own escapes.
#[tokio::test]
async fn stored_text_does_not_reach_a_terminal_raw() {
    const EVIDENCE: &str = "letter\u{1b}]0;owned\u{7}\n99  delivered \u{202e}0012\u{9b}31m";
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let mut client = server.sandbox().await;
    let reply = client.post(RECHARGE, recharge("01712345112", 10, "D-1")).await;
    let id = reply.json()["billing"]["transactionId"].to_string();
    cases_open(&folder, 1).await;
    folder.saldo_ok(&["purchase", "close", &id, "--by", "Rahima", "--evidence", EVIDENCE]);
    let shown = folder.saldo_ok(&["purchase", "show", &id]);
    let text = String::from_utf8(shown.stdout.clone()).unwrap();
    assert!(text.contains("letter"), "{}", describe(&shown));
    let is_raw = |c: char| (c.is_control() && c != '\n') || c == '\u{202e}';
    assert!(!text.contains(is_raw), "{text:?}");
    assert!(!text.lines().any(|line| line.starts_with("99 ")), "{text:?}");
    let json = folder.saldo_ok(&["purchase", "show", &id, "--json"]);
    let line = String::from_utf8(json.stdout).unwrap();
    assert!(!line.contains(is_raw), "{line:?}");
    let history: Value = serde_json::from_str(&line).unwrap();
    let evidence = history["evidence"].as_array().unwrap().iter().find(|e| e["text"] == EVIDENCE);
    assert!(evidence.is_some(), "{history}");
    // What a refusal repeats is no different.
    let refused = folder.saldo(&["purchase", "list", "--state", "\u{1b}[31m\u{202e}"]);
    assert_exit(&refused, 1, "is no state");
    assert!(!String::from_utf8(refused.stderr).unwrap().contains(is_raw));
    server.stop();
}

/// A terminal that hangs up, or a log rotation that sends SIGHUP, ends nothing.
#[tokio::test]
async fn a_hangup_ends_nothing() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    server.signal("HUP");
    tokio::time::sleep(Duration::from_millis(300)).await;
    let mut client = server.sandbox().await;
    let reply = client.post(RECHARGE, recharge("01712345101", 10, "D-1")).await;
    assert_eq!(reply.status(), 200, "{reply:?}");
    server.stop();
    folder.verify();
}

/// A reader that goes away early, as `head` does, is no fault. Output that is lost is.
#[tokio::test]
async fn a_command_whose_output_is_not_wanted_does_not_panic() {
    let folder = Folder::new();
    folder.start_with(&UNLIMITED).stop();
    let list = |stdout: Stdio, stderr: Stdio| {
        let mut command = folder.command();
        command.args(["account", "list", "--data-dir"]).arg(folder.data_dir());
        command.stdin(Stdio::null()).stdout(stdout).stderr(stderr).status().unwrap().code()
    };
    let closed = || {
        let (reader, writer) = pipe().unwrap();
        drop(reader);
        Stdio::from(writer)
    };
    let full = || Stdio::from(OpenOptions::new().write(true).open("/dev/full").unwrap());
    assert_eq!(list(closed(), closed()), Some(0));
    assert_eq!(list(full(), full()), Some(1));
}

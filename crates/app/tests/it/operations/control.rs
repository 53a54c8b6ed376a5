//! The control socket: a client that stalls delays neither other commands nor the shutdown.

use crate::support::{Folder, Server};
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use tokio::time::Instant;

/// Less than a client may take to send its command (5 s): no command waited for the silent ones.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);
/// Some clients never read; and an error message with a long argument takes time.
const ANSWERED_BESIDE_LARGE: Duration = Duration::from_secs(20);
const ENDED_WITHIN: Duration = Duration::from_secs(8);
const STALLED: usize = 20;

/// Connections that send this and stall.
fn stall(folder: &Folder, sent: &str) -> Vec<UnixStream> {
    let connect = || UnixStream::connect(folder.data_dir().join("control.sock")).unwrap();
    let mut streams: Vec<UnixStream> = std::iter::repeat_with(connect).take(STALLED).collect();
    for stream in &mut streams {
        stream.write_all(sent.as_bytes()).unwrap();
    }
    streams
}

fn assert_answers(folder: &Folder, within: Duration) {
    let asked = Instant::now();
    folder.saldo_ok(&["account", "list"]);
    let took = asked.elapsed();
    assert!(took < within, "a command waited {took:?} for stalled ones");
}

fn assert_ends(server: Server) {
    let asked = Instant::now();
    server.ask_to_stop();
    assert_eq!(server.ended().code(), Some(0));
    let took = asked.elapsed();
    assert!(took < ENDED_WITHIN, "the shutdown waited {took:?} for a stalled command");
}

#[test]
fn a_silent_client_delays_nothing() {
    for sent in ["", "{\"words\":[\"saldo\""] {
        let folder = Folder::new();
        let server = folder.start();
        let stalled = stall(&folder, sent);
        assert_answers(&folder, ANSWERED_WITHIN);
        assert_ends(server);
        drop(stalled);
        folder.verify();
    }
}

/// Requests a large answer and reads nothing of it.
#[test]
fn a_client_that_does_not_read_delays_nothing() {
    let folder = Folder::new();
    let server = folder.start();
    let long = "x".repeat(60_000);
    // The usage error repeats the argument, so the answer does not fit into the socket at once.
    let stalled = stall(&folder, &format!("{{\"words\":[\"saldo\",\"{long}\"]}}\n"));
    assert_answers(&folder, ANSWERED_BESIDE_LARGE);
    assert_ends(server);
    drop(stalled);
    folder.verify();
}

#[test]
fn garbage_on_the_socket_changes_nothing() {
    let folder = Folder::new();
    let server = folder.start();
    for sent in ["\n", "not json\n", "{\"words\":3}\n", "{\"words\":[]}\n"] {
        drop(stall(&folder, sent));
    }
    // `serve` is not run inside a server.
    drop(stall(&folder, "{\"words\":[\"saldo\",\"serve\"]}\n"));
    assert_answers(&folder, ANSWERED_WITHIN);
    server.stop();
    folder.verify();
}

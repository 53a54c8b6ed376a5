//! The control socket: whoever hangs on it keeps neither other commands nor the end waiting.

use crate::harness::{Folder, Server, words};
use std::io::Write as _;
use std::os::unix::net::UnixStream;
use std::time::Duration;
use tokio::time::Instant;

/// Less than a program may take to say its words (5 s): nobody waited for the silent ones.
const ANSWERED_WITHIN: Duration = Duration::from_secs(3);
/// The deaf ones never read. Complaining of a long word takes time, too.
const ANSWERED_IN_THE_END: Duration = Duration::from_secs(20);
const ENDED_WITHIN: Duration = Duration::from_secs(8);
const SILENT: usize = 20;

/// Connections that say this and no more.
fn hang(folder: &Folder, said: &str) -> Vec<UnixStream> {
    let connect = || UnixStream::connect(folder.data_dir().join("control.sock")).unwrap();
    let mut streams: Vec<UnixStream> = std::iter::repeat_with(connect).take(SILENT).collect();
    for stream in &mut streams {
        stream.write_all(said.as_bytes()).unwrap();
    }
    streams
}

fn assert_answers(folder: &Folder, within: Duration) {
    let asked = Instant::now();
    let output = folder.saldo(&["account", "list"]);
    assert!(output.status.success(), "{}", words(&output));
    let took = asked.elapsed();
    assert!(took < within, "a command waited {took:?} for others");
}

fn assert_ends(server: Server) {
    let asked = Instant::now();
    server.ask_to_stop();
    assert_eq!(server.ended().code(), Some(0));
    let took = asked.elapsed();
    assert!(took < ENDED_WITHIN, "the end waited {took:?} for a silent command");
}

#[test]
fn who_says_nothing_holds_nobody_up() {
    for said in ["", "{\"words\":[\"saldo\""] {
        let folder = Folder::new();
        let server = folder.start();
        let silent = hang(&folder, said);
        assert_answers(&folder, ANSWERED_WITHIN);
        assert_ends(server);
        drop(silent);
        folder.verify();
    }
}

/// Asks for much, and reads nothing of the answer.
#[test]
fn who_does_not_read_holds_nobody_up() {
    let folder = Folder::new();
    let server = folder.start();
    let long = "x".repeat(60_000);
    // The usage's complaint repeats the word, so the answer does not fit into the socket at once.
    let deaf = hang(&folder, &format!("{{\"words\":[\"saldo\",\"{long}\"]}}\n"));
    assert_answers(&folder, ANSWERED_IN_THE_END);
    assert_ends(server);
    drop(deaf);
    folder.verify();
}

#[test]
fn garbage_on_the_socket_is_survived() {
    let folder = Folder::new();
    let server = folder.start();
    for said in ["\n", "not json\n", "{\"words\":3}\n", "{\"words\":[]}\n"] {
        drop(hang(&folder, said));
    }
    // A server does not start another one within itself.
    drop(hang(&folder, "{\"words\":[\"saldo\",\"serve\"]}\n"));
    assert_answers(&folder, ANSWERED_WITHIN);
    server.stop();
    folder.verify();
}

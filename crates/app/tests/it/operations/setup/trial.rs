//! Verbs without a data folder: simulated upstreams, and checks of cases.

use crate::operations::command_line::assert_one_sentence;
use crate::support::{Simulated, assert_exit, saldo};
use connectors::upstream::simulator::read_truth;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};

/// The whole reply, or nothing if there is none.
fn recharge(service: &Simulated, reference: &str) -> String {
    let body = format!(
        r#"{{"number":"01712345678","amount":10,"operator":"gp","reference":"{reference}"}}"#
    );
    let mut stream = TcpStream::connect(&service.address).unwrap();
    let request = format!(
        "POST /service-requests/recharge/normal HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\
         x-open-key: ok_live_1\r\nx-authorization: sk_live_1\r\n\
         content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    // A connection that was reset has no reply either.
    let _ = stream.read_to_string(&mut reply);
    reply
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_simulated_service_answers_and_records_once() {
    let folder = tempfile::tempdir().unwrap();
    let truth = folder.path().join("truth");
    let service = Simulated::start(&["irecharge", "--truth", text(&truth)]);
    let reply = recharge(&service, "S7-1");
    assert!(
        reply.starts_with("HTTP/1.1 200") && reply.contains("\"status\":\"success\""),
        "{reply}"
    );
    let again = recharge(&service, "S7-1");
    assert!(again.contains("Reference already exists"), "{again}");
    let records = read_truth(&truth).unwrap();
    assert_eq!((records.len(), records[0].credited, records[0].repeats), (1, true, 1));
}

#[test]
fn a_lost_reply_counts_and_a_lost_request_does_not() {
    let folder = tempfile::tempdir().unwrap();
    for (flag, count) in [("--lose-replies", 1), ("--lose-requests", 0)] {
        let truth = folder.path().join(flag);
        let service = Simulated::start(&["irecharge", "--truth", text(&truth), flag, "100"]);
        assert_eq!(recharge(&service, "S7-1"), "", "{flag}");
        assert_eq!(read_truth(&truth).unwrap().len(), count, "{flag}");
    }
}

#[test]
fn each_example_of_a_panel_is_a_file_that_passes() {
    let folder = tempfile::tempdir().unwrap();
    for shape in ["panel-json", "panel-text", "panel-xml", "irecharge"] {
        let printed = saldo(&["upstream", "example", shape]);
        assert_exit(&printed, 0, "format");
        let file = folder.path().join(format!("{shape}.toml"));
        fs::write(&file, printed.stdout).unwrap();
        let checked = saldo(&["upstream", "check", "--kind", "generic", "--file", text(&file)]);
        assert_exit(&checked, 0, " passed, 0 failed");
    }
}

#[test]
fn an_unknown_kind_cannot_be_simulated() {
    assert_one_sentence(&saldo(&["simulate", "nobody", "--listen", "127.0.0.1:0"]), "reloadly");
}

/// A file of cases of the connectors' own tests.
fn cases(kind: &str) -> PathBuf {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../connectors/tests/it/upstreams/cases");
    Path::new(folder).join(format!("{kind}.json"))
}

#[test]
fn cases_are_checked_without_a_data_folder() {
    let check =
        |file: &Path| saldo(&["upstream", "check", "--kind", "irecharge", "--cases", text(file)]);
    let good = check(&cases("irecharge"));
    assert_exit(&good, 0, "");
    assert!(String::from_utf8_lossy(&good.stdout).ends_with(" passed, 0 failed\n"));
    let folder = tempfile::tempdir().unwrap();
    let wrong = folder.path().join("wrong.json");
    let lines = fs::read_to_string(cases("irecharge")).unwrap();
    fs::write(&wrong, lines.replacen("\"outcome\": \"refused\"", "\"outcome\": \"delivered\"", 1))
        .unwrap();
    let bad = check(&wrong);
    assert_exit(&bad, 1, "");
    let said = String::from_utf8_lossy(&bad.stdout).into_owned();
    assert!(said.contains("refused, not delivered") && said.contains(" 1 failed"), "{said}");
    assert_one_sentence(&check(&folder.path().join("none")), "cannot be read");
}

//! PostgreSQL's own backups, as docs/operate.md says: a base backup under load and the archived log,
//! the server destroyed, put back, and halted until somebody resumes.

use crate::backup::ask;
use crate::harness::{Folder, RECHARGE, UNLIMITED, note, recharge, words};
use crate::http_client::Answer;
use crate::postgres::{Server, belongs_to_nobody, programs, run_to_end};
use http::Method;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A server that archives its log.
fn archived(folder: &Path, log: &Path) -> Server {
    fs::create_dir_all(log).unwrap();
    belongs_to_nobody(log);
    let copy = format!("archive_command=test ! -f {0}/%f && cp %p {0}/%f", log.display());
    Server::init(folder);
    Server::launch(folder, std::process::id(), &["archive_mode=on", &copy])
}

fn base_backup(database: &Server, to: &Path) {
    let mut copy = Command::new(programs().join("pg_basebackup"));
    copy.args(["-h", "127.0.0.1", "-p", &database.port().to_string(), "-U", "saldo", "-D"]).arg(to);
    run_to_end(copy.args(["-c", "fast", "-X", "stream"]));
}

/// A server on a base backup, which has read the archived log to its end.
fn put_back(folder: &Path, base: &Path, log: &Path) -> Server {
    fs::create_dir_all(folder).unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let data = folder.join("data");
    run_to_end(Command::new("cp").arg("-a").arg(base).arg(&data));
    let settings = data.join("postgresql.auto.conf");
    let mut text = fs::read_to_string(&settings).unwrap();
    text += &format!("restore_command = 'cp {}/%f %p'\n", log.display());
    fs::write(settings, text).unwrap();
    fs::write(data.join("recovery.signal"), "").unwrap();
    belongs_to_nobody(&data);
    let server = Server::launch(folder, std::process::id(), &[]);
    while server.sql("postgres", "SELECT pg_is_in_recovery()") != ["f"] {
        std::thread::sleep(Duration::from_millis(50));
    }
    server
}

/// Looks until the log up to this moment is archived.
fn archive_log(database: &Server) {
    let piece = database.sql("postgres", "SELECT pg_walfile_name(pg_current_wal_lsn())").remove(0);
    database.sql("postgres", "SELECT pg_switch_wal()");
    let archived = format!("SELECT last_archived_wal >= '{piece}' FROM pg_stat_archiver");
    while database.sql("postgres", &archived) != ["t"] {
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A recharge whose answer may be a 503.
async fn buy(server: &crate::harness::Server, reference: &str) -> Answer {
    ask(server, Method::POST, RECHARGE, recharge("01712345101", 10, reference)).await
}

fn is_halted(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_database_that_was_put_back_is_halted() {
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (base, log) = (root.path().join("base"), root.path().join("log"));
    let folder = Folder::new();
    let database = archived(&root.path().join("first"), &log);
    database.sql("postgres", "CREATE DATABASE saldo");
    let url = database.url("saldo");
    let server = folder.start_with(&[&UNLIMITED[..], &["--database-url", &url]].concat());
    let (mut buyer, stop) = (server.sandbox().await, Arc::new(AtomicBool::new(false)));
    let is_over = stop.clone();
    let buying = tokio::spawn(async move {
        let mut told = Vec::new();
        while !is_over.load(Ordering::SeqCst) {
            let reference = format!("L-{}", told.len());
            let reply = buyer.post(RECHARGE, recharge("01712345101", 10, &reference)).await;
            assert_eq!(reply.json()["billing"]["status"], "success", "{reply:?}");
            told.push(reference);
        }
        told
    });
    tokio::task::block_in_place(|| base_backup(&database, &base));
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.store(true, Ordering::SeqCst);
    let kept = buying.await.unwrap();
    archive_log(&database);
    // What comes after the last piece of the log goes with the machine.
    let mut buyer = server.sandbox().await;
    let lost = buyer.post(RECHARGE, recharge("01712345101", 10, "LOST")).await;
    assert_eq!(lost.json()["billing"]["status"], "success", "{lost:?}");
    // It has been noted how far the books were.
    server.stop();
    database.kill();
    drop(database);

    let database = put_back(&root.path().join("second"), &base, &log);
    note(&format!("{} purchases were bought beside the base backup and after it", kept.len()));
    let url = database.url("saldo");
    let flags = [&UNLIMITED[..], &["--database-url", &url]].concat();
    let verified = folder.saldo(&["verify", "--database-url", &url]);
    assert!(verified.status.success(), "{}", words(&verified));
    // Forgotten: the server knows by itself that the books went back.
    let server = folder.start_with(&flags);
    is_halted(&buy(&server, "AFTER-1").await);
    while !server.log().contains("put back from a backup") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for reference in &kept {
        let again = buy(&server, reference).await;
        assert_eq!(again.status, 422, "{again:?}");
    }
    let resume =
        ["resume", "--by", "rahim", "--evidence", "the statements", "--database-url", &url];
    let resumed = folder.saldo(&resume);
    assert!(resumed.status.success(), "{}", words(&resumed));
    assert_eq!(buy(&server, "AFTER-2").await.status, 200);
    server.stop();
    // As the document says: before the first start.
    let halted = folder.saldo(&["halt", "--why", "a drill", "--database-url", &url]);
    assert!(halted.status.success(), "{}", words(&halted));
    let server = folder.start_with(&flags);
    is_halted(&buy(&server, "AFTER-3").await);
    let resumed = folder.saldo(&resume);
    assert!(resumed.status.success(), "{}", words(&resumed));
    assert_eq!(buy(&server, "AFTER-3").await.status, 200);
    server.stop();
    let verified = folder.saldo(&["verify", "--database-url", &url]);
    assert!(verified.status.success(), "{}", words(&verified));
}

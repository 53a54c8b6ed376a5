//! PostgreSQL's own backups, as docs/operate.md describes: a base backup under load and archived
//! WAL; the server is destroyed, restored, and halted until `saldo resume`.

use crate::http_client::Answer;
use crate::postgres::{Server, belongs_to_nobody, programs, run_to_end};
use crate::support::{self, Folder, RECHARGE, UNLIMITED, note, recharge, send_once};
use http::Method;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// A server that archives its WAL.
fn archiving_server(folder: &Path, wal: &Path) -> Server {
    fs::create_dir_all(wal).unwrap();
    belongs_to_nobody(wal);
    let copy = format!("archive_command=test ! -f {0}/%f && cp %p {0}/%f", wal.display());
    Server::init(folder);
    Server::launch(folder, std::process::id(), &["archive_mode=on", &copy])
}

fn base_backup(database: &Server, to: &Path) {
    let mut copy = Command::new(programs().join("pg_basebackup"));
    copy.args(["-h", "127.0.0.1", "-p", &database.port().to_string(), "-U", "saldo", "-D"]).arg(to);
    run_to_end(copy.args(["-c", "fast", "-X", "stream"]));
}

/// A server on a base backup, after it has replayed the archived WAL.
fn restore(folder: &Path, base: &Path, wal: &Path) -> Server {
    fs::create_dir_all(folder).unwrap();
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    let data = folder.join("data");
    run_to_end(Command::new("cp").arg("-a").arg(base).arg(&data));
    let settings = data.join("postgresql.auto.conf");
    let mut text = fs::read_to_string(&settings).unwrap();
    text += &format!("restore_command = 'cp {}/%f %p'\n", wal.display());
    fs::write(settings, text).unwrap();
    fs::write(data.join("recovery.signal"), "").unwrap();
    belongs_to_nobody(&data);
    let server = Server::launch(folder, std::process::id(), &[]);
    while server.sql("postgres", "SELECT pg_is_in_recovery()") != ["f"] {
        std::thread::sleep(Duration::from_millis(50));
    }
    server
}

/// Waits until the WAL up to this moment is archived.
fn archive_wal(database: &Server) {
    let segment =
        database.sql("postgres", "SELECT pg_walfile_name(pg_current_wal_lsn())").remove(0);
    database.sql("postgres", "SELECT pg_switch_wal()");
    let archived = format!("SELECT last_archived_wal >= '{segment}' FROM pg_stat_archiver");
    while database.sql("postgres", &archived) != ["t"] {
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A recharge, with any answer.
async fn buy(server: &support::Server, reference: &str) -> Answer {
    send_once(server, Method::POST, RECHARGE, recharge("01712345101", 10, reference)).await
}

fn assert_halted(answer: &Answer) {
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restored_database_is_halted() {
    let root = tempfile::tempdir().unwrap();
    fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let (base, wal) = (root.path().join("base"), root.path().join("log"));
    let folder = Folder::new();
    let database = archiving_server(&root.path().join("first"), &wal);
    database.sql("postgres", "CREATE DATABASE saldo");
    let url = database.url("saldo");
    let server = folder.start_with(&[UNLIMITED, ["--database-url", &url]].concat());
    let (mut buyer, stop) = (server.sandbox().await, Arc::new(AtomicBool::new(false)));
    let is_over = stop.clone();
    let buying = tokio::spawn(async move {
        let mut acknowledged = Vec::new();
        while !is_over.load(Ordering::SeqCst) {
            let reference = format!("L-{}", acknowledged.len());
            let reply = buyer.post(RECHARGE, recharge("01712345101", 10, &reference)).await;
            assert_eq!(reply.json()["billing"]["status"], "success", "{reply:?}");
            acknowledged.push(reference);
        }
        acknowledged
    });
    tokio::task::block_in_place(|| base_backup(&database, &base));
    tokio::time::sleep(Duration::from_millis(200)).await;
    stop.store(true, Ordering::SeqCst);
    let kept = buying.await.unwrap();
    archive_wal(&database);
    // A purchase after the last archived segment is lost with the machine.
    let mut buyer = server.sandbox().await;
    let lost = buyer.post(RECHARGE, recharge("01712345101", 10, "LOST")).await;
    assert_eq!(lost.json()["billing"]["status"], "success", "{lost:?}");
    // The stop records the high-water mark of the ledger.
    server.stop();
    database.kill();
    drop(database);

    let database = restore(&root.path().join("second"), &base, &wal);
    note(&format!("{} purchases were bought beside the base backup and after it", kept.len()));
    let url = database.url("saldo");
    let flags = [UNLIMITED, ["--database-url", &url]].concat();
    folder.saldo_ok(&["verify", "--database-url", &url]);
    // Without `saldo halt`: the server itself detects that the database is older than its mark.
    let server = folder.start_with(&flags);
    assert_halted(&buy(&server, "AFTER-1").await);
    while !server.log().contains("put back from a backup") {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    for reference in &kept {
        let again = buy(&server, reference).await;
        assert_eq!(again.status, 422, "{again:?}");
    }
    let resume =
        ["resume", "--by", "rahim", "--evidence", "the statements", "--database-url", &url];
    folder.saldo_ok(&resume);
    assert_eq!(buy(&server, "AFTER-2").await.status, 200);
    server.stop();
    // With `saldo halt`, as documented: before the first start.
    folder.saldo_ok(&["halt", "--why", "a drill", "--database-url", &url]);
    let server = folder.start_with(&flags);
    assert_halted(&buy(&server, "AFTER-3").await);
    folder.saldo_ok(&resume);
    assert_eq!(buy(&server, "AFTER-3").await.status, 200);
    server.stop();
    folder.saldo_ok(&["verify", "--database-url", &url]);
}

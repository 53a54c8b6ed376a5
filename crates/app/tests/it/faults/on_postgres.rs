//! The whole server on PostgreSQL: it sells, is killed and restarted, and nothing is lost.

use crate::postgres::Database;
use crate::support::{Consumer, Folder, RECHARGE, assert_exit, recharge};
use std::fs;
use std::path::Path;
use std::time::Duration;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_on_postgresql_sells_and_survives_a_kill() {
    let database = Database::empty();
    let url = database.url();
    let folder = Folder::on(database);
    let server = folder.start();
    let mut merchant = server.sandbox().await;
    for (ends, status) in [("101", "success"), ("102", "failed"), ("105", "pending")] {
        let ask = recharge(&format!("01712345{ends}"), 10, &format!("R-{ends}"));
        let reply = merchant.post(RECHARGE, ask).await.json();
        assert_eq!(reply["billing"]["status"], status, "{reply}");
    }
    let mut customer = Consumer::log_in(&server, "sandbox", "").await;
    let bought = customer.buy(21, "10", "41234563101", "REQ-1").await;
    assert_eq!(
        (&bought["status"], bought["tokens"].as_array().unwrap().len()),
        (&"COMPLETED".into(), 3)
    );

    // A purchase in doubt is settled by asking the upstream, before or after the kill.
    let doubt = merchant.post(RECHARGE, recharge("01712345106", 10, "R-106")).await.json();
    assert_eq!(doubt["billing"]["status"], "processing", "{doubt}");
    // A command on another folder is a node beside the server.
    let other = tempfile::tempdir().unwrap();
    let key = |folder: &Path| folder.join("master.key");
    fs::copy(key(&folder.data_dir()), key(other.path())).unwrap();
    assert_exit(&folder.saldo_in(other.path(), &["verify"]), 0, "");

    server.kill();
    let server = folder.start();
    let mut merchant = server.sandbox().await;
    // A start on the same folder frees the leases of the killed process: none has to end first.
    merchant.becomes("R-106", "success", Duration::from_secs(5)).await;
    let again = merchant.post(RECHARGE, recharge("01712345101", 10, "R-101")).await;
    again.assert_refused(422, "DUPLICATE_REFERENCE");
    // Held: 105. Spent: 101 and 106.
    assert_eq!(merchant.balance().await, 700_000 - 3 * 1_050);
    server.stop();
    folder.saldo_ok(&["verify", "--json", "--database-url", &url]);
}

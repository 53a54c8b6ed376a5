//! The whole server on PostgreSQL: sold, killed, started again, and nothing is lost.

use crate::consumer::Consumer;
use crate::harness::{Folder, RECHARGE, recharge, words};
use crate::postgres::Database;
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

    // Doubts are settled by enquiry, before or after the kill.
    let doubt = merchant.post(RECHARGE, recharge("01712345106", 10, "R-106")).await.json();
    assert_eq!(doubt["billing"]["status"], "processing", "{doubt}");
    // A command on another folder is a node beside the server.
    let other = tempfile::tempdir().unwrap();
    let beside = folder.saldo_in(other.path(), &["verify"]);
    assert!(beside.status.success(), "{}", words(&beside));

    server.kill();
    let server = folder.start();
    let mut merchant = server.sandbox().await;
    // What the killed process left is known to be nobody's: no lease has to end first.
    merchant.becomes("R-106", "success", Duration::from_secs(5)).await;
    let again = merchant.post(RECHARGE, recharge("01712345101", 10, "R-101")).await;
    again.assert_refused(422, "DUPLICATE_REFERENCE");
    // Held: 105. Spent: 101 and 106.
    assert_eq!(merchant.balance().await, 700_000 - 3 * 1_050);
    server.stop();
    let verified = folder.saldo(&["verify", "--json", "--database-url", &url]);
    assert!(verified.status.success(), "{}", words(&verified));
}

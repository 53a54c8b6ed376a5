//! The oracle of the fault tests: what clients were answered, kept in memory outside the server.
//!
//! After the faults it is compared with the ledger and with the record of the simulated upstream.

use crate::support::{Client, Folder, Server, minor, note};
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Endings of numbers whose outcome the simulator knows: not those that staff decide (105, 111),
/// and not the two that change after they were final (108, 112).
pub const ENDINGS: [&str; 8] = ["101", "102", "103", "106", "107", "109", "110", "678"];
/// Flags of a demo whose wallet lasts for the whole test.
pub const RICH: [&str; 2] = ["--balance", "999999999"];
const START: i64 = 99_999_999_900;
/// Amount and fee of a recharge of 10.
const COST: i64 = 1_050;
/// How long purchases may stay in doubt after the last restart (P4).
const RESOLVED_WITHIN: Duration = Duration::from_secs(60);

/// The last status that a client received, by reference.
pub type Statuses = HashMap<String, String>;

/// Waits until nothing is in doubt, stops the server, and checks every acknowledged purchase.
pub async fn check_all(folder: &Folder, server: Server, mut statuses: Statuses) {
    let started = Instant::now();
    none_stays_in_doubt(folder, &server).await;
    let took = started.elapsed();
    note(&format!("{} acknowledged; no doubt is left after {took:?}", statuses.len()));
    confirm(&server, &mut statuses).await;
    let balance = server.sandbox().await.balance().await;
    let listed = list(folder);
    server.stop();
    folder.verify();
    compare(folder, &statuses, &listed, balance);
}

/// Every acknowledged recharge is found, and a final status has not changed.
pub async fn confirm(server: &Server, statuses: &mut Statuses) {
    let all: Vec<(String, String)> = statuses.drain().collect();
    let mut tasks = JoinSet::new();
    for part in all.chunks(all.len() / 8 + 1) {
        let mut client: Client = server.sandbox().await;
        let mut part = part.to_vec();
        tasks.spawn(async move {
            for (reference, status) in &mut part {
                let now = client.status(reference).await;
                let now = now["status"].as_str().unwrap();
                let is_open = status == "processing" || status == "pending";
                assert!(is_open || status == now, "{reference} was {status} and is {now}");
                now.clone_into(status);
            }
            part
        });
    }
    statuses.extend(tasks.join_all().await.into_iter().flatten());
}

fn list(folder: &Folder) -> Vec<Value> {
    folder.saldo_json(&["purchase", "list", "--limit", "9999999", "--json"])
}

/// Waits until every purchase is final. One list, of one moment: a purchase in doubt goes to the
/// next route and may be in doubt again.
async fn none_stays_in_doubt(folder: &Folder, server: &Server) {
    let started = Instant::now();
    loop {
        let mut open = list(folder);
        open.retain(|purchase| purchase["state"] != "delivered" && purchase["state"] != "failed");
        if open.is_empty() {
            return;
        }
        assert!(
            started.elapsed() < RESOLVED_WITHIN,
            "{} still open: {}: {}",
            open.len(),
            open[0],
            server.log()
        );
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// What the clients received, the ledger and the upstream's record agree.
fn compare(folder: &Folder, statuses: &Statuses, listed: &[Value], balance: i64) {
    let mut credited: BTreeMap<i64, usize> = BTreeMap::new();
    for record in folder.truth() {
        assert_eq!(record.repeats, 0, "{} was sent twice", record.attempt);
        *credited.entry(record.attempt.purchase.0).or_default() += usize::from(record.credited);
    }
    let mut states: HashMap<&str, &str> = HashMap::new();
    let mut delivered = 0;
    for purchase in listed {
        let (id, state) = (purchase["id"].as_i64().unwrap(), purchase["state"].as_str().unwrap());
        let times = credited.remove(&id).unwrap_or(0);
        let due = match state {
            "delivered" => 1,
            "failed" => 0,
            _ => panic!("not final: {purchase}"),
        };
        assert_eq!(times, due, "credited {times} times: {purchase}");
        delivered += i64::try_from(due).unwrap();
        let before = states.insert(purchase["reference"].as_str().unwrap(), state);
        assert!(before.is_none(), "charged twice: {purchase}");
    }
    assert!(credited.values().all(|times| *times == 0), "credited, and not in our ledger");
    assert_eq!(balance, START - COST * delivered);
    for (reference, status) in statuses {
        let expected = if status == "success" { "delivered" } else { "failed" };
        assert_eq!(states.get(reference.as_str()), Some(&expected), "{reference} is {status}");
    }
    assert_eq!(minor(&json!(10.5)), COST);
}

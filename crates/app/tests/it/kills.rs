//! SIGKILL at random moments under load (rig R2): what was acknowledged is there, once.
//!
//! The oracle is what the clients were told, kept in memory outside the server. One data folder
//! lives through all rounds. A kill does not lose what the kernel has; power cuts are another rig's.

use crate::harness::{Client, Dice, Folder, RECHARGE, Server, UNLIMITED, minor, note, recharge};
use crate::http_client::Lost;
use crate::postgres;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

const ROUNDS: usize = 100;
/// Where the same is done on PostgreSQL in the second run of the tests: the database outlives the process,
/// so that less can go wrong, and a start takes longer. (`nodes` kills there too.)
const ROUNDS_ON_POSTGRESQL: usize = 30;
const CLIENTS: usize = 8;
/// The audit of the killed data is repeated this often, in rounds.
const AUDIT_EVERY: usize = 20;
/// Outcomes that the simulator can answer for: everything but staff (105, 111), and the two that
/// change after they were final (108, 112).
pub const ENDS: [&str; 8] = ["101", "102", "103", "106", "107", "109", "110", "678"];
pub const BALANCE: i64 = 99_999_999_900;
/// Amount and fee of a recharge of 10.
const COST: i64 = 1_050;
/// How long doubts may last after the last restart (P4).
const RESOLVED_WITHIN: Duration = Duration::from_secs(60);

/// What a client was told last, by reference.
pub type Told = HashMap<String, String>;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_a_hundred_kills() {
    let mut rng = Dice::new("kills");
    let folder = Folder::new();
    let flags = [&UNLIMITED[..], &["--balance", "999999999"]].concat();
    let mut told = Told::new();
    let mut fresh = Told::new();
    let rounds = if postgres::is_chosen() { ROUNDS_ON_POSTGRESQL } else { ROUNDS };
    for round in 0..rounds {
        if round > 0 && rng.below(4) == 0 {
            // Killed again while it recovers.
            let starting = folder.spawn(&flags);
            tokio::time::sleep(Duration::from_millis(rng.next() % 200)).await;
            starting.kill();
        }
        let restarted = Instant::now();
        let server = folder.start_with(&flags);
        let started = restarted.elapsed();
        confirm(&server, &mut fresh).await;
        let confirmed = restarted.elapsed();
        note(&format!(
            "round {round}: start {started:?}, confirmed {} after {confirmed:?}",
            fresh.len()
        ));
        told.extend(fresh.drain());

        let mut rng = rng.fork();
        let lives = Duration::from_millis(50 + rng.next() % 450);
        let loads = load(&server, round, &mut rng).await;
        tokio::time::sleep(lives).await;
        loads.is_killed.store(true, Ordering::SeqCst);
        server.kill();
        for seen in loads.clients.join_all().await {
            fresh.extend(seen);
        }
        if round % AUDIT_EVERY == AUDIT_EVERY - 1 {
            folder.verify();
        }
    }
    let server = folder.start_with(&flags);
    told.extend(fresh);
    assert!(told.len() > rounds, "there was no load: {} recharges", told.len());
    let restarted = Instant::now();
    none_stays_in_doubt(&folder, &server).await;
    note(&format!("{} acknowledged; no doubt is left after {:?}", told.len(), restarted.elapsed()));
    confirm(&server, &mut told).await;
    let balance = server.sandbox().await.balance().await;
    let listed = folder.saldo_json(&["purchase", "list", "--limit", "9999999", "--json"]);
    server.stop();
    folder.verify();
    compare(&folder, &told, &listed, balance);
}

struct Loads {
    clients: JoinSet<Told>,
    is_killed: Arc<AtomicBool>,
}

/// Clients that buy until the server is gone.
async fn load(server: &Server, round: usize, rng: &mut Dice) -> Loads {
    let is_killed = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for task in 0..CLIENTS {
        let mut client = server.sandbox().await;
        let mut rng = rng.fork();
        let is_killed = Arc::clone(&is_killed);
        clients.spawn(async move {
            let mut told = Told::new();
            for n in 0.. {
                let reference = format!("K-{round}-{task}-{n}");
                let number = format!("0171{:04}{}", rng.below(10_000), rng.pick(&ENDS));
                match client
                    .send(http::Method::POST, RECHARGE, recharge(&number, 10, &reference))
                    .await
                {
                    Ok(reply) => {
                        assert_eq!(reply.status(), 200, "{reference}: {reply:?}");
                        let status = reply.json()["billing"]["status"].as_str().unwrap().to_owned();
                        told.insert(reference, status);
                    }
                    // An answer that was cut off acknowledged nothing.
                    Err(lost @ (Lost::Unanswered(_) | Lost::CutOff(_) | Lost::NotConnected(_))) => {
                        assert!(is_killed.load(Ordering::SeqCst), "lost before the kill: {lost}");
                        break;
                    }
                }
            }
            told
        });
    }
    Loads { clients, is_killed }
}

/// Every acknowledged recharge is found, and a last word stays the last word.
pub async fn confirm(server: &Server, told: &mut Told) {
    let all: Vec<(String, String)> = told.drain().collect();
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
    told.extend(tasks.join_all().await.into_iter().flatten());
}

/// Waits until every purchase has come to its end: one list, of one moment, because what is in doubt goes
/// to the next route and may be in doubt again.
pub async fn none_stays_in_doubt(folder: &Folder, server: &Server) {
    let started = Instant::now();
    loop {
        let mut open = folder.saldo_json(&["purchase", "list", "--limit", "9999999", "--json"]);
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

/// The clients' memory, our books, the upstream's truth: one story.
pub fn compare(folder: &Folder, told: &Told, listed: &[Value], balance: i64) {
    let mut credited: BTreeMap<i64, usize> = BTreeMap::new();
    for record in folder.truth() {
        assert_eq!(record.repeats, 0, "{} was sent twice", record.attempt);
        *credited.entry(record.attempt.purchase.0).or_default() += usize::from(record.credited);
    }
    let mut known: HashMap<&str, &str> = HashMap::new();
    let mut delivered = 0;
    for purchase in listed {
        let (id, state) = (purchase["id"].as_i64().unwrap(), purchase["state"].as_str().unwrap());
        let times = credited.remove(&id).unwrap_or(0);
        let due = match state {
            "delivered" => 1,
            "failed" => 0,
            _ => panic!("not at its end: {purchase}"),
        };
        assert_eq!(times, due, "credited {times} times: {purchase}");
        delivered += i64::try_from(due).unwrap();
        let before = known.insert(purchase["reference"].as_str().unwrap(), state);
        assert!(before.is_none(), "charged twice: {purchase}");
    }
    assert!(credited.values().all(|times| *times == 0), "credited, and not in our books");
    assert_eq!(balance, BALANCE - COST * delivered);
    for (reference, status) in told {
        let expected = if status == "success" { "delivered" } else { "failed" };
        assert_eq!(known.get(reference.as_str()), Some(&expected), "{reference} is {status}");
    }
    assert_eq!(minor(&serde_json::json!(10.5)), COST);
}

//! SIGKILL at random moments under load (rig R2): what was acknowledged is there, once.
//!
//! One data folder lives through all rounds. A kill does not lose what the kernel has; power cuts
//! are tested elsewhere.

use super::oracle::{ENDINGS, RICH, Statuses, check_all, confirm};
use crate::http_client::Lost;
use crate::postgres;
use crate::support::{Folder, RECHARGE, Rng, Server, UNLIMITED, note, recharge};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

const ROUNDS: usize = 100;
/// In the second run of the tests, on PostgreSQL: the database outlives the process, so less can go
/// wrong, and a start takes longer. (`nodes` kills there too.)
const ROUNDS_ON_POSTGRESQL: usize = 30;
const CLIENTS: usize = 8;
/// The killed data is audited once in so many rounds.
const AUDIT_EVERY: usize = 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost_by_a_hundred_kills() {
    let mut rng = Rng::new("kills");
    let folder = Folder::new();
    let flags = [UNLIMITED, RICH].concat();
    let mut statuses = Statuses::new();
    let mut fresh = Statuses::new();
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
        statuses.extend(fresh.drain());

        let mut rng = rng.fork();
        let lives = Duration::from_millis(50 + rng.next() % 450);
        let load = start_load(&server, round, &mut rng).await;
        tokio::time::sleep(lives).await;
        load.is_killed.store(true, Ordering::SeqCst);
        server.kill();
        for received in load.clients.join_all().await {
            fresh.extend(received);
        }
        if round % AUDIT_EVERY == AUDIT_EVERY - 1 {
            folder.verify();
        }
    }
    let server = folder.start_with(&flags);
    statuses.extend(fresh);
    assert!(statuses.len() > rounds, "there was no load: {} recharges", statuses.len());
    check_all(&folder, server, statuses).await;
}

struct Load {
    clients: JoinSet<Statuses>,
    is_killed: Arc<AtomicBool>,
}

/// Clients that buy until the server is gone.
async fn start_load(server: &Server, round: usize, rng: &mut Rng) -> Load {
    let is_killed = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for task in 0..CLIENTS {
        let mut client = server.sandbox().await;
        let mut rng = rng.fork();
        let is_killed = Arc::clone(&is_killed);
        clients.spawn(async move {
            let mut statuses = Statuses::new();
            for n in 0.. {
                let reference = format!("K-{round}-{task}-{n}");
                let number = format!("0171{:04}{}", rng.below(10_000), rng.pick(&ENDINGS));
                match client
                    .send(http::Method::POST, RECHARGE, recharge(&number, 10, &reference))
                    .await
                {
                    Ok(reply) => {
                        assert_eq!(reply.status(), 200, "{reference}: {reply:?}");
                        let status = reply.json()["billing"]["status"].as_str().unwrap().to_owned();
                        statuses.insert(reference, status);
                    }
                    // An answer that was cut off acknowledged nothing.
                    Err(lost @ (Lost::Unanswered(_) | Lost::CutOff(_) | Lost::NotConnected(_))) => {
                        assert!(is_killed.load(Ordering::SeqCst), "lost before the kill: {lost}");
                        break;
                    }
                }
            }
            statuses
        });
    }
    Load { clients, is_killed }
}

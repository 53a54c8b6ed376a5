//! Many requests at once: a reference is charged and delivered once; a wallet never overdraws.

use crate::support::{Folder, RECHARGE, Server, UNLIMITED, minor, recharge};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

const CLIENTS: usize = 64;
const REFERENCES: usize = 200;
/// Amount and fee of a recharge of 10.
const COST: i64 = 1_050;

/// Each of the clients sends each of the references, all at the same moment.
async fn all_send_all(server: &Server) -> HashMap<String, Vec<(u16, Value)>> {
    let together = Arc::new(Barrier::new(CLIENTS));
    let mut tasks = JoinSet::new();
    for _ in 0..CLIENTS {
        let mut client = server.sandbox().await;
        let together = Arc::clone(&together);
        tasks.spawn(async move {
            let mut replies = Vec::new();
            for n in 0..REFERENCES {
                let reference = format!("RACE-{n}");
                let body = recharge(&format!("0171{n:04}101"), 10, &reference);
                together.wait().await;
                let reply = client.post(RECHARGE, body).await;
                if reply.status() != 200 {
                    reply.assert_error_body();
                }
                replies.push((reference, reply.status(), reply.json()));
            }
            replies
        });
    }
    let mut answers: HashMap<String, Vec<(u16, Value)>> = HashMap::new();
    for replies in tasks.join_all().await {
        for (reference, status, body) in replies {
            answers.entry(reference).or_default().push((status, body));
        }
    }
    answers
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reference_is_charged_once_and_delivered_once() {
    let folder = Folder::new();
    let server = folder.start_with(&[UNLIMITED, ["--balance", "10000"]].concat());
    let answers = all_send_all(&server).await;
    assert_eq!(answers.len(), REFERENCES);
    let mut ids = Vec::new();
    for (reference, answers) in &answers {
        let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|(status, _)| *status == 200);
        assert_eq!((won.len(), lost.len()), (1, CLIENTS - 1), "{reference}: {answers:?}");
        let billing = &won[0].1["billing"];
        assert_eq!(billing["status"], "success", "{reference}");
        ids.push(billing["transactionId"].as_i64().unwrap());
        for (status, body) in lost {
            assert_eq!(*status, 422, "{reference}: {body}");
            assert_eq!(body["code"], "DUPLICATE_REFERENCE");
            assert_eq!(
                body["message"],
                "Reference already exists. Please send a unique reference."
            );
            assert_eq!(&body["billing"]["reference"], reference);
            assert_eq!(body["billing"]["transactionId"], billing["transactionId"], "{body}");
        }
    }
    let mut client = server.sandbox().await;
    let spent = COST * i64::try_from(REFERENCES).unwrap();
    assert_eq!(client.balance().await, 1_000_000 - spent);
    server.stop();
    folder.verify();

    let truth = folder.truth();
    assert_eq!(truth.len(), REFERENCES, "one order reached the upstream for each reference");
    assert!(truth.iter().all(|r| r.credited && r.repeats == 0));
    let mut delivered: Vec<i64> = truth.iter().map(|r| r.attempt.purchase.0).collect();
    ids.sort_unstable();
    delivered.sort_unstable();
    assert_eq!(ids, delivered);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balance_for_n_pays_n_of_4_n() {
    for n in [1, 7, 25, 50] {
        let folder = Folder::new();
        let balance = format!("{}.{:02}", n * COST / 100, n * COST % 100);
        let server = folder.start_with(&[UNLIMITED, ["--balance", &balance]].concat());
        let statuses = spend_at_once(&server, usize::try_from(4 * n).unwrap()).await;
        let paid = statuses.iter().filter(|(status, _)| *status == 200).count();
        assert_eq!(paid, usize::try_from(n).unwrap(), "of {balance}: {statuses:?}");
        for (status, body) in statuses.iter().filter(|(status, _)| *status != 200) {
            assert_eq!((*status, &body["code"]), (402, &json!("INSUFFICIENT_BALANCE")), "{body}");
        }
        // Each answer has another balance, and each is a whole number of recharges.
        let mut left: Vec<i64> = statuses
            .iter()
            .filter(|(status, _)| *status == 200)
            .map(|(_, body)| minor(&body["billing"]["remainingBalance"]))
            .collect();
        left.sort_unstable();
        assert_eq!(left, (0..n).map(|k| k * COST).collect::<Vec<_>>());
        assert_eq!(server.sandbox().await.balance().await, 0);
        server.stop();
        folder.verify();
        assert_eq!(folder.truth().len(), paid, "only what was paid is sent");
    }
}

/// So many recharges at the same moment, while another client polls the balance.
async fn spend_at_once(server: &Server, many: usize) -> Vec<(u16, Value)> {
    let is_over = Arc::new(AtomicBool::new(false));
    let mut watcher = server.sandbox().await;
    let over = Arc::clone(&is_over);
    let watching = tokio::spawn(async move {
        while !over.load(Ordering::Relaxed) {
            assert!(watcher.balance().await >= 0);
        }
    });
    let together = Arc::new(Barrier::new(many));
    let mut tasks = JoinSet::new();
    for i in 0..many {
        let mut client = server.sandbox().await;
        let together = Arc::clone(&together);
        tasks.spawn(async move {
            let body = recharge(&format!("0171{i:04}101"), 10, &format!("N-{i}"));
            together.wait().await;
            let reply = client.post(RECHARGE, body).await;
            (reply.status(), reply.json())
        });
    }
    let statuses = tasks.join_all().await;
    is_over.store(true, Ordering::Relaxed);
    watching.await.unwrap();
    statuses
}

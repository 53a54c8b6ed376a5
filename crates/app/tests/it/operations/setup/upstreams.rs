//! `saldo upstream` beside a running server: another Saldo is set up as an upstream, sells, is
//! paused; a dead one opens its breaker.

use crate::support::{Client, Folder, RECHARGE, Reply, Server, UNLIMITED, assert_exit, recharge};
use serde_json::Value;
use std::fs;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// A number that every simulator delivers to.
const NUMBER: &str = "01712345101";

/// A demo whose connectors may call this machine.
fn start(folder: &Folder) -> Server {
    folder.start_with(&[&UNLIMITED[..], &["--connectors-to-loopback"]].concat())
}

/// Routes all live recharges to these upstreams.
fn route(folder: &Folder, upstreams: &str) {
    let route = ["route", "set", "--environment", "live", "--kind", "recharge", "--upstreams"];
    folder.saldo_ok(&[&route[..], &[upstreams, "--by", "Rahima"]].concat());
}

/// Adds an upstream of the kind `irecharge`, with these keys.
fn add(folder: &Folder, code: &str, url: &str, open_key: &str, secret_key: &str) {
    let (open, secret) = (folder.path("open.key"), folder.path("secret.key"));
    fs::write(&open, format!("{open_key}\n")).unwrap();
    fs::write(&secret, format!("{secret_key}\n")).unwrap();
    let open = format!("open_key=@{}", open.display());
    let secret = format!("secret_key=@{}", secret.display());
    let output = folder.saldo(&[
        "upstream",
        "add",
        "--code",
        code,
        "--kind",
        "irecharge",
        "--environment",
        "live",
        "--url",
        url,
        "--secret",
        &open,
        "--secret",
        &secret,
        "--by",
        "Rahima",
    ]);
    assert_exit(&output, 0, "can name it");
}

fn balance(folder: &Folder, code: &str) -> Value {
    folder.saldo_json(&["upstream", "balance", code, "--json"]).remove(0)
}

async fn buy(client: &mut Client, reference: &str) -> Reply {
    let body = recharge(NUMBER, 10, reference);
    client.try_send(http::Method::POST, RECHARGE, body).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_saldo_is_set_up_as_an_upstream_and_both_floats_agree() {
    let (seller, other) = (Folder::new(), Folder::new());
    let upstream = other.start();
    let keys = &upstream.credentials.merchant.sandbox;
    let server = start(&seller);
    let url = format!("{}/api/billing", upstream.base_url());
    add(&seller, "other", &url, &keys.open_key, &keys.secret_key);
    let shown = seller.saldo(&["upstream", "show", "other"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(text.contains("open_key") && !text.contains(&keys.secret_key), "{text}");
    let tried = seller.saldo_json(&["upstream", "try", "other", "--json"]).remove(0);
    assert_eq!((&tried["answers"], &tried["balance"]), (&true.into(), &"7000.00".into()));
    let paid =
        ["upstream", "fund", "other", "--amount", "7000.00", "--reference", "B-1", "--by", "R"];
    assert_exit(&seller.saldo(&paid), 0, "Booked 7000");
    assert_exit(&seller.saldo(&paid), 1, "booked already");
    route(&seller, "other");
    let mut client = server.live().await;
    // The server reads the floats again every two seconds.
    let mut reply = buy(&mut client, "U-1").await;
    for _ in 0..50 {
        if reply.status() != 503 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        reply = buy(&mut client, "U-1").await;
    }
    assert_eq!(reply.json()["billing"]["status"], "success", "{reply:?}");
    let float = balance(&seller, "other");
    assert_eq!(float["ours"], float["theirs"], "{float}");
    assert_eq!(float["difference"], "0.00", "{float}");
    let pause = ["upstream", "pause", "other", "--by", "Rahima", "--reason", "slow"];
    assert_exit(&seller.saldo(&pause), 0, "no new orders");
    let reply = buy(&mut client, "U-2").await;
    assert_eq!(reply.status(), 503, "{reply:?}");
    assert_eq!(reply.json()["code"], "UPSTREAM_UNAVAILABLE");
    assert_exit(&seller.saldo(&["upstream", "resume", "other", "--by", "Rahima"]), 0, "again");
    let reply = buy(&mut client, "U-2").await;
    assert_eq!(reply.json()["billing"]["status"], "success", "{reply:?}");
    let remove = ["upstream", "remove", "other", "--by", "Rahima"];
    assert_exit(&seller.saldo(&remove), 1, "Routes lead to it");
    route(&seller, "simulator-a");
    assert_exit(&seller.saldo(&remove), 0, "removed");
    assert!(
        seller.saldo_json(&["upstream", "list", "--json"]).iter().all(|u| u["code"] != "other")
    );
    server.stop();
    seller.verify();
    upstream.stop();
    other.verify();
}

/// It takes connections and never answers. What can go elsewhere goes there, once the breaker is
/// open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_upstream_opens_its_breaker_and_the_other_one_sells() {
    let folder = Folder::new();
    let server = start(&folder);
    let dead = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/api/billing", dead.local_addr().unwrap());
    add(&folder, "dead", &url, "ok_live_x", "sk_live_x");
    route(&folder, "dead,simulator-a");
    let server = Arc::new(server);
    let mut buying = JoinSet::new();
    for n in 0..20 {
        let server = server.clone();
        buying.spawn(async move {
            let mut client = server.live().await;
            buy(&mut client, &format!("D-{n}")).await.json()["billing"]["status"].clone()
        });
    }
    while let Some(status) = buying.join_next().await {
        assert_eq!(status.unwrap(), "processing");
    }
    let mut client = server.live().await;
    let asked = tokio::time::Instant::now();
    let reply = buy(&mut client, "E-1").await;
    assert_eq!(reply.json()["billing"]["status"], "success", "{reply:?}");
    assert!(asked.elapsed().as_secs() < 10, "it was delayed: {:?}", asked.elapsed());
    let id = reply.json()["billing"]["transactionId"].to_string();
    let shown = folder.saldo_json(&["purchase", "show", &id, "--json"]).remove(0);
    let passed_over = &shown["tries"][0]["passed_over"][0];
    assert_eq!(
        (&passed_over["upstream"], &passed_over["why"]),
        (&"dead".into(), &"breaker open".into())
    );
    drop(client);
    Arc::into_inner(server).unwrap().stop();
    folder.verify();
}

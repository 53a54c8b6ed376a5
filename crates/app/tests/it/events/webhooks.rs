//! Webhooks from the purchase to the receiver: signed so that a third party verifies them, in
//! order, retried after failures and kills of the server; and the command line around them.

use super::webhook_receiver::{Answer, ReceivedWebhook, Receiver};
use crate::support::{
    Client, Folder, RECHARGE, Rng, Server, UNLIMITED, assert_exit, describe, note,
};
use http::Method;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::Instant;

const LOOPBACK: &str = "--webhooks-to-loopback";

fn recharge(reference: &str, ends: &str, url: Option<&str>) -> String {
    let number = format!("01712345{ends}");
    let mut body =
        json!({ "operator": "gp", "number": number, "amount": 10, "reference": reference });
    if let Some(url) = url {
        body["webhook_url"] = json!(url);
    }
    body.to_string()
}

async fn buy(client: &mut Client, reference: &str, ends: &str, url: Option<&str>) -> Value {
    let reply = client.post(RECHARGE, recharge(reference, ends, url)).await;
    assert_eq!(reply.status(), 200, "{reply:?}");
    reply.json()
}

/// The merchant's account and the id of its sandbox key pair.
fn merchant(folder: &Folder) -> (String, String) {
    let text = std::fs::read_to_string(folder.path("credentials.json")).unwrap();
    let credentials: Value = serde_json::from_str(&text).unwrap();
    let merchant = &credentials["merchant"];
    (merchant["account"].to_string(), merchant["sandbox"]["key"].to_string())
}

fn secret(server: &Server) -> String {
    server.credentials.merchant.sandbox.webhook_secret.clone().unwrap()
}

fn flags(settings: &str) -> Vec<&str> {
    let mut flags = vec![LOOPBACK, "--config", settings];
    flags.extend(UNLIMITED);
    flags
}

/// Settings that divide the waits between tries, so that three days become some minutes.
fn short_waits(folder: &Folder, time_divisor: u32) -> String {
    let file = folder.path("saldo.toml");
    std::fs::write(&file, format!("webhook_time_divisor = {time_divisor}\n")).unwrap();
    file.display().to_string()
}

#[tokio::test]
async fn webhooks_of_a_purchase_are_as_documented() {
    let folder = Folder::new();
    let server = folder.start_with(&[&UNLIMITED[..], &[LOOPBACK]].concat());
    let receiver = Receiver::answering(|_, _| Answer::Status(200)).await;
    let mut client = server.sandbox().await;
    let bought = buy(&mut client, "BILL-20260204-0001", "101", Some(&receiver.url("/hook"))).await;
    let webhooks = receiver.receives(2).await;
    let (account, key) = merchant(&folder);
    let id = &bought["billing"]["transactionId"];
    let body_of = |event: &str| {
        let of_event = webhooks.iter().find(|w| w.json()["event"] == event).unwrap();
        let mut body = of_event.json();
        assert!(body["timestamp"].as_str().unwrap().ends_with('Z'));
        body["timestamp"].take();
        body
    };
    for event in ["billing.recharge.success", "billing.recharge.approved"] {
        let expected = json!({
            "event": event, "timestamp": null,
            "api_key_id": key.parse::<i64>().unwrap(), "user_id": account.parse::<i64>().unwrap(),
            "transaction": { "id": id, "reference": "BILL-20260204-0001", "status": "success" },
            "decision": { "action": "approved", "mode": "auto" }
        });
        assert_eq!(body_of(event), expected);
    }
    for (webhook, sequence) in webhooks.iter().zip(["1", "2"]) {
        assert!(webhook.is_signed_by(&secret(&server)), "{webhook:?}");
        let mut forged = webhook.clone();
        forged.body = forged.body.to_ascii_uppercase().into();
        assert!(!forged.is_signed_by(&secret(&server)));
        assert_eq!((webhook.path.as_str(), webhook.header("saldo-sequence")), ("/hook", sequence));
        assert_eq!(webhook.header("content-type"), "application/json");
    }
    // A failed or reversed purchase is sent as rejected, with its status.
    buy(&mut client, "R2", "102", Some(&receiver.url("/two"))).await;
    buy(&mut client, "R3", "108", Some(&receiver.url("/three"))).await;
    let webhooks = receiver.receives(6).await;
    let statuses = |path: &str| -> Vec<String> {
        let of = webhooks.iter().filter(|w| w.path == path);
        of.map(|w| {
            let body = w.json();
            format!("{} {}", body["event"].as_str().unwrap(), body["transaction"]["status"])
        })
        .collect()
    };
    assert_eq!(statuses("/two"), ["billing.recharge.rejected \"failed\""]);
    let expected = ["success \"success\"", "approved \"success\"", "rejected \"reversed\""];
    assert_eq!(statuses("/three"), expected.map(|e| format!("billing.recharge.{e}")));
    // Without the flag a loopback address is refused.
    server.stop();
    let server = folder.start();
    let mut client = server.sandbox().await;
    let body = recharge("R4", "101", Some(&receiver.url("/hook")));
    assert_eq!(client.post(RECHARGE, body).await.status(), 422);
    server.stop();
    folder.verify();
}

#[tokio::test]
async fn the_command_line_manages_endpoints_and_replays() {
    let (folder, server, receiver) = with_gone().await;
    let (account, key) = merchant(&folder);
    let mut client = server.sandbox().await;
    // A key pair's own endpoint, and a new secret with an hour in which the old one is valid too.
    folder.saldo_ok(&["webhook", "set", &key, "--url", &receiver.url("/own")]);
    let old = secret(&server);
    let rotated = folder.saldo_json(&["webhook", "rotate", &key, "--keep-old", "1h"]);
    let new = rotated[0]["webhook_secret"].as_str().unwrap().to_owned();
    buy(&mut client, "R1", "101", None).await;
    let webhooks = receiver.receives(2).await;
    assert!(webhooks.iter().all(|w| w.is_signed_by(&old) && w.is_signed_by(&new)));
    // One more endpoint, with a secret of its own, for one event.
    let add = |url: &str, event: &str| {
        let owner = ["--account", &account, "--environment", "sandbox"];
        let endpoint = ["webhook", "add", "--url", url, "--event", event];
        folder.saldo(&[&endpoint[..], &owner].concat())
    };
    let added = add(&receiver.url("/more"), "billing.recharge.rejected");
    let added: Value = serde_json::from_slice(&added.stdout).unwrap();
    let own = added["webhook_secret"].as_str().unwrap();
    let more = added["id"].to_string();
    buy(&mut client, "R2", "102", None).await;
    let webhooks = receiver.receives(4).await;
    let extra = webhooks.iter().find(|w| w.path == "/more").unwrap();
    assert!(extra.is_signed_by(own) && !extra.is_signed_by(&new));
    assert_exit(&add("http://192.168.1.1/", "billing.recharge.rejected"), 1, "");
    let refused = add(&receiver.url("/more"), "billing.recharge.unheard");
    assert!(describe(&refused).contains("billing.recharge.success"), "{}", describe(&refused));
    let listed = folder.saldo_json(&["webhook", "endpoints", "--account", &account, "--json"]);
    assert_eq!(listed.len(), 3, "two pairs and one more: {listed:?}");
    assert!(!listed.iter().any(|e| e.to_string().contains("whsec_")), "no secret is shown twice");
    // A test arrives; a replay has the same id; a removed endpoint receives nothing.
    let test = folder.saldo_json(&["webhook", "test", &more])[0]["webhook"].clone();
    let webhooks = receiver.receives(5).await;
    assert_eq!(
        (webhooks[4].id(), &webhooks[4].json()["event"]),
        (test.as_str().unwrap(), &json!("webhook.test"))
    );
    let first = webhooks[0].id().to_owned();
    folder.saldo_ok(&["webhook", "replay", &first]);
    let webhooks = receiver.receives(6).await;
    assert_eq!((webhooks[5].id(), &webhooks[5].body), (first.as_str(), &webhooks[0].body));
    let shown = no_longer_pending(&folder, &first).await;
    assert_eq!(shown["tries"].as_array().unwrap().len(), 2, "{shown}");
    assert_eq!((&shown["state"], &shown["tries"][1]["says"]), (&json!("taken"), &json!("hello")));
    folder.saldo_ok(&["webhook", "remove", &more]);
    let since = ["--account", &account, "--since", "2026-01-01T00:00:00Z"];
    folder.saldo_ok(&[&["webhook", "replay"], &since[..]].concat());
    let webhooks = receiver.receives(9).await;
    assert!(webhooks[6..].iter().all(|w| w.path == "/own"), "{webhooks:?}");
    let list = describe(&folder.saldo(&["webhook", "list", "--account", &account]));
    assert!(list.contains("billing.recharge.rejected") && !list.contains("whsec_"), "{list}");
    server.stop();
    folder.verify();
}

/// A server with short waits, and a receiver that answers 410 at one address.
async fn with_gone() -> (Folder, Server, Receiver) {
    let folder = Folder::new();
    let server = folder.start_with(&flags(&short_waits(&folder, 1000)));
    let script = |path: &str, _: &str| Answer::Status(if path == "/gone" { 410 } else { 200 });
    (folder, server, Receiver::answering(script).await)
}

#[tokio::test]
async fn a_410_switches_an_endpoint_off_until_it_is_switched_on() {
    let (folder, server, receiver) = with_gone().await;
    let (account, key) = merchant(&folder);
    let mut client = server.sandbox().await;
    folder.saldo_ok(&["webhook", "set", &key, "--url", &receiver.url("/gone")]);
    folder.sql("UPDATE users SET language = 'bn' WHERE email = 'merchant@demo.example'");
    buy(&mut client, "R3", "101", None).await;
    receiver.receives(1).await;
    none_is_pending(&folder, &account).await;
    mail_is_shown(&server, "merchant@demo.example", "ওয়েবহুক বন্ধ করা হয়েছে").await;
    buy(&mut client, "R4", "101", None).await;
    let endpoint = || {
        let listed = folder.saldo_json(&["webhook", "endpoints", "--account", &account, "--json"]);
        listed.into_iter().find(|e| e["id"].as_i64() == key.parse().ok()).unwrap()
    };
    assert!(endpoint()["off_why"].as_str().unwrap().contains("410"), "{}", endpoint());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.count(), 1, "nothing is sent after a 410");
    folder.saldo_ok(&["webhook", "set", &key, "--on", "--url", &receiver.url("/own")]);
    assert_eq!(endpoint()["off_at"], Value::Null);
    for (arguments, message) in [
        (&["webhook", "show", "evt_999_success"][..], "nobody is told anything of it"),
        (&["webhook", "replay", "evt_999_success"], "there is nothing to tell again"),
        (&["webhook", "test", "999"], "There is nothing of this number."),
        (&["webhook", "remove", &key], "a key pair's own"),
    ] {
        assert_exit(&folder.saldo(arguments), 1, message);
    }
    server.stop();
    folder.verify();
}

/// Waits until the demo's page of mails has one to this address with these words: in the language
/// of who gets it.
async fn mail_is_shown(server: &Server, to: &str, words: &str) {
    let mut client = Client::anonymous(&server.address).await;
    for _ in 0..400 {
        let reply = client.get("/demo/mails").await;
        let html = String::from_utf8_lossy(&reply.0.body).into_owned();
        if html.contains(to) && html.contains(words) {
            return;
        }
        // A mail is written by a task of its own.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("no mail to {to} says {words}");
}

/// Waits until no webhook is pending.
async fn none_is_pending(folder: &Folder, account: &str) {
    let list = ["webhook", "list", "--account", account, "--owed", "--json"];
    while !folder.saldo_json(&list).is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An event as `webhook show` prints it, once it is no longer pending.
async fn no_longer_pending(folder: &Folder, id: &str) -> Value {
    loop {
        let shown = folder.saldo_json(&["webhook", "show", id, "--json"]).remove(0);
        if shown["state"] != "owed" {
            return shown;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

const PURCHASES: usize = 5_000;
const KILLS: usize = 20;
const CLIENTS: usize = 8;
/// Percentage of answers that are no success.
const FAILED_PERCENT: usize = 30;
/// Failures of one event at most: the waits after later tries are too long for a test.
const FAILURES_MAX: usize = 5;

/// 10,000 events, a receiver that fails three times out of ten, 20 kills of the server (RELIABILITY
/// P8). The oracle is what the receiver recorded. Waits are divided by 600.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_webhook_is_lost_by_a_failing_receiver_and_twenty_kills() {
    let mut rng = Rng::new("webhooks");
    let folder = Folder::new();
    let settings = short_waits(&folder, 600);
    let flags = [&flags(&settings)[..], &["--balance", "999999999"]].concat();
    let receiver = failing_receiver(&mut rng).await;
    let bought = Arc::new(AtomicUsize::new(0));
    for round in 0..=KILLS {
        let server = folder.start_with(&flags);
        receiver.verify_with(&secret(&server));
        let goal = PURCHASES * (round + 1) / (KILLS + 1);
        let mut clients = JoinSet::new();
        for task in 0..CLIENTS {
            let buyer = Buyer {
                client: server.sandbox().await,
                name: format!("W-{round}-{task}"),
                hook: receiver.url("/hook"),
                gone: receiver.url(&format!("/gone/{round}-{task}")),
                bought: bought.clone(),
                goal,
            };
            clients.spawn(buyer.run());
        }
        if round == KILLS {
            clients.join_all().await;
            finish(&folder, server, &receiver).await;
            continue;
        }
        // Killed while it sells, or a little later, while it sends.
        let began = Instant::now();
        while bought.load(Ordering::SeqCst) < goal {
            assert!(began.elapsed() < Duration::from_secs(60), "there is no load");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(rng.next() % 300)).await;
        server.kill();
        clients.join_all().await;
    }
    folder.verify();
    check(&folder, &receiver.received());
}

async fn failing_receiver(rng: &mut Rng) -> Receiver {
    let state = Mutex::new((rng.fork(), HashMap::<String, usize>::new()));
    Receiver::answering(move |path, id| {
        let mut state = state.lock().unwrap();
        let (rng, failures) = &mut *state;
        if path.starts_with("/gone") {
            return Answer::Status(410);
        }
        let times = failures.entry(id.to_owned()).or_default();
        if rng.below(100) >= FAILED_PERCENT || *times >= FAILURES_MAX {
            return Answer::Status(rng.pick(&[200, 200, 202, 204]));
        }
        *times += 1;
        // Few answers are missing: each occupies a slot for a second.
        match rng.below(20) {
            0 => Answer::Silence,
            1..=5 => Answer::Reset,
            6..=10 => Answer::Status(302),
            11..=14 => Answer::Busy(1),
            _ => Answer::Status(500),
        }
    })
    .await
}

struct Buyer {
    client: Client,
    name: String,
    hook: String,
    /// The address that answers 410.
    gone: String,
    bought: Arc<AtomicUsize>,
    goal: usize,
}

impl Buyer {
    /// Buys until all buyers have reached the goal, or the server is gone.
    async fn run(mut self) {
        for n in 0.. {
            if self.bought.load(Ordering::SeqCst) >= self.goal {
                // Before the last round it buys on, a little slower, until the kill.
                tokio::time::sleep(Duration::from_millis(20)).await;
                if self.goal == PURCHASES {
                    return;
                }
            }
            let is_gone = n == 3 && self.name.ends_with("-0");
            let url = if is_gone { &self.gone } else { &self.hook };
            let body = recharge(&format!("{}-{n}", self.name), "101", Some(url));
            match self.client.send(Method::POST, RECHARGE, body).await {
                Ok(reply) => assert_eq!(reply.status(), 200, "{reply:?}"),
                Err(_) => return,
            }
            self.bought.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Waits until no webhook is pending, and stops the server.
async fn finish(folder: &Folder, server: Server, receiver: &Receiver) {
    let (account, _) = merchant(folder);
    let began = Instant::now();
    let arguments =
        ["webhook", "list", "--account", &account, "--owed", "--limit", "100000", "--json"];
    loop {
        let pending = folder.saldo_json(&arguments);
        if pending.is_empty() {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(150),
            "{} pending, {} received, the first: {}",
            pending.len(),
            receiver.count(),
            pending[0]
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    note(&format!("all sent {:?} after the last purchase", began.elapsed()));
    server.stop();
}

fn check(folder: &Folder, webhooks: &[ReceivedWebhook]) {
    let forged = webhooks.iter().filter(|w| !w.was_verified).count();
    assert_eq!(forged, 0, "signatures that the library refuses");
    let mut first_accepted: HashMap<&str, usize> = HashMap::new();
    let mut repeats = 0;
    for (n, webhook) in webhooks.iter().enumerate().filter(|(_, w)| w.was_accepted) {
        let is_repeat = first_accepted.contains_key(webhook.id());
        repeats += usize::from(is_repeat);
        first_accepted.entry(webhook.id()).or_insert(n);
    }
    let mut after_410 = HashMap::<&str, usize>::new();
    for webhook in webhooks.iter().filter(|w| w.path.starts_with("/gone")) {
        *after_410.entry(&webhook.path).or_default() += 1;
    }
    // A killed server may not have read the answer.
    let twice = after_410.values().filter(|times| **times > 1).count();
    assert!(after_410.len() > KILLS / 2 && twice <= 2, "{after_410:?}");
    let listed = folder.saldo_json(&["purchase", "list", "--limit", "9999999", "--json"]);
    let gone: HashSet<String> = webhooks
        .iter()
        .filter(|w| w.path.starts_with("/gone"))
        .map(|w| w.json()["transaction"]["id"].to_string())
        .collect();
    let mut events = 0;
    for purchase in &listed {
        let id = purchase["id"].to_string();
        assert_eq!(purchase["state"], "delivered", "{purchase}");
        if gone.contains(&id) {
            continue;
        }
        let at = |event: &str| {
            let webhook = format!("evt_{id}_{event}");
            *first_accepted.get(webhook.as_str()).unwrap_or_else(|| {
                let shown = describe(&folder.saldo(&["webhook", "show", &webhook]));
                panic!("{webhook} was not received: {shown}{purchase}")
            })
        };
        assert!(at("success") < at("approved"), "{id}: out of order");
        events += 2;
    }
    let posts = webhooks.len();
    let share = format!("{repeats} of {events} events were received twice or more, {posts} POSTs");
    note(&share);
    assert!(events >= 2 * PURCHASES - 200, "{share}");
    assert!(repeats * 50 <= events, "{share}");
}

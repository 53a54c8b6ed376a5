//! Webhooks from the purchase to the receiver: signed so that a third party verifies it, in order,
//! again on trouble, through kills of the server; and the command line around them.

use crate::harness::{Client, Dice, Folder, RECHARGE, Server, UNLIMITED, note, words};
use crate::inbox::{Post, Receiver, Says};
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

/// The merchant's account and its sandbox pair's number.
fn merchant(folder: &Folder) -> (String, String) {
    let text = std::fs::read_to_string(folder.path("credentials.json")).unwrap();
    let credentials: Value = serde_json::from_str(&text).unwrap();
    let merchant = &credentials["merchant"];
    (merchant["account"].to_string(), merchant["sandbox"]["key"].to_string())
}

fn secret(server: &Server) -> String {
    server.credentials.merchant.sandbox.webhook_secret.clone().unwrap()
}

fn run(folder: &Folder, arguments: &[&str]) {
    let output = folder.saldo(arguments);
    assert!(output.status.success(), "saldo {arguments:?}: {}", words(&output));
}

fn flags(settings: &str) -> Vec<&str> {
    let mut flags = vec![LOOPBACK, "--config", settings];
    flags.extend(UNLIMITED);
    flags
}

/// Settings that divide the waits between tries, so that three days are some minutes.
fn hasty(folder: &Folder, time_divisor: u32) -> String {
    let file = folder.path("saldo.toml");
    std::fs::write(&file, format!("webhook_time_divisor = {time_divisor}\n")).unwrap();
    file.display().to_string()
}

#[tokio::test]
async fn a_purchase_is_told_as_the_document_says() {
    let folder = Folder::new();
    let server = folder.start_with(&[&UNLIMITED[..], &[LOOPBACK]].concat());
    let receiver = Receiver::answering(|_, _| Says::Status(200)).await;
    let mut client = server.sandbox().await;
    let bought = buy(&mut client, "BILL-20260204-0001", "101", Some(&receiver.url("/hook"))).await;
    let posts = receiver.has(2).await;
    let (account, key) = merchant(&folder);
    let id = &bought["billing"]["transactionId"];
    let told = |event: &str| {
        let post = posts.iter().find(|p| p.json()["event"] == event).unwrap();
        let mut body = post.json();
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
        assert_eq!(told(event), expected);
    }
    for (post, sequence) in posts.iter().zip(["1", "2"]) {
        assert!(post.is_signed_by(&secret(&server)), "{post:?}");
        let mut forged = post.clone();
        forged.body = forged.body.to_ascii_uppercase().into();
        assert!(!forged.is_signed_by(&secret(&server)));
        assert_eq!((post.path.as_str(), post.header("saldo-sequence")), ("/hook", sequence));
        assert_eq!(post.header("content-type"), "application/json");
    }
    // What fails, and what is taken back, is told as rejected with its status.
    buy(&mut client, "R2", "102", Some(&receiver.url("/two"))).await;
    buy(&mut client, "R3", "108", Some(&receiver.url("/three"))).await;
    let posts = receiver.has(6).await;
    let statuses = |path: &str| -> Vec<String> {
        let of = posts.iter().filter(|p| p.path == path);
        of.map(|p| {
            let body = p.json();
            format!("{} {}", body["event"].as_str().unwrap(), body["transaction"]["status"])
        })
        .collect()
    };
    assert_eq!(statuses("/two"), ["billing.recharge.rejected \"failed\""]);
    let told = ["success \"success\"", "approved \"success\"", "rejected \"reversed\""];
    assert_eq!(statuses("/three"), told.map(|t| format!("billing.recharge.{t}")));
    // Without the flag this machine is no place to send to.
    server.stop();
    let server = folder.start();
    let mut client = server.sandbox().await;
    let body = recharge("R4", "101", Some(&receiver.url("/hook")));
    assert_eq!(client.post(RECHARGE, body).await.status(), 422);
    server.stop();
    folder.verify();
}

#[tokio::test]
async fn the_command_line_manages_endpoints_and_tells_again() {
    let (folder, server, receiver) = with_gone().await;
    let (account, key) = merchant(&folder);
    let mut client = server.sandbox().await;
    // A key pair's own address, and its secret replaced with an hour in which both count.
    run(&folder, &["webhook", "set", &key, "--url", &receiver.url("/own")]);
    let old = secret(&server);
    let rotated = folder.saldo_json(&["webhook", "rotate", &key, "--keep-old", "1h"]);
    let new = rotated[0]["webhook_secret"].as_str().unwrap().to_owned();
    buy(&mut client, "R1", "101", None).await;
    let posts = receiver.has(2).await;
    assert!(posts.iter().all(|p| p.is_signed_by(&old) && p.is_signed_by(&new)));
    // One more address, with a secret of its own, for one event.
    let add = |url: &str, event: &str| {
        let place = ["--account", &account, "--environment", "sandbox"];
        let what = ["webhook", "add", "--url", url, "--event", event];
        folder.saldo(&[&what[..], &place].concat())
    };
    let added = add(&receiver.url("/more"), "billing.recharge.rejected");
    let added: Value = serde_json::from_slice(&added.stdout).unwrap();
    let own = added["webhook_secret"].as_str().unwrap();
    let more = added["id"].to_string();
    buy(&mut client, "R2", "102", None).await;
    let posts = receiver.has(4).await;
    let extra = posts.iter().find(|p| p.path == "/more").unwrap();
    assert!(extra.is_signed_by(own) && !extra.is_signed_by(&new));
    let refused = add("http://192.168.1.1/", "billing.recharge.rejected");
    assert_eq!(refused.status.code(), Some(1), "{}", words(&refused));
    let refused = add(&receiver.url("/more"), "billing.recharge.unheard");
    assert!(words(&refused).contains("billing.recharge.success"), "{}", words(&refused));
    let listed = folder.saldo_json(&["webhook", "endpoints", "--account", &account, "--json"]);
    assert_eq!(listed.len(), 3, "two pairs and one more: {listed:?}");
    assert!(!listed.iter().any(|e| e.to_string().contains("whsec_")), "no secret is shown twice");
    // A test arrives; what arrived is told again, by the same id; a removed one hears nothing.
    let test = folder.saldo_json(&["webhook", "test", &more])[0]["webhook"].clone();
    let posts = receiver.has(5).await;
    assert_eq!(
        (posts[4].id(), &posts[4].json()["event"]),
        (test.as_str().unwrap(), &json!("webhook.test"))
    );
    let first = posts[0].id().to_owned();
    run(&folder, &["webhook", "replay", &first]);
    let posts = receiver.has(6).await;
    assert_eq!((posts[5].id(), &posts[5].body), (first.as_str(), &posts[0].body));
    let shown = settled(&folder, &first).await;
    assert_eq!(shown["tries"].as_array().unwrap().len(), 2, "{shown}");
    assert_eq!((&shown["state"], &shown["tries"][1]["says"]), (&json!("taken"), &json!("hello")));
    run(&folder, &["webhook", "remove", &more]);
    let since = ["--account", &account, "--since", "2026-01-01T00:00:00Z"];
    run(&folder, &[&["webhook", "replay"], &since[..]].concat());
    let posts = receiver.has(9).await;
    assert!(posts[6..].iter().all(|p| p.path == "/own"), "{posts:?}");
    let list = words(&folder.saldo(&["webhook", "list", "--account", &account]));
    assert!(list.contains("billing.recharge.rejected") && !list.contains("whsec_"), "{list}");
    server.stop();
    folder.verify();
}

/// A server in haste, and a receiver that wants nothing more at one address.
async fn with_gone() -> (Folder, Server, Receiver) {
    let folder = Folder::new();
    let server = folder.start_with(&flags(&hasty(&folder, 1000)));
    let script = |path: &str, _: &str| Says::Status(if path == "/gone" { 410 } else { 200 });
    (folder, server, Receiver::answering(script).await)
}

#[tokio::test]
async fn a_410_switches_an_address_off_until_somebody_switches_it_on() {
    let (folder, server, receiver) = with_gone().await;
    let (account, key) = merchant(&folder);
    let mut client = server.sandbox().await;
    // 410 switches an address off, until somebody switches it on.
    run(&folder, &["webhook", "set", &key, "--url", &receiver.url("/gone")]);
    buy(&mut client, "R3", "101", None).await;
    receiver.has(1).await;
    settled_all(&folder, &account).await;
    buy(&mut client, "R4", "101", None).await;
    let endpoint = || {
        let listed = folder.saldo_json(&["webhook", "endpoints", "--account", &account, "--json"]);
        listed.into_iter().find(|e| e["id"].as_i64() == key.parse().ok()).unwrap()
    };
    assert!(endpoint()["off_why"].as_str().unwrap().contains("410"), "{}", endpoint());
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert_eq!(receiver.count(), 1, "nothing is sent after a 410");
    run(&folder, &["webhook", "set", &key, "--on", "--url", &receiver.url("/own")]);
    assert_eq!(endpoint()["off_at"], Value::Null);
    for (arguments, says) in [
        (&["webhook", "show", "evt_1_success"][..], "nobody is told anything of it"),
        (&["webhook", "replay", "evt_1_success"], "there is nothing to tell again"),
        (&["webhook", "test", "1"], "There is nothing of this number."),
        (&["webhook", "remove", &key], "a key pair's own"),
    ] {
        let output = folder.saldo(arguments);
        assert!(output.status.code() == Some(1), "{arguments:?}: {}", words(&output));
        assert!(words(&output).contains(says), "{}", words(&output));
    }
    server.stop();
    folder.verify();
}

/// Waits until nothing is owed.
async fn settled_all(folder: &Folder, account: &str) {
    let owed = ["webhook", "list", "--account", account, "--owed", "--json"];
    while !folder.saldo_json(&owed).is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An event as it is shown, once nothing of it is owed.
async fn settled(folder: &Folder, id: &str) -> Value {
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
/// Answers that are not a success, of a hundred.
const BAD_OF_100: usize = 30;
/// So often one event is answered badly at most: the last waits are too long to be waited out here.
const BAD_AT_MAX: usize = 5;

/// 10,000 events, a receiver that answers badly three times out of ten, 20 kills of the server
/// (RELIABILITY P8). The oracle is what the receiver wrote down. Waits are divided by 600.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_by_a_bad_receiver_and_twenty_kills() {
    let mut rng = Dice::new("webhooks");
    let folder = Folder::new();
    let settings = hasty(&folder, 600);
    let flags = [&flags(&settings)[..], &["--balance", "999999999"]].concat();
    let receiver = badly_answering(&mut rng).await;
    let bought = Arc::new(AtomicUsize::new(0));
    for round in 0..=KILLS {
        let server = folder.start_with(&flags);
        receiver.knows(&secret(&server));
        let goal = PURCHASES * (round + 1) / (KILLS + 1);
        let mut clients = JoinSet::new();
        for task in 0..CLIENTS {
            let client = server.sandbox().await;
            let name = format!("W-{round}-{task}");
            let urls = [receiver.url("/hook"), receiver.url(&format!("/gone/{round}-{task}"))];
            clients.spawn(keep_buying(client, name, urls, (bought.clone(), goal)));
        }
        if round == KILLS {
            clients.join_all().await;
            finish(&folder, server, &receiver).await;
            continue;
        }
        // Killed while it sells, or a little later, while it tells.
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
    judge(&folder, &receiver.posts());
}

async fn badly_answering(rng: &mut Dice) -> Receiver {
    let state = Mutex::new((rng.fork(), HashMap::<String, usize>::new()));
    Receiver::answering(move |path, id| {
        let mut state = state.lock().unwrap();
        let (rng, bad) = &mut *state;
        if path.starts_with("/gone") {
            return Says::Status(410);
        }
        let times = bad.entry(id.to_owned()).or_default();
        if rng.below(100) >= BAD_OF_100 || *times >= BAD_AT_MAX {
            return Says::Status(rng.pick(&[200, 200, 202, 204]));
        }
        *times += 1;
        // Few that answer nothing: each holds a seat for a second.
        match rng.below(20) {
            0 => Says::Nothing,
            1..=5 => Says::Reset,
            6..=10 => Says::Status(302),
            11..=14 => Says::Busy(1),
            _ => Says::Status(500),
        }
    })
    .await
}

/// Buys until so many were bought, or the server is gone.
async fn keep_buying(
    mut client: Client,
    name: String,
    [hook, gone]: [String; 2],
    (bought, goal): (Arc<AtomicUsize>, usize),
) {
    for n in 0.. {
        if bought.load(Ordering::SeqCst) >= goal {
            // It goes on, a little slower, until it is killed.
            tokio::time::sleep(Duration::from_millis(20)).await;
            if goal == PURCHASES {
                return;
            }
        }
        let url = if n == 3 && name.ends_with("-0") { &gone } else { &hook };
        let body = recharge(&format!("{name}-{n}"), "101", Some(url));
        match client.send(Method::POST, RECHARGE, body).await {
            Ok(reply) => assert_eq!(reply.status(), 200, "{reply:?}"),
            Err(_) => return,
        }
        bought.fetch_add(1, Ordering::SeqCst);
    }
}

/// Waits until nothing is owed any more.
async fn finish(folder: &Folder, server: Server, receiver: &Receiver) {
    let (account, _) = merchant(folder);
    let began = Instant::now();
    let arguments =
        ["webhook", "list", "--account", &account, "--owed", "--limit", "100000", "--json"];
    loop {
        let owed = folder.saldo_json(&arguments);
        if owed.is_empty() {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_secs(150),
            "{} owed, {} came, the first: {}",
            owed.len(),
            receiver.count(),
            owed[0]
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    note(&format!("all told {:?} after the last purchase", began.elapsed()));
    server.stop();
}

fn judge(folder: &Folder, posts: &[Post]) {
    let forged = posts.iter().filter(|p| !p.was_verified).count();
    assert_eq!(forged, 0, "signatures that a third party refuses");
    let mut first_taken: HashMap<&str, usize> = HashMap::new();
    let mut repeats = 0;
    for (n, post) in posts.iter().enumerate().filter(|(_, p)| p.was_taken) {
        let is_repeat = first_taken.contains_key(post.id());
        repeats += usize::from(is_repeat);
        first_taken.entry(post.id()).or_insert(n);
    }
    let mut after_410 = HashMap::<&str, usize>::new();
    for post in posts.iter().filter(|p| p.path.starts_with("/gone")) {
        *after_410.entry(&post.path).or_default() += 1;
    }
    // The answer of one that was killed may not have been heard.
    let twice = after_410.values().filter(|times| **times > 1).count();
    assert!(after_410.len() > KILLS / 2 && twice <= 2, "{after_410:?}");
    let listed = folder.saldo_json(&["purchase", "list", "--limit", "9999999", "--json"]);
    let gone: HashSet<String> = posts
        .iter()
        .filter(|p| p.path.starts_with("/gone"))
        .map(|p| p.json()["transaction"]["id"].to_string())
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
            *first_taken.get(webhook.as_str()).unwrap_or_else(|| {
                let shown = words(&folder.saldo(&["webhook", "show", &webhook]));
                panic!("{webhook} never came: {shown}{purchase}")
            })
        };
        assert!(at("success") < at("approved"), "{id}: out of order");
        events += 2;
    }
    let share = format!("{repeats} of {events} events came more than once, {} posts", posts.len());
    note(&share);
    assert!(events >= 2 * PURCHASES - 200, "{share}");
    assert!(repeats * 50 <= events, "{share}");
}

//! Every number of the sandbox (CONTRACT section 3), sold by one server and delivered by another.

use super::proxy::{Proxy, ProxyAction};
use super::{AddedPeer, Peers, purchases, text};
use crate::support::{Client, Consumer, Keys, RECHARGE, Rng, UNLIMITED, minor, recharge};
use std::time::Duration;
use tokio::task::JoinSet;

/// The last digits of the numbers that have a fixed outcome.
const ENDS: [u32; 12] = [101, 102, 103, 104, 105, 106, 107, 108, 109, 110, 111, 112];
/// Each number so often: with three, each action of the proxy meets about four orders.
const ROUNDS: u32 = 3;
/// The waits for an order that is not found: divided, two seconds and one.
const WAITS: &str = "not_found_final_after_s = 120\nnot_found_gap_s = 60\n";
/// Orders that are on their way at once.
const BUYERS: u32 = 3;

/// All numbers in a random order, in as many parts as there are buyers; the last five digits.
fn endings(rng: &mut Rng) -> Vec<Vec<String>> {
    let mut left: Vec<String> =
        (0..ROUNDS).flat_map(|round| ENDS.map(|ends| format!("{round}4{ends}"))).collect();
    let mut parts = vec![Vec::new(); usize::try_from(BUYERS).unwrap()];
    let mut next = 0;
    while !left.is_empty() {
        let taken = rng.below(left.len());
        parts[next].push(left.swap_remove(taken));
        next = (next + 1) % parts.len();
    }
    parts
}

/// Buys until it is sold: 503 charges nothing and leaves the reference free.
async fn sell(client: &mut Client, ends: &str) {
    for _ in 0..100 {
        let body = recharge(&format!("017123{ends}"), 10, &format!("N-{ends}"));
        let reply = client.try_send(http::Method::POST, RECHARGE, body).await.unwrap();
        if reply.status() == 200 {
            return;
        }
        assert_eq!(reply.status(), 503, "{reply:?}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    panic!("{ends} is not sold");
}

fn assert_mixed(proxy: &Proxy) {
    let counts = proxy.counts();
    for action in [
        ProxyAction::RequestLost,
        ProxyAction::ReplyLost,
        ProxyAction::Doubled,
        ProxyAction::DoubledAnswersSecond,
    ] {
        assert!(counts.get(&action).is_some_and(|count| *count >= 3), "{action:?}: {counts:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_agree_by_irecharge() {
    let mut rng = Rng::new("two servers by irecharge");
    let peers = Peers::new();
    let other = peers.other.start_with(&[&UNLIMITED[..], &["--webhooks-to-loopback"]].concat());
    let server = peers.start_seller();
    let orders = Proxy::start(&other.address, rng.fork()).await;
    let callbacks = Proxy::start(&server.address, rng.fork()).await;
    let keys: &Keys = &other.credentials.merchant.sandbox;
    let secret_path = "4a6f9c1e77";
    peers.connect(&AddedPeer {
        kind: "irecharge",
        url: format!("http://{}/api/billing", orders.address),
        secrets: &[
            ("open_key", &keys.open_key),
            ("secret_key", &keys.secret_key),
            ("callback_path", secret_path),
        ],
        own: format!(
            "webhook_url = \"http://{}/callbacks/other/{secret_path}\"\n\
             {WAITS}",
            callbacks.address
        ),
        paid: ["7000.00", "BDT"],
    });
    let mut buyers = JoinSet::new();
    for part in endings(&mut rng) {
        let mut client = server.live().await;
        buyers.spawn(async move {
            for ends in part {
                sell(&mut client, &ends).await;
            }
        });
    }
    buyers.join_all().await;
    peers.agree(|_| ()).await;
    assert_eq!(purchases(&peers.seller).len(), ENDS.len() * usize::try_from(ROUNDS).unwrap());
    assert_mixed(&orders);
    let [ours, theirs, difference] = peers.float();
    let wallet = other.sandbox().await.balance().await;
    assert_eq!((&ours, difference.as_str()), (&theirs, "0.00"));
    assert_eq!(minor(&ours.into()), wallet);
    server.stop();
    other.stop();
    peers.seller.verify();
    peers.other.verify();
}

/// This dialect tells nobody that a delivered payment was taken back: the difference of the floats
/// shows it, and the seller's people give the money back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_servers_agree_by_rechargely() {
    let mut rng = Rng::new("two servers by rechargely");
    let peers = Peers::new();
    let other = peers.other.start();
    let server = peers.start_seller();
    let orders = Proxy::start(&other.address, rng.fork()).await;
    let customer = &other.credentials.customer;
    peers.connect(&AddedPeer {
        kind: "rechargely",
        url: format!("http://{}/api/wallet/v1", orders.address),
        secrets: &[
            ("username", text(&customer["username"])),
            ("password", text(&customer["password"])),
        ],
        own: format!("peer = \"saldo\"\ncurrency = \"USD\"\n{WAITS}"),
        paid: ["500.00", "USD"],
    });
    let map = ["upstream", "map", "other", "--map", "product", "econet_airtime=1"];
    peers.seller.saldo_ok(&map);
    let mut buyers = JoinSet::new();
    for part in endings(&mut rng) {
        let mut consumer = Consumer::log_in(&server, "live", "").await;
        buyers.spawn(async move {
            for ends in part {
                let (number, request) = (format!("07712{ends}"), format!("N-{ends}"));
                let answer = consumer.buy(1, "1.00", &number, &request).await;
                assert!(answer["status"].is_string(), "{answer}");
            }
        });
    }
    buyers.join_all().await;
    let give_back = |peers: &Peers| {
        let [_, _, difference] = peers.float();
        if difference == "0.00" || difference.starts_with('-') {
            return;
        }
        let is_taken_back = |order: &&serde_json::Value| order["state"] == "refunded";
        for order in purchases(&peers.other).iter().filter(is_taken_back) {
            let number = text(&order["reference"]).trim_start_matches('S').split('-').next();
            let refund = ["purchase", "refund", number.unwrap(), "--by", "Mina"];
            // A second refund is refused.
            let _ = peers.seller.saldo(&[&refund[..], &["--reason", "taken back"]].concat());
        }
    };
    peers.agree(give_back).await;
    assert_eq!(purchases(&peers.seller).len(), ENDS.len() * usize::try_from(ROUNDS).unwrap());
    assert_mixed(&orders);
    let [ours, theirs, difference] = peers.float();
    assert_eq!((&ours, difference.as_str()), (&theirs, "0.00"));
    let mut consumer = Consumer::log_in(&other, "live", "").await;
    let wallets = consumer.client.get("/api/wallet/v1/wallet/balance?currency=USD").await.json();
    assert_eq!(minor(&ours.into()), minor(&wallets[0]["balance"]));
    server.stop();
    other.stop();
    peers.seller.verify();
    peers.other.verify();
}

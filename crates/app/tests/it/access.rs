//! Who is let in after staff changed their mind: allow-lists, proxies, revoked keys, accounts that
//! are suspended or have no subscription.

use crate::harness::{BALANCE, Client, Folder, Keys, RECHARGE, Reply, Server, recharge, words};
use serde_json::Value;
use std::time::Duration;
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(1);

/// A folder, its demo, a connection with the sandbox pair, and that pair's open key.
struct Scene {
    folder: Folder,
    server: Server,
    client: Client,
    open_key: String,
}

impl Scene {
    async fn new(settings: &str) -> Scene {
        let folder = Folder::new();
        let file = folder.path("saldo.toml");
        std::fs::write(&file, settings).unwrap();
        let server = folder.start_with(&["--config", file.to_str().unwrap()]);
        let client = server.sandbox().await;
        let open_key = server.credentials.merchant.sandbox.open_key.clone();
        Scene { folder, server, client, open_key }
    }

    fn staff(&self, arguments: &[&str]) {
        let output = self.folder.saldo(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", words(&output));
    }

    fn allow(&self, ranges: &[&str]) {
        self.staff(&[&["key", "allow", &self.open_key], ranges].concat());
    }

    /// Asks with this `X-Forwarded-For`; empty: without one.
    async fn forwarded(&mut self, hops: &str) -> u16 {
        self.client.set("x-forwarded-for", hops);
        let reply = self.client.get(BALANCE).await;
        if reply.status() != 200 {
            reply.assert_refused(403, "IP_NOT_WHITELISTED");
        }
        reply.status()
    }

    /// The first answer with this status, which must come within a second.
    async fn becomes(&mut self, status: u16) -> Reply {
        let started = Instant::now();
        loop {
            let reply = self.client.get(BALANCE).await;
            if reply.status() == status {
                return reply;
            }
            assert!(started.elapsed() < SOON, "not {status} within a second: {reply:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn account(&self, role: &str) -> String {
        let accounts = self.folder.saldo_json(&["account", "list", "--json"]);
        let account = accounts.iter().find(|account| account["role"] == role).unwrap();
        account["id"].to_string()
    }

    fn end(self) {
        self.server.stop();
        self.folder.verify();
    }
}

#[tokio::test]
async fn an_allow_list_lets_in_whom_it_names() {
    let mut scene = Scene::new("").await;
    for (ranges, status) in [
        (&["10.1.2.3"][..], 403),
        (&["127.0.0.1"], 200),
        (&["10.0.0.0/8", "127.0.0.0/8"], 200),
        (&["127.0.0.2"], 403),
        (&["::1"], 403),
        (&["::ffff:127.0.0.1"], 200),
        (&[], 200),
    ] {
        scene.allow(ranges);
        let reply = scene.client.get(BALANCE).await;
        assert_eq!(reply.status(), status, "{ranges:?}: {reply:?}");
        if status == 403 {
            reply.assert_refused(403, "IP_NOT_WHITELISTED");
            assert_eq!(reply.json()["message"], "Your IP address is not whitelisted");
            let bought = scene.client.post(RECHARGE, recharge("01712345101", 10, "IP-1")).await;
            bought.assert_refused(403, "IP_NOT_WHITELISTED");
        }
        // The list is the pair's: the live one has none.
        assert_eq!(scene.server.live().await.get(BALANCE).await.status(), 200);
    }
    // What cannot be a list changes nothing.
    scene.allow(&["10.1.2.3"]);
    for wrong in ["ten", "0.0.0.0/0", "::/0", "10.1.2.3/33", ""] {
        let output = scene.folder.saldo(&["key", "allow", &scene.open_key, wrong]);
        assert!(!output.status.success(), "{wrong:?}: {}", words(&output));
    }
    assert_eq!(scene.client.get(BALANCE).await.status(), 403);
    assert!(scene.folder.truth().is_empty());
    scene.end();
}

#[tokio::test]
async fn a_trusted_proxy_says_who_calls() {
    let mut scene = Scene::new("trusted_proxies = [\"127.0.0.1\"]\n").await;
    scene.allow(&["10.1.2.3"]);
    assert_eq!(scene.forwarded("10.1.2.3").await, 200);
    // The proxy writes the rightmost; whatever stands left of it the client made up.
    assert_eq!(scene.forwarded("10.1.2.3, 9.9.9.9").await, 403);
    assert_eq!(scene.forwarded("9.9.9.9, 10.1.2.3").await, 200);
    for hops in ["", "9.9.9.9", "10.1.2.3,", "10.1.2.3, unknown", "10.1.2.3:80"] {
        assert_eq!(scene.forwarded(hops).await, 403, "{hops:?}");
    }
    scene.end();
}

#[tokio::test]
async fn without_a_trusted_proxy_nobody_says_who_calls() {
    let mut scene = Scene::new("trusted_proxies = []\n").await;
    scene.allow(&["10.1.2.3"]);
    for hops in ["10.1.2.3", "10.1.2.3, 127.0.0.1", "127.0.0.1, 10.1.2.3"] {
        assert_eq!(scene.forwarded(hops).await, 403, "{hops:?}");
    }
    scene.allow(&["127.0.0.1"]);
    assert_eq!(scene.forwarded("9.9.9.9").await, 200);
    scene.end();
}

#[tokio::test]
async fn a_revoked_pair_is_refused_within_a_second_and_for_good() {
    let mut scene = Scene::new("").await;
    assert_eq!(scene.client.get(BALANCE).await.status(), 200);
    scene.staff(&["key", "revoke", &scene.open_key]);
    scene.becomes(401).await.assert_refused(401, "INVALID_API_KEYS");
    // Nothing that is done to it afterwards revives it.
    scene.allow(&[]);
    scene.client.get(BALANCE).await.assert_refused(401, "INVALID_API_KEYS");
    assert_eq!(scene.server.live().await.get(BALANCE).await.status(), 200);
    let unknown = scene.folder.saldo(&["key", "revoke", "ok_test_AAAAAAAAAAAAAAAAAAAAAAAA"]);
    assert_eq!(unknown.status.code(), Some(1), "{}", words(&unknown));

    scene.server.stop();
    let server = scene.folder.start();
    let reply = server.sandbox().await.get(BALANCE).await;
    reply.assert_refused(401, "INVALID_API_KEYS");
    server.stop();
    scene.folder.verify();
}

#[tokio::test]
async fn a_suspended_account_is_refused_until_it_resumes() {
    let mut scene = Scene::new("").await;
    assert_eq!(scene.client.get(BALANCE).await.status(), 200);
    let merchant = scene.account("merchant");
    scene.staff(&["account", "suspend", &merchant]);
    scene.becomes(403).await.assert_refused(403, "ACCOUNT_INACTIVE");
    let live = scene.server.live().await.get(BALANCE).await;
    live.assert_refused(403, "ACCOUNT_INACTIVE");
    let bought = scene.client.post(RECHARGE, recharge("01712345101", 10, "OFF-1")).await;
    bought.assert_refused(403, "ACCOUNT_INACTIVE");
    scene.staff(&["account", "resume", &merchant]);
    scene.becomes(200).await;
    assert!(scene.folder.truth().is_empty());
    let house = scene.account("house");
    assert!(!scene.folder.saldo(&["account", "suspend", &house]).status.success());
    scene.end();
}

/// The demo's customer has no subscription.
#[tokio::test]
async fn without_a_subscription_payment_is_required() {
    let mut scene = Scene::new("").await;
    let make = ["key", "make", "--environment", "live", "--account"];
    let customer = scene.account("customer");
    let refused = scene.folder.saldo(&[&make[..], &[&customer]].concat());
    assert!(words(&refused).contains("A customer has a login"), "{}", words(&refused));
    let merchant = scene.account("merchant");
    let pair: Value = scene.folder.saldo_json(&[&make[..], &[&merchant]].concat()).remove(0);
    scene.staff(&["account", "unsubscribe", &merchant]);
    let text = |name: &str| pair[name].as_str().unwrap().to_owned();
    let keys =
        Keys { open_key: text("open_key"), secret_key: text("secret_key"), webhook_secret: None };
    scene.client = Client::open(&scene.server.address, &keys).await;
    let refused = scene.client.get(BALANCE).await;
    refused.assert_refused(402, "NO_ACTIVE_SUBSCRIPTION");
    let bought = scene.client.post(RECHARGE, recharge("01712345101", 10, "SUB-1")).await;
    bought.assert_refused(402, "NO_ACTIVE_SUBSCRIPTION");
    scene.staff(&["account", "subscribe", &merchant, "--plan", "starter", "--months", "1"]);
    let let_in = scene.client.get("/api/billing/operators").await;
    assert_eq!(let_in.status(), 200, "{let_in:?}");
    assert_eq!(let_in.header("x-ratelimit-limit"), Some("60"));
    scene.end();
}

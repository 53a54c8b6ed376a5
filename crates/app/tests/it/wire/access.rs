//! Access control that staff change while the server runs: allow-lists, trusted proxies, revoked
//! keys, suspended accounts, accounts without a subscription.

use crate::support::{
    BALANCE, Client, Folder, Keys, RECHARGE, Reply, Server, assert_exit, describe, recharge,
};
use std::time::Duration;
use tokio::time::Instant;

const SOON: Duration = Duration::from_secs(1);

/// A folder, its demo, a connection with the sandbox pair, and that pair's open key.
struct Setup {
    folder: Folder,
    server: Server,
    client: Client,
    open_key: String,
}

impl Setup {
    async fn new(settings: &str) -> Setup {
        let folder = Folder::new();
        let file = folder.path("saldo.toml");
        std::fs::write(&file, settings).unwrap();
        let server = folder.start_with(&["--config", file.to_str().unwrap()]);
        let client = server.sandbox().await;
        let open_key = server.credentials.merchant.sandbox.open_key.clone();
        Setup { folder, server, client, open_key }
    }

    fn allow(&self, ranges: &[&str]) {
        self.folder.saldo_ok(&[&["key", "allow", &self.open_key], ranges].concat());
    }

    /// The status of a request with this `X-Forwarded-For`; empty: without the header.
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
async fn an_allow_list_admits_its_ranges() {
    let mut setup = Setup::new("").await;
    for (ranges, status) in [
        (&["10.1.2.3"][..], 403),
        (&["127.0.0.1"], 200),
        (&["10.0.0.0/8", "127.0.0.0/8"], 200),
        (&["127.0.0.2"], 403),
        (&["::1"], 403),
        (&["::ffff:127.0.0.1"], 200),
        (&[], 200),
    ] {
        setup.allow(ranges);
        let reply = setup.client.get(BALANCE).await;
        assert_eq!(reply.status(), status, "{ranges:?}: {reply:?}");
        if status == 403 {
            reply.assert_refused(403, "IP_NOT_WHITELISTED");
            assert_eq!(reply.json()["message"], "Your IP address is not whitelisted");
            let bought = setup.client.post(RECHARGE, recharge("01712345101", 10, "IP-1")).await;
            bought.assert_refused(403, "IP_NOT_WHITELISTED");
        }
        // The list belongs to the key pair: the live pair has none.
        assert_eq!(setup.server.live().await.get(BALANCE).await.status(), 200);
    }
    // An invalid list changes nothing.
    setup.allow(&["10.1.2.3"]);
    for wrong in ["ten", "0.0.0.0/0", "::/0", "10.1.2.3/33", ""] {
        let output = setup.folder.saldo(&["key", "allow", &setup.open_key, wrong]);
        assert!(!output.status.success(), "{wrong:?}: {}", describe(&output));
    }
    assert_eq!(setup.client.get(BALANCE).await.status(), 403);
    assert!(setup.folder.truth().is_empty());
    setup.end();
}

#[tokio::test]
async fn a_trusted_proxy_names_the_client() {
    let mut setup = Setup::new("trusted_proxies = [\"127.0.0.1\"]\n").await;
    setup.allow(&["10.1.2.3"]);
    assert_eq!(setup.forwarded("10.1.2.3").await, 200);
    // With a port, as some proxies write it.
    assert_eq!(setup.forwarded("10.1.2.3:51234").await, 200);
    assert_eq!(setup.forwarded("\"[::ffff:10.1.2.3]:443\"").await, 200);
    // The proxy appends the rightmost address; the client may have forged the others.
    assert_eq!(setup.forwarded("10.1.2.3, 9.9.9.9").await, 403);
    assert_eq!(setup.forwarded("9.9.9.9, 10.1.2.3").await, 200);
    for hops in ["", "9.9.9.9", "10.1.2.3,", "10.1.2.3, unknown"] {
        assert_eq!(setup.forwarded(hops).await, 403, "{hops:?}");
    }
    setup.end();
}

#[tokio::test]
async fn without_a_trusted_proxy_the_header_is_ignored() {
    let mut setup = Setup::new("trusted_proxies = []\n").await;
    setup.allow(&["10.1.2.3"]);
    for hops in ["10.1.2.3", "10.1.2.3, 127.0.0.1", "127.0.0.1, 10.1.2.3"] {
        assert_eq!(setup.forwarded(hops).await, 403, "{hops:?}");
    }
    setup.allow(&["127.0.0.1"]);
    assert_eq!(setup.forwarded("9.9.9.9").await, 200);
    setup.end();
}

#[tokio::test]
async fn a_revoked_pair_is_refused_within_a_second_and_forever() {
    let mut setup = Setup::new("").await;
    assert_eq!(setup.client.get(BALANCE).await.status(), 200);
    setup.folder.saldo_ok(&["key", "revoke", &setup.open_key]);
    setup.becomes(401).await.assert_refused(401, "INVALID_API_KEYS");
    // No later change activates it again.
    setup.allow(&[]);
    setup.client.get(BALANCE).await.assert_refused(401, "INVALID_API_KEYS");
    assert_eq!(setup.server.live().await.get(BALANCE).await.status(), 200);
    let unknown = setup.folder.saldo(&["key", "revoke", "ok_test_AAAAAAAAAAAAAAAAAAAAAAAA"]);
    assert_exit(&unknown, 1, "");

    setup.server.stop();
    let server = setup.folder.start();
    let reply = server.sandbox().await.get(BALANCE).await;
    reply.assert_refused(401, "INVALID_API_KEYS");
    server.stop();
    setup.folder.verify();
}

#[tokio::test]
async fn a_suspended_account_is_refused_until_it_is_resumed() {
    let mut setup = Setup::new("").await;
    assert_eq!(setup.client.get(BALANCE).await.status(), 200);
    let merchant = setup.account("merchant");
    setup.folder.saldo_ok(&["account", "suspend", &merchant]);
    setup.becomes(403).await.assert_refused(403, "ACCOUNT_INACTIVE");
    let live = setup.server.live().await.get(BALANCE).await;
    live.assert_refused(403, "ACCOUNT_INACTIVE");
    let bought = setup.client.post(RECHARGE, recharge("01712345101", 10, "OFF-1")).await;
    bought.assert_refused(403, "ACCOUNT_INACTIVE");
    setup.folder.saldo_ok(&["account", "resume", &merchant]);
    setup.becomes(200).await;
    assert!(setup.folder.truth().is_empty());
    let house = setup.account("house");
    assert!(!setup.folder.saldo(&["account", "suspend", &house]).status.success());
    setup.end();
}

/// The demo's customer has no subscription (CONTRACT A-41).
#[tokio::test]
async fn without_a_subscription_nothing_is_sold_and_the_rest_answers() {
    let mut setup = Setup::new("").await;
    let make = ["key", "make", "--environment", "live", "--account"];
    let customer = setup.account("customer");
    let refused = setup.folder.saldo(&[&make[..], &[&customer]].concat());
    assert!(describe(&refused).contains("A customer has a login"), "{}", describe(&refused));
    let merchant = setup.account("merchant");
    let pair = setup.folder.saldo_json(&[&make[..], &[&merchant]].concat()).remove(0);
    setup.folder.saldo_ok(&["account", "unsubscribe", &merchant]);
    let keys: Keys = serde_json::from_value(pair).unwrap();
    setup.client = Client::open(&setup.server.address, &keys).await;
    for path in [
        BALANCE,
        "/api/billing/operators",
        "/api/billing/transactions/status/check?reference=SUB-0",
    ] {
        let status = setup.client.get(path).await.status();
        assert!(matches!(status, 200 | 404), "{path} {status}");
    }
    let offers = "/api/billing/recharge/offers?operator=gp&number=01712345101";
    setup.client.get(offers).await.assert_refused(402, "NO_ACTIVE_SUBSCRIPTION");
    // Before the fields are read (CONTRACT A-24).
    for path in [RECHARGE, "/api/billing/service-requests/banking"] {
        let wrong = setup.client.post(path, "{}").await;
        wrong.assert_refused(402, "NO_ACTIVE_SUBSCRIPTION");
    }
    let bought = setup.client.post(RECHARGE, recharge("01712345101", 10, "SUB-1")).await;
    bought.assert_refused(402, "NO_ACTIVE_SUBSCRIPTION");
    let plan = ["--plan", "starter", "--months", "1"];
    setup.folder.saldo_ok(&[&["account", "subscribe", &merchant], &plan[..]].concat());
    let admitted = setup.client.get("/api/billing/operators").await;
    assert_eq!(admitted.status(), 200, "{admitted:?}");
    assert_eq!(admitted.header("x-ratelimit-limit"), Some("60"));
    setup.end();
}

//! Two Saldo servers, one the upstream of the other, with a proxy in between that loses, doubles
//! and delays messages. However it goes, in the end both ledgers tell the same.

mod numbers;
mod proxy;

use crate::support::{Folder, Server, UNLIMITED, assert_exit};
use serde_json::Value;
use std::fs;
use std::time::Duration;
use tokio::time::Instant;

/// Everything is settled by then: some enquiries, and a busy machine.
const SETTLED_WITHIN: Duration = Duration::from_secs(150);

/// Two installations: what one sells, the other delivers.
struct Peers {
    seller: Folder,
    other: Folder,
}

/// The other one as an upstream of the seller.
struct AddedPeer<'a> {
    kind: &'a str,
    url: String,
    secrets: &'a [(&'a str, &'a str)],
    /// The connector's own settings.
    own: String,
    paid: [&'a str; 2],
}

impl Peers {
    fn new() -> Peers {
        Peers { seller: Folder::new(), other: Folder::new() }
    }

    /// Starts the seller; its minutes of waiting for upstreams are seconds.
    fn start_seller(&self) -> Server {
        let settings = self.seller.path("settings.toml");
        let text = "connectors_to_loopback = true\nupstream_time_divisor = 60\n";
        fs::write(&settings, text).unwrap();
        let flags = ["--config", settings.to_str().unwrap()];
        self.seller.start_with(&[&UNLIMITED[..], &flags].concat())
    }

    /// Sets up the upstream `other`, books what was paid to it, and makes it the only way for live
    /// recharges.
    fn connect(&self, peer: &AddedPeer<'_>) {
        let seller = &self.seller;
        let own = seller.path("own.toml");
        fs::write(&own, &peer.own).unwrap();
        let mut arguments: Vec<String> = ["upstream", "add", "--code", "other", "--environment"]
            .into_iter()
            .chain(["live", "--by", "Mina", "--kind", peer.kind, "--url", &peer.url, "--file"])
            .map(str::to_owned)
            .collect();
        arguments.push(own.to_str().unwrap().to_owned());
        for (name, secret) in peer.secrets {
            let file = seller.path(name);
            fs::write(&file, secret).unwrap();
            arguments.extend(["--secret".to_owned(), format!("{name}=@{}", file.display())]);
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        assert_exit(&seller.saldo(&arguments), 0, "can name it");
        let [amount, currency] = peer.paid;
        let paid = ["upstream", "fund", "other", "--amount", amount, "--currency", currency];
        seller.saldo_ok(&[&paid[..], &["--reference", "B-1", "--by", "Mina"]].concat());
        for route in seller.saldo_json(&["route", "list", "--json"]) {
            if route["environment"] == "live" {
                seller.saldo_ok(&["route", "off", &route["id"].to_string()]);
            }
        }
        let route = ["route", "set", "--environment", "live", "--kind", "recharge"];
        seller.saldo_ok(&[&route[..], &["--upstreams", "other"]].concat());
    }

    /// Decides at the other one what waits for people there: half of it so, half of it so.
    fn decide(&self) {
        for purchase in purchases(&self.other) {
            let id = purchase["id"].to_string();
            let is_even = purchase["id"].as_i64().unwrap() % 2 == 0;
            let (verb, flag) = match purchase["state"].as_str().unwrap() {
                "awaiting" if is_even => ("approve", &[][..]),
                "awaiting" => ("reject", &["--reason", "doubtful"][..]),
                "with_staff" if is_even => ("settle", &["--delivered", "--evidence", "seen"][..]),
                "with_staff" => ("settle", &["--not-delivered", "--evidence", "not there"][..]),
                _ => continue,
            };
            // It may have moved on since it was listed.
            let _ = self.other.saldo(&[&["purchase", verb, &id, "--by", "Mina"], flag].concat());
        }
    }

    /// What the two do not agree about yet; none: every purchase has ended at both, in one way.
    fn disagreement(&self) -> Option<String> {
        let (sold, orders) = (purchases(&self.seller), purchases(&self.other));
        for purchase in &sold {
            let number = &purchase["id"];
            let ours = format!("S{number}-{}", purchase["attempts"]);
            let order = orders.iter().find(|order| order["reference"] == *ours);
            let (state, theirs) = (text(&purchase["state"]), order.map(|o| text(&o["state"])));
            let is_one = matches!(
                (state, theirs),
                ("delivered", Some("delivered"))
                    | ("refunded", Some("refunded"))
                    | ("failed", None | Some("failed" | "rejected" | "quoted"))
            );
            // It is taken back, a while after it was delivered.
            let is_taken_back = text(&purchase["recipient"]).ends_with("108");
            if !is_one || (is_taken_back && theirs == Some("delivered")) {
                return Some(format!("{ours} is {state} here and {theirs:?} there"));
            }
        }
        let is_ours = |order: &&Value| {
            let known = |p: &Value| order["reference"] == format!("S{}-1", p["id"]);
            sold.iter().any(known)
        };
        let strange = orders.iter().find(|order| !is_ours(order));
        strange.map(|order| format!("nobody here sold {order}"))
    }

    /// Waits until the two agree. `act` is what the seller's people do meanwhile.
    async fn agree(&self, act: impl Fn(&Peers)) {
        let started = Instant::now();
        loop {
            self.decide();
            act(self);
            let Some(disagreement) = self.disagreement() else { return };
            let is_late = started.elapsed() > SETTLED_WITHIN;
            assert!(!is_late, "{disagreement}\n{}", self.seller_says(&disagreement));
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
    }

    /// What the seller knows of the purchase that a message is about.
    fn seller_says(&self, disagreement: &str) -> String {
        let number = disagreement.trim_start_matches('S').split('-').next().unwrap_or_default();
        crate::support::describe(&self.seller.saldo(&["purchase", "show", number]))
    }

    /// The float as the seller counts it, as the other one says, and the difference.
    fn float(&self) -> [String; 3] {
        let float = self.seller.saldo_json(&["upstream", "balance", "other", "--json"]).remove(0);
        ["ours", "theirs", "difference"].map(|name| text(&float[name]).to_owned())
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// What was sold there; at the other one, all of it on the seller's orders.
fn purchases(folder: &Folder) -> Vec<Value> {
    folder.saldo_json(&["purchase", "list", "--limit", "500", "--json"])
}

//! The connectors against the simulated services: each ending of a number, over a real socket.

use super::world::{Server, connector, order, settings};
use connectors::upstream::simulator::SimulatorSettings;
use connectors::upstream::simulator::wire::{Losses, ServiceSettings, open_service};
use connectors::upstream::{Secret, UpstreamSettings, open};
use domain::{BalanceAnswer, Currency, Money, Order, Outcome, Upstream};
use expect_test::{Expect, expect};
use std::fmt::Write as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

const ENDINGS: [&str; 11] =
    ["101", "102", "103", "104", "106", "107", "108", "109", "110", "111", "112"];

fn service(truth: Option<&Path>) -> ServiceSettings {
    let still = settings("https://unused.example");
    let mut simulator = SimulatorSettings::new(still.clock, still.listener);
    simulator.truth_file = truth.map(Path::to_owned);
    // Nothing changes later.
    simulator.work_duration = Duration::from_secs(3600);
    simulator.contradiction_delay = Duration::from_secs(3600);
    let repeat_window = Duration::from_secs(120);
    ServiceSettings { simulator, repeat_window, float_units: 100, file: String::new() }
}

async fn world(kind: &str, truth: Option<&Path>) -> (Server, Arc<dyn Upstream>) {
    let server = Server::simulated(open_service(kind, service(truth)).unwrap()).await;
    let mut settings = settings(&server.url);
    settings.secrets.insert("open_key".to_owned(), Secret::new("ok_live_1"));
    settings.secrets.insert("secret_key".to_owned(), Secret::new("sk_live_1"));
    let upstream = open(kind, UpstreamSettings { ..settings }).unwrap();
    (server, upstream)
}

fn taka(number: u32, ends: &str) -> Order {
    Order {
        recipient: format!("01712345{ends}"),
        international: Some(format!("+8801712345{ends}")),
        amount: Money::new(1000, Currency::BDT),
        ..order(number)
    }
}

async fn submit(upstream: &Arc<dyn Upstream>, order: &Order) -> String {
    Outcome::from(upstream.submit(order).await).code().to_owned()
}

async fn ask(upstream: &Arc<dyn Upstream>, order: &Order) -> String {
    Outcome::from(upstream.enquire(order).await).code().to_owned()
}

async fn check(kind: &str, expected: Expect) {
    let (_server, upstream) = world(kind, None).await;
    let mut out = String::new();
    for (number, ends) in (1..).zip(ENDINGS) {
        let order = taka(number, ends);
        let (first, then) = (submit(&upstream, &order).await, ask(&upstream, &order).await);
        writeln!(out, "{ends}: {first}, {then}").unwrap();
    }
    expected.assert_eq(&out);
}

/// What a service tells of its costs and of the balance agrees.
#[tokio::test]
async fn a_balance_falls_by_what_the_replies_say() {
    for (kind, currency, cost) in
        [("irecharge", Currency::BDT, 1_050), ("reloadly", Currency::USD, 8)]
    {
        let (_server, upstream) = world(kind, None).await;
        let left = async || match upstream.balance().await {
            BalanceAnswer::Reported(balance) => balance,
            other @ (BalanceAnswer::NotOffered | BalanceAnswer::Unavailable { .. }) => {
                panic!("{other:?}")
            }
        };
        let before = left().await;
        let order = taka(1, "101");
        submit(&upstream, &order).await;
        let said = Outcome::from(upstream.enquire(&order).await).cost();
        assert_eq!(said, Some(Money::new(cost, currency)), "{kind}");
        assert_eq!(before.minor() - left().await.minor(), cost, "{kind}");
    }
}

/// Keys need not look like Saldo's, but both must be there.
#[tokio::test]
async fn irecharge_takes_any_keys_and_wants_both() {
    let server = Server::simulated(open_service("irecharge", service(None)).unwrap()).await;
    let upstream = connector("irecharge", &server.url, "");
    assert!(matches!(upstream.balance().await, BalanceAnswer::Reported(_)));
    let mut settings = settings(&server.url);
    settings.secrets.insert("secret_key".to_owned(), Secret::new(" "));
    let without = open("irecharge", settings).unwrap();
    assert_eq!(submit(&without, &taka(1, "678")).await, "refused");
}

#[tokio::test]
async fn every_ending_at_irecharge() {
    check(
        "irecharge",
        expect![[r#"
            101: delivered, delivered
            102: refused, refused
            103: accepted, accepted
            104: accepted, accepted
            106: unknown, delivered
            107: unknown, not_found
            108: delivered, delivered
            109: unknown, delivered
            110: refused, not_found
            111: unknown, unknown
            112: refused, refused
        "#]],
    )
    .await;
}

#[tokio::test]
async fn every_ending_at_reloadly() {
    check(
        "reloadly",
        expect![[r#"
            101: accepted, delivered
            102: refused, not_found
            103: accepted, accepted
            104: accepted, accepted
            106: unknown, delivered
            107: unknown, not_found
            108: accepted, delivered
            109: unknown, delivered
            110: refused, not_found
            111: unknown, unknown
            112: accepted, refused
        "#]],
    )
    .await;
}

#[tokio::test]
async fn every_ending_at_rechargely() {
    check(
        "rechargely",
        expect![[r#"
            101: delivered, unaskable
            102: refused, unaskable
            103: unaskable, unaskable
            104: unaskable, unaskable
            106: unaskable, unaskable
            107: unaskable, unaskable
            108: delivered, unaskable
            109: unaskable, unaskable
            110: unaskable, unaskable
            111: unaskable, unaskable
            112: refused, unaskable
        "#]],
    )
    .await;
}

#[tokio::test]
async fn a_used_reference_is_refused_also_after_a_restart() {
    for kind in ["irecharge", "reloadly"] {
        let folder = tempfile::tempdir().unwrap();
        let truth = folder.path().join("truth");
        let (_server, upstream) = world(kind, Some(&truth)).await;
        submit(&upstream, &taka(1, "678")).await;
        // Another process of the service and of its client: neither knows what it sent before.
        let (_server, upstream) = world(kind, Some(&truth)).await;
        assert_eq!(ask(&upstream, &taka(1, "678")).await, "delivered", "{kind}");
        let again = submit(&upstream, &taka(1, "678")).await;
        let expected = if kind == "irecharge" { "delivered" } else { "unknown" };
        assert_eq!(again, expected, "{kind}: its check finds the first one, or nothing is known");
        let records = connectors::upstream::simulator::read_truth(&truth).unwrap();
        assert_eq!((records.len(), records[0].repeats, records[0].credited), (1, 1, true));
    }
}

#[tokio::test]
async fn the_float_falls_and_a_number_has_its_window() {
    let (_server, upstream) = world("reloadly", None).await;
    let dollars = |number| Order { amount: Money::new(250, Currency::USD), ..taka(number, "678") };
    assert_eq!(submit(&upstream, &dollars(1)).await, "accepted");
    let left = Money::new(9_750, Currency::USD);
    assert_eq!(upstream.balance().await, BalanceAnswer::Reported(left));
    assert_eq!(submit(&upstream, &dollars(2)).await, "refused_as_repeat");
    assert_eq!(ask(&upstream, &dollars(2)).await, "not_found");
}

#[test]
fn losses_are_as_many_as_wanted_and_repeatable() {
    let losses = Losses { seed: 7, requests_percent: 10, replies_percent: 10 };
    let all: Vec<(bool, bool)> = (0..10_000).map(|number| losses.of(number)).collect();
    let count = |is: fn(&&(bool, bool)) -> bool| all.iter().filter(is).count();
    assert!((900..1100).contains(&count(|(request, _)| *request)));
    assert!((900..1100).contains(&count(|(_, reply)| *reply)));
    assert_eq!(losses.of(17), losses.of(17));
    let none = Losses { requests_percent: 0, replies_percent: 0, ..losses };
    assert!((0..1000).all(|number| none.of(number) == (false, false)));
}

#[test]
fn an_unknown_kind_is_named() {
    let Err(error) = open_service("nobody", service(None)) else { panic!("it opened") };
    assert!(error.to_string().contains("reloadly"), "{error}");
}

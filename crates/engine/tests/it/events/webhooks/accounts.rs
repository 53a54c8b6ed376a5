//! Events about an account: money that was paid in, and a balance that is low.

use super::*;
use domain::{Money, Reason};
use engine::BalanceAlert;

/// The number of an event in its id: `evt_12_paid`.
fn id(webhook: &WebhookPost) -> String {
    webhook.headers.iter().find(|(name, _)| *name == "webhook-id").unwrap().1.clone()
}

impl WebhookWorld {
    async fn deposit(&self, environment: Environment, minor: i64, reference: &str) {
        let note = Note { reference, note: "" };
        let account = self.world.merchant;
        let (engine, amount) = (&self.world.engine, bdt(minor));
        engine.fund(Reason::Deposit, account, environment, amount, note).await.unwrap();
    }

    async fn withdraw(&self, minor: i64, reference: &str) {
        let note = Note { reference, note: "" };
        let (engine, account) = (&self.world.engine, self.world.merchant);
        let (live, amount) = (Environment::Live, bdt(minor));
        engine.fund(Reason::Withdraw, account, live, amount, note).await.unwrap();
    }

    async fn alert(&self, minor: i64) -> Result<(), StaffRefused> {
        let below = Money::new(minor, domain::Currency::BDT);
        let (account, environment) = (self.world.merchant, Environment::Live);
        self.world.engine.set_balance_alert(BalanceAlert { account, environment, below }).await
    }

    /// Looks once which balances have crossed, as workers do when they start; the bodies of all
    /// webhooks that were written so far.
    async fn look(&self) -> Vec<String> {
        let alerts = "SELECT count(*) FROM balance_alerts a JOIN ledger_accounts l
            ON l.account_id = a.account_id AND l.environment = a.environment
            AND l.currency = a.currency AND l.purpose = 'available'
            WHERE (l.balance < a.below) <> (a.is_low = 1)";
        let workers = self.start().await;
        until(|| self.world.database.sql(alerts) == ["0"]).await;
        stop(workers).await;
        self.world.database.sql("SELECT body FROM webhooks ORDER BY purchase_id")
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deposit_is_reported_to_each_address_once() {
    let webhooks = webhook_world().await;
    webhooks.endpoint("https://one.example/", &[]).await;
    webhooks.endpoint("https://two.example/", &["x.paid"]).await;
    webhooks.endpoint("https://TWO.example:443/", &["x.paid"]).await;
    webhooks.endpoint("https://low.example/", &["x.low"]).await;
    webhooks.own_url("https://key.example/").await;
    let other = webhooks.world.account("other").await;
    let revoked = webhooks.world.engine.make_key(webhooks.world.merchant, Environment::Live).await;
    let (revoked, pair) = revoked.unwrap();
    let url = Some("https://revoked.example/".to_owned());
    let change = |endpoint: &mut Endpoint| endpoint.url = url;
    webhooks.world.engine.change_endpoint(EndpointId(revoked.0), change).await.unwrap();
    webhooks.world.engine.revoke_key(&pair.open).await.unwrap();
    let workers = webhooks.start().await;

    webhooks.deposit(Environment::Live, 150_000, "dkt5 a1").await;
    until(|| webhooks.sender.count() == 3).await;
    let sent: Vec<WebhookPost> =
        webhooks.sender.sent.lock().unwrap().iter().map(|(_, post)| post.clone()).collect();
    let mut urls: Vec<&str> = sent.iter().map(|post| post.url.as_str()).collect();
    urls.sort_unstable();
    assert_eq!(urls, ["https://key.example/", "https://one.example/", "https://two.example/"]);
    let body = format!("x.paid {} 1500.00 BDT by manual DKT5A1", webhooks.world.merchant);
    assert!(webhooks.sender.bodies().iter().all(|sent| *sent == body), "{body}");
    // One event, one id, and each is signed.
    assert!(sent.iter().all(|post| id(post) == id(&sent[0]) && id(post).ends_with("paid")));
    let is_signed =
        |(name, value): &(&str, String)| *name == "webhook-signature" && value.starts_with("v1,");
    assert!(sent.iter().all(|post| post.headers.iter().any(is_signed)));
    // What is refused, paid out, booked for somebody else or in the sandbox tells nobody here.
    let note = Note { reference: "DKT5A1", note: "" };
    let (engine, live) = (&webhooks.world.engine, Environment::Live);
    let again = engine.fund(Reason::Deposit, webhooks.world.merchant, live, bdt(5), note).await;
    assert!(matches!(again, Err(StaffRefused::PaymentKnown(_))), "{again:?}");
    webhooks.withdraw(500, "W1").await;
    webhooks.deposit(Environment::Sandbox, 500, "S1").await;
    let note = Note { reference: "O1", note: "" };
    engine.fund(Reason::Deposit, other, live, bdt(500), note).await.unwrap();
    webhooks.deposit(Environment::Live, 700, "D2").await;
    until(|| webhooks.sender.count() == 6).await;
    until(|| webhooks.pending() == 0).await;
    assert!(webhooks.sender.bodies()[3..].iter().all(|body| body.contains("7.00 BDT")));
    stop(workers).await;
    webhooks.world.assert_sound().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_low_balance_is_reported_once_for_each_crossing() {
    let webhooks = webhook_world().await;
    webhooks.endpoint("https://low.example/", &["x.low"]).await;
    webhooks.alert(500_000).await.unwrap();
    assert_eq!(webhooks.look().await, [""; 0], "it is not low");
    webhooks.withdraw(START - 500_000, "W1").await;
    assert_eq!(webhooks.look().await, [""; 0], "at the amount it is not below");
    webhooks.withdraw(1, "W2").await;
    let body = format!("x.low {} 4999.99 BDT below 5000.00 BDT", webhooks.world.merchant);
    assert_eq!(webhooks.look().await, [body.as_str()]);
    webhooks.withdraw(100, "W3").await;
    assert_eq!(webhooks.look().await.len(), 1, "lower still, and after a restart");
    webhooks.deposit(Environment::Live, 101, "D1").await;
    assert_eq!(webhooks.look().await.len(), 1);
    webhooks.withdraw(2, "W4").await;
    assert_eq!(webhooks.look().await.len(), 2, "it was back, and is below again");
    // A lower amount is not crossed; a higher one is, if the balance is below it.
    webhooks.alert(400_000).await.unwrap();
    assert_eq!(webhooks.look().await.len(), 2);
    webhooks.alert(600_000).await.unwrap();
    assert_eq!(webhooks.look().await.len(), 3);
    assert!(webhooks.alert(-1).await.is_err());
    webhooks.alert(0).await.unwrap();
    let alerts = webhooks.world.engine.balance_alerts(webhooks.world.merchant).unwrap();
    assert_eq!(alerts, []);
    webhooks.withdraw(100, "W5").await;
    assert_eq!(webhooks.look().await.len(), 3);
    webhooks.world.assert_sound().await;
}

/// Several workers look at the same moment: one tells.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crossing_that_many_see_is_reported_once() {
    let webhooks = webhook_world().await;
    webhooks.endpoint("https://low.example/", &["x.low"]).await;
    webhooks.alert(START + 1).await.unwrap();
    let (a, b, c) = tokio::join!(webhooks.start(), webhooks.start(), webhooks.start());
    until(|| webhooks.sender.count() > 0).await;
    until(|| webhooks.pending() == 0).await;
    // Each has looked once when it ends.
    for workers in [a, b, c] {
        stop(workers).await;
    }
    assert_eq!(webhooks.sender.count(), 1);
    assert_eq!(webhooks.world.database.sql("SELECT count(*) FROM webhooks"), ["1"]);
}

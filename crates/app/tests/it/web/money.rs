//! Commission paid out, webhooks sent again, and a form that waits for the password.

use super::person::{Person, hidden, text};
use crate::support::{Folder, RECHARGE, Server, recharge};

async fn owner(server: &Server) -> Person {
    let merchant = &server.credentials.merchant;
    Person::log_in(server, &merchant.email, &merchant.password).await
}

#[tokio::test]
async fn commission_is_paid_out_by_hand_once_a_day_and_by_a_rule() {
    let folder = Folder::new();
    let server = folder.start();
    let mut client = server.sandbox().await;
    client.post(RECHARGE, recharge("01712345101", 10, "PAY-1")).await;
    assert_eq!(client.balance().await, 698_950);
    let mut person = owner(&server).await;
    let page = "/dashboard/sandbox/commission";
    let html = person.page(page).await;
    assert!(html.contains("৳1.50") && html.contains("only by hand"), "{html}");
    let currency = [("currency", "BDT")];
    let paid = person.submit(page, &format!("{page}/pay"), &currency).await;
    assert_eq!(paid.header("location"), Some(&*format!("{page}?said=paid-out")));
    assert_eq!(client.balance().await, 699_100);
    let html = person.page(page).await;
    assert!(html.contains("Commission paid out"), "{html}");
    // Earned again on the same day: it waits.
    client.post(RECHARGE, recharge("01712345101", 11, "PAY-2")).await;
    let before = client.balance().await;
    let again = person.submit(page, &format!("{page}/pay"), &currency).await;
    assert_eq!(again.header("location"), Some(&*format!("{page}?said=paid-before")));
    assert_eq!(client.balance().await, before);
    // The rule, in digits of either kind; what is no amount is said at its field.
    let rule = format!("{page}/rule");
    let from = |least| [("currency", "BDT"), ("when", "from"), ("least", least)];
    let wrong = person.submit(page, &rule, &from("1,5")).await;
    assert_eq!(wrong.status(), 422);
    assert!(text(&wrong).contains("id=\"e-least\""), "{}", text(&wrong));
    assert_eq!(person.submit(page, &rule, &from("৫০০")).await.status(), 303);
    assert!(person.page(page).await.contains("from ৳500.00 on"));
    let daily = [("currency", "BDT"), ("when", "daily")];
    assert_eq!(person.submit(page, &rule, &daily).await.status(), 303);
    let least = folder.sql("SELECT least FROM commission_rules");
    assert_eq!(least, ["1"]);
    // A currency that the account has no wallet in is not there.
    let other = person.submit(page, &format!("{page}/pay"), &[("currency", "USD")]).await;
    assert_eq!(other.status(), 404);
    // The act is in the record, with who did it.
    let acts = folder.sql("SELECT count(*) FROM acts WHERE act = 'request_money'");
    assert_eq!(acts, ["3"]);
    person.speak("bn");
    assert!(person.page(page).await.contains("কমিশন তোলা"));
    server.stop();
    // A developer sees no money and pays nothing out.
    folder.sql("UPDATE users SET role = 'developer' WHERE email = 'merchant@demo.example'");
    let server = folder.start();
    let mut person = owner(&server).await;
    let refused = person.submit("/dashboard/sandbox", &format!("{page}/pay"), &currency).await;
    assert_eq!(refused.status(), 403);
    server.stop();
}

#[tokio::test]
async fn below_which_amount_the_balance_is_low_is_set_on_the_statement() {
    let folder = Folder::new();
    let server = folder.start();
    let mut person = owner(&server).await;
    let page = "/dashboard/live/statement";
    assert!(person.page(page).await.contains("Low balance"));
    let set = |below| [("currency", "BDT"), ("below", below)];
    let wrong = person.submit(page, page, &set("1,5")).await;
    assert_eq!(wrong.status(), 422);
    assert!(text(&wrong).contains("id=\"e-below\""), "{}", text(&wrong));
    assert_eq!(person.submit(page, page, &set("৫০০")).await.status(), 303);
    assert!(person.page(page).await.contains("value=\"500.00\""));
    let below = || folder.sql("SELECT environment || ' ' || below FROM balance_alerts");
    assert_eq!(below(), ["live 50000"]);
    assert_eq!(
        person.submit(page, page, &[("currency", "USD"), ("below", "1")]).await.status(),
        404
    );
    assert_eq!(person.submit(page, page, &set("")).await.status(), 303);
    assert_eq!(below(), [""; 0]);
    server.stop();
}

#[tokio::test]
async fn deliveries_that_match_are_sent_again_in_the_background_and_counted() {
    let folder = Folder::new();
    let server = folder.start();
    let mut client = server.sandbox().await;
    for n in 1..=3 {
        client.post(RECHARGE, recharge("01712345101", 10 + n, &format!("HOOK-{n}"))).await;
    }
    let account = folder.sql("SELECT account_id FROM users WHERE email = 'merchant@demo.example'");
    // Deliveries that were given up: of this account, and of another one.
    let deliveries = |account: &str, count: usize| {
        for n in 1..=count {
            folder.sql(&format!(
                "INSERT INTO webhooks (purchase_id, account_id, environment, endpoint_id, event,
                     sequence, url, body, at, state, owed_since, tries, refusals, epoch)
                 VALUES ({n}, {account}, 'sandbox', 77, 'billing.recharge.success', 1,
                     'https://hooks.example.org/x', '{{}}', {n}, 'given_up', 1, 5, 0, 0)"
            ));
        }
    };
    deliveries(&account[0], 5);
    deliveries("1", 2);
    let mut person = owner(&server).await;
    let page = "/dashboard/sandbox/webhooks";
    let wrong = [("outcome", "given_up"), ("from", "yesterday")];
    let wrong = person.submit(page, &format!("{page}/replays"), &wrong).await;
    assert_eq!(wrong.status(), 422);
    assert!(text(&wrong).contains("id=\"e-from\""), "{}", text(&wrong));
    let matching = [("outcome", "given_up"), ("event", "billing.recharge.success"), ("from", "")];
    let begun = person.submit(page, &format!("{page}/replays"), &matching).await;
    assert_eq!(begun.status(), 303, "{}", text(&begun));
    let ended = loop {
        let html = person.page(page).await;
        if html.contains("has ended") {
            break html;
        }
        // It is sent again by a worker.
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    assert!(ended.contains("5 were sent again"), "{ended}");
    let others = "SELECT count(*) FROM webhooks WHERE account_id = 1 AND state = 'given_up'";
    assert_eq!(folder.sql(others), ["2"]);
    let own = format!(
        "SELECT count(*) FROM webhooks WHERE account_id = {} AND state = 'given_up'
             AND epoch = 0",
        account[0]
    );
    assert_eq!(folder.sql(&own), ["0"]);
    // An endpoint that is not the account's is not there.
    let strangers = format!("{page}/999999/replay");
    let reply = person.submit(page, &strangers, &[("since", "2026-01-01")]).await;
    assert_eq!(reply.status(), 404);
    server.stop();
}

#[tokio::test]
async fn a_form_that_needs_a_fresh_password_waits_and_goes_on() {
    let folder = Folder::new();
    let server = folder.start();
    let mut person = owner(&server).await;
    let people = "/dashboard/people";
    let csrf = hidden(&person.page(people).await, "csrf");
    folder.sql("UPDATE sessions SET proved_at = NULL");
    let invite = format!("{people}/invite");
    let fields = [("csrf", &*csrf), ("email", "dev@example.org"), ("role", "developer")];
    let asked = loop {
        let reply = person.post(&invite, &[("csrf", &csrf), ("email", "x"), ("role", "y")]).await;
        if reply.status() == 200 && text(&reply).contains("name=\"kept\"") {
            break person.post(&invite, &fields).await;
        }
        // The session is cached for a second.
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let html = text(&asked).to_owned();
    assert!(html.contains("is kept for five minutes"), "{html}");
    let kept = hidden(&html, "kept");
    assert!(!html.contains("dev@example.org") && !kept.is_empty(), "{html}");
    let prove = "/dashboard/prove";
    let send = |secret: &str, kept: &str| {
        [
            ("csrf", csrf.clone()),
            ("secret", secret.to_owned()),
            ("next", people.to_owned()),
            ("kept", kept.to_owned()),
        ]
    };
    let as_fields =
        |all: &[(&'static str, String)]| -> Vec<(&'static str, String)> { all.to_vec() };
    let post = async |person: &mut Person, all: Vec<(&'static str, String)>| {
        let fields: Vec<(&str, &str)> = all.iter().map(|(n, v)| (*n, v.as_str())).collect();
        person.post(prove, &fields).await
    };
    // A wrong password: the form still waits.
    let wrong = post(&mut person, as_fields(&send("not this one", &kept))).await;
    assert_eq!(hidden(text(&wrong), "kept"), kept);
    let password = server.credentials.merchant.password.clone();
    let done = post(&mut person, as_fields(&send(&password, &kept))).await;
    assert_eq!(done.status(), 303, "{}", text(&done));
    assert!(done.header("location").unwrap().ends_with("said=invited"), "{done:?}");
    assert!(person.page(people).await.contains("dev@example.org"));
    // What is none of ours, or another session's, goes nowhere.
    let forged = post(&mut person, as_fields(&send(&password, "Zm9yZ2Vk"))).await;
    assert!(forged.header("location").unwrap().ends_with("said=form-too-old"), "{forged:?}");
    let mut other = owner(&server).await;
    let other_csrf = hidden(&other.page(people).await, "csrf");
    let mut foreign = send(&password, &kept);
    foreign[0].1 = other_csrf;
    let foreign = post(&mut other, as_fields(&foreign)).await;
    assert!(foreign.header("location").unwrap().ends_with("said=form-too-old"), "{foreign:?}");
    server.stop();
}

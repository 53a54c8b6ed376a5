//! The log of requests: what is kept, without secrets; whom it shows; what is run again.

use super::browser::Browser;
use super::person::{Person, text};
use super::rights::everybody;
use crate::support::{BALANCE, Client, Folder, Keys, RECHARGE, Server, recharge};
use domain::acts::{Grant, Holder, grant, rule};
use domain::{Act, Environment};
use serde_json::Value;
use web::AreaKind;

const LOG: &str = "/dashboard/sandbox/requests";

async fn owner(server: &Server) -> Person {
    let merchant = &server.credentials.merchant;
    Person::log_in(server, &merchant.email, &merchant.password).await
}

/// The log once it shows this: it is written a moment after the answer.
async fn log_with(person: &mut Person, query: &str, word: &str) -> String {
    for _ in 0..400 {
        let html = person.page(&format!("{LOG}{query}")).await;
        if html.contains(word) && !listed(&html).is_empty() {
            return html;
        }
        // What is waited for is written by another task.
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("the log never shows {word}");
}

/// The addresses of the requests that a page lists, latest first.
fn listed(html: &str) -> Vec<String> {
    let begin = format!("href=\"{LOG}/");
    let parts = html.split(&begin).skip(1);
    parts.map(|part| format!("{LOG}/{}", part.split('"').next().unwrap())).collect()
}

#[tokio::test]
async fn requests_are_listed_by_their_filters_and_errors_are_grouped() {
    let folder = Folder::new();
    let server = folder.start();
    let mut client = server.sandbox().await;
    client.post(RECHARGE, recharge("01712345101", 10, "LOG-1")).await;
    for _ in 0..2 {
        client.post(RECHARGE, recharge("01712345101", 10, "LOG-1")).await;
    }
    client.get(&format!("{BALANCE}?currency=BDT&pin=4711")).await;
    client.post(RECHARGE, "{\"pin\":\"8822\"").await;
    let mut mixed = Client::open(
        &server.address,
        &Keys {
            secret_key: server.credentials.merchant.live.secret_key.clone(),
            ..server.credentials.merchant.sandbox.clone()
        },
    )
    .await;
    mixed.get(BALANCE).await.assert_refused(401, "INVALID_API_KEYS");
    let mut person = owner(&server).await;
    let html = log_with(&mut person, "", "INVALID_JSON").await;
    // Wrong keys fill nobody's log.
    assert_eq!(listed(&html).len(), 5, "{html}");
    assert!(!html.contains("INVALID_API_KEYS"), "{html}");
    let groups = html.split("</table>").next().unwrap();
    assert!(groups.contains("DUPLICATE_REFERENCE") && groups.contains(">2<"), "{groups}");
    for (query, count) in [
        ("?class=2", 2),
        ("?class=4", 3),
        ("?code=DUPLICATE_REFERENCE", 2),
        ("?path=%2Fapi%2Fbilling%2Fwallet%2Fbalance", 1),
        ("?key=999", 0),
        ("?from=2999-01-01", 0),
        ("?to=2999-01-01&class=2", 2),
    ] {
        let html = person.page(&format!("{LOG}{query}")).await;
        assert_eq!(listed(&html).len(), count, "{query}: {html}");
    }
    assert_eq!(person.get(&format!("{LOG}?from=yesterday")).await.status(), 422);
    // The last day counts whole; a day is that of the account's zone, six hours before UTC's.
    let days = "SELECT id / 1000000 + 21600 FROM requests ORDER BY id";
    let days = folder.sql(days).into_iter().map(|seconds| {
        let at = jiff::Timestamp::from_second(seconds.parse().unwrap()).unwrap();
        at.to_string()[..10].to_owned()
    });
    let days: Vec<String> = days.collect();
    let query = format!("?from={}&to={}", days[0], days[4]);
    let html = person.page(&format!("{LOG}{query}")).await;
    assert_eq!(listed(&html).len(), 5, "{query}: {html}");
    // One with its bodies; secrets are nowhere, not in the database either.
    let balance = format!("{LOG}?class=2&path=%2Fapi%2Fbilling%2Fwallet%2Fbalance");
    let one = listed(&person.page(&balance).await).remove(0);
    let html = person.page(&one).await;
    assert!(html.contains("pin=***") && html.contains("6989.50"), "{html}");
    let stored = folder.sql("SELECT query || sent || answered FROM requests").join("\n");
    assert!(stored.contains("LOG-1") && stored.contains("pin=***"), "{stored}");
    for secret in ["4711", "8822", "sk_test_"] {
        assert!(!stored.contains(secret), "{secret}: {stored}");
    }
    let bangla = {
        person.speak("bn");
        person.page(LOG).await
    };
    assert!(bangla.contains("<h1>অনুরোধ</h1>"), "{bangla}");
    server.stop();
}

#[tokio::test]
async fn a_request_is_run_again_in_the_sandbox_and_is_nobody_elses() {
    let folder = Folder::new();
    let server = folder.start();
    let mut client = server.sandbox().await;
    client.post(RECHARGE, recharge("01712345101", 10, "AGAIN-1")).await;
    let mut live = server.live().await;
    live.get(BALANCE).await;
    let mut person = owner(&server).await;
    let one = listed(&log_with(&mut person, "", "normal").await).remove(0);
    let html = person.page(&one).await;
    assert!(html.contains("AGAIN-1") && html.contains("Run again"), "{html}");
    let again = person.submit(&one, &format!("{one}/again"), &[]).await;
    assert_eq!(again.status(), 200);
    let html = text(&again);
    assert!(html.contains("Answer of this run") && html.contains("&#34;again-"), "{html}");
    // Sold a second time, under another reference.
    assert_eq!(client.balance().await, 697_900);
    // What ran is in the log too, as run from a page.
    log_with(&mut person, "", "from a page").await;
    // A request of the live environment is not run, and not shown in the sandbox.
    let live_log = "/dashboard/live/requests";
    let mut ids = Vec::new();
    for _ in 0..400 {
        ids = folder.sql("SELECT id FROM requests WHERE environment = 'live'");
        if !ids.is_empty() {
            break;
        }
        // Written by another task.
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let id = &ids[0];
    assert!(!person.page(&format!("{live_log}/{id}")).await.contains("Run again"));
    for (method_is_get, path) in [
        (true, format!("{LOG}/{id}")),
        (true, format!("{LOG}/7")),
        (true, format!("{LOG}/x")),
        (false, format!("{LOG}/{id}/again")),
    ] {
        let reply = match method_is_get {
            true => person.get(&path).await,
            false => person.submit(&one, &path, &[]).await,
        };
        assert_eq!(reply.status(), 404, "{path}");
    }
    // Another account's owner gets the same answer.
    let mut other = Browser::open(&server).await;
    other.get("/dashboard/sign-up").await;
    let password = "a quiet river 7";
    let fields = [("business", "River"), ("email", "river@example.org"), ("password", password)];
    assert_eq!(other.post("/dashboard/sign-up", &fields).await.status, 303);
    assert_eq!(other.get(&one).await.status, 404);
    assert_eq!(other.post(&format!("{one}/again"), &[]).await.status, 404);
    assert_eq!(listed(&other.get(LOG).await.html).len(), 0);
    server.stop();
}

/// Its account's people see it whole; nobody else sees it over HTTP, least of all those of the
/// staff who may see numbers masked only (they read it by no page of theirs).
#[tokio::test]
async fn the_log_is_whole_for_its_own_people_and_closed_to_staff() {
    let folder = Folder::new();
    let server = folder.start();
    let mut client = server.sandbox().await;
    client.post(RECHARGE, recharge("01712345101", 10, "ROLE-1")).await;
    let mut person = owner(&server).await;
    let one = listed(&log_with(&mut person, "", "normal").await).remove(0);
    let (mut whole, mut closed) = (Vec::new(), Vec::new());
    for (holder, area, mut browser) in everybody(&folder, &server).await {
        for path in [LOG, &*one] {
            let page = browser.get(path).await;
            if area == AreaKind::Dashboard {
                assert_eq!(page.status, 200, "{holder:?} {path}");
            } else {
                assert_eq!(page.status, 303, "{holder:?} {path}");
                assert!(page.location.starts_with("/dashboard/log-in"), "{}", page.location);
                assert!(!page.html.contains("1712345101"), "{holder:?} {path}: {}", page.html);
            }
        }
        let again = format!("{one}/again");
        if area != AreaKind::Dashboard {
            closed.push(holder);
            assert_eq!(browser.post(&again, &[]).await.status, 303, "{holder:?}");
            continue;
        }
        whole.push(holder);
        let html = browser.get(&one).await.html;
        assert!(
            html.contains("01712345101") && !html.contains("017******01"),
            "{holder:?}: {html}"
        );
        // Whoever may not buy is offered no second run, and gets none.
        let may_buy = grant(Act::BuyInSandbox, holder, Environment::Sandbox) == Grant::Yes;
        assert_eq!(html.contains("Run again"), may_buy, "{holder:?}: {html}");
        let status = if may_buy { 200 } else { 403 };
        assert_eq!(browser.post(&again, &[]).await.status, status, "{holder:?}");
    }
    whole.sort_by_key(|holder| holder.code());
    assert_eq!(whole, [Holder::Developer, Holder::Finance, Holder::Owner]);
    for masked in rule(Act::SeePurchases).masked {
        assert!(closed.contains(masked), "{masked:?}: {closed:?}");
    }
    server.stop();
}

/// A run on the documents' page leads into the log.
#[tokio::test]
async fn samples_carry_the_readers_keys_and_a_run_leads_into_the_log() {
    let folder = Folder::new();
    let server = folder.start();
    let mut person = Person::anonymous(&server).await;
    let html = person.page("/docs/irecharge").await;
    assert!(html.contains("sk_test_YOUR_SECRET_KEY"), "{html}");
    let mut person = owner(&server).await;
    let made = person.submit("/dashboard/sandbox/keys", "/dashboard/sandbox/keys", &[]).await;
    assert_eq!(made.status(), 200);
    let reply = person.get("/docs/irecharge").await;
    let keys = &server.credentials.merchant.sandbox;
    let html = text(&reply);
    let own = folder.sql("SELECT count(*) FROM key_secrets").remove(0);
    assert_ne!(own, "0");
    assert!(!html.contains("YOUR_SECRET_KEY") && html.contains("sk_test_"), "{html}");
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    // The pair in the samples works.
    let after = |header: &str| {
        let (_, rest) = html.split_once(&format!("{header}: ")).expect(html);
        let end = |c: char| c != '_' && !c.is_ascii_alphanumeric();
        rest.split(end).next().unwrap().to_owned()
    };
    let pair = Keys {
        open_key: after("X-Open-Key"),
        secret_key: after("X-Authorization"),
        ..keys.clone()
    };
    let mut client = Client::open(&server.address, &pair).await;
    assert_eq!(client.get(BALANCE).await.status(), 200);
    let fields = [("operation", "balance")];
    let run = person.submit("/docs/run", "/docs/run", &fields).await;
    let html = text(&run);
    let (_, rest) = html.split_once(&format!("href=\"{LOG}/")).expect(html);
    let one = format!("{LOG}/{}", rest.split('"').next().unwrap());
    for _ in 0..400 {
        if person.get(&one).await.status() == 200 {
            break;
        }
        // Written by another task.
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    assert!(person.page(&one).await.contains("/api/billing/balance"));
    // Whoever may not manage keys sees no secret.
    folder.sql("UPDATE users SET role = 'finance' WHERE email = 'merchant@demo.example'");
    server.stop();
    let server = folder.start();
    let mut person = owner(&server).await;
    let html = person.page("/docs/irecharge").await;
    assert!(html.contains("YOUR_SECRET_KEY"), "{html}");
    server.stop();
}

/// An account's log is bounded, and old requests go.
#[tokio::test]
async fn an_answer_is_the_same_with_the_log() {
    let folder = Folder::new();
    let server = folder.start();
    let mut client = server.sandbox().await;
    let bought: Value = client.post(RECHARGE, recharge("01712345101", 10, "SAME-1")).await.json();
    assert_eq!(bought["billing"]["status"], "success");
    // A body that comes without keys is not read into a log, and a long one is read all the same.
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(20_000));
    let refused = client.post(RECHARGE, long).await;
    assert_eq!(refused.status(), 422, "{refused:?}");
    let mut person = owner(&server).await;
    log_with(&mut person, "?class=4", "422").await;
    let kept = folder.sql("SELECT sent FROM requests WHERE status = 422").remove(0);
    assert_eq!(kept, format!("… {} bytes", 20_000 + "{\"x\":\"\"}".len()));
    server.stop();
}

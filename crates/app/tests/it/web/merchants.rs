//! Sign-up of merchants, approval, people, a forgotten password, the demo's mails.

use super::browser::{Browser, code_of, mails};
use crate::support::{BANKING, Client, Folder, OFFER, RECHARGE, STATUS, Server, describe};
use serde_json::Value;

const PASSWORD: &str = "a quiet river 7";

async fn sign_up(server: &Server, email: &str) -> Browser {
    let mut browser = Browser::open(server).await;
    browser.get("/dashboard/sign-up").await;
    let fields = [("business", "River Telecom"), ("email", email), ("password", PASSWORD)];
    let page = browser.post("/dashboard/sign-up", &fields).await;
    assert_eq!(
        (page.status, page.location.as_str()),
        (303, "/dashboard/sandbox/first"),
        "{}",
        page.html
    );
    browser
}

/// Clicks and fields as somebody who has never seen Saldo makes them.
#[tokio::test]
async fn from_the_start_to_a_recharge_it_is_few_clicks_and_fields() {
    let folder = Folder::new();
    let server = folder.start();
    let mut browser = Browser::open(&server).await;
    let start = browser.get("/").await;
    assert!(start.html.contains("href=\"/dashboard/sign-up\""));
    let mut clicks = 1;
    let form = browser.get("/dashboard/sign-up").await;
    // What is empty must be typed; the country is chosen already.
    let typed = ["business", "email", "password"];
    assert!(typed.iter().all(|name| form.field(name).is_empty()));
    assert_eq!(form.html.matches("<input id=\"f-").count(), typed.len());
    let fields = [("business", "River"), ("email", "new@example.org"), ("password", PASSWORD)];
    clicks += 1;
    let page = browser.post("/dashboard/sign-up", &fields).await;
    let first = browser.get(&page.location).await;
    assert!(first.html.contains("ok_test_") && first.html.contains("sk_test_"), "{}", first.html);
    let sent = ["number", "amount", "reference"].map(|name| (name, first.field(name)));
    assert!(sent.iter().all(|(_, value)| !value.is_empty()), "{sent:?}");
    let operator = first.html.split("<option value=\"").nth(1).unwrap();
    let mut sent: Vec<(&str, &str)> = sent.iter().map(|(n, v)| (*n, v.as_str())).collect();
    sent.push(("operator", operator.split('"').next().unwrap()));
    clicks += 1;
    let bought = browser.post("/dashboard/sandbox/first", &sent).await;
    assert_eq!(bought.status, 303, "{}", bought.html);
    let page = browser.get(&bought.location).await;
    assert!(page.html.contains("badge ok") && page.html.contains("৳6,989."), "{}", page.html);
    // Sent twice, it is bought once.
    let again = browser.post("/dashboard/sandbox/first", &sent).await;
    assert_eq!(again.location, bought.location);
    assert!(browser.get(&again.location).await.html.contains("৳6,989."));
    assert!(clicks <= 7 && typed.len() <= 4, "{clicks} clicks, {} fields", typed.len());
    server.stop();
}

#[tokio::test]
async fn a_sign_up_says_what_is_wrong_and_keeps_what_was_typed() {
    let folder = Folder::new();
    let server = folder.start();
    let mut browser = Browser::open(&server).await;
    browser.get("/dashboard/sign-up").await;
    let fields = [("business", " "), ("email", "no-address"), ("password", "password")];
    let page = browser.post("/dashboard/sign-up", &fields).await;
    assert_eq!(page.status, 422);
    assert!(page.html.contains("There are 3 problems"), "{}", page.html);
    assert_eq!(page.field("email"), "no-address");
    assert_eq!(page.field("password"), "");
    server.stop();
}

#[tokio::test]
async fn a_known_address_gets_the_same_answer_and_another_mail() {
    let folder = Folder::new();
    let server = folder.start();
    let known = server.credentials.merchant.email.clone();
    let mut browser = sign_up(&server, &known).await;
    let page = browser.get("/dashboard/sandbox/first").await;
    assert_eq!(page.status, 200);
    assert!(mails(&folder, 1).await[0].contains("You have an account already"));
    // Nothing of the known login has changed, and it is not the new one.
    let merchant = &server.credentials.merchant;
    let mut owner = Browser::log_in(&server, "dashboard", &known, &merchant.password).await;
    assert!(owner.visit("/dashboard").await.html.contains("Demo Telecom"));
    assert!(!page.html.contains("Demo Telecom"));
    let mut other = Browser::open(&server).await;
    other.get("/dashboard/log-in").await;
    let fields = [("email", known.as_str()), ("password", PASSWORD)];
    assert_eq!(other.post("/dashboard/log-in", &fields).await.status, 422);
    server.stop();
}

fn account_of(folder: &Folder, name: &str) -> Value {
    let accounts = folder.saldo_json(&["account", "list", "--json"]);
    accounts.into_iter().find(|account| account["name"] == name).unwrap()
}

/// As other faults of the account are (CONTRACT A-24); what does not buy answers.
async fn refused_before_a_body_is_read(client: &mut Client) {
    for path in [RECHARGE, BANKING, OFFER] {
        client.post(path, "{").await.assert_refused(403, "ACCOUNT_NOT_APPROVED");
    }
    let unknown = client.get(&format!("{STATUS}?reference=L-1")).await;
    unknown.assert_refused(404, "TRANSACTION_NOT_FOUND");
}

#[tokio::test]
async fn live_is_locked_until_the_mail_is_confirmed_and_staff_approved() {
    let folder = Folder::new();
    let server = folder.start();
    let mut browser = sign_up(&server, "new@example.org").await;
    assert!(browser.get("/dashboard/live").await.html.contains("Locked until"));
    let account = account_of(&folder, "River Telecom");
    assert_eq!(account["approved"], false);
    let id = account["id"].to_string();
    // A live key pair, as staff may make one early; and money in the live wallet.
    let output = folder.saldo_ok(&["key", "make", "--account", &id, "--environment", "live"]);
    let keys = String::from_utf8_lossy(&output.stdout).into_owned();
    let word = |prefix: &str| {
        let found =
            keys.split(|c: char| c.is_whitespace() || c == '"').find(|w| w.starts_with(prefix));
        found.unwrap_or_else(|| panic!("no {prefix} in {keys}")).to_owned()
    };
    folder.saldo_ok(&[
        "wallet",
        "deposit",
        "--account",
        &id,
        "--environment",
        "live",
        "--amount",
        "100.00",
        "--reference",
        "IN-1",
        "--by",
        "rahim",
        "--note",
        "cash",
    ]);
    let mut client = Client::anonymous(&server.address).await;
    client.set("x-open-key", &word("ok_live_"));
    client.set("x-authorization", &word("sk_live_"));
    let body = |reference: &str| {
        format!(
            "{{\"operator\": \"gp\", \"number\": \"01712345101\", \"amount\": 10, \
             \"reference\": \"{reference}\"}}"
        )
    };
    let refused = client.post(RECHARGE, body("L-1")).await;
    assert_eq!(
        (refused.status(), refused.json()["code"].as_str()),
        (403, Some("ACCOUNT_NOT_APPROVED"))
    );
    assert_eq!(client.balance().await, 10_000, "no money moved");
    refused_before_a_body_is_read(&mut client).await;
    let approve = ["account", "approve", &id, "--by", "rahim", "--evidence", "licence 17 seen"];
    let early = folder.saldo(&approve);
    assert!(!early.status.success());
    assert!(describe(&early).contains("has not confirmed"), "{}", describe(&early));

    let code = code_of(&mails(&folder, 1).await[0]);
    browser.get("/dashboard/confirm").await;
    let wrong = browser.post("/dashboard/confirm", &[("code", "00000-00000")]).await;
    assert_eq!(wrong.status, 422);
    assert_eq!(browser.post("/dashboard/confirm", &[("code", &code)]).await.status, 303);
    assert_eq!(client.post(RECHARGE, body("L-2")).await.status(), 403, "staff come next");
    let blank = ["account", "approve", &id, "--by", "rahim", "--evidence", " "];
    assert!(!folder.saldo(&blank).status.success());
    folder.saldo_ok(&approve);
    let bought = client.post(RECHARGE, body("L-3")).await;
    assert_eq!(bought.status(), 200, "{}", bought.json());
    assert!(!browser.get("/dashboard/live").await.html.contains("Locked until"));
    let acts = folder.saldo_json(&["acts", "--object", &format!("account {id}"), "--json"]);
    assert_eq!(acts[0]["after"]["note"]["evidence"], "licence 17 seen", "{acts:?}");
    // Suspended, even the pages are closed.
    folder.saldo_ok(&["account", "suspend", &id]);
    assert_eq!(browser.get("/dashboard/sandbox").await.status, 303);
    assert_eq!(client.post(RECHARGE, body("L-4")).await.status(), 403);
    server.stop();
}

#[tokio::test]
async fn somebody_who_is_invited_joins_once_with_that_role() {
    let folder = Folder::new();
    let server = folder.start();
    let mut owner = Browser::merchant(&server).await;
    owner.get("/dashboard/people").await;
    let invite = [("email", "dev@example.org"), ("role", "developer")];
    assert_eq!(owner.post("/dashboard/people/invite", &invite).await.status, 303);
    let bad =
        owner.post("/dashboard/people/invite", &[("email", "x@y.zz"), ("role", "king")]).await;
    assert_eq!(bad.status, 422);
    let all = mails(&folder, 2).await;
    let mail = all.iter().find(|mail| mail.contains("/dashboard/join?")).unwrap();
    let mail = mail.replace("=\r\n", "").replace("=3D", "=");
    let link = mail.split(server.base_url()).nth(1).unwrap();
    let link = link.split_whitespace().next().unwrap();
    let mut dev = Browser::open(&server).await;
    let form = dev.get(link).await;
    let code = form.field("code");
    let join = |email: &'static str| {
        [("email", email.to_owned()), ("code", code.clone()), ("password", PASSWORD.to_owned())]
    };
    for (email, status) in
        [("other@example.org", 422), ("dev@example.org", 303), ("dev@example.org", 422)]
    {
        let mut browser = Browser::open(&server).await;
        browser.get(link).await;
        let fields = join(email);
        let fields = fields.each_ref().map(|(name, value)| (*name, value.as_str()));
        let page = browser.post("/dashboard/join", &fields).await;
        assert_eq!(page.status, status, "{email}: {}", page.html);
        dev = if status == 303 { browser } else { dev };
    }
    assert_eq!(dev.get("/dashboard/sandbox").await.status, 200);
    assert_eq!(dev.get("/dashboard/people").await.status, 403, "not for a developer");
    // The owner makes the developer look after the money: logged out, and another role.
    let page = owner.get("/dashboard/people").await;
    let id = page.html.split("/dashboard/people/").find_map(|rest| {
        let (id, rest) = rest.split_once('/')?;
        (rest.starts_with("role") && id.parse::<i64>().is_ok()).then(|| id.to_owned())
    });
    let id = id.unwrap();
    let set = format!("/dashboard/people/{id}/role");
    assert_eq!(owner.post(&set, &[("role", "finance")]).await.status, 303);
    assert_eq!(dev.get("/dashboard/sandbox").await.status, 303);
    // Somebody of another account is nobody here; nobody changes themselves.
    let mut other = sign_up(&server, "new@example.org").await;
    other.get("/dashboard/people").await;
    assert_eq!(other.post(&set, &[("role", "owner")]).await.status, 404);
    assert_eq!(other.post(&format!("/dashboard/people/{id}/disable"), &[]).await.status, 404);
    assert_eq!(owner.post(&format!("/dashboard/people/{id}/disable"), &[]).await.status, 303);
    server.stop();
}

#[tokio::test]
async fn a_forgotten_password_is_set_by_a_mailed_code() {
    let folder = Folder::new();
    let server = folder.start();
    let merchant = server.credentials.merchant.email.clone();
    let mut session = Browser::merchant(&server).await;
    let first = mails(&folder, 1).await.len();
    let mut browser = Browser::open(&server).await;
    browser.get("/dashboard/reset").await;
    let known = browser.post("/dashboard/reset", &[("email", &merchant)]).await;
    let unknown = browser.post("/dashboard/reset", &[("email", "nobody@example.org")]).await;
    let same = unknown.without_tokens().replace("nobody@example.org", &merchant);
    assert_eq!((known.status, known.without_tokens()), (200, same));
    let all = mails(&folder, first + 1).await;
    let code = code_of(all.iter().find(|mail| mail.contains("Your code: ")).unwrap());
    let set = [("email", merchant.as_str()), ("code", &code), ("password", PASSWORD)];
    let short = [("email", merchant.as_str()), ("code", &code), ("password", "short")];
    assert_eq!(browser.post("/dashboard/reset/code", &short).await.status, 422);
    assert_eq!(browser.post("/dashboard/reset/code", &set).await.status, 303);
    assert_eq!(browser.post("/dashboard/reset/code", &set).await.status, 422, "used");
    assert_eq!(session.get("/dashboard/sandbox").await.status, 303, "every session ended");
    Browser::log_in(&server, "dashboard", &merchant, PASSWORD).await;
    server.stop();
}

#[tokio::test]
async fn a_demo_shows_its_mails() {
    let folder = Folder::new();
    let server = folder.start();
    let mut browser = Browser::open(&server).await;
    browser.set("accept-language", "bn");
    browser.get("/dashboard/sign-up").await;
    let fields = [("business", "নদী"), ("email", "new@example.org"), ("password", PASSWORD)];
    assert_eq!(browser.post("/dashboard/sign-up", &fields).await.status, 303);
    mails(&folder, 1).await;
    let page = browser.get("/demo/mails").await;
    assert!(page.html.contains("Your code: "), "{}", page.html);
    assert!(page.html.contains("আপনার ই-মেইল নিশ্চিত করুন"), "{}", page.html);
    server.stop();
}

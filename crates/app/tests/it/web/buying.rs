//! A purchase by a person acts as the account: its plan, its prices, its limits, and a question
//! before the same is sold once more.

use super::browser::Browser;
use super::person::{Person, hidden, text};
use crate::support::{Folder, Server};

const NEW: &str = "/dashboard/sandbox/new";

async fn owner(server: &Server) -> Person {
    let merchant = &server.credentials.merchant;
    Person::log_in(server, &merchant.email, &merchant.password).await
}

/// A form of its own, filled in.
async fn form(person: &mut Person, amount: &str) -> Vec<(&'static str, String)> {
    let html = person.page(NEW).await;
    vec![
        ("csrf", hidden(&html, "csrf")),
        ("reference", hidden(&html, "reference")),
        ("operator", "GP".to_owned()),
        ("number", "01712345101".to_owned()),
        ("amount", amount.to_owned()),
        ("service", "prepaid".to_owned()),
    ]
}

fn fields<'a>(form: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    form.iter().map(|(name, value)| (*name, value.as_str())).collect()
}

/// The number of the demo's merchant, as verbs take it.
fn account(folder: &Folder) -> String {
    let sql = "SELECT account_id FROM users WHERE email = 'merchant@demo.example'";
    folder.sql(sql).remove(0)
}

#[tokio::test]
async fn the_same_sale_again_is_sold_after_a_question() {
    let folder = Folder::new();
    let server = folder.start();
    let mut person = owner(&server).await;
    let first = form(&mut person, "10").await;
    assert_eq!(person.post(NEW, &fields(&first)).await.status(), 303);
    let mut client = server.sandbox().await;
    assert_eq!(client.balance().await, 698_950);
    // Another form with the same: nothing is sold before the question is answered.
    let second = form(&mut person, "10").await;
    let asked = person.post(NEW, &fields(&second)).await;
    assert_eq!(asked.status(), 200, "{}", text(&asked));
    assert!(text(&asked).contains("Buy the same once more?"), "{}", text(&asked));
    assert!(text(&asked).contains(&first[1].1), "{}", text(&asked));
    assert_eq!(hidden(text(&asked), "again"), "yes");
    assert_eq!(client.balance().await, 698_950);
    // The same form with the answer sells, once.
    let mut answered = fields(&second);
    answered.push(("again", "yes"));
    for _ in 0..2 {
        assert_eq!(person.post(NEW, &answered).await.status(), 303);
    }
    assert_eq!(client.balance().await, 697_900);
    // Another amount is another sale.
    let other = form(&mut person, "11").await;
    assert_eq!(person.post(NEW, &fields(&other)).await.status(), 303);
    // An account that wants to hear nothing of it is not asked.
    folder.saldo_ok(&["account", "duplicates", &account(&folder), "off"]);
    let third = form(&mut person, "10").await;
    assert_eq!(person.post(NEW, &fields(&third)).await.status(), 303);
    // In Bangla the question is Bangla.
    folder.saldo_ok(&["account", "duplicates", &account(&folder), "refuse"]);
    let fourth = form(&mut person, "11").await;
    person.speak("bn");
    let asked = person.post(NEW, &fields(&fourth)).await;
    assert!(text(&asked).contains("একই জিনিস আবার কিনবেন?"), "{}", text(&asked));
    server.stop();
}

#[tokio::test]
async fn without_a_plan_a_person_buys_nothing() {
    let folder = Folder::new();
    let server = folder.start();
    let mut person = owner(&server).await;
    let bought = form(&mut person, "10").await;
    let first = person.page("/dashboard/sandbox/first").await;
    folder.saldo_ok(&["account", "unsubscribe", &account(&folder)]);
    let refused = person.post(NEW, &fields(&bought)).await;
    assert_eq!(refused.status(), 402, "{}", text(&refused));
    assert!(text(&refused).contains("no active plan"), "{}", text(&refused));
    let mut again = bought.clone();
    again[1].1 = hidden(&first, "reference");
    let refused = person.post("/dashboard/sandbox/first", &fields(&again)).await;
    assert_eq!(refused.status(), 422, "{}", text(&refused));
    assert!(text(&refused).contains("no active plan"), "{}", text(&refused));
    assert_eq!(server.sandbox().await.balance().await, 700_000);
    // The reference is not used up: the same form buys once there is a plan.
    let plan = ["--plan", "starter", "--months", "1"];
    folder.saldo_ok(&[&["account", "subscribe", &account(&folder)], &plan[..]].concat());
    assert_eq!(person.post(NEW, &fields(&bought)).await.status(), 303);
    server.stop();
}

#[tokio::test]
async fn the_price_is_that_of_the_plan_and_so_is_the_limit() {
    let folder = Folder::new();
    folder.start().stop();
    let (account, plan) = (account(&folder), ["--plan", "starter", "--months", "1"]);
    folder.saldo_ok(&["account", "unsubscribe", &account]);
    folder.saldo_ok(&[&["account", "subscribe", &account], &plan[..]].concat());
    folder.sql(
        "INSERT INTO prices (id, charge, plan, currency, flat, share_ppm)
         VALUES (9001, 'fee', 'starter', 'BDT', 275, 0)",
    );
    let server = folder.start_with(&[]);
    let mut person = owner(&server).await;
    let bought = form(&mut person, "10").await;
    let priced = person.post(&format!("{NEW}/price"), &fields(&bought)).await;
    assert!(text(&priced).contains("৳12.75"), "{}", text(&priced));
    assert_eq!(person.post(NEW, &fields(&bought)).await.status(), 303);
    // Each form that is sent counts as a call of the account: 60 a minute.
    let mut wrong = bought.clone();
    wrong[4].1 = "1,5".to_owned();
    let mut last = 0;
    for _ in 0..120 {
        last = person.post(NEW, &fields(&wrong)).await.status();
        if last != 422 {
            break;
        }
    }
    assert_eq!(last, 429);
    let page = person.page("/dashboard/sandbox/transactions").await;
    assert!(page.contains(&bought[1].1), "{page}");
    server.stop();
}

#[tokio::test]
async fn the_zone_is_that_of_the_accounts_country() {
    let folder = Folder::new();
    let server = folder.start();
    let mut dhaka = owner(&server).await;
    let mut harare = Browser::open(&server).await;
    harare.get("/dashboard/sign-up").await;
    let fields = [
        ("business", "Harare Airtime"),
        ("email", "harare@example.org"),
        ("password", "a quiet river 7"),
        ("country", "ZW"),
    ];
    assert_eq!(harare.post("/dashboard/sign-up", &fields).await.status, 303);
    for page in ["/sandbox/transactions", "/sandbox/requests", "/security", "/people"] {
        let path = format!("/dashboard{page}");
        assert!(dhaka.page(&path).await.contains("UTC+6"), "{path}");
        let html = harare.get(&path).await.html;
        assert!(html.contains("UTC+2") && !html.contains("UTC+6"), "{path}: {html}");
    }
    server.stop();
}

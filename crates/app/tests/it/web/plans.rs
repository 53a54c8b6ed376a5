//! An owner buys and renews a plan on the pages: the price first, then once for each form.

use super::person::{Person, hidden, text};
use crate::support::{Folder, Server};

const LIVE: &str = "/dashboard/live/plan";
const CHECK: &str = "/dashboard/live/plan?plan=business&months=3&currency=BDT";

async fn owner(server: &Server) -> Person {
    let merchant = &server.credentials.merchant;
    Person::log_in(server, &merchant.email, &merchant.password).await
}

/// The fields of the form that buys, as the page has them.
fn fields(html: &str) -> Vec<(&'static str, String)> {
    ["csrf", "plan", "months", "currency", "reference", "price", "until", "ends"]
        .map(|name| (name, hidden(html, name)))
        .to_vec()
}

async fn buy(person: &mut Person, html: &str) -> crate::support::Reply {
    let fields = fields(html);
    let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    person.post(LIVE, &fields).await
}

fn live_balance(folder: &Folder) -> String {
    let wallets = folder.saldo_json(&["wallet", "show", "--account", "2", "--json"]);
    let live = wallets.iter().find(|wallet| wallet["environment"] == "live").unwrap();
    live["available"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_bought_once_for_each_form_with_the_price_shown_before() {
    let folder = Folder::new();
    let server = folder.start();
    let mut person = owner(&server).await;
    // Nothing is for sale yet, and nothing is bought in the sandbox.
    let html = person.page(LIVE).await;
    assert!(html.contains("Business") && !html.contains("Show the price"), "{html}");
    let html = person.page("/dashboard/sandbox/plan").await;
    assert!(html.contains(&format!("href=\"{LIVE}\"")), "{html}");
    assert_eq!(person.get(CHECK).await.status(), 422);
    folder.saldo_ok(&["plan", "define", "business", "--price", "1000", "--by", "Mina"]);
    assert!(person.page(LIVE).await.contains("Show the price"));

    let html = person.page(CHECK).await;
    assert!(html.contains("৳3,000.00") && html.contains("৳4,000.00"), "{html}");
    let bought = buy(&mut person, &html).await;
    assert_eq!(bought.header("location"), Some(&*format!("{LIVE}?said=plan-bought")));
    assert_eq!(live_balance(&folder), "4000.00");
    // The same form again charges nothing; one that was open beside it shows an old end.
    let again = buy(&mut person, &html).await;
    assert_eq!(again.header("location"), Some(&*format!("{LIVE}?said=plan-bought-before")));
    let stale = fields(&html).into_iter().map(|(name, value)| match name {
        "reference" => (name, "another".to_owned()),
        _ => (name, value),
    });
    let stale: Vec<_> = stale.collect();
    let stale: Vec<_> = stale.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let refused = person.post(LIVE, &stale).await;
    assert_eq!(refused.status(), 422);
    assert!(text(&refused).contains("have changed"), "{}", text(&refused));
    // So does a price that was set meanwhile.
    let html = person.page(CHECK).await;
    folder.saldo_ok(&["plan", "define", "business", "--price", "1001", "--by", "Mina"]);
    assert_eq!(buy(&mut person, &html).await.status(), 422);
    assert_eq!(live_balance(&folder), "4000.00");
    // What is not affordable has no button.
    let html = person.page(&CHECK.replace("months=3", "months=12")).await;
    assert!(html.contains("has only ৳4,000.00"), "{html}");
    assert!(!html.contains("name=\"reference\""), "{html}");
    // Another plan says that it ends the running one.
    folder.saldo_ok(&["plan", "define", "starter", "--price", "10", "--by", "Mina"]);
    let html = person.page(&CHECK.replace("business", "starter")).await;
    assert!(html.contains("what is left of it is not given back"), "{html}");
    assert_eq!(buy(&mut person, &html).await.status(), 303);
    let plan = folder.saldo_json(&["plan", "show", "2", "--json"]).remove(0);
    assert_eq!(plan["plan"], "starter");

    let renewal = format!("{LIVE}/renewal");
    let on = person.submit(LIVE, &renewal, &[("renewal", "BDT")]).await;
    assert_eq!(on.header("location"), Some(&*format!("{LIVE}?said=saved")));
    assert_eq!(folder.sql("SELECT currency FROM plan_renewals WHERE account_id = 2"), ["BDT"]);
    assert_eq!(person.submit(LIVE, &renewal, &[("renewal", "USD")]).await.status(), 404);
    assert_eq!(person.submit(LIVE, &renewal, &[("renewal", "")]).await.status(), 303);
    assert_eq!(folder.sql("SELECT currency FROM plan_renewals"), [""; 0]);
    let html = person.page("/dashboard/live/statement").await;
    assert!(html.contains("Plan bought"), "{html}");
    person.speak("bn");
    assert!(person.page(LIVE).await.contains("স্টার্টার"));
    server.stop();
    folder.saldo_ok(&["verify"]);
    // A developer sees the plan, and buys none.
    folder.sql("UPDATE users SET role = 'developer' WHERE email = 'merchant@demo.example'");
    let server = folder.start();
    let mut person = owner(&server).await;
    let html = person.page(CHECK).await;
    assert!(!html.contains("name=\"reference\"") && !html.contains("Show the price"), "{html}");
    let refused = person.submit(LIVE, LIVE, &[("plan", "starter"), ("months", "1")]).await;
    assert_eq!(refused.status(), 403);
    server.stop();
}

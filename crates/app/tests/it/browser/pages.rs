//! The pages there are, from the areas' own list, with somebody who may see them; and what every
//! page must be.

use super::driver::Chromium;
use crate::events::webhook_receiver::{Answer, Receiver};
use crate::support::{Client, Folder, Keys, RECHARGE, Server, UNLIMITED};
use crate::web::browser::Browser;
use crate::web::rights::routes;
use http::Method;
use serde_json::{Value, json};
use std::fs;
use std::path::Path;
use web::AreaKind;

/// Pages that show more with a question in their address.
const MORE: [&str; 5] = [
    "/docs/offers?operator=BL&number=01912345678&offer=0",
    "/docs/run?operation=recharge",
    "/dashboard/live/transactions?state=success&operator=gp",
    "/dashboard/live/transactions?from=yesterday",
    "/dashboard/sandbox/search?q=nothing",
];
/// Drawn by a script of somebody else's, which makes its own styles.
pub const REFERENCE: &str = "/docs/reference";
/// The first frame only asks for the page again, or there is nothing to see.
const LOGGED_OUT: [&str; 4] = ["/log-in", "/sign-up", "/reset", "/join"];

/// A page and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageAt {
    pub area: AreaKind,
    pub path: String,
}

/// A demo whose first merchant has a month of purchases in live, and some of every outcome in the
/// sandbox, with webhooks that were taken and refused.
pub async fn demo_with_history(folder: &Folder) -> Server {
    folder.start_with_history().stop();
    // The one with the most to show.
    let most =
        "SELECT account_id FROM purchases GROUP BY account_id ORDER BY count(*) DESC LIMIT 1";
    let account = folder.sql(most).remove(0);
    let merchant = "email = 'merchant@demo.example'";
    folder.sql(&format!("UPDATE users SET account_id = {account} WHERE {merchant}"));
    let server = folder.start_with(&[&UNLIMITED[..], &["--webhooks-to-loopback"]].concat());
    let receiver = Receiver::answering(|path, _| {
        Answer::Status(if path.ends_with("/taken") { 200 } else { 500 })
    })
    .await;
    let add = ["webhook", "add", "--account", &account, "--environment", "sandbox", "--url"];
    folder.saldo_ok(&[&add[..], &[&receiver.url("/taken")]].concat());
    let paid = ["wallet", "deposit", "--account", &account, "--environment", "sandbox", "--amount"];
    let why = ["5000.00", "--reference", "IN-1", "--by", "rahim", "--note", "to show"];
    folder.saldo_ok(&[&paid[..], &why].concat());
    let make = ["key", "make", "--account", &account, "--environment", "sandbox"];
    let made = String::from_utf8(folder.saldo_ok(&make).stdout).unwrap();
    let key = |begins: &str| {
        let mut words = made.split(|c: char| c.is_whitespace() || c == '"');
        words.find(|word| word.starts_with(begins)).unwrap().to_owned()
    };
    let keys =
        Keys { open_key: key("ok_test_"), secret_key: key("sk_test_"), webhook_secret: None };
    let mut client = Client::open(&server.address, &keys).await;
    for ends in 101..110 {
        let mut body = json!({
            "operator": "gp", "number": format!("01712345{ends}"), "amount": 20,
            "reference": format!("SHOWN-{ends}"),
        });
        if ends % 2 == 0 {
            body["webhook_url"] = json!(receiver.url("/refused"));
        }
        let bought = client.post(RECHARGE, body.to_string()).await;
        assert!(bought.json()["billing"]["transactionId"].is_i64(), "{bought:?}");
    }
    server
}

/// Somebody for the pages of an area.
async fn reader(server: &Server, area: AreaKind) -> Browser {
    match area {
        AreaKind::Public => Browser::open(server).await,
        AreaKind::Dashboard => Browser::merchant(server).await,
        AreaKind::Admin => Browser::staff(server, "owner").await,
    }
}

/// Every page that somebody may see, with what is there in place of placeholders.
pub async fn pages(server: &Server, area: AreaKind) -> Vec<PageAt> {
    let mut known = reader(server, area).await;
    let mut nobody = Browser::open(server).await;
    let mut paths: Vec<String> = Vec::new();
    let listed = routes().into_iter().filter(|r| r.area == area && r.method == Method::GET);
    for route in listed {
        match route.path.split_once("/{") {
            None => paths.push(route.path),
            Some((parent, _)) => {
                let html = known.get(parent).await.html;
                let begins = format!("href=\"{parent}/");
                let links = html.split(&*begins).skip(1);
                let all = links.filter_map(|rest| rest.split(['"', '#', '?']).next());
                let count = if area == AreaKind::Public { 100 } else { 1 };
                paths.extend(all.take(count).map(|last| format!("{parent}/{last}")));
            }
        }
    }
    paths.extend(
        MORE.iter()
            .filter(|path| {
                let is_dashboard = path.starts_with("/dashboard");
                (area == AreaKind::Dashboard && is_dashboard)
                    || (area == AreaKind::Public && !is_dashboard)
            })
            .map(|path| (*path).to_owned()),
    );
    let mut pages: Vec<PageAt> = Vec::new();
    for path in paths {
        let is_log_in = LOGGED_OUT.iter().any(|end| path.ends_with(end));
        let page = if is_log_in { nobody.get(&path).await } else { known.get(&path).await };
        let kind = page.headers.get("content-type").map_or("", String::as_str);
        let one = PageAt { area, path };
        if page.status == 200 && kind.starts_with("text/html") && !pages.contains(&one) {
            pages.push(one);
        }
    }
    pages
}

/// Logs in on an area's pages; on the public ones there is nobody.
pub async fn enter(browser: &mut Chromium, server: &Server, area: AreaKind) {
    let (email, password) = match area {
        AreaKind::Public => return,
        AreaKind::Dashboard => {
            let merchant = &server.credentials.merchant;
            (merchant.email.clone(), merchant.password.clone())
        }
        AreaKind::Admin => {
            let staff = server.credentials.staff.as_array().unwrap();
            let owner = staff.iter().find(|one| one["role"] == "owner").unwrap();
            let text = |field: &str| owner[field].as_str().unwrap().to_owned();
            (text("email"), text("password"))
        }
    };
    browser.goto(&format!("{}/log-in", area.prefix())).await;
    browser.fill("#f-email", &email).await;
    browser.fill("#f-password", &password).await;
    browser.click("main .button.main").await;
    browser.until(".account").await;
}

/// What axe-core calls serious or critical on the page that is shown; with `rules`, by those alone.
pub async fn barriers(browser: &Chromium, rules: &[&str]) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../target/tools/axe/node_modules/axe-core/axe.min.js");
    let axe = fs::read_to_string(&file)
        .unwrap_or_else(|error| panic!("{error}: {}: run `make tools`", file.display()));
    let chosen = match rules {
        [] => Value::Null,
        rules => json!({ "type": "rule", "values": rules }),
    };
    let look = format!(
        "{axe}; const done = arguments[arguments.length - 1];
         const options = {{ resultTypes: ['violations'] }};
         if ({chosen}) options.runOnly = {chosen};
         axe.run(document, options).then(
           (found) => done(found.violations
             .filter((one) => ['serious', 'critical'].includes(one.impact))
             .map((one) => one.id + ': ' + one.nodes.slice(0, 3).map((node) =>
               node.target.join(' ') + ' ' + node.failureSummary).join('; '))),
           (error) => done([String(error)]));"
    );
    let found = browser.run_until_done(&look).await;
    let found = found.as_array().unwrap().iter();
    found.map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// How many pixels wide the page is.
pub async fn width(browser: &Chromium) -> u64 {
    let width = browser.run("return document.documentElement.scrollWidth", json!([])).await;
    width.as_u64().unwrap()
}

/// What sticks out on the right of a page that is wider than the window.
pub async fn widest(browser: &Chromium, window: u64) -> String {
    let look = "return [...document.querySelectorAll('main *')]
        .filter((one) => one.getBoundingClientRect().right > arguments[0] + 1)
        .slice(0, 4).map((one) => one.outerHTML.slice(0, 120)).join(' | ')";
    browser.run(look, json!([window])).await.as_str().unwrap_or_default().to_owned()
}

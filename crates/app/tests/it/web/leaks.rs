//! What one account has is shown to no other account, and changed by none: every route of the
//! dashboard, for three accounts, in both environments.
//!
//! The routes are the areas' own list, so a new one is here by itself.

use super::browser::{Browser, Page};
use super::rights::routes;
use crate::support::{Client, Folder, RECHARGE, Server};
use http::Method;
use serde_json::{Value, json};
use web::{AreaKind, PageRoute};

/// In every text of the account whose things nobody else may see.
const MARK: &str = "cormorant";
const NUMBER: &str = "01799887101";
/// Of nothing.
const UNKNOWN: &str = "1999999999";
/// Whatever a form of the dashboard may have, so that it is refused for its id and nothing else.
const FIELDS: [(&str, &str); 9] = [
    ("role", "finance"),
    ("url", "https://elsewhere.example/hook"),
    ("addresses", "203.0.113.9"),
    ("event", "success"),
    ("since", "2026-01-01"),
    ("text", "not received"),
    ("note", "not received"),
    ("success", "recharge.success"),
    ("confirm", "yes"),
];

/// Something of the account: what comes before its id in an address, and the id.
type Own = (&'static str, String);

/// Sells, adds endpoints and people in the demo merchant's account; gives what there is.
async fn fill(folder: &Folder, server: &Server, owner: &mut Browser) -> Vec<Own> {
    let mut ids = Vec::new();
    for (environment, mut client) in
        [("sandbox", server.sandbox().await), ("live", server.live().await)]
    {
        ids.push(("transactions", sale(&mut client, environment).await));
        let page = format!("/dashboard/{environment}/webhooks");
        owner.get(&page).await;
        let url = format!("https://{MARK}.example/{environment}");
        let added = owner.post(&page, &[("url", &url)]).await;
        assert!(added.status < 400, "{}", added.html);
        let listed = owner.get(&page).await;
        ids.push(("webhooks", id_before(&listed.html, "/remove")));
    }
    owner.visit("/dashboard/people").await;
    let invite = [("email", &*format!("{MARK}@other.example")), ("role", "developer")];
    assert_eq!(owner.post("/dashboard/people/invite", &invite).await.status, 303);
    let text = std::fs::read_to_string(folder.path("credentials.json")).unwrap();
    let merchant = &serde_json::from_str::<Value>(&text).unwrap()["merchant"];
    ids.extend(["sandbox", "live"].map(|pair| ("keys", merchant[pair]["key"].to_string())));
    let account = merchant["account"].to_string();
    let deposit = ["wallet", "deposit", "--account", &account, "--environment", "live"];
    let paid = ["--amount", "12.34", "--reference", MARK, "--by", MARK];
    folder.saldo_ok(&[&deposit[..], &paid].concat());
    let users = folder.saldo_json(&["user", "list", "--json"]);
    let own = users.iter().find(|user| user["email"] == server.credentials.merchant.email.as_str());
    ids.push(("people", own.unwrap()["id"].to_string()));
    let another = Browser::merchant(server).await.get("/dashboard/security").await;
    ids.push(("sessions", id_before(&another.html, "/end\"")));
    ids
}

async fn sale(client: &mut Client, environment: &str) -> String {
    let body = json!({"number": NUMBER, "amount": 77, "operator": "gp",
        "reference": format!("{MARK}-{environment}")});
    let sold = client.post(RECHARGE, body.to_string()).await.json();
    assert_eq!(sold["success"], true, "{sold}");
    sold["billing"]["transactionId"].to_string()
}

/// The number in an address like `/webhooks/12/remove`.
fn id_before(html: &str, end: &str) -> String {
    let (before, _) = html.split_once(end).unwrap_or_else(|| panic!("no {end} in {html}"));
    before.rsplit('/').next().unwrap().to_owned()
}

/// The owners of two more accounts, and a developer of the second one.
async fn strangers(folder: &Folder, server: &Server) -> Vec<Browser> {
    let mut all = Vec::new();
    for name in ["heron", "plover"] {
        let mut browser = Browser::open(server).await;
        browser.get("/dashboard/sign-up").await;
        let email = format!("{name}@birds.example");
        let fields = [("business", name), ("email", &email), ("password", "a quiet river 7")];
        let page = browser.post("/dashboard/sign-up", &fields).await;
        assert_eq!(page.status, 303, "{}", page.html);
        all.push(browser);
    }
    let users = folder.saldo_json(&["user", "list", "--json"]);
    let plover = users.iter().find(|user| user["email"] == "plover@birds.example").unwrap();
    let email = "developer@birds.example";
    let account = plover["account"].to_string();
    let make = ["user", "make", "--email", email, "--account", &account, "--role", "developer"];
    let made = folder.saldo_ok(&make);
    let password = String::from_utf8(made.stdout).unwrap();
    all.push(Browser::log_in(server, "dashboard", email, password.trim()).await);
    all
}

/// Whoever is logged in is known on the documents too. A stream does not end.
fn is_asked(route: &PageRoute) -> bool {
    let is_left_out = ["/log-out", "/stream"].iter().any(|end| route.path.ends_with(end));
    let is_of_docs = route.path.starts_with("/docs") && !route.path.contains('{');
    (route.area == AreaKind::Dashboard && !is_left_out) || is_of_docs
}

fn path_of(route: &PageRoute, id: &str) -> String {
    let filled = route.path.split('/').map(|part| if part.starts_with('{') { id } else { part });
    filled.collect::<Vec<_>>().join("/")
}

async fn ask(browser: &mut Browser, route: &PageRoute, id: &str) -> Page {
    let path = path_of(route, id);
    match route.method == Method::GET {
        true => browser.get(&path).await,
        false => browser.post(&path, &FIELDS).await,
    }
}

/// Without what differs each time, and without the id that was asked for.
fn comparable(page: &Page, id: &str) -> (u16, String, String) {
    let without = |text: &str| {
        let ends = ["/", "\"", "?", "&"];
        ends.iter().fold(text.to_owned(), |text, end| {
            text.replace(&format!("/{id}{end}"), &format!("/ID{end}"))
        })
    };
    let mut html = without(&page.html);
    while let Some((before, rest)) = html.split_once("name=\"csrf\" value=\"") {
        let after = rest.split_once('"').map_or("", |(_, after)| after);
        html = format!("{before}TOKEN{after}");
    }
    (page.status, without(&page.location), html)
}

#[tokio::test]
async fn no_account_sees_or_changes_what_another_one_has() {
    let folder = Folder::new();
    let server = folder.start();
    let mut owner = Browser::merchant(&server).await;
    let ids = fill(&folder, &server, &mut owner).await;
    let own_pages = [
        "/dashboard/sandbox/webhooks",
        "/dashboard/live/webhooks",
        "/dashboard/sandbox/keys",
        "/dashboard/live/keys",
        "/dashboard/people",
        "/dashboard/live/statement",
    ];
    let mut before = Vec::new();
    for path in own_pages {
        let page = owner.get(path).await;
        let has_marks = path.ends_with("/webhooks") || path.ends_with("/people");
        assert!(!has_marks || page.html.contains(MARK), "{path}: {}", page.html);
        before.push(comparable(&page, "-"));
    }
    let open_keys = [&server.credentials.merchant.sandbox, &server.credentials.merchant.live];
    let marks = [MARK, NUMBER, "Demo Telecom", &server.credentials.merchant.email]
        .into_iter()
        .chain(open_keys.map(|pair| pair.open_key.as_str()));
    let marks: Vec<String> = marks.map(str::to_lowercase).collect();
    let mut cells = 0;
    for browser in &mut strangers(&folder, &server).await {
        for route in routes().iter().filter(|route| is_asked(route)) {
            browser.get("/dashboard/security").await;
            let unknown = comparable(&ask(browser, route, UNKNOWN).await, UNKNOWN);
            let what = format!("{} {}", route.method, route.path);
            if !route.path.contains('{') {
                let text = unknown.2.to_lowercase();
                let leaked = marks.iter().find(|mark| text.contains(mark.as_str()));
                assert_eq!(leaked, None, "{what}: {}", unknown.2);
                cells += 1;
                continue;
            }
            let kind = route.path.split("/{").next().and_then(|path| path.rsplit('/').next());
            let is_known = ids.iter().any(|(known, _)| Some(*known) == kind);
            for (_, id) in ids.iter().filter(|(known, _)| Some(*known) == kind || !is_known) {
                browser.get("/dashboard/security").await;
                let page = ask(browser, route, id).await;
                assert_eq!(comparable(&page, id), unknown, "{what} with {id}");
                cells += 1;
            }
        }
    }
    assert!(cells > 300, "{cells}");
    for (path, before) in own_pages.into_iter().zip(before) {
        assert_eq!(comparable(&owner.get(path).await, "-"), before, "{path} has changed");
    }
    server.stop();
    folder.verify();
}

//! Who may see what: every route of the pages, as every role, over HTTP.
//!
//! The routes are the areas' own list, so a new one is here by itself.

use super::browser::{Browser, Page};
use crate::support::{Folder, Server};
use domain::acts::{Grant, Holder, grant};
use domain::{Clock, Environment, NoRandom, Random, Role, Timestamp};
use engine::{Engine, Parts, Vault};
use http::Method;
use std::sync::Arc;
use std::time::Duration;
use web::{ApiDocument, AreaKind, PageRoute, Settings, SignUp};

const PASSWORD: &str = "a quiet river 7";

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_795_961_100_000_000)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(1)
    }
}

impl Random for Still {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandom> {
        bytes.fill(7);
        Ok(())
    }
}

/// The list of the areas, from an engine of its own.
pub fn routes() -> Vec<PageRoute> {
    let folder = tempfile::tempdir().unwrap();
    let store = store::Store::open(folder.path()).unwrap();
    let parts = Parts::new(store, Arc::new(Still), Arc::new(Still), Vault::new(&[7; 32]));
    let settings = Settings {
        base_url: "http://127.0.0.1:1".to_owned(),
        is_stopping: Box::new(|| false),
        client_address: Box::new(|_| [127, 0, 0, 1].into()),
        sign_up: SignUp::Open,
        staff_need_factor: false,
        mails: None,
        documents: [(); 2].map(|()| ApiDocument { openapi: "{}".into(), errors: Vec::new() }),
        api: axum::Router::new(),
    };
    web::router(Engine::open(parts).unwrap(), settings).1
}

/// A route's path with something in its placeholders.
fn filled(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "1" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

/// Somebody of each role, logged in.
pub async fn everybody(folder: &Folder, server: &Server) -> Vec<(Holder, AreaKind, Browser)> {
    let mut all = Vec::new();
    for (role, area, owner) in [
        (Role::Merchant, AreaKind::Dashboard, Browser::merchant(server).await),
        (Role::House, AreaKind::Admin, Browser::staff(server, "owner").await),
    ] {
        let mut owner = owner;
        for login in Holder::roles_of(role) {
            let holder = Holder::of_login(role, login).unwrap();
            if *login == "owner" {
                continue;
            }
            let email = format!("{login}@{}.example", role.code());
            let prefix = area.prefix();
            owner.visit(&format!("{prefix}/people")).await;
            let invite = [("email", email.as_str()), ("role", login)];
            let page = owner.post(&format!("{prefix}/people/invite"), &invite).await;
            assert_eq!(page.status, 303, "{}", page.html);
            let mail = wait_for_mail(folder, &email).await;
            let link = mail.split(server.base_url()).nth(1).unwrap();
            let link = link.split_whitespace().next().unwrap().to_owned();
            let mut browser = Browser::open(server).await;
            let code = browser.get(&link).await.field("code");
            let join = [("email", email.as_str()), ("code", &code), ("password", PASSWORD)];
            let page = browser.post(&format!("{prefix}/join"), &join).await;
            assert_eq!(page.status, 303, "{login}: {}", page.html);
            all.push((holder, area, browser));
        }
        all.push((Holder::of_login(role, "owner").unwrap(), area, owner));
    }
    all
}

async fn wait_for_mail(folder: &Folder, to: &str) -> String {
    for count in 1.. {
        let all = super::browser::mails(folder, count).await;
        let all = all.iter().map(|mail| mail.replace("=\r\n", "").replace("=3D", "="));
        let found = all
            .into_iter()
            .find(|mail| mail.contains(&format!("To: {to}")) && mail.contains("/join?"));
        if let Some(mail) = found {
            return mail;
        }
    }
    unreachable!()
}

#[tokio::test]
async fn every_route_is_open_to_those_whose_act_it_is_and_to_nobody_else() {
    let folder = Folder::new();
    let server = folder.start();
    let routes = routes();
    assert!(routes.len() > 50, "{}", routes.len());
    let mut people = everybody(&folder, &server).await;
    assert_eq!(people.len(), Holder::roles_of(Role::Merchant).len() + 6);
    let mut anonymous = Browser::open(&server).await;
    let mut cells = 0;
    for route in routes.iter().filter(|route| route.area != AreaKind::Public) {
        let path = filled(&route.path);
        let is_public = grant(route.act, Holder::Anybody, Environment::Live) == Grant::Yes;
        let environment = route.environment.unwrap_or(Environment::Live);
        for (holder, area, browser) in &mut people {
            let granted = grant(route.act, *holder, environment);
            // Without a form's token, so that nothing is changed on the way.
            let page = match route.method == Method::GET {
                true => browser.get(&path).await,
                false => browser.post_bare(&path, &[]).await,
            };
            assert_page(route, &page);
            let is_in = *area == route.area;
            let may = matches!(granted, Grant::Yes | Grant::Masked | Grant::StepUp);
            let what = format!("{} {path} as {holder:?}: {}", route.method, page.status);
            cells += 1;
            if is_public {
                assert_ne!(page.status, 404, "{what}");
            } else if !is_in {
                assert!(
                    page.location.starts_with(&format!("{}/log-in", route.area.prefix())),
                    "{what}"
                );
            } else if !may {
                assert_eq!(page.status, 403, "{what}");
                assert!(!page.html.contains("<table"), "{what}");
            } else if route.method == Method::GET {
                assert!([200, 303, 404].contains(&page.status), "{what}");
            } else {
                assert!(page.status == 403 || page.location.contains("/prove"), "{what}");
            }
        }
        if !is_public {
            let page = anonymous.get(&path).await;
            assert!(page.status == 303 || page.status == 405, "{path}: {}", page.status);
        }
    }
    assert!(cells > 300, "{cells}");
    server.stop();
}

/// Status, headers, one heading, no inline code: each page that somebody may see.
#[tokio::test]
async fn every_page_has_its_headers_and_one_heading() {
    let folder = Folder::new();
    let server = folder.start();
    let mut browsers = [
        Browser::open(&server).await,
        Browser::merchant(&server).await,
        Browser::staff(&server, "owner").await,
    ];
    let mut pages = 0;
    for route in routes().iter().filter(|route| route.method == Method::GET) {
        let path = filled(&route.path);
        let own = match route.area {
            AreaKind::Public => 0,
            AreaKind::Dashboard => 1,
            AreaKind::Admin => 2,
        };
        let page = browsers[own].get(&path).await;
        if assert_page(route, &page) {
            pages += 1;
        }
    }
    assert!(pages > 20, "{pages}");
    server.stop();
}

/// Headers, a title, one heading, no inline code, forms with their token: whoever asked, and
/// whether there was something to see or a refusal. Gives whether it is a page at all.
#[track_caller]
fn assert_page(route: &PageRoute, page: &Page) -> bool {
    let path = &route.path;
    if !page.headers.get("content-type").is_some_and(|kind| kind.starts_with("text/html")) {
        return false;
    }
    let policy = &page.headers["content-security-policy"];
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{path}: {policy}");
    assert_eq!(page.headers["x-content-type-options"], "nosniff", "{path}");
    assert_eq!(page.headers["cross-origin-opener-policy"], "same-origin", "{path}");
    // The reference is drawn by its script.
    if path == "/docs/reference" {
        return true;
    }
    if route.area != AreaKind::Public {
        assert_eq!(page.headers["cache-control"], "no-store", "{path}");
    }
    assert_eq!(page.headers["referrer-policy"], "same-origin", "{path}");
    assert!(!policy.contains("unsafe"), "{path}: {policy}");
    assert_eq!(page.html.matches("<h1").count(), 1, "{path}: {}", page.html);
    let title = page.html.split("<title>").nth(1).and_then(|rest| rest.split('<').next());
    assert!(title.is_some_and(|title| title.len() > " · Saldo".len()), "{path}: {title:?}");
    for inline in ["<script>", "<style", " style=", " onclick=", " onload=", "javascript:"] {
        assert!(!page.html.contains(inline), "{path} has {inline}");
    }
    // A part that is escaped is seen as text; the documents show code.
    for tag in ["div", "fieldset", "form", "input", "p", "span", "table"] {
        let is_text = page.html.contains(&format!("&#60;{tag}"));
        assert!(!is_text || route.area == AreaKind::Public, "{path} shows <{tag}> as text");
    }
    for form in page.html.split("<form").skip(1).filter(|f| f.contains("method=\"post\"")) {
        assert!(form.contains("name=\"csrf\""), "{path}: {form:.200}");
    }
    true
}

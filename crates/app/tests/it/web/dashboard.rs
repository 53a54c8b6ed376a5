//! The merchants' pages: what they show, what their forms do, and whom they show nothing.

use super::person::{Person, hidden, text};
use crate::support::{Folder, RECHARGE, Server, UNLIMITED, recharge};
use std::time::Duration;

const PAGES: [&str; 10] = [
    "",
    "/transactions",
    "/new",
    "/statement",
    "/commission",
    "/prices",
    "/keys",
    "/webhooks",
    "/activity",
    "/search?q=nothing",
];

async fn owner(server: &Server) -> Person {
    let merchant = &server.credentials.merchant;
    Person::log_in(server, &merchant.email, &merchant.password).await
}

/// Buys by the API, so that there is something to show.
async fn sell(server: &Server, number: &str, reference: &str) -> String {
    let mut client = server.sandbox().await;
    let bought = client.post(RECHARGE, recharge(number, 10, reference)).await.json();
    bought["billing"]["transactionId"].to_string()
}

#[tokio::test]
async fn every_page_is_there_for_its_owner_and_for_nobody_else() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let mut person = owner(&server).await;
    for environment in ["sandbox", "live"] {
        for page in PAGES {
            let path = format!("/dashboard/{environment}{page}");
            let html = person.page(&path).await;
            assert_eq!(html.matches("<h1>").count(), 1, "{path}: {html}");
            for bad in ["style=\"", "onclick=", "dashboard.", "transactions.", "hooks."] {
                let shown = html.replace("/transactions.csv", "");
                assert!(!shown.contains(bad), "{path} shows {bad}: {html}");
            }
        }
    }
    let mut anybody = Person::anonymous(&server).await;
    for page in PAGES {
        let reply = anybody.get(&format!("/dashboard/sandbox{page}")).await;
        assert_eq!(reply.status(), 303, "{page}");
        assert!(reply.header("location").unwrap().starts_with("/dashboard/log-in"), "{reply:?}");
    }
    server.stop();
}

#[tokio::test]
async fn filters_are_in_the_address_and_the_export_obeys_them() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let ok = sell(&server, "01712345101", "=F-1").await;
    sell(&server, "01712345102", "F-2").await;
    let mut person = owner(&server).await;
    let list = "/dashboard/sandbox/transactions";
    for (query, shown, hidden) in [
        ("", "=F-1", "nothing-else"),
        ("?state=success", "=F-1", ">F-2<"),
        ("?state=failed&operator=GP", ">F-2<", "=F-1"),
        ("?number=%E0%A7%A6%E0%A7%A7712345102", ">F-2<", "=F-1"),
        ("?reference=F-2", ">F-2<", "=F-1"),
        ("?from=2020-01-01&to=2999-12-31", ">F-2<", "nothing-else"),
    ] {
        let html = person.page(&format!("{list}{query}")).await;
        let table = html.split("<tbody>").nth(1).unwrap();
        assert!(table.contains(shown) && !table.contains(hidden), "{query}: {table}");
    }
    // The last day counts whole, as the first does, and so does the last minute: the day is that of
    // the account's zone.
    let all = person.get(&format!("{list}.csv")).await;
    let times: Vec<&str> = text(&all).lines().skip(1).collect();
    let (last, first) = (&times[0][..16], &times[1][..16]);
    for (from, to, count) in [
        (&first[..10], &last[..10], 2),
        (first, last, 2),
        (&first[..10], "", 2),
        ("2020-01-01", "2020-01-01", 0),
    ] {
        let query = format!("?from={from}&to={to}");
        let csv = person.get(&format!("{list}.csv{query}")).await;
        assert_eq!(text(&csv).lines().count(), 1 + count, "{query}: {}", text(&csv));
        let html = person.page(&format!("{list}{query}")).await;
        assert_eq!(html.contains(">F-2<"), count > 0, "{query}: {html}");
    }
    let wrong = person.get(&format!("{list}?from=yesterday")).await;
    assert_eq!(wrong.status(), 422);
    let csv = person.get(&format!("{list}.csv?state=success")).await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let lines: Vec<&str> = text(&csv).lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    let cells: Vec<&str> = lines[1].split(',').collect();
    assert!(cells[0].ends_with("+06:00"), "{cells:?}");
    let rest = ["'=F-1", &ok, "delivered", "recharge", "GP", "01712345101", "10.00", "0.50"];
    assert_eq!(cells[1..9], rest);
    // The live environment of the same account has none of them.
    let live = person.get("/dashboard/live/transactions.csv").await;
    assert_eq!(text(&live).lines().count(), 1);
    server.stop();
}

#[tokio::test]
async fn a_purchase_shows_its_history_and_only_to_its_own() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let id = sell(&server, "01712345101", "S-1").await;
    let mut person = owner(&server).await;
    let path = format!("/dashboard/sandbox/transactions/{id}");
    let html = person.page(&path).await;
    for words in ["Accepted: ৳10.00 and a fee of ৳0.50 held", "Sent to the operator", "Success: "]
    {
        assert!(html.contains(words), "{words}: {html}");
    }
    // Another environment, an unknown id and no id at all: one answer.
    for other in [
        format!("/dashboard/live/transactions/{id}"),
        "/dashboard/sandbox/transactions/999".to_owned(),
        "/dashboard/sandbox/transactions/x".to_owned(),
        "/dashboard/sandbox/keys/999".to_owned(),
    ] {
        assert_eq!(person.get(&other).await.status(), 404, "{other}");
    }
    // It is reported as not received once: a case opens, no money moves.
    let to = format!("{path}/report");
    assert_eq!(person.submit(&path, &to, &[]).await.status(), 303);
    let html = person.page(&path).await;
    assert!(html.contains("You reported that it was not received. Our staff answer by"), "{html}");
    assert!(!html.contains("/report\""), "{html}");
    assert_eq!(folder.sql("SELECT why FROM cases WHERE closed_at IS NULL"), ["clash"]);
    // The search finds it by each of its names and goes there.
    for name in ["S-1", &id, &format!("evt_{id}_approved"), "01712345101"] {
        let reply = person.get(&format!("/dashboard/sandbox/search?q={name}")).await;
        assert_eq!(reply.header("location"), Some(&*path), "{name}");
    }
    server.stop();
}

#[tokio::test]
async fn a_form_that_is_sent_twice_buys_once() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let mut person = owner(&server).await;
    let form = person.page("/dashboard/sandbox/new").await;
    let reference = hidden(&form, "reference");
    let fields = [
        ("csrf", hidden(&form, "csrf")),
        ("reference", reference.clone()),
        ("operator", "GP".to_owned()),
        ("number", "+880 1712-345101".to_owned()),
        ("amount", "১০".to_owned()),
        ("service", "prepaid".to_owned()),
    ];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(n, v)| (*n, v.as_str())).collect();
    let priced = person.post("/dashboard/sandbox/new/price", &fields).await;
    assert_eq!(priced.status(), 200, "{priced:?}");
    assert!(text(&priced).contains("৳10.50"), "{}", text(&priced));
    let mut places = Vec::new();
    for _ in 0..2 {
        let bought = person.post("/dashboard/sandbox/new", &fields).await;
        assert_eq!(bought.status(), 303, "{}", text(&bought));
        let place = bought.header("location").unwrap().split('?').next().unwrap().to_owned();
        places.push(place);
    }
    assert_eq!(places[0], places[1]);
    let mut client = server.sandbox().await;
    client.becomes(&reference, "success", Duration::from_secs(10)).await;
    assert_eq!(client.balance().await, 698_950);
    // What is wrong is said at its field, and nothing is bought.
    let mut wrong = fields.clone();
    wrong[4] = ("amount", "1,5");
    let refused = person.post("/dashboard/sandbox/new/price", &wrong).await;
    assert_eq!(refused.status(), 422);
    assert!(text(&refused).contains("id=\"e-amount\""), "{}", text(&refused));
    assert_eq!(client.balance().await, 698_950);
    server.stop();
}

#[tokio::test]
async fn a_key_pair_is_made_limited_and_revoked() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let mut person = owner(&server).await;
    let keys = "/dashboard/sandbox/keys";
    let made = person.submit(keys, keys, &[]).await;
    assert_eq!(made.status(), 200, "{made:?}");
    assert_eq!(made.header("cache-control"), Some("no-store"));
    let html = text(&made).to_owned();
    let after = |id: &str| {
        let (_, rest) = html.split_once(&format!("id=\"{id}\">")).unwrap();
        rest.split('<').next().unwrap().to_owned()
    };
    let pair = crate::support::Keys {
        open_key: after("open"),
        secret_key: after("secret"),
        ..server.credentials.merchant.sandbox.clone()
    };
    let mut client = crate::support::Client::open(&server.address, &pair).await;
    assert_eq!(client.get("/api/billing/balance").await.status(), 200);
    let (_, rest) = html.split_once("/dashboard/sandbox/keys/").unwrap();
    let one = format!("{keys}/{}", rest.split('"').next().unwrap());
    let bad = person.submit(&one, &format!("{one}/addresses"), &[("addresses", "0.0.0.0/0")]).await;
    assert_eq!(bad.status(), 422);
    let to = format!("{one}/addresses");
    let limited = person.submit(&one, &to, &[("addresses", "203.0.113.7")]).await;
    assert_eq!(limited.status(), 303, "{}", text(&limited));
    let refused = client.get("/api/billing/balance").await;
    refused.assert_refused(403, "IP_NOT_WHITELISTED");
    // The same pair is not there in the other environment.
    let other = one.replace("sandbox", "live");
    assert_eq!(person.get(&other).await.status(), 404);
    assert_eq!(person.submit(&one, &format!("{one}/revoke"), &[]).await.status(), 303);
    client.get("/api/billing/balance").await.assert_refused(401, "INVALID_API_KEYS");
    // Each act is in the record.
    let record = person.page("/dashboard/sandbox/activity").await;
    for act in ["Key pair revoked", "Keys made or changed", "203.0.113.7"] {
        assert!(record.contains(act), "{act}: {record}");
    }
    // Without the page's token nothing is done.
    let forged = person.post(keys, &[("csrf", "forged")]).await;
    assert_eq!(forged.status(), 403);
    server.stop();
}

#[tokio::test]
async fn the_stream_tells_of_a_change_and_ends() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let mut person = owner(&server).await;
    let id = sell(&server, "01712345106", "L-1").await;
    let list = person.page("/dashboard/sandbox/transactions").await;
    assert!(list.contains(&format!("data-stream=\"/dashboard/sandbox/stream?p={id}.")), "{list}");
    // It ends by itself once the purchase is final.
    let stream = person.get(&format!("/dashboard/sandbox/stream?p={id}.1,7.1")).await;
    assert_eq!(stream.header("content-type"), Some("text/event-stream"));
    assert!(text(&stream).contains(&format!("event: purchase\ndata: {id}.")), "{stream:?}");
    let nothing = person.get("/dashboard/sandbox/stream?p=7").await;
    assert_eq!(nothing.status(), 204);
    let rows = person.page("/dashboard/sandbox/transactions?part=rows").await;
    assert!(rows.contains("L-1") && !rows.contains("<html"), "{rows}");
    server.stop();
}

#[tokio::test]
async fn each_role_sees_what_is_its_own() {
    let folder = Folder::new();
    folder.start_with(&UNLIMITED).stop();
    for (role, seen, refused) in [
        ("owner", &["/keys", "/statement", "/new", "/activity"][..], &[][..]),
        ("developer", &["/keys", "/webhooks", "/new"], &["/statement", "/commission"]),
        ("finance", &["/statement", "/commission", "/webhooks"], &["/keys", "/new", "/activity"]),
    ] {
        let set = format!("UPDATE users SET role = '{role}' WHERE email = 'merchant@demo.example'");
        folder.sql(&set);
        let server = folder.start_with(&UNLIMITED);
        let mut person = owner(&server).await;
        let overview = person.page("/dashboard/sandbox").await;
        for page in seen {
            person.page(&format!("/dashboard/sandbox{page}")).await;
        }
        for page in refused {
            let path = format!("/dashboard/sandbox{page}");
            assert_eq!(person.get(&path).await.status(), 403, "{role} {path}");
            assert!(!overview.contains(&format!("\"{path}\"")), "{role} {path}: {overview}");
        }
        server.stop();
    }
}

/// A key pair has an endpoint with its own number; the account's other endpoints have numbers too.
#[tokio::test]
async fn keys_are_made_after_an_endpoint_was_added() {
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let mut person = owner(&server).await;
    let (keys, hooks) = ("/dashboard/sandbox/keys", "/dashboard/sandbox/webhooks");
    for round in 1..=3 {
        let url = format!("https://hooks.example.com/{round}");
        let added = person.submit(hooks, hooks, &[("url", &url)]).await;
        assert_eq!(added.status(), 200, "{}", text(&added));
        let made = person.submit(keys, keys, &[]).await;
        assert_eq!(made.status(), 200, "{round}: {}", text(&made));
        assert!(text(&made).contains("sk_test_"), "{}", text(&made));
    }
    server.stop();
}

//! The catalog is set up by verbs beside a running server, and each change counts at once.

use crate::support::{Folder, assert_exit, recharge};

/// A route, an operator, a price: each verb changes what the next purchase gets.
#[tokio::test(flavor = "multi_thread")]
async fn what_a_verb_sets_the_next_purchase_gets() {
    let folder = Folder::new();
    let server = folder.start();
    let mut client = server.sandbox().await;
    let path = "/api/billing/service-requests/recharge/normal";
    client.post(path, recharge("01712345101", 10, "c-1")).await;

    // Staff approve from now on; the route that the catalog seeded for all recharges is replaced.
    folder.saldo_ok(&[
        "route",
        "set",
        "--environment",
        "sandbox",
        "--operator",
        "gp",
        "--kind",
        "recharge",
        "--upstreams",
        "simulator-b",
        "--needs-approval",
        "--recipient-ends",
        "101",
    ]);
    let held = client.post(path, recharge("01712345101", 10, "c-2")).await.json();
    assert_eq!(held["billing"]["status"], "pending", "{held}");
    let routes = folder.saldo_json(&["route", "list", "--json"]);
    let set = routes.iter().find(|r| r["recipient_ends"] == "101" && r["operator"] == "GP");
    let id = set.unwrap()["id"].to_string();
    folder.saldo_ok(&["route", "off", &id, "--by", "Mina"]);
    let sold = client.post(path, recharge("01712345101", 10, "c-3")).await.json();
    assert_eq!(sold["billing"]["status"], "success", "{sold}");

    folder.saldo_ok(&[
        "price",
        "set",
        "--charge",
        "fee",
        "--operator",
        "GP",
        "--kind",
        "recharge",
        "--flat",
        "0.25",
        "--percent",
        "1",
    ]);
    let priced = client.post(path, recharge("01712345101", 10, "c-4")).await.json();
    assert_eq!(priced["billing"]["fee"].to_string(), "0.35", "{priced}");

    folder.saldo_ok(&["operator", "set", "GP", "--prepaid", "20-500"]);
    let refused = client.post(path, recharge("01712345101", 10, "c-5")).await;
    assert_eq!(refused.status(), 422);
    folder.saldo_ok(&["operator", "off", "grameenphone"]);
    let refused = client.post(path, recharge("01712345101", 50, "c-6")).await;
    assert_eq!(refused.status(), 422);
    folder.saldo_ok(&["operator", "set", "GP"]);
    let sold = client.post(path, recharge("01712345101", 50, "c-6")).await.json();
    assert_eq!(sold["billing"]["status"], "success", "{sold}");

    let acts = folder.saldo_json(&["acts", "--json"]);
    let removal = acts.iter().find(|act| act.to_string().contains(&format!("route {id}")));
    assert!(removal.is_some(), "{acts:?}");
    server.stop();
    folder.verify();
}

/// Verbs that run at once take numbers of their own, and set one row where they mean one.
#[test]
fn verbs_at_once_lose_nothing_of_each_other() {
    let folder = Folder::new();
    let server = folder.start();
    let ends: Vec<String> = (10..22).map(|n| n.to_string()).collect();
    std::thread::scope(|scope| {
        for ends in &ends {
            let folder = &folder;
            scope.spawn(move || {
                let set = ["route", "set", "--environment", "sandbox", "--upstreams"];
                let route = ["simulator-a", "--recipient-ends", ends];
                folder.saldo_ok(&[&set[..], &route].concat());
                // All of them mean the same one.
                let fee = ["price", "set", "--charge", "fee", "--account", "2", "--flat", "1"];
                folder.saldo_ok(&fee);
                let new = ["--country", "BD", "--service", "mobile-recharge"];
                let code = format!("NEW{ends}");
                folder.saldo_ok(&[&["operator", "set", &code], &new[..]].concat());
            });
        }
    });
    let routes = folder.saldo_json(&["route", "list", "--json"]);
    let operators = folder.saldo_json(&["operator", "list", "--json"]);
    for ends in &ends {
        assert_eq!(routes.iter().filter(|r| r["recipient_ends"] == **ends).count(), 1, "{ends}");
        let code = format!("NEW{ends}");
        assert_eq!(operators.iter().filter(|o| o["code"] == code).count(), 1, "{code}");
    }
    let prices = folder.saldo_json(&["price", "list", "--json"]);
    assert_eq!(prices.iter().filter(|price| price["account"] == 2).count(), 1, "{prices:?}");
    server.stop();
}

/// A plan counts for the next call, and without one nothing is sold (CONTRACT A-41).
#[tokio::test(flavor = "multi_thread")]
async fn a_plan_is_set_and_ended_at_once() {
    let folder = Folder::new();
    let server = folder.start();
    let mut client = server.sandbox().await;
    let path = "/api/billing/service-requests/recharge/normal";
    let plan = |folder: &Folder| folder.saldo_json(&["plan", "show", "2", "--json"]).remove(0);
    let until = "2099-01-01T00:00:00Z";
    let limit =
        |reply: &crate::support::Reply| reply.header("x-ratelimit-limit").map(str::to_owned);

    folder.saldo_ok(&["plan", "set", "2", "--plan", "business", "--until", until, "--by", "Mina"]);
    assert_eq!(
        (&plan(&folder)["plan"], &plan(&folder)["until"]),
        (&"business".into(), &until.into())
    );
    let sold = client.post(path, recharge("01712345101", 10, "p-1")).await;
    assert_eq!((sold.status(), limit(&sold).as_deref()), (200, Some("120")));
    folder.saldo_ok(&["plan", "set", "2", "--plan", "enterprise", "--per-minute", "900"]);
    let sold = client.post(path, recharge("01712345101", 10, "p-2")).await;
    assert_eq!((sold.status(), limit(&sold).as_deref()), (200, Some("900")));
    assert_eq!(plan(&folder)["until"], until, "the end stays");
    folder.saldo_ok(&["plan", "off", "2", "--by", "Mina"]);
    assert!(plan(&folder)["plan"].is_null());
    client
        .post(path, recharge("01712345101", 10, "p-3"))
        .await
        .assert_refused(402, "NO_ACTIVE_SUBSCRIPTION");
    assert_eq!(client.get(crate::support::BALANCE).await.status(), 200);
    for (arguments, says) in [
        (&["--plan", "gold", "--until", until][..], "starter, business or enterprise"),
        (&["--plan", "starter", "--per-minute", "5", "--until", until], "enterprise"),
        (&["--plan", "starter"], "--until"),
        (&["--plan", "starter", "--until", "2020-01-01T00:00:00Z"], "is over"),
        (&["--until", until], "no plan yet"),
    ] {
        assert_exit(&folder.saldo(&[&["plan", "set", "2"], arguments].concat()), 1, says);
    }
    assert_exit(&folder.saldo(&["plan", "set", "1", "--plan", "starter"]), 1, "house");
    let acts = folder.saldo_json(&["acts", "--object", "account 2", "--json"]);
    assert!(acts.iter().any(|act| act["by"] == "machine: Mina"), "{acts:?}");
    server.stop();
}

/// A change that cannot be sold is refused with its reason, and nothing is changed.
#[test]
fn a_wrong_change_is_refused_with_its_reason() {
    let folder = Folder::new();
    folder.start().stop();
    let before = folder.saldo_ok(&["catalog", "export"]).stdout;
    let route = ["route", "set", "--environment", "live", "--upstreams"];
    for (arguments, says) in [
        ([&route[..], &["nobody"]].concat(), "no upstream nobody"),
        ([&route[..], &["simulator-a", "--operator", "nobody"]].concat(), "no operator nobody"),
        ([&route[..], &["simulator-a", "--product", "nothing"]].concat(), "no product"),
        ([&route[..], &["simulator-a,simulator-a"]].concat(), "twice"),
        (vec!["route", "set", "--environment", "live"], "leads nowhere"),
        (vec!["route", "off", "987654"], "no such route"),
        (
            vec![
                "price",
                "set",
                "--charge",
                "fee",
                "--flat",
                "1",
                "--operator",
                "GP",
                "--currency",
                "KWD",
            ],
            "not in KWD",
        ),
        (vec!["price", "set", "--charge", "fee"], "--flat"),
        (
            vec!["operator", "set", "NEW", "--country", "XX", "--service", "mobile-recharge"],
            "no country XX",
        ),
        (vec!["operator", "set", "GP", "--prepaid", "500-20"], "smaller one first"),
        (vec!["product", "set", "Nothing", "--operator", "GP"], "is new"),
    ] {
        let output = folder.saldo(&arguments);
        assert_exit(&output, 1, says);
    }
    assert_eq!(folder.saldo_ok(&["catalog", "export"]).stdout, before);
}

/// What is exported is imported again without a difference, and a changed file changes its rows.
#[test]
fn an_exported_catalog_is_a_file_to_import() {
    let folder = Folder::new();
    folder.start().stop();
    let path = folder.path("catalog.toml");
    let file = path.to_str().unwrap();
    folder.saldo_ok(&["catalog", "export", "--to", file]);
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(folder.saldo_ok(&["catalog", "export"]).stdout, text.as_bytes());
    assert_exit(&folder.saldo(&["catalog", "import", file]), 0, "0 rows changed");
    assert_exit(&folder.saldo(&["catalog", "apply"]), 0, "0 rows changed");
    assert!(text.contains("name = \"Grameenphone\""), "{text}");
    let changed = text.replacen("name = \"Grameenphone\"", "name = \"GP Limited\"", 1);
    std::fs::write(&path, changed).unwrap();
    assert_exit(&folder.saldo(&["catalog", "import", file, "--dry-run"]), 0, "operator GP");
    let name = |folder: &Folder| {
        folder.saldo_json(&["operator", "show", "GP", "--json"]).remove(0)["name"].clone()
    };
    assert_eq!(name(&folder), "Grameenphone");
    assert_exit(&folder.saldo(&["catalog", "import", file]), 0, "1 rows changed");
    assert_eq!(name(&folder), "GP Limited");
    let differs = folder.saldo_json(&["catalog", "diff", "--json"]);
    assert_eq!(differs.len(), 1, "{differs:?}");
    folder.saldo_ok(&["catalog", "apply", "--by", "Mina"]);
    assert_eq!(name(&folder), "Grameenphone");
    // A product of a new category, at a fixed price.
    folder.saldo_ok(&[
        "product",
        "set",
        "Night Pack",
        "--operator",
        "gp",
        "--category",
        "Packs",
        "--kind",
        "bundle",
        "--currency",
        "BDT",
        "--price",
        "49",
        "--bill-format",
        "01XXXXXXXXX",
    ]);
    let shown = folder.saldo_json(&["product", "show", "night pack", "--json"]).remove(0);
    assert_eq!((shown["price"].as_str(), shown["operator"].as_str()), (Some("49.00"), Some("GP")));
    folder.saldo_ok(&["product", "off", "Night Pack"]);
    let shown = folder.saldo_json(&["product", "show", "Night Pack", "--json"]).remove(0);
    assert_eq!(shown["is_active"], false);
}

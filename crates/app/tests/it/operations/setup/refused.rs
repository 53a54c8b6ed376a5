//! What is set up wrongly is refused with its reason, and nothing is changed.

use crate::postgres;
use crate::support::{Folder, assert_exit, describe};
use std::fs;
use std::process::Output;

/// Runs each verb, which must be refused so.
#[track_caller]
fn assert_refused(folder: &Folder, refused: &[(&[&str], &str)]) {
    for (arguments, says) in refused {
        let output = folder.saldo(arguments);
        assert_exit(&output, 1, says);
        assert!(!describe(&output).contains("the log says why"), "{}", describe(&output));
    }
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

const LIVE: [&str; 4] = ["route", "set", "--environment", "live"];

/// A simulator delivers nothing: an installation that sells takes no live route to one, by no way;
/// and if an earlier version took one, the next start says what to do.
#[test]
fn a_live_route_to_a_simulator_is_refused_where_it_would_be_sold() {
    let folder = Folder::new();
    let server = folder.serve();
    let says = "simulator-a is simulated and delivers nothing";
    let file = folder.path("routes.toml");
    let route = "[[route]]\nid = 901\nenvironment = \"live\"\nkind = \"recharge\"\n";
    fs::write(&file, format!("{route}upstreams = [\"simulator-a\"]\n")).unwrap();
    let file = file.to_str().unwrap();
    let set = [&LIVE[..], &["--kind", "recharge", "--upstreams", "simulator-a"]].concat();
    let refused: [(&[&str], &str); 3] = [
        (&set, says),
        (&["catalog", "import", file], says),
        (&["catalog", "import", file, "--dry-run"], says),
    ];
    assert_refused(&folder, &refused);
    let sandbox = ["route", "set", "--environment", "sandbox", "--upstreams", "simulator-a"];
    folder.saldo_ok(&sandbox);
    server.stop();
    folder.sql(
        "INSERT INTO routes (id, environment, kind, upstreams, needs_approval)
         VALUES (901, 'live', 'recharge', '[\"simulator-a\"]', 0)",
    );
    let start = folder.saldo(&["serve", "--listen", "127.0.0.1:0"]);
    assert_exit(&start, 2, "live routes lead to a simulator");
    assert!(text(&start).contains("901") && text(&start).contains("saldo route off"));
    folder.saldo_ok(&["route", "off", "901"]);
    folder.serve().stop();
}

/// What a row names is looked up before anything is stored.
#[test]
fn rows_that_name_what_is_not_there_are_refused_with_the_reason() {
    let folder = Folder::new();
    folder.serve().stop();
    let staff = [&LIVE[..], &["--needs-approval"]].concat();
    let route = |more: &[&'static str]| [&staff[..], more].concat();
    let fee = ["price", "set", "--charge", "fee", "--flat", "1"];
    let price = |more: &[&'static str]| [&fee[..], more].concat();
    let new = ["product", "set", "", "--operator", "GP", "--kind", "bundle", "--currency", "BDT"];
    let rest = ["--price", "9", "--bill-format", "01XXXXXXXXX", "--category", "Packs"];
    let blank = [&new[..], &rest[..]].concat();
    let mut no_category = blank.clone();
    (no_category[2], no_category[14]) = ("Pack", "");
    let operator = |more: &[&'static str]| [&["operator", "set"][..], more].concat();
    let in_bd = ["--country", "BD", "--service", "mobile-recharge"];
    let refused = [
        (route(&["--account", "99"]), "there is no account 99"),
        (route(&["--recipient-ends", "abc"]), "1 to 20 digits"),
        (route(&["--recipient-ends", ""]), "1 to 20 digits"),
        (price(&["--account", "99"]), "there is no account 99"),
        (price(&["--min", "5", "--max", "2"]), "its least, 5.00, is above its most, 2.00"),
        (blank, "its name is 1 to 100 characters"),
        (no_category, "its name is 1 to 100 characters"),
        (operator(&[&["G P"][..], &in_bd].concat()), "a code is 1 to 32 of A to Z"),
        (operator(&[&["ÉÉ"][..], &in_bd].concat()), "a code is 1 to 32 of A to Z"),
        (operator(&["GP", "--name", " "]), "its name is 1 to 100 characters"),
        (operator(&["GP", "--logo", "../../key"]), "its logo is the name of a file"),
        (operator(&["GP", "--prefixes", "abc"]), "a prefix is digits"),
    ];
    for (arguments, says) in &refused {
        assert_refused(&folder, &[(arguments, says)]);
    }
    let file = folder.path("catalog.toml");
    let export = String::from_utf8(folder.saldo_ok(&["catalog", "export"]).stdout).unwrap();
    let blank = export.replacen("name = \"Robi\"", "name = \" \"", 1);
    assert_ne!(blank, export);
    fs::write(&file, blank).unwrap();
    for how in [&["--dry-run"][..], &[]] {
        let import = folder.saldo(&[&["catalog", "import", file.to_str().unwrap()], how].concat());
        assert_exit(&import, 1, "operator RB: its name is");
        assert!(import.stdout.is_empty(), "told as done: {}", describe(&import));
    }
    assert_eq!(folder.saldo_ok(&["catalog", "export"]).stdout, export.as_bytes());
}

/// The database writes row by row: two rows cannot change names with each other at once.
#[test]
fn rows_that_swap_their_names_are_refused_with_the_reason() {
    let folder = Folder::new();
    folder.serve().stop();
    let export = String::from_utf8(folder.saldo_ok(&["catalog", "export"]).stdout).unwrap();
    let swapped = export
        .replace("name = \"Airtime\"", "name = \"Third\"")
        .replace("name = \"Electricity\"", "name = \"Airtime\"")
        .replace("name = \"Third\"", "name = \"Electricity\"");
    assert_ne!(swapped, export);
    let file = folder.path("catalog.toml");
    fs::write(&file, swapped).unwrap();
    let import = folder.saldo(&["catalog", "import", file.to_str().unwrap()]);
    assert_exit(&import, 1, "another row has this name so far");
    assert_eq!(folder.saldo_ok(&["catalog", "export"]).stdout, export.as_bytes());
}

/// A list says which limits and dates a fee has.
#[test]
fn a_list_of_prices_shows_limits_and_dates() {
    let folder = Folder::new();
    folder.serve().stop();
    let fee = ["price", "set", "--charge", "fee", "--percent", "1.5", "--min", "0.50"];
    let from = ["--max", "5", "--from", "2030-01-01T00:00:00Z", "--until", "2031-01-01T00:00:00Z"];
    folder.saldo_ok(&[&fee[..], &from].concat());
    let list = describe(&folder.saldo(&["price", "list"]));
    let says = "from 2030-01-01T00:00:00Z, until 2031-01-01T00:00:00Z, at least 0.50, at most 5.00";
    assert!(list.contains(says), "{list}");
}

/// An upstream of a kind, with these secrets, in files of their own.
fn added(folder: &Folder, kind: &str, names: &[&str], more: &[&str]) -> Output {
    let code = kind;
    let mut arguments = vec!["upstream", "add", "--code", code, "--kind", kind, "--by", "Rahima"];
    let url = "https://api.example.com/api";
    arguments.extend(["--environment", "live", "--url", url].iter().chain(more));
    let file = folder.path("a.secret");
    fs::write(&file, "hush\n").unwrap();
    let secrets: Vec<String> = names.iter().map(|n| format!("{n}=@{}", file.display())).collect();
    for secret in &secrets {
        arguments.extend(["--secret", secret]);
    }
    folder.saldo(&arguments)
}

/// Our names are those of the catalog, theirs those that the kind can have; all of a verb are
/// stored, or none.
#[test]
fn a_map_has_known_names_only_and_is_set_as_a_whole() {
    let folder = Folder::new();
    let server = folder.serve();
    assert_exit(&added(&folder, "reloadly", &["client_id", "client_secret"], &[]), 0, "set up");
    let maps = || {
        folder.saldo_json(&["upstream", "show", "reloadly", "--json"]).remove(0)["maps"]["operator"]
            .clone()
    };
    let map = |more: &[&str]| folder.saldo(&[&["upstream", "map", "reloadly"], more].concat());
    assert_exit(&map(&["gp=1", "robi=2", "--by", "R"]), 0, "knows 2 of ours");
    assert_eq!(maps(), serde_json::json!({ "GP": "1", "RB": "2" }));
    for (names, says) in [
        (&["BL=3", "NOPE=4"][..], "There is no operator NOPE"),
        (&["BL=3", "TT=abc"], "TT=abc: reloadly names by numbers"),
        (&["BL=3", "bl=4"], "BL is given twice"),
        (&["BL=3", "AT="], "AT is not mapped"),
        (&["--map", "product", "Nothing=4"], "There is no product \"Nothing\""),
    ] {
        assert_exit(&map(names), 1, says);
        assert_eq!(maps(), serde_json::json!({ "GP": "1", "RB": "2" }), "{names:?}");
    }
    assert_exit(&map(&["GP=7", "Robi="]), 0, "knows 2 of ours");
    assert_eq!(maps(), serde_json::json!({ "GP": "7" }));
    server.stop();
}

/// What a connector would never use, or cannot use, is refused when it is set.
#[test]
fn settings_that_a_kind_cannot_use_are_refused() {
    let folder = Folder::new();
    folder.serve().stop();
    let keys = ["open_key", "secret_key"];
    let wrong = added(&folder, "irecharge", &["open_key", "Secret-Key"], &[]);
    assert_exit(&wrong, 1, "irecharge has no secret Secret-Key: secret_key is meant?");
    assert_exit(&wrong, 1, "it uses: open_key, secret_key, callback_path");
    let wrong = added(&folder, "irecharge", &["open_key", "secret_key", ""], &[]);
    assert_exit(&wrong, 1, "A secret has a name");
    for host in ["###", "a b", "https://x.example", "x.example/path", ""] {
        let wrong = added(&folder, "irecharge", &keys, &["--host", host]);
        assert_exit(&wrong, 1, "is no host");
    }
    for level in [".", "", "-5", "0.001"] {
        let wrong = added(&folder, "irecharge", &keys, &[&format!("--stop-below={level}")]);
        assert_exit(&wrong, 1, "a level is a number");
    }
    let right = ["--host", "auth.example.com:8443", "--stop-below", "0", "--calls-at-once", "7"];
    assert_exit(&added(&folder, "irecharge", &keys, &right), 0, "is set up");
    fs::write(folder.path("blank"), " \n").unwrap();
    let blank = format!("secret_key=@{}", folder.path("blank").display());
    let set = ["upstream", "set", "irecharge", "--by", "R", "--secret", &blank];
    assert_exit(&folder.saldo(&set), 1, "A secret is not blank");
    for verb in [
        &["pause", "irecharge", "--reason", "slow"][..],
        &["resume", "irecharge"],
        &["remove", "irecharge"],
        &["fund", "irecharge", "--amount", "5", "--reference", "B-1"],
    ] {
        for nobody in ["", "  "] {
            let output = folder.saldo(&[&["upstream"], verb, &["--by", nobody]].concat());
            assert_exit(&output, 2, "a name, such as Rahima");
        }
    }
    folder.saldo_ok(&["upstream", "pause", "irecharge", "--reason", "it is slow", "--by", "Mina"]);
    let shown = describe(&folder.saldo(&["upstream", "show", "irecharge"]));
    for says in ["paused   it is slow (by Mina)", "stop     below", "at once  7 orders"] {
        assert!(shown.contains(says), "{says}: {shown}");
    }
}

/// A route never names an upstream that was removed, and one that a route names is not removed.
#[test]
fn routes_and_upstreams_agree() {
    let folder = Folder::new();
    folder.serve().stop();
    assert_exit(&added(&folder, "irecharge", &["open_key", "secret_key"], &[]), 0, "set up");
    let set = [&LIVE[..], &["--upstreams", "irecharge"]].concat();
    folder.saldo_ok(&set);
    let routes = folder.saldo_json(&["route", "list", "--json"]);
    let route = routes.iter().find(|route| route["upstreams"][0] == "irecharge").unwrap();
    let id = route["id"].to_string();
    let remove = ["upstream", "remove", "irecharge", "--by", "Mina"];
    assert_exit(&folder.saldo(&remove), 1, &format!("Routes lead to it: {id}."));
    folder.saldo_ok(&["route", "off", &id]);
    assert_exit(&folder.saldo(&remove), 0, "is removed");
    assert_exit(&folder.saldo(&set), 1, "the upstream irecharge was removed");
    // A route of an earlier version may still name it: setting it again is refused too.
    folder.sql(
        "INSERT INTO routes (id, environment, upstreams, needs_approval)
         VALUES (902, 'live', '[\"irecharge\"]', 0)",
    );
    assert_exit(&folder.saldo(&set), 1, "the upstream irecharge was removed");
}

/// A panel takes orders in one currency: what is sold in another is not routed to it.
#[test]
fn a_route_fits_the_currency_of_its_upstream() {
    let folder = Folder::new();
    folder.serve().stop();
    let example = folder.saldo_ok(&["upstream", "example", "panel-json"]).stdout;
    let example = String::from_utf8(example).unwrap();
    let panel = example.replace("currency = \"BDT\"", "currency = \"USD\"");
    assert_ne!(panel, example);
    let file = folder.path("panel.toml");
    fs::write(&file, panel).unwrap();
    let settings = ["--file", file.to_str().unwrap()];
    assert_exit(&added(&folder, "generic", &["key"], &settings), 0, "is set up");
    let route =
        |more: &[&str]| folder.saldo(&[&LIVE[..], &["--upstreams", "generic"], more].concat());
    assert_exit(&route(&["--operator", "GP"]), 1, "it sells in BDT, and generic takes only USD");
    assert_exit(&route(&["--operator", "ECONET"]), 0, "is set");
    // What is for any operator may have some that sell in dollars.
    assert_exit(&route(&[]), 0, "is set");
}

/// Other values, and lists that name what is not there.
#[test]
fn other_values_are_refused_and_lists_say_what_is_not_there() {
    let folder = Folder::new();
    // A database on a server is not in the folder.
    if !postgres::is_chosen() {
        let none = folder.saldo(&["account", "list"]);
        assert_exit(&none, 2, "start `saldo serve` once");
    }
    folder.serve().stop();
    let open =
        |more: &[&str]| folder.saldo(&[&["account", "open", "--name", "Shop"], more].concat());
    assert_exit(&open(&["--plan", "enterprise", "--per-minute", "0"]), 2, "per-minute");
    assert_exit(&open(&["--plan", "starter", "--per-minute", "5"]), 1, "for the enterprise plan");
    assert_exit(&open(&["--plan", "enterprise", "--per-minute", "5"]), 0, "");
    for flag in ["--lose-replies", "--lose-requests"] {
        let output =
            folder.saldo(&["simulate", "reloadly", "--listen", "127.0.0.1:0", flag, "101"]);
        assert_exit(&output, 2, "101 is not in 0..=100");
    }
    assert_exit(&folder.saldo(&["key", "list", "--account", "99"]), 1, "there is no account 99");
    let list = ["purchase", "list", "--operator", "NOPE"];
    assert_exit(&folder.saldo(&list), 1, "there is no operator NOPE");
    folder.saldo_ok(&["purchase", "list", "--operator", "grameenphone"]);
    folder.saldo_ok(&["key", "make", "--account", "2", "--environment", "sandbox"]);
    let keys = folder.saldo_json(&["key", "list", "--account", "2", "--json"]);
    assert_eq!((keys.len(), &keys[0]["state"]), (1, &"active".into()), "{keys:?}");
    let check = folder.saldo(&["upstream", "check", "--kind", "generic"]);
    assert_exit(&check, 2, "--file TOML");
    // A message of several lines is lines.
    fs::write(folder.path("bad.toml"), "[[route]]\nid = \n").unwrap();
    let import = folder.saldo(&["catalog", "import", folder.path("bad.toml").to_str().unwrap()]);
    assert!(!text(&import).contains("\\n") && text(&import).lines().count() > 2, "{import:?}");
}

//! What is set up wrongly is refused with its reason, and nothing is changed.

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
    let says = "simulator-a is a simulator and delivers nothing";
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

/// A route says which limits and dates a fee has.
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

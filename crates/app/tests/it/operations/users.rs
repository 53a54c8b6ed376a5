//! `saldo user`: with a running server and without one.

use crate::support::{Folder, assert_exit, describe};
use serde_json::Value;

fn customer(folder: &Folder) -> Value {
    let users = folder.saldo_json(&["user", "list", "--json"]);
    let is_customer = |user: &&Value| user["email"] == "customer@demo.example";
    users.iter().find(is_customer).unwrap().clone()
}

#[test]
fn a_login_is_disabled_and_enabled() {
    let folder = Folder::new();
    let server = folder.start();
    let change = |verb: &str, email: &str| folder.saldo(&["user", verb, email]);
    assert_eq!(customer(&folder)["active"], true);
    assert_exit(&change("disable", " Customer@demo.example"), 0, "");
    assert_eq!(customer(&folder)["active"], false);
    assert_exit(&change("log-out", "customer@demo.example"), 0, "");
    assert_exit(&change("disable", "nobody@demo.example"), 1, "There is no such login.");
    server.stop();
    assert_eq!(customer(&folder)["active"], false);
    assert_exit(&change("enable", "customer@demo.example"), 0, "");
    assert_eq!(customer(&folder)["active"], true);
    let list = describe(&folder.saldo(&["user", "list"]));
    assert!(list.contains("customer@demo.example") && !list.contains("argon2"), "{list}");
    folder.verify();
}

/// By no verb an account loses its last active owner; a customer's only login may be kept out.
#[test]
fn an_account_keeps_an_active_owner() {
    let folder = Folder::new();
    folder.start().stop();
    let users = folder.saldo_json(&["user", "list", "--json"]);
    let is_owner = |user: &&Value| user["account"] == 2 && user["role"] == "owner";
    let owner = users.iter().find(is_owner).unwrap()["email"].as_str().unwrap().to_owned();
    let says = "An account keeps an owner: make another one first.";
    assert_exit(&folder.saldo(&["user", "role", &owner, "finance"]), 1, says);
    assert_exit(&folder.saldo(&["user", "disable", &owner]), 1, says);
    let make = ["user", "make", "--email", "two@demo.example", "--account", "2"];
    folder.saldo_ok(&make);
    folder.saldo_ok(&["user", "disable", &owner]);
    folder.saldo_ok(&["user", "disable", &owner]);
    assert_exit(&folder.saldo(&["user", "disable", "two@demo.example"]), 1, says);
    folder.saldo_ok(&["user", "enable", &owner]);
    folder.saldo_ok(&["user", "disable", "two@demo.example"]);
    assert_exit(&folder.saldo(&["user", "disable", "owner@demo.example"]), 1, says);
}

/// An unusable setting is reported at the start, in a sentence without the password.
#[test]
fn a_wrong_mail_server_is_reported_at_the_start() {
    let folder = Folder::new();
    folder.start().stop();
    let file = folder.path("saldo.toml");
    std::fs::write(&file, "smtp_url = \"smtp://saldo:tell-nobody@mail.example.org\"\n").unwrap();
    let output = folder.saldo(&["user", "list", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let message = describe(&output);
    assert!(message.contains("smtp_url") && !message.contains("tell-nobody"), "{message}");
}

//! `saldo user`: on a folder that a server holds and on one that nobody does.

use crate::harness::{Folder, words};
use serde_json::Value;

fn customer(folder: &Folder) -> Value {
    let users = folder.saldo_json(&["user", "list", "--json"]);
    let is_customer = |user: &&Value| user["email"] == "customer@demo.example";
    users.iter().find(is_customer).unwrap().clone()
}

#[test]
fn a_login_is_kept_out_and_let_in() {
    let folder = Folder::new();
    let server = folder.start();
    let change = |verb: &str, email: &str| folder.saldo(&["user", verb, email]);
    assert_eq!(customer(&folder)["active"], true);
    let done = change("disable", " Customer@demo.example");
    assert!(done.status.success(), "{}", words(&done));
    assert_eq!(customer(&folder)["active"], false);
    assert!(change("log-out", "customer@demo.example").status.success());
    let nobody = change("disable", "nobody@demo.example");
    assert_eq!(nobody.status.code(), Some(1));
    assert!(words(&nobody).contains("There is no such login."), "{}", words(&nobody));
    server.stop();
    assert_eq!(customer(&folder)["active"], false);
    assert!(change("enable", "customer@demo.example").status.success());
    assert_eq!(customer(&folder)["active"], true);
    let list = words(&folder.saldo(&["user", "list"]));
    assert!(list.contains("customer@demo.example") && !list.contains("argon2"), "{list}");
    folder.verify();
}

/// What cannot work is said at the start, in a sentence that holds no password.
#[test]
fn a_wrong_mail_server_is_named_at_the_start() {
    let folder = Folder::new();
    folder.start().stop();
    let file = folder.path("saldo.toml");
    std::fs::write(&file, "smtp_url = \"smtp://saldo:tell-nobody@mail.example.org\"\n").unwrap();
    let output = folder.saldo(&["user", "list", "--config", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(2));
    let said = words(&output);
    assert!(said.contains("smtp_url") && !said.contains("tell-nobody"), "{said}");
}

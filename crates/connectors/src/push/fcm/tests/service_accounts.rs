//! Which service accounts are rejected, and that the key is never printed.

use super::*;

#[test]
fn an_error_names_the_field_and_not_its_value() {
    let good = account("https://oauth2.example");
    let with = |field: &str, value: Value| {
        let mut account = good.clone();
        account[field] = value;
        account.to_string()
    };
    let without = |field: &str| {
        let mut account = good.clone();
        account.as_object_mut().unwrap().remove(field);
        account.to_string()
    };
    let damaged = KEY_PEM.replace("MII", "MIJ");
    let ec = KEY_PEM.replace("PRIVATE KEY", "EC PRIVATE KEY");
    let mut table = String::new();
    for json in [
        String::new(),
        "[]".into(),
        format!("{{\"private_key\": \"{}", KEY_PEM.replace('\n', "\\n")),
        without("project_id"),
        with("project_id", json!("../x")),
        with("project_id", json!(7)),
        without("client_email"),
        with("client_email", json!(" ")),
        without("private_key_id"),
        without("private_key"),
        with("private_key", json!([KEY_PEM])),
        with("private_key", json!("secret")),
        with("private_key", json!(damaged)),
        with("private_key", json!(ec)),
        without("token_uri"),
        with("token_uri", json!("http://oauth2.example/token")),
        with("token_uri", json!("token")),
    ] {
        let bad = ServiceAccount::parse(json.as_bytes()).unwrap_err();
        table += &format!("{bad}\n");
        assert!(!format!("{bad:?} {bad}").contains(&KEY_PEM[120..140]), "{bad}");
    }
    expect![[r#"
        the service account is not a JSON object
        the service account is not a JSON object
        the service account is not a JSON object
        the service account's project_id is missing
        the service account's project_id is not a project's name
        the service account's project_id is not a string
        the service account's client_email is missing
        the service account's client_email is empty
        the service account's private_key_id is missing
        the service account's private_key is missing
        the service account's private_key is not a string
        the service account's private_key is not a private key in PKCS#8 PEM
        the service account's private_key is not a key that can sign
        the service account's private_key is not a private key in PKCS#8 PEM
        the service account's token_uri is missing
        the service account's token_uri is not https
        the service account's token_uri is not a URL
    "#]]
    .assert_eq(&table);
    let good = ServiceAccount::parse(good.to_string().as_bytes()).unwrap();
    assert_eq!(good.project_id(), "saldo-tests");
    assert!(!format!("{good:?}").contains("key"), "{good:?}");
}

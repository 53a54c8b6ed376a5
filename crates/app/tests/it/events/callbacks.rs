//! `POST /callbacks/<upstream>`: a callback signed by the simulator leads to a query, a forged one
//! is refused.

use crate::support::{Client, Folder, RECHARGE, recharge};
use connectors::upstream::simulator::{SIGNATURE_HEADER, signed_callback};
use domain::{AttemptRef, PurchaseNumber};
use ring::hmac;
use std::time::Duration;

fn secret(folder: &Folder) -> [u8; 32] {
    let master = std::fs::read(folder.data_dir().join("master.key")).unwrap();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &master);
    hmac::sign(&key, b"simulator callbacks").as_ref().try_into().unwrap()
}

async fn call(client: &mut Client, secret: &[u8; 32], attempt: AttemptRef) -> u16 {
    let callback = signed_callback(secret, attempt, "delivered");
    client.set(SIGNATURE_HEADER, callback.header(SIGNATURE_HEADER).unwrap());
    let reply = client.post("/callbacks/simulator-a", callback.body).await;
    client.set(SIGNATURE_HEADER, "");
    reply.status()
}

#[tokio::test]
async fn a_signed_callback_leads_to_a_query_and_a_forged_one_is_refused() {
    let folder = Folder::new();
    let server = folder.start();
    let mut client = server.sandbox().await;
    // The upstream delivers, and its answer is lost.
    let reply = client.post(RECHARGE, recharge("01712345106", 10, "R1")).await;
    let billing = reply.json()["billing"].clone();
    let id = billing["transactionId"].as_i64().unwrap();
    let attempt = AttemptRef { purchase: PurchaseNumber(id), number: 1 };
    assert_eq!(call(&mut client, &[0; 32], attempt).await, 401);
    let show = || {
        let id = id.to_string();
        folder.saldo_json(&["purchase", "show", &id, "--json"]).remove(0)
    };
    let evidence = |show: serde_json::Value| show["evidence"].to_string().contains("callback");
    assert!(!evidence(show()));
    assert_eq!(call(&mut client, &secret(&folder), attempt).await, 202);
    client.becomes("R1", "success", Duration::from_secs(10)).await;
    assert!(evidence(show()), "{}", show());
    assert_eq!(client.post("/callbacks/nobody", "{}").await.status(), 404);
    // A GET is a callback too, here one without a signature.
    assert_eq!(client.get("/callbacks/simulator-a").await.status(), 401);
    assert_eq!(client.get("/callbacks/simulator-a/x/y?z=1").await.status(), 401);
    assert_eq!(client.post("/callbacks/simulator-a", vec![b' '; 70_000]).await.status(), 413);
    server.stop();
    folder.verify();
}

/// The example of a panel with a secret path, and an answer of its own.
fn panel_with_hook() -> String {
    let example = include_str!("../../../../../docs/upstreams/panel-json.toml");
    let hook = "[hook]\npath = \"{secret.hook}\"\nanswer = { status = 200, body = \"OK\" }";
    let file = example.replace("names = [\"key\"]", "names = [\"key\", \"hook\"]");
    file.replace("[hook]", hook)
}

#[tokio::test]
async fn a_panel_hears_what_its_file_says_at_its_secret_path() {
    let folder = Folder::new();
    let server = folder.start();
    let (file, secret) = (folder.path("panel.toml"), folder.path("panel.key"));
    std::fs::write(&file, panel_with_hook()).unwrap();
    std::fs::write(&secret, "s3cret-path\n").unwrap();
    let secrets = ["key", "hook"].map(|name| format!("{name}=@{}", secret.display()));
    let at = ["upstream", "add", "--code", "panel", "--kind", "generic", "--environment", "live"];
    let by = ["--url", "https://panel.example", "--by", "Rahima", "--secret", &secrets[0]];
    let own = ["--secret", &secrets[1], "--file", file.to_str().unwrap()];
    folder.saldo_ok(&[&at[..], &by, &own].concat());
    let mut client = server.sandbox().await;
    let body = r#"{"txid":"S1042x1"}"#;
    let reply = client.post("/callbacks/panel/s3cret-path", body).await;
    assert_eq!((reply.status(), &reply.0.body[..]), (200, &b"OK"[..]));
    for wrong in ["/callbacks/panel", "/callbacks/panel/other", "/callbacks/panel/s3cret-path/x"] {
        assert_eq!(client.post(wrong, body).await.status(), 401, "{wrong}");
    }
    assert_eq!(client.get("/callbacks/panel/s3cret-path").await.status(), 401, "it says POST");
    server.stop();
    folder.verify();
}

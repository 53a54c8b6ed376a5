//! A customer's login over HTTP: sign-up by mail, change and reset of the password, and every way
//! in which an access token ends before its hour.

use crate::support::{
    Client, Consumer, Folder, Reply, Rng, Server, UNLIMITED, WALLET_API, anonymous,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

const EMAIL: &str = "tendai@example.org";
const FIRST: &str = "first password";
const SECOND: &str = "second password";
const THIRD: &str = "third password";

async fn post(client: &mut Client, path: &str, body: &Value) -> Reply {
    client.post(&format!("{WALLET_API}{path}"), body.to_string()).await
}

async fn log_in(server: &Server, password: &str) -> Reply {
    let body = json!({"username": EMAIL, "password": password, "fcmToken": ""});
    post(&mut anonymous(server).await, "/authenticate/customers", &body).await
}

async fn session(server: &Server, password: &str) -> Client {
    let reply = log_in(server, password).await;
    assert_eq!(reply.status(), 200, "{}", reply.json());
    let mut client = anonymous(server).await;
    let token = reply.json()["accessToken"].as_str().unwrap().to_owned();
    client.set("authorization", &format!("Bearer {token}"));
    client
}

async fn is_logged_in(client: &mut Client) -> bool {
    let reply = client.get(&format!("{WALLET_API}/wallet/balance")).await;
    assert!([200, 401].contains(&reply.status()), "{}", reply.json());
    reply.status() == 200
}

/// Waits for a mail to Tendai with another code than `last`; gives that code. A demo writes its
/// mails to its folder.
async fn next_code(folder: &Folder, last: &str) -> String {
    let start = Instant::now();
    loop {
        let code = newest_code(folder);
        if !code.is_empty() && code != last {
            return code;
        }
        assert!(start.elapsed() < Duration::from_secs(10), "no mail");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn newest_code(folder: &Folder) -> String {
    let files = std::fs::read_dir(folder.data_dir().join("mail")).ok();
    let paths = files.into_iter().flatten().map(|file| file.unwrap().path());
    let mut mails: Vec<_> = paths.filter(|p| p.extension().is_some_and(|e| e == "eml")).collect();
    mails.sort_by_key(|file| file.metadata().unwrap().modified().unwrap());
    let texts = mails.iter().rev().map(|file| std::fs::read_to_string(file).unwrap());
    let code = |text: String| {
        let is_to_tendai = text.contains(&format!("To: {EMAIL}"));
        let code = text.split_once("Your code: ").filter(|_| is_to_tendai)?.1;
        code.split_whitespace().next().map(str::to_owned)
    };
    texts.into_iter().find_map(code).unwrap_or_default()
}

#[tokio::test]
async fn from_sign_up_to_a_disabled_login() {
    let folder = Folder::new();
    let server = folder.start();
    let mut client = anonymous(&server).await;
    let form = json!({"email": EMAIL, "mobile": "0771234567", "password": FIRST, "name": "Tendai"});
    assert_eq!(post(&mut client, "/register", &form).await.status(), 200);
    let known = json!({"email": "customer@demo.example", "mobile": "", "password": FIRST});
    let first_mail = next_code(&folder, "").await;
    // The same answer, whether the address is known or not.
    let same = post(&mut client, "/register", &form).await;
    let as_known = post(&mut client, "/register", &known).await;
    assert_eq!((same.status(), same.json()), (as_known.status(), as_known.json()));
    assert_eq!(log_in(&server, FIRST).await.status(), 401, "not confirmed yet");
    let newest = next_code(&folder, &first_mail).await;
    let confirm = |code: &str| json!({"email": EMAIL, "code": code, "password": FIRST});
    let old = post(&mut client, "/register/confirm", &confirm(&first_mail)).await;
    assert_eq!(old.status(), 200, "an older code stays valid: {}", old.json());
    let done = post(&mut client, "/register/confirm", &confirm(&newest)).await;
    assert_eq!(done.status(), 422, "only one code is used: {}", done.json());

    let mut phone = session(&server, FIRST).await;
    let wallets = phone.get(&format!("{WALLET_API}/wallet/balance")).await.json();
    assert_eq!(
        wallets,
        json!([{"currency": "USD", "balance": 0}, {"currency": "ZWG", "balance": 0}])
    );
    let change = json!({"currentPassword": FIRST, "newPassword": SECOND});
    assert_eq!(post(&mut phone, "/password/change", &change).await.status(), 200);
    assert!(!is_logged_in(&mut phone).await, "a new password ends every session");
    assert_eq!(log_in(&server, FIRST).await.status(), 401);

    let mut phone = session(&server, SECOND).await;
    let forgot = json!({"email": EMAIL});
    assert_eq!(post(&mut client, "/password/forgot", &forgot).await.status(), 200);
    let typed = next_code(&folder, &newest).await;
    let reset = json!({"email": EMAIL, "code": typed, "newPassword": THIRD});
    assert_eq!(post(&mut client, "/password/reset", &reset).await.status(), 200);
    assert_eq!(post(&mut client, "/password/reset", &reset).await.status(), 422, "used up");
    assert!(!is_logged_in(&mut phone).await);

    let [mut one, mut two] = [session(&server, THIRD).await, session(&server, THIRD).await];
    assert_eq!(post(&mut one, "/authenticate/logout", &json!({})).await.status(), 200);
    assert!(!is_logged_in(&mut one).await);
    assert!(is_logged_in(&mut two).await, "the other phone stays logged in");
    folder.saldo_ok(&["user", "disable", EMAIL]);
    let start = Instant::now();
    while is_logged_in(&mut two).await {
        assert!(start.elapsed() < Duration::from_secs(1), "revocation takes longer than a second");
    }
    assert_eq!(log_in(&server, THIRD).await.status(), 403, "the right password gets the reason");
    server.stop();
    folder.verify();
}

/// Sixty forged tokens, one after another from one address, get the same answer, and the right
/// token stays valid.
#[tokio::test]
async fn forged_tokens_all_get_the_same_answer() {
    let folder = Folder::new();
    let server = folder.start();
    let mut consumer = Consumer::log_in(&server, "live", "").await;
    let parts: Vec<&str> = consumer.token.split('.').collect();
    let [head, claims, tag] = parts[..] else { panic!("{}", consumer.token) };
    let sandbox = Consumer::log_in(&server, "sandbox", "").await.token;
    let other_tag = sandbox.rsplit('.').next().unwrap();
    let mut forged = vec![format!("{head}.{claims}."), format!("{head}.{claims}.{other_tag}")];
    for alg in ["none", "None", "NONE", "nOnE", "HS384", "RS256", "ES256", ""] {
        let head = URL_SAFE_NO_PAD.encode(json!({"alg": alg, "typ": "JWT"}).to_string());
        forged.extend([format!("{head}.{claims}."), format!("{head}.{claims}.{tag}")]);
    }
    let token = consumer.token.clone();
    forged.extend((0..token.len()).step_by(token.len() / 44).map(|at| {
        let other = if &token[at..=at] == "A" { "B" } else { "A" };
        format!("{}{other}{}", &token[..at], &token[at + 1..])
    }));
    assert!(forged.len() >= 60, "{}", forged.len());
    let mut client = anonymous(&server).await;
    for token in &forged {
        client.set("authorization", &format!("Bearer {token}"));
        let reply = client.get(&format!("{WALLET_API}/wallet/balance")).await;
        assert_eq!((reply.status(), reply.json()["code"].as_str()), (401, Some("TOKEN_INVALID")));
        assert_eq!(reply.header("www-authenticate"), Some("Bearer"));
    }
    assert!(is_logged_in(&mut consumer.client).await);
    server.stop();
}

/// Any body is answered in the form of this dialect: never a 5xx, never a lost connection.
#[tokio::test]
async fn two_thousand_mangled_bodies_are_answered_as_documented() {
    let mut rng = Rng::new("logins");
    let folder = Folder::new();
    let server = folder.start_with(&UNLIMITED);
    let mut consumer = Consumer::log_in(&server, "sandbox", "known-phone").await;
    let bodies = [
        (
            "/v1/transactions/bill-payment/pre-auth",
            concat!(
                r#"{"amount": 10, "productId": 21, "requestId": "R", "#,
                r#""billReference": "41234567101", "customerMobile": "0771234567", "#,
                r#""additionalData": {"a": "b"}}"#
            ),
        ),
        ("/transactions/bill-payment/auth", r#"{"preAuthToken": "preauth_abc", "requestId": "R"}"#),
        (
            "/authenticate/customers",
            r#"{"username": "user@example.com", "password": "x", "fcmToken": "y"}"#,
        ),
        (
            "/register/confirm",
            r#"{"email": "user@example.com", "code": "AAAAA-AAAAA", "password": "x"}"#,
        ),
        (
            "/password/reset",
            r#"{"email": "user@example.com", "code": "AAAAA-AAAAA", "newPassword": "long enough"}"#,
        ),
    ];
    for n in 0..2_000 {
        let (path, body) = rng.pick(&bodies);
        let mut bytes = body.replace("\"R\"", &format!("\"R-{n}\"")).into_bytes();
        for _ in 0..rng.below(6) {
            let at = rng.below(bytes.len().max(1));
            match rng.below(4) {
                0 if !bytes.is_empty() => bytes[at] = u8::try_from(rng.below(256)).unwrap(),
                1 if bytes.len() > 1 => drop(bytes.remove(at)),
                2 => bytes.insert(at, b"{}[]\",:0e-.\\"[rng.below(12)]),
                _ => bytes.truncate(at.max(1)),
            }
        }
        let shown = String::from_utf8_lossy(&bytes).into_owned();
        let reply = consumer.client.post(&format!("{WALLET_API}{path}"), bytes).await;
        assert!(reply.status() < 500, "{path} {shown}: {}", reply.status());
        if reply.status() != 200 {
            let answer = reply.json();
            assert!(
                answer["message"].is_string() && answer["code"].is_string(),
                "{shown}: {answer}"
            );
        }
        if reply.header("connection") == Some("close") {
            consumer = Consumer::log_in(&server, "sandbox", "known-phone").await;
        }
    }
    server.stop();
    folder.verify();
}

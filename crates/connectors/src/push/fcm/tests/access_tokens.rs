//! Access tokens: how the assertion is signed, and how often a token is fetched.

use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rsa::KeyPair as RsaKeyPair;
use ring::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;

#[tokio::test]
async fn an_assertion_is_signed_and_has_our_claims() {
    let world = World::new().await;
    assert_eq!(world.push().await, Pushed::Accepted);
    let assertion = world.google.assertions.lock()[0].clone();
    let (signed, signature) = assertion.rsplit_once('.').unwrap();
    let der = PrivatePkcs8KeyDer::from_pem_slice(KEY_PEM.as_bytes()).unwrap();
    let pair = RsaKeyPair::from_pkcs8(der.secret_pkcs8_der()).unwrap();
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_ref())
        .verify(signed.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).unwrap())
        .unwrap();
    let parts: Vec<Value> = signed
        .split('.')
        .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
        .collect();
    assert_eq!(parts[0], json!({ "alg": "RS256", "typ": "JWT", "kid": "key-7" }));
    assert_eq!(
        parts[1],
        json!({
            "iss": "pusher@saldo-tests.iam.gserviceaccount.com",
            "scope": "https://www.googleapis.com/auth/firebase.messaging",
            "aud": format!("{}/token", world.base),
            "iat": 1_776_985_740,
            "exp": 1_776_985_740 + 3600,
        })
    );
}

#[tokio::test]
async fn twenty_concurrent_pushes_fetch_one_token() {
    let world = Arc::new(World::new().await);
    let pushes: Vec<_> = (0..20)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.push().await })
        })
        .collect();
    for pushed in pushes {
        assert_eq!(pushed.await.unwrap(), Pushed::Accepted);
    }
    assert_eq!((world.fetches(), world.sends()), (1, 20));
}

#[tokio::test]
async fn a_token_is_replaced_ten_minutes_before_it_expires() {
    let world = World::new().await;
    for (minutes, fetches) in [(0, 1), (49, 1), (1, 2), (49, 2), (1, 3)] {
        world.advance(Duration::from_secs(minutes * 60));
        assert_eq!(world.push().await, Pushed::Accepted);
        assert_eq!(world.fetches(), fetches, "{minutes} minutes later");
    }
    // A token with a lifetime of ten minutes is used for five, not fetched for every push.
    let world = World::new().await;
    world.reply_to_fetches([token_reply("short", 600)]);
    for (minutes, fetches) in [(0, 1), (4, 1), (1, 2)] {
        world.advance(Duration::from_secs(minutes * 60));
        assert_eq!(world.push().await, Pushed::Accepted);
        assert_eq!(world.fetches(), fetches, "{minutes} minutes later");
    }
}

#[tokio::test]
async fn a_rejected_token_is_replaced_once() {
    let world = World::new().await;
    world.reply_to_sends([unauthenticated(), accepted()]);
    assert_eq!(world.push().await, Pushed::Accepted);
    assert_eq!((world.fetches(), world.sends()), (2, 2));
    let second = world.google.messages.lock()[1].1.clone();
    assert_eq!(second, format!("Bearer {ACCESS_TOKEN}-2"));

    world.reply_to_sends([unauthenticated()]);
    let reason = "FCM answered 401 UNAUTHENTICATED: the access token".to_owned();
    assert_eq!(world.push().await, Pushed::Later { reason, after: None });
    assert_eq!((world.fetches(), world.sends()), (3, 4));
}

#[tokio::test]
async fn twenty_concurrent_rejections_fetch_one_more_token() {
    let world = Arc::new(World::new().await);
    assert_eq!(world.push().await, Pushed::Accepted);
    *world.google.rejected.lock() = format!("Bearer {ACCESS_TOKEN}-1");
    // On one thread: all pushes have read the first token before the first response arrives.
    let pushes = (0..20).map(|_| {
        let world = Arc::clone(&world);
        async move { world.push().await }
    });
    let pushes: Vec<_> = pushes.map(tokio::spawn).collect();
    for pushed in pushes {
        assert_eq!(pushed.await.unwrap(), Pushed::Accepted);
    }
    assert_eq!((world.fetches(), world.sends()), (2, 41));
}

#[tokio::test]
async fn without_a_token_nothing_is_sent() {
    let replies = [
        json_reply(400, json!({ "error": "invalid_grant", "error_description": DEVICE_TOKEN })),
        Reply::Http(503, &[("retry-after", "30")], "<html>".into()),
        json_reply(200, json!({ "id_token": "x" })),
        json_reply(200, json!({ "access_token": "", "expires_in": 3599 })),
        json_reply(200, json!({ "access_token": "a\r\nb", "expires_in": 3599 })),
        Reply::Http(302, &[("location", "/token")], String::new()),
        Reply::Http(200, &[], "x".repeat(10_000_000)),
    ];
    let mut table = String::new();
    for reply in replies {
        let world = World::new().await;
        world.reply_to_fetches([reply]);
        let pushed = world.push().await;
        assert_eq!((world.fetches(), world.sends()), (1, 0), "{pushed:?}");
        let Pushed::Later { reason, after } = pushed else { panic!("{pushed:?}") };
        table += &format!("{reason} (after: {after:?})\n");
    }
    expect![[r#"
        no access token: the token endpoint answered 400 invalid_grant (after: None)
        no access token: the token endpoint answered 503 (after: Some(30s))
        no access token: the answer of the token endpoint has none (after: None)
        no access token: the answer of the token endpoint has none (after: None)
        no access token: the answer of the token endpoint has none (after: None)
        no access token: the token endpoint answered 302 (after: None)
        no access token: an answer of more than 65536 bytes (after: None)
    "#]]
    .assert_eq(&table);
}

#[tokio::test]
async fn after_a_failed_fetch_there_is_a_pause() {
    let world = Arc::new(World::new().await);
    world.reply_to_fetches([
        json_reply(400, json!({ "error": "invalid_grant" })),
        token_reply("good", 3599),
    ]);
    let pushes: Vec<_> = (0..20)
        .map(|_| {
            let world = Arc::clone(&world);
            tokio::spawn(async move { world.push().await })
        })
        .collect();
    for pushed in pushes {
        assert!(matches!(pushed.await.unwrap(), Pushed::Later { .. }));
    }
    assert_eq!((world.fetches(), world.sends()), (1, 0));
    world.advance(Duration::from_secs(5));
    assert_eq!(world.push().await, Pushed::Accepted);
    assert_eq!((world.fetches(), world.sends()), (2, 1));
}

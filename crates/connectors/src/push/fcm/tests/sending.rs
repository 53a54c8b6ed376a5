//! What is sent to FCM, and what each of its responses means.

use super::*;

#[tokio::test]
async fn a_message_has_fcms_format() {
    let world = World::new().await;
    assert_eq!(world.push().await, Pushed::Accepted);
    let (path, authorization, message) = world.google.messages.lock()[0].clone();
    assert_eq!(path, "/v1/projects/saldo-tests/messages:send");
    assert_eq!(authorization, format!("Bearer {ACCESS_TOKEN}-1"));
    expect![[r#"
        {
          "message": {
            "android": {
              "collapse_key": "purchase-8123456789",
              "notification": {
                "tag": "purchase-8123456789"
              },
              "priority": "high"
            },
            "apns": {
              "headers": {
                "apns-collapse-id": "purchase-8123456789"
              }
            },
            "data": {
              "kind": "purchase",
              "purchase": "8123456789"
            },
            "notification": {
              "body": "৳50.00 → 01614031175",
              "title": "Recharge delivered"
            },
            "token": "fGx0:APA91b-device-token-that-nobody-may-see"
          }
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(&message).unwrap());
}

#[test]
fn a_tag_that_apns_rejects_is_replaced_by_a_unique_id() {
    let fits = "x".repeat(64);
    assert_eq!(collapse_id(&fits), fits.as_str());
    let long = ["x".repeat(65), "x".repeat(66), "ট্যাগ".into(), "a b".into(), "a\r\nb".into()];
    let ids: std::collections::BTreeSet<String> =
        long.iter().map(|tag| collapse_id(tag).into_owned()).collect();
    assert_eq!(ids.len(), long.len());
    assert!(ids.iter().all(|id| id.len() == 64), "{ids:?}");
}

/// Responses of FCM, or of a proxy in front of it.
fn replies() -> Vec<(&'static str, Reply)> {
    let no = || json!([]);
    let fcm =
        |code, status, own_code| json_reply(code, fcm_error(code, status, fcm_code(own_code)));
    let after = |headers, code, status| {
        Reply::Http(code, headers, fcm_error(code, status, no()).to_string())
    };
    let invalid =
        |field| json_reply(400, fcm_error(400, "INVALID_ARGUMENT", field_violation(field)));
    let page = |code| Reply::Http(code, &[], "<!DOCTYPE html><title>Error</title>".into());
    vec![
        ("accepted", accepted()),
        ("no name", json_reply(200, json!({}))),
        ("garbage", Reply::Http(200, &[], "OK".into())),
        ("empty", Reply::Http(204, &[], String::new())),
        ("unregistered", fcm(404, "NOT_FOUND", "UNREGISTERED")),
        ("another's device", fcm(403, "PERMISSION_DENIED", "SENDER_ID_MISMATCH")),
        ("no such project", json_reply(404, fcm_error(404, "NOT_FOUND", no()))),
        ("no such page", page(404)),
        ("500 unregistered", fcm(500, "INTERNAL", "UNREGISTERED")),
        ("not allowed", json_reply(403, fcm_error(403, "PERMISSION_DENIED", no()))),
        ("bad token", invalid("message.token")),
        ("bad data", invalid("message.data[0].value")),
        ("bad, secret", invalid(DEVICE_TOKEN)),
        ("bad, no field", fcm(400, "INVALID_ARGUMENT", "INVALID_ARGUMENT")),
        ("too big", json_reply(400, fcm_error(400, "INVALID_ARGUMENT", no()))),
        ("bad, unreadable", page(400)),
        ("APNs key", fcm(401, "UNAUTHENTICATED", "THIRD_PARTY_AUTH_ERROR")),
        ("quota", fcm(429, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED")),
        ("quota, in 7 s", after(&[("retry-after", "7")], 429, "RESOURCE_EXHAUSTED")),
        ("down", fcm(503, "UNAVAILABLE", "UNAVAILABLE")),
        ("down, 30 s", after(&[("retry-after", "30")], 503, "UNAVAILABLE")),
        (
            "down, to a date",
            after(&[("retry-after", "Thu, 23 Apr 2026 23:09:45 GMT")], 503, "UNAVAILABLE"),
        ),
        ("down, not a date", after(&[("retry-after", "soon")], 503, "UNAVAILABLE")),
        ("internal", fcm(500, "INTERNAL", "INTERNAL")),
        ("bad gateway", page(502)),
        ("code is a token", fcm(500, "INTERNAL", DEVICE_TOKEN)),
        ("redirect", Reply::Http(307, &[("location", "/elsewhere")], String::new())),
        ("10 MB", Reply::Http(200, &[], "x".repeat(10_000_000))),
    ]
}

#[tokio::test]
async fn each_response_has_its_result() {
    let mut table = String::new();
    for (name, reply) in replies() {
        let world = World::new().await;
        world.reply_to_sends([reply]);
        let pushed = match world.push().await {
            Pushed::Accepted => "accepted".to_owned(),
            Pushed::Unregistered { reason } => format!("unregistered: {reason}"),
            Pushed::Refused { reason } => format!("refused: {reason}"),
            Pushed::Later { reason, after: None } => format!("later: {reason}"),
            Pushed::Later { reason, after: Some(after) } => {
                format!("later, after {} s: {reason}", after.as_secs())
            }
        };
        assert_eq!(
            (world.fetches(), world.sends()),
            (1, 1),
            "{name}: one request, no redirect followed"
        );
        table += &format!("{name:17}{pushed}\n");
    }
    expect![[r#"
        accepted         accepted
        no name          later: FCM answered 200 without a message's name
        garbage          later: FCM answered 200 without a message's name
        empty            later: FCM answered 204
        unregistered     unregistered: FCM answered 404 UNREGISTERED
        another's device refused: FCM answered 403 SENDER_ID_MISMATCH
        no such project  later: FCM answered 404 NOT_FOUND: check the service account's project_id
        no such page     later: FCM answered 404: check the service account's project_id
        500 unregistered later: FCM answered 500 UNREGISTERED
        not allowed      later: FCM answered 403 PERMISSION_DENIED: check the service account's role
        bad token        unregistered: FCM answered 400 INVALID_ARGUMENT: message.token
        bad data         refused: FCM answered 400 INVALID_ARGUMENT: message.data[0].value
        bad, secret      refused: FCM answered 400 INVALID_ARGUMENT
        bad, no field    refused: FCM answered 400 INVALID_ARGUMENT
        too big          refused: FCM answered 400 INVALID_ARGUMENT
        bad, unreadable  later: FCM answered 400
        APNs key         later: FCM answered 401 THIRD_PARTY_AUTH_ERROR: check APNs or web push key
        quota            later, after 60 s: FCM answered 429 QUOTA_EXCEEDED
        quota, in 7 s    later, after 7 s: FCM answered 429 RESOURCE_EXHAUSTED
        down             later: FCM answered 503 UNAVAILABLE
        down, 30 s       later, after 30 s: FCM answered 503 UNAVAILABLE
        down, to a date  later, after 45 s: FCM answered 503 UNAVAILABLE
        down, not a date later: FCM answered 503 UNAVAILABLE
        internal         later: FCM answered 500 INTERNAL
        bad gateway      later: FCM answered 502
        code is a token  later: FCM answered 500
        redirect         later: FCM answered 307
        10 MB            later: no answer from FCM: an answer of more than 65536 bytes
    "#]]
    .assert_eq(&table);
}

#[tokio::test]
async fn a_push_without_a_response_ends_in_time() {
    let timeout = Duration::from_millis(200);
    for is_token_endpoint_silent in [true, false] {
        let world = World::with_timeout(timeout).await;
        if is_token_endpoint_silent {
            world.reply_to_fetches([Reply::Never]);
        } else {
            world.reply_to_sends([Reply::Never]);
        }
        // At the same time: the pushes must not wait for each other.
        let pushes = async { tokio::join!(world.push(), world.push(), world.push()) };
        let (first, second, third) = tokio::time::timeout(timeout * 10, pushes).await.unwrap();
        for pushed in [first, second, third] {
            assert!(matches!(pushed, Pushed::Later { after: None, .. }), "{pushed:?}");
        }
    }
}

#[tokio::test]
async fn an_unreachable_token_endpoint_is_retried() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let clock = Arc::new(ManualClock::new());
    let pushed = open(&base, Duration::from_secs(5), clock).push(&push()).await;
    assert!(
        matches!(&pushed, Pushed::Later { reason, after: None }
        if reason.starts_with("no access token: ")),
        "{pushed:?}"
    );
}

fn fcm_code(code: &str) -> Value {
    json!([{
        "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
        "errorCode": code
    }])
}

fn field_violation(field: &str) -> Value {
    json!([
        { "@type": "type.googleapis.com/google.firebase.fcm.v1.FcmError",
          "errorCode": "INVALID_ARGUMENT" },
        { "@type": "type.googleapis.com/google.rpc.BadRequest",
          "fieldViolations": [{ "field": field, "description": format!("Bad: {DEVICE_TOKEN}") }] }
    ])
}

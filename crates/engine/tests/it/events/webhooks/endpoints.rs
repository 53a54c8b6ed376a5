//! Endpoints: what is refused, how a secret is replaced, how it is stored.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_secret_is_replaced_without_a_gap() {
    let webhooks = webhook_world().await;
    let workers = webhooks.start().await;
    let signatures = |webhook: &WebhookPost| {
        let header = webhook.headers.iter().find(|(name, _)| *name == "webhook-signature").unwrap();
        header.1.split(' ').count()
    };
    let first = webhooks.world.engine.webhook_secret_of(webhooks.key).unwrap();
    webhooks.buy("R1", Some(HOOK)).await;
    until(|| webhooks.sender.count() == 2).await;
    assert_eq!(signatures(&webhooks.sender.last()), 1);
    let id = EndpointId(webhooks.key.0);
    let second = webhooks.world.engine.rotate_secret(id, Duration::from_secs(HOUR)).await.unwrap();
    assert!(first != second && second.starts_with("whsec_"));
    assert_eq!(webhooks.world.engine.webhook_secret_of(webhooks.key).unwrap(), second);
    webhooks.buy("R2", Some(HOOK)).await;
    until(|| webhooks.sender.count() == 4).await;
    assert_eq!(signatures(&webhooks.sender.last()), 2);
    webhooks.world.clock.advance(Duration::from_secs(HOUR - 1));
    webhooks.buy("R3", Some(HOOK)).await;
    until(|| webhooks.sender.count() == 6).await;
    assert_eq!(signatures(&webhooks.sender.last()), 2);
    webhooks.world.clock.advance(Duration::from_secs(1));
    webhooks.buy("R4", Some(HOOK)).await;
    until(|| webhooks.sender.count() == 8).await;
    assert_eq!(signatures(&webhooks.sender.last()), 1, "the old secret has expired");
    webhooks.world.engine.rotate_secret(id, Duration::ZERO).await.unwrap();
    webhooks.buy("R5", Some(HOOK)).await;
    until(|| webhooks.sender.count() == 10).await;
    assert_eq!(signatures(&webhooks.sender.last()), 1);
    stop(workers).await;
}

/// A secret can be decrypted in its own row only, and no file contains it (RELIABILITY K1, O8).
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_sealed_to_their_rows() {
    let webhooks = webhook_world().await;
    let one = webhooks.endpoint("https://one.example/", &[]).await;
    let two = webhooks.endpoint("https://two.example/", &[]).await;
    let secret = webhooks.world.engine.rotate_secret(one, Duration::ZERO).await.unwrap();
    let base64 = secret.trim_start_matches("whsec_");
    let database = &webhooks.world.database;
    let bytes = database.bytes();
    assert!(!bytes.windows(20).any(|w| w == &base64.as_bytes()[..20]));
    database.sql(&format!(
        "UPDATE endpoints
         SET secret = (SELECT secret FROM endpoints WHERE id = {one}), changed = 1000
         WHERE id = {two}"
    ));
    let (database, clock, merchant) = webhooks.world.closed();
    drop(webhooks.sender);
    until(|| database.is_free()).await;
    let sender = ScriptedSender::new(clock.clone());
    let world = World { merchant, ..started_with(database, clock, services(&sender)) };
    let workers = world.engine.start_workers().await.unwrap();
    world.engine.send_test(two).await.unwrap();
    world.engine.send_test(one).await.unwrap();
    until(|| sender.count() == 1).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!((sender.count(), sender.last().url.as_str()), (1, "https://one.example/"));
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_endpoint_is_refused_and_a_removed_one_gets_nothing() {
    let webhooks = webhook_world().await;
    let new = |url, event: &str| NewEndpoint {
        account: webhooks.world.merchant,
        environment: Environment::Live,
        url,
        events: vec![event.to_owned()],
    };
    let refused = webhooks.world.engine.add_endpoint(new(HOOK, "x.unheard")).await;
    assert!(matches!(refused, Err(StaffRefused::Invalid(_))), "{refused:?}");
    let refused =
        webhooks.world.engine.add_endpoint(new("ftp://hooks.example/", "x.success")).await;
    assert!(matches!(refused, Err(StaffRefused::Invalid(_))), "{refused:?}");
    let nobody = NewEndpoint { account: AccountId(99), ..new(HOOK, "x.success") };
    assert!(webhooks.world.engine.add_endpoint(nobody).await.is_err());
    let id = webhooks.endpoint(HOOK, &[]).await;
    let workers = webhooks.start().await;
    let test = webhooks.world.engine.send_test(id).await.unwrap();
    until(|| webhooks.sender.count() == 1).await;
    assert!(test.starts_with("evt_") && test.ends_with("_test"), "{test}");
    let now = webhooks.world.engine.now();
    let remove = |e: &mut Endpoint| e.removed_at = Some(now);
    webhooks.world.engine.change_endpoint(id, remove).await.unwrap();
    webhooks.buy("R1", None).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(webhooks.sender.count(), 1);
    assert!(webhooks.world.engine.send_test(id).await.is_err());
    stop(workers).await;
}

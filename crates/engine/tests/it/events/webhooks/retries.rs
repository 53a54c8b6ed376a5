//! Failed deliveries: the schedule of retries, what a receiver's status means, when an address is
//! switched off.

use super::*;

/// The schedule of RELIABILITY P8 to its end, each wait within a fifth either way.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_go_on_for_three_days() {
    let webhooks = webhook_world().await;
    webhooks.world.a.answers(refused(), unknown());
    webhooks.sender.always(Response::Status(302));
    let workers = webhooks.start().await;
    let id = webhooks.buy("R1", Some(HOOK)).await.key.id;
    let planned = [5, 300, 1800, 2 * HOUR, 5 * HOUR, 10 * HOUR, 10 * HOUR, 24 * HOUR];
    for (n, wait) in planned.iter().enumerate() {
        until(|| webhooks.sender.count() == n + 1).await;
        webhooks.advance_until(n + 2, Duration::from_secs((wait / 100).max(1))).await;
    }
    // The last ones are about a day apart; their number depends on the random part of the waits.
    for _ in 0..400 {
        webhooks.world.clock.advance(Duration::from_secs(HOUR / 2));
        webhooks.wake_worker().await;
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
    let times = webhooks.sender.times_s();
    for (n, wait) in planned.iter().enumerate() {
        let (took, slack) = (times[n + 1] - times[n], wait / 50 + 10);
        assert!(
            (wait * 4 / 5 - 1..=wait * 6 / 5 + slack).contains(&took),
            "{n}: {took} for {wait}"
        );
    }
    let span = *times.last().unwrap();
    assert!((72 * HOUR..=101 * HOUR).contains(&span), "{} h", span / HOUR);
    assert_eq!(webhooks.pending(), 0);
    let tries = times.len();
    assert_eq!(webhooks.log(id), [format!("x.rejected given_up {tries}")]);
    // A replay sends it again.
    webhooks.sender.always(Response::Status(200));
    let which = ReplayScope::One(id.number(), "rejected".to_owned());
    assert_eq!(webhooks.world.engine.replay_webhooks(which).await.unwrap(), 1);
    until(|| webhooks.pending() == 0).await;
    stop(workers).await;
    assert_eq!(webhooks.log(id), [format!("x.rejected taken {}", tries + 1)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_receiver_gets_nothing_for_as_long_as_it_asks() {
    let webhooks = webhook_world().await;
    webhooks.world.a.answers(refused(), unknown());
    webhooks.sender.always(Response::Busy(Some(9)));
    let workers = webhooks.start().await;
    webhooks.buy("R1", Some(HOOK)).await;
    until(|| webhooks.sender.count() == 1).await;
    webhooks.advance_until(2, Duration::from_millis(500)).await;
    webhooks.sender.always(Response::Busy(Some(100_000)));
    webhooks.advance_until(3, Duration::from_secs(2)).await;
    webhooks.sender.always(Response::Status(200));
    webhooks.advance_until(4, Duration::from_secs(10)).await;
    stop(workers).await;
    let times = webhooks.sender.times_s();
    assert!((9..=12).contains(&times[1]), "{times:?}");
    // At most twice the wait of the schedule.
    let (second, third) = (times[2] - times[1], times[3] - times[2]);
    assert!((240..=370).contains(&second), "{second}");
    assert!((3600..=3700).contains(&third), "{third}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_after_a_410() {
    let webhooks = webhook_world().await;
    webhooks.sender.always(Response::Status(410));
    let workers = webhooks.start().await;
    let first = webhooks.buy("R1", Some(HOOK)).await.key.id;
    until(|| webhooks.pending() == 0).await;
    assert_eq!(webhooks.sender.count(), 1);
    assert_eq!(webhooks.log(first), ["x.success off 1", "x.approved off 0"]);
    let second = webhooks.buy("R2", Some(HOOK)).await.key.id;
    webhooks.sender.always(Response::Status(200));
    // Another address is not affected.
    webhooks.buy("R3", Some("https://hooks.example/b")).await;
    until(|| webhooks.sender.count() == 3).await;
    assert!(
        webhooks.log(second).iter().all(|line| line.ends_with("off 0")),
        "{:?}",
        webhooks.log(second)
    );
    // A new endpoint with that address is off too, and can be switched on.
    let id = webhooks.endpoint(HOOK, &[]).await;
    let view = |webhooks: &WebhookWorld| {
        let views = webhooks.world.engine.endpoints_of(webhooks.world.merchant).unwrap();
        views.into_iter().find(|v| v.endpoint.id == id).unwrap()
    };
    assert!(view(&webhooks).health.unwrap().off.is_some());
    webhooks.world.engine.switch_on(id).await.unwrap();
    assert_eq!(view(&webhooks).health, None);
    let since = ReplayScope::Since(webhooks.world.merchant, NOW, None);
    assert!(webhooks.world.engine.replay_webhooks(since).await.unwrap() >= 6);
    until(|| webhooks.pending() == 0).await;
    stop(workers).await;
    assert_eq!(webhooks.log(second)[0], "x.success taken 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_only_fails_is_switched_off_after_five_days() {
    let webhooks = webhook_world().await;
    webhooks.world.a.answers(refused(), unknown());
    webhooks.sender.always(Response::Status(500));
    webhooks.own_url(HOOK).await;
    let workers = webhooks.start().await;
    let off = |webhooks: &WebhookWorld| {
        let views = webhooks.world.engine.endpoints_of(webhooks.world.merchant).unwrap();
        views[0].health.clone().and_then(|health| health.off)
    };
    let mut day = 0;
    while off(&webhooks).is_none() {
        assert!(day < 15, "never switched off");
        let before = webhooks.sender.count();
        webhooks.buy(&format!("R{day}"), None).await;
        // Another try may switch it off meanwhile: then it gets nothing more.
        for _ in 0..5_000 {
            if webhooks.sender.count() > before || off(&webhooks).is_some() {
                break;
            }
            webhooks.world.clock.advance(Duration::from_secs(HOUR));
            webhooks.wake_worker().await;
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        webhooks.world.clock.advance(Duration::from_secs(12 * HOUR));
        tokio::time::sleep(Duration::from_millis(50)).await;
        day += 1;
    }
    let (at, why) = off(&webhooks).unwrap();
    assert!(at.since(NOW) >= Duration::from_secs(5 * 24 * HOUR), "{at:?}");
    assert!(why.contains("five days"), "{why}");
    let before = webhooks.sender.count();
    webhooks.buy("LAST", None).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(webhooks.sender.count(), before);
    stop(workers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_three_refusals_the_next_event_goes() {
    let webhooks = webhook_world().await;
    webhooks.sender.answers(|webhook| {
        Response::Status(if webhook.body.starts_with(b"x.success") { 404 } else { 200 })
    });
    let workers = webhooks.start().await;
    let id = webhooks.buy("R1", Some(HOOK)).await.key.id;
    until(|| webhooks.sender.count() == 1).await;
    webhooks.advance_until(2, Duration::from_secs(1)).await;
    assert!(!webhooks.sender.bodies().iter().any(|body| body.starts_with("x.approved")));
    webhooks.advance_until(4, Duration::from_secs(4)).await;
    stop(workers).await;
    let bodies = webhooks.sender.bodies();
    assert_eq!(bodies[2..4], ["x.success R1 delivered", "x.approved R1 delivered"]);
    assert_eq!(webhooks.log(id).len(), 2);
}

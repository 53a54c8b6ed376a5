//! Webhooks when the clock jumps: the schedule goes by the time that passed.

use super::*;

async fn a_moment() {
    tokio::time::sleep(Duration::from_millis(1500)).await;
}

/// Three days forwards while it runs, then over a restart: a receiver that was down for minutes
/// still gets its webhook.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_jump_gives_up_no_webhook_and_switches_nothing_off() {
    let three_days = 72 * 3600;
    let webhooks = webhook_world().await;
    webhooks.world.a.answers(refused(), unknown());
    webhooks.sender.always(Response::Status(500));
    let workers = webhooks.start().await;
    let id = webhooks.buy("R1", Some(HOOK)).await.key.id;
    webhooks.advance_until(2, Duration::from_secs(1)).await;
    a_moment().await;
    webhooks.world.clock.jump(three_days);
    a_moment().await;
    webhooks.world.clock.advance(Duration::from_secs(61));
    a_moment().await;
    webhooks.advance_until(3, Duration::from_secs(5)).await;
    a_moment().await;
    stop(workers).await;
    assert_eq!(webhooks.log(id), ["x.rejected owed 3"]);
    let WebhookWorld { world, sender, key } = webhooks;
    let (database, clock, merchant) = world.closed();
    until(|| database.is_free()).await;
    clock.jump(three_days);
    let world = started_with(database, clock, services(&sender));
    let webhooks = WebhookWorld { world: World { merchant, ..world }, sender, key };
    let workers = webhooks.start().await;
    webhooks.advance_until(4, Duration::from_secs(60)).await;
    a_moment().await;
    assert_eq!(webhooks.log(id), ["x.rejected owed 4"]);
    webhooks.sender.always(Response::Status(200));
    webhooks.advance_until(5, Duration::from_secs(60)).await;
    until(|| webhooks.pending() == 0).await;
    stop(workers).await;
    assert_eq!(webhooks.log(id), ["x.rejected taken 5"]);
}

/// Six hours ahead when the webhook was owed; then the clock is put right, with a restart too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_put_right_leaves_the_schedule() {
    for is_restarted in [false, true] {
        let clock = Arc::new(TestClock::default());
        clock.jump(6 * 3600);
        let sender = ScriptedSender::new(clock.clone());
        let world = world_with(clock, services(&sender)).await;
        let made = world.engine.make_key(world.merchant, Environment::Live).await;
        let mut webhooks = WebhookWorld { key: made.unwrap().0, world, sender };
        webhooks.world.a.answers(refused(), unknown());
        webhooks.sender.always(Response::Status(500));
        let mut workers = webhooks.start().await;
        webhooks.buy("R1", Some(HOOK)).await;
        webhooks.advance_until(2, Duration::from_secs(1)).await;
        a_moment().await;
        webhooks.sender.always(Response::Status(200));
        webhooks.world.clock.jump(-6 * 3600);
        if is_restarted {
            stop(workers).await;
            let WebhookWorld { world, sender, key } = webhooks;
            let (database, clock, merchant) = world.closed();
            until(|| database.is_free()).await;
            let world = started_with(database, clock, services(&sender));
            webhooks = WebhookWorld { world: World { merchant, ..world }, sender, key };
            workers = webhooks.start().await;
        }
        a_moment().await;
        webhooks.world.clock.advance(Duration::from_secs(61));
        a_moment().await;
        assert_eq!(webhooks.sender.count(), 2);
        // The second wait is five minutes, give or take a fifth.
        webhooks.world.clock.advance(Duration::from_secs(300 + 30));
        until(|| webhooks.sender.count() == 3).await;
        until(|| webhooks.pending() == 0).await;
        stop(workers).await;
    }
}

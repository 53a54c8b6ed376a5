//! The registry: what is added, changed, paused and removed counts at once; secrets stay sealed.

use super::{TO_X, new, route_to_x, world_with_x};
use crate::world::*;
use domain::{Environment, Refused as _, State};
use engine::{NewUpstream, UpstreamChange};

fn secret(text: &str) -> UpstreamChange {
    let secrets = [("key".to_owned(), text.to_owned())].into();
    UpstreamChange { secrets, ..UpstreamChange::default() }
}

#[tokio::test]
async fn an_upstream_that_is_added_sells_at_once_and_after_a_restart() {
    let world = world_with_x().await;
    assert_eq!(world.buy("R1", TO_X).await.state, State::Delivered);
    assert_eq!(world.factory.upstream("x").count(Call::Submit), 1);
    world.assert_sound().await;
    let (database, clock, merchant) = world.closed();
    until(|| database.is_free()).await;
    let mut world = started(database, clock);
    world.merchant = merchant;
    assert_eq!(world.buy("R2", TO_X).await.state, State::Delivered);
    assert_eq!(world.factory.settings.lock().unwrap()[0].secrets["key"], "very-secret");
}

#[tokio::test]
async fn a_secret_is_sealed_and_in_no_record_and_is_replaced_without_a_stop() {
    let world = world_with_x().await;
    world.engine.change_upstream("x", secret("even-more-secret")).await.unwrap();
    let last = world.factory.settings.lock().unwrap().last().unwrap().clone();
    assert_eq!(last.secrets["key"], "even-more-secret");
    assert!(!format!("{last:?}").contains("secret"), "{last:?}");
    assert_eq!(world.buy("R1", TO_X).await.state, State::Delivered);
    let acts = world.engine.acts(Some("upstream x"), 10).unwrap();
    assert_eq!(acts.len(), 2);
    assert!(acts[0].after.as_ref().unwrap().contains(r#""secrets_set":["key"]"#), "{acts:?}");
    let bytes = world.database.bytes();
    for text in ["very-secret", "even-more-secret"] {
        assert!(!bytes.windows(text.len()).any(|w| w == text.as_bytes()), "{text} is in clear");
    }
}

#[tokio::test]
async fn what_is_wrong_is_refused_with_its_reason_and_nothing_is_stored() {
    let world = world_with_x().await;
    let changed = |change: fn(&mut NewUpstream)| {
        let mut upstream = new("y");
        change(&mut upstream);
        upstream
    };
    for (upstream, reason) in [
        (changed(|u| u.kind = "unheard-of".to_owned()), "no kind unheard-of"),
        (changed(|u| u.settings.secrets.clear()), "secret key is missing"),
        (changed(|u| u.settings.url = Some("http://api.example.com".to_owned())), "https://"),
        (changed(|u| u.settings.url = Some("https://10.0.0.1/".to_owned())), "public host"),
        (changed(|u| u.settings.url = None), "needs an URL"),
        (changed(|u| u.code = "X Y".to_owned()), "a to z"),
        (changed(|u| u.code = "a".to_owned()), "Saldo's own"),
        (new("x"), "of this code already"),
    ] {
        let refused = world.engine.add_upstream(upstream).await.unwrap_err();
        assert!(format!("{refused:?}").contains(reason), "{refused:?}");
    }
    assert_eq!(world.database.sql("SELECT code FROM upstreams"), ["x"]);
}

#[tokio::test]
async fn an_upstream_of_one_environment_gets_no_orders_of_the_other() {
    let world = world().await;
    let upstream = NewUpstream { environment: Environment::Sandbox, ..new("x") };
    world.engine.add_upstream(upstream).await.unwrap();
    route_to_x(&world).await;
    let bought = world.engine.purchase(world.request("R1", TO_X)).await;
    // The same as for an upstream that is not there.
    match bought {
        Ok(_) => assert_ne!(world.state(world.latest()), State::Delivered),
        Err(refused) => assert_ne!(refused.code(), "UPSTREAM_UNAVAILABLE"),
    }
    assert_eq!(world.factory.upstream("x").count(Call::Submit), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_with_open_orders_is_not_removed_and_a_removed_one_gets_no_more() {
    let world = world_with_x().await;
    let x = world.factory.upstream("x");
    x.answers(unknown(), unknown());
    let doubt = world.buy("R1", TO_X).await;
    let refused = world.engine.remove_upstream("x").await.unwrap_err();
    assert!(format!("{refused:?}").contains("1 open orders"), "{refused:?}");
    x.answers(delivered(), delivered());
    world.clock.advance(std::time::Duration::from_secs(10));
    world.enquire(&x, 1).await;
    until(|| world.state(doubt.key.id) == State::Delivered).await;
    world.engine.remove_upstream("x").await.unwrap();
    assert!(world.engine.upstreams().unwrap().iter().all(|view| view.code.as_str() != "x"));
    let submits = x.count(Call::Submit);
    let _ = world.engine.purchase(world.request("R2", TO_X)).await;
    assert_eq!(x.count(Call::Submit), submits);
    // Its name is free again.
    world.engine.add_upstream(new("x")).await.unwrap();
    assert_eq!(world.buy("R3", TO_X).await.state, State::Delivered);
    world.assert_sound().await;
}

//! The registry: what is added, changed, paused and removed counts at once; secrets stay sealed.

use super::{TO_X, new, route_away, route_to_x, world_with_x};
use crate::world::*;
use domain::{BalanceAnswer, Currency, Environment, Money, Refused as _, State, UpstreamCode};
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
    assert!(format!("{refused:?}").contains("Routes lead to it: 20, 21."), "{refused:?}");
    route_away(&world).await;
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
    assert_eq!(world.engine.add_upstream(new("x")).await, Ok(true));
    world.engine.resume_upstream_as("x", "Rahima").await.unwrap();
    route_to_x(&world).await;
    assert_eq!(world.buy("R3", TO_X).await.state, State::Delivered);
    world.assert_sound().await;
}

/// Else one person alone would change what decides about money, by removing it first.
#[tokio::test]
async fn one_that_is_added_again_waits_for_another_person_and_inherits_nothing() {
    let world = world_with_x().await;
    let (code, x) = (UpstreamCode::new("x"), world.factory.upstream("x"));
    *x.balance.lock().unwrap() = BalanceAnswer::Reported(Money::new(10, Currency::USD));
    assert!(world.engine.upstream_float(&code).await.unwrap().float.is_some());
    route_away(&world).await;
    world.engine.remove_upstream("x").await.unwrap();
    *x.balance.lock().unwrap() = BalanceAnswer::NotOffered;
    assert_eq!(world.engine.add_upstream(new("x")).await, Ok(true));
    // What was told of the earlier one neither counts nor is shown.
    let answer = world.engine.upstream_float(&code).await.unwrap();
    assert_eq!(answer.float, None);
    assert!(answer.unavailable.unwrap().contains("tells no balance"));
    for table in ["upstream_balances", "upstream_floats", "upstream_hours"] {
        assert_eq!(world.database.sql(&format!("SELECT code FROM {table}")), [""; 0], "{table}");
    }
    route_to_x(&world).await;
    let refused = world.engine.purchase(world.request("R1", TO_X)).await.unwrap_err();
    assert_eq!(refused.code(), "UPSTREAM_UNAVAILABLE");
    assert!(world.engine.resume_upstream_as("x", "tests").await.is_err());
    world.engine.resume_upstream_as("x", "Rahima").await.unwrap();
    assert_eq!(world.buy("R1", TO_X).await.state, State::Delivered);
    // Nor does it help to add it for the sandbox in between.
    route_away(&world).await;
    world.engine.remove_upstream("x").await.unwrap();
    let sandbox = NewUpstream { environment: Environment::Sandbox, ..new("x") };
    assert_eq!(world.engine.add_upstream(sandbox).await, Ok(false));
    world.engine.remove_upstream("x").await.unwrap();
    assert_eq!(world.engine.add_upstream(new("x")).await, Ok(true));
    world.assert_sound().await;
}

/// The record of acts says which file decided from when on, of every kind.
#[tokio::test]
async fn acts_say_that_the_file_changed() {
    let world = world_with_x().await;
    let with = |own: &str| UpstreamChange { own: Some(own.to_owned()), ..Default::default() };
    world.engine.change_upstream("x", with("line = 1\n")).await.unwrap();
    world.engine.change_upstream("x", with("line = 2\n")).await.unwrap();
    let acts = world.engine.acts(Some("upstream x"), 10).unwrap();
    let last = &acts[0];
    // As sha256sum says it.
    let digest = |text: &Option<String>| {
        let value: serde_json::Value = serde_json::from_str(text.as_ref().unwrap()).unwrap();
        value["file_sha256"].as_str().map(str::to_owned)
    };
    assert_eq!(
        digest(&last.before),
        Some("9358fd7d318511aa4d5ad90ec62cef8bd3f5e77985c347fea7c098940f64efba".to_owned())
    );
    assert_eq!(
        digest(&last.after),
        Some("29c329d3b16304295551887c3bba5904b12093e1730abdb3d1962ead6fc30a3d".to_owned())
    );
    assert_eq!(digest(&acts[1].before), None, "it had none");
}

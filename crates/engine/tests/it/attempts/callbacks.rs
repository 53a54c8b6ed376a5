//! Callbacks of upstreams: a genuine one is stored as evidence and triggers an enquiry; a forged
//! one changes nothing.

use crate::world::*;
use domain::{Callback, CallbackAnswer, State};
use engine::CallbackResult;
use std::time::Duration;

fn callback(text: &str) -> Callback {
    Callback::post(Vec::new(), text.as_bytes().to_vec())
}

#[tokio::test]
async fn a_callback_triggers_an_enquiry_and_decides_nothing() {
    let world = world().await;
    world.a.answers(unknown(), unknown());
    let id = world.buy("R1", TO_A).await.key.id;
    let genuine = callback(&format!("genuine S{id}-1 delivered. Your balance is 5 TAKA."));
    // The enquiry does not confirm it: nothing changes.
    assert_eq!(world.engine.receive_callback("a", &genuine).await, CallbackResult::Accepted(None));
    until(|| world.a.count(Call::Enquire) == 1).await;
    assert_eq!(world.state(id), State::InDoubt);
    world.a.answers(unknown(), delivered());
    assert_eq!(world.engine.receive_callback("a", &genuine).await, CallbackResult::Accepted(None));
    until(|| world.state(id) == State::Delivered).await;
    let history = world.engine.history(id.number()).unwrap().unwrap();
    let kept: Vec<_> = history.evidence.iter().filter(|e| e.word == "callback").collect();
    assert_eq!(kept.len(), 1, "a repeat is stored once: {kept:?}");
    assert_eq!(kept[0].text.as_deref(), Some("delivered."));
    // A reversal, which the enquiry confirms.
    world.a.answers(unknown(), reversed());
    world.engine.receive_callback("a", &callback(&format!("genuine S{id}-1 reversed"))).await;
    until(|| world.state(id) == State::Refunded).await;
    world.assert_sound().await;
}

/// Some upstreams call again until they read a word of their own.
#[tokio::test]
async fn a_callback_is_answered_as_its_upstream_wants() {
    let world = world().await;
    world.a.answers(unknown(), unknown());
    let id = world.buy("R1", TO_A).await.key.id;
    let calls = callback(&format!("wants-OK S{id}-1 delivered"));
    let answer = CallbackAnswer { status: 200, body: "OK".to_owned() };
    let result = world.engine.receive_callback("a", &calls).await;
    assert_eq!(result, CallbackResult::Accepted(Some(answer)));
    until(|| world.a.count(Call::Enquire) == 1).await;
}

#[tokio::test]
async fn a_forged_callback_changes_nothing() {
    let world = world().await;
    world.a.answers(unknown(), delivered());
    let id = world.buy("R1", TO_A).await.key.id;
    let before = world.summary(id);
    let call =
        async |name: &str, text: &str| world.engine.receive_callback(name, &callback(text)).await;
    assert_eq!(call("a", &format!("forged S{id}-1 delivered")).await, CallbackResult::Forged);
    assert_eq!(
        call("c", &format!("genuine S{id}-1 delivered")).await,
        CallbackResult::UnknownUpstream
    );
    assert_eq!(
        call("nobody", &format!("genuine S{id}-1 delivered")).await,
        CallbackResult::UnknownUpstream
    );
    // Genuine, but about attempts that this upstream never had.
    assert_eq!(
        call("b", &format!("genuine S{id}-1 delivered")).await,
        CallbackResult::Accepted(None)
    );
    assert_eq!(
        call("a", &format!("genuine S{id}-2 delivered")).await,
        CallbackResult::Accepted(None)
    );
    assert_eq!(call("a", "genuine S99-1 delivered").await, CallbackResult::Accepted(None));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!((world.summary(id), world.a.count(Call::Enquire)), (before, 0));
    world.assert_sound().await;
}

#[tokio::test]
async fn the_number_of_stored_callbacks_is_bounded() {
    let world = world().await;
    world.a.answers(unknown(), accepted());
    let id = world.buy("R1", TO_A).await.key.id;
    for n in 0..100 {
        world
            .engine
            .receive_callback("a", &callback(&format!("genuine S{id}-1 working {n}")))
            .await;
    }
    let history = world.engine.history(id.number()).unwrap().unwrap();
    assert!(history.evidence.len() <= 60, "{}", history.evidence.len());
}

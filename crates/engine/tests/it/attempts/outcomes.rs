//! Every outcome of a submit with every outcome of a later enquiry: the purchase's state and where
//! its money is.

use crate::world::*;
use domain::{AccountId, Order};
use engine::PurchaseRequest;
use expect_test::{Expect, expect};
use std::time::Duration;

/// The purchase's reference is the script: `unknown~refused` is unknown at the submit, refused at
/// an enquiry.
fn scripted<T: Clone>(order: &Order, turn: usize, outcomes: &[(&str, T)]) -> Reply<T> {
    let wanted = order.reference.split('~').nth(turn).unwrap();
    let (_, outcome) = outcomes.iter().find(|(name, _)| *name == wanted).unwrap();
    Reply::With(outcome.clone())
}

fn money(world: &World, account: AccountId) -> String {
    match world.wallet_of(account) {
        (available, 0, 0) if available == START => "back".to_owned(),
        (available, TOTAL, 0) if available == START - TOTAL => "held".to_owned(),
        (available, 0, COMMISSION) if available == START - TOTAL => "spent".to_owned(),
        other => format!("{other:?}"),
    }
}

/// Buys once for each pair of outcomes, enquires once after `wait`, and prints the results.
async fn check(recipient: &str, wait: Duration, expected: Expect) {
    let world = world().await;
    world.a.on_submit(|order| scripted(order, 0, &submit_outcomes()));
    world.a.on_enquire(|order| scripted(order, 1, &enquiry_outcomes()));
    let mut rows = Vec::new();
    for (first, _) in submit_outcomes() {
        for (later, _) in enquiry_outcomes() {
            let account = world.account(&format!("{first}~{later}")).await;
            let caller = world.caller_of(account);
            let request =
                PurchaseRequest { caller, ..world.request(&format!("{first}~{later}"), recipient) };
            let answered = bought(world.engine.purchase(request).await);
            rows.push((first, later, account, answered, money(&world, account)));
        }
    }
    let open = rows.iter().filter(|(.., p, _)| !p.state.is_final()).count();
    world.clock.advance(wait);
    world.enquire(&world.a, open).await;
    let mut out = String::new();
    for (first, later, account, answered, money_before) in rows {
        if later == "delivered" {
            out += &format!("{first}: {} {money_before}\n", answered.state.code());
        }
        if !answered.state.is_final() {
            let now = world.stored(answered.key.id);
            let by = now.upstream.map_or(String::new(), |u| format!(" {u}"));
            out += &format!("    {later:9} {}{by} {}\n", now.state.code(), money(&world, account));
        }
    }
    world.assert_sound().await;
    expected.assert_eq(&out);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_upstream_before_its_grace() {
    check(
        TO_A,
        Duration::from_secs(30),
        expect![[r#"
            delivered: delivered spent
            accepted: sent held
                delivered delivered a spent
                accepted  sent a held
                refused   failed a back
                elsewhere failed a back
                not_found with_staff a held
                reversed  failed a back
                unknown   in_doubt a held
                unclear   in_doubt a held
                unaskable with_staff a held
            refused: failed back
            elsewhere: failed back
            not_sent: failed back
            unknown: in_doubt held
                delivered delivered a spent
                accepted  sent a held
                refused   failed a back
                elsewhere failed a back
                not_found in_doubt a held
                reversed  failed a back
                unknown   in_doubt a held
                unclear   in_doubt a held
                unaskable with_staff a held
            unclear: in_doubt held
                delivered delivered a spent
                accepted  sent a held
                refused   failed a back
                elsewhere failed a back
                not_found with_staff a held
                reversed  failed a back
                unknown   in_doubt a held
                unclear   in_doubt a held
                unaskable with_staff a held
            unaskable: with_staff held
                delivered delivered a spent
                accepted  with_staff a held
                refused   failed a back
                elsewhere failed a back
                not_found with_staff a held
                reversed  failed a back
                unknown   with_staff a held
                unclear   with_staff a held
                unaskable with_staff a held
        "#]],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_upstream_after_its_grace() {
    check(
        TO_A,
        GRACE,
        expect![[r#"
            delivered: delivered spent
            accepted: sent held
                delivered delivered a spent
                accepted  sent a held
                refused   failed a back
                elsewhere failed a back
                not_found with_staff a held
                reversed  failed a back
                unknown   in_doubt a held
                unclear   in_doubt a held
                unaskable with_staff a held
            refused: failed back
            elsewhere: failed back
            not_sent: failed back
            unknown: in_doubt held
                delivered delivered a spent
                accepted  sent a held
                refused   failed a back
                elsewhere failed a back
                not_found in_doubt a held
                reversed  failed a back
                unknown   in_doubt a held
                unclear   in_doubt a held
                unaskable with_staff a held
            unclear: in_doubt held
                delivered delivered a spent
                accepted  sent a held
                refused   failed a back
                elsewhere failed a back
                not_found with_staff a held
                reversed  failed a back
                unknown   in_doubt a held
                unclear   in_doubt a held
                unaskable with_staff a held
            unaskable: with_staff held
                delivered delivered a spent
                accepted  with_staff a held
                refused   failed a back
                elsewhere failed a back
                not_found with_staff a held
                reversed  failed a back
                unknown   with_staff a held
                unclear   with_staff a held
                unaskable with_staff a held
        "#]],
    )
    .await;
}

/// The second upstream delivers every order.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_upstreams_after_the_grace() {
    check(
        TO_A_B,
        GRACE,
        expect![[r#"
            delivered: delivered spent
            accepted: sent held
                delivered delivered a spent
                accepted  sent a held
                refused   failed a back
                elsewhere delivered b spent
                not_found with_staff a held
                reversed  failed a back
                unknown   in_doubt a held
                unclear   in_doubt a held
                unaskable with_staff a held
            refused: failed back
            elsewhere: delivered spent
            not_sent: delivered spent
            unknown: in_doubt held
                delivered delivered a spent
                accepted  sent a held
                refused   failed a back
                elsewhere delivered b spent
                not_found in_doubt a held
                reversed  failed a back
                unknown   in_doubt a held
                unclear   in_doubt a held
                unaskable with_staff a held
            unclear: in_doubt held
                delivered delivered a spent
                accepted  sent a held
                refused   failed a back
                elsewhere delivered b spent
                not_found with_staff a held
                reversed  failed a back
                unknown   in_doubt a held
                unclear   in_doubt a held
                unaskable with_staff a held
            unaskable: with_staff held
                delivered delivered a spent
                accepted  with_staff a held
                refused   failed a back
                elsewhere delivered b spent
                not_found with_staff a held
                reversed  failed a back
                unknown   with_staff a held
                unclear   with_staff a held
                unaskable with_staff a held
        "#]],
    )
    .await;
}

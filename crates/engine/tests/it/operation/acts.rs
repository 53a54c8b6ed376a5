//! The record of acts: each act of a person is recorded in its own commit, and nothing else is.

use crate::world::*;
use domain::refusal::{BuyRefused, NotPossible};
use domain::{Act, Environment, act};
use engine::{ActRecord, Permit};

fn acts(world: &World, object: &str) -> Vec<ActRecord> {
    world.engine.acts(Some(object), 100).unwrap()
}

#[tokio::test]
async fn what_staff_decide_is_recorded_with_before_and_after() {
    let world = world().await;
    let id = world.buy("R1", TO_A_AFTER_APPROVAL).await.key.id;
    assert_eq!(acts(&world, &format!("purchase {id}")), [], "a purchase is its own record");
    world.engine.approve(id, "rahim").await.unwrap();
    let recorded = acts(&world, &format!("purchase {id}"));
    let [approved] = recorded.as_slice() else { panic!("{recorded:?}") };
    assert_eq!((approved.done_by.as_str(), approved.act), ("machine: rahim", Act::DecideApproval));
    assert_eq!(approved.before.as_deref(), Some(r#"{"state":"awaiting"}"#));
    assert!(approved.after.as_ref().unwrap().contains(r#""state":"held""#), "{approved:?}");
    // What is refused is not recorded.
    world.engine.approve(id, "karim").await.unwrap_err();
    world.engine.refund(id, "karim", "no").await.unwrap_err();
    assert_eq!(acts(&world, &format!("purchase {id}")), recorded);
    world.assert_sound().await;
}

#[tokio::test]
async fn keys_accounts_and_money_are_recorded_without_secrets() {
    let world = world().await;
    let (key, pair) = world.engine.make_key(world.merchant, Environment::Live).await.unwrap();
    world.engine.revoke_key(&pair.open).await.unwrap();
    let of_key: Vec<Act> = acts(&world, &format!("key {key}")).iter().map(|a| a.act).collect();
    assert_eq!(of_key, [Act::RevokeKeys, Act::ManageKeys], "latest first");
    let of_account = acts(&world, &format!("account {}", world.merchant));
    assert!(of_account.iter().any(|a| a.act == Act::ManageAccounts && a.before.is_none()));
    let of_wallet = acts(&world, &format!("wallet of account {}", world.merchant));
    assert_eq!(of_wallet.len(), 2, "a deposit in each environment: {of_wallet:?}");
    let all = world.engine.acts(None, 1_000).unwrap();
    assert!(all.iter().all(|a| !format!("{a:?}").contains(&pair.secret)));
}

#[tokio::test]
async fn a_holder_gets_permits_by_the_table_alone() {
    let world = world().await;
    let caller = world.caller();
    let buys: Result<Permit<act::Buy>, NotPossible> = world.engine.permit(&caller);
    assert!(buys.is_ok());
    let decides: Result<Permit<act::DecideApproval>, NotPossible> = world.engine.permit(&caller);
    assert!(decides.is_err(), "{decides:?}");
    let sells: Result<Permit<act::Buy>, NotPossible> = world.engine.permit_machine("rahim");
    assert!(sells.is_err(), "{sells:?}");
    // A permit is of its caller.
    let other = world.caller_of(world.account("other").await);
    let request = world.request("R1", TO_A);
    let strange = world.engine.0.purchase(world.engine.permit(&other).unwrap(), request).await;
    assert!(matches!(strange, Err(BuyRefused::NotPossible(_))), "{strange:?}");
}

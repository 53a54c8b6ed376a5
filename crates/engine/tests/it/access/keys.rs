//! Key pairs: keys, address, account, rate and subscription are checked in this order.

use crate::world::*;
use domain::{AllowList, Environment, Plan, PlanKind, Subscription};
use engine::{AccessResult, KeyPair, PurchaseRequest, Quota};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 7));

async fn enter(world: &World, open: &str, secret: &str) -> AccessResult<KeyPairRefused> {
    world.engine.authenticate(Some(open), Some(secret), HERE).await
}

/// The key pair of another merchant: its secret is well-formed, and wrong for any other key.
async fn other_pair(world: &World) -> KeyPair {
    let other = world.account("other").await;
    world.engine.make_key(other, Environment::Live).await.unwrap().1
}

#[tokio::test]
async fn a_valid_pair_gets_its_own_account_and_environment() {
    let world = world().await;
    for environment in Environment::ALL {
        let (id, pair) = world.engine.make_key(world.merchant, environment).await.unwrap();
        let access = enter(&world, &pair.open, &pair.secret).await;
        let caller = access.caller.unwrap();
        assert_eq!((caller.account, caller.environment), (world.merchant, environment));
        assert_eq!((caller.key, caller.plan), (Some(id), Some(Plan::BUSINESS)));
        let quota = access.quota.unwrap();
        assert_eq!((quota.limit, quota.remaining, quota.reset_s), (120, 119, 60));
    }
}

#[tokio::test]
async fn every_invalid_pair_gets_the_same_refusal() {
    let world = world().await;
    let live = world.engine.make_key(world.merchant, Environment::Live).await.unwrap().1;
    let test = world.engine.make_key(world.merchant, Environment::Sandbox).await.unwrap().1;
    let other = other_pair(&world).await;
    let retyped = live.secret.replace("sk_live_", "sk_test_");
    for (open, secret) in [
        (live.open.as_str(), test.secret.as_str()),
        (test.open.as_str(), live.secret.as_str()),
        (live.open.as_str(), other.secret.as_str()),
        (live.open.as_str(), retyped.as_str()),
        ("ok_live_AAAAAAAAAAAAAAAAAAAAAAAA", live.secret.as_str()),
        (live.secret.as_str(), live.open.as_str()),
        ("ok", "sk"),
        (live.open.as_str(), "' OR 1=1 --"),
    ] {
        let access = enter(&world, open, secret).await;
        assert_eq!(
            (access.caller.unwrap_err(), access.owner),
            (KeysInvalid.into(), None),
            "{open}"
        );
    }
    for (open, secret) in
        [(None, None), (Some(live.open.as_str()), None), (Some(""), Some("")), (None, Some("x"))]
    {
        let access = world.engine.authenticate(open, secret, HERE).await;
        assert_eq!(access.caller.unwrap_err(), KeysMissing.into());
    }
}

/// Each step adds one more reason to refuse; the answer is always the first one in the order.
#[tokio::test]
async fn refusals_have_a_fixed_order() {
    let world = world().await;
    let pair = world.engine.make_key(world.merchant, Environment::Live).await.unwrap().1;
    let other = other_pair(&world).await;
    let expired =
        Some(Subscription { plan: Plan::new(PlanKind::Enterprise, 1), until: NOW, since: NOW });
    world.engine.change_account(world.merchant, |a| a.subscription = expired).await.unwrap();
    let access = enter(&world, &pair.open, &pair.secret).await;
    let refused = world.engine.is_subscribed(&access.caller.unwrap());
    assert_eq!((refused, access.quota.unwrap().remaining), (Err(NoSubscription), 0));
    let access = enter(&world, &pair.open, &pair.secret).await;
    assert_eq!(access.caller.unwrap_err(), TooFast { retry_after_s: 60 }.into());
    // Who may not sell live yet learns it before the rate, and only when it wants to buy.
    world.engine.change_account(world.merchant, |a| a.approved_at = None).await.unwrap();
    let buyer = world.engine.authenticate_buyer(Some(&pair.open), Some(&pair.secret), HERE).await;
    assert_eq!(buyer.caller.unwrap_err(), AccountNotApproved.into());
    let access = enter(&world, &pair.open, &pair.secret).await;
    assert_eq!(access.caller.unwrap_err(), TooFast { retry_after_s: 60 }.into());
    world.engine.change_account(world.merchant, |a| a.is_active = false).await.unwrap();
    let access = enter(&world, &pair.open, &pair.secret).await;
    // The refused call is not counted; its answer says what there is of the account's calls.
    let quota = Quota { limit: 1, remaining: 0, reset_s: 60 };
    assert_eq!((access.caller.unwrap_err(), access.quota), (AccountInactive.into(), Some(quota)));
    let list = AllowList::parse(["10.0.1.0/24"]).unwrap();
    world.engine.allow_addresses(&pair.open, list).await.unwrap();
    let access = enter(&world, &pair.open, &pair.secret).await;
    assert_eq!(access.caller.unwrap_err(), AddressNotAllowed { seen: HERE }.into());
    let access = enter(&world, &pair.open, &other.secret).await;
    assert_eq!(access.caller.unwrap_err(), KeysInvalid.into());
    // An account without a subscription has the smallest plan's limit, and buys nothing.
    let none = world.engine.make_key(world.account("none").await, Environment::Live).await.unwrap();
    let key = world.engine.keys_of(world.merchant).unwrap();
    assert_eq!(key.len(), 1);
    let access = enter(&world, &none.1.open, &none.1.secret).await;
    let account = access.caller.unwrap().account;
    world.engine.change_account(account, |a| a.subscription = None).await.unwrap();
    let access = enter(&world, &none.1.open, &none.1.secret).await;
    assert_eq!(access.quota.unwrap().limit, 60);
    let caller = access.caller.unwrap();
    let bought =
        world.engine.purchase(PurchaseRequest { caller, ..world.request("R1", TO_A) }).await;
    assert_eq!(bought.unwrap_err(), NoSubscription.into());
    let catalog = world.engine.catalog();
    let offers = world.engine.offers(&caller, &catalog.operators[0], TO_A).await;
    assert_eq!(offers.unwrap_err(), NoSubscription.into());
}

/// A change of a key or account applies from the next call on, although pairs are cached.
#[tokio::test]
async fn a_change_applies_at_once() {
    let world = world().await;
    let pair = world.engine.make_key(world.merchant, Environment::Live).await.unwrap().1;
    let is_allowed = async || enter(&world, &pair.open, &pair.secret).await.caller.is_ok();
    assert!(is_allowed().await);
    world.engine.change_account(world.merchant, |a| a.is_active = false).await.unwrap();
    assert!(!is_allowed().await);
    world.engine.change_account(world.merchant, |a| a.is_active = true).await.unwrap();
    assert!(is_allowed().await);
    let list = AllowList::parse(["10.0.0.7"]).unwrap();
    world.engine.allow_addresses(&pair.open, list).await.unwrap();
    assert!(is_allowed().await);
    world.engine.revoke_key(&pair.open).await.unwrap();
    let access = enter(&world, &pair.open, &pair.secret).await;
    assert_eq!(access.caller.unwrap_err(), KeysInvalid.into());
    let nobody = world.engine.revoke_key("ok_live_?").await;
    assert_eq!(nobody.unwrap_err(), KeysInvalid.into());
}

#[tokio::test]
async fn the_rate_is_counted_by_account_and_environment() {
    let world = world().await;
    let [one, two] = {
        let one = world.engine.make_key(world.merchant, Environment::Live).await.unwrap().1;
        [one, world.engine.make_key(world.merchant, Environment::Live).await.unwrap().1]
    };
    let test = world.engine.make_key(world.merchant, Environment::Sandbox).await.unwrap().1;
    for n in 0..120 {
        let pair = [&one, &two][n % 2];
        world.clock.advance(Duration::from_millis(100));
        assert!(enter(&world, &pair.open, &pair.secret).await.caller.is_ok(), "{n}");
    }
    let access = enter(&world, &two.open, &two.secret).await;
    assert_eq!(access.caller.unwrap_err(), TooFast { retry_after_s: 48 }.into());
    assert!(enter(&world, &test.open, &test.secret).await.caller.is_ok());
    world.clock.advance(Duration::from_secs(48));
    assert!(enter(&world, &one.open, &one.secret).await.caller.is_ok());
}

/// Guesses are slowed down by address; a valid pair from the same address still works.
#[tokio::test]
async fn guesses_are_slowed_down() {
    let world = world().await;
    let pair = world.engine.make_key(world.merchant, Environment::Live).await.unwrap().1;
    let other = other_pair(&world).await;
    // Every answer says how many guesses the address has left; without keys nothing is counted.
    for remaining in (0..20).rev() {
        let access = enter(&world, &pair.open, &other.secret).await;
        assert_eq!(access.caller.unwrap_err(), KeysInvalid.into());
        let left = Quota { limit: 20, remaining, reset_s: 60 };
        assert_eq!(access.quota, Some(left));
        let access = world.engine.authenticate(None, None, HERE).await;
        assert_eq!((access.caller.unwrap_err(), access.quota), (KeysMissing.into(), Some(left)));
    }
    let access = enter(&world, &pair.open, &other.secret).await;
    assert!(matches!(access.caller, Err(KeyPairRefused::TooFast(_))), "{access:?}");
    assert!(enter(&world, &pair.open, &pair.secret).await.caller.is_ok());
}

#[tokio::test]
async fn an_imported_pair_is_checked() {
    let world = world().await;
    let made = world.engine.make_key(world.merchant, Environment::Live).await.unwrap().1;
    let adopt = async |open: &str, secret: &str| {
        let pair = KeyPair { open: open.to_owned(), secret: secret.to_owned() };
        let adopted = world.engine.adopt_key(world.merchant, Environment::Sandbox, pair).await;
        adopted.err().map(|refusal| refusal.code())
    };
    let open = "ok_test_AAAAAAAAAAAAAAAAAAAAAAAA";
    let test = world.engine.make_key(world.merchant, Environment::Sandbox).await.unwrap().1;
    assert_eq!(adopt("short", &test.secret).await, Some("INVALID_API_KEYS"));
    assert_eq!(adopt(open, "short").await, Some("INVALID_API_KEYS"));
    // A live pair in the sandbox would contradict its own prefix.
    assert_eq!(adopt(&made.open, &made.secret).await, Some("INVALID_API_KEYS"));
    assert_eq!(adopt(open, &test.secret).await, None);
    let access = enter(&world, open, &test.secret).await;
    assert_eq!(access.caller.unwrap().environment, Environment::Sandbox);
}

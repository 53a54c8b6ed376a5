//! A wallet's alert is noted once for each crossing. Terms of plans are read back; months that are
//! bought are added to what the account has in that commit, and an account is only changed as it
//! was read.

use crate::harness::world::*;
use domain::{
    AccountId, Currency, EndpointId, Environment, Journal, Money, PaymentKey, PendingWebhook, Plan,
    PlanKind, PostingDenied, PurchaseId, PurchaseKey, Subscription,
};
use std::sync::Arc;
use store::{
    BalanceAlert, BuyPlan, NoteCrossing, PlanPrice, Posting, Reported, ReviseAccount,
    SetBalanceAlert, SetPlanTerms, Store,
};

fn months(store: &Store, reference: &str, months: u32) -> BuyPlan {
    let (account, price) = (AccountId(2), Money::new(500 * i64::from(months), Currency::BDT));
    assert!(store.account(account).unwrap().is_some());
    let posting = Posting {
        journal: Journal::plan(account, price).unwrap(),
        account,
        payment: PaymentKey::plan(account, reference).unwrap(),
        note: "starter".to_owned(),
        at: NOW,
    };
    BuyPlan { posting, plan: Plan::STARTER, months, ends_another: false }
}

pub async fn terms_of_plans_are_read_back(world: World) {
    let store = &world.store;
    let per_minute = |store: &Store| -> Vec<u32> {
        store.plan_terms().unwrap().iter().map(|terms| terms.per_minute).collect()
    };
    assert_eq!(per_minute(store), [60, 120, 600]);
    let kind = PlanKind::Business;
    let taka = |minor| Some(PlanPrice::AMonth(Money::new(minor, Currency::BDT)));
    let dollars = Some(PlanPrice::AMonth(Money::new(900, Currency::USD)));
    for (per_minute, price) in [(None, taka(100)), (Some(90), taka(200)), (None, dollars)] {
        store.commit(SetPlanTerms { kind, per_minute, price }).await.unwrap();
    }
    assert_eq!(per_minute(store), [60, 90, 600]);
    let prices = |store: &Store| store.plan_terms().unwrap().remove(1).prices;
    let expected = [Money::new(200, Currency::BDT), Money::new(900, Currency::USD)];
    assert_eq!(prices(store), expected);
    let price = Some(PlanPrice::NotSold(Currency::BDT));
    store.commit(SetPlanTerms { kind, per_minute: None, price }).await.unwrap();
    assert_eq!(prices(store), expected[1..]);
    // An account's calls a minute are those of its plan, as they are now.
    let plan = |store: &Store| store.account(AccountId(2)).unwrap().unwrap().subscription.unwrap();
    assert_eq!(plan(store).plan, Plan::new(PlanKind::Business, 90));
}

/// Of two nodes that have read the same crossing, one notes it, with its webhooks.
pub async fn a_crossing_is_noted_once(world: World) {
    let store = &world.store;
    let (account, environment) = (AccountId(2), Environment::Live);
    let alert = |minor| {
        let below = Money::new(minor, Currency::BDT);
        BalanceAlert { account, environment, below }
    };
    let crossed = |store: &Store| store.crossed_balances(9).unwrap();
    store.commit(SetBalanceAlert::Below(alert(500))).await.unwrap();
    let low = crossed(store).remove(0);
    assert_eq!((low.alert, low.available.minor(), low.is_low()), (alert(500), 0, true));
    let key = PurchaseKey { account, environment, id: PurchaseId(7) };
    let webhook = Arc::new(PendingWebhook {
        event: "account.low_balance".into(),
        sequence: 1,
        endpoint: EndpointId(31),
        url: "https://a.example".to_owned(),
        body: "{}".to_owned(),
        at: NOW,
        due: Some(NOW),
        is_leased: false,
    });
    let note = |crossed| NoteCrossing { crossed, webhooks: vec![(key, webhook.clone())] };
    let (one, other) = tokio::join!(store.commit(note(low)), store.commit(note(low)));
    assert_eq!(usize::from(one.unwrap()) + usize::from(other.unwrap()), 1);
    assert_eq!(world.count("webhooks"), 1);
    assert_eq!(crossed(store), []);
    // A deposit brings it back; a note of an amount that was changed since is none.
    deposit(store, 2, 500, "in").await;
    let back = crossed(store).remove(0);
    assert!(!back.is_low());
    store.commit(SetBalanceAlert::Below(alert(400))).await.unwrap();
    assert!(!store.commit(NoteCrossing { crossed: back, webhooks: vec![] }).await.unwrap());
    let back = crossed(store).remove(0);
    assert!(store.commit(NoteCrossing { crossed: back, webhooks: vec![] }).await.unwrap());
    assert_eq!(store.balance_alerts(account).unwrap(), [alert(400)]);
    store.commit(SetBalanceAlert::Never(account, environment, Currency::BDT)).await.unwrap();
    assert_eq!(store.balance_alerts(account).unwrap(), []);
    world.assert_sound();
}

/// What is reported is written with it, or not at all.
pub async fn a_payment_is_reported_in_its_commit(world: World) {
    let store = &world.store;
    let report = |posting, id| {
        let (account, environment) = (AccountId(2), Environment::Live);
        let key = PurchaseKey { account, environment, id: PurchaseId(id) };
        let webhook = PendingWebhook {
            event: "deposit.paid".into(),
            sequence: 1,
            endpoint: EndpointId(31),
            url: "https://a.example".to_owned(),
            body: "{}".to_owned(),
            at: NOW,
            due: Some(NOW),
            is_leased: false,
        };
        Reported { commit: posting, webhooks: vec![(key, Arc::new(webhook))] }
    };
    let posting = || fund(domain::Reason::Deposit, 2, 500, "in");
    assert_eq!(store.write(report(posting(), 7)).await.unwrap(), Ok(500));
    let known = store.write(report(posting(), 8)).await.unwrap();
    assert!(matches!(known, Err(PostingDenied::Known(_))), "{known:?}");
    assert_eq!(world.count("webhooks"), 1);
    world.assert_sound();
}

pub async fn months_are_added_to_what_is_there(world: World) {
    let store = &world.store;
    deposit(store, 2, 2_500, "in").await;
    let read = store.account(AccountId(2)).unwrap().unwrap();
    let none = domain::Account { subscription: None, ..read.clone() };
    let revise = ReviseAccount { before: read.clone(), after: none.clone() };
    assert!(store.commit(revise).await.unwrap());
    let bought = store.write(months(store, "A", 2)).await.unwrap().unwrap();
    let two = Subscription::extended(None, Plan::STARTER, 2, NOW);
    assert_eq!((bought.available, bought.subscription), (1_500, two));
    // The buyer of these did not know of those.
    let bought = store.write(months(store, "B", 1)).await.unwrap().unwrap();
    let three = Subscription::extended(None, Plan::STARTER, 3, NOW);
    assert_eq!((bought.available, bought.subscription), (1_000, three));
    let again = store.write(months(store, "b", 1)).await.unwrap();
    assert!(matches!(again, Err(PostingDenied::Known(_))), "{again:?}");
    let dear = store.write(months(store, "C", 3)).await.unwrap();
    assert!(matches!(dear, Err(PostingDenied::Money(_))), "{dear:?}");
    // A change that was made of the account as it was before takes no months away.
    let named = domain::Account { name: "New".to_owned(), ..none.clone() };
    assert!(!store.commit(ReviseAccount { before: none, after: named }).await.unwrap());
    let now = store.account(AccountId(2)).unwrap().unwrap();
    assert_eq!((now.subscription, &now.name), (Some(three), &read.name));
    let owner = store.payment_owner(&PaymentKey::plan(AccountId(2), "a").unwrap()).unwrap();
    assert_eq!(owner.map(|owner| owner.account), Some(AccountId(2)));
    assert_eq!(store.payment_owner(&PaymentKey::plan(AccountId(2), "z").unwrap()).unwrap(), None);
    let sandbox = store.available(AccountId(2), Environment::Sandbox, Currency::BDT).unwrap();
    assert!(sandbox.is_none_or(|money| money.minor() == 0));
    world.assert_sound();
}

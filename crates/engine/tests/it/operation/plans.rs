//! Months of a plan are bought from the live wallet, by one journal, once for each reference.

use crate::world::*;
use domain::{Account, Currency, Environment, Plan, PlanKind, Reason, Subscription, Timestamp};
use engine::{AgreedPlan, Balance, Page, PlanBought, PlanChange, PlanOrder, PlanPrice};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// What a month of the Business plan costs.
const A_MONTH: i64 = 50_000;

const fn order(reference: &str) -> PlanOrder<'_> {
    PlanOrder {
        kind: PlanKind::Business,
        months: 3,
        currency: Currency::BDT,
        reference,
        ends_another: false,
        agreed: None,
    }
}

async fn priced() -> World {
    let world = world().await;
    for (kind, price) in [(PlanKind::Business, A_MONTH), (PlanKind::Enterprise, 3 * A_MONTH)] {
        let price = Some(PlanPrice::AMonth(bdt(price)));
        let change = PlanChange { price, ..PlanChange::default() };
        world.engine.set_plan_terms(kind, change).await.unwrap();
    }
    world
}

async fn has(world: &World, plan: Option<Plan>, until: Timestamp) {
    let since = world.engine.now();
    let subscription = plan.map(|plan| Subscription { plan, until, since });
    let set = |account: &mut Account| account.subscription = subscription;
    world.engine.change_account(world.merchant, set).await.unwrap();
}

fn until_of(world: &World) -> Timestamp {
    world.engine.account(world.merchant).unwrap().unwrap().subscription.unwrap().until
}

fn because(refused: Result<PlanBought, StaffRefused>) -> String {
    let refused = refused.unwrap_err();
    let StaffRefused::NotPossible(refused) = refused else { panic!("{refused:?}") };
    refused.because
}

#[tokio::test]
async fn months_are_bought_once_for_a_reference_and_added_to_what_is_left() {
    let world = priced().await;
    has(&world, None, NOW).await;
    let first = world.engine.buy_plan(world.merchant, order("INV-1")).await.unwrap();
    let expected = Subscription::extended(None, Plan::BUSINESS, 3, world.engine.now());
    assert_eq!((first.price, first.subscription), (bdt(3 * A_MONTH), expected));
    assert_eq!(first.available, bdt(START - 3 * A_MONTH));
    let second = world.engine.buy_plan(world.merchant, order("INV-2")).await.unwrap();
    let longer = Subscription::extended(Some(expected), Plan::BUSINESS, 3, world.engine.now());
    assert_eq!(second.subscription, longer);
    assert_eq!(until_of(&world), longer.until);
    // However it is typed, and whatever is asked for under it.
    let months = 1;
    for again in [order("INV-2"), PlanOrder { months, ..order(" inv-2 ") }] {
        let again = world.engine.buy_plan(world.merchant, again).await;
        assert!(matches!(again, Err(StaffRefused::PaymentKnown(_))), "{again:?}");
    }
    assert_eq!(world.wallet(), (START - 6 * A_MONTH, 0, 0));
    assert_eq!(until_of(&world), longer.until);
    // Another account has references of its own.
    let other = world.account("other").await;
    world.engine.buy_plan(other, order("INV-2")).await.unwrap();

    let page = Page { before: None, limit: 50 };
    let lines = world
        .engine
        .statement(&world.caller(), Currency::BDT, Balance::Available, page)
        .await
        .unwrap();
    let paid: Vec<i64> = lines
        .iter()
        .filter(|line| line.reason == Reason::Plan)
        .map(|line| line.change.minor())
        .collect();
    assert_eq!(paid, [-3 * A_MONTH, -3 * A_MONTH]);
    let payments = world.engine.payments_of(world.merchant, Timestamp(i64::MAX), 9).unwrap();
    let of_plans: Vec<&str> =
        payments.iter().filter(|p| p.rail == "plan").map(|p| &*p.reference).collect();
    assert_eq!(of_plans.len(), 2, "{of_plans:?}");
    let object = format!("account {}", world.merchant);
    let acts = world.engine.acts(Some(&object), 1).unwrap();
    assert_eq!(acts[0].act, domain::Act::BuyPlan);
    world.assert_sound().await;
}

/// Two at once under one reference charge once; under two they are two intents, and both count.
#[tokio::test]
async fn two_at_once_charge_once_for_each_reference() {
    let world = priced().await;
    has(&world, None, NOW).await;
    let buy = |reference| world.engine.buy_plan(world.merchant, order(reference));
    let (one, other) = tokio::join!(buy("INV-1"), buy("INV-1"));
    assert_eq!(usize::from(one.is_ok()) + usize::from(other.is_ok()), 1, "{one:?} {other:?}");
    assert_eq!(world.wallet(), (START - 3 * A_MONTH, 0, 0));
    let (one, other) = tokio::join!(buy("INV-2"), buy("INV-3"));
    assert!(one.is_ok() && other.is_ok(), "{one:?} {other:?}");
    assert_eq!(world.wallet(), (START - 9 * A_MONTH, 0, 0));
    let whole = Subscription::extended(None, Plan::BUSINESS, 9, world.engine.now());
    assert_eq!(until_of(&world), whole.until);
    world.assert_sound().await;
}

#[tokio::test]
async fn what_is_not_for_sale_or_not_affordable_charges_nothing() {
    let world = priced().await;
    has(&world, None, NOW).await;
    let kind = PlanKind::Starter;
    let unpriced = PlanOrder { kind, ..order("X") };
    let refused = because(world.engine.buy_plan(world.merchant, unpriced).await);
    assert!(refused.contains("no price in BDT"), "{refused}");
    let dollars = PlanOrder { currency: Currency::USD, ..order("X") };
    let refused = because(world.engine.buy_plan(world.merchant, dollars).await);
    assert!(refused.contains("no price in USD"), "{refused}");
    let months = 21;
    let dear = world.engine.buy_plan(world.merchant, PlanOrder { months, ..order("X") }).await;
    let Err(StaffRefused::InsufficientBalance(short)) = dear else { panic!("{dear:?}") };
    assert_eq!(short.available, bdt(START));
    for months in [0, 121] {
        let wrong = world.engine.buy_plan(world.merchant, PlanOrder { months, ..order("X") }).await;
        assert!(matches!(wrong, Err(StaffRefused::Invalid(_))), "{wrong:?}");
    }
    let blank = world.engine.buy_plan(world.merchant, order(" ")).await;
    assert!(matches!(blank, Err(StaffRefused::Invalid(_))), "{blank:?}");
    for (change, says) in [
        ((|account| account.approved_at = None) as fn(&mut Account), "not approved"),
        (|account| account.is_active = false, "suspended"),
    ] {
        world.engine.change_account(world.merchant, change).await.unwrap();
        let refused = because(world.engine.buy_plan(world.merchant, order("X")).await);
        assert!(refused.contains(says), "{refused}");
        let restore = |account: &mut Account| {
            (account.approved_at, account.is_active) = (Some(NOW), true);
        };
        world.engine.change_account(world.merchant, restore).await.unwrap();
    }
    assert_eq!(world.wallet(), (START, 0, 0));
    // Nothing of it has used up the reference, and a price that is taken back sells no more.
    world.engine.buy_plan(world.merchant, order("X")).await.unwrap();
    let price = Some(PlanPrice::NotSold(Currency::BDT));
    let change = PlanChange { price, ..PlanChange::default() };
    let terms = world.engine.set_plan_terms(PlanKind::Business, change).await.unwrap();
    assert_eq!(terms.prices, []);
    assert!(because(world.engine.buy_plan(world.merchant, order("Y")).await).contains("no price"));
    world.assert_sound().await;
}

/// Months of a cheap plan do not become months of a dear one: what is left of it ends, if its owner
/// says so.
#[tokio::test]
async fn another_plan_ends_what_is_left_of_the_running_one() {
    let world = priced().await;
    let now = world.engine.now();
    let later = Subscription::extended(None, Plan::STARTER, 12, now).until;
    has(&world, Some(Plan::STARTER), later).await;
    let refused = because(world.engine.buy_plan(world.merchant, order("INV-1")).await);
    assert!(refused.contains("starter is running"), "{refused}");
    assert_eq!(until_of(&world), later);
    let change = PlanOrder { ends_another: true, ..order("INV-1") };
    let bought = world.engine.buy_plan(world.merchant, change).await.unwrap();
    assert_eq!(bought.subscription, Subscription::extended(None, Plan::BUSINESS, 3, now));
    // What was agreed with an account stays when it renews.
    let agreed = Plan::new(PlanKind::Enterprise, 900);
    has(&world, Some(agreed), later).await;
    let kind = PlanKind::Enterprise;
    let bought = world.engine.buy_plan(world.merchant, PlanOrder { kind, ..order("INV-2") }).await;
    assert_eq!(bought.unwrap().subscription.plan, agreed);
    world.assert_sound().await;
}

/// What a buyer was shown is what is sold.
#[tokio::test]
async fn what_was_agreed_to_must_still_be_so() {
    let world = priced().await;
    has(&world, None, NOW).await;
    let caller = world.caller();
    let offer = |world: &World| {
        let kind = PlanKind::Business;
        world.engine.plan_offer(world.merchant, kind, 3, Currency::BDT).unwrap()
    };
    let shown = offer(&world);
    assert_eq!((shown.price, shown.available, shown.ends), (bdt(150_000), bdt(START), None));
    let agreed = Some(AgreedPlan { price: shown.price, until: None });
    let buy = async |reference| {
        let order = PlanOrder { agreed, ..order(reference) };
        world.engine.buy_plan(world.merchant, order).await
    };
    let price = Some(PlanPrice::AMonth(bdt(A_MONTH + 1)));
    let change = PlanChange { price, ..PlanChange::default() };
    world.engine.set_plan_terms(PlanKind::Business, change).await.unwrap();
    assert!(because(buy("A").await).contains("have changed"));
    let price = Some(PlanPrice::AMonth(bdt(A_MONTH)));
    let change = PlanChange { price, ..PlanChange::default() };
    world.engine.set_plan_terms(PlanKind::Business, change).await.unwrap();
    buy("A").await.unwrap();
    // The same form again is known; one of another tab shows an end that is no longer there.
    assert!(matches!(buy("A").await, Err(StaffRefused::PaymentKnown(_))));
    assert!(because(buy("B").await).contains("have changed"));
    assert_eq!(world.wallet(), (START - 3 * A_MONTH, 0, 0));
    // A key pair buys no plan.
    assert!(world.engine.permit::<domain::act::BuyPlan>(&caller).is_err());
    world.assert_sound().await;
}

/// Calls a minute are data too: of the plan for all accounts on it, of the first plan for those
/// without one.
#[tokio::test]
async fn the_terms_of_a_plan_count_at_once_for_every_account_on_it() {
    let world = priced().await;
    let calls = async |kind, per_minute| {
        let change = PlanChange { per_minute: Some(per_minute), ..PlanChange::default() };
        world.engine.set_plan_terms(kind, change).await.unwrap()
    };
    let per_minute = |world: &World| {
        let account = world.engine.account(world.merchant).unwrap().unwrap();
        account.subscription.map(|subscription| subscription.plan.per_minute())
    };
    assert_eq!(per_minute(&world), Some(120));
    assert_eq!(calls(PlanKind::Business, 200).await.per_minute, 200);
    assert_eq!(per_minute(&world), Some(200));
    assert_eq!(calls(PlanKind::Starter, 30).await.per_minute, 30);
    assert_eq!(world.engine.calls_without_plan(), 30);
    let later = world.engine.now().after(Duration::from_secs(60));
    has(&world, Some(Plan::new(PlanKind::Enterprise, 900)), later).await;
    calls(PlanKind::Enterprise, 700).await;
    assert_eq!(per_minute(&world), Some(900));
    let nothing = world.engine.set_plan_terms(PlanKind::Starter, PlanChange::default()).await;
    assert!(matches!(nothing, Err(StaffRefused::Invalid(_))));
    let zero = PlanChange { per_minute: Some(0), ..PlanChange::default() };
    assert!(world.engine.set_plan_terms(PlanKind::Starter, zero).await.is_err());
    let free = PlanChange { price: Some(PlanPrice::AMonth(bdt(0))), ..PlanChange::default() };
    assert!(world.engine.set_plan_terms(PlanKind::Starter, free).await.is_err());
    // Nobody is charged in the sandbox: its money is play money.
    let sandbox = engine::Caller { environment: Environment::Sandbox, ..world.caller() };
    let balance = world.engine.balances(&sandbox).await.unwrap();
    assert_eq!(balance, [bdt(START)]);
}

/// A plan is renewed in its last day by one month, once for each end, and again once it can be
/// paid.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_renews_itself_where_its_account_wants_it() {
    let world = priced().await;
    let end = Subscription::extended(None, Plan::BUSINESS, 1, world.engine.now());
    has(&world, Some(Plan::BUSINESS), end.until).await;
    let look = async || {
        let workers = world.engine.start_workers().await.unwrap();
        let others = world.engine.start_workers().await.unwrap();
        workers.stop(Duration::from_secs(5)).await;
        others.stop(Duration::from_secs(5)).await;
    };
    let until_end = end.until.since(world.engine.now());
    world.clock.advance(until_end.saturating_sub(Duration::from_secs(3600)));
    look().await;
    assert_eq!((until_of(&world), world.wallet().0), (end.until, START), "nobody wants it");
    assert!(world.engine.set_plan_renewal(world.merchant, Some(Currency::USD)).await.is_err());
    world.engine.set_plan_renewal(world.merchant, Some(Currency::BDT)).await.unwrap();
    look().await;
    look().await;
    let renewed = Subscription::extended(Some(end), Plan::BUSINESS, 1, world.engine.now());
    assert_eq!((until_of(&world), world.wallet().0), (renewed.until, START - A_MONTH));
    // It ends with an empty wallet; there is money two days later.
    let note = |reference| Note { reference, note: "" };
    let left = bdt(START - A_MONTH);
    let fund = async |reason, amount, reference| {
        let live = Environment::Live;
        world.engine.fund(reason, world.merchant, live, amount, note(reference)).await.unwrap();
    };
    fund(Reason::Withdraw, left, "W1").await;
    world.clock.advance(renewed.until.since(world.engine.now()) + 2 * DAY);
    look().await;
    assert_eq!(until_of(&world), renewed.until);
    fund(Reason::Deposit, left, "D1").await;
    look().await;
    let anew = Subscription::extended(None, Plan::BUSINESS, 1, world.engine.now());
    assert_eq!((until_of(&world), world.wallet().0), (anew.until, START - 2 * A_MONTH));
    // Long after its end, and once it is not wanted any more, nothing is charged.
    world.engine.set_plan_renewal(world.merchant, None).await.unwrap();
    assert_eq!(world.engine.plan_renewal(world.merchant).unwrap(), None);
    world.clock.advance(anew.until.since(world.engine.now()));
    look().await;
    world.engine.set_plan_renewal(world.merchant, Some(Currency::BDT)).await.unwrap();
    world.clock.advance(8 * DAY);
    look().await;
    assert_eq!((until_of(&world), world.wallet().0), (anew.until, START - 2 * A_MONTH));
    world.assert_sound().await;
}

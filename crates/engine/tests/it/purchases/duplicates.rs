//! The same sale again, under another reference (CONTRACT A-42).

use crate::world::*;
use domain::{DuplicatePolicy, Environment, Kind, ReferenceScope, State};
use engine::{Caller, PurchaseOutcome, PurchaseRequest};
use std::time::Duration;

/// Buys; answers the reference of the earlier sale, if it is marked, or the refusal's code.
async fn buy(world: &World, request: PurchaseRequest) -> String {
    match world.engine.purchase(request).await {
        Ok(PurchaseOutcome::Bought { possible_duplicate_of, .. }) => {
            possible_duplicate_of.unwrap_or("new".to_owned())
        }
        Ok(PurchaseOutcome::Repeated { .. }) => "repeated".to_owned(),
        Err(BuyRefused::PossibleDuplicate(PossibleDuplicate { earlier })) => {
            format!("refused for {earlier}")
        }
        Err(refused) => refused.code().to_owned(),
    }
}

fn with(world: &World, policy: DuplicatePolicy, reference: &str) -> PurchaseRequest {
    let caller = Caller { duplicates: policy, ..world.caller() };
    PurchaseRequest { caller, ..world.request(reference, TO_A) }
}

#[tokio::test]
async fn the_same_sale_again_is_marked_for_two_minutes() {
    let world = world().await;
    let request = |reference| with(&world, DuplicatePolicy::Mark, reference);
    assert_eq!(buy(&world, request("R1")).await, "new");
    // Each of these is another sale.
    for (n, other) in [
        PurchaseRequest { recipient: TO_A_B.to_owned(), ..request("O0") },
        PurchaseRequest { operator: "RB".to_owned(), ..request("O1") },
        PurchaseRequest { amount: bdt(AMOUNT + 100), ..request("O2") },
        PurchaseRequest {
            caller: Caller { environment: Environment::Sandbox, ..world.caller() },
            ..request("O3")
        },
        PurchaseRequest { caller: world.caller_of(world.account("other").await), ..request("O4") },
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(buy(&world, other).await, "new", "{n}");
    }
    world.clock.advance(Duration::from_secs(119));
    assert_eq!(buy(&world, request("R2")).await, "R1");
    // A reference that comes again is refused as such, and is no sale of its own.
    assert_eq!(buy(&world, request("R1")).await, "DUPLICATE_REFERENCE");
    // Whatever was bought for it, and in whichever dialect.
    let offer = PurchaseRequest { kind: Kind::Offer, ..request("R2b") };
    assert_eq!(buy(&world, offer).await, "R2");
    let scope = ReferenceScope::Rechargely;
    assert_eq!(buy(&world, PurchaseRequest { scope, ..request("R2c") }).await, "R2b");
    world.clock.advance(Duration::from_secs(119));
    assert_eq!(buy(&world, request("R3")).await, "R2c");
    world.clock.advance(Duration::from_secs(120));
    assert_eq!(buy(&world, request("R4")).await, "new");
    assert_eq!(buy(&world, with(&world, DuplicatePolicy::Off, "R5")).await, "new");
    assert_eq!(buy(&world, request("R6")).await, "R4");
    world.assert_sound().await;
}

#[tokio::test]
async fn the_same_sale_again_is_refused_where_the_account_wants_that() {
    let world = world().await;
    let request = |reference| with(&world, DuplicatePolicy::Refuse, reference);
    assert_eq!(buy(&world, request("R1")).await, "new");
    let after_one = world.wallet();
    assert_eq!(buy(&world, request("R2")).await, "refused for R1");
    assert_eq!(buy(&world, request("R3")).await, "refused for R1");
    assert_eq!(world.wallet(), after_one);
    // The reference is free.
    let wanted = PurchaseRequest { allow_duplicate: true, ..request("R2") };
    assert_eq!(buy(&world, wanted).await, "R1");
    assert_eq!(buy(&world, request("R2")).await, "DUPLICATE_REFERENCE");
    assert_eq!(world.a.count(Call::Submit), 2);
    world.assert_sound().await;
}

/// What was not sold, or failed, is repeated with reason.
#[tokio::test]
async fn only_a_sale_that_may_be_delivered_counts() {
    let world = world().await;
    let request = |reference| with(&world, DuplicatePolicy::Refuse, reference);
    let dear = |reference| PurchaseRequest { amount: bdt(START), ..request(reference) };
    assert_eq!(buy(&world, dear("D1")).await, "INSUFFICIENT_BALANCE");
    assert_eq!(buy(&world, dear("D2")).await, "INSUFFICIENT_BALANCE");
    world.a.answers(refused(), unknown());
    assert_eq!(buy(&world, request("R1")).await, "new");
    assert_eq!(world.state(world.latest()), State::Failed);
    assert_eq!(buy(&world, request("R2")).await, "new");
    // In doubt: it may be delivered.
    world.a.answers(unknown(), unknown());
    let other = |reference| PurchaseRequest { recipient: TO_A_B.to_owned(), ..request(reference) };
    assert_eq!(buy(&world, other("R3")).await, "new");
    assert_eq!(world.state(world.latest()), State::InDoubt);
    assert_eq!(buy(&world, other("R4")).await, "refused for R3");
}

/// After a restart, and as another node sees it: the latest purchases are read.
#[tokio::test]
async fn sales_from_before_a_start_count() {
    let world = world().await;
    assert_eq!(buy(&world, with(&world, DuplicatePolicy::Mark, "R1")).await, "new");
    let (database, clock, merchant) = world.closed();
    until(|| database.is_free()).await;
    clock.advance(Duration::from_secs(60));
    let mut world = started(database, clock);
    world.merchant = merchant;
    let workers = world.engine.start_workers().await.unwrap();
    let again = buy(&world, with(&world, DuplicatePolicy::Refuse, "R2")).await;
    assert_eq!(again, "refused for R1");
    stop(workers).await;
}

/// Also the first sale of a node after a quiet time.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sale_of_another_node_counts() {
    let first = world().await;
    let folder = tempfile::tempdir().unwrap();
    let Some(store) = first.database.open_for_node(folder.path()) else { return };
    let (database, clock) = (first.database.clone(), first.clock.clone());
    let second = World {
        merchant: first.merchant,
        ..started_on(store, database, clock, Services::default())
    };
    let request = |reference: String| with(&first, DuplicatePolicy::Refuse, &reference);
    for (n, [seller, other]) in [[&first, &second], [&second, &first]].into_iter().enumerate() {
        assert_eq!(buy(seller, request(format!("A{n}"))).await, "new");
        first.clock.advance(Duration::from_secs(2));
        assert_eq!(buy(other, request(format!("B{n}"))).await, format!("refused for A{n}"));
        first.clock.advance(Duration::from_secs(120));
    }
}

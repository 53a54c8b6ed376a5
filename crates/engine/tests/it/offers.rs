//! Offers: what an operator quotes, and what a purchase may say about one.

use crate::world::*;
use domain::Refusal;
use domain::catalog::Service;
use domain::purchase::Details;
use domain::upstream::{NoOffers, Offer};
use expect_test::expect;
use std::time::Duration;

fn offer(id: &str, minor: i64) -> Offer {
    let identifiers =
        [("offerId", id), ("campaignId", "C1"), ("sessionContext", "S1"), ("ticketId", id)];
    Offer {
        amount: bdt(minor),
        title: format!("{id} GB"),
        title_local: "১ GB".to_owned(),
        validity: "7 days".to_owned(),
        category: "INTERNET".to_owned(),
        is_highlighted: false,
        identifiers: details(&identifiers),
    }
}

fn details(pairs: &[(&str, &str)]) -> Details {
    pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
}

async fn look(world: &World, operator: &str, given: &[(&str, &str)], minor: i64) -> String {
    let catalog = world.engine.catalog();
    let operator = catalog.operator(Service::MobileRecharge, operator).unwrap();
    let given = details(given);
    match world.engine.offer(&world.caller(), operator, TO_A, &given, bdt(minor)).await {
        Ok(found) => format!("{:?}", found.identifiers.values().collect::<Vec<_>>()),
        Err(Refusal::Invalid(complaints)) => {
            complaints.iter().map(|c| c.message.as_str()).collect()
        }
        Err(refusal) => format!("{refusal:?}"),
    }
}

#[tokio::test]
async fn offers_are_shown_with_what_they_earn() {
    let world = world().await;
    *world.a.offers.lock().unwrap() = Ok(vec![offer("1", 6_800), offer("2", 99)]);
    let catalog = world.engine.catalog();
    let gp = catalog.operator(Service::MobileRecharge, "gp").unwrap();
    let shown = world.engine.offers(&world.caller(), gp, TO_A).await.unwrap();
    let earned: Vec<_> = shown.iter().map(|(o, c)| (o.title.as_str(), c.minor())).collect();
    assert_eq!(earned, [("1 GB", 102), ("2 GB", 1)]);
    *world.a.offers.lock().unwrap() = Err(NoOffers { reason: "busy".to_owned() });
    let none = world.engine.offers(&world.caller(), gp, TO_A).await.unwrap_err();
    assert_eq!(none, Refusal::OffersUnavailable { reason: "busy".to_owned() });
    let nobody = world.engine.offers(&world.caller(), gp, TO_NOBODY).await.unwrap_err();
    assert_eq!(nobody.code(), "OFFERS_UNAVAILABLE");
}

#[tokio::test]
async fn an_offer_is_filled_in_and_held_to_what_it_is() {
    let world = world().await;
    *world.a.offers.lock().unwrap() = Ok(vec![offer("1", 6_800), offer("2", 99)]);
    let mut out = String::new();
    for (operator, given, minor) in [
        ("GP", &[("offerId", "1")][..], 6_800),
        ("GP", &[("offerId", "1"), ("campaignId", "C1"), ("sessionContext", "S1")], 6_800),
        ("GP", &[("offerId", "1"), ("campaignId", "C9"), ("sessionContext", "")], 6_800),
        ("GP", &[("offerId", "1")], 6_801),
        ("GP", &[("offerId", "3")], 6_800),
        ("GP", &[("ticketId", "1")], 6_800),
        ("GP", &[], 6_800),
        ("RB", &[("ticketId", "2")], 99),
        ("RB", &[("ticketId", "2"), ("unasked", "x")], 99),
        ("TT", &[("ticketId", "2")], 99),
    ] {
        out += &format!("{operator} {given:?}: {}\n", look(&world, operator, given, minor).await);
    }
    expect![[r#"
        GP [("offerId", "1")]: ["C1", "1", "S1", "1"]
        GP [("offerId", "1"), ("campaignId", "C1"), ("sessionContext", "S1")]: ["C1", "1", "S1", "1"]
        GP [("offerId", "1"), ("campaignId", "C9"), ("sessionContext", "")]: The campaignId does not belong to this offer; send the offer's own.The sessionContext does not belong to this offer; send the offer's own.
        GP [("offerId", "1")]: OfferAmount { costs: Money { minor: 6800, currency: BDT } }
        GP [("offerId", "3")]: The campaignId is missing, and the offer was not shown for this number: list the offers first.The sessionContext is missing, and the offer was not shown for this number: list the offers first.
        GP [("ticketId", "1")]: OfferUnknown
        GP []: OfferUnknown
        RB [("ticketId", "2")]: ["C1", "2", "S1", "2"]
        RB [("ticketId", "2"), ("unasked", "x")]: ["C1", "2", "S1", "2"]
        TT [("ticketId", "2")]: OfferUnknown
    "#]].assert_eq(&out);
}

/// What was shown is remembered for a quarter of an hour; after that, and for what was not shown,
/// the operator is asked again.
#[tokio::test]
async fn what_was_shown_is_remembered_for_a_while() {
    let world = world().await;
    *world.a.offers.lock().unwrap() = Ok(vec![offer("1", 6_800)]);
    let gone = || Err(NoOffers { reason: "gone".to_owned() });
    assert!(look(&world, "GP", &[("offerId", "1")], 6_800).await.contains("S1"));
    *world.a.offers.lock().unwrap() = gone();
    world.clock.advance(Duration::from_secs(15 * 60 - 1));
    assert!(look(&world, "GP", &[("offerId", "1")], 6_800).await.contains("S1"));
    // Not among those shown, nor shown for this operator: asked for.
    for (operator, id) in [("GP", [("offerId", "2")]), ("RB", [("ticketId", "1")])] {
        assert!(look(&world, operator, &id, 6_800).await.contains("gone"));
    }
    world.clock.advance(Duration::from_secs(1));
    assert!(look(&world, "GP", &[("offerId", "1")], 6_800).await.contains("gone"));
}

//! Offers: what an operator quotes, and the identifiers that a purchase of one must have.

use crate::world::*;
use domain::{NoOffers, Offer, Service};
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

/// The identifiers of the offer that a request names, or the refusal.
async fn resolve(world: &World, operator: &str, given: &[(&str, &str)], minor: i64) -> String {
    let catalog = world.engine.catalog();
    let operator = catalog.operator(Service::MobileRecharge, operator).unwrap();
    let given = details(given);
    match world.engine.offer(&world.caller(), operator, TO_A, &given, bdt(minor)).await {
        Ok(found) => format!("{:?}", found.identifiers.values().collect::<Vec<_>>()),
        Err(OfferRefused::Invalid(Invalid { errors })) => {
            errors.iter().map(|e| e.message.as_str()).collect()
        }
        Err(OfferRefused::OfferUnknown(unknown)) => format!("{unknown:?}"),
        Err(OfferRefused::OfferAmount(amount)) => format!("{amount:?}"),
        Err(OfferRefused::OffersUnavailable(none)) => format!("{none:?}"),
        Err(OfferRefused::NoRoute(none)) => format!("{none:?}"),
        Err(OfferRefused::NoSubscription(none)) => format!("{none:?}"),
    }
}

#[tokio::test]
async fn offers_are_listed_with_their_commission() {
    let world = world().await;
    *world.a.offers.lock().unwrap() = Ok(vec![offer("1", 6_800), offer("2", 99)]);
    let catalog = world.engine.catalog();
    let gp = catalog.operator(Service::MobileRecharge, "gp").unwrap();
    let listed = world.engine.offers(&world.caller(), gp, TO_A).await.unwrap();
    let earned: Vec<_> = listed.iter().map(|(o, c)| (o.title.as_str(), c.minor())).collect();
    assert_eq!(earned, [("1 GB", 102), ("2 GB", 1)]);
    *world.a.offers.lock().unwrap() = Err(NoOffers { reason: "busy".to_owned() });
    let none = world.engine.offers(&world.caller(), gp, TO_A).await.unwrap_err();
    assert_eq!(none, OffersUnavailable { reason: "busy".to_owned() }.into());
    let nobody = world.engine.offers(&world.caller(), gp, TO_NOBODY).await.unwrap_err();
    assert_eq!(nobody, NoRoute.into());
}

#[tokio::test]
async fn identifiers_are_completed_and_checked() {
    let world = world().await;
    *world.a.offers.lock().unwrap() = Ok(vec![offer("1", 6_800), offer("2", 99)]);
    let one = r#"["C1", "1", "S1", "1"]"#;
    let two = r#"["C1", "2", "S1", "2"]"#;
    let mismatch = "The campaignId does not belong to this offer; send the offer's own.\
                    The sessionContext does not belong to this offer; send the offer's own.";
    let missing = "The campaignId is missing, and the offer was not shown for this number: \
                   list the offers first.\
                   The sessionContext is missing, and the offer was not shown for this number: \
                   list the offers first.";
    let amount = "OfferAmount { costs: Money { minor: 6800, currency: BDT } }";
    let unknown = "OfferUnknown";
    let all = [("offerId", "1"), ("campaignId", "C1"), ("sessionContext", "S1")];
    let wrong = [("offerId", "1"), ("campaignId", "C9"), ("sessionContext", "")];
    for (operator, given, minor, expected) in [
        ("GP", &[("offerId", "1")][..], 6_800, one),
        ("GP", &all, 6_800, one),
        ("GP", &wrong, 6_800, mismatch),
        ("GP", &[("offerId", "1")], 6_801, amount),
        ("GP", &[("offerId", "3")], 6_800, missing),
        ("GP", &[("ticketId", "1")], 6_800, unknown),
        ("GP", &[], 6_800, unknown),
        ("RB", &[("ticketId", "2")], 99, two),
        ("RB", &[("ticketId", "2"), ("unasked", "x")], 99, two),
        ("TT", &[("ticketId", "2")], 99, unknown),
    ] {
        let found = resolve(&world, operator, given, minor).await;
        assert_eq!(found, expected, "{operator} {given:?}");
    }
}

/// Listed offers are cached for a quarter of an hour. After that, and for an offer that was not
/// listed, the operator is asked again.
#[tokio::test]
async fn listed_offers_are_cached_for_a_while() {
    let world = world().await;
    *world.a.offers.lock().unwrap() = Ok(vec![offer("1", 6_800)]);
    let gone = || Err(NoOffers { reason: "gone".to_owned() });
    assert!(resolve(&world, "GP", &[("offerId", "1")], 6_800).await.contains("S1"));
    *world.a.offers.lock().unwrap() = gone();
    world.clock.advance(Duration::from_secs(15 * 60 - 1));
    assert!(resolve(&world, "GP", &[("offerId", "1")], 6_800).await.contains("S1"));
    // Not listed, or not listed for this operator: the operator is asked.
    for (operator, id) in [("GP", [("offerId", "2")]), ("RB", [("ticketId", "1")])] {
        assert!(resolve(&world, operator, &id, 6_800).await.contains("gone"));
    }
    world.clock.advance(Duration::from_secs(1));
    assert!(resolve(&world, "GP", &[("offerId", "1")], 6_800).await.contains("gone"));
}

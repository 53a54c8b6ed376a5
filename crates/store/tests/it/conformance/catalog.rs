//! The catalog, accounts and keys are read back as they were set.

use crate::harness::world::*;
use domain::account::HOUSE;
use domain::catalog::pricing;
use domain::ids::KeyId;
use domain::{
    AccountId, AllowList, AmountRange, Category, CategoryId, Environment, Field, Key, KeyScope,
    KeyScopes, Kind, OfferForm, Operator, Part, PriceRule, Pricing, Product, ProductId,
    ReceiptLine, Role, Route, Timestamp, UpstreamCode,
};
use fixtures::usd;
use store::{KeyUse, NoteKeyUses, ReviseCatalog, Setting};

/// Of two changes that were made of one catalog, the second one is made again.
pub async fn a_revision_is_of_the_catalog_that_was_read(world: World) {
    let store = &world.store;
    set(store, Setting::Country(fixtures::bangladesh())).await;
    let seen = store.catalog_revision().unwrap();
    let revise = |operator: Operator, seen| ReviseCatalog {
        settings: vec![Setting::Operator(operator)],
        seen,
    };
    let first = fixtures::operator(1, "GP");
    assert!(store.commit(revise(first.clone(), seen)).await.unwrap());
    let second = fixtures::operator(1, "BL");
    assert!(!store.commit(revise(second, seen)).await.unwrap(), "it was made of what was before");
    assert_eq!(store.catalog().unwrap().operators, [first]);
    let third = fixtures::operator(2, "BL");
    assert_eq!(store.catalog_revision().unwrap(), seen + 1);
    assert!(store.commit(revise(third, seen + 1)).await.unwrap());
    assert_eq!(store.catalog().unwrap().operators.len(), 2);
}

pub async fn the_catalog_is_read_back(world: World) {
    let store = &world.store;
    let country = fixtures::bangladesh();
    let operator = Operator {
        aliases: vec!["grameenphone".into(), "gp \"quoted\"".into()],
        name: "Grameenphone".into(),
        logo: "gp.svg".into(),
        prepaid: Some(fixtures::limits(1_000, 100_000)),
        offers: Some(OfferForm::Campaign),
        ..fixtures::operator(1, "GP")
    };
    let price = PriceRule {
        id: 1,
        component: pricing::PriceComponent::Fee,
        account: Some(AccountId(2)),
        plan: Some("business".into()),
        operator: Some("GP".into()),
        kind: Some(Kind::Offer),
        from: Some(NOW),
        until: Some(NOW.after(seconds(1))),
        flat: bdt(50),
        share_ppm: 5_000,
        min: Some(bdt(1)),
        max: Some(bdt(9)),
    };
    let route = Route {
        id: 1,
        environment: Environment::Sandbox,
        operator: None,
        kind: Some(Kind::Recharge),
        product: Some("Cake".into()),
        account: Some(AccountId(7)),
        recipient_ends: Some("105".into()),
        upstreams: vec![UpstreamCode::new("a"), UpstreamCode::new("b")],
        needs_approval: true,
    };
    set(store, Setting::Country(country.clone())).await;
    set(store, Setting::Operator(operator.clone())).await;
    let category = Category { id: CategoryId(3), ..fixtures::category() };
    set(store, Setting::Category(category.clone())).await;
    let products = products();
    for product in &products {
        set(store, Setting::Product(product.clone())).await;
    }
    set(store, Setting::Price(price.clone())).await;
    set(store, Setting::Route(route.clone())).await;
    let catalog = store.catalog().unwrap();
    assert_eq!((&catalog.countries, &catalog.operators), (&vec![country], &vec![operator]));
    assert_eq!((&catalog.prices, &catalog.routes), (&vec![price], &vec![route]));
    assert_eq!((&catalog.categories, &catalog.products), (&vec![category], &products));
}

fn products() -> Vec<Product> {
    let power = Product {
        id: ProductId(7),
        title: "ZETDC Prepaid".into(),
        description: "Electricity \"tokens\"".into(),
        ref_name: "zetdc".into(),
        operator: "ZETDC".into(),
        category: CategoryId(3),
        price: Pricing::Range(AmountRange { min: usd(100), max: usd(50_000) }),
        fields: vec![Field { label: "Months".into(), ..fixtures::field("months") }],
        checks_bill: true,
        receipt: vec![
            ReceiptLine { label: "Token".into(), part: Part::Tokens },
            ReceiptLine { label: "Months".into(), part: Part::Field("months".into()) },
        ],
        logo: "zetdc.png".into(),
        is_active: false,
        ..fixtures::product("zetdc_prepaid_usd")
    };
    let bundle = Product {
        id: ProductId(8),
        name: "econet_data_1gb".into(),
        kind: Kind::Bundle,
        price: Pricing::Fixed(usd(500)),
        fields: Vec::new(),
        checks_bill: false,
        receipt: Vec::new(),
        is_active: true,
        ..power.clone()
    };
    vec![power, bundle]
}

pub async fn keys_and_accounts_are_read_back(world: World) {
    let store = &world.store;
    let key = Key {
        id: KeyId(77),
        account: AccountId(2),
        environment: Environment::Sandbox,
        open_key: "ok_test_1".into(),
        secret_digest: [9; 32],
        secret_tail: "tail".into(),
        allow_list: AllowList::parse(["10.0.0.0/24", "2001:db8::1"]).unwrap(),
        revoked_at: None,
        scopes: KeyScopes::of([KeyScope::Read, KeyScope::Money]),
        expires_at: Some(NOW),
        made_by: Some("login 7".to_owned()),
    };
    set(store, Setting::Key(key.clone(), NOW)).await;
    let holder = store.key_holder("ok_test_1").unwrap().unwrap();
    assert_eq!((&holder.key, &holder.account), (&key, &account(AccountId(2), Role::Merchant)));
    assert_eq!(store.key_holder("ok_test_2").unwrap(), None);
    // Replaced: what may change changes, what a key is stays.
    let revoked =
        Key { revoked_at: Some(NOW), scopes: KeyScopes::ALL, expires_at: None, ..key.clone() };
    let other = Key { secret_digest: [1; 32], environment: Environment::Live, ..revoked.clone() };
    set(store, Setting::Key(other, NOW)).await;
    assert_eq!(store.keys_of(AccountId(2)).unwrap(), [revoked]);
    // The later of two uses counts.
    let used = |at: i64, address: &str| {
        let used_at = Timestamp(NOW.0 + at);
        NoteKeyUses(vec![(KeyId(77), KeyUse { used_at, address: address.to_owned() })])
    };
    for note in [used(1, "192.0.2.1"), used(3, "192.0.2.3"), used(2, "192.0.2.2")] {
        store.commit(note).await.unwrap();
    }
    let uses = store.key_uses(AccountId(2)).unwrap();
    assert_eq!(uses, [(KeyId(77), used(3, "192.0.2.3").0.remove(0).1)]);
    assert_eq!(store.key_uses(AccountId(3)).unwrap(), []);
    let ids: Vec<AccountId> = store.accounts().unwrap().iter().map(|a| a.id).collect();
    assert_eq!(ids, [HOUSE, AccountId(2), AccountId(3)]);
}

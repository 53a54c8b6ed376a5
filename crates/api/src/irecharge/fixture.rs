//! A catalog, a caller and a purchase to test with.

use domain::ids::KeyId;
use domain::{
    AccountId, Catalog, Decider, DuplicatePolicy, Environment, OfferForm, Operator, Plan, Purchase,
    PurchaseKey, Service, State, Timestamp,
};
use engine::Caller;
pub(crate) use fixtures::bdt;
use fixtures::{bangladesh, limits, purchase_key, zimbabwe};

pub(crate) const fn caller(environment: Environment) -> Caller {
    Caller {
        account: AccountId(7),
        environment,
        key: Some(KeyId(3)),
        session: None,
        plan: Some(Plan::BUSINESS),
        person: None,
        is_approved: true,
        duplicates: DuplicatePolicy::Mark,
        scopes: domain::KeyScopes::ALL,
    }
}

fn operator(id: i64, code: &str, name: &str, offers: Option<OfferForm>) -> Operator {
    Operator {
        aliases: vec![name.to_lowercase()],
        name: name.into(),
        logo: format!("{}.png", name.to_lowercase()),
        prefixes: Vec::new(),
        prepaid: Some(limits(1_000, 100_000)),
        postpaid: Some(limits(1_000, 500_000)),
        offers,
        ..fixtures::operator(id, code)
    }
}

/// Bangladesh with its operators and bKash; Skitto sells prepaid only, Rocket is switched off.
pub(crate) fn catalog() -> Catalog {
    let banking = |id, code, name, is_active| Operator {
        service: Service::MobileBanking,
        is_active,
        postpaid: None,
        ..operator(id, code, name, None)
    };
    Catalog {
        countries: vec![bangladesh(), zimbabwe()],
        operators: vec![
            operator(1, "GP", "Grameenphone", Some(OfferForm::Campaign)),
            operator(2, "BL", "Banglalink", Some(OfferForm::OfferAndTran)),
            operator(3, "RB", "Robi", Some(OfferForm::Ticket)),
            operator(4, "AT", "Airtel", Some(OfferForm::Ticket)),
            operator(5, "TT", "Teletalk", None),
            Operator { postpaid: None, ..operator(6, "SK", "Skitto", None) },
            banking(7, "BKASH", "bKash", true),
            banking(8, "ROCKET", "Rocket", false),
            Operator { country: "ZW".into(), ..operator(9, "ECONET", "Econet", None) },
        ],
        ..Catalog::default()
    }
}

/// The seed's normal recharge.
pub(crate) fn purchase(state: State) -> Purchase {
    let moment = Timestamp(1_770_320_554_000_000);
    let is_decided = state.is_final();
    let key = PurchaseKey { environment: Environment::Sandbox, ..purchase_key(7, 21) };
    Purchase {
        reference: "BILL-026401".into(),
        api_key: Some(KeyId(3)),
        available_after: bdt(698_950),
        version: 2,
        attempts: 1,
        upstream: None,
        decider: is_decided.then_some(Decider::Auto),
        opened_at: moment,
        updated_at: moment,
        delivered_at: matches!(state, State::Delivered | State::Refunded).then_some(moment),
        ..fixtures::purchase(key, state)
    }
}

//! A catalog, a caller and a purchase to test with.

use domain::account::{AccountId, Environment, Plan};
use domain::catalog::kind::ServiceType;
use domain::catalog::number::Numbering;
use domain::catalog::{AmountRange, Country, OfferForm, Service};
use domain::ids::KeyId;
use domain::purchase::{Decider, Details, ReferenceScope};
use domain::{
    Catalog, Currency, Kind, Money, Operator, Purchase, PurchaseId, PurchaseKey, State, Timestamp,
};
use engine::Caller;

pub(crate) const fn bdt(minor: i64) -> Money {
    Money::new(minor, Currency::BDT)
}

pub(crate) const fn caller(environment: Environment) -> Caller {
    Caller {
        account: AccountId(7),
        environment,
        key: Some(KeyId(3)),
        session: None,
        plan: Some(Plan::Business),
    }
}

fn operator(id: i64, code: &str, name: &str, offers: Option<OfferForm>) -> Operator {
    let limits = |most| Some(AmountRange { min: bdt(1_000), max: bdt(most) });
    Operator {
        id,
        code: code.into(),
        aliases: vec![name.to_lowercase()],
        name: name.into(),
        country: "BD".into(),
        service: Service::MobileRecharge,
        logo: format!("{}.png", name.to_lowercase()),
        prefixes: Vec::new(),
        prepaid: limits(100_000),
        postpaid: limits(500_000),
        offers,
        is_active: true,
    }
}

/// Bangladesh with its operators and bKash; Skitto sells prepaid only, Rocket is switched off.
pub(crate) fn catalog() -> Catalog {
    let numbering = |calling_code: &str, length, begins: &str| Numbering {
        calling_code: calling_code.into(),
        trunk: "0".into(),
        length,
        begins: begins.into(),
    };
    let country = |code: &str, name: &str, currency, numbering| Country {
        code: code.into(),
        name: name.into(),
        currency,
        numbering,
    };
    let banking = |id, code, name, is_active| Operator {
        service: Service::MobileBanking,
        is_active,
        postpaid: None,
        ..operator(id, code, name, None)
    };
    Catalog {
        categories: Vec::new(),
        products: Vec::new(),
        countries: vec![
            country("BD", "Bangladesh", Currency::BDT, numbering("880", 10, "1")),
            country("ZW", "Zimbabwe", Currency::USD, numbering("263", 9, "7")),
        ],
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
        prices: Vec::new(),
        routes: Vec::new(),
    }
}

/// The seed's normal recharge.
pub(crate) fn purchase(state: State) -> Purchase {
    let moment = Timestamp(1_770_320_554_000_000);
    let is_decided = state.is_final();
    Purchase {
        key: PurchaseKey {
            account: AccountId(7),
            environment: Environment::Sandbox,
            id: PurchaseId(21),
        },
        scope: ReferenceScope::Irecharge,
        reference: "BILL-026401".into(),
        api_key: Some(KeyId(3)),
        kind: Kind::Recharge,
        operator: "GP".into(),
        product: None,
        recipient: "01712345678".into(),
        service_type: ServiceType::Prepaid,
        amount: bdt(1_000),
        fee: bdt(50),
        commission: bdt(150),
        available_after: bdt(698_950),
        details: Details::new(),
        webhook_url: None,
        state,
        version: 2,
        attempts: 1,
        upstream: None,
        text: None,
        decider: is_decided.then_some(Decider::Auto),
        opened_at: moment,
        updated_at: moment,
        delivered_at: matches!(state, State::Delivered | State::Refunded).then_some(moment),
    }
}

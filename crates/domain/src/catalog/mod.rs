//! The catalog: what can be bought, from which operator, within which limits.
//!
//! It is one immutable value, replaced as a whole when it changes. A purchase is priced and routed
//! from this value alone, without SQL. Not here: offers (an operator quotes them for one number at
//! one moment), and how the catalog is stored.

pub(crate) mod check;
pub mod kind;
pub mod number;
pub mod pricing;
pub mod product;
pub mod routing;
pub mod search;

use crate::catalog::kind::ServiceType;
use crate::catalog::number::Numbering;
use crate::catalog::pricing::{Price, PriceQuery, PriceRule};
use crate::catalog::product::{Category, CategoryId, Product, ProductId};
use crate::catalog::routing::{Path, Route};
use crate::money::{Currency, Money};

/// A family of operators: `mobile-recharge`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Service {
    /// Mobile operators.
    MobileRecharge,
    /// Mobile-banking services.
    MobileBanking,
    /// Billers: power, water, television, schools.
    BillPayment,
}

impl Service {
    /// All services.
    pub const ALL: [Service; 3] =
        [Service::MobileRecharge, Service::MobileBanking, Service::BillPayment];

    /// In filters and storage: `mobile-recharge`.
    pub const fn slug(self) -> &'static str {
        match self {
            Service::MobileRecharge => "mobile-recharge",
            Service::MobileBanking => "mobile-banking",
            Service::BillPayment => "bill-payment",
        }
    }

    /// For people: `Mobile Recharge`.
    pub const fn name(self) -> &'static str {
        match self {
            Service::MobileRecharge => "Mobile Recharge",
            Service::MobileBanking => "Mobile Banking",
            Service::BillPayment => "Bill Payment",
        }
    }

    /// Reads [`Service::slug`].
    pub fn from_slug(slug: &str) -> Option<Service> {
        Service::ALL.into_iter().find(|s| s.slug() == slug)
    }
}

/// A country whose operators are sold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Country {
    /// ISO 3166: `BD`.
    pub code: String,
    /// In English.
    pub name: String,
    /// The currency of purchases from its operators.
    pub currency: Currency,
    /// The format of its mobile numbers.
    pub numbering: Numbering,
}

/// The amounts that one purchase may have, both ends included; one currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AmountRange {
    /// Not above `max`.
    pub min: Money,
    /// Not below `min`.
    pub max: Money,
}

impl AmountRange {
    /// Whether an amount is in the range; the error is made of the bound that it violates.
    fn check<E>(
        &self,
        amount: Money,
        below: fn(Money) -> E,
        above: fn(Money) -> E,
    ) -> Result<(), E> {
        match amount.minor() {
            minor if minor < self.min.minor() => Err(below(self.min)),
            minor if minor > self.max.minor() => Err(above(self.max)),
            _ => Ok(()),
        }
    }
}

/// Why an operator does not sell an amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfLimits {
    /// Less than this minimum.
    Below(Money),
    /// More than this maximum.
    Above(Money),
    /// The operator does not sell this service type.
    NotSold,
}

/// Which identifiers an operator requires at the purchase of an offer (the seed's *Step 2*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferForm {
    /// `ticketId`: Robi, Airtel.
    Ticket,
    /// `offerId`, `tranId`: Banglalink.
    OfferAndTran,
    /// `offerId`, `campaignId`, `sessionContext`: Grameenphone.
    Campaign,
}

codes! {
    OfferForm {
        Ticket => "ticket",
        OfferAndTran => "offer-and-tran",
        Campaign => "campaign",
    }
}

impl OfferForm {
    /// The required identifiers; the first one identifies the offer.
    pub const fn required(self) -> &'static [&'static str] {
        match self {
            OfferForm::Ticket => &["ticketId"],
            OfferForm::OfferAndTran => &["offerId", "tranId"],
            OfferForm::Campaign => &["offerId", "campaignId", "sessionContext"],
        }
    }
}

/// Who delivers to the end customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    /// The wire's `id`; lists are sorted by it.
    pub id: i64,
    /// In upper case: `GP`.
    pub code: String,
    /// Other names for it, in lower case: `grameenphone`.
    pub aliases: Vec<String>,
    /// For people.
    pub name: String,
    /// The ISO 3166 code of its country.
    pub country: String,
    /// The family that it belongs to.
    pub service: Service,
    /// The file name of its logo.
    pub logo: String,
    /// The usual first digits of its numbers: a hint only, because numbers are portable.
    pub prefixes: Vec<String>,
    /// The amounts of prepaid purchases, if sold.
    pub prepaid: Option<AmountRange>,
    /// The amounts of postpaid purchases, if sold.
    pub postpaid: Option<AmountRange>,
    /// How its offers are bought, if it quotes any.
    pub offers: Option<OfferForm>,
    /// An inactive operator is neither listed nor sold.
    pub is_active: bool,
}

impl Operator {
    /// Whether `text` is its code or an alias, ignoring case (CONTRACT A-05).
    pub fn is_called(&self, text: &str) -> bool {
        self.code.eq_ignore_ascii_case(text)
            || self.aliases.iter().any(|a| a.eq_ignore_ascii_case(text))
    }

    /// Whether it sells this amount.
    pub fn check(&self, amount: Money, service_type: ServiceType) -> Result<(), OutOfLimits> {
        let range = match service_type {
            ServiceType::Prepaid => self.prepaid,
            ServiceType::Postpaid => self.postpaid,
        };
        let range = range.ok_or(OutOfLimits::NotSold)?;
        range.check(amount, OutOfLimits::Below, OutOfLimits::Above)
    }
}

/// Everything that pricing and routing of purchases need.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// Sorted by code.
    pub countries: Vec<Country>,
    /// Sorted by id.
    pub operators: Vec<Operator>,
    /// Sorted by id.
    pub categories: Vec<Category>,
    /// Sorted by id.
    pub products: Vec<Product>,
    /// The rules for fees and commissions.
    pub prices: Vec<PriceRule>,
    /// Which upstreams fulfil which purchases.
    pub routes: Vec<Route>,
}

impl Catalog {
    /// The active operator of a service with this code or alias.
    pub fn operator(&self, service: Service, name: &str) -> Option<&Operator> {
        self.operators.iter().find(|o| o.is_active && o.service == service && o.is_called(name))
    }

    /// The operator of one of these services with this code or alias, active or not, an active one
    /// first: for finding old purchases.
    pub fn operator_once_sold(&self, services: &[Service], name: &str) -> Option<&Operator> {
        let active = services.iter().find_map(|service| self.operator(*service, name));
        active.or_else(|| {
            self.operators.iter().find(|o| services.contains(&o.service) && o.is_called(name))
        })
    }

    /// The operator with this code, active or not: for showing old purchases.
    pub fn operator_by_code(&self, code: &str) -> Option<&Operator> {
        self.operators.iter().find(|o| o.code == code)
    }

    /// The product with this id, active or not.
    pub fn product(&self, id: ProductId) -> Option<&Product> {
        self.products.iter().find(|p| p.id == id)
    }

    /// The product with this name, active or not: for showing old purchases.
    pub fn product_by_name(&self, name: &str) -> Option<&Product> {
        self.products.iter().find(|p| p.name == name)
    }

    /// The category with this id.
    pub fn category(&self, id: CategoryId) -> Option<&Category> {
        self.categories.iter().find(|c| c.id == id)
    }

    /// The currencies of all products, each once; a customer gets a wallet in each.
    pub fn currencies(&self) -> Vec<Currency> {
        let mut currencies = Vec::new();
        for product in &self.products {
            if !currencies.contains(&product.price.currency()) {
                currencies.push(product.price.currency());
            }
        }
        currencies
    }

    /// The country of an operator.
    pub fn country_of(&self, operator: &Operator) -> Option<&Country> {
        self.countries.iter().find(|c| c.code == operator.country)
    }

    /// Fee and commission of a purchase; `None` on overflow.
    pub fn price(&self, query: &PriceQuery<'_>) -> Option<Price> {
        pricing::price(&self.prices, query)
    }

    /// The upstreams that may fulfil a purchase, in order, and whether staff approve first.
    pub fn path(&self, query: &PriceQuery<'_>) -> Path {
        routing::path(&self.routes, query)
    }
}

//! What can be bought, from whom, within which limits: one value, swapped whole when it changes.
//!
//! Not here: offers (an operator quotes those for one number at one moment) and where the catalog
//! is stored. A purchase is priced and routed from this value alone, without SQL.

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
    /// Whoever is paid by bill: power, water, television, schools.
    BillPayment,
}

impl Service {
    /// Each.
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
    /// What its purchases are paid in.
    pub currency: Currency,
    /// How its mobile numbers are written.
    pub numbering: Numbering,
}

/// The least and the most that one purchase may be, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The least.
    pub least: Money,
    /// The most.
    pub most: Money,
}

/// Why an amount is not sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutOfLimits {
    /// Less than the operator takes.
    Below(Money),
    /// More than the operator takes.
    Above(Money),
    /// The operator has no such service type.
    NotSold,
}

/// What an operator wants to hear at the purchase of an offer (the seed's *Step 2*).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OfferForm {
    /// `ticketId`: Robi, Airtel.
    Ticket,
    /// `offerId`, `tranId`: Banglalink.
    OfferAndTran,
    /// `offerId`, `campaignId`, `sessionContext`: Grameenphone.
    Campaign,
}

impl OfferForm {
    /// As stored.
    pub const fn code(self) -> &'static str {
        match self {
            OfferForm::Ticket => "ticket",
            OfferForm::OfferAndTran => "offer-and-tran",
            OfferForm::Campaign => "campaign",
        }
    }

    /// Reads [`OfferForm::code`].
    pub fn from_code(code: &str) -> Option<OfferForm> {
        [OfferForm::Ticket, OfferForm::OfferAndTran, OfferForm::Campaign]
            .into_iter()
            .find(|f| f.code() == code)
    }

    /// The identifiers that must be known at the purchase; the first one names the offer.
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
    /// The wire's `id`; also the order in lists.
    pub id: i64,
    /// Upper case: `GP`.
    pub code: String,
    /// Other names it goes by, lower case: `grameenphone`.
    pub aliases: Vec<String>,
    /// For people.
    pub name: String,
    /// ISO 3166 code of its country.
    pub country: String,
    /// Its family.
    pub service: Service,
    /// The file name of its drawing.
    pub logo: String,
    /// What its numbers usually begin with: a hint, never a proof.
    pub prefixes: Vec<String>,
    /// Prepaid, if sold.
    pub prepaid: Option<Limits>,
    /// Postpaid, if sold.
    pub postpaid: Option<Limits>,
    /// How its offers are bought, if it quotes any.
    pub offers: Option<OfferForm>,
    /// Switched off: not listed, not sold.
    pub is_active: bool,
}

impl Operator {
    /// Whether `text` is its code or an alias, whatever the case (CONTRACT A-05).
    pub fn is_called(&self, text: &str) -> bool {
        self.code.eq_ignore_ascii_case(text)
            || self.aliases.iter().any(|a| a.eq_ignore_ascii_case(text))
    }

    /// Whether it sells this amount.
    pub fn check(&self, amount: Money, service_type: ServiceType) -> Result<(), OutOfLimits> {
        let limits = match service_type {
            ServiceType::Prepaid => self.prepaid,
            ServiceType::Postpaid => self.postpaid,
        };
        let limits = limits.ok_or(OutOfLimits::NotSold)?;
        if amount.minor() < limits.least.minor() {
            return Err(OutOfLimits::Below(limits.least));
        }
        if amount.minor() > limits.most.minor() {
            return Err(OutOfLimits::Above(limits.most));
        }
        Ok(())
    }
}

/// Everything that prices and routes a purchase.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// Countries, by code.
    pub countries: Vec<Country>,
    /// Operators, by id.
    pub operators: Vec<Operator>,
    /// Families of products, by id.
    pub categories: Vec<Category>,
    /// What can be bought by name, by id.
    pub products: Vec<Product>,
    /// Fees and commissions.
    pub prices: Vec<PriceRule>,
    /// Which upstreams fulfil what.
    pub routes: Vec<Route>,
}

impl Catalog {
    /// The active operator of a family that goes by this name.
    pub fn operator(&self, service: Service, name: &str) -> Option<&Operator> {
        self.operators.iter().find(|o| o.is_active && o.service == service && o.is_called(name))
    }

    /// The operator of this code, sold or not: for showing old purchases.
    pub fn operator_by_code(&self, code: &str) -> Option<&Operator> {
        self.operators.iter().find(|o| o.code == code)
    }

    /// The product of this id, sold or not.
    pub fn product(&self, id: ProductId) -> Option<&Product> {
        self.products.iter().find(|p| p.id == id)
    }

    /// The product of this name, sold or not: for showing old purchases.
    pub fn product_by_name(&self, name: &str) -> Option<&Product> {
        self.products.iter().find(|p| p.name == name)
    }

    /// The category of this id.
    pub fn category(&self, id: CategoryId) -> Option<&Category> {
        self.categories.iter().find(|c| c.id == id)
    }

    /// Every currency that a product is sold in, each once: what a customer's wallets are for.
    pub fn currencies(&self) -> Vec<Currency> {
        let mut currencies = Vec::new();
        for product in &self.products {
            if !currencies.contains(&product.price.currency()) {
                currencies.push(product.price.currency());
            }
        }
        currencies
    }

    /// An operator's country.
    pub fn country_of(&self, operator: &Operator) -> Option<&Country> {
        self.countries.iter().find(|c| c.code == operator.country)
    }

    /// Fee and commission; `None` on overflow.
    pub fn price(&self, query: &PriceQuery<'_>) -> Option<Price> {
        pricing::price(&self.prices, query)
    }

    /// Who may fulfil it, in which order, and whether staff decide first.
    pub fn path(&self, query: &PriceQuery<'_>) -> Path {
        routing::path(&self.routes, query)
    }
}

//! The kinds of purchases, and how the end customer pays for the service.
//!
//! Not here: what depends on them (prices, routes, products).

/// The kind of a purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Airtime; the customer chooses the amount.
    Recharge,
    /// An offer that an operator quoted.
    Offer,
    /// A mobile-banking payment.
    Banking,
    /// A data bundle or similar, at the catalog's price.
    Bundle,
    /// A bill, or electricity for a meter.
    Bill,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Kind; 5] =
        [Kind::Recharge, Kind::Offer, Kind::Banking, Kind::Bundle, Kind::Bill];

    /// As stored and shown.
    pub const fn code(self) -> &'static str {
        match self {
            Kind::Recharge => "recharge",
            Kind::Offer => "offer",
            Kind::Banking => "banking",
            Kind::Bundle => "bundle",
            Kind::Bill => "bill",
        }
    }

    /// Reads [`Kind::code`].
    pub fn from_code(code: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|k| k.code() == code)
    }
}

/// Whether the end customer pays before or after use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ServiceType {
    /// Before use.
    Prepaid,
    /// After use, by bill.
    Postpaid,
}

impl ServiceType {
    /// As stored and shown.
    pub const fn code(self) -> &'static str {
        match self {
            ServiceType::Prepaid => "prepaid",
            ServiceType::Postpaid => "postpaid",
        }
    }

    /// Reads [`ServiceType::code`].
    pub fn from_code(code: &str) -> Option<ServiceType> {
        [ServiceType::Prepaid, ServiceType::Postpaid].into_iter().find(|s| s.code() == code)
    }
}

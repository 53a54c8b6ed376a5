//! What kind of thing is bought, and how the end customer pays for the service.

/// What kind of thing is bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Airtime of an amount the customer chose.
    Recharge,
    /// An offer that an operator quoted.
    Offer,
    /// A mobile-banking payment.
    Banking,
    /// A data bundle or the like, at the price that the catalog names.
    Bundle,
    /// A bill, or a meter's electricity.
    Bill,
}

impl Kind {
    /// Each.
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
    /// Before.
    Prepaid,
    /// After.
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

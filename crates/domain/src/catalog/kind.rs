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

codes! {
    Kind {
        Recharge => "recharge",
        Offer => "offer",
        Banking => "banking",
        Bundle => "bundle",
        Bill => "bill",
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

codes! {
    ServiceType {
        Prepaid => "prepaid",
        Postpaid => "postpaid",
    }
}

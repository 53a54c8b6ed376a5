//! Why changes are refused: in general, and by the kind of change.
//!
//! A change names the denials that can happen to it, so its caller matches no others. Not here:
//! when a change is refused (`admission`).

use crate::ledger::admission::ReferenceOwner;
use crate::ledger::journal::LedgerAccount;
use crate::ledger::payment::PaymentOwner;
use crate::purchase::ReferenceKey;
use std::convert::Infallible;

/// Why a change was not admitted. No part of it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// A reference is used up.
    ReferenceUsed(UsedReference),
    /// The payment is booked already.
    PaymentKnown(PaymentOwner),
    /// The money cannot move.
    Money(MoneyDenial),
    /// The purchase has another version, or does not exist.
    VersionConflict,
    /// The purchase belongs to a closed month: it cannot change any more.
    Closed,
}

/// A reference that is used up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsedReference {
    /// The first such reference of the change.
    pub reference: ReferenceKey,
    /// What used it up.
    pub by: ReferenceOwner,
}

/// Why money cannot move.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoneyDenial {
    /// A balance would fall below its floor.
    InsufficientBalance {
        /// The balance, in minor units.
        available: i64,
    },
    /// A ledger account does not exist.
    NoLedgerAccount(Box<LedgerAccount>),
    /// A sum would exceed the range of 64 bits.
    TooLarge,
}

/// Why a purchase cannot open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpeningDenied {
    /// One of its references is used up.
    ReferenceUsed(UsedReference),
    /// Its money cannot be held.
    Money(MoneyDenial),
    /// Its id belongs to a closed month: the clock is far behind.
    Closed,
}

/// Why a purchase cannot take a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepDenied {
    /// Another step was first.
    VersionConflict,
    /// The step's money cannot move.
    Money(MoneyDenial),
    /// The purchase belongs to a closed month.
    Closed,
}

/// Why a payment cannot be booked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PostingDenied {
    /// It is booked already, for this account or another.
    Known(PaymentOwner),
    /// The money cannot move.
    Money(MoneyDenial),
}

/// The purchase belongs to a closed month: nothing is written about it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MonthClosed;

/// What can refuse one kind of change: a part of [`Denial`], or [`Infallible`].
pub trait DeniedBy: Sized {
    /// The denial as this type; `None` if it cannot happen to this kind of change.
    fn from_denial(denial: Denial) -> Option<Self>;
}

impl DeniedBy for Infallible {
    fn from_denial(_: Denial) -> Option<Infallible> {
        None
    }
}

impl DeniedBy for OpeningDenied {
    fn from_denial(denial: Denial) -> Option<OpeningDenied> {
        match denial {
            Denial::ReferenceUsed(used) => Some(OpeningDenied::ReferenceUsed(used)),
            Denial::Money(why) => Some(OpeningDenied::Money(why)),
            Denial::Closed => Some(OpeningDenied::Closed),
            Denial::VersionConflict | Denial::PaymentKnown(_) => None,
        }
    }
}

impl DeniedBy for StepDenied {
    fn from_denial(denial: Denial) -> Option<StepDenied> {
        match denial {
            Denial::VersionConflict => Some(StepDenied::VersionConflict),
            Denial::Money(why) => Some(StepDenied::Money(why)),
            Denial::Closed => Some(StepDenied::Closed),
            Denial::ReferenceUsed(_) | Denial::PaymentKnown(_) => None,
        }
    }
}

impl DeniedBy for PostingDenied {
    fn from_denial(denial: Denial) -> Option<PostingDenied> {
        match denial {
            Denial::PaymentKnown(owner) => Some(PostingDenied::Known(owner)),
            Denial::Money(why) => Some(PostingDenied::Money(why)),
            Denial::ReferenceUsed(_) | Denial::VersionConflict | Denial::Closed => None,
        }
    }
}

impl DeniedBy for MonthClosed {
    fn from_denial(denial: Denial) -> Option<MonthClosed> {
        (denial == Denial::Closed).then_some(MonthClosed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AccountId, Environment};
    use crate::clock::Timestamp;
    use crate::purchase::ReferenceScope;

    fn used() -> UsedReference {
        let reference = ReferenceKey {
            account: AccountId(2),
            environment: Environment::Live,
            scope: ReferenceScope::Irecharge,
            text: "BANK-1".to_owned(),
        };
        UsedReference { reference, by: ReferenceOwner { purchase: None } }
    }

    const OWNER: PaymentOwner = PaymentOwner { account: AccountId(2), at: Timestamp(5) };
    const SHORT: MoneyDenial = MoneyDenial::InsufficientBalance { available: 7 };

    /// What a kind of change makes of each denial, in the order of the enum.
    fn taken<D: DeniedBy>() -> [Option<D>; 5] {
        let all = [
            Denial::ReferenceUsed(used()),
            Denial::PaymentKnown(OWNER),
            Denial::Money(SHORT),
            Denial::VersionConflict,
            Denial::Closed,
        ];
        all.map(D::from_denial)
    }

    #[test]
    fn each_kind_of_change_takes_its_own_denials_alone() {
        assert_eq!(
            taken::<OpeningDenied>(),
            [
                Some(OpeningDenied::ReferenceUsed(used())),
                None,
                Some(OpeningDenied::Money(SHORT)),
                None,
                Some(OpeningDenied::Closed),
            ]
        );
        assert_eq!(
            taken::<StepDenied>(),
            [
                None,
                None,
                Some(StepDenied::Money(SHORT)),
                Some(StepDenied::VersionConflict),
                Some(StepDenied::Closed),
            ]
        );
        assert_eq!(
            taken::<PostingDenied>(),
            [
                None,
                Some(PostingDenied::Known(OWNER)),
                Some(PostingDenied::Money(SHORT)),
                None,
                None,
            ]
        );
        assert_eq!(taken::<MonthClosed>(), [None, None, None, None, Some(MonthClosed)]);
        assert_eq!(taken::<Infallible>(), [None, None, None, None, None]);
    }
}

//! Double entry: ledger accounts, entries, and the journals of a purchase's steps.
//!
//! An entry takes from its debit account and gives to its credit account, so a journal is balanced
//! by construction and the sum over all ledger accounts of a currency is always zero. A balance is
//! credits minus debits: what we owe to its owner, or (a float, negative) what others hold of ours.

use crate::account::{AccountId, Environment, HOUSE};
use crate::money::{Currency, Money};
use crate::purchase::Purchase;
use crate::purchase::lifecycle::Place;
use crate::upstream::UpstreamCode;

/// What a ledger account is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// A wallet: free to spend. Never below zero.
    Available,
    /// Set aside for purchases. Never below zero.
    Held,
    /// Commission earned.
    Commission,
    /// Our money at an upstream.
    Float(UpstreamCode),
    /// Fees earned by the house.
    Fees,
    /// Commission granted by the house.
    CommissionExpense,
    /// Where deposits come from.
    Funding,
    /// What does not add up, until staff explain it.
    Discrepancy,
}

impl Purpose {
    /// As stored, without the upstream of a float.
    pub const fn code(&self) -> &'static str {
        match self {
            Purpose::Available => "available",
            Purpose::Held => "held",
            Purpose::Commission => "commission",
            Purpose::Float(_) => "float",
            Purpose::Fees => "fees",
            Purpose::CommissionExpense => "commission_expense",
            Purpose::Funding => "funding",
            Purpose::Discrepancy => "discrepancy",
        }
    }

    /// Reads [`Purpose::code`]; `upstream` counts for a float only.
    pub fn from_code(code: &str, upstream: &str) -> Option<Purpose> {
        Some(match code {
            "available" => Purpose::Available,
            "held" => Purpose::Held,
            "commission" => Purpose::Commission,
            "float" => Purpose::Float(UpstreamCode::new(upstream)),
            "fees" => Purpose::Fees,
            "commission_expense" => Purpose::CommissionExpense,
            "funding" => Purpose::Funding,
            "discrepancy" => Purpose::Discrepancy,
            _ => return None,
        })
    }

    /// The least its balance may be, in minor units. Only money that somebody could spend twice
    /// has a floor: a commission may be clawed back after it was paid out.
    pub const fn floor(&self) -> Option<i64> {
        match self {
            Purpose::Available | Purpose::Held => Some(0),
            Purpose::Commission
            | Purpose::Float(_)
            | Purpose::Fees
            | Purpose::CommissionExpense
            | Purpose::Funding
            | Purpose::Discrepancy => None,
        }
    }

    /// Whether it is part of a wallet, which is opened before it is used; the house's ledger
    /// accounts come into being with their first entry.
    pub const fn is_wallet(&self) -> bool {
        match self {
            Purpose::Available | Purpose::Held | Purpose::Commission => true,
            Purpose::Float(_)
            | Purpose::Fees
            | Purpose::CommissionExpense
            | Purpose::Funding
            | Purpose::Discrepancy => false,
        }
    }
}

/// A place where money of one currency and environment rests.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LedgerAccount {
    /// Whose.
    pub owner: AccountId,
    /// Where.
    pub environment: Environment,
    /// In what.
    pub currency: Currency,
    /// What for.
    pub purpose: Purpose,
}

/// One movement: `amount` leaves `debit` and reaches `credit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    debit: LedgerAccount,
    credit: LedgerAccount,
    amount: Money,
}

impl Entry {
    /// `None` unless the amount is positive and both sides are different ledger accounts of its
    /// currency and of one environment.
    pub fn new(debit: LedgerAccount, credit: LedgerAccount, amount: Money) -> Option<Entry> {
        let sound = amount.is_positive()
            && debit != credit
            && debit.currency == amount.currency()
            && credit.currency == amount.currency()
            && debit.environment == credit.environment;
        sound.then_some(Entry { debit, credit, amount })
    }

    /// Who gives.
    pub const fn debit(&self) -> &LedgerAccount {
        &self.debit
    }

    /// Who gets.
    pub const fn credit(&self) -> &LedgerAccount {
        &self.credit
    }

    /// How much.
    pub const fn amount(&self) -> Money {
        self.amount
    }
}

/// Why a journal was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Money set aside for a purchase.
    Hold,
    /// A purchase delivered.
    Settle,
    /// A hold given back.
    Release,
    /// A delivered purchase undone.
    Refund,
    /// Money paid in.
    Deposit,
    /// Money paid out.
    Withdraw,
}

impl Reason {
    /// Each.
    pub const ALL: [Reason; 6] = [
        Reason::Hold,
        Reason::Settle,
        Reason::Release,
        Reason::Refund,
        Reason::Deposit,
        Reason::Withdraw,
    ];

    /// As stored.
    pub const fn code(self) -> &'static str {
        match self {
            Reason::Hold => "hold",
            Reason::Settle => "settle",
            Reason::Release => "release",
            Reason::Refund => "refund",
            Reason::Deposit => "deposit",
            Reason::Withdraw => "withdraw",
        }
    }

    /// Reads [`Reason::code`].
    pub fn from_code(code: &str) -> Option<Reason> {
        Reason::ALL.into_iter().find(|r| r.code() == code)
    }
}

/// Entries that belong together: written in one commit or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    reason: Reason,
    entries: Vec<Entry>,
}

impl Journal {
    /// Why.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// What moves; never empty.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Money paid into (or, with `Withdraw`, out of) a wallet. `None` unless positive.
    pub fn funding(
        reason: Reason,
        account: AccountId,
        environment: Environment,
        amount: Money,
    ) -> Option<Journal> {
        let wallet = LedgerAccount {
            owner: account,
            environment,
            currency: amount.currency(),
            purpose: Purpose::Available,
        };
        let funding = LedgerAccount { owner: HOUSE, purpose: Purpose::Funding, ..wallet.clone() };
        let (debit, credit) = match reason {
            Reason::Deposit => (funding, wallet),
            Reason::Withdraw => (wallet, funding),
            Reason::Hold | Reason::Settle | Reason::Release | Reason::Refund => return None,
        };
        Some(Journal { reason, entries: vec![Entry::new(debit, credit, amount)?] })
    }

    /// The journal of a purchase's step from one resting place to another; `None` if nothing
    /// moves. `upstream` is whose float is used. Commission is granted with delivery and clawed
    /// back with a refund.
    pub fn of_step(
        purchase: &Purchase,
        upstream: &UpstreamCode,
        from: Place,
        to: Place,
    ) -> Option<Journal> {
        let reason = match (from, to) {
            (_, Place::Hold) => Reason::Hold,
            (_, Place::Spent) => Reason::Settle,
            (Place::Hold, Place::Wallet) => Reason::Release,
            (Place::Spent | Place::Wallet, Place::Wallet) => Reason::Refund,
        };
        if from == to {
            return None;
        }
        let at = |owner: AccountId, purpose: Purpose| LedgerAccount {
            owner,
            environment: purchase.key.environment,
            currency: purchase.amount.currency(),
            purpose,
        };
        let owner = purchase.key.account;
        let resting = |place: Place, spent: Purpose| match place {
            Place::Wallet => at(owner, Purpose::Available),
            Place::Hold => at(owner, Purpose::Held),
            Place::Spent => at(HOUSE, spent),
        };
        let parts: Vec<(Purpose, Money)> = match (from, to) {
            (Place::Spent, _) | (_, Place::Spent) => {
                vec![
                    (Purpose::Float(upstream.clone()), purchase.amount),
                    (Purpose::Fees, purchase.fee),
                ]
            }
            // Between wallet and hold, amount and fee go as one.
            (_, _) => vec![(Purpose::Fees, purchase.total()?)],
        };
        let mut entries: Vec<Entry> = parts
            .into_iter()
            .filter_map(|(spent, amount)| {
                Entry::new(resting(from, spent.clone()), resting(to, spent), amount)
            })
            .collect();
        let (expense, earned) =
            (at(HOUSE, Purpose::CommissionExpense), at(owner, Purpose::Commission));
        if to == Place::Spent {
            entries.extend(Entry::new(expense, earned, purchase.commission));
        } else if from == Place::Spent {
            entries.extend(Entry::new(earned, expense, purchase.commission));
        }
        (!entries.is_empty()).then_some(Journal { reason, entries })
    }
}

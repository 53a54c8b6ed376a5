//! Double entry: ledger accounts, entries, and the journals of a purchase's steps.
//!
//! An entry moves money from its debit account to its credit account, so a journal is balanced by
//! construction, and the balances of a currency always sum to zero. A balance is credits minus
//! debits: what we owe to the owner, or (a float, negative) what an upstream holds for us.

use crate::account::{AccountId, Environment, HOUSE};
use crate::money::{Currency, Money};
use crate::purchase::Purchase;
use crate::purchase::lifecycle::FundsAt;
use crate::upstream::UpstreamCode;

/// What a ledger account is for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// The part of a wallet that may be spent. Never below zero.
    Available,
    /// The part of a wallet that is set aside for purchases. Never below zero.
    Held,
    /// Commission that the account earned.
    Commission,
    /// Our prepaid balance at an upstream.
    Float(UpstreamCode),
    /// What the house earned: fees, plans, and the difference between an amount and what the
    /// upstream took for it.
    Fees,
    /// Commission that the house granted.
    CommissionExpense,
    /// The counterpart of deposits and withdrawals.
    Funding,
    /// Differences that staff have not explained yet.
    Discrepancy,
}

impl Purpose {
    /// As stored; a float's upstream is stored beside it.
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

    /// Reads [`Purpose::code`]; `upstream` is used for a float only.
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

    /// The lowest allowed balance, in minor units. Only money that could be spent twice has a
    /// floor: a commission may be clawed back after it was paid out.
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

    /// Whether it is part of a wallet. A wallet must exist before it is used; the ledger accounts
    /// of the house are created by their first entry.
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

/// An account of the ledger: one owner, environment, currency and purpose.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LedgerAccount {
    /// The account whose money it is; the house for its own.
    pub owner: AccountId,
    /// Sandbox and live never share a ledger account.
    pub environment: Environment,
    /// Of its balance and all its entries.
    pub currency: Currency,
    /// Available, held, commission, …
    pub purpose: Purpose,
}

/// One movement: `amount` goes from `debit` to `credit`.
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

    /// Where the money comes from.
    pub const fn debit(&self) -> &LedgerAccount {
        &self.debit
    }

    /// Where the money goes to.
    pub const fn credit(&self) -> &LedgerAccount {
        &self.credit
    }

    /// Always positive.
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
    /// A hold returned to the wallet.
    Release,
    /// A delivered purchase reversed.
    Refund,
    /// Money paid in.
    Deposit,
    /// Money paid out.
    Withdraw,
    /// Commission paid out to the wallet that earned it.
    Commission,
    /// Months of a plan bought from the wallet.
    Plan,
}

codes! {
    Reason {
        Hold => "hold",
        Settle => "settle",
        Release => "release",
        Refund => "refund",
        Deposit => "deposit",
        Withdraw => "withdraw",
        Commission => "commission",
        Plan => "plan",
    }
}

/// What must be put right in a float that the amount was booked to, if its upstream took `cost`:
/// whether more was taken than is booked, and how much.
fn corrections(amount: Money, cost: Option<Money>) -> Vec<(bool, Money)> {
    match cost.filter(|cost| cost.is_positive()) {
        None => Vec::new(),
        Some(cost) if cost.currency() == amount.currency() => {
            let difference = cost.minor() - amount.minor();
            vec![(difference > 0, Money::new(difference.abs(), amount.currency()))]
        }
        // The float is in another currency: nothing was taken in ours.
        Some(cost) => vec![(false, amount), (true, cost)],
    }
}

/// Entries that belong together: all are written in one commit, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Journal {
    reason: Reason,
    entries: Vec<Entry>,
}

impl Journal {
    /// Why it was written.
    pub const fn reason(&self) -> Reason {
        self.reason
    }

    /// The movements; never empty.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The journal of a deposit or withdrawal. `None` for another reason, or unless the amount is
    /// positive.
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
            Reason::Hold
            | Reason::Settle
            | Reason::Release
            | Reason::Refund
            | Reason::Commission
            | Reason::Plan => return None,
        };
        Some(Journal { reason, entries: vec![Entry::new(debit, credit, amount)?] })
    }

    /// The journal that pays an account's commission out to its wallet. `None` unless the amount is
    /// positive. It is admitted only while so much commission is there.
    pub fn commission(
        account: AccountId,
        environment: Environment,
        amount: Money,
    ) -> Option<Journal> {
        let at = |purpose| LedgerAccount {
            owner: account,
            environment,
            currency: amount.currency(),
            purpose,
        };
        let entry = Entry::new(at(Purpose::Commission), at(Purpose::Available), amount)?;
        Some(Journal { reason: Reason::Commission, entries: vec![entry] })
    }

    /// The journal that pays for months of a plan from an account's live wallet: the house earns
    /// it. `None` unless the price is positive.
    pub fn plan(account: AccountId, price: Money) -> Option<Journal> {
        let at = |owner, purpose| LedgerAccount {
            owner,
            environment: Environment::Live,
            currency: price.currency(),
            purpose,
        };
        let entry = Entry::new(at(account, Purpose::Available), at(HOUSE, Purpose::Fees), price)?;
        Some(Journal { reason: Reason::Plan, entries: vec![entry] })
    }

    /// The journal of what was paid to an upstream, into our float there. `None` unless the amount
    /// is positive.
    pub fn float_funding(
        upstream: UpstreamCode,
        environment: Environment,
        amount: Money,
    ) -> Option<Journal> {
        let float = LedgerAccount {
            owner: HOUSE,
            environment,
            currency: amount.currency(),
            purpose: Purpose::Float(upstream),
        };
        let funding = LedgerAccount { purpose: Purpose::Funding, ..float.clone() };
        let entries = vec![Entry::new(float, funding, amount)?];
        Some(Journal { reason: Reason::Withdraw, entries })
    }

    /// The journal that takes [`Journal::float_funding`] back.
    pub fn float_reversal(
        upstream: UpstreamCode,
        environment: Environment,
        amount: Money,
    ) -> Option<Journal> {
        let Journal { entries, .. } = Journal::float_funding(upstream, environment, amount)?;
        let back =
            |entry: &Entry| Entry::new(entry.credit().clone(), entry.debit().clone(), amount);
        let entries = entries.iter().map(back).collect::<Option<Vec<_>>>()?;
        Some(Journal { reason: Reason::Deposit, entries })
    }

    /// The journal of a purchase's step that moves its money from one place to the other; `None` if
    /// none moves. Delivery uses the float at `upstream`: the amount, put right by what the
    /// upstream says that it took, where it says so. Commission is granted at delivery and clawed
    /// back by a refund.
    pub fn of_step(
        purchase: &Purchase,
        upstream: &UpstreamCode,
        from: FundsAt,
        to: FundsAt,
        cost: Option<Money>,
    ) -> Option<Journal> {
        let reason = match (from, to) {
            (_, FundsAt::Hold) => Reason::Hold,
            (_, FundsAt::Spent) => Reason::Settle,
            (FundsAt::Hold, FundsAt::Wallet) => Reason::Release,
            (FundsAt::Spent | FundsAt::Wallet, FundsAt::Wallet) => Reason::Refund,
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
        let funds = |place: FundsAt, spent: Purpose| match place {
            FundsAt::Wallet => at(owner, Purpose::Available),
            FundsAt::Hold => at(owner, Purpose::Held),
            FundsAt::Spent => at(HOUSE, spent),
        };
        let parts: Vec<(Purpose, Money)> = match (from, to) {
            (FundsAt::Spent, _) | (_, FundsAt::Spent) => {
                vec![
                    (Purpose::Float(upstream.clone()), purchase.amount),
                    (Purpose::Fees, purchase.fee),
                ]
            }
            // Between wallet and hold, amount and fee are one entry.
            (_, _) => vec![(Purpose::Fees, purchase.total()?)],
        };
        let mut entries: Vec<Entry> = parts
            .into_iter()
            .filter_map(|(spent, amount)| {
                Entry::new(funds(from, spent.clone()), funds(to, spent), amount)
            })
            .collect();
        let (expense, earned) =
            (at(HOUSE, Purpose::CommissionExpense), at(owner, Purpose::Commission));
        if to == FundsAt::Spent {
            entries.extend(Entry::new(expense, earned, purchase.commission));
        } else if from == FundsAt::Spent {
            entries.extend(Entry::new(earned, expense, purchase.commission));
        }
        let of_house = |purpose: Purpose, currency| LedgerAccount {
            owner: HOUSE,
            environment: purchase.key.environment,
            currency,
            purpose,
        };
        for (more_taken, difference) in corrections(purchase.amount, cost) {
            let currency = difference.currency();
            let float = of_house(Purpose::Float(upstream.clone()), currency);
            let margin = of_house(Purpose::Fees, currency);
            // What a delivery took more comes back more with its refund.
            let is_to_float = match (from, to) {
                (_, FundsAt::Spent) => more_taken,
                (FundsAt::Spent, _) => !more_taken,
                (_, _) => continue,
            };
            let (debit, credit) = if is_to_float { (margin, float) } else { (float, margin) };
            entries.extend(Entry::new(debit, credit, difference));
        }
        (!entries.is_empty()).then_some(Journal { reason, entries })
    }
}

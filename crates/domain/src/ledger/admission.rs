//! Admission: which changes of a batch are written in its commit, and which are denied.
//!
//! Pure: the store loads what the changes mention, this module decides in their order, the store
//! writes. An admitted change is applied to the view before the next decision, so later changes of
//! a batch see earlier ones. Invariants: a reference is used once, no balance falls below its
//! floor, a purchase takes one step from each version, the sum of all balances is constant.

use crate::ids::IdMap;
use crate::ledger::denial::{Denial, MoneyDenial, UsedReference};
use crate::ledger::journal::{Journal, LedgerAccount, Reason};
use crate::ledger::payment::{PaymentKey, PaymentOwner};
use crate::purchase::lifecycle::State;
use crate::purchase::{PurchaseKey, ReferenceKey};
use std::collections::HashMap;

/// The conditions of one change, and its effects.
#[derive(Clone, Debug, Default)]
pub struct Needs<'a> {
    /// References that it uses up: all must be unused.
    pub reference_keys: &'a [ReferenceKey],
    /// The payment that it books: its key must be free in the whole house.
    pub payment: Option<(&'a PaymentKey, PaymentOwner)>,
    /// The version that a purchase must still have, and its next state and version.
    pub step: Option<PurchaseStep>,
    /// The money that it moves; no balance may fall below its floor.
    pub journal: Option<&'a Journal>,
}

/// A purchase's step from one version to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurchaseStep {
    /// The purchase.
    pub key: PurchaseKey,
    /// The version that it must have; `None` for a new purchase.
    pub from_version: Option<u32>,
    /// Its state and version after the step.
    pub to: (State, u32),
}

/// The balance of a ledger account within a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Minor units, after all changes that are admitted so far.
    pub amount: i64,
    /// The lowest allowed balance.
    pub floor: Option<i64>,
    /// Whether an admitted change of this batch changed it.
    pub is_changed: bool,
}

/// Everything that the changes of a batch mention, as loaded inside the Tx.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// Those mentioned references that are used up.
    pub used: HashMap<ReferenceKey, ReferenceOwner>,
    /// Those mentioned payments that are booked.
    pub payments: HashMap<PaymentKey, PaymentOwner>,
    /// State and version of the mentioned purchases.
    pub purchases: IdMap<PurchaseKey, (State, u32)>,
    /// The mentioned ledger accounts that exist.
    pub balances: IdMap<LedgerAccount, Balance>,
}

/// What used up a reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferenceOwner {
    /// `None`: a deposit or withdrawal of an older version.
    pub purchase: Option<PurchaseKey>,
}

/// Decides on one change and, if it is admitted, applies it to the view.
pub fn admit(view: &mut View, needs: &Needs<'_>) -> Result<(), Denial> {
    for reference in needs.reference_keys {
        if let Some(by) = view.used.get(reference) {
            let used = UsedReference { reference: reference.clone(), by: *by };
            return Err(Denial::ReferenceUsed(used));
        }
    }
    if let Some(owner) = needs.payment.and_then(|(key, _)| view.payments.get(key)) {
        return Err(Denial::PaymentKnown(*owner));
    }
    if let Some(step) = &needs.step {
        let now = view.purchases.get(&step.key).copied();
        if now.map(|(_, version)| version) != step.from_version {
            return Err(Denial::VersionConflict);
        }
    }
    let changed = needs.journal.map(|journal| balances_after(view, journal)).transpose();
    let changed = changed.map_err(Denial::Money)?;
    // After this point the change is admitted: everything below must succeed.
    for (account, amount) in changed.into_iter().flatten() {
        if let Some(balance) = view.balances.get_mut(&account) {
            balance.amount = amount;
            balance.is_changed = true;
        }
    }
    let purchase = needs.step.map(|step| step.key);
    for reference in needs.reference_keys {
        view.used.insert(reference.clone(), ReferenceOwner { purchase });
    }
    if let Some((key, owner)) = needs.payment {
        view.payments.insert(key.clone(), owner);
    }
    if let Some(step) = &needs.step {
        view.purchases.insert(step.key, step.to);
    }
    Ok(())
}

/// The balances after a journal, if all its ledger accounts exist and none falls below its floor.
fn balances_after(
    view: &View,
    journal: &Journal,
) -> Result<Vec<(LedgerAccount, i64)>, MoneyDenial> {
    let mut after: Vec<(LedgerAccount, i64)> = Vec::with_capacity(4);
    let mut add = |account: &LedgerAccount, delta: i64| -> Result<(), MoneyDenial> {
        let known = after.iter().position(|(a, _)| a == account);
        let before = match known {
            Some(i) => after[i].1,
            None => {
                let missing = || MoneyDenial::NoLedgerAccount(Box::new(account.clone()));
                view.balances.get(account).ok_or_else(missing)?.amount
            }
        };
        let amount = before.checked_add(delta).ok_or(MoneyDenial::TooLarge)?;
        match known {
            Some(i) => after[i].1 = amount,
            None => after.push((account.clone(), amount)),
        }
        Ok(())
    };
    for entry in journal.entries() {
        add(entry.debit(), -entry.amount().minor())?;
        add(entry.credit(), entry.amount().minor())?;
    }
    for (account, amount) in &after {
        let Some(before) = view.balances.get(account) else { continue };
        // A commission may be clawed back after it was paid out, but no more is paid out than is
        // there.
        let is_paid_out = journal.reason() == Reason::Commission;
        let floor = before.floor.or_else(|| is_paid_out.then_some(0));
        // A balance that grows is never denied: a floor stops spending, not paying back.
        if floor.is_some_and(|floor| *amount < floor) && *amount < before.amount {
            return Err(MoneyDenial::InsufficientBalance { available: before.amount });
        }
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AccountId, Environment};
    use crate::clock::Timestamp;
    use crate::ids::PurchaseId;
    use crate::ledger::journal::Purpose;
    use crate::ledger::payment::Rail;
    use crate::money::{Currency, Money};
    use crate::purchase::ReferenceScope;
    use proptest::prelude::*;

    fn wallet(owner: i64) -> LedgerAccount {
        let purpose = if owner == 1 { Purpose::Funding } else { Purpose::Available };
        LedgerAccount {
            owner: AccountId(owner),
            environment: Environment::Live,
            currency: Currency::BDT,
            purpose,
        }
    }

    fn view(balances: &[i64]) -> View {
        let mut view = View::default();
        for (owner, amount) in (1..).zip(balances) {
            let account = wallet(owner);
            let floor = account.purpose.floor();
            view.balances.insert(account, Balance { amount: *amount, floor, is_changed: false });
        }
        view
    }

    fn reference(n: u8) -> ReferenceKey {
        ReferenceKey {
            account: AccountId(2),
            environment: Environment::Live,
            scope: ReferenceScope::Irecharge,
            text: n.to_string(),
        }
    }

    #[derive(Debug, Clone)]
    struct Proposal {
        reference: u8,
        owner: i64,
        is_deposit: bool,
        amount: i64,
        purchase: i64,
        version: u32,
    }

    impl Proposal {
        fn journal(&self) -> Journal {
            let reason = if self.is_deposit { Reason::Deposit } else { Reason::Withdraw };
            funding(reason, self.owner, self.amount)
        }

        fn step(&self) -> PurchaseStep {
            PurchaseStep {
                key: PurchaseKey {
                    account: AccountId(2),
                    environment: Environment::Live,
                    id: PurchaseId(self.purchase),
                },
                from_version: self.version.checked_sub(1),
                to: (State::Sent, self.version),
            }
        }
    }

    fn funding(reason: Reason, owner: i64, amount: i64) -> Journal {
        let amount = Money::new(amount, Currency::BDT);
        Journal::funding(reason, AccountId(owner), Environment::Live, amount).unwrap()
    }

    fn admit_journal(view: &mut View, journal: &Journal) -> Result<(), Denial> {
        admit(view, &Needs { journal: Some(journal), ..Needs::default() })
    }

    fn proposals() -> impl Strategy<Value = Vec<Proposal>> {
        let one = (0..12_u8, 2..5_i64, any::<bool>(), 1..200_i64, 0..6_i64, 0..4_u32).prop_map(
            |(reference, owner, is_deposit, amount, purchase, version)| Proposal {
                reference,
                owner,
                is_deposit,
                amount,
                purchase,
                version,
            },
        );
        proptest::collection::vec(one, 0..80)
    }

    proptest! {
        /// In any batch: the sum of balances is constant, floors hold, a reference is used once, a
        /// purchase takes one step from each version.
        #[test]
        fn admission_keeps_its_invariants(
            proposals in proposals(),
            start in proptest::collection::vec(0..300_i64, 3),
        ) {
            let mut balances = vec![-start.iter().sum::<i64>()];
            balances.extend(&start);
            let mut view = view(&balances);
            let mut won = HashMap::<u8, usize>::new();
            let mut stepped = HashMap::<(i64, u32), usize>::new();
            for proposal in &proposals {
                let (journal, step) = (proposal.journal(), proposal.step());
                let before = view.clone();
                let reference_keys = [reference(proposal.reference)];
                let needs = Needs {
                    reference_keys: &reference_keys,
                    step: Some(step),
                    journal: Some(&journal),
                    ..Needs::default()
                };
                match admit(&mut view, &needs) {
                    Ok(()) => {
                        *won.entry(proposal.reference).or_default() += 1;
                        *stepped.entry((proposal.purchase, proposal.version)).or_default() += 1;
                    }
                    Err(denial) => {
                        // A denied change leaves the view as it was, and the reason is true.
                        prop_assert_eq!(&before.balances, &view.balances);
                        prop_assert_eq!(&before.purchases, &view.purchases);
                        prop_assert_eq!(&before.used, &view.used);
                        match denial {
                            Denial::Money(MoneyDenial::InsufficientBalance { available }) => {
                                prop_assert!(!proposal.is_deposit && available < proposal.amount);
                            }
                            Denial::ReferenceUsed(_) => {
                                prop_assert!(won.contains_key(&proposal.reference));
                            }
                            Denial::VersionConflict => {
                                let now = before.purchases.get(&step.key);
                                prop_assert_ne!(now.map(|(_, v)| *v), step.from_version);
                            }
                            Denial::Money(_) | Denial::Closed | Denial::PaymentKnown(_) => {
                                prop_assert!(false, "{proposal:?}");
                            }
                        }
                    }
                }
                prop_assert_eq!(view.balances.values().map(|b| b.amount).sum::<i64>(), 0);
                for balance in view.balances.values() {
                    prop_assert!(balance.floor.is_none_or(|floor| balance.amount >= floor));
                }
            }
            prop_assert!(won.values().all(|n| *n == 1));
            prop_assert!(stepped.values().all(|n| *n == 1));
        }

        /// A balance for exactly N purchases admits N of any number.
        #[test]
        fn exactly_what_is_affordable_is_admitted(
            n in 0..40_usize,
            price in 1..50_i64,
            extra in 1..40_usize,
        ) {
            let stock = i64::try_from(n).unwrap() * price;
            let mut view = view(&[-stock, stock]);
            let journal = funding(Reason::Withdraw, 2, price);
            let admitted =
                (0..n + extra).filter(|_| admit_journal(&mut view, &journal).is_ok()).count();
            prop_assert_eq!(admitted, n);
        }
    }

    #[test]
    fn a_payment_is_booked_once_in_the_whole_house() {
        let mut view = view(&[0, 0, 0]);
        let key = |typed| {
            PaymentKey::new(Environment::Live, Rail::parse("bkash").unwrap(), typed).unwrap()
        };
        let mut book = |owner, typed| {
            let journal = funding(Reason::Deposit, owner, 5);
            let (key, at) = (key(typed), Timestamp(owner));
            let payment = Some((&key, PaymentOwner { account: AccountId(owner), at }));
            admit(&mut view, &Needs { payment, journal: Some(&journal), ..Needs::default() })
        };
        let first = PaymentOwner { account: AccountId(2), at: Timestamp(2) };
        assert_eq!(book(2, "DKT5A1B2C3"), Ok(()));
        assert_eq!(book(3, "DKT5A1B2C3"), Err(Denial::PaymentKnown(first)));
        assert_eq!(book(3, "dkt5 a1b2c3"), Err(Denial::PaymentKnown(first)));
        assert_eq!(book(3, "DKT5A1B2C4"), Ok(()));
    }

    #[test]
    fn a_missing_wallet_and_an_overflow_are_denied() {
        let missing = admit_journal(&mut view(&[0]), &funding(Reason::Deposit, 9, 5));
        let denial = MoneyDenial::NoLedgerAccount(Box::new(wallet(9)));
        assert_eq!(missing, Err(Denial::Money(denial)));
        let overflow = admit_journal(&mut view(&[0, i64::MAX]), &funding(Reason::Deposit, 2, 5));
        assert_eq!(overflow, Err(Denial::Money(MoneyDenial::TooLarge)));
    }
}

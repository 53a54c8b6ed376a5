//! Admission: of many changes that want into one commit, which fit and which are refused.
//!
//! Pure: the store loads what the changes mention, this decides in their order, the store writes.
//! Each admitted change is applied to the view before the next is judged, so neighbours in a batch
//! see each other. Invariants: a reference has one winner, no balance passes its floor, a purchase
//! takes one step from one version, and the sum of all balances never changes.

use crate::ledger::journal::{Journal, LedgerAccount};
use crate::purchase::lifecycle::State;
use crate::purchase::{PurchaseKey, ReferenceKey};
use std::collections::HashMap;

/// What one change needs to be true, and what it makes true.
#[derive(Clone, Debug, Default)]
pub struct Needs<'a> {
    /// References it claims: all must be free.
    pub reference_keys: &'a [ReferenceKey],
    /// The version a purchase must still have, and what it will have after.
    pub step: Option<PurchaseStep>,
    /// Money that must be there, and where it goes.
    pub journal: Option<&'a Journal>,
}

/// A purchase's move from one version to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PurchaseStep {
    /// Which purchase.
    pub key: PurchaseKey,
    /// The version it must have; `None` for a purchase that opens.
    pub from_version: Option<u32>,
    /// Where it stands afterwards, and as which version.
    pub to: (State, u32),
}

/// A ledger account as the batch sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Balance {
    /// Minor units, after all changes admitted so far.
    pub amount: i64,
    /// The least it may be.
    pub floor: Option<i64>,
    /// Whether this batch changed it.
    pub is_changed: bool,
}

/// All that the changes of a batch mention, as loaded inside the Tx.
#[derive(Clone, Debug, Default)]
pub struct View {
    /// References that are taken: of those mentioned.
    pub used: HashMap<ReferenceKey, ReferenceOwner>,
    /// Where the mentioned purchases stand.
    pub purchases: HashMap<PurchaseKey, (State, u32)>,
    /// The mentioned ledger accounts that exist.
    pub balances: HashMap<LedgerAccount, Balance>,
}

/// What a taken reference stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReferenceOwner {
    /// Its purchase; none for a deposit.
    pub purchase: Option<PurchaseKey>,
}

/// Why a change was not admitted. Nothing of it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Denial {
    /// A reference is used up.
    ReferenceTaken {
        /// Which.
        reference: ReferenceKey,
        /// By what.
        by: ReferenceOwner,
    },
    /// A balance would pass its floor.
    Short {
        /// What it holds, in minor units.
        available: i64,
    },
    /// A ledger account does not exist.
    NoLedgerAccount(Box<LedgerAccount>),
    /// The purchase has moved on, or does not exist.
    Moved {
        /// Where it stands now.
        now: Option<(State, u32)>,
    },
    /// A sum would leave the range of 64 bits.
    TooLarge,
    /// The purchase is of a month that is closed: nothing of it changes any more.
    Closed,
}

/// Judges one change and, if it fits, applies it to the view.
pub fn admit(view: &mut View, needs: &Needs<'_>) -> Result<(), Denial> {
    for reference in needs.reference_keys {
        if let Some(by) = view.used.get(reference) {
            return Err(Denial::ReferenceTaken { reference: reference.clone(), by: *by });
        }
    }
    if let Some(step) = &needs.step {
        let now = view.purchases.get(&step.key).copied();
        if now.map(|(_, version)| version) != step.from_version {
            return Err(Denial::Moved { now });
        }
    }
    let changed = needs.journal.map(|journal| balances_after(view, journal)).transpose()?;
    // After this point the change is admitted: nothing below may refuse.
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
    if let Some(step) = &needs.step {
        view.purchases.insert(step.key, step.to);
    }
    Ok(())
}

/// The balances that a journal leads to, if all its ledger accounts exist and none ends below its
/// floor.
fn balances_after(view: &View, journal: &Journal) -> Result<Vec<(LedgerAccount, i64)>, Denial> {
    let mut after: Vec<(LedgerAccount, i64)> = Vec::with_capacity(4);
    let mut add = |account: &LedgerAccount, delta: i64| -> Result<(), Denial> {
        let known = after.iter().position(|(a, _)| a == account);
        let before = match known {
            Some(i) => after[i].1,
            None => {
                let missing = || Denial::NoLedgerAccount(Box::new(account.clone()));
                view.balances.get(account).ok_or_else(missing)?.amount
            }
        };
        let amount = before.checked_add(delta).ok_or(Denial::TooLarge)?;
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
        let Some(before) = view.balances.get(account) else {
            continue;
        };
        // What only grows is never refused: a floor stops spending, not paying back.
        if before.floor.is_some_and(|floor| *amount < floor) && *amount < before.amount {
            return Err(Denial::Short { available: before.amount });
        }
    }
    Ok(after)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{AccountId, Environment};
    use crate::ids::PurchaseId;
    use crate::ledger::journal::{Purpose, Reason};
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
    struct Ask {
        reference: u8,
        owner: i64,
        is_deposit: bool,
        amount: i64,
        purchase: i64,
        version: u32,
    }

    fn asks() -> impl Strategy<Value = Vec<Ask>> {
        let ask = (0..12_u8, 2..5_i64, any::<bool>(), 1..200_i64, 0..6_i64, 0..4_u32).prop_map(
            |(reference, owner, is_deposit, amount, purchase, version)| Ask {
                reference,
                owner,
                is_deposit,
                amount,
                purchase,
                version,
            },
        );
        proptest::collection::vec(ask, 0..80)
    }

    proptest! {
        /// Conservation, floors, one winner a reference, one step a version, in any batch.
        #[test]
        fn admission_keeps_every_promise(asks in asks(), start in proptest::collection::vec(0..300_i64, 3)) {
            let mut balances = vec![-start.iter().sum::<i64>()];
            balances.extend(&start);
            let mut view = view(&balances);
            let mut won = HashMap::<u8, usize>::new();
            let mut stepped = HashMap::<(i64, u32), usize>::new();
            for ask in &asks {
                let reason = if ask.is_deposit { Reason::Deposit } else { Reason::Withdraw };
                let money = Money::new(ask.amount, Currency::BDT);
                let journal = Journal::funding(reason, AccountId(ask.owner), Environment::Live, money).unwrap();
                let key = PurchaseKey { account: AccountId(2), environment: Environment::Live, id: PurchaseId(ask.purchase) };
                let step = PurchaseStep {
                    key,
                    from_version: ask.version.checked_sub(1),
                    to: (State::Sent, ask.version),
                };
                let before = view.clone();
                let reference_keys = [reference(ask.reference)];
                let verdict = admit(&mut view, &Needs { reference_keys: &reference_keys, step: Some(step), journal: Some(&journal) });
                match verdict {
                    Ok(()) => {
                        *won.entry(ask.reference).or_default() += 1;
                        *stepped.entry((ask.purchase, ask.version)).or_default() += 1;
                    }
                    Err(denial) => {
                        // A refusal leaves no trace, and says the truth.
                        prop_assert_eq!(&before.balances, &view.balances);
                        prop_assert_eq!(&before.purchases, &view.purchases);
                        prop_assert_eq!(&before.used, &view.used);
                        match denial {
                            Denial::Short { available } => prop_assert!(!ask.is_deposit && available < ask.amount),
                            Denial::ReferenceTaken { .. } => prop_assert!(won.contains_key(&ask.reference)),
                            Denial::Moved { now } => prop_assert_ne!(now.map(|(_, v)| v), ask.version.checked_sub(1)),
                            Denial::NoLedgerAccount(_) | Denial::TooLarge | Denial::Closed => prop_assert!(false, "{ask:?}"),
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
        fn exactly_what_is_affordable_is_admitted(n in 0..40_usize, price in 1..50_i64, extra in 1..40_usize) {
            let stock = i64::try_from(n).unwrap() * price;
            let mut view = view(&[-stock, stock]);
            let money = Money::new(price, Currency::BDT);
            let journal = Journal::funding(Reason::Withdraw, AccountId(2), Environment::Live, money).unwrap();
            let admitted = (0..n + extra)
                .filter(|_| admit(&mut view, &Needs { journal: Some(&journal), ..Needs::default() }).is_ok())
                .count();
            prop_assert_eq!(admitted, n);
        }
    }

    #[test]
    fn a_missing_wallet_and_an_overflow_are_refused() {
        let money = Money::new(5, Currency::BDT);
        let journal =
            Journal::funding(Reason::Deposit, AccountId(9), Environment::Live, money).unwrap();
        let verdict =
            admit(&mut view(&[0]), &Needs { journal: Some(&journal), ..Needs::default() });
        assert_eq!(verdict, Err(Denial::NoLedgerAccount(Box::new(wallet(9)))));
        let journal =
            Journal::funding(Reason::Deposit, AccountId(2), Environment::Live, money).unwrap();
        let verdict = admit(
            &mut view(&[0, i64::MAX]),
            &Needs { journal: Some(&journal), ..Needs::default() },
        );
        assert_eq!(verdict, Err(Denial::TooLarge));
    }
}

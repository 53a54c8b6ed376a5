//! Random histories against a model: the store does what a few lines of arithmetic predict.

use crate::harness::world::*;
use domain::{
    Event, FundsAt, MoneyDenial, Move, OpeningDenied, PostingDenied, Purchase, Reason, State,
    StepDenied, UsedReference,
};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use store::{OpenPurchase, Posting, Store, TakeStep};

/// One step of a history.
#[derive(Clone, Debug)]
enum Action {
    /// Opens a purchase under one of a few references.
    Open { account: i64, reference: u8, state: State },
    /// An event of one of the purchases so far.
    Happen { which: usize, event: Event, is_stale: bool },
    /// Staff book a payment.
    Book { account: i64, reference: u8, minor: i64, is_deposit: bool },
}

fn actions() -> impl Strategy<Value = Vec<Vec<Action>>> {
    let account = || 2..4_i64;
    let states = prop::sample::select(vec![State::Quoted, State::Awaiting, State::Sent]);
    let open = (account(), 0..16_u8, states).prop_map(|(account, reference, state)| Action::Open {
        account,
        reference,
        state,
    });
    let happen = (any::<prop::sample::Index>(), prop::sample::select(Event::ALL.to_vec()), 0..8_u8)
        .prop_map(|(which, event, stale)| Action::Happen {
            which: which.index(1_000),
            event,
            is_stale: stale == 0,
        });
    let book = (account(), 0..12_u8, 1..4_000_i64, any::<bool>()).prop_map(
        |(account, reference, minor, is_deposit)| Action::Book {
            account,
            reference,
            minor,
            is_deposit,
        },
    );
    let action = prop_oneof![2 => open, 5 => happen, 2 => book];
    prop::collection::vec(prop::collection::vec(action, 1..12), 1..10)
}

#[derive(Debug, PartialEq)]
enum Expected {
    Opened(i64),
    Written,
    Posted(i64),
    Taken,
    Short(i64),
    Moved,
}

/// Available, held and commission of two merchants, the used references, the purchases.
#[derive(Default)]
struct Model {
    wallets: BTreeMap<i64, (i64, i64, i64)>,
    used: BTreeSet<(i64, String)>,
    purchases: Vec<Purchase>,
    journals: u64,
}

impl Model {
    fn wallet(&mut self, account: i64) -> &mut (i64, i64, i64) {
        self.wallets.entry(account).or_default()
    }

    /// Moves the money of a purchase: the rule of the ledger in its shortest form.
    fn shift(&mut self, account: i64, from: FundsAt, to: FundsAt) {
        self.journals += u64::from(from != to);
        let wallet = self.wallet(account);
        match from {
            FundsAt::Wallet => wallet.0 -= TOTAL,
            FundsAt::Hold => wallet.1 -= TOTAL,
            FundsAt::Spent => wallet.2 -= COMMISSION,
        }
        match to {
            FundsAt::Wallet => wallet.0 += TOTAL,
            FundsAt::Hold => wallet.1 += TOTAL,
            FundsAt::Spent => wallet.2 += COMMISSION,
        }
    }

    /// The change for an action and its expected result; `None` if there is nothing to change.
    fn plan(&mut self, action: &Action) -> Option<(AnyChange<Expected>, Expected)> {
        match action {
            Action::Open { account, reference, state } => {
                let id = i64::try_from(self.purchases.len()).unwrap() + 1;
                let text = format!("R{reference}");
                let opens = Purchase { reference: text.clone(), ..purchase(*account, id, *state) };
                let change = opening(open(opens.clone()));
                let needs = if state.funds_at() == FundsAt::Hold { TOTAL } else { 0 };
                let available = self.wallet(*account).0;
                if self.used.contains(&(*account, text.clone())) {
                    return Some((change, Expected::Taken));
                }
                if available < needs {
                    return Some((change, Expected::Short(available)));
                }
                self.used.insert((*account, text));
                self.shift(*account, FundsAt::Wallet, state.funds_at());
                self.purchases.push(opens);
                let left = self.wallet(*account).0;
                // A quote holds no money, so no balance is returned.
                Some((change, Expected::Opened(if needs == 0 { 0 } else { left })))
            }
            Action::Happen { which, event, is_stale } => {
                let index = which.checked_rem(self.purchases.len())?;
                let now = self.purchases[index].clone();
                let next = step(&now, *event)?;
                let account = now.key.account.0;
                if *is_stale {
                    let old = Purchase { version: now.version + 7, ..now };
                    return Some((stepping(step(&old, *event)?), Expected::Moved));
                }
                let available = self.wallet(account).0;
                let takes = (now.state.funds_at(), next.after.state.funds_at());
                if takes == (FundsAt::Wallet, FundsAt::Hold) && available < TOTAL {
                    return Some((stepping(next), Expected::Short(available)));
                }
                self.shift(account, takes.0, takes.1);
                self.purchases[index] = next.after.clone();
                Some((stepping(next), Expected::Written))
            }
            Action::Book { account, reference, minor, is_deposit } => {
                let text = format!("P{reference}");
                let reason = if *is_deposit { Reason::Deposit } else { Reason::Withdraw };
                let change = booking(fund(reason, *account, *minor, &text));
                if self.used.contains(&(*account, text.clone())) {
                    return Some((change, Expected::Taken));
                }
                let available = self.wallet(*account).0;
                if !is_deposit && available < *minor {
                    return Some((change, Expected::Short(available)));
                }
                self.used.insert((*account, text));
                self.wallet(*account).0 += if *is_deposit { *minor } else { -minor };
                self.journals += 1;
                let left = self.wallet(*account).0;
                Some((change, Expected::Posted(left)))
            }
        }
    }

    fn compare(&mut self, store: &Store) {
        for account in 2..4 {
            assert_eq!(wallet(store, account), *self.wallet(account), "account {account}");
        }
        for expected in &self.purchases {
            let found = store.purchase(&expected.key).unwrap().unwrap();
            let quiet = Purchase { available_after: expected.available_after, ..found };
            assert_eq!(&quiet, expected);
        }
    }
}

fn opening(opens: OpenPurchase) -> AnyChange<Expected> {
    AnyChange::new(opens, |answer| match answer {
        Ok(available_after) => Expected::Opened(available_after),
        Err(OpeningDenied::ReferenceUsed(used)) => taken(&used),
        Err(OpeningDenied::Money(why)) => short(&why),
        Err(OpeningDenied::Closed) => panic!("no month is closed"),
    })
}

fn stepping(step: Box<Move>) -> AnyChange<Expected> {
    AnyChange::new(TakeStep(step), |answer| match answer {
        Ok(_) => Expected::Written,
        Err(StepDenied::VersionConflict) => Expected::Moved,
        Err(StepDenied::Money(why)) => short(&why),
        Err(StepDenied::Closed) => panic!("no month is closed"),
    })
}

fn booking(posting: Posting) -> AnyChange<Expected> {
    AnyChange::new(posting, |answer| match answer {
        Ok(available_after) => Expected::Posted(available_after),
        Err(PostingDenied::Known(owner)) => {
            assert_eq!(owner.at, NOW);
            Expected::Taken
        }
        Err(PostingDenied::Money(why)) => short(&why),
    })
}

fn taken(used: &UsedReference) -> Expected {
    assert!(used.by.purchase.is_some());
    Expected::Taken
}

fn short(why: &MoneyDenial) -> Expected {
    match why {
        MoneyDenial::InsufficientBalance { available } => Expected::Short(*available),
        MoneyDenial::NoLedgerAccount(_) | MoneyDenial::TooLarge => panic!("{why:?}"),
    }
}

/// Each inner list is queued at once; its answers are compared in its order.
async fn check_history(world: World, groups: Vec<Vec<Action>>) {
    let mut model = Model::default();
    model.wallet(2);
    for group in groups {
        let planned: Vec<_> = group.iter().filter_map(|action| model.plan(action)).collect();
        let (changes, expected): (Vec<_>, Vec<_>) = planned.into_iter().unzip();
        let answers = write_any(&world.store, changes).await;
        assert_eq!(answers.into_iter().map(Result::unwrap).collect::<Vec<_>>(), expected);
        model.compare(&world.store);
    }
    let report = world.assert_sound();
    assert_eq!(report.journals, model.journals);
    let world = world.reopened();
    model.compare(&world.store);
}

fn wait_for(history: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(history);
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(64))]

    #[test]
    fn any_history_is_what_the_model_says(groups in actions()) {
        wait_for(async { check_history(sqlite().await, groups).await });
    }
}

proptest! {
    #![proptest_config(cases(24))]

    #[test]
    fn any_history_on_postgresql_is_what_the_model_says(groups in actions()) {
        wait_for(async { check_history(postgresql().await, groups).await });
    }
}

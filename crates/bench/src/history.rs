//! The history of the demo: three merchants with thirty days of sales, written before the demo
//! opens.
//!
//! It goes through the store's writer, as a filled installation does, so the ledger is sound. The
//! same every time but for the dates: nothing here is random.

use crate::Installation;
use crate::fill::{Ids, write};
use anyhow::{Context as _, Result};
use domain::account::HOUSE;
use domain::ids::KeyId;
use domain::purchase::settle;
use domain::{
    Account, AccountId, Clock, Currency, Decision, Details, DuplicatePolicy, Environment, Event,
    Journal, Kind, Money, Opening, PaymentKey, Plan, Proof, Purchase, PurchaseDraft, PurchaseId,
    PurchaseKey, Rail, Reason, ReferenceKey, ReferenceScope, Role, Sequence, ServiceType, Source,
    Subscription, Timestamp, UpstreamCode,
};
use std::sync::Arc;
use std::time::Duration;
use store::{OpenPurchase, Posting, SetAll, Setting, Store, TakeNumbers, TakeStep};
use tokio::task::JoinSet;

const MERCHANTS: [&str; 3] = ["Karim Telecom", "Padma Traders", "Sylhet Recharge Point"];
const DAYS: u32 = 30;
/// Sales of one merchant in a day.
const SALES_A_DAY: u32 = 8;
const DAY: Duration = Duration::from_secs(24 * 3600);
const ENVIRONMENT: Environment = Environment::Live;
const UPSTREAM: &str = "simulator-a";
const OPERATORS: [(&str, &str); 5] =
    [("GP", "017"), ("RB", "018"), ("BL", "019"), ("AT", "016"), ("TT", "015")];
/// Amounts that are sold, in minor units.
const AMOUNTS: [i64; 6] = [2_000, 5_000, 10_000, 1_900, 19_900, 49_900];
/// What each merchant has paid in before its first sale, in minor units.
const PAID_IN: i64 = 12_000_000;
const SALES_IN_FLIGHT: usize = 256;

/// Whether these are the accounts of a demo that has only just begun: none, or those of the
/// history.
pub fn is_history(accounts: &[Account]) -> bool {
    let is_merchant = |account: &Account| MERCHANTS.contains(&account.name.as_str());
    accounts.is_empty()
        || (accounts.iter().all(|a| a.role == Role::House || is_merchant(a))
            && MERCHANTS.len() == accounts.iter().filter(|a| is_merchant(a)).count())
}

/// Writes the history into an installation that has no accounts; else does nothing. Its store is
/// closed again on return.
pub async fn write_once(installation: &Installation, clock: &dyn Clock) -> Result<()> {
    let Installation { database_url, data_dir } = installation;
    let store = match database_url.as_str() {
        "" => Store::open(data_dir)?,
        url => Store::connect_node(url, data_dir)?,
    };
    if !store.accounts()?.is_empty() {
        return Ok(());
    }
    let begin = clock.now().before(DAY * (DAYS + 1));
    let count = u32::try_from(MERCHANTS.len())?;
    let take = TakeNumbers { of: Sequence::Account, count, at: begin };
    let first = store.commit(take).await?.first;
    let mut numbers = first..;
    let merchants = MERCHANTS.map(|name| (AccountId(numbers.next().unwrap_or(first)), name));
    let mut ids = Ids::default();
    store.commit(SetAll(accounts(&merchants, begin))).await?;
    for (account, _) in merchants {
        write(&store, paid_in(account, begin)?).await?;
    }
    let store = Arc::new(store);
    let mut in_flight = JoinSet::new();
    for number in 0..DAYS * SALES_A_DAY {
        // Sales fall between eight in the morning and ten at night in Dhaka.
        let day = DAY * (number / SALES_A_DAY + 1);
        let hour = Duration::from_secs(u64::from(number % SALES_A_DAY) * 6_300 + 7_200);
        for (turn, (account, _)) in (0..).zip(merchants) {
            let at = start_of_day(begin).after(day + hour + Duration::from_secs(turn * 731));
            if at >= clock.now() {
                continue;
            }
            let left = u64::from(DAYS * SALES_A_DAY - number) * u64::from(count);
            let id = ids.next(&store, at, left).await?;
            in_flight.spawn(sell(store.clone(), Sale { account, id, at, number, turn }));
            if in_flight.len() >= SALES_IN_FLIGHT
                && let Some(sold) = in_flight.join_next().await
            {
                sold??;
            }
        }
    }
    in_flight.join_all().await.into_iter().collect()
}

/// Midnight in UTC before a moment.
fn start_of_day(at: Timestamp) -> Timestamp {
    let day = i64::try_from(DAY.as_micros()).unwrap_or(1);
    Timestamp(at.0 - at.0.rem_euclid(day))
}

fn accounts(merchants: &[(AccountId, &str)], at: Timestamp) -> Vec<Setting> {
    let until = at.after(DAY * 3_650);
    let account = |id, role, name: &str, subscription| Account {
        id,
        role,
        name: name.to_owned(),
        is_active: true,
        subscription,
        approved_at: Some(at),
        duplicates: DuplicatePolicy::default(),
        opened_at: at,
    };
    let mut settings = vec![Setting::Account(account(HOUSE, Role::House, "House", None))];
    for (id, name) in merchants {
        let subscription = Subscription { plan: Plan::BUSINESS, until, since: at };
        settings.push(Setting::Account(account(*id, Role::Merchant, name, Some(subscription))));
        settings.extend(Environment::ALL.map(|e| Setting::Wallet(*id, e, Currency::BDT)));
    }
    settings
}

fn paid_in(account: AccountId, at: Timestamp) -> Result<Posting> {
    let amount = Money::new(PAID_IN, Currency::BDT);
    let journal = Journal::funding(Reason::Deposit, account, ENVIRONMENT, amount)
        .context("this cannot be paid in")?;
    let rail = Rail::parse("manual").context("no such rail")?;
    let payment = PaymentKey::new(ENVIRONMENT, rail, &format!("HISTORY-{account}"));
    let payment = payment.context("this is no reference")?;
    Ok(Posting { journal, account, payment, note: "history of the demo".to_owned(), at })
}

/// One sale of the history.
struct Sale {
    account: AccountId,
    id: PurchaseId,
    at: Timestamp,
    /// Of this merchant.
    number: u32,
    /// Which merchant.
    turn: u64,
}

impl Sale {
    /// A number that is the same every time, and different for each sale.
    fn scattered(&self) -> u64 {
        let mixed =
            (u64::from(self.number) * 3 + self.turn + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^ (mixed >> 29)
    }

    fn pick<'a, T>(&self, of: &'a [T], shift: u32) -> Option<&'a T> {
        let count = u64::try_from(of.len()).ok()?;
        of.get(usize::try_from((self.scattered() >> shift) % count).ok()?)
    }

    fn draft(&self) -> Result<PurchaseDraft> {
        let (operator, prefix) = self.pick(&OPERATORS, 7).context("no operator")?;
        let amount = self.pick(&AMOUNTS, 17).context("no amount")?;
        let taka = |minor| Money::new(minor, Currency::BDT);
        let key = PurchaseKey { account: self.account, environment: ENVIRONMENT, id: self.id };
        Ok(PurchaseDraft {
            key,
            scope: ReferenceScope::Irecharge,
            reference: format!("SALE-{:05}", self.number + 1),
            api_key: Some(KeyId(1)),
            kind: Kind::Recharge,
            operator: (*operator).to_owned(),
            product: None,
            recipient: format!("{prefix}{:08}", self.scattered() % 100_000_000),
            service_type: ServiceType::Prepaid,
            amount: taka(*amount),
            fee: taka(50),
            commission: taka(150),
            details: Details::new(),
            webhook_url: None,
            opened_at: self.at,
        })
    }

    /// What became of it: of sixteen one failed, and of sixty one was taken back.
    fn events(&self) -> &'static [(Event, &'static str)] {
        match self.scattered() {
            n if n % 16 == 3 => &[(Event::Refuse, "refused")],
            n if n % 60 == 7 => &[(Event::Deliver, "delivered"), (Event::Reverse, "reversed")],
            _ => &[(Event::Deliver, "delivered")],
        }
    }
}

/// Opens a purchase and settles it.
async fn sell(store: Arc<Store>, sale: Sale) -> Result<()> {
    let opening = settle::open(sale.draft()?, Opening::Sent(UpstreamCode::new(UPSTREAM)));
    let opening = Box::new(opening);
    let mut purchase: Purchase = opening.after.clone();
    let reference = ReferenceKey {
        account: sale.account,
        environment: ENVIRONMENT,
        scope: purchase.scope,
        text: purchase.reference.clone(),
    };
    write(&store, OpenPurchase { reference_keys: vec![reference], digest: None, opening }).await?;
    let mut at = sale.at;
    for (event, word) in sale.events() {
        at = at.after(Duration::from_millis(700 + sale.scattered() % 4_000));
        let source = Source::Upstream { attempt: 1, upstream: UpstreamCode::new(UPSTREAM) };
        let Decision::Move(step) = settle::decide(&purchase, *event, Proof::new(source, word), at)
        else {
            anyhow::bail!("a sale cannot be settled");
        };
        purchase = step.after.clone();
        write(&store, TakeStep(step)).await?;
    }
    Ok(())
}

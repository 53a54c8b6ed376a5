//! Reads for the pages of a merchant: what is found by a text, one purchase with all that is known
//! of it, deliveries of webhooks, what the latest purchases amount to.
//!
//! Invariant: each names the caller's account and environment; what is of another is not there.

use crate::access::Changed;
use crate::refusals::{ensure, not_possible};
use crate::{Caller, Engine, Permit, PurchaseHistory, limits};
use domain::refusal::{FindRefused, PurchaseUnknown, ResendRefused, StoreRefused};
use domain::webhook::schedule::parse_webhook_id;
use domain::{
    AccountId, Case, CaseKind, Currency, Key, Kind, Money, MonthClosed, Price, Proof, Purchase,
    PurchaseKey, PurchaseNumber, Source, State, Timestamp, act,
};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;
use store::{
    ActRecord, DeliveryAttempt, DeliveryFilter, KeepEvidence, LoggedWebhook, Page, PurchaseFilter,
    RecentPurchase, Store,
};

/// The code of the evidence that a delivery was not received.
pub const NOT_RECEIVED: &str = "not_received";
/// Purchases that an overview reads at most: some milliseconds.
const ACTIVITY_PURCHASES_MAX: u32 = 2_000;
/// How far an overview looks back.
const ACTIVITY_DAYS: u64 = 14;
/// Purchases of one number that a search shows.
const FOUND_MAX: u32 = 50;

/// What the latest purchases of an account amount to.
#[derive(Clone, Debug, Default)]
pub struct Activity {
    /// Purchases that were read.
    pub purchases: u64,
    /// There are more of them in the time: these are the latest.
    pub is_cut: bool,
    /// How many were delivered.
    pub delivered: u64,
    /// How many failed, were called off or were taken back.
    pub failed: u64,
    /// Amounts that were delivered, by currency.
    pub volume: Vec<Money>,
    /// Day by day, oldest first: the day's number since 1970 (in the zone that was asked for),
    /// delivered, failed.
    pub days: Vec<(i64, u64, u64)>,
    /// How fast each operator delivers.
    pub speeds: Vec<OperatorSpeed>,
}

/// How long deliveries of an operator took, from acceptance to delivery.
#[derive(Clone, Debug)]
pub struct OperatorSpeed {
    /// The operator's code.
    pub operator: String,
    /// Deliveries that were counted.
    pub count: u64,
    /// Half of them took no longer.
    pub p50: Duration,
    /// 95 of 100 took no longer.
    pub p95: Duration,
}

impl Engine {
    /// A purchase of the caller's with all that is known of it; `PurchaseUnknown` also if it
    /// belongs to another account or environment.
    pub async fn history_of(
        &self,
        caller: &Caller,
        number: PurchaseNumber,
    ) -> Result<PurchaseHistory, FindRefused> {
        let purchase = self.purchase_by_id(caller, number).await?;
        let key = purchase.key;
        let read = move |store: &Store| {
            Ok(PurchaseHistory {
                purchase,
                attempts: store.attempts(&key)?,
                evidence: store.evidence(&key)?,
                events: store.events(&key)?,
                // What upstreams were sent is for staff, and the slip is the buyer's.
                exchanges: Vec::new(),
                slip: None,
            })
        };
        Ok(self.read(read).await?)
    }

    /// The webhooks about a purchase of the caller's, each with its tries, the accepted one last.
    pub fn deliveries_of(
        &self,
        caller: &Caller,
        number: PurchaseNumber,
    ) -> Result<Vec<(LoggedWebhook, Vec<DeliveryAttempt>)>, FindRefused> {
        let mut webhooks = self.webhooks_of(number)?;
        webhooks.retain(|(webhook, _)| {
            webhook.key.account == caller.account && webhook.key.environment == caller.environment
        });
        Ok(webhooks)
    }

    /// Reports that a delivery was not received: opens a case for staff, which moves no money.
    /// Answers until when they answer. Refuses what was not delivered, and a second report
    /// (`NotPossible`).
    pub async fn report_not_received(
        &self,
        permit: Permit<act::ReportPurchase>,
        caller: &Caller,
        number: PurchaseNumber,
    ) -> Result<Timestamp, ResendRefused> {
        let history = self.history_of(caller, number).await?;
        let is_delivered = history.purchase.state == State::Delivered;
        ensure(is_delivered, not_possible("Only a delivery can be reported."))?;
        let is_new = history.evidence.iter().all(|evidence| evidence.word != NOT_RECEIVED);
        ensure(is_new, not_possible("It was reported before."))?;
        let now = self.now();
        let text = "The account says that it was not received.";
        let proof = Proof::new(Source::Owner, NOT_RECEIVED).with_text(text);
        let case = Some(Case { why: CaseKind::Clash, proof: proof.clone() });
        let until = now.after(limits::REPORT_ANSWERED_WITHIN);
        let after = json!({ "reported": NOT_RECEIVED, "answer_until": until.0 });
        let changed = Changed::made(format_args!("purchase {number}"), after);
        let keep = KeepEvidence { key: history.purchase.key, proof, case, at: now };
        let keep = self.recorded(&permit, keep, [changed], |()| true);
        let kept = self.or_unavailable(self.write(&permit, keep, None).await)?;
        kept.map_err(|MonthClosed| not_possible("Its month is closed."))?;
        Ok(until)
    }

    /// The caller's webhooks that pass a filter, latest first.
    pub async fn list_webhooks(
        &self,
        caller: &Caller,
        filter: DeliveryFilter,
    ) -> Result<Vec<LoggedWebhook>, StoreRefused> {
        let (account, environment) = (caller.account, caller.environment);
        self.read(move |store| store.deliveries(account, environment, &filter)).await
    }

    /// The caller's purchases that a text names: a reference, an id, the id of a webhook, or the
    /// number of a recipient (its latest ones).
    pub async fn find(&self, caller: &Caller, text: &str) -> Result<Vec<Purchase>, StoreRefused> {
        let text = text.trim();
        let page = Page { before: None, limit: FOUND_MAX };
        let reference = PurchaseFilter { reference: Some(text.to_owned()), ..Default::default() };
        let mut found = self.list_purchases(caller, reference, page).await?;
        let id = parse_webhook_id(text).map(|(id, _)| id);
        let id = id.or_else(|| text.parse().ok().map(PurchaseNumber));
        if let Some(id) = id {
            match self.purchase_by_id(caller, id).await {
                Ok(purchase) if !found.contains(&purchase) => found.push(purchase),
                Ok(_) | Err(FindRefused::PurchaseUnknown(PurchaseUnknown)) => {}
                Err(FindRefused::Unavailable(one)) => return Err(one.into()),
                Err(FindRefused::Uncertain(one)) => return Err(one.into()),
            }
        }
        if found.is_empty() {
            let catalog = self.catalog();
            let number = catalog.countries.iter().find_map(|c| c.numbering.national(text).ok());
            let recipient = Some(number.unwrap_or_else(|| text.to_owned()));
            let filter = PurchaseFilter { recipient, ..Default::default() };
            found = self.list_purchases(caller, filter, page).await?;
        }
        Ok(found)
    }

    /// What the caller's latest purchases amount to; days begin `zone_s` seconds after those of
    /// UTC.
    pub async fn activity(&self, caller: &Caller, zone_s: i64) -> Result<Activity, StoreRefused> {
        let now = self.now();
        let since = now.before(Duration::from_secs(ACTIVITY_DAYS * 24 * 3600));
        let (account, environment) = (caller.account, caller.environment);
        let limit = ACTIVITY_PURCHASES_MAX;
        let recent = self
            .read(move |store| store.recent_purchases(account, environment, since, limit))
            .await?;
        Ok(activity_of(&recent, now, zone_s))
    }

    /// What the caller would pay and earn for a purchase now; `None`: the amount is too large.
    pub fn price_now(
        &self,
        caller: &Caller,
        operator: &str,
        kind: Kind,
        amount: Money,
    ) -> Option<Price> {
        self.catalog().price(&caller.price_query(operator, kind, amount, self.now()))
    }

    /// The currencies that an account has wallets in.
    pub fn wallet_currencies(&self, account: AccountId) -> Result<Vec<Currency>, StoreRefused> {
        let wallets = self.or_unavailable(self.inner.store.wallets(account))?;
        let mut currencies = Vec::new();
        for wallet in wallets {
            let currency = wallet.available.currency();
            if !currencies.contains(&currency) {
                currencies.push(currency);
            }
        }
        Ok(currencies)
    }

    /// The caller's key pairs in its environment, oldest first, revoked ones too.
    pub fn own_keys(&self, caller: &Caller) -> Result<Vec<Key>, StoreRefused> {
        let mut keys = self.or_unavailable(self.inner.store.keys_of(caller.account))?;
        keys.retain(|key| key.environment == caller.environment);
        Ok(keys)
    }

    /// The versions of purchases of the caller's, by number: what has a new one has changed. Those
    /// of others are left out.
    pub async fn versions(
        &self,
        caller: &Caller,
        numbers: &[PurchaseNumber],
    ) -> Result<BTreeMap<i64, (u32, State)>, StoreRefused> {
        let (account, environment) = (caller.account, caller.environment);
        let numbers = numbers.to_vec();
        self.read(move |store| {
            let mut versions = BTreeMap::new();
            for number in numbers {
                let Some(id) = store.purchase_id(number)? else { continue };
                let key = PurchaseKey { account, environment, id };
                if let Some(purchase) = store.purchase(&key)? {
                    versions.insert(number.0, (purchase.version, purchase.state));
                }
            }
            Ok(versions)
        })
        .await
    }

    /// The record of acts on the caller's account itself, its keys and its endpoints in this
    /// environment, latest first, at most `limit` of each.
    pub async fn own_acts(
        &self,
        caller: &Caller,
        limit: u32,
    ) -> Result<Vec<ActRecord>, StoreRefused> {
        let mut objects = vec![format!("account {}", caller.account)];
        objects.extend(self.own_keys(caller)?.iter().map(|key| format!("key {}", key.id)));
        let mut endpoints = self.endpoints_of(caller.account)?;
        endpoints.retain(|view| view.endpoint.environment == caller.environment);
        objects.extend(endpoints.iter().map(|view| format!("endpoint {}", view.endpoint.id)));
        let read = move |store: &Store| {
            let mut acts = Vec::new();
            for object in &objects {
                acts.extend(store.acts(Some(object), limit)?);
            }
            Ok(acts)
        };
        let mut acts = self.read(read).await?;
        acts.sort_by_key(|act| std::cmp::Reverse(act.at));
        acts.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
        Ok(acts)
    }
}

fn activity_of(purchases: &[RecentPurchase], now: Timestamp, zone_s: i64) -> Activity {
    let day_of = |at: Timestamp| (at.0 / 1_000_000 + zone_s).div_euclid(24 * 3600);
    let count = u32::try_from(purchases.len()).unwrap_or(u32::MAX);
    let mut activity = Activity {
        purchases: u64::from(count),
        is_cut: count >= ACTIVITY_PURCHASES_MAX,
        ..Activity::default()
    };
    let today = day_of(now);
    let days = i64::try_from(ACTIVITY_DAYS).unwrap_or(0);
    let mut by_day: BTreeMap<i64, (u64, u64)> =
        (today - days + 1..=today).map(|day| (day, (0, 0))).collect();
    let mut took: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    let mut volume: BTreeMap<&str, Money> = BTreeMap::new();
    for purchase in purchases {
        let mut day = by_day.get_mut(&day_of(purchase.opened_at));
        match purchase.state {
            State::Delivered => {
                activity.delivered += 1;
                if let Some(day) = &mut day {
                    day.0 += 1;
                }
                let code = purchase.amount.currency().code();
                let zero = Money::zero(purchase.amount.currency());
                let sum = volume.entry(code).or_insert(zero);
                *sum = sum.plus(purchase.amount).unwrap_or(*sum);
                let delivered_at = purchase.delivered_at.unwrap_or(purchase.opened_at);
                let time = delivered_at.since(purchase.opened_at);
                took.entry(&purchase.operator).or_default().push(time);
            }
            State::Failed | State::Rejected | State::Refunded => {
                activity.failed += 1;
                if let Some(day) = &mut day {
                    day.1 += 1;
                }
            }
            State::Quoted
            | State::Awaiting
            | State::Held
            | State::Sent
            | State::InDoubt
            | State::WithStaff => {}
        }
    }
    activity.volume = volume.into_values().collect();
    activity.days = by_day.into_iter().map(|(day, (ok, bad))| (day, ok, bad)).collect();
    let speed = |(operator, mut times): (&str, Vec<Duration>)| {
        times.sort_unstable();
        let at = |percent: usize| {
            times.get((times.len() * percent).div_ceil(100).saturating_sub(1)).copied()
        };
        OperatorSpeed {
            operator: operator.to_owned(),
            count: u64::try_from(times.len()).unwrap_or(u64::MAX),
            p50: at(50).unwrap_or_default(),
            p95: at(95).unwrap_or_default(),
        }
    };
    activity.speeds = took.into_iter().map(speed).collect();
    activity
}

#[cfg(test)]
mod tests {
    use super::*;
    use domain::PurchaseId;

    fn purchase(id: i64, state: State, opened_at: i64, took_s: i64) -> RecentPurchase {
        RecentPurchase {
            id: PurchaseId(id),
            operator: "GP".to_owned(),
            state,
            amount: Money::new(1_000, Currency::BDT),
            opened_at: Timestamp(opened_at * 1_000_000),
            delivered_at: Some(Timestamp((opened_at + took_s) * 1_000_000)),
        }
    }

    #[test]
    fn an_overview_counts_each_purchase_once() {
        let day = 24 * 3600;
        let now = Timestamp(100 * day * 1_000_000 + 1);
        let mut purchases: Vec<RecentPurchase> =
            (1..=20).map(|n| purchase(n, State::Delivered, 100 * day - 10, n)).collect();
        purchases.push(purchase(21, State::Failed, 100 * day, 0));
        purchases.push(purchase(22, State::Sent, 100 * day, 0));
        let activity = activity_of(&purchases, now, 0);
        assert_eq!((activity.purchases, activity.delivered, activity.failed), (22, 20, 1));
        let [.., yesterday, today] = activity.days[..] else { panic!("{activity:?}") };
        assert_eq!((yesterday, today), ((99, 20, 0), (100, 0, 1)));
        assert_eq!(activity.days.len(), 14);
        let speed = &activity.speeds[0];
        assert_eq!((speed.p50.as_secs(), speed.p95.as_secs()), (10, 19));
        assert_eq!(activity.volume[0].minor(), 20 * purchases[0].amount.minor());
        // East of Greenwich yesterday's late purchases are of today.
        assert_eq!(activity_of(&purchases, now, 6 * 3600).days[13], (100, 20, 1));
    }
}

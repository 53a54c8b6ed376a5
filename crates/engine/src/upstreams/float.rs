//! Floats: our prepaid balances at upstreams, as we count them and as the upstreams tell.
//!
//! Ours is the ledger's: what was paid, less what each delivery took. Theirs is asked for at
//! intervals. What was told last counts, put forward by what the ledger booked since; without that
//! ours counts once something was paid. Invariant: nothing here is booked but a payment.

use super::Connected;
use crate::access::Changed;
use crate::refusals::{invalid, not_booked, not_possible};
use crate::worker::pause;
use crate::{Engine, Permit, limits};
use domain::account::HOUSE;
use domain::refusal::StaffRefused;
use domain::{
    BalanceAnswer, Capabilities, Currency, Environment, Journal, Money, PauseCause, PaymentKey,
    Rail, Timestamp, UpstreamCode, act,
};
use serde_json::json;
use std::collections::HashMap;
use std::time::Duration;
use store::{
    AddSpending, AskBalance, Fault, FundUpstream, HourSpent, KeepBalance, NoteFloatLevel, Posting,
    ReportedBalance, Store,
};
use tokio_util::sync::CancellationToken;

/// Payments to upstreams are a rail of their own.
const RAIL: &str = "upstream";
/// How the reference of a payment begins that takes another one back.
const REVERSAL_OF: &str = "REVERSAL-OF:";
const HOUR_US: i64 = 3_600_000_000;
/// The days whose same hours tell how fast a float is spent.
const DAYS_LOOKED_AT: i64 = 7;
/// A forecast goes no further.
const HOURS_MAX: i64 = 14 * 24;

/// What was spent, by upstream, currency and hour, until it is stored.
#[derive(Debug, Default)]
pub(super) struct Spending(HashMap<(UpstreamCode, Currency, i64), i64>);

/// A float as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FloatView {
    /// Our own count.
    pub ours: Money,
    /// What the upstream says now; else what it said last, if that is asked for.
    pub theirs: Option<Money>,
    /// When it said so.
    pub reported_at: Option<Timestamp>,
    /// Theirs less ours, as of when it was told.
    pub difference: Option<Money>,
    /// Until nothing is left, as the same hours of the last days were; none: not within two weeks,
    /// or nothing is known.
    pub hours_left: Option<i64>,
}

/// What is known of a float.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FloatAnswer {
    /// The float; none: nothing was told, paid or spent.
    pub float: Option<FloatView>,
    /// Why the upstream could not be asked, or why nothing is known.
    pub unavailable: Option<String>,
}

/// What the store knows of all floats.
struct Known {
    reported: Vec<ReportedBalance>,
    ours: Vec<store::LedgerFloat>,
    funded: Vec<(UpstreamCode, Currency)>,
}

impl Known {
    fn read(store: &Store) -> Result<Known, Fault> {
        Ok(Known {
            reported: store.reported_balances()?,
            ours: store.ledger_floats()?,
            funded: store.funded_floats()?,
        })
    }

    fn ours(&self, code: &UpstreamCode, environment: Environment, currency: Currency) -> Money {
        let is_it = |float: &&store::LedgerFloat| {
            float.code == *code
                && float.environment == environment
                && float.ours.currency() == currency
        };
        self.ours.iter().find(is_it).map_or(Money::zero(currency), |float| float.ours)
    }

    /// What is left at an upstream, if that is known.
    fn left(&self, code: &UpstreamCode, environment: Environment) -> Option<Money> {
        if let Some(reported) = self.reported.iter().find(|reported| reported.code == *code) {
            let currency = reported.balance.currency();
            let since = self.ours(code, environment, currency).minor() - reported.ours.minor();
            return Some(Money::new(reported.balance.minor().saturating_add(since), currency));
        }
        let (_, currency) = self.funded.iter().find(|(funded, _)| funded == code)?;
        Some(self.ours(code, environment, *currency))
    }
}

impl Engine {
    /// Books what we paid to an upstream. Refuses a reference that was used, and an upstream that
    /// was never set up.
    pub async fn fund_upstream(
        &self,
        permit: Permit<act::BookMoney>,
        code: &UpstreamCode,
        amount: Money,
        reference: &str,
    ) -> Result<FloatView, StaffRefused> {
        let by = permit.by("Say who books it.")?.to_owned();
        let row = self.stored_upstream(code)?;
        let environment = row.environment;
        if let Some(connector) = self.upstream(code) {
            self.check_currency(&row, &connector.capabilities(), amount.currency())?;
        }
        let payment = Rail::parse(RAIL).and_then(|r| PaymentKey::new(environment, r, reference));
        let message = "A reference is 1 to 128 printable ASCII characters.";
        let payment = payment.ok_or_else(|| invalid("reference", message))?;
        let journal = Journal::float_funding(code.clone(), environment, amount)
            .ok_or_else(|| invalid("amount", "The amount must be more than zero."))?;
        let after = json!({ "paid": amount.to_string(), "reference": payment.reference() });
        let changed = Changed::made(format_args!("upstream {code}"), after);
        let note = format!("{by}: paid to {code}");
        let posting = Posting { journal, account: HOUSE, payment, note, at: self.now() };
        let (code, is_known) = (code.clone(), true);
        let fund = FundUpstream { posting, code, currency: amount.currency(), is_known };
        self.book_at_upstream(permit, fund, changed).await
    }

    /// Takes back what was booked by mistake, by a payment of its own whose reference says so;
    /// once.
    /// Refuses a reference under which nothing was booked as paid to this upstream.
    pub async fn reverse_funding(
        &self,
        permit: Permit<act::BookMoney>,
        code: &UpstreamCode,
        reference: &str,
    ) -> Result<FloatView, StaffRefused> {
        let by = permit.by("Say who books it.")?.to_owned();
        let environment = self.stored_upstream(code)?.environment;
        let key =
            |text: &str| Rail::parse(RAIL).and_then(|r| PaymentKey::new(environment, r, text));
        let message = "A reference is 1 to 128 printable ASCII characters.";
        let paid = key(reference).ok_or_else(|| invalid("reference", message))?;
        let reversal = key(&format!("{REVERSAL_OF}{}", paid.reference()));
        let payment = reversal.ok_or_else(|| invalid("reference", "It is too long."))?;
        let booked = self.inner.store.paid_to_upstream(environment, paid.reference());
        let booked = self.or_unavailable(booked)?.filter(|booked| booked.code == *code);
        let amount = booked.map(|booked| booked.amount).ok_or_else(|| {
            not_possible("Nothing is booked as paid to this upstream by that reference.")
        })?;
        let journal = Journal::float_reversal(code.clone(), environment, amount)
            .ok_or_else(|| invalid("amount", "The amount must be more than zero."))?;
        let changed = Changed::new(
            format_args!("upstream {code}"),
            json!({ "paid": amount.to_string(), "reference": paid.reference() }),
            json!({ "taken_back": amount.to_string(), "reference": payment.reference() }),
        );
        let known = self.read(Known::read).await?;
        let is_known = known.ours(code, environment, amount.currency()) != amount;
        let note = format!("{by}: taken back, was paid to {code}");
        let posting = Posting { journal, account: HOUSE, payment, note, at: self.now() };
        let (code, currency) = (code.clone(), amount.currency());
        let fund = FundUpstream { posting, code, currency, is_known };
        self.book_at_upstream(permit, fund, changed).await
    }

    async fn book_at_upstream(
        &self,
        permit: Permit<act::BookMoney>,
        fund: FundUpstream,
        changed: Changed,
    ) -> Result<FloatView, StaffRefused> {
        let (code, currency) = (fund.code.clone(), fund.currency);
        let environment = fund.posting.payment.environment();
        let fund = self.recorded(&permit, fund, [changed], |()| true);
        let written = self.write(&permit, fund, None).await;
        self.or_unavailable(written)?.map_err(|why| not_booked(why, currency))?;
        self.or_unavailable(self.read_floats().await)?;
        self.stored_float(&code, environment, currency).await
    }

    /// Refuses a currency that an upstream's float does not have: that of the balance it told, or
    /// of its settings, or of what was paid to it first. Where none of them is known, any may be.
    pub(super) fn check_currency(
        &self,
        row: &store::StoredUpstream,
        capabilities: &Capabilities,
        currency: Currency,
    ) -> Result<(), StaffRefused> {
        // Of one that is just being added nothing was told.
        let (reported, paid) = if row.revision == 0 {
            (None, None)
        } else {
            let reported = self.or_unavailable(self.inner.store.reported_balances())?;
            let reported = reported.into_iter().find(|reported| reported.code == row.code);
            let paid = self.or_unavailable(self.inner.store.funded_floats())?;
            let mut paid: Vec<Currency> =
                paid.into_iter().filter(|(code, _)| *code == row.code).map(|(_, c)| c).collect();
            let is_paid = paid.contains(&currency);
            let paid = if is_paid { Some(currency) } else { paid.pop() };
            (reported.map(|reported| reported.balance.currency()), paid)
        };
        match reported.or(capabilities.currency).or(paid) {
            Some(theirs) if theirs != currency => {
                let theirs = theirs.code();
                let text = format!("Its float is in {theirs}: say --currency {theirs}.");
                Err(invalid("currency", &text).into())
            }
            Some(_) | None => Ok(()),
        }
    }

    /// A float as we count it and as the upstream tells, which is asked now.
    pub async fn upstream_float(&self, code: &UpstreamCode) -> Result<FloatAnswer, StaffRefused> {
        let connected = self.inner.upstreams.get(code);
        let connected = connected.ok_or_else(|| not_possible("There is no such upstream."))?;
        let environment = environment_of(&connected);
        let asked = self.or_unavailable(self.ask_balance_if_due(code, &connected).await)?;
        let known = self.read(Known::read).await?;
        let funded = known.funded.iter().find(|(funded, _)| funded == code);
        let reported = known.reported.iter().find(|reported| reported.code == *code);
        let booked = known.ours.iter().find(|o| o.code == *code && o.environment == environment);
        let currency = reported
            .map(|reported| reported.balance.currency())
            .or(funded.map(|(_, currency)| *currency))
            .or(booked.map(|float| float.ours.currency()));
        let unavailable = match asked {
            BalanceAnswer::Unavailable { reason } => Some(reason),
            BalanceAnswer::NotOffered if currency.is_none() => {
                Some("it tells no balance, and nothing is booked as paid to it".to_owned())
            }
            BalanceAnswer::Reported(_) | BalanceAnswer::NotOffered => None,
        };
        let float = match currency {
            Some(currency) => Some(self.stored_float(code, environment, currency).await?),
            None => None,
        };
        Ok(FloatAnswer { float, unavailable })
    }

    async fn stored_float(
        &self,
        code: &UpstreamCode,
        environment: Environment,
        currency: Currency,
    ) -> Result<FloatView, StaffRefused> {
        let known = self.read(Known::read).await?;
        let hours = self.or_unavailable(self.inner.store.hours_spent(code, currency))?;
        let is_it = |t: &&ReportedBalance| t.code == *code && t.balance.currency() == currency;
        let reported = known.reported.iter().find(is_it);
        let ours = known.ours(code, environment, currency);
        let difference = |reported: &ReportedBalance| {
            Money::new(reported.balance.minor() - reported.ours.minor(), currency)
        };
        let left = known.left(code, environment).filter(|left| left.currency() == currency);
        let hour = self.now().0.div_euclid(HOUR_US);
        Ok(FloatView {
            ours,
            theirs: reported.map(|reported| reported.balance),
            reported_at: reported.map(|reported| reported.reported_at),
            difference: reported.map(difference),
            hours_left: left.and_then(|left| hours_left(left.minor(), &hours, hour)),
        })
    }

    /// Asks an upstream for our balance, unless it wants to be asked less often and was asked
    /// lately, by this node or another.
    pub(super) async fn ask_balance_if_due(
        &self,
        code: &UpstreamCode,
        connected: &Connected,
    ) -> Result<BalanceAnswer, Fault> {
        let known = connected.connector.as_ref().map(|connector| connector.capabilities());
        if let Some(gap) = known.and_then(|known| known.balance_gap) {
            let at = self.now();
            let unless_since = Timestamp(at.0 - micros(gap));
            let ask = AskBalance { code: code.clone(), unless_since, at };
            if !self.commit(&self.work(), ask).await? {
                let seconds = gap.as_secs();
                let reason = format!("it is asked for the balance once in {seconds} s at most");
                return Ok(BalanceAnswer::Unavailable { reason });
            }
        }
        self.ask_balance(code, connected).await
    }

    /// Asks an upstream for our balance and keeps what it says.
    async fn ask_balance(
        &self,
        code: &UpstreamCode,
        connected: &Connected,
    ) -> Result<BalanceAnswer, Fault> {
        let Some(connector) = connected.connector.clone() else {
            return Ok(BalanceAnswer::NotOffered);
        };
        let answer = tokio::time::timeout(limits::TRY_WITHIN, connector.balance()).await;
        let reason = "no answer in time".to_owned();
        let answer = answer.unwrap_or(BalanceAnswer::Unavailable { reason });
        if let BalanceAnswer::Reported(balance) = answer {
            let known = self.blocking(Known::read).await?;
            let ours = known.ours(code, environment_of(connected), balance.currency());
            let (code, reported_at) = (code.clone(), self.now());
            let keep = KeepBalance(ReportedBalance { code, balance, ours, reported_at });
            self.commit(&self.work(), keep).await?;
        }
        Ok(answer)
    }

    /// A delivery took this from a float.
    pub(crate) fn note_spent(&self, code: &UpstreamCode, spent: Money) {
        let is_set_up = |connected: std::sync::Arc<Connected>| connected.row.is_some();
        if !self.inner.upstreams.get(code).is_some_and(is_set_up) {
            return;
        }
        let hour = self.now().0.div_euclid(HOUR_US);
        let mut spending = self.inner.upstreams.spending.lock();
        let minor = spending.0.entry((code.clone(), spent.currency(), hour)).or_default();
        *minor = minor.saturating_add(spent.minor());
    }

    /// Watches all floats until it is stopped.
    pub(crate) async fn watch_floats(self, stop: CancellationToken) {
        loop {
            if let Err(fault) = self.look_at_floats().await {
                tracing::warn!(%fault, "floats could not be looked at; looked at again soon");
            }
            let Some(()) = pause(&stop, limits::FLOATS_READ_EVERY).await else { break };
        }
        if let Err(fault) = self.store_spending().await {
            tracing::warn!(%fault, "what was spent at upstreams could not be stored");
        }
    }

    async fn look_at_floats(&self) -> Result<(), Fault> {
        self.store_spending().await?;
        for connected in self.inner.upstreams.set_up() {
            let Some(row) = &connected.row else { continue };
            let (at, code) = (self.now(), row.code.clone());
            let known = connected.connector.as_ref().map(|connector| connector.capabilities());
            let offered = known.filter(|known| known.tells_balance && row.removed_at.is_none());
            let Some(offered) = offered else { continue };
            let every = limits::BALANCE_ASKED_EVERY.max(offered.balance_gap.unwrap_or_default());
            let unless_since = Timestamp(at.0 - micros(every));
            if !connected.health.may_ask_balance(self.monotonic(), every) {
                continue;
            }
            let ask = AskBalance { code: code.clone(), unless_since, at };
            if self.commit(&self.work(), ask).await? {
                let engine = self.clone();
                // A slow upstream delays no other.
                self.inner.tasks.spawn(async move {
                    if let Err(fault) = engine.ask_balance(&code, &connected).await {
                        tracing::warn!(%fault, upstream = %code, "a balance could not be kept");
                    }
                });
            }
        }
        self.read_floats().await
    }

    /// Reads what is left everywhere, and acts on each crossing.
    async fn read_floats(&self) -> Result<(), Fault> {
        let set_up = self.inner.upstreams.set_up();
        if set_up.is_empty() {
            return Ok(());
        }
        let known = self.blocking(Known::read).await?;
        for connected in set_up {
            let Some(row) = connected.row.as_ref().filter(|row| row.removed_at.is_none()) else {
                continue;
            };
            let left = known.left(&row.code, row.environment);
            if let Some(left) = left {
                self.act_on_level(&connected, row, left).await?;
            }
            connected.health.set_float(left);
        }
        Ok(())
    }

    /// Pauses or resumes an upstream whose float crossed a level, and tells staff once.
    async fn act_on_level(
        &self,
        connected: &Connected,
        row: &store::StoredUpstream,
        left: Money,
    ) -> Result<(), Fault> {
        if row.float_currency.is_some_and(|currency| currency != left.currency()) {
            return Ok(());
        }
        let level = match left.minor() {
            minor if minor <= row.float_stop.unwrap_or(0) => "empty",
            minor if row.float_alert.is_some_and(|alert| minor <= alert) => "low",
            _ => "enough",
        };
        // What staff paused stays paused.
        let is_paused = row.paused.as_ref().is_some_and(|pause| pause.cause == PauseCause::Float);
        if (level == "empty" && row.paused.is_none()) || (level != "empty" && is_paused) {
            let paused = (level == "empty").then(|| store::Pause {
                cause: PauseCause::Float,
                reason: format!("float: {left} left"),
                by: String::new(),
            });
            self.set_paused_by_watch(row, paused).await?;
        }
        if !connected.health.is_new_level(level) {
            return Ok(());
        }
        let webhooks = self.float_alerts(row, level, left).await?;
        let note = NoteFloatLevel { code: row.code.clone(), level, webhooks };
        if self.commit(&self.work(), note).await? {
            self.inner.webhooks.due.notify_one();
            self.mail_staff(row, level, left)?;
        }
        connected.health.keep_level(level);
        Ok(())
    }

    async fn set_paused_by_watch(
        &self,
        row: &store::StoredUpstream,
        paused: Option<store::Pause>,
    ) -> Result<(), Fault> {
        let _lock = self.inner.settings_lock.lock().await;
        let upstream = store::StoredUpstream { paused, ..row.clone() };
        let set = store::SetUpstream { upstream, if_unused: false };
        // Changed by somebody else meanwhile: looked at again soon.
        self.commit(&self.work(), set).await?;
        self.reload()
    }

    async fn store_spending(&self) -> Result<(), Fault> {
        let spending = std::mem::take(&mut self.inner.upstreams.spending.lock().0);
        if spending.is_empty() {
            return Ok(());
        }
        let spent = spending.into_iter().map(|((code, currency, hour), minor)| HourSpent {
            code,
            hour,
            spent: Money::new(minor, currency),
        });
        self.commit(&self.work(), AddSpending(spent.collect())).await
    }
}

fn environment_of(connected: &Connected) -> Environment {
    connected.row.as_ref().map_or(Environment::Live, |row| row.environment)
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// In how many hours `left` is spent, if the hours to come are as the same hours of the last days
/// were on average. `spent`: by hour since 1970.
fn hours_left(left: i64, spent: &[(i64, i64)], now: i64) -> Option<i64> {
    let spent: HashMap<i64, i64> = spent.iter().copied().collect();
    let first = spent.keys().min().copied()?;
    // An installation of two days has two days to look at.
    let days = ((now - first) / 24).clamp(1, DAYS_LOOKED_AT);
    let mut left = left;
    for hour in 0..HOURS_MAX {
        if left <= 0 {
            return Some(hour);
        }
        let past = (1..=days).map(|day| now + hour.rem_euclid(24) - 24 * day);
        let sum: i64 = past.filter_map(|hour| spent.get(&hour)).sum();
        left = left.saturating_sub(sum / days);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_float_lasts_as_long_as_the_same_hours_of_earlier_days_let_it() {
        // 100 in each hour from 8 to 19, for a week; it is midnight.
        let now = 24 * 1_000;
        let busy = |day: i64| (8..20).map(move |hour| (now - 24 * day + hour, 100));
        let spent: Vec<(i64, i64)> = (1..=7).flat_map(busy).collect();
        assert_eq!(hours_left(250, &spent, now), Some(11), "8, 9 and 10 o'clock");
        assert_eq!(hours_left(1_300, &spent, now), Some(33), "the next day at 8");
        assert_eq!(hours_left(0, &spent, now), Some(0));
        assert_eq!(hours_left(250, &[], now), None);
        assert_eq!(hours_left(100_000, &spent, now), None, "not within two weeks");
    }
}

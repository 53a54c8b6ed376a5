//! Plans: on which terms they are sold, and months that are bought from an account's wallet.
//!
//! Invariants: months are bought with the live wallet's money and count in both environments, like
//! every subscription. Under one reference an account is charged once, and never by another price
//! or for another plan than it has agreed to.

use crate::access::Changed;
use crate::refusals::{ensure, invalid, not_booked, not_possible, too_large};
use crate::{Caller, Engine, Permit, limits};
use domain::refusal::{NoWallet, PurchaseUnknown, StaffRefused, StoreRefused};
use domain::{
    Account, AccountId, Currency, Environment, Journal, Money, PaymentKey, Permitted, Plan,
    PlanKind, PlanTerms, PostingDenied, Role, Subscription, Timestamp, act,
};
use serde_json::{Value, json};
use std::sync::Arc;
use store::{
    BoughtPlan, BuyPlan, DueRenewal, Fault, PlanPrice, Posting, SetPlanRenewal, SetPlanTerms,
};

/// Months of a plan that somebody wants to buy.
#[derive(Clone, Copy, Debug)]
pub struct PlanOrder<'a> {
    /// Which plan.
    pub kind: PlanKind,
    /// How many calendar months.
    pub months: u32,
    /// The wallet that pays.
    pub currency: Currency,
    /// The account is never charged again under it.
    pub reference: &'a str,
    /// What is left of another plan may end now.
    pub ends_another: bool,
    /// What the buyer was shown; none: whatever it is.
    pub agreed: Option<AgreedPlan>,
}

/// The facts that a buyer has agreed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgreedPlan {
    /// What it costs.
    pub price: Money,
    /// The end of the subscription before.
    pub until: Option<Timestamp>,
}

/// What buying months of a plan would do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanOffer {
    /// What it costs.
    pub price: Money,
    /// What the wallet can spend.
    pub available: Money,
    /// What the account has, running or not.
    pub before: Option<Subscription>,
    /// What it would have.
    pub after: Subscription,
    /// Another plan that is running, and whose rest would end.
    pub ends: Option<Subscription>,
}

/// Months that were bought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanBought {
    /// What was paid.
    pub price: Money,
    /// What the wallet can spend after it.
    pub available: Money,
    /// What the account has now.
    pub subscription: Subscription,
}

/// What is changed of a plan's terms; the rest stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PlanChange {
    /// Calls a minute.
    pub per_minute: Option<u32>,
    /// What a month costs in one currency.
    pub price: Option<PlanPrice>,
}

impl Engine {
    /// On which terms each plan is sold, as this node knows them.
    pub fn plan_terms(&self) -> Arc<Vec<PlanTerms>> {
        self.inner.snapshot.load().plans.clone()
    }

    /// A plan on its terms.
    pub fn plan(&self, kind: PlanKind) -> Plan {
        let terms = self.plan_terms();
        let plan = terms.iter().find(|terms| terms.kind == kind).map(PlanTerms::plan);
        // The store answers every plan, or none of them and a fault.
        plan.unwrap_or(Plan::new(kind, Plan::STARTER.per_minute()))
    }

    /// The calls a minute of an account without a plan: those of the first one.
    pub fn calls_without_plan(&self) -> u32 {
        self.plan(PlanKind::Starter).per_minute()
    }

    /// Changes a plan's terms; every node knows them at once. Refuses a blank name, a price or a
    /// number of calls that is not above zero, and a change of nothing.
    pub async fn set_plan_terms(
        &self,
        permit: Permit<act::SetCatalog>,
        kind: PlanKind,
        change: PlanChange,
    ) -> Result<PlanTerms, StaffRefused> {
        permit.by("Say who changes it.")?;
        let PlanChange { per_minute, price } = change;
        let is_empty = (per_minute, price) == (None, None);
        ensure(!is_empty, invalid("plan", "Give a price or calls a minute."))?;
        ensure(per_minute != Some(0), invalid("per_minute", "It must be more than zero."))?;
        let is_free = matches!(price, Some(PlanPrice::AMonth(price)) if !price.is_positive());
        ensure(!is_free, invalid("price", "The price must be more than zero."))?;
        let _lock = self.inner.settings_lock.lock().await;
        let before = self.stored_terms(kind)?;
        let mut after = before.clone();
        after.per_minute = per_minute.unwrap_or(after.per_minute);
        if let Some(price) = price {
            let (currency, new) = match price {
                PlanPrice::AMonth(price) => (price.currency(), Some(price)),
                PlanPrice::NotSold(currency) => (currency, None),
            };
            after.prices.retain(|price| price.currency() != currency);
            after.prices.extend(new);
        }
        let object = format!("plan {}", kind.code());
        let changed = Changed::new(object, shown(&before), shown(&after));
        let set = SetPlanTerms { kind, per_minute, price };
        self.or_unavailable(self.commit_act(&permit, set, changed).await)?;
        self.or_unavailable(self.reload())?;
        self.forget_accounts();
        self.stored_terms(kind).map_err(StaffRefused::from)
    }

    /// What buying months of a plan would do. Refuses what [`Engine::buy_plan`] does, but for a
    /// balance that is too low.
    pub fn plan_offer(
        &self,
        account: AccountId,
        kind: PlanKind,
        months: u32,
        currency: Currency,
    ) -> Result<PlanOffer, StaffRefused> {
        let account = self.account(account)?.ok_or(PurchaseUnknown)?;
        may_buy(&account)?;
        let message = format!("Give 1 to {} months.", limits::PLAN_MONTHS);
        ensure((1..=limits::PLAN_MONTHS).contains(&months), invalid("months", &message))?;
        let terms = self.stored_terms(kind)?;
        let (code, currency_code) = (kind.code(), currency.code());
        let because =
            format!("The plan {code} has no price in {currency_code}: it is not for sale.");
        ensure(terms.price(1, currency).is_some(), not_possible(because))?;
        let price = terms.price(months, currency).ok_or_else(too_large)?;
        let available = self.inner.store.available(account.id, Environment::Live, currency);
        let available = self.or_unavailable(available)?.ok_or(NoWallet)?;
        let before = account.subscription;
        let of_kind = before.filter(|before| before.plan.kind == kind);
        // What was agreed with the account stays.
        let agreed = of_kind.filter(|_| kind.is_agreed()).map(|before| before.plan);
        let plan = agreed.unwrap_or_else(|| terms.plan());
        let now = self.now();
        let after = Subscription::extended(of_kind, plan, months, now);
        let ends = before.filter(|before| before.until > now && before.plan.kind != kind);
        Ok(PlanOffer { price, available, before, after, ends })
    }

    /// Buys months of a plan for an account from its live wallet: they are added to what is left of
    /// the same plan. Refuses what is not for sale, an account that may not use real money, a
    /// balance that is too low, another plan that is running (unless it may end), a reference under
    /// which the account was charged before (`PaymentKnown`), and a blank name.
    pub async fn buy_plan(
        &self,
        permit: Permit<act::BuyPlan>,
        account: AccountId,
        order: PlanOrder<'_>,
    ) -> Result<PlanBought, StaffRefused> {
        permit.by("Say who buys it.")?;
        self.buy_months(&permit, account, order).await
    }

    /// Buys months of a plan for the caller's account. Refuses as [`Engine::buy_plan`] does, and if
    /// price or plan are not what the buyer was shown.
    pub async fn buy_own_plan(
        &self,
        permit: Permit<act::BuyPlan>,
        caller: &Caller,
        order: PlanOrder<'_>,
    ) -> Result<PlanBought, StaffRefused> {
        self.buy_months(&permit, caller.account, order).await
    }

    /// Says whether an account's plan is renewed by itself, month by month: from the wallet in this
    /// currency, or not at all. Refuses who may not buy, and a wallet that does not exist.
    pub async fn set_plan_renewal(
        &self,
        permit: Permit<act::BuyPlan>,
        account: AccountId,
        currency: Option<Currency>,
    ) -> Result<(), StaffRefused> {
        permit.by("Say who sets it.")?;
        self.set_renewal(&permit, account, currency).await
    }

    /// The same for the caller's account.
    pub async fn set_own_plan_renewal(
        &self,
        permit: Permit<act::BuyPlan>,
        caller: &Caller,
        currency: Option<Currency>,
    ) -> Result<(), StaffRefused> {
        self.set_renewal(&permit, caller.account, currency).await
    }

    async fn set_renewal(
        &self,
        permit: &Permit<act::BuyPlan>,
        id: AccountId,
        currency: Option<Currency>,
    ) -> Result<(), StaffRefused> {
        let account = self.account(id)?.ok_or(PurchaseUnknown)?;
        if let Some(currency) = currency {
            may_buy(&account)?;
            let wallet = self.inner.store.available(id, Environment::Live, currency);
            self.or_unavailable(wallet)?.ok_or(NoWallet)?;
        }
        let before = self.plan_renewal(id)?;
        let shown = |renewal: Option<Currency>| {
            let code = renewal.map(|currency| currency.code());
            json!({ "renewal": code })
        };
        let changed = Changed::new(format_args!("account {id}"), shown(before), shown(currency));
        let set = SetPlanRenewal { account: id, currency };
        Ok(self.or_unavailable(self.commit_act(permit, set, changed).await)?)
    }

    /// The wallet from which an account's plan is renewed by itself; `None`: it is not.
    pub fn plan_renewal(&self, account: AccountId) -> Result<Option<Currency>, StoreRefused> {
        self.or_unavailable(self.inner.store.plan_renewal(account))
    }

    /// Renews by a month the plans that end soon or have just ended, where their accounts want it.
    /// The end is the reference, so that of several nodes one renews; what cannot be paid is tried
    /// again the next time.
    pub(crate) async fn renew_due_plans(&self) -> Result<(), Fault> {
        let (permit, now) = (self.work(), self.now());
        let to = now.after(limits::PLAN_RENEWED_BEFORE);
        let from = now.before(limits::PLAN_RENEWED_AFTER);
        for due in self.inner.store.due_renewals(from, to)? {
            if let Err(why) = self.renew(&permit, due).await {
                tracing::info!(account = %due.account, ?why, "a plan is not renewed yet");
            }
        }
        Ok(())
    }

    async fn renew(&self, permit: &Permit<act::Work>, due: DueRenewal) -> Result<(), StaffRefused> {
        let DueRenewal { account, currency, until } = due;
        let subscription = self.account(account)?.and_then(|account| account.subscription);
        let Some(subscription) = subscription else { return Ok(()) };
        let kind = subscription.plan.kind;
        let price = self.plan_offer(account, kind, 1, currency)?.price;
        let order = PlanOrder {
            kind,
            months: 1,
            currency,
            reference: &format!("RENEWAL-{}", until.0),
            ends_another: false,
            // Whoever has bought months meanwhile needs none.
            agreed: Some(AgreedPlan { price, until: Some(until) }),
        };
        self.buy_months(permit, account, order).await.map(|_| ())
    }

    async fn buy_months<A: Permitted>(
        &self,
        permit: &Permit<A>,
        account: AccountId,
        order: PlanOrder<'_>,
    ) -> Result<PlanBought, StaffRefused> {
        let PlanOrder { kind, months, currency, ends_another, agreed, .. } = order;
        let payment = PaymentKey::plan(account, order.reference).ok_or_else(|| {
            invalid("reference", "A reference is 1 to 100 printable ASCII characters.")
        })?;
        let _lock = self.inner.settings_lock.lock().await;
        // Asked first: after the first time nothing else is as it was agreed to.
        let known = self.or_unavailable(self.inner.store.payment_owner(&payment))?;
        if let Some(owner) = known {
            return Err(not_booked(PostingDenied::Known(owner), currency));
        }
        let offer = self.plan_offer(account, kind, months, currency)?;
        let now = AgreedPlan { price: offer.price, until: offer.before.map(|s| s.until) };
        let is_agreed = agreed.is_none_or(|agreed| agreed == now);
        ensure(is_agreed, not_possible("Price or plan have changed meanwhile."))?;
        if let Some(running) = offer.ends.filter(|_| !ends_another) {
            let because = format!(
                "The plan {} is running, and what is left of it would end: say that it may.",
                running.plan.code()
            );
            return Err(not_possible(because).into());
        }
        let journal = Journal::plan(account, offer.price).ok_or_else(too_large)?;
        let (code, price) = (kind.code(), offer.price);
        let changed = Changed::new(
            format_args!("account {account}"),
            json!({
                "plan": offer.before.map(|s| s.plan.code()),
                "until": offer.before.map(|s| s.until.0),
            }),
            json!({
                "plan": code,
                "months": months,
                "price": price.to_string(),
                "reference": payment.reference(),
            }),
        );
        let note = format!("{code}, {months} months, {}", permit.maker());
        let posting = Posting { journal, account, payment, note, at: self.now() };
        let buy = BuyPlan { posting, plan: offer.after.plan, months, ends_another };
        let buy = self.recorded(permit, buy, [changed], |_| true);
        let written = self.or_unavailable(self.write(permit, buy, None).await)?;
        let BoughtPlan { available, subscription } =
            written.map_err(|why| not_booked(why, currency))?;
        self.forget_accounts();
        Ok(PlanBought { price, available: Money::new(available, currency), subscription })
    }

    /// A plan's terms as they are stored: a price counts for the next buyer.
    fn stored_terms(&self, kind: PlanKind) -> Result<PlanTerms, StoreRefused> {
        let terms = self.or_unavailable(self.inner.store.plan_terms())?;
        let found = terms.into_iter().find(|terms| terms.kind == kind);
        found.ok_or_else(|| self.unavailable(&Fault::Corrupt("a plan is gone".into())))
    }
}

/// Refuses who cannot have a plan, or may not use real money.
fn may_buy(account: &Account) -> Result<(), StaffRefused> {
    let because = match account.role {
        Role::House | Role::Customer => "Plans are for merchants.",
        Role::Merchant if !account.is_active => "The account is suspended.",
        Role::Merchant if account.approved_at.is_none() => {
            "The account is not approved for real money yet."
        }
        Role::Merchant => return Ok(()),
    };
    Err(not_possible(because).into())
}

/// Terms in the record of acts.
fn shown(terms: &PlanTerms) -> Value {
    let prices = terms.prices.iter().map(ToString::to_string).collect::<Vec<_>>();
    json!({ "per_minute": terms.per_minute, "prices": prices })
}

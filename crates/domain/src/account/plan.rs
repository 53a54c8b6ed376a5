//! Plans: what an account subscribes to, for how long, and on which terms.
//!
//! The terms are data that staff set; the plans themselves are these three (CONTRACT A-45). Not
//! here: what a plan's purchases cost (`catalog::pricing`). Invariant: a subscription that is
//! extended loses nothing of what is left, unless its owner has agreed to that.

use crate::clock::Timestamp;
use crate::money::{Currency, Money};
use crate::month::months_after;

/// Which plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PlanKind {
    /// The first one: who signs up has it.
    Starter,
    /// For those who sell more.
    Business,
    /// As agreed with one account.
    Enterprise,
}

// As stored and shown.
codes! {
    PlanKind {
        Starter => "starter",
        Business => "business",
        Enterprise => "enterprise",
    }
}

impl PlanKind {
    /// Whether its calls a minute are agreed with each account; otherwise all accounts on it have
    /// those of its terms.
    pub const fn is_agreed(self) -> bool {
        match self {
            PlanKind::Starter | PlanKind::Business => false,
            PlanKind::Enterprise => true,
        }
    }
}

/// What an account subscribes to; it determines the calls a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// Which one.
    pub kind: PlanKind,
    per_minute: u32,
}

impl Plan {
    /// Starter as a new installation has it (the seed's *Rate Limits*).
    pub const STARTER: Plan = Plan::new(PlanKind::Starter, 60);
    /// Business as a new installation has it (the seed's *Rate Limits*).
    pub const BUSINESS: Plan = Plan::new(PlanKind::Business, 120);

    /// A plan with so many calls a minute.
    pub const fn new(kind: PlanKind, per_minute: u32) -> Plan {
        Plan { kind, per_minute }
    }

    /// Calls a minute, per account and environment.
    pub const fn per_minute(self) -> u32 {
        self.per_minute
    }

    /// As stored and shown, without the limit.
    pub const fn code(self) -> &'static str {
        self.kind.code()
    }
}

/// On which terms a plan is sold now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanTerms {
    /// Which plan.
    pub kind: PlanKind,
    /// Calls a minute; of one that is agreed, where nothing else is said.
    pub per_minute: u32,
    /// What a month costs, once for each currency in which it is sold.
    pub prices: Vec<Money>,
}

impl PlanTerms {
    /// The plan on these terms.
    pub const fn plan(&self) -> Plan {
        Plan::new(self.kind, self.per_minute)
    }

    /// What so many months cost in a currency. `None`: it is not sold in this currency, or the sum
    /// is beyond every balance.
    pub fn price(&self, months: u32, currency: Currency) -> Option<Money> {
        let a_month = self.prices.iter().find(|price| price.currency() == currency)?;
        Some(Money::new(a_month.minor().checked_mul(i64::from(months))?, currency))
    }
}

/// The right to call the API until a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Determines the calls a minute.
    pub plan: Plan,
    /// Its end, exclusive.
    pub until: Timestamp,
    /// Its first moment, from which its months are counted.
    pub since: Timestamp,
}

/// The most months that a subscription is counted over: two hundred years.
const MONTHS_MAX: i64 = 2_400;

impl Subscription {
    /// A plan for so many calendar months from `now`; added to what is left of the subscription
    /// `before`, if anything is. Months are counted from the first day: a subscription that began
    /// on 31 January ends on the last of February, and a month later on 31 March.
    pub fn extended(
        before: Option<Subscription>,
        plan: Plan,
        months: u32,
        now: Timestamp,
    ) -> Subscription {
        let left = before.filter(|before| before.until > now);
        let Some(Subscription { until, since, .. }) = left else {
            return Subscription { plan, until: months_after(now, months.into()), since: now };
        };
        let passed = (0..MONTHS_MAX).find(|passed| months_after(since, *passed) >= until);
        // One that did not end after whole months is counted from its end on.
        let whole = passed.filter(|passed| months_after(since, *passed) == until);
        let (since, passed) = whole.map_or((until, 0), |passed| (since, passed));
        Subscription { plan, until: months_after(since, passed + i64::from(months)), since }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subscription_is_extended_by_calendar_months_from_its_first_day() {
        let at = |month: &str, day: i64| {
            let month: crate::month::Month = month.parse().unwrap();
            Timestamp(month.starts_at().0 + (day - 1) * 86_400_000_000 + 3_600_000_000)
        };
        let extended =
            |before, months, now| Subscription::extended(before, Plan::STARTER, months, now);
        let first = extended(None, 1, at("2026-01", 31));
        assert_eq!(first.until, at("2026-02", 28));
        // What is left stays, and the day comes back.
        let second = extended(Some(first), 1, at("2026-02", 10));
        assert_eq!(second.until, at("2026-03", 31));
        assert_eq!(extended(Some(second), 23, at("2026-02", 10)).until, at("2028-02", 29));
        // What has ended gives nothing, and begins anew.
        let late = extended(Some(second), 12, at("2026-04", 15));
        assert_eq!((late.since, late.until), (at("2026-04", 15), at("2027-04", 15)));
        // One of 30 days a month, as they were sold before: from its end on.
        let before = Subscription { until: at("2026-05", 30), since: at("2026-05", 30), ..first };
        assert_eq!(extended(Some(before), 1, at("2026-05", 1)).until, at("2026-06", 30));
        let before = Subscription { since: at("2026-01", 2), ..before };
        assert_eq!(extended(Some(before), 9, at("2026-05", 1)).until, at("2027-02", 28));
    }

    #[test]
    fn months_cost_what_a_month_costs_in_the_same_currency() {
        let terms = PlanTerms {
            kind: PlanKind::Business,
            per_minute: 90,
            prices: vec![Money::new(50_000, Currency::BDT), Money::new(i64::MAX, Currency::USD)],
        };
        assert_eq!(terms.price(3, Currency::BDT), Some(Money::new(150_000, Currency::BDT)));
        assert_eq!(terms.price(2, Currency::USD), None);
        assert_eq!(terms.price(1, Currency::from_code("ZWG").unwrap()), None);
        assert_eq!(terms.plan(), Plan::new(PlanKind::Business, 90));
    }
}

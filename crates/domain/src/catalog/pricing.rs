//! What a purchase costs its account and earns it: fee and commission by rule.
//!
//! Not here: the operators' own prices. Invariant: the same rules give the same price; it is fixed
//! when the money is held, stored, and never computed again (CONTRACT A-17).

use crate::account::{AccountId, Environment, Plan};
use crate::catalog::kind::Kind;
use crate::clock::Timestamp;
use crate::money::Money;

/// What somebody wants to buy, as far as price and route depend on it.
#[derive(Clone, Copy, Debug)]
pub struct PriceQuery<'a> {
    /// Who buys.
    pub account: AccountId,
    /// On which plan; none for a customer.
    pub plan: Option<Plan>,
    /// Where.
    pub environment: Environment,
    /// From whom: the operator's code.
    pub operator: &'a str,
    /// What.
    pub kind: Kind,
    /// For whom.
    pub recipient: &'a str,
    /// For how much.
    pub amount: Money,
    /// When.
    pub at: Timestamp,
}

/// What a rule sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Charge {
    /// What the account pays on top.
    Fee,
    /// What the account earns.
    Commission,
}

impl Charge {
    /// As stored.
    pub const fn code(self) -> &'static str {
        match self {
            Charge::Fee => "fee",
            Charge::Commission => "commission",
        }
    }

    /// Reads [`Charge::code`].
    pub fn from_code(code: &str) -> Option<Charge> {
        [Charge::Fee, Charge::Commission].into_iter().find(|c| c.code() == code)
    }
}

/// One rule: to whom and what it applies, and how much it makes. What is `None` applies to all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceRule {
    /// Which rule; the later one wins where two are equally specific.
    pub id: i64,
    /// Fee or commission.
    pub charge: Charge,
    /// One account.
    pub account: Option<AccountId>,
    /// One plan, by its code.
    pub plan: Option<String>,
    /// One operator, by its code.
    pub operator: Option<String>,
    /// One kind of purchase.
    pub kind: Option<Kind>,
    /// From this moment on.
    pub from: Option<Timestamp>,
    /// Before this moment.
    pub until: Option<Timestamp>,
    /// A fixed part; also fixes the currency that the rule is for.
    pub flat: Money,
    /// A share of the amount in millionths: 5,000 is 0.5 %.
    pub share_ppm: i64,
    /// Not less than this.
    pub least: Option<Money>,
    /// Not more than this.
    pub most: Option<Money>,
}

/// What a purchase costs on top and earns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// Paid with the amount.
    pub fee: Money,
    /// Earned at delivery.
    pub commission: Money,
}

/// Fee and commission of a purchase: for each, the most specific rule that applies (account before
/// plan before operator before kind; a dated rule before an undated one; then the later). No rule:
/// nothing. `None` on overflow.
pub fn price(rules: &[PriceRule], query: &PriceQuery<'_>) -> Option<Price> {
    let charge = |charge| match best(rules, charge, query) {
        Some(rule) => rule.apply(query.amount),
        None => Some(Money::zero(query.amount.currency())),
    };
    Some(Price { fee: charge(Charge::Fee)?, commission: charge(Charge::Commission)? })
}

fn best<'r>(
    rules: &'r [PriceRule],
    charge: Charge,
    query: &PriceQuery<'_>,
) -> Option<&'r PriceRule> {
    rules.iter().filter(|r| r.charge == charge && r.applies(query)).max_by_key(|r| r.rank())
}

impl PriceRule {
    fn applies(&self, query: &PriceQuery<'_>) -> bool {
        self.flat.currency() == query.amount.currency()
            && self.account.is_none_or(|a| a == query.account)
            && self.plan.as_deref().is_none_or(|p| query.plan.map(Plan::code) == Some(p))
            && self.operator.as_deref().is_none_or(|o| o == query.operator)
            && self.kind.is_none_or(|k| k == query.kind)
            && self.from.is_none_or(|from| from <= query.at)
            && self.until.is_none_or(|until| query.at < until)
    }

    const fn rank(&self) -> (bool, bool, bool, bool, bool, i64) {
        let is_dated = self.from.is_some() || self.until.is_some();
        (
            self.account.is_some(),
            self.plan.is_some(),
            self.operator.is_some(),
            self.kind.is_some(),
            is_dated,
            self.id,
        )
    }

    fn apply(&self, amount: Money) -> Option<Money> {
        let sum = self.flat.plus(amount.share(self.share_ppm)?)?;
        let at_least =
            self.least.map_or(sum, |least| if sum.minor() < least.minor() { least } else { sum });
        Some(
            self.most.map_or(at_least, |most| {
                if at_least.minor() > most.minor() { most } else { at_least }
            }),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::Environment;
    use crate::money::Currency;
    use proptest::prelude::*;

    const fn bdt(minor: i64) -> Money {
        Money::new(minor, Currency::BDT)
    }

    fn rule(id: i64, charge: Charge) -> PriceRule {
        PriceRule {
            id,
            charge,
            account: None,
            plan: None,
            operator: None,
            kind: None,
            from: None,
            until: None,
            flat: bdt(0),
            share_ppm: 0,
            least: None,
            most: None,
        }
    }

    fn query(kind: Kind, amount: i64) -> PriceQuery<'static> {
        PriceQuery {
            account: AccountId(7),
            plan: Some(Plan::Business),
            environment: Environment::Sandbox,
            operator: "GP",
            kind,
            recipient: "01712345678",
            amount: bdt(amount),
            at: Timestamp(1_000),
        }
    }

    fn price_of(rules: &[PriceRule], query: &PriceQuery<'_>) -> (i64, i64) {
        let price = price(rules, query).unwrap();
        (price.fee.minor(), price.commission.minor())
    }

    #[test]
    fn the_samples_of_the_seed() {
        let rules = [
            PriceRule { kind: Some(Kind::Recharge), flat: bdt(50), ..rule(1, Charge::Fee) },
            PriceRule { kind: Some(Kind::Recharge), flat: bdt(150), ..rule(2, Charge::Commission) },
            PriceRule { kind: Some(Kind::Offer), share_ppm: 5_000, ..rule(3, Charge::Fee) },
            PriceRule { kind: Some(Kind::Offer), share_ppm: 15_000, ..rule(4, Charge::Commission) },
        ];
        assert_eq!(price_of(&rules, &query(Kind::Recharge, 1_000)), (50, 150));
        assert_eq!(price_of(&rules, &query(Kind::Offer, 6_800)), (34, 102));
        assert_eq!(price_of(&rules, &query(Kind::Banking, 6_800)), (0, 0));
    }

    #[test]
    fn the_most_specific_rule_wins() {
        let fee = |id, flat| PriceRule { flat: bdt(flat), ..rule(id, Charge::Fee) };
        let mut rules = vec![fee(1, 1)];
        let mut check = |rule: PriceRule, expected| {
            rules.insert(0, rule);
            assert_eq!(price_of(&rules, &query(Kind::Recharge, 1_000)).0, expected);
        };
        check(fee(2, 2), 2);
        check(PriceRule { kind: Some(Kind::Offer), ..fee(3, 99) }, 2);
        check(
            PriceRule { from: Some(Timestamp(1_000)), until: Some(Timestamp(1_001)), ..fee(4, 4) },
            4,
        );
        check(PriceRule { until: Some(Timestamp(1_000)), ..fee(5, 99) }, 4);
        check(PriceRule { kind: Some(Kind::Recharge), ..fee(6, 6) }, 6);
        check(PriceRule { operator: Some("GP".into()), ..fee(7, 7) }, 7);
        check(PriceRule { operator: Some("RB".into()), ..fee(8, 99) }, 7);
        check(PriceRule { plan: Some("business".into()), ..fee(9, 9) }, 9);
        check(PriceRule { plan: Some("starter".into()), ..fee(10, 99) }, 9);
        check(PriceRule { account: Some(AccountId(7)), ..fee(11, 11) }, 11);
        check(PriceRule { account: Some(AccountId(8)), ..fee(12, 99) }, 11);
        check(
            PriceRule {
                flat: Money::new(99, Currency::USD),
                account: Some(AccountId(7)),
                ..rule(13, Charge::Fee)
            },
            11,
        );
    }

    #[test]
    fn flat_and_share_add_up_within_their_bounds() {
        let both = PriceRule {
            flat: bdt(100),
            share_ppm: 10_000,
            least: Some(bdt(150)),
            most: Some(bdt(300)),
            ..rule(1, Charge::Fee)
        };
        for (amount, fee) in
            [(1_000, 150), (5_000, 150), (10_000, 200), (20_000, 300), (90_000, 300)]
        {
            assert_eq!(
                price_of(std::slice::from_ref(&both), &query(Kind::Recharge, amount)).0,
                fee,
                "{amount}"
            );
        }
    }

    proptest! {
        /// No order of the rules changes a price.
        #[test]
        fn the_order_of_rules_does_not_matter(
            kinds in proptest::collection::vec((0_i64..500, 0..2_usize, 0..2_usize, any::<bool>()), 1..8),
            rotate in 0..8_usize,
        ) {
            let rules: Vec<PriceRule> = kinds.iter().enumerate().map(|(i, (flat, kind, operator, dated))| PriceRule {
                flat: bdt(*flat),
                kind: [None, Some(Kind::Recharge)][*kind],
                operator: [None, Some("GP".to_owned())][*operator].clone(),
                from: dated.then_some(Timestamp(0)),
                ..rule(i64::try_from(i).unwrap(), Charge::Fee)
            }).collect();
            let mut turned = rules.clone();
            turned.rotate_left(rotate % rules.len());
            let query = query(Kind::Recharge, 1_000);
            prop_assert_eq!(price(&rules, &query), price(&turned, &query));
        }
    }
}

//! Fee and commission of a purchase, by rules.
//!
//! Not here: the operators' own prices. Invariant: the same rules give the same price; it is fixed
//! and stored when the money is held, and never computed again (CONTRACT A-17).

use crate::account::plan::Plan;
use crate::account::{AccountId, Environment};
use crate::catalog::kind::Kind;
use crate::clock::Timestamp;
use crate::money::Money;

/// The parts of a purchase that its price and route depend on.
#[derive(Clone, Copy, Debug)]
pub struct PriceQuery<'a> {
    /// The account that buys.
    pub account: AccountId,
    /// The account's plan; none for a customer.
    pub plan: Option<Plan>,
    /// Only routes depend on it.
    pub environment: Environment,
    /// The operator's code.
    pub operator: &'a str,
    /// Recharge, offer, banking, bundle or bill.
    pub kind: Kind,
    /// The product's name, if it is bought by name. Only routes depend on it.
    pub product: Option<&'a str>,
    /// Only routes depend on it.
    pub recipient: &'a str,
    /// Without fee.
    pub amount: Money,
    /// The moment at which dated rules are compared.
    pub at: Timestamp,
}

/// The part of a price that a rule sets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PriceComponent {
    /// The account pays it on top of the amount.
    Fee,
    /// The account earns it.
    Commission,
}

codes! {
    PriceComponent {
        Fee => "fee",
        Commission => "commission",
    }
}

/// One rule: what it applies to, and its amount. A condition that is `None` is always met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PriceRule {
    /// Of equally specific rules, the one with the higher id wins.
    pub id: i64,
    /// Fee or commission.
    pub component: PriceComponent,
    /// For this account only.
    pub account: Option<AccountId>,
    /// For this plan only, by its code.
    pub plan: Option<String>,
    /// For this operator only, by its code.
    pub operator: Option<String>,
    /// For this kind of purchase only.
    pub kind: Option<Kind>,
    /// From this moment, inclusive.
    pub from: Option<Timestamp>,
    /// Until this moment, exclusive.
    pub until: Option<Timestamp>,
    /// The fixed part; its currency is the currency of the rule.
    pub flat: Money,
    /// The proportional part, in millionths of the amount: 5,000 is 0.5 %.
    pub share_ppm: i64,
    /// The lower bound of both parts together.
    pub min: Option<Money>,
    /// The upper bound of both parts together.
    pub max: Option<Money>,
}

/// Fee and commission of one purchase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// Paid with the amount.
    pub fee: Money,
    /// Earned at delivery.
    pub commission: Money,
}

/// Fee and commission of a purchase. Each comes from the most specific rule that applies: account
/// before plan before operator before kind, a dated rule before an undated one, then the higher id.
/// Without a rule it is zero. `None` on overflow.
pub fn price(rules: &[PriceRule], query: &PriceQuery<'_>) -> Option<Price> {
    let sum = |component| match best_rule(rules, component, query) {
        Some(rule) => rule.apply(query.amount),
        None => Some(Money::zero(query.amount.currency())),
    };
    Some(Price { fee: sum(PriceComponent::Fee)?, commission: sum(PriceComponent::Commission)? })
}

/// The rule that decides a component of a price: of those that apply, the most specific one. The
/// amount of the query counts for its currency only. `None`: nothing is paid, or earned.
pub fn best_rule<'r>(
    rules: &'r [PriceRule],
    component: PriceComponent,
    query: &PriceQuery<'_>,
) -> Option<&'r PriceRule> {
    rules.iter().filter(|r| r.component == component && r.applies(query)).max_by_key(|r| r.rank())
}

impl PriceRule {
    /// Whether two rules hold for the same purchases: a new one takes the place of the other.
    pub fn has_conditions_of(&self, other: &PriceRule) -> bool {
        self.component == other.component
            && self.account == other.account
            && self.plan == other.plan
            && self.operator == other.operator
            && self.kind == other.kind
            && self.from == other.from
            && self.until == other.until
            && self.flat.currency() == other.flat.currency()
    }

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
        let raised = self.min.filter(|min| sum.minor() < min.minor()).unwrap_or(sum);
        Some(self.max.filter(|max| raised.minor() > max.minor()).unwrap_or(raised))
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

    fn rule(id: i64, component: PriceComponent) -> PriceRule {
        PriceRule {
            id,
            component,
            account: None,
            plan: None,
            operator: None,
            kind: None,
            from: None,
            until: None,
            flat: bdt(0),
            share_ppm: 0,
            min: None,
            max: None,
        }
    }

    fn query(kind: Kind, amount: i64) -> PriceQuery<'static> {
        PriceQuery {
            account: AccountId(7),
            plan: Some(Plan::BUSINESS),
            environment: Environment::Sandbox,
            operator: "GP",
            kind,
            product: None,
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
            PriceRule { kind: Some(Kind::Recharge), flat: bdt(50), ..rule(1, PriceComponent::Fee) },
            PriceRule {
                kind: Some(Kind::Recharge),
                flat: bdt(150),
                ..rule(2, PriceComponent::Commission)
            },
            PriceRule { kind: Some(Kind::Offer), share_ppm: 5_000, ..rule(3, PriceComponent::Fee) },
            PriceRule {
                kind: Some(Kind::Offer),
                share_ppm: 15_000,
                ..rule(4, PriceComponent::Commission)
            },
        ];
        assert_eq!(price_of(&rules, &query(Kind::Recharge, 1_000)), (50, 150));
        assert_eq!(price_of(&rules, &query(Kind::Offer, 6_800)), (34, 102));
        assert_eq!(price_of(&rules, &query(Kind::Banking, 6_800)), (0, 0));
    }

    #[test]
    fn the_most_specific_rule_wins() {
        let fee = |id, flat| PriceRule { flat: bdt(flat), ..rule(id, PriceComponent::Fee) };
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
                ..rule(13, PriceComponent::Fee)
            },
            11,
        );
    }

    #[test]
    fn flat_and_share_add_up_within_their_bounds() {
        let both = PriceRule {
            flat: bdt(100),
            share_ppm: 10_000,
            min: Some(bdt(150)),
            max: Some(bdt(300)),
            ..rule(1, PriceComponent::Fee)
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
            kinds in proptest::collection::vec(
                (0_i64..500, any::<bool>(), any::<bool>(), any::<bool>()),
                1..8,
            ),
            rotate in 0..8_usize,
        ) {
            let rules: Vec<PriceRule> = (1..)
                .zip(kinds)
                .map(|(id, (flat, has_kind, has_operator, is_dated))| PriceRule {
                    flat: bdt(flat),
                    kind: has_kind.then_some(Kind::Recharge),
                    operator: has_operator.then(|| "GP".to_owned()),
                    from: is_dated.then_some(Timestamp(0)),
                    ..rule(id, PriceComponent::Fee)
                })
                .collect();
            let mut turned = rules.clone();
            turned.rotate_left(rotate % rules.len());
            let query = query(Kind::Recharge, 1_000);
            prop_assert_eq!(price(&rules, &query), price(&turned, &query));
        }
    }
}

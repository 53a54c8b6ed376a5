//! What is wrong with a catalog: rows that name something that is not there, or that cannot be
//! sold.
//!
//! Not here: which upstreams there are (the caller knows). Invariant: an empty answer means that
//! each row can be used.

use super::{AmountRange, Catalog};
use crate::account::Environment;
use crate::account::plan::PlanKind;
use crate::catalog::pricing::PriceRule;
use crate::catalog::product::{Pricing, Product};
use crate::catalog::routing::Route;
use crate::money::Currency;
use crate::upstream::UpstreamCode;
use std::collections::BTreeSet;

impl Catalog {
    /// One sentence for each fault, with the row that has it. `has_upstream` says whether orders of
    /// an environment can go to an upstream.
    pub fn faults(&self, has_upstream: &dyn Fn(Environment, &UpstreamCode) -> bool) -> Vec<String> {
        let mut faults = Vec::new();
        self.check_operators(&mut faults);
        for product in &self.products {
            self.check_product(product, &mut faults);
        }
        for rule in &self.prices {
            self.check_price(rule, &mut faults);
        }
        for route in &self.routes {
            self.check_route(route, has_upstream, &mut faults);
        }
        faults
    }

    fn check_operators(&self, faults: &mut Vec<String>) {
        let mut names = BTreeSet::new();
        for operator in &self.operators {
            let own = [operator.code.to_lowercase()];
            let aliases = operator.aliases.iter().map(|alias| alias.to_lowercase());
            for name in own.into_iter().chain(aliases).collect::<BTreeSet<_>>() {
                if !names.insert((operator.service.slug(), name.clone())) {
                    faults
                        .push(format!("operator {}: {name} is another one's name", operator.code));
                }
            }
            let Some(country) = self.country_of(operator) else {
                let text =
                    format!("operator {}: there is no country {}", operator.code, operator.country);
                faults.push(text);
                continue;
            };
            for range in [operator.prepaid, operator.postpaid].into_iter().flatten() {
                check_range(
                    &format!("operator {}", operator.code),
                    range,
                    country.currency,
                    faults,
                );
            }
        }
    }

    fn check_product(&self, product: &Product, faults: &mut Vec<String>) {
        let row = format!("product {:?}", product.name);
        let is_same = |other: &&Product| other.name.eq_ignore_ascii_case(&product.name);
        if self.products.iter().filter(is_same).count() > 1 {
            faults.push(format!("{row}: another product has this name"));
        }
        if self.operator_by_code(&product.operator).is_none() {
            faults.push(format!("{row}: there is no operator {}", product.operator));
        }
        if !self.categories.iter().any(|category| category.id == product.category) {
            faults.push(format!("{row}: its category is not there"));
        }
        match product.price {
            Pricing::Fixed(price) if !price.is_positive() => {
                faults.push(format!("{row}: its price is nothing to pay"));
            }
            Pricing::Fixed(_) => {}
            Pricing::Range(range) => check_range(&row, range, range.min.currency(), faults),
        }
    }

    fn check_price(&self, rule: &PriceRule, faults: &mut Vec<String>) {
        let row = format!("price {}", rule.id);
        if rule.plan.as_deref().is_some_and(|plan| PlanKind::from_code(plan).is_none()) {
            faults.push(format!("{row}: there is no such plan"));
        }
        let currency = rule.flat.currency();
        let parts = [rule.min, rule.max].into_iter().flatten();
        if parts.into_iter().any(|part| part.currency() != currency) {
            faults.push(format!("{row}: its parts are in different currencies"));
        }
        if rule.flat.minor() < 0 || !(0..=1_000_000).contains(&rule.share_ppm) {
            faults.push(format!("{row}: a flat part is not below zero, a share is 0 to 100 %"));
        }
        if let (Some(from), Some(until)) = (rule.from, rule.until)
            && from >= until
        {
            faults.push(format!("{row}: it ends before it begins"));
        }
        let Some(code) = &rule.operator else { return };
        match self.currencies_of(code) {
            None => faults.push(format!("{row}: there is no operator {code}")),
            Some(sold) if !sold.contains(&currency) => {
                let sold: Vec<&str> = sold.iter().map(|currency| currency.code()).collect();
                let (sold, currency) = (sold.join(", "), currency.code());
                faults.push(format!("{row}: {code} sells in {sold}, not in {currency}"));
            }
            Some(_) => {}
        }
    }

    /// The currencies in which an operator sells; none: there is no such operator.
    fn currencies_of(&self, code: &str) -> Option<Vec<Currency>> {
        let operator = self.operator_by_code(code)?;
        let own = self.country_of(operator).map(|country| country.currency);
        let products = self.products.iter().filter(|product| product.operator == code);
        Some(own.into_iter().chain(products.map(|product| product.price.currency())).collect())
    }

    fn check_route(
        &self,
        route: &Route,
        has_upstream: &dyn Fn(Environment, &UpstreamCode) -> bool,
        faults: &mut Vec<String>,
    ) {
        let row = format!("route {}", route.id);
        if let Some(code) = &route.operator
            && self.operator_by_code(code).is_none()
        {
            faults.push(format!("{row}: there is no operator {code}"));
        }
        if let Some(name) = &route.product {
            let product = self.products.iter().find(|product| product.name == *name);
            match product {
                None => faults.push(format!("{row}: there is no product {name:?}")),
                Some(product) => {
                    let is_other = |code: &String| *code != product.operator;
                    if route.operator.as_ref().is_some_and(is_other) {
                        let text = format!("{row}: {name:?} is a product of {}", product.operator);
                        faults.push(text);
                    }
                }
            }
        }
        if route.upstreams.is_empty() && !route.needs_approval {
            faults.push(format!("{row}: it leads nowhere; name an upstream, or let staff approve"));
        }
        let distinct: BTreeSet<&UpstreamCode> = route.upstreams.iter().collect();
        if distinct.len() < route.upstreams.len() {
            faults.push(format!("{row}: it names an upstream twice"));
        }
        for code in distinct {
            if *code != UpstreamCode::staff() && !has_upstream(route.environment, code) {
                let environment = route.environment.code();
                let text =
                    format!("{row}: there is no upstream {code} for the {environment} environment");
                faults.push(text);
            }
        }
    }
}

fn check_range(row: &str, range: AmountRange, currency: Currency, faults: &mut Vec<String>) {
    let AmountRange { min, max } = range;
    if min.currency() != currency || max.currency() != currency {
        faults.push(format!("{row}: its limits are not in {}", currency.code()));
    }
    if !min.is_positive() || min.minor() > max.minor() {
        faults.push(format!("{row}: its limits are above zero, the smaller one first"));
    }
}

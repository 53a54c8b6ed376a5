//! What is wrong with a catalog: rows that name something that is not there, that no database
//! takes, or that cannot be sold.
//!
//! Not here: which upstreams and accounts there are (the caller knows). Invariant: an empty answer
//! means that each row can be stored and used.

use super::{AmountRange, Catalog, Country, Operator};
use crate::account::plan::PlanKind;
use crate::account::{AccountId, Environment};
use crate::catalog::pricing::PriceRule;
use crate::catalog::product::{Category, Pricing, Product};
use crate::catalog::routing::Route;
use crate::money::Currency;
use crate::upstream::UpstreamCode;
use std::collections::BTreeSet;
use std::fmt;

/// The longest code of an operator: reports and addresses of pages repeat it.
const CODE_CHARS_MAX: usize = 32;
/// The longest name; it is one line of a list.
const NAME_CHARS_MAX: usize = 100;
/// The longest description; it is a paragraph or two of a page.
const TEXT_CHARS_MAX: usize = 2_000;
/// The longest number has 15 digits (E.164); a bill's reference may be longer.
const DIGITS_MAX: usize = 20;

/// Something that is wrong with one row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CatalogFault {
    /// The row: `route 7`, `operator GP`.
    pub row: String,
    /// What is wrong, for people.
    pub text: String,
}

impl fmt::Display for CatalogFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.row, self.text)
    }
}

/// What the rest of the installation says of what rows name.
pub struct CheckedAgainst<'a> {
    /// Why orders of an environment cannot go to an upstream, for people; none: they can.
    pub unfit_upstream: &'a dyn Fn(Environment, &UpstreamCode) -> Option<String>,
    /// The only currency in which an upstream takes orders; none: it is not known, or any.
    pub upstream_currency: &'a dyn Fn(&UpstreamCode) -> Option<Currency>,
    /// Whether there is an account of this number.
    pub has_account: &'a dyn Fn(AccountId) -> bool,
}

/// The faults that were found so far.
#[derive(Default)]
struct Faults(Vec<CatalogFault>);

impl Faults {
    fn add(&mut self, row: &str, text: impl Into<String>) {
        self.0.push(CatalogFault { row: row.to_owned(), text: text.into() });
    }

    fn add_if(&mut self, is_wrong: bool, row: &str, text: &str) {
        if is_wrong {
            self.add(row, text);
        }
    }

    /// A name, which a line shows.
    fn check_name(&mut self, row: &str, name: &str) {
        let is_wrong = name.trim().is_empty() || !is_text(name, NAME_CHARS_MAX);
        self.add_if(is_wrong, row, "its name is 1 to 100 characters, and not blank");
    }

    /// Further text, which may be empty.
    fn check_text(&mut self, row: &str, text: &str, what: &str) {
        if !is_text(text, TEXT_CHARS_MAX) {
            self.add(row, format!("its {what} is at most 2000 characters, none that controls"));
        }
    }

    fn check_logo(&mut self, row: &str, logo: &str) {
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
        let is_name = logo.len() <= NAME_CHARS_MAX && logo.bytes().all(is_plain);
        let is_wrong = !is_name || logo.starts_with('.');
        let text = "its logo is the name of a file: letters, digits, -, _ and dots";
        self.add_if(is_wrong, row, text);
    }

    fn check_range(&mut self, row: &str, range: AmountRange, currency: Currency) {
        let AmountRange { min, max } = range;
        if min.currency() != currency || max.currency() != currency {
            self.add(row, format!("its limits are not in {}", currency.code()));
        }
        let is_wrong = !min.is_positive() || min.minor() > max.minor();
        self.add_if(is_wrong, row, "its limits are above zero, the smaller one first");
    }
}

/// No longer than this, without characters that control a terminal or that a database refuses.
fn is_text(text: &str, chars_max: usize) -> bool {
    let is_plain = |c: char| !c.is_control() || c == '\n' && chars_max == TEXT_CHARS_MAX;
    text.chars().count() <= chars_max && text.chars().all(is_plain)
}

fn is_digits(text: &str, length_max: usize) -> bool {
    (1..=length_max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

impl Catalog {
    /// Each fault, with the row that has it.
    pub fn faults(&self, against: &CheckedAgainst<'_>) -> Vec<CatalogFault> {
        let mut faults = Faults::default();
        for country in &self.countries {
            check_country(country, &mut faults);
        }
        self.check_names_of_operators(&mut faults);
        for operator in &self.operators {
            self.check_operator(operator, &mut faults);
        }
        for category in &self.categories {
            self.check_category(category, &mut faults);
        }
        for product in &self.products {
            self.check_product(product, &mut faults);
        }
        for rule in &self.prices {
            self.check_price(rule, against, &mut faults);
        }
        for route in &self.routes {
            self.check_route(route, against, &mut faults);
        }
        faults.0
    }

    fn check_names_of_operators(&self, faults: &mut Faults) {
        let (mut codes, mut names) = (BTreeSet::new(), BTreeSet::new());
        for operator in &self.operators {
            let row = operator_row(operator);
            let own = operator.code.to_lowercase();
            let is_taken = !codes.insert(own.clone());
            faults.add_if(is_taken, &row, "another operator has this code");
            let aliases = operator.aliases.iter().map(|alias| alias.to_lowercase());
            for name in std::iter::once(own).chain(aliases).collect::<BTreeSet<_>>() {
                if !names.insert((operator.service.slug(), name.clone())) {
                    faults.add(&row, format!("{name} is another one's name"));
                }
            }
        }
    }

    fn check_operator(&self, operator: &Operator, faults: &mut Faults) {
        let row = operator_row(operator);
        let is_of_code =
            |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
        let is_code = (1..=CODE_CHARS_MAX).contains(&operator.code.len())
            && operator.code.bytes().all(is_of_code);
        faults.add_if(!is_code, &row, "a code is 1 to 32 of A to Z, 0 to 9, - and _");
        faults.check_name(&row, &operator.name);
        faults.check_logo(&row, &operator.logo);
        let is_name = |alias: &String| !alias.trim().is_empty() && is_text(alias, NAME_CHARS_MAX);
        let are_names = operator.aliases.iter().all(is_name);
        faults.add_if(!are_names, &row, "another name of it is 1 to 100 characters, not blank");
        let are_prefixes = operator.prefixes.iter().all(|prefix| is_digits(prefix, DIGITS_MAX));
        faults.add_if(!are_prefixes, &row, "a prefix is digits, such as 017");
        let Some(country) = self.country_of(operator) else {
            faults.add(&row, format!("there is no country {}", operator.country));
            return;
        };
        for range in [operator.prepaid, operator.postpaid].into_iter().flatten() {
            faults.check_range(&row, range, country.currency);
        }
    }

    fn check_category(&self, category: &Category, faults: &mut Faults) {
        let row = category_row(category);
        faults.add_if(category.id.0 <= 0, &row, "its number is above zero");
        faults.check_name(&row, &category.name);
        faults.check_text(&row, &category.description, "description");
        faults.check_logo(&row, &category.logo);
        let is_same = |other: &&Category| other.name.eq_ignore_ascii_case(&category.name);
        let is_twice = self.categories.iter().filter(is_same).count() > 1;
        faults.add_if(is_twice, &row, "another category has this name");
    }

    fn check_product(&self, product: &Product, faults: &mut Faults) {
        let row = product_row(product);
        faults.add_if(product.id.0 <= 0, &row, "its number is above zero");
        faults.check_name(&row, &product.name);
        faults.check_logo(&row, &product.logo);
        for (what, text) in [
            ("title", &product.title),
            ("description", &product.description),
            ("name of its reference", &product.ref_name),
        ] {
            faults.check_text(&row, text, what);
        }
        let is_same = |other: &&Product| other.name.eq_ignore_ascii_case(&product.name);
        let is_twice = self.products.iter().filter(is_same).count() > 1;
        faults.add_if(is_twice, &row, "another product has this name");
        if self.operator_by_code(&product.operator).is_none() {
            faults.add(&row, format!("there is no operator {}", product.operator));
        }
        let is_category = self.category(product.category).is_some();
        faults.add_if(!is_category, &row, "its category is not there");
        match product.price {
            Pricing::Fixed(price) => {
                faults.add_if(!price.is_positive(), &row, "its price is nothing to pay");
            }
            Pricing::Range(range) => faults.check_range(&row, range, range.min.currency()),
        }
    }

    fn check_price(&self, rule: &PriceRule, against: &CheckedAgainst<'_>, faults: &mut Faults) {
        let row = price_row(rule);
        check_account(rule.account, &row, against, faults);
        let is_plan = rule.plan.as_deref().is_none_or(|plan| PlanKind::from_code(plan).is_some());
        faults.add_if(!is_plan, &row, "a plan is starter, business or enterprise");
        let currency = rule.flat.currency();
        let bounds = [rule.min, rule.max].into_iter().flatten();
        let is_one = bounds.clone().all(|bound| bound.currency() == currency);
        faults.add_if(!is_one, &row, "its parts are in different currencies");
        let is_share = rule.flat.minor() >= 0 && (0..=1_000_000).contains(&rule.share_ppm);
        let text = "a flat part is not below zero, a share is 0 to 100 %";
        faults.add_if(!is_share, &row, text);
        let is_below = bounds.clone().any(|bound| bound.minor() < 0);
        faults.add_if(is_below, &row, "its least and its most are not below zero");
        if let (Some(least), Some(most)) = (rule.min, rule.max) {
            let text = format!("its least, {}, is above its most, {}", least.exact(), most.exact());
            faults.add_if(least.minor() > most.minor(), &row, &text);
        }
        if let (Some(from), Some(until)) = (rule.from, rule.until) {
            faults.add_if(from >= until, &row, "it ends before it begins");
        }
        let Some(code) = &rule.operator else { return };
        match self.currencies_of(code) {
            None => faults.add(&row, format!("there is no operator {code}")),
            Some(sold) if !sold.contains(&currency) => {
                let sold: Vec<&str> = sold.iter().map(|currency| currency.code()).collect();
                let (sold, currency) = (sold.join(", "), currency.code());
                faults.add(&row, format!("{code} sells in {sold}, not in {currency}"));
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

    /// The currencies of what a route is for; none: it is for more than one operator.
    fn currencies_of_route(&self, route: &Route) -> Option<Vec<Currency>> {
        match &route.product {
            Some(name) => Some(vec![self.product_by_name(name)?.price.currency()]),
            None => self.currencies_of(route.operator.as_deref()?),
        }
    }

    fn check_route(&self, route: &Route, against: &CheckedAgainst<'_>, faults: &mut Faults) {
        let row = route_row(route);
        check_account(route.account, &row, against, faults);
        let is_end = route.recipient_ends.as_deref().is_none_or(|end| is_digits(end, DIGITS_MAX));
        faults.add_if(!is_end, &row, "what a recipient ends in is 1 to 20 digits");
        if let Some(code) = &route.operator
            && self.operator_by_code(code).is_none()
        {
            faults.add(&row, format!("there is no operator {code}"));
        }
        if let Some(name) = &route.product {
            match self.product_by_name(name) {
                None => faults.add(&row, format!("there is no product {name:?}")),
                Some(product) => {
                    let is_other = |code: &String| *code != product.operator;
                    if route.operator.as_ref().is_some_and(is_other) {
                        faults.add(&row, format!("{name:?} is a product of {}", product.operator));
                    }
                }
            }
        }
        let is_nowhere = route.upstreams.is_empty() && !route.needs_approval;
        let text = "it leads nowhere; name an upstream, or let staff approve";
        faults.add_if(is_nowhere, &row, text);
        let distinct: BTreeSet<&UpstreamCode> = route.upstreams.iter().collect();
        let is_twice = distinct.len() < route.upstreams.len();
        faults.add_if(is_twice, &row, "it names an upstream twice");
        for code in distinct.into_iter().filter(|code| **code != UpstreamCode::staff()) {
            if let Some(why) = (against.unfit_upstream)(route.environment, code) {
                faults.add(&row, why);
            }
            let Some(wanted) = (against.upstream_currency)(code) else { continue };
            let sold = self.currencies_of_route(route).filter(|sold| !sold.contains(&wanted));
            if let Some(sold) = sold {
                let sold: Vec<&str> = sold.iter().map(|currency| currency.code()).collect();
                let (sold, wanted) = (sold.join(", "), wanted.code());
                faults.add(&row, format!("it sells in {sold}, and {code} takes only {wanted}"));
            }
        }
    }
}

/// The rows of a catalog as faults name them.
pub fn rows_of(catalog: &Catalog) -> BTreeSet<String> {
    let countries = catalog.countries.iter().map(country_row);
    let operators = catalog.operators.iter().map(operator_row);
    let categories = catalog.categories.iter().map(category_row);
    let products = catalog.products.iter().map(product_row);
    let prices = catalog.prices.iter().map(price_row);
    let routes = catalog.routes.iter().map(route_row);
    let first = countries.chain(operators).chain(categories);
    first.chain(products).chain(prices).chain(routes).collect()
}

fn country_row(country: &Country) -> String {
    format!("country {}", country.code)
}

fn category_row(category: &Category) -> String {
    format!("category {:?}", category.name)
}

fn price_row(rule: &PriceRule) -> String {
    format!("price {}", rule.id)
}

fn route_row(route: &Route) -> String {
    format!("route {}", route.id)
}

fn operator_row(operator: &Operator) -> String {
    format!("operator {}", operator.code)
}

fn product_row(product: &Product) -> String {
    format!("product {:?}", product.name)
}

fn check_account(
    account: Option<AccountId>,
    row: &str,
    against: &CheckedAgainst<'_>,
    faults: &mut Faults,
) {
    if let Some(account) = account.filter(|account| !(against.has_account)(*account)) {
        faults.add(row, format!("there is no account {account}"));
    }
}

fn check_country(country: &Country, faults: &mut Faults) {
    let row = country_row(country);
    let is_code = country.code.len() == 2 && country.code.bytes().all(|b| b.is_ascii_uppercase());
    faults.add_if(!is_code, &row, "a code is two letters of ISO 3166, such as BD");
    faults.check_name(&row, &country.name);
    let numbering = &country.numbering;
    let begins = |part: &str| is_digits(part.trim(), DIGITS_MAX);
    let is_numbering = is_digits(&numbering.calling_code, 3)
        && (numbering.trunk.is_empty() || is_digits(&numbering.trunk, 3))
        && (1..=DIGITS_MAX).contains(&numbering.length)
        && (numbering.begins.is_empty() || numbering.begins.split(',').all(begins));
    faults.add_if(!is_numbering, &row, "its numbering is of digits, and of a length of 1 to 20");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::number::Numbering;
    use crate::catalog::product::CategoryId;
    use crate::catalog::{PriceRule, Service};
    use crate::money::Money;
    use crate::{OfferForm, PriceComponent};

    fn sound() -> Catalog {
        let numbering = Numbering {
            calling_code: "880".into(),
            trunk: "0".into(),
            length: 10,
            begins: "13,17".into(),
        };
        let bdt = |minor| Money::new(minor, Currency::BDT);
        let country = Country {
            code: "BD".into(),
            name: "Bangladesh".into(),
            currency: Currency::BDT,
            numbering,
        };
        let operator = Operator {
            id: 1,
            code: "GP".into(),
            aliases: vec!["grameenphone".into()],
            name: "Grameenphone".into(),
            country: "BD".into(),
            service: Service::MobileRecharge,
            logo: "gp-1_a.png".into(),
            prefixes: vec!["017".into()],
            prepaid: Some(AmountRange { min: bdt(1_000), max: bdt(50_000) }),
            postpaid: None,
            offers: Some(OfferForm::Ticket),
            is_active: true,
        };
        let category = Category {
            id: CategoryId(1),
            name: "Airtime".into(),
            description: "Two\nlines".into(),
            logo: String::new(),
        };
        let price = PriceRule {
            id: 3,
            component: PriceComponent::Fee,
            account: Some(AccountId(2)),
            plan: None,
            operator: Some("GP".into()),
            kind: None,
            from: None,
            until: None,
            flat: bdt(0),
            share_ppm: 10_000,
            min: Some(bdt(100)),
            max: Some(bdt(100)),
        };
        let route = Route {
            id: 4,
            environment: Environment::Live,
            operator: Some("GP".into()),
            kind: None,
            product: None,
            account: None,
            recipient_ends: Some("105".into()),
            upstreams: vec![UpstreamCode::new("real")],
            needs_approval: false,
        };
        Catalog {
            countries: vec![country],
            operators: vec![operator],
            categories: vec![category],
            products: Vec::new(),
            prices: vec![price],
            routes: vec![route],
        }
    }

    fn faults(change: impl FnOnce(&mut Catalog)) -> String {
        let mut catalog = sound();
        change(&mut catalog);
        let unfit = |_: Environment, code: &UpstreamCode| {
            (!["real", "dollars"].contains(&code.as_str()))
                .then(|| format!("there is no upstream {code}"))
        };
        let against = CheckedAgainst {
            unfit_upstream: &unfit,
            upstream_currency: &|code| (code.as_str() == "dollars").then_some(Currency::USD),
            has_account: &|id| id == AccountId(2),
        };
        let faults = catalog.faults(&against);
        faults.iter().map(CatalogFault::to_string).collect::<Vec<_>>().join("; ")
    }

    type Change = fn(&mut Catalog);

    /// Whatever a file or a verb may name, the fault is a sentence that names the row.
    #[test]
    fn each_wrong_value_is_a_fault_of_its_row() {
        assert_eq!(faults(|_| {}), "");
        let wrong: [(Change, &str); 23] = [
            (
                |c| c.routes[0].upstreams = vec![UpstreamCode::new("dollars")],
                "route 4: it sells in BDT, and dollars takes only USD",
            ),
            (|c| c.routes[0].account = Some(AccountId(99)), "route 4: there is no account 99"),
            (|c| c.routes[0].recipient_ends = Some("abc".into()), "route 4: what a recipient"),
            (|c| c.routes[0].recipient_ends = Some(String::new()), "route 4: what a recipient"),
            (|c| c.routes[0].upstreams = vec![UpstreamCode::new("x")], "no upstream x"),
            (|c| c.routes[0].upstreams.clear(), "route 4: it leads nowhere"),
            (|c| c.prices[0].account = Some(AccountId(99)), "price 3: there is no account 99"),
            (|c| c.prices[0].max = Some(Money::new(50, Currency::BDT)), "1.00, is above its most"),
            (|c| c.prices[0].min = Some(Money::new(-1, Currency::BDT)), "not below zero"),
            (|c| c.prices[0].plan = Some("gold".into()), "starter, business or enterprise"),
            (|c| c.operators[0].code = "G P".into(), "operator G P: a code is 1 to 32"),
            (|c| c.operators[0].code = "gp".into(), "a code is 1 to 32"),
            (|c| c.operators[0].code = "X".repeat(33), "a code is 1 to 32"),
            (|c| c.operators[0].name = "  ".into(), "operator GP: its name is 1 to 100"),
            (|c| c.operators[0].name = "x".repeat(101), "operator GP: its name is 1 to 100"),
            (|c| c.operators[0].logo = "../../etc/passwd".into(), "operator GP: its logo"),
            (|c| c.operators[0].prefixes = vec!["abc".into()], "operator GP: a prefix is digits"),
            (|c| c.operators[0].aliases = vec![String::new()], "operator GP: another name"),
            (|c| c.operators.push(c.operators[0].clone()), "another operator has this code"),
            (|c| c.categories[0].name = String::new(), "category \"\": its name is 1 to 100"),
            (|c| c.categories[0].id = CategoryId(0), "its number is above zero"),
            (|c| c.categories[0].description = "\0".into(), "its description is at most"),
            (|c| c.countries[0].numbering.length = 0, "country BD: its numbering"),
        ];
        for (change, says) in wrong {
            let found = faults(change);
            assert!(found.contains(says), "{says:?}: {found:?}");
        }
    }
}

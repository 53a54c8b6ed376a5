//! The filters of the list of purchases, as the address has them.

use super::super::common::{moment, moment_to, query};
use crate::parts::{Field, Filter, Filters, Select, SelectOption, Zone, format};
use crate::view::View;
use crate::words::Words;
use domain::{Catalog, Kind, Service, State};
use engine::PurchaseFilter;
use serde::Deserialize;

/// The query of the list; empty: not set.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    state: String,
    operator: String,
    kind: String,
    number: String,
    reference: String,
    from: String,
    to: String,
    /// Only what is older than this id.
    pub(super) before: String,
}

/// What a choice of states is called, its words, its states.
type States = (&'static str, &'static str, &'static [State]);

const STATES: [States; 7] = [
    ("success", "state.delivered", &[State::Delivered]),
    ("processing", "state.sent", &[State::Sent, State::InDoubt, State::WithStaff]),
    ("pending", "state.held", &[State::Quoted, State::Awaiting, State::Held]),
    ("failed", "state.failed", &[State::Failed]),
    ("rejected", "state.rejected", &[State::Rejected]),
    ("reversed", "state.refunded", &[State::Refunded]),
    (
        "open",
        "transactions.open",
        &[
            State::Quoted,
            State::Awaiting,
            State::Held,
            State::Sent,
            State::InDoubt,
            State::WithStaff,
        ],
    ),
];

const KINDS: [(Kind, &str); 3] = [
    (Kind::Recharge, "kind.recharge"),
    (Kind::Offer, "kind.offer"),
    (Kind::Banking, "kind.banking"),
];

impl Asked {
    /// The address of the list with these filters, and `more`.
    pub(super) fn address(&self, path: &str, more: &[(&str, &str)]) -> String {
        let mut pairs = self.pairs().to_vec();
        pairs.extend(more);
        format!("{path}{}", query(&pairs))
    }

    fn pairs(&self) -> [(&str, &str); 7] {
        [
            ("state", &self.state),
            ("operator", &self.operator),
            ("kind", &self.kind),
            ("number", &self.number),
            ("reference", &self.reference),
            ("from", &self.from),
            ("to", &self.to),
        ]
    }

    pub(super) fn is_set(&self) -> bool {
        self.pairs().iter().any(|(_, value)| !value.is_empty())
    }

    /// The filter, or the names of the fields that cannot be read.
    pub(super) fn filter(
        &self,
        catalog: &Catalog,
        zone: Zone,
    ) -> Result<PurchaseFilter, Vec<&'static str>> {
        let text = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let states = STATES.iter().find(|(code, ..)| *code == self.state);
        let mut wrong = Vec::new();
        let mut time = |name, read: Result<_, ()>| {
            read.unwrap_or_else(|()| {
                wrong.push(name);
                None
            })
        };
        let since = time("from", moment(&self.from, zone));
        let until = time("to", moment_to(&self.to, zone));
        let number = format::latin_digits(&self.number);
        let national = catalog.countries.iter().find_map(|c| c.numbering.national(&number).ok());
        let filter = PurchaseFilter {
            states: states.map_or_else(Vec::new, |(.., states)| states.to_vec()),
            operator: text(&self.operator).map(|name| {
                let known = catalog.operator_once_sold(&Service::ALL, &name);
                known.map_or(name, |operator| operator.code.clone())
            }),
            kind: Kind::from_code(&self.kind),
            recipient: national.or_else(|| text(&number)),
            reference: text(&self.reference),
            since,
            until,
        };
        if wrong.is_empty() { Ok(filter) } else { Err(wrong) }
    }

    /// The form, with a chip for each filter that is set.
    pub(super) fn form(
        &self,
        view: &View,
        catalog: &Catalog,
        zone: Zone,
        wrong: &[&str],
    ) -> Filters {
        let words = view.words;
        let path = view.here("/transactions");
        let all = || SelectOption::new("", words.t("transactions.all"));
        let mut states = vec![all()];
        states.extend(STATES.iter().map(|(code, key, _)| SelectOption::new(code, words.t(key))));
        let mut kinds = vec![all()];
        kinds.extend(KINDS.iter().map(|(kind, key)| SelectOption::new(kind.code(), words.t(key))));
        let mut operators = vec![all()];
        let sold =
            catalog.operators.iter().filter(|o| super::super::common::is_sold_here(o.service));
        operators.extend(sold.map(|o| SelectOption::new(&o.code, &o.name)));
        let select = |name, key, options, chosen: &str| Select {
            name,
            label: words.t(key).to_owned(),
            options,
            chosen: chosen.to_owned(),
            error: String::new(),
        };
        let field = |name: &'static str, key, value: &str| {
            let error = if wrong.contains(&name) { words.t("transactions.time-wrong") } else { "" };
            Field::new(name, words.t(key)).optional().value(value).error(error)
        };
        let hint = words.with("transactions.time-hint", &[("zone", &zone.name)]);
        Filters {
            words,
            action: path.clone(),
            selects: vec![
                select("state", "transactions.state", states, &self.state),
                select("operator", "transactions.operator", operators, &self.operator),
                select("kind", "transactions.kind", kinds, &self.kind),
            ],
            fields: vec![
                field("number", "transactions.number", &self.number).inputmode("tel"),
                field("reference", "transactions.reference", &self.reference),
                field("from", "transactions.from", &self.from).hint(&hint),
                field("to", "transactions.to", &self.to).hint(&hint),
            ],
            set: self.chips(words, &path, catalog),
        }
    }

    fn chips(&self, words: Words, path: &str, catalog: &Catalog) -> Vec<Filter> {
        let mut chips = Vec::new();
        for (name, value) in self.pairs().into_iter().filter(|(_, value)| !value.is_empty()) {
            let others: Vec<_> = self.pairs().into_iter().filter(|(n, _)| *n != name).collect();
            let shown = match name {
                "state" => STATES.iter().find(|s| s.0 == value).map(|s| words.t(s.1).to_owned()),
                "kind" => {
                    let kind = KINDS.iter().find(|(kind, _)| kind.code() == value);
                    kind.map(|(_, key)| words.t(key).to_owned())
                }
                "operator" => catalog.operator_by_code(value).map(|o| o.name.clone()),
                _ => None,
            };
            let label = words.t(&format!("transactions.{name}")).to_owned();
            chips.push(Filter {
                label: format!("{label}: {}", shown.as_deref().unwrap_or(value)),
                without: format!("{path}{}", query(&others)),
            });
        }
        chips
    }
}

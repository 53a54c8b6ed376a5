//! The other side of a file: reads the calls that it describes, and answers them from its cases.
//!
//! Used by `saldo simulate generic`, so that every file brings its own simulator. Not here: what
//! becomes of an order (the simulator decides).

use super::cases;
use super::file::{CaseStep, FileCase, ReplyForm, Take, Unit, Want};
use super::judge::minor;
use super::panel::{Additions, CASE_START, Panel};
use super::request::ReadyCall;
use super::template::Template;
use super::values::AtStart;
use domain::money::decimals;
use domain::{AttemptRef, Money, Timestamp};
use serde_json::Value;
use std::collections::BTreeMap;

/// A panel that is played by its own file.
pub(crate) struct ServedPanel {
    panel: Panel,
}

/// What a call asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ServedCall {
    /// To sell.
    Submit(ServedOrder),
    /// How an order stands: by our reference, or by the panel's.
    Query {
        attempt: Option<AttemptRef>,
        /// As it arrived.
        reference: Option<String>,
        id: Option<String>,
    },
    /// A call that buys nothing and goes on; of an order as far as it says one.
    Prepare(ServedOrder),
    Login,
    Balance,
}

/// An order as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ServedOrder {
    pub(crate) attempt: AttemptRef,
    /// The attempt's, as it was sent.
    pub(crate) reference: String,
    /// As it was sent: perhaps with its country code.
    pub(crate) recipient: String,
    pub(crate) amount: Money,
    /// Our code for it.
    pub(crate) operator: String,
}

/// A request as it arrived.
pub(crate) struct Arrived<'a> {
    pub(crate) method: &'a str,
    pub(crate) path: &'a str,
    pub(crate) query: &'a str,
    pub(crate) headers: &'a [(String, String)],
    pub(crate) body: &'a [u8],
}

/// What a reply tells.
pub(crate) struct ReplyFacts<'a> {
    pub(crate) order: &'a ServedOrder,
    pub(crate) id: &'a str,
}

/// An answer of the panel.
pub(crate) struct ServedReply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl ServedPanel {
    /// Reads a file; refused as when it is added.
    pub(crate) fn load(text: &str) -> Result<ServedPanel, String> {
        let panel = Panel::load(text, Additions::default())?;
        let report = cases::run(&panel);
        match report.failed.is_empty() {
            true => Ok(ServedPanel { panel }),
            false => Err(report.failed.join("; ")),
        }
    }

    /// The currency of its float.
    pub(crate) const fn currency(&self) -> domain::Currency {
        self.panel.currency
    }

    /// What a call asks for; none: it is none of the file's, or its values cannot be read.
    pub(crate) fn read(&self, arrived: &Arrived<'_>) -> Option<ServedCall> {
        let calls = [
            ("submit", Some(&self.panel.submit)),
            ("query", self.panel.query.as_ref()),
            ("prepare", self.panel.prepare.as_ref()),
            ("login", self.panel.login.as_ref()),
            ("balance", self.panel.balance.as_ref()),
        ];
        calls.into_iter().find_map(|(name, call)| {
            let found = call?.found(arrived)?;
            match name {
                "submit" => self.order(&found).map(ServedCall::Submit),
                "query" => Some(ServedCall::Query {
                    attempt: found.get("reference").and_then(|text| self.panel.attempt_of(text)),
                    reference: found.get("reference").cloned(),
                    id: found.get("id").cloned(),
                }),
                "prepare" => {
                    let order = self.order(&found).unwrap_or_else(|| self.nobody(&found));
                    Some(ServedCall::Prepare(order))
                }
                "login" => Some(ServedCall::Login),
                _ => Some(ServedCall::Balance),
            }
        })
    }

    /// What a call says of an order that it does not name.
    fn nobody(&self, found: &BTreeMap<String, String>) -> ServedOrder {
        let text = |name: &str| found.get(name).cloned().unwrap_or_default();
        ServedOrder {
            attempt: CASE_START.attempt,
            reference: text("reference"),
            recipient: text("recipient"),
            amount: Money::zero(self.panel.currency),
            operator: String::new(),
        }
    }

    fn order(&self, found: &BTreeMap<String, String>) -> Option<ServedOrder> {
        let currency = self.panel.currency;
        let unit = self.panel.file.amount.unit;
        let amount = minor(found.get("amount")?, unit, decimals(currency))?;
        let theirs = found.get("map.operator").or_else(|| found.get("operator"));
        let map = self.panel.file.map.get("operator");
        let ours = map.and_then(|map| map.iter().find(|(_, name)| Some(*name) == theirs));
        let operator = ours.map(|(ours, _)| ours.clone()).or_else(|| theirs.cloned());
        let reference = found.get("reference")?.clone();
        Some(ServedOrder {
            attempt: self.panel.attempt_of(&reference)?,
            reference,
            recipient: found.get("recipient")?.clone(),
            amount: Money::new(amount, currency),
            operator: operator.unwrap_or_default(),
        })
    }

    /// The reference of an attempt that started at this time.
    pub(crate) fn reference_of(&self, attempt: AttemptRef, started_at: Timestamp) -> String {
        self.panel.reference_of(&AtStart { attempt, started_at }).unwrap_or_default()
    }

    /// The answer of the file's case with this meaning, facts of this order; none: it has no case.
    pub(crate) fn reply(
        &self,
        step: CaseStep,
        want: Want,
        facts: &ReplyFacts<'_>,
    ) -> Option<ServedReply> {
        let is_it =
            |case: &&FileCase| case.step == step && case.want == want && case.after.is_none();
        let case = self.panel.file.cases.iter().find(is_it)?;
        let reply = case.reply.as_ref()?;
        let (call, form) = match step {
            CaseStep::Prepare => (self.panel.prepare.as_ref()?, self.panel.file.prepare.as_ref()?),
            CaseStep::Submit => (&self.panel.submit, &self.panel.file.submit),
            CaseStep::Query => (self.panel.query.as_ref()?, self.panel.file.query.as_ref()?),
        };
        let unit = form.echo.amount_unit.unwrap_or(self.panel.file.amount.unit);
        let amount = match unit {
            Unit::Major => facts.order.amount.exact(),
            Unit::Minor => facts.order.amount.minor().to_string(),
        };
        let reference = &facts.order.reference;
        let values = [
            (form.echo.reference.as_deref(), reference.as_str()),
            (form.echo.recipient.as_deref(), facts.order.recipient.as_str()),
            (form.echo.amount.as_deref(), amount.as_str()),
            (Some("id"), facts.id),
        ];
        let mut body = cases::with_reference(&reply.body, reference);
        for (name, value) in values {
            if let Some(name) = name {
                body = call.with_value(&body, name, value).unwrap_or(body);
            }
        }
        Some(ServedReply { status: reply.status, body })
    }

    /// A token that is valid for an hour.
    pub(crate) fn log_in(&self, token: &str) -> Option<ServedReply> {
        let form = self.panel.file.login.as_ref()?;
        let places = [(form.token.as_deref()?, token), (form.lifetime.as_deref()?, "3600")];
        Some(ServedReply { status: 200, body: document(form.reply, &places) })
    }

    /// What is left of our money.
    pub(crate) fn balance(&self, left: Money) -> Option<ServedReply> {
        let form = self.panel.file.balance.as_ref()?;
        let text = match form.unit.unwrap_or(Unit::Major) {
            Unit::Major => left.exact(),
            Unit::Minor => left.minor().to_string(),
        };
        let place = match form.take.get("amount") {
            Some(Take::At(place)) => place.as_str(),
            Some(Take::Inside(_)) => return None,
            None => "",
        };
        Some(ServedReply { status: 200, body: document(form.reply, &[(place, text.as_str())]) })
    }
}

/// A document with these texts at these places.
fn document(form: ReplyForm, places: &[(&str, &str)]) -> String {
    match form {
        ReplyForm::Json => {
            let mut root = Value::Object(serde_json::Map::new());
            for (place, text) in places.iter().filter(|(place, _)| place.starts_with('/')) {
                let mut at = &mut root;
                for step in place.split('/').skip(1) {
                    if !at.is_object() {
                        *at = Value::Object(serde_json::Map::new());
                    }
                    at = &mut at[step];
                }
                *at = Value::String((*text).to_owned());
            }
            root.to_string()
        }
        ReplyForm::Xml => {
            let mut text = String::new();
            for (place, value) in places {
                let open: String = place.split('/').map(|step| format!("<{step}>")).collect();
                let close: String =
                    place.split('/').rev().map(|step| format!("</{step}>")).collect();
                text.push_str(&format!("{open}{value}{close}"));
            }
            text
        }
        ReplyForm::Form => {
            let mut text = url::form_urlencoded::Serializer::new(String::new());
            text.extend_pairs(places);
            text.finish()
        }
        ReplyForm::Text => places.iter().map(|(_, value)| *value).collect(),
    }
}

impl ReadyCall {
    /// The values of a call that arrived, if it is this one.
    fn found(&self, arrived: &Arrived<'_>) -> Option<BTreeMap<String, String>> {
        let mut found = BTreeMap::new();
        if self.method_name() != arrived.method {
            return None;
        }
        // Whatever stands before the file's own path belongs to the address.
        let path = self.path_text();
        let pattern = format!("{}$", path.pattern().trim_start_matches('^'));
        gather(&pattern, arrived.path, &mut found)?;
        let pairs: Vec<(String, String)> =
            url::form_urlencoded::parse(arrived.query.as_bytes()).into_owned().collect();
        for (name, text) in self.query_texts() {
            let value = pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
            gather(&text.pattern(), value?, &mut found)?;
        }
        for (name, text) in self.header_texts() {
            let mut headers = arrived.headers.iter();
            let value = headers.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v);
            gather(&text.pattern(), value?, &mut found)?;
        }
        let body = std::str::from_utf8(arrived.body).ok()?;
        for (text, value) in self.body_texts(body)? {
            gather(&text.pattern(), &value, &mut found)?;
        }
        Some(found)
    }

    /// The body with another text where `name` is taken from; none: it is not there.
    fn with_value(&self, body: &str, name: &str, value: &str) -> Option<String> {
        if let Some(line) = self.line_regex() {
            let range = line.captures(body)?.name(name)?.range();
            let is_empty = range.is_empty();
            return (!is_empty)
                .then(|| format!("{}{value}{}", &body[..range.start], &body[range.end..]));
        }
        let Take::At(place) = self.take_of(name)? else { return None };
        match self.reply_form() {
            ReplyForm::Json => {
                let mut json: Value = serde_json::from_str(body).ok()?;
                let at = json.pointer_mut(place)?;
                *at = match at {
                    Value::Number(_) => serde_json::from_str(value).ok()?,
                    Value::Null
                    | Value::Bool(_)
                    | Value::String(_)
                    | Value::Array(_)
                    | Value::Object(_) => Value::String(value.to_owned()),
                };
                Some(json.to_string())
            }
            ReplyForm::Xml => {
                let tag = place.rsplit('/').next()?;
                let (open, close) = (format!("<{tag}>"), format!("</{tag}>"));
                let start = body.find(&open)? + open.len();
                let end = start + body[start..].find(&close)?;
                Some(format!("{}{value}{}", &body[..start], &body[end..]))
            }
            ReplyForm::Form => {
                let pairs = url::form_urlencoded::parse(body.as_bytes()).into_owned();
                let mut text = url::form_urlencoded::Serializer::new(String::new());
                for (key, old) in pairs {
                    let new = if key == *place { value.to_owned() } else { old };
                    text.append_pair(&key, &new);
                }
                Some(text.finish())
            }
            ReplyForm::Text => None,
        }
    }
}

/// The named places of a text in a value that was written by it.
fn gather(pattern: &str, value: &str, found: &mut BTreeMap<String, String>) -> Option<()> {
    let regex = super::judge::compiled(pattern).ok()?;
    let captures = regex.captures(value)?;
    for name in regex.capture_names().flatten() {
        if let Some(text) = captures.name(name) {
            found.insert(Template::place_name(name), text.as_str().to_owned());
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::super::request::WireCall;
    use super::super::values::OrderValues;
    use super::*;

    const FILES: [&str; 4] = [
        include_str!("../../../../../docs/upstreams/panel-json.toml"),
        include_str!("../../../../../docs/upstreams/panel-text.toml"),
        include_str!("../../../../../docs/upstreams/panel-xml.toml"),
        include_str!("../../../../../docs/upstreams/irecharge.toml"),
    ];

    fn arrived(wire: &WireCall) -> (String, String, Vec<(String, String)>) {
        let headers = wire.headers.iter().map(|h| (h.name.clone(), h.value.clone()));
        let query = wire.url.query().unwrap_or_default().to_owned();
        (wire.url.path().to_owned(), query, headers.collect())
    }

    /// What the connector writes, the file's own simulator reads back.
    #[test]
    fn a_file_understands_its_own_calls() {
        for text in FILES {
            let served = ServedPanel::load(text).unwrap();
            let secrets = served.panel.file.secrets.names.iter();
            let secrets = secrets.map(|name| (name.clone(), "s3cret".to_owned())).collect();
            let panel = Panel::load(text, Additions { secrets, ..Additions::default() }).unwrap();
            let order = cases::order(&panel).unwrap();
            let at = order.started_at;
            let mut values = OrderValues::of(&panel, &order, at).unwrap();
            values.put("token", "token".to_owned());
            let read = |call: &ReadyCall| {
                let wire = call.write(&values).unwrap();
                let (path, query, headers) = arrived(&wire);
                let method = call.method_name();
                let (path, query, headers) = (path.as_str(), query.as_str(), &headers[..]);
                served.read(&Arrived { method, path, query, headers, body: &wire.body })
            };
            let Some(ServedCall::Submit(sold)) = read(&panel.submit) else { panic!("{text}") };
            assert_eq!(sold.attempt, order.attempt);
            assert_eq!(sold.amount, order.amount);
            assert_eq!(sold.operator, order.operator);
            assert!(sold.recipient.ends_with(order.recipient.trim_start_matches('0')));
            let asked = read(panel.query.as_ref().unwrap());
            let attempt = Some(order.attempt);
            let reference = Some(sold.reference.clone());
            assert_eq!(asked, Some(ServedCall::Query { attempt, reference, id: None }));
            let attempt = AttemptRef { number: 2, ..order.attempt };
            let other = ServedOrder {
                attempt,
                reference: served.reference_of(attempt, at),
                amount: Money::new(7700, panel.currency),
                ..sold
            };
            let facts = ReplyFacts { order: &other, id: "991" };
            let reply = served.reply(CaseStep::Query, Want::Delivered, &facts).unwrap();
            assert!(reply.body.contains("77"), "{}", reply.body);
            assert!(!reply.body.contains("S1042-1") && !reply.body.contains("S1042x1"));
        }
    }
}

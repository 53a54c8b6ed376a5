//! Writes an order as a call of the panel.
//!
//! Not here: sending it (`mod.rs`). Invariants: a value that is missing or does not fit stops the
//! call before anything is sent; amounts are written from minor units; one attempt gives one
//! reference for ever.

use super::file::{
    AmountForm, BodyForm, CallForm, Method, RecipientStyle, ReplyForm, SignForm, Unit,
};
use super::judge::{Judge, Sent, Step, minor};
use super::panel::{Panel, duration};
use super::read::{Fields, Unreadable, fields};
use super::sign::Signature;
use super::template::{Spot, Template, Unfit, Values};
use domain::money::decimals;
use domain::{Order, Timestamp};
use regex::Regex;
use reqwest::Url;
use std::collections::BTreeMap;
use std::time::Duration;

/// A call, written out.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct WireCall {
    pub(super) method: Method,
    pub(super) url: Url,
    pub(super) headers: Vec<Header>,
    pub(super) body: Vec<u8>,
    pub(super) timeout: Duration,
}

/// One header of a call.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: String,
    pub(super) value: String,
}

/// A call of the file, its texts read.
#[derive(Clone, Debug)]
pub(super) struct ReadyCall {
    method: Method,
    base: Url,
    path: Template,
    query: Vec<Named>,
    headers: Vec<Named>,
    body: ReadyBody,
    timeout: Duration,
    sign: Option<Signature>,
    reply: ReplyForm,
    take: BTreeMap<String, super::file::Take>,
    line: Option<Regex>,
    pub(super) judge: Judge,
}

/// A text with a name: a header, a field.
#[derive(Clone, Debug)]
pub(super) struct Named {
    pub(super) name: String,
    pub(super) text: Template,
}

/// A body whose texts are read.
#[derive(Clone, Debug)]
enum ReadyBody {
    Empty,
    Json(ReadyJson),
    Form(Vec<Named>),
    Xml(Template),
    Text(Template),
}

/// A JSON document with places.
#[derive(Clone, Debug)]
enum ReadyJson {
    Text(Template),
    /// Written as it is: a number, `true`.
    Literal(String),
    List(Vec<ReadyJson>),
    Object(BTreeMap<String, ReadyJson>),
}

/// A panel needs no longer for one call; nothing waits longer.
const TIMEOUT_MAX: Duration = Duration::from_secs(120);

impl ReadyCall {
    /// Reads the texts of a call. The signature is the file's unless the call has its own.
    pub(super) fn of(
        step: Step,
        form: &CallForm,
        base: &Url,
        sign: Option<&SignForm>,
        unit: Unit,
    ) -> Result<ReadyCall, String> {
        let text = |error: Unfit| error.to_string();
        let base = match &form.url {
            Some(url) => Url::parse(url).map_err(|error| format!("url {url:?}: {error}"))?,
            None => base.clone(),
        };
        let timeout = form.timeout.as_deref().map_or(Ok(Duration::from_secs(20)), duration)?;
        if timeout.is_zero() || timeout > TIMEOUT_MAX {
            return Err(format!("a timeout is between 1 and {} seconds", TIMEOUT_MAX.as_secs()));
        }
        let line = form.take_regex.as_ref().map(|take| take.line.as_str());
        if line.is_some() != (form.reply == ReplyForm::Text) {
            return Err("take_regex belongs to reply = \"text\", and that needs it".to_owned());
        }
        if line.is_some_and(|line| !line.starts_with('^') || !line.ends_with('$')) {
            return Err("take_regex.line is anchored at both ends: ^…$".to_owned());
        }
        if form.reply == ReplyForm::Text && !form.take.is_empty() {
            return Err("a text reply is taken apart by take_regex alone".to_owned());
        }
        Ok(ReadyCall {
            method: form.method,
            base,
            path: Template::parse(&form.path).map_err(text)?,
            query: named(&form.query).map_err(text)?,
            headers: named(&form.headers).map_err(text)?,
            body: form.body.as_ref().map_or(Ok(ReadyBody::Empty), ReadyBody::of).map_err(text)?,
            timeout,
            sign: form.sign.as_ref().or(sign).map(Signature::of).transpose().map_err(text)?,
            reply: form.reply,
            take: form.take.clone(),
            line: line.map(super::judge::compiled).transpose()?,
            judge: Judge::of(step, form, unit)?,
        })
    }

    /// The names that a reply can give values.
    pub(super) fn taken(&self) -> Vec<String> {
        let groups = self.line.iter().flat_map(|line| line.capture_names().flatten());
        self.take.keys().cloned().chain(groups.map(str::to_owned)).collect()
    }

    /// `GET` or `POST`.
    pub(super) const fn method_name(&self) -> &'static str {
        match self.method {
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }

    /// The text of its path.
    pub(super) const fn path_text(&self) -> &Template {
        &self.path
    }

    /// The texts of its query.
    pub(super) fn query_texts(&self) -> impl Iterator<Item = (&str, &Template)> {
        self.query.iter().map(|named| (named.name.as_str(), &named.text))
    }

    /// The texts of its headers.
    pub(super) fn header_texts(&self) -> impl Iterator<Item = (&str, &Template)> {
        self.headers.iter().map(|named| (named.name.as_str(), &named.text))
    }

    /// The texts of its body with the values of a body that arrived; none: it has another form.
    pub(super) fn body_texts(&self, body: &str) -> Option<Vec<(&Template, String)>> {
        let mut found = Vec::new();
        match &self.body {
            ReadyBody::Empty => {}
            ReadyBody::Xml(text) | ReadyBody::Text(text) => found.push((text, body.to_owned())),
            ReadyBody::Form(fields) => {
                let pairs: Vec<(String, String)> =
                    url::form_urlencoded::parse(body.as_bytes()).into_owned().collect();
                for named in fields {
                    let (_, value) = pairs.iter().find(|(name, _)| *name == named.name)?;
                    found.push((&named.text, value.clone()));
                }
            }
            ReadyBody::Json(json) => json.found(&serde_json::from_str(body).ok()?, &mut found)?,
        }
        Some(found)
    }

    /// Where a value of a reply is.
    pub(super) fn take_of(&self, name: &str) -> Option<&super::file::Take> {
        self.take.get(name)
    }

    /// How a text reply is taken apart.
    pub(super) const fn line_regex(&self) -> Option<&Regex> {
        self.line.as_ref()
    }

    /// How its replies are written.
    pub(super) const fn reply_form(&self) -> ReplyForm {
        self.reply
    }

    /// Where it goes.
    pub(super) fn host(&self) -> Option<&str> {
        self.base.host_str()
    }

    /// Whether it goes over TLS.
    pub(super) fn is_https(&self) -> bool {
        self.base.scheme() == "https"
    }

    /// Sends it elsewhere than the file says; for tests and for an address given at the set-up.
    pub(super) fn with_base(&mut self, from: &Url, to: &Url) {
        if self.base == *from {
            self.base = to.clone();
        }
    }

    /// All texts in which a secret may stand, and then those in which none may.
    pub(super) fn texts(&self) -> (Vec<&Template>, Vec<&Template>) {
        let mut open: Vec<&Template> =
            self.query.iter().chain(&self.headers).map(|n| &n.text).collect();
        self.body.texts(&mut open);
        if let Some(sign) = &self.sign {
            open.extend(sign.templates());
        }
        (open, vec![&self.path])
    }

    /// Whether the call itself uses this name.
    pub(super) fn uses(&self, name: &str) -> bool {
        let (open, closed) = self.texts();
        open.into_iter().chain(closed).any(|text| text.places().any(|place| place.name == name))
    }

    /// The values of a reply.
    pub(super) fn read(&self, body: &[u8]) -> Result<Fields, Unreadable> {
        fields(self.reply, &self.take, self.line.as_ref(), body)
    }

    /// The call with the values of an order.
    pub(super) fn write(&self, values: &OrderValues<'_>) -> Result<WireCall, Unfit> {
        let mut values = values.clone();
        // A signature over the body is made after it, any other before it.
        let is_over_body = self.sign.as_ref().is_some_and(|sign| {
            sign.templates().any(|text| text.places().any(|place| place.name == "body"))
        });
        if let Some(sign) = self.sign.as_ref().filter(|_| !is_over_body)
            && self.uses("sign")
        {
            let signature = sign.sign(&values)?;
            values.more.insert("sign".to_owned(), signature);
        }
        let body = self.body.write(&values)?;
        if let Some(sign) = self.sign.as_ref().filter(|_| is_over_body) {
            values.more.insert("body".to_owned(), body.clone());
            let signature = sign.sign(&values)?;
            values.more.insert("sign".to_owned(), signature);
        }
        let mut url = self.base.clone();
        let path = self.path.render(&values, Spot::Path)?;
        url.set_path(&format!(
            "{}/{}",
            url.path().trim_end_matches('/'),
            path.trim_start_matches('/')
        ));
        if !self.query.is_empty() {
            let mut query = url.query_pairs_mut();
            for named in &self.query {
                query.append_pair(&named.name, &named.text.render(&values, Spot::Line)?);
            }
        }
        let mut headers = Vec::new();
        for named in &self.headers {
            let value = named.text.render(&values, Spot::Header)?;
            headers.push(Header { name: named.name.clone(), value });
        }
        let is_typed = self.headers.iter().any(|h| h.name.eq_ignore_ascii_case("content-type"));
        if let Some(kind) = self.body.content_type().filter(|_| !is_typed) {
            headers.push(Header { name: "Content-Type".to_owned(), value: kind.to_owned() });
        }
        let body = body.into_bytes();
        Ok(WireCall { method: self.method, url, headers, body, timeout: self.timeout })
    }
}

/// Reads texts by name.
pub(super) fn named(texts: &BTreeMap<String, String>) -> Result<Vec<Named>, Unfit> {
    let read = |(name, text): (&String, &String)| {
        Ok(Named { name: name.clone(), text: Template::parse(text)? })
    };
    texts.iter().map(read).collect()
}

impl ReadyBody {
    fn of(form: &BodyForm) -> Result<ReadyBody, Unfit> {
        Ok(match form {
            BodyForm::Json(table) => ReadyBody::Json(ReadyJson::object(table)?),
            BodyForm::Form(texts) => ReadyBody::Form(named(texts)?),
            BodyForm::Xml(text) => ReadyBody::Xml(Template::parse(text)?),
            BodyForm::Text(text) => ReadyBody::Text(Template::parse(text)?),
        })
    }

    const fn content_type(&self) -> Option<&'static str> {
        match self {
            ReadyBody::Empty => None,
            ReadyBody::Json(_) => Some("application/json"),
            ReadyBody::Form(_) => Some("application/x-www-form-urlencoded"),
            ReadyBody::Xml(_) => Some("application/xml"),
            ReadyBody::Text(_) => Some("text/plain; charset=utf-8"),
        }
    }

    fn texts<'a>(&'a self, all: &mut Vec<&'a Template>) {
        match self {
            ReadyBody::Empty => {}
            ReadyBody::Json(json) => json.texts(all),
            ReadyBody::Form(fields) => all.extend(fields.iter().map(|named| &named.text)),
            ReadyBody::Xml(text) | ReadyBody::Text(text) => all.push(text),
        }
    }

    fn write(&self, values: &dyn Values) -> Result<String, Unfit> {
        match self {
            ReadyBody::Empty => Ok(String::new()),
            ReadyBody::Json(json) => json.write(values),
            ReadyBody::Xml(text) => text.render(values, Spot::Xml),
            ReadyBody::Text(text) => text.render(values, Spot::Line),
            ReadyBody::Form(fields) => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                for named in fields {
                    form.append_pair(&named.name, &named.text.render(values, Spot::Line)?);
                }
                Ok(form.finish())
            }
        }
    }
}

impl ReadyJson {
    fn of(value: &toml::Value) -> Result<ReadyJson, Unfit> {
        match value {
            toml::Value::String(text) => Template::parse(text).map(ReadyJson::Text),
            toml::Value::Integer(number) => Ok(ReadyJson::Literal(number.to_string())),
            toml::Value::Boolean(is) => Ok(ReadyJson::Literal(is.to_string())),
            toml::Value::Array(items) => {
                items.iter().map(ReadyJson::of).collect::<Result<_, _>>().map(ReadyJson::List)
            }
            toml::Value::Table(table) => ReadyJson::object(table),
            toml::Value::Float(_) | toml::Value::Datetime(_) => {
                Err(Unfit::Malformed("write numbers with a point and dates as texts".to_owned()))
            }
        }
    }

    fn object(table: &toml::Table) -> Result<ReadyJson, Unfit> {
        let member =
            |(name, value): (&String, &toml::Value)| Ok((name.clone(), ReadyJson::of(value)?));
        table.iter().map(member).collect::<Result<_, _>>().map(ReadyJson::Object)
    }

    fn found<'a>(
        &'a self,
        value: &serde_json::Value,
        found: &mut Vec<(&'a Template, String)>,
    ) -> Option<()> {
        match self {
            ReadyJson::Literal(_) => {}
            ReadyJson::Text(text) => {
                let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                found.push((text, value));
            }
            ReadyJson::List(items) => {
                for (item, value) in items.iter().zip(value.as_array()?) {
                    item.found(value, found)?;
                }
            }
            ReadyJson::Object(members) => {
                for (name, member) in members {
                    member.found(value.get(name)?, found)?;
                }
            }
        }
        Some(())
    }

    fn texts<'a>(&'a self, all: &mut Vec<&'a Template>) {
        match self {
            ReadyJson::Text(text) => all.push(text),
            ReadyJson::Literal(_) => {}
            ReadyJson::List(items) => items.iter().for_each(|item| item.texts(all)),
            ReadyJson::Object(members) => members.values().for_each(|value| value.texts(all)),
        }
    }

    fn write(&self, values: &dyn Values) -> Result<String, Unfit> {
        let quoted = |text: &str| {
            serde_json::to_string(text).map_err(|error| Unfit::Unwritable(error.to_string()))
        };
        match self {
            ReadyJson::Text(text) if text.is_bare_number() => text.render(values, Spot::Plain),
            ReadyJson::Text(text) => quoted(&text.render(values, Spot::Plain)?),
            ReadyJson::Literal(text) => Ok(text.clone()),
            ReadyJson::List(items) => {
                let items = items.iter().map(|item| item.write(values));
                Ok(format!("[{}]", items.collect::<Result<Vec<_>, _>>()?.join(",")))
            }
            ReadyJson::Object(members) => {
                let member = |(name, value): (&String, &ReadyJson)| {
                    Ok(format!("{}:{}", quoted(name)?, value.write(values)?))
                };
                let members = members.iter().map(member).collect::<Result<Vec<_>, Unfit>>()?;
                Ok(format!("{{{}}}", members.join(",")))
            }
        }
    }
}

/// What the places of a call stand for.
#[derive(Clone)]
pub(super) struct OrderValues<'a> {
    panel: &'a Panel,
    order: Option<&'a Order>,
    at: Timestamp,
    /// `token`, `sign`, `body`, what the preparation gave, and our values as they are written
    /// there.
    more: BTreeMap<String, String>,
}

impl<'a> OrderValues<'a> {
    /// For a call without an order: log-in, balance.
    pub(super) const fn without_order(panel: &'a Panel, at: Timestamp) -> OrderValues<'a> {
        OrderValues { panel, order: None, at, more: BTreeMap::new() }
    }

    /// For an order; the reference, the recipient and the amount are checked here.
    pub(super) fn of(
        panel: &'a Panel,
        order: &'a Order,
        at: Timestamp,
    ) -> Result<OrderValues<'a>, Unfit> {
        let more = BTreeMap::new();
        let mut values = OrderValues { panel, order: Some(order), at, more };
        if order.amount.currency() != panel.currency {
            let currency = order.amount.currency().code();
            return Err(Unfit::Unwritable(format!("an amount in {currency}")));
        }
        let reference = panel.reference.render(&values, Spot::Plain)?;
        if !panel.charset.is_match(&reference) || reference.len() > panel.file.reference.max {
            return Err(Unfit::Unwritable(format!("the reference {reference}")));
        }
        values.put("reference", reference);
        let recipient = recipient(panel.file.recipient.form, order)?;
        if !panel.recipient_pattern.is_match(&recipient) {
            return Err(Unfit::Unwritable(format!("the number {recipient}")));
        }
        values.put("recipient", recipient);
        values.put("amount", amount(&panel.file.amount, order)?);
        for named in &panel.values {
            let value = named.text.render(&values, Spot::Plain)?;
            values.put(&named.name, value);
        }
        Ok(values)
    }

    /// Adds a value.
    pub(super) fn put(&mut self, name: &str, value: String) {
        self.more.insert(name.to_owned(), value);
    }

    /// Adds the file's values that need no order.
    pub(super) fn put_own(&mut self) -> Result<(), Unfit> {
        for named in &self.panel.values {
            match named.text.render(self, Spot::Plain) {
                Ok(value) => self.put(&named.name, value),
                Err(Unfit::Missing(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What the reply must repeat.
    pub(super) fn sent(&self) -> Sent {
        let value = |name: &str| self.more.get(name).cloned().unwrap_or_default();
        Sent {
            reference: value("reference"),
            recipient: value("recipient"),
            amount_minor: self.order.map_or(0, |order| order.amount.minor()),
            decimals: decimals(self.panel.currency),
        }
    }

    fn of_order(&self, name: &str) -> Option<String> {
        let order = self.order?;
        match name {
            "attempt" => Some(order.attempt.to_string()),
            "operator" => Some(order.operator.clone()),
            "product" => order.product.clone(),
            "kind" => Some(order.kind.code().to_owned()),
            "service_type" => Some(order.service_type.code().to_owned()),
            "currency" => Some(order.amount.currency().code().to_owned()),
            "country" => order.country.clone(),
            "id" => order.upstream_reference.clone(),
            _ => {
                let field = name.strip_prefix("field.")?;
                order.details.get(field).cloned()
            }
        }
    }

    /// Our code in the words of the panel; the maps given at the set-up come before the file's.
    fn mapped(&self, map: &str) -> Option<String> {
        let order = self.order?;
        let ours = match map {
            "operator" => order.operator.clone(),
            "type" => order.service_type.code().to_owned(),
            "product" => order.product.clone()?,
            "kind" => order.kind.code().to_owned(),
            "currency" => order.amount.currency().code().to_owned(),
            "country" => order.country.clone()?,
            "offer" => order.details.get("offerId").cloned()?,
            _ => return None,
        };
        self.panel.file.map.get(map)?.get(&ours).cloned()
    }
}

impl Values for OrderValues<'_> {
    fn value(&self, name: &str) -> Option<String> {
        if let Some(value) = self.more.get(name) {
            return Some(value.clone());
        }
        if let Some(secret) = name.strip_prefix("secret.") {
            return self.panel.secrets.get(secret).cloned();
        }
        if let Some(map) = name.strip_prefix("map.") {
            return self.mapped(map);
        }
        self.of_order(name)
    }

    fn now(&self) -> Timestamp {
        self.at
    }
}

/// The recipient as the panel wants it.
fn recipient(form: RecipientStyle, order: &Order) -> Result<String, Unfit> {
    let national = order.recipient.as_str();
    let international = || {
        let missing = || Unfit::Missing("the number with its country code".to_owned());
        order.international.clone().ok_or_else(missing)
    };
    Ok(match form {
        RecipientStyle::Raw | RecipientStyle::National => national.to_owned(),
        RecipientStyle::NationalNoZero => national.trim_start_matches('0').to_owned(),
        RecipientStyle::E164 => international()?,
        RecipientStyle::International => international()?.trim_start_matches('+').to_owned(),
    })
}

/// The amount as the panel wants it, if it takes such amounts.
fn amount(form: &AmountForm, order: &Order) -> Result<String, Unfit> {
    let places = decimals(order.amount.currency());
    let ours = order.amount.minor();
    let unfit = || Unfit::Unwritable(format!("the amount {}", order.amount.exact()));
    let bound = |text: &Option<String>| match text {
        Some(text) => minor(text, Unit::Major, places).map(Some).ok_or_else(unfit),
        None => Ok(None),
    };
    let is_below = bound(&form.min)?.is_some_and(|min| ours < min);
    let is_above = bound(&form.max)?.is_some_and(|max| ours > max);
    let is_off_step = bound(&form.step)?.is_some_and(|step| step == 0 || ours % step != 0);
    if is_below || is_above || is_off_step {
        return Err(unfit());
    }
    if form.unit == Unit::Minor {
        return Ok(ours.to_string());
    }
    let text = order.amount.exact();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let kept = usize::try_from(form.decimals).map_err(|_| unfit())?;
    let (kept_digits, rest) = fraction.split_at_checked(kept).unwrap_or((fraction, ""));
    if rest.bytes().any(|b| b != b'0') {
        return Err(unfit());
    }
    match kept {
        0 => Ok(whole.to_owned()),
        _ => Ok(format!("{whole}.{kept_digits:0<kept$}")),
    }
}

//! Writes an order as a call of the panel.
//!
//! Not here: its values (`values.rs`), sending it (`mod.rs`). Invariant: a value that is missing
//! stops the call before anything is sent.

use super::file::{BodyForm, CallForm, Method, ReplyForm, SignForm, Unit};
use super::judge::{Judge, Step};
use super::read::{Fields, Unreadable, fields};
use super::sign::Signature;
use super::template::{EscapeContext, Template, Unfit, Values};
use super::times::duration;
use super::values::OrderValues;
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

    /// Sends it elsewhere than the file says, if it would go to `from`; `None`: wherever it would.
    pub(super) fn with_base(&mut self, from: Option<&Url>, to: &Url) {
        if from.is_none_or(|from| self.base == *from) {
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

    /// The texts that are sent as they are: all but those of the signature.
    pub(super) fn sent_texts(&self) -> Vec<&Template> {
        let named = self.query.iter().chain(&self.headers).map(|named| &named.text);
        let mut all: Vec<&Template> = named.chain([&self.path]).collect();
        self.body.texts(&mut all);
        all
    }

    /// Whether it sends a value of this name without its beginning.
    pub(super) fn shortens(&self, name: &str) -> bool {
        self.sent_texts().into_iter().any(|text| text.shortens(name))
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
            values.put("sign", signature);
        }
        let body = self.body.write(&values)?;
        if let Some(sign) = self.sign.as_ref().filter(|_| is_over_body) {
            values.put("body", body.clone());
            let signature = sign.sign(&values)?;
            values.put("sign", signature);
        }
        let mut url = self.base.clone();
        let path = self.path.render(&values, EscapeContext::Path)?;
        url.set_path(&format!(
            "{}/{}",
            url.path().trim_end_matches('/'),
            path.trim_start_matches('/')
        ));
        if !self.query.is_empty() {
            let mut query = url.query_pairs_mut();
            for named in &self.query {
                query.append_pair(&named.name, &named.text.render(&values, EscapeContext::Line)?);
            }
        }
        let mut headers = Vec::new();
        for named in &self.headers {
            let value = named.text.render(&values, EscapeContext::Header)?;
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
            ReadyBody::Xml(text) => text.render(values, EscapeContext::Xml),
            ReadyBody::Text(text) => text.render(values, EscapeContext::Line),
            ReadyBody::Form(fields) => {
                let mut form = url::form_urlencoded::Serializer::new(String::new());
                for named in fields {
                    form.append_pair(&named.name, &named.text.render(values, EscapeContext::Line)?);
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
            ReadyJson::Text(text) if text.is_bare_number() => {
                text.render(values, EscapeContext::Plain)
            }
            ReadyJson::Text(text) => quoted(&text.render(values, EscapeContext::Plain)?),
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

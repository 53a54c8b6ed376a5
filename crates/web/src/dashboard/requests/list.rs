//! The list of requests: filters in the address, errors of the last day by kind.

use super::super::common::{self, ROWS, moment, moment_to, query};
use crate::parts::format::in_digits;
use crate::parts::{
    Badge, Cell, Column, Empty, Field, Filter, Filters, Row, Select, SelectOption, Table, Tone,
    Zone, number, time_tag,
};
use crate::view::{Problem, Session, View};
use crate::words::Words;
use askama::Template;
use axum::extract::Query;
use axum::http::StatusCode;
use axum::response::Response;
use domain::{Key, KeyId, Timestamp};
use engine::{ErrorGroup, LoggedRequest, RequestFilter};
use serde::Deserialize;
use std::collections::BTreeSet;

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    class: String,
    code: String,
    key: String,
    path: String,
    from: String,
    to: String,
    /// Only what is older than this one.
    before: String,
}

#[derive(Template)]
#[template(path = "dashboard/requests/list.html")]
struct List {
    words: Words,
    here: String,
    errors: Option<Table>,
    filters: Filters,
    table: Table,
}

impl Asked {
    fn pairs(&self) -> [(&'static str, &str); 6] {
        [
            ("class", &self.class),
            ("code", &self.code),
            ("key", &self.key),
            ("path", &self.path),
            ("from", &self.from),
            ("to", &self.to),
        ]
    }

    /// The address of the list with these filters, and `before`.
    fn address(&self, path: &str, before: &str) -> String {
        let mut pairs = self.pairs().to_vec();
        pairs.push(("before", before));
        format!("{path}{}", query(&pairs))
    }

    fn is_set(&self) -> bool {
        self.pairs().iter().any(|(_, value)| !value.is_empty())
    }

    /// The filter, or the names of the fields that cannot be read.
    fn filter(&self, zone: Zone) -> Result<RequestFilter, Vec<&'static str>> {
        let mut wrong = Vec::new();
        let mut time = |name, read: Result<_, ()>| {
            read.unwrap_or_else(|()| {
                wrong.push(name);
                None
            })
        };
        let from = time("from", moment(&self.from, zone));
        let until = time("to", moment_to(&self.to, zone));
        let filter = RequestFilter {
            class: self.class.parse().ok().filter(|class| (1..=9).contains(class)),
            code: self.code.trim().to_owned(),
            path: self.path.trim().to_owned(),
            key: self.key.parse().ok().map(KeyId),
            from,
            until,
            before: self.before.parse().ok(),
            limit: ROWS + 1,
        };
        if wrong.is_empty() { Ok(filter) } else { Err(wrong) }
    }
}

pub(super) async fn show(
    view: View,
    session: Session,
    Query(asked): Query<Asked>,
) -> Result<Response, Problem> {
    let (words, engine) = (view.words, &view.site.engine);
    let caller = common::caller(&view, &session)?;
    let zone = common::zone(&view, &caller).await?;
    let keys = engine.own_keys(&caller)?;
    let (found, wrong) = match asked.filter(zone) {
        Ok(filter) => (engine.list_requests(&caller, filter).await?, Vec::new()),
        Err(wrong) => (Vec::new(), wrong),
    };
    let errors = engine.request_errors(&caller).await?;
    let path = view.here("/requests");
    let filters = filters(&view, &asked, &keys, &wrong, zone);
    let page = List {
        words,
        here: asked.address(&path, &asked.before),
        errors: (!errors.is_empty()).then(|| groups(&view, &errors, zone)),
        filters,
        table: table(&view, &asked, found, &keys, zone),
    };
    let status = if wrong.is_empty() { StatusCode::OK } else { StatusCode::UNPROCESSABLE_ENTITY };
    Ok(view.page_with(status, words.t("dashboard.requests"), &page))
}

/// An HTTP status as a badge; a code is never translated.
pub(super) fn status(status: u16) -> Badge {
    let tone = match status {
        ..400 => Tone::Ok,
        400..500 => Tone::Bad,
        500.. => Tone::Doubt,
    };
    Badge::new(tone, &status.to_string())
}

/// How long a request took: milliseconds with one decimal.
pub(super) fn took(words: Words, took_us: u64) -> String {
    let tenths = took_us.saturating_add(50) / 100;
    in_digits(words, &format!("{}.{} ms", tenths / 10, tenths % 10))
}

/// Which key a request had, as its page is named.
pub(super) fn key_name(words: Words, keys: &[Key], key: Option<KeyId>) -> String {
    let Some(id) = key else { return words.t("requests.page").to_owned() };
    let known = keys.iter().find(|key| key.id == id);
    known.map_or_else(|| id.to_string(), |key| key.open_key.clone())
}

fn table(
    view: &View,
    asked: &Asked,
    mut found: Vec<LoggedRequest>,
    keys: &[Key],
    zone: Zone,
) -> Table {
    let words = view.words;
    let rows = usize::try_from(ROWS).unwrap_or(usize::MAX);
    let has_older = found.len() > rows;
    found.truncate(rows);
    let columns = vec![
        Column::wide(words.t("requests.request")),
        Column::new(words.t("requests.status")),
        Column::new(words.t("requests.code")),
        Column::number(words.t("requests.took")),
        Column::new(words.t("requests.key")),
        Column::new(words.t("transactions.time")),
    ];
    let row = |request: &LoggedRequest| {
        Row(vec![
            Cell::link(
                view.here(&format!("/requests/{}", request.id)),
                format!("{} {}", request.method, request.path),
            ),
            Cell::part(&status(request.status)),
            Cell::Code(if request.code.is_empty() { "–".into() } else { request.code.clone() }),
            Cell::text(took(words, request.took_us)),
            Cell::Code(key_name(words, keys, request.key)),
            Cell::Part(time_tag(words, Timestamp(request.id), zone)),
        ])
    };
    let path = view.here("/requests");
    let nothing = match asked.is_set() || !asked.before.is_empty() {
        true => {
            Empty::new(words.t("requests.none-fits")).with(&path, words.t("transactions.clear"))
        }
        false => Empty::new(words.t("requests.none")).with("/docs/run", words.t("docs.run")),
    };
    let caption = words.with("requests.caption", &[("zone", &zone.name)]);
    let mut table =
        Table::new(words, &caption, columns).rows(found.iter().map(row).collect()).empty(&nothing);
    if let Some(last) = found.last().filter(|_| has_older) {
        table.older = asked.address(&path, &last.id.to_string());
    }
    if !asked.before.is_empty() {
        table.newer = asked.address(&path, "");
    }
    table
}

/// The errors of the last day, by kind; each leads to its requests.
fn groups(view: &View, errors: &[ErrorGroup], zone: Zone) -> Table {
    let words = view.words;
    let columns = vec![
        Column::new(words.t("requests.code")),
        Column::new(words.t("requests.status")),
        Column::wide(words.t("requests.path")),
        Column::number(words.t("requests.count")),
        Column::new(words.t("requests.last")),
    ];
    let row = |group: &ErrorGroup| {
        let pairs = [("code", group.code.as_str()), ("path", group.path.as_str())];
        let name = match group.code.as_str() {
            "" => group.status.to_string(),
            code => code.to_owned(),
        };
        Row(vec![
            Cell::link(view.here(&format!("/requests{}", query(&pairs))), name),
            Cell::part(&status(group.status)),
            Cell::Code(group.path.clone()),
            Cell::text(number(words, group.count)),
            Cell::Part(time_tag(words, Timestamp(group.last), zone)),
        ])
    };
    let caption = words.with("requests.errors", &[("zone", &zone.name)]);
    Table::new(words, &caption, columns).rows(errors.iter().map(row).collect())
}

fn filters(view: &View, asked: &Asked, keys: &[Key], wrong: &[&str], zone: Zone) -> Filters {
    let words = view.words;
    let path = view.here("/requests");
    let all = || SelectOption::new("", words.t("transactions.all"));
    let mut classes = vec![all()];
    classes.extend(["2", "4", "5"].map(|class| SelectOption::new(class, &format!("{class}xx"))));
    let mut of_keys = vec![all()];
    of_keys.extend(keys.iter().map(|key| SelectOption::new(&key.id.to_string(), &key.open_key)));
    let mut paths = vec![all()];
    let api = &view.site.facts.billing;
    let known: BTreeSet<String> = api.operations().map(|one| one.path.to_owned()).collect();
    paths.extend(known.iter().map(|path| SelectOption::new(path, path)));
    let select = |name, key: &str, options, chosen: &str| Select {
        name,
        label: words.t(key).to_owned(),
        options,
        chosen: chosen.to_owned(),
        error: String::new(),
    };
    let field = |name: &'static str, key: &str, value: &str| {
        let error = if wrong.contains(&name) { words.t("transactions.time-wrong") } else { "" };
        Field::new(name, words.t(key)).optional().value(value).error(error)
    };
    let hint = words.with("transactions.time-hint", &[("zone", &zone.name)]);
    let chip = |(name, value): (&'static str, &str)| {
        let others: Vec<_> = asked.pairs().into_iter().filter(|(n, _)| *n != name).collect();
        let (label, shown) = match name {
            "class" => (words.t("requests.status"), format!("{value}xx")),
            "key" => {
                let key = value.parse().ok().map(KeyId);
                (words.t("requests.key"), key_name(words, keys, key))
            }
            "code" => (words.t("requests.code"), value.to_owned()),
            "path" => (words.t("requests.path"), value.to_owned()),
            "from" => (words.t("transactions.from"), value.to_owned()),
            _ => (words.t("transactions.to"), value.to_owned()),
        };
        Filter { label: format!("{label}: {shown}"), without: format!("{path}{}", query(&others)) }
    };
    Filters {
        words,
        action: path.clone(),
        selects: vec![
            select("class", "requests.status", classes, &asked.class),
            select("path", "requests.path", paths, &asked.path),
            select("key", "requests.key", of_keys, &asked.key),
        ],
        fields: vec![
            field("code", "requests.code", &asked.code),
            field("from", "transactions.from", &asked.from).hint(&hint),
            field("to", "transactions.to", &asked.to).hint(&hint),
        ],
        set: asked.pairs().into_iter().filter(|(_, value)| !value.is_empty()).map(chip).collect(),
    }
}

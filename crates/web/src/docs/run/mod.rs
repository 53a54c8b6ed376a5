//! *Run*: a request of the billing API, sent from the page through the server's own API with the
//! sandbox of whoever is logged in.
//!
//! The request passes every check of the API (rate, subscription, fields, balance, the rights of
//! the person). Invariant: it never leaves the sandbox.

use super::facts::Operation;
use super::fields;
use super::sample::{Keys, Sample, encoded, examples};
use crate::parts::{Badge, Code, Markup, Tone};
use crate::view::{Problem, View};
use crate::words::Words;
use askama::Template;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Form, Query};
use axum::http::header::CONTENT_TYPE;
use axum::http::{Method, Request};
use axum::response::Response;
use domain::Environment;
use domain::purchase::sandbox::SandboxNumber;
use engine::{LoggedAs, PageCaller};
use serde::Deserialize;
use serde_json::Value;
use std::net::SocketAddr;
use tower::ServiceExt as _;

/// The largest answer that is shown: a page of 100 transactions has less.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;
/// The operation that is shown first.
const FIRST: &str = "recharge";
/// What the names of a query's fields begin with in the form.
const QUERY: &str = "query.";

/// A request inside this process.
pub(crate) struct Call {
    method: Method,
    /// With its query.
    path: String,
    /// JSON.
    body: Option<String>,
}

impl Call {
    pub(crate) fn get(path: String) -> Call {
        Call { method: Method::GET, path, body: None }
    }

    pub(crate) fn post(path: &str, body: String) -> Call {
        Call { method: Method::POST, path: path.to_owned(), body: Some(body) }
    }
}

/// What was answered.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answered {
    pub(crate) status: u16,
    pub(super) headers: Vec<(String, String)>,
    /// The body, if it is JSON.
    pub(super) json: Value,
    pub(crate) text: String,
    /// The request's name in the account's log.
    pub(crate) logged_as: Option<i64>,
}

impl Answered {
    pub(super) fn recorded(status: u16, json: Value) -> Answered {
        Answered { status, json, ..Answered::default() }
    }
}

/// Sends a request with the reader's sandbox. Without a reader, or if it cannot be sent, the answer
/// is empty, with the status 0.
pub(crate) async fn call(view: &View, call: Call) -> Answered {
    let Some(caller) = view.caller() else { return Answered::default() };
    if caller.environment != Environment::Sandbox {
        return Answered::default();
    }
    let Call { method, path, body } = call;
    let request = Request::builder().method(method).uri(path);
    let request = match &body {
        Some(_) => request.header(CONTENT_TYPE, "application/json"),
        None => request,
    };
    let Ok(mut request) = request.body(Body::from(body.unwrap_or_default())) else {
        return Answered::default();
    };
    request.extensions_mut().insert(ConnectInfo(SocketAddr::new(view.from, 0)));
    request.extensions_mut().insert(PageCaller(caller));
    let Ok(response) = view.site.settings.api.clone().oneshot(request).await;
    let logged_as = response.extensions().get::<LoggedAs>().map(|logged| logged.0);
    let headers = response.headers().iter().filter_map(|(name, value)| {
        Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
    });
    let (headers, status) = (headers.collect(), response.status().as_u16());
    let bytes = to_bytes(response.into_body(), ANSWER_BYTES_MAX).await.unwrap_or_default();
    let json = serde_json::from_slice(&bytes).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).into_owned();
    Answered { status, headers, json, text, logged_as }
}

/// A field of a query, in the form.
struct QueryField {
    name: String,
    label: String,
    hint: String,
    value: String,
}

struct Choice {
    id: String,
    name: String,
    is_current: bool,
}

struct Shown {
    badge: Badge,
    headers: Vec<(String, String)>,
    body: Code,
    purchase: Option<String>,
    logged: Option<String>,
}

#[derive(Template)]
#[template(path = "docs/run/run.html")]
struct Run<'a> {
    words: Words,
    menu: Markup,
    csrf: &'a str,
    is_logged_in: bool,
    log_in: String,
    choices: Vec<Choice>,
    id: &'a str,
    summary: &'a str,
    method: String,
    path: &'a str,
    fields: Vec<QueryField>,
    body: Option<String>,
    /// The same for those who cannot send it.
    sample: Option<Code>,
    shown: Option<Shown>,
}

/// What the address asks for.
#[derive(Default, Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    operation: String,
    #[serde(default)]
    body: String,
}

/// `GET /docs/run`: the form, filled with the example and a reference that was never used.
pub(super) async fn show(view: View, Query(asked): Query<Asked>) -> Result<Response, Problem> {
    let facts = &view.site.facts;
    let id = if asked.operation.is_empty() { FIRST } else { &asked.operation };
    let operation = facts.billing.operation(id).ok_or(Problem::NotFound)?;
    let mut sample = Sample::of(facts, &facts.billing, &operation, &Keys::default());
    // It succeeds, and sends nothing to the example's host.
    if id == FIRST {
        sample.set("number", &format!("01712345{}", SandboxNumber::Success.digits()));
    }
    sample.set("webhook_url", "");
    let fresh = format!("RUN-{}", view.site.engine.now().0);
    let body = match asked.body.as_str() {
        "" => sample.json(),
        sent => Some(sent.to_owned()),
    };
    let body = body.map(|body| with_reference(&body, &sample, &fresh));
    let places = ["path", "query"].into_iter();
    let values = places.flat_map(|place| examples(&facts.billing, &operation, place)).collect();
    render(&view, operation, Filled { body, values, shown: None })
}

/// `POST /docs/run`: sends it, and shows what was answered.
pub(super) async fn run(
    view: View,
    Form(sent): Form<Vec<(String, String)>>,
) -> Result<Response, Problem> {
    let facts = &view.site.facts;
    let field = |name: &str| sent.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let id = field("operation").ok_or(Problem::Unreadable)?;
    let operation = facts.billing.operation(id).ok_or(Problem::NotFound)?;
    let values: Vec<(String, String)> = sent
        .iter()
        .filter_map(|(key, value)| Some((key.strip_prefix(QUERY)?.to_owned(), value.clone())))
        .filter(|(_, value)| !value.is_empty())
        .collect();
    let mut path = operation.path.to_owned();
    let mut query = Vec::new();
    for (name, value) in &values {
        let place = format!("{{{name}}}");
        match path.contains(&place) {
            true => path = path.replace(&place, &encoded(value)),
            false => query.push((name.clone(), value.clone())),
        }
    }
    path.push_str(&super::sample::query_text(&query));
    let body = operation.body().and_then(|_| field("body").cloned());
    let sending = match &body {
        Some(body) => Call::post(&path, body.clone()),
        None => Call { method: method_of(&operation), path, body: None },
    };
    let answered = call(&view, sending).await;
    let shown = Some(shown(&view, &operation, answered));
    render(&view, operation, Filled { body, values, shown })
}

fn method_of(operation: &Operation<'_>) -> Method {
    if operation.method == "post" { Method::POST } else { Method::GET }
}

struct Filled {
    body: Option<String>,
    values: Vec<(String, String)>,
    shown: Option<Shown>,
}

fn render(view: &View, operation: Operation<'_>, form: Filled) -> Result<Response, Problem> {
    let Filled { body, values, shown } = form;
    let api = &view.site.facts.billing;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let parameters = ["path", "query"].into_iter().flat_map(|place| operation.parameters(place));
    let fields = parameters.map(|parameter| {
        let label = text(&parameter["name"]);
        let value = values.iter().find(|(name, _)| *name == label).map(|(_, value)| value.clone());
        let (name, hint) = (format!("{QUERY}{label}"), text(&parameter["description"]));
        QueryField { name, label, hint, value: value.unwrap_or_default() }
    });
    let fields = fields.collect();
    let choices = api.operations().filter(|one| !one.path.starts_with("/operator_logo"));
    let choices = choices.map(|one| Choice {
        id: one.id.to_owned(),
        name: text(&one.described["summary"]),
        is_current: one.id == operation.id,
    });
    let next = encoded(&format!("/docs/run?operation={}", operation.id));
    let page = Run {
        words: view.words,
        menu: super::menu_of(view, "run"),
        csrf: &view.csrf,
        is_logged_in: view.session.is_some(),
        log_in: format!("/dashboard/log-in?next={next}"),
        choices: choices.collect(),
        id: operation.id,
        summary: operation.described["summary"].as_str().unwrap_or_default(),
        method: operation.method.to_uppercase(),
        path: operation.path,
        fields,
        sample: body.as_ref().map(|text| Code::new(view.words, "sample", "JSON", text)),
        body,
        shown,
    };
    Ok(view.page(view.words.t("docs.run"), &page))
}

fn shown(view: &View, operation: &Operation<'_>, answered: Answered) -> Shown {
    let Answered { status, headers, json, text, logged_as } = answered;
    let api = &view.site.facts.billing;
    let is_json = !json.is_null();
    let text = if is_json { fields::pretty(api, operation.answer(), &json) } else { text };
    let tone = match status {
        200 => Tone::Ok,
        400..500 => Tone::Bad,
        _ => Tone::Doubt,
    };
    let id = [&json["billing"], &json["data"]];
    let id = id.into_iter().find_map(|object| object["transactionId"].as_i64());
    Shown {
        badge: Badge::new(tone, &format!("HTTP {status}")),
        headers,
        body: Code::new(view.words, "run-answer", "JSON", &text),
        purchase: id.map(|id| format!("/dashboard/sandbox/transactions/{id}")),
        logged: logged_as.map(|id| format!("/dashboard/sandbox/requests/{id}")),
    }
}

/// The body with a reference that was never used, if it has one.
fn with_reference(body: &str, sample: &Sample, fresh: &str) -> String {
    let sent = serde_json::from_str::<Value>(body).unwrap_or_default();
    let examples = sample.body.as_deref().unwrap_or_default();
    let is_new = examples.iter().any(|(name, _)| name == "operator");
    match sent["reference"].as_str() {
        // A status is asked for a reference that exists.
        Some(reference) if is_new => {
            body.replace(&Value::from(reference).to_string(), &Value::from(fresh).to_string())
        }
        _ => body.to_owned(),
    }
}

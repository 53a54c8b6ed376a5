//! One request with its answer, and the same request run again in the sandbox.

use super::super::common;
use super::list::{key_name, status, took};
use crate::docs::{Answered, Call, call};
use crate::parts::{Badge, Button, Code, Markup, time_tag};
use crate::view::{Allowed, Problem, Session, View};
use crate::words::Words;
use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use domain::{Act, Environment, Timestamp, act};
use engine::LoggedRequest;
use serde_json::Value;

/// Characters of the reference of a request that is run again.
const REFERENCE_CHARS: usize = 12;

struct Again {
    badge: Badge,
    body: Code,
    /// Where it is in the log; empty: it is not.
    href: String,
}

#[derive(Template)]
#[template(path = "dashboard/requests/one.html")]
struct One<'a> {
    words: Words,
    csrf: &'a str,
    all: String,
    title: String,
    badge: Badge,
    code: String,
    time: Markup,
    zone: &'static str,
    took: String,
    key: String,
    address: String,
    query: String,
    sent: Option<Code>,
    answered: Option<Code>,
    /// Where it is run again; empty: it cannot be.
    run: String,
    button: Button,
    again: Option<Again>,
}

pub(super) async fn show(
    view: View,
    session: Session,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let request = own(&view, &session, &id).await?;
    page(&view, &session, &request, None).await
}

/// Runs it again as whoever is logged in, with a fresh reference.
pub(super) async fn again(
    view: View,
    session: Session,
    Allowed(_): Allowed<act::Buy>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let request = own(&view, &session, &id).await?;
    if !can_run(&request) {
        return Err(Problem::NotFound);
    }
    let mut path = request.path.clone();
    if !request.query.is_empty() {
        path = format!("{path}?{}", request.query);
    }
    let sending = match request.sent.as_str() {
        "" => Call::get(path),
        body => {
            let random = view.site.engine.random_text(REFERENCE_CHARS);
            let fresh = format!("again-{}", random.map_err(|_| Problem::Unavailable)?);
            Call::post(&path, with_reference(body, &fresh))
        }
    };
    let answered = call(&view, sending).await;
    page(&view, &session, &request, Some(answered)).await
}

/// The request of this name, if it is the account's and of this environment.
async fn own(view: &View, session: &Session, id: &str) -> Result<LoggedRequest, Problem> {
    let caller = common::caller(view, session)?;
    let id = id.parse().map_err(|_| Problem::NotFound)?;
    Ok(view.site.engine.logged_request(&caller, id).await?)
}

/// Whether it was kept whole, in the sandbox.
fn can_run(request: &LoggedRequest) -> bool {
    let is_whole = match request.method.as_str() {
        "GET" => request.sent.is_empty(),
        "POST" => serde_json::from_str::<Value>(&request.sent).is_ok_and(|body| body.is_object()),
        _ => false,
    };
    request.environment == Environment::Sandbox && is_whole
}

/// The body with another reference, if it buys: one is used once. A question about a purchase
/// keeps the reference that it asks about.
fn with_reference(body: &str, fresh: &str) -> String {
    let mut sent = serde_json::from_str::<Value>(body).unwrap_or_default();
    let Some(fields) = sent.as_object() else { return body.to_owned() };
    let buys = fields.contains_key("amount");
    let names = ["reference", "client_reference", "clientReference"];
    let Some(name) = names.into_iter().find(|name| fields.contains_key(*name)) else {
        return body.to_owned();
    };
    match buys {
        true => {
            sent[name] = Value::from(fresh);
            sent.to_string()
        }
        false => body.to_owned(),
    }
}

async fn page(
    view: &View,
    session: &Session,
    request: &LoggedRequest,
    again: Option<Answered>,
) -> Result<Response, Problem> {
    let words = view.words;
    let caller = common::caller(view, session)?;
    let zone = common::zone(view, &caller).await?;
    let keys = view.site.engine.own_keys(&caller)?;
    let body = |id: &str, text: &str| {
        (!text.is_empty()).then(|| Code::new(words, id, "JSON", &indented(text)))
    };
    let may_run = common::may(session, Act::BuyInSandbox, view.environment) && can_run(request);
    let title = format!("{} {}", request.method, request.path);
    let page = One {
        words,
        csrf: &view.csrf,
        all: view.here("/requests"),
        title: title.clone(),
        badge: status(request.status),
        code: request.code.clone(),
        time: time_tag(words, Timestamp(request.id), zone),
        zone: zone.name,
        took: took(words, request.took_us),
        key: key_name(words, &keys, request.key),
        address: request.address.clone(),
        query: request.query.clone(),
        sent: body("sent", &request.sent),
        answered: body("answered", &request.answered),
        run: match may_run {
            true => view.here(&format!("/requests/{}/again", request.id)),
            false => String::new(),
        },
        button: Button::main(words, words.t("requests.again")),
        again: again.map(|answered| Again {
            badge: status(answered.status),
            body: Code::new(words, "again", "JSON", &indented(&answered.text)),
            href: answered
                .logged_as
                .map_or_else(String::new, |id| view.here(&format!("/requests/{id}"))),
        }),
    };
    Ok(view.page(&title, &page))
}

/// JSON by lines; what is none, or was cut, as it is.
fn indented(text: &str) -> String {
    let read = serde_json::from_str::<Value>(text).ok();
    read.and_then(|value| serde_json::to_string_pretty(&value).ok()).unwrap_or(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_purchase_is_run_again_under_another_reference_and_a_question_is_not() {
        let bought = r#"{"amount":10,"client_reference":"A-1"}"#;
        let again = with_reference(bought, "B-1");
        let fields: Value = serde_json::from_str(&again).unwrap();
        assert_eq!(fields["client_reference"], "B-1");
        let asked = r#"{"reference":"A-1"}"#;
        assert_eq!(with_reference(asked, "B-1"), asked);
        assert_eq!(with_reference("{}", "B-1"), "{}");
    }
}

//! One request to an upstream, and its reply, as bytes: no meaning yet.
//!
//! Not here: the sending (`driver.rs`), and how the base address is put before a path.

use domain::Money;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use std::time::Duration;

/// The longest that a read takes, unless a request says otherwise.
const TIMEOUT: Duration = Duration::from_secs(15);

/// A request, before it is authorized and sent.
#[derive(Clone, Debug)]
pub struct WireRequest {
    /// What it is, among the protocol's requests: `submit`, `query`.
    pub step: &'static str,
    /// `GET` or `POST`, as a rule.
    pub method: Method,
    /// Below the base address; or a whole address, whose host must be listed.
    pub path: String,
    /// Names with values, to be escaped.
    pub query: Vec<(String, String)>,
    /// Names with values. They are never logged or recorded.
    pub headers: Vec<(String, String)>,
    /// Empty for none.
    pub body: Vec<u8>,
    /// From the first byte of the connection to the last one of the reply.
    pub timeout: Duration,
    /// After it is written the end customer may get something: it leaves once.
    pub buys: bool,
    /// The login whose token it carries, if any.
    pub login: Option<&'static str>,
    /// What an earlier reply said, for the reading of this one's: a token, a refusal's text.
    pub note: String,
}

impl WireRequest {
    /// A request without a body.
    pub fn get(step: &'static str, path: &str) -> WireRequest {
        WireRequest {
            step,
            method: Method::GET,
            path: path.to_owned(),
            query: Vec::new(),
            headers: Vec::new(),
            body: Vec::new(),
            timeout: TIMEOUT,
            buys: false,
            login: None,
            note: String::new(),
        }
    }

    /// A POST of JSON. A value that cannot be written makes an empty body, which no upstream takes.
    pub fn post_json(step: &'static str, path: &str, body: &impl Serialize) -> WireRequest {
        let body = serde_json::to_vec(body).unwrap_or_default();
        let request = WireRequest { method: Method::POST, body, ..WireRequest::get(step, path) };
        request.header("content-type", "application/json")
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> WireRequest {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With one more pair in its query.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> WireRequest {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With another limit of time.
    #[must_use]
    pub fn within(mut self, timeout: Duration) -> WireRequest {
        self.timeout = timeout;
        self
    }

    /// As one after which the end customer may get something.
    #[must_use]
    pub fn buying(mut self) -> WireRequest {
        self.buys = true;
        self
    }

    /// With something that an earlier reply said.
    #[must_use]
    pub fn noting(mut self, note: &str) -> WireRequest {
        note.clone_into(&mut self.note);
        self
    }

    /// With the token of this login.
    #[must_use]
    pub fn with_token(mut self, login: &'static str) -> WireRequest {
        self.login = Some(login);
        self
    }
}

/// An amount as a JSON number without rounding: `10.5`.
pub fn json_number(amount: Money) -> Option<Box<RawValue>> {
    RawValue::from_string(amount.shortest()).ok()
}

/// A whole reply, whatever its status.
#[derive(Clone, Debug, Default)]
pub struct WireReply {
    /// The HTTP status.
    pub status: u16,
    /// All headers, names in lower case.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Vec<u8>,
}

impl WireReply {
    /// The body as JSON of this form; none if it is not, has a doubled field, or something after
    /// it.
    pub fn json<T: DeserializeOwned>(&self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }

    /// For people: the status, and how the body begins.
    pub fn shown(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let start: String = text.chars().filter(|c| !c.is_control()).take(120).collect();
        format!("HTTP {} {start}", self.status)
    }
}

/// There is no whole reply, although the request may have arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// What happened instead. For people.
    pub reason: String,
}

/// What became of a request that may have arrived.
pub type CallResult = Result<WireReply, Lost>;

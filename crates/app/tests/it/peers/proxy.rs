//! A proxy between two servers, which loses, doubles and delays messages.
//!
//! What becomes of a message depends on the order that it is about: the first of each kind about an
//! order takes the next action of a row that a seed has put into order; the same message again gets
//! through, so that every doubt ends. Messages about no order always get through.

use crate::http_client::{Answer, Connection};
use crate::support::Rng;
use bytes::Bytes;
use domain::AttemptRef;
use http::request::Parts;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// How much later a delayed message arrives.
const DELAY: Duration = Duration::from_millis(400);

/// What becomes of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProxyAction {
    Passes,
    /// Nobody gets it.
    RequestLost,
    /// It is done, and nobody is told.
    ReplyLost,
    /// It arrives twice; the reply to the first one comes back.
    Doubled,
    /// It arrives twice; the reply to the second one comes back.
    DoubledAnswersSecond,
    Delayed,
}

/// A quarter is lost: with more, breakers would open.
const ROW: [ProxyAction; 8] = [
    ProxyAction::Passes,
    ProxyAction::RequestLost,
    ProxyAction::Doubled,
    ProxyAction::Passes,
    ProxyAction::ReplyLost,
    ProxyAction::Delayed,
    ProxyAction::DoubledAnswersSecond,
    ProxyAction::Passes,
];

/// A running proxy; it ends with this.
pub struct Proxy {
    pub address: String,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

struct Shared {
    to: String,
    state: Mutex<ProxyState>,
}

struct ProxyState {
    rng: Rng,
    row: Vec<ProxyAction>,
    known: HashSet<String>,
    counts: BTreeMap<ProxyAction, usize>,
}

impl Proxy {
    /// In front of this address.
    pub async fn start(to: &str, rng: Rng) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (row, known, counts) = (Vec::new(), HashSet::new(), BTreeMap::new());
        let state = Mutex::new(ProxyState { rng, row, known, counts });
        let shared = Arc::new(Shared { to: to.to_owned(), state });
        let task = tokio::spawn(accept(listener, shared.clone()));
        Proxy { address, shared, task }
    }

    /// How many messages about orders had each action.
    pub fn counts(&self) -> BTreeMap<ProxyAction, usize> {
        self.shared.state.lock().unwrap().counts.clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl ProxyState {
    fn action_of(&mut self, message: Option<String>) -> ProxyAction {
        let Some(message) = message.filter(|message| self.known.insert(message.clone())) else {
            return ProxyAction::Passes;
        };
        if self.row.is_empty() {
            let mut left = ROW.to_vec();
            while !left.is_empty() {
                let next = self.rng.below(left.len());
                self.row.push(left.swap_remove(next));
            }
        }
        let action = self.row.pop().unwrap_or_else(|| panic!("{message}: the row is empty"));
        *self.counts.entry(action).or_default() += 1;
        action
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let shared = shared.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request| pass(request, shared.clone()));
            // An error is a message that was lost on purpose.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

/// An error ends the connection without a reply.
async fn pass(
    request: Request<Incoming>,
    shared: Arc<Shared>,
) -> io::Result<Response<Full<Bytes>>> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    let action = shared.state.lock().unwrap().action_of(message(&parts, &body));
    let lost = || io::Error::from(io::ErrorKind::ConnectionReset);
    let to = &shared.to;
    let answer = match action {
        ProxyAction::Passes => forward(to, &parts, &body).await?,
        ProxyAction::RequestLost => return Err(lost()),
        ProxyAction::ReplyLost => {
            forward(to, &parts, &body).await?;
            return Err(lost());
        }
        ProxyAction::Delayed => {
            tokio::time::sleep(DELAY).await;
            forward(to, &parts, &body).await?
        }
        ProxyAction::Doubled => {
            tokio::join!(forward(to, &parts, &body), forward(to, &parts, &body)).0?
        }
        ProxyAction::DoubledAnswersSecond => {
            forward(to, &parts, &body).await?;
            forward(to, &parts, &body).await?
        }
    };
    let mut response = Response::new(Full::new(answer.body));
    *response.status_mut() = answer.status;
    for (name, value) in &answer.headers {
        let is_framing =
            [header::CONTENT_LENGTH, header::TRANSFER_ENCODING, header::CONNECTION].contains(name);
        if !is_framing {
            response.headers_mut().append(name, value.clone());
        }
    }
    Ok(response)
}

/// The kind of a message and the order that it is about, if it is about one.
fn message(parts: &Parts, body: &Bytes) -> Option<String> {
    let path = parts.uri.path();
    let text = format!("{} {}", parts.uri, String::from_utf8_lossy(body));
    let mut words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
    let attempt = words.find_map(AttemptRef::parse)?;
    Some(format!("{} {path} {attempt} {}", parts.method, event(body)))
}

/// Of a callback: which one. Two about an order are two messages.
fn event(body: &Bytes) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    body["event"].as_str().unwrap_or_default().to_owned()
}

async fn forward(to: &str, parts: &Parts, body: &Bytes) -> io::Result<Answer> {
    let mut request = Request::new(Full::new(body.clone()));
    *request.method_mut() = parts.method.clone();
    *request.uri_mut() = parts.uri.clone();
    *request.headers_mut() = parts.headers.clone();
    request.headers_mut().remove(header::HOST);
    let mut connection = Connection::open(to).await.map_err(io::Error::other)?;
    connection.send(request).await.map_err(io::Error::other)
}

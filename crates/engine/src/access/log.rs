//! The log of requests to the billing API: noted while a request is answered, kept later.
//!
//! A note costs the request a place in a queue and nothing else; masking and the commit are a
//! worker's. Invariants: secrets are taken out before anything is stored; an account's log is
//! bounded. What waits in the queue when the process dies is lost, and so is what comes while the
//! queue is full: nothing is decided by the log.

use super::masking::{query_without_secrets, with_numbers_masked, without_secrets};
use crate::worker::{next_batch, pause};
use crate::{Caller, Engine, limits};
use domain::acts::grant;
use domain::refusal::{FindRefused, PurchaseUnknown, StoreRefused};
use domain::{AccountId, Act, Environment, Grant, KeyId, Timestamp};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use store::{ErrorGroup, KeepRequests, LoggedRequest, PruneRequests, RequestFilter};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Whose request it is, as soon as its keys were right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestOwner {
    /// The account of the key pair, or of whoever runs it from a page.
    pub account: AccountId,
    /// The environment of the key pair.
    pub environment: Environment,
    /// The key pair; none from a page.
    pub key: Option<KeyId>,
}

impl From<&Caller> for RequestOwner {
    fn from(caller: &Caller) -> RequestOwner {
        let Caller { account, environment, key, .. } = *caller;
        RequestOwner { account, environment, key }
    }
}

/// When a request began.
#[derive(Clone, Copy, Debug)]
pub struct RequestStart {
    at: Timestamp,
    since: Duration,
}

/// In the extensions of an answer inside this process: the name of its request in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoggedAs(pub i64);

/// A body.
#[derive(Clone, Debug, Default)]
pub struct NotedBody {
    /// Its beginning, at most [`NotedBody::KEPT_BYTES`].
    pub bytes: Vec<u8>,
    /// How long it was.
    pub length: usize,
}

impl NotedBody {
    /// The longest body that is kept: a longer one cannot be masked without holding it all.
    pub const KEPT_BYTES: usize = limits::REQUEST_BODY_BYTES;

    /// Of a whole body.
    pub fn of(whole: &[u8]) -> NotedBody {
        let kept = whole.get(..NotedBody::KEPT_BYTES).unwrap_or(whole);
        NotedBody { bytes: kept.to_vec(), length: whole.len() }
    }

    /// As it is stored: without secrets, cut; of what is too long or no JSON only the length.
    fn stored(&self) -> String {
        if self.length == 0 {
            return String::new();
        }
        let whole = (self.length == self.bytes.len()).then_some(&self.bytes);
        let text = whole.and_then(|bytes| std::str::from_utf8(bytes).ok());
        match text.and_then(without_secrets) {
            Some(text) if text.len() <= limits::REQUEST_TEXT_BYTES => text,
            Some(text) => {
                let mut end = limits::REQUEST_TEXT_BYTES;
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                format!("{}…", text.get(..end).unwrap_or_default())
            }
            None => format!("… {} bytes", self.length),
        }
    }
}

/// A request in the log: its name, and whether it is kept there.
#[derive(Clone, Copy, Debug)]
pub struct NamedRequest {
    /// Its name, which no other has.
    pub name: LoggedAs,
    /// Of a busy account, and of a busy node, only a sample is kept.
    pub is_kept: bool,
    owner: RequestOwner,
    took: Duration,
}

/// A request with its answer.
#[derive(Debug)]
pub struct RequestNote {
    /// The client's address.
    pub from: IpAddr,
    /// `GET`, `POST`.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// The query; may be empty.
    pub query: String,
    /// Of the answer.
    pub status: u16,
    /// The request's body.
    pub sent: NotedBody,
    /// The answer's body.
    pub answered: NotedBody,
}

/// A note in the queue.
struct QueuedNote {
    named: NamedRequest,
    note: RequestNote,
}

/// The queue of notes.
pub(crate) struct RequestLog {
    sender: mpsc::Sender<QueuedNote>,
    /// Until the worker takes it.
    receiver: Mutex<Option<mpsc::Receiver<QueuedNote>>>,
    last: AtomicI64,
    kept: Mutex<KeptNow>,
}

/// How many requests of this second are kept.
#[derive(Default)]
struct KeptNow {
    second: u64,
    all: u32,
    of_account: HashMap<AccountId, u32>,
}

impl KeptNow {
    /// Whether one more of the account is kept: of a busy one, and of a busy node, a sample is,
    /// because each row costs the sales a part of their commits.
    fn takes(&mut self, account: AccountId, second: u64) -> bool {
        if self.second != second {
            (self.second, self.all) = (second, 0);
            self.of_account.clear();
        }
        if self.all >= limits::REQUESTS_A_SECOND {
            return false;
        }
        let own = self.of_account.entry(account).or_default();
        let is_kept = *own < limits::REQUESTS_A_SECOND_OF_ACCOUNT;
        if is_kept {
            self.all += 1;
            *own += 1;
        }
        is_kept
    }
}

impl RequestLog {
    pub(crate) fn new() -> RequestLog {
        let (sender, receiver) = mpsc::channel(limits::REQUESTS_WAITING);
        RequestLog {
            sender,
            receiver: Mutex::new(Some(receiver)),
            last: AtomicI64::new(0),
            kept: Mutex::default(),
        }
    }
}

impl Engine {
    /// The present moment, for the note of a request that begins.
    pub fn begin_request(&self) -> RequestStart {
        RequestStart { at: self.now(), since: self.monotonic() }
    }

    /// Names a request that is answered, and decides whether the log keeps it.
    pub fn name_request(&self, owner: RequestOwner, start: RequestStart) -> NamedRequest {
        let log = &self.inner.requests;
        let at = start.at.0;
        let next = |last: i64| Some(at.max(last.saturating_add(1)));
        let last = log.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next);
        let name = LoggedAs(at.max(last.unwrap_or(0).saturating_add(1)));
        let now = self.monotonic();
        let is_kept = log.kept.lock().takes(owner.account, now.as_secs());
        NamedRequest { name, is_kept, owner, took: now.saturating_sub(start.since) }
    }

    /// Queues a request for the log; it is lost if the queue is full.
    pub fn note_request(&self, named: NamedRequest, note: RequestNote) {
        if self.inner.requests.sender.try_send(QueuedNote { named, note }).is_err() {
            tracing::debug!("a request is not kept in the log: too many wait");
        }
    }

    /// The caller's requests that pass a filter, latest first; numbers of people are masked where
    /// the caller's role sees them so.
    pub async fn list_requests(
        &self,
        caller: &Caller,
        filter: RequestFilter,
    ) -> Result<Vec<LoggedRequest>, StoreRefused> {
        let (account, environment) = (caller.account, caller.environment);
        let read = self.read(move |store| store.requests(account, environment, &filter)).await?;
        let is_masked = sees_masked(caller);
        Ok(read.into_iter().map(|request| shown(request, is_masked)).collect())
    }

    /// One request of the caller's; `PurchaseUnknown` also if it is of another account or
    /// environment.
    pub async fn logged_request(
        &self,
        caller: &Caller,
        id: i64,
    ) -> Result<LoggedRequest, FindRefused> {
        let (account, environment) = (caller.account, caller.environment);
        let found = self.read(move |store| store.request(account, environment, id)).await?;
        Ok(shown(found.ok_or(PurchaseUnknown)?, sees_masked(caller)))
    }

    /// The caller's errors of the last day, by path and code, the most frequent first.
    pub async fn request_errors(&self, caller: &Caller) -> Result<Vec<ErrorGroup>, StoreRefused> {
        let (account, environment) = (caller.account, caller.environment);
        let since = self.now().before(limits::A_DAY);
        let limit = limits::ERROR_GROUPS;
        self.read(move |store| store.request_errors(account, environment, since, limit)).await
    }

    /// Keeps what was noted, some of it at once, until the server stops.
    pub(crate) async fn keep_requests(self, stop: CancellationToken) {
        let Some(mut receiver) = self.inner.requests.receiver.lock().take() else { return };
        let (most, mut written) = (limits::REQUESTS_AT_ONCE, HashMap::new());
        while let Some(mut batch) = next_batch(&mut receiver, most, &stop).await {
            let count = batch.len();
            if count < most {
                let _ = pause(&stop, limits::REQUESTS_GATHERED).await;
                while batch.len() < most
                    && let Ok(more) = receiver.try_recv()
                {
                    batch.push(more);
                }
            }
            let keep = cut_due(batch.into_iter().map(stored).collect(), &mut written);
            if let Err(fault) = self.commit(&self.work(), keep).await {
                tracing::warn!(%fault, count, "requests could not be kept in the log");
            }
        }
    }

    pub(crate) async fn prune_requests(self, stop: CancellationToken) {
        let (kept_for, limit) = (limits::REQUESTS_KEPT, limits::REQUESTS_PRUNED);
        let prune = |before| PruneRequests { before, limit };
        let failed = "old requests could not be deleted from the log";
        self.prune(stop, kept_for, limit, prune, failed).await;
    }
}

/// The logs that have grown since they were cut, with how much; one that this process has not cut
/// yet is cut at once.
type Written = HashMap<(AccountId, Environment), u32>;

/// A batch, with the logs that it is time to cut.
fn cut_due(requests: Vec<LoggedRequest>, written: &mut Written) -> KeepRequests {
    if written.len() > limits::LOGS_COUNTED {
        written.clear();
    }
    let mut cut = Vec::new();
    for request in &requests {
        let whose = (request.account, request.environment);
        let since = written.entry(whose).or_insert(limits::REQUESTS_CUT_EVERY);
        *since += 1;
        if *since > limits::REQUESTS_CUT_EVERY {
            *since = 0;
            cut.push(whose);
        }
    }
    KeepRequests { requests, cut, rows_max: limits::REQUESTS_OF_ACCOUNT }
}

fn stored(queued: QueuedNote) -> LoggedRequest {
    let QueuedNote { named: NamedRequest { name, owner, took, .. }, note } = queued;
    let RequestNote { from, method, path, query, status, sent, answered } = note;
    let code = match status {
        400.. => code_of(&answered.bytes),
        _ => String::new(),
    };
    LoggedRequest {
        account: owner.account,
        environment: owner.environment,
        id: name.0,
        key: owner.key,
        address: from.to_string(),
        method,
        path: path.chars().take(limits::REQUEST_PATH_CHARS).collect(),
        query: query_without_secrets(&query).chars().take(limits::REQUEST_PATH_CHARS).collect(),
        status,
        code,
        took_us: u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
        sent: sent.stored(),
        answered: answered.stored(),
    }
}

/// The stable code of an error's body.
fn code_of(body: &[u8]) -> String {
    #[derive(serde::Deserialize)]
    struct Coded {
        code: String,
    }
    serde_json::from_slice::<Coded>(body).map_or_else(|_| String::new(), |coded| coded.code)
}

fn sees_masked(caller: &Caller) -> bool {
    caller.person.is_some_and(|person| {
        grant(Act::SeePurchases, person.holder, caller.environment) != Grant::Yes
    })
}

fn shown(request: LoggedRequest, is_masked: bool) -> LoggedRequest {
    if !is_masked {
        return request;
    }
    LoggedRequest {
        query: with_numbers_masked(&request.query),
        sent: with_numbers_masked(&request.sent),
        answered: with_numbers_masked(&request.answered),
        ..request
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Person;
    use domain::{DuplicatePolicy, Holder, KeyScopes, UserId};

    fn body(text: &str) -> NotedBody {
        NotedBody::of(text.as_bytes())
    }

    #[test]
    fn a_body_is_kept_cut_and_without_secrets_or_not_at_all() {
        assert_eq!(body(r#"{"pin":"1234"}"#).stored(), r#"{"pin":"***"}"#);
        assert_eq!(body("pin=1234").stored(), "… 8 bytes");
        assert_eq!(body("").stored(), "");
        let long = format!("[\"{}\"]", "ক".repeat(2_000));
        let kept = body(&long).stored();
        assert!(kept.ends_with("ক…") && kept.len() <= limits::REQUEST_TEXT_BYTES + 3, "{kept}");
        let endless = format!("[\"{}\"]", "x".repeat(NotedBody::KEPT_BYTES));
        assert_eq!(body(&endless).stored(), format!("… {} bytes", endless.len()));
    }

    #[test]
    fn support_and_security_see_numbers_masked_and_nobody_else_does() {
        let seen_by = |person| {
            let caller = Caller {
                account: AccountId(2),
                environment: Environment::Sandbox,
                key: None,
                session: None,
                plan: None,
                person,
                is_approved: true,
                duplicates: DuplicatePolicy::Mark,
                scopes: KeyScopes::ALL,
            };
            let sent = r#"{"number":"01712345101"}"#.to_owned();
            shown(LoggedRequest { sent, ..one() }, sees_masked(&caller)).sent
        };
        let person = |holder| Some(Person { user: UserId(1), holder, is_proved: false });
        for holder in [Holder::StaffSupport, Holder::StaffSecurity] {
            assert_eq!(seen_by(person(holder)), r#"{"number":"017******01"}"#);
        }
        for whole in [None, person(Holder::Developer), person(Holder::StaffOperator)] {
            assert_eq!(seen_by(whole), r#"{"number":"01712345101"}"#);
        }
    }

    fn one() -> LoggedRequest {
        LoggedRequest {
            account: AccountId(2),
            environment: Environment::Sandbox,
            id: 1,
            key: None,
            address: String::new(),
            method: String::new(),
            path: String::new(),
            query: String::new(),
            status: 200,
            code: String::new(),
            took_us: 0,
            sent: String::new(),
            answered: String::new(),
        }
    }

    #[test]
    fn a_log_is_cut_at_once_and_then_now_and_then() {
        let one = one();
        let mut written = Written::new();
        assert_eq!(cut_due(vec![one.clone()], &mut written).cut.len(), 1);
        assert_eq!(cut_due(vec![one.clone()], &mut written).cut.len(), 0);
        let many = vec![one; limits::REQUESTS_CUT_EVERY as usize];
        assert_eq!(cut_due(many, &mut written).cut.len(), 1);
    }

    #[test]
    fn of_a_busy_account_and_a_busy_node_a_sample_is_kept() {
        let mut kept = KeptNow::default();
        let mut taken =
            |account, second| (0..999).filter(|_| kept.takes(AccountId(account), second)).count();
        assert_eq!([taken(2, 7), taken(3, 7), taken(2, 7)], [20, 20, 0]);
        assert_eq!((4..20).map(|account| taken(account, 7)).sum::<usize>(), 60);
        assert_eq!(taken(2, 8), 20);
    }
}

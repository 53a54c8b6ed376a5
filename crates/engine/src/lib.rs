//! The use cases: quote, purchase, settle, refund, approve and reject, deposit; and the workers.
//!
//! Not here: any dialect, any upstream by name, HTTP servers, SQL. Invariant: only `settle` writes
//! a purchase's state.

mod access;
mod admin;
mod allowance;
mod archive;
mod bills;
mod callback;
mod deposit;
mod halt;
mod in_flight;
mod keys;
pub mod limits;
mod lookup;
mod offers;
mod parts;
mod people;
mod purchase;
mod quote;
mod request;
mod settle;
mod staff;
mod vault;
mod webhooks;
mod worker;

pub use access::{AccessResult, Caller, Quota};
pub use admin::{AccountSetup, NewAccount};
pub use bills::Delivery;
pub use callback::Called;
pub use deposit::BookingNote;
pub use keys::KeyPair;
pub use lookup::PurchaseHistory;
pub use parts::{Parts, PushParts, WebhookParts};
pub use people::{AccessToken, LogIn, PushDevice, SignUp, User};
pub use quote::Quote;
pub use request::{Idempotency, PurchaseOutcome, PurchaseRequest, Replay};
pub use store::{
    DeliveryAttempt, Destination, Endpoint, EndpointHealth, LogPage, LoggedWebhook, Page,
    ReplayScope, StatementLine,
};
pub use vault::{Unreadable, Vault};
pub use webhooks::{EndpointView, NewEndpoint, RenderedEvent, WebhookRenderer};
pub use worker::{PushRenderer, Words, Workers};

use access::CachedKey;
use arc_swap::ArcSwap;
use domain::account::AccountId;
use domain::ids::IdMaker;
use domain::purchase::ReferenceKey;
use domain::upstream::{StatusUpdate, Upstream, UpstreamCode};
use domain::{Catalog, Clock, Environment, Random, Refusal, Timestamp};
use limits::Limiter;
use std::collections::{HashMap, HashSet};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;
use store::{Change, Fault, Halt, Setting, Store};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::task::TaskTracker;

/// The engine: cheap to clone, shared by all faces.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    vault: Vault,
    ids: IdMaker,
    snapshot: ArcSwap<Snapshot>,
    upstreams: HashMap<UpstreamCode, Arc<dyn Upstream>>,
    keys: quick_cache::sync::Cache<String, CachedKey>,
    calls: Limiter<(AccountId, Environment)>,
    allowances: allowance::Allowances,
    failures: Limiter<IpAddr>,
    searches: Limiter<IpAddr>,
    quotes: Limiter<(AccountId, Environment)>,
    people: people::People,
    shown: quick_cache::sync::Cache<offers::Seen, offers::Shown>,
    running: Mutex<HashSet<ReferenceKey>>,
    in_flight: in_flight::InFlight,
    push: Option<PushParts>,
    webhooks: webhooks::Webhooks,
    broken: watch::Sender<Option<String>>,
    halt: RwLock<Option<Halt>>,
    changing: tokio::sync::Mutex<()>,
    /// Until the workers take it.
    updates: Mutex<Option<mpsc::Receiver<StatusUpdate>>>,
    wake: Notify,
    tasks: TaskTracker,
}

/// The catalog with what follows from it.
struct Snapshot {
    catalog: Arc<Catalog>,
    simulated: HashSet<Environment>,
}

impl Engine {
    /// An engine on these parts, with the catalog read from the store. No workers run yet.
    pub fn open(parts: Parts) -> Result<Engine, Fault> {
        let Parts {
            store, clock, random, vault, upstreams, mailer, push, webhooks, updates, ..
        } = parts;
        let catalog = Arc::new(store.catalog()?);
        let halt = RwLock::new(store.halt()?);
        let ids = IdMaker::new(store.highest_id()?);
        let in_flight = in_flight::InFlight::new(clock.monotonic(), store.is_shared());
        let inner = Inner {
            store,
            in_flight,
            push,
            webhooks: webhooks::Webhooks::new(webhooks),
            broken: watch::Sender::new(None),
            halt,
            changing: tokio::sync::Mutex::new(()),
            clock,
            random,
            vault,
            ids,
            snapshot: ArcSwap::from_pointee(Snapshot {
                catalog: catalog.clone(),
                simulated: HashSet::new(),
            }),
            upstreams: upstreams.into_iter().map(|u| (u.code().clone(), u)).collect(),
            keys: quick_cache::sync::Cache::new(limits::KEYS_CACHED),
            calls: Limiter::new(limits::CALLERS_COUNTED),
            allowances: allowance::Allowances::default(),
            failures: Limiter::new(limits::FAILERS_COUNTED),
            searches: Limiter::new(limits::FAILERS_COUNTED),
            quotes: Limiter::new(limits::CALLERS_COUNTED),
            people: people::People::new(mailer),
            shown: quick_cache::sync::Cache::new(limits::OFFERS_CACHED),
            running: Mutex::new(HashSet::new()),
            updates: Mutex::new(Some(updates)),
            wake: Notify::new(),
            tasks: TaskTracker::new(),
        };
        let engine = Engine { inner: Arc::new(inner) };
        engine.swap(catalog);
        Ok(engine)
    }

    /// Whether this is the master key that the store's data is sealed with; an installation that has
    /// none yet takes it for its own.
    pub async fn has_right_master_key(&self) -> Result<bool, Fault> {
        let mark = self.inner.vault.tag("mark", b"master key");
        if let Some(known) = self.inner.store.master_key()? {
            return Ok(known == mark);
        }
        let setting = Setting::MasterKey(mark);
        // Nothing in it can be denied: it needs nothing.
        let _ = self.inner.store.write(Change::Set(vec![setting])).await?;
        Ok(self.inner.store.master_key()? == Some(mark))
    }

    /// The catalog as it is now; swapped whole when it changes.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.inner.snapshot.load().catalog.clone()
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.inner.clock.now()
    }

    /// Whether purchases of this environment are fulfilled by a simulator.
    pub fn is_simulated(&self, environment: Environment) -> bool {
        self.inner.snapshot.load().simulated.contains(&environment)
    }

    /// The store answers; else the fault that keeps it from it.
    pub fn ping(&self) -> Result<(), Fault> {
        self.inner.store.ping()
    }

    /// Resolves when nothing more may be sold: the disk has failed, or the books do not add up.
    pub async fn failed(&self) -> Fault {
        let mut broken = self.inner.broken.subscribe();
        let books = async {
            let says = broken.wait_for(Option::is_some).await.map(|says| says.clone());
            match says {
                Ok(says) => Fault::Corrupt(says.unwrap_or_default()),
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            fault = self.inner.store.failed() => fault,
            fault = books => fault,
        }
    }

    /// The whole audit, off the request path.
    pub async fn audit(&self) -> Result<store::AuditReport, Fault> {
        let engine = self.clone();
        let audit = tokio::task::spawn_blocking(move || engine.inner.store.audit());
        audit.await.map_err(|_| Fault::Closed)?
    }

    /// Copies the store as it is now into a new file, beside everything else that goes on; answers
    /// its bytes (see [`Store::copy_to`]). Blocks: call it off the request path.
    pub fn copy_store_to(&self, file: &Path, is_wanted: &dyn Fn() -> bool) -> Result<u64, Fault> {
        self.inner.store.copy_to(file, is_wanted)
    }

    /// Reads the catalog anew and swaps it in.
    pub(crate) fn reload(&self) -> Result<(), Fault> {
        self.swap(Arc::new(self.inner.store.catalog()?));
        Ok(())
    }

    fn swap(&self, catalog: Arc<Catalog>) {
        let simulated = |environment: &Environment| {
            let routes = catalog.routes.iter().filter(|r| r.environment == *environment);
            routes
                .flat_map(|r| &r.upstreams)
                .filter_map(|code| self.upstream(code))
                .any(|u| u.capabilities().is_simulated)
        };
        let simulated = Environment::ALL.into_iter().filter(simulated).collect();
        self.inner.snapshot.store(Arc::new(Snapshot { catalog, simulated }));
    }

    /// An upstream of a route. The sandbox only ever gets one that plays (RELIABILITY P10),
    /// whatever a route says.
    pub(crate) fn upstream_in(
        &self,
        environment: Environment,
        code: &UpstreamCode,
    ) -> Option<&Arc<dyn Upstream>> {
        let upstream = self.upstream(code)?;
        let fits = match environment {
            Environment::Sandbox => upstream.capabilities().is_simulated,
            Environment::Live => true,
        };
        fits.then_some(upstream)
    }

    /// An upstream that is connected, whatever it is for.
    pub(crate) fn connected(&self, code: &UpstreamCode) -> Option<&Arc<dyn Upstream>> {
        self.upstream(code)
    }

    fn upstream(&self, code: &UpstreamCode) -> Option<&Arc<dyn Upstream>> {
        self.inner.upstreams.get(code)
    }

    /// Time that never steps back.
    pub(crate) fn monotonic(&self) -> Duration {
        self.inner.clock.monotonic()
    }

    /// A new id.
    pub(crate) fn next_id(&self) -> i64 {
        let mut random = [0; 4];
        // Without chance ids are still unique, only evenly spaced.
        let _ = self.inner.random.fill(&mut random);
        self.inner.ids.next(self.inner.store.node(), self.now(), u32::from_le_bytes(random))
    }

    /// What an asker is told of a fault of ours; the fault itself goes to the log.
    pub(crate) fn unavailable(&self, fault: &Fault) -> Refusal {
        match fault {
            Fault::Busy => tracing::warn!(%fault, "refused for load"),
            Fault::Database(_)
            | Fault::Unavailable(_)
            | Fault::Fenced
            | Fault::Uncertain(_)
            | Fault::DiskFull(_)
            | Fault::Disk(_)
            | Fault::Corrupt(_)
            | Fault::Closed => {
                tracing::error!(%fault, "the store could not answer");
            }
        }
        match fault {
            // The commit was under way: it may be on the disk.
            Fault::Disk(_) | Fault::Closed | Fault::Uncertain(_) => Refusal::Uncertain,
            Fault::Busy
            | Fault::Database(_)
            | Fault::Unavailable(_)
            | Fault::Fenced
            | Fault::DiskFull(_)
            | Fault::Corrupt(_) => Refusal::Unavailable { retry_after_s: 2 },
        }
    }
}

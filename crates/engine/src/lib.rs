//! The use cases: quote, purchase, settle, refund, approve and reject, deposit; and the workers.
//!
//! Not here: any dialect, any upstream by name, HTTP servers, SQL. Invariant: only `settle` writes
//! a purchase's state.

mod access;
mod accounts;
mod callback;
mod clock;
mod enquiry;
pub mod limits;
mod lookup;
mod merchant;
mod numbers;
mod parts;
mod people;
mod purchase;
mod quote;
mod rate;
mod refusals;
mod request;
mod settle;
mod staff;
mod upkeep;
mod upstreams;
mod vault;
mod webhooks;
mod worker;

pub use access::PageCaller;
pub use access::Permit;
pub use access::{AccessResult, Caller, Person};
pub use access::{LoggedAs, NamedRequest, NotedBody, RequestNote, RequestOwner, RequestStart};
pub use accounts::{
    AccountSetup, AgreedPlan, Booking, CatalogChange, CommissionPaid, KeyPair, KeyTerms,
    NewAccount, PlanBought, PlanChange, PlanOffer, PlanOrder,
};
pub use callback::CallbackResult;
pub use enquiry::DeliveryDetails;
pub use lookup::{AccountPrice, PurchaseHistory};
pub use merchant::{Activity, NOT_RECEIVED, OperatorSpeed};
pub use parts::{Parts, PushParts, WebhookParts};
pub use people::{
    AccessToken, Confirmation, FactorOffer, Invitation, Invite, JoinForm, KeptForm, LogInForm,
    LogInStep, MerchantForm, PersonCookie, PersonLogIn, PersonSession, PushDevice, SignUpForm,
    UserView,
};
pub use purchase::{KeyInUse, Unrouted};
pub use quote::Quote;
pub use rate::Quota;
pub use request::{Idempotency, PurchaseOutcome, PurchaseRequest, Replay};
pub use store::{
    ActRecord, Audience, Balance, BalanceAlert, DeliveryAttempt, DeliveryFilter, Destination,
    Endpoint, EndpointHealth, ErrorGroup, KeyUse, ListedSession, LogPage, LoggedRequest,
    LoggedWebhook, Page, Payment, PlanPrice, PurchaseFilter, ReplayFilter, ReplayScope,
    RequestFilter, StatementLine, StoredUpstream, Wallet, WebhookReplay,
};
pub use upstreams::{
    ConnectorFactory, FloatAnswer, FloatView, NewUpstream, TriedUpstream, UpstreamChange,
    UpstreamSettings, UpstreamView,
};
pub use vault::{Unreadable, Vault};
pub use webhooks::{AccountEvent, EndpointView, NewEndpoint, RenderedEvent, WebhookRenderer};
pub use worker::{PushRenderer, PushText, Workers};

use access::CachedKey;
use access::Changed;
use arc_swap::ArcSwap;
use clock::{ClockStart, GuardedClock};
use domain::refusal::{StoreRefused, Unavailable, Uncertain};
use domain::{Catalog, Environment, Exchange, PlanTerms, Random, ReferenceKey, StatusUpdate, act};
use enquiry::{OfferKey, ShownOffers};
use parking_lot::{Mutex, RwLock};
use quick_cache::sync::Cache;
use rate::{Allowances, CallerKey, MinuteLimiter};
use serde_json::json;
use std::collections::HashSet;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;
use store::{Fault, Halt, SetAll, Setting, Store};
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::task::TaskTracker;

/// The engine: cheap to clone; all dialects and workers share one.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    store: Store,
    clock: GuardedClock,
    /// The wall clock is the database server's.
    follows_server_clock: bool,
    random: Arc<dyn Random>,
    vault: Vault,
    numbers: numbers::Numbers,
    snapshot: ArcSwap<Snapshot>,
    upstreams: upstreams::Registry,
    keys: Cache<String, CachedKey>,
    /// Uses of key pairs that are not noted yet.
    key_uses: accounts::KeyUses,
    calls: MinuteLimiter<CallerKey>,
    allowances: Allowances,
    failures: MinuteLimiter<IpAddr>,
    searches: MinuteLimiter<IpAddr>,
    quotes: MinuteLimiter<CallerKey>,
    people: people::People,
    offers: Cache<OfferKey, ShownOffers>,
    /// Held while settings are read and swapped in.
    reloading: Mutex<()>,
    /// Idempotency keys that are being worked on.
    running: Mutex<HashSet<ReferenceKey>>,
    in_flight: settle::in_flight::InFlight,
    push: Option<PushParts>,
    webhooks: webhooks::Webhooks,
    /// The sales of the last minutes.
    sales: purchase::RecentSales,
    /// What was refused because it has no route: for metrics, and so that the log says it once.
    unrouted: Mutex<purchase::UnroutedCounts>,
    /// What the audit found wrong.
    audit_failure: watch::Sender<Option<String>>,
    halt: RwLock<Option<Halt>>,
    /// Held while a setting is read, changed and written back.
    settings_lock: tokio::sync::Mutex<()>,
    /// What upstreams have called about, and have not answered yet.
    unanswered: worker::Unanswered,
    /// Until the workers take it.
    updates: Mutex<Option<mpsc::Receiver<StatusUpdate>>>,
    exchanges: Mutex<Option<mpsc::Receiver<Exchange>>>,
    /// Requests that wait for their place in the log.
    requests: access::RequestLog,
    /// A job may be due.
    wake: Notify,
    /// A push may be due.
    push_due: Notify,
    tasks: TaskTracker,
}

/// The catalog with what follows from it, and the terms of plans.
struct Snapshot {
    catalog: Arc<Catalog>,
    plans: Arc<Vec<PlanTerms>>,
    simulated: HashSet<Environment>,
}

impl Engine {
    /// An engine on these parts, with the catalog read from the store. No workers run yet.
    pub fn open(parts: Parts) -> Result<Engine, Fault> {
        let Parts {
            store, clock, random, vault, mailer, push, webhooks, updates, exchanges, ..
        } = parts;
        let follows_server_clock = parts.follows_server_clock && store.is_shared();
        let server_time = if follows_server_clock { store.server_time()? } else { None };
        let start = ClockStart {
            record: store.clock_record()?,
            server_now: server_time.map(|time| time.now),
            is_accepted: parts.is_clock_accepted,
        };
        let clock = GuardedClock::start(clock, start);
        let (catalog, plans) = (Arc::new(store.catalog()?), Arc::new(store.plan_terms()?));
        let built_in =
            upstreams::BuiltIn { upstreams: parts.upstreams, simulate_live: parts.simulates_live };
        let upstreams = upstreams::Registry::new(built_in, parts.connectors);
        upstreams.load(store.upstreams()?, &vault);
        let halt = RwLock::new(store.halt()?);
        let in_flight = settle::in_flight::InFlight::new(clock.monotonic(), store.is_shared());
        let inner = Inner {
            store,
            in_flight,
            push,
            webhooks: webhooks::Webhooks::new(webhooks),
            audit_failure: watch::Sender::new(None),
            halt,
            settings_lock: tokio::sync::Mutex::new(()),
            clock,
            follows_server_clock,
            random,
            vault,
            numbers: numbers::Numbers::default(),
            snapshot: ArcSwap::from_pointee(Snapshot {
                catalog: catalog.clone(),
                plans: plans.clone(),
                simulated: HashSet::new(),
            }),
            upstreams,
            keys: Cache::new(limits::KEYS_CACHED),
            calls: MinuteLimiter::new(limits::CALLERS_COUNTED),
            allowances: Allowances::default(),
            failures: MinuteLimiter::new(limits::FAILERS_COUNTED),
            searches: MinuteLimiter::new(limits::FAILERS_COUNTED),
            quotes: MinuteLimiter::new(limits::CALLERS_COUNTED),
            people: people::People::new(mailer),
            offers: Cache::new(limits::OFFERS_CACHED),
            reloading: Mutex::new(()),
            running: Mutex::new(HashSet::new()),
            sales: purchase::RecentSales::default(),
            unrouted: Mutex::default(),
            unanswered: worker::Unanswered::default(),
            updates: Mutex::new(Some(updates)),
            exchanges: Mutex::new(Some(exchanges)),
            key_uses: accounts::KeyUses::default(),
            requests: access::RequestLog::new(),
            wake: Notify::new(),
            push_due: Notify::new(),
            tasks: TaskTracker::new(),
        };
        let engine = Engine { inner: Arc::new(inner) };
        engine.swap(catalog, plans);
        Ok(engine)
    }

    /// Whether this is the master key that the store's data is sealed with. An installation without
    /// one adopts it.
    pub async fn has_right_master_key(&self, permit: Permit<act::Maintain>) -> Result<bool, Fault> {
        let mark = self.inner.vault.master_key_tag();
        if let Some(known) = self.inner.store.master_key()? {
            return Ok(known == mark);
        }
        let changed = Changed::made("master key", json!({ "adopted": true }));
        self.commit_act(&permit, SetAll(vec![Setting::MasterKey(mark)]), changed).await?;
        Ok(self.inner.store.master_key()? == Some(mark))
    }

    /// The tag of the master key that this engine seals with.
    pub fn master_key_tag(&self) -> [u8; 32] {
        self.inner.vault.master_key_tag()
    }

    /// The current catalog. A change replaces it as a whole.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.inner.snapshot.load().catalog.clone()
    }

    /// Whether purchases of this environment are fulfilled by a simulator.
    pub fn is_simulated(&self, environment: Environment) -> bool {
        self.inner.snapshot.load().simulated.contains(&environment)
    }

    /// Checks that the store answers.
    pub fn ping(&self) -> Result<(), Fault> {
        self.inner.store.ping()
    }

    /// Resolves when nothing more may be sold: the disk has failed, or the ledger does not balance.
    pub async fn failed(&self) -> Fault {
        let mut audit_failure = self.inner.audit_failure.subscribe();
        let unbalanced = async {
            let found = audit_failure.wait_for(Option::is_some).await.map(|found| found.clone());
            match found {
                Ok(found) => Fault::Corrupt(found.unwrap_or_default()),
                Err(_) => std::future::pending().await,
            }
        };
        tokio::select! {
            fault = self.inner.store.failed() => fault,
            fault = unbalanced => fault,
        }
    }

    /// The whole audit, off the request path.
    pub async fn audit(&self) -> Result<store::AuditReport, Fault> {
        self.blocking(Store::audit).await
    }

    /// Copies the store into a new file while everything else continues; answers the file's size in
    /// bytes (see [`Store::copy_to`]). Blocks: call it off the request path.
    pub fn copy_store_to(&self, file: &Path, is_wanted: &dyn Fn() -> bool) -> Result<u64, Fault> {
        self.inner.store.copy_to(file, is_wanted)
    }

    /// Runs `work` on a blocking thread: it may take longer than reading a row.
    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, Fault> {
        let engine = self.clone();
        let working = tokio::task::spawn_blocking(move || work(&engine.inner.store));
        working.await.unwrap_or(Err(Fault::Closed))
    }

    /// As [`Engine::blocking`], with the refusal that a caller gets for a fault of ours.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Store) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, StoreRefused> {
        self.or_unavailable(self.blocking(work).await)
    }

    /// Reads the catalog, the upstreams and the terms of plans again and swaps them in. One at a
    /// time: what was read earlier is not swapped in later.
    pub(crate) fn reload(&self) -> Result<(), Fault> {
        let _reloading = self.inner.reloading.lock();
        self.inner.upstreams.load(self.inner.store.upstreams()?, &self.inner.vault);
        let (catalog, plans) = (self.inner.store.catalog()?, self.inner.store.plan_terms()?);
        self.swap(Arc::new(catalog), Arc::new(plans));
        Ok(())
    }

    fn swap(&self, catalog: Arc<Catalog>, plans: Arc<Vec<PlanTerms>>) {
        let simulated = |environment: &Environment| {
            let routes = catalog.routes.iter().filter(|r| r.environment == *environment);
            routes
                .flat_map(|r| &r.upstreams)
                .filter_map(|code| self.upstream(code))
                .any(|u| u.capabilities().is_simulated)
        };
        let simulated = Environment::ALL.into_iter().filter(simulated).collect();
        self.inner.unrouted.lock().forget_logged();
        self.inner.snapshot.store(Arc::new(Snapshot { catalog, plans, simulated }));
    }

    /// Random bytes; refuses if the system gives none.
    pub(crate) fn random_bytes<const N: usize>(&self) -> Result<[u8; N], Unavailable> {
        let mut random = [0; N];
        let filled = self.inner.random.fill(&mut random);
        filled.map(|()| random).map_err(|_| Unavailable { retry_after_s: 5 })
    }

    /// A text sealed for a purpose and a row ([`Vault::seal`]); refuses without randomness.
    pub(crate) fn sealed(
        &self,
        purpose: &str,
        row: &str,
        text: &[u8],
    ) -> Result<Vec<u8>, Unavailable> {
        let sealed = self.inner.vault.seal(purpose, row, text, self.inner.random.as_ref());
        sealed.map_err(|_| Unavailable { retry_after_s: 5 })
    }

    /// The value, or the refusal that a caller gets for a fault of ours.
    pub(crate) fn or_unavailable<T>(&self, result: Result<T, Fault>) -> Result<T, StoreRefused> {
        result.map_err(|fault| self.unavailable(&fault))
    }

    /// The refusal that a caller gets for a fault of ours; the fault itself goes to the log, which
    /// counts it (the target `counted`), because every request may meet it.
    pub(crate) fn unavailable(&self, fault: &Fault) -> StoreRefused {
        if matches!(fault, Fault::Busy) {
            tracing::warn!(target: "counted", code = %fault, "refused for load");
        } else {
            tracing::error!(target: "counted", code = %fault, "the store could not answer");
        }
        match fault {
            // The commit was under way: it may be on the disk.
            Fault::Disk(_) | Fault::Closed | Fault::Uncertain(_) => Uncertain.into(),
            Fault::Busy
            | Fault::Database(_)
            | Fault::Unavailable(_)
            | Fault::Fenced
            | Fault::DiskFull(_)
            | Fault::Corrupt(_) => Unavailable { retry_after_s: 2 }.into(),
        }
    }
}

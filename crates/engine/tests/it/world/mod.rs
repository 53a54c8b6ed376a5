//! What the tests share: an engine on a real store, a clock that they move, upstreams that they
//! script, a merchant with money.

mod clock;
mod database;
mod outcomes;
mod permitted;
mod upstream;

pub use clock::{CountingRandom, TestClock};
pub use database::TestDatabase;
pub use domain::refusal::*;
pub use fixtures::{AMOUNT, COMMISSION, FEE, NOW, TOTAL, bdt, details};
pub use outcomes::*;
pub use permitted::{Note, TestEngine};
pub use upstream::{CAPABILITIES, Call, GRACE, Reply, ScriptedFactory, ScriptedUpstream};

use domain::account::HOUSE;
use domain::ids::KeyId;
use domain::{
    AccountId, AttemptRef, Catalog, Currency, Details, DuplicatePolicy, EnquiryOutcome,
    Environment, Kind, Listener, Mailer, Plan, Purchase, PurchaseId, Reason, ReferenceScope, Role,
    Route, ServiceType, State, StatusUpdate, Upstream,
};
use engine::{
    Caller, Engine, NewAccount, Parts, PurchaseOutcome, PurchaseRequest, PushParts, Vault,
    WebhookParts, Workers,
};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use store::Store;
use tokio::task::JoinHandle;

/// What the merchant has in each environment, in poisha.
pub const START: i64 = 1_000_000;

// A number's last digit decides which upstreams its purchases are routed to.
pub const TO_A: &str = "01712345671";
pub const TO_A_B: &str = "01712345672";
pub const TO_A_B_C: &str = "01712345673";
const TO_C: &str = "01712345677";
pub const TO_A_AFTER_APPROVAL: &str = "01712345678";
/// The route names an upstream that does not exist.
pub const TO_NOBODY: &str = "01712345679";

pub struct World {
    pub engine: TestEngine,
    pub clock: Arc<TestClock>,
    pub a: Arc<ScriptedUpstream>,
    pub b: Arc<ScriptedUpstream>,
    pub c: Arc<ScriptedUpstream>,
    pub merchant: AccountId,
    pub factory: Arc<ScriptedFactory>,
    pub database: Arc<TestDatabase>,
    pub listener: Arc<dyn Listener>,
}

/// A house, a merchant with [`START`] in each environment, the catalog, three upstreams.
pub async fn world() -> World {
    world_with(Arc::default(), Services::default()).await
}

/// What an engine calls besides its upstreams.
#[derive(Default)]
pub struct Services {
    pub mailer: Option<Arc<dyn Mailer>>,
    pub push: Option<PushParts>,
    pub webhooks: Option<WebhookParts>,
    pub is_clock_accepted: bool,
    /// Live orders go to no upstream that is simulated.
    pub sells_for_real: bool,
}

/// As [`world`], with these services.
pub async fn world_with(clock: Arc<TestClock>, services: Services) -> World {
    let database = Arc::new(TestDatabase::new());
    let store = database.open();
    let mut world = started_on(store, database, clock, services);
    world.engine.open_house("House").await.unwrap();
    world.engine.set_catalog(catalog()).await.unwrap();
    world.merchant = world.account("merchant").await;
    world
}

/// An engine on an existing database, as after a start of the process.
pub fn started(database: Arc<TestDatabase>, clock: Arc<TestClock>) -> World {
    started_with(database, clock, Services::default())
}

/// As [`started`], with these services.
pub fn started_with(
    database: Arc<TestDatabase>,
    clock: Arc<TestClock>,
    services: Services,
) -> World {
    let store = database.open();
    started_on(store, database, clock, services)
}

/// As [`started_with`], with this store, which the test has opened on `database`.
pub fn started_on(
    store: Store,
    database: Arc<TestDatabase>,
    clock: Arc<TestClock>,
    services: Services,
) -> World {
    let random = Arc::new(CountingRandom::default());
    let mut parts = Parts::new(store, clock.clone(), random, Vault::new(&[7; 32]));
    (parts.mailer, parts.push, parts.webhooks) =
        (services.mailer, services.push, services.webhooks);
    parts.is_clock_accepted = services.is_clock_accepted;
    let [a, b, c] = ["a", "b", "c"].map(|code| ScriptedUpstream::new(code, clock.clone()));
    parts.simulates_live = !services.sells_for_real;
    parts.upstreams = [&a, &b, &c].map(|u| u.clone() as Arc<dyn Upstream>).into();
    let factory = ScriptedFactory::new(clock.clone());
    parts.connectors = Some(factory.clone());
    let listener = parts.listener();
    let engine = TestEngine(Engine::open(parts).unwrap());
    for upstream in [&a, &b, &c] {
        upstream.watch(Some(engine.0.clone()));
    }
    World { engine, clock, a, b, c, factory, merchant: AccountId(0), database, listener }
}

impl World {
    /// Opens a merchant's account with [`START`] in each environment.
    pub async fn account(&self, name: &str) -> AccountId {
        let new = NewAccount {
            role: Role::Merchant,
            name,
            subscription: Some(fixtures::subscription()),
            currencies: &[Currency::BDT],
        };
        let account = self.engine.open_account(new).await.unwrap();
        for environment in Environment::ALL {
            let reference = format!("start {account}");
            let note = Note { reference: &reference, note: "to begin with" };
            self.engine
                .fund(Reason::Deposit, account, environment, bdt(START), note)
                .await
                .unwrap();
        }
        account
    }

    /// From now on staff decide about every purchase.
    pub async fn leave_to_staff(&self) {
        let routes = catalog().routes.into_iter();
        let routes = routes.map(|route| Route { needs_approval: true, ..route }).collect();
        self.engine.set_catalog(Catalog { routes, ..catalog() }).await.unwrap();
    }

    pub fn caller(&self) -> Caller {
        self.caller_of(self.merchant)
    }

    pub fn caller_of(&self, account: AccountId) -> Caller {
        Caller {
            account,
            environment: Environment::Live,
            key: Some(KeyId(1)),
            session: None,
            plan: Some(Plan::BUSINESS),
            person: None,
            is_approved: true,
            duplicates: DuplicatePolicy::Mark,
            scopes: domain::KeyScopes::ALL,
        }
    }

    pub fn request(&self, reference: &str, recipient: &str) -> PurchaseRequest {
        PurchaseRequest {
            caller: self.caller(),
            scope: ReferenceScope::Irecharge,
            kind: Kind::Recharge,
            operator: "GP".to_owned(),
            product: None,
            recipient: recipient.to_owned(),
            service_type: ServiceType::Prepaid,
            amount: bdt(AMOUNT),
            reference: reference.to_owned(),
            details: Details::new(),
            webhook_url: None,
            digest: None,
            allow_duplicate: false,
            idempotency: None,
        }
    }

    /// A request for the catalog's only product, a bill.
    pub fn bill(&self, reference: &str, meter: &str) -> PurchaseRequest {
        PurchaseRequest {
            kind: Kind::Bill,
            operator: "TT".to_owned(),
            product: Some("power".to_owned()),
            digest: Some([1; 32]),
            scope: ReferenceScope::Rechargely,
            ..self.request(reference, meter)
        }
    }

    pub async fn buy(&self, reference: &str, recipient: &str) -> Purchase {
        bought(self.engine.purchase(self.request(reference, recipient)).await)
    }

    /// Buys once, and is refused once, so that the number of the next purchase is there already:
    /// no commit is needed for it.
    pub async fn keep_a_number(&self, recipient: &str) {
        self.buy("kept", recipient).await;
        let again = self.engine.purchase(self.request("kept", recipient)).await;
        assert!(again.is_err(), "{again:?}");
    }

    /// Buys in a task of its own.
    pub fn spawn_purchase(
        &self,
        request: PurchaseRequest,
    ) -> JoinHandle<Result<PurchaseOutcome, BuyRefused>> {
        let engine = self.engine.clone();
        tokio::spawn(async move { engine.purchase(request).await })
    }

    /// The purchase that was opened last.
    pub fn latest(&self) -> PurchaseId {
        self.engine.latest_purchases(None, 1).unwrap()[0].key.id
    }

    /// The purchase as it is stored now.
    pub fn stored(&self, id: PurchaseId) -> Purchase {
        self.engine.history(id.number()).unwrap().unwrap().purchase
    }

    pub fn state(&self, id: PurchaseId) -> State {
        self.stored(id).state
    }

    /// The merchant's live wallet: available, held, commission.
    pub fn wallet(&self) -> (i64, i64, i64) {
        self.wallet_of(self.merchant)
    }

    pub fn wallet_of(&self, account: AccountId) -> (i64, i64, i64) {
        let wallets = self.engine.wallets(account).unwrap();
        let live = wallets.iter().find(|w| w.environment == Environment::Live).unwrap();
        (live.available.minor(), live.held.minor(), live.commission.minor())
    }

    /// The live balance of a ledger account of the house: a float, the fees, …
    pub fn house_balance(&self, purpose: &str, upstream: &str) -> i64 {
        let sum = format!(
            "SELECT coalesce(sum(balance), 0) FROM ledger_accounts
             WHERE account_id = {} AND environment = 'live' AND purpose = '{purpose}'
               AND upstream = '{upstream}'",
            HOUSE.0
        );
        self.database.sql(&sum)[0].parse().unwrap()
    }

    /// A purchase's record as text: state, attempts, evidence, events, open cases.
    pub fn summary(&self, id: PurchaseId) -> String {
        let history = self.engine.history(id.number()).unwrap().unwrap();
        let mut out = format!("{} v{}\n", history.purchase.state.code(), history.purchase.version);
        for a in &history.attempts {
            let text = a.text.as_ref().map_or(String::new(), |t| format!(": {t}"));
            out += &format!(
                "attempt {} {} {}{text}\n",
                a.number,
                a.upstream,
                a.outcome.as_deref().unwrap_or("-")
            );
        }
        for e in &history.evidence {
            let text = e.text.as_ref().map_or(String::new(), |t| format!(": {t}"));
            out += &format!("{} said {}{text}\n", e.source, e.word);
        }
        for e in &history.events {
            out += &format!("event {} {}\n", e.sequence, e.state.code());
        }
        for case in self.engine.open_cases().unwrap().iter().filter(|c| c.key.id == id) {
            out += &format!("case {}: {}\n", case.why, case.text);
        }
        out
    }

    /// Runs the workers until `is_done`, then stops them, which waits for calls in flight.
    pub async fn work_until(&self, is_done: impl FnMut() -> bool) {
        let workers = self.engine.start_workers().await.unwrap();
        until(is_done).await;
        stop(workers).await;
    }

    /// Runs the workers until they have sent `upstream` at least `count` more enquiries.
    pub async fn enquire(&self, upstream: &ScriptedUpstream, count: usize) {
        let before = upstream.count(Call::Enquire);
        self.work_until(|| upstream.count(Call::Enquire) >= before + count).await;
    }

    /// An upstream reports an outcome that it was not asked for.
    pub fn report(&self, id: PurchaseId, number: u32, outcome: EnquiryOutcome) {
        let attempt = AttemptRef { purchase: id.number(), number };
        self.listener.on_update(StatusUpdate { attempt, outcome });
    }

    /// Waits until every earlier status update was processed. They are processed in order, so it
    /// reports one more, on a purchase of its own, and waits for that.
    pub async fn all_reports_processed(&self, reference: &str) {
        self.c.on_submit(|_| Reply::With(unknown()));
        let last = self.buy(reference, TO_C).await;
        assert_eq!(last.state, State::InDoubt);
        self.report(last.key.id, 1, delivered());
        until(|| self.state(last.key.id) == State::Delivered).await;
    }

    /// Every order was on record at its submit, no attempt was sent twice, the ledger adds up.
    pub async fn assert_sound(&self) -> store::AuditReport {
        let mut submits = HashMap::new();
        for upstream in [&self.a, &self.b, &self.c] {
            upstream.assert_sound(&mut submits);
        }
        let twice: Vec<_> = submits.iter().filter(|(_, n)| **n > 1).collect();
        assert!(twice.is_empty(), "sent twice: {twice:?}");
        let report = self.engine.audit().await.unwrap();
        assert_eq!((report.findings_count, &report.findings), (0, &Vec::new()));
        assert!(report.sums.values().all(|sum| *sum == 0), "{:?}", report.sums);
        report
    }

    /// Drops the engine, so that another one can be started on its database.
    pub fn closed(self) -> (Arc<TestDatabase>, Arc<TestClock>, AccountId) {
        for upstream in [&self.a, &self.b, &self.c] {
            upstream.watch(None);
        }
        (self.database, self.clock, self.merchant)
    }
}

pub fn bought(outcome: Result<PurchaseOutcome, BuyRefused>) -> Purchase {
    match outcome.unwrap() {
        PurchaseOutcome::Bought { purchase, .. } => *purchase,
        PurchaseOutcome::Repeated { purchase, .. } => panic!("bought before: {purchase:?}"),
    }
}

pub async fn until(mut is_done: impl FnMut() -> bool) {
    for _ in 0..4_000 {
        if is_done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("still not done after 20 s");
}

pub async fn stop(workers: Workers) {
    workers.stop(Duration::from_secs(20)).await;
}

pub fn catalog() -> Catalog {
    let to = |id, digit: &str, upstreams: &[&str]| Route {
        product: None,
        account: None,
        recipient_ends: Some(digit.to_owned()),
        ..fixtures::route(id, upstreams)
    };
    let routes = vec![
        to(1, "1", &["a"]),
        to(2, "2", &["a", "b"]),
        to(3, "3", &["a", "b", "c"]),
        to(6, "7", &["c"]),
        Route { needs_approval: true, ..to(4, "8", &["a"]) },
        to(5, "9", &["nobody"]),
        Route { environment: Environment::Sandbox, ..fixtures::route(101, &["c"]) },
    ];
    Catalog { routes, ..fixtures::catalog() }
}

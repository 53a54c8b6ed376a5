//! What the tests share: a clock that they move, upstreams that they script, a merchant with money.

use crate::home::Home;
use domain::account::{AccountId, Environment, HOUSE, Plan, Role, Subscription};
use domain::catalog::kind::{Kind, ServiceType};
use domain::catalog::number::Numbering;
use domain::catalog::pricing::{PriceComponent, PriceRule};
use domain::catalog::product::{
    BillFormat, Category, CategoryId, Field, Part, Pricing, Product, ProductId, ReceiptLine,
};
use domain::catalog::routing::Route;
use domain::catalog::{AmountRange, Catalog, Country, OfferForm, Operator, Service};
use domain::clock::{Clock, NoRandom, Random, Timestamp};
use domain::ids::KeyId;
use domain::ledger::journal::Reason;
use domain::mail::Mailer;
use domain::money::{Currency, Money};
use domain::purchase::lifecycle::State;
use domain::purchase::{Details, Purchase, ReferenceScope};
use domain::upstream::{
    AttemptRef, BillAnswer, BillEnquiry, BoxFuture, Callback, CallbackRead, Capabilities, Listener,
    NoOffers, Offer, OfferEnquiry, Order, Outcome, StatusUpdate, Upstream, UpstreamCode,
};
use domain::{PurchaseId, Refusal};
use engine::{
    BookingNote, Caller, Engine, NewAccount, Parts, PurchaseOutcome, PurchaseRequest, PushParts,
    Vault, WebhookParts, Workers,
};
use std::collections::HashMap;
use std::future;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use store::Store;
use tokio::sync::Semaphore;

/// 2026-04-23T12:00:00Z.
pub const NOW: Timestamp = Timestamp(1_776_945_600_000_000);
pub const START: i64 = 1_000_000;
pub const AMOUNT: i64 = 1_000;
pub const FEE: i64 = 50;
pub const COMMISSION: i64 = 150;
pub const TOTAL: i64 = AMOUNT + FEE;
/// "Not found" is believed after this.
pub const GRACE: Duration = Duration::from_secs(60);

// Where a number's purchases go, by its last digit.
pub const TO_A: &str = "01712345671";
pub const TO_A_B: &str = "01712345672";
pub const TO_A_B_C: &str = "01712345673";
const TO_C: &str = "01712345677";
pub const TO_A_AFTER_APPROVAL: &str = "01712345678";
pub const TO_NOBODY: &str = "01712345679";

#[derive(Debug, Default)]
pub struct TestClock {
    micros: AtomicI64,
    creeps: AtomicI64,
}

impl TestClock {
    pub fn advance(&self, span: Duration) {
        self.micros.fetch_add(i64::try_from(span.as_micros()).unwrap(), Ordering::SeqCst);
    }

    /// From now on it advances by so much each time it is looked at.
    pub fn creep(&self, span: Duration) {
        self.creeps.store(i64::try_from(span.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        NOW.after(self.monotonic())
    }

    fn monotonic(&self) -> Duration {
        let creeps = self.creeps.load(Ordering::SeqCst);
        let micros = self.micros.fetch_add(creeps, Ordering::SeqCst);
        Duration::from_micros(u64::try_from(micros).unwrap())
    }
}

#[derive(Debug, Default)]
pub struct Counted(AtomicU64);

impl Random for Counted {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandom> {
        for byte in bytes {
            let n = self.0.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
            *byte = ((n ^ (n >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 56) as u8;
        }
        Ok(())
    }
}

/// How a scripted upstream answers.
pub enum Reply {
    Say(Outcome),
    /// Never.
    Hang,
    Panic,
    /// Once the test lets it.
    When(Arc<Semaphore>, Outcome),
}

type Script = Arc<dyn Fn(&Order) -> Reply + Send + Sync>;
type Bills = Arc<dyn Fn(&BillEnquiry) -> BillAnswer + Send + Sync>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum What {
    Submit,
    Enquire,
}

/// An upstream that does what the test says, and writes down what it was asked.
pub struct Scripted {
    code: UpstreamCode,
    on_submit: Mutex<Script>,
    on_enquire: Mutex<Script>,
    bills: Mutex<Bills>,
    pub offers: Mutex<Result<Vec<Offer>, NoOffers>>,
    calls: Mutex<Vec<(What, AttemptRef, Timestamp)>>,
    wrongs: Mutex<Vec<String>>,
    engine: Mutex<Option<Engine>>,
    clock: Arc<TestClock>,
}

impl Scripted {
    fn new(code: &str, clock: Arc<TestClock>) -> Arc<Scripted> {
        let deliver: Script = Arc::new(|_| Reply::Say(delivered()));
        Arc::new(Scripted {
            code: UpstreamCode::new(code),
            on_submit: Mutex::new(deliver.clone()),
            on_enquire: Mutex::new(deliver),
            bills: Mutex::new(Arc::new(|_| BillAnswer::Unknown)),
            offers: Mutex::new(Ok(Vec::new())),
            calls: Mutex::default(),
            wrongs: Mutex::default(),
            engine: Mutex::default(),
            clock,
        })
    }

    pub fn on_submit(&self, script: impl Fn(&Order) -> Reply + Send + Sync + 'static) {
        *self.on_submit.lock().unwrap() = Arc::new(script);
    }

    /// Says whom bill references belong to; without it nobody is known.
    pub fn on_look_up(&self, script: impl Fn(&BillEnquiry) -> BillAnswer + Send + Sync + 'static) {
        *self.bills.lock().unwrap() = Arc::new(script);
    }

    pub fn on_enquire(&self, script: impl Fn(&Order) -> Reply + Send + Sync + 'static) {
        *self.on_enquire.lock().unwrap() = Arc::new(script);
    }

    pub fn answers(&self, submit: Outcome, enquiry: Outcome) {
        self.on_submit(move |_| Reply::Say(submit.clone()));
        self.on_enquire(move |_| Reply::Say(enquiry.clone()));
    }

    pub fn count(&self, what: What) -> usize {
        self.calls.lock().unwrap().iter().filter(|(w, ..)| *w == what).count()
    }

    /// When it was asked, in seconds since the start.
    pub fn asked_at_s(&self) -> Vec<u64> {
        let calls = self.calls.lock().unwrap();
        let asked = calls.iter().filter(|(what, ..)| *what == What::Enquire);
        asked.map(|(_, _, at)| at.since(NOW).as_secs()).collect()
    }

    fn note(&self, what: What, order: &Order) {
        self.calls.lock().unwrap().push((what, order.attempt, self.clock.now()));
    }

    /// What must be on record before the first byte goes out.
    fn look(&self, order: &Order) {
        let Some(engine) = self.engine.lock().unwrap().clone() else { return };
        let history = engine.history(order.attempt.purchase).unwrap();
        let seen = history.as_ref().map(|history| {
            let last = history.attempts.last().unwrap();
            let purchase = &history.purchase;
            (purchase.state, purchase.attempts, last.number, &last.upstream, &last.outcome)
        });
        let number = order.attempt.number;
        if seen != Some((State::Sent, number, number, &self.code, &None)) {
            self.wrongs.lock().unwrap().push(format!("{} at submit: {seen:?}", order.attempt));
        }
    }

    async fn reply(&self, reply: Reply) -> Outcome {
        match reply {
            Reply::Say(outcome) => outcome,
            Reply::Hang => future::pending().await,
            Reply::Panic => panic!("the connector has a bug"),
            Reply::When(gate, outcome) => {
                gate.acquire().await.unwrap().forget();
                outcome
            }
        }
    }
}

impl Upstream for Scripted {
    fn code(&self) -> &UpstreamCode {
        &self.code
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            not_found_final_after: GRACE,
            quotes_offers: true,
            looks_up_bills: true,
            is_simulated: true,
        }
    }

    fn submit<'a>(&'a self, order: &'a Order) -> BoxFuture<'a, Outcome> {
        self.note(What::Submit, order);
        self.look(order);
        let script = self.on_submit.lock().unwrap().clone();
        Box::pin(async move { self.reply(script(order)).await })
    }

    fn enquire<'a>(&'a self, order: &'a Order) -> BoxFuture<'a, Outcome> {
        self.note(What::Enquire, order);
        let script = self.on_enquire.lock().unwrap().clone();
        Box::pin(async move { self.reply(script(order)).await })
    }

    fn look_up<'a>(&'a self, enquiry: &'a BillEnquiry) -> BoxFuture<'a, BillAnswer> {
        let answer = self.bills.lock().unwrap()(enquiry);
        Box::pin(async move { answer })
    }

    /// Vouches for `genuine S1-1 what it says`; upstream c calls nobody.
    fn read_callback(&self, callback: &Callback) -> CallbackRead {
        if self.code.as_str() == "c" {
            return CallbackRead::NotOffered;
        }
        let text = String::from_utf8(callback.body.clone()).unwrap();
        let words: Vec<&str> = text.splitn(3, ' ').collect();
        match words[..] {
            ["genuine", attempt, says] => CallbackRead::Genuine {
                attempt: AttemptRef::parse(attempt).unwrap(),
                text: says.to_owned(),
            },
            _ => CallbackRead::Forged { reason: "no signature".to_owned() },
        }
    }

    fn offers<'a>(&'a self, _: &'a OfferEnquiry) -> BoxFuture<'a, Result<Vec<Offer>, NoOffers>> {
        let offers = self.offers.lock().unwrap().clone();
        Box::pin(async move { offers })
    }
}

pub struct World {
    pub engine: Engine,
    pub clock: Arc<TestClock>,
    pub a: Arc<Scripted>,
    pub b: Arc<Scripted>,
    pub c: Arc<Scripted>,
    pub merchant: AccountId,
    pub home: Arc<Home>,
    pub listener: Arc<dyn Listener>,
}

/// A house, a merchant with [`START`] in each environment, the catalog, three upstreams.
pub async fn world() -> World {
    world_with(Arc::default(), Services::default()).await
}

/// What an engine of a test calls besides its upstreams.
#[derive(Default)]
pub struct Services {
    pub mailer: Option<Arc<dyn Mailer>>,
    pub push: Option<PushParts>,
    pub webhooks: Option<WebhookParts>,
}

/// The same, with these services.
pub async fn world_with(clock: Arc<TestClock>, services: Services) -> World {
    let home = Arc::new(Home::new());
    let store = home.open();
    let mut world = started_on(store, home, clock, services);
    world.engine.open_house("House").await.unwrap();
    world.engine.set_catalog(catalog()).await.unwrap();
    world.merchant = world.account("merchant").await;
    world
}

/// An engine on what the home holds, as after a start of the process.
pub fn started(home: Arc<Home>, clock: Arc<TestClock>) -> World {
    started_with(home, clock, Services::default())
}

/// The same, with these services.
pub fn started_with(home: Arc<Home>, clock: Arc<TestClock>, services: Services) -> World {
    let store = home.open();
    started_on(store, home, clock, services)
}

pub fn started_on(
    store: Store,
    home: Arc<Home>,
    clock: Arc<TestClock>,
    services: Services,
) -> World {
    let random = Arc::new(Counted::default());
    let mut parts = Parts::new(store, clock.clone(), random, Vault::new(&[7; 32]));
    (parts.mailer, parts.push, parts.webhooks) =
        (services.mailer, services.push, services.webhooks);
    let [a, b, c] = ["a", "b", "c"].map(|code| Scripted::new(code, clock.clone()));
    parts.upstreams = [&a, &b, &c].map(|u| u.clone() as Arc<dyn Upstream>).into();
    let listener = parts.listener();
    let engine = Engine::open(parts).unwrap();
    for upstream in [&a, &b, &c] {
        *upstream.engine.lock().unwrap() = Some(engine.clone());
    }
    World { engine, clock, a, b, c, merchant: AccountId(0), home, listener }
}

impl World {
    pub async fn account(&self, name: &str) -> AccountId {
        let subscription = Some(Subscription {
            plan: Plan::Business,
            until: NOW.after(Duration::from_secs(1 << 30)),
        });
        let currencies = &[Currency::BDT];
        let new = NewAccount { role: Role::Merchant, name, subscription, currencies };
        let account = self.engine.open_account(new).await.unwrap();
        for environment in Environment::ALL {
            let paper = BookingNote { reference: "start", by: "rahim", note: "to begin with" };
            let place = (account, environment);
            self.engine.fund(Reason::Deposit, place, bdt(START), paper).await.unwrap();
        }
        account
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
            plan: Some(Plan::Business),
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
            idempotency: None,
        }
    }

    /// A bill of the catalog's only product.
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

    pub fn now(&self, id: PurchaseId) -> Purchase {
        self.engine.history(id).unwrap().unwrap().purchase
    }

    pub fn state(&self, id: PurchaseId) -> State {
        self.now(id).state
    }

    /// Available, held, commission, in the live environment.
    pub fn wallet(&self) -> (i64, i64, i64) {
        self.wallet_of(self.merchant)
    }

    pub fn wallet_of(&self, account: AccountId) -> (i64, i64, i64) {
        let wallets = self.engine.wallets(account).unwrap();
        let live = wallets.iter().find(|w| w.environment == Environment::Live).unwrap();
        (live.available.minor(), live.held.minor(), live.commission.minor())
    }

    /// The live balance of a ledger account of the house: a float, the fees, …
    pub fn house(&self, purpose: &str, upstream: &str) -> i64 {
        let sum = format!(
            "SELECT coalesce(sum(balance), 0) FROM ledger_accounts WHERE account_id = {} AND environment = 'live' AND purpose = '{purpose}' AND upstream = '{upstream}'",
            HOUSE.0
        );
        self.home.sql(&sum)[0].parse().unwrap()
    }

    /// All that is told about a purchase: state, attempts, evidence, events, open cases.
    pub fn told(&self, id: PurchaseId) -> String {
        let history = self.engine.history(id).unwrap().unwrap();
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

    /// Runs the workers until `is_done`, then stops them, which waits for what is under way.
    pub async fn work_until(&self, is_done: impl FnMut() -> bool) {
        let workers = self.engine.start_workers().await.unwrap();
        until(is_done).await;
        stop(workers).await;
    }

    /// Has the workers ask `upstream` once more at least `times`.
    pub async fn ask(&self, upstream: &Scripted, times: usize) {
        let before = upstream.count(What::Enquire);
        self.work_until(|| upstream.count(What::Enquire) >= before + times).await;
    }

    pub fn hear(&self, id: PurchaseId, number: u32, outcome: Outcome) {
        let attempt = AttemptRef { purchase: id, number };
        self.listener.on_update(StatusUpdate { attempt, outcome });
    }

    /// Words are taken in order: once this one's purchase has moved, all before were taken.
    pub async fn all_heard(&self, reference: &str) {
        self.c.on_submit(|_| Reply::Say(unknown()));
        let last = self.buy(reference, TO_C).await;
        assert_eq!(last.state, State::InDoubt);
        self.hear(last.key.id, 1, delivered());
        until(|| self.state(last.key.id) == State::Delivered).await;
    }

    /// Nothing was wrong at any submit, no attempt was sent twice, the books add up.
    pub async fn assert_sound(&self) -> store::AuditReport {
        let mut sent = HashMap::<AttemptRef, usize>::new();
        for upstream in [&self.a, &self.b, &self.c] {
            assert_eq!(*upstream.wrongs.lock().unwrap(), Vec::<String>::new());
            for (what, attempt, _) in upstream.calls.lock().unwrap().iter() {
                *sent.entry(*attempt).or_default() += usize::from(*what == What::Submit);
            }
        }
        let twice: Vec<_> = sent.iter().filter(|(_, n)| **n > 1).collect();
        assert!(twice.is_empty(), "sent twice: {twice:?}");
        let report = self.engine.audit().await.unwrap();
        assert_eq!((report.findings_count, &report.findings), (0, &Vec::new()));
        assert!(report.sums.values().all(|sum| *sum == 0), "{:?}", report.sums);
        report
    }

    /// Lets go of the engine, so that another can be started on its home.
    pub fn closed(self) -> (Arc<Home>, Arc<TestClock>, AccountId) {
        for upstream in [&self.a, &self.b, &self.c] {
            *upstream.engine.lock().unwrap() = None;
        }
        (self.home, self.clock, self.merchant)
    }
}

pub fn bought(receipt: Result<PurchaseOutcome, Refusal>) -> Purchase {
    match receipt.unwrap() {
        PurchaseOutcome::Bought(purchase) => *purchase,
        PurchaseOutcome::Before { purchase, .. } => panic!("bought before: {purchase:?}"),
    }
}

pub async fn until(mut is_done: impl FnMut() -> bool) {
    for _ in 0..4_000 {
        if is_done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("waited 20 s in vain");
}

pub async fn stop(workers: Workers) {
    workers.stop(Duration::from_secs(20)).await;
}

pub const fn bdt(minor: i64) -> Money {
    Money::new(minor, Currency::BDT)
}

pub fn delivered() -> Outcome {
    let text = "Recharge is successful. Your new balance is 6814.64 TAKA.".to_owned();
    Outcome::Delivered { reference: Some("R26".to_owned()), text: Some(text), slip: None }
}

pub fn refused() -> Outcome {
    Outcome::Refused { reason: "no such number".to_owned(), try_elsewhere: false }
}

pub fn elsewhere() -> Outcome {
    Outcome::Refused { reason: "we are out of stock".to_owned(), try_elsewhere: true }
}

pub fn not_sent() -> Outcome {
    Outcome::NotSent { reason: "connection refused".to_owned() }
}

pub fn reversed() -> Outcome {
    Outcome::Reversed { reason: "taken back".to_owned() }
}

pub fn unknown() -> Outcome {
    Outcome::Unknown { reason: "no answer".to_owned() }
}

pub fn unaskable() -> Outcome {
    Outcome::Unaskable { reason: "it has no enquiry".to_owned() }
}

/// Every outcome, with a name for tables.
pub fn outcomes() -> [(&'static str, Outcome); 9] {
    [
        ("delivered", delivered()),
        ("accepted", Outcome::Accepted { reference: Some("R26".to_owned()) }),
        ("refused", refused()),
        ("elsewhere", elsewhere()),
        ("not_sent", not_sent()),
        ("not_found", Outcome::NotFound),
        ("reversed", reversed()),
        ("unknown", unknown()),
        ("unaskable", unaskable()),
    ]
}

pub fn catalog() -> Catalog {
    let numbering =
        Numbering { calling_code: "880".into(), trunk: "0".into(), length: 10, begins: "1".into() };
    let country = Country {
        code: "BD".into(),
        name: "Bangladesh".into(),
        currency: Currency::BDT,
        numbering,
    };
    let operator = |id, code: &str, offers| Operator {
        id,
        code: code.into(),
        aliases: Vec::new(),
        name: code.into(),
        country: "BD".into(),
        service: Service::MobileRecharge,
        logo: "x.svg".into(),
        prefixes: vec!["017".into()],
        prepaid: Some(AmountRange { min: bdt(100), max: bdt(1_000_000) }),
        postpaid: None,
        offers,
        is_active: true,
    };
    let rule = |id, component, kind, flat, share_ppm| PriceRule {
        id,
        component,
        account: None,
        plan: None,
        operator: None,
        kind: Some(kind),
        from: None,
        until: None,
        flat: bdt(flat),
        share_ppm,
        min: None,
        max: None,
    };
    let route = |id, ends: &str, upstreams: &[&str]| Route {
        id,
        environment: if id > 100 { Environment::Sandbox } else { Environment::Live },
        operator: None,
        kind: None,
        recipient_ends: (!ends.is_empty()).then(|| ends.to_owned()),
        upstreams: upstreams.iter().map(|code| UpstreamCode::new(code)).collect(),
        needs_approval: ends == "8",
    };
    Catalog {
        countries: vec![country],
        operators: vec![
            operator(1, "GP", Some(OfferForm::Campaign)),
            operator(2, "RB", Some(OfferForm::Ticket)),
            operator(3, "TT", None),
        ],
        prices: vec![
            rule(1, PriceComponent::Fee, Kind::Recharge, FEE, 0),
            rule(2, PriceComponent::Commission, Kind::Recharge, COMMISSION, 0),
            rule(3, PriceComponent::Fee, Kind::Offer, 0, 5_000),
            rule(4, PriceComponent::Commission, Kind::Offer, 0, 15_000),
        ],
        categories: vec![category()],
        products: vec![power()],
        routes: vec![
            route(1, "1", &["a"]),
            route(2, "2", &["a", "b"]),
            route(3, "3", &["a", "b", "c"]),
            route(6, "7", &["c"]),
            route(4, "8", &["a"]),
            route(5, "9", &["nobody"]),
            route(101, "", &["c"]),
        ],
    }
}

fn category() -> Category {
    Category {
        id: CategoryId(1),
        name: "Electricity".into(),
        description: "Power".into(),
        logo: "x.svg".into(),
    }
}

/// A bill that is looked up, and answered with a slip.
fn power() -> Product {
    Product {
        id: ProductId(1),
        name: "power".into(),
        title: "Power".into(),
        description: "Prepaid power".into(),
        ref_name: "power".into(),
        operator: "TT".into(),
        category: CategoryId(1),
        kind: Kind::Bill,
        price: Pricing::Range(AmountRange { min: bdt(100), max: bdt(1_000_000) }),
        bill: BillFormat::new("XXXXXXXXXXX").unwrap(),
        fields: vec![Field {
            name: "term".into(),
            label: "Term".into(),
            is_required: true,
            format: BillFormat::new("X"),
            length_max: 1,
        }],
        checks_bill: true,
        receipt: vec![ReceiptLine { label: "Token".into(), part: Part::Tokens }],
        logo: "x.svg".into(),
        is_active: true,
    }
}

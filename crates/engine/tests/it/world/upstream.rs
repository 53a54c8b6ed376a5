//! An upstream that answers as the test scripts it, and records its calls.

use super::TestClock;
use super::outcomes::delivered;
use domain::{
    AskedBy, AttemptRef, BalanceAnswer, BillAnswer, BillEnquiry, BoxFuture, CallPlace, Callback,
    CallbackAnswer, CallbackRead, Capabilities, Clock, EnquiryOutcome, NoOffers, NoPlace, Offer,
    OfferEnquiry, Order, State, SubmitOutcome, Timestamp, Upstream, UpstreamCode,
};
use engine::{ConnectorFactory, Engine, UpstreamSettings};
use fixtures::NOW;
use std::collections::HashMap;
use std::future;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// "Not found" is final once this has passed since the submit.
pub const GRACE: Duration = Duration::from_secs(60);

pub const CAPABILITIES: Capabilities = Capabilities {
    not_found_final_after: GRACE,
    not_found_gap: Duration::ZERO,
    enquiries: domain::retry::ENQUIRIES,
    quotes_offers: true,
    looks_up_bills: true,
    reverses_deliveries: true,
    is_simulated: true,
    asked_by: AskedBy::OurReference,
    tells_balance: false,
    calls_back: true,
    refusals_shown: 0,
    staff_after: None,
    balance_gap: None,
    currency: None,
    rechecks: &[],
};

/// What an upstream says whose own places are taken.
pub const FULL: NoPlace = NoPlace { why: "slots full", retry_after: Duration::from_secs(7) };

#[derive(Debug)]
struct Place(#[expect(dead_code, reason = "held for its drop")] OwnedSemaphorePermit);

impl CallPlace for Place {}

/// How a scripted upstream answers a call.
pub enum Reply<T> {
    With(T),
    Never,
    Panic,
    /// With this outcome, once the semaphore gives a permit.
    After(Arc<Semaphore>, T),
}

type Script<T> = Arc<dyn Fn(&Order) -> Reply<T> + Send + Sync>;
type BillScript = Arc<dyn Fn(&BillEnquiry) -> BillAnswer + Send + Sync>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Call {
    Submit,
    Enquire,
}

pub struct ScriptedUpstream {
    code: UpstreamCode,
    on_submit: Mutex<Script<SubmitOutcome>>,
    on_enquire: Mutex<Script<EnquiryOutcome>>,
    on_look_up: Mutex<BillScript>,
    pub offers: Mutex<Result<Vec<Offer>, NoOffers>>,
    pub balance: Mutex<BalanceAnswer>,
    /// What it is like; [`CAPABILITIES`] unless a test changes it.
    pub capabilities: Mutex<Capabilities>,
    /// The places that its own limits of calls leave; none: it has no limits.
    pub places: Mutex<Option<Arc<Semaphore>>>,
    calls: Mutex<Vec<(Call, AttemptRef, Timestamp)>>,
    violations: Mutex<Vec<String>>,
    engine: Mutex<Option<Engine>>,
    clock: Arc<TestClock>,
}

impl ScriptedUpstream {
    /// Delivers every order, knows no bill and quotes no offer.
    pub(super) fn new(code: &str, clock: Arc<TestClock>) -> Arc<ScriptedUpstream> {
        Arc::new(ScriptedUpstream {
            code: UpstreamCode::new(code),
            on_submit: Mutex::new(Arc::new(|_| Reply::With(delivered()))),
            on_enquire: Mutex::new(Arc::new(|_| Reply::With(delivered()))),
            on_look_up: Mutex::new(Arc::new(|_| BillAnswer::Unknown)),
            offers: Mutex::new(Ok(Vec::new())),
            balance: Mutex::new(BalanceAnswer::NotOffered),
            capabilities: Mutex::new(CAPABILITIES),
            places: Mutex::default(),
            calls: Mutex::default(),
            violations: Mutex::default(),
            engine: Mutex::default(),
            clock,
        })
    }

    pub fn on_submit(
        &self,
        script: impl Fn(&Order) -> Reply<SubmitOutcome> + Send + Sync + 'static,
    ) {
        *self.on_submit.lock().unwrap() = Arc::new(script);
    }

    pub fn on_enquire(
        &self,
        script: impl Fn(&Order) -> Reply<EnquiryOutcome> + Send + Sync + 'static,
    ) {
        *self.on_enquire.lock().unwrap() = Arc::new(script);
    }

    pub fn on_look_up(&self, script: impl Fn(&BillEnquiry) -> BillAnswer + Send + Sync + 'static) {
        *self.on_look_up.lock().unwrap() = Arc::new(script);
    }

    pub fn answers(&self, submit: SubmitOutcome, enquiry: EnquiryOutcome) {
        self.on_submit(move |_| Reply::With(submit.clone()));
        self.on_enquire(move |_| Reply::With(enquiry.clone()));
    }

    /// Submits wait for a permit of the returned semaphore, then have this outcome.
    pub fn submits_wait(&self, outcome: SubmitOutcome) -> Arc<Semaphore> {
        let gate = Arc::new(Semaphore::new(0));
        let permits = gate.clone();
        self.on_submit(move |_| Reply::After(permits.clone(), outcome.clone()));
        gate
    }

    pub fn count(&self, call: Call) -> usize {
        self.calls.lock().unwrap().iter().filter(|(c, ..)| *c == call).count()
    }

    /// When it was enquired of, in seconds since [`NOW`].
    pub fn enquired_at_s(&self) -> Vec<u64> {
        let calls = self.calls.lock().unwrap();
        let enquiries = calls.iter().filter(|(call, ..)| *call == Call::Enquire);
        enquiries.map(|(_, _, at)| at.since(NOW).as_secs()).collect()
    }

    /// At each submit it compares the order with what this engine has on record; none: it does not.
    pub(super) fn watch(&self, engine: Option<Engine>) {
        *self.engine.lock().unwrap() = engine;
    }

    /// Nothing was wrong at any submit. Counts the submits of each attempt in `submits`.
    pub(super) fn assert_sound(&self, submits: &mut HashMap<AttemptRef, usize>) {
        assert_eq!(*self.violations.lock().unwrap(), Vec::<String>::new());
        for (call, attempt, _) in self.calls.lock().unwrap().iter() {
            *submits.entry(*attempt).or_default() += usize::from(*call == Call::Submit);
        }
    }

    fn record(&self, call: Call, order: &Order) {
        self.calls.lock().unwrap().push((call, order.attempt, self.clock.now()));
    }

    /// The attempt must be on record before the first byte goes out.
    fn check_record(&self, order: &Order) {
        let Some(engine) = self.engine.lock().unwrap().clone() else { return };
        let history = engine.history(order.attempt.purchase).unwrap();
        let found = history.as_ref().map(|history| {
            let last = history.attempts.last().unwrap();
            let purchase = &history.purchase;
            (purchase.state, purchase.attempts, last.number, &last.upstream, &last.outcome)
        });
        let number = order.attempt.number;
        if found != Some((State::Sent, number, number, &self.code, &None)) {
            self.violations.lock().unwrap().push(format!("{} at submit: {found:?}", order.attempt));
        }
    }

    async fn reply<T>(&self, reply: Reply<T>) -> T {
        match reply {
            Reply::With(outcome) => outcome,
            Reply::Never => future::pending().await,
            Reply::Panic => panic!("the connector has a bug"),
            Reply::After(gate, outcome) => {
                gate.acquire().await.unwrap().forget();
                outcome
            }
        }
    }
}

impl Upstream for ScriptedUpstream {
    fn code(&self) -> &UpstreamCode {
        &self.code
    }

    fn capabilities(&self) -> Capabilities {
        *self.capabilities.lock().unwrap()
    }

    fn balance(&self) -> BoxFuture<'_, BalanceAnswer> {
        let answer = self.balance.lock().unwrap().clone();
        Box::pin(async move { answer })
    }

    fn has_place(&self) -> Result<(), NoPlace> {
        let places = self.places.lock().unwrap();
        let is_full = places.as_ref().is_some_and(|places| places.available_permits() == 0);
        if is_full { Err(FULL) } else { Ok(()) }
    }

    fn take_place(&self, _attempt: AttemptRef) -> Result<Option<Box<dyn CallPlace>>, NoPlace> {
        let Some(places) = self.places.lock().unwrap().clone() else { return Ok(None) };
        let permit = places.try_acquire_owned().map_err(|_| FULL)?;
        Ok(Some(Box::new(Place(permit))))
    }

    fn submit<'a>(&'a self, order: &'a Order) -> BoxFuture<'a, SubmitOutcome> {
        // Whoever waits for the call may change the record then.
        self.check_record(order);
        self.record(Call::Submit, order);
        let script = self.on_submit.lock().unwrap().clone();
        Box::pin(async move { self.reply(script(order)).await })
    }

    fn enquire<'a>(&'a self, order: &'a Order) -> BoxFuture<'a, EnquiryOutcome> {
        self.record(Call::Enquire, order);
        let script = self.on_enquire.lock().unwrap().clone();
        Box::pin(async move { self.reply(script(order)).await })
    }

    fn look_up<'a>(&'a self, enquiry: &'a BillEnquiry) -> BoxFuture<'a, BillAnswer> {
        let answer = self.on_look_up.lock().unwrap()(enquiry);
        Box::pin(async move { answer })
    }

    /// The body `genuine S1-1 text` is a genuine callback, as is `wants-OK S1-1 text`, which wants
    /// to hear so; upstream c offers none.
    fn read_callback(&self, callback: &Callback) -> CallbackRead {
        if self.code.as_str() == "c" {
            return CallbackRead::NotOffered;
        }
        let text = String::from_utf8(callback.body.clone()).unwrap();
        let words: Vec<&str> = text.splitn(3, ' ').collect();
        match words[..] {
            [word @ ("genuine" | "wants-OK"), attempt, text] => CallbackRead::Genuine {
                attempt: AttemptRef::parse(attempt).unwrap(),
                text: text.to_owned(),
                answer: (word == "wants-OK")
                    .then(|| CallbackAnswer { status: 200, body: "OK".to_owned() }),
            },
            _ => CallbackRead::Forged { reason: "no signature".to_owned() },
        }
    }

    fn offers<'a>(&'a self, _: &'a OfferEnquiry) -> BoxFuture<'a, Result<Vec<Offer>, NoOffers>> {
        let offers = self.offers.lock().unwrap().clone();
        Box::pin(async move { offers })
    }
}

/// Makes scripted upstreams of what staff set up: the kind is `scripted`, and needs the secret
/// `key`.
pub struct ScriptedFactory {
    clock: Arc<TestClock>,
    made: Mutex<HashMap<UpstreamCode, Arc<ScriptedUpstream>>>,
    /// The settings of each connector that was made, oldest first.
    pub settings: Mutex<Vec<UpstreamSettings>>,
}

impl ScriptedFactory {
    pub(super) fn new(clock: Arc<TestClock>) -> Arc<ScriptedFactory> {
        Arc::new(ScriptedFactory { clock, made: Mutex::default(), settings: Mutex::default() })
    }

    /// The upstream of this code, which all connectors of that code share.
    pub fn upstream(&self, code: &str) -> Arc<ScriptedUpstream> {
        let mut made = self.made.lock().unwrap();
        let new = || ScriptedUpstream::new(code, self.clock.clone());
        made.entry(UpstreamCode::new(code)).or_insert_with(new).clone()
    }
}

impl ConnectorFactory for ScriptedFactory {
    fn open(&self, settings: UpstreamSettings) -> Result<Arc<dyn Upstream>, String> {
        if settings.kind != "scripted" {
            return Err(format!("There is no kind {}.", settings.kind));
        }
        if !settings.secrets.contains_key("key") {
            return Err("The secret key is missing.".to_owned());
        }
        let upstream = self.upstream(settings.code.as_str());
        self.settings.lock().unwrap().push(settings);
        Ok(upstream)
    }

    fn check(&self, settings: &UpstreamSettings) -> Result<(), String> {
        match settings.secrets.keys().find(|name| *name != "key" && *name != "other") {
            Some(name) => Err(format!("There is no secret {name}.")),
            None => Ok(()),
        }
    }
}

//! The simulator: several simulated upstreams in this process, which share one truth log.
//!
//! The last digits of the recipient decide what happens to an order ([`Script`], CONTRACT section
//! 3). Other numbers are delivered; in the sandbox a hash of the account's reference decides.
//! Invariant: an accepted order is recorded before its answer; an enquiry after a crash finds it.

mod bills;
mod callback;
mod offers;
mod random;
mod script;
#[cfg(test)]
mod tests;
mod truth_log;
pub mod wire;
mod wording;

pub use callback::{SIGNATURE_HEADER, signed_callback};
pub use script::Script;
pub use truth_log::{RETENTION, Record, Truth, read_truth};

use domain::{
    AskedBy, BillAnswer, BillEnquiry, BoxFuture, Callback, CallbackRead, Capabilities, Clock,
    EnquiryOutcome, Listener, NoOffers, Offer, OfferEnquiry, Order, StatusUpdate, SubmitOutcome,
    Timestamp, Upstream, UpstreamCode,
};
use offers::Offers;
use parking_lot::Mutex;
use script::LateChange;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle;
use truth_log::TruthLog;

/// The default seed: the smallest one with which all references of the document's samples succeed.
pub const SEED: u64 = 3;

/// After a start, status updates that were due within this time are sent again: the process that
/// received them may have died before it stored them. A repeated update does no harm.
const RESEND_AGE_MAX: Duration = Duration::from_secs(3600);

/// The settings of a [`Simulator`].
#[derive(Clone)]
pub struct SimulatorSettings {
    /// Decides together with the reference which ordinary sandbox orders succeed.
    pub seed: u64,
    /// The file of accepted orders; `None`: in memory only. Several simulators may share a file,
    /// also in different processes of one machine: then they are one upstream.
    pub truth_file: Option<PathBuf>,
    /// Whether orders may have been accepted by a simulator with another file, on another node of
    /// one database. What is not in the file is then taken for accepted when its attempt began.
    pub knows_other_nodes: bool,
    /// How long the result of an order to 103 or 104 takes.
    pub work_duration: Duration,
    /// After which time the state of an order to 108 or 112 contradicts its first answer.
    pub contradiction_delay: Duration,
    /// From which time after a submit "not found" is final.
    pub not_found_final_after: Duration,
    /// Dates the acceptance of an order, and decides whether its late change is due.
    pub clock: Arc<dyn Clock>,
    /// Receives status updates.
    pub listener: Arc<dyn Listener>,
    /// Signs callbacks; `None`: callbacks are not offered.
    pub callback_secret: Option<[u8; 32]>,
}

impl SimulatorSettings {
    /// The default seed and the times of CONTRACT section 3, without a file.
    pub fn new(clock: Arc<dyn Clock>, listener: Arc<dyn Listener>) -> SimulatorSettings {
        SimulatorSettings {
            seed: SEED,
            truth_file: None,
            knows_other_nodes: false,
            work_duration: Duration::from_secs(3),
            contradiction_delay: Duration::from_secs(5),
            not_found_final_after: Duration::from_secs(2),
            clock,
            listener,
            callback_secret: None,
        }
    }

    const fn capabilities(&self) -> Capabilities {
        Capabilities {
            not_found_final_after: self.not_found_final_after,
            not_found_gap: self.not_found_final_after,
            enquiries: domain::retry::ENQUIRIES,
            quotes_offers: true,
            looks_up_bills: true,
            reverses_deliveries: true,
            is_simulated: true,
            asked_by: AskedBy::OurReference,
            tells_balance: false,
            calls_back: self.callback_secret.is_some(),
            refusals_shown: 0,
            staff_after: None,
            balance_gap: None,
            currency: None,
            rechecks: &[],
        }
    }

    const fn delay_of(&self, change: LateChange) -> Duration {
        match change {
            LateChange::WorkDone => self.work_duration,
            LateChange::Contradiction => self.contradiction_delay,
        }
    }
}

/// How far apart the clocks of two nodes may be.
const SKEW: Duration = Duration::from_secs(60);

/// A source of simulated upstreams that share one truth log.
#[derive(Clone)]
pub struct Simulator {
    shared: Arc<SharedState>,
}

impl Simulator {
    /// Reads the truth file, removes an incomplete last line, drops orders older than
    /// [`RETENTION`], and schedules the status updates of late changes. Must be called within a
    /// tokio runtime with a timer, which sends them. A truth file that cannot be read is an error.
    pub fn open(settings: SimulatorSettings) -> io::Result<Simulator> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let now = settings.clock.now();
        let (truth_log, late) = TruthLog::open(settings.truth_file.as_deref(), now)?;
        let shared = Arc::new(SharedState {
            truth_log: Mutex::new(truth_log),
            offers: Offers::load()?,
            settings,
            runtime,
        });
        for (record, has_changed) in late {
            let is_sent = |due: &Timestamp| !has_changed || now.since(*due) < RESEND_AGE_MAX;
            if let Some(due) = shared.change_due(&record).filter(is_sent) {
                let wait = due.since(now).min(due.since(record.at));
                shared.send_update_after(wait, record);
            }
        }
        Ok(Simulator { shared })
    }

    /// A simulated upstream with this name and this position in the route, from 0. The position
    /// matters for recipients in 110: the first upstream is down (CONTRACT section 3).
    pub fn upstream(&self, code: UpstreamCode, position: usize) -> Arc<dyn Upstream> {
        Arc::new(SimulatedUpstream { code, position, shared: Arc::clone(&self.shared) })
    }

    /// The credited attempts so far, for test oracles. Iterates over all orders.
    pub fn truth(&self) -> io::Result<Truth> {
        self.shared.truth_log.lock().truth()
    }
}

struct SimulatedUpstream {
    code: UpstreamCode,
    position: usize,
    shared: Arc<SharedState>,
}

impl Upstream for SimulatedUpstream {
    fn code(&self) -> &UpstreamCode {
        &self.code
    }

    fn capabilities(&self) -> Capabilities {
        self.shared.settings.capabilities()
    }

    fn submit<'a>(&'a self, order: &'a Order) -> BoxFuture<'a, SubmitOutcome> {
        Box::pin(async move { self.accept(order) })
    }

    fn enquire<'a>(&'a self, order: &'a Order) -> BoxFuture<'a, EnquiryOutcome> {
        Box::pin(async move { self.state(order) })
    }

    fn look_up<'a>(&'a self, enquiry: &'a BillEnquiry) -> BoxFuture<'a, BillAnswer> {
        Box::pin(async move {
            // An upstream that is down is down for enquiries too (CONTRACT section 3, 110).
            match self.position == 0 && enquiry.recipient.ends_with("110") {
                true => BillAnswer::Unavailable { reason: format!("{} is down.", self.code) },
                false => bills::look_up(enquiry),
            }
        })
    }

    fn read_callback(&self, callback: &Callback) -> CallbackRead {
        callback::read(self.shared.settings.callback_secret.as_ref(), callback)
    }

    fn offers<'a>(
        &'a self,
        enquiry: &'a OfferEnquiry,
    ) -> BoxFuture<'a, Result<Vec<Offer>, NoOffers>> {
        Box::pin(async move { self.shared.offers.quote(enquiry) })
    }
}

impl SimulatedUpstream {
    fn accept(&self, order: &Order) -> SubmitOutcome {
        let script = self.script(order);
        if script == Script::Down {
            return wording::connection_refused(&self.code);
        }
        if script == Script::LoseRequest {
            return wording::no_reply().into();
        }
        let record = Record::of(order, &self.code, script, self.shared.settings.clock.now());
        let accepted = self.shared.truth_log.lock().accept(&record);
        match accepted {
            Ok(true) => {
                let answer = wording::answer(&record, &self.shared.settings.capabilities());
                if let Some(change) = script.late_change() {
                    let delay = self.shared.settings.delay_of(change);
                    self.shared.send_update_after(delay, record);
                }
                answer
            }
            // Like real upstreams: a repeated order gets the state of the first one.
            Ok(false) => wording::to_submit(self.state(order)),
            Err(error) => wording::truth_file_failed(&error).into(),
        }
    }

    fn state(&self, order: &Order) -> EnquiryOutcome {
        let script = self.script(order);
        if script == Script::Mute {
            return wording::unaskable().into();
        }
        let mut truth_log = self.shared.truth_log.lock();
        let (script, at, has_changed) = match truth_log.entry(order.attempt) {
            Ok(Some(entry)) => (entry.script, entry.at, entry.has_changed),
            Ok(None) if self.is_of_another_node(order, script) => {
                let record = Record::of(order, &self.code, script, order.started_at);
                if let Err(error) = truth_log.accept(&record) {
                    return wording::truth_file_failed(&error).into();
                }
                let at = record.at;
                let due = self.shared.change_due(&record);
                let wait = due.map(|due| due.since(self.shared.settings.clock.now()));
                if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
                    self.shared.send_update_after(wait, record);
                }
                (script, at, false)
            }
            Ok(None) => return EnquiryOutcome::NotFound,
            Err(error) => return wording::truth_file_failed(&error).into(),
        };
        let record = Record::of(order, &self.code, script, at);
        let now = self.shared.settings.clock.now();
        // What was accepted in the future was accepted before the clock was put right.
        let is_due = |due| due <= now || at > now.after(SKEW);
        let is_due = self.shared.change_due(&record).is_some_and(is_due);
        if is_due
            && !has_changed
            && let Err(error) = truth_log.change(&record)
        {
            return wording::truth_file_failed(&error).into();
        }
        drop(truth_log);
        let capabilities = self.shared.settings.capabilities();
        wording::state(&record, has_changed || is_due, &capabilities)
    }

    /// Whether another node's simulator may have accepted the order. Its number alone says what
    /// became of it, and its attempt when it began.
    fn is_of_another_node(&self, order: &Order, script: Script) -> bool {
        let is_recorded = !matches!(script, Script::Down | Script::LoseRequest);
        let now = self.shared.settings.clock.now();
        self.shared.settings.knows_other_nodes
            && is_recorded
            && now.since(order.started_at) < RETENTION
    }

    fn script(&self, order: &Order) -> Script {
        Script::of(self.shared.settings.seed, order, self.position)
    }
}

/// What all simulated upstreams share.
struct SharedState {
    settings: SimulatorSettings,
    /// Locked for a few microseconds, never across an await.
    truth_log: Mutex<TruthLog>,
    offers: Offers,
    runtime: Handle,
}

impl SharedState {
    /// When the late change of an order is due, if it has one.
    fn change_due(&self, record: &Record) -> Option<Timestamp> {
        let change = record.script.late_change()?;
        Some(record.at.after(self.settings.delay_of(change)))
    }

    /// Sends nothing if the simulator was dropped in the meantime: the next one reads the change
    /// from the truth file.
    fn send_update_after(self: &Arc<Self>, delay: Duration, record: Record) {
        let shared = Arc::downgrade(self);
        self.runtime.spawn(async move {
            tokio::time::sleep(delay).await;
            if let Some(shared) = shared.upgrade() {
                shared.send_update(&record);
            }
        });
    }

    fn send_update(&self, record: &Record) {
        let changed = self.truth_log.lock().change(record);
        if let Err(error) = changed {
            tracing::error!(
                attempt = %record.attempt,
                %error,
                "a late change cannot be written to the simulator's truth file"
            );
            return;
        }
        let outcome = wording::state(record, true, &self.settings.capabilities());
        self.settings.listener.on_update(StatusUpdate { attempt: record.attempt, outcome });
    }
}

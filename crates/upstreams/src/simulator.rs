//! The simulator: upstreams that play in this process, behind several names with one truth.
//!
//! What happens to an order is written in the last digits of its recipient ([`Script`], CONTRACT
//! section 3); other numbers are delivered, in the sandbox with a chance drawn from the account's
//! reference. Invariant: an order that was accepted is on record before anybody hears of it, so
//! that after a crash an enquiry finds the same truth.

mod bills;
mod callback;
mod chance;
mod offers;
mod script;
#[cfg(test)]
mod tests;
mod truth;
mod wording;

pub use callback::{SIGNATURE, signed};
pub use script::Script;
pub use truth::{KEPT_FOR, Record, Truth, read_truth};

use domain::clock::{Clock, Timestamp};
use domain::upstream::{
    BillAnswer, BillEnquiry, BoxFuture, Callback, CallbackRead, Capabilities, Listener, NoOffers,
    Offer, OfferEnquiry, Order, Outcome, StatusUpdate, Upstream, UpstreamCode,
};
use offers::Offers;
use script::Turn;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use truth::Ground;

/// The usual seed: the least with which every reference of the document's samples succeeds.
pub const SEED: u64 = 3;

/// After a start, late words that came due within this are said again: the program that should
/// have heard them may have died with them in its hands. Repeats are harmless.
const SAID_AGAIN_WITHIN: Duration = Duration::from_secs(3600);

/// What a simulator is told.
#[derive(Clone)]
pub struct Settings {
    /// Fixes the chances of ordinary sandbox numbers.
    pub seed: u64,
    /// Where the truth is kept; none: in memory only, forgotten at the end. Several simulators,
    /// also of several processes on one machine, may share a file: they are then one upstream.
    pub truth_file: Option<PathBuf>,
    /// How long an order that ends in 103 or 104 is worked on.
    pub work_lasts: Duration,
    /// How long after its answer an order that ends in 108 or 112 turns into the contrary.
    pub turns_after: Duration,
    /// How long after a submit "not found" is to be believed.
    pub not_found_final_after: Duration,
    /// Tells when an order was accepted and whether its time has come.
    pub clock: Arc<dyn Clock>,
    /// Hears late words.
    pub listener: Arc<dyn Listener>,
    /// Signs callbacks; none: nobody calls back.
    pub callback_secret: Option<[u8; 32]>,
}

impl Settings {
    /// The usual seed and the times of CONTRACT section 3, without a file.
    pub fn new(clock: Arc<dyn Clock>, listener: Arc<dyn Listener>) -> Settings {
        Settings {
            seed: SEED,
            truth_file: None,
            work_lasts: Duration::from_secs(3),
            turns_after: Duration::from_secs(5),
            not_found_final_after: Duration::from_secs(2),
            clock,
            listener,
            callback_secret: None,
        }
    }
}

/// Plays upstreams that share one truth.
#[derive(Clone)]
pub struct Simulator {
    stage: Arc<Stage>,
}

impl Simulator {
    /// Reads the truth file, cuts off what a crash left half written, forgets what is older than
    /// [`KEPT_FOR`] and says late words that are due. Must be called within a tokio runtime that
    /// keeps time: late words are said from there. Refuses a truth file that it cannot read.
    pub fn open(settings: Settings) -> io::Result<Simulator> {
        let runtime = Handle::try_current().map_err(io::Error::other)?;
        let now = settings.clock.now();
        let (ground, late) = Ground::open(settings.truth_file.as_deref(), now)?;
        let stage = Arc::new(Stage {
            ground: Mutex::new(ground),
            offers: Offers::load()?,
            settings,
            runtime,
        });
        for (record, has_turned) in late {
            let due =
                stage.due(&record).filter(|due| !has_turned || now.since(*due) < SAID_AGAIN_WITHIN);
            if let Some(due) = due {
                stage.say_later(record, due.since(now));
            }
        }
        Ok(Simulator { stage })
    }

    /// One of the upstreams that are played: its name, and its place in the order of the route,
    /// from 0 (CONTRACT section 3, 110: the first one is down).
    pub fn upstream(&self, code: UpstreamCode, position: usize) -> Arc<dyn Upstream> {
        Arc::new(Actor { code, position, stage: Arc::clone(&self.stage) })
    }

    /// Who was really credited so far, for oracles: costs a walk over everything.
    pub fn truth(&self) -> io::Result<Truth> {
        self.stage.ground().truth()
    }
}

/// One upstream that is played.
struct Actor {
    code: UpstreamCode,
    position: usize,
    stage: Arc<Stage>,
}

impl Upstream for Actor {
    fn code(&self) -> &UpstreamCode {
        &self.code
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            not_found_final_after: self.stage.settings.not_found_final_after,
            quotes_offers: true,
            looks_up_bills: true,
            is_simulated: true,
        }
    }

    fn submit<'a>(&'a self, order: &'a Order) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { self.take(order) })
    }

    fn enquire<'a>(&'a self, order: &'a Order) -> BoxFuture<'a, Outcome> {
        Box::pin(async move { self.tell(order) })
    }

    fn look_up<'a>(&'a self, enquiry: &'a BillEnquiry) -> BoxFuture<'a, BillAnswer> {
        Box::pin(async move {
            // Whoever is down is down for enquiries too (CONTRACT section 3, 110).
            match self.position == 0 && enquiry.recipient.ends_with("110") {
                true => BillAnswer::Unavailable { reason: format!("{} is down.", self.code) },
                false => bills::look_up(enquiry),
            }
        })
    }

    fn read_callback(&self, callback: &Callback) -> CallbackRead {
        callback::read(self.stage.settings.callback_secret.as_ref(), callback)
    }

    fn offers<'a>(
        &'a self,
        enquiry: &'a OfferEnquiry,
    ) -> BoxFuture<'a, Result<Vec<Offer>, NoOffers>> {
        Box::pin(async move { self.stage.offers.quote(enquiry) })
    }
}

impl Actor {
    fn take(&self, order: &Order) -> Outcome {
        let script = self.script(order);
        match script {
            Script::Down => return wording::down(&self.code),
            Script::LoseRequest => return wording::silence(),
            Script::Deliver
            | Script::RefuseNumber
            | Script::RefuseByChance
            | Script::WorkThenDeliver
            | Script::WorkThenRefuse
            | Script::LoseReply
            | Script::DeliverThenReverse
            | Script::Garble
            | Script::Mute
            | Script::RefuseThenDeliver => {}
        }
        let record = Record::of(order, &self.code, script, self.stage.settings.clock.now());
        let accepted = self.stage.ground().accept(&record);
        match accepted {
            Ok(true) => {
                let answer = wording::answer(&record);
                if let Some(turn) = script.turn() {
                    let wait = self.stage.settings.wait_of(turn);
                    self.stage.say_later(record, wait);
                }
                answer
            }
            // As real upstreams do: the first one stands, and its state is told.
            Ok(false) => self.tell(order),
            Err(error) => wording::no_record(&error),
        }
    }

    fn tell(&self, order: &Order) -> Outcome {
        let script = self.script(order);
        if script == Script::Mute {
            return wording::unaskable();
        }
        let mut ground = self.stage.ground();
        let (script, at, has_turned) = match ground.known(order.attempt) {
            Ok(Some(entry)) => (entry.script, entry.at, entry.has_turned),
            Ok(None) => return Outcome::NotFound,
            Err(error) => return wording::no_record(&error),
        };
        let record = Record::of(order, &self.code, script, at);
        let is_due =
            self.stage.due(&record).is_some_and(|due| due <= self.stage.settings.clock.now());
        if is_due
            && !has_turned
            && let Err(error) = ground.turn(&record)
        {
            return wording::no_record(&error);
        }
        drop(ground);
        wording::state(&record, has_turned || is_due)
    }

    fn script(&self, order: &Order) -> Script {
        Script::of(self.stage.settings.seed, order, self.position)
    }
}

impl Settings {
    const fn wait_of(&self, turn: Turn) -> Duration {
        match turn {
            Turn::EndOfWork => self.work_lasts,
            Turn::Contrary => self.turns_after,
        }
    }
}

/// What all names share.
struct Stage {
    settings: Settings,
    ground: Mutex<Ground>,
    offers: Offers,
    runtime: Handle,
}

impl Stage {
    /// Held for a few microseconds, never across an await.
    fn ground(&self) -> MutexGuard<'_, Ground> {
        self.ground.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// When an order turns, if it ever does.
    fn due(&self, record: &Record) -> Option<Timestamp> {
        record.script.turn().map(|turn| record.at.after(self.settings.wait_of(turn)))
    }

    /// A simulator that is dropped meanwhile says nothing: its truth file still knows.
    fn say_later(self: &Arc<Self>, record: Record, wait: Duration) {
        let stage = Arc::downgrade(self);
        self.runtime.spawn(async move {
            tokio::time::sleep(wait).await;
            if let Some(stage) = stage.upgrade() {
                stage.say(&record);
            }
        });
    }

    fn say(&self, record: &Record) {
        let turned = self.ground().turn(record);
        if let Err(error) = turned {
            tracing::error!(attempt = %record.attempt, %error, "the truth file does not take a late word");
            return;
        }
        let outcome = wording::state(record, true);
        self.settings.listener.hear(StatusUpdate { attempt: record.attempt, outcome });
    }
}

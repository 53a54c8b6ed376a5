//! The guarded clock: the installation's time, which no single look at a wall clock can move.
//!
//! It advances with the monotonic clock, and follows the wall clock while the two agree within a
//! few seconds. When the wall clock jumps, time goes on without it; the wall clock is adopted once
//! it has agreed with itself for a minute. Not here: the commits that an adoption needs (`mod.rs`).
//! Invariant: time goes back only by an adoption.

use domain::{Clock, Timestamp};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use store::{ClockJump, ClockRecord};

/// A wall clock that differs by no more is followed.
const FOLLOWED: i64 = 5_000_000;
/// A wall clock that has jumped is adopted once it has agreed with itself for this long.
const ADOPTED_AFTER: Duration = Duration::from_secs(60);
/// A wall clock that is further off is not adopted; if it is ahead, nothing new is sold.
const OFF_MAX: i64 = 365 * 24 * 3600 * 1_000_000;
/// Time during which no node ran is recorded if it was longer.
const REST: i64 = 3600 * 1_000_000;

/// The installation's time, in microseconds where it is a number.
pub(crate) struct GuardedClock {
    source: Arc<dyn Clock>,
    state: Mutex<State>,
}

/// The moves of time that this node knows.
#[derive(Clone, Default)]
pub(super) struct KnownJumps {
    pub(super) jumps: Vec<ClockJump>,
    /// The number of the last one that is stored.
    pub(super) last: i64,
}

/// How a clock starts.
#[derive(Default)]
pub(crate) struct ClockStart {
    /// What is stored about the installation's time.
    pub(crate) record: ClockRecord,
    /// The database server's clock, if it is the wall clock.
    pub(crate) server_now: Option<Timestamp>,
    /// The operator has said that the wall clock is right.
    pub(crate) is_accepted: bool,
}

struct State {
    /// Time minus monotonic time.
    offset: i64,
    /// The latest time that was answered.
    latest: i64,
    /// The wall clock minus monotonic time, where the database server has the wall clock.
    server_offset: Option<i64>,
    /// A wall clock that does not agree.
    disagreeing: Option<DisagreeingClock>,
    /// At the start the wall clock was behind this, the newest journal.
    behind: Option<i64>,
    /// A move that happened at the start and is not stored yet, and whether due times move too.
    unstored: Option<StartJump>,
    known: Arc<KnownJumps>,
}

/// A move of time at the start.
#[derive(Clone, Copy)]
pub(super) struct StartJump {
    pub(super) jump: ClockJump,
    pub(super) moves_due: bool,
}

struct DisagreeingClock {
    /// The wall clock minus monotonic time.
    offset: i64,
    /// Since when it has agreed with itself, in monotonic time.
    since: Duration,
}

/// What is worth a line in the log.
#[derive(Debug, PartialEq, Eq)]
enum ClockEvent {
    Nothing,
    Jumped { by: i64 },
    Agrees,
}

impl State {
    /// Looks at both clocks; answers the time.
    fn look(&mut self, wall: i64, monotonic: Duration) -> (i64, ClockEvent) {
        let mono = micros(monotonic);
        let time = self.latest.max(mono.saturating_add(self.offset));
        let by = wall.saturating_sub(time);
        if self.behind.is_some_and(|newest| wall >= newest.saturating_sub(FOLLOWED)) {
            self.behind = None;
        }
        let seen = if by.abs() <= FOLLOWED {
            // Time stands still until a wall clock that is a little behind has caught up.
            self.offset = wall.saturating_sub(mono);
            self.latest = time.max(wall);
            match self.disagreeing.take() {
                Some(_) => ClockEvent::Agrees,
                None => ClockEvent::Nothing,
            }
        } else {
            self.offset = time.saturating_sub(mono);
            self.latest = time;
            let offset = wall.saturating_sub(mono);
            match &mut self.disagreeing {
                Some(disagreeing)
                    if offset.saturating_sub(disagreeing.offset).abs() <= FOLLOWED =>
                {
                    disagreeing.offset = offset;
                    ClockEvent::Nothing
                }
                other => {
                    *other = Some(DisagreeingClock { offset, since: monotonic });
                    ClockEvent::Jumped { by }
                }
            }
        };
        (self.latest, seen)
    }

    /// Whether the wall clock is too far off for anything to be sold.
    fn is_far_off(&self) -> bool {
        let ahead = self.disagreeing.as_ref().map_or(0, |s| s.offset.saturating_sub(self.offset));
        self.behind.is_some() || ahead > OFF_MAX
    }

    /// The move to a wall clock that has agreed with itself for long enough.
    fn adoption(&self, monotonic: Duration) -> Option<ClockJump> {
        let disagreeing = self.disagreeing.as_ref().filter(|_| !self.is_far_off())?;
        let is_steady = monotonic.saturating_sub(disagreeing.since) >= ADOPTED_AFTER;
        let is_near = disagreeing.offset.saturating_sub(self.offset).abs() <= OFF_MAX;
        let to = Timestamp(micros(monotonic).saturating_add(disagreeing.offset));
        (is_steady && is_near).then_some(ClockJump { from: Timestamp(self.latest), to })
    }

    fn jump(&mut self, jump: ClockJump) {
        let by = jump.to.0.saturating_sub(jump.from.0);
        self.offset = self.offset.saturating_add(by);
        self.latest = self.latest.saturating_add(by);
        (self.disagreeing, self.behind) = (None, None);
    }
}

impl GuardedClock {
    /// A clock that goes on where the record ends.
    pub(crate) fn start(source: Arc<dyn Clock>, start: ClockStart) -> GuardedClock {
        let mono = micros(source.monotonic());
        let wall = start.server_now.unwrap_or_else(|| source.now()).0;
        let record = start.record;
        let mut state = State {
            offset: wall.saturating_sub(mono),
            latest: wall,
            server_offset: start.server_now.map(|now| now.0.saturating_sub(mono)),
            disagreeing: None,
            behind: None,
            unstored: None,
            known: Arc::default(),
        };
        let newest = newest_journal(&record);
        if let Some(last) = record.noted.map(|at| at.0).max(newest) {
            let ran_until = record.noted.map_or(last, |at| at.0);
            let ahead = wall.saturating_sub(last);
            let is_behind = newest.is_some_and(|newest| wall < newest.saturating_sub(FOLLOWED));
            let is_usable = start.is_accepted || !(is_behind || ahead.abs() > OFF_MAX);
            if !is_usable {
                (state.offset, state.latest) = (last.saturating_sub(mono), last);
                state.behind = newest.filter(|_| is_behind);
            } else if ahead < -FOLLOWED {
                state.unstored = Some(start_jump(last, wall, true));
            } else if ahead < 0 {
                state.latest = last;
            } else if wall.saturating_sub(ran_until) > REST {
                state.unstored = Some(start_jump(ran_until, wall, false));
            }
        }
        let mut known = KnownJumps { jumps: record.jumps, last: record.last_jump };
        known.jumps.extend(state.unstored.map(|start| start.jump));
        state.known = Arc::new(known);
        let clock = GuardedClock { source, state: Mutex::new(state) };
        clock.now();
        clock
    }

    /// The installation's time.
    pub(crate) fn now(&self) -> Timestamp {
        self.look(|_, _| ()).0
    }

    /// Time since an arbitrary fixed moment; it never goes back.
    pub(crate) fn monotonic(&self) -> Duration {
        self.source.monotonic()
    }

    /// Whether the wall clock is too far off for anything to be sold.
    pub(crate) fn is_far_off(&self) -> bool {
        self.look(|state, _| state.is_far_off()).1
    }

    /// The time, and the moves that led to it.
    pub(super) fn now_with_jumps(&self) -> (Timestamp, Arc<KnownJumps>) {
        self.look(|state, _| state.known.clone())
    }

    /// The number of the last move that is stored, as far as it is known here.
    pub(super) fn last_jump(&self) -> i64 {
        self.state.lock().known.last
    }

    /// A move that happened at the start and is not stored yet.
    pub(super) fn unstored(&self) -> Option<StartJump> {
        self.state.lock().unstored
    }

    /// The database server's clock was read between these moments.
    pub(super) fn server_says(&self, now: Timestamp, asked: Duration, answered: Duration) {
        // An answer that took long says little.
        if micros(answered.saturating_sub(asked)) < FOLLOWED / 5 {
            let middle = micros(asked).midpoint(micros(answered));
            self.state.lock().server_offset = Some(now.0.saturating_sub(middle));
        }
    }

    /// Adopts a wall clock that has agreed with itself for long enough. The move must be stored at
    /// once: what is written from now on goes by the new time.
    pub(super) fn adopt(&self) -> Option<ClockJump> {
        self.now();
        let mut state = self.state.lock();
        let jump = state.adoption(self.source.monotonic())?;
        state.jump(jump);
        Arc::make_mut(&mut state.known).jumps.push(jump);
        Some(jump)
    }

    /// The last move could not be stored: time goes on as if it had not been made.
    pub(super) fn take_back(&self, jump: ClockJump) {
        let mut state = self.state.lock();
        state.jump(ClockJump { from: jump.to, to: jump.from });
        Arc::make_mut(&mut state.known).jumps.pop();
    }

    /// The last move is stored, under this number.
    pub(super) fn stored(&self, last: i64) {
        let mut state = self.state.lock();
        Arc::make_mut(&mut state.known).last = last;
        state.unstored = None;
    }

    /// Learns of moves that other nodes have made, and makes the last one too if the wall clock
    /// says the same.
    pub(super) fn learn(&self, record: ClockRecord) {
        let mut state = self.state.lock();
        let is_new = record.last_jump > state.known.last;
        let last = record.jumps.last().copied().filter(|_| is_new);
        state.known = Arc::new(KnownJumps { jumps: record.jumps, last: record.last_jump });
        state.unstored = None;
        let wanted = state
            .disagreeing
            .as_ref()
            .map(|disagreeing| disagreeing.offset.saturating_sub(state.offset));
        if let (Some(jump), Some(wanted)) = (last, wanted)
            && wanted.saturating_sub(jump.to.0 - jump.from.0).abs() <= FOLLOWED
        {
            let (from, to) = (state.latest, state.latest.saturating_add(wanted));
            state.jump(ClockJump { from: Timestamp(from), to: Timestamp(to) });
        }
    }

    fn look<T>(&self, ask: impl FnOnce(&State, Duration) -> T) -> (Timestamp, T) {
        let (time, seen, answer, is_far_off) = {
            let mut state = self.state.lock();
            let monotonic = self.source.monotonic();
            let wall = match state.server_offset {
                Some(offset) => micros(monotonic).saturating_add(offset),
                None => self.source.now().0,
            };
            let (time, seen) = state.look(wall, monotonic);
            (time, seen, ask(&state, monotonic), state.is_far_off())
        };
        match seen {
            ClockEvent::Nothing => {}
            ClockEvent::Jumped { by } if is_far_off => tracing::error!(
                seconds = by / 1_000_000,
                "the clock is behind the newest journal, or more than a year ahead: nothing new is \
                 sold until it is put right; if it is right, start again with --accept-clock"
            ),
            ClockEvent::Jumped { by } if by < -OFF_MAX => tracing::error!(
                seconds = by / 1_000_000,
                "the clock has jumped back by more than a year: time goes on without it"
            ),
            ClockEvent::Jumped { by } => tracing::error!(
                seconds = by / 1_000_000,
                "the clock has jumped: time goes on without it until it has been steady for a \
                 minute; nothing expires by the jump"
            ),
            ClockEvent::Agrees => tracing::info!("the clock agrees again"),
        }
        (Timestamp(time), answer)
    }
}

/// The time of the newest journal; of one from before a step back, where time went then.
fn newest_journal(record: &ClockRecord) -> Option<i64> {
    let newest = record.newest_journal?;
    let steps_back = record.jumps.iter().filter(|jump| jump.to < jump.from);
    Some(steps_back.fold(newest, |at, step| if step.from >= at { at.min(step.to) } else { at }).0)
}

fn start_jump(from: i64, to: i64, moves_due: bool) -> StartJump {
    StartJump { jump: ClockJump { from: Timestamp(from), to: Timestamp(to) }, moves_due }
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

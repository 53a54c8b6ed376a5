//! Calls a minute over all nodes: each takes a few calls ahead from the one count in the store.
//!
//! Most calls are counted without the store. When a share runs low, one task asks for more, for all
//! calls that wait; unused calls are given back. Invariant: a share is a small part of the limit,
//! so over all nodes as many calls pass as the limit allows, give or take that part.

use super::{CallerKey, Counted, Quota};
use crate::{Engine, limits};
use domain::ids::IdMap;
use domain::rate::MINUTE_S;
use domain::refusal::Unavailable;
use parking_lot::Mutex;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use store::{CallGrant, GrantCalls};
use tokio::sync::Notify;

/// The shares of this node by caller. No [`super::Counters`]: a share with a question under way
/// must not be dropped, however many there are, because somebody waits for its answer.
#[derive(Debug, Default)]
pub(crate) struct Allowances {
    shares: Mutex<IdMap<CallerKey, Share>>,
}

#[derive(Debug, Default)]
struct Share {
    /// Calls taken and not used; when they were taken, and until when they are valid.
    left: u32,
    taken_s: u64,
    until: Duration,
    /// Calls made since the last question, and calls that wait for its answer.
    used: u32,
    waiting: u32,
    is_asking: bool,
    answered: Arc<Notify>,
    /// When the last question failed.
    failed: Option<Duration>,
    /// No node has calls left until then.
    none_until: Duration,
    /// From the last answer, without this share.
    elsewhere: u32,
    reset_s: u64,
}

/// What a share answers to one call.
enum ShareAnswer {
    Counted(Counted),
    /// The call passes, and more calls should be asked for meanwhile.
    RunningLow(Quota),
    Wait {
        answered: Arc<Notify>,
        /// No question is under way: the caller must ask.
        must_ask: bool,
    },
    Failed,
}

impl Share {
    fn answer(&mut self, limit: u32, now: Duration, has_waited: bool) -> ShareAnswer {
        if self.left > 0 && now < self.until {
            self.left -= 1;
            self.used += 1;
            let is_low = self.left <= self.used / 4 && !self.is_asking && now >= self.none_until;
            if is_low && limit / limits::CALLS_AHEAD_PART > 1 {
                self.is_asking = true;
                return ShareAnswer::RunningLow(self.quota(limit));
            }
            return ShareAnswer::Counted(Counted { quota: self.quota(limit), passes: true });
        }
        if now < self.none_until {
            let quota = Quota { remaining: 0, ..self.quota(limit) };
            return ShareAnswer::Counted(Counted { quota, passes: false });
        }
        if has_waited && self.failed.is_some() {
            return ShareAnswer::Failed;
        }
        self.waiting += 1;
        let must_ask = !std::mem::replace(&mut self.is_asking, true);
        ShareAnswer::Wait { answered: self.answered.clone(), must_ask }
    }

    /// What is left over all nodes, as far as this one knows.
    fn quota(&self, limit: u32) -> Quota {
        Quota {
            limit,
            remaining: self.elsewhere.saturating_add(self.left).min(limit),
            reset_s: self.reset_s.min(MINUTE_S),
        }
    }

    /// The same without a call to count; a minute after the last answer nothing is known of calls
    /// that still count.
    fn known(&self, limit: u32, now: Duration) -> Quota {
        if self.taken_s == 0 || now >= self.until + Duration::from_secs(MINUTE_S) {
            return Quota::unused(limit);
        }
        match now < self.none_until {
            true => Quota { remaining: 0, ..self.quota(limit) },
            false => self.quota(limit),
        }
    }

    /// How many to ask for: as many as wait, or as the next seconds need if they are like the last.
    fn wants(&self, limit: u32, is_spent: bool) -> u32 {
        let ahead = if is_spent { self.used.saturating_mul(2) } else { self.used };
        ahead.max(self.waiting).clamp(1, (limit / limits::CALLS_AHEAD_PART).max(1))
    }
}

impl Engine {
    /// Counts one call if it is within `limit` over all nodes; refuses if the store does not answer
    /// in time.
    pub(crate) async fn take_shared_call(
        &self,
        caller: CallerKey,
        limit: u32,
    ) -> Result<Counted, Unavailable> {
        if limit == 0 {
            let quota = Quota { limit, remaining: 0, reset_s: MINUTE_S };
            return Ok(Counted { quota, passes: false });
        }
        let mut timeout = pin!(tokio::time::sleep(limits::CALLS_WITHIN));
        let mut has_waited = false;
        loop {
            let now = self.monotonic();
            let answered = {
                let mut shares = self.inner.allowances.shares.lock();
                forget_idle(&mut shares, now);
                let share = shares.entry(caller).or_default();
                match share.answer(limit, now, has_waited) {
                    ShareAnswer::Counted(counted) => return Ok(counted),
                    ShareAnswer::RunningLow(quota) => {
                        drop(shares);
                        self.ask_ahead(caller, limit);
                        return Ok(Counted { quota, passes: true });
                    }
                    ShareAnswer::Failed => return Err(Unavailable { retry_after_s: 1 }),
                    ShareAnswer::Wait { answered, must_ask } => {
                        if must_ask {
                            self.ask_ahead(caller, limit);
                        }
                        // Registered now: it gets an answer that arrives before it is awaited.
                        answered.notified_owned()
                    }
                }
            };
            tokio::select! {
                biased;
                () = answered => {}
                () = &mut timeout => return Err(Unavailable { retry_after_s: 1 }),
            }
            has_waited = true;
        }
    }

    /// What is left of an account's calls over all nodes, as far as this one knows.
    pub(crate) fn shared_calls_left(&self, caller: CallerKey, limit: u32) -> Quota {
        let (now, shares) = (self.monotonic(), self.inner.allowances.shares.lock());
        shares.get(&caller).map_or(Quota::unused(limit), |share| share.known(limit, now))
    }

    fn ask_ahead(&self, caller: CallerKey, limit: u32) {
        let engine = self.clone();
        self.inner.tasks.spawn(async move { engine.ask_for_calls(caller, limit).await });
    }

    async fn ask_for_calls(&self, caller: CallerKey, limit: u32) {
        let CallerKey { account, environment } = caller;
        let now_s = u64::try_from(self.now().0 / 1_000_000).unwrap_or(0);
        let change = {
            let (now, mut shares) = (self.monotonic(), self.inner.allowances.shares.lock());
            let share = shares.entry(caller).or_default();
            let is_spent = share.left == 0;
            let unused = if now < share.until { 0 } else { std::mem::take(&mut share.left) };
            let calls = share.wants(limit, is_spent);
            share.used = 0;
            let taken_s = share.taken_s;
            GrantCalls { account, environment, limit, calls, unused, taken_s, now_s }
        };
        let answer = self.commit(&self.work(), change).await;
        let (now, mut shares) = (self.monotonic(), self.inner.allowances.shares.lock());
        let share = shares.entry(caller).or_default();
        match answer {
            Ok(CallGrant { granted, left, reset_s }) => {
                if now >= share.until {
                    share.left = 0;
                }
                share.left += granted;
                (share.taken_s, share.until) = (now_s, now + limits::CALLS_AHEAD_KEPT);
                (share.elsewhere, share.reset_s, share.failed) = (left, reset_s, None);
                if granted == 0 {
                    let reset = Duration::from_secs(reset_s.max(1));
                    share.none_until = now + limits::NO_CALLS_KEPT.min(reset);
                }
            }
            Err(fault) => {
                share.failed = Some(now);
                tracing::warn!(%fault, "calls could not be counted over all nodes");
            }
        }
        (share.is_asking, share.waiting) = (false, 0);
        share.answered.notify_waiters();
    }
}

/// Drops the shares that hold no calls and were not used for a while, once there are many.
fn forget_idle(shares: &mut IdMap<CallerKey, Share>, now: Duration) {
    if shares.len() < limits::CALLERS_COUNTED {
        return;
    }
    shares.retain(|_, share| share.is_asking || now < share.until + limits::CALLS_AHEAD_KEPT);
}

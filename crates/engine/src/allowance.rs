//! Calls a minute, counted over all nodes: each takes a few ahead from the one count in the store.
//!
//! Most calls ask nobody; who needs more asks in a task of its own, once for all that wait. What was taken
//! and not used in time is given back. Invariant: what a node has in hand is a small part of the limit,
//! so that over all nodes as many pass as the limit says, give or take that part.

use crate::access::Quota;
use crate::{Engine, limits};
use domain::account::{AccountId, Environment};
use domain::rate::MINUTE_S;
use domain::refusal::Refusal;
use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use store::{CallGrant, Change, Done};
use tokio::sync::Notify;

type Who = (AccountId, Environment);

/// What this node has in hand, by caller.
#[derive(Debug, Default)]
pub(crate) struct Allowances {
    shares: Mutex<HashMap<Who, Share>>,
}

#[derive(Debug, Default)]
struct Share {
    /// Calls in hand, when they were taken, and until when they count.
    left: u32,
    taken_s: u64,
    until: Duration,
    /// Calls made since the last question, and those that wait for its answer.
    used: u32,
    waiting: u32,
    is_asking: bool,
    answered: Arc<Notify>,
    /// The last question could not be answered then.
    failed: Option<Duration>,
    /// None is left anywhere until then.
    none_until: Duration,
    /// As the last answer told it, without what is in hand here.
    elsewhere: u32,
    reset_s: u64,
}

/// What a look at the share came to.
enum Look {
    Counted(Quota, bool),
    /// It passes, and more should be asked for meanwhile.
    Last(Quota),
    Wait(Arc<Notify>, bool),
    Failed,
}

impl Share {
    fn look(&mut self, limit: u32, now: Duration, has_waited: bool) -> Look {
        let quota = |share: &Share| Quota {
            limit,
            remaining: share.elsewhere.saturating_add(share.left).min(limit),
            reset_s: share.reset_s.min(MINUTE_S),
        };
        if self.left > 0 && now < self.until {
            self.left -= 1;
            self.used += 1;
            let is_low = self.left <= self.used / 4 && !self.is_asking && now >= self.none_until;
            if is_low && limit / limits::CALLS_AHEAD_PART > 1 {
                self.is_asking = true;
                return Look::Last(quota(self));
            }
            return Look::Counted(quota(self), true);
        }
        if now < self.none_until {
            return Look::Counted(Quota { remaining: 0, ..quota(self) }, false);
        }
        if has_waited && self.failed.is_some() {
            return Look::Failed;
        }
        self.waiting += 1;
        let asks = !std::mem::replace(&mut self.is_asking, true);
        Look::Wait(self.answered.clone(), asks)
    }

    /// How many to ask for: as many as wait, or as the next seconds need if they are like the last.
    fn wants(&self, limit: u32, is_spent: bool) -> u32 {
        let ahead = if is_spent { self.used.saturating_mul(2) } else { self.used };
        ahead.max(self.waiting).clamp(1, (limit / limits::CALLS_AHEAD_PART).max(1))
    }
}

impl Engine {
    /// Counts one call if it is within `limit` over all nodes; refuses if nobody can tell in time.
    pub(crate) async fn take_call(&self, who: Who, limit: u32) -> Result<(Quota, bool), Refusal> {
        if limit == 0 {
            return Ok((Quota { limit, remaining: 0, reset_s: MINUTE_S }, false));
        }
        let mut patience = pin!(tokio::time::sleep(limits::CALLS_WITHIN));
        let mut has_waited = false;
        loop {
            let now = self.monotonic();
            let answered = {
                let mut shares = self.shares();
                forget_idle(&mut shares, now);
                let share = shares.entry(who).or_default();
                match share.look(limit, now, has_waited) {
                    Look::Counted(quota, passes) => return Ok((quota, passes)),
                    Look::Last(quota) => {
                        drop(shares);
                        self.ask_ahead(who, limit);
                        return Ok((quota, true));
                    }
                    Look::Failed => return Err(Refusal::Unavailable { retry_after_s: 1 }),
                    Look::Wait(answered, asks) => {
                        if asks {
                            self.ask_ahead(who, limit);
                        }
                        // Hears what is said from now on, though it is waited for later.
                        answered.notified_owned()
                    }
                }
            };
            tokio::select! {
                biased;
                () = answered => {}
                () = &mut patience => return Err(Refusal::Unavailable { retry_after_s: 1 }),
            }
            has_waited = true;
        }
    }

    fn ask_ahead(&self, who: Who, limit: u32) {
        let engine = self.clone();
        self.inner.tasks.spawn(async move { engine.ask_for_calls(who, limit).await });
    }

    async fn ask_for_calls(&self, (account, environment): Who, limit: u32) {
        let now_s = u64::try_from(self.now().0 / 1_000_000).unwrap_or(0);
        let change = {
            let (now, mut shares) = (self.monotonic(), self.shares());
            let share = shares.entry((account, environment)).or_default();
            let is_spent = share.left == 0;
            let unused = if now < share.until { 0 } else { std::mem::take(&mut share.left) };
            let calls = share.wants(limit, is_spent);
            share.used = 0;
            let taken_s = share.taken_s;
            Change::GrantCalls { account, environment, limit, calls, unused, taken_s, now_s }
        };
        let answer = self.inner.store.write(change).await;
        let (now, mut shares) = (self.monotonic(), self.shares());
        let share = shares.entry((account, environment)).or_default();
        match answer {
            Ok(Ok(Done::Calls(CallGrant { granted, left, reset_s }))) => {
                if now >= share.until {
                    share.left = 0;
                }
                share.left += granted;
                (share.taken_s, share.until) = (now_s, now + limits::CALLS_AHEAD_KEPT);
                (share.elsewhere, share.reset_s, share.failed) = (left, reset_s, None);
                if granted == 0 {
                    let most = Duration::from_secs(reset_s.max(1));
                    share.none_until = now + limits::NO_CALLS_KEPT.min(most);
                }
            }
            other => {
                tracing::warn!(?other, "calls could not be counted over all nodes");
                share.failed = Some(now);
            }
        }
        (share.is_asking, share.waiting) = (false, 0);
        share.answered.notify_waiters();
    }

    fn shares(&self) -> MutexGuard<'_, HashMap<Who, Share>> {
        self.inner.allowances.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What has nothing in hand and was asked for by nobody for a while is forgotten, once many are known.
fn forget_idle(shares: &mut HashMap<Who, Share>, now: Duration) {
    if shares.len() < limits::CALLERS_COUNTED {
        return;
    }
    shares.retain(|_, share| share.is_asking || now < share.until + limits::CALLS_AHEAD_KEPT);
}

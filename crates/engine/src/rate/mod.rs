//! How often a caller may do something: sliding counts in memory, and calls over all nodes.
//!
//! `counters` is the bounded map of counts by key that all of them use, `minute` counts calls by
//! the second, `window` keeps exact times, `allowance` shares one count between nodes. Not here:
//! the limits themselves (`limits`), and the lockout's rules (`people`).

mod allowance;
mod counters;
mod minute;
mod window;

pub(crate) use allowance::Allowances;
pub(crate) use counters::{Counter, Counters};
pub(crate) use minute::MinuteLimiter;
pub(crate) use window::{Window, WindowLimiter};

use domain::refusal::TooFast;
use domain::{AccountId, Environment};
use std::time::Duration;

/// What remains of the calls of this minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Calls a minute.
    pub limit: u32,
    /// Calls that remain.
    pub remaining: u32,
    /// Seconds until the oldest call leaves the sliding minute; 0 if there is none.
    pub reset_s: u64,
}

impl Quota {
    /// Of a minute in which nothing was counted.
    pub(crate) const fn unused(limit: u32) -> Quota {
        Quota { limit, remaining: limit, reset_s: 0 }
    }
}

/// Whose calls are counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CallerKey {
    pub(crate) account: AccountId,
    pub(crate) environment: Environment,
}

/// The result of counting one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    /// The quota after the call.
    pub(crate) quota: Quota,
    /// Whether the call is within the limit; if not, it was not counted.
    pub(crate) passes: bool,
}

impl Counted {
    /// The quota, or `TooFast` until the oldest call leaves the minute.
    pub(crate) fn or_refuse(self) -> Result<Quota, TooFast> {
        if self.passes {
            return Ok(self.quota);
        }
        Err(TooFast { retry_after_s: self.quota.reset_s.max(1) })
    }
}

/// A wait in whole seconds for `Retry-After`, rounded up.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

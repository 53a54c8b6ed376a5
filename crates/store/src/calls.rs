//! Counts of an account's calls in the last minute, shared by all nodes.
//!
//! Read with everything else that a batch mentions, changed in memory, written once per batch.

use crate::backend::{Row, SetQuery, Sql, WriteKey, values};
use crate::commit::{Commit, CommitNeeds, Tx};
use crate::fault::{Fault, Result};
use domain::ids::IdMap;
use domain::{AccountId, Environment, Minute};
use std::convert::Infallible;

/// The account that calls, and the environment that it calls.
pub(crate) type Caller = (AccountId, Environment);

/// The answer to a request for calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallGrant {
    /// How many calls may be made.
    pub granted: u32,
    /// How many are left in this minute, for all nodes.
    pub left: u32,
    /// Seconds until the oldest counted call no longer counts.
    pub reset_s: u64,
}

/// Takes calls of an account's minute in advance, counted over all nodes.
#[derive(Clone, Copy, Debug)]
pub struct GrantCalls {
    /// The caller.
    pub account: AccountId,
    /// The environment that is called.
    pub environment: Environment,
    /// Calls a minute.
    pub limit: u32,
    /// How many calls are wanted.
    pub calls: u32,
    /// How many of the calls taken before were not made.
    pub unused: u32,
    /// The second in which those were taken.
    pub taken_s: u64,
    /// The present time, in seconds.
    pub now_s: u64,
}

impl Commit for GrantCalls {
    type Done = CallGrant;
    type Denied = Infallible;

    fn needs(&self) -> CommitNeeds<'_> {
        let caller = Some((self.account, self.environment));
        CommitNeeds { caller, is_optimistic: true, ..CommitNeeds::default() }
    }

    fn apply(&self, tx: &mut Tx<'_>) -> Result<CallGrant> {
        Ok(tx.calls.grant(self))
    }
}

/// Callers in the cache: some 10 MB. Past that it is cleared.
const CACHED_MAX: usize = 20_000;

/// The counts that a batch mentions, and those after the last commit.
#[derive(Debug, Default)]
pub(crate) struct CallCounts {
    minutes: IdMap<Caller, Minute>,
    /// As far as they are known. If another node has written since, the database rejects an
    /// optimistic batch that is built on them.
    last_minutes: IdMap<Caller, Minute>,
}

impl CallCounts {
    /// Asks for the counts of callers.
    pub(crate) fn query(callers: &[Caller]) -> SetQuery<'static> {
        let mut query = SetQuery::new(
            "SELECT at_s, slots FROM calls WHERE account_id = $1 AND environment = $2",
            2,
        );
        for (account, environment) in callers {
            query.add(&values![*account, *environment]);
        }
        query
    }

    /// Drops the counts of the batch before.
    pub(crate) fn begin(&mut self) {
        self.minutes.clear();
    }

    /// Begins with the counts after the last commit; `false` if not all of them are cached.
    pub(crate) fn begin_with_last(&mut self, callers: &[Caller]) -> bool {
        self.minutes.clear();
        let last = |caller: &Caller| Some((*caller, self.last_minutes.get(caller)?.clone()));
        self.minutes.extend(callers.iter().map_while(last));
        self.minutes.len() == callers.len()
    }

    /// Keeps the counts after a commit.
    pub(crate) fn keep(&mut self) {
        if self.last_minutes.len() > CACHED_MAX {
            self.last_minutes.clear();
        }
        self.last_minutes.extend(self.minutes.drain());
    }

    /// Drops what another node may have changed.
    pub(crate) fn forget(&mut self) {
        self.last_minutes.clear();
    }

    /// Reads a row of [`CallCounts::query`].
    pub(crate) fn read_row(&mut self, caller: Caller, row: &dyn Row) -> Result<()> {
        let broken = || Fault::corrupt("a count of calls");
        let at_s = u64::try_from(row.int(0)?).map_err(|_| broken())?;
        let minute = Minute::from_bytes(row.bytes(1)?, at_s).ok_or_else(broken)?;
        self.minutes.insert(caller, minute);
        Ok(())
    }

    /// Grants as many calls as the minute has left.
    fn grant(&mut self, quota: &GrantCalls) -> CallGrant {
        let caller = (quota.account, quota.environment);
        let minute = self.minutes.entry(caller).or_insert_with(|| Minute::new(quota.now_s));
        minute.give_back(quota.unused, quota.taken_s);
        minute.advance(quota.now_s);
        let granted = minute.take(quota.calls, quota.limit);
        CallGrant { granted, left: minute.left(quota.limit), reset_s: minute.next_free_in_s() }
    }

    /// Writes the counts of the batch.
    pub(crate) fn write(&self, sql: &mut dyn Sql) -> Result<()> {
        for ((account, environment), minute) in &self.minutes {
            let at_s = i64::try_from(minute.at_s()).map_err(|_| Fault::corrupt("a second"))?;
            let slots = minute.to_bytes();
            sql.defer(
                "INSERT INTO calls (account_id, environment, at_s, slots) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (account_id, environment) DO UPDATE SET at_s = excluded.at_s,
                     slots = excluded.slots",
                WriteKey::Last,
                &values![*account, *environment, at_s, &slots],
                Some(1),
            )?;
        }
        Ok(())
    }
}

//! The one count of an account's calls that all nodes share.
//!
//! Read with everything else that a batch mentions, judged in memory, written once.

use crate::backend::{Row, SetQuery, Sql, WriteKey};
use crate::fault::Fault;
use domain::account::{AccountId, Environment};
use domain::rate::Minute;
use std::collections::HashMap;

/// Whose calls.
pub(crate) type Who = (AccountId, Environment);

/// What came of asking for calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// As many may be made.
    pub granted: u32,
    /// So many are left for others.
    pub left: u32,
    /// Seconds until the oldest call that counts is given back.
    pub reset_s: u64,
}

/// The minutes that a batch mentions.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    minutes: HashMap<Who, Minute>,
    /// As the last commit left them, as far as they are known: good for a Tx that fails if anybody
    /// else wrote since.
    left: HashMap<Who, Minute>,
}

/// Callers that are remembered: some 10 MB. Past that it begins anew.
const REMEMBERED_MAX: usize = 20_000;

/// What a node asks for.
pub(crate) struct CallQuota {
    pub(crate) limit: u32,
    pub(crate) calls: u32,
    /// Calls that were taken at a second and not made.
    pub(crate) back: (u32, u64),
    pub(crate) now_s: u64,
}

impl Calls {
    pub(crate) fn ask(whose: &[Who]) -> SetQuery<'static> {
        let mut ask = SetQuery::new(
            "SELECT at_s, slots FROM calls WHERE account_id = $1 AND environment = $2",
            2,
        );
        for (account, environment) in whose {
            ask.add(&[account.0.into(), environment.code().into()]);
        }
        ask
    }

    /// Forgets the batch before.
    pub(crate) fn open(&mut self) {
        self.minutes.clear();
    }

    /// Counts on from what the last commit left; false if that is not known of all.
    pub(crate) fn recall(&mut self, whose: &[Who]) -> bool {
        self.minutes.clear();
        let known = whose.iter().map_while(|who| Some((*who, self.left.get(who)?.clone())));
        self.minutes.extend(known);
        self.minutes.len() == whose.len()
    }

    /// Remembers what a commit left.
    pub(crate) fn leave(&mut self) {
        if self.left.len() > REMEMBERED_MAX {
            self.left.clear();
        }
        self.left.extend(self.minutes.drain());
    }

    /// Forgets what somebody else may have changed.
    pub(crate) fn forget(&mut self) {
        self.left.clear();
    }

    pub(crate) fn take_row(&mut self, who: Who, row: &dyn Row) -> Result<(), Fault> {
        let broken = || Fault::corrupt("a count of calls");
        let at_s = u64::try_from(row.int(0)?).map_err(|_| broken())?;
        let minute = Minute::from_bytes(row.bytes(1)?, at_s).ok_or_else(broken)?;
        self.minutes.insert(who, minute);
        Ok(())
    }

    pub(crate) fn allow(&mut self, who: Who, want: &CallQuota) -> Allowed {
        let minute = self.minutes.entry(who).or_insert_with(|| Minute::new(want.now_s));
        let (unused, taken_s) = want.back;
        minute.give_back(unused, taken_s);
        minute.advance(want.now_s);
        let granted = minute.take(want.calls, want.limit);
        Allowed { granted, left: minute.left(want.limit), reset_s: minute.gives_back_in_s() }
    }

    /// Writes what the batch counted.
    pub(crate) fn write(&self, sql: &mut dyn Sql) -> Result<(), Fault> {
        for ((account, environment), minute) in &self.minutes {
            let at_s = i64::try_from(minute.at_s()).map_err(|_| Fault::corrupt("a second"))?;
            sql.defer(
                "INSERT INTO calls (account_id, environment, at_s, slots) VALUES ($1, $2, $3, $4)
                 ON CONFLICT (account_id, environment) DO UPDATE SET at_s = excluded.at_s, slots = excluded.slots",
                WriteKey::Last,
                &[account.0.into(), environment.code().into(), at_s.into(), (&minute.to_bytes()).into()],
                Some(1),
            )?;
        }
        Ok(())
    }
}

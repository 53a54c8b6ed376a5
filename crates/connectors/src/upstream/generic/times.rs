//! The times of a file: when it is asked, how long it is waited for, how far apart answers are.
//!
//! Invariant: a time that a file names is the one that is used, or the file is refused.

use super::file::PanelFile;
use crate::upstream::kit::protocol::RepeatedRefusals;
use domain::retry::{ENQUIRIES, RetrySchedule};
use parking_lot::Mutex;
use std::collections::BTreeSet;
use std::time::Duration;

/// As long as the connection may take to open.
const CONNECT_MAX: Duration = Duration::from_secs(10);
/// Equal answers must be at least this long apart.
pub(super) const GAP_MIN: Duration = Duration::from_secs(60);
/// How long an order may be in doubt before staff find out.
const STAFF_AFTER: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(10 * 60)..=Duration::from_secs(7 * 24 * 60 * 60);
/// A balance that is asked for more seldom says nothing.
const BALANCE_GAP_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// After so many days an order may be asked about again: longer, panels do not know it any more.
const RECHECKED_AFTER_DAYS: std::ops::RangeInclusive<u32> = 1..=30;
const RECHECKS_MAX: usize = 5;
/// Schedules live as long as the program: each different one is kept once.
static SCHEDULES: Mutex<BTreeSet<&'static [Duration]>> = Mutex::new(BTreeSet::new());
/// So do the days of rechecks.
static RECHECKS: Mutex<BTreeSet<&'static [u32]>> = Mutex::new(BTreeSet::new());

/// `10s`, `5m`, `24h`, `3d`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("{text:?} is not a time such as 10s, 5m, 24h or 3d");
    let at = text.len().checked_sub(1).filter(|at| text.is_char_boundary(*at)).ok_or_else(wrong)?;
    let count: u64 = text[..at].parse().map_err(|_| wrong())?;
    let seconds = match &text[at..] {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    count.checked_mul(seconds).map(Duration::from_secs).ok_or_else(wrong)
}

pub(super) fn schedule(file: &PanelFile) -> Result<RetrySchedule, String> {
    let Some(form) = &file.schedule else { return Ok(ENQUIRIES) };
    let waits = form.poll.iter().map(|text| duration(text)).collect::<Result<Vec<_>, _>>()?;
    if waits.is_empty() {
        return Ok(ENQUIRIES);
    }
    if !waits.is_sorted() || waits[0].is_zero() {
        return Err("poll: waits above zero, the shortest first".to_owned());
    }
    Ok(RetrySchedule::new(kept_once(&SCHEDULES, waits)))
}

fn kept_once<T: Ord>(kept: &Mutex<BTreeSet<&'static [T]>>, list: Vec<T>) -> &'static [T] {
    let mut kept = kept.lock();
    if let Some(known) = kept.get(list.as_slice()) {
        return known;
    }
    let list: &'static [T] = list.leak();
    kept.insert(list);
    list
}

/// The days after which an order that has ended is asked about again.
pub(super) fn rechecks(file: &PanelFile) -> Result<&'static [u32], String> {
    let texts = file.schedule.iter().flat_map(|form| &form.recheck);
    let days = texts.map(|text| {
        let days = text.strip_suffix('d').and_then(|count| count.parse().ok());
        days.filter(|days| RECHECKED_AFTER_DAYS.contains(days))
    });
    let days: Option<Vec<u32>> = days.collect();
    let days = days.filter(|days| days.is_sorted_by(|a, b| a < b) && days.len() <= RECHECKS_MAX);
    match days {
        Some(days) if days.is_empty() || file.query.is_some() => Ok(kept_once(&RECHECKS, days)),
        Some(_) => Err("recheck needs [query]".to_owned()),
        None => {
            Err("recheck: up to 5 times, each of whole days: [\"1d\", \"3d\"], 30d at most".into())
        }
    }
}

/// How long an order is asked about before staff look for it.
pub(super) fn staff_after(file: &PanelFile) -> Result<Option<Duration>, String> {
    let text = file.schedule.as_ref().and_then(|form| form.to_staff.as_deref());
    match text.map(duration).transpose()? {
        Some(wait) if !STAFF_AFTER.contains(&wait) => {
            Err("to_staff is between 10m and 7d".to_owned())
        }
        wait => Ok(wait),
    }
}

pub(super) fn connect_timeout(file: &PanelFile) -> Result<Option<Duration>, String> {
    match file.base.connect_timeout.as_deref().map(duration).transpose()? {
        Some(wait) if wait > CONNECT_MAX || wait.is_zero() => {
            Err("connect_timeout is 10s at most: a server that needs longer counts as down".into())
        }
        wait => Ok(wait),
    }
}

pub(super) fn balance_gap(file: &PanelFile) -> Result<Option<Duration>, String> {
    let text = file.balance.as_ref().and_then(|form| form.min_interval.as_deref());
    match text.map(duration).transpose()? {
        Some(gap) if gap > BALANCE_GAP_MAX => Err("min_interval is 1d at most".to_owned()),
        gap => Ok(gap),
    }
}

/// The strictest of the rules: at least two answers, a minute apart.
pub(super) fn repeated_refusals(file: &PanelFile) -> Result<RepeatedRefusals, String> {
    let mut strictest = RepeatedRefusals { times: 2, gap: GAP_MIN };
    for rule in file.query.iter().flat_map(|query| &query.rules) {
        strictest.times = strictest.times.max(rule.repeats.unwrap_or_default());
        let gap = rule.gap.as_deref().map(duration).transpose()?;
        strictest.gap = strictest.gap.max(gap.unwrap_or_default());
    }
    Ok(strictest)
}

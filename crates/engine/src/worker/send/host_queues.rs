//! Webhooks in hand that wait for their turn: a line for each host, so that a slow or dead one holds
//! up nobody else.
//!
//! Pure: told what arrives, what comes back and what time it is. Invariant: a host that has not
//! shown that it wants what it gets is sent one at a time and at most sixty a minute, whoever asks.

use crate::limits;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;
use store::DueWebhook;

/// Webhooks of one purchase for one endpoint, in their order.
pub(crate) type Thread = Vec<DueWebhook>;

/// All lines.
#[derive(Default)]
pub(super) struct HostQueues {
    lines: HashMap<String, Line>,
    /// Hosts whose line may have somebody to send.
    ready: VecDeque<String>,
    waiting: usize,
    out: usize,
}

#[derive(Default)]
struct Line {
    queue: VecDeque<Thread>,
    out: usize,
    is_ready: bool,
    is_trusted: bool,
    taken: u32,
    failed_in_row: u32,
    /// When something was sent there within the last minute; kept for hosts that are not trusted.
    sent_at: VecDeque<Duration>,
}

/// How it went with what was sent to a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Went {
    pub(super) taken: u32,
    pub(super) failed: u32,
}

/// A line that has no room.
#[derive(Debug)]
pub(super) struct Full {
    pub(super) thread: Thread,
    /// Whether the host answers nothing but failures.
    pub(super) is_failing: bool,
}

const MINUTE: Duration = Duration::from_secs(60);

impl Line {
    const fn is_failing(&self) -> bool {
        self.failed_in_row >= limits::FAILURES_UNTIL_ALONE
    }

    const fn slots(&self) -> usize {
        if self.is_trusted && !self.is_failing() { limits::WEBHOOKS_AT_ONCE_TO_HOST } else { 1 }
    }

    /// Whether as many more may be sent this minute.
    fn is_within_rate(&mut self, count: usize, now: Duration) -> bool {
        while self.sent_at.front().is_some_and(|at| *at + MINUTE <= now) {
            self.sent_at.pop_front();
        }
        self.is_trusted || self.sent_at.len() + count <= limits::WEBHOOKS_A_MINUTE_UNTRUSTED
    }

    /// The next thread, if one may go.
    fn next(&mut self, now: Duration) -> Option<Thread> {
        let count = self.queue.front()?.len();
        if self.out >= self.slots() || !self.is_within_rate(count, now) {
            return None;
        }
        if !self.is_trusted {
            self.sent_at.extend(std::iter::repeat_n(now, count));
        }
        self.out += 1;
        self.queue.pop_front()
    }

    fn is_idle(&self) -> bool {
        self.queue.is_empty() && self.out == 0
    }
}

impl HostQueues {
    /// How many threads wait.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Puts a thread into its host's line.
    pub(super) fn arrive(
        &mut self,
        host: String,
        thread: Thread,
        is_trusted: bool,
    ) -> Result<(), Full> {
        let line = self.lines.entry(host.clone()).or_default();
        line.is_trusted |= is_trusted;
        let has_room = self.waiting < limits::WEBHOOKS_WAITING
            && line.queue.len() < limits::WEBHOOKS_WAITING_FOR_HOST;
        if !has_room {
            return Err(Full { thread, is_failing: line.is_failing() });
        }
        line.queue.push_back(thread);
        self.waiting += 1;
        if !line.is_ready {
            line.is_ready = true;
            self.ready.push_back(host);
        }
        Ok(())
    }

    /// Who goes next: hosts in turn.
    pub(super) fn next(&mut self, now: Duration) -> Option<(String, Thread)> {
        while self.out < limits::WEBHOOKS_AT_ONCE {
            let host = self.ready.pop_front()?;
            let Some(line) = self.lines.get_mut(&host) else { continue };
            let Some(thread) = line.next(now) else {
                line.is_ready = false;
                continue;
            };
            self.ready.push_back(host.clone());
            self.waiting -= 1;
            self.out += 1;
            return Some((host, thread));
        }
        None
    }

    /// Somebody is back from a host. Answers whether the host is trusted from now on.
    pub(super) fn back(&mut self, host: &str, went: Went) -> bool {
        self.out -= 1;
        let Some(line) = self.lines.get_mut(host) else { return false };
        line.out -= 1;
        line.taken = line.taken.saturating_add(went.taken);
        line.failed_in_row = if went.taken > 0 { 0 } else { line.failed_in_row + went.failed };
        let is_new = !line.is_trusted && line.taken >= limits::TAKEN_UNTIL_TRUSTED;
        line.is_trusted |= is_new;
        if !line.queue.is_empty() && !line.is_ready {
            line.is_ready = true;
            self.ready.push_back(host.to_owned());
        }
        is_new
    }

    /// Now and then: lines that waited for their minute may go on, idle ones are forgotten.
    pub(super) fn tick(&mut self, now: Duration) {
        let is_crowded = self.lines.len() > limits::HOSTS_KNOWN;
        self.lines.retain(|_, line| {
            let is_settled = line.is_within_rate(limits::WEBHOOKS_A_MINUTE_UNTRUSTED, now);
            !line.is_idle() || !(is_crowded || (is_settled && line.failed_in_row == 0))
        });
        for (host, line) in &mut self.lines {
            if !line.queue.is_empty() && !line.is_ready {
                line.is_ready = true;
                self.ready.push_back(host.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;

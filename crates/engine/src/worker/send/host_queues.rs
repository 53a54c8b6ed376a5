//! A queue of webhooks for each host, so that a slow or dead host delays no other.
//!
//! Pure: it is given what arrives, what is done, and the time. Invariant: a host that has not
//! accepted enough webhooks yet is sent one at a time and at most sixty a minute, whoever the
//! accounts are.

use super::WebhookSeries;
use crate::limits;
use crate::rate::Window;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

/// The queues of all hosts.
#[derive(Default)]
pub(super) struct HostQueues {
    queues: HashMap<String, HostQueue>,
    /// Hosts whose queue may have a series to send, in turn.
    ready: VecDeque<String>,
    waiting: usize,
    in_flight: usize,
}

struct HostQueue {
    waiting: VecDeque<WebhookSeries>,
    in_flight: usize,
    is_ready: bool,
    is_trusted: bool,
    accepted: u32,
    failed_in_row: u32,
    /// Webhooks sent within the last minute; not counted for trusted hosts.
    sent: Window,
}

/// How many webhooks of a series were accepted, and how many tries failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct SeriesCounts {
    pub(super) accepted: u32,
    pub(super) failed: u32,
}

/// A series that found no room in its queue.
#[derive(Debug)]
pub(super) struct QueueFull {
    pub(super) series: WebhookSeries,
    /// Whether the host only fails.
    pub(super) is_failing: bool,
}

const MINUTE: Duration = Duration::from_secs(60);

impl HostQueue {
    const fn new() -> HostQueue {
        HostQueue {
            waiting: VecDeque::new(),
            in_flight: 0,
            is_ready: false,
            is_trusted: false,
            accepted: 0,
            failed_in_row: 0,
            sent: Window::new(MINUTE),
        }
    }

    const fn is_failing(&self) -> bool {
        self.failed_in_row >= limits::FAILURES_UNTIL_ALONE
    }

    const fn slots(&self) -> usize {
        if self.is_trusted && !self.is_failing() { limits::WEBHOOKS_AT_ONCE_TO_HOST } else { 1 }
    }

    /// Whether so many more may be sent this minute.
    fn is_within_rate(&mut self, count: usize, now: Duration) -> bool {
        let sent = self.sent.count(now);
        self.is_trusted || sent + count <= limits::WEBHOOKS_A_MINUTE_UNTRUSTED
    }

    /// The next series, if one may be sent.
    fn next(&mut self, now: Duration) -> Option<WebhookSeries> {
        let count = self.waiting.front()?.len();
        if self.in_flight >= self.slots() || !self.is_within_rate(count, now) {
            return None;
        }
        if !self.is_trusted {
            self.sent.add(count, now);
        }
        self.in_flight += 1;
        self.waiting.pop_front()
    }

    fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.in_flight == 0
    }
}

impl HostQueues {
    /// How many series wait.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Puts a series into its host's queue.
    pub(super) fn enqueue(
        &mut self,
        host: String,
        series: WebhookSeries,
        is_trusted: bool,
    ) -> Result<(), QueueFull> {
        let queue = self.queues.entry(host.clone()).or_insert_with(HostQueue::new);
        queue.is_trusted |= is_trusted;
        let has_room = self.waiting < limits::WEBHOOKS_WAITING
            && queue.waiting.len() < limits::WEBHOOKS_WAITING_FOR_HOST;
        if !has_room {
            return Err(QueueFull { series, is_failing: queue.is_failing() });
        }
        queue.waiting.push_back(series);
        self.waiting += 1;
        if !queue.is_ready {
            queue.is_ready = true;
            self.ready.push_back(host);
        }
        Ok(())
    }

    /// The next series to send; hosts take turns.
    pub(super) fn next(&mut self, now: Duration) -> Option<(String, WebhookSeries)> {
        while self.in_flight < limits::WEBHOOKS_AT_ONCE {
            let host = self.ready.pop_front()?;
            let Some(queue) = self.queues.get_mut(&host) else { continue };
            let Some(series) = queue.next(now) else {
                queue.is_ready = false;
                continue;
            };
            self.ready.push_back(host.clone());
            self.waiting -= 1;
            self.in_flight += 1;
            return Some((host, series));
        }
        None
    }

    /// A series was sent. Answers whether its host is trusted from now on.
    pub(super) fn finish(&mut self, host: &str, counts: SeriesCounts) -> bool {
        self.in_flight -= 1;
        let Some(queue) = self.queues.get_mut(host) else { return false };
        queue.in_flight -= 1;
        queue.accepted = queue.accepted.saturating_add(counts.accepted);
        let failed_in_row = queue.failed_in_row + counts.failed;
        queue.failed_in_row = if counts.accepted > 0 { 0 } else { failed_in_row };
        let is_new = !queue.is_trusted && queue.accepted >= limits::ACCEPTED_UNTIL_TRUSTED;
        queue.is_trusted |= is_new;
        if !queue.waiting.is_empty() && !queue.is_ready {
            queue.is_ready = true;
            self.ready.push_back(host.to_owned());
        }
        is_new
    }

    /// Once a second: queues that waited for their minute become ready, idle ones are forgotten.
    pub(super) fn tick(&mut self, now: Duration) {
        let is_crowded = self.queues.len() > limits::HOSTS_KNOWN;
        self.queues.retain(|_, queue| {
            let is_settled = queue.is_within_rate(limits::WEBHOOKS_A_MINUTE_UNTRUSTED, now);
            !queue.is_idle() || !(is_crowded || (is_settled && queue.failed_in_row == 0))
        });
        for (host, queue) in &mut self.queues {
            if !queue.waiting.is_empty() && !queue.is_ready {
                queue.is_ready = true;
                self.ready.push_back(host.clone());
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! What an account's servers are told, and when they are told again.
//!
//! Not here: who tells (engine) and the words (faces). Invariant: what is owed is fixed when it
//! happens; a later state of the purchase changes nothing in it.

use crate::clock::Timestamp;
use crate::ids::{EndpointId, PurchaseId};
use std::borrow::Cow;
use std::time::Duration;

/// A webhook that a step owes to one endpoint, written in the commit of the step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingWebhook {
    /// The event's name, as its face writes it: once for ever of a purchase and an endpoint.
    pub event: Cow<'static, str>,
    /// Counts from 1 within the purchase.
    pub sequence: u32,
    /// Whose secret signs it.
    pub endpoint: EndpointId,
    /// Where it goes.
    pub url: String,
    /// What is sent, to the byte.
    pub body: String,
    /// When it happened.
    pub at: Timestamp,
    /// When somebody must take it up; none: nothing is sent there any more.
    pub due: Option<Timestamp>,
    /// Whoever writes it has it in hand, and until it is due nobody else does.
    pub is_in_hand: bool,
}

/// When a face's `success` event is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SuccessEvent {
    /// Once the purchase is delivered.
    #[default]
    OnFinal,
    /// Once the purchase is accepted (the literal reading of CONTRACT A-14).
    OnAccept,
}

impl SuccessEvent {
    /// Both.
    pub const ALL: [SuccessEvent; 2] = [SuccessEvent::OnFinal, SuccessEvent::OnAccept];

    /// As stored and shown.
    pub const fn code(self) -> &'static str {
        match self {
            SuccessEvent::OnFinal => "on_final",
            SuccessEvent::OnAccept => "on_accept",
        }
    }

    /// Reads [`SuccessEvent::code`].
    pub fn from_code(code: &str) -> Option<SuccessEvent> {
        SuccessEvent::ALL.into_iter().find(|s| s.code() == code)
    }
}

/// What a receiver knows a webhook by, the same at every try: a repeat is told by it.
pub fn webhook_id(purchase: PurchaseId, event: &str) -> String {
    let tail = event.rsplit('.').next().unwrap_or(event);
    format!("evt_{purchase}_{tail}")
}

/// Reads [`webhook_id`]: the purchase and the event's last word.
pub fn parse_webhook_id(text: &str) -> Option<(PurchaseId, &str)> {
    let (purchase, tail) = text.strip_prefix("evt_")?.split_once('_')?;
    Some((PurchaseId(purchase.parse().ok()?), tail))
}

/// Once a webhook has been owed this long, no further try is planned.
pub const GIVEN_UP_AFTER: Duration = Duration::from_secs(72 * 3600);
/// An address that has done nothing but fail for this long is switched off.
pub const OFF_AFTER: Duration = Duration::from_secs(5 * 24 * 3600);
/// A webhook that was refused (4xx) so often holds up those after it no longer.
pub const REFUSALS_HOLD_UP: u32 = 3;

/// How long to wait after `tries` in vain, before chance (RELIABILITY P8).
const fn step_after(tries: u32) -> Duration {
    const HOUR: u64 = 3600;
    Duration::from_secs(match tries {
        0 | 1 => 5,
        2 => 5 * 60,
        3 => 30 * 60,
        4 => 2 * HOUR,
        5 => 5 * HOUR,
        6 | 7 => 10 * HOUR,
        _ => 24 * HOUR,
    })
}

/// When to try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    /// Tries in vain so far, the last one too: from 1.
    pub tries: u32,
    /// How long the receiver asked to be left alone, if it said it is busy.
    pub asked: Option<Duration>,
    /// Any number: spreads tries by a fifth of the wait to either side.
    pub random: u32,
    /// Waits are divided by this: 1, but in tests.
    pub time_divisor: u32,
}

/// How long to wait now; `None`: it has been owed for long enough. What a busy receiver asked for
/// counts up to twice the step.
pub fn again_after(again: Again, owed_for: Duration) -> Option<Duration> {
    let time_divisor = again.time_divisor.max(1);
    if owed_for >= GIVEN_UP_AFTER / time_divisor {
        return None;
    }
    let step = step_after(again.tries) / time_divisor;
    let spread = step * (800 + again.random % 401) / 1000;
    Some(again.asked.map_or(spread, |asked| asked.clamp(spread, step * 2)))
}

/// The part of a URL that names who is called: `hooks.example.com:8443`, in small letters.
pub fn host_of(url: &str) -> String {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    host.trim_end_matches('.').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(random: u32) -> Vec<u64> {
        let mut owed_for = Duration::ZERO;
        let mut waits = Vec::new();
        for tries in 1.. {
            let again = Again { tries, asked: None, random, time_divisor: 1 };
            let Some(wait) = again_after(again, owed_for) else { break };
            owed_for += wait;
            waits.push(wait.as_secs());
        }
        assert!(owed_for >= GIVEN_UP_AFTER, "{owed_for:?}");
        waits
    }

    #[test]
    fn tries_are_spread_over_three_days() {
        let hour = 3600;
        let planned =
            [5, 300, 1800, 2 * hour, 5 * hour, 10 * hour, 10 * hour, 24 * hour, 24 * hour];
        assert_eq!(waits(200), planned);
        assert_eq!(waits(0)[..9], planned.map(|wait| wait * 4 / 5));
        assert_eq!(waits(400)[..8], planned.map(|wait| wait * 6 / 5)[..8]);
    }

    #[test]
    fn a_busy_receiver_is_left_alone_within_reason() {
        let wait = |asked: u64| {
            let asked = Some(Duration::from_secs(asked));
            let again = Again { tries: 2, asked, random: 200, time_divisor: 1 };
            again_after(again, Duration::ZERO).unwrap().as_secs()
        };
        assert_eq!([wait(0), wait(400), wait(86_400)], [300, 400, 600]);
    }

    #[test]
    fn an_id_reads_back() {
        let id = webhook_id(PurchaseId(12), "billing.recharge.approved");
        assert_eq!(id, "evt_12_approved");
        assert_eq!(parse_webhook_id(&id), Some((PurchaseId(12), "approved")));
        for bad in ["", "evt_", "evt_12", "evt_x_approved", "12_approved"] {
            assert_eq!(parse_webhook_id(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_host_is_named_with_its_port() {
        for (url, host) in [
            ("https://Hooks.Example.com/a?b", "hooks.example.com"),
            ("https://hooks.example.com.:8443", "hooks.example.com.:8443"),
            ("http://127.0.0.1:9000/x", "127.0.0.1:9000"),
            ("https://example.com?x=1", "example.com"),
        ] {
            assert_eq!(host_of(url), host);
        }
    }
}

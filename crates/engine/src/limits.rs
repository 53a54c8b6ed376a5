//! Everything has a limit, with its reason; and the counts of calls that one node keeps by itself.
//!
//! Not here: calls that are counted over all nodes (`allowance`).

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::access::Quota;
use domain::rate::{MINUTE_S, Minute};

/// A client waits at most this long for an answer; longer than an upstream gets, shorter than a
/// proxy's patience (RELIABILITY 1.4, rule 9).
pub const ANSWER_WITHIN: Duration = Duration::from_secs(25);
/// A purchase that the store has not begun with by then is refused, with nothing stored: the next try
/// may meet a shorter queue (RELIABILITY 3.2, step 2).
pub const BEGUN_WITHIN: Duration = Duration::from_secs(5);
/// To hear how many calls are left; together with [`ANSWER_WITHIN`] less than what the edge waits.
pub const CALLS_WITHIN: Duration = Duration::from_secs(3);
/// Whoever accepts a quote waits at most this long (CONTRACT B-24).
pub const ACCEPTANCE_WITHIN: Duration = Duration::from_secs(20);
/// An upstream says whom a bill reference belongs to within this, or the next one is asked.
pub const LOOK_UP_WITHIN: Duration = Duration::from_secs(8);
/// Pushes that are out at once.
pub const PUSHES_AT_ONCE: usize = 16;
/// A push service answers within this; shorter than the lease.
pub const PUSH_WITHIN: Duration = Duration::from_secs(15);
/// After this long a push is news no more.
pub const PUSH_WORTH: Duration = Duration::from_secs(24 * 3600);
/// What other nodes did and could not be read is read again after this.
pub const NEWS_AGAIN: Duration = Duration::from_secs(1);
/// Webhooks that are out at once: each holds a connection.
pub const WEBHOOKS_AT_ONCE: usize = 256;
/// Webhooks that are out at once to one host: what a receiver that takes a tenth of a second needs for
/// some hundreds a second.
pub const WEBHOOKS_AT_ONCE_TO_HOST: usize = 32;
/// A host that was never seen to take any is sent so many a minute, by whomever (RELIABILITY O5).
pub const WEBHOOKS_A_MINUTE_UNTRUSTED: usize = 60;
/// A host that has taken so many is trusted: it is a receiver, not a victim.
pub const TAKEN_UNTIL_TRUSTED: u32 = 20;
/// A host that failed so often in a row is sent one at a time until it takes one.
pub const FAILURES_UNTIL_ALONE: u32 = 8;
/// Hosts whose line is kept while nobody waits in it.
pub const HOSTS_KNOWN: usize = 20_000;
/// Purchases whose webhooks wait in memory: some seconds of work. What finds no room waits in the store.
pub const WEBHOOKS_WAITING: usize = 16_384;
/// Purchases whose webhooks wait in memory for one host.
pub const WEBHOOKS_WAITING_FOR_HOST: usize = 8_192;
/// Purchases whose webhooks are on their way to their lines.
pub const WEBHOOKS_ARRIVING: usize = 4_096;
/// Webhooks claimed at once.
pub const WEBHOOKS_CLAIMED: u32 = 512;
/// Whoever has a webhook in hand has it this long: a wait in its line, and a try.
pub const WEBHOOK_LEASE: Duration = Duration::from_secs(45);
/// A receiver answers within this (a courier's own limit is a little less); shorter than the lease.
pub const WEBHOOK_WITHIN: Duration = Duration::from_secs(18);
/// A webhook that finds no room in memory is looked at again after this.
pub const FULL_WAITS: Duration = Duration::from_secs(5);
/// The same, when its host does nothing but fail.
pub const FULL_AND_FAILING_WAITS: Duration = Duration::from_secs(5 * 60);
/// Endpoints that another node changed are seen within this.
pub const ENDPOINTS_CACHED: Duration = Duration::from_secs(1);
/// Addresses that fail and are kept in mind.
pub const FAILING_KNOWN: usize = 50_000;
/// An address that has failed for this long is noted in the store.
pub const FAILING_STORED_AFTER: Duration = Duration::from_secs(60);
/// A webhook whose address led to a place that is not public this often is an alarm.
pub const BLOCKED_UNTIL_ALARM: u32 = 10;
/// A purchase that has so much evidence gets none from callbacks: nobody reads more, and a callback
/// that differs each time must not fill the disk.
pub const EVIDENCE_UNTIL_CALLBACKS_ARE_DROPPED: usize = 50;
/// The log of webhooks goes back this far.
pub const WEBHOOKS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// Webhooks forgotten in one commit: a few milliseconds of the writer.
pub const WEBHOOKS_PRUNED: u32 = 200;
/// Between two looks for webhooks to forget.
pub const PRUNE_EVERY: Duration = Duration::from_secs(10 * 60);
/// A worker that claimed a job has this long; then another may take it.
pub const LEASE: Duration = Duration::from_secs(60);
/// Between two enquiries about one attempt, at least.
pub const ASK_AGAIN_MIN: Duration = Duration::from_millis(100);
/// Jobs that run at once: bounds what a crash leaves half done.
pub const JOBS_AT_ONCE: usize = 64;
/// How long a worker sleeps when nothing is due: the delay that a job can have.
pub const SLEEP_MAX: Duration = Duration::from_millis(500);
/// A step that loses its race is decided anew; this often only if somebody races for ever.
pub const RACES_MAX: u32 = 8;
/// Words of upstreams that may wait; past that they are dropped and asked for again.
pub const WORDS_MAX: usize = 10_000;
/// While the installation is halted: how long a job waits that would send, or call off, something.
pub const HALTED_JOB_WAITS: Duration = Duration::from_secs(60);
/// While the installation is halted: when a buyer should come again. Somebody has to look first.
pub const HALTED_RETRY_AFTER_S: u64 = 300;
/// While the installation is halted: how soon a node hears that another one was told to go on.
pub const HALT_READ_EVERY: Duration = Duration::from_secs(1);
/// While the installation is halted: between two warnings.
pub const HALT_SAID_EVERY: Duration = Duration::from_secs(3600);
/// Between two quick audits.
pub const AUDIT_EVERY: Duration = Duration::from_secs(10 * 60);
/// Purchases, or journals, that go into an archive leave the live books so many in one commit: a few
/// milliseconds of work, so that whoever buys meanwhile hardly waits.
pub const ARCHIVE_ROWS: u32 = 100;
/// Tries to drop archived months on a server while somebody reads them, and the pause in between.
pub const DROP_TRIES: u32 = 30;
/// See [`DROP_TRIES`].
pub const DROP_EVERY: Duration = Duration::from_secs(1);
/// A verified key is trusted this long before it is read again: revoking works within it.
pub const KEY_CACHED: Duration = Duration::from_secs(1);
/// As long as the store knows that no key and no account has changed, it is trusted this long.
pub const KEY_KEPT: Duration = Duration::from_secs(60);
/// Keys kept verified.
pub const KEYS_CACHED: usize = 20_000;
/// Offers are remembered this long after they were shown.
pub const OFFERS_SHOWN: Duration = Duration::from_secs(15 * 60);
/// Numbers whose offers are remembered.
pub const OFFERS_CACHED: usize = 20_000;
/// Failed authentications a minute from one IPv4 address or IPv6 /64; past that, failures are
/// answered 429 (RELIABILITY K7).
pub const FAILURES_A_MINUTE: u32 = 20;
/// Searches a minute from one address, without a login (RELIABILITY Q13).
pub const SEARCHES_A_MINUTE: u32 = 30;
/// Quotes a minute of one account without a plan: each is a row for ever, and costs nothing.
pub const QUOTES_A_MINUTE: u32 = 20;
/// Callers whose minute is counted: more accounts than one node serves, 260 bytes each.
pub const CALLERS_COUNTED: usize = 200_000;
/// Addresses whose failures are counted; a flood from more is answered, uncounted.
pub const FAILERS_COUNTED: usize = 10_000;

/// Of the calls that a node takes ahead: the part of a minute's limit that it has in hand at most. Two
/// nodes together then let no more than a twentieth too many through, or too few.
pub const CALLS_AHEAD_PART: u32 = 40;
/// Calls that were taken ahead count this long; then they are given back.
pub const CALLS_AHEAD_KEPT: Duration = Duration::from_secs(10);
/// Who has no calls left is told so this long without another look: somebody may give some back.
pub const NO_CALLS_KEPT: Duration = Duration::from_secs(1);

/// Calls a minute of a customer, per account and environment: what a merchant of the middle plan has.
pub const CUSTOMER_CALLS_A_MINUTE: u32 = 120;
/// An access token and its session last this long (the seed's hour).
pub const TOKEN_LIFE: Duration = Duration::from_secs(3600);
/// A session is trusted this long before it is read again: what another node ends, ends within it
/// (RELIABILITY K10).
pub const SESSION_CACHED: Duration = Duration::from_secs(1);
/// Sessions kept read.
pub const SESSIONS_CACHED: usize = 20_000;
/// A push token at most: twenty times what they are today (CONTRACT B-16).
pub const PUSH_TOKEN_BYTES: usize = 4096;
/// Password hashes at once: the ledger keeps its share of two cores.
pub const HASHES_AT_ONCE: usize = 2;
/// Askers that wait for a hash: a second's work. Past that they are answered 429.
pub const HASHES_WAITING: usize = 20;
/// When to come again after that.
pub const HASHES_FULL_RETRY_S: u64 = 2;
/// Log-ins a minute of one mail address that are hashed, right ones too, and as many on each device
/// of its login: more than a person needs, less than a hundredth of what two cores can hash.
pub const LOG_INS_A_MINUTE: u32 = 10;
/// The same from one IPv4 address or IPv6 /64, whosever they are: a shop full of people.
pub const LOG_INS_A_MINUTE_FROM: u32 = 30;
/// Mail and network addresses whose log-ins are counted: more than ten times what can be hashed in
/// their minute. A flood from more is uncounted, and bounded by the line of hashes.
pub const LOG_INS_COUNTED: usize = 50_000;
/// Wrong passwords of one mail address, and from one network address, in [`GUESSES_WINDOW`]; then
/// [`GUESSES_LOCK`] (PCI DSS 4, 8.3.4; RELIABILITY K7).
pub const GUESSES_MAX: usize = 10;
/// How long a wrong password counts.
pub const GUESSES_WINDOW: Duration = Duration::from_secs(15 * 60);
/// How long nobody may guess but on a device that is known.
pub const GUESSES_LOCK: Duration = Duration::from_secs(30 * 60);
/// Guessers counted; those beyond are not let guess passwords. Each such guess costs a hash, so
/// more than this cannot fail within the window.
pub const GUESSERS_COUNTED: usize = 150_000;
/// When to come again if more are counted all the same.
pub const GUESSERS_FULL_WAIT: Duration = Duration::from_secs(60);
/// A one-time code counts this long.
pub const CODE_LIFE: Duration = Duration::from_secs(30 * 60);
/// Wrong codes for one mail address from one site; then those it has count there no more.
pub const CODE_TRIES_MAX: usize = 5;
/// Mails that may be asked for, to one address from one site.
pub const MAILS_AN_HOUR_TO_FROM: usize = 3;
/// Mails that may be asked for, to one address: three sites' worth, so that a stranger who asks for
/// his leaves some, and no mailbox is flooded.
pub const MAILS_AN_HOUR_TO: usize = 10;
/// Mails that may be asked for, from one IPv4 address or IPv6 /64.
pub const MAILS_AN_HOUR_FROM: usize = 10;
/// Mails that may be asked for, from one IPv6 /48, which one hand may hold: five subscribers'.
pub const MAILS_AN_HOUR_FROM_SITE: usize = 50;
/// How long a mail that was asked for counts.
pub const MAILS_COUNTED_FOR: Duration = Duration::from_secs(3600);
/// Askers of mails counted; a flood from more makes us forget some.
pub const MAILED_COUNTED: usize = 50_000;
/// Mails that wait to be sent; past that they are dropped, and asked for again.
pub const MAILS_WAITING: usize = 100;
/// Mails that are sent at once: a mail server takes few connections from one place.
pub const MAILS_AT_ONCE: usize = 4;
/// A mail that is not taken by then is given up.
pub const MAIL_WITHIN: Duration = Duration::from_secs(60);

/// A wait in whole seconds, as `Retry-After` tells it: never less than it is.
pub(crate) fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// Counts calls a minute, by caller.
#[derive(Debug)]
pub(crate) struct Limiter<K> {
    most: usize,
    minutes: Mutex<Minutes<K>>,
}

#[derive(Debug)]
struct Minutes<K> {
    by_caller: HashMap<K, Minute>,
    swept_s: u64,
}

impl<K: Eq + Hash> Limiter<K> {
    /// Counts at most `most` callers at once; those beyond pass uncounted.
    pub(crate) fn new(most: usize) -> Limiter<K> {
        Limiter { most, minutes: Mutex::new(Minutes { by_caller: HashMap::new(), swept_s: 0 }) }
    }

    /// Counts one call if it is within `limit`. The quota tells what is left after it; the flag
    /// whether it may pass.
    pub(crate) fn take(&self, key: K, limit: u32, now: Duration) -> (Quota, bool) {
        let now_s = now.as_secs();
        let mut minutes = self.minutes.lock().unwrap_or_else(PoisonError::into_inner);
        // Once a second at the most: a flood must not make every call walk through all.
        if minutes.by_caller.len() >= self.most && minutes.swept_s != now_s {
            minutes.by_caller.retain(|_, minute| now_s < minute.at_s() + MINUTE_S);
            minutes.swept_s = now_s;
        }
        if minutes.by_caller.len() >= self.most && !minutes.by_caller.contains_key(&key) {
            return (
                Quota { limit, remaining: limit.saturating_sub(1), reset_s: MINUTE_S },
                limit > 0,
            );
        }
        let minute = minutes.by_caller.entry(key).or_insert_with(|| Minute::new(now_s));
        minute.advance(now_s);
        let passes = minute.take(1, limit) > 0;
        let quota =
            Quota { limit, remaining: minute.left(limit), reset_s: minute.next_free_in_s() };
        (quota, passes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_gives_back_what_it_took() {
        let limiter = Limiter::new(10);
        let take = |s| limiter.take(1, 3, Duration::from_secs(s));
        assert_eq!(take(100), (Quota { limit: 3, remaining: 2, reset_s: 60 }, true));
        assert_eq!(take(130), (Quota { limit: 3, remaining: 1, reset_s: 30 }, true));
        assert_eq!(take(130).0.remaining, 0);
        assert_eq!(take(159), (Quota { limit: 3, remaining: 0, reset_s: 1 }, false));
        assert_eq!(take(160), (Quota { limit: 3, remaining: 0, reset_s: 30 }, true));
        assert_eq!(take(1_000_000).0.remaining, 2);
        assert_eq!(
            limiter.take(2, 0, Duration::ZERO),
            (Quota { limit: 0, remaining: 0, reset_s: 0 }, false)
        );
    }

    #[test]
    fn a_flood_is_bounded() {
        let limiter = Limiter::new(10);
        for caller in 0..100 {
            assert!(limiter.take(caller, 1, Duration::from_secs(1)).1);
        }
        assert!(!limiter.take(3, 1, Duration::from_secs(1)).1, "who is counted stays counted");
        assert!(limiter.minutes.lock().unwrap().by_caller.len() <= 10);
    }
}

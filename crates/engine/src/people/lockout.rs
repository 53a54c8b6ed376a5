//! Who may guess: ten wrong passwords of one mail address or from one network lock it for half an
//! hour, except on a known device (RELIABILITY K7). And who may try one-time codes.
//!
//! Invariants: a guess is counted before it is checked, so ten are ten, however many come at once;
//! an address without a login is counted like any other; time is the monotonic clock's.

use super::{EmailDigest, site};
use crate::limits;
use crate::rate::{Counter, Counters};
use domain::account::subscriber;
use std::collections::VecDeque;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::Duration;
use store::DeviceMark;

/// So many failures within `window` lock for `lock`, which is at least as long.
#[derive(Debug)]
struct Rule {
    failures: usize,
    window: Duration,
    lock: Duration,
    /// The answer for a key that there is no room to count.
    uncounted: Result<(), Duration>,
}

static GUESSES: Rule = Rule {
    failures: limits::GUESSES_MAX,
    window: limits::GUESSES_WINDOW,
    lock: limits::GUESSES_LOCK,
    uncounted: Err(limits::GUESSERS_FULL_WAIT),
};
/// Locks until the codes that existed then are invalid. The database limits the tries of a code in
/// all, so a flood need not keep anybody out.
static CODES: Rule = Rule {
    failures: limits::CODE_TRIES_MAX,
    window: limits::CODE_LIFE,
    lock: limits::CODE_LIFE,
    uncounted: Ok(()),
};

/// The counts of wrong passwords and codes.
pub(super) struct Lockout {
    emails: Failures<EmailDigest>,
    networks: Failures<IpAddr>,
    /// A count of its own, so that nobody can lock a login out of its known devices.
    known_devices: Failures<(EmailDigest, DeviceMark)>,
    codes: Failures<(EmailDigest, IpAddr)>,
    code_networks: Failures<IpAddr>,
}

/// A guess that may be checked, and that is counted meanwhile. Dropped, it counts no more.
#[derive(Default)]
pub(super) struct Guess<'a> {
    email: Option<Reserved<'a, EmailDigest>>,
    network: Option<Reserved<'a, IpAddr>>,
    known_device: Option<Reserved<'a, (EmailDigest, DeviceMark)>>,
    code: Option<Reserved<'a, (EmailDigest, IpAddr)>>,
}

/// Why a code may not be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CodeRefused {
    /// Too many codes for this mail address were wrong from this site: none is valid here any more.
    UsedUp,
    /// Too many codes were wrong from this network.
    Wait(Duration),
}

impl Lockout {
    pub(super) fn new() -> Lockout {
        Lockout {
            emails: Failures::new(&GUESSES, limits::GUESSERS_COUNTED),
            networks: Failures::new(&GUESSES, limits::GUESSERS_COUNTED),
            known_devices: Failures::new(&GUESSES, limits::GUESSERS_COUNTED),
            codes: Failures::new(&CODES, limits::GUESSERS_COUNTED),
            code_networks: Failures::new(&GUESSES, limits::GUESSERS_COUNTED),
        }
    }

    /// Begins a guess at a password; an error says how long to wait. `known_device` is the device,
    /// if the login has been used on it before.
    pub(super) fn begin(
        &self,
        email: EmailDigest,
        from: IpAddr,
        known_device: Option<DeviceMark>,
        now: Duration,
    ) -> Result<Guess<'_>, Duration> {
        let wait = match self.begin_on_any_device(email, from, now) {
            Ok(guess) => return Ok(guess),
            Err(wait) => wait,
        };
        let key = (email, known_device.ok_or(wait)?);
        let reserved = self.known_devices.reserve(key, email, now).map_err(|_| wait)?;
        Ok(Guess { known_device: Some(reserved), ..Guess::default() })
    }

    /// If the network is locked, dropping the first reservation releases it.
    fn begin_on_any_device(
        &self,
        email: EmailDigest,
        from: IpAddr,
        now: Duration,
    ) -> Result<Guess<'_>, Duration> {
        let reserved = self.emails.reserve(email, email, now)?;
        let network = self.networks.reserve(subscriber(from), email, now)?;
        Ok(Guess { email: Some(reserved), network: Some(network), ..Guess::default() })
    }

    /// Begins a try of a code. Wrong passwords do not count here: a code is the way around a lock.
    pub(super) fn begin_code(
        &self,
        email: EmailDigest,
        from: IpAddr,
        now: Duration,
    ) -> Result<Guess<'_>, CodeRefused> {
        let network = self.code_networks.reserve(subscriber(from), email, now);
        let network = network.map_err(CodeRefused::Wait)?;
        let code = self.codes.reserve((email, site(from)), email, now);
        let code = code.map_err(|_| CodeRefused::UsedUp)?;
        Ok(Guess { network: Some(network), code: Some(code), ..Guess::default() })
    }

    /// A new code is sent: the site that requested it may try as often again.
    pub(super) fn forget_codes(&self, email: EmailDigest, from: IpAddr) {
        self.codes.forgive(&(email, site(from)), email);
    }

    /// The owner of a mail address has reset its password: wrong passwords of this address count no
    /// more, for it and for the owner's network. Those of other addresses still count.
    pub(super) fn lift(&self, email: EmailDigest, from: IpAddr) {
        self.emails.forgive(&email, email);
        self.networks.forgive(&subscriber(from), email);
    }
}

impl Guess<'_> {
    /// The guess was wrong.
    pub(super) fn failed(self, now: Duration) {
        fail(self.email, now);
        fail(self.network, now);
        fail(self.known_device, now);
        fail(self.code, now);
    }
}

fn fail<K: Copy + Eq + Hash>(reserved: Option<Reserved<'_, K>>, now: Duration) {
    if let Some(mut reserved) = reserved {
        reserved.failed_at = Some(now);
    }
}

/// A guess that is being checked, counted under one key until it is dropped.
struct Reserved<'a, K: Copy + Eq + Hash> {
    failures: &'a Failures<K>,
    key: K,
    email: EmailDigest,
    failed_at: Option<Duration>,
}

impl<K: Copy + Eq + Hash> Drop for Reserved<'_, K> {
    fn drop(&mut self) {
        let failure = self.failed_at.map(|at| Failure { at, email: self.email });
        self.failures.tallies.change(&self.key, |tally| tally.release(failure));
    }
}

/// A wrong guess at the password, or code, of a mail address.
#[derive(Clone, Copy, Debug)]
struct Failure {
    at: Duration,
    email: EmailDigest,
}

/// The guesses under one key. A `rate::Window` cannot do this: here a guess is counted while it is
/// checked, failures are kept while they lock, and those at one mail address can be forgiven.
#[derive(Clone, Debug)]
struct Tally {
    rule: &'static Rule,
    failures: VecDeque<Failure>,
    under_way: usize,
    locked_until: Duration,
}

impl Tally {
    const fn new(rule: &'static Rule) -> Tally {
        Tally { rule, failures: VecDeque::new(), under_way: 0, locked_until: Duration::ZERO }
    }

    /// Counts a guess that is about to be checked; an error says how long to wait.
    fn reserve(&mut self, now: Duration) -> Result<(), Duration> {
        if now < self.locked_until {
            return Err(self.locked_until - now);
        }
        self.forget(now);
        if self.failures.len() + self.under_way >= self.rule.failures {
            // Other guesses are being checked; in a second it is known whether they were wrong.
            return Err(Duration::from_secs(1));
        }
        self.under_way += 1;
        Ok(())
    }

    /// A guess was checked. Only a failure is counted from now on.
    fn release(&mut self, failure: Option<Failure>) {
        self.under_way = self.under_way.saturating_sub(1);
        let Some(failure) = failure else { return };
        self.forget(failure.at);
        self.failures.push_back(failure);
        if self.failures.len() >= self.rule.failures {
            self.locked_until = failure.at + self.rule.lock;
        }
    }

    /// Failures at one mail address count no more, and a lock that they contributed to ends.
    fn forgive(&mut self, email: EmailDigest) {
        let counted = self.failures.len();
        self.failures.retain(|failure| failure.email != email);
        if self.failures.len() < counted {
            self.locked_until = Duration::ZERO;
        }
    }

    /// Drops what is outside the window. Failures that led to a lock are kept while it holds, so
    /// that they can be forgiven.
    fn forget(&mut self, now: Duration) {
        let is_past = |failure: &Failure| failure.at + self.rule.window <= now;
        while now >= self.locked_until && self.failures.front().is_some_and(is_past) {
            self.failures.pop_front();
        }
    }
}

impl Counter for Tally {
    fn is_blank(&mut self, now: Duration) -> bool {
        self.forget(now);
        self.failures.is_empty() && self.under_way == 0 && self.locked_until <= now
    }
}

/// Wrong guesses by key.
struct Failures<K> {
    rule: &'static Rule,
    tallies: Counters<K, Tally>,
}

impl<K: Copy + Eq + Hash> Failures<K> {
    fn new(rule: &'static Rule, keys_max: usize) -> Failures<K> {
        Failures { rule, tallies: Counters::new(keys_max, Tally::new(rule)) }
    }

    /// Counts a guess at a mail address while it is checked.
    fn reserve(
        &self,
        key: K,
        email: EmailDigest,
        now: Duration,
    ) -> Result<Reserved<'_, K>, Duration> {
        let reserved = self.tallies.count(key, now, |tally| tally.reserve(now));
        reserved.unwrap_or(self.rule.uncounted)?;
        Ok(Reserved { failures: self, key, email, failed_at: None })
    }

    fn forgive(&self, key: &K, email: EmailDigest) {
        self.tallies.change(key, |tally| tally.forgive(email));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANNA: EmailDigest = [1; 32];
    const KNOWN: DeviceMark = [9; 32];

    fn at(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// Ten wrong guesses of Anna's password, each from another network.
    fn attack(lockout: &Lockout, now: Duration) {
        for n in 0..10 {
            let from = IpAddr::from([10, 0, 0, n]);
            lockout.begin(ANNA, from, None, now).ok().unwrap().failed(now);
        }
    }

    #[test]
    fn an_attacker_locks_unknown_devices_out_and_not_known_ones() {
        let lockout = Lockout::new();
        attack(&lockout, s(100));
        let unknown = |now| lockout.begin(ANNA, at("192.0.2.1"), None, now).err();
        assert_eq!(unknown(s(100)), Some(s(1800)));
        assert_eq!(unknown(s(1899)), Some(s(1)));
        // A known device has ten guesses more, and a lock of its own.
        for _ in 0..10 {
            let guess = lockout.begin(ANNA, at("192.0.2.1"), Some(KNOWN), s(200));
            guess.ok().unwrap().failed(s(200));
        }
        assert!(lockout.begin(ANNA, at("192.0.2.1"), Some(KNOWN), s(201)).is_err());
        assert!(lockout.begin(ANNA, at("192.0.2.1"), Some([8; 32]), s(201)).is_ok());
        assert_eq!(unknown(s(1900)), None);
    }

    #[test]
    fn a_network_is_counted_whole_and_a_known_device_in_it_gets_in() {
        let lockout = Lockout::new();
        for n in 0..10_u8 {
            let from = at(&format!("2001:db8::{n}"));
            lockout.begin([n; 32], from, None, s(0)).ok().unwrap().failed(s(0));
        }
        let begin = |from, device| lockout.begin([77; 32], at(from), device, s(1)).is_ok();
        assert!(!begin("2001:db8::ffff", None));
        assert!(begin("2001:db8::ffff", Some(KNOWN)));
        assert!(begin("2001:db8:0:1::1", None));
    }

    #[test]
    fn guesses_that_arrive_at_once_are_counted_before_they_are_checked() {
        let lockout = Lockout::new();
        let from = |n: u16| IpAddr::from([10, 1, (n / 250) as u8, (n % 250) as u8]);
        let guesses: Vec<_> =
            (0..1_000).filter_map(|n| lockout.begin(ANNA, from(n), None, s(5)).ok()).collect();
        assert_eq!(guesses.len(), 10);
        // Right guesses, and those of clients that disconnected, lock nobody out.
        drop(guesses);
        assert!(lockout.begin(ANNA, from(0), None, s(5)).is_ok());
    }

    #[test]
    fn a_reset_forgives_guesses_at_its_own_address_only() {
        let lockout = Lockout::new();
        let guess = |of: u8| {
            let begun = lockout.begin([of; 32], at("192.0.2.1"), None, s(5));
            begun.map(|guess| guess.failed(s(5)))
        };
        // Anna's ten lock her address and her network; her reset opens both.
        assert!((0..10).all(|_| guess(1).is_ok()));
        assert_eq!(guess(2), Err(s(1800)));
        lockout.lift(ANNA, at("192.0.2.1"));
        assert!((0..9).all(|_| guess(2).is_ok()));
        // A reset of one's own login gives no more guesses at other logins.
        assert_eq!(guess(1), Ok(()));
        assert_eq!(guess(2), Err(s(1800)));
        lockout.lift(ANNA, at("192.0.2.1"));
        assert_eq!(guess(2), Ok(()));
        lockout.lift(ANNA, at("192.0.2.1"));
        assert_eq!(guess(3), Err(s(1800)));
        // And a reset of another login, from another network, opens nothing here.
        lockout.lift([2; 32], at("192.0.2.9"));
        assert_eq!(guess(3), Err(s(1800)));
    }

    #[test]
    fn codes_are_used_up_where_they_were_tried() {
        let lockout = Lockout::new();
        let begin = |of: u8, from: &str, now| lockout.begin_code([of; 32], at(from), now);
        for n in 0..5 {
            begin(1, &format!("2001:db8:0:{n}::1"), s(0)).ok().unwrap().failed(s(0));
        }
        assert_eq!(begin(1, "2001:db8:0:99::1", s(1)).err(), Some(CodeRefused::UsedUp));
        assert!(begin(1, "2001:db8:1::1", s(1)).is_ok() && begin(2, "2001:db8::1", s(1)).is_ok());
        // Until a new one is requested there.
        assert_eq!(begin(1, "2001:db8::1", s(1799)).err(), Some(CodeRefused::UsedUp));
        lockout.forget_codes(ANNA, at("2001:db8:1::1"));
        assert_eq!(begin(1, "2001:db8::1", s(1799)).err(), Some(CodeRefused::UsedUp));
        lockout.forget_codes(ANNA, at("2001:db8::77"));
        assert!(begin(1, "2001:db8::1", s(1799)).is_ok());
        for n in 10..20 {
            begin(n, "192.0.2.1", s(0)).ok().unwrap().failed(s(0));
        }
        assert_eq!(begin(30, "192.0.2.1", s(0)).err(), Some(CodeRefused::Wait(s(1800))));
        assert!(lockout.begin([30; 32], at("192.0.2.1"), None, s(0)).is_ok(), "a count of its own");
    }

    #[test]
    fn a_flood_is_bounded_and_not_let_through() {
        let failures = Failures::new(&GUESSES, 10);
        for n in 0..100 {
            if let Ok(reserved) = failures.reserve(n, ANNA, s(1)) {
                fail(Some(reserved), s(1));
            }
        }
        let reserve = |n, now| failures.reserve(n, ANNA, now).map(drop);
        assert_eq!(failures.tallies.len(), 10);
        assert_eq!(reserve(50, s(1)), Err(limits::GUESSERS_FULL_WAIT));
        assert!(reserve(3, s(1)).is_ok(), "a counted key stays counted");
        let codes = Failures::new(&CODES, 10);
        assert!((0..100).all(|n| codes.reserve(n, ANNA, s(1)).is_ok()), "not counted, but allowed");
        assert_eq!(codes.tallies.len(), 10);
        assert!(reserve(50, s(1 + 900)).is_ok(), "what is past makes room");
    }

    proptest! {
        /// In no window are more than ten failures checked, a lock holds to the second, and without
        /// a lock nobody waits.
        #[test]
        fn no_window_has_more_than_its_failures(
            guesses in proptest::collection::vec((0_u64..300, any::<bool>()), 1..400)
        ) {
            let mut tally = Tally::new(&GUESSES);
            let (mut now, mut failed, mut locked_until) = (0, Vec::<u64>::new(), 0);
            for (gap, is_right) in guesses {
                now += gap;
                let reserved = tally.reserve(s(now));
                prop_assert_eq!(reserved.is_ok(), now >= locked_until, "{:?} at {}", reserved, now);
                if reserved.is_err() {
                    prop_assert_eq!(reserved, Err(s(locked_until - now)));
                    continue;
                }
                let failure = Failure { at: s(now), email: ANNA };
                tally.release((!is_right).then_some(failure));
                if is_right {
                    continue;
                }
                failed.push(now);
                let counts = |at: &&u64| **at + 900 > now && **at >= locked_until;
                let recent = failed.iter().filter(counts).count();
                prop_assert!(recent <= 10);
                if recent == 10 {
                    locked_until = now + 1800;
                }
            }
        }
    }
}

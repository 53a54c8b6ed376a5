//! Who may still guess: ten failures of one address of mail or network, then half an hour's rest,
//! with a way round on a known device (RELIABILITY K7). And who may still type codes.
//!
//! Pure counting, by the monotonic clock. Invariants: a guess takes its place before it is checked,
//! so ten are ten, however many come at once; an address that is nobody's is counted like any other;
//! and a known device has a count of its own, so nobody can lock its login out there.

use super::{Email, site};
use crate::limits;
use domain::account::subscriber;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use store::DeviceMark;

/// How many failures within how long lock for how long: at least as long as they count.
#[derive(Clone, Copy)]
struct Rule {
    failures: usize,
    window: Duration,
    lock: Duration,
    /// What becomes of a guesser whom there is no room to count.
    uncounted: Result<(), Duration>,
}

const GUESSES: Rule = Rule {
    failures: limits::GUESSES_MAX,
    window: limits::GUESSES_WINDOW,
    lock: limits::GUESSES_LOCK,
    uncounted: Err(limits::GUESSERS_FULL_WAIT),
};
/// For as long as the codes that were there count. The database counts their tries in all, so a
/// flood need not keep anybody out.
const CODES: Rule = Rule {
    failures: limits::CODE_TRIES_MAX,
    window: limits::CODE_LIFE,
    lock: limits::CODE_LIFE,
    uncounted: Ok(()),
};

/// The counts of guesses, of passwords and of codes.
pub(super) struct Lockout {
    emails: Tries<Email>,
    addresses: Tries<IpAddr>,
    homes: Tries<(Email, DeviceMark)>,
    codes: Tries<(Email, IpAddr)>,
    code_addresses: Tries<IpAddr>,
}

/// A guess that may be checked. Dropped, it counts as not made.
#[derive(Default)]
pub(super) struct Ticket<'a> {
    email: Option<Place<'a, Email>>,
    address: Option<Place<'a, IpAddr>>,
    home: Option<Place<'a, (Email, DeviceMark)>>,
    code: Option<Place<'a, (Email, IpAddr)>>,
}

/// Why a code may not be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoTry {
    /// Too many for this address were wrong here: what counts elsewhere counts here no more.
    Spent,
    /// Too many were wrong from this network.
    Wait(Duration),
}

impl Lockout {
    pub(super) fn new() -> Lockout {
        Lockout {
            emails: Tries::new(GUESSES),
            addresses: Tries::new(GUESSES),
            homes: Tries::new(GUESSES),
            codes: Tries::new(CODES),
            code_addresses: Tries::new(GUESSES),
        }
    }

    /// A ticket for one password; or how long to wait. `home` is the device, if the login has been
    /// in on it before.
    pub(super) fn begin(
        &self,
        email: Email,
        from: IpAddr,
        home: Option<DeviceMark>,
        now: Duration,
    ) -> Result<Ticket<'_>, Duration> {
        let wait = match self.begin_anywhere(email, from, now) {
            Ok(ticket) => return Ok(ticket),
            Err(wait) => wait,
        };
        let home = (email, home.ok_or(wait)?);
        let home = self.homes.take(home, email, now).map_err(|_| wait)?;
        Ok(Ticket { home: Some(home), ..Ticket::default() })
    }

    /// What was taken of the one is given back if the other is locked.
    fn begin_anywhere(
        &self,
        email: Email,
        from: IpAddr,
        now: Duration,
    ) -> Result<Ticket<'_>, Duration> {
        let place = self.emails.take(email, email, now)?;
        let address = self.addresses.take(subscriber(from), email, now)?;
        Ok(Ticket { email: Some(place), address: Some(address), ..Ticket::default() })
    }

    /// A ticket for one code. Passwords that were wrong do not count: a code is the way round.
    pub(super) fn begin_code(
        &self,
        email: Email,
        from: IpAddr,
        now: Duration,
    ) -> Result<Ticket<'_>, NoTry> {
        let address = self.code_addresses.take(subscriber(from), email, now);
        let address = address.map_err(NoTry::Wait)?;
        let code = self.codes.take((email, site(from)), email, now).map_err(|_| NoTry::Spent)?;
        Ok(Ticket { address: Some(address), code: Some(code), ..Ticket::default() })
    }

    /// A new code goes out: where it was asked for, as many may be tried again.
    pub(super) fn forget_codes(&self, email: Email, from: IpAddr) {
        self.codes.forgive(&(email, site(from)), email);
    }

    /// Somebody has proved to read an address's mail: wrong passwords of it count no more, neither
    /// for it nor for the network they are in. Those of others do.
    pub(super) fn lift(&self, email: Email, from: IpAddr) {
        self.emails.forgive(&email, email);
        self.addresses.forgive(&subscriber(from), email);
    }
}

impl Ticket<'_> {
    /// The guess was wrong.
    pub(super) fn failed(self, now: Duration) {
        let Ticket { email, address, home, code } = self;
        if let Some(place) = email {
            place.failed(now);
        }
        if let Some(place) = address {
            place.failed(now);
        }
        if let Some(place) = home {
            place.failed(now);
        }
        if let Some(place) = code {
            place.failed(now);
        }
    }
}

/// A place that one guess at an address has in a count. Dropped, it is given back.
struct Place<'a, K: Eq + Hash> {
    tries: &'a Tries<K>,
    key: K,
    of: Email,
    failed_at: Option<Duration>,
}

impl<K: Eq + Hash> Place<'_, K> {
    fn failed(mut self, now: Duration) {
        self.failed_at = Some(now);
    }
}

impl<K: Eq + Hash> Drop for Place<'_, K> {
    fn drop(&mut self) {
        self.tries.settle(&self.key, self.failed_at.map(|at| Failure { at, of: self.of }));
    }
}

/// A wrong guess at an address.
#[derive(Clone, Copy, Debug)]
struct Failure {
    at: Duration,
    of: Email,
}

/// The guesses of one guesser.
#[derive(Debug, Default)]
struct Tally {
    failures: VecDeque<Failure>,
    under_way: usize,
    locked_until: Duration,
}

impl Tally {
    /// Takes a place for one guess; or says how long to wait.
    fn admit(&mut self, rule: Rule, now: Duration) -> Result<(), Duration> {
        if now < self.locked_until {
            return Err(self.locked_until - now);
        }
        self.forget(rule, now);
        if self.failures.len() + self.under_way >= rule.failures {
            // Others are being checked right now; soon it is known whether they count.
            return Err(Duration::from_secs(1));
        }
        self.under_way += 1;
        Ok(())
    }

    /// Gives a place back; a failure stays counted.
    fn settle(&mut self, rule: Rule, failure: Option<Failure>) {
        self.under_way = self.under_way.saturating_sub(1);
        let Some(failure) = failure else { return };
        self.forget(rule, failure.at);
        self.failures.push_back(failure);
        if self.failures.len() >= rule.failures {
            self.locked_until = failure.at + rule.lock;
        }
    }

    /// Failures at one address count no more, and the lock that they had a part in ends.
    fn forgive(&mut self, of: Email) {
        let counted = self.failures.len();
        self.failures.retain(|failure| failure.of != of);
        if self.failures.len() < counted {
            self.locked_until = Duration::ZERO;
        }
    }

    /// What led to a lock is remembered while it holds, so that it can be forgiven.
    fn forget(&mut self, rule: Rule, now: Duration) {
        let is_past = |failure: &Failure| failure.at + rule.window <= now;
        while now >= self.locked_until && self.failures.front().is_some_and(is_past) {
            self.failures.pop_front();
        }
    }

    fn is_blank(&mut self, rule: Rule, now: Duration) -> bool {
        self.forget(rule, now);
        self.failures.is_empty() && self.under_way == 0 && self.locked_until <= now
    }
}

/// The tallies of many guessers.
struct Tries<K> {
    rule: Rule,
    most: usize,
    tallies: Mutex<Tallies<K>>,
}

struct Tallies<K> {
    of: HashMap<K, Tally>,
    swept_s: u64,
}

impl<K: Eq + Hash> Tries<K> {
    fn new(rule: Rule) -> Tries<K> {
        let tallies = Mutex::new(Tallies { of: HashMap::new(), swept_s: 0 });
        Tries { rule, most: limits::GUESSERS_COUNTED, tallies }
    }

    /// A place for a guess at an address.
    fn take(&self, key: K, of: Email, now: Duration) -> Result<Place<'_, K>, Duration>
    where
        K: Copy,
    {
        self.admit(key, now)?;
        Ok(Place { tries: self, key, of, failed_at: None })
    }

    fn admit(&self, key: K, now: Duration) -> Result<(), Duration> {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        // Once a second at the most: a flood must not make every guess walk through all.
        if tallies.of.len() >= self.most && tallies.swept_s != now.as_secs() {
            tallies.of.retain(|_, tally| !tally.is_blank(self.rule, now));
            tallies.swept_s = now.as_secs();
        }
        if tallies.of.len() >= self.most && !tallies.of.contains_key(&key) {
            return self.rule.uncounted;
        }
        tallies.of.entry(key).or_default().admit(self.rule, now)
    }

    fn settle(&self, key: &K, failure: Option<Failure>) {
        self.change(key, |tally| tally.settle(self.rule, failure));
    }

    fn forgive(&self, key: &K, of: Email) {
        self.change(key, |tally| tally.forgive(of));
    }

    fn change(&self, key: &K, change: impl FnOnce(&mut Tally)) {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tally) = tallies.of.get_mut(key) {
            change(tally);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANNA: Email = [1; 32];
    const HOME: DeviceMark = [9; 32];

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
    fn an_attacker_locks_strangers_out_and_not_those_at_home() {
        let lockout = Lockout::new();
        attack(&lockout, s(100));
        let stranger = |now| lockout.begin(ANNA, at("192.0.2.1"), None, now).err();
        assert_eq!(stranger(s(100)), Some(s(1800)));
        assert_eq!(stranger(s(1899)), Some(s(1)));
        // At home there are ten guesses more, and a rest of its own.
        for _ in 0..10 {
            let ticket = lockout.begin(ANNA, at("192.0.2.1"), Some(HOME), s(200));
            ticket.ok().unwrap().failed(s(200));
        }
        assert!(lockout.begin(ANNA, at("192.0.2.1"), Some(HOME), s(201)).is_err());
        assert!(lockout.begin(ANNA, at("192.0.2.1"), Some([8; 32]), s(201)).is_ok());
        assert_eq!(stranger(s(1900)), None);
    }

    #[test]
    fn a_network_is_counted_whole_and_a_neighbour_at_home_gets_in() {
        let lockout = Lockout::new();
        for n in 0..10_u8 {
            let from = at(&format!("2001:db8::{n}"));
            lockout.begin([n; 32], from, None, s(0)).ok().unwrap().failed(s(0));
        }
        let begin = |from, home| lockout.begin([77; 32], at(from), home, s(1)).is_ok();
        assert!(!begin("2001:db8::ffff", None));
        assert!(begin("2001:db8::ffff", Some(HOME)));
        assert!(begin("2001:db8:0:1::1", None));
    }

    #[test]
    fn what_comes_at_once_is_counted_before_it_is_checked() {
        let lockout = Lockout::new();
        let from = |n: u16| IpAddr::from([10, 1, (n / 250) as u8, (n % 250) as u8]);
        let tickets: Vec<_> =
            (0..1_000).filter_map(|n| lockout.begin(ANNA, from(n), None, s(5)).ok()).collect();
        assert_eq!(tickets.len(), 10);
        // They are given back: right guesses, or askers that hung up, lock nobody out.
        drop(tickets);
        assert!(lockout.begin(ANNA, from(0), None, s(5)).is_ok());
    }

    #[test]
    fn a_reset_forgives_what_was_guessed_of_its_address_only() {
        let lockout = Lockout::new();
        let guess = |of: u8| {
            let ticket = lockout.begin([of; 32], at("192.0.2.1"), None, s(5));
            ticket.map(|ticket| ticket.failed(s(5)))
        };
        // Anna's ten lock her address and her network; her reset opens both.
        assert!((0..10).all(|_| guess(1).is_ok()));
        assert_eq!(guess(2), Err(s(1800)));
        lockout.lift(ANNA, at("192.0.2.1"));
        assert!((0..9).all(|_| guess(2).is_ok()));
        // Whoever can reset a login of his own has no more guesses at others for it.
        assert_eq!(guess(1), Ok(()));
        assert_eq!(guess(2), Err(s(1800)));
        lockout.lift(ANNA, at("192.0.2.1"));
        assert_eq!(guess(2), Ok(()));
        lockout.lift(ANNA, at("192.0.2.1"));
        assert_eq!(guess(3), Err(s(1800)));
        // And another's reset elsewhere opens nothing here.
        lockout.lift([2; 32], at("192.0.2.9"));
        assert_eq!(guess(3), Err(s(1800)));
    }

    #[test]
    fn codes_are_spent_where_they_were_tried() {
        let lockout = Lockout::new();
        let begin = |of: u8, from: &str, now| lockout.begin_code([of; 32], at(from), now);
        for n in 0..5 {
            begin(1, &format!("2001:db8:0:{n}::1"), s(0)).ok().unwrap().failed(s(0));
        }
        assert_eq!(begin(1, "2001:db8:0:99::1", s(1)).err(), Some(NoTry::Spent));
        assert!(begin(1, "2001:db8:1::1", s(1)).is_ok() && begin(2, "2001:db8::1", s(1)).is_ok());
        // Until a new one is asked for there.
        assert_eq!(begin(1, "2001:db8::1", s(1799)).err(), Some(NoTry::Spent));
        lockout.forget_codes(ANNA, at("2001:db8:1::1"));
        assert_eq!(begin(1, "2001:db8::1", s(1799)).err(), Some(NoTry::Spent));
        lockout.forget_codes(ANNA, at("2001:db8::77"));
        assert!(begin(1, "2001:db8::1", s(1799)).is_ok());
        for n in 10..20 {
            begin(n, "192.0.2.1", s(0)).ok().unwrap().failed(s(0));
        }
        assert_eq!(begin(30, "192.0.2.1", s(0)).err(), Some(NoTry::Wait(s(1800))));
        assert!(lockout.begin([30; 32], at("192.0.2.1"), None, s(0)).is_ok(), "a count of its own");
    }

    #[test]
    fn a_flood_is_bounded_and_not_let_through() {
        let tries = Tries { most: 10, ..Tries::new(GUESSES) };
        for n in 0..100 {
            if let Ok(place) = tries.take(n, ANNA, s(1)) {
                place.failed(s(1));
            }
        }
        assert_eq!(tries.tallies.lock().unwrap().of.len(), 10);
        assert_eq!(tries.admit(50, s(1)), Err(limits::GUESSERS_FULL_WAIT));
        assert!(tries.admit(3, s(1)).is_ok(), "who is counted stays counted");
        let codes = Tries { most: 10, ..Tries::new(CODES) };
        assert!((0..100).all(|n| codes.take(n, ANNA, s(1)).is_ok()), "they are counted elsewhere");
        assert_eq!(codes.tallies.lock().unwrap().of.len(), 10);
        assert!(tries.admit(50, s(1 + 900)).is_ok(), "what is past makes room");
    }

    proptest! {
        /// In no window are more than ten failures checked, a lock holds to the second, and nobody
        /// is kept waiting without one.
        #[test]
        fn no_window_has_more_than_its_failures(
            guesses in proptest::collection::vec((0_u64..300, any::<bool>()), 1..400)
        ) {
            let mut tally = Tally::default();
            let (mut now, mut failed, mut locked_until) = (0, Vec::<u64>::new(), 0);
            for (gap, is_right) in guesses {
                now += gap;
                let admitted = tally.admit(GUESSES, s(now));
                prop_assert_eq!(admitted.is_ok(), now >= locked_until, "{:?} at {}", admitted, now);
                if admitted.is_err() {
                    prop_assert_eq!(admitted, Err(s(locked_until - now)));
                    continue;
                }
                tally.settle(GUESSES, (!is_right).then_some(Failure { at: s(now), of: ANNA }));
                if is_right {
                    continue;
                }
                failed.push(now);
                let recent = failed.iter().filter(|at| **at + 900 > now && **at >= locked_until).count();
                prop_assert!(recent <= 10);
                if recent == 10 {
                    locked_until = now + 1800;
                }
            }
        }
    }
}

//! Who may still guess a password: ten failures of one address of mail or network, then half an
//! hour's rest, with a way round for whoever is at home (RELIABILITY K7).
//!
//! Pure counting, by the monotonic clock. Invariants: a guess takes its place before it is checked,
//! so ten are ten, however many come at once; an address that is nobody's is counted like any other;
//! and where a login has been in before has a count of its own, so nobody can lock it out there.

use crate::limits;
use domain::account::subscriber;
use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use store::Mark;

/// A mail address, counted whether it is somebody's or not.
type Email = [u8; 32];

/// The counts of guesses.
pub(super) struct Lockout {
    emails: Tries<Email>,
    addresses: Tries<IpAddr>,
    homes: Tries<(Email, Mark)>,
}

/// A guess that may be checked. Dropped, it counts as not made.
pub(super) struct Ticket<'a> {
    lockout: &'a Lockout,
    email: Option<Email>,
    address: Option<IpAddr>,
    home: Option<(Email, Mark)>,
}

impl Lockout {
    pub(super) fn new() -> Lockout {
        let most = limits::GUESSERS_COUNTED;
        Lockout { emails: Tries::new(most), addresses: Tries::new(most), homes: Tries::new(most) }
    }

    /// A ticket for one guess; or how long to wait. `email` is none where only the network address
    /// counts (codes have counts of their own); `home` is where the login has been in before.
    pub(super) fn begin(
        &self,
        email: Option<Email>,
        from: IpAddr,
        home: Option<Mark>,
        now: Duration,
    ) -> Result<Ticket<'_>, Duration> {
        let mut ticket = Ticket { lockout: self, email: None, address: None, home: None };
        let address = subscriber(from);
        let locked = self.take(&mut ticket, email, address, now);
        let Err(wait) = locked else { return Ok(ticket) };
        // What was taken of the two goes back: it is not they who vouch for this guess.
        drop(ticket);
        let home = email.zip(home).ok_or(wait)?;
        self.homes.admit(home, now).map_err(|_| wait)?;
        Ok(Ticket { lockout: self, email: None, address: None, home: Some(home) })
    }

    fn take(
        &self,
        ticket: &mut Ticket<'_>,
        email: Option<Email>,
        address: IpAddr,
        now: Duration,
    ) -> Result<(), Duration> {
        if let Some(email) = email {
            self.emails.admit(email, now)?;
            ticket.email = Some(email);
        }
        self.addresses.admit(address, now)?;
        ticket.address = Some(address);
        Ok(())
    }
}

impl Ticket<'_> {
    /// The guess was wrong.
    pub(super) fn failed(mut self, now: Duration) {
        if let Some(email) = self.email.take() {
            self.lockout.emails.settle(&email, Some(now));
        }
        if let Some(address) = self.address.take() {
            self.lockout.addresses.settle(&address, Some(now));
        }
        if let Some(home) = self.home.take() {
            self.lockout.homes.settle(&home, Some(now));
        }
    }
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if let Some(email) = self.email.take() {
            self.lockout.emails.settle(&email, None);
        }
        if let Some(address) = self.address.take() {
            self.lockout.addresses.settle(&address, None);
        }
        if let Some(home) = self.home.take() {
            self.lockout.homes.settle(&home, None);
        }
    }
}

/// The guesses of one guesser.
#[derive(Debug, Default)]
struct Tally {
    failures: VecDeque<Duration>,
    under_way: usize,
    locked_until: Duration,
}

impl Tally {
    /// Takes a place for one guess; or says how long to wait.
    fn admit(&mut self, now: Duration) -> Result<(), Duration> {
        if now < self.locked_until {
            return Err(self.locked_until - now);
        }
        self.forget(now);
        if self.failures.len() + self.under_way >= limits::GUESSES_MOST {
            // Others are being checked right now; soon it is known whether they count.
            return Err(Duration::from_secs(1));
        }
        self.under_way += 1;
        Ok(())
    }

    /// Gives a place back; a failure stays counted.
    fn settle(&mut self, failed_at: Option<Duration>) {
        self.under_way = self.under_way.saturating_sub(1);
        let Some(now) = failed_at else { return };
        self.forget(now);
        self.failures.push_back(now);
        if self.failures.len() >= limits::GUESSES_MOST {
            self.failures.clear();
            self.locked_until = now + limits::GUESSES_LOCK;
        }
    }

    fn forget(&mut self, now: Duration) {
        let is_past = |at: &Duration| *at + limits::GUESSES_WINDOW <= now;
        while self.failures.front().is_some_and(is_past) {
            self.failures.pop_front();
        }
    }

    fn is_blank(&mut self, now: Duration) -> bool {
        self.forget(now);
        self.failures.is_empty() && self.under_way == 0 && self.locked_until <= now
    }
}

/// The tallies of many guessers.
struct Tries<K> {
    most: usize,
    tallies: Mutex<Tallies<K>>,
}

struct Tallies<K> {
    of: HashMap<K, Tally>,
    swept_s: u64,
}

impl<K: Eq + Hash> Tries<K> {
    fn new(most: usize) -> Tries<K> {
        Tries { most, tallies: Mutex::new(Tallies { of: HashMap::new(), swept_s: 0 }) }
    }

    fn admit(&self, key: K, now: Duration) -> Result<(), Duration> {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        // Once a second at the most: a flood must not make every guess walk through all.
        if tallies.of.len() >= self.most && tallies.swept_s != now.as_secs() {
            tallies.of.retain(|_, tally| !tally.is_blank(now));
            tallies.swept_s = now.as_secs();
        }
        if tallies.of.len() >= self.most && !tallies.of.contains_key(&key) {
            // Whoever would be counted too much is not let guess uncounted.
            return Err(limits::GUESSERS_FULL_WAIT);
        }
        tallies.of.entry(key).or_default().admit(now)
    }

    fn settle(&self, key: &K, failed_at: Option<Duration>) {
        let mut tallies = self.tallies.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tally) = tallies.of.get_mut(key) {
            tally.settle(failed_at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ANNA: Email = [1; 32];
    const HOME: Mark = [9; 32];

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
            lockout.begin(Some(ANNA), from, None, now).ok().unwrap().failed(now);
        }
    }

    #[test]
    fn an_attacker_locks_strangers_out_and_not_those_at_home() {
        let lockout = Lockout::new();
        attack(&lockout, s(100));
        let stranger = |now| lockout.begin(Some(ANNA), at("192.0.2.1"), None, now).err();
        assert_eq!(stranger(s(100)), Some(s(1800)));
        assert_eq!(stranger(s(1899)), Some(s(1)));
        // At home there are ten guesses more, and a rest of its own.
        for _ in 0..10 {
            let ticket = lockout.begin(Some(ANNA), at("192.0.2.1"), Some(HOME), s(200));
            ticket.ok().unwrap().failed(s(200));
        }
        assert!(lockout.begin(Some(ANNA), at("192.0.2.1"), Some(HOME), s(201)).is_err());
        assert!(lockout.begin(Some(ANNA), at("192.0.2.1"), Some([8; 32]), s(201)).is_ok());
        assert_eq!(stranger(s(1900)), None);
    }

    #[test]
    fn a_network_is_counted_whole_and_a_neighbour_at_home_gets_in() {
        let lockout = Lockout::new();
        for n in 0..10_u8 {
            let from = at(&format!("2001:db8::{n}"));
            lockout.begin(Some([n; 32]), from, None, s(0)).ok().unwrap().failed(s(0));
        }
        let begin = |from, home| lockout.begin(Some([77; 32]), at(from), home, s(1)).is_ok();
        assert!(!begin("2001:db8::ffff", None));
        assert!(begin("2001:db8::ffff", Some(HOME)));
        assert!(begin("2001:db8:0:1::1", None));
        // Without a mail address there is no home to be at.
        assert!(lockout.begin(None, at("2001:db8::1"), Some(HOME), s(1)).is_err());
    }

    #[test]
    fn what_comes_at_once_is_counted_before_it_is_checked() {
        let lockout = Lockout::new();
        let from = |n: u16| IpAddr::from([10, 1, (n / 250) as u8, (n % 250) as u8]);
        let tickets: Vec<_> = (0..1_000)
            .filter_map(|n| lockout.begin(Some(ANNA), from(n), None, s(5)).ok())
            .collect();
        assert_eq!(tickets.len(), 10);
        // They are given back: right guesses, or askers that hung up, lock nobody out.
        drop(tickets);
        assert!(lockout.begin(Some(ANNA), from(0), None, s(5)).is_ok());
    }

    #[test]
    fn a_flood_is_bounded_and_not_let_through() {
        let tries = Tries::new(10);
        for n in 0..100 {
            if tries.admit(n, s(1)).is_ok() {
                tries.settle(&n, Some(s(1)));
            }
        }
        assert_eq!(tries.tallies.lock().unwrap().of.len(), 10);
        assert_eq!(tries.admit(50, s(1)), Err(limits::GUESSERS_FULL_WAIT));
        assert!(tries.admit(3, s(1)).is_ok(), "who is counted stays counted");
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
                let admitted = tally.admit(s(now));
                prop_assert_eq!(admitted.is_ok(), now >= locked_until, "{:?} at {}", admitted, now);
                if admitted.is_err() {
                    prop_assert_eq!(admitted, Err(s(locked_until - now)));
                    continue;
                }
                tally.settle((!is_right).then_some(s(now)));
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

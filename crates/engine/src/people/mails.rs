//! Mails on their way out: after the answer is decided, a few at a time, none tried twice.
//!
//! Not here: how a mail travels (the connected mailer's matter). Invariant: a mail's text is in no
//! log, and whether there was one delays no answer.

use super::{Email, site};
use crate::{Engine, limits};
use domain::account::subscriber;
use domain::mail::{Mail, Mailer};
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;

/// Mails under way, and how many each asker has asked for.
pub(super) struct Mails {
    mailer: Option<Arc<dyn Mailer>>,
    waiting: Arc<Semaphore>,
    slots: Arc<Semaphore>,
    to: Hourly<Email>,
    to_from: Hourly<(Email, IpAddr)>,
    from: Hourly<IpAddr>,
    from_site: Hourly<IpAddr>,
}

impl Mails {
    pub(super) fn new(mailer: Option<Arc<dyn Mailer>>) -> Mails {
        Mails {
            mailer,
            waiting: Arc::new(Semaphore::new(limits::MAILS_WAITING)),
            slots: Arc::new(Semaphore::new(limits::MAILS_AT_ONCE)),
            to: Hourly::new(limits::MAILS_AN_HOUR_TO),
            to_from: Hourly::new(limits::MAILS_AN_HOUR_TO_FROM),
            from: Hourly::new(limits::MAILS_AN_HOUR_FROM),
            from_site: Hourly::new(limits::MAILS_AN_HOUR_FROM_SITE),
        }
    }

    /// Whether one more mail may be asked for; else how long to wait. The same for every address,
    /// be it somebody's or not.
    pub(super) fn admit(&self, to: Email, from: IpAddr, now: Duration) -> Result<(), Duration> {
        self.from.take(subscriber(from), now)?;
        self.from_site.take(site(from), now)?;
        // Before what all share: what a stranger is refused is not taken from others.
        self.to_from.take((to, site(from)), now)?;
        self.to.take(to, now)
    }
}

impl Engine {
    /// Sends a mail, from a task of its own.
    pub(crate) fn post(&self, mail: Mail) {
        let mails = &self.inner.people.mails;
        let Some(mailer) = mails.mailer.clone() else {
            tracing::warn!(subject = mail.subject, "nothing carries mails; one was dropped");
            return;
        };
        let Ok(place) = mails.waiting.clone().try_acquire_owned() else {
            tracing::warn!(subject = mail.subject, "too many mails wait; one was dropped");
            return;
        };
        let slots = mails.slots.clone();
        self.inner.tasks.spawn(async move {
            let _place = place;
            let Ok(_seat) = slots.acquire_owned().await else { return };
            match tokio::time::timeout(limits::MAIL_WITHIN, mailer.send(&mail)).await {
                Ok(Ok(())) => {}
                Ok(Err(why)) => {
                    tracing::warn!(subject = mail.subject, why, "a mail could not be sent");
                }
                Err(_) => tracing::warn!(subject = mail.subject, "a mail took too long to send"),
            }
        });
    }
}

/// Counts by the hour.
struct Hourly<K> {
    limit: usize,
    asked: Mutex<Asked<K>>,
}

struct Asked<K> {
    times: HashMap<K, Vec<Duration>>,
    swept_s: u64,
}

impl<K: Eq + Hash + Clone> Hourly<K> {
    fn new(limit: usize) -> Hourly<K> {
        Hourly { limit, asked: Mutex::new(Asked { times: HashMap::new(), swept_s: 0 }) }
    }

    fn take(&self, key: K, now: Duration) -> Result<(), Duration> {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        let counts = |at: &Duration| *at + limits::MAILS_COUNTED_FOR > now;
        if asked.times.len() >= limits::MAILED_COUNTED && asked.swept_s != now.as_secs() {
            asked.times.retain(|_, times| times.iter().any(counts));
            asked.swept_s = now.as_secs();
        }
        // A flood from ever new addresses must not keep all others from a mail: it makes us forget
        // some of what was counted instead.
        if asked.times.len() >= limits::MAILED_COUNTED
            && !asked.times.contains_key(&key)
            && let Some(any) = asked.times.keys().next().cloned()
        {
            asked.times.remove(&any);
        }
        let times = asked.times.entry(key).or_default();
        times.retain(counts);
        match times.first() {
            Some(first) if times.len() >= self.limit => {
                Err((*first + limits::MAILS_COUNTED_FOR).saturating_sub(now))
            }
            Some(_) | None => {
                times.push(now);
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stranger_leaves_some_to_others() {
        let mails = Mails::new(None);
        let at = |n: u8| IpAddr::from([192, 0, 2, n]);
        let admit = |to, from| mails.admit([to; 32], from, Duration::from_secs(1)).is_ok();
        let strangers = (0..9).filter(|_| admit(1, at(66))).count();
        assert_eq!(strangers, 3);
        assert!(admit(1, at(1)));
        let others = (100..110).filter(|n| admit(1, at(*n))).count();
        assert_eq!(others, 6, "ten in all");
        assert!(!admit(1, at(2)) && admit(2, at(2)));
    }

    #[test]
    fn whoever_holds_many_networks_is_counted_once() {
        let mails = Mails::new(None);
        let at = |site: u16, net: u16| IpAddr::from([0x2001, 0xdb8, site, net, 0, 0, 0, 1]);
        let admit = |to, from| mails.admit([to; 32], from, Duration::from_secs(1)).is_ok();
        assert_eq!((0..9).filter(|n| admit(1, at(1, *n))).count(), 3);
        let admitted = (0..100).filter(|n| admit(100 + *n, at(1, 100 + u16::from(*n)))).count();
        assert_eq!(admitted, 50 - 9, "a refused one is counted where it came from");
        assert!(admit(1, at(2, 0)));
    }

    #[test]
    fn an_hour_gives_back_what_it_took() {
        let hourly = Hourly::new(3);
        let take = |key, s| hourly.take(key, Duration::from_secs(s));
        assert!([0, 10, 20].into_iter().all(|s| take(1, s).is_ok()));
        assert_eq!(take(1, 100), Err(Duration::from_secs(3500)));
        assert!(take(2, 100).is_ok());
        assert!(take(1, 3600).is_ok());
        assert_eq!(take(1, 3600), Err(Duration::from_secs(10)));
    }

    #[test]
    fn a_flood_is_bounded_and_keeps_nobody_out() {
        let hourly = Hourly::new(1);
        for n in 0..limits::MAILED_COUNTED + 100 {
            assert!(hourly.take(n, Duration::from_secs(5)).is_ok());
        }
        assert_eq!(hourly.asked.lock().unwrap().times.len(), limits::MAILED_COUNTED);
    }
}

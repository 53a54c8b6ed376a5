//! Mails: sent after the answer is decided, a few at a time, each tried once.
//!
//! Not here: how a mail is transported (the mailer's). Invariant: a mail's text is in no log, and
//! whether a mail is sent delays no answer.

use super::{EmailDigest, site};
use crate::rate::WindowLimiter;
use crate::{Engine, limits};
use domain::account::subscriber;
use domain::{Mail, Mailer};
use std::hash::Hash;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// Mails that wait or are being sent, and how many were requested.
pub(super) struct Mails {
    mailer: Option<Arc<dyn Mailer>>,
    waiting: Arc<Semaphore>,
    slots: Arc<Semaphore>,
    to: WindowLimiter<EmailDigest>,
    to_from: WindowLimiter<(EmailDigest, IpAddr)>,
    from: WindowLimiter<IpAddr>,
    from_site: WindowLimiter<IpAddr>,
}

impl Mails {
    pub(super) fn new(mailer: Option<Arc<dyn Mailer>>) -> Mails {
        Mails {
            mailer,
            waiting: Arc::new(Semaphore::new(limits::MAILS_WAITING)),
            slots: Arc::new(Semaphore::new(limits::MAILS_AT_ONCE)),
            to: hourly(limits::MAILS_AN_HOUR_TO),
            to_from: hourly(limits::MAILS_AN_HOUR_TO_FROM),
            from: hourly(limits::MAILS_AN_HOUR_FROM),
            from_site: hourly(limits::MAILS_AN_HOUR_FROM_SITE),
        }
    }

    /// Whether one more mail may be requested; an error says how long to wait. The same for every
    /// address, with a login or without.
    pub(super) fn admit(
        &self,
        to: EmailDigest,
        from: IpAddr,
        now: Duration,
    ) -> Result<(), Duration> {
        self.from.take(subscriber(from), now)?;
        self.from_site.take(site(from), now)?;
        // Before the count that all share: a refused request of one site takes nothing from others.
        self.to_from.take((to, site(from)), now)?;
        self.to.take(to, now)
    }
}

fn hourly<K: Eq + Hash + Clone>(mails_max: usize) -> WindowLimiter<K> {
    WindowLimiter::new(mails_max, limits::MAILS_COUNTED_FOR, limits::MAIL_KEYS_COUNTED)
}

impl Engine {
    /// Sends a mail, in a task of its own.
    pub(crate) fn send_mail(&self, mail: Mail) {
        let mails = &self.inner.people.mails;
        let Some(mailer) = mails.mailer.clone() else {
            tracing::warn!(target: "counted", code = mail.subject, "there is no mailer; dropped");
            return;
        };
        let Ok(waiting) = mails.waiting.clone().try_acquire_owned() else {
            tracing::warn!(target: "counted", code = mail.subject, "too many mails wait; dropped");
            return;
        };
        let slots = mails.slots.clone();
        self.inner.tasks.spawn(async move {
            let _waiting = waiting;
            let Ok(_slot) = slots.acquire_owned().await else { return };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_site_leaves_some_to_others() {
        let mails = Mails::new(None);
        let at = |n: u8| IpAddr::from([192, 0, 2, n]);
        let admit = |to, from| mails.admit([to; 32], from, Duration::from_secs(1)).is_ok();
        let of_one_site = (0..9).filter(|_| admit(1, at(66))).count();
        assert_eq!(of_one_site, 3);
        assert!(admit(1, at(1)));
        let others = (100..110).filter(|n| admit(1, at(*n))).count();
        assert_eq!(others, 6, "ten in all");
        assert!(!admit(1, at(2)) && admit(2, at(2)));
    }

    #[test]
    fn the_networks_of_one_site_are_counted_together() {
        let mails = Mails::new(None);
        let at = |site: u16, net: u16| IpAddr::from([0x2001, 0xdb8, site, net, 0, 0, 0, 1]);
        let admit = |to, from| mails.admit([to; 32], from, Duration::from_secs(1)).is_ok();
        assert_eq!((0..9).filter(|n| admit(1, at(1, *n))).count(), 3);
        let admitted = (0..100).filter(|n| admit(100 + *n, at(1, 100 + u16::from(*n)))).count();
        assert_eq!(admitted, 50 - 9, "a refused request still counts for its network");
        assert!(admit(1, at(2, 0)));
    }
}

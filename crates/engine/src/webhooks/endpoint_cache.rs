//! What is known of endpoints and addresses, in memory: nothing that sells waits for a look-up.
//!
//! Invariants: an address that was switched off here is sent nothing from that moment on; nobody judges
//! by a endpoints that is not read yet, or known to be outdated: an event would be owed to nobody.

use super::signature::Secrets;
use crate::{Engine, limits};
use arc_swap::ArcSwap;
use domain::Purchase;
use domain::account::{AccountId, Environment};
use domain::clock::Timestamp;
use domain::ids::EndpointId;
use domain::webhook::schedule;
use domain::webhook::schedule::{OFF_AFTER, SuccessEvent};
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use store::{Destination, Endpoint, EndpointHealth, Fault};

/// The endpoint_cache that the books lie on.
pub(crate) struct EndpointCache {
    endpoints: ArcSwap<Endpoints>,
    /// The edition that is good enough: counts what changed.
    wanted: AtomicU64,
    /// Held by whoever reads a endpoints.
    reading: Mutex<()>,
    troubles: Mutex<HashMap<Destination, Known>>,
}

/// Every endpoint, as it was last read.
#[derive(Default)]
pub(crate) struct Endpoints {
    endpoints: HashMap<EndpointId, Arc<Entry>>,
    of_account: HashMap<(AccountId, Environment), Vec<Arc<Entry>>>,
    trusted: HashSet<String>,
    version: i64,
    edition: u64,
}

/// An endpoint, its secrets at hand.
pub(crate) struct Entry {
    pub(crate) endpoint: Endpoint,
    pub(crate) secrets: Secrets,
}

/// An address that fails, or is switched off.
#[derive(Clone)]
struct Known {
    health: EndpointHealth,
    /// It is on its way into the store, or there.
    is_noted: bool,
    /// It is in the store: whatever is read there later is newer.
    is_stored: bool,
}

/// What a try led to that must be written down.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Noted {
    Nothing,
    /// The address's trouble is to be stored; nothing: it is well.
    Store(Option<EndpointHealth>),
    /// It was switched off just now.
    SwitchedOff(EndpointHealth),
}

impl EndpointCache {
    pub(crate) fn new() -> EndpointCache {
        EndpointCache {
            endpoints: ArcSwap::default(),
            wanted: AtomicU64::new(1),
            reading: Mutex::default(),
            troubles: Mutex::default(),
        }
    }

    /// What is known is read anew before it is used again.
    pub(crate) fn forget(&self) {
        self.wanted.fetch_add(1, Ordering::SeqCst);
    }

    /// The endpoints, by `read` where it is outdated: one reads, the others wait for it.
    fn current(
        &self,
        read: impl FnOnce() -> Result<Endpoints, Fault>,
    ) -> Result<Arc<Endpoints>, Fault> {
        let good = |wanted| {
            Some(self.endpoints.load_full()).filter(|endpoints| endpoints.edition >= wanted)
        };
        if let Some(endpoints) = good(self.wanted.load(Ordering::SeqCst)) {
            return Ok(endpoints);
        }
        let _reading = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the reading: what changes meanwhile is read once more.
        let wanted = self.wanted.load(Ordering::SeqCst);
        if let Some(endpoints) = good(wanted) {
            return Ok(endpoints);
        }
        let endpoints = Arc::new(Endpoints { edition: wanted, ..read()? });
        self.endpoints.store(endpoints.clone());
        Ok(endpoints)
    }

    fn troubles(&self) -> MutexGuard<'_, HashMap<Destination, Known>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What is wrong with an address.
    pub(crate) fn health(&self, address: &Destination) -> Option<EndpointHealth> {
        self.troubles().get(address).map(|known| known.health.clone())
    }

    /// Whether nothing is sent there.
    pub(crate) fn is_off(&self, address: &Destination) -> bool {
        self.troubles().get(address).is_some_and(|known| known.health.off.is_some())
    }

    /// It took a webhook.
    pub(crate) fn is_well(&self, address: &Destination) -> Noted {
        let mut troubles = self.troubles();
        match troubles.get(address) {
            Some(known) if known.health.off.is_none() => {
                let was_noted = known.is_noted;
                troubles.remove(address);
                if was_noted { Noted::Store(None) } else { Noted::Nothing }
            }
            Some(_) | None => Noted::Nothing,
        }
    }

    /// It failed. What passes within a minute is not worth a commit.
    pub(crate) fn has_failed(
        &self,
        address: &Destination,
        now: Timestamp,
        time_divisor: u32,
    ) -> Noted {
        let mut troubles = self.troubles();
        if troubles.len() >= limits::FAILING_KNOWN && !troubles.contains_key(address) {
            return Noted::Nothing;
        }
        let known = troubles.entry(address.clone()).or_insert_with(|| Known {
            health: EndpointHealth { since: None, off: None },
            is_noted: false,
            is_stored: false,
        });
        let since = *known.health.since.get_or_insert(now);
        if known.health.off.is_some() {
            return Noted::Nothing;
        }
        if now.since(since) >= OFF_AFTER / time_divisor.max(1) {
            let why = "it has done nothing but fail for five days";
            known.health.off = Some((now, why.to_owned()));
            (known.is_noted, known.is_stored) = (true, false);
            return Noted::SwitchedOff(known.health.clone());
        }
        if known.is_noted || now.since(since) < limits::FAILING_STORED_AFTER {
            return Noted::Nothing;
        }
        known.is_noted = true;
        Noted::Store(Some(known.health.clone()))
    }

    /// It said that nobody wants anything there.
    pub(crate) fn is_gone(&self, address: &Destination, now: Timestamp) -> Noted {
        let mut troubles = self.troubles();
        let why = "it answered 410, which says that nobody wants webhooks there any more";
        let health = EndpointHealth { since: None, off: Some((now, why.to_owned())) };
        let known = Known { health: health.clone(), is_noted: true, is_stored: false };
        match troubles.insert(address.clone(), known) {
            Some(before) if before.health.off.is_some() => Noted::Nothing,
            Some(_) | None => Noted::SwitchedOff(health),
        }
    }

    /// Its trouble is in the store.
    pub(crate) fn is_stored(&self, address: &Destination) {
        if let Some(known) = self.troubles().get_mut(address) {
            known.is_stored = true;
        }
    }

    /// Somebody says that it is well.
    pub(crate) fn switch_on(&self, address: &Destination) {
        self.troubles().remove(address);
    }
}

impl Endpoints {
    /// An endpoint that was not removed.
    pub(crate) fn entry(&self, id: EndpointId) -> Option<&Arc<Entry>> {
        self.endpoints.get(&id).filter(|entry| entry.endpoint.removed_at.is_none())
    }

    /// Whether many webhooks may go to a host at once.
    pub(crate) fn trusts(&self, host: &str) -> bool {
        self.trusted.contains(host)
    }

    /// When the purchases of a key pair are told as a success.
    pub(crate) fn success_event(&self, purchase: &Purchase) -> SuccessEvent {
        let key = purchase.api_key.and_then(|key| self.entry(EndpointId(key.0)));
        key.map_or_else(SuccessEvent::default, |entry| entry.endpoint.success_event)
    }

    /// Who is told of a purchase, and where: its key pair's own endpoint, at the request's address if
    /// it has one (CONTRACT A-29), and the account's; no address twice.
    pub(crate) fn told<'a>(&'a self, purchase: &'a Purchase) -> Vec<(&'a Arc<Entry>, &'a str)> {
        let own = purchase.api_key.and_then(|key| self.entry(EndpointId(key.0)));
        let own = own.filter(|entry| entry.endpoint.account == purchase.key.account);
        let mut told: Vec<(&Arc<Entry>, &str)> = Vec::new();
        if let Some(entry) = own
            && let Some(url) = purchase.webhook_url.as_ref().or(entry.endpoint.url.as_ref())
        {
            told.push((entry, url));
        }
        let whose = (purchase.key.account, purchase.key.environment);
        for entry in self.of_account.get(&whose).into_iter().flatten() {
            if let Some(url) = &entry.endpoint.url
                && told.iter().all(|(_, taken)| taken != url)
            {
                told.push((entry, url));
            }
        }
        told
    }
}

impl Engine {
    /// What is known of endpoints. A fault: it cannot be read, and nothing may be judged without it.
    pub(crate) fn cached_endpoints(&self) -> Result<Arc<Endpoints>, Fault> {
        self.inner.webhooks.endpoint_cache.current(|| self.read_book())
    }

    /// Who gets an endpoint's webhooks; `None`: it is removed. Another node may have made it just now.
    pub(crate) fn entry(&self, id: EndpointId) -> Result<Option<Arc<Entry>>, Fault> {
        let mut endpoints = self.cached_endpoints()?;
        if !endpoints.endpoints.contains_key(&id) {
            self.inner.webhooks.endpoint_cache.forget();
            endpoints = self.cached_endpoints()?;
        }
        Ok(endpoints.entry(id).cloned())
    }

    /// Looks whether another node has changed anything.
    pub(crate) fn look_for_changed_endpoints(&self) -> Result<(), Fault> {
        let endpoint_cache = &self.inner.webhooks.endpoint_cache;
        if self.inner.store.endpoints_version()? != endpoint_cache.endpoints.load().version {
            endpoint_cache.forget();
        }
        Ok(())
    }

    fn read_book(&self) -> Result<Endpoints, Fault> {
        let store = &self.inner.store;
        // Before the rest: what changes meanwhile is read once more.
        let mut endpoints =
            Endpoints { version: store.endpoints_version()?, ..Endpoints::default() };
        for endpoint in store.endpoints()? {
            let secrets = self.opened(&endpoint);
            let entry = Arc::new(Entry { endpoint, secrets });
            let row = &entry.endpoint;
            if row.removed_at.is_none() && row.key.is_none() {
                let whose = (row.account, row.environment);
                endpoints.of_account.entry(whose).or_default().push(entry.clone());
            }
            endpoints.endpoints.insert(row.id, entry.clone());
        }
        endpoints.trusted = store.trusted_hosts()?.into_iter().collect();
        let stored = store.endpoint_health()?;
        let endpoint_cache = &self.inner.webhooks.endpoint_cache;
        let mut troubles = endpoint_cache.troubles();
        troubles.retain(|_, known| !known.is_stored);
        let known = |health| Known { health, is_noted: true, is_stored: true };
        troubles.extend(stored.into_iter().map(|(address, health)| (address, known(health))));
        drop(troubles);
        Ok(endpoints)
    }
}

/// Whether this endpoint wants events of this name.
pub(crate) fn wants(endpoint: &Endpoint, event: &str) -> bool {
    endpoint.events.is_empty() || endpoint.events.iter().any(|wanted| wanted == event)
}

/// The address that a webhook goes to.
pub(crate) fn destination(
    key: &domain::PurchaseKey,
    owed: &schedule::PendingWebhook,
) -> Destination {
    Destination { account: key.account, environment: key.environment, url: owed.url.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn version(n: i64) -> Result<Endpoints, Fault> {
        Ok(Endpoints { version: n, ..Endpoints::default() })
    }

    #[test]
    fn nobody_goes_by_a_book_that_another_is_still_reading() {
        let endpoint_cache = &EndpointCache::new();
        let (begun, begins) = mpsc::channel();
        let (go_on, goes_on) = mpsc::channel();
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                endpoint_cache.current(move || {
                    begun.send(()).unwrap();
                    goes_on.recv().unwrap();
                    version(7)
                })
            });
            begins.recv().unwrap();
            let other = scope.spawn(move || endpoint_cache.current(|| version(8)));
            // It has every chance to come back too early.
            std::thread::sleep(std::time::Duration::from_millis(50));
            go_on.send(()).unwrap();
            assert_eq!(reader.join().unwrap().unwrap().version, 7);
            assert_eq!(other.join().unwrap().unwrap().version, 7);
        });
    }

    #[test]
    fn what_changed_while_it_was_read_is_read_once_more() {
        let endpoint_cache = EndpointCache::new();
        let outdated = endpoint_cache.current(|| {
            // As another call would.
            endpoint_cache.forget();
            version(1)
        });
        assert_eq!(outdated.unwrap().version, 1);
        assert_eq!(endpoint_cache.current(|| version(2)).unwrap().version, 2);
        assert_eq!(endpoint_cache.current(|| version(3)).unwrap().version, 2);
    }

    #[test]
    fn without_a_book_nothing_is_judged() {
        let endpoint_cache = EndpointCache::new();
        assert!(endpoint_cache.current(|| Err(Fault::Busy)).is_err());
        assert_eq!(endpoint_cache.current(|| version(1)).unwrap().version, 1);
        endpoint_cache.forget();
        assert!(endpoint_cache.current(|| Err(Fault::Busy)).is_err());
        assert_eq!(endpoint_cache.current(|| version(2)).unwrap().version, 2);
    }
}

//! The endpoints and the health of their addresses, in memory: no purchase waits for a look-up.
//!
//! Invariants: from the moment an address is switched off on this node, nothing is sent to it;
//! endpoints that are not read yet, or known to be outdated, are never used: an event would be
//! lost.

use super::signature::Secrets;
use crate::{Engine, limits};
use arc_swap::ArcSwap;
use domain::{
    AccountId, EndpointId, Environment, KeyId, PendingWebhook, Purchase, SuccessEvent, Timestamp,
};
use parking_lot::Mutex;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use store::{Destination, Endpoint, EndpointHealth, Fault};

/// Keeps the latest snapshot, and the health of addresses.
pub(crate) struct EndpointCache {
    snapshot: ArcSwap<EndpointSnapshot>,
    /// The lowest edition that may be used; grows with each change.
    edition_min: AtomicU64,
    /// Held while a snapshot is read.
    reading: Mutex<()>,
    health: Mutex<HashMap<Destination, AddressHealth>>,
}

/// Every endpoint, as it was last read.
#[derive(Default)]
pub(crate) struct EndpointSnapshot {
    by_id: HashMap<EndpointId, Arc<OpenedEndpoint>>,
    of_key: HashMap<KeyId, Arc<OpenedEndpoint>>,
    of_account: HashMap<(AccountId, Environment), Vec<Arc<OpenedEndpoint>>>,
    trusted_hosts: HashSet<String>,
    version: i64,
    edition: u64,
}

/// An endpoint with its secrets in clear.
pub(crate) struct OpenedEndpoint {
    pub(crate) endpoint: Endpoint,
    pub(crate) secrets: Secrets,
}

/// An address that fails, or is switched off.
#[derive(Clone)]
struct AddressHealth {
    health: EndpointHealth,
    /// It is being stored, or is stored.
    is_noted: bool,
    /// It is stored: what is read from the store later is newer.
    is_stored: bool,
}

/// What a try changed in the health of its address, and must be stored.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum HealthChange {
    Nothing,
    /// `None`: the address is healthy again.
    Store(Option<EndpointHealth>),
    /// The address was switched off by this try.
    SwitchedOff(EndpointHealth),
}

impl EndpointCache {
    pub(crate) fn new() -> EndpointCache {
        EndpointCache {
            snapshot: ArcSwap::default(),
            edition_min: AtomicU64::new(1),
            reading: Mutex::default(),
            health: Mutex::default(),
        }
    }

    /// Makes the endpoints be read again before their next use.
    pub(crate) fn forget(&self) {
        self.edition_min.fetch_add(1, Ordering::SeqCst);
    }

    /// The endpoints. If they are outdated, one caller runs `read`, and the others wait for it.
    fn current(
        &self,
        read: impl FnOnce() -> Result<EndpointSnapshot, Fault>,
    ) -> Result<Arc<EndpointSnapshot>, Fault> {
        let fresh = |edition_min| {
            Some(self.snapshot.load_full()).filter(|snapshot| snapshot.edition >= edition_min)
        };
        if let Some(snapshot) = fresh(self.edition_min.load(Ordering::SeqCst)) {
            return Ok(snapshot);
        }
        let _reading = self.reading.lock();
        // Before `read`: what changes meanwhile is read once more.
        let edition = self.edition_min.load(Ordering::SeqCst);
        if let Some(snapshot) = fresh(edition) {
            return Ok(snapshot);
        }
        let snapshot = Arc::new(EndpointSnapshot { edition, ..read()? });
        self.snapshot.store(snapshot.clone());
        Ok(snapshot)
    }

    /// What is wrong with an address, if anything.
    pub(crate) fn health(&self, address: &Destination) -> Option<EndpointHealth> {
        self.health.lock().get(address).map(|known| known.health.clone())
    }

    /// Whether the address is switched off.
    pub(crate) fn is_off(&self, address: &Destination) -> bool {
        self.health.lock().get(address).is_some_and(|known| known.health.off.is_some())
    }

    /// The address accepted a webhook.
    pub(crate) fn accepted(&self, address: &Destination) -> HealthChange {
        let mut health = self.health.lock();
        let known = health.get(address).filter(|known| known.health.off.is_none());
        let Some(was_noted) = known.map(|known| known.is_noted) else {
            return HealthChange::Nothing;
        };
        health.remove(address);
        if was_noted { HealthChange::Store(None) } else { HealthChange::Nothing }
    }

    /// The address failed. It is switched off once it has failed for `off_after`. A failure that
    /// passes within a minute is not worth a commit.
    pub(crate) fn failed(
        &self,
        address: &Destination,
        now: Timestamp,
        off_after: Duration,
        elapsed_since: impl Fn(Timestamp) -> Duration,
    ) -> HealthChange {
        let mut health = self.health.lock();
        if health.len() >= limits::FAILING_KNOWN && !health.contains_key(address) {
            return HealthChange::Nothing;
        }
        let known = health.entry(address.clone()).or_insert_with(|| AddressHealth {
            health: EndpointHealth { since: None, off: None },
            is_noted: false,
            is_stored: false,
        });
        let since = *known.health.since.get_or_insert(now);
        if known.health.off.is_some() {
            return HealthChange::Nothing;
        }
        let failing_for = elapsed_since(since);
        if failing_for >= off_after {
            let why = "it has done nothing but fail for five days";
            known.health.off = Some((now, why.to_owned()));
            (known.is_noted, known.is_stored) = (true, false);
            return HealthChange::SwitchedOff(known.health.clone());
        }
        if known.is_noted || failing_for < limits::FAILING_STORED_AFTER {
            return HealthChange::Nothing;
        }
        known.is_noted = true;
        HealthChange::Store(Some(known.health.clone()))
    }

    /// The address answered 410 Gone.
    pub(crate) fn gone(&self, address: &Destination, now: Timestamp) -> HealthChange {
        let why = "it answered 410, which says that nobody wants webhooks there any more";
        let health = EndpointHealth { since: None, off: Some((now, why.to_owned())) };
        let known = AddressHealth { health: health.clone(), is_noted: true, is_stored: false };
        match self.health.lock().insert(address.clone(), known) {
            Some(before) if before.health.off.is_some() => HealthChange::Nothing,
            Some(_) | None => HealthChange::SwitchedOff(health),
        }
    }

    /// The health of the address is stored.
    pub(crate) fn stored(&self, address: &Destination) {
        if let Some(known) = self.health.lock().get_mut(address) {
            known.is_stored = true;
        }
    }

    /// The address is switched on by hand.
    pub(crate) fn switch_on(&self, address: &Destination) {
        self.health.lock().remove(address);
    }
}

impl EndpointSnapshot {
    /// An endpoint that was not removed.
    pub(crate) fn endpoint(&self, id: EndpointId) -> Option<&Arc<OpenedEndpoint>> {
        self.by_id.get(&id).filter(|opened| opened.endpoint.removed_at.is_none())
    }

    /// The endpoint of a key pair.
    fn endpoint_of(&self, key: KeyId) -> Option<&Arc<OpenedEndpoint>> {
        self.of_key.get(&key).filter(|opened| opened.endpoint.removed_at.is_none())
    }

    /// Whether many webhooks may be in flight to a host.
    pub(crate) fn trusts(&self, host: &str) -> bool {
        self.trusted_hosts.contains(host)
    }

    /// When the purchases of a key pair are reported as a success.
    pub(crate) fn success_event(&self, purchase: &Purchase) -> SuccessEvent {
        let key = purchase.api_key.and_then(|key| self.endpoint_of(key));
        key.map_or_else(SuccessEvent::default, |opened| opened.endpoint.success_event)
    }

    /// The endpoints of an account in an environment: its own, then those of its key pairs.
    pub(crate) fn receivers_of(
        &self,
        account: AccountId,
        environment: Environment,
    ) -> Vec<&Arc<OpenedEndpoint>> {
        let of_keys = self.of_key.values().filter(|opened| {
            let Endpoint { account: owner, environment: place, removed_at, .. } = &opened.endpoint;
            (*owner, *place) == (account, environment) && removed_at.is_none()
        });
        let mut of_keys: Vec<_> = of_keys.collect();
        of_keys.sort_by_key(|opened| opened.endpoint.id);
        let own = self.of_account.get(&(account, environment)).into_iter().flatten();
        own.chain(of_keys).collect()
    }

    /// The endpoints that a purchase's events go to, each with the address: its key pair's own
    /// endpoint, at the request's address if it has one (CONTRACT A-29), and the account's. Two may
    /// have one address, perhaps in two spellings.
    pub(crate) fn receivers<'a>(
        &'a self,
        purchase: &'a Purchase,
    ) -> Vec<(&'a Arc<OpenedEndpoint>, &'a str)> {
        let own = purchase.api_key.and_then(|key| self.endpoint_of(key));
        let own = own.filter(|opened| opened.endpoint.account == purchase.key.account);
        let mut receivers: Vec<(&Arc<OpenedEndpoint>, &str)> = Vec::new();
        if let Some(opened) = own
            && let Some(url) = purchase.webhook_url.as_ref().or(opened.endpoint.url.as_ref())
        {
            receivers.push((opened, url));
        }
        let account = (purchase.key.account, purchase.key.environment);
        for opened in self.of_account.get(&account).into_iter().flatten() {
            if let Some(url) = &opened.endpoint.url {
                receivers.push((opened, url));
            }
        }
        receivers
    }
}

impl Engine {
    /// The current endpoints. On a fault they cannot be read, and no step may be taken without
    /// them.
    pub(crate) fn cached_endpoints(&self) -> Result<Arc<EndpointSnapshot>, Fault> {
        self.inner.webhooks.endpoint_cache.current(|| self.read_endpoints())
    }

    /// An endpoint with its secrets; `None` if it was removed. An unknown one is looked up again:
    /// another node may have just made it.
    pub(crate) fn opened_endpoint(
        &self,
        id: EndpointId,
    ) -> Result<Option<Arc<OpenedEndpoint>>, Fault> {
        let mut snapshot = self.cached_endpoints()?;
        if !snapshot.by_id.contains_key(&id) {
            self.inner.webhooks.endpoint_cache.forget();
            snapshot = self.cached_endpoints()?;
        }
        Ok(snapshot.endpoint(id).cloned())
    }

    /// Checks whether another node has changed an endpoint.
    pub(crate) fn look_for_changed_endpoints(&self) -> Result<(), Fault> {
        let cache = &self.inner.webhooks.endpoint_cache;
        if self.inner.store.endpoints_version()? != cache.snapshot.load().version {
            cache.forget();
        }
        Ok(())
    }

    fn read_endpoints(&self) -> Result<EndpointSnapshot, Fault> {
        let store = &self.inner.store;
        // The version first: what changes while the rest is read is then read once more.
        let version = store.endpoints_version()?;
        let mut snapshot = EndpointSnapshot { version, ..EndpointSnapshot::default() };
        for endpoint in store.endpoints()? {
            let secrets = self.opened_secrets(&endpoint);
            let opened = Arc::new(OpenedEndpoint { endpoint, secrets });
            let row = &opened.endpoint;
            if row.removed_at.is_none() && row.key.is_none() {
                let account = (row.account, row.environment);
                snapshot.of_account.entry(account).or_default().push(opened.clone());
            }
            if let Some(key) = row.key {
                snapshot.of_key.insert(key, opened.clone());
            }
            snapshot.by_id.insert(row.id, opened.clone());
        }
        snapshot.trusted_hosts = store.trusted_hosts()?.into_iter().collect();
        let stored = store.endpoint_health()?;
        let mut all = self.inner.webhooks.endpoint_cache.health.lock();
        all.retain(|_, known| !known.is_stored);
        let known = |health| AddressHealth { health, is_noted: true, is_stored: true };
        all.extend(stored.into_iter().map(|(address, health)| (address, known(health))));
        drop(all);
        Ok(snapshot)
    }
}

/// Whether this endpoint is subscribed to events of this name.
pub(crate) fn wants(endpoint: &Endpoint, event: &str) -> bool {
    endpoint.events.is_empty() || endpoint.events.iter().any(|wanted| wanted == event)
}

/// The address that a webhook goes to.
pub(crate) fn destination(key: &domain::PurchaseKey, webhook: &PendingWebhook) -> Destination {
    Destination { account: key.account, environment: key.environment, url: webhook.url.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    fn version(n: i64) -> Result<EndpointSnapshot, Fault> {
        Ok(EndpointSnapshot { version: n, ..EndpointSnapshot::default() })
    }

    #[test]
    fn nobody_uses_endpoints_that_are_still_being_read() {
        let cache = &EndpointCache::new();
        let (begun, begins) = mpsc::channel();
        let (go_on, goes_on) = mpsc::channel();
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                cache.current(move || {
                    begun.send(()).unwrap();
                    goes_on.recv().unwrap();
                    version(7)
                })
            });
            begins.recv().unwrap();
            let other = scope.spawn(move || cache.current(|| version(8)));
            // Time for the other to return too early.
            std::thread::sleep(Duration::from_millis(50));
            go_on.send(()).unwrap();
            assert_eq!(reader.join().unwrap().unwrap().version, 7);
            assert_eq!(other.join().unwrap().unwrap().version, 7);
        });
    }

    #[test]
    fn what_changed_while_it_was_read_is_read_once_more() {
        let cache = EndpointCache::new();
        let outdated = cache.current(|| {
            // As another call would.
            cache.forget();
            version(1)
        });
        assert_eq!(outdated.unwrap().version, 1);
        assert_eq!(cache.current(|| version(2)).unwrap().version, 2);
        assert_eq!(cache.current(|| version(3)).unwrap().version, 2);
    }

    #[test]
    fn endpoints_that_cannot_be_read_are_not_used() {
        let cache = EndpointCache::new();
        assert!(cache.current(|| Err(Fault::Busy)).is_err());
        assert_eq!(cache.current(|| version(1)).unwrap().version, 1);
        cache.forget();
        assert!(cache.current(|| Err(Fault::Busy)).is_err());
        assert_eq!(cache.current(|| version(2)).unwrap().version, 2);
    }
}

//! Counts of open connections: of the listener, and of each address.
//!
//! Not here: rate limits of accounts. Invariant: a slot is freed when the connection's task ends,
//! in whatever way.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

use super::limits::Limits;

/// The slots of one listener.
#[derive(Default)]
pub(super) struct Slots {
    counts: Mutex<ConnectionCounts>,
}

#[derive(Default)]
struct ConnectionCounts {
    total: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// The slot of one connection; free again when it is dropped.
pub(super) struct Slot {
    slots: Arc<Slots>,
    address: IpAddr,
}

impl Slots {
    /// A slot for a connection from `peer`; `None` if the listener or that address has none left.
    pub(super) fn take(self: &Arc<Self>, peer: IpAddr, limits: &Limits) -> Option<Slot> {
        let address = (limits.subscriber)(peer);
        let mut counts = self.counts.lock();
        if counts.total >= limits.connections {
            return None;
        }
        let is_counted = !limits.uncounted.iter().any(|net| net.contains(&peer.to_canonical()));
        let here = counts.by_address.entry(address).or_default();
        if is_counted && *here >= limits.connections_per_address {
            // With a limit of zero, the entry just inserted would remain.
            if *here == 0 {
                counts.by_address.remove(&address);
            }
            return None;
        }
        *here += 1;
        counts.total += 1;
        Some(Slot { slots: Arc::clone(self), address })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut counts = self.slots.counts.lock();
        counts.total = counts.total.saturating_sub(1);
        if let Some(here) = counts.by_address.get_mut(&self.address) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                counts.by_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_slot_is_free_again_and_leaves_no_entry() {
        let limits = Limits { connections: 3, connections_per_address: 2, ..Limits::default() };
        let slots = Arc::new(Slots::default());
        let take = |peer: &str| slots.take(peer.parse().unwrap(), &limits);
        let (one, two) = (take("192.0.2.1"), take("192.0.2.1"));
        assert!(one.is_some() && two.is_some() && take("192.0.2.1").is_none());
        let three = take("192.0.2.2");
        assert!(three.is_some() && take("192.0.2.3").is_none());
        drop(one);
        assert!(take("192.0.2.1").is_some());
        drop((two, three));
        let counts = slots.counts.lock();
        assert_eq!((counts.total, counts.by_address.len()), (0, 0));
    }
}

//! Counts of open connections: of the listener, and of each address.
//!
//! When slots are short, the connection that has been idle for longest gives up its own: between
//! two requests a client loses nothing but the time to connect again. Not here: rate limits of
//! accounts. Invariant: a slot is freed once, when it is given up or when the connection's task
//! ends, in whatever way.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::limits::Limits;

/// The slots of one listener.
#[derive(Default)]
pub(super) struct Slots {
    open: Mutex<OpenConnections>,
    /// How often a connection has become idle.
    idles: AtomicU64,
}

#[derive(Default)]
struct OpenConnections {
    by_number: HashMap<u64, OpenConnection>,
    by_address: HashMap<IpAddr, usize>,
    /// The number of the last connection.
    last: u64,
}

struct OpenConnection {
    address: IpAddr,
    idle: Arc<Idle>,
    stop: CancellationToken,
}

/// When a connection became idle, counted in idles of all connections; 0 while it works.
#[derive(Default)]
struct Idle(AtomicU64);

/// The slot of one connection; free again when it is dropped.
pub(super) struct Slot {
    slots: Arc<Slots>,
    number: u64,
    idle: Arc<Idle>,
}

/// The connection's side of its slot: says whether it works.
#[derive(Clone, Default)]
pub(super) struct SlotUse {
    slots: Arc<Slots>,
    idle: Arc<Idle>,
}

impl Slots {
    /// A slot for a connection from `peer` that ends with `stop`; `None` if the listener or that
    /// address has none left and no idle connection that could give up its own.
    pub(super) fn take(
        self: &Arc<Self>,
        peer: IpAddr,
        limits: &Limits,
        stop: &CancellationToken,
    ) -> Option<Slot> {
        let address = (limits.subscriber)(peer);
        let is_counted = !limits.uncounted.iter().any(|net| net.contains(&peer.to_canonical()));
        let mut open = self.open.lock();
        let here = open.by_address.get(&address).copied().unwrap_or_default();
        if is_counted && here >= limits.connections_per_address {
            open.close_longest_idle(|connection| connection.address == address)?;
        }
        if open.by_number.len() >= limits.connections {
            open.close_longest_idle(|_| true)?;
        }
        let idle = Arc::new(Idle::default());
        let connection = OpenConnection { address, idle: idle.clone(), stop: stop.clone() };
        open.last += 1;
        let number = open.last;
        open.by_number.insert(number, connection);
        *open.by_address.entry(address).or_default() += 1;
        Some(Slot { slots: Arc::clone(self), number, idle })
    }
}

impl OpenConnections {
    /// Ends the connection that has been idle for longest, of those that `may` be; `None` if all of
    /// them work.
    fn close_longest_idle(&mut self, may: impl Fn(&OpenConnection) -> bool) -> Option<()> {
        let candidates = self.by_number.iter().filter(|(_, connection)| may(connection));
        let idle = candidates
            .map(|(number, connection)| (connection.idle.0.load(Ordering::Relaxed), *number))
            .filter(|(since, _)| *since > 0);
        let (_, number) = idle.min()?;
        // If a request has just arrived it is still answered.
        self.free(number)?.stop.cancel();
        Some(())
    }

    fn free(&mut self, number: u64) -> Option<OpenConnection> {
        let freed = self.by_number.remove(&number)?;
        if let Some(here) = self.by_address.get_mut(&freed.address) {
            *here = here.saturating_sub(1);
            if *here == 0 {
                self.by_address.remove(&freed.address);
            }
        }
        Some(freed)
    }
}

impl Slot {
    /// For the connection to say whether it works.
    pub(super) fn user(&self) -> SlotUse {
        SlotUse { slots: Arc::clone(&self.slots), idle: Arc::clone(&self.idle) }
    }
}

impl SlotUse {
    /// The connection waits for the first byte of a request.
    pub(super) fn is_idle(&self) {
        if self.idle.0.load(Ordering::Relaxed) == 0 {
            let now = self.slots.idles.fetch_add(1, Ordering::Relaxed) + 1;
            self.idle.0.store(now, Ordering::Relaxed);
        }
    }

    /// Bytes of a request have arrived.
    pub(super) fn works(&self) {
        self.idle.0.store(0, Ordering::Relaxed);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.slots.open.lock().free(self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slots(connections: usize, connections_per_address: usize) -> (Arc<Slots>, Limits) {
        let limits = Limits { connections, connections_per_address, ..Limits::default() };
        (Arc::default(), limits)
    }

    #[test]
    fn a_dropped_slot_is_free_again_and_leaves_no_entry() {
        let (slots, limits) = slots(3, 2);
        let stop = CancellationToken::new();
        let take = |peer: &str| slots.take(peer.parse().unwrap(), &limits, &stop);
        let (one, two) = (take("192.0.2.1"), take("192.0.2.1"));
        assert!(one.is_some() && two.is_some() && take("192.0.2.1").is_none());
        let three = take("192.0.2.2");
        assert!(three.is_some() && take("192.0.2.3").is_none());
        drop(one);
        assert!(take("192.0.2.1").is_some());
        drop((two, three));
        let open = slots.open.lock();
        assert_eq!((open.by_number.len(), open.by_address.len()), (0, 0));
    }

    #[test]
    fn the_longest_idle_connection_gives_up_its_slot() {
        let (slots, limits) = slots(3, 2);
        let take = |peer: &str| {
            let stop = CancellationToken::new();
            slots.take(peer.parse().unwrap(), &limits, &stop).map(|slot| (slot, stop))
        };
        let (a, b) = (take("192.0.2.1").unwrap(), take("192.0.2.2").unwrap());
        let c = take("192.0.2.2").unwrap();
        // Idle in the order c, b, a; then c works again.
        [&c, &b, &a].iter().for_each(|(slot, _)| slot.user().is_idle());
        c.0.user().works();
        let d = take("192.0.2.4").unwrap();
        assert!(b.1.is_cancelled() && !a.1.is_cancelled() && !c.1.is_cancelled());
        // Freed once: its end changes nothing.
        drop(b.0);
        // Those who work keep theirs.
        a.0.user().works();
        assert!(take("192.0.2.5").is_none());
        // An address at its limit gives up one of its own, whoever else has been idle for longer.
        a.0.user().is_idle();
        drop(d);
        let e = take("192.0.2.2").unwrap();
        c.0.user().is_idle();
        let f = take("192.0.2.2").unwrap();
        assert!(c.1.is_cancelled() && !a.1.is_cancelled() && !e.1.is_cancelled());
        drop((a, c, e, f));
        let open = slots.open.lock();
        assert_eq!((open.by_number.len(), open.by_address.len()), (0, 0));
    }
}

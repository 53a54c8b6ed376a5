//! Who is asked where a name leads: the machine's own resolver, or whoever a test puts there.
//!
//! Not here: what an address is worth (guard.rs). Invariant: however many look-ups hang, they hold
//! no more than their share of the process's threads.

use std::future::Future;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Look-ups at once, each a thread of its own that a dead name server can hold for half a minute.
/// More than deliveries are ever out at once, and half of the threads that Tokio makes for such things.
const AT_ONCE: usize = 256;

/// The answer to a look-up, coming.
pub type Looking = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Finds where names lead.
pub trait Names: Send + Sync {
    /// All addresses that a name has now. The name is whole: nothing is to be added to it.
    fn look_up(&self, name: &str) -> Looking;
}

/// The machine's resolver: /etc/hosts, /etc/resolv.conf and whatever else it is set up with.
pub struct SystemNames {
    at_once: Arc<Semaphore>,
}

impl Default for SystemNames {
    fn default() -> SystemNames {
        SystemNames { at_once: Arc::new(Semaphore::new(AT_ONCE)) }
    }
}

impl Names for SystemNames {
    fn look_up(&self, name: &str) -> Looking {
        // The dot at the end keeps the resolver from trying the company's own domains after it.
        let name = format!("{name}.");
        let at_once = Arc::clone(&self.at_once);
        Box::pin(async move {
            let place = at_once.acquire_owned().await.map_err(io::Error::other)?;
            let looking = tokio::task::spawn_blocking(move || {
                // Given back when the resolver is done, not when somebody stops waiting for it.
                let _place = place;
                Ok((name.as_str(), 0).to_socket_addrs()?.map(|address| address.ip()).collect())
            });
            looking.await?
        })
    }
}

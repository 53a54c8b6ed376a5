//! Host name look-ups: by the machine's own resolver, or by a substitute in tests.
//!
//! Not here: which addresses are allowed (`public_resolver.rs`). Invariant: look-ups that hang
//! block at most [`LOOKUPS_MAX`] threads of the process.

use std::future::Future;
use std::io;
use std::net::{IpAddr, ToSocketAddrs as _};
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Look-ups at the same time. Each blocks a thread, for half a minute if the name server is dead.
/// This is more than the deliveries that run at the same time, and half of the threads that Tokio
/// starts for blocking calls.
const LOOKUPS_MAX: usize = 256;

/// The future of a look-up.
pub type LookupFuture = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// Finds the addresses of host names.
pub trait HostLookup: Send + Sync {
    /// All current addresses of a fully qualified name: no search domain is to be appended.
    fn look_up(&self, name: &str) -> LookupFuture;
}

/// The machine's resolver: /etc/hosts, /etc/resolv.conf and whatever else is configured.
pub struct SystemLookup {
    running: Arc<Semaphore>,
}

impl Default for SystemLookup {
    fn default() -> SystemLookup {
        SystemLookup { running: Arc::new(Semaphore::new(LOOKUPS_MAX)) }
    }
}

impl HostLookup for SystemLookup {
    fn look_up(&self, name: &str) -> LookupFuture {
        // The trailing dot keeps the resolver from appending the company's search domains.
        let name = format!("{name}.");
        let running = Arc::clone(&self.running);
        Box::pin(async move {
            let permit = running.acquire_owned().await.map_err(io::Error::other)?;
            let task = tokio::task::spawn_blocking(move || {
                // Released when the resolver returns, not when the caller stops waiting.
                let _permit = permit;
                Ok((name.as_str(), 0).to_socket_addrs()?.map(|address| address.ip()).collect())
            });
            task.await?
        })
    }
}

//! Stands between a seller and one upstream: notes what is submitted, and can fall silent.
//!
//! The upstream itself loses requests before it reads them, so only here is it known how often an
//! order left. Each connection has one request.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How the submits of both kinds of upstreams name our reference.
const REFERENCES: [&str; 2] = ["\"customIdentifier\":\"", "\"txid\":\""];

/// A way to one upstream.
pub struct Tap {
    /// Where the seller calls.
    pub address: String,
    shared: Arc<Shared>,
}

struct Shared {
    to: Mutex<String>,
    is_silent: watch::Sender<bool>,
    held: AtomicUsize,
    submits: Mutex<HashMap<String, usize>>,
}

impl Tap {
    /// Leads to this address.
    pub async fn to(address: &str) -> Tap {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared {
            to: Mutex::new(address.to_owned()),
            is_silent: watch::Sender::new(false),
            held: AtomicUsize::new(0),
            submits: Mutex::default(),
        });
        let tap = Tap { address: at, shared: shared.clone() };
        tokio::spawn(async move {
            while let Ok((seller, _)) = listener.accept().await {
                tokio::spawn(carry(seller, shared.clone()));
            }
        });
        tap
    }

    /// From now on it leads there.
    pub fn leads_to(&self, address: &str) {
        address.clone_into(&mut self.shared.to.lock().unwrap());
    }

    /// From now on connections are accepted and nothing is answered, or it is as before. Then those
    /// that were not answered are cut, as by a service that starts again.
    pub fn silence(&self, is_silent: bool) {
        self.shared.is_silent.send_replace(is_silent);
    }

    /// Calls that were not answered because it was silent.
    pub fn held(&self) -> usize {
        self.shared.held.load(Ordering::SeqCst)
    }

    /// How often each reference was submitted.
    pub fn submits(&self) -> HashMap<String, usize> {
        self.shared.submits.lock().unwrap().clone()
    }
}

async fn carry(mut seller: TcpStream, shared: Arc<Shared>) {
    if *shared.is_silent.borrow() {
        shared.held.fetch_add(1, Ordering::SeqCst);
        let mut request = [0; 4096];
        let hanging = async { while seller.read(&mut request).await.is_ok_and(|read| read > 0) {} };
        let mut is_silent = shared.is_silent.subscribe();
        tokio::select! {
            () = hanging => {}
            _ = is_silent.wait_for(|is_silent| !is_silent) => {}
        }
        return;
    }
    let to = shared.to.lock().unwrap().clone();
    let Ok(mut upstream) = TcpStream::connect(&to).await else { return };
    let (mut from_seller, mut to_seller) = seller.split();
    let (mut from_upstream, mut to_upstream) = upstream.split();
    let (mut request, mut reply) = (Vec::new(), Vec::new());
    let asking = async {
        let mut part = [0; 4096];
        while let Ok(read @ 1..) = from_seller.read(&mut part).await {
            request.extend_from_slice(&part[..read]);
            if to_upstream.write_all(&part[..read]).await.is_err() {
                break;
            }
        }
    };
    let answering = async {
        let mut part = [0; 4096];
        while let Ok(read @ 1..) = from_upstream.read(&mut part).await {
            reply.extend_from_slice(&part[..read]);
            if to_seller.write_all(&part[..read]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        () = asking => {}
        () = answering => {}
    }
    // What was refused for its token did nothing, and is sent again with a new one.
    if request.starts_with(b"POST") && !reply.starts_with(b"HTTP/1.1 401") {
        shared.note(&String::from_utf8_lossy(&request));
    }
}

impl Shared {
    fn note(&self, request: &str) {
        let named = REFERENCES.iter().find_map(|name| request.split_once(name));
        if let Some((reference, _)) = named.and_then(|(_, rest)| rest.split_once('"')) {
            *self.submits.lock().unwrap().entry(reference.to_owned()).or_default() += 1;
        }
    }
}

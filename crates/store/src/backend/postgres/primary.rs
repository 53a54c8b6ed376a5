//! Which of several hosts to use: of those that take writes, the one that was promoted last.
//!
//! A primary that died, was replaced and comes back takes writes as before, and does not know what
//! its successor has acknowledged. The timeline tells them apart: every promotion raises it.
//! Invariant: a process never uses an older timeline than it has seen, nor another cluster.

use super::errors::{refused, silent};
use super::server::{OnNotify, drive};
use super::tls::Tls;
use crate::fault::Fault;
use parking_lot::Mutex;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_postgres::config::{Host, TargetSessionAttrs};
use tokio_postgres::{Client, Config, SimpleQueryMessage};

/// After the first host that takes writes, how long the others may take to show a higher timeline.
/// A host that does not answer costs this much for each connection, and delays a fail-over as long.
const OTHER_HOSTS_TIMEOUT: Duration = Duration::from_millis(300);
/// The cluster's identifier, and the timeline that the server writes; 0 if it takes no writes.
const IDENTITY: &str = "SELECT system_identifier, CASE
    WHEN pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' THEN 0
    ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int8 END
    FROM pg_control_system()";

/// What identifies a server, whatever its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ServerIdentity {
    /// The cluster's identifier, the same for a primary and all its standbys.
    system: u64,
    /// Starts at 1; every promotion of a standby raises it.
    pub(super) timeline: u32,
}

/// A connection to a server that takes writes.
pub(super) struct HostConnection {
    pub(super) client: Client,
    pub(super) warned: Arc<AtomicBool>,
    pub(super) identity: ServerIdentity,
}

/// The newest primary that this process has seen.
#[derive(Default)]
pub(super) struct NewestPrimary {
    identity: Mutex<Option<ServerIdentity>>,
    timeline: AtomicU32,
}

impl NewestPrimary {
    /// Accepts a server unless a successor of it, or another cluster, has been seen.
    pub(super) fn admit(&self, found: ServerIdentity) -> Result<(), Fault> {
        let mut newest = self.identity.lock();
        match *newest {
            Some(known) if known.system != found.system => Err(Fault::Unavailable(
                "another cluster answers than the one that this process began with".into(),
            )),
            Some(known) if known.timeline > found.timeline => Err(Fault::Unavailable(format!(
                "only a former primary answers (timeline {}; {} has been seen)",
                found.timeline, known.timeline
            ))),
            Some(_) | None => {
                *newest = Some(found);
                self.timeline.store(found.timeline, Ordering::Release);
                Ok(())
            }
        }
    }

    /// Whether this is still the highest timeline that was seen.
    pub(super) fn is(&self, timeline: u32) -> bool {
        self.timeline.load(Ordering::Acquire) == timeline
    }
}

/// One configuration for each host of an address.
pub(super) fn hosts(all: &Config) -> Vec<Config> {
    let count = all.get_hosts().len().max(all.get_hostaddrs().len());
    (0..count).map(|nth| one_host(all, nth)).collect()
}

/// The configuration of the nth host alone, copied field by field: hosts can be added to a
/// configuration, but not removed from one.
fn one_host(all: &Config, nth: usize) -> Config {
    let mut one = Config::new();
    match all.get_hosts().get(nth) {
        Some(Host::Tcp(host)) => drop(one.host(host)),
        Some(Host::Unix(path)) => drop(one.host_path(path)),
        None => {}
    }
    all.get_hostaddrs().get(nth).map(|address| one.hostaddr(*address));
    all.get_ports().get(nth).or(all.get_ports().first()).map(|port| one.port(*port));
    all.get_user().map(|user| one.user(user));
    all.get_password().map(|password| one.password(password));
    all.get_dbname().map(|name| one.dbname(name));
    all.get_options().map(|options| one.options(options));
    all.get_application_name().map(|name| one.application_name(name));
    all.get_connect_timeout().map(|time| one.connect_timeout(*time));
    all.get_tcp_user_timeout().map(|time| one.tcp_user_timeout(*time));
    all.get_keepalives_interval().map(|time| one.keepalives_interval(time));
    all.get_keepalives_retries().map(|count| one.keepalives_retries(count));
    one.keepalives(all.get_keepalives()).keepalives_idle(all.get_keepalives_idle());
    one.ssl_mode(all.get_ssl_mode()).ssl_negotiation(all.get_ssl_negotiation());
    one.channel_binding(all.get_channel_binding());
    // `open` asks itself whether the host takes writes, together with its timeline.
    one.target_session_attrs(TargetSessionAttrs::Any);
    one
}

/// How connections are opened.
#[derive(Clone)]
pub(super) struct ConnectOptions {
    pub(super) tls: Tls,
    /// Each connection holds a clone until it is closed.
    pub(super) alive: Option<Sender<()>>,
    pub(super) on_notify: OnNotify,
    /// For each host to accept the connection and to identify itself.
    pub(super) timeout: Duration,
}

/// Connects to all hosts at once; returns the connection to the highest timeline that takes writes.
pub(super) async fn connect(
    hosts: Vec<Config>,
    options: ConnectOptions,
) -> Result<HostConnection, Fault> {
    let within = options.timeout;
    let mut opening = JoinSet::new();
    for host in hosts {
        let options = options.clone();
        opening.spawn(async move {
            timeout(within, open(host, options)).await.unwrap_or_else(|_| Err(silent()))
        });
    }
    let mut best: Option<HostConnection> = None;
    let mut last_fault = Fault::Unavailable("no host takes writes".into());
    let mut is_over = pin!(sleep(within * 2));
    loop {
        let next = tokio::select! {
            next = opening.join_next() => next,
            () = is_over.as_mut() => None,
        };
        match next {
            None => return best.ok_or(last_fault),
            Some(Ok(Ok(opened))) => {
                let known = best.as_ref().map_or(0, |best| best.identity.timeline);
                if best.is_none() {
                    is_over.set(sleep(OTHER_HOSTS_TIMEOUT));
                }
                if opened.identity.timeline > known {
                    best = Some(opened);
                }
            }
            Some(Ok(Err(fault))) => last_fault = fault,
            Some(Err(error)) => last_fault = Fault::Unavailable(error.to_string()),
        }
    }
}

/// Connects to one host and reads its identity; refuses one that takes no writes.
async fn open(host: Config, options: ConnectOptions) -> Result<HostConnection, Fault> {
    let ConnectOptions { tls, alive, on_notify, timeout: _ } = options;
    let (client, connection) = host.connect(tls).await.map_err(|error| refused(&error))?;
    let warned = Arc::new(AtomicBool::new(false));
    let set_warned = warned.clone();
    tokio::spawn(async move {
        drive(connection, &set_warned, &*on_notify).await;
        drop(alive);
    });
    let messages = client.simple_query(IDENTITY).await.map_err(|error| refused(&error))?;
    let identity = messages.iter().find_map(|message| {
        let SimpleQueryMessage::Row(row) = message else { return None };
        let (system, timeline) = (row.get(0)?.parse().ok()?, row.get(1)?.parse().ok()?);
        Some(ServerIdentity { system, timeline })
    });
    match identity {
        Some(identity) if identity.timeline > 0 => Ok(HostConnection { client, warned, identity }),
        Some(_) => Err(Fault::Unavailable("it takes no writes".into())),
        None => Err(Fault::Unavailable("it does not say which cluster it is".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_is_followed_and_its_predecessor_refused() {
        let newest = NewestPrimary::default();
        let server = |system, timeline| ServerIdentity { system, timeline };
        newest.admit(server(7, 1)).unwrap();
        newest.admit(server(7, 3)).unwrap();
        assert!(newest.is(3) && !newest.is(1));
        for (older, message) in
            [(server(7, 2), "timeline 2; 3 has"), (server(8, 9), "another cluster")]
        {
            let fault = newest.admit(older).unwrap_err().to_string();
            assert!(fault.contains(message), "{fault}");
        }
        newest.admit(server(7, 3)).unwrap();
    }

    #[test]
    fn an_address_is_split_by_host() {
        let all: Config =
            "postgres://u:p@a:1,b:2/d?application_name=x&connect_timeout=3&keepalives_idle=4"
                .parse()
                .unwrap();
        let hosts = hosts(&all);
        let one: Config =
            "postgres://u:p@b:2/d?application_name=x&connect_timeout=3&keepalives_idle=4"
                .parse()
                .unwrap();
        assert_eq!((hosts.len(), &hosts[1]), (2, &one));
    }
}

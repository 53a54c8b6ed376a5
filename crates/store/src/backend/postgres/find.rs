//! Which of several hosts to work with: of those that take writes, the one that was promoted last.
//!
//! A primary that died, was replaced and comes back takes writes as before, and knows nothing of what
//! its successor has acknowledged. What tells them apart is the timeline, which every promotion
//! raises. Invariant: a process that has seen a timeline never works with an older one, nor with
//! another cluster.

use super::link::{Hear, drive, refused};
use super::tls::Tls;
use crate::fault::Fault;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc::Sender;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_postgres::config::{Host, TargetSessionAttrs};
use tokio_postgres::{Client, Config, SimpleQueryMessage};

/// Once one host takes writes, how long the others may take to say that they are newer. A host that
/// is gone costs this much for each connection, and a fail-over waits as long.
const STRAGGLERS_WITHIN: Duration = Duration::from_millis(300);
/// The cluster, and the timeline that it writes; 0 if it takes no writes.
const WHO: &str = "SELECT system_identifier, CASE
    WHEN pg_is_in_recovery() OR current_setting('transaction_read_only') = 'on' THEN 0
    ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int8 END
    FROM pg_control_system()";

/// What a server is, whatever its address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Who {
    /// The cluster: the same for a primary and all its standbys.
    system: u64,
    /// How often a standby of it has taken over, and one.
    pub(super) timeline: u32,
}

/// A connection to a server that takes writes.
pub(super) struct Arrival {
    pub(super) client: Client,
    pub(super) warned: Arc<AtomicBool>,
    pub(super) who: Who,
}

/// The newest primary that this process has seen.
#[derive(Default)]
pub(super) struct Newest {
    who: Mutex<Option<Who>>,
    timeline: AtomicU32,
}

impl Newest {
    /// Takes a server for the one to work with, unless it has a successor.
    pub(super) fn admit(&self, who: Who) -> Result<(), Fault> {
        let mut newest = self.who.lock().unwrap_or_else(PoisonError::into_inner);
        match *newest {
            Some(known) if known.system != who.system => Err(Fault::Unavailable(
                "another cluster answers than the one that this process began with".into(),
            )),
            Some(known) if known.timeline > who.timeline => Err(Fault::Unavailable(format!(
                "only a former primary answers (timeline {}; {} has been seen)",
                who.timeline, known.timeline
            ))),
            Some(_) | None => {
                *newest = Some(who);
                self.timeline.store(who.timeline, Ordering::Release);
                Ok(())
            }
        }
    }

    /// Whether no newer primary has been seen since.
    pub(super) fn is(&self, timeline: u32) -> bool {
        self.timeline.load(Ordering::Acquire) == timeline
    }
}

/// An address with several hosts, host by host.
pub(super) fn hosts(all: &Config) -> Vec<Config> {
    let count = all.get_hosts().len().max(all.get_hostaddrs().len());
    (0..count).map(|nth| one_host(all, nth)).collect()
}

/// The same with the nth host alone. (A configuration can be added to, not taken from.)
fn one_host(all: &Config, nth: usize) -> Config {
    let mut one = Config::new();
    match all.get_hosts().get(nth) {
        Some(Host::Tcp(host)) => drop(one.host(host)),
        #[cfg(unix)]
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
    // Who takes writes is asked below, with the timeline.
    one.target_session_attrs(TargetSessionAttrs::Any);
    one
}

/// How connections are made.
#[derive(Clone)]
pub(super) struct How {
    pub(super) tls: Tls,
    /// Held by each connection as long as it lasts.
    pub(super) alive: Option<Sender<()>>,
    pub(super) hear: Hear,
    /// For each host to let us in and say who it is.
    pub(super) within: Duration,
}

/// Asks all hosts at once and gives the connection to the newest that takes writes.
pub(super) async fn primary(hosts: Vec<Config>, how: How) -> Result<Arrival, Fault> {
    let within = how.within;
    let mut asked = JoinSet::new();
    for host in hosts {
        let how = how.clone();
        asked.spawn(async move {
            let silent = || Fault::Unavailable("it does not answer".into());
            timeout(within, arrive(host, how)).await.unwrap_or_else(|_| Err(silent()))
        });
    }
    let mut best: Option<Arrival> = None;
    let mut why = Fault::Unavailable("no host takes writes".into());
    let mut is_over = pin!(sleep(within * 2));
    loop {
        let next = tokio::select! {
            next = asked.join_next() => next,
            () = is_over.as_mut() => None,
        };
        match next {
            None => return best.ok_or(why),
            Some(Ok(Ok(found))) => {
                let known = best.as_ref().map_or(0, |best| best.who.timeline);
                if best.is_none() {
                    is_over.set(sleep(STRAGGLERS_WITHIN));
                }
                if found.who.timeline > known {
                    best = Some(found);
                }
            }
            Some(Ok(Err(fault))) => why = fault,
            Some(Err(error)) => why = Fault::Unavailable(error.to_string()),
        }
    }
}

/// Connects to one host, and asks who it is.
async fn arrive(host: Config, how: How) -> Result<Arrival, Fault> {
    let How { tls, alive, hear, within: _ } = how;
    let (client, connection) = host.connect(tls).await.map_err(|error| refused(&error))?;
    let warned = Arc::new(AtomicBool::new(false));
    let to_warn = warned.clone();
    tokio::spawn(async move {
        drive(connection, &to_warn, &*hear).await;
        drop(alive);
    });
    let answers = client.simple_query(WHO).await.map_err(|error| refused(&error))?;
    let who = answers.iter().find_map(|answer| {
        let SimpleQueryMessage::Row(row) = answer else { return None };
        let (system, timeline) = (row.get(0)?.parse().ok()?, row.get(1)?.parse().ok()?);
        Some(Who { system, timeline })
    });
    match who {
        Some(who) if who.timeline > 0 => Ok(Arrival { client, warned, who }),
        Some(_) => Err(Fault::Unavailable("it takes no writes".into())),
        None => Err(Fault::Unavailable("it does not say which cluster it is".into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_successor_is_followed_and_its_predecessor_refused() {
        let newest = Newest::default();
        let who = |system, timeline| Who { system, timeline };
        newest.admit(who(7, 1)).unwrap();
        newest.admit(who(7, 3)).unwrap();
        assert!(newest.is(3) && !newest.is(1));
        for (older, says) in [(who(7, 2), "timeline 2; 3 has"), (who(8, 9), "another cluster")] {
            let why = newest.admit(older).unwrap_err().to_string();
            assert!(why.contains(says), "{why}");
        }
        newest.admit(who(7, 3)).unwrap();
    }

    #[test]
    fn an_address_is_taken_apart() {
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

//! This process as one node of a database: its run, its lease, what it learns of other nodes.
//!
//! A run is a row of `nodes` with a lease, which a thread renews on a connection of its own.
//! Another node takes over a run whose lease has ended and deletes its row. Every commit of the
//! writer checks that its run's row is there, so a node that missed its renewal must join under a
//! new run before it can write. Leases end by the database's clock. Not here: what a take-over
//! does. Invariant: a run's number is never given twice.

use super::durability::{self, SERVER_SETTINGS_OFF};
use super::errors::{fault, silent};
use super::server::{Connection, REPLY_TIMEOUT, Server};
use super::wait::wait;
use crate::fault::{Fault, OpenError};
use crate::queue::DeadRun;
use parking_lot::Mutex;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// A node that has not renewed its lease for so long counts as dead. Longer than an attempt may
/// take from its draft to its call (`engine`'s `in_flight`), so a node that froze in between sends
/// nothing.
const LEASE: Duration = Duration::from_secs(8);
/// Between two renewals. Revisions are read as often, in case a notification was missed.
const RENEW_EVERY: Duration = Duration::from_secs(1);
/// A revision of the keys that was read longer ago is not relied on: a renewal was missed.
const FRESH: Duration = Duration::from_secs(2);
/// To leave the database in an orderly way. If it takes longer, the run is taken over at the end of
/// its lease.
const LEAVE_TIMEOUT: Duration = Duration::from_secs(1);
/// Nodes at once: an id has room for so many (`domain::ids`).
const NODES_MAX: i64 = 32;

/// What other nodes have changed, and which of them are dead.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogChanges {
    /// Revision of the catalog.
    pub catalog: i64,
    /// Revision of the halt: raised when one begins or ends.
    pub halt: i64,
    /// Runs whose lease has ended; whoever receives them takes over what they left.
    pub dead: Vec<DeadRun>,
}

/// This node, as its connections see it.
pub(crate) struct Member {
    server: Arc<Server>,
    /// The run times [`NODES_MAX`] plus the node's number, so that both are read at once.
    run_and_number: AtomicI64,
    joining: Mutex<()>,
    /// Becomes true when the lease may have ended.
    lease_over: Mutex<Arc<AtomicBool>>,
    keys_revision: AtomicI64,
    /// Becomes true when `keys_revision` is not fresh any more.
    keys_stale: Mutex<Arc<AtomicBool>>,
    /// The file that records the run, so that the next process of this folder knows that it is
    /// over.
    run_file: Option<PathBuf>,
    changes: watch::Sender<CatalogChanges>,
}

/// A member with the thread that renews its lease; dropping it leaves the database.
pub(crate) struct Membership {
    member: Arc<Member>,
    stop: Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

enum Signal {
    Notified,
    Stop,
}

impl Membership {
    /// Joins the nodes of a database whose schema is up to date. `folder` is a data folder that
    /// this process has locked, so the run that is recorded there is over.
    pub(crate) fn join(server: &Arc<Server>, folder: Option<&Path>) -> Result<Self, OpenError> {
        let member = Arc::new(Member {
            server: server.clone(),
            run_and_number: AtomicI64::new(0),
            joining: Mutex::new(()),
            lease_over: Mutex::new(server.flag_after(LEASE)),
            keys_revision: AtomicI64::new(0),
            keys_stale: Mutex::new(Arc::new(AtomicBool::new(true))),
            run_file: folder.map(|folder| folder.join("node.run")),
            changes: watch::Sender::new(CatalogChanges::default()),
        });
        let before = member.run_file.as_deref().and_then(read_run);
        member.enter(before).map_err(|fault| server.unusable(fault))?;
        let (stop, signals) = channel();
        let (renewing, notified) = (member.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name("pg node".to_owned())
            .spawn(move || renewing.renew(&signals, &notified))
            .map_err(|error| server.unusable(Fault::Unavailable(error.to_string())))?;
        Ok(Membership { member, stop, thread: Some(thread) })
    }

    pub(crate) fn member(&self) -> &Arc<Member> {
        &self.member
    }

    /// What other nodes change from now on.
    pub(crate) fn changes(&self) -> watch::Receiver<CatalogChanges> {
        self.member.changes.subscribe()
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let _ = self.stop.send(Signal::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the thread that renews this node's lease panicked");
        }
    }
}

impl Member {
    /// The current run of this node.
    pub(crate) fn run(&self) -> i64 {
        self.run_and_number.load(Ordering::Acquire) / NODES_MAX
    }

    /// This node's number among all nodes, 0 to 31.
    pub(crate) fn number(&self) -> u8 {
        u8::try_from(self.run_and_number.load(Ordering::Acquire) % NODES_MAX).unwrap_or(0)
    }

    /// Whether this node certainly holds its lease: no other node can have declared it dead.
    pub(crate) fn holds_lease(&self) -> bool {
        !self.lease_over.lock().load(Ordering::Acquire)
    }

    /// The revision of keys and accounts; `None` unless it was read a moment ago.
    pub(crate) fn keys_revision(&self) -> Option<i64> {
        let stale = self.keys_stale.lock();
        (!stale.load(Ordering::Acquire)).then(|| self.keys_revision.load(Ordering::Acquire))
    }

    /// Joins under a new run after `run` was lost; does nothing if that has already happened.
    pub(crate) fn rejoin(&self, run: i64) -> Result<(), Fault> {
        let _one = self.joining.lock();
        if self.run() != run {
            return Ok(());
        }
        self.enter(None)?;
        tracing::warn!(
            run,
            "this node was away for too long; it joins under a new run, \
             and what it was about to write is not written"
        );
        Ok(())
    }

    /// Inserts a new run. `over` is a run that is known to be over: its row is deleted here, and
    /// what it left becomes due at the start. Rows of dead runs that left nothing are deleted too.
    fn enter(&self, over: Option<i64>) -> Result<(), Fault> {
        let connection = self.server.connect()?;
        // A run's number must never be given twice.
        durability::require(&connection, REPLY_TIMEOUT)?;
        let lease_over = self.server.flag_after(LEASE);
        let over = over.unwrap_or(0);
        let clean = format!(
            "SET lock_timeout = '5s'; BEGIN; LOCK TABLE nodes IN EXCLUSIVE MODE;
             DELETE FROM nodes WHERE run = {over} OR lease_until < {NOW} - 60000000
                 AND NOT EXISTS (SELECT FROM jobs WHERE jobs.run = nodes.run)"
        );
        connection.execute(&clean, REPLY_TIMEOUT)?;
        let inserted = connection.number(&format!(
            "WITH r AS (SELECT nextval('runs') AS run), joined AS (
                 INSERT INTO nodes (run, number, lease_until)
                 SELECT r.run, free.number, {NOW} + {} FROM r, LATERAL (
                     SELECT (r.run + k) % {NODES_MAX} AS number
                     FROM generate_series(0, {NODES_MAX} - 1) k
                     WHERE NOT EXISTS (
                         SELECT FROM nodes n WHERE n.number = (r.run + k) % {NODES_MAX})
                     ORDER BY k LIMIT 1) free
                 RETURNING run * {NODES_MAX} + number AS run_and_number)
             SELECT coalesce(max(run_and_number), 0) FROM joined",
            LEASE.as_micros()
        ))?;
        if inserted == 0 {
            return Err(Fault::Unavailable(format!("{NODES_MAX} nodes work with it already")));
        }
        connection.execute("COMMIT", REPLY_TIMEOUT)?;
        if connection.warned.load(Ordering::Acquire) {
            return Err(Fault::Unavailable("its standby is away".into()));
        }
        *self.lease_over.lock() = lease_over;
        self.run_and_number.store(inserted, Ordering::Release);
        if let Some(file) = &self.run_file {
            write_run(file, self.run());
        }
        Ok(())
    }

    /// The thread: renews the lease until it is stopped, then leaves.
    fn renew(&self, signals: &Receiver<Signal>, notified: &Sender<Signal>) {
        let mut delay = Duration::ZERO;
        while !is_stopped(signals, delay)
            && let Err(fault) = self.renew_on_one_connection(signals, notified)
        {
            tracing::warn!(%fault, "this node's lease could not be renewed; trying again");
            delay = RENEW_EVERY;
        }
        self.leave();
    }

    /// Renews until the thread is stopped; an error if the connection broke before.
    fn renew_on_one_connection(
        &self,
        signals: &Receiver<Signal>,
        notified: &Sender<Signal>,
    ) -> Result<(), Fault> {
        let notified = notified.clone();
        let on_notify = Arc::new(move || drop(notified.send(Signal::Notified)));
        let connection = self.server.connect_listening(on_notify)?;
        // A renewal must work while the standby is away; one that is lost in a crash was a moment
        // old.
        let settings = "SET synchronous_commit = off; SET lock_timeout = '5s'; LISTEN saldo";
        connection.execute(settings, REPLY_TIMEOUT)?;
        // After a fail-over every lease may have ended. The other nodes get the time to return.
        let is_settled = self.server.flag_after(LEASE);
        loop {
            self.renew_once(&connection, is_settled.load(Ordering::Acquire))?;
            if is_stopped(signals, RENEW_EVERY) {
                return Ok(());
            }
            if !self.server.is_good(&connection) {
                return Err(Fault::Unavailable("the connection leads to a former primary".into()));
            }
        }
    }

    fn renew_once(&self, connection: &Connection, reports_dead: bool) -> Result<(), Fault> {
        let (run, lease_over) = (self.run(), self.server.flag_after(LEASE));
        let stale = self.server.flag_after(FRESH);
        let reply = wait(connection.client.query_one(&renew_sql(), &[&run]), REPLY_TIMEOUT);
        let row = reply.ok_or_else(silent)?.map_err(|error| fault(&error))?;
        let get = |n: usize| row.try_get::<_, i64>(n).map_err(|error| fault(&error));
        let list = |n: usize| row.try_get::<_, Vec<i64>>(n).map_err(|error| fault(&error));
        if get(6)? > 0 && self.server.is_durable() {
            tracing::error!(
                server = self.server.name(),
                "fsync or full_page_writes is off: nothing is written until it is on again"
            );
        }
        self.server.set_durable(get(6)? == 0);
        if get(0)? == 0 {
            return self.rejoin(run);
        }
        *self.lease_over.lock() = lease_over;
        self.keys_revision.store(get(3)?, Ordering::Release);
        *self.keys_stale.lock() = stale;
        let ended = list(4)?.into_iter().zip(list(5)?).filter(|_| reports_dead);
        let dead = ended.map(|(run, lease_until)| DeadRun { run, lease_until }).collect();
        let changes = CatalogChanges { catalog: get(1)?, halt: get(2)?, dead };
        self.changes.send_if_modified(|known| {
            // Dead runs are reported again until one node has taken them over.
            let is_new = *known != changes || !changes.dead.is_empty();
            *known = changes;
            is_new
        });
        Ok(())
    }

    /// Leaves in an orderly way: what this run has left can be taken over at once.
    fn leave(&self) {
        let run = self.run();
        let leave = format!(
            "SET lock_timeout = '1s'; BEGIN;
             DELETE FROM nodes WHERE run = {run}
                 AND NOT EXISTS (SELECT FROM jobs WHERE run = {run});
             UPDATE nodes SET lease_until = 0 WHERE run = {run}; COMMIT"
        );
        let left = self.server.connect().and_then(|open| open.execute(&leave, LEAVE_TIMEOUT));
        if let Err(fault) = left {
            tracing::debug!(%fault, "this node could not leave the database in an orderly way");
        }
    }
}

/// The database's clock in microseconds.
const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::int8";

/// Renews the lease; reads the revisions and the runs whose lease has ended.
fn renew_sql() -> String {
    format!(
        "WITH mine AS (UPDATE nodes SET lease_until = {NOW} + {} WHERE run = $1 RETURNING 1)
         SELECT (SELECT count(*) FROM mine),
                (SELECT coalesce(max(revision), 0) FROM news WHERE topic = 'catalog'),
                (SELECT coalesce(max(revision), 0) FROM news WHERE topic = 'halt'),
                (SELECT coalesce(max(revision), 0) FROM news WHERE topic = 'keys'),
                coalesce(array_agg(run), '{{}}'), coalesce(array_agg(lease_until), '{{}}'),
                {SERVER_SETTINGS_OFF}
         FROM nodes WHERE lease_until < {NOW} AND run <> $1",
        LEASE.as_micros()
    )
}

/// Waits until a notification, a stop or the timeout; whether it was a stop.
fn is_stopped(signals: &Receiver<Signal>, timeout: Duration) -> bool {
    match signals.recv_timeout(timeout) {
        Ok(Signal::Notified) | Err(RecvTimeoutError::Timeout) => false,
        Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => true,
    }
}

/// The run of the folder's last process; `None` if the folder is a copy of another node's.
fn read_run(file: &Path) -> Option<i64> {
    let text = fs::read_to_string(file).ok()?;
    let (run, folder) = text.trim().split_once(' ')?;
    (folder == folder_identity(file)?).then(|| run.parse().ok()).flatten()
}

fn write_run(file: &Path, run: i64) {
    let written = fs::write(file, b"")
        .map(|()| folder_identity(file).unwrap_or_default())
        .and_then(|folder| fs::write(file, format!("{run} {folder}\n")));
    if let Err(error) = written {
        // Without the file, the run is taken over only when its lease has ended.
        tracing::warn!(%error, "{} cannot be written", file.display());
    }
}

/// Device and inode of the folder: a copied folder has others.
fn folder_identity(file: &Path) -> Option<String> {
    let folder = fs::metadata(file.parent()?).ok()?;
    Some(format!("{}:{}", folder.dev(), folder.ino()))
}

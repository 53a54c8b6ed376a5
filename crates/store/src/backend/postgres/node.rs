//! This process among the nodes of one database: its run, its lease, what it hears of the others.
//!
//! A run is a row of `nodes` with a lease that a thread renews on a connection of its own. A run whose
//! lease has ended is taken over, and its row goes; every commit of the writer checks that its run is
//! there, so whoever slept through its lease cannot write before it has joined anew. Leases end by the
//! database's clock. Not here: what a take-over does. Invariant: no run is ever given twice.

use super::link::{Line, PATIENCE, Server, fault, wait};
use super::migrate::silent;
use crate::change::DeadRun;
use crate::fault::{Fault, OpenError};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::watch;

/// A node that has not renewed its lease for so long is taken for dead. Longer than an attempt may
/// take from its draft to its call (`engine`'s `out`), so that whoever froze meanwhile sends nothing.
const LEASE: Duration = Duration::from_secs(8);
/// Between two renewals; news that were not heard are read as often.
const BEAT: Duration = Duration::from_secs(1);
/// News that were read longer ago than this are not relied on: a renewal was missed.
const FRESH: Duration = Duration::from_secs(2);
/// To leave the database; who cannot is taken over when its lease ends.
const LEAVE_WITHIN: Duration = Duration::from_secs(1);
/// Nodes at once: what an id has room for (`domain::ids`).
const NODES_MAX: i64 = 32;

/// What a node should know of, besides what it does itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CatalogChanges {
    /// How often the catalog has changed.
    pub catalog: i64,
    /// How often a halt has begun or ended.
    pub halt: i64,
    /// Runs whose lease has ended: whoever sees them takes over what they left.
    pub dead: Vec<DeadRun>,
}

/// What the connections of a node share.
pub(crate) struct Member {
    server: Arc<Server>,
    /// The run times [`NODES_MAX`], and the node's number: read at once.
    standing: AtomicI64,
    joining: Mutex<()>,
    /// Set once the lease may have ended.
    lapsed: Mutex<Arc<AtomicBool>>,
    /// How often keys or accounts have changed, and a mark that is set once that is not fresh any more.
    keys: AtomicI64,
    stale: Mutex<Arc<AtomicBool>>,
    /// Where the run is noted, so that the next process of this folder knows that it is over.
    note: Option<PathBuf>,
    news: watch::Sender<CatalogChanges>,
}

/// A member, and the thread that renews its lease.
pub(crate) struct Membership {
    member: Arc<Member>,
    stop: Sender<Signal>,
    thread: Option<JoinHandle<()>>,
}

enum Signal {
    CatalogChanges,
    Stop,
}

impl Membership {
    /// Joins the nodes of a database whose schema is up to date. `folder` is a data folder that this
    /// process has locked: the run that its last process noted there is over.
    pub(crate) fn join(
        server: &Arc<Server>,
        folder: Option<&Path>,
    ) -> Result<Membership, OpenError> {
        let broken = |fault: Fault| OpenError::Server(server.name().to_owned(), fault.to_string());
        let member = Arc::new(Member {
            server: server.clone(),
            standing: AtomicI64::new(0),
            joining: Mutex::new(()),
            lapsed: Mutex::new(server.after(LEASE)),
            keys: AtomicI64::new(0),
            stale: Mutex::new(Arc::new(AtomicBool::new(true))),
            note: folder.map(|folder| folder.join("node.run")),
            news: watch::Sender::new(CatalogChanges::default()),
        });
        let before = member.note.as_deref().and_then(noted);
        member.enter(before).map_err(broken)?;
        let (stop, signals) = channel();
        let (keeper, heard) = (member.clone(), stop.clone());
        let thread = std::thread::Builder::new()
            .name("pg node".to_owned())
            .spawn(move || keeper.keep(&signals, &heard))
            .map_err(|error| broken(Fault::Unavailable(error.to_string())))?;
        Ok(Membership { member, stop, thread: Some(thread) })
    }

    pub(crate) fn member(&self) -> &Arc<Member> {
        &self.member
    }

    /// What is heard of others, from now on.
    pub(crate) fn news(&self) -> watch::Receiver<CatalogChanges> {
        self.member.news.subscribe()
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
    /// The run that this node has now.
    pub(crate) fn run(&self) -> i64 {
        self.standing.load(Ordering::Acquire) / NODES_MAX
    }

    /// This node's number among the others, 0 to 31.
    pub(crate) fn number(&self) -> u8 {
        u8::try_from(self.standing.load(Ordering::Acquire) % NODES_MAX).unwrap_or(0)
    }

    /// Whether nobody can have taken this node for dead.
    pub(crate) fn holds_lease(&self) -> bool {
        !self.lapsed().load(Ordering::Acquire)
    }

    /// How often keys or accounts have changed; `None` unless that was read a moment ago.
    pub(crate) fn keys_revision(&self) -> Option<i64> {
        let stale = self.stale.lock().unwrap_or_else(PoisonError::into_inner);
        (!stale.load(Ordering::Acquire)).then(|| self.keys.load(Ordering::Acquire))
    }

    /// Joins anew after `run` was lost; nothing if that has happened already.
    pub(crate) fn rejoin(&self, run: i64) -> Result<(), Fault> {
        let _one = self.joining.lock().unwrap_or_else(PoisonError::into_inner);
        if self.run() != run {
            return Ok(());
        }
        tracing::warn!(
            run,
            "this node was away for too long and is a new one now: what it was about to write is not written"
        );
        self.enter(None)
    }

    fn lapsed(&self) -> MutexGuard<'_, Arc<AtomicBool>> {
        self.lapsed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new run. `over` is one that is known to be: whoever starts makes due what it left. Rows of
    /// others that left nothing go too.
    fn enter(&self, over: Option<i64>) -> Result<(), Fault> {
        let line = self.server.connect()?;
        let lapsed = self.server.after(LEASE);
        let over = over.unwrap_or(0);
        line.run(
            &format!(
                "SET lock_timeout = '5s'; BEGIN; LOCK TABLE nodes IN EXCLUSIVE MODE;
                 DELETE FROM nodes WHERE run = {over} OR lease_until < {NOW} - 60000000
                     AND NOT EXISTS (SELECT FROM jobs WHERE jobs.run = nodes.run)"
            ),
            PATIENCE,
        )?;
        let found = line.number(&format!(
            "WITH r AS (SELECT nextval('runs') AS run), joined AS (
                 INSERT INTO nodes (run, number, lease_until)
                 SELECT r.run, free.number, {NOW} + {} FROM r, LATERAL (
                     SELECT (r.run + k) % {NODES_MAX} AS number FROM generate_series(0, {NODES_MAX} - 1) k
                     WHERE NOT EXISTS (SELECT FROM nodes n WHERE n.number = (r.run + k) % {NODES_MAX})
                     ORDER BY k LIMIT 1) free
                 RETURNING run * {NODES_MAX} + number AS standing)
             SELECT coalesce(max(standing), 0) FROM joined",
            LEASE.as_micros()
        ))?;
        if found == 0 {
            return Err(Fault::Unavailable(format!("{NODES_MAX} nodes work with it already")));
        }
        line.run("COMMIT", PATIENCE)?;
        if line.warned.load(Ordering::Acquire) {
            return Err(Fault::Unavailable("its standby is away".into()));
        }
        *self.lapsed() = lapsed;
        self.standing.store(found, Ordering::Release);
        if let Some(note) = &self.note {
            write_note(note, self.run());
        }
        Ok(())
    }

    /// What the thread does until it is stopped.
    fn keep(&self, signals: &Receiver<Signal>, heard: &Sender<Signal>) {
        let mut pause = Duration::ZERO;
        loop {
            if is_stopped(signals, pause) {
                return self.leave();
            }
            pause = BEAT;
            if let Err(fault) = self.keep_on_a_line(signals, heard) {
                tracing::warn!(%fault, "the lease of this node could not be renewed; it is tried again");
            } else {
                return self.leave();
            }
        }
    }

    /// Renews on one connection until that breaks, or until it is stopped.
    fn keep_on_a_line(
        &self,
        signals: &Receiver<Signal>,
        heard: &Sender<Signal>,
    ) -> Result<(), Fault> {
        let heard = heard.clone();
        let line = self
            .server
            .connect_listening(Arc::new(move || drop(heard.send(Signal::CatalogChanges))))?;
        // A lease that a crash takes back was renewed a moment ago; and it must be renewed while a
        // standby is away.
        line.run("SET synchronous_commit = off; SET lock_timeout = '5s'; LISTEN saldo", PATIENCE)?;
        // After a fail-over everybody's lease may have ended: others get the time to come back.
        let is_settled = self.server.after(LEASE);
        loop {
            self.beat(&line, is_settled.load(Ordering::Acquire))?;
            if is_stopped(signals, BEAT) {
                return Ok(());
            }
            if !self.server.is_good(&line) {
                return Err(Fault::Unavailable("the connection leads to a former primary".into()));
            }
        }
    }

    fn beat(&self, line: &Line, tells_dead: bool) -> Result<(), Fault> {
        let (run, lapsed) = (self.run(), self.server.after(LEASE));
        let stale = self.server.after(FRESH);
        let renewed = wait(line.client.query_one(&beat_sql(), &[&run]), PATIENCE);
        let row = renewed.ok_or_else(silent)?.map_err(|error| fault(&error))?;
        let get = |n: usize| row.try_get::<_, i64>(n).map_err(|error| fault(&error));
        let list = |n: usize| row.try_get::<_, Vec<i64>>(n).map_err(|error| fault(&error));
        if get(0)? == 0 {
            return self.rejoin(run);
        }
        *self.lapsed() = lapsed;
        self.keys.store(get(3)?, Ordering::Release);
        *self.stale.lock().unwrap_or_else(PoisonError::into_inner) = stale;
        let mut dead = Vec::new();
        if tells_dead {
            let ended = list(4)?.into_iter().zip(list(5)?);
            dead.extend(ended.map(|(run, lease_until)| DeadRun { run, lease_until }));
        }
        let news = CatalogChanges { catalog: get(1)?, halt: get(2)?, dead };
        self.news.send_if_modified(|known| {
            // Told again until somebody has taken them over.
            let is_new = *known != news || !news.dead.is_empty();
            *known = news;
            is_new
        });
        Ok(())
    }

    /// An orderly end: what this run still owes can be taken over at once.
    fn leave(&self) {
        let run = self.run();
        let left = self.server.connect().and_then(|line| {
            line.run(
                &format!(
                    "SET lock_timeout = '1s'; BEGIN;
                     DELETE FROM nodes WHERE run = {run} AND NOT EXISTS (SELECT FROM jobs WHERE run = {run});
                     UPDATE nodes SET lease_until = 0 WHERE run = {run}; COMMIT"
                ),
                LEAVE_WITHIN,
            )
        });
        if let Err(fault) = left {
            tracing::debug!(%fault, "the database could not be told that this node leaves");
        }
    }
}

/// The database's clock, in microseconds as everywhere.
const NOW: &str = "(extract(epoch FROM clock_timestamp()) * 1000000)::int8";

/// Renews a lease, and reads what is new.
fn beat_sql() -> String {
    format!(
        "WITH mine AS (UPDATE nodes SET lease_until = {NOW} + {} WHERE run = $1 RETURNING 1)
         SELECT (SELECT count(*) FROM mine),
                (SELECT coalesce(max(revision), 0) FROM news WHERE topic = 'catalog'),
                (SELECT coalesce(max(revision), 0) FROM news WHERE topic = 'halt'),
                (SELECT coalesce(max(revision), 0) FROM news WHERE topic = 'keys'),
                coalesce(array_agg(run), '{{}}'), coalesce(array_agg(lease_until), '{{}}')
         FROM nodes WHERE lease_until < {NOW} AND run <> $1",
        LEASE.as_micros()
    )
}

/// Waits for a signal, at most so long; whether it was to stop. News end the wait.
fn is_stopped(signals: &Receiver<Signal>, most: Duration) -> bool {
    match signals.recv_timeout(most) {
        Ok(Signal::CatalogChanges) | Err(RecvTimeoutError::Timeout) => false,
        Ok(Signal::Stop) | Err(RecvTimeoutError::Disconnected) => true,
    }
}

/// The run that a folder's last process had; none if the folder is another's copy.
fn noted(note: &Path) -> Option<i64> {
    let text = fs::read_to_string(note).ok()?;
    let (run, place) = text.trim().split_once(' ')?;
    (place == place_of(note)?).then(|| run.parse().ok()).flatten()
}

fn write_note(note: &Path, run: i64) {
    let written = fs::write(note, b"")
        .map(|()| place_of(note).unwrap_or_default())
        .and_then(|place| fs::write(note, format!("{run} {place}\n")));
    if let Err(error) = written {
        // Without it the next process waits until the lease has ended.
        tracing::warn!(%error, "{} cannot be written", note.display());
    }
}

/// A copy of a folder is another node's: it has other numbers on the disk.
fn place_of(note: &Path) -> Option<String> {
    let folder = fs::metadata(note.parent()?).ok()?;
    Some(format!("{}:{}", folder.dev(), folder.ino()))
}

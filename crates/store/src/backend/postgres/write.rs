//! The writer's connection: the lock, optimistic batches, commits in flight, fencing.
//!
//! Invariants: a Tx commits only while the run of its node is listed; an optimistic Tx commits only
//! if the last commit was this connection's. See docs/internals/postgres.md.

use super::errors::{fault, is_certain, is_fenced, keeps_connection, silent};
use super::node::Member;
use super::pipeline::{owned, poll_once};
use super::server::{REPLY_TIMEOUT, Server};
use super::wait::wait_unless;
use super::{PendingCount, Postgres};
use crate::backend::{Partition, Sql, Value, WriteConnection, WriteKey, WriteSql, first, values};
use crate::fault::{Fault, OpenError};
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_postgres::Error;

/// The lock that the Tx of the one node that writes holds: "book" in ASCII.
pub(super) const WRITE_LOCK: &str = "SELECT pg_advisory_xact_lock(1651470187)";
/// Takes the lock and sets the number of the batch, which the statements of the Tx check
/// (`in_batch` in the schema): they are sent before it is known whether BEGIN has succeeded.
const BEGIN_BATCH: &str =
    "SELECT pg_advisory_xact_lock(1651470187), set_config('saldo.batch', $1, true)";
/// The last statement of each Tx. It records the number of the batch, by which the commit can be
/// looked up, and it fails if the run was taken over, because then the row is gone.
const FENCE: &str = "UPDATE writers SET batch = $1 WHERE token = $2";
/// Whether this connection made the last commit.
const COMMITTED_LAST: &str = "SELECT batch FROM last_commit WHERE token = $1 AND batch = $2";
/// Records the last commit in a Tx that has read the current state. Makes the row again if somebody
/// has deleted it.
const SET_LAST_COMMIT: &str = "INSERT INTO last_commit (batch, token, id) VALUES ($1, $2, $3)
    ON CONFLICT (id) DO UPDATE SET batch = excluded.batch, token = excluded.token";
/// Records the last commit in an optimistic Tx: only if the one before was this connection's.
const ADVANCE_LAST_COMMIT: &str =
    "UPDATE last_commit SET batch = $1 WHERE token = $2 AND batch = $3";

/// For the reply to a statement: longer than the server waits for a lock.
const WRITE_TIMEOUT: Duration = Duration::from_secs(8);
/// A commit that takes longer is looked up over another connection.
pub(super) const COMMIT_TIMEOUT: Duration = Duration::from_secs(8);
/// Between attempts to connect: short at first, because most interruptions are short.
pub(super) const RETRY_DELAYS_MS: [u64; 4] = [50, 200, 500, 1_000];

/// Every statement of the writer is by key, so a plan made for an empty table stays right when the
/// table grows, and a bitmap of pages would be made for one row. A node that freezes within a Tx
/// loses the Tx, and with it the lock, before other nodes give up waiting for the lock.
pub(super) const WRITER_SETTINGS: &str = "SET plan_cache_mode = force_generic_plan;
    SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off;
    SET enable_mergejoin = off; SET jit = off;
    SET lock_timeout = '5s'; SET idle_in_transaction_session_timeout = '4s';
    SET statement_timeout = 0";

/// What only the writer's connection has.
#[derive(Default)]
pub(super) struct WriterState {
    member: Option<Arc<Member>>,
    /// The open Tx, or the last one.
    pub(super) tx: Option<TxId>,
    /// The last batch that this connection has committed.
    last_batch: Option<i64>,
    /// Commits whose result was not read yet, the oldest first.
    in_flight: VecDeque<CommitInFlight>,
    /// Whether the open Tx is optimistic.
    is_optimistic: bool,
    /// Of the open Tx: whether the last commit was this connection's; set by the reply.
    pub(super) committed_last: Option<Arc<AtomicBool>>,
    /// The result of waiting for the lock, for the Tx that begins next.
    lock_result: Option<Result<(), Fault>>,
    /// Attempts to connect that have failed since the last success.
    failures: usize,
    /// True once the delay after a failed attempt is over.
    may_reconnect: Option<Arc<AtomicBool>>,
}

impl WriterState {
    /// Whether this is a connection that writes.
    pub(super) const fn is_writer(&self) -> bool {
        self.member.is_some()
    }
}

/// What a Tx leaves in the database, so that its commit can be looked up.
#[derive(Clone, Debug)]
pub(super) struct TxId {
    /// Of the writer's row in `writers`.
    pub(super) token: String,
    pub(super) batch: i64,
    /// The node's run that the Tx belongs to.
    pub(super) run: i64,
}

/// A COMMIT that was sent.
struct CommitInFlight {
    tx: TxId,
    warned: Arc<AtomicBool>,
    task: JoinHandle<TxReply>,
    reply: Option<TxReply>,
}

/// The server's replies to a Tx that was sent whole.
struct TxReply {
    /// To all statements before COMMIT: the first error, or `None` for one that did not answer.
    statements: Result<(), Option<Error>>,
    /// To COMMIT; `None` if there was no reply.
    commit: Option<Result<u64, Error>>,
}

impl Default for TxReply {
    fn default() -> Self {
        TxReply { statements: Err(None), commit: None }
    }
}

/// Reads all replies in their order; the first error.
async fn read_all(replies: VecDeque<PendingCount>) -> Result<(), Option<Error>> {
    let mut first = Ok(());
    for reply in replies {
        match tokio::time::timeout(WRITE_TIMEOUT, reply).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => first = first.and(Err(Some(error))),
            Err(_) => return first.and(Err(None)),
        }
    }
    first
}

impl Postgres {
    /// The connection that writes for a node. The schema must be up to date.
    pub(crate) fn writer(server: &Arc<Server>, member: &Arc<Member>) -> Result<Self, OpenError> {
        let mut postgres = Postgres::new(server, WRITER_SETTINGS, WRITE_TIMEOUT);
        postgres.writer.member = Some(member.clone());
        postgres.connect_to_write().map_err(|fault| server.unusable(fault))?;
        Ok(postgres)
    }

    /// Makes sure that a connection is open and has its row in `writers`. Between attempts there is
    /// a delay, in which this fails at once.
    fn connect_to_write(&mut self) -> Result<(), Fault> {
        if self.has_good_connection() && self.writer.tx.is_some() {
            return Ok(());
        }
        if self.writer.may_reconnect.as_ref().is_some_and(|flag| !flag.load(Ordering::Acquire)) {
            return Err(Fault::Unavailable("no connection".into()));
        }
        let before = self.writer.tx.take().map(|tx| tx.run);
        self.writer.last_batch = None;
        let connected = self.connect().and_then(|()| self.register_writer());
        match &connected {
            Ok(()) => {
                (self.writer.failures, self.writer.may_reconnect) = (0, None);
                let now = self.writer.tx.as_ref().map(|tx| tx.run);
                if before.is_some() && before != now {
                    return Err(Fault::Fenced);
                }
            }
            Err(fault) => {
                self.disconnect();
                let delay = RETRY_DELAYS_MS[self.writer.failures.min(RETRY_DELAYS_MS.len() - 1)];
                self.writer.failures += 1;
                let flag = self.server.flag_after(Duration::from_millis(delay));
                self.writer.may_reconnect = Some(flag);
                tracing::warn!(%fault, server = self.server.name(), "no connection to write with");
            }
        }
        connected
    }

    /// Inserts this connection's row into `writers`. If the node's run was taken over, the node
    /// first joins under a new one.
    fn register_writer(&mut self) -> Result<(), Fault> {
        let member = self.writer.member.clone().ok_or_else(silent)?;
        for _ in 0..2 {
            let (run, connection) = (member.run(), self.connection.as_ref().ok_or_else(silent)?);
            let insert = format!(
                "WITH mine AS (INSERT INTO writers (token, batch, run)
                     SELECT gen_random_uuid()::text, 0, run FROM nodes WHERE run = {run}
                     RETURNING token)
                 SELECT coalesce(max(token), '') FROM mine"
            );
            // This waits for the standby too. A client that has already waited for a commit and its
            // look-up waits for this as well, and must still get its answer in time.
            let token = connection.text(&insert, WRITE_TIMEOUT)?;
            if !token.is_empty() {
                self.writer.tx = Some(TxId { token, batch: 0, run });
                return Ok(());
            }
            member.rejoin(run)?;
        }
        Err(Fault::Fenced)
    }

    /// After this node has joined under a new run, fails once: the queued changes were requested
    /// under the old run.
    fn refuse_fenced(&mut self) -> Result<(), Fault> {
        let run = self.writer.member.as_ref().map(|member| member.run());
        if self.writer.tx.as_ref().is_some_and(|tx| run != Some(tx.run)) {
            self.disconnect();
            (self.writer.tx, self.writer.last_batch) = (None, None);
            return Err(Fault::Fenced);
        }
        Ok(())
    }

    /// The run of the Tx was taken over, so nothing of it is committed. Joins under a new run.
    pub(super) fn fenced(&mut self) -> Fault {
        let run = self.writer.tx.take().map(|tx| tx.run);
        self.writer.last_batch = None;
        if let (Some(member), Some(run)) = (&self.writer.member, run)
            && let Err(fault) = member.rejoin(run)
        {
            tracing::warn!(%fault, "this node could not join under a new run yet");
        }
        Fault::Fenced
    }

    /// Opens a Tx. An optimistic one is sent with its COMMIT; any other is sent now, with the
    /// request for the lock.
    fn open_tx(&mut self, is_optimistic: bool) -> Result<(), Fault> {
        (self.writer.is_optimistic, self.writer.committed_last) = (is_optimistic, None);
        let can_follow = is_optimistic && self.has_good_connection();
        if !self.writer.in_flight.is_empty() && !can_follow {
            return Err(Fault::Unavailable("the result of an earlier commit is missing".into()));
        }
        self.refuse_fenced()?;
        self.connect_to_write()?;
        if let Some(tx) = &mut self.writer.tx {
            tx.batch += 1;
        }
        if is_optimistic {
            return Ok(());
        }
        // Otherwise an unused Tx would hold the lock.
        self.send_begin().or_else(|fault| self.roll_back().and(Err(fault)))
    }

    fn send_begin(&mut self) -> Result<(), Fault> {
        let Some(tx) = self.writer.tx.clone() else { return Err(silent()) };
        let begin = self.prepared("BEGIN")?;
        let lock = self.prepared(BEGIN_BATCH)?;
        self.is_in_tx = true;
        self.send(begin, owned(&[]))?;
        let batch = tx.batch.to_string();
        self.send(lock, owned(&[Value::Text(&batch)]))?;
        if let (false, Some(last_batch)) = (self.writer.is_optimistic, self.writer.last_batch) {
            let values = owned(&[Value::Text(&tx.token), Value::Int(last_batch)]);
            let statement = self.prepared(COMMITTED_LAST)?;
            self.writer.committed_last = Some(self.send_exists(statement, values)?);
        }
        Ok(())
    }

    /// Defers the last statements of a Tx: its number in the writer's row and in `last_commit`.
    fn record_commit(&mut self, tx: &TxId) -> Result<(), Fault> {
        let [batch, token] = [Value::Int(tx.batch), Value::Text(&tx.token)];
        self.defer(FENCE, WriteKey::Last, &[batch, token], Some(1))?;
        if !self.writer.is_optimistic {
            let values = [batch, token, Value::Int(1)];
            return self.defer(SET_LAST_COMMIT, WriteKey::Last, &values, Some(1));
        }
        let in_flight = self.writer.in_flight.back().map(|commit| commit.tx.batch);
        let before = Value::Int(in_flight.or(self.writer.last_batch).unwrap_or(-1));
        self.defer(ADVANCE_LAST_COMMIT, WriteKey::Last, &[batch, token, before], Some(1))
    }
}

impl WriteConnection for Postgres {
    fn write_with(mut self, write: impl FnOnce(&mut dyn WriteSql)) {
        write(&mut self);
    }
}

impl WriteSql for Postgres {
    fn is_sole_writer(&self) -> bool {
        false
    }

    fn node_run(&self) -> i64 {
        self.writer.tx.as_ref().map_or(0, |tx| tx.run)
    }

    fn can_be_optimistic(&self) -> bool {
        self.writer.last_batch.is_some()
    }

    fn await_lock(&mut self) {
        let locked = self
            .open_tx(false)
            .and_then(|()| self.drain().or_else(|fault| self.roll_back().and(Err(fault))));
        self.writer.lock_result = Some(locked);
    }

    fn begin(&mut self, is_optimistic: bool) -> Result<(), Fault> {
        match self.writer.lock_result.take() {
            // If the connection was lost during the wait, the Tx begins on a new one.
            Some(result) if !is_optimistic && !matches!(result, Err(Fault::Unavailable(_))) => {
                result
            }
            _ => self.open_tx(is_optimistic),
        }
    }

    fn ensure_partitions(&mut self, Partition { month, is_old }: Partition) -> Result<(), Fault> {
        let which = values![month.number(), is_old];
        let created = first(self, "SELECT make_room($1, $2)", &which, |row| row.int(0))?;
        if let Some(partitions @ 1..) = created {
            tracing::info!(%month, partitions, "a month has its partitions");
        }
        Ok(())
    }

    fn committed_last(&mut self) -> Result<bool, Fault> {
        let Some(committed_last) = self.writer.committed_last.take() else { return Ok(false) };
        self.drain()?;
        Ok(committed_last.load(Ordering::Acquire))
    }

    /// COMMIT is sent right behind the rows, and an optimistic Tx from BEGIN to COMMIT at once. If
    /// a statement fails, the server turns COMMIT into a roll-back, and the statement's error
    /// arrives before the reply to COMMIT.
    fn send_commit(&mut self) -> Result<(), Fault> {
        let Some(tx) = self.writer.tx.clone() else { return Err(silent()) };
        self.record_commit(&tx)?;
        self.connect()?;
        let statements = self.ready()?;
        let commit = self.prepared("COMMIT")?;
        if self.writer.is_optimistic {
            self.send_begin()?;
        }
        for (statement, values) in statements {
            self.send(statement, values)?;
        }
        let Some(connection) = &self.connection else { return Err(silent()) };
        let (client, warned) = (connection.client.clone(), connection.warned.clone());
        if self.writer.in_flight.is_empty() {
            warned.store(false, Ordering::Release);
        }
        let mut committing: PendingCount =
            Box::pin(async move { client.execute_raw(&commit, owned(&[])).await });
        let at_once = poll_once(&mut committing);
        self.is_in_tx = false;
        let replies = std::mem::take(&mut self.replies);
        let task = self.server.spawn(async move {
            let statements = read_all(replies).await;
            let commit = match (&statements, at_once) {
                // The server has been silent for a whole timeout: no second one.
                (Err(None), _) => None,
                (_, Some(reply)) => Some(reply),
                (_, None) => tokio::time::timeout(COMMIT_TIMEOUT, committing).await.ok(),
            };
            TxReply { statements, commit }
        });
        self.writer.in_flight.push_back(CommitInFlight { tx, warned, task, reply: None });
        Ok(())
    }

    fn await_commit(&mut self, is_enough: &dyn Fn() -> bool) -> bool {
        let Some(commit) = self.writer.in_flight.front_mut() else { return true };
        if commit.reply.is_none() {
            let Some(reply) = wait_unless(&mut commit.task, is_enough) else { return false };
            // A task that panicked counts as no reply.
            commit.reply = Some(reply.unwrap_or_default());
        }
        true
    }

    fn commit_result(&mut self) -> Result<(), Fault> {
        self.await_commit(&|| false);
        let Some(sent) = self.writer.in_flight.pop_front() else { return Err(silent()) };
        let TxReply { statements, commit } = sent.reply.unwrap_or_default();
        match (statements, commit) {
            (Ok(()), Some(Ok(_))) if !sent.warned.load(Ordering::Acquire) => {
                self.writer.last_batch = Some(sent.tx.batch);
                Ok(())
            }
            // The server has replied that a statement failed: nothing was committed.
            (Err(Some(error)), Some(_)) if is_fenced(&error) => Err(self.fenced()),
            (Err(Some(error)), Some(_)) if keeps_connection(&error) => Err(fault(&error)),
            (Ok(()), Some(Err(error))) if is_certain(&error) => Err(self.failed(&error)),
            (Ok(()) | Err(_), Some(_) | None) => self.look_up(&sent.tx),
        }
    }

    fn roll_back(&mut self) -> Result<(), Fault> {
        self.plan.take();
        (self.writer.committed_last, self.writer.lock_result) = (None, None);
        if !std::mem::take(&mut self.is_in_tx) {
            return Ok(());
        }
        // The replies to earlier statements come before the reply to ROLLBACK.
        let _ = self.drain();
        let Some(connection) = &self.connection else { return Ok(()) };
        if connection.execute("ROLLBACK", REPLY_TIMEOUT).is_err() {
            // The server rolls back what an ended connection has left open.
            self.disconnect();
        }
        Ok(())
    }
}

impl Drop for Postgres {
    /// Deletes this connection's row in `writers`.
    fn drop(&mut self) {
        if let (Some(connection), Some(tx)) = (&self.connection, &self.writer.tx) {
            let delete = format!("DELETE FROM writers WHERE token = '{}'", tx.token);
            let _ = connection.execute(&delete, Duration::from_secs(1));
        }
    }
}

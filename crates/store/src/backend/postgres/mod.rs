//! PostgreSQL: one connection that writes, several that read, any number of nodes beside us.
//!
//! Statements of a Tx do not wait for each other, and what is written goes out as sets of rows. A
//! Tx of the writer holds one lock in the database, so that batches of several nodes follow one
//! another and each sees what the one before it left. Invariants: a commit whose answer is lost is
//! looked up before anybody is answered; a COMMIT is sent only if all its Tx's statements were; a
//! statement never runs on another connection than its Tx.

mod doubt;
mod find;
mod link;
mod migrate;
mod node;
mod send;
mod sets;
mod tls;
mod value;

pub(crate) use link::Server;
pub use node::CatalogChanges;
pub(crate) use node::Membership;

use super::{OnRow, OnSetRow, SetQuery, Sql, Value, WriteKey, WriteSql, first};
use crate::fault::{Fault, OpenError};
use domain::Month;
use link::{
    CONNECT_WITHIN, Line, PATIENCE, fault, is_certain, is_fenced, keeps_the_line, wait, wait_unless,
};
use migrate::silent;
use node::Member;
use send::{Name, begun};
use sets::Plan;
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_postgres::{Error, RowStream};
use value::Column;

/// Held by the Tx of whichever node writes. Spells "book".
const WRITE_LOCK: &str = "SELECT pg_advisory_xact_lock(1651470187)";
/// The same, and the Tx gets the number of its batch, which its statements look for (`in_batch` of the
/// schema): they go out before it is known that the Tx is open.
const BEGIN_BATCH: &str =
    "SELECT pg_advisory_xact_lock(1651470187), set_config('saldo.batch', $1, true)";
/// The last statement of each Tx: leaves its mark, by which its commit can be looked up, and refuses a
/// run that was taken over, whose row is gone.
const FENCE: &str = "UPDATE writers SET batch = $1 WHERE token = $2";
/// A server that says nothing for so long is not waited for any more: longer than a lock is.
const WRITE_WITHIN: Duration = Duration::from_secs(8);
/// Twice this, for a connection that broke, and what a client waits for is still in time.
const READ_WITHIN: Duration = Duration::from_secs(8);
/// For whoever looks at our health: twice this, and it is known within two seconds.
const PULSE_WITHIN: Duration = Duration::from_millis(900);
const AUDIT_WITHIN: Duration = Duration::from_secs(3600);
/// A commit that takes longer is looked up over another connection.
const COMMIT_WITHIN: Duration = Duration::from_secs(8);
/// Between tries to connect: short at first, as most interruptions are.
const BACK_OFF: [Duration; 4] = [
    Duration::from_millis(50),
    Duration::from_millis(200),
    Duration::from_millis(500),
    Duration::from_secs(1),
];

/// Every statement of the writer is by key: what plans for an empty table stay right when it grows.
/// A node that freezes within a Tx loses it, and with it the lock, before others give up waiting for it.
const WRITER_SETTINGS: &str = "SET plan_cache_mode = force_generic_plan; SET enable_seqscan = off;
    SET enable_hashjoin = off; SET enable_mergejoin = off; SET jit = off; SET lock_timeout = '5s';
    SET idle_in_transaction_session_timeout = '4s'; SET statement_timeout = 0";
/// What is read regularly is found by indexes, whatever the server guesses of a history's size.
const READER_SETTINGS: &str = "SET default_transaction_read_only = on; SET jit = off;
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
    SET idle_in_transaction_session_timeout = '60s'";
/// The audit reads everything.
const AUDITOR_SETTINGS: &str = "SET default_transaction_read_only = on; SET jit = off;
    SET idle_in_transaction_session_timeout = '60s'";

/// Whether this connection is who wrote last.
const WROTE_LAST: &str = "SELECT batch FROM last_commit WHERE token = $1 AND batch = $2";

/// Rows that a statement changed.
type Affected = Pin<Box<dyn Future<Output = Result<u64, Error>> + Send>>;
type Rows = Pin<Box<dyn Future<Output = Result<RowStream, Error>> + Send>>;

/// One connection, made when it is first needed and again after it broke.
pub(crate) struct Postgres {
    server: Arc<Server>,
    settings: &'static str,
    line: Option<Line>,
    /// What was prepared on this connection or those before it.
    texts: HashMap<Name, String>,
    is_in_tx: bool,
    /// Statements that were sent and not yet heard of.
    sent: VecDeque<Affected>,
    plan: Plan,
    /// The writer's: for which node it writes, and what its last Tx is known by.
    member: Option<Arc<Member>>,
    mark: Option<Mark>,
    /// The last batch that this connection committed.
    committed: Option<i64>,
    /// Commits that were sent and not yet heard of, the oldest first.
    under_way: VecDeque<Sent>,
    /// Of the open Tx: it must fail if anybody has written since.
    is_optimistic: bool,
    /// Of the open Tx: whether nobody has, once what was sent is heard of.
    wrote_last: Option<Arc<AtomicBool>>,
    failures: usize,
    /// What came of waiting for the lock, for the Tx that is begun next.
    turn: Option<Result<(), Fault>>,
    /// Set once a pause between tries to connect is over.
    rested: Option<Arc<AtomicBool>>,
    patience: Duration,
}

/// What a Tx leaves in the database, so that its commit can be looked up.
#[derive(Clone, Debug)]
struct Mark {
    token: String,
    batch: i64,
    /// The run that the Tx is of.
    run: i64,
}

/// A commit that was sent.
struct Sent {
    mark: Mark,
    warned: Arc<AtomicBool>,
    answered: JoinHandle<Answered>,
    answer: Option<Answered>,
}

/// What the server says to a Tx that was sent whole.
struct Answered {
    /// To everything before the COMMIT; the first that failed, or `None` where nothing was said.
    before: Result<(), Option<Error>>,
    committed: Option<Result<u64, Error>>,
}

impl Default for Answered {
    fn default() -> Self {
        Answered { before: Err(None), committed: None }
    }
}

/// Hears of everything that was sent, in its order.
async fn answers_of(sent: VecDeque<Affected>) -> Result<(), Option<Error>> {
    let mut first = Ok(());
    for affected in sent {
        match tokio::time::timeout(WRITE_WITHIN, affected).await {
            Ok(Ok(_)) => {}
            Ok(Err(error)) => first = first.and(Err(Some(error))),
            Err(_) => return first.and(Err(None)),
        }
    }
    first
}

impl Postgres {
    /// A connection that can only read.
    pub(crate) fn reader(server: &Arc<Server>) -> Postgres {
        Postgres::new(server, READER_SETTINGS, READ_WITHIN)
    }

    /// A connection for whoever only wants to know whether the server answers.
    pub(crate) fn pulse(server: &Arc<Server>) -> Postgres {
        Postgres::new(server, READER_SETTINGS, PULSE_WITHIN)
    }

    /// A connection for the audit, whose first row may take long to come.
    pub(crate) fn auditor(server: &Arc<Server>) -> Postgres {
        Postgres::new(server, AUDITOR_SETTINGS, AUDIT_WITHIN)
    }

    /// Checks the server and brings the schema up to date.
    pub(crate) fn prepare(server: &Server) -> Result<(), OpenError> {
        let broken = |fault: Fault| OpenError::Server(server.name().to_owned(), fault.to_string());
        let line = server.connect().map_err(broken)?;
        migrate::prepare(server, &line)
    }

    /// The connection that writes for a node; the schema is up to date.
    pub(crate) fn writer(
        server: &Arc<Server>,
        member: &Arc<Member>,
    ) -> Result<Postgres, OpenError> {
        let mut pg = Postgres::new(server, WRITER_SETTINGS, WRITE_WITHIN);
        pg.member = Some(member.clone());
        pg.connect_to_write()
            .map_err(|fault| OpenError::Server(server.name().to_owned(), fault.to_string()))?;
        Ok(pg)
    }

    /// Drops the partitions of archived months, on a connection of its own: whoever reads them may keep
    /// it waiting, and behind it everybody else, so it gives up soon.
    pub(crate) fn drop_archived(server: &Server) -> Result<(), Fault> {
        let line = server.connect()?;
        line.run("BEGIN; SET LOCAL lock_timeout = '100ms'", PATIENCE)?;
        let dropped = line.number(
            "SELECT coalesce((SELECT drop_month(month) FROM archives WHERE digest IS NOT NULL ORDER BY month DESC LIMIT 1), 0)",
        )?;
        line.run("COMMIT", COMMIT_WITHIN)?;
        tracing::info!(partitions = dropped, "archived months are gone from the database");
        Ok(())
    }

    fn new(server: &Arc<Server>, settings: &'static str, patience: Duration) -> Postgres {
        Postgres {
            server: server.clone(),
            settings,
            line: None,
            texts: HashMap::new(),
            is_in_tx: false,
            sent: VecDeque::new(),
            plan: Plan::default(),
            member: None,
            mark: None,
            committed: None,
            under_way: VecDeque::new(),
            is_optimistic: false,
            wrote_last: None,
            turn: None,
            failures: 0,
            rested: None,
            patience,
        }
    }

    /// A connection that is there, or is made now; never another one within a Tx.
    fn connect(&mut self) -> Result<(), Fault> {
        if self.has_good_line() {
            return Ok(());
        }
        self.hang_up();
        if std::mem::take(&mut self.is_in_tx) {
            return Err(Fault::Unavailable("the connection was lost".into()));
        }
        let line = self.server.connect_within(CONNECT_WITHIN.min(self.patience))?;
        line.run(self.settings, PATIENCE.min(self.patience))?;
        self.line = Some(line);
        self.prepare_anew()
    }

    fn has_good_line(&self) -> bool {
        self.line.as_ref().is_some_and(|line| self.server.is_good(line))
    }

    /// The writer's connection and its place in the table of writers. While the server is away most
    /// tries are refused at once.
    fn connect_to_write(&mut self) -> Result<(), Fault> {
        if self.has_good_line() && self.mark.is_some() {
            return Ok(());
        }
        if self.rested.as_ref().is_some_and(|rested| !rested.load(Ordering::Acquire)) {
            return Err(Fault::Unavailable("no connection".into()));
        }
        let before = self.mark.take().map(|mark| mark.run);
        self.committed = None;
        let connected = self.connect().and_then(|()| self.sign_in());
        match &connected {
            Ok(()) => {
                (self.failures, self.rested) = (0, None);
                let now = self.mark.as_ref().map(|mark| mark.run);
                if before.is_some() && before != now {
                    return Err(Fault::Fenced);
                }
            }
            Err(fault) => {
                tracing::warn!(%fault, server = self.server.name(), "no connection to write with");
                self.hang_up();
                let pause = BACK_OFF[self.failures.min(BACK_OFF.len() - 1)];
                self.failures += 1;
                self.rested = Some(self.server.after(pause));
            }
        }
        connected
    }

    /// The right to write for this node's run; whoever was away for too long joins anew first.
    fn sign_in(&mut self) -> Result<(), Fault> {
        let member = self.member.clone().ok_or_else(silent)?;
        for _ in 0..2 {
            let (run, line) = (member.run(), self.line.as_ref().ok_or_else(silent)?);
            let ask = format!(
                "WITH mine AS (INSERT INTO writers (token, batch, run)
                     SELECT gen_random_uuid()::text, 0, run FROM nodes WHERE run = {run} RETURNING token)
                 SELECT coalesce(max(token), '') FROM mine"
            );
            // It waits for the standby too. Whoever waited for a commit and its look-up waits for this
            // next, and is to be answered in time.
            let token = line.text(&ask, WRITE_WITHIN)?;
            if !token.is_empty() {
                self.mark = Some(Mark { token, batch: 0, run });
                return Ok(());
            }
            member.rejoin(run)?;
        }
        Err(Fault::Fenced)
    }

    /// Refuses once after this node has become another run: what is queued was asked of the old one.
    fn refuse_fenced(&mut self) -> Result<(), Fault> {
        let run = self.member.as_ref().map(|member| member.run());
        match &self.mark {
            Some(mark) if run != Some(mark.run) => {
                self.hang_up();
                (self.mark, self.committed) = (None, None);
                Err(Fault::Fenced)
            }
            Some(_) | None => Ok(()),
        }
    }

    /// The run of this Tx was taken over: nothing of it is written.
    fn fenced(&mut self) -> Fault {
        let run = self.mark.take().map(|mark| mark.run);
        self.committed = None;
        if let (Some(member), Some(run)) = (&self.member, run)
            && let Err(fault) = member.rejoin(run)
        {
            tracing::warn!(%fault, "this node could not join anew yet");
        }
        Fault::Fenced
    }

    /// Opens a Tx; one that is not blind goes out at once, and asks for the lock.
    fn begin_anew(&mut self, is_optimistic: bool) -> Result<(), Fault> {
        (self.is_optimistic, self.wrote_last) = (is_optimistic, None);
        let can_follow = is_optimistic && self.has_good_line();
        if !self.under_way.is_empty() && !can_follow {
            return Err(Fault::Unavailable("what was sent before is not heard of yet".into()));
        }
        self.refuse_fenced()?;
        self.connect_to_write()?;
        if let Some(mark) = &mut self.mark {
            mark.batch += 1;
        }
        if is_optimistic {
            // It goes out with its rows and its COMMIT.
            return Ok(());
        }
        let opened = self.open_tx();
        if opened.is_err() {
            // Nobody else may wait for the lock of a Tx that is not used.
            self.roll_back()?;
        }
        opened
    }

    /// Sends what a Tx begins with.
    fn open_tx(&mut self) -> Result<(), Fault> {
        let Some(mark) = self.mark.clone() else { return Err(silent()) };
        let begin = self.prepared("BEGIN", false)?;
        let lock = self.prepared(BEGIN_BATCH, false)?;
        self.is_in_tx = true;
        self.send(begin, owned(&[]))?;
        let batch = mark.batch.to_string();
        self.send(lock, owned(&[Value::Text(&batch)]))?;
        if let (false, Some(committed)) = (self.is_optimistic, self.committed) {
            let last = owned(&[Value::Text(&mark.token), Value::Int(committed)]);
            let statement = self.prepared(WROTE_LAST, false)?;
            self.wrote_last = Some(self.send_to_know(statement, last)?);
        }
        Ok(())
    }

    /// Puts what this Tx is known by: in its writer's row, and with the pen, which tells who wrote
    /// last. A blind Tx takes the pen from nobody but itself.
    fn sign(&mut self, mark: &Mark) -> Result<(), Fault> {
        let mine = [Value::Int(mark.batch), Value::Text(&mark.token)];
        self.defer(FENCE, WriteKey::Last, &mine, Some(1))?;
        let [batch, token] = mine;
        if !self.is_optimistic {
            let take = "UPDATE last_commit SET batch = $1, token = $2 WHERE id = $3";
            return self.defer(take, WriteKey::Last, &[batch, token, Value::Int(1)], Some(1));
        }
        let keep = "UPDATE last_commit SET batch = $1 WHERE token = $2 AND batch = $3";
        let before = self.under_way.back().map(|sent| sent.mark.batch).or(self.committed);
        let last = Value::Int(before.unwrap_or(-1));
        self.defer(keep, WriteKey::Last, &[batch, token, last], Some(1))
    }

    /// Forgets the connection and all that was on its way.
    fn hang_up(&mut self) {
        self.sent.clear();
        self.wrote_last = None;
        self.plan.take();
        self.line = None;
    }

    /// What an error means; the connection goes if it is not to be trusted any more.
    fn failed(&mut self, error: &Error) -> Fault {
        if !keeps_the_line(error) {
            self.hang_up();
        }
        fault(error)
    }

    fn silenced(&mut self) -> Fault {
        self.hang_up();
        silent()
    }
}

/// A value that a statement owns until it is sent.
fn owned(values: &[Value<'_>]) -> Vec<value::Owned> {
    values.iter().map(value::Owned::from).collect()
}

impl Sql for Postgres {
    fn execute(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<usize, Fault> {
        self.connect()?;
        self.flush()?;
        let statement = self.prepared(sql, false)?;
        self.send(statement, owned(values))?;
        let last = self.sent.pop_back();
        self.drain()?;
        let Some(last) = last else { return Err(silent()) };
        let came = wait(last, self.patience);
        let rows = self.first_of(came)?;
        usize::try_from(rows).map_err(|_| Fault::corrupt("a count is out of range"))
    }

    fn defer(
        &mut self,
        sql: &'static str,
        key: WriteKey,
        values: &[Value<'_>],
        expected: Option<usize>,
    ) -> Result<(), Fault> {
        self.plan.add((sql, key), values, expected);
        Ok(())
    }

    fn query(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        each: OnRow<'_>,
    ) -> Result<(), Fault> {
        self.connect()?;
        self.flush()?;
        let statement = self.prepared(sql, false)?;
        let answered = self.ask(statement, owned(values))?;
        self.drain()?;
        self.read(answered, &mut |row| each(row))
    }

    fn query_sets(&mut self, asks: &[SetQuery<'_>], each: OnSetRow<'_>) -> Result<(), Fault> {
        self.connect()?;
        self.flush()?;
        let mut statements = Vec::with_capacity(asks.len());
        for (number, ask) in asks.iter().enumerate().filter(|(_, ask)| !ask.values.is_empty()) {
            statements.push((number, self.prepared(ask.sql, true)?));
        }
        let mut answers = Vec::with_capacity(statements.len());
        for (number, statement) in statements {
            let ask = &asks[number];
            let mut columns = vec![Column::default(); ask.width];
            for set in ask.values.chunks(ask.width) {
                for (column, value) in columns.iter_mut().zip(set) {
                    column.push(value);
                }
            }
            let nth = statement.columns().len().saturating_sub(1);
            answers.push((number, nth, self.ask(statement, columns)?));
        }
        self.drain()?;
        for (number, nth, answered) in answers {
            self.read(answered, &mut |row| {
                let set = super::Row::int(row, nth)? - 1;
                let set = usize::try_from(set).map_err(|_| Fault::corrupt("a row's number"))?;
                each(super::SetIndex { query: number, set }, row)
            })?;
        }
        Ok(())
    }

    fn begin_snapshot(&mut self) -> Result<(), Fault> {
        self.connect()?;
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", &[])?;
        self.is_in_tx = true;
        Ok(())
    }

    fn end_snapshot(&mut self) -> Result<(), Fault> {
        self.is_in_tx = false;
        match self.line {
            Some(_) => self.execute("COMMIT", &[]).map(|_| ()),
            None => Err(Fault::Unavailable("the connection was lost".into())),
        }
    }
}

impl WriteSql for Postgres {
    fn is_sole_writer(&self) -> bool {
        false
    }

    fn node_run(&self) -> i64 {
        self.mark.as_ref().map_or(0, |mark| mark.run)
    }

    fn can_be_optimistic(&self) -> bool {
        self.committed.is_some()
    }

    fn await_lock(&mut self) {
        let mut turn = self.begin_anew(false);
        if turn.is_ok() {
            turn = self.drain();
            if turn.is_err()
                && let Err(fault) = self.roll_back()
            {
                turn = Err(fault);
            }
        }
        self.turn = Some(turn);
    }

    fn begin(&mut self, is_optimistic: bool) -> Result<(), Fault> {
        match self.turn.take() {
            // A connection that was lost while it waited is made anew, as if it had not.
            Some(turn) if !is_optimistic && !matches!(turn, Err(Fault::Unavailable(_))) => turn,
            _ => self.begin_anew(is_optimistic),
        }
    }

    fn ensure_partitions(&mut self, month: Month) -> Result<(), Fault> {
        let made = first(self, "SELECT make_room($1)", &[month.number().into()], |row| row.int(0))?;
        if made.is_some_and(|made| made > 0) {
            tracing::info!(%month, partitions = made, "a month has its partitions");
        }
        Ok(())
    }

    fn committed_last(&mut self) -> Result<bool, Fault> {
        let Some(wrote_last) = self.wrote_last.take() else { return Ok(false) };
        self.drain()?;
        Ok(wrote_last.load(Ordering::Acquire))
    }

    /// COMMIT goes out with the rows, and for a blind Tx all of it at once. If anything before it
    /// fails, the server makes a roll-back of it, and says before it why.
    fn send_commit(&mut self) -> Result<(), Fault> {
        let Some(mark) = self.mark.clone() else { return Err(silent()) };
        self.sign(&mark)?;
        self.connect()?;
        let rows = self.ready()?;
        let commit = self.prepared("COMMIT", false)?;
        if self.is_optimistic {
            self.open_tx()?;
        }
        for (statement, values) in rows {
            self.send(statement, values)?;
        }
        let Some(line) = &self.line else { return Err(silent()) };
        let (client, warned) = (line.client.clone(), line.warned.clone());
        if self.under_way.is_empty() {
            warned.store(false, Ordering::Release);
        }
        let mut committing: Affected =
            Box::pin(async move { client.execute_raw(&commit, owned(&[])).await });
        let begun = begun(&mut committing);
        self.is_in_tx = false;
        let before = std::mem::take(&mut self.sent);
        let answered = self.server.spawn(async move {
            let before = answers_of(before).await;
            let committed = match (&before, begun) {
                // Whoever has said nothing for so long is not waited for twice.
                (Err(None), _) => None,
                (Ok(()) | Err(Some(_)), Some(committed)) => Some(committed),
                (Ok(()) | Err(Some(_)), None) => {
                    tokio::time::timeout(COMMIT_WITHIN, committing).await.ok()
                }
            };
            Answered { before, committed }
        });
        self.under_way.push_back(Sent { mark, warned, answered, answer: None });
        Ok(())
    }

    fn await_commit(&mut self, is_enough: &dyn Fn() -> bool) -> bool {
        let Some(sent) = self.under_way.front_mut() else { return true };
        if sent.answer.is_none() {
            let Some(answer) = wait_unless(&mut sent.answered, is_enough) else { return false };
            // A task that panicked answered nothing.
            sent.answer = Some(answer.unwrap_or_default());
        }
        true
    }

    fn commit_result(&mut self) -> Result<(), Fault> {
        self.await_commit(&|| false);
        let Some(sent) = self.under_way.pop_front() else { return Err(silent()) };
        let Answered { before, committed } = sent.answer.unwrap_or_default();
        match (before, committed) {
            (Ok(()), Some(Ok(_))) if !sent.warned.load(Ordering::Acquire) => {
                self.committed = Some(sent.mark.batch);
                Ok(())
            }
            // The server itself said that a row failed.
            (Err(Some(error)), Some(_)) if is_fenced(&error) => Err(self.fenced()),
            (Err(Some(error)), Some(_)) if keeps_the_line(&error) => Err(fault(&error)),
            (Ok(()), Some(Err(error))) if is_certain(&error) => Err(self.failed(&error)),
            (Ok(()) | Err(_), Some(_) | None) => self.look_up(&sent.mark),
        }
    }

    fn roll_back(&mut self) -> Result<(), Fault> {
        self.plan.take();
        (self.wrote_last, self.turn) = (None, None);
        if !std::mem::take(&mut self.is_in_tx) {
            return Ok(());
        }
        // What was sent before it is answered before it.
        let _ = self.drain();
        let Some(line) = &self.line else { return Ok(()) };
        if line.run("ROLLBACK", PATIENCE).is_err() {
            // The server undoes what a connection leaves open when it goes.
            self.hang_up();
        }
        Ok(())
    }

    fn on_idle(&mut self) {}
}

impl Drop for Postgres {
    /// An orderly end leaves no writer behind.
    fn drop(&mut self) {
        if let (Some(line), Some(mark)) = (&self.line, &self.mark) {
            let leave = format!("DELETE FROM writers WHERE token = '{}'", mark.token);
            let _ = line.run(&leave, Duration::from_secs(1));
        }
    }
}

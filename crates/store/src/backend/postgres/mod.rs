//! PostgreSQL: one connection writes, several read, other nodes use the same database.
//!
//! The statements of a Tx are pipelined, and rows are written in sets. Each Tx of the writer holds
//! one lock in the database, so the batches of all nodes follow one another, and each sees what the
//! one before it has committed. Invariants: a commit whose reply is lost is looked up before
//! anybody is answered; COMMIT is sent only after all statements of its Tx; a Tx never changes its
//! connection.

mod commit_lookup;
mod durability;
mod errors;
mod migrate;
mod node;
mod pipeline;
mod primary;
mod server;
mod sets;
mod tls;
mod value;
mod wait;
mod write;

pub use node::CatalogChanges;
pub(crate) use node::Membership;
pub(crate) use server::Server;

use super::{Args, OnRow, OnSetRow, Row, SetIndex, SetQuery, Sql, WriteKey, all};
use crate::fault::{Fault, OpenError};
use errors::{fault, keeps_connection, silent};
use pipeline::{StatementName, owned};
use server::{CONNECT_TIMEOUT, Connection, REPLY_TIMEOUT};
use sets::Plan;
use std::collections::{HashMap, VecDeque};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio_postgres::{Error, RowStream};
use value::{Column, Owned};
use write::WriterState;

/// For a reader's reply. A read is tried twice, and even then the client gets its answer in time.
const READ_TIMEOUT: Duration = Duration::from_secs(8);
/// For the health check, which is tried twice: its result is known within two seconds.
const HEALTH_TIMEOUT: Duration = Duration::from_millis(900);
const AUDIT_TIMEOUT: Duration = Duration::from_secs(3600);

/// For regular reads: by index, whatever the server estimates from its statistics.
const READER_SETTINGS: &str = "SET default_transaction_read_only = on; SET jit = off;
    SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off;
    SET idle_in_transaction_session_timeout = '60s'";
/// The audit reads whole tables.
const AUDITOR_SETTINGS: &str = "SET default_transaction_read_only = on; SET jit = off;
    SET idle_in_transaction_session_timeout = '60s'";

/// The pending reply to a statement: the number of rows that it changed.
type PendingCount = Pin<Box<dyn Future<Output = Result<u64, Error>> + Send>>;
/// The pending reply to a query.
type PendingRows = Pin<Box<dyn Future<Output = Result<RowStream, Error>> + Send>>;

/// A PostgreSQL database through one connection, which is opened when it is first needed and again
/// after it broke.
pub(crate) struct Postgres {
    server: Arc<Server>,
    settings: &'static str,
    timeout: Duration,
    connection: Option<Connection>,
    /// The texts of all statements that were prepared on this connection or earlier ones.
    texts: HashMap<StatementName, String>,
    is_in_tx: bool,
    /// Replies that were not read yet, in the order of their statements.
    replies: VecDeque<PendingCount>,
    /// Deferred rows that were not sent yet.
    plan: Plan,
    writer: WriterState,
}

impl Postgres {
    /// A read-only connection.
    pub(crate) fn reader(server: &Arc<Server>) -> Postgres {
        Postgres::new(server, READER_SETTINGS, READ_TIMEOUT)
    }

    /// A connection for health checks.
    pub(crate) fn health(server: &Arc<Server>) -> Postgres {
        Postgres::new(server, READER_SETTINGS, HEALTH_TIMEOUT)
    }

    /// A connection for the audit, whose queries may run for long before their first row.
    pub(crate) fn auditor(server: &Arc<Server>) -> Postgres {
        Postgres::new(server, AUDITOR_SETTINGS, AUDIT_TIMEOUT)
    }

    /// Checks the server and upgrades the schema.
    pub(crate) fn prepare(server: &Server) -> Result<(), OpenError> {
        let connection = server.connect().map_err(|fault| server.unusable(fault))?;
        migrate::prepare(server, &connection)
    }

    /// Drops the partitions of archived months, on a connection of its own. A reader of them may
    /// block the drop, and the drop blocks everybody who comes after it, so it gives up soon.
    pub(crate) fn drop_archived(server: &Server) -> Result<(), Fault> {
        let connection = server.connect()?;
        durability::require(&connection, REPLY_TIMEOUT)?;
        connection.execute("BEGIN; SET LOCAL lock_timeout = '100ms'", REPLY_TIMEOUT)?;
        let dropped = connection.number(
            "SELECT coalesce((SELECT drop_month(month) FROM archives
                WHERE digest IS NOT NULL ORDER BY month DESC LIMIT 1), 0)",
        )?;
        connection.execute("COMMIT", write::COMMIT_TIMEOUT)?;
        tracing::info!(partitions = dropped, "archived months are gone from the database");
        Ok(())
    }

    fn new(server: &Arc<Server>, settings: &'static str, timeout: Duration) -> Postgres {
        Postgres {
            server: server.clone(),
            settings,
            timeout,
            connection: None,
            texts: HashMap::new(),
            is_in_tx: false,
            replies: VecDeque::new(),
            plan: Plan::default(),
            writer: WriterState::default(),
        }
    }

    /// Makes sure that a good connection is open; never opens a new one within a Tx.
    fn connect(&mut self) -> Result<(), Fault> {
        if self.has_good_connection() {
            return Ok(());
        }
        self.disconnect();
        if std::mem::take(&mut self.is_in_tx) {
            return Err(Fault::Unavailable("the connection was lost".into()));
        }
        let connection = self.server.connect_within(CONNECT_TIMEOUT.min(self.timeout))?;
        let timeout = REPLY_TIMEOUT.min(self.timeout);
        connection.execute(self.settings, timeout)?;
        if self.writer.is_writer() {
            durability::require(&connection, timeout)?;
            self.server.set_durable(true);
        }
        self.connection = Some(connection);
        self.prepare_again()
    }

    fn has_good_connection(&self) -> bool {
        self.connection.as_ref().is_some_and(|connection| self.server.is_good(connection))
            && (self.server.is_durable() || !self.writer.is_writer())
    }

    /// Drops the connection and everything that was sent or deferred on it.
    fn disconnect(&mut self) {
        self.replies.clear();
        self.writer.committed_last = None;
        self.plan.take();
        self.connection = None;
    }

    /// The fault of an error; drops the connection if it cannot be used any more.
    fn failed(&mut self, error: &Error) -> Fault {
        if !keeps_connection(error) {
            self.disconnect();
        }
        fault(error)
    }

    /// The fault of a reply that did not come in time.
    fn timed_out(&mut self) -> Fault {
        self.disconnect();
        silent()
    }
}

impl Sql for Postgres {
    fn execute(&mut self, sql: &'static str, args: Args<'_>) -> Result<usize, Fault> {
        self.flush()?;
        let statement = self.prepared(sql)?;
        self.send(statement, owned(args))?;
        let last = self.replies.pop_back();
        self.drain()?;
        let Some(last) = last else { return Err(silent()) };
        let rows = self.first_error_or(last)?;
        usize::try_from(rows).map_err(|_| Fault::corrupt("a count is out of range"))
    }

    fn defer(
        &mut self,
        sql: &'static str,
        key: WriteKey,
        args: Args<'_>,
        expected: Option<usize>,
    ) -> Result<(), Fault> {
        self.plan.add(sql, key, args, expected);
        Ok(())
    }

    fn query(&mut self, sql: &'static str, args: Args<'_>, on_row: OnRow<'_>) -> Result<(), Fault> {
        self.flush()?;
        let statement = self.prepared(sql)?;
        let rows = self.send_query(statement, owned(args))?;
        self.drain()?;
        self.read(rows, &mut |row| on_row(row))
    }

    fn query_sets(&mut self, queries: &[SetQuery<'_>], on_row: OnSetRow<'_>) -> Result<(), Fault> {
        self.flush()?;
        let mut statements = Vec::with_capacity(queries.len());
        for (number, query) in queries.iter().enumerate().filter(|(_, q)| !q.values.is_empty()) {
            statements.push((number, self.prepared_for_sets(query.sql)?));
        }
        let mut answers = Vec::with_capacity(statements.len());
        for (number, statement) in statements {
            let SetQuery { width, values, .. } = &queries[number];
            let mut columns = vec![Column::default(); *width];
            for set in values.chunks(*width) {
                for (column, value) in columns.iter_mut().zip(set) {
                    column.push(value);
                }
            }
            let set_column = statement.columns().len().saturating_sub(1);
            let columns = columns.into_iter().map(Owned::Array).collect();
            answers.push((number, set_column, self.send_query(statement, columns)?));
        }
        self.drain()?;
        for (query, set_column, rows) in answers {
            self.read(rows, &mut |row| {
                let set = row.int(set_column)? - 1;
                let set = usize::try_from(set).map_err(|_| Fault::corrupt("a row's number"))?;
                on_row(SetIndex { query, set }, row)
            })?;
        }
        Ok(())
    }

    fn begin_snapshot(&mut self) -> Result<(), Fault> {
        self.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", &[])?;
        self.is_in_tx = true;
        Ok(())
    }

    fn end_snapshot(&mut self) -> Result<(), Fault> {
        self.is_in_tx = false;
        match self.connection {
            Some(_) => self.execute("COMMIT", &[]).map(|_| ()),
            None => Err(Fault::Unavailable("the connection was lost".into())),
        }
    }

    /// Constraints of the database keep references whole.
    fn own_check(&mut self, _with_references: bool) -> Result<Vec<String>, Fault> {
        all(self, "SELECT line FROM own_check() AS line LIMIT 100", &[], |row| {
            Ok(row.text(0)?.to_owned())
        })
    }
}

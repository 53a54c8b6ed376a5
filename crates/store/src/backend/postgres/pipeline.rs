//! Pipelining: statements are prepared once, sent without waiting, and their replies are read in
//! the order of the statements.
//!
//! Invariants: of several statements that failed, the first one's error counts; nobody waits for a
//! reply before the earlier replies are read. The client library reads nothing more while a reply
//! of several pieces waits for its caller.

use super::errors::{is_fenced, silent};
use super::sets::{Group, Part, combine, combined_sql, for_sets};
use super::value::{Owned, PgRow};
use super::wait::wait;
use super::{PendingCount, PendingRows, Postgres};
use crate::backend::{Args, Partition};
use crate::fault::Fault;
use futures_util::StreamExt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use tokio_postgres::{Error, Statement};

/// Combined statements that are cached; batches need a few dozen kinds.
const COMBINED_MAX: usize = 256;

/// Identifies a prepared statement by the address of its text: for one row, for sets of rows, or
/// several sets with their partitions.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum StatementName {
    One(usize),
    Sets(usize),
    Combined(Vec<(usize, Option<Partition>)>),
}

type Preparing = Pin<Box<dyn Future<Output = Result<Statement, Error>> + Send>>;

/// Copies of values, which a statement owns until it is sent.
pub(super) fn owned(args: Args<'_>) -> Vec<Owned> {
    args.iter().map(Owned::from).collect()
}

impl Postgres {
    /// A statement for one row, prepared once per connection.
    pub(super) fn prepared(&mut self, sql: &'static str) -> Result<Statement, Fault> {
        self.prepared_as(StatementName::One(sql.as_ptr() as usize), |_| Ok(sql.to_owned()))
    }

    /// A statement for sets of rows, prepared once per connection.
    pub(super) fn prepared_for_sets(&mut self, sql: &'static str) -> Result<Statement, Fault> {
        self.prepared_as(StatementName::Sets(sql.as_ptr() as usize), |postgres| {
            for_sets(sql, postgres.prepared(sql)?.params(), 1)
        })
    }

    fn cache(&mut self, name: StatementName, statement: Statement) {
        if let Some(connection) = &mut self.connection {
            connection.statements.insert(name, statement);
        }
    }

    /// The statement of this name; `text` makes its text if it must be prepared.
    fn prepared_as(
        &mut self,
        name: StatementName,
        text: impl FnOnce(&mut Postgres) -> Result<String, Fault>,
    ) -> Result<Statement, Fault> {
        let connection = self.connection.as_ref().ok_or_else(silent)?;
        if let Some(statement) = connection.statements.get(&name) {
            return Ok(statement.clone());
        }
        let client = connection.client.clone();
        let text = text(self)?;
        self.drain()?;
        let statement = self.first_error_or(client.prepare(&text))?;
        // Which changes meet in a batch is random. When there are too many combined statements, all
        // are dropped: those in regular use come back soon.
        let is_single = |name: &StatementName| !matches!(name, StatementName::Combined(_));
        if let Some(connection) = &mut self.connection
            && connection.statements.keys().filter(|name| !is_single(name)).count() >= COMBINED_MAX
        {
            connection.statements.retain(|name, _| is_single(name));
            self.texts.retain(|name, _| is_single(name));
        }
        self.cache(name.clone(), statement.clone());
        self.texts.insert(name, text);
        Ok(statement)
    }

    /// Prepares on a new connection, in one round trip, all statements that earlier connections
    /// needed. Later, each would take a round trip within a Tx whose lock other nodes wait for.
    pub(super) fn prepare_again(&mut self) -> Result<(), Fault> {
        let client = self.connection.as_ref().ok_or_else(silent)?.client.clone();
        let mut preparing = Vec::with_capacity(self.texts.len());
        for (name, text) in &self.texts {
            let (client, text) = (client.clone(), text.clone());
            let mut future: Preparing = Box::pin(async move { client.prepare(&text).await });
            let at_once = poll_once(&mut future);
            preparing.push((name.clone(), at_once, future));
        }
        for (name, at_once, future) in preparing {
            match at_once.or_else(|| wait(future, self.timeout)) {
                Some(Ok(statement)) => self.cache(name, statement),
                // Whoever needs this statement prepares it again and gets the error.
                Some(Err(error)) if error.as_db_error().is_some() => drop(self.texts.remove(&name)),
                Some(Err(error)) => return Err(self.failed(&error)),
                None => return Err(self.timed_out()),
            }
        }
        Ok(())
    }

    /// Waits for the result of a statement; on failure, the error of the first one that failed.
    pub(super) fn first_error_or<T>(
        &mut self,
        reply: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Fault> {
        match wait(reply, self.timeout) {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => {
                self.drain()?;
                Err(self.failed(&error))
            }
            None => Err(self.timed_out()),
        }
    }

    /// Sends a statement that changes rows, without waiting.
    pub(super) fn send(&mut self, statement: Statement, values: Vec<Owned>) -> Result<(), Fault> {
        let client = self.connection.as_ref().ok_or_else(silent)?.client.clone();
        self.start(Box::pin(async move { client.execute_raw(&statement, values).await }))
    }

    /// Sends a query without waiting. Once its reply is read, the flag says whether it found a row.
    pub(super) fn send_exists(
        &mut self,
        statement: Statement,
        values: Vec<Owned>,
    ) -> Result<Arc<AtomicBool>, Fault> {
        let client = self.connection.as_ref().ok_or_else(silent)?.client.clone();
        let found = Arc::new(AtomicBool::new(false));
        let set = found.clone();
        self.start(Box::pin(async move {
            let rows = client.execute_raw(&statement, values).await?;
            set.store(rows > 0, Ordering::Release);
            Ok(rows)
        }))?;
        Ok(found)
    }

    /// Sends the statement by polling its future, and remembers to read the reply.
    fn start(&mut self, mut reply: PendingCount) -> Result<(), Fault> {
        match poll_once(&mut reply) {
            None => self.replies.push_back(reply),
            Some(Ok(rows)) => self.replies.push_back(Box::pin(std::future::ready(Ok(rows)))),
            // The statement was not sent, so no later one may be sent either.
            Some(Err(error)) => return Err(self.failed(&error)),
        }
        Ok(())
    }

    /// Makes sure that a good connection is open, and sends all deferred rows.
    pub(super) fn flush(&mut self) -> Result<(), Fault> {
        self.connect()?;
        for (statement, values) in self.ready()? {
            self.send(statement, values)?;
        }
        Ok(())
    }

    /// All deferred rows as prepared statements with their values.
    pub(super) fn ready(&mut self) -> Result<Vec<(Statement, Vec<Owned>)>, Fault> {
        if self.plan.is_empty() {
            return Ok(Vec::new());
        }
        let batch = self.writer.tx.as_ref().map_or(0, |tx| tx.batch);
        let mut ready = Vec::new();
        for groups in combine(self.plan.take()) {
            let statement = self.prepared_combined(&groups)?;
            let mut values = Vec::new();
            let mut counts = Vec::with_capacity(groups.len());
            for group in groups {
                counts.extend(group.expected.map(|each| Owned::Int(each * group.rows)));
                values.extend(group.columns.into_iter().map(Owned::Array));
            }
            values.append(&mut counts);
            values.push(Owned::Int(batch));
            ready.push((statement, values));
        }
        Ok(ready)
    }

    /// The statement that executes these groups, prepared once per connection.
    fn prepared_combined(&mut self, groups: &[Group]) -> Result<Statement, Fault> {
        let parts = groups.iter().map(|g| (g.sql.as_ptr() as usize, g.partition)).collect();
        self.prepared_as(StatementName::Combined(parts), |postgres| {
            let mut parts = Vec::with_capacity(groups.len());
            for Group { sql, partition, expected, .. } in groups {
                let types = postgres.prepared(sql)?.params().to_vec();
                parts.push(Part {
                    sql,
                    partition: *partition,
                    types,
                    is_counted: expected.is_some(),
                });
            }
            combined_sql(&parts)
        })
    }

    /// Reads all pending replies; the first error counts.
    pub(super) fn drain(&mut self) -> Result<(), Fault> {
        while let Some(reply) = self.replies.pop_front() {
            match wait(reply, self.timeout) {
                Some(Ok(_)) => {}
                Some(Err(e)) => {
                    self.replies.clear();
                    return Err(if is_fenced(&e) { self.fenced() } else { self.failed(&e) });
                }
                None => return Err(self.timed_out()),
            }
        }
        Ok(())
    }

    /// Sends a query without waiting.
    pub(super) fn send_query(
        &mut self,
        statement: Statement,
        values: Vec<Owned>,
    ) -> Result<PendingRows, Fault> {
        let client = self.connection.as_ref().ok_or_else(silent)?.client.clone();
        let mut reply: PendingRows =
            Box::pin(async move { client.query_raw(&statement, values).await });
        Ok(match poll_once(&mut reply) {
            Some(rows) => Box::pin(std::future::ready(rows)),
            None => reply,
        })
    }

    /// Reads the reply to a query row by row.
    pub(super) fn read(
        &mut self,
        rows: PendingRows,
        on_row: &mut dyn FnMut(&PgRow) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut rows = Box::pin(self.first_error_or(rows)?);
        loop {
            match wait(rows.next(), self.timeout) {
                Some(Some(Ok(row))) => on_row(&PgRow(row))?,
                Some(Some(Err(error))) => return Err(self.failed(&error)),
                Some(None) => return Ok(()),
                None => return Err(self.timed_out()),
            }
        }
    }
}

/// Polls a future once, which makes it send; its result, if it is ready already.
pub(super) fn poll_once<T>(future: &mut Pin<Box<dyn Future<Output = T> + Send>>) -> Option<T> {
    let mut context = Context::from_waker(Waker::noop());
    let Poll::Ready(done) = future.as_mut().poll(&mut context) else { return None };
    Some(done)
}

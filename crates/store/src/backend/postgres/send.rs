//! Statements on their way: prepared once, sent without waiting, heard of in the order in which they
//! were sent.
//!
//! Invariants: of several that failed, the first is why; nobody waits for an answer while one before it
//! is not being read. (The client reads no further then, and an answer may come in many pieces.)

use super::link::{is_fenced, wait};
use super::migrate::silent;
use super::sets::{Group, for_sets, joined, together};
use super::value::{PgRow, Sendable};
use super::{Affected, Postgres, Rows};
use crate::fault::Fault;
use domain::Month;
use futures_util::StreamExt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Waker};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Error, Statement};

/// Statements kept of several sets; a batch is of one of a few dozen kinds.
const COMBINATIONS_KEPT: usize = 256;

/// What a prepared statement is found by: where the text of its statement lies, or those of its parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Name {
    One(usize),
    Sets(usize),
    Together(Vec<(usize, Option<Month>)>),
}

type Made = Pin<Box<dyn Future<Output = Result<Statement, Error>> + Send>>;

impl Postgres {
    /// A statement, prepared once per connection: for one row, or for sets of rows.
    pub(super) fn prepared(
        &mut self,
        sql: &'static str,
        is_for_sets: bool,
    ) -> Result<Statement, Fault> {
        let line = self.line.as_ref().ok_or_else(silent)?;
        let place = sql.as_ptr() as usize;
        let found = line
            .prepared
            .get(&place)
            .and_then(|known| if is_for_sets { known.sets.as_ref() } else { known.one.as_ref() });
        if let Some(statement) = found {
            return Ok(statement.clone());
        }
        if !is_for_sets {
            return self.make(Name::One(place), sql.to_owned());
        }
        let one = self.prepared(sql, false)?;
        self.make(Name::Sets(place), for_sets(sql, one.params(), 1)?)
    }

    fn make(&mut self, name: Name, text: String) -> Result<Statement, Fault> {
        let client = self.line.as_ref().ok_or_else(silent)?.client.clone();
        self.drain()?;
        let made = wait(client.prepare(&text), self.patience);
        let statement = self.first_of(made)?;
        // Which changes meet in a batch is chance: what is rare goes with the rest.
        let is_full = self.line.as_ref().is_some_and(|l| l.together.len() >= COMBINATIONS_KEPT);
        if is_full && let Some(line) = &mut self.line {
            line.together.clear();
            self.texts.retain(|name, _| !matches!(name, Name::Together(_)));
        }
        self.keep(&name, &statement);
        self.texts.insert(name, text);
        Ok(statement)
    }

    fn keep(&mut self, name: &Name, statement: &Statement) {
        let Some(line) = &mut self.line else { return };
        let statement = statement.clone();
        match name {
            Name::One(place) => line.prepared.entry(*place).or_default().one = Some(statement),
            Name::Sets(place) => line.prepared.entry(*place).or_default().sets = Some(statement),
            Name::Together(places) => drop(line.together.insert(places.clone(), statement)),
        }
    }

    /// Prepares on a new connection, in one round trip, what the ones before it needed: later it would
    /// be one round trip each, in a Tx whose lock other nodes wait for.
    pub(super) fn prepare_anew(&mut self) -> Result<(), Fault> {
        let client = self.line.as_ref().ok_or_else(silent)?.client.clone();
        let mut coming = Vec::with_capacity(self.texts.len());
        for (name, text) in &self.texts {
            let (client, text) = (client.clone(), text.clone());
            let mut made: Made = Box::pin(async move { client.prepare(&text).await });
            let done = begun(&mut made);
            coming.push((name.clone(), done, made));
        }
        for (name, done, made) in coming {
            match done.or_else(|| wait(made, self.patience)) {
                Some(Ok(statement)) => self.keep(&name, &statement),
                // Whoever needs it hears of it then.
                Some(Err(error)) if error.as_db_error().is_some() => drop(self.texts.remove(&name)),
                Some(Err(error)) => return Err(self.failed(&error)),
                None => return Err(self.silenced()),
            }
        }
        Ok(())
    }

    /// What came of a statement. If it failed, an earlier one that failed is why.
    pub(super) fn first_of<T>(&mut self, came: Option<Result<T, Error>>) -> Result<T, Fault> {
        match came {
            Some(Ok(value)) => Ok(value),
            Some(Err(error)) => {
                self.drain()?;
                Err(self.failed(&error))
            }
            None => Err(self.silenced()),
        }
    }

    /// Sends a statement that changes rows, without waiting.
    pub(super) fn send<P>(&mut self, statement: Statement, values: Vec<P>) -> Result<(), Fault>
    where
        P: ToSql + Sync + Send + 'static,
    {
        let client = self.line.as_ref().ok_or_else(silent)?.client.clone();
        self.sent(Box::pin(async move { client.execute_raw(&statement, values).await }))
    }

    /// The same; once it is heard of, the flag says whether it found a row.
    pub(super) fn send_to_know<P>(
        &mut self,
        statement: Statement,
        values: Vec<P>,
    ) -> Result<Arc<AtomicBool>, Fault>
    where
        P: ToSql + Sync + Send + 'static,
    {
        let client = self.line.as_ref().ok_or_else(silent)?.client.clone();
        let found = Arc::new(AtomicBool::new(false));
        let told = found.clone();
        self.sent(Box::pin(async move {
            let rows = client.execute_raw(&statement, values).await?;
            told.store(rows > 0, Ordering::Release);
            Ok(rows)
        }))?;
        Ok(found)
    }

    /// Lets it begin, and remembers to hear of it.
    fn sent(&mut self, mut affected: Affected) -> Result<(), Fault> {
        match begun(&mut affected) {
            None => self.sent.push_back(affected),
            Some(Ok(rows)) => self.sent.push_back(Box::pin(std::future::ready(Ok(rows)))),
            // It did not go out, so what comes after it must not either.
            Some(Err(error)) => return Err(self.failed(&error)),
        }
        Ok(())
    }

    /// Sends all that was put.
    pub(super) fn flush(&mut self) -> Result<(), Fault> {
        for (statement, values) in self.ready()? {
            self.send(statement, values)?;
        }
        Ok(())
    }

    /// All that was put, ready to be sent: every statement is prepared.
    pub(super) fn ready(&mut self) -> Result<Vec<(Statement, Vec<Sendable>)>, Fault> {
        if self.plan.is_empty() {
            return Ok(Vec::new());
        }
        let batch = self.mark.as_ref().map_or(0, |mark| mark.batch);
        let mut ready = Vec::new();
        for part in together(self.plan.take()) {
            let statement = self.prepared_together(&part)?;
            let mut values = Vec::new();
            let mut counts = Vec::with_capacity(part.len());
            for group in part {
                counts.extend(group.expected.map(|each| Sendable::Count(each * group.rows)));
                values.extend(group.columns.into_iter().map(Sendable::Set));
            }
            values.append(&mut counts);
            values.push(Sendable::Batch(batch));
            ready.push((statement, values));
        }
        Ok(ready)
    }

    /// The statement that does these groups, prepared once per connection.
    fn prepared_together(&mut self, part: &[Group]) -> Result<Statement, Fault> {
        let name: Vec<_> = part.iter().map(|g| (g.sql.as_ptr() as usize, g.month)).collect();
        if let Some(known) = self.line.as_ref().and_then(|line| line.together.get(&name)) {
            return Ok(known.clone());
        }
        let mut parts = Vec::with_capacity(part.len());
        for group in part {
            let kinds = self.prepared(group.sql, false)?.params().to_vec();
            parts.push((group.sql, group.month, kinds, group.expected.is_some()));
        }
        let text = joined(&parts)?;
        self.make(Name::Together(name), text)
    }

    /// Hears of all that was sent; the first that failed is what failed.
    pub(super) fn drain(&mut self) -> Result<(), Fault> {
        while let Some(affected) = self.sent.pop_front() {
            match wait(affected, self.patience) {
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    self.sent.clear();
                    return Err(if is_fenced(&error) {
                        self.fenced()
                    } else {
                        self.failed(&error)
                    });
                }
                None => return Err(self.silenced()),
            }
        }
        Ok(())
    }

    /// Sends a query without waiting.
    pub(super) fn ask<P>(&mut self, statement: Statement, values: Vec<P>) -> Result<Rows, Fault>
    where
        P: ToSql + Sync + Send + 'static,
    {
        let client = self.line.as_ref().ok_or_else(silent)?.client.clone();
        let mut answered: Rows =
            Box::pin(async move { client.query_raw(&statement, values).await });
        Ok(match begun(&mut answered) {
            Some(done) => Box::pin(std::future::ready(done)),
            None => answered,
        })
    }

    /// Reads an answer, row by row.
    pub(super) fn read(
        &mut self,
        answered: Rows,
        row: &mut dyn FnMut(&PgRow) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let came = wait(answered, self.patience);
        let mut rows = Box::pin(self.first_of(came)?);
        loop {
            match wait(rows.next(), self.patience) {
                Some(Some(Ok(next))) => row(&PgRow(next))?,
                Some(Some(Err(error))) => return Err(self.failed(&error)),
                Some(None) => return Ok(()),
                None => return Err(self.silenced()),
            }
        }
    }
}

/// Polls once, which sends; what is ready already is given.
pub(super) fn begun<T>(future: &mut Pin<Box<dyn Future<Output = T> + Send>>) -> Option<T> {
    let mut context = Context::from_waker(Waker::noop());
    match future.as_mut().poll(&mut context) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}

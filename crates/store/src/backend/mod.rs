//! The seam between Saldo's SQL and a database.
//!
//! Everything above is written against [`Sql`]: one text for every database, `$1` placeholders,
//! integers, text and bytes. A backend gives a [`Sql`] to read with and one to write with, a Tx
//! around it, and its way into [`crate::Store`].

pub(crate) mod postgres;
pub(crate) mod sqlite;

use crate::fault::Fault;
use domain::Month;

/// One version of the schema: the text that both databases read, and what each adds to it.
pub(crate) struct Migration {
    pub(crate) common: &'static str,
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

/// Every version of the schema, the first first.
pub(crate) const MIGRATIONS: &[Migration] = &[
    Migration {
        common: include_str!("../migrations/0001_start.sql"),
        sqlite: include_str!("../migrations/0001_start.sqlite.sql"),
        postgres: include_str!("../migrations/0001_start.postgres.sql"),
    },
    Migration { common: include_str!("../migrations/0002_people.sql"), sqlite: "", postgres: "" },
    Migration {
        common: include_str!("../migrations/0003_products.sql"),
        sqlite: include_str!("../migrations/0003_products.sqlite.sql"),
        postgres: include_str!("../migrations/0003_products.postgres.sql"),
    },
    Migration { common: include_str!("../migrations/0004_pushes.sql"), sqlite: "", postgres: "" },
    Migration { common: include_str!("../migrations/0005_standing.sql"), sqlite: "", postgres: "" },
    Migration {
        common: include_str!("../migrations/0006_months.sql"),
        sqlite: include_str!("../migrations/0006_months.sqlite.sql"),
        postgres: include_str!("../migrations/0006_months.postgres.sql"),
    },
    Migration {
        common: include_str!("../migrations/0007_nodes.sql"),
        sqlite: "",
        postgres: include_str!("../migrations/0007_nodes.postgres.sql"),
    },
    Migration { common: include_str!("../migrations/0008_webhooks.sql"), sqlite: "", postgres: "" },
    Migration {
        common: "",
        sqlite: "",
        postgres: include_str!("../migrations/0009_pen.postgres.sql"),
    },
    Migration {
        common: "",
        sqlite: "",
        postgres: include_str!("../migrations/0010_batches.postgres.sql"),
    },
];

/// A value on its way into a statement.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

impl From<i64> for Value<'_> {
    fn from(n: i64) -> Self {
        Value::Int(n)
    }
}

impl From<u32> for Value<'_> {
    fn from(n: u32) -> Self {
        Value::Int(i64::from(n))
    }
}

impl From<bool> for Value<'_> {
    fn from(b: bool) -> Self {
        Value::Int(i64::from(b))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(s: &'a str) -> Self {
        Value::Text(s)
    }
}

impl<'a> From<&'a String> for Value<'a> {
    fn from(s: &'a String) -> Self {
        Value::Text(s)
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Value<'a> {
    fn from(b: &'a [u8; N]) -> Self {
        Value::Bytes(b)
    }
}

impl<'a, T: Into<Value<'a>>> From<Option<T>> for Value<'a> {
    fn from(v: Option<T>) -> Self {
        v.map_or(Value::Null, Into::into)
    }
}

/// A row that a statement gave; columns count from 0.
pub(crate) trait Row {
    fn int(&self, column: usize) -> Result<i64, Fault>;
    fn opt_int(&self, column: usize) -> Result<Option<i64>, Fault>;
    fn opt_text(&self, column: usize) -> Result<Option<&str>, Fault>;
    fn opt_bytes(&self, column: usize) -> Result<Option<&[u8]>, Fault>;

    fn text(&self, column: usize) -> Result<&str, Fault> {
        self.opt_text(column)?.ok_or_else(|| Fault::corrupt("a text is missing"))
    }

    fn bytes(&self, column: usize) -> Result<&[u8], Fault> {
        self.opt_bytes(column)?.ok_or_else(|| Fault::corrupt("bytes are missing"))
    }

    fn bool(&self, column: usize) -> Result<bool, Fault> {
        Ok(self.int(column)? != 0)
    }

    fn small(&self, column: usize) -> Result<u32, Fault> {
        u32::try_from(self.int(column)?).map_err(|_| Fault::corrupt("a count is out of range"))
    }
}

/// Takes each row of an answer.
pub(crate) type EachRow<'a> = &'a mut dyn FnMut(&dyn Row) -> Result<(), Fault>;

/// Takes each row of several answers, with the numbers of the query and of its set, from 0.
pub(crate) type EachAnswer<'a> = &'a mut dyn FnMut((usize, usize), &dyn Row) -> Result<(), Fault>;

/// What a row that is put is about: what concerns one key is written in the order of the puts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Key {
    Purchase(i64),
    /// With the month that its rows lie in.
    Journal(i64, Month),
    LedgerAccount(i64),
    /// After everything else.
    Late,
}

/// A query, and several sets of values to ask it with.
pub(crate) struct Ask<'a> {
    pub(crate) sql: &'static str,
    /// Values of one set.
    pub(crate) width: usize,
    /// The sets, one after the other.
    pub(crate) values: Vec<Value<'a>>,
}

impl<'a> Ask<'a> {
    pub(crate) const fn new(sql: &'static str, width: usize) -> Ask<'a> {
        Ask { sql, width, values: Vec::new() }
    }

    /// Adds a set; gives its number.
    pub(crate) fn add(&mut self, values: &[Value<'a>]) {
        debug_assert_eq!(values.len(), self.width, "{}", self.sql);
        self.values.extend_from_slice(values);
    }
}

/// Runs statements on one connection. Placeholders first appear in ascending order.
pub(crate) trait Sql {
    /// Runs a statement and counts the rows it changed.
    fn run(&mut self, sql: &'static str, values: &[Value<'_>]) -> Result<usize, Fault>;

    /// Runs a statement by the commit at the latest, or before the next query; if it fails, or does
    /// not change as many rows as expected, the Tx does. For one statement the expectation is always
    /// the same. Only in a Tx of the writer.
    fn put(
        &mut self,
        sql: &'static str,
        key: Key,
        values: &[Value<'_>],
        expected: Option<usize>,
    ) -> Result<(), Fault>;

    /// Runs a query and hands over each row.
    fn each(
        &mut self,
        sql: &'static str,
        values: &[Value<'_>],
        row: EachRow<'_>,
    ) -> Result<(), Fault>;

    /// Runs several queries, each with many sets of values, and hands over each row. They wait for
    /// each other no more than they must. A query has one FROM, and neither ORDER BY nor LIMIT.
    fn each_of(&mut self, asks: &[Ask<'_>], row: EachAnswer<'_>) -> Result<(), Fault>;

    /// What is read from here on is of one moment.
    fn begin_reading(&mut self) -> Result<(), Fault>;

    /// Until here.
    fn end_reading(&mut self) -> Result<(), Fault>;
}

/// The first row of an answer, read by `read`.
pub(crate) fn first<T>(
    sql: &mut dyn Sql,
    text: &'static str,
    values: &[Value<'_>],
    mut read: impl FnMut(&dyn Row) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    let mut found = None;
    sql.each(text, values, &mut |row| {
        if found.is_none() {
            found = Some(read(row)?);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Every row of an answer, read by `read`.
pub(crate) fn all<T>(
    sql: &mut dyn Sql,
    text: &'static str,
    values: &[Value<'_>],
    mut read: impl FnMut(&dyn Row) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut found = Vec::new();
    sql.each(text, values, &mut |row| {
        found.push(read(row)?);
        Ok(())
    })?;
    Ok(found)
}

/// The connection that owns every commit.
pub(crate) trait WriteSql: Sql + Send {
    /// Whether nobody else writes to this database: what was learnt in one Tx holds in the next.
    fn is_alone(&self) -> bool;
    /// The run of this node that the next Tx is of; 0 where there is only one node.
    fn node_run(&self) -> i64;
    /// Whether a Tx can be judged by what the last commit left, without a question: see `begin`.
    fn can_be_blind(&self) -> bool;
    /// Waits until nobody else writes, before it is known what is to be written: the next `begin` that is
    /// not blind goes on from here, and says what failed.
    fn await_turn(&mut self) {}
    /// Opens a Tx that may write. Nobody else writes until it ends. A blind one fails, by its commit
    /// at the latest, if anybody but this connection has written before it, or if the commit that was
    /// sent before its own failed.
    fn begin(&mut self, is_blind: bool) -> Result<(), Fault>;
    /// Whether nobody has written since this connection last did. For an open Tx that is not blind,
    /// once its first questions are answered.
    fn nobody_wrote(&mut self) -> Result<bool, Fault>;
    /// Sees to it that rows of a month have where to lie.
    fn ensure_partitions(&mut self, month: Month) -> Result<(), Fault>;
    /// Sends what makes the open Tx durable. If that fails, nothing of it was committed, and
    /// `roll_back` ends it.
    fn send_commit(&mut self) -> Result<(), Fault>;
    /// Waits until it is known what became of the oldest commit that was sent, or `is_enough`, which is
    /// asked whenever this thread is unparked. Whether it is known.
    fn await_commit(&mut self, is_enough: &dyn Fn() -> bool) -> bool;
    /// What became of the oldest commit that was sent: durable, or the Tx has ended without it.
    fn hear_commit(&mut self) -> Result<(), Fault>;
    /// Undoes what is open; a failure to do so closes the connection's work for good.
    fn roll_back(&mut self) -> Result<(), Fault>;
    /// Called when nothing is queued for a while: tidies up.
    fn idle(&mut self);
}

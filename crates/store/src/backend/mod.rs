//! The interface between the store's SQL and a database.
//!
//! All statements are written against [`Sql`]: one text for every database, with `$1` placeholders
//! and values that are integers, text or bytes. A backend implements [`Sql`] for reading and
//! [`WriteSql`] for the writer, and is opened by [`crate::Store`].

mod columns;
pub(crate) mod postgres;
pub(crate) mod sqlite;

pub(crate) use columns::{Column, Columns, FromRow, columns, from_row, stored_as, value_of};

use crate::fault::Fault;
use domain::ids::{DeviceId, EndpointId, KeyId, SessionId, UserId};
use domain::{
    AccountId, CategoryId, Currency, Environment, Job, Kind, Month, ProductId, PurchaseId,
    ReferenceScope, State, Timestamp, UpstreamCode,
};

/// One version of the schema: the statements that both databases run, and those of one alone.
pub(crate) struct Migration {
    pub(crate) common: &'static str,
    pub(crate) sqlite: &'static str,
    pub(crate) postgres: &'static str,
}

/// A migration by its name, and which of its files there are.
macro_rules! migration {
    (@file $name:literal common) => {
        include_str!(concat!("../migrations/", $name, ".sql"))
    };
    (@file $name:literal $of:ident) => {
        include_str!(concat!("../migrations/", $name, ".", stringify!($of), ".sql"))
    };
    ($name:literal, $($of:ident),+) => {{
        let mut migration = Migration { common: "", sqlite: "", postgres: "" };
        $(migration.$of = migration!(@file $name $of);)+
        migration
    }};
}

/// The newest version of the schema.
pub(crate) const SCHEMA_VERSION: i64 = MIGRATIONS.len() as i64;

/// Every version of the schema, in ascending order.
pub(crate) const MIGRATIONS: &[Migration] = &[
    migration!("0001_start", common, sqlite, postgres),
    migration!("0002_people", common),
    migration!("0003_products", common, sqlite, postgres),
    migration!("0004_pushes", common),
    migration!("0005_standing", common),
    migration!("0006_months", common, sqlite, postgres),
    migration!("0007_nodes", common, postgres),
    migration!("0008_webhooks", common),
    migration!("0009_pen", postgres),
    migration!("0010_batches", postgres),
    migration!("0011_last_commit", postgres),
    migration!("0012_push_runs", common),
    migration!("0013_acts", common),
    migration!("0014_digests", sqlite, postgres),
    migration!("0015_clock", common),
    migration!("0016_pages", common),
    migration!("0017_payments", common, sqlite, postgres),
    migration!("0018_lists", common),
    migration!("0019_exchanges", common),
    migration!("0020_routes", common),
    migration!("0021_upstreams", common),
    migration!("0022_numbers", common, postgres),
    migration!("0023_commission", common, sqlite),
    migration!("0024_duplicates", common),
    migration!("0025_requests", common),
    migration!("0026_keys", common),
    migration!("0027_replays", common),
    migration!("0028_refusals", common),
    migration!("0029_rechecks", common),
    migration!("0030_listed", sqlite, postgres),
    migration!("0031_pauses", common),
    migration!("0032_plans", common, sqlite),
    migration!("0033_alerts_renewals", common),
    migration!("0034_logins", sqlite, postgres),
    migration!("0035_claims", postgres),
];

/// A parameter of a statement.
#[derive(Clone, Copy, Debug)]
pub enum Value<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
}

/// How values of these types become parameters.
macro_rules! into_value {
    ($($kind:ty, $name:ident => $value:expr;)+) => {$(
        impl<'a> From<$kind> for Value<'a> {
            fn from($name: $kind) -> Self {
                $value
            }
        }
    )+};
}

into_value! {
    i64, n => Value::Int(n);
    u32, n => Value::Int(i64::from(n));
    bool, b => Value::Int(i64::from(b));
    AccountId, id => Value::Int(id.0);
    CategoryId, id => Value::Int(id.0);
    DeviceId, id => Value::Int(id.0);
    EndpointId, id => Value::Int(id.0);
    KeyId, id => Value::Int(id.0);
    ProductId, id => Value::Int(id.0);
    PurchaseId, id => Value::Int(id.0);
    SessionId, id => Value::Int(id.0);
    UserId, id => Value::Int(id.0);
    Timestamp, at => Value::Int(at.0);
    &'a str, s => Value::Text(s);
    &'a String, s => Value::Text(s);
    &'a UpstreamCode, code => Value::Text(code.as_str());
    Currency, currency => Value::Text(currency.code());
    Environment, environment => Value::Text(environment.code());
    Job, job => Value::Text(job.code());
    Kind, kind => Value::Text(kind.code());
    ReferenceScope, scope => Value::Text(scope.code());
    State, state => Value::Text(state.code());
    &'a Option<String>, s => s.as_deref().into();
    &'a Option<UpstreamCode>, code => code.as_ref().into();
    &'a [u8], b => Value::Bytes(b);
    &'a Vec<u8>, b => Value::Bytes(b);
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

/// The parameters of a statement.
pub type Args<'a> = &'a [Value<'a>];

/// Converts each expression to a parameter of a statement.
macro_rules! values {
    ($($value:expr),+ $(,)?) => {
        [$($crate::backend::Value::from($value)),+]
    };
}
pub(crate) use values;

/// A row of a result; columns count from 0.
pub trait Row {
    fn opt_int(&self, column: usize) -> Result<Option<i64>, Fault>;
    fn opt_text(&self, column: usize) -> Result<Option<&str>, Fault>;
    fn opt_bytes(&self, column: usize) -> Result<Option<&[u8]>, Fault>;

    fn int(&self, column: usize) -> Result<i64, Fault> {
        self.opt_int(column)?.ok_or_else(|| Fault::corrupt("a number is missing"))
    }

    fn text(&self, column: usize) -> Result<&str, Fault> {
        self.opt_text(column)?.ok_or_else(|| Fault::corrupt("a text is missing"))
    }

    fn bytes(&self, column: usize) -> Result<&[u8], Fault> {
        self.opt_bytes(column)?.ok_or_else(|| Fault::corrupt("bytes are missing"))
    }

    fn bool(&self, column: usize) -> Result<bool, Fault> {
        Ok(self.int(column)? != 0)
    }

    fn u32(&self, column: usize) -> Result<u32, Fault> {
        u32::try_from(self.int(column)?).map_err(|_| Fault::corrupt("a count is out of range"))
    }
}

/// Is called with each row of a result.
pub type OnRow<'a> = &'a mut dyn FnMut(&dyn Row) -> Result<(), Fault>;

/// Is called with each row of the results of several queries.
pub type OnSetRow<'a> = &'a mut dyn FnMut(SetIndex, &dyn Row) -> Result<(), Fault>;

/// Which query, and which of its sets of parameters, a row belongs to; both count from 0.
#[derive(Clone, Copy, Debug)]
pub struct SetIndex {
    pub(crate) query: usize,
    pub(crate) set: usize,
}

/// The part of the tables by month that a row belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Partition {
    pub(crate) month: Month,
    /// Whether it is for purchases with an id of before there were numbers.
    pub(crate) is_old: bool,
}

impl Partition {
    /// The one of a month's rows: of its journals, and of purchases with a number.
    pub(crate) const fn of(month: Month) -> Partition {
        Partition { month, is_old: false }
    }

    /// The one of a purchase.
    pub(crate) const fn of_purchase(id: PurchaseId) -> Partition {
        Partition { month: Month::of_id(id), is_old: !id.is_numbered() }
    }
}

/// What a deferred row belongs to: rows of one key are written in the order in which they were
/// deferred.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WriteKey {
    Purchase(i64),
    /// By its number, with the month whose partition has its rows.
    Journal(i64, Month),
    LedgerAccount(i64),
    /// Written after everything else.
    Last,
}

/// A query with several sets of parameters.
pub struct SetQuery<'a> {
    pub(crate) sql: &'static str,
    /// Parameters in one set.
    pub(crate) width: usize,
    /// The sets, one after the other.
    pub(crate) values: Vec<Value<'a>>,
}

impl<'a> SetQuery<'a> {
    pub(crate) const fn new(sql: &'static str, width: usize) -> SetQuery<'a> {
        SetQuery { sql, width, values: Vec::new() }
    }

    /// Adds one set of parameters.
    pub(crate) fn add(&mut self, values: &[Value<'a>]) {
        debug_assert_eq!(values.len(), self.width, "{}", self.sql);
        self.values.extend_from_slice(values);
    }
}

/// Runs statements on one connection. Placeholders must first appear in ascending order.
pub trait Sql {
    /// Runs a statement now and returns the number of rows it changed.
    fn execute(&mut self, sql: &'static str, args: Args<'_>) -> Result<usize, Fault>;

    /// Runs a statement now, however many rows it changes.
    fn run(&mut self, sql: &'static str, args: Args<'_>) -> Result<(), Fault> {
        self.execute(sql, args).map(drop)
    }

    /// Runs a statement before the next query or the commit, whichever is first. If it fails, or
    /// changes another number of rows than expected, the whole Tx fails. A statement must always be
    /// deferred with the same expectation. Only for a Tx of the writer.
    fn defer(
        &mut self,
        sql: &'static str,
        key: WriteKey,
        args: Args<'_>,
        expected: Option<usize>,
    ) -> Result<(), Fault>;

    /// Runs a query and calls `on_row` with each row.
    fn query(&mut self, sql: &'static str, args: Args<'_>, on_row: OnRow<'_>) -> Result<(), Fault>;

    /// Runs several queries, each with many sets of parameters, in as few round trips as possible.
    /// Each query has one FROM, and neither ORDER BY nor LIMIT.
    fn query_sets(&mut self, queries: &[SetQuery<'_>], on_row: OnSetRow<'_>) -> Result<(), Fault>;

    /// Opens a read-only Tx: all reads until [`Sql::end_snapshot`] see one state of the database.
    fn begin_snapshot(&mut self) -> Result<(), Fault>;

    fn end_snapshot(&mut self) -> Result<(), Fault>;

    /// The database's own check of all its pages, rows and indexes, outside a Tx: what it finds
    /// wrong, at most some hundred lines; empty: nothing. A month in its own file lacks rows that
    /// others refer to, so there it is not `with_references`.
    fn own_check(&mut self, with_references: bool) -> Result<Vec<String>, Fault>;
}

/// The first row of a result, converted by `read`.
pub(crate) fn first<T>(
    sql: &mut dyn Sql,
    text: &'static str,
    args: Args<'_>,
    mut read: impl FnMut(&dyn Row) -> Result<T, Fault>,
) -> Result<Option<T>, Fault> {
    let mut found = None;
    sql.query(text, args, &mut |row| {
        if found.is_none() {
            found = Some(read(row)?);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Every row of a result, converted by `read`.
pub(crate) fn all<T>(
    sql: &mut dyn Sql,
    text: &'static str,
    args: Args<'_>,
    mut read: impl FnMut(&dyn Row) -> Result<T, Fault>,
) -> Result<Vec<T>, Fault> {
    let mut found = Vec::new();
    sql.query(text, args, &mut |row| {
        found.push(read(row)?);
        Ok(())
    })?;
    Ok(found)
}

/// The number in the first row of a result; 0 without a row.
pub(crate) fn number(sql: &mut dyn Sql, text: &'static str, args: Args<'_>) -> Result<i64, Fault> {
    Ok(first(sql, text, args, |row| row.int(0))?.unwrap_or(0))
}

/// A connection that becomes the writer's.
pub(crate) trait WriteConnection: Send + 'static {
    /// Writes with it, on the thread that it belongs to from now on.
    fn write_with(self, write: impl FnOnce(&mut dyn WriteSql));
}

/// The connection of the writer, which makes every commit.
pub(crate) trait WriteSql: Sql {
    /// Whether no other process can write to this database: then what one Tx has read is still
    /// valid in the next.
    fn is_sole_writer(&self) -> bool;

    /// The run of this node under which the next Tx commits; 0 where there is only one node.
    fn node_run(&self) -> i64;

    /// Whether `begin` accepts an optimistic Tx: one without reads, which is built on the state
    /// that the last commit left.
    fn can_be_optimistic(&self) -> bool;

    /// Waits for the lock that writers hold, before the batch is gathered. The next `begin` that is
    /// not optimistic uses that Tx, or returns the error of the wait. Where no other process
    /// writes, there is nobody to wait for.
    fn await_lock(&mut self) {}

    /// Opens a Tx that may write. Until it ends no other Tx writes. An optimistic Tx fails, by its
    /// commit at the latest, if another connection has committed since this one did, or if the
    /// commit that was sent before its own failed.
    fn begin(&mut self, is_optimistic: bool) -> Result<(), Fault>;

    /// Whether the last commit to this database was this connection's. For an open Tx that is not
    /// optimistic, after its first queries.
    fn committed_last(&mut self) -> Result<bool, Fault>;

    /// Creates the partitions for these rows, where the database has partitions.
    fn ensure_partitions(&mut self, partition: Partition) -> Result<(), Fault>;

    /// Sends the COMMIT of the open Tx. After an error nothing of the Tx is committed, and
    /// `roll_back` ends it.
    fn send_commit(&mut self) -> Result<(), Fault>;

    /// Waits for the result of the oldest commit in flight, or until `is_enough`, which is
    /// evaluated whenever this thread is unparked. Returns whether the result is there.
    fn await_commit(&mut self, is_enough: &dyn Fn() -> bool) -> bool;

    /// Waits for the result of the oldest commit in flight: `Ok` if it is durable; after an error
    /// the Tx has ended without a commit, unless the error is [`Fault::Uncertain`].
    fn commit_result(&mut self) -> Result<(), Fault>;

    /// Rolls back the open Tx. After an error the writer stops for good.
    fn roll_back(&mut self) -> Result<(), Fault>;

    /// Is called when the queue has been empty for a while: the time for maintenance.
    fn on_idle(&mut self) {}
}

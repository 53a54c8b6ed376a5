//! The log of requests to the billing API: the latest of each account, for its own people.
//!
//! Nothing is decided by it. Secrets are taken out before a request arrives here. Invariant: an
//! account's log is bounded, so a list of it reads a bounded range of the primary key.

use crate::backend::{Sql, WriteKey, all, columns, first, from_row, values};
use crate::commit::{Commit, CommitNeeds, Tx, unrefused};
use crate::fault::Result;
use domain::{AccountId, Environment, KeyId, Timestamp};
use std::convert::Infallible;

/// A request to the billing API with its answer, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoggedRequest {
    /// Whose.
    pub account: AccountId,
    /// The environment of the keys.
    pub environment: Environment,
    /// Its name within the account and environment: the moment in microseconds.
    pub id: i64,
    /// The key pair; none: it was run from a page.
    pub key: Option<KeyId>,
    /// The client's address.
    pub address: String,
    /// `GET`, `POST`.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// The query, without secrets; may be empty.
    pub query: String,
    /// Of the answer.
    pub status: u16,
    /// The stable code of a refusal; empty: none.
    pub code: String,
    /// How long the answer took, in microseconds.
    pub took_us: u64,
    /// The request's body without secrets, cut; may be empty.
    pub sent: String,
    /// The answer's body without secrets, cut.
    pub answered: String,
}

columns! {
    LoggedRequest: account, environment, id, key, address, method, path, query, status, code,
    took_us, sent, answered
}

/// Keeps requests; then deletes the oldest of these accounts past so many.
#[derive(Clone, Debug)]
pub struct KeepRequests {
    /// What is kept; one of an id that is there already is not.
    pub requests: Vec<LoggedRequest>,
    /// Whose logs are cut.
    pub cut: Vec<(AccountId, Environment)>,
    /// To so many rows.
    pub rows_max: u32,
}

/// Deletes requests from before this moment, at most so many; answers how many.
#[derive(Clone, Copy, Debug)]
pub struct PruneRequests {
    /// What is older goes.
    pub before: Timestamp,
    /// At most so many at once.
    pub limit: u32,
}

/// Which requests of an account are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestFilter {
    /// The first digit of the status: `4` for 400 to 499; none: any.
    pub class: Option<u16>,
    /// The stable code; empty: any.
    pub code: String,
    /// The path, whole; empty: any.
    pub path: String,
    /// The key pair; none: any.
    pub key: Option<KeyId>,
    /// Only requests from then on.
    pub from: Option<Timestamp>,
    /// Only requests before then.
    pub until: Option<Timestamp>,
    /// Only requests before this one.
    pub before: Option<i64>,
    /// At most this many, latest first.
    pub limit: u32,
}

/// Errors of one kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorGroup {
    /// The path.
    pub path: String,
    /// The status.
    pub status: u16,
    /// The stable code; may be empty.
    pub code: String,
    /// How many there are.
    pub count: u64,
    /// The latest one.
    pub last: i64,
}

columns!(ErrorGroup: path, status, code, count, last);

impl Commit for KeepRequests {
    type Done = ();
    type Denied = Infallible;

    fn needs(&self) -> CommitNeeds<'_> {
        // It relies on nothing: a row that is there is left alone.
        CommitNeeds { is_optimistic: true, ..CommitNeeds::default() }
    }

    fn apply(&self, tx: &mut Tx<'_>) -> Result<()> {
        for r in &self.requests {
            tx.sql.defer(
                "INSERT INTO requests (account_id, environment, id, key_id, address, method, path,
                     query, status, code, took_us, sent, answered)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
                 ON CONFLICT DO NOTHING",
                WriteKey::Last,
                &values![
                    r.account,
                    r.environment,
                    r.id,
                    r.key.map(|key| key.0),
                    &r.address,
                    &r.method,
                    &r.path,
                    &r.query,
                    i64::from(r.status),
                    &r.code,
                    i64::try_from(r.took_us).unwrap_or(i64::MAX),
                    &r.sent,
                    &r.answered
                ],
                None,
            )?;
        }
        for (account, environment) in &self.cut {
            tx.sql.defer(
                "DELETE FROM requests WHERE account_id = $1 AND environment = $2 AND id <=
                     (SELECT id FROM requests WHERE account_id = $3 AND environment = $4
                      ORDER BY id DESC LIMIT 1 OFFSET $5)",
                WriteKey::Last,
                &values![*account, *environment, *account, *environment, self.rows_max],
                None,
            )?;
        }
        Ok(())
    }
}

unrefused!(PruneRequests, usize, |change, tx| tx.sql.execute(
    "DELETE FROM requests WHERE (account_id, environment, id) IN
         (SELECT account_id, environment, id FROM requests WHERE id < $1 ORDER BY id LIMIT $2)",
    &values![change.before, change.limit],
));

macro_rules! select_requests {
    ($rest:literal) => {
        concat!(
            "SELECT account_id, environment, id, key_id, address, method, path, query, status,
                 code, took_us, sent, answered FROM requests
             WHERE account_id = $1 AND environment = $2 AND ",
            $rest
        )
    };
}

pub(crate) const LIST: &str = select_requests!(
    "id < $3 AND id >= $4 AND status >= $5 AND status < $6 AND ($7 = '' OR code = $8)
         AND ($9 = '' OR path = $10) AND (CAST($11 AS BIGINT) = 0 OR key_id = $12)
     ORDER BY id DESC LIMIT $13"
);
pub(crate) const ERRORS: &str = "SELECT path, status, code, count(*), max(id) FROM requests
     WHERE account_id = $1 AND environment = $2 AND id >= $3 AND status >= 400
     GROUP BY path, status, code ORDER BY 4 DESC, 5 DESC LIMIT $4";

/// The requests of an account in an environment that pass a filter, latest first.
pub(crate) fn list(
    sql: &mut dyn Sql,
    account: AccountId,
    environment: Environment,
    filter: &RequestFilter,
) -> Result<Vec<LoggedRequest>> {
    let RequestFilter { class, code, path, key, from, until, before, limit } = filter;
    let (least, most) = class.map_or((0, 1_000), |class| (class * 100, class * 100 + 100));
    let until = until.map_or(i64::MAX, |until| until.0).min(before.unwrap_or(i64::MAX));
    let from = from.map_or(0, |from| from.0);
    let key = key.map_or(0, |key| key.0);
    let (least, most) = (i64::from(least), i64::from(most));
    let args = values![
        account,
        environment,
        until,
        from,
        least,
        most,
        code,
        code,
        path,
        path,
        key,
        key,
        *limit
    ];
    all(sql, LIST, &args, from_row)
}

/// One request of an account in an environment.
pub(crate) fn one(
    sql: &mut dyn Sql,
    account: AccountId,
    environment: Environment,
    id: i64,
) -> Result<Option<LoggedRequest>> {
    first(sql, select_requests!("id = $3"), &values![account, environment, id], from_row)
}

/// The errors of an account since a moment, by path and code, the most frequent first.
pub(crate) fn errors(
    sql: &mut dyn Sql,
    account: AccountId,
    environment: Environment,
    since: Timestamp,
    limit: u32,
) -> Result<Vec<ErrorGroup>> {
    all(sql, ERRORS, &values![account, environment, since, limit], from_row)
}

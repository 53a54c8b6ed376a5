//! The upstreams that staff have set up: rows in, rows out.
//!
//! A change notifies the other nodes under the topic of the catalog, because a route and its
//! upstreams are read together. Invariant: a row that somebody else has changed meanwhile is not
//! overwritten, and an upstream with open attempts is not removed.

use super::catalog::notify_nodes;
use crate::backend::{Columns, FromRow, Sql, all, columns, first, from_row, values};
use crate::commit::unrefused;
use crate::fault::{Fault, Result};
use crate::read::{json, to_json};
use domain::{Currency, Environment, PauseCause, Timestamp, UpstreamCode};
use std::collections::BTreeMap;

/// Our names for things, and the upstream's: `operator` → `GP` → `17`.
pub type UpstreamMaps = BTreeMap<String, BTreeMap<String, String>>;

/// Why an upstream gets no new orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pause {
    /// What ends it.
    pub cause: PauseCause,
    /// For people.
    pub reason: String,
    /// Who paused it, or changed its file; empty: nobody by name.
    pub by: String,
}

/// An upstream as it is set up.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredUpstream {
    /// Its name, which routes use.
    pub code: UpstreamCode,
    /// Which connector it has: `reloadly`.
    pub kind: String,
    /// Whose orders it may get.
    pub environment: Environment,
    /// Where it is called.
    pub url: String,
    /// The hosts that may be called.
    pub hosts: Vec<String>,
    /// The connector's own settings, as TOML.
    pub settings: String,
    /// Our names and theirs.
    pub maps: UpstreamMaps,
    /// The names of its secrets.
    pub secret_names: Vec<String>,
    /// The secrets by name, sealed.
    pub secrets: Vec<u8>,
    /// How many orders may be on their way to it; none: any number.
    pub calls_at_once: Option<u32>,
    /// The float's currency, once somebody has set a level.
    pub float_currency: Option<Currency>,
    /// Below this float staff are told.
    pub float_alert: Option<i64>,
    /// Below this float it gets no orders.
    pub float_stop: Option<i64>,
    /// Why it gets no new orders; none: it gets them.
    pub paused: Option<Pause>,
    /// What it says about older attempts is not evidence that it never had them: it was another
    /// account.
    pub account_since: Timestamp,
    /// When it was added.
    pub created_at: Timestamp,
    /// When it was removed: it gets no orders, and is asked about those that it has.
    pub removed_at: Option<Timestamp>,
    /// Counts its changes from 1.
    pub revision: i64,
}

/// Shows no secret, sealed or not.
impl std::fmt::Debug for StoredUpstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let StoredUpstream { code, kind, environment, url, revision, .. } = self;
        write!(f, "StoredUpstream({code} {kind} {} {url} {revision})", environment.code())
    }
}

/// Inserts an upstream, or replaces it whole.
#[derive(Clone, Debug)]
pub struct SetUpstream {
    /// The row; its revision is the one that was read, 0 for a new one.
    pub upstream: StoredUpstream,
    /// Whether it must have no open attempt.
    pub if_unused: bool,
}

/// What became of [`SetUpstream`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UpstreamSet {
    /// It is stored.
    Stored,
    /// Somebody else has changed it meanwhile, or has added it; nothing was written.
    Changed,
    /// It has open attempts; nothing was written.
    InUse(u32),
}

unrefused!(SetUpstream, UpstreamSet, |change, tx| {
    let upstream = &change.upstream;
    let stored = first(
        tx.sql,
        "SELECT revision, removed_at FROM upstreams WHERE code = $1",
        &values![&upstream.code],
        from_row::<(i64, Option<i64>)>,
    )?;
    let same_settings = first(
        tx.sql,
        "SELECT 1 FROM upstreams WHERE code = $1 AND kind = $2 AND settings = $3",
        &values![&upstream.code, &upstream.kind, &upstream.settings],
        |_| Ok(()),
    )?;
    let is_as_read = match stored {
        None => upstream.revision == 0,
        Some((_, Some(_))) if upstream.revision == 0 => true,
        Some((revision, _)) => revision == upstream.revision,
    };
    if !is_as_read {
        return Ok(UpstreamSet::Changed);
    }
    let open = open_attempts(tx.sql, &upstream.code)?;
    if change.if_unused && open > 0 {
        return Ok(UpstreamSet::InUse(open));
    }
    set(tx.sql, upstream, stored.map_or(0, |(revision, _)| revision) + 1)?;
    if stored.is_some() && upstream.revision == 0 {
        forget_earlier(tx.sql, &upstream.code)?;
    }
    if same_settings.is_none() {
        forget_refusals(tx.sql, &upstream.code)?;
    }
    notify_nodes(tx.sql, "catalog")?;
    Ok(UpstreamSet::Stored)
});

/// Staff have found out about a refusal of an upstream whose refusals are shown to them.
#[derive(Clone, Debug)]
pub struct NoteRefusal {
    /// The upstream.
    pub upstream: UpstreamCode,
    /// Whether it was one. If the order was delivered, none that was confirmed before counts.
    pub was_refused: bool,
}

unrefused!(NoteRefusal, (), |change, tx| match change.was_refused {
    true => tx.sql.run(
        "INSERT INTO upstream_refusals (code, confirmed) VALUES ($1, 1)
         ON CONFLICT (code) DO UPDATE SET confirmed = upstream_refusals.confirmed + 1",
        &values![&change.upstream],
    ),
    false => forget_refusals(tx.sql, &change.upstream),
});

/// What was told and paid at an earlier upstream of this code is nothing of the one that is added
/// now. What the ledger has stays there.
fn forget_earlier(sql: &mut dyn Sql, code: &UpstreamCode) -> Result<()> {
    for text in [
        "DELETE FROM upstream_balances WHERE code = $1",
        "DELETE FROM upstream_watch WHERE code = $1",
        "DELETE FROM upstream_floats WHERE code = $1",
        "DELETE FROM upstream_hours WHERE code = $1",
    ] {
        sql.run(text, &values![code])?;
    }
    forget_refusals(sql, code)
}

fn forget_refusals(sql: &mut dyn Sql, code: &UpstreamCode) -> Result<()> {
    sql.run("DELETE FROM upstream_refusals WHERE code = $1", &values![code])
}

/// How many refusals of an upstream staff have confirmed since its settings were changed.
pub(crate) fn confirmed_refusals(sql: &mut dyn Sql, code: &UpstreamCode) -> Result<u32> {
    let text = "SELECT confirmed FROM upstream_refusals WHERE code = $1";
    Ok(first(sql, text, &values![code], |row| row.u32(0))?.unwrap_or(0))
}

fn set(sql: &mut dyn Sql, u: &StoredUpstream, revision: i64) -> Result<()> {
    let (hosts, maps, names) = (to_json(&u.hosts)?, to_json(&u.maps)?, to_json(&u.secret_names)?);
    sql.run(
        "INSERT INTO upstreams (code, kind, environment, url, hosts, settings, maps, secret_names,
             secrets, calls_at_once, float_currency, float_alert, float_stop, paused, account_since,
             created_at, removed_at, revision, paused_cause, paused_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
             $19, $20)
         ON CONFLICT (code) DO UPDATE SET kind = excluded.kind, environment = excluded.environment,
             url = excluded.url, hosts = excluded.hosts, settings = excluded.settings,
             maps = excluded.maps, secret_names = excluded.secret_names, secrets = excluded.secrets,
             calls_at_once = excluded.calls_at_once, float_currency = excluded.float_currency,
             float_alert = excluded.float_alert, float_stop = excluded.float_stop,
             paused = excluded.paused, account_since = excluded.account_since,
             created_at = excluded.created_at, removed_at = excluded.removed_at,
             revision = excluded.revision, paused_cause = excluded.paused_cause,
             paused_by = excluded.paused_by",
        &values![
            &u.code,
            &u.kind,
            u.environment,
            &u.url,
            &hosts,
            &u.settings,
            &maps,
            &names,
            &u.secrets,
            u.calls_at_once,
            u.float_currency,
            u.float_alert,
            u.float_stop,
            u.paused.as_ref().map(|pause| pause.reason.as_str()),
            u.account_since,
            u.created_at,
            u.removed_at,
            revision,
            u.paused.as_ref().map(|pause| pause.cause.code()),
            u.paused.as_ref().map(|pause| pause.by.as_str())
        ],
    )
}

/// Every upstream, removed ones too, by code.
pub(crate) fn every(sql: &mut dyn Sql) -> Result<Vec<StoredUpstream>> {
    all(
        sql,
        "SELECT code, kind, environment, url, hosts, settings, maps, secret_names, secrets,
             calls_at_once, float_currency, float_alert, float_stop, paused_cause, paused,
             paused_by, account_since, created_at, removed_at, revision
         FROM upstreams ORDER BY code",
        &[],
        from_row,
    )
}

columns! {
    StoredUpstream: code, kind, environment, url, hosts by json, settings, maps by json,
    secret_names by json, secrets, calls_at_once, float_currency, float_alert, float_stop,
    paused by pause, account_since, created_at, removed_at, revision
}

fn pause(columns: &mut Columns<'_>) -> Result<Option<Pause>> {
    let cause = columns.next(|row, column| row.opt_text(column))?.and_then(PauseCause::from_code);
    let (reason, by): (Option<String>, Option<String>) = FromRow::read(columns)?;
    let Some(reason) = reason else { return Ok(None) };
    let cause = cause.ok_or_else(|| Fault::corrupt("why an upstream is paused"))?;
    Ok(Some(Pause { cause, reason, by: by.unwrap_or_default() }))
}

/// How many open purchases have their latest attempt at this upstream.
pub(crate) fn open_attempts(sql: &mut dyn Sql, code: &UpstreamCode) -> Result<u32> {
    let open = first(
        sql,
        "SELECT count(*) FROM jobs j JOIN purchases p ON p.id = j.purchase_id
             AND p.account_id = j.account_id AND p.environment = j.environment
         WHERE p.upstream = $1 AND p.state IN ('sent', 'in_doubt', 'with_staff')",
        &values![code],
        |row| row.u32(0),
    )?;
    Ok(open.unwrap_or(0))
}

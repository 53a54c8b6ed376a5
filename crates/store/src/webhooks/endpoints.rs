//! Where accounts' events are sent: endpoints, the health of addresses, hosts that are trusted.
//!
//! Nodes cache them and read them again when [`version`] has grown. Invariant: an endpoint's
//! secrets are sealed before they come here.

use crate::backend::{Sql, all, columns, from_row, number, values};
use crate::commit::unrefused;
use crate::fault::Result;
use crate::read::{json, to_json};
use domain::ids::{EndpointId, KeyId};
use domain::{AccountId, Environment, SuccessEvent, Timestamp};

/// A place that an account's events are sent to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its number; the endpoint of a key pair has the pair's number.
    pub id: EndpointId,
    /// The account that it belongs to.
    pub account: AccountId,
    /// Only events of this environment are sent to it.
    pub environment: Environment,
    /// The key pair that it belongs to; none: it gets the events of all the account's purchases.
    pub key: Option<KeyId>,
    /// The URL; the endpoint of a key pair may have none.
    pub url: Option<String>,
    /// Only events of these names; empty: all.
    pub events: Vec<String>,
    /// When a purchase by the key pair is reported as a success.
    pub success_event: SuccessEvent,
    /// The secret that signs its webhooks, sealed; none: not made yet.
    pub secret: Option<Vec<u8>>,
    /// The secret before, sealed: it signs too, until the given time.
    pub old_secret: Option<(Vec<u8>, Timestamp)>,
    /// When it was created.
    pub created_at: Timestamp,
    /// When it was removed: nothing is sent to it from then on.
    pub removed_at: Option<Timestamp>,
}

columns! {
    Endpoint: id, account, environment, key, url, events by json, success_event, secret, old_secret,
    created_at, removed_at
}

/// An address that an account's webhooks go to, in one environment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    /// The account whose webhooks go there.
    pub account: AccountId,
    /// The environment of the events.
    pub environment: Environment,
    /// Its URL.
    pub url: String,
}

columns!(Destination: account, environment, url);

/// The health of an address that does not work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointHealth {
    /// Since when every attempt has failed.
    pub since: Option<Timestamp>,
    /// Since when it is switched off, and why.
    pub off: Option<(Timestamp, String)>,
}

columns!(EndpointHealth: since, off);

/// Inserts an endpoint, or replaces it whole.
#[derive(Clone, Debug)]
pub struct SetEndpoint(pub Endpoint);

/// Sets the health of an address; none: it works.
#[derive(Clone, Debug)]
pub struct SetEndpointHealth(pub Destination, pub Option<EndpointHealth>);

/// Trusts a host: it has accepted enough webhooks.
#[derive(Clone, Debug)]
pub struct TrustHost {
    /// Host and port.
    pub host: String,
    /// Since when it is trusted.
    pub at: Timestamp,
}

unrefused!(SetEndpoint, (), |change, tx| set(tx.sql, &change.0));

unrefused!(SetEndpointHealth, (), |change, tx| set_health(tx.sql, &change.0, change.1.as_ref()));

unrefused!(TrustHost, (), |change, tx| {
    tx.sql.run(
        "INSERT INTO hosts (host, verified_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
        &values![&change.host, change.at],
    )
});

/// Inserts an endpoint, or replaces it.
pub(crate) fn set(sql: &mut dyn Sql, e: &Endpoint) -> Result<()> {
    let events = to_json(&e.events)?;
    let old = e.old_secret.as_ref();
    sql.run(
        "INSERT INTO endpoints (id, account_id, environment, key_id, url, events, success_event,
             secret, old_secret, old_secret_until, created_at, removed_at, changed)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12,
             (SELECT coalesce(max(changed), 0) + 1 FROM endpoints))
         ON CONFLICT (id, account_id) DO UPDATE SET url = excluded.url, events = excluded.events,
             success_event = excluded.success_event, secret = excluded.secret,
             old_secret = excluded.old_secret, old_secret_until = excluded.old_secret_until,
             removed_at = excluded.removed_at, changed = excluded.changed",
        &values![
            e.id,
            e.account,
            e.environment,
            e.key,
            &e.url,
            &events,
            e.success_event.code(),
            e.secret.as_ref(),
            old.map(|(secret, _)| secret),
            old.map(|(_, until)| *until),
            e.created_at,
            e.removed_at
        ],
    )
}

fn set_health(
    sql: &mut dyn Sql,
    address: &Destination,
    health: Option<&EndpointHealth>,
) -> Result<()> {
    let off = health.and_then(|t| t.off.as_ref());
    sql.run(
        "INSERT INTO troubles (account_id, environment, url, since, off_at, why, changed)
         VALUES ($1, $2, $3, $4, $5, $6, (SELECT coalesce(max(changed), 0) + 1 FROM troubles))
         ON CONFLICT (account_id, environment, url) DO UPDATE SET since = excluded.since,
             off_at = excluded.off_at, why = excluded.why, changed = excluded.changed",
        &values![
            address.account,
            address.environment,
            &address.url,
            health.and_then(|t| t.since),
            off.map(|(at, _)| at.0),
            off.map(|(_, why)| why)
        ],
    )
}

/// Grows with every change of an endpoint or of an address's health.
pub(crate) fn version(sql: &mut dyn Sql) -> Result<i64> {
    number(
        sql,
        "SELECT (SELECT coalesce(max(changed), 0) FROM endpoints)
             + (SELECT coalesce(max(changed), 0) FROM troubles)",
        &[],
    )
}

/// Every endpoint, removed ones too, oldest first.
pub(crate) fn every(sql: &mut dyn Sql) -> Result<Vec<Endpoint>> {
    all(
        sql,
        "SELECT id, account_id, environment, key_id, url, events, success_event, secret, old_secret,
             old_secret_until, created_at, removed_at FROM endpoints ORDER BY id",
        &[],
        from_row,
    )
}

/// Every address that fails or is switched off.
pub(crate) fn health(sql: &mut dyn Sql) -> Result<Vec<(Destination, EndpointHealth)>> {
    all(
        sql,
        "SELECT account_id, environment, url, since, off_at, why FROM troubles
         WHERE since IS NOT NULL OR off_at IS NOT NULL",
        &[],
        from_row,
    )
}

/// Every host that is trusted.
pub(crate) fn hosts(sql: &mut dyn Sql) -> Result<Vec<String>> {
    all(sql, "SELECT host FROM hosts", &[], from_row)
}

//! Whether the server keeps what it acknowledges: checked on every connection that writes, or that
//! looks up a commit, because after a reconnect another server may answer.
//!
//! `fsync` and `full_page_writes` may also be changed while a connection is open; the thread that
//! renews the lease reads them every second.

use super::server::Connection;
use crate::fault::Fault;
use std::time::Duration;

/// Keeps this connection's `synchronous_commit` as it is, whatever the server is told later.
const PIN: &str = "SELECT set_config('synchronous_commit', current_setting('synchronous_commit'), \
    false)";
/// The settings with which a commit that was acknowledged can be lost.
const LACKING: &str =
    "SELECT coalesce(string_agg(name || '=' || setting, ', '), '') FROM pg_settings
    WHERE (name IN ('fsync', 'full_page_writes') AND setting = 'off')
       OR (name = 'synchronous_commit' AND setting NOT IN ('on', 'remote_apply'))";
/// How many of the settings that belong to the whole server are off.
pub(super) const SERVER_SETTINGS_OFF: &str =
    "(SELECT count(*) FROM (VALUES ('fsync'), ('full_page_writes')) AS durability (name)
      WHERE current_setting(name) = 'off')";

/// The settings of this connection with which a commit can be lost, with their values; empty: none.
pub(super) fn lacking(connection: &Connection, timeout: Duration) -> Result<String, Fault> {
    connection.execute(PIN, timeout)?;
    connection.text(LACKING, timeout)
}

/// Refuses a connection on which a commit can be lost.
pub(super) fn require(connection: &Connection, timeout: Duration) -> Result<(), Fault> {
    match lacking(connection, timeout)? {
        found if found.is_empty() => Ok(()),
        found => Err(Fault::Unavailable(format!(
            "it could lose a committed recharge ({found}); set what is named to on"
        ))),
    }
}

//! Before a PostgreSQL database is used: the server's version and durability are checked, the
//! schema is upgraded.
//!
//! Invariant: a lock in the database lets only one node at a time upgrade the schema.

use super::server::{Connection, REPLY_TIMEOUT, Server};
use crate::backend::{MIGRATIONS, Migration};
use crate::fault::{Fault, OpenError};
use std::time::Duration;

/// The oldest major version with all that the schema needs; the one of Debian 12.
const MAJOR_VERSION_MIN: i64 = 15;
/// The advisory lock around an upgrade of the schema: "saldo" in ASCII.
const SCHEMA_LOCK: i64 = 0x73_616c_646f;
/// Long, because a migration may rebuild a table.
const MIGRATE_TIMEOUT: Duration = Duration::from_secs(3600);

/// Checks the server and upgrades the schema.
pub(super) fn prepare(server: &Server, connection: &Connection) -> Result<(), OpenError> {
    let broken = |fault: Fault| OpenError::Server(server.name().to_owned(), fault.to_string());
    refuse_unsafe(server, connection)?;
    connection
        .execute(&format!("SELECT pg_advisory_lock({SCHEMA_LOCK})"), MIGRATE_TIMEOUT)
        .map_err(broken)?;
    let migrated = migrate(server, connection);
    let unlock = format!("SELECT pg_advisory_unlock({SCHEMA_LOCK})");
    migrated.and(connection.execute(&unlock, REPLY_TIMEOUT).map_err(broken))
}

fn refuse_unsafe(server: &Server, connection: &Connection) -> Result<(), OpenError> {
    let name = || server.name().to_owned();
    let broken = |fault: Fault| OpenError::Server(name(), fault.to_string());
    let version = connection
        .number("SELECT current_setting('server_version_num')::int8 / 10000")
        .map_err(broken)?;
    if version < MAJOR_VERSION_MIN {
        return Err(OpenError::OldServer {
            server: name(),
            found: version,
            oldest: MAJOR_VERSION_MIN,
        });
    }
    let unsafe_settings =
        "SELECT coalesce(string_agg(name || '=' || setting, ', '), '') FROM pg_settings
        WHERE (name IN ('fsync', 'full_page_writes') AND setting = 'off')
           OR (name = 'synchronous_commit' AND setting NOT IN ('on', 'remote_apply'))";
    match connection.text(unsafe_settings, REPLY_TIMEOUT).map_err(broken)? {
        found if found.is_empty() => Ok(()),
        found => Err(OpenError::NotDurable(name(), found)),
    }
}

fn migrate(server: &Server, connection: &Connection) -> Result<(), OpenError> {
    let broken = |fault: Fault| OpenError::Server(server.name().to_owned(), fault.to_string());
    let has_version = connection
        .number(
            "SELECT count(*) FROM pg_tables
             WHERE schemaname = current_schema() AND tablename = 'schema_version'",
        )
        .map_err(broken)?;
    let found = match has_version {
        0 => 0,
        _ => connection.number("SELECT version FROM schema_version").map_err(broken)?,
    };
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(OpenError::NewerServer { server: server.name().to_owned(), found, known });
    }
    let done = usize::try_from(found).unwrap_or(0);
    for (version, step) in (1_i64..).zip(MIGRATIONS).skip(done) {
        connection.execute(&script(version, step), MIGRATE_TIMEOUT).map_err(|fault| {
            let _ = connection.execute("ROLLBACK", REPLY_TIMEOUT);
            broken(fault)
        })?;
    }
    Ok(())
}

/// A migration in its own Tx.
fn script(version: i64, step: &Migration) -> String {
    let common = step.common.replace("{{table}}", "").replace("{{clustered}}", "");
    let set_version = match version {
        1 => "CREATE TABLE schema_version (version BIGINT NOT NULL);
            INSERT INTO schema_version VALUES (1);"
            .to_owned(),
        _ => format!("UPDATE schema_version SET version = {version};"),
    };
    format!("BEGIN;\n{common}\n{}\n{set_version}\nCOMMIT;", step.postgres)
}

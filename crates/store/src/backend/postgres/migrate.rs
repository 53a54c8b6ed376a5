//! Before a PostgreSQL database is used: the server's version and durability are checked, the
//! schema is upgraded.
//!
//! Invariant: a lock in the database lets only one node at a time upgrade the schema.

use super::durability;
use super::server::{Connection, REPLY_TIMEOUT, Server};
use crate::backend::{MIGRATIONS, Migration, SCHEMA_VERSION};
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
    let broken = |fault: Fault| server.unusable(fault);
    refuse_unsafe(server, connection)?;
    let lock = format!("SELECT pg_advisory_lock({SCHEMA_LOCK})");
    connection.execute(&lock, MIGRATE_TIMEOUT).map_err(broken)?;
    let migrated = migrate(server, connection);
    let unlock = format!("SELECT pg_advisory_unlock({SCHEMA_LOCK})");
    migrated.and(connection.execute(&unlock, REPLY_TIMEOUT).map_err(broken))
}

fn refuse_unsafe(server: &Server, connection: &Connection) -> Result<(), OpenError> {
    let (name, broken) = (|| server.name().to_owned(), |fault: Fault| server.unusable(fault));
    let version = "SELECT current_setting('server_version_num')::int8 / 10000";
    let (found, oldest) = (connection.number(version).map_err(broken)?, MAJOR_VERSION_MIN);
    if found < oldest {
        return Err(OpenError::OldServer { server: name(), found, oldest });
    }
    match durability::lacking(connection, REPLY_TIMEOUT).map_err(broken)? {
        found if found.is_empty() => Ok(()),
        found => Err(OpenError::NotDurable(name(), found)),
    }
}

fn migrate(server: &Server, connection: &Connection) -> Result<(), OpenError> {
    let broken = |fault: Fault| server.unusable(fault);
    let has_version = "SELECT count(*) FROM pg_tables
        WHERE schemaname = current_schema() AND tablename = 'schema_version'";
    let found = match connection.number(has_version).map_err(broken)? {
        0 => 0,
        _ => connection.number("SELECT version FROM schema_version").map_err(broken)?,
    };
    if found > SCHEMA_VERSION {
        let (server, known) = (server.name().to_owned(), SCHEMA_VERSION);
        return Err(OpenError::NewerServer { server, found, known });
    }
    for (version, step) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
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

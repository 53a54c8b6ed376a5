//! A PostgreSQL database as the store wants it: new enough, durable, with the schema up to date.
//!
//! Invariant: two nodes that start together bring the schema up to date one after the other.

use super::link::{Line, PATIENCE, Server, fault, wait};
use crate::backend::{MIGRATIONS, Migration};
use crate::fault::{Fault, OpenError};
use std::time::Duration;

/// What the schema needs is in it, and Debian 12 has it.
const OLDEST_MAJOR: i64 = 15;
/// Held in the database while its schema changes. Spells "saldo".
const SCHEMA_LOCK: i64 = 0x73_616c_646f;
/// A step may rebuild a table.
const MIGRATE_WITHIN: Duration = Duration::from_secs(3600);

/// Checks the server and brings the schema up to date.
pub(super) fn prepare(server: &Server, line: &Line) -> Result<(), OpenError> {
    let broken = |fault: Fault| OpenError::Server(server.name().to_owned(), fault.to_string());
    refuse_unsafe(server, line)?;
    line.run(&format!("SELECT pg_advisory_lock({SCHEMA_LOCK})"), MIGRATE_WITHIN).map_err(broken)?;
    let migrated = migrate(server, line);
    let unlock = format!("SELECT pg_advisory_unlock({SCHEMA_LOCK})");
    migrated.and(line.run(&unlock, PATIENCE).map_err(broken))
}

fn refuse_unsafe(server: &Server, line: &Line) -> Result<(), OpenError> {
    let name = || server.name().to_owned();
    let broken = |fault: Fault| OpenError::Server(name(), fault.to_string());
    let version = line
        .number("SELECT current_setting('server_version_num')::int8 / 10000")
        .map_err(broken)?;
    if version < OLDEST_MAJOR {
        return Err(OpenError::OldServer { server: name(), found: version, oldest: OLDEST_MAJOR });
    }
    let unsafe_settings =
        "SELECT coalesce(string_agg(name || '=' || setting, ', '), '') FROM pg_settings
        WHERE (name IN ('fsync', 'full_page_writes') AND setting = 'off')
           OR (name = 'synchronous_commit' AND setting NOT IN ('on', 'remote_apply'))";
    match line.text(unsafe_settings, PATIENCE).map_err(broken)? {
        found if found.is_empty() => Ok(()),
        found => Err(OpenError::NotDurable(name(), found)),
    }
}

fn migrate(server: &Server, line: &Line) -> Result<(), OpenError> {
    let broken = |fault: Fault| OpenError::Server(server.name().to_owned(), fault.to_string());
    let has_version = line
        .number("SELECT count(*) FROM pg_tables WHERE schemaname = current_schema() AND tablename = 'schema_version'")
        .map_err(broken)?;
    let found = match has_version {
        0 => 0,
        _ => line.number("SELECT version FROM schema_version").map_err(broken)?,
    };
    let known = i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(OpenError::NewerServer { server: server.name().to_owned(), found, known });
    }
    let done = usize::try_from(found).unwrap_or(0);
    for (version, step) in (1_i64..).zip(MIGRATIONS).skip(done) {
        line.run(&script(version, step), MIGRATE_WITHIN).map_err(|fault| {
            let _ = line.run("ROLLBACK", PATIENCE);
            broken(fault)
        })?;
    }
    Ok(())
}

/// One step in a Tx of its own.
fn script(version: i64, step: &Migration) -> String {
    let common = step.common.replace("{{table}}", "").replace("{{clustered}}", "");
    let remember = match version {
        1 => "CREATE TABLE schema_version (version BIGINT NOT NULL); INSERT INTO schema_version VALUES (1);".to_owned(),
        _ => format!("UPDATE schema_version SET version = {version};"),
    };
    format!("BEGIN;\n{common}\n{}\n{remember}\nCOMMIT;", step.postgres)
}

impl Line {
    /// Runs statements that answer nothing.
    pub(super) fn run(&self, statements: &str, patience: Duration) -> Result<(), Fault> {
        let ran = wait(self.client.batch_execute(statements), patience);
        ran.ok_or_else(silent)?.map_err(|error| fault(&error))
    }

    /// The number that a query answers.
    pub(super) fn number(&self, query: &str) -> Result<i64, Fault> {
        let row = wait(self.client.query_one(query, &[]), PATIENCE).ok_or_else(silent)?;
        row.and_then(|row| row.try_get(0)).map_err(|error| fault(&error))
    }

    /// The text that a query answers.
    pub(super) fn text(&self, query: &str, within: Duration) -> Result<String, Fault> {
        let row = wait(self.client.query_one(query, &[]), within).ok_or_else(silent)?;
        row.and_then(|row| row.try_get(0)).map_err(|error| fault(&error))
    }
}

/// A server that takes a statement and answers nothing.
pub(super) fn silent() -> Fault {
    Fault::Unavailable("it does not answer".into())
}

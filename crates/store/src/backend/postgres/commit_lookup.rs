//! A commit whose reply is lost: looked up over another connection before anybody is answered.
//!
//! Invariant: "committed" is said only of what every later primary has too; "not committed" only
//! once the Tx has ended or can no longer commit. A Tx is sent whole, so it may not even have
//! begun.

use super::Postgres;
use super::durability;
use super::server::Server;
use super::write::{RETRY_DELAYS_MS, TxId, WRITE_LOCK, WRITER_SETTINGS};
use crate::fault::Fault;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// For a look-up: a client that waits for a commit and its look-up still gets its answer in time.
const LOOK_UP_TIMEOUT: Duration = Duration::from_secs(5);
/// Instead of a batch's number: neither the writer's row nor its run is there.
const TAKEN_OVER: i64 = -2;

impl Postgres {
    /// Finds out whether a Tx has committed whose COMMIT got no reply, or one that cannot be
    /// trusted: looks for the number of its batch, on a new connection to the host that takes
    /// writes now.
    pub(super) fn look_up(&mut self, tx: &TxId) -> Result<(), Fault> {
        let server = self.server.clone();
        self.disconnect();
        tracing::warn!(server = server.name(), "the reply to a commit was lost; it is looked up");
        let is_over = server.flag_after(LOOK_UP_TIMEOUT);
        while !is_over.load(Ordering::Acquire) {
            match find(&server, tx) {
                Ok(outcome) => return outcome,
                Err(fault) => tracing::debug!(%fault, "the commit could not be looked up yet"),
            }
            std::thread::sleep(Duration::from_millis(RETRY_DELAYS_MS[1]));
        }
        Err(Fault::Uncertain(
            "the reply to a commit was lost, and the database cannot be asked".into(),
        ))
    }
}

/// Looks under the writers' lock, so a Tx that was still running has ended. Commits something
/// itself, so a synchronous standby has what was found. The inner result is what became of the Tx;
/// the outer one fails if that could not be found out.
fn find(server: &Server, tx: &TxId) -> Result<Result<(), Fault>, Fault> {
    let connection = server.connect()?;
    connection.execute(WRITER_SETTINGS, LOOK_UP_TIMEOUT)?;
    durability::require(&connection, LOOK_UP_TIMEOUT)?;
    connection.execute("SET lock_timeout = '2s'; BEGIN", LOOK_UP_TIMEOUT)?;
    connection.execute(WRITE_LOCK, LOOK_UP_TIMEOUT)?;
    let batch = connection.number(&format!(
        "SELECT coalesce(max(batch), (SELECT count(*) + {TAKEN_OVER} FROM nodes WHERE run = {}))
         FROM writers WHERE token = '{}'",
        tx.run, tx.token
    ))?;
    if batch < tx.batch {
        // A Tx that is still on its way then fails, as after a take-over: its writer's row is gone.
        let fence = format!("DELETE FROM writers WHERE token = '{}'", tx.token);
        connection.execute(&fence, LOOK_UP_TIMEOUT)?;
    }
    connection.execute("SELECT pg_current_xact_id()", LOOK_UP_TIMEOUT)?;
    connection.execute("COMMIT", LOOK_UP_TIMEOUT)?;
    match connection.warned.load(Ordering::Acquire) {
        true => Err(Fault::Unavailable("what was found may not be replicated".into())),
        false if batch >= tx.batch => Ok(Ok(())),
        // The writer's row was deleted with its run: nobody can know any more.
        false if batch == TAKEN_OVER => Ok(Err(Fault::Uncertain(
            "the reply to a commit was lost, and other nodes have declared this one dead since"
                .into(),
        ))),
        false => Ok(Err(Fault::Unavailable("the connection was lost before the commit".into()))),
    }
}

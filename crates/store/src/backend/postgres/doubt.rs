//! A commit whose answer is lost: found out on another connection before anybody is answered.
//!
//! Invariant: "it is there" is said only of what any later primary has too, "it is not" only once the
//! Tx has ended, or can commit no more: a Tx is sent whole, and may not have begun yet.

use super::link::Server;
use super::{BACK_OFF, Mark, Postgres, WRITE_LOCK, WRITER_SETTINGS};
use crate::fault::Fault;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// For finding out what became of a commit (RELIABILITY.md P14).
const LOOK_UP_WITHIN: Duration = Duration::from_secs(5);

impl Postgres {
    /// A COMMIT was sent and its answer did not come, or is not to be trusted. Looks, on another
    /// connection to whichever host takes writes now, whether its Tx left its mark.
    pub(super) fn look_up(&mut self, mark: &Mark) -> Result<(), Fault> {
        let server = self.server.clone();
        tracing::warn!(server = server.name(), "the answer to a commit was lost; it is looked up");
        self.hang_up();
        let is_over = server.after(LOOK_UP_WITHIN);
        while !is_over.load(Ordering::Acquire) {
            match is_committed(&server, mark) {
                Ok(Found::Committed) => return Ok(()),
                Ok(Found::TakenOver) => {
                    return Err(Fault::Uncertain(
                        "the answer to a commit was lost, and others have taken this node for dead since"
                            .into(),
                    ));
                }
                Ok(Found::NotCommitted) => {
                    return Err(Fault::Unavailable(
                        "the connection was lost before the commit".into(),
                    ));
                }
                Err(fault) => tracing::debug!(%fault, "the commit could not be looked up yet"),
            }
            std::thread::sleep(BACK_OFF[1]);
        }
        Err(Fault::Uncertain(
            "the answer to a commit was lost, and the database cannot be asked".into(),
        ))
    }
}

/// What is found of a Tx.
enum Found {
    Committed,
    NotCommitted,
    /// Its mark went with its run: nobody can tell any more.
    TakenOver,
}

/// Asks under the writers' lock, so that a Tx that is still at it has ended; commits something, so
/// that a synchronous standby has what was found.
fn is_committed(server: &Server, mark: &Mark) -> Result<Found, Fault> {
    let line = server.connect()?;
    line.run(WRITER_SETTINGS, LOOK_UP_WITHIN)?;
    line.run("SET lock_timeout = '2s'; BEGIN", LOOK_UP_WITHIN)?;
    line.run(WRITE_LOCK, LOOK_UP_WITHIN)?;
    let found = line.number(&format!(
        "SELECT coalesce(max(batch), (SELECT count(*) - 2 FROM nodes WHERE run = {})) FROM writers WHERE token = '{}'",
        mark.run, mark.token
    ))?;
    if found < mark.batch {
        // What is still on its way finds its writer's row gone, as a node's does that was taken over.
        let fence = format!("DELETE FROM writers WHERE token = '{}'", mark.token);
        line.run(&fence, LOOK_UP_WITHIN)?;
    }
    line.run("SELECT pg_current_xact_id()", LOOK_UP_WITHIN)?;
    line.run("COMMIT", LOOK_UP_WITHIN)?;
    match line.warned.load(Ordering::Acquire) {
        true => Err(Fault::Unavailable("what was found may not be replicated".into())),
        false if found >= mark.batch => Ok(Found::Committed),
        false if found == -2 => Ok(Found::TakenOver),
        false => Ok(Found::NotCommitted),
    }
}

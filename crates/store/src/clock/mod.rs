//! What is stored about the installation's time: where it was last, and when it was moved.
//!
//! Not here: what the time is, and when it is moved (the engine's). Invariant: a move and the due
//! times that move with it are one commit.

use crate::backend::{Sql, all, columns, first, from_row, number, values};
use crate::commit::unrefused;
use crate::fault::Result;
use domain::Timestamp;

/// So many moves are read: they reach back further than anything waits.
const JUMPS_READ: i64 = 1000;

/// Moves what is due: by how much, and what is due later than this.
const MOVE_DUE: [&str; 3] = [
    "UPDATE jobs SET due_at = due_at + $1 WHERE due_at > $2",
    "UPDATE webhooks SET due_at = due_at + $1 WHERE due_at > $2",
    "UPDATE pushes SET due_at = due_at + $1 WHERE due_at > $2",
];

/// The installation's time was moved at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockJump {
    /// The time before.
    pub from: Timestamp,
    /// The time after.
    pub to: Timestamp,
}

columns!(ClockJump: from, to);

/// What is stored about the installation's time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ClockRecord {
    /// The last moves, first to last.
    pub jumps: Vec<ClockJump>,
    /// The number of the last move; 0 before the first.
    pub last_jump: i64,
    /// The time that a running node noted last.
    pub noted: Option<Timestamp>,
    /// The time of the newest journal.
    pub newest_journal: Option<Timestamp>,
}

/// A database server's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ServerTime {
    /// Its time.
    pub now: Timestamp,
    /// The number of the last move; 0 before the first.
    pub last_jump: i64,
}

columns!(ServerTime: now, last_jump);

/// Notes the installation's time.
#[derive(Clone, Copy, Debug)]
pub struct NoteTime(pub Timestamp);

/// Records a move. Answers `false`, and writes nothing, if another node has recorded one since.
#[derive(Clone, Copy, Debug)]
pub struct RecordClockJump {
    /// The move.
    pub jump: ClockJump,
    /// The number of the last move that is known here.
    pub known: i64,
    /// Whether everything that is due later moves with it, so that it waits as long as it would
    /// have; leases too.
    pub moves_due: bool,
}

pub(crate) fn record(sql: &mut dyn Sql) -> Result<ClockRecord> {
    let jumps = "SELECT seq, from_at, to_at FROM clock_jumps ORDER BY seq DESC LIMIT $1";
    let mut jumps: Vec<(i64, ClockJump)> = all(sql, jumps, &values![JUMPS_READ], from_row)?;
    jumps.reverse();
    let newest_journal = "SELECT at FROM journals WHERE seq = (SELECT max(seq) FROM journals)";
    Ok(ClockRecord {
        last_jump: jumps.last().map_or(0, |(seq, _)| *seq),
        jumps: jumps.into_iter().map(|(_, jump)| jump).collect(),
        noted: first(sql, "SELECT at FROM clock_notes WHERE id = 1", &[], from_row)?,
        newest_journal: first(sql, newest_journal, &[], from_row)?,
    })
}

pub(crate) fn server_time(sql: &mut dyn Sql) -> Result<ServerTime> {
    let read = first(
        sql,
        "SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::int8,
             (SELECT coalesce(max(seq), 0) FROM clock_jumps)",
        &[],
        from_row,
    )?;
    read.ok_or_else(|| crate::fault::Fault::corrupt("a clock without time"))
}

unrefused!(NoteTime, (), |change, tx| note(tx.sql, change.0));

fn note(sql: &mut dyn Sql, at: Timestamp) -> Result<()> {
    sql.run(
        "INSERT INTO clock_notes (id, at) VALUES (1, $1) ON CONFLICT (id) DO UPDATE
             SET at = excluded.at",
        &values![at],
    )
}

unrefused!(RecordClockJump, bool, |change, tx| {
    let last = number(tx.sql, "SELECT coalesce(max(seq), 0) FROM clock_jumps", &[])?;
    if last > change.known {
        return Ok(false);
    }
    let ClockJump { from, to } = change.jump;
    tx.sql.run(
        "INSERT INTO clock_jumps (seq, from_at, to_at) VALUES ($1, $2, $3)",
        &values![last + 1, from, to],
    )?;
    if change.moves_due {
        // What was due between the two moments of a step back is overdue, and stays so.
        let later_than = from.min(to);
        let by = to.0 - from.0;
        for statement in MOVE_DUE {
            tx.sql.run(statement, &values![by, later_than])?;
        }
    }
    note(tx.sql, to)?;
    Ok(true)
});

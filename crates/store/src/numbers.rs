//! Numbers of sequences: one for each kind of thing, over all nodes, never given twice.
//!
//! A node takes some numbers in a commit and then gives them out by itself; so giving one costs
//! nothing, and a number is used up before anybody sees it. A purchase's id is its number and the
//! day on which the number was taken. Invariant: days ascend with numbers, so a number tells its
//! day.

use crate::backend::{Sql, first, number, values};
use crate::commit::unrefused;
use crate::fault::{Fault, Result};
use domain::{Day, PurchaseId, PurchaseNumber, Sequence, Timestamp};

/// Takes the next numbers of a sequence.
#[derive(Clone, Copy, Debug)]
pub struct TakeNumbers {
    /// The sequence.
    pub of: Sequence,
    /// How many, at least 1.
    pub count: u32,
    /// The time of the installation.
    pub at: Timestamp,
}

/// Numbers that were taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenNumbers {
    /// The first of them; the others follow it.
    pub first: i64,
    /// The day that they belong to: of the time that was given, or a later one that has begun.
    pub day: Day,
}

unrefused!(TakeNumbers, TakenNumbers, |change, tx| {
    let TakeNumbers { of, count, at } = *change;
    let name = of.code();
    let counted = tx
        .sql
        .execute("UPDATE sequences SET last = last + $1 WHERE name = $2", &values![count, name])?;
    if counted != 1 {
        return Err(Fault::corrupt(format!("there is no sequence {name}")));
    }
    let last = number(tx.sql, "SELECT last FROM sequences WHERE name = $1", &values![name])?;
    let first_number = last + 1 - i64::from(count);
    let day = match of {
        Sequence::Purchase => begin_day(tx.sql, Day::of(at), first_number)?,
        Sequence::Account
        | Sequence::Key
        | Sequence::User
        | Sequence::Session
        | Sequence::Device
        | Sequence::Endpoint => Day::of(at),
    };
    Ok(TakenNumbers { first: first_number, day })
});

/// The day that purchases from this number on belong to: never an earlier one than before.
fn begin_day(sql: &mut dyn Sql, today: Day, first_number: i64) -> Result<Day> {
    let last = number(sql, "SELECT coalesce(max(day), 0) FROM purchase_days", &[])?;
    if last >= today.0 {
        return Ok(Day(last));
    }
    sql.run(
        "INSERT INTO purchase_days (day, first_number) VALUES ($1, $2)",
        &values![today.0, first_number],
    )?;
    Ok(today)
}

/// The id of a purchase's number, whether there is such a purchase or not; `None` for what can be
/// no number.
pub(crate) fn id_of(sql: &mut dyn Sql, number: PurchaseNumber) -> Result<Option<PurchaseId>> {
    let of_before = PurchaseId(number.0);
    if !number.is_of_sequence() {
        return Ok((number.0 > 0 && !of_before.is_numbered()).then_some(of_before));
    }
    let day = first(
        sql,
        "SELECT day FROM purchase_days WHERE first_number <= $1
         ORDER BY first_number DESC LIMIT 1",
        &values![number.0],
        |row| row.int(0).map(Day),
    )?;
    Ok(Some(day.map_or(of_before, |day| PurchaseId::given_on(day, number))))
}

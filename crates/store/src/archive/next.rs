//! Which month is archived next, and its place in the ledger.
//!
//! Found with few queries however long the history is.

use super::{ClosedMonth, Closing};
use crate::backend::{Sql, all, first, from_row, number, values};
use crate::fault::{Fault, Result};
use crate::ledger::GENESIS;
use domain::ids::FIRST_NUMBERED;
use domain::{Month, PurchaseId, Timestamp};

/// The month that is next to be archived, if it is before `before`: one that is closed already, or
/// the first that has any rows.
pub(crate) fn next(sql: &mut dyn Sql, before: Month, now: Timestamp) -> Result<Option<Closing>> {
    sql.begin_snapshot()?;
    let found = next_in_snapshot(sql, before, now);
    sql.end_snapshot()?;
    found
}

fn next_in_snapshot(sql: &mut dyn Sql, before: Month, now: Timestamp) -> Result<Option<Closing>> {
    let rows: Vec<(Closing, Option<[u8; 32]>)> = all(
        sql,
        "SELECT month, ids_below, last_journal, last_hash, first_journal, hash_before, closed_at,
             digest FROM archives ORDER BY month DESC LIMIT 2",
        &[],
        from_row,
    )?;
    let mut rows = rows.into_iter();
    let last = rows.next();
    let ids_from = rows.next().map_or(0, |(closing, _)| closing.ids_below);
    let archived = match last {
        Some((closing, None)) => {
            return Ok((closing.month < before).then_some(Closing { ids_from, ..closing }));
        }
        Some((closing, Some(_))) => Some(closing.as_closed()),
        None => None,
    };
    first_month(sql, archived, before, now)
}

fn first_month(
    sql: &mut dyn Sql,
    archived: Option<ClosedMonth>,
    before: Month,
    at: Timestamp,
) -> Result<Option<Closing>> {
    let (seq, hash_before) = archived.map_or((0, GENESIS), |c| (c.last_journal, c.last_hash));
    let ids_from = archived.map_or(0, |c| c.ids_below);
    let journal = month_at(sql, seq + 1)?;
    let purchase = first(
        sql,
        "SELECT id FROM purchases WHERE id >= $1 ORDER BY id LIMIT 1",
        &values![ids_from],
        |row| Ok(Month::of_id(PurchaseId(row.int(0)?))),
    )?;
    let Some(month) = [journal, purchase].into_iter().flatten().min().filter(|m| *m < before)
    else {
        return Ok(None);
    };
    let last = last_of(sql, month, seq)?;
    let last_hash = match last > seq {
        true => first(sql, "SELECT hash FROM journals WHERE seq = $1", &values![last], from_row)?
            .ok_or_else(|| Fault::corrupt(format!("journal {last} is not there")))?,
        false => hash_before,
    };
    Ok(Some(Closing {
        month,
        journals: (seq + 1, last),
        hashes: (hash_before, last_hash),
        ids_from,
        ids_below: ids_below(sql, month)?,
        at,
    }))
}

/// Below which id the purchases of a month and of those before are: below the ids of the month
/// after it, and if that was before there were numbers, below its ids of before.
fn ids_below(sql: &mut dyn Sql, month: Month) -> Result<i64> {
    let next_old = month.next().first_old_id();
    let has_later_old = first(
        sql,
        "SELECT 1 FROM purchases WHERE id >= $1 AND id < $2 LIMIT 1",
        &values![next_old, FIRST_NUMBERED],
        |row| row.int(0),
    )?;
    Ok(has_later_old.map_or(month.next().first_id(), |_| next_old))
}

fn month_at(sql: &mut dyn Sql, seq: i64) -> Result<Option<Month>> {
    first(sql, "SELECT month FROM journals WHERE seq = $1", &values![seq], from_row)
}

/// The last journal of the months up to `up_to`, after the journal `seq`. Months never step back
/// along the chain, so binary search finds it.
fn last_of(sql: &mut dyn Sql, up_to: Month, seq: i64) -> Result<i64> {
    let end = "SELECT coalesce(max(seq), 0) FROM journals WHERE seq > $1";
    let (mut is_in, mut beyond) = (seq, number(sql, end, &values![seq])?.max(seq) + 1);
    while beyond - is_in > 1 {
        let middle = is_in + (beyond - is_in) / 2;
        match month_at(sql, middle)? {
            Some(month) if month <= up_to => is_in = middle,
            Some(_) => beyond = middle,
            None => return Err(Fault::corrupt(format!("journal {middle} is not there"))),
        }
    }
    Ok(is_in)
}

//! An archive's file: one closed month as a database of its own, with the same tables.
//!
//! It begins where the month before it ended, as the live ledger begins after its last archive, so
//! one audit reads both. Not here: the folder of the files, and their manifests (the app's).

use super::{Closing, hash};
use crate::backend::sqlite::{Sqlite, make_private_file};
use crate::backend::{Row, Sql, Value, all, first, from_row, number, value_of, values};
use crate::fault::{Fault, Result};
use crate::read::purchase_columns;
use ring::digest;
use std::collections::BTreeMap;
use std::fs::{File, Permissions};
use std::io::Read as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Rows between two checks whether the file is still wanted.
const CHECK_EVERY: u64 = 1_024;

/// A month in a file, and what it carries forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveFile {
    /// The month, as it was closed.
    pub closing: Closing,
    /// The file's size.
    pub bytes: u64,
    /// The file's SHA-256.
    pub digest: [u8; 32],
    /// The number of journals in it.
    pub journals: i64,
    /// The number of entries in it.
    pub entries: i64,
    /// The number of purchases in it.
    pub purchases: i64,
    /// The balance of each ledger account at the month's end, by its number.
    pub(crate) carried: BTreeMap<i64, i64>,
    /// The number of payments booked until then, by account and environment.
    pub(crate) payments: BTreeMap<(i64, String), i64>,
}

/// One table of a month: how its rows are read from the live ledger and written to the file.
struct Part {
    table: &'static str,
    read: &'static str,
    put: &'static str,
    /// A letter for each column: i(nteger), t(ext) or b(ytes).
    kinds: &'static str,
    by: By,
}

/// What limits a month's rows of a table.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    /// The ids of purchases.
    Ids,
    /// The numbers of journals.
    Journals,
}

/// A table whose rows are read without a join.
macro_rules! part {
    (
        $by:ident, $table:literal, $columns:expr, $values:literal, $kinds:literal,
        $where:literal
    ) => {
        Part {
            table: $table,
            read: concat!("SELECT ", $columns, " FROM ", $table, " WHERE ", $where),
            put: concat!("INSERT INTO ", $table, " (", $columns, ") VALUES (", $values, ")"),
            kinds: $kinds,
            by: By::$by,
        }
    };
}

/// The tables that are archived with a month. A test compares their columns with the schema.
const PARTS: [Part; 9] = [
    part!(
        Ids,
        "purchases",
        concat!(purchase_columns!(), ", row_digest"),
        "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, \
         $20, $21, $22, $23, $24, $25, $26, $27, $28",
        "iitttitttttiiiitttiitttiiitb",
        "id >= $1 AND id < $2 ORDER BY id"
    ),
    part!(
        Ids,
        "attempts",
        "purchase_id, account_id, environment, number, upstream, started_at, outcome, \
         upstream_reference, text, heard_at, row_digest, outcome_digest, passed_over, \
         cost_currency, cost",
        "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15",
        "iitititttibbtti",
        "purchase_id >= $1 AND purchase_id < $2 ORDER BY purchase_id, number"
    ),
    part!(
        Ids,
        "events",
        "purchase_id, account_id, environment, sequence, state, at, told_at",
        "$1, $2, $3, $4, $5, $6, $7",
        "iititii",
        "purchase_id >= $1 AND purchase_id < $2 ORDER BY purchase_id, sequence"
    ),
    part!(
        Ids,
        "evidence",
        "purchase_id, account_id, environment, line, at, source, attempt, word, text, \
         upstream_reference",
        "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10",
        "iitiitittt",
        "purchase_id >= $1 AND purchase_id < $2 ORDER BY purchase_id, line"
    ),
    part!(
        Ids,
        "slips",
        "purchase_id, account_id, environment, upstream, body, at",
        "$1, $2, $3, $4, $5, $6",
        "iittti",
        "purchase_id >= $1 AND purchase_id < $2 ORDER BY purchase_id, upstream"
    ),
    part!(
        Ids,
        "cases",
        "purchase_id, account_id, environment, why, opened_at, text, closed_at",
        "$1, $2, $3, $4, $5, $6, $7",
        "iittiti",
        "purchase_id >= $1 AND purchase_id < $2 ORDER BY purchase_id, why"
    ),
    Part {
        table: "claims",
        read: "SELECT c.account_id, c.environment, c.space, c.reference, c.purchase_id, c.digest, \
               c.at, c.row_digest FROM purchases p JOIN claims c \
               ON c.account_id = p.account_id AND \
               c.environment = p.environment AND c.space = p.space AND c.reference = p.reference \
               WHERE p.id >= $1 AND p.id < $2 ORDER BY p.id",
        put: "INSERT INTO claims (account_id, environment, space, reference, purchase_id, digest, \
              at, row_digest) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        kinds: "itttibib",
        by: By::Ids,
    },
    part!(
        Journals,
        "journals",
        "seq, account_id, environment, purchase_id, reason, note, at, hash, listed, month",
        "$1, $2, $3, $4, $5, $6, $7, $8, $9, $10",
        "iitittibii",
        "seq >= $1 AND seq <= $2 ORDER BY seq"
    ),
    part!(
        Journals,
        "entries",
        "journal_seq, line, debit_id, credit_id, amount, month",
        "$1, $2, $3, $4, $5, $6",
        "iiiiii",
        "journal_seq >= $1 AND journal_seq <= $2 ORDER BY journal_seq, line"
    ),
];

/// What is carried forward, and the rows of each table, as they are counted.
#[derive(Default)]
struct Sums {
    carried: BTreeMap<i64, i64>,
    payments: BTreeMap<(i64, String), i64>,
    counts: BTreeMap<&'static str, i64>,
}

/// Writes a closed month into a new file, flushed and read-only.
pub(crate) fn write(
    source: &mut dyn Sql,
    closing: &Closing,
    path: &Path,
    is_wanted: &dyn Fn() -> bool,
) -> Result<ArchiveFile> {
    make_private_file(path).map_err(Fault::database)?;
    let mut file = Sqlite::blank(path)?;
    source.begin_snapshot()?;
    let copied = copy(source, &mut file, closing, is_wanted);
    source.end_snapshot()?;
    let sums = copied?;
    file.seal()?;
    drop(file);
    let written = File::open(path).map_err(Fault::database)?;
    written.set_permissions(Permissions::from_mode(0o400)).map_err(Fault::database)?;
    written.sync_all().map_err(Fault::database)?;
    let (bytes, digest) = digest_of(path)?;
    let count = |table| sums.counts.get(table).copied().unwrap_or(0);
    Ok(ArchiveFile {
        closing: closing.clone(),
        bytes,
        digest,
        journals: count("journals"),
        entries: count("entries"),
        purchases: count("purchases"),
        carried: sums.carried,
        payments: sums.payments,
    })
}

/// A file's size in bytes, and its SHA-256.
pub(crate) fn digest_of(path: &Path) -> Result<(u64, [u8; 32])> {
    let mut file = File::open(path).map_err(Fault::database)?;
    let mut sum = digest::Context::new(&digest::SHA256);
    let (mut part, mut bytes) = (vec![0; 1 << 16], 0);
    loop {
        let length = file.read(&mut part).map_err(Fault::database)?;
        let Some(read) = part.get(..length).filter(|read| !read.is_empty()) else { break };
        sum.update(read);
        bytes += length as u64;
    }
    Ok((bytes, hash(sum.finish().as_ref())?))
}

fn copy(
    source: &mut dyn Sql,
    file: &mut Sqlite,
    closing: &Closing,
    is_wanted: &dyn Fn() -> bool,
) -> Result<Sums> {
    let mut sums = begin(source, file, closing)?;
    let mut rows = 0_u64;
    for part in &PARTS {
        let (from, to) = match part.by {
            By::Ids => (closing.ids_from, closing.ids_below),
            By::Journals => closing.journals,
        };
        source.query(part.read, &values![from, to], &mut |row| {
            rows += 1;
            if rows.is_multiple_of(CHECK_EVERY) && !is_wanted() {
                return Err(Fault::Closed);
            }
            sums.add(part.table, row)?;
            file.run(part.put, &values(row, part.kinds)?)
        })?;
    }
    finish(source, file, &sums)?;
    Ok(sums)
}

/// A row's values, by the letters of [`Part::kinds`].
fn values<'a>(row: &'a dyn Row, kinds: &str) -> Result<Vec<Value<'a>>> {
    kinds.bytes().enumerate().map(|(column, kind)| value_of(row, column, kind)).collect()
}

impl Sums {
    fn add(&mut self, table: &'static str, row: &dyn Row) -> Result<()> {
        *self.counts.entry(table).or_default() += 1;
        match table {
            // seq, account_id, environment, purchase_id, …
            "journals" if row.opt_int(3)?.is_none() => {
                let account = (row.int(1)?, row.text(2)?.to_owned());
                *self.payments.entry(account).or_default() += 1;
            }
            // journal_seq, line, debit_id, credit_id, amount, …
            "entries" => {
                let amount = row.int(4)?;
                *self.carried.entry(row.int(2)?).or_default() -= amount;
                *self.carried.entry(row.int(3)?).or_default() += amount;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Writes the end of the month before, and the month itself.
fn begin(source: &mut dyn Sql, file: &mut Sqlite, closing: &Closing) -> Result<Sums> {
    file.execute("BEGIN", &[])?;
    let mut sums = Sums::default();
    let before = first(
        source,
        "SELECT month, ids_below, first_journal, last_journal, hash_before, last_hash, closed_at,
             archived_at, file, digest, journals, entries, purchases
         FROM archives WHERE digest IS NOT NULL ORDER BY month DESC LIMIT 1",
        &[],
        |row| {
            file.execute(
                "INSERT INTO archives (month, ids_below, first_journal, last_journal, hash_before,
                     last_hash, closed_at, archived_at, file, digest, journals, entries, purchases)
                 VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
                &values(row, "iiiibbiitbiii")?,
            )?;
            row.int(0)
        },
    )?;
    if let Some(month) = before {
        let carried = "SELECT ledger_account_id, balance FROM carried WHERE month = $1";
        sums.carried = all(source, carried, &values![month], from_row)?.into_iter().collect();
        let payments =
            "SELECT account_id, environment, payments FROM carried_payments WHERE month = $1";
        sums.payments = all(source, payments, &values![month], from_row)?.into_iter().collect();
        super::write::carry(file, month, &sums.carried, &sums.payments)?;
    }
    super::write::insert_closing(file, closing)?;
    Ok(sums)
}

/// Writes the ledger accounts with their balances at the month's end, and commits.
fn finish(source: &mut dyn Sql, file: &mut Sqlite, sums: &Sums) -> Result<()> {
    source.query(
        "SELECT id, account_id, environment, currency, purpose, upstream, floor
         FROM ledger_accounts",
        &[],
        &mut |row| {
            let id = row.int(0)?;
            file.run(
                "INSERT INTO ledger_accounts (id, account_id, environment, currency, purpose,
                     upstream, balance, floor) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
                &values![
                    id,
                    row.int(1)?,
                    row.text(2)?,
                    row.text(3)?,
                    row.text(4)?,
                    row.text(5)?,
                    sums.carried.get(&id).copied().unwrap_or(0),
                    row.opt_int(6)?
                ],
            )
        },
    )?;
    file.run("COMMIT", &[])
}

/// The month that a file contains, by its own record.
pub(crate) fn month_in(file: &mut dyn Sql) -> Result<Option<Closing>> {
    let found = all(
        file,
        "SELECT month, ids_below, last_journal, last_hash, first_journal, hash_before, closed_at
         FROM archives WHERE digest IS NULL",
        &[],
        from_row,
    )?;
    let earlier = "SELECT coalesce(max(ids_below), 0) FROM archives WHERE digest IS NOT NULL";
    let ids_from = number(file, earlier, &[])?;
    Ok(match <[Closing; 1]>::try_from(found) {
        Ok([closing]) => Some(Closing { ids_from, ..closing }),
        Err(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A column that a later schema adds must be archived too.
    #[test]
    fn every_column_is_archived() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = Sqlite::blank(&folder.path().join("blank.db")).unwrap();
        for part in &PARTS {
            let sql = "SELECT name, type FROM pragma_table_info($1)";
            let columns: Vec<(String, String)> =
                all(&mut file, sql, &values![part.table], from_row).unwrap();
            let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
            let kinds: String = columns.iter().map(|(_, kind)| kind[..1].to_lowercase()).collect();
            assert_eq!(kinds, part.kinds, "{}", part.table);
            let put = format!("INSERT INTO {} ({})", part.table, names.join(", "));
            assert!(part.put.starts_with(&put), "{put}");
            let read = part.read.replace("c.", "").replace("p.", "");
            assert!(read.starts_with(&format!("SELECT {} ", names.join(", "))), "{}", part.table);
        }
    }
}

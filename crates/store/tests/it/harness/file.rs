//! Statements on a SQLite file, without the store.

use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::types::ValueRef;
use rusqlite::{Batch, Connection, Error};
use std::path::Path;

/// Runs statements; returns the first column of the last one's rows as text.
pub fn run(file: &Path, statements: &str) -> Result<Vec<String>, String> {
    rows(file, statements).map_err(|error| error.to_string())
}

/// What SQLite's plan of a statement says.
pub fn plan(file: &Path, statement: &str) -> String {
    let sql = Connection::open(file).unwrap();
    let mut explained = sql.prepare(&format!("EXPLAIN QUERY PLAN {statement}")).unwrap();
    let mut rows = explained.raw_query();
    let mut lines = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        lines.push(row.get::<_, String>(3).unwrap());
    }
    lines.join("\n")
}

fn rows(file: &Path, statements: &str) -> Result<Vec<String>, Error> {
    let sql = Connection::open(file)?;
    let mut batch = Batch::new(&sql, statements);
    let mut found = Vec::new();
    while let Some(mut statement) = batch.next()? {
        found.clear();
        let mut rows = statement.raw_query();
        while let Some(row) = rows.next()? {
            found.push(match row.get_ref(0)? {
                ValueRef::Null => String::new(),
                ValueRef::Integer(number) => number.to_string(),
                ValueRef::Real(number) => number.to_string(),
                ValueRef::Text(text) => String::from_utf8_lossy(text).into_owned(),
                ValueRef::Blob(_) => panic!("bytes are no text"),
            });
        }
    }
    Ok(found)
}

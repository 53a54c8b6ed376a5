//! Statements on a SQLite file, without the store.

use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::types::ValueRef;
use rusqlite::{Batch, Connection, Error};
use std::path::Path;

/// Runs statements; returns the first column of the last one's rows as text.
pub fn run(file: &Path, statements: &str) -> Result<Vec<String>, String> {
    rows(file, statements).map_err(|error| error.to_string())
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

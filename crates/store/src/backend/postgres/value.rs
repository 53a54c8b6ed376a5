//! Values as PostgreSQL's binary parameters, one by one or as arrays, and rows of its results.
//!
//! Invariant: no text with a NUL is sent, because PostgreSQL refuses it.

use super::errors::fault;
use crate::backend::{Row, Value};
use crate::fault::Fault;
use bytes::{BufMut, BytesMut};
use std::borrow::Cow;
use std::error::Error;
use tokio_postgres::types::{FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};

type Encoded = Result<IsNull, Box<dyn Error + Sync + Send>>;

/// A parameter that a statement owns until it is sent.
#[derive(Debug)]
pub(super) enum Owned {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
    /// Of a statement for sets.
    Array(Column),
}

impl From<&Value<'_>> for Owned {
    fn from(value: &Value<'_>) -> Self {
        match value {
            Value::Null => Owned::Null,
            Value::Int(n) => Owned::Int(*n),
            Value::Text(s) => Owned::Text(without_nul(s).into_owned()),
            Value::Bytes(b) => Owned::Bytes(b.to_vec()),
        }
    }
}

impl ToSql for Owned {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Encoded {
        match self {
            Owned::Null => return Ok(IsNull::Yes),
            Owned::Int(n) if *kind == Type::INT4 => out.put_i32(i32::try_from(*n)?),
            Owned::Int(n) => out.put_i64(*n),
            Owned::Text(s) => out.put_slice(s.as_bytes()),
            Owned::Bytes(b) => out.put_slice(b),
            Owned::Array(column) => column.encode(kind, out)?,
        }
        Ok(IsNull::No)
    }

    /// The store's tests run every statement, so a wrong type shows there.
    fn accepts(_kind: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// PostgreSQL refuses a NUL in a text. An upstream that sends one must not prevent its purchase
/// from being settled, so it is stored as the replacement character.
fn without_nul(text: &str) -> Cow<'_, str> {
    match text.contains('\0') {
        true => Cow::Owned(text.replace('\0', "\u{fffd}")),
        false => Cow::Borrowed(text),
    }
}

/// The values of one placeholder for many rows, encoded as an array.
#[derive(Clone, Debug, Default)]
pub(super) struct Column {
    count: i32,
    has_null: bool,
    body: Vec<u8>,
}

impl Column {
    pub(super) fn push(&mut self, value: &Value<'_>) {
        self.count += 1;
        match value {
            Value::Null => {
                self.has_null = true;
                self.body.put_i32(-1);
            }
            Value::Int(n) => {
                self.body.put_i32(8);
                self.body.put_i64(*n);
            }
            Value::Text(s) => self.push_bytes(without_nul(s).as_bytes()),
            Value::Bytes(b) => self.push_bytes(b),
        }
    }

    /// A value of more than 2 GiB makes the array invalid; PostgreSQL would not accept it anyway.
    fn push_bytes(&mut self, bytes: &[u8]) {
        self.body.put_i32(i32::try_from(bytes.len()).unwrap_or(i32::MAX));
        self.body.put_slice(bytes);
    }

    fn encode(&self, kind: &Type, out: &mut BytesMut) -> Result<(), &'static str> {
        let Kind::Array(element) = kind.kind() else { return Err("a column is sent as an array") };
        out.put_i32(1); // dimensions
        out.put_i32(i32::from(self.has_null));
        out.put_u32(element.oid());
        out.put_i32(self.count);
        out.put_i32(1); // the first index
        out.put_slice(&self.body);
        Ok(())
    }
}

pub(super) struct PgRow(pub(super) tokio_postgres::Row);

impl PgRow {
    fn get<'a, T: FromSql<'a>>(&'a self, column: usize) -> Result<Option<T>, Fault> {
        self.0.try_get(column).map_err(|error| match error.as_db_error() {
            Some(_) => fault(&error),
            None => Fault::corrupt(error),
        })
    }
}

impl Row for PgRow {
    fn opt_int(&self, column: usize) -> Result<Option<i64>, Fault> {
        match self.0.columns().get(column).is_some_and(|c| *c.type_() == Type::INT4) {
            true => Ok(self.get::<i32>(column)?.map(i64::from)),
            false => self.get(column),
        }
    }

    fn opt_text(&self, column: usize) -> Result<Option<&str>, Fault> {
        self.get(column)
    }

    fn opt_bytes(&self, column: usize) -> Result<Option<&[u8]>, Fault> {
        self.get(column)
    }
}

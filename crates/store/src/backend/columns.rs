//! The columns of a row as values: the way back from parameters.
//!
//! A struct that is read from a row lists its fields once, in the order of the columns, with
//! [`columns`]; nobody counts columns then. Not here: which words a column may have (`read`).

use super::{Row, Value};
use crate::fault::{Fault, Result};
use domain::ids::{DeviceId, EndpointId, KeyId, SessionId, UserId};
use domain::{
    AccountId, CategoryId, Currency, Money, Month, ProductId, PurchaseId, PurchaseKey, Timestamp,
    UpstreamCode,
};

/// A row, and its next column that is not read yet.
pub(crate) struct Columns<'r> {
    row: &'r dyn Row,
    next: usize,
}

impl<'r> Columns<'r> {
    /// Reads the next column by this method of a row.
    pub(crate) fn next<T>(
        &mut self,
        read: impl FnOnce(&'r dyn Row, usize) -> Result<T>,
    ) -> Result<T> {
        let column = self.next;
        self.next += 1;
        read(self.row, column)
    }
}

/// A value that is read from the next columns of a row.
pub(crate) trait FromRow: Sized {
    fn read(columns: &mut Columns<'_>) -> Result<Self>;
}

/// Reads a row, from its first column on.
pub(crate) fn from_row<T: FromRow>(row: &dyn Row) -> Result<T> {
    T::read(&mut Columns { row, next: 0 })
}

/// Lists the fields of a struct in the order of the columns that they are read from. Behind `by`
/// stands what reads a field that has a way of its own.
macro_rules! columns {
    (@field $columns:ident) => { $crate::backend::FromRow::read($columns)? };
    (@field $columns:ident $read:path) => { $read($columns)? };
    ($type:ident: $($field:ident $(by $read:path)?),+) => {
        impl $crate::backend::FromRow for $type {
            fn read(columns: &mut $crate::backend::Columns<'_>) -> $crate::fault::Result<Self> {
                Ok($type { $($field: $crate::backend::columns!(@field columns $($read)?)),+ })
            }
        }
    };
}
pub(crate) use columns;

/// A column as a parameter. Its kind is a letter: i(nteger), t(ext), b(ytes), or 0 for one that is
/// taken as NULL.
pub(crate) fn value_of(row: &dyn Row, column: usize, kind: u8) -> Result<Value<'_>> {
    Ok(match kind {
        b'i' => row.opt_int(column)?.into(),
        b't' => row.opt_text(column)?.into(),
        b'0' => Value::Null,
        _ => row.opt_bytes(column)?.into(),
    })
}

/// A value that is stored in one column.
pub(crate) trait Column: Sized {
    /// The value; NULL is corruption.
    fn one(row: &dyn Row, column: usize) -> Result<Self>;

    /// The value; `None`: NULL.
    fn opt(row: &dyn Row, column: usize) -> Result<Option<Self>>;
}

/// How values of these types are made of what is stored; `$one` and `$opt` are methods of a row.
macro_rules! stored_as {
    ($one:ident, $opt:ident: $($type:ty, $stored:ident => $value:expr;)+) => {$(
        impl $crate::backend::Column for $type {
            fn one(row: &dyn $crate::backend::Row, column: usize) -> $crate::fault::Result<Self> {
                let $stored = row.$one(column)?;
                $value
            }

            fn opt(
                row: &dyn $crate::backend::Row,
                column: usize,
            ) -> $crate::fault::Result<Option<Self>> {
                row.$opt(column)?.map(|$stored| $value).transpose()
            }
        }
    )+};
}
pub(crate) use stored_as;

stored_as! { int, opt_int:
    i64, n => Ok(n);
    bool, n => Ok(n != 0);
    u16, n => count(n);
    u32, n => count(n);
    u64, n => count(n);
    usize, n => count(n);
    AccountId, id => Ok(AccountId(id));
    CategoryId, id => Ok(CategoryId(id));
    DeviceId, id => Ok(DeviceId(id));
    EndpointId, id => Ok(EndpointId(id));
    KeyId, id => Ok(KeyId(id));
    ProductId, id => Ok(ProductId(id));
    PurchaseId, id => Ok(PurchaseId(id));
    SessionId, id => Ok(SessionId(id));
    UserId, id => Ok(UserId(id));
    Timestamp, at => Ok(Timestamp(at));
    Month, n => Month::from_number(n).ok_or_else(|| Fault::corrupt(format!("month {n}")));
}

stored_as! { text, opt_text:
    String, text => Ok(text.to_owned());
    UpstreamCode, code => Ok(UpstreamCode::new(code));
}

stored_as! { bytes, opt_bytes:
    Vec<u8>, bytes => Ok(bytes.to_vec());
    [u8; 32], bytes => bytes.try_into().map_err(|_| Fault::corrupt("a digest has 32 bytes"));
}

fn count<T: TryFrom<i64>>(stored: i64) -> Result<T> {
    T::try_from(stored).map_err(|_| Fault::corrupt("a count is out of range"))
}

impl<T: Column> FromRow for T {
    fn read(columns: &mut Columns<'_>) -> Result<T> {
        columns.next(T::one)
    }
}

impl<T: Column> FromRow for Option<T> {
    fn read(columns: &mut Columns<'_>) -> Result<Option<T>> {
        columns.next(T::opt)
    }
}

/// Both, or neither.
impl<A: Column, B: Column> FromRow for Option<(A, B)> {
    fn read(columns: &mut Columns<'_>) -> Result<Option<(A, B)>> {
        Ok(columns.next(A::opt)?.zip(columns.next(B::opt)?))
    }
}

impl<A: FromRow, B: FromRow> FromRow for (A, B) {
    fn read(columns: &mut Columns<'_>) -> Result<(A, B)> {
        Ok((A::read(columns)?, B::read(columns)?))
    }
}

impl<A: FromRow, B: FromRow, C: FromRow> FromRow for (A, B, C) {
    fn read(columns: &mut Columns<'_>) -> Result<(A, B, C)> {
        Ok((A::read(columns)?, B::read(columns)?, C::read(columns)?))
    }
}

/// The currency, then the minor units.
impl FromRow for Money {
    fn read(columns: &mut Columns<'_>) -> Result<Money> {
        let currency = Currency::read(columns)?;
        Ok(Money::new(i64::read(columns)?, currency))
    }
}

/// The currency, then the minor units if there are any.
impl FromRow for Option<Money> {
    fn read(columns: &mut Columns<'_>) -> Result<Option<Money>> {
        let (currency, minor): (Currency, Option<i64>) = FromRow::read(columns)?;
        Ok(minor.map(|minor| Money::new(minor, currency)))
    }
}

columns!(PurchaseKey: id, account, environment);

//! Digests over rows: of purchases, attempts and references, for what no journal confirms.
//!
//! A digest is written in the commit that writes its row, and the audit computes it again. It finds
//! a value that was damaged or changed alone; whoever writes SQL on purpose can write a digest too.
//! Invariant: a digest covers what is stored, on whichever database.

use crate::backend::{Row, Value, value_of};
use crate::fault::Result;
use ring::digest;
use std::borrow::Cow;

/// The digest of a row from before there were digests.
pub(crate) const NO_DIGEST: &[u8] = &[0];
/// The first bytes of the SHA-256: enough against damage, and half as long in every row.
const LENGTH: usize = 16;
/// More than most rows need.
const ROW_BYTES: usize = 512;

/// A digest as it is stored.
pub(crate) type Digest = [u8; LENGTH];

/// The digest of a row with these values, in the order of its columns.
pub(crate) fn of_values(values: &[Value<'_>]) -> Digest {
    of(values.iter().copied())
}

/// The digest of the columns of a stored row from `first` on. `kinds` has a letter for each column:
/// i(nteger), t(ext), b(ytes), - for one that is left out, or 0 for one that is taken as NULL.
pub(crate) fn of_row(row: &dyn Row, first: usize, kinds: &str) -> Result<Digest> {
    let columns = (first..).zip(kinds.bytes()).filter(|(_, kind)| *kind != b'-');
    let values = columns.map(|(column, kind)| value_of(row, column, kind));
    let values: Vec<Value<'_>> = values.collect::<Result<_>>()?;
    Ok(of(values.into_iter()))
}

/// Each value is preceded by its kind, and one of any length by its length, so no two rows have the
/// same bytes.
pub(crate) fn of<'a>(values: impl Iterator<Item = Value<'a>>) -> Digest {
    let mut bytes = Vec::with_capacity(ROW_BYTES);
    for value in values {
        match value {
            Value::Null => bytes.push(0),
            Value::Int(number) => {
                bytes.push(1);
                bytes.extend_from_slice(&number.to_le_bytes());
            }
            Value::Text(text) => {
                let text = as_stored(text);
                bytes.push(2);
                bytes.extend_from_slice(&(text.len() as u64).to_le_bytes());
                bytes.extend_from_slice(text.as_bytes());
            }
            Value::Bytes(part) => {
                bytes.push(3);
                bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
                bytes.extend_from_slice(part);
            }
        }
    }
    let sum = digest::digest(&digest::SHA256, &bytes);
    let mut first = [0; LENGTH];
    first.copy_from_slice(&sum.as_ref()[..LENGTH]);
    first
}

/// PostgreSQL stores no NUL and gets another character instead; SQLite stores it.
fn as_stored(text: &str) -> Cow<'_, str> {
    match text.contains('\0') {
        true => Cow::Owned(text.replace('\0', "\u{fffd}")),
        false => Cow::Borrowed(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::values;

    #[test]
    fn every_value_and_its_place_counts() {
        let rows = [
            of_values(&values![1_i64, "a", "b"]),
            of_values(&values![1_i64, "ab", ""]),
            of_values(&values![1_i64, "a", None::<i64>]),
            of_values(&values!["1", "a", "b"]),
            of_values(&values![1_i64, "b", "a"]),
            of_values(&values![1_i64, "a"]),
        ];
        let mut different = rows.to_vec();
        different.sort_unstable();
        different.dedup();
        assert_eq!(different.len(), rows.len());
        assert_eq!(of_values(&values!["a\0"]), of_values(&values!["a\u{fffd}"]));
    }
}

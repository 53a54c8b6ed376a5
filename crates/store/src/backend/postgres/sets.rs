//! Many rows in one statement: how a statement for one row becomes one for a set of rows, and in
//! which order the sets of a Tx go out.
//!
//! A statement says the same on SQLite, one row at a time. Invariant: what concerns one key is done
//! in the order in which it was asked; what concerns different keys may be done in any.

use super::value::Column;
use crate::backend::{Value, WriteKey};
use crate::fault::Fault;
use domain::{Month, PurchaseId};
use std::collections::HashMap;
use tokio_postgres::types::Type;

/// Tables whose rows the writer puts where they lie. Through the whole table each statement would first
/// find out which of its months it is about, and the triggers would repeat what is known of a whole
/// batch; they are there for everybody else, and the audit looks after both.
const BY_MONTH: [&str; 5] = ["purchases", "attempts", "events", "journals", "entries"];

/// The rows that one statement is to be done for.
pub(super) struct Group {
    pub(super) sql: &'static str,
    /// The month that they lie in, where there is a table for each.
    pub(super) month: Option<Month>,
    pub(super) columns: Vec<Column>,
    pub(super) rows: u64,
    /// Rows that each row must change, if that is known.
    pub(super) expected: Option<u64>,
    may_repeat: bool,
}

/// What a Tx still has to send.
#[derive(Default)]
pub(super) struct Plan {
    groups: Vec<Group>,
    /// What comes after everything else.
    late: Vec<Group>,
    /// The last group of each statement and month, by where its text lies.
    last_of: HashMap<(usize, Option<Month>), usize>,
    /// The last group that a key is in.
    touched: HashMap<WriteKey, usize>,
}

impl Plan {
    /// Adds a row to the first group that has not yet been overtaken by its key.
    pub(super) fn add(
        &mut self,
        (sql, key): (&'static str, WriteKey),
        values: &[Value<'_>],
        expected: Option<usize>,
    ) {
        if key == WriteKey::Last {
            let joins = self.late.iter().position(|group| group.sql == sql);
            let index = joins.unwrap_or(self.late.len());
            if joins.is_none() {
                self.late.push(Group::new((sql, None), values.len(), expected));
            }
            return self.late[index].push(values);
        }
        let touched = self.touched.get(&key).copied();
        let month = month_of(sql, key);
        let name = (sql.as_ptr() as usize, month);
        let joins = self.last_of.get(&name).copied().filter(|last| {
            let group = &self.groups[*last];
            touched.is_none_or(|t| t < *last || (t == *last && group.may_repeat))
        });
        let index = joins.unwrap_or(self.groups.len());
        if index == self.groups.len() {
            self.last_of.insert(name, index);
            self.groups.push(Group::new((sql, month), values.len(), expected));
        }
        self.touched.insert(key, index);
        self.groups[index].push(values);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.late.is_empty()
    }

    /// Hands over all groups in their order.
    pub(super) fn take(&mut self) -> Vec<Group> {
        self.last_of.clear();
        self.touched.clear();
        let mut groups = std::mem::take(&mut self.groups);
        groups.append(&mut self.late);
        groups
    }
}

impl Group {
    fn new(
        (sql, month): (&'static str, Option<Month>),
        width: usize,
        expected: Option<usize>,
    ) -> Group {
        Group {
            sql,
            month,
            columns: vec![Column::default(); width],
            rows: 0,
            expected: expected.map(|n| n as u64),
            may_repeat: may_repeat(sql),
        }
    }

    /// The table that it changes.
    fn place(&self) -> (&'static str, Option<Month>) {
        (table(self.sql), self.month)
    }

    fn push(&mut self, values: &[Value<'_>]) {
        self.rows += 1;
        for (column, value) in self.columns.iter_mut().zip(values) {
            column.push(value);
        }
    }
}

/// Parts groups, in their order, into those that one statement can do: the parts of a statement do not
/// see what the others write, so no two are on one table.
pub(super) fn together(groups: Vec<Group>) -> Vec<Vec<Group>> {
    let mut parts: Vec<Vec<Group>> = Vec::new();
    for group in groups {
        match parts.last_mut() {
            Some(part) if part.iter().all(|other| other.place() != group.place()) => {
                part.push(group);
            }
            _ => parts.push(vec![group]),
        }
    }
    parts
}

/// The month that a row lies in, if it is put there.
fn month_of(sql: &str, key: WriteKey) -> Option<Month> {
    let month = match key {
        WriteKey::Purchase(id) => Month::of_id(PurchaseId(id)),
        WriteKey::Journal(_, month) => month,
        WriteKey::LedgerAccount(_) | WriteKey::Last => return None,
    };
    BY_MONTH.contains(&table(sql)).then_some(month)
}

/// The same statement on the table of a month.
fn of_month(sql: &str, month: Option<Month>) -> String {
    let Some(month) = month else { return sql.to_owned() };
    let whole = table(sql);
    sql.replacen(whole, &format!("{whole}_{}", month.number()), 1)
}

/// A statement that is joined with others: its text, the month that it is done for, the types of its
/// columns, and whether it is known how many rows it changes.
pub(super) type Part<'a> = (&'a str, Option<Month>, Vec<Type>, bool);

/// The table that a statement changes.
fn table(sql: &str) -> &str {
    let is_before = |word: &&str| matches!(*word, "INSERT" | "INTO" | "UPDATE" | "DELETE" | "FROM");
    sql.split_whitespace().find(|word| !is_before(word)).unwrap_or_default()
}

/// One statement that does several, each for its set of rows. The database itself counts them, so that
/// the COMMIT need not wait; after the columns come the counts that are known, in their order. Last comes the number
/// of the batch: without its Tx, which may not have opened, the statement must do nothing.
pub(super) fn joined(parts: &[Part<'_>]) -> Result<String, Fault> {
    let (mut steps, mut counts, mut first) = (Vec::new(), Vec::new(), 1);
    let mut count = 1 + parts.iter().map(|(_, _, kinds, _)| kinds.len()).sum::<usize>();
    for (n, (sql, month, kinds, is_counted)) in (1..).zip(parts) {
        let text = for_sets(&of_month(sql, *month), kinds, first)?;
        steps.push(format!("w{n} AS ({text} RETURNING 1)"));
        first += kinds.len();
        if *is_counted {
            let table = table(sql);
            counts.push(format!(
                "(SELECT CASE WHEN count(*) = ${count} THEN 0 ELSE refuse_count('{table}', count(*), ${count}) END FROM w{n})"
            ));
            count += 1;
        } else {
            counts.push(format!("(SELECT count(*) FROM w{n})"));
        }
    }
    counts.push(format!("in_batch(${count})"));
    Ok(format!("WITH {} SELECT {}", steps.join(", "), counts.join(", ")))
}

/// Whether a set may hold two rows of one key: rows that are simply added do not see each other.
fn may_repeat(sql: &str) -> bool {
    sql.starts_with("INSERT") && !sql.contains("DO UPDATE") && !sql.contains("SELECT")
}

/// The type of an array's elements, for the types that columns have.
pub(super) fn element(array: &Type) -> Option<Type> {
    match *array {
        Type::INT8_ARRAY => Some(Type::INT8),
        Type::TEXT_ARRAY => Some(Type::TEXT),
        Type::BYTEA_ARRAY => Some(Type::BYTEA),
        _ => None,
    }
}

/// The statement for a set of rows: each `$n` becomes a column of `unnest`ed arrays. A query gives
/// the number of the row, from 1, after its own columns. The arrays are `first` and on.
pub(super) fn for_sets(sql: &str, kinds: &[Type], first: usize) -> Result<String, Fault> {
    let broken = || Fault::corrupt(format!("no set can be made of {sql}"));
    let mut arrays = Vec::with_capacity(kinds.len());
    let mut names = Vec::with_capacity(kinds.len());
    for (n, kind) in (1..).zip(kinds) {
        let array = match *kind {
            Type::INT8 => "int8",
            Type::TEXT => "text",
            Type::BYTEA => "bytea",
            _ => return Err(broken()),
        };
        arrays.push(format!("${}::{array}[]", first + n - 1));
        names.push(format!("c{n}"));
    }
    let (arrays, names) = (arrays.join(", "), names.join(", "));
    let set = format!("unnest({arrays}) AS v({names})");
    let numbered = format!("unnest({arrays}) WITH ORDINALITY AS v({names}, nth)");
    let text = named(sql);
    let split = |at: &str| text.split_once(at).ok_or_else(broken);
    if let Some((before, values)) = text.split_once("VALUES (") {
        let end = closing(values).ok_or_else(broken)?;
        let (row, rest) = (&values[..end], &values[end + 1..]);
        // Without WHERE, PostgreSQL would take ON CONFLICT for a join's ON.
        return Ok(format!("{before}SELECT {row} FROM {set} WHERE true{rest}"));
    }
    match text.split_whitespace().next() {
        Some("UPDATE") => {
            let (before, rest) = split("WHERE ")?;
            Ok(format!("{before}FROM {set} WHERE {rest}"))
        }
        Some("DELETE") => {
            let (before, rest) = split("WHERE ")?;
            Ok(format!("{before}USING {set} WHERE {rest}"))
        }
        Some("SELECT") => {
            let (before, rest) = split("FROM ")?;
            Ok(format!("{}, v.nth FROM {numbered}, {rest}", before.trim_end()))
        }
        _ => {
            let (before, rest) = split("FROM ")?;
            Ok(format!("{before}FROM {set}, {rest}"))
        }
    }
}

/// `$7` becomes `v.c7`.
fn named(sql: &str) -> String {
    sql.replace('$', "v.c")
}

/// Where the bracket closes that is open at the start.
fn closing(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 0 => return Some(at),
            ')' => depth -= 1,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(sql: &str, kinds: &[Type], expected: Expect) {
        expected.assert_eq(&for_sets(sql, kinds, 1).unwrap_or_else(|fault| fault.to_string()));
    }

    #[test]
    fn a_statement_for_one_becomes_one_for_many() {
        let pair = [Type::INT8, Type::TEXT];
        check(
            "INSERT INTO t (a, b, c) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING",
            &pair,
            expect![
                "INSERT INTO t (a, b, c) SELECT v.c1, v.c2, 0 FROM unnest($1::int8[], $2::text[]) AS v(c1, c2) WHERE true ON CONFLICT DO NOTHING"
            ],
        );
        check(
            "INSERT INTO t (a, n) VALUES ($1, (SELECT max(n) + 1 FROM t WHERE b = $2))",
            &pair,
            expect![
                "INSERT INTO t (a, n) SELECT v.c1, (SELECT max(n) + 1 FROM t WHERE b = v.c2) FROM unnest($1::int8[], $2::text[]) AS v(c1, c2) WHERE true"
            ],
        );
        check(
            "INSERT INTO t (a, b) SELECT $1, b FROM u WHERE c = $2",
            &pair,
            expect![
                "INSERT INTO t (a, b) SELECT v.c1, b FROM unnest($1::int8[], $2::text[]) AS v(c1, c2), u WHERE c = v.c2"
            ],
        );
        check(
            "UPDATE t SET a = $1 WHERE b = $2",
            &pair,
            expect![
                "UPDATE t SET a = v.c1 FROM unnest($1::int8[], $2::text[]) AS v(c1, c2) WHERE b = v.c2"
            ],
        );
        check(
            "DELETE FROM t WHERE a = $1",
            &[Type::BYTEA],
            expect!["DELETE FROM t USING unnest($1::bytea[]) AS v(c1) WHERE a = v.c1"],
        );
        check(
            "SELECT a, b FROM t WHERE a = $1 AND b = $2",
            &pair,
            expect![
                "SELECT a, b, v.nth FROM unnest($1::int8[], $2::text[]) WITH ORDINALITY AS v(c1, c2, nth), t WHERE a = v.c1 AND b = v.c2"
            ],
        );
        check(
            "UPDATE t SET a = 1",
            &[],
            expect!["stored data is not as it should be: no set can be made of UPDATE t SET a = 1"],
        );
    }

    #[test]
    fn what_is_on_different_tables_is_one_statement() {
        const OPEN: &str = "INSERT INTO p (id) VALUES ($1)";
        const OWE: &str = "INSERT INTO j (id) VALUES ($1)";
        const STEP: &str = "UPDATE p SET v = $1 WHERE id = $2";
        const END: &str = "DELETE FROM j WHERE id = $1";
        let mut plan = Plan::default();
        for sql in [OPEN, OWE, STEP, END] {
            plan.add((sql, WriteKey::Purchase(1)), &[Value::Int(1)], None);
        }
        let parts = together(plan.take());
        let parts: Vec<Vec<&str>> =
            parts.iter().map(|part| part.iter().map(|group| group.sql).collect()).collect();
        assert_eq!(parts, [[OPEN, OWE], [STEP, END]]);
        let parts = [
            (STEP, None, vec![Type::INT8, Type::INT8], true),
            (END, None, vec![Type::INT8], false),
        ];
        let both = joined(&parts);
        expect!["WITH w1 AS (UPDATE p SET v = v.c1 FROM unnest($1::int8[], $2::int8[]) AS v(c1, c2) WHERE id = v.c2 RETURNING 1), w2 AS (DELETE FROM j USING unnest($3::int8[]) AS v(c1) WHERE id = v.c1 RETURNING 1) SELECT (SELECT CASE WHEN count(*) = $4 THEN 0 ELSE refuse_count('p', count(*), $4) END FROM w1), (SELECT count(*) FROM w2), in_batch($5)"]
            .assert_eq(&both.unwrap());
    }

    #[test]
    fn rows_of_a_month_are_put_where_they_lie() {
        const OPEN: &str = "INSERT INTO purchases (id) VALUES ($1)";
        const OWE: &str = "INSERT INTO jobs (id) VALUES ($1)";
        let mut plan = Plan::default();
        let january = i64::from(20) << 40;
        for (sql, id) in [(OPEN, 1), (OWE, 1), (OPEN, january), (OWE, january), (OPEN, 2)] {
            plan.add((sql, WriteKey::Purchase(id)), &[Value::Int(id)], None);
        }
        let groups: Vec<_> =
            plan.take().iter().map(|g| (of_month(g.sql, g.month), g.rows)).collect();
        let of = |text: &str, rows| (text.to_owned(), rows);
        assert_eq!(
            groups,
            [
                of("INSERT INTO purchases_202601 (id) VALUES ($1)", 2),
                of(OWE, 1),
                of("INSERT INTO purchases_202603 (id) VALUES ($1)", 1),
                of(OWE, 1),
            ]
        );
    }

    #[test]
    fn what_concerns_one_key_stays_in_order() {
        const OPEN: &str = "INSERT INTO p (id) VALUES ($1)";
        const STEP: &str = "UPDATE p SET v = 1 WHERE id = $1";
        const END: &str = "DELETE FROM j WHERE id = $1";
        let mut plan = Plan::default();
        let mut add =
            |sql, id: i64| plan.add((sql, WriteKey::Purchase(id)), &[Value::Int(id)], None);
        for (sql, id) in [
            (STEP, 1),
            (END, 1),
            (OPEN, 2),
            (OPEN, 2),
            (STEP, 2),
            (STEP, 3),
            (OPEN, 4),
            (STEP, 3),
            (END, 3),
        ] {
            add(sql, id);
        }
        let groups: Vec<_> = plan.take().iter().map(|g| (g.sql, g.rows)).collect();
        assert_eq!(groups, [(STEP, 1), (END, 1), (OPEN, 3), (STEP, 2), (STEP, 1), (END, 1)]);
        assert!(plan.is_empty());
    }
}

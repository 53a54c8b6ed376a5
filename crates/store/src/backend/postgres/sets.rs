//! Many rows in one statement: how a statement for one row becomes one for a set of rows, and in
//! which order the sets of a Tx are sent.
//!
//! On SQLite the same statements run once per row. Invariant: rows of one key are written in the
//! order in which they were deferred; rows of different keys may be written in any order.

use super::value::Column;
use crate::backend::{Args, Partition, WriteKey};
use crate::fault::Fault;
use domain::PurchaseId;
use domain::ids::IdMap;
use tokio_postgres::types::Type;

/// Tables whose rows the writer writes to the month's partition by name. Through the whole table
/// each statement would first look up the partition, and triggers would check again what is known
/// of the whole batch. The triggers stay for everybody else, and the audit finds orphans of both;
/// so it is with the trigger of `claims`, which has no partitions.
const BY_MONTH: [&str; 5] = ["purchases", "attempts", "events", "journals", "entries"];

/// The rows for which one statement will run.
pub(super) struct Group {
    pub(super) sql: &'static str,
    /// The partition that the rows belong to, where the table has partitions.
    pub(super) partition: Option<Partition>,
    pub(super) columns: Vec<Column>,
    pub(super) rows: i64,
    /// The number of rows that each row must change, if it is checked.
    pub(super) expected: Option<i64>,
    may_repeat: bool,
}

/// The rows that a Tx has not sent yet.
#[derive(Default)]
pub(super) struct Plan {
    groups: Vec<Group>,
    /// Groups that are sent after all others.
    last: Vec<Group>,
    /// The last group of each statement and partition, by the address of the statement's text.
    last_of: IdMap<(usize, Option<Partition>), usize>,
    /// The last group that each key is in.
    last_of_key: IdMap<WriteKey, usize>,
    /// Whether a statement's table is written by month, by the same address. Kept: it is asked for
    /// each row.
    is_by_month: IdMap<usize, bool>,
}

impl Plan {
    /// Adds a row to the statement's last group. If its key already has a row in a later group, or
    /// in this one where rows must not repeat, it begins a new group.
    pub(super) fn add(
        &mut self,
        sql: &'static str,
        key: WriteKey,
        args: Args<'_>,
        expected: Option<usize>,
    ) {
        if key == WriteKey::Last {
            let known = self.last.iter().position(|group| group.sql == sql);
            let index = known.unwrap_or(self.last.len());
            if known.is_none() {
                self.last.push(Group::new(sql, None, args.len(), expected));
            }
            return self.last[index].push(args);
        }
        let last_of_key = self.last_of_key.get(&key).copied();
        let address = sql.as_ptr().addr();
        let by_month = || BY_MONTH.contains(&table(sql));
        let is_by_month = *self.is_by_month.entry(address).or_insert_with(by_month);
        let name = (address, is_by_month.then(|| partition_of(key)).flatten());
        let known = self.last_of.get(&name).copied().filter(|last| {
            let group = &self.groups[*last];
            last_of_key.is_none_or(|of_key| of_key < *last || (of_key == *last && group.may_repeat))
        });
        let index = known.unwrap_or(self.groups.len());
        if index == self.groups.len() {
            self.last_of.insert(name, index);
            self.groups.push(Group::new(sql, name.1, args.len(), expected));
        }
        self.last_of_key.insert(key, index);
        self.groups[index].push(args);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.groups.is_empty() && self.last.is_empty()
    }

    /// Removes and returns all groups in their order.
    pub(super) fn take(&mut self) -> Vec<Group> {
        self.last_of.clear();
        self.last_of_key.clear();
        let mut groups = std::mem::take(&mut self.groups);
        groups.append(&mut self.last);
        groups
    }
}

impl Group {
    fn new(
        sql: &'static str,
        partition: Option<Partition>,
        width: usize,
        expected: Option<usize>,
    ) -> Self {
        Group {
            sql,
            partition,
            columns: vec![Column::default(); width],
            rows: 0,
            expected: expected.map(|n| n as i64),
            may_repeat: may_repeat(sql),
        }
    }

    /// The table, or the partition, that it changes.
    fn target(&self) -> (&'static str, Option<Partition>) {
        (table(self.sql), self.partition)
    }

    fn push(&mut self, args: Args<'_>) {
        self.rows += 1;
        for (column, value) in self.columns.iter_mut().zip(args) {
            column.push(value);
        }
    }
}

/// Divides groups, in their order, into those that one statement can execute. The parts of a
/// statement do not see each other's writes, so no two of them may be on one table.
pub(super) fn combine(groups: Vec<Group>) -> Vec<Vec<Group>> {
    let mut statements: Vec<Vec<Group>> = Vec::new();
    for group in groups {
        match statements.last_mut() {
            Some(parts) if parts.iter().all(|other| other.target() != group.target()) => {
                parts.push(group);
            }
            _ => statements.push(vec![group]),
        }
    }
    statements
}

/// The partition for a row of a table that is written by partition.
const fn partition_of(key: WriteKey) -> Option<Partition> {
    match key {
        WriteKey::Purchase(id) => Some(Partition::of_purchase(PurchaseId(id))),
        WriteKey::Journal(_, month) => Some(Partition::of(month)),
        WriteKey::LedgerAccount(_) | WriteKey::Last => None,
    }
}

/// The same statement on a partition.
fn on_partition(sql: &str, partition: Option<Partition>) -> String {
    let Some(Partition { month, is_old }) = partition else { return sql.to_owned() };
    let (whole, before) = (table(sql), if is_old { "old_" } else { "" });
    sql.replacen(whole, &format!("{before}{whole}_{}", month.number()), 1)
}

/// A statement that is combined with others.
pub(super) struct Part<'a> {
    pub(super) sql: &'a str,
    pub(super) partition: Option<Partition>,
    /// Of its parameters.
    pub(super) types: Vec<Type>,
    /// Whether the number of rows that it changes is checked.
    pub(super) is_counted: bool,
}

/// The table that a statement changes.
fn table(sql: &str) -> &str {
    let is_before = |word: &&str| matches!(*word, "INSERT" | "INTO" | "UPDATE" | "DELETE" | "FROM");
    sql.split_whitespace().find(|word| !is_before(word)).unwrap_or_default()
}

/// One statement that executes several, each for its set of rows. The database counts the changed
/// rows itself, so that COMMIT need not wait for the counts. Its parameters are the columns of all
/// sets, then the expected counts, then the number of the batch: outside its Tx, which may have
/// failed to open, the statement must do nothing.
pub(super) fn combined_sql(parts: &[Part<'_>]) -> Result<String, Fault> {
    let (mut steps, mut results, mut first) = (Vec::new(), Vec::new(), 1);
    let mut count = 1 + parts.iter().map(|part| part.types.len()).sum::<usize>();
    for (n, Part { sql, partition, types, is_counted }) in (1..).zip(parts) {
        let text = for_sets(&on_partition(sql, *partition), types, first)?;
        steps.push(format!("w{n} AS ({text} RETURNING 1)"));
        first += types.len();
        if *is_counted {
            let table = table(sql);
            results.push(format!(
                "(SELECT CASE WHEN count(*) = ${count} THEN 0 \
                 ELSE refuse_count('{table}', count(*), ${count}) END FROM w{n})"
            ));
            count += 1;
        } else {
            results.push(format!("(SELECT count(*) FROM w{n})"));
        }
    }
    results.push(format!(
        "CASE WHEN current_setting('saldo.batch', true) = ${count}::int8::text THEN ${count} \
         ELSE in_batch(${count}) END"
    ));
    Ok(format!("WITH {} SELECT {}", steps.join(", "), results.join(", ")))
}

/// Whether a set may have two rows of one key: true of plain inserts, which do not depend on other
/// rows.
fn may_repeat(sql: &str) -> bool {
    sql.starts_with("INSERT") && !sql.contains("DO UPDATE") && !sql.contains("SELECT")
}

/// The statement for a set of rows: each `$n` becomes a column of `unnest`ed arrays, whose
/// parameters are numbered from `first`. A query also returns, as its last column, the number of
/// the set's row from 1.
pub(super) fn for_sets(sql: &str, types: &[Type], first: usize) -> Result<String, Fault> {
    let broken = || Fault::corrupt(format!("no set can be made of {sql}"));
    let mut columns = Vec::with_capacity(types.len());
    for (n, element) in (1..).zip(types) {
        if ![Type::INT8, Type::TEXT, Type::BYTEA].contains(element) {
            return Err(broken());
        }
        columns.push(format!("unnest(${}::{element}[]) AS c{n}", first + n - 1));
    }
    // Not `FROM unnest(...)`: PostgreSQL would first copy each array to a buffer of its own.
    let set = format!("(SELECT {}) AS v", columns.join(", "));
    // `$7` becomes `v.c7`.
    let text = sql.replace('$', "v.c");
    if let Some((before, values)) = text.split_once("VALUES (") {
        let end = closing(values).ok_or_else(broken)?;
        let (row, rest) = (&values[..end], &values[end + 1..]);
        // Without WHERE, PostgreSQL would take ON CONFLICT for a join's ON.
        return Ok(format!("{before}SELECT {row} FROM {set} WHERE true{rest}"));
    }
    let verb = text.split_whitespace().next();
    let at = if matches!(verb, Some("UPDATE" | "DELETE")) { "WHERE " } else { "FROM " };
    let (before, rest) = text.split_once(at).ok_or_else(broken)?;
    Ok(match verb {
        Some("UPDATE") => format!("{before}FROM {set} WHERE {rest}"),
        Some("DELETE") => format!("{before}USING {set} WHERE {rest}"),
        Some("SELECT") => {
            let numbers = format!("generate_series(1::int8, cardinality(${first})) AS nth");
            let numbered = format!("(SELECT {}, {numbers}) AS v", columns.join(", "));
            format!("{}, v.nth FROM {numbered}, {rest}", before.trim_end())
        }
        _ => format!("{before}FROM {set}, {rest}"),
    })
}

/// The position of the bracket that closes one opened before the text.
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
    use crate::backend::Value;
    use domain::{Day, PurchaseNumber};
    use expect_test::{Expect, expect};

    fn check(sql: &str, types: &[Type], expected: Expect) {
        expected.assert_eq(&for_sets(sql, types, 1).unwrap_or_else(|fault| fault.to_string()));
    }

    #[test]
    fn a_statement_for_one_row_becomes_one_for_many() {
        let pair = [Type::INT8, Type::TEXT];
        check(
            "INSERT INTO t (a, b, c) VALUES ($1, $2, 0) ON CONFLICT DO NOTHING",
            &pair,
            expect![
                "INSERT INTO t (a, b, c) SELECT v.c1, v.c2, 0 \
                 FROM (SELECT unnest($1::int8[]) AS c1, unnest($2::text[]) AS c2) AS v \
                 WHERE true ON CONFLICT DO NOTHING"
            ],
        );
        check(
            "INSERT INTO t (a, n) VALUES ($1, (SELECT max(n) + 1 FROM t WHERE b = $2))",
            &pair,
            expect![
                "INSERT INTO t (a, n) SELECT v.c1, (SELECT max(n) + 1 FROM t WHERE b = v.c2) \
                 FROM (SELECT unnest($1::int8[]) AS c1, unnest($2::text[]) AS c2) AS v WHERE true"
            ],
        );
        check(
            "INSERT INTO t (a, b) SELECT $1, b FROM u WHERE c = $2",
            &pair,
            expect![
                "INSERT INTO t (a, b) SELECT v.c1, b \
                 FROM (SELECT unnest($1::int8[]) AS c1, unnest($2::text[]) AS c2) AS v, u \
                 WHERE c = v.c2"
            ],
        );
        check(
            "UPDATE t SET a = $1 WHERE b = $2",
            &pair,
            expect![
                "UPDATE t SET a = v.c1 \
                 FROM (SELECT unnest($1::int8[]) AS c1, unnest($2::text[]) AS c2) AS v \
                 WHERE b = v.c2"
            ],
        );
        check(
            "DELETE FROM t WHERE a = $1",
            &[Type::BYTEA],
            expect!["DELETE FROM t USING (SELECT unnest($1::bytea[]) AS c1) AS v WHERE a = v.c1"],
        );
        check(
            "SELECT a, b FROM t WHERE a = $1 AND b = $2",
            &pair,
            expect![
                "SELECT a, b, v.nth \
                 FROM (SELECT unnest($1::int8[]) AS c1, unnest($2::text[]) AS c2, \
                 generate_series(1::int8, cardinality($1)) AS nth) AS v, t \
                 WHERE a = v.c1 AND b = v.c2"
            ],
        );
        check(
            "UPDATE t SET a = 1",
            &[],
            expect!["stored data is not as it should be: no set can be made of UPDATE t SET a = 1"],
        );
    }

    #[test]
    fn groups_on_different_tables_become_one_statement() {
        const OPEN: &str = "INSERT INTO p (id) VALUES ($1)";
        const ENQUEUE: &str = "INSERT INTO j (id) VALUES ($1)";
        const STEP: &str = "UPDATE p SET v = $1 WHERE id = $2";
        const END: &str = "DELETE FROM j WHERE id = $1";
        let mut plan = Plan::default();
        for sql in [OPEN, ENQUEUE, STEP, END] {
            plan.add(sql, WriteKey::Purchase(1), &[Value::Int(1)], None);
        }
        let parts = combine(plan.take());
        let parts: Vec<Vec<&str>> =
            parts.iter().map(|part| part.iter().map(|group| group.sql).collect()).collect();
        assert_eq!(parts, [[OPEN, ENQUEUE], [STEP, END]]);
        let parts = [
            Part {
                sql: STEP,
                partition: None,
                types: vec![Type::INT8, Type::INT8],
                is_counted: true,
            },
            Part { sql: END, partition: None, types: vec![Type::INT8], is_counted: false },
        ];
        let both = combined_sql(&parts);
        expect![
            "WITH w1 AS (UPDATE p SET v = v.c1 \
             FROM (SELECT unnest($1::int8[]) AS c1, unnest($2::int8[]) AS c2) AS v WHERE id = v.c2 \
             RETURNING 1), \
             w2 AS (DELETE FROM j USING (SELECT unnest($3::int8[]) AS c1) AS v WHERE id = v.c1 \
             RETURNING 1) \
             SELECT (SELECT CASE WHEN count(*) = $4 THEN 0 \
             ELSE refuse_count('p', count(*), $4) END FROM w1), \
             (SELECT count(*) FROM w2), \
             CASE WHEN current_setting('saldo.batch', true) = $5::int8::text THEN $5 \
             ELSE in_batch($5) END"
        ]
        .assert_eq(&both.unwrap());
    }

    #[test]
    fn rows_of_a_month_are_written_to_its_partition() {
        const OPEN: &str = "INSERT INTO purchases (id) VALUES ($1)";
        const ENQUEUE: &str = "INSERT INTO jobs (id) VALUES ($1)";
        let mut plan = Plan::default();
        let march = i64::from(20) << 40;
        let april = PurchaseId::given_on(Day(20_560), PurchaseNumber(7)).0;
        for (sql, id) in
            [(OPEN, 1), (ENQUEUE, 1), (OPEN, march), (ENQUEUE, march), (OPEN, 2), (OPEN, april)]
        {
            plan.add(sql, WriteKey::Purchase(id), &[Value::Int(id)], None);
        }
        let groups: Vec<_> =
            plan.take().iter().map(|g| (on_partition(g.sql, g.partition), g.rows)).collect();
        let of = |text: &str, rows| (text.to_owned(), rows);
        assert_eq!(
            groups,
            [
                of("INSERT INTO old_purchases_202601 (id) VALUES ($1)", 2),
                of(ENQUEUE, 1),
                of("INSERT INTO old_purchases_202603 (id) VALUES ($1)", 1),
                of(ENQUEUE, 1),
                of("INSERT INTO purchases_202604 (id) VALUES ($1)", 1),
            ]
        );
    }

    #[test]
    fn rows_of_one_key_stay_in_order() {
        const OPEN: &str = "INSERT INTO p (id) VALUES ($1)";
        const STEP: &str = "UPDATE p SET v = 1 WHERE id = $1";
        const END: &str = "DELETE FROM j WHERE id = $1";
        let mut plan = Plan::default();
        let mut add = |sql, id: i64| plan.add(sql, WriteKey::Purchase(id), &[Value::Int(id)], None);
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

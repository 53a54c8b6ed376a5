//! What the audit does not see: one value after the other is changed, in every column of every
//! table, and pages of the file are overwritten.
//!
//! The tables and columns come from the schema, so a new one is covered by itself. What is missed
//! is listed in `unconfirmed.txt`, each with its reason.

use crate::conformance::archive::{
    archive, bought, day, give_numbers, month, paid_in, remove, steps,
};
use crate::harness::world::*;
use domain::{
    AccountId, Currency, Environment, Event, Journal, Money, Purchase, Reason, State, UpstreamCode,
};
use rusqlite::Connection;
use rusqlite::types::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use store::{Posting, Setting, Store, audit_file};

/// Rows of a table that are tried; of more, some of all parts of the table.
const ROWS_MAX: usize = 12;
/// Other values of a column that are tried.
const VALUES_MAX: usize = 3;
/// Rows of tables that no money goes through, as the programs that own them write them.
const OTHER_ROWS: &str = "
    INSERT INTO users VALUES (21, 2, 'a@example.org', 'customer', '$argon2id$a', 5, '01712345678',
        'Rahim', 1, 5, 'en', x'00'), (22, 3, 'b@example.org', 'customer', '$argon2id$b', 5, NULL,
        NULL, 1, NULL, 'bn', x'00');
    INSERT INTO keys VALUES (31, 2, 'live', 'ok_live_a', zeroblob(32), 'aaaa', '[]', NULL, 5,
        NULL, NULL, NULL), (32, 3, 'live', 'ok_live_b', zeroblob(32), 'bbbb', '[]', 9, 5,
        '[\"read\"]', 7, 'login 22');
    INSERT INTO key_uses VALUES (31, 5, '192.0.2.1'), (32, 6, '192.0.2.2');
    INSERT INTO requests VALUES (2, 'live', 5, 31, '192.0.2.1', 'GET', '/api/billing/balance', '',
        200, '', 900, '', '{}'), (3, 'live', 6, NULL, '192.0.2.2', 'POST', '/api/billing/x', 'a=1',
        422, 'VALIDATION_ERROR', 1200, '{\"a\":1}', '{\"b\":2}');
    INSERT INTO webhook_replays VALUES (2, 'live', 5, 'off', '', NULL, 1, 1, 0, 0, '', 0, 10, NULL),
        (3, 'live', 6, '', 'recharge.success', 31, 2, 3, 4, 5, 'a', 6, 20, 7);
    INSERT INTO countries VALUES ('BD', 'Bangladesh', 'BDT', '880', '0', 11, '1'),
        ('US', 'United States', 'USD', '1', '', 10, '');
    INSERT INTO operators VALUES (1, 'GP', '[]', 'Grameenphone', 'BD', 'mobile-recharge', 'gp.svg',
        '[\"017\"]', 100, 100000, 100, 100000, NULL, 1);
    INSERT INTO categories VALUES (1, 'bundles', 'Data', 'c.svg');
    INSERT INTO products VALUES (1, 'gp-1gb', '1 GB', 'For a week', 'bundle', 'GP', 1, 'bundle',
        'BDT', 5000, NULL, NULL, 'digits', '[]', 0, '[]', 'p.svg', 1);
    INSERT INTO prices VALUES (1, 'fee', 2, 'business', 'GP', 'recharge', 1, 2, 'BDT', 50, 0, 10,
        90);
    INSERT INTO routes VALUES (1, 'live', 'GP', 'recharge', '01', '[\"sim\"]', 0, 'gp-1gb', 2);
    INSERT INTO sessions VALUES (41, 2, 21, 'live', 51, 5, 9, NULL, 'api', NULL, NULL, NULL),
        (42, 3, 22, 'live', NULL, 5, 9, 7, 'dashboard', 5, 'Firefox', '192.0.2.1');
    INSERT INTO second_factors VALUES (21, 'totp', x'01', 7, 5, 6);
    INSERT INTO recovery_codes VALUES (21, zeroblob(32), NULL), (21, randomblob(32), 7);
    INSERT INTO mail_codes VALUES (zeroblob(32), 'join', 'd@example.org', 2, 'developer', 5, 9,
        NULL), (randomblob(32), 'confirm', 'a@example.org', 3, 'owner', 5, 9, 7);
    INSERT INTO key_secrets VALUES (31, 2, x'01'), (32, 3, x'02');
    INSERT INTO devices VALUES (51, 2, 21, zeroblob(32), x'01', 5);
    INSERT INTO places VALUES (21, 2, zeroblob(32), 5), (22, 3, zeroblob(32), 6);
    INSERT INTO codes VALUES ('sign_up', 'c@example.org', zeroblob(32), 'C', '017', '$argon2id$c',
        5, 9, 0, NULL), ('reset', 'a@example.org', zeroblob(32), NULL, NULL, NULL, 5, 9, 1, 7);
    INSERT INTO marks VALUES ('master key', zeroblob(32));
    INSERT INTO halts VALUES (1, 5, 'restored', 7, 'rahim', 'compared'), (2, 9, 'again', NULL, NULL,
        NULL);
    INSERT INTO late_words VALUES (7, 1, 'reversed', 'taken back', 'U7', 5, 6, 'rahim', 'seen');
    INSERT INTO nodes VALUES (7, 0, 5);
    INSERT INTO calls VALUES (2, 'live', 5, zeroblob(240));
    INSERT INTO endpoints VALUES (31, 2, 'live', 31, 'https://a.example', '[]', 'on_final', x'01',
        x'02', 9, 5, NULL, 1), (33, 3, 'live', NULL, 'https://b.example', '[]', 'on_final', NULL,
        NULL, NULL, 5, NULL, 2);
    INSERT INTO troubles VALUES (2, 'live', 'https://a.example', 5, 9, 'down', 1);
    INSERT INTO hosts VALUES ('a.example', 5);
    INSERT OR REPLACE INTO clock_notes VALUES (1, 5);
    INSERT INTO clock_jumps VALUES (1, 5, 9);
    INSERT INTO commission_rules VALUES (2, 'BDT', 100), (3, 'BDT', 200);
    INSERT INTO balance_alerts VALUES (2, 'live', 'BDT', 100, 0), (3, 'live', 'BDT', 200, 1);
    INSERT INTO plan_renewals VALUES (2, 'BDT'), (3, 'BDT');
    INSERT INTO plan_prices VALUES ('starter', 'BDT', 100), ('business', 'BDT', 200);
    INSERT INTO upstreams VALUES ('u', 'irecharge', 'live', 'https://u.example', '[]', '', '{}',
        '[]', x'01', 5, 'BDT', 10, 5, 'slow', 5, 5, 9, 1, 'staff', 'rahim'), ('v', 'reloadly',
        'live', 'https://v.example', '[]', '', '{}', '[]', x'02', NULL, NULL, NULL, NULL, NULL, 6,
        6, NULL, 2, NULL, NULL);
    INSERT INTO upstream_balances VALUES ('u', 'BDT', 5, 6, 7), ('v', 'BDT', 6, 7, 8);
    INSERT INTO upstream_refusals VALUES ('u', 5), ('v', 6);
    INSERT INTO listed_journals VALUES (2, 'live', 1), (3, 'live', 2);
    INSERT INTO listed_purchases VALUES (2, 'live', 'GP', 'recharge', 1),
        (3, 'live', 'BL', 'offer', 2);
    INSERT INTO listed_recipients VALUES (2, 'live', '01712345678', 1), (3, 'live', '019', 2);
    INSERT INTO rechecks VALUES ('u', 1, 5), ('v', 3, 6);
    INSERT INTO upstream_watch VALUES ('u', 5, 'low'), ('v', 6, 'fine');
    INSERT INTO upstream_floats VALUES ('u', 'BDT'), ('v', 'BDT');
    INSERT INTO upstream_hours VALUES ('u', 'BDT', 5, 6), ('v', 'BDT', 6, 7);
    INSERT INTO exchanges VALUES (7, 1, 5, 'U7', 'submit', 'POST https://u.example', 'HTTP 200');
    INSERT INTO acts VALUES (1, 5, 'machine: rahim', 'decide_approval', 'purchase 7',
        '{\"state\":\"awaiting\"}', '{\"state\":\"held\"}');";
/// Rows about the purchases that are there.
const ROWS_OF_PURCHASES: &str = "
    INSERT INTO replays SELECT account_id, environment, space, reference, 200, '{}' FROM claims
        WHERE purchase_id IS NOT NULL LIMIT 1;
    INSERT INTO slips SELECT purchase_id, account_id, environment, upstream, '{}', 5 FROM attempts
        WHERE outcome = 'delivered' LIMIT 1;
    INSERT INTO pushes SELECT purchase_id, account_id, environment, sequence, 51, 5, 0, 1, 7
        FROM events LIMIT 1;
    INSERT INTO webhooks SELECT purchase_id, account_id, environment, 31, 'recharge.success',
        sequence, 'https://a.example', '{}', at, 'owed', at, at, 0, 0, 1, 0, NULL, NULL, NULL, NULL
        FROM events LIMIT 1;
    INSERT INTO webhook_tries SELECT purchase_id, account_id, environment, 31, 'recharge.success',
        5, 'failed', 500, 12, 'down' FROM events LIMIT 1;
    INSERT OR IGNORE INTO cases SELECT id, account_id, environment, 'clash', 5, 'odd', 6
        FROM purchases LIMIT 1;";

async fn pay_in_dollars(store: &Store, minor: i64) {
    let amount = Money::new(minor, Currency::USD);
    let (account, live) = (AccountId(2), Environment::Live);
    let journal = Journal::funding(Reason::Deposit, account, live, amount).unwrap();
    let payment = payment(2, "dollars");
    let posting = Posting { journal, account, payment, note: "paper".to_owned(), at: NOW };
    store.write(posting).await.unwrap().unwrap();
}

fn in_dollars(purchase: Purchase) -> Purchase {
    let dollars = |amount: Money| Money::new(amount.minor(), Currency::USD);
    Purchase {
        amount: dollars(purchase.amount),
        fee: dollars(purchase.fee),
        commission: dollars(purchase.commission),
        available_after: dollars(purchase.available_after),
        ..purchase
    }
}

/// A database with rows in every table: a month that is archived, one with a purchase in every
/// state, two currencies, two environments, purchases by keys and by logins.
async fn some_of_everything(root: &Path) -> PathBuf {
    let world = sqlite().await;
    let store = &world.store;
    set(store, Setting::Wallet(AccountId(2), Environment::Live, Currency::USD)).await;
    let (april, may) = (month("2026-04"), month("2026-05"));
    give_numbers(store).await;
    for account in [2, 3] {
        let text = format!("April {account}");
        store.write(paid_in(account, 900 * TOTAL, &text, day(april, 3))).await.unwrap().unwrap();
    }
    let old = bought(2, april, 1, State::Sent);
    store.write(open(old.clone())).await.unwrap().unwrap();
    steps(store, &old, Event::Deliver, day(april, 11)).await.unwrap().unwrap();
    store.write(paid_in(2, 700, "May", day(may, 2))).await.unwrap().unwrap();
    drop(archive(store, may, root).await);
    remove(&world).await;

    pay_in_dollars(store, 100 * TOTAL).await;
    let first = bought(2, may, 1, State::Sent).key.id.0;
    let of = |account, n, state| Purchase {
        api_key: (n % 2 == 0).then_some(domain::ids::KeyId(31)),
        ..purchase(account, first + n, state)
    };

    live(store, of(2, 1, State::Quoted), &[]).await;
    live(store, of(2, 2, State::Awaiting), &[]).await;
    live(store, of(3, 3, State::Awaiting), &[Event::Approve]).await;
    live(store, of(2, 4, State::Sent), &[]).await;
    live(store, of(2, 5, State::Sent), &[Event::Doubt]).await;
    live(store, of(3, 6, State::Sent), &[Event::Escalate]).await;
    live(store, of(2, 7, State::Sent), &[Event::Deliver]).await;
    live(store, of(3, 8, State::Sent), &[Event::Refuse]).await;
    live(store, of(2, 9, State::Awaiting), &[Event::Reject]).await;
    live(store, of(2, 10, State::Sent), &[Event::Deliver, Event::Reverse]).await;
    live(store, of(2, 11, State::Sent), &[Event::Reroute, Event::Submit, Event::Deliver]).await;
    live(
        store,
        of(2, 12, State::Quoted),
        &[Event::Authorise, Event::Submit, Event::Doubt, Event::Acknowledge],
    )
    .await;
    live(store, in_dollars(of(2, 13, State::Sent)), &[Event::Deliver]).await;
    live(store, in_dollars(of(2, 14, State::Sent)), &[]).await;
    let product = Purchase {
        product: Some("gp-1gb".to_owned()),
        details: fixtures::details(&[("meter", "1")]),
        webhook_url: Some("https://a.example".to_owned()),
        ..of(2, 16, State::Sent)
    };
    live(store, product, &[Event::Deliver]).await;
    let elsewhere =
        Purchase { upstream: Some(UpstreamCode::new("other")), ..of(3, 17, State::Sent) };
    live(store, elsewhere, &[Event::Deliver]).await;
    store.write(fund(Reason::Withdraw, 3, 500, "out")).await.unwrap().unwrap();
    world.assert_sound();

    let storage = world.closed();
    let file = root.join("everything.db");
    fs::copy(storage.path().join("saldo.db"), &file).unwrap();
    let sql = Connection::open(&file).unwrap();
    sql.execute_batch("PRAGMA foreign_keys=ON; PRAGMA journal_mode=DELETE;").unwrap();
    sql.execute_batch(OTHER_ROWS).unwrap();
    sql.execute_batch(ROWS_OF_PURCHASES).unwrap();
    sql.execute_batch("VACUUM").unwrap();
    drop(sql);
    let (_, report) = audit_file(&file).unwrap();
    assert_eq!((report.findings_count, &report.findings), (0, &Vec::new()));
    file
}

/// A column of a table, and whether it may be NULL.
struct Column {
    table: String,
    name: String,
    may_be_null: bool,
}

fn texts(sql: &Connection, query: &str) -> Vec<String> {
    let mut statement = sql.prepare(query).unwrap();
    let rows = statement.query_map([], |row| row.get(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

fn columns(sql: &Connection) -> Vec<Column> {
    let mut found = Vec::new();
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
        ORDER BY name";
    for table in texts(sql, tables) {
        let rows: i64 =
            sql.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap();
        assert!(rows > 0, "{table} is empty: give it a row in `some_of_everything`");
        let names = format!("SELECT name FROM pragma_table_info('{table}')");
        for name in texts(sql, &names) {
            let nullable = format!(
                "SELECT \"notnull\" = 0 AND pk = 0 FROM pragma_table_info('{table}')
                 WHERE name = '{name}'"
            );
            let may_be_null = sql.query_row(&nullable, [], |row| row.get(0)).unwrap();
            found.push(Column { table: table.clone(), name, may_be_null });
        }
    }
    found
}

/// The keys of the rows that are tried, as conditions.
fn rows(sql: &Connection, table: &str) -> Vec<String> {
    let key = format!(
        "SELECT name FROM pragma_table_info('{table}')
         WHERE pk > 0 OR NOT EXISTS (SELECT 1 FROM pragma_table_info('{table}') WHERE pk > 0)"
    );
    let condition: Vec<String> =
        texts(sql, &key).into_iter().map(|name| format!("'{name} IS ' || quote({name})")).collect();
    let all = texts(sql, &format!("SELECT {} FROM {table}", condition.join(" || ' AND ' || ")));
    let every = all.len().div_ceil(ROWS_MAX).max(1);
    all.into_iter().step_by(every).collect()
}

/// Values that a column may be changed to: those of other rows, and a value of no row.
fn other_values(sql: &Connection, column: &Column, row: &str) -> Vec<Value> {
    let Column { table, name, may_be_null } = column;
    let now: Value = sql
        .query_row(&format!("SELECT {name} FROM {table} WHERE {row}"), [], |row| row.get(0))
        .unwrap();
    let mut statement = sql
        .prepare(&format!("SELECT DISTINCT {name} FROM {table} WHERE {name} IS NOT NULL"))
        .unwrap();
    let found = statement.query_map([], |row| row.get(0)).unwrap();
    let mut values: Vec<Value> = found.collect::<Result<_, _>>().unwrap();
    values.retain(|value| *value != now);
    values.truncate(VALUES_MAX);
    values.push(match &now {
        Value::Null => match values.first() {
            Some(Value::Text(_)) => Value::Text("x".to_owned()),
            Some(Value::Blob(_)) => Value::Blob(vec![1; 32]),
            _ => Value::Integer(12_345),
        },
        Value::Integer(n) => Value::Integer(n + 1),
        Value::Text(text) => Value::Text(format!("{text}x")),
        Value::Blob(bytes) => Value::Blob(bytes.iter().map(|byte| byte ^ 1).collect()),
        Value::Real(_) => panic!("no column has such numbers"),
    });
    if *may_be_null && now != Value::Null {
        values.push(Value::Null);
    }
    values
}

fn is_seen(file: &Path) -> bool {
    audit_file(file).map_or(true, |(_, report)| report.findings_count > 0)
}

/// Tables whose rows can be lost with a whole page unseen: nothing else says that there was a slip,
/// and an upstream is asked for it again.
const MAY_LOSE_ROWS: [&str; 1] = ["slips"];

/// Every value of every row that may not be missed, in each table's own order.
fn contents(file: &Path) -> Vec<String> {
    let sql = Connection::open(file).unwrap();
    let (listed, mut found) = (listed(), Vec::new());
    let tables = "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name";
    for table in texts(&sql, tables).into_iter().filter(|t| !MAY_LOSE_ROWS.contains(&t.as_str())) {
        let mut names = texts(&sql, &format!("SELECT name FROM pragma_table_info('{table}')"));
        names.retain(|name| !listed.contains_key(format!("{table}.{name}").as_str()));
        let quoted: Vec<String> = names.iter().map(|name| format!("quote({name})")).collect();
        if !quoted.is_empty() {
            let values = quoted.join(" || ',' || ");
            found.extend(texts(&sql, &format!("SELECT {values} FROM {table}")));
        }
    }
    found
}

/// A line a column: `table.column: why it may be missed`.
fn listed() -> BTreeMap<&'static str, &'static str> {
    let lines = include_str!("unconfirmed.txt").lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs = lines.map(|line| line.split_once(": ").expect("a column, a colon, a reason"));
    pairs.inspect(|(column, why)| assert!(why.len() > 20, "{column}: say why")).collect()
}

#[tokio::test]
async fn a_changed_value_of_any_column_is_found_or_listed() {
    let root = tempfile::tempdir().unwrap();
    let file = some_of_everything(root.path()).await;
    let sql = Connection::open(&file).unwrap();
    let triggers = texts(
        &sql,
        "SELECT 'DROP TRIGGER ' || name FROM sqlite_schema
        WHERE type = 'trigger'",
    );
    triggers.iter().for_each(|drop| sql.execute_batch(drop).unwrap());
    let columns = columns(&sql);
    let tried: BTreeMap<&str, Vec<String>> =
        columns.iter().map(|c| (c.table.as_str(), rows(&sql, &c.table))).collect();
    let mut edits = Vec::new();
    for column in &columns {
        for row in &tried[column.table.as_str()] {
            for value in other_values(&sql, column, row) {
                edits.push((column, row.clone(), value));
            }
        }
    }
    drop(sql);
    let whole = fs::read(&file).unwrap();
    let (mut missed, mut examples) = (BTreeSet::new(), BTreeMap::new());
    let mut planted = 0;
    for (Column { table, name, .. }, row, value) in edits {
        let column = format!("{table}.{name}");
        if missed.contains(&column) {
            continue;
        }
        let sql = Connection::open(&file).unwrap();
        sql.execute_batch("PRAGMA foreign_keys=OFF; PRAGMA ignore_check_constraints=ON;").unwrap();
        let update = format!("UPDATE {table} SET {name} = ?1 WHERE {row}");
        // What a key does not allow at all cannot be planted.
        let changed = sql.execute(&update, [&value]);
        drop(sql);
        if matches!(changed, Ok(1)) {
            planted += 1;
            if !is_seen(&file) {
                examples.insert(column.clone(), format!("{row}: {value:?}"));
                missed.insert(column);
            }
        }
        fs::write(&file, &whole).unwrap();
    }
    assert!(planted > columns.len(), "{planted} edits in {} columns", columns.len());
    let listed = listed();
    let unlisted: Vec<String> = missed
        .iter()
        .filter(|column| !listed.contains_key(column.as_str()))
        .map(|column| format!("{column}: missed at {}", examples[column]))
        .collect();
    assert!(unlisted.is_empty(), "{planted} edits\n{}", unlisted.join("\n"));
    let found: Vec<_> = listed.keys().filter(|column| !missed.contains(**column)).collect();
    assert!(found.is_empty(), "these are found, take them off the list: {found:?}");
}

/// Every page that is in use is overwritten, by noise, by zeros and by another page.
#[tokio::test]
async fn a_damaged_page_is_found() {
    let root = tempfile::tempdir().unwrap();
    let file = some_of_everything(root.path()).await;
    let sql = Connection::open(&file).unwrap();
    let free: i64 = sql.query_row("PRAGMA freelist_count", [], |row| row.get(0)).unwrap();
    let size: u32 = sql.query_row("PRAGMA page_size", [], |row| row.get(0)).unwrap();
    let size = usize::try_from(size).unwrap();
    drop(sql);
    assert_eq!(free, 0, "every page is in use");
    let whole = fs::read(&file).unwrap();
    let before = contents(&file);
    let (pages, mut noise) = (whole.len() / size, 1_u64);
    let mut missed = Vec::new();
    for page in 0..pages {
        let place = page * size..(page + 1) * size;
        let other = (page + pages / 2) % pages;
        let mut random = || {
            noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            noise.to_be_bytes()[0]
        };
        let damages = [
            ("noise", (0..size).map(|_| random()).collect::<Vec<u8>>()),
            ("zeros", vec![0; size]),
            ("another page", whole[other * size..(other + 1) * size].to_vec()),
        ];
        for (name, damage) in damages {
            // An empty page in the middle may be as good as what was there.
            if damage == whole[place.clone()] {
                continue;
            }
            let mut bytes = whole.clone();
            bytes[place.clone()].copy_from_slice(&damage);
            fs::write(&file, bytes).unwrap();
            // Two pages of empty indexes may differ in unused bytes alone, two of one shape in what
            // may be missed.
            let is_as_good = || name == "another page" && contents(&file) == before;
            if !is_seen(&file) && !is_as_good() {
                missed.push(format!("page {} of {pages}: {name}", page + 1));
            }
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// A refund follows the purchase's currency: taken for dollars, 10 taka would come back as 10
/// dollars.
#[tokio::test]
async fn another_currency_of_a_purchase_is_named() {
    let root = tempfile::tempdir().unwrap();
    let file = some_of_everything(root.path()).await;
    let sql = Connection::open(&file).unwrap();
    // Without its digest, as in a row from before there were any.
    let changed = sql
        .execute(
            "UPDATE purchases SET currency = 'USD', row_digest = x'00'
             WHERE state = 'delivered' AND currency = 'BDT' AND account_id = 2",
            [],
        )
        .unwrap();
    assert_eq!(changed, 3);
    drop(sql);
    let (_, report) = audit_file(&file).unwrap();
    let named = |text: &str| report.findings.iter().filter(|f| f.contains(text)).count();
    assert_eq!(named("another wallet"), 3, "{:?}", report.findings);
    assert_eq!(named("another upstream"), 3, "{:?}", report.findings);
}

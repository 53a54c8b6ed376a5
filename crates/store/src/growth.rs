//! Regular queries cost the same however long the history is.
//!
//! Counted in the steps of SQLite's programs, which do not depend on the machine's load. On
//! PostgreSQL the server's own counters are read by `tests/it/server/growth.rs`.

use crate::backend::Sql;
use crate::backend::sqlite::{Sqlite, steps};
use crate::fault::Fault;
use crate::ledger::{self, Balance, Page, StatementOf};
use crate::purchases::{self, Jobs, PurchaseFilter, jobs};
use crate::queue;
use crate::settings::accounts;
use crate::webhooks::Pushes;
use crate::{archive, halts, numbers, verify};
use domain::{
    AccountId, Currency, Environment, Kind, Month, PurchaseKey, ReferenceKey, ReferenceScope,
    State, Timestamp,
};
use std::time::Duration;

/// Finished purchases of a short history, and of a long one.
const SHORT: i64 = 1_000;
const LONG: i64 = 50_000;
/// Of COUNT purchases the last ten are open, the one before is refunded, one in each hundredth part
/// failed, and the first has an open case.
const FILL: &str = "
    INSERT INTO accounts (id, role, name, is_active, plan, per_minute, subscribed_until, opened_at)
        VALUES (1, 'house', 'House', 1, NULL, 0, NULL, 5),
        (2, 'customer', 'Customer', 1, NULL, 0, NULL, 5);
    INSERT INTO ledger_accounts VALUES (1, 2, 'live', 'BDT', 'available', '', 0, 0),
        (2, 2, 'live', 'BDT', 'held', '', 10500, 0),
        (3, 1, 'live', 'BDT', 'funding', '', -10500, NULL);
    INSERT INTO keys (id, account_id, environment, open_key, secret_digest, secret_tail, allow_list,
        created_at) VALUES (1, 2, 'live', 'ok_live_1', zeroblob(32), 'tail', '[]', 5);
    CREATE TEMPORARY TABLE n AS
        WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < COUNT)
        SELECT n, ((20454 + n * 90 / COUNT) << 37) + n AS id,
            1767225600000000 + n * 7776000000000 / COUNT AS at,
            CASE WHEN n > COUNT - 10 THEN 'sent' WHEN n = COUNT - 10 THEN 'refunded'
                WHEN n * 100 % COUNT = 0 THEN 'failed' ELSE 'delivered' END AS state
        FROM n;
    INSERT INTO purchases SELECT id, 2, 'live', 'rechargely', 'R' || n, NULL, 'recharge', 'GP',
        '01712345678', 'prepaid', 'BDT', 1000, 50, 150, 0, '{}', NULL, state, 2, 1, 'sim', NULL,
        NULL, at, at, NULL, NULL, x'00' FROM n;
    INSERT INTO claims SELECT 2, 'live', 'rechargely', 'R' || n, id, NULL, at, x'00' FROM n;
    INSERT INTO attempts SELECT id, 2, 'live', 1, 'sim', at, NULL, NULL, NULL, NULL, x'00', x'00',
        NULL, NULL, NULL FROM n;
    INSERT INTO events SELECT id, 2, 'live', 2, state, at, NULL FROM n WHERE state <> 'sent';
    INSERT INTO evidence SELECT id, 2, 'live', 1, at, 'staff', NULL, 'seen', NULL, NULL
        FROM n WHERE n % 10 = 0;
    INSERT INTO jobs (purchase_id, account_id, environment, job, due_at, tries, epoch)
        SELECT id, 2, 'live', 'query', at, 0, 0 FROM n WHERE state = 'sent';
    INSERT INTO cases SELECT id, 2, 'live', 'clash', at, 'odd', CASE n WHEN 1 THEN NULL ELSE at END
        FROM n WHERE n % 10 = 1;
    INSERT INTO journals SELECT n, 2, 'live', id, 'hold', NULL, at, zeroblob(32), 1,
        CAST(strftime('%Y%m', at / 1000000, 'unixepoch') AS INTEGER) FROM n;
    INSERT INTO entries SELECT n, 1, 1, 2, 1050,
        CAST(strftime('%Y%m', at / 1000000, 'unixepoch') AS INTEGER) FROM n;
    INSERT INTO purchase_days SELECT id >> 37, min(n) FROM n GROUP BY id >> 37;
    INSERT INTO listed_journals SELECT account_id, environment, seq FROM journals;
    INSERT INTO listed_purchases SELECT account_id, environment, operator, kind, id
        FROM purchases;
    INSERT INTO listed_recipients SELECT account_id, environment, recipient, id FROM purchases;
    UPDATE lists SET up_to = (SELECT max(seq) FROM journals);
    DROP TABLE n;";

fn filled(count: i64) -> (tempfile::TempDir, Sqlite) {
    let folder = tempfile::tempdir().unwrap();
    let lite = Sqlite::blank(&folder.path().join("history.db")).unwrap();
    lite.connection().execute_batch(&FILL.replace("COUNT", &count.to_string())).unwrap();
    (folder, lite)
}

type Query = fn(&mut dyn Sql, PurchaseKey) -> Result<usize, Fault>;

const NOW: Timestamp = Timestamp(1_800_000_000_000_000);
const PAGE: Page = Page { before: None, limit: 20 };
const ACCOUNT: AccountId = AccountId(2);
const LIVE: Environment = Environment::Live;

fn named(text: &str) -> ReferenceKey {
    let text = text.to_owned();
    ReferenceKey { account: ACCOUNT, environment: LIVE, scope: ReferenceScope::Rechargely, text }
}

/// The queries of workers, dialects and staff, and how many rows each answers.
const QUERIES: &[(&str, usize, Query)] = &[
    ("when a job is due", 1, |sql, _| Ok(queue::next_due::<Jobs>(sql)?.into_iter().count())),
    ("jobs that are due", 10, |sql, _| {
        Ok(queue::lease::<Jobs>(sql, 0, NOW, NOW.after(Duration::from_secs(30)), 64)?.len())
    }),
    ("what dead runs left", 0, |sql, _| queue::take_over(sql, 0, NOW).map(|()| 0)),
    ("when a push is due", 0, |sql, _| Ok(queue::next_due::<Pushes>(sql)?.into_iter().count())),
    ("pushes that are due", 0, |sql, _| {
        Ok(queue::lease::<Pushes>(sql, 0, NOW, NOW.after(Duration::from_secs(30)), 64)?.len())
    }),
    ("open cases", 1, |sql, _| Ok(purchases::open_cases(sql)?.len())),
    ("late outcomes", 0, |sql, _| Ok(archive::open_late_outcomes(sql)?.len())),
    ("the latest", 20, |sql, _| latest(sql, None)),
    ("the latest delivered", 20, |sql, _| latest(sql, Some(State::Delivered))),
    ("the latest failed", 20, |sql, _| latest(sql, Some(State::Failed))),
    ("the latest refunded", 1, |sql, _| latest(sql, Some(State::Refunded))),
    ("the latest rejected", 0, |sql, _| latest(sql, Some(State::Rejected))),
    ("the latest sent", 10, |sql, _| latest(sql, Some(State::Sent))),
    ("the latest with staff", 0, |sql, _| latest(sql, Some(State::WithStaff))),
    ("the id of a number", 1, |sql, key| {
        Ok(numbers::id_of(sql, key.id.number())?.into_iter().count())
    }),
    ("the quick audit", 0, |sql, _| Ok(verify::quick(sql)?.len())),
    ("a reference", 1, |sql, _| {
        Ok(purchases::stored_reference(sql, &named("R500"))?.into_iter().count())
    }),
    ("a purchase", 1, |sql, key| Ok(purchases::by_key(sql, &key)?.into_iter().count())),
    ("a purchase by its id", 1, |sql, key| Ok(purchases::by_id(sql, key.id)?.into_iter().count())),
    ("attempts", 1, |sql, key| Ok(purchases::attempts(sql, &key)?.len())),
    ("events", 1, |sql, key| Ok(jobs::events(sql, &key)?.len())),
    ("evidence", 0, |sql, key| purchases::evidence(sql, &key).map(|_| 0)),
    ("a statement", 20, |sql, _| {
        let (account, environment, balance) = (ACCOUNT, LIVE, Balance::Available);
        let of = StatementOf { account, environment, currency: Currency::BDT, balance };
        Ok(ledger::statement(sql, of, PAGE)?.unwrap_or_default().len())
    }),
    ("a customer's purchases", 20, |sql, _| {
        let scope = ReferenceScope::Rechargely;
        Ok(purchases::by_logins(sql, ACCOUNT, LIVE, scope, &[], PAGE)?.len())
    }),
    ("a merchant's list", 20, |sql, _| listed(sql, &PurchaseFilter::default())),
    ("what counts are made of", 20, |sql, _| {
        Ok(purchases::recent(sql, ACCOUNT, LIVE, Timestamp(0), PAGE.limit)?.len())
    }),
    ("a list of an operator and a kind", 20, |sql, _| {
        let (operator, kind) = (Some("GP".to_owned()), Some(Kind::Recharge));
        listed(sql, &PurchaseFilter { operator, kind, ..Default::default() })
    }),
    ("a list of another operator", 0, |sql, _| {
        listed(sql, &PurchaseFilter { operator: Some("SK".to_owned()), ..Default::default() })
    }),
    ("a list of a recipient", 20, |sql, _| {
        let recipient = Some("01712345678".to_owned());
        listed(sql, &PurchaseFilter { recipient, ..Default::default() })
    }),
    ("a list of a reference", 1, |sql, _| {
        listed(sql, &PurchaseFilter { reference: Some("R500".to_owned()), ..Default::default() })
    }),
    ("a list of the delivered", 20, |sql, _| listed(sql, &in_states(&[State::Delivered]))),
    ("a list of the failed", 20, |sql, _| listed(sql, &in_states(&[State::Failed]))),
    ("a list of the rejected", 0, |sql, _| listed(sql, &in_states(&[State::Rejected]))),
    ("a list of the open", 10, |sql, _| {
        listed(sql, &in_states(&[State::Sent, State::InDoubt, State::WithStaff]))
    }),
    ("a list of a minute", 0, |sql, _| {
        let (since, until) = (Some(NOW), Some(NOW.after(Duration::from_secs(60))));
        listed(sql, &PurchaseFilter { since, until, ..Default::default() })
    }),
    ("the holder of a key", 1, |sql, _| {
        Ok(accounts::key_holder(sql, "ok_live_1")?.into_iter().count())
    }),
    ("a halt", 0, |sql, _| Ok(halts::current(sql)?.into_iter().count())),
    ("what is closed", 0, |sql, _| Ok(archive::archived(sql)?.into_iter().count())),
];

fn latest(sql: &mut dyn Sql, state: Option<State>) -> Result<usize, Fault> {
    Ok(purchases::latest(sql, state, 20)?.len())
}

fn in_states(states: &[State]) -> PurchaseFilter {
    PurchaseFilter { states: states.to_vec(), ..Default::default() }
}

fn listed(sql: &mut dyn Sql, filter: &PurchaseFilter) -> Result<usize, Fault> {
    Ok(purchases::list(sql, ACCOUNT, LIVE, filter, PAGE)?.len())
}

#[test]
fn regular_queries_cost_the_same_whatever_the_history() {
    let (short, long) = (costs(SHORT), costs(LONG));
    let mut grown = Vec::new();
    for ((name, ..), (before, after)) in QUERIES.iter().zip(short.iter().zip(&long)) {
        // An index that is one level deeper costs one more step for each look-up.
        if *after > before + before / 4 + 20 {
            grown.push(format!("{name}: {before} steps, and {after} with {LONG} purchases"));
        }
    }
    assert!(grown.is_empty(), "{grown:#?}");
    assert!(short.iter().all(|cost| *cost > 0), "{short:?}");
}

/// The next month to archive is found by binary search: a history fifty times as long costs a few
/// more steps.
#[test]
fn the_next_month_is_found_without_reading_it() {
    let before = Month::of(NOW);
    let cost = |count| {
        let (_folder, mut lite) = filled(count);
        steps::taken();
        let closing = archive::next(&mut lite, before, NOW).unwrap().unwrap();
        assert_eq!(closing.month.to_string(), "2026-01");
        steps::taken()
    };
    let (short, long) = (cost(SHORT), cost(LONG));
    assert!(long < short * 3, "{short} steps, and {long} with {LONG} purchases");
}

/// SQLite compiles a statement again for each value of a parameter that its plan looked at, which
/// costs more than most queries do.
#[test]
fn no_regular_query_is_compiled_again_for_another_value() {
    let (_folder, mut lite) = filled(SHORT);
    let mut again = Vec::new();
    let key = first_delivered(&mut lite);
    for _ in 0..2 {
        steps::prepared_again();
        for (name, _, query) in QUERIES {
            query(&mut lite, key).unwrap();
            if steps::prepared_again() > 0 {
                again.push(*name);
            }
        }
    }
    assert_eq!(again, [""; 0]);
}

fn costs(count: i64) -> Vec<i64> {
    let (_folder, mut lite) = filled(count);
    let key = first_delivered(&mut lite);
    let mut costs = Vec::new();
    for (name, rows, query) in QUERIES {
        steps::taken();
        let answered = query(&mut lite, key).unwrap();
        let cost = steps::taken();
        assert_eq!(answered, *rows, "{name}");
        costs.push(cost);
    }
    costs
}

/// Many rows are read in shares of each operator and kind, and the rest: they are the latest ones
/// whoever sold most, and when.
#[test]
fn the_latest_of_many_operators_are_merged() {
    let (_folder, mut lite) = filled(5_000);
    for (operator, kind, of) in [
        ("RB", "recharge", "id % 2 = 0"),
        ("RB", "offer", "id % 7 = 0"),
        ("BL", "recharge", "id < (SELECT max(id) - (30 << 37) FROM purchases) AND id % 3 = 0"),
        ("TT", "recharge", "id > (SELECT max(id) - (1 << 37) FROM purchases)"),
    ] {
        let text = format!("UPDATE purchases SET operator='{operator}', kind='{kind}' WHERE {of}");
        lite.connection().execute_batch(&text).unwrap();
    }
    for limit in [1, 99, 101, 150, 700, 4_999, 6_000] {
        let recent = purchases::recent(&mut lite, ACCOUNT, LIVE, Timestamp(0), limit).unwrap();
        let found: Vec<i64> = recent.iter().map(|one| one.id.0).collect();
        let text = format!("SELECT id FROM purchases ORDER BY id DESC LIMIT {limit}");
        let mut statement = lite.connection().prepare(&text).unwrap();
        let ids = statement.query_map((), |row| row.get(0)).unwrap();
        assert_eq!(found, ids.map(Result::unwrap).collect::<Vec<i64>>(), "{limit}");
    }
}

fn first_delivered(lite: &mut Sqlite) -> PurchaseKey {
    let id = purchases::latest(lite, Some(State::Delivered), 1).unwrap()[0].key.id;
    PurchaseKey { account: ACCOUNT, environment: LIVE, id }
}

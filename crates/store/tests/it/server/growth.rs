//! Regular queries read no more rows when the history grows: by the server's own counters. For
//! SQLite this is tested in `src/growth.rs`.

use crate::harness::postgres::Database;
use crate::harness::world::*;
use domain::ids::EndpointId;
use domain::{
    AccountId, Currency, Day, Environment, Kind, PendingWebhook, Purchase, PurchaseId,
    PurchaseNumber, ReferenceScope, State, Timestamp,
};
use std::sync::Arc;
use std::time::Duration;
use store::{
    Balance, DeliveryAttempt, EndedLease, Jobs, Lease, LeaseEnd, Page, PurchaseFilter, Pushes,
    StatementOf, Store, TakeOver, TakeStep, Webhooks,
};

const LEASE: Duration = Duration::from_secs(30);

/// Finished purchases over three months. The server has no statistics of them, as in a new
/// database.
const HISTORY: &str = "
    SELECT make_room(202601, 0), make_room(202602, 0), make_room(202603, 0),
        make_room(202604, 0);
    SELECT make_room(202601, 1), make_room(202602, 1), make_room(202603, 1),
        make_room(202604, 1);
    SET session_replication_role = replica;
    CREATE TEMPORARY TABLE n AS SELECT n, ((n * 7776000000 / 100000) << 12) + n AS id,
        1767225600000000 + n * 7776000000000 / 100000 AS at,
        to_char(to_timestamp(1767225600 + n * 7776000 / 100000) AT TIME ZONE 'UTC',
            'YYYYMM')::bigint AS month
        FROM generate_series(1::bigint, 100000) n;
    INSERT INTO purchases SELECT id, 2, 'live', 'rechargely', 'H' || n, NULL, 'recharge', 'GP',
        '01712345678', 'prepaid', 'BDT', 1000, 50, 150, 0, '{}', NULL, 'delivered', 2, 1, 'sim',
        NULL, NULL, at, at, NULL, NULL FROM n;
    INSERT INTO claims SELECT 2, 'live', 'rechargely', 'H' || n, id, NULL, at FROM n;
    INSERT INTO attempts SELECT id, 2, 'live', 1, 'sim', at, NULL, NULL, NULL, NULL FROM n;
    INSERT INTO events SELECT id, 2, 'live', 2, 'delivered', at, NULL FROM n;
    INSERT INTO cases SELECT id, 2, 'live', 'clash', at, 'odd', at FROM n WHERE n % 10 = 1;
    INSERT INTO journals SELECT n, 2, 'live', id, 'hold', NULL, at,
        decode(repeat('00', 32), 'hex'), 1, month FROM n;
    INSERT INTO entries SELECT n, 1, 4, 5, 1, month FROM n;";

/// Rows that were read from the tables that grow: by sequential scans, and by indexes.
const READ: &str = "SELECT format('%s %s', sum(seq_tup_read)::bigint,
        sum(coalesce(idx_tup_fetch, 0))::bigint)
    FROM pg_stat_user_tables
    WHERE relname ~ '^(purchases|attempts|events|evidence|slips|journals|entries)_'
        OR relname IN ('claims', 'cases')";

/// Returns once the store's connections have ended and so reported their counters.
fn await_counters(database: &Database) {
    for _ in 0..1_000 {
        let others = "SELECT count(*) FROM pg_stat_activity
            WHERE datname = current_database() AND application_name = 'saldo'";
        if database.sql(others) == ["0"] {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The counters of [`READ`].
fn rows_read(database: &Database) -> (u64, u64) {
    await_counters(database);
    let read = database.sql(READ).remove(0);
    let (scanned, fetched) = read.split_once(' ').unwrap();
    (scanned.parse().unwrap(), fetched.parse().unwrap())
}

/// The indexes that were searched, of the tables that each purchase writes.
const SEARCHED: &str = "SELECT DISTINCT regexp_replace(indexrelname, '_[0-9]+', '')
    FROM pg_stat_user_indexes
    WHERE idx_scan > 0 AND relname ~ '^(purchases|attempts|events|journals|entries|webhooks|jobs)'
    ORDER BY 1";

/// A month begins with empty tables, of which the server has no statistics. Nevertheless it
/// finds the rows of a purchase by their key, not by an index that has all rows of the account.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_new_month_each_row_is_found_by_its_key() {
    use domain::Event;
    let world = postgresql().await;
    deposit(&world.store, 2, 100 * TOTAL, "in").await;
    for n in 1..=20 {
        let id = PurchaseId::given_on(Day::of(NOW), PurchaseNumber(n)).0;
        let sent = live(&world.store, purchase(2, id, State::Sent), &[Event::Doubt]).await;
        delivered_with_webhook(&world.store, &sent).await;
        let due = world.store.commit(Lease::<Webhooks>::new(NOW, LEASE, 10)).await.unwrap();
        assert_eq!(due.len(), 1);
        for webhook in due {
            let attempt = Some(DeliveryAttempt {
                at: NOW,
                verdict: "taken".to_owned(),
                status: Some(200),
                took_ms: 12,
                text: String::new(),
            });
            let ended = EndedLease { webhook, end: LeaseEnd::Accepted, attempt, release: None };
            world.store.commit(ended).await.unwrap();
        }
    }
    let storage = world.closed();
    await_counters(storage.database());
    let expected = expect_test::expect![[r#"
        attempts_pkey
        jobs_pkey
        journals_pkey
        purchases_pkey
        webhooks_due
        webhooks_pkey"#]];
    expected.assert_eq(&storage.database().sql(SEARCHED).join("\n"));
}

async fn delivered_with_webhook(store: &Store, sent: &Purchase) {
    let mut step = step(sent, domain::Event::Deliver).unwrap();
    step.webhooks = vec![Arc::new(PendingWebhook {
        event: "transaction.success".into(),
        sequence: 3,
        endpoint: EndpointId(7),
        url: "https://hooks.example/a".to_owned(),
        body: "{}".to_owned(),
        at: NOW,
        due: Some(NOW),
        is_leased: false,
    })];
    store.write(TakeStep(step)).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_reads_no_history() {
    let world = postgresql().await;
    world.execute(HISTORY);
    let storage = world.closed();
    let (scanned, fetched) = rows_read(storage.database());
    let store = Store::connect(&storage.database().url()).unwrap();
    let states = State::ALL.into_iter().map(Some).chain([None]);
    for state in states {
        store.latest_purchases(state, 20).unwrap();
    }
    let key = store.latest_purchases(None, 1).unwrap()[0].key;
    store.open_cases().unwrap();
    store.late_outcomes().unwrap();
    store.next_due::<Jobs>().unwrap();
    store.next_due::<Pushes>().unwrap();
    store.purchase_id(key.id.number()).unwrap().unwrap();
    store.quick_audit().unwrap();
    store.purchase(&key).unwrap().unwrap();
    store.any_purchase(key.id).unwrap().unwrap();
    store.attempts(&key).unwrap();
    store.events(&key).unwrap();
    store.evidence(&key).unwrap();
    let page = Page { before: None, limit: 20 };
    let (account, live) = (AccountId(2), Environment::Live);
    let of = StatementOf {
        account,
        environment: live,
        currency: Currency::BDT,
        balance: Balance::Available,
    };
    assert_eq!(store.statement(of, page).unwrap().unwrap().len(), 20);
    assert_eq!(
        store.purchases_of(account, live, ReferenceScope::Rechargely, &[], page).unwrap().len(),
        20
    );
    for (filter, count) in filters() {
        let listed = store.list_purchases(account, live, &filter, page).unwrap();
        assert_eq!(listed.len(), count, "{filter:?}");
    }
    assert!(
        store.stored_reference(&reference(2, ReferenceScope::Rechargely, "H5")).unwrap().is_some()
    );
    store.next_to_archive("2026-02".parse().unwrap(), NOW).unwrap().unwrap();
    // The writer too: a purchase from its hold to its end, and jobs.
    deposit(&store, 2, 10 * TOTAL, "in").await;
    live_one(&store).await;
    store.commit(TakeOver { dead: Vec::new(), is_start: false, now: NOW }).await.unwrap();
    store.commit(Lease::<Jobs>::new(NOW, Duration::from_secs(30), 64)).await.unwrap();
    drop(store);
    let (scanned_now, fetched_now) = rows_read(storage.database());
    let (scanned, fetched) = (scanned_now - scanned, fetched_now - fetched);
    assert!(fetched > 100, "the counters have not moved: {fetched}");
    assert!(scanned < 1_000 && fetched < 5_000, "scanned {scanned} rows, fetched {fetched}");
}

/// One filter of each kind, and how many purchases of the history it finds on a page.
fn filters() -> Vec<(PurchaseFilter, usize)> {
    let all = PurchaseFilter::default;
    let text = |text: &str| Some(text.to_owned());
    vec![
        (all(), 20),
        (PurchaseFilter { operator: text("GP"), kind: Some(Kind::Recharge), ..all() }, 20),
        (PurchaseFilter { operator: text("SK"), ..all() }, 0),
        (PurchaseFilter { recipient: text("01712345678"), ..all() }, 20),
        (PurchaseFilter { recipient: text("01700000000"), ..all() }, 0),
        (PurchaseFilter { reference: text("H500"), ..all() }, 1),
        (PurchaseFilter { states: vec![State::Delivered], ..all() }, 20),
        (PurchaseFilter { states: vec![State::Failed], ..all() }, 0),
        (PurchaseFilter { states: vec![State::Sent, State::InDoubt], ..all() }, 0),
        (PurchaseFilter { since: Some(NOW), ..all() }, 0),
        (PurchaseFilter { until: Some(Timestamp(1_770_000_000_000_000)), ..all() }, 20),
    ]
}

async fn live_one(store: &Store) {
    use domain::Event;
    live(store, purchase(2, 16_000_000_000, State::Sent), &[Event::Doubt, Event::Deliver]).await;
}

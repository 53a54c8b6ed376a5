//! Data of older versions is upgraded when it is opened: nothing is lost, and work continues.

use super::archive::{bought_before, month};
use crate::harness::postgres::Database;
use crate::harness::world::{self, TOTAL, assert_sound, deposit, fund, open_accounts};
use domain::{
    AccountId, Currency, Day, Environment, Event, Kind, PauseCause, PostingDenied, Purchase,
    PurchaseId, PurchaseKey, PurchaseNumber, Reason, Sequence, State, Timestamp,
};
use expect_test::expect;
use std::path::Path;
use std::{fs, iter};
use store::{Posting, SetAll, Setting, Store, TakeNumbers, TakeStep, TakenNumbers};

/// Creates the schema of a version in an empty database, as that version did.
fn create_schema(database: &Database, version: usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/migrations");
    let mut files: Vec<String> = fs::read_dir(folder.clone())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.ends_with(".sqlite.sql"))
        .filter(|name| name[..4].parse::<usize>().unwrap() <= version)
        .collect();
    // Of one version, the statements for both databases come before those of PostgreSQL.
    files.sort_by_key(|name| (name[..4].to_owned(), name.ends_with(".postgres.sql")));
    let texts = files.iter().map(|name| fs::read_to_string(folder.join(name)).unwrap());
    for text in texts.chain(iter::once(format!(
        "CREATE TABLE schema_version (version BIGINT NOT NULL);
         INSERT INTO schema_version VALUES ({version})"
    ))) {
        database.sql(&text.replace("{{table}}", "").replace("{{clustered}}", ""));
    }
}

/// Takes back what the versions after 31 added, in a folder.
const BACK_TO_31: &str = "
    DROP TABLE plan_prices; DROP TABLE plans; DROP TABLE balance_alerts; DROP TABLE plan_renewals;
    ALTER TABLE users DROP COLUMN owner_digest;";
/// Takes back what the versions from 19 to 30 added.
const BACK_TO_18: &str = "
    DROP TABLE exchanges; ALTER TABLE routes DROP COLUMN product;
    ALTER TABLE routes DROP COLUMN account_id; DROP TABLE upstreams; DROP TABLE upstream_balances;
    DROP TABLE upstream_watch; DROP TABLE upstream_floats; DROP TABLE upstream_hours;
    ALTER TABLE attempts DROP COLUMN passed_over; ALTER TABLE attempts DROP COLUMN cost_currency;
    ALTER TABLE attempts DROP COLUMN cost; DROP TABLE sequences; DROP TABLE purchase_days;
    DROP TABLE commission_rules; ALTER TABLE accounts DROP COLUMN subscribed_since;
    ALTER TABLE accounts DROP COLUMN duplicates; DROP TABLE requests; DROP TABLE key_uses;
    ALTER TABLE keys DROP COLUMN scopes; ALTER TABLE keys DROP COLUMN expires_at;
    ALTER TABLE keys DROP COLUMN made_by; DROP TABLE webhook_replays;
    DROP TABLE upstream_refusals; DROP TABLE rechecks;
    DROP TABLE lists; DROP TABLE listed_journals; DROP TABLE listed_purchases;
    DROP TABLE listed_recipients;
    CREATE INDEX purchases_lists ON purchases (account_id, environment, operator, kind, id);
    CREATE INDEX purchases_of_recipient ON purchases (account_id, environment, recipient, id);
    CREATE INDEX journals_of_account ON journals (account_id, environment, seq);
    PRAGMA user_version=18;";
/// Takes back what version 18 added.
const BACK_TO_17: &str = "
    DROP INDEX purchases_lists; DROP INDEX purchases_of_recipient; DROP INDEX events_of_account;
    DROP INDEX journals_of_account; DROP INDEX webhooks_not_accepted;
    CREATE INDEX journals_listed ON journals (account_id, environment, seq)
        WHERE listed = 1 OR purchase_id IS NULL;";

/// The rows of the first version stay, addresses become comparable, and the new tables are there.
#[tokio::test]
async fn data_of_the_first_version() {
    let folder = tempfile::tempdir().unwrap();
    let sql = rusqlite::Connection::open(folder.path().join("saldo.db")).unwrap();
    let first = include_str!("../../../src/migrations/0001_start.sql")
        .replace("BIGINT", "INTEGER")
        .replace("BYTEA", "BLOB")
        .replace("{{table}}", "STRICT")
        .replace("{{clustered}}", "STRICT, WITHOUT ROWID");
    sql.execute_batch(&first).unwrap();
    sql.execute_batch(include_str!("../../../src/migrations/0001_start.sqlite.sql")).unwrap();
    sql.execute_batch(
        "INSERT INTO accounts VALUES (1, 'house', 'House', 1, NULL, 0, NULL, 5);
         INSERT INTO users VALUES (7, 1, ' Rahim@Example.ORG', 'admin', '$argon2id$', 5);
         PRAGMA user_version=1;",
    )
    .unwrap();
    drop(sql);
    for _ in 0..2 {
        let store = Store::open(folder.path()).unwrap();
        let holder = store.user_of("rahim@example.org").unwrap().unwrap();
        assert_eq!((holder.user.id.0, holder.user.is_active), (7, true));
        assert_eq!((holder.user.mobile, holder.user.name), (None, None));
        assert_eq!(holder.account.name, "House");
        assert!(store.devices_of(holder.account.id).unwrap().is_empty());
        assert_eq!(store.audit().unwrap().findings_count, 0);
    }
}

/// Nothing that the first version wrote is lost, the ledger still balances, and products that it
/// did not know can be bought.
#[tokio::test]
async fn a_demo_of_the_first_version() {
    let folder = tempfile::tempdir().unwrap();
    let sql = rusqlite::Connection::open(folder.path().join("saldo.db")).unwrap();
    sql.execute_batch(include_str!("data/version1.sql")).unwrap();
    drop(sql);
    let store = Store::open(folder.path()).unwrap();
    continues(&store).await;
    // Foreign keys are in force again.
    let orphan = Setting::Wallet(AccountId(99), Environment::Live, Currency::USD);
    assert!(store.commit(SetAll(vec![orphan])).await.is_err());
}

/// The same rows in a PostgreSQL database with the schema of the first version: they move into the
/// partitions of their months.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_demo_of_the_first_version_on_postgresql() {
    let database = Database::empty();
    create_schema(&database, 1);
    let rows =
        include_str!("data/version1.sql").lines().filter(|line| line.starts_with("INSERT INTO"));
    let rows: String = rows.map(|row| row.replace("X'", "'\\x") + "\n").collect();
    // Without triggers and foreign keys, so that the order of the rows does not matter.
    database.sql(&format!("SET session_replication_role = replica; {rows}"));
    let store = Store::connect(&database.url()).unwrap();
    let partitions = "SELECT string_agg(c.relname, ' ' ORDER BY c.relname) FROM pg_inherits i
        JOIN pg_class c ON c.oid = i.inhrelid WHERE c.relkind = 'r'";
    expect![
        "entries_202611 journals_202611 old_attempts_202611 old_events_202611 \
         old_evidence_202611 old_purchases_202611 old_slips_202611"
    ]
    .assert_eq(&database.sql(partitions).concat());
    continues(&store).await;
}

/// The table `pen` of version 10 becomes `last_commit`: its row and its constraints stay.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_commit_of_version_10_is_kept_on_postgresql() {
    let database = Database::empty();
    create_schema(&database, 10);
    database.sql("UPDATE pen SET token = 'former', batch = 7");
    drop(Store::connect(&database.url()).unwrap());
    assert_eq!(database.sql("SELECT version FROM schema_version"), ["35"]);
    assert_eq!(database.sql("SELECT (to_regclass('pen') IS NULL)::text"), ["true"]);
    let row = "SELECT id || ' ' || token || ' ' || batch FROM last_commit";
    assert_eq!(database.sql(row), ["1 former 7"]);
    let second = database.try_sql("INSERT INTO last_commit VALUES (2, '', 0)");
    expect![[
        r#"new row for relation "last_commit" violates check constraint "last_commit_id_check""#
    ]]
    .assert_eq(&second.unwrap_err());

    let store = Store::connect(&database.url()).unwrap();
    open_accounts(&store, 1).await;
    for n in 1..=3 {
        assert_eq!(deposit(&store, 2, TOTAL, &format!("in {n}")).await, n * TOTAL);
    }
    let of_this_writer = "SELECT count(*) FROM last_commit JOIN writers USING (token, batch)";
    assert_eq!(database.sql(of_this_writer), ["1"]);
    assert_sound(&store);
}

/// Rows from before there were digests are as sound as before, get theirs with the next step, and
/// new ones have one.
#[tokio::test]
async fn a_folder_of_version_10_gets_digests() {
    let world = world::sqlite().await;
    deposit(&world.store, 2, 9 * TOTAL, "in").await;
    for id in 1..=3 {
        world::live(&world.store, world::purchase(2, id, State::Sent), &[]).await;
    }
    let folder = world.closed();
    let file = folder.path().join("saldo.db");
    let sql = rusqlite::Connection::open(&file).unwrap();
    sql.execute_batch(BACK_TO_31).unwrap();
    sql.execute_batch(BACK_TO_18).unwrap();
    sql.execute_batch(BACK_TO_17).unwrap();
    sql.execute_batch(
        "INSERT INTO claims (account_id, environment, space, reference, at)
             SELECT account_id, environment, 'desk', reference, at FROM payments;
         DROP TABLE payments; ALTER TABLE purchases DROP COLUMN row_digest; ALTER TABLE claims
         DROP COLUMN row_digest;
         ALTER TABLE attempts DROP COLUMN row_digest;
         ALTER TABLE attempts DROP COLUMN outcome_digest; ALTER TABLE pushes DROP COLUMN run;
         DROP TABLE acts; DROP TABLE clock_jumps; DROP TABLE clock_notes;
         DROP TABLE second_factors; DROP TABLE recovery_codes; DROP TABLE mail_codes;
         DROP TABLE key_secrets; ALTER TABLE accounts DROP COLUMN approved_at;
         ALTER TABLE users DROP COLUMN confirmed_at; ALTER TABLE users DROP COLUMN language;
         ALTER TABLE sessions DROP COLUMN door; ALTER TABLE sessions DROP COLUMN proved_at;
         ALTER TABLE sessions DROP COLUMN agent; ALTER TABLE sessions DROP COLUMN address;
         PRAGMA user_version=10;",
    )
    .unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_sound(&store);
    let version = sql.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
    assert_eq!(version.unwrap(), 35);
    let run = sql.query_row("SELECT count(run) FROM pushes", [], |row| row.get::<_, i64>(0));
    assert_eq!(run.unwrap(), 0);
    let old = store.purchase(&world::key(2, 1)).unwrap().unwrap();
    let step = world::step(&old, Event::Deliver).unwrap();
    store.write(TakeStep(step)).await.unwrap().unwrap();
    world::live(&store, world::purchase(2, 4, State::Sent), &[Event::Deliver]).await;
    assert_sound(&store);
    drop(store);
    let with_digest = "SELECT group_concat(id) FROM purchases WHERE length(row_digest) = 16";
    assert_eq!(sql.query_row(with_digest, [], |row| row.get::<_, String>(0)).unwrap(), "1,4");
}

/// References of payments from before they were unique in the house: the first has it, the others
/// keep their money under it with a number, and nothing new is booked under it.
#[tokio::test]
async fn payments_of_version_16_get_their_table() {
    let world = world::sqlite().await;
    for (account, seconds) in [(3, 2), (2, 1), (2, 3)] {
        let text = format!("in {seconds}");
        let posting = fund(Reason::Deposit, account, 500, &text);
        let at = Timestamp(world::NOW.0 + seconds * 1_000_000);
        world.store.write(Posting { at, ..posting }).await.unwrap().unwrap();
    }
    let folder = world.closed();
    let sql = rusqlite::Connection::open(folder.path().join("saldo.db")).unwrap();
    sql.execute_batch(BACK_TO_31).unwrap();
    sql.execute_batch(BACK_TO_18).unwrap();
    sql.execute_batch(BACK_TO_17).unwrap();
    sql.execute_batch(
        "INSERT INTO claims (account_id, environment, space, reference, at)
             SELECT account_id, environment, 'desk',
                 CASE journal_seq WHEN 1 THEN 'TRX7' WHEN 2 THEN 'Trx 7' ELSE 'B9' END, at
             FROM payments;
         DROP TABLE payments; PRAGMA user_version=16;",
    )
    .unwrap();
    let store = Store::open(folder.path()).unwrap();
    assert_sound(&store);
    let of = |account| -> Vec<_> {
        let listed = store.payments_of(AccountId(account), Timestamp(i64::MAX), 9).unwrap();
        listed.into_iter().map(|p| (p.rail, p.reference, p.journal.map(|j| j.0))).collect()
    };
    let manual = |text: &str, journal| ("manual".to_owned(), text.to_owned(), Some(journal));
    assert_eq!(of(2), [manual("B9", 3), manual("TRX7", 2)]);
    assert_eq!(of(3), [manual("TRX7 2", 1)]);
    for typed in ["TRX7", "trx 7", "b9"] {
        let payment = world::payment_of("manual", typed);
        let again = Posting { payment, ..fund(Reason::Deposit, 3, 500, "") };
        let known = store.write(again).await.unwrap().unwrap_err();
        let PostingDenied::Known(owner) = known else { panic!("{known:?}") };
        assert_eq!(owner.account, AccountId(2), "{typed}");
    }
    assert_sound(&store);
}

/// Why an upstream is paused, and by whom, stood in the text alone.
#[tokio::test]
async fn pauses_of_before_get_their_cause() {
    let folder = world::sqlite().await.closed();
    let sql = rusqlite::Connection::open(folder.path().join("saldo.db")).unwrap();
    sql.execute_batch(
        "ALTER TABLE upstreams DROP COLUMN paused_cause;
         ALTER TABLE upstreams DROP COLUMN paused_by;",
    )
    .unwrap();
    sql.execute_batch(BACK_TO_31).unwrap();
    sql.execute_batch("PRAGMA user_version=30").unwrap();
    let pauses = [
        ("a", Some("a new file by Rahima Khatun"), Some((PauseCause::NewFile, "Rahima Khatun"))),
        ("b", Some("float: 12.50 BDT left"), Some((PauseCause::Float, ""))),
        ("c", Some("a new fileserver"), Some((PauseCause::Staff, ""))),
        ("d", None, None),
    ];
    for (code, paused, _) in pauses {
        let insert = "INSERT INTO upstreams VALUES (?1, 'irecharge', 'live', 'https://u.example',
            '[]', '', '{}', '[]', x'01', NULL, NULL, NULL, NULL, ?2, 5, 5, NULL, 1)";
        sql.execute(insert, rusqlite::params![code, paused]).unwrap();
    }
    drop(sql);
    let store = Store::open(folder.path()).unwrap();
    let read = store.upstreams().unwrap();
    for ((code, reason, expected), row) in pauses.into_iter().zip(&read) {
        assert_eq!(row.code.as_str(), code);
        let pause = row.paused.as_ref();
        assert_eq!(pause.map(|pause| pause.reason.as_str()), reason);
        assert_eq!(pause.map(|pause| (pause.cause, pause.by.as_str())), expected, "{code}");
    }
    assert_eq!(read.len(), pauses.len());
}

/// Ids of before stay, are addressed as before, and new ones are small, later ones.
#[tokio::test]
async fn a_folder_of_version_18_gets_small_numbers() {
    let world = world::sqlite().await;
    deposit(&world.store, 2, 9 * TOTAL, "in").await;
    let old = bought_before(2, month("2026-04"), 5, State::Sent);
    world::live(&world.store, old.clone(), &[]).await;
    let folder = world.closed();
    let sql = rusqlite::Connection::open(folder.path().join("saldo.db")).unwrap();
    sql.execute_batch(BACK_TO_31).unwrap();
    sql.execute_batch(BACK_TO_18).unwrap();
    let store = Store::open(folder.path()).unwrap();
    let number = PurchaseNumber(old.key.id.0);
    assert_eq!(store.purchase_id(number).unwrap(), Some(old.key.id));
    // A clock that is behind gives no id below the last one of before.
    let take = |of| TakeNumbers { of, count: 1, at: Timestamp(0) };
    let TakenNumbers { first, day } = store.commit(take(Sequence::Purchase)).await.unwrap();
    assert_eq!((first, day), (1, Day::of(old.opened_at)));
    let new = PurchaseId::given_on(day, PurchaseNumber(first));
    assert_eq!(store.purchase_id(PurchaseNumber(1)).unwrap(), Some(new));
    assert!(new > old.key.id);
    // Accounts 1 to 3 are there.
    assert_eq!(store.commit(take(Sequence::Account)).await.unwrap().first, 4);
    let step = world::step(&store.purchase(&old.key).unwrap().unwrap(), Event::Deliver).unwrap();
    store.write(TakeStep(step)).await.unwrap().unwrap();
    world::live(&store, world::purchase(2, new.0, State::Sent), &[Event::Deliver]).await;
    assert_sound(&store);
}

async fn continues(store: &Store) {
    let report = store.audit().unwrap();
    assert_eq!((report.findings_count, &report.findings), (0, &Vec::new()));
    assert_eq!((report.purchases, report.open), (5, 3));
    let purchases = store.latest_purchases(None, 10).unwrap();
    assert!(purchases.iter().all(|p| p.product.is_none() && p.operator == "GP"));
    let before = store.catalog().unwrap();
    assert_eq!((before.operators.len(), before.products.len()), (10, 0));
    let first = purchases.last().unwrap();
    let bill = Purchase {
        key: PurchaseKey { id: PurchaseId(first.key.id.0 + 1), ..first.key },
        reference: "NEW".to_owned(),
        kind: Kind::Bill,
        product: Some("power".to_owned()),
        state: State::Quoted,
        ..first.clone()
    };
    let opened = store.write(world::open(bill.clone())).await.unwrap();
    assert_eq!(opened, Ok(0));
    assert_eq!(store.purchase(&bill.key).unwrap().unwrap().product, bill.product);
    assert_eq!(store.audit().unwrap().findings_count, 0);
}

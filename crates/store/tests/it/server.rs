//! What is PostgreSQL's own: opening, what it refuses itself, and connections that are lost.

use crate::postgres::{Database, Server, ask, url};
use crate::world::*;
use domain::ledger::admission::Denial;
use domain::ledger::journal::Reason;
use domain::purchase::lifecycle::{Event, State};
use domain::{AccountId, Currency, Environment};
use expect_test::{Expect, expect};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use store::{Done, Fault, Store};
use tokio::task::JoinSet;

fn refused(url: &str, says: &[(&str, &str)], expected: Expect) {
    let error = Store::connect(url).err().expect("it opened");
    let text = says.iter().fold(error.to_string(), |text, (from, to)| text.replace(from, to));
    expected.assert_eq(&text);
}

fn refused_in(database: &Database, expected: Expect) {
    let port = database.port().to_string();
    refused(&database.url(), &[(database.name(), "NAME"), (&port, "PORT")], expected);
}

#[test]
fn a_database_of_a_newer_version() {
    let database = Database::new();
    database.sql("UPDATE schema_version SET version = 99");
    refused_in(
        &database,
        expect![[
            r#"the database 127.0.0.1:PORT/NAME was written by a newer Saldo (schema 99, this one knows 11); start that version, or a newer one"#
        ]],
    );
}

#[test]
fn a_database_that_may_lose_a_commit() {
    for setting in ["off", "local"] {
        let database = Database::new();
        let alter =
            format!("ALTER DATABASE {} SET synchronous_commit = {setting}", database.name());
        database.sql(&alter);
        let error = Store::connect(&database.url()).err().expect("it opened").to_string();
        assert!(error.contains(&format!("(synchronous_commit={setting})")), "{error}");
    }
    let database = Database::new();
    database.sql(&format!("ALTER DATABASE {} SET synchronous_commit = off", database.name()));
    refused_in(
        &database,
        expect![
            "the database 127.0.0.1:PORT/NAME could lose a committed recharge (synchronous_commit=off); set what is named to on"
        ],
    );
}

#[test]
fn somebody_elses_database() {
    let database = Database::empty();
    database.sql("CREATE TABLE accounts (name TEXT)");
    refused_in(
        &database,
        expect![
            "the database 127.0.0.1:PORT/NAME cannot be used (the database failed: relation \"accounts\" already exists); look after it, or give another --database-url"
        ],
    );
    assert_eq!(database.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), ["1"]);
}

#[test]
fn nobody_answers() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    refused(
        &url(closed, "saldo"),
        &[(&closed.to_string(), "PORT")],
        expect![
            "the database 127.0.0.1:PORT/saldo cannot be used (the database cannot be reached: error connecting to server: Connection refused (os error 111)); look after it, or give another --database-url"
        ],
    );
    refused(
        "saldo.db",
        &[],
        expect![
            "the database's address cannot be used (it does not begin with postgres://); it looks like postgres://user:password@host1,host2/database?sslmode=verify-full"
        ],
    );
}

/// Nodes that start together on an empty database: one makes the schema, all work.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_that_start_together() {
    let database = Database::empty();
    let start = Arc::new(Barrier::new(4));
    let nodes: Vec<_> = (0..4)
        .map(|_| {
            let (start, url) = (start.clone(), database.url());
            std::thread::spawn(move || {
                start.wait();
                Store::connect(&url).unwrap()
            })
        })
        .collect();
    let nodes: Vec<Store> = nodes.into_iter().map(|node| node.join().unwrap()).collect();
    people(&nodes[0], 1).await;
    for (n, node) in (1..).zip(&nodes) {
        assert_eq!(deposit(node, 2, 10, &format!("in {n}")).await, 10 * n);
    }
    assert_sound(&nodes[0]);
    assert_eq!(database.sql("SELECT count(*) FROM writers"), ["4"]);
    drop(nodes);
    assert_eq!(database.sql("SELECT count(*) FROM writers"), ["0"], "an orderly end leaves none");
}

/// Two nodes write at once: one chain, no reference twice, nobody below zero.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_nodes_share_one_wallet() {
    let database = Database::new();
    let nodes = [0, 1].map(|_| Arc::new(Store::connect(&database.url()).unwrap()));
    people(&nodes[0], 1).await;
    deposit(&nodes[0], 2, 50 * TOTAL, "in").await;
    let mut buyers = JoinSet::new();
    for id in 1..=100_i64 {
        for node in &nodes {
            let node = node.clone();
            // Each reference is asked for on both nodes.
            buyers.spawn(async move { node.write(open(purchase(2, id, State::Sent))).await });
        }
    }
    let answers: Vec<_> = buyers.join_all().await.into_iter().map(Result::unwrap).collect();
    assert_eq!(answers.iter().filter(|a| a.is_ok()).count(), 50);
    assert_eq!(wallet(&nodes[1], 2), (0, 50 * TOTAL, 0));
    assert_eq!(assert_sound(&nodes[0]).journals, 51);
}

fn check(database: &Database, statement: &str, expected: Expect) {
    expected.assert_eq(&database.try_sql(statement).expect_err(statement));
}

/// Uniqueness, floors and history are refused by the database, beneath every rule above it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_database_refuses_what_the_rules_forbid() {
    let world = postgresql().await;
    deposit(&world.store, 2, 10 * TOTAL, "in").await;
    live(&world.store, purchase(2, 1, State::Sent), &[Event::Deliver]).await;
    let home = world.closed();
    let sql = home.database();
    let append_only = || expect!["journals are append-only"];
    check(sql, "UPDATE journals SET note = 'x'", append_only());
    check(sql, "DELETE FROM journals WHERE seq = 1", append_only());
    check(sql, "TRUNCATE journals, entries", append_only());
    let append_only = || expect!["entries are append-only"];
    check(sql, "UPDATE entries SET amount = 1", append_only());
    check(sql, "DELETE FROM entries", append_only());
    check(sql, "TRUNCATE entries", append_only());
    check(sql, "DELETE FROM claims", expect!["a used reference stays used"]);
    check(sql, "UPDATE claims SET reference = 'other'", expect!["a used reference stays used"]);
    check(
        sql,
        "INSERT INTO claims SELECT account_id, environment, space, reference, 9, NULL, 0 FROM claims LIMIT 1",
        expect!["duplicate key value violates unique constraint \"claims_once\""],
    );
    let floor = || {
        expect![
            "new row for relation \"ledger_accounts\" violates check constraint \"ledger_accounts_floor\""
        ]
    };
    check(sql, "UPDATE ledger_accounts SET balance = -1 WHERE purpose = 'available'", floor());
    check(sql, "UPDATE ledger_accounts SET balance = -1 WHERE purpose = 'held'", floor());
    check(
        sql,
        "UPDATE ledger_accounts SET floor = NULL WHERE purpose = 'held'",
        expect![
            "new row for relation \"ledger_accounts\" violates check constraint \"ledger_accounts_wallets_have_a_floor\""
        ],
    );
    check(
        sql,
        "INSERT INTO entries VALUES (1, 9, 1, 2, 0, 202604)",
        expect![
            "new row for relation \"entries_202604\" violates check constraint \"entries_amount_check\""
        ],
    );
    check(
        sql,
        "INSERT INTO entries VALUES (99, 1, 1, 2, 5, 202604)",
        expect!["an entry belongs to no journal"],
    );
    check(
        sql,
        "INSERT INTO entries VALUES (1, 9, 1, 999, 5, 202604)",
        expect!["an entry moves money of no ledger account"],
    );
    check(
        sql,
        "INSERT INTO events VALUES (1, 3, 'live', 9, 'failed', 0, NULL)",
        expect!["a row of events belongs to no purchase"],
    );
    check(
        sql,
        "INSERT INTO claims VALUES (99, 'live', 'desk', 'x', NULL, NULL, 0)",
        expect!["a row of claims belongs to no account"],
    );
    check(sql, "DELETE FROM purchases", expect!["purchases are not deleted"]);
    check(sql, "DELETE FROM ledger_accounts", expect!["ledger accounts are not deleted"]);
    check(sql, "UPDATE purchases SET id = 9007199254740992", expect!["purchases are not deleted"]);
}

/// Statements that come without the Tx that they were sent in do nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_without_its_batch_is_refused() {
    let home = postgresql().await.closed();
    let sql = home.database();
    check(sql, "SELECT in_batch(7)", expect!["a statement came without its Tx"]);
    let within = "BEGIN; SELECT set_config('saldo.batch', '7', true); SELECT in_batch(7); COMMIT";
    assert_eq!(sql.sql(within), ["7", "7"]);
    let after = format!("{within}; SELECT in_batch(7)");
    check(sql, &after, expect!["a statement came without its Tx"]);
    let counted = "SELECT refuse_count('purchases', 2, 3)";
    check(sql, counted, expect!["a statement changed 2 rows of purchases instead of 3"]);
}

/// Another node's Tx, which holds everybody up for a second; it has the lock when this returns.
async fn another_writes(database: &Database, what: &str) -> JoinHandle<Vec<String>> {
    let hand = format!(
        "BEGIN; SELECT pg_advisory_xact_lock(1651470187); {what}; SELECT pg_sleep(1); COMMIT"
    );
    let url = database.url();
    let other = std::thread::spawn(move || ask(&url, &hand).unwrap());
    tokio::time::sleep(Duration::from_millis(300)).await;
    other
}

/// A commit that was sent fails, and the one that was sent behind it with it: each is tried again, in
/// its order, and each asker hears what became of his own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_sent_behind_a_commit_that_failed_is_done_again() {
    let home = postgresql().await.closed();
    let store = Arc::new(Store::connect(&home.database().url()).unwrap());
    deposit(&store, 2, 100, "first").await;
    deposit(&store, 2, 100, "so that nothing has to be asked").await;
    // Until more is sent than one batch.
    let other = another_writes(home.database(), "UPDATE last_commit SET token = 'another'").await;
    let mut payers = JoinSet::new();
    for n in 0..60 {
        let store = store.clone();
        // Every third is one that was booked already, or soon is.
        let paper = format!("paper {}", if n % 3 == 2 { n - 1 } else { n });
        payers.spawn(async move { store.write(fund(Reason::Deposit, 2, 1, &paper)).await });
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (mut booked, mut known) = (0, 0);
    while let Some(answer) = payers.join_next().await {
        match answer.unwrap() {
            Ok(Ok(Done::Posted { .. })) => booked += 1,
            Ok(Err(Denial::ReferenceTaken { .. })) => known += 1,
            other => panic!("{other:?}"),
        }
    }
    other.join().unwrap();
    assert_eq!((booked, known), (40, 20));
    assert_sound(&store);
    let balance = "SELECT balance FROM ledger_accounts WHERE id = 4";
    assert_eq!(home.database().sql(balance), ["240"]);
}

/// What comes while the writer waits for another to end goes along with what it waits with: one commit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_comes_while_another_writes_is_of_one_batch() {
    let home = postgresql().await.closed();
    let store = Arc::new(Store::connect(&home.database().url()).unwrap());
    let other = another_writes(home.database(), "SELECT 1").await;
    let mut payers = JoinSet::new();
    for n in 0..40 {
        let store = store.clone();
        let paper = format!("paper {n}");
        payers.spawn(async move { store.write(fund(Reason::Deposit, 2, 1, &paper)).await });
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    while let Some(answer) = payers.join_next().await {
        assert!(matches!(answer.unwrap(), Ok(Ok(Done::Posted { .. }))));
    }
    other.join().unwrap();
    assert_eq!(home.database().sql("SELECT batch FROM writers"), ["1"]);
    assert_sound(&store);
}

/// What a hand changed while a batch was open is not overwritten by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_balance_is_written_from_what_it_was() {
    let world = postgresql().await;
    deposit(&world.store, 2, 100, "in").await;
    let home = world.closed();
    let store = Store::connect(&home.database().url()).unwrap();
    // Holds the wallet's row, having changed it, until the batch waits for it.
    let busy = std::thread::scope(|scope| {
        let hand = scope.spawn(|| {
            home.database().sql(
                "BEGIN; UPDATE ledger_accounts SET balance = balance + 1 WHERE id = 4; SELECT pg_sleep(1); COMMIT",
            )
        });
        std::thread::sleep(Duration::from_millis(400));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let busy = std::thread::spawn(move || {
            runtime.block_on(store.write(fund(Reason::Deposit, 2, 5, "more")))
        });
        hand.join().unwrap();
        busy.join().unwrap()
    });
    assert!(matches!(busy, Err(Fault::Corrupt(_))), "{busy:?}");
    assert_eq!(home.database().sql("SELECT balance FROM ledger_accounts WHERE id = 4"), ["101"]);
}

/// The server is killed under load, several times: what was acknowledged is there, and work goes on.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_server_loses_nothing() {
    let server = Server::own();
    let store = Arc::new(Store::connect(&server.url("migrated")).unwrap());
    people(&store, 8).await;
    let acknowledged = Arc::new(Mutex::new(BTreeMap::new()));
    let (is_over, uncertain) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let mut payers = JoinSet::new();
    for merchant in 2..10_i64 {
        let (store, acknowledged) = (store.clone(), acknowledged.clone());
        let (is_over, uncertain) = (is_over.clone(), uncertain.clone());
        payers.spawn(async move {
            for n in 0.. {
                if is_over.load(Ordering::Relaxed) {
                    break;
                }
                let paper = format!("{merchant} {n}");
                match store.write(fund(Reason::Deposit, merchant, 1, &paper)).await {
                    Ok(Ok(Done::Posted { .. })) => {
                        acknowledged.lock().unwrap().insert(paper, merchant);
                    }
                    Err(Fault::Unavailable(_)) => {
                        tokio::time::sleep(Duration::from_millis(20)).await
                    }
                    Err(Fault::Uncertain(_)) => drop(uncertain.fetch_add(1, Ordering::Relaxed)),
                    other => panic!("{other:?}"),
                }
            }
        });
    }
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(300)).await;
        let before = acknowledged.lock().unwrap().len();
        server.kill();
        tokio::task::block_in_place(|| server.wait());
        let mut tries = 200;
        while acknowledged.lock().unwrap().len() == before {
            tries -= 1;
            assert!(tries > 0, "nothing is acknowledged any more");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
    is_over.store(true, Ordering::Relaxed);
    while let Some(ended) = payers.join_next().await {
        ended.unwrap();
    }
    let acknowledged = acknowledged.lock().unwrap();
    for (paper, merchant) in acknowledged.iter() {
        let claim = store.stored_reference(&reference(
            *merchant,
            domain::purchase::ReferenceScope::Staff,
            paper,
        ));
        assert!(claim.unwrap().is_some(), "{paper} was acknowledged");
    }
    let report = assert_sound(&store);
    let unknown = uncertain.load(Ordering::Relaxed) as u64;
    let counted = acknowledged.len() as u64;
    // What was answered 'not there' is not there either.
    assert!((counted..=counted + unknown).contains(&report.journals), "{counted} {report:?}");
}

/// Where a connection is cut.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Cut {
    Never,
    /// The server never hears of the COMMIT.
    BeforeCommit,
    /// It does, and its answer is lost.
    AfterCommit,
    /// As before, and nobody can connect for a while.
    AfterCommitAndDark,
    /// Nothing is said any more, but the connection stays.
    Silence,
}

/// Stands between the store and the server, and cuts the connection at a COMMIT when told to.
struct Between {
    port: u16,
    cut: Arc<Mutex<Cut>>,
    is_dark: Arc<AtomicBool>,
    cuts: Arc<AtomicUsize>,
}

impl Between {
    fn before(server: u16) -> Between {
        let door = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = door.local_addr().unwrap().port();
        let between = Between {
            port,
            cut: Arc::new(Mutex::new(Cut::Never)),
            is_dark: Arc::default(),
            cuts: Arc::default(),
        };
        let (cut, is_dark, cuts) =
            (between.cut.clone(), between.is_dark.clone(), between.cuts.clone());
        std::thread::spawn(move || {
            for client in door.incoming() {
                let client = client.unwrap();
                if is_dark.load(Ordering::SeqCst) {
                    continue;
                }
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                let (back, out) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                std::thread::spawn(move || carry(back, &out));
                let (cut, is_dark, cuts) = (cut.clone(), is_dark.clone(), cuts.clone());
                std::thread::spawn(move || carry_commits(client, &server, &cut, &is_dark, &cuts));
            }
        });
        between
    }

    fn cut(&self, cut: Cut) {
        *self.cut.lock().unwrap() = cut;
    }
}

fn carry(mut from: TcpStream, mut to: &TcpStream) {
    let mut bytes = [0; 65536];
    while let Ok(n @ 1..) = from.read(&mut bytes) {
        if to.write_all(&bytes[..n]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}

/// The writer prepares COMMIT once and then sends a Bind and an Execute of it alone, in one packet:
/// no values, a few dozen bytes that name a statement.
fn carry_commits(
    mut client: TcpStream,
    mut server: &TcpStream,
    cut: &Mutex<Cut>,
    is_dark: &AtomicBool,
    cuts: &AtomicUsize,
) {
    let mut commit: Option<Vec<u8>> = None;
    let mut bytes = [0; 65536];
    while let Ok(n @ 1..) = client.read(&mut bytes) {
        let packet = &bytes[..n];
        // Parse: 'P', length, the statement's name, its text.
        if let Some(at) = packet.windows(8).position(|w| w == b"\0COMMIT\0") {
            let name = packet[..at].rsplit(|b| *b < b' ').next().unwrap();
            commit = Some(name.to_vec());
        }
        let is_commit = packet[0] == b'B'
            && commit.as_ref().is_some_and(|name| {
                packet
                    .windows(name.len() + 2)
                    .any(|w| w[0] == 0 && w[w.len() - 1] == 0 && &w[1..w.len() - 1] == name)
            });
        let now = if is_commit { *cut.lock().unwrap() } else { Cut::Never };
        if now != Cut::Never {
            *cut.lock().unwrap() = Cut::Never;
            cuts.fetch_add(1, Ordering::SeqCst);
        }
        match now {
            Cut::Never => {}
            Cut::BeforeCommit => break,
            Cut::AfterCommit | Cut::AfterCommitAndDark => {
                // Nothing comes back any more.
                let _ = client.shutdown(Shutdown::Both);
                is_dark.store(now == Cut::AfterCommitAndDark, Ordering::SeqCst);
                let _ = server.write_all(packet);
                std::thread::sleep(Duration::from_millis(200));
                break;
            }
            Cut::Silence => {
                std::thread::sleep(Duration::from_secs(60));
                break;
            }
        }
        if server.write_all(packet).is_err() {
            break;
        }
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

/// Forwards what the server says in pieces of a few bytes; how many have connected.
fn in_pieces(server: u16) -> (u16, Arc<AtomicUsize>) {
    let door = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = door.local_addr().unwrap().port();
    let connected = Arc::new(AtomicUsize::new(0));
    let count = connected.clone();
    std::thread::spawn(move || {
        for client in door.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            let client = client.unwrap();
            client.set_nodelay(true).unwrap();
            let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
            let (from, to) = (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || carry(from, &to));
            std::thread::spawn(move || {
                let mut bytes = [0; 7];
                let (mut from, mut to) = (server, client);
                while let Ok(n @ 1..) = from.read(&mut bytes) {
                    if to.write_all(&bytes[..n]).is_err() {
                        break;
                    }
                    // Long enough for the piece to be read before the next.
                    std::thread::sleep(Duration::from_micros(100));
                }
                let _ = to.shutdown(Shutdown::Both);
            });
        }
    });
    (port, connected)
}

/// What the writer waits for is read, however its answers are cut into pieces: it never takes a server
/// that has answered for one that is silent.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_may_come_in_pieces() {
    let database = Database::new();
    let (port, connected) = in_pieces(database.port());
    let store = Store::connect(&url(port, database.name())).unwrap();
    people(&store, 1).await;
    let before = connected.load(Ordering::SeqCst);
    deposit(&store, 2, 10 * TOTAL, "in").await;
    for id in 1..=5 {
        assert!(store.write(open(purchase(2, id, State::Sent))).await.unwrap().is_ok());
    }
    assert_eq!(connected.load(Ordering::SeqCst), before, "it hung up and connected again");
    assert_sound(&store);
}

/// An answer to COMMIT that is lost is found out before anybody is answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_to_commit_is_looked_up() {
    let database = Database::new();
    let between = Between::before(database.port());
    let store = Store::connect(&url(between.port, database.name())).unwrap();
    people(&store, 1).await;
    let mut booked = 0;
    for round in 0..12 {
        let cut = [Cut::BeforeCommit, Cut::AfterCommit][round % 2];
        between.cut(cut);
        let papers = (0..5).map(|n| fund(Reason::Deposit, 2, 1, &format!("{round} {n}"))).collect();
        for answer in write_all(&store, papers).await {
            booked += 1;
            // Where the commit was not done it is done again.
            assert_eq!(answer.unwrap(), Ok(Done::Posted { available_after: booked }), "{cut:?}");
        }
        assert_eq!(between.cuts.load(Ordering::SeqCst), round + 1, "{cut:?}");
        // Whose commit was not there must not commit later: what it sent may still be on its way. (Those
        // whose commit was there may stay.)
        if cut == Cut::BeforeCommit {
            let writers: usize = database.sql("SELECT count(*) FROM writers")[0].parse().unwrap();
            assert!(writers <= 1 + round / 2, "a connection that was lost may still write");
        }
    }
    assert_eq!(wallet(&store, 2), (booked, 0, 0));
    assert_eq!(assert_sound(&store).journals, booked as u64);
}

/// While nobody can be asked what became of it, it is neither confirmed nor denied, and soon; the
/// next ones are told at once that nothing works.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_that_cannot_be_looked_up_is_uncertain() {
    let database = Database::new();
    let between = Between::before(database.port());
    let store = Store::connect(&url(between.port, database.name())).unwrap();
    people(&store, 1).await;
    between.cut(Cut::AfterCommitAndDark);
    let started = tokio::time::Instant::now();
    let answer = store.write(fund(Reason::Deposit, 2, 1, "in doubt")).await;
    assert!(matches!(answer, Err(Fault::Uncertain(_))), "{answer:?}");
    assert!(started.elapsed() < Duration::from_secs(15), "{:?}", started.elapsed());
    let started = tokio::time::Instant::now();
    for n in 0..20 {
        let answer = store.write(fund(Reason::Deposit, 2, 1, &format!("{n}"))).await;
        assert!(matches!(answer, Err(Fault::Unavailable(_))), "{answer:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(2), "{:?}", started.elapsed());
    assert!(matches!(store.ping(), Err(Fault::Unavailable(_))));
    between.is_dark.store(false, Ordering::SeqCst);
    let mut tries = 0;
    while store.write(fund(Reason::Deposit, 2, 1, "after")).await.is_err() {
        tries += 1;
        assert!(tries < 100, "it does not come back");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    store.ping().unwrap();
    let left = store.available(AccountId(2), Environment::Live, Currency::BDT).unwrap().unwrap();
    assert_eq!(left.minor(), 2, "what was in doubt had been committed");
    assert_sound(&store);
}

/// A server that falls silent at the COMMIT is not waited for; another connection finds out.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_server_is_asked_again() {
    let database = Database::new();
    let between = Between::before(database.port());
    let store = Store::connect(&url(between.port, database.name())).unwrap();
    people(&store, 1).await;
    between.cut(Cut::Silence);
    let started = tokio::time::Instant::now();
    let answer = store.write(fund(Reason::Deposit, 2, 1, "in")).await;
    // The server still holds the Tx open, and with it the lock: nobody can tell yet.
    assert!(matches!(answer, Err(Fault::Uncertain(_)) | Ok(Ok(_))), "{answer:?}");
    assert!(started.elapsed() < Duration::from_secs(25), "{:?}", started.elapsed());
    let mut tries = 0;
    while store.write(fund(Reason::Deposit, 2, 1, "after")).await.is_err() {
        tries += 1;
        assert!(tries < 200, "it does not come back");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_sound(&store);
}

/// `require` encrypts, `verify-full` also asks who answers. The certificate is this folder's own, for
/// `localhost`; its key is no secret.
#[test]
fn a_connection_is_encrypted() {
    let server = Server::own();
    server.encrypt(include_str!("localhost.crt.pem"), include_str!("localhost.key.pem"));
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/localhost.crt.pem");
    let port = server.port();
    let connect = |host: &str, tls: &str| {
        Store::connect(&format!("postgres://saldo@{host}:{port}/migrated?{tls}"))
    };
    let encrypted = "SELECT (count(*) FILTER (WHERE ssl) >= 2 AND bool_and(ssl))::text
        FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'saldo'";
    for (host, tls) in [
        ("127.0.0.1", "sslmode=require".to_owned()),
        ("127.0.0.1", "sslmode=prefer".to_owned()),
        ("localhost", format!("sslmode=verify-full&sslrootcert={root}")),
    ] {
        let store = connect(host, &tls).unwrap_or_else(|error| panic!("{tls}: {error}"));
        store.ping().unwrap();
        // The writer's and a reader's, at least.
        assert_eq!(server.sql("postgres", encrypted), ["true"], "{tls}");
    }
    for (host, tls, why) in [
        ("localhost", "sslmode=verify-full".to_owned(), "UnknownIssuer"),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={root}"), "not valid for name"),
    ] {
        let error = connect(host, &tls).err().expect("it connected").to_string();
        assert!(error.contains(why), "{error}");
    }
}

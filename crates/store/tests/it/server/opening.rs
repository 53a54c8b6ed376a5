//! What prevents a PostgreSQL database from being opened, and each message, which says what to do.

use crate::harness::postgres::{Database, Server, url};
use crate::harness::world::*;
use expect_test::{Expect, expect};
use std::net::TcpListener;
use std::sync::{Arc, Barrier};
use store::Store;

/// Compares the error; the texts that differ in every run are replaced.
fn refused(url: &str, replaced: &[(&str, &str)], expected: Expect) {
    let error = Store::connect(url).err().expect("it opened");
    let text = replaced.iter().fold(error.to_string(), |text, (from, to)| text.replace(from, to));
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
        expect![["the database 127.0.0.1:PORT/NAME was written by a newer Saldo (schema 99, \
             this one knows 35); start that version, or a newer one"]],
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
            "the database 127.0.0.1:PORT/NAME could lose a committed recharge \
             (synchronous_commit=off); set what is named to on"
        ],
    );
}

#[test]
fn a_foreign_database() {
    let database = Database::empty();
    database.sql("CREATE TABLE accounts (name TEXT)");
    refused_in(
        &database,
        expect![
            "the database 127.0.0.1:PORT/NAME cannot be used (the database failed: \
             relation \"accounts\" already exists); look after it, or give another --database-url"
        ],
    );
    assert_eq!(database.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), ["1"]);
}

#[test]
fn a_server_that_does_not_answer() {
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    refused(
        &url(closed, "saldo"),
        &[(&closed.to_string(), "PORT")],
        expect![
            "the database 127.0.0.1:PORT/saldo cannot be used (the database cannot be reached: \
             error connecting to server: Connection refused (os error 111)); \
             look after it, or give another --database-url"
        ],
    );
    refused(
        "saldo.db",
        &[],
        expect![
            "the database's address cannot be used (it does not begin with postgres://); \
             it looks like postgres://user:password@host1,host2/database?sslmode=verify-full"
        ],
    );
}

/// Nodes that start together on an empty database: one creates the schema, all of them work.
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
    open_accounts(&nodes[0], 1).await;
    for (n, node) in (1..).zip(&nodes) {
        assert_eq!(deposit(node, 2, 10, &format!("in {n}")).await, 10 * n);
    }
    assert_sound(&nodes[0]);
    assert_eq!(database.sql("SELECT count(*) FROM writers"), ["4"]);
    drop(nodes);
    assert_eq!(database.sql("SELECT count(*) FROM writers"), ["0"], "an orderly end leaves none");
}

/// `require` encrypts, `verify-full` also verifies the server. The certificate in this folder is
/// for `localhost`; its key is not secret.
#[test]
fn a_connection_is_encrypted() {
    let server = Server::own();
    server.encrypt(include_str!("localhost.crt.pem"), include_str!("localhost.key.pem"));
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/server/localhost.crt.pem");
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
        // At least the writer's connection and a reader's.
        assert_eq!(server.sql("postgres", encrypted), ["true"], "{tls}");
    }
    for (host, tls, reason) in [
        ("localhost", "sslmode=verify-full".to_owned(), "UnknownIssuer"),
        ("127.0.0.1", format!("sslmode=verify-full&sslrootcert={root}"), "not valid for name"),
    ] {
        let error = connect(host, &tls).err().expect("it connected").to_string();
        assert!(error.contains(reason), "{error}");
    }
}

//! A machine with a wrong clock: the running server says so, sells nothing while it is years off,
//! and goes on when it is put right or accepted.

use crate::support::{Client, Folder, RECHARGE, Server, UNLIMITED, recharge};
use http::Method;
use std::time::Duration;
use tokio::time::{sleep, timeout};

const YEAR: i64 = 365 * 24 * 3600;

async fn buys(client: &mut Client, reference: &str) -> u16 {
    let order = recharge("01712345101", 10, reference);
    client.try_send(Method::POST, RECHARGE, order).await.unwrap().status()
}

async fn is_healthy(server: &Server) -> bool {
    Client::anonymous(&server.address).await.get("/healthz").await.status() == 200
}

/// Asks again until it is sold.
async fn sells_again(client: &mut Client, reference: &str) {
    let selling = async {
        while buys(client, reference).await != 200 {
            sleep(Duration::from_millis(100)).await;
        }
    };
    assert!(timeout(Duration::from_secs(10), selling).await.is_ok(), "it does not sell again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_years_off_sells_nothing_until_it_is_right_or_accepted() {
    let folder = Folder::new();
    // Where the database has a clock of its own, this machine's does not matter.
    let expected: u16 = folder.by_database("503", "200").parse().unwrap();
    let server = folder.start();
    let mut client = server.sandbox().await;
    assert_eq!(buys(&mut client, "R1").await, 200);
    // While it runs.
    folder.shift_clock(5 * YEAR);
    assert_eq!(buys(&mut client, "R2").await, expected);
    assert!(is_healthy(&server).await);
    folder.shift_clock(0);
    sells_again(&mut client, "R3").await;
    server.stop();
    // At a start: a battery is dead, or the date is wrong.
    for (n, years) in [-20, 3].into_iter().enumerate() {
        folder.shift_clock(years * YEAR);
        let server = folder.start();
        let mut client = server.sandbox().await;
        assert!(is_healthy(&server).await);
        assert_eq!(buys(&mut client, &format!("S{n}")).await, expected);
        assert_eq!(client.status("R1").await["status"], "success");
        let says = "nothing new is sold until";
        if expected == 503 {
            server.log_with(says, 1).await;
        } else {
            assert!(!server.log().contains(says), "{}", server.log());
        }
        assert!(!server.log().contains("has jumped"), "{}", server.log());
        folder.shift_clock(0);
        sells_again(&mut client, &format!("T{n}")).await;
        server.stop();
    }
    folder.shift_clock(-2 * YEAR);
    let server = folder.start_with(&[&UNLIMITED[..], &["--accept-clock"]].concat());
    assert_eq!(buys(&mut server.sandbox().await, "U").await, 200);
    server.stop();
    folder.verify();
}

/// Days, either way, while it runs and over a restart.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_clock_that_is_days_off_never_stops_sales() {
    let folder = Folder::new();
    let server = folder.start();
    let mut client = server.sandbox().await;
    assert_eq!(buys(&mut client, "R1").await, 200);
    for (n, days) in [2, 0, -1, 0].into_iter().enumerate() {
        folder.shift_clock(days * 24 * 3600);
        assert_eq!(buys(&mut client, &format!("S{n}")).await, 200);
    }
    server.stop();
    folder.shift_clock(21 * 24 * 3600);
    let server = folder.start();
    assert_eq!(buys(&mut server.sandbox().await, "T").await, 200);
    assert!(!server.log().contains("ERROR"), "{}", server.log());
    server.stop();
    folder.verify();
}

//! Slow clients are cut off, and connections are limited.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::time::sleep;

use super::payloads::{SLOW, get_of};
use super::server::{
    Edge, LARGE_BYTES, answer_of, body_of, head_of, rest_of, short_timeouts, summary, text,
};
use crate::Limits;

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let edge = Edge::start(short_timeouts()).await;
    let mut client = edge.connect().await;
    assert_eq!(rest_of(&mut client).await, b"");
}

#[tokio::test]
async fn an_incomplete_or_slow_head_is_refused() {
    let edge = Edge::start(short_timeouts()).await;
    let mut client = edge.connect().await;
    client.write_all(b"GET / HTTP/1.1\r\nHo").await.unwrap();
    assert_eq!(summary(&rest_of(&mut client).await), SLOW);

    let (mut read, mut write) = edge.connect().await.into_split();
    let trickle = tokio::spawn(async move {
        write.write_all(b"GET / HTTP/1.1\r\nX: ").await.unwrap();
        while write.write_all(b"x").await.is_ok() {
            sleep(Duration::from_millis(20)).await;
        }
    });
    assert_eq!(answer_of(&mut read).await, SLOW);
    trickle.abort();
}

#[tokio::test]
async fn an_incomplete_body_is_refused() {
    let edge = Edge::start(short_timeouts()).await;
    for body in ["Content-Length: 9\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n9\r\nab"] {
        let mut client = edge.connect().await;
        let request = format!("POST /echo HTTP/1.1\r\nHost: a\r\n{body}");
        client.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(summary(&rest_of(&mut client).await), SLOW);
    }
}

#[tokio::test]
async fn an_idle_connection_outlives_the_head_timeout_and_is_closed_without_an_answer() {
    let limits = Limits { idle_timeout: Duration::from_millis(1500), ..short_timeouts() };
    let edge = Edge::start(limits).await;
    let mut client = edge.connect().await;
    for _ in 0..2 {
        client.write_all(&get_of("/")).await.unwrap();
        assert_eq!(answer_of(&mut client).await, "200 ok");
        sleep(Duration::from_millis(300)).await;
    }
    assert_eq!(rest_of(&mut client).await, b"");
}

#[tokio::test]
async fn a_handler_that_exceeds_its_timeout_gets_504() {
    let edge =
        Edge::start(Limits { answer_timeout: Duration::from_millis(150), ..short_timeouts() })
            .await;
    assert_eq!(edge.exchange(&get_of("/gate")).await, "504 ANSWER_TIMEOUT");
}

#[tokio::test]
async fn only_a_client_that_does_not_read_is_cut_off() {
    let edge = Edge::start(short_timeouts()).await;
    let mut idle = edge.connect().await;
    idle.write_all(&get_of("/large")).await.unwrap();
    let mut busy = edge.connect().await;
    busy.write_all(&get_of("/large")).await.unwrap();
    let head = head_of(&mut busy).await;
    assert_eq!(body_of(&mut busy, &head).await.len(), LARGE_BYTES);
    sleep(Duration::from_millis(600)).await;
    assert!(rest_of(&mut idle).await.len() < LARGE_BYTES);
}

#[tokio::test]
async fn a_connection_without_a_slot_is_rejected_until_one_is_free() {
    let edge = Edge::start(Limits { connections_per_address: 2, ..Limits::default() }).await;
    let (mut one, mut two) = (edge.connect().await, edge.connect().await);
    for client in [&mut one, &mut two] {
        client.write_all(&get_of("/gate")).await.unwrap();
    }
    edge.entered.acquire_many(2).await.unwrap().forget();
    let refusal = rest_of(&mut edge.connect().await).await;
    assert_eq!(summary(&refusal), "503 TOO_MANY_CONNECTIONS");
    assert!(text(&refusal).contains("retry-after: 5\r\n"));
    edge.gate.add_permits(1);
    let mut answers = String::new();
    for _ in 0..200 {
        answers = edge.exchange(&get_of("/")).await;
        if answers == "200 ok" {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(answers, "200 ok");
}

/// More idle connections than slots: each new client is served, and those that were idle for
/// longest are closed. A connection with a request in progress is not.
#[tokio::test]
async fn idle_connections_give_up_their_slots() {
    let edge = Edge::start(Limits { connections: 20, ..Limits::default() }).await;
    let mut busy = edge.connect().await;
    busy.write_all(&get_of("/gate")).await.unwrap();
    edge.entered.acquire().await.unwrap().forget();
    let mut idle = Vec::new();
    for n in 0..60 {
        let mut client = edge.connect().await;
        // Every second one keeps its connection after an answer, the others say nothing.
        if n % 2 == 0 {
            client.write_all(&get_of("/")).await.unwrap();
            assert_eq!(answer_of(&mut client).await, "200 ok", "client {n}");
        }
        idle.push(client);
    }
    for client in &mut idle[..40] {
        assert_eq!(rest_of(client).await, b"", "closed without a word");
    }
    let newest = idle.last_mut().unwrap();
    newest.write_all(&get_of("/")).await.unwrap();
    assert_eq!(answer_of(newest).await, "200 ok");
    edge.gate.add_permits(1);
    assert_eq!(answer_of(&mut busy).await, "200 open");
}

//! A stop: idle connections are closed, answers in progress are completed, the drain has an end.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::payloads::get_of;
use super::server::{
    CLIENT_TIMEOUT, Edge, LARGE_BYTES, answer_of, body_of, head_of, rest_of, summary, text,
};
use crate::Limits;

#[tokio::test]
async fn a_stop_closes_idle_connections_and_completes_answers() {
    let mut edge = Edge::start(Limits::default()).await;
    let mut idle = edge.connect().await;
    idle.write_all(&get_of("/")).await.unwrap();
    assert_eq!(answer_of(&mut idle).await, "200 ok");
    let mut silent = edge.connect().await;
    let mut waiting = edge.connect().await;
    waiting.write_all(&get_of("/gate")).await.unwrap();
    let mut large = edge.connect().await;
    large.write_all(&get_of("/large")).await.unwrap();
    let head = head_of(&mut large).await;
    edge.entered.acquire().await.unwrap().forget();

    edge.stop.cancel();
    assert_eq!(rest_of(&mut idle).await, b"");
    assert_eq!(rest_of(&mut silent).await, b"");
    let refused = TcpStream::connect(edge.address).await;
    assert!(refused.is_err() || rest_of(&mut refused.unwrap()).await.is_empty());
    assert!(!edge.served.is_finished());
    edge.gate.add_permits(1);
    let answer = rest_of(&mut waiting).await;
    assert_eq!(summary(&answer), "200 open");
    assert!(text(&answer).contains("connection: close\r\n"));
    assert_eq!(body_of(&mut large, &head).await.len(), LARGE_BYTES);
    timeout(CLIENT_TIMEOUT, &mut edge.served).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_drain_has_an_end() {
    let mut edge = Edge::start_with(Limits::default(), Duration::from_millis(100)).await;
    let mut waiting = edge.connect().await;
    waiting.write_all(&get_of("/gate")).await.unwrap();
    edge.entered.acquire().await.unwrap().forget();
    edge.stop.cancel();
    timeout(CLIENT_TIMEOUT, &mut edge.served).await.unwrap().unwrap().unwrap();
    assert_eq!(rest_of(&mut waiting).await, b"");
}

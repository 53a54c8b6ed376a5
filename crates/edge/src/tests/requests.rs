//! Each request gets its documented answer, however its bytes are split.

use axum::http::Uri;
use futures_util::future::join_all;
use tokio::io::AsyncWriteExt;

use super::payloads::{FRAMING, UNPACKED, get_of, payloads, post};
use super::server::{CLIENTS_AT_ONCE, Edge, answer_of, body_of, head_of, text};
use crate::Limits;
use crate::framing::{Framing, Passed};
use crate::refuse::Refused;

#[tokio::test]
async fn each_payload_has_its_answer_and_nothing_after_a_refusal_is_answered() {
    let edge = Edge::start(Limits::default()).await;
    for (name, bytes, answers) in payloads() {
        assert_eq!(edge.exchange(&bytes).await, answers, "{name}");
    }
}

#[tokio::test]
async fn each_payload_has_the_same_answer_byte_by_byte() {
    let edge = Edge::start(Limits::default()).await;
    let mut short = payloads();
    short.retain(|(_, bytes, _)| bytes.len() < 400);
    for some in short.chunks(CLIENTS_AT_ONCE) {
        join_all(some.iter().map(async |(name, bytes, answers)| {
            let pieces: Vec<_> = bytes.chunks(1).collect();
            assert_eq!(edge.exchange_in(&pieces).await, *answers, "{name}");
        }))
        .await;
    }
}

#[tokio::test]
async fn a_chunked_body_may_be_cut_at_every_byte() {
    let edge = Edge::start(Limits::default()).await;
    let mut bytes = post("Transfer-Encoding: chunked\r\n", "4;a=b\r\nWiki\r\nB\r\n rather not\r\n");
    bytes.extend(b"0\r\nX-Sum: 1\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
    let cuts: Vec<_> = (1..bytes.len()).collect();
    for some in cuts.chunks(CLIENTS_AT_ONCE) {
        join_all(some.iter().map(async |at| {
            let (front, back) = bytes.split_at(*at);
            let answers = edge.exchange_in(&[front, back]).await;
            assert_eq!(answers, "200 Wiki rather not, 200 ok", "cut at {at}");
        }))
        .await;
    }
}

#[test]
fn framing_does_not_depend_on_where_the_bytes_are_cut() {
    let limits = Limits::default();
    for (name, bytes, _) in payloads().into_iter().filter(|(_, bytes, _)| bytes.len() < 1000) {
        let whole = frame(&[&bytes], &limits);
        for at in 0..bytes.len() {
            let (front, back) = bytes.split_at(at);
            assert_eq!(frame(&[front, back], &limits), whole, "{name}, cut at {at}");
        }
    }
}

#[test]
fn hyper_accepts_each_byte_that_a_target_may_contain() {
    let passing = (0..=u8::MAX).map(char::from).filter(|letter| {
        let target = format!("/{letter}?{letter}");
        let passed = frame(&[&get_of(&target)], &Limits::default());
        assert!(passed.refused.is_some() || Uri::try_from(&target).is_ok(), "{letter:?}");
        passed.refused.is_none() && letter.is_ascii() && !letter.is_ascii_alphanumeric()
    });
    expect_test::expect!["!$%&'()*+,-./:;=?@[\\]^_{|}~"].assert_eq(&passing.collect::<String>());
}

#[tokio::test]
async fn a_connection_is_reused_and_knows_its_peer() {
    let edge = Edge::start(Limits::default()).await;
    let mut client = edge.connect().await;
    for _ in 0..20 {
        client.write_all(&post("Content-Length: 3\r\n", "abc")).await.unwrap();
        assert_eq!(answer_of(&mut client).await, "200 abc");
        let request = post("Transfer-Encoding: chunked\r\n", "1\r\nx\r\n0\r\n\r\n");
        client.write_all(&request).await.unwrap();
        assert_eq!(answer_of(&mut client).await, "200 x");
        client.write_all(&get_of("/peer")).await.unwrap();
        let peer = client.local_addr().unwrap();
        assert_eq!(answer_of(&mut client).await, format!("200 {peer}"));
    }
}

#[tokio::test]
async fn an_answer_to_head_has_no_body_and_the_next_one_follows() {
    let edge = Edge::start(Limits::default()).await;
    let mut client = edge.connect().await;
    client.write_all(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    let head = head_of(&mut client).await;
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(head.contains("x-content-type-options: nosniff\r\n"), "{head}");
    client.write_all(&get_of("/")).await.unwrap();
    assert_eq!(answer_of(&mut client).await, "200 ok");
}

#[tokio::test]
async fn a_refusal_reaches_a_client_that_is_still_sending() {
    let edge = Edge::start(Limits::default()).await;
    let much = "x".repeat(200_000);
    let rows = [
        (post("Content-Length: 200000\r\n", &much), "413 BODY_TOO_LARGE"),
        (post("Content-Length: 200000\r\nContent-Encoding: br\r\n", &much), UNPACKED),
        (post("Host: b\r\nContent-Length: 200000\r\n", &much), FRAMING),
        (get_of(&format!("/{much}")), "414 URI_TOO_LONG"),
    ];
    for (bytes, answers) in rows {
        assert_eq!(edge.exchange(&bytes).await, answers);
    }
}

#[tokio::test]
async fn a_panic_is_answered_as_documented_and_other_requests_go_on() {
    let edge = Edge::start(Limits::default()).await;
    let mut client = edge.connect().await;
    client.write_all(&get_of("/panic")).await.unwrap();
    let head = head_of(&mut client).await;
    let body = body_of(&mut client, &head).await;
    assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
    assert_eq!(
        body,
        concat!(
            r#"{"success":false,"message":"Internal error","error":"The server failed while it "#,
            r#"worked on the request, so its outcome is not known yet. If it was a payment, ask "#,
            r#"for its status with your reference before you send it again.","#,
            r#""code":"INTERNAL_ERROR"}"#
        )
    );
    client.write_all(&get_of("/")).await.unwrap();
    assert_eq!(answer_of(&mut client).await, "200 ok");
}

#[test]
fn a_refusal_names_the_remedy_and_says_that_nothing_was_charged() {
    assert_eq!(
        text(&Refused::body_too_large(&Limits::default()).raw()),
        concat!(
            "HTTP/1.1 413 Payload Too Large\r\n",
            "content-type: application/json\r\n",
            "x-content-type-options: nosniff\r\n",
            "connection: close\r\n",
            "content-length: 164\r\n\r\n",
            r#"{"success":false,"message":"Request too large","error":"The body has more than "#,
            r#"65536 bytes. Nothing was charged. Send it in smaller parts.","#,
            r#""code":"BODY_TOO_LARGE"}"#
        )
    );
}

/// The number of bytes that pass, and the refusal, if the bytes arrive in these pieces.
pub(super) fn frame(pieces: &[&[u8]], limits: &Limits) -> Passed {
    let mut framing = Framing::default();
    let mut held = Vec::new();
    let mut bytes = 0;
    for piece in pieces {
        held.extend_from_slice(piece);
        let passed = framing.pass(&mut held, limits);
        held.drain(..passed.bytes);
        bytes += passed.bytes;
        if passed.refused.is_some() {
            return Passed { bytes, ..passed };
        }
    }
    Passed { bytes, refused: None }
}

//! The edge from outside: bytes in, answers out, over real sockets on loopback.

use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{ConnectInfo, Request};
use axum::middleware::map_request;
use axum::routing::{any, get};
use futures_util::future::join_all;
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::framing::{Framing, Passed};
use super::*;

const PATIENCE: Duration = Duration::from_secs(8);
/// Fewer than a listener's queue holds, or a client waits a second for its next try.
const AT_ONCE: usize = 64;
const LARGE_BYTES: usize = 48 * 1024 * 1024;
static LARGE: LazyLock<Bytes> = LazyLock::new(|| vec![b'x'; LARGE_BYTES].into());

// What comes in, and what goes out.

#[tokio::test]
async fn each_payload_has_its_answer_and_nothing_behind_a_refusal_is_answered() {
    let edge = Edge::start(Limits::default()).await;
    for (name, bytes, answers) in payloads() {
        assert_eq!(edge.exchange(&bytes).await, answers, "{name}");
    }
}

#[tokio::test]
async fn each_payload_that_comes_byte_by_byte_has_the_same_answer() {
    let edge = Edge::start(Limits::default()).await;
    let mut short = payloads();
    short.retain(|(_, bytes, _)| bytes.len() < 400);
    for some in short.chunks(AT_ONCE) {
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
    for some in cuts.chunks(AT_ONCE) {
        join_all(some.iter().map(async |at| {
            let (front, back) = bytes.split_at(*at);
            let answers = edge.exchange_in(&[front, back]).await;
            assert_eq!(answers, "200 Wiki rather not, 200 ok", "cut at {at}");
        }))
        .await;
    }
}

#[test]
fn framing_finds_the_same_wherever_the_bytes_are_cut() {
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
fn each_byte_that_may_stand_in_a_target_is_one_that_hyper_takes() {
    let passing = (0..=u8::MAX).map(char::from).filter(|letter| {
        let target = format!("/{letter}?{letter}");
        let passed = frame(&[&get_of(&target)], &Limits::default());
        assert!(passed.refused.is_some() || http::Uri::try_from(&target).is_ok(), "{letter:?}");
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
async fn a_panic_is_a_documented_answer_without_details_and_harms_nobody() {
    let edge = Edge::start(Limits::default()).await;
    let mut client = edge.connect().await;
    client.write_all(&get_of("/panic")).await.unwrap();
    let head = head_of(&mut client).await;
    let body = body_of(&mut client, &head).await;
    assert!(head.starts_with("HTTP/1.1 500 "), "{head}");
    expect_test::expect![[r#"{"success":false,"message":"Internal error","error":"The server failed while it worked on the request, so its outcome is not known yet. If it was a payment, ask for its status with your reference before you send it again.","code":"INTERNAL_ERROR"}"#]]
        .assert_eq(&body);
    client.write_all(&get_of("/")).await.unwrap();
    assert_eq!(answer_of(&mut client).await, "200 ok");
}

#[test]
fn a_refusal_says_what_to_do_and_that_nothing_was_charged() {
    expect_test::expect![[r#"
        HTTP/1.1 413 Payload Too Large
        content-type: application/json
        x-content-type-options: nosniff
        connection: close
        content-length: 164

        {"success":false,"message":"Request too large","error":"The body has more than 65536 bytes. Nothing was charged. Send it in smaller parts.","code":"BODY_TOO_LARGE"}"#]]
    .assert_eq(&text(&Refused::body_too_large(&Limits::default()).raw()).replace('\r', ""));
}

// How slowly, and how many.

#[tokio::test]
async fn a_silent_connection_is_closed() {
    let edge = Edge::start(hasty()).await;
    let mut client = edge.connect().await;
    assert_eq!(rest_of(&mut client).await, b"");
}

#[tokio::test]
async fn a_head_that_stops_or_trickles_is_refused() {
    let edge = Edge::start(hasty()).await;
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
async fn a_body_that_stops_is_refused() {
    let edge = Edge::start(hasty()).await;
    for body in ["Content-Length: 9\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n9\r\nab"] {
        let mut client = edge.connect().await;
        let request = format!("POST /echo HTTP/1.1\r\nHost: a\r\n{body}");
        client.write_all(request.as_bytes()).await.unwrap();
        assert_eq!(summary(&rest_of(&mut client).await), SLOW);
    }
}

#[tokio::test]
async fn an_idle_connection_outlives_a_head_and_is_closed_in_silence() {
    let limits = Limits { idle: Duration::from_millis(1500), ..hasty() };
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
async fn a_handler_that_is_not_done_is_answered_for() {
    let edge = Edge::start(Limits { whole_within: Duration::from_millis(150), ..hasty() }).await;
    assert_eq!(edge.exchange(&get_of("/gate")).await, "504 ANSWER_TIMEOUT");
}

#[tokio::test]
async fn a_client_that_does_not_read_is_cut_off_and_one_that_reads_is_not() {
    let edge = Edge::start(hasty()).await;
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
async fn a_connection_too_many_is_turned_away_until_there_is_room() {
    let edge = Edge::start(Limits { connections_per_address: 2, ..Limits::default() }).await;
    let (mut one, mut two) = (edge.connect().await, edge.connect().await);
    for client in [&mut one, &mut two] {
        client.write_all(&get_of("/")).await.unwrap();
        assert_eq!(answer_of(client).await, "200 ok");
    }
    let refusal = rest_of(&mut edge.connect().await).await;
    assert_eq!(summary(&refusal), "503 TOO_MANY_CONNECTIONS");
    assert!(text(&refusal).contains("retry-after: 5\r\n"));
    drop(one);
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

// The end.

#[tokio::test]
async fn a_stop_closes_what_is_idle_and_cuts_off_no_answer() {
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
    timeout(PATIENCE, &mut edge.served).await.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_drain_has_an_end() {
    let mut edge = Edge::start_with(Limits::default(), Duration::from_millis(100)).await;
    let mut waiting = edge.connect().await;
    waiting.write_all(&get_of("/gate")).await.unwrap();
    edge.entered.acquire().await.unwrap().forget();
    edge.stop.cancel();
    timeout(PATIENCE, &mut edge.served).await.unwrap().unwrap().unwrap();
    assert_eq!(rest_of(&mut waiting).await, b"");
}

// Whatever comes in.

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..Default::default() })]

    #[test]
    fn framing_survives_noise_and_does_not_depend_on_cuts(
        bytes in noise(),
        cuts in prop::collection::vec(any_index(), 0..6),
    ) {
        let limits = Limits { head_bytes: 200, head_lines: 6, uri_bytes: 40, ..Limits::default() };
        let whole = frame(&[&bytes], &limits);
        prop_assert!(whole.bytes <= bytes.len());
        let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let pieces: Vec<_> = cuts.windows(2).map(|cut| &bytes[cut[0]..cut[1]]).collect();
        prop_assert_eq!(frame(&pieces, &limits), whole);
    }

    #[test]
    fn hyper_finds_no_fault_in_what_the_guard_lets_through_and_no_other_requests(
        bytes in noise(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (answers, served) = runtime.block_on(converse(bytes.clone()));
        // `summary` fails on an answer that is not of ours: a bare 400 would be hyper's.
        summary(&answers);
        let framed = requests(&bytes);
        prop_assert!(framed.starts_with(&served), "served {served:?}, framed {framed:?}");
    }
}

fn any_index() -> impl Strategy<Value = prop::sample::Index> {
    any_of::<prop::sample::Index>()
}

fn any_of<T: Arbitrary>() -> T::Strategy {
    proptest::prelude::any::<T>()
}

/// Payloads with some bytes changed, doubled, lost or put in, one after another; or any bytes.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let known: Vec<_> = payloads().into_iter().map(|(_, bytes, _)| bytes).collect();
    let known: Vec<_> = known.into_iter().filter(|bytes| bytes.len() < 400).collect();
    let bits: Vec<&[u8]> = vec![
        b"\r\n",
        b"\n",
        b"\r",
        b"0\r\n\r\n",
        b"\r\n\r\n",
        b" ",
        b":",
        b"\0",
        b"_",
        b"#",
        b"\xff",
    ];
    let change = (any_index(), prop::sample::select(bits), any_of::<u8>(), 0..5_u8);
    let changed = (
        prop::collection::vec(prop::sample::select(known), 1..4),
        prop::collection::vec(change, 0..4),
    )
        .prop_map(|(payloads, changes)| {
            let mut bytes = payloads.concat();
            for (index, bit, byte, how) in changes {
                let at = index.index(bytes.len() + 1);
                match how {
                    0 => bytes.truncate(at.max(1)),
                    1 => drop(bytes.splice(at..at, bit.iter().copied())),
                    2 => bytes.iter_mut().skip(at).take(1).for_each(|old| *old = byte),
                    3 => drop(bytes.drain(at..bytes.len().min(at + 3))),
                    _ => bytes.extend_from_within(at..),
                }
            }
            bytes
        });
    prop_oneof![4 => changed, 1 => prop::collection::vec(any_of::<u8>(), 0..300)]
}

/// What passes, and why no more, when `bytes` come in these pieces.
fn frame(pieces: &[&[u8]], limits: &Limits) -> Passed {
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

/// The requests that the framing finds, by method and target.
fn requests(bytes: &[u8]) -> Vec<String> {
    let mut framing = Framing::default();
    let (mut held, mut heads) = (Vec::new(), Vec::new());
    for byte in bytes {
        held.push(*byte);
        let before = framing.heads();
        let passed = framing.pass(&mut held, &Limits::default());
        if framing.heads() > before {
            let head = text(&held[..passed.bytes]);
            let mut words = head.trim_start().split(' ');
            let method = words.next().unwrap();
            heads.push(format!("{method} {}", http::Uri::try_from(words.next().unwrap()).unwrap()));
        }
        if passed.refused.is_some() {
            break;
        }
        held.drain(..passed.bytes);
    }
    heads
}

/// One connection in memory: the answers, and the requests that came to the router.
async fn converse(bytes: Vec<u8>) -> (Vec<u8>, Vec<String>) {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let ends = Ends { stop: CancellationToken::new(), cut: CancellationToken::new() };
    let peer = ([127, 0, 0, 1], 1).into();
    let served = Arc::new(Mutex::new(Vec::new()));
    let record = {
        let served = Arc::clone(&served);
        move |request: Request| {
            served.lock().unwrap().push(format!("{} {}", request.method(), request.uri()));
            std::future::ready(request)
        }
    };
    let router = router(&Arc::new(Semaphore::new(0)), &Arc::new(Semaphore::new(0)))
        .layer(map_request(record));
    let limits = Arc::new(Limits::default());
    let exchange = async {
        client.write_all(&bytes).await.unwrap();
        client.shutdown().await.unwrap();
        rest_of(&mut client).await
    };
    let (answers, ()) = tokio::join!(exchange, tend(server, router, peer, limits, ends));
    let served = served.lock().unwrap().clone();
    (answers, served)
}

// The payloads.

const FRAMING: &str = "400 BAD_REQUEST_FRAMING";
const SLOW: &str = "408 REQUEST_TIMEOUT";
const UNPACKED: &str = "415 UNSUPPORTED_ENCODING";

type Payload = (&'static str, Vec<u8>, &'static str);

fn payloads() -> Vec<Payload> {
    [plain(), lengths(), encodings(), lines(), names(), targets(), chunks(), bounds()].concat()
}

fn plain() -> Vec<Payload> {
    let two = [get_of("/"), get_of("/")].concat();
    let bad = b"GET / HTTP/1.1\r\n\r\n".to_vec();
    vec![
        ("get", get_of("/"), "200 ok"),
        ("HTTP/1.0", b"GET / HTTP/1.0\r\n\r\n".to_vec(), "200 ok"),
        ("post", post("Content-Length: 3\r\n", "abc"), "200 abc"),
        ("two pipelined", two.clone(), "200 ok, 200 ok"),
        (
            "three pipelined with a body",
            [get_of("/"), post("Content-Length: 3\r\n", "abc"), get_of("/")].concat(),
            "200 ok, 200 abc, 200 ok",
        ),
        (
            "bad third",
            [two.clone(), bad.clone()].concat(),
            "200 ok, 200 ok, 400 BAD_REQUEST_FRAMING",
        ),
        ("bad first", [bad.clone(), two.clone()].concat(), FRAMING),
        ("bad after close", [with("Connection: close\r\n"), bad].concat(), "200 ok"),
        ("no head", Vec::new(), ""),
        ("half a head", b"GET / HTTP/1.1\r\nHo".to_vec(), ""),
        ("one and a half", [get_of("/"), b"GET / HTTP".to_vec()].concat(), "200 ok"),
        ("empty lines first", [b"\r\n\r\n".to_vec(), two].concat(), "200 ok, 200 ok"),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), FRAMING),
        ("HTTP/0.9", b"GET /\r\n\r\n".to_vec(), FRAMING),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\n\xfc\x03\x03".to_vec(), FRAMING),
        ("TRACE", b"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "405 METHOD_NOT_ALLOWED"),
        ("CONNECT", b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "405 METHOD_NOT_ALLOWED"),
        (
            "100-continue",
            post("Expect: 100-continue\r\nContent-Length: 2\r\n", "ab"),
            "100, 200 ab",
        ),
        ("h2c is not offered", with("Connection: Upgrade\r\nUpgrade: h2c\r\n"), "200 ok"),
        ("two upgrades", with("Upgrade: h2c\r\nUpgrade: websocket\r\n"), FRAMING),
        ("gzip", post("Content-Encoding: gzip\r\nContent-Length: 2\r\n", "ab"), UNPACKED),
        (
            "gzip behind identity",
            post(
                "Content-Encoding: identity\r\nContent-Encoding: gzip\r\nContent-Length: 1\r\n",
                "a",
            ),
            UNPACKED,
        ),
        ("identity", post("Content-Encoding: Identity\r\nContent-Length: 2\r\n", "ab"), "200 ab"),
    ]
}

fn lengths() -> Vec<Payload> {
    let of = |length: &str| post(&format!("Content-Length:{length}\r\n"), "abc");
    vec![
        ("differing lengths", of(" 3\r\nContent-Length: 4"), FRAMING),
        ("the same length twice", of(" 3\r\nContent-Length: 3"), "200 abc"),
        ("lengths in a list", of(" 3, 3"), FRAMING),
        ("signed length", of(" +3"), FRAMING),
        ("negative length", of(" -3"), FRAMING),
        ("hex length", of(" 0x3"), FRAMING),
        ("no length", of(""), FRAMING),
        ("length of 21 digits", of(" 300000000000000000000"), FRAMING),
        ("largest length", of(" 18446744073709551615"), FRAMING),
        ("second largest length", of(" 18446744073709551614"), FRAMING),
        ("third largest length", of(" 18446744073709551613"), "413 BODY_TOO_LARGE"),
        ("zeros before the length", of(" 0003"), "200 abc"),
        ("spaces around the length", of(" \t 3 \t"), "200 abc"),
        (
            "length 0, then a request",
            [post("Content-Length: 0\r\n", ""), get_of("/")].concat(),
            "200 , 200 ok",
        ),
        ("more than its length", of(" 2"), "200 ab"),
        (
            "more lines than its length",
            post("Content-Length: 2\r\n", "abc\r\n\r\n"),
            "200 ab, 400 BAD_REQUEST_FRAMING",
        ),
        ("less than its length", of(" 4"), FRAMING),
        (
            "a body to get",
            [with("Content-Length: 18\r\n"), b"GET /x HTTP/1.1\r\n\r\n".to_vec()].concat(),
            "200 ok, 400 BAD_REQUEST_FRAMING",
        ),
    ]
}

fn encodings() -> Vec<Payload> {
    const END: &str = "0\r\n\r\n";
    let of = |encoding: &str| post(&format!("{encoding}\r\n"), END);
    let smuggled = "0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
    vec![
        ("CL.TE", post("Content-Length: 6\r\nTransfer-Encoding: chunked\r\n", smuggled), FRAMING),
        ("TE.CL", post("Transfer-Encoding: chunked\r\nContent-Length: 4\r\n", smuggled), FRAMING),
        ("TE with CL 0", post("Transfer-Encoding: chunked\r\nContent-Length: 0\r\n", END), FRAMING),
        (
            "TE identity and chunked",
            of("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"),
            FRAMING,
        ),
        ("TE twice", of("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), FRAMING),
        ("TE list", of("Transfer-Encoding: gzip, chunked"), FRAMING),
        ("TE list of chunked", of("Transfer-Encoding: chunked, chunked"), FRAMING),
        ("TE xchunked", of("Transfer-Encoding: xchunked"), FRAMING),
        ("TE Chunked", of("Transfer-Encoding: Chunked"), FRAMING),
        ("TE identity", of("Transfer-Encoding: identity"), FRAMING),
        ("TE empty", of("Transfer-Encoding:"), FRAMING),
        ("TE quoted", of("Transfer-Encoding: \"chunked\""), FRAMING),
        ("TE with a vertical tab", of("Transfer-Encoding: \x0bchunked"), FRAMING),
        ("TE with a space before the colon", of("Transfer-Encoding : chunked"), FRAMING),
        ("TE folded", of("Transfer-Encoding:\r\n chunked"), FRAMING),
        ("TE behind a bare CR", of("X: y\rTransfer-Encoding: chunked"), FRAMING),
        ("TE behind a bare LF", of("X: y\nTransfer-Encoding: chunked"), FRAMING),
        (
            "TE on HTTP/1.0",
            b"POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_vec(),
            FRAMING,
        ),
        ("TE with an underscore", of("Transfer_Encoding: chunked"), FRAMING),
    ]
}

fn lines() -> Vec<Payload> {
    let raw = |text: &str| text.as_bytes().to_vec();
    vec![
        ("bare LF throughout", raw("GET / HTTP/1.1\nHost: a\n\n"), FRAMING),
        ("bare LF in the request line", raw("GET / HTTP/1.1\nHost: a\r\n\r\n"), FRAMING),
        ("bare LF in the last line", raw("GET / HTTP/1.1\r\nHost: a\n\r\n"), FRAMING),
        ("bare LF for the empty line", raw("GET / HTTP/1.1\r\nHost: a\r\n\n"), FRAMING),
        ("bare LF first", raw("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n"), FRAMING),
        ("bare CR first", raw("\rGET / HTTP/1.1\r\nHost: a\r\n\r\n"), FRAMING),
        ("folded header", with("X: a\r\n b\r\n"), FRAMING),
        ("header folded by a tab", with("X: a\r\n\tb\r\n"), FRAMING),
        ("space before the first header", raw("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), FRAMING),
        ("line of one space", with(" \r\n"), FRAMING),
        ("header without a colon", with("X\r\n"), FRAMING),
        ("header without a name", with(": x\r\n"), FRAMING),
        ("NUL in a value", with("X: a\0b\r\n"), FRAMING),
        ("NUL in a name", with("X\0: b\r\n"), FRAMING),
        ("CR in a value", with("X: a\rb\r\n"), FRAMING),
        ("two spaces", raw("GET  / HTTP/1.1\r\nHost: a\r\n\r\n"), FRAMING),
        ("space behind the version", raw("GET / HTTP/1.1 \r\nHost: a\r\n\r\n"), FRAMING),
        ("HTTP/1.2", raw("GET / HTTP/1.2\r\nHost: a\r\n\r\n"), FRAMING),
        ("no host", raw("GET / HTTP/1.1\r\n\r\n"), FRAMING),
        ("empty host", raw("GET / HTTP/1.1\r\nHost:\r\n\r\n"), "200 ok"),
        ("two hosts", with("Host: b\r\n"), FRAMING),
        ("the same host twice", with("Host: a\r\n"), FRAMING),
        ("two hosts in HTTP/1.0", raw("GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n"), FRAMING),
        ("host with a path", raw("GET / HTTP/1.1\r\nHost: a/b\r\n\r\n"), FRAMING),
        ("hosts in a list", raw("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n"), FRAMING),
        ("host of IPv6", raw("GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n"), "200 ok"),
    ]
}

fn names() -> Vec<Payload> {
    let twice = |name: &str, second: &str| with(&format!("{name}: a\r\n{name}: {second}\r\n"));
    vec![
        ("Content-Type twice, the same", twice("Content-Type", "a"), "200 ok"),
        ("Content-Type twice", twice("Content-Type", "b"), FRAMING),
        ("Authorization twice, the same", twice("Authorization", "a"), "200 ok"),
        ("Authorization twice", twice("Authorization", "b"), FRAMING),
        ("X-Open-Key twice, the same", twice("X-Open-Key", "a"), "200 ok"),
        ("X-Open-Key twice", twice("X-Open-Key", "b"), FRAMING),
        ("X-Authorization twice", twice("X-AUTHORIZATION", "b"), FRAMING),
        ("Idempotency-Key twice", twice("idempotency-key", "b"), FRAMING),
        (
            "Idempotency-Key thrice",
            with("Idempotency-Key: a\r\nidempotency-key: a\r\nIdempotency-key: b\r\n"),
            FRAMING,
        ),
        ("other headers twice", twice("X-Forwarded-For", "b"), "200 ok"),
        ("X_Forwarded_For", with("X_Forwarded_For: 10.0.0.1\r\n"), FRAMING),
        ("X-Forwarded_For", with("X-Forwarded_For: 10.0.0.1\r\n"), FRAMING),
        ("x_open_key", with("x_open_key: k\r\n"), FRAMING),
        ("X_AUTHORIZATION", with("X_AUTHORIZATION: k\r\n"), FRAMING),
        ("Content_Length", with("Content_Length: 5\r\n"), FRAMING),
        ("other underscores", with("my_header: 5\r\n"), "200 ok"),
    ]
}

fn targets() -> Vec<Payload> {
    vec![
        ("query", get_of("/?a=b&c[]=%20{d}|~^"), "200 ok"),
        ("absolute", get_of("http://a/"), "200 ok"),
        ("absolute without a scheme", get_of("a"), FRAMING),
        ("a host and a port", get_of("a:80"), FRAMING),
        ("fragment", get_of("/#a"), FRAMING),
        ("fragment, absolute", get_of("http://a/#a"), FRAMING),
        ("asterisk", get_of("*"), FRAMING),
        ("asterisk of options", b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "404 "),
        ("brackets", get_of("/<a>"), FRAMING),
        ("backslash", get_of("/?\\"), "200 ok"),
        ("letters beyond ASCII", get_of("/?q=ঢাকা"), "200 ok"),
        ("not UTF-8", b"GET /?\xff HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), FRAMING),
        ("dots", get_of("/../"), "404 "),
    ]
}

fn chunks() -> Vec<Payload> {
    let of = |body: &str| post("Transfer-Encoding: chunked\r\n", body);
    let extension = "x".repeat(5000);
    vec![
        ("chunks", of("3\r\nabc\r\nA\r\ndefghijklm\r\n0\r\n\r\n"), "200 abcdefghijklm"),
        (
            "chunks, then a request",
            [of("00a\r\n0123456789\r\n000\r\n\r\n"), get_of("/")].concat(),
            "200 0123456789, 200 ok",
        ),
        ("no chunk", of("0\r\n\r\n"), "200 "),
        ("extension", of("3;a=\"b c\";d\r\nabc\r\n0;e\r\n\r\n"), "200 abc"),
        ("trailers", of("1\r\na\r\n0\r\nX-Sum: 1\r\nY: 2\r\n\r\n"), "200 a"),
        ("no size", of("\r\nabc\r\n0\r\n\r\n"), FRAMING),
        ("no size but an extension", of(";a\r\nabc\r\n0\r\n\r\n"), FRAMING),
        ("size with 0x", of("0x3\r\nabc\r\n0\r\n\r\n"), FRAMING),
        ("negative size", of("-3\r\nabc\r\n0\r\n\r\n"), FRAMING),
        ("size behind a space", of(" 3\r\nabc\r\n0\r\n\r\n"), FRAMING),
        ("size before a space", of("3 \r\nabc\r\n0\r\n\r\n"), FRAMING),
        ("size of 16 digits", of("fffffffffffffffd\r\nabc\r\n0\r\n\r\n"), FRAMING),
        ("size of 15 digits", of("fffffffffffffff\r\nabc"), FRAMING),
        ("bare LF behind a size", of("3\nabc\r\n0\r\n\r\n"), FRAMING),
        ("bare CR behind a size", of("3\rabc\r\n0\r\n\r\n"), FRAMING),
        ("bare LF behind a chunk", of("3\r\nabc\n0\r\n\r\n"), FRAMING),
        ("bare LF at the end", of("3\r\nabc\r\n0\r\n\n"), FRAMING),
        ("bare LF in an extension", of("3;a\nb\r\nabc\r\n0\r\n\r\n"), FRAMING),
        ("bare CR in an extension", of("3;a\rb\r\nabc\r\n0\r\n\r\n"), FRAMING),
        ("bare LF in a trailer", of("0\r\nX: a\nY: b\r\n\r\n"), FRAMING),
        ("trailer that is no field", of("0\r\nGET / HTTP/1.1\r\n\r\n"), FRAMING),
        ("longer than its size", of("3\r\nabcd\r\n0\r\n\r\n"), FRAMING),
        ("shorter than its size", of("5\r\nabc\r\n0\r\n\r\n"), FRAMING),
        ("broken off", of("3\r\nabc\r\n0\r\n"), FRAMING),
        ("too much extension", of(&format!("1;{extension}\r\na\r\n0\r\n\r\n")), FRAMING),
        ("too much trailer", of(&format!("0\r\nX: {extension}\r\n\r\n")), FRAMING),
    ]
}

fn bounds() -> Vec<Payload> {
    let head = |bytes: usize| {
        let rest = get_of("/").len() + "X: \r\n".len();
        with(&format!("X: {}\r\n", "x".repeat(bytes - rest)))
    };
    let lines = |count: usize| with(&"X: y\r\n".repeat(count - 2));
    let uri = |bytes: usize| get_of(&format!("/?{}", "x".repeat(bytes - 2)));
    let body = |bytes: usize| post(&format!("Content-Length: {bytes}\r\n"), &"x".repeat(bytes));
    let chunked = |bytes: usize| {
        let half = "x".repeat(bytes / 2);
        let rest = "x".repeat(bytes - bytes / 2);
        let body = format!("{:x}\r\n{half}\r\n{:x}\r\n{rest}\r\n0\r\n\r\n", half.len(), rest.len());
        post("X-Count: yes\r\nTransfer-Encoding: chunked\r\n", &body)
    };
    let counted = |request: Vec<u8>| [request, get_of("/")].concat();
    vec![
        ("head of 16 KiB", counted(head(16_384)), "200 ok, 200 ok"),
        ("head of 16 KiB + 1", counted(head(16_385)), "431 HEAD_TOO_LARGE"),
        ("unended head of 20 KB", head(20_000)[..19_990].to_vec(), "431 HEAD_TOO_LARGE"),
        ("64 lines", counted(lines(64)), "200 ok, 200 ok"),
        ("65 lines", counted(lines(65)), "431 HEAD_TOO_LARGE"),
        ("target of 4 KiB", counted(uri(4096)), "200 ok, 200 ok"),
        ("target of 4 KiB + 1", counted(uri(4097)), "414 URI_TOO_LONG"),
        ("target of 17 KB", counted(uri(17_000)), "414 URI_TOO_LONG"),
        ("unended line of 20 KB", vec![b'x'; 20_000], "414 URI_TOO_LONG"),
        ("body of 64 KiB", counted(body(65_536)), "200 65536, 200 ok"),
        ("body of 64 KiB + 1", counted(body(65_537)), "413 BODY_TOO_LARGE"),
        ("chunked body of 64 KiB", counted(chunked(65_536)), "200 65536, 200 ok"),
        ("chunked body of 64 KiB + 1", counted(chunked(65_537)), "413 BODY_TOO_LARGE"),
    ]
}

fn get_of(target: &str) -> Vec<u8> {
    format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n").into_bytes()
}

fn with(fields: &str) -> Vec<u8> {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").into_bytes()
}

fn post(fields: &str, body: &str) -> Vec<u8> {
    format!("POST /echo HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}").into_bytes()
}

// A server, and a client that reads by the letter.

struct Edge {
    address: SocketAddr,
    stop: CancellationToken,
    served: JoinHandle<io::Result<()>>,
    /// A permit for each request that came to `/gate`, and one for each that may leave.
    entered: Arc<Semaphore>,
    gate: Arc<Semaphore>,
}

impl Edge {
    async fn start(limits: Limits) -> Self {
        Self::start_with(limits, PATIENCE).await
    }

    async fn start_with(limits: Limits, drain: Duration) -> Self {
        let (entered, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
        let limits = match limits.connections_per_address {
            50 => Limits { connections_per_address: 1000, ..limits },
            _ => limits,
        };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let served = serve(listener, router(&entered, &gate), limits, stop.clone(), drain);
        Self { address, stop, served: tokio::spawn(served), entered, gate }
    }

    async fn connect(&self) -> TcpStream {
        let client = TcpStream::connect(self.address).await.unwrap();
        client.set_nodelay(true).unwrap();
        client
    }

    async fn exchange(&self, bytes: &[u8]) -> String {
        self.exchange_in(&[bytes]).await
    }

    /// The answers to these pieces, each sent after a moment, and the end.
    async fn exchange_in(&self, pieces: &[&[u8]]) -> String {
        let (mut read, mut write) = self.connect().await.into_split();
        let send = async {
            for (index, piece) in pieces.iter().enumerate() {
                if index > 0 {
                    sleep(Duration::from_millis(1)).await;
                }
                if write.write_all(piece).await.is_err() {
                    return;
                }
            }
            // The other side may be gone already.
            drop(write.shutdown().await);
        };
        let ((), answers) = tokio::join!(send, rest_of(&mut read));
        summary(&answers)
    }
}

impl Drop for Edge {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

fn router(entered: &Arc<Semaphore>, gate: &Arc<Semaphore>) -> Router {
    let echo = async |headers: http::HeaderMap, body: Bytes| {
        if body.len() > 100 {
            Body::from(body.len().to_string())
        } else {
            Body::from((headers, body).1)
        }
    };
    let (entered, gate) = (Arc::clone(entered), Arc::clone(gate));
    let wait = async move || {
        entered.add_permits(1);
        gate.acquire().await.unwrap().forget();
        "open"
    };
    Router::new()
        .route("/", get(async || "ok"))
        .route("/echo", any(echo))
        .route("/peer", get(async |ConnectInfo(peer): ConnectInfo<SocketAddr>| peer.to_string()))
        .route("/panic", get(async || -> &'static str { panic!("the secret of the house") }))
        .route("/gate", get(wait))
        .route("/large", get(async || LARGE.clone()))
        .method_not_allowed_fallback(async || http::StatusCode::NOT_FOUND)
}

/// Short times, so that a test takes no longer than they do.
fn hasty() -> Limits {
    let within = Duration::from_millis(150);
    Limits { head_within: within, body_within: within, taken_within: within, ..Limits::default() }
}

/// `200 ok, 400 BAD_REQUEST_FRAMING`: statuses with the text, or the code of an error, after a
/// check that each error has the documented shape.
fn summary(mut answers: &[u8]) -> String {
    let mut summary = Vec::new();
    while !answers.is_empty() {
        let end = answers.windows(4).position(|four| four == b"\r\n\r\n").unwrap() + 4;
        let (head, rest) = answers.split_at(end);
        let (body, rest) = rest.split_at(length_of(&text(head)));
        summary.push(one(&text(head), &text(body)));
        answers = rest;
    }
    summary.join(", ")
}

fn one(head: &str, body: &str) -> String {
    let status = head.strip_prefix("HTTP/1.").unwrap()[2..5].to_string();
    if status.starts_with('1') {
        return status;
    }
    assert_eq!(head.matches("x-content-type-options: nosniff\r\n").count(), 1, "{head}");
    if matches!(status.as_str(), "200" | "404") {
        return format!("{status} {body}");
    }
    assert!(head.contains("content-type: application/json\r\n"), "{head}");
    let shape: serde_json::Value = serde_json::from_str(body).expect(head);
    let mut keys: Vec<_> = shape.as_object().unwrap().keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["code", "error", "message", "success"]);
    assert_eq!(shape["success"], false);
    format!("{status} {}", shape["code"].as_str().unwrap())
}

fn length_of(head: &str) -> usize {
    let field = head.split("\r\n").find_map(|line| line.strip_prefix("content-length: "));
    field.map_or(0, |length| length.parse().unwrap())
}

async fn answer_of<R: AsyncRead + Unpin>(client: &mut R) -> String {
    let head = head_of(client).await;
    let body = body_of(client, &head).await;
    one(&head, &body)
}

async fn head_of<R: AsyncRead + Unpin>(client: &mut R) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(timeout(PATIENCE, client.read_u8()).await.unwrap().unwrap());
    }
    text(&head)
}

async fn body_of<R: AsyncRead + Unpin>(client: &mut R, head: &str) -> String {
    let mut body = vec![0; length_of(head)];
    timeout(PATIENCE, client.read_exact(&mut body)).await.unwrap().unwrap();
    text(&body)
}

/// All that comes until the server closes; a reset counts as the end.
async fn rest_of<R: AsyncRead + Unpin>(client: &mut R) -> Vec<u8> {
    let mut rest = Vec::new();
    drop(timeout(PATIENCE, client.read_to_end(&mut rest)).await.unwrap());
    rest
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

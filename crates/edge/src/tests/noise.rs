//! Random bytes: the framing neither panics nor disagrees with hyper.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::Uri;
use axum::middleware::map_request;
use parking_lot::Mutex;
use proptest::prelude::*;
use proptest::sample::Index;
use tokio::io::AsyncWriteExt;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::payloads::payloads;
use super::requests::frame;
use super::server::{rest_of, router, summary, text};
use crate::admit::without_slash_at_the_end;
use crate::framing::Framing;
use crate::slots::SlotUse;
use crate::{Client, Limits, Signals, serve_connection};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn framing_of_any_bytes_does_not_panic_or_depend_on_cuts(
        bytes in noise(),
        cuts in prop::collection::vec(any::<Index>(), 0..6),
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
    fn hyper_accepts_every_request_that_passes_the_guard_and_finds_no_other(bytes in noise()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (answers, served) = runtime.block_on(converse(bytes.clone()));
        // `summary` panics on an answer that is not ours: a 400 without a body would be hyper's.
        summary(&answers);
        let framed = requests(&bytes);
        prop_assert!(framed.starts_with(&served), "served {served:?}, framed {framed:?}");
    }
}

/// Payloads with some bytes changed, repeated, removed or inserted, one after another; or random
/// bytes.
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
    let change = (any::<Index>(), prop::sample::select(bits), any::<u8>(), 0..5_u8);
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
    prop_oneof![4 => changed, 1 => prop::collection::vec(any::<u8>(), 0..300)]
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
            let uri = Uri::try_from(words.next().unwrap()).unwrap();
            let uri = without_slash_at_the_end(&uri).unwrap_or(uri);
            heads.push(format!("{method} {uri}"));
        }
        if passed.refused.is_some() {
            break;
        }
        held.drain(..passed.bytes);
    }
    heads
}

/// One connection in memory: the answers, and the requests that reached the router.
async fn converse(bytes: Vec<u8>) -> (Vec<u8>, Vec<String>) {
    let (mut client, server) = tokio::io::duplex(1 << 20);
    let signals = Signals { stop: CancellationToken::new(), abort: CancellationToken::new() };
    let other_end = Client { peer: ([127, 0, 0, 1], 1).into(), slot: SlotUse::default() };
    let served = Arc::new(Mutex::new(Vec::new()));
    let record = {
        let served = Arc::clone(&served);
        move |request: Request| {
            served.lock().push(format!("{} {}", request.method(), request.uri()));
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
    let (answers, ()) =
        tokio::join!(exchange, serve_connection(server, router.into(), other_end, limits, signals));
    let served = served.lock().clone();
    (answers, served)
}

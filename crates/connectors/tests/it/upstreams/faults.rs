//! The faults of a network and of a service, for each kind, over a real socket.

use super::peer::{PEERS, Peer, Status};
use super::world::{Reply, Server, connector, order};
use domain::{Environment, Order, Outcome, Upstream};
use std::sync::Arc;
use std::time::Duration;

const OURS: &str = "S1042-1";
const AMOUNT: &str = "0.50";

/// A server with these replies, and a connector to it.
async fn world(peer: &Peer, buys: Vec<Reply>, asked: Vec<Reply>) -> (Server, Arc<dyn Upstream>) {
    let server = Server::start(peer.rules(buys, asked)).await;
    let upstream = connector(peer.kind, &server.url, peer.file);
    (server, upstream)
}

async fn submit(upstream: &Arc<dyn Upstream>, order: &Order) -> String {
    Outcome::from(upstream.submit(order).await).code().to_owned()
}

async fn ask(upstream: &Arc<dyn Upstream>, order: &Order) -> String {
    Outcome::from(upstream.enquire(order).await).code().to_owned()
}

fn good(peer: &Peer) -> Reply {
    Reply::With(200, peer.bought(Status::Done, OURS, AMOUNT))
}

/// The outcome of a submit whose buying request gets this reply; an enquiry gets an error.
async fn outcome(peer: &Peer, reply: Reply) -> String {
    let (server, upstream) = world(peer, vec![reply], vec![peer.refusal(500)]).await;
    let code = submit(&upstream, &order(1)).await;
    assert_eq!(server.requests(peer.buys_at).len(), 1, "{} {code}", peer.kind);
    code
}

#[tokio::test]
async fn a_good_reply_is_believed() {
    for peer in &PEERS {
        assert_eq!(outcome(peer, good(peer)).await, "delivered", "{}", peer.kind);
    }
}

#[tokio::test]
async fn what_is_not_plainly_said_is_a_doubt() {
    let html = "<html><body>502 Bad Gateway</body></html>".to_owned();
    for peer in &PEERS {
        // What names our order shows that the upstream has it.
        let named = if peer.is_askable() { "unclear" } else { peer.doubt };
        let body = peer.bought(Status::Done, OURS, AMOUNT);
        for reply in [
            peer.bought(Status::Done, OURS, "0.60"),
            format!("{body}{body}"),
            body[..body.len() - 30].to_owned(),
            peer.odd(OURS),
        ] {
            let shown = format!("{} {reply}", peer.kind);
            assert_eq!(outcome(peer, Reply::With(200, reply)).await, named, "{shown}");
        }
        let whole = format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        let half = whole.as_bytes()[..whole.len() - 30].to_vec();
        for reply in [
            Reply::Close,
            Reply::Raw(half),
            Reply::Raw(b"garbage that is no HTTP\r\n\r\n".to_vec()),
            Reply::With(200, "\u{1}\u{2}garbage".to_owned()),
            Reply::With(200, String::new()),
            Reply::With(200, html.clone()),
            Reply::With(502, html.clone()),
            Reply::With(403, html.clone()),
            peer.duplicate(),
            peer.refusal(400),
            peer.refusal(500),
            peer.refusal(503),
            Reply::With(302, String::new()),
            Reply::Huge,
        ] {
            let shown = format!("{} {:.80}", peer.kind, format!("{reply:?}"));
            assert_eq!(outcome(peer, reply).await, peer.doubt, "{shown}");
        }
    }
}

#[tokio::test]
async fn no_answer_and_a_slow_one_end_in_a_doubt() {
    for peer in &PEERS {
        for reply in [Reply::Silence, Reply::Trickle] {
            let (server, upstream) = world(peer, vec![reply], vec![peer.refusal(500)]).await;
            let task = tokio::spawn(async move { submit(&upstream, &order(1)).await });
            while server.requests(peer.buys_at).is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            // The limits of time pass at once; the sockets are waited for no more.
            tokio::time::pause();
            assert_eq!(task.await.unwrap(), peer.doubt, "{}", peer.kind);
            tokio::time::resume();
        }
    }
}

#[tokio::test]
async fn only_a_connection_that_failed_is_not_sent() {
    for peer in &PEERS {
        let nobody = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", nobody.local_addr().unwrap());
        drop(nobody);
        let upstream = connector(peer.kind, &url, peer.file);
        assert_eq!(submit(&upstream, &order(1)).await, "not_sent", "{}", peer.kind);
        let again = connector(peer.kind, &url, peer.file);
        let asked = ask(&again, &order(1)).await;
        assert_eq!(asked, peer.doubt, "{}: an enquiry that failed", peer.kind);
    }
}

#[tokio::test]
async fn a_lost_reply_is_found_and_a_lost_request_is_not() {
    for peer in PEERS.iter().filter(|peer| peer.is_askable()) {
        let late = Reply::With(200, peer.found(Status::Done, OURS, AMOUNT));
        let (_server, upstream) =
            world(peer, vec![Reply::Close], vec![peer.not_found(), late]).await;
        assert_eq!(submit(&upstream, &order(1)).await, "unknown", "{}", peer.kind);
        assert_eq!(ask(&upstream, &order(1)).await, "not_found", "{}", peer.kind);
        // A late success.
        assert_eq!(ask(&upstream, &order(1)).await, "delivered", "{}", peer.kind);
    }
}

#[tokio::test]
async fn not_found_after_an_acknowledgement_is_for_staff() {
    for peer in PEERS.iter().filter(|peer| peer.is_askable()) {
        let (_server, upstream) = world(peer, vec![good(peer)], vec![peer.not_found()]).await;
        let known = Order { is_acknowledged: true, ..order(1) };
        assert_eq!(ask(&upstream, &known).await, "unaskable", "{}", peer.kind);
    }
}

/// A reply that means nothing, and names the order: the upstream has it. Its id is kept only where
/// our reference stands beside it.
#[tokio::test]
async fn not_found_after_an_unclear_reply_that_names_the_order_is_for_staff() {
    for peer in PEERS.iter().filter(|peer| peer.is_askable()) {
        for (reference, id) in [(OURS, Some(peer.odd_id())), ("S1042-2", None)] {
            let buys = vec![Reply::With(200, peer.odd(reference))];
            let (_server, upstream) = world(peer, buys, vec![peer.not_found()]).await;
            let outcome = Outcome::from(upstream.submit(&order(1)).await);
            let seen = (outcome.code(), outcome.reference());
            assert_eq!(seen, ("unclear", id), "{} {reference}", peer.kind);
            assert!(outcome.is_acknowledgement(), "{}", peer.kind);
            // As the engine asks after an acknowledgement, twice.
            let known = Order { is_acknowledged: true, ..order(1) };
            for _ in 0..2 {
                assert_eq!(ask(&upstream, &known).await, "unaskable", "{}", peer.kind);
            }
        }
    }
}

#[tokio::test]
async fn an_accepted_order_is_delivered_refused_or_taken_back_later() {
    for peer in PEERS.iter().filter(|peer| peer.is_askable()) {
        let working = Reply::With(200, peer.bought(Status::Working, OURS, AMOUNT));
        for (status, expected) in [
            (Status::Working, "accepted"),
            (Status::Done, "delivered"),
            (Status::Failed, "refused"),
            (Status::Reversed, if peer.kind == "irecharge" { "reversed" } else { "refused" }),
        ] {
            let found = Reply::With(200, peer.found(status, OURS, AMOUNT));
            let (_server, upstream) = world(peer, vec![working.clone()], vec![found]).await;
            assert_eq!(submit(&upstream, &order(1)).await, "accepted", "{}", peer.kind);
            assert_eq!(ask(&upstream, &order(1)).await, expected, "{} {status:?}", peer.kind);
        }
    }
}

#[tokio::test]
async fn an_enquiry_concludes_nothing_from_errors_and_foreign_orders() {
    for peer in PEERS.iter().filter(|peer| peer.is_askable()) {
        for reply in [
            peer.refusal(401),
            peer.refusal(402),
            peer.refusal(403),
            peer.refusal(429),
            peer.refusal(500),
            Reply::With(404, "<html></html>".to_owned()),
            Reply::With(200, peer.found(Status::Done, "S1042-2", AMOUNT)),
            Reply::With(200, peer.found(Status::Failed, "S1042-2", AMOUNT)),
            Reply::Close,
        ] {
            let shown = format!("{} {reply:?}", peer.kind);
            let (_server, upstream) = world(peer, vec![good(peer)], vec![reply]).await;
            assert_eq!(ask(&upstream, &order(1)).await, "unknown", "{shown}");
        }
        let other_amount = Reply::With(200, peer.found(Status::Done, OURS, "0.60"));
        let (_server, upstream) = world(peer, vec![good(peer)], vec![other_amount]).await;
        assert_eq!(ask(&upstream, &order(1)).await, "unclear", "{}", peer.kind);
    }
}

#[tokio::test]
async fn a_refused_token_is_renewed_once() {
    for peer in &PEERS {
        let denied = peer.refusal(401);
        let (server, upstream) =
            world(peer, vec![denied.clone(), good(peer)], vec![peer.not_found()]).await;
        let code = submit(&upstream, &order(1)).await;
        let sent = server.requests(peer.buys_at).len();
        let expected = if peer.logs_in { ("delivered", 2) } else { ("refused", 1) };
        assert_eq!((code.as_str(), sent), expected, "{}", peer.kind);

        let (server, upstream) = world(peer, vec![denied], vec![peer.not_found()]).await;
        assert_eq!(submit(&upstream, &order(1)).await, "refused", "{}", peer.kind);
        assert!(server.requests(peer.buys_at).len() <= 2, "{}", peer.kind);
    }
}

#[tokio::test]
async fn a_failed_login_sends_nothing() {
    for peer in PEERS.iter().filter(|peer| peer.logs_in) {
        let mut rules = peer.rules(vec![good(peer)], vec![peer.not_found()]);
        for (text, replies) in &mut rules {
            if text.contains("/oauth/") || text.contains("/authenticate/") {
                *replies = vec![peer.refusal(401)];
            }
        }
        let server = Server::start(rules).await;
        let upstream = connector(peer.kind, &server.url, peer.file);
        assert_eq!(submit(&upstream, &order(1)).await, "not_sent", "{}", peer.kind);
        assert!(server.requests(peer.buys_at).is_empty());
        // An enquiry without a login is none.
        assert_eq!(ask(&upstream, &order(1)).await, peer.doubt, "{}", peer.kind);
    }
}

#[tokio::test]
async fn too_many_calls_are_refused_only_where_the_facts_say_so() {
    for peer in &PEERS {
        let expected = if peer.kind == "rechargely" { peer.doubt } else { "refused" };
        assert_eq!(outcome(peer, peer.refusal(429)).await, expected, "{}", peer.kind);
    }
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    for peer in &PEERS {
        let elsewhere = Server::start(vec![("", vec![good(peer)])]).await;
        let head =
            format!("HTTP/1.1 307 X\r\nlocation: {}/x\r\ncontent-length: 0\r\n\r\n", elsewhere.url);
        assert_eq!(outcome(peer, Reply::Raw(head.into_bytes())).await, peer.doubt, "{}", peer.kind);
        assert!(elsewhere.requests("").is_empty(), "{}", peer.kind);
    }
}

#[tokio::test]
async fn an_attempt_is_submitted_once() {
    for peer in &PEERS {
        let (server, upstream) = world(peer, vec![good(peer)], vec![peer.not_found()]).await;
        let order = order(1);
        let (one, other) = tokio::join!(submit(&upstream, &order), submit(&upstream, &order));
        let mut codes = [one, other];
        codes.sort();
        assert_eq!(codes, ["delivered", "unknown"], "{}", peer.kind);
        assert_eq!(submit(&upstream, &order).await, "unknown", "{}", peer.kind);
        assert_eq!(server.requests(peer.buys_at).len(), 1, "{}", peer.kind);
    }
}

#[tokio::test]
async fn what_cannot_be_written_or_is_not_for_here_is_not_sent() {
    for peer in &PEERS {
        let (server, upstream) = world(peer, vec![good(peer)], vec![peer.not_found()]).await;
        let sandbox = Order { environment: Environment::Sandbox, ..order(1) };
        assert_eq!(submit(&upstream, &sandbox).await, "not_sent", "{}", peer.kind);
        if peer.kind != "irecharge" {
            let unmapped = Order { operator: "RB".to_owned(), ..order(1) };
            assert_eq!(submit(&upstream, &unmapped).await, "not_sent", "{}", peer.kind);
        }
        assert!(server.requests(peer.buys_at).is_empty(), "{}", peer.kind);
    }
}

#[tokio::test]
async fn secrets_and_values_are_where_the_service_wants_them() {
    for peer in &PEERS {
        let (server, upstream) = world(peer, vec![good(peer)], vec![peer.not_found()]).await;
        submit(&upstream, &order(1)).await;
        let request = server.requests(peer.buys_at).remove(0).to_lowercase();
        for text in match peer.kind {
            "irecharge" => vec![
                "x-open-key: open_key-0123456789",
                "x-authorization: secret_key-0123456789",
                r#""amount":0.5,"#,
                r#""operator":"1""#,
                r#""reference":"s1042-1""#,
            ],
            "reloadly" => vec![
                "authorization: bearer t-1",
                "accept: application/com.reloadly.topups-v1+json",
                r#""operatorid":1,"amount":0.5,"uselocalamount":false"#,
                r#""recipientphone":{"countrycode":"bd","number":"8801712345678"}"#,
            ],
            _ => vec!["authorization: bearer t-1", "x-channel-id: web", r#""preauthtoken":"p-1""#],
        } {
            assert!(request.contains(text), "{text}: {request}");
        }
    }
}

//! The courier against servers on this machine and scripted names: what is sent, what each answer
//! means, and what is not even tried. Where packets really go: tests/it/namespace.rs.

use super::*;
use crate::hands::{Hands, MORNING};
use domain::account::Environment;
use domain::webhook::WebhookSender as _;
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Names that lead where the test says, and how often they were asked about.
#[derive(Default)]
struct Script {
    known: HashMap<&'static str, Vec<IpAddr>>,
    asked: Arc<AtomicUsize>,
}

impl Names for Script {
    fn look_up(&self, name: &str) -> Looking {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let found = self.known.get(name).cloned();
        Box::pin(async move { found.ok_or_else(|| std::io::ErrorKind::NotFound.into()) })
    }
}

fn clock() -> Arc<Hands> {
    Arc::new(Hands(AtomicI64::new(MORNING)))
}

/// A courier that may go to this machine.
fn here(timeout: Duration) -> WebhookSender {
    let settings = Settings::new(clock());
    WebhookSender::open(Settings { allow_loopback: true, timeout, ..settings }).unwrap()
}

fn post(url: &str) -> WebhookPost {
    WebhookPost {
        url: url.to_owned(),
        environment: Environment::Sandbox,
        headers: vec![("webhook-id", "evt_1".into()), ("webhook-signature", "v1,abc".into())],
        body: br#"{"event":"x"}"#.to_vec(),
    }
}

const USUAL: Duration = Duration::from_secs(20);

/// What a server was sent, and how often somebody connected to it.
#[derive(Default)]
struct Seen {
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
}

impl Seen {
    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// A server on a free port, and where it is.
async fn server() -> (Arc<Seen>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let seen = Arc::new(Seen::default());
    let notes = Arc::clone(&seen);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            notes.connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream, Arc::clone(&notes)));
        }
    });
    (seen, format!("http://localhost:{port}"))
}

async fn serve(mut stream: TcpStream, seen: Arc<Seen>) {
    loop {
        let mut request = Vec::new();
        while !request.ends_with(br#"{"event":"x"}"#) {
            let mut bytes = [0; 4096];
            match stream.read(&mut bytes).await {
                Ok(read) if read > 0 => request.extend_from_slice(&bytes[..read]),
                Ok(_) | Err(_) => return,
            }
        }
        let request = String::from_utf8(request).unwrap();
        let target = request.split(' ').nth(1).unwrap();
        let path = target.split('?').next().unwrap().trim_start_matches('/').to_owned();
        seen.requests.lock().unwrap().push(request);
        if answer(&mut stream, &path).await.is_err() {
            return;
        }
    }
}

/// Answers with the status that the path names, or as the path says.
async fn answer(stream: &mut TcpStream, path: &str) -> std::io::Result<()> {
    let head = |status: &str, more: &str, length: usize| {
        format!("HTTP/1.1 {status} X\r\n{more}content-length: {length}\r\n\r\n")
    };
    let says = |status: &str, more: &str, body: &str| head(status, more, body.len()) + body;
    let reply = match path {
        "silence" => return std::future::pending().await,
        "hang-up" => return Err(std::io::ErrorKind::Other.into()),
        "breaks-off" => {
            stream.write_all((head("200", "", 100) + "only this").as_bytes()).await?;
            return Err(std::io::ErrorKind::Other.into());
        }
        "endless" => {
            stream.write_all(head("200", "", usize::MAX / 4).as_bytes()).await?;
            loop {
                stream.write_all(&[b'x'; 4096]).await?;
            }
        }
        "garbage" => "220 mail.example ESMTP\r\n".to_owned(),
        "colours" => says("200", "", &"a\u{1b}[31m\nb\u{202e}c\u{0}".repeat(90)),
        "packed" => says("200", "content-encoding: gzip\r\n", "\u{1f}not gzip"),
        "302" => says("302", "location: /200\r\n", "elsewhere"),
        "308" => says("308", "location: http://localhost/200\r\n", ""),
        "429" => says("429", "retry-after: 120\r\n", ""),
        "503" => says("503", "retry-after: Thu, 23 Apr 2026 23:10:30 GMT\r\n", ""),
        "503-soon" => says("503", "retry-after: soon\r\n", ""),
        status => says(status, "", "thanks"),
    };
    stream.write_all(reply.as_bytes()).await
}

#[tokio::test]
async fn each_answer_counts_as_it_should() {
    let (seen, base) = server().await;
    let courier = here(USUAL);
    let busy = |seconds| DeliveryResult::Busy { after: Some(Duration::from_secs(seconds)) };
    let cases = [
        ("200", DeliveryResult::Accepted, Some(200), "thanks"),
        ("202", DeliveryResult::Accepted, Some(202), "thanks"),
        ("299", DeliveryResult::Accepted, Some(299), "thanks"),
        ("302", DeliveryResult::Failed, Some(302), "elsewhere"),
        ("308", DeliveryResult::Failed, Some(308), ""),
        ("400", DeliveryResult::Failed, Some(400), "thanks"),
        ("404", DeliveryResult::Failed, Some(404), "thanks"),
        ("410", DeliveryResult::Gone, Some(410), "thanks"),
        ("429", busy(120), Some(429), ""),
        ("500", DeliveryResult::Failed, Some(500), "thanks"),
        ("503", busy(90), Some(503), ""),
        ("503-soon", DeliveryResult::Busy { after: None }, Some(503), ""),
        ("packed", DeliveryResult::Accepted, Some(200), "not gzip"),
        ("breaks-off", DeliveryResult::Accepted, Some(200), "only this"),
    ];
    for (path, verdict, status, says) in &cases {
        let delivery = courier.deliver(&post(&format!("{base}/{path}"))).await;
        assert_eq!((delivery.verdict, delivery.status), (*verdict, *status), "{path}");
        assert_eq!(delivery.says, *says, "{path}");
    }
    assert_eq!(seen.requests().len(), cases.len(), "no redirect was followed");
}

#[tokio::test]
async fn what_is_sent_is_the_parcel() {
    let (seen, base) = server().await;
    let sent = post(&format!("{base}/200?a=b&c=%20"));
    assert_eq!(here(USUAL).deliver(&sent).await.verdict, DeliveryResult::Accepted);
    let request = seen.requests().remove(0);
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines: Vec<&str> = head.lines().collect();
    lines.sort_unstable();
    let host = format!("host: {}", base.trim_start_matches("http://"));
    let agent = concat!("user-agent: Saldo/", env!("CARGO_PKG_VERSION"));
    let expected = [
        "POST /200?a=b&c=%20 HTTP/1.1",
        "accept: */*",
        "content-length: 13",
        "content-type: application/json",
        host.as_str(),
        agent,
        "webhook-id: evt_1",
        "webhook-signature: v1,abc",
    ];
    assert_eq!(lines, expected);
    assert_eq!(body.as_bytes(), sent.body);
}

#[tokio::test]
async fn an_answer_is_kept_in_part_and_printable() {
    let (_, base) = server().await;
    let courier = here(USUAL);
    let delivery = courier.deliver(&post(&format!("{base}/colours"))).await;
    assert_eq!(delivery.verdict, DeliveryResult::Accepted);
    assert_eq!(delivery.says.len(), 256);
    assert!(delivery.says.starts_with("a[31m bca[31m bc"), "{}", delivery.says);

    let delivery = courier.deliver(&post(&format!("{base}/endless"))).await;
    assert_eq!((delivery.verdict, delivery.says), (DeliveryResult::Accepted, "x".repeat(256)));
}

#[tokio::test]
async fn who_does_not_answer_has_not_taken_it() {
    let (_, base) = server().await;
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let courier = here(Duration::from_secs(1));
    for (url, says) in [
        (format!("{base}/silence"), "no answer in time"),
        (format!("{base}/hang-up"), "no answer: connection closed before message completed"),
        (format!("{base}/garbage"), "no answer: invalid HTTP version parsed"),
        (format!("http://{nobody}/"), "no connection: Connection refused (os error 111)"),
    ] {
        let delivery = courier.deliver(&post(&url)).await;
        assert_eq!((delivery.verdict, delivery.status), (DeliveryResult::Failed, None), "{url}");
        assert_eq!(delivery.says, says, "{url}");
    }
}

#[tokio::test]
async fn a_connection_is_used_again_for_a_minute() {
    let (seen, base) = server().await;
    let hands = clock();
    let settings = Settings { allow_loopback: true, ..Settings::new(hands.clone()) };
    let courier = WebhookSender::open(settings).unwrap();
    let sent = post(&format!("{base}/200"));
    for _ in 0..10 {
        assert_eq!(courier.deliver(&sent).await.verdict, DeliveryResult::Accepted);
    }
    assert_eq!(seen.connections(), 1);
    hands.0.fetch_add(60_000_000, Ordering::SeqCst);
    for _ in 0..10 {
        assert_eq!(courier.deliver(&sent).await.verdict, DeliveryResult::Accepted);
    }
    assert_eq!(seen.connections(), 2, "its host was looked up anew");
}

#[tokio::test]
async fn one_address_that_is_not_public_blocks_them_all() {
    let ips = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<IpAddr>>();
    let known = HashMap::from([
        ("private.example", ips(&["10.0.0.1"])),
        ("first.example", ips(&["127.0.0.1", "93.184.215.14"])),
        ("last.example", ips(&["93.184.215.14", "2606:4700::1", "::ffff:192.168.1.1"])),
        ("family.example", ips(&["93.184.215.14", "fd00::1"])),
        ("ours.example", ips(&["93.184.215.200"])),
        ("ours6.example", ips(&["::ffff:93.184.215.200"])),
        ("empty.example", Vec::new()),
    ]);
    let script = Script { known, ..Script::default() };
    let asked = Arc::clone(&script.asked);
    let courier = WebhookSender::open(Settings {
        // A name does not get here by it: only an address that says so.
        allow_loopback: true,
        never_to: vec!["93.184.215.192/26".parse().unwrap()],
        names: Arc::new(script),
        ..Settings::new(clock())
    })
    .unwrap();
    let blocked = "the name leads, or may lead, to an address that is not public";
    for (url, verdict, says) in [
        ("https://private.example/", DeliveryResult::Blocked, blocked),
        ("http://first.example/", DeliveryResult::Blocked, blocked),
        ("https://last.example./", DeliveryResult::Blocked, blocked),
        ("https://FAMILY.example:8443/", DeliveryResult::Blocked, blocked),
        ("https://ours.example/", DeliveryResult::Blocked, blocked),
        ("https://ours6.example/", DeliveryResult::Blocked, blocked),
        (
            "https://empty.example/",
            DeliveryResult::Failed,
            "no connection: the host's name is not known",
        ),
        (
            "https://nobody.example/",
            DeliveryResult::Failed,
            "no connection: the host's name is not known",
        ),
    ] {
        let before = asked.load(Ordering::SeqCst);
        let delivery = courier.deliver(&post(url)).await;
        assert_eq!((delivery.verdict, delivery.status), (verdict, None), "{url}");
        assert_eq!(delivery.says, says, "{url}");
        assert_eq!(asked.load(Ordering::SeqCst) - before, 1, "{url}: one look-up");
    }
}

#[tokio::test]
async fn a_wrong_address_is_not_even_looked_up() {
    let script = Script::default();
    let asked = Arc::clone(&script.asked);
    let names: Arc<dyn Names> = Arc::new(script);
    let courier = WebhookSender::open(Settings { names, ..Settings::new(clock()) }).unwrap();
    for url in
        ["http://localhost/", "http://127.0.0.1/", "https://[::1]/", "https://xn--a.example/"]
    {
        let delivery = courier.deliver(&post(url)).await;
        assert_eq!((delivery.verdict, delivery.status), (DeliveryResult::Blocked, None), "{url}");
    }
    let live = WebhookPost { environment: Environment::Live, ..post("http://hooks.example/") };
    let delivery = courier.deliver(&live).await;
    assert_eq!(delivery.verdict, DeliveryResult::Blocked);
    assert_eq!(delivery.says, "the address must begin with https:// in live mode.");
    assert_eq!(asked.load(Ordering::SeqCst), 0);
}

/// Texts that are nearly addresses, and hosts that nearly are.
fn nearly_an_address() -> impl Strategy<Value = String> {
    let scheme = prop_oneof![Just("http://"), Just("https://"), Just("HTTPS://")];
    let host = prop_oneof![
        "[-a-zA-Z0-9_.:@%\\[\\]]{0,24}",
        "[-a-z0-9_]{1,8}(\\.[-a-z0-9_]{1,8}){1,3}\\.?",
        "[a-z]{1,8}\\.(xn--)?[A-Za-z0-9]{1,8}",
        "127(\\.[0-9]{1,3}){3}|\\[::(ffff:)?[0-9a-f.:]{1,9}\\]|localhost",
    ];
    let port = prop_oneof![Just(String::new()), Just(":443".into()), ":[0-9]{1,5}"];
    (scheme, host, port, "[/?][ -~]{0,16}").prop_map(|(a, b, c, d)| format!("{a}{b}{c}{d}"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// The two readers of an address, ours and the HTTP library's, never take it for another one.
    #[test]
    fn what_is_checked_is_what_is_called(text in nearly_an_address()) {
        let courier = here(USUAL);
        let sent = post(&text);
        let allowed = Where { environment: sent.environment, allow_loopback: true };
        if let Ok(address) = Address::parse(&text, allowed) {
            let is_odd_name = address.host().split('.').any(|l| l.starts_with("xn--"));
            match courier.url(&sent) {
                Ok(url) => prop_assert_eq!(url.port_or_known_default(), Some(address.port())),
                Err(reason) => prop_assert!(is_odd_name, "{}: {}", text, reason),
            }
        }
    }
}

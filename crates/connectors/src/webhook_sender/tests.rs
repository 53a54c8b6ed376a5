//! The webhook sender against servers on this machine and a fake resolver: what is sent, what each
//! response means, and which URLs are blocked. Where packets really go: tests/it/namespace/.

use super::*;
use crate::manual_clock::ManualClock;
use domain::{Environment, WebhookSender as _};
use proptest::prelude::*;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// A resolver with the addresses that a test gives it. Counts its look-ups.
#[derive(Default)]
struct FakeLookup {
    addresses: HashMap<&'static str, Vec<IpAddr>>,
    lookups: Arc<AtomicUsize>,
}

impl HostLookup for FakeLookup {
    fn look_up(&self, name: &str) -> LookupFuture {
        self.lookups.fetch_add(1, Ordering::SeqCst);
        let found = self.addresses.get(name).cloned();
        Box::pin(async move { found.ok_or_else(|| std::io::ErrorKind::NotFound.into()) })
    }
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::new())
}

/// A sender that may send to this machine.
fn loopback_sender(timeout: Duration) -> HttpsWebhookSender {
    let settings = WebhookSenderSettings {
        allow_loopback: true,
        timeout,
        ..WebhookSenderSettings::new(clock())
    };
    HttpsWebhookSender::open(settings).unwrap()
}

fn post_to(url: &str) -> WebhookPost {
    WebhookPost {
        url: url.to_owned(),
        environment: Environment::Sandbox,
        headers: vec![("webhook-id", "evt_1".into()), ("webhook-signature", "v1,abc".into())],
        body: br#"{"event":"x"}"#.to_vec(),
    }
}

const LONG_TIMEOUT: Duration = Duration::from_secs(20);

/// The requests and the number of connections that a server received.
#[derive(Default)]
struct Received {
    requests: Mutex<Vec<String>>,
    connections: AtomicUsize,
}

impl Received {
    fn requests(&self) -> Vec<String> {
        self.requests.lock().clone()
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

/// Starts a server on a free port and returns its URL.
async fn server() -> (Arc<Received>, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let received = Arc::new(Received::default());
    let returned = Arc::clone(&received);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            received.connections.fetch_add(1, Ordering::SeqCst);
            tokio::spawn(serve(stream, Arc::clone(&received)));
        }
    });
    (returned, format!("http://localhost:{port}"))
}

async fn serve(mut stream: TcpStream, received: Arc<Received>) {
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
        received.requests.lock().push(request);
        if respond(&mut stream, &path).await.is_err() {
            return;
        }
    }
}

/// Responds with the status in the path, or with the special case that the path names.
async fn respond(stream: &mut TcpStream, path: &str) -> std::io::Result<()> {
    let head = |status: &str, more: &str, length: usize| {
        format!("HTTP/1.1 {status} X\r\n{more}content-length: {length}\r\n\r\n")
    };
    let response = |status: &str, more: &str, body: &str| head(status, more, body.len()) + body;
    let reply = match path {
        "no-response" => return std::future::pending().await,
        "disconnect" => return Err(std::io::ErrorKind::Other.into()),
        "truncated" => {
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
        "control-characters" => response("200", "", &"a\u{1b}[31m\nb\u{202e}c\u{0}".repeat(90)),
        "gzip" => response("200", "content-encoding: gzip\r\n", "\u{1f}not gzip"),
        "302" => response("302", "location: /200\r\n", "elsewhere"),
        "308" => response("308", "location: http://localhost/200\r\n", ""),
        "429" => response("429", "retry-after: 120\r\n", ""),
        "503" => response("503", "retry-after: Thu, 23 Apr 2026 23:10:30 GMT\r\n", ""),
        "503-soon" => response("503", "retry-after: soon\r\n", ""),
        status => response(status, "", "thanks"),
    };
    stream.write_all(reply.as_bytes()).await
}

#[tokio::test]
async fn each_response_has_its_result() {
    let (received, base) = server().await;
    let sender = loopback_sender(LONG_TIMEOUT);
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
        ("gzip", DeliveryResult::Accepted, Some(200), "not gzip"),
        ("truncated", DeliveryResult::Accepted, Some(200), "only this"),
    ];
    for (path, verdict, status, says) in &cases {
        let delivery = sender.deliver(&post_to(&format!("{base}/{path}"))).await;
        assert_eq!((delivery.result, delivery.status), (*verdict, *status), "{path}");
        assert_eq!(delivery.text, *says, "{path}");
    }
    assert_eq!(received.requests().len(), cases.len(), "no redirect was followed");
}

#[tokio::test]
async fn the_request_has_the_given_headers_and_body() {
    let (received, base) = server().await;
    let sent = post_to(&format!("{base}/200?a=b&c=%20"));
    assert_eq!(loopback_sender(LONG_TIMEOUT).deliver(&sent).await.result, DeliveryResult::Accepted);
    let request = received.requests().remove(0);
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
async fn the_printable_start_of_a_body_is_kept() {
    let (_, base) = server().await;
    let sender = loopback_sender(LONG_TIMEOUT);
    let delivery = sender.deliver(&post_to(&format!("{base}/control-characters"))).await;
    assert_eq!(delivery.result, DeliveryResult::Accepted);
    assert_eq!(delivery.text.len(), 256);
    assert!(delivery.text.starts_with("a[31m bca[31m bc"), "{}", delivery.text);

    let delivery = sender.deliver(&post_to(&format!("{base}/endless"))).await;
    assert_eq!((delivery.result, delivery.text), (DeliveryResult::Accepted, "x".repeat(256)));
}

#[tokio::test]
async fn no_response_is_a_failed_delivery() {
    let (_, base) = server().await;
    let closed_port = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let sender = loopback_sender(Duration::from_secs(1));
    for (url, says) in [
        (format!("{base}/no-response"), "no answer in time"),
        (format!("{base}/disconnect"), "no answer: connection closed before message completed"),
        (format!("{base}/garbage"), "no answer: invalid HTTP version parsed"),
        (format!("http://{closed_port}/"), "no connection: Connection refused (os error 111)"),
    ] {
        let delivery = sender.deliver(&post_to(&url)).await;
        assert_eq!((delivery.result, delivery.status), (DeliveryResult::Failed, None), "{url}");
        assert_eq!(delivery.text, says, "{url}");
    }
}

#[tokio::test]
async fn connections_are_reused_for_a_minute() {
    let (received, base) = server().await;
    let clock = clock();
    let settings =
        WebhookSenderSettings { allow_loopback: true, ..WebhookSenderSettings::new(clock.clone()) };
    let sender = HttpsWebhookSender::open(settings).unwrap();
    let sent = post_to(&format!("{base}/200"));
    for _ in 0..10 {
        assert_eq!(sender.deliver(&sent).await.result, DeliveryResult::Accepted);
    }
    assert_eq!(received.connections(), 1);
    clock.advance(Duration::from_secs(60));
    for _ in 0..10 {
        assert_eq!(sender.deliver(&sent).await.result, DeliveryResult::Accepted);
    }
    assert_eq!(received.connections(), 2, "the host was looked up again");
}

#[tokio::test]
async fn one_address_that_is_not_public_blocks_them_all() {
    let ips = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<IpAddr>>();
    let addresses = HashMap::from([
        ("private.example", ips(&["10.0.0.1"])),
        ("first.example", ips(&["127.0.0.1", "93.184.215.14"])),
        ("last.example", ips(&["93.184.215.14", "2606:4700::1", "::ffff:192.168.1.1"])),
        ("family.example", ips(&["93.184.215.14", "fd00::1"])),
        ("ours.example", ips(&["93.184.215.200"])),
        ("ours6.example", ips(&["::ffff:93.184.215.200"])),
        ("empty.example", Vec::new()),
    ]);
    let lookup = FakeLookup { addresses, ..FakeLookup::default() };
    let lookups = Arc::clone(&lookup.lookups);
    let sender = HttpsWebhookSender::open(WebhookSenderSettings {
        // Allows loopback literals and localhost, but no other name with a loopback address.
        allow_loopback: true,
        denied_networks: vec!["93.184.215.192/26".parse().unwrap()],
        lookup: Arc::new(lookup),
        ..WebhookSenderSettings::new(clock())
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
        let before = lookups.load(Ordering::SeqCst);
        let delivery = sender.deliver(&post_to(url)).await;
        assert_eq!((delivery.result, delivery.status), (verdict, None), "{url}");
        assert_eq!(delivery.text, says, "{url}");
        assert_eq!(lookups.load(Ordering::SeqCst) - before, 1, "{url}: one look-up");
    }
}

#[tokio::test]
async fn a_url_that_is_not_allowed_is_not_looked_up() {
    let lookup = FakeLookup::default();
    let lookups = Arc::clone(&lookup.lookups);
    let settings =
        WebhookSenderSettings { lookup: Arc::new(lookup), ..WebhookSenderSettings::new(clock()) };
    let sender = HttpsWebhookSender::open(settings).unwrap();
    for url in
        ["http://localhost/", "http://127.0.0.1/", "https://[::1]/", "https://xn--a.example/"]
    {
        let delivery = sender.deliver(&post_to(url)).await;
        assert_eq!((delivery.result, delivery.status), (DeliveryResult::Blocked, None), "{url}");
    }
    let live = WebhookPost { environment: Environment::Live, ..post_to("http://hooks.example/") };
    let delivery = sender.deliver(&live).await;
    assert_eq!(delivery.result, DeliveryResult::Blocked);
    assert_eq!(delivery.text, "the address must begin with https:// in live mode.");
    assert_eq!(lookups.load(Ordering::SeqCst), 0);
}

/// Texts that look like URLs; many of them are malformed.
fn url_like_text() -> impl Strategy<Value = String> {
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

    /// Our URL parser and the HTTP library's never find a different host or port.
    #[test]
    fn the_checked_address_is_the_one_that_is_called(text in url_like_text()) {
        let sender = loopback_sender(LONG_TIMEOUT);
        let sent = post_to(&text);
        let allowed = AddressPolicy { environment: sent.environment, allow_loopback: true };
        if let Ok(address) = WebhookAddress::parse(&text, allowed) {
            let is_odd_name = address.host().split('.').any(|l| l.starts_with("xn--"));
            match sender.url(&sent) {
                Ok(url) => prop_assert_eq!(url.port_or_known_default(), Some(address.port())),
                Err(reason) => prop_assert!(is_odd_name, "{}: {}", text, reason),
            }
        }
    }
}

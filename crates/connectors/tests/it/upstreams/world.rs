//! A server that misbehaves as a test wants, and settings and orders for connectors.

use connectors::upstream::simulator::wire::{SimulatedCall, SimulatedReply, SimulatedService};
use connectors::upstream::{Maps, Secret, UpstreamSettings, open};
use domain::{
    AttemptRef, Clock, Currency, Details, Environment, Exchange, Kind, Listener, Money, NoRandom,
    Order, PurchaseNumber, Random, ServiceType, StatusUpdate, Timestamp, Upstream, UpstreamCode,
};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

struct Still;

impl Clock for Still {
    fn now(&self) -> Timestamp {
        Timestamp(1_776_985_740_000_000)
    }

    fn monotonic(&self) -> Duration {
        Duration::from_secs(1000)
    }
}

impl Random for Still {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandom> {
        bytes.fill(0);
        Ok(())
    }
}

impl Listener for Still {
    fn on_exchange(&self, _exchange: Exchange) {}

    fn on_update(&self, _: StatusUpdate) {}
}

/// Settings with all secrets and map entries that any kind needs.
pub fn settings(url: &str) -> UpstreamSettings {
    let secrets = ["open_key", "secret_key", "client_id", "client_secret", "username", "password"];
    let secret = |name: &str| (name.to_owned(), Secret::new(&format!("{name}-0123456789")));
    UpstreamSettings {
        code: UpstreamCode::new("upstream-x"),
        environment: Environment::Live,
        url: url.to_owned(),
        hosts: Vec::new(),
        secrets: secrets.map(secret).into(),
        file: String::new(),
        maps: Maps {
            operators: BTreeMap::from([("GP".to_owned(), "1".to_owned())]),
            ..Maps::default()
        },
        allow_loopback: true,
        denied_networks: Vec::new(),
        extra_ca_pem: None,
        time_divisor: 1,
        clock: Arc::new(Still),
        random: Arc::new(Still),
        listener: Arc::new(Still),
    }
}

/// A connector of this kind to a server on this machine.
pub fn connector(kind: &str, url: &str, file: &str) -> Arc<dyn Upstream> {
    open(kind, UpstreamSettings { file: file.to_owned(), ..settings(url) }).unwrap()
}

/// 0.50 USD to a number in Bangladesh: a currency in which every kind repeats the amount.
pub fn order(number: u32) -> Order {
    Order {
        attempt: AttemptRef { purchase: PurchaseNumber(1042), number },
        started_at: Still.now(),
        environment: Environment::Live,
        operator: "GP".to_owned(),
        product: None,
        kind: Kind::Recharge,
        recipient: "01712345678".to_owned(),
        amount: Money::new(50, Currency::USD),
        service_type: ServiceType::Prepaid,
        details: Details::new(),
        reference: "R1".to_owned(),
        country: Some("BD".to_owned()),
        international: Some("+8801712345678".to_owned()),
        upstream_reference: None,
        is_acknowledged: false,
    }
}

/// What a server does with a request.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Answers with a status and a body.
    With(u16, String),
    /// Answers with these bytes, as they are, and closes.
    Raw(Vec<u8>),
    /// Closes without an answer.
    Close,
    /// Never answers.
    Silence,
    /// A byte of a body every so often, without an end.
    Trickle,
    /// A body of ten million bytes.
    Huge,
}

/// A server on this machine. It answers a request by the first rule whose text is in the request
/// line, and counts the requests per rule.
pub struct Server {
    pub url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

/// A text of the request line, and the replies to one request after another; the last one stays.
pub type Rule = (&'static str, Vec<Reply>);

impl Server {
    pub async fn start(rules: Vec<Rule>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (rules, log) = (Arc::new(Mutex::new(rules)), seen.clone());
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, rules.clone(), log.clone()));
            }
        });
        Server { url, seen }
    }

    /// A simulated service on this machine.
    pub async fn simulated(service: Box<dyn SimulatedService>) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let log = seen.clone();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let Some(request) = read_request(&mut stream).await else { continue };
                let reply = match service.answer(&call(&request)) {
                    SimulatedReply::Answer { status, body } => Reply::With(status, body),
                    SimulatedReply::Nothing => Reply::Close,
                };
                log.lock().unwrap().push(request);
                let _ = send(&mut stream, reply).await;
            }
        });
        Server { url, seen }
    }

    /// The requests that had this text in their first line.
    pub fn requests(&self, text: &str) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        let first = |request: &&String| request.lines().next().unwrap_or("").contains(text);
        seen.iter().filter(first).cloned().collect()
    }
}

fn call(request: &str) -> SimulatedCall {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let mut first = lines.next().unwrap().split(' ');
    let (method, target) = (first.next().unwrap(), first.next().unwrap());
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let header = |line: &str| {
        let (name, value) = line.split_once(':').unwrap();
        (name.to_lowercase(), value.trim().to_owned())
    };
    SimulatedCall {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: lines.map(header).collect(),
        body: body.as_bytes().to_vec(),
    }
}

async fn serve(mut stream: TcpStream, rules: Arc<Mutex<Vec<Rule>>>, log: Arc<Mutex<Vec<String>>>) {
    let Some(request) = read_request(&mut stream).await else { return };
    let line = request.lines().next().unwrap_or("").to_owned();
    log.lock().unwrap().push(request);
    let reply = {
        let mut rules = rules.lock().unwrap();
        let rule = rules.iter_mut().find(|(text, _)| line.contains(text));
        let (_, replies) = rule.unwrap_or_else(|| panic!("no rule for {line}"));
        if replies.len() > 1 { replies.remove(0) } else { replies[0].clone() }
    };
    // Whatever the client does with the connection meanwhile is its own affair.
    let _ = send(&mut stream, reply).await;
}

async fn send(stream: &mut TcpStream, reply: Reply) -> std::io::Result<()> {
    let head = |length: usize| format!("content-length: {length}\r\nconnection: close\r\n\r\n");
    match reply {
        Reply::With(status, body) => {
            let text = format!("HTTP/1.1 {status} X\r\n{}{body}", head(body.len()));
            stream.write_all(text.as_bytes()).await
        }
        Reply::Raw(bytes) => stream.write_all(&bytes).await,
        Reply::Close => Ok(()),
        Reply::Silence => {
            tokio::time::sleep(Duration::from_secs(60)).await;
            Ok(())
        }
        Reply::Trickle => {
            stream.write_all(format!("HTTP/1.1 200 X\r\n{}", head(1000)).as_bytes()).await?;
            for _ in 0..1000 {
                stream.write_all(b"{").await?;
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            Ok(())
        }
        Reply::Huge => {
            stream.write_all(format!("HTTP/1.1 200 X\r\n{}", head(10_000_000)).as_bytes()).await?;
            stream.write_all(&vec![b' '; 10_000_000]).await
        }
    }
}

/// Head and body; none if the client closed before its end.
async fn read_request(stream: &mut TcpStream) -> Option<String> {
    let mut bytes = Vec::new();
    loop {
        let mut chunk = [0; 4096];
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return None,
            Ok(read) => bytes.extend_from_slice(&chunk[..read]),
        }
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            let is_length = name.eq_ignore_ascii_case("content-length");
            is_length.then(|| value.trim().parse::<usize>().ok())?
        });
        if body.len() >= length.unwrap_or(0) {
            return Some(text);
        }
    }
}

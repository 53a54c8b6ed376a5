//! Two nodes on one PostgreSQL: killed and frozen under load, rate limits that span both, changes
//! that one announces to the other.
//!
//! Both are demos with the same master key on one machine; their simulators share a file and are
//! one upstream.

use super::oracle::RICH;
use crate::http_client::{Connection, Lost};
use crate::postgres::Database;
use crate::support::{
    Client, Folder, Keys, RECHARGE, Rng, STATUS, Server, Simulated, UNLIMITED, note, recharge,
};
use connectors::upstream::simulator::read_truth;
use http::{HeaderMap, HeaderValue, Method, Request, header};
use http_body_util::Full;
use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// Two nodes of one demo.
struct TwoNodes {
    folders: [Folder; 2],
    flags: Vec<String>,
    database: Database,
}

impl TwoNodes {
    fn new(flags: &[&str]) -> TwoNodes {
        let database = Database::empty();
        let nodes = TwoNodes {
            folders: [0, 1].map(|_| Folder::at(&database.url())),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
            database,
        };
        let truth = nodes.folders[0].path("truth.jsonl");
        let config = format!("simulator_file = {:?}\n", truth.to_str().unwrap());
        for folder in &nodes.folders {
            fs::write(folder.path("saldo.toml"), &config).unwrap();
        }
        nodes
    }

    fn start(&self, node: usize) -> Server {
        let folder = &self.folders[node];
        if node == 1 && !folder.data_dir().exists() {
            // A second node of the installation has the same keys.
            fs::create_dir(folder.data_dir()).unwrap();
            for file in ["master.key", "demo-credentials.json"] {
                fs::copy(self.folders[0].data_dir().join(file), folder.data_dir().join(file))
                    .unwrap();
            }
        }
        let config = folder.path("saldo.toml");
        let ours = ["--config", config.to_str().unwrap()];
        let flags: Vec<&str> = self.flags.iter().map(String::as_str).chain(ours).collect();
        folder.start_with(&flags)
    }

    fn verify(&self) {
        self.folders[0].verify();
    }

    /// The one number in the result of this query.
    fn count(&self, query: &str) -> i64 {
        self.database.sql(query)[0].parse().unwrap()
    }
}

/// Sends a signal: STOP freezes a process, CONT continues it.
fn signal(server: &Server, signal: &str) {
    let sent = Command::new("kill").args([signal, &server.pid().to_string()]).status().unwrap();
    assert!(sent.success());
}

/// One of two nodes is a week ahead: it calls, and rejects nothing; then its clock is put right.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_a_week_ahead_changes_nothing_for_the_others() {
    let nodes = TwoNodes::new(&["--requests-per-minute", "60"]);
    let one = nodes.start(0);
    nodes.folders[1].shift_clock(7 * 24 * 3600);
    let ahead = nodes.start(1);
    let (mut right, mut wrong) = (one.sandbox().await, ahead.sandbox().await);
    let bought = wrong.post(RECHARGE, recharge("01712345105", 10, "R-105")).await.json();
    assert_eq!(bought["billing"]["status"], "pending", "{bought}");
    sleep(Duration::from_secs(3)).await;
    nodes.folders[1].shift_clock(0);
    for _ in 0..5 {
        assert_eq!(right.status("R-105").await["status"], "pending");
    }
    let at = "SELECT max(abs(at - extract(epoch FROM now()) * 1000000))::int8 FROM journals";
    assert!(nodes.count(at) < 60_000_000, "a journal is filed {} µs off", nodes.count(at));
    ahead.stop();
    one.stop();
    nodes.verify();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_nodes_purchases_are_settled_by_the_other_within_fifteen_seconds() {
    let nodes = TwoNodes::new(&UNLIMITED);
    let (one, other) = (nodes.start(0), nodes.start(1));
    // A node declares another one dead only after it has watched it for a lease period.
    sleep(Duration::from_secs(9)).await;
    let mut client = one.sandbox().await;
    let doubt = client.post(RECHARGE, recharge("01712345106", 10, "R-106")).await.json();
    assert_eq!(doubt["billing"]["status"], "processing", "{doubt}");
    one.kill();
    let killed = Instant::now();
    let mut client = other.sandbox().await;
    client.becomes("R-106", "success", Duration::from_secs(15)).await;
    note(&format!("taken over {:?} after the kill", killed.elapsed()));
    other.stop();
    nodes.verify();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_on_one_node_applies_on_the_other_within_a_second() {
    let nodes = TwoNodes::new(&UNLIMITED);
    let (one, other) = (nodes.start(0), nodes.start(1));
    let mut client = other.sandbox().await;
    let open_key = &one.credentials.merchant.sandbox.open_key;
    assert_eq!(client.get(&format!("{STATUS}?reference=none")).await.status(), 404);
    let url = nodes.database.url();
    nodes.folders[0].saldo_ok(&["key", "revoke", open_key, "--database-url", &url]);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(client.get(&format!("{STATUS}?reference=none")).await.status(), 401);
    one.stop();
    other.stop();
}

/// Each node reads what the other has set up: an upstream, its route, and a change of the route.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upstream_and_a_route_that_one_node_sets_are_used_by_the_other() {
    let nodes = TwoNodes::new(&[&UNLIMITED[..], &["--connectors-to-loopback"]].concat());
    let (one, other) = (nodes.start(0), nodes.start(1));
    let folder = &nodes.folders[0];
    let truth = folder.path("irecharge.truth");
    let simulated = Simulated::start(&["irecharge", "--truth", truth.to_str().unwrap()]);
    let url = nodes.database.url();
    let verb = |arguments: &[&str]| {
        folder.saldo_ok(&[arguments, &["--database-url", &url]].concat());
    };
    let key = |name: &str, key: &str| {
        fs::write(folder.path(name), key).unwrap();
        format!("{name}=@{}", folder.path(name).display())
    };
    let secrets = [key("open_key", "ok_live_1"), key("secret_key", "sk_live_1")];
    let at = format!("http://{}", simulated.address);
    let add = ["upstream", "add", "--code", "far", "--kind", "irecharge", "--url", &at];
    let with = ["--environment", "live", "--secret", &secrets[0], "--secret", &secrets[1]];
    verb(&[&add[..], &with].concat());
    let route = ["route", "set", "--environment", "live", "--kind", "recharge", "--upstreams"];
    let mut clients = [one.live().await, other.live().await];
    for (round, code) in ["far", "simulator-b", "far"].into_iter().enumerate() {
        verb(&[&route[..], &[code]].concat());
        let set = Instant::now();
        for (node, client) in clients.iter_mut().enumerate().rev() {
            let mut tries = 0;
            loop {
                tries += 1;
                let asked = set.elapsed();
                let reference = format!("U-{round}-{node}-{tries}");
                let number = format!("0171{round}{node}{tries:02}678");
                let bought = client.post(RECHARGE, recharge(&number, 10, &reference)).await.json();
                assert_eq!(bought["billing"]["status"], "success", "{bought}");
                let id = bought["billing"]["transactionId"].to_string();
                let shown = folder.saldo_json(&["purchase", "show", &id, "--json"]).remove(0);
                if shown["tries"][0]["upstream"] == code {
                    break;
                }
                // The node that set it uses it at once; the other one is told.
                assert!(node == 1 && asked < Duration::from_secs(1), "{code}: {shown}");
            }
        }
    }
    let sold = read_truth(&truth).unwrap();
    assert!(sold.len() >= 4, "{sold:?}");
    one.stop();
    other.stop();
    nodes.verify();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_rate_limit_of_a_minute_spans_both_nodes() {
    const LIMIT: usize = 600;
    let nodes = TwoNodes::new(&["--requests-per-minute", "600"]);
    let servers = [nodes.start(0), nodes.start(1)];
    let keys = servers[0].credentials.merchant.live.clone();
    let passed = Arc::new(AtomicUsize::new(0));
    let mut callers = JoinSet::new();
    for n in 0..32 {
        let mut client = Client::open(&servers[n % 2].address, &keys).await;
        let passed = passed.clone();
        callers.spawn(async move {
            for _ in 0..10 * LIMIT / 32 {
                let reply = client.get(&format!("{STATUS}?reference=none")).await;
                match reply.status() {
                    404 => _ = passed.fetch_add(1, Ordering::Relaxed),
                    429 => {
                        let wait: u64 = reply.header("retry-after").unwrap().parse().unwrap();
                        assert!((1..=60).contains(&wait), "{reply:?}");
                    }
                    other => panic!("{other}: {reply:?}"),
                }
            }
        });
    }
    let began = Instant::now();
    while let Some(done) = callers.join_next().await {
        done.unwrap();
    }
    assert!(
        began.elapsed() < Duration::from_secs(55),
        "too slow for a result: {:?}",
        began.elapsed()
    );
    let passed = passed.load(Ordering::Relaxed);
    note(&format!("{passed} of {LIMIT} passed, of {} that came", 10 * LIMIT));
    assert!(passed * 10 >= LIMIT * 9 && passed * 10 <= LIMIT * 11, "{passed}");
    servers.into_iter().for_each(Server::stop);
}

const CLIENTS: usize = 64;
const REFERENCES: usize = 1_000;
/// After this time a client sends the same request to another node.
const ANSWER_WITHIN: Duration = Duration::from_secs(6);

/// The current addresses of the two nodes; a restarted node listens on a new port.
type Addresses = Arc<RwLock<[String; 2]>>;

/// How many clients received each status, by reference.
type Answers = HashMap<usize, BTreeMap<u16, usize>>;

/// A client that sends each reference until it is answered.
struct RetryingClient {
    addresses: Addresses,
    headers: HeaderMap,
    connection: Option<(usize, Connection)>,
    rng: Rng,
}

impl RetryingClient {
    fn new(addresses: &Addresses, keys: &Keys, rng: Rng) -> RetryingClient {
        let mut headers = HeaderMap::new();
        let value = |text: &str| HeaderValue::from_str(text).unwrap();
        headers.insert("x-open-key", value(&keys.open_key));
        headers.insert("x-authorization", value(&keys.secret_key));
        headers.insert(header::CONTENT_TYPE, value("application/json"));
        RetryingClient { addresses: addresses.clone(), headers, connection: None, rng }
    }

    /// The final answer's status, and the failures before it.
    async fn buy(&mut self, body: &str) -> (u16, Vec<String>) {
        let mut failures = Vec::new();
        loop {
            match timeout(ANSWER_WITHIN, self.try_to_buy(body)).await {
                Ok(Ok((503, _))) => failures.push("503".to_owned()),
                Ok(Ok((status, text))) => {
                    assert!(matches!(status, 200 | 422), "{status} {text}: {body}");
                    return (status, failures);
                }
                Ok(Err(_)) => failures.push("lost".to_owned()),
                Err(_) => failures.push("late".to_owned()),
            }
            self.connection = None;
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn try_to_buy(&mut self, body: &str) -> Result<(u16, String), Lost> {
        if self.connection.is_none() {
            let node = self.rng.below(2);
            let address = self.addresses.read().unwrap()[node].clone();
            self.connection = Some((node, Connection::open(&address).await?));
        }
        let (_, connection) = self.connection.as_mut().unwrap();
        let mut request = Request::new(Full::new(body.to_owned().into()));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = RECHARGE.parse().unwrap();
        *request.headers_mut() = self.headers.clone();
        let answer = connection.send(request).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        if answer.status == 503 {
            assert!(answer.headers.contains_key("retry-after"), "{answer:?}");
        } else {
            assert!(!answer.status.is_server_error(), "{answer:?}");
        }
        if answer.status == 422 {
            assert!(text.contains("DUPLICATE_REFERENCE"), "{text}");
        }
        Ok((answer.status.as_u16(), text))
    }
}

/// Rig R5 and R10b: a reference is one purchase, one hold and one delivery, also when nodes fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reference_is_charged_once_whichever_node_dies_or_freezes() {
    let mut rng = Rng::new("nodes");
    let nodes = TwoNodes::new(&[UNLIMITED, RICH].concat());
    let (mut one, other) = (nodes.start(0), nodes.start(1));
    let keys = one.credentials.merchant.sandbox.clone();
    let addresses: Addresses = Arc::new(RwLock::new([one.address.clone(), other.address.clone()]));
    let sent = Arc::new(AtomicUsize::new(0));
    let answers: Arc<Mutex<Answers>> = Arc::default();
    let mut clients = JoinSet::new();
    for client in 0..CLIENTS {
        let mut buyer = RetryingClient::new(&addresses, &keys, rng.fork());
        let (sent, answers) = (sent.clone(), answers.clone());
        clients.spawn(async move {
            let mut failures: BTreeMap<String, usize> = BTreeMap::new();
            for n in 0..REFERENCES {
                // Many send the same reference at about the same time.
                let n = (n + client % 8) % REFERENCES;
                let end = ["101", "101", "101", "106", "103", "102", "107", "110"][n % 8];
                let body = recharge(&format!("0171{n:04}{end}"), 10, &format!("N-{n}"));
                let (status, failed) = buyer.buy(&body).await;
                for failure in failed {
                    *failures.entry(failure).or_default() += 1;
                }
                *answers.lock().unwrap().entry(n).or_default().entry(status).or_default() += 1;
                sent.fetch_add(1, Ordering::Relaxed);
            }
            failures
        });
    }
    let all = CLIENTS * REFERENCES;
    let reaches = |part: usize| {
        let sent = sent.clone();
        async move {
            while sent.load(Ordering::Relaxed) < all * part / 10 {
                sleep(Duration::from_millis(10)).await;
            }
        }
    };
    reaches(2).await;
    one.kill();
    one = nodes.start(0);
    addresses.write().unwrap()[0].clone_from(&one.address);
    reaches(5).await;
    // Longer than its lease: the other node declares it dead, and it continues unaware of that.
    signal(&other, "-STOP");
    sleep(Duration::from_secs(15)).await;
    signal(&other, "-CONT");
    let mut failures: BTreeMap<String, usize> = BTreeMap::new();
    while let Some(failed) = clients.join_next().await {
        for (failure, n) in failed.unwrap() {
            *failures.entry(failure).or_default() += n;
        }
    }
    note(&format!("{all} sent; failures: {failures:?}"));
    assert!(
        other.log().contains("joins under a new run"),
        "it was not declared dead: {}",
        other.log()
    );

    none_stays_in_doubt(&nodes).await;
    each_is_one(&nodes, &answers.lock().unwrap());
    one.stop();
    other.stop();
    nodes.verify();
}

/// Waits until no doubt is left.
async fn none_stays_in_doubt(nodes: &TwoNodes) {
    let unsettled = "SELECT count(*) FROM purchases WHERE state IN ('held', 'sent', 'in_doubt')";
    let began = Instant::now();
    while nodes.count(unsettled) > 0 {
        assert!(began.elapsed() < Duration::from_secs(90), "purchases stay in doubt");
        sleep(Duration::from_millis(500)).await;
    }
    note(&format!("no doubt is left after {:?}", began.elapsed()));
}

/// Each reference has one purchase, one hold and at most one delivery, and at most one client was
/// answered with 200.
fn each_is_one(nodes: &TwoNodes, answers: &Answers) {
    let many = i64::try_from(REFERENCES).unwrap();
    let of = "FROM purchases WHERE reference LIKE 'N-%'";
    assert_eq!(nodes.count(&format!("SELECT count(*) {of}")), many);
    assert_eq!(nodes.count(&format!("SELECT count(DISTINCT reference) {of}")), many);
    assert_eq!(nodes.count("SELECT count(*) FROM journals WHERE reason = 'hold'"), many);
    assert_eq!(nodes.count("SELECT count(*) FROM cases"), 0);
    for (reference, statuses) in answers {
        // The answer 200 may have been lost by the kill; no other client received it.
        assert!(statuses.get(&200).is_none_or(|n| *n == 1), "N-{reference}: {statuses:?}");
        assert_eq!(statuses.values().sum::<usize>(), CLIENTS, "N-{reference}: {statuses:?}");
    }
    let truth = read_truth(&nodes.folders[0].path("truth.jsonl")).unwrap();
    let mut credited: HashMap<i64, usize> = HashMap::new();
    for record in truth.iter().filter(|record| record.credited) {
        assert_eq!(record.repeats, 0, "{record:?}");
        *credited.entry(record.attempt.purchase.0).or_default() += 1;
    }
    assert!(credited.values().all(|n| *n == 1), "delivered twice");
    let delivered = nodes.count("SELECT count(*) FROM purchases WHERE state = 'delivered'");
    assert_eq!(i64::try_from(credited.len()).unwrap(), delivered);
}

//! A folder, a server, a client: what every test needs.
//!
//! Invariant: a server never outlives its test, and a test fails if its server panicked or
//! answered a 5xx, whatever else it looks at.

use crate::file;
use crate::http_client::{Answer, Connection, Lost};
use crate::postgres::{self, Database};
use bytes::Bytes;
use connectors::upstream::simulator::{Record, read_truth};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request};
use http_body_util::Full;
use serde::Deserialize;
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;
use tempfile::TempDir;
use tokio::time::Instant;

/// The normal recharge.
pub const RECHARGE: &str = "/api/billing/service-requests/recharge/normal";
/// An offer's purchase.
pub const OFFER: &str = "/api/billing/recharge/offers/purchase";
/// Mobile banking.
pub const BANKING: &str = "/api/billing/service-requests/banking";
/// What became of a purchase.
pub const STATUS: &str = "/api/billing/transactions/status/check";
/// The wallet.
pub const BALANCE: &str = "/api/billing/wallet/balance";
/// Lifts the rate limit out of a test's way.
pub const UNLIMITED: [&str; 2] = ["--requests-per-minute", "100000000"];

const START_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(40);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// One installation: a data folder, its credentials file, its log, and, where
/// `SALDO_TEST_DATABASE=postgresql` asks for it, a database that holds the books instead.
pub struct Folder {
    temp: TempDir,
    /// Where the books are, if not in the folder.
    url: Option<String>,
    database: Option<Database>,
}

impl Folder {
    pub fn new() -> Folder {
        match postgres::is_chosen() {
            true => Folder::on(Database::new()),
            false => Folder { temp: TempDir::new().unwrap(), url: None, database: None },
        }
    }

    /// With its books in this database, whatever was asked for.
    pub fn on(database: Database) -> Folder {
        let url = Some(database.url());
        Folder { temp: TempDir::new().unwrap(), url, database: Some(database) }
    }

    /// With its books where this address leads.
    pub fn at(url: &str) -> Folder {
        Folder { temp: TempDir::new().unwrap(), url: Some(url.to_owned()), database: None }
    }

    /// The binary, which finds this installation's books.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_saldo"));
        if let Some(url) = &self.url {
            command.env("SALDO_DATABASE_URL", url);
        }
        command
    }

    /// Runs statements past Saldo; the rows of the last, first columns as text.
    pub fn sql(&self, statements: &str) -> Vec<String> {
        self.try_sql(statements).unwrap_or_else(|error| panic!("{error}: {statements}"))
    }

    pub fn try_sql(&self, statements: &str) -> Result<Vec<String>, String> {
        match &self.database {
            None => file::run(&self.data_dir().join("saldo.db"), statements),
            Some(database) => database.try_sql(statements),
        }
    }

    /// What the database in use calls something.
    pub fn called<'a>(&self, in_sqlite: &'a str, in_postgresql: &'a str) -> &'a str {
        if self.database.is_some() { in_postgresql } else { in_sqlite }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    pub fn data_dir(&self) -> PathBuf {
        self.path("data")
    }

    /// Starts the demo with its rate limit out of the way.
    pub fn start(&self) -> Server {
        self.start_with(&UNLIMITED)
    }

    /// Starts the demo with further flags and waits until it listens.
    pub fn start_with(&self, flags: &[&str]) -> Server {
        self.spawn(flags).listening()
    }

    /// Starts the demo and does not wait.
    pub fn spawn(&self, flags: &[&str]) -> Starting {
        let credentials_file = self.path("credentials.json");
        let _ = fs::remove_file(&credentials_file);
        let file_flags = ["--credentials-file", credentials_file.to_str().unwrap()];
        let running = self.run("demo", &[&file_flags[..], flags].concat());
        Starting { running, credentials_file }
    }

    /// Starts `serve` and waits until it listens; it hands out no credentials.
    pub fn serve(&self) -> Running {
        let running = self.run("serve", &[]);
        let greeted = |running: &Running| running.log().contains("Saldo serves").then_some(());
        running.waits_until(greeted).0
    }

    /// Starts `serve` and waits until it listens or ends; none if it refuses the folder.
    pub fn try_serve(&self) -> Option<Running> {
        let mut running = self.run("serve", &[]);
        while !running.log().contains("Saldo serves") {
            if running.process.0.try_wait().unwrap().is_some() {
                return None;
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Some(running)
    }

    /// Starts a verb that serves this folder, on a free port.
    fn run(&self, verb: &str, flags: &[&str]) -> Running {
        let log = self.path("server.log");
        let log_from = fs::metadata(&log).map_or(0, |file| usize::try_from(file.len()).unwrap());
        let child = self
            .command()
            .args([verb, "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(self.data_dir())
            .args(flags)
            // All clients of a test come from one address.
            .env("SALDO_CONNECTIONS_PER_ADDRESS", "1000")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(OpenOptions::new().create(true).append(true).open(&log).unwrap())
            .spawn()
            .unwrap();
        Running { process: Process(child), log, log_from }
    }

    /// Runs a verb on this data folder, whether its server runs or not.
    pub fn saldo(&self, arguments: &[&str]) -> Output {
        self.saldo_in(&self.data_dir(), arguments)
    }

    /// Runs a verb on another data folder with this one's books.
    pub fn saldo_in(&self, data_dir: &Path, arguments: &[&str]) -> Output {
        let mut command = self.command();
        command.args(arguments).arg("--data-dir").arg(data_dir).stdin(Stdio::null());
        command.output().unwrap()
    }

    /// Runs a verb that must succeed and gives its JSON lines.
    pub fn saldo_json(&self, arguments: &[&str]) -> Vec<Value> {
        let output = self.saldo(arguments);
        assert!(output.status.success(), "saldo {arguments:?}: {}", words(&output));
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// Audits the books of the stopped server.
    pub fn verify(&self) {
        let output = self.saldo(&["verify"]);
        assert_eq!(output.status.code(), Some(0), "saldo verify: {}", words(&output));
    }

    /// What the simulator took, in the order of its taking.
    pub fn truth(&self) -> Vec<Record> {
        let file = self.data_dir().join("simulator-truth.jsonl");
        if file.exists() { read_truth(&file).unwrap() } else { Vec::new() }
    }

    /// The credentials file as it stands.
    pub fn credentials(&self) -> Credentials {
        let text = fs::read_to_string(self.path("credentials.json")).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }
}

impl Drop for Folder {
    /// A test that is to run on PostgreSQL ran there.
    fn drop(&mut self) {
        let is_elsewhere = self.url.is_some() && self.data_dir().join("saldo.db").exists();
        assert!(!is_elsewhere || std::thread::panicking(), "something went into SQLite");
    }
}

/// Runs the binary to its end.
pub fn saldo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_saldo")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// What a verb said, for messages.
pub fn words(output: &Output) -> String {
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}\n{stdout}\n{stderr}", output.status)
}

/// A child process that does not outlive its test.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that serves a folder, and what it says.
pub struct Running {
    process: Process,
    log: PathBuf,
    /// Where in the file this process's own words begin.
    log_from: usize,
}

impl Running {
    /// Asks it to stop (SIGTERM) and does not wait.
    pub fn ask_to_stop(&self) {
        // `kill` is built into every shell; the standard library knows SIGKILL only.
        let kill = format!("kill -TERM {}", self.process.0.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for the end of a server that was asked to stop.
    pub fn ended(mut self) -> ExitStatus {
        let asked = Instant::now();
        loop {
            if let Some(status) = self.process.0.try_wait().unwrap() {
                self.assert_calm();
                return status;
            }
            assert!(asked.elapsed() < STOP_WITHIN, "the server does not stop: {}", self.log());
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Stops it in an orderly way.
    pub fn stop(self) {
        self.ask_to_stop();
        let status = self.ended();
        assert_eq!(status.code(), Some(0), "an orderly stop ends with 0");
    }

    /// SIGKILL, and its end.
    pub fn kill(self) {
        self.assert_calm();
        drop(self.process);
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(self.log_from..).unwrap_or_default()).into_owned()
    }

    fn assert_calm(&self) {
        assert!(!self.log().contains("panicked"), "the server panicked: {}", self.log());
    }

    /// Waits for a sign that it listens; panics if it ends or takes too long.
    fn waits_until<T>(mut self, sign: impl Fn(&Running) -> Option<T>) -> (Running, T) {
        let started = Instant::now();
        loop {
            if let Some(seen) = sign(&self) {
                return (self, seen);
            }
            let ended = self.process.0.try_wait().unwrap();
            assert!(
                ended.is_none() && started.elapsed() < START_WITHIN,
                "the server does not start ({ended:?}): {}",
                self.log()
            );
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// A server that may not listen yet.
pub struct Starting {
    running: Running,
    credentials_file: PathBuf,
}

impl Starting {
    /// Waits for the credentials file, which is written when the server listens.
    pub fn listening(self) -> Server {
        let file = self.credentials_file;
        let (running, text) = self.running.waits_until(|_| fs::read_to_string(&file).ok());
        let credentials: Credentials =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let address = credentials.base_url.trim_start_matches("http://").to_owned();
        Server { running, address, credentials }
    }

    /// SIGKILL, wherever it has got to.
    pub fn kill(self) {
        self.running.kill();
    }
}

/// A demo that listens.
pub struct Server {
    running: Running,
    pub address: String,
    pub credentials: Credentials,
}

impl Server {
    pub fn base_url(&self) -> &str {
        &self.credentials.base_url
    }

    /// A connection with the merchant's sandbox keys.
    pub async fn sandbox(&self) -> Client {
        Client::open(&self.address, &self.credentials.merchant.sandbox).await
    }

    /// A connection with the merchant's live keys.
    pub async fn live(&self) -> Client {
        Client::open(&self.address, &self.credentials.merchant.live).await
    }

    /// Asks it to stop (SIGTERM) and does not wait.
    pub fn ask_to_stop(&self) {
        self.running.ask_to_stop();
    }

    /// Waits for the end of a server that was asked to stop.
    pub fn ended(self) -> ExitStatus {
        self.running.ended()
    }

    /// Stops it in an orderly way.
    pub fn stop(self) {
        self.running.stop();
    }

    /// SIGKILL, and its end.
    pub fn kill(self) {
        self.running.kill();
    }

    /// What it logged so far.
    pub fn log(&self) -> String {
        self.running.log()
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.running.process.0.id()
    }
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Credentials {
    pub base_url: String,
    pub merchant: Merchant,
    pub customer: Value,
    pub staff: Value,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Merchant {
    pub email: String,
    pub password: String,
    pub sandbox: Keys,
    pub live: Keys,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Keys {
    pub open_key: String,
    pub secret_key: String,
    pub webhook_secret: Option<String>,
}

/// A kept connection that signs what it sends.
pub struct Client {
    connection: Connection,
    headers: HeaderMap,
}

impl Client {
    pub async fn open(address: &str, keys: &Keys) -> Client {
        Client::try_open(address, keys).await.unwrap()
    }

    pub async fn try_open(address: &str, keys: &Keys) -> Result<Client, Lost> {
        let mut client = Client::try_stranger(address).await?;
        client.set("x-open-key", &keys.open_key);
        client.set("x-authorization", &keys.secret_key);
        Ok(client)
    }

    /// A connection without keys or token.
    pub async fn stranger(address: &str) -> Client {
        Client::try_stranger(address).await.unwrap()
    }

    async fn try_stranger(address: &str) -> Result<Client, Lost> {
        let connection = Connection::open(address).await?;
        let mut client = Client { connection, headers: HeaderMap::new() };
        client.set("content-type", "application/json");
        Ok(client)
    }

    /// Sends this header from now on; an empty value takes it away.
    pub fn set(&mut self, name: &'static str, value: &str) {
        let name = HeaderName::from_static(name);
        if value.is_empty() {
            self.headers.remove(name);
        } else {
            self.headers.insert(name, HeaderValue::from_str(value).unwrap());
        }
    }

    pub async fn get(&mut self, target: &str) -> Reply {
        self.send(Method::GET, target, "").await.unwrap()
    }

    pub async fn post(&mut self, target: &str, body: impl Into<Bytes>) -> Reply {
        self.send(Method::POST, target, body).await.unwrap()
    }

    /// An answer that is no 5xx.
    pub async fn send(
        &mut self,
        method: Method,
        target: &str,
        body: impl Into<Bytes>,
    ) -> Result<Reply, Lost> {
        let reply = self.try_send(method, target, body).await?;
        assert!(reply.status() < 500, "{target}: {reply:?}");
        Ok(reply)
    }

    /// An answer that is no 5xx but "not now", and when to come again.
    pub async fn try_send(
        &mut self,
        method: Method,
        target: &str,
        body: impl Into<Bytes>,
    ) -> Result<Reply, Lost> {
        let mut request = Request::new(Full::new(body.into()));
        *request.method_mut() = method;
        *request.uri_mut() = target.parse().unwrap();
        *request.headers_mut() = self.headers.clone();
        let reply = Reply(self.connection.send(request).await?);
        let is_put_off = reply.status() == 503 && reply.header("retry-after").is_some();
        assert!(reply.status() < 500 || is_put_off, "{target}: {reply:?}");
        Ok(reply)
    }

    /// The wallet in minor units.
    pub async fn balance(&mut self) -> i64 {
        let reply = self.get(BALANCE).await;
        assert_eq!(reply.status(), 200, "{reply:?}");
        minor(&reply.json()["balance"])
    }

    /// The `data` of a status check by reference.
    pub async fn status(&mut self, reference: &str) -> Value {
        let reply = self.get(&format!("{STATUS}?reference={reference}")).await;
        assert_eq!(reply.status(), 200, "{reference}: {reply:?}");
        reply.json()["data"].take()
    }

    /// Polls a purchase until it has this status.
    pub async fn becomes(&mut self, reference: &str, status: &str, within: Duration) -> Value {
        let started = Instant::now();
        loop {
            let data = self.status(reference).await;
            if data["status"] == status {
                return data;
            }
            assert!(started.elapsed() < within, "{reference} is not {status}: {data}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A whole answer.
#[derive(Debug)]
pub struct Reply(pub Answer);

impl Reply {
    pub fn status(&self) -> u16 {
        self.0.status.as_u16()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.0.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.0.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// A refusal in the documented shape with this status and code.
    #[track_caller]
    pub fn assert_refused(&self, status: u16, code: &str) {
        assert_eq!(self.status(), status, "{self:?}");
        assert_eq!(self.json()["code"], code, "{self:?}");
        self.assert_error_body();
    }

    /// The four documented fields of every error.
    #[track_caller]
    pub fn assert_error_body(&self) {
        let body = self.json();
        assert_eq!(body["success"], false, "{self:?}");
        for field in ["message", "error", "code"] {
            assert!(body[field].as_str().is_some_and(|text| !text.is_empty()), "{field}: {self:?}");
        }
    }
}

/// A normal recharge's body.
pub fn recharge(number: &str, amount: u32, reference: &str) -> String {
    format!(
        r#"{{"number":"{number}","amount":{amount},"operator":"gp","reference":"{reference}"}}"#
    )
}

/// An amount on the wire, in minor units: `"7000.00"`, `6989.5`, `68`.
#[track_caller]
pub fn minor(value: &Value) -> i64 {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    format!("{whole}{fraction:0<2}").parse().unwrap_or_else(|e| panic!("{text:?}: {e}"))
}

/// A generator of test data that its seed repeats (splitmix64).
pub struct Dice(u64);

impl Dice {
    /// From `SALDO_SEED`, else from chance; says which, so that a failure can be replayed.
    pub fn new(test: &str) -> Dice {
        let seed = std::env::var("SALDO_SEED")
            .ok()
            .and_then(|text| text.parse().ok())
            .unwrap_or_else(|| RandomState::new().hash_one(test));
        note(&format!("{test}: SALDO_SEED={seed}"));
        Dice(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let n = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let n = (n ^ (n >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        n ^ (n >> 31)
    }

    /// From 0 to below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// A generator of its own, for a task of its own.
    pub fn fork(&mut self) -> Dice {
        Dice(self.next())
    }
}

/// Words beside a test's result.
#[expect(clippy::print_stderr, reason = "figures and seeds are shown with a failure")]
pub fn note(words: &str) {
    eprintln!("{words}");
}

/// An empty file of this name.
pub fn touch(path: &Path) {
    File::create(path).unwrap();
}

//! The servers that are driven: child processes of this executable, stopped and cleared away when
//! the run is over; and the keys to drive them with.

use anyhow::Context as _;
use serde::Deserialize;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a server may take to listen: with many accounts, the first start makes them all.
const START_WITHIN: Duration = Duration::from_secs(120);
/// How long a server may take to stop.
const STOP_WITHIN: Duration = Duration::from_secs(30);
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A key pair.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Keys {
    pub(super) open_key: String,
    pub(super) secret_key: String,
}

impl Keys {
    /// Of the same length as real ones, for an endpoint that does not look.
    pub(super) fn none() -> Keys {
        Keys {
            open_key: format!("ok_test_{}", "0".repeat(24)),
            secret_key: format!("sk_test_{}", "0".repeat(48)),
        }
    }
}

/// A child process; dropping it stops it.
#[derive(Debug)]
pub(super) struct Child {
    process: std::process::Child,
    /// The signal that asks it to stop.
    signal: &'static str,
}

impl Child {
    pub(super) const fn new(process: std::process::Child, signal: &'static str) -> Child {
        Child { process, signal }
    }

    pub(super) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(super) fn has_ended(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(Some(_)))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // `kill` is built into every shell; the standard library can only kill outright.
        let kill = format!("kill -{} {}", self.signal, self.id());
        let asked = Command::new("sh").args(["-c", &kill]).status();
        let mut waited = Duration::ZERO;
        while asked.is_ok() && waited < STOP_WITHIN {
            if self.has_ended() {
                return;
            }
            std::thread::sleep(LOOK_EVERY);
            waited += LOOK_EVERY;
        }
        // Best effort: there is nothing left to do for a process that cannot be killed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A server that is driven.
#[derive(Debug)]
pub(super) struct Server {
    child: Child,
    pub(super) address: String,
}

impl Server {
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }
}

/// Starts the bare endpoint.
pub(super) fn start_bare() -> anyhow::Result<Server> {
    let mut process = this_executable()?
        .args(["bench", "--bare"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting the bare endpoint")?;
    let mut address = String::new();
    if let Some(stdout) = process.stdout.take() {
        BufReader::new(stdout).read_line(&mut address).context("reading the bare address")?;
    }
    let server = Server { child: Child::new(process, "TERM"), address: address.trim().to_owned() };
    anyhow::ensure!(!server.address.is_empty(), "the bare endpoint did not start");
    Ok(server)
}

/// A folder that goes with the run, on the disk that is meant.
#[derive(Debug)]
pub(super) struct Scratch(PathBuf);

impl Drop for Scratch {
    fn drop(&mut self) {
        if fs::remove_dir_all(&self.0).is_err() {
            super::say(&format!("{} is left over; remove it", self.0.display()));
        }
    }
}

impl Scratch {
    pub(super) fn new(parent: &Path) -> anyhow::Result<Scratch> {
        let path = parent.join(format!("saldo-bench-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        Ok(Scratch(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// The kind of filesystem it is on: on a tmpfs nothing is durable.
    pub(super) fn filesystem(&self) -> String {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let below = self.0.canonicalize().unwrap_or_else(|_| self.0.clone());
        mounts
            .lines()
            .filter_map(|line| {
                let mut words = line.split(' ').skip(1);
                Some((words.next()?, words.next()?))
            })
            .filter(|(mount, _)| below.starts_with(mount))
            .max_by_key(|(mount, _)| mount.len())
            .map_or_else(|| "an unknown filesystem".to_owned(), |(_, kind)| kind.to_owned())
    }
}

/// A demo's data: where it is, and what its servers are told.
#[derive(Debug)]
pub(super) struct Demo {
    folder: PathBuf,
    database_url: Option<String>,
    wallets: u32,
    /// What the simulators of several nodes share, so that they are one upstream.
    simulator_file: Option<PathBuf>,
}

/// What makes another node of the same demo, besides the database.
const OF_A_NODE: [&str; 2] = ["master.key", crate::cmd::demo::MADE_FILE];

impl Demo {
    /// With `wallets` accounts besides the demo's own; nothing is made yet.
    pub(super) fn new(folder: PathBuf, database_url: Option<String>, wallets: u32) -> Demo {
        Demo { folder, database_url, wallets, simulator_file: None }
    }

    /// The first node of several.
    pub(super) fn first_node(folder: PathBuf, database_url: String) -> Demo {
        let simulator_file = Some(folder.join("simulator.jsonl"));
        Demo { folder, database_url: Some(database_url), wallets: 0, simulator_file }
    }

    /// One more node of this demo, once it has run: on the same database, in a folder of its own.
    pub(super) fn another_node(&self, folder: PathBuf) -> anyhow::Result<Demo> {
        let (database_url, simulator_file) =
            (self.database_url.clone(), self.simulator_file.clone());
        let node = Demo { folder, database_url, wallets: 0, simulator_file };
        fs::create_dir_all(node.data_dir())?;
        for name in OF_A_NODE {
            fs::copy(self.data_dir().join(name), node.data_dir().join(name)).context(name)?;
        }
        Ok(node)
    }

    pub(super) fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Empty: its books are in its folder.
    pub(super) fn database_url(&self) -> &str {
        self.database_url.as_deref().unwrap_or_default()
    }

    /// The keys of its accounts, once it has run.
    pub(super) fn keys(&self) -> anyhow::Result<Vec<Keys>> {
        keys(&self.folder.join("keys.json"))
    }

    /// The demo merchant's keys, once it has run.
    pub(super) fn merchant_keys(&self) -> anyhow::Result<Keys> {
        merchant_keys(&self.folder.join("credentials.json"))
    }

    /// Starts a server on it and waits until it listens. The first start makes its accounts.
    pub(super) fn start(&self) -> anyhow::Result<Server> {
        fs::create_dir_all(&self.folder)?;
        let credentials_file = self.folder.join("credentials.json");
        let log = self.folder.join("server.log");
        let _ = fs::remove_file(&credentials_file);
        let mut command = self.command(&credentials_file)?;
        let process = command.stderr(File::create(&log)?).spawn().context("starting the server")?;
        let mut child = Child::new(process, "TERM");
        let address = listening(&mut child, &credentials_file, &log)?;
        Ok(Server { child, address })
    }

    fn command(&self, credentials_file: &Path) -> anyhow::Result<Command> {
        let mut command = this_executable()?;
        command.args(["demo", "--listen", "127.0.0.1:0"]);
        command.args(["--requests-per-minute", "100000000", "--balance", "999999999"]);
        command.arg("--webhooks-to-loopback");
        let keys_file = self.folder.join("keys.json");
        if self.wallets > 0 && !keys_file.exists() {
            command.args(["--bench-accounts", &self.wallets.to_string()]);
            command.arg("--bench-keys-file").arg(keys_file);
        }
        command.arg("--credentials-file").arg(credentials_file);
        command.arg("--data-dir").arg(self.data_dir());
        if let Some(url) = &self.database_url {
            command.env("SALDO_DATABASE_URL", url);
        }
        if let Some(file) = &self.simulator_file {
            command.env("SALDO_SIMULATOR_FILE", file);
        }
        // All clients come from one address.
        command.env("SALDO_CONNECTIONS_PER_ADDRESS", "10000").env("SALDO_CONNECTIONS", "10000");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Ok(command)
    }
}

/// Waits for the credentials file, which is written when the server listens.
fn listening(child: &mut Child, credentials_file: &Path, log: &Path) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Credentials {
        base_url: String,
    }
    let mut waited = Duration::ZERO;
    while waited < START_WITHIN {
        if let Ok(text) = fs::read_to_string(credentials_file) {
            let credentials: Credentials = serde_json::from_str(&text)?;
            return address_of(&credentials.base_url);
        }
        if child.has_ended() {
            let said = fs::read_to_string(log).unwrap_or_default();
            anyhow::bail!("the server ended: {}", said.trim());
        }
        std::thread::sleep(LOOK_EVERY);
        waited += LOOK_EVERY;
    }
    anyhow::bail!("the server did not listen within {} s", START_WITHIN.as_secs())
}

/// Host and port of an `http://` URL.
pub(super) fn address_of(url: &str) -> anyhow::Result<String> {
    let uri: http::Uri = url.parse().with_context(|| format!("{url} is not a URL"))?;
    anyhow::ensure!(uri.scheme_str() == Some("http"), "{url}: the bench speaks plain http only");
    let authority = uri.authority().context("the URL names no host")?;
    let port = authority.port_u16().unwrap_or(80);
    Ok(format!("{}:{port}", authority.host()))
}

/// The demo merchant's sandbox keys.
pub(super) fn merchant_keys(credentials_file: &Path) -> anyhow::Result<Keys> {
    #[derive(Deserialize)]
    struct Credentials {
        merchant: Merchant,
    }
    #[derive(Deserialize)]
    struct Merchant {
        sandbox: Keys,
    }
    let text = fs::read_to_string(credentials_file)
        .with_context(|| format!("reading {}", credentials_file.display()))?;
    let credentials: Credentials = serde_json::from_str(&text)
        .with_context(|| format!("{} is not a credentials file", credentials_file.display()))?;
    Ok(credentials.merchant.sandbox)
}

/// The key pairs of many accounts.
pub(super) fn keys(file: &Path) -> anyhow::Result<Vec<Keys>> {
    let text = fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{} holds no key pairs", file.display()))
}

/// This program; what the environment sets for a Saldo of the user's does not reach it.
fn this_executable() -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("finding this executable")?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SALDO_") {
            command.env_remove(name);
        }
    }
    Ok(command)
}

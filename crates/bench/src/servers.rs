//! The servers under test: child processes of this executable, which are stopped when the run is
//! over, and their data removed; and the key pairs for their clients.
//!
//! Invariant: the measured servers take no setting from the environment of `saldo bench`.

use crate::Installation;
use anyhow::{Context as _, Result};
use serde::Deserialize;
use serde_json::Value;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long a server may take to listen. The first start creates all accounts.
const START_TIMEOUT: Duration = Duration::from_secs(120);
/// How long a server may take to stop.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two checks whether a server has started or stopped.
const CHECK_EVERY: Duration = Duration::from_millis(20);

/// A sandbox key pair of an account.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct KeyPair {
    pub(crate) open_key: String,
    pub(crate) secret_key: String,
}

/// What somebody logs in with on the pages.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Login {
    pub(crate) email: String,
    pub(crate) password: String,
}

impl KeyPair {
    /// As long as a real pair, for the baseline endpoint, which does not check it.
    pub(crate) fn placeholder() -> KeyPair {
        let open_key = format!("ok_test_{}", "0".repeat(24));
        let secret_key = format!("sk_test_{}", "0".repeat(48));
        KeyPair { open_key, secret_key }
    }
}

/// A child process; dropping it stops it.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
    /// The signal that asks it to stop.
    signal: &'static str,
}

impl Child {
    pub(crate) const fn new(process: std::process::Child, signal: &'static str) -> Child {
        Child { process, signal }
    }

    pub(crate) fn id(&self) -> u32 {
        self.process.id()
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(Some(_)))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // The standard library can only send SIGKILL; `kill` is built into every shell.
        let kill = format!("kill -{} {}", self.signal, self.id());
        let asked = Command::new("sh").args(["-c", &kill]).status();
        let mut waited = Duration::ZERO;
        while asked.is_ok() && waited < STOP_TIMEOUT {
            if self.has_ended() {
                return;
            }
            std::thread::sleep(CHECK_EVERY);
            waited += CHECK_EVERY;
        }
        // Best effort: nothing more can be done about a process that cannot be killed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A running server, or the baseline endpoint.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

/// Starts the baseline endpoint.
pub(crate) fn start_baseline() -> Result<Server> {
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

/// The folder of the measured servers' data; dropping it removes it.
#[derive(Debug)]
pub(crate) struct ScratchDir(PathBuf);

impl Drop for ScratchDir {
    fn drop(&mut self) {
        if fs::remove_dir_all(&self.0).is_err() {
            let path = self.0.display();
            crate::print_progress(&format!("{path} is left over; remove it"));
        }
    }
}

impl ScratchDir {
    pub(crate) fn new(parent: &Path) -> Result<ScratchDir> {
        let path = parent.join(format!("saldo-bench-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        // PostgreSQL's own user must reach its folder, whatever the umask.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
        Ok(ScratchDir(path))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// The type of its filesystem. On a tmpfs nothing is durable.
    pub(crate) fn filesystem(&self) -> String {
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

/// A demo installation: where its data is, and the settings of its servers.
#[derive(Clone, Debug)]
pub(crate) struct Demo {
    folder: PathBuf,
    database_url: Option<String>,
    wallets: u32,
    /// The file that the simulators of several nodes share, so that they are one upstream.
    simulator_file: Option<PathBuf>,
}

impl Demo {
    /// A demo with `wallets` accounts besides the demo's own. Nothing is created yet.
    pub(crate) fn new(folder: PathBuf, database_url: Option<String>, wallets: u32) -> Demo {
        Demo { folder, database_url, wallets, simulator_file: None }
    }

    /// The first node of several.
    pub(crate) fn first_node(folder: PathBuf, database_url: String) -> Demo {
        let simulator_file = Some(folder.join("simulator.jsonl"));
        Demo { folder, database_url: Some(database_url), wallets: 0, simulator_file }
    }

    /// Another node of this demo, on the same database, with a folder of its own. `files` are
    /// copied from this node's data folder; it must have run before.
    pub(crate) fn another_node(&self, folder: PathBuf, files: &[&str]) -> Result<Demo> {
        let node = Demo { folder, wallets: 0, ..self.clone() };
        fs::create_dir_all(node.data_dir())?;
        for name in files.iter().copied() {
            fs::copy(self.data_dir().join(name), node.data_dir().join(name))
                .with_context(|| name.to_owned())?;
        }
        Ok(node)
    }

    fn data_dir(&self) -> PathBuf {
        self.folder.join("data")
    }

    pub(crate) fn installation(&self) -> Installation {
        let database_url = self.database_url.clone().unwrap_or_default();
        Installation { database_url, data_dir: self.data_dir() }
    }

    /// The key pairs of its accounts, after its first start.
    pub(crate) fn keys(&self) -> Result<Vec<KeyPair>> {
        keys(&self.folder.join("keys.json"))
    }

    /// The demo merchant's keys, after its first start.
    pub(crate) fn merchant_keys(&self) -> Result<KeyPair> {
        merchant_keys(&self.folder.join("credentials.json"))
    }

    /// The log-in of the demo's merchant, after its first start.
    pub(crate) fn merchant_login(&self) -> Result<Login> {
        let file = self.folder.join("credentials.json");
        let credentials: Value = serde_json::from_str(&read(&file)?)?;
        Login::deserialize(&credentials["merchant"])
            .with_context(|| format!("{} is not a credentials file", file.display()))
    }

    /// Starts a server on it and waits until it listens. The first start creates its accounts.
    pub(crate) fn start(&self) -> Result<Server> {
        fs::create_dir_all(&self.folder)?;
        let credentials_file = self.folder.join("credentials.json");
        let log = self.folder.join("server.log");
        let _ = fs::remove_file(&credentials_file);
        let mut command = self.command(&credentials_file)?;
        let process = command.stderr(File::create(&log)?).spawn().context("starting the server")?;
        let mut child = Child::new(process, "TERM");
        let address = wait_until_listening(&mut child, &credentials_file, &log)?;
        Ok(Server { child, address })
    }

    fn command(&self, credentials_file: &Path) -> Result<Command> {
        let mut command = this_executable()?;
        command.args(["demo", "--without-history", "--listen", "127.0.0.1:0"]);
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
        // All clients connect from one address.
        command.env("SALDO_CONNECTIONS_PER_ADDRESS", "10000").env("SALDO_CONNECTIONS", "10000");
        command.stdin(Stdio::null()).stdout(Stdio::null());
        Ok(command)
    }
}

/// Waits for the credentials file, which is written when the server listens. Returns its address.
fn wait_until_listening(child: &mut Child, credentials: &Path, log: &Path) -> Result<String> {
    let mut waited = Duration::ZERO;
    while waited < START_TIMEOUT {
        if let Ok(text) = fs::read_to_string(credentials) {
            let credentials: Value = serde_json::from_str(&text)?;
            return address_of(credentials["base_url"].as_str().context("no base_url")?);
        }
        if child.has_ended() {
            let log_text = fs::read_to_string(log).unwrap_or_default();
            anyhow::bail!("the server ended: {}", log_text.trim());
        }
        std::thread::sleep(CHECK_EVERY);
        waited += CHECK_EVERY;
    }
    anyhow::bail!("the server did not listen within {} s", START_TIMEOUT.as_secs())
}

/// Host and port of an `http://` URL.
pub(crate) fn address_of(url: &str) -> Result<String> {
    let uri: http::Uri = url.parse().with_context(|| format!("{url} is not a URL"))?;
    anyhow::ensure!(uri.scheme_str() == Some("http"), "{url}: the bench speaks plain http only");
    let authority = uri.authority().context("the URL names no host")?;
    let port = authority.port_u16().unwrap_or(80);
    Ok(format!("{}:{port}", authority.host()))
}

/// Reads the demo merchant's sandbox keys.
pub(crate) fn merchant_keys(file: &Path) -> Result<KeyPair> {
    let parse = |text: &str| {
        let credentials: Value = serde_json::from_str(text)?;
        KeyPair::deserialize(&credentials["merchant"]["sandbox"])
    };
    parse(&read(file)?).with_context(|| format!("{} is not a credentials file", file.display()))
}

/// Reads the key pairs of many accounts.
pub(crate) fn keys(file: &Path) -> Result<Vec<KeyPair>> {
    serde_json::from_str(&read(file)?)
        .with_context(|| format!("{} holds no key pairs", file.display()))
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("reading {}", file.display()))
}

/// This executable as a command, without the Saldo settings in our environment: those are meant for
/// the user's own installation.
fn this_executable() -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("finding this executable")?);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("SALDO_") {
            command.env_remove(name);
        }
    }
    Ok(command)
}

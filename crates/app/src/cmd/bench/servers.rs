//! The servers that are driven: child processes of this executable, stopped and cleared away when
//! the run is over; and the keys to drive them with.

use anyhow::Context as _;
use serde::Deserialize;
use std::fs::{self, File};
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
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
pub(super) struct Server {
    child: Child,
    pub(super) address: String,
}

impl Drop for Server {
    fn drop(&mut self) {
        // `kill` is built into every shell; the standard library can only kill outright.
        let asked =
            Command::new("sh").args(["-c", &format!("kill -TERM {}", self.child.id())]).status();
        let mut waited = Duration::ZERO;
        while asked.is_ok() && waited < STOP_WITHIN {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(LOOK_EVERY);
            waited += LOOK_EVERY;
        }
        // Best effort: there is nothing left to do for a process that cannot be killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Starts the bare endpoint.
pub(super) fn start_bare() -> anyhow::Result<Server> {
    let mut child = this_executable()?
        .args(["bench", "--bare"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .context("starting the bare endpoint")?;
    let mut address = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut address).context("reading the bare address")?;
    }
    let server = Server { child, address: address.trim().to_owned() };
    anyhow::ensure!(!server.address.is_empty(), "the bare endpoint did not start");
    Ok(server)
}

/// A demo server with data of its own.
#[derive(Debug)]
pub(super) struct Scratch {
    // The server stops before its folder goes.
    pub(super) server: Server,
    pub(super) credentials_file: PathBuf,
    pub(super) keys_file: PathBuf,
    folder: Folder,
}

#[derive(Debug)]
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        if fs::remove_dir_all(&self.0).is_err() {
            super::say(&format!("{} is left over; remove it", self.0.display()));
        }
    }
}

impl Scratch {
    /// Starts a server below `parent`, with `wallets` accounts besides the demo's.
    pub(super) fn start(parent: &Path, wallets: u32) -> anyhow::Result<Scratch> {
        let path = parent.join(format!("saldo-bench-{}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("making {}", path.display()))?;
        let folder = Folder(path.clone());
        let (credentials_file, keys_file) = (path.join("credentials.json"), path.join("keys.json"));
        let log = path.join("server.log");
        super::say(&format!("starting a server with {wallets} accounts in {}", path.display()));
        let child = this_executable()?
            .args(["demo", "--listen", "127.0.0.1:0"])
            .args(["--requests-per-minute", "100000000", "--balance", "999999999"])
            .args(["--bench-accounts", &wallets.to_string()])
            .arg("--bench-keys-file")
            .arg(&keys_file)
            .arg("--credentials-file")
            .arg(&credentials_file)
            .arg("--data-dir")
            .arg(path.join("data"))
            // All clients come from one address.
            .env("SALDO_CONNECTIONS_PER_ADDRESS", "10000")
            .env("SALDO_CONNECTIONS", "10000")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .context("starting the server")?;
        let mut server = Server { child, address: String::new() };
        server.address = listening(&mut server.child, &credentials_file, &log)?;
        Ok(Scratch { server, credentials_file, keys_file, folder })
    }

    /// The kind of filesystem the data is on: on a tmpfs nothing is durable.
    pub(super) fn filesystem(&self) -> String {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let below = self.folder.0.canonicalize().unwrap_or_else(|_| self.folder.0.clone());
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
        if let Some(status) = child.try_wait()? {
            let said = fs::read_to_string(log).unwrap_or_default();
            anyhow::bail!("the server ended with {status}: {}", said.trim());
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

fn this_executable() -> anyhow::Result<Command> {
    Ok(Command::new(std::env::current_exe().context("finding this executable")?))
}

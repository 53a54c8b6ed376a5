//! A PostgreSQL server from the installed programs, and pgbench on it: what an ordinary service
//! gets from the same database. Started by root it runs as `nobody`, because PostgreSQL refuses to
//! run as root. It ends with this process, however that ends. Invariant: Saldo and pgbench use the
//! same server, with PostgreSQL's default settings except `max_connections`.

use crate::load::Run;
use crate::servers::Child;
use anyhow::{Context as _, Result, ensure};
use std::ffi::OsString;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// How long the server may take to start.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// Between two checks whether it has started.
const CHECK_EVERY: Duration = Duration::from_millis(50);
/// The arguments of `setpriv` that give up root's rights.
const AS_NOBODY: &[&str] = &["--reuid=nobody", "--regid=nogroup", "--clear-groups"];
/// pgbench's own load, except that each Tx updates the same branch.
const ONE_HOT_ROW: &str = include_str!("postgres/one_hot_row.pgbench");
/// The database that pgbench works on.
const PGBENCH: &str = "pgbench";

/// A running server.
#[derive(Debug)]
pub(crate) struct Postgres {
    child: Child,
    port: u16,
    programs: PathBuf,
    hot_script: PathBuf,
    version: String,
    /// The scale of pgbench's tables.
    scale: u32,
}

impl Postgres {
    /// Starts a server in this folder. If root starts it, the data becomes `nobody`'s.
    pub(crate) fn start(folder: &Path) -> Result<Postgres> {
        let programs = programs()?;
        let is_root = fs::metadata("/proc/self")?.uid() == 0;
        let data = folder.join("data");
        fs::create_dir_all(&data)?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
        if is_root {
            run(Command::new("chown").arg("nobody:nogroup").arg(&data))?;
        }
        let unprivileged = if is_root { AS_NOBODY } else { &[] };
        // The kernel signals the server when this process has ended.
        let wrapper = ["setpriv", "--pdeathsig=INT"].iter().chain(unprivileged);
        let wrapper: Vec<OsString> = wrapper.map(OsString::from).collect();
        let program = |name: &str| {
            let mut command = Command::new(&wrapper[0]);
            command.args(&wrapper[1..]).arg(programs.join(name)).arg("-D").arg(&data);
            command.current_dir("/").stdin(Stdio::null());
            command
        };
        run(program("initdb").args(["-A", "trust", "-U", "saldo", "-E", "UTF8", "--no-locale"]))?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let log = folder.join("log");
        let mut server = program("postgres");
        server.args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1"]);
        server.args(["-c", "unix_socket_directories=", "-c", "max_connections=300"]);
        let child = server.stdout(Stdio::null()).stderr(File::create(&log)?).spawn();
        let child = Child::new(child.context("starting PostgreSQL")?, "INT");
        let hot_script = folder.join("one_hot_row.pgbench");
        fs::write(&hot_script, ONE_HOT_ROW)?;
        let version = version(&run(Command::new(programs.join("postgres")).arg("-V"))?);
        let mut postgres = Postgres { child, port, programs, hot_script, version, scale: 0 };
        postgres.wait(&log)?;
        Ok(postgres)
    }

    fn wait(&mut self, log: &Path) -> Result<()> {
        let mut waited = Duration::ZERO;
        while run(&mut self.client("pg_isready")).is_err() {
            let log_text = || fs::read_to_string(log).unwrap_or_default();
            ensure!(!self.child.has_ended(), "PostgreSQL ended: {}", log_text());
            ensure!(waited < START_TIMEOUT, "PostgreSQL does not answer: {}", log_text());
            std::thread::sleep(CHECK_EVERY);
            waited += CHECK_EVERY;
        }
        Ok(())
    }

    /// The server's name and version.
    pub(crate) fn version(&self) -> &str {
        &self.version
    }

    /// The process id of the postmaster, whose children are all other server processes.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Creates an empty database and returns its address.
    pub(crate) fn database(&self, name: &str) -> Result<String> {
        run(self.client("createdb").arg(name))?;
        Ok(format!("postgres://saldo@127.0.0.1:{}/{name}?sslmode=disable", self.port))
    }

    /// Does at once what a database that was just filled would otherwise do while it is measured:
    /// collect statistics, set hint bits, and write dirty pages.
    pub(crate) fn settle(&self, name: &str) -> Result<()> {
        run(self.client("vacuumdb").args(["--analyze", "--quiet", name]))?;
        run(self.client("psql").args(["--quiet", "--command", "CHECKPOINT", name])).map(drop)
    }

    /// Creates and fills pgbench's database: 100,000 accounts for each step of the scale.
    pub(crate) fn fill(&mut self, scale: u32) -> Result<()> {
        self.scale = scale;
        run(self.client("createdb").arg(PGBENCH))?;
        run(self.client("pgbench").args(["-i", "-q", "-s", &scale.to_string(), PGBENCH])).map(drop)
    }

    /// Runs pgbench's TPC-B-like load as it is, or with one hot row.
    pub(crate) fn pgbench(&self, is_hot: bool, connections: u16, seconds: u64) -> Result<Run> {
        let mut command = self.client("pgbench");
        command.args(["-n", "-j", "2", "-c", &connections.to_string()]);
        command.args(["-T", &seconds.to_string()]);
        if is_hot {
            command.args(["-s", &self.scale.to_string(), "-f"]).arg(&self.hot_script);
        }
        let output = run(command.arg(PGBENCH))?;
        let number = |before: &str| {
            let line = output.lines().find_map(|line| line.strip_prefix(before));
            let found = line.and_then(|text| thousandths(text.split_whitespace().next()?));
            found.with_context(|| format!("pgbench gave no {before:?}: {output}"))
        };
        let successes = number("number of transactions actually processed: ")? / 1000;
        let elapsed_us = successes.saturating_mul(1_000_000_000) / number("tps = ")?.max(1);
        Ok(Run { successes, elapsed_us, ..Run::default() })
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(self.programs.join(program));
        command.args(["-h", "127.0.0.1", "-U", "saldo", "-p", &self.port.to_string()]);
        command.current_dir("/").stdin(Stdio::null());
        command
    }
}

/// `12.345678` in thousandths.
fn thousandths(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let part = format!("{part:0<3}");
    Some(whole.parse::<u64>().ok()? * 1000 + part.get(..3)?.parse::<u64>().ok()?)
}

/// `postgres (PostgreSQL) 15.14 (Debian …)` is `PostgreSQL 15.14`.
fn version(output: &str) -> String {
    format!("PostgreSQL {}", output.split_whitespace().nth(2).unwrap_or("of an unknown version"))
}

/// Runs a program and returns its stdout. If it fails, the error has its stderr.
fn run(command: &mut Command) -> Result<String> {
    let name = PathBuf::from(command.get_program());
    let output = command.output().with_context(|| format!("running {}", name.display()))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?}: {}", errors.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The folder of the server's programs, of the newest version first. Debian keeps them outside
/// PATH.
fn programs() -> Result<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path()).collect();
    found.sort_by_key(|path| {
        let version = path.file_name().and_then(|name| name.to_str());
        std::cmp::Reverse(version.and_then(|version| version.parse::<u32>().ok()))
    });
    let beside = std::env::var_os("PATH").unwrap_or_default();
    let beside = std::env::split_paths(&beside);
    let has_all = |folder: &PathBuf| {
        let needed = ["initdb", "postgres", "pgbench", "createdb", "vacuumdb", "psql"];
        needed.iter().all(|name| folder.join(name).exists())
    };
    found.into_iter().map(|path| path.join("bin")).chain(beside).find(has_all).context(
        "PostgreSQL's programs are missing: on Debian, apt-get install postgresql; \
         or measure SQLite alone with --stores sqlite",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pgbench_output_is_parsed() {
        assert_eq!(thousandths("3907.123456"), Some(3_907_123));
        assert_eq!(thousandths("120000"), Some(120_000_000));
        assert_eq!(thousandths("0.5"), Some(500));
        assert_eq!(thousandths("inf"), None);
        assert_eq!(
            version("postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)"),
            "PostgreSQL 15.14"
        );
    }
}

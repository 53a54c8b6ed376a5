//! One installation of a test: its data folder, its database and the commands on it.

use super::server::{Credentials, POLL_EVERY, Process, Running, Server, Starting};
use crate::file;
use crate::postgres::{self, Database};
use connectors::upstream::simulator::{Record, read_truth};
use serde_json::Value;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// Flags for a rate limit that no test reaches.
pub const UNLIMITED: [&str; 2] = ["--requests-per-minute", "100000000"];

/// Tests count what they made themselves.
const CLEAN: &str = "--without-history";

/// One installation: a data folder, its credentials file, its log, and, with
/// `SALDO_TEST_DATABASE=postgresql`, its PostgreSQL database instead of one in the folder.
pub struct Folder {
    temp: TempDir,
    /// URL of the database, if it is not in the folder.
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

    /// On this PostgreSQL database, whatever `SALDO_TEST_DATABASE` says.
    pub fn on(database: Database) -> Folder {
        let url = Some(database.url());
        Folder { temp: TempDir::new().unwrap(), url, database: Some(database) }
    }

    /// On the PostgreSQL database of this URL.
    pub fn at(url: &str) -> Folder {
        Folder { temp: TempDir::new().unwrap(), url: Some(url.to_owned()), database: None }
    }

    /// The binary, with the URL of this installation's database.
    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_saldo"));
        command.env("SALDO_TEST_CLOCK_FILE", self.path("clock"));
        if let Some(url) = &self.url {
            command.env("SALDO_DATABASE_URL", url);
        }
        command
    }

    /// From now on the clock of this installation's machine is off by so many seconds.
    pub fn shift_clock(&self, seconds: i64) {
        let next = self.path("clock.next");
        fs::write(&next, seconds.to_string()).unwrap();
        fs::rename(next, self.path("clock")).unwrap();
    }

    /// Runs statements on the database itself; the first column of the last one's rows, as text.
    pub fn sql(&self, statements: &str) -> Vec<String> {
        self.try_sql(statements).unwrap_or_else(|error| panic!("{error}: {statements}"))
    }

    pub fn try_sql(&self, statements: &str) -> Result<Vec<String>, String> {
        match &self.database {
            None => file::run(&self.data_dir().join("saldo.db"), statements),
            Some(database) => database.try_sql(statements),
        }
    }

    /// The text that fits the database in use.
    pub fn by_database<'a>(&self, in_sqlite: &'a str, in_postgresql: &'a str) -> &'a str {
        if self.database.is_some() { in_postgresql } else { in_sqlite }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.temp.path().join(name)
    }

    pub fn data_dir(&self) -> PathBuf {
        self.path("data")
    }

    /// Starts the demo with [`UNLIMITED`].
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
        let file_flags = ["--credentials-file", credentials_file.to_str().unwrap(), CLEAN];
        let running = self.run("demo", &[&file_flags[..], flags].concat());
        Starting { running, credentials_file }
    }

    /// Starts the demo as users do, with its merchants that have a history.
    pub fn start_with_history(&self) -> Server {
        let credentials_file = self.path("credentials.json");
        let flags = ["--credentials-file", credentials_file.to_str().unwrap()];
        let running = self.run("demo", &flags);
        Starting { running, credentials_file }.listening()
    }

    /// Starts `serve` and waits until it listens; it writes no credentials file.
    pub fn serve(&self) -> Running {
        self.serve_with(&[])
    }

    /// Starts `serve` with further flags and waits until it listens.
    pub fn serve_with(&self, flags: &[&str]) -> Running {
        let running = self.run("serve", flags);
        let serves = |running: &Running| running.log().contains("Saldo serves").then_some(());
        running.wait_until(serves).0
    }

    /// Starts `serve` and waits until it listens or ends; `None` if it refuses the folder.
    pub fn try_serve(&self) -> Option<Running> {
        let mut running = self.run("serve", &[]);
        while !running.log().contains("Saldo serves") {
            if running.has_ended() {
                return None;
            }
            std::thread::sleep(POLL_EVERY);
        }
        Some(running)
    }

    /// Starts the demo with its log going there instead of into the file, and waits until it
    /// listens.
    pub fn start_logging_to(&self, log: Stdio, flags: &[&str]) -> Server {
        let credentials_file = self.path("credentials.json");
        let file_flags = ["--credentials-file", credentials_file.to_str().unwrap(), CLEAN];
        let flags = [&file_flags[..], flags].concat();
        let running = self.run_command(self.command(), log, "demo", &flags);
        Starting { running, credentials_file }.listening()
    }

    /// Starts the demo from a shell that runs `first` before, and waits until it listens.
    pub fn start_after(&self, first: &str, flags: &[&str]) -> Server {
        let command_line = format!("{first}; exec \"$@\"");
        let saldo = self.command();
        let mut command = Command::new("sh");
        command.args(["-c", &command_line, "sh"]).arg(saldo.get_program());
        command.envs(saldo.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let credentials_file = self.path("credentials.json");
        let file_flags = ["--credentials-file", credentials_file.to_str().unwrap(), CLEAN];
        let flags = [&file_flags[..], flags].concat();
        let running = self.run_command(command, self.log().into(), "demo", &flags);
        Starting { running, credentials_file }.listening()
    }

    /// Starts a verb that serves this folder, on a free port.
    fn run(&self, verb: &str, flags: &[&str]) -> Running {
        self.run_command(self.command(), self.log().into(), verb, flags)
    }

    fn log(&self) -> File {
        OpenOptions::new().create(true).append(true).open(self.path("server.log")).unwrap()
    }

    fn run_command(
        &self,
        mut command: Command,
        stderr: Stdio,
        verb: &str,
        flags: &[&str],
    ) -> Running {
        let log = self.path("server.log");
        let log_from = fs::metadata(&log).map_or(0, |file| usize::try_from(file.len()).unwrap());
        let child = command
            .args([verb, "--listen", "127.0.0.1:0", "--data-dir"])
            .arg(self.data_dir())
            .args(flags)
            // All clients of a test come from one address.
            .env("SALDO_CONNECTIONS_PER_ADDRESS", "1000")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(stderr)
            .spawn()
            .unwrap();
        Running { process: Process(child), log, log_from }
    }

    /// Runs a verb on this data folder, whether its server runs or not.
    pub fn saldo(&self, arguments: &[&str]) -> Output {
        self.saldo_in(&self.data_dir(), arguments)
    }

    /// Runs a verb on another data folder with this one's database.
    pub fn saldo_in(&self, data_dir: &Path, arguments: &[&str]) -> Output {
        let mut command = self.command();
        command.args(arguments).arg("--data-dir").arg(data_dir).stdin(Stdio::null());
        command.output().unwrap()
    }

    /// Runs a verb that must succeed.
    #[track_caller]
    pub fn saldo_ok(&self, arguments: &[&str]) -> Output {
        let output = self.saldo(arguments);
        assert!(output.status.success(), "saldo {arguments:?}: {}", describe(&output));
        output
    }

    /// Runs a verb that must succeed; gives its JSON lines.
    #[track_caller]
    pub fn saldo_json(&self, arguments: &[&str]) -> Vec<Value> {
        String::from_utf8(self.saldo_ok(arguments).stdout)
            .unwrap()
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// Audits the ledger.
    pub fn verify(&self) {
        let output = self.saldo(&["verify"]);
        assert_eq!(output.status.code(), Some(0), "saldo verify: {}", describe(&output));
    }

    /// What the simulator accepted, oldest first.
    pub fn truth(&self) -> Vec<Record> {
        let file = self.data_dir().join("simulator-truth.jsonl");
        if file.exists() { read_truth(&file).unwrap() } else { Vec::new() }
    }

    /// The current credentials file.
    pub fn credentials(&self) -> Credentials {
        let text = fs::read_to_string(self.path("credentials.json")).unwrap();
        serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"))
    }
}

impl Drop for Folder {
    /// A test meant for PostgreSQL must not have written to SQLite.
    fn drop(&mut self) {
        let is_on_sqlite = self.url.is_some() && self.data_dir().join("saldo.db").exists();
        assert!(!is_on_sqlite || std::thread::panicking(), "something was written to SQLite");
    }
}

/// Runs the binary and waits for its end.
pub fn saldo(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_saldo")).args(arguments).stdin(Stdio::null()).output().unwrap()
}

/// Exit status and output of a command, for the messages of assertions.
pub fn describe(output: &Output) -> String {
    let (stdout, stderr) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}\n{stdout}\n{stderr}", output.status)
}

/// A command that ended with this code, and whose output mentions this.
#[track_caller]
pub fn assert_exit(output: &Output, code: i32, mentions: &str) {
    assert_eq!(output.status.code(), Some(code), "{}", describe(output));
    assert!(describe(output).contains(mentions), "{mentions:?}: {}", describe(output));
}

/// An empty file of this name.
pub fn touch(path: &Path) {
    File::create(path).unwrap();
}

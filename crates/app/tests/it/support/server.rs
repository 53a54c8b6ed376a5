//! A running server process and the credentials it hands out.
//!
//! Invariant: a server never outlives its test, and a test fails if its server panicked.

use super::client::Client;
use serde::Deserialize;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;
use tokio::time::Instant;

const START_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(40);
const LOGGED_WITHIN: Duration = Duration::from_secs(10);
pub(super) const POLL_EVERY: Duration = Duration::from_millis(5);

/// A child process that does not outlive its test.
pub(super) struct Process(pub(super) Child);

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that serves a folder, and its log.
pub struct Running {
    pub(super) process: Process,
    pub(super) log: PathBuf,
    /// Where in the log file this process's own lines begin.
    pub(super) log_from: usize,
}

impl Running {
    /// Asks it to stop (SIGTERM) and does not wait.
    pub fn ask_to_stop(&self) {
        self.signal("TERM");
    }

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        // `kill` is built into every shell; the standard library knows SIGKILL only.
        let kill = format!("kill -{name} {}", self.process.0.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// Waits for the end of a server that was asked to stop.
    pub fn ended(mut self) -> ExitStatus {
        let asked = Instant::now();
        loop {
            if let Some(status) = self.process.0.try_wait().unwrap() {
                self.assert_no_panic();
                return status;
            }
            assert!(asked.elapsed() < STOP_WITHIN, "the server does not stop: {}", self.log());
            std::thread::sleep(POLL_EVERY);
        }
    }

    /// Stops it gracefully: the exit code must be 0.
    pub fn stop(self) {
        self.ask_to_stop();
        let status = self.ended();
        assert_eq!(status.code(), Some(0), "a graceful stop ends with 0");
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(self) {
        self.assert_no_panic();
        drop(self.process);
    }

    /// Host and port of a `serve` that listens.
    pub fn address(&self) -> String {
        let log = self.log();
        let rest = log.split_once("Saldo serves http://").unwrap().1;
        rest.split_once(' ').unwrap().0.to_owned()
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(bytes.get(self.log_from..).unwrap_or_default()).into_owned()
    }

    fn assert_no_panic(&self) {
        assert!(!self.log().contains("panicked"), "the server panicked: {}", self.log());
    }

    pub(super) fn has_ended(&mut self) -> bool {
        self.process.0.try_wait().unwrap().is_some()
    }

    /// Waits until `ready` gives something; panics if the process ends or takes too long.
    pub(super) fn wait_until<T>(mut self, ready: impl Fn(&Running) -> Option<T>) -> (Running, T) {
        let started = Instant::now();
        loop {
            if let Some(value) = ready(&self) {
                return (self, value);
            }
            let ended = self.process.0.try_wait().unwrap();
            assert!(
                ended.is_none() && started.elapsed() < START_WITHIN,
                "the server does not start ({ended:?}): {}",
                self.log()
            );
            std::thread::sleep(POLL_EVERY);
        }
    }
}

/// A server that may not listen yet.
pub struct Starting {
    pub(super) running: Running,
    pub(super) credentials_file: PathBuf,
}

impl Starting {
    /// Waits for the credentials file, which is written once the server listens.
    pub fn listening(self) -> Server {
        let file = self.credentials_file;
        let (running, text) = self.running.wait_until(|_| fs::read_to_string(&file).ok());
        let credentials: Credentials =
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{e}: {text}"));
        let address = credentials.base_url.trim_start_matches("http://").to_owned();
        Server { running, address, credentials }
    }

    /// Sends SIGKILL, however far the start has come.
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

    /// Sends a signal.
    pub fn signal(&self, name: &str) {
        self.running.signal(name);
    }

    /// Waits for the end of a server that was asked to stop.
    pub fn ended(self) -> ExitStatus {
        self.running.ended()
    }

    /// Stops it gracefully: the exit code must be 0.
    pub fn stop(self) {
        self.running.stop();
    }

    /// Sends SIGKILL and waits for the end.
    pub fn kill(self) {
        self.running.kill();
    }

    /// Its log so far.
    pub fn log(&self) -> String {
        self.running.log()
    }

    /// Its log, once it has this text so many times: lines are written by a thread of their own.
    pub async fn log_with(&self, text: &str, times: usize) -> String {
        let asked = Instant::now();
        loop {
            let log = self.log();
            if log.matches(text).count() >= times {
                return log;
            }
            assert!(asked.elapsed() < LOGGED_WITHIN, "{text:?} is not there {times} times: {log}");
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

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

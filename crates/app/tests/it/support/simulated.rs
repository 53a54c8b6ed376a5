//! A running `saldo simulate`.

use super::server::Process;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

/// A simulated upstream, which ends with this.
pub struct Simulated {
    /// Host and port.
    pub address: String,
    _process: Process,
}

impl Simulated {
    /// Starts it with these arguments, on a free port, and waits until it listens.
    pub fn start(arguments: &[&str]) -> Simulated {
        let mut child = Command::new(env!("CARGO_BIN_EXE_saldo"))
            .arg("simulate")
            .args(arguments)
            .args(["--listen", "127.0.0.1:0"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = child.stdout.take().unwrap();
        let process = Process(child);
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).unwrap();
        let address = line.trim().rsplit_once("http://").unwrap().1.to_owned();
        Simulated { address, _process: process }
    }
}

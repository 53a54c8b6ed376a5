//! `saldo`: wires the crates together and prints. The rules are elsewhere.

mod archive;
mod backup;
mod catalog;
mod clock;
mod cmd;
mod config;
mod control;
mod credentials;
mod log;
mod mail;
mod output;
mod push;
mod rollback_guard;
mod secrets;
mod server;
mod webhook_sender;
mod wiring;

use clap::Parser as _;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What cannot be started is said in one sentence, with exit code 2.
fn main() -> ExitCode {
    match cmd::run(cmd::Cli::parse()) {
        Ok(exit) => exit,
        Err(error) => {
            let mut output = output::Output::default();
            output.say(format!("saldo: {error:#}"));
            output.print();
            ExitCode::from(2)
        }
    }
}

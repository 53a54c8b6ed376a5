//! `saldo`: reads the command line and the settings, wires the crates together, and prints.
//!
//! Not here: rules about money and purchases (`domain`, `engine`).

mod catalog;
mod clock;
mod cmd;
mod config;
mod control;
mod credentials;
mod files;
mod log;
mod maintenance;
mod metrics;
mod outbound;
mod output;
mod secrets;
mod server;
mod wiring;

use clap::Parser as _;
use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A command that cannot be started prints one sentence and exits with code 2.
fn main() -> ExitCode {
    let _flush = log::FlushAtEnd;
    files::make_private();
    cmd::run(cmd::Cli::parse()).unwrap_or_else(|error| {
        let mut output = output::Output::default();
        output.say_lines(format!("saldo: {error:#}"));
        output.print_from_server();
        ExitCode::from(2)
    })
}

//! `saldo serve`: serves the installation in the data folder; a new one gets the built-in catalogs.
//!
//! Not here: the server itself (`server.rs`).

use crate::cmd::demo::CREDENTIALS_FILE;
use crate::config::{Config, Flags};
use crate::output::Output;
use crate::server::Server;
use crate::{log, wiring};
use domain::Environment;
use engine::Engine;
use std::net::SocketAddr;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

#[derive(clap::Args, Debug)]
pub(crate) struct ServeArgs {
    /// Listen here [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
    /// The clock is right, however far it is from what is stored: sell by it.
    #[arg(long)]
    accept_clock: bool,
}

pub(crate) fn run(flags: &Flags, args: ServeArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(flags, args.listen)?;
    log::start(&config)?;
    runtime()?.block_on(async {
        let engine = wiring::open_to_serve(&config, args.accept_clock)?;
        // A demo's live purchases are simulated, so they must not be sold to paying customers.
        let is_demo = config.data_dir.join(CREDENTIALS_FILE).exists();
        anyhow::ensure!(
            !engine.is_simulated(Environment::Live) && !is_demo,
            "{} was made by `saldo demo`: its live purchases are simulated; \
             give an empty folder with --data-dir",
            config.data_dir.display()
        );
        wiring::seed_catalog(&engine).await?;
        let server = Server::bind(engine.clone(), &config)?;
        greet(&engine, server.base_url())?;
        drop(engine);
        server.run(&config).await
    })
}

/// A runtime with one thread for each core, in a process that SIGHUP does not end.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let inside = runtime.enter();
    // A terminal that closes ends no server. Once a signal has a handler, it has it for good.
    let _ = signal(SignalKind::hangup())?;
    drop(inside);
    Ok(runtime)
}

fn greet(engine: &Engine, base_url: &str) -> anyhow::Result<()> {
    let mut output = Output::default();
    output.say(format!("Saldo serves {base_url} (reference: {base_url}/docs)."));
    if engine.accounts()?.len() == 1 {
        output.say(
            "No merchant yet: saldo account open --name NAME, \
             then saldo key make, then saldo wallet deposit.",
        );
    }
    output.print_from_server();
    Ok(())
}

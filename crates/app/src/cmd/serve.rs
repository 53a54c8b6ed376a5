//! `saldo serve`: serves what is in the data folder.

use crate::cmd::demo::MADE_FILE;
use crate::config::{Config, Flags};
use crate::output::Output;
use crate::server::Server;
use crate::{log, wiring};
use domain::Environment;
use engine::Engine;
use std::net::SocketAddr;
use std::process::ExitCode;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Listen here [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

pub(crate) fn run(flags: &Flags, args: Args) -> anyhow::Result<ExitCode> {
    let config = Config::load(flags, args.listen)?;
    log::start(&config)?;
    runtime()?.block_on(async {
        let engine = wiring::open(&config)?;
        // What a demo sells in its live environment is simulated; whoever pays must not get that.
        anyhow::ensure!(
            !engine.is_simulated(Environment::Live) && !config.data_dir.join(MADE_FILE).exists(),
            "{} was made by `saldo demo`: its live purchases are simulated; give an empty folder with --data-dir",
            config.data_dir.display()
        );
        wiring::seed(&engine).await?;
        let server = Server::bind(engine.clone(), &config)?;
        greet(&engine, server.base_url())?;
        drop(engine);
        server.run(&config).await
    })
}

/// A runtime for a server: a thread a core.
pub(crate) fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

fn greet(engine: &Engine, base_url: &str) -> anyhow::Result<()> {
    let mut output = Output::default();
    output.say(format!("Saldo serves {base_url} (reference: {base_url}/docs)."));
    if engine.accounts()?.len() == 1 {
        output.say("No merchant yet: saldo account open --name NAME, then saldo key make, then saldo wallet deposit.");
    }
    output.print();
    Ok(())
}

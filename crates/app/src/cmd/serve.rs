//! `saldo serve`: serves the installation in the data folder; a new one gets the built-in catalogs.
//!
//! Not here: the server itself (`server.rs`).

use crate::cmd::demo::CREDENTIALS_FILE;
use crate::config::{Config, Flags};
use crate::files::{cannot, write_private};
use crate::log;
use crate::outbound::mail;
use crate::output::Output;
use crate::server::{Pages, Server};
use crate::wiring::{self, Serving};
use anyhow::Context as _;
use engine::Engine;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
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
    /// Let connectors call this machine, by plain http too: for development.
    #[arg(long)]
    connectors_to_loopback: bool,
}

pub(crate) fn run(flags: &Flags, args: ServeArgs) -> anyhow::Result<ExitCode> {
    let mut config = Config::load(flags, args.listen)?;
    config.connectors_to_loopback |= args.connectors_to_loopback;
    log::start(&config)?;
    runtime()?.block_on(async {
        let serving = Serving { is_clock_accepted: args.accept_clock, is_demo: false };
        let engine = wiring::open_to_serve(&config, &serving)?;
        refuse_play(&engine, &config.data_dir)?;
        wiring::seed_catalog(&engine).await?;
        let server = Server::bind(engine.clone(), &config)?;
        warn(&config);
        greet(&engine, server.base_url())?;
        first_owner(&engine, server.base_url(), &config.data_dir).await?;
        drop(engine);
        server.run(&config, Pages::Real).await
    })
}

/// Simulated purchases must not be sold to paying customers. Refuses the folder of a demo, and live
/// routes that lead to a simulator, which an earlier version took.
fn refuse_play(engine: &Engine, data_dir: &Path) -> anyhow::Result<()> {
    anyhow::ensure!(
        !data_dir.join(CREDENTIALS_FILE).exists(),
        "{} was made by `saldo demo`: its live purchases are simulated; \
         give an empty folder with --data-dir",
        data_dir.display()
    );
    let routes = wiring::simulated_live_routes(engine);
    anyhow::ensure!(
        routes.is_empty(),
        "live routes lead to a simulator, which delivers nothing to anybody: {routes}; remove \
         each with `saldo route off NUMBER --data-dir {}` and start again (or, if `saldo demo` \
         made these data, give a folder of your own)",
        data_dir.display()
    );
    Ok(())
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

/// The file of the first owner's link.
const FIRST_OWNER_FILE: &str = "first-owner-link.txt";

/// As long as the staff have no owner, each start prints a link that makes one.
async fn first_owner(engine: &Engine, base_url: &str, data_dir: &Path) -> anyhow::Result<()> {
    let file = data_dir.join(FIRST_OWNER_FILE);
    let code = engine.first_owner_code(wiring::machine(engine, "start")?).await;
    let Some(code) = code.map_err(wiring::refused)? else {
        if file.exists() {
            std::fs::remove_file(&file).with_context(cannot(&file, "be removed"))?;
        }
        return Ok(());
    };
    let link = format!("{base_url}/admin/join?first=yes&code={code}");
    write_private(&file, format!("{link}\n").as_bytes())?;
    let mut output = Output::default();
    output.say(format!(
        "The staff have no owner yet. This link makes one, once, within 30 minutes; it is in {} \
         too:",
        file.display()
    ));
    output.say(link);
    output.print_from_server();
    Ok(())
}

/// What an operator should know before the first customer comes.
fn warn(config: &Config) {
    if is_in_clear(config.listen.ip()) {
        tracing::warn!(
            listen = %config.listen,
            "plain HTTP on a public address: keys, passwords and tokens can be read on the way; \
             listen on 127.0.0.1 and put a proxy with TLS in front (docs/operate.md, Deploy)"
        );
    }
    if config.smtp_url.0.is_empty() {
        tracing::warn!(
            folder = %config.data_dir.join(mail::FOLDER).display(),
            "no smtp_url: codes to confirm a sign-up or to set a new password are sent to nobody; \
             each mail is written to a file (docs/operate.md, Mail)"
        );
    }
}

/// Whether what is sent to this address may travel over networks of others.
const fn is_in_clear(listen: IpAddr) -> bool {
    match listen {
        IpAddr::V4(ip) => !ip.is_loopback() && !ip.is_private() && !ip.is_link_local(),
        IpAddr::V6(ip) => !ip.is_loopback() && !ip.is_unique_local() && !ip.is_unicast_link_local(),
    }
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

#[cfg(test)]
mod tests {
    use super::is_in_clear;

    #[test]
    fn a_public_address_differs_from_others() {
        for (listen, expected) in [
            ("127.0.0.1", false),
            ("::1", false),
            ("10.1.2.3", false),
            ("fd00::7", false),
            ("0.0.0.0", true),
            ("::", true),
            ("203.0.113.7", true),
        ] {
            assert_eq!(is_in_clear(listen.parse().unwrap()), expected, "{listen}");
        }
    }
}

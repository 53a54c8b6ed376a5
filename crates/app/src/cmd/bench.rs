//! `saldo bench` and `saldo bench-fill`: give the crate `bench` the clock, the settings and the
//! engine.
//!
//! Not here: the measurements (`bench`). Compiled only with the feature `bench`.

use crate::clock::MachineClock;
use crate::cmd::demo::CREDENTIALS_FILE;
use crate::config::{Config, Flags};
use crate::secrets::MASTER_KEY_FILE;
use crate::{log, wiring};
use bench::{Host, Installation};
use engine::Engine;
use std::process::ExitCode;
use std::sync::Arc;

pub(crate) fn run(args: &bench::Args) -> anyhow::Result<ExitCode> {
    bench::run(args, &host())
}

pub(crate) fn pages(args: &bench::pages::PagesArgs) -> anyhow::Result<ExitCode> {
    bench::pages::run(args, &host())
}

fn host() -> Host {
    let clock = Arc::new(MachineClock::new());
    Host { clock, open_engine, node_files: &[MASTER_KEY_FILE, CREDENTIALS_FILE] }
}

fn open_engine(installation: &Installation) -> anyhow::Result<Engine> {
    let flags = Flags {
        data_dir: Some(installation.data_dir.clone()),
        database_url: Some(installation.database_url.clone()),
        ..Flags::default()
    };
    wiring::open(&Config::load(&flags, None)?)
}

pub(crate) fn fill(flags: &Flags, args: &bench::fill::FillArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(flags, None)?;
    log::start(&config)?;
    let (database_url, data_dir) = (config.database_url.0, config.data_dir);
    let installation = Installation { database_url, data_dir };
    bench::fill::run(args, &installation, &MachineClock::new())
}

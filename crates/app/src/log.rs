//! Structured logs to stderr.
//!
//! Invariants: the `Debug` of a secret's type does not show the secret; phone numbers are masked
//! before they are logged.

use crate::config::{Config, LogFormat};
use anyhow::{Context as _, anyhow};
use std::io::{IsTerminal as _, stderr};
use tracing_subscriber::EnvFilter;

/// At lower levels the PostgreSQL client logs the parameters of every statement, which include
/// secrets.
const POSTGRES_LEVEL: &str = "tokio_postgres=warn";

/// Starts logging; fails if the process has a logger already.
pub(crate) fn start(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log)
        .with_context(|| format!("log: {:?} is no level", config.log))?
        .add_directive(POSTGRES_LEVEL.parse()?);
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    match config.log_format {
        LogFormat::Text => {
            subscriber.with_target(false).with_ansi(stderr().is_terminal()).try_init()
        }
        LogFormat::Json => subscriber.json().try_init(),
    }
    .map_err(|error| anyhow!("logging cannot be started: {error}"))
}

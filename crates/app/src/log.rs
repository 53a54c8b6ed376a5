//! Structured logs to stderr. What is secret has no `Debug` that shows it; numbers are masked where
//! they are logged.

use crate::config::{Config, LogFormat};
use anyhow::{Context as _, anyhow};
use std::io::{IsTerminal as _, stderr};
use tracing_subscriber::EnvFilter;

/// At lower levels the PostgreSQL client logs the values of every statement, secrets among them.
const VALUES_UNSHOWN: &str = "tokio_postgres=warn";

/// Starts logging as the configuration says.
pub(crate) fn start(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log)
        .with_context(|| format!("log: {:?} is no level", config.log))?
        .add_directive(VALUES_UNSHOWN.parse()?);
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_writer(stderr);
    match config.log_format {
        LogFormat::Text => {
            subscriber.with_target(false).with_ansi(stderr().is_terminal()).try_init()
        }
        LogFormat::Json => subscriber.json().try_init(),
    }
    .map_err(|error| anyhow!("logging cannot be started: {error}"))
}

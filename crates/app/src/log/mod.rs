//! The log, on stderr: one line for each event, written by a thread of its own.
//!
//! Invariants: no line of the log makes anything wait or fail, whatever becomes of stderr; no
//! character that a terminal would obey gets out; the `Debug` of a secret's type does not show the
//! secret; phone numbers are masked before they are logged.

mod counts;
mod escape;
mod line_writer;

pub(crate) use escape::escaped;

use crate::config::{Config, LogFormat};
use anyhow::{Context as _, anyhow};
use counts::{COUNTED, CountLayer, Counts};
use line_writer::LineWriter;
use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Write};
use std::os::fd::AsFd as _;
use std::panic::PanicHookInfo;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _};

/// At lower levels the PostgreSQL client logs the parameters of every statement, which include
/// secrets.
const POSTGRES_LEVEL: &str = "tokio_postgres=warn";
/// How long the end of the process waits for lines that are not written yet. Nobody may be reading.
const FLUSH_WITHIN: Duration = Duration::from_secs(1);

static STDERR: OnceLock<LineWriter> = OnceLock::new();
static COUNTS: OnceLock<Arc<Counts>> = OnceLock::new();

thread_local! {
    /// On the writer's own thread, while it makes a line itself: where the line goes.
    static OWN_LINE: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Starts logging; fails if the process has a logger already.
pub(crate) fn start(config: &Config) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(&config.log)
        .with_context(|| format!("log: {:?} is no level", config.log))?
        .add_directive(POSTGRES_LEVEL.parse()?);
    let counts = COUNTS.get_or_init(Counts::start);
    // Colours would be control characters. An error of the writer would be printed, and the print
    // would panic: there is none.
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(|| EventWriter)
        .log_internal_errors(false);
    let lines = match config.log_format {
        LogFormat::Text => lines.with_target(false).boxed(),
        LogFormat::Json => lines.json().boxed(),
    };
    tracing_subscriber::registry()
        .with(filter)
        .with(CountLayer(counts.clone()))
        .with(lines.with_filter(filter_fn(|event| event.target() != COUNTED)))
        .try_init()
        .map_err(|error| anyhow!("logging cannot be started: {error}"))?;
    // The usual hook writes to stderr itself, and would wait with it.
    std::panic::set_hook(Box::new(log_panic));
    Ok(())
}

/// Writes lines to stderr beside the log, without waiting. They are escaped already.
pub(crate) fn print(lines: &str) {
    if !lines.is_empty() {
        stderr().write(lines.as_bytes().to_vec());
    }
}

/// Dropped at the end of the process, however it ends: the last lines still go out.
pub(crate) struct FlushAtEnd;

impl Drop for FlushAtEnd {
    fn drop(&mut self) {
        if let Some(counts) = COUNTS.get() {
            counts.report();
        }
        if let Some(writer) = STDERR.get() {
            writer.flush(FLUSH_WITHIN);
        }
    }
}

fn stderr() -> &'static LineWriter {
    STDERR.get_or_init(|| {
        // A descriptor of its own: the usual one is locked for as long as a write takes.
        match io::stderr().as_fd().try_clone_to_owned() {
            Ok(stderr) => LineWriter::start(File::from(stderr), lost_lines),
            Err(_) => LineWriter::start(io::sink(), lost_lines),
        }
    })
}

/// The line about lines that were lost, in the log's format.
fn lost_lines(lost: u64, why: &str) -> Vec<u8> {
    OWN_LINE.set(Some(Vec::new()));
    tracing::warn!(lost, why, "log lines were lost");
    OWN_LINE.take().unwrap_or_default()
}

fn log_panic(panic: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let thread = thread.name().unwrap_or("unnamed");
    let text = panic.payload_as_str().unwrap_or("no text");
    let at = panic.location().map(ToString::to_string).unwrap_or_default();
    tracing::error!(thread, at, text, "a thread panicked");
}

/// Takes what the formatter writes, one whole event at a time.
struct EventWriter;

impl Write for EventWriter {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let line = escaped(text.trim_end_matches('\n')) + "\n";
        let line = line.into_owned().into_bytes();
        OWN_LINE.with_borrow_mut(|own| match own {
            Some(own) => own.extend(line),
            None => stderr().write(line),
        });
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

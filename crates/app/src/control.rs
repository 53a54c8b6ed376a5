//! How a command reaches a server that holds the data folder: a socket inside the folder.
//!
//! The folder belongs to one process. A command that finds it held hands its words to that process,
//! which runs them with the same code and gives back what to print. Whoever may open the folder
//! may use the socket; nobody else.

use crate::cmd::{self, Cli, Place, Verb};
use crate::output::Output;
use anyhow::Context as _;
use clap::Parser as _;
use engine::Engine;
use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const SOCKET: &str = "control.sock";
/// A command's words are short; this is plenty.
const REQUEST_BYTES_MAX: u64 = 64 * 1024;
/// A program writes its words at once.
const WORDS_WITHIN: Duration = Duration::from_secs(5);
/// How long a command under way may take when the server ends.
const END_WITHIN: Duration = Duration::from_secs(5);

#[derive(Serialize, Deserialize)]
struct Request {
    words: Vec<String>,
    /// The folder that the asker works in: the words name paths from there.
    #[serde(default)]
    here: PathBuf,
}

#[derive(Serialize, Deserialize)]
struct Reply {
    exit: u8,
    output: Output,
}

/// Serves commands until stopped.
pub(crate) struct Control {
    path: PathBuf,
    data_dir: PathBuf,
    listener: UnixListener,
}

impl Control {
    /// Opens the socket in a folder that this process holds; one left by a crash is replaced.
    pub(crate) fn open(data_dir: &Path) -> anyhow::Result<Control> {
        let path = data_dir.join(SOCKET);
        if path.exists() {
            std::fs::remove_file(&path)
                .with_context(|| format!("{} cannot be replaced", path.display()))?;
        }
        let listener = UnixListener::bind(&path)
            .with_context(|| format!("{} cannot be opened", path.display()))?;
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, private)
            .with_context(|| format!("{} cannot be made private", path.display()))?;
        Ok(Control { path, data_dir: data_dir.to_owned(), listener })
    }

    /// Answers commands, each in a task of its own, until stopped. A command that is under way
    /// then has a moment to end.
    pub(crate) async fn serve(self, engine: Engine, stop: CancellationToken) {
        let tasks = TaskTracker::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = stop.cancelled() => break,
            };
            match accepted {
                Ok((stream, _)) => {
                    let data_dir = self.data_dir.clone();
                    tasks.spawn(answer_or_warn(engine.clone(), data_dir, stream));
                }
                Err(error) => tracing::warn!(%error, "a command could not be taken"),
            }
        }
        // Its own end of the engine goes before the wait: a command that hangs keeps nothing open.
        drop(engine);
        tasks.close();
        // Whoever is not done in time finds the socket closed.
        let _ = tokio::time::timeout(END_WITHIN, tasks.wait()).await;
        // It is replaced at the next start anyway.
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn answer_or_warn(engine: Engine, data_dir: PathBuf, stream: UnixStream) {
    if let Err(error) = answer(&engine, data_dir, stream).await {
        tracing::warn!(%error, "a command could not be answered");
    }
}

async fn answer(engine: &Engine, data_dir: PathBuf, mut stream: UnixStream) -> anyhow::Result<()> {
    let (read, mut write) = stream.split();
    let mut line = String::new();
    let mut words = tokio::io::BufReader::new(read.take(REQUEST_BYTES_MAX));
    tokio::time::timeout(WORDS_WITHIN, words.read_line(&mut line))
        .await
        .context("no words came")??;
    let request: Request = serde_json::from_str(&line)?;
    let mut output = Output::default();
    let exit = match Cli::try_parse_from(&request.words).map(|cli| cli.verb) {
        Ok(Verb::Ask(verb)) => {
            let place = Place { data_dir, here: request.here };
            cmd::ask(engine, &place, verb, &mut output).await
        }
        Ok(_) => {
            output.say("This command needs a data folder of its own.");
            2
        }
        Err(error) => {
            output.say(error);
            2
        }
    };
    let reply = serde_json::to_string(&Reply { exit, output })?;
    write.write_all(reply.as_bytes()).await?;
    write.write_all(b"\n").await?;
    Ok(())
}

/// Hands this process's own words to the server that holds the folder, and prints its answer.
pub(crate) fn hand_over(data_dir: &Path) -> anyhow::Result<ExitCode> {
    let path = data_dir.join(SOCKET);
    let unreachable = || {
        format!("{} is in use by another Saldo process that takes no commands", data_dir.display())
    };
    let mut stream = std::os::unix::net::UnixStream::connect(&path).with_context(unreachable)?;
    let words = std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect();
    let mut line = serde_json::to_string(&Request { words, here: std::env::current_dir()? })?;
    line.push('\n');
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    let reply: Reply =
        serde_json::from_str(&answer).context("the server hung up before it answered")?;
    reply.output.print();
    Ok(ExitCode::from(reply.exit))
}

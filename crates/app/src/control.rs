//! The control socket: how a command reaches the server that has locked the data folder.
//!
//! One process at a time uses a data folder. A command that finds it locked sends its arguments to
//! that process, which runs it with the same code and returns its output. Only the owner of the
//! folder can open the socket. The names of the fields on the socket stay, so that versions
//! understand each other.

use crate::cmd::given::GivenFiles;
use crate::cmd::{self, Caller, Cli, Verb};
use crate::files::cannot;
use crate::output::Output;
use anyhow::{Context as _, anyhow};
use clap::Parser as _;
use engine::Engine;
use serde::{Deserialize, Serialize};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::WriteHalf;
use tokio::net::{UnixListener, UnixStream};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const SOCKET: &str = "control.sock";
/// Far more than the arguments of any command.
const ARGUMENTS_BYTES_MAX: usize = 64 * 1024;
/// The arguments, and the files that they name: a catalog, or the secrets of an upstream.
const REQUEST_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// A client sends its request as soon as it is connected.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(5);
/// How long running commands may take when the server stops.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// What is said of a longer command.
const TOO_LONG: &str = "the command is too long: at most 64 KiB of arguments, and 8 MiB with the \
                        files that they name";

#[derive(Serialize, Deserialize)]
struct Request {
    #[serde(rename = "words")]
    arguments: Vec<String>,
    /// The client's working folder: paths in the arguments are relative to it.
    #[serde(default, rename = "here")]
    working_dir: PathBuf,
    /// The files that the arguments name: only the client opens them.
    #[serde(default, rename = "files")]
    given: GivenFiles,
}

#[derive(Serialize, Deserialize)]
struct Reply {
    exit: u8,
    output: Output,
}

/// The server's end of the socket.
pub(crate) struct Control {
    path: PathBuf,
    data_dir: PathBuf,
    listener: UnixListener,
}

impl Control {
    /// Opens the socket in a folder that this process has locked, and replaces one left by a crash.
    pub(crate) fn open(data_dir: &Path) -> anyhow::Result<Control> {
        let path = data_dir.join(SOCKET);
        if path.exists() {
            std::fs::remove_file(&path).with_context(cannot(&path, "be replaced"))?;
        }
        let listener = UnixListener::bind(&path).with_context(cannot(&path, "be opened"))?;
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, private).with_context(cannot(&path, "be made private"))?;
        Ok(Control { path, data_dir: data_dir.to_owned(), listener })
    }

    /// Runs commands, each in a task of its own, until `stop`. Running commands then get a few
    /// seconds to finish.
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
                Err(error) => tracing::warn!(%error, "a command could not be accepted"),
            }
        }
        // Dropped before the wait, so that this task does not keep the engine open meanwhile.
        drop(engine);
        tasks.close();
        // A client whose command takes longer finds the connection closed.
        let _ = tokio::time::timeout(DRAIN_TIMEOUT, tasks.wait()).await;
        // Best effort: the next start replaces the socket.
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
    let mut reader = tokio::io::BufReader::new(read.take(REQUEST_BYTES_MAX));
    tokio::time::timeout(REQUEST_TIMEOUT, reader.read_line(&mut line))
        .await
        .context("no request arrived")??;
    let mut output = Output::default();
    if !line.ends_with('\n') && line.len() as u64 >= REQUEST_BYTES_MAX {
        output.say(TOO_LONG);
        return reply(&mut write, 2, output).await;
    }
    // What is wrong with it is not said: it may contain a secret.
    let request: Request = serde_json::from_str(&line).map_err(|_| anyhow!("it cannot be read"))?;
    let exit = match Cli::try_parse_from(&request.arguments).map(|cli| cli.verb) {
        Ok(Verb::Engine(verb)) => {
            let Request { working_dir, given, .. } = request;
            let caller = Caller { engine, data_dir, working_dir, given };
            cmd::run_on_engine(&caller, verb, &mut output).await
        }
        Ok(_) => {
            output.say("This command needs a data folder of its own.");
            2
        }
        Err(error) => {
            output.say_lines(error);
            2
        }
    };
    reply(&mut write, exit, output).await
}

async fn reply(write: &mut WriteHalf<'_>, exit: u8, output: Output) -> anyhow::Result<()> {
    let reply = serde_json::to_string(&Reply { exit, output })? + "\n";
    Ok(write.write_all(reply.as_bytes()).await?)
}

/// Sends this process's arguments to the server that has locked the folder, and prints its reply.
pub(crate) fn run_on_server(data_dir: &Path, given: GivenFiles) -> anyhow::Result<ExitCode> {
    let path = data_dir.join(SOCKET);
    let unreachable = || {
        format!("{} is in use by another Saldo process that takes no commands", data_dir.display())
    };
    let mut stream = std::os::unix::net::UnixStream::connect(&path).with_context(unreachable)?;
    let arguments: Vec<String> =
        std::env::args_os().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let length: usize = arguments.iter().map(String::len).sum();
    let request = Request { arguments, working_dir: std::env::current_dir()?, given };
    let line = serde_json::to_string(&request)? + "\n";
    let is_bounded = length <= ARGUMENTS_BYTES_MAX && line.len() as u64 <= REQUEST_BYTES_MAX;
    anyhow::ensure!(is_bounded, TOO_LONG);
    stream.write_all(line.as_bytes())?;
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer)?;
    let reply: Reply =
        serde_json::from_str(&answer).context("the server hung up before it answered")?;
    Ok(reply.output.print(reply.exit))
}

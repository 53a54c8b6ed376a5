//! Connections to a PostgreSQL server: one thread does their I/O, whoever asks waits on its own.
//!
//! Not here: statements. Invariants: no runtime is nested in another, because the futures of a
//! connection's client need none; nobody waits for ever for a server that says nothing.

use super::find::{self, Newest};
use super::tls::Tls;
use crate::fault::{Fault, OpenError};
use domain::Month;
use futures_util::future::poll_fn;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{JoinHandle, Thread};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc as signals, oneshot};
use tokio::task::JoinHandle as TaskHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::Severity;
use tokio_postgres::tls::TlsStream;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, Socket, Statement};

/// For a host to let us in. Failing over to another must not take long.
pub(super) const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// A server that says nothing for so long is not waited for any more.
pub(super) const PATIENCE: Duration = Duration::from_secs(15);
/// How often a waiting thread looks whether its patience is at an end.
const TICK: Duration = Duration::from_millis(100);
/// For connections to say good-bye.
const CLOSE_WITHIN: Duration = Duration::from_secs(1);

/// A server, or several hosts of which one takes writes, and the thread that talks to it.
pub(crate) struct Server {
    /// One for each host.
    hosts: Vec<Config>,
    newest: Newest,
    tls: Tls,
    /// Hosts and database, as people are told.
    name: String,
    io: Handle,
    alive: Option<signals::Sender<()>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What is called when another session has something to tell.
pub(super) type Hear = Arc<dyn Fn() + Send + Sync>;

/// A connection that works.
pub(super) struct Line {
    pub(super) client: Arc<Client>,
    /// Whether the server warned of something since this was last cleared.
    pub(super) warned: Arc<AtomicBool>,
    timeline: u32,
    /// Prepared statements by where their text lies: for one row, for sets.
    pub(super) prepared: HashMap<usize, Prepared>,
    /// Prepared statements of several sets, by where the texts of their parts lie, and their months.
    pub(super) together: HashMap<Vec<(usize, Option<Month>)>, Statement>,
}

/// A statement in its two forms.
#[derive(Default)]
pub(super) struct Prepared {
    pub(super) one: Option<Statement>,
    pub(super) sets: Option<Statement>,
}

impl Server {
    /// Reads the address and starts the thread; connects to nothing yet.
    pub(crate) fn new(url: &str) -> Result<Server, OpenError> {
        let (mut config, tls) = parse(url).map_err(OpenError::Url)?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_WITHIN);
        }
        if config.get_application_name().is_none() {
            config.application_name("saldo");
        }
        // A peer that vanished is noticed by what was sent and not taken, and by silence.
        config.tcp_user_timeout(PATIENCE);
        config.keepalives_idle(Duration::from_secs(5));
        config.keepalives_interval(Duration::from_secs(5));
        let name = name(&config);
        let (stop, stopped) = oneshot::channel();
        let (alive, gone) = signals::channel(1);
        let (started, starting) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("pg io".to_owned())
            .spawn(move || serve(&started, stopped, gone))
            .map_err(|error| OpenError::Server(name.clone(), error.to_string()))?;
        let io = starting
            .recv()
            .map_err(|_| OpenError::Server(name.clone(), "no thread for its I/O".to_owned()))?;
        let (alive, stop, thread) = (Some(alive), Some(stop), Some(thread));
        let (hosts, newest) = (find::hosts(&config), Newest::default());
        Ok(Server { hosts, newest, tls, name, io, alive, stop, thread })
    }

    /// Hosts and database, as people are told; without the password.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Lets something go on beside the connections, on their thread.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> TaskHandle<T> {
        self.io.spawn(task)
    }

    /// Becomes true once this time has passed.
    pub(super) fn after(&self, pause: Duration) -> Arc<AtomicBool> {
        let is_over = Arc::new(AtomicBool::new(false));
        let then = is_over.clone();
        self.io.spawn(async move {
            tokio::time::sleep(pause).await;
            then.store(true, Ordering::Release);
        });
        is_over
    }

    /// Opens a connection to the host that takes writes; of several, to the one promoted last.
    pub(super) fn connect(&self) -> Result<Line, Fault> {
        self.open(CONNECT_WITHIN, Arc::new(|| {}))
    }

    /// The same, when whoever asks has less time.
    pub(super) fn connect_within(&self, within: Duration) -> Result<Line, Fault> {
        self.open(within, Arc::new(|| {}))
    }

    /// As [`Server::connect`]; `hear` is called at each notification, on the thread that does the I/O.
    pub(super) fn connect_listening(&self, hear: Hear) -> Result<Line, Fault> {
        self.open(CONNECT_WITHIN, hear)
    }

    fn open(&self, within: Duration, hear: Hear) -> Result<Line, Fault> {
        // Not a channel of tokio's: waited for within a task, it would in time refuse to be ready.
        let (answer, coming) = mpsc::sync_channel(1);
        let how = find::How { tls: self.tls.clone(), alive: self.alive.clone(), hear, within };
        let found = find::primary(self.hosts.clone(), how);
        self.io.spawn(async move {
            // Whoever asked may have gone away; the connection goes with the answer then.
            let _ = answer.send(found.await);
        });
        let answered = coming.recv_timeout(within * 2);
        let found = answered.map_err(|_| Fault::Unavailable("it does not answer".into()))??;
        self.newest.admit(found.who)?;
        Ok(Line {
            client: Arc::new(found.client),
            warned: found.warned,
            timeline: found.who.timeline,
            prepared: HashMap::new(),
            together: HashMap::new(),
        })
    }

    /// Whether a connection still works, as far as one can know without asking, and leads to the
    /// newest primary that was seen.
    pub(super) fn is_good(&self, line: &Line) -> bool {
        !line.client.is_closed() && self.newest.is(line.timeline)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.alive = None;
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the I/O with PostgreSQL panicked");
        }
    }
}

/// What the thread does: lets connections work until it is stopped and they have said good-bye.
fn serve(
    started: &mpsc::Sender<Handle>,
    stopped: oneshot::Receiver<()>,
    mut gone: signals::Receiver<()>,
) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    let _ = started.send(runtime.handle().clone());
    runtime.block_on(async {
        let _ = stopped.await;
        // Nothing is ever sent: it ends when the last connection has.
        let _ = tokio::time::timeout(CLOSE_WITHIN, gone.recv()).await;
    });
}

/// Moves a connection's bytes until it ends.
pub(super) async fn drive<T>(
    mut connection: Connection<Socket, T>,
    warned: &AtomicBool,
    hear: &(dyn Fn() + Sync),
) where
    T: TlsStream + Unpin,
{
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notice(notice))) => {
                tracing::warn!(
                    severity = notice.severity(),
                    notice = notice.message(),
                    "PostgreSQL says"
                );
                // A notice is chatter. A warning, beside a COMMIT, may take the answer back.
                if notice.parsed_severity() == Some(Severity::Warning) {
                    warned.store(true, Ordering::Release);
                }
            }
            Some(Ok(AsyncMessage::Notification(_))) => hear(),
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                tracing::debug!(%error, "a connection to PostgreSQL ended");
                return;
            }
            None => return,
        }
    }
}

/// Hosts and TLS of an address. `verify-full` and `sslrootcert` are ours to understand.
fn parse(url: &str) -> Result<(Config, Tls), String> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err("it does not begin with postgres://".to_owned());
    }
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut mode = "prefer";
    let mut roots = None;
    let mut others = String::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=') {
            Some(("sslmode", value)) => mode = value,
            Some(("sslrootcert", value)) => roots = Some(value.replace("%2F", "/")),
            _ => drop(write!(others, "{}{pair}", if others.is_empty() { '?' } else { '&' })),
        }
    }
    let mut config: Config =
        format!("{base}{others}").parse().map_err(|error: Error| why(&error))?;
    config.ssl_mode(match mode {
        "disable" => SslMode::Disable,
        "prefer" => SslMode::Prefer,
        "require" | "verify-full" => SslMode::Require,
        other => {
            return Err(format!(
                "sslmode={other} is not known; disable, prefer, require and verify-full are"
            ));
        }
    });
    if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
        return Err("it names no host".to_owned());
    }
    Ok((config, Tls::new(mode == "verify-full", roots.as_deref())?))
}

/// Hosts and database, without the password.
fn name(config: &Config) -> String {
    let mut hosts = Vec::new();
    for (index, host) in config.get_hosts().iter().enumerate() {
        let port = config.get_ports().get(index).or_else(|| config.get_ports().first());
        let port = port.map_or(String::new(), |port| format!(":{port}"));
        match host {
            Host::Tcp(host) => hosts.push(format!("{host}{port}")),
            #[cfg(unix)]
            Host::Unix(path) => hosts.push(path.display().to_string()),
        }
    }
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("{}/{database}", hosts.join(","))
}

/// Wakes the thread that waits.
struct Waiter {
    thread: Thread,
    is_woken: AtomicBool,
}

impl Wake for Waiter {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// Waits on this thread; `None` once nothing at all has come for as long as `patience`.
pub(super) fn wait<F: Future>(future: F, patience: Duration) -> Option<F::Output> {
    let mut future = pin!(future);
    let waiter =
        Arc::new(Waiter { thread: std::thread::current(), is_woken: AtomicBool::new(false) });
    let waker = Waker::from(waiter.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut context) {
            return Some(done);
        }
        let mut waited = Duration::ZERO;
        while !waiter.is_woken.swap(false, Ordering::AcqRel) {
            if waited >= patience {
                return None;
            }
            std::thread::park_timeout(TICK);
            waited += TICK;
        }
    }
}

/// What an error of a statement means for whoever asked.
pub(super) fn fault(error: &Error) -> Fault {
    let Some(said) = error.as_db_error() else { return Fault::Unavailable(why(error)) };
    let text = said.message().to_owned();
    match said.code().code() {
        "53100" => Fault::DiskFull(text),
        // What `refuse_count` of the schema says.
        "SC001" => Fault::Corrupt(text),
        code if passes(code) => Fault::Unavailable(text),
        _ => Fault::Database(text),
    }
}

/// Whether the same may work in a moment: no connection, a server on its way down or up or no longer
/// the primary, too many connections, a deadlock, a lock that was not given in time.
fn passes(code: &str) -> bool {
    code.starts_with("08")
        || matches!(
            code,
            "25006"
                | "25P03"
                | "40001"
                | "40P01"
                | "53300"
                | "55P03"
                | "57P01"
                | "57P02"
                | "57P03"
                | "57P05"
        )
}

/// Whether the connection is still good after an error: nobody else was chosen to decide.
pub(super) fn keeps_the_line(error: &Error) -> bool {
    let code = error.as_db_error().map(|said| said.code().code());
    code.is_some_and(|code| !passes(code) || matches!(code, "40001" | "40P01" | "55P03"))
}

/// Whether the run that a Tx was of is not there any more: what `refuse_count` of the schema says
/// of the writers' table.
pub(super) fn is_fenced(error: &Error) -> bool {
    error.as_db_error().is_some_and(|said| said.code().code() == "SF001")
}

/// Whether the server itself said that nothing was committed.
pub(super) fn is_certain(error: &Error) -> bool {
    let code = error.as_db_error().map(|said| said.code().code());
    code.is_some_and(|code| matches!(&code[..2], "23" | "25" | "40" | "53" | "P0"))
}

/// A connection that was refused: whoever set it up must hear why.
pub(super) fn refused(error: &Error) -> Fault {
    Fault::Unavailable(why(error))
}

/// An error with what lies beneath it.
pub(super) fn why(error: &Error) -> String {
    if let Some(said) = error.as_db_error() {
        return said.message().to_owned();
    }
    let mut text = error.to_string();
    let mut below = std::error::Error::source(error);
    while let Some(cause) = below {
        let _ = write!(text, ": {cause}");
        below = cause.source();
    }
    text
}

/// Waits on this thread until it is there, or `is_enough`, which is asked whenever the thread is
/// unparked.
pub(super) fn wait_unless<F: Future + Unpin>(
    future: &mut F,
    is_enough: &dyn Fn() -> bool,
) -> Option<F::Output> {
    let waiter =
        Arc::new(Waiter { thread: std::thread::current(), is_woken: AtomicBool::new(true) });
    let waker = Waker::from(waiter.clone());
    let mut context = Context::from_waker(&waker);
    loop {
        if waiter.is_woken.swap(false, Ordering::AcqRel)
            && let Poll::Ready(done) = pin!(&mut *future).poll(&mut context)
        {
            return Some(done);
        }
        if is_enough() {
            return None;
        }
        std::thread::park_timeout(TICK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(url: &str, expected: Expect) {
        expected.assert_eq(&match parse(url) {
            Ok((config, _)) => format!("{} {:?}", name(&config), config.get_ssl_mode()),
            Err(why) => why,
        });
    }

    #[test]
    fn an_address_names_hosts_and_tls() {
        check(
            "postgres://u:secret@a:1,b:2/saldo?sslmode=verify-full",
            expect!["a:1,b:2/saldo Require"],
        );
        check(
            "postgresql://u@10.0.0.1/saldo?sslmode=disable&connect_timeout=3",
            expect!["10.0.0.1:5432/saldo Disable"],
        );
        check("postgres://u@h/saldo", expect!["h:5432/saldo Prefer"]);
        check(
            "postgres://u@h/saldo?sslmode=verify-ca",
            expect!["sslmode=verify-ca is not known; disable, prefer, require and verify-full are"],
        );
        check(
            "postgres://u@h/saldo?sslrootcert=/nowhere.pem",
            expect!["sslrootcert /nowhere.pem: I/O error: No such file or directory (os error 2)"],
        );
        check("postgres:///saldo", expect!["it names no host"]);
        check("mysql://h/saldo", expect!["it does not begin with postgres://"]);
    }
}

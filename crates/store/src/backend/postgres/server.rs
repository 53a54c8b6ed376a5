//! Connections to a PostgreSQL server: one thread does the I/O of all of them, callers wait on
//! their own threads.
//!
//! Not here: which statements are sent. Invariants: no runtime is nested in another, because the
//! client's futures need none; nobody waits without a limit for a server that does not answer.

use super::errors::{fault, silent, text_of};
use super::pipeline::StatementName;
use super::primary::{self, NewestPrimary};
use super::tls::Tls;
use super::wait::wait;
use crate::fault::{Fault, OpenError};
use futures_util::future::poll_fn;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc as signals, oneshot};
use tokio::task::JoinHandle as TaskHandle;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::error::Severity;
use tokio_postgres::tls::TlsStream;
use tokio_postgres::{AsyncMessage, Client, Config, Error, Socket, Statement};

/// For a host to accept a connection. Short, because a fail-over to another host waits for it.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A server that has been silent for so long is not waited for any more.
pub(super) const REPLY_TIMEOUT: Duration = Duration::from_secs(15);
/// For all connections to close when the server handle is dropped.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// One server, or several hosts of which one takes writes, with the thread that does the I/O.
pub(crate) struct Server {
    hosts: Vec<Config>,
    newest: NewestPrimary,
    /// Whether the server kept what it acknowledged when its settings were last read.
    is_durable: AtomicBool,
    tls: Tls,
    name: String,
    io: Handle,
    /// Each connection holds a clone: the I/O thread ends after the last of them.
    alive: Option<signals::Sender<()>>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Is called when a notification arrives.
pub(super) type OnNotify = Arc<dyn Fn() + Send + Sync>;

/// One open connection, with the statements that were prepared on it.
pub(super) struct Connection {
    pub(super) client: Arc<Client>,
    /// Whether the server has sent a warning since this was last cleared.
    pub(super) warned: Arc<AtomicBool>,
    timeline: u32,
    pub(super) statements: HashMap<StatementName, Statement>,
}

impl Server {
    /// Parses the address and starts the I/O thread; does not connect yet.
    pub(crate) fn new(url: &str) -> Result<Server, OpenError> {
        let (mut config, tls) = parse(url).map_err(OpenError::Url)?;
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(CONNECT_TIMEOUT);
        }
        if config.get_application_name().is_none() {
            config.application_name("saldo");
        }
        // A vanished peer is noticed by bytes that it does not acknowledge, or by keepalives.
        config.tcp_user_timeout(REPLY_TIMEOUT);
        config.keepalives_idle(Duration::from_secs(5));
        config.keepalives_interval(Duration::from_secs(5));
        let name = name(&config);
        let (stop, stopped) = oneshot::channel();
        let (alive, all_closed) = signals::channel(1);
        let (started, starting) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("pg io".to_owned())
            .spawn(move || serve(&started, stopped, all_closed))
            .map_err(|error| OpenError::Server(name.clone(), error.to_string()))?;
        let io = starting
            .recv()
            .map_err(|_| OpenError::Server(name.clone(), "no thread for its I/O".to_owned()))?;
        let (alive, stop, thread) = (Some(alive), Some(stop), Some(thread));
        let (hosts, newest) = (primary::hosts(&config), NewestPrimary::default());
        let is_durable = AtomicBool::new(true);
        Ok(Server { hosts, newest, is_durable, tls, name, io, alive, stop, thread })
    }

    /// Hosts and database, for messages; without the password.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Why this server could not be opened.
    pub(super) fn unusable(&self, fault: Fault) -> OpenError {
        OpenError::Server(self.name.clone(), fault.to_string())
    }

    /// Runs a task on the I/O thread.
    pub(super) fn spawn<T: Send + 'static>(
        &self,
        task: impl Future<Output = T> + Send + 'static,
    ) -> TaskHandle<T> {
        self.io.spawn(task)
    }

    /// Returns a flag that becomes true after this time.
    pub(super) fn flag_after(&self, delay: Duration) -> Arc<AtomicBool> {
        let flag = Arc::new(AtomicBool::new(false));
        let set = flag.clone();
        self.io.spawn(async move {
            tokio::time::sleep(delay).await;
            set.store(true, Ordering::Release);
        });
        flag
    }

    /// Connects to the host that takes writes; of several, to the one that was promoted last.
    pub(super) fn connect(&self) -> Result<Connection, Fault> {
        self.open(CONNECT_TIMEOUT, Arc::new(|| {}))
    }

    /// As [`Server::connect`], for callers that have less time.
    pub(super) fn connect_within(&self, timeout: Duration) -> Result<Connection, Fault> {
        self.open(timeout, Arc::new(|| {}))
    }

    /// As [`Server::connect`]; `on_notify` runs on the I/O thread.
    pub(super) fn connect_listening(&self, on_notify: OnNotify) -> Result<Connection, Fault> {
        self.open(CONNECT_TIMEOUT, on_notify)
    }

    fn open(&self, timeout: Duration, on_notify: OnNotify) -> Result<Connection, Fault> {
        // Not a channel of tokio's: inside a task it would cooperatively stop being ready.
        let (sender, receiver) = mpsc::sync_channel(1);
        let (tls, alive) = (self.tls.clone(), self.alive.clone());
        let options = primary::ConnectOptions { tls, alive, on_notify, timeout };
        let opening = primary::connect(self.hosts.clone(), options);
        self.io.spawn(async move {
            // If the caller has given up, the connection is dropped with the result.
            let _ = sender.send(opening.await);
        });
        let opened = receiver.recv_timeout(timeout * 2).map_err(|_| silent())??;
        self.newest.admit(opened.identity)?;
        Ok(Connection {
            client: Arc::new(opened.client),
            warned: opened.warned,
            timeline: opened.identity.timeline,
            statements: HashMap::new(),
        })
    }

    /// Whether the settings that were read last keep what is committed. While they do not, no
    /// connection that writes is used; a new one reads them again.
    pub(crate) fn is_durable(&self) -> bool {
        self.is_durable.load(Ordering::Acquire)
    }

    /// Notes what a connection has read of the settings.
    pub(super) fn set_durable(&self, is_durable: bool) {
        self.is_durable.store(is_durable, Ordering::Release);
    }

    /// Whether a connection is open, as far as this side knows, and leads to the newest primary
    /// that was seen.
    pub(super) fn is_good(&self, connection: &Connection) -> bool {
        !connection.client.is_closed() && self.newest.is(connection.timeline)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.alive = None;
        self.stop = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the I/O thread of PostgreSQL panicked");
        }
    }
}

impl Connection {
    /// Runs statements that return no rows.
    pub(super) fn execute(&self, statements: &str, timeout: Duration) -> Result<(), Fault> {
        let result = wait(self.client.batch_execute(statements), timeout);
        result.ok_or_else(silent)?.map_err(|error| fault(&error))
    }

    /// Runs a query that returns one number.
    pub(super) fn number(&self, query: &str) -> Result<i64, Fault> {
        let row = wait(self.client.query_one(query, &[]), REPLY_TIMEOUT).ok_or_else(silent)?;
        row.and_then(|row| row.try_get(0)).map_err(|error| fault(&error))
    }

    /// Runs a query that returns one text.
    pub(super) fn text(&self, query: &str, timeout: Duration) -> Result<String, Fault> {
        let row = wait(self.client.query_one(query, &[]), timeout).ok_or_else(silent)?;
        row.and_then(|row| row.try_get(0)).map_err(|error| fault(&error))
    }
}

/// The I/O thread: runs until it is stopped and all connections are closed.
fn serve(
    started: &mpsc::Sender<Handle>,
    stopped: oneshot::Receiver<()>,
    mut all_closed: signals::Receiver<()>,
) {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else {
        return;
    };
    let _ = started.send(runtime.handle().clone());
    runtime.block_on(async {
        let _ = stopped.await;
        // Nothing is ever sent: it returns when the last sender is dropped.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, all_closed.recv()).await;
    });
}

/// Does the I/O of a connection until it ends.
pub(super) async fn drive<T: TlsStream + Unpin>(
    mut connection: tokio_postgres::Connection<Socket, T>,
    warned: &AtomicBool,
    on_notify: &(dyn Fn() + Sync),
) {
    while let Some(message) = poll_fn(|context| connection.poll_message(context)).await {
        match message {
            Ok(AsyncMessage::Notice(notice)) => {
                let (severity, text) = (notice.severity(), notice.message());
                // A notice means nothing here. A warning beside a COMMIT may revoke its reply.
                if notice.parsed_severity() == Some(Severity::Warning) {
                    warned.store(true, Ordering::Release);
                }
                tracing::warn!(severity, notice = text, "PostgreSQL sent a notice");
            }
            Ok(AsyncMessage::Notification(_)) => on_notify(),
            Ok(_) => {}
            Err(error) => return tracing::debug!(%error, "a connection to PostgreSQL ended"),
        }
    }
}

/// Hosts and TLS of an address. The client library does not know `verify-full` and `sslrootcert`.
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
        format!("{base}{others}").parse().map_err(|error: Error| text_of(&error))?;
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

/// Hosts and database of an address, without its password.
fn name(config: &Config) -> String {
    let mut hosts = Vec::new();
    for (index, host) in config.get_hosts().iter().enumerate() {
        let port = config.get_ports().get(index).or_else(|| config.get_ports().first());
        let port = port.map_or(String::new(), |port| format!(":{port}"));
        match host {
            Host::Tcp(host) => hosts.push(format!("{host}{port}")),
            Host::Unix(path) => hosts.push(path.display().to_string()),
        }
    }
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("{}/{database}", hosts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(url: &str, expected: Expect) {
        expected.assert_eq(&match parse(url) {
            Ok((config, _)) => format!("{} {:?}", name(&config), config.get_ssl_mode()),
            Err(error) => error,
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

//! A PostgreSQL server for the tests, from the installed programs, in a temporary folder.
//!
//! One server is shared by all tests of a run. nextest runs each test in its own process, so they
//! find the server by their common parent process. It listens on a free port of this machine only,
//! and ends when no test uses it any more (see `watch.sh`). Each test has its own database.

use std::ffi::OsString;
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use store::Store;

/// For a server to start, or to end.
const START_WITHIN: Duration = Duration::from_secs(60);
/// Where root runs the tests, the server runs as nobody: it refuses to run as root.
const NOBODY: &[&str] = &["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"];
/// The database with the schema, which is copied for each test.
const TEMPLATE: &str = "migrated";

/// A running server; it ends some time after the last of these is dropped.
pub struct Server {
    folder: PathBuf,
    port: u16,
    _user: File,
}

/// A test's own database.
pub struct Database {
    name: String,
    server: &'static Server,
}

impl Database {
    /// An empty store: a copy of the template.
    pub fn new() -> Database {
        Database::copy_of(TEMPLATE)
    }

    pub fn copy(&self) -> Database {
        Database::copy_of(&self.name)
    }

    fn copy_of(template: &str) -> Database {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("t{}_{count}", std::process::id());
        let server = shared();
        server.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE {template}"));
        Database { name, server }
    }

    pub fn empty() -> Database {
        Database::copy_of("template0")
    }

    pub fn url(&self) -> String {
        self.server.url(&self.name)
    }

    pub fn port(&self) -> u16 {
        self.server.port
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements; returns the first column of all rows as text.
    pub fn sql(&self, statements: &str) -> Vec<String> {
        self.server.sql(&self.name, statements)
    }

    pub fn try_sql(&self, statements: &str) -> Result<Vec<String>, String> {
        self.server.try_sql(&self.name, statements)
    }

    /// The files of this database on the disk, without the WAL.
    pub fn bytes(&self) -> Vec<u8> {
        self.sql("CHECKPOINT");
        let place = self.sql("SELECT oid FROM pg_database WHERE datname = current_database()");
        bytes_of(&self.server.folder.join("data/base").join(&place[0]))
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name);
        let _ = self.server.try_sql("postgres", &drop);
    }
}

impl Server {
    /// A server for this test alone.
    pub fn own() -> Server {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("saldo-postgres-own-{}-{count}", std::process::id());
        Server::at(&std::env::temp_dir().join(name), std::process::id())
    }

    pub fn url(&self, database: &str) -> String {
        url(self.port, database)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// Enables TLS with this certificate and key.
    pub fn encrypt(&self, certificate: &str, key: &str) {
        let data = self.folder.join("data");
        for (name, text) in [("server.crt", certificate), ("server.key", key)] {
            let path = data.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            if is_root() {
                run_to_end(Command::new("chown").arg("nobody:nogroup").arg(&path));
            }
        }
        self.sql("postgres", "ALTER SYSTEM SET ssl = on");
        self.sql("postgres", "SELECT pg_reload_conf()");
        while self.sql("postgres", "SHOW ssl") != ["on"] {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Kills the server; `watch.sh` starts it again.
    pub fn kill(&self) {
        let pid = fs::read_to_string(self.folder.join("pid")).unwrap();
        let killed = Command::new("kill").args(["-KILL", pid.trim()]).status().unwrap();
        assert!(killed.success());
    }

    /// Waits until the server answers.
    pub fn wait(&self) {
        let data = self.folder.join("data");
        let is_ours = || {
            let found = self.try_sql("postgres", "SHOW data_directory")?;
            assert_eq!(Path::new(&found[0]), data, "another server answers at {}", self.port);
            Ok::<(), String>(())
        };
        let mut tries = START_WITHIN.as_millis() / 50;
        while let Err(error) = is_ours() {
            tries -= 1;
            let log = || fs::read_to_string(self.folder.join("log")).unwrap_or_default();
            assert!(tries > 0, "PostgreSQL did not start: {error}\n{}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub fn sql(&self, database: &str, statements: &str) -> Vec<String> {
        self.try_sql(database, statements).unwrap_or_else(|error| panic!("{error}: {statements}"))
    }

    pub fn try_sql(&self, database: &str, statements: &str) -> Result<Vec<String>, String> {
        let (url, statements) = (self.url(database), statements.to_owned());
        // A thread of its own: the caller may be inside a runtime.
        std::thread::spawn(move || ask(&url, &statements)).join().unwrap()
    }

    /// Finds the server of this folder, or starts it.
    fn at(folder: &Path, run: u32) -> Server {
        let lock = PathBuf::from(format!("{}.lock", folder.display()));
        let lock = File::options().create(true).append(true).open(lock).unwrap();
        lock.lock().unwrap();
        if let Ok(port) = fs::read_to_string(folder.join("port")) {
            let user = File::open(folder.join("users")).unwrap();
            user.lock_shared().unwrap();
            let port = port.trim().parse().unwrap();
            return Server { folder: folder.to_owned(), port, _user: user };
        }
        let server = Server::start(folder, run);
        server.sql("postgres", &format!("CREATE DATABASE {TEMPLATE}"));
        drop(Store::connect(&server.url(TEMPLATE)).unwrap());
        // The partitions of the months that most tests write to.
        server.sql(
            TEMPLATE,
            "SELECT make_room(202601, 0), make_room(202602, 0), make_room(202604, 0), \
             make_room(202605, 0)",
        );
        // Written last: with this file the server is ready.
        fs::write(folder.join("port"), server.port.to_string()).unwrap();
        server
    }

    fn start(folder: &Path, run: u32) -> Server {
        Server::init(folder);
        Server::launch(folder, run, &[])
    }

    /// Creates an empty data folder in this folder.
    pub fn init(folder: &Path) {
        let _ = fs::remove_dir_all(folder);
        let data = folder.join("data");
        fs::create_dir_all(&data).unwrap();
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
        let is_root = is_root();
        belongs_to_nobody(&data);
        let programs = programs();
        let command = as_nobody(is_root, &programs.join("initdb"));
        let mut init = Command::new(&command[0]);
        init.args(&command[1..]).current_dir("/").args([
            "--no-sync",
            "-A",
            "trust",
            "-U",
            "saldo",
            "-E",
            "UTF8",
            "--no-locale",
            "-D",
        ]);
        run_to_end(init.arg(&data));
    }

    /// Starts a server on the data folder in this folder and waits until it answers.
    pub fn launch(folder: &Path, run: u32, settings: &[&str]) -> Server {
        let (data, is_root, programs) = (folder.join("data"), is_root(), programs());
        let user = File::create(folder.join("users")).unwrap();
        user.lock_shared().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let watch =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../store/tests/it/harness/watch.sh");
        let mut command = Command::new("setsid");
        command.arg("--fork").arg("sh").arg(watch).arg(folder).arg(run.to_string());
        command.args(as_nobody(is_root, &programs.join("postgres")));
        command.arg("-D").arg(&data).args(["-p", &port.to_string()]);
        let always =
            ["listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=300"];
        for setting in always.iter().chain(settings) {
            command.args(["-c", setting]);
        }
        command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        assert!(command.status().unwrap().success());
        let server = Server { folder: folder.to_owned(), port, _user: user };
        server.wait();
        server
    }
}

/// The server of this test run.
fn shared() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let run = std::os::unix::process::parent_id();
        // A process number may be used again later; together with the start time it is unique.
        let stat = fs::read_to_string(format!("/proc/{run}/stat")).unwrap_or_default();
        let fields = stat.rsplit(')').next().unwrap_or_default();
        let started = fields.split_whitespace().nth(19).unwrap_or("0");
        let name = format!("saldo-postgres-{run}-{started}");
        Server::at(&std::env::temp_dir().join(name), run)
    })
}

/// Whether tests that can use either database shall use PostgreSQL.
pub fn is_chosen() -> bool {
    match std::env::var("SALDO_TEST_DATABASE").as_deref() {
        Ok("postgresql") => true,
        Ok("sqlite") | Err(_) => false,
        Ok(other) => panic!("SALDO_TEST_DATABASE is postgresql or sqlite, not {other}"),
    }
}

/// The contents of all files of a folder.
pub fn bytes_of(folder: &Path) -> Vec<u8> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    files.filter(|path| path.is_file()).flat_map(|path| fs::read(path).unwrap()).collect()
}

/// Runs statements, then `something` while their connection is still open.
pub fn during(url: &str, statements: &str, something: impl FnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let (client, connection) =
            tokio_postgres::connect(url, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(connection);
        client.batch_execute(statements).await.unwrap();
        something();
        drop(client);
    });
}

pub fn url(port: u16, database: &str) -> String {
    format!("postgres://saldo@127.0.0.1:{port}/{database}?sslmode=disable")
}

pub fn ask(url: &str, statements: &str) -> Result<Vec<String>, String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let text_of = |error: tokio_postgres::Error| match error.as_db_error() {
            Some(reply) => reply.message().to_owned(),
            None => error.to_string(),
        };
        let connected = tokio_postgres::connect(url, tokio_postgres::NoTls).await;
        let (client, connection) = connected.map_err(text_of)?;
        tokio::spawn(connection);
        let answers = client.simple_query(statements).await.map_err(text_of)?;
        let mut rows = Vec::new();
        for answer in &answers {
            if let tokio_postgres::SimpleQueryMessage::Row(row) = answer {
                rows.extend(row.get(0).map(str::to_owned));
            }
        }
        Ok(rows)
    })
}

/// Gives the folder to the server's user: the server refuses a folder of another one.
pub fn belongs_to_nobody(path: &Path) {
    if is_root() {
        run_to_end(Command::new("chown").args(["-R", "nobody:nogroup"]).arg(path));
    }
}

pub fn is_root() -> bool {
    fs::metadata("/proc/self").map(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0).unwrap()
}

/// The command that runs a program as nobody, if root runs the tests.
pub fn as_nobody(is_root: bool, program: &Path) -> Vec<OsString> {
    let nobody = if is_root { NOBODY } else { &[] };
    nobody.iter().map(Into::into).chain([program.into()]).collect()
}

pub fn run_to_end(command: &mut Command) {
    let output = command.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
}

/// The folder with `initdb` and `postgres`, which Debian does not have in the path.
pub fn programs() -> PathBuf {
    let mut found: Vec<PathBuf> = Vec::new();
    for version in fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten() {
        found.push(version.path().join("bin"));
    }
    // The newest version first.
    found.sort_by_key(|path| {
        let version = path.parent().and_then(Path::file_name).and_then(|v| v.to_str());
        std::cmp::Reverse(version.and_then(|v| v.parse::<u32>().ok()))
    });
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        found.push(String::from_utf8_lossy(&output.stdout).trim().into());
    }
    found.extend(std::env::var_os("PATH").iter().flat_map(std::env::split_paths));
    let has_all = |path: &&PathBuf| path.join("initdb").exists() && path.join("postgres").exists();
    let found = found.iter().find(has_all);
    let missing = "PostgreSQL's programs are missing: on Debian, apt-get install postgresql";
    found.unwrap_or_else(|| panic!("{missing}")).clone()
}

//! A synchronous pair of PostgreSQL servers on this machine, set up and repaired by the commands of
//! docs/operate.md.
//!
//! Invariant: the servers end with the test, however it ends.

use super::postgres::{as_nobody, ask, is_root, programs, run_to_end};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

const RECIPE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/operate.md"));
/// For a standby to connect to its primary.
const FOLLOW_WITHIN: Duration = Duration::from_secs(60);
/// Waits until the test, which holds its input, is gone; then kills the servers and deletes their
/// folder.
const WATCH: &str = "cat >/dev/null
    for file in \"$1\"/*/postmaster.pid; do kill -KILL $(head -1 \"$file\"); done 2>/dev/null
    sleep 1; rm -rf \"$1\"";

/// Two servers; the test knows which of them is the primary.
pub struct Pair {
    folder: PathBuf,
    ports: [u16; 2],
    _watch: ChildStdin,
}

impl Pair {
    /// Server 0 is the primary, server 1 its standby.
    pub fn new() -> Pair {
        let folder = std::env::temp_dir().join(format!("saldo-pair-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        if is_root() {
            run_to_end(Command::new("chown").arg("nobody:nogroup").arg(&folder));
        }
        let mut watch = Command::new("setsid");
        watch.args(["--fork", "sh", "-c", WATCH, "sh"]).arg(&folder).stdin(Stdio::piped());
        watch.stdout(Stdio::null()).stderr(Stdio::null());
        let mut watch = watch.spawn().unwrap();
        let held = watch.stdin.take().unwrap();
        assert!(watch.wait().unwrap().success());
        let free = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let ports = free.each_ref().map(|free| free.local_addr().unwrap().port());
        drop(free);
        let pair = Pair { folder, ports, _watch: held };
        pair.shell(0, "initdb --no-sync -A trust -U postgres -E UTF8 --no-locale >\"$PGDATA.log\"");
        let settings = recipe("```conf\nlisten_addresses", "```conf\n");
        let ours = "listen_addresses = '127.0.0.1'\nunix_socket_directories = ''\n";
        let file = pair.data(0).join("postgresql.conf");
        let whole = fs::read_to_string(&file).unwrap();
        fs::write(&file, format!("{whole}\n{settings}{ours}")).unwrap();
        pair.start(0);
        pair.run_recipe(0, "Once, on db-a");
        pair.run_recipe(1, "Once, on db-b");
        pair.wait_for_standby(0);
        pair
    }

    /// The address with both servers, in the order of the documentation.
    pub fn url(&self) -> String {
        let [a, b] = self.ports;
        format!("postgres://saldo@127.0.0.1:{a},127.0.0.1:{b}/saldo?sslmode=disable")
    }

    pub fn url_of(&self, nth: usize, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}?sslmode=disable", self.ports[nth])
    }

    pub fn sql(&self, nth: usize, statements: &str) -> Result<Vec<String>, String> {
        let (url, statements) = (self.url_of(nth, "saldo"), statements.to_owned());
        // A thread of its own: the caller may be inside a runtime.
        std::thread::spawn(move || ask(&url, &statements)).join().unwrap()
    }

    /// SIGKILL for the server and all its processes, as if the machine had been switched off.
    pub fn kill(&self, nth: usize) {
        let file = self.data(nth).join("postmaster.pid");
        let pid_file = fs::read_to_string(&file).unwrap();
        let postmaster = pid_file.lines().next().unwrap().to_owned();
        let mut all = vec![postmaster.clone()];
        for process in fs::read_dir("/proc").unwrap().flatten() {
            let stat = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
            let parent = stat.rsplit(')').next().unwrap().split_whitespace().nth(1);
            if parent == Some(&postmaster) {
                all.push(process.file_name().into_string().unwrap());
            }
        }
        // Some processes may end by themselves first.
        let _ = Command::new("kill").arg("-KILL").args(&all).stderr(Stdio::null()).status();
        let lives = |pid: &String| Path::new("/proc").join(pid).join("exe").exists();
        while all.iter().any(lives) {
            std::thread::sleep(Duration::from_millis(1));
        }
        // After a reboot the recorded process number would be unused; here it may still be in use.
        fs::remove_file(&file).unwrap();
    }

    /// Starts a server in its last role.
    pub fn start(&self, nth: usize) {
        self.shell(nth, "cluster start");
    }

    pub fn promote(&self, nth: usize) {
        self.run_recipe(nth, "The primary is gone: on the standby");
    }

    /// Makes a former primary the standby of the other.
    pub fn rejoin(&self, nth: usize) {
        self.run_recipe(nth, "The former primary is back");
    }

    /// Waits until `primary` has its standby.
    pub fn wait_for_standby(&self, primary: usize) {
        let began = Instant::now();
        let state = "SELECT sync_state FROM pg_stat_replication";
        while self.sql(primary, state) != Ok(vec!["quorum".to_owned()]) {
            assert!(began.elapsed() < FOLLOW_WITHIN, "no standby: {}", self.logs());
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn data(&self, nth: usize) -> PathBuf {
        self.folder.join(["a", "b"][nth])
    }

    fn logs(&self) -> String {
        let log =
            |nth| fs::read_to_string(self.data(nth).with_extension("log")).unwrap_or_default();
        format!("a:\n{}\nb:\n{}", log(0), log(1))
    }

    /// Runs the commands of the documentation that begin with this comment.
    fn run_recipe(&self, nth: usize, comment: &str) {
        self.shell(nth, &recipe(&format!("```sh\n# {comment}"), "```sh\n"));
    }

    /// Runs commands as the documentation does: on the server's machine, as its user.
    fn shell(&self, nth: usize, commands: &str) {
        let (own, other) = (self.ports[nth], self.ports[1 - nth]);
        let cluster = format!(
            "cluster() {{ verb=$1; shift; set -- \"$@\" -w -s -D \"$PGDATA\" -l \"$PGDATA.log\"
                case $verb in start) set -- \"$@\" -o '-p {own}';; esac
                pg_ctl \"$verb\" \"$@\"; }}"
        );
        let script = format!("set -e\n{cluster}\n{commands}");
        let words = as_nobody(is_root(), Path::new("sh"));
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).args(["-c", &script]).current_dir("/");
        let path = std::env::var("PATH").unwrap_or_default();
        command.env("PATH", format!("{}:{path}", programs().display()));
        command.env("PGDATA", self.data(nth));
        command.env("CONFIG", self.data(nth).join("postgresql.conf"));
        command.env("ME", ["a", "b"][nth]);
        command.env("OTHER", format!("host=127.0.0.1 port={other} user=replica"));
        command.env("PGHOST", "127.0.0.1").env("PGPORT", own.to_string()).env("PGUSER", "postgres");
        // The servers inherit these streams and outlive the command, so they must not be pipes.
        let log = fs::File::create(self.folder.join("commands.log")).unwrap();
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        let status = command.status().unwrap();
        let output = fs::read_to_string(self.folder.join("commands.log")).unwrap();
        assert!(status.success(), "{commands}\n{output}\n{}", self.logs());
    }
}

/// The block of the documentation with this beginning, without its fences.
fn recipe(begins: &str, fence: &str) -> String {
    let at = RECIPE.find(begins).unwrap_or_else(|| panic!("docs/operate.md lacks {begins:?}"));
    let block = &RECIPE[at + fence.len()..];
    block[..block.find("```").unwrap()].to_owned()
}

//! docs/first-sale.md, as its reader would do it: every command of the page runs in one bash, and
//! says what the page says.
//!
//! A box of `sh` is typed as it stands; the box of `text` after it is what comes out. In it `…` is
//! whatever is different each time, within a line. Without such a box nothing comes out. Invariant:
//! no process of the page outlives the test.

use std::fs::{self, File};
use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;
use tokio::time::Instant;

const PAGE: &str = include_str!("../../../../../docs/first-sale.md");
/// A box that takes longer hangs. The longest waits for a purchase.
const BOX_WITHIN: Duration = Duration::from_secs(90);
/// The ports that the page uses, from `PORT` on.
const PORTS: u16 = 4;

/// One box of commands, and what comes out.
#[derive(Debug, PartialEq, Eq)]
struct Step {
    commands: String,
    output: Vec<String>,
}

/// The boxes of a page.
fn steps(page: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else { continue };
        let text: Vec<String> =
            lines.by_ref().take_while(|line| *line != "```").map(str::to_owned).collect();
        match language {
            "sh" => steps.push(Step { commands: text.join("\n"), output: Vec::new() }),
            "text" => {
                let step = steps.last_mut().unwrap_or_else(|| panic!("no commands: {text:?}"));
                assert!(step.output.is_empty(), "two answers to {}", step.commands);
                step.output = text;
            }
            other => panic!("a box of {other:?}: sh and text are known"),
        }
    }
    steps
}

/// Whether a line is as the page shows it.
fn is_shown_as(line: &str, shown: &str) -> bool {
    let mut parts = shown.split('…');
    let Some(mut rest) = parts.next().and_then(|first| line.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, between)) = parts.split_last() else { return rest.is_empty() };
    for part in between {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

/// A bash in an empty folder, with this program in its path; all its processes end with it.
struct Shell {
    child: Child,
    input: ChildStdin,
    screen: PathBuf,
    read: usize,
}

impl Shell {
    fn start(folder: &Path) -> Shell {
        let screen = folder.join("screen");
        let output = File::create(&screen).unwrap();
        let home = folder.join("home");
        fs::create_dir(&home).unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_saldo")).parent().unwrap();
        let path = std::env::var("PATH").unwrap();
        let mut command = Command::new("bash");
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("SALDO_")) {
            command.env_remove(name);
        }
        let mut child = command
            .args(["--noprofile", "--norc"])
            .current_dir(&home)
            .env("PATH", format!("{}:{path}", program.display()))
            .env("PORT", free_ports().to_string())
            .stdin(Stdio::piped())
            .stdout(output.try_clone().unwrap())
            .stderr(output)
            .process_group(0)
            .spawn()
            .unwrap();
        let input = child.stdin.take().unwrap();
        Shell { child, input, screen, read: 0 }
    }

    /// Types a box, and gives the lines that came out.
    fn run(&mut self, commands: &str) -> Vec<String> {
        const END: &str = "the box has ended";
        // In two parts, so that the command itself is not taken for its output.
        writeln!(self.input, "{commands}\nprintf '%s %s\\n' 'the box' 'has ended'").unwrap();
        self.input.flush().unwrap();
        let started = Instant::now();
        loop {
            let bytes = fs::read(&self.screen).unwrap();
            let text = String::from_utf8_lossy(&bytes[self.read..]).into_owned();
            if let Some((output, _)) = text.split_once(END) {
                self.read = bytes.len();
                return output.lines().map(str::to_owned).collect();
            }
            let is_late = started.elapsed() > BOX_WITHIN;
            assert!(!is_late, "{commands}\ndoes not end; it said:\n{text}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        // What was started in the background is in the shell's process group. (dash's own `kill`
        // knows no groups.)
        let group = format!("kill -KILL -- -{}", self.child.id());
        let _ = Command::new("bash").args(["-c", &group]).stderr(Stdio::null()).status();
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The first of as many ports in a row that are free: below those that the system gives out.
fn free_ports() -> u16 {
    let first = 20_000 + u16::try_from(std::process::id() % 1_000).unwrap() * 10;
    let is_free = |base: &u16| {
        let ports = *base..*base + PORTS;
        ports.into_iter().all(|port| TcpListener::bind(("127.0.0.1", port)).is_ok())
    };
    let found = (first..first + 1_000).step_by(10).find(is_free);
    found.unwrap_or_else(|| panic!("no {PORTS} free ports in a row from {first} on"))
}

#[test]
fn every_command_of_the_page_says_what_the_page_says() {
    let steps = steps(PAGE);
    assert!(steps.len() > 10, "only {} boxes", steps.len());
    let folder = tempfile::tempdir().unwrap();
    let mut shell = Shell::start(folder.path());
    for Step { commands, output } in &steps {
        let said = shell.run(commands);
        let is_right = said.len() == output.len()
            && said.iter().zip(output).all(|(line, shown)| is_shown_as(line, shown));
        assert!(
            is_right,
            "{commands}\nsaid:\n{}\nthe page has:\n{}",
            said.join("\n"),
            output.join("\n")
        );
    }
}

#[test]
fn a_shown_line_leaves_open_only_what_it_marks() {
    for (line, shown, is_right) in [
        ("a 7 b", "a … b", true),
        ("a 7 b", "a 7 b", true),
        ("a 7 b", "a 8 b", false),
        ("a 7 b c", "a … b", false),
        ("x a 7 b", "a … b", false),
        ("a 7 b 8 c", "a … b … c", true),
        ("a 7", "a …", true),
        ("", "", true),
        ("a", "", false),
    ] {
        assert_eq!(is_shown_as(line, shown), is_right, "{line:?} as {shown:?}");
    }
}

//! `saldo upstream check`: runs a file of cases through a connector. Nothing is sent or stored.

use crate::clock::{MachineClock, MachineRandom};
use crate::cmd::given::{ROWS_BYTES_MAX, SETTINGS_BYTES_MAX, read_text};
use crate::output::Output;
use anyhow::{Result, anyhow, ensure};
use connectors::upstream::generic::{self, FileReport};
use connectors::upstream::{CaseFailure, Maps, UpstreamSettings, check_cases};
use domain::{Environment, Exchange, Listener, StatusUpdate, UpstreamCode};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The kind whose file brings its own cases.
const GENERIC: &str = "generic";
/// The connector opens with it; nothing goes there.
const URL: &str = "https://upstream.example";

#[derive(clap::Args, Debug)]
pub(crate) struct CheckArgs {
    /// Which connector: irecharge, rechargely, reloadly, …
    #[arg(long)]
    kind: String,
    /// The cases: an order, and replies with the outcomes that they must have. A generic file
    /// brings its own.
    #[arg(long, value_name = "FILE")]
    cases: Option<PathBuf>,
    /// The connector's own settings.
    #[arg(long, value_name = "TOML")]
    file: Option<PathBuf>,
}

/// Nothing is sent, so nothing arrives.
struct NoListener;

impl Listener for NoListener {
    fn on_exchange(&self, _exchange: Exchange) {}

    fn on_update(&self, _update: StatusUpdate) {}
}

/// Exit code 0 if all cases passed, 1 if one failed.
pub(crate) fn run(args: &CheckArgs, output: &mut Output) -> Result<u8> {
    let read = |path: &Path| read_text(path, SETTINGS_BYTES_MAX);
    let file = args.file.as_deref().map(read).transpose()?.unwrap_or_default();
    let mut own = FileReport::default();
    // A generic file may be given as what it is, or as what has the cases: it is both.
    let is_panel = args.kind == GENERIC;
    let is_toml = |path: &&PathBuf| path.extension().is_some_and(|name| name == "toml");
    let panel = args.file.as_ref().or_else(|| args.cases.as_ref().filter(is_toml));
    if let Some(path) = panel.filter(|_| is_panel) {
        let checked = generic::check(&read(path)?)
            .map_err(|reason| anyhow!("{} is refused: {reason}", path.display()))?;
        own = checked.report;
    }
    for line in &own.failed {
        output.line(line);
    }
    let cases = args.cases.as_ref().filter(|path| !(is_panel && is_toml(path)));
    let Some(cases) = cases else {
        ensure!(!is_panel || panel.is_some(), "Give the panel's file: --file TOML.");
        ensure!(is_panel, "Give the file with the cases: --cases FILE.");
        return Ok(counted(output, own.passed, own.failed.len()));
    };
    let cases = read_text(cases, ROWS_BYTES_MAX)?;
    let settings = UpstreamSettings {
        code: UpstreamCode::new("check"),
        environment: Environment::Live,
        url: URL.to_owned(),
        hosts: Vec::new(),
        secrets: BTreeMap::new(),
        file,
        maps: Maps::default(),
        allow_loopback: false,
        denied_networks: Vec::new(),
        extra_ca_pem: None,
        time_divisor: 1,
        clock: Arc::new(MachineClock::new()),
        random: Arc::new(MachineRandom::new()),
        listener: Arc::new(NoListener),
    };
    let report = check_cases(&args.kind, &cases, &settings)?;
    for CaseFailure { case, expected, found } in &report.failed {
        output.line(format!("{case}: {found}, not {expected}"));
    }
    let (passed, failed) = (own.passed + report.passed, own.failed.len() + report.failed.len());
    Ok(counted(output, passed, failed))
}

fn counted(output: &mut Output, passed: usize, failed: usize) -> u8 {
    output.line(format!("{passed} passed, {failed} failed"));
    u8::from(failed > 0)
}

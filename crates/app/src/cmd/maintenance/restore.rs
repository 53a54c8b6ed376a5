//! `saldo restore`: copies a backup into an empty data folder; the installation is halted until
//! `saldo resume`.
//!
//! It opens no engine: the database is checked before any other code sees it.

use crate::clock::MachineClock;
use crate::config::{Config, Flags};
use crate::log;
use crate::maintenance::backup::{self, BackupDone};
use crate::output::Output;
use domain::Clock as _;
use std::path::PathBuf;
use std::process::ExitCode;

#[derive(clap::Args, Debug)]
pub(crate) struct RestoreArgs {
    /// A folder that `saldo backup` has made.
    #[arg(value_name = "FROM_FOLDER")]
    from: PathBuf,
}

pub(crate) fn run(flags: &Flags, args: &RestoreArgs) -> anyhow::Result<ExitCode> {
    let config = Config::load(flags, None)?;
    anyhow::ensure!(
        config.database_url.0.is_empty(),
        "a database on a server is restored by PostgreSQL's own tools; this restores a data folder"
    );
    log::start(&config)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let now = MachineClock::new().now();
    let restored = runtime.block_on(backup::restore(&args.from, &config.data_dir, now))?;
    let mut output = Output::default();
    let exit = match restored {
        BackupDone::Done(manifest) => {
            let (summary, to) = (manifest.summary(), config.data_dir.display());
            output.line(format!("{summary} Restored into {to}."));
            output.say(
                "It sells nothing and sends nothing upstream until `saldo resume`: \
                 purchases may have gone out after the backup, \
                 so compare the upstreams' statements first (docs/operate.md).",
            );
            0
        }
        BackupDone::Unbalanced(report) => {
            report.findings.iter().for_each(|finding| output.line(finding));
            output.say(format!(
                "{} rows of the backup lie; nothing was restored. Take an older backup.",
                report.findings_count
            ));
            1
        }
    };
    Ok(output.print(exit))
}

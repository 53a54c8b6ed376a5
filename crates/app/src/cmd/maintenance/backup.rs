//! `saldo backup`: copies the whole installation while it serves, and audits the copy.
//!
//! A copy that does not balance is not kept.

use super::run_copy;
use crate::cmd::Caller;
use crate::maintenance::backup::{self, BackupDone};
use crate::output::Output;
use anyhow::Result;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
pub(crate) struct BackupArgs {
    /// A folder that is not there yet, or is empty. The server's own user writes it.
    #[arg(value_name = "TO_FOLDER")]
    to: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(on: &Caller<'_>, args: &BackupArgs, output: &mut Output) -> Result<u8> {
    let (engine, data_dir) = (on.engine.clone(), on.data_dir.clone());
    let to = on.working_dir.join(&args.to);
    let taken = run_copy(move |is_wanted| backup::take(&engine, &data_dir, &to, is_wanted)).await?;
    let report = match taken {
        BackupDone::Done(manifest) => {
            output.row(args.json, serde_json::to_string(&manifest)?, manifest.summary());
            return Ok(0);
        }
        BackupDone::Unbalanced(report) => report,
    };
    report.findings.iter().for_each(|finding| output.line(finding));
    output.say(format!(
        "{} rows of the copy lie; it was not kept. \
         Run `saldo verify`, and keep the last good backup.",
        report.findings_count
    ));
    Ok(1)
}

//! `saldo archive`: moves closed months from the live ledger into files, while the server sells.
//!
//! An interrupted run is continued by the next one.

use super::run_copy;
use crate::cmd::Caller;
use crate::files::cannot;
use crate::maintenance::archive;
use crate::output::Output;
use crate::wiring::{machine, refused};
use anyhow::{Context as _, Result};
use domain::Month;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
pub(crate) struct ArchiveArgs {
    /// Every month before this one; the current month and the one before it always stay.
    #[arg(long, value_name = "YYYY-MM")]
    before: Month,
    /// The folder of the archives, made if need be. The server's own user writes it.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Print JSON: a line a month.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(on: &Caller<'_>, args: &ArchiveArgs, output: &mut Output) -> Result<u8> {
    let (engine, folder) = (on.engine, on.working_dir.join(&args.to));
    std::fs::create_dir_all(&folder).with_context(cannot(&folder, "be made"))?;
    // An earlier run may have archived a month without removing it from the ledger.
    engine.remove_archived(machine(engine, "")?).await.map_err(refused)?;
    let mut months = 0;
    while let Some(closing) = engine.next_to_archive(args.before).map_err(refused)? {
        engine.close_month(machine(engine, "")?, &closing).await.map_err(refused)?;
        let (writer, month, to) = (engine.clone(), closing.clone(), folder.clone());
        let (filed, manifest) =
            run_copy(move |is_wanted| archive::write(&writer, &month, &to, is_wanted)).await?;
        engine
            .file_month(machine(engine, "")?, filed, archive::file_name(closing.month))
            .await
            .map_err(refused)?;
        engine.remove_archived(machine(engine, "")?).await.map_err(refused)?;
        months += 1;
        output.row(args.json, serde_json::to_string(&manifest)?, manifest.summary());
    }
    if months == 0 {
        output.say(format!("Nothing before {} is left to archive.", args.before));
    }
    Ok(0)
}

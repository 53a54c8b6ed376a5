//! `saldo backup`: a copy of the whole installation, taken while it serves.

use crate::backup;
use crate::cmd::Place;
use crate::output::Output;
use engine::Engine;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// A folder that is not there yet, or is empty. The server's own user writes it.
    #[arg(value_name = "TO_FOLDER")]
    to: PathBuf,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(
    engine: &Engine,
    place: &Place,
    args: &Args,
    output: &mut Output,
) -> anyhow::Result<u8> {
    let (engine, data_dir) = (engine.clone(), place.data_dir.clone());
    let to = place.here.join(&args.to);
    // Set when this is dropped: a server that ends waits for one step of the copy, not for all.
    let wanted = Wanted(Arc::new(AtomicBool::new(true)));
    let flag = wanted.0.clone();
    let taking = tokio::task::spawn_blocking(move || {
        backup::take(&engine, &data_dir, &to, &|| flag.load(Ordering::Relaxed))
    });
    let report = match taking.await?? {
        backup::BackupDone::Whole(manifest) if args.json => {
            output.line(serde_json::to_string(&manifest)?);
            return Ok(0);
        }
        backup::BackupDone::Whole(manifest) => {
            output.line(manifest.summary());
            return Ok(0);
        }
        backup::BackupDone::Lies(report) => report,
    };
    for finding in &report.findings {
        output.line(finding);
    }
    output.say(format!(
        "{} rows of the copy lie; it was not kept. Run `saldo verify`, and keep the last good backup.",
        report.findings_count
    ));
    Ok(1)
}

struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

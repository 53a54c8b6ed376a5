//! `saldo archive`: closed months go into files, and out of the live books, while the server sells.

use crate::archive;
use crate::cmd::Place;
use crate::output::Output;
use crate::wiring::refused;
use anyhow::Context as _;
use domain::Month;
use engine::Engine;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
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

pub(crate) async fn run(
    engine: &Engine,
    place: &Place,
    args: &Args,
    output: &mut Output,
) -> anyhow::Result<u8> {
    let folder = place.here.join(&args.to);
    std::fs::create_dir_all(&folder)
        .with_context(|| format!("{} cannot be made", folder.display()))?;
    // What an earlier run had archived and not removed yet.
    engine.remove_archived().await.map_err(refused)?;
    let mut months = 0;
    // Set when this is dropped: a server that ends waits for a moment of the copy, not for all.
    let wanted = Wanted(Arc::new(AtomicBool::new(true)));
    while let Some(closing) = engine.next_to_archive(args.before).map_err(refused)? {
        engine.close_month(&closing).await.map_err(refused)?;
        let (writer, month, to) = (engine.clone(), closing.clone(), folder.clone());
        let flag = wanted.0.clone();
        let writing = tokio::task::spawn_blocking(move || {
            archive::write(&writer, &month, &to, &|| flag.load(Ordering::Relaxed))
        });
        let (filed, manifest) = writing.await??;
        engine.file_month(filed, archive::file_name(closing.month)).await.map_err(refused)?;
        engine.remove_archived().await.map_err(refused)?;
        months += 1;
        match args.json {
            true => output.line(serde_json::to_string(&manifest)?),
            false => output.line(manifest.summary()),
        }
    }
    if months == 0 {
        output.say(format!("Nothing before {} is left to archive.", args.before));
    }
    Ok(0)
}

struct Wanted(Arc<AtomicBool>);

impl Drop for Wanted {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

//! How far the books were when this folder's server last looked: kept beside them, so that books which
//! were put back from a backup are known for what they are.
//!
//! A database on a server cannot know that it was restored; its end does. Where a journal is missing
//! that was seen before, purchases may be missing that were sent: the installation is halted.

use crate::secrets::write_private;
use crate::wiring::refused;
use anyhow::Context as _;
use engine::Engine;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const FILE: &str = "books-seen.json";
/// Between two looks: what was booked since the last one is not missed.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// The last journal that was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Seen {
    journal: i64,
    hash: String,
}

/// Keeps note of how far the books are.
pub(crate) struct RollbackGuard {
    engine: Engine,
    path: PathBuf,
    seen: Option<Seen>,
}

impl RollbackGuard {
    /// Halts the installation if its books lack what was seen before; then looks where they are.
    pub(crate) async fn begin(engine: &Engine, data_dir: &Path) -> anyhow::Result<RollbackGuard> {
        let path = data_dir.join(FILE);
        let seen = read(&path)?;
        if let Some(seen) = &seen
            && !is_there(engine, seen)?
        {
            let why = format!(
                "the books lack journal {}, which this server has seen: they were put back from a backup",
                seen.journal
            );
            if engine.halt().is_none() {
                engine.begin_halt(&why).await.map_err(refused)?;
            }
        }
        let mut watch = RollbackGuard { engine: engine.clone(), path, seen };
        watch.look()?;
        Ok(watch)
    }

    /// Looks now and then, and once more at the end.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = stop.cancelled() => {}
            }
            if let Err(error) = self.look() {
                tracing::warn!(%error, "how far the books are could not be noted");
            }
            if stop.is_cancelled() {
                return;
            }
        }
    }

    fn look(&mut self) -> anyhow::Result<()> {
        let Some((journal, hash)) = self.engine.ledger_end()? else { return Ok(()) };
        let now = Seen { journal, hash: hex(&hash) };
        if self.seen.as_ref() != Some(&now) {
            write_private(&self.path, &serde_json::to_vec(&now)?)?;
            self.seen = Some(now);
        }
        Ok(())
    }
}

fn read(path: &Path) -> anyhow::Result<Option<Seen>> {
    match fs::read(path) {
        Ok(text) => Ok(Some(
            serde_json::from_slice(&text)
                .with_context(|| format!("{} is not what a server wrote", path.display()))?,
        )),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(|| format!("{} cannot be read", path.display())),
    }
}

fn is_there(engine: &Engine, seen: &Seen) -> anyhow::Result<bool> {
    let Some((end, _)) = engine.ledger_end()? else { return Ok(false) };
    let bytes = (0..seen.hash.len()).step_by(2).map(|n| seen.hash.get(n..n + 2));
    let bytes: Option<Vec<u8>> = bytes.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect();
    let hash = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let hash = hash.context("books-seen.json holds no hash")?;
    Ok(end >= seen.journal && engine.has_journal(seen.journal, &hash)?)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

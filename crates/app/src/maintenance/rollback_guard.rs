//! Detects a database that was restored from an older copy: the data folder records the last
//! journal that its server has seen.
//!
//! A database cannot tell that it was restored, but the end of its ledger shows it. If a journal
//! that was seen is missing, purchases that were sent may be missing too, so the installation is
//! halted.

use super::hex;
use crate::files::{cannot, write_private};
use crate::wiring::{machine, refused};
use anyhow::Context as _;
use engine::Engine;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

const FILE: &str = "books-seen.json";
/// The interval between two records. A rollback to a journal after the last record is not detected.
const RECORD_INTERVAL: Duration = Duration::from_secs(5);

/// The last journal that was seen: the high-water mark.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct LastSeen {
    journal: i64,
    hash: String,
}

/// Records the last journal while the server runs.
pub(crate) struct RollbackGuard {
    engine: Engine,
    path: PathBuf,
    last_seen: Option<LastSeen>,
}

impl RollbackGuard {
    /// Halts the installation if its ledger lacks the recorded journal; then records the last one.
    pub(crate) async fn begin(engine: &Engine, data_dir: &Path) -> anyhow::Result<RollbackGuard> {
        let path = data_dir.join(FILE);
        let last_seen = read(&path)?;
        if let Some(seen) = &last_seen
            && !is_in_ledger(engine, seen)?
            && engine.halt().is_none()
        {
            let why = format!(
                "the books lack journal {}, which this server has seen: \
                 they were put back from a backup",
                seen.journal
            );
            engine.begin_halt(machine(engine, "start")?, &why).await.map_err(refused)?;
        }
        let mut guard = RollbackGuard { engine: engine.clone(), path, last_seen };
        guard.record()?;
        Ok(guard)
    }

    /// Records the last journal at intervals, and once more at the end.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(RECORD_INTERVAL) => {}
                () = stop.cancelled() => {}
            }
            if let Err(error) = self.record() {
                tracing::warn!(%error, "the last journal could not be recorded");
            }
            if stop.is_cancelled() {
                return;
            }
        }
    }

    fn record(&mut self) -> anyhow::Result<()> {
        let Some((journal, hash)) = self.engine.ledger_end()? else { return Ok(()) };
        let last = LastSeen { journal, hash: hex(&hash) };
        if self.last_seen.as_ref() != Some(&last) {
            write_private(&self.path, &serde_json::to_vec(&last)?)?;
            self.last_seen = Some(last);
        }
        Ok(())
    }
}

fn read(path: &Path) -> anyhow::Result<Option<LastSeen>> {
    match fs::read(path) {
        Ok(text) => serde_json::from_slice(&text)
            .with_context(|| format!("{} is not what a server wrote", path.display()))
            .map(Some),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).with_context(cannot(path, "be read")),
    }
}

fn is_in_ledger(engine: &Engine, seen: &LastSeen) -> anyhow::Result<bool> {
    let Some((end, _)) = engine.ledger_end()? else { return Ok(false) };
    let bytes = (0..seen.hash.len()).step_by(2).map(|n| seen.hash.get(n..n + 2));
    let bytes: Option<Vec<u8>> = bytes.map(|pair| u8::from_str_radix(pair?, 16).ok()).collect();
    let hash = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
    let hash = hash.context("books-seen.json holds no hash")?;
    Ok(end >= seen.journal && engine.has_journal(seen.journal, &hash)?)
}

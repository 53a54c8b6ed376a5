//! A backup: a folder with a copy of the database, the keys beside it, and a manifest.
//!
//! Invariants: a folder under its final name is whole, flushed and audited; the manifest names each
//! file with its SHA-256. A restored database gets its final name last, and is halted before it does.

use crate::cmd::demo::MADE_FILE;
use crate::cmd::moment;
use crate::secrets::{MASTER_KEY_FILE, write_private};
use crate::wiring::TRUTH_FILE;
use anyhow::{Context as _, bail, ensure};
use domain::Timestamp;
use engine::Engine;
use ring::digest;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use store::{AuditReport, Change, HaltChange, HeldFolder, LedgerEnd, Store, audit_file};
use tempfile::TempDir;

const DATABASE: &str = "saldo.db";
const MANIFEST: &str = "backup.json";
/// What belongs to an installation besides its database; the key must be there, the others are a
/// demo's.
const BESIDE: [(&str, bool); 3] =
    [(MASTER_KEY_FILE, true), (TRUTH_FILE, false), (MADE_FILE, false)];
/// Where a restore works inside the data folder, until everything is checked.
const STAGE: &str = "restoring";

/// What a backup holds.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// When: RFC 3339 in UTC.
    taken_at: String,
    /// By which Saldo.
    saldo: String,
    /// The schema's version.
    schema: i64,
    journals: u64,
    /// The end of the chain of journals.
    last_hash: String,
    purchases: u64,
    /// Purchases that are not final.
    open: u64,
    files: BTreeMap<String, Listed>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Listed {
    bytes: u64,
    sha256: String,
}

/// What came of it.
pub(crate) enum BackupDone {
    /// It is there.
    Whole(Manifest),
    /// It does not balance, and was not kept.
    Lies(AuditReport),
}

impl Manifest {
    /// In a sentence.
    pub(crate) fn summary(&self) -> String {
        let bytes: u64 = self.files.values().map(|file| file.bytes).sum();
        format!(
            "The backup of {} balances: {} files, {bytes} bytes, {} journals, {} purchases ({} open).",
            self.taken_at,
            self.files.len(),
            self.journals,
            self.purchases,
            self.open
        )
    }
}

/// Copies the installation into a folder that is not there or empty, and audits the copy. Blocks.
pub(crate) fn take(
    engine: &Engine,
    data_dir: &Path,
    to: &Path,
    is_wanted: &dyn Fn() -> bool,
) -> anyhow::Result<BackupDone> {
    let to = std::path::absolute(to)?;
    let (Some(parent), Some(name)) = (to.parent(), to.file_name()) else {
        bail!("{} cannot be a backup's folder; give one inside it", to.display());
    };
    refuse_taken(&to, parent)?;
    // Under a name of its own until it is whole; removed if anything goes wrong.
    let prefix = format!("{}.partial-", name.to_string_lossy());
    let stage = private_folder(&prefix).tempdir_in(parent).with_context(unwritable(parent))?;
    let at = engine.now();
    let database = stage.path().join(DATABASE);
    engine.copy_store_to(&database, is_wanted).context("the database cannot be copied")?;
    let (ending, report) = audit_file(&database).context("the copy cannot be read")?;
    if report.findings_count > 0 {
        return Ok(BackupDone::Lies(report));
    }
    let mut files = BTreeMap::from([(DATABASE.to_owned(), listed(&database)?)]);
    // After the database, so that the simulator knows of every attempt that the ledger knows of.
    for (name, is_needed) in BESIDE {
        let (from, to) = (data_dir.join(name), stage.path().join(name));
        if is_needed || from.exists() {
            files.insert(name.to_owned(), copy_private(&from, &to)?);
        }
    }
    let manifest = Manifest {
        taken_at: moment(at),
        saldo: env!("CARGO_PKG_VERSION").to_owned(),
        schema: ending.schema,
        journals: report.journals,
        last_hash: ending.last_hash,
        purchases: report.purchases,
        open: report.open,
        files,
    };
    write_private(&stage.path().join(MANIFEST), &serde_json::to_vec_pretty(&manifest)?)?;
    flush_folder(stage.path())?;
    let whole = stage.keep();
    if let Err(error) = fs::rename(&whole, &to) {
        // Best effort: the error below is what counts.
        let _ = fs::remove_dir_all(&whole);
        return Err(error).with_context(|| format!("{} cannot be put in place", to.display()));
    }
    flush_folder(parent)?;
    Ok(BackupDone::Whole(manifest))
}

/// Refuses a target that holds anything, or that the finished copy could not be renamed to.
fn refuse_taken(to: &Path, parent: &Path) -> anyhow::Result<()> {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev());
    match fs::read_dir(to) {
        Ok(mut entries) => {
            ensure!(
                entries.next().is_none(),
                "{} is not empty; give a folder that is not there yet",
                to.display()
            );
            ensure!(
                device(to)? == device(parent)?,
                "{} is a file system of its own; give a folder inside it",
                to.display()
            );
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(|| format!("{} cannot be used", to.display())),
    }
}

/// Puts a backup into a data folder that holds no database, halted: what was open at the backup may
/// have been delivered since. Refuses a backup that is not whole.
pub(crate) async fn restore(
    from: &Path,
    data_dir: &Path,
    now: Timestamp,
) -> anyhow::Result<BackupDone> {
    let manifest = read_manifest(from)?;
    let database = data_dir.join(DATABASE);
    ensure!(
        !database.exists(),
        "{} holds an installation already; give an empty folder with --data-dir",
        data_dir.display()
    );
    let _held = HeldFolder::take(data_dir)?;
    let stage = empty_stage(data_dir)?;
    for (name, listed) in &manifest.files {
        fetch(&from.join(name), &stage.path().join(name), listed)?;
        refuse_other(&data_dir.join(name), listed)?;
    }
    let report = halt_and_audit(stage.path(), &manifest, now).await?;
    if report.findings_count > 0 {
        return Ok(BackupDone::Lies(report));
    }
    // The database last: a folder without one is no installation, and can be restored into again.
    let beside = manifest.files.keys().map(String::as_str).filter(|name| *name != DATABASE);
    for name in beside.chain([DATABASE]) {
        flush_folder(data_dir)?;
        fs::rename(stage.path().join(name), data_dir.join(name))
            .with_context(|| format!("{name} cannot be put in place"))?;
    }
    flush_folder(data_dir)?;
    Ok(BackupDone::Whole(manifest))
}

/// Audits a database that nobody uses yet, and halts it. Leaves one file that stands for itself.
async fn halt_and_audit(
    stage: &Path,
    manifest: &Manifest,
    now: Timestamp,
) -> anyhow::Result<AuditReport> {
    // Opening it brings the schema of an older Saldo up to date.
    let store = Store::open(stage)?;
    let (ending, report) = audit_file(&stage.join(DATABASE)).context("the copy cannot be read")?;
    if report.findings_count > 0 {
        return Ok(report);
    }
    ensure_ends_as_told(manifest, &ending, &report)?;
    let why = format!("restored from the backup of {}", manifest.taken_at);
    let halted = store.write(Change::Halt(HaltChange::Begin { why, at: now })).await?;
    // Nothing in it can be denied: it needs nothing.
    ensure!(halted.is_ok(), "the restored installation cannot be halted");
    drop(store);
    let log = stage.join(format!("{DATABASE}-wal"));
    ensure!(fs::metadata(&log).map_or(0, |log| log.len()) == 0, "{} is not empty", log.display());
    Ok(report)
}

fn read_manifest(from: &Path) -> anyhow::Result<Manifest> {
    let path = from.join(MANIFEST);
    let text = fs::read(&path).with_context(|| {
        format!("{} is no whole backup: {MANIFEST} cannot be read", from.display())
    })?;
    let manifest: Manifest = serde_json::from_slice(&text)
        .with_context(|| format!("{} is not what a backup wrote", path.display()))?;
    let known = |name: &String| name == DATABASE || BESIDE.iter().any(|(n, _)| n == name);
    let needed = [DATABASE, MASTER_KEY_FILE];
    ensure!(
        manifest.files.keys().all(known) && needed.iter().all(|n| manifest.files.contains_key(*n)),
        "{} does not list what a backup holds",
        path.display()
    );
    Ok(manifest)
}

/// The folder in which everything is checked, removed at the end; what a restore that was cut off
/// left there goes.
fn empty_stage(data_dir: &Path) -> anyhow::Result<TempDir> {
    let path = data_dir.join(STAGE);
    if path.exists() {
        fs::remove_dir_all(&path)
            .with_context(|| format!("{} cannot be emptied", path.display()))?;
    }
    private_folder(STAGE).rand_bytes(0).tempdir_in(data_dir).with_context(unwritable(data_dir))
}

fn private_folder(prefix: &str) -> tempfile::Builder<'_, '_> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).permissions(fs::Permissions::from_mode(0o700));
    builder
}

pub(crate) fn unwritable(path: &Path) -> impl Fn() -> String {
    move || format!("{} cannot be written to", path.display())
}

/// Copies a file of a backup and checks what has arrived.
fn fetch(from: &Path, to: &Path, expected: &Listed) -> anyhow::Result<()> {
    let found = copy_private(from, to)?;
    ensure!(
        found == *expected,
        "{} is not what was backed up (its checksum differs); take another backup",
        from.display()
    );
    Ok(())
}

/// A file of another installation is not written over.
fn refuse_other(path: &Path, expected: &Listed) -> anyhow::Result<()> {
    ensure!(
        !path.exists() || listed(path)? == *expected,
        "{} is another installation's; give an empty folder with --data-dir",
        path.display()
    );
    Ok(())
}

fn ensure_ends_as_told(
    told: &Manifest,
    ending: &LedgerEnd,
    report: &AuditReport,
) -> anyhow::Result<()> {
    ensure!(
        told.last_hash == ending.last_hash
            && told.journals == report.journals
            && told.purchases == report.purchases
            && told.open == report.open,
        "the database is not the one that {MANIFEST} speaks of: it ends at journal {}, {}",
        ending.last_journal,
        ending.last_hash
    );
    Ok(())
}

/// Copies into a new file that only its owner may read, flushed, and lists it.
fn copy_private(from: &Path, to: &Path) -> anyhow::Result<Listed> {
    let mut source =
        File::open(from).with_context(|| format!("{} cannot be read", from.display()))?;
    let mut options = OpenOptions::new();
    let mut target = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(to)
        .with_context(|| format!("{} cannot be written", to.display()))?;
    let listed = read_through(&mut source, |part| target.write_all(part))
        .with_context(|| format!("{} cannot be copied", from.display()))?;
    target.sync_all().with_context(|| format!("{} cannot be flushed", to.display()))?;
    Ok(listed)
}

fn listed(path: &Path) -> anyhow::Result<Listed> {
    let read = File::open(path).and_then(|mut file| read_through(&mut file, |_| Ok(())));
    read.with_context(|| format!("{} cannot be read", path.display()))
}

fn read_through(
    source: &mut File,
    mut each: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<Listed> {
    let mut sum = digest::Context::new(&digest::SHA256);
    let mut part = vec![0; 1 << 16];
    let mut bytes = 0;
    loop {
        let length = source.read(&mut part)?;
        let Some(read) = part.get(..length).filter(|read| !read.is_empty()) else { break };
        sum.update(read);
        each(read)?;
        bytes += length as u64;
    }
    let sha256 = sum.finish().as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Listed { bytes, sha256 })
}

/// Makes names durable.
pub(crate) fn flush_folder(path: &Path) -> anyhow::Result<()> {
    let flushed = File::open(path).and_then(|folder| folder.sync_all());
    flushed.with_context(|| format!("{} cannot be flushed", path.display()))
}

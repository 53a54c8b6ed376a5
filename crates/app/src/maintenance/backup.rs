//! A backup: a folder with a copy of the database, the keys beside it, and a manifest.
//!
//! Invariants: a folder under its final name is complete, flushed and audited; the manifest lists
//! each file with its SHA-256. A restored database gets its final name last, beside no log of
//! another one; it is halted before, and read once more after.

use super::hex;
use crate::cmd::demo::CREDENTIALS_FILE;
use crate::cmd::moment;
use crate::files::{cannot, flush_folder, write_private};
use crate::secrets::{MASTER_KEY_FILE, MasterKey};
use crate::wiring::{TRUTH_FILE, WRONG_MASTER_KEY};
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
use store::{AuditReport, BeginHalt, HeldFolder, LedgerEnd, Store, audit_file, ensure_alone};
use tempfile::TempDir;

const DATABASE: &str = "saldo.db";
const MANIFEST: &str = "backup.json";
/// The files of an installation besides its database, and whether each is required. The optional
/// ones belong to a demo.
const OTHER_FILES: [(&str, bool); 3] =
    [(MASTER_KEY_FILE, true), (TRUTH_FILE, false), (CREDENTIALS_FILE, false)];
/// The folder inside the data folder in which a restore works until everything is checked.
const STAGE: &str = "restoring";

/// What a backup contains; `backup.json` in its folder.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct BackupManifest {
    /// RFC 3339 in UTC.
    taken_at: String,
    /// The version of Saldo that took it.
    saldo: String,
    /// The version of the database schema.
    schema: i64,
    journals: u64,
    /// The hash of the last journal.
    last_hash: String,
    purchases: u64,
    /// Purchases that are not final.
    open: u64,
    files: BTreeMap<String, FileEntry>,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct FileEntry {
    bytes: u64,
    sha256: String,
}

/// The result of a backup or a restore.
pub(crate) enum BackupDone {
    /// The copy is complete and in place.
    Done(BackupManifest),
    /// The copy does not balance and was removed.
    Unbalanced(AuditReport),
}

impl BackupManifest {
    /// One sentence for the command line.
    pub(crate) fn summary(&self) -> String {
        let bytes: u64 = self.files.values().map(|file| file.bytes).sum();
        let BackupManifest { taken_at, journals, purchases, open, .. } = self;
        format!(
            "The backup of {taken_at} balances: {} files, {bytes} bytes, {journals} journals, \
             {purchases} purchases ({open} open).",
            self.files.len()
        )
    }
}

/// Copies the installation into a new or empty folder, and audits the copy. Blocks the thread;
/// stops with an error once `is_wanted` returns false.
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
    ensure_empty(&to, parent)?;
    // A temporary name until the copy is complete; the folder is removed on any error.
    let prefix = format!("{}.partial-", name.to_string_lossy());
    let stage =
        private_folder(&prefix).tempdir_in(parent).with_context(cannot(parent, "be written to"))?;
    let taken_at = moment(engine.now());
    let database = stage.path().join(DATABASE);
    engine.copy_store_to(&database, is_wanted).context("the database cannot be copied")?;
    let (ending, report) = audit_file(&database).context("the copy cannot be read")?;
    if report.findings_count > 0 {
        return Ok(BackupDone::Unbalanced(report));
    }
    let mut files = BTreeMap::from([(DATABASE.to_owned(), entry_of(&database)?)]);
    // After the database, so that the simulator's file has every attempt that the ledger has.
    for (name, is_required) in OTHER_FILES {
        let (from, to) = (data_dir.join(name), stage.path().join(name));
        if is_required || from.exists() {
            files.insert(name.to_owned(), copy_private(&from, &to)?);
        }
    }
    // It may have been replaced while the server ran: what it seals could not be opened any more.
    let key = MasterKey::of(stage.path(), true)?.vault().master_key_tag();
    ensure!(engine.master_key_tag() == key, WRONG_MASTER_KEY);
    let manifest = BackupManifest {
        taken_at,
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
    let complete = stage.keep();
    if let Err(error) = fs::rename(&complete, &to) {
        // Best effort: the error of the rename is returned.
        let _ = fs::remove_dir_all(&complete);
        return Err(error).with_context(cannot(&to, "be put in place"));
    }
    flush_folder(parent)?;
    Ok(BackupDone::Done(manifest))
}

/// Refuses a target that is not empty, or to which the finished copy could not be renamed.
fn ensure_empty(to: &Path, parent: &Path) -> anyhow::Result<()> {
    let device = |path: &Path| fs::metadata(path).map(|metadata| metadata.dev());
    match fs::read_dir(to) {
        Ok(mut entries) => {
            let (shown, is_empty) = (to.display(), entries.next().is_none());
            ensure!(is_empty, "{shown} is not empty; give a folder that is not there yet");
            let is_inside = device(to)? == device(parent)?;
            ensure!(is_inside, "{shown} is a file system of its own; give a folder inside it");
            Ok(())
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error).with_context(cannot(to, "be used")),
    }
}

/// Copies a backup into a data folder that has no database, and halts the installation: purchases
/// that were open at the time of the backup may have been delivered since. Refuses an incomplete
/// backup.
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
    let held = HeldFolder::take(data_dir)?;
    ensure_alone(&database)?;
    let stage = empty_stage(data_dir)?;
    for (name, entry) in &manifest.files {
        copy_checked(&from.join(name), &stage.path().join(name), entry)?;
        // A demo writes its credentials anew at each start: they name its address.
        if name != CREDENTIALS_FILE {
            ensure_same_or_missing(&data_dir.join(name), entry)?;
        }
    }
    let why = format!("restored from the backup of {}", manifest.taken_at);
    let report = halt_and_audit(stage.path(), &manifest, &why, now).await?;
    if report.findings_count > 0 {
        return Ok(BackupDone::Unbalanced(report));
    }
    // The database last: a folder without one is no installation, and can be restored into again.
    let beside = manifest.files.keys().map(String::as_str).filter(|name| *name != DATABASE);
    for name in beside.chain([DATABASE]) {
        flush_folder(data_dir)?;
        if name == DATABASE {
            ensure_alone(&database)?;
        }
        fs::rename(stage.path().join(name), data_dir.join(name))
            .with_context(|| format!("{name} cannot be put in place"))?;
    }
    flush_folder(data_dir)?;
    if let Err(error) = check_in_place(&held, &manifest, &why) {
        // Into the stage, which is removed: nothing is sold from a database like that.
        fs::rename(&database, stage.path().join(DATABASE))
            .with_context(cannot(&database, "be taken back"))?;
        return Err(error);
    }
    Ok(BackupDone::Done(manifest))
}

/// Reads the database once more under its final name, as a server will: it must be what was checked
/// before, and halted.
fn check_in_place(held: &HeldFolder, manifest: &BackupManifest, why: &str) -> anyhow::Result<()> {
    let (ending, report, halt) = held.audit().context("the restored database cannot be read")?;
    ensure!(
        report.findings_count == 0,
        "the database is not the one that was checked any more ({}); nothing was restored: try \
         again",
        report.findings.join("; ")
    );
    ensure_matches(manifest, &ending, &report)?;
    ensure!(
        halt.is_some_and(|halt| halt.why == why),
        "the restored installation is not halted; nothing was restored: try again"
    );
    Ok(())
}

/// Audits the copied database and halts it. Afterwards it is one file, without a WAL.
async fn halt_and_audit(
    stage: &Path,
    manifest: &BackupManifest,
    why: &str,
    now: Timestamp,
) -> anyhow::Result<AuditReport> {
    // Opening it migrates the schema of an older Saldo.
    let store = Store::open(stage)?;
    let (ending, report) = audit_file(&stage.join(DATABASE)).context("the copy cannot be read")?;
    if report.findings_count > 0 {
        return Ok(report);
    }
    ensure_matches(manifest, &ending, &report)?;
    store.commit(BeginHalt { why: why.to_owned(), at: now }).await?;
    drop(store);
    let wal = stage.join(format!("{DATABASE}-wal"));
    ensure!(fs::metadata(&wal).map_or(0, |wal| wal.len()) == 0, "{} is not empty", wal.display());
    Ok(report)
}

fn read_manifest(from: &Path) -> anyhow::Result<BackupManifest> {
    let path = from.join(MANIFEST);
    let text = fs::read(&path).with_context(|| {
        format!("{} is no whole backup: {MANIFEST} cannot be read", from.display())
    })?;
    let manifest: BackupManifest = serde_json::from_slice(&text)
        .with_context(|| format!("{} is not what a backup wrote", path.display()))?;
    let is_known = |name: &String| name == DATABASE || OTHER_FILES.iter().any(|(n, _)| n == name);
    let mut required = [DATABASE, MASTER_KEY_FILE].iter();
    ensure!(
        manifest.files.keys().all(is_known) && required.all(|n| manifest.files.contains_key(*n)),
        "{} does not list what a backup holds",
        path.display()
    );
    Ok(manifest)
}

/// The folder in which everything is checked, removed at the end. Removes what an interrupted
/// restore left there.
fn empty_stage(data_dir: &Path) -> anyhow::Result<TempDir> {
    let path = data_dir.join(STAGE);
    if path.exists() {
        fs::remove_dir_all(&path).with_context(cannot(&path, "be emptied"))?;
    }
    private_folder(STAGE)
        .rand_bytes(0)
        .tempdir_in(data_dir)
        .with_context(cannot(data_dir, "be written to"))
}

fn private_folder(prefix: &str) -> tempfile::Builder<'_, '_> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(prefix).permissions(fs::Permissions::from_mode(0o700));
    builder
}

/// Copies a file of a backup and compares the copy with its entry in the manifest.
fn copy_checked(from: &Path, to: &Path, expected: &FileEntry) -> anyhow::Result<()> {
    ensure!(
        copy_private(from, to)? == *expected,
        "{} is not what was backed up (its checksum differs); take another backup",
        from.display()
    );
    Ok(())
}

/// A file of another installation is not overwritten.
fn ensure_same_or_missing(path: &Path, expected: &FileEntry) -> anyhow::Result<()> {
    ensure!(
        !path.exists() || entry_of(path)? == *expected,
        "{} is another installation's; give an empty folder with --data-dir",
        path.display()
    );
    Ok(())
}

fn ensure_matches(
    manifest: &BackupManifest,
    ending: &LedgerEnd,
    report: &AuditReport,
) -> anyhow::Result<()> {
    ensure!(
        manifest.last_hash == ending.last_hash
            && manifest.journals == report.journals
            && manifest.purchases == report.purchases
            && manifest.open == report.open,
        "the database is not the one that {MANIFEST} speaks of: it ends at journal {}, {}",
        ending.last_journal,
        ending.last_hash
    );
    Ok(())
}

/// Copies into a new file that only its owner may read, and flushes it.
fn copy_private(from: &Path, to: &Path) -> anyhow::Result<FileEntry> {
    let mut source = File::open(from).with_context(cannot(from, "be read"))?;
    let target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    let mut target = target.with_context(cannot(to, "be written"))?;
    let entry = read_through(&mut source, |part| target.write_all(part))
        .with_context(cannot(from, "be copied"))?;
    target.sync_all().with_context(cannot(to, "be flushed"))?;
    Ok(entry)
}

fn entry_of(path: &Path) -> anyhow::Result<FileEntry> {
    let read = File::open(path).and_then(|mut file| read_through(&mut file, |_| Ok(())));
    read.with_context(cannot(path, "be read"))
}

fn read_through(
    source: &mut File,
    mut each: impl FnMut(&[u8]) -> std::io::Result<()>,
) -> std::io::Result<FileEntry> {
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
    Ok(FileEntry { bytes, sha256: hex(sum.finish().as_ref()) })
}

//! Which end customers were really credited: in memory, and in an append-only file of JSON lines.
//!
//! Each line is one write under the file's lock, so processes on one machine may share the file. It
//! is not flushed: it must survive the process, not the machine. Invariants: memory knows nothing
//! that is not in the file; an attempt is accepted once, however often it is sent.

use super::script::Script;
use domain::{
    AttemptRef, Currency, Environment, Kind, Money, Order, PurchaseNumber, Timestamp, UpstreamCode,
};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Older orders are dropped at the next start, unless a late change is still due. By then staff
/// decide about any doubt; until then an order needs about 60 bytes of memory.
pub const RETENTION: Duration = Duration::from_secs(48 * 3600);

/// More than most lines need.
const LINE_BYTES: usize = 320;

/// An order that was accepted, for test oracles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Our reference of the attempt.
    pub attempt: AttemptRef,
    /// The upstream that accepted the order.
    pub upstream: UpstreamCode,
    /// The environment of the order.
    pub environment: Environment,
    /// The operator's code: `GP`.
    pub operator: String,
    /// What was bought.
    pub kind: Kind,
    /// The number or bill reference of the end customer.
    pub recipient: String,
    /// What the end customer gets if the order is delivered.
    pub amount: Money,
    /// When it was accepted.
    pub at: Timestamp,
    /// The course of the order.
    pub script: Script,
    /// Whether the end customer is credited so far.
    pub credited: bool,
    /// How often the same attempt was sent again.
    pub repeats: u32,
}

/// A summary of all records, for test oracles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// The attempts whose end customer is credited.
    pub credited: BTreeSet<AttemptRef>,
    /// How often a known attempt was sent again.
    pub repeats: u64,
}

impl Truth {
    /// The summary of these records.
    pub fn of(records: &[Record]) -> Truth {
        Truth {
            credited: records.iter().filter(|r| r.credited).map(|r| r.attempt).collect(),
            repeats: records.iter().map(|r| u64::from(r.repeats)).sum(),
        }
    }

    /// The purchases with more than one credited attempt: there must be none.
    pub fn credited_twice(&self) -> Vec<PurchaseNumber> {
        let mut times: BTreeMap<PurchaseNumber, u32> = BTreeMap::new();
        for attempt in &self.credited {
            *times.entry(attempt.purchase).or_default() += 1;
        }
        times.into_iter().filter(|(_, n)| *n > 1).map(|(purchase, _)| purchase).collect()
    }
}

/// Reads a truth file, also while a simulator uses it: its orders in the sequence of their
/// acceptance, in their current state. An incomplete last line is ignored; a missing file and an
/// invalid line are errors.
pub fn read_truth(path: &Path) -> io::Result<Vec<Record>> {
    let mut records: Vec<Record> = Vec::new();
    let mut indexes: HashMap<AttemptRef, usize> = HashMap::new();
    for_each_line(BufReader::new(File::open(path)?), |Line { event, record }| {
        let index = indexes.get(&record.attempt).copied();
        match (event, index) {
            (Event::Accepted, None) => {
                indexes.insert(record.attempt, records.len());
                records.push(record.into_owned());
            }
            (Event::Changed, Some(index)) => records[index].credited = record.credited,
            (Event::Repeated, Some(index)) => records[index].repeats += 1,
            // Such lines are never written.
            (Event::Accepted, Some(_)) | (Event::Changed | Event::Repeated, None) => {}
        }
    })?;
    Ok(records)
}

impl Record {
    /// The record of an order that this upstream accepts at this time.
    pub(super) fn of(order: &Order, code: &UpstreamCode, script: Script, at: Timestamp) -> Record {
        Record {
            attempt: order.attempt,
            upstream: code.clone(),
            environment: order.environment,
            operator: order.operator.clone(),
            kind: order.kind,
            recipient: order.recipient.clone(),
            amount: order.amount,
            at,
            script,
            credited: script.credits(false),
            repeats: 0,
        }
    }
}

/// What is kept in memory of an accepted order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// When it was accepted.
    pub at: Timestamp,
    /// The course of the order.
    pub script: Script,
    /// Whether its late change has happened.
    pub has_changed: bool,
}

/// All accepted orders: in memory, and in the file if there is one.
pub(super) struct TruthLog {
    entries: Entries,
    file: Option<TruthFile>,
}

impl TruthLog {
    /// Reads the file if there is one. Also returns the orders that have a late change, and whether
    /// it has happened.
    pub(super) fn open(
        path: Option<&Path>,
        now: Timestamp,
    ) -> io::Result<(TruthLog, Vec<(Record, bool)>)> {
        let mut entries = Entries::default();
        let Some(path) = path else {
            return Ok((TruthLog { entries, file: None }, Vec::new()));
        };
        let (file, changing) = TruthFile::open(path, &mut entries, now)
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
        let late = changing
            .into_iter()
            .filter_map(|r| entries.by_attempt.get(&r.attempt).map(|e| (r, e.has_changed)))
            .collect();
        Ok((TruthLog { entries, file: Some(file) }, late))
    }

    /// Records an order. False if the attempt was recorded before. After an error the order is not
    /// recorded, or the next read of the file will find it.
    pub(super) fn accept(&mut self, record: &Record) -> io::Result<bool> {
        let line = self.write(|entries| {
            let is_known = entries.by_attempt.contains_key(&record.attempt);
            let event = if is_known { Event::Repeated } else { Event::Accepted };
            let record = match is_known {
                true => Cow::Owned(Record { credited: false, ..record.clone() }),
                false => Cow::Borrowed(record),
            };
            Some(Line { event, record })
        })?;
        Ok(line.is_some_and(|line| line.event == Event::Accepted))
    }

    /// The entry of an attempt, also if another process has accepted it.
    pub(super) fn entry(&mut self, attempt: AttemptRef) -> io::Result<Option<Entry>> {
        if !self.entries.by_attempt.contains_key(&attempt) {
            // Reads the lines of other processes.
            self.write(|_| None)?;
        }
        Ok(self.entries.by_attempt.get(&attempt).copied())
    }

    /// Records the late change of an order, unless it is recorded already.
    pub(super) fn change(&mut self, record: &Record) -> io::Result<()> {
        let credited = record.script.credits(true);
        self.write(|entries| {
            let entry = entries.by_attempt.get(&record.attempt)?;
            let changed = || Cow::Owned(Record { credited, ..record.clone() });
            (!entry.has_changed).then(|| Line { event: Event::Changed, record: changed() })
        })
        .map(drop)
    }

    pub(super) fn truth(&mut self) -> io::Result<Truth> {
        self.write(|_| None)?;
        let credited = |e: &Entry| e.script.credits(e.has_changed);
        let entries = self.entries.by_attempt.iter();
        Ok(Truth {
            credited: entries.filter(|(_, e)| credited(e)).map(|(a, _)| *a).collect(),
            repeats: self.entries.repeats,
        })
    }

    /// The only way to write. Locks the file and reads it to its end; then `decide` sees all
    /// entries and returns a line, which is written to the file first and to memory after that.
    fn write<'r>(
        &mut self,
        decide: impl FnOnce(&Entries) -> Option<Line<'r>>,
    ) -> io::Result<Option<Line<'r>>> {
        let TruthLog { entries, file } = self;
        let Some(file) = file else {
            let line = decide(entries);
            line.iter().for_each(|line| entries.apply(line));
            return Ok(line);
        };
        file.file.lock()?;
        let written = file.catch_up(entries).and_then(|()| {
            let line = decide(entries);
            line.iter().try_for_each(|line| file.append(line))?;
            Ok(line)
        });
        if let Ok(Some(line)) = &written {
            entries.apply(line);
        }
        file.file.unlock()?;
        written
    }
}

/// The content of the log in memory.
#[derive(Default)]
struct Entries {
    by_attempt: HashMap<AttemptRef, Entry>,
    repeats: u64,
}

impl Entries {
    fn apply(&mut self, Line { event, record }: &Line<'_>) {
        match event {
            Event::Accepted => {
                let entry = Entry { at: record.at, script: record.script, has_changed: false };
                self.by_attempt.entry(record.attempt).or_insert(entry);
            }
            Event::Changed => {
                if let Some(entry) = self.by_attempt.get_mut(&record.attempt) {
                    entry.has_changed = true;
                }
            }
            Event::Repeated => self.repeats += 1,
        }
    }

    /// Drops orders older than [`RETENTION`] without a pending change. Returns whether there were
    /// any.
    fn drop_old(&mut self, now: Timestamp) -> bool {
        let before = self.by_attempt.len();
        self.by_attempt.retain(|_, e| {
            let is_pending = e.script.late_change().is_some() && !e.has_changed;
            is_pending || now.since(e.at) <= RETENTION
        });
        self.by_attempt.len() < before
    }
}

/// The file, open for appending.
struct TruthFile {
    path: PathBuf,
    file: File,
    /// The length of the part that is in [`Entries`].
    read_bytes: u64,
}

impl TruthFile {
    /// Also returns the orders that have a late change.
    fn open(
        path: &Path,
        entries: &mut Entries,
        now: Timestamp,
    ) -> io::Result<(TruthFile, Vec<Record>)> {
        let mut file = TruthFile { path: path.to_owned(), file: open_locked(path)?, read_bytes: 0 };
        let mut changing = Vec::new();
        file.read(|line| {
            entries.apply(&line);
            if line.event == Event::Accepted && line.record.script.late_change().is_some() {
                changing.push(line.record.into_owned());
            }
        })?;
        if entries.drop_old(now) {
            file.rewrite(entries)?;
        }
        file.file.unlock()?;
        Ok((file, changing))
    }

    /// Reads the lines that other processes have written since the last read, or the whole file if
    /// one of them has rewritten it. The new file is then locked like the old one.
    fn catch_up(&mut self, entries: &mut Entries) -> io::Result<()> {
        // What was replaced has no name any more.
        if self.file.metadata()?.nlink() == 0 {
            // This closes the old file and so releases its lock.
            self.file = open_locked(&self.path)?;
            self.read_bytes = 0;
            *entries = Entries::default();
        }
        self.read(|line| entries.apply(&line))
    }

    /// Reads on from the last position. An incomplete last line is removed: we hold the lock, so
    /// the process that wrote it has died.
    fn read(&mut self, apply: impl FnMut(Line<'_>)) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        if length == self.read_bytes {
            return Ok(());
        }
        (&self.file).seek(SeekFrom::Start(self.read_bytes))?;
        self.read_bytes += for_each_line(BufReader::new(&self.file), apply)?;
        if self.read_bytes < length {
            self.file.set_len(self.read_bytes)?;
        }
        Ok(())
    }

    fn append(&mut self, line: &Line<'_>) -> io::Result<()> {
        let bytes = line.to_bytes()?;
        if let Err(error) = (&self.file).write_all(&bytes) {
            // If this fails too, the next read removes the incomplete line.
            let _ = self.file.set_len(self.read_bytes);
            return Err(error);
        }
        self.read_bytes += bytes.len() as u64;
        Ok(())
    }

    /// Replaces the file by one with only the lines of attempts that are still in `entries`.
    fn rewrite(&mut self, entries: &Entries) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let name = PathBuf::from(name);
        let new = open_for_appending(&name)?;
        // A process may have died while it rewrote the file.
        new.set_len(0)?;
        new.lock()?;
        let mut writer = BufWriter::new(&new);
        (&self.file).seek(SeekFrom::Start(0))?;
        let mut written = Ok(());
        for_each_line(BufReader::new(&self.file), |line| {
            if written.is_ok() && entries.by_attempt.contains_key(&line.record.attempt) {
                written = line.to_bytes().and_then(|bytes| writer.write_all(&bytes));
            }
        })?;
        written.and_then(|()| writer.flush())?;
        drop(writer);
        fs::rename(&name, &self.path)?;
        self.read_bytes = new.metadata()?.len();
        self.file = new;
        Ok(())
    }
}

/// Opens and locks the file at this path. Tries again if the file was replaced while this process
/// waited for its lock.
fn open_locked(path: &Path) -> io::Result<File> {
    loop {
        let file = open_for_appending(path)?;
        file.lock()?;
        if is_file_at(&file, path)? {
            return Ok(file);
        }
    }
}

fn is_file_at(file: &File, path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(named) => Ok(named.ino() == file.metadata()?.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Creates the file readable by its owner only: recipients are personal data.
fn open_for_appending(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

/// Calls `apply` for each complete line. Returns the length of these lines in bytes.
fn for_each_line(mut reader: impl BufRead, mut apply: impl FnMut(Line<'_>)) -> io::Result<u64> {
    let mut length = 0;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        reader.read_until(b'\n', &mut bytes)?;
        if bytes.last() != Some(&b'\n') {
            return Ok(length);
        }
        let json: JsonLine<'_> = serde_json::from_slice(&bytes)?;
        apply(json.into_line().ok_or(io::ErrorKind::InvalidData)?);
        length += bytes.len() as u64;
    }
}

/// One line of the file.
struct Line<'r> {
    event: Event,
    record: Cow<'r, Record>,
}

/// What a line records.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Event {
    /// An order was accepted.
    Accepted,
    /// The late change of its state has happened.
    #[serde(rename = "turned")]
    Changed,
    /// The same attempt was sent again; nothing was done.
    #[serde(rename = "again")]
    Repeated,
}

/// The JSON of a line.
#[derive(Serialize, Deserialize)]
struct JsonLine<'l> {
    event: Event,
    attempt: Cow<'l, str>,
    upstream: Cow<'l, str>,
    environment: Cow<'l, str>,
    operator: Cow<'l, str>,
    kind: Cow<'l, str>,
    recipient: Cow<'l, str>,
    amount_minor: i64,
    currency: Cow<'l, str>,
    at_us: i64,
    script: Script,
    credited: bool,
}

impl Line<'_> {
    fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let r = &self.record;
        let line = JsonLine {
            event: self.event,
            attempt: r.attempt.to_string().into(),
            upstream: r.upstream.as_str().into(),
            environment: r.environment.code().into(),
            operator: r.operator.as_str().into(),
            kind: r.kind.code().into(),
            recipient: r.recipient.as_str().into(),
            amount_minor: r.amount.minor(),
            currency: r.amount.currency().code().into(),
            at_us: r.at.0,
            script: r.script,
            credited: r.credited,
        };
        let mut bytes = Vec::with_capacity(LINE_BYTES);
        serde_json::to_writer(&mut bytes, &line)?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

impl JsonLine<'_> {
    fn into_line(self) -> Option<Line<'static>> {
        let currency = Currency::from_code(&self.currency)?;
        let record = Record {
            attempt: AttemptRef::parse(&self.attempt)?,
            upstream: UpstreamCode::new(&self.upstream),
            environment: Environment::from_code(&self.environment)?,
            operator: self.operator.into_owned(),
            kind: Kind::from_code(&self.kind)?,
            recipient: self.recipient.into_owned(),
            amount: Money::new(self.amount_minor, currency),
            at: Timestamp(self.at_us),
            script: self.script,
            credited: self.credited,
            repeats: 0,
        };
        Some(Line { event: self.event, record: Cow::Owned(record) })
    }
}

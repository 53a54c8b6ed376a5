//! Who was really credited: in memory, and in a file of JSON lines that is only appended to.
//!
//! A line is one write while the file is locked, so that processes on one machine may share it; it
//! is not flushed, because the truth outlives the process and not the machine. Invariants: memory
//! never knows what the file does not; an attempt is accepted once, whoever sends it how often.

use super::script::Script;
use domain::account::Environment;
use domain::catalog::kind::Kind;
use domain::clock::Timestamp;
use domain::ids::PurchaseId;
use domain::money::{Currency, Money};
use domain::upstream::{AttemptRef, Order, UpstreamCode};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Settled orders older than this are forgotten at the next start. Doubts are with staff long
/// before; in memory an order weighs some sixty bytes until then.
pub const KEPT_FOR: Duration = Duration::from_secs(48 * 3600);

/// One order that was accepted, for oracles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Our reference of the try.
    pub attempt: AttemptRef,
    /// By whom it was accepted.
    pub upstream: UpstreamCode,
    /// Where.
    pub environment: Environment,
    /// The operator's code.
    pub operator: String,
    /// What was bought.
    pub kind: Kind,
    /// The end customer.
    pub recipient: String,
    /// What the end customer got or would have got.
    pub amount: Money,
    /// When it was accepted.
    pub at: Timestamp,
    /// What was decided to become of it.
    pub script: Script,
    /// Whether the end customer has it, as things stand.
    pub credited: bool,
    /// How often the same attempt was sent again.
    pub repeats: u32,
}

/// The whole truth in short, for oracles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Truth {
    /// The attempts whose end customer has it.
    pub credited: BTreeSet<AttemptRef>,
    /// How often an attempt was sent that was known already.
    pub repeats: u64,
}

impl Truth {
    /// What these records come to.
    pub fn of(records: &[Record]) -> Truth {
        Truth {
            credited: records.iter().filter(|r| r.credited).map(|r| r.attempt).collect(),
            repeats: records.iter().map(|r| u64::from(r.repeats)).sum(),
        }
    }

    /// The purchases that were credited by more than one attempt: there should be none.
    pub fn credited_twice(&self) -> Vec<PurchaseId> {
        let mut times: BTreeMap<PurchaseId, u32> = BTreeMap::new();
        for attempt in &self.credited {
            *times.entry(attempt.purchase).or_default() += 1;
        }
        times.into_iter().filter(|(_, n)| *n > 1).map(|(purchase, _)| purchase).collect()
    }
}

/// Reads a truth file, also of a simulator that runs: its accepted orders in the order of their
/// acceptance, as they stand. A last line that is not whole is left out; a file that is not there
/// is an error, as is a line that cannot be read.
pub fn read_truth(path: &Path) -> io::Result<Vec<Record>> {
    let mut records: Vec<Record> = Vec::new();
    let mut places: HashMap<AttemptRef, usize> = HashMap::new();
    each_line(BufReader::new(File::open(path)?), |Line { event, record }| {
        let place = places.get(&record.attempt).copied();
        match (event, place) {
            (Event::Accepted, None) => {
                places.insert(record.attempt, records.len());
                records.push(record);
            }
            (Event::Turned, Some(place)) => records[place].credited = record.credited,
            (Event::Again, Some(place)) => records[place].repeats += 1,
            // Never written.
            (Event::Accepted, Some(_)) | (Event::Turned | Event::Again, None) => {}
        }
    })?;
    Ok(records)
}

impl Record {
    /// Of an order that this upstream accepts now.
    pub(super) fn of(
        order: &Order,
        upstream: &UpstreamCode,
        script: Script,
        at: Timestamp,
    ) -> Record {
        Record {
            attempt: order.attempt,
            upstream: upstream.clone(),
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

/// What memory keeps of an accepted order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    /// When it was accepted.
    pub at: Timestamp,
    /// What was decided to become of it.
    pub script: Script,
    /// Whether its state has changed by itself.
    pub has_turned: bool,
}

/// The truth: memory, and the file if there is one.
pub(super) struct Ground {
    book: Book,
    log: Option<Log>,
}

impl Ground {
    /// Reads the file if there is one. Also gives the orders whose state changes by itself, and
    /// whether it has.
    pub(super) fn open(
        path: Option<&Path>,
        now: Timestamp,
    ) -> io::Result<(Ground, Vec<(Record, bool)>)> {
        let mut book = Book::default();
        let Some(path) = path else {
            return Ok((Ground { book, log: None }, Vec::new()));
        };
        let (log, turning) = Log::open(path, &mut book, now)
            .map_err(|e| io::Error::new(e.kind(), format!("{}: {e}", path.display())))?;
        let late = turning
            .into_iter()
            .filter_map(|r| book.entries.get(&r.attempt).map(|e| (r, e.has_turned)))
            .collect();
        Ok((Ground { book, log: Some(log) }, late))
    }

    /// Puts an order on record; false if the attempt was there already. After an error it is not
    /// on record, or will be found in the file.
    pub(super) fn accept(&mut self, record: &Record) -> io::Result<bool> {
        let line = self.write(|book| {
            Some(match book.entries.contains_key(&record.attempt) {
                true => {
                    let record = Record { credited: false, ..record.clone() };
                    Line { event: Event::Again, record }
                }
                false => Line { event: Event::Accepted, record: record.clone() },
            })
        })?;
        Ok(line.is_some_and(|line| line.event == Event::Accepted))
    }

    /// What is known of an attempt.
    pub(super) fn known(&mut self, attempt: AttemptRef) -> io::Result<Option<Entry>> {
        if !self.book.entries.contains_key(&attempt) {
            // Another process may have it.
            self.write(|_| None)?;
        }
        Ok(self.book.entries.get(&attempt).copied())
    }

    /// Its state changes by itself; nothing if it has already.
    pub(super) fn turn(&mut self, record: &Record) -> io::Result<()> {
        let credited = record.script.credits(true);
        self.write(|book| {
            let entry = book.entries.get(&record.attempt)?;
            let turned = || Record { credited, ..record.clone() };
            (!entry.has_turned).then(|| Line { event: Event::Turned, record: turned() })
        })
        .map(drop)
    }

    /// Everything in short.
    pub(super) fn truth(&mut self) -> io::Result<Truth> {
        self.write(|_| None)?;
        let credited = |e: &Entry| e.script.credits(e.has_turned);
        let entries = self.book.entries.iter();
        Ok(Truth {
            credited: entries.filter(|(_, e)| credited(e)).map(|(a, _)| *a).collect(),
            repeats: self.book.repeats,
        })
    }

    /// The one way to write: with the file locked and read up to its end, the line that `decide`
    /// makes of the book goes to the file first and to the book then.
    fn write(&mut self, decide: impl FnOnce(&Book) -> Option<Line>) -> io::Result<Option<Line>> {
        let Ground { book, log } = self;
        let Some(log) = log else {
            let line = decide(book);
            line.iter().for_each(|line| book.take(line));
            return Ok(line);
        };
        log.file.lock()?;
        let written = log.catch_up(book).and_then(|()| {
            let line = decide(book);
            line.iter().try_for_each(|line| log.append(line))?;
            Ok(line)
        });
        if let Ok(Some(line)) = &written {
            book.take(line);
        }
        log.file.unlock()?;
        written
    }
}

/// Memory.
#[derive(Default)]
struct Book {
    entries: HashMap<AttemptRef, Entry>,
    repeats: u64,
}

impl Book {
    fn take(&mut self, Line { event, record }: &Line) {
        match event {
            Event::Accepted => {
                let entry = Entry { at: record.at, script: record.script, has_turned: false };
                self.entries.entry(record.attempt).or_insert(entry);
            }
            Event::Turned => {
                if let Some(entry) = self.entries.get_mut(&record.attempt) {
                    entry.has_turned = true;
                }
            }
            Event::Again => self.repeats += 1,
        }
    }

    /// Drops what is old and settled; says whether anything was.
    fn forget(&mut self, now: Timestamp) -> bool {
        let before = self.entries.len();
        self.entries.retain(|_, e| {
            let is_pending = e.script.turn().is_some() && !e.has_turned;
            is_pending || now.since(e.at) <= KEPT_FOR
        });
        self.entries.len() < before
    }
}

/// The file, open for appending.
struct Log {
    path: PathBuf,
    file: File,
    /// So many bytes of it are in the book.
    seen: u64,
}

impl Log {
    fn open(path: &Path, book: &mut Book, now: Timestamp) -> io::Result<(Log, Vec<Record>)> {
        let mut log = Log { path: path.to_owned(), file: locked(path)?, seen: 0 };
        let mut turning = Vec::new();
        log.read(|line| {
            book.take(&line);
            if line.event == Event::Accepted && line.record.script.turn().is_some() {
                turning.push(line.record);
            }
        })?;
        if book.forget(now) {
            log.rewrite(book)?;
        }
        log.file.unlock()?;
        Ok((log, turning))
    }

    /// Reads what other processes wrote since; from the beginning if one has rewritten the file.
    /// The file is locked, also if it is another one then.
    fn catch_up(&mut self, book: &mut Book) -> io::Result<()> {
        if !is_file_of(&self.file, &self.path)? {
            // Closing the old file lets go of its lock.
            self.file = locked(&self.path)?;
            self.seen = 0;
            *book = Book::default();
        }
        self.read(|line| book.take(&line))
    }

    /// Reads from where it stopped last and cuts off a last line that is not whole: its writer
    /// held the lock that we hold, so it died.
    fn read(&mut self, take: impl FnMut(Line)) -> io::Result<()> {
        let length = self.file.metadata()?.len();
        if length == self.seen {
            return Ok(());
        }
        (&self.file).seek(SeekFrom::Start(self.seen))?;
        self.seen += each_line(BufReader::new(&self.file), take)?;
        if self.seen < length {
            self.file.set_len(self.seen)?;
        }
        Ok(())
    }

    fn append(&mut self, line: &Line) -> io::Result<()> {
        let bytes = line.to_bytes()?;
        if let Err(error) = (&self.file).write_all(&bytes) {
            // If this fails too, the next reader cuts it off.
            let _ = self.file.set_len(self.seen);
            return Err(error);
        }
        self.seen += bytes.len() as u64;
        Ok(())
    }

    /// Keeps the lines of what the book still knows, in a new file of the same name.
    fn rewrite(&mut self, book: &Book) -> io::Result<()> {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let name = PathBuf::from(name);
        let new = open_for_appending(&name)?;
        // An earlier try may have died.
        new.set_len(0)?;
        new.lock()?;
        let mut writer = BufWriter::new(&new);
        (&self.file).seek(SeekFrom::Start(0))?;
        let mut written = Ok(());
        each_line(BufReader::new(&self.file), |line| {
            if written.is_ok() && book.entries.contains_key(&line.record.attempt) {
                written = line.to_bytes().and_then(|bytes| writer.write_all(&bytes));
            }
        })?;
        written.and_then(|()| writer.flush())?;
        drop(writer);
        fs::rename(&name, &self.path)?;
        self.seen = new.metadata()?.len();
        self.file = new;
        Ok(())
    }
}

/// Opens and locks the file that has this name: not one that lost it while we waited.
fn locked(path: &Path) -> io::Result<File> {
    loop {
        let file = open_for_appending(path)?;
        file.lock()?;
        if is_file_of(&file, path)? {
            return Ok(file);
        }
    }
}

fn is_file_of(file: &File, path: &Path) -> io::Result<bool> {
    match fs::metadata(path) {
        Ok(named) => Ok(named.ino() == file.metadata()?.ino()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Recipients are personal: readable by the owner only.
fn open_for_appending(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(path)
}

/// Hands over every whole line; gives the number of their bytes.
fn each_line(mut reader: impl BufRead, mut take: impl FnMut(Line)) -> io::Result<u64> {
    let mut whole = 0;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        reader.read_until(b'\n', &mut bytes)?;
        if bytes.last() != Some(&b'\n') {
            return Ok(whole);
        }
        let wire: Wire = serde_json::from_slice(&bytes)?;
        take(wire.line().ok_or(io::ErrorKind::InvalidData)?);
        whole += bytes.len() as u64;
    }
}

/// One line of the file.
struct Line {
    event: Event,
    record: Record,
}

/// What a line is about.
#[derive(Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Event {
    /// An order was accepted.
    Accepted,
    /// Its state changed by itself.
    Turned,
    /// The same attempt was sent again; nothing was done.
    Again,
}

/// A line as it is written.
#[derive(Serialize, Deserialize)]
struct Wire {
    event: Event,
    attempt: String,
    upstream: String,
    environment: String,
    operator: String,
    kind: String,
    recipient: String,
    amount_minor: i64,
    currency: String,
    at_us: i64,
    script: Script,
    credited: bool,
}

impl Line {
    fn to_bytes(&self) -> io::Result<Vec<u8>> {
        let r = &self.record;
        let mut bytes = serde_json::to_vec(&Wire {
            event: self.event,
            attempt: r.attempt.to_string(),
            upstream: r.upstream.as_str().into(),
            environment: r.environment.code().into(),
            operator: r.operator.clone(),
            kind: r.kind.code().into(),
            recipient: r.recipient.clone(),
            amount_minor: r.amount.minor(),
            currency: r.amount.currency().code().into(),
            at_us: r.at.0,
            script: r.script,
            credited: r.credited,
        })?;
        bytes.push(b'\n');
        Ok(bytes)
    }
}

impl Wire {
    fn line(self) -> Option<Line> {
        let currency = Currency::from_code(&self.currency)?;
        let record = Record {
            attempt: AttemptRef::parse(&self.attempt)?,
            upstream: UpstreamCode::new(&self.upstream),
            environment: Environment::from_code(&self.environment)?,
            operator: self.operator,
            kind: Kind::from_code(&self.kind)?,
            recipient: self.recipient,
            amount: Money::new(self.amount_minor, currency),
            at: Timestamp(self.at_us),
            script: self.script,
            credited: self.credited,
            repeats: 0,
        };
        Some(Line { event: self.event, record })
    }
}

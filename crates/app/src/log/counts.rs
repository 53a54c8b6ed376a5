//! Events that strangers cause in plenty: counted, and said once a second for each kind.
//!
//! An event with the target `counted` is of this sort. Its fields are `code` and, where there are
//! any, `status` and `from` (the client's address). Invariant: what is kept is bounded, whatever
//! arrives.

use std::collections::{HashMap, HashSet};
use std::fmt::{Debug, Write as _};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::Thread;
use std::time::Duration;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

/// The target of an event that is counted.
pub(super) const COUNTED: &str = "counted";
const REPORT_EVERY: Duration = Duration::from_secs(1);
/// Kinds in one second: far more than there are codes. The others count together.
const KINDS_MAX: usize = 64;
/// Addresses that one kind counts in a second.
const ADDRESSES_MAX: usize = 1024;
/// A code may be the text of a fault.
const CODE_CHARS_MAX: usize = 200;

/// What was counted since the last report.
#[derive(Default)]
pub(super) struct Counts {
    kinds: Mutex<HashMap<EventKind, EventCount>>,
    reporter: OnceLock<Thread>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct EventKind {
    level: Level,
    message: String,
    status: Option<u64>,
    code: String,
}

#[derive(Default)]
struct EventCount {
    times: u64,
    /// Hashes of addresses.
    addresses: HashSet<u64>,
    one_address: String,
}

impl Counts {
    /// Starts the thread that reports. It sleeps while there is nothing to report.
    pub(super) fn start() -> Arc<Counts> {
        let counts = Arc::new(Counts::default());
        let reporting = counts.clone();
        let thread = std::thread::Builder::new().name("log-counts".to_owned()).spawn(move || {
            loop {
                std::thread::park();
                std::thread::sleep(REPORT_EVERY);
                reporting.report();
            }
        });
        if let Ok(thread) = thread {
            let _ = counts.reporter.set(thread.thread().clone());
        }
        counts
    }

    /// Says what was counted, and begins anew.
    pub(super) fn report(&self) {
        let kinds = std::mem::take(&mut *self.kinds());
        let mut lines: Vec<_> =
            kinds.iter().map(|(kind, count)| (kind, line(kind, count))).collect();
        lines.sort_by(|(_, a), (_, b)| a.cmp(b));
        for (kind, line) in lines {
            match kind.level {
                Level::ERROR => tracing::error!("{line}"),
                Level::WARN => tracing::warn!("{line}"),
                _ => tracing::info!("{line}"),
            }
        }
    }

    fn add(&self, kind: EventKind, from: &str) {
        let mut kinds = self.kinds();
        let is_first = kinds.is_empty();
        let is_new = !kinds.contains_key(&kind);
        let kind = if is_new && kinds.len() >= KINDS_MAX { kind.as_other() } else { kind };
        let count = kinds.entry(kind).or_default();
        count.times += 1;
        if !from.is_empty() && count.addresses.len() < ADDRESSES_MAX {
            let mut hasher = DefaultHasher::new();
            from.hash(&mut hasher);
            if count.addresses.insert(hasher.finish()) && count.one_address.is_empty() {
                from.clone_into(&mut count.one_address);
            }
        }
        drop(kinds);
        if is_first && let Some(reporter) = self.reporter.get() {
            reporter.unpark();
        }
    }

    fn kinds(&self) -> MutexGuard<'_, HashMap<EventKind, EventCount>> {
        self.kinds.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl EventKind {
    fn as_other(&self) -> EventKind {
        let (message, code) = ("events of other kinds".to_owned(), "all".to_owned());
        EventKind { level: self.level, message, status: None, code }
    }
}

/// `access refused: 401 INVALID_API_KEY 1234 times in the last second, from 3 addresses, one of
/// them 203.0.113.7`
fn line(kind: &EventKind, count: &EventCount) -> String {
    let mut line = format!("{}: ", kind.message);
    // Writing to a string cannot fail.
    if let Some(status) = kind.status {
        let _ = write!(line, "{status} ");
    }
    let times = if count.times == 1 { "time" } else { "times" };
    let _ = write!(line, "{} {} {times} in the last second", kind.code, count.times);
    let address = &count.one_address;
    let _ = match count.addresses.len() {
        0 => Ok(()),
        1 => write!(line, ", from {address}"),
        ADDRESSES_MAX.. => write!(line, ", from {ADDRESSES_MAX} addresses or more"),
        n => write!(line, ", from {n} addresses, one of them {address}"),
    };
    line
}

/// Counts the events that are to be counted.
pub(super) struct CountLayer(pub(super) Arc<Counts>);

impl<S: Subscriber> Layer<S> for CountLayer {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() == COUNTED {
            let mut fields = Fields::default();
            event.record(&mut fields);
            let Fields { message, status, code, from } = fields;
            let level = *event.metadata().level();
            let code = code.chars().take(CODE_CHARS_MAX).collect();
            self.0.add(EventKind { level, message, status, code }, &from);
        }
    }
}

#[derive(Default)]
struct Fields {
    message: String,
    status: Option<u64>,
    code: String,
    from: String,
}

impl Fields {
    fn text(&mut self, field: &Field) -> Option<&mut String> {
        match field.name() {
            "message" => Some(&mut self.message),
            "code" => Some(&mut self.code),
            "from" => Some(&mut self.from),
            _ => None,
        }
    }
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == "status" {
            self.status = Some(value);
        }
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        if let Some(text) = self.text(field) {
            value.clone_into(text);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if let Some(text) = self.text(field) {
            *text = format!("{value:?}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracing_subscriber::layer::SubscriberExt as _;

    fn counted(events: impl FnOnce()) -> Vec<String> {
        let counts = Arc::new(Counts::default());
        let subscriber = tracing_subscriber::registry().with(CountLayer(counts.clone()));
        tracing::subscriber::with_default(subscriber, events);
        let kinds = counts.kinds();
        let mut lines: Vec<String> = kinds.iter().map(|(kind, count)| line(kind, count)).collect();
        lines.sort();
        lines
    }

    fn refuse(code: &str, from: &str) {
        tracing::info!(target: "counted", status = 401_u16, code, %from, "access refused");
    }

    #[test]
    fn each_kind_is_one_line() {
        let lines = counted(|| {
            (0..1234).for_each(|n| refuse("INVALID_API_KEYS", &format!("192.0.2.{}", n % 3)));
            refuse("MISSING_API_KEYS", "192.0.2.7");
            let code = format_args!("disk {}", 1);
            tracing::error!(target: "counted", %code, "the store could not answer");
            tracing::info!("this is an event like any other");
        });
        assert_eq!(
            lines,
            [
                "access refused: 401 INVALID_API_KEYS 1234 times in the last second, \
                 from 3 addresses, one of them 192.0.2.0",
                "access refused: 401 MISSING_API_KEYS 1 time in the last second, from 192.0.2.7",
                "the store could not answer: disk 1 1 time in the last second",
            ]
        );
    }

    #[test]
    fn kinds_and_addresses_are_bounded() {
        let lines = counted(|| (0..5000).for_each(|n| refuse(&n.to_string(), "192.0.2.1")));
        assert_eq!(lines.len(), KINDS_MAX + 1);
        assert!(lines.iter().any(|l| l.starts_with("events of other kinds: all 4936 times")));
        let many = counted(|| (0..5000).for_each(|n| refuse("X", &n.to_string())));
        let expected = "access refused: 401 X 5000 times in the last second, \
                        from 1024 addresses or more";
        assert_eq!(many, [expected]);
    }
}

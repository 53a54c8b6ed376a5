//! Lines on their way to a file that may be full, closed, or a pipe that nobody reads.
//!
//! Invariant: [`LineWriter::write`] neither waits nor fails. What does not fit into the queue, and
//! what cannot be written, is lost and counted; the next line that can be written says how much.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

/// Lines that wait at most: some seconds of a busy log.
const LINES_MAX: usize = 16_384;
/// Bytes that wait at most, because a line may be long.
const BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why lines were lost, if writing them did not fail.
const QUEUE_FULL: &str = "they came faster than they could be written";

/// Makes the line that says how many lines were lost, and why.
type LostLine = fn(lost: u64, why: &str) -> Vec<u8>;

/// The end of the queue that takes lines.
pub(super) struct LineWriter {
    queue: SyncSender<Queued>,
    counts: Arc<LineCounts>,
}

enum Queued {
    Lines(Vec<u8>),
    /// Answered once everything before it was written or lost.
    Flush(SyncSender<()>),
}

#[derive(Default)]
struct LineCounts {
    waiting_bytes: AtomicUsize,
    lost: AtomicU64,
}

impl LineWriter {
    /// Starts the thread that writes to `target`. Without a thread every line is lost.
    pub(super) fn start(target: impl Write + Send + 'static, lost_line: LostLine) -> LineWriter {
        let (queue, queued) = sync_channel(LINES_MAX);
        let counts = Arc::new(LineCounts::default());
        let mut thread = Target { target, lost_line, counts: counts.clone(), is_torn: false };
        let started =
            std::thread::Builder::new().name("log".to_owned()).spawn(move || thread.run(&queued));
        drop(started);
        LineWriter { queue, counts }
    }

    /// Queues whole lines; lost if too much waits.
    pub(super) fn write(&self, lines: Vec<u8>) {
        let bytes = lines.len();
        let waiting = self.counts.waiting_bytes.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if waiting > BYTES_MAX || self.queue.try_send(Queued::Lines(lines)).is_err() {
            self.counts.waiting_bytes.fetch_sub(bytes, Ordering::Relaxed);
            self.counts.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Waits until what is queued is written or lost, at most so long.
    pub(super) fn flush(&self, within: Duration) {
        let (done, is_done) = sync_channel(1);
        // A full queue is one that nobody reads from: nothing to wait for.
        if self.queue.try_send(Queued::Flush(done)).is_ok() {
            let _ = is_done.recv_timeout(within);
        }
    }
}

/// The thread's side.
struct Target<W> {
    target: W,
    lost_line: LostLine,
    counts: Arc<LineCounts>,
    /// A line was written in part: the next one begins on a line of its own.
    is_torn: bool,
}

impl<W: Write> Target<W> {
    fn run(&mut self, queue: &Receiver<Queued>) {
        let mut why = None;
        for queued in queue {
            match queued {
                Queued::Flush(done) => {
                    let _ = done.try_send(());
                }
                Queued::Lines(lines) => {
                    self.counts.waiting_bytes.fetch_sub(lines.len(), Ordering::Relaxed);
                    why = self.write_after_lost_line(&lines, why).err();
                    if why.is_some() {
                        self.counts.lost.fetch_add(1, Ordering::Relaxed);
                    }
                }
            }
        }
    }

    /// Writes lines, and before them what has been lost since the last success.
    fn write_after_lost_line(&mut self, lines: &[u8], why: Option<io::Error>) -> io::Result<()> {
        let lost = self.counts.lost.load(Ordering::Relaxed);
        if lost > 0 {
            let why = why.map_or_else(|| QUEUE_FULL.to_owned(), |error| error.to_string());
            let line = (self.lost_line)(lost, &why);
            self.write_whole(&line)?;
            self.counts.lost.fetch_sub(lost, Ordering::Relaxed);
        }
        self.write_whole(lines)
    }

    fn write_whole(&mut self, lines: &[u8]) -> io::Result<()> {
        let apart: &[u8] = if self.is_torn { b"\n" } else { b"" };
        let whole = [apart, lines].concat();
        let mut rest = &whole[..];
        while !rest.is_empty() {
            match self.target.write(rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(bytes) => {
                    rest = &rest[bytes..];
                    self.is_torn = !rest.is_empty();
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    const SOON: Duration = Duration::from_secs(10);

    fn lost_line(lost: u64, why: &str) -> Vec<u8> {
        format!("lost {lost}: {why}\n").into_bytes()
    }

    fn line(n: usize) -> Vec<u8> {
        format!("line {n}\n").into_bytes()
    }

    /// A disk with room for so many bytes.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut disk = self.0.lock().unwrap();
            let taken = bytes.len().min(disk.1);
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            disk.1 -= taken;
            disk.0.extend(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Disk {
        fn give(&self, bytes: usize) {
            self.0.lock().unwrap().1 = bytes;
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().0.clone()).unwrap()
        }
    }

    #[test]
    fn a_disk_that_was_full_gets_the_count_of_what_it_lost() {
        let disk = Disk::default();
        let writer = LineWriter::start(disk.clone(), lost_line);
        // The second line is torn, three more are lost with it.
        disk.give(10);
        (1..=5).for_each(|n| writer.write(line(n)));
        writer.flush(SOON);
        assert_eq!(disk.text(), "line 1\nlin");
        disk.give(1000);
        writer.write(line(6));
        writer.write(line(7));
        writer.flush(SOON);
        let why = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(disk.text(), format!("line 1\nlin\nlost 4: {why}\nline 6\nline 7\n"));
    }

    /// Takes nothing until it is let go.
    struct Stuck(Receiver<()>, Disk);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            // Once the other end is gone it returns at once.
            let _ = self.0.recv();
            self.1.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_pipe_that_nobody_reads_stops_nobody() {
        let (unstick, stuck) = channel();
        let disk = Disk::default();
        disk.give(usize::MAX);
        let writer = LineWriter::start(Stuck(stuck, disk.clone()), lost_line);
        let wait_until_taken = || {
            while writer.counts.waiting_bytes.load(Ordering::Relaxed) > 0 {
                std::thread::yield_now();
            }
        };
        // The thread is stuck with the first line.
        writer.write(line(0));
        wait_until_taken();
        let count = 3 * LINES_MAX;
        (1..count).for_each(|n| writer.write(line(n)));
        writer.flush(Duration::from_millis(10));
        let lost = writer.counts.lost.load(Ordering::Relaxed);
        assert!(lost >= (2 * LINES_MAX) as u64 - 1, "{lost}");
        drop(unstick);
        // What waited goes out, then there is room again.
        wait_until_taken();
        writer.write(line(count));
        writer.flush(SOON);
        let text = disk.text();
        assert!(text.contains(&format!("lost {lost}: {QUEUE_FULL}\n")), "{lost}");
        assert_eq!(
            text.lines().filter(|l| l.starts_with("line")).count(),
            count + 1 - lost as usize
        );
    }

    #[test]
    fn long_lines_are_bounded_too() {
        let (_unstick, stuck) = channel();
        let writer = LineWriter::start(Stuck(stuck, Disk::default()), lost_line);
        (0..100).for_each(|_| writer.write(vec![b'x'; BYTES_MAX / 10]));
        assert!(writer.counts.waiting_bytes.load(Ordering::Relaxed) <= BYTES_MAX);
        assert!(writer.counts.lost.load(Ordering::Relaxed) >= 89);
    }
}

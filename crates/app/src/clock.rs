//! The only real clock and the only source of random numbers; all other code gets them as
//! arguments.
//!
//! Not here: the traits (`domain::clock`).

use domain::{Clock, NoRandom, Random, Timestamp};
use ring::rand::{SecureRandom, SystemRandom};
use std::path::PathBuf;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The wall clock of the machine; its monotonic time starts at zero.
pub(crate) struct MachineClock {
    started: Instant,
    /// In builds for tests: a file with the seconds by which the wall clock is off.
    shift_file: Option<PathBuf>,
}

impl MachineClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads time")]
    pub(crate) fn new() -> MachineClock {
        let shift_file = std::env::var_os("SALDO_TEST_CLOCK_FILE").map(PathBuf::from);
        MachineClock {
            started: Instant::now(),
            shift_file: shift_file.filter(|_| cfg!(debug_assertions)),
        }
    }

    fn shift_s(&self) -> i64 {
        let shift = self.shift_file.as_ref().and_then(|file| std::fs::read_to_string(file).ok());
        shift.and_then(|text| text.trim().parse().ok()).unwrap_or(0)
    }
}

impl Clock for MachineClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads time")]
    fn now(&self) -> Timestamp {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let micros = i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX);
        Timestamp(micros.saturating_add(self.shift_s().saturating_mul(1_000_000)))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// The operating system's random numbers.
pub(crate) struct MachineRandom(SystemRandom);

impl MachineRandom {
    pub(crate) fn new() -> MachineRandom {
        MachineRandom(SystemRandom::new())
    }
}

impl Random for MachineRandom {
    fn fill(&self, bytes: &mut [u8]) -> Result<(), NoRandom> {
        self.0.fill(bytes).map_err(|_| NoRandom)
    }
}

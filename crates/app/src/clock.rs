//! The only real clock and the only source of random numbers; all other code gets them as
//! arguments.
//!
//! Not here: the traits (`domain::clock`).

use domain::{Clock, NoRandom, Random, Timestamp};
use ring::rand::{SecureRandom, SystemRandom};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The wall clock of the machine; its monotonic time starts at zero.
pub(crate) struct MachineClock {
    started: Instant,
}

impl MachineClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads time")]
    pub(crate) fn new() -> MachineClock {
        MachineClock { started: Instant::now() }
    }
}

impl Clock for MachineClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads time")]
    fn now(&self) -> Timestamp {
        let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        Timestamp(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX))
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

//! The processor time and the memory of a process, from `/proc`.
//!
//! Not here: other systems than Linux; there the benchmark fails at its first measurement.

use crate::load::Run;
use anyhow::{Context as _, Result};
use std::fs;
use std::time::Duration;

/// The unit of processor time in `/proc`: a hundredth of a second.
const TICK: Duration = Duration::from_millis(10);

/// The processes whose processor time is charged to a run.
#[derive(Clone, Debug, Default)]
pub(crate) struct Processes {
    /// Saldo's servers, or the baseline endpoint.
    pub(crate) servers: Vec<u32>,
    pub(crate) database: Option<u32>,
}

impl Processes {
    /// Takes a run, and notes in it the time that these processes spent meanwhile.
    pub(crate) fn charge(&self, run: impl FnOnce() -> Result<Run>) -> Result<Run> {
        let before = self.spent()?;
        let mut run = run()?;
        for ((before, after), cpu_us) in before.into_iter().zip(self.spent()?).zip(&mut run.cpu_us)
        {
            if let (Some(before), Some(after)) = (before, after) {
                let took_us = after.saturating_sub(before).as_micros();
                *cpu_us = Some(u64::try_from(took_us)? / run.successes.max(1));
            }
        }
        Ok(run)
    }

    fn spent(&self) -> Result<[Option<Duration>; 2]> {
        let servers: Duration = self.servers.iter().copied().map(time_of).sum::<Result<_>>()?;
        let servers = (!self.servers.is_empty()).then_some(servers);
        Ok([servers, self.database.map(time_of).transpose()?])
    }
}

/// Processor time so far of a process and of its children.
fn time_of(process: u32) -> Result<Duration> {
    let mut ticks = ticks_of(process)?.0;
    for entry in fs::read_dir("/proc")?.flatten() {
        let id = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        // The time of a child that has ended is in its parent's ticks.
        if let Some(Ok((child_ticks, parent))) = id.map(ticks_of)
            && parent == process
        {
            ticks += child_ticks;
        }
    }
    Ok(TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX)))
}

/// Ticks of a process, with those of its children that have ended; and the parent's id.
fn ticks_of(process: u32) -> Result<(u64, u32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The second field is a name in brackets, which may itself have spaces and brackets.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok());
    let ticks = (14..=17).map(field).sum::<Option<u64>>();
    let parent = field(4).and_then(|parent| u32::try_from(parent).ok());
    ticks.zip(parent).context("/proc tells no processor time")
}

/// The resident memory of a process, in KiB.
pub(crate) fn memory_kib(process: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let word = line.and_then(|text| text.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).context("/proc tells no memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_spends_time_and_memory() {
        let id = std::process::id();
        let before = time_of(id).unwrap();
        let mut sum = 0_u64;
        while time_of(id).unwrap() == before {
            sum = (0..1_000_000).fold(sum, |sum, n| std::hint::black_box(sum ^ n));
        }
        assert!(memory_kib(id).unwrap() > 500);
        assert!(time_of(u32::MAX).is_err());
    }
}

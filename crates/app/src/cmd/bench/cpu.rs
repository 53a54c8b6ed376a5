//! What a process costs: its processor time and its memory, as Linux tells them.

use anyhow::Context as _;
use std::fs;
use std::time::Duration;

/// Processor time is told in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// Processor time so far of a process and of those that it started.
pub(super) fn time_of(process: u32) -> anyhow::Result<Duration> {
    let mut ticks = ticks_of(process)?.0;
    for entry in fs::read_dir("/proc")?.flatten() {
        let id = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok());
        // One that ended meanwhile is counted with its parent.
        if let Some(Ok((its, parent))) = id.map(ticks_of)
            && parent == process
        {
            ticks += its;
        }
    }
    Ok(TICK.saturating_mul(u32::try_from(ticks).unwrap_or(u32::MAX)))
}

/// Ticks of a process, with those of its children that have ended; and its parent.
fn ticks_of(process: u32) -> anyhow::Result<(u64, u32)> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The second field, a name in brackets, may hold anything.
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok());
    let ticks = (14..=17).map(field).sum::<Option<u64>>();
    let parent = field(4).and_then(|parent| u32::try_from(parent).ok());
    ticks.zip(parent).context("/proc tells no processor time")
}

/// What of a process is in memory, in KiB.
pub(super) fn memory_kib(process: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let word = line.and_then(|rest| rest.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).context("/proc tells no memory")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_costs_something() {
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

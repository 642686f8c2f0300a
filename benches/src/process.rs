//! What Linux says about a process and about the machine.

use std::fs;
use std::io;
use std::time::Duration;

/// What a process has used since it began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Usage {
    /// Time on a core, in user and in kernel mode, with all threads (`/proc/PID/stat`).
    pub cpu: Duration,
    /// Bytes that it caused to be written to disks (`/proc/PID/io`).
    pub written_bytes: u64,
    /// Memory that it occupies now (`/proc/PID/status`).
    pub resident_bytes: u64,
}

impl Usage {
    /// Reads the usage of a process; its owner and root may.
    ///
    /// # Errors
    /// There is no such process, or it belongs to somebody else.
    pub fn of(pid: u32) -> io::Result<Self> {
        let read = |file: &str| fs::read_to_string(format!("/proc/{pid}/{file}"));
        let (stat, io, status) = (read("stat")?, read("io")?, read("status")?);
        let wrong = || io::Error::other(format!("/proc/{pid} cannot be read"));
        let ticks = ticks(&stat).ok_or_else(wrong)?;
        Ok(Self {
            cpu: duration_of(ticks),
            written_bytes: field(&io, "write_bytes:").ok_or_else(wrong)?,
            resident_bytes: field(&status, "VmRSS:").ok_or_else(wrong)? * 1024,
        })
    }

    /// Reads the usage of this process.
    ///
    /// # Errors
    /// `/proc` is not mounted.
    pub fn of_self() -> io::Result<Self> {
        Self::of(std::process::id())
    }

    /// What was used since an earlier reading; the memory is that of now.
    #[must_use]
    pub fn since(self, earlier: Self) -> Self {
        Self {
            cpu: self.cpu.saturating_sub(earlier.cpu),
            written_bytes: self.written_bytes.saturating_sub(earlier.written_bytes),
            resident_bytes: self.resident_bytes,
        }
    }
}

/// Time that all cores together were busy since the machine started (`/proc/stat`), or taken away
/// from a virtual machine: for a measurement that is other programs' work too.
///
/// # Errors
/// `/proc` is not mounted.
pub fn machine_busy() -> io::Result<Duration> {
    let stat = fs::read_to_string("/proc/stat")?;
    busy_ticks(&stat).map(duration_of).ok_or_else(|| io::Error::other("/proc/stat cannot be read"))
}

/// User and kernel time of `/proc/PID/stat`: fields 14 and 15. The second field is a name in
/// brackets and may hold spaces.
fn ticks(stat: &str) -> Option<u64> {
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

/// The first line of `/proc/stat` is user, nice, system, idle, iowait, irq, softirq, steal, guest.
fn busy_ticks(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line.split_ascii_whitespace().map_while(|n| n.parse().ok()).collect();
    match ticks.as_slice() {
        [user, nice, system, _idle, _iowait, irq, softirq, steal, ..] => {
            Some(user + nice + system + irq + softirq + steal)
        }
        _ => None,
    }
}

fn field(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name))?;
    value.split_ascii_whitespace().next()?.parse().ok()
}

fn duration_of(ticks: u64) -> Duration {
    let per_second = rustix::param::clock_ticks_per_second();
    Duration::from_secs_f64(ticks as f64 / per_second as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_brackets_and_spaces_does_not_move_the_fields() {
        let stat = "7 (a) b (c)) S 1 7 7 0 -1 4 5 6 7 8 120 34 0 0 20 0 3 0 9";
        assert_eq!(ticks(stat), Some(154));
        assert_eq!(ticks("7 (a) S 1"), None);
    }

    #[test]
    fn idle_time_is_not_work_and_stolen_time_is_the_work_of_others() {
        assert_eq!(busy_ticks("cpu  1 2 3 1000 2000 4 5 6 0 0\ncpu0 1\n"), Some(21));
        assert_eq!(busy_ticks("intr 1"), None);
    }

    #[test]
    fn this_process_can_be_read() {
        let usage = Usage::of_self().unwrap();
        assert!(usage.resident_bytes > 0);
        assert!(machine_busy().unwrap() > usage.cpu);
    }
}

//! Committed time: when the wall clock may be believed.
//!
//! The time of an entry is committed once and promised for ever, so a log that commits times takes
//! nothing while its wall clock contradicts the monotonic clock of this run, or lies before what
//! was committed.

use std::time::{Duration, Instant};

use crate::clock::Clock;

/// How far the wall clock may be from where it should be. Clocks are slewed by less, and set by
/// more only when they were wrong.
const DISAGREEMENT_MAX: Duration = Duration::from_secs(5);

/// What the wall clock is compared with.
#[derive(Debug)]
pub(super) struct CommittedTime {
    started: Instant,
    started_ms: u64,
    /// The newest committed time when the log started.
    committed_ms: u64,
}

impl CommittedTime {
    /// Starts the comparison: from here on the two clocks must run together.
    pub(super) fn start(clock: &Clock, committed_ms: u64) -> Self {
        Self { started: clock.instant(), started_ms: clock.now_ms(), committed_ms }
    }

    /// Whether a time may be committed now.
    pub(super) fn is_sound(&self, clock: &Clock) -> bool {
        let now_ms = clock.now_ms();
        let run_ms = millis(clock.instant().saturating_duration_since(self.started));
        let expected_ms = self.started_ms.saturating_add(run_ms);
        let agrees = now_ms.abs_diff(expected_ms) <= millis(DISAGREEMENT_MAX);
        agrees && now_ms.saturating_add(millis(DISAGREEMENT_MAX)) >= self.committed_ms
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::UNIX_EPOCH;

    use super::*;

    /// A wall clock and a monotonic one, in milliseconds, moved by hand.
    struct Clocks {
        wall_ms: Arc<AtomicU64>,
        run_ms: Arc<AtomicU64>,
        clock: Clock,
    }

    fn clocks(wall_ms: u64) -> Clocks {
        let wall_ms = Arc::new(AtomicU64::new(wall_ms));
        let run_ms = Arc::new(AtomicU64::new(0));
        let (wall, run, zero) = (Arc::clone(&wall_ms), Arc::clone(&run_ms), Instant::now());
        let clock =
            Clock::new(move || UNIX_EPOCH + Duration::from_millis(wall.load(Ordering::SeqCst)))
                .with_instant(move || zero + Duration::from_millis(run.load(Ordering::SeqCst)));
        Clocks { wall_ms, run_ms, clock }
    }

    #[test]
    fn a_clock_that_jumps_is_not_believed_until_it_is_back() {
        let clocks = clocks(1_000_000);
        let time = CommittedTime::start(&clocks.clock, 0);
        assert!(time.is_sound(&clocks.clock));
        for (wall_ms, run_ms, sound) in [
            (1_060_000, 60_000, true),
            (1_065_000, 60_000, true),
            (1_055_000, 60_000, true),
            (1_065_001, 60_000, false),
            (1_054_999, 60_000, false),
            (0, 60_000, false),
            (864_000_000, 60_000, false),
            (1_061_000, 61_000, true),
        ] {
            clocks.wall_ms.store(wall_ms, Ordering::SeqCst);
            clocks.run_ms.store(run_ms, Ordering::SeqCst);
            assert_eq!(time.is_sound(&clocks.clock), sound, "{wall_ms} {run_ms}");
        }
    }

    #[test]
    fn a_start_before_the_committed_time_waits_for_it() {
        let clocks = clocks(1_000_000);
        assert!(CommittedTime::start(&clocks.clock, 1_005_000).is_sound(&clocks.clock));
        let time = CommittedTime::start(&clocks.clock, 1_005_001);
        assert!(!time.is_sound(&clocks.clock));
        clocks.wall_ms.store(1_000_001, Ordering::SeqCst);
        clocks.run_ms.store(1, Ordering::SeqCst);
        assert!(time.is_sound(&clocks.clock));
    }
}

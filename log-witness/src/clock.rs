//! Clock: the time of day, and whether it can be believed. Nothing else in this crate asks the
//! system for the time; the decision takes a [`Now`] as an argument.
//!
//! A time that was signed binds the witness: it never signs an earlier one. A clock that jumps ten
//! years ahead for a second would therefore silence the witness for ten years. Two rules prevent
//! it. Within a run the wall clock must agree with the clock that only counts seconds since the
//! boot. Across runs it must not be more than [`AHEAD_S_MAX`] beyond the newest time that the
//! witness has on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// How far the wall clock may be from where this run expects it, in seconds. Slewing moves both
/// clocks alike, so only a step can be seen here, and honest steps are smaller than this.
pub const STEP_S_MAX: u64 = 60;

/// How far the wall clock may be behind the newest time on disk, and behind the newest one signed
/// for an origin, in seconds: the bound of the specification's reference table (a step after a leap
/// second, a slow second host).
pub const BEHIND_S_MAX: u64 = 60;

/// How far the wall clock may be ahead of the newest time that this witness has on disk, in
/// seconds: 366 days. No witness in use is silent for a year; a wrong clock easily is.
pub const AHEAD_S_MAX: u64 = 366 * 24 * 60 * 60;

/// What the clocks say at one moment. All times are seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Now {
    /// The wall clock; 0 if it stands before 1970.
    pub wall_s: u64,
    /// What the wall clock should say: its value at the start and the seconds that passed since.
    pub expected_s: u64,
    /// The newest time that this witness ever signed or was made at; 0 if it has none, or if the
    /// operator has said that the wall clock is right.
    pub newest_s: u64,
}

/// Why a time is not believed. It is the operator who must act.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClockFault {
    /// The wall clock says nothing.
    #[error("the clock stands at 1970 or before")]
    Unset,
    /// It was moved while the witness was running.
    #[error("the clock was moved by {0} seconds while the witness was running; restart it")]
    Stepped(u64),
    /// It is far beyond everything that was signed so far.
    #[error(
        "the clock is {0} seconds ahead of the newest time on disk; if it is right, restart with \
         --accept-clock"
    )]
    FarAhead(u64),
    /// It is behind a time that was signed for some origin.
    #[error(
        "the clock is {0} seconds behind the newest time on disk; if it is right, restart with \
         --accept-clock"
    )]
    FarBehind(u64),
    /// An earlier cosignature of this origin has a later time.
    #[error("the clock is {0} seconds behind the last cosignature of this origin")]
    Behind(u64),
}

impl Now {
    /// The time to sign for an origin whose last cosignature has the time `last_s` (0 for none):
    /// never earlier than that one.
    ///
    /// # Errors
    /// [`ClockFault`] if the clock cannot be believed.
    pub fn time_to_sign(&self, last_s: u64) -> Result<u64, ClockFault> {
        if self.wall_s == 0 {
            return Err(ClockFault::Unset);
        }
        let step = self.wall_s.abs_diff(self.expected_s);
        if step > STEP_S_MAX {
            return Err(ClockFault::Stepped(step));
        }
        let ahead = self.wall_s.saturating_sub(self.newest_s);
        if self.newest_s > 0 && ahead > AHEAD_S_MAX {
            return Err(ClockFault::FarAhead(ahead));
        }
        let behind = self.newest_s.saturating_sub(self.wall_s);
        if behind > BEHIND_S_MAX {
            return Err(ClockFault::FarBehind(behind));
        }
        let behind = last_s.saturating_sub(self.wall_s);
        if behind > BEHIND_S_MAX {
            return Err(ClockFault::Behind(behind));
        }
        Ok(self.wall_s.max(last_s))
    }
}

/// One look at both clocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Seconds since 1970.
    pub wall_s: u64,
    /// Seconds since the boot, suspension included.
    pub running_s: u64,
}

/// Tells the time of day, and remembers the newest time that was signed.
#[derive(Clone)]
pub struct Clock {
    read: Arc<dyn Fn() -> Reading + Send + Sync>,
    start: Reading,
    newest_s: Arc<AtomicU64>,
    accepted: bool,
}

impl Clock {
    /// The system's clocks.
    pub fn system() -> Self {
        Self::new(|| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let boot = clock_gettime(ClockId::Boottime).tv_sec;
            Reading {
                wall_s: since.as_secs(),
                running_s: u64::try_from(boot).expect("invariant: the time since boot is positive"),
            }
        })
    }

    /// Any other clocks; tests move theirs by hand.
    pub fn new(read: impl Fn() -> Reading + Send + Sync + 'static) -> Self {
        let start = read();
        Self { read: Arc::new(read), start, newest_s: Arc::default(), accepted: false }
    }

    /// What the clocks say now.
    pub fn now(&self) -> Now {
        let reading = (self.read)();
        let passed_s = reading.running_s.saturating_sub(self.start.running_s);
        Now {
            wall_s: reading.wall_s,
            expected_s: self.start.wall_s.saturating_add(passed_s),
            newest_s: if self.accepted { 0 } else { self.newest_s.load(Ordering::Relaxed) },
        }
    }

    /// Remembers a time that is on disk.
    pub fn saw(&self, time_s: u64) {
        self.newest_s.fetch_max(time_s, Ordering::Relaxed);
    }

    /// Believes the wall clock as it stands at this start, whatever was signed before: the operator
    /// said so. Steps are still noticed, and no origin gets an earlier time than it has.
    #[must_use]
    pub fn accepted(self) -> Self {
        Self { accepted: true, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_S: u64 = 24 * 60 * 60;

    fn at(wall_s: u64) -> Now {
        Now { wall_s, expected_s: wall_s, newest_s: wall_s }
    }

    #[test]
    fn a_time_never_goes_back_and_a_small_step_back_signs_the_last_one_again() {
        assert_eq!(at(1000).time_to_sign(0), Ok(1000));
        assert_eq!(at(1000).time_to_sign(999), Ok(1000));
        assert_eq!(at(1000).time_to_sign(1000 + BEHIND_S_MAX), Ok(1000 + BEHIND_S_MAX));
        let fault = at(1000).time_to_sign(1001 + BEHIND_S_MAX);
        assert_eq!(fault, Err(ClockFault::Behind(BEHIND_S_MAX + 1)));
    }

    #[test]
    fn a_clock_without_time_signs_nothing() {
        assert_eq!(at(0).time_to_sign(0), Err(ClockFault::Unset));
    }

    #[test]
    fn a_step_within_a_run_is_refused_in_both_directions() {
        let stepped = |wall_s| Now { wall_s, ..at(100 * DAY_S) };
        for ten_days in [90 * DAY_S, 110 * DAY_S] {
            let fault = stepped(ten_days).time_to_sign(0);
            assert_eq!(fault, Err(ClockFault::Stepped(10 * DAY_S)));
        }
        assert!(stepped(100 * DAY_S + STEP_S_MAX).time_to_sign(0).is_ok());
        assert!(stepped(100 * DAY_S + STEP_S_MAX + 1).time_to_sign(0).is_err());
    }

    #[test]
    fn a_start_ten_years_ahead_is_refused_until_the_operator_accepts_it() {
        let start = Reading { wall_s: 20_000 * DAY_S, running_s: 5 };
        let clock = Clock::new(move || start);
        clock.saw((20_000 - 3650) * DAY_S);
        assert_eq!(clock.now().time_to_sign(0), Err(ClockFault::FarAhead(3650 * DAY_S)));
        let clock = clock.accepted();
        assert_eq!(clock.now().time_to_sign(0), Ok(20_000 * DAY_S));
    }

    #[test]
    fn a_start_ten_days_back_is_refused_for_every_origin_until_the_operator_accepts_it() {
        let start = Reading { wall_s: 20_000 * DAY_S, running_s: 5 };
        let clock = Clock::new(move || start);
        clock.saw(20_000 * DAY_S + BEHIND_S_MAX);
        assert_eq!(clock.now().time_to_sign(0), Ok(20_000 * DAY_S));
        clock.saw(20_010 * DAY_S);
        assert_eq!(clock.now().time_to_sign(0), Err(ClockFault::FarBehind(10 * DAY_S)));
        let clock = clock.accepted();
        assert_eq!(clock.now().time_to_sign(0), Ok(20_000 * DAY_S));
        // What was signed for an origin still binds.
        let behind = clock.now().time_to_sign(20_010 * DAY_S);
        assert_eq!(behind, Err(ClockFault::Behind(10 * DAY_S)));
    }

    #[test]
    fn a_witness_that_has_signed_nothing_yet_has_nothing_to_compare_with() {
        let now = Now { newest_s: 0, ..at(20_000 * DAY_S) };
        assert_eq!(now.time_to_sign(0), Ok(20_000 * DAY_S));
    }

    #[test]
    fn time_passes_with_the_seconds_since_boot() {
        let reading = Arc::new(std::sync::Mutex::new(Reading { wall_s: 1000, running_s: 5 }));
        let shared = Arc::clone(&reading);
        let clock = Clock::new(move || *shared.lock().unwrap());
        *reading.lock().unwrap() = Reading { wall_s: 1000 + DAY_S, running_s: 5 + DAY_S };
        assert_eq!(clock.now().time_to_sign(0), Ok(1000 + DAY_S));
    }
}

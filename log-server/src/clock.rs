//! The clocks, as arguments: nothing below `main` asks the system for the time of day.

use std::sync::Arc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Tells the time of day, and how the time goes by.
#[derive(Clone)]
pub struct Clock {
    wall: Arc<dyn Fn() -> SystemTime + Send + Sync>,
    monotonic: Arc<dyn Fn() -> Instant + Send + Sync>,
}

impl Clock {
    /// The system's clock.
    pub fn system() -> Self {
        Self::new(SystemTime::now)
    }

    /// Any other clock for the time of day; tests move theirs by hand.
    pub fn new(now: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        Self { wall: Arc::new(now), monotonic: Arc::new(Instant::now) }
    }

    /// The same time of day beside another monotonic clock.
    #[must_use]
    pub fn with_instant(self, instant: impl Fn() -> Instant + Send + Sync + 'static) -> Self {
        Self { monotonic: Arc::new(instant), ..self }
    }

    /// Milliseconds since 1970; 0 for a clock that stands before that.
    pub fn now_ms(&self) -> u64 {
        let since = (self.wall)().duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
    }

    /// The monotonic time.
    pub fn instant(&self) -> Instant {
        (self.monotonic)()
    }
}

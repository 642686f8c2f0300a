//! The slow lane: threads for entries that take long to check, as many as there are cores. What
//! comes beside them waits a while, so that reads and quick entries go on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;

use super::error::ApiError;
use crate::log::TICKET_LIFE;

/// Checks entries off the threads that serve connections.
pub(super) struct SlowLane {
    free: Arc<Semaphore>,
    patience: Duration,
}

impl SlowLane {
    /// A lane for every core. Work waits no longer for it than a submitter does for its answer.
    pub(super) fn new() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Self::of(cores, TICKET_LIFE)
    }

    fn of(lanes: usize, patience: Duration) -> Self {
        Self { free: Arc::new(Semaphore::new(lanes)), patience }
    }

    /// Does something that takes long.
    ///
    /// # Errors
    /// No lane became free in time, or the work panicked.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, ApiError> {
        let waiting = Arc::clone(&self.free).acquire_owned();
        let lane = tokio::time::timeout(self.patience, waiting).await;
        let lane = lane.map_err(|_| ApiError::TooMuchToCheck)?;
        let lane = lane.expect("invariant: the semaphore is never closed");
        let working = tokio::task::spawn_blocking(move || {
            let done = work();
            // Only here, since a client that goes away does not end the work.
            drop(lane);
            done
        });
        working.await.map_err(|_| ApiError::Internal)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    #[tokio::test]
    async fn work_waits_for_a_lane_and_not_for_ever() {
        let lane = SlowLane::of(1, Duration::from_millis(10));
        let (go_on, waits) = mpsc::channel::<()>();
        let first = lane.run(move || waits.recv().is_ok());
        let mut first = std::pin::pin!(first);
        tokio::select! {
            biased;
            _ = &mut first => panic!("it waits"),
            refused = lane.run(|| ()) => {
                assert!(matches!(refused, Err(ApiError::TooMuchToCheck)), "{refused:?}");
            }
        }
        go_on.send(()).unwrap();
        assert!(first.await.unwrap());
        assert_eq!(lane.run(|| 7).await.unwrap(), 7);
        let panicked = lane.run(|| panic!("a defect")).await;
        assert!(matches!(panicked, Err(ApiError::Internal)), "{panicked:?}");
        assert_eq!(lane.run(|| 8).await.unwrap(), 8, "the lane is free again");
    }
}

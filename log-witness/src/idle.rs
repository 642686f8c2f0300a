//! Idle: ends connections that only hold their place. hyper watches the head of an HTTP/1 request;
//! it does not end a client that takes no answer, nor an HTTP/2 client that asks for nothing and
//! answers pings for ever.
//!
//! The one rule: a connection ends when no request is in work and none has begun or been answered
//! for a while. A client that does not read stops hyper from beginning its next request, so the
//! rule ends that one too.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tokio::time::Instant;

/// What one connection is doing.
#[derive(Debug)]
pub struct Activity {
    opened: Instant,
    in_work: AtomicUsize,
    /// Milliseconds from `opened` to the last beginning or end of a request.
    last_ms: AtomicU64,
}

/// A request in work, until it is dropped: answered, or given up by its client.
pub struct InWork<'a>(&'a Activity);

impl Activity {
    /// Of a connection that was opened now.
    pub fn new() -> Self {
        Self { opened: Instant::now(), in_work: AtomicUsize::new(0), last_ms: AtomicU64::new(0) }
    }

    /// A request has begun.
    pub fn begin(&self) -> InWork<'_> {
        self.in_work.fetch_add(1, Ordering::Relaxed);
        self.note();
        InWork(self)
    }

    /// Resolves once nothing has happened for so long.
    pub async fn idles(&self, idle_max: Duration) {
        loop {
            let last = Duration::from_millis(self.last_ms.load(Ordering::Relaxed));
            let silent = self.opened.elapsed().saturating_sub(last);
            let working = self.in_work.load(Ordering::Relaxed) > 0;
            let left = if working { idle_max } else { idle_max.saturating_sub(silent) };
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
        }
    }

    fn note(&self) {
        let passed_ms = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last_ms.store(passed_ms, Ordering::Relaxed);
    }
}

impl Default for Activity {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for InWork<'_> {
    fn drop(&mut self) {
        self.0.note();
        self.0.in_work.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_connection_is_idle_only_when_nothing_is_in_work() {
        let (activity, limit) = (Activity::new(), Duration::from_millis(20));
        let request = activity.begin();
        let long = tokio::time::timeout(Duration::from_millis(200), activity.idles(limit)).await;
        assert!(long.is_err());
        let ended = Instant::now();
        drop(request);
        activity.idles(limit).await;
        assert!(ended.elapsed() >= limit - Duration::from_millis(1));
    }
}

//! Every metric of the process, declared once. Other files only name them.

mod witnesses;

use std::sync::atomic::{AtomicI64, AtomicU64};
use std::time::{Duration, Instant};

use log_core::TreeSize;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

pub use witnesses::{RoundOutcome, WitnessMetrics};

use witnesses::{RoundMetrics, Witnesses};

use crate::config::WitnessSettings;

type Count = Counter<u64, AtomicU64>;
type Level = Gauge<i64, AtomicI64>;

/// Labels of a metric that exists once a log.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfLog {
    log: String,
}

/// Labels of a metric of one route.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRoute {
    route: &'static str,
    status: u16,
}

/// Labels of the time that a route takes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRouteTime {
    route: &'static str,
}

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    requests: Family<OfRoute, Count>,
    request_seconds: Family<OfRouteTime, Histogram, fn() -> Histogram>,
    requests_open: Level,
    connections_open: Level,
    entries: Family<OfLog, Count>,
    duplicates: Family<OfLog, Count>,
    batches: Family<OfLog, Count>,
    batch_leaves: Family<OfLog, Histogram, fn() -> Histogram>,
    commit_seconds: Family<OfLog, Histogram, fn() -> Histogram>,
    pool_leaves: Family<OfLog, Level>,
    published_size: Family<OfLog, Level>,
    log_open: Family<OfLog, Level>,
    accepted_tails: Family<OfLog, Level>,
    witnesses: Witnesses,
}

/// From 100 microseconds to about 13 seconds.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.0, 18))
}

/// From 1 leaf to 4,096, the default size of the pool.
fn leaves() -> Histogram {
    Histogram::new(exponential_buckets(1.0, 2.0, 13))
}

impl Metrics {
    /// Registers everything.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("cairn"),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            requests_open: Level::default(),
            connections_open: Level::default(),
            entries: Family::default(),
            duplicates: Family::default(),
            batches: Family::default(),
            batch_leaves: Family::new_with_constructor(leaves),
            commit_seconds: Family::new_with_constructor(seconds),
            pool_leaves: Family::default(),
            published_size: Family::default(),
            log_open: Family::default(),
            accepted_tails: Family::default(),
            witnesses: Witnesses::new(),
        };
        metrics.register_requests();
        metrics.register_logs();
        metrics.witnesses.register(&mut metrics.registry);
        metrics
    }

    fn register_requests(&mut self) {
        let registry = &mut self.registry;
        registry.register("requests", "Requests answered", self.requests.clone());
        registry.register_with_unit(
            "request",
            "Time from the request's head to its answer",
            Unit::Seconds,
            self.request_seconds.clone(),
        );
        registry.register("requests_open", "Requests under way", self.requests_open.clone());
        registry.register("connections_open", "Open connections", self.connections_open.clone());
    }

    fn register_logs(&mut self) {
        let registry = &mut self.registry;
        registry.register("entries", "Entries committed", self.entries.clone());
        registry.register("duplicates", "Submissions of known entries", self.duplicates.clone());
        registry.register("batches", "Batches sequenced", self.batches.clone());
        registry.register("batch_leaves", "Leaves in a batch", self.batch_leaves.clone());
        registry.register_with_unit(
            "commit",
            "Time of one durable commit",
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
        registry.register("pool_leaves", "Leaves waiting for a batch", self.pool_leaves.clone());
        registry.register(
            "published_size",
            "Size of the published tree",
            self.published_size.clone(),
        );
        registry.register(
            "log_open",
            "1 for an open log, 0 for one that is shut",
            self.log_open.clone(),
        );
        registry.register(
            "accepted_tails",
            "Times that accept-tail gave up what the log had committed",
            self.accepted_tails.clone(),
        );
    }

    /// The metrics of one log.
    pub fn of_log(&self, name: &str) -> LogMetrics {
        let labels = OfLog { log: name.into() };
        LogMetrics {
            entries: self.entries.get_or_create(&labels).clone(),
            duplicates: self.duplicates.get_or_create(&labels).clone(),
            batches: self.batches.get_or_create(&labels).clone(),
            batch_leaves: self.batch_leaves.get_or_create(&labels).clone(),
            commit_seconds: self.commit_seconds.get_or_create(&labels).clone(),
            pool_leaves: self.pool_leaves.get_or_create(&labels).clone(),
            published_size: self.published_size.get_or_create(&labels).clone(),
            log_open: self.log_open.get_or_create(&labels).clone(),
            accepted_tails: self.accepted_tails.get_or_create(&labels).clone(),
            rounds: self.witnesses.of_log(name),
        }
    }

    /// Shows the witness settings of one log.
    pub fn configured(&self, log: &str, settings: &WitnessSettings) {
        self.witnesses.configured(log, settings);
    }

    /// Counts one answered request.
    pub fn answered(&self, route: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&OfRoute { route, status }).inc();
        self.request_seconds.get_or_create(&OfRouteTime { route }).observe(took.as_secs_f64());
    }

    /// Requests under way.
    pub fn requests_open(&self) -> &Gauge<i64, AtomicI64> {
        &self.requests_open
    }

    /// Open connections.
    pub fn connections_open(&self) -> &Gauge<i64, AtomicI64> {
        &self.connections_open
    }

    /// Everything in the text format of Prometheus.
    pub fn render(&self) -> String {
        let mut text = String::new();
        // Writing into a string cannot fail.
        let _ = encode(&mut text, &self.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// The metrics of one log.
#[derive(Clone)]
pub struct LogMetrics {
    entries: Count,
    duplicates: Count,
    batches: Count,
    batch_leaves: Histogram,
    commit_seconds: Histogram,
    pool_leaves: Level,
    published_size: Level,
    log_open: Level,
    accepted_tails: Level,
    rounds: RoundMetrics,
}

impl LogMetrics {
    /// The log opened and serves this size.
    pub fn opened(&self, size: TreeSize) {
        self.log_open.set(1);
        self.rounds.committed(size);
        self.published_size.set(level(size.get()));
    }

    /// An operator gave up what had been committed, so many times.
    pub fn tails_accepted(&self, times: usize) {
        self.accepted_tails.set(level(times as u64));
    }

    /// The log does not serve any more.
    pub fn shut(&self) {
        self.log_open.set(0);
    }

    /// A leaf was pooled; so many wait now.
    pub fn pooled(&self, waiting: usize) {
        self.pool_leaves.set(level(waiting as u64));
    }

    /// A batch was answered: so many submissions, of which so many were new.
    pub fn sequenced(&self, submissions: usize, new: usize) {
        self.batches.inc();
        self.batch_leaves.observe(submissions as f64);
        self.entries.inc_by(new as u64);
        self.duplicates.inc_by((submissions - new) as u64);
        self.pool_leaves.set(0);
    }

    /// A commit took so long and gave the tree this size. It is not published yet.
    pub fn committed(&self, took: Duration, size: TreeSize) {
        self.commit_seconds.observe(took.as_secs_f64());
        self.rounds.committed(size);
    }

    /// A checkpoint of this size became visible.
    pub fn published(&self, size: TreeSize) {
        self.published_size.set(level(size.get()));
        self.rounds.published();
    }

    /// So many entries are committed and not published, the first of them since then.
    pub fn unpublished(&self, entries: u64, oldest: Option<Instant>) {
        let published = u64::try_from(self.published_size.get()).unwrap_or(0);
        self.rounds.committed(TreeSize::new(published.saturating_add(entries)));
        self.rounds.unpublished(entries, oldest);
    }

    /// A round of asking the witnesses is over.
    pub fn round(&self, outcome: RoundOutcome, took: Duration) {
        self.rounds.round(outcome, took);
    }

    /// The metrics of one of this log's witnesses.
    pub fn witness(&self, name: &str) -> WitnessMetrics {
        self.rounds.witness(name)
    }
}

fn level(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Keeps a gauge raised while it lives.
pub struct Raised<'a>(&'a Gauge<i64, AtomicI64>);

impl<'a> Raised<'a> {
    /// Raises the gauge by one.
    pub fn new(gauge: &'a Gauge<i64, AtomicI64>) -> Self {
        gauge.inc();
        Self(gauge)
    }
}

impl Drop for Raised<'_> {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_shows_its_size_and_its_duplicates() {
        let metrics = Metrics::new();
        let log = metrics.of_log("one");
        log.opened(TreeSize::new(7));
        log.sequenced(5, 3);
        log.committed(Duration::from_millis(2), TreeSize::new(10));
        log.published(TreeSize::new(10));
        let text = metrics.render();
        assert!(text.contains("cairn_duplicates_total{log=\"one\"} 2"), "{text}");
        assert!(text.contains("cairn_published_size{log=\"one\"} 10"), "{text}");
        assert!(text.contains("cairn_entries_total{log=\"one\"} 3"), "{text}");
        assert!(text.contains("cairn_log_open{log=\"one\"} 1"), "{text}");
    }
}

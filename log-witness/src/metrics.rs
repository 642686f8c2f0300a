//! Every metric of the process, declared once. Other files only name them.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};

use crate::evidence::Kept;
use crate::logs::STATES;

type Count = Counter<u64, AtomicU64>;
type Level = Gauge<i64, AtomicI64>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOrigin {
    origin: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfState {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfReason {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRoute {
    route: &'static str,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRouteTime {
    route: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfOutcome {
    outcome: &'static str,
}

/// What is shown of one log when the metrics are read.
#[derive(Debug)]
pub struct LogLevels {
    /// The log.
    pub origin: String,
    /// One of [`STATES`].
    pub state: &'static str,
    /// Requests with its signature that got none of ours.
    pub refusals: u64,
    /// The size that was cosigned last.
    pub size: u64,
    /// Seconds since then; absent if nothing was cosigned.
    pub age_s: Option<u64>,
    /// Evidence files that are kept about it.
    pub evidence: usize,
}

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    requests: Family<OfRoute, Count>,
    request_seconds: Family<OfRouteTime, Histogram, fn() -> Histogram>,
    refusals: Family<OfReason, Count>,
    requests_open: Level,
    connections_open: Level,
    commit_heads: Histogram,
    commit_seconds: Histogram,
    conflicts: Count,
    evidence: Family<OfOutcome, Count>,
    size: Family<OfOrigin, Level>,
    age_seconds: Family<OfOrigin, Level>,
    evidence_files: Family<OfOrigin, Level>,
    log_refusals: Family<OfOrigin, Count>,
    logs: Family<OfState, Level>,
}

/// From 100 microseconds to about 13 seconds.
fn seconds() -> Histogram {
    Histogram::new(exponential_buckets(0.0001, 2.0, 18))
}

impl Metrics {
    /// Registers everything.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("cairn_witness"),
            requests: Family::default(),
            request_seconds: Family::new_with_constructor(seconds),
            refusals: Family::default(),
            requests_open: Level::default(),
            connections_open: Level::default(),
            commit_heads: Histogram::new(exponential_buckets(1.0, 2.0, 11)),
            commit_seconds: seconds(),
            conflicts: Count::default(),
            evidence: Family::default(),
            size: Family::default(),
            age_seconds: Family::default(),
            evidence_files: Family::default(),
            log_refusals: Family::default(),
            logs: Family::default(),
        };
        metrics.register_requests();
        metrics.register_state();
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
        registry.register("refusals", "Requests that got no signature", self.refusals.clone());
        registry.register("requests_open", "Requests under way", self.requests_open.clone());
        registry.register("connections_open", "Open connections", self.connections_open.clone());
    }

    fn register_state(&mut self) {
        let registry = &mut self.registry;
        registry.register("commit_heads", "Heads in a transaction", self.commit_heads.clone());
        registry.register_with_unit(
            "commit",
            "Time of one durable transaction",
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
        registry.register("conflicts", "Signatures that lost a race", self.conflicts.clone());
        registry.register("evidence", "Refusals by what they prove", self.evidence.clone());
        registry.register("size", "Size cosigned last", self.size.clone());
        registry.register(
            "age_seconds",
            "Seconds since the last cosignature",
            self.age_seconds.clone(),
        );
        registry.register(
            "evidence_files",
            "Files that convict the log",
            self.evidence_files.clone(),
        );
        registry.register(
            "log_refusals",
            "Requests with the log's signature that got none",
            self.log_refusals.clone(),
        );
        registry.register("logs", "Logs by whether they get signatures", self.logs.clone());
    }

    /// Counts one answered request.
    pub fn answered(&self, route: &'static str, status: u16, took: Duration) {
        self.requests.get_or_create(&OfRoute { route, status }).inc();
        self.request_seconds.get_or_create(&OfRouteTime { route }).observe(took.as_secs_f64());
    }

    /// Counts one refusal.
    pub fn refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&OfReason { reason }).inc();
    }

    /// One transaction took so long and moved so many heads.
    pub fn committed(&self, heads: usize, took: Duration) {
        self.commit_heads.observe(heads as f64);
        self.commit_seconds.observe(took.as_secs_f64());
    }

    /// A head moved between the decision and the commit.
    pub fn conflict(&self) {
        self.conflicts.inc();
    }

    /// A refusal proved that a log shows two histories.
    pub fn evidence(&self, kept: Kept) {
        let outcome = match kept {
            Kept::New => "kept",
            Kept::Known => "known",
            Kept::Full => "dropped",
        };
        self.evidence.get_or_create(&OfOutcome { outcome }).inc();
    }

    /// A refusal proved nothing but is not an everyday one.
    pub fn suspected(&self) {
        self.evidence.get_or_create(&OfOutcome { outcome: "suspected" }).inc();
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
    pub fn render(&self, logs: Vec<LogLevels>) -> String {
        for state in STATES {
            let in_state = logs.iter().filter(|log| log.state == state).count();
            self.logs.get_or_create(&OfState { state }).set(level(in_state as u64));
        }
        for LogLevels { origin, refusals, size, age_s, evidence, .. } in logs {
            let origin = OfOrigin { origin };
            self.log_refusals.get_or_create(&origin).inner().store(refusals, Ordering::Relaxed);
            self.size.get_or_create(&origin).set(level(size));
            self.evidence_files.get_or_create(&origin).set(level(evidence as u64));
            if let Some(age_s) = age_s {
                self.age_seconds.get_or_create(&origin).set(level(age_s));
            }
        }
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

fn level(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// Keeps a gauge raised while it lives.
pub struct Raised<'a>(&'a Gauge<i64, AtomicI64>);

impl<'a> Raised<'a> {
    /// Raises it by one.
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

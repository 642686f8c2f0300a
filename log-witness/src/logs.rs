//! Logs: the origins that this witness knows, and what it remembers of each, in memory. The
//! database is the truth; a row changes here only after it has changed there.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use log_core::Hash;
use log_core::checkpoint::Origin;
use log_core::key::VerifierKey;
use log_core::witness::origin_hash;

use crate::row::{Row, Standing};

/// Every state that a log can be in.
pub const STATES: [&str; 5] = ["never-cosigned", "cosigned", "frozen", "rolled-back", "lost"];

/// One log.
#[derive(Debug)]
pub struct Log {
    /// The first line of its checkpoints.
    pub origin: Origin,
    /// SHA-256 of the origin: its name in paths and tables.
    pub hash: Hash,
    current: RwLock<Arc<Current>>,
    frozen: RwLock<Option<Hash>>,
    suspected_at_s: AtomicU64,
    refusals: AtomicU64,
}

/// What is known of a log at one moment; it never changes.
#[derive(Debug)]
pub struct Current {
    /// The keys that may speak for it.
    pub keys: Arc<Vec<VerifierKey>>,
    /// What is on disk about it.
    pub row: Row,
}

impl Log {
    fn new(origin: Origin, keys: Vec<VerifierKey>, row: Row) -> Self {
        let hash = origin_hash(&origin);
        let current = RwLock::new(Arc::new(Current { keys: Arc::new(keys), row }));
        let (frozen, suspected_at_s) = (RwLock::new(None), AtomicU64::new(0));
        Self { origin, hash, current, frozen, suspected_at_s, refusals: AtomicU64::new(0) }
    }

    /// What is known now.
    pub fn current(&self) -> Arc<Current> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes over a row that is durable. Only the writer calls this, in the order of its commits.
    pub fn set_row(&self, row: Row) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let keys = Arc::clone(&current.keys);
        *current = Arc::new(Current { keys, row });
    }

    /// Takes over keys that are durable.
    fn set_keys(&self, keys: Vec<VerifierKey>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        let row = current.row.clone();
        *current = Arc::new(Current { keys: Arc::new(keys), row });
    }

    /// The evidence on which this log is frozen.
    pub fn frozen(&self) -> Option<Hash> {
        *self.frozen.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Freezes the log on this evidence, or thaws it.
    pub fn set_frozen(&self, evidence: Option<Hash>) {
        *self.frozen.write().unwrap_or_else(PoisonError::into_inner) = evidence;
    }

    /// One of [`STATES`]: whether this log gets signatures, and if not why.
    pub fn state(&self) -> &'static str {
        let header = self.current().row.header;
        match header.standing {
            Standing::Lost => "lost",
            _ if header.ahead.is_some() => "rolled-back",
            _ if self.frozen().is_some() => "frozen",
            Standing::NeverCosigned => "never-cosigned",
            Standing::Cosigned(_) => "cosigned",
        }
    }

    /// Counts a request with the log's signature that got none of ours.
    pub fn count_refusal(&self) {
        self.refusals.fetch_add(1, Ordering::Relaxed);
    }

    /// Such requests since the start.
    pub fn refusals(&self) -> u64 {
        self.refusals.load(Ordering::Relaxed)
    }

    /// Whether another suspected request may be kept in this second: one a second and log.
    pub fn may_suspect(&self, now_s: u64) -> bool {
        self.suspected_at_s.swap(now_s, Ordering::Relaxed) != now_s
    }
}

/// Every log, by its hash.
#[derive(Debug, Default)]
pub struct Logs(RwLock<HashMap<Hash, Arc<Log>>>);

impl Logs {
    /// The log of that hash.
    pub fn by_hash(&self, hash: &Hash) -> Option<Arc<Log>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(hash).map(Arc::clone)
    }

    /// The log of that origin.
    pub fn by_origin(&self, origin: &str) -> Option<Arc<Log>> {
        self.by_hash(&log_core::sha256(origin.as_bytes()))
    }

    /// Every log, in the order of their origins.
    pub fn all(&self) -> Vec<Arc<Log>> {
        let logs = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = logs.values().map(Arc::clone).collect();
        all.sort_by(|a, b| a.origin.cmp(&b.origin));
        all
    }

    /// Takes over a log that is durable: a new one with its row, or new keys of a known one.
    pub fn put(&self, origin: Origin, keys: Vec<VerifierKey>, row_if_new: Row) {
        let mut logs = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match logs.get(&origin_hash(&origin)) {
            Some(log) => log.set_keys(keys),
            None => {
                let log = Log::new(origin, keys, row_if_new);
                logs.insert(log.hash, Arc::new(log));
            }
        }
    }
}

//! The engine: one log from the pool to the published tree. It knows neither HTTP nor protobuf.

pub mod anchor;
mod commit;
mod cosign;
mod dedup;
pub mod directory;
mod personality;
mod pool;
mod publish;
pub mod read;
pub mod recover;
mod sequencer;
pub mod signer;
pub mod tail;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::ArcSwap;
use log_core::checkpoint::Origin;
use log_core::key::VerifierKey;
use log_core::proof::InclusionProof;
use log_core::{Leaf, LeafIndex};

pub use personality::{Personality, UnknownPersonality};
pub use pool::{AnswerError, PoolRefusal};
pub use publish::Published;

use anchor::Anchor;
use commit::Committed;
use cosign::cosign as cosign_head;
use pool::{Pool, Waiting};
use read::TileCache;
use sequencer::Sequencer;
use signer::Signer;

use crate::clock::Clock;
use crate::metrics::LogMetrics;
use crate::store::space::Space;
use crate::store::{CommitError, Store, StoreError};

/// How long a submitter waits for its answer. Clients with a limit of 5 s exist; what takes longer
/// would be sent again before it is answered.
pub const TICKET_LIFE: Duration = Duration::from_millis(3500);

/// How often the anchor is synced, at the least, while commits go on.
const ANCHOR_SYNC_INTERVAL: Duration = Duration::from_millis(500);

/// What is fixed for a log while the process runs.
pub struct LogSettings {
    /// The name in paths, metrics and messages.
    pub name: String,
    /// First line of every checkpoint, and the name of the log's key.
    pub origin: Origin,
    /// The submission protocol.
    pub personality: Personality,
    /// Leaves that may wait for a batch.
    pub pool_leaves_max: usize,
}

/// What a log needs from its process.
#[derive(Clone)]
pub struct Surroundings {
    /// The time of day.
    pub clock: Clock,
    /// Called when a log must not go on, perhaps more than once: the process says why and ends.
    pub on_fatal: Arc<OnFatal>,
}

/// Hears the name of a log and why it must not go on.
pub type OnFatal = dyn Fn(&str, &Fatal) + Send + Sync;

/// Why a log stopped for good. The next start decides by what is on the disk.
#[derive(Debug, thiserror::Error)]
pub enum Fatal {
    /// The store lies or lacks what it promised.
    #[error("the store cannot be trusted: {0}")]
    Store(StoreError),
    /// A commit has an unknown outcome, or met another writer.
    #[error("commit: {0}")]
    Commit(CommitError),
    /// The anchor cannot be written, so a lost store would not be noticed.
    #[error("the anchor cannot be written: {0}")]
    Anchor(std::io::Error),
    /// The sequencer met a state that its own code holds to be impossible.
    #[error("the sequencer panicked; what it said stands above")]
    Panicked,
    /// A proof that was about to be answered does not verify against the published root.
    #[error("a proof does not verify: {0}")]
    Proof(String),
}

/// The answer to one submission, all of it from one snapshot.
pub struct Answer {
    /// The entry's index.
    pub index: LeafIndex,
    /// Whether it was in the log already.
    pub duplicate: bool,
    /// The audit path to the root of `published`; it was verified.
    pub inclusion: InclusionProof,
    /// The tree that covers the entry.
    pub published: Arc<Published>,
}

/// Why a submission got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The log takes no entries any more.
    #[error("log frozen")]
    Frozen,
    /// Too much waits already, or the log is stopping: come back later.
    #[error(transparent)]
    Pool(#[from] PoolRefusal),
    /// The batch was not written; the entry may be sent again.
    #[error(transparent)]
    Answer(#[from] AnswerError),
    /// No tree that covers the entry was published in time. It may be in the log: a retry finds it.
    #[error("no checkpoint covered the entry within {} ms", TICKET_LIFE.as_millis())]
    TimedOut,
}

/// One open log.
pub struct Log {
    settings: LogSettings,
    key: VerifierKey,
    frozen: bool,
    shared: Arc<Shared>,
    anchor: Arc<Anchor>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What the handlers and the sequencer of one log share.
struct Shared {
    name: String,
    origin: Origin,
    store: Arc<dyn Store>,
    pool: Pool,
    published: ArcSwap<Published>,
    tiles: TileCache,
    space: Space,
    metrics: LogMetrics,
    surroundings: Surroundings,
}

/// A log's parts after all checks of its start have passed.
struct Parts {
    settings: LogSettings,
    store: Arc<dyn Store>,
    signer: Signer,
    anchor: Anchor,
    space: Space,
    recovered: Committed,
}

impl Log {
    /// Publishes the recovered head and starts the sequencer.
    fn start(
        parts: Parts,
        metrics: LogMetrics,
        surroundings: Surroundings,
    ) -> std::io::Result<Self> {
        let Parts { settings, store, signer, anchor, space, recovered } = parts;
        let (head, edge) = (recovered.head, recovered.edge.clone());
        let frozen = head.flags.frozen;
        // The same path as every later head: committed, cosigned, published.
        let published = Published::from(cosign_head(recovered, &settings.origin, &signer));
        metrics.opened(head.tree.size);
        let shared = Arc::new(Shared {
            name: settings.name.clone(),
            origin: settings.origin.clone(),
            store,
            pool: Pool::new(settings.pool_leaves_max),
            published: ArcSwap::from_pointee(published),
            tiles: TileCache::new(read::TILES_CACHED_MAX),
            space,
            metrics,
            surroundings,
        });
        let (key, anchor) = (signer.verifier_key(), Arc::new(anchor));
        let sequencer = Sequencer {
            shared: Arc::clone(&shared),
            head,
            edge,
            signer,
            anchor: Arc::clone(&anchor),
        };
        let threads = vec![
            spawn_sequencer(&shared, sequencer)?,
            spawn_anchor_sync(&settings.name, &shared, &anchor)?,
        ];
        Ok(Self { settings, key, frozen, shared, anchor, threads: Mutex::new(threads) })
    }

    /// What is fixed for this log.
    pub fn settings(&self) -> &LogSettings {
        &self.settings
    }

    /// The key that signs this log's checkpoints.
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// Whether the log takes no entries any more; a commit says so, not a setting.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// The newest published tree.
    pub fn published(&self) -> Arc<Published> {
        self.shared.published.load_full()
    }

    /// Puts a leaf into the log and waits until a published tree covers it.
    ///
    /// # Errors
    /// [`SubmitError`] says whether the entry may have got in and whether to try again.
    pub async fn submit(&self, leaf: Leaf) -> Result<Answer, SubmitError> {
        if self.frozen {
            return Err(SubmitError::Frozen);
        }
        let identity = leaf.hash();
        let (waiting, ticket) = Waiting::new(leaf, identity);
        self.shared.pool.add(waiting)?;
        self.shared.metrics.pooled(self.shared.pool.len());
        let placed = tokio::time::timeout(TICKET_LIFE, ticket.wait())
            .await
            .map_err(|_| SubmitError::TimedOut)??;

        // The proof is made here, on the submitter's own thread, from the snapshot in its hand.
        let proof = self.prove_inclusion(&placed.published, placed.index).and_then(|proof| {
            proof.verify(&identity, placed.index, placed.published.head())?;
            Ok(proof)
        });
        match proof {
            Ok(inclusion) => {
                let pool::Placed { index, duplicate, published } = placed;
                Ok(Answer { index, duplicate, inclusion, published })
            }
            Err(error) => {
                self.shared.fail(Fatal::Proof(error.to_string()));
                Err(AnswerError::Stopped.into())
            }
        }
    }

    /// Refuses new entries, answers those that wait, and brings everything to the disk. Blocks.
    pub fn stop(&self) {
        self.shared.pool.close();
        let threads =
            std::mem::take(&mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            thread.thread().unpark();
            if thread.join().is_err() {
                tracing::error!(log = self.settings.name, "a thread of the log panicked");
            }
        }
        if let Err(error) = self.anchor.sync() {
            tracing::error!(log = self.settings.name, %error, "the anchor was not synced");
        }
    }
}

impl Shared {
    /// Ends the log: nothing is written, signed or answered after this.
    fn fail(&self, fatal: Fatal) {
        self.pool.abandon();
        (self.surroundings.on_fatal)(&self.name, &fatal);
    }
}

fn spawn(
    log: &str,
    role: &str,
    body: impl FnOnce() + Send + 'static,
) -> std::io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(format!("{role} {log}")).spawn(body)
}

/// Runs the sequencer. A panic in it is as fatal as any other doubt: without it the log would go on
/// to take entries that nobody sequences.
fn spawn_sequencer(shared: &Arc<Shared>, sequencer: Sequencer) -> std::io::Result<JoinHandle<()>> {
    let watched = Arc::clone(shared);
    spawn(&shared.name, "sequencer", move || {
        let run = std::panic::AssertUnwindSafe(|| sequencer.run());
        if std::panic::catch_unwind(run).is_err() {
            watched.fail(Fatal::Panicked);
        }
    })
}

/// Syncs the anchor off the commit thread until the log stops.
fn spawn_anchor_sync(
    name: &str,
    shared: &Arc<Shared>,
    anchor: &Arc<Anchor>,
) -> std::io::Result<JoinHandle<()>> {
    let (shared, anchor) = (Arc::clone(shared), Arc::clone(anchor));
    spawn(name, "anchor", move || {
        while !shared.pool.is_closed() {
            std::thread::park_timeout(ANCHOR_SYNC_INTERVAL);
            if let Err(error) = anchor.sync() {
                return shared.fail(Fatal::Anchor(error));
            }
        }
    })
}

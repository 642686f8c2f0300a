//! The engine: one log from the pool to the published tree. It knows neither HTTP nor protobuf.

pub mod accepted_tail;
mod alarm;
pub mod anchor;
mod commit;
mod committed_time;
mod cosign;
mod cosigner;
mod dedup;
pub mod directory;
mod mailbox;
mod panel;
mod personality;
mod pool;
pub mod promise;
mod publish;
mod question;
pub mod read;
pub mod recover;
mod round;
pub mod search;
mod sequencer;
pub mod signer;
mod standing;
mod start;
pub mod tail;
#[cfg(test)]
mod tests;
mod witnessed;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use log_core::checkpoint::Origin;
use log_core::key::VerifierKey;
use log_core::proof::InclusionProof;
use log_core::{Hash, LeafIndex, TreeId, TreeSize};
use tokio::sync::Notify;

pub use panel::PanelError;
pub use personality::{Personality, UnknownPersonality};
pub use pool::{AnswerError, PoolRefusal, Submission};
pub use promise::Logged;
pub use publish::Published;
pub use search::{Search, SearchError};
pub use standing::{State, WitnessState, WitnessStatus};
pub use witnessed::WitnessedError;

pub use crate::store::SearchKey;

use accepted_tail::AcceptedTail;
use anchor::Anchor;
use commit::Committed;
use committed_time::CommittedTime;
use mailbox::Mailbox;
use pool::{Pool, Waiting};
use read::TileCache;
use recover::Shut;
use signer::Signer;
use standing::Standing;

use crate::clock::Clock;
use crate::config::WitnessSettings;
use crate::metrics::LogMetrics;
use crate::store::space::Space;
use crate::store::{CommitError, Store, StoreError};

/// How long a submitter waits for its answer. Clients with a limit of 5 s exist; what takes longer
/// would be sent again before it is answered.
pub const TICKET_LIFE: Duration = Duration::from_millis(3500);

/// What is fixed for a log while the process runs.
pub struct LogSettings {
    /// The name in paths, metrics and messages.
    pub name: String,
    /// First line of every checkpoint; the name of the log's keys is in it.
    pub origin: Origin,
    /// The submission protocol.
    pub personality: Personality,
    /// Leaves that may wait for a batch.
    pub pool_leaves_max: usize,
    /// Who has to cosign before anything is published.
    pub witnesses: WitnessSettings,
}

/// What a log needs from its process.
#[derive(Clone)]
pub struct Surroundings {
    /// The time of day.
    pub clock: Clock,
    /// Called when a log must not go on, perhaps more than once: the process says why and ends.
    pub on_fatal: Arc<OnFatal>,
    /// Told whenever the witnesses of a log leave it shut: it may have been the last one.
    pub shut: Arc<Notify>,
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
    /// A thread of the log met a state that its own code holds to be impossible.
    #[error("a thread of the log panicked; what it said stands above")]
    Panicked,
    /// A witness shows a note that this log's key signed and that is not in its history.
    #[error(
        "witness {witness} shows a note that this log's key signed over size {size} and root \
         {root}, which is not in this store: another copy of this log is running, or this is an \
         old one; both notes are in {}", kept.display()
    )]
    Contradicted {
        /// Who shows the note.
        witness: String,
        /// The size that it names.
        size: TreeSize,
        /// The root that it names.
        root: Hash,
        /// Where the notes are kept.
        kept: PathBuf,
    },
    /// A proof that was about to be answered does not verify against the published root.
    #[error("a proof does not verify: {0}")]
    Proof(String),
}

/// The answer to one submission, all of it from one snapshot.
pub struct Answer {
    /// The hash of the entry.
    pub leaf_hash: Hash,
    /// Its index.
    pub index: LeafIndex,
    /// When it was committed, in seconds since 1970; `None` if it was in the log already.
    pub committed_s: Option<u64>,
    /// The audit path to the root of `published`; it was verified.
    pub inclusion: InclusionProof,
    /// The tree that covers the entry.
    pub published: Arc<Published>,
}

impl Answer {
    /// Whether the entry was in the log already.
    pub fn is_duplicate(&self) -> bool {
        self.committed_s.is_none()
    }
}

/// Why a submission got no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The log takes no entries any more.
    #[error("log frozen")]
    Frozen,
    /// The log asks its witnesses whether its store is the newest, before it signs anything.
    #[error("the log asks its witnesses before it goes on; /readyz says who has not answered")]
    Asking,
    /// Too much is committed and not published: the witnesses do not cosign, or not fast enough.
    #[error("entries wait for the witnesses of the log; new ones are taken once they cosign")]
    Backlog,
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
    signer: Arc<Signer>,
    frozen: bool,
    shared: Arc<Shared>,
    anchor: Arc<Anchor>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    accepted: Vec<AcceptedTail>,
}

/// What the handlers and the threads of one log share.
struct Shared {
    name: String,
    origin: Origin,
    store: Arc<dyn Store>,
    pool: Pool,
    /// `None`: nothing was published yet that may be shown.
    published: ArcSwapOption<Published>,
    gate: ArcSwap<Gate>,
    /// Where the cosigner is met, in a log that has witnesses.
    mailbox: Option<Arc<Mailbox>>,
    standing: Standing,
    tiles: TileCache,
    space: Space,
    metrics: LogMetrics,
    surroundings: Surroundings,
    /// In a log that commits times: whether the wall clock may be believed.
    time: Option<CommittedTime>,
}

/// Whether entries get in.
enum Gate {
    /// Not before the question at the start was answered.
    Asking,
    /// They do.
    Open,
    /// A witness knows more of this log than its store: nothing gets in or out.
    Shut(Arc<Shut>),
}

/// A log's parts after all checks of its start have passed that need nobody else.
struct Parts {
    settings: LogSettings,
    store: Arc<dyn Store>,
    signer: Arc<Signer>,
    anchor: Anchor,
    space: Space,
    recovered: Committed,
    /// Where evidence against this log is kept.
    evidence: PathBuf,
    accepted: Vec<AcceptedTail>,
}

impl Log {
    /// What is fixed for this log.
    pub fn settings(&self) -> &LogSettings {
        &self.settings
    }

    /// The key that signs this log's checkpoints, as its clients know it.
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// The key by which witnesses know this log: another one only in a Rekor v1 log.
    pub fn witness_key(&self) -> VerifierKey {
        self.signer.witness_key()
    }

    /// The number of the tree, in a Rekor v1 log.
    pub fn tree_id(&self) -> Option<TreeId> {
        let is_v1 = self.settings.personality == Personality::RekorV1;
        TreeId::of_origin(&self.settings.origin).filter(|_| is_v1)
    }

    /// Where an operator gave up what had been committed, the oldest first.
    pub fn accepted_tails(&self) -> &[AcceptedTail] {
        &self.accepted
    }

    /// Whether the log takes no entries any more; a commit says so, not a setting.
    pub fn is_frozen(&self) -> bool {
        self.frozen
    }

    /// The newest published tree; `None` while the witnesses have cosigned nothing that could be
    /// shown.
    pub fn published(&self) -> Option<Arc<Published>> {
        self.shared.published.load_full()
    }

    /// Why the log does not serve, if its witnesses know more of it than its store.
    pub fn shut(&self) -> Option<Arc<Shut>> {
        match &**self.shared.gate.load() {
            Gate::Shut(why) => Some(Arc::clone(why)),
            Gate::Asking | Gate::Open => None,
        }
    }

    /// Whether entries get in just now: whoever asks this first spares the work on those that do
    /// not.
    ///
    /// # Errors
    /// What [`Log::submit`] would answer to any entry.
    pub fn check_takes_entries(&self) -> Result<(), SubmitError> {
        if self.frozen {
            return Err(SubmitError::Frozen);
        }
        match &**self.shared.gate.load() {
            Gate::Open => Ok(self.shared.check_time()?),
            Gate::Asking => Err(SubmitError::Asking),
            Gate::Shut(_) => Err(AnswerError::Stopped.into()),
        }
    }

    /// Puts an entry into the log and waits until a published tree covers it.
    ///
    /// # Errors
    /// [`SubmitError`] says whether the entry may have got in and whether to try again.
    pub async fn submit(&self, entry: impl Into<Submission>) -> Result<Answer, SubmitError> {
        self.check_takes_entries()?;
        let submission: Submission = entry.into();
        let identity = submission.leaf.hash();
        // What is in the tree already may wait for its publication; nothing new is added to it.
        if self.shared.backlog_is_full() && !self.knows(identity).await {
            return Err(SubmitError::Backlog);
        }
        let (waiting, ticket) = Waiting::new(submission, identity);
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
                let pool::Placed { index, committed_s, published } = placed;
                Ok(Answer { leaf_hash: identity, index, committed_s, inclusion, published })
            }
            Err(error) => {
                self.shared.fail(Fatal::Proof(error.to_string()));
                Err(AnswerError::Stopped.into())
            }
        }
    }

    /// Whether a leaf is in the committed tree. A store that cannot say so fails its next commit.
    async fn knows(&self, identity: Hash) -> bool {
        let store = Arc::clone(&self.shared.store);
        let found = tokio::task::spawn_blocking(move || store.find(&identity)).await;
        matches!(found, Ok(Ok(Some(_))))
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
    /// Whether a time may be committed now; always so in a log that commits none.
    fn check_time(&self) -> Result<(), AnswerError> {
        let sound = self.time.as_ref().is_none_or(|time| time.is_sound(&self.surroundings.clock));
        if sound { Ok(()) } else { Err(AnswerError::Clock) }
    }

    /// Ends the log: nothing is written, signed or answered after this.
    fn fail(&self, fatal: Fatal) {
        self.abandon();
        (self.surroundings.on_fatal)(&self.name, &fatal);
    }

    /// Leaves the log shut: nothing is written, signed, answered or served after this.
    fn shut(&self, why: Shut) {
        tracing::error!(log = self.name, %why, "log stays shut");
        self.gate.store(Arc::new(Gate::Shut(Arc::new(why))));
        self.metrics.shut();
        self.abandon();
        self.surroundings.shut.notify_one();
    }

    fn abandon(&self) {
        self.pool.abandon();
        if let Some(mailbox) = &self.mailbox {
            mailbox.abandon();
        }
    }
}

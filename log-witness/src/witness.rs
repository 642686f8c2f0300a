//! Witness: holds the parts together. A request is decided, signed, committed and answered here,
//! and a refusal is weighed before it leaves.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use log_core::checkpoint::Checkpoint;
use log_core::note::{NoteSignature, SignedNote};
use log_core::{Hash, TreeHead, TreeSize};

use crate::add_checkpoint::Opened;
use crate::clock::Clock;
use crate::commit::{Announced, OnFatal, Writer};
use crate::config::Config;
use crate::evidence::{EvidenceFiles, Kept, Verdict, weigh};
use crate::keys::{KeyError, OwnCosignature, WitnessKeys};
use crate::logs::{Log, Logs};
use crate::metrics::{LogLevels, Metrics};
use crate::refusal::Refusal;
use crate::row::{Ahead, Standing};
use crate::sign_subtree::OpenedSubtree;
use crate::state::{Advance, Conflict, DATABASE_FILE, Store, StoreError};

/// How often a request is decided anew because another one of the same log was faster. Each time
/// the head or the second has moved; a log that needs more asks again.
const CONFLICTS_MAX: usize = 16;

/// An open witness.
pub struct Witness {
    pub(crate) keys: WitnessKeys,
    pub(crate) logs: Logs,
    pub(crate) store: Arc<Store>,
    pub(crate) writer: Writer,
    pub(crate) evidence: Arc<EvidenceFiles>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) clock: Clock,
    pub(crate) freeze_on_evidence: bool,
    /// Operators act one after the other: each looks before it writes.
    pub(crate) operator: tokio::sync::Mutex<()>,
}

/// Why a witness does not open. Nothing was signed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The keys cannot be read.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The database cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys have signed and their database is gone: `serve` answers 503 to everything.
    #[error(
        "the database of these keys is missing, so what they signed is not known. Stop the \
         witness, add its logs with `add-log --after-loss`, and name for each of them the head to \
         restart from with `accept-lost-state`"
    )]
    DatabaseMissing,
    /// The database is that of other keys, or the keys are those of another database.
    #[error("the keys belong to another database: their state id is {keys}, not {database}")]
    OtherState {
        /// The state id beside the keys.
        keys: String,
        /// The state id in the database.
        database: String,
    },
    /// The evidence cannot be listed.
    #[error("the kept evidence cannot be read: {0}")]
    Evidence(#[from] std::io::Error),
}

impl Witness {
    /// Opens the witness of a data directory. It never creates anything.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        data_dir: &Path,
        config: &Config,
        clock: Clock,
        on_fatal: OnFatal,
    ) -> Result<Self, OpenError> {
        let keys = WitnessKeys::load(&config.keys)?;
        let database = data_dir.join(DATABASE_FILE);
        if !database.exists() {
            return Err(OpenError::DatabaseMissing);
        }
        let store = Store::open(&database)?;
        if store.state_id() != keys.state_id() {
            return Err(OpenError::OtherState {
                keys: keys.state_id().to_string(),
                database: store.state_id().to_string(),
            });
        }
        Self::start(data_dir, keys, store, config.freeze_on_evidence, clock, on_fatal)
    }

    fn start(
        data_dir: &Path,
        keys: WitnessKeys,
        store: Store,
        freeze_on_evidence: bool,
        clock: Clock,
        on_fatal: OnFatal,
    ) -> Result<Self, OpenError> {
        let logs = Logs::default();
        clock.saw(store.created_s());
        for stored in store.logs()? {
            clock.saw(stored.row.header.time_s);
            logs.put(stored.origin, stored.keys, stored.row);
        }
        let (store, metrics) = (Arc::new(store), Arc::new(Metrics::new()));
        let writer = Writer::start(Arc::clone(&store), Arc::clone(&metrics), on_fatal);
        let evidence = Arc::new(EvidenceFiles::new(data_dir));
        let operator = tokio::sync::Mutex::new(());
        let witness = Self {
            keys,
            logs,
            store,
            writer,
            evidence,
            metrics,
            clock,
            freeze_on_evidence,
            operator,
        };
        for log in witness.logs.all() {
            witness.freeze_if_accused(&log)?;
        }
        Ok(witness)
    }

    /// Answers an add-checkpoint request: one signature line a key, each with its newline.
    ///
    /// # Errors
    /// [`Refusal`]; whatever it proves is kept by then.
    pub async fn add_checkpoint(&self, body: &[u8]) -> Result<String, Refusal> {
        let writer = self.writer.announce();
        let opened = Opened::open(body, &self.logs, &self.keys)?;
        self.recall(opened.log(), opened.own()).await?;
        for _ in 0..CONFLICTS_MAX {
            let current = opened.log().current();
            let header = current.row.header;
            let frozen = opened.log().frozen();
            let time_s = match opened.judge(&header, frozen, &self.clock.now()) {
                Ok(time_s) => time_s,
                Err(refusal) => return Err(self.refuse(&opened, refusal).await),
            };
            // The same head in the same second: what is durable already is the answer. Anybody can
            // ask for a refresh, and it costs a signature and a commit once a second only.
            if header.head() == Some(opened.checkpoint().head)
                && header.time_s == time_s
                && let Some(lines) = self.keys.committed_lines(&current.row.note, time_s)
            {
                return Ok(lines);
            }
            match self.cosign(&writer, &opened, header.standing, time_s).await? {
                Ok(lines) => return Ok(lines),
                // The signatures of the lost race are forgotten: they never left this function.
                Err(Conflict) => self.metrics.conflict(),
            }
        }
        Err(Refusal::TooManyConflicts)
    }

    /// Steps 16 and 17: signs, commits, and gives the lines away only then.
    async fn cosign(
        &self,
        writer: &Announced<'_>,
        opened: &Opened,
        expected: Standing,
        time_s: u64,
    ) -> Result<Result<String, Conflict>, Refusal> {
        let signed = self.keys.cosign(opened.checkpoint(), time_s);
        let own = signed.map_err(|fault| {
            tracing::error!(origin = %opened.log().origin, %fault, "cannot sign");
            Refusal::Internal
        })?;
        let lines = lines_of(&own);
        let journal_note = opened.note().to_string();
        let advance = Advance {
            origin_hash: opened.log().hash,
            expected,
            head: opened.checkpoint().head,
            time_s,
            note: format!("{journal_note}{lines}"),
            journal_note,
        };
        let committed = writer.advance(Arc::clone(opened.log()), advance).await;
        match committed.map_err(|_| Refusal::Internal)? {
            // From here the head is durable: the promise is kept whether or not the answer arrives.
            Ok(()) => {
                self.clock.saw(time_s);
                Ok(Ok(lines))
            }
            Err(conflict) => Ok(Err(conflict)),
        }
    }

    /// Answers a sign-subtree request.
    ///
    /// # Errors
    /// [`Refusal`].
    pub async fn sign_subtree(&self, body: &[u8]) -> Result<String, Refusal> {
        let opened = OpenedSubtree::open(body, &self.logs, &self.keys)?;
        // If the state was rolled back, the subtree is still what this witness signed once; the
        // next checkpoint is not.
        self.recall(opened.log(), opened.own()).await?;
        opened.sign(&self.keys).map(|own| lines_of(&own))
    }

    /// The newest cosigned note of a log, as it was committed.
    pub fn checkpoint(&self, origin: &Hash) -> Option<String> {
        let current = self.logs.by_hash(origin)?.current();
        Some(current.row.note.clone()).filter(|note| !note.is_empty())
    }

    /// Ids of the evidence about a log, oldest first.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub async fn evidence_ids(&self, origin: &Hash) -> std::io::Result<Vec<Hash>> {
        let (files, origin) = (Arc::clone(&self.evidence), *origin);
        let reading = tokio::task::spawn_blocking(move || files.ids(&origin));
        reading.await.map_err(std::io::Error::other)?
    }

    /// One file of evidence, if it is kept.
    ///
    /// # Errors
    /// The file cannot be read.
    pub async fn evidence_file(&self, origin: &Hash, id: &Hash) -> std::io::Result<Option<String>> {
        let (files, origin, id) = (Arc::clone(&self.evidence), *origin, *id);
        let reading = tokio::task::spawn_blocking(move || files.read(&origin, &id));
        reading.await.map_err(std::io::Error::other)?
    }

    /// Whether a head of that size is still in the journal of a log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn remembers(&self, origin: &Hash, size: TreeSize) -> Result<bool, StoreError> {
        Ok(self.store.journal_note(origin, size)?.is_some())
    }

    /// How many files of evidence there are about each log of which there are any.
    pub async fn evidence_counts(&self) -> HashMap<Hash, usize> {
        let files = Arc::clone(&self.evidence);
        tokio::task::spawn_blocking(move || files.counts()).await.unwrap_or_default()
    }

    /// What the metrics show of each log.
    pub async fn levels(&self) -> Vec<LogLevels> {
        let (now_s, evidence) = (self.clock.now().wall_s, self.evidence_counts().await);
        let levels = |log: Arc<Log>| {
            let header = log.current().row.header;
            LogLevels {
                origin: log.origin.to_string(),
                state: log.state(),
                refusals: log.refusals(),
                size: header.latest_size().get(),
                age_s: header.head().map(|_| now_s.saturating_sub(header.time_s)),
                evidence: evidence.get(&log.hash).copied().unwrap_or(0),
            }
        };
        self.logs.all().into_iter().map(levels).collect()
    }

    /// Finishes what was begun; nothing is signed after this.
    pub fn stop(&self) {
        self.writer.stop();
    }

    /// Weighs a refusal, keeps what it proves, and gives the refusal that may leave.
    async fn refuse(&self, opened: &Opened, refusal: Refusal) -> Refusal {
        opened.log().count_refusal();
        let verdict = match weigh(opened, &refusal, &self.store) {
            Ok(verdict) => verdict,
            Err(error) => {
                tracing::error!(%error, "the journal cannot be read");
                return Refusal::Internal;
            }
        };
        let log = Arc::clone(opened.log());
        match verdict {
            Verdict::Nothing => refusal,
            Verdict::Suspected => {
                self.suspect(log, opened.verified_request()).await;
                refusal
            }
            Verdict::Proven(evidence) => {
                let (request, size) = (opened.verified_request(), opened.checkpoint().head.size);
                match self.keep(log, *evidence, request, size).await {
                    // From here the proof is on disk, and the refusal may be heard.
                    Ok(()) => refusal,
                    Err(error) => {
                        tracing::error!(%error, "evidence cannot be kept");
                        Refusal::Internal
                    }
                }
            }
        }
    }

    async fn keep(
        &self,
        log: Arc<Log>,
        evidence: log_core::Evidence,
        request: String,
        size: TreeSize,
    ) -> std::io::Result<()> {
        let evidence = evidence.with_comments(self.comments(&log, size));
        let (id, accused) = (evidence.id(), Arc::clone(&log));
        let (files, store) = (Arc::clone(&self.evidence), Arc::clone(&self.store));
        let freeze = self.freeze_on_evidence;
        // On its own thread to the end: whoever sent this may hang up, and is convicted the same.
        let keeping = tokio::task::spawn_blocking(move || {
            let accepted =
                |id: &Hash| store.is_accepted(&accused.hash, id).map_err(std::io::Error::other);
            let kept = files.keep(&accused.hash, &evidence, &request, accepted)?;
            if freeze {
                accused.set_frozen(unaccepted(&files, &store, &accused.hash)?);
            }
            Ok::<_, std::io::Error>(kept)
        });
        let kept = keeping.await.map_err(std::io::Error::other)??;
        self.metrics.evidence(kept);
        if kept == Kept::New {
            tracing::error!(
                origin = %log.origin, %id,
                "EVIDENCE: the key of this log signed what no honest log signs"
            );
        }
        Ok(())
    }

    async fn suspect(&self, log: Arc<Log>, request: String) {
        self.metrics.suspected();
        let now_s = self.clock.now().wall_s;
        if !log.may_suspect(now_s) {
            return;
        }
        tracing::warn!(origin = %log.origin, "a consistency proof failed; it convicts nobody");
        let files = Arc::clone(&self.evidence);
        let writing =
            tokio::task::spawn_blocking(move || files.suspect(&log.hash, now_s, &request));
        if !matches!(writing.await, Ok(Ok(()))) {
            tracing::warn!("the suspected request could not be kept");
        }
    }

    /// Notes for the people who read the file; they prove nothing.
    fn comments(&self, log: &Log, size: TreeSize) -> Vec<String> {
        let name = self.keys.verifier_keys().next().map(|key| key.name().to_string());
        let now_s = self.clock.now().wall_s;
        let latest = log.current().row.header.latest_size();
        vec![
            format!("seen by the witness {} at {now_s} s since 1970", name.unwrap_or_default()),
            format!("in an add-checkpoint request for size {size} that was refused"),
            format!("the latest size cosigned for this log was {latest}"),
            "the key signed checkpoints that no single append-only log can have".into(),
            "a restored backup looks the same as malice: ask the holder of the key".into(),
        ]
    }

    /// Freezes a log about which there is evidence that the operator has not accepted, if that is
    /// set. It follows from the files and from what was accepted, so a crash loses nothing.
    pub(crate) fn freeze_if_accused(&self, log: &Log) -> std::io::Result<()> {
        if self.freeze_on_evidence {
            log.set_frozen(unaccepted(&self.evidence, &self.store, &log.hash)?);
        }
        Ok(())
    }

    /// Looks at the own signatures on a request before anything is decided. If the state does not
    /// know them it was rolled back, or lost: from now on, and after every restart, this log gets
    /// nothing until an operator restarts it, at the largest size that was seen here.
    async fn recall(&self, log: &Arc<Log>, own: Option<OwnCosignature>) -> Result<(), Refusal> {
        let Some(OwnCosignature { head, time_s }) = own else { return Ok(()) };
        let header = log.current().row.header;
        let unknown = header.is_behind(head, time_s) || self.journal_differs(log, head)?;
        let seen = Ahead { size: head.size, time_s };
        let ahead = header.ahead.map_or(seen, |known| known.max(seen));
        if !unknown || header.ahead == Some(ahead) {
            return Ok(());
        }
        tracing::error!(
            origin = %log.origin, size = %head.size, time_s,
            "ALARM: the database does not know an own signature: it was rolled back or lost"
        );
        let log = Arc::clone(log);
        let marked = self.writer.order(move |store| {
            log.set_row(store.mark_ahead(&log.hash, ahead)?);
            Ok(())
        });
        marked.await.map_err(|_| Refusal::Internal)
    }

    /// Whether another root than this one was cosigned for its size, as far as that is remembered.
    fn journal_differs(&self, log: &Log, head: TreeHead) -> Result<bool, Refusal> {
        let note = self.store.journal_note(&log.hash, head.size).map_err(|error| {
            tracing::error!(%error, "the journal cannot be read");
            Refusal::Internal
        })?;
        let note = note.and_then(|note| SignedNote::parse(note.as_bytes()).ok());
        let known = note.and_then(|note| Checkpoint::parse(note.text()).ok());
        Ok(known.is_some_and(|known| known.head != head))
    }
}

/// The first evidence about a log that the operator has not accepted.
fn unaccepted(
    files: &EvidenceFiles,
    store: &Store,
    origin: &Hash,
) -> std::io::Result<Option<Hash>> {
    for id in files.ids(origin)? {
        if !store.is_accepted(origin, &id).map_err(std::io::Error::other)? {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// The lines of an answer, each with its newline.
fn lines_of(signatures: &[NoteSignature]) -> String {
    signatures.iter().fold(String::new(), |lines, line| format!("{lines}{line}\n"))
}

//! Sequencer: the one writer of a log.
//!
//! Its thread takes the whole pool as soon as the last commit is done, so a batch is as large as
//! the load makes it and an idle log answers in about one disk sync. There is no tick. A log whose
//! quorum is `none` publishes here; for every other the cosigner publishes, and meanwhile newer
//! batches commit, under load not more of them than rounds can take.

use std::sync::Arc;
use std::time::Instant;

use log_core::Hash;
use log_core::integrate::{RightEdge, integrate};

use super::anchor::Anchor;
use super::commit::{CommitTime, Committed, commit};
use super::cosign::sign;
use super::cosigner::BUSY_SPACING;
use super::dedup::deduplicate;
use super::mailbox::Mailbox;
use super::pool::{AnswerError, PlacedTicket, Waiting};
use super::publish::{Published, publish};
use super::signer::Signer;
use super::{Fatal, Shared};
use crate::store::{CommitError, Head, StoreError};

/// So many entries in one batch mean that many submitters send at once. Under witnesses the next
/// commit then comes no sooner than the next round could take it.
const BUSY_BATCH_MIN: usize = 8;

/// Owns everything that only one thread may change: the committed head and its right edge.
pub(super) struct Sequencer {
    pub(super) shared: Arc<Shared>,
    pub(super) head: Head,
    pub(super) edge: RightEdge,
    pub(super) next: Next,
    pub(super) anchor: Arc<Anchor>,
}

/// What becomes of a committed batch.
pub(super) enum Next {
    /// The log's own signature completes the note, here and at once.
    Publish(Arc<Signer>),
    /// The cosigner takes it from here.
    Cosign(Arc<Mailbox>),
}

impl Sequencer {
    /// Sequences batches until the pool is closed and empty, or until something fatal happens.
    /// After that nothing is written or signed again by this process.
    pub(super) fn run(mut self) {
        while let Some(waiting) = self.shared.pool.take_all() {
            let (began, is_busy) = (Instant::now(), waiting.len() >= BUSY_BATCH_MIN);
            if let Err(fatal) = self.sequence(waiting) {
                self.shared.fail(fatal);
                return;
            }
            if is_busy && matches!(self.next, Next::Cosign(_)) {
                std::thread::sleep(BUSY_SPACING.saturating_sub(began.elapsed()));
            }
        }
    }

    /// Takes one batch from the pool to its answers.
    fn sequence(&mut self, waiting: Vec<Waiting>) -> Result<(), Fatal> {
        if self.shared.space.is_low() {
            // Before any write: running a store into a full disk leaves an unknown outcome.
            refuse(waiting, &AnswerError::NoSpace);
            return Ok(());
        }
        let batch = match deduplicate(&waiting, self.head.tree.size, self.shared.store.as_ref()) {
            Ok(batch) => batch,
            Err(StoreError::Failed(reason)) => {
                // Nothing was decided and nothing written; the next batch may fare better.
                refuse(waiting, &AnswerError::BatchFailed(reason));
                return Ok(());
            }
            Err(error) => return Err(Fatal::Store(error)),
        };
        let new: Vec<&Waiting> = batch.new.iter().filter_map(|&at| waiting.get(at)).collect();
        let mut committed = None;
        if !new.is_empty() {
            if let Err(error) = self.shared.check_time() {
                // Those that are in the log already are found by a retry.
                refuse(waiting, &error);
                return Ok(());
            }
            match self.extend(&new) {
                Ok(extended) => committed = Some(extended),
                Err(Fatal::Commit(CommitError::Refused(reason))) => {
                    // Nothing was written: these submitters are told, and the log goes on.
                    refuse(waiting, &AnswerError::BatchFailed(reason));
                    return Ok(());
                }
                Err(fatal) => return Err(fatal),
            }
        }
        self.shared.metrics.sequenced(waiting.len(), batch.new.len());
        let committed_s = committed.as_ref().map(|committed| committed.head.time_s());
        let tickets = waiting
            .into_iter()
            .zip(batch.places)
            .map(|(one, (index, duplicate))| one.placed(index, committed_s.filter(|_| !duplicate)));
        self.finish(committed, tickets);
        Ok(())
    }

    /// Publishes and answers, or leaves both to the cosigner.
    fn finish(&self, committed: Option<Committed>, tickets: impl Iterator<Item = PlacedTicket>) {
        let visible = &self.shared.published;
        let signer = match &self.next {
            Next::Cosign(mailbox) => return mailbox.deliver(committed, tickets, visible),
            Next::Publish(signer) => signer,
        };
        if let Some(committed) = committed {
            let cosigned = sign(committed, &self.shared.origin, signer).alone();
            self.shared.metrics.published(cosigned.tree.size);
            publish(visible, Arc::new(Published::from(cosigned)));
        }
        let published = visible.load_full();
        let published = published.expect("invariant: a start without witnesses publishes");
        tickets.for_each(|ticket| ticket.answer(&published));
    }

    /// Integrates and commits. What it returns is history.
    fn extend(&mut self, new: &[&Waiting]) -> Result<Committed, Fatal> {
        let hashes: Vec<Hash> = new.iter().map(|one| one.identity).collect();
        let integrated = integrate(&self.edge, &hashes);
        let full_tiles = integrated.full_tiles.clone();

        let began = Instant::now();
        let time = CommitTime {
            now_ms: self.shared.surroundings.clock.now_ms(),
            of_entries: self.shared.time.is_some(),
        };
        let committed = commit(self.shared.store.as_ref(), &self.head, new, integrated, time)
            .map_err(Fatal::Commit)?;
        self.shared.metrics.committed(began.elapsed(), committed.head.tree.size);
        self.head = committed.head;
        self.edge = committed.edge.clone();
        // The anchor may lag behind the store but never lead it, so it is written second. It is
        // synced by a thread of its own; a power cut that loses it leaves an older, true head.
        self.anchor.write(&self.head).map_err(Fatal::Anchor)?;

        for tile in full_tiles {
            self.shared.tiles.insert((tile.id.level(), tile.id.index()), tile.nodes);
        }
        Ok(committed)
    }
}

fn refuse(waiting: Vec<Waiting>, reason: &AnswerError) {
    for one in waiting {
        one.refuse(reason.clone());
    }
}

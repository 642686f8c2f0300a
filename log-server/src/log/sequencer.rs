//! Sequencer: the one writer of a log.
//!
//! Its thread takes the whole pool as soon as the last commit is done, so a batch is as large as
//! the load makes it and an idle log answers in about one disk sync. There is no tick.

use std::sync::Arc;
use std::time::Instant;

use log_core::Hash;
use log_core::integrate::{RightEdge, integrate};

use super::anchor::Anchor;
use super::commit::commit;
use super::cosign::cosign;
use super::dedup::deduplicate;
use super::pool::{AnswerError, Placed, Waiting};
use super::publish::{Published, publish};
use super::signer::Signer;
use super::{Fatal, Shared};
use crate::store::{CommitError, Head, StoreError};

/// Owns everything that only one thread may change: the committed head and its right edge.
pub(super) struct Sequencer {
    pub(super) shared: Arc<Shared>,
    pub(super) head: Head,
    pub(super) edge: RightEdge,
    pub(super) signer: Signer,
    pub(super) anchor: Arc<Anchor>,
}

impl Sequencer {
    /// Sequences batches until the pool is closed and empty, or until something fatal happens.
    /// After that nothing is written or signed again by this process.
    pub(super) fn run(mut self) {
        while let Some(waiting) = self.shared.pool.take_all() {
            if let Err(fatal) = self.sequence(waiting) {
                self.shared.fail(fatal);
                return;
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
        if !new.is_empty() {
            match self.extend(&new) {
                Ok(()) => {}
                Err(Fatal::Commit(CommitError::Refused(reason))) => {
                    // Nothing was written: these submitters are told, and the log goes on.
                    refuse(waiting, &AnswerError::BatchFailed(reason));
                    return Ok(());
                }
                Err(fatal) => return Err(fatal),
            }
        }
        self.shared.metrics.sequenced(waiting.len(), batch.new.len());
        let published = self.shared.published.load_full();
        for (one, (index, duplicate)) in waiting.into_iter().zip(batch.places) {
            let published = Arc::clone(&published);
            one.answer(Ok(Placed { index, duplicate, published }));
        }
        Ok(())
    }

    /// Integrates, commits, cosigns and publishes, in this order and in no other.
    fn extend(&mut self, new: &[&Waiting]) -> Result<(), Fatal> {
        let hashes: Vec<Hash> = new.iter().map(|one| one.identity).collect();
        let integrated = integrate(&self.edge, &hashes);
        let full_tiles = integrated.full_tiles.clone();

        let began = Instant::now();
        let now_ms = self.shared.surroundings.clock.now_ms();
        let committed = commit(self.shared.store.as_ref(), &self.head, new, integrated, now_ms)
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
        let cosigned = cosign(committed, &self.shared.origin, &self.signer);
        publish(&self.shared.published, Arc::new(Published::from(cosigned)));
        Ok(())
    }
}

fn refuse(waiting: Vec<Waiting>, reason: &AnswerError) {
    for one in waiting {
        one.answer(Err(reason.clone()));
    }
}

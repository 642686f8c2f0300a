//! Commit: the point of no return, and the only place that writes a store's head.

use log_core::integrate::{Integrated, RightEdge};
use log_core::{Hash, LeafIndex};

use super::pool::{Submission, Waiting};
use crate::store::{Batch, CommitError, Head, LeafMetadata, Store, StoredLeaf};

/// A head that is durable together with everything beneath it. Only [`commit`] and recovery make
/// one, and nothing but a committed head is ever signed.
#[derive(Clone)]
pub(super) struct Committed {
    pub(super) head: Head,
    pub(super) edge: RightEdge,
}

/// Writes one integrated batch: leaves, the tiles that it filled, the identities and the new head,
/// in one atomic and synced write that succeeds only if the store still has `previous`.
///
/// # Errors
/// [`CommitError::Refused`] wrote nothing and fails this batch alone. After
/// [`CommitError::OutcomeUnknown`] or [`CommitError::Conflict`] the process has to end: what is on
/// the disk decides at the next start.
pub(super) fn commit(
    store: &dyn Store,
    previous: &Head,
    new: &[&Waiting],
    integrated: Integrated,
    time: CommitTime,
) -> Result<Committed, CommitError> {
    let first = previous.tree.size.get();
    let identities = new.iter().map(|one| one.identity);
    let head = previous.next(integrated.head, time.now_ms);
    let batch = Batch {
        previous: Some(*previous),
        head,
        first_index: LeafIndex::new(first),
        leaves: new.iter().map(|one| stored(&one.submission, &head, &time)).collect(),
        leaf_hashes: identities.clone().collect(),
        full_tiles: integrated
            .full_tiles
            .iter()
            .map(|tile| (tile.id, tile.nodes.to_bytes(tile.id.width())))
            .collect(),
        identities: identities.zip((first..).map(LeafIndex::new)).collect(),
    };
    assert!(first < batch.head.tree.size.get(), "a tree must grow: {first}");
    // Until the store returns nothing of this batch may leave the process: a crash before the sync
    // loses it whole, and the submitters were told nothing.
    store.commit(&batch)?;
    // From here the batch is history. A crash now leaves a committed head that nobody has seen yet;
    // the next start publishes exactly that head.
    Ok(Committed { head: batch.head, edge: integrated.edge })
}

/// The time of a commit.
pub(super) struct CommitTime {
    /// The wall clock, in milliseconds since 1970.
    pub(super) now_ms: u64,
    /// Whether each entry keeps it: the log promises times.
    pub(super) of_entries: bool,
}

/// An entry with all that is kept beside it. Its time is that of the head, which never goes back.
fn stored(submission: &Submission, head: &Head, time: &CommitTime) -> StoredLeaf {
    let metadata = time.of_entries.then(|| LeafMetadata {
        time_s: head.time_s(),
        search_keys: submission.search_keys.clone(),
    });
    StoredLeaf { leaf: submission.leaf.clone(), metadata }
}

/// Writes the head of size 0 into an empty store: the act that makes a directory a log.
pub(super) fn commit_genesis(
    store: &dyn Store,
    log_id: Hash,
    state_id: [u8; 16],
) -> Result<Head, CommitError> {
    let head = Head::genesis(log_id, state_id);
    store.commit(&Batch {
        previous: None,
        head,
        first_index: LeafIndex::new(0),
        leaves: Vec::new(),
        leaf_hashes: Vec::new(),
        full_tiles: Vec::new(),
        identities: Vec::new(),
    })?;
    Ok(head)
}

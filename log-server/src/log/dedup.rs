//! Dedup: a leaf that is in the log already, or twice in one batch, has one index.
//!
//! Exact, not best effort: the identity of every leaf is committed in the same batch as the leaf,
//! so the store's answer is the truth, whatever happened to the process in between.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use log_core::{Hash, LeafIndex, TreeSize};

use super::pool::Waiting;
use crate::store::{Store, StoreError};

/// What a batch comes down to once its duplicates are known.
pub(super) struct Deduplicated {
    /// Positions in the batch of the leaves that are new, in the order of their indices.
    pub(super) new: Vec<usize>,
    /// For each waiting leaf its index, and whether it is a duplicate.
    pub(super) places: Vec<(LeafIndex, bool)>,
}

/// Gives every waiting leaf its index: the one it has, or the next free one after `size`.
pub(super) fn deduplicate(
    waiting: &[Waiting],
    size: TreeSize,
    store: &dyn Store,
) -> Result<Deduplicated, StoreError> {
    let mut new = Vec::with_capacity(waiting.len());
    let mut places = Vec::with_capacity(waiting.len());
    let mut seen: HashMap<Hash, LeafIndex> = HashMap::with_capacity(waiting.len());
    let mut next = size.get();
    for (position, one) in waiting.iter().enumerate() {
        let place = match seen.entry(one.identity) {
            Entry::Occupied(earlier) => (*earlier.get(), true),
            Entry::Vacant(unseen) => match store.find(&one.identity)? {
                Some(index) => (*unseen.insert(index), true),
                None => {
                    let index = LeafIndex::new(next);
                    next += 1;
                    new.push(position);
                    (*unseen.insert(index), false)
                }
            },
        };
        places.push(place);
    }
    Ok(Deduplicated { new, places })
}

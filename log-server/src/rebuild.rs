//! Rebuild of the search index, offline: from the metadata of the leaves, which is committed with
//! them and is never changed here.

use log_core::{LeafIndex, TreeSize};
use thiserror::Error;

use crate::fsck::names;
use crate::store::rocks::{RocksShared, RocksStore};
use crate::store::{SearchKey, Store, StoreError};

#[cfg(test)]
mod tests;

/// Leaves read at a time, and rows of the index.
const CHUNK_ROWS: usize = 1024;

/// What a rebuild did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Rows of the index now.
    pub rows: u64,
    /// Rows that were missing and are back.
    pub added: u64,
    /// Rows that belonged to no leaf and are gone.
    pub removed: u64,
    /// The index could not be read, and was thrown away before its rows were put back.
    pub was_unreadable: bool,
}

/// Why an index could not be rebuilt.
#[derive(Debug, Error)]
pub enum RebuildError {
    /// The store holds no head.
    #[error("the store holds no head")]
    NoHead,
    /// The leaves cannot be read: without them there is nothing to rebuild from.
    #[error("the leaves cannot be read: {0}")]
    Leaves(StoreError),
    /// The index cannot be read or written.
    #[error("the search index: {0}")]
    Index(StoreError),
}

/// Makes the search index what the leaves say; `progress` hears how many leaves of how many are
/// done. It may be interrupted at any point and run again.
///
/// # Errors
/// [`RebuildError`]; what was put back until then stays.
pub fn rebuild_search(
    store: &mut RocksStore,
    shared: &RocksShared,
    mut progress: impl FnMut(u64, u64),
) -> Result<Rebuilt, RebuildError> {
    match rebuild_rows(store, &mut progress) {
        Err(RebuildError::Index(StoreError::Corrupt(_))) => {
            store.empty_search_index(shared).map_err(RebuildError::Index)?;
            let rebuilt = rebuild_rows(store, &mut progress)?;
            Ok(Rebuilt { was_unreadable: true, ..rebuilt })
        }
        rebuilt => rebuilt,
    }
}

fn rebuild_rows(
    store: &RocksStore,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Rebuilt, RebuildError> {
    let head = store.head().map_err(RebuildError::Leaves)?.ok_or(RebuildError::NoHead)?;
    let size = head.tree.size;
    let (named, added) = add_missing(store, size, progress)?;
    let mut removed = 0;
    // Every row that a leaf names is there: if there are no more than that, none is invented.
    if count_rows(store)? != named {
        removed = remove_invented(store, size)?;
    }
    Ok(Rebuilt { rows: named, added, removed, was_unreadable: false })
}

/// Puts back what the leaves name and the index lacks: how many rows they name, and how many
/// were put back.
fn add_missing(
    store: &RocksStore,
    size: TreeSize,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(u64, u64), RebuildError> {
    let (mut named, mut added) = (0, 0);
    for first in (0..size.get()).step_by(CHUNK_ROWS) {
        let end = size.get().min(first.saturating_add(CHUNK_ROWS as u64));
        let count = usize::try_from(end - first).expect("invariant: at most CHUNK_ROWS");
        let leaves = store.stored_leaves(LeafIndex::new(first), count);
        let leaves = leaves.map_err(RebuildError::Leaves)?;
        let mut missing = Vec::new();
        for (index, stored) in (first..).map(LeafIndex::new).zip(&leaves) {
            for key in stored.distinct_keys() {
                named += 1;
                if store.search(&key, index, 1).map_err(RebuildError::Index)? != [index] {
                    missing.push((key, index));
                }
            }
        }
        added += missing.len() as u64;
        store.put_search_rows(&missing).map_err(RebuildError::Index)?;
        progress(end, size.get());
    }
    Ok((named, added))
}

fn count_rows(store: &RocksStore) -> Result<u64, RebuildError> {
    let mut count = 0;
    for_each_page(store, |rows| {
        count += rows.len() as u64;
        Ok(())
    })?;
    Ok(count)
}

fn remove_invented(store: &RocksStore, size: TreeSize) -> Result<u64, RebuildError> {
    let mut removed = 0;
    for_each_page(store, |rows| {
        let mut invented = Vec::new();
        for (key, index) in rows {
            if !names(store, size, *index, key).map_err(RebuildError::Leaves)? {
                invented.push((*key, *index));
            }
        }
        removed += invented.len() as u64;
        store.remove_search_rows(&invented).map_err(RebuildError::Index)
    })?;
    Ok(removed)
}

fn for_each_page(
    store: &RocksStore,
    mut page: impl FnMut(&[(SearchKey, LeafIndex)]) -> Result<(), RebuildError>,
) -> Result<(), RebuildError> {
    let mut after = None;
    loop {
        let rows = store.search_keys_after(after, CHUNK_ROWS).map_err(RebuildError::Index)?;
        let Some(last) = rows.last() else { return Ok(()) };
        page(&rows)?;
        after = Some(*last);
    }
}

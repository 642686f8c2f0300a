//! Search: the published entries that were committed under search keys, in order of index.

use std::collections::VecDeque;

use log_core::{Hash, LeafIndex, NodeId, TILE_WIDTH};

use super::read::{ReadError, stored_tile_bytes};
use super::{Log, Published, Shared};
use crate::store::{SearchKey, Store, StoreError};

/// Entries that a search without a limit may find. More would be an answer of many megabytes, and
/// a shortened one would look complete.
pub const SEARCH_HITS_MAX: usize = 100_000;
/// Rows of the index that one search may read: about a second. Only the common entries of keys
/// that have many each can need so many.
pub const SEARCH_ROWS_MAX: usize = 2_000_000;
/// Rows that are read from the store at a time.
const CHUNK_ROWS: usize = 1024;
/// The same at first: a key of one artefact has one entry, or a few.
const FIRST_CHUNK_ROWS: usize = 16;
/// Rows of a quick search: one look for each of the four things that a client may ask by.
const QUICK_ROWS_MAX: usize = 4 * (FIRST_CHUNK_ROWS + 1);

/// What is looked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Search {
    /// The keys of the entries.
    pub keys: Vec<SearchKey>,
    /// Whether an entry must have all of the keys, or any of them.
    pub all: bool,
    /// Only entries after this one: the last of an earlier page.
    pub after: Option<LeafIndex>,
    /// So many entries at most, the first ones. Without it all of them, or an error.
    pub limit: Option<usize>,
}

/// Why a search has no answer.
#[derive(Debug, thiserror::Error)]
pub enum SearchError {
    /// There are more entries than an answer without a limit may have.
    #[error("more than {0} entries match: ask for pages with `limit` and `after`")]
    TooMany(usize),
    /// The keys have too many entries each, and too few in common.
    #[error("the search would read more than {0} rows: ask for less common keys")]
    TooMuchWork(usize),
    /// The store failed.
    #[error(transparent)]
    Read(#[from] ReadError),
}

impl From<StoreError> for SearchError {
    fn from(error: StoreError) -> Self {
        Self::Read(error.into())
    }
}

impl Log {
    /// The published entries that have the keys, with their leaf hashes, in order of index. Blocks
    /// on the store.
    ///
    /// # Errors
    /// [`SearchError`]; an answer is never cut short without the caller's own limit.
    pub fn search(
        &self,
        at: &Published,
        search: &Search,
    ) -> Result<Vec<(LeafIndex, Hash)>, SearchError> {
        let store = self.shared.store.as_ref();
        let found = find(store, at.head().size.get(), search, SEARCH_ROWS_MAX)?;
        Ok(self.shared.leaf_hashes(at, &found)?)
    }

    /// The same for a search that needs a few rows only, as most do: it costs about what the read
    /// of an entry costs. `None` if it needs more.
    ///
    /// # Errors
    /// The store failed.
    pub fn search_quickly(
        &self,
        at: &Published,
        search: &Search,
    ) -> Result<Option<Vec<(LeafIndex, Hash)>>, SearchError> {
        let store = self.shared.store.as_ref();
        match find(store, at.head().size.get(), search, QUICK_ROWS_MAX) {
            Ok(found) => Ok(Some(self.shared.leaf_hashes(at, &found)?)),
            Err(SearchError::TooMuchWork(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// The indices below `size` that a search finds.
fn find(
    store: &dyn Store,
    size: u64,
    search: &Search,
    rows_max: usize,
) -> Result<Vec<LeafIndex>, SearchError> {
    find_in(|key, from, limit| store.search(key, from, limit), size, search, rows_max)
}

/// The same over whatever reads the rows of a key from an index on, so many at most.
fn find_in(
    read_rows: impl Fn(&SearchKey, LeafIndex, usize) -> Result<Vec<LeafIndex>, StoreError>,
    size: u64,
    search: &Search,
    rows_max: usize,
) -> Result<Vec<LeafIndex>, SearchError> {
    let mut next = match search.after {
        Some(after) => after.get().saturating_add(1),
        None => 0,
    };
    let mut keys = search.keys.clone();
    keys.sort_unstable();
    keys.dedup();
    let mut budget = Budget { rows_max, read: 0 };
    let mut rows: Vec<_> = keys.into_iter().map(Rows::of).collect();
    let mut found = Vec::new();
    while search.limit.is_none_or(|limit| found.len() < limit) {
        let mut heads = Vec::with_capacity(rows.len());
        for rows in &mut rows {
            let head = rows.first_from(next, &read_rows, &mut budget)?;
            heads.push(head.filter(|index| *index < size));
        }
        // All of them: nothing before the largest can be common. Any of them: the smallest.
        let (lowest, is_hit) = if search.all {
            let Some(heads) = heads.into_iter().collect::<Option<Vec<_>>>() else { break };
            let Some(highest) = heads.iter().max().copied() else { break };
            (highest, heads.iter().all(|head| *head == highest))
        } else {
            let Some(lowest) = heads.into_iter().flatten().min() else { break };
            (lowest, true)
        };
        if is_hit {
            if search.limit.is_none() && found.len() == SEARCH_HITS_MAX {
                return Err(SearchError::TooMany(SEARCH_HITS_MAX));
            }
            found.push(LeafIndex::new(lowest));
        }
        next = if is_hit { lowest + 1 } else { lowest };
    }
    Ok(found)
}

/// How much one search may read.
struct Budget {
    rows_max: usize,
    read: usize,
}

impl Budget {
    fn allows(&self, rows: usize) -> Result<(), SearchError> {
        let enough = self.read + rows < self.rows_max;
        if enough { Ok(()) } else { Err(SearchError::TooMuchWork(self.rows_max)) }
    }
}

/// The rows of one key, read in chunks.
struct Rows {
    key: SearchKey,
    chunk: VecDeque<u64>,
    /// Rows of the next chunk: small at first, since most keys have one entry.
    chunk_rows: usize,
    /// Nothing is stored after the chunk.
    ended: bool,
}

impl Rows {
    fn of(key: SearchKey) -> Self {
        Self { key, chunk: VecDeque::new(), chunk_rows: FIRST_CHUNK_ROWS, ended: false }
    }

    /// The first index of this key that is not below `next`; `next` never goes back. Fails if
    /// that would read more than the budget allows.
    fn first_from(
        &mut self,
        next: u64,
        read_rows: impl Fn(&SearchKey, LeafIndex, usize) -> Result<Vec<LeafIndex>, StoreError>,
        budget: &mut Budget,
    ) -> Result<Option<u64>, SearchError> {
        while self.chunk.front().is_some_and(|index| *index < next) {
            self.chunk.pop_front();
        }
        if self.chunk.is_empty() && !self.ended {
            budget.allows(self.chunk_rows)?;
            let rows = read_rows(&self.key, LeafIndex::new(next), self.chunk_rows)?;
            // A look into the store is not free, even if it finds nothing.
            budget.read += rows.len() + 1;
            self.ended = rows.len() < self.chunk_rows;
            self.chunk = rows.into_iter().map(LeafIndex::get).collect();
            self.chunk_rows = CHUNK_ROWS;
        }
        Ok(self.chunk.front().copied())
    }
}

impl Shared {
    /// The hashes of published leaves. Neighbours share a tile, which is read once and not kept:
    /// a search must not push the newest tiles out of the cache.
    fn leaf_hashes(
        &self,
        at: &Published,
        indices: &[LeafIndex],
    ) -> Result<Vec<(LeafIndex, Hash)>, ReadError> {
        let mut tile: Option<(u64, Vec<u8>)> = None;
        let mut hashes = Vec::with_capacity(indices.len());
        for &index in indices {
            let id = NodeId { level: 0, index: index.get() };
            if let Some(hash) = at.edge().node(id) {
                hashes.push((index, hash));
                continue;
            }
            let number = index.get() / TILE_WIDTH;
            if tile.as_ref().is_none_or(|(at, _)| *at != number) {
                tile = Some((number, stored_tile_bytes(self.store.as_ref(), 0, number)?));
            }
            let mut leaves = tile.iter().flat_map(|(_, bytes)| bytes.chunks_exact(Hash::LEN));
            let position = usize::try_from(index.get() % TILE_WIDTH).unwrap_or(usize::MAX);
            let hash = leaves.nth(position).and_then(Hash::from_slice);
            let hash = hash.ok_or_else(|| ReadError::Broken(format!("no hash of leaf {index}")))?;
            hashes.push((index, hash));
        }
        Ok(hashes)
    }
}

#[cfg(test)]
mod tests;

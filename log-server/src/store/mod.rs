//! The store of one log: it knows keys and bytes, and one rule about them.
//!
//! A [`Batch`] is written whole or not at all, only onto the head that it names, and what a batch
//! wrote is never written again. What the bytes mean is the business of `log/`. FORMAT.md has the
//! durable form. `contract.rs` is what every implementation must pass.

#[cfg(any(test, feature = "faults"))]
pub mod contract;
#[cfg(any(test, feature = "faults"))]
pub mod faulty;
pub mod head;
mod leaf_row;
pub mod memory;
pub mod rocks;
pub mod space;

use log_core::{Hash, Leaf, LeafIndex, TILE_WIDTH, TileId, TreeHead, hash_leaf};
use thiserror::Error;

pub use head::{Head, HeadFlags};
pub use leaf_row::{LeafMetadata, SEARCH_KEYS_MAX, SearchKey, StoredLeaf};

/// What one commit writes.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The head this batch was built on; `None` only for the genesis head of an empty store.
    pub previous: Option<Head>,
    /// The head that is true once the batch is written.
    pub head: Head,
    /// Index of the first of `leaves`.
    pub first_index: LeafIndex,
    /// New leaves, in the order of their indices. What they are searched by follows from them.
    pub leaves: Vec<StoredLeaf>,
    /// The leaf hash of each of `leaves`: those that the new root was computed from. The store
    /// hashes the bytes that it is about to write and refuses the batch if one differs.
    pub leaf_hashes: Vec<Hash>,
    /// Tiles of full width that this batch completed, with their bytes.
    pub full_tiles: Vec<(TileId, Vec<u8>)>,
    /// What each new leaf is found by; none of them is in the store yet (the caller looked).
    pub identities: Vec<(Hash, LeafIndex)>,
}

/// One log's durable rows. All methods block; none of them may be called on an async thread.
pub trait Store: Send + Sync + 'static {
    /// The newest committed head; `None` in a store that was created and never committed to.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if the row cannot be read as a head.
    fn head(&self) -> Result<Option<Head>, StoreError>;

    /// Writes `batch` atomically if the newest head is `batch.previous`; it is durable on return.
    ///
    /// # Errors
    /// [`CommitError::Conflict`] and [`CommitError::Refused`] wrote nothing. After
    /// [`CommitError::OutcomeUnknown`] the batch may or may not be there: the process has to end.
    fn commit(&self, batch: &Batch) -> Result<(), CommitError>;

    /// The `count` leaves from `first` on, with what is kept beside them.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if one of them is not there, [`StoreError::Corrupt`] if its row is
    /// none that this program writes.
    fn stored_leaves(&self, first: LeafIndex, count: usize) -> Result<Vec<StoredLeaf>, StoreError>;

    /// The `count` leaves from `first` on, alone.
    ///
    /// # Errors
    /// As [`Store::stored_leaves`].
    fn leaves(&self, first: LeafIndex, count: usize) -> Result<Vec<Leaf>, StoreError> {
        let stored = self.stored_leaves(first, count)?;
        Ok(stored.into_iter().map(|stored| stored.leaf).collect())
    }

    /// The bytes of the full tile `index` of `level`; `None` if no batch completed it.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    fn tile(&self, level: u8, index: u64) -> Result<Option<Vec<u8>>, StoreError>;

    /// The leaf that was committed under `identity`.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    fn find(&self, identity: &Hash) -> Result<Option<LeafIndex>, StoreError>;

    /// The first `limit` leaves from `from` on that have this search key, in ascending order.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    fn search(
        &self,
        key: &SearchKey,
        from: LeafIndex,
        limit: usize,
    ) -> Result<Vec<LeafIndex>, StoreError>;

    /// The note stored last by [`Store::put_note`].
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    fn note(&self) -> Result<Option<Vec<u8>>, StoreError>;

    /// Replaces the newest published note; it is durable on return.
    ///
    /// # Errors
    /// [`StoreError`] if the write failed; the old or the new note is then there.
    fn put_note(&self, note: &[u8]) -> Result<(), StoreError>;

    /// The highest index that has a leaf, whatever the head says: a check reads it.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    fn last_leaf(&self) -> Result<Option<LeafIndex>, StoreError>;

    /// Up to `limit` heads after commit number `after`, in the order of the commits.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if a row cannot be read as a head.
    fn heads_after(&self, after: Option<u64>, limit: usize) -> Result<Vec<Head>, StoreError>;

    /// Up to `limit` tiles after `after`, ordered by the last leaf they cover, then by level.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    fn tiles_after(
        &self,
        after: Option<TileKey>,
        limit: usize,
    ) -> Result<Vec<(TileKey, Vec<u8>)>, StoreError>;

    /// Up to `limit` identities after `after`, in the order of their bytes.
    ///
    /// # Errors
    /// [`StoreError`] if the store cannot be read.
    fn identities_after(
        &self,
        after: Option<Hash>,
        limit: usize,
    ) -> Result<Vec<(Hash, LeafIndex)>, StoreError>;

    /// Up to `limit` rows of the search index after `after`, ordered by key, then by leaf.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if a row is none that this program writes.
    fn search_keys_after(
        &self,
        after: Option<(SearchKey, LeafIndex)>,
        limit: usize,
    ) -> Result<Vec<(SearchKey, LeafIndex)>, StoreError>;
}

/// Where a full tile is stored: it orders tiles as they are completed, so that they arrive sorted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TileKey {
    /// Index of the last leaf that the tile covers.
    pub last_leaf: u64,
    /// Level of the tile, 0 for the tile of leaf hashes.
    pub level: u8,
}

/// Why a read of the store, or the write of a note, failed.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Something is not there that the head promises.
    #[error("missing in the store: {0}")]
    Missing(String),
    /// Something is there that this program never writes.
    #[error("corrupt in the store: {0}")]
    Corrupt(String),
    /// The store itself failed.
    #[error("the store failed: {0}")]
    Failed(String),
}

/// Why a commit failed, by what is true afterwards.
#[derive(Debug, Error)]
pub enum CommitError {
    /// The newest head is not the one that the batch was built on; nothing was written.
    #[error("the store's head is not the one that the batch was built on")]
    Conflict,
    /// The batch breaks a rule of this module; nothing was written.
    #[error("batch refused, nothing was written: {0}")]
    Refused(String),
    /// The write failed on its way: what is on disk decides, after a restart.
    #[error("outcome of the commit unknown: {0}")]
    OutcomeUnknown(String),
}

/// Why a store could not be created or opened, by what the operator or the start-up has to do.
#[derive(Debug, Error)]
pub enum OpenError {
    /// There is no store at this place, or one whose creation was interrupted.
    #[error("no store: {0}")]
    Missing(String),
    /// `create` found something at this place.
    #[error("{0} exists already")]
    Exists(String),
    /// Another process, or this one, has the store open.
    #[error("the store is in use: {0}")]
    InUse(String),
    /// The write-ahead log is damaged: only a copy at the last good point can be opened.
    #[error("the write-ahead log is damaged: {0}")]
    TornTail(String),
    /// A file of the write-ahead log is gone, and with it commits that were acknowledged.
    #[error("a part of the write-ahead log is gone: {0}")]
    LostTail(String),
    /// The whole search index is gone; everything that it was made from is there.
    #[error("the search index is gone; `cairn-server rebuild-search` makes it again")]
    NoSearchIndex,
    /// Written in a format that this program does not know.
    #[error("unknown store format {found:?}, this program knows {known:?}")]
    WrongVersion {
        /// What the store says.
        found: String,
        /// What this program reads and writes.
        known: String,
    },
    /// Everything else: input and output errors, damaged tables.
    #[error("the store cannot be opened: {0}")]
    Other(String),
}

impl Batch {
    /// Checks everything that can be checked without the store; every implementation calls it
    /// before it writes.
    ///
    /// # Errors
    /// [`CommitError::Refused`] with the rule that the batch breaks.
    pub fn check(&self) -> Result<(), CommitError> {
        let checked = self.check_head().and_then(|()| self.check_rows());
        checked.and_then(|()| self.check_metadata()).map_err(CommitError::Refused)
    }

    /// The rows of the search index that follow from the leaves: ordered, none twice.
    pub fn search_rows(&self) -> Vec<(SearchKey, LeafIndex)> {
        let indices = (self.first_index.get()..).map(LeafIndex::new);
        let leaves = indices.zip(&self.leaves);
        let mut rows: Vec<_> = leaves
            .flat_map(|(index, leaf)| leaf.distinct_keys().into_iter().map(move |key| (key, index)))
            .collect();
        rows.sort_unstable();
        rows
    }

    /// The head must follow from its predecessor and from the number of leaves.
    fn check_head(&self) -> Result<(), String> {
        let head = &self.head;
        ensure(head.version == head::HEAD_VERSION, "version of the head")?;
        ensure(head.first_index == self.first_index, "first index of head and batch differ")?;
        let size = self.first_index.get().checked_add(self.leaves.len() as u64);
        ensure(size == Some(head.tree.size.get()), "size of the head is not that of the leaves")?;
        let Some(previous) = &self.previous else {
            ensure(head.flags.genesis && head.batch == 0, "the first head must be the genesis")?;
            return ensure(head.tree == TreeHead::EMPTY, "the genesis head must be empty");
        };
        ensure(!head.flags.genesis, "a second genesis head")?;
        ensure(!previous.flags.frozen, "a head after the frozen one")?;
        ensure(previous.batch.checked_add(1) == Some(head.batch), "number of the batch")?;
        ensure(previous.tree.size.get() == self.first_index.get(), "first index")?;
        ensure(head.log_id == previous.log_id, "another log")?;
        ensure(head.state_id == previous.state_id, "another state id")?;
        ensure(head.time_ms >= previous.time_ms, "time goes back")?;
        let unchanged = !self.leaves.is_empty() || head.tree == previous.tree;
        ensure(unchanged, "another root without new leaves")
    }

    /// Rows must belong to this batch, so that no row of an earlier one can be overwritten.
    fn check_rows(&self) -> Result<(), String> {
        ensure(self.leaf_hashes.len() == self.leaves.len(), "one hash a leaf")?;
        for (id, bytes) in &self.full_tiles {
            let key = TileKey::of(id).ok_or_else(|| format!("{id} is not a full tile"))?;
            ensure(self.adds(key.last_leaf), "a tile that this batch does not complete")?;
            ensure(bytes.len() == FULL_TILE_BYTES, "length of a tile")?;
            if id.level() == 0 {
                self.check_tile_of_leaves(key, bytes)?;
            }
        }
        for (_, index) in &self.identities {
            ensure(self.adds(index.get()), "an identity of a leaf that is not in the batch")?;
        }
        Ok(())
    }

    /// Times of leaves lie between those of the two heads and never go back, so that they never
    /// do in the whole log.
    fn check_metadata(&self) -> Result<(), String> {
        let mut earliest_s = self.previous.map_or(0, |head| head.time_s());
        for metadata in self.leaves.iter().filter_map(|leaf| leaf.metadata.as_ref()) {
            ensure(metadata.search_keys.len() <= SEARCH_KEYS_MAX, "too many search keys")?;
            ensure(metadata.time_s >= earliest_s, "the time of a leaf goes back")?;
            ensure(metadata.time_s <= self.head.time_s(), "a leaf later than its head")?;
            earliest_s = metadata.time_s;
        }
        Ok(())
    }

    /// A tile of level 0 must end in the hashes of this batch's leaves.
    fn check_tile_of_leaves(&self, key: TileKey, bytes: &[u8]) -> Result<(), String> {
        let first = self.first_index.get();
        // `adds` has been asked: the last leaf is in this batch, and the subtraction does not wrap.
        let last = usize::try_from(key.last_leaf - first).map_err(|error| error.to_string())?;
        let new = &self.leaf_hashes[..=last];
        let same = new.iter().rev().zip(bytes.rchunks_exact(Hash::LEN));
        ensure(
            same.into_iter().all(|(hash, stored)| hash.as_bytes()[..] == *stored),
            "a tile that does not hold the hashes of its leaves",
        )
    }

    fn adds(&self, index: u64) -> bool {
        (self.first_index.get()..self.head.tree.size.get()).contains(&index)
    }

    /// Compares leaf bytes that are about to be written with the hash the root was computed from;
    /// `bytes` comes from the finished write, and `position` counts in `leaves`.
    fn check_leaf(&self, position: usize, bytes: &[u8]) -> Result<(), String> {
        let hash = self.leaf_hashes.get(position);
        ensure(hash == Some(&hash_leaf(bytes)), "a leaf changed after it was hashed")
    }
}

impl TileKey {
    /// The key of a tile of full width; `None` for a partial one, and for one so far to the right
    /// that its last leaf has no index.
    pub fn of(id: &TileId) -> Option<Self> {
        (u64::from(id.width()) == TILE_WIDTH).then(|| Self::at(id.level(), id.index()))?
    }

    /// The key of the full tile `index` of `level`, if its last leaf has an index.
    pub fn at(level: u8, index: u64) -> Option<Self> {
        let leaves = Self::leaves(level)?;
        let last_leaf = u128::from(index).checked_add(1)?.checked_mul(leaves)?.checked_sub(1)?;
        Some(Self { last_leaf: u64::try_from(last_leaf).ok()?, level })
    }

    /// The index of the tile among those of its level; `None` if no tile ends at this leaf.
    pub fn index(&self) -> Option<u64> {
        let leaves = Self::leaves(self.level)?;
        let end = u128::from(self.last_leaf) + 1;
        (end % leaves == 0).then(|| u64::try_from(end / leaves - 1).ok())?
    }

    /// Leaves that one full tile of `level` covers: 256 to the power of `level + 1`.
    fn leaves(level: u8) -> Option<u128> {
        1u128.checked_shl(8 * (u32::from(level) + 1))
    }
}

fn ensure(condition: bool, rule: &str) -> Result<(), String> {
    if condition { Ok(()) } else { Err(rule.into()) }
}

/// Bytes of a full tile: 256 hashes (tlog-tiles).
pub const FULL_TILE_BYTES: usize = 256 * Hash::LEN;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tile_keys_order_tiles_as_they_are_completed() {
        let key = |level, index| TileKey::at(level, index).expect("in range");
        assert_eq!(key(0, 0), TileKey { last_leaf: 255, level: 0 });
        assert_eq!(key(0, 255), TileKey { last_leaf: 65_535, level: 0 });
        assert_eq!(key(1, 0), TileKey { last_leaf: 65_535, level: 1 });
        assert!(key(0, 255) < key(1, 0) && key(1, 0) < key(0, 256));
        for (level, index) in [(0, 0), (0, 77), (1, 3), (2, 5), (6, 255), (7, 0)] {
            assert_eq!(key(level, index).index(), Some(index));
        }
        assert_eq!(TileKey { last_leaf: 256, level: 0 }.index(), None);
    }

    #[test]
    fn tiles_beyond_the_last_index_have_no_key() {
        assert_eq!(TileKey::at(7, 1), None);
        assert_eq!(TileKey::at(0, u64::MAX), None);
        assert_eq!(TileKey::at(8, 0), None);
        assert_eq!(TileKey::at(15, 0), None);
        assert_eq!(TileKey::at(255, 0), None);
        assert_eq!(TileKey { last_leaf: 255, level: 255 }.index(), None);
        assert_eq!(TileKey::at(0, u64::MAX / 256).map(|key| key.last_leaf), Some(u64::MAX));
    }

    #[test]
    fn a_partial_tile_has_no_key() {
        let partial = TileId::new(0, 0, 255).expect("a tile");
        assert_eq!(TileKey::of(&partial), None);
    }
}

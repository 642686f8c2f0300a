//! Fsck: recomputes a log from its leaves, offline, and compares everything the store holds.

use log_core::integrate::{RightEdge, integrate};
use log_core::{Hash, LeafIndex, TreeSize};

use crate::store::{Head, SearchKey, Store, StoreError, StoredLeaf, TileKey};

#[cfg(test)]
pub(crate) mod tests;

/// Leaves read and hashed at a time: four tiles.
const CHUNK_LEAVES: u64 = 1024;
/// Rows of an index read at a time.
const CHUNK_ROWS: usize = 1024;

/// What a sound log has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound {
    /// Size and root, recomputed from the leaves.
    pub head: log_core::TreeHead,
    /// Full tiles that were compared.
    pub tiles: u64,
    /// Identities that were compared.
    pub identities: u64,
    /// Rows of the search index that were compared.
    pub search_keys: u64,
}

/// The first difference that was found.
#[derive(Debug, thiserror::Error)]
pub enum Difference {
    /// The store has no head.
    #[error("the store holds no head")]
    NoHead,
    /// The head belongs to another log.
    #[error("the head's log id is {0}, the key's is {1}")]
    LogId(Hash, Hash),
    /// A row is missing or cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stored tile is not what the leaves hash to.
    #[error("tile {level}/{index} is not what its leaves hash to")]
    Tile {
        /// Level of the tile.
        level: u8,
        /// Index in the level.
        index: u64,
    },
    /// A full tile is not stored.
    #[error("tile {level}/{index} is missing")]
    NoTile {
        /// Level of the tile.
        level: u8,
        /// Index in the level.
        index: u64,
    },
    /// There is more in the store than its head says.
    #[error("{0} lies beyond the head's size {1}")]
    Beyond(String, TreeSize),
    /// The recomputed root is another one than the head's.
    #[error("the leaves hash to {0}, the head says {1}")]
    Root(Hash, Hash),
    /// The identity of a leaf leads to another leaf, or nowhere.
    #[error("the identity of leaf {0} leads to {1:?}")]
    Identity(LeafIndex, Option<LeafIndex>),
    /// An identity that belongs to no leaf.
    #[error("identity {0} belongs to no leaf")]
    Invented(Hash),
    /// A search does not find a leaf by a key that its metadata names.
    #[error("leaf {0} is not found by its search key {1}; `rebuild-search` puts it back")]
    NotFoundBy(LeafIndex, SearchKey),
    /// A search finds a leaf by a key that its metadata does not name.
    #[error("search key {0} leads to leaf {1}, which has no such key; `rebuild-search` removes it")]
    InventedKey(SearchKey, LeafIndex),
    /// Searches find what the leaves name, but a walk through the index counts another number.
    #[error("the search index has {0} rows, the leaves name {1}")]
    SearchRows(u64, u64),
    /// The time of a leaf is before that of an earlier leaf.
    #[error("the time of leaf {0}, {1}, is before {2}, that of an earlier leaf")]
    TimeBack(LeafIndex, u64, u64),
    /// The time of a leaf is after that of the newest head, in seconds since 1970.
    #[error("the time of leaf {0}, {1}, is after {2}, that of the newest head")]
    TimeAhead(LeafIndex, u64, u64),
}

/// Checks a whole store; `progress` hears how many leaves of how many are done.
///
/// # Errors
/// [`Difference`]: the first thing that is wrong.
pub fn fsck(
    store: &dyn Store,
    log_id: Hash,
    mut progress: impl FnMut(u64, u64),
) -> Result<Sound, Difference> {
    let head = store.head()?.ok_or(Difference::NoHead)?;
    if head.log_id != log_id {
        return Err(Difference::LogId(head.log_id, log_id));
    }
    let size = head.tree.size;
    let mut edge = RightEdge::empty();
    let mut tiles = 0;
    let mut beside = Beside { latest_s: 0, search_keys: 0 };
    while edge.size() < size {
        let first = edge.size().get();
        let count = CHUNK_LEAVES.min(size.get() - first);
        let count = usize::try_from(count).expect("invariant: at most CHUNK_LEAVES");
        let leaves = store.stored_leaves(LeafIndex::new(first), count)?;
        let hashes: Vec<Hash> = leaves.iter().map(|stored| stored.leaf.hash()).collect();
        check_identities(store, first, &hashes)?;
        for (index, stored) in (first..).map(LeafIndex::new).zip(&leaves) {
            beside.check(store, &head, index, stored)?;
        }
        let integrated = integrate(&edge, &hashes);
        for tile in &integrated.full_tiles {
            let (level, index) = (tile.id.level(), tile.id.index());
            match store.tile(level, index)? {
                None => return Err(Difference::NoTile { level, index }),
                Some(bytes) if bytes == tile.nodes.to_bytes(tile.id.width()) => tiles += 1,
                Some(_) => return Err(Difference::Tile { level, index }),
            }
        }
        edge = integrated.edge;
        progress(edge.size().get(), size.get());
    }
    if edge.head() != head.tree {
        return Err(Difference::Root(edge.head().root_hash, head.tree.root_hash));
    }
    check_nothing_beyond(store, size)?;
    let identities = count_identities(store, size)?;
    let search_keys = count_search_rows(store)?;
    if search_keys != beside.search_keys {
        let invented = find_invented_key(store, size)?;
        return Err(invented.unwrap_or(Difference::SearchRows(search_keys, beside.search_keys)));
    }
    Ok(Sound { head: head.tree, tiles, identities, search_keys })
}

/// What the leaves so far have beside them.
struct Beside {
    latest_s: u64,
    search_keys: u64,
}

impl Beside {
    /// The time of the leaf lies between those of the leaf before and of the newest head, and the
    /// leaf is found by each of its keys.
    fn check(
        &mut self,
        store: &dyn Store,
        head: &Head,
        index: LeafIndex,
        stored: &StoredLeaf,
    ) -> Result<(), Difference> {
        let Some(metadata) = &stored.metadata else { return Ok(()) };
        let (time_s, latest_s) = (metadata.time_s, self.latest_s);
        if time_s < latest_s {
            return Err(Difference::TimeBack(index, time_s, latest_s));
        }
        if time_s > head.time_s() {
            return Err(Difference::TimeAhead(index, time_s, head.time_s()));
        }
        self.latest_s = time_s;
        for key in stored.distinct_keys() {
            if store.search(&key, index, 1)? != [index] {
                return Err(Difference::NotFoundBy(index, key));
            }
            self.search_keys += 1;
        }
        Ok(())
    }
}

/// Every leaf is found by its hash, at its own index.
fn check_identities(store: &dyn Store, first: u64, hashes: &[Hash]) -> Result<(), Difference> {
    for (index, hash) in (first..).map(LeafIndex::new).zip(hashes) {
        match store.find(hash)? {
            Some(found) if found == index => {}
            other => return Err(Difference::Identity(index, other)),
        }
    }
    Ok(())
}

fn check_nothing_beyond(store: &dyn Store, size: TreeSize) -> Result<(), Difference> {
    if let Some(last) = store.last_leaf()?.filter(|last| !size.contains(*last)) {
        return Err(Difference::Beyond(format!("leaf {last}"), size));
    }
    // The keys are ordered by the last leaf that a tile covers.
    let after = size.get().checked_sub(1).map(|last_leaf| TileKey { last_leaf, level: u8::MAX });
    match store.tiles_after(after, 1)?.first() {
        Some((key, _)) => Err(Difference::Beyond(format!("the tile of {key:?}"), size)),
        None => Ok(()),
    }
}

/// Every leaf has its own identity, so as many rows as leaves leaves none that is invented.
fn count_identities(store: &dyn Store, size: TreeSize) -> Result<u64, Difference> {
    let mut count = 0;
    let mut after = None;
    loop {
        let rows = store.identities_after(after, CHUNK_ROWS)?;
        let Some((last, _)) = rows.last() else { return Ok(count) };
        if let Some((hash, _)) = rows.iter().find(|(_, index)| !size.contains(*index)) {
            return Err(Difference::Invented(*hash));
        }
        count += rows.len() as u64;
        if count > size.get() {
            return Err(Difference::Invented(*last));
        }
        after = Some(*last);
    }
}

fn count_search_rows(store: &dyn Store) -> Result<u64, StoreError> {
    let mut count = 0;
    let mut after = None;
    loop {
        let rows = store.search_keys_after(after, CHUNK_ROWS)?;
        let Some(last) = rows.last() else { return Ok(count) };
        count += rows.len() as u64;
        after = Some(*last);
    }
}

/// Every key of every leaf has its row, and yet there are more rows: one of them is invented.
fn find_invented_key(store: &dyn Store, size: TreeSize) -> Result<Option<Difference>, StoreError> {
    let mut after = None;
    loop {
        let rows = store.search_keys_after(after, CHUNK_ROWS)?;
        let Some(last) = rows.last() else { return Ok(None) };
        for (key, index) in &rows {
            if !names(store, size, *index, key)? {
                return Ok(Some(Difference::InventedKey(*key, *index)));
            }
        }
        after = Some(*last);
    }
}

/// Whether there is such a leaf, and its metadata has this key.
pub(crate) fn names(
    store: &dyn Store,
    size: TreeSize,
    index: LeafIndex,
    key: &SearchKey,
) -> Result<bool, StoreError> {
    if !size.contains(index) {
        return Ok(false);
    }
    let leaf = store.stored_leaves(index, 1)?.pop();
    let metadata = leaf.and_then(|stored| stored.metadata);
    Ok(metadata.is_some_and(|metadata| metadata.search_keys.contains(key)))
}

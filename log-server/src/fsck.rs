//! Fsck: recomputes a log from its leaves, offline, and compares everything the store holds.

use log_core::integrate::{RightEdge, integrate};
use log_core::{Hash, LeafIndex, TreeSize};

use crate::store::{Store, StoreError, TileKey};

/// Leaves read and hashed at a time: four tiles.
const CHUNK_LEAVES: u64 = 1024;
/// Rows of the identity index read at a time.
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
    while edge.size() < size {
        let first = edge.size().get();
        let count = CHUNK_LEAVES.min(size.get() - first);
        let count = usize::try_from(count).expect("invariant: at most CHUNK_LEAVES");
        let leaves = store.leaves(LeafIndex::new(first), count)?;
        let hashes: Vec<Hash> = leaves.iter().map(log_core::Leaf::hash).collect();
        check_identities(store, first, &hashes)?;
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
    Ok(Sound { head: head.tree, tiles, identities })
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

//! Read: tiles, bundles, entries and proofs, always through a [`Published`] handle.
//!
//! Nothing at or above the handle's size can be seen through it, whatever the store holds by now.

use std::sync::Arc;

use log_core::bundle::append_entry;
use log_core::proof::{ConsistencyProof, InclusionProof, ProofError, ProofPlan};
use log_core::tile::{BundleId, TILE_WIDTH, TileId, TileNodes};
use log_core::{CompactRange, Hash, Leaf, LeafIndex, NodeId, RightEdge, TreeHead, TreeSize};

use super::promise::Logged;
use super::publish::Published;
use super::{Log, Shared};
use crate::store::{Store, StoreError};

/// Full tiles that are kept with their inner nodes. One takes 16 KiB, so this is 64 MiB for a log;
/// the 4,096 newest tiles of level 0 cover its last million entries.
pub(super) const TILES_CACHED_MAX: usize = 4096;

pub(super) type TileCache = quick_cache::sync::Cache<(u8, u64), Arc<TileNodes>>;

/// Why something below the published size could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store failed, or lacks what its head promises.
    #[error("the store cannot be read: {0}")]
    Store(#[from] StoreError),
    /// The store answered with something that is not what the head promises.
    #[error("the store holds a broken tree: {0}")]
    Broken(String),
}

impl From<ProofError> for ReadError {
    fn from(error: ProofError) -> Self {
        Self::Broken(error.to_string())
    }
}

impl Log {
    /// A tile of the published tree, `None` where that tree has no such tile. A partial tile is
    /// also served when it is full by now: tiles of old checkpoints stay readable.
    ///
    /// # Errors
    /// The store failed.
    pub fn tile(&self, at: &Published, id: &TileId) -> Result<Option<Vec<u8>>, ReadError> {
        if !id.exists_in(at.head().size) {
            return Ok(None);
        }
        if let Some(bytes) = at.edge().tile_bytes(id) {
            return Ok(Some(bytes));
        }
        let nodes = self.shared.full_tile(id.level(), id.index())?;
        Ok(Some(nodes.to_bytes(id.width())))
    }

    /// An entry bundle of the published tree, assembled from its leaves.
    ///
    /// # Errors
    /// The store failed.
    pub fn bundle(&self, at: &Published, id: &BundleId) -> Result<Option<Vec<u8>>, ReadError> {
        let Some(first) = id.index().checked_mul(TILE_WIDTH) else { return Ok(None) };
        match first.checked_add(u64::from(id.width())) {
            Some(end) if end <= at.head().size.get() => {}
            _ => return Ok(None),
        }
        let leaves = self.shared.store.leaves(LeafIndex::new(first), usize::from(id.width()))?;
        let mut bundle = Vec::with_capacity(leaves.iter().map(|l| l.as_bytes().len() + 2).sum());
        for leaf in &leaves {
            append_entry(&mut bundle, leaf.as_bytes())
                .map_err(|error| ReadError::Broken(error.to_string()))?;
        }
        Ok(Some(bundle))
    }

    /// One entry of the published tree.
    ///
    /// # Errors
    /// The store failed.
    pub fn entry(&self, at: &Published, index: LeafIndex) -> Result<Option<Leaf>, ReadError> {
        if index.get() >= at.head().size.get() {
            return Ok(None);
        }
        Ok(self.shared.store.leaves(index, 1)?.into_iter().next())
    }

    /// The index of the published leaf with this hash.
    ///
    /// # Errors
    /// The store failed.
    pub fn find(&self, at: &Published, leaf_hash: &Hash) -> Result<Option<LeafIndex>, ReadError> {
        let found = self.shared.store.find(leaf_hash)?;
        Ok(found.filter(|index| at.head().size.contains(*index)))
    }

    /// One published entry with the time that was committed with it.
    ///
    /// # Errors
    /// The store failed.
    pub fn logged(&self, at: &Published, index: LeafIndex) -> Result<Option<Logged>, ReadError> {
        if !at.head().size.contains(index) {
            return Ok(None);
        }
        let stored = self.shared.store.stored_leaves(index, 1)?.into_iter().next();
        Ok(stored.map(|stored| Logged {
            time_s: stored.metadata.map_or(0, |metadata| metadata.time_s),
            leaf: stored.leaf,
        }))
    }

    /// Proves that the leaf at `index` is in the published tree.
    ///
    /// # Errors
    /// The index is not below the published size, or the store failed.
    pub fn prove_inclusion(
        &self,
        at: &Published,
        index: LeafIndex,
    ) -> Result<InclusionProof, ReadError> {
        let plan = InclusionProof::plan(index, at.head().size)?;
        Ok(InclusionProof::build(&plan, &self.shared.nodes(at.edge(), &plan)?)?)
    }

    /// Proves that the published tree extends the tree of size `old`.
    ///
    /// # Errors
    /// `old` is 0 or above the published size, or the store failed.
    pub fn prove_consistency(
        &self,
        at: &Published,
        old: TreeSize,
    ) -> Result<ConsistencyProof, ReadError> {
        self.prove_consistency_between(at, old, at.head().size)
    }

    /// Proves that the tree of size `new` extends the tree of size `old`, both in the history of
    /// the published tree.
    ///
    /// # Errors
    /// `old` is 0 or above `new`, `new` is above the published size, or the store failed.
    pub fn prove_consistency_between(
        &self,
        at: &Published,
        old: TreeSize,
        new: TreeSize,
    ) -> Result<ConsistencyProof, ReadError> {
        if new > at.head().size {
            return Err(ReadError::Broken(format!("size {new} is not published yet")));
        }
        let plan = ConsistencyProof::plan(old, new)?;
        Ok(ConsistencyProof::build(&plan, &self.shared.nodes(at.edge(), &plan)?)?)
    }
}

impl Shared {
    /// Proves that the tree of `edge` extends the tree of size `old`, and gives the older tree's
    /// head with it. The proof was verified: the store is trusted no further than that.
    ///
    /// # Errors
    /// `old` is 0 or above the tree's size, the store failed, or it holds another tree.
    pub(super) fn prove_extension(
        &self,
        edge: &RightEdge,
        old: TreeSize,
    ) -> Result<(ConsistencyProof, TreeHead), ReadError> {
        let plan = ConsistencyProof::plan(old, edge.size())?;
        let proof = ConsistencyProof::build(&plan, &self.nodes(edge, &plan)?)?;
        let old = self.head_at(edge, old)?;
        proof.verify(&old, &edge.head())?;
        Ok((proof, old))
    }

    /// The head of the tree of `edge` when it had `size` leaves.
    ///
    /// # Errors
    /// The store failed, or lacks a tile.
    pub(super) fn head_at(&self, edge: &RightEdge, size: TreeSize) -> Result<TreeHead, ReadError> {
        head_of(size, |id| self.node(edge, id))
    }

    fn nodes(&self, edge: &RightEdge, plan: &ProofPlan) -> Result<Vec<Hash>, ReadError> {
        plan.nodes().iter().map(|id| self.node(edge, *id)).collect()
    }

    fn node(&self, edge: &RightEdge, id: NodeId) -> Result<Hash, ReadError> {
        if let Some(hash) = edge.node(id) {
            return Ok(hash);
        }
        let (level, index, height, position) = place(id);
        self.full_tile(level, index)?
            .node(height, position)
            .ok_or_else(|| ReadError::Broken(format!("no node {id:?} in its tile")))
    }

    /// A full tile with its inner nodes, from the cache or the store.
    fn full_tile(&self, level: u8, index: u64) -> Result<Arc<TileNodes>, ReadError> {
        if let Some(nodes) = self.tiles.get(&(level, index)) {
            return Ok(nodes);
        }
        let nodes = Arc::new(stored_tile(self.store.as_ref(), level, index)?);
        self.tiles.insert((level, index), Arc::clone(&nodes));
        Ok(nodes)
    }
}

/// The head of a tree of this size, from its peaks.
pub(super) fn head_of<E: From<ReadError>>(
    size: TreeSize,
    node: impl FnMut(NodeId) -> Result<Hash, E>,
) -> Result<TreeHead, E> {
    let nodes = size.peaks().map(node).collect::<Result<Vec<Hash>, E>>()?;
    let range = CompactRange::from_nodes(size, nodes)
        .ok_or_else(|| ReadError::Broken(format!("no compact range of size {size}")))?;
    Ok(TreeHead { size, root_hash: range.root() })
}

/// Reads a full tile that the head says must be there.
pub(super) fn stored_tile(
    store: &dyn Store,
    level: u8,
    index: u64,
) -> Result<TileNodes, ReadError> {
    let bytes = stored_tile_bytes(store, level, index)?;
    match TileNodes::from_bytes(&bytes) {
        Ok(nodes) if u64::from(nodes.width()) == TILE_WIDTH => Ok(nodes),
        _ => Err(ReadError::Broken(format!("full tile {level}/{index} has a wrong length"))),
    }
}

/// The bytes of a full tile that the head says must be there; their length is not checked.
pub(super) fn stored_tile_bytes(
    store: &dyn Store,
    level: u8,
    index: u64,
) -> Result<Vec<u8>, ReadError> {
    let bytes = store.tile(level, index)?;
    bytes.ok_or_else(|| ReadError::Broken(format!("full tile {level}/{index} is missing")))
}

/// Tile level, tile index, height inside the tile and position at that height of a node.
pub(super) fn place(id: NodeId) -> (u8, u64, u8, u64) {
    /// Levels of nodes in one level of tiles: 2^8 = 256.
    const TILE_HEIGHT: u8 = 8;
    let level = id.level / TILE_HEIGHT;
    let height = id.level % TILE_HEIGHT;
    let width = TILE_WIDTH >> height;
    (level, id.index / width, height, id.index % width)
}

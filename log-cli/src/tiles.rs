//! Nodes of a log's tree, read from its tiles and verified against a checkpoint before use.
//!
//! The unfinished tiles at the right edge are verified together: they must make the checkpoint's
//! root. A full tile is verified by its own root, which stands in the tile above it.

use std::collections::HashMap;
use std::sync::Arc;

use log_core::bundle::{BundleError, EntryBundle};
use log_core::hash::{Hash, hash_children, hash_leaf};
use log_core::integrate::{EdgeError, RightEdge};
use log_core::proof::{ConsistencyProof, InclusionProof, ProofError};
use log_core::tile::{BundleId, TILE_WIDTH, TileError, TileId, TileNodes};
use log_core::tree::{LeafIndex, NodeId, TreeHead, TreeSize};

use crate::client::{ClientError, LogClient};

/// Full tiles kept in memory: 16 MiB and less, and more than any proof needs.
const CACHED_TILES_MAX: usize = 1024;

/// Tiles of a log under one checkpoint.
pub struct TileReader<'c> {
    client: &'c LogClient,
    edge: RightEdge,
    full: HashMap<(u8, u64), Arc<TileNodes>>,
}

impl<'c> TileReader<'c> {
    /// Reads the right edge of the tree and verifies it against the checkpoint's head.
    pub fn open(client: &'c LogClient, head: TreeHead) -> Result<Self, TilesError> {
        let mut levels = Vec::new();
        let mut above = head.size.get();
        while above > 0 {
            let width = u16::try_from(above % TILE_WIDTH).expect("invariant: less than 256");
            let level = u8::try_from(levels.len()).expect("invariant: at most 8 levels");
            let tile = TileId::new(level, above / TILE_WIDTH, width);
            levels.push(match tile {
                Some(id) => TileNodes::from_bytes(&client.tile(&id)?)?.hashes().to_vec(),
                None => Vec::new(),
            });
            above /= TILE_WIDTH;
        }
        let edge = RightEdge::rebuild(head.size, levels)?;
        if edge.head() != head {
            return Err(TilesError::Root { size: head.size });
        }
        Ok(Self { client, edge, full: HashMap::new() })
    }

    /// The head that everything is verified against.
    pub fn head(&self) -> TreeHead {
        self.edge.head()
    }

    /// The entry at an index, and the proof that it is there.
    pub fn entry(&mut self, index: LeafIndex) -> Result<(Vec<u8>, InclusionProof), TilesError> {
        let proof = self.inclusion(index)?;
        let entry = self.unproved_entry(index)?;
        proof.verify(&hash_leaf(&entry), index, &self.head())?;
        Ok((entry, proof))
    }

    fn unproved_entry(&self, index: LeafIndex) -> Result<Vec<u8>, TilesError> {
        let size = self.head().size.get();
        let bundle = index.get() / TILE_WIDTH;
        let width = (size - bundle * TILE_WIDTH).min(TILE_WIDTH);
        let width = u16::try_from(width).expect("invariant: at most 256");
        let id = BundleId::new(bundle, width).expect("invariant: the index is below the size");
        let (bytes, width) = self.client.bundle(&id)?;
        let bundle = EntryBundle::parse(&bytes, width)?;
        let position = usize::try_from(index.get() % TILE_WIDTH).expect("invariant: below 256");
        let entry = bundle.entries().nth(position).map(<[u8]>::to_vec);
        Ok(entry.expect("invariant: the bundle reaches beyond the index"))
    }

    /// The inclusion proof of a leaf.
    pub fn inclusion(&mut self, index: LeafIndex) -> Result<InclusionProof, TilesError> {
        let plan = InclusionProof::plan(index, self.head().size)?;
        let nodes = self.nodes(plan.nodes())?;
        Ok(InclusionProof::build(&plan, &nodes)?)
    }

    /// The proof that a tree of the older size is a beginning of this one.
    pub fn consistency(&mut self, old: TreeSize) -> Result<ConsistencyProof, TilesError> {
        let plan = ConsistencyProof::plan(old, self.head().size)?;
        let nodes = self.nodes(plan.nodes())?;
        Ok(ConsistencyProof::build(&plan, &nodes)?)
    }

    /// The root of the tree's first leaves, and the proof that they are its beginning. The size
    /// is at least 1.
    pub fn prefix(&mut self, size: TreeSize) -> Result<(Hash, ConsistencyProof), TilesError> {
        let proof = self.consistency(size)?;
        let peaks: Vec<_> = size.peaks().collect();
        let peaks = self.nodes(&peaks)?;
        let (last, others) = peaks.split_last().expect("invariant: no such proof for size 0");
        let root = others.iter().rev().fold(*last, |right, left| hash_children(left, &right));
        Ok((root, proof))
    }

    fn nodes(&mut self, ids: &[NodeId]) -> Result<Vec<Hash>, TilesError> {
        ids.iter().map(|id| self.node(*id)).collect()
    }

    fn node(&mut self, id: NodeId) -> Result<Hash, TilesError> {
        if let Some(hash) = self.edge.node(id) {
            return Ok(hash);
        }
        let tile = TileId::holding(id, self.head().size);
        let tile = tile.expect("invariant: proofs are made of complete nodes");
        let nodes = self.full_tile(tile.level(), tile.index())?;
        let height = id.level % TILE_HEIGHT;
        let position = id.index % (TILE_WIDTH >> height);
        Ok(nodes.node(height, position).expect("invariant: a full tile holds all its nodes"))
    }

    /// A full tile whose root is the one that the tile above names for it.
    fn full_tile(&mut self, level: u8, index: u64) -> Result<Arc<TileNodes>, TilesError> {
        if let Some(tile) = self.full.get(&(level, index)) {
            return Ok(Arc::clone(tile));
        }
        let expected = self.node(NodeId { level: (level + 1) * TILE_HEIGHT, index })?;
        let id = TileId::full(level, index);
        let nodes = TileNodes::from_bytes(&self.client.tile(&id)?)?;
        if nodes.root() != Some(expected) {
            return Err(TilesError::Tile(id));
        }
        if self.full.len() == CACHED_TILES_MAX {
            self.full.clear();
        }
        let nodes = Arc::new(nodes);
        self.full.insert((level, index), Arc::clone(&nodes));
        Ok(nodes)
    }
}

/// Why nodes could not be read, or are not the log's.
#[derive(Debug, thiserror::Error)]
pub enum TilesError {
    /// They could not be read.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A tile is not made of whole hashes.
    #[error(transparent)]
    Malformed(#[from] TileError),
    /// A bundle does not hold its entries.
    #[error(transparent)]
    Bundle(#[from] BundleError),
    /// The edge has another shape than a tree of that size has.
    #[error(transparent)]
    Edge(#[from] EdgeError),
    /// The tiles at the right edge do not make the root.
    #[error("the tiles of the right edge do not make the root of the checkpoint of size {size}")]
    Root {
        /// The size of the checkpoint.
        size: TreeSize,
    },
    /// A full tile is not the one in the tree.
    #[error("{0} is not the tile in the tree of the checkpoint")]
    Tile(TileId),
    /// There is no such proof, or it fails.
    #[error(transparent)]
    Proof(#[from] ProofError),
}

impl TilesError {
    /// Whether the log is wrong, rather than out of reach. A tile that the checkpoint implies and
    /// the log does not have is the log's fault.
    pub fn is_refutation(&self) -> bool {
        match self {
            Self::Client(error) => {
                matches!(error, ClientError::NotFound { .. } | ClientError::Length)
            }
            _ => true,
        }
    }
}

/// Levels of nodes inside a tile.
const TILE_HEIGHT: u8 = 8;

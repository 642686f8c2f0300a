//! Integrates a batch of leaves into the tree: right edge + leaf hashes -> new head, full tiles,
//! new right edge. The heart of a log, and pure.
//!
//! The right edge holds the nodes of the unfinished tile of each level. A batch hashes only nodes
//! that it completes, O(batch), and the root is folded from cached nodes, O(log n). A tile is
//! given out once, when it fills.

use std::ops::Range;
use std::sync::Arc;

use crate::hash::{Hash, hash_children};
use crate::tile::{TILE_HEIGHT, TILE_WIDTH, TileId, TileNodes, hashes_at};
use crate::tree::{NodeId, TreeHead, TreeSize};

/// The unfinished tiles at the right end of a tree, one a level. Clones share the tiles.
///
/// Invariant: level `l` holds `(size >> 8 * l) % 256` hashes, and there is one level for
/// each byte of `size`, and at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RightEdge {
    head: TreeHead,
    levels: Vec<Arc<TileNodes>>,
}

/// A tile that a batch filled. It never changes again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FullTile {
    /// Where it belongs.
    pub id: TileId,
    /// Its hashes and all nodes above them.
    pub nodes: Arc<TileNodes>,
}

/// What a batch made of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Integrated {
    /// Size and root after the batch.
    pub head: TreeHead,
    /// The right edge after the batch.
    pub edge: RightEdge,
    /// The tiles that the batch filled, in the order in which they filled: each tile of level 0
    /// before the tile of level 1 that it completes, and so on.
    pub full_tiles: Vec<FullTile>,
}

/// What must be read to rebuild a right edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeParts {
    /// Leaves whose leaf hashes are level 0 of the edge; fewer than 256, perhaps none.
    pub leaves: Range<u64>,
    /// For each further level of the edge, from 1 up: the full tiles one level below whose roots
    /// are its hashes; fewer than 256, perhaps none.
    pub tiles: Vec<EdgeTiles>,
}

/// Full tiles of one level whose roots are one level of a right edge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EdgeTiles {
    /// Level of these full tiles: one below the level of the edge that they make.
    pub level: u8,
    /// Their indices.
    pub indices: Range<u64>,
}

/// Why hashes do not make the right edge of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EdgeError {
    /// No log can have grown so far.
    #[error("a tree of size {size} cannot have been grown")]
    TooLarge {
        /// The size asked for.
        size: TreeSize,
    },
    /// The tree has more or fewer levels of tiles.
    #[error("the right edge has {expected} levels, not {got}")]
    Levels {
        /// Levels of tiles in a tree of that size.
        expected: usize,
        /// Levels given.
        got: usize,
    },
    /// A level of the edge holds more or fewer hashes.
    #[error("level {level} of the right edge holds {expected} hashes, not {got}")]
    Width {
        /// The level.
        level: usize,
        /// Hashes that it holds in a tree of that size.
        expected: u64,
        /// Hashes given.
        got: usize,
    },
}

/// Appends leaves, given their leaf hashes, to a tree. O(batch + log n).
///
/// # Panics
/// The tree would have 2^64 leaves.
#[must_use]
pub fn integrate(edge: &RightEdge, leaf_hashes: &[Hash]) -> Integrated {
    let mut edge = edge.clone();
    let full_tiles = edge.append(leaf_hashes);
    Integrated { head: edge.head, edge, full_tiles }
}

impl RightEdge {
    /// The edge of the tree without leaves.
    #[must_use]
    pub fn empty() -> Self {
        Self { head: TreeHead::EMPTY, levels: vec![Arc::default()] }
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        self.head.size
    }

    /// Size and root.
    #[must_use]
    pub const fn head(&self) -> TreeHead {
        self.head
    }

    /// A node, if it lies in an unfinished tile.
    #[must_use]
    pub fn node(&self, id: NodeId) -> Option<Hash> {
        let level = id.level / TILE_HEIGHT;
        let tile = self.levels.get(usize::from(level))?;
        let index = id.index >> (TILE_HEIGHT - id.level % TILE_HEIGHT);
        if index == self.tile_index(level) { tile.tree_node(id) } else { None }
    }

    /// The bytes of an unfinished tile, at most as wide as it is here.
    #[must_use]
    pub fn tile_bytes(&self, id: &TileId) -> Option<Vec<u8>> {
        let tile = self.levels.get(usize::from(id.level()))?;
        let held = id.index() == self.tile_index(id.level()) && id.width() <= tile.width();
        held.then(|| tile.to_bytes(id.width()))
    }

    /// Names what must be read to rebuild the edge of a tree of that size.
    #[must_use]
    pub fn parts(size: TreeSize) -> EdgeParts {
        let unfinished = |level| {
            let hashes = hashes_at(level, size);
            hashes - hashes % TILE_WIDTH..hashes
        };
        let above = 1..level_count(size);
        let tiles = above.map(|level| EdgeTiles { level: level - 1, indices: unfinished(level) });
        EdgeParts { leaves: unfinished(0), tiles: tiles.collect() }
    }

    /// Rebuilds the edge of what [`RightEdge::parts`] named: first the leaf hashes, then the roots
    /// of full tiles, level by level. The caller compares the root with the one it knows. The
    /// empty tree has one empty level, which may be left out.
    ///
    /// # Errors
    /// The size is above [`TreeSize::MAX_SIGNED`], or there are more or fewer levels, or hashes in
    /// one of them, than a tree of that size has.
    pub fn rebuild(size: TreeSize, levels: Vec<Vec<Hash>>) -> Result<Self, EdgeError> {
        if size > TreeSize::MAX_SIGNED {
            return Err(EdgeError::TooLarge { size });
        }
        if size.get() == 0 && levels.is_empty() {
            return Ok(Self::empty());
        }
        let expected = usize::from(level_count(size));
        if levels.len() != expected {
            return Err(EdgeError::Levels { expected, got: levels.len() });
        }
        let mut edge = Self { head: TreeHead { size, ..TreeHead::EMPTY }, levels: Vec::new() };
        for (level, hashes) in (0..).zip(levels) {
            let expected = hashes_at(level, size) % TILE_WIDTH;
            if hashes.len() as u64 != expected {
                let (level, got) = (usize::from(level), hashes.len());
                return Err(EdgeError::Width { level, expected, got });
            }
            let mut tile = TileNodes::new();
            tile.extend(&hashes);
            edge.levels.push(Arc::new(tile));
        }
        edge.head.root_hash = edge.fold_root();
        Ok(edge)
    }

    fn append(&mut self, leaf_hashes: &[Hash]) -> Vec<FullTile> {
        let mut full_tiles = Vec::new();
        let mut rest = leaf_hashes;
        while !rest.is_empty() {
            let taken = self.tile_mut(0).extend(rest);
            rest = &rest[taken..];
            let size = self.head.size.get().checked_add(taken as u64);
            let size = size.expect("invariant: a tree has less than 2^64 leaves");
            self.head.size = TreeSize::new(size);
            self.carry(&mut full_tiles);
        }
        self.head.root_hash = self.fold_root();
        full_tiles
    }

    /// Takes each tile that is full out of the edge and appends its root to the tile above.
    fn carry(&mut self, full_tiles: &mut Vec<FullTile>) {
        let mut level = 0;
        while let Some(root) = self.tile_mut(level).root() {
            let index = hashes_at(level + 1, self.head.size) - 1;
            let nodes = std::mem::take(&mut self.levels[usize::from(level)]);
            full_tiles.push(FullTile { id: TileId::full(level, index), nodes });
            level += 1;
            self.tile_mut(level).push(root);
        }
    }

    /// The tile of a level, made its own if clones share it. The level below must exist.
    fn tile_mut(&mut self, level: u8) -> &mut TileNodes {
        let level = usize::from(level);
        if level == self.levels.len() {
            self.levels.push(Arc::default());
        }
        Arc::make_mut(&mut self.levels[level])
    }

    /// Folds the peaks, which all lie on the edge, from right to left.
    fn fold_root(&self) -> Hash {
        let mut root = None;
        for tile in &self.levels {
            for height in 0..TILE_HEIGHT {
                // The last node of a row that has no sibling.
                let nodes = u64::from(tile.width() >> height);
                if nodes % 2 == 1 {
                    let peak = tile.node(height, nodes - 1);
                    let peak = peak.expect("invariant: a tile holds each node that it completed");
                    root = Some(root.map_or(peak, |right| hash_children(&peak, &right)));
                }
            }
        }
        root.unwrap_or(Hash::EMPTY_ROOT)
    }

    /// Index of the unfinished tile of a level.
    fn tile_index(&self, level: u8) -> u64 {
        hashes_at(level, self.head.size) / TILE_WIDTH
    }
}

/// Levels of tiles in a tree of that size: one for each byte of the size, and at least one.
fn level_count(size: TreeSize) -> u8 {
    (1..8).find(|level| hashes_at(*level, size) == 0).unwrap_or(8)
}

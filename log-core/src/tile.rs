//! Tiles: 256 neighbouring hashes of every eighth level of the tree (C2SP tlog-tiles).
//!
//! In scope: coordinates and their paths, which tile holds which node, the nodes inside a tile.
//! Out of scope: entry bundles' contents (`bundle`), growing a tree of tiles (`integrate`).

use std::fmt;

use crate::hash::{Hash, hash_row};
use crate::tree::{LeafIndex, NodeId, TreeSize, parse_decimal};

/// Hashes in a full tile; entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;

/// Levels of the tree from one level of tiles to the next: 2^8 is [`TILE_WIDTH`].
pub(crate) const TILE_HEIGHT: u8 = 8;
/// Highest level that a path may name (tlog-tiles). Only 0 to 7 exist in trees below 2^64.
const LEVEL_MAX: u8 = 63;
/// [`TILE_WIDTH`] as the number of hashes in the bottom row.
const ROW_LEN: usize = 256;
/// Nodes of a full tile, its own root included: 256 + 128 + ... + 1.
const NODES_LEN: usize = 2 * ROW_LEN - 1;

/// Coordinate of a tile and how many of its hashes are meant. Displayed as its path,
/// `tile/0/x001/067.p/112`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileId {
    level: u8,
    index: u64,
    width: u16,
}

/// Coordinate of an entry bundle and how many of its entries are meant. Displayed as its path,
/// `tile/entries/x001/067.p/112`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BundleId {
    index: u64,
    width: u16,
}

/// All complete nodes inside one tile, which grows from the left.
///
/// Rows lie one after the other, the bottom row first, each with the room that it has in a full
/// tile. What a row does not hold yet is filled with a placeholder that is never given out.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TileNodes {
    width: u16,
    /// Empty as long as the tile is, then `NODES_LEN`.
    nodes: Vec<Hash>,
}

/// Why a path names no tile or bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TilePathError {
    /// The path does not begin with `tile/` and a level, or `tile/entries/`.
    #[error("not a path of this kind")]
    Kind,
    /// The level is not a decimal number from 0 to 63.
    #[error("the level is not a number from 0 to 63")]
    Level,
    /// The index is not in groups of three digits, or does not fit 64 bits.
    #[error("the index is not in groups of three digits")]
    Index,
    /// The width of a partial tile is not a decimal number from 1 to 255.
    #[error("the width is not a number from 1 to 255")]
    Width,
}

/// Why bytes are no tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TileError {
    /// The length is not that of 1 to 256 hashes.
    #[error("{length} bytes are not 1 to 256 hashes")]
    Length {
        /// Length in bytes.
        length: usize,
    },
}

impl TileId {
    /// A tile, full or partial. `None` unless the level is at most 63 and the width 1 to 256.
    #[must_use]
    pub const fn new(level: u8, index: u64, width: u16) -> Option<Self> {
        if level > LEVEL_MAX || !is_width(width) {
            return None;
        }
        Some(Self { level, index, width })
    }

    /// A full tile.
    ///
    /// # Panics
    /// The level is above 63.
    #[must_use]
    pub const fn full(level: u8, index: u64) -> Self {
        assert!(level <= LEVEL_MAX, "a tile's level is at most 63");
        Self { level, index, width: 256 }
    }

    /// Level of the tile: its hashes are nodes of tree level `8 * level`.
    #[must_use]
    pub const fn level(&self) -> u8 {
        self.level
    }

    /// Position in its level, counted from 0.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Number of hashes, 1 to 256.
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Whether all 256 hashes are meant.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.width as u64 == TILE_WIDTH
    }

    /// The tile that holds a complete node, as wide as it is in a tree of that size. `None` if the
    /// node is not complete in it. A node that is a tile's own root is held by the tile above.
    #[must_use]
    pub fn holding(node: NodeId, size: TreeSize) -> Option<Self> {
        if !node.is_complete_in(size) {
            return None;
        }
        let level = node.level / TILE_HEIGHT;
        let index = node.index >> (TILE_HEIGHT - node.level % TILE_HEIGHT);
        let width = width_at(index, hashes_at(level, size))?;
        Some(Self { level, index, width })
    }

    /// Whether a tree of that size has this tile, at least as wide as it is here.
    #[must_use]
    pub fn exists_in(&self, size: TreeSize) -> bool {
        is_within(self.index, self.width, hashes_at(self.level, size))
    }

    /// The last leaf under the tile. `None` if it is beyond 64 bits: no tree has such a tile.
    #[must_use]
    pub fn last_leaf(&self) -> Option<LeafIndex> {
        if !self.exists_in(TreeSize::new(u64::MAX)) {
            return None;
        }
        let end = end_of(self.index, self.width)? << (self.level * TILE_HEIGHT);
        Some(LeafIndex::new(end - 1))
    }

    /// Reads a path without a leading slash. Each tile has exactly one path.
    ///
    /// # Errors
    /// The path is not exactly what `Display` writes for some tile.
    pub fn parse(path: &str) -> Result<Self, TilePathError> {
        let rest = path.strip_prefix("tile/").ok_or(TilePathError::Kind)?;
        let (level, rest) = rest.split_once('/').ok_or(TilePathError::Kind)?;
        let level = parse_decimal(level)
            .and_then(|level| u8::try_from(level).ok())
            .filter(|level| *level <= LEVEL_MAX)
            .ok_or(TilePathError::Level)?;
        let (index, width) = parse_position(rest)?;
        Ok(Self { level, index, width })
    }
}

impl BundleId {
    /// A bundle, full or partial. `None` unless the width is 1 to 256.
    #[must_use]
    pub const fn new(index: u64, width: u16) -> Option<Self> {
        if is_width(width) { Some(Self { index, width }) } else { None }
    }

    /// Position among the bundles, counted from 0.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// Number of entries, 1 to 256.
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Whether all 256 entries are meant.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        self.width as u64 == TILE_WIDTH
    }

    /// The bundle's first entry. `None` if it is beyond 64 bits: no tree has such a bundle.
    #[must_use]
    pub fn first_leaf(&self) -> Option<LeafIndex> {
        self.index.checked_mul(TILE_WIDTH).map(LeafIndex::new)
    }

    /// Whether a tree of that size has this bundle, at least as wide as it is here.
    #[must_use]
    pub fn exists_in(&self, size: TreeSize) -> bool {
        is_within(self.index, self.width, size.get())
    }

    /// Reads a path without a leading slash. Each bundle has exactly one path.
    ///
    /// # Errors
    /// The path is not exactly what `Display` writes for some bundle.
    pub fn parse(path: &str) -> Result<Self, TilePathError> {
        let rest = path.strip_prefix("tile/entries/").ok_or(TilePathError::Kind)?;
        let (index, width) = parse_position(rest)?;
        Ok(Self { index, width })
    }
}

impl TileNodes {
    /// A tile without hashes.
    #[must_use]
    pub const fn new() -> Self {
        Self { width: 0, nodes: Vec::new() }
    }

    /// Appends a hash to the bottom row, and the inner nodes that it completes.
    ///
    /// # Panics
    /// The tile is full.
    pub fn push(&mut self, hash: Hash) {
        assert_eq!(self.extend(&[hash]), 1, "a full tile takes no more hashes");
    }

    /// Appends as many hashes as fit, and the inner nodes that they complete. Gives the number
    /// of hashes taken. No node is ever hashed twice.
    pub fn extend(&mut self, hashes: &[Hash]) -> usize {
        let before = usize::from(self.width);
        let taken = hashes.len().min(ROW_LEN - before);
        if taken == 0 {
            return 0;
        }
        if self.nodes.is_empty() {
            self.nodes = vec![Hash::EMPTY_ROOT; NODES_LEN];
        }
        self.nodes[before..before + taken].copy_from_slice(&hashes[..taken]);
        let (mut first, mut end) = (before, before + taken);
        self.width = u16::try_from(end).expect("invariant: a tile holds at most 256 hashes");
        for height in 0..TILE_HEIGHT {
            // Pairs that were complete before, and that are now.
            (first, end) = (first / 2, end / 2);
            if first == end {
                break;
            }
            let (below, above) = self.nodes.split_at_mut(row_start(height + 1));
            let row = row_start(height);
            hash_row(&below[row + 2 * first..row + 2 * end], &mut above[first..end]);
        }
        taken
    }

    /// Number of hashes in the bottom row, 0 to 256.
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// The bottom row: the tile's contents on the wire.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.nodes[..usize::from(self.width)]
    }

    /// A node inside the tile, `height` levels above the bottom row (0 to 8). `None` if it is
    /// not complete or there is none.
    #[must_use]
    pub fn node(&self, height: u8, position: u64) -> Option<Hash> {
        if height > TILE_HEIGHT || position >= u64::from(self.width >> height) {
            return None;
        }
        let position = usize::try_from(position).ok()?;
        self.nodes.get(row_start(height) + position).copied()
    }

    /// The node with that coordinate in the tree, given that this is the tile that holds it, as
    /// [`TileId::holding`] says. `None` if it is not complete.
    #[must_use]
    pub fn tree_node(&self, id: NodeId) -> Option<Hash> {
        let height = id.level % TILE_HEIGHT;
        self.node(height, id.index % (1 << (TILE_HEIGHT - height)))
    }

    /// The hash over the whole tile, once it is full: a hash of the tile above.
    #[must_use]
    pub fn root(&self) -> Option<Hash> {
        self.node(TILE_HEIGHT, 0)
    }

    /// The first `width` hashes as they are stored and sent.
    ///
    /// # Panics
    /// The tile does not hold so many.
    #[must_use]
    pub fn to_bytes(&self, width: u16) -> Vec<u8> {
        let hashes = &self.hashes()[..usize::from(width)];
        let mut bytes = Vec::with_capacity(hashes.len() * Hash::LEN);
        for hash in hashes {
            bytes.extend_from_slice(hash.as_bytes());
        }
        bytes
    }

    /// Reads a stored or received tile, and hashes its inner nodes.
    ///
    /// # Errors
    /// The length is not that of 1 to 256 hashes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TileError> {
        let (hashes, rest) = bytes.as_chunks::<{ Hash::LEN }>();
        if hashes.is_empty() || hashes.len() > ROW_LEN || !rest.is_empty() {
            return Err(TileError::Length { length: bytes.len() });
        }
        let hashes: Vec<Hash> = hashes.iter().map(|hash| Hash::from_bytes(*hash)).collect();
        let mut tile = Self::new();
        tile.extend(&hashes);
        Ok(tile)
    }
}

impl fmt::Display for TileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/", self.level)?;
        write_position(f, self.index, self.width)
    }
}

impl fmt::Display for BundleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tile/entries/")?;
        write_position(f, self.index, self.width)
    }
}

impl fmt::Debug for TileNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TileNodes").field("width", &self.width).finish_non_exhaustive()
    }
}

/// Number of hashes that the tiles of one level hold together in a tree of that size.
pub(crate) fn hashes_at(level: u8, size: TreeSize) -> u64 {
    let shift = u32::from(level) * u32::from(TILE_HEIGHT);
    size.get().checked_shr(shift).unwrap_or(0)
}

/// Where a row begins in `TileNodes::nodes`: below it lie 256 + 128 + ... hashes.
const fn row_start(height: u8) -> usize {
    2 * ROW_LEN - ((2 * ROW_LEN) >> height)
}

const fn is_width(width: u16) -> bool {
    1 <= width && width as u64 <= TILE_WIDTH
}

/// Width of the tile with that index when its level holds so many hashes; `None` if empty.
fn width_at(index: u64, hashes: u64) -> Option<u16> {
    let held = hashes.checked_sub(index.checked_mul(TILE_WIDTH)?)?.min(TILE_WIDTH);
    u16::try_from(held).ok().filter(|width| *width > 0)
}

/// Whether a level with so many hashes has the first `width` of the tile with that index.
fn is_within(index: u64, width: u16, hashes: u64) -> bool {
    end_of(index, width).is_some_and(|end| end <= hashes)
}

fn end_of(index: u64, width: u16) -> Option<u64> {
    index.checked_mul(TILE_WIDTH)?.checked_add(u64::from(width))
}

/// Writes `x001/x234/067`, and `.p/W` for what is not full.
fn write_position(f: &mut fmt::Formatter<'_>, index: u64, width: u16) -> fmt::Result {
    // 2^64 has 20 digits: seven groups.
    for group in (1..7).rev() {
        let before = index / 1000u64.pow(group);
        if before > 0 {
            write!(f, "x{:03}/", before % 1000)?;
        }
    }
    write!(f, "{:03}", index % 1000)?;
    if u64::from(width) < TILE_WIDTH { write!(f, ".p/{width}") } else { Ok(()) }
}

/// Reads what `write_position` writes, and nothing else.
fn parse_position(text: &str) -> Result<(u64, u16), TilePathError> {
    let (groups, width) = match text.split_once(".p/") {
        None => (text, 256),
        Some((groups, width)) => {
            let width = parse_decimal(width).and_then(|width| u16::try_from(width).ok());
            let partial = width.filter(|width| (1..256).contains(width));
            (groups, partial.ok_or(TilePathError::Width)?)
        }
    };
    let index = parse_groups(groups).ok_or(TilePathError::Index)?;
    Ok((index, width))
}

fn parse_groups(text: &str) -> Option<u64> {
    let (before, last) = match text.rsplit_once('/') {
        Some((before, last)) => (Some(before), last),
        None => (None, text),
    };
    let mut index = 0u64;
    for group in before.into_iter().flat_map(|before| before.split('/')) {
        // A leading group of zeros would be a second path of the same tile.
        let group =
            parse_group(group.strip_prefix('x')?).filter(|group| index > 0 || *group > 0)?;
        index = index.checked_mul(1000)?.checked_add(group)?;
    }
    index.checked_mul(1000)?.checked_add(parse_group(last)?)
}

fn parse_group(digits: &str) -> Option<u64> {
    let three = digits.len() == 3 && digits.bytes().all(|byte| byte.is_ascii_digit());
    if three { digits.parse().ok() } else { None }
}

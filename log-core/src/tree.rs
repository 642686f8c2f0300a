//! Positions in a Merkle tree: sizes, leaf indices and node coordinates. Arithmetic only.
//!
//! Everything here is total: any `u64` is a valid argument, also sizes that no log can reach but
//! that a signed checkpoint can name.

use std::fmt;

use crate::hash::Hash;

/// Position of a leaf, counted from 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeafIndex(u64);

/// Number of leaves of a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TreeSize(u64);

/// Coordinate of a node. It covers the leaves from `index << level` up to, but not including,
/// `(index + 1) << level`; level 0 holds the leaf hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId {
    /// Height above the leaves, 0 to 63 for nodes that exist in some tree.
    pub level: u8,
    /// Position in its level, counted from 0.
    pub index: u64,
}

/// What a log states about its tree: so many leaves, and this root over them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TreeHead {
    /// Number of leaves.
    pub size: TreeSize,
    /// Merkle tree hash over all of them (RFC 6962, section 2.1).
    pub root_hash: Hash,
}

impl LeafIndex {
    /// Wraps a position.
    #[must_use]
    pub const fn new(index: u64) -> Self {
        Self(index)
    }

    /// The position as a number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Reads decimal digits without sign or leading zeros, within `u64`.
    #[must_use]
    pub fn parse_decimal(text: &str) -> Option<Self> {
        parse_decimal(text).map(Self)
    }
}

impl TreeSize {
    /// Largest size that fits a signed 64-bit integer, as many other implementations hold it.
    pub const MAX_SIGNED: Self = Self(i64::MAX as u64);

    /// Wraps a number of leaves.
    #[must_use]
    pub const fn new(size: u64) -> Self {
        Self(size)
    }

    /// The number of leaves.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// Reads decimal digits without sign or leading zeros, within `u64`.
    #[must_use]
    pub fn parse_decimal(text: &str) -> Option<Self> {
        parse_decimal(text).map(Self)
    }

    /// Whether a tree of this size has the leaf.
    #[must_use]
    pub const fn contains(self, index: LeafIndex) -> bool {
        index.0 < self.0
    }

    /// The fewest complete nodes that cover a tree of this size, from left to right, which is
    /// from the largest to the smallest. The root is their fold from right to left.
    pub fn peaks(self) -> impl Iterator<Item = NodeId> {
        let size = self.0;
        (0..64u8)
            .rev()
            .filter(move |level| size >> level & 1 == 1)
            .map(move |level| NodeId { level, index: (size >> level) - 1 })
    }
}

impl NodeId {
    /// The node that is the hash of one leaf.
    #[must_use]
    pub const fn leaf(index: LeafIndex) -> Self {
        Self { level: 0, index: index.0 }
    }

    /// Whether every leaf under this node is in a tree of that size, so that its hash is final.
    #[must_use]
    pub fn is_complete_in(self, size: TreeSize) -> bool {
        let complete = size.0.checked_shr(u32::from(self.level)).unwrap_or(0);
        self.index < complete
    }
}

impl TreeHead {
    /// The tree without leaves.
    pub const EMPTY: Self = Self { size: TreeSize(0), root_hash: Hash::EMPTY_ROOT };
}

impl fmt::Display for LeafIndex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for TreeSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Reads the one decimal form of a number: digits only, no leading zero, within `u64`.
pub(crate) fn parse_decimal(text: &str) -> Option<u64> {
    let canonical = text == "0" || !text.starts_with('0');
    // `u64::from_str` would also take a plus sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    if canonical && digits { text.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(level: u8, index: u64) -> NodeId {
        NodeId { level, index }
    }

    #[test]
    fn decimals_have_one_form() {
        for (text, value) in [("0", 0), ("1", 1), ("10", 10), ("18446744073709551615", u64::MAX)] {
            assert_eq!(TreeSize::parse_decimal(text), Some(TreeSize::new(value)));
            assert_eq!(LeafIndex::parse_decimal(text), Some(LeafIndex::new(value)));
            assert_eq!(TreeSize::new(value).to_string(), text);
        }
        for text in
            ["", "00", "01", "+1", "-1", "0x1", " 1", "1 ", "1\n", "18446744073709551616", "١"]
        {
            assert_eq!(TreeSize::parse_decimal(text), None, "{text:?}");
            assert_eq!(LeafIndex::parse_decimal(text), None, "{text:?}");
        }
    }

    #[test]
    fn peaks_are_the_set_bits_from_left_to_right() {
        let peaks = |size| TreeSize::new(size).peaks().collect::<Vec<_>>();
        assert_eq!(peaks(0), []);
        assert_eq!(peaks(1), [node(0, 0)]);
        assert_eq!(peaks(7), [node(2, 0), node(1, 2), node(0, 6)]);
        assert_eq!(peaks(8), [node(3, 0)]);
        assert_eq!(peaks(u64::MAX).len(), 64);
        assert_eq!(peaks(u64::MAX)[0], node(63, 0));
        assert_eq!(peaks(u64::MAX)[63], node(0, u64::MAX - 1));
        assert_eq!(peaks(1 << 63), [node(63, 0)]);
    }

    #[test]
    fn a_node_is_complete_once_its_last_leaf_is_there() {
        assert!(node(2, 1).is_complete_in(TreeSize::new(8)));
        assert!(!node(2, 1).is_complete_in(TreeSize::new(7)));
        assert!(!node(0, 0).is_complete_in(TreeSize::new(0)));
        assert!(node(63, 0).is_complete_in(TreeSize::new(u64::MAX)));
        assert!(!node(63, 1).is_complete_in(TreeSize::new(u64::MAX)));
        for level in [64, 65, 255] {
            assert!(!node(level, 0).is_complete_in(TreeSize::new(u64::MAX)));
        }
        assert!(!node(0, u64::MAX).is_complete_in(TreeSize::new(u64::MAX)));
    }

    #[test]
    fn a_tree_holds_the_indices_below_its_size() {
        assert!(!TreeSize::new(0).contains(LeafIndex::new(0)));
        assert!(TreeSize::new(5).contains(LeafIndex::new(4)));
        assert!(!TreeSize::new(5).contains(LeafIndex::new(5)));
    }
}

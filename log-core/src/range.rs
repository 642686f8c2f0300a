//! The compact range: the fewest hashes from which a tree can go on growing (RFC 6962, 2.1).
//!
//! This is all a verifier needs to recompute a root from a stream of leaves. A log also keeps
//! the nodes of its unfinished tiles: `integrate`.

use crate::hash::{Hash, hash_children};
use crate::proof::fold_right;
use crate::tree::TreeSize;

/// The hashes of the peaks of a growing tree: one for each set bit of its size.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CompactRange {
    size: TreeSize,
    nodes: Vec<Hash>,
}

impl CompactRange {
    /// The range of the empty tree.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: TreeSize::new(0), nodes: Vec::new() }
    }

    /// Takes the hashes of the peaks, largest first. `None` unless there is one for each set bit
    /// of `size`, and for sizes above [`TreeSize::MAX_SIGNED`], which cannot have been reached.
    #[must_use]
    pub fn from_nodes(size: TreeSize, nodes: Vec<Hash>) -> Option<Self> {
        let fits = size <= TreeSize::MAX_SIGNED && nodes.len() == size.peaks().count();
        fits.then_some(Self { size, nodes })
    }

    /// Appends a leaf, given its leaf hash.
    pub fn append(&mut self, leaf_hash: Hash) {
        let size = self.size.get();
        let mut node = leaf_hash;
        // Each trailing set bit is a peak of the size that the new node has by now.
        for _ in 0..size.trailing_ones() {
            let left = self.nodes.pop().expect("invariant: one node for each set bit of the size");
            node = hash_children(&left, &node);
        }
        self.nodes.push(node);
        self.size = TreeSize::new(size + 1);
    }

    /// Number of leaves.
    #[must_use]
    pub const fn size(&self) -> TreeSize {
        self.size
    }

    /// Merkle tree hash over all leaves.
    #[must_use]
    pub fn root(&self) -> Hash {
        fold_right(&self.nodes).unwrap_or(Hash::EMPTY_ROOT)
    }

    /// The hashes of [`TreeSize::peaks`], largest first.
    #[must_use]
    pub fn nodes(&self) -> &[Hash] {
        &self.nodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_taken_up_from_its_nodes() {
        let mut range = CompactRange::new();
        for i in 0..11u8 {
            range.append(Hash::from_bytes([i; 32]));
        }
        let mut taken_up = CompactRange::from_nodes(range.size(), range.nodes().to_vec())
            .expect("three nodes for 0b1011");
        taken_up.append(Hash::EMPTY_ROOT);
        range.append(Hash::EMPTY_ROOT);
        assert_eq!(taken_up.root(), range.root());
        assert_eq!(taken_up, range);
    }

    #[test]
    fn another_number_of_nodes_than_peaks_is_refused() {
        let nodes = |count| vec![Hash::EMPTY_ROOT; count];
        for (size, count) in [(0, 1), (1, 0), (3, 1), (3, 3), (u64::MAX, 64), (1 << 63, 1)] {
            assert_eq!(CompactRange::from_nodes(TreeSize::new(size), nodes(count)), None);
        }
        assert!(CompactRange::from_nodes(TreeSize::MAX_SIGNED, nodes(63)).is_some());
    }

    #[test]
    fn the_largest_range_can_grow() {
        let nodes = vec![Hash::EMPTY_ROOT; 63];
        let mut range = CompactRange::from_nodes(TreeSize::MAX_SIGNED, nodes).expect("63 nodes");
        range.append(Hash::EMPTY_ROOT);
        assert_eq!((range.size(), range.nodes().len()), (TreeSize::new(1 << 63), 1));
        range.append(Hash::EMPTY_ROOT);
        assert_eq!(range.nodes().len(), 2);
    }
}

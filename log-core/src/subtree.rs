//! Subtrees: ranges of leaves that hang together in every tree that holds them, and proofs that
//! such a range is part of a tree (draft-ietf-plants-merkle-tree-certs, section 4).
//!
//! In scope: which ranges are subtrees, the cover of any range by two of them, verification.
//! The consistency proof of RFC 9162 is the special case that starts at leaf 0.

use crate::hash::{Hash, hash_children};
use crate::proof::ProofError;
use crate::tree::{TreeHead, TreeSize};

/// Leaves from `start` up to, but not including, `end`, where `start` is a multiple of the
/// smallest power of two that is not less than their number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subtree {
    start: u64,
    end: u64,
}

/// That a subtree's hash is consistent with a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubtreeProof {
    hashes: Vec<Hash>,
}

impl Subtree {
    /// Takes a range if it is a subtree. Empty ranges are, and so is every range from leaf 0.
    #[must_use]
    pub const fn new(start: u64, end: u64) -> Option<Self> {
        if start > end {
            return None;
        }
        let aligned = match (end - start).checked_next_power_of_two() {
            Some(width) => start.is_multiple_of(width),
            // More than 2^63 leaves: the next power of two is 2^64.
            None => start == 0,
        };
        if aligned { Some(Self { start, end }) } else { None }
    }

    /// First leaf.
    #[must_use]
    pub const fn start(self) -> u64 {
        self.start
    }

    /// One past the last leaf.
    #[must_use]
    pub const fn end(self) -> u64 {
        self.end
    }

    /// Covers a range of leaves by two subtrees. The left one may begin before the range; the
    /// right one is empty if the range has at most one leaf. `None` if `start` is beyond `end`.
    #[must_use]
    pub fn cover(start: u64, end: u64) -> Option<[Self; 2]> {
        if start > end {
            return None;
        }
        if end - start <= 1 {
            return Some([Self { start, end }, Self { start: end, end }]);
        }
        let last = end - 1;
        // The highest bit in which the first and the last leaf differ: between them, all leaves
        // of the right half begin at a multiple of 2^split.
        let split = (start ^ last).ilog2();
        let mask = (1 << split) - 1;
        let middle = last & !mask;
        let left_bits = u64::BITS - (!start & mask).leading_zeros();
        let left_start = start & !((1 << left_bits) - 1);
        Some([Self { start: left_start, end: middle }, Self { start: middle, end }])
    }
}

impl SubtreeProof {
    /// Takes a proof that came from elsewhere; `verify` judges it.
    #[must_use]
    pub const fn from_hashes(hashes: Vec<Hash>) -> Self {
        Self { hashes }
    }

    /// The hashes in the order of the draft.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Checks that the leaves of `subtree` in the tree have the hash `node_hash`. The empty
    /// subtree has the hash of the empty tree and needs the empty proof.
    ///
    /// # Errors
    /// The subtree ends beyond the tree, the proof is too short or too long, or it leads to
    /// another root or another subtree hash.
    pub fn verify(
        &self,
        subtree: Subtree,
        node_hash: &Hash,
        head: &TreeHead,
    ) -> Result<(), ProofError> {
        let Subtree { start, end } = subtree;
        let wrong_length = ProofError::WrongLength { hashes: self.hashes.len() };
        if end > head.size.get() {
            return Err(ProofError::OldBeyondNew { old: TreeSize::new(end), new: head.size });
        }
        if start == end {
            return match (self.hashes.is_empty(), *node_hash == Hash::EMPTY_ROOT) {
                (false, _) => Err(wrong_length),
                (true, false) => Err(ProofError::OldRootMismatch),
                (true, true) => Ok(()),
            };
        }
        let size = head.size.get();
        let Some((subtree_hash, root)) = reconstruct(start, end, size, &self.hashes, node_hash)
        else {
            return Err(wrong_length);
        };
        if subtree_hash != *node_hash {
            return Err(ProofError::OldRootMismatch);
        }
        if root == head.root_hash { Ok(()) } else { Err(ProofError::RootMismatch) }
    }
}

/// Follows a consistency proof and gives the two hashes it leads to: that of the subtree and
/// the root of the tree. `None` if the proof is too short or too long.
///
/// The range must be a subtree that is not empty and that ends within `size`.
pub(crate) fn reconstruct(
    start: u64,
    end: u64,
    size: u64,
    proof: &[Hash],
    node_hash: &Hash,
) -> Option<(Hash, Hash)> {
    let mut at = Climb { first: start, node: end.checked_sub(1)?, last: size.checked_sub(1)? };
    // Up to the largest complete node that ends where the subtree ends. If the subtree ends with
    // the tree, that is the subtree itself.
    while at.first != at.node && (at.node == at.last || at.node & 1 == 1) {
        at.up();
    }
    let (mut subtree, rest) = if at.first == at.node {
        (*node_hash, proof)
    } else {
        let (first, rest) = proof.split_first()?;
        (*first, rest)
    };
    let mut root = subtree;
    for hash in rest {
        if at.last == 0 {
            return None;
        }
        if at.node & 1 == 1 || at.node == at.last {
            if at.first < at.node {
                subtree = hash_children(hash, &subtree);
            }
            root = hash_children(hash, &root);
            // Levels on which this node is the last one and has no sibling. Ends: `last` is not
            // 0, so an even `node` equals it and is not 0 either.
            while at.node & 1 == 0 {
                at.up();
            }
        } else {
            root = hash_children(&root, hash);
        }
        at.up();
    }
    (at.last == 0).then_some((subtree, root))
}

/// Positions on one level of the tree, on the way up.
struct Climb {
    /// The subtree's first node.
    first: u64,
    /// The subtree's last node: the one whose hash is known.
    node: u64,
    /// The tree's last node.
    last: u64,
}

impl Climb {
    const fn up(&mut self) {
        self.first >>= 1;
        self.node >>= 1;
        self.last >>= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_that_are_no_subtrees_are_refused() {
        assert_eq!(Subtree::new(3, 2), None);
        assert_eq!(Subtree::new(1, 3), None);
        assert_eq!(Subtree::new(1, u64::MAX), None);
        assert_eq!(Subtree::new(1 << 62, (1 << 63) + 1), None);
        assert_eq!(Subtree::cover(3, 2), None);
    }

    #[test]
    fn the_widest_ranges_are_judged_without_overflow() {
        for (start, end) in [
            (0, u64::MAX),
            (0, (1 << 63) + 1),
            (u64::MAX, u64::MAX),
            (1 << 63, u64::MAX),
            (u64::MAX - 1, u64::MAX),
        ] {
            let subtree = Subtree::new(start, end).expect("a subtree");
            assert_eq!((subtree.start(), subtree.end()), (start, end));
        }
    }
}

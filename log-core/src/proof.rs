//! Inclusion and consistency proofs: RFC 9162, sections 2.1.3 and 2.1.4 (as RFC 6962, 2.1.1-2).
//!
//! Making a proof has two pure halves. `plan` names the nodes that are wanted, the caller fetches
//! them wherever they are, `build` turns them into the proof. `verify` needs nothing but the proof.

use std::ops::Range;

use crate::hash::{Hash, hash_children};
use crate::subtree::reconstruct;
use crate::tree::{LeafIndex, NodeId, TreeHead, TreeSize};

/// Which nodes a proof is made of.
///
/// A path through the tree has at most one element that is not a complete node: the ragged right
/// end of the tree. It is the fold, from right to left, of the complete nodes `ragged`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProofPlan {
    nodes: Vec<NodeId>,
    /// Range of `nodes` that become one hash; empty when every element is a complete node.
    ragged: Range<usize>,
}

/// That a leaf is in a tree: the hashes beside the way from the leaf to the root.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InclusionProof {
    hashes: Vec<Hash>,
}

/// That a tree begins with all leaves of an older one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsistencyProof {
    hashes: Vec<Hash>,
}

/// Why a proof cannot exist, cannot be built or does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// There is no such leaf in a tree of that size.
    #[error("leaf {index} is not in a tree of size {size}")]
    IndexBeyondTree {
        /// The leaf asked for.
        index: LeafIndex,
        /// The size of the tree.
        size: TreeSize,
    },
    /// Nothing can be proven against the empty tree: every tree is consistent with it.
    #[error("a consistency proof from size 0 proves nothing")]
    OldSizeZero,
    /// The tree that should be the older one, or the subtree, has leaves that the tree lacks.
    #[error("size {old} is beyond size {new}")]
    OldBeyondNew {
        /// The older size, or the end of the subtree.
        old: TreeSize,
        /// The size of the tree.
        new: TreeSize,
    },
    /// `build` was given another number of hashes than the plan has nodes.
    #[error("the proof is built of {expected} nodes, not {got}")]
    WrongNodeCount {
        /// Nodes in the plan.
        expected: usize,
        /// Hashes given.
        got: usize,
    },
    /// The proof has too few or too many hashes for these sizes.
    #[error("{hashes} hashes are not the length of this proof")]
    WrongLength {
        /// Hashes in the proof.
        hashes: usize,
    },
    /// The proof does not lead to the root of the tree.
    #[error("the proof does not lead to the root of the tree")]
    RootMismatch,
    /// The proof does not lead to the root of the older tree, or of the subtree.
    #[error("the proof does not lead to the root of the older tree")]
    OldRootMismatch,
}

impl ProofPlan {
    /// The wanted nodes, in the order in which `build` takes their hashes. All are complete in
    /// the tree, so that each lies in exactly one tile.
    #[must_use]
    pub fn nodes(&self) -> &[NodeId] {
        &self.nodes
    }

    const fn empty() -> Self {
        Self { nodes: Vec::new(), ragged: 0..0 }
    }

    /// Adds what lies beside the way from a complete node up to the root.
    fn add_path(&mut self, from: NodeId, size: TreeSize) {
        let NodeId { mut level, mut index } = from;
        // The last node of the level, complete or not.
        let mut last = size.get().saturating_sub(1) >> level;
        while last > 0 {
            let sibling = NodeId { level, index: index ^ 1 };
            if sibling.is_complete_in(size) {
                self.nodes.push(sibling);
            } else if sibling.index == last {
                let start = self.nodes.len();
                self.nodes.extend(size.peaks().filter(|peak| peak.level < level));
                self.ragged = start..self.nodes.len();
            }
            index >>= 1;
            last >>= 1;
            level += 1;
        }
    }

    fn build(&self, nodes: &[Hash]) -> Result<Vec<Hash>, ProofError> {
        if nodes.len() != self.nodes.len() {
            let (expected, got) = (self.nodes.len(), nodes.len());
            return Err(ProofError::WrongNodeCount { expected, got });
        }
        let (head, tail) = nodes.split_at(self.ragged.end);
        let (head, ragged) = head.split_at(self.ragged.start);
        let mut hashes = Vec::with_capacity(head.len() + 1 + tail.len());
        hashes.extend_from_slice(head);
        hashes.extend(fold_right(ragged));
        hashes.extend_from_slice(tail);
        Ok(hashes)
    }
}

impl InclusionProof {
    /// Names the nodes that prove the leaf in a tree of that size.
    ///
    /// # Errors
    /// The leaf is not in the tree.
    pub fn plan(index: LeafIndex, size: TreeSize) -> Result<ProofPlan, ProofError> {
        if !size.contains(index) {
            return Err(ProofError::IndexBeyondTree { index, size });
        }
        let mut plan = ProofPlan::empty();
        plan.add_path(NodeId::leaf(index), size);
        Ok(plan)
    }

    /// Makes the proof of the hashes of the plan's nodes, in the plan's order.
    ///
    /// # Errors
    /// There are more or fewer hashes than nodes. Wrong hashes are not noticed here.
    pub fn build(plan: &ProofPlan, nodes: &[Hash]) -> Result<Self, ProofError> {
        plan.build(nodes).map(Self::from_hashes)
    }

    /// Takes a proof that came from elsewhere; `verify` judges it.
    #[must_use]
    pub const fn from_hashes(hashes: Vec<Hash>) -> Self {
        Self { hashes }
    }

    /// The hashes, from the leaf up.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// Checks that the leaf with that hash has that index in the tree (RFC 9162, 2.1.3.2).
    ///
    /// # Errors
    /// The index is not in the tree, the proof is too short or too long, or the root differs.
    pub fn verify(
        &self,
        leaf_hash: &Hash,
        index: LeafIndex,
        head: &TreeHead,
    ) -> Result<(), ProofError> {
        if !head.size.contains(index) {
            return Err(ProofError::IndexBeyondTree { index, size: head.size });
        }
        let wrong_length = ProofError::WrongLength { hashes: self.hashes.len() };
        let (mut node, mut last) = (index.get(), head.size.get() - 1);
        let mut root = *leaf_hash;
        for hash in &self.hashes {
            if last == 0 {
                return Err(wrong_length);
            }
            if node & 1 == 1 || node == last {
                root = hash_children(hash, &root);
                // Levels on which this node is the last one and has no sibling.
                while node & 1 == 0 && node != 0 {
                    node >>= 1;
                    last >>= 1;
                }
            } else {
                root = hash_children(&root, hash);
            }
            node >>= 1;
            last >>= 1;
        }
        if last != 0 {
            return Err(wrong_length);
        }
        if root == head.root_hash { Ok(()) } else { Err(ProofError::RootMismatch) }
    }
}

impl ConsistencyProof {
    /// Names the nodes that prove the older tree to be the beginning of the newer one. Equal
    /// sizes need none.
    ///
    /// # Errors
    /// The older size is 0, or beyond the newer one.
    pub fn plan(old: TreeSize, new: TreeSize) -> Result<ProofPlan, ProofError> {
        check_sizes(old, new)?;
        let mut plan = ProofPlan::empty();
        if old == new {
            return Ok(plan);
        }
        // The last complete node of the older tree: its path leads through both trees.
        let old = old.get();
        let from = old.trailing_zeros();
        let level = u8::try_from(from).expect("invariant: a u64 has at most 64 trailing zeros");
        let node = NodeId { level, index: (old >> from) - 1 };
        if !old.is_power_of_two() {
            plan.nodes.push(node);
        }
        plan.add_path(node, new);
        Ok(plan)
    }

    /// Makes the proof of the hashes of the plan's nodes, in the plan's order.
    ///
    /// # Errors
    /// There are more or fewer hashes than nodes. Wrong hashes are not noticed here.
    pub fn build(plan: &ProofPlan, nodes: &[Hash]) -> Result<Self, ProofError> {
        plan.build(nodes).map(Self::from_hashes)
    }

    /// Takes a proof that came from elsewhere; `verify` judges it.
    #[must_use]
    pub const fn from_hashes(hashes: Vec<Hash>) -> Self {
        Self { hashes }
    }

    /// The hashes in the order of the RFC.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }

    /// The two roots that the proof leads to: that of the older tree and that of the newer one
    /// (RFC 9162, 2.1.4.2, with both results kept). `None` if there is no proof of this length
    /// between these sizes, or the older size is 0 or beyond the newer one.
    ///
    /// If the older size is a power of two the proof does not contain the older root, and both
    /// results are built on `old_root`, which then is the first one. Otherwise `old_root` is not
    /// used, so that a proof which reaches the newer root tells what the newer tree begins with.
    /// Equal sizes and an empty proof give `old_root` twice.
    #[must_use]
    pub fn reconstruct(
        &self,
        old: TreeSize,
        new: TreeSize,
        old_root: &Hash,
    ) -> Option<(Hash, Hash)> {
        check_sizes(old, new).ok()?;
        reconstruct(0, old.get(), new.get(), &self.hashes, old_root)
    }

    /// Checks that the newer tree begins with the older one (RFC 9162, 2.1.4.2).
    ///
    /// # Errors
    /// The older size is 0 or beyond the newer one, the proof is too short or too long, or one
    /// of the roots differs. Trees of equal size need the empty proof and equal roots.
    pub fn verify(&self, old: &TreeHead, new: &TreeHead) -> Result<(), ProofError> {
        check_sizes(old.size, new.size)?;
        let roots = self.reconstruct(old.size, new.size, &old.root_hash);
        let Some((old_root, new_root)) = roots else {
            return Err(ProofError::WrongLength { hashes: self.hashes.len() });
        };
        if old_root != old.root_hash {
            return Err(ProofError::OldRootMismatch);
        }
        if new_root == new.root_hash { Ok(()) } else { Err(ProofError::RootMismatch) }
    }
}

/// Folds neighbouring nodes, given from left to right, into the hash over all of them; `None`
/// when there are none.
pub(crate) fn fold_right(nodes: &[Hash]) -> Option<Hash> {
    let (last, rest) = nodes.split_last()?;
    Some(rest.iter().rev().fold(*last, |right, left| hash_children(left, &right)))
}

fn check_sizes(old: TreeSize, new: TreeSize) -> Result<(), ProofError> {
    if old > new {
        return Err(ProofError::OldBeyondNew { old, new });
    }
    if old.get() == 0 {
        return Err(ProofError::OldSizeZero);
    }
    Ok(())
}

//! A slow Merkle tree, written from the recursive text of RFC 6962, section 2.1, and of
//! draft-ietf-plants-merkle-tree-certs, section 4. The fast code is compared with it.
//!
//! All leaves have the same hash except those that are marked. A range without marked leaves has
//! the same hash wherever it lies, so trees of any size that fits 64 bits have a root.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};

use log_core::hash::{Hash, hash_children, hash_leaf};
use log_core::{NodeId, TreeHead, TreeSize};

/// An endless row of leaves D[0], D[1], ... of which each tree takes the first few.
pub(crate) struct ReferenceTree {
    marked: BTreeMap<u64, Hash>,
    plain: Hash,
    /// Hashes of ranges that were computed before.
    known: RefCell<HashMap<(u64, u64), Hash>>,
}

impl ReferenceTree {
    /// Leaves that all differ, as far as the given hashes go.
    pub(crate) fn of(leaf_hashes: &[Hash]) -> Self {
        Self::sparse((0..).zip(leaf_hashes.iter().copied()))
    }

    /// Equal leaves except for the given ones.
    pub(crate) fn sparse(marked: impl IntoIterator<Item = (u64, Hash)>) -> Self {
        let marked = marked.into_iter().collect();
        Self { marked, plain: hash_leaf(b"plain"), known: RefCell::default() }
    }

    pub(crate) fn leaf(&self, index: u64) -> Hash {
        self.marked.get(&index).copied().unwrap_or(self.plain)
    }

    pub(crate) fn head(&self, size: u64) -> TreeHead {
        TreeHead { size: TreeSize::new(size), root_hash: self.hash(0, size) }
    }

    /// A complete node.
    pub(crate) fn node(&self, id: NodeId) -> Hash {
        let start = id.index << id.level;
        self.hash(start, start + (1 << id.level))
    }

    /// MTH(D[start:end]).
    pub(crate) fn hash(&self, start: u64, end: u64) -> Hash {
        match end - start {
            0 => return Hash::EMPTY_ROOT,
            1 => return self.leaf(start),
            _ => {}
        }
        // Without marked leaves it does not matter where the range begins.
        let plain = self.marked.range(start..end).next().is_none();
        let range = if plain { (u64::MAX, end - start) } else { (start, end) };
        if let Some(hash) = self.known.borrow().get(&range) {
            return *hash;
        }
        let middle = start + split(end - start);
        let hash = hash_children(&self.hash(start, middle), &self.hash(middle, end));
        self.known.borrow_mut().insert(range, hash);
        hash
    }

    /// PATH(m, D[start:end]), where m counts from `start`.
    pub(crate) fn path(&self, m: u64, start: u64, end: u64) -> Vec<Hash> {
        if end - start == 1 {
            return Vec::new();
        }
        let k = split(end - start);
        let middle = start + k;
        let (mut path, beside) = if m < k {
            (self.path(m, start, middle), self.hash(middle, end))
        } else {
            (self.path(m - k, middle, end), self.hash(start, middle))
        };
        path.push(beside);
        path
    }

    /// PROOF(m, D[0:n]): the consistency proof of the trees of sizes m and n.
    pub(crate) fn consistency(&self, m: u64, n: u64) -> Vec<Hash> {
        self.old_subproof(m, 0, n, true)
    }

    /// SUBPROOF(m, D[start:end], b) of the RFC.
    fn old_subproof(&self, m: u64, start: u64, end: u64, whole: bool) -> Vec<Hash> {
        if m == end - start {
            return if whole { Vec::new() } else { vec![self.hash(start, end)] };
        }
        let k = split(end - start);
        let middle = start + k;
        let (mut proof, beside) = if m <= k {
            (self.old_subproof(m, start, middle, whole), self.hash(middle, end))
        } else {
            (self.old_subproof(m - k, middle, end, false), self.hash(start, middle))
        };
        proof.push(beside);
        proof
    }

    /// The consistency proof of the subtree D[first:last] and the tree of size n.
    pub(crate) fn subtree_consistency(&self, first: u64, last: u64, n: u64) -> Vec<Hash> {
        if first == last { Vec::new() } else { self.subproof((first, last), (0, n), true) }
    }

    /// SUBPROOF(start, end, D[tree], b) of the draft, with absolute positions.
    fn subproof(&self, part: (u64, u64), tree: (u64, u64), whole: bool) -> Vec<Hash> {
        if part == tree {
            return if whole { Vec::new() } else { vec![self.hash(tree.0, tree.1)] };
        }
        let middle = tree.0 + split(tree.1 - tree.0);
        let (left, right) = ((tree.0, middle), (middle, tree.1));
        let (mut proof, beside) = if part.1 <= middle {
            (self.subproof(part, left, whole), right)
        } else if middle <= part.0 {
            (self.subproof(part, right, whole), left)
        } else {
            assert_eq!(part.0, tree.0, "only a range from the tree's start lies on both sides");
            (self.subproof((middle, part.1), right, false), left)
        };
        proof.push(self.hash(beside.0, beside.1));
        proof
    }
}

/// Leaf hashes that all differ.
pub(crate) fn distinct_leaves(count: u64) -> Vec<Hash> {
    (0..count).map(|index| hash_leaf(&index.to_be_bytes())).collect()
}

/// k: the largest power of two that is strictly less than n, for n > 1.
fn split(n: u64) -> u64 {
    1 << (n - 1).ilog2()
}

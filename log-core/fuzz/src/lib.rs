//! A small tree written from the text of RFC 6962 section 2.1, for targets that need a true root.

use log_core::hash::hash_children;
use log_core::{Hash, NodeId, TreeHead, TreeSize};

/// Leaf hashes, and slow answers about them.
pub struct SlowTree {
    leaves: Vec<Hash>,
}

impl SlowTree {
    /// A tree of that many leaves, none like another.
    pub fn new(size: usize) -> Self {
        Self { leaves: (0..size as u64).map(leaf_hash).collect() }
    }

    /// Hash of the leaf at that index.
    pub fn leaf(&self, index: u64) -> Hash {
        self.leaves[index as usize]
    }

    /// Hash over the leaves from `start` up to, but not including, `end`.
    pub fn range(&self, start: u64, end: u64) -> Hash {
        root(&self.leaves[start as usize..end as usize])
    }

    /// Hashes of complete nodes.
    pub fn nodes(&self, ids: &[NodeId]) -> Vec<Hash> {
        let range = |id: &NodeId| self.range(id.index << id.level, (id.index + 1) << id.level);
        ids.iter().map(range).collect()
    }

    /// Size and root as they were when the tree had that many leaves.
    pub fn head_at(&self, size: u64) -> TreeHead {
        TreeHead { size: TreeSize::new(size), root_hash: self.range(0, size) }
    }
}

/// A hash for the leaf at that index.
pub fn leaf_hash(index: u64) -> Hash {
    let mut bytes = [0x5a; 32];
    bytes[..8].copy_from_slice(&index.to_le_bytes());
    Hash::from_bytes(bytes)
}

/// Any 32-byte values as hashes.
pub fn hashes(values: Vec<[u8; 32]>) -> Vec<Hash> {
    values.into_iter().map(Hash::from_bytes).collect()
}

fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::EMPTY_ROOT,
        [leaf] => *leaf,
        _ => {
            let left = leaves.len().next_power_of_two() / 2;
            hash_children(&root(&leaves[..left]), &root(&leaves[left..]))
        }
    }
}

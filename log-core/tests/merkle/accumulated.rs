//! The accumulated vectors of draft-ietf-plants-merkle-tree-certs: SHA-256 over one line for each
//! of many thousands of cases. Leaf i is the single byte i.

use std::fmt::Write as _;

use log_core::hash::{hash_leaf, sha256};
use log_core::{
    CompactRange, ConsistencyProof, Hash, InclusionProof, LeafIndex, NodeId, Subtree, SubtreeProof,
    TreeHead, TreeSize,
};

use crate::reference::ReferenceTree;
use crate::vectors::member;

/// Largest size that the vectors cover.
const SIZE_MAX: u8 = 130;

fn tree() -> ReferenceTree {
    let leaves: Vec<Hash> = (0..SIZE_MAX).map(|leaf| hash_leaf(&[leaf])).collect();
    ReferenceTree::of(&leaves)
}

/// All subtrees that end at `end`, the empty one included.
fn subtrees(end: u64) -> impl Iterator<Item = Subtree> {
    (0..=end).filter_map(move |start| Subtree::new(start, end))
}

fn add_hashes(line: &mut String, hashes: &[Hash]) {
    for hash in hashes {
        write!(line, " {hash}").unwrap();
    }
    line.push('\n');
}

fn assert_accumulated(lines: &str, name: &str) {
    let wanted = member("merkle")["accumulated"][name].clone();
    assert_eq!(sha256(lines.as_bytes()).to_string(), wanted.as_str().unwrap());
}

#[test]
fn subtree_hashes() {
    let tree = tree();
    let mut lines = String::new();
    for end in 0..=u64::from(SIZE_MAX) {
        for subtree in subtrees(end) {
            let mut range = CompactRange::new();
            (subtree.start()..end).for_each(|index| range.append(tree.leaf(index)));
            writeln!(lines, "[{}, {end}) {}", subtree.start(), range.root()).unwrap();
        }
    }
    assert_accumulated(&lines, "subtree_hashes");
}

#[test]
fn inclusion() {
    let tree = tree();
    let mut lines = String::new();
    for end in 0..=u64::from(SIZE_MAX) {
        for subtree in subtrees(end) {
            let start = subtree.start();
            let size = TreeSize::new(end - start);
            let head = TreeHead { size, root_hash: tree.hash(start, end) };
            for index in start..end {
                let in_subtree = LeafIndex::new(index - start);
                let plan = InclusionProof::plan(in_subtree, size).unwrap();
                let node = |id: &NodeId| {
                    let first = start + (id.index << id.level);
                    tree.hash(first, first + (1 << id.level))
                };
                let nodes: Vec<Hash> = plan.nodes().iter().map(node).collect();
                let proof = InclusionProof::build(&plan, &nodes).unwrap();
                proof.verify(&tree.leaf(index), in_subtree, &head).unwrap();
                write!(lines, "{index} [{start}, {end})").unwrap();
                add_hashes(&mut lines, proof.hashes());
            }
        }
    }
    assert_accumulated(&lines, "inclusion");
}

#[test]
fn consistency() {
    let tree = tree();
    let mut lines = String::new();
    for size in 0..=u64::from(SIZE_MAX) {
        let head = tree.head(size);
        for end in 0..=size {
            for subtree in subtrees(end) {
                let start = subtree.start();
                let hashes = tree.subtree_consistency(start, end, size);
                write!(lines, "[{start}, {end}) {size}").unwrap();
                add_hashes(&mut lines, &hashes);
                if start == 0 && end > 0 {
                    assert_eq!(consistency_proof(&tree, end, size), hashes);
                }
                let node_hash = tree.hash(start, end);
                SubtreeProof::from_hashes(hashes).verify(subtree, &node_hash, &head).unwrap();
            }
        }
    }
    assert_accumulated(&lines, "consistency");
}

fn consistency_proof(tree: &ReferenceTree, old: u64, new: u64) -> Vec<Hash> {
    let plan = ConsistencyProof::plan(TreeSize::new(old), TreeSize::new(new)).unwrap();
    let nodes: Vec<Hash> = plan.nodes().iter().map(|id| tree.node(*id)).collect();
    ConsistencyProof::build(&plan, &nodes).unwrap().hashes().to_vec()
}

#[test]
fn cover() {
    let mut lines = String::new();
    for end in 0..=u64::from(SIZE_MAX) {
        for start in 0..=end {
            let [left, right] = Subtree::cover(start, end).unwrap();
            // Both are subtrees, and together they hold the range.
            assert_eq!(Subtree::new(left.start(), left.end()), Some(left));
            assert_eq!(Subtree::new(right.start(), right.end()), Some(right));
            assert!(left.start() <= start && left.end() == right.start() && right.end() == end);
            let [(ls, le), (rs, re)] = [left, right].map(|part| (part.start(), part.end()));
            writeln!(lines, "[{ls}, {le}) [{rs}, {re})").unwrap();
        }
    }
    assert_accumulated(&lines, "cover");
}

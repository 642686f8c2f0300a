//! Proofs: the fast code agrees with the recursive text at every size, and nothing but the proof
//! of that statement is accepted.

use log_core::{
    ConsistencyProof, Hash, InclusionProof, LeafIndex, NodeId, ProofError, ProofPlan, Subtree,
    SubtreeProof, TileId, TreeHead, TreeSize,
};
use proptest::prelude::*;

use crate::reference::{ReferenceTree, distinct_leaves};

/// A leaf or a root like no other.
const OTHER: Hash = Hash::from_bytes([0xee; 32]);
/// A hash that is nowhere in any tree here.
const OTHER_ROOT: Hash = Hash::from_bytes([0xdd; 32]);

/// Sizes of every magnitude, with the neighbours of powers of two and the largest ones.
fn any_size() -> impl Strategy<Value = u64> {
    let around_powers = (0..64u32, -3..=3i64)
        .prop_map(|(bit, offset)| (1u64 << bit).saturating_add_signed(offset).max(1));
    prop_oneof![
        1..=300u64,
        around_powers,
        (1..=u64::MAX, 0..64u32).prop_map(|(size, shift)| (size >> shift).max(1)),
        u64::MAX - 300..=u64::MAX,
    ]
}

fn size_and_below() -> impl Strategy<Value = (u64, u64)> {
    (any_size(), any_size()).prop_map(|(a, b)| (a.max(b), a.min(b)))
}

fn inclusion(tree: &ReferenceTree, index: u64, size: u64) -> (ProofPlan, InclusionProof) {
    let plan = InclusionProof::plan(LeafIndex::new(index), TreeSize::new(size)).unwrap();
    let nodes: Vec<Hash> = plan.nodes().iter().map(|id| tree.node(*id)).collect();
    let proof = InclusionProof::build(&plan, &nodes).unwrap();
    (plan, proof)
}

fn consistency(tree: &ReferenceTree, old: u64, new: u64) -> (ProofPlan, ConsistencyProof) {
    let plan = ConsistencyProof::plan(TreeSize::new(old), TreeSize::new(new)).unwrap();
    let nodes: Vec<Hash> = plan.nodes().iter().map(|id| tree.node(*id)).collect();
    let proof = ConsistencyProof::build(&plan, &nodes).unwrap();
    (plan, proof)
}

/// The nodes are complete, each lies in a tile, no two share a leaf; gives the leaves they cover.
fn leaves_covered(nodes: &[NodeId], size: u64) -> Vec<(u64, u64)> {
    let size = TreeSize::new(size);
    let mut ranges: Vec<(u64, u64)> = nodes
        .iter()
        .map(|id| {
            assert!(id.is_complete_in(size), "{id:?}");
            assert!(TileId::holding(*id, size).unwrap().exists_in(size), "{id:?}");
            let first = id.index << id.level;
            (first, first + ((1 << id.level) - 1))
        })
        .collect();
    ranges.sort_unstable();
    assert!(ranges.windows(2).all(|pair| pair[0].1 < pair[1].0), "{ranges:?}");
    ranges
}

/// Every way to spoil a list of hashes.
fn spoiled(hashes: &[Hash]) -> Vec<Vec<Hash>> {
    let mut all = Vec::new();
    for at in 0..hashes.len() {
        let mut changed = hashes.to_vec();
        changed[at] = OTHER_ROOT;
        let mut shorter = hashes.to_vec();
        shorter.remove(at);
        all.extend([changed, shorter]);
    }
    for at in [0, hashes.len()] {
        let mut longer = hashes.to_vec();
        longer.insert(at, OTHER_ROOT);
        all.push(longer);
    }
    all
}

proptest! {
    #[test]
    fn inclusion_agrees_with_the_text((size, below) in size_and_below()) {
        let index = below - 1;
        let tree = ReferenceTree::sparse([(index, OTHER), (size - 1, Hash::EMPTY_ROOT)]);
        let (plan, proof) = inclusion(&tree, index, size);
        prop_assert_eq!(proof.hashes(), tree.path(index, 0, size));
        let (position, head) = (LeafIndex::new(index), tree.head(size));
        prop_assert_eq!(proof.verify(&tree.leaf(index), position, &head), Ok(()));

        // The nodes cover exactly the other leaves.
        let mut nodes = plan.nodes().to_vec();
        nodes.push(NodeId::leaf(position));
        let covered: u64 = leaves_covered(&nodes, size).iter().map(|(a, b)| b - a + 1).sum();
        prop_assert_eq!(covered, size);
    }

    #[test]
    fn consistency_agrees_with_the_text((new, old) in size_and_below()) {
        let tree = ReferenceTree::sparse([(old - 1, OTHER), (new - 1, Hash::EMPTY_ROOT)]);
        let (plan, proof) = consistency(&tree, old, new);
        prop_assert_eq!(proof.hashes(), tree.consistency(old, new));
        prop_assert_eq!(proof.hashes(), tree.subtree_consistency(0, old, new));
        prop_assert_eq!(proof.verify(&tree.head(old), &tree.head(new)), Ok(()));
        leaves_covered(plan.nodes(), new);
    }

    #[test]
    fn invented_proofs_end_and_fail(
        sizes in (any::<u64>(), any::<u64>(), any::<u64>()),
        hashes in prop::collection::vec(any::<[u8; 32]>().prop_map(Hash::from_bytes), 0..70),
    ) {
        let head = |size| TreeHead { size: TreeSize::new(size), root_hash: OTHER_ROOT };
        let inclusion = InclusionProof::from_hashes(hashes.clone());
        let index = LeafIndex::new(sizes.0);
        prop_assert!(inclusion.verify(&OTHER, index, &head(sizes.1)).is_err());
        let consistency = ConsistencyProof::from_hashes(hashes.clone());
        let old = TreeHead { size: TreeSize::new(sizes.0), root_hash: OTHER };
        prop_assert!(consistency.verify(&old, &head(sizes.1)).is_err());
        if let Some(subtree) = Subtree::new(sizes.2, sizes.0) {
            let proof = SubtreeProof::from_hashes(hashes);
            prop_assert!(proof.verify(subtree, &OTHER, &head(sizes.1)).is_err());
        }
    }
}

proptest! {
    // Each case verifies some hundred spoiled proofs.
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn subtrees_of_any_tree_verify((size, end) in size_and_below(), start in any::<u64>()) {
        let [left, right] = Subtree::cover(start % end, end).unwrap();
        let tree = ReferenceTree::sparse([(left.start(), OTHER), (end - 1, Hash::EMPTY_ROOT)]);
        for part in [left, right] {
            prop_assert_eq!(Subtree::new(part.start(), part.end()), Some(part));
            let hashes = tree.subtree_consistency(part.start(), part.end(), size);
            let node_hash = tree.hash(part.start(), part.end());
            let head = tree.head(size);
            let proof = SubtreeProof::from_hashes(hashes.clone());
            prop_assert_eq!(proof.verify(part, &node_hash, &head), Ok(()));
            prop_assert!(proof.verify(part, &OTHER_ROOT, &head).is_err());
            for hashes in spoiled(&hashes) {
                let proof = SubtreeProof::from_hashes(hashes);
                prop_assert!(proof.verify(part, &node_hash, &head).is_err());
            }
        }
    }

    #[test]
    fn only_the_right_inclusion_proof_is_accepted((size, below) in size_and_below()) {
        let index = below - 1;
        let tree = ReferenceTree::sparse([(index, hash_of(index)), (size - 1, hash_of(size))]);
        let (_, proof) = inclusion(&tree, index, size);
        let (leaf, head) = (tree.leaf(index), tree.head(size));
        for hashes in spoiled(proof.hashes()) {
            let spoiled = InclusionProof::from_hashes(hashes);
            prop_assert!(spoiled.verify(&leaf, LeafIndex::new(index), &head).is_err());
        }
        prop_assert_eq!(
            proof.verify(&OTHER_ROOT, LeafIndex::new(index), &head),
            Err(ProofError::RootMismatch)
        );
        let other_head = TreeHead { root_hash: OTHER_ROOT, ..head };
        prop_assert_eq!(
            proof.verify(&leaf, LeafIndex::new(index), &other_head),
            Err(ProofError::RootMismatch)
        );
        for other in [index ^ 1, index / 2, size - 1 - index, index.wrapping_add(1)] {
            let accepted = proof.verify(&leaf, LeafIndex::new(other), &head).is_ok();
            prop_assert_eq!(accepted, other == index, "{}", other);
        }
    }

    #[test]
    fn only_the_right_consistency_proof_is_accepted((new, old) in size_and_below()) {
        let tree = ReferenceTree::sparse([(old - 1, hash_of(old)), (new - 1, hash_of(new))]);
        let (_, proof) = consistency(&tree, old, new);
        let (old_head, new_head) = (tree.head(old), tree.head(new));
        for hashes in spoiled(proof.hashes()) {
            let spoiled = ConsistencyProof::from_hashes(hashes);
            prop_assert!(spoiled.verify(&old_head, &new_head).is_err());
        }
        let forked = TreeHead { root_hash: OTHER_ROOT, ..old_head };
        prop_assert!(proof.verify(&forked, &new_head).is_err());
        let forked = TreeHead { root_hash: OTHER_ROOT, ..new_head };
        prop_assert_eq!(proof.verify(&old_head, &forked), Err(ProofError::RootMismatch));
    }
}

fn hash_of(number: u64) -> Hash {
    log_core::hash::hash_leaf(&number.to_be_bytes())
}

#[test]
fn every_small_tree_agrees_with_the_text() {
    let tree = ReferenceTree::of(&distinct_leaves(70));
    for size in 1..=70 {
        let head = tree.head(size);
        for index in 0..size {
            let (_, proof) = inclusion(&tree, index, size);
            assert_eq!(proof.hashes(), tree.path(index, 0, size));
            // It proves this leaf at this index, and no other.
            for other in 0..size + 2 {
                let verdict = proof.verify(&tree.leaf(index), LeafIndex::new(other), &head);
                assert_eq!(verdict.is_ok(), other == index, "{index} as {other} of {size}");
            }
        }
        for old in 1..=size {
            let (_, proof) = consistency(&tree, old, size);
            assert_eq!(proof.hashes(), tree.consistency(old, size));
            proof.verify(&tree.head(old), &head).unwrap();
        }
    }
}

#[test]
fn impossible_positions_have_their_own_errors() {
    let (index, size) = (LeafIndex::new(5), TreeSize::new(5));
    let beyond = ProofError::IndexBeyondTree { index, size };
    assert_eq!(InclusionProof::plan(index, size), Err(beyond.clone()));
    let head = TreeHead { size, root_hash: OTHER };
    let empty = InclusionProof::from_hashes(Vec::new());
    assert_eq!(empty.verify(&OTHER, index, &head), Err(beyond));
    assert!(InclusionProof::plan(LeafIndex::new(0), TreeSize::new(0)).is_err());
    assert!(InclusionProof::plan(LeafIndex::new(u64::MAX), TreeSize::new(u64::MAX)).is_err());

    let (old, new) = (TreeSize::new(6), TreeSize::new(5));
    let shrunk = ProofError::OldBeyondNew { old, new };
    assert_eq!(ConsistencyProof::plan(old, new), Err(shrunk.clone()));
    let empty = ConsistencyProof::from_hashes(Vec::new());
    let old_head = TreeHead { size: old, root_hash: OTHER };
    assert_eq!(empty.verify(&old_head, &head), Err(shrunk));
}

#[test]
fn nothing_is_proven_from_the_empty_tree() {
    let new = TreeHead { size: TreeSize::new(3), root_hash: OTHER };
    let empty = ConsistencyProof::from_hashes(Vec::new());
    assert_eq!(empty.verify(&TreeHead::EMPTY, &new), Err(ProofError::OldSizeZero));
    assert_eq!(empty.verify(&TreeHead::EMPTY, &TreeHead::EMPTY), Err(ProofError::OldSizeZero));
    let zero = TreeSize::new(0);
    assert_eq!(ConsistencyProof::plan(zero, new.size), Err(ProofError::OldSizeZero));
}

#[test]
fn equal_sizes_need_equal_roots_and_no_hashes() {
    let head = TreeHead { size: TreeSize::new(7), root_hash: OTHER };
    let forked = TreeHead { root_hash: OTHER_ROOT, ..head };
    let empty = ConsistencyProof::from_hashes(Vec::new());
    assert_eq!(ConsistencyProof::plan(head.size, head.size).unwrap().nodes(), []);
    assert_eq!(empty.verify(&head, &head), Ok(()));
    assert_eq!(empty.verify(&head, &forked), Err(ProofError::RootMismatch));
    let padded = ConsistencyProof::from_hashes(vec![OTHER]);
    assert_eq!(padded.verify(&head, &head), Err(ProofError::WrongLength { hashes: 1 }));
}

#[test]
fn a_fork_shows_as_another_old_root() {
    // An old size that is no power of two: its root is recomputed from the proof alone.
    let tree = ReferenceTree::of(&distinct_leaves(10));
    let (_, proof) = consistency(&tree, 6, 10);
    let forked = TreeHead { root_hash: OTHER_ROOT, ..tree.head(6) };
    assert_eq!(proof.verify(&forked, &tree.head(10)), Err(ProofError::OldRootMismatch));
}

#[test]
fn a_plan_takes_exactly_its_nodes() {
    let plan = InclusionProof::plan(LeafIndex::new(3), TreeSize::new(7)).unwrap();
    assert_eq!(plan.nodes().len(), 4, "two complete nodes, and a ragged end of two");
    for got in [0, 3, 5] {
        let error = ProofError::WrongNodeCount { expected: 4, got };
        assert_eq!(InclusionProof::build(&plan, &vec![OTHER; got]), Err(error));
    }
    let plan = ConsistencyProof::plan(TreeSize::new(3), TreeSize::new(7)).unwrap();
    let error = ProofError::WrongNodeCount { expected: plan.nodes().len(), got: 0 };
    assert_eq!(ConsistencyProof::build(&plan, &[]), Err(error));
}

#[test]
fn the_empty_subtree_is_part_of_every_tree() {
    let tree = ReferenceTree::of(&distinct_leaves(5));
    let subtree = Subtree::new(3, 3).unwrap();
    let empty = SubtreeProof::from_hashes(Vec::new());
    let head = tree.head(5);
    assert_eq!(empty.verify(subtree, &Hash::EMPTY_ROOT, &head), Ok(()));
    assert_eq!(empty.verify(subtree, &OTHER, &head), Err(ProofError::OldRootMismatch));
    let padded = SubtreeProof::from_hashes(vec![OTHER]);
    let error = ProofError::WrongLength { hashes: 1 };
    assert_eq!(padded.verify(subtree, &Hash::EMPTY_ROOT, &head), Err(error));
    let beyond = Subtree::new(6, 6).unwrap();
    let (old, new) = (TreeSize::new(6), TreeSize::new(5));
    let error = ProofError::OldBeyondNew { old, new };
    assert_eq!(empty.verify(beyond, &Hash::EMPTY_ROOT, &head), Err(error));
}

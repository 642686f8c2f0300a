//! Subtree proofs: single leaves and prefixes agree with the other proofs, covers are subtrees.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_core::{
    ConsistencyProof, Hash, InclusionProof, LeafIndex, Subtree, SubtreeProof, TreeHead, TreeSize,
};
use log_core_fuzz::{SlowTree, hashes};

fuzz_target!(|input: (u8, u8, u64, u64, u64, Vec<[u8; 32]>)| {
    let (part, size, start, end, far_size, values) = input;

    if let Some(subtree) = Subtree::new(start, end) {
        let root_hash = Hash::from_bytes([2; 32]);
        let head = TreeHead { size: TreeSize::new(far_size), root_hash };
        let forged = SubtreeProof::from_hashes(hashes(values));
        assert!(forged.verify(subtree, &Hash::from_bytes([1; 32]), &head).is_err());
    }
    let cover = Subtree::cover(start, end);
    assert_eq!(cover.is_some(), start <= end);
    if let Some([left, right]) = cover {
        assert_eq!(Subtree::new(left.start(), left.end()), Some(left));
        assert_eq!(Subtree::new(right.start(), right.end()), Some(right));
        assert!(left.start() <= start && left.end() == right.start() && right.end() == end);
    }

    let size = u64::from(size) + 1;
    let part = u64::from(part) % size;
    let tree = SlowTree::new(size as usize);
    let head = tree.head_at(size);

    let plan = InclusionProof::plan(LeafIndex::new(part), head.size).expect("it is in the tree");
    let leaf = Subtree::new(part, part + 1).expect("one leaf is a subtree");
    let proof = SubtreeProof::from_hashes(
        InclusionProof::build(&plan, &tree.nodes(plan.nodes())).expect("all nodes").hashes().into(),
    );
    assert_eq!(proof.verify(leaf, &tree.leaf(part), &head), Ok(()));

    let old = tree.head_at(part + 1);
    let plan = ConsistencyProof::plan(old.size, head.size).expect("the sizes are in order");
    let prefix = Subtree::new(0, part + 1).expect("a prefix is a subtree");
    let built = ConsistencyProof::build(&plan, &tree.nodes(plan.nodes())).expect("all nodes");
    let proof = SubtreeProof::from_hashes(built.hashes().into());
    assert_eq!(proof.verify(prefix, &old.root_hash, &head), Ok(()));
});

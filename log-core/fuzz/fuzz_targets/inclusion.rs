//! True inclusion proofs hold, changed ones do not, and no coordinates are too much.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_core::{Hash, InclusionProof, LeafIndex, TreeHead, TreeSize};
use log_core_fuzz::{SlowTree, hashes};

fuzz_target!(|input: (u8, u8, u8, u64, u64, Vec<[u8; 32]>)| {
    let (size, index, change, far_index, far_size, values) = input;

    let forged = InclusionProof::from_hashes(hashes(values));
    let (far_index, size_far) = (LeafIndex::new(far_index), TreeSize::new(far_size));
    let head = TreeHead { size: size_far, root_hash: Hash::from_bytes([2; 32]) };
    assert!(forged.verify(&Hash::from_bytes([1; 32]), far_index, &head).is_err());
    let possible = InclusionProof::plan(far_index, size_far).is_ok();
    assert_eq!(possible, size_far.contains(far_index));

    let size = u64::from(size) + 1;
    let index = u64::from(index) % size;
    let tree = SlowTree::new(size as usize);
    let (leaf, head, at) = (tree.leaf(index), tree.head_at(size), LeafIndex::new(index));
    let plan = InclusionProof::plan(at, head.size).expect("the leaf is in the tree");
    let proof = InclusionProof::build(&plan, &tree.nodes(plan.nodes())).expect("all nodes");
    assert_eq!(proof.verify(&leaf, at, &head), Ok(()));

    let elsewhere = LeafIndex::new(index ^ 1);
    assert!(proof.verify(&leaf, elsewhere, &head).is_err() || size == 1);
    let mut changed = proof.hashes().to_vec();
    changed.push(leaf);
    let position = usize::from(change) % changed.len();
    changed.swap_remove(position);
    if changed != proof.hashes() {
        assert!(InclusionProof::from_hashes(changed).verify(&leaf, at, &head).is_err());
    }
});

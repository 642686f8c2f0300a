//! True consistency proofs hold, changed ones do not, and no sizes are too much.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_core::{ConsistencyProof, Hash, TreeHead, TreeSize};
use log_core_fuzz::{SlowTree, hashes};

fuzz_target!(|input: (u8, u8, u8, u64, u64, Vec<[u8; 32]>)| {
    let (old, new, change, far_old, far_new, values) = input;

    let forged = ConsistencyProof::from_hashes(hashes(values));
    let far = |size, byte| TreeHead {
        size: TreeSize::new(size),
        root_hash: Hash::from_bytes([byte; 32]),
    };
    assert!(forged.verify(&far(far_old, 1), &far(far_new, 2)).is_err());
    let possible = ConsistencyProof::plan(TreeSize::new(far_old), TreeSize::new(far_new)).is_ok();
    assert_eq!(possible, 0 < far_old && far_old <= far_new);

    let new = u64::from(new) + 1;
    let old = u64::from(old) % new + 1;
    let tree = SlowTree::new(new as usize);
    let (old, new) = (tree.head_at(old), tree.head_at(new));
    let plan = ConsistencyProof::plan(old.size, new.size).expect("the sizes are in order");
    let proof = ConsistencyProof::build(&plan, &tree.nodes(plan.nodes())).expect("all nodes");
    assert_eq!(proof.verify(&old, &new), Ok(()));

    let mut changed = proof.hashes().to_vec();
    changed.push(Hash::EMPTY_ROOT);
    let position = usize::from(change) % changed.len();
    changed.swap_remove(position);
    if changed != proof.hashes() {
        assert!(ConsistencyProof::from_hashes(changed).verify(&old, &new).is_err());
    }
});

//! Forks of every shape convict, and honest histories never do, whatever is put together of them.

use std::sync::LazyLock;

use log_core::evidence::EVIDENCE_KEYS_MAX;
use log_core::{
    Checkpoint, ConsistencyProof, CosignerKey, Evidence, EvidenceKind, EvidenceRole, Hash, NodeId,
    NoteSigner, Origin, SignedNote, TreeHead, TreeSize, VerifierKey, hash_children, hash_leaf,
};
use proptest::prelude::*;

use crate::cosignature::name;
use crate::signer;

/// Trees are tried at every size up to this one.
const SIZE_MAX: u64 = 40;
const ORIGIN: &str = "log.example";

static LOG: LazyLock<NoteSigner> = LazyLock::new(|| signer(ORIGIN, 1));
static SECOND: LazyLock<NoteSigner> = LazyLock::new(|| signer("log.example/second", 3));
static WITNESS: LazyLock<CosignerKey> =
    LazyLock::new(|| CosignerKey::ed25519(name("w.example"), [2; 32]));

fn origin() -> Origin {
    Origin::parse(ORIGIN).unwrap()
}

fn log_keys() -> Vec<VerifierKey> {
    vec![LOG.verifier_key()]
}

/// A log's leaves; from leaf `fork` on they are those of another history.
struct History {
    leaves: Vec<Hash>,
    /// The note of each size, by the log and one witness.
    notes: Vec<SignedNote>,
}

impl History {
    fn new(fork: u64, salt: u64) -> Self {
        let leaf = |index: u64| {
            let history = if index < fork { 0 } else { salt };
            hash_leaf(&[index.to_be_bytes(), history.to_be_bytes()].concat())
        };
        let mut history = Self { leaves: (0..SIZE_MAX).map(leaf).collect(), notes: Vec::new() };
        history.notes = (0..=SIZE_MAX).map(|size| history.sign(size)).collect();
        history
    }

    fn sign(&self, size: u64) -> SignedNote {
        note(self.head(size), 1_000 + size)
    }

    fn note(&self, size: u64) -> &SignedNote {
        &self.notes[usize::try_from(size).unwrap()]
    }

    fn head(&self, size: u64) -> TreeHead {
        TreeHead { size: TreeSize::new(size), root_hash: self.root(0, size) }
    }

    fn root(&self, start: u64, end: u64) -> Hash {
        match end - start {
            0 => Hash::EMPTY_ROOT,
            1 => self.leaves[usize::try_from(start).unwrap()],
            width => {
                let middle = start + width.next_power_of_two() / 2;
                hash_children(&self.root(start, middle), &self.root(middle, end))
            }
        }
    }

    fn proof(&self, old: u64, new: u64) -> ConsistencyProof {
        let plan = ConsistencyProof::plan(TreeSize::new(old), TreeSize::new(new)).unwrap();
        let node = |id: &NodeId| self.root(id.index << id.level, (id.index + 1) << id.level);
        let nodes: Vec<_> = plan.nodes().iter().map(node).collect();
        ConsistencyProof::build(&plan, &nodes).unwrap()
    }
}

/// Signed by the log and cosigned by the witness.
fn note(head: TreeHead, time_s: u64) -> SignedNote {
    let checkpoint = Checkpoint { origin: origin(), head, extensions: vec![] };
    let text = checkpoint.to_text();
    let lines = vec![LOG.sign(&text), WITNESS.cosign(&checkpoint, time_s).unwrap()];
    SignedNote::new(text, lines).unwrap()
}

/// That a file convicts the log, read again from its bytes.
fn assert_convicts(evidence: &Evidence, old: TreeHead, new: TreeHead) {
    let read = Evidence::parse(evidence.to_string().as_bytes()).unwrap();
    assert_eq!(&read, evidence);
    let proven = read.verify(EvidenceRole::Log, &origin(), &log_keys()).unwrap();
    assert_eq!(proven.kind, EvidenceKind::LogFork);
    assert_eq!(proven.keys, log_keys());
    let order = |head: &TreeHead| (head.size, head.root_hash);
    let mut heads = [old, new];
    heads.sort_by_key(order);
    assert_eq!([proven.first, proven.second], heads);
}

/// Everything that could be made of two notes and a proof.
fn everything(a: &SignedNote, b: &SignedNote, proof: &ConsistencyProof, prefix: Hash) -> usize {
    let (origin, keys) = (origin(), log_keys());
    let witness = [WITNESS.verifier_key().clone()];
    let prefix = Some((prefix, proof.clone()));
    let made = [
        Evidence::from_refused(a, b, proof, &origin, &keys),
        Evidence::log_fork(a, b, prefix.clone(), &origin, &keys),
        Evidence::log_fork(a, b, None, &origin, &keys),
        Evidence::cosigner_fork(a, b, prefix, &origin, &witness),
        Evidence::cosigner_rollback(a, b, &origin, &witness),
        Evidence::empty_root(a, &origin, &keys),
        Evidence::empty_root(b, &origin, &keys),
    ];
    made.into_iter().flatten().count()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn every_fork_convicts_at_every_pair_of_sizes(fork in 0..SIZE_MAX, salt in 1..u64::MAX) {
        let (first, second) = (History::new(SIZE_MAX, 0), History::new(fork, salt));
        for new in 1..=SIZE_MAX {
            for old in 1..=new {
                let (a, b) = (first.note(old), second.note(new));
                let (old_head, new_head) = (first.head(old), second.head(new));
                let proof = second.proof(old, new);
                let refused = Evidence::from_refused(a, b, &proof, &origin(), &log_keys());
                let forked = old > fork;
                let visible = forked && (old == new || !old.is_power_of_two());
                prop_assert_eq!(refused.is_some(), visible, "{} {} {}", fork, old, new);
                if let Some(evidence) = refused {
                    assert_convicts(&evidence, old_head, new_head);
                }
                // With the one hash that such a proof lacks every fork convicts.
                let prefix = (second.head(old).root_hash, proof);
                let made = Evidence::log_fork(b, a, Some(prefix), &origin(), &log_keys());
                prop_assert_eq!(made.is_some(), forked, "{} {} {}", fork, old, new);
                if let Some(evidence) = made {
                    assert_convicts(&evidence, old_head, new_head);
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2))]

    #[test]
    fn an_honest_history_never_convicts(fork in 0..SIZE_MAX, salt in 1..u64::MAX) {
        // Proofs of another tree, of other sizes, cut and lengthened; prefixes of every kind.
        let (honest, other) = (History::new(SIZE_MAX, 0), History::new(fork, salt));
        for new in 0..=SIZE_MAX {
            for old in 0..=new {
                let (a, b) = (honest.note(old), honest.note(new));
                let far = (old / 2 + 1).min(new.max(1));
                let right = honest.proof(old.clamp(1, new.max(1)), new.max(1));
                let wrong = other.proof(old.clamp(1, new.max(1)), new.max(1));
                let cut = right.hashes().iter().skip(1).copied().collect();
                let longer = [right.hashes(), &[honest.head(old).root_hash]].concat();
                let proofs = [
                    honest.proof(far, new.max(1)),
                    ConsistencyProof::from_hashes(cut),
                    ConsistencyProof::from_hashes(longer),
                    wrong,
                    right,
                ];
                let prefixes = [honest.head(old).root_hash, other.head(old).root_hash];
                // One wrong proof and prefix for each pair, another one for the next.
                let turn = usize::try_from(old + new).unwrap();
                let (proof, prefix) = (&proofs[turn % 5], prefixes[turn / 5 % 2]);
                prop_assert_eq!(everything(a, b, proof, prefix), 0, "{} {} {}", fork, old, new);
                prop_assert_eq!(everything(b, a, proof, prefix), 0, "{} {} {}", fork, old, new);
            }
        }
    }
}

#[test]
fn what_a_witness_signs_in_order_never_convicts_it_and_out_of_order_does() {
    let (first, second) = (History::new(SIZE_MAX, 0), History::new(6, 9));
    let witness = [WITNESS.verifier_key().clone()];
    let other = CosignerKey::ed25519(name("v.example"), [4; 32]);
    let both = [other.verifier_key().clone(), witness[0].clone()];
    // The larger tree in the 1,000th second and the smaller one later.
    let (large, small) = (note(first.head(8), 1_000), note(first.head(5), 1_001));
    let rollback = Evidence::cosigner_rollback(&small, &large, &origin(), &both).unwrap();
    assert_eq!(rollback.kind(), EvidenceKind::CosignerRollback);
    assert_eq!(rollback.keys(), witness);
    let proven = rollback.verify(EvidenceRole::Cosigner, &origin(), &both).unwrap();
    assert_eq!((proven.first, proven.second), (first.head(8), first.head(5)));
    assert_eq!(proven.keys, witness);
    assert_eq!(Evidence::cosigner_rollback(&large, &small, &origin(), &both), Some(rollback));
    let same_second = note(first.head(5), 1_000);
    assert_eq!(Evidence::cosigner_rollback(&large, &same_second, &origin(), &witness), None);
    let refresh = note(first.head(8), 1_002);
    assert_eq!(Evidence::cosigner_rollback(&large, &refresh, &origin(), &witness), None);

    // The same fork convicts the log and, with its own file, the witness.
    let (a, b) = (first.note(7), second.note(9));
    let prefix = Some((second.head(7).root_hash, second.proof(7, 9)));
    let of_log = Evidence::log_fork(a, b, prefix.clone(), &origin(), &log_keys()).unwrap();
    let of_witness = Evidence::cosigner_fork(b, a, prefix, &origin(), &both).unwrap();
    assert_ne!(of_log.id(), of_witness.id());
    assert!(of_log.notes().iter().all(|note| note.signatures().len() == 1));
    assert!(of_witness.verify(EvidenceRole::Cosigner, &origin(), &witness).is_ok());
    assert!(of_witness.verify(EvidenceRole::Cosigner, &origin(), &both[..1]).is_err());
}

#[test]
fn the_notes_of_a_fork_may_be_signed_by_different_keys_of_the_log() {
    let (first, second) = (History::new(SIZE_MAX, 0), History::new(0, 9));
    let text = second.note(5).text().to_owned();
    let by_second = SignedNote::new(text.clone(), vec![SECOND.sign(&text)]).unwrap();
    let by_both = SignedNote::new(text.clone(), vec![SECOND.sign(&text), LOG.sign(&text)]).unwrap();
    let keys = [SECOND.verifier_key(), LOG.verifier_key()];
    let fork = |note: &SignedNote, keys: &[VerifierKey]| {
        Evidence::log_fork(first.note(5), note, None, &origin(), keys)
    };
    assert_eq!(fork(&by_second, &keys[..1]), None);
    assert_eq!(fork(&by_second, &keys[1..]), None);
    let evidence = fork(&by_second, &keys).unwrap();
    let verify = |keys: &[VerifierKey]| evidence.verify(EvidenceRole::Log, &origin(), keys);
    assert_eq!(verify(&keys).unwrap().keys.len(), 2);
    assert!(verify(&keys[..1]).is_err() && verify(&keys[1..]).is_err());

    // Whoever knows one of the keys is convinced by the notes that both have signed. The file is
    // the same whichever key is named first.
    let evidence = fork(&by_both, &keys).unwrap();
    assert_eq!(evidence.verify(EvidenceRole::Log, &origin(), &keys[1..]).unwrap().keys, keys[1..]);
    let [a, b] = keys.clone();
    assert_eq!(fork(&by_both, &[b.clone(), a, b]).unwrap().to_string(), evidence.to_string());
}

#[test]
fn a_file_names_at_most_as_many_keys_as_it_may() {
    let history = [History::new(SIZE_MAX, 0), History::new(0, 9)];
    let signers: Vec<_> = (0..=EVIDENCE_KEYS_MAX)
        .map(|index| signer(ORIGIN, 100 + u8::try_from(index).unwrap()))
        .collect();
    let keys: Vec<_> = signers.iter().map(NoteSigner::verifier_key).collect();
    let [a, b] = history.map(|history| {
        let text = history.note(5).text().to_owned();
        let lines = signers.iter().map(|signer| signer.sign(&text)).collect();
        SignedNote::new(text, lines).unwrap()
    });
    let evidence = Evidence::log_fork(&a, &b, None, &origin(), &keys).unwrap();
    assert_eq!(evidence.keys().len(), EVIDENCE_KEYS_MAX);
    assert_eq!(Evidence::parse(evidence.to_string().as_bytes()), Ok(evidence));
}

#[test]
fn a_failing_line_of_a_known_key_does_not_hide_a_fork() {
    let (first, second) = (History::new(SIZE_MAX, 0), History::new(0, 9));
    let text = second.note(5).text().to_owned();
    let lines = vec![LOG.sign("another text\n"), SECOND.sign("x\n"), LOG.sign(&text)];
    let spoiled = SignedNote::new(text, lines).unwrap();
    let keys = [SECOND.verifier_key(), LOG.verifier_key()];
    assert!(spoiled.verify(&keys).is_err());
    let evidence = Evidence::log_fork(first.note(5), &spoiled, None, &origin(), &keys).unwrap();
    assert_eq!(evidence.keys(), log_keys());
}

#[test]
fn a_root_of_the_empty_tree_is_right_or_convicts() {
    let root_hash = Hash::from_bytes([7; 32]);
    let wrong = note(TreeHead { size: TreeSize::new(0), root_hash }, 5);
    let evidence = Evidence::empty_root(&wrong, &origin(), &log_keys()).unwrap();
    let proven = evidence.verify(EvidenceRole::Log, &origin(), &log_keys()).unwrap();
    assert_eq!((proven.first.root_hash, proven.second), (root_hash, TreeHead::EMPTY));
    assert_eq!(Evidence::empty_root(&note(TreeHead::EMPTY, 5), &origin(), &log_keys()), None);
    let larger = note(TreeHead { size: TreeSize::new(1), root_hash }, 5);
    assert_eq!(Evidence::empty_root(&larger, &origin(), &log_keys()), None);
    assert_eq!(Evidence::empty_root(&wrong, &origin(), &[SECOND.verifier_key()]), None);
    let elsewhere = Origin::parse("elsewhere.example").unwrap();
    assert_eq!(Evidence::empty_root(&wrong, &elsewhere, &log_keys()), None);
    // Nothing is inconsistent with size 0, not even a wrong one: the note alone is the proof.
    let two = ConsistencyProof::from_hashes(vec![]);
    assert_eq!(Evidence::from_refused(&wrong, &larger, &two, &origin(), &log_keys()), None);
}

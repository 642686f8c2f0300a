//! Two histories, each of up to 300 leaves: whatever size of the one the witness has cosigned, it
//! refuses every size of the other, and the refusal convicts wherever a proof can.

use std::thread;

use log_core::cosignature::CosignerKey;
use log_core::evidence::{Evidence, EvidenceRole};
use log_core::witness::AddCheckpointRequest;
use log_core::{KeyName, SignedNote, TreeHead, TreeSize};
use log_tests::{History, SignedLog};
use log_witness::add_checkpoint::Opened;
use log_witness::clock::Now;
use log_witness::keys::{StateId, WitnessKeys};
use log_witness::logs::Logs;
use log_witness::refusal::Refusal;
use log_witness::row::{Row, RowHeader, Standing};

const SIZE_MAX: u64 = 300;
const THREADS: u64 = 2;
const NOW: Now = Now { wall_s: 1_800_000_000, expected_s: 1_800_000_000, newest_s: 1_800_000_000 };

/// The decision of a witness that knows one log.
struct Decision {
    logs: Logs,
    keys: WitnessKeys,
}

impl Decision {
    fn about(log: &SignedLog) -> Self {
        let name = KeyName::parse("witness.example").expect("a name");
        let keys = WitnessKeys::new(vec![CosignerKey::ed25519(name, [1; 32])], StateId::random());
        let logs = Logs::default();
        logs.put(log.origin().clone(), vec![log.key()], Row::new(false));
        Self { logs, keys }
    }

    /// What is decided if this head is the newest one that was cosigned.
    fn after(&self, newest: TreeHead, request: &AddCheckpointRequest) -> Result<u64, Refusal> {
        let row = RowHeader { standing: Standing::Cosigned(newest), ..RowHeader::new(false) };
        let opened = Opened::open(request.to_string().as_bytes(), &self.logs, &self.keys)?;
        opened.judge(&row, None, &NOW)
    }
}

#[test]
fn every_size_of_another_history_is_refused_whatever_size_was_cosigned() {
    let log = SignedLog::new("log.example");
    let (history, other) = (History::new("a", SIZE_MAX + 1), History::new("b", SIZE_MAX));
    // Signed once; the rest of a request is different every time.
    let signed: Vec<String> =
        (0..=SIZE_MAX).map(|size| log.sign(other.head_at(size)).to_string()).collect();
    let check = |first: u64| {
        let decision = Decision::about(&log);
        for cosigned in (first..=SIZE_MAX).step_by(usize::try_from(THREADS).expect("few")) {
            let newest = history.head_at(cosigned);
            for size in 1..=SIZE_MAX {
                let old = cosigned.min(size);
                let checkpoint = &signed[usize::try_from(size).expect("an index")];
                let request = AddCheckpointRequest {
                    old: TreeSize::new(old),
                    proof: other.consistency(old, size),
                    checkpoint: checkpoint.clone(),
                };
                let due = match size {
                    _ if size < cosigned => Refusal::Conflict { latest: TreeSize::new(cosigned) },
                    _ if size == cosigned => Refusal::RootsDiffer,
                    _ => Refusal::ProofFails,
                };
                assert_eq!(decision.after(newest, &request), Err(due), "{cosigned} -> {size}");
            }
            // The same state takes what continues it.
            let honest = log.request(&history, cosigned, cosigned + 1);
            assert_eq!(decision.after(newest, &honest), Ok(NOW.wall_s));
        }
    };
    thread::scope(|scope| {
        for first in 1..=THREADS {
            scope.spawn(move || check(first));
        }
    });
}

#[test]
fn a_refused_fork_convicts_unless_its_proof_leaves_out_the_old_root() {
    let log = SignedLog::new("log.example");
    let (origin, keys) = (log.origin(), [log.key()]);
    let history = History::new("a", SIZE_MAX);
    let note = |head| log.sign(head);
    let mut convictions = 0;
    for old in 1..=SIZE_MAX {
        let old_head = history.head_at(old);
        let known = note(old_head);
        // The histories part at once, in the middle, or at the very last leaf.
        for shared in [0, old / 2, old - 1] {
            let fork = history.fork(shared, "b", SIZE_MAX);
            for size in old..=SIZE_MAX {
                let (proof, head) = (fork.consistency(old, size), fork.head_at(size));
                assert!(proof.verify(&old_head, &head).is_err(), "{old} -> {size}");
                let rebuilt = proof.reconstruct(old_head.size, head.size, &old_head.root_hash);
                let roots = (fork.head_at(old).root_hash, head.root_hash);
                let convicts = size == old || !old.is_power_of_two();
                assert_eq!(rebuilt == Some(roots), convicts && size > old, "{old} -> {size}");
                // Signatures cost time: they are looked at for the nearest sizes and the last.
                if size <= old + 1 || size == SIZE_MAX {
                    let request = note(head);
                    let evidence = Evidence::from_refused(&known, &request, &proof, origin, &keys);
                    assert_eq!(evidence.is_some(), convicts, "{old} -> {size}, shared {shared}");
                    convictions += u64::from(evidence.is_some_and(|e| convicts_anybody(&e, &log)));
                }
            }
        }
    }
    assert!(convictions > 2 * SIZE_MAX, "{convictions}");
}

fn convicts_anybody(evidence: &Evidence, log: &SignedLog) -> bool {
    let proven = evidence.verify(EvidenceRole::Log, log.origin(), &[log.key()]);
    proven.expect("what was made is proven");
    true
}

#[test]
fn an_honest_history_convicts_nobody_by_any_proof() {
    let log = SignedLog::new("log.example");
    let history = History::new("a", 40);
    for old in 1..=40 {
        let known: SignedNote = log.sign(history.head_at(old));
        for size in old..=40 {
            let note = log.sign(history.head_at(size));
            // The right proof, and those of other sizes.
            for from in [old, old.saturating_sub(1).max(1), 1] {
                let proof = history.consistency(from, size);
                let found =
                    Evidence::from_refused(&known, &note, &proof, log.origin(), &[log.key()]);
                assert_eq!(found, None, "{from} -> {size} for {old}");
            }
        }
    }
}

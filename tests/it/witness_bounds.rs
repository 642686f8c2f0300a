//! Requests that want to cost more than they should: proofs and notes of the longest kind, and
//! sizes at the end of what a number can hold. Every one is answered, and so is the next one.

use log_core::note::NoteSignature;
use log_core::{ConsistencyProof, Hash, KeyId, KeyName, SignedNote, TreeHead, TreeSize, sha256};
use log_tests::witness_process::ADD_CHECKPOINT;
use log_tests::{Cosigned, History, Request, SignedLog, WitnessDir, WitnessProcess};

struct Scene {
    _dir: WitnessDir,
    witness: WitnessProcess,
    record: Cosigned,
    log: SignedLog,
    history: History,
}

impl Scene {
    fn new() -> Self {
        let (dir, log) = (WitnessDir::init("witness.example"), SignedLog::new("log.example"));
        dir.add_log(&log.key(), None);
        let (witness, record) = (dir.start(), Cosigned::by(dir.keys()));
        let scene = Self { _dir: dir, witness, record, log, history: History::new("a", 20) };
        scene.step(0, 5);
        scene
    }

    /// An honest step, which the witness takes.
    #[track_caller]
    fn step(&self, old: u64, new: u64) {
        let request = self.log.request(&self.history, old, new);
        self.record.accept(&request.checkpoint, self.witness.add_checkpoint(&request));
    }

    #[track_caller]
    fn post(&self, body: String, status: u16) {
        self.witness.process().send(&Request::post(ADD_CHECKPOINT, body)).expect(status);
    }
}

fn proof_of(hashes: usize) -> ConsistencyProof {
    let hashes = (0..hashes).map(|i| sha256(&i.to_be_bytes())).collect::<Vec<Hash>>();
    ConsistencyProof::from_hashes(hashes)
}

#[test]
fn sizes_at_the_end_of_numbers_are_judged_and_soon() {
    let scene = Scene::new();
    let newest = 5;
    for (size, status) in [
        (u64::MAX, 400),
        (1 << 63, 400),
        ((1 << 63) - 1, 422),
        ((1 << 62) + 1, 422),
        (1 << 62, 422),
    ] {
        for hashes in [0, 1, 61, 62, 63] {
            let head = TreeHead { size: TreeSize::new(size), root_hash: sha256(b"far away") };
            let request = scene.log.request_with(newest, proof_of(hashes), head);
            let answer = scene.witness.add_checkpoint(&request);
            assert_eq!(answer.status, status, "{size} with {hashes} hashes: {}", answer.text());
        }
    }
    let (old, head) = (u64::MAX, scene.history.head_at(6));
    scene.post(scene.log.request_with(old, proof_of(0), head).to_string(), 400);
    scene.post("old 18446744073709551616\n\n".into(), 400);
    scene.step(newest, 6);
    assert_eq!(scene.witness.evidence(scene.log.origin()).len(), 0);
}

#[test]
fn the_longest_proof_is_read_and_a_longer_one_is_not() {
    let scene = Scene::new();
    let head = scene.history.head_at(9);
    scene.post(scene.log.request_with(5, proof_of(63), head).to_string(), 422);
    scene.post(scene.log.request_with(5, proof_of(64), head).to_string(), 400);
    scene.step(5, 9);
}

#[test]
fn long_notes_are_read_up_to_a_limit_and_strange_lines_are_never_shown() {
    let scene = Scene::new();
    let strange = |number: usize, length: usize| {
        let name = KeyName::parse(&format!("stranger.example/{number}")).expect("a name");
        let id = KeyId::from_bytes([7, 7, 7, 7]);
        NoteSignature { name, id, signature: vec![1; length] }
    };
    let with_strangers = |new: u64, lines: usize, length: usize| {
        let note = scene.log.sign(scene.history.head_at(new));
        let mut signatures: Vec<_> = (0..lines).map(|number| strange(number, length)).collect();
        signatures.extend_from_slice(note.signatures());
        let note = SignedNote::new(note.text().to_owned(), signatures).expect("a note");
        let mut request = scene.log.request(&scene.history, new - 1, new);
        request.checkpoint = note.to_string();
        request
    };
    // As many lines of the longest kind as everybody must accept.
    let many = with_strangers(6, 16, 2428);
    scene.record.accept(&many.checkpoint, scene.witness.add_checkpoint(&many));
    let shown = scene.witness.latest(scene.log.origin()).expect(200);
    assert!(!shown.text().contains("stranger"), "{}", shown.text());
    scene.post(with_strangers(7, 70, 64).to_string(), 400);
    // More bytes than any honest request has.
    let body = with_strangers(7, 60, 2428).to_string();
    assert!(body.len() > 128 << 10);
    scene.post(body, 413);
    // So many that nobody waits for them.
    let mut connection = scene.witness.connect();
    let head = Request::new("POST", ADD_CHECKPOINT).header("content-length", "10000000000");
    connection.write(&head.to_bytes()).expect("written");
    connection.read(false).expect("an answer before the body").expect(413);
    scene.step(6, 7);
}

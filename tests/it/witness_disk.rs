//! A disk that is full under a witness: no signature leaves that is not on the disk, no refusal
//! whose evidence is not, and with space everything goes on.
//!
//! The disk is a tmpfs of its own, which only root can mount: others skip these tests and say so.

use log_core::SignedNote;
use log_tests::disk::SmallDisk;
use log_tests::{Cosigned, History, SignedLog, WitnessDir, WitnessProcess};

const DISK_MIB: u64 = 16;

/// A witness on a small disk. The disk goes first: fields drop in order.
struct Scene {
    disk: SmallDisk,
    dir: WitnessDir,
    record: Cosigned,
    log: SignedLog,
    history: History,
    _place: tempfile::TempDir,
}

impl Scene {
    fn new() -> Option<Self> {
        let place = tempfile::tempdir().expect("a temporary directory");
        let disk = SmallDisk::mount(place.path(), DISK_MIB)?;
        let dir = WitnessDir::init_at(&place.path().join("data"), "witness.example", &[]);
        let log = SignedLog::new("log.example");
        dir.add_log(&log.key(), None);
        let (record, history) = (Cosigned::by(dir.keys()), History::new("a", 3_000));
        Some(Self { disk, dir, record, log, history, _place: place })
    }

    /// An honest step, which the witness takes.
    #[track_caller]
    fn step(&self, witness: &WitnessProcess, old: u64, new: u64) {
        let request = self.log.request(&self.history, old, new);
        self.record.accept(&request.checkpoint, witness.add_checkpoint(&request));
    }

    fn newest(&self) -> u64 {
        self.record.newest(self.log.origin()).map_or(0, |head| head.size.get())
    }

    /// Steps until the witness takes no more: it says so, or it ends. Every answer before counts.
    fn step_until_full(&self, witness: &WitnessProcess) {
        while self.newest() < self.history.size() {
            let request = self.log.request(&self.history, self.newest(), self.newest() + 1);
            let mut connection = witness.connect();
            match WitnessProcess::try_add_checkpoint(&mut connection, &request) {
                Ok(answer) if answer.status == 200 => {
                    self.record.accept(&request.checkpoint, answer);
                }
                Ok(answer) => {
                    assert!(matches!(answer.status, 500 | 503), "{}", answer.text());
                    return;
                }
                Err(_) => return,
            }
        }
        panic!("the disk does not end");
    }

    /// With space again the state is what was released, or newer, and goes on.
    fn goes_on(&self) {
        let witness = self.dir.start();
        let shown = witness.latest(self.log.origin()).expect(200);
        let shown = SignedNote::parse(&shown.body).expect("a note");
        let size = self.record.saw_latest(&shown).size.get();
        self.step(&witness, size, size + 1);
        self.record.assert_one_history(self.log.origin(), &self.history);
        assert_eq!(witness.evidence(self.log.origin()).len(), 0, "an honest log");
        assert!(witness.terminate().status.success());
    }
}

#[test]
fn no_signature_leaves_that_a_full_disk_does_not_hold() {
    let Some(scene) = Scene::new() else { return };
    let witness = scene.dir.start();
    scene.step(&witness, 0, 5);
    scene.disk.fill(0);
    scene.step_until_full(&witness);
    drop(witness);
    // A start on a full disk may fail; whatever it shows, it has not forgotten.
    if let Ok(witness) = scene.dir.try_start() {
        let shown = witness.latest(scene.log.origin());
        if shown.status == 200 {
            scene.record.saw_latest(&SignedNote::parse(&shown.body).expect("a note"));
        }
        scene.step_until_full(&witness);
    }
    scene.disk.make_room();
    scene.goes_on();
}

#[test]
fn no_refusal_leaves_before_its_evidence_is_kept() {
    let Some(scene) = Scene::new() else { return };
    let fork = scene.history.fork(3, "another history", 20);
    let witness = scene.dir.start();
    scene.step(&witness, 0, 5);
    scene.disk.fill(0);
    let convicting = scene.log.request(&fork, 5, 20);
    witness.add_checkpoint(&convicting).expect(500);
    assert_eq!(witness.evidence(scene.log.origin()).len(), 0);
    scene.disk.make_room();
    witness.add_checkpoint(&convicting).expect(422);
    assert_eq!(witness.evidence(scene.log.origin()).len(), 1);
    scene.step(&witness, 5, 9);
}

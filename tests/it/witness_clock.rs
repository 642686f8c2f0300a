//! A clock that goes wrong under a witness: it never signs an earlier time, and never one so far
//! ahead that it would be silent for years afterwards.
//!
//! The clock is faked by libfaketime. Without it these tests are skipped and say so.

use log_tests::{Cosigned, FakeClock, History, SignedLog, WitnessDir, WitnessProcess};

/// A witness that has cosigned size 5 by an honest clock.
struct Scene {
    dir: WitnessDir,
    record: Cosigned,
    log: SignedLog,
    history: History,
    clock: FakeClock,
}

impl Scene {
    fn new() -> Option<Self> {
        let clock = FakeClock::new()?;
        let (dir, log) = (WitnessDir::init("witness.example"), SignedLog::new("log.example"));
        dir.add_log(&log.key(), None);
        let record = Cosigned::by(dir.keys());
        let scene = Self { dir, record, log, history: History::new("a", 30), clock };
        let witness = scene.dir.start();
        scene.step(&witness, 0, 5);
        assert!(witness.terminate().status.success());
        Some(scene)
    }

    /// An honest step, which the witness takes.
    #[track_caller]
    fn step(&self, witness: &WitnessProcess, old: u64, new: u64) {
        let request = self.log.request(&self.history, old, new);
        self.record.accept(&request.checkpoint, witness.add_checkpoint(&request));
        self.record.assert_one_history(self.log.origin(), &self.history);
    }

    /// An honest step, which the witness does not take because of its clock.
    #[track_caller]
    fn refused_step(&self, witness: &WitnessProcess, old: u64, new: u64) {
        let request = self.log.request(&self.history, old, new);
        let answer = witness.add_checkpoint(&request).expect(503);
        assert!(answer.text().contains("clock"), "{}", answer.text());
    }

    /// Serves with a clock that is off by so much, in the words of faketime.
    fn start(&self, flags: &[&str], offset: &str) -> WitnessProcess {
        self.clock.set(offset);
        let mut command = self.dir.command("serve");
        self.clock.give(command.args(flags));
        let any_port = ([127, 0, 0, 1], 0).into();
        WitnessProcess::spawn_on(any_port, &mut command).expect("the witness serves")
    }
}

#[test]
fn ten_days_behind_it_waits_and_a_minute_behind_it_does_not() {
    let Some(scene) = Scene::new() else { return };
    let witness = scene.start(&[], "-10d");
    scene.refused_step(&witness, 5, 9);
    scene.refused_step(&witness, 5, 5);
    witness.latest(scene.log.origin()).expect(200);
    drop(witness);
    let witness = scene.start(&[], "-30s");
    // The record sees to it that no time goes back.
    scene.step(&witness, 5, 9);
    drop(witness);
    scene.step(&scene.dir.start(), 9, 12);
}

#[test]
fn ten_years_ahead_it_waits_unless_its_operator_says_that_this_is_right() {
    let Some(scene) = Scene::new() else { return };
    let ten_years = "+3650d";
    let witness = scene.start(&[], ten_years);
    scene.refused_step(&witness, 5, 9);
    drop(witness);
    // It is not silent for ten years.
    let witness = scene.dir.start();
    scene.step(&witness, 5, 9);
    drop(witness);
    let witness = scene.start(&["--accept-clock"], ten_years);
    scene.step(&witness, 9, 10);
    drop(witness);
    let witness = scene.dir.start();
    scene.refused_step(&witness, 10, 11);
}

#[test]
fn a_clock_that_is_moved_while_it_serves_is_noticed() {
    let Some(scene) = Scene::new() else { return };
    let witness = scene.start(&[], "+0");
    scene.step(&witness, 5, 6);
    for moved in ["-10d", "+3650d", "+5m"] {
        scene.clock.set(moved);
        scene.refused_step(&witness, 6, 7);
    }
    scene.clock.set("+0");
    scene.step(&witness, 6, 7);
}

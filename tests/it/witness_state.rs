//! A witness whose state was lost, rolled back or mixed up never begins again in silence: it signs
//! nothing until an operator names the head to restart from, and then it goes on from there.

use std::fs;
use std::path::{Path, PathBuf};

use log_core::witness::AddCheckpointRequest;
use log_tests::data_dir::copy_dir;
use log_tests::{Cosigned, History, SignedLog, WitnessDir, WitnessProcess};

const NAME: &str = "witness.example";

/// A witness and one log that it has cosigned, and what everybody knows of that.
struct Scene {
    dir: WitnessDir,
    record: Cosigned,
    log: SignedLog,
    history: History,
    files: tempfile::TempDir,
}

impl Scene {
    /// The witness has cosigned sizes 5 and 9, and does not serve now.
    fn new() -> Self {
        let (dir, log) = (WitnessDir::init(NAME), SignedLog::new("log.example"));
        dir.add_log(&log.key(), None);
        let record = Cosigned::by(dir.keys());
        let files = tempfile::tempdir().expect("a temporary directory");
        let scene = Self { dir, record, log, history: History::new("a", 30), files };
        let witness = scene.dir.start();
        scene.step(&witness, 0, 5);
        scene.step(&witness, 5, 9);
        stop(witness);
        scene
    }

    /// An honest step, which the witness takes.
    #[track_caller]
    fn step(&self, witness: &WitnessProcess, old: u64, new: u64) {
        let request = self.log.request(&self.history, old, new);
        self.record.accept(&request.checkpoint, witness.add_checkpoint(&request));
        self.record.assert_one_history(self.log.origin(), &self.history);
    }

    fn database(&self) -> PathBuf {
        self.dir.path().join("witness.redb")
    }

    /// What the witness shows, in a file.
    fn shown(&self, witness: &WitnessProcess) -> PathBuf {
        let note = witness.latest(self.log.origin()).expect(200);
        self.file(note.text())
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.files.path().join("head");
        fs::write(&path, text).expect("written");
        path
    }

    /// What a log, honest or not, may ask of a witness that forgot.
    fn requests(&self) -> Vec<AddCheckpointRequest> {
        let fork = self.history.fork(3, "another history", 20);
        let request = |history, old, new| self.log.request(history, old, new);
        vec![
            request(&self.history, 0, 9),
            request(&self.history, 9, 9),
            request(&self.history, 9, 12),
            request(&self.history, 5, 12),
            request(&fork, 0, 12),
            request(&fork, 9, 12),
        ]
    }

    /// Nothing of this log is signed, whatever is asked.
    #[track_caller]
    fn assert_shut(&self, witness: &WitnessProcess) {
        for request in self.requests() {
            let answer = witness.add_checkpoint(&request).expect(503);
            assert!(!answer.text().contains('\u{2014}'), "{}", answer.text());
        }
    }

    #[track_caller]
    fn accept_lost_state(&self, head: &Path, flags: &[&str], accepted: bool) {
        let head = head.to_str().expect("a plain path");
        let flags = [&[self.log.origin().as_str(), "--head", head], flags].concat();
        let output = self.dir.try_run("accept-lost-state", &flags);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), accepted, "{flags:?}: {stderr}");
    }
}

#[track_caller]
fn stop(witness: WitnessProcess) {
    let ended = witness.terminate();
    assert!(ended.status.success(), "{ended:?}");
}

#[test]
fn without_its_database_nothing_is_signed_until_a_head_is_named() {
    let scene = Scene::new();
    let witness = scene.dir.start();
    let text = witness.latest(scene.log.origin()).expect(200).text().to_owned();
    stop(witness);
    fs::remove_file(scene.database()).expect("the database");

    // Neither a start nor the ordinary add-log makes a new one.
    let witness = scene.dir.start();
    scene.assert_shut(&witness);
    witness.latest(scene.log.origin()).expect(503);
    assert!(witness.process().stderr().contains("database"), "{}", witness.process().stderr());
    stop(witness);
    let key = scene.log.key().to_string();
    assert!(!scene.dir.try_run("add-log", &[&key]).status.success());
    assert!(!scene.database().exists());

    scene.dir.run("add-log", &[&key, "--after-loss"]);
    let witness = scene.dir.start();
    scene.assert_shut(&witness);
    // Not by a head that nobody has cosigned, nor by one of another log.
    let only_the_log = scene.log.sign(scene.history.head_at(9)).to_string();
    scene.accept_lost_state(&scene.file(&only_the_log), &[], false);
    scene.assert_shut(&witness);
    scene.accept_lost_state(&scene.file(&text), &[], true);
    for request in scene.requests().split_off(4) {
        assert!(matches!(witness.add_checkpoint(&request).status, 409 | 422));
    }
    scene.step(&witness, 9, 12);
    // It is no way back.
    scene.accept_lost_state(&scene.file(&text), &[], false);
    stop(witness);
    let witness = scene.dir.start();
    scene.step(&witness, 12, 13);
}

#[test]
fn a_peer_is_believed_only_by_name_and_only_after_a_loss() {
    let scene = Scene::new();
    let peer = WitnessDir::init("peer.example");
    peer.add_log(&scene.log.key(), None);
    let peer_process = peer.start();
    let request = scene.log.request(&scene.history, 0, 11);
    peer_process.add_checkpoint(&request).expect(200);
    let head = scene.shown(&peer_process);
    let (peer_key, other_key) = (peer.ed25519_key().to_string(), scene.dir.keys()[0].to_string());
    scene.accept_lost_state(&head, &["--peer-vkey", &peer_key], false);

    fs::remove_file(scene.database()).expect("the database");
    scene.dir.run("add-log", &[&scene.log.key().to_string(), "--after-loss"]);
    let witness = scene.dir.start();
    scene.accept_lost_state(&head, &[], false);
    scene.accept_lost_state(&head, &["--peer-vkey", &other_key], false);
    scene.assert_shut(&witness);
    scene.accept_lost_state(&head, &["--peer-vkey", &peer_key], true);
    scene.step(&witness, 11, 12);
}

#[test]
fn a_restored_database_is_found_out_by_an_own_signature_and_stays_shut() {
    let scene = Scene::new();
    let backup = scene.files.path().join("backup.redb");
    fs::copy(scene.database(), &backup).expect("a backup");
    let witness = scene.dir.start();
    scene.step(&witness, 9, 14);
    let newest = witness.latest(scene.log.origin()).expect(200).text().to_owned();
    stop(witness);
    fs::copy(&backup, scene.database()).expect("the old database is back");

    let witness = scene.dir.start();
    // The log says what the witness signed since.
    let mut request = scene.log.request(&scene.history, 9, 14);
    request.checkpoint.clone_from(&newest);
    witness.add_checkpoint(&request).expect(503);
    scene.assert_shut(&witness);
    stop(witness);
    let witness = scene.dir.start();
    scene.assert_shut(&witness);

    let old = witness.latest(scene.log.origin()).expect(200).text().to_owned();
    scene.accept_lost_state(&scene.file(&old), &[], false);
    scene.accept_lost_state(&scene.file(&newest), &[], true);
    scene.step(&witness, 14, 15);
}

#[test]
fn keys_beside_the_database_of_others_sign_nothing() {
    let scene = Scene::new();
    let other = WitnessDir::init(NAME);
    other.add_log(&scene.log.key(), None);
    let keys = |dir: &WitnessDir| dir.path().join("keys");
    fs::copy(keys(&scene.dir), keys(&other)).expect("the keys are moved");
    let witness = other.start();
    scene.assert_shut(&witness);
    assert!(witness.process().stderr().contains("state id"), "{}", witness.process().stderr());
    stop(witness);
    // With their database they go on wherever they are.
    let moved = scene.files.path().join("moved");
    copy_dir(scene.dir.path(), &moved);
    let mut command = std::process::Command::new(log_tests::process::program("cairn-witness"));
    command.args(["serve", "--data-dir"]).arg(&moved);
    let any_port = ([127, 0, 0, 1], 0).into();
    let witness = WitnessProcess::spawn_on(any_port, &mut command).expect("it serves");
    scene.step(&witness, 9, 12);
}

#[test]
fn a_second_process_on_the_same_state_does_not_start() {
    let scene = Scene::new();
    let witness = scene.dir.start();
    let ended = scene.dir.try_start().err().expect("the directory is in use");
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    scene.step(&witness, 9, 10);
}

//! What stops a running log, and what does not. A witness's word costs it its vote; only a note
//! that this log's own key signed, and that is not in its history, ends the process, and then both
//! notes are kept.

use std::fs;
use std::path::{Path, PathBuf};

use log_core::{
    Evidence, EvidenceKind, EvidenceRole, SignedNote, TreeHead, TreeSize, VerifierKey, sha256,
};
use log_tests::hostile_witness::Reply;
use log_tests::{
    DataDir, HostileWitness, Request, ServerProcess, SignedLog, SubmissionMaker, check_log,
};

use crate::cosign_scene::{
    LOG, origin_of, quorum_of, submit_until_taken, wait_for, wait_for_state, wait_for_witness,
    wait_until_published,
};

const ORIGIN: &str = "log.example";
/// A second log of the same process, without witnesses.
const OTHER: &str = "other";
/// Entries of the log before its witness turns on it.
const BEFORE: u64 = 5;

/// A log whose key somebody else has as well, with two honest witnesses and a third.
struct Scene {
    dir: DataDir,
    thief: SignedLog,
    _honest: [HostileWitness; 2],
    third: HostileWitness,
    maker: SubmissionMaker,
}

impl Scene {
    fn new() -> Self {
        let mut dir = DataDir::born(ORIGIN, *sha256(ORIGIN.as_bytes()).as_bytes());
        dir.add_log(OTHER, "raw", None);
        let thief = SignedLog::new(ORIGIN);
        assert_eq!(thief.key(), *dir.default_key());
        let honest = ["a.example", "b.example"].map(HostileWitness::start);
        let third = HostileWitness::start("h.example");
        let rows = [("a", &honest[0]), ("b", &honest[1]), ("h", &third)];
        dir.set_policy(LOG, &quorum_of(2, &rows.map(|(name, one)| (name, one.key(), one.url()))));
        Self { dir, thief, _honest: honest, third, maker: SubmissionMaker::new() }
    }

    fn begin(&mut self) -> ServerProcess {
        let server = self.dir.start();
        wait_until_published(&server, LOG);
        for _ in 0..BEFORE {
            self.submit(&server);
        }
        server
    }

    fn submit(&mut self, server: &ServerProcess) -> u64 {
        submit_until_taken(server, &self.maker.make(), self.dir.default_key()).index.get()
    }

    /// Sends an entry to a log that will not live to answer it, or will not answer it at all.
    fn provoke(&mut self, server: &ServerProcess) {
        let json = self.maker.make().json();
        let _ = server.connect().try_send(&Request::post("/api/v2/log/entries", json));
    }

    /// A note of the log's key about a head that the log never had.
    fn note(&self, size: u64) -> SignedNote {
        self.thief.sign(TreeHead { size: TreeSize::new(size), root_hash: sha256(b"elsewhere") })
    }

    /// The evidence directory, file by file.
    fn kept(&self) -> Vec<PathBuf> {
        let files = fs::read_dir(self.dir.log(LOG).join("evidence")).expect("kept");
        let mut files: Vec<_> = files.map(|file| file.expect("an entry").path()).collect();
        files.sort();
        files
    }

    /// The third witness shows the note; the log ends at its next round.
    fn ends_by(&mut self, server: ServerProcess, claim: fn() -> Reply, note: &SignedNote) {
        self.third.shows(note.to_string());
        self.third.plays(move |_| claim());
        self.provoke(&server);
        let ended = server.wait();
        assert_eq!(ended.status.code(), Some(1), "{ended:?}");
        assert!(ended.stderr.contains("witness h shows a note that this log's key signed"));
        assert!(ended.stderr.contains("evidence"), "{}", ended.stderr);
        assert!(!ended.stderr.contains("panicked"), "{}", ended.stderr);
        let theirs = self.kept().into_iter().find(|file| named(file, "theirs-"));
        let theirs = fs::read(theirs.expect("their note")).expect("readable");
        assert_eq!(theirs, note.to_string().into_bytes());
        let ours = self.kept().into_iter().find(|file| named(file, "ours-"));
        let ours = fs::read(ours.expect("our note")).expect("readable");
        let ours = SignedNote::parse(&ours).expect("a note");
        ours.verify(&[self.dir.default_key().clone()]).expect("signed by the log");
    }

    /// The log stays shut at every start; the other log of the process serves.
    fn stays_shut(&self, why: &str) {
        for _ in 0..2 {
            let server = self.dir.start();
            let row = wait_for_state(&server, LOG, "shut");
            let reason = row["reason"].as_str().expect("a reason");
            assert!(reason.contains(why), "{reason}");
            let refused = server.submit(&SubmissionMaker::new().make().json()).expect(503);
            assert!(refused.text().contains(why), "{}", refused.text());
            server.get("/checkpoint").expect(503);
            server.send(&Request::post(&format!("/logs/{OTHER}/add"), "leaf")).expect(200);
            assert!(server.terminate().status.success());
        }
    }
}

fn named(file: &Path, start: &str) -> bool {
    file.file_name().is_some_and(|name| name.to_string_lossy().starts_with(start))
}

#[test]
fn a_larger_note_of_its_own_key_ends_the_log() {
    let mut scene = Scene::new();
    let server = scene.begin();
    let note = scene.note(1000);
    scene.ends_by(server, || Reply::size(1000), &note);
    scene.stays_shut("shows a note that this log's key signed over 1000:");
    // It convicts nobody: an honest log may have grown that far elsewhere.
    assert!(
        scene.kept().iter().all(|file| file.extension().is_none_or(|end| end != "tlog-evidence"))
    );
    // The note was kept, so it counts even when the witness shows it no more.
    scene.third.is_honest();
    scene.stays_shut("shows a note that this log's key signed over 1000:");
    // It is for the operator to say what became of it.
    for file in scene.kept() {
        fs::remove_file(file).expect("kept");
    }
    let server = scene.dir.start();
    wait_until_published(&server, LOG);
    assert_eq!(scene.submit(&server), BEFORE + 1, "the entry before it was committed");
}

#[test]
fn another_root_under_its_own_key_ends_the_log_for_ever_and_convicts_the_key() {
    for (size, claim) in
        [(BEFORE, (|| Reply::status(422)) as fn() -> Reply), (3, || Reply::size(999))]
    {
        let mut scene = Scene::new();
        let server = scene.begin();
        let note = scene.note(size);
        scene.ends_by(server, claim, &note);
        let mut files = scene.kept().into_iter();
        let file = files.find(|file| file.extension().is_some_and(|end| end == "tlog-evidence"));
        let file = fs::read(file.expect("evidence")).expect("readable");
        assert_convicts(&file, scene.dir.default_key());
        // Whatever the witness says from now on.
        scene.stays_shut("its key signed two histories");
        scene.third.is_honest();
        scene.stays_shut("its key signed two histories");
    }
}

/// What `cairn evidence verify` decides.
#[track_caller]
fn assert_convicts(file: &[u8], key: &VerifierKey) {
    let evidence = Evidence::parse(file).expect("evidence");
    assert_eq!(evidence.kind(), EvidenceKind::LogFork);
    let keys = std::slice::from_ref(key);
    let proven = evidence.verify(EvidenceRole::Log, &origin_of(key), keys);
    assert!(proven.is_ok(), "{proven:?}: {evidence}");
}

#[test]
fn notes_that_prove_nothing_leave_the_log_open() {
    let mut scene = Scene::new();
    let server = scene.begin();
    let own = server.get("/checkpoint").expect(200).text().to_owned();
    let foreign = SignedLog::new("other.example");
    let far = TreeHead { size: TreeSize::new(1000), root_hash: sha256(b"elsewhere") };
    let mut unsigned = scene.note(1000).to_string();
    unsigned.replace_range(unsigned.len() - 9..unsigned.len() - 5, "AAAA");
    let notes: [Vec<u8>; 7] = [
        own.into_bytes(),
        foreign.sign(far).to_string().into_bytes(),
        // The log's key, but another log's origin: nobody may take it for this log's.
        foreign.sign(far).to_string().replacen("other.example\n", "log.example\n", 1).into_bytes(),
        unsigned.into_bytes(),
        b"no note".into(),
        Vec::new(),
        vec![b'x'; 10_000_000],
    ];
    assert!(server.terminate().status.success());
    for note in notes {
        scene.third.is_honest();
        let server = scene.dir.start();
        wait_until_published(&server, LOG);
        scene.third.shows(note.clone());
        scene.third.plays(|_| Reply::status(422));
        wait_for(&server, LOG, "an alarm", |row| {
            submit_until_taken(&server, &scene.maker.make(), scene.dir.default_key());
            row["witnessing"]["witnesses"][2]["state"] == "alarm"
        });
        scene.submit(&server);
        let row = wait_for_witness(&server, LOG, "h", "alarm");
        assert!(row["reason"].as_str().is_some_and(|why| why.contains("422")), "{row}");
        assert!(server.terminate().status.success());
    }
    assert!(!scene.dir.log(LOG).join("evidence").exists(), "nothing was proven");
    scene.third.is_honest();
    let server = scene.dir.start();
    wait_until_published(&server, LOG);
    check_log(&server.url(), scene.dir.default_key());
}

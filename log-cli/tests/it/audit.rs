//! `cairn audit` against logs and witnesses in memory: what it believes, convicts and remembers.

use std::collections::HashMap;
use std::fs;
use std::thread;
use std::time::Duration;

use log_core::witness::origin_hash;
use serde_json::{Value, json};

use crate::binary::Place;
use crate::fixture::{TestLog, cosigned, now_s, policy, witness};
use crate::served::{Server, files_of};

pub(crate) const ORIGIN: &str = "localhost";

/// A log and two witnesses, of which both are enough.
pub(crate) struct Scene {
    pub(crate) place: Place,
    pub(crate) log: Server,
    pub(crate) witnesses: [Server; 2],
}

impl Scene {
    /// The log shows this tree, cosigned now by both; both witnesses show the same head.
    pub(crate) fn new(log: &TestLog) -> Self {
        let witnesses = [(); 2].map(|()| Server::start(HashMap::new()));
        let scene = Self { place: Place::new(), log: Server::start(HashMap::new()), witnesses };
        let urls = scene.witnesses.each_ref().map(|server| server.url.as_str());
        scene.place.write("policy", policy(&[log], &urls, 2));
        scene.show(log, now_s());
        let head = log.checkpoint(log.leaves.len());
        scene.witness(1, &cosigned(&head, &[(1, now_s())]));
        scene.witness(2, &cosigned(&head, &[(2, now_s())]));
        scene
    }

    /// The log serves this tree alone, cosigned by both at that time.
    pub(crate) fn show(&self, log: &TestLog, time_s: u64) {
        *self.log.files.lock().unwrap() = files_of(log);
        let note = cosigned(&log.checkpoint(log.leaves.len()), &[(1, time_s), (2, time_s)]);
        self.log.put("checkpoint", note.into_bytes());
    }

    /// The witness shows this note.
    pub(crate) fn witness(&self, number: usize, note: &str) {
        self.witnesses[number - 1].put(&head_path(ORIGIN), note.as_bytes().to_vec());
    }

    pub(crate) fn command(&self) -> String {
        format!("audit --url {} --policy policy --evidence-dir evidence", self.log.url)
    }

    /// The reason on stderr and the report on stdout.
    #[track_caller]
    pub(crate) fn audit(&self, code: i32, more: &str) -> (String, Value) {
        let output = self.place.cairn(&format!("--json {}{more}", self.command()));
        let stderr = String::from_utf8(output.stderr).unwrap();
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(code), "{stderr}{stdout}");
        let report: Value = serde_json::from_str(&stdout).unwrap();
        // Nobody is called convicted without a file that convicts.
        assert_eq!(
            stdout.to_lowercase().contains("convicted:"),
            report["convictions"].as_array().is_some_and(|all| !all.is_empty())
        );
        (stderr, report)
    }

    /// The audit must convict, and each file of evidence must do so by itself.
    #[track_caller]
    pub(crate) fn convicts(&self, more: &str, kinds: &[&str]) -> Value {
        let (stderr, report) = self.audit(1, more);
        assert!(stderr.starts_with("cairn: convicted: "), "{stderr}");
        let convictions = report["convictions"].as_array().unwrap();
        let found: Vec<_> = convictions.iter().map(|c| c["kind"].as_str().unwrap()).collect();
        assert_eq!(found, kinds);
        for conviction in convictions {
            let file = conviction["file"].as_str().unwrap();
            let key = conviction["keys"][0].as_str().unwrap();
            let option = if conviction["kind"].as_str().unwrap().starts_with("log") {
                "log"
            } else {
                "cosigner"
            };
            let verify = format!("evidence verify {file} --{option}-vkey {key} --origin {ORIGIN}");
            let told = self.place.expect(0, &format!("{verify} --json"));
            let told: Value = serde_json::from_str(&told).unwrap();
            assert_eq!(told["id"], conviction["id"]);
            assert!(told["comments"][0].as_str().unwrap().starts_with("collected by cairn audit"));
        }
        report
    }

    pub(crate) fn evidence_files(&self) -> usize {
        fs::read_dir(self.place.path().join("evidence")).map_or(0, Iterator::count)
    }
}

pub(crate) fn head_path(origin: &str) -> String {
    let origin = log_core::Origin::parse(origin).unwrap();
    format!("{}/checkpoint", origin_hash(&origin))
}

#[test]
fn honest_logs_are_consistent_at_all_sizes() {
    for (log_size, of_witness) in [(0, 0), (1, 0), (1, 1), (300, 300), (300, 256), (700, 5)] {
        let log = TestLog::with_leaves(ORIGIN, log_size);
        let scene = Scene::new(&log);
        scene.witness(1, &cosigned(&log.checkpoint(of_witness), &[(1, now_s())]));
        let (_, report) = scene.audit(0, " --state state");
        assert_eq!((&report["consistent"], &report["fresh"]), (&json!(true), &json!(true)));
        assert_eq!(report["heads"].as_array().unwrap().len(), 3);
        assert_eq!(report["newest"]["treeSize"], log_size);
        assert!(scene.place.exists("state"));
        let text = scene.place.expect(0, &scene.command());
        assert!(text.trim_end().ends_with("consistent: all heads are of one history"), "{text}");
        assert_eq!(scene.evidence_files(), 0);
    }
}

#[test]
fn the_newest_head_is_remembered_and_never_given_up() {
    let scene = Scene::new(&TestLog::with_leaves(ORIGIN, 300));
    let [earlier, later] = [now_s() - 50, now_s() - 40];
    scene.show(&TestLog::with_leaves(ORIGIN, 300), earlier);
    for number in [1, 2] {
        let head = TestLog::with_leaves(ORIGIN, 300).checkpoint(300);
        scene.witness(number.into(), &cosigned(&head, &[(number, earlier)]));
    }
    let state = || fs::read(scene.place.path().join("state")).unwrap();
    scene.audit(0, " --state state");
    let at_300 = state();
    let log = TestLog::with_leaves(ORIGIN, 700);
    scene.show(&log, later);
    scene.audit(0, " --state state");
    let at_700 = state();
    assert!(at_300 != at_700);
    // The log shows an older checkpoint; the tiles of the newer one are still there.
    let older = cosigned(&log.checkpoint(300), &[(1, earlier), (2, earlier)]);
    scene.log.put("checkpoint", older.into_bytes());
    let (stderr, report) = scene.audit(1, " --state state");
    assert_eq!(report["heads"][3]["source"], "lastTime");
    assert_eq!(stderr, "cairn: stale: the log shows size 300, the last audit saw size 700\n");
    assert_eq!((&report["consistent"], &report["fresh"]), (&json!(true), &json!(false)));
    assert!(state() == at_700);
    // Then they are gone: nobody can tell what became of them.
    scene.show(&TestLog::with_leaves(ORIGIN, 300), earlier);
    let (_, report) = scene.audit(1, " --state state");
    let undecided = report["undecided"][0].as_str().unwrap();
    assert!(undecided.starts_with("the tiles of size 700 of the last audit"), "{undecided}");
    assert!(state() == at_700);
    // And then there is another history, which the remembered head convicts.
    scene.show(&TestLog::forked(ORIGIN, 699, 900), now_s());
    scene.log.put("checkpoint", TestLog::forked(ORIGIN, 699, 900).checkpoint(900).into_bytes());
    scene.convicts(" --state state", &["log-fork"]);
    assert!(state() == at_700);
}

#[test]
fn a_fork_that_a_witness_has_seen_convicts_the_log() {
    for (common, log_size, of_witness) in
        [(0, 1, 1), (3, 5, 4), (100, 300, 256), (299, 301, 300), (299, 300, 300), (0, 700, 1)]
    {
        let scene = Scene::new(&TestLog::with_leaves(ORIGIN, log_size));
        let fork = TestLog::forked(ORIGIN, common, of_witness);
        scene.witness(2, &cosigned(&fork.checkpoint(of_witness), &[(2, now_s() - 9)]));
        // The same witness cosigned the log's checkpoint as well.
        let kinds = &["log-fork", "cosigner-fork"];
        let report = scene.convicts(" --state state", kinds);
        assert!(!scene.place.exists("state"));
        if common > 0 && of_witness < log_size {
            let file = report["convictions"][0]["evidence"].as_str().unwrap();
            let said = format!("the first {of_witness} leaves of the tree of size {log_size} have");
            assert!(file.contains(&said), "{file}");
        }
        assert_eq!(scene.evidence_files(), 2);
        // Again: the same files.
        scene.convicts("", kinds);
        assert_eq!(scene.evidence_files(), 2);
    }
}

#[test]
fn one_deed_is_told_once() {
    let scene = Scene::new(&TestLog::with_leaves(ORIGIN, 300));
    scene.audit(0, " --state state");
    // Now the log and the last audit show one note with the same lines.
    let fork = TestLog::forked(ORIGIN, 200, 300);
    scene.witness(2, &cosigned(&fork.checkpoint(300), &[(2, now_s())]));
    scene.convicts(" --state state", &["log-fork", "cosigner-fork"]);
}

#[test]
fn a_fork_against_honest_witnesses_convicts_the_log_alone() {
    let fork = TestLog::forked(ORIGIN, 200, 300);
    let scene = Scene::new(&fork);
    scene.log.put("checkpoint", fork.checkpoint(300).into_bytes());
    let honest = TestLog::with_leaves(ORIGIN, 290);
    for number in [1, 2] {
        let note = cosigned(&honest.checkpoint(290), &[(number, now_s())]);
        scene.witness(number.into(), &note);
    }
    let report = scene.convicts("", &["log-fork"]);
    assert_eq!(report["stale"].as_array().unwrap().len(), 1, "no quorum on the log's own head");
    assert_eq!(scene.evidence_files(), 1);
}

#[test]
fn a_wrong_empty_root_convicts_by_itself() {
    let scene = Scene::new(&TestLog::with_leaves(ORIGIN, 3));
    let mut head = TestLog::new(ORIGIN).head(0);
    head.root_hash = log_core::sha256(b"not empty");
    let note = TestLog::new(ORIGIN).sign(head);
    scene.witness(1, &cosigned(&note, &[(1, now_s())]));
    scene.convicts("", &["log-empty-root"]);
}

#[test]
fn a_witness_that_goes_back_is_convicted() {
    let log = TestLog::with_leaves(ORIGIN, 300);
    let scene = Scene::new(&log);
    // It cosigned 300 now, and afterwards 290.
    scene.witness(1, &cosigned(&log.checkpoint(290), &[(1, now_s() + 7)]));
    let report = scene.convicts("", &["cosigner-rollback"]);
    assert_eq!(report["convictions"][0]["keys"][0], witness(1).verifier_key().to_string());
    // The earlier head may be smaller, and a second may see two heads.
    let time = now_s();
    scene.show(&log, time);
    for earlier in [time, time - 100] {
        scene.witness(1, &cosigned(&log.checkpoint(290), &[(1, earlier)]));
        scene.audit(0, "");
    }
}

#[test]
fn old_future_and_missing_cosignatures_are_stale() {
    let log = TestLog::with_leaves(ORIGIN, 10);
    let scene = Scene::new(&log);
    for (time_s, more, code) in [
        (now_s() - 3_000, "", 0),
        (now_s() - 4_000, "", 1),
        (now_s() - 4_000, " --age-max-s 5000", 0),
        (now_s() - 60, " --age-max-s 5", 1),
        (now_s() + 4_000, "", 1),
    ] {
        scene.show(&log, time_s);
        scene.witness(1, &cosigned(&log.checkpoint(10), &[(1, time_s)]));
        let (stderr, report) = scene.audit(code, more);
        assert_eq!(report["fresh"], code == 0);
        assert_eq!(stderr.starts_with("cairn: stale: "), code == 1, "{stderr}");
    }
    scene.log.put("checkpoint", cosigned(&log.checkpoint(10), &[(1, now_s())]).into_bytes());
    let (stderr, _) = scene.audit(1, "");
    assert!(stderr.contains("cosigned by w1, not by w2"), "{stderr}");
}

#[test]
fn what_a_witness_shows_must_be_fresh_as_well() {
    let log = TestLog::with_leaves(ORIGIN, 10);
    let scene = Scene::new(&log);
    for (time_s, more, code) in [
        (now_s() - 3_000, "", 0),
        (now_s() - 4_000, "", 1),
        (now_s() - 4_000, " --age-max-s 5000", 0),
        (now_s() + 4_000, "", 1),
    ] {
        // The line of another witness on what this one shows is not its own; it is older than the
        // one on the log's larger head, or that witness went back.
        scene.witness(1, &cosigned(&log.checkpoint(9), &[(1, time_s), (2, now_s() - 60)]));
        // A cosignature of the future goes back by itself; here it is of the log's own head.
        if time_s > now_s() {
            scene.witness(1, &cosigned(&log.checkpoint(10), &[(1, time_s)]));
        }
        let (stderr, report) = scene.audit(code, more);
        assert_eq!((&report["consistent"], &report["fresh"]), (&json!(true), &json!(code == 0)));
        let prefix = format!("cairn: stale: the witness {} shows", scene.witnesses[0].url);
        assert_eq!(stderr.starts_with(&prefix), code == 1, "{stderr}");
    }
}

#[test]
fn a_log_that_is_about_to_publish_is_waited_for() {
    let scene = Scene::new(&TestLog::with_leaves(ORIGIN, 300));
    let newer = TestLog::with_leaves(ORIGIN, 301);
    scene.witness(1, &cosigned(&newer.checkpoint(301), &[(1, now_s())]));
    thread::scope(|scope| {
        scope.spawn(|| {
            thread::sleep(Duration::from_millis(400));
            scene.show(&newer, now_s());
        });
        scene.audit(0, "");
    });
    // One that does not publish it leaves a suspicion: its tiles would be needed to tell.
    let fork = TestLog::forked(ORIGIN, 290, 310);
    scene.witness(1, &cosigned(&fork.checkpoint(310), &[(1, now_s())]));
    let (stderr, report) = scene.audit(3, "");
    assert!(stderr.starts_with("cairn: could not tell: the tiles of size 310"), "{stderr}");
    assert_eq!(report["consistent"], false);
    assert_eq!(scene.evidence_files(), 0);
}

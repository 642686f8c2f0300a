//! Loss of state (FORMAT.md, 5): a witness that has forgotten what it signed signs nothing before
//! an operator has told it.

use std::fs;

use log_core::key::{KeyName, VerifierKey};
use log_core::{Checkpoint, CosignerKey, SignedNote};
use log_witness::admin::{NewLog, Order, Report};
use log_witness::init::recreate_database;
use log_witness::keys::WitnessKeys;
use log_witness::witness::OpenError;

use crate::client::{get, post};
use crate::rig::{Rig, START_S, Served, copy_file};
use crate::test_log::TestLog;

fn database(rig: &Rig) -> std::path::PathBuf {
    rig.data_dir().join("witness.redb")
}

fn restart(served: &Served, log: &TestLog, note: &str, peer: Option<&VerifierKey>) -> Report {
    served.order(Order::AcceptLostState {
        origin: log.origin.clone(),
        note: note.into(),
        peer_vkey: peer.map(ToString::to_string),
    })
}

fn refused(report: Report) -> String {
    match report {
        Report::Failed { why } => why,
        other => panic!("{other:?}"),
    }
}

/// A witness that has cosigned 3 and then lost its database, which was made again.
fn after_loss() -> (Rig, TestLog, String) {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 30);
    let served = rig.serve_logs(&[&log]);
    let own = served.add_checkpoint(log.request(0, 3)).body;
    drop(served);
    fs::remove_file(database(&rig)).unwrap();
    let keys = WitnessKeys::load(&rig.config.keys).unwrap();
    recreate_database(&rig.data_dir(), &keys, START_S).unwrap();
    let cosigned = format!("{}{own}", log.note(3));
    (rig, log, cosigned)
}

#[test]
fn without_its_database_every_request_is_503_and_nothing_is_made() {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 9);
    let served = rig.serve_logs(&[&log]);
    served.add_checkpoint(log.request(0, 3));
    drop(served);
    fs::remove_file(database(&rig)).unwrap();
    let served = rig.serve();
    for request in [log.request(0, 3), log.request(3, 9), String::new()] {
        let answer = served.add_checkpoint(request);
        assert_eq!(answer.status, 503);
        assert!(answer.body.contains("database"), "{}", answer.body);
    }
    assert_eq!(post(served.address, "/sign-subtree", "").status, 503);
    assert_eq!(get(served.address, &format!("/{}/checkpoint", log.hash())).status, 503);
    assert_eq!(get(served.admin, "/readyz").status, 503);
    assert!(!database(&rig).exists());
}

#[test]
fn the_database_of_other_keys_is_refused() {
    let (rig, other) = (Rig::new(), Rig::new());
    copy_file(&database(&other), &database(&rig));
    assert!(matches!(rig.open(), Err(OpenError::OtherState { .. })));
    let served = rig.serve();
    assert_eq!(served.add_checkpoint("").status, 503);
}

#[test]
fn a_damaged_database_does_not_open() {
    let rig = Rig::new();
    fs::write(database(&rig), vec![7; 70_000]).unwrap();
    assert!(matches!(rig.open(), Err(OpenError::Store(_))));
    fs::write(database(&rig), b"").unwrap();
    assert!(rig.open().is_err(), "an empty file is no database");
}

#[test]
fn a_log_that_is_added_again_after_a_loss_does_not_begin_again_in_silence() {
    let (rig, log, cosigned) = after_loss();
    let served = rig.serve_logs(&[&log]);
    for (old, new) in [(0, 3), (3, 9), (0, 9)] {
        let answer = served.add_checkpoint(log.request(old, new));
        assert_eq!(answer.status, 503);
        assert!(answer.body.contains("lost"), "{}", answer.body);
    }
    let fork = TestLog::forked(&log.origin, 0, 9);
    assert_eq!(served.add_checkpoint(fork.request(0, 9)).status, 503);
    drop(served);
    let served = rig.serve();
    assert_eq!(served.add_checkpoint(log.request(0, 3)).status, 503, "after a restart too");
    assert_eq!(served.checkpoint(&log), None);
    let report = restart(&served, &log, &cosigned, None);
    assert!(matches!(report, Report::Done { .. }), "{report:?}");
    assert_eq!(served.checkpoint(&log), Some(cosigned));
    assert_eq!(served.add_checkpoint(fork.request(3, 9)).status, 422);
    assert_eq!(served.evidence_ids(&log).len(), 1, "the restart head is in the journal");
    assert_eq!(served.add_checkpoint(log.request(3, 9)).status, 200);
}

#[test]
fn after_a_loss_a_log_may_be_declared_new() {
    let (rig, _, _) = after_loss();
    let new = TestLog::new("log.example/new", 9);
    let served = rig.serve();
    let logs = vec![NewLog { origin: new.origin.clone(), vkeys: vec![new.vkey()] }];
    served.order(Order::AddLogs { logs, add_key: false, never_cosigned: true });
    assert_eq!(served.add_checkpoint(new.request(0, 9)).status, 200);
}

#[test]
fn the_head_to_restart_from_must_be_signed_by_the_log_and_by_this_witness() {
    let (rig, log, cosigned) = after_loss();
    let served = rig.serve_logs(&[&log]);
    let line = cosigned.lines().last().unwrap();
    let other = TestLog::new("log.example/other", 3);
    let fork = TestLog::forked(&log.origin, 0, 3);
    let bad = [
        ("no note", "nonsense".to_owned()),
        ("no own line", log.note(3)),
        ("own line of another size", format!("{}{line}\n", log.note(4))),
        ("own line of another root", format!("{}{line}\n", fork.note(3))),
        ("another log", format!("{}{line}\n", other.note(3))),
        ("no line of the log", cosigned.replace(log.note(3).lines().last().unwrap(), line)),
    ];
    for (what, note) in bad {
        let why = refused(restart(&served, &log, &note, None));
        assert!(!why.is_empty(), "{what}");
        assert_eq!(served.add_checkpoint(log.request(3, 9)).status, 503, "{what}");
    }
    let unknown = Order::AcceptLostState {
        origin: "nobody.example/x".into(),
        note: cosigned,
        peer_vkey: None,
    };
    assert!(refused(served.order(unknown)).contains("not known"));
}

#[test]
fn a_peers_word_counts_only_if_it_is_asked_for_by_name_and_only_after_a_loss() {
    let (rig, log, _) = after_loss();
    let served = rig.serve_logs(&[&log]);
    let peer = CosignerKey::ed25519(KeyName::parse("w.example/peer").unwrap(), [9; 32]);
    let note = SignedNote::parse(log.note(5).as_bytes()).unwrap();
    let checkpoint = Checkpoint::parse(note.text()).unwrap();
    let line = peer.cosign(&checkpoint, START_S).unwrap();
    let note = format!("{}{line}\n", log.note(5));
    assert!(refused(restart(&served, &log, &note, None)).contains("--peer-vkey"));
    let report = restart(&served, &log, &note, Some(peer.verifier_key()));
    assert!(matches!(report, Report::Done { .. }), "{report:?}");
    assert_eq!(served.checkpoint(&log), None, "there is no signature of ours to serve");
    assert_eq!(served.add_checkpoint(log.request(5, 9)).status, 200);
    let line =
        peer.cosign(&Checkpoint::parse(&checkpoint_text(&log, 20)).unwrap(), START_S).unwrap();
    let note = format!("{}{line}\n", log.note(20));
    let why = refused(restart(&served, &log, &note, Some(peer.verifier_key())));
    assert!(why.contains("intact"), "{why}");
    assert_eq!(served.size(&log), 9);
}

fn checkpoint_text(log: &TestLog, size: usize) -> String {
    SignedNote::parse(log.note(size).as_bytes()).unwrap().text().to_owned()
}

/// A database of size 3, under a witness that has already cosigned 9.
fn rolled_back() -> (Rig, TestLog, String) {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 30);
    let served = rig.serve_logs(&[&log]);
    served.add_checkpoint(log.request(0, 3));
    drop(served);
    let backup = rig.dir.path().join("backup");
    copy_file(&database(&rig), &backup);
    rig.hands.pass(10);
    let served = rig.serve();
    let own = served.add_checkpoint(log.request(3, 9)).body;
    drop(served);
    copy_file(&backup, &database(&rig));
    let cosigned = format!("{}{own}", log.note(9));
    (rig, log, cosigned)
}

#[test]
fn an_own_signature_that_the_state_does_not_know_stops_the_log_for_good() {
    let (rig, log, cosigned) = rolled_back();
    let served = rig.serve();
    let request = format!("old 3\n{}\n{cosigned}", proof_lines(&log, 3, 9));
    let answer = served.add_checkpoint(&request);
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("rolled back"), "{}", answer.body);
    // Honest or not, with the line or without, now or after a restart.
    for _ in 0..2 {
        let served = rig.open();
        assert!(served.is_err(), "the first one still holds the database");
    }
    assert_eq!(served.add_checkpoint(log.request(3, 9)).status, 503);
    drop(served);
    let served = rig.serve();
    assert_eq!(served.add_checkpoint(log.request(3, 9)).status, 503);
    let metrics = get(served.admin, "/metrics").body;
    assert!(metrics.contains("cairn_witness_logs{state=\"rolled-back\"} 1"), "{metrics}");
    // It never goes backwards: the old head, and a newer one that is too small, are refused.
    let old = served.checkpoint(&log).unwrap();
    assert!(refused(restart(&served, &log, &old, None)).contains("size 9"));
    let report = restart(&served, &log, &cosigned, None);
    assert!(matches!(report, Report::Done { .. }), "{report:?}");
    assert_eq!(served.add_checkpoint(log.request(9, 12)).status, 200);
}

fn proof_lines(log: &TestLog, old: usize, new: usize) -> String {
    let proof = log.consistency(old, new);
    proof.iter().fold(String::new(), |all, hash| all + &hash.to_base64() + "\n")
}

#[test]
fn a_later_time_over_the_same_size_shows_a_rollback_too() {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 9);
    let served = rig.serve_logs(&[&log]);
    served.add_checkpoint(log.request(0, 3));
    drop(served);
    let backup = rig.dir.path().join("backup");
    copy_file(&database(&rig), &backup);
    rig.hands.pass(10);
    let served = rig.serve();
    let own = served.add_checkpoint(log.request(3, 3)).body;
    drop(served);
    copy_file(&backup, &database(&rig));
    let served = rig.serve();
    assert_eq!(served.add_checkpoint(format!("{}{own}", log.request(3, 3))).status, 503);
}

#[test]
fn a_rollback_is_seen_in_sign_subtree_requests_too() {
    let (rig, log, cosigned) = rolled_back();
    let served = rig.serve();
    let root = log.root(9).to_base64();
    // This witness has no key that signs subtrees; the line is looked at all the same.
    let request = format!("subtree 0 9\n{root}\n\n{cosigned}");
    assert_eq!(post(served.address, "/sign-subtree", request).status, 403);
    assert_eq!(served.add_checkpoint(log.request(3, 9)).status, 503);
}

#[test]
fn an_old_own_signature_is_everyday() {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 9);
    let served = rig.serve_logs(&[&log]);
    let own = served.add_checkpoint(log.request(0, 3)).body;
    rig.hands.pass(5);
    served.add_checkpoint(log.request(3, 9));
    let answer = served.add_checkpoint(format!("{}{own}", log.request(0, 3)));
    assert_eq!((answer.status, answer.body.as_str()), (409, "9\n"));
    let own = served.checkpoint(&log).unwrap().lines().last().unwrap().to_owned();
    let answer = served.add_checkpoint(format!("{}{own}\n", log.request(9, 9)));
    assert_eq!(answer.status, 200, "{}", answer.body);
}

/// Cosigns 3, 9 and 20, and gives the last two as they were answered. The database is that of 3.
fn rolled_back_twice() -> (Rig, TestLog, [String; 2]) {
    let (rig, log) = (Rig::new(), TestLog::new("log.example/a", 30));
    let backup = rig.dir.path().join("backup");
    let served = rig.serve_logs(&[&log]);
    served.add_checkpoint(log.request(0, 3));
    drop(served);
    copy_file(&database(&rig), &backup);
    let served = rig.serve();
    let cosigned = [(3, 9), (9, 20)].map(|(old, new)| {
        rig.hands.pass(10);
        format!("{}{}", log.note(new), served.add_checkpoint(log.request(old, new)).body)
    });
    drop(served);
    copy_file(&backup, &database(&rig));
    (rig, log, cosigned)
}

/// Whatever the order in which the own signatures were shown, only the newest one restarts.
fn restarts_only_from_20(served: &Served, log: &TestLog, [nine, twenty]: &[String; 2]) {
    let fork = TestLog::forked(&log.origin, 9, 20);
    assert!(refused(restart(served, log, nine, None)).contains("size 20"));
    assert_eq!(served.add_checkpoint(fork.request(9, 20)).status, 503);
    let report = restart(served, log, twenty, None);
    assert!(matches!(report, Report::Done { .. }), "{report:?}");
    assert_eq!(served.add_checkpoint(fork.request(9, 20)).status, 409);
    assert_eq!(served.add_checkpoint(fork.request(20, 20)).status, 422);
    assert_eq!(served.add_checkpoint(log.request(20, 30)).status, 200);
}

#[test]
fn after_a_rollback_the_largest_own_signature_that_was_shown_is_the_one_to_restart_from() {
    for shown in [[0, 1], [1, 0]] {
        for subtree in [false, true] {
            let (rig, log, cosigned) = rolled_back_twice();
            let served = rig.serve();
            for which in shown {
                let (note, size) = (&cosigned[which], [9, 20][which]);
                let (path, request) = if subtree {
                    let root = log.root(size).to_base64();
                    ("/sign-subtree", format!("subtree 0 {size}\n{root}\n\n{note}"))
                } else {
                    let proof = proof_lines(&log, 3, size);
                    ("/add-checkpoint", format!("old 3\n{proof}\n{note}"))
                };
                let status = post(served.address, path, request).status;
                assert_eq!(status, if subtree { 403 } else { 503 });
            }
            restarts_only_from_20(&served, &log, &cosigned);
        }
    }
}

#[test]
fn what_was_shown_of_a_lost_log_bounds_its_restart_too() {
    for shown in [[0, 1], [1, 0]] {
        let (rig, log, cosigned) = rolled_back_twice();
        fs::remove_file(database(&rig)).unwrap();
        let keys = WitnessKeys::load(&rig.config.keys).unwrap();
        recreate_database(&rig.data_dir(), &keys, START_S).unwrap();
        let served = rig.serve_logs(&[&log]);
        for which in shown {
            let answer = served.add_checkpoint(format!("old 0\n\n{}", cosigned[which]));
            assert_eq!(answer.status, 503);
            assert!(answer.body.contains("lost"), "{}", answer.body);
        }
        drop(served);
        restarts_only_from_20(&rig.serve(), &log, &cosigned);
    }
}

#[test]
fn an_own_signature_over_another_history_is_noticed_below_the_newest_head_too() {
    let (rig, log, cosigned) = rolled_back();
    let served = rig.serve();
    // On another branch the witness has gone past the size and the time that it has forgotten.
    let fork = TestLog::forked(&log.origin, 3, 30);
    rig.hands.pass(100);
    for (old, new) in [(3, 9), (9, 20)] {
        assert_eq!(served.add_checkpoint(fork.request(old, new)).status, 200);
    }
    let answer = served.add_checkpoint(format!("old 9\n\n{cosigned}"));
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("rolled back"), "{}", answer.body);
    assert_eq!(served.add_checkpoint(fork.request(20, 30)).status, 503);
    assert!(refused(restart(&served, &log, &cosigned, None)).contains("size 20"));
}

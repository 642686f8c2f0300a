//! Evidence: every provable refusal convicts, durably, before it leaves; nothing honest ever does.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use log_core::Origin;
use log_core::evidence::{Evidence, EvidenceRole};
use log_core::key::VerifierKey;
use log_witness::admin::{Order, Report};
use log_witness::evidence::SUSPECTED_FILES_TOTAL_MAX;

use crate::client::get;
use crate::rig::Rig;
use crate::test_log::{TestLog, body};

fn fork_of(log: &TestLog, at: usize, size: usize) -> TestLog {
    TestLog::forked(&log.origin, at, size)
}

#[test]
fn every_fork_is_refused_and_every_provable_one_convicts() {
    let rig = Rig::new();
    let served = rig.serve();
    let sizes = [(1, 2), (3, 3), (3, 4), (5, 8), (6, 13), (7, 16), (4, 7), (8, 9), (12, 20)];
    for (number, (old, new)) in sizes.into_iter().enumerate() {
        for at in 0..old {
            let log = TestLog::new(&format!("log.example/{number}/{at}"), old);
            served.add_log(&log);
            assert_eq!(served.add_checkpoint(log.request(0, old)).status, 200);
            let fork = fork_of(&log, at, new);
            assert_eq!(served.add_checkpoint(fork.request(old, new)).status, 422);
            let provable = old == new || !old.is_power_of_two();
            let ids = served.evidence_ids(&log);
            assert_eq!(ids.len(), usize::from(provable), "{old} -> {new}");
            for id in ids {
                let file = get(served.address, &format!("/{}/evidence/{id}", log.hash()));
                assert_eq!(file.header("content-type"), Some("text/plain; charset=utf-8"));
                assert!(file.header("cache-control").unwrap().contains("immutable"));
                let evidence = Evidence::parse(file.body.as_bytes()).unwrap();
                assert_eq!(evidence.id().to_string(), id);
                let keys = [VerifierKey::parse(&log.vkey()).unwrap()];
                let origin = Origin::parse(&log.origin).unwrap();
                assert!(evidence.verify(EvidenceRole::Log, &origin, &keys).is_ok());
                assert!(!evidence.comments().is_empty());
            }
        }
    }
}

#[test]
fn an_old_head_is_still_remembered_when_another_history_shows_up() {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 20);
    let served = rig.serve_logs(&[&log]);
    for (old, new) in [(0, 3), (3, 6), (6, 11)] {
        assert_eq!(served.add_checkpoint(log.request(old, new)).status, 200);
    }
    // Another root for a size that was cosigned long ago: the answer is only a conflict.
    assert_eq!(served.add_checkpoint(fork_of(&log, 2, 6).request(0, 6)).status, 409);
    assert_eq!(served.evidence_ids(&log).len(), 1);
    // A proof from an old size that leads to a tree without our leaves.
    let fork = fork_of(&log, 1, 9);
    let answer = served.add_checkpoint(fork.request(3, 9));
    assert_eq!((answer.status, answer.body.as_str()), (409, "11\n"));
    assert_eq!(served.evidence_ids(&log).len(), 2);
}

#[test]
fn honest_runs_never_make_evidence_whatever_the_client_does_wrong() {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 40);
    let served = rig.serve_logs(&[&log]);
    let mut cosigned = 0;
    for step in [1, 1, 2, 3, 5, 3, 2] {
        let new = cosigned + step;
        assert_eq!(served.add_checkpoint(log.request(cosigned, new)).status, 200);
        cosigned = new;
        for old in [0, 1, 3, new - 1, new, new + 1] {
            for claimed in [1, 2, 5, new, new + 3] {
                if old <= claimed {
                    served.add_checkpoint(log.request(old, claimed));
                }
                let proof = log.consistency(1, claimed);
                served.add_checkpoint(body(new, &proof, &log.note(new + 3)));
            }
        }
        cosigned = cosigned.max(usize::try_from(served.size(&log)).unwrap());
    }
    assert!(served.evidence_ids(&log).is_empty());
}

#[test]
fn evidence_is_kept_once_up_to_a_bound_and_survives_a_restart() {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 40);
    let served = rig.serve_logs(&[&log]);
    assert_eq!(served.add_checkpoint(log.request(0, 20)).status, 200);
    for _ in 0..3 {
        assert_eq!(served.add_checkpoint(fork_of(&log, 0, 20).request(20, 20)).status, 422);
    }
    assert_eq!(served.evidence_ids(&log).len(), 1);
    for at in 0..20 {
        served.add_checkpoint(fork_of(&log, at, 20).request(20, 20));
    }
    let ids = served.evidence_ids(&log);
    assert_eq!(ids.len(), 16, "the first ones are kept");
    let directory = rig.data_dir().join("evidence").join(log.hash());
    let names: Vec<_> = fs::read_dir(&directory).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(names.len(), 32, "each with its request, and nothing unfinished");
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&directory), 0o700);
    assert!(names.iter().all(|name| mode(&directory.join(name)) == 0o600));
    drop(served);
    assert_eq!(rig.serve().evidence_ids(&log), ids);
}

#[test]
fn suspected_requests_are_kept_apart_and_bounded() {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 40);
    let served = rig.serve_logs(&[&log]);
    assert_eq!(served.add_checkpoint(log.request(0, 4)).status, 200);
    for size in 5..25 {
        rig.hands.pass(1);
        let fork = fork_of(&log, 0, size);
        assert_eq!(served.add_checkpoint(fork.request(4, size)).status, 422);
    }
    let directory = rig.data_dir().join("suspected").join(log.hash());
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 8);
    assert!(served.evidence_ids(&log).is_empty());
}

#[test]
fn only_verified_lines_of_a_refused_request_are_kept() {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 20);
    let served = rig.serve_logs(&[&log]);
    assert_eq!(served.add_checkpoint(log.request(0, 4)).status, 200);
    let fork = fork_of(&log, 0, 20);
    let padding = format!("\u{2014} other.example/w AAAAA{}\n", "A".repeat(3239)).repeat(30);
    for (old, new, below) in [(4, 9, "suspected"), (4, 4, "evidence")] {
        let request = fork.request(old, new);
        assert_eq!(served.add_checkpoint(format!("{request}{padding}")).status, 422);
        let directory = rig.data_dir().join(below).join(log.hash());
        let mut files = fs::read_dir(&directory).unwrap().map(|file| file.unwrap().path());
        let kept = files.find(|file| file.extension().is_some_and(|end| end == "request"));
        assert_eq!(fs::read_to_string(kept.unwrap()).unwrap(), request);
    }
}

#[test]
fn suspected_requests_of_all_logs_together_are_bounded() {
    let rig = Rig::new();
    let others = rig.data_dir().join("suspected").join("00".repeat(32));
    fs::create_dir_all(&others).unwrap();
    for number in 0..SUSPECTED_FILES_TOTAL_MAX - 1 {
        fs::write(others.join(format!("{number}.request")), "").unwrap();
    }
    let logs = ["a", "b"].map(|name| TestLog::new(&format!("log.example/{name}"), 20));
    let served = rig.serve_logs(&[&logs[0], &logs[1]]);
    let kept = |log: &TestLog| {
        let directory = rig.data_dir().join("suspected").join(log.hash());
        fs::read_dir(directory).map_or(0, Iterator::count)
    };
    for log in &logs {
        assert_eq!(served.add_checkpoint(log.request(0, 4)).status, 200);
        for size in [5, 6] {
            rig.hands.pass(1);
            let request = fork_of(log, 0, size).request(4, size);
            assert_eq!(served.add_checkpoint(request).status, 422);
        }
    }
    assert_eq!(logs.each_ref().map(kept), [1, 0], "the last place is used again by its log");
}

#[test]
fn accepted_evidence_takes_no_room_so_the_next_fork_freezes_again() {
    let mut rig = Rig::new();
    rig.config.freeze_on_evidence = true;
    let log = TestLog::new("log.example/a", 30);
    let served = rig.serve_logs(&[&log]);
    assert_eq!(served.add_checkpoint(log.request(0, 20)).status, 200);
    for at in 0..17 {
        assert_eq!(served.add_checkpoint(fork_of(&log, at, 20).request(20, 20)).status, 422);
        let ids = served.evidence_ids(&log);
        assert_eq!(ids.len(), at + 1, "oldest first");
        let answer = served.add_checkpoint(log.request(20, 30));
        assert_eq!(answer.status, 503, "{at}");
        assert!(answer.body.contains(&ids[at]), "{}", answer.body);
        let report = served.order(Order::AcceptEvidence { id: ids[at].clone() });
        assert!(matches!(report, Report::Done { .. }), "{report:?}");
    }
    assert_eq!(served.add_checkpoint(log.request(20, 30)).status, 200);
}

#[test]
fn a_log_is_frozen_on_evidence_if_that_is_set_until_the_operator_accepts_it() {
    let mut rig = Rig::new();
    rig.config.freeze_on_evidence = true;
    let (log, other) = (TestLog::new("log.example/a", 9), TestLog::new("log.example/b", 9));
    let served = rig.serve_logs(&[&log, &other]);
    assert_eq!(served.add_checkpoint(log.request(0, 3)).status, 200);
    assert_eq!(served.add_checkpoint(fork_of(&log, 0, 3).request(3, 3)).status, 422);
    let id = served.evidence_ids(&log).remove(0);
    let frozen = |served: &crate::rig::Served| {
        let answer = served.add_checkpoint(log.request(3, 9));
        assert!(answer.status == 200 || answer.body.contains(&id), "{}", answer.body);
        answer.status == 503
    };
    assert!(frozen(&served));
    assert_eq!(served.size(&log), 3, "the state stays where it is");
    assert_eq!(served.add_checkpoint(other.request(0, 9)).status, 200);
    drop(served);
    let served = rig.serve();
    assert!(frozen(&served), "a restart changes nothing");
    let wrong = Order::AcceptEvidence { id: "00".repeat(32) };
    assert!(matches!(served.order(wrong), Report::Failed { .. }));
    assert!(frozen(&served));
    let report = served.order(Order::AcceptEvidence { id: id.clone() });
    assert!(matches!(report, Report::Done { .. }), "{report:?}");
    // The same evidence again freezes nothing.
    assert_eq!(served.add_checkpoint(fork_of(&log, 0, 3).request(3, 3)).status, 422);
    assert!(!frozen(&served));
    drop(served);
    let served = rig.serve();
    assert_eq!(served.add_checkpoint(log.request(9, 9)).status, 200, "and so it stays");
}

#[test]
fn without_the_setting_a_convicted_log_may_go_on_with_its_first_history() {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 9);
    let served = rig.serve_logs(&[&log]);
    assert_eq!(served.add_checkpoint(log.request(0, 3)).status, 200);
    assert_eq!(served.add_checkpoint(fork_of(&log, 0, 3).request(3, 3)).status, 422);
    assert_eq!(served.add_checkpoint(log.request(3, 9)).status, 200);
}

#[test]
fn the_journal_remembers_256_heads_and_some_more_and_forgets_the_oldest() {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 300);
    let served = rig.serve_logs(&[&log]);
    for size in 1..=300 {
        assert_eq!(served.add_checkpoint(log.request(size - 1, size)).status, 200);
        if size % 50 == 0 {
            // A refresh takes no room.
            assert_eq!(served.add_checkpoint(log.request(size, size)).status, 200);
        }
    }
    let witness = served.witness.as_ref().unwrap();
    let hash = log_core::Hash::from_hex(&log.hash()).unwrap();
    let known = |size: u64| witness.remembers(&hash, log_core::TreeSize::new(size)).unwrap();
    assert_eq!(
        (1..=300).filter(|size| known(*size)).collect::<Vec<_>>(),
        (33..=300).collect::<Vec<_>>()
    );
    // Of what was forgotten nothing can be proven, of the rest everything.
    assert_eq!(served.add_checkpoint(fork_of(&log, 0, 32).request(0, 32)).status, 409);
    assert!(served.evidence_ids(&log).is_empty());
    assert_eq!(served.add_checkpoint(fork_of(&log, 0, 33).request(0, 33)).status, 409);
    assert_eq!(served.evidence_ids(&log).len(), 1);
}

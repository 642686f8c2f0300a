//! Many at once: one history for each log, and no log waits for another.

use std::sync::Barrier;
use std::thread::scope;

use crate::rig::Rig;
use crate::test_log::TestLog;

#[test]
fn of_two_updates_from_one_size_one_wins_and_the_other_is_told_the_new_size() {
    let rig = Rig::new();
    let served = rig.serve();
    for round in 0..30 {
        let log = TestLog::new(&format!("log.example/{round}"), 20);
        served.add_log(&log);
        assert_eq!(served.add_checkpoint(log.request(0, 3)).status, 200);
        let barrier = Barrier::new(2);
        let race = |new: usize| {
            let request = log.request(3, new);
            barrier.wait();
            served.add_checkpoint(request)
        };
        let (small, large) = scope(|scope| {
            let (small, large) = (scope.spawn(|| race(5)), scope.spawn(|| race(12)));
            (small.join().unwrap(), large.join().unwrap())
        });
        let (won, lost, size) = if small.status == 200 { (5, large, 5) } else { (12, small, 12) };
        assert_eq!(lost.status, 409, "round {round}");
        assert_eq!(lost.body, format!("{won}\n"));
        assert_eq!(served.size(&log), size);
        // The loser stays correct: it goes on from the size it was told.
        assert_eq!(served.add_checkpoint(log.request(won, 15)).status, 200);
    }
}

#[test]
fn of_two_histories_at_once_only_one_is_ever_cosigned() {
    let rig = Rig::new();
    let served = rig.serve();
    for round in 0..30 {
        let origin = format!("log.example/{round}");
        let logs = [TestLog::new(&origin, 9), TestLog::forked(&origin, 4, 9)];
        served.add_log(&logs[0]);
        assert_eq!(served.add_checkpoint(logs[0].request(0, 4)).status, 200);
        let barrier = Barrier::new(2);
        let race = |log: &TestLog| {
            let request = log.request(4, 9);
            barrier.wait();
            served.add_checkpoint(request).status
        };
        let statuses = scope(|scope| {
            let racing = logs.each_ref().map(|log| scope.spawn(|| race(log)));
            racing.map(|racing| racing.join().unwrap())
        });
        assert!(matches!(statuses, [200, 409] | [409, 200]), "{statuses:?}");
        assert_eq!(served.evidence_ids(&logs[0]).len(), 1, "the loser proves the fork");
    }
}

#[test]
fn refreshes_of_one_log_at_once_are_all_answered() {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 4);
    let served = rig.serve_logs(&[&log]);
    assert_eq!(served.add_checkpoint(log.request(0, 4)).status, 200);
    scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                assert_eq!(served.add_checkpoint(log.request(4, 4)).status, 200);
            });
        }
    });
}

#[test]
fn many_logs_move_at_once_and_keep_to_themselves() {
    let rig = Rig::new();
    let logs: Vec<_> = (0..40).map(|i| TestLog::new(&format!("log.example/{i}"), 12)).collect();
    let served = rig.serve_logs(&logs.iter().collect::<Vec<_>>());
    scope(|scope| {
        for (number, log) in logs.iter().enumerate() {
            let served = &served;
            scope.spawn(move || {
                let mut old = 0;
                for new in [1, 2, 3, 7, 8, 8, 12 - number % 3] {
                    assert_eq!(served.add_checkpoint(log.request(old, new)).status, 200);
                    old = new;
                }
            });
        }
    });
    for (number, log) in logs.iter().enumerate() {
        assert_eq!(served.size(log), 12 - number as u64 % 3);
        assert!(served.evidence_ids(log).is_empty());
    }
}

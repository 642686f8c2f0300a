//! Times: never back, never far ahead, and kept over a restart.

use std::sync::atomic::Ordering;

use log_core::Cosignature;
use log_core::key::VerifierKey;
use log_core::note::SignedNote;
use log_witness::admin::{Order, Report};
use log_witness::keys::WitnessKeys;

use crate::client::get;
use crate::rig::{Rig, START_S, Served};
use crate::test_log::TestLog;

const TEN_DAYS_S: u64 = 10 * 24 * 60 * 60;

fn own_key(rig: &Rig) -> VerifierKey {
    WitnessKeys::load(&rig.config.keys).unwrap().verifier_keys().next().unwrap().clone()
}

/// The time in the note that readers get.
fn time(rig: &Rig, served: &Served, log: &TestLog) -> u64 {
    let note = SignedNote::parse(served.checkpoint(log).unwrap().as_bytes()).unwrap();
    Cosignature::find(&note, &own_key(rig)).unwrap().time_s()
}

#[test]
fn a_refresh_has_a_later_time_and_a_small_step_back_repeats_the_last_one() {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 4);
    let served = rig.serve_logs(&[&log]);
    served.add_checkpoint(log.request(0, 4));
    assert_eq!(time(&rig, &served, &log), START_S);
    rig.hands.pass(100);
    assert_eq!(served.add_checkpoint(log.request(4, 4)).status, 200);
    assert_eq!(time(&rig, &served, &log), START_S + 100);
    rig.hands.wall_s.fetch_sub(30, Ordering::SeqCst);
    assert_eq!(served.add_checkpoint(log.request(4, 4)).status, 200);
    assert_eq!(time(&rig, &served, &log), START_S + 100);
}

#[test]
fn a_clock_that_jumps_while_the_witness_runs_stops_it_and_going_back_heals_it() {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 4);
    let served = rig.serve_logs(&[&log]);
    served.add_checkpoint(log.request(0, 2));
    let ten_years_s = 365 * TEN_DAYS_S;
    for wall_s in [START_S + ten_years_s, START_S - TEN_DAYS_S, 0] {
        rig.hands.wall_s.store(wall_s, Ordering::SeqCst);
        let answer = served.add_checkpoint(log.request(2, 4));
        assert_eq!(answer.status, 503, "{}", answer.body);
        assert!(answer.body.contains("clock"), "{}", answer.body);
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert_eq!(served.size(&log), 2);
    }
    rig.hands.wall_s.store(START_S, Ordering::SeqCst);
    assert_eq!(served.add_checkpoint(log.request(2, 4)).status, 200);
}

#[test]
fn a_restart_with_the_clock_ten_days_back_signs_nothing() {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 4);
    let served = rig.serve_logs(&[&log]);
    served.add_checkpoint(log.request(0, 2));
    drop(served);
    rig.hands.wall_s.store(START_S - TEN_DAYS_S, Ordering::SeqCst);
    let served = rig.serve();
    let answer = served.add_checkpoint(log.request(2, 4));
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("behind"), "{}", answer.body);
    assert_eq!((served.size(&log), time(&rig, &served, &log)), (2, START_S));
    let new = TestLog::new("log.example/new", 4);
    served.add_log(&new);
    let answer = served.add_checkpoint(new.request(0, 4));
    assert_eq!(answer.status, 503, "nor for an origin that has no time yet");
    assert!(answer.body.contains("--accept-clock"), "{}", answer.body);
}

/// Durable transactions with heads so far.
fn commits(served: &Served) -> u64 {
    let metrics = get(served.admin, "/metrics").body;
    let line = metrics.lines().find(|line| line.starts_with("cairn_witness_commit_heads_count"));
    line.unwrap().rsplit_once(' ').unwrap().1.parse().unwrap()
}

#[test]
fn the_same_head_in_the_same_second_is_answered_from_what_is_committed() {
    let rig = Rig::of_keys(true);
    let log = TestLog::new("log.example/a", 4);
    let served = rig.serve_logs(&[&log]);
    let first = served.add_checkpoint(log.request(0, 4)).body;
    assert_eq!((first.lines().count(), commits(&served)), (2, 1));
    for _ in 0..5 {
        assert_eq!(served.add_checkpoint(log.request(4, 4)).body, first);
    }
    assert_eq!(commits(&served), 1);
    rig.hands.pass(1);
    let second = served.add_checkpoint(log.request(4, 4)).body;
    assert_eq!((second.lines().count(), commits(&served)), (2, 2));
    assert_ne!(second, first);
    // Another head is another decision, whatever the second.
    assert_eq!(served.add_checkpoint(log.request(0, 4)).status, 409);
    let fork = TestLog::forked(&log.origin, 1, 4);
    assert_eq!(served.add_checkpoint(fork.request(4, 4)).status, 422);
}

#[test]
fn a_committed_note_without_a_line_of_every_key_is_no_answer() {
    let rig = Rig::of_keys(true);
    let log = TestLog::new("log.example/a", 4);
    let served = rig.serve_logs(&[&log]);
    let own = served.add_checkpoint(log.request(0, 4)).body;
    let (one, _) = own.split_once('\n').unwrap();
    let note = format!("{}{one}\n", log.note(4));
    let order = Order::AcceptLostState { origin: log.origin.clone(), note, peer_vkey: None };
    assert!(matches!(served.order(order), Report::Done { .. }));
    assert_eq!(
        served.checkpoint(&log).unwrap().lines().filter(|l| l.contains("w.example")).count(),
        1
    );
    let again = served.add_checkpoint(log.request(4, 4)).body;
    assert_eq!(again.lines().count(), 2);
    assert_eq!(served.checkpoint(&log).unwrap(), format!("{}{again}", log.note(4)));
}

#[test]
fn a_restart_with_the_clock_ten_years_ahead_signs_nothing() {
    let rig = Rig::new();
    let log = TestLog::new("log.example/a", 4);
    let served = rig.serve_logs(&[&log]);
    served.add_checkpoint(log.request(0, 2));
    drop(served);
    rig.hands.pass(365 * TEN_DAYS_S);
    let served = rig.serve();
    let answer = served.add_checkpoint(log.request(2, 4));
    assert_eq!(answer.status, 503);
    assert!(answer.body.contains("--accept-clock"), "{}", answer.body);
    assert_eq!(served.size(&log), 2);
}

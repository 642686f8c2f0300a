//! Times: never back, never far ahead, and kept over a restart.

use std::sync::atomic::Ordering;

use log_core::Cosignature;
use log_core::key::VerifierKey;
use log_core::note::SignedNote;
use log_witness::keys::WitnessKeys;

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

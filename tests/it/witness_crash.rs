//! Random `kill -9` of a witness under load, between its decision and its answer or anywhere else:
//! it never cosigns a second history, forgets what it released, or goes back in time.
//!
//! `CAIRN_CRASH_ROUNDS` sets the number of kills, `CAIRN_CRASH_SEED` repeats a run's choices (not
//! its timing).

use std::process::Stdio;
use std::thread;
use std::time::Duration;

use log_tests::WitnessDir;
use log_tests::choices::{Choices, from_env};

use crate::witness_load::Load;

/// Kills in an everyday test run.
const ROUNDS: u64 = 8;
/// A start that is killed lives up to this long; some come as far as serving.
const START_MS_MAX: u64 = 100;

#[test]
fn no_second_history_survives_random_kills() {
    let rounds = from_env("CAIRN_CRASH_ROUNDS").unwrap_or(ROUNDS);
    eprintln!("witness crash: {rounds} rounds");
    let mut choices = Choices::from_env_or_new("CAIRN_CRASH_SEED");
    let dir = WitnessDir::init("witness.example");
    let load = Load::on(&dir);
    for _ in 0..rounds {
        kill_while_starting(&dir, &mut choices);
        let witness = dir.start();
        load.assert_kept_by(&witness);
        load.branch_again(&mut choices);
        load.until(witness, &mut choices, |witness| {
            let ended = witness.kill_9();
            assert_eq!(ended.status.code(), None, "it ended by itself: {}", ended.stderr);
        });
    }
    let witness = dir.start();
    load.assert_kept_by(&witness);
    assert!(witness.terminate().status.success());
    load.assert_busy("witness crash", rounds);
}

/// Once in three rounds up to three starts end before, while or just after they serve.
fn kill_while_starting(dir: &WitnessDir, choices: &mut Choices) {
    if !choices.once_in(3) {
        return;
    }
    for _ in 0..=choices.below(3) {
        let mut command = dir.command("serve");
        command.args(["--listen", "127.0.0.1:0", "--admin", "127.0.0.1:0"]);
        let silent = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = silent.spawn().expect("cairn-witness starts");
        thread::sleep(Duration::from_micros(choices.below(START_MS_MAX * 1000)));
        child.kill().expect("the child is ours");
        child.wait().expect("the child is ours");
    }
}

//! The power of the witness's disk is cut under load: whatever it released was on the disk before.
//!
//! The disk is an ext4 file system in a file, which only root can mount: others skip this test and
//! say so. `CAIRN_POWER_CUTS` sets the number of cuts, `CAIRN_CRASH_SEED` repeats a run's choices
//! (not its timing).

use log_tests::WitnessDir;
use log_tests::choices::{Choices, from_env};
use log_tests::disk::PowerDisk;

use crate::witness_load::Load;

/// Cuts in an everyday test run.
const CUTS: u64 = 3;
const DISK_MIB: u64 = 96;

#[test]
fn what_was_released_survives_a_power_cut() {
    let place = tempfile::tempdir().expect("a temporary directory");
    let Some(disk) = PowerDisk::mount(place.path(), DISK_MIB) else { return };
    let cuts = from_env("CAIRN_POWER_CUTS").unwrap_or(CUTS);
    eprintln!("witness power: {cuts} cuts");
    let mut choices = Choices::from_env_or_new("CAIRN_CRASH_SEED");
    let dir = WitnessDir::init_at(&disk.at().join("data"), "witness.example", &[]);
    let load = Load::on(&dir);
    // Keys, state and logs are there as soon as the commands say so.
    disk.cut(|| {});
    disk.power_up();
    let vkeys: String = dir.keys().iter().map(|key| format!("{key}\n")).collect();
    assert_eq!(dir.run("vkeys", &[]), vkeys);
    for _ in 0..cuts {
        let witness = dir.start();
        load.assert_kept_by(&witness);
        load.branch_again(&mut choices);
        load.until(witness, &mut choices, |witness| {
            disk.cut(|| load.power_fails());
            witness.kill_9();
        });
        disk.power_up();
    }
    let witness = dir.start();
    load.assert_kept_by(&witness);
    assert!(witness.terminate().status.success());
    load.assert_busy("witness power", cuts);
}

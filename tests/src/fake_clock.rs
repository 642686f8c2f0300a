//! A wrong time of day for one process, by libfaketime. Timers keep their own time.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::disk::skipped;

/// Where Debian and its relatives install it, below the directory of an architecture.
const LIBRARY: &str = "faketime/libfaketimeMT.so.1";

/// A clock that a test moves while a process looks at it.
pub struct FakeClock {
    library: PathBuf,
    place: TempDir,
}

impl FakeClock {
    /// A clock that is right, for now; `None`, and a word about it, where the library is missing.
    pub fn new() -> Option<Self> {
        let places = fs::read_dir("/usr/lib").into_iter().flatten().flatten();
        let mut found = places.map(|place| place.path().join(LIBRARY)).filter(|path| path.exists());
        let Some(library) = found.next() else {
            skipped("libfaketime is not installed (package faketime)");
            return None;
        };
        let clock = Self { library, place: tempfile::tempdir().expect("a temporary directory") };
        clock.set("+0");
        Some(clock)
    }

    /// Gives this clock to a process that is not started yet.
    pub fn give(&self, command: &mut Command) {
        command.env("LD_PRELOAD", &self.library);
        command.env("FAKETIME_TIMESTAMP_FILE", self.file());
        command.env("FAKETIME_NO_CACHE", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    }

    /// Moves it, in the words of libfaketime: `-10d`, `+5m`, `+0`.
    pub fn set(&self, offset: &str) {
        // In one step: a process may be reading it.
        let new = self.place.path().join("new");
        fs::write(&new, format!("{offset}\n")).expect("written");
        fs::rename(new, self.file()).expect("renamed");
    }

    fn file(&self) -> PathBuf {
        self.place.path().join("offset")
    }
}

//! Whether the file system under a store has room for more commits.
//!
//! A commit that runs into a full disk has an unknown outcome and ends the process. So room is
//! looked at before, and nothing is written below a headroom that is larger than any batch.

use std::io;
use std::path::PathBuf;

/// Files that must stay possible: a flush, a compaction and a new write-ahead log need a few dozen.
const FREE_FILES_MIN: u64 = 64;

/// The room on one file system, with what must stay free of it.
#[derive(Clone, Debug)]
pub struct Space {
    path: PathBuf,
    headroom_bytes: u64,
}

impl Space {
    /// Watches the file system of `path`, of which `headroom_bytes` must stay free.
    pub fn new(path: impl Into<PathBuf>, headroom_bytes: u64) -> Self {
        Self { path: path.into(), headroom_bytes }
    }

    /// Whether nothing more may be written; also if the file system does not answer, since then
    /// nobody knows.
    pub fn is_low(&self) -> bool {
        let Ok(fs) = rustix::fs::statvfs(&self.path) else { return true };
        // Some file systems make inodes as needed and report none at all.
        let files_low = fs.f_files > 0 && fs.f_favail < FREE_FILES_MIN;
        files_low || fs.f_bavail.saturating_mul(fs.f_frsize) < self.headroom_bytes
    }

    /// Bytes that a process without special rights can still write.
    ///
    /// # Errors
    /// When the path does not exist or the file system does not answer.
    pub fn free_bytes(&self) -> io::Result<u64> {
        let fs = rustix::fs::statvfs(&self.path)?;
        Ok(fs.f_bavail.saturating_mul(fs.f_frsize))
    }

    /// Bytes that must stay free.
    pub fn headroom_bytes(&self) -> u64 {
        self.headroom_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_low_below_the_headroom_and_only_then() {
        let dir = tempfile::tempdir().unwrap();
        let free = Space::new(dir.path(), 0).free_bytes().unwrap();
        assert!(free > 0);
        assert!(!Space::new(dir.path(), free / 2).is_low());
        assert!(Space::new(dir.path(), free.saturating_mul(2)).is_low());
    }

    #[test]
    fn a_file_system_that_does_not_answer_counts_as_full() {
        let dir = tempfile::tempdir().unwrap();
        let space = Space::new(dir.path().join("nothing"), 0);
        assert!(space.free_bytes().is_err());
        assert!(space.is_low());
    }
}

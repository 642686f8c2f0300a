//! Accepted tails: where an operator gave up what a log had committed, for everybody to see.
//!
//! They are kept in the log's directory beside its store, in the file `accepted-tails`: a line for
//! each time, `TIME SIZE:ROOT`. The server never removes one.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use jiff::Timestamp;
use log_core::{Hash, TreeHead, TreeSize};

/// A head that an operator chose to believe (`cairn-server accept-tail`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AcceptedTail {
    /// When.
    pub accepted: Timestamp,
    /// The head with which the log went on. Whatever was committed after it is given up.
    pub head: TreeHead,
}

impl AcceptedTail {
    fn parse(line: &str) -> Option<Self> {
        let (accepted, head) = line.split_once(' ')?;
        Some(Self { accepted: accepted.parse().ok()?, head: parse_head(head)? })
    }
}

impl fmt::Display for AcceptedTail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}:{}", self.accepted, self.head.size, self.head.root_hash)
    }
}

/// Reads `SIZE:ROOT`, the root in lower-case hex.
pub fn parse_head(text: &str) -> Option<TreeHead> {
    let (size, root) = text.split_once(':')?;
    Some(TreeHead { size: TreeSize::parse_decimal(size)?, root_hash: Hash::from_hex(root)? })
}

/// All that were ever accepted, the oldest first; none where there is no file.
pub(super) fn read(path: &Path) -> Result<Vec<AcceptedTail>, String> {
    let text = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        read => read.map_err(|error| format!("{}: {error}", path.display()))?,
    };
    let parse = |line| {
        AcceptedTail::parse(line)
            .ok_or_else(|| format!("{}: {line:?} is not TIME SIZE:ROOT", path.display()))
    };
    text.lines().map(parse).collect()
}

/// Adds one. On return it is on the disk; after a crash it is there whole or not at all.
pub(super) fn record(path: &Path, tail: &AcceptedTail) -> io::Result<()> {
    let before = read(path).map_err(io::Error::other)?;
    let new = path.with_extension("new");
    let mut file = File::create(&new)?;
    for tail in before.iter().chain([tail]) {
        writeln!(file, "{tail}")?;
    }
    file.sync_all()?;
    fs::rename(&new, path)?;
    match path.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tail(size: u64) -> AcceptedTail {
        let head = TreeHead { size: TreeSize::new(size), root_hash: Hash::EMPTY_ROOT };
        AcceptedTail { accepted: "2026-11-23T03:00:00.5Z".parse().unwrap(), head }
    }

    #[test]
    fn each_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accepted-tails");
        assert_eq!(read(&path), Ok(vec![]));
        record(&path, &tail(7)).unwrap();
        record(&path, &tail(5)).unwrap();
        assert_eq!(read(&path), Ok(vec![tail(7), tail(5)]));
        let line = format!("2026-11-23T03:00:00.5Z 7:{}\n", Hash::EMPTY_ROOT);
        assert!(fs::read_to_string(&path).unwrap().starts_with(&line));
    }

    #[test]
    fn a_file_with_anything_else_in_it_is_an_error_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("accepted-tails");
        let root = Hash::EMPTY_ROOT;
        for bad in [
            "\n".into(),
            "x\n".into(),
            format!("7:{root}\n"),
            format!("2026-11-23T03:00:00Z 07:{root}\n"),
            format!("2026-11-23T03:00:00Z 7:{root} x\n"),
            "2026-11-23T03:00:00Z 7:00\n".into(),
        ] {
            fs::write(&path, &bad).unwrap();
            assert!(read(&path).unwrap_err().contains("is not TIME SIZE:ROOT"), "{bad:?}");
            assert!(record(&path, &tail(7)).is_err());
            assert_eq!(fs::read_to_string(&path).unwrap(), bad);
        }
    }
}

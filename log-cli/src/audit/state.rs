//! What an audit remembers: for each log the newest head that was proved to fit, as a signed note.
//!
//! The file is `cairn/audit-state@v1` and then a line `note BASE64` for each log. It is replaced
//! whole, through a neighbour that takes its name; a head never by a smaller one.

use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use log_core::{Checkpoint, Origin, SignedNote};

use crate::failure::Failure;
use crate::files;

/// The first line.
const HEADER: &str = "cairn/audit-state@v1";

/// Longest file that is read: room for some hundred notes with the lines of many witnesses.
const STATE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// The notes of a state file.
#[derive(Debug)]
pub struct State {
    path: PathBuf,
    notes: Vec<(Checkpoint, SignedNote)>,
}

impl State {
    /// Reads the file. One that is not there yet remembers nothing; one that cannot be read is an
    /// error, because to begin again would forget what was seen.
    pub fn read(path: &Path) -> Result<Self, Failure> {
        if !path.try_exists().map_err(Failure::undecided)? {
            return Ok(Self { path: path.to_owned(), notes: Vec::new() });
        }
        let bytes = files::read(path, STATE_BYTES_MAX)?;
        let notes = parse(&bytes).ok_or_else(|| {
            Failure::undecided(format!("{} is not a state file of audits", path.display()))
        })?;
        Ok(Self { path: path.to_owned(), notes })
    }

    /// The note that is remembered of a log.
    pub fn note(&self, origin: &Origin) -> Option<&SignedNote> {
        let known = self.notes.iter().find(|(checkpoint, _)| checkpoint.origin == *origin);
        known.map(|(_, note)| note)
    }

    /// Remembers a note that was proved to fit, if it is larger than what is remembered of its
    /// log. Durable on return; after a crash the file is the old one or the new one.
    pub fn advance(mut self, note: &SignedNote) -> Result<(), Failure> {
        let Ok(checkpoint) = Checkpoint::parse(note.text()) else {
            return Err(Failure::undecided("a note that is no checkpoint cannot be remembered"));
        };
        let known = self.notes.iter_mut().find(|(known, _)| known.origin == checkpoint.origin);
        match known {
            Some((known, _)) if known.head.size >= checkpoint.head.size => return Ok(()),
            Some(known) => *known = (checkpoint, note.clone()),
            None => self.notes.push((checkpoint, note.clone())),
        }
        let mut text = format!("{HEADER}\n");
        for (_, note) in &self.notes {
            text.push_str(&format!("note {}\n", STANDARD.encode(note.to_string())));
        }
        files::write(&self.path, text.as_bytes())
    }
}

fn parse(bytes: &[u8]) -> Option<Vec<(Checkpoint, SignedNote)>> {
    let text = std::str::from_utf8(bytes).ok()?;
    let lines = text.strip_prefix(HEADER)?.strip_prefix('\n')?;
    let mut notes: Vec<(Checkpoint, SignedNote)> = Vec::new();
    for line in lines.split_terminator('\n') {
        let note = STANDARD.decode(line.strip_prefix("note ")?).ok()?;
        let note = SignedNote::parse(&note).ok()?;
        let checkpoint = Checkpoint::parse(note.text()).ok()?;
        if notes.iter().any(|(known, _)| known.origin == checkpoint.origin) {
            return None;
        }
        notes.push((checkpoint, note));
    }
    text.ends_with('\n').then_some(notes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use log_core::{KeyName, NoteSigner, TreeHead, TreeSize, sha256};

    fn note(origin: &str, size: u64) -> SignedNote {
        let signer = NoteSigner::ed25519(KeyName::parse(origin).unwrap(), [1; 32]);
        let head = TreeHead { size: TreeSize::new(size), root_hash: sha256(&size.to_be_bytes()) };
        let origin = Origin::parse(origin).unwrap();
        let text = Checkpoint { origin, head, extensions: Vec::new() }.to_text();
        let line = signer.sign(&text);
        SignedNote::new(text, vec![line]).unwrap()
    }

    #[test]
    fn a_larger_head_replaces_a_smaller_one_of_its_log_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        for (origin, size, kept) in [("a", 5, 5), ("b", 3, 3), ("a", 4, 5), ("a", 9, 9)] {
            State::read(&path).unwrap().advance(&note(origin, size)).unwrap();
            let state = State::read(&path).unwrap();
            let origin_kept = Origin::parse(origin).unwrap();
            assert_eq!(state.note(&origin_kept), Some(&note(origin, kept)), "{origin} {size}");
        }
        let state = State::read(&path).unwrap();
        assert_eq!(state.note(&Origin::parse("b").unwrap()), Some(&note("b", 3)));
        assert_eq!(state.note(&Origin::parse("c").unwrap()), None);
    }

    #[test]
    fn a_broken_file_is_no_empty_one() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state");
        State::read(&path).unwrap().advance(&note("a", 5)).unwrap();
        let good = std::fs::read_to_string(&path).unwrap();
        let line = good.lines().nth(1).unwrap();
        let broken = [
            String::new(),
            good.replace("@v1", "@v2"),
            good.trim_end().to_owned(),
            format!("{good}\n"),
            format!("{good}{line}\n"),
            format!("{good}note AAAA\n"),
            format!("{good}{}\n", line.replace("note ", "head ")),
        ];
        for text in broken {
            std::fs::write(&path, &text).unwrap();
            assert_eq!(State::read(&path).unwrap_err().exit_code(), 3, "{text}");
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
    }
}

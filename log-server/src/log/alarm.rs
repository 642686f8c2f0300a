//! Alarm: a witness contradicts this log. Its word alone costs it its vote, and nothing more.
//!
//! What counts is a note that this log's own key signed: over more leaves than it ever committed,
//! or with another root. Such a note proves that there is a second history, or a second copy that
//! went further, and then this one must not go on. Both notes are kept beside the store.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Instant;

use log_core::checkpoint::SignedCheckpoint;
use log_core::evidence::Evidence;
use log_core::note::SignedNote;
use log_core::tree::TreeHead;

use super::Fatal;
use super::cosign::Signed;
use super::cosigner::Cosigner;
use super::read::ReadError;
use super::recover::Shut;

/// How the name of a file ends that convicts the log's key: a log with such a file stays shut.
const EVIDENCE_SUFFIX: &str = "tlog-evidence";
/// How the name of a note begins that a witness showed.
const THEIR_PREFIX: &str = "theirs-";
/// How the names of notes end.
const NOTE_SUFFIX: &str = ".note";

/// A note of this log's own key that is not in the history of its store.
pub(super) struct Contradiction {
    note: SignedCheckpoint,
    /// What our tree has at the note's size; `None` if it is smaller than that.
    ours: Option<TreeHead>,
}

impl Contradiction {
    /// The head that is not ours.
    pub(super) fn head(&self) -> TreeHead {
        self.note.head()
    }
}

impl Cosigner {
    /// A witness claims something that cannot be true of this log: it leaves the quorum. The note
    /// that it shows decides whether the log can go on.
    pub(super) fn alarm(
        &mut self,
        endpoint: usize,
        claim: String,
        about: &Signed,
        shown: Option<&[u8]>,
    ) -> Result<(), Fatal> {
        let witness = self.panel.names(endpoint);
        tracing::error!(
            log = self.shared.name,
            witness,
            claim,
            "a witness contradicts this log and leaves the quorum; another process may be signing \
             with this log's key, or the witness lies or lost its state"
        );
        self.panel.endpoints[endpoint].raise_alarm(Instant::now(), claim);
        let proof = shown.map(|note| self.contradiction(note)).transpose();
        let proof = proof.map_err(|error| Fatal::Proof(error.to_string()))?.flatten();
        let Some(contradiction) = proof else { return Ok(()) };
        let kept = self.keep(&contradiction, about);
        let head = contradiction.head();
        Err(Fatal::Contradicted { witness, size: head.size, root: head.root_hash, kept })
    }

    /// What a note that a witness shows proves. Anything but this log's own signature over a head
    /// that is not in its history proves nothing.
    pub(super) fn contradiction(&self, shown: &[u8]) -> Result<Option<Contradiction>, ReadError> {
        let Ok(note) = SignedCheckpoint::open(shown, &self.shared.origin, &self.key) else {
            return Ok(None);
        };
        // Read after the note came: whatever we signed before that is in it.
        let committed = self.mailbox.newest();
        if note.head().size > committed.head.tree.size {
            return Ok(Some(Contradiction { note, ours: None }));
        }
        let ours = self.shared.head_at(&committed.edge, note.head().size)?;
        let differs = ours != note.head();
        Ok(differs.then_some(Contradiction { note, ours: Some(ours) }))
    }

    /// What an earlier run kept counts in the question as if a witness showed it now. A store that
    /// was replaced by the right one has nothing to fear.
    pub(super) fn kept_contradiction(&self) -> Result<Option<Contradiction>, Shut> {
        let kept = kept_notes(&self.evidence);
        let unreadable = |error| Shut::File(format!("{}: {error}", self.evidence.display()));
        for note in kept.map_err(unreadable)? {
            if let Some(contradiction) = self.contradiction(&note)? {
                return Ok(Some(contradiction));
            }
        }
        Ok(None)
    }

    /// Writes both notes down, and the evidence if the two make one. `ours` is a note that has left
    /// this process, now or before: nothing is signed to convict ourselves. Gives the directory; a
    /// failure is told and changes nothing of what follows.
    pub(super) fn keep(&self, contradiction: &Contradiction, ours: &Signed) -> PathBuf {
        let directory = &self.evidence;
        let (theirs, our_note) = (contradiction.note.note(), ours.request_note());
        let notes = [
            (format!("{THEIR_PREFIX}{}", contradiction.head().size), theirs.to_string()),
            (format!("ours-{}", ours.tree().size), our_note.clone()),
        ];
        let named =
            notes.into_iter().map(|(stem, note)| (note_name(directory, &stem, &note), note));
        let mut files: Vec<_> = named.collect();
        if let Some(evidence) = self.evidence_of(contradiction, ours, &our_note) {
            let name = format!("{}.{EVIDENCE_SUFFIX}", evidence.id());
            files.push((name, evidence.to_string()));
        }
        for (name, text) in files {
            if let Err(error) = write_synced(directory, &name, &text) {
                let file = directory.join(name);
                let file = file.display();
                tracing::error!(log = self.shared.name, %file, %error, "evidence was not kept");
            }
        }
        directory.clone()
    }

    /// A note of ours of the same size convicts the key by itself, one of a larger size with the
    /// proof from their size to ours.
    fn evidence_of(
        &self,
        contradiction: &Contradiction,
        ours: &Signed,
        our_note: &str,
    ) -> Option<Evidence> {
        let at_their_size = contradiction.ours?;
        let prefix = match at_their_size.size {
            // The empty tree has one root: their note convicts without ours.
            size if size.get() == 0 || size == ours.tree().size => None,
            size if size > ours.tree().size => return None,
            size => {
                let proof = self.shared.prove_extension(ours.edge(), size).ok()?.0;
                Some((at_their_size.root_hash, proof))
            }
        };
        let (origin, keys) = (&self.shared.origin, std::slice::from_ref(&self.key));
        let theirs = contradiction.note.note();
        if at_their_size.size.get() == 0 {
            return Evidence::empty_root(theirs, origin, keys);
        }
        let ours = SignedNote::parse(our_note.as_bytes()).ok()?;
        Evidence::log_fork(theirs, &ours, prefix, origin, keys)
    }
}

/// A file in a log's directory for evidence that convicts its key.
pub(super) fn convicted(directory: &Path) -> std::io::Result<Option<PathBuf>> {
    let convicts = |path: &PathBuf| path.extension().is_some_and(|end| end == EVIDENCE_SUFFIX);
    Ok(files(directory)?.into_iter().find(convicts))
}

/// The notes that witnesses showed to earlier runs.
fn kept_notes(directory: &Path) -> std::io::Result<Vec<Vec<u8>>> {
    let is_theirs = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(THEIR_PREFIX) && name.ends_with(NOTE_SUFFIX)
    };
    files(directory)?.into_iter().filter(is_theirs).map(fs::read).collect()
}

fn files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    match fs::read_dir(directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        files => files?.map(|file| file.map(|file| file.path())).collect(),
    }
}

/// The name of a note's file. Several notes may have one size: none takes the place of another.
fn note_name(directory: &Path, stem: &str, note: &str) -> String {
    let mut name = format!("{stem}{NOTE_SUFFIX}");
    let mut count = 1;
    while fs::read(directory.join(&name)).is_ok_and(|kept| kept != note.as_bytes()) {
        count += 1;
        name = format!("{stem}-{count}{NOTE_SUFFIX}");
    }
    name
}

/// Under another name first, so that a file with the right name is always whole.
fn write_synced(directory: &Path, name: &str, text: &str) -> std::io::Result<()> {
    fs::create_dir_all(directory)?;
    let new = directory.join(format!("{name}.new"));
    let mut file = File::create(&new)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, directory.join(name))?;
    File::open(directory)?.sync_all()?;
    // The directory itself may be new.
    directory.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_of_the_same_size_takes_no_place_but_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let directory = dir.path().join("evidence");
        let mut names = Vec::new();
        for note in ["one", "two", "one", "three", "two"] {
            let name = note_name(&directory, "theirs-7", note);
            write_synced(&directory, &name, note).unwrap();
            names.push(name);
        }
        let [one, two, three] = ["theirs-7.note", "theirs-7-2.note", "theirs-7-3.note"];
        assert_eq!(names, [one, two, one, three, two]);
        let mut kept = kept_notes(&directory).unwrap();
        kept.sort();
        assert_eq!(kept, [b"one".to_vec(), b"three".to_vec(), b"two".to_vec()]);
        assert_eq!(convicted(&directory).unwrap(), None);
        write_synced(&directory, "ab.tlog-evidence", "proof").unwrap();
        assert!(convicted(&directory).unwrap().is_some());
    }
}

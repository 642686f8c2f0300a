//! Checkpoints: a log's origin, size and root as the text of a note (c2sp.org/tlog-checkpoint).
//!
//! In scope: the text, and opening a note with the log's key. Out of scope: cosignatures, and
//! whether two checkpoints are consistent (`proof`).

use std::fmt;
use std::fmt::Write;

use thiserror::Error;

use crate::hash::Hash;
use crate::key::VerifierKey;
use crate::note::{NoteError, SignedNote};
use crate::tree::{TreeHead, TreeSize};

/// The identity of a log, the first line of its checkpoints. It often looks like a URL without
/// scheme but need not, and may contain spaces.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin(String);

impl Origin {
    /// Checks an origin: not empty, no newline, no other control character below U+0020.
    ///
    /// # Errors
    /// [`OriginError`] says which rule is broken.
    pub fn parse(origin: &str) -> Result<Self, OriginError> {
        if origin.is_empty() {
            return Err(OriginError::Empty);
        }
        if has_control_character(origin) {
            return Err(OriginError::ControlCharacter);
        }
        Ok(Self(origin.to_owned()))
    }

    /// The origin as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not an origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OriginError {
    /// There is no text.
    #[error("the origin is empty")]
    Empty,
    /// A newline or another control character.
    #[error("the origin contains a control character")]
    ControlCharacter,
}

/// What a checkpoint says. Only [`SignedCheckpoint`] says that a log said it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Which log.
    pub origin: Origin,
    /// Size and root of its tree.
    pub head: TreeHead,
    /// Further lines; each is not empty and has no control character.
    pub extensions: Vec<String>,
}

impl Checkpoint {
    /// Reads the text of a checkpoint, final newline included. Any `u64` size is accepted; the
    /// root is canonical base64 of 32 bytes.
    ///
    /// # Errors
    /// [`CheckpointError`] names the line at fault.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let body = text.strip_suffix('\n').ok_or(CheckpointError::Unterminated)?;
        let mut lines = body.split('\n');
        let (Some(origin), Some(size), Some(root)) = (lines.next(), lines.next(), lines.next())
        else {
            return Err(CheckpointError::MissingLine);
        };
        let origin = Origin::parse(origin)?;
        let size = TreeSize::parse_decimal(size).ok_or(CheckpointError::BadSize)?;
        let root_hash = Hash::from_base64(root).ok_or(CheckpointError::BadRoot)?;
        let mut extensions = Vec::new();
        for line in lines {
            if line.is_empty() || has_control_character(line) {
                return Err(CheckpointError::BadExtension);
            }
            extensions.push(line.to_owned());
        }
        Ok(Self { origin, head: TreeHead { size, root_hash }, extensions })
    }

    /// The text that is signed, final newline included. It reads back as the same checkpoint if
    /// the extensions keep their rule.
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(self.origin.0.len() + 70);
        let root = self.head.root_hash.to_base64();
        write!(text, "{}\n{}\n{root}\n", self.origin, self.head.size)
            .expect("invariant: writing to a String cannot fail");
        for line in &self.extensions {
            text.push_str(line);
            text.push('\n');
        }
        text
    }
}

fn has_control_character(line: &str) -> bool {
    line.bytes().any(|byte| byte < b' ')
}

/// Which line of a checkpoint is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CheckpointError {
    /// The text lacks its final newline.
    #[error("the checkpoint does not end with a newline")]
    Unterminated,
    /// Fewer than three lines.
    #[error("the checkpoint has fewer than three lines")]
    MissingLine,
    /// The first line.
    #[error(transparent)]
    BadOrigin(#[from] OriginError),
    /// The second line: not a decimal `u64` without leading zeros.
    #[error("the tree size is not a canonical decimal")]
    BadSize,
    /// The third line: not canonical base64 of 32 bytes.
    #[error("the root hash is not canonical base64 of 32 bytes")]
    BadRoot,
    /// A further line is empty or has a control character.
    #[error("the checkpoint has a malformed extension line")]
    BadExtension,
}

/// A checkpoint that the log's key has signed. [`SignedCheckpoint::open`] is the only way to one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCheckpoint {
    checkpoint: Checkpoint,
    note: SignedNote,
}

impl SignedCheckpoint {
    /// Opens a note as a checkpoint of the log with this origin and key. The key's name may
    /// differ from the origin. Lines of other keys are kept and not judged.
    ///
    /// # Errors
    /// [`OpenError`] if the key is a witness's, the note is malformed, the key's signature is
    /// missing or fails, the text is not a checkpoint, or the checkpoint is of another log. Nothing
    /// of the text is looked at before the signature has been verified.
    pub fn open(bytes: &[u8], origin: &Origin, key: &VerifierKey) -> Result<Self, OpenError> {
        if !key.is_log_key() {
            return Err(OpenError::NotALogKey);
        }
        let note = SignedNote::parse(bytes)?;
        note.verify(std::slice::from_ref(key))?;
        let checkpoint = Checkpoint::parse(note.text())?;
        if checkpoint.origin != *origin {
            return Err(OpenError::OtherOrigin(checkpoint.origin));
        }
        Ok(Self { checkpoint, note })
    }

    /// What the log said.
    pub fn checkpoint(&self) -> &Checkpoint {
        &self.checkpoint
    }

    /// Size and root that the log signed.
    pub fn head(&self) -> TreeHead {
        self.checkpoint.head
    }

    /// The note with all its lines, those of unknown keys included.
    pub fn note(&self) -> &SignedNote {
        &self.note
    }
}

/// Why bytes are not a checkpoint of the expected log.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    /// The key makes cosignatures only, which never stand for a log's own signature.
    #[error("the key is a witness's: its lines do not speak for a log")]
    NotALogKey,
    /// The note is malformed, or the log's key did not sign it.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// The log's key signed something that is not a checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The key signed a checkpoint of another log.
    #[error("the checkpoint is of another log: {0}")]
    OtherOrigin(Origin),
}

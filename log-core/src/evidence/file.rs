//! The file `cairn/tlog-evidence@v1`: strict reading, canonical writing.

use std::fmt;
use std::iter::{Enumerate, Peekable};
use std::str::Split;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use super::{
    EVIDENCE_COMMENT_BYTES_MAX, EVIDENCE_COMMENTS_MAX, EVIDENCE_HASHES_MAX, EVIDENCE_KEYS_MAX,
    Evidence, EvidenceKind, Prefix, names,
};
use crate::checkpoint::{Checkpoint, CheckpointError};
use crate::hash::Hash;
use crate::key::{VerifierKey, VerifierKeyError};
use crate::note::{NoteError, SignedNote};
use crate::proof::ConsistencyProof;

/// Longest file that is read or made, in bytes. Two notes as long as a witness accepts (128 KiB)
/// take 350,000 in base64.
pub const EVIDENCE_BYTES_MAX: usize = 512 << 10;

/// The first line: format and version.
const HEADER: &str = "cairn/tlog-evidence@v1";

// How each kind of line begins.
const KIND: &str = "type ";
const KEY: &str = "vkey ";
const NOTE: &str = "note ";
const PREFIX: &str = "prefix ";
const HASH: &str = "hash ";
const COMMENT: &str = "comment ";

impl Evidence {
    /// Reads a file of at most [`EVIDENCE_BYTES_MAX`] bytes. Only the canonical form is read; the
    /// notes must be checkpoints, in the order and with the prefix that the kind asks for.
    ///
    /// # Errors
    /// [`EvidenceError`] says which rule of the format is broken: the file is malformed. Nothing
    /// is said about signatures, which only [`Evidence::verify`] looks at.
    pub fn parse(file: &[u8]) -> Result<Self, EvidenceError> {
        if file.len() > EVIDENCE_BYTES_MAX {
            return Err(EvidenceError::TooLong);
        }
        let file = std::str::from_utf8(file).map_err(|_| EvidenceError::NotUtf8)?;
        let body = file.strip_suffix('\n').ok_or(EvidenceError::Unterminated)?;
        let mut lines = Lines(body.split('\n').enumerate().peekable());
        lines.next(HEADER).filter(|rest| rest.is_empty()).ok_or(EvidenceError::UnknownVersion)?;
        let kind =
            lines.next(KIND).and_then(EvidenceKind::parse).ok_or(EvidenceError::UnknownKind)?;
        let mut keys = Vec::new();
        while let Some(vkey) = lines.next(KEY) {
            if keys.len() == EVIDENCE_KEYS_MAX {
                return Err(EvidenceError::KeyCount);
            }
            keys.push(VerifierKey::parse(vkey)?);
        }
        let mut notes = Vec::new();
        while let Some(note) = lines.next(NOTE) {
            if notes.len() == 2 {
                return Err(EvidenceError::NoteCount);
            }
            notes.push(parse_note(note)?);
        }
        let prefix = parse_prefix(&mut lines)?;
        let mut comments = Vec::new();
        while let Some(comment) = lines.next(COMMENT) {
            if comments.len() == EVIDENCE_COMMENTS_MAX {
                return Err(EvidenceError::TooManyComments);
            }
            if comment.is_empty() || fit_comment(comment) != comment {
                return Err(EvidenceError::BadComment);
            }
            comments.push(comment.to_owned());
        }
        if let Some((index, _)) = lines.0.next() {
            return Err(EvidenceError::UnexpectedLine { number: index + 1 });
        }
        Self::assemble(kind, keys, notes, prefix, comments)
    }

    /// Puts a file together of parts that are well formed in themselves.
    pub(super) fn assemble(
        kind: EvidenceKind,
        keys: Vec<VerifierKey>,
        notes: Vec<SignedNote>,
        prefix: Option<Prefix>,
        comments: Vec<String>,
    ) -> Result<Self, EvidenceError> {
        if keys.is_empty() || keys.len() > EVIDENCE_KEYS_MAX {
            return Err(EvidenceError::KeyCount);
        }
        let notes_wanted = if kind == EvidenceKind::LogEmptyRoot { 1 } else { 2 };
        if notes.len() != notes_wanted {
            return Err(EvidenceError::NoteCount);
        }
        if prefix.as_ref().is_some_and(|p| p.proof.hashes().len() > EVIDENCE_HASHES_MAX) {
            return Err(EvidenceError::TooManyHashes);
        }
        check_lines(&keys, &notes)?;
        let checkpoints = notes.iter().map(|note| Checkpoint::parse(note.text()));
        let checkpoints = checkpoints.collect::<Result<Vec<_>, _>>()?;
        let mut needs_prefix = false;
        if kind.is_fork() {
            let [first, second] = [0, 1].map(|index| checkpoints[index].head);
            if (first.size, first.root_hash) > (second.size, second.root_hash) {
                return Err(EvidenceError::WrongOrder);
            }
            needs_prefix = first.size != second.size;
        }
        if prefix.is_some() != needs_prefix {
            return Err(EvidenceError::WrongPrefix);
        }
        Ok(Self { kind, keys, notes, checkpoints, prefix, comments })
    }
}

/// The lines of a note must be those of the listed keys, in their order and each at most once;
/// every listed key must have a line. So nobody can vary a file at will.
fn check_lines(keys: &[VerifierKey], notes: &[SignedNote]) -> Result<(), EvidenceError> {
    if (1..keys.len()).any(|at| keys[..at].contains(&keys[at])) {
        return Err(EvidenceError::RepeatedKey);
    }
    let mut relied_on = vec![false; keys.len()];
    for note in notes {
        let mut next = 0;
        for line in note.signatures() {
            let found = (next..keys.len()).find(|index| names(line, &keys[*index]));
            let index = found.ok_or(EvidenceError::UnlistedSignature)?;
            relied_on[index] = true;
            next = index + 1;
        }
    }
    if relied_on.contains(&false) { Err(EvidenceError::UnusedKey) } else { Ok(()) }
}

fn parse_note(base64: &str) -> Result<SignedNote, EvidenceError> {
    let bytes = STANDARD.decode(base64).map_err(|_| EvidenceError::NoteNotCanonical)?;
    let note = SignedNote::parse(&bytes)?;
    // Signature lines are read with stray bits; a file holds them as they are written.
    if note.to_string().as_bytes() != bytes {
        return Err(EvidenceError::NoteNotCanonical);
    }
    Ok(note)
}

fn parse_prefix(lines: &mut Lines<'_>) -> Result<Option<Prefix>, EvidenceError> {
    let Some(root) = lines.next(PREFIX) else { return Ok(None) };
    let root = Hash::from_base64(root).ok_or(EvidenceError::BadHash)?;
    let mut hashes = Vec::new();
    while let Some(hash) = lines.next(HASH) {
        if hashes.len() == EVIDENCE_HASHES_MAX {
            return Err(EvidenceError::TooManyHashes);
        }
        hashes.push(Hash::from_base64(hash).ok_or(EvidenceError::BadHash)?);
    }
    Ok(Some(Prefix { root, proof: ConsistencyProof::from_hashes(hashes) }))
}

/// The lines of a file, with their positions.
struct Lines<'f>(Peekable<Enumerate<Split<'f, char>>>);

impl<'f> Lines<'f> {
    /// Takes the next line if it begins like this, and gives the rest of it.
    fn next(&mut self, start: &str) -> Option<&'f str> {
        let rest = self.0.peek()?.1.strip_prefix(start)?;
        self.0.next();
        Some(rest)
    }
}

/// A comment without control characters and cut to fit its line, at the end of a character.
pub(super) fn fit_comment(comment: &str) -> String {
    let text = comment.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut fitting = String::new();
    for character in text {
        if comment_line_len(&fitting) + character.len_utf8() > EVIDENCE_COMMENT_BYTES_MAX {
            break;
        }
        fitting.push(character);
    }
    fitting
}

/// Bytes of a comment's line without the newline.
pub(super) fn comment_line_len(comment: &str) -> usize {
    COMMENT.len() + comment.len()
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}\n{KIND}{}", self.kind)?;
        for key in &self.keys {
            writeln!(f, "{KEY}{key}")?;
        }
        for note in &self.notes {
            writeln!(f, "{NOTE}{}", STANDARD.encode(note.to_string()))?;
        }
        if let Some(prefix) = &self.prefix {
            writeln!(f, "{PREFIX}{}", prefix.root.to_base64())?;
            for hash in prefix.proof.hashes() {
                writeln!(f, "{HASH}{}", hash.to_base64())?;
            }
        }
        for comment in &self.comments {
            writeln!(f, "{COMMENT}{comment}")?;
        }
        Ok(())
    }
}

/// Why bytes are not a file of evidence. Such a file is malformed, which is less than unproven.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EvidenceError {
    /// More than [`EVIDENCE_BYTES_MAX`] bytes.
    #[error("the file is longer than {EVIDENCE_BYTES_MAX} bytes")]
    TooLong,
    /// Not UTF-8.
    #[error("the file is not UTF-8")]
    NotUtf8,
    /// The last line lacks its newline.
    #[error("the file does not end with a newline")]
    Unterminated,
    /// Another format or version.
    #[error("the first line is not {HEADER}")]
    UnknownVersion,
    /// The second line names no kind of evidence.
    #[error("the second line is not a known type of evidence")]
    UnknownKind,
    /// No key, or more than [`EVIDENCE_KEYS_MAX`].
    #[error("the file has no vkey line, or more than {EVIDENCE_KEYS_MAX}")]
    KeyCount,
    /// A line with a key is at fault.
    #[error("a vkey line is malformed: {0}")]
    BadKey(#[from] VerifierKeyError),
    /// Another number of notes than this kind of evidence has.
    #[error("evidence of this type has another number of notes")]
    NoteCount,
    /// A note's base64 or its signature lines are not in their canonical form.
    #[error("a note line is not canonical base64 of a canonical note")]
    NoteNotCanonical,
    /// A note breaks a rule of its format.
    #[error("a note is malformed: {0}")]
    BadNote(#[from] NoteError),
    /// A note's text is not a checkpoint.
    #[error("a note is not a checkpoint: {0}")]
    BadCheckpoint(#[from] CheckpointError),
    /// A signature line is of no listed key, is repeated, or is not in the order of the keys.
    #[error("a note has a signature that is not of the next listed key")]
    UnlistedSignature,
    /// A key is listed twice: the same proof would have two ids.
    #[error("a vkey line is repeated")]
    RepeatedKey,
    /// A listed key has signed nothing in the file.
    #[error("a listed key has no signature in any note")]
    UnusedKey,
    /// The smaller size, or for equal sizes the smaller root, stands first.
    #[error("the notes are not in their order")]
    WrongOrder,
    /// A fork over different sizes has a prefix; nothing else has one.
    #[error("the prefix is missing, or there is one where none belongs")]
    WrongPrefix,
    /// A prefix or hash line is not canonical base64 of 32 bytes.
    #[error("a prefix or hash line is not canonical base64 of 32 bytes")]
    BadHash,
    /// More than [`EVIDENCE_HASHES_MAX`] hashes.
    #[error("the proof has more than {EVIDENCE_HASHES_MAX} hashes")]
    TooManyHashes,
    /// A comment is empty, too long, or has a control character.
    #[error("a comment is empty, too long, or has a control character")]
    BadComment,
    /// More than [`EVIDENCE_COMMENTS_MAX`] comments.
    #[error("the file has more than {EVIDENCE_COMMENTS_MAX} comments")]
    TooManyComments,
    /// A line of no known kind, or not in its place.
    #[error("line {number} is unknown or not in its place")]
    UnexpectedLine {
        /// Which line, counted from 1.
        number: usize,
    },
}

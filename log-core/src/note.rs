//! Signed notes: a text and the lines of those who signed it (c2sp.org/signed-note).
//!
//! In scope: reading, writing and verifying notes. Out of scope: what the text says (`checkpoint`)
//! and the keys themselves (`key`).

use std::fmt;

use base64::Engine;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, PAD, STANDARD};
use thiserror::Error;

use crate::key::{KeyId, KeyName, VerifierKey};

/// Longest note that is read, in bytes. Sixteen lines of the largest signature type in use take
/// about 53,000, and this is the limit of the Go implementation too.
pub const NOTE_BYTES_MAX: usize = 1_000_000;

/// Most signature lines in one note. The specification asks verifiers to accept at least 16;
/// 100 is the limit of the Go implementation.
pub const NOTE_SIGNATURES_MAX: usize = 100;

/// How a signature line begins: an em dash and a space.
const LINE_START: &str = "\u{2014} ";

/// Base64 of signature lines: padding is required, but unused bits of the last digit may be set.
/// Such a line is judged by its signature, as other verifiers do; it is never written again.
const SIGNATURE_BASE64: GeneralPurpose =
    GeneralPurpose::new(&alphabet::STANDARD, PAD.with_decode_allow_trailing_bits(true));

/// One signature line. Displays as that line without its newline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteSignature {
    /// Who claims to have signed.
    pub name: KeyName,
    /// Which key of that name.
    pub id: KeyId,
    /// What follows the key id; at least one byte. Its form depends on the key's type.
    pub signature: Vec<u8>,
}

impl NoteSignature {
    fn parse(line: &str) -> Result<Self, NoteError> {
        let rest = line.strip_prefix(LINE_START).ok_or(NoteError::BadSignatureLine)?;
        let (name, value) = rest.split_once(' ').ok_or(NoteError::BadSignatureLine)?;
        let name = KeyName::parse(name).map_err(|_| NoteError::BadSignatureLine)?;
        let value = SIGNATURE_BASE64.decode(value).map_err(|_| NoteError::BadSignatureLine)?;
        match value.split_first_chunk::<4>() {
            Some((id, signature)) if !signature.is_empty() => {
                Ok(Self { name, id: KeyId::from_bytes(*id), signature: signature.to_vec() })
            }
            _ => Err(NoteError::BadSignatureLine),
        }
    }
}

impl fmt::Display for NoteSignature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = [&self.id.as_bytes()[..], &self.signature].concat();
        write!(f, "{LINE_START}{} {}", self.name, STANDARD.encode(value))
    }
}

/// A well-formed note. Nothing in it is to be believed before [`SignedNote::verify`].
///
/// Displays as the whole note, re-encoded from the decoded values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    signatures: Vec<NoteSignature>,
}

impl SignedNote {
    /// Puts a note together. `text` ends with its newline and may contain empty lines.
    ///
    /// # Errors
    /// [`NoteError`] if the result would not be read back by [`SignedNote::parse`].
    pub fn new(text: String, signatures: Vec<NoteSignature>) -> Result<Self, NoteError> {
        check_characters(&text)?;
        if !text.ends_with('\n') {
            return Err(NoteError::Unterminated);
        }
        match signatures.len() {
            0 => return Err(NoteError::NoSignature),
            1..=NOTE_SIGNATURES_MAX => {}
            _ => return Err(NoteError::TooManySignatures),
        }
        if signatures.iter().any(|line| line.signature.is_empty()) {
            return Err(NoteError::BadSignatureLine);
        }
        let note = Self { text, signatures };
        if note.encoded_len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong);
        }
        Ok(note)
    }

    /// Reads a note of at most [`NOTE_BYTES_MAX`] bytes and [`NOTE_SIGNATURES_MAX`] lines.
    ///
    /// # Errors
    /// [`NoteError`] says which rule of the format is broken.
    pub fn parse(note: &[u8]) -> Result<Self, NoteError> {
        if note.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong);
        }
        let note = std::str::from_utf8(note).map_err(|_| NoteError::NotUtf8)?;
        check_characters(note)?;
        // The text may contain empty lines, the signature block cannot: the last one separates.
        let blank = note.rfind("\n\n").ok_or(NoteError::NoBlankLine)?;
        let (text, block) = (&note[..=blank], &note[blank + 2..]);
        if block.is_empty() {
            return Err(NoteError::NoSignature);
        }
        Ok(Self { text: text.to_owned(), signatures: parse_lines(block)? })
    }

    /// The signed text, its final newline included.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines in the order of the note, unknown ones included.
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// Checks every line whose name and id belong to one of `keys` and gives the keys that
    /// signed: at least one, each once, in the order of their first lines. Lines of other keys are
    /// ignored.
    ///
    /// # Errors
    /// [`NoteError::WrongSignature`] if any line of a known key fails, a repeated one included:
    /// then nothing in the note is to be believed. [`NoteError::NoKnownSignature`] if no line
    /// belongs to a known key.
    pub fn verify<'k>(&self, keys: &'k [VerifierKey]) -> Result<Vec<&'k VerifierKey>, NoteError> {
        let mut signed: Vec<&VerifierKey> = Vec::new();
        let mut verified: Vec<&NoteSignature> = Vec::new();
        for line in &self.signatures {
            // A copy of a good line is good; judging it again would only cost time.
            if verified.contains(&line) {
                continue;
            }
            for key in keys.iter().filter(|key| key.id() == line.id && *key.name() == line.name) {
                key.verify(self.text.as_bytes(), &line.signature).map_err(|_| {
                    NoteError::WrongSignature { name: line.name.clone(), id: line.id }
                })?;
                if !signed.contains(&key) {
                    signed.push(key);
                }
                verified.push(line);
            }
        }
        if signed.is_empty() {
            return Err(NoteError::NoKnownSignature);
        }
        Ok(signed)
    }

    fn encoded_len(&self) -> usize {
        let line_len = |line: &NoteSignature| {
            let value = (4 + line.signature.len()).div_ceil(3) * 4;
            LINE_START.len() + line.name.as_str().len() + 1 + value + 1
        };
        self.text.len() + 1 + self.signatures.iter().map(line_len).sum::<usize>()
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for line in &self.signatures {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

/// Reads signature lines that stand alone, as in the answer of a witness (tlog-witness,
/// "add-checkpoint"). They are not judged: only a key can do that.
///
/// # Errors
/// [`NoteError`] under the rules and limits of [`SignedNote::parse`].
pub fn parse_signature_lines(lines: &[u8]) -> Result<Vec<NoteSignature>, NoteError> {
    if lines.len() > NOTE_BYTES_MAX {
        return Err(NoteError::TooLong);
    }
    let lines = std::str::from_utf8(lines).map_err(|_| NoteError::NotUtf8)?;
    check_characters(lines)?;
    if lines.is_empty() {
        return Err(NoteError::NoSignature);
    }
    parse_lines(lines)
}

fn parse_lines(block: &str) -> Result<Vec<NoteSignature>, NoteError> {
    let lines = block.strip_suffix('\n').ok_or(NoteError::Unterminated)?;
    let mut signatures = Vec::new();
    for line in lines.split('\n') {
        if signatures.len() == NOTE_SIGNATURES_MAX {
            return Err(NoteError::TooManySignatures);
        }
        signatures.push(NoteSignature::parse(line)?);
    }
    Ok(signatures)
}

/// Notes hold no control characters below U+0020 other than the newline.
fn check_characters(note: &str) -> Result<(), NoteError> {
    if note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
        return Err(NoteError::ControlCharacter);
    }
    Ok(())
}

/// Why a note is malformed or not to be believed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoteError {
    /// More than [`NOTE_BYTES_MAX`] bytes.
    #[error("the note is longer than {NOTE_BYTES_MAX} bytes")]
    TooLong,
    /// Not UTF-8.
    #[error("the note is not UTF-8")]
    NotUtf8,
    /// A control character other than the newline.
    #[error("the note contains a control character")]
    ControlCharacter,
    /// No empty line between text and signatures.
    #[error("the note has no empty line before its signatures")]
    NoBlankLine,
    /// No signature line.
    #[error("the note has no signature line")]
    NoSignature,
    /// The text or the last line lacks its newline.
    #[error("the note does not end with a newline")]
    Unterminated,
    /// More than [`NOTE_SIGNATURES_MAX`] lines.
    #[error("the note has more than {NOTE_SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// A line that is not an em dash, a key name and base64 of at least five bytes.
    #[error("the note has a malformed signature line")]
    BadSignatureLine,
    /// No line belongs to a known key.
    #[error("no signature is by a known key")]
    NoKnownSignature,
    /// The line of a known key does not verify.
    #[error("the signature of {name} (key id {id}) does not verify")]
    WrongSignature {
        /// The name on the line.
        name: KeyName,
        /// The key id on the line.
        id: KeyId,
    },
}

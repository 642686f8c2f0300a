//! One entry's proof as a text file that anyone can verify offline (c2sp.org/tlog-proof).
//!
//! In scope: the file and its inclusion in a tree that the log signed. Out of scope: cosignatures
//! and how many of them are enough.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use thiserror::Error;

use crate::checkpoint::{OpenError, Origin, SignedCheckpoint};
use crate::hash::Hash;
use crate::key::VerifierKey;
use crate::note::{NoteError, SignedNote};
use crate::proof::{InclusionProof, ProofError};
use crate::tree::LeafIndex;

/// The first line of the file: format and version.
const HEADER: &str = "c2sp.org/tlog-proof@v1";

/// Most hashes in an inclusion proof: one per level of a tree of 2^64 leaves.
const HASHES_MAX: usize = 64;

/// A proof that a leaf is in a log. Nothing in it is to be believed before [`TlogProof::verify`].
///
/// Displays as the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    /// Where the leaf is.
    pub index: LeafIndex,
    /// What the application added. No signature covers it.
    pub extra: Option<Vec<u8>>,
    /// The way from the leaf to the root of the checkpoint.
    pub inclusion: InclusionProof,
    /// The signed checkpoint, verbatim, with cosignatures if there are any.
    pub checkpoint: String,
}

impl TlogProof {
    /// Reads a file. Numbers and base64 must be canonical, and the checkpoint a well-formed note.
    ///
    /// # Errors
    /// [`TlogProofError`], never [`TlogProofError::Checkpoint`] or [`TlogProofError::Inclusion`].
    pub fn parse(file: &[u8]) -> Result<Self, TlogProofError> {
        let file = std::str::from_utf8(file).map_err(|_| TlogProofError::NotUtf8)?;
        let (header, mut rest) = take_line(file)?;
        if header != HEADER {
            return Err(TlogProofError::UnknownHeader);
        }
        let (mut line, after) = take_line(rest)?;
        rest = after;
        let mut extra = None;
        if let Some(value) = line.strip_prefix("extra ") {
            extra = Some(STANDARD.decode(value).map_err(|_| TlogProofError::BadExtra)?);
            (line, rest) = take_line(rest)?;
        }
        let index = line
            .strip_prefix("index ")
            .and_then(LeafIndex::parse_decimal)
            .ok_or(TlogProofError::BadIndex)?;
        let mut hashes = Vec::new();
        loop {
            (line, rest) = take_line(rest)?;
            if line.is_empty() {
                break;
            }
            if hashes.len() == HASHES_MAX {
                return Err(TlogProofError::TooManyHashes);
            }
            hashes.push(Hash::from_base64(line).ok_or(TlogProofError::BadHash)?);
        }
        SignedNote::parse(rest.as_bytes()).map_err(TlogProofError::MalformedCheckpoint)?;
        let inclusion = InclusionProof::from_hashes(hashes);
        Ok(Self { index, extra, inclusion, checkpoint: rest.to_owned() })
    }

    /// Checks that the log with this origin and key has the leaf at [`Self::index`], and gives the
    /// checkpoint that says so.
    ///
    /// # Errors
    /// [`TlogProofError::Checkpoint`] if the log did not sign the checkpoint,
    /// [`TlogProofError::Inclusion`] if the leaf is not where the proof says.
    pub fn verify(
        &self,
        leaf_hash: &Hash,
        origin: &Origin,
        key: &VerifierKey,
    ) -> Result<SignedCheckpoint, TlogProofError> {
        let signed = SignedCheckpoint::open(self.checkpoint.as_bytes(), origin, key)?;
        self.inclusion.verify(leaf_hash, self.index, &signed.head())?;
        Ok(signed)
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEADER}")?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in self.inclusion.hashes() {
            writeln!(f, "{}", hash.to_base64())?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

fn take_line(text: &str) -> Result<(&str, &str), TlogProofError> {
    text.split_once('\n').ok_or(TlogProofError::Truncated)
}

/// Why a file is no proof, or proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TlogProofError {
    /// Not UTF-8.
    #[error("the proof is not UTF-8")]
    NotUtf8,
    /// It ends before its checkpoint.
    #[error("the proof ends before its checkpoint")]
    Truncated,
    /// Another format or version.
    #[error("the first line is not {HEADER}")]
    UnknownHeader,
    /// The `extra` line is not canonical base64.
    #[error("the extra line is not canonical base64")]
    BadExtra,
    /// No index line, or its number is not a canonical decimal `u64`.
    #[error("the index line is missing or not a canonical decimal")]
    BadIndex,
    /// A hash line is not canonical base64 of 32 bytes.
    #[error("a hash line is not canonical base64 of 32 bytes")]
    BadHash,
    /// More hashes than any tree has levels.
    #[error("the proof has more than {HASHES_MAX} hashes")]
    TooManyHashes,
    /// What follows the empty line is not a note.
    #[error("the checkpoint is malformed: {0}")]
    MalformedCheckpoint(NoteError),
    /// The log did not sign the checkpoint.
    #[error("the checkpoint does not hold: {0}")]
    Checkpoint(#[from] OpenError),
    /// The leaf is not in the tree at that index.
    #[error("the inclusion proof does not hold: {0}")]
    Inclusion(#[from] ProofError),
}

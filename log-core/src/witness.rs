//! What a log and its witnesses say to one another (c2sp.org/tlog-witness).
//!
//! In scope: the bodies of both requests, the answer that names a size, the path of a log. Out of
//! scope: what the checkpoint in a request says (`note`, `checkpoint`), the decision, HTTP.

use std::fmt;

use thiserror::Error;

use crate::checkpoint::Origin;
use crate::hash::{Hash, sha256};
use crate::proof::ConsistencyProof;
use crate::subtree::{Subtree, SubtreeProof};
use crate::tree::TreeSize;

/// Most hashes in a request: one per level of a tree of 2^63 leaves (tlog-witness, 3.1).
pub const PROOF_HASHES_MAX: usize = 63;

/// Content type of an answer that is nothing but the size a witness has cosigned last.
pub const SIZE_CONTENT_TYPE: &str = "text/x.tlog.size";

/// A log asks a witness to cosign a checkpoint. Displays as the body of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddCheckpointRequest {
    /// The size that the witness is believed to have cosigned last; 0 for never.
    pub old: TreeSize,
    /// From `old` to the checkpoint's size; empty if one is 0 or both are equal.
    pub proof: ConsistencyProof,
    /// The signed note, as it came; nothing in it has been looked at.
    pub checkpoint: String,
}

impl AddCheckpointRequest {
    /// Reads the body of a request, at its first blank line: what stands before it is judged,
    /// what follows is kept.
    ///
    /// # Errors
    /// [`WitnessWireError`] names the line at fault.
    pub fn parse(body: &[u8]) -> Result<Self, WitnessWireError> {
        let (lines, checkpoint) = split(body)?;
        let (first, hashes) = lines.split_once('\n').unwrap_or((lines, ""));
        let old = first
            .strip_prefix("old ")
            .and_then(TreeSize::parse_decimal)
            .ok_or(WitnessWireError::BadOldLine)?;
        let proof = ConsistencyProof::from_hashes(parse_hashes(hashes)?);
        Ok(Self { old, proof, checkpoint: checkpoint.to_owned() })
    }
}

impl fmt::Display for AddCheckpointRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        for hash in self.proof.hashes() {
            writeln!(f, "{}", hash.to_base64())?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Somebody asks a witness to sign the hash of a subtree, by a checkpoint that it cosigned.
/// Displays as the body of the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignSubtreeRequest {
    /// The leaves in question; at least one.
    pub subtree: Subtree,
    /// Their hash.
    pub hash: Hash,
    /// From the subtree to the checkpoint's tree.
    pub proof: SubtreeProof,
    /// The signed note, as it came; nothing in it has been looked at.
    pub checkpoint: String,
}

impl SignSubtreeRequest {
    /// Reads the body of a request, at its first blank line.
    ///
    /// # Errors
    /// [`WitnessWireError`] names the line at fault.
    pub fn parse(body: &[u8]) -> Result<Self, WitnessWireError> {
        let (lines, checkpoint) = split(body)?;
        let (first, rest) = lines.split_once('\n').ok_or(WitnessWireError::BadHash)?;
        let subtree = parse_subtree(first).ok_or(WitnessWireError::BadSubtreeLine)?;
        let (hash, hashes) = rest.split_once('\n').unwrap_or((rest, ""));
        let hash = Hash::from_base64(hash).ok_or(WitnessWireError::BadHash)?;
        let proof = SubtreeProof::from_hashes(parse_hashes(hashes)?);
        Ok(Self { subtree, hash, proof, checkpoint: checkpoint.to_owned() })
    }
}

impl fmt::Display for SignSubtreeRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "subtree {} {}", self.subtree.start(), self.subtree.end())?;
        writeln!(f, "{}", self.hash.to_base64())?;
        for hash in self.proof.hashes() {
            writeln!(f, "{}", hash.to_base64())?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

/// Names a log in the path of a witness, in lower-case hex: the SHA-256 of its origin.
pub fn origin_hash(origin: &Origin) -> Hash {
    sha256(origin.as_str().as_bytes())
}

/// Reads the body of an answer with [`SIZE_CONTENT_TYPE`]: one canonical decimal and a newline.
pub fn parse_size(body: &[u8]) -> Option<TreeSize> {
    TreeSize::parse_decimal(std::str::from_utf8(body).ok()?.strip_suffix('\n')?)
}

/// Splits a body at its first blank line: the note has blank lines of its own.
fn split(body: &[u8]) -> Result<(&str, &str), WitnessWireError> {
    let body = std::str::from_utf8(body).map_err(|_| WitnessWireError::NotUtf8)?;
    if body.bytes().any(|byte| byte < b' ' && byte != b'\n') {
        return Err(WitnessWireError::ControlCharacter);
    }
    body.split_once("\n\n").ok_or(WitnessWireError::NoBlankLine)
}

fn parse_subtree(line: &str) -> Option<Subtree> {
    let (start, end) = line.strip_prefix("subtree ")?.split_once(' ')?;
    let (start, end) = (TreeSize::parse_decimal(start)?, TreeSize::parse_decimal(end)?);
    // The empty subtree has no place in a statement: the draft that witnesses follow excludes it.
    Subtree::new(start.get(), end.get()).filter(|subtree| subtree.start() < subtree.end())
}

fn parse_hashes(lines: &str) -> Result<Vec<Hash>, WitnessWireError> {
    let mut hashes = Vec::new();
    if lines.is_empty() {
        return Ok(hashes);
    }
    for line in lines.split('\n') {
        if hashes.len() == PROOF_HASHES_MAX {
            return Err(WitnessWireError::TooManyHashes);
        }
        hashes.push(Hash::from_base64(line).ok_or(WitnessWireError::BadHash)?);
    }
    Ok(hashes)
}

/// Why a body is no request to a witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WitnessWireError {
    /// Not UTF-8.
    #[error("the request is not UTF-8")]
    NotUtf8,
    /// A control character other than the newline.
    #[error("the request contains a control character")]
    ControlCharacter,
    /// Nothing separates the first lines from the checkpoint.
    #[error("the request has no empty line before its checkpoint")]
    NoBlankLine,
    /// The first line of add-checkpoint.
    #[error("the first line is not `old` and a canonical decimal")]
    BadOldLine,
    /// The first line of sign-subtree.
    #[error("the first line is not `subtree` and the two ends of a subtree in canonical decimals")]
    BadSubtreeLine,
    /// A line that should be a hash.
    #[error("a hash line is not canonical base64 of 32 bytes")]
    BadHash,
    /// More than [`PROOF_HASHES_MAX`] hashes.
    #[error("the proof has more than {PROOF_HASHES_MAX} hashes")]
    TooManyHashes,
}

//! Evidence that a key signed what no honest holder signs, for anybody to check offline.
//!
//! In scope: the file `cairn/tlog-evidence@v1`, what it proves and to whom, and making it from
//! notes and from refused requests. Out of scope: fetching what a proof lacks, clocks, and who is
//! to blame: a log that was restored from a backup looks like one that lies.
//!
//! Two checkpoints of different sizes convict only together with a third thing: the hash of the
//! larger tree's first leaves, as many as the smaller tree has, and a consistency proof from that
//! hash to the larger root. If the hash is not the smaller root, no proof between the two
//! checkpoints can exist. A proof that merely fails shows nothing: anybody can send a wrong one.

mod file;
mod make;
mod verify;

use std::fmt;

pub use file::{EVIDENCE_BYTES_MAX, EvidenceError};
pub use verify::{NotProven, Proven};

use crate::checkpoint::Checkpoint;
use crate::hash::{Hash, sha256};
use crate::key::VerifierKey;
use crate::note::{NoteSignature, SignedNote};
use crate::proof::ConsistencyProof;

/// Most keys in one file: more than a log has at a time, and the vkeys fit beside two notes.
pub const EVIDENCE_KEYS_MAX: usize = 16;
/// Most hashes in the proof: one per level of a tree of 2^63 leaves.
pub const EVIDENCE_HASHES_MAX: usize = 63;
/// Most comment lines.
pub const EVIDENCE_COMMENTS_MAX: usize = 32;
/// Longest comment line, in bytes, from the word `comment` to the end without the newline.
pub const EVIDENCE_COMMENT_BYTES_MAX: usize = 1_000;

/// A well-formed file of evidence. It convicts nobody before [`Evidence::verify`].
///
/// Displays as the file, which is canonical: the same claim about the same signatures is always
/// the same file, but for comments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    kind: EvidenceKind,
    /// Every key that a signature line below belongs to.
    keys: Vec<VerifierKey>,
    /// In canonical order; one for an empty root, otherwise two.
    notes: Vec<SignedNote>,
    /// What the notes say.
    checkpoints: Vec<Checkpoint>,
    prefix: Option<Prefix>,
    comments: Vec<String>,
}

/// What joins two checkpoints of different sizes into a proof.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Prefix {
    /// Root over the larger tree's first leaves, as many as the smaller tree has.
    root: Hash,
    /// From the prefix to the larger tree.
    proof: ConsistencyProof,
}

/// What a file says that somebody did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EvidenceKind {
    /// A log signed two inconsistent checkpoints.
    LogFork,
    /// A log signed a checkpoint of size 0 whose root is not that of the empty tree.
    LogEmptyRoot,
    /// One cosigner key signed two inconsistent checkpoints of one log.
    CosignerFork,
    /// One cosigner key signed a smaller checkpoint of a log later than a larger one, although its
    /// signature says that it knows of no larger one.
    CosignerRollback,
}

/// What the keys that a verifier trusts are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EvidenceRole {
    /// They sign for the log.
    Log,
    /// They cosign for a witness.
    Cosigner,
}

impl Evidence {
    /// Hash of the file without its comments. Displayed, it names the file.
    pub fn id(&self) -> Hash {
        sha256(Self { comments: Vec::new(), ..self.clone() }.to_string().as_bytes())
    }

    /// What the file says that somebody did.
    pub fn kind(&self) -> EvidenceKind {
        self.kind
    }

    /// The keys that signed, by the file's own word.
    pub fn keys(&self) -> &[VerifierKey] {
        &self.keys
    }

    /// The signed notes in canonical order, each with the signature lines that are relied on: one
    /// for [`EvidenceKind::LogEmptyRoot`], otherwise two.
    pub fn notes(&self) -> &[SignedNote] {
        &self.notes
    }

    /// What the notes say, in the same order.
    pub fn checkpoints(&self) -> &[Checkpoint] {
        &self.checkpoints
    }

    /// If the sizes differ: the root over the larger tree's first leaves, as many as the smaller
    /// tree has, and the proof from it to the larger root.
    pub fn prefix(&self) -> Option<(&Hash, &ConsistencyProof)> {
        self.prefix.as_ref().map(|prefix| (&prefix.root, &prefix.proof))
    }

    /// Notes for people, which prove nothing.
    pub fn comments(&self) -> &[String] {
        &self.comments
    }

    /// Replaces the comments. They are made to fit: a control character becomes a space, a long
    /// line is cut, empty lines are dropped, and so are those beyond [`EVIDENCE_COMMENTS_MAX`] or
    /// the length of a file.
    #[must_use]
    pub fn with_comments(self, comments: Vec<String>) -> Self {
        let mut evidence = Self { comments: Vec::new(), ..self };
        let mut room = EVIDENCE_BYTES_MAX.saturating_sub(evidence.to_string().len());
        for comment in comments {
            let comment = file::fit_comment(&comment);
            let length = file::comment_line_len(&comment) + 1;
            if evidence.comments.len() == EVIDENCE_COMMENTS_MAX || length > room {
                break;
            }
            if !comment.is_empty() {
                room -= length;
                evidence.comments.push(comment);
            }
        }
        evidence
    }
}

impl EvidenceKind {
    const ALL: [Self; 4] =
        [Self::LogFork, Self::LogEmptyRoot, Self::CosignerFork, Self::CosignerRollback];

    /// Whose keys such evidence convicts.
    pub fn role(self) -> EvidenceRole {
        match self {
            Self::LogFork | Self::LogEmptyRoot => EvidenceRole::Log,
            Self::CosignerFork | Self::CosignerRollback => EvidenceRole::Cosigner,
        }
    }

    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::LogFork => "log-fork",
            Self::LogEmptyRoot => "log-empty-root",
            Self::CosignerFork => "cosigner-fork",
            Self::CosignerRollback => "cosigner-rollback",
        }
    }

    fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    fn is_fork(self) -> bool {
        matches!(self, Self::LogFork | Self::CosignerFork)
    }
}

impl fmt::Display for EvidenceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl EvidenceRole {
    /// Whether a key of this type can speak in this role.
    fn accepts(self, key: &VerifierKey) -> bool {
        match self {
            Self::Log => key.is_log_key(),
            Self::Cosigner => key.is_cosigner_key(),
        }
    }
}

/// Whether a line stands under the name and the id of a key. Anybody can write such a line.
fn names(line: &NoteSignature, key: &VerifierKey) -> bool {
    line.id == key.id() && line.name == *key.name()
}

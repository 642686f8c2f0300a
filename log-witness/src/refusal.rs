//! Refusal: every reason for which a request gets no signature, in the words of the one who must
//! act. Status codes are chosen in `api`.

use log_core::checkpoint::CheckpointError;
use log_core::note::NoteError;
use log_core::witness::WitnessWireError;
use log_core::{Hash, TreeSize};

use crate::clock::ClockFault;
use crate::row::Ahead;

/// Why nothing was signed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The body is no request.
    #[error("{0}")]
    BadRequest(#[from] WitnessWireError),
    /// The first line of the checkpoint names no log that this witness knows.
    #[error("unknown log origin")]
    UnknownOrigin,
    /// The checkpoint is no signed note.
    #[error("{0}")]
    BadNote(NoteError),
    /// The note has more signature lines than this witness looks at.
    #[error("the note has more than {0} signature lines")]
    TooManyLines(usize),
    /// A line of a trusted key fails, or there is none.
    #[error("{0}")]
    NotSigned(NoteError),
    /// The text of the note is no checkpoint.
    #[error("{0}")]
    BadCheckpoint(#[from] CheckpointError),
    /// The checkpoint has lines that an ML-DSA-44 cosignature would not cover.
    #[error("checkpoints with extension lines are not cosigned")]
    Extensions,
    /// The size does not fit a signed 64-bit integer, as most verifiers hold it.
    #[error("the tree size is beyond 2^63-1")]
    SizeTooLarge,
    /// The request names an old size beyond the checkpoint's, or a subtree that ends beyond it.
    #[error("size {old} is beyond the checkpoint's size {size}")]
    BeyondSize {
        /// The old size, or the end of the subtree.
        old: TreeSize,
        /// The checkpoint's size.
        size: TreeSize,
    },
    /// Size 0 with a root that is not that of the empty tree.
    #[error("the root of the tree of size 0 is wrong")]
    EmptyRoot,
    /// The old size is not the one that was cosigned last.
    #[error("the latest cosigned size is {latest}")]
    Conflict {
        /// The size that was cosigned last; 0 for none.
        latest: TreeSize,
    },
    /// There is a proof where none is due: from size 0, or between equal sizes.
    #[error("the proof must be empty")]
    ProofNotEmpty,
    /// Equal sizes and different roots.
    #[error("another root was cosigned for this size")]
    RootsDiffer,
    /// The consistency proof, or the subtree's, does not hold.
    #[error("the proof does not hold")]
    ProofFails,
    /// The checkpoint of a sign-subtree request has no cosignature of a key that signs subtrees.
    #[error("this witness has not cosigned the checkpoint with a key that signs subtrees")]
    NotCosigned,
    /// The log is frozen on evidence until the operator accepts it.
    #[error("frozen on evidence {0}")]
    Frozen(Hash),
    /// An own signature is newer than the state: the database was rolled back.
    #[error(
        "this witness has signed for size {} of this log and does not remember it: its state was \
         rolled back, and its operator must restart this log", .0.size
    )]
    RolledBack(Ahead),
    /// The state of this origin was lost.
    #[error("the state of this log was lost; the operator must restart it")]
    Lost,
    /// The clock cannot be believed.
    #[error("{0}")]
    Clock(#[from] ClockFault),
    /// Many requests of this origin at once; the head moved every time.
    #[error("the head of this log moves too fast")]
    TooManyConflicts,
    /// The state or the evidence could not be written, or a signature did not verify.
    #[error("internal error")]
    Internal,
}

impl Refusal {
    /// A word for metrics.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::UnknownOrigin => "unknown_origin",
            Self::BadNote(_) | Self::TooManyLines(_) => "bad_note",
            Self::NotSigned(_) => "not_signed",
            Self::BadCheckpoint(_) | Self::Extensions | Self::SizeTooLarge => "bad_checkpoint",
            Self::BeyondSize { .. } => "beyond_size",
            Self::EmptyRoot => "empty_root",
            Self::Conflict { .. } => "conflict",
            Self::ProofNotEmpty => "proof_not_empty",
            Self::RootsDiffer => "roots_differ",
            Self::ProofFails => "proof_fails",
            Self::NotCosigned => "not_cosigned",
            Self::Frozen(_) => "frozen",
            Self::RolledBack(_) => "rolled_back",
            Self::Lost => "lost",
            Self::Clock(_) => "clock",
            Self::TooManyConflicts => "too_many_conflicts",
            Self::Internal => "internal",
        }
    }
}

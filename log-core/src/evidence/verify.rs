//! What a file of evidence proves, under the keys of whoever asks.

use thiserror::Error;

use super::{Evidence, EvidenceKind, EvidenceRole};
use crate::checkpoint::Origin;
use crate::cosignature::Cosignature;
use crate::hash::Hash;
use crate::key::VerifierKey;
use crate::note::NoteError;
use crate::proof::ProofError;
use crate::tree::TreeHead;

/// What is proven: the holders of these keys signed what no honest holder signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// What they did.
    pub kind: EvidenceKind,
    /// The log whose checkpoints were signed.
    pub origin: Origin,
    /// The convicted keys, at least one, all of them the verifier's own. For a log these are the
    /// keys that signed either checkpoint; for a cosigner each of them signed both.
    pub keys: Vec<VerifierKey>,
    /// The first signed head: of a fork the smaller one, of a rollback the earlier one.
    pub first: TreeHead,
    /// The second signed head. For [`EvidenceKind::LogEmptyRoot`], which needs no second one,
    /// the only head of size 0 that a log can have.
    pub second: TreeHead,
}

impl Evidence {
    /// Decides whether the file convicts the log or the cosigner with these keys, about the log
    /// with this origin. Offline, without a clock. Only the keys given here are trusted, and of
    /// them only those of a type that fits the role; the keys in the file are information.
    ///
    /// # Errors
    /// [`NotProven`] says what is missing. Then the file convicts nobody.
    pub fn verify(
        &self,
        role: EvidenceRole,
        origin: &Origin,
        keys: &[VerifierKey],
    ) -> Result<Proven, NotProven> {
        if self.kind.role() != role {
            return Err(NotProven::OtherRole(self.kind));
        }
        let trusted: Vec<_> = keys.iter().filter(|key| role.accepts(key)).cloned().collect();
        let mut signed = Vec::new();
        for (note, checkpoint) in self.notes.iter().zip(&self.checkpoints) {
            signed.push(note.verify(&trusted)?);
            if checkpoint.origin != *origin {
                return Err(NotProven::OtherOrigin(checkpoint.origin.clone()));
            }
        }
        let first = self.checkpoints[0].head;
        let second = self.checkpoints.get(1).map_or(TreeHead::EMPTY, |second| second.head);
        let in_all = |key: &&&VerifierKey| signed.iter().all(|keys| keys.contains(*key));
        let keys: Vec<&VerifierKey> = match self.kind {
            EvidenceKind::LogEmptyRoot => {
                check_empty_root(&first)?;
                signed[0].clone()
            }
            EvidenceKind::LogFork => {
                self.check_fork(&first, &second)?;
                let signed_either = |key: &&VerifierKey| signed.iter().flatten().any(|k| k == key);
                trusted.iter().filter(signed_either).collect()
            }
            EvidenceKind::CosignerFork => {
                self.check_fork(&first, &second)?;
                signed[0].iter().filter(in_all).copied().collect()
            }
            EvidenceKind::CosignerRollback => {
                let both: Vec<_> = signed[0].iter().filter(in_all).copied().collect();
                let smaller = second.size < first.size;
                let mut back = both.clone();
                back.retain(|key| smaller && self.is_rollback_of(key));
                if back.is_empty() && !both.is_empty() {
                    return Err(NotProven::NoRollback);
                }
                back
            }
        };
        if keys.is_empty() {
            return Err(NotProven::NoCommonKey);
        }
        let keys = keys.into_iter().cloned().collect();
        Ok(Proven { kind: self.kind, origin: origin.clone(), keys, first, second })
    }

    /// Whether no consistency proof between the two heads can exist: if one did, it and the proof
    /// in the file would lead from different hashes to one root, which is a collision of SHA-256.
    fn check_fork(&self, first: &TreeHead, second: &TreeHead) -> Result<(), NotProven> {
        let Some(prefix) = &self.prefix else {
            // Equal sizes: only then is there no prefix.
            let same_root = first.root_hash == second.root_hash;
            return if same_root { Err(NotProven::SameHead) } else { Ok(()) };
        };
        if first.size.get() == 0 {
            return Err(NotProven::EmptyTree);
        }
        if prefix.root == first.root_hash {
            return Err(NotProven::Consistent);
        }
        let beginning = TreeHead { size: first.size, root_hash: prefix.root };
        prefix.proof.verify(&beginning, second).map_err(NotProven::Proof)
    }

    /// Whether this key put a later time under the second note than under the first. Time 0 makes
    /// no statement.
    fn is_rollback_of(&self, key: &VerifierKey) -> bool {
        let time = |index: usize| Cosignature::find(&self.notes[index], key).map(|c| c.time_s());
        matches!((time(0), time(1)), (Some(first), Some(second)) if first < second)
    }
}

fn check_empty_root(head: &TreeHead) -> Result<(), NotProven> {
    if head.size.get() != 0 || head.root_hash == Hash::EMPTY_ROOT {
        return Err(NotProven::EmptyRootRight);
    }
    Ok(())
}

/// Why a well-formed file convicts nobody.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotProven {
    /// The file accuses a log where keys of a cosigner are trusted, or the reverse.
    #[error("{0} is not about keys of this kind")]
    OtherRole(EvidenceKind),
    /// A note is not signed by a trusted key, or a line of a trusted key fails.
    #[error("a note does not open: {0}")]
    Signature(#[from] NoteError),
    /// A checkpoint is of another log.
    #[error("a checkpoint is of another log: {0}")]
    OtherOrigin(Origin),
    /// Both notes say the same.
    #[error("both notes have the same size and root")]
    SameHead,
    /// Every tree is consistent with the empty one.
    #[error("nothing is inconsistent with an empty tree")]
    EmptyTree,
    /// The larger tree begins with the smaller one, by the file's own word.
    #[error("the larger tree begins with the smaller one")]
    Consistent,
    /// The proof does not lead from the prefix to the larger root.
    #[error("the proof in the file does not hold: {0}")]
    Proof(ProofError),
    /// The size is not 0, or the root is that of the empty tree.
    #[error("the checkpoint is not one of size 0 with a wrong root")]
    EmptyRootRight,
    /// No trusted cosigner key signed both notes.
    #[error("no trusted key signed both notes")]
    NoCommonKey,
    /// The second checkpoint is not smaller, or not later, or a time is missing.
    #[error("the second checkpoint is not both smaller and later")]
    NoRollback,
}

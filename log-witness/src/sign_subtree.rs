//! sign-subtree: the decision whether to sign the hash of a subtree (c2sp.org/tlog-witness).
//!
//! It needs no state: the reference checkpoint bears a cosignature of this witness, so everything
//! that is proven to be part of it is consistent with what this witness has signed.

use std::sync::Arc;

use log_core::TreeSize;
use log_core::checkpoint::Checkpoint;
use log_core::cosignature::Cosignature;
use log_core::note::NoteSignature;
use log_core::witness::SignSubtreeRequest;

use crate::add_checkpoint::{parse_checkpoint, parse_note};
use crate::keys::{OwnCosignature, WitnessKeys};
use crate::logs::{Log, Logs};
use crate::refusal::Refusal;

/// A request whose form holds, and the log that it speaks of.
#[derive(Debug)]
pub struct OpenedSubtree {
    log: Arc<Log>,
    request: SignSubtreeRequest,
    own_lines: Vec<(NoteSignature, Cosignature)>,
    checkpoint: Checkpoint,
}

impl OpenedSubtree {
    /// SS-1 and SS-2: the form, and a known origin.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn open(body: &[u8], logs: &Logs, own_keys: &WitnessKeys) -> Result<Self, Refusal> {
        let request = SignSubtreeRequest::parse(body)?;
        let note = parse_note(&request.checkpoint)?;
        let checkpoint = parse_checkpoint(&note)?;
        let (end, size) = (TreeSize::new(request.subtree.end()), checkpoint.head.size);
        if end > size {
            return Err(Refusal::BeyondSize { old: end, size });
        }
        let log = logs.by_origin(checkpoint.origin.as_str()).ok_or(Refusal::UnknownOrigin)?;
        let own_lines = own_keys.own_lines(&note);
        Ok(Self { log, request, own_lines, checkpoint })
    }

    /// SS-3 to SS-5: the lines to answer, one for each key that cosigned the checkpoint and signs
    /// subtrees.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn sign(&self, keys: &WitnessKeys) -> Result<Vec<NoteSignature>, Refusal> {
        let signing = keys.subtree_cosigners(&self.own_lines);
        if signing.is_empty() {
            return Err(Refusal::NotCosigned);
        }
        let SignSubtreeRequest { subtree, hash, proof, .. } = &self.request;
        proof.verify(*subtree, hash, &self.checkpoint.head).map_err(|_| Refusal::ProofFails)?;
        let origin = &self.checkpoint.origin;
        let lines = signing.into_iter().map(|key| key.cosign_subtree(origin, *subtree, hash));
        lines.flatten().collect::<Result<_, _>>().map_err(|_| Refusal::Internal)
    }

    /// What valid own signatures on the checkpoint say: if the state does not know it, the state
    /// was rolled back.
    pub fn own(&self) -> Option<OwnCosignature> {
        OwnCosignature::of_lines(&self.own_lines, self.checkpoint.head)
    }

    /// The log in question.
    pub fn log(&self) -> &Arc<Log> {
        &self.log
    }
}

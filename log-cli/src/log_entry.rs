//! One entry of a log with its inclusion proof: `dev.sigstore.rekor.v1.TransparencyLogEntry`.
//!
//! In scope: its JSON, and whether it proves that a leaf is in a log. What the leaf should be is
//! the caller's question.

use log_core::checkpoint::{Checkpoint, CheckpointError, OpenError, Origin, SignedCheckpoint};
use log_core::hash::Hash;
use log_core::key::{SignatureError, VerifierKey};
use log_core::leaf::Leaf;
use log_core::note::{NoteError, SignedNote};
use log_core::proof::{InclusionProof, ProofError};
use log_core::tree::{LeafIndex, TreeHead};
use serde::{Deserialize, Serialize};

use crate::protojson::{Bytes, Int64, nullable};

/// An entry of a log, as the log answers it and as bundles carry it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogEntry {
    /// The position in the log, from 0; in Rekor v1 over all its trees.
    #[serde(default, deserialize_with = "nullable")]
    pub log_index: Int64,
    /// The log.
    pub log_id: LogId,
    /// The kind and version of the body.
    pub kind_version: KindVersion,
    /// Seconds since 1970 in Rekor v1; always 0 in v2.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "Int64::is_zero")]
    pub integrated_time: Int64,
    /// The signed promise of Rekor v1; never in v2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inclusion_promise: Option<InclusionPromise>,
    /// The proof, with the checkpoint it leads to.
    pub inclusion_proof: Option<EntryProof>,
    /// The bytes of the leaf.
    pub canonicalized_body: Bytes,
}

/// Which log.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogId {
    /// The 32 bytes whose first four are the key id of the note signature.
    pub key_id: Bytes,
}

/// The kind and version of a body.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KindVersion {
    /// `hashedrekord`, `dsse`, in Rekor v1 also `intoto` and others.
    pub kind: String,
    /// `0.0.2`; in Rekor v1 `0.0.1` of most kinds.
    pub version: String,
}

/// The signed promise of Rekor v1.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct InclusionPromise {
    /// The signature.
    pub signed_entry_timestamp: Bytes,
}

/// An inclusion proof and the checkpoint it leads to.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EntryProof {
    /// The position in the tree.
    #[serde(default, deserialize_with = "nullable")]
    pub log_index: Int64,
    /// The root of the tree.
    pub root_hash: Bytes,
    /// The number of leaves of the tree.
    #[serde(default, deserialize_with = "nullable")]
    pub tree_size: Int64,
    /// The path, leaf to root.
    #[serde(default, deserialize_with = "nullable")]
    pub hashes: Vec<Bytes>,
    /// The signed tree head.
    pub checkpoint: Option<EntryCheckpoint>,
}

/// A signed note in JSON.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EntryCheckpoint {
    /// The note.
    pub envelope: String,
}

/// What an entry was proved to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Included {
    /// The position in the log.
    pub index: LeafIndex,
    /// The checkpoint that covers it.
    pub checkpoint: Checkpoint,
    /// The note that says so, with all its lines; only that of the log's key was verified.
    pub note: SignedNote,
}

impl LogEntry {
    /// Verifies that `leaf` is in the log at the entry's index, under a checkpoint that `key`
    /// signed for `origin`. The size and root of the proof must be those of the checkpoint.
    pub fn verify(
        &self,
        leaf: &Leaf,
        origin: &Origin,
        key: &VerifierKey,
    ) -> Result<Included, EntryRefusal> {
        let (proof, note) = self.proof()?;
        let signed = SignedCheckpoint::open(note.as_bytes(), origin, key)?;
        self.check_inclusion(leaf, proof, signed.checkpoint().clone(), signed.note().clone())
    }

    /// As `verify`, but the checkpoint's signature is not checked: the proof only shows that
    /// whoever answered has a tree with this leaf in it.
    pub fn verify_unsigned(&self, leaf: &Leaf) -> Result<Included, EntryRefusal> {
        let (proof, note) = self.proof()?;
        let note = SignedNote::parse(note.as_bytes())?;
        self.check_inclusion(leaf, proof, Checkpoint::parse(note.text())?, note)
    }

    /// The inclusion proof as typed hashes.
    pub fn inclusion(&self) -> Result<InclusionProof, EntryRefusal> {
        let (proof, _) = self.proof()?;
        let hashes = proof.hashes.iter().map(|hash| Hash::from_slice(&hash.0));
        let hashes = hashes.collect::<Option<Vec<_>>>().ok_or(EntryRefusal::ProofHash)?;
        Ok(InclusionProof::from_hashes(hashes))
    }

    /// The position in the log.
    pub fn index(&self) -> Result<LeafIndex, EntryRefusal> {
        self.log_index.to_u64().map(LeafIndex::new).ok_or(EntryRefusal::Index)
    }

    /// The proof and the note with the checkpoint.
    pub fn proof(&self) -> Result<(&EntryProof, &str), EntryRefusal> {
        let proof = self.inclusion_proof.as_ref().ok_or(EntryRefusal::NoProof)?;
        let checkpoint = proof.checkpoint.as_ref().ok_or(EntryRefusal::NoCheckpoint)?;
        Ok((proof, &checkpoint.envelope))
    }

    fn check_inclusion(
        &self,
        leaf: &Leaf,
        proof: &EntryProof,
        checkpoint: Checkpoint,
        note: SignedNote,
    ) -> Result<Included, EntryRefusal> {
        if self.inclusion_promise.is_some() || !self.integrated_time.is_zero() {
            return Err(EntryRefusal::UnsignedTime);
        }
        let index = self.index()?;
        if proof.log_index != self.log_index {
            return Err(EntryRefusal::Index);
        }
        if self.canonicalized_body.0 != leaf.as_bytes() {
            return Err(EntryRefusal::OtherBody);
        }
        self.check_path(&leaf.hash(), index, &checkpoint)?;
        Ok(Included { index, checkpoint, note })
    }

    /// The proof must be about the checkpoint's tree, and lead from the leaf at `index` to it.
    pub(crate) fn check_path(
        &self,
        leaf_hash: &Hash,
        index: LeafIndex,
        checkpoint: &Checkpoint,
    ) -> Result<(), EntryRefusal> {
        let (proof, _) = self.proof()?;
        let TreeHead { size, root_hash } = checkpoint.head;
        if proof.tree_size.to_u64() != Some(size.get()) || proof.root_hash.0 != root_hash.as_bytes()
        {
            return Err(EntryRefusal::OtherHead);
        }
        Ok(self.inclusion()?.verify(leaf_hash, index, &checkpoint.head)?)
    }
}

/// Why an entry does not prove what it should.
#[derive(Debug, thiserror::Error)]
pub enum EntryRefusal {
    /// There is no inclusion proof.
    #[error("log entry has no inclusion proof")]
    NoProof,
    /// There is no checkpoint.
    #[error("log entry has no checkpoint")]
    NoCheckpoint,
    /// A hash of the proof is not 32 bytes.
    #[error("inclusion proof holds a hash that is not 32 bytes")]
    ProofHash,
    /// The index is negative, or the proof is for another one.
    #[error("log entry has no index, or its proof names another one")]
    Index,
    /// It claims a time, which nothing in a Rekor v2 log signs.
    #[error("log entry claims a time that no signature covers")]
    UnsignedTime,
    /// The proof names another tree than the checkpoint.
    #[error("inclusion proof and checkpoint are about different trees")]
    OtherHead,
    /// The body is not what was signed.
    #[error("log entry is about something else than what was signed")]
    OtherBody,
    /// The checkpoint is not the log's.
    #[error("checkpoint is not signed by the log")]
    Checkpoint(#[from] OpenError),
    /// The checkpoint is no signed note.
    #[error("checkpoint is not a signed note")]
    Note(#[from] NoteError),
    /// The text of the checkpoint is broken.
    #[error("checkpoint is malformed")]
    CheckpointText(#[from] CheckpointError),
    /// The proof does not lead to the root.
    #[error("inclusion proof does not lead to the root")]
    Inclusion(#[from] ProofError),
    /// The promise of Rekor v1 does not verify: it is about another body, time, index or log.
    #[error("the signed entry timestamp is not the log's promise about this entry")]
    Promise(#[source] SignatureError),
    /// An answer of Rekor v1 lacks the promise.
    #[error("log entry has no signed entry timestamp")]
    NoPromise,
    /// The time of the promise is none.
    #[error("log entry has a time that is none")]
    Time,
    /// The entry is of another log than the one whose key is used.
    #[error("log entry has the id of another log")]
    OtherLog,
    /// The entry is not the one that its id, or the question, names.
    #[error("log answered with another entry than the one that was asked for")]
    OtherId,
    /// The first line of the checkpoint is not `HOST - TREEID`.
    #[error("checkpoint is not that of a Rekor v1 log")]
    NotV1,
    /// Logs of Rekor v1 sign with ECDSA on P-256.
    #[error("the key of the log is not ECDSA P-256, with which logs of Rekor v1 sign")]
    KeyKind,
}

//! What a v1 log attests about an entry: its promise (the signed entry timestamp), and the proof
//! that leads to a checkpoint which the log signed.

use jiff::Timestamp;
use log_core::hash::hash_leaf;
use log_core::key::KeyName;
use log_core::{
    Checkpoint, EntryId, EntryTimestamp, Hash, KeyAlgorithm, LeafIndex, Origin, SignedCheckpoint,
    SignedNote, TreeId, VerifierKey,
};

use super::body::Heading;
use crate::log_entry::{EntryRefusal, Included, LogEntry};

/// What was verified about an entry.
#[derive(Clone, Debug)]
pub struct Attested {
    /// The log's key, under the name that its checkpoint has.
    pub key: VerifierKey,
    /// The position over all trees of the log.
    pub index: LeafIndex,
    /// When the log took the entry, if a signed entry timestamp says so.
    pub time: Option<Timestamp>,
    /// Where in its tree, and under which checkpoint; `None` if there is a promise only.
    pub included: Option<Included>,
}

impl Attested {
    /// Verifies whatever the entry has of promise and proof; one of them must be there, and both
    /// must be good. `key` is the log's, of ECDSA on P-256; its name does not matter.
    ///
    /// # Errors
    /// [`EntryRefusal`] says which part fails.
    pub fn verify(entry: &LogEntry, key: &VerifierKey) -> Result<Self, EntryRefusal> {
        if key.algorithm() != KeyAlgorithm::EcdsaP256 {
            return Err(EntryRefusal::KeyKind);
        }
        if entry.log_id.key_id.0 != key.full_id_hash().as_bytes() {
            return Err(EntryRefusal::OtherLog);
        }
        let heading = Heading::parse(&entry.canonicalized_body.0);
        if !heading.is_ok_and(|heading| heading.kind_version() == entry.kind_version) {
            return Err(EntryRefusal::OtherBody);
        }
        let index = entry.index()?;
        let time = promised_time(entry, key, index)?;
        let Some(proof) = &entry.inclusion_proof else {
            if time.is_none() {
                return Err(EntryRefusal::NoProof);
            }
            return Ok(Self { key: key.clone(), index, time, included: None });
        };
        let (_, note) = entry.proof()?;
        let (key, checkpoint, note) = open_checkpoint(note, key)?;
        let local = proof.log_index.to_u64().map(LeafIndex::new).ok_or(EntryRefusal::Index)?;
        // A tree is a part of the log, so no position in it is beyond the one in the log.
        if local > index {
            return Err(EntryRefusal::Index);
        }
        let leaf_hash = hash_leaf(&entry.canonicalized_body.0);
        entry.check_path(&leaf_hash, local, &checkpoint)?;
        let included = Included { index: local, checkpoint, note };
        Ok(Self { key, index, time, included: Some(included) })
    }

    /// As `verify`, for the answer of a log, which always has both: it must be about this id.
    ///
    /// # Errors
    /// [`EntryRefusal`] says which part fails or is missing.
    pub fn verify_answer(
        entry: &LogEntry,
        id: &EntryId,
        key: &VerifierKey,
    ) -> Result<Self, EntryRefusal> {
        if hash_leaf(&entry.canonicalized_body.0) != id.leaf_hash {
            return Err(EntryRefusal::OtherId);
        }
        let attested = Self::verify(entry, key)?;
        let included = attested.included.as_ref().ok_or(EntryRefusal::NoProof)?;
        if attested.time.is_none() {
            return Err(EntryRefusal::NoPromise);
        }
        if TreeId::of_origin(&included.checkpoint.origin) != Some(id.tree) {
            return Err(EntryRefusal::OtherId);
        }
        Ok(attested)
    }
}

/// The time that the signed entry timestamp attests.
fn promised_time(
    entry: &LogEntry,
    key: &VerifierKey,
    index: LeafIndex,
) -> Result<Option<Timestamp>, EntryRefusal> {
    let Some(promise) = &entry.inclusion_promise else {
        // Nothing else signs the time of an entry.
        return if entry.integrated_time.is_zero() {
            Ok(None)
        } else {
            Err(EntryRefusal::UnsignedTime)
        };
    };
    let integrated_time_s = entry.integrated_time.to_u64().ok_or(EntryRefusal::Time)?;
    let log_id = Hash::from_slice(&entry.log_id.key_id.0).ok_or(EntryRefusal::OtherLog)?;
    let body = &entry.canonicalized_body.0;
    let timestamp = EntryTimestamp { body, integrated_time_s, log_id, index };
    let signature = &promise.signed_entry_timestamp.0;
    timestamp.verify(key, signature).map_err(EntryRefusal::Promise)?;
    let time = Timestamp::from_second(entry.integrated_time.0);
    time.map(Some).map_err(|_| EntryRefusal::Time)
}

/// Opens the checkpoint with the key under the name of its host, as v1 logs sign: the line has the
/// host alone, and only the key says whose it is.
fn open_checkpoint(
    envelope: &str,
    key: &VerifierKey,
) -> Result<(VerifierKey, Checkpoint, SignedNote), EntryRefusal> {
    let note = SignedNote::parse(envelope.as_bytes())?;
    let origin = Checkpoint::parse(note.text())?.origin;
    let key = named(key, &origin)?;
    let signed = SignedCheckpoint::open(envelope.as_bytes(), &origin, &key)?;
    let checkpoint = signed.checkpoint().clone();
    Ok((key, checkpoint, note))
}

fn named(key: &VerifierKey, origin: &Origin) -> Result<VerifierKey, EntryRefusal> {
    let (host, _) = TreeId::host_and_tree(origin).ok_or(EntryRefusal::NotV1)?;
    let name = KeyName::parse(host).map_err(|_| EntryRefusal::NotV1)?;
    VerifierKey::ecdsa_p256(name, &key.public_key_bytes()).map_err(|_| EntryRefusal::KeyKind)
}

//! The JSON of a v1 log's answers: entries as members of an object, named by their entry ids.
//!
//! In scope: the shape, and the same entry in the form that bundles carry. Nothing is believed
//! here; `attested` verifies it.

use std::collections::BTreeMap;

use log_core::{EntryId, Hash};
use serde::Deserialize;

use super::body::{BodyError, Heading};
use crate::log_entry::{EntryCheckpoint, EntryProof, InclusionPromise, LogEntry, LogId};
use crate::protojson::{Bytes, Int64};

/// An entry as a log answered it.
#[derive(Clone, Debug)]
pub struct AnsweredEntry {
    /// The id under which it was answered.
    pub id: EntryId,
    /// The entry in the form of a bundle.
    pub entry: LogEntry,
}

/// Reads the answer to a submission or to a question for one entry.
///
/// # Errors
/// [`AnswerError`] says what about the shape is wrong.
pub fn parse_one(json: &[u8]) -> Result<AnsweredEntry, AnswerError> {
    single(serde_json::from_slice(json)?)
}

/// Reads the answer to a question for several entries.
///
/// # Errors
/// [`AnswerError`] says what about the shape is wrong.
pub fn parse_many(json: &[u8]) -> Result<Vec<AnsweredEntry>, AnswerError> {
    let list: Vec<BTreeMap<String, Answered>> = serde_json::from_slice(json)?;
    list.into_iter().map(single).collect()
}

/// Reads the answer of a search: entry ids, in the order of the answer.
///
/// # Errors
/// [`AnswerError`] says what about the shape is wrong.
pub fn parse_ids(json: &[u8]) -> Result<Vec<EntryId>, AnswerError> {
    let list: Vec<String> = serde_json::from_slice(json)?;
    list.iter().map(|text| EntryId::parse(text).ok_or(AnswerError::EntryId)).collect()
}

/// Why bytes are not an answer of a v1 log.
#[derive(Debug, thiserror::Error)]
pub enum AnswerError {
    /// Not JSON of this shape.
    #[error("the log's answer is not the JSON of a Rekor v1 log")]
    Json(#[from] serde_json::Error),
    /// An object with another number of members than one.
    #[error("the log answered with {0} entries in place of one")]
    Count(usize),
    /// The member's name is no entry id.
    #[error("the log's answer holds an entry id that is none")]
    EntryId,
    /// A value is not base64 or hex, as it should be.
    #[error("the log's answer has a malformed `{0}`")]
    Value(&'static str),
    /// The body is not that of an entry.
    #[error("the log's answer holds a body that is no entry")]
    Body(#[from] BodyError),
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answered {
    body: String,
    integrated_time: i64,
    #[serde(rename = "logID")]
    log_id: String,
    log_index: i64,
    verification: Option<Verification>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Verification {
    inclusion_proof: Option<Proof>,
    signed_entry_timestamp: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Proof {
    checkpoint: String,
    hashes: Vec<String>,
    log_index: i64,
    root_hash: String,
    tree_size: i64,
}

fn single(map: BTreeMap<String, Answered>) -> Result<AnsweredEntry, AnswerError> {
    let count = map.len();
    let mut members = map.into_iter();
    let (Some((id, answered)), None) = (members.next(), members.next()) else {
        return Err(AnswerError::Count(count));
    };
    let id = EntryId::parse(&id).ok_or(AnswerError::EntryId)?;
    Ok(AnsweredEntry { id, entry: answered.into_entry()? })
}

impl Answered {
    fn into_entry(self) -> Result<LogEntry, AnswerError> {
        let body = Bytes::from_base64(&self.body).ok_or(AnswerError::Value("body"))?;
        let heading = Heading::parse(&body.0)?;
        let verification = self.verification.ok_or(AnswerError::Value("verification"))?;
        let promise = verification.signed_entry_timestamp.as_deref().map(|text| {
            let bytes = Bytes::from_base64(text);
            bytes.ok_or(AnswerError::Value("signedEntryTimestamp"))
        });
        Ok(LogEntry {
            log_index: Int64(self.log_index),
            log_id: LogId { key_id: hash(&self.log_id, "logID")? },
            kind_version: heading.kind_version(),
            integrated_time: Int64(self.integrated_time),
            inclusion_promise: promise
                .transpose()?
                .map(|signed_entry_timestamp| InclusionPromise { signed_entry_timestamp }),
            inclusion_proof: verification.inclusion_proof.map(Proof::into_proof).transpose()?,
            canonicalized_body: body,
        })
    }
}

impl Proof {
    fn into_proof(self) -> Result<EntryProof, AnswerError> {
        let hashes = self.hashes.iter().map(|text| hash(text, "hashes"));
        Ok(EntryProof {
            log_index: Int64(self.log_index),
            root_hash: hash(&self.root_hash, "rootHash")?,
            tree_size: Int64(self.tree_size),
            hashes: hashes.collect::<Result<_, _>>()?,
            checkpoint: Some(EntryCheckpoint { envelope: self.checkpoint }),
        })
    }
}

fn hash(text: &str, name: &'static str) -> Result<Bytes, AnswerError> {
    let hash = Hash::from_hex(&text.to_ascii_lowercase()).ok_or(AnswerError::Value(name))?;
    Ok(Bytes(hash.as_bytes().to_vec()))
}

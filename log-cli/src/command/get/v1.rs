//! `cairn get --api v1`: an entry as a Rekor v1 log answers it, with promise and proof verified.

use log_core::{EntryId, Hash};
use serde_json::json;

use super::GetArgs;
use crate::client::{ClientError, LogClient};
use crate::failure::Failure;
use crate::output::Answer;
use crate::v1::answer::{AnsweredEntry, parse_one};
use crate::v1::shown;
use crate::v1::trust::V1Trust;

/// The entry with this id or leaf hash.
pub(super) fn by_id(args: &GetArgs, uuid: &str) -> Result<Answer, Failure> {
    let leaf_hash = Hash::from_hex(&uuid.to_ascii_lowercase());
    let id = EntryId::parse(uuid);
    if id.is_none() && leaf_hash.is_none() {
        let usage = "--uuid takes an entry id of 80 hex digits, or a leaf hash of 64";
        return Err(Failure::Usage(usage.to_owned()));
    }
    show(
        args,
        |client| client.v1_entry(uuid),
        |answered| match id {
            Some(id) => answered.id == id,
            None => Some(answered.id.leaf_hash) == leaf_hash,
        },
    )
}

/// The entry at this index over all trees of the log.
pub(super) fn by_index(args: &GetArgs, index: u64) -> Result<Answer, Failure> {
    let is_there = |answered: &AnsweredEntry| answered.entry.log_index.to_u64() == Some(index);
    show(args, |client| client.v1_entry_at(index), is_there)
}

fn show(
    args: &GetArgs,
    ask: impl Fn(&LogClient) -> Result<Vec<u8>, ClientError>,
    is_asked_for: impl Fn(&AnsweredEntry) -> bool,
) -> Result<Answer, Failure> {
    let client = args.log.client()?;
    let (root, log_key) = (args.trusted_root.as_deref(), args.log_key.as_deref());
    let trust = V1Trust::read(root, log_key, args.log.log_vkey.as_deref(), &client)?;
    let json = ask(&client).map_err(|error| match error {
        ClientError::NotFound { .. } => Failure::no("the log has no such entry"),
        other if other.is_refusal() => Failure::no(other),
        other => Failure::undecided(other),
    })?;
    let answered = parse_one(&json).map_err(Failure::no)?;
    if !is_asked_for(&answered) {
        return Err(Failure::no("the log answered with another entry than the one asked for"));
    }
    let attested = trust.verify(&answered)?;
    let AnsweredEntry { id, entry } = &answered;
    let mut json = shown::to_json(id, entry, &attested);
    json["keyFrom"] = json!(trust.source());
    Ok(Answer::new(shown::describe(id, entry, &attested), json))
}

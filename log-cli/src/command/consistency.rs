//! `cairn consistency`: is the log still the one that an older checkpoint is of?

use std::path::PathBuf;

use log_core::tree::TreeSize;
use serde_json::json;

use super::checkpoint::{LogArgs, open};
use crate::failure::Failure;
use crate::files::{self, SMALL_FILE_BYTES_MAX};
use crate::output::Answer;
use crate::tiles::{TileReader, TilesError};

/// Arguments of `cairn consistency`.
#[derive(Debug, clap::Args)]
pub struct ConsistencyArgs {
    /// Which log.
    #[command(flatten)]
    pub log: LogArgs,
    /// A file with the older checkpoint, a signed note.
    #[arg(long, value_name = "FILE")]
    pub old: PathBuf,
}

/// Proves from the log's tiles that its newest tree begins with the older one.
pub fn run(args: &ConsistencyArgs) -> Result<Answer, Failure> {
    let trust = args.log.trust()?;
    let old_note = files::read(&args.old, SMALL_FILE_BYTES_MAX)?;
    let old = open(&old_note, trust.as_ref())?;
    let client = args.log.client()?;
    let new = open(&client.checkpoint().map_err(Failure::undecided)?, trust.as_ref())?;
    if old.origin != new.origin {
        let reason =
            format!("the old checkpoint is of {}, the new one of {}", old.origin, new.origin);
        return Err(Failure::no(reason));
    }
    if old.head.size > new.head.size {
        let (old, new) = (old.head.size, new.head.size);
        return Err(Failure::no(format!("the log shows size {new}, less than the old {old}")));
    }
    let mut reader = TileReader::open(&client, new.head).map_err(unreadable)?;
    // The empty tree is the beginning of every tree; there is no proof to check, only its root.
    if old.head.size != TreeSize::new(0) {
        let proof = reader.consistency(old.head.size).map_err(unreadable)?;
        proof.verify(&old.head, &new.head).map_err(Failure::no)?;
    } else if old.head != log_core::tree::TreeHead::EMPTY {
        return Err(Failure::no("the old checkpoint of size 0 does not have the empty root"));
    }
    let verified = if trust.is_some() { "" } else { " (signatures not verified)" };
    let (old, new) = (old.head, new.head);
    Ok(Answer::new(
        format!("consistent: size {} is the beginning of size {}{verified}", old.size, new.size),
        json!({
            "consistent": true,
            "oldSize": old.size.get(),
            "newSize": new.size.get(),
            "newRootHash": new.root_hash.to_base64(),
            "signaturesVerified": trust.is_some(),
        }),
    ))
}

/// The failure that a reading error means: the log is wrong, or it cannot be told.
pub fn unreadable(error: TilesError) -> Failure {
    if error.is_refutation() { Failure::no(error) } else { Failure::undecided(error) }
}

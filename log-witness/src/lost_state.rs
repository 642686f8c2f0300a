//! Lost state: how an operator restarts a log that the witness does not sign for any more, because
//! its database was lost or rolled back (FORMAT.md, 5).
//!
//! The own signature is the authoritative source: a note that bears one says what was promised.
//! Only if none can be found may a note of a peer be named, explicitly. It never goes backwards.

use std::sync::Arc;

use log_core::TreeSize;
use log_core::checkpoint::CheckpointError;
use log_core::cosignature::Cosignature;
use log_core::key::VerifierKey;
use log_core::note::{NoteError, NoteSignature};

use crate::add_checkpoint::{parse_checkpoint, parse_note, verified_lines};
use crate::clock::ClockFault;
use crate::commit::Stopped;
use crate::refusal::Refusal;
use crate::row::{RowHeader, Standing};
use crate::state::Advance;
use crate::witness::Witness;

/// Why a head is not taken as the one to restart from.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestartError {
    /// There is no such log.
    #[error("the log is not known; add it first")]
    UnknownOrigin,
    /// The file is no signed checkpoint that this witness could have cosigned.
    #[error("{0}")]
    BadNote(Refusal),
    /// The log's own signature is missing or wrong.
    #[error("the log has not signed this: {0}")]
    NotSigned(#[from] NoteError),
    /// It is a checkpoint of another log.
    #[error("the checkpoint is of another log")]
    OtherOrigin,
    /// Neither this witness nor the named peer has cosigned it.
    #[error(
        "no valid cosignature of this witness is on it (nor of the peer); a peer must be named \
         with --peer-vkey"
    )]
    NotCosigned,
    /// What is known is newer.
    #[error("size {known} was cosigned already: name a head of at least that size")]
    Backwards {
        /// The smallest size that can be accepted.
        known: TreeSize,
    },
    /// This witness knows another root of that size.
    #[error(
        "another root was cosigned for this size; this witness must not sign for the log again"
    )]
    OtherRoot,
    /// Nothing was lost: the log must prove its way there like any other time.
    #[error("the state of this log is intact; a peer's word is not needed")]
    NotLost,
    /// The clock cannot be believed, and nothing else says when this is.
    #[error(transparent)]
    Clock(#[from] ClockFault),
    /// The writer has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl From<CheckpointError> for RestartError {
    fn from(error: CheckpointError) -> Self {
        Self::BadNote(error.into())
    }
}

/// Restarts a log from the head in `note`, and gives its size. `peer` is the witness whose word is
/// taken if the note bears no own signature.
///
/// # Errors
/// [`RestartError`]; nothing was changed.
pub async fn restart(
    witness: &Witness,
    origin: &str,
    note: &str,
    peer: Option<&VerifierKey>,
) -> Result<TreeSize, RestartError> {
    let log = witness.logs.by_origin(origin).ok_or(RestartError::UnknownOrigin)?;
    let note = parse_note(note).map_err(RestartError::BadNote)?;
    let keys = log.current().keys.clone();
    note.verify(&keys)?;
    let checkpoint = parse_checkpoint(&note).map_err(RestartError::BadNote)?;
    if checkpoint.origin != log.origin {
        return Err(RestartError::OtherOrigin);
    }
    let own = witness.keys.own_lines(&note);
    let by_peer = peer.is_some_and(|peer| Cosignature::find(&note, peer).is_some());
    if own.is_empty() && !by_peer {
        return Err(RestartError::NotCosigned);
    }
    let log_lines = verified_lines(&note, &keys).to_string();
    let mut restart = Advance {
        origin_hash: log.hash,
        expected: Standing::Lost,
        head: checkpoint.head,
        time_s: own.iter().map(|(_, own)| own.time_s()).max().unwrap_or(0),
        note: served_note(&log_lines, &own),
        journal_note: log_lines,
    };
    let size = restart.head.size;
    let (log, own) = (Arc::clone(&log), !own.is_empty());
    if !own {
        // Own signatures that turn up later and are older than this restart are covered by it.
        restart.time_s = witness.clock.now().time_to_sign(0)?;
    }
    // In the writer's order: nothing moves between the look and the write.
    let restarted = witness.writer.order(move |store| {
        let header = log.current().row.header;
        if let Err(error) = may_restart(&header, &restart, own) {
            return Ok(Err(error));
        }
        let ahead_s = header.ahead.map_or(0, |ahead| ahead.time_s);
        restart.time_s = restart.time_s.max(header.time_s).max(ahead_s);
        log.set_row(store.restart(&restart)?);
        Ok(Ok(()))
    });
    restarted.await??;
    witness
        .clock
        .saw(witness.logs.by_origin(origin).map_or(0, |log| log.current().row.header.time_s));
    Ok(size)
}

fn may_restart(header: &RowHeader, restart: &Advance, own: bool) -> Result<(), RestartError> {
    let intact = header.standing != Standing::Lost && header.ahead.is_none();
    if intact && !own {
        return Err(RestartError::NotLost);
    }
    let ahead = header.ahead.map_or(TreeSize::new(0), |ahead| ahead.size);
    let known = header.latest_size().max(ahead);
    if restart.head.size < known {
        return Err(RestartError::Backwards { known });
    }
    let same_size = header.head().filter(|head| head.size == restart.head.size);
    if same_size.is_some_and(|head| head != restart.head) {
        return Err(RestartError::OtherRoot);
    }
    Ok(())
}

/// The note as it may be served: without a cosignature of ours there is none.
fn served_note(log_lines: &str, own: &[(NoteSignature, Cosignature)]) -> String {
    if own.is_empty() {
        return String::new();
    }
    own.iter().fold(log_lines.to_owned(), |note, (line, _)| format!("{note}{line}\n"))
}

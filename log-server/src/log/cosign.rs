//! Cosign: the log signs a committed head, and whoever must have seen it signs after the log.
//!
//! A log's quorum is `none` until its configuration can name witnesses, so the log's own signature
//! completes the note. Publishing takes nothing but a [`Cosigned`], and this is where one is made.

use log_core::checkpoint::{Checkpoint, Origin};
use log_core::note::SignedNote;

use super::commit::Committed;
use super::signer::Signer;

/// A committed head with the note that proves its quorum.
pub(super) struct Cosigned {
    pub(super) committed: Committed,
    pub(super) note: String,
}

/// Signs the checkpoint of a head that is durable already. A crash after this leaves at most a
/// signature that nobody saw, over a head that the next start publishes again.
pub(super) fn cosign(committed: Committed, origin: &Origin, signer: &Signer) -> Cosigned {
    let text =
        Checkpoint { origin: origin.clone(), head: committed.head.tree, extensions: Vec::new() }
            .to_text();
    let signature = signer.sign(&text);
    let note = SignedNote::new(text, vec![signature])
        .expect("invariant: a checkpoint's text and one signature make a note")
        .to_string();
    Cosigned { committed, note }
}

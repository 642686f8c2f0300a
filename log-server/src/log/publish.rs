//! Publish: a checkpoint and everything that is needed to read under it become visible together.

use std::sync::Arc;

use arc_swap::ArcSwapOption;
use log_core::{RightEdge, TreeHead};

use super::cosign::Cosigned;

/// What readers see: one immutable snapshot. Whatever a single answer consists of comes from the
/// same handle, and everything at or above its size is hidden.
pub struct Published {
    head: TreeHead,
    note: Arc<str>,
    log_note: Arc<str>,
    edge: RightEdge,
}

impl Published {
    /// The published size and root.
    pub fn head(&self) -> &TreeHead {
        &self.head
    }

    /// The checkpoint as a signed note.
    pub fn note(&self) -> &str {
        &self.note
    }

    /// The checkpoint as a note with the line of the log's own key alone, without witnesses: what
    /// the answers of Rekor v1 carry.
    pub fn log_note(&self) -> &str {
        &self.log_note
    }

    /// The incomplete tiles at the right of the tree.
    pub(super) fn edge(&self) -> &RightEdge {
        &self.edge
    }
}

impl From<Cosigned> for Published {
    fn from(cosigned: Cosigned) -> Self {
        let Cosigned { tree: head, edge, note, log_note } = cosigned;
        Self { head, note: note.into(), log_note: log_note.into(), edge }
    }
}

/// Makes a cosigned head the one that readers see. Its leaves and full tiles are in the store
/// already and its partial tiles come with it, so no reader can meet a head without its data.
pub(super) fn publish(visible: &ArcSwapOption<Published>, next: Arc<Published>) {
    let before = visible.load().as_ref().map_or(TreeHead::EMPTY, |published| published.head);
    assert!(
        before.size <= next.head.size,
        "what is served never goes back: {} -> {}",
        before.size,
        next.head.size
    );
    visible.store(Some(next));
}

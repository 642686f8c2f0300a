//! Tail: what to do about a store whose newest records are damaged.
//!
//! A power cut can tear the last record of the write-ahead log. Whether an acknowledged batch was
//! in it cannot be seen in the store; the anchor outside it can tell. So a copy is opened at its
//! last good point, and it takes the store's place only if the anchor knows nothing newer, or if
//! the operator names the head that is to be believed (`cairn-server accept-tail`).

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use log_core::TreeHead;
use log_core::checkpoint::Origin;

use super::Personality;
use super::accepted_tail::{self, AcceptedTail};
use super::anchor::Anchor;
use super::directory::LogDirectory;
use super::recover::Shut;
use crate::store::rocks::{RocksShared, RocksStore};
use crate::store::{Head, Store};

/// Replaces a torn store by its last good point if the anchor agrees.
pub(super) fn settle(
    store: &Path,
    rocks: &RocksShared,
    anchor: &TreeHead,
    reason: &str,
) -> Result<(), Shut> {
    let head = copy_at_last_good_point(store, rocks)?.tree;
    if head.size < anchor.size {
        discard_copy(store)?;
        return Err(Shut::TornTail { reason: reason.into(), good: head, anchor: *anchor });
    }
    tracing::warn!(
        store = %store.display(), reason, size = head.size.get(),
        "the store's tail was torn; it goes on from its last good point, which the anchor knows"
    );
    swap(store).map_err(|error| Shut::File(format!("{}: {error}", store.display())))
}

/// Replaces a torn store by its last good point because the operator says which one that is.
///
/// # Errors
/// [`Shut::NotThatHead`] if the last good point is another head, [`Shut::ForeignKey`] or
/// [`Shut::ForeignState`] if it is another log's; nothing is changed then.
pub fn accept(
    directory: &LogDirectory,
    personality: Personality,
    origin: &Origin,
    rocks: &RocksShared,
    named: &AcceptedTail,
) -> Result<(), Shut> {
    let store = directory.store();
    let identity = directory.identity(&directory.signer(personality, origin)?.verifier_key())?;
    finish_swap(&store)?;
    let head = copy_at_last_good_point(&store, rocks)?;
    if head.tree != named.head {
        discard_copy(&store)?;
        return Err(Shut::NotThatHead { good: head.tree });
    }
    if let Err(foreign) = identity.check(&head) {
        discard_copy(&store)?;
        return Err(foreign);
    }
    // What was decided comes first. A crash below leaves a trace of something that was not carried
    // out yet; the same command does it, and leaves another.
    let path = directory.accepted_tails();
    if let Err(error) = accepted_tail::record(&path, named) {
        discard_copy(&store)?;
        return Err(Shut::File(format!("{}: {error}", path.display())));
    }
    // The anchor before the store: with the old one the accepted store would stay shut, and with
    // the new one the torn store is still refused.
    Anchor::replace(directory.anchor(), &head).map_err(|error| Shut::Anchor(error.to_string()))?;
    swap(&store).map_err(|error| Shut::File(format!("{}: {error}", store.display())))
}

/// Ends a swap that a crash interrupted between its two renames: the decision had been made.
pub(super) fn finish_swap(store: &Path) -> Result<(), Shut> {
    let (copy, torn) = (beside(store, "last-good"), beside(store, "torn"));
    if store.exists() || !copy.exists() || !torn.exists() {
        return Ok(());
    }
    fs::rename(&copy, store).map_err(|error| Shut::File(format!("{}: {error}", copy.display())))
}

fn copy_at_last_good_point(store: &Path, rocks: &RocksShared) -> Result<Head, Shut> {
    discard_copy(store)?;
    let copy = beside(store, "last-good");
    let opened =
        RocksStore::open_copy_at_last_good_point(store, &copy, rocks).map_err(Shut::Open)?;
    opened.head()?.ok_or(Shut::Empty)
}

/// A copy that was not accepted goes away: left behind, it could later be taken for one that was.
fn discard_copy(store: &Path) -> Result<(), Shut> {
    let copy = beside(store, "last-good");
    if !copy.exists() {
        return Ok(());
    }
    fs::remove_dir_all(&copy).map_err(|error| Shut::File(format!("{}: {error}", copy.display())))
}

/// The torn store stays beside the log, for whoever wants to know what was in it.
fn swap(store: &Path) -> std::io::Result<()> {
    let torn = beside(store, "torn");
    if torn.exists() {
        fs::remove_dir_all(&torn)?;
    }
    fs::rename(store, &torn)?;
    // A crash here leaves no store; `finish_swap` completes the move at the next start.
    fs::rename(beside(store, "last-good"), store)?;
    match store.parent() {
        Some(parent) => File::open(parent)?.sync_all(),
        None => Ok(()),
    }
}

fn beside(store: &Path, suffix: &str) -> PathBuf {
    store.with_extension(suffix)
}

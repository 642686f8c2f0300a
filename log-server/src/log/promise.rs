//! Promise: the signed entry timestamp of a published entry (Rekor v1).
//!
//! The time in it was committed with the entry, so whoever asks later is promised the same.

use log_core::{EntryTimestamp, Leaf, LeafIndex};

use super::{Log, Published};

/// An entry as the log keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The canonical bytes of the entry.
    pub leaf: Leaf,
    /// When it was committed, in whole seconds since 1970; 0 in a log that commits no time.
    pub time_s: u64,
}

impl Log {
    /// The signed entry timestamp of the entry at `index`, in DER. `None` in logs that promise no
    /// time, and for an entry that `at` does not cover: nothing is promised before it is
    /// published.
    pub fn promise(&self, at: &Published, index: LeafIndex, logged: &Logged) -> Option<Vec<u8>> {
        if !at.head().size.contains(index) {
            return None;
        }
        self.signer.sign_timestamp(&EntryTimestamp {
            body: logged.leaf.as_bytes(),
            integrated_time_s: logged.time_s,
            log_id: self.key.full_id_hash(),
            index,
        })
    }
}

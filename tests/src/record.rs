//! What a log acknowledged and showed, kept outside it, to hold against whatever it says later.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use log_core::checkpoint::{Origin, SignedCheckpoint};
use log_core::{CompactRange, Hash, Leaf, LeafIndex, TreeHead, TreeSize, VerifierKey};

use crate::answer::Acknowledged;
use crate::check::CheckedLog;

/// Every acknowledged entry and every head that was ever seen of one log. Threads may share it.
#[derive(Default)]
pub struct Record {
    rows: Mutex<Rows>,
}

#[derive(Default)]
struct Rows {
    entries: BTreeMap<LeafIndex, Leaf>,
    indices: HashMap<Hash, LeafIndex>,
    heads: BTreeMap<TreeSize, Hash>,
}

impl Record {
    /// A record of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Notes an answer, which was verified when it came in.
    ///
    /// # Panics
    /// When the log said something else before: another index for this leaf, another leaf at this
    /// index, or another root for this size.
    #[track_caller]
    pub fn acknowledge(&self, answer: &Acknowledged) {
        let mut rows = self.rows();
        let hash = answer.leaf.hash();
        let index = *rows.indices.entry(hash).or_insert(answer.index);
        assert_eq!(index, answer.index, "an acknowledged entry moved");
        let leaf = rows.entries.entry(answer.index).or_insert_with(|| answer.leaf.clone());
        assert_eq!(leaf.hash(), hash, "index {index} was given twice");
        rows.saw(&answer.head);
    }

    /// Notes a checkpoint.
    ///
    /// # Panics
    /// When the key did not sign it, or signed another root of this size before.
    #[track_caller]
    pub fn saw(&self, note: &str, key: &VerifierKey) -> TreeHead {
        let origin = Origin::parse(key.name().as_str()).expect("an origin");
        let signed = SignedCheckpoint::open(note.as_bytes(), &origin, key);
        let head = signed.unwrap_or_else(|error| panic!("{error}: {note}")).head();
        self.saw_head(&head);
        head
    }

    /// Notes a head whose signature was verified.
    ///
    /// # Panics
    /// When another root of this size was signed before.
    #[track_caller]
    pub fn saw_head(&self, head: &TreeHead) {
        self.rows().saw(head);
    }

    /// How many entries were acknowledged.
    pub fn len(&self) -> usize {
        self.rows().entries.len()
    }

    /// Whether nothing was acknowledged yet.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many different heads were seen.
    pub fn heads(&self) -> usize {
        self.rows().heads.len()
    }

    /// The largest head that was seen.
    ///
    /// # Panics
    /// When there is none.
    pub fn newest(&self) -> TreeHead {
        let rows = self.rows();
        let (size, root_hash) = rows.heads.last_key_value().expect("a head was seen");
        TreeHead { size: *size, root_hash: *root_hash }
    }

    /// Forgets what lies beyond a head, because an operator gave it up.
    pub fn give_up_after(&self, head: &TreeHead) {
        let mut rows = self.rows();
        rows.entries.retain(|index, _| index.get() < head.size.get());
        rows.indices.retain(|_, index| index.get() < head.size.get());
        rows.heads.retain(|size, _| *size <= head.size);
    }

    /// Holds a log, as it is now, against everything that was recorded: no acknowledged entry is
    /// lost, none moved, none is there twice, and the tree extends every head that was ever seen.
    ///
    /// # Panics
    /// At the first difference.
    #[track_caller]
    pub fn assert_kept_by(&self, log: &CheckedLog) {
        let mut rows = self.rows();
        let size = log.head.size;
        if let Some((newest, _)) = rows.heads.last_key_value() {
            assert!(*newest <= size, "size {newest} was shown before, now it is {size}");
        }
        for (index, leaf) in &rows.entries {
            log.assert_holds(*index, leaf);
        }
        let distinct: HashSet<Hash> = log.leaves.iter().map(Leaf::hash).collect();
        assert_eq!(distinct.len(), log.leaves.len(), "a leaf has two indices");
        // All earlier roots in one walk over the leaves.
        let mut range = CompactRange::new();
        let mut left = rows.heads.iter().peekable();
        for leaf in std::iter::once(None).chain(log.leaves.iter().map(Some)) {
            if let Some(leaf) = leaf {
                range.append(leaf.hash());
            }
            if let Some((size, root)) = left.next_if(|(size, _)| **size == range.size()) {
                assert_eq!(range.root(), *root, "another history: size {size} had another root");
            }
        }
        assert_eq!(left.count(), 0, "not every head was compared");
        rows.saw(&log.head);
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        // A thread that found a difference panics with the rows in its hand; they are whole.
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    #[track_caller]
    fn saw(&mut self, head: &TreeHead) {
        let root = *self.heads.entry(head.size).or_insert(head.root_hash);
        assert_eq!(root, head.root_hash, "two heads of size {}", head.size);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::head_of;

    fn log(texts: &[&str]) -> CheckedLog {
        let leaves: Vec<Leaf> = texts.iter().map(|text| leaf(text)).collect();
        let head = head_of(leaves.iter().map(Leaf::hash));
        CheckedLog { head, note: String::new(), leaves }
    }

    fn leaf(text: &str) -> Leaf {
        Leaf::new(text.into()).unwrap()
    }

    fn answer(log: &CheckedLog, index: u64, text: &str) -> Acknowledged {
        let (index, leaf) = (LeafIndex::new(index), leaf(text));
        Acknowledged { index, leaf, head: log.head, note: String::new() }
    }

    fn fails(check: impl FnOnce()) -> bool {
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(check)).is_err()
    }

    #[test]
    fn a_record_finds_whatever_was_lost_moved_or_rewritten() {
        let (small, large) = (log(&["a", "b"]), log(&["a", "b", "c"]));
        let record = Record::new();
        record.assert_kept_by(&log(&[]));
        record.acknowledge(&answer(&small, 1, "b"));
        record.acknowledge(&answer(&small, 1, "b"));
        record.acknowledge(&answer(&large, 0, "a"));
        record.assert_kept_by(&large);
        record.assert_kept_by(&log(&["a", "b", "c", "d"]));
        assert_eq!((record.len(), record.heads(), record.newest().size.get()), (2, 4, 4));
        for (what, now) in [
            ("an older tree", log(&["a", "b", "c"])),
            ("a lost entry", log(&["a", "x", "c", "d"])),
            ("moved entries", log(&["b", "a", "c", "d"])),
            ("an entry that nobody acknowledged, in an old tree", log(&["a", "b", "x", "d"])),
            ("a leaf that is there twice", log(&["a", "b", "c", "d", "a"])),
        ] {
            assert!(fails(|| record.assert_kept_by(&now)), "{what}");
        }
        for (what, said) in [
            ("a second index", answer(&large, 2, "a")),
            ("a second leaf", answer(&large, 0, "c")),
            ("a second root", answer(&log(&["a", "b", "x"]), 0, "a")),
        ] {
            assert!(fails(|| record.acknowledge(&said)), "{what}");
        }
        record.give_up_after(&small.head);
        record.assert_kept_by(&log(&["a", "b", "x"]));
    }
}

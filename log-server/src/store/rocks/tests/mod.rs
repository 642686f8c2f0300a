//! The durable store keeps the contract, survives kills, and says what is wrong when it cannot.

mod damage;
mod options;
mod search;

use std::cell::RefCell;
use std::path::{Path, PathBuf};

use log_core::{Leaf, sha256};
use rocksdb::Options;
use tempfile::TempDir;

use super::*;
use crate::store::OpenError;
use crate::store::contract::{Writer, check_store, leaf};

/// A directory for stores that goes away with the test.
struct Place {
    dir: TempDir,
    shared: RocksShared,
}

impl Place {
    fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap(), shared: RocksShared::new(64 << 20).unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn create(&self, name: &str) -> RocksStore {
        RocksStore::create(&self.path(name), &self.shared).unwrap()
    }

    fn open(&self, name: &str) -> Result<RocksStore, OpenError> {
        RocksStore::open(&self.path(name), &self.shared)
    }

    /// What a killed process leaves: the files as they are, without a clean end.
    fn kill(&self, name: &str, left: &str) {
        let (from, to) = (self.path(name), self.path(left));
        let _ = fs::remove_dir_all(&to);
        fs::create_dir(&to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

/// Files of a store with this extension, in the order of their numbers.
fn files(store: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(store).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> =
        entries.filter(|path| path.extension() == Some(extension.as_ref())).collect();
    files.sort();
    files
}

fn random(seed: &str, length: usize) -> Vec<u8> {
    let blocks = 0..length.div_ceil(32);
    let bytes = blocks.flat_map(|i| *sha256(format!("{seed} {i}").as_bytes()).as_bytes());
    bytes.take(length).collect()
}

fn batch_number(store: &RocksStore) -> u64 {
    store.head().unwrap().unwrap().batch
}

#[test]
fn the_durable_store_keeps_the_contract() {
    let places: RefCell<Vec<Place>> = RefCell::default();
    check_store(|| {
        let place = Place::new();
        let store = place.create("db");
        places.borrow_mut().push(place);
        Box::new(store)
    });
}

#[test]
fn only_create_creates() {
    let place = Place::new();
    assert!(matches!(place.open("db"), Err(OpenError::Missing(_))));
    assert!(!place.path("db").exists());
    fs::create_dir(place.path("db")).unwrap();
    assert!(matches!(place.open("db"), Err(OpenError::Missing(_))));
    assert_eq!(fs::read_dir(place.path("db")).unwrap().count(), 0);
    let refused = RocksStore::create(&place.path("db"), &place.shared);
    assert!(matches!(refused, Err(OpenError::Exists(_))));
    let no_parent = RocksStore::create(&place.path("no/db"), &place.shared);
    assert!(matches!(no_parent, Err(OpenError::Other(_))));
}

#[test]
fn a_second_store_on_one_directory_is_refused() {
    let place = Place::new();
    let store = place.create("db");
    assert!(matches!(place.open("db"), Err(OpenError::InUse(_))));
    drop(store);
    let first = place.open("db").unwrap();
    assert!(matches!(place.open("db"), Err(OpenError::InUse(_))));
    drop(first);
}

#[test]
fn another_format_is_refused() {
    let place = Place::new();
    let store = place.create("db");
    store.db.put(FORMAT_KEY, "cairn store 3").unwrap();
    drop(store);
    match place.open("db") {
        Err(OpenError::WrongVersion { found, known }) => {
            assert_eq!((found.as_str(), known.as_str()), ("cairn store 3", "cairn store 2"));
        }
        other => panic!("{:?}", other.err()),
    }
    // A store whose creation did not come to its end has no such row.
    let store = place.create("unfinished");
    store.db.delete(FORMAT_KEY).unwrap();
    drop(store);
    assert!(matches!(place.open("unfinished"), Err(OpenError::Missing(_))));
    let mut store = place.create("later");
    store.db.create_cf("later", &Options::default()).unwrap();
    drop(store);
    assert!(matches!(place.open("later"), Err(OpenError::WrongVersion { .. })));
}

#[test]
fn a_killed_process_leaves_every_commit_that_returned() {
    let place = Place::new();
    let store = place.create("db");
    let mut writer = Writer::default();
    let mut heads = Vec::new();
    let mut size = 0;
    for (round, count) in [0, 1, 255, 1, 600, 0, 3000].into_iter().enumerate() {
        let batch = if round == 0 { writer.genesis() } else { writer.batch(count) };
        store.commit(&batch).unwrap();
        store.put_note(format!("note {round}").as_bytes()).unwrap();
        size += count;
        heads.push(batch.head);
        place.kill("db", "left");
        let left = place.open("left").unwrap();
        assert_eq!(left.heads_after(None, 99).unwrap(), heads);
        assert_eq!(left.note().unwrap(), Some(format!("note {round}").into_bytes()));
        assert!(left.leaves(LeafIndex::new(0), size).unwrap().into_iter().eq((0..size).map(leaf)));
        assert_eq!(left.identities_after(None, 9999).unwrap().len(), size);
        assert_eq!(left.tiles_after(None, 9999).unwrap().len(), size / 256);
    }
    drop(store);
    let again = place.open("db").unwrap();
    assert_eq!(again.head().unwrap(), heads.last().copied());
}

#[test]
fn a_compacted_store_holds_the_same_rows() {
    let place = Place::new();
    let store = place.create("db");
    let mut writer = Writer::default();
    store.commit(&writer.genesis()).unwrap();
    for count in [700, 1, 700] {
        store.commit(&writer.batch(count)).unwrap();
        store.compact().unwrap();
    }
    let rows = |store: &RocksStore| {
        let leaves = store.leaves(LeafIndex::new(0), 1401).unwrap();
        let identities = store.identities_after(None, 9999).unwrap();
        (leaves, identities, store.tiles_after(None, 99).unwrap(), store.head().unwrap())
    };
    let before = rows(&store);
    assert!(before.0.iter().cloned().eq((0..1401).map(leaf)));
    assert_eq!((before.1.len(), before.2.len()), (1401, 5));
    drop(store);
    assert_eq!(rows(&place.open("db").unwrap()), before);
}

#[test]
fn stores_share_memory_and_nothing_else() {
    let place = Place::new();
    let (one, two) = (place.create("one"), place.create("two"));
    let (mut first, mut second) = (Writer::default(), Writer::default());
    one.commit(&first.genesis()).unwrap();
    assert_eq!(two.head().unwrap(), None);
    two.commit(&second.genesis()).unwrap();
    one.commit(&first.batch(3)).unwrap();
    assert_eq!((batch_number(&one), batch_number(&two)), (1, 0));
    drop(one);
    two.commit(&second.batch(300)).unwrap();
    assert_eq!(batch_number(&two), 1);
}

#[test]
fn a_finished_batch_that_differs_from_what_was_hashed_is_refused() {
    let place = Place::new();
    let store = place.create("db");
    let mut writer = Writer::default();
    writer.genesis();
    let batch = writer.batch(3);
    let check = |rows: &WriteBatch| check_finished(&batch, &store.family_ids, rows).is_ok();
    assert!(check(&store.rows(&batch)));
    let mut shorter = batch.clone();
    shorter.leaves.pop();
    assert!(!check(&store.rows(&shorter)), "a row less");
    let mut longer = batch.clone();
    longer.leaves.push(leaf(3).into());
    assert!(!check(&store.rows(&longer)), "a row more");
    let mut moved = batch.clone();
    moved.first_index = LeafIndex::new(1);
    assert!(!check(&store.rows(&moved)), "other keys");
    let mut deleting = store.rows(&batch);
    deleting.delete_cf(store.family(Family::Leaves), 0u64.to_be_bytes());
    assert!(!check(&deleting), "a deletion");
}

#[test]
fn after_an_unknown_outcome_nothing_more_is_written() {
    let place = Place::new();
    let store = place.create("db");
    let mut writer = Writer::default();
    store.commit(&writer.genesis()).unwrap();
    store.writer().outcome_unknown = true;
    let refused = store.commit(&writer.batch(1));
    assert!(matches!(refused, Err(CommitError::OutcomeUnknown(_))));
    assert_eq!(store.last_leaf().unwrap(), None);
}

#[test]
fn the_disk_budget_of_an_entry_is_kept() {
    const ENTRIES: u64 = 20_000;
    const LEAF_BYTES: u64 = 200;
    for (identities, budget) in [(true, 130), (false, 48)] {
        let place = Place::new();
        let store = place.create("db");
        let mut writer = Writer::default();
        store.commit(&writer.genesis()).unwrap();
        store.compact().unwrap();
        let empty = store.disk_bytes().unwrap();
        for round in 0..ENTRIES / 100 {
            let leaves = (0..100).map(|i| random(&format!("{round} {i}"), 200));
            let leaves = leaves.map(|bytes| Leaf::new(bytes).unwrap()).collect();
            let mut batch = writer.leaves(leaves);
            if !identities {
                batch.identities.clear();
            }
            store.commit(&batch).unwrap();
        }
        store.compact().unwrap();
        let entry = (store.disk_bytes().unwrap() - empty) as f64 / ENTRIES as f64;
        let beside = entry - LEAF_BYTES as f64;
        assert!(beside > 32.0, "random leaves do not compress, and tiles hold a hash: {beside}");
        assert!(beside <= f64::from(budget), "{beside} bytes beside the leaf");
    }
}

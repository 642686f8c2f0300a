//! What commits would have written is there afterwards and nothing else, whatever was before.

use std::fs;
use std::path::PathBuf;

use log_core::Leaf;
use tempfile::TempDir;

use super::*;
use crate::fsck::{Difference, Sound, fsck, tests::commit_leaves};
use crate::store::{LeafMetadata, OpenError, StoredLeaf};

const SIZE: u64 = 1500;

/// A log on disk with metadata on all leaves but every tenth.
struct Place {
    dir: TempDir,
    shared: RocksShared,
}

fn stored(index: u64) -> StoredLeaf {
    let leaf = Leaf::new(format!("leaf {index}").into_bytes()).unwrap();
    let words = ["all".into(), format!("{index}"), format!("of ten: {}", index / 10)];
    let search_keys = words.iter().map(|word| SearchKey::of(word)).collect();
    let metadata = LeafMetadata { time_s: index, search_keys };
    StoredLeaf { leaf, metadata: (!index.is_multiple_of(10)).then_some(metadata) }
}

impl Place {
    fn new() -> (Self, RocksStore) {
        let shared = RocksShared::new(64 << 20).unwrap();
        let place = Self { dir: tempfile::tempdir().unwrap(), shared };
        let store = RocksStore::create(&place.path(), &place.shared).unwrap();
        commit_leaves(&store, (0..SIZE).map(stored).collect());
        (place, store)
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("db")
    }

    fn rebuild(&self, store: &mut RocksStore) -> Rebuilt {
        rebuild_search(store, &self.shared, |_, _| ()).unwrap()
    }
}

/// Rows of a sound index: three keys of each leaf with metadata.
const ROWS: u64 = SIZE / 10 * 9 * 3;

fn rows(store: &RocksStore) -> Vec<(SearchKey, LeafIndex)> {
    store.search_keys_after(None, usize::MAX).unwrap()
}

fn check(store: &RocksStore) -> Result<Sound, Difference> {
    fsck(store, store.head().unwrap().unwrap().log_id, |_, _| ())
}

fn row(word: &str, index: u64) -> (SearchKey, LeafIndex) {
    (SearchKey::of(word), LeafIndex::new(index))
}

#[test]
fn a_sound_index_stays_as_it_is() {
    let (place, mut store) = Place::new();
    let before = rows(&store);
    assert_eq!(before.len() as u64, ROWS);
    let mut heard = Vec::new();
    let done = rebuild_search(&mut store, &place.shared, |done, of| heard.push((done, of)));
    assert_eq!(done.unwrap(), Rebuilt { rows: ROWS, ..Rebuilt::default() });
    assert_eq!(heard, [(1024, SIZE), (SIZE, SIZE)]);
    assert_eq!(rows(&store), before);
    assert_eq!(check(&store).unwrap().search_keys, ROWS);
}

#[test]
fn missing_rows_come_back_and_invented_ones_go() {
    let (place, mut store) = Place::new();
    let before = rows(&store);
    let missing = [row("all", 1), row("all", 1499), row("77", 77), row("of ten: 102", 1024)];
    let invented = [
        row("all", 0),
        row("all", SIZE),
        row("nothing", u64::MAX),
        row("nothing", 3),
        (SearchKey::from_bytes([0; 16]), LeafIndex::new(1)),
        (SearchKey::from_bytes([0xff; 16]), LeafIndex::new(1)),
    ];
    let put_back = Rebuilt { rows: ROWS, added: 4, ..Rebuilt::default() };
    let cleaned = Rebuilt { removed: 6, ..put_back };
    // As many invented ones as missing ones: counting alone would see nothing.
    for (invented, wanted) in
        [(&invented[..], cleaned), (&invented[..4], Rebuilt { removed: 4, ..put_back })]
    {
        store.remove_search_rows(&missing).unwrap();
        assert!(matches!(check(&store), Err(Difference::NotFoundBy(..))));
        store.put_search_rows(invented).unwrap();
        assert_eq!(place.rebuild(&mut store), wanted);
        assert_eq!(rows(&store), before);
        check(&store).unwrap();
    }
    store.put_search_rows(&invented).unwrap();
    assert!(matches!(check(&store), Err(Difference::InventedKey(..))));
    assert_eq!(place.rebuild(&mut store), Rebuilt { removed: 6, rows: ROWS, ..Rebuilt::default() });
    store.remove_search_rows(&before).unwrap();
    assert_eq!(place.rebuild(&mut store), Rebuilt { added: ROWS, rows: ROWS, ..put_back });
    drop(store);
    let store = RocksStore::open(&place.path(), &place.shared).unwrap();
    assert_eq!(rows(&store), before, "it is on the disk");
    check(&store).unwrap();
}

#[test]
fn an_index_that_is_gone_is_made_again() {
    let (place, store) = Place::new();
    let before = rows(&store);
    store.drop_search_index();
    let open = RocksStore::open(&place.path(), &place.shared);
    assert!(matches!(open, Err(OpenError::NoSearchIndex)), "{:?}", open.err());
    let mut store = RocksStore::open_to_rebuild(&place.path(), &place.shared).unwrap();
    assert!(rows(&store).is_empty());
    assert_eq!(place.rebuild(&mut store).added, ROWS);
    drop(store);
    let store = RocksStore::open(&place.path(), &place.shared).unwrap();
    assert_eq!(rows(&store), before);
    check(&store).unwrap();
}

#[test]
fn an_index_that_cannot_be_read_is_thrown_away() {
    let (place, store) = Place::new();
    let before = rows(&store);
    store.compact().unwrap();
    let tables = store.search_tables();
    assert_eq!(tables.len(), 1);
    drop(store);
    let table = place.path().join(tables[0].trim_start_matches('/'));
    let mut bytes = fs::read(&table).unwrap();
    bytes[20_000] ^= 1;
    fs::write(&table, bytes).unwrap();
    // With a cache of its own, as after a restart: the other one still has the good block.
    let cold = RocksShared::new(64 << 20).unwrap();
    let mut store = RocksStore::open_to_rebuild(&place.path(), &cold).unwrap();
    assert!(matches!(check(&store), Err(Difference::Store(StoreError::Corrupt(_)))));
    let done = rebuild_search(&mut store, &cold, |_, _| ()).unwrap();
    let wanted = Rebuilt { rows: ROWS, added: ROWS, removed: 0, was_unreadable: true };
    assert_eq!(done, wanted);
    assert_eq!(rows(&store), before);
    check(&store).unwrap();
    drop(store);
    check(&RocksStore::open(&place.path(), &cold).unwrap()).unwrap();
}

#[test]
fn leaves_that_cannot_be_read_leave_the_index_alone() {
    let (place, mut store) = Place::new();
    let before = rows(&store);
    store.break_leaf(LeafIndex::new(1200));
    let error = rebuild_search(&mut store, &place.shared, |_, _| ()).unwrap_err();
    assert!(matches!(error, RebuildError::Leaves(StoreError::Corrupt(_))), "{error}");
    assert_eq!(rows(&store), before);
    let empty = place.dir.path().join("empty");
    let mut empty = RocksStore::create(&empty, &place.shared).unwrap();
    let error = rebuild_search(&mut empty, &place.shared, |_, _| ()).unwrap_err();
    assert!(matches!(error, RebuildError::NoHead), "{error}");
}

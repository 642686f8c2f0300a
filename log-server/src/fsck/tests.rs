//! Every difference between leaves and rows is found and named, one at a time.

use log_core::{Leaf, sha256};

use super::*;
use crate::store::memory::{MemoryStore, Rows};
use crate::store::{Batch, LeafMetadata};

const LOG_ID: Hash = Hash::from_bytes([0x1d; 32]);

/// A leaf with a time and keys of its own, and one key that it shares with every other.
fn stored(index: u64) -> StoredLeaf {
    let leaf = Leaf::new(format!("leaf {index}").into_bytes()).unwrap();
    let words = ["all".into(), format!("{index}"), format!("{}", index / 10), "all".into()];
    let search_keys = words.iter().map(|word| SearchKey::of(word)).collect();
    StoredLeaf { leaf, metadata: Some(LeafMetadata { time_s: 100 + index / 7, search_keys }) }
}

/// Commits the genesis and these leaves, as a log would.
pub(crate) fn commit_leaves(store: &dyn Store, leaves: Vec<StoredLeaf>) {
    let genesis = Head::genesis(LOG_ID, [9; 16]);
    let first_index = LeafIndex::new(0);
    let empty = Batch {
        previous: None,
        head: genesis,
        first_index,
        leaves: Vec::new(),
        leaf_hashes: Vec::new(),
        full_tiles: Vec::new(),
        identities: Vec::new(),
    };
    store.commit(&empty).unwrap();
    let leaf_hashes: Vec<Hash> = leaves.iter().map(|stored| stored.leaf.hash()).collect();
    let integrated = integrate(&RightEdge::empty(), &leaf_hashes);
    let tiles = integrated.full_tiles.iter();
    let latest = leaves.iter().filter_map(|stored| Some(stored.metadata.as_ref()?.time_s)).max();
    let batch = Batch {
        previous: Some(genesis),
        head: genesis.next(integrated.head, latest.unwrap_or(0) * 1000 + 999),
        first_index,
        full_tiles: tiles.map(|tile| (tile.id, tile.nodes.to_bytes(tile.id.width()))).collect(),
        identities: leaf_hashes.iter().copied().zip((0..).map(LeafIndex::new)).collect(),
        leaf_hashes,
        leaves,
    };
    store.commit(&batch).unwrap();
}

/// A sound log of as many leaves as two chunks and a bit.
fn sound() -> MemoryStore {
    let store = MemoryStore::new();
    commit_leaves(&store, (0..SIZE).map(stored).collect());
    store
}

const SIZE: u64 = 2100;

fn check(store: &MemoryStore) -> Result<Sound, Difference> {
    fsck(store, LOG_ID, |_, _| ())
}

/// What fsck says to a log that was sound until this change.
fn said(change: impl FnOnce(&mut Rows)) -> String {
    let store = sound();
    change(&mut store.rows());
    check(&store).expect_err("the log is damaged").to_string()
}

fn metadata(rows: &mut Rows, index: usize) -> &mut LeafMetadata {
    rows.leaves[index].metadata.as_mut().unwrap()
}

fn at(index: u64) -> LeafIndex {
    LeafIndex::new(index)
}

#[test]
fn a_sound_log_is_sound_with_and_without_metadata() {
    let store = sound();
    let mut heard = Vec::new();
    let found = fsck(&store, LOG_ID, |done, of| heard.push((done, of))).unwrap();
    assert_eq!(found.head, store.head().unwrap().unwrap().tree);
    // Of the leaves below ten, the first has two words that are one.
    assert_eq!((found.tiles, found.identities, found.search_keys), (8, SIZE, SIZE * 3 - 1));
    assert_eq!(heard, [(1024, SIZE), (2048, SIZE), (SIZE, SIZE)]);
    let bare = MemoryStore::new();
    let leaves = (0..300).map(|index| StoredLeaf::from(stored(index).leaf)).collect();
    commit_leaves(&bare, leaves);
    assert_eq!(check(&bare).unwrap().search_keys, 0);
    assert!(matches!(check(&MemoryStore::new()), Err(Difference::NoHead)));
    let other = fsck(&store, sha256(b"another log"), |_, _| ());
    assert!(matches!(other, Err(Difference::LogId(LOG_ID, _))));
}

#[test]
fn a_row_that_is_missing_from_the_search_index_is_named() {
    for (index, word) in [(0, "0"), (1023, "all"), (1024, "102"), (SIZE - 1, "2099")] {
        let row = (SearchKey::of(word), at(index));
        let said = said(|rows| assert!(rows.search_keys.remove(&row), "{word}"));
        let wanted = format!("leaf {index} is not found by its search key {}", row.0);
        assert!(said.starts_with(&wanted) && said.contains("rebuild-search"), "{said}");
    }
    // The row of a neighbour is no answer.
    let key = SearchKey::of("500");
    let said = said(|rows| {
        rows.search_keys.remove(&(key, at(500)));
        rows.search_keys.insert((key, at(501)));
    });
    assert!(said.starts_with("leaf 500 is not found by"), "{said}");
}

#[test]
fn a_row_that_no_leaf_names_is_named() {
    let (all, unknown) = (SearchKey::of("all"), SearchKey::of("unknown"));
    let first = SearchKey::from_bytes([0; 16]);
    let last = SearchKey::from_bytes([0xff; 16]);
    for (key, index) in [
        (unknown, 7),
        (SearchKey::of("8"), 7),
        (all, SIZE),
        (all, u64::MAX),
        (first, 0),
        (last, SIZE - 1),
    ] {
        let said = said(|rows| assert!(rows.search_keys.insert((key, at(index)))));
        let wanted = format!("search key {key} leads to leaf {index}, which has no such key");
        assert!(said.starts_with(&wanted) && said.contains("rebuild-search"), "{said}");
    }
}

#[test]
fn a_change_of_a_leafs_keys_is_found_either_way() {
    let more = said(|rows| metadata(rows, 9).search_keys.push(SearchKey::of("more")));
    assert!(more.starts_with("leaf 9 is not found by"), "{more}");
    let less = said(|rows| {
        metadata(rows, 9).search_keys.remove(1);
    });
    assert!(less.ends_with("removes it") && less.contains("leads to leaf 9,"), "{less}");
    let none = said(|rows| rows.leaves[9].metadata = None);
    assert!(none.contains("leads to leaf 9,"), "{none}");
}

#[test]
fn times_lie_between_those_before_and_that_of_the_head() {
    let back = said(|rows| metadata(rows, 1500).time_s = 100);
    assert_eq!(back, "the time of leaf 1500, 100, is before 314, that of an earlier leaf");
    let forward = said(|rows| metadata(rows, 1023).time_s = 399);
    assert_eq!(forward, "the time of leaf 1024, 246, is before 399, that of an earlier leaf");
    let ahead = said(|rows| metadata(rows, 2099).time_s = 400);
    assert_eq!(ahead, "the time of leaf 2099, 400, is after 399, that of the newest head");
    let old_head = said(|rows| rows.heads[1].time_ms = 398_999);
    assert!(old_head.ends_with("399, is after 398, that of the newest head"), "{old_head}");
    // The last whole second of the head is no difference, nor is a leaf without a time.
    let store = sound();
    metadata(&mut store.rows(), 2099).time_s = 399;
    store.rows().heads[1].time_ms = 399_000;
    check(&store).unwrap();
}

#[test]
fn tiles_leaves_identities_and_root_are_compared() {
    let key = |level, index| TileKey::at(level, index).unwrap();
    let identity = |index| stored(index).leaf.hash();
    let tile = said(|rows| rows.tiles.get_mut(&key(0, 3)).unwrap()[9] ^= 1);
    assert_eq!(tile, "tile 0/3 is not what its leaves hash to");
    assert_eq!(said(|rows| drop(rows.tiles.remove(&key(0, 7)))), "tile 0/7 is missing");
    let beyond = said(|rows| drop(rows.tiles.insert(key(0, 8), vec![0; 8192])));
    assert!(beyond.starts_with("the tile of") && beyond.contains("beyond"), "{beyond}");
    let leaf = said(|rows| rows.leaves.push(stored(SIZE)));
    assert_eq!(leaf, "leaf 2100 lies beyond the head's size 2100");
    let root = said(|rows| rows.heads[1].tree.root_hash = sha256(b"root"));
    assert!(root.starts_with("the leaves hash to"), "{root}");
    let gone = said(|rows| assert!(rows.identities.remove(&identity(5)).is_some()));
    assert_eq!(gone, "the identity of leaf 5 leads to None");
    let moved = said(|rows| assert!(rows.identities.insert(identity(5), at(6)).is_some()));
    assert!(moved.starts_with("the identity of leaf 5 leads to Some"), "{moved}");
    let invented = said(|rows| assert!(rows.identities.insert(sha256(b"x"), at(6)).is_none()));
    assert!(invented.ends_with("belongs to no leaf"), "{invented}");
    let missing = said(|rows| drop(rows.leaves.pop()));
    assert!(missing.starts_with("missing in the store"), "{missing}");
}

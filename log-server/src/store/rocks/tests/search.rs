//! The search index on disk: found through tables and filters as well as in memory, whole after a
//! kill, and refused if it is not what the batch says.

use super::*;
use crate::store::{LeafMetadata, SearchKey, StoredLeaf};

/// A leaf with one key of its own, and one that all leaves have.
fn stored(index: usize) -> StoredLeaf {
    let search_keys = vec![SearchKey::of("all"), SearchKey::of(&index.to_string())];
    StoredLeaf { leaf: leaf(index), metadata: Some(LeafMetadata { time_s: 7, search_keys }) }
}

/// The next `count` leaves in one commit.
fn commit(store: &RocksStore, writer: &mut Writer, leaves: std::ops::Range<usize>) {
    store.commit(&writer.stored(leaves.map(stored).collect())).unwrap();
}

/// Every leaf below `size` is found by both of its keys, and nothing else is.
fn assert_found(store: &RocksStore, size: usize) {
    let found = |word: &str, from: u64, limit: usize| {
        let found = store.search(&SearchKey::of(word), LeafIndex::new(from), limit).unwrap();
        found.into_iter().map(LeafIndex::get).collect::<Vec<_>>()
    };
    let all: Vec<u64> = (0..size as u64).collect();
    assert_eq!(found("all", 0, usize::MAX), all);
    for from in [0, 1, size / 2, size - 1] {
        let wanted = &all[from..size.min(from + 3)];
        assert_eq!(found("all", from as u64, 3), wanted, "from {from}");
    }
    assert!(found("all", size as u64, 3).is_empty());
    for index in 0..size {
        assert_eq!(found(&index.to_string(), 0, 9), [index as u64]);
    }
    for absent in size..size + 1000 {
        assert!(found(&absent.to_string(), 0, 9).is_empty());
    }
    assert_eq!(store.search_keys_after(None, usize::MAX).unwrap().len(), 2 * size);
}

#[test]
fn a_search_reads_tables_and_memory_alike() {
    let place = Place::new();
    let store = place.create("db");
    let mut writer = Writer::default();
    store.commit(&writer.genesis()).unwrap();
    for round in 0..4 {
        commit(&store, &mut writer, round * 500..(round + 1) * 500);
        // The last commit stays in memory.
        if round < 3 {
            store.db.flush_cf(store.family(Family::Keys)).unwrap();
            assert_eq!(store.search_tables().len(), round + 1);
        }
        assert_found(&store, (round + 1) * 500);
    }
    store.compact().unwrap();
    assert_found(&store, 2000);
    drop(store);
    assert_found(&place.open("db").unwrap(), 2000);
}

#[test]
fn a_killed_process_leaves_the_rows_of_every_commit_that_returned() {
    let place = Place::new();
    let store = place.create("db");
    let mut writer = Writer::default();
    store.commit(&writer.genesis()).unwrap();
    let mut size = 0;
    for count in [1, 255, 1, 600] {
        commit(&store, &mut writer, size..size + count);
        size += count;
        place.kill("db", "left");
        let left = place.open("left").unwrap();
        assert_found(&left, size);
        let leaves = left.stored_leaves(LeafIndex::new(0), size).unwrap();
        assert!(leaves.into_iter().eq((0..size).map(stored)));
    }
}

#[test]
fn every_row_of_a_finished_batch_is_compared() {
    let place = Place::new();
    let store = place.create("db");
    let mut writer = Writer::default();
    writer.genesis();
    let batch = writer.stored((0..300).map(stored).collect());
    let check = |rows: &WriteBatch| check_finished(&batch, &store.family_ids, rows).is_ok();
    assert!(check(&store.rows(&batch)));
    type Change = (&'static str, fn(&mut Batch));
    let changes: Vec<Change> = vec![
        ("a time", |b| b.leaves[7].metadata.as_mut().unwrap().time_s += 1),
        ("a key", |b| b.leaves[7].metadata.as_mut().unwrap().search_keys[1] = SearchKey::of("x")),
        ("the order of keys", |b| b.leaves[7].metadata.as_mut().unwrap().search_keys.reverse()),
        ("a key more", |b| {
            b.leaves[7].metadata.as_mut().unwrap().search_keys.push(SearchKey::of("x"));
        }),
        ("a key less", |b| b.leaves[7].metadata.as_mut().unwrap().search_keys.truncate(1)),
        ("no metadata", |b| b.leaves[299].metadata = None),
        ("a body", |b| b.leaves[7].leaf = leaf(8)),
        ("a tile", |b| b.full_tiles[0].1[77] ^= 1),
        ("no tile", |b| b.full_tiles.clear()),
        ("an identity", |b| b.identities[7].0 = sha256(b"x")),
        ("where an identity leads", |b| b.identities[7].1 = LeafIndex::new(8)),
        ("an identity less", |b| b.identities.truncate(299)),
        ("the head", |b| b.head.time_ms += 1),
    ];
    for (what, change) in changes {
        let mut other = batch.clone();
        change(&mut other);
        assert!(!check(&store.rows(&other)), "{what}");
    }
    let keys = store.family(Family::Keys);
    let row = |index| search_row_key(&SearchKey::of("all"), LeafIndex::new(index));
    for (what, key, value) in [
        ("a row twice", row(0), &b""[..]),
        ("a row more", row(300), b""),
        ("a value", row(0), b"v"),
    ] {
        let mut rows = store.rows(&batch);
        rows.put_cf(keys, key, value);
        assert!(!check(&rows), "{what}");
    }
    let mut rows = store.rows(&batch);
    rows.put_cf(store.family(Family::Default), b"note", b"");
    assert!(!check(&rows), "a row of a family that no commit writes");
    let mut rows = store.rows(&batch);
    rows.merge_cf(keys, row(0), b"");
    assert!(!check(&rows), "a merge");
}

#[test]
fn rows_of_the_index_that_this_program_does_not_write_are_corrupt() {
    let key = SearchKey::of("all");
    let row = search_row_key(&key, LeafIndex::new(0));
    let longer = [&row[..], &[0]].concat();
    for (name, row, value) in [
        ("short", &row[..23], &b""[..]),
        ("key", &row[..16], b""),
        ("long", &longer, b""),
        ("value", &row, b"v"),
    ] {
        let place = Place::new();
        let store = place.create("db");
        store.db.put_cf(store.family(Family::Keys), row, value).unwrap();
        let scanned = store.search_keys_after(None, 9);
        assert!(matches!(scanned, Err(StoreError::Corrupt(_))), "{name}: {scanned:?}");
        // A search starts behind rows that are too short.
        if row.len() >= 24 {
            let found = store.search(&key, LeafIndex::new(0), 9);
            assert!(matches!(found, Err(StoreError::Corrupt(_))), "{name}: {found:?}");
        }
    }
    // A row too short to have a prefix, and one whose metadata is cut off.
    let place = Place::new();
    let store = place.create("db");
    store.db.put_cf(store.family(Family::Keys), b"x", b"").unwrap();
    assert!(matches!(store.search_keys_after(None, 9), Err(StoreError::Corrupt(_))));
    let cut = b"\x01\0\0\0\0\0\0\0\x07\0\x01short";
    store.db.put_cf(store.family(Family::Leaves), 0u64.to_be_bytes(), cut).unwrap();
    let read = store.stored_leaves(LeafIndex::new(0), 1);
    assert!(matches!(read, Err(StoreError::Corrupt(_))), "{read:?}");
}

#[test]
fn a_store_without_the_index_says_what_it_is() {
    let place = Place::new();
    place.create("db").drop_search_index();
    assert!(matches!(place.open("db"), Err(OpenError::NoSearchIndex)));
    // A store of the format before, which had no such family.
    let store = place.create("old");
    store.db.put(FORMAT_KEY, "cairn store 1").unwrap();
    store.drop_search_index();
    for open in [RocksStore::open, RocksStore::open_to_rebuild] {
        let error = open(&place.path("old"), &place.shared).map(drop).unwrap_err();
        assert!(matches!(error, OpenError::WrongVersion { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("\"cairn store 1\"") && text.contains("\"cairn store 2\""), "{text}");
    }
    // One whose creation was interrupted between its families.
    let store = place.create("unfinished");
    store.db.delete(FORMAT_KEY).unwrap();
    store.drop_search_index();
    for open in [RocksStore::open, RocksStore::open_to_rebuild] {
        let error = open(&place.path("unfinished"), &place.shared).map(drop).unwrap_err();
        assert!(matches!(error, OpenError::Missing(_)), "{error:?}");
    }
    let mut store = place.create("other");
    store.db.drop_cf("tiles").unwrap();
    drop(store);
    for open in [RocksStore::open, RocksStore::open_to_rebuild] {
        let error = open(&place.path("other"), &place.shared).map(drop).unwrap_err();
        assert!(matches!(error, OpenError::Other(_)), "{error:?}");
    }
}

#[test]
fn the_disk_budget_of_the_index_is_kept() {
    const ENTRIES: usize = 20_000;
    const KEYS: usize = 5;
    let place = Place::new();
    let bytes = [0, KEYS].map(|keys| {
        let store = place.create(&format!("{keys}"));
        let mut writer = Writer::default();
        store.commit(&writer.genesis()).unwrap();
        for round in 0..ENTRIES / 100 {
            let leaves = (round * 100..(round + 1) * 100).map(|index| {
                let words = (0..keys).map(|word| SearchKey::of(&format!("{index} {word}")));
                let metadata = LeafMetadata { time_s: 7, search_keys: words.collect() };
                StoredLeaf { metadata: Some(metadata), ..stored(index) }
            });
            store.commit(&writer.stored(leaves.collect())).unwrap();
        }
        store.compact().unwrap();
        store.disk_bytes().unwrap()
    });
    let key = (bytes[1] - bytes[0]) as f64 / (ENTRIES * KEYS) as f64;
    // 16 beside the leaf and 16 in the index are random and do not compress; about 14 are
    // RocksDB's, its filter included.
    assert!(key > 32.0 && key <= 48.0, "{key} bytes a search key");
}

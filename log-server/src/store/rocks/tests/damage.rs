//! What a store answers whose files were cut, torn, flipped or removed: never a wrong head without
//! an error, except where whole commits are missing at the end, which only the anchor can tell.

use std::path::Path;

use super::*;

/// What came of opening a damaged store.
#[derive(Debug, PartialEq, Eq)]
enum Opened {
    /// With the head of this commit.
    At(u64),
    /// Without any head.
    Empty,
    /// Refused; a copy opens with the head of this commit.
    TornBack(u64),
    /// Refused, and so is a copy.
    Torn,
    LostTail,
    Missing,
    Other,
}

/// Opens the store `left`, and a copy of it if it is torn.
fn opened(place: &Place) -> Opened {
    match place.open("left") {
        Ok(store) => store.head().unwrap().map_or(Opened::Empty, |head| Opened::At(head.batch)),
        Err(OpenError::TornTail(_)) => {
            // Refused once, refused always: opening it did not change it.
            assert!(matches!(place.open("left"), Err(OpenError::TornTail(_))));
            copied(place).map_or(Opened::Torn, Opened::TornBack)
        }
        Err(OpenError::LostTail(_)) => Opened::LostTail,
        Err(OpenError::Missing(_)) => Opened::Missing,
        Err(OpenError::Other(_)) => Opened::Other,
        Err(error) => panic!("{error}"),
    }
}

/// The last good commit of the torn store `left`; all of its rows must be there, and the copy must
/// be a store like any other.
fn copied(place: &Place) -> Option<u64> {
    let (left, copy) = (place.path("left"), place.path("copy"));
    let _ = fs::remove_dir_all(&copy);
    let store = RocksStore::open_copy_at_last_good_point(&left, &copy, &place.shared).ok()?;
    let again = RocksStore::open_copy_at_last_good_point(&left, &copy, &place.shared);
    assert!(matches!(again, Err(OpenError::Exists(_))));
    let head = store.head().unwrap().unwrap();
    let size = usize::try_from(head.tree.size.get()).unwrap();
    drop(store);
    let store = place.open("copy").unwrap();
    assert_eq!(store.head().unwrap(), Some(head));
    assert_eq!(store.leaves(LeafIndex::new(0), size).unwrap().len(), size);
    assert_eq!(store.last_leaf().unwrap().map_or(0, |index| index.get() + 1), size as u64);
    assert_eq!(store.identities_after(None, 9999).unwrap().len(), size);
    assert!(matches!(place.open("left"), Err(OpenError::TornTail(_))), "the original is as it was");
    Some(head.batch)
}

fn edit(file: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(file).unwrap();
    change(&mut bytes);
    fs::write(file, bytes).unwrap();
}

/// Six leaves of 50,000 random bytes: one commit is one record over ten blocks of the log.
fn large(writer: &mut Writer, seed: u64) -> Batch {
    let leaf = |i| Leaf::new(random(&format!("{seed} {i}"), 50_000)).unwrap();
    writer.leaves((0..6).map(leaf).collect())
}

/// A store `db` with a genesis and four commits in one log file, and where each commit ends.
fn four_commits(place: &Place) -> (RocksStore, Vec<usize>) {
    let store = place.create("db");
    let mut writer = Writer::default();
    store.commit(&writer.genesis()).unwrap();
    let mut ends = Vec::new();
    for round in 0..4 {
        store.commit(&large(&mut writer, round)).unwrap();
        let log = &files(&place.path("db"), "log")[0];
        ends.push(usize::try_from(fs::metadata(log).unwrap().len()).unwrap());
    }
    assert_eq!(files(&place.path("db"), "log").len(), 1);
    (store, ends)
}

#[test]
fn each_shape_of_a_damaged_tail_has_its_answer() {
    let place = Place::new();
    let (_store, ends) = four_commits(&place);
    let (first, third, fourth) = (ends[0], ends[2], ends[3]);
    let block = (third + 100_000) / 32_768 * 32_768;
    let last_fragment = (fourth - 1) / 32_768 * 32_768;
    type Shape<'a> = (&'a str, Box<dyn Fn(&mut Vec<u8>)>, Opened);
    let shapes: Vec<Shape<'_>> = vec![
        ("whole", Box::new(|_| ()), Opened::At(4)),
        // Whole commits are gone without a trace: the anchor has to notice.
        ("one commit cut off", Box::new(move |b| b.truncate(third)), Opened::At(3)),
        ("three commits cut off", Box::new(move |b| b.truncate(first)), Opened::At(1)),
        ("all cut off", Box::new(Vec::clear), Opened::Empty),
        // A last record that was never finished is no commit that returned.
        ("cut in the last record", Box::new(move |b| b.truncate(fourth - 1)), Opened::At(3)),
        ("cut in its first header", Box::new(move |b| b.truncate(third + 3)), Opened::At(3)),
        (
            "a page zeroed",
            Box::new(move |b| b[third + 4096..][..4096].fill(0)),
            Opened::TornBack(3),
        ),
        ("its first page", Box::new(move |b| b[third..][..4096].fill(0)), Opened::TornBack(3)),
        ("a block", Box::new(move |b| b[block..][..32_768].fill(0)), Opened::TornBack(3)),
        ("its second half", Box::new(move |b| b[third + 150_000..].fill(0)), Opened::TornBack(3)),
        ("a bit of its payload", Box::new(move |b| b[third + 999] ^= 1), Opened::TornBack(3)),
        ("a bit of its checksum", Box::new(move |b| b[third] ^= 1), Opened::TornBack(3)),
        ("a bit of an old payload", Box::new(move |b| b[first + 999] ^= 1), Opened::TornBack(1)),
        // RocksDB itself would never return from these two.
        (
            "kind of its last part",
            Box::new(move |b| b[last_fragment + 6] ^= 1),
            Opened::TornBack(3),
        ),
        ("kind of an old record", Box::new(move |b| b[first + 6] = 8), Opened::TornBack(1)),
    ];
    for (name, change, wanted) in shapes {
        place.kill("db", "left");
        edit(&files(&place.path("left"), "log")[0], change);
        assert_eq!(opened(&place), wanted, "{name}");
    }
}

#[test]
fn the_last_record_may_be_cut_or_flipped_anywhere() {
    let place = Place::new();
    let store = place.create("db");
    let mut writer = Writer::default();
    store.commit(&writer.genesis()).unwrap();
    store.commit(&writer.batch(2)).unwrap();
    let length = || fs::metadata(&files(&place.path("db"), "log")[0]).unwrap().len();
    let start = usize::try_from(length()).unwrap();
    store.commit(&writer.batch(1)).unwrap();
    let end = usize::try_from(length()).unwrap();
    // All of the header and of the batch's own header, and every fifth byte of the rows.
    for at in (start..start + 19).chain((start + 19..end).step_by(5)) {
        place.kill("db", "left");
        edit(&files(&place.path("left"), "log")[0], |bytes| bytes.truncate(at));
        assert_eq!(place.open("left").map(|store| batch_number(&store)).ok(), Some(1), "{at}");
        place.kill("db", "left");
        edit(&files(&place.path("left"), "log")[0], |bytes| bytes[at] ^= 1 << (at % 8));
        match (place.open("left").map(|store| batch_number(&store)), at - start) {
            (Err(OpenError::TornTail(_)), _) => {}
            // A length that leads beyond the end looks like a record that was never finished.
            (Ok(1), 4..=5) => {}
            (other, byte) => panic!("byte {byte} of the record flipped: {other:?}"),
        }
    }
}

#[test]
fn a_kind_of_a_recycled_file_is_found_in_any_record() {
    let place = Place::new();
    let (_store, ends) = four_commits(&place);
    // The first record of a file says which one came before; RocksDB would drop the whole file.
    for (at, back) in [(0, None), (ends[1], Some(2)), (32_768, Some(0))] {
        for kind in [5, 6, 7, 8, 11, 131] {
            place.kill("db", "left");
            edit(&files(&place.path("left"), "log")[0], |bytes| bytes[at + 6] = kind);
            assert!(matches!(place.open("left"), Err(OpenError::TornTail(_))), "{at} {kind}");
            if kind == 8 {
                let _ = fs::remove_dir_all(place.path("copy"));
                let copy = RocksStore::open_copy_at_last_good_point(
                    &place.path("left"),
                    &place.path("copy"),
                    &place.shared,
                );
                let head = copy.map(|store| store.head().unwrap().map(|head| head.batch));
                assert_eq!(head.unwrap(), back, "{at}");
            }
        }
    }
}

#[test]
fn a_log_file_that_is_gone_is_found_unless_it_is_the_newest() {
    let place = Place::new();
    let (store, _) = four_commits(&place);
    drop(store);
    place.kill("db", "left");
    fs::remove_file(&files(&place.path("left"), "log")[0]).unwrap();
    assert_eq!(opened(&place), Opened::LostTail);

    // Three log files, of which each is needed by a family that was not flushed since.
    let store = place.open("db").unwrap();
    let mut writer = Writer::default();
    writer.genesis();
    for round in 0..4 {
        large(&mut writer, round);
    }
    for (round, flushed) in [Some(Family::Leaves), Some(Family::Identity), None].iter().enumerate()
    {
        store.commit(&large(&mut writer, 10 + round as u64)).unwrap();
        if let Some(family) = flushed {
            store.db.flush_cf(store.family(*family)).unwrap();
        }
    }
    let logs = files(&place.path("db"), "log").len();
    assert_eq!(logs, 3);
    let cases = [(0, Opened::LostTail), (1, Opened::LostTail), (2, Opened::At(6))];
    for (removed, wanted) in cases {
        place.kill("db", "left");
        fs::remove_file(&files(&place.path("left"), "log")[removed]).unwrap();
        assert_eq!(opened(&place), wanted, "file {removed}");
    }
    // Tables already hold what comes after this damage: there is no good point.
    for (damaged, wanted) in [(0, Opened::Torn), (1, Opened::Torn), (2, Opened::TornBack(6))] {
        place.kill("db", "left");
        edit(&files(&place.path("left"), "log")[damaged], |bytes| bytes[100_000] ^= 1);
        assert_eq!(opened(&place), wanted, "file {damaged}");
    }
    place.kill("db", "left");
    edit(&files(&place.path("left"), "log")[0], |bytes| bytes.truncate(bytes.len() - 1000));
    assert_eq!(opened(&place), Opened::Torn, "an older file is shorter than the next one says");
}

#[test]
fn damage_outside_the_log_is_no_torn_tail() {
    let place = Place::new();
    let (store, _) = four_commits(&place);
    store.compact().unwrap();
    drop(store);
    let path = place.path("left");
    let manifest = || {
        let entries = fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path());
        entries.filter(|path| path.to_string_lossy().contains("MANIFEST")).max().unwrap()
    };
    let largest = || {
        let tables = files(&path, "sst").into_iter();
        tables.max_by_key(|table| fs::metadata(table).unwrap().len()).unwrap()
    };
    type Damage<'a> = (&'a str, Box<dyn Fn() + 'a>, Opened);
    let cases: Vec<Damage<'_>> = vec![
        (
            "CURRENT gone",
            Box::new(|| fs::remove_file(path.join("CURRENT")).unwrap()),
            Opened::Missing,
        ),
        ("all gone", Box::new(|| fs::remove_dir_all(&path).unwrap()), Opened::Missing),
        ("MANIFEST flipped", Box::new(|| edit(&manifest(), |b| b[60] ^= 1)), Opened::Other),
        ("a table gone", Box::new(|| fs::remove_file(largest()).unwrap()), Opened::Other),
        ("a table cut", Box::new(|| edit(&largest(), |b| b.truncate(9999))), Opened::Other),
    ];
    for (name, damage, wanted) in cases {
        place.kill("db", "left");
        damage();
        assert_eq!(opened(&place), wanted, "{name}");
    }
}

#[test]
fn a_flipped_bit_in_a_table_is_found_when_it_is_read() {
    let place = Place::new();
    let (store, _) = four_commits(&place);
    store.compact().unwrap();
    drop(store);
    place.kill("db", "left");
    let tables = files(&place.path("left"), "sst").into_iter();
    let leaves = tables.max_by_key(|table| fs::metadata(table).unwrap().len()).unwrap();
    edit(&leaves, |bytes| bytes[600_000] ^= 1);
    // With a cache of its own, as after a restart: the other one still has the good block.
    let cold = RocksShared::new(64 << 20).unwrap();
    let store = RocksStore::open(&place.path("left"), &cold).unwrap();
    let read = (0..24).map(|index| store.leaves(LeafIndex::new(index), 1));
    let bad: Vec<StoreError> = read.filter_map(Result::err).collect();
    assert!(!bad.is_empty());
    assert!(bad.iter().all(|error| matches!(error, StoreError::Corrupt(_))), "{bad:?}");
    assert!(matches!(store.leaves(LeafIndex::new(0), 24), Err(StoreError::Corrupt(_))));
}

#[test]
fn rows_that_this_program_does_not_write_are_corrupt() {
    let place = Place::new();
    let store = place.create("db");
    let mut writer = Writer::default();
    let genesis = writer.genesis();
    store.commit(&genesis).unwrap();
    store.commit(&writer.batch(2)).unwrap();
    let put = |family, key: &[u8], value: &[u8]| {
        store.db.put_cf(store.family(family), key, value).unwrap();
    };
    let corrupt = |error: StoreError| assert!(matches!(error, StoreError::Corrupt(_)), "{error}");
    let first = LeafIndex::new(0);
    for row in [&b""[..], b"\x01x", &[0; 65_537]] {
        put(Family::Leaves, &0u64.to_be_bytes(), row);
        corrupt(store.leaves(first, 1).unwrap_err());
        corrupt(store.leaves(first, 2).unwrap_err());
    }
    put(Family::Leaves, &[0xff; 9], b"\x00");
    corrupt(store.last_leaf().unwrap_err());
    put(Family::Identity, &[7; 32], b"short");
    corrupt(store.find(&Hash::from_bytes([7; 32])).unwrap_err());
    corrupt(store.identities_after(None, 99).unwrap_err());
    put(Family::Tiles, b"key", b"value");
    corrupt(store.tiles_after(None, 99).unwrap_err());
    for row in [&genesis.head.encode()[..], &[0; 124], b""] {
        put(Family::Heads, &7u64.to_be_bytes(), row);
        corrupt(store.head().unwrap_err());
        corrupt(store.heads_after(None, 99).unwrap_err());
        // A store that cannot read its own head must not go on.
        let commit = store.commit(&writer.batch(1));
        assert!(matches!(commit, Err(CommitError::OutcomeUnknown(_))), "{commit:?}");
    }
}

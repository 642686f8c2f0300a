//! `cairn-server rebuild-search` against a search index that a disk damaged.

#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use log_core::integrate::{RightEdge, integrate};
use log_core::{Hash, Leaf, LeafIndex};
use log_server::log::directory::LogDirectory;
use log_server::server;
use log_server::store::rocks::{RocksShared, RocksStore};
use log_server::store::{Batch, LeafMetadata, SearchKey, Store, StoredLeaf};
use tempfile::TempDir;

const NAME: &str = "searched";
const LEAVES: u64 = 700;
/// Enough for the stores of a test.
const MEMORY_BYTES: usize = 16 * 1024 * 1024;

/// A data directory with a log whose leaves have search keys.
struct Searched(TempDir);

impl Searched {
    fn new() -> Self {
        let searched = Self(tempfile::tempdir().unwrap());
        let made = searched.run(&["init", "--hostname", "log.example"]);
        assert!(made.status.success(), "{made:?}");
        let made = searched.run(&["add-log", "--name", NAME, "--personality", "raw"]);
        assert!(made.status.success(), "{made:?}");
        searched.with_store(commit_leaves);
        searched
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cairn-server"));
        command.args(arguments).arg("--data-dir").arg(self.path());
        command.output().expect("cairn-server runs")
    }

    /// Exit code, standard output, standard error.
    fn said(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        let output = self.run(arguments);
        let [stdout, stderr] = [output.stdout, output.stderr].map(String::from_utf8);
        (output.status.code(), stdout.unwrap(), stderr.unwrap())
    }

    fn with_store(&self, change: impl FnOnce(&RocksStore)) {
        let shared = RocksShared::new(MEMORY_BYTES).unwrap();
        change(&RocksStore::open(&self.store(), &shared).unwrap());
    }

    fn store(&self) -> PathBuf {
        LogDirectory::new(&self.path(), NAME).store()
    }

    fn assert_sound(&self) {
        let (code, stdout, stderr) = self.said(&["fsck", "--log", NAME]);
        let wanted = format!("{} search keys", LEAVES * 2);
        assert!(code == Some(0) && stdout.contains(&wanted), "{stdout}{stderr}");
    }
}

fn commit_leaves(store: &RocksStore) {
    let genesis = store.head().unwrap().expect("a genesis head");
    let leaves: Vec<StoredLeaf> = (0..LEAVES).map(stored).collect();
    let leaf_hashes: Vec<Hash> = leaves.iter().map(|stored| stored.leaf.hash()).collect();
    let integrated = integrate(&RightEdge::empty(), &leaf_hashes);
    let tiles = integrated.full_tiles.iter();
    let batch = Batch {
        previous: Some(genesis),
        head: genesis.next(integrated.head, 7000),
        first_index: LeafIndex::new(0),
        full_tiles: tiles.map(|tile| (tile.id, tile.nodes.to_bytes(tile.id.width()))).collect(),
        identities: leaf_hashes.iter().copied().zip((0..).map(LeafIndex::new)).collect(),
        leaf_hashes,
        leaves,
    };
    store.commit(&batch).expect("the store takes it");
    store.compact().expect("the store is sound");
}

fn stored(index: u64) -> StoredLeaf {
    let search_keys = vec![SearchKey::of("all"), SearchKey::of(&format!("{index}"))];
    StoredLeaf {
        leaf: Leaf::new(format!("leaf {index}").into_bytes()).unwrap(),
        metadata: Some(LeafMetadata { time_s: 7, search_keys }),
    }
}

/// The one table whose rows have a prefix: its own properties say so.
fn table_of_the_index(store: &Path) -> PathBuf {
    let files = fs::read_dir(store).unwrap().map(|entry| entry.unwrap().path());
    let mut tables: Vec<PathBuf> = files
        .filter(|file| file.extension().is_some_and(|extension| extension == "sst"))
        .filter(|table| fs::read(table).unwrap().windows(11).any(|bytes| bytes == b"FixedPrefix"))
        .collect();
    assert_eq!(tables.len(), 1);
    tables.remove(0)
}

#[test]
fn a_damaged_index_is_found_and_rebuilt() {
    let log = Searched::new();
    log.assert_sound();
    let (code, stdout, stderr) = log.said(&["rebuild-search", NAME]);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(stdout, "searched: 1400 search keys, 0 put back, 0 removed\n");

    let table = table_of_the_index(&log.store());
    let mut bytes = fs::read(&table).unwrap();
    bytes[9000] ^= 1;
    fs::write(&table, bytes).unwrap();
    let (code, _, stderr) = log.said(&["fsck", "--log", NAME]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("searched: corrupt in the store"), "{stderr}");

    let (code, stdout, stderr) = log.said(&["rebuild-search", NAME]);
    assert_eq!(code, Some(0), "{stderr}");
    assert_eq!(
        stdout,
        "searched: the search index could not be read and was thrown away\n\
         searched: 1400 search keys, 1400 put back, 0 removed\n"
    );
    log.assert_sound();
    log.with_store(|store| {
        let all = store.search(&SearchKey::of("all"), LeafIndex::new(0), usize::MAX).unwrap();
        assert!(all.into_iter().eq((0..LEAVES).map(LeafIndex::new)));
    });
}

#[test]
fn what_cannot_be_rebuilt_is_refused_and_stays_as_it_is() {
    let log = Searched::new();
    let (code, stdout, stderr) = log.said(&["rebuild-search", "nothing"]);
    assert_eq!((code, stdout.as_str()), (Some(3), ""));
    assert!(stderr.contains("there is no log \"nothing\""), "{stderr}");
    // As a server does that serves it.
    let lock = server::lock(&log.path()).unwrap();
    let (code, stdout, stderr) = log.said(&["rebuild-search", NAME]);
    assert_eq!((code, stdout.as_str()), (Some(3), ""));
    assert!(stderr.contains("in use"), "{stderr}");
    drop(lock);
    fs::remove_file(log.store().join("CURRENT")).unwrap();
    let (code, stdout, stderr) = log.said(&["rebuild-search", NAME]);
    assert_eq!((code, stdout.as_str()), (Some(3), ""));
    assert!(stderr.contains("no store"), "{stderr}");
}

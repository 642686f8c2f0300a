//! What every [`Store`] must do, as a suite that runs on each of them.
//!
//! The stores do not know what a root is, so the heads here have roots that stand for nothing; the
//! leaf hashes and the tiles are real.

mod search;

use log_core::{Hash, Leaf, LeafIndex, TILE_WIDTH, TileId, TreeHead, TreeSize, sha256};

use super::{Batch, CommitError, Head, Store, StoreError, StoredLeaf, TileKey};

/// Runs the whole suite, each case on a new store from `make`.
///
/// # Panics
/// When the store breaks the contract: this is a test.
pub fn check_store(make: impl Fn() -> Box<dyn Store>) {
    let cases: [fn(&dyn Store); 10] = [
        a_new_store_is_empty,
        what_was_committed_is_read_back,
        tiles_are_found_by_level_and_index,
        a_batch_on_another_head_is_a_conflict,
        a_batch_that_breaks_a_rule_writes_nothing,
        a_leaf_that_changed_after_it_was_hashed_is_refused,
        the_longest_and_the_empty_leaf_fit,
        the_note_is_replaced_and_belongs_to_no_batch,
        scans_page_through_everything_in_order,
        of_concurrent_batches_on_one_head_one_wins,
    ];
    for case in cases.into_iter().chain(search::CASES) {
        case(make().as_ref());
    }
}

/// Makes batches that follow each other.
#[derive(Default)]
pub struct Writer {
    head: Option<Head>,
    hashes: Vec<Hash>,
}

impl Writer {
    /// The genesis batch of a log that is always the same.
    pub fn genesis(&mut self) -> Batch {
        let head = Head::genesis(Hash::from_bytes([0x1d; 32]), [0x5a; 16]);
        self.head = Some(head);
        batch(None, head, Vec::new())
    }

    /// The next `count` leaves: their text is their index.
    ///
    /// # Panics
    /// Before [`Writer::genesis`].
    pub fn batch(&mut self, count: usize) -> Batch {
        let first = self.hashes.len();
        self.leaves((first..first + count).map(leaf).collect())
    }

    /// A batch with these leaves, the tiles that they fill, and their hashes as identities.
    ///
    /// # Panics
    /// Before [`Writer::genesis`].
    pub fn leaves(&mut self, leaves: Vec<Leaf>) -> Batch {
        self.stored(leaves.into_iter().map(StoredLeaf::from).collect())
    }

    /// The same with metadata; the head's time is that of the newest leaf.
    ///
    /// # Panics
    /// Before [`Writer::genesis`].
    pub fn stored(&mut self, leaves: Vec<StoredLeaf>) -> Batch {
        let previous = self.head.expect("the genesis comes first");
        let first = self.hashes.len();
        self.hashes.extend(leaves.iter().map(|stored| stored.leaf.hash()));
        let times_s = leaves.iter().filter_map(|stored| Some(stored.metadata.as_ref()?.time_s));
        let time_ms = times_s.max().unwrap_or(0).saturating_mul(1000);
        let head = previous.next(tree(self.hashes.len()), time_ms);
        let mut batch = batch(Some(previous), head, leaves);
        for level in 0..3 {
            let width = 256usize.pow(level + 1);
            for index in first / width..self.hashes.len() / width {
                batch.full_tiles.push(self.tile(u8::try_from(level).expect("small"), index));
            }
        }
        self.head = Some(head);
        batch
    }

    /// A tile whose bottom row stands for itself: level 0 is real, higher levels are only unique.
    fn tile(&self, level: u8, index: usize) -> (TileId, Vec<u8>) {
        let id = TileId::full(level, index as u64);
        let width = usize::try_from(TILE_WIDTH).expect("small");
        let row: Vec<Hash> = match level {
            0 => self.hashes[index * width..(index + 1) * width].to_vec(),
            _ => (0..TILE_WIDTH).map(|i| sha256(format!("{id} {i}").as_bytes())).collect(),
        };
        (id, row.iter().flat_map(|hash| *hash.as_bytes()).collect())
    }
}

/// The text of leaf `index` in the batches of a [`Writer`].
///
/// # Panics
/// Never: the text is short.
pub fn leaf(index: usize) -> Leaf {
    Leaf::new(format!("leaf {index}").into_bytes()).expect("short")
}

fn batch(previous: Option<Head>, head: Head, leaves: Vec<StoredLeaf>) -> Batch {
    let leaf_hashes: Vec<Hash> = leaves.iter().map(|stored| stored.leaf.hash()).collect();
    let indices = (head.first_index.get()..).map(LeafIndex::new);
    Batch {
        previous,
        head,
        first_index: head.first_index,
        identities: leaf_hashes.iter().copied().zip(indices).collect(),
        leaf_hashes,
        leaves,
        full_tiles: Vec::new(),
    }
}

fn tree(size: usize) -> TreeHead {
    let root_hash = match size {
        0 => Hash::EMPTY_ROOT,
        _ => sha256(format!("root {size}").as_bytes()),
    };
    TreeHead { size: TreeSize::new(size as u64), root_hash }
}

fn started(store: &dyn Store) -> Writer {
    let mut writer = Writer::default();
    store.commit(&writer.genesis()).expect("genesis");
    writer
}

fn at(index: u64) -> LeafIndex {
    LeafIndex::new(index)
}

fn a_new_store_is_empty(store: &dyn Store) {
    assert_eq!(store.head().expect("head"), None);
    assert!(store.leaves(at(0), 0).expect("no leaves").is_empty());
    assert!(matches!(store.leaves(at(0), 1), Err(StoreError::Missing(_))));
    assert_eq!(store.tile(0, 0).expect("tile"), None);
    assert_eq!(store.find(&Hash::EMPTY_ROOT).expect("find"), None);
    assert_eq!(store.note().expect("note"), None);
    assert_eq!(store.last_leaf().expect("last"), None);
    assert!(store.heads_after(None, 9).expect("heads").is_empty());
    assert!(store.tiles_after(None, 9).expect("tiles").is_empty());
    assert!(store.identities_after(None, 9).expect("identities").is_empty());
    assert!(store.search_keys_after(None, 9).expect("search rows").is_empty());
}

fn what_was_committed_is_read_back(store: &dyn Store) {
    let mut writer = started(store);
    let head = store.head().expect("head").expect("genesis");
    assert!(head.flags.genesis && head.tree == TreeHead::EMPTY);
    let mut size = 0;
    for count in [1, 2, 300, 255, 700] {
        let batch = writer.batch(count);
        store.commit(&batch).expect("commit");
        size += count;
        assert_eq!(store.head().expect("head"), Some(batch.head));
        let leaves = store.leaves(at(0), size).expect("leaves");
        assert!(leaves.iter().cloned().eq((0..size).map(leaf)), "all {size} leaves in order");
        assert!(matches!(store.leaves(at(0), size + 1), Err(StoreError::Missing(_))));
        assert!(matches!(store.leaves(at(size as u64), 1), Err(StoreError::Missing(_))));
        assert_eq!(store.last_leaf().expect("last"), Some(at(size as u64 - 1)));
    }
    for index in [0, 1, 2, 3, 302, 303, 1257] {
        let found = store.find(&leaf(index).hash()).expect("find");
        assert_eq!(found, Some(at(index as u64)), "leaf {index}");
        let one = store.leaves(at(index as u64), 1).expect("leaf");
        assert_eq!(one, [leaf(index)]);
    }
    assert_eq!(store.find(&leaf(1258).hash()).expect("find"), None);
    assert!(matches!(store.leaves(at(u64::MAX), 1), Err(StoreError::Missing(_))));
    assert!(matches!(store.leaves(at(u64::MAX), 2), Err(StoreError::Missing(_))));
    assert!(store.leaves(at(9999), 0).expect("nothing asked for").is_empty());
}

fn tiles_are_found_by_level_and_index(store: &dyn Store) {
    let mut writer = started(store);
    let first = writer.batch(65_000);
    store.commit(&first).expect("commit");
    assert_eq!(store.tile(1, 0).expect("tile"), None, "not full yet");
    let second = writer.batch(1_000);
    store.commit(&second).expect("commit");
    for (id, bytes) in first.full_tiles.iter().chain(&second.full_tiles) {
        let stored = store.tile(id.level(), id.index()).expect("tile");
        assert_eq!(stored.as_ref(), Some(bytes), "{id}");
    }
    assert!(store.tile(1, 0).expect("tile").is_some(), "level 1 is full at 65,536");
    assert_eq!(store.tile(0, 257).expect("tile"), None, "partial tiles are not stored");
    for (level, index) in [(2, 0), (7, 1), (8, 0), (255, 0), (0, u64::MAX), (63, u64::MAX)] {
        assert_eq!(store.tile(level, index).expect("tile"), None, "{level}/{index}");
    }
}

fn a_batch_on_another_head_is_a_conflict(store: &dyn Store) {
    let mut writer = Writer::default();
    let genesis = writer.genesis();
    let first = writer.batch(2);
    let conflict = |result| assert!(matches!(result, Err(CommitError::Conflict)), "{result:?}");
    conflict(store.commit(&first));
    assert_eq!(store.head().expect("head"), None, "nothing written");
    store.commit(&genesis).expect("genesis");
    conflict(store.commit(&genesis));
    store.commit(&first).expect("first");
    conflict(store.commit(&first));
    conflict(store.commit(&genesis));
    conflict(store.commit(&writer.leaves(vec![leaf(2)]).on(first.head.with_other_root())));
    assert_eq!(store.head().expect("head"), Some(first.head));
    assert_eq!(store.last_leaf().expect("last"), Some(at(1)));
    assert_eq!(store.find(&leaf(2).hash()).expect("find"), None);
}

fn a_batch_that_breaks_a_rule_writes_nothing(store: &dyn Store) {
    let mut writer = started(store);
    let first = writer.batch(256);
    store.commit(&first).expect("commit");
    let good = writer.batch(256);
    type Rule = (&'static str, fn(&mut Batch));
    let rules: Vec<Rule> = vec![
        ("version", |b| b.head.version = 2),
        ("batch number", |b| b.head.batch += 1),
        ("log", |b| b.head.log_id = Hash::from_bytes([0; 32])),
        ("state", |b| b.head.state_id = [0; 16]),
        ("size", |b| b.head.tree.size = TreeSize::new(511)),
        ("first index of the batch", |b| b.first_index = at(255)),
        ("gap", |b| shift(b, 1)),
        ("second genesis", |b| b.head.flags.genesis = true),
        ("after the end", |b| set_previous(b, |h| h.flags.frozen = true)),
        ("time", |b| set_previous(b, |h| h.time_ms = 9)),
        ("lost hash", |b| b.leaf_hashes.truncate(255)),
        ("partial tile", |b| b.full_tiles[0].0 = TileId::new(0, 1, 9).expect("id")),
        ("old tile", |b| b.full_tiles[0].0 = TileId::full(0, 0)),
        ("later tile", |b| b.full_tiles[0].0 = TileId::full(0, 2)),
        ("short tile", |b| b.full_tiles[0].1.truncate(8_191)),
        ("tile of other leaves", |b| b.full_tiles[0].1[32] ^= 1),
        ("old identity", |b| b.identities[0].1 = at(255)),
        ("later identity", |b| b.identities[0].1 = at(512)),
        ("root without leaves", without_leaves),
    ];
    for (rule, break_it) in rules {
        let mut bad = good.clone();
        break_it(&mut bad);
        let result = store.commit(&bad);
        assert!(matches!(result, Err(CommitError::Refused(_))), "{rule}: {result:?}");
    }
    assert_eq!(store.head().expect("head"), Some(first.head));
    assert_eq!(store.last_leaf().expect("last"), Some(at(255)));
    assert_eq!(store.find(&leaf(256).hash()).expect("find"), None);
    assert_eq!(store.tile(0, 1).expect("tile"), None);
    store.commit(&good).expect("the same batch with no rule broken");
}

fn shift(batch: &mut Batch, by: u64) {
    batch.first_index = at(batch.first_index.get() + by);
    batch.head.first_index = batch.first_index;
    batch.head.tree.size = TreeSize::new(batch.head.tree.size.get() + by);
}

fn set_previous(batch: &mut Batch, change: impl Fn(&mut Head)) {
    change(batch.previous.as_mut().expect("not the genesis"));
}

fn without_leaves(batch: &mut Batch) {
    batch.leaves.clear();
    batch.leaf_hashes.clear();
    batch.identities.clear();
    batch.full_tiles.clear();
    batch.head.tree.size = TreeSize::new(batch.first_index.get());
}

fn a_leaf_that_changed_after_it_was_hashed_is_refused(store: &dyn Store) {
    let mut writer = started(store);
    let good = writer.batch(5);
    for i in 0..5 {
        let mut bad = good.clone();
        let mut bytes = bad.leaves[i].leaf.as_bytes().to_vec();
        bytes[0] ^= 0x10;
        bad.leaves[i].leaf = Leaf::new(bytes).expect("short");
        let result = store.commit(&bad);
        assert!(matches!(result, Err(CommitError::Refused(_))), "leaf {i}: {result:?}");
        assert_eq!(store.last_leaf().expect("last"), None);
    }
    store.commit(&good).expect("the batch as it was hashed");
}

fn the_longest_and_the_empty_leaf_fit(store: &dyn Store) {
    let mut writer = started(store);
    let leaves: Vec<Leaf> = [vec![], vec![0xff; 65_535], vec![], vec![0]]
        .into_iter()
        .map(|bytes| Leaf::new(bytes).expect("within the limit"))
        .collect();
    let mut batch = writer.leaves(leaves.clone());
    batch.identities.clear();
    store.commit(&batch).expect("commit");
    assert_eq!(store.leaves(at(0), 4).expect("leaves"), leaves);
    assert_eq!(store.leaves(at(1), 2).expect("leaves"), leaves[1..3]);
}

fn the_note_is_replaced_and_belongs_to_no_batch(store: &dyn Store) {
    let mut writer = started(store);
    store.put_note(b"first").expect("put");
    store.commit(&writer.batch(1)).expect("commit");
    assert_eq!(store.note().expect("note").as_deref(), Some(b"first".as_slice()));
    store.put_note(&vec![b'n'; 100_000]).expect("put");
    store.put_note(b"third").expect("put");
    assert_eq!(store.note().expect("note").as_deref(), Some(b"third".as_slice()));
    assert_eq!(store.head().expect("head").expect("some").tree.size.get(), 1);
}

fn scans_page_through_everything_in_order(store: &dyn Store) {
    let mut writer = started(store);
    let batches = [writer.batch(600), writer.batch(700)];
    for batch in &batches {
        store.commit(batch).expect("commit");
    }
    let heads = store.heads_after(None, 9).expect("heads");
    assert!(heads[0].flags.genesis);
    assert_eq!(heads[1..], [batches[0].head, batches[1].head]);
    assert_eq!(store.heads_after(None, 2).expect("heads"), heads[..2]);
    assert_eq!(store.heads_after(Some(0), 1).expect("heads"), heads[1..2]);
    assert!(store.heads_after(Some(2), 9).expect("heads").is_empty());
    assert!(store.heads_after(Some(u64::MAX), 9).expect("heads").is_empty());

    let mut wanted: Vec<(TileKey, Vec<u8>)> = batches
        .iter()
        .flat_map(|batch| &batch.full_tiles)
        .map(|(id, bytes)| (TileKey::of(id).expect("full"), bytes.clone()))
        .collect();
    wanted.sort();
    assert_eq!(store.tiles_after(None, 1000).expect("tiles"), wanted);
    assert_eq!(store.tiles_after(None, 2).expect("tiles"), wanted[..2]);
    assert_eq!(store.tiles_after(Some(wanted[1].0), 2).expect("tiles"), wanted[2..4]);
    assert!(store.tiles_after(Some(wanted[4].0), 2).expect("tiles").is_empty());

    let mut wanted: Vec<(Hash, LeafIndex)> =
        batches.iter().flat_map(|batch| batch.identities.clone()).collect();
    wanted.sort();
    let mut seen: Vec<(Hash, LeafIndex)> = Vec::new();
    loop {
        let page = store.identities_after(seen.last().map(|row| row.0), 77).expect("identities");
        if page.is_empty() {
            break;
        }
        seen.extend(page);
    }
    assert_eq!(seen, wanted);
    let last = Hash::from_bytes([0xff; 32]);
    assert!(store.identities_after(Some(last), 9).expect("identities").is_empty());
}

fn of_concurrent_batches_on_one_head_one_wins(store: &dyn Store) {
    started(store);
    let results: Vec<Result<(), CommitError>> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|i| {
                let mut writer = Writer::default();
                writer.genesis();
                let text = format!("writer {i}").into_bytes();
                let batch = writer.leaves(vec![Leaf::new(text).expect("short")]);
                scope.spawn(move || store.commit(&batch))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let winners: Vec<usize> = (0..8).filter(|i| results[*i].is_ok()).collect();
    assert_eq!(winners.len(), 1, "{results:?}");
    assert!(results.iter().all(|r| matches!(r, Ok(()) | Err(CommitError::Conflict))));
    let text = format!("writer {}", winners[0]).into_bytes();
    assert_eq!(store.leaves(at(0), 1).expect("leaf"), [Leaf::new(text).expect("short")]);
    assert_eq!(store.last_leaf().expect("last"), Some(at(0)));
}

impl Batch {
    fn on(mut self, previous: Head) -> Self {
        self.previous = Some(previous);
        self
    }
}

impl Head {
    fn with_other_root(mut self) -> Self {
        self.tree.root_hash = sha256(b"another root");
        self
    }
}

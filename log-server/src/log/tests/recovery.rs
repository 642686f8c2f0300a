//! Recovery against stores that are not what they should be. It takes no signer, so whatever it
//! refuses was refused before anything could be signed.

use log_core::TileId;
use log_core::integrate::integrate;

use super::super::commit::commit;
use super::*;
use crate::store::{Batch, SearchKey, StoredLeaf, TileKey};

/// A store in which one row reads otherwise than it was written.
struct Wrong {
    rows: Arc<MemoryStore>,
    head: Option<Head>,
    leaf: Option<(u64, Leaf)>,
    tile: Option<(u8, u64, Option<Vec<u8>>)>,
}

impl Wrong {
    fn nothing(disk: &Disk) -> Self {
        Self { rows: Arc::clone(&disk.rows), head: None, leaf: None, tile: None }
    }

    fn recover(&self, disk: &Disk) -> Result<Head, Shut> {
        recover(self, &disk.identity(), &disk.anchor().newest()).map(|recovered| recovered.head)
    }
}

impl Store for Wrong {
    fn head(&self) -> Result<Option<Head>, StoreError> {
        Ok(Some(self.head.map_or_else(|| self.rows.head(), |head| Ok(Some(head)))?.unwrap()))
    }

    fn stored_leaves(&self, first: LeafIndex, count: usize) -> Result<Vec<StoredLeaf>, StoreError> {
        let mut leaves = self.rows.stored_leaves(first, count)?;
        if let Some((index, wrong)) = &self.leaf {
            let at = index.checked_sub(first.get()).and_then(|at| usize::try_from(at).ok());
            if let Some(leaf) = at.and_then(|at| leaves.get_mut(at)) {
                *leaf = wrong.clone().into();
            }
        }
        Ok(leaves)
    }

    fn tile(&self, level: u8, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        match &self.tile {
            Some((l, i, bytes)) if (*l, *i) == (level, index) => Ok(bytes.clone()),
            _ => self.rows.tile(level, index),
        }
    }

    fn commit(&self, _: &Batch) -> Result<(), CommitError> {
        unreachable!("recovery writes nothing")
    }

    fn find(&self, identity: &Hash) -> Result<Option<LeafIndex>, StoreError> {
        self.rows.find(identity)
    }

    fn note(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.rows.note()
    }

    fn put_note(&self, _: &[u8]) -> Result<(), StoreError> {
        unreachable!("recovery writes nothing")
    }

    fn last_leaf(&self) -> Result<Option<LeafIndex>, StoreError> {
        self.rows.last_leaf()
    }

    fn heads_after(&self, after: Option<u64>, limit: usize) -> Result<Vec<Head>, StoreError> {
        self.rows.heads_after(after, limit)
    }

    fn tiles_after(
        &self,
        after: Option<TileKey>,
        limit: usize,
    ) -> Result<Vec<(TileKey, Vec<u8>)>, StoreError> {
        self.rows.tiles_after(after, limit)
    }

    fn identities_after(
        &self,
        after: Option<Hash>,
        limit: usize,
    ) -> Result<Vec<(Hash, LeafIndex)>, StoreError> {
        self.rows.identities_after(after, limit)
    }

    fn search(
        &self,
        key: &SearchKey,
        from: LeafIndex,
        limit: usize,
    ) -> Result<Vec<LeafIndex>, StoreError> {
        self.rows.search(key, from, limit)
    }

    fn search_keys_after(
        &self,
        after: Option<(SearchKey, LeafIndex)>,
        limit: usize,
    ) -> Result<Vec<(SearchKey, LeafIndex)>, StoreError> {
        self.rows.search_keys_after(after, limit)
    }
}

/// A log that grew to each of these sizes in one commit.
fn grown(sizes: &[u64]) -> Disk {
    let disk = Disk::new();
    for size in sizes {
        let found = recover(disk.rows.as_ref(), &disk.identity(), &disk.anchor().newest()).unwrap();
        let leaves = (found.head.tree.size.get()..*size).map(|index| leaf(&format!("{index}")));
        let waiting: Vec<Waiting> = leaves
            .map(|leaf| {
                let identity = leaf.hash();
                Waiting::new(leaf.into(), identity).0
            })
            .collect();
        let hashes: Vec<Hash> = waiting.iter().map(|one| one.identity).collect();
        let (new, integrated): (Vec<_>, _) =
            (waiting.iter().collect(), integrate(&found.edge, &hashes));
        let grown = commit(disk.rows.as_ref(), &found.head, &new, integrated, untimed()).unwrap();
        disk.anchor().write(&grown.head).unwrap();
    }
    disk
}

/// Two full tiles of level 1 and a bit: every kind of part that a right edge has.
const LARGE: u64 = 2 * 65_536 + 2 * 256 + 5;

#[test]
fn a_sound_log_of_any_size_opens_with_any_older_anchor() {
    let sizes = [1, 2, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537];
    let disk = grown(&sizes);
    disk.assert_sound();
    let heads = disk.rows.heads_after(None, 99).unwrap();
    assert_eq!(heads.len(), sizes.len() + 1);
    for (at, head) in heads.iter().enumerate() {
        let store = Wrong { head: Some(*head), ..Wrong::nothing(&disk) };
        for anchor in &heads[..=at] {
            let found = recover(&store, &disk.identity(), anchor).unwrap();
            assert_eq!((found.head, found.edge.head()), (*head, head.tree));
        }
        for newer in &heads[at + 1..] {
            let shut = recover(&store, &disk.identity(), newer).err();
            assert!(matches!(shut, Some(Shut::BehindAnchor { .. })), "{shut:?}");
        }
    }
}

#[test]
fn the_store_of_another_log_stays_shut() {
    let disk = grown(&[3]);
    let anchor = disk.anchor().newest();
    let mut other_key = disk.identity();
    other_key.log_id = Hash::from_bytes([1; 32]);
    let shut = recover(disk.rows.as_ref(), &other_key, &anchor).err();
    assert!(matches!(shut, Some(Shut::ForeignKey(..))), "{shut:?}");
    let mut other_state = disk.identity();
    other_state.state_id[15] ^= 1;
    let shut = recover(disk.rows.as_ref(), &other_state, &anchor).err();
    assert!(matches!(shut, Some(Shut::ForeignState)), "{shut:?}");
}

#[test]
fn a_store_without_a_head_is_not_a_log() {
    let (disk, empty) = (grown(&[3]), MemoryStore::new());
    let shut = recover(&empty, &disk.identity(), &disk.anchor().newest()).err();
    assert!(matches!(shut, Some(Shut::Empty)), "{shut:?}");
}

#[test]
fn an_anchor_of_another_history_or_of_another_log_keeps_the_log_shut() {
    let disk = grown(&[3, 300]);
    let newest = disk.anchor().newest();
    let other_root = |head: Head| {
        let tree = TreeHead { root_hash: Hash::from_bytes([1; 32]), ..head.tree };
        Head { tree, ..head }
    };
    for older in disk.rows.heads_after(Some(0), 9).unwrap() {
        let shut = recover(disk.rows.as_ref(), &disk.identity(), &other_root(older)).err();
        assert!(matches!(shut, Some(Shut::OtherHistory(at)) if at == older.tree.size), "{shut:?}");
    }
    // Even an anchor of size 0, which any history would extend.
    let genesis = disk.rows.heads_after(None, 1).unwrap()[0];
    for anchor in [newest, genesis] {
        let log_id = Hash::from_bytes([1; 32]);
        for foreign in [Head { log_id, ..anchor }, Head { state_id: [1; 16], ..anchor }] {
            let shut = recover(disk.rows.as_ref(), &disk.identity(), &foreign).err();
            assert!(matches!(shut, Some(Shut::ForeignAnchor)), "{shut:?}");
        }
    }
}

#[test]
fn a_head_that_is_not_that_of_the_rows_keeps_the_log_shut() {
    let disk = grown(&[300, LARGE]);
    let (head, genesis) = (disk.head(), disk.rows.heads_after(None, 1).unwrap()[0]);
    let wrong_head = |size: u64, root_hash: Hash| {
        let tree = TreeHead { size: TreeSize::new(size), root_hash };
        let store = Wrong { head: Some(Head { tree, ..head }), ..Wrong::nothing(&disk) };
        // Nothing in the anchor's way: the rows alone must not fit.
        recover(&store, &disk.identity(), &genesis).err().unwrap()
    };
    let root = head.tree.root_hash;
    let flipped = wrong_head(LARGE, Hash::from_bytes([1; 32]));
    assert!(matches!(flipped, Shut::Broken(_)), "{flipped:?}");
    for smaller in [0, 1, LARGE - 1, LARGE - 5, LARGE - 6] {
        let shut = wrong_head(smaller, root);
        assert!(matches!(shut, Shut::Broken(_)), "{smaller}: {shut:?}");
    }
    for larger in [LARGE + 1, LARGE + 251, 1 << 40, (1 << 63) - 1] {
        let shut = wrong_head(larger, root);
        assert!(matches!(shut, Shut::Broken(_) | Shut::Store(_)), "{larger}: {shut:?}");
    }
}

#[test]
fn one_flipped_bit_in_what_carries_the_head_keeps_the_log_shut() {
    let disk = grown(&[LARGE]);
    let newest_tile = LARGE / 256 - 1;
    // The newest leaves, and all of the newest full tile.
    for index in (newest_tile * 256)..LARGE {
        let mut bytes = disk.rows.leaves(LeafIndex::new(index), 1).unwrap()[0].as_bytes().to_vec();
        bytes[0] ^= 1;
        let flipped = Some((index, Leaf::new(bytes).unwrap()));
        let shut = Wrong { leaf: flipped, ..Wrong::nothing(&disk) }.recover(&disk).err();
        assert!(matches!(shut, Some(Shut::Broken(_))), "leaf {index}: {shut:?}");
    }
    // The newest full tile of each level, and the tiles whose roots stand above them.
    for (level, index) in [(0, newest_tile), (0, newest_tile - 1), (1, 1), (1, 0)] {
        let id = TileId::full(level, index);
        let good = disk.rows.tile(level, index).unwrap().unwrap();
        let wrong_tile = |bytes: Option<Vec<u8>>| {
            let tile = Some((level, index, bytes));
            Wrong { tile, ..Wrong::nothing(&disk) }.recover(&disk).err()
        };
        for at in (0..good.len()).step_by(97) {
            let mut bytes = good.clone();
            bytes[at] ^= 1;
            let shut = wrong_tile(Some(bytes));
            assert!(matches!(shut, Some(Shut::Broken(_))), "{id} byte {at}: {shut:?}");
        }
        for wrong in [None, Some(Vec::new()), Some(good[32..].to_vec()), Some(good[1..].to_vec())] {
            let length = wrong.as_ref().map(Vec::len);
            let shut = wrong_tile(wrong);
            assert!(matches!(shut, Some(Shut::Broken(_))), "{id} of {length:?}: {shut:?}");
        }
    }
    assert_eq!(Wrong::nothing(&disk).recover(&disk).unwrap(), disk.head());
}

//! Reads a finished batch back before it is written: what RocksDB was given is what was meant.

use log_core::LeafIndex;
use rocksdb::{DB, WriteBatch, WriteBatchIteratorCf};

use super::rows::{search_row_key, tile_row_key};
use super::settings::Family;
use crate::store::{Batch, SearchKey, TileKey, leaf_row};

/// The numbers by which batches name families.
pub(super) struct FamilyIds([u32; Family::ALL.len()]);

impl FamilyIds {
    pub(super) fn of(db: &DB) -> Self {
        Self(Family::ALL.map(|family| family_id(db, family)))
    }

    fn family(&self, id: u32) -> Option<Family> {
        Family::ALL.into_iter().zip(self.0).find_map(|(family, its)| (its == id).then_some(family))
    }
}

/// Compares every row of a finished batch with what `batch` says, and hashes the leaves once more
/// from the very bytes that RocksDB is about to write.
///
/// # Errors
/// The first difference.
pub(super) fn check_finished(
    batch: &Batch,
    ids: &FamilyIds,
    rows: &WriteBatch,
) -> Result<(), String> {
    let search_rows = batch.search_rows();
    let mut finished = Finished { batch, ids, search_rows, seen: Seen::default(), fault: None };
    rows.iterate_cf(&mut finished);
    let wanted = Seen {
        leaves: batch.leaves.len(),
        tiles: batch.full_tiles.len(),
        identities: batch.identities.len(),
        search_rows: finished.search_rows.len(),
        heads: 1,
    };
    match finished.fault {
        Some(fault) => Err(fault),
        None if finished.seen != wanted => {
            Err(format!("the finished batch has {:?} rows, not {wanted:?}", finished.seen))
        }
        None => Ok(()),
    }
}

struct Finished<'a> {
    batch: &'a Batch,
    ids: &'a FamilyIds,
    search_rows: Vec<(SearchKey, LeafIndex)>,
    seen: Seen,
    fault: Option<String>,
}

/// Rows seen so far.
#[derive(Debug, Default, PartialEq, Eq)]
struct Seen {
    leaves: usize,
    tiles: usize,
    identities: usize,
    search_rows: usize,
    heads: usize,
}

impl Finished<'_> {
    fn check(&mut self, id: u32, key: &[u8], value: &[u8]) -> Result<(), String> {
        let family = self.ids.family(id);
        let same = match family {
            Some(Family::Leaves) => return self.check_leaf(key, value),
            Some(Family::Tiles) => {
                let tile = self.batch.full_tiles.get(next(&mut self.seen.tiles));
                tile.is_some_and(|(id, bytes)| {
                    TileKey::of(id).is_some_and(|id| tile_row_key(id) == key) && bytes == value
                })
            }
            Some(Family::Identity) => {
                let row = self.batch.identities.get(next(&mut self.seen.identities));
                row.is_some_and(|(identity, index)| {
                    identity.as_bytes() == key && index.get().to_be_bytes() == value
                })
            }
            Some(Family::Keys) => {
                let row = self.search_rows.get(next(&mut self.seen.search_rows));
                let same = |(word, index): &(_, _)| search_row_key(word, *index) == key;
                value.is_empty() && row.is_some_and(same)
            }
            Some(Family::Heads) => {
                let head = self.batch.head;
                let first = next(&mut self.seen.heads) == 0;
                first && head.batch.to_be_bytes() == key && head.encode() == value
            }
            Some(Family::Default) | None => false,
        };
        let name = family.map_or("no family", Family::name);
        if same { Ok(()) } else { Err(format!("the finished batch has a wrong row for {name}")) }
    }

    fn check_leaf(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let position = next(&mut self.seen.leaves);
        let index = self.batch.first_index.get() + position as u64;
        let wrong = || format!("the finished batch has a wrong row for leaf {index}");
        let stored = self.batch.leaves.get(position).ok_or_else(wrong)?;
        let (metadata, body) = leaf_row::split(value)?;
        if key != index.to_be_bytes() || metadata != stored.metadata {
            return Err(wrong());
        }
        self.batch.check_leaf(position, body)
    }
}

impl WriteBatchIteratorCf for Finished<'_> {
    fn put_cf(&mut self, id: u32, key: &[u8], value: &[u8]) {
        if self.fault.is_none() {
            self.fault = self.check(id, key, value).err();
        }
    }

    fn delete_cf(&mut self, _: u32, _: &[u8]) {
        self.fault = Some("the finished batch deletes a row".into());
    }

    fn merge_cf(&mut self, _: u32, _: &[u8], _: &[u8]) {
        self.fault = Some("the finished batch merges a row".into());
    }
}

/// Counts a row and says how many there were before it.
fn next(seen: &mut usize) -> usize {
    let position = *seen;
    *seen += 1;
    position
}

/// The binding tells the number of a family only inside a batch.
fn family_id(db: &DB, family: Family) -> u32 {
    struct Id(Option<u32>);
    impl WriteBatchIteratorCf for Id {
        fn put_cf(&mut self, family: u32, _: &[u8], _: &[u8]) {
            self.0 = Some(family);
        }
        fn delete_cf(&mut self, _: u32, _: &[u8]) {}
        fn merge_cf(&mut self, _: u32, _: &[u8], _: &[u8]) {}
    }
    let cf = db.cf_handle(family.name()).expect("invariant: all families were opened");
    let mut probe = WriteBatch::default();
    probe.put_cf(cf, [], []);
    let mut id = Id(None);
    probe.iterate_cf(&mut id);
    id.0.expect("invariant: the probe has one row")
}

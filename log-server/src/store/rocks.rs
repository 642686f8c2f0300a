//! The durable store: one RocksDB directory a log. RocksDB is named only here and in `rocks/`.
//!
//! FORMAT.md has every key and value, and what a crash at each step leaves. `rocks/settings.rs`
//! holds what RocksDB is told; `rocks/open.rs` makes and opens a store, `rocks/copy.rs` a damaged
//! one at its last good point; `rocks/search.rs` is the search index.

mod copy;
mod finished;
mod open;
mod rows;
mod search;
mod settings;
#[cfg(test)]
mod tests;
mod wal;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use log_core::{Hash, LeafIndex};
use rocksdb::{ColumnFamily, DB, DBRawIterator, ErrorKind, ReadOptions, WriteBatch, WriteOptions};

use super::{Batch, CommitError, Head, SearchKey, Store, StoreError, StoredLeaf, TileKey};
use finished::{FamilyIds, check_finished};
use rows::{corrupt, read_head, read_index, read_leaf, read_search_row, read_tile_key};
use rows::{search_row_key, start, tile_row_key};
use settings::Family;

pub use settings::RocksShared;

/// A [`Store`] on disk. Only one can be open on a directory at a time.
pub struct RocksStore {
    db: DB,
    path: PathBuf,
    family_ids: FamilyIds,
    /// Held from the comparison of the head to the end of the write.
    writer: Mutex<Writer>,
}

/// Whether a write of this process may have happened in part; nothing is written after it.
struct Writer {
    outcome_unknown: bool,
}

impl RocksStore {
    fn with(db: DB, path: &Path) -> Self {
        let writer = Mutex::new(Writer { outcome_unknown: false });
        let family_ids = FamilyIds::of(&db);
        Self { db, path: path.to_owned(), family_ids, writer }
    }

    /// Bytes of all files of the store, without RocksDB's own text logs.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn disk_bytes(&self) -> io::Result<u64> {
        let mut bytes = 0;
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if !entry.file_name().as_encoded_bytes().starts_with(b"LOG") {
                bytes += entry.metadata()?.len();
            }
        }
        Ok(bytes)
    }

    /// Writes everything out of memory and compacts it: what remains is what the log needs for
    /// ever. For measurements; a running log never needs it.
    ///
    /// # Errors
    /// [`StoreError::Failed`].
    pub fn compact(&self) -> Result<(), StoreError> {
        for family in Family::ALL {
            let cf = self.family(family);
            self.db.flush_cf(cf).map_err(failed)?;
            self.db.compact_range_cf(cf, None::<&[u8]>, None::<&[u8]>);
        }
        Ok(())
    }

    fn family(&self, family: Family) -> &ColumnFamily {
        self.db.cf_handle(family.name()).expect("invariant: all families were opened")
    }

    /// All rows of a batch, in the order of FORMAT.md.
    fn rows(&self, batch: &Batch) -> WriteBatch {
        let mut rows = WriteBatch::default();
        let leaves = self.family(Family::Leaves);
        let mut value = Vec::new();
        for (index, leaf) in (batch.first_index.get()..).zip(&batch.leaves) {
            value.clear();
            leaf.encode_to(&mut value);
            rows.put_cf(leaves, index.to_be_bytes(), &value);
        }
        let tiles = self.family(Family::Tiles);
        for (id, bytes) in &batch.full_tiles {
            let key = TileKey::of(id).expect("invariant: check() saw only full tiles");
            rows.put_cf(tiles, tile_row_key(key), bytes);
        }
        let identities = self.family(Family::Identity);
        for (identity, index) in &batch.identities {
            rows.put_cf(identities, identity.as_bytes(), index.get().to_be_bytes());
        }
        let keys = self.family(Family::Keys);
        for (key, index) in batch.search_rows() {
            rows.put_cf(keys, search_row_key(&key, index), []);
        }
        let heads = self.family(Family::Heads);
        rows.put_cf(heads, batch.head.batch.to_be_bytes(), batch.head.encode());
        rows
    }

    fn writer(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().expect("invariant: nobody panics while holding the writer")
    }

    /// Calls `row` with up to `limit` rows of a family from `start` on, until it fails.
    fn scan(
        &self,
        family: Family,
        start: &[u8],
        limit: usize,
        mut row: impl FnMut(&[u8], &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut options = ReadOptions::default();
        options.fill_cache(false);
        options.set_total_order_seek(true);
        let mut rows = self.db.raw_iterator_cf_opt(self.family(family), options);
        rows.seek(start);
        for _ in 0..limit {
            let Some((key, value)) = rows.item() else { break };
            row(key, value)?;
            rows.next();
        }
        rows.status().map_err(failed)
    }

    /// The last row of a family.
    fn last(&self, family: Family) -> Result<DBRawIterator<'_>, StoreError> {
        let mut rows = self.db.raw_iterator_cf(self.family(family));
        rows.seek_to_last();
        rows.status().map_err(failed)?;
        Ok(rows)
    }
}

impl Store for RocksStore {
    fn head(&self) -> Result<Option<Head>, StoreError> {
        let row = self.last(Family::Heads)?;
        row.item().map(|(key, value)| read_head(key, value)).transpose()
    }

    fn commit(&self, batch: &Batch) -> Result<(), CommitError> {
        batch.check()?;
        let rows = self.rows(batch);
        check_finished(batch, &self.family_ids, &rows).map_err(CommitError::Refused)?;
        let unknown = |error: String| CommitError::OutcomeUnknown(error);
        let mut writer = self.writer();
        if writer.outcome_unknown {
            return Err(unknown("an earlier write failed; the process has to end".into()));
        }
        if self.head().map_err(|error| unknown(error.to_string()))? != batch.previous {
            return Err(CommitError::Conflict);
        }
        // The point of no return. The whole batch is one record of the write-ahead log: after a
        // crash either all of it is there or nothing. From the return on it is history.
        let written = self.db.write_opt(rows, &synced());
        writer.outcome_unknown = written.is_err();
        written.map_err(|error| unknown(error.to_string()))
    }

    fn stored_leaves(&self, first: LeafIndex, count: usize) -> Result<Vec<StoredLeaf>, StoreError> {
        let mut leaves = Vec::new();
        if count == 0 {
            return Ok(leaves);
        }
        let mut rows = self.db.raw_iterator_cf(self.family(Family::Leaves));
        rows.seek(first.get().to_be_bytes());
        let mut wanted = Some(first.get());
        while leaves.len() < count {
            let Some((key, value)) = rows.item() else { break };
            if wanted.map(u64::to_be_bytes).as_ref().map(<[u8; 8]>::as_slice) != Some(key) {
                break;
            }
            leaves.push(read_leaf(key, value)?);
            wanted = wanted.and_then(|index| index.checked_add(1));
            rows.next();
        }
        rows.status().map_err(failed)?;
        if leaves.len() < count {
            let index = u128::from(first.get()) + leaves.len() as u128;
            return Err(StoreError::Missing(format!("leaf {index}")));
        }
        Ok(leaves)
    }

    fn tile(&self, level: u8, index: u64) -> Result<Option<Vec<u8>>, StoreError> {
        let Some(key) = TileKey::at(level, index) else { return Ok(None) };
        self.db.get_cf(self.family(Family::Tiles), tile_row_key(key)).map_err(failed)
    }

    fn find(&self, identity: &Hash) -> Result<Option<LeafIndex>, StoreError> {
        let row = self.db.get_pinned_cf(self.family(Family::Identity), identity.as_bytes());
        row.map_err(failed)?.map(|value| read_index(&value)).transpose()
    }

    fn search(
        &self,
        key: &SearchKey,
        from: LeafIndex,
        limit: usize,
    ) -> Result<Vec<LeafIndex>, StoreError> {
        self.search_rows(key, from, limit)
    }

    fn note(&self) -> Result<Option<Vec<u8>>, StoreError> {
        self.db.get(NOTE_KEY).map_err(failed)
    }

    fn put_note(&self, note: &[u8]) -> Result<(), StoreError> {
        self.db.put_opt(NOTE_KEY, note, &synced()).map_err(failed)
    }

    fn last_leaf(&self) -> Result<Option<LeafIndex>, StoreError> {
        self.last(Family::Leaves)?.key().map(read_index).transpose()
    }

    fn heads_after(&self, after: Option<u64>, limit: usize) -> Result<Vec<Head>, StoreError> {
        let mut heads = Vec::new();
        self.scan(Family::Heads, &start(after.map(u64::to_be_bytes)), limit, |key, value| {
            heads.push(read_head(key, value)?);
            Ok(())
        })?;
        Ok(heads)
    }

    fn tiles_after(
        &self,
        after: Option<TileKey>,
        limit: usize,
    ) -> Result<Vec<(TileKey, Vec<u8>)>, StoreError> {
        let mut tiles = Vec::new();
        self.scan(Family::Tiles, &start(after.map(tile_row_key)), limit, |key, value| {
            tiles.push((read_tile_key(key)?, value.to_vec()));
            Ok(())
        })?;
        Ok(tiles)
    }

    fn identities_after(
        &self,
        after: Option<Hash>,
        limit: usize,
    ) -> Result<Vec<(Hash, LeafIndex)>, StoreError> {
        let mut identities = Vec::new();
        let from = start(after.as_ref().map(Hash::as_bytes));
        self.scan(Family::Identity, &from, limit, |key, value| {
            let identity = Hash::from_slice(key).ok_or_else(|| corrupt("identity", key))?;
            identities.push((identity, read_index(value)?));
            Ok(())
        })?;
        Ok(identities)
    }

    fn search_keys_after(
        &self,
        after: Option<(SearchKey, LeafIndex)>,
        limit: usize,
    ) -> Result<Vec<(SearchKey, LeafIndex)>, StoreError> {
        let mut found = Vec::new();
        let from = start(after.map(|(key, index)| search_row_key(&key, index)));
        self.scan(Family::Keys, &from, limit, |key, value| {
            found.push(read_search_row(key, value)?);
            Ok(())
        })?;
        Ok(found)
    }
}

fn synced() -> WriteOptions {
    let mut options = WriteOptions::default();
    options.set_sync(true);
    options
}

fn sync_directory(path: Option<&Path>) -> io::Result<()> {
    let path = path.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(path)?.sync_all()
}

fn failed(error: rocksdb::Error) -> StoreError {
    match error.kind() {
        ErrorKind::Corruption => StoreError::Corrupt(error.to_string()),
        _ => StoreError::Failed(error.to_string()),
    }
}

/// Rows of the family `default`.
const FORMAT_KEY: &[u8] = b"format";
const NOTE_KEY: &[u8] = b"note";
/// What the row `format` says; FORMAT.md describes it.
const FORMAT_NAME: &str = "cairn store 2";

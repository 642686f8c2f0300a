//! The durable store: one RocksDB directory a log. RocksDB is named only here and in `rocks/`.
//!
//! FORMAT.md has every key and value, and what a crash at each step leaves. `rocks/settings.rs`
//! holds what RocksDB is told; `rocks/copy.rs` opens a damaged store at its last good point.

mod copy;
mod settings;
#[cfg(test)]
mod tests;
mod wal;

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use log_core::{Hash, Leaf, LeafIndex};
use rocksdb::{ColumnFamily, DB, DBRawIterator, ErrorKind, Options, ReadOptions, WriteBatch};
use rocksdb::{WriteBatchIteratorCf, WriteOptions};

use super::{Batch, CommitError, Head, OpenError, Store, StoreError, TileKey};
use settings::{Family, Recovery};

pub use settings::RocksShared;

/// A [`Store`] on disk. Only one can be open on a directory at a time.
pub struct RocksStore {
    db: DB,
    path: PathBuf,
    leaves_id: u32,
    /// Held from the comparison of the head to the end of the write.
    writer: Mutex<Writer>,
}

/// Whether a write of this process may have happened in part; nothing is written after it.
struct Writer {
    outcome_unknown: bool,
}

impl RocksStore {
    /// Makes an empty store in a directory that must not exist yet. It is on the disk on return.
    ///
    /// # Errors
    /// [`OpenError::Exists`], or [`OpenError::Other`] when the directory cannot be written.
    pub fn create(path: &Path, shared: &RocksShared) -> Result<Self, OpenError> {
        if path.exists() {
            return Err(OpenError::Exists(path.display().to_string()));
        }
        let other = |error: io::Error| OpenError::Other(format!("{}: {error}", path.display()));
        fs::create_dir(path).map_err(other)?;
        let mut options = settings::database(shared, Recovery::TolerateTornTail)?;
        options.create_if_missing(true);
        options.create_missing_column_families(true);
        options.set_error_if_exists(true);
        let store = Self::with(open_db(path, &options, shared)?, path);
        store
            .db
            .put_opt(FORMAT_KEY, FORMAT_NAME, &synced())
            .and_then(|()| store.db.flush())
            .map_err(|error| OpenError::Other(error.to_string()))?;
        sync_directory(path.parent()).map_err(other)?;
        Ok(store)
    }

    /// Opens a store that [`RocksStore::create`] made; makes nothing.
    ///
    /// # Errors
    /// [`OpenError`] by what has to be done about it. [`OpenError::TornTail`] leaves the directory
    /// as it is; [`RocksStore::open_copy_at_last_good_point`] shows what is left.
    pub fn open(path: &Path, shared: &RocksShared) -> Result<Self, OpenError> {
        Self::open_with(path, shared, Recovery::TolerateTornTail)
    }

    fn open_with(path: &Path, shared: &RocksShared, how: Recovery) -> Result<Self, OpenError> {
        if !path.join("CURRENT").exists() {
            return Err(OpenError::Missing(path.display().to_string()));
        }
        let options = settings::database(shared, how)?;
        let aliens =
            wal::alien_records(path).map_err(|error| OpenError::Other(error.to_string()))?;
        if let Some(wal::AlienRecord { file, offset }) = aliens.first() {
            let reason = format!("alien record at {offset} of {}", file.display());
            return Err(OpenError::TornTail(reason));
        }
        let store = Self::with(open_db(path, &options, shared)?, path);
        let format =
            store.db.get(FORMAT_KEY).map_err(|error| OpenError::Other(error.to_string()))?;
        match format {
            Some(format) if format == FORMAT_NAME.as_bytes() => Ok(store),
            Some(format) => Err(OpenError::WrongVersion {
                found: String::from_utf8_lossy(&format).into_owned(),
                known: FORMAT_NAME.into(),
            }),
            None => Err(OpenError::Missing(format!("{} was never completed", path.display()))),
        }
    }

    fn with(db: DB, path: &Path) -> Self {
        let writer = Mutex::new(Writer { outcome_unknown: false });
        let leaves_id = family_id(&db, Family::Leaves);
        Self { db, path: path.to_owned(), leaves_id, writer }
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
            value.push(NO_METADATA);
            value.extend_from_slice(leaf.as_bytes());
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
        let heads = self.family(Family::Heads);
        rows.put_cf(heads, batch.head.batch.to_be_bytes(), batch.head.encode());
        rows
    }

    /// Hashes the leaves once more, from the very bytes that RocksDB is about to write.
    fn check_finished(&self, batch: &Batch, rows: &WriteBatch) -> Result<(), CommitError> {
        let leaves_id = self.leaves_id;
        let mut check = FinishedLeaves { batch, leaves_id, seen: 0, fault: None };
        rows.iterate_cf(&mut check);
        if check.fault.is_none() && check.seen != batch.leaves.len() {
            check.fault = Some("the finished batch has another number of leaves".into());
        }
        check.fault.map_or(Ok(()), |fault| Err(CommitError::Refused(fault)))
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
        self.check_finished(batch, &rows)?;
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

    fn leaves(&self, first: LeafIndex, count: usize) -> Result<Vec<Leaf>, StoreError> {
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
            leaves.push(read_leaf(value)?);
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
}

/// Reads a finished batch back, before it is written.
struct FinishedLeaves<'a> {
    batch: &'a Batch,
    leaves_id: u32,
    seen: usize,
    fault: Option<String>,
}

impl FinishedLeaves<'_> {
    fn check(&mut self, key: &[u8], value: &[u8]) -> Result<(), String> {
        let position = self.seen;
        self.seen += 1;
        let index = self.batch.first_index.get() + position as u64;
        match value.split_first() {
            Some((&NO_METADATA, body)) if key == index.to_be_bytes() => {
                self.batch.check_leaf(position, body)
            }
            _ => Err(format!("the finished batch has a wrong row for leaf {index}")),
        }
    }
}

impl WriteBatchIteratorCf for FinishedLeaves<'_> {
    fn put_cf(&mut self, family: u32, key: &[u8], value: &[u8]) {
        if family == self.leaves_id && self.fault.is_none() {
            self.fault = self.check(key, value).err();
        }
    }

    fn delete_cf(&mut self, _: u32, _: &[u8]) {
        self.fault = Some("the finished batch deletes a row".into());
    }

    fn merge_cf(&mut self, _: u32, _: &[u8], _: &[u8]) {
        self.fault = Some("the finished batch merges a row".into());
    }
}

/// The number by which batches name a family: the binding tells it only inside a batch.
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

fn open_db(path: &Path, options: &Options, shared: &RocksShared) -> Result<DB, OpenError> {
    let families = settings::families(shared)?;
    DB::open_cf_descriptors(options, path, families).map_err(|error| refusal(&error))
}

/// RocksDB tells most of these apart by their text only; a test sees each of them.
fn refusal(error: &rocksdb::Error) -> OpenError {
    let text = error.to_string();
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    match error.kind() {
        ErrorKind::IOError if says(&["lock hold by", "While lock file"]) => OpenError::InUse(text),
        ErrorKind::InvalidArgument if says(&["Column families not opened"]) => {
            OpenError::WrongVersion { found: text, known: FORMAT_NAME.into() }
        }
        ErrorKind::Corruption
            if says(&["no WAL files", "Missing WAL", "predecessor log number"]) =>
        {
            OpenError::LostTail(text)
        }
        // Damage in the tables or in the list of them; no other point in time would have less.
        ErrorKind::Corruption if says(&["MANIFEST", ".sst", "CURRENT"]) => OpenError::Other(text),
        ErrorKind::Corruption => OpenError::TornTail(text),
        _ => OpenError::Other(text),
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

/// The first possible key after `key`: all keys of a family have one length.
fn start<K: AsRef<[u8]>>(key: Option<K>) -> Vec<u8> {
    key.map_or_else(Vec::new, |key| [key.as_ref(), &[0]].concat())
}

fn tile_row_key(key: TileKey) -> [u8; 9] {
    let mut row = [0; 9];
    row[..8].copy_from_slice(&key.last_leaf.to_be_bytes());
    row[8] = key.level;
    row
}

fn read_tile_key(row: &[u8]) -> Result<TileKey, StoreError> {
    let (last_leaf, level) = row.split_first_chunk().ok_or_else(|| corrupt("tile", row))?;
    let [level] = *level else { return Err(corrupt("tile", row)) };
    Ok(TileKey { last_leaf: u64::from_be_bytes(*last_leaf), level })
}

fn read_head(key: &[u8], value: &[u8]) -> Result<Head, StoreError> {
    let head = Head::decode(value)
        .map_err(|error| StoreError::Corrupt(format!("head {}: {error}", hex(key))))?;
    if key != head.batch.to_be_bytes() {
        return Err(StoreError::Corrupt(format!("head {} under {}", head.batch, hex(key))));
    }
    Ok(head)
}

fn read_leaf(value: &[u8]) -> Result<Leaf, StoreError> {
    match value.split_first() {
        Some((&NO_METADATA, body)) => {
            Leaf::new(body.to_vec()).map_err(|error| StoreError::Corrupt(error.to_string()))
        }
        _ => Err(StoreError::Corrupt("a leaf with metadata that format 1 does not know".into())),
    }
}

fn read_index(bytes: &[u8]) -> Result<LeafIndex, StoreError> {
    let bytes = bytes.try_into().map_err(|_| corrupt("index", bytes))?;
    Ok(LeafIndex::new(u64::from_be_bytes(bytes)))
}

fn corrupt(what: &str, bytes: &[u8]) -> StoreError {
    StoreError::Corrupt(format!("{what} of {} bytes: {}", bytes.len(), hex(bytes)))
}

fn failed(error: rocksdb::Error) -> StoreError {
    match error.kind() {
        ErrorKind::Corruption => StoreError::Corrupt(error.to_string()),
        _ => StoreError::Failed(error.to_string()),
    }
}

/// The first bytes in hexadecimal, for an error message.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// Rows of the family `default`.
const FORMAT_KEY: &[u8] = b"format";
const NOTE_KEY: &[u8] = b"note";
/// What the row `format` says; FORMAT.md describes it.
const FORMAT_NAME: &str = "cairn store 1";
/// First byte of a leaf's value: how many bytes of metadata stand before the body.
const NO_METADATA: u8 = 0;

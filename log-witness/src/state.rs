//! State: the tables of the witness in one redb file (FORMAT.md, section 2), and the one durable
//! transaction that moves an origin forward.
//!
//! In scope: rows, compare-and-swap, the journal, creation. Out of scope: what may be signed
//! (`add_checkpoint`), who writes when (`commit`).

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use log_core::checkpoint::Origin;
use log_core::key::VerifierKey;
use log_core::witness::origin_hash;
use log_core::{Hash, TreeHead, TreeSize};
use redb::{
    Database, Durability, ReadableDatabase, ReadableTable, Table, TableDefinition, WriteTransaction,
};

use crate::keys::StateId;
use crate::row::{Ahead, MalformedRow, Row, RowHeader, Standing};

/// Heads that are kept of each origin at least, to compare refused requests with: a log that
/// submits every second is remembered for four minutes, one that submits every ten minutes for two
/// days.
pub const JOURNAL_ROWS_KEPT: u16 = 256;
/// So many are forgotten at once: the oldest rows lie on other pages than the newest, and a
/// transaction that touches these alone is a tenth faster.
pub const JOURNAL_ROWS_FORGOTTEN: u16 = 32;

/// Name of the database in a data directory.
pub const DATABASE_FILE: &str = "witness.redb";
/// Cached pages: the heads of ten thousand logs and the ends of their journals.
const CACHE_BYTES: usize = 64 * 1024 * 1024;
/// The database is readable by its owner alone.
const DATABASE_MODE: u32 = 0o600;

/// Version, state id and how the database came to be.
const META: TableDefinition<&str, &[u8]> = TableDefinition::new("meta");
/// Origin hash -> origin and vkeys, one a line.
const LOGS: TableDefinition<&[u8; 32], &str> = TableDefinition::new("logs");
/// Origin hash -> row.
const HEADS: TableDefinition<&[u8; 32], &[u8]> = TableDefinition::new("heads");
/// Origin hash and big-endian size -> note with the verified lines of the log.
const JOURNAL: TableDefinition<&[u8; 40], &str> = TableDefinition::new("journal");
/// Origin hash and evidence id, for evidence that the operator has accepted.
const ACCEPTED: TableDefinition<&[u8; 64], ()> = TableDefinition::new("accepted");

const META_FORMAT: &str = "format";
const META_STATE_ID: &str = "state-id";
const META_CREATED: &str = "created-s";
const META_RECREATED: &str = "recreated";
/// Version of the tables.
const FORMAT: &[u8] = &[1];

/// The open database.
pub struct Store {
    database: Database,
    state_id: StateId,
    created_s: u64,
    recreated: bool,
}

/// Why the database cannot be used. After the second kind no further write may be tried: what is
/// on disk is known again only after a restart.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file cannot be opened or created.
    #[error("{path}: {source}")]
    File {
        /// The database.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// redb failed.
    #[error(transparent)]
    Database(Box<redb::Error>),
    /// The file holds another format, or a row that this program did not write.
    #[error("the database is damaged or of another version: {0}")]
    Malformed(&'static str),
    /// An assertion of this program failed while it wrote.
    #[error("the writer met a defect of this program")]
    Defect,
}

impl<E: Into<redb::Error>> From<E> for StoreError {
    fn from(error: E) -> Self {
        Self::Database(Box::new(error.into()))
    }
}

impl From<MalformedRow> for StoreError {
    fn from(_: MalformedRow) -> Self {
        Self::Malformed("heads")
    }
}

/// A log as it stands in the database.
#[derive(Debug)]
pub struct StoredLog {
    /// Its origin.
    pub origin: Origin,
    /// The keys that may speak for it.
    pub keys: Vec<VerifierKey>,
    /// What was cosigned.
    pub row: Row,
}

/// A head to be cosigned: written only if the row still stands where the decision saw it.
#[derive(Debug, Clone)]
pub struct Advance {
    /// Which log.
    pub origin_hash: Hash,
    /// Where the row stood.
    pub expected: Standing,
    /// Where it is to stand.
    pub head: TreeHead,
    /// The time in the signatures.
    pub time_s: u64,
    /// The note to serve: verified lines of the log, then the own signatures.
    pub note: String,
    /// The note for the journal: verified lines of the log only.
    pub journal_note: String,
}

/// The row stands elsewhere by now; nothing was written for this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conflict;

impl Store {
    /// Makes a new database, durably, or nothing. `recreated` says that the keys are older than it.
    ///
    /// # Errors
    /// [`StoreError`]; an existing database is left as it is.
    pub fn create(
        path: &Path,
        state_id: StateId,
        created_s: u64,
        recreated: bool,
    ) -> Result<Self, StoreError> {
        let file = |source| StoreError::File { path: path.to_owned(), source };
        if path.exists() {
            return Err(file(std::io::ErrorKind::AlreadyExists.into()));
        }
        let unfinished = path.with_extension("new");
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(DATABASE_MODE)
            .open(&unfinished)
            .map_err(file)?;
        let database = Database::builder().set_cache_size(CACHE_BYTES).create(&unfinished)?;
        let transaction = begin(&database)?;
        {
            let mut meta = transaction.open_table(META)?;
            meta.insert(META_FORMAT, FORMAT)?;
            meta.insert(META_STATE_ID, state_id.as_bytes().as_slice())?;
            meta.insert(META_CREATED, created_s.to_be_bytes().as_slice())?;
            meta.insert(META_RECREATED, [u8::from(recreated)].as_slice())?;
            transaction.open_table(LOGS)?;
            transaction.open_table(HEADS)?;
            transaction.open_table(JOURNAL)?;
            transaction.open_table(ACCEPTED)?;
        }
        transaction.commit()?;
        // A crash before the next line leaves a file under a name that nothing opens.
        fs::rename(&unfinished, path).map_err(file)?;
        let directory = path.parent().unwrap_or_else(|| Path::new("."));
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(file)?;
        Ok(Self { database, state_id, created_s, recreated })
    }

    /// Opens an existing database; after an unclean stop redb checks all of it.
    ///
    /// # Errors
    /// [`StoreError`]: it is missing, in use, or damaged.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        fs::metadata(path).map_err(|source| StoreError::File { path: path.to_owned(), source })?;
        let database = Database::builder().set_cache_size(CACHE_BYTES).open(path)?;
        let meta = database.begin_read()?.open_table(META)?;
        let value = |key: &'static str| -> Result<Vec<u8>, StoreError> {
            Ok(meta.get(key)?.ok_or(StoreError::Malformed(key))?.value().to_vec())
        };
        if value(META_FORMAT)? != FORMAT {
            return Err(StoreError::Malformed(META_FORMAT));
        }
        let state_id = StateId::from_slice(&value(META_STATE_ID)?)
            .ok_or(StoreError::Malformed(META_STATE_ID))?;
        let created_s = value(META_CREATED)?.try_into().map(u64::from_be_bytes);
        let created_s = created_s.map_err(|_| StoreError::Malformed(META_CREATED))?;
        let recreated = value(META_RECREATED)? != [0];
        drop(meta);
        Ok(Self { database, state_id, created_s, recreated })
    }

    /// Which keys this state belongs to.
    pub fn state_id(&self) -> StateId {
        self.state_id
    }

    /// When the database was made, in seconds since 1970.
    pub fn created_s(&self) -> u64 {
        self.created_s
    }

    /// Whether an earlier database of the same keys was lost, so that an origin without a row may
    /// have been cosigned all the same.
    pub fn recreated(&self) -> bool {
        self.recreated
    }

    /// Every log.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn logs(&self) -> Result<Vec<StoredLog>, StoreError> {
        let transaction = self.database.begin_read()?;
        let (logs, heads) = (transaction.open_table(LOGS)?, transaction.open_table(HEADS)?);
        let mut all = Vec::new();
        for entry in logs.iter()? {
            let (hash, text) = entry?;
            let (origin, keys) = parse_log(text.value()).ok_or(StoreError::Malformed("logs"))?;
            let row = heads.get(hash.value())?.ok_or(StoreError::Malformed("heads"))?;
            let row = Row::decode(row.value())?;
            all.push(StoredLog { origin, keys, row });
        }
        Ok(all)
    }

    /// Moves origins forward in one durable transaction. Each is compared with its row as the
    /// ones before it left it; a row that stands elsewhere, or was signed for at a later time, is
    /// a conflict and stays as it is.
    ///
    /// # Errors
    /// [`StoreError`]: the outcome is unknown, nothing may be answered and no write may follow.
    pub fn advance(&self, batch: &[&Advance]) -> Result<Vec<Result<Row, Conflict>>, StoreError> {
        let transaction = begin(&self.database)?;
        let outcomes = {
            let mut heads = transaction.open_table(HEADS)?;
            let mut journal = transaction.open_table(JOURNAL)?;
            let moved = batch.iter().map(|advance| advance_one(&mut heads, &mut journal, advance));
            moved.collect::<Result<Vec<_>, _>>()?
        };
        // From here the heads are cosigned, whether or not anybody hears of it: a log that got no
        // answer asks again and is told the new size. Before here a crash leaves the old rows, and
        // the signatures that were made for the new ones never left this process.
        transaction.commit()?;
        Ok(outcomes)
    }

    /// The note of that size that was cosigned for an origin, if it is still remembered.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn journal_note(
        &self,
        origin: &Hash,
        size: TreeSize,
    ) -> Result<Option<String>, StoreError> {
        let journal = self.database.begin_read()?.open_table(JOURNAL)?;
        let note = journal.get(&journal_key(origin, size))?;
        Ok(note.map(|note| note.value().to_owned()))
    }

    /// Adds logs, or replaces the keys of known ones; their rows stay. A new origin begins as
    /// never cosigned, unless `lost`.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn put_logs(
        &self,
        logs: &[(Origin, Vec<VerifierKey>)],
        lost: bool,
    ) -> Result<(), StoreError> {
        let transaction = begin(&self.database)?;
        {
            let mut table = transaction.open_table(LOGS)?;
            let mut heads = transaction.open_table(HEADS)?;
            for (origin, keys) in logs {
                let hash = origin_hash(origin);
                table.insert(hash.as_bytes(), log_text(origin, keys).as_str())?;
                if heads.get(hash.as_bytes())?.is_none() {
                    heads.insert(hash.as_bytes(), Row::new(lost).encode().as_slice())?;
                }
            }
        }
        // From here the witness will cosign for the new origins, from size 0 on.
        Ok(transaction.commit()?)
    }

    /// Remembers that an own signature was seen which the row does not know: the largest size and
    /// the latest time. Nothing is signed for that origin any more.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn mark_ahead(&self, origin: &Hash, ahead: Ahead) -> Result<Row, StoreError> {
        let transaction = begin(&self.database)?;
        let row = {
            let mut heads = transaction.open_table(HEADS)?;
            let mut row = stored_row(&heads, origin)?;
            row.header.ahead = Some(row.header.ahead.map_or(ahead, |known| known.max(ahead)));
            heads.insert(origin.as_bytes(), row.encode().as_slice())?;
            row
        };
        transaction.commit()?;
        Ok(row)
    }

    /// Restarts an origin from a head that the operator named. The caller has checked that it does
    /// not go backwards.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn restart(&self, restart: &Advance) -> Result<Row, StoreError> {
        let transaction = begin(&self.database)?;
        let row = {
            let mut heads = transaction.open_table(HEADS)?;
            let mut journal = transaction.open_table(JOURNAL)?;
            let header = stored_row(&heads, &restart.origin_hash)?.header;
            write_head(&mut heads, &mut journal, restart, &header)?
        };
        transaction.commit()?;
        Ok(row)
    }

    /// Remembers that the operator knows of this evidence.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn accept_evidence(&self, origin: &Hash, id: &Hash) -> Result<(), StoreError> {
        let transaction = begin(&self.database)?;
        transaction.open_table(ACCEPTED)?.insert(&accepted_key(origin, id), ())?;
        Ok(transaction.commit()?)
    }

    /// Whether the operator has accepted this evidence.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn is_accepted(&self, origin: &Hash, id: &Hash) -> Result<bool, StoreError> {
        let accepted = self.database.begin_read()?.open_table(ACCEPTED)?;
        Ok(accepted.get(&accepted_key(origin, id))?.is_some())
    }
}

/// Every transaction is durable when its commit returns: one weaker setting would be a fork.
fn begin(database: &Database) -> Result<WriteTransaction, StoreError> {
    let mut transaction = database.begin_write()?;
    transaction.set_durability(Durability::Immediate)?;
    Ok(transaction)
}

fn advance_one(
    heads: &mut Table<'_, &[u8; 32], &[u8]>,
    journal: &mut Table<'_, &[u8; 40], &str>,
    advance: &Advance,
) -> Result<Result<Row, Conflict>, StoreError> {
    let header = match heads.get(advance.origin_hash.as_bytes())? {
        Some(row) => RowHeader::decode(row.value())?,
        None => return Err(StoreError::Malformed("heads")),
    };
    let stands = header.standing == advance.expected && header.ahead.is_none();
    if !stands || header.time_s > advance.time_s {
        return Ok(Err(Conflict));
    }
    // Whatever decided above: what is written never shrinks the tree and never changes a root.
    if let Some(old) = header.head() {
        assert!(old.size <= advance.head.size, "the tree must not shrink: {old:?}");
        assert!(old.size < advance.head.size || old == advance.head, "the root must not change");
    }
    write_head(heads, journal, advance, &header).map(Ok)
}

fn write_head(
    heads: &mut Table<'_, &[u8; 32], &[u8]>,
    journal: &mut Table<'_, &[u8; 40], &str>,
    advance: &Advance,
    before: &RowHeader,
) -> Result<Row, StoreError> {
    let mut journal_rows = before.journal_rows;
    // A refresh says nothing new about the log.
    if before.head() != Some(advance.head) {
        let key = journal_key(&advance.origin_hash, advance.head.size);
        if journal.insert(&key, advance.journal_note.as_str())?.is_none() {
            journal_rows += 1;
        }
        if journal_rows >= JOURNAL_ROWS_KEPT + JOURNAL_ROWS_FORGOTTEN {
            forget_oldest(journal, &advance.origin_hash)?;
            journal_rows -= JOURNAL_ROWS_FORGOTTEN;
        }
    }
    let standing = Standing::Cosigned(advance.head);
    let header = RowHeader { standing, time_s: advance.time_s, ahead: None, journal_rows };
    let row = Row { header, note: advance.note.clone() };
    heads.insert(advance.origin_hash.as_bytes(), row.encode().as_slice())?;
    Ok(row)
}

fn forget_oldest(
    journal: &mut Table<'_, &[u8; 40], &str>,
    origin: &Hash,
) -> Result<(), StoreError> {
    let from = journal_key(origin, TreeSize::new(0));
    let to = journal_key(origin, TreeSize::new(u64::MAX));
    let rows = journal.range::<&[u8; 40]>(&from..=&to)?.take(usize::from(JOURNAL_ROWS_FORGOTTEN));
    let oldest: Vec<[u8; 40]> =
        rows.map(|row| Ok(*row?.0.value())).collect::<Result<_, StoreError>>()?;
    if oldest.len() < usize::from(JOURNAL_ROWS_FORGOTTEN) {
        return Err(StoreError::Malformed("journal"));
    }
    for key in &oldest {
        journal.remove(key)?;
    }
    Ok(())
}

fn stored_row(
    heads: &impl ReadableTable<&'static [u8; 32], &'static [u8]>,
    origin: &Hash,
) -> Result<Row, StoreError> {
    let row = heads.get(origin.as_bytes())?.ok_or(StoreError::Malformed("heads"))?;
    Ok(Row::decode(row.value())?)
}

fn journal_key(origin: &Hash, size: TreeSize) -> [u8; 40] {
    let mut key = [0; 40];
    key[..32].copy_from_slice(origin.as_bytes());
    key[32..].copy_from_slice(&size.get().to_be_bytes());
    key
}

fn accepted_key(origin: &Hash, id: &Hash) -> [u8; 64] {
    let mut key = [0; 64];
    key[..32].copy_from_slice(origin.as_bytes());
    key[32..].copy_from_slice(id.as_bytes());
    key
}

fn log_text(origin: &Origin, keys: &[VerifierKey]) -> String {
    keys.iter().fold(format!("{origin}\n"), |text, key| format!("{text}{key}\n"))
}

fn parse_log(text: &str) -> Option<(Origin, Vec<VerifierKey>)> {
    let (origin, keys) = text.split_once('\n')?;
    let keys: Option<Vec<_>> = keys.lines().map(|key| VerifierKey::parse(key).ok()).collect();
    Some((Origin::parse(origin).ok()?, keys?))
}

#[cfg(test)]
mod tests;

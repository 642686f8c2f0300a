//! Makes and opens stores, and says what is wrong with one that cannot be opened.

use std::fs;
use std::io;
use std::path::Path;

use rocksdb::{DB, ErrorKind, Options};

use super::settings::{self, Family, Recovery};
use super::{FORMAT_KEY, FORMAT_NAME, RocksShared, RocksStore, sync_directory, synced, wal};
use crate::store::OpenError;

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

    /// Opens a store to rebuild its search index; if that is gone it is there again, without rows.
    ///
    /// # Errors
    /// As [`RocksStore::open`].
    pub fn open_to_rebuild(path: &Path, shared: &RocksShared) -> Result<Self, OpenError> {
        match Self::open(path, shared) {
            Err(OpenError::NoSearchIndex) => {
                let mut options = settings::database(shared, Recovery::TolerateTornTail)?;
                options.create_missing_column_families(true);
                Ok(Self::with(open_db(path, &options, shared)?, path))
            }
            opened => opened,
        }
    }

    pub(super) fn open_with(
        path: &Path,
        shared: &RocksShared,
        how: Recovery,
    ) -> Result<Self, OpenError> {
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
        check_format(&store.db, path)?;
        Ok(store)
    }
}

fn open_db(path: &Path, options: &Options, shared: &RocksShared) -> Result<DB, OpenError> {
    let families = settings::families(shared)?;
    DB::open_cf_descriptors(options, path, families).map_err(|error| match error.kind() {
        ErrorKind::InvalidArgument if error.as_ref().contains("Column family not found") => {
            lacking(path, options, &error)
        }
        _ => refusal(&error),
    })
}

fn check_format(db: &DB, path: &Path) -> Result<(), OpenError> {
    let format = db.get(FORMAT_KEY).map_err(|error| OpenError::Other(error.to_string()))?;
    match format {
        Some(format) if format == FORMAT_NAME.as_bytes() => Ok(()),
        Some(format) => Err(OpenError::WrongVersion {
            found: String::from_utf8_lossy(&format).into_owned(),
            known: FORMAT_NAME.into(),
        }),
        None => Err(OpenError::Missing(format!("{} was never completed", path.display()))),
    }
}

/// A store without one of the families: its format says whether there should be one. It is only
/// read.
fn lacking(path: &Path, options: &Options, error: &rocksdb::Error) -> OpenError {
    let db = match DB::open_for_read_only(options, path, false) {
        Ok(db) => db,
        Err(error) => return refusal(&error),
    };
    match check_format(&db, path) {
        Ok(()) if error.as_ref().ends_with(Family::Keys.name()) => OpenError::NoSearchIndex,
        Ok(()) => OpenError::Other(error.to_string()),
        Err(refusal) => refusal,
    }
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

//! A damaged store, opened at its last good point, as a copy. The original stays as it is.
//!
//! In scope: making the copy. Out of scope: whether its head may be believed (`log/`).

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use super::settings::Recovery;
use super::wal::{AlienRecord, alien_records};
use super::{RocksShared, RocksStore, sync_directory};
use crate::store::OpenError;

impl RocksStore {
    /// Copies the store at `path` to `copy`, which must not exist, and opens the copy at the last
    /// point before the damage. Whatever was committed after it is not in the copy. The copy is on
    /// the disk on return, and a store like any other once it is closed.
    ///
    /// Tables are never changed, so the copy shares them with the original where the file system
    /// can do that; everything else is copied.
    ///
    /// # Errors
    /// [`OpenError::Exists`]; [`OpenError`] as for [`RocksStore::open`] if not even that can be
    /// opened.
    pub fn open_copy_at_last_good_point(
        path: &Path,
        copy: &Path,
        shared: &RocksShared,
    ) -> Result<Self, OpenError> {
        if copy.exists() {
            return Err(OpenError::Exists(copy.display().to_string()));
        }
        if !path.join("CURRENT").exists() {
            return Err(OpenError::Missing(path.display().to_string()));
        }
        copy_files(path, copy).and_then(|()| cut_at_aliens(copy)).map_err(|error| {
            OpenError::Other(format!("{} to {}: {error}", path.display(), copy.display()))
        })?;
        Self::open_with(copy, shared, Recovery::LastGoodPoint).map_err(|error| match error {
            // There is no point to go back to: the tables already hold what comes after it.
            OpenError::TornTail(reason) => OpenError::Other(reason),
            error => error,
        })
    }
}

fn copy_files(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let (name, source) = (entry.file_name(), entry.path());
        if name == "LOCK" || !entry.file_type()?.is_file() {
            continue;
        }
        let target = to.join(&name);
        let table = source.extension() == Some(OsStr::new("sst"));
        if !(table && fs::hard_link(&source, &target).is_ok()) {
            fs::copy(&source, &target)?;
            File::open(&target)?.sync_all()?;
        }
    }
    File::open(to)?.sync_all()?;
    sync_directory(to.parent())
}

/// What RocksDB could not read past ends the file; the point before it is the last good one.
fn cut_at_aliens(copy: &Path) -> io::Result<()> {
    for AlienRecord { file, offset } in alien_records(copy)? {
        let file = File::options().write(true).open(file)?;
        file.set_len(offset)?;
        file.sync_all()?;
    }
    Ok(())
}

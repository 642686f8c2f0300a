//! Init: what makes a witness, and what makes its database again after a loss. Nothing else
//! creates anything.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use log_core::key::VerifierKey;

use crate::config::{CONFIG_FILE, CONFIG_TEMPLATE, Config};
use crate::keys::{KeyError, StateId, WitnessKeys};
use crate::state::{DATABASE_FILE, Store, StoreError};

/// Why no witness was made. What was made so far is left for the operator to look at.
#[derive(Debug, thiserror::Error)]
pub enum InitError {
    /// The directory is not empty.
    #[error("{0} is in use; a witness is made in a new or empty directory")]
    InUse(PathBuf),
    /// A file cannot be written.
    #[error("{path}: {source}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The keys cannot be written.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The database cannot be created.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Makes a witness of that name in a directory that does not exist yet, or is empty, and gives its
/// public keys: Ed25519, and ML-DSA-44 if `both`.
///
/// # Errors
/// [`InitError`].
pub fn init(
    data_dir: &Path,
    name: &str,
    both: bool,
    now_s: u64,
) -> Result<Vec<VerifierKey>, InitError> {
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| InitError::File { path, source }
    };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(file(data_dir))?;
    if fs::read_dir(data_dir).map_err(file(data_dir))?.next().is_some() {
        return Err(InitError::InUse(data_dir.to_owned()));
    }
    // An empty directory that was there may have been open to everybody.
    let private = fs::Permissions::from_mode(0o700);
    fs::set_permissions(data_dir, private).map_err(file(data_dir))?;
    let config = data_dir.join(CONFIG_FILE);
    fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&config)
        .and_then(|mut out| out.write_all(CONFIG_TEMPLATE.as_bytes()).and(out.sync_all()))
        .map_err(file(&config))?;
    let state_id = StateId::random();
    drop(Store::create(&data_dir.join(DATABASE_FILE), state_id, now_s, false)?);
    // The keys come last. A crash before leaves a directory that cannot sign; from here on keys
    // without their database have lost it.
    let keys = data_dir.join(Config::default().keys);
    WitnessKeys::create(&keys, name, state_id, both)?;
    File::open(data_dir).and_then(|dir| dir.sync_all()).map_err(file(data_dir))?;
    Ok(WitnessKeys::load(&keys)?.verifier_keys().cloned().collect())
}

/// Makes the database again that belongs to these keys and is missing. Whatever logs are added to
/// it get no signature before an operator names their heads.
///
/// # Errors
/// [`StoreError`]; an existing database is left as it is.
pub fn recreate_database(
    data_dir: &Path,
    keys: &WitnessKeys,
    now_s: u64,
) -> Result<(), StoreError> {
    Store::create(&data_dir.join(DATABASE_FILE), keys.state_id(), now_s, true).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_witness_is_made_once_and_nobody_else_can_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w");
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).unwrap();
        assert_eq!(init(&path, "w.example/a", true, 1).unwrap().len(), 2);
        drop(crate::server::lock(&path).unwrap());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        for name in ["keys", DATABASE_FILE, CONFIG_FILE, "lock"] {
            assert_eq!(mode(&path.join(name)), 0o600, "{name}");
        }
        assert!(matches!(init(&path, "w.example/a", true, 1), Err(InitError::InUse(_))));
    }

    #[test]
    fn a_database_is_never_made_over_another() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("w");
        init(&path, "w.example/a", false, 1).unwrap();
        let keys = WitnessKeys::load(&path.join("keys")).unwrap();
        assert!(recreate_database(&path, &keys, 1).is_err());
    }
}

//! Directory: the files of one log, how they are created, and how they are opened again.
//!
//! `key.pem` and `state-id` say which log this is, `db` holds it, and `anchor` knows how far it had
//! come. Only `init` and `add-log` create; opening never does.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use log_core::Hash;
use log_core::checkpoint::Origin;
use log_core::key::VerifierKey;

use super::anchor::Anchor;
use super::commit::commit_genesis;
use super::recover::{Identity, Shut, recover};
use super::signer::{KeyError, KeyFiles, NewKeys, Signer};
use super::{Log, LogSettings, Parts, Personality, Surroundings, accepted_tail, tail};
use crate::config::LogConfig;
use crate::metrics::LogMetrics;
use crate::store::rocks::{RocksShared, RocksStore};
use crate::store::space::Space;
use crate::store::{CommitError, OpenError, Store};

/// The directory of one log, `DIR/logs/NAME`.
#[derive(Debug, Clone)]
pub struct LogDirectory {
    path: PathBuf,
    anchor: PathBuf,
}

/// Why a log was not created. What was made so far is left for the operator to look at.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The directory is there already.
    #[error("{0} exists already; a log is never created twice")]
    Exists(PathBuf),
    /// A file cannot be written.
    #[error("{path}: {source}")]
    File {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The key cannot be written, or the origin cannot be its name.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The store cannot be created.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The genesis head cannot be written.
    #[error(transparent)]
    Genesis(#[from] CommitError),
}

/// The secrets and numbers that make a new log different from every other. They are arguments, so
/// that a recorded log can be replayed.
pub struct Birth {
    /// The log's private keys.
    pub keys: NewKeys,
    /// Random; ties the store to the files beside it.
    pub state_id: [u8; 16],
}

impl Birth {
    /// Keys and a state id that nobody can guess.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn random(personality: Personality) -> Result<Self, KeyError> {
        Ok(Self { keys: NewKeys::random(personality)?, state_id: rand::random() })
    }
}

/// The public keys of a new log.
pub struct PublicKeys {
    /// The key by which clients know it.
    pub log: VerifierKey,
    /// The key by which witnesses know it: another one only in a Rekor v1 log.
    pub for_witnesses: VerifierKey,
}

impl LogDirectory {
    /// The directory of the log `name` below a data directory, with its anchor in it.
    pub fn new(data_dir: &Path, name: &str) -> Self {
        let path = data_dir.join("logs").join(name);
        Self { anchor: path.join("anchor"), path }
    }

    /// The directory of a log as its configuration describes it.
    pub fn of(data_dir: &Path, config: &LogConfig) -> Self {
        let directory = Self::new(data_dir, &config.name);
        match &config.anchor {
            Some(anchor) => Self { anchor: anchor.clone(), ..directory },
            None => directory,
        }
    }

    /// The log's store.
    pub fn store(&self) -> PathBuf {
        self.path.join("db")
    }

    /// The log's private keys; the second file is that of a Rekor v1 log only.
    fn keys(&self) -> KeyFiles {
        KeyFiles { key: self.path.join("key.pem"), witness_key: self.path.join("witness-key.pem") }
    }

    fn state_id(&self) -> PathBuf {
        self.path.join("state-id")
    }

    /// Where notes are kept that convict this log's key, or that another copy signed.
    fn evidence(&self) -> PathBuf {
        self.path.join("evidence")
    }

    /// Where an operator gave up what had been committed.
    pub(super) fn accepted_tails(&self) -> PathBuf {
        self.path.join("accepted-tails")
    }

    /// What the log had committed when it was last seen, outside the store.
    pub fn anchor(&self) -> &Path {
        &self.anchor
    }

    /// Makes a new log of size 0.
    ///
    /// # Errors
    /// [`CreateError`]; an existing directory is left as it is.
    pub fn create(
        &self,
        personality: Personality,
        origin: &Origin,
        birth: &Birth,
        rocks: &RocksShared,
    ) -> Result<PublicKeys, CreateError> {
        if self.path.exists() {
            return Err(CreateError::Exists(self.path.clone()));
        }
        fs::create_dir_all(&self.path).map_err(|source| self.file(&self.path, source))?;
        let signer = Signer::create(&self.keys(), personality, origin, &birth.keys)?;
        let key = signer.verifier_key();
        let state_id = self.state_id();
        write_synced(&state_id, format!("{}\n", hex(&birth.state_id)).as_bytes())
            .map_err(|source| self.file(&state_id, source))?;
        let store = RocksStore::create(&self.store(), rocks)?;
        let head = commit_genesis(&store, key.full_id_hash(), birth.state_id)?;
        // From here the store is a log of size 0. Without its anchor it would not open, so a crash
        // in between leaves a directory that has to be removed by hand, and no signature.
        Anchor::create(&self.anchor, &head)
            .and_then(|_| File::open(&self.path)?.sync_all())
            .map_err(|source| self.file(&self.anchor, source))?;
        Ok(PublicKeys { log: key, for_witnesses: signer.witness_key() })
    }

    /// Opens the log, checks it and starts it.
    ///
    /// # Errors
    /// [`Shut`]: the reason why it must not run. Nothing was signed.
    pub fn open(
        &self,
        settings: LogSettings,
        headroom_bytes: u64,
        rocks: &RocksShared,
        metrics: LogMetrics,
        surroundings: Surroundings,
    ) -> Result<Log, Shut> {
        let signer = Arc::new(self.signer(settings.personality, &settings.origin)?);
        let identity = self.identity(&signer.verifier_key())?;
        let anchor =
            Anchor::open(self.anchor()).map_err(|error| Shut::Anchor(error.to_string()))?;
        let newest = anchor.newest();
        let store = self.open_store(rocks, &newest.tree)?;
        let recovered = recover(&store, &identity, &newest)?;
        let space = Space::new(self.store(), headroom_bytes);
        let store: Arc<dyn Store> = Arc::new(store);
        let evidence = self.evidence();
        let accepted = accepted_tail::read(&self.accepted_tails()).map_err(Shut::File)?;
        let parts = Parts { settings, store, signer, anchor, space, recovered, evidence, accepted };
        Log::start(parts, metrics, surroundings)
    }

    /// Opens the log's store, for `serve` and `fsck`. A damaged tail is decided on in `tail.rs`.
    ///
    /// # Errors
    /// [`Shut`] as for [`LogDirectory::open`].
    fn open_store(
        &self,
        rocks: &RocksShared,
        anchor: &log_core::TreeHead,
    ) -> Result<RocksStore, Shut> {
        tail::finish_swap(&self.store())?;
        match RocksStore::open(&self.store(), rocks) {
            Ok(store) => Ok(store),
            Err(OpenError::TornTail(reason)) => {
                tail::settle(&self.store(), rocks, anchor, &reason)?;
                RocksStore::open(&self.store(), rocks).map_err(Shut::Open)
            }
            Err(error) => Err(Shut::Open(error)),
        }
    }

    /// The log's key, from beside its store.
    pub(super) fn signer(&self, personality: Personality, origin: &Origin) -> Result<Signer, Shut> {
        Signer::load(&self.keys(), personality, origin)
            .map_err(|error| Shut::File(error.to_string()))
    }

    /// Which log the files beside the store say this is.
    pub(super) fn identity(&self, key: &VerifierKey) -> Result<Identity, Shut> {
        let path = self.state_id();
        let text = fs::read_to_string(&path)
            .map_err(|error| Shut::File(format!("{}: {error}", path.display())))?;
        let state_id = unhex(text.trim_end())
            .ok_or_else(|| Shut::File(format!("{}: not a state id", path.display())))?;
        Ok(Identity { log_id: key.full_id_hash(), state_id })
    }

    fn file(&self, path: &Path, source: std::io::Error) -> CreateError {
        CreateError::File { path: path.to_path_buf(), source }
    }
}

/// What an offline check of a log starts from: its store, and who it should be.
pub struct Examined {
    /// The log's store, opened without starting anything.
    pub store: RocksStore,
    /// The log id of the key beside it.
    pub log_id: Hash,
}

impl LogDirectory {
    /// Opens the store for `fsck`: nothing is started, signed or repaired.
    ///
    /// # Errors
    /// [`Shut`] if a file is missing or the store does not open.
    pub fn examine(
        &self,
        personality: Personality,
        origin: &Origin,
        rocks: &RocksShared,
    ) -> Result<Examined, Shut> {
        let signer = self.signer(personality, origin)?;
        let store = RocksStore::open(&self.store(), rocks).map_err(Shut::Open)?;
        Ok(Examined { store, log_id: signer.verifier_key().full_id_hash() })
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(text, 16).ok().map(u128::to_be_bytes)
}

//! Signer: the only file that holds a log's private key.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use log_core::key::{KeyName, NoteSigner, VerifierKey};
use log_core::note::NoteSignature;
use zeroize::Zeroizing;

/// Key files are readable by their owner alone.
const KEY_FILE_MODE: u32 = 0o600;

/// Signs the checkpoints of one log. Debug output shows the public half only.
#[derive(Debug)]
pub(super) struct Signer {
    key: NoteSigner,
}

/// What can be wrong with a log's key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The key file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds no PKCS#8 PEM of an Ed25519 key.
    #[error("{0}: not a PKCS#8 PEM of an Ed25519 private key")]
    NotAKey(String),
    /// The origin cannot be the name of a key.
    #[error("the origin cannot be a key name: {0}")]
    Name(String),
}

impl Signer {
    /// Reads the log's key; `origin` is its name in notes.
    pub(super) fn load(path: &Path, origin: &str) -> Result<Self, KeyError> {
        let pem =
            fs::read_to_string(path).map(Zeroizing::new).map_err(|source| file(path, source))?;
        let key = SigningKey::from_pkcs8_pem(&pem)
            .map_err(|_| KeyError::NotAKey(path.display().to_string()))?;
        Self::new(&key, origin)
    }

    /// Writes a key to a new file. An existing file is never replaced.
    pub(super) fn create(path: &Path, origin: &str, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let key = SigningKey::from_bytes(seed);
        let pem = key
            .to_pkcs8_pem(LineEnding::LF)
            .map_err(|_| KeyError::NotAKey(path.display().to_string()))?;
        let signer = Self::new(&key, origin)?;
        let mut out = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(KEY_FILE_MODE)
            .open(path)
            .map_err(|source| file(path, source))?;
        out.write_all(pem.as_bytes())
            .and_then(|()| out.sync_all())
            .map_err(|source| file(path, source))?;
        Ok(signer)
    }

    /// The public half, by which everybody knows the log.
    pub(super) fn verifier_key(&self) -> VerifierKey {
        self.key.verifier_key()
    }

    /// The log's lines for a checkpoint's text. The caller holds a committed head: see `cosign.rs`.
    /// Witnesses know Ed25519 only: a log whose own key is another adds an Ed25519 line here.
    pub(super) fn sign(&self, text: &str) -> Vec<NoteSignature> {
        vec![self.key.sign(text)]
    }

    fn new(key: &SigningKey, origin: &str) -> Result<Self, KeyError> {
        let name = KeyName::parse(origin).map_err(|error| KeyError::Name(error.to_string()))?;
        Ok(Self { key: NoteSigner::ed25519(name, key.to_bytes()) })
    }
}

fn file(path: &Path, source: std::io::Error) -> KeyError {
    KeyError::File { path: path.display().to_string(), source }
}

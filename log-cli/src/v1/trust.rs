//! With which key the answers of a Rekor v1 log are verified.

use std::path::Path;

use log_core::{KeyAlgorithm, VerifierKey};

use super::answer::AnsweredEntry;
use super::attested::Attested;
use crate::client::LogClient;
use crate::failure::Failure;
use crate::files;
use crate::log_entry::{EntryRefusal, LogEntry};
use crate::public_key::PublicKey;
use crate::trusted_root::{TRUSTED_ROOT_BYTES_MAX, TrustedRoot, TrustedRootError, verifier_key};

/// Where the key comes from.
#[derive(Debug)]
pub enum V1Trust {
    /// A trusted root, in which the entry's log is looked up.
    Root(Box<TrustedRoot>),
    /// The user named it.
    Key(Box<VerifierKey>),
    /// The log itself: then its signatures only show that it agrees with itself.
    Fetched(Box<VerifierKey>),
}

impl V1Trust {
    /// What the command line says; the key that the log names if it says nothing, which the user
    /// is told.
    ///
    /// # Errors
    /// [`Failure`] if a file or the log's key cannot be read, or is of another kind.
    pub fn read(
        root: Option<&Path>,
        log_key: Option<&Path>,
        log_vkey: Option<&str>,
        client: &LogClient,
    ) -> Result<Self, Failure> {
        if let Some(path) = root {
            let json = files::read(path, TRUSTED_ROOT_BYTES_MAX)?;
            let root = TrustedRoot::parse(&json).map_err(Failure::undecided)?;
            return Ok(Self::Root(Box::new(root)));
        }
        if let Some(path) = log_key {
            let broken = |error: &dyn std::fmt::Display| {
                Failure::undecided(format!("{}: {error}", path.display()))
            };
            let key = PublicKey::from_pem(&files::read_text(path)?).map_err(|e| broken(&e))?;
            return Ok(Self::Key(Box::new(unnamed(key.spki_der()).map_err(|e| broken(&e))?)));
        }
        if let Some(vkey) = log_vkey {
            let key = files::read_log_vkey(vkey)?;
            if key.algorithm() != KeyAlgorithm::EcdsaP256 {
                let usage = "answers of Rekor v1 are signed with the log's ECDSA key, and \
                             --log-vkey names another";
                return Err(Failure::Usage(usage.to_owned()));
            }
            return Ok(Self::Key(Box::new(key)));
        }
        let pem = client.v1_public_key().map_err(Failure::undecided)?;
        let pem = String::from_utf8(pem).map_err(Failure::no)?;
        let key = PublicKey::from_pem(&pem).map_err(Failure::no)?;
        let key = unnamed(key.spki_der()).map_err(Failure::no)?;
        eprintln!(
            "cairn: the key {} was taken from the log itself, so that its signatures prove \
             little; give --trusted-root or --log-key",
            key.full_id_hash()
        );
        Ok(Self::Fetched(Box::new(key)))
    }

    /// Where the key comes from, for programs.
    pub fn source(&self) -> &'static str {
        match self {
            Self::Root(_) => "trusted-root",
            Self::Key(_) => "command-line",
            Self::Fetched(_) => "log",
        }
    }

    /// Verifies promise, proof and checkpoint of an answer.
    ///
    /// # Errors
    /// The answer is no if any of them fails, or if the log is not trusted.
    pub fn verify(&self, answered: &AnsweredEntry) -> Result<Attested, Failure> {
        let AnsweredEntry { id, entry } = answered;
        let attested = Attested::verify_answer(entry, id, &self.key_of(entry)?);
        let attested = attested.map_err(Failure::no)?;
        if let (Self::Root(root), Some(time)) = (self, attested.time)
            && let Some(log) = root.instance(&entry.log_id.key_id.0)
            && !log.public_key.valid_for.contains(time).map_err(Failure::undecided)?
        {
            return Err(Failure::no("the log is not trusted for the time of the entry"));
        }
        Ok(attested)
    }

    fn key_of(&self, entry: &LogEntry) -> Result<VerifierKey, Failure> {
        match self {
            Self::Key(key) | Self::Fetched(key) => {
                let is_its = entry.log_id.key_id.0 == key.full_id_hash().as_bytes();
                if is_its {
                    Ok(VerifierKey::clone(key))
                } else {
                    Err(Failure::no(EntryRefusal::OtherLog))
                }
            }
            Self::Root(root) => {
                let log = root.instance(&entry.log_id.key_id.0);
                let log = log.ok_or_else(|| Failure::no("the trusted root lacks this log"))?;
                log.note_key().map_err(Failure::undecided)
            }
        }
    }
}

/// The key under its own id as its name: only a checkpoint says how a v1 log calls itself.
fn unnamed(spki_der: &[u8]) -> Result<VerifierKey, TrustedRootError> {
    let key = verifier_key(&log_core::sha256(spki_der).to_string(), spki_der)?;
    if key.algorithm() == KeyAlgorithm::EcdsaP256 {
        Ok(key)
    } else {
        Err(TrustedRootError::LogKeyKind)
    }
}

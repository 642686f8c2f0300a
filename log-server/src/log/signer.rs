//! Signer: the only file that holds a log's private keys.

use std::fs;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};
use ed25519_dalek::SigningKey;
use ed25519_dalek::pkcs8::spki::der::pem::LineEnding;
use ed25519_dalek::pkcs8::{DecodePrivateKey, EncodePrivateKey};
use log_core::EntryTimestamp;
use log_core::checkpoint::Origin;
use log_core::entry_id::TreeId;
use log_core::key::{KeyName, NoteSigner, VerifierKey};
use log_core::note::NoteSignature;
use zeroize::Zeroizing;

use super::Personality;

/// Key files are readable by their owner alone.
const KEY_FILE_MODE: u32 = 0o600;
/// The label of PKCS#8 in PEM (RFC 7468).
const PEM_LABEL: &str = "PRIVATE KEY";

/// Signs for one log. Debug output shows the public half only.
#[derive(Debug)]
pub(super) struct Signer {
    /// The Ed25519 key, the only one that witnesses know.
    ed25519: NoteSigner,
    /// The key of Rekor v1, by which its clients know the log.
    ecdsa: Option<EcdsaSigner>,
}

/// Where the keys of a log are.
pub(super) struct KeyFiles {
    /// The key by which clients know the log.
    pub(super) key: PathBuf,
    /// The key by which witnesses know a Rekor v1 log.
    pub(super) witness_key: PathBuf,
}

/// The private keys of a new log, as arguments: a recorded log can be replayed.
pub enum NewKeys {
    /// The Ed25519 key of a log that has no other: its seed.
    Ed25519([u8; 32]),
    /// The keys of a Rekor v1 log.
    RekorV1 {
        /// PKCS#8 in DER of an ECDSA P-256 key.
        ecdsa_p256: Zeroizing<Vec<u8>>,
        /// Seed of the Ed25519 key for witnesses. It must be no other log's: the keys of all logs
        /// of a host have one name.
        ed25519: [u8; 32],
    },
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
    /// The file holds no key of the kind that the log needs.
    #[error("{path}: not a PKCS#8 PEM of an {kind} private key")]
    NotAKey {
        /// The key file.
        path: String,
        /// Algorithm of the key.
        kind: &'static str,
    },
    /// The origin cannot be the name of a key.
    #[error("the origin cannot be a key name: {0}")]
    Name(String),
    /// The origin of a Rekor v1 log has another form.
    #[error("the origin of a rekor-v1 log is `HOST - TREEID`, not {0:?}")]
    NoTreeId(String),
    /// The keys are those of another personality.
    #[error("a log of this personality has other keys")]
    OtherKeys,
    /// The system has no randomness for a new key.
    #[error("no key could be made: the system gives no randomness")]
    NoRandomness,
}

impl NewKeys {
    /// Keys that nobody can guess.
    ///
    /// # Errors
    /// [`KeyError::NoRandomness`].
    pub fn random(personality: Personality) -> Result<Self, KeyError> {
        if personality != Personality::RekorV1 {
            return Ok(Self::Ed25519(rand::random()));
        }
        let no_randomness = |_| KeyError::NoRandomness;
        let document =
            EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new());
        let ecdsa_p256 = Zeroizing::new(document.map_err(no_randomness)?.as_ref().to_vec());
        Ok(Self::RekorV1 { ecdsa_p256, ed25519: rand::random() })
    }
}

impl Signer {
    /// Reads the log's keys; the origin says their name in notes.
    pub(super) fn load(
        files: &KeyFiles,
        personality: Personality,
        origin: &Origin,
    ) -> Result<Self, KeyError> {
        let name = key_name(personality, origin)?;
        if personality != Personality::RekorV1 {
            let ed25519 = ed25519_signer(&read_ed25519(&files.key)?, name);
            return Ok(Self { ed25519, ecdsa: None });
        }
        let ecdsa = EcdsaSigner::new(&read_ecdsa(&files.key)?, name.clone())
            .ok_or_else(|| not_a_key(&files.key, "ECDSA P-256"))?;
        let ed25519 = ed25519_signer(&read_ed25519(&files.witness_key)?, name);
        Ok(Self { ed25519, ecdsa: Some(ecdsa) })
    }

    /// Writes keys to new files. An existing file is never replaced.
    pub(super) fn create(
        files: &KeyFiles,
        personality: Personality,
        origin: &Origin,
        keys: &NewKeys,
    ) -> Result<Self, KeyError> {
        key_name(personality, origin)?;
        match (keys, personality) {
            (NewKeys::Ed25519(_), Personality::RekorV1) => return Err(KeyError::OtherKeys),
            (NewKeys::Ed25519(seed), _) => write_new(&files.key, &ed25519_pem(&files.key, seed)?)?,
            (NewKeys::RekorV1 { ecdsa_p256, ed25519 }, Personality::RekorV1) => {
                let pem = der::pem::encode_string(PEM_LABEL, LineEnding::LF, ecdsa_p256)
                    .map_err(|_| not_a_key(&files.key, "ECDSA P-256"))?;
                write_new(&files.key, &Zeroizing::new(pem))?;
                write_new(&files.witness_key, &ed25519_pem(&files.witness_key, ed25519)?)?;
            }
            (NewKeys::RekorV1 { .. }, _) => return Err(KeyError::OtherKeys),
        }
        Self::load(files, personality, origin)
    }

    /// The public key by which clients know the log, and by which its store knows it.
    pub(super) fn verifier_key(&self) -> VerifierKey {
        self.ecdsa.as_ref().map_or_else(|| self.witness_key(), EcdsaSigner::verifier_key)
    }

    /// The public key by which witnesses know the log: Ed25519, whatever its clients know.
    pub(super) fn witness_key(&self) -> VerifierKey {
        self.ed25519.verifier_key()
    }

    /// The log's lines for a checkpoint's text, that of [`Signer::verifier_key`] first. The caller
    /// holds a committed head: see `cosign.rs`.
    pub(super) fn sign(&self, text: &str) -> Vec<NoteSignature> {
        let ecdsa = self.ecdsa.as_ref().map(|key| key.sign_note(text));
        ecdsa.into_iter().chain([self.ed25519.sign(text)]).collect()
    }

    /// Signs an entry timestamp, in a log that promises any. The caller has seen the entry in a
    /// published tree: see `promise.rs`.
    pub(super) fn sign_timestamp(&self, entry: &EntryTimestamp<'_>) -> Option<Vec<u8>> {
        self.ecdsa.as_ref().map(|key| key.sign(&entry.signed_bytes()))
    }
}

/// An ECDSA P-256 key with its name in notes.
struct EcdsaSigner {
    key: EcdsaKeyPair,
    verifier_key: VerifierKey,
}

impl EcdsaSigner {
    fn new(pkcs8: &[u8], name: KeyName) -> Option<Self> {
        let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, pkcs8).ok()?;
        let spki = [P256_SPKI_PREFIX, key.public_key().as_ref()].concat();
        let verifier_key = VerifierKey::ecdsa_p256(name, &spki).ok()?;
        Some(Self { key, verifier_key })
    }

    fn verifier_key(&self) -> VerifierKey {
        self.verifier_key.clone()
    }

    fn sign_note(&self, text: &str) -> NoteSignature {
        let Self { verifier_key, .. } = self;
        NoteSignature {
            name: verifier_key.name().clone(),
            id: verifier_key.id(),
            signature: self.sign(text.as_bytes()),
        }
    }

    /// ECDSA with SHA-256, in DER.
    fn sign(&self, message: &[u8]) -> Vec<u8> {
        let signature = self.key.sign(&SystemRandom::new(), message);
        signature.expect("invariant: a loaded key signs").as_ref().to_vec()
    }
}

impl std::fmt::Debug for EcdsaSigner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EcdsaSigner({}, secret key redacted)", self.verifier_key)
    }
}

/// The name of the log's keys: its origin, or the host in the origin of a Rekor v1 log, since the
/// name of a key has no spaces.
fn key_name(personality: Personality, origin: &Origin) -> Result<KeyName, KeyError> {
    let name = match personality {
        Personality::RekorV1 => {
            let parts = TreeId::host_and_tree(origin);
            parts.ok_or_else(|| KeyError::NoTreeId(origin.to_string()))?.0
        }
        Personality::RekorV2 | Personality::Raw => origin.as_str(),
    };
    KeyName::parse(name).map_err(|error| KeyError::Name(error.to_string()))
}

fn ed25519_signer(key: &SigningKey, name: KeyName) -> NoteSigner {
    NoteSigner::ed25519(name, key.to_bytes())
}

fn read_ed25519(path: &Path) -> Result<SigningKey, KeyError> {
    SigningKey::from_pkcs8_pem(&read(path)?).map_err(|_| not_a_key(path, "Ed25519"))
}

fn read_ecdsa(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyError> {
    match der::pem::decode_vec(read(path)?.as_bytes()) {
        Ok((PEM_LABEL, pkcs8)) => Ok(Zeroizing::new(pkcs8)),
        _ => Err(not_a_key(path, "ECDSA P-256")),
    }
}

fn ed25519_pem(path: &Path, seed: &[u8; 32]) -> Result<Zeroizing<String>, KeyError> {
    let pem = SigningKey::from_bytes(seed).to_pkcs8_pem(LineEnding::LF);
    pem.map_err(|_| not_a_key(path, "Ed25519"))
}

fn read(path: &Path) -> Result<Zeroizing<String>, KeyError> {
    fs::read_to_string(path).map(Zeroizing::new).map_err(|source| file(path, source))
}

fn write_new(path: &Path, pem: &str) -> Result<(), KeyError> {
    let mut out = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(KEY_FILE_MODE)
        .open(path)
        .map_err(|source| file(path, source))?;
    out.write_all(pem.as_bytes()).and_then(|()| out.sync_all()).map_err(|source| file(path, source))
}

fn not_a_key(path: &Path, kind: &'static str) -> KeyError {
    KeyError::NotAKey { path: path.display().to_string(), kind }
}

fn file(path: &Path, source: std::io::Error) -> KeyError {
    KeyError::File { path: path.display().to_string(), source }
}

/// DER of the SubjectPublicKeyInfo of a P-256 key (RFC 5480), up to its uncompressed point.
const P256_SPKI_PREFIX: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

#[cfg(test)]
mod tests;

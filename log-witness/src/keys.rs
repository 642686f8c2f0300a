//! Keys: the only file that holds the witness's private keys, and the marker that ties them to
//! their state.
//!
//! The key file is text, one value a line, readable by the operator only:
//!
//! ```text
//! cairn/witness-keys@v1
//! state-id <64 hexadecimal digits>
//! PRIVATE+KEY+<name>+<key id>+<base64 of type and seed>      one line a key
//! ```
//!
//! The key lines have the form that other witnesses read. The state id stands in the database too
//! (FORMAT.md, 5): whoever has these keys without that database does not sign.

use std::fmt;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use log_core::checkpoint::Checkpoint;
use log_core::cosignature::{Cosignature, CosignerKey};
use log_core::key::{KeyAlgorithm, KeyName, VerifierKey};
use log_core::note::{NoteSignature, SignedNote};
use log_core::{Hash, TreeHead};
use zeroize::Zeroizing;

/// First line of a key file.
const HEADER: &str = "cairn/witness-keys@v1";
/// How a private key begins.
const KEY_START: &str = "PRIVATE+KEY+";
/// Type byte of an Ed25519 cosigner.
const TYPE_ED25519: u8 = 0x04;
/// Type byte of an ML-DSA-44 cosigner.
const TYPE_ML_DSA_44: u8 = 0x06;
/// Key files are readable by their owner alone.
const KEY_FILE_MODE: u32 = 0o600;
/// Room for a key file of two keys with the longest name: growing would leave copies behind.
const KEY_FILE_BYTES: usize = 1024;
/// What group and others may do.
const OTHERS_MODE: u32 = 0o077;
/// Lines under the witness's own names on a submitted note that are looked at: whoever sends more
/// of them wants to cost time.
const OWN_LINES_MAX: usize = 4;

/// Which state belongs to which keys: 32 random bytes, made by `init`. Displays as hexadecimal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateId(Hash);

impl StateId {
    /// A new one.
    pub fn random() -> Self {
        Self(Hash::from_bytes(rand::random()))
    }

    /// Takes 32 bytes; `None` for another number.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        Hash::from_slice(bytes).map(Self)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        self.0.as_bytes()
    }
}

impl fmt::Display for StateId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What the witness signs with. Debug output shows the public halves only.
#[derive(Debug)]
pub struct WitnessKeys {
    keys: Vec<CosignerKey>,
    state_id: StateId,
}

/// What valid signatures of these keys on one note say about its log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OwnCosignature {
    /// The head that was cosigned.
    pub head: TreeHead,
    /// When last, in seconds since 1970.
    pub time_s: u64,
}

impl OwnCosignature {
    /// What the lines that [`WitnessKeys::own_lines`] found on a note over `head` say together.
    pub fn of_lines(lines: &[(NoteSignature, Cosignature)], head: TreeHead) -> Option<Self> {
        let time_s = lines.iter().map(|(_, own)| own.time_s()).max()?;
        Some(Self { head, time_s })
    }
}

/// What can be wrong with the key file. It is the operator who must act.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The key file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others than the owner can read or change the file.
    #[error(
        "{path}: others can read or change the keys (mode {mode:04o}); run `chmod 600` on it if \
         nobody has"
    )]
    Open {
        /// The key file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// The file is not what `init` writes.
    #[error("{path}: {what}")]
    Malformed {
        /// The key file.
        path: PathBuf,
        /// What is missing or wrong.
        what: &'static str,
    },
    /// The name cannot be that of a witness.
    #[error("{0}")]
    Name(String),
}

/// A signature that was just made does not verify: the memory or the processor is at fault, or the
/// checkpoint cannot be cosigned. It is thrown away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the own signature does not verify; nothing was released")]
pub struct SigningFault;

impl WitnessKeys {
    /// Puts keys together: at least one, each with its own key id.
    ///
    /// # Panics
    /// There is no key.
    pub fn new(keys: Vec<CosignerKey>, state_id: StateId) -> Self {
        assert!(!keys.is_empty(), "a witness has a key");
        Self { keys, state_id }
    }

    /// Writes new keys of that name to a new file, an existing one is never replaced.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn create(path: &Path, name: &str, state_id: StateId, both: bool) -> Result<(), KeyError> {
        let name = KeyName::parse(name).map_err(|error| KeyError::Name(error.to_string()))?;
        let mut text = Zeroizing::new(String::with_capacity(KEY_FILE_BYTES));
        text.push_str(&format!("{HEADER}\nstate-id {state_id}\n"));
        let types: &[u8] = if both { &[TYPE_ED25519, TYPE_ML_DSA_44] } else { &[TYPE_ED25519] };
        for key_type in types {
            let seed: Zeroizing<[u8; 32]> = Zeroizing::new(rand::random());
            text.push_str(&private_line(&name, *key_type, &seed)?);
        }
        let file = |source| KeyError::File { path: path.to_owned(), source };
        let mut out = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(KEY_FILE_MODE)
            .open(path)
            .map_err(file)?;
        out.write_all(text.as_bytes()).and_then(|()| out.sync_all()).map_err(file)
    }

    /// Reads a key file that nobody but its owner can read or change.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let file = |source| KeyError::File { path: path.to_owned(), source };
        let mode = fs::metadata(path).map_err(file)?.permissions().mode() & 0o7777;
        if mode & OTHERS_MODE != 0 {
            return Err(KeyError::Open { path: path.to_owned(), mode });
        }
        let text = fs::read_to_string(path).map(Zeroizing::new).map_err(file)?;
        Self::parse(&text).map_err(|what| KeyError::Malformed { path: path.to_owned(), what })
    }

    fn parse(text: &str) -> Result<Self, &'static str> {
        let mut lines = text.lines();
        if lines.next() != Some(HEADER) {
            return Err("not a key file of a witness");
        }
        let state_id = lines
            .next()
            .and_then(|line| line.strip_prefix("state-id "))
            .and_then(Hash::from_hex)
            .ok_or("the second line is no state id")?;
        let mut keys: Vec<CosignerKey> = Vec::new();
        for line in lines {
            let key = parse_private(line).ok_or("a bad key")?;
            if keys.iter().any(|had| had.verifier_key() == key.verifier_key()) {
                return Err("a key is there twice");
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err("there is no key");
        }
        Ok(Self { keys, state_id: StateId(state_id) })
    }

    /// The id of the state that these keys belong to.
    pub fn state_id(&self) -> StateId {
        self.state_id
    }

    /// The public halves, in the order of the key file.
    pub fn verifier_keys(&self) -> impl Iterator<Item = &VerifierKey> {
        self.keys.iter().map(CosignerKey::verifier_key)
    }

    /// Signs a checkpoint with every key and verifies each signature. The result is a secret until
    /// the head is durable.
    ///
    /// # Errors
    /// [`SigningFault`]: nothing must be released.
    pub fn cosign(
        &self,
        checkpoint: &Checkpoint,
        time_s: u64,
    ) -> Result<Vec<NoteSignature>, SigningFault> {
        let text = checkpoint.to_text();
        let sign = |key: &CosignerKey| {
            let line = key.cosign(checkpoint, time_s).map_err(|_| SigningFault)?;
            let own = Cosignature::verify(key.verifier_key(), &text, &line.signature);
            own.ok().filter(|own| own.time_s() == time_s).map(|_| line).ok_or(SigningFault)
        };
        self.keys.iter().map(sign).collect()
    }

    /// The lines of every key on a note that this witness has committed with this time, as in an
    /// answer; `None` if one is missing, as after a restart from a note that lacks it.
    pub fn committed_lines(&self, note: &str, time_s: u64) -> Option<String> {
        let note = SignedNote::parse(note.as_bytes()).ok()?;
        self.verifier_keys().try_fold(String::new(), |lines, key| {
            let line = note.signatures().iter().find(|line| {
                let by_key = line.id == key.id() && line.name == *key.name();
                by_key && line.signature.starts_with(&time_s.to_be_bytes())
            })?;
            Some(format!("{lines}{line}\n"))
        })
    }

    /// The keys that sign subtrees and made one of these valid lines: it is their word that a
    /// subtree of the note may be signed on.
    pub fn subtree_cosigners(&self, own: &[(NoteSignature, Cosignature)]) -> Vec<&CosignerKey> {
        let signs = |key: &&CosignerKey| {
            let key = key.verifier_key();
            let by_key = |line: &NoteSignature| line.id == key.id() && line.name == *key.name();
            let subtrees = key.algorithm() == KeyAlgorithm::CosignatureMlDsa44;
            subtrees && own.iter().any(|(line, _)| by_key(line))
        };
        self.keys.iter().filter(signs).collect()
    }

    /// The valid lines of these keys on a note that somebody submitted. Others under the own names
    /// prove nothing and are ignored.
    pub fn own_lines(&self, note: &SignedNote) -> Vec<(NoteSignature, Cosignature)> {
        let own = |line: &NoteSignature| {
            self.verifier_keys().find(|key| key.id() == line.id && *key.name() == line.name)
        };
        let lines = note.signatures().iter().filter_map(|line| Some((own(line)?, line)));
        let verify = |(key, line): (&VerifierKey, &NoteSignature)| {
            let own = Cosignature::verify(key, note.text(), &line.signature).ok()?;
            Some((line.clone(), own))
        };
        lines.take(OWN_LINES_MAX).filter_map(verify).collect()
    }
}

fn private_line(
    name: &KeyName,
    key_type: u8,
    seed: &[u8; 32],
) -> Result<Zeroizing<String>, KeyError> {
    let key = cosigner(name.clone(), key_type, seed)
        .ok_or_else(|| KeyError::Name("the name of a witness has at most 255 bytes".into()))?;
    let value = Zeroizing::new([&[key_type][..], seed].concat());
    let value = Zeroizing::new(STANDARD.encode(&*value));
    let id = key.verifier_key().id();
    // As long as it will be: a string that grows leaves its old bytes behind.
    let length = KEY_START.len() + name.as_str().len() + id.to_string().len() + value.len() + 3;
    let mut line = Zeroizing::new(String::with_capacity(length));
    for part in [KEY_START, name.as_str(), "+", &id.to_string(), "+", &value, "\n"] {
        line.push_str(part);
    }
    Ok(line)
}

fn parse_private(line: &str) -> Option<CosignerKey> {
    // The base64 part may contain a plus itself, so only the first two separate.
    let mut parts = line.strip_prefix(KEY_START)?.splitn(3, '+');
    let (name, id, value) = (parts.next()?, parts.next()?, parts.next()?);
    let value = Zeroizing::new(STANDARD.decode(value).ok()?);
    let (key_type, seed) = value.split_first()?;
    let key = cosigner(KeyName::parse(name).ok()?, *key_type, seed.try_into().ok()?)?;
    (key.verifier_key().id().to_string() == id).then_some(key)
}

fn cosigner(name: KeyName, key_type: u8, seed: &[u8; 32]) -> Option<CosignerKey> {
    match key_type {
        TYPE_ED25519 => Some(CosignerKey::ed25519(name, *seed)),
        TYPE_ML_DSA_44 => CosignerKey::ml_dsa_44(name, *seed).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn file(both: bool) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys");
        let state_id = StateId::from_slice(&[7; 32]).unwrap();
        WitnessKeys::create(&path, "w.example/a", state_id, both).unwrap();
        (dir, path)
    }

    #[test]
    fn a_key_file_is_read_back_and_nobody_else_can_read_it() {
        let (_dir, path) = file(true);
        let keys = WitnessKeys::load(&path).unwrap();
        assert_eq!(keys.state_id().as_bytes(), &[7; 32]);
        assert_eq!(keys.verifier_keys().count(), 2);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(WitnessKeys::create(&path, "w.example/a", keys.state_id(), true).is_err());
        assert!(!format!("{keys:?}").contains("PRIVATE"));
    }

    #[test]
    fn a_key_file_that_others_can_read_or_change_is_refused() {
        let (_dir, path) = file(false);
        for mode in [0o640, 0o604, 0o620, 0o601, 0o644] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let error = WitnessKeys::load(&path).unwrap_err().to_string();
            assert!(error.contains("chmod 600") && error.contains("06"), "{error}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
        assert!(WitnessKeys::load(&path).is_ok());
    }

    #[test]
    fn a_witness_may_hold_one_key() {
        let (_dir, path) = file(false);
        assert_eq!(WitnessKeys::load(&path).unwrap().verifier_keys().count(), 1);
    }

    #[test]
    fn damaged_key_files_are_refused() {
        let (_dir, path) = file(true);
        let text = fs::read_to_string(&path).unwrap();
        let key_line = text.lines().nth(2).unwrap();
        let bad = [
            String::new(),
            text.replace("@v1", "@v2"),
            text.replace("state-id ", "state "),
            text.replace(&"07".repeat(32), "07"),
            text.lines().take(2).map(|line| format!("{line}\n")).collect(),
            text.replace("w.example/a+", "w.example/b+"),
            text.replace(key_line, &key_line[..key_line.len() - 4]),
            text.replace(KEY_START, "PUBLIC+KEY+"),
            format!("{text}more\n"),
            format!("{text}{key_line}\n"),
        ];
        for text in bad {
            assert!(WitnessKeys::parse(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_name_that_cannot_stand_on_a_line_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["", "a b", "a+b", &"x".repeat(256)] {
            let path = dir.path().join("keys");
            assert!(WitnessKeys::create(&path, name, StateId::random(), true).is_err(), "{name}");
            assert!(!path.exists());
        }
    }
}

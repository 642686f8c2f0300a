//! Cosignatures: what a witness says about a checkpoint, and when (c2sp.org/tlog-cosignature).
//!
//! In scope: the messages that are signed, the private keys of a cosigner, and cosignatures that
//! have been verified. Out of scope: whether a witness should sign (that is its own decision),
//! how many cosignatures are enough (`policy`), clocks: the time is an argument.

use std::fmt;
use std::sync::Arc;

use ed25519_dalek::Signer as _;
use ml_dsa::signature::Verifier as _;
use ml_dsa::{EncodedVerifyingKey, MlDsa44};
use thiserror::Error;
use zeroize::Zeroize;

use crate::checkpoint::{Checkpoint, Origin};
use crate::hash::Hash;
use crate::key::{KeyName, SignatureError, VerifierKey};
use crate::note::{NoteSignature, SignedNote};
use crate::subtree::Subtree;

/// Longest name and longest origin in an ML-DSA-44 message, which counts them in one byte.
pub const NAME_BYTES_MAX: usize = 255;
/// Latest time of a cosignature, in seconds since 1970 (tlog-cosignature, "Format").
pub const TIME_S_MAX: u64 = i64::MAX as u64;

/// First line of an Ed25519 cosignature's message.
const ED25519_HEADER: &str = "cosignature/v1\n";
/// First bytes of an ML-DSA-44 cosignature's message.
const ML_DSA_HEADER: &[u8; 12] = b"subtree/v1\n\0";

/// That a cosigner saw a checkpoint: at this time, the consistent tree of the largest size that it
/// knew of this origin had this root. [`Cosignature::verify`] is the only way to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cosignature {
    time_s: u64,
}

impl Cosignature {
    /// Checks a cosigner's line over the text of a checkpoint. `signature` is what follows the key
    /// id: the time and the signature proper.
    ///
    /// # Errors
    /// [`SignatureError`] if the key is no cosigner's, did not sign this, or made no statement
    /// about time (time 0).
    pub fn verify(key: &VerifierKey, text: &str, signature: &[u8]) -> Result<Self, SignatureError> {
        let (time_s, _) = split_time(signature)?;
        if !key.is_cosigner_key() || time_s == 0 {
            return Err(SignatureError::Wrong);
        }
        key.verify(text.as_bytes(), signature)?;
        Ok(Self { time_s })
    }

    /// The first line of this key on a note that verifies. Other lines under its name prove
    /// nothing, for or against it: anybody can add them.
    pub fn find(note: &SignedNote, key: &VerifierKey) -> Option<Self> {
        let own = |line: &&NoteSignature| line.id == key.id() && line.name == *key.name();
        note.signatures()
            .iter()
            .filter(own)
            .find_map(|line| Self::verify(key, note.text(), &line.signature).ok())
    }

    /// When the cosigner signed, in seconds since 1970; never 0.
    pub fn time_s(self) -> u64 {
        self.time_s
    }
}

/// Checks a line that speaks of a subtree, or of a checkpoint without a statement about time
/// (tlog-witness, "sign-subtree"): the time must be 0, and only ML-DSA-44 keys make such lines.
///
/// # Errors
/// [`SignatureError`] if this key did not sign that this is the hash of that subtree.
pub fn verify_subtree(
    key: &VerifierKey,
    origin: &Origin,
    subtree: Subtree,
    hash: &Hash,
    signature: &[u8],
) -> Result<(), SignatureError> {
    let key_name = key.name();
    let key = key.ml_dsa_key().ok_or(SignatureError::Wrong)?;
    let (time_s, signature) = split_time(signature)?;
    if time_s != 0 {
        return Err(SignatureError::Wrong);
    }
    let message = ml_dsa_message(key_name, time_s, origin, subtree, hash)
        .map_err(|_| SignatureError::Malformed)?;
    key.verify(&message, signature)
}

/// A private key of a cosigner. It never prints its secret and wipes it when dropped.
pub struct CosignerKey {
    secret: Secret,
    verifier_key: VerifierKey,
}

/// Boxed: the expanded ML-DSA key has some ten thousand bytes.
enum Secret {
    Ed25519(Box<ed25519_dalek::SigningKey>),
    MlDsa44(Box<ml_dsa::ExpandedSigningKey<MlDsa44>>),
}

impl CosignerKey {
    /// The Ed25519 key (type 0x04) of a 32-byte seed. Cosigners of one operator must not share
    /// it: the message does not name the cosigner.
    pub fn ed25519(name: KeyName, mut seed: [u8; 32]) -> Self {
        let secret = Box::new(ed25519_dalek::SigningKey::from_bytes(&seed));
        seed.zeroize();
        let verifier_key = VerifierKey::cosigner_ed25519(name, secret.verifying_key().to_bytes())
            .expect("invariant: a public key that was just derived is a point of the curve");
        Self { secret: Secret::Ed25519(secret), verifier_key }
    }

    /// The ML-DSA-44 key (type 0x06) of a 32-byte seed (FIPS 204, algorithm 6).
    ///
    /// # Errors
    /// [`CosignError::NameTooLong`]: the message has no room for the name.
    pub fn ml_dsa_44(name: KeyName, mut seed: [u8; 32]) -> Result<Self, CosignError> {
        if name.as_str().len() > NAME_BYTES_MAX {
            return Err(CosignError::NameTooLong);
        }
        let secret = Box::new(ml_dsa::ExpandedSigningKey::<MlDsa44>::from_seed(&seed.into()));
        seed.zeroize();
        let public = secret.verifying_key().encode();
        let verifier_key = VerifierKey::cosigner_ml_dsa_44(name, &public)
            .expect("invariant: a public key that was just derived has its length");
        Ok(Self { secret: Secret::MlDsa44(secret), verifier_key })
    }

    /// The public half.
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.verifier_key
    }

    /// Cosigns a checkpoint at a time in seconds since 1970, from 1 to [`TIME_S_MAX`]. Whoever
    /// calls this has decided that the checkpoint is consistent with all that it signed before.
    ///
    /// # Errors
    /// [`CosignError`]: the time or the origin does not fit into the message.
    pub fn cosign(
        &self,
        checkpoint: &Checkpoint,
        time_s: u64,
    ) -> Result<NoteSignature, CosignError> {
        if time_s == 0 || time_s > TIME_S_MAX {
            return Err(CosignError::BadTime);
        }
        let message = match &self.secret {
            Secret::Ed25519(_) => ed25519_message(checkpoint.to_text().as_bytes(), time_s),
            Secret::MlDsa44(_) => {
                let whole = whole_tree(checkpoint);
                let (origin, root) = (&checkpoint.origin, &checkpoint.head.root_hash);
                ml_dsa_message(self.verifier_key.name(), time_s, origin, whole, root)?
            }
        };
        Ok(self.line(time_s, &message))
    }

    /// Signs, without a statement about time, that a subtree of a log has this hash. `None` for
    /// an Ed25519 key, whose cosignatures speak of checkpoints only.
    pub fn cosign_subtree(
        &self,
        origin: &Origin,
        subtree: Subtree,
        hash: &Hash,
    ) -> Option<Result<NoteSignature, CosignError>> {
        let Secret::MlDsa44(_) = self.secret else { return None };
        let message = ml_dsa_message(self.verifier_key.name(), 0, origin, subtree, hash);
        Some(message.map(|message| self.line(0, &message)))
    }

    fn line(&self, time_s: u64, message: &[u8]) -> NoteSignature {
        let mut signature = time_s.to_be_bytes().to_vec();
        match &self.secret {
            Secret::Ed25519(secret) => signature.extend(secret.sign(message).to_bytes()),
            Secret::MlDsa44(secret) => signature.extend(secret.sign(message).encode()),
        }
        let key = &self.verifier_key;
        NoteSignature { name: key.name().clone(), id: key.id(), signature }
    }
}

impl fmt::Debug for CosignerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = &self.verifier_key;
        write!(f, "CosignerKey({} {}, secret key redacted)", key.name(), key.id())
    }
}

/// Why a cosigner cannot put something into the message that it would sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CosignError {
    /// The name is too long for the key's message.
    #[error("the name of an ML-DSA-44 cosigner has at most {NAME_BYTES_MAX} bytes")]
    NameTooLong,
    /// The origin is too long for the key's message.
    #[error("the origin of a log has at most {NAME_BYTES_MAX} bytes to be cosigned with ML-DSA-44")]
    OriginTooLong,
    /// 0, or beyond [`TIME_S_MAX`].
    #[error("the time of a cosignature is from 1 to 2^63-1 seconds")]
    BadTime,
}

/// An ML-DSA-44 public key. Shared: it is expanded to several kilobytes when it is read.
#[derive(Clone, PartialEq)]
pub(crate) struct MlDsaKey(Arc<ml_dsa::VerifyingKey<MlDsa44>>);

impl Eq for MlDsaKey {}

impl MlDsaKey {
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let encoded = EncodedVerifyingKey::<MlDsa44>::try_from(bytes).ok()?;
        Some(Self(Arc::new(ml_dsa::VerifyingKey::decode(&encoded))))
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        self.0.encode().to_vec()
    }

    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        let signature = ml_dsa::Signature::<MlDsa44>::try_from(signature)
            .map_err(|_| SignatureError::Malformed)?;
        self.0.verify(message, &signature).map_err(|_| SignatureError::Wrong)
    }
}

/// Splits what follows the key id into the time, in seconds, and the signature proper.
pub(crate) fn split_time(signature: &[u8]) -> Result<(u64, &[u8]), SignatureError> {
    let (time, signature) = signature.split_first_chunk::<8>().ok_or(SignatureError::Malformed)?;
    match u64::from_be_bytes(*time) {
        time_s if time_s <= TIME_S_MAX => Ok((time_s, signature)),
        _ => Err(SignatureError::Malformed),
    }
}

/// What an Ed25519 cosigner signs: a time and the whole text, extension lines included.
pub(crate) fn ed25519_message(text: &[u8], time_s: u64) -> Vec<u8> {
    let mut message = format!("{ED25519_HEADER}time {time_s}\n").into_bytes();
    message.extend_from_slice(text);
    message
}

/// What an ML-DSA-44 cosigner signs about the checkpoint that a note's text is.
pub(crate) fn checkpoint_message(
    name: &KeyName,
    text: &[u8],
    time_s: u64,
) -> Result<Vec<u8>, SignatureError> {
    let text = std::str::from_utf8(text).map_err(|_| SignatureError::Malformed)?;
    let checkpoint = Checkpoint::parse(text).map_err(|_| SignatureError::Malformed)?;
    let (origin, root) = (&checkpoint.origin, &checkpoint.head.root_hash);
    ml_dsa_message(name, time_s, origin, whole_tree(&checkpoint), root)
        .map_err(|_| SignatureError::Malformed)
}

fn whole_tree(checkpoint: &Checkpoint) -> Subtree {
    Subtree::new(0, checkpoint.head.size.get())
        .expect("invariant: every range from leaf 0 is a subtree")
}

fn ml_dsa_message(
    name: &KeyName,
    time_s: u64,
    origin: &Origin,
    subtree: Subtree,
    hash: &Hash,
) -> Result<Vec<u8>, CosignError> {
    let (name, origin) = (name.as_str().as_bytes(), origin.as_str().as_bytes());
    let name_len = u8::try_from(name.len()).map_err(|_| CosignError::NameTooLong)?;
    let origin_len = u8::try_from(origin.len()).map_err(|_| CosignError::OriginTooLong)?;
    let mut message = Vec::with_capacity(ML_DSA_HEADER.len() + name.len() + origin.len() + 58);
    message.extend_from_slice(ML_DSA_HEADER);
    message.push(name_len);
    message.extend_from_slice(name);
    message.extend_from_slice(&time_s.to_be_bytes());
    message.push(origin_len);
    message.extend_from_slice(origin);
    message.extend_from_slice(&subtree.start().to_be_bytes());
    message.extend_from_slice(&subtree.end().to_be_bytes());
    message.extend_from_slice(hash.as_bytes());
    Ok(message)
}

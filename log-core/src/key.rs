//! Names, ids and public keys of those who sign notes, and the Ed25519 signer.
//!
//! In scope: key names, key ids, verifier keys ("vkeys"), signatures over the text of a note, as in
//! c2sp.org/signed-note. Out of scope: the note around them (`note`), what a cosignature says
//! (`cosignature`), key files, randomness.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer, SigningKey, Verifier};
use thiserror::Error;
use zeroize::Zeroize;

use crate::cosignature;
use crate::hash::{Hash, sha256};
use crate::note::NoteSignature;

/// Everything in a DER SubjectPublicKeyInfo of an Ed25519 key before its 32 bytes (RFC 8410).
const ED25519_SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Everything in a DER SubjectPublicKeyInfo of a P-256 key before its 65-byte point (RFC 5480).
const P256_SPKI_PREFIX: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];

/// The name on a signature line: not empty, without Unicode spaces, `+` or control characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// Checks a name (signed-note, "Format": no Unicode spaces, no plus).
    ///
    /// # Errors
    /// [`KeyNameError`] says which rule the name breaks.
    pub fn parse(name: &str) -> Result<Self, KeyNameError> {
        if name.is_empty() {
            return Err(KeyNameError::Empty);
        }
        if name.chars().any(|c| c.is_whitespace() || c == '+' || c < ' ') {
            return Err(KeyNameError::ForbiddenCharacter);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a text is not a key name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyNameError {
    /// There is no name.
    #[error("the key name is empty")]
    Empty,
    /// A space, a plus or a control character.
    #[error("the key name contains a space, a plus or a control character")]
    ForbiddenCharacter,
}

/// The first four bytes of the hash that identifies a key; with the name it selects the key of a
/// signature line. Displays as eight lowercase hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId([u8; 4]);

impl KeyId {
    /// Takes the four bytes in the order in which they stand before a signature.
    pub const fn from_bytes(bytes: [u8; 4]) -> Self {
        Self(bytes)
    }

    /// The four bytes in the order in which they stand before a signature.
    pub const fn as_bytes(&self) -> &[u8; 4] {
        &self.0
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08x}", u32::from_be_bytes(self.0))
    }
}

/// What a key signs with, and what it signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyAlgorithm {
    /// Type 0x01: Ed25519 over the text.
    Ed25519,
    /// Type 0x02 with a P-256 key: ECDSA over the SHA-256 of the text, in ASN.1 DER.
    EcdsaP256,
    /// Type 0x04: Ed25519 over a time and the text of a checkpoint (tlog-cosignature).
    CosignatureEd25519,
    /// Type 0x06: ML-DSA-44 over a time, the signer's name, origin, size and root.
    CosignatureMlDsa44,
}

impl KeyAlgorithm {
    /// The byte before the public key in a verifier key (signed-note, "Signature types").
    const fn type_byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::EcdsaP256 => 0x02,
            Self::CosignatureEd25519 => 0x04,
            Self::CosignatureMlDsa44 => 0x06,
        }
    }

    const fn from_type_byte(byte: u8) -> Option<Self> {
        match byte {
            0x01 => Some(Self::Ed25519),
            0x02 => Some(Self::EcdsaP256),
            0x04 => Some(Self::CosignatureEd25519),
            0x06 => Some(Self::CosignatureMlDsa44),
            _ => None,
        }
    }
}

/// A public key with its name: what decides about a signature line.
///
/// Displays as its verifier key, `name+hex8+base64`.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    full_id_hash: Hash,
    key: PublicKey,
}

#[derive(Clone, PartialEq, Eq)]
enum PublicKey {
    Ed25519(ed25519_dalek::VerifyingKey),
    EcdsaP256(p256::ecdsa::VerifyingKey),
    CosignatureEd25519(ed25519_dalek::VerifyingKey),
    CosignatureMlDsa44(cosignature::MlDsaKey),
}

impl VerifierKey {
    /// Reads a verifier key. Only the canonical spelling is accepted: lowercase id, padded base64
    /// without stray bits, and the id that belongs to name and key.
    ///
    /// # Errors
    /// [`VerifierKeyError`] names the part at fault. Key types that [`KeyAlgorithm`] does not list
    /// are [`VerifierKeyError::UnsupportedAlgorithm`].
    pub fn parse(vkey: &str) -> Result<Self, VerifierKeyError> {
        // The base64 part may contain a plus itself, so only the first two separate.
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(VerifierKeyError::MissingPart);
        };
        let name = KeyName::parse(name)?;
        let key = STANDARD.decode(key).map_err(|_| VerifierKeyError::BadBase64)?;
        let (&algorithm, key) = key.split_first().ok_or(VerifierKeyError::BadKey)?;
        let ed25519 = || key.try_into().map_err(|_| VerifierKeyError::BadKey);
        let verifier = match KeyAlgorithm::from_type_byte(algorithm) {
            Some(KeyAlgorithm::Ed25519) => Self::ed25519(name, ed25519()?)?,
            Some(KeyAlgorithm::EcdsaP256) => Self::ecdsa_p256(name, key)?,
            Some(KeyAlgorithm::CosignatureEd25519) => Self::cosigner_ed25519(name, ed25519()?)?,
            Some(KeyAlgorithm::CosignatureMlDsa44) => Self::cosigner_ml_dsa_44(name, key)?,
            None => return Err(VerifierKeyError::UnsupportedAlgorithm(algorithm)),
        };
        if verifier.id().to_string() != id {
            return Err(VerifierKeyError::WrongKeyId);
        }
        Ok(verifier)
    }

    /// Makes the verifier key of a raw 32-byte Ed25519 public key.
    ///
    /// # Errors
    /// [`VerifierKeyError::BadKey`] if the bytes are not a point of the curve, or one of small
    /// order, for which anybody can sign.
    pub fn ed25519(name: KeyName, public_key: [u8; 32]) -> Result<Self, VerifierKeyError> {
        Ok(Self::named(name, PublicKey::Ed25519(ed25519_point(public_key)?)))
    }

    /// Makes the key of a cosigner (type 0x04) of a raw 32-byte Ed25519 public key.
    ///
    /// # Errors
    /// [`VerifierKeyError::BadKey`] as for [`Self::ed25519`].
    pub fn cosigner_ed25519(name: KeyName, public_key: [u8; 32]) -> Result<Self, VerifierKeyError> {
        Ok(Self::named(name, PublicKey::CosignatureEd25519(ed25519_point(public_key)?)))
    }

    /// Makes the key of a cosigner (type 0x06) of a raw ML-DSA-44 public key (FIPS 204).
    ///
    /// # Errors
    /// [`VerifierKeyError::BadKey`] if there are not exactly 1,312 bytes, or the name is longer
    /// than the 255 bytes that the signed message has room for.
    pub fn cosigner_ml_dsa_44(name: KeyName, public_key: &[u8]) -> Result<Self, VerifierKeyError> {
        if name.as_str().len() > cosignature::NAME_BYTES_MAX {
            return Err(VerifierKeyError::BadKey);
        }
        let key = cosignature::MlDsaKey::decode(public_key).ok_or(VerifierKeyError::BadKey)?;
        Ok(Self::named(name, PublicKey::CosignatureMlDsa44(key)))
    }

    /// Makes the verifier key of a P-256 public key in DER SubjectPublicKeyInfo, with the point
    /// uncompressed: the one spelling whose hash is the log id.
    ///
    /// # Errors
    /// [`VerifierKeyError::BadKey`] for any other bytes.
    pub fn ecdsa_p256(name: KeyName, spki_der: &[u8]) -> Result<Self, VerifierKeyError> {
        let point = spki_der
            .strip_prefix(&P256_SPKI_PREFIX)
            .filter(|point| point.len() == 65)
            .ok_or(VerifierKeyError::BadKey)?;
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(point)
            .map_err(|_| VerifierKeyError::BadKey)?;
        Ok(Self { name, full_id_hash: sha256(spki_der), key: PublicKey::EcdsaP256(key) })
    }

    /// Every type but ECDSA hashes name, type and key into the id (signed-note, "Key IDs").
    fn named(name: KeyName, key: PublicKey) -> Self {
        let mut input = Vec::with_capacity(name.0.len() + 2 + 32);
        input.extend_from_slice(name.0.as_bytes());
        input.extend_from_slice(&[b'\n', key.algorithm().type_byte()]);
        input.extend_from_slice(&key.to_bytes());
        Self { name, full_id_hash: sha256(&input), key }
    }

    /// The name that stands on this key's signature lines.
    pub fn name(&self) -> &KeyName {
        &self.name
    }

    /// The id that stands before this key's signatures.
    pub fn id(&self) -> KeyId {
        let [a, b, c, d, ..] = *self.full_id_hash.as_bytes();
        KeyId([a, b, c, d])
    }

    /// All 32 bytes of the hash behind [`Self::id`]: the log id in Rekor's answers.
    pub fn full_id_hash(&self) -> Hash {
        self.full_id_hash
    }

    /// What this key signs with.
    pub fn algorithm(&self) -> KeyAlgorithm {
        self.key.algorithm()
    }

    /// Whether this key may speak for a log: its lines are about the text, or about a checkpoint
    /// without a claim that only a witness makes. An Ed25519 cosignature key may not.
    pub fn is_log_key(&self) -> bool {
        self.algorithm() != KeyAlgorithm::CosignatureEd25519
    }

    /// Whether this key's lines are cosignatures, which carry a time.
    pub fn is_cosigner_key(&self) -> bool {
        use KeyAlgorithm::{CosignatureEd25519, CosignatureMlDsa44};
        matches!(self.algorithm(), CosignatureEd25519 | CosignatureMlDsa44)
    }

    /// Whether both hold the same public key, whatever their names and the type of their lines.
    pub fn same_public_key(&self, other: &Self) -> bool {
        self.public_key_bytes() == other.public_key_bytes()
    }

    /// The key as it stands in a verifier key after the type byte: 32 bytes of an Ed25519 key, the
    /// DER SubjectPublicKeyInfo of an ECDSA key, 1,312 bytes of an ML-DSA-44 key.
    pub fn public_key_bytes(&self) -> Vec<u8> {
        self.key.to_bytes()
    }

    /// The key as DER SubjectPublicKeyInfo; `None` for ML-DSA, which no Sigstore client reads.
    pub fn spki_der(&self) -> Option<Vec<u8>> {
        match &self.key {
            PublicKey::Ed25519(key) | PublicKey::CosignatureEd25519(key) => {
                Some([&ED25519_SPKI_PREFIX[..], key.as_bytes()].concat())
            }
            PublicKey::EcdsaP256(_) => Some(self.key.to_bytes()),
            PublicKey::CosignatureMlDsa44(_) => None,
        }
    }

    /// Checks a signature over the text of a note. `signature` is what follows the key id on the
    /// line: 64 bytes for Ed25519, ASN.1 DER for ECDSA, a time and 64 or 2,420 bytes for the two
    /// kinds of cosignatures. An ML-DSA-44 line is about the checkpoint that the text is.
    ///
    /// # Errors
    /// [`SignatureError`] if this key did not make that signature over that text.
    pub fn verify(&self, text: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        match &self.key {
            PublicKey::Ed25519(key) => verify_ed25519(key, text, signature),
            PublicKey::EcdsaP256(key) => {
                let signature = p256::ecdsa::Signature::from_der(signature)
                    .map_err(|_| SignatureError::Malformed)?;
                key.verify(text, &signature).map_err(|_| SignatureError::Wrong)
            }
            PublicKey::CosignatureEd25519(key) => {
                let (time_s, signature) = cosignature::split_time(signature)?;
                verify_ed25519(key, &cosignature::ed25519_message(text, time_s), signature)
            }
            PublicKey::CosignatureMlDsa44(key) => {
                let (time_s, signature) = cosignature::split_time(signature)?;
                let message = cosignature::checkpoint_message(&self.name, text, time_s)?;
                key.verify(&message, signature)
            }
        }
    }

    /// The key behind a type 0x06 verifier key: only such keys sign subtrees.
    pub(crate) fn ml_dsa_key(&self) -> Option<&cosignature::MlDsaKey> {
        match &self.key {
            PublicKey::CosignatureMlDsa44(key) => Some(key),
            _ => None,
        }
    }
}

impl PublicKey {
    fn algorithm(&self) -> KeyAlgorithm {
        match self {
            Self::Ed25519(_) => KeyAlgorithm::Ed25519,
            Self::EcdsaP256(_) => KeyAlgorithm::EcdsaP256,
            Self::CosignatureEd25519(_) => KeyAlgorithm::CosignatureEd25519,
            Self::CosignatureMlDsa44(_) => KeyAlgorithm::CosignatureMlDsa44,
        }
    }

    fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Ed25519(key) | Self::CosignatureEd25519(key) => key.as_bytes().to_vec(),
            Self::EcdsaP256(key) => {
                let point = key.to_sec1_point(false);
                [&P256_SPKI_PREFIX[..], point.as_bytes()].concat()
            }
            Self::CosignatureMlDsa44(key) => key.encode(),
        }
    }
}

/// Nobody generates a key of small order: its private half does not exist, and everybody can make
/// its signatures. In a policy it would be everybody's vote.
fn ed25519_point(key: [u8; 32]) -> Result<ed25519_dalek::VerifyingKey, VerifierKeyError> {
    let key = ed25519_dalek::VerifyingKey::from_bytes(&key).ok();
    key.filter(|key| !key.is_weak()).ok_or(VerifierKeyError::BadKey)
}

/// The permissive check on purpose: it accepts the same signatures as the other implementations of
/// signed-note, and two honest parties must agree on a note.
fn verify_ed25519(
    key: &ed25519_dalek::VerifyingKey,
    message: &[u8],
    signature: &[u8],
) -> Result<(), SignatureError> {
    let signature =
        ed25519_dalek::Signature::from_slice(signature).map_err(|_| SignatureError::Malformed)?;
    key.verify(message, &signature).map_err(|_| SignatureError::Wrong)
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[self.algorithm().type_byte()][..], &self.public_key_bytes()].concat();
        write!(f, "{}+{}+{}", self.name, self.id(), STANDARD.encode(key))
    }
}

impl fmt::Debug for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "VerifierKey({self})")
    }
}

/// Why a text is not a verifier key, or bytes are not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum VerifierKeyError {
    /// Fewer than two `+`.
    #[error("a verifier key has the form name+id+key")]
    MissingPart,
    /// The name breaks a rule.
    #[error(transparent)]
    BadName(#[from] KeyNameError),
    /// The last part is not canonical, padded base64.
    #[error("the key is not canonical base64")]
    BadBase64,
    /// The bytes are no public key of their type.
    #[error("the bytes are not a public key of their type")]
    BadKey,
    /// A key type that this crate does not verify.
    #[error("key type 0x{0:02x} is not supported")]
    UnsupportedAlgorithm(u8),
    /// The id is not the one of this name and key, or not eight lowercase digits.
    #[error("the key id does not belong to this name and key")]
    WrongKeyId,
}

/// Why a signature does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignatureError {
    /// Wrong length, or not DER where DER is due.
    #[error("the signature has the wrong form for its key")]
    Malformed,
    /// Well formed, but not by this key over this text.
    #[error("the signature does not verify")]
    Wrong,
}

/// An Ed25519 private key with its name. It never prints its secret and wipes it when dropped.
pub struct NoteSigner {
    signing_key: SigningKey,
    verifier_key: VerifierKey,
}

impl NoteSigner {
    /// Makes the signer of a 32-byte Ed25519 seed (RFC 8032 section 5.1.5).
    pub fn ed25519(name: KeyName, mut seed: [u8; 32]) -> Self {
        let signing_key = SigningKey::from_bytes(&seed);
        seed.zeroize();
        let key = PublicKey::Ed25519(signing_key.verifying_key());
        let verifier_key = VerifierKey::named(name, key);
        Self { signing_key, verifier_key }
    }

    /// The public half, for those who verify.
    pub fn verifier_key(&self) -> VerifierKey {
        self.verifier_key.clone()
    }

    /// Signs the text of a note, its final newline included. The same text always gives the same
    /// signature.
    pub fn sign(&self, text: &str) -> NoteSignature {
        NoteSignature {
            name: self.verifier_key.name.clone(),
            id: self.verifier_key.id(),
            signature: self.signing_key.sign(text.as_bytes()).to_bytes().to_vec(),
        }
    }
}

impl fmt::Debug for NoteSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoteSigner({}, secret key redacted)", self.verifier_key)
    }
}

//! Keys in a root: Ed25519, ECDSA with SHA-256 and RSA-PSS with SHA-256.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P521_SHA256_ASN1, ParsedPublicKey,
    RSA_PSS_2048_8192_SHA256, VerificationAlgorithm,
};

use super::super::super::key::{KeyKind, Use};
use super::super::super::signature::verify_ed25519;
use super::super::json::{Json, JsonType};
use super::super::x509::KeyObject;
use super::{TufFault, present};

/// A key that is ready to verify.
pub(super) struct Key {
    bytes: Vec<u8>,
    algorithm: Algorithm,
}

enum Algorithm {
    Ed25519,
    Other(&'static dyn VerificationAlgorithm),
}

impl Key {
    pub(super) fn parse(json: Json<'_>) -> Result<Self, TufFault> {
        let object = |json: Option<Json<'_>>, name: &str| {
            let value = present(json?, name)?;
            (value.json_type() == JsonType::String).then(|| value.as_str().map(Into::into))?
        };
        let kind: Option<String> = object(Some(json), "keytype");
        let value: Option<String> = object(present(json, "keyval"), "public");
        let value = value.unwrap_or_default();
        match kind.as_deref() {
            Some("ed25519") => {
                let bytes = decode_hex(&value).filter(|bytes| bytes.len() == 32);
                let bytes = bytes.ok_or(TufFault::KeyValue("ed25519"))?;
                Ok(Self { bytes, algorithm: Algorithm::Ed25519 })
            }
            Some("ecdsa" | "ecdsa-sha2-nistp256") => from_point(&value)
                .or_else(|| from_pem(&value, false))
                .ok_or(TufFault::KeyValue("ecdsa")),
            Some("rsa") => from_pem(&value, true).ok_or(TufFault::KeyValue("rsa")),
            _ => Err(TufFault::Key),
        }
    }

    /// What makes this key another one than any other.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::Ed25519 => {
                let key = self.bytes.as_slice().try_into().ok();
                let key = key.and_then(|key| ed25519_dalek::VerifyingKey::from_bytes(key).ok());
                key.is_some_and(|key| verify_ed25519(&key, message, signature).is_ok())
            }
            Algorithm::Other(algorithm) => {
                algorithm.verify_sig(&self.bytes, message, signature).is_ok()
            }
        }
    }
}

/// Older roots have the point of a P-256 key in hex.
fn from_point(digits: &str) -> Option<Key> {
    let bytes = decode_hex(digits).filter(|bytes| bytes.first() == Some(&4))?;
    ParsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &bytes).ok()?;
    Some(Key { bytes, algorithm: Algorithm::Other(&ECDSA_P256_SHA256_ASN1) })
}

fn from_pem(pem: &str, wants_rsa: bool) -> Option<Key> {
    let object = KeyObject::parse(pem.as_bytes()).ok().filter(KeyObject::is_bare)?;
    let kind = object.verifying_key(Use::Sha256Message).ok()?.kind();
    let algorithm: &'static dyn VerificationAlgorithm = match kind {
        KeyKind::EcdsaP256 => &ECDSA_P256_SHA256_ASN1,
        KeyKind::EcdsaP384 => &ECDSA_P384_SHA256_ASN1,
        KeyKind::EcdsaP521 => &ECDSA_P521_SHA256_ASN1,
        KeyKind::Rsa => &RSA_PSS_2048_8192_SHA256,
        KeyKind::Ed25519 => return None,
    };
    let is_wanted = wants_rsa == (kind == KeyKind::Rsa);
    let bytes = object.public_key_bytes().filter(|_| is_wanted)?;
    Some(Key { bytes, algorithm: Algorithm::Other(algorithm) })
}

/// Hex in either case.
pub(super) fn decode_hex(digits: &str) -> Option<Vec<u8>> {
    let is_hex = digits.len().is_multiple_of(2) && digits.bytes().all(|d| d.is_ascii_hexdigit());
    let pairs = (0..digits.len()).step_by(2);
    is_hex.then(|| {
        pairs.map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap_or_default()).collect()
    })
}

//! Public keys and the signatures they verify.
//!
//! In scope: ECDSA on the three NIST curves, Ed25519 and Ed25519ph, RSA with PKCS#1 v1.5, each
//! from a DER SubjectPublicKeyInfo; which `keyDetails` label a log writes for a key.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1, ECDSA_P384_SHA256_ASN1,
    ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1,
    ECDSA_P521_SHA512_ASN1, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_2048_8192_SHA384,
    RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey, VerificationAlgorithm,
};
use der::Decode as _;
use der::asn1::ObjectIdentifier;
use ed25519_dalek::{Signature, VerifyingKey};
use log_core::entry::{HashAlgorithm, KeyDetails};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use crate::artefact::Artefact;
use crate::pem::{PemError, pem_block};

/// What kind of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256.
    P256,
    /// ECDSA on P-384.
    P384,
    /// ECDSA on P-521.
    P521,
    /// Ed25519.
    Ed25519,
    /// RSA with a modulus of this many bits.
    Rsa(usize),
}

/// A public key of a kind that signers use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    spki_der: Vec<u8>,
    kind: KeyKind,
}

impl PublicKey {
    /// Reads a DER SubjectPublicKeyInfo.
    pub fn from_spki_der(spki_der: &[u8]) -> Result<Self, PublicKeyError> {
        let spki = SubjectPublicKeyInfoOwned::from_der(spki_der)?;
        let key_bytes = spki.subject_public_key.as_bytes().unwrap_or_default();
        let kind = match spki.algorithm.oid {
            EC_PUBLIC_KEY => {
                let curve = spki.algorithm.parameters.as_ref();
                match curve.and_then(|any| any.decode_as::<ObjectIdentifier>().ok()) {
                    Some(SECP256R1) => KeyKind::P256,
                    Some(SECP384R1) => KeyKind::P384,
                    Some(SECP521R1) => KeyKind::P521,
                    _ => return Err(PublicKeyError::UnknownCurve),
                }
            }
            ED25519 => KeyKind::Ed25519,
            RSA_ENCRYPTION => KeyKind::Rsa(rsa_bits(key_bytes)?),
            other => return Err(PublicKeyError::UnknownAlgorithm(other)),
        };
        let key = Self { spki_der: spki_der.to_vec(), kind };
        key.check_point(key_bytes)?;
        Ok(key)
    }

    /// Reads the first `PUBLIC KEY` block of a PEM text.
    pub fn from_pem(pem: &str) -> Result<Self, PublicKeyError> {
        Self::from_spki_der(&pem_block(pem, "PUBLIC KEY")?)
    }

    /// The DER SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki_der
    }

    /// What kind of key it is.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// The hash that this kind of key signs over when nothing else is said.
    pub fn default_hash(&self) -> HashAlgorithm {
        match self.kind {
            KeyKind::P256 | KeyKind::Rsa(_) => HashAlgorithm::Sha2_256,
            KeyKind::P384 => HashAlgorithm::Sha2_384,
            KeyKind::P521 | KeyKind::Ed25519 => HashAlgorithm::Sha2_512,
        }
    }

    /// The label that a log entry names this key by, with the default hash. `None` for an RSA key
    /// of a size that no log takes.
    pub fn key_details(&self) -> Option<KeyDetails> {
        match self.kind {
            KeyKind::P256 => Some(KeyDetails::PKIX_ECDSA_P256_SHA_256),
            KeyKind::P384 => Some(KeyDetails::PKIX_ECDSA_P384_SHA_384),
            KeyKind::P521 => Some(KeyDetails::PKIX_ECDSA_P521_SHA_512),
            KeyKind::Ed25519 => Some(KeyDetails::PKIX_ED25519_PH),
            KeyKind::Rsa(2048) => Some(KeyDetails::PKIX_RSA_PKCS1V15_2048_SHA256),
            KeyKind::Rsa(3072) => Some(KeyDetails::PKIX_RSA_PKCS1V15_3072_SHA256),
            KeyKind::Rsa(4096) => Some(KeyDetails::PKIX_RSA_PKCS1V15_4096_SHA256),
            KeyKind::Rsa(_) => None,
        }
    }

    /// Verifies a signature over the artefact, as hashedrekord entries demand it: prehashed, and
    /// Ed25519 as Ed25519ph with an empty context.
    pub fn verify(&self, artefact: &Artefact, signature: &[u8]) -> Result<(), BadSignature> {
        self.verify_hashed(self.default_hash(), artefact, signature)
    }

    /// The same for a signature over the digest under `hash`; Ed25519ph knows SHA-512 only.
    pub fn verify_hashed(
        &self,
        hash: HashAlgorithm,
        artefact: &Artefact,
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        if self.kind != KeyKind::Ed25519 {
            return self.verify_with(hash, artefact, signature);
        }
        if hash != HashAlgorithm::Sha2_512 {
            return Err(BadSignature);
        }
        let signature = Signature::from_slice(signature).map_err(|_| BadSignature)?;
        self.ed25519()?
            .verify_prehashed(artefact.ed25519_prehash(), None, &signature)
            .map_err(|_| BadSignature)
    }

    /// Verifies a signature over the message: Ed25519 without prehash, all others with `hash`.
    pub fn verify_message(
        &self,
        hash: HashAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        if self.kind != KeyKind::Ed25519 {
            return self.verify_with(hash, &Artefact::of(message), signature);
        }
        let signature = Signature::from_slice(signature).map_err(|_| BadSignature)?;
        let key = self.ed25519()?;
        ed25519_dalek::Verifier::verify(&key, message, &signature).map_err(|_| BadSignature)
    }

    fn verify_with(
        &self,
        hash: HashAlgorithm,
        artefact: &Artefact,
        signature: &[u8],
    ) -> Result<(), BadSignature> {
        let algorithm = verification(self.kind, hash).ok_or(BadSignature)?;
        UnparsedPublicKey::new(algorithm, &self.spki_der)
            .verify_digest(artefact.digest(hash), signature)
            .map_err(|_| BadSignature)
    }

    /// The 32 bytes of an Ed25519 key; `None` for other kinds.
    pub fn ed25519_bytes(&self) -> Option<[u8; 32]> {
        let tail = self.spki_der.last_chunk().copied();
        tail.filter(|_| self.kind == KeyKind::Ed25519)
    }

    fn ed25519(&self) -> Result<VerifyingKey, BadSignature> {
        let bytes = self.ed25519_bytes().ok_or(BadSignature)?;
        VerifyingKey::from_bytes(&bytes).map_err(|_| BadSignature)
    }

    /// Whether the key bytes are a key at all, so that a broken key is not called a bad signature.
    fn check_point(&self, key_bytes: &[u8]) -> Result<(), PublicKeyError> {
        let valid = match verification(self.kind, self.default_hash()) {
            None => self.ed25519().is_ok() && key_bytes.len() == 32,
            Some(algorithm) => UnparsedPublicKey::new(algorithm, &self.spki_der).parse().is_ok(),
        };
        if valid { Ok(()) } else { Err(PublicKeyError::NotAKey) }
    }
}

/// Why bytes are no public key that is understood here.
#[derive(Debug, thiserror::Error)]
pub enum PublicKeyError {
    /// The PEM around the key is broken or absent.
    #[error(transparent)]
    Pem(#[from] PemError),
    /// The DER is broken.
    #[error("public key is not a DER SubjectPublicKeyInfo")]
    Der(#[from] der::Error),
    /// The curve is none of P-256, P-384 and P-521.
    #[error("public key is on a curve other than P-256, P-384 and P-521")]
    UnknownCurve,
    /// The algorithm is not ECDSA, Ed25519 or RSA.
    #[error("public key has unsupported algorithm {0}")]
    UnknownAlgorithm(ObjectIdentifier),
    /// The numbers are not a key: a point off the curve, an RSA modulus too small or too large.
    #[error("public key is not a usable key of its type")]
    NotAKey,
}

/// The signature does not verify.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("signature does not verify")]
pub struct BadSignature;

/// The DER SubjectPublicKeyInfo of an Ed25519 key (RFC 8410, section 4).
pub fn ed25519_spki(key: &[u8; 32]) -> Vec<u8> {
    const PREFIX: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0];
    [PREFIX.as_slice(), key].concat()
}

fn verification(kind: KeyKind, hash: HashAlgorithm) -> Option<&'static dyn VerificationAlgorithm> {
    use HashAlgorithm::{Sha2_256, Sha2_384, Sha2_512};
    Some(match (kind, hash) {
        (KeyKind::P256, Sha2_256) => &ECDSA_P256_SHA256_ASN1,
        (KeyKind::P256, Sha2_384) => &ECDSA_P256_SHA384_ASN1,
        (KeyKind::P256, Sha2_512) => &ECDSA_P256_SHA512_ASN1,
        (KeyKind::P384, Sha2_256) => &ECDSA_P384_SHA256_ASN1,
        (KeyKind::P384, Sha2_384) => &ECDSA_P384_SHA384_ASN1,
        (KeyKind::P384, Sha2_512) => &ECDSA_P384_SHA512_ASN1,
        (KeyKind::P521, Sha2_256) => &ECDSA_P521_SHA256_ASN1,
        (KeyKind::P521, Sha2_384) => &ECDSA_P521_SHA384_ASN1,
        (KeyKind::P521, Sha2_512) => &ECDSA_P521_SHA512_ASN1,
        (KeyKind::Rsa(_), Sha2_256) => &RSA_PKCS1_2048_8192_SHA256,
        (KeyKind::Rsa(_), Sha2_384) => &RSA_PKCS1_2048_8192_SHA384,
        (KeyKind::Rsa(_), Sha2_512) => &RSA_PKCS1_2048_8192_SHA512,
        (KeyKind::Ed25519, _) => return None,
    })
}

/// The size of the modulus of a PKCS#1 `RSAPublicKey`.
fn rsa_bits(key: &[u8]) -> Result<usize, PublicKeyError> {
    #[derive(der::Sequence)]
    struct RsaPublicKey {
        modulus: der::asn1::Uint,
        exponent: der::asn1::Uint,
    }
    let key = RsaPublicKey::from_der(key)?;
    if key.exponent.as_bytes().is_empty() {
        return Err(PublicKeyError::NotAKey);
    }
    let modulus = key.modulus.as_bytes();
    let leading_zeros = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
    Ok(modulus.len() * 8 - leading_zeros)
}

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const SECP521R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_key_is_refused() {
        let p256 = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
        let bytes = |text: &str| {
            let pairs = (0..text.len()).step_by(2);
            pairs.map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect::<Vec<_>>()
        };
        let off_curve = [bytes(p256), vec![4], vec![7; 64]].concat();
        assert!(matches!(PublicKey::from_spki_der(&off_curve), Err(PublicKeyError::NotAKey)));
        assert!(matches!(PublicKey::from_spki_der(&[]), Err(PublicKeyError::Der(_))));
        let mut trailing = ed25519_spki(&[0; 32]);
        trailing.push(0);
        assert!(matches!(PublicKey::from_spki_der(&trailing), Err(PublicKeyError::Der(_))));
        // The point of order two is a point; a y coordinate without x is none.
        let mut y = [0; 32];
        y[0] = 2;
        let result = PublicKey::from_spki_der(&ed25519_spki(&y));
        assert!(matches!(result, Err(PublicKeyError::NotAKey)));
        assert!(matches!(PublicKey::from_pem("x"), Err(PublicKeyError::Pem(_))));
    }
}

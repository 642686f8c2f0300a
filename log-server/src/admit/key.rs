//! The submitter's key, out of a DER SubjectPublicKeyInfo or an X.509 certificate.
//!
//! What is read: strict DER without trailing bytes; uncompressed points on P-256, P-384 and P-521;
//! RSA of 2048, 3072 and 4096 bits; Ed25519. Nothing of a certificate but its key matters: neither
//! chain nor dates nor extensions.

use std::fmt;

use aws_lc_rs::digest::Digest;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P521_SHA256_ASN1,
    ECDSA_P521_SHA512_ASN1, ParsedPublicKey, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
    RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm,
};
use der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use der::referenced::OwnedToRef;
use der::{Decode, Sequence};
use x509_cert::Certificate;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::refusal::Reason;
use super::signature;

const ID_EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const SECP256R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const SECP384R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const SECP521R1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const RSA_ENCRYPTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const ID_ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// First byte of an uncompressed point (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

/// The RSA sizes of the policy, in bits of the modulus.
const RSA_BITS: [usize; 3] = [2048, 3072, 4096];

/// RSA sizes outside the policy, in bits: smaller keys are broken, larger ones cost too much.
const RSA_BITS_OF_MESSAGES: std::ops::RangeInclusive<usize> = 1024..=8192;

/// What a key is going to verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    /// Digests of the one hash function that the policy gives to its kind, in its sizes.
    PolicyDigest,
    /// Messages, hashed with SHA-256 unless the key is Ed25519: the older kinds of Rekor v1.
    Sha256Message,
}

/// A kind of key that the policy knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// ECDSA on P-256.
    EcdsaP256,
    /// ECDSA on P-384.
    EcdsaP384,
    /// ECDSA on P-521.
    EcdsaP521,
    /// RSA of 2048, 3072 or 4096 bits.
    Rsa,
    /// Ed25519, pure or prehashed.
    Ed25519,
}

impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::EcdsaP256 => "ECDSA P-256",
            Self::EcdsaP384 => "ECDSA P-384",
            Self::EcdsaP521 => "ECDSA P-521",
            Self::Rsa => "RSA",
            Self::Ed25519 => "Ed25519",
        })
    }
}

/// A key that is good for verifying: its point is on its curve, its size is allowed.
pub(super) enum VerifyingKey {
    Ecdsa(KeyKind, ParsedPublicKey),
    Rsa(ParsedPublicKey),
    Ed25519(ed25519_dalek::VerifyingKey),
}

impl VerifyingKey {
    pub(super) fn from_public_key(der: &[u8]) -> Result<Self, Reason> {
        let info = SubjectPublicKeyInfoRef::from_der(der);
        Self::from_info(&info.map_err(|_| Reason::MalformedPublicKey)?, Use::PolicyDigest)
    }

    pub(super) fn from_certificate(der: &[u8]) -> Result<Self, Reason> {
        let certificate = Certificate::from_der(der).map_err(|_| Reason::MalformedCertificate)?;
        let info = certificate.tbs_certificate().subject_public_key_info();
        Self::from_info(&info.owned_to_ref(), Use::PolicyDigest)
    }

    pub(super) fn kind(&self) -> KeyKind {
        match self {
            Self::Ecdsa(kind, _) => *kind,
            Self::Rsa(_) => KeyKind::Rsa,
            Self::Ed25519(_) => KeyKind::Ed25519,
        }
    }

    /// Verifies a signature over a message of which only the digest is known. The digest must be of
    /// the hash function that the policy gives this key.
    pub(super) fn verify_digest(&self, digest: &Digest, signature: &[u8]) -> Result<(), Reason> {
        match self {
            Self::Ecdsa(_, key) => signature::verify_ecdsa(key, digest, signature),
            Self::Rsa(key) => signature::verify_rsa(key, digest, signature),
            Self::Ed25519(key) => signature::verify_ed25519ph(key, digest, signature),
        }
    }

    pub(super) fn from_info(
        info: &SubjectPublicKeyInfoRef<'_>,
        purpose: Use,
    ) -> Result<Self, Reason> {
        let key = info.subject_public_key.as_bytes().ok_or(Reason::InvalidKey)?;
        let parameters = info.algorithm.parameters;
        match info.algorithm.oid {
            ID_EC_PUBLIC_KEY => Self::from_point(parameters, key, purpose),
            RSA_ENCRYPTION if parameters == Some(AnyRef::NULL) => Self::from_rsa(key, purpose),
            ID_ED25519 if parameters.is_none() => {
                let bytes = key.try_into().map_err(|_| Reason::InvalidKey)?;
                ed25519_dalek::VerifyingKey::from_bytes(bytes)
                    .map(Self::Ed25519)
                    .map_err(|_| Reason::InvalidKey)
            }
            RSA_ENCRYPTION | ID_ED25519 => Err(Reason::InvalidKey),
            _ => Err(Reason::UnsupportedKey),
        }
    }

    fn from_point(curve: Option<AnyRef<'_>>, point: &[u8], purpose: Use) -> Result<Self, Reason> {
        let curve: ObjectIdentifier =
            curve.and_then(|curve| curve.decode_as().ok()).ok_or(Reason::UnsupportedKey)?;
        let (kind, algorithm): (_, &'static dyn VerificationAlgorithm) = match (curve, purpose) {
            (SECP256R1, _) => (KeyKind::EcdsaP256, &ECDSA_P256_SHA256_ASN1),
            (SECP384R1, Use::PolicyDigest) => (KeyKind::EcdsaP384, &ECDSA_P384_SHA384_ASN1),
            (SECP384R1, Use::Sha256Message) => (KeyKind::EcdsaP384, &ECDSA_P384_SHA256_ASN1),
            (SECP521R1, Use::PolicyDigest) => (KeyKind::EcdsaP521, &ECDSA_P521_SHA512_ASN1),
            (SECP521R1, Use::Sha256Message) => (KeyKind::EcdsaP521, &ECDSA_P521_SHA256_ASN1),
            _ => return Err(Reason::UnsupportedKey),
        };
        if point.first() != Some(&UNCOMPRESSED) {
            return Err(Reason::InvalidKey);
        }
        ParsedPublicKey::new(algorithm, point)
            .map(|key| Self::Ecdsa(kind, key))
            .map_err(|_| Reason::InvalidKey)
    }

    fn from_rsa(der: &[u8], purpose: Use) -> Result<Self, Reason> {
        let key = RsaPublicKey::from_der(der).map_err(|_| Reason::InvalidKey)?;
        let bits = bit_len(key.modulus.as_bytes());
        let (is_allowed, algorithm) = match purpose {
            Use::PolicyDigest => (RSA_BITS.contains(&bits), &RSA_PKCS1_2048_8192_SHA256),
            Use::Sha256Message => (
                RSA_BITS_OF_MESSAGES.contains(&bits),
                &RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY,
            ),
        };
        if !is_allowed {
            return Err(Reason::UnsupportedRsaSize(bits));
        }
        if !is_rsa_exponent(key.exponent.as_bytes()) {
            return Err(Reason::InvalidKey);
        }
        ParsedPublicKey::new(algorithm, der).map(Self::Rsa).map_err(|_| Reason::InvalidKey)
    }
}

/// RFC 8017 A.1.1.
#[derive(Sequence)]
pub(super) struct RsaPublicKey<'a> {
    pub(super) modulus: UintRef<'a>,
    pub(super) exponent: UintRef<'a>,
}

/// Number of bits of a big-endian number without leading zero bytes.
fn bit_len(number: &[u8]) -> usize {
    let top_zeros = number.first().map_or(0, |top| top.leading_zeros() as usize);
    number.len() * 8 - top_zeros
}

/// Odd, at least 3, and below 2^31, which is what clients' libraries take.
fn is_rsa_exponent(number: &[u8]) -> bool {
    let odd = number.last().is_some_and(|low| low & 1 == 1);
    odd && number != [1] && bit_len(number) <= 31
}

#[cfg(test)]
mod tests;

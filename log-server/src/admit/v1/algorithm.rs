//! Signature algorithms of formats in which keys and hash functions are combined at will: CMS,
//! OpenPGP, packages.

use aws_lc_rs::digest::{self, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA1_ASN1, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1,
    ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA1_ASN1,
    ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1, ECDSA_P521_SHA512_ASN1,
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
};

use super::super::key::KeyKind;

/// A hash function of a signature. Older ones than these are broken; SHA-1 is too, but whole
/// package formats sign nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HashFunction {
    Sha1,
    Sha256,
    Sha384,
    Sha512,
}

impl HashFunction {
    pub(super) fn algorithm(self) -> &'static digest::Algorithm {
        match self {
            Self::Sha1 => &SHA1_FOR_LEGACY_USE_ONLY,
            Self::Sha256 => &SHA256,
            Self::Sha384 => &SHA384,
            Self::Sha512 => &SHA512,
        }
    }

    pub(super) fn digest(self, message: &[u8]) -> digest::Digest {
        digest::digest(self.algorithm(), message)
    }
}

/// How a key verifies a signature made with this hash function: ECDSA in DER, RSA PKCS#1 v1.5.
/// `None` for Ed25519, which hashes by itself, and for pairs that nobody makes.
pub(super) fn verification(
    key: KeyKind,
    hash: HashFunction,
) -> Option<&'static dyn VerificationAlgorithm> {
    use HashFunction::{Sha1, Sha256, Sha384, Sha512};
    Some(match (key, hash) {
        (KeyKind::EcdsaP256, Sha1) => &ECDSA_P256_SHA1_ASN1,
        (KeyKind::EcdsaP256, Sha256) => &ECDSA_P256_SHA256_ASN1,
        (KeyKind::EcdsaP256, Sha384) => &ECDSA_P256_SHA384_ASN1,
        (KeyKind::EcdsaP256, Sha512) => &ECDSA_P256_SHA512_ASN1,
        (KeyKind::EcdsaP384, Sha256) => &ECDSA_P384_SHA256_ASN1,
        (KeyKind::EcdsaP384, Sha384) => &ECDSA_P384_SHA384_ASN1,
        (KeyKind::EcdsaP384, Sha512) => &ECDSA_P384_SHA512_ASN1,
        (KeyKind::EcdsaP521, Sha1) => &ECDSA_P521_SHA1_ASN1,
        (KeyKind::EcdsaP521, Sha256) => &ECDSA_P521_SHA256_ASN1,
        (KeyKind::EcdsaP521, Sha384) => &ECDSA_P521_SHA384_ASN1,
        (KeyKind::EcdsaP521, Sha512) => &ECDSA_P521_SHA512_ASN1,
        (KeyKind::Rsa, Sha1) => &RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY,
        (KeyKind::Rsa, Sha256) => &RSA_PKCS1_2048_8192_SHA256,
        (KeyKind::Rsa, Sha384) => &RSA_PKCS1_2048_8192_SHA384,
        (KeyKind::Rsa, Sha512) => &RSA_PKCS1_2048_8192_SHA512,
        (KeyKind::EcdsaP384, Sha1) | (KeyKind::Ed25519, _) => return None,
    })
}

/// How an RSA key verifies a signature with PSS.
pub(super) fn pss(hash: HashFunction) -> Option<&'static dyn VerificationAlgorithm> {
    match hash {
        HashFunction::Sha1 => None,
        HashFunction::Sha256 => Some(&RSA_PSS_2048_8192_SHA256),
        HashFunction::Sha384 => Some(&RSA_PSS_2048_8192_SHA384),
        HashFunction::Sha512 => Some(&RSA_PSS_2048_8192_SHA512),
    }
}

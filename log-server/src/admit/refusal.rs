//! Why a request is not admitted. The texts start as those of the reference server, which clients
//! may have seen; the reason follows.

use log_core::entry::KeyDetails;
use log_core::leaf::LEAF_BYTES_MAX;
use thiserror::Error;

use super::algorithm::Implied;
use super::dsse::{SIGNATURES_MAX, VERIFIERS_MAX};
use super::key::KeyKind;

/// A request that is not admitted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// The `hashedrekord` does not hold.
    #[error("invalid hashedrekord request: {0}")]
    InvalidHashedRekord(Reason),
    /// The `dsse` does not hold.
    #[error("invalid dsse request: {0}")]
    InvalidDsse(Reason),
    /// The request has no entry of a kind that this log takes.
    #[error("invalid type, must be {}", kinds(*.dsse_on))]
    NoSpec {
        /// Whether this log takes `dsse`.
        dsse_on: bool,
    },
    /// The entry is longer than an entry bundle can hold.
    #[error("the canonical entry is longer than {LEAF_BYTES_MAX} bytes")]
    LeafTooLong,
}

fn kinds(dsse_on: bool) -> &'static str {
    if dsse_on { "either hashedrekord or dsse" } else { "hashedrekord" }
}

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Reason {
    /// No digest, or one of no bytes.
    #[error("digest is missing")]
    DigestMissing,
    /// No signature, or one of no bytes.
    #[error("signature is missing")]
    SignatureMissing,
    /// No verifier.
    #[error("verifier is missing")]
    VerifierMissing,
    /// Neither public key nor certificate, or one of no bytes.
    #[error("verifier has neither public key nor certificate")]
    KeyMissing,
    /// The public key cannot be read.
    #[error("public key is not a DER SubjectPublicKeyInfo")]
    MalformedPublicKey,
    /// The certificate cannot be read.
    #[error("certificate is not one DER X.509 certificate")]
    MalformedCertificate,
    /// The key itself, inside its SubjectPublicKeyInfo, is malformed or not on its curve.
    #[error("key is not valid for its algorithm")]
    InvalidKey,
    /// A kind of key or a curve that no log takes.
    #[error("key algorithm or curve is not supported")]
    UnsupportedKey,
    /// An RSA key of another size than 2048, 3072 or 4096 bits.
    #[error("RSA key of {0} bits is not supported")]
    UnsupportedRsaSize(usize),
    /// A `keyDetails` that is missing or names nothing that the protocol supports.
    #[error("keyDetails {0} is not supported")]
    UnsupportedKeyDetails(i32),
    /// The key must not be used as `keyDetails` says.
    #[error("{key} key with keyDetails {label} ({implied}) is not allowed")]
    AlgorithmNotAllowed {
        /// The actual key.
        key: KeyKind,
        /// The submitter's label.
        label: KeyDetails,
        /// What the label says about hashing.
        implied: Implied,
    },
    /// The digest is not one of the hash function that `keyDetails` implies.
    #[error("digest has {actual} bytes, keyDetails implies {expected}")]
    DigestLength {
        /// Bytes in the request.
        actual: usize,
        /// Bytes that the hash function makes.
        expected: usize,
    },
    /// The signature is not of this key over this digest.
    #[error("signature does not verify")]
    SignatureInvalid,
    /// No envelope.
    #[error("envelope is missing")]
    EnvelopeMissing,
    /// No verifier, or too many.
    #[error("{0} verifiers, not 1 to {VERIFIERS_MAX}")]
    VerifierCount(usize),
    /// No signature, or too many.
    #[error("{0} signatures, not 1 to {SIGNATURES_MAX}")]
    SignatureCount(usize),
    /// Two verifiers with the same key or certificate.
    #[error("two verifiers are the same")]
    VerifierRepeated,
    /// A signature that none of the verifiers verifies.
    #[error("signature {0} is verified by none of the verifiers")]
    SignatureUncovered(usize),
}

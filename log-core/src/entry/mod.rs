//! Rekor's entries and their canonical leaves: sorted JSON without white space (RFC 8785).
//!
//! In scope: what the kinds hold, and their bytes in both directions. Out of scope: whether keys
//! and signatures are good (that is admission), and requests.

mod canonical;
pub mod dsse;
pub mod hashedrekord;
mod key_details;

use thiserror::Error;

pub use dsse::Dsse;
pub use hashedrekord::HashedRekord;
pub use key_details::KeyDetails;

use crate::leaf::{Leaf, LeafTooLong};

/// Version of both kinds, as in `apiVersion` and in Rekor's answers.
pub const API_VERSION: &str = "0.0.2";

/// A hash function that an entry names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashAlgorithm {
    /// SHA-256, 32 bytes.
    Sha2_256,
    /// SHA-384, 48 bytes.
    Sha2_384,
    /// SHA-512, 64 bytes.
    Sha2_512,
}

impl HashAlgorithm {
    /// The name in a canonical leaf: that of Sigstore's enum `HashAlgorithm`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha2_256 => "SHA2_256",
            Self::Sha2_384 => "SHA2_384",
            Self::Sha2_512 => "SHA2_512",
        }
    }

    /// Length of a digest in bytes.
    pub const fn digest_len(self) -> usize {
        match self {
            Self::Sha2_256 => 32,
            Self::Sha2_384 => 48,
            Self::Sha2_512 => 64,
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Sha2_256, Self::Sha2_384, Self::Sha2_512].into_iter().find(|a| a.name() == name)
    }
}

/// What a signature was checked with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verifier {
    /// A public key: DER SubjectPublicKeyInfo, as it was submitted.
    PublicKey(Vec<u8>),
    /// An X.509 certificate: DER, as it was submitted.
    Certificate(Vec<u8>),
}

/// A signature with what verifies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// The signature's bytes as they were submitted, never re-encoded; not empty.
    pub content: Vec<u8>,
    /// What it was checked with.
    pub verifier: Verifier,
    /// The submitter's label for key and algorithm. It need not fit the key.
    pub key_details: KeyDetails,
}

/// What one leaf of a Rekor v2 log says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// Somebody signed an artefact with this digest.
    HashedRekord(HashedRekord),
    /// Somebody signed a DSSE envelope with this payload.
    Dsse(Dsse),
}

impl Entry {
    /// The kind as in the leaf: `hashedrekord` or `dsse`.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::HashedRekord(_) => HashedRekord::KIND,
            Self::Dsse(_) => Dsse::KIND,
        }
    }

    /// The version of the kind, always [`API_VERSION`].
    pub const fn api_version(&self) -> &'static str {
        API_VERSION
    }

    /// The canonical leaf.
    ///
    /// # Errors
    /// [`LeafTooLong`] if a bundle could not hold it.
    pub fn to_leaf(&self) -> Result<Leaf, LeafTooLong> {
        match self {
            Self::HashedRekord(entry) => entry.to_leaf(),
            Self::Dsse(entry) => entry.to_leaf(),
        }
    }

    /// Reads a leaf. Only canonical bytes are an entry: encoding the result gives `leaf` again.
    ///
    /// # Errors
    /// [`EntryError`]; also for leaves of other kinds or versions.
    pub fn parse(leaf: &[u8]) -> Result<Self, EntryError> {
        let entry = canonical::decode(leaf)?;
        match entry.to_leaf() {
            Ok(again) if again.as_bytes() == leaf => Ok(entry),
            Ok(_) => Err(EntryError::NotCanonical),
            Err(too_long) => Err(EntryError::TooLong(too_long)),
        }
    }
}

/// Why bytes are not a canonical leaf of a known kind.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EntryError {
    /// Not JSON of the expected shape.
    #[error("the entry is not JSON of a known shape (line {line}, column {column})")]
    BadJson {
        /// Line at which reading stopped, from 1.
        line: usize,
        /// Column at which reading stopped, from 1, in bytes.
        column: usize,
    },
    /// A kind or version that this crate does not know.
    #[error("the entry is neither hashedrekord nor dsse of version {API_VERSION}")]
    UnknownKind,
    /// The hash algorithm is unknown, or the digest has another length.
    #[error("the digest does not fit its algorithm")]
    BadDigest,
    /// The name is not in Sigstore's enum `PublicKeyDetails`.
    #[error("the key details are unknown")]
    UnknownKeyDetails,
    /// A value is not base64, or is empty.
    #[error("a value is empty or not base64")]
    BadBase64,
    /// Neither or both of public key and certificate, or no signature at all.
    #[error("a signature or its verifier is missing or ambiguous")]
    BadSignature,
    /// The same content has other canonical bytes.
    #[error("the entry is not in its canonical form")]
    NotCanonical,
    /// More than any leaf may have.
    #[error(transparent)]
    TooLong(LeafTooLong),
}

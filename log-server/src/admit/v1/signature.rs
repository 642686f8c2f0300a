//! Signatures, with the words in which the reference server says that one does not verify. Some
//! clients compare them.

use std::cell::OnceCell;

use aws_lc_rs::digest::{Digest, SHA256, digest};
use aws_lc_rs::signature::ParsedPublicKey;
use der::asn1::IntRef;
use der::{Decode as _, Header, Reader as _, SliceReader, Tag};
use thiserror::Error;

use super::super::key::VerifyingKey;
use super::super::signature::{p1363_to_der, verify_ed25519, verify_ed25519ph, verify_rsa};

/// Why a signature does not verify.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SignatureFault {
    /// No bytes.
    #[error("X509 signature has not been initialized")]
    Empty,
    /// An ECDSA signature in neither of its two encodings.
    #[error("ecdsa: Invalid IEEE_P1363 encoded bytes")]
    NeitherEncoding,
    /// An ECDSA signature that looks like DER.
    #[error("invalid signature when validating ASN.1 encoded signature")]
    Asn1,
    /// An ECDSA signature that looks like two numbers, one behind the other.
    #[error("invalid signature when validating IEEE_P1363 encoded signature")]
    P1363,
    /// RSA.
    #[error("crypto/rsa: verification error")]
    Rsa,
    /// Ed25519 over a message.
    #[error("failed to verify signature")]
    Ed25519,
    /// Ed25519 over a digest.
    #[error("failed to verify signature: ed25519: invalid signature")]
    Ed25519ph,
    /// Ed25519 over a digest of another hash function than SHA-512.
    #[error("unsupported hash algorithm: \"{0}\" not in [SHA-512]")]
    Ed25519phHash(&'static str),
}

/// Verifies a signature over a message of which only the digest is known.
pub(super) fn verify_digest(
    key: &VerifyingKey,
    digest: &Digest,
    signature: &[u8],
) -> Result<(), SignatureFault> {
    match key {
        VerifyingKey::Ecdsa(_, key) => verify_ecdsa(key, digest, signature),
        VerifyingKey::Rsa(key) => {
            verify_rsa(key, digest, signature).map_err(|_| SignatureFault::Rsa)
        }
        VerifyingKey::Ed25519(key) => {
            verify_ed25519ph(key, digest, signature).map_err(|_| SignatureFault::Ed25519ph)
        }
    }
}

/// A message that several keys may have signed, hashed at most once.
pub(super) struct Message<'a> {
    bytes: &'a [u8],
    sha256: OnceCell<Digest>,
}

impl<'a> Message<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, sha256: OnceCell::new() }
    }

    /// Verifies with a key that was made for messages.
    pub(super) fn verify(
        &self,
        key: &VerifyingKey,
        signature: &[u8],
    ) -> Result<(), SignatureFault> {
        match key {
            VerifyingKey::Ed25519(key) => {
                verify_ed25519(key, self.bytes, signature).map_err(|_| SignatureFault::Ed25519)
            }
            _ => {
                let digest = self.sha256.get_or_init(|| digest(&SHA256, self.bytes));
                verify_digest(key, digest, signature)
            }
        }
    }
}

fn verify_ecdsa(
    key: &ParsedPublicKey,
    digest: &Digest,
    signature: &[u8],
) -> Result<(), SignatureFault> {
    if looks_like_asn1(signature).is_ok() {
        return key.verify_digest_sig(digest, signature).map_err(|_| SignatureFault::Asn1);
    }
    let der = p1363_to_der(signature).map_err(|_| SignatureFault::NeitherEncoding)?;
    key.verify_digest_sig(digest, &der).map_err(|_| SignatureFault::P1363)
}

/// A sequence that starts with two integers. Whether more follows is not looked at here: this
/// decides only about the encoding, and so about the words of a refusal.
fn looks_like_asn1(signature: &[u8]) -> der::Result<()> {
    let mut reader = SliceReader::new(signature)?;
    let header = Header::decode(&mut reader)?;
    header.tag().assert_eq(Tag::Sequence)?;
    let content = reader.read_slice(header.length())?;
    let mut content = SliceReader::new(content)?;
    IntRef::decode(&mut content)?;
    IntRef::decode(&mut content)?;
    Ok(())
}

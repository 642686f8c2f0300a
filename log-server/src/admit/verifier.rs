//! A verifier of a request: the key that it holds, ready to verify, and its label.

use aws_lc_rs::digest;
use log_core::entry::{self, HashAlgorithm};
use log_core::leaf::LEAF_BYTES_MAX;
use log_proto::rekor::v2 as proto;
use log_proto::rekor::v2::verifier::Verifier as Key;

use super::algorithm::Label;
use super::key::VerifyingKey;
use super::refusal::Reason;

/// Longest key, certificate or signature that is looked at, in bytes: base64 makes four bytes of
/// three, so no leaf can hold more. Megabytes of certificate are refused before they are parsed.
const PART_BYTES_MAX: usize = LEAF_BYTES_MAX / 4 * 3;

/// Whether a key, certificate or signature is longer than any leaf can hold.
pub(super) fn is_too_long(part: &[u8]) -> bool {
    part.len() > PART_BYTES_MAX
}

/// The key or certificate of a verifier; empty if there is none.
pub(super) fn raw_bytes(verifier: &proto::Verifier) -> &[u8] {
    match &verifier.verifier {
        Some(Key::PublicKey(key)) => &key.raw_bytes,
        Some(Key::X509Certificate(certificate)) => &certificate.raw_bytes,
        None => &[],
    }
}

/// A verifier that can be asked.
pub(super) struct Verifier<'a> {
    pub(super) key: VerifyingKey,
    pub(super) label: Label,
    request: &'a proto::Verifier,
}

impl<'a> Verifier<'a> {
    pub(super) fn parse(request: &'a proto::Verifier) -> Result<Self, Reason> {
        let raw = raw_bytes(request);
        if raw.is_empty() {
            return Err(Reason::KeyMissing);
        }
        let key = match &request.verifier {
            Some(Key::X509Certificate(_)) => VerifyingKey::from_certificate(raw)?,
            _ => VerifyingKey::from_public_key(raw)?,
        };
        let label = Label::parse(request.key_details)?;
        Ok(Self { key, label, request })
    }

    /// A signature that this verifier has verified, as it is logged.
    pub(super) fn sign_off(&self, content: &[u8]) -> entry::Signature {
        let raw = raw_bytes(self.request).to_vec();
        entry::Signature {
            content: content.to_vec(),
            verifier: match &self.request.verifier {
                Some(Key::X509Certificate(_)) => entry::Verifier::Certificate(raw),
                _ => entry::Verifier::PublicKey(raw),
            },
            key_details: self.label.details,
        }
    }
}

/// The implementation of a hash function.
pub(super) fn implementation(hash: HashAlgorithm) -> &'static digest::Algorithm {
    match hash {
        HashAlgorithm::Sha2_256 => &digest::SHA256,
        HashAlgorithm::Sha2_384 => &digest::SHA384,
        HashAlgorithm::Sha2_512 => &digest::SHA512,
    }
}

//! Signatures over a digest.

use aws_lc_rs::digest::Digest;
use aws_lc_rs::signature::ParsedPublicKey;
use der::asn1::UintRef;
use der::{Decode, Encode, Sequence};
use ed25519_dalek::VerifyingKey;
use sha2::digest::consts::U64;
use sha2::digest::{FixedOutput, HashMarker, Output, OutputSizeUser, Update};

use super::refusal::Reason;

/// Longest ECDSA signature in the form of IEEE P1363: two numbers of P-521.
const P1363_BYTES_MAX: usize = 132;

/// ECDSA. The signature is DER, or else IEEE P1363: two numbers of the same length, one behind the
/// other. `s` may be low or high.
pub(super) fn verify_ecdsa(
    key: &ParsedPublicKey,
    digest: &Digest,
    signature: &[u8],
) -> Result<(), Reason> {
    let verified = if EcdsaSignature::from_der(signature).is_ok() {
        key.verify_digest_sig(digest, signature)
    } else {
        key.verify_digest_sig(digest, &p1363_to_der(signature)?)
    };
    verified.map_err(|_| Reason::SignatureInvalid)
}

pub(super) fn p1363_to_der(signature: &[u8]) -> Result<Vec<u8>, Reason> {
    let length = signature.len();
    if length == 0 || !length.is_multiple_of(2) || length > P1363_BYTES_MAX {
        return Err(Reason::SignatureInvalid);
    }
    let (r, s) = signature.split_at(length / 2);
    let numbers = (UintRef::new(r), UintRef::new(s));
    let (Ok(r), Ok(s)) = numbers else {
        return Err(Reason::SignatureInvalid);
    };
    EcdsaSignature { r, s }.to_der().map_err(|_| Reason::SignatureInvalid)
}

/// RFC 3279 2.2.3.
#[derive(Sequence)]
struct EcdsaSignature<'a> {
    r: UintRef<'a>,
    s: UintRef<'a>,
}

/// RSA PKCS#1 v1.5.
pub(super) fn verify_rsa(
    key: &ParsedPublicKey,
    digest: &Digest,
    signature: &[u8],
) -> Result<(), Reason> {
    key.verify_digest_sig(digest, signature).map_err(|_| Reason::SignatureInvalid)
}

/// Ed25519ph (RFC 8032 5.1) with an empty context. The digest is SHA-512 of the message.
pub(super) fn verify_ed25519ph(
    key: &VerifyingKey,
    digest: &Digest,
    signature: &[u8],
) -> Result<(), Reason> {
    let prehash = Prehash::of(digest);
    key.verify_prehashed(prehash, None, &ed25519_signature(signature)?)
        .map_err(|_| Reason::SignatureInvalid)
}

/// Ed25519 over a message itself.
pub(super) fn verify_ed25519(
    key: &VerifyingKey,
    message: &[u8],
    signature: &[u8],
) -> Result<(), Reason> {
    // Not `verify_strict`: the reference server and the clients check as RFC 8032 asks.
    ed25519_dalek::Verifier::verify(key, message, &ed25519_signature(signature)?)
        .map_err(|_| Reason::SignatureInvalid)
}

fn ed25519_signature(bytes: &[u8]) -> Result<ed25519_dalek::Signature, Reason> {
    ed25519_dalek::Signature::from_slice(bytes).map_err(|_| Reason::SignatureInvalid)
}

/// A finished digest in the place of a hash function: its "hash" of 64 bytes is those bytes.
/// Ed25519ph is defined over a digest, but its implementation asks for the hasher.
#[derive(Clone)]
struct Prehash {
    bytes: [u8; 64],
    filled: usize,
}

impl Prehash {
    fn of(digest: &Digest) -> Self {
        let mut prehash = Self::default();
        prehash.update(digest.as_ref());
        prehash
    }
}

impl Default for Prehash {
    fn default() -> Self {
        Self { bytes: [0; 64], filled: 0 }
    }
}

impl HashMarker for Prehash {}

impl OutputSizeUser for Prehash {
    type OutputSize = U64;
}

impl Update for Prehash {
    fn update(&mut self, data: &[u8]) {
        let rest = &mut self.bytes[self.filled..];
        let taken = rest.len().min(data.len());
        rest[..taken].copy_from_slice(&data[..taken]);
        self.filled += taken;
    }
}

impl FixedOutput for Prehash {
    fn finalize_into(self, out: &mut Output<Self>) {
        out.copy_from_slice(&self.bytes);
    }
}

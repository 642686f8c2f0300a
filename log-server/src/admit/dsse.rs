//! The older kind `dsse` 0.0.2: an envelope whose payload is seen once and not stored.

use std::cell::OnceCell;

use aws_lc_rs::digest::{Digest, digest};
use log_core::entry::dsse::pae;
use log_core::entry::{Dsse, HashAlgorithm, Signature};
use log_core::hash::sha256;
use log_proto::intoto::Envelope;
use log_proto::rekor::v2::DsseRequestV002;

use super::algorithm::hash_of;
use super::key::VerifyingKey;
use super::refusal::{Reason, Refusal};
use super::signature::verify_ed25519;
use super::verifier::{Verifier, implementation, is_too_long, raw_bytes};

/// Most verifiers of one request, as upstream has it.
pub(super) const VERIFIERS_MAX: usize = 10;

/// Most signatures of one envelope, as upstream has it. With as many verifiers a request costs 100
/// verifications at worst.
pub(super) const SIGNATURES_MAX: usize = 10;

pub(super) fn admit(request: &DsseRequestV002) -> Result<Dsse, Refusal> {
    let mut signatures = request.envelope.iter().flat_map(|envelope| &envelope.signatures);
    if signatures.any(|signature| is_too_long(&signature.sig))
        || request.verifiers.iter().any(|verifier| is_too_long(raw_bytes(verifier)))
    {
        return Err(Refusal::LeafTooLong);
    }
    check(request).map_err(Refusal::InvalidDsse)
}

fn check(request: &DsseRequestV002) -> Result<Dsse, Reason> {
    let envelope = request.envelope.as_ref().ok_or(Reason::EnvelopeMissing)?;
    let verifiers = parse_verifiers(request)?;
    if !(1..=SIGNATURES_MAX).contains(&envelope.signatures.len()) {
        return Err(Reason::SignatureCount(envelope.signatures.len()));
    }
    if envelope.signatures.iter().any(|signature| signature.sig.is_empty()) {
        return Err(Reason::SignatureMissing);
    }
    let message = Message::of(envelope);
    let signatures = envelope.signatures.iter().enumerate().map(|(position, signature)| {
        cover(&verifiers, &message, &signature.sig).ok_or(Reason::SignatureUncovered(position))
    });
    Ok(Dsse {
        payload_hash: sha256(&envelope.payload),
        signatures: signatures.collect::<Result<_, _>>()?,
    })
}

fn parse_verifiers(request: &DsseRequestV002) -> Result<Vec<Verifier<'_>>, Reason> {
    let verifiers = &request.verifiers;
    if !(1..=VERIFIERS_MAX).contains(&verifiers.len()) {
        return Err(Reason::VerifierCount(verifiers.len()));
    }
    // With the same key under two labels it would be open which of them is logged.
    for (position, verifier) in verifiers.iter().enumerate() {
        let mut earlier = verifiers[..position].iter();
        if earlier.any(|other| raw_bytes(other) == raw_bytes(verifier)) {
            return Err(Reason::VerifierRepeated);
        }
    }
    verifiers
        .iter()
        .map(|verifier| {
            let verifier = Verifier::parse(verifier)?;
            verifier.label.permit_message(verifier.key.kind())?;
            Ok(verifier)
        })
        .collect()
}

/// The signature with the first verifier that verifies it. A verifier that verifies nothing does
/// no harm: what counts is that no signature is logged unverified.
fn cover(verifiers: &[Verifier<'_>], message: &Message, content: &[u8]) -> Option<Signature> {
    verifiers
        .iter()
        .find(|verifier| message.verify(&verifier.key, content).is_ok())
        .map(|verifier| verifier.sign_off(content))
}

/// What the signatures of an envelope are over, hashed at most once with each hash function.
struct Message {
    encoded: Vec<u8>,
    sha256: OnceCell<Digest>,
    sha384: OnceCell<Digest>,
    sha512: OnceCell<Digest>,
}

impl Message {
    fn of(envelope: &Envelope) -> Self {
        Self {
            encoded: pae(envelope.payload_type.as_bytes(), &envelope.payload),
            sha256: OnceCell::new(),
            sha384: OnceCell::new(),
            sha512: OnceCell::new(),
        }
    }

    fn verify(&self, key: &VerifyingKey, signature: &[u8]) -> Result<(), Reason> {
        match key {
            // Here Ed25519 keys sign the message itself, not its digest.
            VerifyingKey::Ed25519(key) => verify_ed25519(key, &self.encoded, signature),
            _ => key.verify_digest(self.digest(hash_of(key.kind())), signature),
        }
    }

    fn digest(&self, hash: HashAlgorithm) -> &Digest {
        let cell = match hash {
            HashAlgorithm::Sha2_256 => &self.sha256,
            HashAlgorithm::Sha2_384 => &self.sha384,
            HashAlgorithm::Sha2_512 => &self.sha512,
        };
        cell.get_or_init(|| digest(implementation(hash), &self.encoded))
    }
}

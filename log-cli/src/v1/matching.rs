//! Whether a body of Rekor v1 is the one that a bundle's signature must have led to: compared
//! value by value, because v1 keeps some of them as they were sent.

use log_core::entry::{HashAlgorithm, Verifier};
use log_core::hash::sha256;
use serde_json::Value;

use super::body::{Body, BodyError, BodySignature};
use crate::artefact::Artefact;
use crate::bundle::Envelope;
use crate::public_key::{BadSignature, PublicKey};

/// What a bundle claims.
#[derive(Clone, Copy)]
pub struct Claim<'a> {
    /// The signature.
    pub signature: &'a [u8],
    /// The file, if its signature is bare.
    pub artefact: &'a Artefact,
    /// The envelope that was signed in place of the file, with its pre-authentication encoding.
    pub envelope: Option<(&'a Envelope, &'a [u8])>,
    /// The key that must have signed.
    pub key: &'a PublicKey,
    /// That key as the entry must name it.
    pub verifier: &'a Verifier,
}

impl Claim<'_> {
    /// Verifies the signature, and that the body is about it.
    ///
    /// # Errors
    /// [`MismatchError`] names the value that is another.
    pub fn check(&self, body: &[u8]) -> Result<(), MismatchError> {
        match (Body::parse(body)?, self.envelope) {
            (Body::HashedRekord { algorithm, digest, signature }, None) => {
                let hash = hash_named(&algorithm).ok_or(MismatchError::Hash(algorithm))?;
                if self.artefact.digest(hash).as_ref() != digest {
                    return Err(MismatchError::Artefact);
                }
                self.check_signature(&signature)?;
                Ok(self.key.verify_hashed(hash, self.artefact, self.signature)?)
            }
            (Body::Dsse { payload_hash, signatures }, Some((envelope, message))) => {
                self.check_envelope(envelope, &payload_hash, &signatures)?;
                self.verify_envelope(message)
            }
            (
                Body::InToto { payload_hash, payload_type, signatures },
                Some((envelope, message)),
            ) => {
                if envelope.payload_type != payload_type {
                    return Err(MismatchError::PayloadType);
                }
                self.check_envelope(envelope, &payload_hash, &signatures)?;
                self.verify_envelope(message)
            }
            (
                Body::InTotoHashes { envelope_hash, payload_hash, verifier },
                Some((envelope, message)),
            ) => {
                check_payload(envelope, &payload_hash)?;
                // The signature is in the log as a part of the hashed text alone.
                let text = sha256(envelope_text(envelope).as_bytes());
                if envelope_hash != text.as_bytes() {
                    return Err(MismatchError::Signature);
                }
                self.check_verifier(verifier.as_ref())?;
                self.verify_envelope(message)
            }
            _ => Err(MismatchError::Content),
        }
    }

    fn check_envelope(
        &self,
        envelope: &Envelope,
        payload_hash: &[u8],
        signatures: &[BodySignature],
    ) -> Result<(), MismatchError> {
        check_payload(envelope, payload_hash)?;
        let [signature] = signatures else {
            return Err(MismatchError::Signatures(signatures.len()));
        };
        self.check_signature(signature)
    }

    fn check_signature(&self, signature: &BodySignature) -> Result<(), MismatchError> {
        if signature.content != self.signature {
            return Err(MismatchError::Signature);
        }
        self.check_verifier(signature.verifier.as_ref())
    }

    fn check_verifier(&self, verifier: Option<&Verifier>) -> Result<(), MismatchError> {
        if verifier == Some(self.verifier) { Ok(()) } else { Err(MismatchError::Verifier) }
    }

    /// Logs of v1 take SHA-256 for envelopes, whatever the key; signers take the key's own hash.
    fn verify_envelope(&self, message: &[u8]) -> Result<(), MismatchError> {
        let with = |hash| self.key.verify_message(hash, message, self.signature);
        Ok(with(HashAlgorithm::Sha2_256).or_else(|_| with(self.key.default_hash()))?)
    }
}

/// Why an entry is not about what a bundle holds.
#[derive(Debug, thiserror::Error)]
pub enum MismatchError {
    /// The body is broken, or of a kind that bundles do not carry.
    #[error(transparent)]
    Body(#[from] BodyError),
    /// An unknown hash.
    #[error("the log entry uses the unsupported hash `{0}`")]
    Hash(String),
    /// Another file.
    #[error("the log entry is about another file")]
    Artefact,
    /// A signature over a file against an entry about an envelope, or the other way round.
    #[error("the log entry is about a signature of another kind than the bundle's")]
    Content,
    /// Another payload.
    #[error("the log entry is about another payload")]
    Payload,
    /// Another type of payload.
    #[error("the log entry is about a payload of another type")]
    PayloadType,
    /// The entry holds more or fewer signatures than the envelope, which has one.
    #[error("the log entry holds {0} signatures instead of one")]
    Signatures(usize),
    /// Another signature.
    #[error("the log entry is about another signature")]
    Signature,
    /// Another key or certificate.
    #[error("the log entry names another key or certificate")]
    Verifier,
    /// The signature does not verify.
    #[error(transparent)]
    BadSignature(#[from] BadSignature),
}

fn check_payload(envelope: &Envelope, payload_hash: &[u8]) -> Result<(), MismatchError> {
    let is_it = sha256(&envelope.payload.0).as_bytes() == payload_hash;
    if is_it { Ok(()) } else { Err(MismatchError::Payload) }
}

/// The text of an envelope as Go's clients write it, in their order and without white space: those
/// that logged the hash of the text were of that language.
fn envelope_text(envelope: &Envelope) -> String {
    let text = |text: &str| Value::from(text).to_string();
    let signatures = envelope.signatures.iter().map(|one| {
        format!("{{\"keyid\":{},\"sig\":\"{}\"}}", text(&one.keyid), one.sig.to_base64())
    });
    format!(
        "{{\"payloadType\":{},\"payload\":\"{}\",\"signatures\":[{}]}}",
        text(&envelope.payload_type),
        envelope.payload.to_base64(),
        signatures.collect::<Vec<_>>().join(",")
    )
}

/// The hash with this name in v1 bodies.
fn hash_named(name: &str) -> Option<HashAlgorithm> {
    match name {
        "sha256" => Some(HashAlgorithm::Sha2_256),
        "sha384" => Some(HashAlgorithm::Sha2_384),
        "sha512" => Some(HashAlgorithm::Sha2_512),
        _ => None,
    }
}

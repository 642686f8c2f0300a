//! Proposed entries: what is sent to a Rekor v1 log, made from a file and a key.

use log_core::entry::{Verifier, dsse};
use log_core::hash::sha256;
use serde_json::{Value, json};

use crate::artefact::{Artefact, hex};
use crate::bundle::{Envelope, EnvelopeSignature};
use crate::pem::to_pem;
use crate::protojson::Bytes;
use crate::public_key::{KeyKind, PublicKey};
use crate::signer::{Signer, SignerError};

/// The kinds that are made here; others are prepared elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ProposedKind {
    /// A signature over the digest of the file.
    Hashedrekord,
    /// A signed envelope with the file as its payload.
    Dsse,
    /// The same as in-toto attestations were logged before `dsse`.
    Intoto,
    /// A signature over the file, which is sent along.
    Rekord,
    /// The file is a timestamp (RFC 3161, DER `TimeStampResp`).
    Rfc3161,
}

/// A signature that is to be logged.
#[derive(Clone)]
pub struct SignedContent {
    /// The signature.
    pub signature: Vec<u8>,
    /// The digests of the file, or of what was signed in its place.
    pub signed: Artefact,
    /// The envelope, if one was signed in place of the file.
    pub envelope: Option<Envelope>,
}

impl SignedContent {
    /// Signs the digest of a file.
    ///
    /// # Errors
    /// [`SignerError`] if the key cannot.
    pub fn of_file(signer: &Signer, artefact: Artefact) -> Result<Self, SignerError> {
        let signature = signer.sign(&artefact)?;
        Ok(Self { signature, signed: artefact, envelope: None })
    }

    /// Signs an envelope around a payload.
    ///
    /// # Errors
    /// [`RequestError`] if the key cannot, or if it would sign with another hash than SHA-256.
    pub fn of_payload(
        signer: &Signer,
        payload: Vec<u8>,
        payload_type: &str,
    ) -> Result<Self, RequestError> {
        check_sha256(signer.public_key())?;
        let message = dsse::pae(payload_type.as_bytes(), &payload);
        let signature = signer.sign_message(&message)?;
        let sig = EnvelopeSignature { sig: Bytes(signature.clone()), keyid: String::new() };
        let envelope = Envelope {
            payload: Bytes(payload),
            payload_type: payload_type.to_owned(),
            signatures: vec![sig],
        };
        Ok(Self { signature, signed: Artefact::of(&message), envelope: Some(envelope) })
    }
}

/// A hashedrekord 0.0.1.
pub fn hashed_rekord(content: &SignedContent, key: &PublicKey, verifier: &Verifier) -> Value {
    let hash = key.default_hash();
    let value = hex(content.signed.digest(hash).as_ref());
    let algorithm = format!("sha{}", hash.digest_len() * 8);
    json!({ "apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
        "data": { "hash": { "algorithm": algorithm, "value": value } },
        "signature": {
            "content": base64(&content.signature),
            "publicKey": { "content": base64(pem(verifier).as_bytes()) },
        },
    }})
}

/// A dsse 0.0.1.
pub fn dsse(envelope: &Envelope, verifier: &Verifier) -> Value {
    json!({ "apiVersion": "0.0.1", "kind": "dsse", "spec": { "proposedContent": {
        "envelope": envelope_text(envelope),
        "verifiers": [base64(pem(verifier).as_bytes())],
    }}})
}

/// An intoto 0.0.2, which holds payload and signatures in base64 of their base64.
pub fn in_toto(envelope: &Envelope, verifier: &Verifier) -> Value {
    let twice = |bytes: &Bytes| base64(bytes.to_base64().as_bytes());
    let signatures = envelope.signatures.iter().map(|signature| {
        json!({ "sig": twice(&signature.sig), "publicKey": base64(pem(verifier).as_bytes()) })
    });
    json!({ "apiVersion": "0.0.2", "kind": "intoto", "spec": { "content": {
        "envelope": {
            "payloadType": envelope.payload_type,
            "payload": twice(&envelope.payload),
            "signatures": signatures.collect::<Vec<_>>(),
        },
        "hash": {
            "algorithm": "sha256",
            "value": sha256(envelope_text(envelope).as_bytes()).to_string(),
        },
    }}})
}

/// A rekord 0.0.1 with an x509 key: a signature over the file itself, which goes along.
///
/// # Errors
/// [`RequestError`] if the key cannot, or if it would sign with another hash than SHA-256.
pub fn rekord(signer: &Signer, file: &[u8], verifier: &Verifier) -> Result<Value, RequestError> {
    check_sha256(signer.public_key())?;
    let signature = signer.sign_message(file)?;
    Ok(json!({ "apiVersion": "0.0.1", "kind": "rekord", "spec": {
        "data": { "content": base64(file) },
        "signature": {
            "format": "x509",
            "content": base64(&signature),
            "publicKey": { "content": base64(pem(verifier).as_bytes()) },
        },
    }}))
}

/// An rfc3161 0.0.1.
pub fn rfc3161(response: &[u8]) -> Value {
    json!({ "apiVersion": "0.0.1", "kind": "rfc3161", "spec": {
        "tsr": { "content": base64(response) },
    }})
}

/// Whether a body that a log answered says what this proposed entry says: the values that any
/// entry of its kind keeps from it. For kinds that are not made here, kind and version alone.
pub fn is_about(proposed: &Value, body: &Value) -> bool {
    let kept = ["/apiVersion", "/kind", "/spec/tsr", "/spec/signature/content"];
    let same = kept.iter().all(|pointer| {
        let given = proposed.pointer(pointer);
        // Text signatures (pgp, ssh, minisign) are written anew by the log.
        let is_rewritten = *pointer == "/spec/signature/content"
            && proposed.pointer("/spec/signature/format").is_some_and(|format| format != "x509");
        given.is_none() || is_rewritten || given == body.pointer(pointer)
    });
    let data = proposed.pointer("/spec/data/content").and_then(Value::as_str);
    let Some(data) = data.and_then(Bytes::from_base64) else {
        return same;
    };
    let hash = sha256(&data.0).to_string();
    same && body.pointer("/spec/data/hash/value").and_then(Value::as_str) == Some(hash.as_str())
}

/// Why there is no proposed entry.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// The key does not sign.
    #[error(transparent)]
    Signer(#[from] SignerError),
    /// Logs verify these kinds with SHA-256, whatever the key.
    #[error("entries of this kind take keys that sign over SHA-256: P-256, RSA or Ed25519")]
    Hash,
}

fn check_sha256(key: &PublicKey) -> Result<(), RequestError> {
    match key.kind() {
        KeyKind::P384 | KeyKind::P521 => Err(RequestError::Hash),
        KeyKind::P256 | KeyKind::Ed25519 | KeyKind::Rsa(_) => Ok(()),
    }
}

/// The text of an envelope as it is sent: what the log hashes.
fn envelope_text(envelope: &Envelope) -> String {
    let signatures = envelope.signatures.iter().map(|one| json!({ "sig": one.sig.to_base64() }));
    json!({
        "payloadType": envelope.payload_type,
        "payload": envelope.payload.to_base64(),
        "signatures": signatures.collect::<Vec<_>>(),
    })
    .to_string()
}

fn pem(verifier: &Verifier) -> String {
    match verifier {
        Verifier::PublicKey(der) => to_pem("PUBLIC KEY", der),
        Verifier::Certificate(der) => to_pem("CERTIFICATE", der),
    }
}

fn base64(bytes: &[u8]) -> String {
    Bytes::from(bytes).to_base64()
}

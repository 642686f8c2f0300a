//! `intoto` 0.0.2: an envelope whose signatures are kept, each with its key.
//!
//! Payload and signatures come in base64 of their base64. The hash of the envelope is the client's
//! and cannot be checked, as its exact text is not sent; keys are logged as they were submitted.

use std::borrow::Cow;

use log_core::hash::sha256;

use super::body::Body;
use super::envelope::{Envelope, EnvelopeFault, EnvelopeSignature, SIGNATURES_MAX};
use super::index::{Form, IN_TOTO, Keys};
use super::json::{Json, JsonType};
use super::lax_base64;
use super::refusal::Reason;
use super::schema::{
    HashMember, Rule, SHA256_ONLY, Violation, Violations, bytes, decode, required,
};
use super::x509::KeyObject;
use super::{Entry, Kind, Purpose, V0_0_2};

/// What a request holds, of the right types.
#[derive(Default)]
struct Members {
    payload_type: Option<String>,
    /// Base64; empty if there is none.
    payload: Vec<u8>,
    signatures: Option<Vec<Signature>>,
    hash: Option<HashMember>,
    payload_hash: Option<HashMember>,
}

struct Signature {
    keyid: String,
    /// Base64.
    sig: Option<Vec<u8>>,
    public_key: Option<Vec<u8>>,
}

pub(super) fn check(spec: Json<'_>, purpose: Purpose) -> Result<Entry, Reason> {
    let members = Members::of(spec)?;
    members.validate()?;
    if !members.payload.is_empty() {
        return members.verified();
    }
    if purpose == Purpose::Insert {
        return Err(Reason::NotInsertable("missing envelope content"));
    }
    // What is in the log already: nothing is verified.
    let payload_hash = members.payload_hash.as_ref().ok_or(EnvelopeFault::NoPayloadDigest);
    let leaf = match &members.hash {
        Some(_) => members.body(payload_hash?.parts())?.close()?,
        None => return Err(EnvelopeFault::NoDigest.into()),
    };
    Ok(Entry { leaf, keys: Vec::new() })
}

impl Members {
    fn of(spec: Json<'_>) -> Result<Self, Reason> {
        let Some(content) = spec.object("content") else { return Ok(Self::default()) };
        let mut members = Self {
            hash: HashMember::of(content, "hash"),
            payload_hash: HashMember::of(content, "payloadHash"),
            ..Self::default()
        };
        if let Some(envelope) = content.object("envelope") {
            members.payload_type = envelope.string("payloadType").map(Into::into);
            members.payload = bytes(envelope, "payload", "payload")?.unwrap_or_default();
            members.signatures = envelope.array("signatures").map(signatures).transpose()?;
        }
        Ok(members)
    }

    /// All of it is one member at the top, so only the first fault is listed.
    fn validate(&self) -> Result<(), Reason> {
        const ENVELOPE: &str = "content.content.envelope.content.envelope";
        let check = |hash: &Option<HashMember>, name: &str| {
            hash.as_ref().and_then(|hash| hash.check(name, SHA256_ONLY))
        };
        let mut violations = Violations::default();
        let payload_type = required(format!("{ENVELOPE}.payloadType"), self.payload_type.as_ref());
        violations.add(
            payload_type
                .or_else(|| self.validate_signatures(&format!("{ENVELOPE}.signatures")))
                .or_else(|| check(&self.hash, "content.content.hash.content.hash"))
                .or_else(|| {
                    let name = "content.content.payloadHash.content.payloadHash";
                    check(&self.payload_hash, name)
                }),
        );
        violations.finish()
    }

    fn validate_signatures(&self, name: &str) -> Option<Violation> {
        let Some(signatures) = &self.signatures else {
            return required::<()>(name.to_owned(), None);
        };
        if signatures.is_empty() {
            return Some(Violation { member: name.to_owned().into(), rule: Rule::NotEmpty });
        }
        signatures.iter().enumerate().find_map(|(position, signature)| {
            let key =
                required(format!("{name}.{position}.publicKey"), signature.public_key.as_ref());
            key.or_else(|| required(format!("{name}.{position}.sig"), signature.sig.as_ref()))
        })
    }

    /// What clients send. Every key must verify a signature, and every signature must be verified.
    fn verified(&self) -> Result<Entry, Reason> {
        let signatures = self.signatures.as_deref().unwrap_or_default();
        let payload_type = self.payload_type.as_deref().unwrap_or_default();
        let sigs = signatures.iter().map(|signature| EnvelopeSignature {
            keyid: Cow::Borrowed(signature.keyid.as_str()),
            sig: String::from_utf8_lossy(signature.sig.as_deref().unwrap_or_default()),
        });
        let envelope = Envelope {
            payload_type: payload_type.into(),
            payload: String::from_utf8_lossy(&self.payload),
            signatures: sigs.collect(),
        };
        let verifiers: Vec<_> = signatures
            .iter()
            .map(|signature| signature.public_key.clone().unwrap_or_default())
            .collect();
        let (opened, _) = envelope.claim(&verifiers, false)?;
        lax_base64::decode(&self.payload).map_err(EnvelopeFault::PayloadAlphabet)?;
        if payload_type.is_empty() {
            return Err(Reason::NotInsertable("missing payloadType content"));
        }
        let payload_hash = sha256(&opened.payload).to_string();
        let mut keys = Keys::default();
        for verifier in &verifiers {
            keys.push_key(&KeyObject::parse(verifier)?, Form::Prefixed);
        }
        keys.push_hash("sha256", &payload_hash);
        if payload_type == IN_TOTO {
            keys.push_subjects(&opened.payload);
            keys.push_materials(&opened.payload);
        }
        let leaf = self.body(("sha256", &payload_hash))?.close()?;
        Ok(Entry { leaf, keys: keys.finish()? })
    }

    fn body(&self, payload_hash: (&str, &str)) -> Result<Body, Reason> {
        let (algorithm, value) = self.hash.as_ref().ok_or(EnvelopeFault::NoDigest)?.parts();
        let mut body = Body::open(Kind::Intoto.name(), V0_0_2)
            .raw(r#"{"content":{"envelope":{"payloadType":"#)
            .string(self.payload_type.as_deref().unwrap_or_default())
            .raw(r#","signatures":["#);
        let signatures = self.signatures.as_deref().unwrap_or_default();
        for (position, signature) in signatures.iter().enumerate() {
            body = body.raw(if position == 0 { "{" } else { ",{" });
            if !signature.keyid.is_empty() {
                body = body.raw(r#""keyid":"#).string(&signature.keyid).raw(",");
            }
            body = body
                .raw(r#""publicKey":"#)
                .base64(signature.public_key.as_deref().unwrap_or_default())
                .raw(r#","sig":"#)
                .base64(signature.sig.as_deref().unwrap_or_default())
                .raw("}");
        }
        Ok(body
            .raw(r#"]},"hash":"#)
            .hash(algorithm, value)
            .raw(r#","payloadHash":"#)
            .hash(payload_hash.0, payload_hash.1)
            .raw("}}"))
    }
}

fn signatures(list: Json<'_>) -> Result<Vec<Signature>, Reason> {
    let mut signatures = Vec::new();
    for item in list.elements().filter(|item| item.json_type() == JsonType::Object) {
        if signatures.len() == SIGNATURES_MAX {
            return Err(EnvelopeFault::TooManySignatures.into());
        }
        // Here an empty text is there, and means no bytes.
        let bytes = |name: &str, what: &'static str| {
            item.string(name).map(|text| decode(&text, what)).transpose()
        };
        signatures.push(Signature {
            keyid: item.string("keyid").map(Into::into).unwrap_or_default(),
            sig: bytes("sig", "signature")?,
            public_key: bytes("publicKey", "public key")?,
        });
    }
    Ok(signatures)
}

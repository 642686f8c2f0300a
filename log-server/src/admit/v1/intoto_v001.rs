//! `intoto` 0.0.1: an envelope with one key. Neither the envelope nor its signatures are kept.

use log_core::hash::sha256;

use super::super::key::Use;
use super::body::Body;
use super::envelope::{Envelope, OpenFault};
use super::index::{Form, IN_TOTO, Keys};
use super::json::Json;
use super::lax_base64;
use super::refusal::Reason;
use super::schema::{HashMember, SHA256_ONLY, Violations, bytes, required};
use super::x509::KeyObject;
use super::{Entry, Kind, Purpose, V0_0_1, ssh};

/// What a request holds, of the right types.
struct Members {
    content: Option<Content>,
    public_key: Option<Vec<u8>>,
}

struct Content {
    /// Empty if there is none.
    envelope: String,
    hash: Option<HashMember>,
    payload_hash: Option<HashMember>,
}

pub(super) fn check(spec: Json<'_>, purpose: Purpose) -> Result<Entry, Reason> {
    let members = Members {
        content: spec.object("content").map(|content| Content {
            envelope: content.string("envelope").map(Into::into).unwrap_or_default(),
            hash: HashMember::of(content, "hash"),
            payload_hash: HashMember::of(content, "payloadHash"),
        }),
        public_key: bytes(spec, "publicKey", "public key")?,
    };
    members.validate()?;
    let (Some(content), Some(public_key)) = (members.content, members.public_key) else {
        return Err(Reason::Missing("content"));
    };
    let key = KeyObject::parse(&public_key)?;
    if !content.envelope.is_empty() {
        return from_envelope(&content.envelope, &key);
    }
    // What is in the log already: nothing is verified.
    let hash = content.hash.ok_or(Reason::Missing("hash value for envelope"))?;
    if purpose == Purpose::Insert {
        return Err(Reason::NotInsertable("missing envelope content"));
    }
    let payload_hash = content.payload_hash.as_ref().map(HashMember::parts);
    let body = body(hash.parts(), payload_hash, &key);
    Ok(Entry { leaf: body.close()?, keys: Vec::new() })
}

/// Hashes in the request are ignored, whatever they are.
fn from_envelope(text: &str, key: &KeyObject) -> Result<Entry, Reason> {
    let envelope = Envelope::parse(text)?;
    let verifying_key = key.verifying_key(Use::Sha256Message)?;
    let fingerprint = ssh::fingerprint(key, verifying_key.kind());
    let opened = envelope.open().map_err(super::EnvelopeFault::from)?;
    // A signature that names another key is not tried.
    let names_key = |position: usize| {
        let keyid = &envelope.signatures[position].keyid;
        keyid.is_empty() || fingerprint.as_ref().is_none_or(|known| known == keyid)
    };
    if opened.first_signed_by(&verifying_key, names_key).is_none() {
        return Err(super::EnvelopeFault::from(OpenFault::NoneAccepted).into());
    }
    lax_base64::decode(envelope.payload.as_bytes()).map_err(Reason::InnerBase64)?;
    if envelope.payload.is_empty() || envelope.payload_type.is_empty() {
        return Err(Reason::NotInsertable("invalid DSSE envelope"));
    }
    let hash = sha256(text.as_bytes()).to_string();
    let payload_hash = sha256(&opened.payload).to_string();
    let mut keys = Keys::default();
    keys.push_hash("sha256", &hash);
    keys.push_key(key, Form::Prefixed);
    keys.push_hash("sha256", &payload_hash);
    if envelope.payload_type == IN_TOTO {
        keys.push_subjects(&opened.payload);
        keys.push_materials(&opened.payload);
    }
    let body = body(("sha256", &hash), Some(("sha256", &payload_hash)), key);
    Ok(Entry { leaf: body.close()?, keys: keys.finish()? })
}

/// Entries of the first years have no hash of the payload.
fn body(hash: (&str, &str), payload_hash: Option<(&str, &str)>, key: &KeyObject) -> Body {
    let mut body =
        Body::open(Kind::Intoto.name(), V0_0_1).raw(r#"{"content":{"hash":"#).hash(hash.0, hash.1);
    if let Some((algorithm, value)) = payload_hash {
        body = body.raw(r#","payloadHash":"#).hash(algorithm, value);
    }
    body.raw(r#"},"publicKey":"#).base64(&key.pem).raw("}")
}

impl Members {
    fn validate(&self) -> Result<(), Reason> {
        let mut violations = Violations::default();
        violations.add(match &self.content {
            None => required("content", self.content.as_ref()),
            Some(content) => {
                let check = |hash: &Option<HashMember>, name: &str| {
                    hash.as_ref().and_then(|hash| hash.check(name, SHA256_ONLY))
                };
                check(&content.hash, "content.content.hash.content.hash").or_else(|| {
                    let name = "content.content.payloadHash.content.payloadHash";
                    check(&content.payload_hash, name)
                })
            }
        });
        violations.add(required("publicKey", self.public_key.as_ref()));
        violations.finish()
    }
}

//! `dsse` 0.0.1: an envelope of which the hashes and the signatures are kept.

use log_core::hash::sha256;

use super::body::Body;
use super::envelope::{Envelope, EnvelopeFault, SIGNATURES_MAX, VERIFIERS_MAX};
use super::index::{Form, IN_TOTO, Keys};
use super::json::Json;
use super::refusal::Reason;
use super::schema::{
    HashMember, Rule, SHA256_ONLY, Violation, Violations, bytes, decode, required,
};
use super::{Entry, Kind, Purpose, V0_0_1};

/// The pattern of a stored signature: base64 with padding and not empty.
const SIGNATURE_PATTERN: &str =
    r"^(?:[A-Za-z0-9+\/]{4})*(?:[A-Za-z0-9+\/]{2}==|[A-Za-z0-9+\/]{3}=|[A-Za-z0-9+\/]{4})$";

/// What a request holds, of the right types.
struct Members {
    proposed: Option<Proposed>,
    envelope_hash: Option<HashMember>,
    payload_hash: Option<HashMember>,
    signatures: Option<Vec<Stored>>,
}

struct Proposed {
    envelope: Option<String>,
    verifiers: Option<Vec<Vec<u8>>>,
}

/// A signature in the form in which it is logged.
struct Stored {
    signature: Option<String>,
    verifier: Option<Vec<u8>>,
}

pub(super) fn check(spec: Json<'_>, purpose: Purpose) -> Result<Entry, Reason> {
    let members = Members::of(spec)?;
    members.validate()?;
    let has_signatures = members.signatures.as_ref().is_some_and(|list| !list.is_empty());
    match members.proposed {
        Some(_)
            if members.envelope_hash.is_some()
                || members.payload_hash.is_some()
                || has_signatures =>
        {
            Err(EnvelopeFault::BothForms.into())
        }
        Some(proposed) => {
            let envelope = proposed.envelope.unwrap_or_default();
            from_envelope(&envelope, &proposed.verifiers.unwrap_or_default())
        }
        None => {
            let (Some(envelope), Some(payload), Some(signatures)) =
                (members.envelope_hash, members.payload_hash, members.signatures)
            else {
                return Err(EnvelopeFault::NeitherForm.into());
            };
            match purpose {
                Purpose::Insert => Err(Reason::NotInsertable("missing proposed content")),
                Purpose::Lookup => from_stored(&envelope, &payload, signatures),
            }
        }
    }
}

/// What clients send.
fn from_envelope(text: &str, verifiers: &[Vec<u8>]) -> Result<Entry, Reason> {
    let envelope = Envelope::parse(text)?;
    if envelope.signatures.is_empty() {
        return Err(EnvelopeFault::Unsigned.into());
    }
    let (opened, claims) = envelope.claim(verifiers, true)?;
    // Such a signature verifies, but would not pass the schema of stored entries: upstream logs it
    // and cannot read it again.
    if !claims.keys().all(|signature| is_plain_base64(signature)) {
        return Err(EnvelopeFault::SignatureAlphabet.into());
    }
    let payload_hash = sha256(&opened.payload).to_string();
    let envelope_hash = sha256(text.as_bytes()).to_string();
    let mut keys = Keys::default();
    for object in claims.values() {
        keys.push_key(object, Form::Prefixed);
    }
    keys.push_hash("sha256", &payload_hash);
    keys.push_hash("sha256", &envelope_hash);
    if envelope.payload_type == IN_TOTO {
        keys.push_subjects(&opened.payload);
        keys.push_materials(&opened.payload);
    }
    let signatures = claims.iter().map(|(signature, object)| (*signature, object.pem.as_slice()));
    let body = body(("sha256", &envelope_hash), ("sha256", &payload_hash), signatures);
    Ok(Entry { leaf: body.close()?, keys: keys.finish()? })
}

/// What is in the log already: nothing is verified.
fn from_stored(
    envelope: &HashMember,
    payload: &HashMember,
    mut stored: Vec<Stored>,
) -> Result<Entry, Reason> {
    stored.sort_by(|a, b| a.signature.cmp(&b.signature));
    let signatures = stored
        .iter()
        .filter_map(|stored| Some((stored.signature.as_deref()?, stored.verifier.as_deref()?)));
    let body = body(envelope.parts(), payload.parts(), signatures);
    Ok(Entry { leaf: body.close()?, keys: Vec::new() })
}

fn body<'a>(
    envelope: (&str, &str),
    payload: (&str, &str),
    signatures: impl Iterator<Item = (&'a str, &'a [u8])>,
) -> Body {
    let mut body = Body::open(Kind::Dsse.name(), V0_0_1)
        .raw(r#"{"envelopeHash":"#)
        .hash(envelope.0, envelope.1)
        .raw(r#","payloadHash":"#)
        .hash(payload.0, payload.1)
        .raw(r#","signatures":["#);
    for (position, (signature, verifier)) in signatures.enumerate() {
        body = body
            .raw(if position == 0 { "" } else { "," })
            .raw(r#"{"signature":"#)
            .string(signature)
            .raw(r#","verifier":"#)
            .base64(verifier)
            .raw("}");
    }
    body.raw("]}")
}

impl Members {
    fn of(spec: Json<'_>) -> Result<Self, Reason> {
        Ok(Self {
            proposed: spec.object("proposedContent").map(Proposed::of).transpose()?,
            signatures: spec.array("signatures").map(stored_signatures).transpose()?,
            envelope_hash: HashMember::of(spec, "envelopeHash"),
            payload_hash: HashMember::of(spec, "payloadHash"),
        })
    }

    fn validate(&self) -> Result<(), Reason> {
        let mut violations = Violations::default();
        let hashes = [
            (&self.envelope_hash, "envelopeHash.envelopeHash"),
            (&self.payload_hash, "payloadHash.payloadHash"),
        ];
        for (hash, name) in hashes {
            violations.add(hash.as_ref().and_then(|hash| hash.check(name, SHA256_ONLY)));
        }
        violations.add(self.proposed.as_ref().and_then(Proposed::validate));
        violations.add(self.signatures.as_ref().and_then(|list| validate_stored(list)));
        violations.finish()
    }
}

impl Proposed {
    fn of(proposed: Json<'_>) -> Result<Self, Reason> {
        let verifiers = proposed.array("verifiers").map(|list| {
            let texts = list.elements().filter_map(Json::as_str).filter(|text| !text.is_empty());
            let mut verifiers = Vec::new();
            for text in texts {
                if verifiers.len() == VERIFIERS_MAX {
                    return Err(Reason::from(EnvelopeFault::TooManyVerifiers));
                }
                verifiers.push(decode(&text, "verifier")?);
            }
            Ok(verifiers)
        });
        Ok(Self {
            envelope: proposed.string("envelope").map(Into::into),
            verifiers: verifiers.transpose()?,
        })
    }

    fn validate(&self) -> Option<Violation> {
        const VERIFIERS: &str = "proposedContent.proposedContent.verifiers";
        let envelope = "proposedContent.proposedContent.envelope";
        let empty = Violation { member: VERIFIERS.into(), rule: Rule::NotEmpty };
        required(envelope, self.envelope.as_ref())
            .or_else(|| required(VERIFIERS, self.verifiers.as_ref()))
            .or_else(|| self.verifiers.as_ref()?.is_empty().then_some(empty))
    }
}

fn stored_signatures(list: Json<'_>) -> Result<Vec<Stored>, Reason> {
    let mut stored = Vec::new();
    let objects = list.elements().filter(|item| item.json_type() == super::json::JsonType::Object);
    for item in objects {
        if stored.len() == SIGNATURES_MAX {
            return Err(Reason::from(EnvelopeFault::TooManySignatures));
        }
        stored.push(Stored {
            signature: item.string("signature").map(Into::into),
            verifier: bytes(item, "verifier", "signature verifier")?,
        });
    }
    Ok(stored)
}

fn validate_stored(list: &[Stored]) -> Option<Violation> {
    if list.is_empty() {
        return Some(Violation { member: "signatures".into(), rule: Rule::NotEmpty });
    }
    list.iter().enumerate().find_map(|(position, stored)| {
        let member = format!("signatures.{position}.signature");
        let Some(signature) = &stored.signature else { return required::<()>(member, None) };
        if !is_plain_base64(signature) {
            let rule = Rule::Pattern(SIGNATURE_PATTERN);
            return Some(Violation { member: member.into(), rule });
        }
        required(format!("signatures.{position}.verifier"), stored.verifier.as_ref())
    })
}

/// Whether a text matches [`SIGNATURE_PATTERN`].
fn is_plain_base64(text: &str) -> bool {
    let digits = text.trim_end_matches('=');
    let padding = text.len() - digits.len();
    let is_digit = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    !digits.is_empty()
        && padding <= 2
        && text.len().is_multiple_of(4)
        && digits.bytes().all(is_digit)
}

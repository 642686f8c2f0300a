//! `rekord` 0.0.1: a signature over an artefact that is sent along and not kept.

use jiff::Timestamp;
use log_core::hash::sha256;

use super::super::key::Use;
use super::body::Body;
use super::index::{Form, Keys};
use super::json::Json;
use super::minisign::{MinisignKey, MinisignSignature};
use super::pgp::{DetachedSignature, PublicKeys, key_packets};
use super::refusal::Reason;
use super::schema::{HashMember, SHA256_ONLY, Violation, Violations, bytes, one_of, required};
use super::signature::Message;
use super::ssh::{SshKey, SshSignature};
use super::x509::KeyObject;
use super::{Entry, Kind, Purpose, V0_0_1};

const FORMATS: &[&str] = &["pgp", "minisign", "x509", "ssh"];

/// What a request holds, of the right types.
struct Members {
    signature: Option<Signature>,
    data: Option<Data>,
}

struct Signature {
    format: Option<String>,
    content: Option<Vec<u8>>,
    public_key: Option<PublicKey>,
}

struct PublicKey {
    content: Option<Vec<u8>>,
}

struct Data {
    hash: Option<HashMember>,
    content: Vec<u8>,
}

pub(super) fn check(spec: Json<'_>, purpose: Purpose, now: Timestamp) -> Result<Entry, Reason> {
    let members = Members::of(spec)?;
    members.validate()?;
    let (Some(signature), Some(data)) = (members.signature, members.data) else {
        return Err(Reason::Missing("signature"));
    };
    let content = signature.content.unwrap_or_default();
    let public_key = signature.public_key.and_then(|key| key.content).unwrap_or_default();
    if content.is_empty() {
        return Err(Reason::NoContent("signature"));
    }
    if public_key.is_empty() {
        return Err(Reason::NoContent("publicKey"));
    }
    data.check(purpose)?;
    let computed = sha256(&data.content).to_string();
    if let Some(given) = data.hash.and_then(|hash| hash.value)
        && given != computed
    {
        return Err(Reason::HashMismatch { computed, given });
    }
    let format = signature.format.unwrap_or_default();
    let verified = verify(&format, &content, &public_key, &data.content, now)?;
    verified.entry(&format, &computed)
}

/// What is logged of a signature and its key.
struct Verified {
    signature: Vec<u8>,
    key: Vec<u8>,
    keys: Keys,
}

fn verify(
    format: &str,
    signature: &[u8],
    public_key: &[u8],
    message: &[u8],
    now: Timestamp,
) -> Result<Verified, Reason> {
    let mut keys = Keys::default();
    let (signature, key) = match format {
        "x509" => {
            let key = KeyObject::parse(public_key)?;
            let verifying_key = key.verifying_key(Use::Sha256Message)?;
            key.verify_chain()?;
            Message::new(message).verify(&verifying_key, signature)?;
            keys.push_key(&key, Form::Bare);
            (signature.to_vec(), key.pem)
        }
        "ssh" => {
            let signature = SshSignature::parse(signature)?;
            let key = SshKey::parse(public_key)?;
            signature.verify(message, &key)?;
            (signature.canonical(), key.canonical())
        }
        "minisign" => {
            let signature = MinisignSignature::parse(signature)?;
            let key = MinisignKey::parse(public_key)?;
            signature.verify(message, &key)?;
            (signature.canonical(), key.canonical())
        }
        _ => {
            let signature = DetachedSignature::parse(signature)?;
            let packets = key_packets(public_key)?;
            let key = PublicKeys::parse(&packets)?;
            signature.verify(message, &key, now.as_second())?;
            keys.push_pgp(&key, Form::Bare);
            (signature.canonical(), key.canonical())
        }
    };
    if matches!(format, "ssh" | "minisign") {
        keys.push_fingerprint(&sha256(&key).to_string(), Form::Bare);
    }
    Ok(Verified { signature, key, keys })
}

impl Verified {
    fn entry(mut self, format: &str, hash: &str) -> Result<Entry, Reason> {
        self.keys.push_hash("sha256", hash);
        let body = Body::open(Kind::Rekord.name(), V0_0_1)
            .raw(r#"{"data":{"hash":"#)
            .hash("sha256", hash)
            .raw(r#"},"signature":{"content":"#)
            .base64(&self.signature)
            .raw(r#","format":"#)
            .string(format)
            .raw(r#","publicKey":{"content":"#)
            .base64(&self.key)
            .raw("}}}");
        Ok(Entry { leaf: body.close()?, keys: self.keys.finish()? })
    }
}

impl Members {
    fn of(spec: Json<'_>) -> Result<Self, Reason> {
        let signature = spec.object("signature").map(Signature::of).transpose()?;
        let data = spec.object("data").map(|data| {
            Ok::<_, Reason>(Data {
                hash: HashMember::of(data, "hash"),
                content: bytes(data, "content", "data content")?.unwrap_or_default(),
            })
        });
        Ok(Self { signature, data: data.transpose()? })
    }

    fn validate(&self) -> Result<(), Reason> {
        let mut violations = Violations::default();
        violations.add(match &self.data {
            None => required("data", self.data.as_ref()),
            Some(data) => data
                .hash
                .as_ref()
                .and_then(|hash| hash.check("data.data.hash.data.hash", SHA256_ONLY)),
        });
        violations.add(match &self.signature {
            None => required("signature", self.signature.as_ref()),
            Some(signature) => signature.validate(),
        });
        violations.finish()
    }
}

impl Signature {
    fn of(signature: Json<'_>) -> Result<Self, Reason> {
        let content = bytes(signature, "content", "signature content")?;
        let public_key = signature.object("publicKey").map(|key| {
            let content = bytes(key, "content", "signature publicKey content")?;
            Ok::<_, Reason>(PublicKey { content })
        });
        Ok(Self {
            format: signature.string("format").map(Into::into),
            content,
            public_key: public_key.transpose()?,
        })
    }

    fn validate(&self) -> Option<Violation> {
        const FORMAT: &str = "signature.signature.format";
        const KEY: &str = "signature.signature.publicKey";
        required("signature.signature.content", self.content.as_ref())
            .or_else(|| match &self.format {
                None => required(FORMAT, self.format.as_ref()),
                Some(format) => one_of(FORMAT, format, FORMATS),
            })
            .or_else(|| match &self.public_key {
                None => required(KEY, self.public_key.as_ref()),
                Some(key) => {
                    required(format!("{KEY}.signature.publicKey.content"), key.content.as_ref())
                }
            })
    }
}

impl Data {
    /// The artefact must be there to be logged; with a hash alone an entry may be looked for, but
    /// then it is the signature over nothing that must verify.
    fn check(&self, purpose: Purpose) -> Result<(), Reason> {
        match self.hash.as_ref().and_then(|hash| hash.value.as_deref()) {
            Some(value) => {
                let is_hex = value.bytes().all(|byte| byte.is_ascii_hexdigit());
                if value.len() != 64 || !is_hex {
                    return Err(Reason::HashValue);
                }
            }
            None if self.content.is_empty() => return Err(Reason::NoContent("data")),
            None => {}
        }
        if self.content.is_empty() && purpose == Purpose::Insert {
            return Err(Reason::NotInsertable("missing data content"));
        }
        Ok(())
    }
}

//! `tuf` 0.0.1: metadata of The Update Framework, and the root that its signatures are checked
//! with. Neither may have expired.

mod key;
mod time;
mod tree;

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;

use jiff::Timestamp;
use log_core::hash::sha256;
use thiserror::Error;

use super::body::Body;
use super::index::{Form, Keys};
use super::json::{Json, JsonError, JsonType};
use super::lax_base64::{self, BadBase64};
use super::refusal::Reason;
use super::schema::{Violations, required};
use super::{Entry, Kind, V0_0_1};
use key::Key;
pub use time::Expiry;
use tree::{Tree, push_escaped};

/// Longest text of metadata or root, in bytes. The canonical forms of both must fit into a leaf;
/// white space and extra members may make the texts longer.
const TEXT_BYTES_MAX: usize = 512 * 1024;

/// Most signatures of one text, each of which costs a verification; metadata has about ten.
const SIGNATURES_MAX: usize = 64;

/// The roles that sign metadata of their own name only.
const TOP_LEVEL_ROLES: [&str; 4] = ["root", "targets", "snapshot", "timestamp"];

/// Why metadata does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TufFault {
    /// A text that is sent as base64 and is none.
    #[error("base64 decoding TUF {0} content: {1}")]
    Base64(&'static str, BadBase64),
    /// A text of more than 512 KiB.
    #[error("tuf: metadata and root may each have {TEXT_BYTES_MAX} bytes")]
    TooLong,
    /// Too many levels, or a number that is none.
    #[error("tuf: metadata that has no canonical form")]
    NotCanonical,
    /// A time that is none.
    #[error("tuf: a time that is not RFC 3339")]
    Time,
    /// A signature that is no hex.
    #[error("tuf: invalid JSON hex bytes")]
    Hex,
    /// A kind of key that nothing here knows.
    #[error("invalid key")]
    Key,
    /// A key whose value cannot be read.
    #[error("tuf: error unmarshalling key: invalid {0} public key")]
    KeyValue(&'static str),
    /// A role that needs no signature.
    #[error("tuf: invalid role threshold")]
    Threshold,
    /// The root has no role of the metadata's type.
    #[error("tuf: unknown role \"{0}\"")]
    UnknownRole(String),
    /// No signature.
    #[error("tuf: data has no signatures")]
    Unsigned,
    /// More than are checked.
    #[error("tuf: data has more than {SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// Fewer good signatures of different keys than the role needs.
    #[error("tuf: valid signatures did not meet threshold")]
    BelowThreshold,
    /// A role that must not sign this type of metadata.
    #[error("tuf: meta file has wrong type")]
    WrongType,
    /// A version below zero.
    #[error("version {0} is lower than current version 0")]
    Version(i64),
    /// Too old.
    #[error("expired at {0}")]
    Expired(Expiry),
}

pub(super) fn check(spec: Json<'_>, now: Timestamp) -> Result<Entry, Reason> {
    let part = |name: &str| spec.object(name);
    let content = |name: &str| {
        let content = part(name)?.get("content")?;
        (content.json_type() != JsonType::Null).then_some(content)
    };
    let mut violations = Violations::default();
    for name in ["metadata", "root"] {
        violations.add(match part(name) {
            None => required::<()>(name, None),
            Some(_) => required(format!("{name}.{name}.content"), content(name).as_ref()),
        });
    }
    violations.finish()?;
    let (Some(metadata), Some(root)) = (content("metadata"), content("root")) else {
        return Err(Reason::Missing("metadata"));
    };
    let metadata = decoded(metadata, "metadata")?;
    let metadata = Signed::parse(metadata.json()?)?;
    let meta = Meta::parse(metadata.signed)?;
    let root_text = decoded(root, "root")?;
    let root = Root::parse(root_text.json()?, now)?;
    root.verify(&metadata, &meta, &meta.kind, now)?;
    let metadata = metadata.canonical()?;
    let mut keys = Keys::default();
    keys.push(&sha256(metadata.as_bytes()).to_string());
    keys.push(&meta.kind);
    keys.push(&meta.version.to_string());
    keys.push_fingerprint(&sha256(root.canonical.as_bytes()).to_string(), Form::Bare);
    let mut body = Body::open(Kind::Tuf.name(), V0_0_1)
        .raw(r#"{"metadata":{"content":"#)
        .base64(metadata.as_bytes())
        .raw(r#"},"root":{"content":"#)
        .base64(root.canonical.as_bytes())
        .raw("}");
    if !root.spec_version.is_empty() {
        body = body.raw(r#","spec_version":"#).string(&root.spec_version);
    }
    Ok(Entry { leaf: body.raw("}").close()?, keys: keys.finish()? })
}

/// The canonical form of a root that verifies, for a search.
pub(super) fn canonical_root(text: &[u8], now: Timestamp) -> Option<Vec<u8>> {
    if text.len() > TEXT_BYTES_MAX {
        return None;
    }
    let root = Root::parse(Json::only(text).ok()?, now).ok()?;
    Some(root.canonical.into_bytes())
}

/// A text that stands in the request, or in a string there.
enum Text<'a> {
    Inline(Json<'a>),
    Decoded(Vec<u8>),
}

fn decoded<'a>(content: Json<'a>, name: &'static str) -> Result<Text<'a>, TufFault> {
    let text = match content.as_str() {
        None => Text::Inline(content),
        Some(digits) => {
            let decoded = lax_base64::decode(digits.as_bytes());
            Text::Decoded(decoded.map_err(|fault| TufFault::Base64(name, fault))?)
        }
    };
    let len = match &text {
        Text::Inline(json) => json.text_len(),
        Text::Decoded(bytes) => bytes.len(),
    };
    if len > TEXT_BYTES_MAX { Err(TufFault::TooLong) } else { Ok(text) }
}

impl Text<'_> {
    fn json(&self) -> Result<Json<'_>, JsonError> {
        match self {
            Self::Inline(json) => Ok(*json),
            Self::Decoded(bytes) => Json::only(bytes),
        }
    }
}

/// Something with signatures over it.
struct Signed<'a> {
    signed: Json<'a>,
    signatures: Vec<Signature>,
}

struct Signature {
    keyid: String,
    sig: Vec<u8>,
}

impl<'a> Signed<'a> {
    fn parse(json: Json<'a>) -> Result<Self, Reason> {
        expect(json, JsonType::Object, "value of type data.Signed")?;
        let mut signatures = Vec::new();
        for list in json.in_any_case("signatures") {
            const PLACE: &str = "struct field Signed.signatures of type []data.Signature";
            expect(list, JsonType::Array, PLACE)?;
            signatures.clear();
            for signature in list.elements() {
                if signatures.len() == SIGNATURES_MAX {
                    return Err(TufFault::TooManySignatures.into());
                }
                signatures.push(Signature::parse(signature)?);
            }
        }
        let signed = json.in_any_case("signed").last().ok_or(JsonError::Incomplete)?;
        Ok(Self { signed, signatures })
    }

    fn tree(&self) -> Result<Tree, TufFault> {
        Tree::of(self.signed).ok_or(TufFault::NotCanonical)
    }

    /// Without members that are neither key id nor signature.
    fn canonical(&self) -> Result<String, TufFault> {
        let mut out = String::from(r#"{"signatures":["#);
        for (position, signature) in self.signatures.iter().enumerate() {
            out.push_str(if position == 0 { r#"{"keyid":"# } else { r#",{"keyid":"# });
            push_escaped(&mut out, &signature.keyid);
            out.push_str(r#","sig":""#);
            for byte in &signature.sig {
                _ = write!(out, "{byte:02x}");
            }
            out.push_str("\"}");
        }
        out.push_str(r#"],"signed":"#);
        out.push_str(&self.tree()?.logged_form());
        out.push('}');
        Ok(out)
    }
}

impl Signature {
    fn parse(json: Json<'_>) -> Result<Self, Reason> {
        const KEYID: &str = "struct field Signature.signatures.keyid of type string";
        expect(json, JsonType::Object, "struct field Signed.signatures of type data.Signature")?;
        let keyid = text_member(json, "keyid", KEYID)?;
        let sig = json.in_any_case("sig").last().map(|sig| {
            sig.as_str().and_then(|digits| key::decode_hex(&digits)).ok_or(TufFault::Hex)
        });
        Ok(Self { keyid, sig: sig.transpose()?.unwrap_or_default() })
    }
}

/// What all metadata says of itself.
struct Meta {
    /// The role that signs it.
    kind: String,
    version: i64,
    expires: Expiry,
}

impl Meta {
    fn parse(signed: Json<'_>) -> Result<Self, Reason> {
        expect(signed, JsonType::Object, "value of type tuf.signedMeta")?;
        let place = "struct field signedMeta.version of type int";
        let expires = present(signed, "expires").map(|expires| {
            expires.as_str().and_then(|text| Expiry::parse(&text)).ok_or(TufFault::Time)
        });
        Ok(Self {
            kind: text_member(signed, "_type", "struct field signedMeta._type of type string")?,
            version: number_member(signed, "version", place)?,
            expires: expires.transpose()?.or_else(Expiry::none).ok_or(TufFault::Time)?,
        })
    }
}

/// A root that its own keys signed.
struct Root {
    canonical: String,
    spec_version: String,
    keys: HashMap<String, Key>,
    roles: HashMap<String, Role>,
}

struct Role {
    keyids: HashSet<String>,
    threshold: i64,
}

impl Root {
    fn parse(json: Json<'_>, now: Timestamp) -> Result<Self, Reason> {
        let signed = Signed::parse(json)?;
        let place = "struct field Root.spec_version of type string";
        expect(signed.signed, JsonType::Object, "value of type data.Root")?;
        let meta = Meta::parse(signed.signed)?;
        let members = |name: &str, place: &'static str| {
            let Some(object) = present(signed.signed, name) else { return Ok(Vec::new()) };
            expect(object, JsonType::Object, place)?;
            Ok::<_, Reason>(object.members().collect::<Vec<_>>())
        };
        let mut root = Self {
            canonical: String::new(),
            spec_version: text_member(signed.signed, "spec_version", place)?,
            keys: HashMap::new(),
            roles: HashMap::new(),
        };
        let place = "struct field Root.keys of type map[string]*data.PublicKey";
        for (id, key) in members("keys", place)? {
            root.keys.insert(id.into_owned(), Key::parse(key)?);
        }
        let place = "struct field Root.roles of type map[string]*data.Role";
        for (name, role) in members("roles", place)? {
            root.roles.insert(name.into_owned(), Role::parse(role)?);
        }
        root.verify(&signed, &meta, "root", now)?;
        root.canonical = signed.canonical()?;
        Ok(root)
    }

    /// Checks that enough keys of a role signed, and that the role may sign this.
    fn verify(
        &self,
        signed: &Signed<'_>,
        meta: &Meta,
        role_name: &str,
        now: Timestamp,
    ) -> Result<(), TufFault> {
        if signed.signatures.is_empty() {
            return Err(TufFault::Unsigned);
        }
        let unknown = || TufFault::UnknownRole(role_name.chars().take(64).collect());
        let role = self.roles.get(role_name).ok_or_else(unknown)?;
        let message = signed.tree()?.signed_form().ok_or(TufFault::BelowThreshold)?;
        // A key counts once, under however many ids it stands.
        let mut counted = HashSet::new();
        for signature in &signed.signatures {
            let key = self.keys.get(&signature.keyid).filter(|_| role.has(&signature.keyid));
            if let Some(key) = key
                && !counted.contains(key.bytes())
                && key.verify(&message, &signature.sig)
            {
                counted.insert(key.bytes());
            }
        }
        if i64::try_from(counted.len()).unwrap_or(i64::MAX) < role.threshold {
            return Err(TufFault::BelowThreshold);
        }
        let wanted = if TOP_LEVEL_ROLES.contains(&role_name) { role_name } else { "targets" };
        if !meta.kind.eq_ignore_ascii_case(wanted) {
            return Err(TufFault::WrongType);
        }
        if meta.version < 0 {
            return Err(TufFault::Version(meta.version));
        }
        if meta.expires.is_over(now) { Err(TufFault::Expired(meta.expires)) } else { Ok(()) }
    }
}

impl Role {
    fn parse(json: Json<'_>) -> Result<Self, Reason> {
        let place = "struct field Root.roles of type data.Role";
        expect(json, JsonType::Object, place)?;
        let place = "struct field Role.roles.keyids of type []string";
        let keyids = present(json, "keyids").map(|list| {
            expect(list, JsonType::Array, place)?;
            Ok::<_, JsonError>(list.elements().filter_map(Json::as_str).map(Into::into).collect())
        });
        let place = "struct field Role.roles.threshold of type int";
        let threshold = number_member(json, "threshold", place)?;
        if threshold < 1 {
            return Err(TufFault::Threshold.into());
        }
        Ok(Self { keyids: keyids.transpose()?.unwrap_or_default(), threshold })
    }

    fn has(&self, keyid: &str) -> bool {
        self.keyids.contains(keyid)
    }
}

/// `null` is as good as an empty value.
fn expect(json: Json<'_>, wanted: JsonType, place: &'static str) -> Result<(), JsonError> {
    let found = json.json_type();
    if found == wanted || found == JsonType::Null {
        Ok(())
    } else {
        Err(JsonError::WrongType { found, place })
    }
}

/// The last member of this name that is not `null`.
fn present<'a>(json: Json<'a>, name: &str) -> Option<Json<'a>> {
    json.in_any_case(name).filter(|value| value.json_type() != JsonType::Null).last()
}

fn text_member(json: Json<'_>, name: &str, place: &'static str) -> Result<String, JsonError> {
    let Some(value) = present(json, name) else { return Ok(String::new()) };
    let text = value.as_str().map(Into::into);
    text.ok_or(JsonError::WrongType { found: value.json_type(), place })
}

fn number_member(json: Json<'_>, name: &str, place: &'static str) -> Result<i64, JsonError> {
    let Some(value) = present(json, name) else { return Ok(0) };
    let number = value.as_number().and_then(|digits| digits.parse().ok());
    number.ok_or(JsonError::WrongType { found: value.json_type(), place })
}

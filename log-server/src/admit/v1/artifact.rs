//! A package that is sent along and of which only the digest is kept, as several kinds have it.

use std::borrow::Cow;

use log_core::hash::sha256;

use super::Purpose;
use super::json::Json;
use super::refusal::Reason;
use super::schema::{HashMember, SHA256_ONLY, Violation, Violations, bytes, required};

/// What the kinds of packages ask for: a package, and the key under which it was signed.
pub(super) struct KeyedPackage {
    pub(super) key: Vec<u8>,
    pub(super) content: Vec<u8>,
    /// The digest of the content.
    pub(super) hash: String,
}

impl KeyedPackage {
    pub(super) fn of(spec: Json<'_>, purpose: Purpose) -> Result<Self, Reason> {
        let key = public_key(spec)?;
        let package = spec.object("package").map(|one| Artifact::of(one, "package content"));
        let package = package.transpose()?;
        let mut violations = Violations::default();
        violations.add(match &package {
            None => required("package", package.as_ref()),
            Some(package) => package.violation("package.package.hash.package.hash"),
        });
        violations.add(public_key_violation(key.as_ref()));
        violations.finish()?;
        let (Some(package), Some(Some(key))) = (package, key) else {
            return Err(Reason::Missing("package"));
        };
        let (content, hash) = package.check("package", "missing package content", purpose)?;
        Ok(Self { key, content, hash })
    }
}

/// What a request holds of it, of the right types.
pub(super) struct Artifact {
    hash: Option<HashMember>,
    content: Vec<u8>,
}

impl Artifact {
    /// `what` is what the content is called in refusals.
    pub(super) fn of(artifact: Json<'_>, what: &'static str) -> Result<Self, Reason> {
        Ok(Self {
            hash: HashMember::of(artifact, "hash"),
            content: bytes(artifact, "content", what)?.unwrap_or_default(),
        })
    }

    /// A violation unless the hash is one. `path` is that of the hash.
    pub(super) fn violation(&self, path: &'static str) -> Option<Violation> {
        self.hash.as_ref().and_then(|hash| hash.check(path, SHA256_ONLY))
    }

    /// The content and its digest, which must be the one that the request gives, if it does. The
    /// content must be there to be logged; with a hash alone an entry may be looked for, but then
    /// it is nothing that must hold.
    pub(super) fn check(
        self,
        name: &'static str,
        missing: &'static str,
        purpose: Purpose,
    ) -> Result<(Vec<u8>, String), Reason> {
        let given = self.hash.and_then(|hash| hash.value);
        if let Some(given) = &given {
            let is_hex = given.bytes().all(|byte| byte.is_ascii_hexdigit());
            if given.len() != 64 || !is_hex {
                return Err(Reason::HashValue);
            }
        } else if self.content.is_empty() {
            return Err(Reason::NoContent(name));
        }
        if self.content.is_empty() && purpose == Purpose::Insert {
            return Err(Reason::NotInsertable(missing));
        }
        let computed = sha256(&self.content).to_string();
        match given {
            Some(given) if given != computed => Err(Reason::HashMismatch { computed, given }),
            _ => Ok((self.content, computed)),
        }
    }
}

/// The content of `publicKey`, if that is there at all.
pub(super) fn public_key(spec: Json<'_>) -> Result<Option<Option<Vec<u8>>>, Reason> {
    let key = spec.object("publicKey");
    key.map(|key| bytes(key, "content", "public key content")).transpose()
}

/// A violation unless the key and its content are there.
pub(super) fn public_key_violation(key: Option<&Option<Vec<u8>>>) -> Option<Violation> {
    let missing = |member| {
        let rule = super::schema::Rule::Required;
        Some(Violation { member: Cow::Borrowed(member), rule })
    };
    match key {
        None => missing("publicKey"),
        Some(None) => missing("publicKey.publicKey.content"),
        Some(Some(_)) => None,
    }
}

//! `alpine` 0.0.1: a package of Alpine Linux, of which the digest and what it says of itself are
//! kept.

mod apk;
mod tar;

use std::collections::BTreeMap;

use super::super::key::{KeyKind, Use, VerifyingKey};
use super::algorithm::{HashFunction, verification};
use super::artifact::KeyedPackage;
use super::body::Body;
use super::index::{Form, Keys};
use super::json::Json;
use super::refusal::Reason;
use super::signature::SignatureFault;
use super::x509::{KeyFault, KeyObject};
use super::{Entry, Kind, Purpose, V0_0_1};

pub use apk::ApkFault;

use apk::Apk;

pub(super) fn check(spec: Json<'_>, purpose: Purpose) -> Result<Entry, Reason> {
    let KeyedPackage { key, content, hash } = KeyedPackage::of(spec, purpose)?;
    let key = KeyObject::parse(&key)?;
    let apk = Apk::parse(&content)?;
    verify(&key, &apk)?;
    let mut index = Keys::default();
    index.push_key(&key, Form::Bare);
    index.push_hash("sha256", &hash);
    let body = Body::open(Kind::Alpine.name(), V0_0_1)
        .raw(r#"{"package":{"hash":"#)
        .hash("sha256", &hash)
        .raw(r#","pkginfo":"#)
        .map(&apk.info)
        .raw(r#"},"publicKey":{"content":"#)
        .base64(&key.pem)
        .raw("}}");
    Ok(Entry { leaf: body.close()?, keys: index.finish()? })
}

/// Signatures of packages are over SHA-1, whatever the key.
fn verify(key: &KeyObject, apk: &Apk<'_>) -> Result<(), Reason> {
    let verifying_key: VerifyingKey = key.verifying_key(Use::Sha256Message)?;
    let kind = verifying_key.kind();
    let unsupported = KeyFault::Malformed(super::super::refusal::Reason::UnsupportedKey);
    let algorithm = verification(kind, HashFunction::Sha1).ok_or(unsupported.clone())?;
    let bytes = key.public_key_bytes().ok_or(unsupported)?;
    algorithm.verify_sig(&bytes, apk.control, &apk.signature).map_err(|_| {
        Reason::Signature(match kind {
            KeyKind::Rsa => SignatureFault::Rsa,
            _ => SignatureFault::Asn1,
        })
    })
}

/// Names and values of what a package says of itself.
type Info = BTreeMap<String, String>;

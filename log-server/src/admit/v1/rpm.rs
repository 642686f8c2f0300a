//! `rpm` 0.0.1: an RPM package, of which the digest and the name are kept.

mod header;
mod md5;
mod package;

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::artifact::KeyedPackage;
use super::body::Body;
use super::index::{Form, Keys};
use super::json::Json;
use super::pgp::{PublicKeys, key_packets};
use super::refusal::Reason;
use super::{Entry, Kind, Purpose, V0_0_1};

pub use package::RpmFault;

use package::Package;

pub(super) fn check(spec: Json<'_>, purpose: Purpose, now: Timestamp) -> Result<Entry, Reason> {
    let KeyedPackage { key, content, hash } = KeyedPackage::of(spec, purpose)?;
    let packets = key_packets(&key)?;
    let keys = PublicKeys::parse(&packets)?;
    let package = Package::parse(&content)?;
    package.verify(&keys, now.as_second())?;
    let mut index = Keys::default();
    index.push_pgp(&keys, Form::Bare);
    index.push_hash("sha256", &hash);
    let body = Body::open(Kind::Rpm.name(), V0_0_1)
        .raw(r#"{"package":{"hash":"#)
        .hash("sha256", &hash)
        .raw(r#","headers":"#)
        .map(&package.description()?)
        .raw(r#"},"publicKey":{"content":"#)
        .base64(&keys.canonical())
        .raw("}}");
    Ok(Entry { leaf: body.close()?, keys: index.finish()? })
}

/// What is kept of the headers, by its names.
type Description = BTreeMap<String, String>;

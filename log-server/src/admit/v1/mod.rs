//! Admission of the older protocol, Rekor v1: the text of a request becomes an entry with its
//! canonical leaf and its search keys, or is refused in the words that clients of the last years
//! know. `api/rekor_v1` calls it, for submissions, for look-ups of entries and for searches.
//!
//! Pure, like all admission: time comes as an argument, and nothing that a request names is
//! fetched. One file a kind: what is read, what is verified, what is logged, what finds it again.
//! What has no bound of its own here is bounded by the length of the request.
//!
//! `docs/rekor-v1.md` lists where this differs from the reference server on purpose.

mod algorithm;
mod alpine;
mod artifact;
mod asn1;
mod body;
mod cms;
mod cose;
mod dsse;
mod envelope;
mod hashedrekord;
mod helm;
mod index;
mod intoto_v001;
mod intoto_v002;
mod jar;
pub mod json;
mod kind;
mod lax_base64;
mod minisign;
mod pem;
mod pgp;
mod proposed;
mod refusal;
mod rekord;
mod rfc3161;
mod rpm;
mod schema;
pub mod search;
mod signature;
mod ssh;
mod tuf;
mod x509;

#[cfg(test)]
mod tests;

use jiff::Timestamp;
use log_core::Leaf;

pub use alpine::ApkFault;
pub use cms::CmsFault;
pub use cose::CoseFault;
pub use envelope::{EnvelopeFault, OpenFault};
pub use helm::ProvenanceFault;
pub use jar::JarFault;
pub use kind::Kind;
pub use lax_base64::{BadBase64, decode as decode_base64};
pub use minisign::MinisignFault;
pub use pgp::PgpFault;
pub use refusal::{GoQuoted, Reason, Refusal};
pub use rfc3161::TimestampFault;
pub use rpm::RpmFault;
pub use schema::{Rule, Violation};
pub use signature::SignatureFault;
pub use ssh::SshFault;
pub use tuf::{Expiry, TufFault};
pub use x509::KeyFault;

use json::Json;
use proposed::Proposed;

/// The version of all kinds but one.
const V0_0_1: &str = "0.0.1";

/// The newer version of `intoto`.
const V0_0_2: &str = "0.0.2";

/// What a log takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The kinds that may be submitted. Entries of other kinds can still be looked up.
    pub kinds: Vec<Kind>,
}

impl Default for Rules {
    fn default() -> Self {
        Self { kinds: Kind::DEFAULT.to_vec() }
    }
}

/// An entry that may be logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admitted {
    /// The canonical bytes of the entry.
    pub leaf: Leaf,
    /// The kind of the entry.
    pub kind: Kind,
    /// The version of that kind.
    pub version: &'static str,
    /// The words under which the entry must be found, each once, in lower case. The reference
    /// server's come first, in its order.
    pub index_keys: Vec<String>,
}

/// Decides about the body of a submission that came in `now`.
///
/// # Errors
/// [`Refusal`]; always the submitter's fault.
pub fn create_entry(body: &[u8], rules: &Rules, now: Timestamp) -> Result<Admitted, Refusal> {
    Opened::open(body, rules)?.check(now)
}

/// The same for entries that take no longer to check than a few signatures. `None`: the kind may
/// take longer, as it parses foreign formats or verifies with whatever algorithm those bring.
///
/// # Errors
/// [`Refusal`], for any kind that is refused before it is looked into.
pub fn create_quick_entry(
    body: &[u8],
    rules: &Rules,
    now: Timestamp,
) -> Result<Option<Admitted>, Refusal> {
    let opened = Opened::open(body, rules)?;
    match opened.kind {
        Kind::HashedRekord | Kind::Dsse | Kind::Intoto => opened.check(now).map(Some),
        _ => Ok(None),
    }
}

/// A submission of a kind that the log takes, and nothing else of it looked at.
struct Opened<'a> {
    kind: Kind,
    version: &'static str,
    spec: Json<'a>,
}

impl<'a> Opened<'a> {
    fn open(body: &'a [u8], rules: &Rules) -> Result<Self, Refusal> {
        let entry = Json::first(body)?.ok_or(Refusal::EmptyBody)?;
        let proposed = Proposed::parse(entry)?;
        let (kind, version) = known_version(&proposed)?;
        if !rules.kinds.contains(&kind) {
            return Err(Reason::KindDisabled(kind.name()).into());
        }
        Ok(Self { kind, version, spec: proposed.spec })
    }

    fn check(self, now: Timestamp) -> Result<Admitted, Refusal> {
        let Self { kind, version, spec } = self;
        let Entry { leaf, keys } = check(kind, version, spec, Purpose::Insert, now)?;
        Ok(Admitted { leaf, kind, version, index_keys: keys })
    }
}

/// The leaf of a proposed entry that is looked for, submitted as it once was or as it is stored.
/// Whether the log takes such entries does not matter.
///
/// # Errors
/// [`Refusal`]; the words for it are those of [`Refusal::in_lookup`].
pub fn look_up(entry: Json<'_>, now: Timestamp) -> Result<Leaf, Refusal> {
    let proposed = Proposed::parse(entry)?;
    let (kind, version) = known_version(&proposed)?;
    Ok(check(kind, version, proposed.spec, Purpose::Lookup, now)?.leaf)
}

/// Why an entry is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Purpose {
    Insert,
    Lookup,
}

/// An entry that was checked.
#[derive(Debug)]
struct Entry {
    leaf: Leaf,
    keys: Vec<String>,
}

fn known_version(proposed: &Proposed<'_>) -> Result<(Kind, &'static str), Reason> {
    let versions: &[&'static str] = match proposed.kind {
        Kind::Intoto => &[V0_0_1, V0_0_2],
        _ => &[V0_0_1],
    };
    let known = versions.iter().find(|known| **known == proposed.version);
    let unknown = || Reason::unknown_version(proposed.kind.name(), &proposed.version);
    known.map(|version| (proposed.kind, *version)).ok_or_else(unknown)
}

fn check(
    kind: Kind,
    version: &str,
    spec: Json<'_>,
    purpose: Purpose,
    now: Timestamp,
) -> Result<Entry, Reason> {
    let spec = schema::spec_object(spec)?;
    match (kind, version) {
        (Kind::HashedRekord, _) => hashedrekord::check(spec, purpose),
        (Kind::Dsse, _) => dsse::check(spec, purpose),
        (Kind::Intoto, V0_0_2) => intoto_v002::check(spec, purpose),
        (Kind::Intoto, _) => intoto_v001::check(spec, purpose),
        (Kind::Rekord, _) => rekord::check(spec, purpose, now),
        (Kind::Alpine, _) => alpine::check(spec, purpose),
        (Kind::Helm, _) => helm::check(spec, purpose, now),
        (Kind::Jar, _) => jar::check(spec, purpose),
        (Kind::Rfc3161, _) => rfc3161::check(spec),
        (Kind::Cose, _) => cose::check(spec, purpose),
        (Kind::Rpm, _) => rpm::check(spec, purpose, now),
        (Kind::Tuf, _) => tuf::check(spec, now),
    }
}

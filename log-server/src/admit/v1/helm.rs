//! `helm` 0.0.1: the provenance file of a chart, of which the digest and the signature are kept.

mod provenance;

use jiff::Timestamp;

use super::artifact::{public_key, public_key_violation};
use super::body::Body;
use super::index::{Form, Keys};
use super::json::Json;
use super::pgp::{DetachedSignature, PublicKeys, key_packets};
use super::refusal::Reason;
use super::schema::{HashMember, SHA256_ONLY, Violation, Violations, bytes, required};
use super::{Entry, Kind, Purpose, V0_0_1};

pub use provenance::ProvenanceFault;

use provenance::Provenance;

/// What a request holds, of the right types.
struct Members {
    /// The content, if there is a key at all.
    public_key: Option<Option<Vec<u8>>>,
    chart: Option<Chart>,
}

struct Chart {
    hash: Option<HashMember>,
    provenance: Option<ProvenanceMember>,
}

struct ProvenanceMember {
    content: Option<Vec<u8>>,
    has_signature: bool,
}

pub(super) fn check(spec: Json<'_>, purpose: Purpose, now: Timestamp) -> Result<Entry, Reason> {
    let members = Members::of(spec)?;
    members.validate()?;
    let public_key = members.public_key.flatten().unwrap_or_default();
    let provenance = members.chart.and_then(|chart| chart.provenance);
    let (content, has_signature) = provenance
        .map(|provenance| (provenance.content.unwrap_or_default(), provenance.has_signature))
        .unwrap_or_default();
    if content.is_empty() {
        return Err(match purpose {
            Purpose::Insert if has_signature => Reason::NotInsertable("missing provenance content"),
            _ => Reason::NoContent("provenance"),
        });
    }
    let packets = key_packets(&public_key)?;
    let keys = PublicKeys::parse(&packets)?;
    let provenance = Provenance::parse(&content)?;
    provenance.message.verify(&keys, now.as_second())?;
    let signature = DetachedSignature::from_packets(&provenance.message.signature)?;
    let mut index = Keys::default();
    index.push_pgp(&keys, Form::Bare);
    index.push_hash("sha256", &provenance.sha256);
    let body = Body::open(Kind::Helm.name(), V0_0_1)
        .raw(r#"{"chart":{"hash":"#)
        .hash("sha256", &provenance.sha256)
        .raw(r#","provenance":{"signature":{"content":"#)
        .base64(&signature.canonical())
        .raw(r#"}}},"publicKey":{"content":"#)
        .base64(&keys.canonical())
        .raw("}}");
    Ok(Entry { leaf: body.close()?, keys: index.finish()? })
}

impl Members {
    fn of(spec: Json<'_>) -> Result<Self, Reason> {
        let chart = spec.object("chart").map(Chart::of);
        Ok(Self { public_key: public_key(spec)?, chart: chart.transpose()? })
    }

    fn validate(&self) -> Result<(), Reason> {
        let mut violations = Violations::default();
        violations.add(match &self.chart {
            None => required("chart", self.chart.as_ref()),
            Some(chart) => chart.validate(),
        });
        violations.add(public_key_violation(self.public_key.as_ref()));
        violations.finish()
    }
}

impl Chart {
    fn of(chart: Json<'_>) -> Result<Self, Reason> {
        let provenance = chart.object("provenance").map(|provenance| {
            Ok::<_, Reason>(ProvenanceMember {
                content: bytes(provenance, "content", "provenance content")?,
                has_signature: provenance.object("signature").is_some(),
            })
        });
        Ok(Self { hash: HashMember::of(chart, "hash"), provenance: provenance.transpose()? })
    }

    fn validate(&self) -> Option<Violation> {
        let hash = self.hash.as_ref();
        hash.and_then(|hash| hash.check("chart.chart.hash.chart.hash", SHA256_ONLY))
            .or_else(|| required("chart.chart.provenance", self.provenance.as_ref()))
    }
}

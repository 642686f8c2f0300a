//! `rfc3161` 0.0.1: the answer of a time-stamping authority, kept as it is.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::{Decode as _, SliceReader};
use log_core::hash::sha256;
use thiserror::Error;

use super::asn1::{inner_of, sequence};
use super::body::Body;
use super::cms::{self, CmsFault};
use super::index::Keys;
use super::json::Json;
use super::refusal::Reason;
use super::schema::{Violations, bytes, required};
use super::{Entry, Kind, V0_0_1};

/// Longest answer, in bytes, as the reference server has it.
const TSR_BYTES_MAX: usize = 10 * 1024;

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");

/// `granted` and `grantedWithMods` (RFC 3161, 2.4.2).
const GRANTED: [i32; 2] = [0, 1];

/// Why a time-stamp does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum TimestampFault {
    /// More than 10 KiB.
    #[error("tsr exceeds maximum allowed size (10kB)")]
    TooLong,
    /// Not an answer in DER.
    #[error("asn1: structure error: not a time-stamp response")]
    Malformed,
    /// The authority refused.
    #[error("tsr status not granted: {0}")]
    NotGranted(i32),
    /// The token is missing, or not signed data.
    #[error("tsr wrong content type: {0}")]
    ContentType(String),
    /// The token does not hold.
    #[error("tsr verification error: {0}")]
    Token(CmsFault),
}

pub(super) fn check(spec: Json<'_>) -> Result<Entry, Reason> {
    let tsr = spec.object("tsr");
    let content = match tsr {
        Some(tsr) => bytes(tsr, "content", "tsr content")?,
        None => None,
    };
    let mut violations = Violations::default();
    violations.add(match tsr {
        None => required("tsr", tsr.as_ref()),
        Some(_) => required("tsr.tsr.content", content.as_ref()),
    });
    violations.finish()?;
    let content = content.unwrap_or_default();
    verify(&content)?;
    let mut keys = Keys::default();
    keys.push_hash("sha256", &sha256(&content).to_string());
    let body = Body::open(Kind::Rfc3161.name(), V0_0_1)
        .raw(r#"{"tsr":{"content":"#)
        .base64(&content)
        .raw("}}");
    Ok(Entry { leaf: body.close()?, keys: keys.finish()? })
}

/// Bytes behind the answer are ignored, and logged.
fn verify(tsr: &[u8]) -> Result<(), TimestampFault> {
    if tsr.len() > TSR_BYTES_MAX {
        return Err(TimestampFault::TooLong);
    }
    let mut reader = SliceReader::new(tsr).map_err(|_| TimestampFault::Malformed)?;
    let response = AnyRef::decode(&mut reader).map_err(|_| TimestampFault::Malformed)?;
    let response = sequence(response).ok_or(TimestampFault::Malformed)?;
    let [status, token @ ..] = response.as_slice() else {
        return Err(TimestampFault::Malformed);
    };
    let status = sequence(*status).ok_or(TimestampFault::Malformed)?;
    let status: Option<i32> = status.first().and_then(|status| status.decode_as().ok());
    let status = status.ok_or(TimestampFault::Malformed)?;
    // Nothing is looked at in a refusal, but what is there must be a sequence.
    let token = match token.first() {
        Some(token) => sequence(*token).ok_or(TimestampFault::Malformed)?,
        None => Vec::new(),
    };
    if !GRANTED.contains(&status) {
        return Err(TimestampFault::NotGranted(status));
    }
    let content_type: Option<ObjectIdentifier> =
        token.first().and_then(|content_type| content_type.decode_as().ok());
    match (content_type, token.get(1)) {
        (Some(SIGNED_DATA), Some(content)) => {
            let signed_data = inner_of(*content);
            let signed_data = signed_data.ok_or(TimestampFault::Token(CmsFault::Malformed))?;
            cms::verify(signed_data).map_err(TimestampFault::Token)
        }
        (Some(SIGNED_DATA), None) => Err(TimestampFault::Token(CmsFault::NoContent)),
        (other, _) => {
            let other = other.map(|other| other.to_string()).unwrap_or_default();
            Err(TimestampFault::ContentType(other))
        }
    }
}

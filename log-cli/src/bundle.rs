//! The Sigstore bundle: a signature with all that is needed to verify it offline.
//!
//! In scope: the JSON of `dev.sigstore.bundle.v1.Bundle`, versions 0.1 to 0.3, as data. Whether it
//! proves anything is decided in `verify.rs`.

use serde::{Deserialize, Serialize};

use crate::log_entry::LogEntry;
use crate::protojson::{Bytes, nullable};

/// The media type that is written.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The media types that are read.
const MEDIA_TYPES_READ: [&str; 4] = [
    MEDIA_TYPE,
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
    "application/vnd.dev.sigstore.bundle+json;version=0.2",
    MEDIA_TYPE_V0_1,
];

/// The media type of bundles whose entries need no inclusion proof.
pub const MEDIA_TYPE_V0_1: &str = "application/vnd.dev.sigstore.bundle+json;version=0.1";

/// Longest bundle that is read: an attestation of 4 MiB (what logs accept) in base64, and proofs.
pub const BUNDLE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// A bundle.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Bundle {
    /// What kind of document this is, with its version.
    pub media_type: String,
    /// Who signed, where it was logged, and when.
    pub verification_material: VerificationMaterial,
    /// A signature over an artefact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_signature: Option<MessageSignature>,
    /// A signed statement about artefacts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dsse_envelope: Option<Envelope>,
}

impl Bundle {
    /// Reads a bundle. Nothing in it is verified.
    pub fn parse(json: &[u8]) -> Result<Self, BundleError> {
        let bundle: Self = serde_json::from_slice(json)?;
        if !MEDIA_TYPES_READ.contains(&bundle.media_type.as_str()) {
            return Err(BundleError::MediaType(bundle.media_type));
        }
        Ok(bundle)
    }

    /// Whether entries of this version may come with the log's promise alone (0.1).
    pub fn may_lack_proof(&self) -> bool {
        self.media_type == MEDIA_TYPE_V0_1
    }

    /// The JSON text.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("invariant: a bundle has string keys only")
    }
}

/// Who signed, where it was logged, and when.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct VerificationMaterial {
    /// A hint for the public key, which the verifier has from elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_key: Option<PublicKeyHint>,
    /// The signing certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub certificate: Option<RawBytes>,
    /// The signing certificate, first in its chain (bundles before 0.3).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub x509_certificate_chain: Option<CertificateChain>,
    /// The entries in transparency logs.
    #[serde(default, deserialize_with = "nullable")]
    pub tlog_entries: Vec<LogEntry>,
    /// Timestamps of authorities.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp_verification_data: Option<TimestampData>,
}

impl VerificationMaterial {
    /// The DER of the signing certificate, if there is one.
    pub fn leaf_certificate(&self) -> Option<&[u8]> {
        let chain = self.x509_certificate_chain.as_ref();
        let leaf = self.certificate.as_ref();
        leaf.or_else(|| chain?.certificates.first()).map(|leaf| leaf.raw_bytes.0.as_slice())
    }
}

/// Which public key to use.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PublicKeyHint {
    /// Free text; by custom the base64 SHA-256 of the DER key.
    #[serde(default, deserialize_with = "nullable")]
    pub hint: String,
}

/// DER bytes.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RawBytes {
    /// The bytes.
    pub raw_bytes: Bytes,
}

/// Certificates, leaf first.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CertificateChain {
    /// The certificates.
    #[serde(default, deserialize_with = "nullable")]
    pub certificates: Vec<RawBytes>,
}

/// Timestamps of authorities.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TimestampData {
    /// RFC 3161 responses over the signature.
    #[serde(default, deserialize_with = "nullable")]
    pub rfc3161_timestamps: Vec<SignedTimestamp>,
}

/// One RFC 3161 response.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SignedTimestamp {
    /// A DER `TimeStampResp`.
    pub signed_timestamp: Bytes,
}

/// A signature over an artefact.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MessageSignature {
    /// The digest of the artefact.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_digest: Option<MessageDigest>,
    /// The signature.
    pub signature: Bytes,
}

/// A digest with its algorithm.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct MessageDigest {
    /// `SHA2_256`, `SHA2_384` or `SHA2_512`.
    pub algorithm: String,
    /// The digest.
    pub digest: Bytes,
}

/// A DSSE envelope.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Envelope {
    /// What was signed, without its type.
    pub payload: Bytes,
    /// The type of the payload.
    pub payload_type: String,
    /// The signatures over the pre-authentication encoding of both.
    #[serde(default, deserialize_with = "nullable")]
    pub signatures: Vec<EnvelopeSignature>,
}

/// One signature of an envelope.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EnvelopeSignature {
    /// The signature.
    pub sig: Bytes,
    /// A hint for the key; never trusted.
    #[serde(default, deserialize_with = "nullable")]
    pub keyid: String,
}

/// Why bytes are not a bundle.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// Not JSON of this shape.
    #[error("not a Sigstore bundle")]
    Json(#[from] serde_json::Error),
    /// Another kind of document, or a version that is not known.
    #[error("unknown media type `{0}`")]
    MediaType(String),
}

//! The trusted root: which logs, authorities and certificate logs a verifier believes.
//!
//! In scope: the JSON of `dev.sigstore.trustroot.v1.TrustedRoot`, and finding in it what a bundle
//! names. Out of scope: where it comes from.

use jiff::Timestamp;
use log_core::key::{KeyName, KeyNameError, VerifierKey, VerifierKeyError};
use log_core::{Origin, checkpoint::OriginError};
use reqwest::Url;
use serde::{Deserialize, Serialize};

use crate::bundle::CertificateChain;
use crate::log_entry::LogId;
use crate::protojson::{Bytes, nullable};
use crate::public_key::{KeyKind, PublicKey, PublicKeyError};

/// The media type that is written; the only one that every client reads.
pub const MEDIA_TYPE: &str = "application/vnd.dev.sigstore.trustedroot+json;version=0.1";

/// The media types that are read.
const MEDIA_TYPES_READ: [&str; 2] =
    [MEDIA_TYPE, "application/vnd.dev.sigstore.trustedroot.v0.2+json"];

/// Longest trusted root that is read: some hundred logs and authorities.
pub const TRUSTED_ROOT_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// A trusted root.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TrustedRoot {
    /// What kind of document this is, with its version.
    pub media_type: String,
    /// Transparency logs.
    #[serde(default, deserialize_with = "nullable")]
    pub tlogs: Vec<LogInstance>,
    /// Certificate authorities that certify signers.
    #[serde(default, deserialize_with = "nullable")]
    pub certificate_authorities: Vec<Authority>,
    /// Certificate Transparency logs, whose timestamps are in certificates.
    #[serde(default, deserialize_with = "nullable")]
    pub ctlogs: Vec<LogInstance>,
    /// Timestamp authorities.
    #[serde(default, deserialize_with = "nullable")]
    pub timestamp_authorities: Vec<Authority>,
}

impl TrustedRoot {
    /// A root that believes one log, for all time: the one with this DER public key.
    pub fn of_log_key(spki_der: &[u8]) -> Self {
        let id = log_core::sha256(spki_der);
        let log = LogInstance {
            base_url: String::new(),
            hash_algorithm: "SHA2_256".to_owned(),
            public_key: KeyInstance {
                raw_bytes: Bytes::from(spki_der),
                key_details: String::new(),
                valid_for: TimeRange::default(),
            },
            log_id: Some(LogId { key_id: Bytes(id.as_bytes().to_vec()) }),
            checkpoint_key_id: None,
            operator: String::new(),
        };
        Self {
            media_type: MEDIA_TYPE.to_owned(),
            tlogs: vec![log],
            certificate_authorities: Vec::new(),
            ctlogs: Vec::new(),
            timestamp_authorities: Vec::new(),
        }
    }

    /// Reads a trusted root.
    pub fn parse(json: &[u8]) -> Result<Self, TrustedRootError> {
        let root: Self = serde_json::from_slice(json)?;
        if !MEDIA_TYPES_READ.contains(&root.media_type.as_str()) {
            return Err(TrustedRootError::MediaType(root.media_type));
        }
        Ok(root)
    }

    /// The transparency log with this id; `None` if it is not trusted.
    pub fn log(&self, id: &[u8]) -> Result<Option<TrustedLog>, TrustedRootError> {
        self.instance(id).map(TrustedLog::new).transpose()
    }

    /// The transparency log with this id, as the root describes it.
    pub fn instance(&self, id: &[u8]) -> Option<&LogInstance> {
        self.tlogs.iter().find(|log| log.has_id(id))
    }
}

/// A log: of artefacts (Rekor) or of certificates (CT).
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LogInstance {
    /// Where it is; the host name is a Rekor v2 log's origin.
    #[serde(default, deserialize_with = "nullable")]
    pub base_url: String,
    /// The hash of its tree, always `SHA2_256`.
    #[serde(default, deserialize_with = "nullable")]
    pub hash_algorithm: String,
    /// Its key.
    pub public_key: KeyInstance,
    /// Its id, 32 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_id: Option<LogId>,
    /// Another name for the id, in roots of some tools.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub checkpoint_key_id: Option<LogId>,
    /// Who runs it.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub operator: String,
}

impl LogInstance {
    /// Whether this is the log's id.
    pub fn has_id(&self, id: &[u8]) -> bool {
        self.log_id.as_ref().is_some_and(|log_id| log_id.key_id.0 == id)
    }

    /// The log's key, named by its host; by its id if it has none, which v1 logs do not need.
    ///
    /// # Errors
    /// [`TrustedRootError`] if the key is broken, or of a kind that signs no notes.
    pub fn note_key(&self) -> Result<VerifierKey, TrustedRootError> {
        let url = Url::parse(&self.base_url).ok();
        let host = url.as_ref().and_then(Url::host_str);
        let spki = &self.public_key.raw_bytes.0;
        match host {
            Some(host) => verifier_key(host, spki),
            None => verifier_key(&log_core::sha256(spki).to_string(), spki),
        }
    }
}

/// A public key with the time it is good for.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct KeyInstance {
    /// DER SubjectPublicKeyInfo.
    pub raw_bytes: Bytes,
    /// Key type and algorithm, by enum name.
    #[serde(default, deserialize_with = "nullable")]
    pub key_details: String,
    /// When signatures of this key are good.
    #[serde(default, deserialize_with = "nullable")]
    pub valid_for: TimeRange,
}

/// A certificate or timestamp authority.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Authority {
    /// Its name.
    #[serde(default, deserialize_with = "nullable")]
    pub subject: DistinguishedName,
    /// Where it is.
    #[serde(default, deserialize_with = "nullable")]
    pub uri: String,
    /// Its certificates, root last.
    pub cert_chain: CertificateChain,
    /// When what it signs is good.
    #[serde(default, deserialize_with = "nullable")]
    pub valid_for: TimeRange,
    /// Who runs it.
    #[serde(default, deserialize_with = "nullable", skip_serializing_if = "String::is_empty")]
    pub operator: String,
}

/// The two parts of a subject that trusted roots give.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct DistinguishedName {
    /// Organisation.
    #[serde(default, deserialize_with = "nullable")]
    pub organization: String,
    /// Common name.
    #[serde(default, deserialize_with = "nullable")]
    pub common_name: String,
}

/// A span of time, both ends included. RFC 3339.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct TimeRange {
    /// From when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Until when; absent while it lasts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<String>,
}

impl TimeRange {
    /// From `start` on, in whole seconds, without end.
    pub fn since(start: Timestamp) -> Self {
        // A second too early does no harm; fractions are beyond what some readers take.
        let start = Timestamp::from_second(start.as_second()).unwrap_or(start);
        Self { start: Some(start.to_string()), end: None }
    }

    /// Whether the moment lies within. A missing end is open.
    pub fn contains(&self, moment: Timestamp) -> Result<bool, TrustedRootError> {
        let parse = |text: &Option<String>| {
            let parsed = text.as_ref().map(|text| text.parse::<Timestamp>());
            parsed.transpose().map_err(TrustedRootError::Time)
        };
        let (start, end) = (parse(&self.start)?, parse(&self.end)?);
        Ok(start.is_none_or(|start| start <= moment) && end.is_none_or(|end| moment <= end))
    }
}

/// A transparency log that is believed.
#[derive(Clone, Debug)]
pub struct TrustedLog {
    /// The first line of its checkpoints.
    pub origin: Origin,
    /// What its checkpoints are verified with.
    pub key: VerifierKey,
    /// When its signatures are good.
    pub valid_for: TimeRange,
}

impl TrustedLog {
    /// A v2 log as a root describes it.
    ///
    /// # Errors
    /// [`TrustedRootError`] if key or base URL are not those of such a log.
    pub fn new(log: &LogInstance) -> Result<Self, TrustedRootError> {
        let url = Url::parse(&log.base_url).map_err(|_| TrustedRootError::BaseUrl)?;
        let host = url.host_str().ok_or(TrustedRootError::BaseUrl)?;
        let key = verifier_key(host, &log.public_key.raw_bytes.0)?;
        let valid_for = log.public_key.valid_for.clone();
        Ok(Self { origin: Origin::parse(host)?, key, valid_for })
    }
}

/// The note key of a log with this origin and DER public key.
pub fn verifier_key(origin: &str, spki_der: &[u8]) -> Result<VerifierKey, TrustedRootError> {
    let name = KeyName::parse(origin)?;
    let key = PublicKey::from_spki_der(spki_der)?;
    Ok(match (key.kind(), key.ed25519_bytes()) {
        (_, Some(bytes)) => VerifierKey::ed25519(name, bytes)?,
        (KeyKind::P256, None) => VerifierKey::ecdsa_p256(name, spki_der)?,
        _ => return Err(TrustedRootError::LogKeyKind),
    })
}

/// Why a trusted root cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustedRootError {
    /// Not JSON of this shape.
    #[error("not a trusted root")]
    Json(#[from] serde_json::Error),
    /// Another kind of document, or a version that is not known.
    #[error("unknown media type `{0}` of a trusted root")]
    MediaType(String),
    /// The base URL has no host name, which is the log's origin.
    #[error("a log of the trusted root has no base URL with a host name")]
    BaseUrl,
    /// The host name is no origin.
    #[error("the host name of a log is no origin")]
    Origin(#[from] OriginError),
    /// The host name is no key name.
    #[error("the host name of a log is no key name")]
    KeyName(#[from] KeyNameError),
    /// The key is broken.
    #[error("a key of the trusted root is broken")]
    PublicKey(#[from] PublicKeyError),
    /// The key is broken.
    #[error("a log key of the trusted root is broken")]
    VerifierKey(#[from] VerifierKeyError),
    /// The key is of a kind that signs no notes.
    #[error("a log key of the trusted root is neither Ed25519 nor ECDSA P-256")]
    LogKeyKind,
    /// A time is not RFC 3339.
    #[error("a time of the trusted root is not RFC 3339")]
    Time(#[source] jiff::Error),
}

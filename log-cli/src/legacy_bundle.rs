//! The bundle that cosign wrote before Sigstore had a format for them: a signature, perhaps a
//! certificate, and the promise of a Rekor v1 log.
//!
//! In scope: its JSON, and the same content as a bundle of today, which `verify.rs` judges.

use log_core::hash::sha256;
use serde::Deserialize;
use serde_json::json;

use crate::artefact::hex;
use crate::bundle::{
    Bundle, Envelope, MEDIA_TYPE_V0_1, MessageSignature, PublicKeyHint, RawBytes,
    VerificationMaterial,
};
use crate::log_entry::{InclusionPromise, LogEntry, LogId};
use crate::pem::{pem_blocks, to_pem};
use crate::protojson::{Bytes, Int64};
use crate::v1::body::{BodyError, Heading};

/// Whether bytes that are no bundle of today look like one of these.
pub fn is_legacy(json: &[u8]) -> bool {
    serde_json::from_slice::<Form>(json).is_ok_and(|form| {
        form.media_type.is_none() && form.base64_signature.is_some() && form.rekor_bundle.is_some()
    })
}

/// Reads such a bundle into the form of today. Nothing in it is verified.
///
/// # Errors
/// [`LegacyBundleError`] says what is missing or malformed.
pub fn parse(json: &[u8]) -> Result<Bundle, LegacyBundleError> {
    let legacy: LegacyBundle = serde_json::from_slice(json)?;
    let signature = from_base64(&legacy.base64_signature, "base64Signature")?;
    let mut material = VerificationMaterial {
        tlog_entries: vec![legacy.rekor_bundle.into_entry()?],
        ..Default::default()
    };
    match legacy.cert.filter(|text| !text.is_empty()) {
        Some(text) => read_signer(&text, &mut material)?,
        None => material.public_key = Some(PublicKeyHint::default()),
    }
    // Signed envelopes stand where the signature of a file would.
    let (message_signature, dsse_envelope) = match serde_json::from_slice::<Envelope>(&signature) {
        Ok(envelope) => (None, Some(envelope)),
        Err(_) => {
            let message = MessageSignature { message_digest: None, signature: Bytes(signature) };
            (Some(message), None)
        }
    };
    Ok(Bundle {
        media_type: MEDIA_TYPE_V0_1.to_owned(),
        verification_material: material,
        message_signature,
        dsse_envelope,
    })
}

/// The JSON of such a bundle with the content of one of today; `None` if its entry has no promise,
/// or if there is neither signature nor envelope.
pub fn write(bundle: &Bundle) -> Option<String> {
    let material = &bundle.verification_material;
    let entry = material.tlog_entries.first()?;
    let promise = entry.inclusion_promise.as_ref()?;
    let signature = match (&bundle.message_signature, &bundle.dsse_envelope) {
        (Some(message), _) => message.signature.to_base64(),
        (None, Some(envelope)) => {
            let text = serde_json::to_vec(envelope).ok()?;
            Bytes(text).to_base64()
        }
        (None, None) => return None,
    };
    let mut legacy = json!({
        "base64Signature": signature,
        "rekorBundle": {
            "SignedEntryTimestamp": promise.signed_entry_timestamp.to_base64(),
            "Payload": {
                "body": entry.canonicalized_body.to_base64(),
                "integratedTime": entry.integrated_time.0,
                "logIndex": entry.log_index.0,
                "logID": hex(&entry.log_id.key_id.0),
            },
        },
    });
    if let Some(der) = material.leaf_certificate() {
        let pem = to_pem("CERTIFICATE", der);
        legacy["cert"] = json!(Bytes::from(pem.as_bytes()).to_base64());
    }
    Some(legacy.to_string())
}

/// Why bytes are not such a bundle.
#[derive(Debug, thiserror::Error)]
pub enum LegacyBundleError {
    /// Not JSON of this shape.
    #[error("not a cosign bundle")]
    Json(#[from] serde_json::Error),
    /// A value is not base64 or hex.
    #[error("the cosign bundle has a malformed `{0}`")]
    Value(&'static str),
    /// The body of the entry is none.
    #[error("the cosign bundle holds no log entry")]
    Body(#[from] BodyError),
}

/// What tells such a bundle from one of today.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Form {
    media_type: Option<serde_json::Value>,
    base64_signature: Option<serde_json::Value>,
    rekor_bundle: Option<serde_json::Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct LegacyBundle {
    base64_signature: String,
    cert: Option<String>,
    rekor_bundle: Promise,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Promise {
    signed_entry_timestamp: String,
    payload: Payload,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Payload {
    body: String,
    integrated_time: i64,
    log_index: i64,
    #[serde(rename = "logID")]
    log_id: String,
}

impl Promise {
    fn into_entry(self) -> Result<LogEntry, LegacyBundleError> {
        let Payload { body, integrated_time, log_index, log_id } = self.payload;
        let body = from_base64(&body, "body")?;
        let log_id = log_core::Hash::from_hex(&log_id.to_ascii_lowercase());
        let log_id = log_id.ok_or(LegacyBundleError::Value("logID"))?;
        let promise = from_base64(&self.signed_entry_timestamp, "SignedEntryTimestamp")?;
        Ok(LogEntry {
            log_index: Int64(log_index),
            log_id: LogId { key_id: Bytes(log_id.as_bytes().to_vec()) },
            kind_version: Heading::parse(&body)?.kind_version(),
            integrated_time: Int64(integrated_time),
            inclusion_promise: Some(InclusionPromise { signed_entry_timestamp: Bytes(promise) }),
            inclusion_proof: None,
            canonicalized_body: Bytes(body),
        })
    }
}

/// The certificate, or for a bare key that key: PEM or DER, in base64.
fn read_signer(text: &str, material: &mut VerificationMaterial) -> Result<(), LegacyBundleError> {
    let malformed = LegacyBundleError::Value("cert");
    let bytes = if text.contains("-----BEGIN") {
        text.as_bytes().to_vec()
    } else {
        from_base64(text, "cert")?
    };
    let Ok(pem) = std::str::from_utf8(&bytes) else {
        material.certificate = Some(RawBytes { raw_bytes: Bytes(bytes) });
        return Ok(());
    };
    let first = |label| pem_blocks(pem, label).ok()?.into_iter().next();
    if let Some(der) = first("CERTIFICATE") {
        material.certificate = Some(RawBytes { raw_bytes: Bytes(der) });
        return Ok(());
    }
    let key = first("PUBLIC KEY").ok_or(malformed)?;
    let hint = Bytes(sha256(&key).as_bytes().to_vec()).to_base64();
    material.public_key = Some(PublicKeyHint { hint });
    Ok(())
}

fn from_base64(text: &str, name: &'static str) -> Result<Vec<u8>, LegacyBundleError> {
    Ok(Bytes::from_base64(text).ok_or(LegacyBundleError::Value(name))?.0)
}

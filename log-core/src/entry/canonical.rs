//! The JSON of canonical leaves: pieces that both kinds write, and the reader.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use super::dsse::Dsse;
use super::hashedrekord::HashedRekord;
use super::{API_VERSION, Entry, EntryError, HashAlgorithm, KeyDetails, Signature, Verifier};
use crate::hash::Hash;

const SIGNATURE_START: &[u8] = br#"{"content":""#;
const VERIFIER_START: &[u8] = br#"","verifier":{"keyDetails":""#;
const PUBLIC_KEY_START: &[u8] = br#"","publicKey":{"rawBytes":""#;
const CERTIFICATE_START: &[u8] = br#"","x509Certificate":{"rawBytes":""#;
const SIGNATURE_END: &[u8] = br#""}}}"#;

/// Length of padded base64 of that many bytes.
pub(super) const fn base64_len(bytes: usize) -> usize {
    bytes.div_ceil(3) * 4
}

pub(super) fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + base64_len(bytes.len()), 0);
    STANDARD
        .encode_slice(bytes, &mut out[start..])
        .expect("invariant: the slice has exactly the length of the encoding");
}

/// How many bytes [`push_signature`] writes.
pub(super) fn signature_len(signature: &Signature) -> usize {
    let (start, raw) = verifier_parts(&signature.verifier);
    SIGNATURE_START.len()
        + base64_len(signature.content.len())
        + VERIFIER_START.len()
        + signature.key_details.name().len()
        + start.len()
        + base64_len(raw.len())
        + SIGNATURE_END.len()
}

/// Writes one signature object. No string in it needs escaping: names and base64 are ASCII.
pub(super) fn push_signature(out: &mut Vec<u8>, signature: &Signature) {
    let (start, raw) = verifier_parts(&signature.verifier);
    out.extend_from_slice(SIGNATURE_START);
    push_base64(out, &signature.content);
    out.extend_from_slice(VERIFIER_START);
    out.extend_from_slice(signature.key_details.name().as_bytes());
    out.extend_from_slice(start);
    push_base64(out, raw);
    out.extend_from_slice(SIGNATURE_END);
}

fn verifier_parts(verifier: &Verifier) -> (&'static [u8], &[u8]) {
    match verifier {
        Verifier::PublicKey(raw) => (PUBLIC_KEY_START, raw),
        Verifier::Certificate(raw) => (CERTIFICATE_START, raw),
    }
}

/// Reads an entry from JSON of the right shape. It may accept more than the canonical bytes: the
/// caller encodes the result and compares.
pub(super) fn decode(leaf: &[u8]) -> Result<Entry, EntryError> {
    let body: Body<'_> = serde_json::from_slice(leaf)
        .map_err(|at| EntryError::BadJson { line: at.line(), column: at.column() })?;
    if body.api_version != API_VERSION {
        return Err(EntryError::UnknownKind);
    }
    match (body.kind, body.spec) {
        (HashedRekord::KIND, Spec { hashed_rekord: Some(spec), dsse: None }) => {
            let (algorithm, digest) = decode_digest(&spec.data)?;
            let signature = decode_signature(&spec.signature)?;
            Ok(Entry::HashedRekord(HashedRekord { algorithm, digest, signature }))
        }
        (Dsse::KIND, Spec { hashed_rekord: None, dsse: Some(spec) }) => {
            // Of the algorithms that have a name only SHA-256 gives 32 bytes.
            let (_, digest) = decode_digest(&spec.payload_hash)?;
            let payload_hash = Hash::from_slice(&digest).ok_or(EntryError::BadDigest)?;
            if spec.signatures.is_empty() {
                return Err(EntryError::BadSignature);
            }
            let signatures =
                spec.signatures.iter().map(decode_signature).collect::<Result<_, _>>()?;
            Ok(Entry::Dsse(Dsse { payload_hash, signatures }))
        }
        _ => Err(EntryError::UnknownKind),
    }
}

fn decode_digest(json: &DigestJson<'_>) -> Result<(HashAlgorithm, Vec<u8>), EntryError> {
    let algorithm = HashAlgorithm::from_name(json.algorithm).ok_or(EntryError::BadDigest)?;
    let digest = decode_base64(json.digest)?;
    if digest.len() != algorithm.digest_len() {
        return Err(EntryError::BadDigest);
    }
    Ok((algorithm, digest))
}

fn decode_signature(json: &SignatureJson<'_>) -> Result<Signature, EntryError> {
    let verifier = match (&json.verifier.public_key, &json.verifier.certificate) {
        (Some(key), None) => Verifier::PublicKey(decode_base64(key.raw_bytes)?),
        (None, Some(certificate)) => Verifier::Certificate(decode_base64(certificate.raw_bytes)?),
        _ => return Err(EntryError::BadSignature),
    };
    Ok(Signature {
        content: decode_base64(json.content)?,
        verifier,
        key_details: KeyDetails::from_name(json.verifier.key_details)
            .ok_or(EntryError::UnknownKeyDetails)?,
    })
}

/// Empty values are refused: protobuf's JSON leaves such fields out.
fn decode_base64(value: &str) -> Result<Vec<u8>, EntryError> {
    match STANDARD.decode(value) {
        Ok(bytes) if !bytes.is_empty() => Ok(bytes),
        _ => Err(EntryError::BadBase64),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body<'a> {
    #[serde(rename = "apiVersion")]
    api_version: &'a str,
    kind: &'a str,
    #[serde(borrow)]
    spec: Spec<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Spec<'a> {
    #[serde(borrow, rename = "hashedRekordV002")]
    hashed_rekord: Option<HashedRekordJson<'a>>,
    #[serde(borrow, rename = "dsseV002")]
    dsse: Option<DsseJson<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HashedRekordJson<'a> {
    #[serde(borrow)]
    data: DigestJson<'a>,
    signature: SignatureJson<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DsseJson<'a> {
    #[serde(borrow, rename = "payloadHash")]
    payload_hash: DigestJson<'a>,
    signatures: Vec<SignatureJson<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DigestJson<'a> {
    algorithm: &'a str,
    digest: &'a str,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureJson<'a> {
    content: &'a str,
    #[serde(borrow)]
    verifier: VerifierJson<'a>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerifierJson<'a> {
    #[serde(rename = "keyDetails")]
    key_details: &'a str,
    #[serde(borrow, rename = "publicKey")]
    public_key: Option<RawBytesJson<'a>>,
    #[serde(borrow, rename = "x509Certificate")]
    certificate: Option<RawBytesJson<'a>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawBytesJson<'a> {
    #[serde(rename = "rawBytes")]
    raw_bytes: &'a str,
}

//! The bodies of Rekor v1: what an entry says of itself, as far as it can be shown or compared.
//!
//! In scope: kind and version of any body; digests, signatures and keys of the kinds that bundles
//! carry; the keys of the others, to show who signed. A body is authentic by the proof around it,
//! so members that are not known are passed over.

use log_core::entry::Verifier;
use serde::Deserialize;
use serde_json::Value;

use crate::log_entry::KindVersion;
use crate::pem::pem_blocks;
use crate::protojson::Bytes;

/// The kind and version that a body names.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Heading {
    api_version: String,
    kind: String,
}

impl Heading {
    /// Reads them from a body of any kind.
    ///
    /// # Errors
    /// [`BodyError`] if the bytes are not JSON with these two members.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        Ok(serde_json::from_slice(body)?)
    }

    /// In the form of bundles.
    pub fn kind_version(&self) -> KindVersion {
        KindVersion { kind: self.kind.clone(), version: self.api_version.clone() }
    }
}

/// A body of a kind that bundles carry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// hashedrekord 0.0.1: a signature over a digest.
    HashedRekord {
        /// `sha256`, `sha384` or `sha512`.
        algorithm: String,
        /// The digest.
        digest: Vec<u8>,
        /// The signature, with the one that made it.
        signature: BodySignature,
    },
    /// dsse 0.0.1: the signatures of an envelope.
    Dsse {
        /// SHA-256 of the envelope's payload.
        payload_hash: Vec<u8>,
        /// The signatures.
        signatures: Vec<BodySignature>,
    },
    /// intoto 0.0.2: an envelope without its payload.
    InToto {
        /// SHA-256 of the envelope's payload.
        payload_hash: Vec<u8>,
        /// The type of the payload.
        payload_type: String,
        /// The signatures.
        signatures: Vec<BodySignature>,
    },
    /// intoto 0.0.1: the hashes of an envelope and of its payload, and one key; no signature.
    InTotoHashes {
        /// SHA-256 of the envelope's text.
        envelope_hash: Vec<u8>,
        /// SHA-256 of the envelope's payload.
        payload_hash: Vec<u8>,
        /// Who signed; `None` if the key is of no kind that is read here.
        verifier: Option<Verifier>,
    },
}

/// A signature in a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BodySignature {
    /// The signature's bytes.
    pub content: Vec<u8>,
    /// Who made it; `None` if the key is of no kind that is read here.
    pub verifier: Option<Verifier>,
}

impl Body {
    /// Whether bodies of this kind and version are read here.
    pub fn is_known(kind: &KindVersion) -> bool {
        KNOWN.contains(&(kind.kind.as_str(), kind.version.as_str()))
    }

    /// Reads a body of one of these kinds.
    ///
    /// # Errors
    /// [`BodyError`]; also for other kinds.
    pub fn parse(body: &[u8]) -> Result<Self, BodyError> {
        let heading = Heading::parse(body)?;
        match (heading.kind.as_str(), heading.api_version.as_str()) {
            HASHED_REKORD => hashed_rekord(serde_json::from_slice(body)?),
            DSSE => dsse(serde_json::from_slice(body)?),
            IN_TOTO => in_toto(serde_json::from_slice(body)?),
            IN_TOTO_HASHES => in_toto_hashes(serde_json::from_slice(body)?),
            (kind, version) => Err(BodyError::Kind(format!("{kind} {version}"))),
        }
    }
}

/// Who signed, according to a body of any kind: one for each key in it. Keys that are neither a
/// public key nor a certificate come as their bytes.
pub fn signers(body: &[u8]) -> Vec<Result<Verifier, Vec<u8>>> {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Vec::new();
    };
    let one = ["/spec/signature/publicKey/content", "/spec/publicKey/content", "/spec/publicKey"];
    let many =
        [("/spec/signatures", "verifier"), ("/spec/content/envelope/signatures", "publicKey")];
    let one = one.iter().filter_map(|pointer| body.pointer(pointer));
    let many = many.iter().flat_map(|(pointer, name)| {
        let list = body.pointer(pointer).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(move |item| item.get(*name))
    });
    let keys = one.chain(many).filter_map(|value| Bytes::from_base64(value.as_str()?));
    keys.map(|key| verifier(&key.0).ok_or(key.0)).collect()
}

/// What an entry is about, for people: `ALGORITHM:HEX` of the artefact or of the payload.
pub fn digest(body: &[u8]) -> Option<String> {
    let body = serde_json::from_slice::<Value>(body).ok()?;
    let hash = HASHES.iter().find_map(|pointer| body.pointer(pointer))?;
    Some(format!("{}:{}", hash.get("algorithm")?.as_str()?, hash.get("value")?.as_str()?))
}

/// The hex digits of all digests that an entry is about and that a log has computed or verified.
pub fn digests(body: &[u8]) -> Vec<String> {
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return Vec::new();
    };
    let hashes = HASHES.iter().filter_map(|pointer| body.pointer(pointer));
    hashes.filter_map(|hash| Some(hash.get("value")?.as_str()?.to_owned())).collect()
}

/// Where kinds have such digests; not the hash in intoto 0.0.2, which is whatever was sent.
const HASHES: [&str; 9] = [
    "/spec/data/hash",
    "/spec/payloadHash",
    "/spec/content/payloadHash",
    "/spec/package/hash",
    "/spec/archive/hash",
    "/spec/chart/hash",
    "/spec/data/payloadHash",
    "/spec/envelopeHash",
    "/spec/data/envelopeHash",
];

/// Why bytes are not a body that is understood here.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// Not JSON of the kind's shape.
    #[error("the body is not that of a Rekor v1 entry")]
    Json(#[from] serde_json::Error),
    /// A value is not base64 or hex.
    #[error("a value of the body is neither base64 nor hex, as it should be")]
    Value,
    /// A kind or version that no bundle carries.
    #[error("bundles do not carry entries of the kind {0}")]
    Kind(String),
}

/// `hashedrekord` as this API has it.
pub const HASHED_REKORD: (&str, &str) = ("hashedrekord", "0.0.1");
/// `dsse` as this API has it.
pub const DSSE: (&str, &str) = ("dsse", "0.0.1");
/// `intoto` in the version that holds signatures.
pub const IN_TOTO: (&str, &str) = ("intoto", "0.0.2");
/// `intoto` in the version before, which cosign 2 could be told to make.
pub const IN_TOTO_HASHES: (&str, &str) = ("intoto", "0.0.1");
const KNOWN: [(&str, &str); 4] = [HASHED_REKORD, DSSE, IN_TOTO, IN_TOTO_HASHES];

#[derive(Deserialize)]
struct Of<S> {
    spec: S,
}

#[derive(Deserialize)]
struct HashedRekordSpec {
    data: Data,
    signature: HashedRekordSignature,
}

#[derive(Deserialize)]
struct Data {
    hash: HashValue,
}

#[derive(Deserialize)]
struct HashValue {
    algorithm: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HashedRekordSignature {
    content: Bytes,
    public_key: Content,
}

#[derive(Deserialize)]
struct Content {
    content: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DsseSpec {
    payload_hash: HashValue,
    signatures: Vec<DsseSignature>,
}

#[derive(Deserialize)]
struct DsseSignature {
    signature: Bytes,
    verifier: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InTotoHashesSpec {
    content: InTotoHashesContent,
    public_key: Bytes,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InTotoHashesContent {
    hash: HashValue,
    payload_hash: HashValue,
}

#[derive(Deserialize)]
struct InTotoSpec {
    content: InTotoContent,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InTotoContent {
    envelope: InTotoEnvelope,
    payload_hash: HashValue,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InTotoEnvelope {
    payload_type: String,
    signatures: Vec<InTotoSignature>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InTotoSignature {
    public_key: Bytes,
    sig: Bytes,
}

fn hashed_rekord(body: Of<HashedRekordSpec>) -> Result<Body, BodyError> {
    let HashedRekordSpec { data, signature } = body.spec;
    Ok(Body::HashedRekord {
        digest: unhex(&data.hash.value).ok_or(BodyError::Value)?,
        algorithm: data.hash.algorithm,
        signature: BodySignature {
            content: signature.content.0,
            verifier: verifier(&signature.public_key.content.0),
        },
    })
}

fn dsse(body: Of<DsseSpec>) -> Result<Body, BodyError> {
    let signatures = body
        .spec
        .signatures
        .into_iter()
        .map(|one| BodySignature { content: one.signature.0, verifier: verifier(&one.verifier.0) });
    let payload_hash = body.spec.payload_hash.sha256()?;
    Ok(Body::Dsse { payload_hash, signatures: signatures.collect() })
}

fn in_toto(body: Of<InTotoSpec>) -> Result<Body, BodyError> {
    let InTotoContent { envelope, payload_hash } = body.spec.content;
    let signatures = envelope.signatures.into_iter().map(|one| {
        // This kind holds the base64 of the base64 that stands in the envelope.
        let text = String::from_utf8(one.sig.0).map_err(|_| BodyError::Value)?;
        let content = Bytes::from_base64(&text).ok_or(BodyError::Value)?.0;
        Ok(BodySignature { content, verifier: verifier(&one.public_key.0) })
    });
    Ok(Body::InToto {
        payload_hash: payload_hash.sha256()?,
        payload_type: envelope.payload_type,
        signatures: signatures.collect::<Result<_, BodyError>>()?,
    })
}

fn in_toto_hashes(body: Of<InTotoHashesSpec>) -> Result<Body, BodyError> {
    let InTotoHashesSpec { content, public_key } = body.spec;
    Ok(Body::InTotoHashes {
        envelope_hash: content.hash.sha256()?,
        payload_hash: content.payload_hash.sha256()?,
        verifier: verifier(&public_key.0),
    })
}

impl HashValue {
    fn sha256(&self) -> Result<Vec<u8>, BodyError> {
        let bytes = unhex(&self.value).filter(|_| self.algorithm == "sha256");
        bytes.ok_or(BodyError::Value)
    }
}

/// The first key or certificate of a PEM text: the one that signed.
fn verifier(pem: &[u8]) -> Option<Verifier> {
    let text = std::str::from_utf8(pem).ok()?;
    let first = |label| pem_blocks(text, label).ok()?.into_iter().next();
    let certificate = first("CERTIFICATE").map(Verifier::Certificate);
    certificate.or_else(|| first("PUBLIC KEY").map(Verifier::PublicKey))
}

/// The bytes of hex digits of any case.
fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return None;
    }
    let pairs = (0..text.len()).step_by(2);
    pairs.map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok()).collect()
}

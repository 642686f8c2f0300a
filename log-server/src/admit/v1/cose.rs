//! `cose` 0.0.1: a signed COSE message (RFC 9052) of which the hashes are kept.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, RSA_PSS_2048_8192_SHA256, VerificationAlgorithm,
};
use coset::{Algorithm, ContentType, CoseSign1, TaggedCborSerializable as _, iana};
use log_core::hash::sha256;
use thiserror::Error;

use super::super::key::{KeyKind, Use};
use super::body::Body;
use super::index::{Form, IN_TOTO, Keys};
use super::json::Json;
use super::refusal::Reason;
use super::schema::{HashMember, SHA256_ONLY, Violations, bytes, required};
use super::x509::KeyObject;
use super::{Entry, Kind, Purpose, V0_0_1};

/// Longest message, in bytes. Headers are read into a tree of some thirty times their length, so
/// this bounds the memory of a request; upstream knows no bound.
const MESSAGE_BYTES_MAX: usize = 1024 * 1024;

/// Tag 18 and an array of four, each in the one byte that it needs.
const START: &[u8] = &[0xd2, 0x84];

/// Why a message does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CoseFault {
    /// A message without the object beside it.
    #[error("cose object data cannot be nil")]
    NoData,
    /// Neither a message nor its hash.
    #[error("envelope hash should have been previously computed")]
    NoHash,
    /// Only a message can be looked for.
    #[error("signed message uninitialized")]
    NoMessage,
    /// A message of more than 1 MiB.
    #[error("a COSE message may have {MESSAGE_BYTES_MAX} bytes")]
    TooLong,
    /// Not a tagged message with one signature.
    #[error("cbor: invalid COSE_Sign1_Tagged object")]
    Malformed,
    /// The payload is elsewhere.
    #[error("missing payload")]
    NoPayload,
    /// No bytes of signature.
    #[error("empty signature")]
    EmptySignature,
    /// Neither the header nor anything else says which algorithm it is.
    #[error("algorithm not found")]
    NoAlgorithm,
    /// The header names another algorithm than the key has.
    #[error("algorithm mismatch")]
    OtherAlgorithm,
    /// A curve that this kind does not take.
    #[error("unsupported elliptic curve {0}")]
    OtherCurve(KeyKind),
    /// A key that this kind does not take.
    #[error("unsupported algorithm type ed25519.PublicKey")]
    Ed25519,
    /// The signature is not of this key over this message.
    #[error("verification error")]
    Unverified,
}

/// What a request holds, of the right types.
struct Members {
    message: Option<Vec<u8>>,
    public_key: Option<Vec<u8>>,
    data: Option<Data>,
}

#[derive(Default)]
struct Data {
    aad: Vec<u8>,
    envelope_hash: Option<HashMember>,
    payload_hash: Option<HashMember>,
}

pub(super) fn check(spec: Json<'_>, purpose: Purpose) -> Result<Entry, Reason> {
    let members = Members::of(spec)?;
    members.validate()?;
    let key = KeyObject::parse(&members.public_key.unwrap_or_default())?;
    let Some(message) = members.message else {
        members.data.and_then(|data| data.envelope_hash).ok_or(CoseFault::NoHash)?;
        return Err(match purpose {
            Purpose::Insert => Reason::NotInsertable("missing COSE Sign1 message"),
            Purpose::Lookup => CoseFault::NoMessage.into(),
        });
    };
    let data = members.data.ok_or(CoseFault::NoData)?;
    let signed = open(&message, &data.aad, &key)?;
    entry(&message, &signed, &key)
}

/// The message, if the key signed it together with the additional data.
fn open(message: &[u8], aad: &[u8], key: &KeyObject) -> Result<CoseSign1, Reason> {
    let algorithm = algorithm_of(key)?;
    if message.len() > MESSAGE_BYTES_MAX {
        return Err(CoseFault::TooLong.into());
    }
    if !message.starts_with(START) {
        return Err(CoseFault::Malformed.into());
    }
    let signed = CoseSign1::from_tagged_slice(message).map_err(|_| CoseFault::Malformed)?;
    if signed.signature.is_empty() {
        return Err(CoseFault::EmptySignature.into());
    }
    if signed.payload.is_none() {
        return Err(CoseFault::NoPayload.into());
    }
    match &signed.protected.header.alg {
        Some(Algorithm::Assigned(named)) if *named == algorithm.0 => {}
        Some(_) => return Err(CoseFault::OtherAlgorithm.into()),
        // With additional data the two sides agree on the algorithm by other means.
        None if aad.is_empty() => return Err(CoseFault::NoAlgorithm.into()),
        None => {}
    }
    let bytes = key.public_key_bytes().unwrap_or_default();
    let verify =
        |signature: &[u8], signed: &[u8]| algorithm.1.verify_sig(&bytes, signed, signature);
    signed.verify_signature(aad, verify).map_err(|_| CoseFault::Unverified)?;
    Ok(signed)
}

fn algorithm_of(
    key: &KeyObject,
) -> Result<(iana::Algorithm, &'static dyn VerificationAlgorithm), Reason> {
    match key.verifying_key(Use::Sha256Message)?.kind() {
        KeyKind::Rsa => Ok((iana::Algorithm::PS256, &RSA_PSS_2048_8192_SHA256)),
        KeyKind::EcdsaP256 => Ok((iana::Algorithm::ES256, &ECDSA_P256_SHA256_FIXED)),
        KeyKind::Ed25519 => Err(CoseFault::Ed25519.into()),
        curve => Err(CoseFault::OtherCurve(curve).into()),
    }
}

fn entry(message: &[u8], signed: &CoseSign1, key: &KeyObject) -> Result<Entry, Reason> {
    let payload = signed.payload.as_deref().unwrap_or_default();
    let (envelope_hash, payload_hash) = (sha256(message).to_string(), sha256(payload).to_string());
    let mut keys = Keys::default();
    keys.push_key(key, Form::Bare);
    keys.push_hash("sha256", &envelope_hash);
    keys.push_hash("sha256", &payload_hash);
    let content_type = &signed.protected.header.content_type;
    if matches!(content_type, Some(ContentType::Text(text)) if text == IN_TOTO) {
        keys.push_subjects(payload);
    }
    let body = Body::open(Kind::Cose.name(), V0_0_1)
        .raw(r#"{"data":{"envelopeHash":"#)
        .hash("sha256", &envelope_hash)
        .raw(r#","payloadHash":"#)
        .hash("sha256", &payload_hash)
        .raw(r#"},"publicKey":"#)
        .base64(&key.pem)
        .raw("}");
    Ok(Entry { leaf: body.close()?, keys: keys.finish()? })
}

impl Members {
    fn of(spec: Json<'_>) -> Result<Self, Reason> {
        let message = bytes(spec, "message", "message")?;
        let public_key = bytes(spec, "publicKey", "publicKey")?;
        let data = match spec.object("data") {
            Some(data) => Some(Data {
                aad: bytes(data, "aad", "aad")?.unwrap_or_default(),
                envelope_hash: HashMember::of(data, "envelopeHash"),
                payload_hash: HashMember::of(data, "payloadHash"),
            }),
            None => None,
        };
        Ok(Self { message, public_key, data })
    }

    fn validate(&self) -> Result<(), Reason> {
        let check = |hash: &Option<HashMember>, name: &str| {
            hash.as_ref().and_then(|hash| hash.check(name, SHA256_ONLY))
        };
        let mut violations = Violations::default();
        violations.add(self.data.as_ref().and_then(|data| {
            check(&data.envelope_hash, "data.data.envelopeHash.data.envelopeHash")
                .or_else(|| check(&data.payload_hash, "data.data.payloadHash.data.payloadHash"))
        }));
        violations.add(required("publicKey", self.public_key.as_ref()));
        violations.finish()
    }
}

//! `hashedrekord` 0.0.1: a signature over a digest; the artefact is never seen.

use aws_lc_rs::digest::Digest;
use log_core::entry::HashAlgorithm;

use super::super::algorithm::hash_of;
use super::super::key::{Use, VerifyingKey};
use super::super::refusal::Reason as KeyReason;
use super::super::verifier::{implementation, is_too_long};
use super::body::Body;
use super::index::{Form, Keys};
use super::json::Json;
use super::refusal::Reason;
use super::schema::{HashMember, Violations, bytes, required};
use super::signature::{SignatureFault, verify_digest};
use super::x509::{KeyFault, KeyObject};
use super::{Entry, Kind, Purpose, V0_0_1};

const ALGORITHMS: &[&str] = &["sha256", "sha384", "sha512"];

/// What a request holds, of the right types.
struct Members {
    signature: Option<Signature>,
    hash: Option<HashMember>,
}

struct Signature {
    content: Vec<u8>,
    /// Empty if the key object is there and its content is not.
    public_key: Option<Vec<u8>>,
}

pub(super) fn check(spec: Json<'_>, purpose: Purpose) -> Result<Entry, Reason> {
    let members = Members::of(spec)?;
    let mut violations = Violations::default();
    violations.add(match &members.hash {
        None => required("data", members.hash.as_ref()),
        Some(hash) => hash.check("data.data.hash.data.hash", ALGORITHMS),
    });
    violations.add(required("signature", members.signature.as_ref()));
    violations.finish()?;
    let (Some(signature), Some(hash)) = (members.signature, members.hash) else {
        return Err(Reason::Missing("signature"));
    };
    let public_key = signature.public_key.ok_or(Reason::Missing("public key"))?;
    if is_too_long(&signature.content) {
        return Err(Reason::LeafTooLong);
    }
    let key = KeyObject::parse(&public_key)?;
    let (algorithm, value) = hash.parts();
    let function = hash_function(algorithm);
    let digest = decode_digest(value, function)?;
    verify(&key, function, &digest, &signature.content, purpose)?;
    entry(&signature.content, &key, algorithm, value)
}

impl Members {
    fn of(spec: Json<'_>) -> Result<Self, Reason> {
        let signature = match spec.object("signature") {
            Some(signature) => Some(Signature {
                content: bytes(signature, "content", "signature content")?.unwrap_or_default(),
                public_key: match signature.object("publicKey") {
                    Some(key) => {
                        Some(bytes(key, "content", "public key content")?.unwrap_or_default())
                    }
                    None => None,
                },
            }),
            None => None,
        };
        let hash = spec.object("data").and_then(|data| HashMember::of(data, "hash"));
        Ok(Self { signature, hash })
    }
}

/// The algorithm policy comes before the signature: refusing a pair is cheaper than verifying. An
/// entry that is only looked for passes unverified then, as no log of ours holds it.
fn verify(
    key: &KeyObject,
    function: HashAlgorithm,
    digest: &Digest,
    signature: &[u8],
    purpose: Purpose,
) -> Result<(), Reason> {
    if signature.is_empty() {
        return Err(Reason::DigestSignature(SignatureFault::Empty));
    }
    let verifying_key = match key.verifying_key(Use::PolicyDigest) {
        Ok(verifying_key) => verifying_key,
        Err(KeyFault::Malformed(KeyReason::UnsupportedRsaSize(_) | KeyReason::UnsupportedKey)) => {
            return outside_policy(purpose);
        }
        Err(fault) => return Err(fault.into()),
    };
    if let VerifyingKey::Ed25519(_) = verifying_key
        && function != HashAlgorithm::Sha2_512
    {
        let name = if function == HashAlgorithm::Sha2_256 { "SHA-256" } else { "SHA-384" };
        return Err(Reason::DigestSignature(SignatureFault::Ed25519phHash(name)));
    }
    if function != hash_of(verifying_key.kind()) {
        return outside_policy(purpose);
    }
    key.verify_chain().map_err(Reason::Chain)?;
    verify_digest(&verifying_key, digest, signature).map_err(Reason::DigestSignature)
}

fn outside_policy(purpose: Purpose) -> Result<(), Reason> {
    match purpose {
        Purpose::Insert => Err(Reason::AlgorithmsNotAllowed),
        Purpose::Lookup => Ok(()),
    }
}

fn hash_function(algorithm: &str) -> HashAlgorithm {
    match algorithm {
        "sha384" => HashAlgorithm::Sha2_384,
        "sha512" => HashAlgorithm::Sha2_512,
        _ => HashAlgorithm::Sha2_256,
    }
}

fn decode_digest(value: &str, function: HashAlgorithm) -> Result<Digest, Reason> {
    if value.len() != 2 * function.digest_len() {
        return Err(Reason::HashValue);
    }
    let digit = |byte: u8| {
        let digit = char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        digit.ok_or(Reason::HexDigit(byte))
    };
    let digits: Vec<u8> = value.bytes().map(digit).collect::<Result<_, _>>()?;
    let bytes: Vec<u8> = digits.as_chunks().0.iter().map(|[high, low]| high << 4 | low).collect();
    Digest::import_less_safe(&bytes, implementation(function)).map_err(|_| Reason::HashValue)
}

fn entry(signature: &[u8], key: &KeyObject, algorithm: &str, value: &str) -> Result<Entry, Reason> {
    let mut keys = Keys::default();
    keys.push_key(key, Form::Bare);
    keys.push_hash(algorithm, value);
    // The value keeps the letter case of the request; so two spellings are two entries.
    let body = Body::open(Kind::HashedRekord.name(), V0_0_1)
        .raw(r#"{"data":{"hash":"#)
        .hash(algorithm, value)
        .raw(r#"},"signature":{"content":"#)
        .base64(signature)
        .raw(r#","publicKey":{"content":"#)
        .base64(&key.pem)
        .raw("}}}");
    Ok(Entry { leaf: body.close()?, keys: keys.finish()? })
}

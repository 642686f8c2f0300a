//! Signed data of CMS (RFC 5652), as time-stamps are wrapped in it: who signed, with which of the
//! certificates that come along. Whether anybody trusts those is not asked.
//!
//! Read here and not by a library, because sets in any order must be taken.

use aws_lc_rs::digest::{Algorithm, SHA1_FOR_LEGACY_USE_ONLY, SHA256, SHA384, SHA512, digest};
use aws_lc_rs::signature::{
    ECDSA_P256_SHA1_ASN1, ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA384_ASN1, ECDSA_P256_SHA512_ASN1,
    ECDSA_P384_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA512_ASN1, ECDSA_P521_SHA1_ASN1,
    ECDSA_P521_SHA256_ASN1, ECDSA_P521_SHA384_ASN1, ECDSA_P521_SHA512_ASN1,
    RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, VerificationAlgorithm,
};
use der::asn1::{AnyRef, ObjectIdentifier};
use der::referenced::OwnedToRef as _;
use der::{Decode as _, Encode as _, Tag, Tagged as _};
use thiserror::Error;
use x509_cert::Certificate;

use super::super::key::{KeyKind, Use, VerifyingKey};
use super::asn1::{context_number, elements, inner_of, sequence};

const ID_RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");

/// The hash functions by their identifiers.
const HASHES: [(ObjectIdentifier, &Algorithm); 4] = [
    (ObjectIdentifier::new_unwrap("1.3.14.3.2.26"), &SHA1_FOR_LEGACY_USE_ONLY),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1"), &SHA256),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2"), &SHA384),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3"), &SHA512),
];

/// How keys verify, for each hash function in the order of [`HASHES`].
const P256: [Option<&dyn VerificationAlgorithm>; 4] = [
    Some(&ECDSA_P256_SHA1_ASN1),
    Some(&ECDSA_P256_SHA256_ASN1),
    Some(&ECDSA_P256_SHA384_ASN1),
    Some(&ECDSA_P256_SHA512_ASN1),
];
const P384: [Option<&dyn VerificationAlgorithm>; 4] = [
    None,
    Some(&ECDSA_P384_SHA256_ASN1),
    Some(&ECDSA_P384_SHA384_ASN1),
    Some(&ECDSA_P384_SHA512_ASN1),
];
const P521: [Option<&dyn VerificationAlgorithm>; 4] = [
    Some(&ECDSA_P521_SHA1_ASN1),
    Some(&ECDSA_P521_SHA256_ASN1),
    Some(&ECDSA_P521_SHA384_ASN1),
    Some(&ECDSA_P521_SHA512_ASN1),
];
const RSA: [Option<&dyn VerificationAlgorithm>; 4] = [
    Some(&RSA_PKCS1_2048_8192_SHA1_FOR_LEGACY_USE_ONLY),
    Some(&RSA_PKCS1_2048_8192_SHA256),
    Some(&RSA_PKCS1_2048_8192_SHA384),
    Some(&RSA_PKCS1_2048_8192_SHA512),
];
const RSA_PSS: [Option<&dyn VerificationAlgorithm>; 4] = [
    None,
    Some(&RSA_PSS_2048_8192_SHA256),
    Some(&RSA_PSS_2048_8192_SHA384),
    Some(&RSA_PSS_2048_8192_SHA512),
];

/// Why signed data does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CmsFault {
    /// Not signed data in DER.
    #[error("asn1: structure error: not signed data")]
    Malformed,
    /// The content is elsewhere.
    #[error("pkcs7: missing content")]
    NoContent,
    /// Nobody signed.
    #[error("pkcs7: not signed")]
    Unsigned,
    /// The certificate of a signer did not come along.
    #[error("pkcs7: certificate missing from signedData")]
    NoCertificate,
    /// A hash function, a key or a pair of them that nothing here can check.
    #[error("pkcs7: unsupported algorithm")]
    UnsupportedAlgorithm,
    /// The signed attributes are of other content.
    #[error("pkcs7: content digest does not match")]
    OtherContent,
    /// The signature is not of this key over these attributes.
    #[error("pkcs7: signature does not verify")]
    Unverified,
}

/// Signed data, and all of its signatures verified.
///
/// # Errors
/// [`CmsFault`] of the first signature that does not hold.
pub(super) fn verify(signed_data: AnyRef<'_>) -> Result<(), CmsFault> {
    let parts = Parts::of(signed_data)?;
    let content = parts.content.ok_or(CmsFault::NoContent)?;
    if parts.signers.is_empty() {
        return Err(CmsFault::Unsigned);
    }
    parts.signers.iter().try_for_each(|signer| signer.verify(content, &parts.certificates))
}

struct Parts<'a> {
    content: Option<&'a [u8]>,
    certificates: Vec<Certificate>,
    signers: Vec<Signer<'a>>,
}

struct Signer<'a> {
    /// DER.
    issuer: Vec<u8>,
    serial: &'a [u8],
    hash: ObjectIdentifier,
    /// What the tag of the signed attributes encloses.
    attributes: Option<&'a [u8]>,
    algorithm: ObjectIdentifier,
    signature: &'a [u8],
}

impl<'a> Parts<'a> {
    fn of(signed_data: AnyRef<'a>) -> Result<Self, CmsFault> {
        let parts = sequence(signed_data).ok_or(CmsFault::Malformed)?;
        let [_, _, content, rest @ ..] = parts.as_slice() else { return Err(CmsFault::Malformed) };
        let content = sequence(*content).ok_or(CmsFault::Malformed)?;
        let content = match content.get(1) {
            Some(explicit) => Some(inner_of(*explicit).ok_or(CmsFault::Malformed)?),
            None => None,
        };
        let certificates = rest.iter().find(|part| context_number(**part) == Some(0));
        let certificates = certificates.map_or(Some(Vec::new()), |set| elements(set.value()));
        let certificates = certificates.ok_or(CmsFault::Malformed)?;
        let der = |certificate: &AnyRef<'_>| certificate.to_der().ok();
        let signers = rest.last().filter(|set| set.tag() == Tag::Set).ok_or(CmsFault::Malformed)?;
        let signers = elements(signers.value()).ok_or(CmsFault::Malformed)?;
        Ok(Self {
            content: content.map(|content| content.value()),
            // One that cannot be read is nobody's, unless it is missed below.
            certificates: certificates
                .iter()
                .filter_map(der)
                .filter_map(|der| Certificate::from_der(&der).ok())
                .collect(),
            signers: signers.into_iter().map(Signer::of).collect::<Result<_, _>>()?,
        })
    }
}

impl<'a> Signer<'a> {
    fn of(info: AnyRef<'a>) -> Result<Self, CmsFault> {
        let parts = sequence(info).ok_or(CmsFault::Malformed)?;
        let [_, id, hash, rest @ ..] = parts.as_slice() else { return Err(CmsFault::Malformed) };
        let id = sequence(*id).ok_or(CmsFault::Malformed)?;
        let [issuer, serial] = id.as_slice() else { return Err(CmsFault::Malformed) };
        let (attributes, rest) = match rest {
            [first, rest @ ..] if context_number(*first) == Some(0) => (Some(first.value()), rest),
            rest => (None, rest),
        };
        let [algorithm, signature, ..] = rest else { return Err(CmsFault::Malformed) };
        if signature.tag() != Tag::OctetString || serial.tag() != Tag::Integer {
            return Err(CmsFault::Malformed);
        }
        Ok(Self {
            issuer: issuer.to_der().map_err(|_| CmsFault::Malformed)?,
            serial: serial.value(),
            hash: identifier(*hash)?,
            attributes: attributes.filter(|attributes| !attributes.is_empty()),
            algorithm: identifier(*algorithm)?,
            signature: signature.value(),
        })
    }

    fn verify(&self, content: &[u8], certificates: &[Certificate]) -> Result<(), CmsFault> {
        let hash = HASHES.iter().position(|(identifier, _)| *identifier == self.hash);
        let hash = hash.ok_or(CmsFault::UnsupportedAlgorithm)?;
        let content_digest = digest(HASHES[hash].1, content);
        let signed = match self.attributes {
            None => content.to_vec(),
            Some(attributes) => {
                if message_digest(attributes)? != content_digest.as_ref() {
                    return Err(CmsFault::OtherContent);
                }
                // What is signed has the tag of a set, what is sent another one.
                let set = AnyRef::new(Tag::Set, attributes).and_then(|set| set.to_der());
                set.map_err(|_| CmsFault::Malformed)?
            }
        };
        let certificate = certificates.iter().find(|certificate| self.is_by(certificate));
        let certificate = certificate.ok_or(CmsFault::NoCertificate)?;
        let info = certificate.tbs_certificate().subject_public_key_info().owned_to_ref();
        let key = VerifyingKey::from_info(&info, Use::Sha256Message);
        let table = match key.map_err(|_| CmsFault::UnsupportedAlgorithm)?.kind() {
            KeyKind::EcdsaP256 => P256,
            KeyKind::EcdsaP384 => P384,
            KeyKind::EcdsaP521 => P521,
            KeyKind::Rsa if self.algorithm == ID_RSASSA_PSS => RSA_PSS,
            KeyKind::Rsa => RSA,
            KeyKind::Ed25519 => return Err(CmsFault::UnsupportedAlgorithm),
        };
        let algorithm = table[hash].ok_or(CmsFault::UnsupportedAlgorithm)?;
        let key = info.subject_public_key.raw_bytes();
        algorithm.verify_sig(key, &signed, self.signature).map_err(|_| CmsFault::Unverified)
    }

    fn is_by(&self, certificate: &Certificate) -> bool {
        let certificate = certificate.tbs_certificate();
        certificate.serial_number().as_bytes() == self.serial
            && certificate.issuer().to_der().is_ok_and(|issuer| issuer == self.issuer)
    }
}

/// The value of the attribute `messageDigest`.
fn message_digest(attributes: &[u8]) -> Result<&[u8], CmsFault> {
    for attribute in elements(attributes).ok_or(CmsFault::Malformed)? {
        let parts = sequence(attribute).ok_or(CmsFault::Malformed)?;
        let [kind, values] = parts.as_slice() else { return Err(CmsFault::Malformed) };
        let kind: ObjectIdentifier = kind.decode_as().map_err(|_| CmsFault::Malformed)?;
        if kind == MESSAGE_DIGEST {
            let values = elements(values.value()).ok_or(CmsFault::Malformed)?;
            let [value] = values.as_slice() else { return Err(CmsFault::Malformed) };
            return Ok(value.value());
        }
    }
    Err(CmsFault::Malformed)
}

/// The identifier in an algorithm identifier.
fn identifier(any: AnyRef<'_>) -> Result<ObjectIdentifier, CmsFault> {
    let parts = sequence(any).ok_or(CmsFault::Malformed)?;
    parts.first().and_then(|part| part.decode_as().ok()).ok_or(CmsFault::Malformed)
}

//! Signed data of CMS (RFC 5652), as time-stamps are wrapped in it: who signed, with which of the
//! certificates that come along. Whether anybody trusts those is not asked.
//!
//! Read here and not by a library, because sets in any order must be taken.

use der::asn1::{AnyRef, ObjectIdentifier};
use der::referenced::OwnedToRef as _;
use der::{Decode as _, Encode as _, Tag, Tagged as _};
use thiserror::Error;
use x509_cert::Certificate;

use super::super::key::{KeyKind, Use, VerifyingKey};
use super::algorithm::{HashFunction, pss, verification};
use super::asn1::{context_number, elements, inner_of, sequence};

const ID_RSASSA_PSS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.10");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");

/// The hash functions by their identifiers.
const HASHES: [(ObjectIdentifier, HashFunction); 4] = [
    (ObjectIdentifier::new_unwrap("1.3.14.3.2.26"), HashFunction::Sha1),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1"), HashFunction::Sha256),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2"), HashFunction::Sha384),
    (ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3"), HashFunction::Sha512),
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
    parts.verify(parts.content.ok_or(CmsFault::NoContent)?)
}

/// Signed data whose content is elsewhere, and all of its signatures verified over that.
///
/// # Errors
/// [`CmsFault`] of the first signature that does not hold; also if there is other content.
pub(super) fn verify_detached(signed_data: AnyRef<'_>, content: &[u8]) -> Result<(), CmsFault> {
    let parts = Parts::of(signed_data)?;
    if parts.content.is_some_and(|inner| inner != content) {
        return Err(CmsFault::OtherContent);
    }
    parts.verify(content)
}

/// The same signed data without their content, in DER.
pub(super) fn detached(signed_data: AnyRef<'_>) -> Result<Vec<u8>, CmsFault> {
    let mut parts = sequence(signed_data).ok_or(CmsFault::Malformed)?;
    let content = parts.get_mut(2).ok_or(CmsFault::Malformed)?;
    let kind = sequence(*content).and_then(|content| content.first().copied());
    let kind = joined(&[kind.ok_or(CmsFault::Malformed)?])?;
    *content = AnyRef::new(Tag::Sequence, &kind).map_err(|_| CmsFault::Malformed)?;
    let parts = joined(&parts)?;
    let whole = AnyRef::new(Tag::Sequence, &parts).and_then(|whole| whole.to_der());
    whole.map_err(|_| CmsFault::Malformed)
}

/// Elements one behind the other.
fn joined(parts: &[AnyRef<'_>]) -> Result<Vec<u8>, CmsFault> {
    let parts: Result<Vec<_>, _> = parts.iter().map(AnyRef::to_der).collect();
    Ok(parts.map_err(|_| CmsFault::Malformed)?.concat())
}

/// The first of the certificates that come along.
pub(super) fn first_certificate(signed_data: AnyRef<'_>) -> Result<Certificate, CmsFault> {
    Parts::of(signed_data)?.certificates.into_iter().next().ok_or(CmsFault::NoCertificate)
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

    fn verify(&self, content: &[u8]) -> Result<(), CmsFault> {
        if self.signers.is_empty() {
            return Err(CmsFault::Unsigned);
        }
        self.signers.iter().try_for_each(|signer| signer.verify(content, &self.certificates))
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
        let hash = HASHES.iter().find(|(identifier, _)| *identifier == self.hash);
        let (_, hash) = *hash.ok_or(CmsFault::UnsupportedAlgorithm)?;
        let content_digest = hash.digest(content);
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
        let kind = key.map_err(|_| CmsFault::UnsupportedAlgorithm)?.kind();
        let algorithm = match kind {
            KeyKind::Rsa if self.algorithm == ID_RSASSA_PSS => pss(hash),
            _ => verification(kind, hash),
        };
        let algorithm = algorithm.ok_or(CmsFault::UnsupportedAlgorithm)?;
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

//! RFC 3161 timestamps: asking for one and verifying one.
//!
//! In scope: `TimeStampResp` with its CMS `SignedData` (RFC 5652), taken apart by hand since the
//! signed attributes are verified as the bytes they came in. Out of scope: revocation.

use aws_lc_rs::digest;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use log_core::entry::HashAlgorithm;

use crate::artefact::Artefact;
use crate::bundle::RawBytes;
use crate::certificate::{CertificateError, SigningCertificate};
use crate::chain::{ChainError, TIME_STAMPING, verify_chain};
use crate::tlv::{
    BOOLEAN, Element, Elements, GENERALIZED_TIME, INTEGER, Malformed, OCTET_STRING, OID, SEQUENCE,
    SET, context, encode,
};
use crate::trusted_root::Authority;

/// The DER `TimeStampReq` for a message: SHA-256, certificate wanted.
pub fn request(message: &[u8]) -> Vec<u8> {
    let digest = Artefact::of(message);
    let digest = digest.digest(HashAlgorithm::Sha2_256).as_ref();
    let algorithm = encode(SEQUENCE, &[encode(OID, SHA256_OID), encode(NULL, &[])].concat());
    let imprint = encode(SEQUENCE, &[algorithm, encode(OCTET_STRING, digest)].concat());
    let certificate_wanted = encode(BOOLEAN, &[0xff]);
    encode(SEQUENCE, &[encode(INTEGER, &[1]), imprint, certificate_wanted].concat())
}

/// Verifies a DER `TimeStampResp` over `message` and gives the time it attests: it is signed by a
/// certificate that one of the authorities issued for timestamps and that was valid then.
pub fn verify(
    response: &[u8],
    message: &[u8],
    authorities: &[Authority],
) -> Result<Timestamp, TimestampError> {
    let token = Token::parse(response)?;
    let info = TimestampInfo::parse(token.content)?;
    info.check_imprint(message)?;
    let mut refusal = TimestampError::NoAuthority;
    for authority in authorities {
        match token.verify(authority, info.time) {
            Ok(()) => return Ok(info.time),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

/// Checks that a DER `TimeStampResp` is a granted timestamp over `message` and gives the time it
/// claims. Whose timestamp it is remains open.
pub fn check_unsigned(response: &[u8], message: &[u8]) -> Result<Timestamp, TimestampError> {
    let token = Token::parse(response)?;
    let info = TimestampInfo::parse(token.content)?;
    info.check_imprint(message)?;
    Ok(info.time)
}

/// Why a timestamp attests nothing.
#[derive(Debug, thiserror::Error)]
pub enum TimestampError {
    /// Not a timestamp response.
    #[error("malformed timestamp")]
    Malformed(#[from] Malformed),
    /// The authority refused.
    #[error("the timestamp authority refused")]
    Refused,
    /// The token is no signed timestamp, or is signed more than once.
    #[error("the timestamp token is not one signed timestamp")]
    NotATimestamp,
    /// A hash that is not supported.
    #[error("the timestamp uses an unsupported hash")]
    UnknownHash,
    /// It is over something else.
    #[error("the timestamp is over something else")]
    OtherMessage,
    /// The time is not a time.
    #[error("the time of the timestamp is malformed")]
    Time,
    /// The signed attributes do not fit what was signed.
    #[error("the signed attributes of the timestamp do not fit its content")]
    Attributes,
    /// The trusted root has no timestamp authority.
    #[error("the trusted root has no timestamp authority")]
    NoAuthority,
    /// Neither the trusted root nor the timestamp has the certificate of the signer.
    #[error("the certificate that signed the timestamp is unknown")]
    UnknownSigner,
    /// The certificate is broken.
    #[error("the certificate that signed the timestamp is unusable")]
    Certificate(#[from] CertificateError),
    /// The certificate is not of this authority.
    #[error("the timestamp is not of a trusted authority")]
    Chain(#[from] ChainError),
    /// The signature does not verify.
    #[error("the signature of the timestamp does not verify")]
    BadSignature,
}

/// What is needed of a `TimeStampResp`.
struct Token<'a> {
    /// The DER `TSTInfo`.
    content: &'a [u8],
    /// The certificates in the token.
    certificates: Vec<Element<'a>>,
    /// The `issuerAndSerialNumber` or `[0]` key identifier of the signer.
    signer_id: Element<'a>,
    digest_hash: HashAlgorithm,
    signature_hash: HashAlgorithm,
    signed_attributes: Element<'a>,
    signature: &'a [u8],
}

impl<'a> Token<'a> {
    fn parse(response: &'a [u8]) -> Result<Self, TimestampError> {
        let mut response = Element::parse(response, SEQUENCE)?.children()?;
        let status = response.expect(SEQUENCE)?.children()?.expect(INTEGER)?;
        // granted, or granted with modifications
        if !matches!(status.value, [0 | 1]) {
            return Err(TimestampError::Refused);
        }
        let mut content_info = response.expect(SEQUENCE)?.children()?;
        response.finish()?;
        if content_info.expect(OID)?.value != SIGNED_DATA_OID {
            return Err(TimestampError::NotATimestamp);
        }
        let signed_data = content_info.expect(context(0))?;
        content_info.finish()?;
        Self::parse_signed_data(Element::parse(signed_data.value, SEQUENCE)?)
    }

    fn parse_signed_data(signed_data: Element<'a>) -> Result<Self, TimestampError> {
        let mut fields = signed_data.children()?;
        fields.expect(INTEGER)?;
        fields.expect(SET)?;
        let mut content = fields.expect(SEQUENCE)?.children()?;
        if content.expect(OID)?.value != TST_INFO_OID {
            return Err(TimestampError::NotATimestamp);
        }
        let content = Element::parse(content.expect(context(0))?.value, OCTET_STRING)?.value;
        let mut certificates = Vec::new();
        if let Some(set) = fields.optional(context(0))? {
            let mut items = set.children()?;
            while let Some(item) = items.take()? {
                certificates.push(item);
            }
        }
        fields.optional(context(1))?;
        let mut signers = fields.expect(SET)?.children()?;
        fields.finish()?;
        let mut signer = signers.expect(SEQUENCE)?.children()?;
        if signers.take()?.is_some() {
            return Err(TimestampError::NotATimestamp);
        }
        signer.expect(INTEGER)?;
        let signer_id = signer.take()?.ok_or(Malformed)?;
        let digest_algorithm = signer.expect(SEQUENCE)?.children()?.expect(OID)?;
        let signed_attributes = signer.expect(context(0))?;
        let signature_algorithm = signer.expect(SEQUENCE)?.children()?.expect(OID)?;
        let signature = signer.expect(OCTET_STRING)?.value;
        let digest_hash = hash_of(digest_algorithm.value).ok_or(TimestampError::UnknownHash)?;
        let signature_hash = signature_hash_of(signature_algorithm.value).unwrap_or(digest_hash);
        Ok(Self {
            content,
            certificates,
            signer_id,
            digest_hash,
            signature_hash,
            signed_attributes,
            signature,
        })
    }

    fn verify(&self, authority: &Authority, time: Timestamp) -> Result<(), TimestampError> {
        let certificate = self.signer_certificate(authority)?;
        verify_chain(&certificate, authority, time, TIME_STAMPING)?;
        self.check_attributes(&certificate)?;
        // Signed is the set itself, not the field it stands in (RFC 5652, 5.4).
        let signed = encode(SET, self.signed_attributes.value);
        let key = SigningCertificate::from_der(&certificate)?;
        key.public_key()
            .verify_message(self.signature_hash, &signed, self.signature)
            .map_err(|_| TimestampError::BadSignature)
    }

    /// The certificate of the signer, from the trusted root or from the token.
    fn signer_certificate(&self, authority: &Authority) -> Result<Vec<u8>, TimestampError> {
        let trusted = authority.cert_chain.certificates.iter();
        let trusted = trusted.map(|RawBytes { raw_bytes }| raw_bytes.0.as_slice());
        let embedded = self.certificates.iter().map(|certificate| certificate.raw);
        let found = trusted.chain(embedded).find(|der| self.is_signer(der).unwrap_or(false));
        found.map(<[u8]>::to_vec).ok_or(TimestampError::UnknownSigner)
    }

    fn is_signer(&self, certificate: &[u8]) -> Result<bool, Malformed> {
        let certificate = Element::parse(certificate, SEQUENCE)?;
        let mut fields = certificate.children()?.expect(SEQUENCE)?.children()?;
        fields.optional(context(0))?;
        let serial = fields.expect(INTEGER)?;
        fields.expect(SEQUENCE)?;
        let issuer = fields.expect(SEQUENCE)?;
        if self.signer_id.tag == SEQUENCE {
            let mut id = self.signer_id.children()?;
            return Ok(
                id.expect(SEQUENCE)?.raw == issuer.raw && id.expect(INTEGER)?.value == serial.value
            );
        }
        if self.signer_id.tag != KEY_IDENTIFIER_TAG {
            return Err(Malformed);
        }
        while let Some(field) = fields.take()? {
            if field.tag == context(EXTENSIONS_FIELD) {
                let extensions = Element::parse(field.value, SEQUENCE)?.children()?;
                return has_key_identifier(extensions, self.signer_id.value);
            }
        }
        Ok(false)
    }

    /// The attributes must name the content's type and digest, and the certificate itself.
    fn check_attributes(&self, certificate: &[u8]) -> Result<(), TimestampError> {
        let digest = Artefact::of(self.content);
        let digest = digest.digest(self.digest_hash);
        let (mut type_fits, mut digest_fits, mut certificate_fits) = (false, false, false);
        let mut attributes = self.signed_attributes.children()?;
        while let Some(attribute) = attributes.take()? {
            let mut parts = attribute.children()?;
            let name = parts.expect(OID)?.value;
            let value = parts.expect(SET)?.value;
            match name {
                CONTENT_TYPE_OID => {
                    type_fits = Element::parse(value, OID)?.value == TST_INFO_OID;
                }
                MESSAGE_DIGEST_OID => {
                    digest_fits = Element::parse(value, OCTET_STRING)?.value == digest.as_ref();
                }
                SIGNING_CERTIFICATE_OID => {
                    certificate_fits |= names_certificate(value, certificate, true)?;
                }
                SIGNING_CERTIFICATE_V2_OID => {
                    certificate_fits |= names_certificate(value, certificate, false)?;
                }
                _ => {}
            }
        }
        if type_fits && digest_fits && certificate_fits {
            Ok(())
        } else {
            Err(TimestampError::Attributes)
        }
    }
}

/// What is needed of a `TSTInfo`.
struct TimestampInfo<'a> {
    hash: &'a [u8],
    digest: &'a [u8],
    time: Timestamp,
}

impl<'a> TimestampInfo<'a> {
    fn parse(info: &'a [u8]) -> Result<Self, TimestampError> {
        let mut fields = Element::parse(info, SEQUENCE)?.children()?;
        fields.expect(INTEGER)?;
        fields.expect(OID)?;
        let mut imprint = fields.expect(SEQUENCE)?.children()?;
        let hash = imprint.expect(SEQUENCE)?.children()?.expect(OID)?.value;
        let digest = imprint.expect(OCTET_STRING)?.value;
        fields.expect(INTEGER)?;
        let time = fields.expect(GENERALIZED_TIME)?.value;
        let time = generalized_time(time).ok_or(TimestampError::Time)?;
        Ok(Self { hash, digest, time })
    }

    fn check_imprint(&self, message: &[u8]) -> Result<(), TimestampError> {
        let hash = hash_of(self.hash).ok_or(TimestampError::UnknownHash)?;
        if Artefact::of(message).digest(hash).as_ref() == self.digest {
            Ok(())
        } else {
            Err(TimestampError::OtherMessage)
        }
    }
}

/// `YYYYMMDDhhmmss[.f...]Z` (RFC 3161, 2.4.2).
fn generalized_time(text: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(text).ok()?.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if whole.len() != 14 || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let part = |from: usize, to: usize| whole[from..to].parse::<i8>().ok();
    let nanoseconds = format!("{fraction:0<9}").parse().ok()?;
    let year = whole[..4].parse().ok()?;
    let (month, day) = (part(4, 6)?, part(6, 8)?);
    let (hour, minute, second) = (part(8, 10)?, part(10, 12)?, part(12, 14)?);
    let time = DateTime::new(year, month, day, hour, minute, second, nanoseconds).ok()?;
    Some(time.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Whether the first certificate that a signing-certificate attribute names is this one
/// (RFC 2634, 5.4 with SHA-1; RFC 5035, 3 with a hash that defaults to SHA-256).
fn names_certificate(value: &[u8], certificate: &[u8], v1: bool) -> Result<bool, TimestampError> {
    let mut ids = Element::parse(value, SEQUENCE)?.children()?.expect(SEQUENCE)?.children()?;
    let mut id = ids.expect(SEQUENCE)?.children()?;
    if v1 {
        let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, certificate);
        return Ok(id.expect(OCTET_STRING)?.value == digest.as_ref());
    }
    let hash = match id.optional(SEQUENCE)? {
        None => HashAlgorithm::Sha2_256,
        Some(algorithm) => {
            let oid = algorithm.children()?.expect(OID)?;
            hash_of(oid.value).ok_or(TimestampError::UnknownHash)?
        }
    };
    Ok(id.expect(OCTET_STRING)?.value == Artefact::of(certificate).digest(hash).as_ref())
}

fn has_key_identifier(mut extensions: Elements<'_>, wanted: &[u8]) -> Result<bool, Malformed> {
    while let Some(extension) = extensions.take()? {
        let mut parts = extension.children()?;
        if parts.expect(OID)?.value == SUBJECT_KEY_IDENTIFIER_OID {
            parts.optional(BOOLEAN)?;
            let value = parts.expect(OCTET_STRING)?.value;
            return Ok(Element::parse(value, OCTET_STRING)?.value == wanted);
        }
    }
    Ok(false)
}

fn hash_of(oid: &[u8]) -> Option<HashAlgorithm> {
    match oid {
        SHA256_OID => Some(HashAlgorithm::Sha2_256),
        SHA384_OID => Some(HashAlgorithm::Sha2_384),
        SHA512_OID => Some(HashAlgorithm::Sha2_512),
        _ => None,
    }
}

/// The hash that a signature algorithm names; `None` where it names none (plain RSA, Ed25519).
fn signature_hash_of(oid: &[u8]) -> Option<HashAlgorithm> {
    let (family, last) = oid.split_at_checked(oid.len().checked_sub(1)?)?;
    match (family, last) {
        (ECDSA_WITH_SHA2_FAMILY, [2]) | (PKCS1_FAMILY, [11]) => Some(HashAlgorithm::Sha2_256),
        (ECDSA_WITH_SHA2_FAMILY, [3]) | (PKCS1_FAMILY, [12]) => Some(HashAlgorithm::Sha2_384),
        (ECDSA_WITH_SHA2_FAMILY, [4]) | (PKCS1_FAMILY, [13]) => Some(HashAlgorithm::Sha2_512),
        _ => None,
    }
}

const NULL: u8 = 0x05;
/// `[0] IMPLICIT OCTET STRING`, the key identifier of a signer.
const KEY_IDENTIFIER_TAG: u8 = 0x80;
/// The context-specific tag number of `extensions` in a `TBSCertificate`.
const EXTENSIONS_FIELD: u8 = 3;

// Object identifiers as DER content.
/// 1.2.840.113549.1.7.2
const SIGNED_DATA_OID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x07, 0x02];
/// 1.2.840.113549.1.9.16.1.4
const TST_INFO_OID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x01, 0x04];
/// 1.2.840.113549.1.9.3
const CONTENT_TYPE_OID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x03];
/// 1.2.840.113549.1.9.4
const MESSAGE_DIGEST_OID: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x04];
/// 1.2.840.113549.1.9.16.2.12
const SIGNING_CERTIFICATE_OID: &[u8] =
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x0c];
/// 1.2.840.113549.1.9.16.2.47
const SIGNING_CERTIFICATE_V2_OID: &[u8] =
    &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x09, 0x10, 0x02, 0x2f];
/// 2.5.29.14
const SUBJECT_KEY_IDENTIFIER_OID: &[u8] = &[0x55, 0x1d, 0x0e];
/// 2.16.840.1.101.3.4.2.1
const SHA256_OID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
/// 2.16.840.1.101.3.4.2.2
const SHA384_OID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02];
/// 2.16.840.1.101.3.4.2.3
const SHA512_OID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03];
/// 1.2.840.10045.4.3, followed by the hash
const ECDSA_WITH_SHA2_FAMILY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];
/// 1.2.840.113549.1.1, followed by the hash
const PKCS1_FAMILY: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];

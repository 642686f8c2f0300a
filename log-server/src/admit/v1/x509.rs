//! Keys in PEM: a bare public key, a certificate, or a chain of certificates.
//!
//! Certificates are not checked for expiry or against any authority. A chain is checked within
//! itself, at the time at which its first certificate becomes valid, for the kinds that ask for it.

mod chain;

use core::net::IpAddr;

use der::asn1::{AnyRef, ObjectIdentifier};
use der::referenced::OwnedToRef as _;
use der::{Decode as _, Tag, Tagged as _};
use log_core::hash::sha256;
use thiserror::Error;
use x509_cert::Certificate;
use x509_cert::spki::SubjectPublicKeyInfoRef;

use super::super::key::{Use, VerifyingKey};
use super::super::refusal::Reason;
use super::super::verifier::is_too_long;
use super::asn1::{context_number, elements, inner_of, sequence};
use super::pem;

/// Most certificates of one chain, as the reference server has it.
pub(super) const CHAIN_CERTIFICATES_MAX: usize = 10;

/// Most characters of a PEM label that an answer repeats.
const LABEL_CHARS_MAX: usize = 64;

/// The extension with the names of a certificate's holder (RFC 5280, 4.2.1.6).
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

/// The name that Fulcio gives to identities of no other form (oid-info of Sigstore, 1.7).
const FULCIO_OTHER_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");

/// Why a key cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyFault {
    /// No PEM block.
    #[error("invalid public key: failure decoding PEM")]
    NotPem,
    /// A PEM block of something else.
    #[error("invalid public key: cannot handle type {0}")]
    OtherLabel(String),
    /// More text than any entry can hold, in whatever form.
    #[error("invalid public key: longer than any entry")]
    TooLong,
    /// More certificates than a chain may have.
    #[error("too many certificates specified in PEM block")]
    ChainTooLong,
    /// Text behind a certificate.
    #[error("error during PEM decoding")]
    TextInChain,
    /// The key or certificate itself.
    #[error("x509: {0}")]
    Malformed(Reason),
    /// The names in a certificate cannot be read.
    #[error("x509: malformed subject alternative names")]
    MalformedNames,
    /// The certificates do not certify each other, or not for that time.
    #[error("x509: certificate chain does not verify: {0}")]
    BrokenChain(webpki::Error),
}

/// A key object that was read.
pub(super) struct KeyObject {
    /// The same again with neither text nor headers, in lines of 64 columns.
    pub(super) pem: Vec<u8>,
    /// What a certificate says of its holder, in the reference server's order: DNS names, e-mail
    /// addresses, IP addresses, URIs, Fulcio's own. Of a chain, the first certificate counts.
    pub(super) subjects: Vec<String>,
    content: Content,
}

enum Content {
    PublicKey(Vec<u8>),
    /// At least one, with their DER.
    Certificates(Vec<(Vec<u8>, Certificate)>),
}

impl KeyObject {
    pub(super) fn parse(text: &[u8]) -> Result<Self, KeyFault> {
        let text = trim(text);
        if is_too_long(text) {
            return Err(KeyFault::TooLong);
        }
        let block = pem::first_block(text).ok_or(KeyFault::NotPem)?;
        if !block.rest.is_empty() {
            return Self::from_chain(text);
        }
        match block.label {
            b"PUBLIC KEY" => Ok(Self {
                pem: pem::encode("PUBLIC KEY", &block.content),
                subjects: Vec::new(),
                content: Content::PublicKey(block.content),
            }),
            b"CERTIFICATE" => Self::from_certificates(vec![parse_certificate(block.content)?]),
            other => {
                let label = String::from_utf8_lossy(other);
                Err(KeyFault::OtherLabel(label.chars().take(LABEL_CHARS_MAX).collect()))
            }
        }
    }

    /// The canonical PEM's digest, in lower-case hex.
    pub(super) fn fingerprint(&self) -> String {
        sha256(&self.pem).to_string()
    }

    /// The key, ready to verify; of a chain, that of the first certificate.
    pub(super) fn verifying_key(&self, purpose: Use) -> Result<VerifyingKey, KeyFault> {
        self.with_info(|info| VerifyingKey::from_info(info, purpose).map_err(KeyFault::Malformed))
    }

    /// Whether the key is one that some entry may have.
    pub(super) fn is_usable(&self) -> bool {
        self.verifying_key(Use::Sha256Message).is_ok()
    }

    /// Whether it is a key without a certificate.
    pub(super) fn is_bare(&self) -> bool {
        matches!(self.content, Content::PublicKey(_))
    }

    /// The key itself, without its algorithm.
    pub(super) fn public_key_bytes(&self) -> Option<Vec<u8>> {
        self.with_info(|info| Ok(info.subject_public_key.raw_bytes().to_vec())).ok()
    }

    /// Hands out the SubjectPublicKeyInfo; of a chain, that of the first certificate.
    fn with_info<T>(
        &self,
        f: impl FnOnce(&SubjectPublicKeyInfoRef<'_>) -> Result<T, KeyFault>,
    ) -> Result<T, KeyFault> {
        match &self.content {
            Content::PublicKey(der) => match SubjectPublicKeyInfoRef::from_der(der) {
                Ok(info) => f(&info),
                Err(_) => Err(KeyFault::Malformed(Reason::MalformedPublicKey)),
            },
            Content::Certificates(certificates) => {
                let (_, first) = &certificates[0];
                f(&first.tbs_certificate().subject_public_key_info().owned_to_ref())
            }
        }
    }

    /// Checks that a chain leads from its first certificate to its last; anything else passes.
    pub(super) fn verify_chain(&self) -> Result<(), KeyFault> {
        match &self.content {
            Content::PublicKey(_) => Ok(()),
            Content::Certificates(certificates) => {
                chain::verify(certificates).map_err(KeyFault::BrokenChain)
            }
        }
    }

    /// Whatever the labels of the blocks say, each must be a certificate.
    fn from_chain(mut text: &[u8]) -> Result<Self, KeyFault> {
        let mut certificates = Vec::new();
        while !text.is_empty() {
            if certificates.len() == CHAIN_CERTIFICATES_MAX {
                return Err(KeyFault::ChainTooLong);
            }
            let block = pem::first_block(text).ok_or(KeyFault::TextInChain)?;
            certificates.push(parse_certificate(block.content)?);
            text = block.rest;
        }
        Self::from_certificates(certificates)
    }

    fn from_certificates(certificates: Vec<(Vec<u8>, Certificate)>) -> Result<Self, KeyFault> {
        let blocks = certificates.iter().map(|(der, _)| pem::encode("CERTIFICATE", der));
        Ok(Self {
            pem: blocks.collect::<Vec<_>>().concat(),
            subjects: subjects(&certificates[0].1)?,
            content: Content::Certificates(certificates),
        })
    }
}

/// Without white space around it, vertical tabs included.
fn trim(text: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b'\t'..=b'\r' | b' ');
    let start = text.iter().position(|byte| !is_space(byte)).unwrap_or(text.len());
    let end = text.iter().rposition(|byte| !is_space(byte)).map_or(start, |at| at + 1);
    &text[start..end]
}

fn parse_certificate(der: Vec<u8>) -> Result<(Vec<u8>, Certificate), KeyFault> {
    match Certificate::from_der(&der) {
        Ok(certificate) => Ok((der, certificate)),
        Err(_) => Err(KeyFault::Malformed(Reason::MalformedCertificate)),
    }
}

fn subjects(certificate: &Certificate) -> Result<Vec<String>, KeyFault> {
    let mut sorted: [Vec<String>; 5] = Default::default();
    let extensions = certificate.tbs_certificate().extensions().into_iter().flatten();
    for extension in extensions.filter(|extension| extension.extn_id == SUBJECT_ALT_NAME) {
        let names = AnyRef::from_der(extension.extn_value.as_bytes()).ok().and_then(sequence);
        for name in names.ok_or(KeyFault::MalformedNames)? {
            let text = || ascii(name.value()).ok_or(KeyFault::MalformedNames);
            match context_number(name) {
                Some(2) => sorted[0].push(text()?),
                Some(1) => sorted[1].push(text()?),
                Some(7) => {
                    let address = ip_address(name.value()).ok_or(KeyFault::MalformedNames)?;
                    sorted[2].push(address);
                }
                Some(6) => sorted[3].push(text()?),
                Some(0) => sorted[4].extend(fulcio_name(name)),
                _ => {}
            }
        }
    }
    Ok(sorted.concat())
}

fn ascii(bytes: &[u8]) -> Option<String> {
    bytes.is_ascii().then(|| String::from_utf8_lossy(bytes).into_owned())
}

fn ip_address(bytes: &[u8]) -> Option<String> {
    let address = match bytes.len() {
        4 => IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?),
        _ => IpAddr::from(<[u8; 16]>::try_from(bytes).ok()?),
    };
    Some(address.to_canonical().to_string())
}

/// The text of an `otherName` of Fulcio's type.
fn fulcio_name(name: AnyRef<'_>) -> Option<String> {
    let parts = elements(name.value())?;
    let [kind, value] = parts.as_slice() else { return None };
    let kind: ObjectIdentifier = kind.decode_as().ok()?;
    let value = inner_of(*value).filter(|_| kind == FULCIO_OTHER_NAME)?;
    let text = (value.tag() == Tag::Utf8String).then(|| str::from_utf8(value.value()).ok())??;
    (!text.is_empty()).then(|| text.to_owned())
}

#[cfg(test)]
mod tests;

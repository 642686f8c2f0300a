//! Signing certificates: whom they name, who issued them, and that a CT log saw them.
//!
//! In scope: identity and issuer (Fulcio's extensions), the chain, and embedded signed certificate
//! timestamps (RFC 6962, 3.2 and 3.3), whose signed bytes are cut out of the raw certificate.

use der::asn1::ObjectIdentifier;
use der::{Decode as _, Encode as _};
use jiff::Timestamp;
use log_core::entry::HashAlgorithm;
use log_core::hash::sha256;
use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use crate::chain::{CODE_SIGNING, ChainError, verify_chain};
use crate::public_key::{PublicKey, PublicKeyError};
use crate::tlv::{BOOLEAN, Element, Malformed, OCTET_STRING, OID, SEQUENCE, context, encode};
use crate::trusted_root::{Authority, LogInstance, TrustedRootError};

/// A certificate that signed an artefact.
#[derive(Clone, Debug)]
pub struct SigningCertificate {
    der: Vec<u8>,
    certificate: Certificate,
    public_key: PublicKey,
}

impl SigningCertificate {
    /// Reads exactly one DER certificate.
    pub fn from_der(der: &[u8]) -> Result<Self, CertificateError> {
        let certificate = Certificate::from_der(der).map_err(|_| CertificateError::Der)?;
        let spki = certificate.tbs_certificate().subject_public_key_info();
        let spki = spki.to_der().map_err(|_| CertificateError::Der)?;
        let public_key = PublicKey::from_spki_der(&spki)?;
        Ok(Self { der: der.to_vec(), certificate, public_key })
    }

    /// The bytes.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The certified key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Verifies that one of the authorities issued this certificate for code signing and that it
    /// was valid at `time`. Gives the DER key of the issuer.
    pub fn verify_chain(
        &self,
        authorities: &[Authority],
        time: Timestamp,
    ) -> Result<Vec<u8>, CertificateError> {
        let mut refusal = CertificateError::NoAuthority;
        for authority in authorities {
            match verify_chain(&self.der, authority, time, CODE_SIGNING) {
                Ok(issuer) => return Ok(issuer),
                Err(error) => refusal = error.into(),
            }
        }
        Err(refusal)
    }

    /// Verifies that at least one of the embedded timestamps is that of a trusted CT log.
    pub fn verify_sct(
        &self,
        logs: &[LogInstance],
        issuer_spki: &[u8],
    ) -> Result<(), CertificateError> {
        let (tbs, list) = split_sct_list(&self.der)?;
        let list = list.ok_or(CertificateError::NoSct)?;
        let issuer_key_hash = sha256(issuer_spki);
        for sct in parse_sct_list(&list)? {
            let log = logs.iter().find(|log| log.has_id(sct.log_id));
            if let Some(log) = log {
                return sct.verify(log, issuer_key_hash.as_bytes(), &tbs);
            }
        }
        Err(CertificateError::UnknownCtLog)
    }

    /// The names in the subject alternative name: mail addresses, URIs and user names.
    pub fn identities(&self) -> Vec<String> {
        let text = |name: &GeneralName| match name {
            GeneralName::Rfc822Name(mail) => Some(mail.as_str().to_owned()),
            GeneralName::UniformResourceIdentifier(uri) => Some(uri.as_str().to_owned()),
            GeneralName::OtherName(other) if other.type_id == FULCIO_USER_NAME => {
                let name = other.value.decode_as::<der::asn1::Utf8StringRef<'_>>().ok()?;
                Some(name.as_str().to_owned())
            }
            _ => None,
        };
        self.subject_names().iter().filter_map(text).collect()
    }

    /// The same, and the hosts and addresses, which nobody signs in as but which logs index.
    pub fn names(&self) -> Vec<String> {
        let text = |name: &GeneralName| match name {
            GeneralName::DnsName(host) => Some(host.as_str().to_owned()),
            GeneralName::IpAddress(address) => ip_address(address.as_bytes()),
            _ => None,
        };
        let mut names = self.identities();
        names.extend(self.subject_names().iter().filter_map(text));
        names
    }

    fn subject_names(&self) -> Vec<GeneralName> {
        let extension = self.extension(SUBJECT_ALT_NAME);
        let names = extension.and_then(|bytes| SubjectAltName::from_der(bytes).ok());
        names.map(|names| names.0).unwrap_or_default()
    }

    /// The identity provider that vouched for the identity (Fulcio's extensions .8, or .1 in
    /// older certificates).
    pub fn oidc_issuer(&self) -> Option<String> {
        if let Some(bytes) = self.extension(FULCIO_ISSUER_V2) {
            return String::from_der(bytes).ok();
        }
        let bytes = self.extension(FULCIO_ISSUER_V1)?;
        String::from_utf8(bytes.to_vec()).ok()
    }

    /// Verifies that the certificate names this identity and this identity provider, exactly.
    pub fn verify_identity(&self, identity: &str, issuer: &str) -> Result<(), CertificateError> {
        let names = self.identities();
        if !names.iter().any(|name| name == identity) {
            return Err(CertificateError::OtherIdentity { names });
        }
        match self.oidc_issuer() {
            Some(found) if found == issuer => Ok(()),
            found => Err(CertificateError::OtherIssuer { found }),
        }
    }

    fn extension(&self, oid: ObjectIdentifier) -> Option<&[u8]> {
        let extensions = self.certificate.tbs_certificate().extensions()?;
        let found = extensions.iter().find(|extension| extension.extn_id == oid)?;
        Some(found.extn_value.as_bytes())
    }
}

/// Why a certificate does not show who signed.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// Not a DER certificate.
    #[error("not a DER certificate")]
    Der,
    /// The key in it is broken.
    #[error("the key of the certificate is unusable")]
    PublicKey(#[from] PublicKeyError),
    /// The trusted root has no certificate authority.
    #[error("the trusted root has no certificate authority")]
    NoAuthority,
    /// It does not chain to an authority.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// It has no embedded timestamp of a CT log.
    #[error("the certificate has no signed certificate timestamp")]
    NoSct,
    /// Its list of timestamps is broken.
    #[error("the signed certificate timestamps are malformed")]
    MalformedSct,
    /// No timestamp is of a trusted CT log.
    #[error("no signed certificate timestamp is of a trusted CT log")]
    UnknownCtLog,
    /// The timestamp does not verify.
    #[error("the signed certificate timestamp does not verify")]
    BadSct,
    /// The timestamp lies outside the time for which the CT log is trusted.
    #[error("the signed certificate timestamp is of a time for which the CT log is not trusted")]
    SctTime,
    /// It names somebody else.
    #[error("the certificate names {}", .names.join(", "))]
    OtherIdentity {
        /// The names in it.
        names: Vec<String>,
    },
    /// Another identity provider, or none, vouched for it.
    #[error("the identity comes from {}", .found.as_deref().unwrap_or("no named issuer"))]
    OtherIssuer {
        /// The provider.
        found: Option<String>,
    },
    /// The trusted root is broken.
    #[error(transparent)]
    TrustedRoot(#[from] TrustedRootError),
}

impl From<Malformed> for CertificateError {
    fn from(_: Malformed) -> Self {
        Self::Der
    }
}

/// A signed certificate timestamp (RFC 6962, 3.2).
struct Sct<'a> {
    log_id: &'a [u8],
    timestamp_ms: u64,
    extensions: &'a [u8],
    hash: HashAlgorithm,
    signature: &'a [u8],
}

impl<'a> Sct<'a> {
    fn parse(mut bytes: &'a [u8]) -> Option<Self> {
        let bytes = &mut bytes;
        if take(bytes, 1)? != [SCT_V1] {
            return None;
        }
        let log_id = take(bytes, 32)?;
        let timestamp_ms = u64::from_be_bytes(take(bytes, 8)?.try_into().ok()?);
        let extensions = take_vector(bytes)?;
        let hash = match take(bytes, 2)? {
            // SHA-256 with ECDSA or RSA, SHA-384 with ECDSA (RFC 5246, 7.4.1.4.1).
            [4, 1 | 3] => HashAlgorithm::Sha2_256,
            [5, 3] => HashAlgorithm::Sha2_384,
            _ => return None,
        };
        let signature = take_vector(bytes)?;
        bytes.is_empty().then_some(Self { log_id, timestamp_ms, extensions, hash, signature })
    }

    fn verify(
        &self,
        log: &LogInstance,
        issuer_key_hash: &[u8; 32],
        tbs: &[u8],
    ) -> Result<(), CertificateError> {
        let millisecond = i64::try_from(self.timestamp_ms);
        let time = millisecond.ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
        let time = time.ok_or(CertificateError::MalformedSct)?;
        if !log.public_key.valid_for.contains(time)? {
            return Err(CertificateError::SctTime);
        }
        let length = u32::try_from(tbs.len()).map_err(|_| CertificateError::Der)?.to_be_bytes();
        let extensions_length = u16::try_from(self.extensions.len());
        let extensions_length = extensions_length.expect("invariant: read as a 16-bit length");
        let message = [
            [SCT_V1, CERTIFICATE_TIMESTAMP].as_slice(),
            &self.timestamp_ms.to_be_bytes(),
            &PRECERT_ENTRY,
            issuer_key_hash,
            &length[1..],
            tbs,
            &extensions_length.to_be_bytes(),
            self.extensions,
        ];
        let key = PublicKey::from_spki_der(&log.public_key.raw_bytes.0)?;
        key.verify_message(self.hash, &message.concat(), self.signature)
            .map_err(|_| CertificateError::BadSct)
    }
}

/// The timestamps of a list; those of another version or algorithm are skipped, as RFC 6962 asks.
fn parse_sct_list(mut list: &[u8]) -> Result<Vec<Sct<'_>>, CertificateError> {
    let mut items = take_vector(&mut list).ok_or(CertificateError::MalformedSct)?;
    if !list.is_empty() {
        return Err(CertificateError::MalformedSct);
    }
    let mut scts = Vec::new();
    while !items.is_empty() {
        let item = take_vector(&mut items).ok_or(CertificateError::MalformedSct)?;
        scts.extend(Sct::parse(item));
    }
    Ok(scts)
}

/// The to-be-signed bytes as they were before the timestamps were put in, and the list of these.
fn split_sct_list(certificate: &[u8]) -> Result<(Vec<u8>, Option<Vec<u8>>), CertificateError> {
    let certificate = Element::parse(certificate, SEQUENCE)?;
    let tbs = certificate.children()?.expect(SEQUENCE)?;
    let mut fields = tbs.children()?;
    let mut rest = Vec::new();
    let mut list = None;
    while let Some(field) = fields.take()? {
        if field.tag != context(EXTENSIONS_FIELD) {
            rest.extend_from_slice(field.raw);
            continue;
        }
        let mut extensions = Element::parse(field.value, SEQUENCE)?.children()?;
        let mut kept = Vec::new();
        while let Some(extension) = extensions.take()? {
            match sct_list_of(&extension)? {
                Some(found) if list.is_none() => list = Some(found),
                Some(_) => return Err(CertificateError::MalformedSct),
                None => kept.extend_from_slice(extension.raw),
            }
        }
        rest.extend(encode(context(EXTENSIONS_FIELD), &encode(SEQUENCE, &kept)));
    }
    Ok((encode(SEQUENCE, &rest), list))
}

/// The list inside an extension, if it is the one for signed certificate timestamps.
fn sct_list_of(extension: &Element<'_>) -> Result<Option<Vec<u8>>, CertificateError> {
    let mut parts = extension.children()?;
    if parts.expect(OID)?.value != SCT_LIST_OID {
        return Ok(None);
    }
    parts.optional(BOOLEAN)?;
    let value = parts.expect(OCTET_STRING)?.value;
    let list = Element::parse(value, OCTET_STRING).map_err(|_| CertificateError::MalformedSct)?;
    Ok(Some(list.value.to_vec()))
}

fn ip_address(bytes: &[u8]) -> Option<String> {
    use std::net::{Ipv4Addr, Ipv6Addr};
    let v4 = <[u8; 4]>::try_from(bytes).map(|bytes| Ipv4Addr::from(bytes).to_string());
    v4.ok().or_else(|| Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).to_string()))
}

fn take<'a>(bytes: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (head, tail) = bytes.split_at_checked(length)?;
    *bytes = tail;
    Some(head)
}

/// A vector with a 16-bit length before it.
fn take_vector<'a>(bytes: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = u16::from_be_bytes(take(bytes, 2)?.try_into().ok()?);
    take(bytes, usize::from(length))
}

const SCT_V1: u8 = 0;
const CERTIFICATE_TIMESTAMP: u8 = 0;
const PRECERT_ENTRY: [u8; 2] = [0, 1];
/// The context-specific tag number of `extensions` in a `TBSCertificate`.
const EXTENSIONS_FIELD: u8 = 3;
/// 1.3.6.1.4.1.11129.2.4.2, DER content.
const SCT_LIST_OID: &[u8] = &[0x2b, 0x06, 0x01, 0x04, 0x01, 0xd6, 0x79, 0x02, 0x04, 0x02];
const SUBJECT_ALT_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
const FULCIO_ISSUER_V1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.1");
const FULCIO_ISSUER_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.8");
const FULCIO_USER_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.57264.1.7");

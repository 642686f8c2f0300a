//! Certificate chains to an authority of the trusted root, at a given time.

use std::time::Duration;

use der::Decode as _;
use der::asn1::ObjectIdentifier;
use jiff::Timestamp;
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{ALL_VERIFICATION_ALGS, EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_cert::Certificate;

use crate::trusted_root::{Authority, DistinguishedName, TrustedRootError};

/// Extended key usage of certificates that sign artefacts (id-kp-codeSigning, DER content).
pub const CODE_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];

/// Extended key usage of certificates that sign timestamps (id-kp-timeStamping, DER content).
pub const TIME_STAMPING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];

/// Verifies that the authority certified `leaf` for `usage`, with every certificate valid at
/// `time`, and gives the DER SubjectPublicKeyInfo of the leaf's issuer.
pub fn verify_chain(
    leaf: &[u8],
    authority: &Authority,
    time: Timestamp,
    usage: &'static [u8],
) -> Result<Vec<u8>, ChainError> {
    if !authority.valid_for.contains(time)? {
        return Err(ChainError::AuthorityTime);
    }
    let certificates = &authority.cert_chain.certificates;
    let (root, intermediates) = certificates.split_last().ok_or(ChainError::NoCertificates)?;
    check_validity(&root.raw_bytes.0, time)?;
    // The signer must be certified for the use; authorities in between may leave it open.
    if !has_extended_key_usage(leaf)? {
        return Err(ChainError::NoUsage);
    }
    let root = CertificateDer::from(root.raw_bytes.0.as_slice());
    let intermediates: Vec<_> = intermediates
        .iter()
        .map(|certificate| CertificateDer::from(certificate.raw_bytes.0.as_slice()))
        .collect();
    let anchors = [anchor_from_trusted_cert(&root).map_err(ChainError::Broken)?];
    let seconds = u64::try_from(time.as_second()).map_err(|_| ChainError::AuthorityTime)?;
    let leaf = CertificateDer::from(leaf);
    let leaf = EndEntityCert::try_from(&leaf).map_err(ChainError::Leaf)?;
    let path = leaf.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &anchors,
        &intermediates,
        UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
        KeyUsage::required_if_present(usage),
        None,
        None,
    );
    Ok(path.map_err(ChainError::Leaf)?.issuer_spki().to_vec())
}

/// The organisation and common name of a certificate's subject.
pub fn subject(certificate: &[u8]) -> Result<DistinguishedName, ChainError> {
    let certificate = parse(certificate)?;
    let mut subject = DistinguishedName::default();
    for part in certificate.tbs_certificate().subject().iter() {
        let field = match part.oid {
            ORGANIZATION => &mut subject.organization,
            COMMON_NAME => &mut subject.common_name,
            _ => continue,
        };
        if let Ok(text) = std::str::from_utf8(part.value.value()) {
            text.clone_into(field);
        }
    }
    Ok(subject)
}

/// When a certificate becomes valid.
pub fn not_before(certificate: &[u8]) -> Result<Timestamp, ChainError> {
    let seconds = parse(certificate)?.tbs_certificate().validity().not_before;
    let seconds = i64::try_from(seconds.to_unix_duration().as_secs()).unwrap_or_default();
    Ok(Timestamp::from_second(seconds).unwrap_or_default())
}

/// Why an authority did not certify something.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The authority is not trusted for that time.
    #[error("the authority is not trusted for the time of the signature")]
    AuthorityTime,
    /// The authority has no certificate.
    #[error("an authority of the trusted root has no certificate")]
    NoCertificates,
    /// A certificate is broken.
    #[error("a certificate is unusable: {0}")]
    Broken(webpki::Error),
    /// The root was not valid at that time.
    #[error("the root certificate is not valid at the time of the signature")]
    RootTime,
    /// The certificate does not say what it is for.
    #[error("the certificate does not chain to the authority: it has no extended key usage")]
    NoUsage,
    /// The certificate is broken, not for this use, not valid then, or of somebody else.
    #[error("the certificate does not chain to the authority: {0}")]
    Leaf(webpki::Error),
    /// The trusted root is broken.
    #[error(transparent)]
    TrustedRoot(#[from] TrustedRootError),
}

/// Path building takes a trust anchor as a bare key, so its dates are checked here.
fn check_validity(root: &[u8], time: Timestamp) -> Result<(), ChainError> {
    let root = parse(root)?;
    let validity = root.tbs_certificate().validity();
    let not_before = validity.not_before.to_unix_duration().as_secs();
    let not_after = validity.not_after.to_unix_duration().as_secs();
    let seconds = u64::try_from(time.as_second()).map_err(|_| ChainError::RootTime)?;
    if (not_before..=not_after).contains(&seconds) { Ok(()) } else { Err(ChainError::RootTime) }
}

fn has_extended_key_usage(certificate: &[u8]) -> Result<bool, ChainError> {
    let certificate = parse(certificate)?;
    let extensions = certificate.tbs_certificate().extensions();
    Ok(extensions.is_some_and(|all| all.iter().any(|one| one.extn_id == EXTENDED_KEY_USAGE)))
}

fn parse(certificate: &[u8]) -> Result<Certificate, ChainError> {
    Certificate::from_der(certificate).map_err(|_| ChainError::Broken(webpki::Error::BadDer))
}

const EXTENDED_KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

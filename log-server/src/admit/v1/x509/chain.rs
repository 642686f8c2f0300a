//! Chains of certificates: whether the first leads to the last, which is taken for the root.

use std::time::Duration;

use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{
    ALL_VERIFICATION_ALGS, EndEntityCert, Error, ExtendedKeyUsageValidator, KeyPurposeIdIter,
};
use x509_cert::Certificate;
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage};

/// Checks a chain at the time at which its first certificate becomes valid. Those between the first
/// and the last may stand in any order.
pub(super) fn verify(certificates: &[(Vec<u8>, Certificate)]) -> Result<(), Error> {
    let ([(leaf, first), between @ ..], Some((root, last))) =
        (certificates, certificates.last().filter(|_| certificates.len() > 1))
    else {
        return Ok(());
    };
    let time = first.tbs_certificate().validity().not_before.to_unix_duration();
    // Path building takes a root as a bare key, so what it says of itself is looked at here.
    let validity = last.tbs_certificate().validity();
    let (from, to) = (validity.not_before, validity.not_after);
    if !(from.to_unix_duration()..=to.to_unix_duration()).contains(&time) {
        return Err(Error::InvalidCertValidity);
    }
    let (leaf, root) =
        (CertificateDer::from(leaf.as_slice()), CertificateDer::from(root.as_slice()));
    let between: Vec<_> =
        between.iter().map(|(der, _)| CertificateDer::from(der.as_slice())).collect();
    let anchors = [webpki::anchor_from_trusted_cert(&root)?];
    let time = UnixTime::since_unix_epoch(Duration::from_secs(time.as_secs()));
    let leaf = EndEntityCert::try_from(&leaf)?;
    let path = leaf.verify_for_usage(
        ALL_VERIFICATION_ALGS,
        &anchors,
        &between,
        time,
        AnyUsage,
        None,
        None,
    )?;
    let used: Vec<_> = path.intermediate_certificates().map(|used| used.der()).collect();
    let is_used = |der: &Vec<u8>| used.iter().any(|used| used.as_ref() == der.as_slice());
    for (_, authority) in certificates.iter().filter(|(der, _)| is_used(der)) {
        check_authority(authority, 0)?;
    }
    check_authority(last, used.len())
}

/// Whether a certificate may certify others, with so many authorities below it.
fn check_authority(certificate: &Certificate, below: usize) -> Result<(), Error> {
    let certificate = certificate.tbs_certificate();
    let constraints = certificate.get_extension::<BasicConstraints>();
    let constraints = constraints.map_err(|_| Error::BadDer)?.filter(|(_, limits)| limits.ca);
    let (_, limits) = constraints.ok_or(Error::EndEntityUsedAsCa)?;
    let usage = certificate.get_extension::<KeyUsage>().map_err(|_| Error::BadDer)?;
    if usage.is_some_and(|(_, usage)| !usage.key_cert_sign()) {
        return Err(Error::EndEntityUsedAsCa);
    }
    match limits.path_len_constraint {
        Some(most) if below > usize::from(most) => Err(Error::PathLenConstraintViolated),
        _ => Ok(()),
    }
}

/// The reference server takes chains for every extended key usage.
struct AnyUsage;

impl ExtendedKeyUsageValidator for AnyUsage {
    fn validate(&self, _: KeyPurposeIdIter<'_, '_>) -> Result<(), Error> {
        Ok(())
    }
}

//! `hashedrekord` 0.0.2: a signature over a digest; the artefact is never seen.
//!
//! A signed DSSE envelope comes this way too: the digest is then that of its pre-authentication
//! encoding.

use aws_lc_rs::digest::Digest;
use log_core::entry::HashedRekord;
use log_proto::rekor::v2::HashedRekordRequestV002;

use super::refusal::{Reason, Refusal};
use super::verifier::{Verifier, implementation, is_too_long, raw_bytes};

pub(super) fn admit(request: &HashedRekordRequestV002) -> Result<HashedRekord, Refusal> {
    if let Some(signature) = &request.signature {
        let verifier = signature.verifier.as_ref().map_or(&[][..], raw_bytes);
        if is_too_long(&signature.content) || is_too_long(verifier) {
            return Err(Refusal::LeafTooLong);
        }
    }
    check(request).map_err(Refusal::InvalidHashedRekord)
}

/// The checks in the order of the reference server, which is also that of their cost.
fn check(request: &HashedRekordRequestV002) -> Result<HashedRekord, Reason> {
    let signature = request.signature.as_ref().ok_or(Reason::SignatureMissing)?;
    if signature.content.is_empty() {
        return Err(Reason::SignatureMissing);
    }
    let verifier = signature.verifier.as_ref().ok_or(Reason::VerifierMissing)?;
    if request.digest.is_empty() {
        return Err(Reason::DigestMissing);
    }
    let verifier = Verifier::parse(verifier)?;
    let hash = verifier.label.permit_digest(verifier.key.kind())?;
    let digest = Digest::import_less_safe(&request.digest, implementation(hash)).map_err(|_| {
        Reason::DigestLength { actual: request.digest.len(), expected: hash.digest_len() }
    })?;
    verifier.key.verify_digest(&digest, &signature.content)?;
    Ok(HashedRekord {
        algorithm: hash,
        digest: request.digest.clone(),
        signature: verifier.sign_off(&signature.content),
    })
}

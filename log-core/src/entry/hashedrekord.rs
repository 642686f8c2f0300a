//! hashedrekord 0.0.2: a signature over the digest of an artefact.

use super::canonical::{base64_len, push_base64, push_signature, signature_len};
use super::{HashAlgorithm, Signature};
use crate::leaf::{Leaf, LeafTooLong};

const START: &[u8] = concat!(
    r#"{"apiVersion":"0.0.2","kind":"hashedrekord","#,
    r#""spec":{"hashedRekordV002":{"data":{"algorithm":""#,
)
.as_bytes();
const DIGEST_START: &[u8] = br#"","digest":""#;
const SIGNATURE: &[u8] = br#""},"signature":"#;
const END: &[u8] = b"}}}";

/// Somebody signed the artefact that has this digest. The artefact itself is never seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HashedRekord {
    /// The hash function of the digest: the one that the signature's key details imply.
    pub algorithm: HashAlgorithm,
    /// The digest, as long as the algorithm says.
    pub digest: Vec<u8>,
    /// The signature over the digest.
    pub signature: Signature,
}

impl HashedRekord {
    /// The kind's name in a leaf and in Rekor's answers.
    pub const KIND: &str = "hashedrekord";

    /// The canonical leaf, written in one pass.
    ///
    /// # Errors
    /// [`LeafTooLong`] if a bundle could not hold it.
    pub fn to_leaf(&self) -> Result<Leaf, LeafTooLong> {
        let len = START.len()
            + self.algorithm.name().len()
            + DIGEST_START.len()
            + base64_len(self.digest.len())
            + SIGNATURE.len()
            + signature_len(&self.signature)
            + END.len();
        let mut out = Vec::with_capacity(len);
        out.extend_from_slice(START);
        out.extend_from_slice(self.algorithm.name().as_bytes());
        out.extend_from_slice(DIGEST_START);
        push_base64(&mut out, &self.digest);
        out.extend_from_slice(SIGNATURE);
        push_signature(&mut out, &self.signature);
        out.extend_from_slice(END);
        debug_assert_eq!(out.len(), len, "the capacity must be exact");
        Leaf::new(out)
    }
}

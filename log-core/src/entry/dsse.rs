//! dsse 0.0.2: the signatures of a DSSE envelope and the hash of its payload.
//!
//! Newer clients log the same envelope as a hashedrekord over the digest of its [`pae`].

use super::Signature;
use super::canonical::{base64_len, push_base64, push_signature, signature_len};
use crate::hash::Hash;
use crate::leaf::{Leaf, LeafTooLong};

const START: &[u8] = concat!(
    r#"{"apiVersion":"0.0.2","kind":"dsse","#,
    r#""spec":{"dsseV002":{"payloadHash":{"algorithm":"SHA2_256","digest":""#,
)
.as_bytes();
const SIGNATURES: &[u8] = br#""},"signatures":["#;
const END: &[u8] = b"]}}}";

/// Somebody signed the envelope whose payload has this hash. The payload is not stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dsse {
    /// SHA-256 of the payload itself, not of its pre-authentication encoding.
    pub payload_hash: Hash,
    /// The envelope's signatures, at least one, in any order: the leaf sorts them.
    pub signatures: Vec<Signature>,
}

impl Dsse {
    /// The kind's name in a leaf and in Rekor's answers.
    pub const KIND: &str = "dsse";

    /// The canonical leaf, with the signatures in ascending order of their bytes.
    ///
    /// # Errors
    /// [`LeafTooLong`] if a bundle could not hold it.
    pub fn to_leaf(&self) -> Result<Leaf, LeafTooLong> {
        let mut sorted: Vec<&Signature> = self.signatures.iter().collect();
        sorted.sort_by(|a, b| a.content.cmp(&b.content));
        let commas = sorted.len().saturating_sub(1);
        let len = START.len()
            + base64_len(Hash::LEN)
            + SIGNATURES.len()
            + sorted.iter().map(|signature| signature_len(signature)).sum::<usize>()
            + commas
            + END.len();
        let mut out = Vec::with_capacity(len);
        out.extend_from_slice(START);
        push_base64(&mut out, self.payload_hash.as_bytes());
        out.extend_from_slice(SIGNATURES);
        for (position, signature) in sorted.into_iter().enumerate() {
            if position > 0 {
                out.push(b',');
            }
            push_signature(&mut out, signature);
        }
        out.extend_from_slice(END);
        debug_assert_eq!(out.len(), len, "the capacity must be exact");
        Leaf::new(out)
    }
}

/// DSSE's pre-authentication encoding, version 1: the bytes that an envelope's signatures cover.
pub fn pae(payload_type: &[u8], payload: &[u8]) -> Vec<u8> {
    let type_len = payload_type.len().to_string();
    let payload_len = payload.len().to_string();
    let parts = [b"DSSEv1", type_len.as_bytes(), payload_type, payload_len.as_bytes(), payload];
    parts.join(&b' ')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pae_counts_bytes_and_separates_with_single_spaces() {
        // The example of the DSSE protocol document.
        let expected = b"DSSEv1 29 http://example.com/HelloWorld 11 hello world";
        assert_eq!(pae(b"http://example.com/HelloWorld", b"hello world"), expected);
        assert_eq!(pae(b"", b""), b"DSSEv1 0  0 ");
        assert_eq!(pae("\u{e9}".as_bytes(), b"\0"), b"DSSEv1 2 \xc3\xa9 1 \0");
    }
}

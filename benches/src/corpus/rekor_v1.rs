//! A `hashedrekord` 0.0.1, as a client of Rekor v1 sends it: what is sent is canonical already, so
//! that the leaf is the body of the request.

use log_core::Hash;

use super::{base64_len, push_base64};

/// The canonical form of PEM has lines of so many columns.
const PEM_COLUMNS: usize = 64;
const PEM_BEGIN: &str = "-----BEGIN PUBLIC KEY-----\n";
const PEM_END: &str = "-----END PUBLIC KEY-----\n";

const DIGEST: &str = concat!(
    r#"{"apiVersion":"0.0.1","kind":"hashedrekord","#,
    r#""spec":{"data":{"hash":{"algorithm":"sha256","value":""#
);
const SIGNATURE: &str = r#""}},"signature":{"content":""#;
const KEY: &str = r#"","publicKey":{"content":""#;
const END: &str = r#""}}}}"#;

/// The entry whose artefact has this digest, signed so, with this key (DER).
pub(super) fn entry(digest: &Hash, signature: &[u8], spki: &[u8]) -> Vec<u8> {
    let pem = pem(spki);
    let base64 = base64_len(signature.len()) + base64_len(pem.len());
    let fixed = DIGEST.len() + SIGNATURE.len() + KEY.len() + END.len();
    let mut out = Vec::with_capacity(fixed + base64 + 2 * Hash::LEN);
    out.extend_from_slice(DIGEST.as_bytes());
    push_hex(&mut out, digest.as_bytes());
    out.extend_from_slice(SIGNATURE.as_bytes());
    push_base64(&mut out, signature);
    out.extend_from_slice(KEY.as_bytes());
    push_base64(&mut out, &pem);
    out.extend_from_slice(END.as_bytes());
    out
}

fn pem(spki: &[u8]) -> Vec<u8> {
    let mut base64 = Vec::with_capacity(base64_len(spki.len()));
    push_base64(&mut base64, spki);
    let lines = base64.len().div_ceil(PEM_COLUMNS);
    let mut out = Vec::with_capacity(PEM_BEGIN.len() + base64.len() + lines + PEM_END.len());
    out.extend_from_slice(PEM_BEGIN.as_bytes());
    for line in base64.chunks(PEM_COLUMNS) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.extend_from_slice(PEM_END.as_bytes());
    out
}

fn push_hex(out: &mut Vec<u8>, bytes: &[u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        out.push(DIGITS[usize::from(byte >> 4)]);
        out.push(DIGITS[usize::from(byte & 15)]);
    }
}

#[cfg(test)]
mod tests {
    use log_server::admit::v1::{Rules, create_entry};

    use crate::corpus::{Corpus, tests::body};

    #[test]
    fn what_the_server_makes_of_a_request_is_the_leaf_that_is_expected() {
        let corpus = Corpus::rekor_v1("log.example", 50).unwrap();
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        let mut request = Vec::new();
        let mut leaves = std::collections::HashSet::new();
        for at in 0..corpus.len() {
            corpus.write_request(at, false, &mut request);
            let admitted = create_entry(body(&request), &Rules::default(), now).unwrap();
            assert_eq!(admitted.leaf.as_bytes(), corpus.leaf(at).as_bytes());
            leaves.insert(admitted.leaf.hash());
        }
        assert_eq!(leaves.len(), corpus.len(), "every entry is another one");
    }
}

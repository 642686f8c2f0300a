//! The signed entry timestamp of Rekor v1: the log's promise that an entry stands at an index since
//! a time. It verifies offline, without a proof.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::hash::Hash;
use crate::key::{SignatureError, VerifierKey};
use crate::tree::LeafIndex;

/// What the log signs about one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryTimestamp<'a> {
    /// The canonical body of the entry, as it is in the tree.
    pub body: &'a [u8],
    /// When the log took the entry, in whole seconds since 1970.
    pub integrated_time_s: u64,
    /// SHA-256 of the log's public key (DER SubjectPublicKeyInfo).
    pub log_id: Hash,
    /// The entry's index over all trees of the log.
    pub index: LeafIndex,
}

impl EntryTimestamp<'_> {
    /// The bytes under the signature: the canonical JSON (RFC 8785) of the four members, the body
    /// in base64.
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        let body = STANDARD.encode(self.body);
        let Self { integrated_time_s, log_id, index, .. } = self;
        // All values are ASCII without quotes and backslashes, so nothing has to be escaped, and
        // the members stand in the order of their names.
        format!(
            r#"{{"body":"{body}","integratedTime":{integrated_time_s},"logID":"{log_id}","logIndex":{}}}"#,
            index.get()
        )
        .into_bytes()
    }

    /// Checks the log's signature over these bytes: ECDSA P-256 with SHA-256, in DER.
    ///
    /// # Errors
    /// [`SignatureError`] if this key did not make that signature about that entry.
    pub fn verify(&self, key: &VerifierKey, signature: &[u8]) -> Result<(), SignatureError> {
        key.verify(&self.signed_bytes(), signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyName;

    fn recorded() -> serde_json::Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/rekor-v1.json");
        serde_json::from_slice(&std::fs::read(path).expect("the vectors")).expect("JSON")
    }

    fn base64(value: &serde_json::Value) -> Vec<u8> {
        STANDARD.decode(value.as_str().expect("a string")).expect("base64")
    }

    fn key(vectors: &serde_json::Value) -> VerifierKey {
        let pem = vectors["log_public_key_pem"].as_str().expect("a key");
        let spki: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let name = KeyName::parse("rekor").expect("a name");
        VerifierKey::ecdsa_p256(name, &STANDARD.decode(spki).expect("base64")).expect("a key")
    }

    #[test]
    fn recorded_promises_verify_and_changed_ones_do_not() {
        let vectors = recorded();
        let key = key(&vectors);
        let cases = vectors["cases"].as_array().expect("cases");
        assert!(cases.len() >= 40);
        for case in cases {
            let body = base64(&case["body_b64"]);
            let timestamp = EntryTimestamp {
                body: &body,
                integrated_time_s: case["integratedTime"].as_u64().expect("a time"),
                log_id: key.full_id_hash(),
                index: LeafIndex::new(case["logIndex"].as_u64().expect("an index")),
            };
            let payload = timestamp.signed_bytes();
            assert_eq!(payload, case["setPayload"].as_str().expect("text").as_bytes());
            let signature = base64(&case["signedEntryTimestamp_b64"]);
            assert_eq!(timestamp.verify(&key, &signature), Ok(()));
            let later =
                EntryTimestamp { integrated_time_s: timestamp.integrated_time_s + 1, ..timestamp };
            let moved =
                EntryTimestamp { index: LeafIndex::new(timestamp.index.get() + 1), ..timestamp };
            let elsewhere = EntryTimestamp { log_id: Hash::from_bytes([1; 32]), ..timestamp };
            let other = EntryTimestamp { body: b"{}", ..timestamp };
            for changed in [later, moved, elsewhere, other] {
                assert_eq!(changed.verify(&key, &signature), Err(SignatureError::Wrong));
            }
            assert_eq!(timestamp.verify(&key, &[]), Err(SignatureError::Malformed));
        }
    }
}

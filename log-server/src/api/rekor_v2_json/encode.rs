//! `TransparencyLogEntry` and `google.rpc.Status` as JSON, each into one buffer.
//!
//! As the reference server writes them: every field present, 64-bit numbers as strings, bytes in
//! standard padded base64. No white space.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use log_core::{Hash, LeafIndex, TreeHead};

/// What an answer to `CreateEntry` says. The checkpoint and the proof must be of the same tree.
#[derive(Debug, Clone, Copy)]
pub struct EntryParts<'a> {
    /// The entry's index.
    pub log_index: LeafIndex,
    /// The log's id: the 32 bytes that its key id is the start of.
    pub log_id: &'a Hash,
    /// The entry's kind, `hashedrekord` or `dsse`.
    pub kind: &'a str,
    /// Version of that kind.
    pub version: &'a str,
    /// The tree of the checkpoint.
    pub head: TreeHead,
    /// Audit path of the entry in that tree, from the leaf to the root.
    pub hashes: &'a [Hash],
    /// The signed note, with all its signature lines.
    pub checkpoint: &'a str,
    /// The leaf.
    pub body: &'a [u8],
}

/// More than the fixed parts of an answer take: names, punctuation, numbers and two hashes.
const ENTRY_FIXED_BYTES: usize = 512;

/// A hash in base64 with quotes and a comma.
const HASH_JSON_BYTES: usize = 47;

/// Writes the answer to a `CreateEntry` request.
pub fn encode_entry(entry: &EntryParts<'_>) -> Vec<u8> {
    let capacity = ENTRY_FIXED_BYTES
        + entry.hashes.len() * HASH_JSON_BYTES
        + entry.checkpoint.len() * 5 / 4
        + entry.body.len().div_ceil(3) * 4;
    let mut out = Vec::with_capacity(capacity);
    out.extend_from_slice(br#"{"logIndex":""#);
    push_decimal(&mut out, entry.log_index.get());
    out.extend_from_slice(br#"","logId":{"keyId":""#);
    push_base64(&mut out, entry.log_id.as_bytes());
    out.extend_from_slice(br#""},"kindVersion":{"kind":"#);
    push_string(&mut out, entry.kind);
    out.extend_from_slice(br#","version":"#);
    push_string(&mut out, entry.version);
    // Version 2 of the protocol has neither a time nor a promise.
    out.extend_from_slice(br#"},"integratedTime":"0","inclusionPromise":null,"#);
    out.extend_from_slice(br#""inclusionProof":{"logIndex":""#);
    push_decimal(&mut out, entry.log_index.get());
    out.extend_from_slice(br#"","rootHash":""#);
    push_base64(&mut out, entry.head.root_hash.as_bytes());
    out.extend_from_slice(br#"","treeSize":""#);
    push_decimal(&mut out, entry.head.size.get());
    out.extend_from_slice(br#"","hashes":["#);
    for (position, hash) in entry.hashes.iter().enumerate() {
        out.extend_from_slice(if position == 0 { b"\"" } else { b",\"" });
        push_base64(&mut out, hash.as_bytes());
        out.push(b'"');
    }
    out.extend_from_slice(br#"],"checkpoint":{"envelope":"#);
    push_string(&mut out, entry.checkpoint);
    out.extend_from_slice(br#"}},"canonicalizedBody":""#);
    push_base64(&mut out, entry.body);
    out.extend_from_slice(br#""}"#);
    out
}

/// Writes the body of an error: a gRPC status code and a text for people.
pub fn encode_status(code: i32, message: &str) -> Vec<u8> {
    let mut out = format!(r#"{{"code":{code},"message":"#).into_bytes();
    push_string(&mut out, message);
    out.extend_from_slice(br#","details":[]}"#);
    out
}

fn push_decimal(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(number.to_string().as_bytes());
}

fn push_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    let start = out.len();
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    STANDARD
        .encode_slice(bytes, &mut out[start..])
        .expect("invariant: the slice has exactly the length of the encoding");
}

fn push_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect("invariant: a string always has a JSON form");
}

#[cfg(test)]
mod tests {
    use log_core::TreeSize;
    use serde_json::{Value, json};

    use super::*;

    fn vector_cases() -> Vec<Value> {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/rekor-v2.json");
        let text = std::fs::read_to_string(path).unwrap();
        let vectors: Value = serde_json::from_str(&text).unwrap();
        vectors["cases"].as_array().unwrap().clone()
    }

    fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
        value.pointer(pointer).unwrap().as_str().unwrap()
    }

    fn hash(base64: &str) -> Hash {
        Hash::from_base64(base64).unwrap()
    }

    #[test]
    fn answers_equal_the_recorded_ones_as_json() {
        let mut compared = 0;
        for case in vector_cases() {
            if case["status"] != 201 {
                continue;
            }
            let recorded = &case["response"];
            let log_id = hash(text(recorded, "/logId/keyId"));
            let proof = &recorded["inclusionProof"];
            let hashes: Vec<Hash> = proof["hashes"]
                .as_array()
                .unwrap()
                .iter()
                .map(|h| hash(h.as_str().unwrap()))
                .collect();
            let body = STANDARD.decode(text(recorded, "/canonicalizedBody")).unwrap();
            let written = encode_entry(&EntryParts {
                log_index: LeafIndex::new(text(recorded, "/logIndex").parse().unwrap()),
                log_id: &log_id,
                kind: text(recorded, "/kindVersion/kind"),
                version: text(recorded, "/kindVersion/version"),
                head: TreeHead {
                    size: TreeSize::new(text(proof, "/treeSize").parse().unwrap()),
                    root_hash: hash(text(proof, "/rootHash")),
                },
                hashes: &hashes,
                checkpoint: text(proof, "/checkpoint/envelope"),
                body: &body,
            });
            let written: Value = serde_json::from_slice(&written).unwrap();
            assert_eq!(&written, recorded, "case {}", case["n"]);
            compared += 1;
        }
        assert_eq!(compared, 12);
    }

    #[test]
    fn the_largest_numbers_and_every_odd_character_survive() {
        let checkpoint = "a\"b\\c\n\u{2014} \u{1}\u{e9}\n";
        let log_id = Hash::from_bytes([0xff; 32]);
        let hashes = [log_id, Hash::EMPTY_ROOT];
        let written = encode_entry(&EntryParts {
            log_index: LeafIndex::new(i64::MAX as u64 - 1),
            log_id: &log_id,
            kind: "dsse",
            version: "0.0.2",
            head: TreeHead { size: TreeSize::new(i64::MAX as u64), root_hash: Hash::EMPTY_ROOT },
            hashes: &hashes,
            checkpoint,
            body: &[],
        });
        let read: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(read["logIndex"], "9223372036854775806");
        assert_eq!(read["inclusionProof"]["logIndex"], "9223372036854775806");
        assert_eq!(read["inclusionProof"]["treeSize"], "9223372036854775807");
        let both = json!([log_id.to_base64(), Hash::EMPTY_ROOT.to_base64()]);
        assert_eq!(read["inclusionProof"]["hashes"], both);
        assert_eq!(read["inclusionProof"]["checkpoint"]["envelope"], checkpoint);
        assert_eq!(read["canonicalizedBody"], "");
        assert_eq!(read["inclusionPromise"], Value::Null);
    }

    #[test]
    fn a_status_has_code_message_and_empty_details() {
        let written = encode_status(3, "invalid \"x\"\n");
        let read: Value = serde_json::from_slice(&written).unwrap();
        assert_eq!(read, json!({"code": 3, "message": "invalid \"x\"\n", "details": []}));
    }
}

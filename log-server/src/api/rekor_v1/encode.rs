//! Answers of Rekor v1 as JSON, each into one buffer: members in the order of their names, nothing
//! escaped that need not be, and a line end behind the last byte.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use log_core::{EntryId, Hash, LeafIndex, TreeHead, TreeId};

/// What is said about one entry, all of it from one snapshot of the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryParts<'a> {
    /// Its id, as text.
    pub(super) name: &'a str,
    /// The leaf.
    pub(super) body: &'a [u8],
    /// When the log took it, in seconds since 1970.
    pub(super) time_s: u64,
    /// SHA-256 of the log's public key.
    pub(super) log_id: Hash,
    /// Its index over all shards, under the promise.
    pub(super) global_index: u64,
    /// Its index in its tree, under the proof.
    pub(super) index: LeafIndex,
    /// The tree of the checkpoint.
    pub(super) head: TreeHead,
    /// The audit path in that tree, from the leaf to the root.
    pub(super) hashes: &'a [Hash],
    /// The signed note, with the line of the log alone.
    pub(super) checkpoint: &'a str,
    /// The signature over body, time, log id and index, DER.
    pub(super) promise: &'a [u8],
}

/// What is said about the log.
#[derive(Debug, Clone, Copy)]
pub(super) struct LogParts<'a> {
    pub(super) tree: TreeId,
    pub(super) head: TreeHead,
    /// The signed note, with the line of the log alone.
    pub(super) checkpoint: &'a str,
}

/// More than the fixed parts of an entry take: names, punctuation, numbers, ids and a signature.
const ENTRY_FIXED_BYTES: usize = 768;
/// A hash in hex with quotes and a comma.
const HASH_JSON_BYTES: usize = 67;

impl EntryParts<'_> {
    /// The object with this entry as its one member.
    pub(super) fn to_json(self) -> String {
        let capacity = ENTRY_FIXED_BYTES
            + self.hashes.len() * HASH_JSON_BYTES
            + self.checkpoint.len() * 5 / 4
            + self.body.len().div_ceil(3) * 4;
        let mut out = String::with_capacity(capacity);
        // Writing to a string never fails.
        _ = write!(out, r#"{{"{}":{{"body":""#, self.name);
        STANDARD.encode_string(self.body, &mut out);
        _ = write!(
            out,
            r#"","integratedTime":{},"logID":"{}","logIndex":{},"verification":"#,
            self.time_s, self.log_id, self.global_index
        );
        out.push_str(r#"{"inclusionProof":{"checkpoint":"#);
        push_string(&mut out, self.checkpoint);
        out.push_str(r#","hashes":"#);
        push_hashes(&mut out, self.hashes);
        _ = write!(
            out,
            r#","logIndex":{},"rootHash":"{}","treeSize":{}}},"signedEntryTimestamp":""#,
            self.index.get(),
            self.head.root_hash,
            self.head.size.get()
        );
        STANDARD.encode_string(self.promise, &mut out);
        out.push_str(r#""}}}"#);
        out
    }
}

/// One value, as an answer.
pub(super) fn line(mut json: String) -> Vec<u8> {
    json.push('\n');
    json.into_bytes()
}

/// Several entries.
pub(super) fn encode_entries(entries: &[String]) -> Vec<u8> {
    line(format!("[{}]", entries.join(",")))
}

/// The names of entries.
pub(super) fn encode_ids(ids: impl Iterator<Item = EntryId>) -> Vec<u8> {
    let mut out = String::from("[");
    for (position, id) in ids.enumerate() {
        out.push_str(if position == 0 { "\"" } else { ",\"" });
        out.push_str(&id.to_string());
        out.push('"');
    }
    out.push(']');
    line(out)
}

/// The state of the log. There are no other shards.
pub(super) fn encode_log(log: &LogParts<'_>) -> Vec<u8> {
    let root = log.head.root_hash;
    let mut out = format!(r#"{{"inactiveShards":null,"rootHash":"{root}","signedTreeHead":"#);
    push_string(&mut out, log.checkpoint);
    out.push_str(&format!(r#","treeID":"{}","treeSize":{}}}"#, log.tree, log.head.size.get()));
    line(out)
}

/// The proof that one tree extends another, with the root of the newest.
pub(super) fn encode_consistency(hashes: &[Hash], root: &Hash) -> Vec<u8> {
    let mut out = String::from(r#"{"hashes":"#);
    push_hashes(&mut out, hashes);
    out.push_str(&format!(r#","rootHash":"{root}"}}"#));
    line(out)
}

/// Any text as a value.
pub(super) fn encode_text(text: &str) -> Vec<u8> {
    let mut out = String::with_capacity(text.len() + 16);
    push_string(&mut out, text);
    line(out)
}

/// The body of an error: a number, and a text for people.
pub(super) fn encode_error(code: u16, message: &str) -> Vec<u8> {
    let mut out = format!(r#"{{"code":{code},"message":"#);
    push_string(&mut out, message);
    out.push('}');
    line(out)
}

fn push_hashes(out: &mut String, hashes: &[Hash]) {
    out.push('[');
    for (position, hash) in hashes.iter().enumerate() {
        let comma = if position == 0 { "" } else { "," };
        _ = write!(out, "{comma}\"{hash}\"");
    }
    out.push(']');
}

fn push_string(out: &mut String, text: &str) {
    let json = serde_json::to_string(text);
    out.push_str(&json.expect("invariant: a string always has a JSON form"));
}

#[cfg(test)]
mod tests {
    use log_core::TreeSize;
    use serde_json::{Value, json};

    use super::*;

    fn vectors() -> Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/rekor-v1.json");
        serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
    }

    fn text<'a>(value: &'a Value, pointer: &str) -> &'a str {
        value.pointer(pointer).unwrap().as_str().unwrap()
    }

    fn hash(value: &Value) -> Hash {
        Hash::from_hex(value.as_str().unwrap()).unwrap()
    }

    /// As the reference server writes any value.
    fn canonical(value: &Value) -> String {
        format!("{value}\n")
    }

    #[test]
    fn entries_have_the_recorded_bytes() {
        let vectors = vectors();
        let mut compared = 0;
        for case in vectors["cases"].as_array().unwrap() {
            let proof = &case["inclusionProof"];
            let hashes: Vec<Hash> = proof["hashes"].as_array().unwrap().iter().map(hash).collect();
            let written = EntryParts {
                name: text(case, "/entryID"),
                body: &STANDARD.decode(text(case, "/body_b64")).unwrap(),
                time_s: case["integratedTime"].as_u64().unwrap(),
                log_id: hash(&vectors["logID"]),
                global_index: case["logIndex"].as_u64().unwrap(),
                index: LeafIndex::new(proof["logIndex"].as_u64().unwrap()),
                head: TreeHead {
                    size: TreeSize::new(proof["treeSize"].as_u64().unwrap()),
                    root_hash: hash(&proof["rootHash"]),
                },
                hashes: &hashes,
                checkpoint: text(proof, "/checkpoint"),
                promise: &STANDARD.decode(text(case, "/signedEntryTimestamp_b64")).unwrap(),
            }
            .to_json();
            // `Value` keeps its members sorted, as they must be on the wire.
            let expected = json!({
                text(case, "/entryID"): {
                    "body": case["body_b64"],
                    "integratedTime": case["integratedTime"],
                    "logID": vectors["logID"],
                    "logIndex": case["logIndex"],
                    "verification": {
                        "inclusionProof": proof,
                        "signedEntryTimestamp": case["signedEntryTimestamp_b64"],
                    },
                },
            });
            assert_eq!(line(written), canonical(&expected).into_bytes(), "{}", case["name"]);
            compared += 1;
        }
        assert_eq!(compared, 40);
    }

    #[test]
    fn the_log_and_its_proofs_have_the_recorded_bytes() {
        let vectors = vectors();
        let log = &vectors["finalLog"];
        let written = encode_log(&LogParts {
            tree: text(log, "/treeID").parse().unwrap(),
            head: TreeHead {
                size: TreeSize::new(log["treeSize"].as_u64().unwrap()),
                root_hash: hash(&log["rootHash"]),
            },
            checkpoint: text(log, "/signedTreeHead"),
        });
        assert_eq!(written, canonical(log).into_bytes());
        for proof in vectors["consistency"].as_array().unwrap() {
            let hashes: Vec<Hash> = proof["hashes"].as_array().unwrap().iter().map(hash).collect();
            let written = encode_consistency(&hashes, &hash(&proof["rootHash"]));
            let expected = json!({"hashes": proof["hashes"], "rootHash": proof["rootHash"]});
            assert_eq!(written, canonical(&expected).into_bytes());
        }
    }

    #[test]
    fn lists_and_texts_are_plain() {
        assert_eq!(encode_entries(&[]), b"[]\n");
        assert_eq!(encode_entries(&["{}".into(), "{}".into()]), b"[{},{}]\n");
        assert_eq!(encode_ids(std::iter::empty()), b"[]\n");
        let id = EntryId { tree: TreeId::new(1).unwrap(), leaf_hash: Hash::EMPTY_ROOT };
        assert_eq!(encode_ids([id, id].into_iter()), format!("[\"{id}\",\"{id}\"]\n").as_bytes());
        let text = "<a&b>\"\n\u{e9}";
        assert_eq!(encode_text(text), "\"<a&b>\\\"\\n\u{e9}\"\n".as_bytes());
        assert_eq!(encode_error(605, "x"), b"{\"code\":605,\"message\":\"x\"}\n");
    }
}

//! What a submitter got back, verified as a client without any network would do it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use log_core::checkpoint::{Origin, SignedCheckpoint};
use log_core::{Hash, InclusionProof, Leaf, LeafIndex, TreeHead, VerifierKey};
use serde_json::Value;

/// An answer that verifies: the leaf is in the tree of a checkpoint that the log signed.
#[derive(Debug, Clone)]
pub struct Acknowledged {
    /// Where the entry is.
    pub index: LeafIndex,
    /// Its canonical body.
    pub leaf: Leaf,
    /// The size and root that the log signed.
    pub head: TreeHead,
    /// The checkpoint as a note.
    pub note: String,
}

impl Acknowledged {
    /// Reads and verifies a `TransparencyLogEntry` in JSON.
    ///
    /// # Panics
    /// When anything in it is missing, inconsistent or does not verify.
    #[track_caller]
    pub fn verify(answer: &Value, key: &VerifierKey) -> Self {
        let proof = &answer["inclusionProof"];
        let checkpoint = proof["checkpoint"]["envelope"].as_str().expect("a checkpoint");
        let hashes: Vec<Hash> = match &proof["hashes"] {
            // The path of a tree with one leaf has no hashes; protobuf's JSON may leave it out.
            Value::Null => Vec::new(),
            hashes => hashes.as_array().expect("hashes").iter().map(hash).collect(),
        };
        assert_eq!(answer["logId"]["keyId"], key.full_id_hash().to_base64(), "{answer}");
        assert_eq!(proof["logIndex"], answer["logIndex"], "{answer}");
        let acknowledged = Self::verify_parts(
            &Parts {
                index: LeafIndex::new(number(&answer["logIndex"])),
                body: STANDARD
                    .decode(answer["canonicalizedBody"].as_str().expect("a body"))
                    .expect("base64"),
                hashes,
                note: checkpoint,
            },
            key,
        );
        assert_eq!(number(&proof["treeSize"]), acknowledged.head.size.get(), "{answer}");
        assert_eq!(hash(&proof["rootHash"]), acknowledged.head.root_hash, "{answer}");
        acknowledged
    }

    /// Verifies the parts of an answer of any protocol.
    ///
    /// # Panics
    /// When they do not verify.
    #[track_caller]
    pub fn verify_parts(parts: &Parts<'_>, key: &VerifierKey) -> Self {
        let origin = Origin::parse(key.name().as_str()).expect("an origin");
        let signed = SignedCheckpoint::open(parts.note.as_bytes(), &origin, key)
            .unwrap_or_else(|error| panic!("{error}: {}", parts.note));
        let leaf = Leaf::new(parts.body.clone()).expect("a leaf");
        let head = signed.head();
        InclusionProof::from_hashes(parts.hashes.clone())
            .verify(&leaf.hash(), parts.index, &head)
            .unwrap_or_else(|error| panic!("{error}: index {} of {}", parts.index, head.size));
        Self { index: parts.index, leaf, head, note: parts.note.into() }
    }
}

/// The parts of an answer.
pub struct Parts<'a> {
    /// The index that the log claims.
    pub index: LeafIndex,
    /// The canonical body.
    pub body: Vec<u8>,
    /// The audit path.
    pub hashes: Vec<Hash>,
    /// The checkpoint as a note.
    pub note: &'a str,
}

/// 64-bit numbers are strings in protobuf's JSON.
#[track_caller]
fn number(value: &Value) -> u64 {
    value.as_str().and_then(|text| text.parse().ok()).unwrap_or_else(|| panic!("{value}"))
}

#[track_caller]
fn hash(value: &Value) -> Hash {
    value.as_str().and_then(Hash::from_base64).unwrap_or_else(|| panic!("{value}"))
}

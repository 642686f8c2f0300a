//! What a Rekor v1 log says about an entry, verified as a client without any network would do it.

use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use log_core::checkpoint::{Origin, SignedCheckpoint};
use log_core::{Hash, InclusionProof, KeyName, Leaf, LeafIndex, TreeHead, VerifierKey};
use serde_json::Value;

use crate::answer::Acknowledged;
use crate::process::ServerProcess;

/// Who a Rekor v1 log is.
#[derive(Debug, Clone)]
pub struct LogV1 {
    key: VerifierKey,
    spki: Vec<u8>,
    origin: Origin,
    /// As 16 hexadecimal digits: the beginning of every entry id.
    tree_id: String,
}

/// An entry whose every promise verifies.
#[derive(Debug, Clone)]
pub struct EntryV1 {
    /// 80 hexadecimal digits.
    pub id: String,
    /// The time that the log promised for it, in seconds.
    pub time_s: u64,
    /// Index, leaf, and the head that the answer came with.
    pub said: Acknowledged,
}

impl LogV1 {
    /// What the log says about itself; whoever keeps this notices when it says something else.
    ///
    /// # Panics
    /// When key, tree and origin do not fit each other.
    #[track_caller]
    pub fn of(server: &ServerProcess) -> Self {
        let log = server.get("/api/v1/log").expect(200).json();
        let tree: u64 = log["treeID"].as_str().and_then(|id| id.parse().ok()).expect("a tree id");
        let note = log["signedTreeHead"].as_str().expect("a checkpoint");
        let origin = note.lines().next().expect("an origin");
        let host = origin.strip_suffix(&format!(" - {tree}")).expect("HOST - TREEID");
        let key = server.get("/api/v1/log/publicKey").expect(200);
        let spki = der(key.text());
        let name = KeyName::parse(host).expect("a host");
        let this = Self {
            key: VerifierKey::ecdsa_p256(name, &spki).expect("a P-256 key"),
            spki,
            origin: Origin::parse(origin).expect("an origin"),
            tree_id: format!("{tree:016x}"),
        };
        this.head(note);
        this
    }

    /// The key that signs its checkpoints and promises.
    pub fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// The first line of its checkpoints.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// The id of the entry with this leaf.
    pub fn entry_id(&self, leaf: &Leaf) -> String {
        format!("{}{}", self.tree_id, leaf.hash())
    }

    /// The head in a checkpoint as old clients get it: signed with this key and no other.
    ///
    /// # Panics
    /// When it is not.
    #[track_caller]
    pub fn head(&self, note: &str) -> TreeHead {
        let signed = SignedCheckpoint::open(note.as_bytes(), &self.origin, &self.key)
            .unwrap_or_else(|error| panic!("{error}: {note}"));
        assert_eq!(signed.note().signatures().len(), 1, "{note}");
        signed.head()
    }

    /// Reads and verifies the map of one entry: id, promise, proof and checkpoint.
    ///
    /// # Panics
    /// When anything in it is missing, inconsistent or does not verify.
    #[track_caller]
    pub fn verify(&self, answer: &Value) -> EntryV1 {
        let mut entries = answer.as_object().expect("a map").iter();
        let (id, entry) = entries.next().expect("an entry");
        assert!(entries.next().is_none(), "{answer}");
        let body = entry["body"].as_str().expect("a body");
        let leaf = Leaf::new(STANDARD.decode(body).expect("base64")).expect("a leaf");
        assert_eq!(*id, self.entry_id(&leaf), "{answer}");
        let log_id = self.key.full_id_hash().to_string();
        assert_eq!(entry["logID"], log_id.as_str(), "{answer}");
        let (index, time_s) = (number(&entry["logIndex"]), number(&entry["integratedTime"]));

        let promised = format!(
            r#"{{"body":"{body}","integratedTime":{time_s},"logID":"{log_id}","logIndex":{index}}}"#
        );
        let verification = &entry["verification"];
        let promise = verification["signedEntryTimestamp"].as_str().expect("a promise");
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, &self.spki)
            .verify(promised.as_bytes(), &STANDARD.decode(promise).expect("base64"))
            .unwrap_or_else(|_| panic!("the promise does not verify: {answer}"));

        let said = self.verify_proof(LeafIndex::new(index), leaf, &verification["inclusionProof"]);
        EntryV1 { id: id.clone(), time_s, said }
    }

    #[track_caller]
    fn verify_proof(&self, index: LeafIndex, leaf: Leaf, proof: &Value) -> Acknowledged {
        let note = proof["checkpoint"].as_str().expect("a checkpoint");
        let head = self.head(note);
        assert_eq!(number(&proof["logIndex"]), index.get(), "{proof}");
        assert_eq!(number(&proof["treeSize"]), head.size.get(), "{proof}");
        assert_eq!(hash(&proof["rootHash"]), head.root_hash, "{proof}");
        let hashes = proof["hashes"].as_array().expect("hashes").iter().map(hash).collect();
        InclusionProof::from_hashes(hashes)
            .verify(&leaf.hash(), index, &head)
            .unwrap_or_else(|error| panic!("{error}: index {index} of {}", head.size));
        Acknowledged { index, leaf, head, note: note.into() }
    }
}

/// What stands between the lines of PEM.
fn der(pem: &str) -> Vec<u8> {
    let base64: String = pem.lines().filter(|line| !line.starts_with("-----")).collect();
    STANDARD.decode(base64).expect("base64")
}

#[track_caller]
pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

#[track_caller]
fn hash(value: &Value) -> Hash {
    value.as_str().and_then(Hash::from_hex).unwrap_or_else(|| panic!("no hash: {value}"))
}

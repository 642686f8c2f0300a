//! Checks an answer as a client would that trusts nothing but the log's key.

mod log_entry;

use anyhow::{Context, anyhow, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use log_core::{
    Hash, InclusionProof, KeyName, Leaf, LeafIndex, Origin, SignedCheckpoint, TlogProof, TreeHead,
    TreeSize, VerifierKey,
};
use serde_json::Value;

/// What answers are checked against.
#[derive(Debug, Clone)]
pub struct Checker {
    key: VerifierKey,
    origin: Origin,
}

impl Checker {
    /// A log by its verifier key, `NAME+ID+KEY`; the name is also its origin.
    ///
    /// # Errors
    /// The key cannot be read.
    pub fn new(verifier_key: &str) -> anyhow::Result<Self> {
        let key = VerifierKey::parse(verifier_key.trim())?;
        let origin = Origin::parse(key.name().as_str())?;
        Ok(Self { key, origin })
    }

    /// A Rekor v1 log by its host name and its ECDSA P-256 key in DER; every answer names the tree.
    ///
    /// # Errors
    /// It is no such key, or no name.
    pub fn rekor_v1(host: &str, spki_der: &[u8]) -> anyhow::Result<Self> {
        let key = VerifierKey::ecdsa_p256(KeyName::parse(host)?, spki_der)?;
        Ok(Self { key, origin: Origin::parse(host)? })
    }

    /// Opens a checkpoint that the log must have signed.
    ///
    /// # Errors
    /// It did not.
    pub fn checkpoint(&self, note: &[u8]) -> anyhow::Result<TreeHead> {
        Ok(SignedCheckpoint::open(note, &self.origin, &self.key)?.head())
    }

    /// Checks a `TransparencyLogEntry`: the body is the leaf that was to be made, the proof leads
    /// from it to the root, and the log has signed that root.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn transparency_log_entry(&self, leaf: &Leaf, json: &[u8]) -> anyhow::Result<()> {
        let answer: Value = serde_json::from_slice(json)?;
        let text = |pointer: &str| {
            let value = answer.pointer(pointer).and_then(Value::as_str);
            value.ok_or_else(|| anyhow!("{pointer} is missing"))
        };
        let body = STANDARD.decode(text("/canonicalizedBody")?)?;
        ensure!(body == leaf.as_bytes(), "the body is not that of the entry");
        let id = STANDARD.decode(text("/logId/keyId")?)?;
        ensure!(id == self.key.full_id_hash().as_bytes(), "the log id is another log's");

        let index = text("/logIndex")?;
        ensure!(index == text("/inclusionProof/logIndex")?, "two indices");
        let index = LeafIndex::parse_decimal(index).context("index")?;
        let head = TreeHead {
            size: TreeSize::parse_decimal(text("/inclusionProof/treeSize")?).context("size")?,
            root_hash: Hash::from_base64(text("/inclusionProof/rootHash")?).context("root")?,
        };
        let hashes = answer.pointer("/inclusionProof/hashes").and_then(Value::as_array);
        let hashes = hashes.context("hashes")?.iter();
        let hashes = hashes.map(|hash| hash.as_str().and_then(Hash::from_base64));
        let hashes = hashes.collect::<Option<Vec<_>>>().context("hashes")?;
        InclusionProof::from_hashes(hashes).verify(&leaf.hash(), index, &head)?;

        let signed = self.checkpoint(text("/inclusionProof/checkpoint/envelope")?.as_bytes())?;
        ensure!(signed == head, "the checkpoint is of another tree");
        Ok(())
    }

    /// Checks a tlog-proof: it proves the leaf under a checkpoint of this log.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn tlog_proof(&self, leaf: &Leaf, file: &[u8]) -> anyhow::Result<()> {
        TlogProof::parse(file)?.verify(&leaf.hash(), &self.origin, &self.key)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use log_core::checkpoint::Checkpoint;
    use log_core::{NoteSigner, SignedNote};

    use super::*;

    struct Log {
        checker: Checker,
        leaf: Leaf,
        note: String,
        head: TreeHead,
    }

    /// A log with one leaf: its hash is the root, and the proof is empty.
    fn log() -> Log {
        let signer = NoteSigner::ed25519(KeyName::parse("log.example").unwrap(), [7; 32]);
        let leaf = Leaf::new(b"body".to_vec()).unwrap();
        let head = TreeHead { size: TreeSize::new(1), root_hash: leaf.hash() };
        let origin = Origin::parse("log.example").unwrap();
        let text = Checkpoint { origin, head, extensions: Vec::new() }.to_text();
        let signature = signer.sign(&text);
        let note = SignedNote::new(text, vec![signature]).unwrap().to_string();
        let checker = Checker::new(&signer.verifier_key().to_string()).unwrap();
        Log { checker, leaf, note, head }
    }

    fn answer(log: &Log) -> Value {
        serde_json::json!({
            "logIndex": "0",
            "logId": { "keyId": log.checker.key.full_id_hash().to_base64() },
            "inclusionProof": {
                "logIndex": "0",
                "rootHash": log.head.root_hash.to_base64(),
                "treeSize": "1",
                "hashes": [],
                "checkpoint": { "envelope": log.note },
            },
            "canonicalizedBody": STANDARD.encode(log.leaf.as_bytes()),
        })
    }

    #[test]
    fn a_true_answer_passes_and_each_changed_part_fails() {
        let log = log();
        let check = |answer: &Value| {
            let json = serde_json::to_vec(answer).unwrap();
            log.checker.transparency_log_entry(&log.leaf, &json)
        };
        check(&answer(&log)).unwrap();
        let other = sha_of_nothing();
        for (pointer, value) in [
            ("/logIndex", Value::from("1")),
            ("/inclusionProof/logIndex", Value::from("1")),
            ("/logId/keyId", Value::from(other.clone())),
            ("/inclusionProof/rootHash", Value::from(other.clone())),
            ("/inclusionProof/treeSize", Value::from("2")),
            ("/inclusionProof/hashes", Value::from(vec![other])),
            ("/inclusionProof/checkpoint/envelope", Value::from(log.note.replace("1", "2"))),
            ("/canonicalizedBody", Value::from(STANDARD.encode("another"))),
        ] {
            let mut changed = answer(&log);
            *changed.pointer_mut(pointer).unwrap() = value;
            assert!(check(&changed).is_err(), "{pointer}");
        }
    }

    #[test]
    fn a_tlog_proof_is_of_one_leaf() {
        let log = log();
        let proof = TlogProof {
            index: LeafIndex::new(0),
            extra: None,
            inclusion: InclusionProof::from_hashes(Vec::new()),
            checkpoint: log.note.clone(),
        };
        let file = proof.to_string();
        log.checker.tlog_proof(&log.leaf, file.as_bytes()).unwrap();
        let other = Leaf::new(b"other".to_vec()).unwrap();
        assert!(log.checker.tlog_proof(&other, file.as_bytes()).is_err());
    }

    fn sha_of_nothing() -> String {
        Hash::EMPTY_ROOT.to_base64()
    }
}

//! The answers of Rekor v1.

use anyhow::{Context, anyhow, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use log_core::{
    EntryId, EntryTimestamp, Hash, InclusionProof, Leaf, LeafIndex, Origin, SignedCheckpoint,
    TreeHead, TreeSize,
};
use serde_json::Value;

use super::Checker;

impl Checker {
    /// Checks the map that a Rekor v1 log answers with: the id is that of the leaf that was to be
    /// made, the log has promised the entry and its time, the proof leads from the leaf to the
    /// root, and the log has signed that root. The key's name is the host of the log; the tree is
    /// that of the entry's id.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn log_entry(&self, leaf: &Leaf, json: &[u8]) -> anyhow::Result<()> {
        let map: Value = serde_json::from_slice(json)?;
        let (id, entry) = map.as_object().and_then(|map| map.iter().next()).context("an entry")?;
        let id = EntryId::parse(id).context("the id")?;
        ensure!(id.leaf_hash == leaf.hash(), "the id is another entry's");
        let text = |pointer: &str| {
            let value = entry.pointer(pointer).and_then(Value::as_str);
            value.ok_or_else(|| anyhow!("{pointer} is missing"))
        };
        let number = |pointer: &str| {
            let value = entry.pointer(pointer).and_then(Value::as_u64);
            value.ok_or_else(|| anyhow!("{pointer} is missing"))
        };
        ensure!(STANDARD.decode(text("/body")?)? == leaf.as_bytes(), "the body is another one");
        let log_id = self.key.full_id_hash();
        ensure!(text("/logID")? == log_id.to_string(), "the log id is another log's");
        let index = LeafIndex::new(number("/logIndex")?);
        let promised = EntryTimestamp {
            body: leaf.as_bytes(),
            integrated_time_s: number("/integratedTime")?,
            log_id,
            index,
        };
        let promise = STANDARD.decode(text("/verification/signedEntryTimestamp")?)?;
        promised.verify(&self.key, &promise)?;

        const PROOF: &str = "/verification/inclusionProof";
        ensure!(number(&format!("{PROOF}/logIndex"))? == index.get(), "two indices");
        let root_hash = Hash::from_hex(text(&format!("{PROOF}/rootHash"))?).context("root")?;
        let size = TreeSize::new(number(&format!("{PROOF}/treeSize"))?);
        let head = TreeHead { size, root_hash };
        let hashes = entry.pointer(&format!("{PROOF}/hashes")).and_then(Value::as_array);
        let hashes = hashes.context("hashes")?.iter();
        let hashes = hashes.map(|hash| hash.as_str().and_then(Hash::from_hex));
        let hashes = hashes.collect::<Option<Vec<_>>>().context("hashes")?;
        InclusionProof::from_hashes(hashes).verify(&id.leaf_hash, index, &head)?;

        let origin = Origin::parse(&format!("{} - {}", self.key.name(), id.tree))?;
        let note = text(&format!("{PROOF}/checkpoint"))?;
        let signed = SignedCheckpoint::open(note.as_bytes(), &origin, &self.key)?;
        ensure!(signed.head() == head, "the checkpoint is of another tree");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    /// The recorded log: its key, and one of its answers with the leaf in it.
    fn recorded() -> (Checker, Leaf, Value) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/rekor-v1.json");
        let recorded: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let pem = recorded["log_public_key_pem"].as_str().unwrap();
        let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
        let checker = Checker::rekor_v1(
            recorded["hostname"].as_str().unwrap(),
            &STANDARD.decode(base64).unwrap(),
        )
        .unwrap();
        let case = &recorded["cases"][5];
        let leaf = Leaf::new(STANDARD.decode(case["body_b64"].as_str().unwrap()).unwrap()).unwrap();
        let mut entry = serde_json::json!({
            "body": case["body_b64"],
            "integratedTime": case["integratedTime"],
            "logID": recorded["logID"],
            "logIndex": case["logIndex"],
            "verification": {
                "inclusionProof": case["inclusionProof"],
                "signedEntryTimestamp": case["signedEntryTimestamp_b64"],
            },
        });
        let answer = serde_json::json!({ case["entryID"].as_str().unwrap(): entry.take() });
        (checker, leaf, answer)
    }

    #[test]
    fn a_recorded_answer_passes_and_each_changed_part_fails() {
        let (checker, leaf, answer) = recorded();
        let check = |answer: &Value| checker.log_entry(&leaf, &serde_json::to_vec(answer).unwrap());
        check(&answer).unwrap();
        let (id, entry) = answer.as_object().unwrap().iter().next().unwrap();
        for (pointer, value) in [
            ("/body", Value::from(STANDARD.encode("another"))),
            ("/integratedTime", Value::from(1)),
            ("/logID", Value::from(leaf.hash().to_string())),
            ("/logIndex", Value::from(4)),
            ("/verification/inclusionProof/logIndex", Value::from(4)),
            ("/verification/inclusionProof/treeSize", Value::from(7)),
            ("/verification/inclusionProof/rootHash", Value::from(leaf.hash().to_string())),
            ("/verification/inclusionProof/hashes", Value::from(Vec::<Value>::new())),
            ("/verification/inclusionProof/checkpoint", Value::from("x")),
            ("/verification/signedEntryTimestamp", Value::from("AAAA")),
        ] {
            let mut changed = entry.clone();
            *changed.pointer_mut(pointer).unwrap() = value;
            assert!(check(&serde_json::json!({ id: changed })).is_err(), "{pointer}");
        }
        // Another tree, in the id alone.
        let other = format!("0000000000000001{}", &id[16..]);
        assert!(check(&serde_json::json!({ other: entry })).is_err());
        let other = Leaf::new(b"other".to_vec()).unwrap();
        assert!(checker.log_entry(&other, &serde_json::to_vec(&answer).unwrap()).is_err());
    }
}

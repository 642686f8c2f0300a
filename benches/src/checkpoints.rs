//! Checkpoints: what many logs would ask a witness to cosign, signed before anything is measured.
//!
//! All logs grow the same tree, leaf by leaf, so that its proofs are computed once; what differs
//! is the origin and the key, and with them every byte that a witness has to verify.

use std::collections::HashMap;
use std::net::SocketAddr;

use anyhow::Context;
use log_core::key::{KeyName, NoteSigner};
use log_core::note::SignedNote;
use log_core::{
    AddCheckpointRequest, Checkpoint, ConsistencyProof, Hash, NodeId, Origin, RightEdge, TreeHead,
    TreeSize, hash_leaf, integrate, sha256,
};

/// The heads of a tree that grows by one leaf at a time, and the proofs between them.
struct Growth {
    /// The head of size `i + 1`.
    heads: Vec<TreeHead>,
    /// From size `i` to size `i + 1`.
    proofs: Vec<ConsistencyProof>,
}

impl Growth {
    fn new(steps: usize) -> anyhow::Result<Self> {
        let mut nodes: HashMap<NodeId, Hash> = HashMap::new();
        let mut edge = RightEdge::empty();
        let mut growth = Self { heads: Vec::new(), proofs: Vec::new() };
        for step in 0..u64::try_from(steps)? {
            let leaf = hash_leaf(&step.to_be_bytes());
            let integrated = integrate(&edge, &[leaf]);
            edge = integrated.edge;
            let mut node = NodeId { level: 0, index: step };
            let mut hash = leaf;
            nodes.insert(node, hash);
            // Every node that this leaf completes.
            while node.index & 1 == 1 {
                let left = NodeId { index: node.index - 1, ..node };
                let left = nodes.get(&left).context("a complete left sibling")?;
                hash = log_core::hash_children(left, &hash);
                node = NodeId { level: node.level + 1, index: node.index >> 1 };
                nodes.insert(node, hash);
            }
            let proof = match step {
                0 => ConsistencyProof::from_hashes(Vec::new()),
                _ => {
                    let plan = ConsistencyProof::plan(TreeSize::new(step), integrated.head.size)?;
                    let found = plan.nodes().iter().map(|id| nodes.get(id).copied());
                    let found = found.collect::<Option<Vec<_>>>().context("a complete node")?;
                    ConsistencyProof::build(&plan, &found)?
                }
            };
            growth.heads.push(integrated.head);
            growth.proofs.push(proof);
        }
        Ok(growth)
    }
}

/// A log that exists only to be cosigned.
pub struct BenchLog {
    origin: Origin,
    signer: NoteSigner,
}

impl BenchLog {
    /// The log of a number; the same one always.
    ///
    /// # Panics
    /// Never: the names are made here.
    pub fn new(number: usize) -> Self {
        let name = format!("bench.example/log/{number}");
        let seed = *sha256(name.as_bytes()).as_bytes();
        let key = KeyName::parse(&name).expect("invariant: a name without spaces");
        let origin = Origin::parse(&name).expect("invariant: a line of text");
        Self { origin, signer: NoteSigner::ed25519(key, seed) }
    }

    /// Its key, whose name is its origin.
    pub fn vkey(&self) -> String {
        self.signer.verifier_key().to_string()
    }

    fn note(&self, head: TreeHead) -> anyhow::Result<String> {
        let checkpoint = Checkpoint { origin: self.origin.clone(), head, extensions: Vec::new() };
        let text = checkpoint.to_text();
        let signature = self.signer.sign(&text);
        Ok(SignedNote::new(text, vec![signature])?.to_string())
    }
}

/// The bodies that one log sends, in the order in which a witness has to get them.
pub struct Lane {
    bodies: Vec<String>,
}

impl Lane {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.bodies.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.bodies.is_empty()
    }

    /// Writes one as an HTTP request.
    pub fn write_request(&self, step: usize, host: SocketAddr, out: &mut Vec<u8>) {
        let body = &self.bodies[step];
        out.clear();
        let head = format!(
            "POST /add-checkpoint HTTP/1.1\r\nhost: {host}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        out.extend_from_slice(head.as_bytes());
        out.extend_from_slice(body.as_bytes());
    }
}

/// Signs `steps` checkpoints for each of `logs` logs.
///
/// # Errors
/// Only if this code is wrong: every part is made here.
pub fn lanes(logs: usize, steps: usize) -> anyhow::Result<Vec<Lane>> {
    let growth = Growth::new(steps)?;
    (0..logs)
        .map(|number| {
            let log = BenchLog::new(number);
            let bodies = (0..).zip(growth.heads.iter().zip(&growth.proofs)).map(
                |(old, (head, proof))| -> anyhow::Result<String> {
                    let request = AddCheckpointRequest {
                        old: TreeSize::new(old),
                        proof: proof.clone(),
                        checkpoint: log.note(*head)?,
                    };
                    Ok(request.to_string())
                },
            );
            Ok(Lane { bodies: bodies.collect::<anyhow::Result<_>>()? })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_follows_from_the_one_before() {
        let growth = Growth::new(70).unwrap();
        for (step, proof) in growth.proofs.iter().enumerate().skip(1) {
            proof.verify(&growth.heads[step - 1], &growth.heads[step]).unwrap();
        }
        let lanes = lanes(2, 3).unwrap();
        let first = AddCheckpointRequest::parse(lanes[1].bodies[2].as_bytes()).unwrap();
        assert_eq!(first.old, TreeSize::new(2));
        let note = SignedNote::parse(first.checkpoint.as_bytes()).unwrap();
        note.verify(&[BenchLog::new(1).signer.verifier_key()]).unwrap();
        assert!(note.verify(&[BenchLog::new(0).signer.verifier_key()]).is_err());
    }
}

//! A log that says what it is told to: slow and obvious Merkle trees, signed.

use log_core::checkpoint::Checkpoint;
use log_core::key::{KeyName, NoteSigner};
use log_core::note::SignedNote;
use log_core::{Hash, Origin, TreeHead, TreeSize, hash_children, hash_leaf};

pub(crate) struct TestLog {
    pub(crate) origin: String,
    signer: NoteSigner,
    leaves: Vec<Hash>,
}

impl TestLog {
    /// A log of the leaves 0, 1, 2, ...
    pub(crate) fn new(origin: &str, size: usize) -> Self {
        Self::forked(origin, size, size)
    }

    /// The same log, but with other leaves from `at` on.
    pub(crate) fn forked(origin: &str, at: usize, size: usize) -> Self {
        let seed = *log_core::sha256(origin.as_bytes()).as_bytes();
        let signer = NoteSigner::ed25519(KeyName::parse(origin).unwrap(), seed);
        let leaf = |i: usize| hash_leaf(format!("{}{i}", if i < at { "" } else { "f" }).as_bytes());
        Self { origin: origin.into(), signer, leaves: (0..size).map(leaf).collect() }
    }

    pub(crate) fn vkey(&self) -> String {
        self.signer.verifier_key().to_string()
    }

    pub(crate) fn hash(&self) -> String {
        log_core::sha256(self.origin.as_bytes()).to_string()
    }

    pub(crate) fn root(&self, size: usize) -> Hash {
        root(&self.leaves[..size])
    }

    /// The hash of a subtree.
    pub(crate) fn range_root(&self, start: usize, end: usize) -> Hash {
        root(&self.leaves[start..end])
    }

    /// The signed checkpoint of that size.
    pub(crate) fn note(&self, size: usize) -> String {
        self.sign(u64::try_from(size).unwrap(), self.root(size))
    }

    /// A signed checkpoint that says anything.
    pub(crate) fn sign(&self, size: u64, root_hash: Hash) -> String {
        let head = TreeHead { size: TreeSize::new(size), root_hash };
        let origin = Origin::parse(&self.origin).unwrap();
        self.sign_text(Checkpoint { origin, head, extensions: Vec::new() }.to_text())
    }

    /// Any text, signed.
    pub(crate) fn sign_text(&self, text: String) -> String {
        let line = self.signer.sign(&text);
        SignedNote::new(text, vec![line]).unwrap().to_string()
    }

    pub(crate) fn consistency(&self, old: usize, new: usize) -> Vec<Hash> {
        if old == 0 { Vec::new() } else { subproof(old, &self.leaves[..new], true) }
    }

    /// The request of an honest client.
    pub(crate) fn request(&self, old: usize, new: usize) -> String {
        body(old, &self.consistency(old, new), &self.note(new))
    }
}

pub(crate) fn body(old: impl std::fmt::Display, proof: &[Hash], note: &str) -> String {
    let hashes = proof.iter().fold(String::new(), |all, hash| all + &hash.to_base64() + "\n");
    format!("old {old}\n{hashes}\n{note}")
}

fn root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Hash::EMPTY_ROOT,
        [leaf] => *leaf,
        _ => {
            let (left, right) = leaves.split_at(split(leaves.len()));
            hash_children(&root(left), &root(right))
        }
    }
}

/// SUBPROOF of RFC 6962, 2.1.2.
fn subproof(old: usize, leaves: &[Hash], whole: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if whole { Vec::new() } else { vec![root(leaves)] };
    }
    let at = split(leaves.len());
    let (left, right) = leaves.split_at(at);
    if old <= at {
        [subproof(old, left, whole), vec![root(right)]].concat()
    } else {
        [subproof(old - at, right, false), vec![root(left)]].concat()
    }
}

fn split(size: usize) -> usize {
    size.next_power_of_two() / 2
}

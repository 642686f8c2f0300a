//! A log without a server: histories in memory, and a key that signs any head of any of them. It
//! plays the honest operator as well as the one who shows two histories.

use log_core::checkpoint::{Checkpoint, Origin};
use log_core::hash::{Hash, hash_children, hash_leaf, sha256};
use log_core::witness::AddCheckpointRequest;
use log_core::{
    ConsistencyProof, KeyName, NoteSigner, SignedNote, TreeHead, TreeSize, VerifierKey,
};

/// A tree with all its nodes, so that the head of any size and any proof is at hand.
#[derive(Debug, Clone)]
pub struct History {
    /// The complete nodes of each level, from left to right.
    levels: Vec<Vec<Hash>>,
}

impl History {
    /// So many leaves that stand in no history of another name.
    pub fn new(name: &str, size: u64) -> Self {
        let mut history = Self { levels: vec![Vec::new()] };
        history.grow(name, size);
        history
    }

    /// Another history: the same first `shared` leaves, and then others up to `size`.
    ///
    /// # Panics
    /// When this history has fewer leaves than `shared`, or `shared` is beyond `size`.
    pub fn fork(&self, shared: u64, name: &str, size: u64) -> Self {
        let mut fork = Self { levels: vec![Vec::new()] };
        for leaf in &self.levels[0][..index(shared)] {
            fork.append(*leaf);
        }
        fork.grow(name, size.checked_sub(shared).expect("a fork has what it shares"));
        fork
    }

    /// Appends so many leaves; the name and the place say what is in them.
    pub fn grow(&mut self, name: &str, leaves: u64) {
        for place in self.size()..self.size() + leaves {
            self.append(hash_leaf(format!("{name} {place}").as_bytes()));
        }
    }

    /// Number of leaves.
    pub fn size(&self) -> u64 {
        self.levels[0].len() as u64
    }

    /// Size and root of the whole history.
    pub fn head(&self) -> TreeHead {
        self.head_at(self.size())
    }

    /// Size and root when the history had so many leaves.
    ///
    /// # Panics
    /// When it never had.
    pub fn head_at(&self, size: u64) -> TreeHead {
        let size = TreeSize::new(size);
        let peaks: Vec<Hash> = size
            .peaks()
            .map(|peak| self.levels[usize::from(peak.level)][index(peak.index)])
            .collect();
        let root_hash = peaks.into_iter().rev().reduce(|right, left| hash_children(&left, &right));
        TreeHead { size, root_hash: root_hash.unwrap_or(Hash::EMPTY_ROOT) }
    }

    /// Whether the history had that head once.
    pub fn had(&self, head: &TreeHead) -> bool {
        head.size.get() <= self.size() && self.head_at(head.size.get()) == *head
    }

    /// The proof from one size to another; from nothing there is nothing to prove.
    ///
    /// # Panics
    /// When `old` is beyond `new`, or `new` beyond the history.
    pub fn consistency(&self, old: u64, new: u64) -> ConsistencyProof {
        if old == 0 {
            return ConsistencyProof::from_hashes(Vec::new());
        }
        let plan = ConsistencyProof::plan(TreeSize::new(old), TreeSize::new(new));
        let plan = plan.expect("an older and a newer size");
        let node = |id: &log_core::NodeId| self.levels[usize::from(id.level)][index(id.index)];
        let nodes: Vec<Hash> = plan.nodes().iter().map(node).collect();
        ConsistencyProof::build(&plan, &nodes).expect("a hash for each node of the plan")
    }

    fn append(&mut self, leaf: Hash) {
        let mut node = leaf;
        for level in 0.. {
            if level == self.levels.len() {
                self.levels.push(Vec::new());
            }
            let row = &mut self.levels[level];
            row.push(node);
            let [.., left, right] = row.as_slice() else { return };
            if row.len() % 2 == 1 {
                return;
            }
            node = hash_children(left, right);
        }
    }
}

/// Origin and key of a log whose operator signs whatever a test wants.
#[derive(Debug)]
pub struct SignedLog {
    origin: Origin,
    signer: NoteSigner,
}

impl SignedLog {
    /// A log whose key follows from its origin.
    ///
    /// # Panics
    /// When the origin is no key name: it has spaces or a plus.
    pub fn new(origin: &str) -> Self {
        let seed = *sha256(origin.as_bytes()).as_bytes();
        Self {
            origin: Origin::parse(origin).expect("an origin"),
            signer: NoteSigner::ed25519(KeyName::parse(origin).expect("a key name"), seed),
        }
    }

    /// The first line of its checkpoints.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Its public key.
    pub fn key(&self) -> VerifierKey {
        self.signer.verifier_key()
    }

    /// Signs a head, whatever was signed before.
    pub fn sign(&self, head: TreeHead) -> SignedNote {
        let origin = self.origin.clone();
        let text = Checkpoint { origin, head, extensions: Vec::new() }.to_text();
        let signature = self.signer.sign(&text);
        SignedNote::new(text, vec![signature]).expect("a checkpoint is the text of a note")
    }

    /// The request for the size `new` of a history, with its honest proof from `old`.
    ///
    /// # Panics
    /// When `old` is beyond `new`, or `new` beyond the history.
    pub fn request(&self, history: &History, old: u64, new: u64) -> AddCheckpointRequest {
        self.request_with(old, history.consistency(old, new), history.head_at(new))
    }

    /// The request with any proof about any head.
    pub fn request_with(
        &self,
        old: u64,
        proof: ConsistencyProof,
        head: TreeHead,
    ) -> AddCheckpointRequest {
        let checkpoint = self.sign(head).to_string();
        AddCheckpointRequest { old: TreeSize::new(old), proof, checkpoint }
    }
}

fn index(place: u64) -> usize {
    usize::try_from(place).expect("a history fits memory")
}

#[cfg(test)]
mod tests {
    use super::*;
    use log_core::CompactRange;

    #[test]
    fn heads_and_proofs_are_those_of_the_tree() {
        let history = History::new("a", 40);
        let mut range = CompactRange::new();
        for size in 0..=40 {
            assert_eq!(history.head_at(size).root_hash, range.root(), "size {size}");
            for old in 1..=size {
                let (old_head, head) = (history.head_at(old), history.head_at(size));
                assert_eq!(history.consistency(old, size).verify(&old_head, &head), Ok(()));
            }
            if size < 40 {
                range.append(history.levels[0][index(size)]);
            }
        }
    }

    #[test]
    fn a_fork_shares_what_it_says_and_nothing_more() {
        let history = History::new("a", 20);
        let fork = history.fork(12, "b", 30);
        assert_eq!((fork.size(), fork.head_at(12)), (30, history.head_at(12)));
        for size in 13..=20 {
            assert!(!history.had(&fork.head_at(size)), "size {size}");
        }
    }

    #[test]
    fn a_note_is_signed_and_is_about_its_head() {
        let (log, history) = (SignedLog::new("log.example/a"), History::new("a", 3));
        let request = log.request(&history, 2, 3);
        let note = SignedNote::parse(request.checkpoint.as_bytes()).expect("a note");
        assert!(note.verify(&[log.key()]).is_ok());
        assert_eq!(Checkpoint::parse(note.text()).expect("a checkpoint").head, history.head());
    }
}

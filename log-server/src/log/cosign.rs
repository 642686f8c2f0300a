//! Cosign: the log signs a committed head, and whoever must have seen it signs after the log.
//!
//! Publishing takes nothing but a [`Cosigned`], and this is where one is made: by the log alone if
//! its quorum is `none`, otherwise with lines that were verified here under the keys of witnesses.

use log_core::checkpoint::{Checkpoint, Origin, SignedCheckpoint};
use log_core::cosignature::Cosignature;
use log_core::integrate::RightEdge;
use log_core::key::{SignatureError, VerifierKey};
use log_core::note::{NoteSignature, SignedNote};
use log_core::policy::WitnessPolicy;
use log_core::tree::TreeHead;

use super::commit::Committed;
use super::signer::Signer;

/// How far the time of a cosignature may lie from our own clock, in seconds. An older one is
/// replayed, and readers would not believe one from the future. Honest clocks differ by less.
pub(super) const COSIGNATURE_WINDOW_S: u64 = 300;

/// A head under the log's own signature: all that a witness is ever asked about.
pub(super) struct Signed {
    tree: TreeHead,
    edge: RightEdge,
    text: String,
    /// The log's own lines.
    lines: Vec<NoteSignature>,
}

/// A witness's line that was verified: under this key, over one head, at a believable time.
#[derive(Clone)]
pub(super) struct CosignedLine {
    key: VerifierKey,
    time_s: u64,
    line: NoteSignature,
}

/// Why a line in a witness's answer does not count. It changes nothing but a counter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum LineFault {
    /// Another name or key id than the witness's.
    #[error("a line of another key")]
    OtherKey,
    /// The witness's name, but not its signature over this head.
    #[error("a line that does not verify: {0}")]
    Signature(#[from] SignatureError),
    /// Made at a time that is too far from ours.
    #[error("a line of another time: {0} s since 1970")]
    Time(u64),
}

/// A head with the note that may be published.
pub(super) struct Cosigned {
    pub(super) tree: TreeHead,
    pub(super) edge: RightEdge,
    pub(super) note: String,
    /// The same text under one line, that of the key by which clients know the log. Clients of
    /// Rekor v1 take a note with any other line for a forgery.
    pub(super) log_note: String,
}

/// Signs the checkpoint of a head that is durable already. A crash after this leaves at most a
/// signature that nobody saw, over a head that the next start signs again.
pub(super) fn sign(committed: Committed, origin: &Origin, signer: &Signer) -> Signed {
    sign_tree(committed.head.tree, committed.edge, origin, signer)
}

/// Signs the empty tree: the genesis head of every log, which every later head extends.
pub(super) fn sign_genesis(origin: &Origin, signer: &Signer) -> Signed {
    sign_tree(TreeHead::EMPTY, RightEdge::empty(), origin, signer)
}

fn sign_tree(tree: TreeHead, edge: RightEdge, origin: &Origin, signer: &Signer) -> Signed {
    let checkpoint = Checkpoint { origin: origin.clone(), head: tree, extensions: Vec::new() };
    let text = checkpoint.to_text();
    let lines = signer.sign(&text);
    Signed { tree, edge, text, lines }
}

impl Signed {
    /// A head that was published before, with the lines that the log signed then. `edge` is the
    /// right edge of that tree.
    pub(super) fn again(published: &SignedCheckpoint, edge: RightEdge, signer: &Signer) -> Self {
        Self {
            tree: published.head(),
            edge,
            text: published.note().text().to_owned(),
            lines: own_lines(published.note(), signer),
        }
    }

    /// Size and root.
    pub(super) fn tree(&self) -> TreeHead {
        self.tree
    }

    /// The right edge of the tree.
    pub(super) fn edge(&self) -> &RightEdge {
        &self.edge
    }

    /// The note with the log's own lines and no others: what goes to witnesses.
    pub(super) fn request_note(&self) -> String {
        self.note(&[])
    }

    /// Takes a line of a witness's answer if it is that witness's, over this head, and of now.
    pub(super) fn verify_line(
        &self,
        key: &VerifierKey,
        line: &NoteSignature,
        now_s: u64,
    ) -> Result<CosignedLine, LineFault> {
        if !is_of(key, line) {
            return Err(LineFault::OtherKey);
        }
        let time_s = Cosignature::verify(key, &self.text, &line.signature)?.time_s();
        if !is_near(time_s, now_s) {
            return Err(LineFault::Time(time_s));
        }
        Ok(CosignedLine { key: key.clone(), time_s, line: line.clone() })
    }

    /// The line of a witness on a note of this head that was published before, of whatever time.
    pub(super) fn line_again(
        &self,
        key: &VerifierKey,
        published: &SignedNote,
    ) -> Option<CosignedLine> {
        let own = published.signatures().iter().filter(|line| is_of(key, line));
        own.into_iter().find_map(|line| {
            let time_s = Cosignature::verify(key, &self.text, &line.signature).ok()?.time_s();
            Some(CosignedLine { key: key.clone(), time_s, line: line.clone() })
        })
    }

    /// The only line of defence is the quorum: `None` as long as it does not hold.
    pub(super) fn with_quorum(
        &self,
        policy: &WitnessPolicy,
        lines: &[CosignedLine],
    ) -> Option<Cosigned> {
        let holds = policy.holds(|witness| lines.iter().any(|line| line.key == witness.key));
        holds.then(|| self.cosigned(lines))
    }

    /// For a log whose configuration says that it publishes without its quorum.
    pub(super) fn without_quorum(&self, lines: &[CosignedLine]) -> Cosigned {
        self.cosigned(lines)
    }

    /// For a log whose quorum is `none`: the log's own signature completes the note.
    pub(super) fn alone(self) -> Cosigned {
        let (note, log_note) = (self.note(&[]), self.log_note());
        Cosigned { tree: self.tree, edge: self.edge, note, log_note }
    }

    fn cosigned(&self, lines: &[CosignedLine]) -> Cosigned {
        let (note, log_note) = (self.note(lines), self.log_note());
        Cosigned { tree: self.tree, edge: self.edge.clone(), note, log_note }
    }

    fn log_note(&self) -> String {
        first_line_alone(&self.text, &self.lines)
    }

    /// The log's lines, then those of the witnesses in the order of their names, whichever came
    /// first: the same lines make the same note, before and after a restart.
    fn note(&self, lines: &[CosignedLine]) -> String {
        let mut others: Vec<_> = lines.iter().map(|line| line.line.clone()).collect();
        others.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        let lines = self.lines.iter().cloned().chain(others).collect();
        SignedNote::new(self.text.clone(), lines)
            .expect("invariant: a checkpoint's text and fewer lines than a note holds")
            .to_string()
    }
}

impl CosignedLine {
    /// Whose line it is.
    pub(super) fn key(&self) -> &VerifierKey {
        &self.key
    }

    /// When the witness signed, in seconds since 1970.
    pub(super) fn time_s(&self) -> u64 {
        self.time_s
    }

    /// Whether its time is still near our own.
    pub(super) fn is_fresh(&self, now_s: u64) -> bool {
        is_near(self.time_s, now_s)
    }
}

impl Cosigned {
    /// A note that was published before and is durable, over a tree that was recomputed.
    pub(super) fn again(published: &SignedCheckpoint, edge: RightEdge, signer: &Signer) -> Self {
        let note = published.note();
        let log_note = first_line_alone(note.text(), &own_lines(note, signer));
        Self { tree: published.head(), edge, note: note.to_string(), log_note }
    }
}

/// The log's lines on a note, that of the key by which clients know it first.
fn own_lines(note: &SignedNote, signer: &Signer) -> Vec<NoteSignature> {
    let (key, witness_key) = (signer.verifier_key(), signer.witness_key());
    let of = |key: &VerifierKey| note.signatures().iter().find(|line| is_of(key, line)).cloned();
    let second = if key == witness_key { None } else { of(&witness_key) };
    of(&key).into_iter().chain(second).collect()
}

fn first_line_alone(text: &str, lines: &[NoteSignature]) -> String {
    SignedNote::new(text.to_owned(), lines.iter().take(1).cloned().collect())
        .expect("invariant: a checkpoint's text and a line of its log")
        .to_string()
}

fn is_of(key: &VerifierKey, line: &NoteSignature) -> bool {
    line.id == key.id() && line.name == *key.name()
}

fn is_near(time_s: u64, now_s: u64) -> bool {
    time_s.abs_diff(now_s) <= COSIGNATURE_WINDOW_S
}

//! Making evidence from notes and from refused requests. What is made here was verified.

use std::slice;

use super::{EVIDENCE_BYTES_MAX, EVIDENCE_KEYS_MAX, Evidence, EvidenceKind, Prefix, names};
use crate::checkpoint::{Checkpoint, Origin};
use crate::cosignature::Cosignature;
use crate::hash::Hash;
use crate::key::VerifierKey;
use crate::note::{NoteSignature, SignedNote};
use crate::proof::ConsistencyProof;
use crate::tree::TreeHead;

impl Evidence {
    /// Shows that a log forked, if two of its notes do. They may come in either order. If their
    /// sizes differ, `prefix` is the root over the larger tree's first leaves, as many as the
    /// smaller tree has, and the consistency proof from there; if they are equal it is not used.
    ///
    /// Of the notes only lines of `keys` that verify are kept. `None` unless
    /// [`Evidence::verify`] proves the result under the same keys.
    pub fn log_fork(
        a: &SignedNote,
        b: &SignedNote,
        prefix: Option<(Hash, ConsistencyProof)>,
        origin: &Origin,
        keys: &[VerifierKey],
    ) -> Option<Self> {
        let (notes, prefix) = in_order(a, b, prefix)?;
        make(EvidenceKind::LogFork, &notes, prefix, origin, keys)
    }

    /// Shows that a log signed a wrong root for size 0, if this note does.
    pub fn empty_root(note: &SignedNote, origin: &Origin, keys: &[VerifierKey]) -> Option<Self> {
        make(EvidenceKind::LogEmptyRoot, &[note], None, origin, keys)
    }

    /// Shows that a cosigner signed both sides of a fork, as [`Evidence::log_fork`]: for the first
    /// of `keys` that did.
    pub fn cosigner_fork(
        a: &SignedNote,
        b: &SignedNote,
        prefix: Option<(Hash, ConsistencyProof)>,
        origin: &Origin,
        keys: &[VerifierKey],
    ) -> Option<Self> {
        let (notes, prefix) = in_order(a, b, prefix)?;
        keys.iter().find_map(|key| {
            let key = slice::from_ref(key);
            make(EvidenceKind::CosignerFork, &notes, prefix.clone(), origin, key)
        })
    }

    /// Shows that a cosigner went back to a smaller tree, if two notes do, in either order: for
    /// the first of `keys` that did.
    pub fn cosigner_rollback(
        a: &SignedNote,
        b: &SignedNote,
        origin: &Origin,
        keys: &[VerifierKey],
    ) -> Option<Self> {
        keys.iter().find_map(|key| {
            let time_s = |note| Some(Cosignature::find(note, key)?.time_s());
            let notes = if time_s(a)? <= time_s(b)? { [a, b] } else { [b, a] };
            make(EvidenceKind::CosignerRollback, &notes, None, origin, slice::from_ref(key))
        })
    }

    /// Shows that a log forked by what it sent to a witness that refused it: `old` is the note
    /// that the witness knows of the size from which `proof` leads to `request`.
    ///
    /// With equal sizes and different roots the notes are enough. Otherwise the proof convicts if
    /// it leads to the root of `request` from something that is not the root of `old`; it never
    /// does when the old size is a power of two, because such a proof begins with a root that it
    /// does not contain. A proof that does not lead to the root of `request` convicts nobody:
    /// anybody can send one.
    pub fn from_refused(
        old: &SignedNote,
        request: &SignedNote,
        proof: &ConsistencyProof,
        origin: &Origin,
        keys: &[VerifierKey],
    ) -> Option<Self> {
        let (old_head, head) = (head(old)?, head(request)?);
        if old_head.size == head.size {
            return Self::log_fork(old, request, None, origin, keys);
        }
        let (prefix, root) = proof.reconstruct(old_head.size, head.size, &old_head.root_hash)?;
        // Said before any signature is looked at: most refused requests convict nobody.
        if root != head.root_hash || prefix == old_head.root_hash {
            return None;
        }
        Self::log_fork(old, request, Some((prefix, proof.clone())), origin, keys)
    }
}

/// Both notes of a fork in canonical order, and the prefix if their sizes differ.
fn in_order<'n>(
    a: &'n SignedNote,
    b: &'n SignedNote,
    prefix: Option<(Hash, ConsistencyProof)>,
) -> Option<([&'n SignedNote; 2], Option<Prefix>)> {
    let (of_a, of_b) = (head(a)?, head(b)?);
    let order = |head: TreeHead| (head.size, head.root_hash);
    let notes = if order(of_a) <= order(of_b) { [a, b] } else { [b, a] };
    if of_a.size == of_b.size {
        return Some((notes, None));
    }
    let (root, proof) = prefix?;
    Some((notes, Some(Prefix { root, proof })))
}

/// Keeps what is relied on, and gives the result only if it proves what it says.
fn make(
    kind: EvidenceKind,
    notes: &[&SignedNote],
    prefix: Option<Prefix>,
    origin: &Origin,
    keys: &[VerifierKey],
) -> Option<Evidence> {
    // The order of the keys is not the caller's: all who hold the same keys make the same file.
    let mut candidates: Vec<_> = keys.iter().filter(|key| kind.role().accepts(key)).collect();
    candidates.sort_by_key(|key| (key.name(), key.id()));
    let mut relied_on: Vec<VerifierKey> = Vec::new();
    let mut lines: Vec<Vec<NoteSignature>> = vec![Vec::new(); notes.len()];
    for key in candidates {
        if relied_on.len() == EVIDENCE_KEYS_MAX || relied_on.contains(key) {
            continue;
        }
        let of_key: Vec<_> = notes.iter().map(|note| verified_line(note, key)).collect();
        if of_key.iter().any(Option::is_some) {
            relied_on.push(key.clone());
            lines.iter_mut().zip(of_key).for_each(|(lines, line)| lines.extend(line.cloned()));
        }
    }
    let reduced =
        notes.iter().zip(lines).map(|(note, lines)| SignedNote::new(note.text().to_owned(), lines));
    let reduced = reduced.collect::<Result<Vec<_>, _>>().ok()?;
    let evidence = Evidence::assemble(kind, relied_on, reduced, prefix, Vec::new()).ok()?;
    let fits = evidence.to_string().len() <= EVIDENCE_BYTES_MAX;
    let proven = evidence.verify(kind.role(), origin, keys).is_ok();
    (fits && proven).then_some(evidence)
}

/// The first line of a key on a note that verifies.
fn verified_line<'n>(note: &'n SignedNote, key: &VerifierKey) -> Option<&'n NoteSignature> {
    let verifies = |line: &&NoteSignature| {
        names(line, key) && key.verify(note.text().as_bytes(), &line.signature).is_ok()
    };
    note.signatures().iter().find(verifies)
}

fn head(note: &SignedNote) -> Option<TreeHead> {
    Some(Checkpoint::parse(note.text()).ok()?.head)
}

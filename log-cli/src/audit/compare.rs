//! Whether heads of one log can all be true, decided from the log's tiles.
//!
//! The largest head whose tiles the log shows is the reference: a smaller head fits if the first
//! leaves of the reference's tree have its root. Heads that fit the same tree fit one another.

use std::collections::BTreeMap;

use log_core::evidence::Evidence;
use log_core::proof::ConsistencyProof;
use log_core::{Hash, TreeHead, TreeSize, VerifierKey};

use super::Audited;
use super::heads::Shown;
use crate::client::LogClient;
use crate::tiles::TileReader;

/// Evidence that has not been read back yet.
#[derive(Clone, Debug)]
pub struct Accusation {
    /// What was signed.
    pub evidence: Evidence,
    /// The witness key that is accused; `None` accuses the log.
    pub cosigner: Option<VerifierKey>,
    /// Indices of the heads that contradict each other.
    pub heads: Vec<usize>,
}

impl Accusation {
    /// Who showed the heads, for people.
    pub fn shown_by(&self, shown: &[Shown]) -> String {
        show_heads(&self.heads, shown)
    }
}

/// What a comparison found.
#[derive(Debug, Default)]
pub struct Compared {
    /// Who signed what cannot both be true.
    pub accusations: Vec<Accusation>,
    /// Heads that could not be compared, with the reason.
    pub undecided: Vec<String>,
    /// The reference, if every smaller head is its beginning and nobody is accused.
    pub newest: Option<usize>,
}

/// The beginnings of the reference's tree that were needed: their roots and proofs.
type Prefixes = BTreeMap<TreeSize, (Hash, ConsistencyProof)>;

impl Audited {
    /// Compares every head with every other one.
    pub fn compare(&self, shown: &[Shown], client: &LogClient) -> Compared {
        let mut compared = Compared::default();
        let distinct = distinct(shown);
        self.compare_equal_sizes(&distinct, shown, &mut compared);
        let Some((reference, reader)) = choose(&distinct, shown, client, &mut compared) else {
            return compared;
        };
        let mut prefixes = Prefixes::new();
        let mut all_read = true;
        if let Some(mut reader) = reader {
            for index in smaller(&distinct, reference, shown) {
                let Shown { head, source, .. } = &shown[index];
                match reader.prefix(head.size) {
                    Ok(prefix) => {
                        if prefix.0 != head.root_hash {
                            let prefix = Some(prefix.clone());
                            self.accuse_log([index, reference], prefix, shown, &mut compared);
                        }
                        prefixes.insert(head.size, prefix);
                    }
                    Err(error) => {
                        all_read = false;
                        let size = head.size;
                        compared.undecided.push(format!("size {size} of {source}: {error}"));
                    }
                }
            }
        }
        self.compare_cosigners(reference, &prefixes, shown, &mut compared);
        compared.newest = (all_read && compared.accusations.is_empty()).then_some(reference);
        compared
    }

    /// What needs no tiles: wrong roots of the empty tree, and different roots of one size.
    fn compare_equal_sizes(&self, distinct: &[usize], shown: &[Shown], compared: &mut Compared) {
        for (position, index) in distinct.iter().enumerate() {
            let Shown { head, note, .. } = &shown[*index];
            if head.size == TreeSize::new(0) && *head != TreeHead::EMPTY {
                let evidence = Evidence::empty_root(note, &self.origin, &self.keys);
                compared.accuse(evidence, None, vec![*index], shown);
            }
            for other in &distinct[..position] {
                if shown[*other].head.size == head.size {
                    self.accuse_log([*other, *index], None, shown, compared);
                }
            }
        }
    }

    fn accuse_log(
        &self,
        heads: [usize; 2],
        prefix: Option<(Hash, ConsistencyProof)>,
        shown: &[Shown],
        compared: &mut Compared,
    ) {
        let [a, b] = heads.map(|index| &shown[index].note);
        let evidence = Evidence::log_fork(a, b, prefix, &self.origin, &self.keys);
        compared.accuse(evidence, None, heads.to_vec(), shown);
    }

    /// Whether a witness of the policy cosigned what cannot both be true, or went back.
    fn compare_cosigners(
        &self,
        reference: usize,
        prefixes: &Prefixes,
        shown: &[Shown],
        compared: &mut Compared,
    ) {
        for witness in self.policy.witnesses() {
            let cosigned = |index: &usize| {
                shown[*index].cosignatures.iter().any(|cosigned| cosigned.name == witness.name)
            };
            let indices: Vec<_> = (0..shown.len()).filter(cosigned).collect();
            let pairs = indices
                .iter()
                .enumerate()
                .flat_map(|(position, b)| indices[..position].iter().map(|a| [*a, *b]));
            for mut pair in pairs {
                pair.sort_by_key(|index| shown[*index].head.size);
                let [a, b] = pair.map(|index| &shown[index]);
                if a.head == b.head {
                    continue;
                }
                let prefix = prefixes.get(&a.head.size).filter(|prefix| {
                    b.head == shown[reference].head && prefix.0 != a.head.root_hash
                });
                let key = std::slice::from_ref(&witness.key);
                let (origin, prefix) = (&self.origin, prefix.cloned());
                let fork = (a.head.size == b.head.size || prefix.is_some())
                    .then(|| Evidence::cosigner_fork(&a.note, &b.note, prefix, origin, key));
                let rollback = Evidence::cosigner_rollback(&a.note, &b.note, origin, key);
                for evidence in [fork.flatten(), rollback].into_iter().flatten() {
                    let key = Some(witness.key.clone());
                    compared.accuse(Some(evidence), key, pair.to_vec(), shown);
                }
            }
        }
    }
}

impl Compared {
    /// Notes evidence once. Without evidence nobody is accused: the heads are only suspected.
    fn accuse(
        &mut self,
        evidence: Option<Evidence>,
        cosigner: Option<VerifierKey>,
        heads: Vec<usize>,
        shown: &[Shown],
    ) {
        match evidence {
            Some(evidence) => {
                let id = evidence.id();
                if self.accusations.iter().all(|known| known.evidence.id() != id) {
                    self.accusations.push(Accusation { evidence, cosigner, heads });
                }
            }
            None => {
                let heads = show_heads(&heads, shown);
                self.undecided.push(format!("{heads} do not fit, but no evidence proves it"));
            }
        }
    }
}

/// One index for each head, the largest first.
fn distinct(shown: &[Shown]) -> Vec<usize> {
    let mut indices: Vec<usize> = Vec::new();
    for (index, shown_here) in shown.iter().enumerate() {
        if indices.iter().all(|known| shown[*known].head != shown_here.head) {
            indices.push(index);
        }
    }
    indices.sort_by_key(|index| std::cmp::Reverse(shown[*index].head.size));
    indices
}

/// The largest head whose tiles make its root, with those tiles; without them if there is nothing
/// to compare it with. Larger heads, whose tiles the log does not show, cannot be judged.
fn choose<'c>(
    distinct: &[usize],
    shown: &[Shown],
    client: &'c LogClient,
    compared: &mut Compared,
) -> Option<(usize, Option<TileReader<'c>>)> {
    let sized = distinct.iter().copied().filter(|index| shown[*index].head.size.get() > 0);
    let sized: Vec<_> = sized.collect();
    if sized.len() <= 1 {
        return sized.first().or(distinct.first()).map(|index| (*index, None));
    }
    for index in sized {
        let Shown { head, source, .. } = &shown[index];
        match TileReader::open(client, *head) {
            Ok(reader) => return Some((index, Some(reader))),
            Err(error) => {
                let size = head.size;
                compared.undecided.push(format!("the tiles of size {size} of {source}: {error}"));
            }
        }
    }
    None
}

/// The heads that must be beginnings of the reference. An empty tree is one of every tree.
fn smaller(distinct: &[usize], reference: usize, shown: &[Shown]) -> Vec<usize> {
    let size = |index: usize| shown[index].head.size;
    let is_smaller =
        |index: &usize| size(*index) > TreeSize::new(0) && size(*index) < size(reference);
    distinct.iter().copied().filter(is_smaller).collect()
}

fn show_heads(heads: &[usize], shown: &[Shown]) -> String {
    let heads = heads.iter().map(|index| {
        let Shown { source, head, .. } = &shown[*index];
        format!("size {} of {source}", head.size)
    });
    heads.collect::<Vec<_>>().join(" and ")
}

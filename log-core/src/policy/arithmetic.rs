//! How many witnesses must lie, and how many must be gone, before a policy fails.
//!
//! Keys with one key name, or with one URL, are keys of one witness: they lie and fail together.
//! An `any` group that joins all of them is how a policy says so. Where they stand apart, each
//! place gets an equal share of the witness, so that all of them together never count as more than
//! one: the numbers may then be too small, and never too large.

use std::collections::BTreeMap;

use super::{Group, Member, PolicyWitness, WitnessPolicy};

/// A whole witness, in shares. More than there can be places in a policy, by so much that rounding
/// a share down for each place does not add up to a place's share.
const WHOLE: u64 = 1 << 32;

/// What a policy withstands, in witnesses: neither number is ever too large. Both are exact if
/// every key is of another witness, or the keys of a witness are joined by a group of their own,
/// `any` of them. Keys of one witness that stand apart never count as more than one witness.
///
/// Keys are of one witness if they share their key name or their URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuorumArithmetic {
    /// Fewest witnesses that must collude with the log to show two histories, each cosigned by a
    /// quorum: the smallest overlap of two quorums. 0 for `quorum none`.
    pub faults_to_fork: usize,
    /// Fewest witnesses whose outage leaves no quorum. `usize::MAX` for `quorum none`, which no
    /// outage stops.
    pub failures_to_stop: usize,
    /// Two quorums can have no witness in common, so that the log alone can fork:
    /// `faults_to_fork` is 0.
    pub disjoint_quorums: bool,
}

impl WitnessPolicy {
    /// How many witnesses must lie, and how many must be gone, before the policy fails, for any
    /// nesting. The time is linear in the policy, but for sorting.
    #[must_use]
    pub fn quorum_arithmetic(&self) -> QuorumArithmetic {
        let Some(quorum) = self.quorum else {
            return QuorumArithmetic {
                faults_to_fork: 0,
                failures_to_stop: usize::MAX,
                disjoint_quorums: true,
            };
        };
        let shares = Hands::of(self, quorum).shares();
        let price = |needed: fn(&Group) -> usize| {
            let of_group = |group: &Group, prices: &[u64]| {
                if self.is_one_witness(group) {
                    // All of them cost the same, and any of them is the witness.
                    prices[0]
                } else {
                    cheapest(prices, needed(group))
                }
            };
            let price = self.fold(quorum, &shares, of_group).div_ceil(WHOLE);
            usize::try_from(price).expect("invariant: at most the number of witnesses")
        };
        // A member that both histories need costs its own price; one that only one history needs
        // is honest and costs nothing. Of n members, with b in both histories, each history gets
        // b and its share of the n - b others: b + (n - b) / 2 >= k, so that b = 2k - n is enough.
        let faults_to_fork =
            price(|group| (2 * group.threshold).saturating_sub(group.members.len()));
        // A group of n fails once n - k + 1 members have failed.
        let failures_to_stop = price(|group| group.members.len() - group.threshold + 1);
        let disjoint_quorums = faults_to_fork == 0;
        QuorumArithmetic { faults_to_fork, failures_to_stop, disjoint_quorums }
    }

    /// The witnesses whose keys stand in several places of the quorum instead of in one `any`
    /// group, each with those keys: they have several votes, and [`QuorumArithmetic`] is cautious
    /// about them.
    #[must_use]
    pub fn repeated_witnesses(&self) -> Vec<Vec<&PolicyWitness>> {
        let Some(quorum) = self.quorum else { return Vec::new() };
        let hands = Hands::of(self, quorum);
        let mut repeated: BTreeMap<usize, Vec<&PolicyWitness>> = BTreeMap::new();
        for (index, witness) in self.witnesses.iter().enumerate() {
            let hand = hands.of_witness[index];
            if hands.is_used[index] && hands.places[hand] > 1 {
                repeated.entry(hand).or_default().push(witness);
            }
        }
        repeated.into_values().collect()
    }

    /// Whether a group joins the keys of one witness, so that the witness counts once.
    fn is_one_witness(&self, group: &Group) -> bool {
        let witness = |member: &Member| match *member {
            Member::Witness(index) => Some(&self.witnesses[index]),
            Member::Group(_) => None,
        };
        let Some(keys) = group.members.iter().map(witness).collect::<Option<Vec<_>>>() else {
            return false;
        };
        let first = keys[0];
        let same_name = keys.iter().all(|other| other.key.name() == first.key.name());
        let same_url = first.url.is_some() && keys.iter().all(|other| other.url == first.url);
        group.threshold == 1 && (same_name || same_url)
    }
}

/// Which keys are in one hand, and where the quorum needs them.
struct Hands {
    /// For each witness line the index of a line that stands for all that are in its hand.
    of_witness: Vec<usize>,
    /// Whether the quorum refers to the line.
    is_used: Vec<bool>,
    /// For each hand the places of the quorum in which it votes; an `any` group that joins its
    /// keys is one place.
    places: Vec<u64>,
}

impl Hands {
    fn of(policy: &WitnessPolicy, quorum: Member) -> Self {
        let of_witness = joined(&policy.witnesses);
        let mut is_used = vec![false; of_witness.len()];
        let mut places = vec![0; of_witness.len()];
        let mut used_groups = vec![false; policy.groups.len()];
        let mut count = |member: Member, counts: bool, used_groups: &mut [bool]| match member {
            Member::Witness(index) => {
                is_used[index] = true;
                places[of_witness[index]] += u64::from(counts);
            }
            Member::Group(index) => used_groups[index] = true,
        };
        count(quorum, true, &mut used_groups);
        // A group refers only to what stands before it, so all that use a group come first here.
        for (index, group) in policy.groups.iter().enumerate().rev() {
            if used_groups[index] {
                let is_one_witness = policy.is_one_witness(group);
                for (position, member) in group.members.iter().enumerate() {
                    count(*member, position == 0 || !is_one_witness, &mut used_groups);
                }
            }
        }
        Self { of_witness, is_used, places }
    }

    /// What each line is worth: its hand's part in one place.
    fn shares(&self) -> Vec<u64> {
        self.of_witness.iter().map(|hand| WHOLE / self.places[*hand].max(1)).collect()
    }
}

/// For each witness the first one that it is joined with, by names and URLs that they share.
fn joined(witnesses: &[PolicyWitness]) -> Vec<usize> {
    let mut parents: Vec<usize> = (0..witnesses.len()).collect();
    let mut names = BTreeMap::new();
    let mut urls = BTreeMap::new();
    for (index, witness) in witnesses.iter().enumerate() {
        let of_name = *names.entry(witness.key.name()).or_insert(index);
        // Spellings of one place that are easily mistaken for two.
        let url = witness.url.as_ref().map(|url| url.trim_end_matches('/').to_ascii_lowercase());
        let of_url = url.map_or(index, |url| *urls.entry(url).or_insert(index));
        for other in [of_name, of_url] {
            let (a, b) = (first_of(&mut parents, index), first_of(&mut parents, other));
            parents[a.max(b)] = a.min(b);
        }
    }
    (0..witnesses.len()).map(|index| first_of(&mut parents, index)).collect()
}

/// Follows the parents to their end, and shortens the way for the next time.
fn first_of(parents: &mut [usize], mut index: usize) -> usize {
    while parents[index] != index {
        parents[index] = parents[parents[index]];
        index = parents[index];
    }
    index
}

/// The price of the cheapest `count` members.
fn cheapest(prices: &[u64], count: usize) -> u64 {
    let mut prices = prices.to_vec();
    prices.sort_unstable();
    prices.iter().take(count).sum()
}

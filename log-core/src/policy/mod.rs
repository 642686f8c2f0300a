//! Which witnesses must have cosigned a checkpoint before it counts (c2sp.org/tlog-policy).
//!
//! In scope: the policy file, whether a set of witnesses satisfies it, and how many of them must
//! lie or be gone before it fails. Out of scope: asking the witnesses, and how old a cosignature
//! may be.
//!
//! A name is a member of at most one group, so witnesses and groups form trees. Everything below is
//! one pass over the groups in the order of the file: each refers only to what stands before it.

mod arithmetic;
mod file;

pub use arithmetic::QuorumArithmetic;
pub use file::{POLICY_BYTES_MAX, POLICY_LINES_MAX, PolicyError, PolicyFault};

use crate::cosignature::Cosignature;
use crate::key::VerifierKey;
use crate::note::SignedNote;

/// Which logs are followed, which witnesses are known, and which sets of them are enough.
///
/// Displays as a policy file in canonical form: one space between fields; logs, witnesses, groups,
/// quorum, each in the order in which they were read; no comments. A threshold that all members
/// must meet is `all`, one that any member meets is `any`, else a number; `all` for one member.
/// It reads back as an equal policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessPolicy {
    logs: Vec<PolicyLog>,
    witnesses: Vec<PolicyWitness>,
    groups: Vec<Group>,
    /// `None` is `quorum none`.
    quorum: Option<Member>,
}

/// A log of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyLog {
    /// A key that may speak for the log.
    pub key: VerifierKey,
    /// Where the log is, as the policy writes it: it begins with `http://` or `https://`.
    pub url: Option<String>,
}

/// A witness of a policy: one key. A witness with two keys has two lines and an `any` group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyWitness {
    /// Its name in this policy, which need not be the name of its key.
    pub name: String,
    /// The key that cosigns.
    pub key: VerifierKey,
    /// Where checkpoints are submitted to it: it begins with `http://` or `https://`.
    pub url: Option<String>,
}

/// At least `threshold` of the members.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Group {
    name: String,
    /// From 1 to the number of members.
    threshold: usize,
    members: Vec<Member>,
}

/// Something that stands before its use in the policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Member {
    Witness(usize),
    Group(usize),
}

impl WitnessPolicy {
    /// The policy `quorum none`, without logs and witnesses.
    #[must_use]
    pub const fn none() -> Self {
        Self { logs: Vec::new(), witnesses: Vec::new(), groups: Vec::new(), quorum: None }
    }

    /// The logs in the order of the policy.
    #[must_use]
    pub fn logs(&self) -> &[PolicyLog] {
        &self.logs
    }

    /// The witnesses in the order of the policy, those that the quorum does not refer to included.
    #[must_use]
    pub fn witnesses(&self) -> &[PolicyWitness] {
        &self.witnesses
    }

    /// Whether the policy is `quorum none`: no witness is needed.
    #[must_use]
    pub const fn is_none(&self) -> bool {
        self.quorum.is_none()
    }

    /// Whether the witnesses for which `counts` is true satisfy the quorum. `quorum none` always
    /// holds. `counts` is asked once for each witness; the time is linear in the policy.
    pub fn holds(&self, counts: impl Fn(&PolicyWitness) -> bool) -> bool {
        let Some(quorum) = self.quorum else { return true };
        let witnesses: Vec<bool> = self.witnesses.iter().map(counts).collect();
        self.fold(quorum, &witnesses, |group, members| {
            members.iter().filter(|holds| **holds).count() >= group.threshold
        })
    }

    /// Whether enough witnesses have answered to know of everything that a quorum has cosigned:
    /// those that did not answer must not be able to form a quorum among themselves. Then every
    /// quorum has a witness that answered. Always true for `quorum none`.
    pub fn enough_answers(&self, answered: impl Fn(&PolicyWitness) -> bool) -> bool {
        self.is_none() || !self.holds(|witness| !answered(witness))
    }

    /// Every witness of the policy that cosigned the note, with its cosignature, in the order of
    /// the policy. However many lines a key has, it stands here once.
    ///
    /// Whether the log signed the note, and whether the cosignatures are young enough, is for the
    /// caller to see to.
    pub fn cosigned(&self, note: &SignedNote) -> Vec<(&PolicyWitness, Cosignature)> {
        let mut cosigned = Vec::new();
        for witness in &self.witnesses {
            if let Some(cosignature) = Cosignature::find(note, &witness.key) {
                cosigned.push((witness, cosignature));
            }
        }
        cosigned
    }

    /// Works out a value for the quorum from the values of the witnesses and, for each group, from
    /// the values of its members.
    fn fold<T: Copy>(
        &self,
        quorum: Member,
        witnesses: &[T],
        of_group: impl Fn(&Group, &[T]) -> T,
    ) -> T {
        let mut groups: Vec<T> = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let value = |member: &Member| match *member {
                Member::Witness(index) => witnesses[index],
                Member::Group(index) => groups[index],
            };
            let members: Vec<T> = group.members.iter().map(value).collect();
            groups.push(of_group(group, &members));
        }
        match quorum {
            Member::Witness(index) => witnesses[index],
            Member::Group(index) => groups[index],
        }
    }
}

//! The question at the start of a log: has a witness seen more of it than its store holds?
//!
//! A restored backup or a second copy would sign a second history. Witnesses know better, so they
//! are asked before anything new is signed, and only with what was published before. The question
//! never fails open: it ends with enough answers, with a log that stays shut, or with a stop.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use log_core::tree::TreeSize;

use super::cosign::Signed;
use super::cosigner::Cosigner;
use super::recover::Shut;
use super::round::{Heard, NO_LINE_COUNTS};
use super::{Fatal, Gate};
use crate::witness::WitnessAnswer;

/// How the question ended.
pub(super) enum Verdict {
    /// Enough witnesses have seen nothing that the store does not hold.
    Open,
    /// One has: the log stays shut.
    Shut(Shut),
    /// The log was stopped before that.
    Stopped,
}

/// The question while it is asked.
struct Asking {
    about: Arc<Signed>,
    /// What the store holds; nothing is committed before the question has been answered.
    committed: TreeSize,
    /// Positions of the witnesses whose answer counts.
    answered: BTreeSet<usize>,
}

impl Cosigner {
    /// Asks every witness of the configured and of the stored policy about the last published
    /// note, until those that gave no counting answer cannot form a quorum among themselves.
    pub(super) async fn question(&mut self, about: Arc<Signed>) -> Result<Verdict, Fatal> {
        let log = &self.shared.name;
        if self.settings.unchecked_start {
            tracing::error!(
                log,
                "UNCHECKED START: the witnesses are not asked whether this store is the newest; an \
                 old copy would now sign a second history"
            );
            return Ok(Verdict::Open);
        }
        let committed = self.mailbox.committed_size();
        match self.kept_contradiction() {
            Ok(None) => {}
            Ok(Some(proof)) => {
                let (witness, kept) = ("of an earlier run".into(), self.evidence.clone());
                let head = proof.head();
                return Ok(Verdict::Shut(Shut::Contradicted {
                    witness,
                    head,
                    ours: committed,
                    kept,
                }));
            }
            Err(shut) => return Ok(Verdict::Shut(shut)),
        }
        let size = about.tree().size;
        tracing::info!(log, %size, %committed, "asking the witnesses before anything is signed");
        let mut asking = Asking { about, committed, answered: BTreeSet::new() };
        loop {
            let under_way = self.panel.endpoints.iter().any(|endpoint| endpoint.busy);
            // Whoever is being asked is waited for: a head that was sent and never published is
            // known to single witnesses only.
            if !under_way && self.is_answered(&asking) {
                return Ok(Verdict::Open);
            }
            let now = Instant::now();
            if !self.is_answered(&asking) {
                for endpoint in self.unanswered(&asking, now) {
                    self.ask(endpoint, &asking.about, false);
                }
            }
            let due = self.panel.next_due(now).unwrap_or(now + super::cosigner::REFRESH_INTERVAL);
            let heard = tokio::select! {
                heard = self.ears.recv() => heard.expect("invariant: we hold a sender ourselves"),
                () = tokio::time::sleep_until(due.into()) => continue,
                () = self.mailbox.ended() => return Ok(Verdict::Stopped),
            };
            if let Some(shut) = self.weigh(&mut asking, heard)? {
                return Ok(Verdict::Shut(shut));
            }
        }
    }

    /// Whether those whose answer does not count are too few for a quorum, under either policy.
    fn is_answered(&self, asking: &Asking) -> bool {
        let counts = |key: &log_core::key::VerifierKey| {
            let position = self.panel.members.iter().position(|member| member.key == *key);
            position.is_some_and(|position| asking.answered.contains(&position))
        };
        self.settings.policy.enough_answers(|witness| counts(&witness.key))
            && self.stored_policy.enough_answers(|witness| counts(&witness.key))
    }

    /// The endpoints with a witness that has not answered, as far as they may be asked now.
    fn unanswered(&self, asking: &Asking, now: Instant) -> Vec<usize> {
        let missing = |endpoint: usize| {
            let mut members = self.panel.members.iter().enumerate();
            members.any(|(position, member)| {
                member.endpoint == endpoint
                    && !member.excluded
                    && !asking.answered.contains(&position)
            })
        };
        let free = |at: &usize| self.panel.endpoints[*at].is_free(now) && missing(*at);
        (0..self.panel.endpoints.len()).filter(free).collect()
    }

    /// What one answer comes to: it counts, it does not, or it keeps the log shut.
    fn weigh(&mut self, asking: &mut Asking, heard: Heard) -> Result<Option<Shut>, Fatal> {
        let endpoint = heard.endpoint;
        if let Some(shown) = &heard.shown {
            let proof = self.contradiction(shown);
            if let Some(proof) = proof.map_err(|error| Fatal::Proof(error.to_string()))? {
                let (kept, head) = (self.keep(&proof, &asking.about), proof.head());
                let witness = self.panel.names(endpoint);
                return Ok(Some(Shut::Contradicted {
                    witness,
                    head,
                    ours: asking.committed,
                    kept,
                }));
            }
        }
        self.panel.endpoints[endpoint].asked(heard.began, heard.requests);
        let witness = || self.panel.names(endpoint);
        match heard.answer {
            Ok(WitnessAnswer::Size(theirs)) if theirs > asking.committed => {
                return Ok(Some(Shut::WitnessAhead {
                    witness: witness(),
                    theirs,
                    ours: asking.committed,
                }));
            }
            Ok(WitnessAnswer::OtherRoot { status }) => {
                let size = asking.about.tree().size;
                return Ok(Some(Shut::WitnessDisagrees { witness: witness(), status, size }));
            }
            // Behind us, or at a head that was signed just before the stop: the next round proves
            // to it that our tree extends that one.
            Ok(WitnessAnswer::Size(theirs)) => {
                self.panel.endpoints[endpoint].latest = theirs;
                self.count(asking, endpoint, theirs);
            }
            Ok(WitnessAnswer::Cosigned(lines)) => {
                if self.count_lines(endpoint, &asking.about, &lines).is_empty() {
                    self.down(endpoint, NO_LINE_COUNTS.into());
                } else {
                    let size = asking.about.tree().size;
                    self.panel.endpoints[endpoint].latest = size;
                    self.count(asking, endpoint, size);
                }
            }
            Ok(WitnessAnswer::Misconfigured { status }) => self.misconfigured(endpoint, status),
            Ok(WitnessAnswer::Unavailable(reason) | WitnessAnswer::Unreached(reason)) => {
                self.down(endpoint, reason);
            }
            Err(error) => return Err(Fatal::Proof(error.to_string())),
        }
        self.show(endpoint);
        Ok(None)
    }

    /// Counts the witnesses behind an endpoint that names a size, if it is at least what each is
    /// known to have cosigned: less means that it lost its state. One witness with two keys has one
    /// memory, so what it says counts for both, be it a size or a line of only one of them.
    fn count(&mut self, asking: &mut Asking, endpoint: usize, size: TreeSize) {
        let mut lost = None;
        for (position, member) in self.panel.members.iter().enumerate() {
            if member.endpoint != endpoint || member.excluded {
                continue;
            }
            match self.panel.size_of(member).filter(|known| *known > size) {
                Some(known) => lost = Some((member.name.clone(), known)),
                None => _ = asking.answered.insert(position),
            }
        }
        if let Some((name, known)) = lost {
            let reason = format!("{name} names size {size}, but cosigned {known}: it lost state");
            self.down(endpoint, reason);
        } else {
            self.panel.endpoints[endpoint].is_up();
        }
    }

    /// Opens the log or leaves it shut; says whether rounds follow.
    pub(super) fn decide(&mut self, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Stopped => false,
            Verdict::Shut(shut) => {
                self.shared.shut(shut);
                false
            }
            Verdict::Open => {
                // From here on submissions are taken; the committed head goes to the witnesses
                // through the same code as every later one.
                self.shared.gate.store(Arc::new(Gate::Open));
                tracing::info!(log = self.shared.name, "log open");
                true
            }
        }
    }
}

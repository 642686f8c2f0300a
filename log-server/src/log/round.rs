//! Round: all witnesses are asked about one head, the newest committed one.
//!
//! In a busy log those whose answers make the quorum are asked first, and the others, if they were
//! asked just before, a moment later or when the log has published. A round ends when the quorum
//! holds, when nobody is left who could answer, or with its time. A request that is still under way
//! then goes on by itself; its witness is not asked again before it has ended. Whatever a witness
//! does costs nothing but its own vote.

use std::sync::Arc;
use std::time::{Duration, Instant};

use log_core::key::VerifierKey;
use log_core::note::NoteSignature;
use log_core::policy::WitnessPolicy;
use log_core::proof::ConsistencyProof;
use log_core::tree::TreeSize;
use log_core::witness::AddCheckpointRequest;

use super::cosign::{CosignedLine, LineFault, Signed, sign};
use super::cosigner::{Cosigner, REFRESH_INTERVAL};
use super::read::ReadError;
use super::{Fatal, Shared};
use crate::metrics::{RoundOutcome, WitnessMetrics};
use crate::witness::{WitnessAnswer, WitnessClient};

/// A round lasts no longer: with a second one a submitter still gets its answer within a ticket's
/// life.
pub(super) const ROUND_TIME_MAX: Duration = Duration::from_millis(1500);
/// A request lasts no longer, with all that it teaches; it may outlive its round.
pub(super) const REQUEST_TIME_MAX: Duration = Duration::from_secs(3);
/// Witnesses that a quorum can do without, and that were asked less than [`SPARE_SPACING`] ago, are
/// asked this long after the others, or after the log has published. Little beside a way over the
/// network, and much beside an answer from next door, where all that a third witness does at once
/// is to keep the other two from their work.
pub(super) const SPARE_PAUSE: Duration = Duration::from_millis(5);
/// A log that publishes more often than this does not need everybody each time.
pub(super) const SPARE_SPACING: Duration = Duration::from_millis(50);
/// How often one request may be taught another size. Once is usual; more than this is a circle.
const TAUGHT_MAX: u32 = 3;
/// Lines of one witness in one answer that are looked at: it has one to give.
const LINES_TRIED_MAX: usize = 4;

/// What is wrong with a 200 that gives nothing.
pub(super) const NO_LINE_COUNTS: &str =
    "it answers without a line that counts: its own, over this head, of now";

/// One head and the lines that were collected for it.
pub(super) struct Attempt {
    pub(super) about: Arc<Signed>,
    pub(super) lines: Vec<CosignedLine>,
}

/// What came back from an endpoint.
pub(super) struct Heard {
    pub(super) endpoint: usize,
    pub(super) about: Arc<Signed>,
    /// `Err`: our own store could not prove what was to be sent.
    pub(super) answer: Result<WitnessAnswer, ReadError>,
    /// The note that the witness shows, fetched when its answer contradicts this log.
    pub(super) shown: Option<Vec<u8>>,
    pub(super) began: Instant,
    pub(super) requests: u32,
}

/// A request to one endpoint, with everything that it needs to run by itself.
struct Call {
    endpoint: usize,
    client: WitnessClient,
    metrics: Vec<WitnessMetrics>,
    shared: Arc<Shared>,
    about: Arc<Signed>,
    began: Instant,
    requests: u32,
}

/// Ends the log if the task that holds it panics. Nobody else would notice: its witness would be
/// busy for ever.
pub(super) struct EndOnPanic(pub(super) Arc<Shared>);

impl Drop for EndOnPanic {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail(Fatal::Panicked);
        }
    }
}

impl Attempt {
    /// Whether it is about this very head.
    pub(super) fn is_about(&self, about: &Arc<Signed>) -> bool {
        Arc::ptr_eq(&self.about, about)
    }

    /// Adds lines. Of two of one key the one with the later time stays, whichever came first: the
    /// time of a published cosignature never goes back.
    pub(super) fn join(&mut self, lines: Vec<CosignedLine>) {
        for line in lines {
            match self.lines.iter_mut().find(|old| old.key() == line.key()) {
                Some(old) if old.time_s() < line.time_s() => *old = line,
                Some(_) => {}
                None => self.lines.push(line),
            }
        }
    }

    /// Whether the other one has a line that would join this one.
    fn lacks_of(&self, other: &Self) -> bool {
        let is_news = |line: &CosignedLine| {
            let old = self.lines.iter().find(|old| old.key() == line.key());
            old.is_none_or(|old| old.time_s() < line.time_s())
        };
        other.lines.iter().any(is_news)
    }

    /// Whether those of its lines that count satisfy the quorum.
    pub(super) fn holds(
        &self,
        policy: &WitnessPolicy,
        counts: impl Fn(&CosignedLine) -> bool,
    ) -> bool {
        let is_of = |key: &VerifierKey, line: &CosignedLine| line.key() == key && counts(line);
        policy.holds(|witness| self.lines.iter().any(|line| is_of(&witness.key, line)))
    }

    /// Those of its lines that were made just now.
    fn fresh(&self, now_s: u64) -> Vec<CosignedLine> {
        self.lines.iter().filter(|line| line.is_fresh(now_s)).cloned().collect()
    }
}

impl Cosigner {
    /// Asks about the newest committed head, and publishes it if that is allowed afterwards.
    pub(super) async fn round(&mut self) -> Result<(), Fatal> {
        // Whoever has answered meanwhile may be asked again.
        while let Ok(heard) = self.ears.try_recv() {
            let (about, lines) = self.hear(heard)?;
            self.join_late(&about, lines);
        }
        let began = Instant::now();
        let mut attempt = self.next_attempt();
        // A witness that is busy with an older head is waited for like the others.
        let mut awaited = self.panel.awaited_and_busy();
        awaited.retain(|endpoint| self.panel.can_add(*endpoint, &attempt.lines, began));
        let mut spares = self.spares(&attempt, began);
        for endpoint in self.panel.free(began) {
            if !spares.contains(&endpoint) {
                self.ask_in_round(endpoint, &attempt, &mut awaited);
            }
        }
        self.pace(began, attempt.about.tree().size);
        let end = tokio::time::Instant::from_std(began + ROUND_TIME_MAX);
        let spares_due = tokio::time::Instant::from_std(began + SPARE_PAUSE);
        while !attempt.holds(&self.settings.policy, |_| true) && !awaited.is_empty() {
            let heard = tokio::select! {
                heard = self.ears.recv() => heard.expect("invariant: we hold a sender ourselves"),
                () = tokio::time::sleep_until(spares_due), if !spares.is_empty() => {
                    self.ask_spares(&mut spares, &attempt, &mut awaited);
                    continue;
                }
                () = tokio::time::sleep_until(end) => break,
                () = self.mailbox.ended(), if !self.mailbox.has_waiting() => break,
            };
            let endpoint = heard.endpoint;
            awaited.retain(|waiting| *waiting != endpoint);
            let (about, lines) = self.hear(heard)?;
            if attempt.is_about(&about) {
                if lines.is_empty() {
                    // One of those that the quorum was hoped for from gave nothing.
                    self.ask_spares(&mut spares, &attempt, &mut awaited);
                }
                attempt.join(lines);
                continue;
            }
            // It was busy with an older head until now.
            self.join_late(&about, lines);
            if self.panel.free(Instant::now()).contains(&endpoint) {
                self.ask_in_round(endpoint, &attempt, &mut awaited);
            }
        }
        self.end_round(attempt, began.elapsed())
    }

    /// The endpoints that a round about a new head can do without, if the others answer as they did
    /// last.
    fn spares(&self, attempt: &Attempt, now: Instant) -> Vec<usize> {
        match &self.newest {
            Some(newest) if !newest.is_about(&attempt.about) && attempt.lines.is_empty() => {
                self.panel.spares(&self.settings.policy, now)
            }
            // Nothing was published yet, or the head was asked about before: everybody is asked.
            _ => Vec::new(),
        }
    }

    fn ask_spares(&mut self, spares: &mut Vec<usize>, attempt: &Attempt, awaited: &mut Vec<usize>) {
        for endpoint in spares.drain(..) {
            self.ask_in_round(endpoint, attempt, awaited);
        }
    }

    /// Asks an endpoint unless all lines that it could give are there. Whoever is in `also_ask` is
    /// asked and not waited for.
    fn ask_in_round(&mut self, endpoint: usize, attempt: &Attempt, awaited: &mut Vec<usize>) {
        if !self.panel.can_add(endpoint, &attempt.lines, Instant::now()) {
            return;
        }
        self.ask(endpoint, &attempt.about, true);
        if self.panel.endpoints[endpoint].awaited {
            awaited.push(endpoint);
        }
    }

    /// Publishes what the round came to, or keeps it for the next one.
    fn end_round(&mut self, mut attempt: Attempt, took: Duration) -> Result<(), Fatal> {
        let before = self.newest.as_ref().filter(|old| old.is_about(&attempt.about));
        let is_news = before.is_none_or(|old| old.lacks_of(&attempt));
        if let Some(newest) = before {
            // The lines of those who did not answer this time stay on the note.
            attempt.join(newest.lines.clone());
        }
        let (policy, now_s) = (&self.settings.policy, self.now_s());
        let holds = attempt.holds(policy, |line| line.is_fresh(now_s));
        let outcome = match (holds, self.may_publish_without()) {
            (true, _) => RoundOutcome::Quorum,
            (false, true) => RoundOutcome::PublishedWithout,
            (false, false) => RoundOutcome::NoQuorum,
        };
        self.shared.metrics.round(outcome, took);
        if outcome == RoundOutcome::NoQuorum {
            self.failed = Some(attempt);
            self.say(outcome);
            return self.save_sizes();
        }
        if !is_news && outcome == RoundOutcome::PublishedWithout {
            // The very note that is on show: nothing came of asking again.
            self.refresh = Instant::now() + REFRESH_INTERVAL;
            self.say(outcome);
            return self.save_sizes();
        }
        let complete = attempt.about.with_quorum(policy, &attempt.lines);
        // Without its quorum only where the configuration says so: see `outcome`.
        let cosigned = complete.unwrap_or_else(|| attempt.about.without_quorum(&attempt.lines));
        self.publish(attempt, cosigned, outcome)
    }

    /// The head that the next round is about. Lines that a round without quorum collected for the
    /// same head still count.
    fn next_attempt(&mut self) -> Attempt {
        let committed = self.mailbox.newest();
        let tree = committed.head.tree;
        let now_s = self.now_s();
        match self.failed.take() {
            Some(mut failed) if failed.about.tree() == tree => {
                failed.lines.retain(|line| line.is_fresh(now_s));
                failed
            }
            _ => {
                self.sent_max = self.sent_max.max(tree.size);
                match &self.newest {
                    // The same note once more, so that late lines still join it: to complete it,
                    // or, if it is complete, to have it cosigned anew by everybody.
                    Some(newest) if newest.about.tree() == tree => {
                        let about = Arc::clone(&newest.about);
                        let lines = if self.is_degraded() { newest.fresh(now_s) } else { vec![] };
                        Attempt { about, lines }
                    }
                    _ => {
                        let about = Arc::new(sign(committed, &self.shared.origin, &self.signer));
                        Attempt { about, lines: Vec::new() }
                    }
                }
            }
        }
    }

    /// Sends a request on its way. `teach`: an answer that names a smaller size is followed.
    pub(super) fn ask(&mut self, endpoint: usize, about: &Arc<Signed>, teach: bool) {
        let asked = &mut self.panel.endpoints[endpoint];
        asked.busy = true;
        asked.asked_at = Instant::now();
        let (client, latest) = (asked.client.clone(), asked.latest);
        let call = Call {
            endpoint,
            client,
            metrics: self.panel.behind(endpoint).map(|member| member.metrics.clone()).collect(),
            shared: Arc::clone(&self.shared),
            about: Arc::clone(about),
            began: Instant::now(),
            requests: 0,
        };
        let (mouth, watched) = (self.mouth.clone(), Arc::clone(&self.shared));
        tokio::spawn(async move {
            let _watch = EndOnPanic(watched);
            let heard = if teach { call.teachable(latest).await } else { call.once().await };
            // Nobody listens any more once the log has stopped.
            let _ = mouth.send(heard);
        });
    }

    /// Takes in an answer, and gives the lines in it that count with the head that they are over.
    pub(super) fn hear(&mut self, heard: Heard) -> Result<(Arc<Signed>, Vec<CosignedLine>), Fatal> {
        let Heard { endpoint, about, .. } = &heard;
        let (endpoint, about) = (*endpoint, Arc::clone(about));
        self.panel.endpoints[endpoint].asked(heard.began, heard.requests);
        let answer = match heard.answer {
            Ok(answer) => answer,
            Err(error) => return Err(Fatal::Proof(error.to_string())),
        };
        let lines = match answer {
            WitnessAnswer::Cosigned(lines) => self.take_lines(endpoint, &about, &lines),
            WitnessAnswer::Size(size) if size > self.sent_max => {
                let claim = format!("it names size {size}, we sent {} at most", self.sent_max);
                self.alarm(endpoint, claim, &about, heard.shown.as_deref())?;
                Vec::new()
            }
            WitnessAnswer::OtherRoot { status } => {
                let claim = format!("it answers {status} to size {}", about.tree().size);
                self.alarm(endpoint, claim, &about, heard.shown.as_deref())?;
                Vec::new()
            }
            WitnessAnswer::Size(size) => {
                self.panel.endpoints[endpoint].latest = size;
                self.down(endpoint, format!("it names size {size}"));
                Vec::new()
            }
            WitnessAnswer::Misconfigured { status } => {
                self.misconfigured(endpoint, status);
                Vec::new()
            }
            WitnessAnswer::Unavailable(reason) | WitnessAnswer::Unreached(reason) => {
                self.down(endpoint, reason);
                Vec::new()
            }
        };
        self.show(endpoint);
        Ok((about, lines))
    }

    /// The lines of an answer that count: each verified, under the key of a witness behind this
    /// endpoint, over exactly the head that was asked about, and of now.
    fn take_lines(
        &mut self,
        endpoint: usize,
        about: &Signed,
        lines: &[NoteSignature],
    ) -> Vec<CosignedLine> {
        let mut counted = self.count_lines(endpoint, about, lines);
        let size = about.tree().size;
        self.grew |= self.panel.remember(&counted, size);
        // A key of the past is remembered; on a note are only those of the policy.
        counted.retain(|line| self.panel.of_key(line.key()).is_some_and(|one| one.configured));
        if counted.is_empty() {
            self.down(endpoint, NO_LINE_COUNTS.into());
            return counted;
        }
        self.panel.heard_lines(endpoint, &counted, Instant::now());
        let answered = &mut self.panel.endpoints[endpoint];
        // What it says of itself, not what it is known to have: another answer may be on its way.
        answered.latest = size;
        if answered.is_up() {
            let witness = self.panel.names(endpoint);
            tracing::info!(log = self.shared.name, witness, "witness up");
        }
        counted
    }

    /// Verifies lines and counts those that are refused; the endpoint's state stays as it is.
    pub(super) fn count_lines(
        &self,
        endpoint: usize,
        about: &Signed,
        lines: &[NoteSignature],
    ) -> Vec<CosignedLine> {
        let now_s = self.now_s();
        let mut counted = Vec::new();
        for member in self.panel.behind(endpoint) {
            let mut tried = 0;
            for line in lines {
                match about.verify_line(&member.key, line, now_s) {
                    Ok(line) => {
                        member.metrics.cosigned();
                        counted.push(line);
                        break;
                    }
                    // Perhaps another witness's behind this endpoint.
                    Err(LineFault::OtherKey) => {}
                    Err(LineFault::Signature(_)) => member.metrics.refused_line("signature"),
                    Err(LineFault::Time(_)) => member.metrics.refused_line("time"),
                }
                tried += usize::from(line.id == member.key.id());
                if tried == LINES_TRIED_MAX {
                    break;
                }
            }
            if !lines.iter().any(|line| line.id == member.key.id()) {
                member.metrics.refused_line("other_key");
            }
        }
        counted
    }
}

impl Call {
    /// Asks, and follows an answer that names another size with the proof from there.
    async fn teachable(mut self, mut old: TreeSize) -> Heard {
        let end = self.began + REQUEST_TIME_MAX;
        loop {
            let proof = match self.prove(old) {
                Ok(proof) => proof,
                Err(error) => return self.heard(Err(error), None),
            };
            let answer = self.send(old, proof, end).await;
            match answer {
                WitnessAnswer::Size(size) if size <= self.about.tree().size => {
                    if size == old || self.requests > TAUGHT_MAX {
                        let circle = format!("it names size {size} again and again");
                        return self.heard(Ok(WitnessAnswer::Unavailable(circle)), None);
                    }
                    old = size;
                }
                other => return self.with_note(other, end).await,
            }
        }
    }

    /// Asks about a head that the witness should have cosigned already.
    async fn once(mut self) -> Heard {
        let end = self.began + REQUEST_TIME_MAX;
        let old = self.about.tree().size;
        let answer = self.send(old, ConsistencyProof::from_hashes(Vec::new()), end).await;
        self.with_note(answer, end).await
    }

    async fn send(
        &mut self,
        old: TreeSize,
        proof: ConsistencyProof,
        end: Instant,
    ) -> WitnessAnswer {
        let request = AddCheckpointRequest { old, proof, checkpoint: self.about.request_note() };
        let left = end.saturating_duration_since(Instant::now());
        let answer = self.client.add_checkpoint(&request, left).await;
        // What never arrived costs no budget.
        self.requests += u32::from(!matches!(answer, WitnessAnswer::Unreached(_)));
        self.metrics.iter().for_each(|metrics| metrics.answered(&answer));
        answer
    }

    /// An answer that contradicts this log is worth a look at the note behind it.
    async fn with_note(self, answer: WitnessAnswer, end: Instant) -> Heard {
        let contradicts =
            matches!(answer, WitnessAnswer::Size(_) | WitnessAnswer::OtherRoot { .. });
        if !contradicts {
            return self.heard(Ok(answer), None);
        }
        let left = end.saturating_duration_since(Instant::now());
        let shown = self.client.latest(&self.shared.origin, left).await;
        self.heard(Ok(answer), shown.ok().flatten())
    }

    /// The proof from `old`; the empty one where the protocol wants none.
    fn prove(&self, old: TreeSize) -> Result<ConsistencyProof, ReadError> {
        let size = self.about.tree().size;
        if old.get() == 0 || old == size {
            return Ok(ConsistencyProof::from_hashes(Vec::new()));
        }
        Ok(self.shared.prove_extension(self.about.edge(), old)?.0)
    }

    fn heard(self, answer: Result<WitnessAnswer, ReadError>, shown: Option<Vec<u8>>) -> Heard {
        let Self { endpoint, about, began, requests, .. } = self;
        Heard { endpoint, about, answer, shown, began, requests }
    }
}

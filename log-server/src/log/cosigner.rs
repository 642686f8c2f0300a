//! Cosigner: the thread that takes committed heads to the witnesses and publishes what they cosign.
//!
//! It has a runtime of its own, so that no load on the rest of the process can starve it, and it
//! holds the log's key: only here are heads signed once a log has witnesses. Commits go on while a
//! round is under way; the next round takes the newest head.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log_core::key::VerifierKey;
use log_core::policy::WitnessPolicy;
use log_core::tree::TreeSize;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::cosign::{Cosigned, CosignedLine, Signed};
use super::mailbox::Mailbox;
use super::panel::Panel;
use super::publish::{Published, publish};
use super::round::{Attempt, Heard, SPARE_PAUSE};
use super::signer::Signer;
use super::witnessed::Witnessed;
use super::{Fatal, Shared};
use crate::config::{OnMissingQuorum, WitnessSettings};
use crate::metrics::RoundOutcome;

/// An idle log shows its head to the witnesses again this often: readers look at the age of
/// cosignatures.
pub(super) const REFRESH_INTERVAL: Duration = Duration::from_secs(10 * 60);
/// Lines that come after their note was published join it once the log has been idle this long:
/// under load the next note is on its way already, and each join is a write to the disk.
const LATE_LINES_PAUSE: Duration = Duration::from_millis(50);

/// A log is busy while so many entries wait for a round. A round takes a signature and a sync from
/// every witness, whatever it is about.
pub(super) const BUSY_ENTRIES_MIN: u64 = 32;
/// A busy log begins no round sooner than this after the last one, so that more entries share it.
/// They wait longer than this for their turn anyway.
pub(super) const BUSY_SPACING: Duration = Duration::from_millis(4);

/// While there is no room for a note, it is looked for this often.
const SPACE_PAUSE: Duration = Duration::from_secs(1);

/// What a cosigner starts from.
pub(super) struct CosignerParts {
    pub(super) shared: Arc<Shared>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) signer: Arc<Signer>,
    pub(super) settings: WitnessSettings,
    pub(super) panel: Panel,
    pub(super) record: Witnessed,
    pub(super) stored_policy: WitnessPolicy,
    /// The committed head, if it was published with its quorum under the configured policy.
    pub(super) newest: Option<Attempt>,
    /// Where notes that convict this log are kept.
    pub(super) evidence: PathBuf,
}

/// Owns everything that only this thread may change.
pub(super) struct Cosigner {
    pub(super) shared: Arc<Shared>,
    pub(super) mailbox: Arc<Mailbox>,
    pub(super) signer: Arc<Signer>,
    pub(super) key: VerifierKey,
    pub(super) settings: WitnessSettings,
    pub(super) stored_policy: WitnessPolicy,
    pub(super) panel: Panel,
    pub(super) evidence: PathBuf,
    /// Where answers arrive, those of ended rounds included.
    pub(super) ears: UnboundedReceiver<Heard>,
    pub(super) mouth: UnboundedSender<Heard>,
    /// What is in the store's note row.
    record: Witnessed,
    /// The configured policy, as the record has it.
    policy_text: String,
    /// The newest published head.
    pub(super) newest: Option<Attempt>,
    /// The newest head whose round ended without quorum.
    pub(super) failed: Option<Attempt>,
    /// The largest size that a witness can know from us.
    pub(super) sent_max: TreeSize,
    /// A known size grew since the record was written.
    pub(super) grew: bool,
    /// Since when lines wait that are not on the published note yet.
    unsaved_since: Option<Instant>,
    /// There was no room to write when it was looked for last.
    lacks_space: bool,
    /// No round begins before this: the budgets of the witnesses.
    next_round: Instant,
    /// Until then a busy log gathers entries for its next round.
    gathers_until: Instant,
    /// When the published head needs fresh lines.
    pub(super) refresh: Instant,
    /// When something was published last.
    pub(super) idle_since: Instant,
    last_outcome: RoundOutcome,
}

impl Cosigner {
    pub(super) fn new(parts: CosignerParts) -> Self {
        let (mouth, ears) = unbounded_channel();
        let CosignerParts {
            shared,
            mailbox,
            signer,
            settings,
            panel,
            record,
            stored_policy,
            newest,
            evidence,
        } = parts;
        let now = Instant::now();
        let cosigner = Self {
            key: signer.witness_key(),
            policy_text: settings.policy.to_string(),
            sent_max: mailbox.committed_size(),
            shared,
            mailbox,
            signer,
            settings,
            stored_policy,
            panel,
            evidence,
            ears,
            mouth,
            record,
            newest,
            failed: None,
            grew: false,
            unsaved_since: None,
            lacks_space: false,
            next_round: now,
            gathers_until: now,
            refresh: now,
            idle_since: now,
            last_outcome: RoundOutcome::Quorum,
        };
        cosigner.show_all();
        cosigner
    }

    /// Asks the question with `about`, then publishes until the log stops.
    pub(super) async fn run(mut self, about: Arc<Signed>) -> Result<(), Fatal> {
        let verdict = self.question(about).await?;
        if !self.decide(verdict) {
            return Ok(());
        }
        loop {
            let now = Instant::now();
            if self.mailbox.is_closed() {
                return self.last_round(now).await;
            }
            let wants_round = !self.gathers(now) && self.wants_round(now);
            let is_late = self.unsaved_since.is_some_and(|since| since + LATE_LINES_PAUSE <= now);
            if (wants_round || is_late || self.lacks_space) && self.finds_no_space() {
                self.wait(now, SPACE_PAUSE).await?;
            } else if wants_round {
                self.round().await?;
            } else if is_late {
                self.save_late()?;
            } else {
                self.ask_stragglers(now);
                self.wait(now, REFRESH_INTERVAL).await?;
            }
        }
    }

    /// Somebody may still wait for what was committed last; one more round is all there is time
    /// for. After that their tickets say that the log stopped. What the witnesses said since the
    /// last write is written down, unless the log ends because of a fault.
    pub(super) async fn last_round(&mut self, now: Instant) -> Result<(), Fatal> {
        if self.mailbox.is_abandoned() || self.finds_no_space() {
            return Ok(());
        }
        if self.mailbox.has_waiting() && self.wants_round(now) {
            self.round().await?;
        }
        if self.unsaved_since.is_some() {
            self.save_late()?;
        }
        self.save_sizes()
    }

    /// Whether there is no room to write a note. Then nobody is asked: a head that cannot be
    /// published is not shown to witnesses, and reads go on with the one before.
    fn finds_no_space(&mut self) -> bool {
        let (log, is_low) = (&self.shared.name, self.shared.space.is_low());
        if is_low != self.lacks_space {
            if is_low {
                tracing::error!(log, "no space left for a note: nothing is published");
            } else {
                tracing::info!(log, "there is space again");
            }
            self.lacks_space = is_low;
            self.shared.standing.set_space(is_low);
        }
        is_low
    }

    /// While there is nothing else to do, asks those who were busy, down or spared during the round
    /// of the published head: their lines join its note.
    pub(super) fn ask_stragglers(&mut self, now: Instant) {
        let Some(newest) = &self.newest else { return };
        let is_newest = newest.about.tree().size == self.mailbox.committed_size();
        if !is_newest || now < self.idle_since + SPARE_PAUSE {
            return;
        }
        let (about, missing) =
            (Arc::clone(&newest.about), self.panel.stragglers(&newest.lines, now));
        for endpoint in missing {
            self.ask(endpoint, &about, true);
        }
    }

    /// Waits for a commit, an answer that came late, or the time of the next thing to do.
    async fn wait(&mut self, now: Instant, at_most: Duration) -> Result<(), Fatal> {
        self.show_backlog();
        let late = self.unsaved_since.map(|since| since + LATE_LINES_PAUSE);
        let idle = self.idle_since + SPARE_PAUSE;
        let times = [self.next_round, self.gathers_until, self.refresh, idle];
        let times = times.into_iter().chain(late).chain(self.panel.next_due(now));
        let next = times.filter(|time| *time > now).min();
        let end = now + at_most;
        let next = next.map_or(end, |next| next.min(end));
        tokio::select! {
            () = self.mailbox.delivered(), if !self.gathers(now) => {}
            () = self.mailbox.ended() => {}
            heard = self.ears.recv() => {
                let heard = heard.expect("invariant: we hold a sender ourselves");
                let (about, lines) = self.hear(heard)?;
                self.join_late(&about, lines);
            }
            () = tokio::time::sleep_until(next.into()) => {}
        }
        Ok(())
    }

    /// Whether a round is due and can come to something.
    pub(super) fn wants_round(&self, now: Instant) -> bool {
        let published = self.newest.as_ref().map(|newest| newest.about.tree().size);
        let has_news = published != Some(self.mailbox.committed_size());
        let is_needed = has_news || self.refresh <= now || self.is_degraded();
        // Asking those that are left would only cost them; the others are waited for.
        let is_hopeful = || self.can_hold(now) || (has_news && self.may_publish_without());
        is_needed && self.next_round <= now && is_hopeful()
    }

    /// Whether a busy log lets its next round wait. Its last round, at a stop, does not wait.
    pub(super) fn gathers(&self, now: Instant) -> bool {
        now < self.gathers_until
    }

    /// Whether a round that began now could end with a quorum.
    fn can_hold(&self, now: Instant) -> bool {
        let committed = self.mailbox.committed_size();
        let now_s = self.now_s();
        // What the next round starts from.
        let incomplete = self.newest.as_ref().filter(|_| self.is_degraded());
        let started = self.failed.as_ref().or(incomplete);
        let started = started.filter(|attempt| attempt.about.tree().size == committed);
        let has_line = |key: &VerifierKey| {
            let mut lines = started.iter().flat_map(|attempt| &attempt.lines);
            lines.any(|line| line.key() == key && line.is_fresh(now_s))
        };
        self.settings.policy.holds(|one| has_line(&one.key) || self.panel.can_answer(&one.key, now))
    }

    pub(super) fn may_publish_without(&self) -> bool {
        self.settings.on_missing_quorum == OnMissingQuorum::Publish
    }

    /// The newest note was published without its quorum.
    pub(super) fn is_degraded(&self) -> bool {
        self.last_outcome == RoundOutcome::PublishedWithout
    }

    /// A round about a tree of this size began: the budgets and the load say when the next one may.
    pub(super) fn pace(&mut self, began: Instant, size: TreeSize) {
        self.next_round = began + self.settings.round_interval();
        let published = self.newest.as_ref().map_or(0, |newest| newest.about.tree().size.get());
        if size.get().saturating_sub(published) >= BUSY_ENTRIES_MIN {
            self.gathers_until = began + BUSY_SPACING;
        }
    }

    /// Makes a note durable, then visible, then answers whoever waited for it.
    pub(super) fn publish(
        &mut self,
        attempt: Attempt,
        cosigned: Cosigned,
        outcome: RoundOutcome,
    ) -> Result<(), Fatal> {
        let size = cosigned.tree.size;
        // Its head is committed, and witnesses hold it. A crash here leaves the note before; the
        // next start serves that one, asks, and takes this head or a newer one through a round.
        self.record = Witnessed {
            note: Some(cosigned.note.clone()),
            policy: self.policy_text.clone(),
            sizes: self.panel.sizes.clone(),
        };
        self.save_record()?;
        // Durable: the next start serves this note at once. A crash here means that nobody has
        // seen it yet.
        let published = Arc::new(Published::from(cosigned));
        publish(&self.shared.published, Arc::clone(&published));
        self.say(outcome);
        // Visible: answers may go out. A submitter that a crash leaves without one finds its
        // entry again.
        self.mailbox.published(&published);
        self.shared.metrics.published(size);
        self.show_backlog();
        self.newest = Some(attempt);
        self.failed = None;
        self.unsaved_since = None;
        self.idle_since = Instant::now();
        self.refresh = self.idle_since + REFRESH_INTERVAL;
        Ok(())
    }

    /// Lines of an ended round: they join the note of their head while it is the newest published,
    /// or help the next round about the same head.
    pub(super) fn join_late(&mut self, about: &Arc<Signed>, lines: Vec<CosignedLine>) {
        if lines.is_empty() {
            return;
        }
        let is_it = |attempt: &&mut Attempt| attempt.is_about(about);
        if let Some(failed) = self.failed.as_mut().filter(is_it) {
            failed.join(lines);
        } else if let Some(newest) = self.newest.as_mut().filter(is_it) {
            newest.join(lines);
            self.unsaved_since.get_or_insert_with(Instant::now);
        }
    }

    /// Puts late lines on the published note: durable first, then visible, as ever.
    fn save_late(&mut self) -> Result<(), Fatal> {
        self.unsaved_since = None;
        let Some(newest) = &self.newest else { return Ok(()) };
        let (policy, now_s) = (&self.settings.policy, self.now_s());
        let holds = newest.holds(policy, |line| line.is_fresh(now_s));
        let outcome = if holds { RoundOutcome::Quorum } else { self.last_outcome };
        let complete = newest.about.with_quorum(policy, &newest.lines);
        // Without a quorum the note is on show because the configuration says so.
        let cosigned = complete.unwrap_or_else(|| newest.about.without_quorum(&newest.lines));
        let (about, lines) = (Arc::clone(&newest.about), newest.lines.clone());
        let refresh = self.refresh;
        self.publish(Attempt { about, lines }, cosigned, outcome)?;
        self.refresh = refresh;
        Ok(())
    }

    /// After a round without quorum: what its witnesses cosigned all the same must be known to the
    /// next start, which would else take less for an answer.
    pub(super) fn save_sizes(&mut self) -> Result<(), Fatal> {
        if !self.grew {
            return Ok(());
        }
        self.record.sizes.clone_from(&self.panel.sizes);
        self.save_record()
    }

    fn save_record(&mut self) -> Result<(), Fatal> {
        self.grew = false;
        self.shared.store.put_note(&self.record.encode()).map_err(Fatal::Store)
    }

    /// A witness gave nothing usable. It is told once; asking goes on.
    pub(super) fn down(&mut self, endpoint: usize, reason: String) {
        let witness = self.panel.names(endpoint);
        if self.panel.endpoints[endpoint].is_down(Instant::now(), reason.clone()) {
            tracing::warn!(log = self.shared.name, witness, reason, "witness down");
        }
    }

    /// A witness does not know this log or its key, or is none: somebody has to act.
    pub(super) fn misconfigured(&mut self, endpoint: usize, status: u16) {
        let witness = self.panel.names(endpoint);
        let reason = format!("HTTP status {status}: does it know this log, is its URL right?");
        if self.panel.endpoints[endpoint].is_misconfigured(Instant::now(), reason.clone()) {
            tracing::error!(log = self.shared.name, witness, reason, "witness misconfigured");
        }
    }

    /// Tells when the quorum is lost, and when it is back.
    pub(super) fn say(&mut self, outcome: RoundOutcome) {
        let log = &self.shared.name;
        match (self.last_outcome, outcome) {
            (before, now) if before == now => {}
            (_, RoundOutcome::Quorum) => tracing::info!(log, "the quorum holds"),
            (_, RoundOutcome::NoQuorum) => {
                tracing::error!(log, "no quorum: nothing is published until it holds");
            }
            (_, RoundOutcome::PublishedWithout) => {
                tracing::error!(log, "no quorum: published without, as on_missing_quorum says");
            }
        }
        self.last_outcome = outcome;
        self.shared.standing.set_outcome(outcome);
    }

    /// Seconds since 1970.
    pub(super) fn now_s(&self) -> u64 {
        self.shared.surroundings.clock.now_ms() / 1000
    }
}

//! Panel: the witnesses of one log, what is known of each, and when it may be asked again.
//!
//! Several witnesses of a policy may stand behind one URL: they are asked once and answer with one
//! line each. So sizes and cosignatures belong to a [`Member`], calls and faults to an
//! [`Endpoint`].

use std::time::{Duration, Instant};

use log_core::key::VerifierKey;
use log_core::policy::{PolicyWitness, WitnessPolicy};
use log_core::tree::TreeSize;

use super::cosign::CosignedLine;
use super::round::SPARE_SPACING;
use super::witnessed::KnownSizes;
use crate::config::{WITNESSES_MAX, WitnessSettings};
use crate::metrics::{LogMetrics, WitnessMetrics};
use crate::witness::WitnessClient;

/// A witness that failed is asked again after this, then after twice as long, and so on ...
const RETRY_FIRST: Duration = Duration::from_millis(100);
/// ... up to this: submitters may be waiting for its return.
const RETRY_MAX: Duration = Duration::from_secs(2);
/// ... and up to this while nobody waits: then it is asked only so that its line is not missing.
const RETRY_IDLE_MAX: Duration = Duration::from_secs(60);
/// A witness that raised an alarm is asked again after this: to see whether it was mended.
const ALARM_RETRY: Duration = Duration::from_secs(10 * 60);

/// All witnesses that a log asks, under its configured and its stored policy.
pub(super) struct Panel {
    pub(super) members: Vec<Member>,
    pub(super) endpoints: Vec<Endpoint>,
    /// What each witness is known to have cosigned for this log, those of the past included.
    pub(super) sizes: KnownSizes,
}

/// One witness of a policy: one key.
pub(super) struct Member {
    pub(super) name: String,
    pub(super) key: VerifierKey,
    vkey: String,
    pub(super) endpoint: usize,
    /// The operator left it out of this run: it is not asked, and its lines do not count.
    pub(super) excluded: bool,
    /// Whether the configured policy has it; only those are asked in rounds.
    pub(super) configured: bool,
    /// When it last cosigned for this run, in seconds since 1970 by its own clock.
    pub(super) cosigned_at_s: Option<u64>,
    /// Its endpoint answered without its line: it is hoped for less and less.
    silence: Patience,
    pub(super) metrics: WitnessMetrics,
}

/// One submission prefix.
pub(super) struct Endpoint {
    pub(super) url: String,
    pub(super) client: WitnessClient,
    /// The size from which the next proof starts: what it said last, or is known to have.
    pub(super) latest: TreeSize,
    pub(super) health: Health,
    /// A round waits for it; false if all its witnesses stand in `also_ask`.
    pub(super) awaited: bool,
    /// A request is under way: it is not asked again before that has ended.
    pub(super) busy: bool,
    /// It is not asked before this: its budget, or an alarm.
    due: Instant,
    /// It gave nothing usable: it is asked less and less.
    failure: Patience,
    /// The least time between two requests, by its budget.
    spacing: Duration,
    /// When its last request began.
    pub(super) asked_at: Instant,
    /// How long its requests take, with all that they teach; the last few count most. One that was
    /// slow once stays among those that are asked.
    pub(super) took: Duration,
}

/// When somebody who gave nothing is tried again.
#[derive(Debug, Clone, Copy)]
struct Patience {
    failures: u32,
    /// Not before this.
    due: Instant,
    /// Not before this unless a round needs it.
    idle_due: Instant,
}

/// What an endpoint did last.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Health {
    /// It was not asked yet.
    Unasked,
    /// It cosigned.
    Up,
    /// It gave nothing usable.
    Down(String),
    /// It does not know this log or its key, or is none: somebody has to act.
    Misconfigured(String),
    /// It claims something that cannot be true of this log: its lines do not count.
    Alarm(String),
}

/// Why witnesses cannot be asked. The operator has to change the policy.
#[derive(Debug, thiserror::Error)]
pub enum PanelError {
    /// A witness has no URL, or one that is none.
    #[error("witness {0}: {1}")]
    Url(String, String),
    /// Their lines would not fit into a note.
    #[error("{0} witnesses are more than {WITNESSES_MAX}")]
    TooMany(usize),
}

impl Panel {
    /// The witnesses of the configured policy, and those of the stored one that it has no more.
    pub(super) fn new(
        settings: &WitnessSettings,
        stored: &WitnessPolicy,
        sizes: KnownSizes,
        metrics: &LogMetrics,
    ) -> Result<Self, PanelError> {
        let mut panel = Self { members: Vec::new(), endpoints: Vec::new(), sizes };
        let count = settings.policy.witnesses().len();
        if count > WITNESSES_MAX {
            return Err(PanelError::TooMany(count));
        }
        for witness in settings.policy.witnesses() {
            panel.add(witness, Some(settings), metrics)?;
        }
        for witness in stored.witnesses() {
            if panel.of_key(&witness.key).is_none() {
                panel.add(witness, None, metrics)?;
            }
        }
        for member in panel.members.iter_mut() {
            // The name stands for the key that the configured policy has. An older key of the same
            // name still has its say.
            member.excluded = member.configured && settings.excluded.contains(&member.name);
        }
        Ok(panel)
    }

    fn add(
        &mut self,
        witness: &PolicyWitness,
        settings: Option<&WitnessSettings>,
        metrics: &LogMetrics,
    ) -> Result<(), PanelError> {
        let name = &witness.name;
        let wrong = |what: String| PanelError::Url(name.clone(), what);
        let url = witness.url.as_deref().ok_or_else(|| wrong("has no URL".into()))?;
        let awaited = settings.is_some_and(|settings| settings.is_waited_for(witness));
        let spacing = settings.map_or(Duration::ZERO, |settings| settings.interval_of(witness));
        let vkey = witness.key.to_string();
        let known = self.sizes.get(&vkey).copied().unwrap_or(TreeSize::new(0));
        let client = WitnessClient::new(url).map_err(|error| wrong(error.to_string()))?;
        let is_same = |endpoint: &Endpoint| endpoint.client.prefix() == client.prefix();
        let at = match self.endpoints.iter().position(is_same) {
            Some(at) => at,
            None => {
                self.endpoints.push(Endpoint::new(url, client));
                self.endpoints.len() - 1
            }
        };
        let endpoint = &mut self.endpoints[at];
        endpoint.latest = endpoint.latest.max(known);
        endpoint.spacing = endpoint.spacing.max(spacing);
        endpoint.awaited |= awaited;
        self.members.push(Member {
            name: name.clone(),
            key: witness.key.clone(),
            vkey,
            endpoint: at,
            excluded: false,
            configured: settings.is_some(),
            cosigned_at_s: None,
            silence: Patience::new(),
            metrics: metrics.witness(name),
        });
        Ok(())
    }

    /// The witness with this key.
    pub(super) fn of_key(&self, key: &VerifierKey) -> Option<&Member> {
        self.members.iter().find(|member| member.key == *key)
    }

    /// The witnesses behind an endpoint whose word counts.
    pub(super) fn behind(&self, endpoint: usize) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(move |one| one.endpoint == endpoint && !one.excluded)
    }

    /// The names of the witnesses behind an endpoint, for people.
    pub(super) fn names(&self, endpoint: usize) -> String {
        let names = self.behind(endpoint).map(|member| member.name.as_str());
        names.collect::<Vec<_>>().join(", ")
    }

    /// The size that a witness is known to have cosigned.
    pub(super) fn size_of(&self, member: &Member) -> Option<TreeSize> {
        self.sizes.get(&member.vkey).copied()
    }

    /// Remembers verified lines over a tree of `size`; says whether a known size grew.
    pub(super) fn remember(&mut self, lines: &[CosignedLine], size: TreeSize) -> bool {
        let mut grew = false;
        for member in &mut self.members {
            let Some(line) = lines.iter().find(|line| *line.key() == member.key) else { continue };
            member.cosigned_at_s = member.cosigned_at_s.max(Some(line.time_s()));
            match self.sizes.get_mut(&member.vkey) {
                Some(known) if *known >= size => continue,
                Some(known) => *known = size,
                None => _ = self.sizes.insert(member.vkey.clone(), size),
            }
            grew = true;
        }
        grew
    }

    /// The endpoints that a round may ask now.
    pub(super) fn free(&self, now: Instant) -> Vec<usize> {
        let asked = |at: usize| self.behind(at).any(|member| member.configured);
        let free = |at: &usize| self.endpoints[*at].is_free(now) && asked(*at);
        (0..self.endpoints.len()).filter(free).collect()
    }

    /// The endpoints without which the others still make a quorum, if all of these answer: the
    /// slowest ones that were asked just before. Whoever has a budget, is not waited for or failed
    /// last is none of them.
    pub(super) fn spares(&self, policy: &WitnessPolicy, now: Instant) -> Vec<usize> {
        let is_sure = |at: &usize| {
            let endpoint = &self.endpoints[*at];
            endpoint.awaited && endpoint.health == Health::Up
        };
        let mut sure: Vec<usize> = self.free(now).into_iter().filter(is_sure).collect();
        sure.sort_by_key(|at| self.endpoints[*at].took);
        let mut spares = Vec::new();
        for at in sure.clone().into_iter().rev() {
            let of_others = |member: &Member| {
                !member.excluded && member.endpoint != at && sure.contains(&member.endpoint)
            };
            let without = |one: &PolicyWitness| self.of_key(&one.key).is_some_and(of_others);
            let endpoint = &self.endpoints[at];
            let is_recent = now < endpoint.asked_at + SPARE_SPACING;
            if is_recent && endpoint.spacing.is_zero() && policy.holds(without) {
                sure.retain(|other| *other != at);
                spares.push(at);
            }
        }
        spares
    }

    /// The endpoints whose line is missing on the published note, as far as they may be asked for
    /// that alone: they were busy or down when its round began.
    pub(super) fn stragglers(&self, lines: &[CosignedLine], now: Instant) -> Vec<usize> {
        let lacks = |member: &Member| !lines.iter().any(|line| *line.key() == member.key);
        let mut free = self.free(now);
        free.retain(|at| {
            let endpoint = &self.endpoints[*at];
            // What a budget allows is for rounds.
            let may = endpoint.failure.idle_due <= now && endpoint.spacing.is_zero();
            let hoped = |member: &Member| member.configured && member.silence.idle_due <= now;
            may && self.behind(*at).any(|member| hoped(member) && lacks(member))
        });
        free
    }

    /// Whether a witness could still have its say: it counts, is waited for and may be asked now.
    pub(super) fn can_answer(&self, key: &VerifierKey, now: Instant) -> bool {
        self.of_key(key).is_some_and(|member| {
            let endpoint = &self.endpoints[member.endpoint];
            let hoped = !member.excluded && member.silence.due <= now;
            hoped && endpoint.awaited && endpoint.is_free(now)
        })
    }

    /// Whether asking an endpoint once more could add to these lines. One that gave a line of this
    /// head already is not asked again at once for a key that keeps silent.
    pub(super) fn can_add(&self, at: usize, lines: &[CosignedLine], now: Instant) -> bool {
        let has = |member: &Member| lines.iter().any(|line| *line.key() == member.key);
        let members = || self.behind(at).filter(|member| member.configured);
        let gave = members().any(has);
        members().any(|member| !has(member) && (!gave || member.silence.due <= now))
    }

    /// The endpoints that a round waits for although they are being asked about an older head.
    pub(super) fn awaited_and_busy(&self) -> Vec<usize> {
        let is_it = |at: &usize| self.endpoints[*at].awaited && self.endpoints[*at].busy;
        (0..self.endpoints.len()).filter(is_it).collect()
    }

    /// An endpoint answered with these lines: a witness behind it whose line is not among them is
    /// hoped for later than the others. Without this a key that its owner lost, or leaves out,
    /// would be asked for as fast as the answers come.
    pub(super) fn heard_lines(&mut self, at: usize, lines: &[CosignedLine], now: Instant) {
        for member in self.members.iter_mut().filter(|member| member.endpoint == at) {
            if lines.iter().any(|line| *line.key() == member.key) {
                member.silence = Patience::new();
            } else {
                member.silence.failed(now);
            }
        }
    }

    /// When the next of those that must not be asked yet may be asked.
    pub(super) fn next_due(&self, now: Instant) -> Option<Instant> {
        let idle = self.endpoints.iter().filter(|endpoint| !endpoint.busy);
        let failure = |one: &Endpoint| [one.due, one.failure.due, one.failure.idle_due];
        let silence = |one: &Member| [one.silence.due, one.silence.idle_due];
        let times = idle.flat_map(failure).chain(self.members.iter().flat_map(silence));
        times.filter(|due| *due > now).min()
    }
}

impl Endpoint {
    fn new(url: &str, client: WitnessClient) -> Self {
        Self {
            url: url.to_owned(),
            client,
            latest: TreeSize::new(0),
            health: Health::Unasked,
            awaited: false,
            busy: false,
            due: Instant::now(),
            failure: Patience::new(),
            spacing: Duration::ZERO,
            asked_at: Instant::now(),
            took: Duration::ZERO,
        }
    }

    /// Whether it may be asked now.
    pub(super) fn is_free(&self, now: Instant) -> bool {
        !self.busy && self.due <= now && self.failure.due <= now
    }

    /// So many requests were made since `began`: its budget decides when the next may follow.
    pub(super) fn asked(&mut self, began: Instant, requests: u32) {
        self.busy = false;
        self.took = (self.took * 3 + began.elapsed()) / 4;
        self.due = began + self.spacing.saturating_mul(requests);
    }

    /// It answered as it should; says whether that is news.
    pub(super) fn is_up(&mut self) -> bool {
        self.failure = Patience::new();
        std::mem::replace(&mut self.health, Health::Up) != Health::Up
    }

    /// It gave nothing usable; says whether that is news.
    pub(super) fn is_down(&mut self, now: Instant, reason: String) -> bool {
        self.has_failed(now, Health::Down(reason))
    }

    /// It does not know this log, or is none; says whether that is news.
    pub(super) fn is_misconfigured(&mut self, now: Instant, reason: String) -> bool {
        self.has_failed(now, Health::Misconfigured(reason))
    }

    fn has_failed(&mut self, now: Instant, health: Health) -> bool {
        let news = std::mem::discriminant(&self.health) != std::mem::discriminant(&health);
        self.failure.failed(now);
        if matches!(self.health, Health::Alarm(_)) {
            // It stays one until the witness has cosigned again.
            self.due = self.due.max(now + ALARM_RETRY);
        } else {
            self.health = health;
        }
        news
    }

    /// It leaves the quorum.
    pub(super) fn raise_alarm(&mut self, now: Instant, reason: String) {
        self.due = self.due.max(now + ALARM_RETRY);
        self.health = Health::Alarm(reason);
    }
}

impl Patience {
    fn new() -> Self {
        let now = Instant::now();
        Self { failures: 0, due: now, idle_due: now }
    }

    /// Once more nothing came.
    fn failed(&mut self, now: Instant) {
        let pause = RETRY_FIRST.saturating_mul(1 << self.failures.min(10));
        self.failures = self.failures.saturating_add(1);
        self.due = now + pause.min(RETRY_MAX);
        self.idle_due = now + pause.min(RETRY_IDLE_MAX);
    }
}

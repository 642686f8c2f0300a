//! Standing: how a log and its witnesses are getting on, for `/readyz`, `GET /logs` and metrics.

use std::sync::{Mutex, MutexGuard, PoisonError};

use log_core::tree::TreeSize;

use super::cosigner::Cosigner;
use super::panel::{Health, Member, Panel};
use super::{Gate, Log, Shared};
use crate::metrics::RoundOutcome;

/// What a log does just now. A shut log is not among these: it is no [`Log`] to its callers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It asks its witnesses whether its store is the newest; it takes no entries.
    Asking,
    /// It takes entries and publishes.
    Open,
    /// Nothing new is published: its last round ended without a quorum, no round could be held
    /// since the start, or there is no room for a note on the disk.
    NoQuorum,
    /// It takes no entries: it promises their times, and the time of day is not to be trusted.
    Clock,
    /// It publishes without its quorum, because its configuration says so.
    Degraded,
    /// It takes no entries any more.
    Frozen,
}

impl State {
    /// The word for it in `GET /logs`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Asking => "asking",
            Self::Open => "open",
            Self::NoQuorum => "no-quorum",
            Self::Clock => "clock",
            Self::Degraded => "degraded",
            Self::Frozen => "frozen",
        }
    }

    /// Whether the log does what it is there for: it publishes, with its quorum.
    pub fn is_ready(self) -> bool {
        matches!(self, Self::Open | Self::Frozen)
    }
}

/// One witness of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WitnessStatus {
    /// Its name in the policy.
    pub name: String,
    /// Its submission prefix.
    pub url: String,
    /// What it did last.
    pub state: WitnessState,
    /// Why it is down or an alarm.
    pub reason: Option<String>,
    /// The size that it is known to have cosigned.
    pub known_size: Option<TreeSize>,
    /// How long ago it cosigned, in seconds; `None` if it has not in this run.
    pub cosigned_age_s: Option<u64>,
}

/// What a witness did last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WitnessState {
    /// It was not asked yet.
    Unasked,
    /// It cosigned, or answered the question.
    Ok,
    /// It gave nothing usable.
    Down,
    /// The operator left it out of this run.
    Excluded,
    /// It contradicts this log: an operator must look.
    Alarm,
}

impl WitnessState {
    /// The word for it in `GET /logs`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unasked => "unasked",
            Self::Ok => "ok",
            Self::Down => "down",
            Self::Excluded => "excluded",
            Self::Alarm => "alarm",
        }
    }
}

/// What the cosigner shows to everybody else.
#[derive(Default)]
pub(super) struct Standing {
    shown: Mutex<Shown>,
}

#[derive(Default)]
struct Shown {
    rows: Vec<Row>,
    outcome: Option<RoundOutcome>,
    lacks_space: bool,
}

struct Row {
    status: WitnessStatus,
    cosigned_at_s: Option<u64>,
}

impl Standing {
    pub(super) fn set_outcome(&self, outcome: RoundOutcome) {
        self.lock().outcome = Some(outcome);
    }

    pub(super) fn set_space(&self, is_low: bool) {
        self.lock().lacks_space = is_low;
    }

    fn lock(&self) -> MutexGuard<'_, Shown> {
        self.shown.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    /// What the log does just now.
    pub fn state(&self) -> State {
        if matches!(&**self.shared.gate.load(), Gate::Asking) {
            return State::Asking;
        }
        let shown = self.shared.standing.lock();
        match shown.outcome {
            Some(RoundOutcome::NoQuorum) => State::NoQuorum,
            _ if shown.lacks_space || self.published().is_none() => State::NoQuorum,
            _ if !self.is_frozen() && self.shared.check_time().is_err() => State::Clock,
            Some(RoundOutcome::PublishedWithout) => State::Degraded,
            _ if self.is_frozen() => State::Frozen,
            _ => State::Open,
        }
    }

    /// Whether nothing is published because there is no room for a note on the disk.
    pub fn lacks_space(&self) -> bool {
        self.shared.standing.lock().lacks_space
    }

    /// Every witness that this log asks, in the order of its policy; none without witnesses.
    pub fn witness_status(&self) -> Vec<WitnessStatus> {
        let now_s = self.shared.surroundings.clock.now_ms() / 1000;
        let shown = self.shared.standing.lock();
        let status = |row: &Row| WitnessStatus {
            cosigned_age_s: row.cosigned_at_s.map(|time_s| now_s.saturating_sub(time_s)),
            ..row.status.clone()
        };
        shown.rows.iter().map(status).collect()
    }
}

impl Cosigner {
    /// Shows all witnesses as they are.
    pub(super) fn show_all(&self) {
        let rows = self.panel.members.iter().map(|member| row(&self.panel, member)).collect();
        self.shared.standing.lock().rows = rows;
        for endpoint in 0..self.panel.endpoints.len() {
            self.show(endpoint);
        }
    }

    /// Shows what became of the witnesses behind an endpoint.
    pub(super) fn show(&self, endpoint: usize) {
        let mut shown = self.shared.standing.lock();
        for (member, shown) in self.panel.members.iter().zip(&mut shown.rows) {
            if member.endpoint == endpoint {
                update(shown, &self.panel, member);
            }
        }
    }

    /// Shows how far publication lags behind the commits.
    pub(super) fn show_backlog(&self) {
        let (entries, oldest) = self.mailbox.backlog();
        self.shared.metrics.unpublished(entries, oldest);
    }
}

fn row(panel: &Panel, member: &Member) -> Row {
    let status = WitnessStatus {
        name: member.name.clone(),
        url: panel.endpoints[member.endpoint].url.clone(),
        state: WitnessState::Unasked,
        reason: None,
        known_size: None,
        cosigned_age_s: None,
    };
    Row { status, cosigned_at_s: None }
}

fn update(row: &mut Row, panel: &Panel, member: &Member) {
    let (state, reason) = match &panel.endpoints[member.endpoint].health {
        _ if member.excluded => (WitnessState::Excluded, None),
        Health::Unasked => (WitnessState::Unasked, None),
        Health::Up => (WitnessState::Ok, None),
        Health::Down(reason) | Health::Misconfigured(reason) => (WitnessState::Down, Some(reason)),
        Health::Alarm(reason) => (WitnessState::Alarm, Some(reason)),
    };
    row.status.state = state;
    if row.status.reason.as_ref() != reason {
        row.status.reason = reason.cloned();
    }
    row.status.known_size = panel.size_of(member);
    row.cosigned_at_s = member.cosigned_at_s;
    member.metrics.up(state == WitnessState::Ok);
    // Either way somebody has to act; `state` tells the two apart.
    let health = &panel.endpoints[member.endpoint].health;
    let is_alarm = matches!(health, Health::Alarm(_) | Health::Misconfigured(_));
    member.metrics.alarm(is_alarm && !member.excluded);
    if let Some(size) = row.status.known_size {
        member.metrics.known_size(size);
    }
}

impl Shared {
    /// Whether the log's witnesses have to be waited for before its tree is visible.
    pub(super) fn backlog_is_full(&self) -> bool {
        self.mailbox.as_ref().is_some_and(|mailbox| mailbox.is_full())
    }
}

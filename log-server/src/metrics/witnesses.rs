//! The metrics of rounds and witnesses.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use log_core::TreeSize;
use prometheus_client::encoding::{EncodeLabelSet, EncodeMetric, MetricEncoder};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::{MetricType, TypedMetric};
use prometheus_client::registry::{Registry, Unit};

use super::{Count, Level, OfLog, level, seconds};
use crate::config::{OnMissingQuorum, WitnessSettings};
use crate::witness::WitnessAnswer;

/// How a round ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoundOutcome {
    /// The quorum holds; its head is published.
    Quorum,
    /// The quorum was not met in time; nothing is published.
    NoQuorum,
    /// The quorum was not met, and the head is published because the configuration says so.
    PublishedWithout,
}

impl RoundOutcome {
    fn label(self) -> &'static str {
        match self {
            Self::Quorum => "quorum",
            Self::NoQuorum => "no_quorum",
            Self::PublishedWithout => "published_without",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRound {
    log: String,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfWitness {
    log: String,
    witness: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfAnswer {
    log: String,
    witness: String,
    answer: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfSetting {
    log: String,
    setting: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfWitnessSetting {
    log: String,
    witness: String,
    setting: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfRefusal {
    log: String,
    witness: String,
    reason: &'static str,
}

/// The metrics of the rounds and witnesses of all logs.
#[derive(Clone)]
pub(super) struct Witnesses {
    rounds: Family<OfRound, Count>,
    round_seconds: Family<OfLog, Histogram, fn() -> Histogram>,
    committed_size: Family<OfLog, Level>,
    unpublished_entries: Family<OfLog, Level>,
    oldest_unpublished: Family<OfLog, Age>,
    last_published: Family<OfLog, Age>,
    known_size: Family<OfWitness, Level>,
    up: Family<OfWitness, Level>,
    alarm: Family<OfWitness, Level>,
    answers: Family<OfAnswer, Count>,
    refused_lines: Family<OfRefusal, Count>,
    last_cosigned: Family<OfWitness, Age>,
    settings: Family<OfSetting, Level>,
    witness_settings: Family<OfWitnessSetting, Level>,
    per_day: Family<OfWitness, Level>,
}

impl Witnesses {
    pub(super) fn new() -> Self {
        Self {
            rounds: Family::default(),
            round_seconds: Family::new_with_constructor(seconds),
            committed_size: Family::default(),
            unpublished_entries: Family::default(),
            oldest_unpublished: Family::default(),
            last_published: Family::default(),
            known_size: Family::default(),
            up: Family::default(),
            alarm: Family::default(),
            answers: Family::default(),
            refused_lines: Family::default(),
            last_cosigned: Family::default(),
            settings: Family::default(),
            witness_settings: Family::default(),
            per_day: Family::default(),
        }
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        let rounds = "Rounds of asking the witnesses, by outcome";
        registry.register("rounds", rounds, self.rounds.clone());
        let took = "Time of one round, to its quorum or its end";
        registry.register_with_unit("round", took, Unit::Seconds, self.round_seconds.clone());
        let committed = "Size of the committed tree";
        registry.register("committed_size", committed, self.committed_size.clone());
        let unpublished = "Entries that are committed and not yet published";
        registry.register("unpublished_entries", unpublished, self.unpublished_entries.clone());
        let oldest = "Age of the oldest commit that is not yet published, 0 if there is none";
        let ages = self.oldest_unpublished.clone();
        registry.register_with_unit("oldest_unpublished", oldest, Unit::Seconds, ages);
        let last = "Time since a checkpoint was published, or since the start if none was";
        let ages = self.last_published.clone();
        registry.register_with_unit("since_published", last, Unit::Seconds, ages);
        let settings = "1 for a setting or flag that weakens what the witnesses protect, else 0";
        registry.register("log_setting", settings, self.settings.clone());
        self.register_each(registry);
    }

    /// What there is once a witness.
    fn register_each(&self, registry: &mut Registry) {
        let known = "Size that the witness is known to have cosigned";
        registry.register("witness_known_size", known, self.known_size.clone());
        let up = "1 if the last answer of the witness was usable, else 0";
        registry.register("witness_up", up, self.up.clone());
        let alarm = "1 if the witness contradicts this log or does not know it, else 0";
        registry.register("witness_alarm", alarm, self.alarm.clone());
        let answers = "Answers of the witness, by kind";
        registry.register("witness_answers", answers, self.answers.clone());
        let refused = "Cosignature lines of the witness that do not count, by reason";
        registry.register("witness_refused_lines", refused, self.refused_lines.clone());
        let age = "Time since a cosignature of the witness counted, or since the start if none did";
        let ages = self.last_cosigned.clone();
        registry.register_with_unit("witness_cosignature_age", age, Unit::Seconds, ages);
        let settings = "1 for a witness that is not waited for, or left out, else 0";
        registry.register("witness_setting", settings, self.witness_settings.clone());
        let budget = "Requests that the witness takes in 24 hours, if it has a budget";
        registry.register("witness_requests_per_day", budget, self.per_day.clone());
    }

    /// Shows how a log with a witness policy is set up.
    pub(super) fn configured(&self, log: &str, settings: &WitnessSettings) {
        let publishes = settings.on_missing_quorum == OnMissingQuorum::Publish;
        for (setting, on) in [
            ("unchecked_start", settings.unchecked_start),
            ("publish_without_quorum", publishes),
            ("allow_slow_quorum", settings.allow_slow_quorum),
        ] {
            let labels = OfSetting { log: log.into(), setting };
            self.settings.get_or_create(&labels).set(on.into());
        }
        for witness in settings.policy.witnesses() {
            let (log, name) = (log.to_owned(), &witness.name);
            for (setting, on) in [
                ("also_ask", !settings.is_waited_for(witness)),
                ("excluded", settings.excluded.contains(name)),
            ] {
                let labels = OfWitnessSetting { log: log.clone(), witness: name.clone(), setting };
                self.witness_settings.get_or_create(&labels).set(on.into());
            }
            if let Some(count) = settings.per_day.get(name) {
                let labels = OfWitness { log, witness: name.clone() };
                self.per_day.get_or_create(&labels).set((*count).into());
            }
        }
    }

    pub(super) fn of_log(&self, log: &str) -> RoundMetrics {
        let labels = OfLog { log: log.into() };
        let oldest_unpublished = self.oldest_unpublished.get_or_create_owned(&labels);
        oldest_unpublished.since(None);
        RoundMetrics {
            log: log.into(),
            round_seconds: self.round_seconds.get_or_create_owned(&labels),
            committed_size: self.committed_size.get_or_create_owned(&labels),
            unpublished_entries: self.unpublished_entries.get_or_create_owned(&labels),
            oldest_unpublished,
            last_published: self.last_published.get_or_create_owned(&labels),
            all: self.clone(),
        }
    }
}

/// The metrics of the rounds of one log.
#[derive(Clone)]
pub(super) struct RoundMetrics {
    log: String,
    round_seconds: Histogram,
    committed_size: Level,
    unpublished_entries: Level,
    oldest_unpublished: Age,
    last_published: Age,
    all: Witnesses,
}

impl RoundMetrics {
    pub(super) fn round(&self, outcome: RoundOutcome, took: Duration) {
        let labels = OfRound { log: self.log.clone(), outcome: outcome.label() };
        self.all.rounds.get_or_create(&labels).inc();
        self.round_seconds.observe(took.as_secs_f64());
    }

    pub(super) fn committed(&self, size: TreeSize) {
        self.committed_size.set(level(size.get()));
    }

    pub(super) fn published(&self) {
        self.last_published.since(Some(Instant::now()));
    }

    pub(super) fn unpublished(&self, entries: u64, oldest: Option<Instant>) {
        self.unpublished_entries.set(level(entries));
        self.oldest_unpublished.since(oldest);
    }

    pub(super) fn witness(&self, name: &str) -> WitnessMetrics {
        let labels = OfWitness { log: self.log.clone(), witness: name.into() };
        WitnessMetrics {
            known_size: self.all.known_size.get_or_create_owned(&labels),
            up: self.all.up.get_or_create_owned(&labels),
            alarm: self.all.alarm.get_or_create_owned(&labels),
            last_cosigned: self.all.last_cosigned.get_or_create_owned(&labels),
            answers: self.all.answers.clone(),
            refused_lines: self.all.refused_lines.clone(),
            labels,
        }
    }
}

/// The metrics of one witness of one log.
#[derive(Clone)]
pub struct WitnessMetrics {
    labels: OfWitness,
    known_size: Level,
    up: Level,
    alarm: Level,
    last_cosigned: Age,
    answers: Family<OfAnswer, Count>,
    refused_lines: Family<OfRefusal, Count>,
}

impl WitnessMetrics {
    /// The witness is known to have cosigned this size.
    pub fn known_size(&self, size: TreeSize) {
        self.known_size.set(level(size.get()));
    }

    /// Whether its last answer was usable.
    pub fn up(&self, up: bool) {
        self.up.set(up.into());
    }

    /// Whether it claims something that this log cannot agree with.
    pub fn alarm(&self, alarm: bool) {
        self.alarm.set(alarm.into());
    }

    /// It answered, or did not.
    pub fn answered(&self, answer: &WitnessAnswer) {
        let OfWitness { log, witness } = self.labels.clone();
        let answer = match answer {
            WitnessAnswer::Cosigned(_) => "cosigned",
            WitnessAnswer::Size(_) => "size",
            WitnessAnswer::OtherRoot { .. } => "other_root",
            WitnessAnswer::Misconfigured { .. } => "misconfigured",
            WitnessAnswer::Unavailable(_) | WitnessAnswer::Unreached(_) => "unavailable",
        };
        self.answers.get_or_create(&OfAnswer { log, witness, answer }).inc();
    }

    /// A line of its answer does not count, for one of a few reasons.
    pub fn refused_line(&self, reason: &'static str) {
        let OfWitness { log, witness } = self.labels.clone();
        self.refused_lines.get_or_create(&OfRefusal { log, witness, reason }).inc();
    }

    /// A cosignature of it counted.
    pub fn cosigned(&self) {
        self.last_cosigned.since(Some(Instant::now()));
    }
}

/// A gauge of the seconds since something happened, computed when it is read.
#[derive(Clone, Debug)]
struct Age(Arc<Mutex<Option<Instant>>>);

impl Age {
    /// Counts from then on; without a time the age is 0.
    fn since(&self, then: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = then;
    }
}

impl Default for Age {
    /// Counts from the start: what never happened is overdue as well.
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Some(Instant::now()))))
    }
}

impl TypedMetric for Age {
    const TYPE: MetricType = MetricType::Gauge;
}

impl EncodeMetric for Age {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let since = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        encoder.encode_gauge(&since.map_or(0.0, |then| then.elapsed().as_secs_f64()))
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests;

//! The settings of a log's witnesses: whom to ask, how often, and what to do when they are missing.
//!
//! The policy is a file of its own (c2sp.org/tlog-policy), because clients use the same one. What
//! only this log decides about the witnesses stands in its section of `cairn.toml`.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use log_core::key::VerifierKey;
use log_core::policy::{POLICY_BYTES_MAX, PolicyWitness, WitnessPolicy};

use super::{ConfigError, LogConfig, OnMissingQuorum};
use crate::witness::WitnessClient;

/// The slowest rounds that a log may have without saying so: a submitter waits for a round.
const ROUND_INTERVAL_MAX: Duration = Duration::from_secs(1);

/// Most witnesses of one log: their lines have to fit into one note, with some to spare.
pub const WITNESSES_MAX: usize = 64;

/// The time that a budget is for, in nanoseconds.
const DAY_NS: u64 = 24 * 60 * 60 * 1_000_000_000;

/// A log's witnesses as its configuration and the flags of `serve` have them, checked.
#[derive(Debug, Clone)]
pub struct WitnessSettings {
    /// Whom to ask, and who is enough. Every witness in it has a usable URL.
    pub policy: WitnessPolicy,
    /// Names of witnesses that are asked within their budgets and never waited for.
    pub also_ask: Vec<String>,
    /// Whether rounds may be further apart than a second.
    pub allow_slow_quorum: bool,
    /// What happens without a quorum.
    pub on_missing_quorum: OnMissingQuorum,
    /// Requests that a witness takes in 24 hours, by its name; at least 1. No entry: no limit.
    pub per_day: BTreeMap<String, u32>,
    /// The operator skips the question at this start.
    pub unchecked_start: bool,
    /// Names of witnesses whose word does not count at this start.
    pub excluded: Vec<String>,
}

impl WitnessSettings {
    /// The smallest spacing of rounds at which the quorum can be met, without `also_ask`, while
    /// every budget is kept. 0 if enough witnesses have no budget.
    pub fn round_interval(&self) -> Duration {
        let mut intervals: Vec<_> =
            self.policy.witnesses().iter().map(|witness| self.interval_of(witness)).collect();
        intervals.push(Duration::ZERO);
        intervals.sort_unstable();
        let enough = |interval: &Duration| {
            self.policy.holds(|one| self.is_waited_for(one) && self.interval_of(one) <= *interval)
        };
        intervals.into_iter().find(enough).unwrap_or(Duration::from_nanos(DAY_NS))
    }

    /// Whether a round waits for this witness: it is not in `also_ask`.
    pub fn is_waited_for(&self, witness: &PolicyWitness) -> bool {
        !self.also_ask.contains(&witness.name)
    }

    /// The least time between two requests to a witness; 0 without a budget.
    pub fn interval_of(&self, witness: &PolicyWitness) -> Duration {
        let budget = self.per_day.get(&witness.name);
        let interval_ns = budget.map_or(0, |count| DAY_NS.div_ceil(u64::from(*count).max(1)));
        Duration::from_nanos(interval_ns)
    }

    /// Checks that the policy, if it names logs at all, names the log with this key: clients would
    /// refuse every checkpoint under it otherwise.
    ///
    /// # Errors
    /// [`ConfigError::Value`] with the key.
    pub fn check_log_key(&self, key: &VerifierKey) -> Result<(), ConfigError> {
        let logs = self.policy.logs();
        if logs.is_empty() || logs.iter().any(|log| log.key == *key) {
            return Ok(());
        }
        Err(ConfigError::Value(format!("the witness policy names other logs, but not {key}")))
    }

    /// Checks the configuration as far as that goes without asking anybody.
    fn check(&self) -> Result<(), String> {
        let count = self.policy.witnesses().len();
        if count > WITNESSES_MAX {
            return Err(format!("{count} witnesses are more than {WITNESSES_MAX}"));
        }
        for witness in self.policy.witnesses() {
            let url = witness.url.as_deref();
            let url = url.ok_or_else(|| format!("witness {} has no URL", witness.name))?;
            WitnessClient::new(url)
                .map_err(|error| format!("witness {}: {error}", witness.name))?;
        }
        self.check_names("also_ask", self.also_ask.iter())?;
        self.check_names("witness_per_day", self.per_day.keys())?;
        if let Some((name, _)) = self.per_day.iter().find(|(_, count)| **count == 0) {
            return Err(format!("witness_per_day: {name} would never be asked"));
        }
        if !self.policy.holds(|witness| self.is_waited_for(witness)) {
            return Err("also_ask: the quorum cannot be met by the other witnesses".into());
        }
        let interval = self.round_interval();
        if interval > ROUND_INTERVAL_MAX && !self.allow_slow_quorum {
            return Err(format!(
                "witness_per_day lets the quorum meet every {} s only: put slow witnesses into \
                 also_ask, or set allow_slow_quorum = true",
                interval.as_secs_f32()
            ));
        }
        Ok(())
    }

    /// Checks the flags of this start against the policy.
    fn check_start(&self) -> Result<(), String> {
        self.check_names("--exclude-witness", self.excluded.iter())?;
        let counts = |witness: &PolicyWitness| !self.excluded.contains(&witness.name);
        if !self.policy.enough_answers(counts) {
            return Err("--exclude-witness: those excluded could be a quorum by themselves, so \
                        the question at the start would never be answered"
                .into());
        }
        let can_hold = self.policy.holds(|witness| counts(witness) && self.is_waited_for(witness));
        if !can_hold && self.on_missing_quorum == OnMissingQuorum::Refuse {
            return Err("--exclude-witness: the quorum cannot be met without those excluded, so \
                        nothing would be published"
                .into());
        }
        Ok(())
    }

    fn check_names<'a>(
        &self,
        key: &str,
        mut names: impl Iterator<Item = &'a String>,
    ) -> Result<(), String> {
        let known = |name: &String| self.policy.witnesses().iter().any(|one| one.name == *name);
        match names.find(|name| !known(name)) {
            Some(name) => Err(format!("{key}: the policy has no witness {name:?}")),
            None => Ok(()),
        }
    }
}

impl LogConfig {
    /// The witnesses of this log, with its policy file read and everything checked. A log without
    /// `witness_policy` has the policy `none`.
    ///
    /// # Errors
    /// [`ConfigError`] names the file or the key.
    pub fn witnesses(&self, data_dir: &Path) -> Result<WitnessSettings, ConfigError> {
        let wrong = |why: String| ConfigError::Value(format!("log {}: {why}", self.name));
        let policy = match &self.witness_policy {
            Some(path) => read_policy(&data_dir.join(path))?,
            None => WitnessPolicy::none(),
        };
        let settings = WitnessSettings {
            policy,
            also_ask: self.also_ask.clone(),
            allow_slow_quorum: self.allow_slow_quorum,
            on_missing_quorum: self.on_missing_quorum,
            per_day: self.witness_per_day.clone(),
            unchecked_start: self.unchecked_start,
            excluded: self.excluded_witnesses.clone(),
        };
        if self.witness_policy.is_none() && self.on_missing_quorum == OnMissingQuorum::Publish {
            return Err(wrong("on_missing_quorum: there is no witness_policy".into()));
        }
        settings.check().map_err(wrong)?;
        settings
            .check_start()
            .map_err(|why| ConfigError::Flag(format!("log {}: {why}", self.name)))?;
        Ok(settings)
    }
}

fn read_policy(path: &Path) -> Result<WitnessPolicy, ConfigError> {
    let unreadable = |source| ConfigError::File { path: path.into(), source };
    let mut text = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    // One byte more than is allowed, so that the parser sees that it is too long.
    file.take(POLICY_BYTES_MAX as u64 + 1).read_to_end(&mut text).map_err(unreadable)?;
    WitnessPolicy::parse(&text)
        .map_err(|error| ConfigError::Syntax { path: path.into(), message: error.to_string() })
}

#[cfg(test)]
mod tests;

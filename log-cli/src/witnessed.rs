//! Whether enough witnesses have cosigned what a log signed, under a witness policy (tlog-policy).
//!
//! In scope: the policy file, which of its logs is meant, the quorum and the age of cosignatures.
//! Out of scope: the signature of the log itself, which the caller has verified before.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use log_core::cosignature::Cosignature;
use log_core::policy::{PolicyWitness, WitnessPolicy};
use log_core::{Checkpoint, Origin, SignedNote, TreeId, VerifierKey};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::files::{self, SMALL_FILE_BYTES_MAX};
use crate::output::Printable;

/// How far in the future a cosignature may be dated and still count: clocks of honest parties
/// differ by less.
pub const CLOCK_SKEW_S_MAX: u64 = 300;

/// Which witnesses must have cosigned, as options of a command.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct PolicyArgs {
    /// The witnesses that must have cosigned the checkpoint: a tlog-policy file. If it names
    /// logs, the log must be one of them. A cosignature that is dated more than five minutes
    /// ahead of this machine's clock never counts.
    #[arg(long, value_name = "POLICY")]
    pub witness_policy: Option<PathBuf>,
    /// Count only cosignatures of at most that age, in seconds.
    #[arg(long, value_name = "N", requires = "witness_policy")]
    pub cosignature_age_max_s: Option<u64>,
}

impl PolicyArgs {
    /// What these options demand, if anything.
    pub fn demand(&self) -> Result<Option<WitnessDemand>, Failure> {
        let Some(path) = &self.witness_policy else {
            return Ok(None);
        };
        let policy = read_policy(path)?;
        Ok(Some(WitnessDemand { policy, age_s_max: self.cosignature_age_max_s, now_s: now_s() }))
    }
}

/// Reads a policy file; one that cannot be used leaves every question about it open.
pub fn read_policy(path: &Path) -> Result<WitnessPolicy, Failure> {
    WitnessPolicy::parse(&files::read(path, SMALL_FILE_BYTES_MAX)?)
        .map_err(|error| Failure::undecided(format!("{}: {error}", path.display())))
}

/// Seconds since 1970 by this machine's clock.
pub fn now_s() -> u64 {
    // A clock before 1970 makes every cosignature one of the future, which does not count.
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}

/// What a checkpoint must have beside its log's signature.
#[derive(Clone, Debug)]
pub struct WitnessDemand {
    /// Who must have cosigned.
    pub policy: WitnessPolicy,
    /// Oldest cosignature that counts, in seconds before `now_s`.
    pub age_s_max: Option<u64>,
    /// The time to count from, in seconds since 1970.
    pub now_s: u64,
}

/// One witness of the policy that cosigned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Witnessed {
    /// Its name in the policy.
    pub name: String,
    /// When it says that it did, in seconds since 1970.
    pub time_s: u64,
}

impl Witnessed {
    /// As programs read it.
    pub fn to_json(&self) -> Value {
        json!({ "name": self.name, "time": show_time(self.time_s) })
    }
}

impl WitnessDemand {
    /// Whether the note, which `key` signed for the log `origin`, is of a log of the policy and
    /// has its quorum. Gives every witness of the policy that cosigned, old cosignatures included,
    /// but none that is dated further in the future than clocks differ.
    ///
    /// # Errors
    /// [`WitnessRefusal`] says what is missing.
    pub fn check(
        &self,
        note: &SignedNote,
        origin: &Origin,
        key: &VerifierKey,
    ) -> Result<Vec<Witnessed>, WitnessRefusal> {
        if !is_listed(&self.policy, note, origin, key) {
            return Err(WitnessRefusal::OtherLog(origin.clone()));
        }
        let is_past = |(_, cosignature): &(&PolicyWitness, Cosignature)| {
            is_fresh(cosignature.time_s(), self.now_s, u64::MAX)
        };
        let (cosigned, future): (Vec<_>, Vec<_>) =
            self.policy.cosigned(note).into_iter().partition(is_past);
        let holds = |fresh: &dyn Fn(&Cosignature) -> bool| {
            self.policy.holds(|witness| {
                let counts = |(by, cosignature): &(&PolicyWitness, Cosignature)| {
                    *by == witness && fresh(cosignature)
                };
                cosigned.iter().any(counts)
            })
        };
        if !holds(&|_| true) {
            return Err(self.lacks_quorum(&cosigned, &future));
        }
        if let Some(age_s_max) = self.age_s_max
            && !self.policy.is_none()
            && !holds(&|cosignature| is_fresh(cosignature.time_s(), self.now_s, age_s_max))
        {
            let newest = cosigned.iter().map(|(_, cosignature)| cosignature.time_s()).max();
            let newest = show_time(newest.unwrap_or_default());
            return Err(WitnessRefusal::Old { age_s_max, newest });
        }
        let witnessed = |(witness, cosignature): (&PolicyWitness, Cosignature)| Witnessed {
            name: witness.name.clone(),
            time_s: cosignature.time_s(),
        };
        Ok(cosigned.into_iter().map(witnessed).collect())
    }

    /// Names those whose cosignatures count, and those whose are missing or of the future.
    fn lacks_quorum(
        &self,
        cosigned: &[(&PolicyWitness, Cosignature)],
        future: &[(&PolicyWitness, Cosignature)],
    ) -> WitnessRefusal {
        let has = |witness: &&PolicyWitness| cosigned.iter().any(|(by, _)| by == witness);
        let (by, without) = self.policy.witnesses().iter().partition::<Vec<_>, _>(has);
        let name = |witness: &PolicyWitness| {
            let dated = future.iter().find(|(by, _)| *by == witness);
            dated.map_or_else(
                || witness.name.clone(),
                |(_, late)| format!("{} (dated {})", witness.name, show_time(late.time_s())),
            )
        };
        let names = |witnesses: Vec<&PolicyWitness>| {
            let names: Vec<String> = witnesses.into_iter().map(name).collect();
            if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
        };
        WitnessRefusal::Quorum { by: names(by), without: names(without) }
    }
}

/// The lines that name the witnesses, for people; empty if there are none.
pub fn cosigned_by(witnesses: &[Witnessed]) -> String {
    let line = |Witnessed { name, time_s }: &Witnessed| {
        format!("\ncosigned by {} at {}", Printable(name), show_time(*time_s))
    };
    witnesses.iter().map(line).collect()
}

/// Whether a cosignature of that time is young enough, and not of the future.
pub fn is_fresh(time_s: u64, now_s: u64, age_s_max: u64) -> bool {
    time_s <= now_s.saturating_add(CLOCK_SKEW_S_MAX) && now_s.saturating_sub(time_s) <= age_s_max
}

/// A time as people and programs read it: RFC 3339 in UTC.
pub fn show_time(time_s: u64) -> String {
    let time = i64::try_from(time_s).ok().and_then(|s| Timestamp::from_second(s).ok());
    time.map_or_else(|| format!("second {time_s}"), |time| time.to_string())
}

/// Which log a checkpoint must be of, as far as the command line says.
#[derive(Clone, Debug)]
pub struct LogClaim {
    origin: Option<Origin>,
    key: Option<VerifierKey>,
}

impl LogClaim {
    /// Reads the options `--log-vkey` and `--origin`.
    pub fn read(vkey: Option<&str>, origin: Option<&str>) -> Result<Self, Failure> {
        let key = vkey.map(files::read_log_vkey).transpose()?;
        let named = key.as_ref().map(|key| key.name().as_str());
        let origin = origin.or(named).map(Origin::parse).transpose();
        Ok(Self { origin: origin.map_err(|error| Failure::Usage(error.to_string()))?, key })
    }

    /// Refuses, before anything is read, a command line that names no log at all.
    pub fn check_usage(&self, demand: Option<&WitnessDemand>) -> Result<(), Failure> {
        let named = demand.is_some_and(|demand| !demand.policy.logs().is_empty());
        if named || self.key.is_some() {
            return Ok(());
        }
        let usage = "give --log-vkey, or a --witness-policy that names the log";
        Err(Failure::Usage(usage.to_owned()))
    }

    /// The origin and keys that this checkpoint must have: those of the command line, else those
    /// of the policy's log that the checkpoint claims to be of. The keys decide whether it is.
    pub fn log_of(
        &self,
        checkpoint: &str,
        demand: Option<&WitnessDemand>,
    ) -> Result<(Origin, Vec<VerifierKey>), Failure> {
        let origin = match &self.origin {
            Some(origin) => origin.clone(),
            None => {
                Origin::parse(checkpoint.lines().next().unwrap_or_default()).map_err(Failure::no)?
            }
        };
        let keys = match (&self.key, demand) {
            (Some(key), _) => vec![key.clone()],
            (None, None) => Vec::new(),
            (None, Some(demand)) => log_keys(&demand.policy, &origin, self.origin.is_some()),
        };
        if keys.is_empty() {
            return Err(Failure::no(WitnessRefusal::OtherLog(origin)));
        }
        Ok((origin, keys))
    }
}

/// The keys under which the policy names the log with this origin: by the origin, or by the host
/// of an origin `HOST - TREEID`, as Rekor v1 has it. A policy that names one log only may do so
/// under another name, if `origin` was given by the user: origins with spaces are no key names.
pub fn log_keys(policy: &WitnessPolicy, origin: &Origin, given: bool) -> Vec<VerifierKey> {
    let keys = policy.logs().iter().map(|log| &log.key);
    let host = TreeId::host_and_tree(origin).map(|(host, _)| host);
    let is_name = |name: &str| name == origin.as_str() || Some(name) == host;
    let named: Vec<_> = keys.clone().filter(|key| is_name(key.name().as_str())).cloned().collect();
    let mut names: Vec<_> = keys.clone().map(VerifierKey::name).collect();
    names.dedup();
    if named.is_empty() && given && names.len() == 1 { keys.cloned().collect() } else { named }
}

/// Reads a note as a checkpoint of `origin` that one of `keys` signed, and gives that key.
///
/// # Errors
/// As [`log_core::SignedCheckpoint::open`]; a line of any of the keys that fails is an error.
pub fn open_checkpoint<'k>(
    note: &SignedNote,
    origin: &Origin,
    keys: &'k [VerifierKey],
) -> Result<(Checkpoint, &'k VerifierKey), log_core::checkpoint::OpenError> {
    let signed = note.verify(keys)?;
    let checkpoint = Checkpoint::parse(note.text())?;
    if checkpoint.origin != *origin {
        return Err(log_core::checkpoint::OpenError::OtherOrigin(checkpoint.origin));
    }
    let key = *signed.first().expect("invariant: a verified note has a key that signed it");
    Ok((checkpoint, key))
}

/// Whether the log is one that the policy names, or the policy names none: under the name of the
/// log or of its key, with the key that signed or another one that signed as well.
fn is_listed(
    policy: &WitnessPolicy,
    note: &SignedNote,
    origin: &Origin,
    key: &VerifierKey,
) -> bool {
    let keys = policy.logs().iter().map(|log| log.key.clone());
    let named = |listed: &VerifierKey| {
        listed.name() == key.name() || listed.name().as_str() == origin.as_str()
    };
    let named: Vec<_> = keys.filter(named).collect();
    policy.logs().is_empty()
        || named.iter().any(|listed| listed.same_public_key(key))
        || note.verify(&named).is_ok()
}

/// What is missing that a policy demands.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WitnessRefusal {
    /// The policy names logs, and this is none of them.
    #[error("the witness policy does not name the log {0}")]
    OtherLog(Origin),
    /// Too few witnesses cosigned.
    #[error("the quorum of the witness policy is missing: cosigned by {by}, not by {without}")]
    Quorum {
        /// The witnesses that cosigned.
        by: String,
        /// Those that did not, and those whose cosignature is of the future, with its time.
        without: String,
    },
    /// Enough cosigned, but too long ago.
    #[error(
        "the quorum of the witness policy is too old: too few cosignatures of the last \
         {age_s_max} s, the newest is of {newest}"
    )]
    Old {
        /// Oldest age that counts, in seconds.
        age_s_max: u64,
        /// The time of the newest cosignature.
        newest: String,
    },
}

//! Does everybody see the same log? What a log and its witnesses show now, and what the log showed
//! last time, compared with one another; whoever signed two histories is convicted.
//!
//! The order: read the heads (`heads`), compare them with the help of the log's tiles (`compare`),
//! keep the newest head that fits (`state`). Nobody is called convicted without evidence that
//! verifies with the code that judges evidence files.

pub mod compare;
pub mod heads;
pub mod state;

use std::path::Path;

use log_core::evidence::{EVIDENCE_BYTES_MAX, Evidence, EvidenceRole};
use log_core::policy::WitnessPolicy;
use log_core::{Origin, VerifierKey};

use crate::audit::compare::Compared;
use crate::audit::heads::{Readings, Shown, Source};
use crate::files;
use crate::witnessed::{WitnessDemand, is_fresh, now_s, show_time};

/// Whose heads are compared, and whose word counts.
#[derive(Clone, Debug)]
pub struct Audited {
    /// The log.
    pub origin: Origin,
    /// The keys that may speak for it.
    pub keys: Vec<VerifierKey>,
    /// Its witnesses.
    pub policy: WitnessPolicy,
}

/// What an audit found.
#[derive(Debug, Default)]
pub struct Report {
    /// Every head that the log signed, and who showed it.
    pub heads: Vec<Shown>,
    /// Who signed two histories.
    pub convictions: Vec<Conviction>,
    /// What is older than it should be, or lacks the witnesses that it should have.
    pub stale: Vec<String>,
    /// What could not be told, with the reason.
    pub undecided: Vec<String>,
    /// What a person should know, and what decides nothing.
    pub remarks: Vec<String>,
    /// Index in `heads` of the newest head that all smaller ones are proved to be beginnings of.
    pub newest: Option<usize>,
}

/// Evidence that verifies, and where it is kept.
#[derive(Debug)]
pub struct Conviction {
    /// The evidence.
    pub evidence: Evidence,
    /// Whom it convicts.
    pub role: EvidenceRole,
    /// The keys that signed.
    pub keys: Vec<VerifierKey>,
    /// Who showed the heads that contradict each other.
    pub shown_by: String,
    /// The path of the file, or why it could not be written.
    pub kept: Result<String, String>,
}

impl Audited {
    /// Compares what was read. Evidence is verified, and written to `directory`, before the report
    /// calls anybody convicted.
    pub fn judge(&self, readings: Readings, age_s_max: u64, directory: &Path) -> Report {
        let Readings { shown, undecided, client } = readings;
        let mut report = Report { undecided, ..Report::default() };
        self.check_freshness(&shown, age_s_max, &mut report);
        if let [alone] = shown.as_slice() {
            report.undecided.push(format!("{} alone showed a head", alone.source));
        }
        let compared = self.compare(&shown, &client);
        let Compared { accusations, undecided, newest } = compared;
        report.undecided.extend(undecided);
        report.newest = newest;
        for accusation in accusations {
            match self.convict(&accusation, &shown, directory) {
                Some(conviction) => report.convictions.push(conviction),
                None => report.undecided.push(format!(
                    "evidence about {} does not verify: nobody is accused",
                    accusation.shown_by(&shown)
                )),
            }
        }
        report.heads = shown;
        report
    }

    /// Whether the log's own checkpoint has its quorum, and a fresh one, and is no smaller than
    /// what was seen before; and whether what each witness shows is fresh.
    fn check_freshness(&self, shown: &[Shown], age_s_max: u64, report: &mut Report) {
        let now_s = now_s();
        let log = shown.iter().find(|shown| shown.source == Source::Log);
        if let Some(log) = log {
            let demand =
                WitnessDemand { policy: self.policy.clone(), age_s_max: Some(age_s_max), now_s };
            let key = self.keys.first().expect("invariant: an audited log has a key");
            if let Err(refusal) = demand.check(&log.note, &self.origin, key) {
                report.stale.push(refusal.to_string());
            }
        }
        let last = shown.iter().find(|shown| shown.source == Source::LastTime);
        if let (Some(log), Some(last)) = (log, last)
            && last.head.size > log.head.size
        {
            let (now, then) = (log.head.size, last.head.size);
            report.stale.push(format!("the log shows size {now}, the last audit saw size {then}"));
        }
        for shown in shown {
            let own = shown.own_witnesses(self);
            let is_own = |name: &str| own.iter().any(|witness| witness.name == name);
            let cosigned = shown.cosignatures.iter().filter(|cosigned| is_own(&cosigned.name));
            let Some(time_s) = cosigned.map(|cosigned| cosigned.time_s).max() else { continue };
            if !is_fresh(time_s, now_s, age_s_max) {
                let (source, time) = (&shown.source, show_time(time_s));
                report.stale.push(format!("{source} shows a cosignature of {time}"));
            }
        }
    }

    /// Verifies the evidence as anybody would who is given the file, and keeps it.
    fn convict(
        &self,
        accusation: &compare::Accusation,
        shown: &[Shown],
        directory: &Path,
    ) -> Option<Conviction> {
        let (role, keys) = match &accusation.cosigner {
            None => (EvidenceRole::Log, self.keys.clone()),
            Some(key) => (EvidenceRole::Cosigner, vec![key.clone()]),
        };
        let shown_by = accusation.shown_by(shown);
        let comments = comments(accusation, shown);
        let evidence = accusation.evidence.clone().with_comments(comments);
        let file = evidence.to_string();
        let read_back = Evidence::parse(file.as_bytes()).ok()?;
        let proven = read_back.verify(role, &self.origin, &keys).ok()?;
        let kept = keep(directory, &evidence, &file);
        Some(Conviction { evidence, role, keys: proven.keys, shown_by, kept })
    }
}

/// Writes the file under its id. One that is there already says the same and stays.
fn keep(directory: &Path, evidence: &Evidence, file: &str) -> Result<String, String> {
    let path = directory.join(format!("{}.tlog-evidence", evidence.id()));
    let limit = u64::try_from(EVIDENCE_BYTES_MAX).expect("invariant: a small constant");
    let existing = files::read_start(&path, limit).ok();
    let existing = existing.and_then(|bytes| Evidence::parse(&bytes).ok());
    if existing.is_none_or(|existing| existing.id() != evidence.id()) {
        std::fs::create_dir_all(directory).map_err(|error| error.to_string())?;
        files::write(&path, file.as_bytes()).map_err(|failure| failure.to_string())?;
    }
    Ok(path.display().to_string())
}

/// When and where it was seen. These lines prove nothing, and the id does not cover them.
fn comments(accusation: &compare::Accusation, shown: &[Shown]) -> Vec<String> {
    let seen = accusation.heads.iter().map(|index| {
        let Shown { source, head, .. } = &shown[*index];
        format!("{source} showed size {}, root {}", head.size, head.root_hash.to_base64())
    });
    let mut lines = vec![format!("collected by cairn audit at {}", show_time(now_s()))];
    lines.extend(seen);
    if let (Some((prefix, _)), [first, second]) =
        (accusation.evidence.prefix(), accusation.evidence.checkpoints())
    {
        let (m, n, signed) = (first.head.size, second.head.size, first.head.root_hash);
        lines.push(format!(
            "the first {m} leaves of the tree of size {n} have the root {}, but {} was signed",
            prefix.to_base64(),
            signed.to_base64()
        ));
    }
    lines
}

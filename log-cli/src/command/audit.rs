//! `cairn audit`: do a log and its witnesses show one history, and the one of last time?

use std::path::PathBuf;

use log_core::policy::WitnessPolicy;
use log_core::{KeyName, Origin, VerifierKey};
use serde_json::{Value, json};

use crate::audit::heads::{Readings, Shown, Source, without_credentials};
use crate::audit::state::State;
use crate::audit::{Audited, Conviction, Report};
use crate::client::LogClient;
use crate::failure::Failure;
use crate::files;
use crate::output::{Answer, Printable};
use crate::witnessed::{cosigned_by, log_keys, read_policy};

/// Oldest cosignature that counts as fresh, in seconds, unless the user says otherwise. An idle
/// log has its witnesses cosign anew every ten minutes, and a witness may show its checkpoints up
/// to an hour late.
const AGE_S_MAX: u64 = 3_600;

/// What the exit codes mean, in the help.
const EXIT_CODES: &str = "\
Exit codes:
  0  the log and every witness of the policy showed a head, all heads are of one
     history, and what they show is fresh
  1  somebody is convicted, with a file of evidence; or, without that, something is
     stale: the log's checkpoint lacks its quorum or has an old one, the log is
     smaller than at the last audit, or a witness shows an old cosignature
  2  the command line makes no sense
  3  could not tell: a witness of the policy was not asked or does not answer, one
     head alone was shown and there was nothing to compare it with, tiles are
     missing, or there is a suspicion without proof. So ends the first audit of a
     log without witnesses; with --state the next one can compare";

/// Arguments of `cairn audit`.
#[derive(Debug, clap::Args)]
#[command(after_help = EXIT_CODES)]
pub struct AuditArgs {
    /// The URL of the server, or the prefix of the log's tiles.
    #[arg(long)]
    pub url: String,
    /// The name of the log on a Cairn server; else the log that the root of the URL serves.
    #[arg(long, value_name = "NAME")]
    pub log: Option<String>,
    /// The witnesses of the log: a tlog-policy file.
    #[arg(long, value_name = "POLICY")]
    pub policy: PathBuf,
    /// The monitoring prefixes of all witnesses; by default the URLs in the policy.
    #[arg(long, value_name = "URL", num_args = 1..)]
    pub witness: Vec<String>,
    /// The verifier key of the log, or a file that holds it, if the policy names no log.
    #[arg(long, value_name = "VKEY")]
    pub log_vkey: Option<String>,
    /// The origin of the log, if the policy names several, or if it is not the name of its key.
    #[arg(long)]
    pub origin: Option<String>,
    /// Where the newest head is remembered from audit to audit, to be compared with what the log
    /// and the witnesses show then. Not for two audits at a time.
    #[arg(long, value_name = "FILE")]
    pub state: Option<PathBuf>,
    /// Where evidence goes, in files `ID.tlog-evidence`.
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub evidence_dir: PathBuf,
    /// Oldest cosignatures, in seconds, that make the log's checkpoint and what a witness shows
    /// fresh.
    #[arg(long, value_name = "N", default_value_t = AGE_S_MAX)]
    pub age_max_s: u64,
}

/// Collects, compares, remembers.
pub fn run(args: &AuditArgs) -> Result<Answer, Failure> {
    let usage = |error: crate::client::ClientError| Failure::Usage(error.to_string());
    let server = LogClient::new(&args.url).map_err(usage)?;
    let client = match &args.log {
        Some(name) => server.log(name).map_err(usage)?,
        None => server,
    };
    let policy = read_policy(&args.policy)?;
    let (origin, keys) = audited_log(args, &policy, client.base_url())?;
    let witnesses = witnesses(args, &policy)?;
    let audited = Audited { origin, keys, policy };
    let state = args.state.as_deref().map(State::read).transpose()?;
    let last = match state.as_ref().and_then(|state| state.note(&audited.origin)) {
        None => None,
        Some(note) => {
            let note = note.to_string();
            let shown = Shown::open(Source::LastTime, note.as_bytes(), &audited);
            Some(shown.map_err(Failure::undecided)?)
        }
    };
    let readings = Readings::collect(&audited, client, &witnesses, last);
    let mut report = audited.judge(readings, args.age_max_s, &args.evidence_dir);
    if witnesses.is_empty() && audited.policy.witnesses().is_empty() {
        report.remarks.push("the log has no witnesses: only its past speaks against it".into());
    }
    let answer = answer(&audited.origin, &report);
    let remembered = match (state, report.newest) {
        (Some(state), Some(newest)) => state.advance(&report.heads[newest].note),
        _ => Ok(()),
    };
    match remembered {
        // A stronger reason stands; the state file is the old one and the next audit tries again.
        Err(failure) if answer.failure.is_none() => Ok(answer.but(failure)),
        _ => Ok(answer),
    }
}

/// The log that is meant, and the keys that may speak for it.
fn audited_log(
    args: &AuditArgs,
    policy: &WitnessPolicy,
    url: &str,
) -> Result<(Origin, Vec<VerifierKey>), Failure> {
    let origin_of =
        |text: &str| Origin::parse(text).map_err(|error| Failure::Usage(error.to_string()));
    let given = args.origin.as_deref().map(origin_of).transpose()?;
    if let Some(vkey) = &args.log_vkey {
        let key = files::read_log_vkey(vkey)?;
        let named = || origin_of(key.name().as_str());
        let origin = given.map_or_else(named, Ok)?;
        let same = |listed: &VerifierKey| {
            listed.same_public_key(&key)
                && (listed.name() == key.name() || listed.name().as_str() == origin.as_str())
        };
        let is_listed = policy.logs().iter().any(|log| same(&log.key));
        if !policy.logs().is_empty() && !is_listed {
            return Err(Failure::Usage("the policy does not name the log of that key".to_owned()));
        }
        return Ok((origin, vec![key]));
    }
    let logs = policy.logs();
    let at_url = |log: &&log_core::policy::PolicyLog| {
        log.url.as_deref().is_some_and(|there| there.trim_end_matches('/') == url)
    };
    let mut names: Vec<&KeyName> = logs.iter().map(|log| log.key.name()).collect();
    if names.iter().any(|name| *name != names[0]) {
        names = logs.iter().filter(at_url).map(|log| log.key.name()).collect();
    }
    names.dedup();
    let origin = match (given.clone(), names.as_slice()) {
        (Some(origin), _) => origin,
        (None, [name]) => origin_of(name.as_str())?,
        (None, _) if logs.is_empty() => {
            return Err(Failure::Usage("the policy names no log; give --log-vkey".to_owned()));
        }
        (None, _) => {
            let usage = "the policy names several logs; say which with --origin";
            return Err(Failure::Usage(usage.to_owned()));
        }
    };
    let keys = log_keys(policy, &origin, given.is_some());
    if keys.is_empty() {
        return Err(Failure::Usage(format!("the policy does not name the log {origin}")));
    }
    Ok((origin, keys))
}

/// The witnesses to ask, each once.
fn witnesses(
    args: &AuditArgs,
    policy: &WitnessPolicy,
) -> Result<Vec<(String, LogClient)>, Failure> {
    let of_policy = policy.witnesses().iter().filter_map(|witness| witness.url.as_ref());
    let urls: Vec<&String> =
        if args.witness.is_empty() { of_policy.collect() } else { args.witness.iter().collect() };
    let mut witnesses: Vec<(String, LogClient)> = Vec::new();
    for url in urls {
        let client = LogClient::new(url).map_err(|error| Failure::Usage(error.to_string()))?;
        if witnesses.iter().all(|(_, known)| known.base_url() != client.base_url()) {
            witnesses.push((without_credentials(url), client));
        }
    }
    Ok(witnesses)
}

fn answer(origin: &Origin, report: &Report) -> Answer {
    let answer = Answer::new(text(origin, report), to_json(origin, report));
    if let Some(conviction) = report.convictions.first() {
        let reason = format!("convicted: {}", describe(conviction));
        return answer.but(Failure::no(reason));
    }
    if let Some(reason) = report.stale.first() {
        return answer.but(Failure::no(format!("stale: {reason}")));
    }
    match report.undecided.as_slice() {
        [] => answer,
        reasons => {
            answer.but(Failure::undecided(format!("could not tell: {}", reasons.join("; "))))
        }
    }
}

fn text(origin: &Origin, report: &Report) -> String {
    let mut lines = vec![format!("log {}", Printable(origin.as_str()))];
    for Shown { source, head, cosignatures, .. } in &report.heads {
        let (size, root) = (head.size, head.root_hash.to_base64());
        lines.push(format!("{source}: size {size}, root {root}"));
        let cosigned = cosigned_by(cosignatures);
        lines.extend(cosigned.lines().skip(1).map(|line| format!("  {line}")));
    }
    for conviction in &report.convictions {
        lines.push(format!("CONVICTED: {}", describe(conviction)));
        match &conviction.kept {
            Ok(path) => lines.push(format!("  evidence in {path}")),
            // It must not be lost: whoever reads this has it here.
            Err(reason) => {
                lines.push(format!("  the evidence could not be written: {reason}"));
                lines.extend(conviction.evidence.to_string().lines().map(str::to_owned));
            }
        }
    }
    lines.extend(report.stale.iter().map(|reason| format!("STALE: {reason}")));
    lines.extend(report.undecided.iter().map(|reason| format!("could not tell: {reason}")));
    lines.extend(report.remarks.iter().map(|remark| format!("remark: {remark}")));
    if report.convictions.is_empty() && report.undecided.is_empty() {
        lines.push("consistent: all heads are of one history".to_owned());
    }
    let printable = |line: &String| Printable(line).to_string();
    lines.iter().map(printable).collect::<Vec<_>>().join("\n")
}

fn describe(conviction: &Conviction) -> String {
    let Conviction { evidence, keys, shown_by, .. } = conviction;
    let keys: Vec<_> = keys.iter().map(|key| format!("{}+{}", key.name(), key.id())).collect();
    format!("{} by {}: {shown_by}", evidence.kind(), keys.join(", "))
}

fn to_json(origin: &Origin, report: &Report) -> Value {
    let convictions = report.convictions.iter().map(|conviction| {
        json!({
            "kind": conviction.evidence.kind().as_str(),
            "id": conviction.evidence.id().to_string(),
            "keys": conviction.keys.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "shownBy": conviction.shown_by,
            "file": conviction.kept.as_ref().ok(),
            "evidence": conviction.evidence.to_string(),
        })
    });
    let newest = report.newest.map(|index| report.heads[index].to_json());
    json!({
        "origin": origin.as_str(),
        "consistent": report.convictions.is_empty() && report.undecided.is_empty(),
        "fresh": report.stale.is_empty(),
        "heads": report.heads.iter().map(Shown::to_json).collect::<Vec<_>>(),
        "newest": newest,
        "convictions": convictions.collect::<Vec<_>>(),
        "stale": report.stale,
        "undecided": report.undecided,
        "remarks": report.remarks,
    })
}

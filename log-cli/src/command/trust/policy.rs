//! The policy files of `cairn trust export`: which witnesses must have cosigned.

use log_core::policy::WitnessPolicy;

use super::{ListedLog, REKOR_V2};
use crate::failure::Failure;
use crate::output::Printable;
use crate::witnessed::{WitnessDemand, now_s};

/// The names and texts of the policy files. `policy.txt` holds the first log of Rekor v2 and all
/// logs with the same witnesses and quorum; every other log gets a `NAME.policy.txt`.
pub(super) fn policy_files(logs: &[ListedLog]) -> Result<Vec<(String, String)>, Failure> {
    let rules = logs.iter().map(rules_of).collect::<Result<Vec<_>, _>>()?;
    let first = logs.iter().position(|log| log.listed.personality == REKOR_V2).unwrap_or(0);
    let mut main = String::new();
    let mut others = Vec::new();
    for (log, rules_of_log) in logs.iter().zip(&rules) {
        let line = format!("log {} {}\n", log.trust.key, log.url);
        if rules.get(first) == Some(rules_of_log) {
            main.push_str(&line);
        } else {
            others.push((format!("{}.policy.txt", log.listed.name), line + rules_of_log));
        }
    }
    main.push_str(rules.get(first).map_or("", String::as_str));
    let mut files = vec![("policy.txt".to_owned(), main)];
    files.append(&mut others);
    for (name, text) in &files {
        check(name, text, logs)?;
    }
    Ok(files)
}

/// The witnesses, groups and quorum that the server states for a log, in canonical spelling.
fn rules_of(log: &ListedLog) -> Result<String, Failure> {
    let Some(policy) = &log.listed.witness_policy else {
        return Ok("quorum none\n".to_owned());
    };
    let policy = WitnessPolicy::parse(policy.as_bytes()).map_err(|error| {
        let name = Printable(&log.listed.name);
        Failure::no(format!("the server's log {name}: bad witness policy: {error}"))
    })?;
    let text = policy.to_string();
    // Its own log lines are replaced by those of the keys that were checked here.
    let rules = text.lines().filter(|line| !line.starts_with("log "));
    Ok(rules.map(|line| format!("{line}\n")).collect())
}

/// What is written must read back; a log that does not keep its own policy now is told of.
fn check(name: &str, text: &str, logs: &[ListedLog]) -> Result<(), Failure> {
    let policy = WitnessPolicy::parse(text.as_bytes())
        .map_err(|error| Failure::no(format!("{name} would be no policy: {error}")))?;
    let demand = WitnessDemand { policy, age_s_max: None, now_s: now_s() };
    for log in logs {
        let listed = demand.policy.logs().iter().any(|line| line.key == log.trust.key);
        let checkpoint = demand.check(&log.note, &log.trust.origin, &log.trust.key);
        if let (true, Err(refusal)) = (listed, checkpoint) {
            let origin = Printable(log.trust.origin.as_str()).to_string();
            eprintln!("cairn: the checkpoint that {origin} shows now: {refusal}");
        }
    }
    Ok(())
}

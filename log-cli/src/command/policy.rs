//! `cairn policy check`: what a witness policy protects from, and what it survives.

use std::path::PathBuf;

use log_core::policy::{QuorumArithmetic, WitnessPolicy};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::files::{self, SMALL_FILE_BYTES_MAX};
use crate::output::{Answer, Printable};

/// `cairn policy`.
#[derive(Debug, clap::Subcommand)]
pub enum PolicyCommand {
    /// Reads a policy and counts: how many witnesses must collude with the log before it can show
    /// two histories, and how many must fail before it can publish nothing.
    ///
    /// Keys with one key name or one URL are keys of one witness. It counts once, and the numbers
    /// are never too large; if its keys are not joined by an `any` group, they may be too small,
    /// and the report names those keys.
    ///
    /// Exit code 1 if the file is no policy, and also if under it the log could show two
    /// histories without the help of any witness: no quorum is asked for, or two quorums can be
    /// disjoint.
    Check(CheckArgs),
}

/// Arguments of `cairn policy check`.
#[derive(Debug, clap::Args)]
pub struct CheckArgs {
    /// The tlog-policy file.
    pub policy: PathBuf,
}

/// Reads and counts.
pub fn run(command: &PolicyCommand) -> Result<Answer, Failure> {
    let PolicyCommand::Check(args) = command;
    let policy = files::read(&args.policy, SMALL_FILE_BYTES_MAX)?;
    let policy = WitnessPolicy::parse(&policy)
        .map_err(|error| Failure::no(format!("{}: {error}", args.policy.display())))?;
    if policy.is_none() {
        let answer = Answer::new(text(&policy, None), to_json(&policy, None));
        return Ok(answer
            .but(Failure::no("the policy asks for no witness: the log can show two histories")));
    }
    let arithmetic = policy.quorum_arithmetic();
    let answer = Answer::new(text(&policy, Some(&arithmetic)), to_json(&policy, Some(&arithmetic)));
    if arithmetic.disjoint_quorums {
        return Ok(answer.but(Failure::no(
            "two quorums can be disjoint: the log can show two histories, each to its own \
             witnesses, although no witness does anything wrong",
        )));
    }
    Ok(answer)
}

fn text(policy: &WitnessPolicy, arithmetic: Option<&QuorumArithmetic>) -> String {
    let mut lines = Vec::new();
    for log in policy.logs() {
        lines.push(format!("log      {}", Printable(log.key.name().as_str())));
    }
    for witness in policy.witnesses() {
        let url = witness.url.as_deref().unwrap_or("no URL");
        let (name, key) = (Printable(&witness.name), Printable(witness.key.name().as_str()));
        lines.push(format!("witness  {name}  {key}  {}", Printable(url)));
    }
    let quorum = policy.to_string();
    let quorum =
        quorum.lines().filter(|line| line.starts_with("group ") || line.starts_with("quorum "));
    lines.extend(quorum.map(|line| Printable(line).to_string()));
    for keys in policy.repeated_witnesses() {
        let names: Vec<_> = keys.iter().map(|witness| witness.name.as_str()).collect();
        let names = names.join(", ");
        lines.push(format!(
            "warning: {} are keys of one witness, which has a vote for each; it counts once here, \
             and an `any` group of its keys would say so",
            Printable(&names)
        ));
    }
    if let Some(arithmetic) = arithmetic {
        let (fork, stop) = (arithmetic.faults_to_fork, arithmetic.failures_to_stop);
        lines.push(format!("to show two histories the log needs {} to collude", count(fork)));
        lines.push(format!("to stop the log {} must fail", count(stop)));
    }
    lines.join("\n")
}

fn count(witnesses: usize) -> String {
    if witnesses == 1 { "1 witness".to_owned() } else { format!("{witnesses} witnesses") }
}

fn to_json(policy: &WitnessPolicy, arithmetic: Option<&QuorumArithmetic>) -> Value {
    let logs = policy.logs().iter();
    let witnesses = policy.witnesses().iter().map(|witness| {
        json!({
            "name": witness.name,
            "vkey": witness.key.to_string(),
            "url": witness.url,
        })
    });
    let repeated = policy.repeated_witnesses().into_iter();
    let repeated = repeated
        .map(|keys| keys.into_iter().map(|witness| witness.name.clone()).collect::<Vec<_>>());
    json!({
        "logs": logs.map(|log| log.key.to_string()).collect::<Vec<_>>(),
        "witnesses": witnesses.collect::<Vec<_>>(),
        "policy": policy.to_string(),
        "repeatedWitnesses": repeated.collect::<Vec<_>>(),
        "faultsToFork": arithmetic.map_or(0, |arithmetic| arithmetic.faults_to_fork),
        "failuresToStop": arithmetic.map(|arithmetic| arithmetic.failures_to_stop),
        "disjointQuorums": arithmetic.is_none_or(|arithmetic| arithmetic.disjoint_quorums),
    })
}

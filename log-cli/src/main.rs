//! `cairn`: signs files into a transparency log, reads it, verifies it.
//!
//! Exit codes: 0 yes, 1 no (the reason on stderr), 2 wrong usage, 3 could not tell.

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser;
use log_cli::command::{
    audit, checkpoint, consistency, evidence, fsck, get, keygen, policy, search, submit, trust,
    verify,
};
use log_cli::failure::Failure;
use log_cli::output::{Answer, Printable};
use serde_json::json;

/// Signs files into a transparency log, reads it, verifies it.
///
/// Exit codes: 0 yes, 1 no (the reason on stderr), 2 wrong usage, 3 could not tell.
#[derive(Debug, Parser)]
#[command(name = "cairn", version, arg_required_else_help = true)]
struct Arguments {
    /// Print one JSON object on stdout instead of text.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a signing key.
    Keygen(keygen::KeygenArgs),
    /// Sign a file, log the signature, keep the proof.
    Submit(submit::SubmitArgs),
    /// Verify offline that a file is signed and logged.
    Verify(verify::VerifyArgs),
    /// Show one entry of a log, with its proof checked.
    Get(get::GetArgs),
    /// Find entries of a Rekor v1 log by artifact, name or key, and verify each of them.
    Search(search::SearchArgs),
    /// Show the newest checkpoint of a log.
    Checkpoint(checkpoint::CheckpointArgs),
    /// Prove that a log still begins with the tree of an older checkpoint.
    Consistency(consistency::ConsistencyArgs),
    /// Recompute a whole log from its public bytes.
    Fsck(fsck::FsckArgs),
    /// Compare what a log and its witnesses show now, and what the log showed last time.
    Audit(audit::AuditArgs),
    /// Judge files that convict a log or a witness.
    #[command(subcommand)]
    Evidence(evidence::EvidenceCommand),
    /// Judge witness policies.
    #[command(subcommand)]
    Policy(policy::PolicyCommand),
    /// Make the files that clients need to use a server's logs.
    #[command(subcommand)]
    Trust(trust::TrustCommand),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match &arguments.command {
        Command::Keygen(args) => keygen::run(args),
        Command::Submit(args) => submit::run(args),
        Command::Verify(args) => verify::run(args),
        Command::Get(args) => get::run(args),
        Command::Search(args) => search::run(args),
        Command::Checkpoint(args) => checkpoint::run(args),
        Command::Consistency(args) => consistency::run(args),
        Command::Fsck(args) => fsck::run(args),
        Command::Audit(args) => audit::run(args),
        Command::Evidence(command) => evidence::run(command),
        Command::Policy(command) => policy::run(command),
        Command::Trust(command) => trust::run(command),
    };
    match result {
        Ok(answer) => print(&answer, arguments.json),
        Err(failure) => {
            let reason = explain(&failure);
            if arguments.json {
                let json = json!({ "error": reason, "exitCode": failure.exit_code() });
                let _ = writeln!(std::io::stdout().lock(), "{json}");
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn print(answer: &Answer, as_json: bool) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    let printed = if as_json {
        writeln!(stdout, "{}", answer.json)
    } else if answer.text.is_empty() {
        Ok(())
    } else {
        writeln!(stdout, "{}", answer.text)
    };
    // A reader that went away is not our failure, and a full disk must not look like a yes.
    let unprinted = printed
        .and_then(|()| stdout.flush())
        .is_err_and(|error| error.kind() != std::io::ErrorKind::BrokenPipe);
    match &answer.failure {
        Some(failure) => {
            explain(failure);
            ExitCode::from(failure.exit_code())
        }
        None if unprinted => ExitCode::from(3),
        None => ExitCode::SUCCESS,
    }
}

/// Says on stderr why the answer is not a yes.
fn explain(failure: &Failure) -> String {
    let reason = failure.to_string();
    eprintln!("cairn: {}", Printable(&reason));
    reason
}

//! `cairn checkpoint`: shows what a log says of itself now.

use log_core::{Checkpoint, Origin, SignedCheckpoint, SignedNote, VerifierKey};
use serde_json::json;

use crate::client::LogClient;
use crate::failure::Failure;
use crate::files;
use crate::output::Answer;
use crate::witnessed::{
    LogClaim, PolicyArgs, WitnessDemand, Witnessed, cosigned_by, open_checkpoint,
};

/// Where a log is read and how its checkpoints are verified.
#[derive(Debug, clap::Args)]
pub struct LogArgs {
    /// The URL of the server, or the prefix of the log's tiles.
    #[arg(long)]
    pub url: String,
    /// The name of the log on a Cairn server; else the log that the root of the URL serves.
    #[arg(long, value_name = "NAME")]
    pub log: Option<String>,
    /// The verifier key of the log, or a file that holds it.
    #[arg(long, value_name = "VKEY")]
    pub log_vkey: Option<String>,
    /// The origin of the log, if it is not the name of its key.
    #[arg(long)]
    pub origin: Option<String>,
}

impl LogArgs {
    /// The client that reads the log.
    pub fn client(&self) -> Result<LogClient, Failure> {
        let usage = |error: crate::client::ClientError| Failure::Usage(error.to_string());
        let client = LogClient::new(&self.url).map_err(usage)?;
        match &self.log {
            Some(name) => client.log(name).map_err(usage),
            None => Ok(client),
        }
    }

    /// What the log's checkpoints are verified with, if the user said so.
    pub fn trust(&self) -> Result<Option<LogTrust>, Failure> {
        let Some(vkey) = &self.log_vkey else {
            if self.origin.is_some() {
                return Err(Failure::Usage("--origin needs --log-vkey".to_owned()));
            }
            return Ok(None);
        };
        let key = files::read_log_vkey(vkey)?;
        let origin = self.origin.as_deref().unwrap_or(key.name().as_str());
        let origin = Origin::parse(origin).map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(Some(LogTrust { origin, key }))
    }
}

/// What a log's checkpoints are verified with.
#[derive(Clone, Debug)]
pub struct LogTrust {
    /// Their first line.
    pub origin: Origin,
    /// The key that signs them.
    pub key: VerifierKey,
}

/// Reads a note as a checkpoint, verified if there is something to verify it with.
pub fn open(note: &[u8], trust: Option<&LogTrust>) -> Result<Checkpoint, Failure> {
    if let Some(LogTrust { origin, key }) = trust {
        let signed = SignedCheckpoint::open(note, origin, key).map_err(Failure::no)?;
        return Ok(signed.checkpoint().clone());
    }
    let note = SignedNote::parse(note).map_err(Failure::no)?;
    Checkpoint::parse(note.text()).map_err(Failure::no)
}

/// Arguments of `cairn checkpoint`.
#[derive(Debug, clap::Args)]
pub struct CheckpointArgs {
    /// Which log.
    #[command(flatten)]
    pub log: LogArgs,
    /// Who must have cosigned it.
    #[command(flatten)]
    pub witnesses: PolicyArgs,
}

/// Prints the newest checkpoint, and verifies it if a key or a policy is given.
pub fn run(args: &CheckpointArgs) -> Result<Answer, Failure> {
    let claim = LogClaim::read(args.log.log_vkey.as_deref(), args.log.origin.as_deref())?;
    let demand = args.witnesses.demand()?;
    match &demand {
        Some(_) => claim.check_usage(demand.as_ref())?,
        None => drop(args.log.trust()?),
    }
    let note = args.log.client()?.checkpoint().map_err(Failure::undecided)?;
    let (checkpoint, witnesses) = match (&demand, &args.log.log_vkey) {
        (None, None) => {
            eprintln!("cairn: the signature was not verified; give --log-vkey");
            (open(&note, None)?, None)
        }
        _ => verify(&note, &claim, demand.as_ref())?,
    };
    let note = String::from_utf8_lossy(&note).into_owned();
    let mut json = json!({
        "origin": checkpoint.origin.as_str(),
        "treeSize": checkpoint.head.size.get(),
        "rootHash": checkpoint.head.root_hash.to_base64(),
        "verified": args.log.log_vkey.is_some() || demand.is_some(),
        "note": note,
    });
    if let Some(witnesses) = witnesses {
        // Not on stdout, where the note goes, so that it can be kept as it is.
        eprintln!("cairn: the quorum holds{}", cosigned_by(&witnesses));
        json["witnesses"] = witnesses.iter().map(Witnessed::to_json).collect();
    }
    Ok(Answer::new(note.trim_end_matches('\n'), json))
}

fn verify(
    note: &[u8],
    claim: &LogClaim,
    demand: Option<&WitnessDemand>,
) -> Result<(Checkpoint, Option<Vec<Witnessed>>), Failure> {
    let note = SignedNote::parse(note).map_err(Failure::no)?;
    let (origin, keys) = claim.log_of(note.text(), demand)?;
    let (checkpoint, key) = open_checkpoint(&note, &origin, &keys).map_err(Failure::no)?;
    let witnesses = demand.map(|demand| demand.check(&note, &origin, key)).transpose();
    Ok((checkpoint, witnesses.map_err(Failure::no)?))
}

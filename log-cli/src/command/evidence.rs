//! `cairn evidence verify`: does this file convict the holder of that key? Offline.

use std::path::PathBuf;

use log_core::evidence::{EVIDENCE_BYTES_MAX, Evidence, EvidenceKind, EvidenceRole, Proven};
use log_core::{Origin, TreeHead, VerifierKey};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::files;
use crate::output::{Answer, Printable};

/// `cairn evidence`.
#[derive(Debug, clap::Subcommand)]
pub enum EvidenceCommand {
    /// Decides offline whether a file proves that a key signed two inconsistent checkpoints.
    ///
    /// Exit code 0 only if it is proven; 1 if it is not, or if the file is malformed.
    Verify(VerifyArgs),
}

/// Arguments of `cairn evidence verify`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("accused").required(true).args(["log_vkey", "cosigner_vkey"]))]
pub struct VerifyArgs {
    /// The file (`cairn/tlog-evidence@v1`).
    pub file: PathBuf,
    /// A verifier key of the accused log, or a file that holds it; again for further keys.
    #[arg(long, value_name = "VKEY")]
    pub log_vkey: Vec<String>,
    /// A verifier key of the accused witness, or a file that holds it; again for further keys.
    #[arg(long, value_name = "VKEY", conflicts_with = "log_vkey", requires = "origin")]
    pub cosigner_vkey: Vec<String>,
    /// The origin of the log, if it is not the name of its key.
    #[arg(long)]
    pub origin: Option<String>,
}

/// Verifies the file.
pub fn run(command: &EvidenceCommand) -> Result<Answer, Failure> {
    let EvidenceCommand::Verify(args) = command;
    let (role, keys) = if args.log_vkey.is_empty() {
        (EvidenceRole::Cosigner, read_keys(&args.cosigner_vkey, files::read_cosigner_vkey)?)
    } else {
        (EvidenceRole::Log, read_keys(&args.log_vkey, files::read_log_vkey)?)
    };
    let origin = origin(args.origin.as_deref(), &keys)?;
    let limit = u64::try_from(EVIDENCE_BYTES_MAX).expect("invariant: a small constant");
    let file = files::read_start(&args.file, limit)?;
    let evidence =
        Evidence::parse(&file).map_err(|error| Failure::no(format!("malformed: {error}")))?;
    let proven = evidence
        .verify(role, &origin, &keys)
        .map_err(|error| Failure::no(format!("not proven: {error}")))?;
    Ok(Answer::new(text(&evidence, &proven), to_json(&evidence, &proven)))
}

fn read_keys(
    vkeys: &[String],
    read: impl Fn(&str) -> Result<VerifierKey, Failure>,
) -> Result<Vec<VerifierKey>, Failure> {
    vkeys.iter().map(|vkey| read(vkey)).collect()
}

/// The origin on the command line, else the one name of all keys.
fn origin(given: Option<&str>, keys: &[VerifierKey]) -> Result<Origin, Failure> {
    let named = keys.first().map(|key| key.name().as_str());
    if given.is_none() && keys.iter().any(|key| Some(key.name().as_str()) != named) {
        return Err(Failure::Usage("the keys have several names; give --origin".to_owned()));
    }
    let origin = given.or(named).unwrap_or_default();
    Origin::parse(origin).map_err(|error| Failure::Usage(error.to_string()))
}

/// What the evidence says of the holder of the key, in one sentence.
fn verdict(kind: EvidenceKind) -> &'static str {
    match kind {
        EvidenceKind::LogFork | EvidenceKind::CosignerFork => {
            "the holder of this key signed two inconsistent checkpoints"
        }
        EvidenceKind::LogEmptyRoot => {
            "the holder of this key signed a checkpoint of size 0 that is not of the empty tree"
        }
        EvidenceKind::CosignerRollback => {
            "the holder of this key signed two inconsistent checkpoints: the second, later one is \
             smaller, although such a signature says that no larger one was seen"
        }
    }
}

fn text(evidence: &Evidence, proven: &Proven) -> String {
    let head = |head: &TreeHead| format!("size {}, root {}", head.size, head.root_hash.to_base64());
    let mut lines = vec![
        format!("proven: {}", verdict(proven.kind)),
        format!("type     {}", proven.kind),
        format!("origin   {}", Printable(proven.origin.as_str())),
    ];
    lines.extend(proven.keys.iter().map(|key| format!("key      {key}")));
    lines.push(format!("first    {}", head(&proven.first)));
    if proven.kind != EvidenceKind::LogEmptyRoot {
        lines.push(format!("second   {}", head(&proven.second)));
    }
    if let Some((prefix, proof)) = evidence.prefix() {
        let (size, prefix) = (proven.first.size, prefix.to_base64());
        lines.push(format!("but the first {size} leaves of the second have the root {prefix}"));
        lines.push(format!("proof    {} hashes", proof.hashes().len()));
    }
    lines.push(format!("id       {}", evidence.id()));
    let comments = evidence.comments().iter();
    lines.extend(comments.map(|line| format!("comment  {} (not proven)", Printable(line))));
    for note in evidence.notes() {
        lines.push(String::new());
        lines.extend(note.to_string().lines().map(|line| Printable(line).to_string()));
    }
    lines.join("\n")
}

fn to_json(evidence: &Evidence, proven: &Proven) -> Value {
    let head = |head: &TreeHead| {
        let (size, root) = (head.size.get(), head.root_hash.to_base64());
        json!({ "treeSize": size, "rootHash": root })
    };
    let second = (proven.kind != EvidenceKind::LogEmptyRoot).then(|| head(&proven.second));
    json!({
        "proven": true,
        "type": proven.kind.as_str(),
        "verdict": verdict(proven.kind),
        "origin": proven.origin.as_str(),
        "keys": proven.keys.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "first": head(&proven.first),
        "second": second,
        "prefix": evidence.prefix().map(|(prefix, _)| prefix.to_base64()),
        "id": evidence.id().to_string(),
        "comments": evidence.comments(),
        "notes": evidence.notes().iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

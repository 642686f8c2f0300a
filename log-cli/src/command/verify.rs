//! `cairn verify`: is this file signed, and is the signature in the log? Offline.

use std::path::PathBuf;

use log_core::TlogProof;
use log_core::hash::hash_leaf;
use serde_json::json;

use crate::bundle::{BUNDLE_BYTES_MAX, Bundle};
use crate::failure::Failure;
use crate::files::{self, SMALL_FILE_BYTES_MAX};
use crate::legacy_bundle;
use crate::log_entry::Included;
use crate::output::Answer;
use crate::public_key::PublicKey;
use crate::trusted_root::{TRUSTED_ROOT_BYTES_MAX, TrustedRoot};
use crate::verify::{
    Expected, Identity, Logged, Refusal, verify_bundle, verify_entry_body, verify_tlog_proof,
};
use crate::witnessed::{LogClaim, PolicyArgs, WitnessDemand, Witnessed, cosigned_by};

/// What a promise is worth, in the help.
const PROMISES: &str = "\
Bundles of Rekor v1 logs, and the bundles of cosign before 3, may hold the log's promise (a
signed entry timestamp) without a proof. It shows that the log said that it has the entry,
and when. The time is the log's word; it counts as the time at which a certificate was used.";

/// Arguments of `cairn verify`.
#[derive(Debug, clap::Args)]
#[command(after_help = PROMISES)]
#[command(group = clap::ArgGroup::new("proof").required(true).args(["bundle", "tlog_proof"]))]
pub struct VerifyArgs {
    /// The Sigstore bundle to verify, or one that cosign wrote before there were such bundles.
    #[arg(long, value_name = "BUNDLE", requires = "file")]
    pub bundle: Option<PathBuf>,
    /// Which logs and authorities are believed (trusted_root.json).
    #[arg(long, value_name = "ROOT", conflicts_with = "tlog_proof")]
    pub trusted_root: Option<PathBuf>,
    /// The public key (PEM) of the Rekor v1 log that is believed, in place of a trusted root.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["tlog_proof", "trusted_root"])]
    pub log_key: Option<PathBuf>,
    /// The tlog-proof to verify, in place of a bundle.
    #[arg(long, value_name = "PROOF")]
    pub tlog_proof: Option<PathBuf>,
    /// The verifier key of the log that the tlog-proof is of, or a file that holds it. Not
    /// needed if the witness policy names that log.
    #[arg(long, value_name = "VKEY", conflicts_with = "bundle")]
    pub log_vkey: Option<String>,
    /// The origin of that log, if it is not the name of its key.
    #[arg(long, requires = "tlog_proof")]
    pub origin: Option<String>,
    /// The bytes of the leaf that the tlog-proof is about, for logs other than Rekor's.
    #[arg(long, value_name = "LEAF", requires = "tlog_proof", conflicts_with_all = ["file", "key"])]
    pub leaf: Option<PathBuf>,
    /// The public key (PEM) that must have signed.
    #[arg(long, value_name = "PUB", conflicts_with = "certificate_identity")]
    pub key: Option<PathBuf>,
    /// Whom the signing certificate must name: a mail address, URI or user name.
    #[arg(long, value_name = "NAME", requires = "certificate_oidc_issuer")]
    pub certificate_identity: Option<String>,
    /// Which identity provider must have vouched for that name.
    #[arg(long, value_name = "URL", requires = "certificate_identity")]
    pub certificate_oidc_issuer: Option<String>,
    /// Accept a certificate that no Certificate Transparency log has seen.
    #[arg(long, requires = "certificate_identity")]
    pub insecure_ignore_sct: bool,
    /// Who must have cosigned the checkpoint.
    #[command(flatten)]
    pub witnesses: PolicyArgs,
    /// The file that was signed.
    pub file: Option<PathBuf>,
}

/// Verifies a bundle or a tlog-proof.
pub fn run(args: &VerifyArgs) -> Result<Answer, Failure> {
    match (&args.bundle, &args.tlog_proof) {
        (Some(bundle), _) => run_bundle(args, bundle),
        (None, Some(proof)) => run_tlog_proof(args, proof),
        (None, None) => Err(Failure::Usage("give --bundle or --tlog-proof".to_owned())),
    }
}

fn run_bundle(args: &VerifyArgs, bundle: &std::path::Path) -> Result<Answer, Failure> {
    let usage = || {
        let usage = "give --trusted-root, or --log-key, and the signed file";
        Failure::Usage(usage.to_owned())
    };
    let file = args.file.as_ref().ok_or_else(usage)?;
    if args.trusted_root.is_none() && args.log_key.is_none() {
        return Err(usage());
    }
    let expected = expected(args)?;
    let root = match (&args.trusted_root, &args.log_key) {
        (Some(path), _) => TrustedRoot::parse(&files::read(path, TRUSTED_ROOT_BYTES_MAX)?)
            .map_err(Failure::undecided)?,
        (None, Some(path)) => TrustedRoot::of_log_key(read_public_key(path)?.spki_der()),
        (None, None) => return Err(usage()),
    };
    let bundle = files::read(bundle, BUNDLE_BYTES_MAX)?;
    let bundle = if legacy_bundle::is_legacy(&bundle) {
        legacy_bundle::parse(&bundle).map_err(Failure::no)?
    } else {
        Bundle::parse(&bundle).map_err(Failure::no)?
    };
    let artefact = files::read_artefact(file)?;
    let demand = args.witnesses.demand()?;
    let verified = verify_bundle(&bundle, &artefact, &root, &expected).map_err(refused)?;
    let mut answer = answer(&verified.entries, demand.as_ref()).map_err(refused)?;
    answer.json["time"] = json!(verified.time.map(|time| time.to_string()));
    let is_promised = |logged: &Logged| logged.promised == verified.time;
    if let Some(time) = verified.time
        && !verified.entries.iter().any(is_promised)
    {
        answer.text = format!("{}\nsigned at {time}", answer.text);
    }
    Ok(answer)
}

fn run_tlog_proof(args: &VerifyArgs, proof: &std::path::Path) -> Result<Answer, Failure> {
    let claim = LogClaim::read(args.log_vkey.as_deref(), args.origin.as_deref())?;
    let demand = args.witnesses.demand()?;
    claim.check_usage(demand.as_ref())?;
    let proof = files::read(proof, SMALL_FILE_BYTES_MAX)?;
    let proof = TlogProof::parse(&proof).map_err(Failure::no)?;
    let (origin, keys) = claim.log_of(&proof.checkpoint, demand.as_ref())?;
    let leaf = match (&args.leaf, &args.file, &args.key) {
        (Some(leaf), None, None) => files::read(leaf, SMALL_FILE_BYTES_MAX)?,
        (None, Some(file), Some(key)) => {
            let key = read_public_key(key)?;
            let body = proof.extra.clone().ok_or(Failure::no(Refusal::NotAHashedRekord))?;
            verify_entry_body(&body, &files::read_artefact(file)?, &key).map_err(refused)?;
            body
        }
        _ => {
            let usage = "give --leaf, or --key and the signed file";
            return Err(Failure::Usage(usage.to_owned()));
        }
    };
    let logged = verify_tlog_proof(&proof, &hash_leaf(&leaf), &origin, &keys).map_err(refused)?;
    answer(&[logged], demand.as_ref()).map_err(refused)
}

fn expected(args: &VerifyArgs) -> Result<Expected, Failure> {
    match (&args.key, &args.certificate_identity, &args.certificate_oidc_issuer) {
        (Some(key), None, _) => Ok(Expected::Key(read_public_key(key)?)),
        (None, Some(name), Some(issuer)) => Ok(Expected::Identity(Identity {
            name: name.clone(),
            issuer: issuer.clone(),
            sct_required: !args.insecure_ignore_sct,
        })),
        _ => Err(Failure::Usage(
            "say whose signature it must be: --key, or --certificate-identity with \
             --certificate-oidc-issuer"
                .to_owned(),
        )),
    }
}

fn read_public_key(path: &std::path::Path) -> Result<PublicKey, Failure> {
    PublicKey::from_pem(&files::read_text(path)?)
        .map_err(|error| Failure::undecided(format!("{}: {error}", path.display())))
}

fn refused(refusal: Refusal) -> Failure {
    match refusal {
        // A broken trusted root says nothing about the bundle.
        Refusal::TrustedRoot(error) => Failure::undecided(error),
        other => Failure::no(other),
    }
}

/// About the first entry that has what is demanded, or the refusal of the last one.
fn answer(entries: &[Logged], demand: Option<&WitnessDemand>) -> Result<Answer, Refusal> {
    let mut refusal = Refusal::NoTrustedLog("none".to_owned());
    for logged in entries {
        match demand.map(|demand| logged.check_witnesses(demand)).transpose() {
            Ok(witnesses) => return Ok(describe(logged, witnesses)),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

fn describe(logged: &Logged, witnesses: Option<Vec<Witnessed>>) -> Answer {
    let Logged { key, index, promised, included } = logged;
    let mut json = json!({ "verified": true, "index": index.get() });
    let mut text = match included {
        None => {
            json["log"] = json!(key.full_id_hash().to_string());
            format!("verified: entry {index} of the log {}, promised, not proved", key.name())
        }
        Some(Included { index: in_tree, checkpoint, .. }) => {
            let (origin, head) = (&checkpoint.origin, checkpoint.head);
            let (size, root) = (head.size, head.root_hash.to_base64());
            json["log"] = json!(origin.as_str());
            json["treeSize"] = json!(size.get());
            json["rootHash"] = json!(root);
            json["treeIndex"] = json!(in_tree.get());
            format!(
                "verified: entry {index} of {origin}, in the tree of size {size} with root {root}"
            )
        }
    };
    if let Some(time) = promised {
        json["integratedTime"] = json!(time.to_string());
        text.push_str(&format!("\nlogged at {time}, says the log"));
    }
    if let Some(witnesses) = witnesses {
        text.push_str(&cosigned_by(&witnesses));
        json["witnesses"] = witnesses.iter().map(Witnessed::to_json).collect();
    }
    Answer::new(text, json)
}

//! `cairn verify`: is this file signed, and is the signature in the log? Offline.

use std::path::PathBuf;

use log_core::TlogProof;
use log_core::hash::hash_leaf;
use serde_json::json;

use crate::bundle::{BUNDLE_BYTES_MAX, Bundle};
use crate::failure::Failure;
use crate::files::{self, SMALL_FILE_BYTES_MAX};
use crate::log_entry::Included;
use crate::output::Answer;
use crate::public_key::PublicKey;
use crate::trusted_root::{TRUSTED_ROOT_BYTES_MAX, TrustedRoot};
use crate::verify::{
    Expected, Identity, Logged, Refusal, verify_bundle, verify_entry_body, verify_tlog_proof,
};
use crate::witnessed::{LogClaim, PolicyArgs, WitnessDemand, Witnessed, cosigned_by};

/// Arguments of `cairn verify`.
#[derive(Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("proof").required(true).args(["bundle", "tlog_proof"]))]
pub struct VerifyArgs {
    /// The Sigstore bundle to verify.
    #[arg(long, value_name = "BUNDLE", requires = "trusted_root", requires = "file")]
    pub bundle: Option<PathBuf>,
    /// Which logs and authorities are believed (trusted_root.json).
    #[arg(long, value_name = "ROOT", conflicts_with = "tlog_proof")]
    pub trusted_root: Option<PathBuf>,
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
    let missing = || Failure::Usage("give --trusted-root and the signed file".to_owned());
    let root_path = args.trusted_root.as_ref().ok_or_else(missing)?;
    let file = args.file.as_ref().ok_or_else(missing)?;
    let expected = expected(args)?;
    let root = TrustedRoot::parse(&files::read(root_path, TRUSTED_ROOT_BYTES_MAX)?)
        .map_err(Failure::undecided)?;
    let bundle = Bundle::parse(&files::read(bundle, BUNDLE_BYTES_MAX)?).map_err(Failure::no)?;
    let artefact = files::read_artefact(file)?;
    let demand = args.witnesses.demand()?;
    let verified = verify_bundle(&bundle, &artefact, &root, &expected).map_err(refused)?;
    let mut answer = answer(&verified.entries, demand.as_ref()).map_err(refused)?;
    answer.json["time"] = json!(verified.time.map(|time| time.to_string()));
    if let Some(time) = verified.time {
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
    let mut refusal = Refusal::NoTrustedLog;
    for logged in entries {
        match demand.map(|demand| logged.check_witnesses(demand)).transpose() {
            Ok(witnesses) => return Ok(describe(&logged.included, witnesses)),
            Err(error) => refusal = error,
        }
    }
    Err(refusal)
}

fn describe(included: &Included, witnesses: Option<Vec<Witnessed>>) -> Answer {
    let Included { index, checkpoint, .. } = included;
    let (origin, head) = (&checkpoint.origin, checkpoint.head);
    let mut text = format!(
        "verified: entry {index} of {origin}, in the tree of size {} with root {}",
        head.size,
        head.root_hash.to_base64()
    );
    let mut json = json!({
        "verified": true,
        "log": origin.as_str(),
        "index": index.get(),
        "treeSize": head.size.get(),
        "rootHash": head.root_hash.to_base64(),
    });
    if let Some(witnesses) = witnesses {
        text.push_str(&cosigned_by(&witnesses));
        json["witnesses"] = witnesses.iter().map(Witnessed::to_json).collect();
    }
    Answer::new(text, json)
}

//! `cairn get`: shows one entry, proved to be in the tree of the newest checkpoint; of a Rekor v1
//! log also by its id, as the log answers it.

use std::fmt::Write as _;
use std::path::PathBuf;

use log_core::entry::{Signature, Verifier};
use log_core::hash::{hash_leaf, sha256};
use log_core::tree::{LeafIndex, TreeHead};
use log_core::{Entry, TlogProof};
use serde_json::{Value, json};

use super::checkpoint::{LogArgs, open};
use super::consistency::unreadable;
use crate::artefact::hex;
use crate::certificate::SigningCertificate;
use crate::failure::Failure;
use crate::files;
use crate::output::{Answer, Printable};
use crate::protojson::Bytes;
use crate::tiles::TileReader;
use crate::v1::body::Heading;
use crate::v1::shown::describe_body;

mod v1;

/// Bytes of an entry of unknown kind that are shown.
const SHOWN_BYTES_MAX: usize = 256;

/// Arguments of `cairn get`.
#[derive(Debug, clap::Args)]
pub struct GetArgs {
    /// Which log.
    #[command(flatten)]
    pub log: LogArgs,
    /// Where a tlog-proof of the entry goes, with the log's checkpoint and its cosignatures.
    #[arg(long, value_name = "PROOF")]
    pub tlog_proof: Option<PathBuf>,
    /// Which API the log is asked by: its tiles, or that of Rekor v1, where an index is one over
    /// all trees of the log.
    #[arg(long, value_enum, default_value_t = ReadApi::Tiles)]
    pub api: ReadApi,
    /// The id of an entry of a Rekor v1 log, or its leaf hash: 80 or 64 hex digits. The log is
    /// then asked by that API.
    #[arg(long, value_name = "HEX")]
    pub uuid: Option<String>,
    /// The public key of a Rekor v1 log (PEM). If none is given, not in a trusted root either, the
    /// key is taken from the log.
    #[arg(long, value_name = "KEY", conflicts_with = "log_vkey")]
    pub log_key: Option<PathBuf>,
    /// Which Rekor v1 logs are believed (trusted_root.json).
    #[arg(long, value_name = "ROOT", conflicts_with_all = ["log_vkey", "log_key"])]
    pub trusted_root: Option<PathBuf>,
    /// The index of the entry, from 0.
    #[arg(required_unless_present = "uuid", conflicts_with = "uuid")]
    pub index: Option<u64>,
}

/// The ways to one entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ReadApi {
    /// The tiles that every log has.
    Tiles,
    /// The API of Rekor v1.
    V1,
}

/// Reads the entry, and whatever proves it.
pub fn run(args: &GetArgs) -> Result<Answer, Failure> {
    let is_v1 = args.api == ReadApi::V1 || args.uuid.is_some();
    let for_v1 = args.log_key.is_some() || args.trusted_root.is_some();
    let for_tiles =
        args.tlog_proof.is_some() || args.log.origin.is_some() || args.log.log.is_some();
    match (args.index, &args.uuid) {
        _ if is_v1 && for_tiles => {
            let usage = "--log, --origin and --tlog-proof are for tiles, not for the API of v1";
            Err(Failure::Usage(usage.to_owned()))
        }
        _ if !is_v1 && for_v1 => {
            let usage = "--log-key and --trusted-root are for --api v1; give --log-vkey";
            Err(Failure::Usage(usage.to_owned()))
        }
        (_, Some(uuid)) => v1::by_id(args, uuid),
        (Some(index), None) if is_v1 => v1::by_index(args, index),
        (Some(index), None) => from_tiles(args, LeafIndex::new(index)),
        (None, None) => Err(Failure::Usage("give an index or --uuid".to_owned())),
    }
}

/// Reads the entry and the tiles that prove it.
fn from_tiles(args: &GetArgs, index: LeafIndex) -> Result<Answer, Failure> {
    let trust = args.log.trust()?;
    let client = args.log.client()?;
    let note = client.checkpoint().map_err(Failure::undecided)?;
    let checkpoint = open(&note, trust.as_ref())?;
    let TreeHead { size, root_hash } = checkpoint.head;
    if !size.contains(index) {
        return Err(Failure::no(format!("the log has {size} entries, there is none at {index}")));
    }
    let mut reader = TileReader::open(&client, checkpoint.head).map_err(unreadable)?;
    let (body, proof) = reader.entry(index).map_err(unreadable)?;
    if let Some(path) = &args.tlog_proof {
        let checkpoint = String::from_utf8(note).expect("invariant: a parsed note is UTF-8");
        let (extra, inclusion) = (Some(body.clone()), proof.clone());
        let proof = TlogProof { index, extra, inclusion, checkpoint };
        files::write(path, proof.to_string().as_bytes())?;
    }
    let leaf_hash = hash_leaf(&body);
    let origin = &checkpoint.origin;
    let mut text = format!("entry      {index} of {origin}");
    let _ = write!(text, "\nleaf hash  {}", leaf_hash.to_base64());
    let root = root_hash.to_base64();
    let _ = write!(text, "\nproved     in the tree of size {size}, root {root}");
    if trust.is_none() {
        text.push_str("\n           (the log's signature was not verified; give --log-vkey)");
    }
    let entry = Entry::parse(&body).ok();
    text.push_str(&describe(entry.as_ref(), &body));
    let hashes: Vec<String> = proof.hashes().iter().map(|hash| hash.to_base64()).collect();
    let is_entry = entry.is_some() || Heading::parse(&body).is_ok();
    let parsed = is_entry.then(|| serde_json::from_slice::<Value>(&body).ok()).flatten();
    let json = json!({
        "log": origin.as_str(),
        "index": index.get(),
        "treeSize": size.get(),
        "rootHash": root_hash.to_base64(),
        "leafHash": leaf_hash.to_base64(),
        "inclusionProof": hashes,
        "signatureVerified": trust.is_some(),
        "body": Bytes(body).to_base64(),
        "entry": parsed,
    });
    Ok(Answer::new(text, json))
}

fn describe(entry: Option<&Entry>, body: &[u8]) -> String {
    let mut text = String::new();
    match entry {
        Some(Entry::HashedRekord(entry)) => {
            let (algorithm, digest) = (entry.algorithm.name(), hex(&entry.digest));
            text.push_str("\nkind       hashedrekord 0.0.2");
            text.push_str(&format!("\ndigest     {algorithm} {digest}"));
            describe_signature(&mut text, &entry.signature);
        }
        Some(Entry::Dsse(entry)) => {
            text.push_str("\nkind       dsse 0.0.2");
            text.push_str(&format!("\npayload    SHA2_256 {}", entry.payload_hash));
            for signature in &entry.signatures {
                describe_signature(&mut text, signature);
            }
        }
        None if Heading::parse(body).is_ok() => text.push_str(&describe_body(body)),
        None => {
            let shown = &body[..body.len().min(SHOWN_BYTES_MAX)];
            let _ = write!(text, "\nkind       unknown, {} bytes", body.len());
            let content = String::from_utf8_lossy(shown);
            let _ = write!(text, "\nbegins     {}", Printable(&content));
        }
    }
    text
}

fn describe_signature(text: &mut String, signature: &Signature) {
    let content = Bytes(signature.content.clone()).to_base64();
    let _ = write!(text, "\nsignature  {} {content}", signature.key_details);
    match &signature.verifier {
        Verifier::PublicKey(key) => {
            let _ = write!(text, "\nkey        SHA-256 {}", sha256(key));
        }
        Verifier::Certificate(der) => {
            let _ = write!(text, "\ncert       SHA-256 {}", sha256(der));
            let Ok(certificate) = SigningCertificate::from_der(der) else {
                return;
            };
            for name in certificate.identities() {
                let _ = write!(text, "\nidentity   {}", Printable(&name));
            }
            if let Some(issuer) = certificate.oidc_issuer() {
                let _ = write!(text, "\nissuer     {}", Printable(&issuer));
            }
        }
    }
}

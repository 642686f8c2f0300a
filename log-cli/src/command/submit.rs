//! `cairn submit`: signs a file, logs the signature, and keeps what the log answered.
//!
//! Nothing is written before the answer was verified. What is written although the command fails:
//! a bundle whose checkpoint lacks the quorum that was asked for. The signature is in the log by
//! then, for ever, and the bundle is the only way to find it again.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use log_core::TlogProof;
use log_core::entry::{HashedRekord, Signature, Verifier};
use log_core::hash::sha256;
use log_core::leaf::Leaf;
use serde_json::json;

use super::checkpoint::LogTrust;
use crate::artefact::Artefact;
use crate::bundle::{
    Bundle, MEDIA_TYPE, MessageDigest, MessageSignature, PublicKeyHint, RawBytes, SignedTimestamp,
    TimestampData, VerificationMaterial,
};
use crate::client::{ClientError, LogClient, request_timestamp};
use crate::failure::Failure;
use crate::files;
use crate::log_entry::{Included, LogEntry};
use crate::output::Answer;
use crate::pem::pem_block;
use crate::protojson::Bytes;
use crate::signer::Signer;
use crate::timestamp;
use crate::trusted_root::{TRUSTED_ROOT_BYTES_MAX, TrustedRoot};
use crate::witnessed::{PolicyArgs, Witnessed, cosigned_by};

mod v1;

pub use v1::V1Args;

/// What is not obvious of the exit code, in the help.
const WITHOUT_QUORUM: &str = "\
If the checkpoint of the log's answer lacks the quorum of --witness-policy, the exit code
is 1. The signature is in the log all the same, and the bundle and the proof are written.";

/// Arguments of `cairn submit`.
#[derive(Debug, clap::Args)]
#[command(after_help = WITHOUT_QUORUM)]
pub struct SubmitArgs {
    /// The URL of the log.
    #[arg(long)]
    pub url: String,
    /// Which API the log is asked by.
    #[arg(long, value_enum, default_value_t = Api::V2)]
    pub api: Api,
    /// The private key to sign with (PKCS#8 PEM).
    #[arg(long)]
    pub key: Option<PathBuf>,
    /// Where the Sigstore bundle goes.
    #[arg(long)]
    pub bundle: Option<PathBuf>,
    /// Where a tlog-proof goes, which carries the entry as its extra data.
    #[arg(long, value_name = "PROOF")]
    pub tlog_proof: Option<PathBuf>,
    /// The certificate of the key (PEM), logged in place of the bare key. A v2 log attests no
    /// time, so that a certificate needs --timestamp-url there.
    #[arg(long, value_name = "CERT")]
    pub certificate: Option<PathBuf>,
    /// The full URL of a timestamp authority (RFC 3161) that attests the time of the signature.
    #[arg(long, value_name = "URL")]
    pub timestamp_url: Option<String>,
    /// The verifier key of the log, or a file that holds it.
    #[arg(long, value_name = "VKEY", conflicts_with = "trusted_root")]
    pub log_vkey: Option<String>,
    /// Which logs and timestamp authorities are believed (trusted_root.json).
    #[arg(long, value_name = "ROOT")]
    pub trusted_root: Option<PathBuf>,
    /// Who must have cosigned the checkpoint of the answer.
    #[command(flatten)]
    pub witnesses: PolicyArgs,
    /// The file to sign.
    pub file: Option<PathBuf>,
    /// What only logs of Rekor v1 take.
    #[command(flatten)]
    pub v1: V1Args,
}

/// The two APIs of Rekor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Api {
    /// Entries with a promise and a proof, of many kinds, at /api/v1.
    V1,
    /// Entries with a proof, at /api/v2.
    V2,
}

/// Signs, logs, verifies, writes.
pub fn run(args: &SubmitArgs) -> Result<Answer, Failure> {
    let client = LogClient::new(&args.url).map_err(|error| Failure::Usage(error.to_string()))?;
    if args.api == Api::V1 {
        return v1::run(args, &client);
    }
    if args.v1.is_used() {
        return Err(Failure::Usage("such entries are for --api v1".to_owned()));
    }
    if args.certificate.is_some() && args.timestamp_url.is_none() {
        return Err(Failure::Usage("--certificate needs --timestamp-url".to_owned()));
    }
    let bundle_path = required(args.bundle.as_ref(), "--bundle")?;
    let trust = Trust::read(args)?;
    let demand = args.witnesses.demand()?;
    if demand.is_some() && matches!(trust, Trust::None) {
        let usage = "--witness-policy needs --log-vkey or --trusted-root";
        return Err(Failure::Usage(usage.to_owned()));
    }
    let signed = Signed::new(args)?;
    let timestamp = match &args.timestamp_url {
        Some(url) => Some(signed.timestamp(url, &trust)?),
        None => None,
    };
    let answer = client.create_entry(&signed.request()).map_err(not_logged)?;
    let entry: LogEntry = serde_json::from_slice(&answer)
        .map_err(|error| Failure::no(format!("the log's answer is not an entry: {error}")))?;
    let log = trust.log(&entry)?;
    let included = verify(&entry, &signed.leaf, log.as_ref())?;
    let witnessed = demand
        .as_ref()
        .zip(log.as_ref())
        .map(|(demand, log)| demand.check(&included.note, &included.checkpoint.origin, &log.key));
    let proof = tlog_proof(&entry, &signed.leaf)?;
    let bundle = signed.bundle(entry, timestamp).to_json();
    files::write(bundle_path, bundle.as_bytes())?;
    if let Some(path) = &args.tlog_proof {
        files::write(path, proof.to_string().as_bytes())?;
    }
    if matches!(trust, Trust::None) {
        eprintln!("cairn: the log's signature was not verified; give --log-vkey or --trusted-root");
    }
    let answer = describe(bundle_path, &included, log.is_some());
    Ok(match witnessed {
        None => answer,
        Some(Err(refusal)) => answer.but(Failure::no(refusal)),
        Some(Ok(witnesses)) => with_witnesses(answer, &witnesses),
    })
}

fn describe(bundle: &Path, included: &Included, is_verified: bool) -> Answer {
    let head = included.checkpoint.head;
    let (index, origin) = (included.index, &included.checkpoint.origin);
    Answer::new(
        format!("logged as entry {index} of {origin}; wrote {}", bundle.display()),
        json!({
            "log": origin.as_str(),
            "index": index.get(),
            "treeSize": head.size.get(),
            "rootHash": head.root_hash.to_base64(),
            "signatureVerified": is_verified,
            "bundle": bundle.display().to_string(),
        }),
    )
}

fn with_witnesses(mut answer: Answer, witnesses: &[Witnessed]) -> Answer {
    answer.text.push_str(&cosigned_by(witnesses));
    answer.json["witnesses"] = witnesses.iter().map(Witnessed::to_json).collect();
    answer
}

fn required<'a>(path: Option<&'a PathBuf>, name: &str) -> Result<&'a PathBuf, Failure> {
    path.ok_or_else(|| Failure::Usage(format!("give {name}")))
}

/// The key to sign with, and how the entry names it.
fn signer_of(args: &SubmitArgs) -> Result<(Signer, Verifier), Failure> {
    let path = required(args.key.as_ref(), "--key")?;
    let pem = zeroize::Zeroizing::new(files::read_text(path)?);
    let signer = Signer::from_pem(&pem)
        .map_err(|error| Failure::undecided(format!("{}: {error}", path.display())))?;
    let key = signer.public_key();
    let verifier = match &args.certificate {
        None => Verifier::PublicKey(key.spki_der().to_vec()),
        Some(path) => {
            let der = pem_block(&files::read_text(path)?, "CERTIFICATE");
            let der = der.map_err(Failure::undecided)?;
            let certificate = crate::certificate::SigningCertificate::from_der(&der)
                .map_err(Failure::undecided)?;
            if certificate.public_key() != key {
                return Err(Failure::Usage("the certificate is of another key".to_owned()));
            }
            Verifier::Certificate(der)
        }
    };
    Ok((signer, verifier))
}

fn public_key_hint(der: &[u8]) -> PublicKeyHint {
    PublicKeyHint { hint: Bytes(sha256(der).as_bytes().to_vec()).to_base64() }
}

fn timestamp_data(response: Vec<u8>) -> TimestampData {
    TimestampData {
        rfc3161_timestamps: vec![SignedTimestamp { signed_timestamp: Bytes(response) }],
    }
}

/// A file's signature and the entry that it becomes.
struct Signed {
    artefact: Artefact,
    entry: HashedRekord,
    leaf: Leaf,
}

impl Signed {
    fn new(args: &SubmitArgs) -> Result<Self, Failure> {
        let (signer, verifier) = signer_of(args)?;
        let key = signer.public_key();
        let key_details = key.key_details();
        let key_details =
            key_details.ok_or_else(|| Failure::Usage("no log takes such a key".to_owned()))?;
        let artefact = files::read_artefact(required(args.file.as_ref(), "the file")?)?;
        let algorithm = key.default_hash();
        let content = signer.sign(&artefact).map_err(Failure::undecided)?;
        let entry = HashedRekord {
            algorithm,
            digest: artefact.digest(algorithm).as_ref().to_vec(),
            signature: Signature { content, verifier, key_details },
        };
        let leaf = entry.to_leaf().map_err(Failure::no)?;
        Ok(Self { artefact, entry, leaf })
    }

    /// The JSON of the request (`dev.sigstore.rekor.v2.CreateEntryRequest`).
    fn request(&self) -> String {
        let signature = &self.entry.signature;
        let base64 = |bytes: &[u8]| Bytes::from(bytes).to_base64();
        let mut verifier = json!({ "keyDetails": signature.key_details.name() });
        match &signature.verifier {
            Verifier::PublicKey(der) => verifier["publicKey"] = json!({ "rawBytes": base64(der) }),
            Verifier::Certificate(der) => {
                verifier["x509Certificate"] = json!({ "rawBytes": base64(der) });
            }
        }
        json!({ "hashedRekordRequestV002": {
            "digest": base64(&self.entry.digest),
            "signature": { "content": base64(&signature.content), "verifier": verifier },
        }})
        .to_string()
    }

    fn timestamp(&self, url: &str, trust: &Trust) -> Result<Vec<u8>, Failure> {
        let message = &self.entry.signature.content;
        let response = request_timestamp(url, timestamp::request(message));
        let response = response.map_err(Failure::undecided)?;
        let checked: Result<Timestamp, _> = match trust {
            Trust::Root(root) if !root.timestamp_authorities.is_empty() => {
                timestamp::verify(&response, message, &root.timestamp_authorities)
            }
            _ => timestamp::check_unsigned(&response, message),
        };
        checked.map_err(Failure::no)?;
        Ok(response)
    }

    fn bundle(&self, entry: LogEntry, timestamp: Option<Vec<u8>>) -> Bundle {
        let signature = &self.entry.signature;
        let mut material = VerificationMaterial { tlog_entries: vec![entry], ..Default::default() };
        match &signature.verifier {
            Verifier::PublicKey(der) => material.public_key = Some(public_key_hint(der)),
            Verifier::Certificate(der) => {
                material.certificate = Some(RawBytes { raw_bytes: Bytes(der.clone()) });
            }
        }
        material.timestamp_verification_data = timestamp.map(timestamp_data);
        let algorithm = self.entry.algorithm;
        let digest = Bytes::from(self.artefact.digest(algorithm).as_ref());
        Bundle {
            media_type: MEDIA_TYPE.to_owned(),
            verification_material: material,
            message_signature: Some(MessageSignature {
                message_digest: Some(MessageDigest {
                    algorithm: algorithm.name().to_owned(),
                    digest,
                }),
                signature: Bytes(signature.content.clone()),
            }),
            dsse_envelope: None,
        }
    }
}

/// What the answer of the log is verified with.
enum Trust {
    None,
    Log(Box<LogTrust>),
    Root(Box<TrustedRoot>),
}

impl Trust {
    fn read(args: &SubmitArgs) -> Result<Self, Failure> {
        if let Some(path) = &args.trusted_root {
            let json = files::read(path, TRUSTED_ROOT_BYTES_MAX)?;
            let root = TrustedRoot::parse(&json).map_err(Failure::undecided)?;
            return Ok(Self::Root(Box::new(root)));
        }
        let Some(vkey) = &args.log_vkey else {
            return Ok(Self::None);
        };
        let key = files::read_log_vkey(vkey)?;
        let origin = log_core::Origin::parse(key.name().as_str());
        let origin = origin.map_err(|error| Failure::Usage(error.to_string()))?;
        Ok(Self::Log(Box::new(LogTrust { origin, key })))
    }

    /// The log that the answer says that it is of; `None` if there is nothing to verify it with.
    fn log(&self, entry: &LogEntry) -> Result<Option<LogTrust>, Failure> {
        let log = match self {
            Self::None => return Ok(None),
            Self::Log(log) => LogTrust::clone(log),
            Self::Root(root) => {
                let log = root.log(&entry.log_id.key_id.0).map_err(Failure::undecided)?;
                let log = log.ok_or_else(|| Failure::no("the trusted root lacks this log"))?;
                LogTrust { origin: log.origin, key: log.key }
            }
        };
        if entry.log_id.key_id.0 != log.key.full_id_hash().as_bytes() {
            return Err(Failure::no("the log answered with the id of another log"));
        }
        Ok(Some(log))
    }
}

/// The entry must be the one that was sent, with a proof that leads to the log's checkpoint.
fn verify(entry: &LogEntry, leaf: &Leaf, log: Option<&LogTrust>) -> Result<Included, Failure> {
    let kind = &entry.kind_version;
    if (kind.kind.as_str(), kind.version.as_str()) != (HashedRekord::KIND, "0.0.2") {
        return Err(Failure::no("the log answered with an entry of another kind"));
    }
    match log {
        None => entry.verify_unsigned(leaf).map_err(Failure::no),
        Some(log) => entry.verify(leaf, &log.origin, &log.key).map_err(Failure::no),
    }
}

fn tlog_proof(entry: &LogEntry, leaf: &Leaf) -> Result<TlogProof, Failure> {
    let (_, note) = entry.proof().map_err(Failure::no)?;
    Ok(TlogProof {
        index: entry.index().map_err(Failure::no)?,
        extra: Some(leaf.as_bytes().to_vec()),
        inclusion: entry.inclusion().map_err(Failure::no)?,
        checkpoint: note.to_owned(),
    })
}

fn not_logged(error: ClientError) -> Failure {
    if error.is_refusal() { Failure::no(error) } else { Failure::undecided(error) }
}

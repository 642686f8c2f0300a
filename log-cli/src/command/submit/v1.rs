//! `cairn submit --api v1`: an entry for a Rekor v1 log, made from a file or prepared elsewhere.
//!
//! As with v2, nothing is written before the answer was verified. A log that has the entry already
//! says so, and where; that entry is then read and verified in place of a new one.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use log_core::EntryId;
use log_core::entry::Verifier;
use log_core::hash::sha256;
use serde_json::{Value, json};

use super::{SubmitArgs, not_logged, public_key_hint, required, signer_of, timestamp_data};
use crate::bundle::{
    Bundle, Envelope, MEDIA_TYPE, MessageDigest, MessageSignature, RawBytes, VerificationMaterial,
};
use crate::client::{LogClient, request_timestamp};
use crate::failure::Failure;
use crate::files::{self, SMALL_FILE_BYTES_MAX};
use crate::legacy_bundle;
use crate::log_entry::LogEntry;
use crate::output::Answer;
use crate::protojson::Bytes;
use crate::signer::Signer;
use crate::timestamp;
use crate::v1::answer::{AnsweredEntry, parse_one};
use crate::v1::attested::Attested;
use crate::v1::matching::Claim;
use crate::v1::request::{self, ProposedKind, SignedContent};
use crate::v1::shown;
use crate::v1::trust::V1Trust;

/// Longest file that goes into a request whole, and longest prepared entry. In base64 it is below
/// the 32 MiB that logs take.
const SENT_BYTES_MAX: u64 = 20 * 1024 * 1024;

/// Options of `cairn submit` that are about Rekor v1 alone.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = "Options for --api v1")]
pub struct V1Args {
    /// What kind of entry is made of the file, hashedrekord by default. For dsse and intoto the
    /// file is the payload of the envelope that is signed.
    #[arg(long, value_enum)]
    pub kind: Option<ProposedKind>,
    /// The type of the payload of an envelope.
    #[arg(long, value_name = "TYPE", default_value = crate::statement::IN_TOTO)]
    pub payload_type: String,
    /// A proposed entry (JSON) of any kind that was prepared elsewhere, in place of a file.
    #[arg(long, value_name = "ENTRY", conflicts_with_all = ["key", "kind", "file", "bundle"])]
    pub entry: Option<PathBuf>,
    /// Where a bundle goes as cosign wrote it before there were Sigstore bundles.
    #[arg(long, value_name = "BUNDLE", conflicts_with = "entry")]
    pub legacy_bundle: Option<PathBuf>,
    /// Where the log's verified answer goes, as it came.
    #[arg(long, value_name = "ANSWER")]
    pub answer: Option<PathBuf>,
    /// The public key of the log (PEM). If none is given, not in a trusted root either, the key is
    /// taken from the log.
    #[arg(long, value_name = "KEY", conflicts_with_all = ["trusted_root", "log_vkey"])]
    pub log_key: Option<PathBuf>,
}

impl V1Args {
    /// Whether any of these options was given.
    pub fn is_used(&self) -> bool {
        self.kind.is_some()
            || [&self.entry, &self.legacy_bundle, &self.answer, &self.log_key]
                .iter()
                .any(|path| path.is_some())
    }
}

/// Makes or reads the entry, submits it, verifies the answer, writes what was asked for.
pub(super) fn run(args: &SubmitArgs, client: &LogClient) -> Result<Answer, Failure> {
    check_usage(args)?;
    let options = &args.v1;
    let proposal = match &options.entry {
        Some(path) => Proposal::prepared(path)?,
        None => Proposal::of_file(args)?,
    };
    let (root, log_key) = (args.trusted_root.as_deref(), options.log_key.as_deref());
    let trust = V1Trust::read(root, log_key, args.log_vkey.as_deref(), client)?;
    let timestamp = match (&args.timestamp_url, &proposal.content) {
        (Some(url), Some(content)) => Some(stamp(url, &content.signature, &trust)?),
        _ => None,
    };
    let (json, is_new) = create(client, &proposal.request)?;
    let answered = parse_one(&json).map_err(Failure::no)?;
    proposal.check(&answered.entry)?;
    let attested = trust.verify(&answered)?;
    if let Some((path, bundle)) = args.bundle.as_ref().zip(proposal.bundle(&answered.entry)) {
        let data = timestamp.map(timestamp_data);
        let material = &bundle.verification_material;
        let material =
            VerificationMaterial { timestamp_verification_data: data, ..material.clone() };
        let bundle = Bundle { verification_material: material, ..bundle };
        files::write(path, bundle.to_json().as_bytes())?;
    }
    if let Some((path, bundle)) =
        options.legacy_bundle.as_ref().zip(proposal.bundle(&answered.entry))
    {
        let json = legacy_bundle::write(&bundle)
            .ok_or_else(|| Failure::no("the answer has no promise to put into a cosign bundle"))?;
        files::write(path, json.as_bytes())?;
    }
    if let Some(path) = &options.answer {
        files::write(path, &json)?;
    }
    Ok(describe(args, &answered, &attested, is_new, &trust))
}

fn check_usage(args: &SubmitArgs) -> Result<(), Failure> {
    let options = &args.v1;
    let kind = options.kind.unwrap_or(ProposedKind::Hashedrekord);
    let is_bundled =
        options.entry.is_none() && !matches!(kind, ProposedKind::Rekord | ProposedKind::Rfc3161);
    let has_bundle = args.bundle.is_some() || options.legacy_bundle.is_some();
    let usage = if args.tlog_proof.is_some() || args.witnesses.witness_policy.is_some() {
        "--tlog-proof and --witness-policy are for --api v2: answers of v1 have no cosignatures"
    } else if is_bundled && !has_bundle {
        "give --bundle, --legacy-bundle or both"
    } else if !is_bundled && has_bundle {
        "no bundle carries such an entry; --answer keeps what the log answers"
    } else if kind == ProposedKind::Intoto && options.legacy_bundle.is_some() {
        "cosign bundles carry hashedrekord and dsse entries only"
    } else {
        return Ok(());
    };
    Err(Failure::Usage(usage.to_owned()))
}

/// An entry before it is logged.
struct Proposal {
    request: Value,
    /// What a bundle holds besides the entry; none for entries that no bundle carries.
    content: Option<SignedContent>,
    signer: Option<(Signer, Verifier)>,
}

impl Proposal {
    fn prepared(path: &Path) -> Result<Self, Failure> {
        let request =
            serde_json::from_slice(&files::read(path, SENT_BYTES_MAX)?).map_err(|error| {
                Failure::undecided(format!("{} is not JSON: {error}", path.display()))
            })?;
        Ok(Self { request, content: None, signer: None })
    }

    fn of_file(args: &SubmitArgs) -> Result<Self, Failure> {
        let file = required(args.file.as_ref(), "the file")?;
        let kind = args.v1.kind.unwrap_or(ProposedKind::Hashedrekord);
        if kind == ProposedKind::Rfc3161 {
            let request = request::rfc3161(&files::read(file, SMALL_FILE_BYTES_MAX)?);
            return Ok(Self { request, content: None, signer: None });
        }
        let (signer, verifier) = signer_of(args)?;
        let payload = || {
            let payload = files::read(file, SENT_BYTES_MAX)?;
            SignedContent::of_payload(&signer, payload, &args.v1.payload_type)
                .map_err(|error| Failure::Usage(error.to_string()))
        };
        let (request, content) = match kind {
            ProposedKind::Hashedrekord => {
                let artefact = files::read_artefact(file)?;
                let content = SignedContent::of_file(&signer, artefact);
                let content = content.map_err(Failure::undecided)?;
                let request = request::hashed_rekord(&content, signer.public_key(), &verifier);
                (request, Some(content))
            }
            ProposedKind::Dsse => {
                let content = payload()?;
                (request::dsse(envelope_of(&content), &verifier), Some(content))
            }
            ProposedKind::Intoto => {
                let content = payload()?;
                (request::in_toto(envelope_of(&content), &verifier), Some(content))
            }
            ProposedKind::Rekord | ProposedKind::Rfc3161 => {
                let file = files::read(file, SENT_BYTES_MAX)?;
                let request = request::rekord(&signer, &file, &verifier);
                (request.map_err(|error| Failure::Usage(error.to_string()))?, None)
            }
        };
        Ok(Self { request, content, signer: Some((signer, verifier)) })
    }

    /// The entry must be the one that was sent.
    fn check(&self, entry: &LogEntry) -> Result<(), Failure> {
        let body = &entry.canonicalized_body.0;
        if let (Some(content), Some((signer, verifier))) = (&self.content, &self.signer) {
            let message = content.envelope.as_ref().map(crate::verify::pae_of);
            let claim = Claim {
                signature: &content.signature,
                artefact: &content.signed,
                envelope: content.envelope.as_ref().zip(message.as_deref()),
                key: signer.public_key(),
                verifier,
            };
            claim.check(body).map_err(Failure::no)?;
        }
        let body: Value = serde_json::from_slice(body).map_err(Failure::no)?;
        if request::is_about(&self.request, &body) {
            Ok(())
        } else {
            Err(Failure::no("the log answered with another entry than the one that was sent"))
        }
    }

    /// A bundle of this entry, without timestamps; none for entries that no bundle carries.
    fn bundle(&self, entry: &LogEntry) -> Option<Bundle> {
        let (content, (signer, verifier)) = self.content.as_ref().zip(self.signer.as_ref())?;
        let mut material =
            VerificationMaterial { tlog_entries: vec![entry.clone()], ..Default::default() };
        match verifier {
            Verifier::PublicKey(der) => material.public_key = Some(public_key_hint(der)),
            Verifier::Certificate(der) => {
                material.certificate = Some(RawBytes { raw_bytes: Bytes(der.clone()) });
            }
        }
        let hash = signer.public_key().default_hash();
        let message_signature = content.envelope.is_none().then(|| MessageSignature {
            message_digest: Some(MessageDigest {
                algorithm: hash.name().to_owned(),
                digest: Bytes::from(content.signed.digest(hash).as_ref()),
            }),
            signature: Bytes(content.signature.clone()),
        });
        Some(Bundle {
            media_type: MEDIA_TYPE.to_owned(),
            verification_material: material,
            message_signature,
            dsse_envelope: content.envelope.clone(),
        })
    }
}

fn envelope_of(content: &SignedContent) -> &Envelope {
    content.envelope.as_ref().expect("invariant: what is made of a payload has an envelope")
}

/// Submits, and reads the entry that the log names if it has it already.
fn create(client: &LogClient, request: &Value) -> Result<(Vec<u8>, bool), Failure> {
    let error = match client.create_v1_entry(&request.to_string()) {
        Ok(json) => return Ok((json, true)),
        Err(error) => error,
    };
    // Whatever the address is, only the id at its end is used, and this server is asked.
    let id = error.conflict_location().and_then(|location| location.rsplit('/').next());
    let Some(id) = id.and_then(EntryId::parse) else {
        return Err(not_logged(error));
    };
    let json = client.v1_entry(&id.to_string()).map_err(Failure::undecided)?;
    let answered = parse_one(&json).map_err(Failure::no)?;
    if answered.id == id {
        Ok((json, false))
    } else {
        Err(Failure::no("the log answered with another entry than the one it named"))
    }
}

fn stamp(url: &str, signature: &[u8], trust: &V1Trust) -> Result<Vec<u8>, Failure> {
    let response = request_timestamp(url, timestamp::request(signature));
    let response = response.map_err(Failure::undecided)?;
    let checked: Result<Timestamp, _> = match trust {
        V1Trust::Root(root) if !root.timestamp_authorities.is_empty() => {
            timestamp::verify(&response, signature, &root.timestamp_authorities)
        }
        _ => timestamp::check_unsigned(&response, signature),
    };
    checked.map_err(Failure::no)?;
    Ok(response)
}

fn describe(
    args: &SubmitArgs,
    answered: &AnsweredEntry,
    attested: &Attested,
    is_new: bool,
    trust: &V1Trust,
) -> Answer {
    let AnsweredEntry { id, entry } = answered;
    let mut json = shown::to_json(id, entry, attested);
    json["new"] = json!(is_new);
    json["keyFrom"] = json!(trust.source());
    let state = if is_new { "logged as" } else { "the log has it already:" };
    let written = [&args.bundle, &args.v1.legacy_bundle, &args.v1.answer];
    let written: Vec<_> =
        written.into_iter().flatten().map(|path| path.display().to_string()).collect();
    json["written"] = json!(written);
    let mut text = format!("{state} entry {}, {id}", attested.index);
    if !written.is_empty() {
        text.push_str(&format!("; wrote {}", written.join(", ")));
    }
    let digest = sha256(&entry.canonicalized_body.0);
    json["bodySha256"] = json!(digest.to_string());
    Answer::new(text, json)
}

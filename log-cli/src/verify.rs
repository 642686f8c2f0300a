//! Whether a bundle, or a tlog-proof, shows that somebody signed a file and that a log has it.
//!
//! Offline: everything that is believed comes from the trusted root or the command line. Each
//! step below takes what the one before has proved.

use jiff::Timestamp;
use log_core::checkpoint::OpenError;
use log_core::entry::{
    Dsse, Entry, HashAlgorithm, HashedRekord, KeyDetails, Signature, Verifier, dsse,
};
use log_core::hash::{Hash, sha256};
use log_core::leaf::{Leaf, LeafTooLong};
use log_core::tlog_proof::{TlogProof, TlogProofError};
use log_core::{LeafIndex, Origin, SignedNote, VerifierKey};

use crate::artefact::{Artefact, hex};
use crate::bundle::{Bundle, Envelope, MessageDigest};
use crate::certificate::{CertificateError, SigningCertificate};
use crate::log_entry::{EntryRefusal, Included, LogEntry};
use crate::public_key::{BadSignature, KeyKind, PublicKey};
use crate::statement::{StatementError, check_statement};
use crate::timestamp::{self, TimestampError};
use crate::trusted_root::{TimeRange, TrustedLog, TrustedRoot, TrustedRootError};
use crate::v1::attested::Attested;
use crate::v1::body::Body;
use crate::v1::matching::{Claim, MismatchError};
use crate::witnessed::{WitnessDemand, WitnessRefusal, Witnessed, open_checkpoint};

/// Whose signature it must be.
#[derive(Clone, Debug)]
pub enum Expected {
    /// That of this key.
    Key(PublicKey),
    /// That of a certificate for this identity.
    Identity(Identity),
}

/// Whom a certificate must name.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The mail address, URI or user name, exactly.
    pub name: String,
    /// The identity provider, exactly.
    pub issuer: String,
    /// Whether a CT log must have seen the certificate.
    pub sct_required: bool,
}

/// What was shown.
#[derive(Clone, Debug)]
pub struct Verified {
    /// The entries in logs that are trusted; at least one.
    pub entries: Vec<Logged>,
    /// The time of the signature, if an authority attests it, or else a v1 log.
    pub time: Option<Timestamp>,
}

/// An entry that was proved to be in a log.
#[derive(Clone, Debug)]
pub struct Logged {
    /// The log's key.
    pub key: VerifierKey,
    /// The position in the log; in Rekor v1 over all its trees.
    pub index: LeafIndex,
    /// When the log took the entry, if it promised that (Rekor v1).
    pub promised: Option<Timestamp>,
    /// Where in its tree, and under which checkpoint; `None` if there is only a promise.
    pub included: Option<Included>,
}

impl Logged {
    fn proved(key: VerifierKey, included: Included) -> Self {
        Self { key, index: included.index, promised: None, included: Some(included) }
    }

    /// Whether the checkpoint has what the policy demands; gives the witnesses that cosigned.
    ///
    /// # Errors
    /// [`Refusal::Witnesses`] says what is missing.
    pub fn check_witnesses(&self, demand: &WitnessDemand) -> Result<Vec<Witnessed>, Refusal> {
        let included = self.included.as_ref().ok_or(EntryRefusal::NoProof)?;
        let Included { checkpoint, note, .. } = included;
        Ok(demand.check(note, &checkpoint.origin, &self.key)?)
    }
}

/// Verifies that the bundle shows what is expected about the artefact.
pub fn verify_bundle(
    bundle: &Bundle,
    artefact: &Artefact,
    root: &TrustedRoot,
    expected: &Expected,
) -> Result<Verified, Refusal> {
    let content = Content::of(bundle, artefact)?;
    let mut times: Vec<_> = signing_time(bundle, content.signature, root)?.into_iter().collect();
    let believed = believed_entries(bundle, root)?;
    times.extend(believed.iter().filter_map(Believed::time));
    let signer = Signer::of(bundle, root, expected, &times)?;
    let mut entries = Vec::new();
    for one in believed {
        // A log that says when it took the entry must be trusted for that time; else for all.
        let promised = one.time();
        for time in times.iter().filter(|time| promised.is_none_or(|own| own == **time)) {
            if !one.valid_for().contains(*time)? {
                return Err(Refusal::LogTime);
            }
        }
        entries.push(one.prove(&content, &signer)?);
    }
    Ok(Verified { entries, time: times.first().copied() })
}

/// Verifies that the tlog-proof shows that the log with this origin and one of these keys has the
/// leaf.
pub fn verify_tlog_proof(
    proof: &TlogProof,
    leaf_hash: &Hash,
    origin: &Origin,
    keys: &[VerifierKey],
) -> Result<Logged, Refusal> {
    let note = SignedNote::parse(proof.checkpoint.as_bytes()).map_err(OpenError::from)?;
    let (_, key) = open_checkpoint(&note, origin, keys)?;
    let signed = proof.verify(leaf_hash, origin, key)?;
    let checkpoint = signed.checkpoint().clone();
    let included = Included { index: proof.index, checkpoint, note };
    Ok(Logged::proved(key.clone(), included))
}

/// Verifies that an entry, the `extra` of a tlog-proof, is the key's signature over the artefact.
pub fn verify_entry_body(body: &[u8], artefact: &Artefact, key: &PublicKey) -> Result<(), Refusal> {
    let Ok(Entry::HashedRekord(entry)) = Entry::parse(body) else {
        return Err(Refusal::NotAHashedRekord);
    };
    if entry.digest != artefact.digest(entry.algorithm).as_ref() {
        return Err(Refusal::OtherArtefact);
    }
    let fits = entry.signature.verifier == Verifier::PublicKey(key.spki_der().to_vec())
        && Some(entry.signature.key_details) == key.key_details();
    if !fits {
        return Err(Refusal::OtherKey);
    }
    Ok(key.verify(artefact, &entry.signature.content)?)
}

/// Why the answer is no.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The bundle holds neither a signature nor an envelope, or both.
    #[error("the bundle must hold either a message signature or a DSSE envelope")]
    NoContent,
    /// The digest in the bundle, or the subjects of the statement, are of another file.
    #[error("the signature is about another file")]
    OtherArtefact,
    /// A hash that is not supported.
    #[error("the bundle uses the unsupported hash `{0}`")]
    UnknownHash(String),
    /// The envelope must have exactly one signature.
    #[error("the envelope has {0} signatures instead of one")]
    Signatures(usize),
    /// The envelope is not a statement about the file.
    #[error(transparent)]
    Statement(#[from] StatementError),
    /// A certificate is expected and there is none.
    #[error("the bundle holds no certificate")]
    NoCertificate,
    /// The certificate does not show who signed.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Another key signed.
    #[error("the signature is of another key")]
    OtherKey,
    /// A certificate needs the time at which it was used.
    #[error("the bundle holds no timestamp, so that the time of the certificate is unknown")]
    NoTimestamp,
    /// The timestamp attests nothing.
    #[error(transparent)]
    Timestamp(#[from] TimestampError),
    /// The signature does not verify.
    #[error(transparent)]
    Signature(#[from] BadSignature),
    /// No log takes such a key.
    #[error("no log takes a key of this size")]
    KeySize,
    /// A kind of entry that is not understood.
    #[error("the log entry is of the unsupported kind {kind} {version}")]
    EntryKind {
        /// The kind.
        kind: String,
        /// The version of the kind.
        version: String,
    },
    /// The entry would be too long for any log.
    #[error(transparent)]
    LeafTooLong(#[from] LeafTooLong),
    /// The entry does not prove it.
    #[error(transparent)]
    Entry(#[from] EntryRefusal),
    /// No entry is of a trusted log.
    #[error("the bundle holds no entry of a log that the trusted root names; its logs: {0}")]
    NoTrustedLog(String),
    /// The entry of a v1 log is about something else.
    #[error(transparent)]
    Mismatch(#[from] MismatchError),
    /// The log is not trusted for that time.
    #[error("the log is not trusted for the time of the signature")]
    LogTime,
    /// The tlog-proof does not prove it.
    #[error(transparent)]
    TlogProof(#[from] TlogProofError),
    /// The log did not sign the checkpoint of the tlog-proof.
    #[error("the checkpoint of the proof does not hold")]
    Checkpoint(#[from] OpenError),
    /// The witnesses that the policy demands did not cosign.
    #[error(transparent)]
    Witnesses(#[from] WitnessRefusal),
    /// The entry in a tlog-proof is not a hashedrekord.
    #[error("the proof carries no hashedrekord entry")]
    NotAHashedRekord,
    /// The trusted root is broken: there is no answer.
    #[error(transparent)]
    TrustedRoot(#[from] TrustedRootError),
}

/// An entry of the bundle whose log is trusted. What a v1 log attests is verified by then.
enum Believed<'b> {
    V1 { entry: &'b LogEntry, attested: Box<Attested>, valid_for: &'b TimeRange },
    V2 { entry: &'b LogEntry, log: Box<TrustedLog> },
}

/// The entries of trusted logs; at least one.
fn believed_entries<'b>(
    bundle: &'b Bundle,
    root: &'b TrustedRoot,
) -> Result<Vec<Believed<'b>>, Refusal> {
    let mut believed = Vec::new();
    let entries = &bundle.verification_material.tlog_entries;
    for entry in entries {
        let Some(log) = root.instance(&entry.log_id.key_id.0) else {
            continue;
        };
        let kind = &entry.kind_version;
        if !Body::is_known(kind) {
            if entry.inclusion_promise.is_some() {
                let (kind, version) = (kind.kind.clone(), kind.version.clone());
                return Err(Refusal::EntryKind { kind, version });
            }
            let log = Box::new(TrustedLog::new(log)?);
            believed.push(Believed::V2 { entry, log });
        } else {
            let attested = Attested::verify(entry, &log.note_key()?)?;
            if attested.included.is_none() && !bundle.may_lack_proof() {
                return Err(EntryRefusal::NoProof.into());
            }
            let valid_for = &log.public_key.valid_for;
            believed.push(Believed::V1 { entry, attested: Box::new(attested), valid_for });
        }
    }
    if believed.is_empty() { Err(no_trusted_log(entries)) } else { Ok(believed) }
}

fn no_trusted_log(entries: &[LogEntry]) -> Refusal {
    let name = |entry: &LogEntry| {
        let api = if Body::is_known(&entry.kind_version) { "v1" } else { "v2" };
        format!("{} (Rekor {api})", hex(&entry.log_id.key_id.0))
    };
    let names: Vec<_> = entries.iter().map(name).collect();
    Refusal::NoTrustedLog(if names.is_empty() { "none".to_owned() } else { names.join(", ") })
}

impl Believed<'_> {
    /// When the log took the entry, if it promised that.
    fn time(&self) -> Option<Timestamp> {
        match self {
            Self::V1 { attested, .. } => attested.time,
            Self::V2 { .. } => None,
        }
    }

    fn valid_for(&self) -> &TimeRange {
        match self {
            Self::V1 { valid_for, .. } => valid_for,
            Self::V2 { log, .. } => &log.valid_for,
        }
    }

    /// The entry must be about the bundle's signature, by that signer, and in the log.
    fn prove(self, content: &Content<'_>, signer: &Signer) -> Result<Logged, Refusal> {
        match self {
            Self::V1 { entry, attested, .. } => {
                let message = content.envelope.map(pae_of);
                let claim = Claim {
                    signature: content.signature,
                    artefact: &content.signed,
                    envelope: content.envelope.zip(message.as_deref()),
                    key: &signer.key,
                    verifier: &signer.verifier,
                };
                claim.check(&entry.canonicalized_body.0)?;
                let Attested { key, index, time, included } = *attested;
                Ok(Logged { key, index, promised: time, included })
            }
            Self::V2 { entry, log } => {
                content.verify_signature(entry, &signer.key)?;
                let leaf = content.leaf(entry, signer)?;
                let included = entry.verify(&leaf, &log.origin, &log.key)?;
                Ok(Logged::proved(log.key, included))
            }
        }
    }
}

/// What was signed, bound to the artefact.
struct Content<'b> {
    signature: &'b [u8],
    /// What the signature is over: the artefact, or the encoding of the envelope.
    signed: Artefact,
    envelope: Option<&'b Envelope>,
}

impl<'b> Content<'b> {
    fn of(bundle: &'b Bundle, artefact: &Artefact) -> Result<Self, Refusal> {
        match (&bundle.message_signature, &bundle.dsse_envelope) {
            (Some(message), None) => {
                if let Some(digest) = &message.message_digest {
                    check_digest(digest, artefact)?;
                }
                let signature = message.signature.0.as_slice();
                Ok(Self { signature, signed: artefact.clone(), envelope: None })
            }
            (None, Some(envelope)) => {
                let [signature] = envelope.signatures.as_slice() else {
                    return Err(Refusal::Signatures(envelope.signatures.len()));
                };
                check_statement(envelope, artefact)?;
                let signed = Artefact::of(&pae_of(envelope));
                Ok(Self { signature: &signature.sig.0, signed, envelope: Some(envelope) })
            }
            _ => Err(Refusal::NoContent),
        }
    }

    fn verify_signature(&self, entry: &LogEntry, key: &PublicKey) -> Result<(), Refusal> {
        // Ed25519 is prehashed for hashedrekord and is not for the older dsse kind.
        match self.envelope {
            Some(envelope) if entry.kind_version.kind == Dsse::KIND => {
                let message = pae_of(envelope);
                key.verify_message(key.default_hash(), &message, self.signature)?;
            }
            _ => key.verify(&self.signed, self.signature)?,
        }
        Ok(())
    }

    /// The leaf that the log must have, rebuilt from what was verified.
    fn leaf(&self, entry: &LogEntry, signer: &Signer) -> Result<Leaf, Refusal> {
        let hash = signer.key.default_hash();
        let key_details = signer.key.key_details().ok_or(Refusal::KeySize)?;
        let (kind, version) = (&entry.kind_version.kind, &entry.kind_version.version);
        let signature = |key_details| Signature {
            content: self.signature.to_vec(),
            verifier: signer.verifier.clone(),
            key_details,
        };
        match (kind.as_str(), version.as_str(), self.envelope) {
            (HashedRekord::KIND, "0.0.2", _) => {
                let digest = self.signed.digest(hash).as_ref().to_vec();
                let signature = signature(key_details);
                Ok(HashedRekord { algorithm: hash, digest, signature }.to_leaf()?)
            }
            (Dsse::KIND, "0.0.2", Some(envelope)) => {
                let leaf = |label| {
                    let payload_hash = sha256(&envelope.payload.0);
                    Dsse { payload_hash, signatures: vec![signature(label)] }.to_leaf()
                };
                // Clients label the unhashed Ed25519 of this kind in either way.
                if signer.key.kind() == KeyKind::Ed25519 {
                    let unhashed = leaf(KeyDetails::PKIX_ED25519)?;
                    if entry.canonicalized_body.0 == unhashed.as_bytes() {
                        return Ok(unhashed);
                    }
                }
                Ok(leaf(key_details)?)
            }
            _ => Err(Refusal::EntryKind { kind: kind.clone(), version: version.clone() }),
        }
    }
}

/// Who signed: the key, and how the log entry names it.
struct Signer {
    key: PublicKey,
    verifier: Verifier,
}

impl Signer {
    fn of(
        bundle: &Bundle,
        root: &TrustedRoot,
        expected: &Expected,
        times: &[Timestamp],
    ) -> Result<Self, Refusal> {
        let certificate = bundle.verification_material.leaf_certificate();
        let certificate = certificate.map(SigningCertificate::from_der).transpose()?;
        match (expected, certificate) {
            (Expected::Key(key), None) => Ok(Self {
                key: key.clone(),
                verifier: Verifier::PublicKey(key.spki_der().to_vec()),
            }),
            (Expected::Key(key), Some(certificate)) => {
                if certificate.public_key() != key {
                    return Err(Refusal::OtherKey);
                }
                Ok(Self::certified(&certificate))
            }
            (Expected::Identity(_), None) => Err(Refusal::NoCertificate),
            (Expected::Identity(identity), Some(certificate)) => {
                let (first, others) = times.split_first().ok_or(Refusal::NoTimestamp)?;
                let authorities = &root.certificate_authorities;
                let issuer = certificate.verify_chain(authorities, *first)?;
                for time in others {
                    certificate.verify_chain(authorities, *time)?;
                }
                if identity.sct_required {
                    certificate.verify_sct(&root.ctlogs, &issuer)?;
                }
                certificate.verify_identity(&identity.name, &identity.issuer)?;
                Ok(Self::certified(&certificate))
            }
        }
    }

    fn certified(certificate: &SigningCertificate) -> Self {
        let verifier = Verifier::Certificate(certificate.der().to_vec());
        Self { key: certificate.public_key().clone(), verifier }
    }
}

/// The time that an authority attests for the signature. Timestamps that are there must be good
/// as soon as any authority is trusted: one that verifies is enough, none that does is a refusal.
fn signing_time(
    bundle: &Bundle,
    signature: &[u8],
    root: &TrustedRoot,
) -> Result<Option<Timestamp>, Refusal> {
    let data = bundle.verification_material.timestamp_verification_data.as_ref();
    let timestamps = data.map(|data| data.rfc3161_timestamps.as_slice()).unwrap_or_default();
    if root.timestamp_authorities.is_empty() {
        return Ok(None);
    }
    let mut refusal = None;
    for stamp in timestamps {
        let response = &stamp.signed_timestamp.0;
        match timestamp::verify(response, signature, &root.timestamp_authorities) {
            Ok(time) => return Ok(Some(time)),
            Err(error) => refusal = Some(error),
        }
    }
    refusal.map_or(Ok(None), |error| Err(error.into()))
}

fn check_digest(digest: &MessageDigest, artefact: &Artefact) -> Result<(), Refusal> {
    let algorithms = [HashAlgorithm::Sha2_256, HashAlgorithm::Sha2_384, HashAlgorithm::Sha2_512];
    let named = algorithms.into_iter().find(|algorithm| algorithm.name() == digest.algorithm);
    let named = named.ok_or_else(|| Refusal::UnknownHash(digest.algorithm.clone()))?;
    if artefact.digest(named).as_ref() == digest.digest.0 {
        Ok(())
    } else {
        Err(Refusal::OtherArtefact)
    }
}

/// What the signatures of an envelope are over.
pub fn pae_of(envelope: &Envelope) -> Vec<u8> {
    dsse::pae(envelope.payload_type.as_bytes(), &envelope.payload.0)
}

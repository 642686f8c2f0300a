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
use log_core::{Origin, SignedNote, VerifierKey};
use serde::Deserialize;

use crate::artefact::{Artefact, hex};
use crate::bundle::{Bundle, Envelope, MessageDigest};
use crate::certificate::{CertificateError, SigningCertificate};
use crate::log_entry::{EntryRefusal, Included, LogEntry};
use crate::public_key::{BadSignature, KeyKind, PublicKey};
use crate::timestamp::{self, TimestampError};
use crate::trusted_root::{TrustedRoot, TrustedRootError};
use crate::witnessed::{WitnessDemand, WitnessRefusal, Witnessed, open_checkpoint};

/// The payload type of in-toto statements, the only one that names files.
const IN_TOTO: &str = "application/vnd.in-toto+json";

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
    /// The time of the signature, if an authority attests it.
    pub time: Option<Timestamp>,
}

/// An entry that was proved to be in a log.
#[derive(Clone, Debug)]
pub struct Logged {
    /// The log's key.
    pub key: VerifierKey,
    /// Where in the log, and under which checkpoint.
    pub included: Included,
}

impl Logged {
    /// Whether the checkpoint has what the policy demands; gives the witnesses that cosigned.
    ///
    /// # Errors
    /// [`Refusal::Witnesses`] says what is missing.
    pub fn check_witnesses(&self, demand: &WitnessDemand) -> Result<Vec<Witnessed>, Refusal> {
        let Included { checkpoint, note, .. } = &self.included;
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
    let time = signing_time(bundle, content.signature, root)?;
    let signer = Signer::of(bundle, root, expected, time)?;
    let mut entries = Vec::new();
    for entry in &bundle.verification_material.tlog_entries {
        let Some(log) = root.log(&entry.log_id.key_id.0)? else {
            continue;
        };
        if let Some(time) = time
            && !log.valid_for.contains(time)?
        {
            return Err(Refusal::LogTime);
        }
        content.verify_signature(entry, &signer.key)?;
        let leaf = content.leaf(entry, &signer)?;
        let included = entry.verify(&leaf, &log.origin, &log.key)?;
        entries.push(Logged { key: log.key, included });
    }
    if entries.is_empty() { Err(Refusal::NoTrustedLog) } else { Ok(Verified { entries, time }) }
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
    Ok(Logged { key: key.clone(), included })
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
    /// The envelope holds something that does not name files.
    #[error("the envelope holds `{0}`, not an in-toto statement")]
    PayloadType(String),
    /// The payload is not a statement.
    #[error("the payload is not an in-toto statement")]
    Statement(#[source] serde_json::Error),
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
    #[error("the bundle holds no entry of a log that the trusted root names")]
    NoTrustedLog,
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
        time: Option<Timestamp>,
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
                let time = time.ok_or(Refusal::NoTimestamp)?;
                let issuer = certificate.verify_chain(&root.certificate_authorities, time)?;
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

fn pae_of(envelope: &Envelope) -> Vec<u8> {
    dsse::pae(envelope.payload_type.as_bytes(), &envelope.payload.0)
}

/// Whether one of the statement's subjects is the artefact.
fn check_statement(envelope: &Envelope, artefact: &Artefact) -> Result<(), Refusal> {
    if envelope.payload_type != IN_TOTO {
        return Err(Refusal::PayloadType(envelope.payload_type.clone()));
    }
    let statement: Statement =
        serde_json::from_slice(&envelope.payload.0).map_err(Refusal::Statement)?;
    let is_artefact = |subject: &Subject| subject.digest.is_of(artefact);
    if statement.subject.iter().any(is_artefact) { Ok(()) } else { Err(Refusal::OtherArtefact) }
}

/// The part of an in-toto statement that names files.
#[derive(Deserialize)]
struct Statement {
    subject: Vec<Subject>,
}

#[derive(Deserialize)]
struct Subject {
    digest: SubjectDigest,
}

/// The digests of a subject under the hashes that are understood.
#[derive(Deserialize)]
struct SubjectDigest {
    sha256: Option<String>,
    sha384: Option<String>,
    sha512: Option<String>,
}

impl SubjectDigest {
    /// At least one digest is given, and all that are given fit.
    fn is_of(&self, artefact: &Artefact) -> bool {
        let given = [
            (&self.sha256, HashAlgorithm::Sha2_256),
            (&self.sha384, HashAlgorithm::Sha2_384),
            (&self.sha512, HashAlgorithm::Sha2_512),
        ];
        let mut given = given
            .into_iter()
            .filter_map(|(text, algorithm)| Some((text.as_ref()?, algorithm)))
            .peekable();
        given.peek().is_some()
            && given.all(|(text, algorithm)| {
                hex(artefact.digest(algorithm).as_ref()).eq_ignore_ascii_case(text)
            })
    }
}

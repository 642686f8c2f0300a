//! DSSE envelopes as three kinds take them: who signed, and whether everything is signed.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use log_core::entry::dsse::pae;
use thiserror::Error;

use super::super::key::{Use, VerifyingKey};
use super::json::{Json, JsonError, JsonType, is_in_any_case};
use super::lax_base64::{self, BadBase64};
use super::refusal::Reason;
use super::signature::Message;
use super::x509::{KeyFault, KeyObject};

/// Most signatures of one envelope. Upstream knows no bound; with as many verifiers a request costs
/// 256 verifications at worst, a fraction of a second.
pub(super) const SIGNATURES_MAX: usize = 16;

/// Most verifiers of one request.
pub(super) const VERIFIERS_MAX: usize = SIGNATURES_MAX;

/// Why an envelope does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EnvelopeFault {
    /// Neither an envelope nor what is computed from one.
    #[error("either proposedContent or envelopeHash, payloadHash, and signatures must be present")]
    NeitherForm,
    /// An envelope and something that is computed from it.
    #[error(
        "either proposedContent or envelopeHash, payloadHash, and signatures must be present but \
         not both"
    )]
    BothForms,
    /// No signature in an envelope that must have one to be read.
    #[error("DSSE envelope must contain 1 or more signatures")]
    Unsigned,
    /// More signatures than are checked.
    #[error("DSSE envelope must contain at most {SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// More verifiers than are tried.
    #[error("at most {VERIFIERS_MAX} verifiers are allowed")]
    TooManyVerifiers,
    /// A verifier that is no usable key.
    #[error("could not parse public key as x509: {0}")]
    Key(KeyFault),
    /// A verifier that verifies nothing.
    #[error("could not verify envelope: {0}")]
    Unverified(OpenFault),
    /// The one key verifies nothing.
    #[error(transparent)]
    Open(#[from] OpenFault),
    /// A signature that no verifier claims.
    #[error("all signatures must have a key that verifies it")]
    Unclaimed,
    /// A good signature whose text could be logged but not read again.
    #[error("signatures must be in standard base64 without line ends")]
    SignatureAlphabet,
    /// A payload that only half of the checks can decode.
    #[error("could not decode envelope payload: {0}")]
    PayloadAlphabet(BadBase64),
    /// The client's hash of the envelope is missing.
    #[error("missing envelope digest")]
    NoDigest,
    /// The hash of the payload is missing in an entry that is looked for.
    #[error("missing payload digest")]
    NoPayloadDigest,
}

/// Why an envelope cannot be opened with a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OpenFault {
    /// No signature at all.
    #[error("no signature found")]
    NoSignature,
    /// Payload or signature are not base64.
    #[error("unable to base64 decode payload (is payload in the right format?)")]
    NotBase64,
    /// No signature is by this key.
    #[error("accepted signatures do not match threshold, Found: 0, Expected 1")]
    NoneAccepted,
}

/// An envelope as it was sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Envelope<'a> {
    pub(super) payload_type: Cow<'a, str>,
    /// In base64.
    pub(super) payload: Cow<'a, str>,
    pub(super) signatures: Vec<EnvelopeSignature<'a>>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct EnvelopeSignature<'a> {
    pub(super) keyid: Cow<'a, str>,
    /// In base64.
    pub(super) sig: Cow<'a, str>,
}

impl<'a> Envelope<'a> {
    /// Reads the JSON of an envelope. What is missing is empty.
    pub(super) fn parse(text: &'a str) -> Result<Self, Reason> {
        let json = Json::only(text.as_bytes())?;
        let mut envelope = Self::default();
        if !matches!(json.json_type(), JsonType::Object | JsonType::Null) {
            let place = "value of type dsse.Envelope";
            return Err(JsonError::WrongType { found: json.json_type(), place }.into());
        }
        for (name, value) in json.members() {
            if is_in_any_case(&name, "payloadType") {
                const PLACE: &str = "struct field Envelope.payloadType of type string";
                set(&mut envelope.payload_type, value, PLACE)?;
            } else if is_in_any_case(&name, "payload") {
                const PLACE: &str = "struct field Envelope.payload of type string";
                set(&mut envelope.payload, value, PLACE)?;
            } else if is_in_any_case(&name, "signatures") {
                set_signatures(&mut envelope.signatures, value)?;
            }
        }
        Ok(envelope)
    }

    /// Decodes everything that a verification needs.
    pub(super) fn open(&self) -> Result<Opened, OpenFault> {
        if self.signatures.is_empty() {
            return Err(OpenFault::NoSignature);
        }
        let decode = |text: &str| {
            lax_base64::decode_either(text.as_bytes()).map_err(|_| OpenFault::NotBase64)
        };
        let payload = decode(&self.payload)?;
        let signatures = self.signatures.iter().map(|signature| decode(&signature.sig));
        Ok(Opened {
            signatures: signatures.collect::<Result<_, _>>()?,
            signed: pae(self.payload_type.as_bytes(), &payload),
            payload,
        })
    }

    /// Lets each verifier in turn claim the first signature that it verifies, and gives the payload
    /// and the verifier of each signature, by the text of the signature.
    ///
    /// A verifier that verifies nothing is a fault. With `stop_when_claimed` those that come after
    /// the last claim are not looked at.
    pub(super) fn claim(
        &self,
        verifiers: &[Vec<u8>],
        stop_when_claimed: bool,
    ) -> Result<(Opened, BTreeMap<&str, KeyObject>), EnvelopeFault> {
        let mut unclaimed: HashSet<&str> =
            self.signatures.iter().map(|signature| &*signature.sig).collect();
        let mut claims = BTreeMap::new();
        let mut opened = None;
        for verifier in verifiers {
            if stop_when_claimed && unclaimed.is_empty() {
                break;
            }
            let object = KeyObject::parse(verifier).map_err(EnvelopeFault::Key)?;
            let key = object.verifying_key(Use::Sha256Message).map_err(EnvelopeFault::Key)?;
            let envelope = match opened.take() {
                Some(envelope) => envelope,
                None => self.open().map_err(EnvelopeFault::Unverified)?,
            };
            let none = EnvelopeFault::Unverified(OpenFault::NoneAccepted);
            let position = envelope.first_signed_by(&key, |_| true).ok_or(none)?;
            let sig = &*self.signatures[position].sig;
            unclaimed.remove(sig);
            claims.insert(sig, object);
            opened = Some(envelope);
        }
        match opened {
            Some(opened) if unclaimed.is_empty() => Ok((opened, claims)),
            _ => Err(EnvelopeFault::Unclaimed),
        }
    }
}

/// An envelope whose base64 is gone.
pub(super) struct Opened {
    pub(super) payload: Vec<u8>,
    signed: Vec<u8>,
    signatures: Vec<Vec<u8>>,
}

impl Opened {
    /// The position of the first signature by this key, among those that are wanted.
    pub(super) fn first_signed_by(
        &self,
        key: &VerifyingKey,
        wanted: impl Fn(usize) -> bool,
    ) -> Option<usize> {
        let message = Message::new(&self.signed);
        let mut signatures = self.signatures.iter().enumerate();
        let found = signatures.find(|(position, signature)| {
            wanted(*position) && message.verify(key, signature).is_ok()
        });
        found.map(|(position, _)| position)
    }
}

/// `null` leaves what an earlier duplicate said.
fn set<'a>(
    target: &mut Cow<'a, str>,
    value: Json<'a>,
    place: &'static str,
) -> Result<(), JsonError> {
    match value.json_type() {
        JsonType::Null => {}
        JsonType::String => *target = value.as_str().unwrap_or_default(),
        found => return Err(JsonError::WrongType { found, place }),
    }
    Ok(())
}

/// A second list is laid over the first, element by element, and cuts it to its own length.
fn set_signatures<'a>(
    target: &mut Vec<EnvelopeSignature<'a>>,
    value: Json<'a>,
) -> Result<(), Reason> {
    let found = value.json_type();
    if !matches!(found, JsonType::Array | JsonType::Null) {
        let place = "struct field Envelope.signatures of type []dsse.Signature";
        return Err(JsonError::WrongType { found, place }.into());
    }
    let mut len = 0;
    for element in value.elements() {
        if len == SIGNATURES_MAX {
            return Err(EnvelopeFault::TooManySignatures.into());
        }
        if len == target.len() {
            target.push(EnvelopeSignature::default());
        }
        set_signature(&mut target[len], element)?;
        len += 1;
    }
    target.truncate(len);
    Ok(())
}

fn set_signature<'a>(target: &mut EnvelopeSignature<'a>, value: Json<'a>) -> Result<(), JsonError> {
    let found = value.json_type();
    if !matches!(found, JsonType::Object | JsonType::Null) {
        let place = "struct field Envelope.signatures of type dsse.Signature";
        return Err(JsonError::WrongType { found, place });
    }
    for (name, value) in value.members() {
        if is_in_any_case(&name, "keyid") {
            set(
                &mut target.keyid,
                value,
                "struct field Signature.signatures.keyid of type string",
            )?;
        } else if is_in_any_case(&name, "sig") {
            set(&mut target.sig, value, "struct field Signature.signatures.sig of type string")?;
        }
    }
    Ok(())
}

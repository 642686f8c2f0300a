//! Why a request of this protocol is not admitted, in the words of the reference server: clients
//! compare some of them. Where it answers bad input as its own failure, the words here are ours.

use std::fmt;

use log_core::leaf::LEAF_BYTES_MAX;
use thiserror::Error;

use super::alpine::ApkFault;
use super::cose::CoseFault;
use super::envelope::EnvelopeFault;
use super::helm::ProvenanceFault;
use super::index::KEYS_MAX;
use super::jar::JarFault;
use super::json::JsonError;
use super::lax_base64::BadBase64;
use super::minisign::MinisignFault;
use super::pgp::PgpFault;
use super::rfc3161::TimestampFault;
use super::rpm::RpmFault;
use super::schema::Violation;
use super::signature::SignatureFault;
use super::ssh::SshFault;
use super::tuf::TufFault;
use super::x509::KeyFault;

/// The pattern of `apiVersion`, as refusals quote it.
const VERSION_PATTERN: &str = concat!(
    r"^(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(?:-((?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)",
    r"(?:\.(?:0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*))*))?",
    r"(?:\+([0-9a-zA-Z-]+(?:\.[0-9a-zA-Z-]+)*))?$",
);

/// Most characters of a request's kind or version that an answer repeats.
const ECHO_CHARS_MAX: usize = 64;

/// A request that is not admitted: always the submitter's fault.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Not JSON, or a member of the wrong type.
    #[error("{0}")]
    Json(#[from] JsonError),
    /// A body of white space.
    #[error("proposedEntry in body is required")]
    EmptyBody,
    /// A member is missing, `null` or, if it is the kind, empty.
    #[error("{0} in body is required")]
    Missing(&'static str),
    /// `apiVersion` is no version.
    #[error("apiVersion in body should match '{VERSION_PATTERN}'")]
    VersionPattern,
    /// No kind of this protocol.
    #[error("invalid kind value: {}", GoQuoted(.0))]
    UnknownKind(String),
    /// The entry itself.
    #[error("error processing entry: {0}")]
    Entry(#[from] Reason),
}

impl Refusal {
    /// The `code` in the answer's body. Codes from 600 name the rule that a member breaks; such a
    /// request and one of an unknown kind are answered with status 422, all others with 400.
    pub fn code(&self) -> u16 {
        match self {
            Self::Json(_) | Self::Entry(_) => 400,
            Self::UnknownKind(_) => 422,
            Self::EmptyBody | Self::Missing(_) => 602,
            Self::VersionPattern => 605,
        }
    }

    /// Whether the entry could not even be read: a list of entries that holds it is then no list,
    /// and is refused as a whole with status 400.
    pub fn is_unreadable(&self) -> bool {
        match self {
            Self::Json(_) | Self::EmptyBody | Self::UnknownKind(_) => true,
            Self::Missing(member) => *member == "kind",
            Self::VersionPattern | Self::Entry(_) => false,
        }
    }

    /// The words for an entry that was only looked for: those of the reason alone.
    pub fn in_lookup(&self) -> String {
        match self {
            Self::Entry(reason) => reason.to_string(),
            other => other.to_string(),
        }
    }

    pub(super) fn unknown_kind(kind: &str) -> Self {
        Self::UnknownKind(echo(kind))
    }
}

/// What is wrong with an entry.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Reason {
    /// A version that this kind does not have.
    #[error(
        "{kind} implementation for version '{version}' not found: unable to locate entry for \
         version {version}"
    )]
    UnknownVersion {
        /// The kind.
        kind: &'static str,
        /// The version.
        version: String,
    },
    /// A kind that this log does not take.
    #[error("entry kind '{0}' is not enabled for submission on this server")]
    KindDisabled(&'static str),
    /// `spec` is no object.
    #[error("unsupported input type {0} for DecodeEntry")]
    SpecType(&'static str),
    /// Members are missing or not allowed.
    #[error("validation failure list:\n{}", Lines(.0))]
    Schema(Vec<Violation>),
    /// A member is not base64.
    #[error("failed parsing base64 data for {member}: {fault}")]
    Base64 {
        /// What the member holds.
        member: &'static str,
        /// Where it stops being base64.
        fault: BadBase64,
    },
    /// A text within the entry is not base64.
    #[error(transparent)]
    InnerBase64(BadBase64),
    /// A JSON text within the entry is none.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Enough to look an entry up, not to insert it.
    #[error("entry not insertable into log: {0}")]
    NotInsertable(&'static str),
    /// Something is missing without which the rest makes no sense.
    #[error("missing {0}")]
    Missing(&'static str),
    /// A member that must have content has none.
    #[error("'content' must be specified for {0}")]
    NoContent(&'static str),
    /// A digest has another length than its hash function makes, or is no hex.
    #[error("invalid value for hash")]
    HashValue,
    /// A byte of a digest is no hex digit.
    #[error("encoding/hex: invalid byte: U+{:04X} '{}'", *.0, char::from(*.0))]
    HexDigit(u8),
    /// The digest is not that of the content.
    #[error("SHA mismatch: {computed} != {given}")]
    HashMismatch {
        /// The digest of the content.
        computed: String,
        /// The digest in the request.
        given: String,
    },
    /// The key must not be used with this hash function.
    #[error("entry algorithms are not allowed")]
    AlgorithmsNotAllowed,
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// The signature over the digest does not verify.
    #[error("verifying signature: {0}")]
    DigestSignature(SignatureFault),
    /// The chain of the key does not verify.
    #[error("verifying signature: {0}")]
    Chain(KeyFault),
    /// The signature over the content does not verify.
    #[error(transparent)]
    Signature(#[from] SignatureFault),
    /// The SSH key or signature does not hold.
    #[error(transparent)]
    Ssh(#[from] SshFault),
    /// The minisign key or signature does not hold.
    #[error(transparent)]
    Minisign(#[from] MinisignFault),
    /// The time-stamp does not hold.
    #[error(transparent)]
    Timestamp(#[from] TimestampFault),
    /// The COSE message does not hold.
    #[error(transparent)]
    Cose(#[from] CoseFault),
    /// The metadata or its root does not hold.
    #[error(transparent)]
    Tuf(#[from] TufFault),
    /// The OpenPGP key or signature does not hold.
    #[error(transparent)]
    Pgp(#[from] PgpFault),
    /// The Alpine package does not hold.
    #[error(transparent)]
    Apk(#[from] ApkFault),
    /// The Java archive does not hold.
    #[error(transparent)]
    Jar(#[from] JarFault),
    /// The RPM package does not hold.
    #[error(transparent)]
    Rpm(#[from] RpmFault),
    /// The provenance file does not hold.
    #[error(transparent)]
    Provenance(#[from] ProvenanceFault),
    /// The envelope does not hold.
    #[error(transparent)]
    Envelope(#[from] EnvelopeFault),
    /// The entry would have more search keys than an entry may have.
    #[error("the entry would be found under more than {KEYS_MAX} search keys")]
    TooManyKeys,
    /// The entry is longer than an entry bundle can hold.
    #[error("the canonical entry is longer than {LEAF_BYTES_MAX} bytes")]
    LeafTooLong,
}

impl Reason {
    pub(super) fn unknown_version(kind: &'static str, version: &str) -> Self {
        Self::UnknownVersion { kind, version: echo(version) }
    }
}

impl From<log_core::leaf::LeafTooLong> for Reason {
    fn from(_: log_core::leaf::LeafTooLong) -> Self {
        Self::LeafTooLong
    }
}

fn echo(text: &str) -> String {
    text.chars().take(ECHO_CHARS_MAX).collect()
}

struct Lines<'a>(&'a [Violation]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, violation) in self.0.iter().enumerate() {
            let separator = if position == 0 { "" } else { "\n" };
            write!(f, "{separator}{violation}")?;
        }
        Ok(())
    }
}

/// A text in double quotes with the escapes of the reference server's language.
pub struct GoQuoted<'a>(pub &'a str);

impl fmt::Display for GoQuoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("\"")?;
        for character in self.0.chars() {
            match character {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str(r"\\")?,
                '\u{7}' => f.write_str(r"\a")?,
                '\u{8}' => f.write_str(r"\b")?,
                '\t' => f.write_str(r"\t")?,
                '\n' => f.write_str(r"\n")?,
                '\u{b}' => f.write_str(r"\v")?,
                '\u{c}' => f.write_str(r"\f")?,
                '\r' => f.write_str(r"\r")?,
                '\0'..='\u{1f}' | '\u{7f}' => write!(f, r"\x{:02x}", u32::from(character))?,
                '\'' => f.write_str("'")?,
                // The standard library escapes what cannot be printed, and nothing else is left.
                other if other.escape_debug().len() == 1 => write!(f, "{other}")?,
                other if u32::from(other) > 0xffff => write!(f, r"\U{:08x}", u32::from(other))?,
                other => write!(f, r"\u{:04x}", u32::from(other))?,
            }
        }
        f.write_str("\"")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_quoted_as_the_reference_server_does() {
        let refused = Refusal::unknown_kind("a\"\\\n\u{1}\u{e9}'\u{200b}\u{1f980}\u{e0001}");
        let quoted = r#""a\"\\\n\x01"#;
        let expected = format!("invalid kind value: {quoted}\u{e9}'\\u200b\u{1f980}\\U000e0001\"");
        assert_eq!(refused.to_string(), expected);
        let long = Refusal::unknown_kind(&"k".repeat(1_000_000)).to_string();
        assert_eq!(long.len(), "invalid kind value: \"\"".len() + ECHO_CHARS_MAX);
    }

    #[test]
    fn codes_are_those_of_the_rules() {
        assert_eq!(Refusal::EmptyBody.code(), 602);
        assert_eq!(Refusal::VersionPattern.code(), 605);
        assert_eq!(Refusal::unknown_kind("x").code(), 422);
        assert_eq!(Refusal::Entry(Reason::HashValue).code(), 400);
        assert_eq!(Refusal::Entry(Reason::HashValue).in_lookup(), "invalid value for hash");
    }

    #[test]
    fn what_cannot_be_read_is_told_from_what_breaks_a_rule() {
        for refusal in [
            Refusal::EmptyBody,
            Refusal::Missing("kind"),
            Refusal::unknown_kind("x"),
            Refusal::Json(JsonError::Truncated),
        ] {
            assert!(refusal.is_unreadable(), "{refusal}");
        }
        let entry = Refusal::Entry(Reason::HashValue);
        for refusal in [Refusal::Missing("spec"), Refusal::VersionPattern, entry] {
            assert!(!refusal.is_unreadable(), "{refusal}");
        }
    }
}

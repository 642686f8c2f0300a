//! RPM packages of version 3 and 4: a lead, a header with signatures, the header, the payload. The
//! payload is never inflated.

use log_core::hash::sha256;
use thiserror::Error;

use super::super::pgp::{DetachedSignature, PgpFault, PublicKeys};
use super::Description;
use super::header::Header;
use super::md5::md5;

/// The lead, of which nothing but its start means anything today.
const LEAD_BYTES: usize = 96;
const LEAD_MAGIC: &[u8] = &[0xed, 0xab, 0xee, 0xdb];

/// The header with signatures ends at a multiple of this.
const ALIGNMENT: usize = 8;

/// Tags of signatures: over the header alone, and over the header and the payload.
const HEADER_SIGNATURES: [u32; 2] = [267, 268];
const WHOLE_SIGNATURES: [u32; 2] = [1002, 1005];

/// MD5 of header and payload.
const MD5: u32 = 1004;

/// Tags of the header.
const NAME: u32 = 1000;
const VERSION: u32 = 1001;
const RELEASE: u32 = 1002;
const EPOCH: u32 = 1003;
const ARCHITECTURE: u32 = 1022;
const PAYLOAD_DIGEST: u32 = 5092;
const PAYLOAD_DIGEST_ALGORITHM: u32 = 5093;

/// How headers call SHA-256 (RFC 9580, 9.5).
const SHA256: u32 = 8;

/// Why a package does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RpmFault {
    /// Not a lead and two headers.
    #[error("file is not an RPM")]
    NotRpm,
    /// A tag that must be there is not, or is no text.
    #[error("RPM header has no tag {0}")]
    MissingTag(u32),
    /// The digest of header and payload is another one.
    #[error("md5 digest mismatch")]
    Md5,
    /// The header has the digest of another payload.
    #[error("payload digest mismatch")]
    PayloadDigest,
    /// Nobody signed.
    #[error("no signatures detected in RPM package")]
    NoSignature,
    /// A signature does not hold.
    #[error(transparent)]
    Signature(#[from] PgpFault),
}

/// A package.
pub(super) struct Package<'a> {
    signatures: Header<'a>,
    header: Header<'a>,
    payload: &'a [u8],
    /// Header and payload.
    whole: &'a [u8],
}

impl<'a> Package<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, RpmFault> {
        let lead = bytes.get(..LEAD_BYTES).ok_or(RpmFault::NotRpm)?;
        if !lead.starts_with(LEAD_MAGIC) {
            return Err(RpmFault::NotRpm);
        }
        let (signatures, rest) = Header::parse(&bytes[LEAD_BYTES..]).ok_or(RpmFault::NotRpm)?;
        let end = (bytes.len() - rest.len()).next_multiple_of(ALIGNMENT);
        let whole = bytes.get(end..).ok_or(RpmFault::NotRpm)?;
        let (header, payload) = Header::parse(whole).ok_or(RpmFault::NotRpm)?;
        let package = Self { signatures, header, payload, whole };
        package.check_digests()?;
        Ok(package)
    }

    /// Checks every signature; there must be one. `now_s` is in seconds since 1970.
    pub(super) fn verify(&self, keys: &PublicKeys<'_>, now_s: i64) -> Result<(), RpmFault> {
        let header = HEADER_SIGNATURES.map(|tag| (tag, self.header.bytes));
        let whole = WHOLE_SIGNATURES.map(|tag| (tag, self.whole));
        let mut is_signed = false;
        for (tag, signed) in header.into_iter().chain(whole) {
            if self.signatures.has(tag) {
                let signature = self.signatures.binary(tag).ok_or(RpmFault::MissingTag(tag))?;
                DetachedSignature::from_packets(signature)?.verify(signed, keys, now_s)?;
                is_signed = true;
            }
        }
        if is_signed { Ok(()) } else { Err(RpmFault::NoSignature) }
    }

    /// What is kept of the headers.
    pub(super) fn description(&self) -> Result<Description, RpmFault> {
        let text = |tag| self.header.string(tag).ok_or(RpmFault::MissingTag(tag));
        let mut description = Description::new();
        let mut add = |name: &str, value: String| description.insert(name.to_owned(), value);
        for (name, tag) in [
            ("Name", NAME),
            ("Version", VERSION),
            ("Release", RELEASE),
            ("Architecture", ARCHITECTURE),
        ] {
            add(name, text(tag)?.to_owned());
        }
        add("Epoch", self.header.number(EPOCH).unwrap_or(0).to_string());
        if let Some(digest) = self.signatures.binary(MD5) {
            let digits = digest.iter().map(|byte| format!("{byte:02x}"));
            add("RPMSIGTAG_MD5", digits.collect());
        }
        Ok(description)
    }

    /// A signature may be over the header alone, which then speaks for the payload.
    fn check_digests(&self) -> Result<(), RpmFault> {
        if self.signatures.has(MD5) && self.signatures.binary(MD5) != Some(&md5(self.whole)) {
            return Err(RpmFault::Md5);
        }
        let is_sha256 = self.header.number(PAYLOAD_DIGEST_ALGORITHM) == Some(SHA256);
        let digest = self.header.string(PAYLOAD_DIGEST).filter(|_| is_sha256);
        match digest {
            Some(digest) if digest != sha256(self.payload).to_string() => {
                Err(RpmFault::PayloadDigest)
            }
            _ => Ok(()),
        }
    }
}

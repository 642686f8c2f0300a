//! Keys and signatures of OpenSSH: lines of `authorized_keys` and SSHSIG.
//!
//! Read here and not by a library: entries keep upstream's re-encoding of a signature, always with
//! SHA-512 and in lines of 64 columns, and the supplied key verifies it, whichever key the
//! signature names.

mod key;
mod wire;

use aws_lc_rs::digest::{SHA512, digest};
use thiserror::Error;

use super::pem;
pub(super) use key::{SshKey, fingerprint};
use wire::{Reader, Writer};

const LABEL: &str = "SSH SIGNATURE";
const MAGIC: &[u8] = b"SSHSIG";
const VERSION: u32 = 1;
const NAMESPACE: &[u8] = b"file";
const HASH_ALGORITHM: &[u8] = b"sha512";

/// Why an SSH key or signature does not hold.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SshFault {
    /// A key of more than 64 KiB.
    #[error("http: request body too large")]
    KeyTooLong,
    /// No line holds a key that can be read.
    #[error("ssh: no key found")]
    NoKey,
    /// The signature is not PEM.
    #[error("unable to decode pem file")]
    NotPem,
    /// A PEM block of something else.
    #[error("wrong pem block type: {0}. Expected SSH-SIGNATURE")]
    OtherLabel(String),
    /// The signature ends too early or too late, or its key cannot be read.
    #[error("ssh: malformed signature")]
    Malformed,
    /// Not the one version that there is.
    #[error("unsupported signature version: {0}")]
    OtherVersion(u32),
    /// Not a signature of this form.
    #[error("invalid magic header: {0}")]
    OtherMagic(String),
    /// A signature for another purpose than files.
    #[error("invalid signature namespace: {0}")]
    OtherNamespace(String),
    /// A hash function that SSHSIG does not know.
    #[error("unsupported hash algorithm: {0}")]
    OtherHash(String),
    /// The signature is not of this key over this message.
    #[error("ssh: signature did not verify")]
    Unverified,
    /// The same for an RSA key.
    #[error("crypto/rsa: verification error")]
    RsaUnverified,
}

/// A signature over a file.
pub(super) struct SshSignature {
    /// The key that the signature names.
    key: SshKey,
    format: Vec<u8>,
    blob: Vec<u8>,
    /// What follows in the signature's own field; nothing knows what it means.
    rest: Vec<u8>,
}

impl SshSignature {
    pub(super) fn parse(text: &[u8]) -> Result<Self, SshFault> {
        let block = pem::first_block(text).ok_or(SshFault::NotPem)?;
        if block.label != LABEL.as_bytes() {
            return Err(SshFault::OtherLabel(echo(block.label)));
        }
        let mut reader = Reader::new(&block.content);
        let parts = reader.bytes(MAGIC.len()).and_then(|magic| {
            let version = reader.number()?;
            let mut string = || reader.string();
            let strings = [string()?, string()?, string()?, string()?, string()?];
            Some((magic, version, strings))
        });
        let (magic, version, [key, namespace, _, hash, signature]) =
            parts.filter(|_| reader.is_empty()).ok_or(SshFault::Malformed)?;
        if version != VERSION {
            return Err(SshFault::OtherVersion(version));
        }
        if magic != MAGIC {
            return Err(SshFault::OtherMagic(echo(magic)));
        }
        if namespace != NAMESPACE {
            return Err(SshFault::OtherNamespace(echo(namespace)));
        }
        if !matches!(hash, b"sha256" | b"sha512") {
            return Err(SshFault::OtherHash(echo(hash)));
        }
        let mut reader = Reader::new(signature);
        let (Some(format), Some(blob)) = (reader.string(), reader.string()) else {
            return Err(SshFault::Malformed);
        };
        Ok(Self {
            key: SshKey::from_wire(key).ok_or(SshFault::Malformed)?,
            format: format.to_vec(),
            blob: blob.to_vec(),
            rest: reader.rest().to_vec(),
        })
    }

    /// With SHA-512, whatever the request said.
    pub(super) fn canonical(&self) -> Vec<u8> {
        let signature = Writer::new().string(&self.format).string(&self.blob).bytes(&self.rest);
        let content = Writer::new()
            .bytes(MAGIC)
            .bytes(&VERSION.to_be_bytes())
            .string(&self.key.to_wire())
            .string(NAMESPACE)
            .string(b"")
            .string(HASH_ALGORITHM)
            .string(&signature.finish());
        pem::encode(LABEL, &content.finish())
    }

    /// Verifies the canonical form: a signature made with SHA-256 does not verify.
    pub(super) fn verify(&self, message: &[u8], key: &SshKey) -> Result<(), SshFault> {
        let signed = Writer::new()
            .bytes(MAGIC)
            .string(NAMESPACE)
            .string(b"")
            .string(HASH_ALGORITHM)
            .string(digest(&SHA512, message).as_ref());
        key.verify(&signed.finish(), self)
    }
}

/// What an answer repeats of a field that is not what it must be.
fn echo(bytes: &[u8]) -> String {
    const CHARS_MAX: usize = 64;
    String::from_utf8_lossy(bytes).chars().take(CHARS_MAX).collect()
}

//! Keys and signatures of minisign and signify.
//!
//! Upstream checks less than minisign does: neither key id nor trusted comment, and it keeps
//! neither of the comments. Entries are the same here, so the checks are too.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use blake2::{Blake2b512, Digest as _};
use ed25519_dalek::VerifyingKey;
use thiserror::Error;

use super::super::signature::verify_ed25519;
use super::lax_base64;

/// Two bytes for the algorithm, eight for the key id.
const HEAD_BYTES: usize = 10;
const KEY_BYTES: usize = HEAD_BYTES + 32;
const SIGNATURE_BYTES: usize = HEAD_BYTES + 64;

/// The algorithm of a bare key, which does not name any.
const BARE_KEY_HEAD: [u8; HEAD_BYTES] = *b"Ed\0\0\0\0\0\0\0\0";

/// Second byte of the algorithm, if the message is hashed first.
const PREHASHED: u8 = b'D';

/// Why a minisign key or signature does not hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum MinisignFault {
    /// Neither a key file nor a line of base64 nor 32 bytes.
    #[error("unable to read minisign public key: Invalid encoded public key")]
    Key,
    /// Not the lines that minisign or signify writes.
    #[error("invalid signature provided: {0} lines detected")]
    Lines(usize),
    /// The line of the signature is not base64.
    #[error("invalid signature provided: base64 decoding failed")]
    Base64,
    /// The line of the signature holds another number of bytes.
    #[error("invalid signature provided: incorrect size {0} detected")]
    Size(usize),
    /// The signature is not of this key over this message.
    #[error("failed to verify signature")]
    Unverified,
}

/// A key: algorithm, key id and 32 bytes.
pub(super) struct MinisignKey([u8; KEY_BYTES]);

impl MinisignKey {
    /// A key file, the second line of one, or a key alone.
    pub(super) fn parse(text: &[u8]) -> Result<Self, MinisignFault> {
        let newline = text.iter().position(|byte| *byte == b'\n');
        let second_line = newline.and_then(|at| text.get(at + 1..));
        for line in second_line.into_iter().chain([text]) {
            if let Some(key) = decode(line) {
                return Ok(Self(key));
            }
        }
        let bare: [u8; 32] = text.try_into().map_err(|_| MinisignFault::Key)?;
        let mut key = [0; KEY_BYTES];
        key[..HEAD_BYTES].copy_from_slice(&BARE_KEY_HEAD);
        key[HEAD_BYTES..].copy_from_slice(&bare);
        Ok(Self(key))
    }

    pub(super) fn canonical(&self) -> Vec<u8> {
        STANDARD.encode(self.0).into_bytes()
    }
}

/// A signature: algorithm, key id and 64 bytes.
pub(super) struct MinisignSignature([u8; SIGNATURE_BYTES]);

impl MinisignSignature {
    /// The four lines of minisign or the two of signify.
    pub(super) fn parse(text: &[u8]) -> Result<Self, MinisignFault> {
        let mut lines = text.splitn(4, |byte| *byte == b'\n');
        if let (Some(signature), Some(global)) = (lines.nth(1), lines.nth(1))
            && let Some(signature) = decode(signature)
            && decode::<64>(global).is_some()
        {
            return Ok(Self(signature));
        }
        let end = text.iter().rposition(|byte| *byte != b'\n').map_or(0, |at| at + 1);
        let mut lines = text[..end].split(|byte| *byte == b'\n');
        let (Some(line), None) = (lines.nth(1), lines.next()) else {
            let newlines = text[..end].iter().filter(|byte| **byte == b'\n').count();
            return Err(MinisignFault::Lines(newlines + 1));
        };
        let bytes = lax_base64::decode(line).map_err(|_| MinisignFault::Base64)?;
        let size = bytes.len();
        bytes.try_into().map(Self).map_err(|_| MinisignFault::Size(size))
    }

    /// Without a line end, as upstream has it.
    pub(super) fn canonical(&self) -> Vec<u8> {
        format!("untrusted comment:\n{}", STANDARD.encode(self.0)).into_bytes()
    }

    pub(super) fn verify(&self, message: &[u8], key: &MinisignKey) -> Result<(), MinisignFault> {
        let point = key.0.last_chunk().ok_or(MinisignFault::Key)?;
        let key = VerifyingKey::from_bytes(point).map_err(|_| MinisignFault::Unverified)?;
        let hashed;
        let signed = if self.0[1] == PREHASHED {
            hashed = Blake2b512::digest(message);
            hashed.as_slice()
        } else {
            message
        };
        verify_ed25519(&key, signed, &self.0[HEAD_BYTES..]).map_err(|_| MinisignFault::Unverified)
    }
}

fn decode<const LEN: usize>(line: &[u8]) -> Option<[u8; LEN]> {
    lax_base64::decode(line).ok()?.try_into().ok()
}

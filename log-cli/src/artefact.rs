//! The file that was signed: its digests, taken in one pass over its bytes.

use std::io::{self, Read};

use aws_lc_rs::digest::{Context, Digest, SHA256, SHA384, SHA512};
use log_core::entry::HashAlgorithm;
use sha2::Digest as _;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 64 * 1024;

/// The digests of a file or of other signed bytes, under every hash a signature may be over.
#[derive(Clone)]
pub struct Artefact {
    sha256: Digest,
    sha384: Digest,
    sha512: Digest,
    prehash: sha2::Sha512,
}

impl Artefact {
    /// Reads `reader` to its end. The memory used does not depend on the length.
    pub fn read(mut reader: impl Read) -> io::Result<Self> {
        let mut sha256 = Context::new(&SHA256);
        let mut sha384 = Context::new(&SHA384);
        let mut sha512 = Context::new(&SHA512);
        let mut prehash = sha2::Sha512::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        loop {
            let length = reader.read(&mut chunk)?;
            if length == 0 {
                break;
            }
            let bytes = &chunk[..length];
            sha256.update(bytes);
            sha384.update(bytes);
            sha512.update(bytes);
            prehash.update(bytes);
        }
        let (sha256, sha384, sha512) = (sha256.finish(), sha384.finish(), sha512.finish());
        Ok(Self { sha256, sha384, sha512, prehash })
    }

    /// The digests of bytes in memory.
    pub fn of(bytes: &[u8]) -> Self {
        Self::read(bytes).expect("invariant: reading from memory does not fail")
    }

    /// The digest under one algorithm.
    pub fn digest(&self, algorithm: HashAlgorithm) -> &Digest {
        match algorithm {
            HashAlgorithm::Sha2_256 => &self.sha256,
            HashAlgorithm::Sha2_384 => &self.sha384,
            HashAlgorithm::Sha2_512 => &self.sha512,
        }
    }

    /// The SHA-512 state that Ed25519ph (RFC 8032, 5.1) takes in place of the message.
    pub fn ed25519_prehash(&self) -> sha2::Sha512 {
        self.prehash.clone()
    }
}

/// Lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").expect("invariant: writing to a string does not fail");
        text
    })
}

//! The canonical bytes of one entry: what is hashed into the tree and stored for ever.
//!
//! In scope: the length limit and the leaf hash. Out of scope: what the bytes mean (`entry`).

use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::hash::{Hash, hash_leaf};

/// Longest leaf, in bytes: an entry bundle prefixes each entry with a 16-bit length
/// (tlog-tiles, "Log entries").
pub const LEAF_BYTES_MAX: usize = 65_535;

/// The bytes of one leaf, at most [`LEAF_BYTES_MAX`] of them. Cloning shares the bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Leaf(Arc<[u8]>);

impl Leaf {
    /// Takes the bytes as they are; an empty leaf is allowed.
    ///
    /// # Errors
    /// [`LeafTooLong`] above [`LEAF_BYTES_MAX`] bytes.
    pub fn new(bytes: Vec<u8>) -> Result<Self, LeafTooLong> {
        if bytes.len() > LEAF_BYTES_MAX {
            return Err(LeafTooLong { bytes: bytes.len() });
        }
        Ok(Self(Arc::from(bytes)))
    }

    /// The bytes that are hashed and stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The leaf hash of RFC 6962 section 2.1: SHA-256 over a zero byte and the leaf.
    pub fn hash(&self) -> Hash {
        hash_leaf(&self.0)
    }
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Leaf({} bytes, {})", self.0.len(), self.hash())
    }
}

/// A leaf that no entry bundle can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a leaf of {bytes} bytes is longer than {LEAF_BYTES_MAX}")]
pub struct LeafTooLong {
    /// How long it would have been, in bytes.
    pub bytes: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_leaf_fits_and_one_byte_more_does_not() {
        assert!(Leaf::new(vec![7; LEAF_BYTES_MAX]).is_ok());
        let refused = Leaf::new(vec![7; LEAF_BYTES_MAX + 1]);
        assert_eq!(refused, Err(LeafTooLong { bytes: LEAF_BYTES_MAX + 1 }));
    }

    #[test]
    fn the_empty_leaf_has_the_hash_of_the_rfc() {
        // SHA-256 of the single byte 0x00, as in the Certificate Transparency test tree.
        let empty = Leaf::new(Vec::new()).unwrap();
        let expected = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d";
        assert_eq!(empty.hash().to_string(), expected);
        assert!(empty.as_bytes().is_empty());
    }
}

//! SHA-256 as the Merkle tree uses it: RFC 6962, section 2.1.
//!
//! In scope: the hash value, its text forms, and the two domain-separated ways to make one.
//! Out of scope: which hashes belong together (`tree`, `range`, `tile`).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

/// Prefix of what is hashed for a leaf, so that no leaf can be taken for an inner node.
const LEAF_PREFIX: u8 = 0x00;
/// Prefix of what is hashed for an inner node.
const NODE_PREFIX: u8 = 0x01;
/// Hexadecimal digits of a hash.
const HEX_LEN: usize = 2 * Hash::LEN;
/// The two lower-case hexadecimal digits of each byte.
const HEX_PAIRS: [[u8; 2]; 256] = {
    let digits = b"0123456789abcdef";
    let mut pairs = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 256 {
        pairs[byte] = [digits[byte >> 4], digits[byte & 15]];
        byte += 1;
    }
    pairs
};
/// Base64 digits of a hash, padding included.
const BASE64_LEN: usize = 44;

/// A SHA-256 value: a leaf hash, the hash of an inner node, or a root. Printed as lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hash([u8; 32]);

impl Hash {
    /// Length in bytes.
    pub const LEN: usize = 32;

    /// Root of the tree without leaves: SHA-256 of no bytes.
    pub const EMPTY_ROOT: Self = Self([
        0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9,
        0x24, 0x27, 0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52,
        0xb8, 0x55,
    ]);

    /// Takes 32 bytes as they are; nothing is hashed.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Takes a slice of exactly 32 bytes; `None` for any other length.
    #[must_use]
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Reads canonical base64: the standard alphabet, padded, unused bits zero, 32 bytes.
    #[must_use]
    pub fn from_base64(text: &str) -> Option<Self> {
        if text.len() != BASE64_LEN {
            return None;
        }
        Self::from_slice(&STANDARD.decode(text).ok()?)
    }

    /// Writes canonical base64, 44 digits.
    #[must_use]
    pub fn to_base64(&self) -> String {
        STANDARD.encode(self.0)
    }

    /// Reads exactly 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        if text.len() != HEX_LEN {
            return None;
        }
        let mut bytes = [0; Self::LEN];
        for (byte, digits) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let [high, low] = digits else { return None };
            *byte = hex_digit(*high)? << 4 | hex_digit(*low)?;
        }
        Some(Self(bytes))
    }
}

/// Hash of a leaf: SHA-256 of 0x00 and its bytes.
#[must_use]
pub fn hash_leaf(leaf: &[u8]) -> Hash {
    Hash(Sha256::new().chain_update([LEAF_PREFIX]).chain_update(leaf).finalize().into())
}

/// Hash of an inner node: SHA-256 of 0x01, the left child and the right child.
#[must_use]
pub fn hash_children(left: &Hash, right: &Hash) -> Hash {
    let mut node = [NODE_PREFIX; 1 + 2 * Hash::LEN];
    let (left_bytes, right_bytes) = node[1..].split_at_mut(Hash::LEN);
    left_bytes.copy_from_slice(&left.0);
    right_bytes.copy_from_slice(&right.0);
    sha256(&node)
}

/// Plain SHA-256, without a prefix.
#[must_use]
pub fn sha256(bytes: &[u8]) -> Hash {
    Hash(Sha256::digest(bytes).into())
}

/// Hashes a row of nodes into the row above it: the i-th parent gets the i-th pair of children.
/// There must be two children for each parent.
pub(crate) fn hash_row(children: &[Hash], parents: &mut [Hash]) {
    debug_assert_eq!(children.len(), 2 * parents.len());
    for (pair, parent) in children.as_chunks::<2>().0.iter().zip(parents) {
        *parent = hash_children(&pair[0], &pair[1]);
    }
}

fn hex_digit(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An answer has dozens of hashes: formatting byte by byte would cost more than hashing.
        let mut digits = [0; HEX_LEN];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&HEX_PAIRS[usize::from(byte)]);
        }
        f.write_str(std::str::from_utf8(&digits).expect("invariant: hex digits are ASCII"))
    }
}

impl fmt::Debug for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EMPTY_HEX: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const EMPTY_BASE64: &str = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";

    #[test]
    fn the_empty_root_is_the_hash_of_nothing() {
        assert_eq!(Hash::EMPTY_ROOT, sha256(b""));
        assert_eq!(Hash::EMPTY_ROOT.to_string(), EMPTY_HEX);
        assert_eq!(Hash::EMPTY_ROOT.to_base64(), EMPTY_BASE64);
    }

    #[test]
    fn leaves_and_nodes_are_hashed_under_different_prefixes() {
        let (left, right) = (sha256(b"left"), sha256(b"right"));
        let both = [left.as_bytes().as_slice(), right.as_bytes()].concat();
        assert_eq!(hash_children(&left, &right), sha256(&[&[1], both.as_slice()].concat()));
        assert_eq!(hash_leaf(&both), sha256(&[&[0], both.as_slice()].concat()));
        assert_ne!(hash_children(&left, &right), hash_children(&right, &left));
    }

    #[test]
    fn a_row_is_hashed_pair_by_pair() {
        let children: Vec<Hash> = (0..6u8).map(|i| sha256(&[i])).collect();
        let mut parents = [Hash::EMPTY_ROOT; 3];
        hash_row(&children, &mut parents);
        for (i, parent) in parents.iter().enumerate() {
            assert_eq!(*parent, hash_children(&children[2 * i], &children[2 * i + 1]));
        }
    }

    #[test]
    fn text_forms_are_read_back() {
        assert_eq!(Hash::from_hex(EMPTY_HEX), Some(Hash::EMPTY_ROOT));
        assert_eq!(Hash::from_base64(EMPTY_BASE64), Some(Hash::EMPTY_ROOT));
        assert_eq!(Hash::from_slice(Hash::EMPTY_ROOT.as_bytes()), Some(Hash::EMPTY_ROOT));
    }

    #[test]
    fn other_text_forms_are_refused() {
        for text in
            ["", "e3", &EMPTY_HEX[1..], &EMPTY_HEX.to_uppercase(), &EMPTY_HEX.replace('e', "g")]
        {
            assert_eq!(Hash::from_hex(text), None, "{text}");
        }
        let bad = [
            "",
            EMPTY_BASE64.trim_end_matches('='),
            // 31 and 33 bytes.
            &STANDARD.encode([0; 31]),
            &STANDARD.encode([0; 33]),
            // The last digit carries two bits that nothing uses; here one is set.
            &EMPTY_BASE64.replace("FU=", "FV="),
            &EMPTY_BASE64.replace('+', "-"),
            EMPTY_HEX,
        ];
        for text in bad {
            assert_eq!(Hash::from_base64(text), None, "{text}");
        }
        for length in [0, 31, 33] {
            assert_eq!(Hash::from_slice(&vec![0; length]), None);
        }
    }
}

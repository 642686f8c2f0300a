//! A leaf with what the log keeps beside it, and the row that holds both. FORMAT.md prints the row.
//!
//! Pure: what is here knows no database, and every store writes and reads through it.

use std::fmt;

use log_core::{Leaf, sha256};

/// What an entry is searched by: the first 127 bits of the SHA-256 of a word, without `sha256:` in
/// front of it, and one bit that says whether that was there.
///
/// Two words that share them would be found by each other; among a thousand million words that
/// happens with a probability of about 2^-68.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SearchKey([u8; Self::LEN]);

/// What a Rekor v1 log keeps beside a leaf and commits with it; the leaf hash does not cover it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafMetadata {
    /// When the leaf was integrated: seconds since 1970.
    pub time_s: u64,
    /// What the leaf is searched by, at most [`SEARCH_KEYS_MAX`], in the order that the log chose.
    pub search_keys: Vec<SearchKey>,
}

/// A leaf as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredLeaf {
    /// What is hashed into the tree.
    pub leaf: Leaf,
    /// What the log keeps beside it; `None` where the protocol has nothing of the kind.
    pub metadata: Option<LeafMetadata>,
}

/// What stands in front of most digests that are searched for.
const PREFIX: &str = "sha256:";

/// Search keys of one leaf: their number has two bytes in the row.
pub const SEARCH_KEYS_MAX: usize = u16::MAX as usize;

impl SearchKey {
    /// Length in bytes.
    pub const LEN: usize = 16;

    /// The key of a word, whose letter case has been folded already where it does not matter.
    ///
    /// A digest with and without the name of its hash function in front has two keys that differ
    /// in the last bit: most entries have both, and what is neighbours is written and read as one.
    pub fn of(word: &str) -> Self {
        let bare = word.strip_prefix(PREFIX);
        let digest = sha256(bare.unwrap_or(word).as_bytes());
        let mut key: [u8; Self::LEN] =
            *digest.as_bytes().first_chunk().expect("invariant: a digest is longer than a key");
        let last = &mut key[Self::LEN - 1];
        *last = *last & !1 | u8::from(bare.is_some());
        Self(key)
    }

    /// The key with these bytes.
    pub const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    /// The bytes of the key.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// 32 lower-case hexadecimal digits.
impl fmt::Display for SearchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for SearchKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SearchKey({self})")
    }
}

impl From<Leaf> for StoredLeaf {
    fn from(leaf: Leaf) -> Self {
        Self { leaf, metadata: None }
    }
}

impl StoredLeaf {
    /// The keys that lead to this leaf: ascending, each once.
    pub fn distinct_keys(&self) -> Vec<SearchKey> {
        let keys = self.metadata.as_ref().map(|metadata| metadata.search_keys.clone());
        let mut keys = keys.unwrap_or_default();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// Appends the row of this leaf to `row`.
    ///
    /// # Panics
    /// With more than [`SEARCH_KEYS_MAX`] search keys: `Batch::check` refuses those.
    pub(super) fn encode_to(&self, row: &mut Vec<u8>) {
        match &self.metadata {
            None => row.push(KIND_NONE),
            Some(LeafMetadata { time_s, search_keys }) => {
                let count = u16::try_from(search_keys.len()).expect("invariant: check() counted");
                row.push(KIND_V1);
                row.extend_from_slice(&time_s.to_be_bytes());
                row.extend_from_slice(&count.to_be_bytes());
                search_keys.iter().for_each(|key| row.extend_from_slice(key.as_bytes()));
            }
        }
        row.extend_from_slice(self.leaf.as_bytes());
    }

    /// Reads a row back; the error says what is wrong with it.
    pub(super) fn decode(row: &[u8]) -> Result<Self, String> {
        let (metadata, body) = split(row)?;
        let leaf = Leaf::new(body.to_vec()).map_err(|error| error.to_string())?;
        Ok(Self { leaf, metadata })
    }
}

/// The metadata of a row, and the body that follows it.
pub(super) fn split(row: &[u8]) -> Result<(Option<LeafMetadata>, &[u8]), String> {
    let (&kind, rest) = row.split_first().ok_or("a leaf's row is empty")?;
    match kind {
        KIND_NONE => Ok((None, rest)),
        KIND_V1 => {
            let (metadata, body) = split_v1(rest).ok_or("the metadata of a leaf is cut off")?;
            Ok((Some(metadata), body))
        }
        kind => Err(format!("a leaf with metadata of the unknown kind {kind}")),
    }
}

fn split_v1(rest: &[u8]) -> Option<(LeafMetadata, &[u8])> {
    let (time_s, rest) = rest.split_first_chunk()?;
    let (count, rest) = rest.split_first_chunk()?;
    let length = usize::from(u16::from_be_bytes(*count)) * SearchKey::LEN;
    let (keys, body) = rest.split_at_checked(length)?;
    let (keys, _) = keys.as_chunks();
    let search_keys = keys.iter().copied().map(SearchKey).collect();
    Some((LeafMetadata { time_s: u64::from_be_bytes(*time_s), search_keys }, body))
}

/// First byte of a row: the body follows.
const KIND_NONE: u8 = 0;
/// First byte of a row: time (8), number of search keys (2), the keys (16 each), then the body.
const KIND_V1: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(body: &[u8], metadata: Option<(u64, Vec<SearchKey>)>) -> StoredLeaf {
        let metadata = metadata.map(|(time_s, search_keys)| LeafMetadata { time_s, search_keys });
        StoredLeaf { leaf: Leaf::new(body.to_vec()).unwrap(), metadata }
    }

    fn row(leaf: &StoredLeaf) -> Vec<u8> {
        let mut row = Vec::new();
        leaf.encode_to(&mut row);
        row
    }

    #[test]
    fn a_key_is_half_of_the_digest_of_its_word() {
        let key = SearchKey::of("abc");
        assert_eq!(key.to_string(), "ba7816bf8f01cfea414140de5dae2222");
        assert_eq!(format!("{key:?}"), "SearchKey(ba7816bf8f01cfea414140de5dae2222)");
        let named = SearchKey::of("sha256:abc");
        assert_eq!(named.to_string(), "ba7816bf8f01cfea414140de5dae2223", "its neighbour");
        let twice = SearchKey::of("sha256:sha256:abc");
        assert!(![key, named].contains(&twice), "one name is taken off, not two");
        assert_ne!(SearchKey::of("abc"), SearchKey::of("Abc"), "nobody folds letters here");
        assert_eq!(SearchKey::from_bytes(*key.as_bytes()), key);
    }

    #[test]
    fn rows_are_what_the_format_says() {
        assert_eq!(row(&stored(b"body", None)), b"\x00body");
        assert_eq!(row(&stored(b"", None)), b"\x00");
        let none = [b"\x01\x00\x00\x00\x00\x65\x53\xf1\x00\x00\x00".as_slice(), b"body"].concat();
        assert_eq!(row(&stored(b"body", Some((1_700_000_000, vec![])))), none);
        let keys = vec![SearchKey([7; 16]), SearchKey([3; 16]), SearchKey([7; 16])];
        let three = [&[1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 3][..], &[7; 16], &[3; 16], &[7; 16], b"b"];
        assert_eq!(row(&stored(b"b", Some((9, keys)))), three.concat());
    }

    #[test]
    fn rows_are_read_back_as_they_were_written() {
        let many: Vec<SearchKey> =
            (0..SEARCH_KEYS_MAX).map(|i| SearchKey::of(&i.to_string())).collect();
        for body in [vec![], vec![0], vec![1; 11], vec![0xff; 65_535]] {
            for metadata in [
                None,
                Some((0, vec![])),
                Some((u64::MAX, vec![SearchKey([0; 16])])),
                Some((1, vec![SearchKey([0xff; 16]); 2])),
                Some((2, many.clone())),
            ] {
                let leaf = stored(&body, metadata);
                assert_eq!(StoredLeaf::decode(&row(&leaf)), Ok(leaf));
            }
        }
    }

    #[test]
    fn every_other_row_is_an_error() {
        assert!(StoredLeaf::decode(b"").is_err());
        for kind in 2..=255 {
            let mut bytes = row(&stored(b"body", Some((1, vec![SearchKey([7; 16])]))));
            bytes[0] = kind;
            let error = StoredLeaf::decode(&bytes).unwrap_err();
            assert!(error.contains(&format!("kind {kind}")), "{error}");
        }
        let whole = row(&stored(b"", Some((1, vec![SearchKey([7; 16]), SearchKey([8; 16])]))));
        for length in 1..whole.len() {
            let error = StoredLeaf::decode(&whole[..length]).unwrap_err();
            assert!(error.contains("cut off"), "{length}: {error}");
        }
        // The largest count, with nothing behind it.
        assert!(StoredLeaf::decode(&[1, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff]).is_err());
        let long = [vec![0], vec![9; 65_536]].concat();
        assert!(StoredLeaf::decode(&long).is_err(), "a body longer than any leaf");
    }

    #[test]
    fn a_repeated_key_leads_to_a_leaf_once() {
        let [one, two] = ["one", "two"].map(SearchKey::of);
        let leaf = stored(b"", Some((1, vec![two, one, two, one, one])));
        let mut wanted = vec![one, two];
        wanted.sort();
        assert_eq!(leaf.distinct_keys(), wanted);
        assert!(stored(b"", None).distinct_keys().is_empty());
    }
}

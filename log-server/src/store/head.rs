//! The head row: one per commit, what the log was after it, for ever.
//!
//! The same 124 bytes are the row in the store and the content of an anchor slot. FORMAT.md prints
//! the layout.

use log_core::{Hash, LeafIndex, TreeHead, TreeSize, sha256};
use thiserror::Error;

/// The only version of the head row so far.
pub const HEAD_VERSION: u16 = 1;
/// Length of an encoded head in bytes.
pub const HEAD_BYTES: usize = CHECKSUM_AT + CHECKSUM_BYTES;

/// What a log was after one commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Version of the row's layout: [`HEAD_VERSION`].
    pub version: u16,
    /// The log this head belongs to: the 32 bytes behind its key id.
    pub log_id: Hash,
    /// Random number given to the store when it was created; the same number lies beside the key.
    pub state_id: [u8; 16],
    /// Number of this commit: 0 for the genesis head, then one more for each commit.
    pub batch: u64,
    /// Size and root of the tree.
    pub tree: TreeHead,
    /// Wall clock at the commit, in milliseconds since 1970; never earlier than before.
    pub time_ms: u64,
    /// What else this head says about the log.
    pub flags: HeadFlags,
    /// Index of the first leaf of this commit: the size of the tree before it.
    pub first_index: LeafIndex,
}

/// What a head says about the log besides its tree.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadFlags {
    /// The first head of a store: an empty tree.
    pub genesis: bool,
    /// This store was restored from a backup.
    pub restored: bool,
    /// The last head of the log: nothing is committed after it.
    pub frozen: bool,
}

/// Why bytes are not a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum HeadError {
    /// Not [`HEAD_BYTES`] bytes.
    #[error("a head has {HEAD_BYTES} bytes, not {0}")]
    Length(usize),
    /// The checksum does not fit the content.
    #[error("the checksum of the head does not fit")]
    Checksum,
    /// Written by a program that knows more than this one.
    #[error("unknown version {0} of the head")]
    Version(u16),
    /// Flag bits that this version does not define.
    #[error("unknown flags {0:#06x} in the head")]
    Flags(u16),
}

impl Head {
    /// The head that creates a log: an empty tree, batch 0.
    pub fn genesis(log_id: Hash, state_id: [u8; 16]) -> Self {
        Self {
            version: HEAD_VERSION,
            log_id,
            state_id,
            batch: 0,
            tree: TreeHead::EMPTY,
            time_ms: 0,
            flags: HeadFlags { genesis: true, ..HeadFlags::default() },
            first_index: LeafIndex::new(0),
        }
    }

    /// The head of the commit after this one; `time_ms` is never earlier than this head's.
    pub fn next(&self, tree: TreeHead, time_ms: u64) -> Self {
        Self {
            batch: self.batch.checked_add(1).expect("invariant: no log makes 2^64 commits"),
            tree,
            time_ms: time_ms.max(self.time_ms),
            flags: HeadFlags::default(),
            first_index: LeafIndex::new(self.tree.size.get()),
            ..*self
        }
    }

    /// The committed time in whole seconds since 1970: what the times of leaves are compared with.
    pub fn time_s(&self) -> u64 {
        self.time_ms / 1000
    }

    /// The row: [`HEAD_BYTES`] bytes, integers big-endian, a checksum at the end.
    pub fn encode(&self) -> [u8; HEAD_BYTES] {
        let mut row = [0; HEAD_BYTES];
        row[0..2].copy_from_slice(&self.version.to_be_bytes());
        row[2..34].copy_from_slice(self.log_id.as_bytes());
        row[34..50].copy_from_slice(&self.state_id);
        row[50..58].copy_from_slice(&self.batch.to_be_bytes());
        row[58..66].copy_from_slice(&self.tree.size.get().to_be_bytes());
        row[66..98].copy_from_slice(self.tree.root_hash.as_bytes());
        row[98..106].copy_from_slice(&self.time_ms.to_be_bytes());
        row[106..108].copy_from_slice(&self.flags.bits().to_be_bytes());
        row[108..116].copy_from_slice(&self.first_index.get().to_be_bytes());
        let checksum = checksum(&row[..CHECKSUM_AT]);
        row[CHECKSUM_AT..].copy_from_slice(&checksum);
        row
    }

    /// Reads a row back.
    ///
    /// # Errors
    /// [`HeadError`] for anything that [`Head::encode`] of this version does not write.
    pub fn decode(row: &[u8]) -> Result<Self, HeadError> {
        let row: &[u8; HEAD_BYTES] = row.try_into().map_err(|_| HeadError::Length(row.len()))?;
        if checksum(&row[..CHECKSUM_AT]) != row[CHECKSUM_AT..] {
            return Err(HeadError::Checksum);
        }
        let version = u16::from_be_bytes(array(row, 0));
        if version != HEAD_VERSION {
            return Err(HeadError::Version(version));
        }
        Ok(Self {
            version,
            log_id: Hash::from_bytes(array(row, 2)),
            state_id: array(row, 34),
            batch: u64::from_be_bytes(array(row, 50)),
            tree: TreeHead {
                size: TreeSize::new(u64::from_be_bytes(array(row, 58))),
                root_hash: Hash::from_bytes(array(row, 66)),
            },
            time_ms: u64::from_be_bytes(array(row, 98)),
            flags: HeadFlags::from_bits(u16::from_be_bytes(array(row, 106)))?,
            first_index: LeafIndex::new(u64::from_be_bytes(array(row, 108))),
        })
    }
}

impl HeadFlags {
    const GENESIS: u16 = 1;
    const RESTORED: u16 = 2;
    const FROZEN: u16 = 4;

    fn bits(self) -> u16 {
        let bit = |set: bool, bit: u16| if set { bit } else { 0 };
        bit(self.genesis, Self::GENESIS)
            | bit(self.restored, Self::RESTORED)
            | bit(self.frozen, Self::FROZEN)
    }

    fn from_bits(bits: u16) -> Result<Self, HeadError> {
        if bits & !(Self::GENESIS | Self::RESTORED | Self::FROZEN) != 0 {
            return Err(HeadError::Flags(bits));
        }
        Ok(Self {
            genesis: bits & Self::GENESIS != 0,
            restored: bits & Self::RESTORED != 0,
            frozen: bits & Self::FROZEN != 0,
        })
    }
}

fn checksum(content: &[u8]) -> [u8; CHECKSUM_BYTES] {
    array(sha256(content).as_bytes(), 0)
}

/// `N` bytes of `row` from `at`; all callers name constants inside the row.
fn array<const N: usize>(row: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&row[at..at + N]);
    bytes
}

const CHECKSUM_AT: usize = 116;
/// Eight bytes of SHA-256: enough against accidents; a head is not a secret and not a signature.
const CHECKSUM_BYTES: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn head() -> Head {
        Head {
            version: HEAD_VERSION,
            log_id: Hash::from_bytes([0xaa; 32]),
            state_id: [0xbb; 16],
            batch: 0x0102_0304_0506_0708,
            tree: TreeHead {
                size: TreeSize::new(0x1112_1314_1516_1718),
                root_hash: Hash::from_bytes([0xcc; 32]),
            },
            time_ms: 0x2122_2324_2526_2728,
            flags: HeadFlags { genesis: false, restored: true, frozen: true },
            first_index: LeafIndex::new(0x3132_3334_3536_3738),
        }
    }

    #[test]
    fn the_row_has_the_documented_bytes_and_reads_back() {
        let row = head().encode();
        let mut wanted = vec![0, 1];
        wanted.extend([0xaa; 32]);
        wanted.extend([0xbb; 16]);
        wanted.extend([1, 2, 3, 4, 5, 6, 7, 8]);
        wanted.extend([0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18]);
        wanted.extend([0xcc; 32]);
        wanted.extend([0x21, 0x22, 0x23, 0x24, 0x25, 0x26, 0x27, 0x28]);
        wanted.extend([0, 6]);
        wanted.extend([0x31, 0x32, 0x33, 0x34, 0x35, 0x36, 0x37, 0x38]);
        assert_eq!(row[..116], wanted);
        assert_eq!(row[116..], sha256(&wanted).as_bytes()[..8]);
        assert_eq!(Head::decode(&row), Ok(head()));
        let genesis = Head::genesis(Hash::from_bytes([7; 32]), [9; 16]);
        assert_eq!(Head::decode(&genesis.encode()), Ok(genesis));
    }

    #[test]
    fn every_flipped_bit_and_every_other_length_is_refused() {
        let row = head().encode();
        for bit in 0..HEAD_BYTES * 8 {
            let mut bad = row;
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(Head::decode(&bad), Err(HeadError::Checksum), "bit {bit}");
        }
        for length in 0..HEAD_BYTES {
            assert_eq!(Head::decode(&row[..length]), Err(HeadError::Length(length)));
        }
        let long = [row.as_slice(), &[0]].concat();
        assert_eq!(Head::decode(&long), Err(HeadError::Length(HEAD_BYTES + 1)));
    }

    #[test]
    fn a_newer_version_and_unknown_flags_are_refused_under_a_good_checksum() {
        let newer = Head { version: 2, ..head() };
        assert_eq!(Head::decode(&newer.encode()), Err(HeadError::Version(2)));
        let mut row = head().encode();
        row[107] = 8;
        let sum = checksum(&row[..CHECKSUM_AT]);
        row[CHECKSUM_AT..].copy_from_slice(&sum);
        assert_eq!(Head::decode(&row), Err(HeadError::Flags(8)));
    }

    #[test]
    fn the_next_head_follows_and_its_time_never_goes_back() {
        let genesis = Head { time_ms: 50, ..Head::genesis(Hash::from_bytes([7; 32]), [9; 16]) };
        let tree = TreeHead { size: TreeSize::new(3), root_hash: Hash::from_bytes([1; 32]) };
        let one = genesis.next(tree, 40);
        assert_eq!((one.batch, one.time_ms, one.first_index.get()), (1, 50, 0));
        assert_eq!(one.flags, HeadFlags::default());
        let two = one.next(tree, 60);
        assert_eq!((two.batch, two.time_ms, two.first_index.get()), (2, 60, 3));
        assert_eq!((two.log_id, two.state_id), (genesis.log_id, genesis.state_id));
    }
}

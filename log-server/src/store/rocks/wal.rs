//! Looks through the write-ahead log before RocksDB reads it.
//!
//! RocksDB 11.8 never comes back from opening a log in which one flipped bit turned a record into
//! one of the kinds for recycled files, and drops the whole log without a word if it is the first
//! record. Cairn recycles no files, so such a record is damage. Only the headers are looked at;
//! checksums are RocksDB's business.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// A record that no writer of this store made.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AlienRecord {
    pub(super) file: PathBuf,
    pub(super) offset: u64,
}

/// The first alien record of each write-ahead log file of a store.
pub(super) fn alien_records(store: &Path) -> io::Result<Vec<AlienRecord>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(store)? {
        let file = entry?.path();
        if file.extension() == Some(OsStr::new("log")) {
            let offset = first_alien(&mut File::open(&file)?)?;
            found.extend(offset.map(|offset| AlienRecord { file, offset }));
        }
    }
    Ok(found)
}

/// Walks over the records as RocksDB does: they lie in blocks and never cross the end of one.
///
/// RocksDB leaves a block at the first record whose checksum is wrong. This walk goes on, so it
/// sees every header that RocksDB will see, and after damage also bytes that are none.
fn first_alien(file: &mut impl Read) -> io::Result<Option<u64>> {
    let mut block = Vec::with_capacity(BLOCK_BYTES);
    let mut start = 0;
    loop {
        block.clear();
        file.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
        let mut at = 0;
        while let Some(header) = block.get(at..at + HEADER_BYTES) {
            if KINDS_OF_RECYCLED_FILES.contains(&header[6]) {
                return Ok(Some(start + at as u64));
            }
            at += HEADER_BYTES + usize::from(u16::from_le_bytes([header[4], header[5]]));
        }
        if block.len() < BLOCK_BYTES {
            return Ok(None);
        }
        start += BLOCK_BYTES as u64;
    }
}

/// The write-ahead log's format: blocks, and in them records with a checksum (4 bytes), a length
/// (2 bytes, little-endian), a kind (1 byte) and the payload.
const BLOCK_BYTES: usize = 32_768;
const HEADER_BYTES: usize = 7;
const KINDS_OF_RECYCLED_FILES: [u8; 6] = [5, 6, 7, 8, 11, 131];

#[cfg(test)]
mod tests {
    use super::*;

    /// A block with records of these kinds and payload lengths.
    fn records(kinds: &[(u8, u16)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (kind, length) in kinds {
            bytes.extend([0xc0; 4]);
            bytes.extend(length.to_le_bytes());
            bytes.push(*kind);
            bytes.extend(vec![6; usize::from(*length)]);
        }
        bytes
    }

    fn walk(bytes: &[u8]) -> Option<u64> {
        first_alien(&mut &*bytes).unwrap()
    }

    #[test]
    fn the_kinds_that_cairn_writes_are_passed_over() {
        let bytes = records(&[(130, 40), (1, 0), (2, 300), (3, 9), (4, 2), (9, 1), (10, 1)]);
        assert_eq!(walk(&bytes), None);
        assert_eq!(walk(&[]), None);
        assert_eq!(walk(&bytes[..5]), None);
        assert_eq!(walk(&[0; 100_000]), None, "a zeroed tail");
    }

    #[test]
    fn each_kind_of_recycled_files_is_found_where_it_stands() {
        for kind in KINDS_OF_RECYCLED_FILES {
            assert_eq!(walk(&records(&[(kind, 0)])), Some(0));
            assert_eq!(walk(&records(&[(1, 5), (1, 7), (kind, 3)])), Some(12 + 14));
        }
    }

    #[test]
    fn a_length_beyond_the_block_leads_to_the_next_block() {
        let mut bytes = records(&[(1, 60_000)]);
        bytes.truncate(BLOCK_BYTES);
        bytes.extend(records(&[(1, 1), (8, 1)]));
        assert_eq!(walk(&bytes), Some(32_768 + 8));
        // Fewer bytes than a header at the end of a block are padding.
        let mut bytes = records(&[(2, 32_768 - 7 - 6)]);
        bytes.extend([6; 6]);
        bytes.extend(records(&[(5, 1)]));
        assert_eq!(walk(&bytes), Some(32_768));
    }
}

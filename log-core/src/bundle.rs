//! Entry bundles: up to 256 neighbouring leaves as they are sent (C2SP tlog-tiles).
//!
//! Each leaf stands behind its length as two bytes, most significant first. A bundle is as wide
//! as the level-0 tile with the same index; the leaf hashes of the one are the hashes of the other.

/// Bytes of the length before each entry.
const LENGTH_BYTES: usize = 2;
/// Most entries in a bundle: the width of a full tile.
const ENTRIES_MAX: u16 = 256;

/// The entries of one bundle, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryBundle {
    bytes: Vec<u8>,
    /// Where each entry lies in `bytes`.
    entries: Vec<std::ops::Range<usize>>,
}

/// Why bytes are no bundle, or an entry cannot be in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BundleError {
    /// A bundle has 1 to 256 entries.
    #[error("a bundle has 1 to 256 entries, not {width}")]
    Width {
        /// The width asked for.
        width: u16,
    },
    /// The bytes end within an entry or before the last one.
    #[error("the bundle ends in entry {entry}")]
    Truncated {
        /// Position of the entry in the bundle.
        entry: usize,
    },
    /// Bytes follow the last entry.
    #[error("{length} bytes follow the last entry of the bundle")]
    TrailingBytes {
        /// Their number.
        length: usize,
    },
    /// The entry is longer than two bytes can say.
    #[error("an entry of {length} bytes is longer than 65535")]
    EntryTooLong {
        /// Its length in bytes.
        length: usize,
    },
}

impl EntryBundle {
    /// Takes a bundle of exactly `width` entries apart.
    ///
    /// # Errors
    /// The width is not 1 to 256, or the bytes hold fewer or more entries.
    pub fn parse(bytes: &[u8], width: u16) -> Result<Self, BundleError> {
        if width == 0 || width > ENTRIES_MAX {
            return Err(BundleError::Width { width });
        }
        let mut entries = Vec::new();
        let mut end = 0;
        for entry in 0..usize::from(width) {
            let range = entry_at(bytes, end).ok_or(BundleError::Truncated { entry })?;
            end = range.end;
            entries.push(range);
        }
        if end < bytes.len() {
            return Err(BundleError::TrailingBytes { length: bytes.len() - end });
        }
        Ok(Self { bytes: bytes.to_vec(), entries })
    }

    /// The entries in the order of the tree.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.entries.iter().map(|range| &self.bytes[range.clone()])
    }
}

/// Appends an entry, with its length before it, to a bundle under construction.
///
/// # Errors
/// The entry is longer than 65,535 bytes; `out` is as it was.
pub fn append_entry(out: &mut Vec<u8>, entry: &[u8]) -> Result<(), BundleError> {
    let length = u16::try_from(entry.len())
        .map_err(|_| BundleError::EntryTooLong { length: entry.len() })?;
    out.reserve(LENGTH_BYTES + entry.len());
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(entry);
    Ok(())
}

/// The entry whose length stands at `start`; `None` if the bytes end before the entry does.
fn entry_at(bytes: &[u8], start: usize) -> Option<std::ops::Range<usize>> {
    let (length, rest) = bytes.get(start..)?.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::from(u16::from_be_bytes(*length));
    rest.get(..length)?;
    let first = start + LENGTH_BYTES;
    Some(first..first + length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bundle(entries: &[&[u8]]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for entry in entries {
            append_entry(&mut bytes, entry).expect("short enough");
        }
        bytes
    }

    #[test]
    fn entries_come_back_in_order() {
        let longest = vec![7; 65_535];
        let entries: [&[u8]; 4] = [b"", b"a", &longest, b""];
        let bytes = bundle(&entries);
        let parsed = EntryBundle::parse(&bytes, 4).expect("a bundle");
        assert_eq!(parsed.entries().collect::<Vec<_>>(), entries);
        let full = bundle(&[b"x".as_slice(); 256]);
        assert_eq!(EntryBundle::parse(&full, 256).expect("a full bundle").entries().len(), 256);
    }

    #[test]
    fn every_cut_is_noticed() {
        let bytes = bundle(&[b"one", b"two"]);
        for length in 0..bytes.len() {
            let entry = usize::from(length >= 5);
            let error = BundleError::Truncated { entry };
            assert_eq!(EntryBundle::parse(&bytes[..length], 2), Err(error), "{length}");
        }
    }

    #[test]
    fn another_number_of_entries_is_refused() {
        let bytes = bundle(&[b"one", b"two"]);
        assert_eq!(EntryBundle::parse(&bytes, 1), Err(BundleError::TrailingBytes { length: 5 }));
        assert_eq!(EntryBundle::parse(&bytes, 3), Err(BundleError::Truncated { entry: 2 }));
        for width in [0, 257, u16::MAX] {
            assert_eq!(EntryBundle::parse(&bytes, width), Err(BundleError::Width { width }));
        }
    }

    #[test]
    fn an_entry_that_is_too_long_leaves_no_trace() {
        let mut out = b"before".to_vec();
        let error = BundleError::EntryTooLong { length: 65_536 };
        assert_eq!(append_entry(&mut out, &[0; 65_536]), Err(error));
        assert_eq!(out, b"before");
    }
}

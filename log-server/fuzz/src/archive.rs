//! Packs what the fuzzer changed, so that checksums and compression do not hide it.

use std::io::Write as _;

use flate2::write::GzEncoder;
use flate2::{Compression, Crc};

/// Longest name of a member, in bytes; longer ones are cut.
const NAME_BYTES_MAX: usize = 1_000;

/// A header in a tar archive has one block; contents have whole ones.
const BLOCK: usize = 512;

/// One gzip member with this content.
pub fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(content).expect("invariant: a vector takes everything");
    encoder.finish().expect("invariant: a vector takes everything")
}

/// A tar archive with the checksums that its headers must have.
pub fn tar(archive: &[u8]) -> Vec<u8> {
    let mut out = archive.to_vec();
    let mut at = 0;
    while let Some(header) = out.get_mut(at..).and_then(|rest| rest.get_mut(..BLOCK)) {
        if header.iter().all(|byte| *byte == 0) {
            break;
        }
        header[148..156].fill(b' ');
        let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let size = String::from_utf8_lossy(&header[124..136]);
        let size = size.trim_matches(|c| matches!(c, ' ' | '\0'));
        let size = usize::from_str_radix(size, 8).unwrap_or_default().min(archive.len());
        at += BLOCK + size.next_multiple_of(BLOCK);
    }
    out
}

/// A zip archive with these members, by their names, not compressed.
pub fn zip(members: &[(&[u8], &[u8])]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, content) in members {
        let name = &name[..name.len().min(NAME_BYTES_MAX)];
        let mut crc = Crc::new();
        crc.update(content);
        let offset = out.len() as u32;
        // Version, flags, method, time and date; then checksum and both lengths.
        let mut fields = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        for field in [crc.sum(), content.len() as u32, content.len() as u32] {
            fields.extend(field.to_le_bytes());
        }
        fields.extend((name.len() as u16).to_le_bytes());
        for part in [b"PK\x03\x04", fields.as_slice(), &[0; 2], name, content] {
            out.extend_from_slice(part);
        }
        let offset = offset.to_le_bytes();
        for part in [b"PK\x01\x02\x14\0", fields.as_slice(), &[0; 12], &offset, name] {
            directory.extend_from_slice(part);
        }
    }
    let count = (members.len() as u16).to_le_bytes();
    let (len, start) = ((directory.len() as u32).to_le_bytes(), (out.len() as u32).to_le_bytes());
    out.extend(directory);
    for part in [b"PK\x05\x06\0\0\0\0", count.as_slice(), &count, &len, &start, &[0; 2]] {
        out.extend_from_slice(part);
    }
    out
}

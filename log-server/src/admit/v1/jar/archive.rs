//! Zip archives, read strictly: what the directory at the end says and what stands in front of each
//! member must agree, members must not overlap, and all of them together are bounded before the
//! first is inflated. Archives that need the 64-bit fields are larger than any request.

use std::collections::HashSet;
use std::io::Read;

use flate2::Crc;
use flate2::bufread::DeflateDecoder;

use super::JarFault;

/// Longest manifest and longest signature, in bytes, as the reference server has it.
pub(super) const METADATA_BYTES_MAX: u64 = 1024 * 1024;

/// Most bytes that all members may have together: about a second of work, and several times what
/// an archive that fits into a request inflates to.
pub(super) const INFLATED_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Bytes that are inflated at a time.
const CHUNK_BYTES: usize = 16 * 1024;

/// The end record without its comment, a record of the directory, and the header in front of a
/// member, without their names.
const END_BYTES: usize = 22;
const RECORD_BYTES: usize = 46;
const HEADER_BYTES: usize = 30;

const END: &[u8] = b"PK\x05\x06";
const RECORD: &[u8] = b"PK\x01\x02";
const HEADER: &[u8] = b"PK\x03\x04";

/// Flags of a member (APPNOTE.TXT, 4.4.4): encrypted in one of three ways, or with its lengths
/// behind it.
const ENCRYPTED: u16 = 0x2041;
const LENGTHS_BEHIND: u16 = 0x0008;

const STORED: u16 = 0;
const DEFLATED: u16 = 8;

/// An archive.
#[derive(Debug)]
pub(super) struct Archive<'a> {
    pub(super) members: Vec<Member<'a>>,
}

/// A member. Directories are members too, empty ones.
#[derive(Debug)]
pub(super) struct Member<'a> {
    pub(super) name: &'a str,
    method: u16,
    crc: u32,
    /// Inflated, in bytes.
    size: u64,
    content: &'a [u8],
}

impl<'a> Archive<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, JarFault> {
        let directory = Directory::find(bytes).ok_or(JarFault::NotZip)?;
        let mut rest = directory.records;
        let (mut members, mut ranges) = (Vec::new(), Vec::new());
        let (mut names, mut inflated) = (HashSet::new(), 0);
        for _ in 0..directory.count {
            let (record, after) = Record::parse(rest).ok_or(JarFault::NotZip)?;
            rest = after;
            let name = str::from_utf8(record.name).map_err(|_| JarFault::Name)?;
            if !is_plain(name) || !names.insert(name) {
                return Err(JarFault::Name);
            }
            inflated += u64::from(record.size);
            if inflated > INFLATED_BYTES_MAX {
                return Err(JarFault::TooLong);
            }
            if record.flags & ENCRYPTED != 0 || !matches!(record.method, STORED | DEFLATED) {
                return Err(JarFault::Method);
            }
            let content = record.content(directory.members).ok_or(JarFault::NotZip)?;
            ranges.push((record.offset, record.offset + record.header_len(content) as u64));
            members.push(Member {
                name,
                method: record.method,
                crc: record.crc,
                size: u64::from(record.size),
                content: content.bytes,
            });
        }
        ranges.sort_unstable();
        let is_apart = ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0);
        if !rest.is_empty() || !is_apart { Err(JarFault::NotZip) } else { Ok(Self { members }) }
    }
}

impl Member<'_> {
    /// The whole member, if it is short enough.
    pub(super) fn metadata(&self) -> Result<Vec<u8>, JarFault> {
        if self.size > METADATA_BYTES_MAX {
            return Err(JarFault::MetadataTooLong(self.size));
        }
        let mut whole = Vec::new();
        self.read(|chunk| whole.extend_from_slice(chunk))?;
        Ok(whole)
    }

    /// Hands out the member piece by piece. It must have the length and the checksum that it says.
    pub(super) fn read(&self, mut f: impl FnMut(&[u8])) -> Result<(), JarFault> {
        let mut crc = Crc::new();
        if self.method == STORED {
            crc.update(self.content);
            f(self.content);
        } else {
            let mut reader = DeflateDecoder::new(self.content).take(self.size + 1);
            let mut chunk = [0; CHUNK_BYTES];
            loop {
                match reader.read(&mut chunk).map_err(|_| JarFault::NotZip)? {
                    0 => break,
                    read => {
                        crc.update(&chunk[..read]);
                        f(&chunk[..read]);
                    }
                }
            }
            if reader.get_ref().total_out() != self.size {
                return Err(JarFault::NotZip);
            }
        }
        let is_stored_whole = self.method != STORED || self.content.len() as u64 == self.size;
        if crc.sum() == self.crc && is_stored_whole { Ok(()) } else { Err(JarFault::NotZip) }
    }
}

/// What the end record says.
struct Directory<'a> {
    /// What is in front of the directory.
    members: &'a [u8],
    records: &'a [u8],
    count: u16,
}

impl<'a> Directory<'a> {
    /// The end record is the last that has a comment up to the very end.
    fn find(bytes: &'a [u8]) -> Option<Self> {
        let first = bytes.len().saturating_sub(END_BYTES + usize::from(u16::MAX));
        let last = bytes.len().checked_sub(END_BYTES)?;
        let at = (first..=last).rev().find(|at| {
            let end = &bytes[*at..];
            let comment = usize::from(u16_at(end, 20));
            end.starts_with(END) && end.len() == END_BYTES + comment
        })?;
        let end = &bytes[at..];
        let (disks, here, count) = (u32_at(end, 4), u16_at(end, 8), u16_at(end, 10));
        let start = usize::try_from(u32_at(end, 16)).ok()?;
        let len = usize::try_from(u32_at(end, 12)).ok()?;
        let is_whole = disks == 0 && here == count && start.checked_add(len) == Some(at);
        is_whole.then(|| Self { members: &bytes[..start], records: &bytes[start..at], count })
    }
}

/// A record of the directory.
struct Record<'a> {
    flags: u16,
    method: u16,
    crc: u32,
    packed: u32,
    size: u32,
    name: &'a [u8],
    /// Where the header of the member starts.
    offset: u64,
}

/// A member's bytes, and how many stand in front of them.
#[derive(Clone, Copy)]
struct Content<'a> {
    bytes: &'a [u8],
    start: usize,
}

impl<'a> Record<'a> {
    fn parse(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (fixed, rest) = bytes.split_at_checked(RECORD_BYTES)?;
        let (name, rest) = rest.split_at_checked(usize::from(u16_at(fixed, 28)))?;
        let more = usize::from(u16_at(fixed, 30)) + usize::from(u16_at(fixed, 32));
        let record = Self {
            flags: u16_at(fixed, 8),
            method: u16_at(fixed, 10),
            crc: u32_at(fixed, 16),
            packed: u32_at(fixed, 20),
            size: u32_at(fixed, 24),
            name,
            offset: u64::from(u32_at(fixed, 42)),
        };
        (fixed.starts_with(RECORD)).then_some((record, rest.get(more..)?))
    }

    /// What the header in front of the member encloses, if it says the same.
    fn content(&self, members: &'a [u8]) -> Option<Content<'a>> {
        let header = members.get(usize::try_from(self.offset).ok()?..)?;
        let (fixed, rest) = header.split_at_checked(HEADER_BYTES)?;
        let (name, rest) = rest.split_at_checked(usize::from(u16_at(fixed, 26)))?;
        let rest = rest.get(usize::from(u16_at(fixed, 28))..)?;
        let flags = u16_at(fixed, 6);
        let lengths = (u32_at(fixed, 14), u32_at(fixed, 18), u32_at(fixed, 22));
        let agrees = fixed.starts_with(HEADER)
            && name == self.name
            && u16_at(fixed, 8) == self.method
            && flags & LENGTHS_BEHIND == self.flags & LENGTHS_BEHIND
            && (flags & LENGTHS_BEHIND != 0 || lengths == (self.crc, self.packed, self.size));
        let bytes = rest.get(..usize::try_from(self.packed).ok()?)?;
        agrees.then_some(Content { bytes, start: header.len() - rest.len() })
    }

    fn header_len(&self, content: Content<'_>) -> usize {
        content.start + content.bytes.len()
    }
}

/// Whether a name stays in the archive, for every reader.
fn is_plain(name: &str) -> bool {
    let odd = |c: char| c == '\\' || c.is_control();
    !name.is_empty()
        && !name.starts_with('/')
        && !name.contains(odd)
        && !name.split('/').any(|part| part == "..")
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk());
    field.map_or(u16::MAX, |field| u16::from_le_bytes(*field))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let field = bytes.get(at..).and_then(|rest| rest.first_chunk());
    field.map_or(u32::MAX, |field| u32::from_le_bytes(*field))
}

//! Tar archives, as far as it takes to find files in them: headers of 512 bytes, contents in blocks
//! of as many. Nothing is kept but what is asked for.

use std::io::{self, Read};

const BLOCK: usize = 512;

/// A file, a link, a directory, or more about the one that follows.
pub(super) struct Header {
    /// The whole path.
    pub(super) name: Vec<u8>,
    /// In bytes.
    pub(super) size: u64,
    pub(super) is_file: bool,
    /// Whether it says more about the file of the next header.
    pub(super) is_extension: bool,
    /// Whether it is nothing but that file's name.
    pub(super) names_next: bool,
}

/// The next header; `None` at the end of the archive, or in front of the empty block that stands
/// there.
///
/// # Errors
/// Also if it is none.
pub(super) fn next(reader: &mut impl Read) -> io::Result<Option<Header>> {
    let mut block = [0; BLOCK];
    let mut filled = 0;
    while filled < BLOCK {
        match reader.read(&mut block[filled..])? {
            0 if filled == 0 => return Ok(None),
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
    if block.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    parse(&block).map(Some).ok_or(io::ErrorKind::InvalidData.into())
}

/// Reads the contents of one file, which must be all there.
pub(super) fn contents(reader: &mut impl Read, header: &Header) -> io::Result<Vec<u8>> {
    let mut contents = Vec::new();
    reader.by_ref().take(header.size).read_to_end(&mut contents)?;
    if contents.len() as u64 != header.size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    skip(reader, padding(header.size))?;
    Ok(contents)
}

/// Steps over the contents of one file.
pub(super) fn skip_contents(reader: &mut impl Read, header: &Header) -> io::Result<()> {
    skip(reader, header.size.saturating_add(padding(header.size)))
}

/// What fills the last block.
fn padding(size: u64) -> u64 {
    let block = BLOCK as u64;
    (block - size % block) % block
}

fn skip(reader: &mut impl Read, bytes: u64) -> io::Result<()> {
    let skipped = io::copy(&mut reader.take(bytes), &mut io::sink())?;
    if skipped == bytes { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

fn parse(block: &[u8; BLOCK]) -> Option<Header> {
    let checksum = octal(&block[148..156])?;
    let counted = block.iter().enumerate().map(|(at, byte)| match at {
        148..156 => u64::from(b' '),
        _ => u64::from(*byte),
    });
    if counted.sum::<u64>() != checksum {
        return None;
    }
    let text = |field: &[u8]| {
        let end = field.iter().position(|byte| *byte == 0).unwrap_or(field.len());
        field[..end].to_vec()
    };
    let mut name = text(&block[..100]);
    if &block[257..263] == b"ustar\0" {
        let prefix = text(&block[345..500]);
        if !prefix.is_empty() {
            name = [&prefix[..], b"/", &name].concat();
        }
    }
    let kind = block[156];
    let has_contents = !matches!(kind, b'1'..=b'6');
    Some(Header {
        name,
        size: if has_contents { octal(&block[124..136])? } else { 0 },
        is_file: matches!(kind, b'0' | 0),
        is_extension: matches!(kind, b'x' | b'g' | b'L' | b'K'),
        names_next: matches!(kind, b'L' | b'K'),
    })
}

/// A number in octal digits, between spaces and zero bytes.
fn octal(field: &[u8]) -> Option<u64> {
    let is_filler = |byte: &u8| matches!(byte, b' ' | 0);
    let start = field.iter().position(|byte| !is_filler(byte)).unwrap_or(field.len());
    let len = field[start..].iter().take_while(|byte| !is_filler(byte)).count();
    let (digits, rest) = field[start..].split_at(len);
    if !rest.iter().all(is_filler) {
        return None;
    }
    digits.iter().try_fold(0, |number: u64, digit| match digit {
        b'0'..=b'7' => number.checked_mul(8)?.checked_add(u64::from(digit - b'0')),
        _ => None,
    })
}

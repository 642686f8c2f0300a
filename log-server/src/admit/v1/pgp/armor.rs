//! Armour (RFC 9580, 6.2): bytes in base64 between two lines. Text in front of it and behind it is
//! not looked at. The checksum is written, but not required and not compared: newer programs leave
//! it out, and whatever it could find out a signature finds out too.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::super::lax_base64;

/// Columns of the lines that are written.
const COLUMNS: usize = 64;

/// The initial value and the polynomial of the checksum (RFC 9580, 6.1.1).
const CRC24_INIT: u32 = 0x00b7_04ce;
const CRC24_POLYNOMIAL: u32 = 0x0186_4cfb;

pub(super) const PUBLIC_KEY: &str = "PGP PUBLIC KEY BLOCK";
pub(super) const SIGNATURE: &str = "PGP SIGNATURE";

/// A block of armour: what its first line calls it, and its bytes.
pub(super) struct Block<'a> {
    pub(super) label: &'a [u8],
    pub(super) content: Vec<u8>,
}

/// The first block of a text.
pub(super) fn first_block(text: &[u8]) -> Option<Block<'_>> {
    let mut lines = text.split(|byte| *byte == b'\n').map(trim_end);
    let label = lines.find_map(|line| line.strip_prefix(b"-----BEGIN ")?.strip_suffix(b"-----"))?;
    let mut digits = Vec::new();
    let mut in_headers = true;
    for line in lines {
        if in_headers {
            match line {
                [] => in_headers = false,
                _ if is_header(line) => {}
                // No empty line in front of the content, as some write it.
                _ => {
                    in_headers = false;
                    digits.extend_from_slice(line);
                }
            }
        } else if let Some(end) = line.strip_prefix(b"-----END ") {
            if end.strip_suffix(b"-----") != Some(label) {
                return None;
            }
            return Some(Block { label, content: lax_base64::decode(&digits).ok()? });
        } else if !line.starts_with(b"=") {
            digits.extend_from_slice(line);
        }
    }
    None
}

/// One block, without headers and without a line end after it.
pub(super) fn encode(label: &str, content: &[u8]) -> Vec<u8> {
    let mut out = format!("-----BEGIN {label}-----\n\n").into_bytes();
    for line in STANDARD.encode(content).as_bytes().chunks(COLUMNS) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    let [_, checksum @ ..] = crc24(content).to_be_bytes();
    let checksum = STANDARD.encode(checksum);
    out.extend_from_slice(format!("={checksum}\n-----END {label}-----").as_bytes());
    out
}

fn is_header(line: &[u8]) -> bool {
    line.windows(2).any(|pair| pair == b": ") || line.ends_with(b":")
}

fn trim_end(line: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
    &line[..line.iter().rposition(|byte| !is_space(byte)).map_or(0, |at| at + 1)]
}

fn crc24(bytes: &[u8]) -> u32 {
    let step = |crc: u32| if crc & 0x80_0000 == 0 { crc << 1 } else { crc << 1 ^ CRC24_POLYNOMIAL };
    let byte = |crc, byte: &u8| (0..8).fold(crc ^ u32::from(*byte) << 16, |crc, _| step(crc));
    bytes.iter().fold(CRC24_INIT, byte) & 0xff_ffff
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(text: &str) -> Option<Vec<u8>> {
        first_block(text.as_bytes()).map(|block| block.content)
    }

    #[test]
    fn what_is_written_is_read_again() {
        for len in [0, 1, 47, 48, 49, 1_000] {
            let bytes = vec![0x5a; len];
            let written = encode(SIGNATURE, &bytes);
            let block = first_block(&written).expect("a block");
            assert_eq!(block.content, bytes);
            assert_eq!(block.label, SIGNATURE.as_bytes());
        }
    }

    /// The check value of CRC-24/OPENPGP.
    #[test]
    fn the_checksum_is_that_of_openpgp() {
        assert_eq!(crc24(b"123456789"), 0x21_cf02);
        assert_eq!(crc24(b""), CRC24_INIT);
    }

    #[test]
    fn armour_is_read_as_people_keep_it() {
        let plain = "-----BEGIN X-----\n\nZm9v\nYmFy\n=aaaa\n-----END X-----";
        for text in [
            plain.to_owned(),
            format!("text\n{plain}\nmore"),
            plain.replace('\n', "\r\n"),
            plain.replace('\n', " \t\n"),
            plain.replace("=aaaa\n", ""),
            plain.replacen("\n\n", "\nVersion: 1\nComment:\n\n", 1),
            plain.replacen("\n\n", "\n", 1),
        ] {
            assert_eq!(content(&text).as_deref(), Some(&b"foobar"[..]), "{text:?}");
        }
        for text in [
            "",
            "-----BEGIN X-----",
            "-----BEGIN X-----\n\nZm9v\n",
            "-----BEGIN X-----\n\nZm9v\n-----END Y-----",
            "-----BEGIN X-----\n\nZm9\n-----END X-----",
            "-----BEGIN X-----\n\nZm9v\n-----END X",
            " -----BEGIN X-----\n\nZm9v\n-----END X-----",
        ] {
            assert_eq!(content(text), None, "{text:?}");
        }
    }
}

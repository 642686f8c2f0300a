//! PEM as the clients of this protocol write it: text in front, headers, any line width and any
//! line end are put up with; what is stored has none of them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use memchr::{memchr3, memmem};

use super::lax_base64;

/// Columns of the lines that are written, as RFC 7468 has it.
const COLUMNS: usize = 64;

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"\n-----END ";
const DASHES: &[u8] = b"-----";

/// A block and what follows it.
pub(super) struct Block<'a> {
    pub(super) label: &'a [u8],
    pub(super) content: Vec<u8>,
    pub(super) rest: &'a [u8],
}

/// The first block of a text that is one. Text that only looks like one is skipped.
pub(super) fn first_block(text: &[u8]) -> Option<Block<'_>> {
    let mut from = 0;
    loop {
        let end = from + memmem::find(&text[from..], END)?;
        if let Some(begin) = last_begin(&text[..end], from)
            && let Some(block) = block_at(text, begin + BEGIN.len(), end)
        {
            return Some(block);
        }
        from = end + END.len();
    }
}

/// One block, with a line end after it.
pub(super) fn encode(label: &str, content: &[u8]) -> Vec<u8> {
    let digits = STANDARD.encode(content);
    let mut out = format!("-----BEGIN {label}-----\n").into_bytes();
    for line in digits.as_bytes().chunks(COLUMNS) {
        out.extend_from_slice(line);
        out.push(b'\n');
    }
    out.extend_from_slice(format!("-----END {label}-----\n").as_bytes());
    out
}

/// Where the last block before an END line begins. Earlier ones have no end of their own.
fn last_begin(text: &[u8], from: usize) -> Option<usize> {
    let begin = memmem::rfind(&text[from..], BEGIN)? + from;
    (begin == 0 || text[begin - 1] == b'\n').then_some(begin)
}

/// The block whose label starts at `label` and whose END line at the line end `end`.
fn block_at(text: &[u8], label: usize, end: usize) -> Option<Block<'_>> {
    let (line, mut at) = line_at(text, label);
    let label = line.strip_suffix(DASHES)?;
    // Headers are lines with a colon; base64 has none.
    while at < end {
        let (line, next) = line_at(text, at);
        if !line.contains(&b':') {
            break;
        }
        at = next;
    }
    let closing = text[end + END.len()..].strip_prefix(label)?.strip_prefix(DASHES)?;
    let (line, rest) = line_at(closing, 0);
    if !line.is_empty() {
        return None;
    }
    let lines = text.get(at..end).unwrap_or_default().split(|byte| *byte == b'\n');
    let mut digits = Vec::with_capacity(end.saturating_sub(at));
    for line in lines {
        if memchr3(b' ', b'\t', b'\r', line).is_none() {
            digits.extend_from_slice(line);
        } else {
            digits.extend(line.iter().filter(|byte| !matches!(byte, b' ' | b'\t' | b'\r')));
        }
    }
    let content = lax_base64::decode(&digits).ok()?;
    Some(Block { label, content, rest: &closing[rest..] })
}

/// The line at `at` without the white space at its end, and where the next one starts.
fn line_at(text: &[u8], at: usize) -> (&[u8], usize) {
    let end = text[at..].iter().position(|byte| *byte == b'\n').map_or(text.len(), |n| at + n);
    (text[at..end].trim_ascii_end(), text.len().min(end + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEM: &str = "-----BEGIN A B-----\nZm9v\nYmFy\n-----END A B-----\n";

    #[track_caller]
    fn check(text: &str, content: &[u8], rest: &str) {
        let block = first_block(text.as_bytes()).expect("a block");
        assert_eq!((block.label, &block.content[..]), (&b"A B"[..], content));
        assert_eq!(block.rest, rest.as_bytes());
    }

    #[test]
    fn blocks_are_found_in_what_people_write() {
        check(PEM, b"foobar", "");
        check(&PEM.replace('\n', "\r\n"), b"foobar", "");
        check(&format!("text\n{PEM}more"), b"foobar", "more");
        check(&PEM.replace("Zm9v\n", "Zm9v"), b"foobar", "");
        check(&PEM.replace("Zm9v", " Z m9v\t"), b"foobar", "");
        check(&PEM.replace("Zm9v", "Proc: 4\nOther: x\n\nZm9v"), b"foobar", "");
        check("-----BEGIN A B-----\n-----END A B-----", b"", "");
        check(&format!("-----BEGIN A B-----\nno end\n{PEM}"), b"foobar", "");
        check(&format!("-----BEGIN A B-----\n!!!!\n-----END A B-----\n{PEM}"), b"foobar", "");
        check(&format!("-----BEGIN X-----\nZm9v\n-----END Y-----\n{PEM}{PEM}"), b"foobar", PEM);
    }

    #[test]
    fn what_is_not_a_block_is_not_found() {
        for text in [
            "",
            "-----BEGIN A B-----",
            "-----BEGIN A B-----\nZm9v",
            "-----BEGIN A B-----\nZm9v-----END A B-----\n",
            "-----BEGIN A B----\nZm9v\n-----END A B----\n",
            "-----BEGIN A B-----\nZm9v\n-----END A C-----\n",
            "-----BEGIN A B-----\nZm9v\n-----END A B----- x\n",
            "-----BEGIN A B-----\nZm9\n-----END A B-----\n",
            "x-----BEGIN A B-----\nZm9v\n-----END A B-----\n",
            "-----BEGIN A B-----\nHeader: only\n-----END A",
            "\n-----END \n-----END \n-----END ",
        ] {
            assert!(first_block(text.as_bytes()).is_none(), "{text:?}");
        }
    }

    #[test]
    fn lines_are_64_columns_wide() {
        let written = encode("A B", &[0; 49]);
        let lines: Vec<&[u8]> = written.split(|byte| *byte == b'\n').collect();
        assert_eq!(lines.iter().map(|line| line.len()).collect::<Vec<_>>(), [19, 64, 4, 17, 0]);
        assert_eq!(first_block(&written).expect("a block").content, [0; 49]);
        assert_eq!(encode("X", b""), b"-----BEGIN X-----\n-----END X-----\n");
    }
}

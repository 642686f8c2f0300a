//! Texts that are signed where they stand (RFC 9580, 7).

use super::{DetachedSignature, PgpFault, PublicKeys, armor};

const BEGIN: &[u8] = b"-----BEGIN PGP SIGNED MESSAGE-----";
const BEGIN_SIGNATURE: &[u8] = b"-----BEGIN PGP SIGNATURE-----";

/// A text and the signature below it.
pub(in super::super) struct ClearSigned {
    /// As it was written, with bare line ends and without the escapes.
    pub(in super::super) plain: Vec<u8>,
    /// What is signed: no white space at the end of lines, which end in CR and LF, but the last.
    signed: Vec<u8>,
    /// The packets of the signature.
    pub(in super::super) signature: Vec<u8>,
}

impl ClearSigned {
    /// The first such text in a file.
    pub(in super::super) fn parse(text: &[u8]) -> Result<Self, PgpFault> {
        let start = find_line(text, BEGIN).ok_or(PgpFault::NotClearSigned)?;
        let rest = &text[start..];
        let end = find_line(rest, BEGIN_SIGNATURE).ok_or(PgpFault::NotClearSigned)?;
        let mut lines = rest[..end].split(|byte| *byte == b'\n').skip(1);
        // The names of hash functions, and an empty line.
        for line in lines.by_ref() {
            match trim_cr(line) {
                [] => break,
                header if header.starts_with(b"Hash: ") => {}
                _ => return Err(PgpFault::NotClearSigned),
            }
        }
        let (mut plain, mut signed) = (Vec::new(), Vec::new());
        let mut lines: Vec<&[u8]> = lines.map(trim_cr).collect();
        // The line end in front of the signature belongs to the signature.
        lines.pop();
        for (position, line) in lines.into_iter().enumerate() {
            let line = line.strip_prefix(b"- ").unwrap_or(line);
            plain.extend_from_slice(line);
            plain.push(b'\n');
            if position > 0 {
                signed.extend_from_slice(b"\r\n");
            }
            signed.extend_from_slice(trim_end(line));
        }
        let block = armor::first_block(&rest[end..]).ok_or(PgpFault::NotClearSigned)?;
        Ok(Self { plain, signed, signature: block.content })
    }

    pub(in super::super) fn verify(
        &self,
        keys: &PublicKeys<'_>,
        now_s: i64,
    ) -> Result<(), PgpFault> {
        DetachedSignature::from_packets(&self.signature)?.verify(&self.signed, keys, now_s)
    }
}

/// Where a line starts that is this one, perhaps with white space behind it.
fn find_line(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        if trim_end(line.strip_suffix(b"\n").unwrap_or(line)) == wanted {
            return Some(at);
        }
        at += line.len();
    }
    None
}

fn trim_cr(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

fn trim_end(line: &[u8]) -> &[u8] {
    let is_space = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
    &line[..line.iter().rposition(|byte| !is_space(byte)).map_or(0, |at| at + 1)]
}

/// A text with CR and LF at the end of each line, whichever of them it had.
pub(super) fn with_crlf(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut last = 0;
    for byte in text {
        if *byte == b'\n' && last != b'\r' {
            out.push(b'\r');
        }
        out.push(*byte);
        last = *byte;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_become_those_that_are_signed() {
        assert_eq!(with_crlf(b"a\nb\r\nc\r\rd\n"), b"a\r\nb\r\nc\r\rd\r\n");
        assert_eq!(with_crlf(b""), b"");
    }

    #[test]
    fn escapes_and_white_space_are_taken_off() {
        let signature = armor::encode(armor::SIGNATURE, b"packets");
        let text = [
            &b"before\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\na \t\r\n- -b\n\n"[..],
            &signature,
        ];
        let parsed = ClearSigned::parse(&text.concat()).unwrap();
        assert_eq!(parsed.plain, b"a \t\n-b\n\n");
        assert_eq!(parsed.signed, b"a\r\n-b\r\n");
        assert_eq!(parsed.signature, b"packets");
    }

    #[test]
    fn what_is_not_signed_where_it_stands_is_refused() {
        for text in [
            "",
            "-----BEGIN PGP SIGNED MESSAGE-----\n",
            "-----BEGIN PGP SIGNED MESSAGE-----\n\ntext\n",
            "-----BEGIN PGP SIGNED MESSAGE-----\n\ntext\n-----BEGIN PGP SIGNATURE-----\n",
            "-----BEGIN PGP SIGNED MESSAGE-----\nX: y\n\ntext\n-----BEGIN PGP SIGNATURE-----\n\n\
             -----END PGP SIGNATURE-----",
            "-----BEGIN PGP SIGNATURE-----\n\n-----END PGP SIGNATURE-----",
        ] {
            let fault = ClearSigned::parse(text.as_bytes()).err();
            assert_eq!(fault, Some(PgpFault::NotClearSigned), "{text}");
        }
    }
}

//! Header structures of RPM packages: an index of tags, and the bytes that it points into.

/// What every header starts with, before four bytes that mean nothing.
const MAGIC: &[u8] = &[0x8e, 0xad, 0xe8, 0x01];

/// Magic, reserved bytes, the number of tags, the length of their bytes.
const INTRO_BYTES: usize = 16;

/// A tag, its type, where its value starts, how many values there are.
const ENTRY_BYTES: usize = 16;

/// Types of values.
const INT32: u32 = 4;
const STRING: u32 = 6;
const BINARY: u32 = 7;
const STRING_ARRAY: u32 = 8;

/// A header, in the bytes of its package.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header<'a> {
    /// All of it.
    pub(super) bytes: &'a [u8],
    index: &'a [u8],
    values: &'a [u8],
}

impl<'a> Header<'a> {
    /// The header at the start of some bytes, and what follows it.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (intro, rest) = bytes.split_at_checked(INTRO_BYTES)?;
        let count = usize::try_from(number(intro.get(8..12)?)?).ok()?;
        let len = usize::try_from(number(intro.get(12..16)?)?).ok()?;
        let (index, rest) = rest.split_at_checked(count.checked_mul(ENTRY_BYTES)?)?;
        let (values, rest) = rest.split_at_checked(len)?;
        let header = Self { bytes: &bytes[..bytes.len() - rest.len()], index, values };
        intro.starts_with(MAGIC).then_some((header, rest))
    }

    /// The bytes of a tag; `None` if it is not there, or of another type.
    pub(super) fn binary(&self, tag: u32) -> Option<&'a [u8]> {
        let (kind, value, count) = self.find(tag)?;
        if kind == BINARY { value.get(..count) } else { None }
    }

    /// The text of a tag, the first if there are several.
    pub(super) fn string(&self, tag: u32) -> Option<&'a str> {
        let (kind, value, count) = self.find(tag)?;
        let end = value.iter().position(|byte| *byte == 0)?;
        let is_text = matches!(kind, STRING | STRING_ARRAY) && count > 0;
        if is_text { str::from_utf8(&value[..end]).ok() } else { None }
    }

    /// The number of a tag, the first if there are several.
    pub(super) fn number(&self, tag: u32) -> Option<u32> {
        let (kind, value, count) = self.find(tag)?;
        if kind == INT32 && count > 0 { number(value.get(..4)?) } else { None }
    }

    /// Whether a tag is there, readable or not.
    pub(super) fn has(&self, tag: u32) -> bool {
        self.entries().any(|entry| number(&entry[..4]) == Some(tag))
    }

    fn entries(&self) -> impl Iterator<Item = &'a [u8]> {
        self.index.chunks_exact(ENTRY_BYTES)
    }

    /// Type, values and their number of the first entry with this tag.
    fn find(&self, tag: u32) -> Option<(u32, &'a [u8], usize)> {
        let entry = self.entries().find(|entry| number(&entry[..4]) == Some(tag))?;
        let start = usize::try_from(number(&entry[8..12])?).ok()?;
        let count = usize::try_from(number(&entry[12..])?).ok()?;
        Some((number(&entry[4..8])?, self.values.get(start..)?, count))
    }
}

fn number(bytes: &[u8]) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A header with these tags: number, type, offset, count.
    fn header(entries: &[[u32; 4]], values: &[u8]) -> Vec<u8> {
        let len = |len: usize| u32::try_from(len).unwrap().to_be_bytes();
        let index: Vec<u8> = entries.iter().flatten().flat_map(|n| n.to_be_bytes()).collect();
        [MAGIC, &[0; 4], &len(entries.len()), &len(values.len()), &index, values].concat()
    }

    #[test]
    fn values_are_found_by_their_tags() {
        let bytes = header(
            &[[1, STRING, 0, 1], [2, INT32, 4, 1], [3, BINARY, 4, 3], [4, STRING_ARRAY, 0, 2]],
            b"abc\0\0\0\x01\x02",
        );
        let (parsed, rest) = Header::parse(&bytes).unwrap();
        assert!(rest.is_empty());
        assert_eq!(parsed.string(1), Some("abc"));
        assert_eq!(parsed.string(4), Some("abc"));
        assert_eq!(parsed.number(2), Some(0x102));
        assert_eq!(parsed.binary(3), Some(&[0, 0, 1][..]));
        assert_eq!((parsed.string(2), parsed.number(1), parsed.binary(1)), (None, None, None));
        assert!(parsed.has(2) && !parsed.has(5));
        for end in 0..bytes.len() {
            assert!(Header::parse(&bytes[..end]).is_none(), "{end}");
        }
    }

    #[test]
    fn what_points_elsewhere_is_not_found() {
        let bytes = header(
            &[
                [1, STRING, 4, 1],
                [2, INT32, 1, 1],
                [3, BINARY, 0, 5],
                [4, STRING, u32::MAX, 1],
                [5, BINARY, 0, u32::MAX],
                [6, INT32, 0, 0],
                [7, STRING, 0, 0],
            ],
            b"abcd",
        );
        let (parsed, _) = Header::parse(&bytes).unwrap();
        for tag in 1..8 {
            let found = (parsed.string(tag), parsed.number(tag), parsed.binary(tag));
            assert_eq!(found, (None, None, None), "{tag}");
        }
        let endless = header(&[], b"");
        for at in [8, 12] {
            let mut endless = endless.clone();
            endless[at..at + 4].fill(0xff);
            assert!(Header::parse(&endless).is_none());
        }
    }
}

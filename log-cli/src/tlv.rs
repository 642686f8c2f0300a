//! DER elements taken apart by hand, where the raw bytes matter: they were signed, and must be
//! hashed as they came.

use der::{Encode as _, Header, Reader as _, SliceReader};

/// Universal tag of SEQUENCE.
pub const SEQUENCE: u8 = 0x30;
/// Universal tag of SET.
pub const SET: u8 = 0x31;
/// Universal tag of OBJECT IDENTIFIER.
pub const OID: u8 = 0x06;
/// Universal tag of INTEGER.
pub const INTEGER: u8 = 0x02;
/// Universal tag of OCTET STRING.
pub const OCTET_STRING: u8 = 0x04;
/// Universal tag of BOOLEAN.
pub const BOOLEAN: u8 = 0x01;
/// Universal tag of GeneralizedTime.
pub const GENERALIZED_TIME: u8 = 0x18;

/// The tag of a constructed context-specific element; `number` is below 31.
pub const fn context(number: u8) -> u8 {
    0xa0 | number
}

/// One element.
#[derive(Clone, Copy, Debug)]
pub struct Element<'a> {
    /// The tag's first byte.
    pub tag: u8,
    /// What is inside.
    pub value: &'a [u8],
    /// All of it, with tag and length.
    pub raw: &'a [u8],
}

impl<'a> Element<'a> {
    /// Reads bytes that are exactly one element with this tag.
    pub fn parse(bytes: &'a [u8], tag: u8) -> Result<Self, Malformed> {
        let mut elements = Elements::new(bytes)?;
        let element = elements.expect(tag)?;
        elements.finish()?;
        Ok(element)
    }

    /// The elements inside.
    pub fn children(&self) -> Result<Elements<'a>, Malformed> {
        Elements::new(self.value)
    }
}

/// A row of elements.
#[derive(Clone, Debug)]
pub struct Elements<'a>(SliceReader<'a>);

impl<'a> Elements<'a> {
    /// The elements in these bytes.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Malformed> {
        SliceReader::new(bytes).map(Self).map_err(|_| Malformed)
    }

    /// The next element; `None` at the end.
    pub fn take(&mut self) -> Result<Option<Element<'a>>, Malformed> {
        if self.0.is_finished() {
            return Ok(None);
        }
        let header = Header::peek(&self.0).map_err(|_| Malformed)?;
        let header_length = header.encoded_len().and_then(usize::try_from);
        let raw = self.0.tlv_bytes().map_err(|_| Malformed)?;
        let value = raw.get(header_length.map_err(|_| Malformed)?..).ok_or(Malformed)?;
        let tag = *raw.first().ok_or(Malformed)?;
        Ok(Some(Element { tag, value, raw }))
    }

    /// The next element, which must have this tag.
    pub fn expect(&mut self, tag: u8) -> Result<Element<'a>, Malformed> {
        self.take()?.filter(|element| element.tag == tag).ok_or(Malformed)
    }

    /// The next element if it has this tag.
    pub fn optional(&mut self, tag: u8) -> Result<Option<Element<'a>>, Malformed> {
        let mut ahead = self.clone();
        let element = ahead.take()?.filter(|element| element.tag == tag);
        if element.is_some() {
            *self = ahead;
        }
        Ok(element)
    }

    /// Nothing may be left.
    pub fn finish(self) -> Result<(), Malformed> {
        if self.0.is_finished() { Ok(()) } else { Err(Malformed) }
    }
}

/// The element with this tag and content.
pub fn encode(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = value.len().to_be_bytes();
    let zeros = length.iter().take_while(|byte| **byte == 0).count();
    let mut out = vec![tag];
    match u8::try_from(value.len()) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let digits = &length[zeros..];
            let count = u8::try_from(digits.len()).expect("invariant: a length has 8 bytes");
            out.push(0x80 | count);
            out.extend_from_slice(digits);
        }
    }
    out.extend_from_slice(value);
    out
}

/// The bytes are not the expected DER.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed DER")]
pub struct Malformed;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_elements_read_back() {
        for length in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let value = vec![7; length];
            let bytes = encode(OCTET_STRING, &value);
            let element = Element::parse(&bytes, OCTET_STRING).unwrap();
            assert_eq!((element.value, element.raw), (value.as_slice(), bytes.as_slice()));
        }
    }

    #[test]
    fn broken_lengths_and_tags_are_refused() {
        let cases: [&[u8]; 8] = [
            &[],
            &[0x04],
            &[0x04, 0x01],
            &[0x04, 0x80],
            &[0x04, 0x81, 0x01, 0x00],
            &[0x04, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[0x04, 0x00, 0x00],
            &[0x30, 0x00],
        ];
        for bytes in cases {
            assert!(Element::parse(bytes, OCTET_STRING).is_err(), "{bytes:?}");
        }
    }

    #[test]
    fn an_optional_element_is_taken_only_if_it_is_there() {
        let bytes = [encode(INTEGER, &[1]), encode(BOOLEAN, &[0xff])].concat();
        let mut elements = Elements::new(&bytes).unwrap();
        assert!(elements.optional(BOOLEAN).unwrap().is_none());
        assert!(elements.optional(INTEGER).unwrap().is_some());
        assert!(elements.clone().finish().is_err());
        assert!(elements.optional(BOOLEAN).unwrap().is_some());
        elements.finish().unwrap();
    }
}

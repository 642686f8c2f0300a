//! JSON as the servers and clients of this protocol read it, which is laxer than RFC 8259 asks.
//!
//! Of duplicate members the last counts, `null` is as good as absent, members that nobody asks for
//! are skipped, names of some members match in any letter case, bytes that are not UTF-8 and lone
//! surrogates become U+FFFD. A text is checked as a whole once, up to [`DEPTH_MAX`] levels deep;
//! then a value is a slice of the text, and what is asked of it is found by scanning. Nothing
//! recurses and nothing is built, so a text costs no more memory than it has bytes.

mod error;
mod scan;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use memchr::memchr;

pub use error::{JsonError, Place};

/// Most arrays and objects that may be open at once, as the reference server has it.
pub const DEPTH_MAX: usize = 10_000;

const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JsonType {
    /// `null`
    Null,
    /// `true` or `false`
    Bool,
    /// A number of any size.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// A value in a text that was checked: its bytes, without white space around them.
#[derive(Debug, Clone, Copy)]
pub struct Json<'a>(&'a [u8]);

impl<'a> Json<'a> {
    /// The first value of a text, whatever follows it; `None` if there is only white space.
    ///
    /// # Errors
    /// [`JsonError`], with the text that the reference server gives.
    pub fn first(text: &'a [u8]) -> Result<Option<Self>, JsonError> {
        Ok(scan::first_value(text)?.map(|range| Self(&text[range])))
    }

    /// The one value of a text.
    ///
    /// # Errors
    /// [`JsonError`]; also if there is no value, or anything but white space after it.
    pub fn only(text: &'a [u8]) -> Result<Self, JsonError> {
        let incomplete = |error| match error {
            JsonError::Truncated => JsonError::Incomplete,
            other => other,
        };
        let range = scan::first_value(text).map_err(incomplete)?.ok_or(JsonError::Incomplete)?;
        match text[range.end..].iter().find(|byte| !scan::is_space(**byte)) {
            Some(byte) => Err(JsonError::Unexpected(*byte, Place::AfterTopLevel)),
            None => Ok(Self(&text[range])),
        }
    }

    /// How many bytes of text it has.
    pub fn text_len(self) -> usize {
        self.0.len()
    }

    /// What it is.
    pub fn json_type(self) -> JsonType {
        match self.0.first() {
            Some(b'{') => JsonType::Object,
            Some(b'[') => JsonType::Array,
            Some(b'"') => JsonType::String,
            Some(b't' | b'f') => JsonType::Bool,
            Some(b'n') => JsonType::Null,
            _ => JsonType::Number,
        }
    }

    /// The characters of a string.
    pub fn as_str(self) -> Option<Cow<'a, str>> {
        let inner = self.0.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        match std::str::from_utf8(inner) {
            Ok(text) if memchr(b'\\', inner).is_none() => Some(Cow::Borrowed(text)),
            _ => Some(Cow::Owned(unescape(inner))),
        }
    }

    /// Whether it is `true`.
    pub fn is_true(self) -> bool {
        self.0 == b"true"
    }

    /// The digits of a number, as they stand in the text.
    pub fn as_number(self) -> Option<&'a str> {
        let digits = (self.json_type() == JsonType::Number).then_some(self.0)?;
        std::str::from_utf8(digits).ok()
    }

    /// The members of an object in their order, duplicates too; none for other values.
    pub fn members(self) -> impl Iterator<Item = (Cow<'a, str>, Self)> {
        let mut parts = self.parts(JsonType::Object);
        std::iter::from_fn(move || Some((parts.next()?.as_str()?, parts.next()?)))
    }

    /// The elements of an array; none for other values.
    pub fn elements(self) -> impl Iterator<Item = Self> {
        self.parts(JsonType::Array)
    }

    /// The member with exactly this name, the last if there are several.
    pub fn get(self, name: &str) -> Option<Self> {
        let mut parts = self.parts(JsonType::Object);
        let mut found = None;
        while let Some((other, value)) = parts.next().zip(parts.next()) {
            if other.is_string(name) {
                found = Some(value);
            }
        }
        found
    }

    /// Whether it is a string with these characters, however they are written.
    fn is_string(self, text: &str) -> bool {
        let inner = self.0.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        inner.is_some_and(|inner| {
            let stands_for_itself = inner.is_ascii() && memchr(b'\\', inner).is_none();
            if stands_for_itself { inner == text.as_bytes() } else { unescape(inner) == text }
        })
    }

    /// All members with this name in any letter case. `name` is ASCII.
    pub fn in_any_case(self, name: &str) -> impl Iterator<Item = Self> {
        self.members().filter(move |(other, _)| is_in_any_case(other, name)).map(|(_, value)| value)
    }

    /// The member, if it is an object.
    pub fn object(self, name: &str) -> Option<Self> {
        self.get(name).filter(|value| value.json_type() == JsonType::Object)
    }

    /// The member, if it is an array.
    pub fn array(self, name: &str) -> Option<Self> {
        self.get(name).filter(|value| value.json_type() == JsonType::Array)
    }

    /// The member, if it is a string.
    pub fn string(self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name)?.as_str()
    }

    fn parts(self, of: JsonType) -> Parts<'a> {
        let inner = if self.json_type() == of { &self.0[1..self.0.len() - 1] } else { &[] };
        Parts { rest: inner }
    }
}

/// The strings and values between the brackets of an object or array.
struct Parts<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Parts<'a> {
    type Item = Json<'a>;

    fn next(&mut self) -> Option<Json<'a>> {
        let separates = |byte: &u8| scan::is_space(*byte) || matches!(byte, b',' | b':');
        let start = self.rest.iter().position(|byte| !separates(byte))?;
        let (value, rest) = self.rest[start..].split_at(scan::value_len(&self.rest[start..]));
        self.rest = rest;
        Some(Json(value))
    }
}

/// Whether a name is this one in any letter case. Two more letters count as the ASCII ones that
/// they fold to. `wanted` is ASCII.
pub fn is_in_any_case(name: &str, wanted: &str) -> bool {
    let fold = |letter: char| match letter {
        '\u{17f}' => 's',
        '\u{212a}' => 'k',
        other => other.to_ascii_lowercase(),
    };
    name.len() <= wanted.len() * 3 && name.chars().map(fold).eq(wanted.chars().map(fold))
}

/// The inside of a checked string without its escapes.
fn unescape(inner: &[u8]) -> String {
    let mut out = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        push_utf8(&mut out, &rest[..at]);
        let (character, len) = escaped(&rest[at..]);
        out.push(character);
        rest = &rest[at + len..];
    }
    push_utf8(&mut out, rest);
    out
}

/// The character of the escape at the start of `text`, and the bytes that it takes.
fn escaped(text: &[u8]) -> (char, usize) {
    let simple = match text.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(b'u') => return escaped_unit(text),
        Some(other) => char::from(*other),
        None => REPLACEMENT,
    };
    (simple, 2)
}

fn escaped_unit(text: &[u8]) -> (char, usize) {
    const LEN: usize = 6;
    let unit = |text: &[u8]| {
        let digits = text.strip_prefix(b"\\u")?.get(..4)?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    let Some(high) = unit(text) else { return (REPLACEMENT, LEN) };
    if let Some(low) = text.get(LEN..).and_then(unit)
        && let Some(Ok(pair)) = char::decode_utf16([high, low]).next()
        && pair.len_utf16() == 2
    {
        return (pair, 2 * LEN);
    }
    (char::from_u32(u32::from(high)).unwrap_or(REPLACEMENT), LEN)
}

/// One replacement for each byte that belongs to no character.
fn push_utf8(out: &mut String, bytes: &[u8]) {
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        out.extend(chunk.invalid().iter().map(|_| REPLACEMENT));
    }
}

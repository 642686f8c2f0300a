//! Where values begin and end: one strict scan of a text that nobody knows, and a quick one of text
//! that was scanned before.

use std::ops::Range;

use memchr::memchr2;

use super::DEPTH_MAX;
use super::error::{JsonError, Place};

pub(super) fn is_space(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r' | b'\n')
}

/// Checks the first value of a text and says where it is; `None` if there is only white space.
pub(super) fn first_value(text: &[u8]) -> Result<Option<Range<usize>>, JsonError> {
    let Some(start) = text.iter().position(|byte| !is_space(*byte)) else { return Ok(None) };
    let mut scanner = Scanner { text, at: start, open: Vec::new() };
    scanner.value()?;
    Ok(Some(start..scanner.at))
}

/// How many bytes the value at the start of a checked text has.
pub(super) fn value_len(text: &[u8]) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => at += string_len(&text[at..]),
            b'{' | b'[' => (at, depth) = (at + 1, depth + 1),
            b'}' | b']' if depth > 0 => (at, depth) = (at + 1, depth - 1),
            b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n' if depth == 0 => break,
            _ => {
                at += 1;
                continue;
            }
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// How many bytes the string at the start of a checked text has, quotes included.
fn string_len(text: &[u8]) -> usize {
    let mut at = 1;
    while let Some(found) = text.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += found;
        if text[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    text.len()
}

#[derive(Clone, Copy)]
enum Container {
    Array,
    Object,
}

struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
    open: Vec<Container>,
}

impl Scanner<'_> {
    /// Scans one whole value.
    fn value(&mut self) -> Result<(), JsonError> {
        loop {
            while self.begin()? {}
            // A value has ended. What may follow depends on what it lies in.
            loop {
                let (end, place) = match self.open.last() {
                    None => return Ok(()),
                    Some(Container::Array) => (b']', Place::AfterElement),
                    Some(Container::Object) => (b'}', Place::AfterMember),
                };
                match self.token()? {
                    byte if byte == end => _ = self.open.pop(),
                    b',' => break,
                    byte => return Err(JsonError::Unexpected(byte, place)),
                }
            }
            if let Some(Container::Object) = self.open.last() {
                self.name()?;
            }
        }
    }

    /// Scans a scalar or an empty array or object; or the opening of one that has content: then
    /// the answer is `true`, and a value comes next.
    fn begin(&mut self) -> Result<bool, JsonError> {
        match self.token()? {
            b'{' => {
                self.open(Container::Object)?;
                let has_content = !self.close_if_empty(b'}');
                if has_content {
                    self.name()?;
                }
                return Ok(has_content);
            }
            b'[' => {
                self.open(Container::Array)?;
                return Ok(!self.close_if_empty(b']'));
            }
            b'"' => self.string()?,
            b't' => self.literal("true")?,
            b'f' => self.literal("false")?,
            b'n' => self.literal("null")?,
            first @ (b'-' | b'0'..=b'9') => self.number(first)?,
            byte => return Err(JsonError::Unexpected(byte, Place::Value)),
        }
        Ok(false)
    }

    fn open(&mut self, container: Container) -> Result<(), JsonError> {
        if self.open.len() == DEPTH_MAX {
            return Err(JsonError::Unexpected(self.text[self.at - 1], Place::Depth));
        }
        self.open.push(container);
        Ok(())
    }

    fn close_if_empty(&mut self, end: u8) -> bool {
        self.skip_space();
        let is_empty = self.text.get(self.at) == Some(&end);
        if is_empty {
            self.at += 1;
            self.open.pop();
        }
        is_empty
    }

    /// Scans the name of a member and the colon.
    fn name(&mut self) -> Result<(), JsonError> {
        match self.token()? {
            b'"' => self.string()?,
            byte => return Err(JsonError::Unexpected(byte, Place::Name)),
        }
        match self.token()? {
            b':' => Ok(()),
            byte => Err(JsonError::Unexpected(byte, Place::AfterName)),
        }
    }

    /// The rest of a string, after its first quote.
    fn string(&mut self) -> Result<(), JsonError> {
        loop {
            match self.byte()? {
                b'"' => return Ok(()),
                b'\\' => match self.byte()? {
                    b'b' | b'f' | b'n' | b'r' | b't' | b'\\' | b'/' | b'"' => {}
                    b'u' => {
                        for _ in 0..4 {
                            self.expect(u8::is_ascii_hexdigit, Place::UnicodeEscape)?;
                        }
                    }
                    byte => return Err(JsonError::Unexpected(byte, Place::Escape)),
                },
                byte @ 0..0x20 => return Err(JsonError::Unexpected(byte, Place::Text)),
                _ => {}
            }
        }
    }

    /// The rest of `true`, `false` or `null`, after its first letter.
    fn literal(&mut self, literal: &'static str) -> Result<(), JsonError> {
        for expected in literal.bytes().skip(1) {
            let byte = self.byte()?;
            if byte != expected {
                return Err(JsonError::Unexpected(byte, Place::Literal(literal, expected)));
            }
        }
        Ok(())
    }

    /// The rest of a number, after its first byte.
    fn number(&mut self, first: u8) -> Result<(), JsonError> {
        let mut leading = first;
        if first == b'-' {
            leading = self.expect(u8::is_ascii_digit, Place::Number)?;
        }
        if leading != b'0' {
            self.skip_digits();
        }
        if self.next_is(b".") {
            self.expect(u8::is_ascii_digit, Place::Fraction)?;
            self.skip_digits();
        }
        if self.next_is(b"eE") {
            self.next_is(b"+-");
            self.expect(u8::is_ascii_digit, Place::Exponent)?;
            self.skip_digits();
        }
        Ok(())
    }

    fn expect(&mut self, is_good: fn(&u8) -> bool, place: Place) -> Result<u8, JsonError> {
        let byte = self.byte()?;
        if is_good(&byte) { Ok(byte) } else { Err(JsonError::Unexpected(byte, place)) }
    }

    /// Skips the next byte if it is one of these.
    fn next_is(&mut self, bytes: &[u8]) -> bool {
        let found = self.text.get(self.at).is_some_and(|byte| bytes.contains(byte));
        self.at += usize::from(found);
        found
    }

    fn skip_digits(&mut self) {
        while self.next_is(b"0123456789") {}
    }

    fn skip_space(&mut self) {
        while self.next_is(b" \t\r\n") {}
    }

    /// The next byte after white space.
    fn token(&mut self) -> Result<u8, JsonError> {
        self.skip_space();
        self.byte()
    }

    fn byte(&mut self) -> Result<u8, JsonError> {
        let byte = self.text.get(self.at).copied().ok_or(JsonError::Truncated)?;
        self.at += 1;
        Ok(byte)
    }
}

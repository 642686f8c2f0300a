//! Why a text is not JSON, in the words of the reference server.

use std::fmt;

use thiserror::Error;

use super::JsonType;

/// Why a text is not the JSON that was asked for. Displays as the reference server says it.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum JsonError {
    /// A byte that cannot stand where it stands.
    #[error("invalid character {} {_1}", Quoted(*_0))]
    Unexpected(u8, Place),
    /// The text of a request ends in the middle of a value.
    #[error("unexpected EOF")]
    Truncated,
    /// A text inside a request ends in the middle of a value, or has none.
    #[error("unexpected end of JSON input")]
    Incomplete,
    /// A value of another type than its place has.
    #[error("json: cannot unmarshal {} into Go {place}", type_name(*found))]
    WrongType {
        /// What stands there.
        found: JsonType,
        /// The place and its type, as the reference server names them.
        place: &'static str,
    },
}

/// Where an unexpected byte stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Where a value begins.
    Value,
    /// Where the name of a member begins.
    Name,
    /// Between a name and its value.
    AfterName,
    /// After the value of a member.
    AfterMember,
    /// After an element.
    AfterElement,
    /// After the one value of a text.
    AfterTopLevel,
    /// In a string.
    Text,
    /// After a backslash.
    Escape,
    /// In the four digits of an escape.
    UnicodeEscape,
    /// In a number.
    Number,
    /// After the point of a number.
    Fraction,
    /// In the exponent of a number.
    Exponent,
    /// In `true`, `false` or `null`, where this byte was expected.
    Literal(&'static str, u8),
    /// At the opening of one array or object too many.
    Depth,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Value => "looking for beginning of value",
            Self::Name => "looking for beginning of object key string",
            Self::AfterName => "after object key",
            Self::AfterMember => "after object key:value pair",
            Self::AfterElement => "after array element",
            Self::AfterTopLevel => "after top-level value",
            Self::Text => "in string literal",
            Self::Escape => "in string escape code",
            Self::UnicodeEscape => r"in \u hexadecimal character escape",
            Self::Number => "in numeric literal",
            Self::Fraction => "after decimal point in numeric literal",
            Self::Exponent => "in exponent of numeric literal",
            Self::Depth => "exceeded max depth",
            Self::Literal(literal, expected) => {
                let expected = char::from(*expected);
                return write!(f, "in literal {literal} (expecting '{expected}')");
            }
        })
    }
}

fn type_name(json_type: JsonType) -> &'static str {
    match json_type {
        JsonType::Null => "null",
        JsonType::Bool => "bool",
        JsonType::Number => "number",
        JsonType::String => "string",
        JsonType::Array => "array",
        JsonType::Object => "object",
    }
}

/// A byte in single quotes, as the character of that number.
struct Quoted(u8);

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            b'\'' => f.write_str(r"'\''"),
            b'\\' => f.write_str(r"'\\'"),
            7 => f.write_str(r"'\a'"),
            8 => f.write_str(r"'\b'"),
            b'\t' => f.write_str(r"'\t'"),
            b'\n' => f.write_str(r"'\n'"),
            11 => f.write_str(r"'\v'"),
            12 => f.write_str(r"'\f'"),
            b'\r' => f.write_str(r"'\r'"),
            byte @ (0..=0x1f | 0x7f) => write!(f, r"'\x{byte:02x}'"),
            byte @ (0x80..=0xa0 | 0xad) => write!(f, r"'\u{byte:04x}'"),
            byte => write!(f, "'{}'", char::from(byte)),
        }
    }
}

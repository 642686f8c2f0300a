//! The pieces of protobuf's JSON mapping that bundles and trusted roots need.
//!
//! In scope: bytes as base64, 64-bit integers as strings, `null` as unset. Reading is lenient where
//! the mapping says so, writing is canonical.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD as STANDARD_ALPHABET;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// Bytes, written as padded standard base64 and read in both alphabets, padded or not.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Bytes(pub Vec<u8>);

impl Bytes {
    /// Reads the base64 text; `None` if it is not base64.
    pub fn from_base64(text: &str) -> Option<Self> {
        let standard: String = text
            .chars()
            .map(|c| match c {
                '-' => '+',
                '_' => '/',
                other => other,
            })
            .collect();
        LENIENT.decode(standard).ok().map(Self)
    }

    /// The padded standard base64 text.
    pub fn to_base64(&self) -> String {
        LENIENT.encode(&self.0)
    }
}

impl From<&[u8]> for Bytes {
    fn from(bytes: &[u8]) -> Self {
        Self(bytes.to_vec())
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.to_base64())
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.to_base64())
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_base64(&text).ok_or_else(|| de::Error::custom("not base64"))
    }
}

/// A 64-bit integer, written as a JSON string and read as string or number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Int64(pub i64);

impl Int64 {
    /// The value as an unsigned integer; `None` if it is negative.
    pub fn to_u64(self) -> Option<u64> {
        u64::try_from(self.0).ok()
    }

    /// Whether the field would be left out of canonical output.
    pub fn is_zero(&self) -> bool {
        self.0 == 0
    }
}

impl Serialize for Int64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Int64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Int64Visitor)
    }
}

/// Reads a field in which `null` means unset.
pub fn nullable<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

struct Int64Visitor;

impl Visitor<'_> for Int64Visitor {
    type Value = Int64;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a 64-bit integer, as a string or a number")
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Int64, E> {
        Ok(Int64(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Int64, E> {
        i64::try_from(value).map(Int64).map_err(E::custom)
    }

    fn visit_str<E: de::Error>(self, value: &str) -> Result<Int64, E> {
        value.parse().map(Int64).map_err(E::custom)
    }
}

const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &STANDARD_ALPHABET,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_read_in_four_spellings_and_written_in_one() {
        for text in ["+/8=", "-_8=", "+/8", "-_8"] {
            let bytes: Bytes = serde_json::from_str(&format!("\"{text}\"")).unwrap();
            assert_eq!(bytes.0, [0xfb, 0xff]);
            assert_eq!(serde_json::to_string(&bytes).unwrap(), "\"+/8=\"");
        }
    }

    #[test]
    fn what_is_not_base64_is_refused() {
        for text in ["+", "====", "a b=", "+/9=", "\u{e9}"] {
            assert!(Bytes::from_base64(text).is_none(), "{text}");
        }
        assert!(serde_json::from_str::<Bytes>("5").is_err());
    }

    #[test]
    fn integers_are_read_as_strings_and_numbers() {
        for text in ["\"7\"", "7"] {
            assert_eq!(serde_json::from_str::<Int64>(text).unwrap(), Int64(7));
        }
        assert_eq!(serde_json::to_string(&Int64(7)).unwrap(), "\"7\"");
        for text in ["\"\"", "\"x\"", "9223372036854775808", "1.5", "true", "[]"] {
            assert!(serde_json::from_str::<Int64>(text).is_err(), "{text}");
        }
        assert_eq!(Int64(-1).to_u64(), None);
    }
}

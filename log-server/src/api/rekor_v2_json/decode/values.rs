//! Scalars of a request: bytes, strings and the one enum.

use std::fmt;

use base64::Engine;
use base64::alphabet::{self, Alphabet};
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use log_proto::common::v1::PublicKeyDetails;
use serde::de::{Deserialize, Deserializer, Error, Visitor};

use super::Json;

impl<'de> Deserialize<'de> for Json<Vec<u8>> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_str(BytesVisitor).map(Self)
    }
}

struct BytesVisitor;

impl Visitor<'_> for BytesVisitor {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a base64 string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u8>, E> {
        decode_base64(text).ok_or_else(|| E::custom("invalid base64"))
    }
}

const STANDARD_PADDED: GeneralPurpose = base64_engine(&alphabet::STANDARD, true);
const STANDARD_BARE: GeneralPurpose = base64_engine(&alphabet::STANDARD, false);
const URL_SAFE_PADDED: GeneralPurpose = base64_engine(&alphabet::URL_SAFE, true);
const URL_SAFE_BARE: GeneralPurpose = base64_engine(&alphabet::URL_SAFE, false);

const fn base64_engine(alphabet: &Alphabet, padded: bool) -> GeneralPurpose {
    let padding =
        if padded { DecodePaddingMode::RequireCanonical } else { DecodePaddingMode::RequireNone };
    // The reference server does not look at the unused bits of the last character.
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(padding)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(alphabet, config)
}

/// One alphabet throughout, and padding to a multiple of four characters or none at all.
fn decode_base64(text: &str) -> Option<Vec<u8>> {
    let padded = text.len().is_multiple_of(4);
    let url_safe = text.bytes().any(|byte| matches!(byte, b'-' | b'_'));
    let engine = match (url_safe, padded) {
        (false, true) => &STANDARD_PADDED,
        (false, false) => &STANDARD_BARE,
        (true, true) => &URL_SAFE_PADDED,
        (true, false) => &URL_SAFE_BARE,
    };
    engine.decode(text).ok()
}

impl<'de> Deserialize<'de> for Json<String> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        String::deserialize(json).map(Self)
    }
}

/// The only enum of a request is [`PublicKeyDetails`]; its value may be unknown.
impl<'de> Deserialize<'de> for Json<i32> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_any(EnumVisitor).map(Self)
    }
}

struct EnumVisitor;

impl Visitor<'_> for EnumVisitor {
    type Value = i32;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the name or the number of a PublicKeyDetails")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<i32, E> {
        PublicKeyDetails::from_str_name(name)
            .map(i32::from)
            .ok_or_else(|| E::custom(format_args!("unknown PublicKeyDetails {name:?}")))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<i32, E> {
        i32::try_from(number).map_err(|_| E::custom("enum number out of range"))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<i32, E> {
        i32::try_from(number).map_err(|_| E::custom("enum number out of range"))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<i32, E> {
        // The cast rounds towards zero and stops at the ends of the range: only a whole number in
        // range comes back the same.
        #[expect(clippy::cast_possible_truncation, reason = "compared with the original")]
        let whole = number as i32;
        if f64::from(whole) == number {
            Ok(whole)
        } else {
            Err(E::custom("enum number is not a 32-bit integer"))
        }
    }
}

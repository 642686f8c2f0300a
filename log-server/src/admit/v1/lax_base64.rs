//! Base64 as this protocol takes it: padded, line ends anywhere, unused bits of the last digit not
//! looked at.

use std::borrow::Cow;

use base64::alphabet::{Alphabet, STANDARD, URL_SAFE};
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::{DecodeError, Engine as _};
use memchr::memchr2;
use thiserror::Error;

/// A text is not base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("illegal base64 data at input byte {at}")]
pub struct BadBase64 {
    /// The first byte that cannot stand where it stands, line ends not counted.
    pub at: usize,
}

const fn engine(alphabet: &Alphabet) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(alphabet, config)
}

const STANDARD_ENGINE: GeneralPurpose = engine(&STANDARD);
const URL_ENGINE: GeneralPurpose = engine(&URL_SAFE);

/// Decodes the standard alphabet.
///
/// # Errors
/// Where the text stops being base64.
pub fn decode(text: &[u8]) -> Result<Vec<u8>, BadBase64> {
    decode_with(&STANDARD_ENGINE, &without_line_ends(text))
}

/// Decodes the standard alphabet or else the one for URLs; not a mixture.
pub(super) fn decode_either(text: &[u8]) -> Result<Vec<u8>, BadBase64> {
    let text = without_line_ends(text);
    decode_with(&STANDARD_ENGINE, &text).or_else(|_| decode_with(&URL_ENGINE, &text))
}

fn decode_with(engine: &GeneralPurpose, text: &[u8]) -> Result<Vec<u8>, BadBase64> {
    engine.decode(text).map_err(|error| BadBase64 {
        at: match error {
            DecodeError::InvalidByte(at, _) => at,
            DecodeError::InvalidLastSymbol { offset, .. } => offset,
            DecodeError::InvalidLength(_) | DecodeError::InvalidPadding => text.len() / 4 * 4,
        },
    })
}

fn without_line_ends(text: &[u8]) -> Cow<'_, [u8]> {
    if memchr2(b'\r', b'\n', text).is_some() {
        let is_line_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
        Cow::Owned(text.iter().copied().filter(|byte| !is_line_end(byte)).collect())
    } else {
        Cow::Borrowed(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_ends_and_unused_bits_do_not_matter() {
        for text in ["Zm9v", "Zm\n9v", "\r\nZm9v\r\n", "Z\nm\n9\nv"] {
            assert_eq!(decode(text.as_bytes()), Ok(b"foo".to_vec()), "{text:?}");
        }
        assert_eq!(decode(b"Zg=="), Ok(b"f".to_vec()));
        assert_eq!(decode(b"Zh=="), Ok(b"f".to_vec()));
        assert_eq!(decode(b"Zg=\n=\n"), Ok(b"f".to_vec()));
        assert_eq!(decode(b""), Ok(Vec::new()));
    }

    #[test]
    fn padding_spaces_and_other_alphabets_do() {
        for text in ["Zg", "Zg=", "Zm9", "Z", "Zg===", "Zg==Zg==", "Zm9 v", "Zm9-", "Zm9_", "!!"] {
            assert!(decode(text.as_bytes()).is_err(), "{text:?}");
        }
        assert_eq!(decode(b"!!").unwrap_err().at, 0);
        assert_eq!(decode_either(b"-_-_"), decode(b"+/+/"));
        assert!(decode_either(b"+/-_").is_err());
    }
}

//! A proposed entry: its kind, its version, and a `spec` that nobody has looked at yet.

use std::borrow::Cow;

use super::json::{Json, JsonError, JsonType};
use super::kind::Kind;
use super::refusal::Refusal;

/// The three members of a request that every kind has.
#[derive(Debug, Clone)]
pub(super) struct Proposed<'a> {
    pub(super) kind: Kind,
    pub(super) version: Cow<'a, str>,
    pub(super) spec: Json<'a>,
}

impl<'a> Proposed<'a> {
    /// In the order of the reference server: the kind alone first, then types, then rules.
    pub(super) fn parse(entry: Json<'a>) -> Result<Self, Refusal> {
        if !matches!(entry.json_type(), JsonType::Object | JsonType::Null) {
            let place = r#"value of type struct { Kind string "json:\"kind\"" }"#;
            return Err(JsonError::WrongType { found: entry.json_type(), place }.into());
        }
        // `null` leaves the kind that an earlier duplicate gave, but resets the other two.
        let kinds = entry.in_any_case("kind").filter(|kind| kind.json_type() != JsonType::Null);
        let kind = last_string(kinds, "struct field .kind of type string")?.unwrap_or_default();
        if kind.is_empty() {
            return Err(Refusal::Missing("kind"));
        }
        let kind = Kind::from_name(&kind).ok_or_else(|| Refusal::unknown_kind(&kind))?;
        let versions = entry.in_any_case("apiVersion");
        let version = last_string(versions, "struct field .apiVersion of type string")?;
        let version = version.ok_or(Refusal::Missing("apiVersion"))?;
        if !is_version(&version) {
            return Err(Refusal::VersionPattern);
        }
        let spec = entry.in_any_case("spec").last();
        let spec = spec.filter(|spec| spec.json_type() != JsonType::Null);
        Ok(Self { kind, version, spec: spec.ok_or(Refusal::Missing("spec"))? })
    }
}

/// The last of several duplicates, each of which must be a string or `null`.
fn last_string<'a>(
    values: impl Iterator<Item = Json<'a>>,
    place: &'static str,
) -> Result<Option<Cow<'a, str>>, JsonError> {
    let mut last = None;
    for value in values {
        last = match value.json_type() {
            JsonType::String => value.as_str(),
            JsonType::Null => None,
            found => return Err(JsonError::WrongType { found, place }),
        };
    }
    Ok(last)
}

/// Whether a text is a semantic version: `1.2.3`, perhaps with `-a.b` and `+c.d`.
fn is_version(text: &str) -> bool {
    let is_word = |word: &str| {
        let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !word.is_empty() && word.bytes().all(is_letter)
    };
    let is_number = |word: &str| {
        let digits = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit());
        digits && (word == "0" || !word.starts_with('0'))
    };
    let all_digits = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    let (text, build) =
        text.split_once('+').map_or((text, None), |(text, build)| (text, Some(build)));
    let (core, pre) = text.split_once('-').map_or((text, None), |(core, pre)| (core, Some(pre)));
    core.split('.').count() == 3
        && core.split('.').all(is_number)
        && pre.is_none_or(|pre| {
            pre.split('.').all(|word| is_word(word) && (!all_digits(word) || is_number(word)))
        })
        && build.is_none_or(|build| build.split('.').all(is_word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_semantic() {
        for good in ["0.0.1", "1.20.300", "0.0.1-a.0-b.7", "0.0.1-0a", "1.2.3-x+001.b", "1.2.3+0-"]
        {
            assert!(is_version(good), "{good}");
        }
        for bad in [
            "",
            "1",
            "0.0",
            "0.0.1.2",
            "01.0.0",
            "0.0.01",
            "v0.0.1",
            "0.0.1-",
            "0.0.1-01",
            "0.0.1-a..b",
            "0.0.1+",
            "0.0.1+a+b",
            "0.0.1 ",
            "0.0.1\n",
            "0.0.x",
            "-1.0.0",
            "0.0.1-\u{e9}",
            "\u{664}.0.0",
        ] {
            assert!(!is_version(bad), "{bad}");
        }
    }
}

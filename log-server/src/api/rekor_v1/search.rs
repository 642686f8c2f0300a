//! `POST /api/v1/index/retrieve`: what is searched for, as the words that entries are found by.
//!
//! Two members are our own: `limit`, most ids in the answer, and `after`, the last id of the page
//! before. A request without them means what it always meant.

use jiff::Timestamp;
use log_core::EntryId;

use super::email::is_email;
use super::error::Error;
use super::invalid::{Invalid, Rule};
use super::members::{self, int64, member, text, unreadable};
use crate::admit::v1::decode_base64;
use crate::admit::v1::json::{Json, JsonType};
use crate::admit::v1::search::{KeyFormat, hash_key, public_key_key, subject_key};

/// What the reference server calls the body.
const BODY: &str = "query";
/// The bounds of a page, in ids: a page of 80 KiB is enough for one answer.
const LIMIT_MAX: i64 = 1000;
/// Most characters of a subject.
const SUBJECT_CHARS_MAX: usize = 512;
const HASH_PATTERN: &str =
    "^(sha512:)?[0-9a-fA-F]{128}$|^(sha256:)?[0-9a-fA-F]{64}$|^(sha1:)?[0-9a-fA-F]{40}$";
const AFTER_PATTERN: &str = "^[0-9a-fA-F]{80}$";
const OPERATORS: [&str; 2] = ["and", "or"];
const FORMATS: [&str; 5] = ["pgp", "x509", "minisign", "ssh", "tuf"];

/// A search that can be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// The words, one for each criterion.
    pub(super) words: Vec<String>,
    /// Whether an entry must have all of them, or one.
    pub(super) all: bool,
    /// The entry behind which the page begins.
    pub(super) after: Option<EntryId>,
    /// The length of the page.
    pub(super) limit: Option<usize>,
}

/// Reads the body of a search.
///
/// # Errors
/// The first thing that is wrong with it.
pub(super) fn decode(body: &[u8], now: Timestamp) -> Result<Asked, Error> {
    let nothing = Asked { words: Vec::new(), all: false, after: None, limit: None };
    let place = "value of type models.SearchIndex";
    let Some(object) = members::object(body, BODY, place)? else { return Ok(nothing) };
    let read = Members::read(object)?;
    read.check()?;
    let mut words: Vec<String> = read.hash.as_deref().and_then(hash_key).into_iter().collect();
    if let Some(key) = &read.key {
        words.push(key.word(now)?);
    }
    words.extend(read.email.as_deref().map(subject_key));
    words.extend(read.subject.as_deref().map(subject_key));
    let after = read.after.as_deref().map(|id| EntryId::parse(id).ok_or(Error::PageStart));
    Ok(Asked {
        words,
        all: read.operator.as_deref() == Some("and"),
        after: after.transpose()?,
        // It was checked to be small and above 0.
        limit: read.limit.and_then(|limit| usize::try_from(limit).ok()),
    })
}

/// The members, before anything but their types was looked at.
struct Members {
    after: Option<String>,
    email: Option<String>,
    hash: Option<String>,
    limit: Option<i64>,
    operator: Option<String>,
    key: Option<Key>,
    subject: Option<String>,
}

struct Key {
    format: Option<String>,
    content: Vec<u8>,
}

impl Members {
    fn read(object: Json<'_>) -> Result<Self, Error> {
        let string = |name, place| {
            let text = text(object, name, place).map_err(unreadable(BODY))?;
            Ok::<_, Error>(text.map(Into::into))
        };
        let of_type = |name, json_type, place| {
            member(object, name, json_type, place).map_err(unreadable(BODY))
        };
        let limit = "struct field SearchIndex.limit of type int64";
        let key = "struct field SearchIndex.publicKey of type models.SearchIndexPublicKey";
        Ok(Self {
            after: string("after", "struct field SearchIndex.after of type string")?,
            email: string("email", "value of type string")?,
            hash: string("hash", "struct field SearchIndex.hash of type string")?,
            limit: of_type("limit", JsonType::Number, limit)?
                .map(|number| int64(number, limit).map_err(unreadable(BODY)))
                .transpose()?,
            operator: string("operator", "struct field SearchIndex.operator of type string")?,
            key: of_type("publicKey", JsonType::Object, key)?.map(Key::read).transpose()?,
            subject: string("subject", "struct field SearchIndex.subject of type string")?,
        })
    }

    /// In the order of the names, and the first fault only.
    fn check(&self) -> Result<(), Invalid> {
        let fail = |name: &'static str, rule| Err(Invalid::body(name, rule));
        if self.after.as_deref().is_some_and(|id| !is_entry_id(id)) {
            return fail("after", Rule::Pattern(AFTER_PATTERN));
        }
        if let Some(email) = self.email.as_deref().filter(|email| !is_email(email)) {
            return fail("email", Rule::wrong_type("email", email));
        }
        if self.hash.as_deref().is_some_and(|hash| hash_key(hash).is_none()) {
            return fail("hash", Rule::Pattern(HASH_PATTERN));
        }
        match self.limit {
            Some(limit) if limit < 1 => return fail("limit", Rule::Min(1)),
            Some(limit) if limit > LIMIT_MAX => return fail("limit", Rule::Max(LIMIT_MAX)),
            _ => {}
        }
        if self.operator.as_deref().is_some_and(|operator| !OPERATORS.contains(&operator)) {
            return fail("operator", Rule::OneOf("and or"));
        }
        // The reference server doubles this name.
        match self.key.as_ref().map(|key| key.format.as_deref()) {
            Some(None) => return fail("publicKey.publicKey.format", Rule::Required),
            Some(Some(format)) if !FORMATS.contains(&format) => {
                let formats = Rule::OneOf("pgp x509 minisign ssh tuf");
                return fail("publicKey.publicKey.format", formats);
            }
            _ => {}
        }
        let chars = self.subject.as_deref().map_or(0, |subject| subject.chars().count());
        if chars > SUBJECT_CHARS_MAX {
            return fail("subject", Rule::CharsMax(SUBJECT_CHARS_MAX));
        }
        Ok(())
    }
}

impl Key {
    fn read(object: Json<'_>) -> Result<Self, Error> {
        let place = "struct field SearchIndexPublicKey.publicKey.format of type string";
        let format = member(object, "format", JsonType::String, place).map_err(unreadable(BODY))?;
        let content = text(object, "content", "value of type string").map_err(unreadable(BODY))?;
        let content = content.unwrap_or_default();
        Ok(Self {
            format: format.and_then(Json::as_str).map(Into::into),
            content: decode_base64(content.as_bytes()).map_err(unreadable(BODY))?,
        })
    }

    fn word(&self, now: Timestamp) -> Result<String, Error> {
        let format = self.format.as_deref().and_then(KeyFormat::from_name);
        let format = format.ok_or(Error::KeyFormat)?;
        public_key_key(format, &self.content, now).ok_or(Error::KeyUnreadable)
    }
}

fn is_entry_id(text: &str) -> bool {
    text.len() == 80 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(body: &str) -> Asked {
        decode(body.as_bytes(), Timestamp::UNIX_EPOCH).unwrap()
    }

    #[track_caller]
    fn refused(body: &str) -> String {
        decode(body.as_bytes(), Timestamp::UNIX_EPOCH).unwrap_err().to_string()
    }

    #[test]
    fn each_criterion_is_a_word() {
        let hash = "AB".repeat(32);
        let body = format!(
            r#"{{"subject":"Sub.Ject","email":"A@B.c","Hash":"{hash}","operator":"and","x":1}}"#
        );
        let found = asked(&body);
        let hash = format!("sha256:{}", "ab".repeat(32));
        assert_eq!(found.words, [hash, "a@b.c".into(), "sub.ject".into()]);
        assert!(found.all);
        assert_eq!((found.after, found.limit), (None, None));
    }

    #[test]
    fn what_is_null_or_empty_is_no_criterion() {
        for body in [
            "null",
            "{}",
            r#"{"email":"","subject":"","hash":"","operator":"","after":"","publicKey":null}"#,
            r#"{"email":null,"hash":"ab","hash":null,"limit":null,"Subject":null}"#,
        ] {
            let found = asked(body);
            assert!(found.words.is_empty() && !found.all, "{body}");
        }
    }

    #[test]
    fn a_page_is_asked_for_in_members_of_our_own() {
        let id = format!("{:016x}{}", 7, "AB".repeat(32));
        let found = asked(&format!(r#"{{"after":"{id}","limit":1000}}"#));
        assert_eq!(found.after.map(|id| id.to_string()), Some(id.to_lowercase()));
        assert_eq!(found.limit, Some(1000));
        for (body, message) in [
            (r#"{"limit":0}"#, "limit in body should be greater than or equal to 1"),
            (r#"{"limit":-9223372036854775808}"#, "limit in body should be greater than or equal"),
            (r#"{"limit":1001}"#, "limit in body should be less than or equal to 1000"),
            (r#"{"after":"12"}"#, "after in body should match '^[0-9a-fA-F]{80}$'"),
        ] {
            assert!(refused(body).starts_with(message), "{body}");
        }
        let other = format!(r#"{{"after":"{}{}"}}"#, "0".repeat(16), "ab".repeat(32));
        assert_eq!(refused(&other), "after is no entry of this log");
    }

    #[test]
    fn the_first_fault_in_the_order_of_names_is_told() {
        let all = format!(
            r#"{{"subject":"{}","publicKey":{{}},"operator":"nor","hash":"x","email":"e"}}"#,
            "s".repeat(513)
        );
        assert_eq!(refused(&all), r#"email in body must be of type email: "e""#);
        let all = all.replace(r#","email":"e""#, "");
        assert!(refused(&all).starts_with("hash in body should match '^(sha512:)?"));
        let all = all.replace(r#","hash":"x""#, "");
        assert_eq!(refused(&all), "operator in body should be one of [and or]");
        let all = all.replace(r#","operator":"nor""#, "");
        assert_eq!(refused(&all), "publicKey.publicKey.format in body is required");
        let formats = "publicKey.publicKey.format in body should be one of \
                       [pgp x509 minisign ssh tuf]";
        assert_eq!(refused(&all.replace("{}", r#"{"format":"pkcs7"}"#)), formats);
        assert_eq!(refused(&all.replace("{}", r#"{"format":""}"#)), formats);
        let all = all.replace(r#""publicKey":{}"#, r#""publicKey":null"#);
        assert_eq!(refused(&all), "subject in body should be at most 512 chars long");
        let fits = format!(r#"{{"subject":"{}"}}"#, "\u{e9}".repeat(512));
        assert_eq!(asked(&fits).words.len(), 1);
    }

    #[test]
    fn a_body_that_cannot_be_read_says_why() {
        let why = |body| {
            let text = refused(body);
            text.strip_prefix("parsing query body from \"\" failed, because ").unwrap().to_owned()
        };
        assert_eq!(refused(""), "query in body is required");
        assert_eq!(refused(" \n"), "query in body is required");
        assert_eq!(why("x"), "invalid character 'x' looking for beginning of value");
        assert_eq!(why("{"), "unexpected EOF");
        assert_eq!(
            why("[]"),
            "json: cannot unmarshal array into Go value of type models.SearchIndex"
        );
        assert_eq!(
            why(r#"{"hash":5,"hash":"x"}"#),
            "json: cannot unmarshal number into Go struct field SearchIndex.hash of type string"
        );
        for limit in ["1.5", "1e3", "9223372036854775808", "\"7\"", "true"] {
            let text = why(Box::leak(format!(r#"{{"limit":{limit}}}"#).into_boxed_str()));
            assert!(text.ends_with("SearchIndex.limit of type int64"), "{text}");
        }
        assert_eq!(
            why(r#"{"publicKey":{"format":"x509","content":"?"}}"#),
            "illegal base64 data at input byte 0"
        );
        let deep = "[".repeat(10_001);
        assert!(why(Box::leak(deep.into_boxed_str())).ends_with("exceeded max depth"));
    }

    #[test]
    fn a_key_must_be_one() {
        for format in ["x509", "minisign", "ssh", "tuf"] {
            for content in ["\"\"", "null", "\"Y2Fpcm4=\""] {
                let body =
                    format!(r#"{{"publicKey":{{"format":"{format}","content":{content}}}}}"#);
                assert_eq!(refused(&body), "public key provided could not be parsed", "{body}");
            }
        }
    }
}

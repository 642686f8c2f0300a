//! `POST /api/v1/log/entries/retrieve`: which entries are asked for, by id, index or content.

use std::borrow::Cow;

use jiff::Timestamp;
use log_core::{EntryId, Hash, Leaf};

use super::error::Error;
use super::invalid::{ENTRY_PATTERN, Invalid, Rule};
use super::members::{int64, member, object, unreadable};
use crate::admit::v1::json::{Json, JsonError, JsonType};
use crate::admit::v1::{Refusal, look_up};

/// What the reference server calls the body.
const BODY: &str = "entry";
/// Most entries in one request, in each of its lists and in all of them together.
pub(super) const ITEMS_MAX: usize = 10;

/// What a request asks for, each list in its order.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    ids: Vec<Cow<'a, str>>,
    entries: Vec<Json<'a>>,
    pub(super) indices: Vec<i64>,
}

/// How one entry is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Name {
    /// By its tree and its leaf hash.
    Id(EntryId),
    /// By its leaf hash, in whatever tree.
    LeafHash(Hash),
}

impl Name {
    /// Reads a name that fits the pattern; `None` if it does not. An id whose tree can be none is
    /// an error that the caller words.
    pub(super) fn parse(text: &str) -> Option<Result<Self, ()>> {
        if !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        match text.len() {
            64 => Hash::from_hex(&text.to_ascii_lowercase()).map(|hash| Ok(Self::LeafHash(hash))),
            80 => Some(EntryId::parse(text).map(Self::Id).ok_or(())),
            _ => None,
        }
    }
}

impl<'a> Wanted<'a> {
    /// Reads the body. Nothing but its form is looked at.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, Error> {
        let mut wanted = Self { ids: Vec::new(), entries: Vec::new(), indices: Vec::new() };
        let place = "value of type models.SearchLogQuery";
        let Some(object) = object(body, BODY, place)? else { return Ok(wanted) };
        let lists = Lists::read(object).map_err(unreadable(BODY))?;
        wanted.entries = list(lists.entries, "entries", 0)?;
        for (at, id) in list(lists.ids, "entryUUIDs", 1)?.into_iter().enumerate() {
            let id = id.as_str().unwrap_or_default();
            if Name::parse(&id).is_none() {
                let name = format!("entryUUIDs.{at}");
                return Err(Invalid::body(name, Rule::Pattern(ENTRY_PATTERN)).into());
            }
            wanted.ids.push(id);
        }
        for (at, index) in list(lists.indices, "logIndexes", 1)?.into_iter().enumerate() {
            let fail = |rule| Err(Invalid::body(format!("logIndexes.{at}"), rule).into());
            if index.json_type() == JsonType::Null {
                return fail(Rule::Required);
            }
            match int64(index, INDEX).map_err(unreadable(BODY))? {
                index if index < 0 => return fail(Rule::Min(0)),
                index => wanted.indices.push(index),
            }
        }
        if wanted.ids.len() + wanted.entries.len() + wanted.indices.len() > ITEMS_MAX {
            return Err(Error::TooManyItems);
        }
        Ok(wanted)
    }

    /// The names of the entries, those in one known tree first, then those that any tree may have:
    /// whatever is given with its content is verified and gets its leaf hash.
    ///
    /// # Errors
    /// An id of no tree, or content that does not hold.
    pub(super) fn names(&self, now: Timestamp) -> Result<(Vec<EntryId>, Vec<Hash>), Error> {
        let (mut ids, mut hashes) = (Vec::new(), Vec::new());
        for id in &self.ids {
            match Name::parse(id) {
                Some(Ok(Name::Id(id))) => ids.push(id),
                Some(Ok(Name::LeafHash(hash))) => hashes.push(hash),
                Some(Err(())) | None => return Err(Error::ListedId(id.clone().into_owned())),
            }
        }
        for (at, entry) in self.entries.iter().enumerate() {
            let leaf = look_up(*entry, now).map_err(|refusal| refuse(at, refusal))?;
            hashes.push(Leaf::hash(&leaf));
        }
        Ok((ids, hashes))
    }
}

const INDEX: &str = "struct field .logIndexes of type int64";

/// The three lists, each of elements of the right type or `null`.
struct Lists<'a> {
    entries: Option<Json<'a>>,
    ids: Option<Json<'a>>,
    indices: Option<Json<'a>>,
}

impl<'a> Lists<'a> {
    fn read(object: Json<'a>) -> Result<Self, JsonError> {
        let array = |name, place| member(object, name, JsonType::Array, place);
        let lists = Self {
            entries: array("entries", "value of type []json.RawMessage")?,
            ids: array("entryUUIDs", "struct field .entryUUIDs of type []string")?,
            indices: array("logIndexes", "struct field .logIndexes of type []*int64")?,
        };
        check_elements(lists.ids, JsonType::String, "struct field .entryUUIDs of type string")?;
        check_elements(lists.indices, JsonType::Number, INDEX)?;
        Ok(lists)
    }
}

fn check_elements(
    list: Option<Json<'_>>,
    wanted: JsonType,
    place: &'static str,
) -> Result<(), JsonError> {
    let fits = |element: &Json<'_>| {
        matches!(element.json_type(), JsonType::Null) || element.json_type() == wanted
    };
    // What is beyond the limit is refused whatever it is.
    let mut first = list.into_iter().flat_map(Json::elements).take(ITEMS_MAX + 1);
    match first.find(|element| !fits(element)) {
        Some(element) => Err(JsonError::WrongType { found: element.json_type(), place }),
        None => Ok(()),
    }
}

/// The elements of a list that is there and neither too long nor too short.
fn list<'a>(
    list: Option<Json<'a>>,
    name: &'static str,
    least: usize,
) -> Result<Vec<Json<'a>>, Invalid> {
    let Some(list) = list else { return Ok(Vec::new()) };
    let elements: Vec<Json<'a>> = list.elements().take(ITEMS_MAX + 1).collect();
    if elements.len() < least {
        return Err(Invalid::body(name, Rule::ItemsMin(least)));
    }
    if elements.len() > ITEMS_MAX {
        return Err(Invalid::body(name, Rule::ItemsMax(ITEMS_MAX)));
    }
    Ok(elements)
}

/// A list with an entry that cannot even be read is no list.
fn refuse(at: usize, refusal: Refusal) -> Error {
    if refusal.is_unreadable() {
        return unreadable(BODY)(refusal);
    }
    match refusal {
        Refusal::Entry(_) => Error::NoLookUp(refusal),
        other => Error::InvalidEntry(at, other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(body: &str) -> Result<(Vec<EntryId>, Vec<Hash>), Error> {
        Wanted::decode(body.as_bytes())?.names(Timestamp::UNIX_EPOCH)
    }

    #[track_caller]
    fn refused(body: &str) -> String {
        names(body).unwrap_err().to_string()
    }

    #[test]
    fn each_list_keeps_its_order_and_its_duplicates() {
        let hash = "Ab".repeat(32);
        let (one, two) = (format!("{:016X}{hash}", 10), format!("{:016x}{hash}", u64::MAX >> 1));
        let body = format!(
            r#"{{"entryUUIDs":["{hash}","{two}","{one}","{two}"],"LogIndexes":[5,0,5],"entries":[]}}"#
        );
        let wanted = Wanted::decode(body.as_bytes()).unwrap();
        assert_eq!(wanted.indices, [5, 0, 5]);
        let (ids, hashes) = wanted.names(Timestamp::UNIX_EPOCH).unwrap();
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        let lower = |id: &str| id.to_lowercase();
        assert_eq!(ids, [lower(&two), lower(&one), lower(&two)]);
        assert_eq!(hashes, [Hash::from_bytes([0xab; 32])]);
    }

    #[test]
    fn what_is_null_asks_for_nothing() {
        for body in [
            "null",
            "{}",
            r#"{"entries":[]}"#,
            r#"{"entries":null,"entryUUIDs":null,"logIndexes":null}"#,
            r#"{"logIndexes":[1],"logIndexes":null}"#,
        ] {
            let wanted = Wanted::decode(body.as_bytes()).unwrap();
            assert!(wanted.indices.is_empty() && wanted.ids.is_empty(), "{body}");
        }
    }

    #[test]
    fn lists_have_bounds() {
        let list = |name: &str, item: &str, count: usize| {
            format!(r#"{{"{name}":[{}]}}"#, vec![item; count].join(","))
        };
        let id = format!("\"{}\"", "ab".repeat(32));
        for (name, item) in [("entryUUIDs", id.as_str()), ("logIndexes", "1")] {
            assert!(names(&list(name, item, 10)).is_ok());
            let message = format!("{name} in body should have at least 1 items");
            assert_eq!(refused(&list(name, item, 0)), message);
            let message = format!("{name} in body should have at most 10 items");
            assert_eq!(refused(&list(name, item, 11)), message);
            assert_eq!(refused(&list(name, item, 100_000)), message);
        }
        assert_eq!(
            refused(&list("entries", "{}", 11)),
            "entries in body should have at most 10 items"
        );
        let both = list("logIndexes", "1", 6).replace('}', &format!(",\"entryUUIDs\":[{id}"));
        let both = format!("{both}{}]}}", format!(",{id}").repeat(4));
        assert_eq!(refused(&both), "more than max allowed 10 entries in request");
    }

    #[test]
    fn items_must_be_what_they_stand_for() {
        for (item, message) in [
            ("-1", "logIndexes.0 in body should be greater than or equal to 0"),
            ("null", "logIndexes.0 in body is required"),
            ("1.5", "parsing entry body from \"\" failed, because json: cannot unmarshal number"),
            ("1e400", "parsing entry body from \"\" failed, because json: cannot unmarshal number"),
            ("\"1\"", "parsing entry body from \"\" failed, because json: cannot unmarshal string"),
            ("9223372036854775808", "parsing entry body from \"\" failed, because json: cannot"),
        ] {
            let text = refused(&format!(r#"{{"logIndexes":[{item}]}}"#));
            assert!(text.starts_with(message), "{item}: {text}");
        }
        let pattern = format!("entryUUIDs.1 in body should match '{ENTRY_PATTERN}'");
        let good = "ab".repeat(32);
        let bad =
            ["\"\"", "null", "\"abc\"", &format!("\"{}\"", "gg".repeat(32))].map(String::from);
        for bad in bad.iter().chain([&format!("\"{good}a\""), &"\"' OR 1=1\"".to_owned()]) {
            let body = format!(r#"{{"entryUUIDs":["{good}",{bad}]}}"#);
            assert_eq!(refused(&body), pattern, "{bad}");
        }
        for tree in ["0000000000000000", "8000000000000000", "ffffffffffffffff"] {
            let body = format!(r#"{{"entryUUIDs":["{tree}{good}"]}}"#);
            assert_eq!(refused(&body), format!("invalid entryID {tree}{good}"));
        }
    }

    #[test]
    fn entries_are_read_and_verified() {
        let unread = "parsing entry body from \"\" failed, because ";
        for (entry, message) in [
            (r#"{"kind":"foo"}"#, format!("{unread}invalid kind value: \"foo\"")),
            ("null", format!("{unread}kind in body is required")),
            ("7", format!("{unread}json: cannot unmarshal number into Go value of type struct")),
            (r#"{"kind":"dsse"}"#, "entries.0.apiVersion in body is required".into()),
            (
                r#"{"kind":"dsse","apiVersion":"1"}"#,
                "entries.0.apiVersion in body should match".into(),
            ),
            (
                r#"{"kind":"hashedrekord","apiVersion":"0.0.1","spec":{}}"#,
                "validation failure list:\ndata in body is required".into(),
            ),
        ] {
            let text = refused(&format!(r#"{{"entries":[{entry}]}}"#));
            assert!(text.starts_with(&message), "{text}");
        }
        assert_eq!(refused("\t"), "entry in body is required");
        assert!(refused("[").contains("unexpected EOF"));
        assert!(refused(r#"{"entries":{}}"#).contains("cannot unmarshal object"));
    }
}

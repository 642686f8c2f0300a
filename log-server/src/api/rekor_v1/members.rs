//! Members of a body whose types the schema fixes. Of duplicates the last counts, and `null` is as
//! good as absent; a member of the wrong type makes the whole body unreadable.

use std::borrow::Cow;
use std::fmt;

use super::error::Error;
use super::invalid::{Invalid, Rule};
use crate::admit::v1::json::{Json, JsonError, JsonType};

/// A place in a body, as the reference server names it: the member and its type.
type Named = &'static str;

/// The body as an object; `None` if it is `null`.
///
/// # Errors
/// It is empty, no JSON, or of another type.
pub(super) fn object<'a>(
    text: &'a [u8],
    body: &'static str,
    place: Named,
) -> Result<Option<Json<'a>>, Error> {
    let first = Json::first(text).map_err(unreadable(body))?;
    let first = first.ok_or_else(|| Invalid::body(body, Rule::Required))?;
    match first.json_type() {
        JsonType::Object => Ok(Some(first)),
        JsonType::Null => Ok(None),
        found => Err(unreadable(body)(JsonError::WrongType { found, place })),
    }
}

/// What makes of a fault in a body its refusal.
pub(super) fn unreadable<E: fmt::Display>(body: &'static str) -> impl Fn(E) -> Error {
    move |fault| Error::Unreadable { body, why: fault.to_string() }
}

/// The last member of this name, which must be of this type wherever it stands.
pub(super) fn member<'a>(
    object: Json<'a>,
    name: &str,
    wanted: JsonType,
    place: Named,
) -> Result<Option<Json<'a>>, JsonError> {
    let mut last = None;
    for value in object.in_any_case(name) {
        last = match value.json_type() {
            found if found == wanted => Some(value),
            JsonType::Null => None,
            found => return Err(JsonError::WrongType { found, place }),
        };
    }
    Ok(last)
}

/// A text; an empty one is as good as none.
pub(super) fn text<'a>(
    object: Json<'a>,
    name: &str,
    place: Named,
) -> Result<Option<Cow<'a, str>>, JsonError> {
    let value = member(object, name, JsonType::String, place)?.and_then(Json::as_str);
    Ok(value.filter(|text| !text.is_empty()))
}

/// A whole number.
pub(super) fn int64(value: Json<'_>, place: Named) -> Result<i64, JsonError> {
    let digits = value.as_number().and_then(|digits| digits.parse().ok());
    digits.ok_or(JsonError::WrongType { found: value.json_type(), place })
}

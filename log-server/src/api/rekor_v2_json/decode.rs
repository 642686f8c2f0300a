//! `CreateEntryRequest` from JSON.
//!
//! | input | meaning |
//! |---|---|
//! | `digest`, `raw_bytes`, `rawBytes` | both spellings of a name are one field |
//! | unknown field, a field twice, at any depth | error |
//! | `null` for a field | unset; in a list an error |
//! | two members of a oneof | error |
//! | bytes | standard or URL-safe base64, padded or not |
//! | enum | its name, or its number, also as 5.0; an unknown number is kept |
//! | empty body | a request with nothing in it |
//! | what follows the first value | ignored |
//!
//! Nesting is bounded by the message itself: a value is only entered where a message may be, so ten
//! thousand brackets are an error at the first one that does not belong.

mod values;

use std::fmt;
use std::marker::PhantomData;

use log_proto::common::v1::X509Certificate;
use log_proto::intoto;
use log_proto::rekor::v2::create_entry_request::Spec;
use log_proto::rekor::v2::verifier::Verifier as Key;
use log_proto::rekor::v2::{
    CreateEntryRequest, DsseRequestV002, HashedRekordRequestV002, PublicKey, Signature, Verifier,
};
use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Longest list that is read. Admission takes ten signatures and ten verifiers; the limit here only
/// keeps a body of a million `{}` from growing to many times its size in memory.
const LIST_ELEMENTS_MAX: usize = 1_000;

/// Longest part of an error text that is kept, in bytes: the text may quote the whole request.
const ERROR_TEXT_MAX: usize = 200;

/// The body is not a request in JSON; the submitter's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid JSON request: {text}")]
pub struct JsonError {
    text: String,
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        let mut text = error.to_string();
        if text.len() > ERROR_TEXT_MAX {
            text.truncate(text.floor_char_boundary(ERROR_TEXT_MAX));
            let at = (error.line(), error.column());
            text.push_str(&format!("... at line {} column {}", at.0, at.1));
        }
        Self { text }
    }
}

/// Reads a request. Bytes after the first JSON value are ignored, and a body of nothing but white
/// space is a request without content.
///
/// # Errors
/// [`JsonError`] for everything that the table of this file calls an error.
pub fn decode_create_entry(body: &[u8]) -> Result<CreateEntryRequest, JsonError> {
    if body.iter().all(|byte| b" \t\r\n".contains(byte)) {
        return Ok(CreateEntryRequest::default());
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let Json(request) = Json::deserialize(&mut json)?;
    Ok(request)
}

/// A protobuf message that is read from an object.
trait Message: Default {
    /// The fields: name in JSON, and name in the `.proto` file.
    const FIELDS: &'static [(&'static str, &'static str)];

    /// Reads the value of the field at that position of `FIELDS`.
    fn read<'de, A: MapAccess<'de>>(&mut self, field: usize, map: &mut A) -> Result<(), A::Error>;
}

impl Message for CreateEntryRequest {
    const FIELDS: &'static [(&'static str, &'static str)] = &[
        ("hashedRekordRequestV002", "hashed_rekord_request_v002"),
        ("dsseRequestV002", "dsse_request_v002"),
    ];

    fn read<'de, A: MapAccess<'de>>(&mut self, field: usize, map: &mut A) -> Result<(), A::Error> {
        match field {
            0 => read_member(map, &mut self.spec, Spec::HashedRekordRequestV002),
            _ => read_member(map, &mut self.spec, Spec::DsseRequestV002),
        }
    }
}

impl Message for HashedRekordRequestV002 {
    const FIELDS: &'static [(&'static str, &'static str)] =
        &[("digest", "digest"), ("signature", "signature")];

    fn read<'de, A: MapAccess<'de>>(&mut self, field: usize, map: &mut A) -> Result<(), A::Error> {
        match field {
            0 => read_into(map, &mut self.digest),
            _ => read_message(map, &mut self.signature),
        }
    }
}

impl Message for Signature {
    const FIELDS: &'static [(&'static str, &'static str)] =
        &[("content", "content"), ("verifier", "verifier")];

    fn read<'de, A: MapAccess<'de>>(&mut self, field: usize, map: &mut A) -> Result<(), A::Error> {
        match field {
            0 => read_into(map, &mut self.content),
            _ => read_message(map, &mut self.verifier),
        }
    }
}

impl Message for Verifier {
    const FIELDS: &'static [(&'static str, &'static str)] = &[
        ("publicKey", "public_key"),
        ("x509Certificate", "x509_certificate"),
        ("keyDetails", "key_details"),
    ];

    fn read<'de, A: MapAccess<'de>>(&mut self, field: usize, map: &mut A) -> Result<(), A::Error> {
        match field {
            0 => read_member(map, &mut self.verifier, Key::PublicKey),
            1 => read_member(map, &mut self.verifier, Key::X509Certificate),
            _ => read_into(map, &mut self.key_details),
        }
    }
}

/// `PublicKey` and `X509Certificate` have one field each, of the same name.
macro_rules! message_of_raw_bytes {
    ($message:ty) => {
        impl Message for $message {
            const FIELDS: &'static [(&'static str, &'static str)] = &[("rawBytes", "raw_bytes")];

            fn read<'de, A: MapAccess<'de>>(
                &mut self,
                _field: usize,
                map: &mut A,
            ) -> Result<(), A::Error> {
                read_into(map, &mut self.raw_bytes)
            }
        }
    };
}

message_of_raw_bytes!(PublicKey);
message_of_raw_bytes!(X509Certificate);

impl Message for DsseRequestV002 {
    const FIELDS: &'static [(&'static str, &'static str)] =
        &[("envelope", "envelope"), ("verifiers", "verifiers")];

    fn read<'de, A: MapAccess<'de>>(&mut self, field: usize, map: &mut A) -> Result<(), A::Error> {
        match field {
            0 => read_message(map, &mut self.envelope),
            _ => read_list(map, &mut self.verifiers),
        }
    }
}

impl Message for intoto::Envelope {
    const FIELDS: &'static [(&'static str, &'static str)] =
        &[("payload", "payload"), ("payloadType", "payload_type"), ("signatures", "signatures")];

    fn read<'de, A: MapAccess<'de>>(&mut self, field: usize, map: &mut A) -> Result<(), A::Error> {
        match field {
            0 => read_into(map, &mut self.payload),
            1 => read_into(map, &mut self.payload_type),
            _ => read_list(map, &mut self.signatures),
        }
    }
}

impl Message for intoto::Signature {
    const FIELDS: &'static [(&'static str, &'static str)] = &[("sig", "sig"), ("keyid", "keyid")];

    fn read<'de, A: MapAccess<'de>>(&mut self, field: usize, map: &mut A) -> Result<(), A::Error> {
        match field {
            0 => read_into(map, &mut self.sig),
            _ => read_into(map, &mut self.keyid),
        }
    }
}

/// Reads a scalar; `null` leaves it as it is.
fn read_into<'de, A: MapAccess<'de>, T>(map: &mut A, target: &mut T) -> Result<(), A::Error>
where
    Json<T>: Deserialize<'de>,
{
    if let Some(Json(value)) = map.next_value()? {
        *target = value;
    }
    Ok(())
}

fn read_message<'de, A: MapAccess<'de>, T: Message>(
    map: &mut A,
    target: &mut Option<T>,
) -> Result<(), A::Error> {
    let value: Option<Json<T>> = map.next_value()?;
    *target = value.map(|Json(message)| message);
    Ok(())
}

/// Reads one member of a oneof. `null` does not set it; a second member that is not `null` is an
/// error.
fn read_member<'de, A: MapAccess<'de>, T: Message, O>(
    map: &mut A,
    target: &mut Option<O>,
    member: fn(T) -> O,
) -> Result<(), A::Error> {
    if let Some(Json(value)) = map.next_value()? {
        if target.is_some() {
            return Err(A::Error::custom("two members of a oneof are set"));
        }
        *target = Some(member(value));
    }
    Ok(())
}

fn read_list<'de, A: MapAccess<'de>, T: Message>(
    map: &mut A,
    target: &mut Vec<T>,
) -> Result<(), A::Error> {
    if let Some(List(values)) = map.next_value()? {
        *target = values;
    }
    Ok(())
}

/// A value as this protocol writes it in JSON.
struct Json<T>(T);

impl<'de, T: Message> Deserialize<'de> for Json<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_map(MessageVisitor(PhantomData)).map(Self)
    }
}

struct MessageVisitor<T>(PhantomData<T>);

impl<'de, T: Message> Visitor<'de> for MessageVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<T, A::Error> {
        let mut message = T::default();
        let mut seen = 0_u32;
        while let Some(field) = map.next_key_seed(FieldName(T::FIELDS))? {
            let bit = 1 << field;
            if seen & bit != 0 {
                let name = T::FIELDS[field].0;
                return Err(A::Error::custom(format_args!("duplicate field \"{name}\"")));
            }
            seen |= bit;
            message.read(field, &mut map)?;
        }
        Ok(message)
    }
}

/// Finds a field by either of its names.
struct FieldName(&'static [(&'static str, &'static str)]);

impl<'de> DeserializeSeed<'de> for FieldName {
    type Value = usize;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<usize, D::Error> {
        json.deserialize_str(self)
    }
}

impl Visitor<'_> for FieldName {
    type Value = usize;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<usize, E> {
        self.0
            .iter()
            .position(|(json, proto)| name == *json || name == *proto)
            .ok_or_else(|| E::custom(format_args!("unknown field {name:?}")))
    }
}

struct List<T>(Vec<T>);

impl<'de, T: Message> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        json.deserialize_seq(ListVisitor(PhantomData)).map(Self)
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Message> Visitor<'de> for ListVisitor<T> {
    type Value = Vec<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a list of at most {LIST_ELEMENTS_MAX} objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<T>, A::Error> {
        let mut values = Vec::new();
        while let Some(Json(value)) = list.next_element()? {
            if values.len() == LIST_ELEMENTS_MAX {
                return Err(A::Error::invalid_length(values.len() + 1, &self));
            }
            values.push(value);
        }
        Ok(values)
    }
}

#[cfg(test)]
mod tests;

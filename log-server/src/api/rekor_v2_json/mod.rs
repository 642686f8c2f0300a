//! The JSON face of Rekor v2: requests in, entries and errors out.
//!
//! Protobuf's JSON mapping as the reference server reads it (a strict reader with a few lenient
//! spellings), and as it writes it (every field present). Out of scope: whether a request is any
//! good, which `admit` decides, and HTTP.

mod decode;
mod encode;

pub use decode::{JsonError, decode_create_entry};
pub use encode::{EntryParts, encode_entry, encode_status};

#[cfg(test)]
mod tests;

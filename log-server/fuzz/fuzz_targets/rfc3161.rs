//! `rfc3161`: the answer of a time-stamping authority.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_server::admit::v1::Kind;
use log_server_fuzz::{Parts, request, submit};
use serde_json::{Value, json};

fuzz_target!(|input: &[u8]| submit(input, &[answer]));

fn answer(parts: &mut Parts<'_>) -> Value {
    request(Kind::Rfc3161, "0.0.1", json!({ "tsr": { "content": parts.base64() } }))
}

//! `cose`: a key, a message and the data that is signed along.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_server::admit::v1::Kind;
use log_server_fuzz::{Parts, request, submit};
use serde_json::{Value, json};

fuzz_target!(|input: &[u8]| submit(input, &[message]));

fn message(parts: &mut Parts<'_>) -> Value {
    let spec = json!({
        "publicKey": parts.base64(),
        "message": parts.base64(),
        "data": { "aad": parts.base64() },
    });
    request(Kind::Cose, "0.0.1", spec)
}

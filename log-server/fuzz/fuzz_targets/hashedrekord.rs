//! `hashedrekord`: a digest, a signature and a key or certificates.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_server::admit::v1::Kind;
use log_server_fuzz::{Parts, request, submit};
use serde_json::{Value, json};

fuzz_target!(|input: &[u8]| submit(input, &[signature]));

fn signature(parts: &mut Parts<'_>) -> Value {
    let spec = json!({
        "data": { "hash": { "algorithm": parts.text(), "value": parts.text() } },
        "signature": {
            "content": parts.base64(),
            "publicKey": { "content": parts.base64() },
        },
    });
    request(Kind::HashedRekord, "0.0.1", spec)
}

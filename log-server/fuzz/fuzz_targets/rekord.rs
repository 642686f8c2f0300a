//! `rekord`: a signature in one of four formats, its key and what it signs.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_server::admit::v1::Kind;
use log_server_fuzz::{Parts, Shape, request, submit};
use serde_json::{Value, json};

const FORMATS: [Shape; 4] = [
    |parts| signature("pgp", parts),
    |parts| signature("minisign", parts),
    |parts| signature("x509", parts),
    |parts| signature("ssh", parts),
];

fuzz_target!(|input: &[u8]| submit(input, &FORMATS));

fn signature(format: &str, parts: &mut Parts<'_>) -> Value {
    let spec = json!({
        "signature": {
            "format": format,
            "content": parts.base64(),
            "publicKey": { "content": parts.base64() },
        },
        "data": { "content": parts.base64() },
    });
    request(Kind::Rekord, "0.0.1", spec)
}

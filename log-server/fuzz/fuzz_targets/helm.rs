//! `helm`: an OpenPGP key and a provenance file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_server::admit::v1::Kind;
use log_server_fuzz::{Parts, request, submit};
use serde_json::{Value, json};

fuzz_target!(|input: &[u8]| submit(input, &[provenance]));

fn provenance(parts: &mut Parts<'_>) -> Value {
    let spec = json!({
        "publicKey": { "content": parts.base64() },
        "chart": { "provenance": { "content": parts.base64() } },
    });
    request(Kind::Helm, "0.0.1", spec)
}

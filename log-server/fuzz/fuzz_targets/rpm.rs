//! `rpm`: an OpenPGP key and a package.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_server::admit::v1::Kind;
use log_server_fuzz::{Parts, request, submit};
use serde_json::{Value, json};

fuzz_target!(|input: &[u8]| submit(input, &[package]));

fn package(parts: &mut Parts<'_>) -> Value {
    let spec = json!({
        "publicKey": { "content": parts.base64() },
        "package": { "content": parts.base64() },
    });
    request(Kind::Rpm, "0.0.1", spec)
}

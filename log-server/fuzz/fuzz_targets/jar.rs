//! `jar`: an archive, or the names and contents of the members of one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_server::admit::v1::Kind;
use log_server_fuzz::{Parts, base64, request, submit, zip};
use serde_json::{Value, json};

fuzz_target!(|input: &[u8]| submit(input, &[whole, members]));

fn whole(parts: &mut Parts<'_>) -> Value {
    entry(parts.bytes())
}

fn members(parts: &mut Parts<'_>) -> Value {
    let mut members = Vec::new();
    while let Some(name) = parts.next() {
        members.push((name, parts.bytes()));
    }
    entry(&zip(&members))
}

fn entry(archive: &[u8]) -> Value {
    let spec = json!({ "archive": { "content": base64(archive) } });
    request(Kind::Jar, "0.0.1", spec)
}

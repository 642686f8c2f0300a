//! `alpine`: a key and a package, or what the three gzip members of one hold.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_server::admit::v1::Kind;
use log_server_fuzz::{Parts, base64, gzip, request, submit, tar};
use serde_json::{Value, json};

fuzz_target!(|input: &[u8]| submit(input, &[whole, members]));

fn whole(parts: &mut Parts<'_>) -> Value {
    let key = parts.bytes();
    entry(key, parts.bytes())
}

fn members(parts: &mut Parts<'_>) -> Value {
    let key = parts.bytes();
    let [signature, control] = [(); 2].map(|()| gzip(&tar(parts.bytes())));
    entry(key, &[signature, control, gzip(parts.bytes())].concat())
}

fn entry(key: &[u8], package: &[u8]) -> Value {
    let spec = json!({
        "publicKey": { "content": base64(key) },
        "package": { "content": base64(package) },
    });
    request(Kind::Alpine, "0.0.1", spec)
}

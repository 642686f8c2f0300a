//! `intoto`, in both versions: an envelope with its keys, or a payload that is signed here.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_server::admit::v1::Kind;
use log_server_fuzz::{Parts, base64, public_key, request, sign_envelope, submit};
use serde_json::{Value, json};

fuzz_target!(|input: &[u8]| submit(input, &[old, new, old_payload, new_payload]));

fn old(parts: &mut Parts<'_>) -> Value {
    old_entry(parts.text(), parts.base64())
}

fn old_payload(parts: &mut Parts<'_>) -> Value {
    let (payload_type, payload) = (parts.text(), parts.bytes());
    let envelope = json!({
        "payloadType": payload_type,
        "payload": base64(payload),
        "signatures": [{ "sig": sign_envelope(&payload_type, payload) }],
    });
    old_entry(envelope.to_string(), base64(public_key().as_bytes()))
}

fn old_entry(envelope: String, key: String) -> Value {
    let spec = json!({ "content": { "envelope": envelope }, "publicKey": key });
    request(Kind::Intoto, "0.0.1", spec)
}

/// Payload and signatures are given in the inner one of their two layers of base64.
fn new(parts: &mut Parts<'_>) -> Value {
    let (payload_type, payload) = (parts.text(), parts.base64());
    let mut signatures = Vec::new();
    while let Some(sig) = parts.next() {
        let (public_key, keyid) = (parts.base64(), parts.text());
        let sig = base64(sig);
        signatures.push(json!({ "sig": sig, "publicKey": public_key, "keyid": keyid }));
    }
    new_entry(&payload_type, payload, signatures)
}

fn new_payload(parts: &mut Parts<'_>) -> Value {
    let (payload_type, payload) = (parts.text(), parts.bytes());
    let signature = json!({
        "sig": base64(sign_envelope(&payload_type, payload).as_bytes()),
        "publicKey": base64(public_key().as_bytes()),
        "keyid": parts.text(),
    });
    new_entry(&payload_type, base64(base64(payload).as_bytes()), vec![signature])
}

fn new_entry(payload_type: &str, payload: String, signatures: Vec<Value>) -> Value {
    let envelope =
        json!({ "payloadType": payload_type, "payload": payload, "signatures": signatures });
    let hash = json!({ "algorithm": "sha256", "value": "0".repeat(64) });
    let content = json!({ "envelope": envelope, "hash": hash });
    request(Kind::Intoto, "0.0.2", json!({ "content": content }))
}

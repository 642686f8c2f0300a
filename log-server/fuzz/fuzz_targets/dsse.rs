//! `dsse`: an envelope with its verifiers, a payload that is signed here, or hashes and signatures
//! as they are stored.
#![no_main]

use libfuzzer_sys::fuzz_target;
use log_server::admit::v1::Kind;
use log_server_fuzz::{Parts, base64, public_key, request, sign_envelope, submit};
use serde_json::{Value, json};

fuzz_target!(|input: &[u8]| submit(input, &[envelope, payload, stored]));

fn envelope(parts: &mut Parts<'_>) -> Value {
    proposed(parts.text(), parts.map(base64).collect())
}

fn payload(parts: &mut Parts<'_>) -> Value {
    let (payload_type, payload) = (parts.text(), parts.bytes());
    let envelope = json!({
        "payloadType": payload_type,
        "payload": base64(payload),
        "signatures": [{ "sig": sign_envelope(&payload_type, payload) }],
    });
    proposed(envelope.to_string(), vec![base64(public_key().as_bytes())])
}

fn proposed(envelope: String, verifiers: Vec<String>) -> Value {
    let content = json!({ "envelope": envelope, "verifiers": verifiers });
    request(Kind::Dsse, "0.0.1", json!({ "proposedContent": content }))
}

fn stored(parts: &mut Parts<'_>) -> Value {
    let [envelope, payload] =
        [(); 2].map(|()| json!({ "algorithm": "sha256", "value": parts.text() }));
    let mut signatures = Vec::new();
    while let Some(signature) = parts.next() {
        let signature = String::from_utf8_lossy(signature);
        signatures.push(json!({ "signature": signature, "verifier": parts.base64() }));
    }
    let spec = json!({
        "envelopeHash": envelope,
        "payloadHash": payload,
        "signatures": signatures,
    });
    request(Kind::Dsse, "0.0.1", spec)
}

//! `tuf`: metadata and the root that it is checked with, or members of both that are signed here.
#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use log_server::admit::v1::Kind;
use log_server_fuzz::{Parts, public_key_hex, request, sign_hex, submit};
use serde_json::{Map, Value, json};

const EXPIRES: &str = "2126-01-05T00:00:00Z";

fuzz_target!(|input: &[u8]| submit(input, &[texts, members]));

fn texts(parts: &mut Parts<'_>) -> Value {
    let spec = json!({
        "metadata": { "content": parts.base64() },
        "root": { "content": parts.base64() },
    });
    request(Kind::Tuf, "0.0.1", spec)
}

fn members(parts: &mut Parts<'_>) -> Value {
    let mut metadata = json!({ "_type": "timestamp", "version": 1, "expires": EXPIRES });
    let role = json!({ "keyids": ["key"], "threshold": 1 });
    let keyval = json!({ "public": public_key_hex() });
    let mut root = json!({
        "_type": "root", "version": 1, "expires": EXPIRES, "spec_version": "1.0",
        "keys": { "key": { "keytype": "ed25519", "scheme": "ed25519", "keyval": keyval } },
        "roles": { "root": role, "timestamp": role },
    });
    for signed in [&mut metadata, &mut root] {
        let more: Map<_, _> = serde_json::from_slice(parts.bytes()).unwrap_or_default();
        signed.as_object_mut().expect("invariant: made as an object").extend(more);
    }
    let content = |signed: Value| {
        let sig = sign_hex(signed_form(&signed).as_bytes());
        json!({ "content": { "signed": signed, "signatures": [{ "keyid": "key", "sig": sig }] } })
    };
    let spec = json!({ "metadata": content(metadata), "root": content(root) });
    request(Kind::Tuf, "0.0.1", spec)
}

/// The canonical JSON that is signed: nothing is escaped but quotes and backslashes.
fn signed_form(value: &Value) -> String {
    let quoted = |text: &str| format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""));
    match value {
        Value::Number(number) => {
            number.as_f64().expect("invariant: every number is one here").to_string()
        }
        Value::String(text) => quoted(text),
        Value::Array(elements) => {
            let elements: Vec<_> = elements.iter().map(signed_form).collect();
            format!("[{}]", elements.join(","))
        }
        Value::Object(members) => {
            let members: BTreeMap<_, _> = members.iter().collect();
            let member = |(name, value): (&String, &Value)| {
                format!("{}:{}", quoted(name), signed_form(value))
            };
            let members: Vec<_> = members.into_iter().map(member).collect();
            format!("{{{}}}", members.join(","))
        }
        other => other.to_string(),
    }
}

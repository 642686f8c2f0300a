//! The recorded requests from their JSON to the leaf or the error.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use log_proto::rekor::v2::CreateEntryRequest;
use serde_json::{Value, json};

use super::{decode_create_entry, encode_status};
use crate::admit::{AdmitRules, Refusal, create_entry};

/// gRPC's InvalidArgument, which goes with 400.
const INVALID_ARGUMENT: i32 = 3;

fn cases() -> Vec<Value> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/rekor-v2.json");
    let vectors: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let cases = vectors["cases"].as_array().unwrap().clone();
    assert_eq!(cases.len(), 26);
    cases
}

fn request(case: &Value) -> CreateEntryRequest {
    decode_create_entry(case["request"].as_str().unwrap().as_bytes()).unwrap()
}

fn status(refusal: &Refusal) -> Value {
    serde_json::from_slice(&encode_status(INVALID_ARGUMENT, &refusal.to_string())).unwrap()
}

/// A text as recorded, with or without a reason behind it.
#[track_caller]
fn check_status(case: &Value, refusal: &Refusal, message: &str) {
    let mut actual = status(refusal);
    let text = actual["message"].take();
    assert_eq!(actual, json!({"code": 3, "message": null, "details": []}));
    let text = text.as_str().unwrap();
    let reason = text.strip_prefix(message);
    let fits = reason.is_some_and(|rest| rest.is_empty() || rest.starts_with(": "));
    assert!(fits, "case {}: {text:?} is not {message:?}", case["n"]);
}

#[test]
fn accepted_requests_give_the_recorded_bodies() {
    let cases = cases();
    let mut accepted = 0;
    for case in &cases {
        // A duplicate is admitted like the entry that it repeats, case 0.
        let original = if case["status"] == 409 { &cases[0] } else { case };
        if original["status"] != 201 {
            continue;
        }
        let admitted = create_entry(&request(case), &AdmitRules { dsse: true }).unwrap();
        let recorded = original["canonicalizedBody_utf8"].as_str().unwrap();
        let body = std::str::from_utf8(admitted.leaf.as_bytes()).unwrap();
        assert_eq!(body, recorded, "case {}", case["n"]);
        let answer = &original["response"];
        assert_eq!(answer["canonicalizedBody"], STANDARD.encode(body));
        assert_eq!(answer["kindVersion"]["kind"], admitted.kind);
        assert_eq!(answer["kindVersion"]["version"], admitted.version);
        assert_eq!(original["leafHash_hex"], admitted.leaf.hash().to_string());
        accepted += 1;
    }
    assert_eq!(accepted, 14);
}

#[test]
fn refused_requests_get_the_recorded_status() {
    let mut refused = 0;
    for case in cases() {
        // Case 21 is no request at all; the decoder's tests have it.
        if case["status"] != 400 || case["n"] == 21 {
            continue;
        }
        for dsse in [true, false] {
            let refusal = create_entry(&request(&case), &AdmitRules { dsse }).unwrap_err();
            let message = match &case["cairn"]["default"] {
                Value::Object(ours) if dsse => &ours["message"],
                _ => &case["response"]["message"],
            };
            check_status(&case, &refusal, message.as_str().unwrap());
        }
        refused += 1;
    }
    assert_eq!(refused, 11);
}

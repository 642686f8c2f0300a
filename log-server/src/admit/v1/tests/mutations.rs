//! Damaged requests of every kind: they are refused or admitted, but never end anything; and what
//! is admitted is canonical.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::super::create_entry;
use super::{every_kind, now, recorded};

/// The same sequence in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

fn cases() -> Vec<(String, Vec<u8>)> {
    let text = |case: &Value| match &case["request"] {
        Value::String(text) => text.clone(),
        request => request.to_string(),
    };
    recorded()["cases"]
        .as_array()
        .unwrap()
        .iter()
        .map(|case| (case["name"].to_string(), text(case).into_bytes()))
        .collect()
}

/// A leaf must be JSON that another encoder writes the same way.
fn check(body: &[u8]) {
    let Ok(admitted) = create_entry(body, &every_kind(), now()) else { return };
    let leaf = admitted.leaf.as_bytes();
    let json: Value = serde_json::from_slice(leaf).unwrap();
    assert_eq!(json.to_string().as_bytes(), leaf);
    assert_eq!(json["kind"], admitted.kind.name());
    assert!(!admitted.index_keys.is_empty());
}

#[test]
fn damaged_bytes_do_no_harm() {
    let mut dice = Dice(1);
    for (_, body) in cases() {
        for _ in 0..60 {
            let mut damaged = body.clone();
            for _ in 0..=dice.roll(3) {
                let at = dice.roll(damaged.len());
                match dice.roll(4) {
                    0 => damaged[at] = b"\"\\{}[]:,0n=/-A\0\xff"[dice.roll(16)],
                    1 if damaged.len() > 1 => _ = damaged.remove(at),
                    2 => damaged.truncate(at.max(1)),
                    _ => damaged.insert(at, b"\"\\{}[]:,0n=/-A\0\xff"[dice.roll(16)]),
                }
            }
            check(&damaged);
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    for (name, body) in cases() {
        for end in (0..body.len()).step_by(7) {
            let refused = create_entry(&body[..end], &every_kind(), now());
            assert!(refused.is_err(), "{name} cut at {end}");
        }
    }
}

/// Each member in turn gets each of these values.
#[test]
fn members_of_other_types_do_no_harm() {
    let values = ["null", "true", "0", "-1e999", "\"\"", "\"x\"", "[]", "[null]", "{}", "[[{}]]"];
    for (_, body) in cases() {
        let request: Value = serde_json::from_slice(&body).unwrap();
        for pointer in pointers(&request, String::new()) {
            for value in values {
                let text = replaced(&request, &pointer, value);
                check(text.as_bytes());
            }
        }
    }
}

/// What lies within base64 is damaged: keys, certificates, signatures, messages, metadata.
#[test]
fn damaged_content_does_no_harm() {
    let mut dice = Dice(7);
    for (_, body) in cases() {
        let request: Value = serde_json::from_slice(&body).unwrap();
        for pointer in pointers(&request, String::new()) {
            let text = request.pointer(&pointer).and_then(Value::as_str);
            let Some(content) = text.and_then(|text| STANDARD.decode(text).ok()) else { continue };
            for _ in 0..if content.len() > 16 { 40 } else { 0 } {
                let mut damaged = content.clone();
                for _ in 0..=dice.roll(2) {
                    let at = dice.roll(damaged.len());
                    match dice.roll(4) {
                        0 => damaged[at] ^= 1 << dice.roll(8),
                        1 => damaged[at] = [0, 0x7f, 0x80, 0x84, 0xff][dice.roll(5)],
                        2 if damaged.len() > 1 => _ = damaged.remove(at),
                        _ => damaged.truncate(at.max(1)),
                    }
                }
                let damaged = format!("\"{}\"", STANDARD.encode(damaged));
                check(replaced(&request, &pointer, &damaged).as_bytes());
            }
        }
    }
}

fn pointers(value: &Value, at: String) -> Vec<String> {
    let inner: Vec<_> = match value {
        Value::Object(members) => members.iter().map(|(k, v)| (format!("{at}/{k}"), v)).collect(),
        Value::Array(list) => {
            list.iter().enumerate().map(|(k, v)| (format!("{at}/{k}"), v)).collect()
        }
        _ => Vec::new(),
    };
    let inner = inner.into_iter().flat_map(|(at, value)| pointers(value, at));
    inner.chain([at.clone()]).filter(|at| !at.is_empty()).collect()
}

/// The JSON with raw text in the place of one member.
fn replaced(request: &Value, pointer: &str, raw: &str) -> String {
    const MARK: &str = "a mark that is replaced";
    let mut request = request.clone();
    *request.pointer_mut(pointer).unwrap() = MARK.into();
    request.to_string().replace(&format!("\"{MARK}\""), raw)
}

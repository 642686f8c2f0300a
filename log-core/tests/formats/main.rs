//! The text and JSON formats against the vectors, by round trip, and with bad input.

// In a test a panic is the report; clippy knows only the functions marked as tests.
#![allow(clippy::unwrap_used)]

mod checkpoint;
mod cosignature;
mod entry;
mod evidence;
mod forks;
mod key;
mod note;
mod policy;
mod tlog_proof;
mod witness;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use log_core::{Hash, KeyName, NoteSigner};
use proptest::prelude::*;
use serde_json::Value;

fn vectors(file: &str) -> Value {
    let path = format!("{}/../tests/vectors/{file}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

fn text<'a>(value: &'a Value, member: &str) -> &'a str {
    value[member].as_str().unwrap_or_else(|| panic!("{member} is missing in {value}"))
}

fn hex(digits: &str) -> Vec<u8> {
    (0..digits.len())
        .step_by(2)
        .map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap())
        .collect()
}

fn signer(name: &str, seed: u8) -> NoteSigner {
    NoteSigner::ed25519(KeyName::parse(name).unwrap(), [seed; 32])
}

fn rekor_signer(rekor: &Value) -> NoteSigner {
    let pem = text(rekor, "log_private_key_pkcs8_pem");
    let der =
        STANDARD.decode(pem.lines().filter(|l| !l.starts_with('-')).collect::<String>()).unwrap();
    let name = KeyName::parse(text(rekor, "origin")).unwrap();
    NoteSigner::ed25519(name, *der.last_chunk().unwrap())
}

/// Replaces, inserts or deletes a few bytes.
fn mutate(bytes: &[u8], edits: &[(usize, u8, u8)]) -> Vec<u8> {
    let mut out = bytes.to_vec();
    for &(position, kind, byte) in edits {
        let at = position % (out.len() + 1);
        match kind % 3 {
            0 => out.insert(at, byte),
            1 if at < out.len() => out[at] = byte,
            _ if at < out.len() => drop(out.remove(at)),
            _ => {}
        }
    }
    out
}

fn edits() -> impl Strategy<Value = Vec<(usize, u8, u8)>> {
    prop::collection::vec((any::<usize>(), any::<u8>(), any::<u8>()), 0..4)
}

fn any_hash() -> impl Strategy<Value = Hash> {
    any::<[u8; 32]>().prop_map(Hash::from_bytes)
}

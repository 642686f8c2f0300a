//! Admission of the older protocol: what a real server of it recorded, byte for byte, and
//! everything that must be refused.

mod alpine;
mod cose;
mod dsse;
mod fixtures;
mod hashedrekord;
mod helm;
mod intoto;
mod jar;
mod mutations;
mod openpgp;
mod pgp;
mod rekord;
mod requests;
mod rfc3161;
mod rpm;
mod tuf;
mod vectors;

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::Value;

use super::{Admitted, Kind, Reason, Refusal, Rules, create_entry};

/// A change of a request: where, the new value or nothing, and the words of the refusal.
type Change<'a> = (&'a str, Option<Value>, &'a str);

fn recorded() -> &'static Value {
    static FILE: OnceLock<Value> = OnceLock::new();
    FILE.get_or_init(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/rekor-v1.json");
        serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
    })
}

/// The request of a recorded case.
#[track_caller]
fn case(name: &str) -> Value {
    let cases = recorded()["cases"].as_array().unwrap();
    let case = cases.iter().find(|case| case["name"] == name).expect("a recorded case");
    match &case["request"] {
        Value::String(text) => serde_json::from_str(text).unwrap(),
        request => request.clone(),
    }
}

/// The request with one member changed or taken out.
#[track_caller]
fn changed(mut request: Value, pointer: &str, value: Option<Value>) -> Value {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = request.pointer_mut(parent).expect("a parent");
    match (parent, value) {
        (Value::Object(members), Some(value)) => _ = members.insert(name.into(), value),
        (Value::Object(members), None) => _ = members.remove(name),
        (Value::Array(elements), Some(value)) => elements[name.parse::<usize>().unwrap()] = value,
        (Value::Array(elements), None) => _ = elements.remove(name.parse().unwrap()),
        _ => panic!("{pointer} has no parent"),
    }
    request
}

/// When the vectors were recorded.
fn now() -> Timestamp {
    "2026-11-22T15:00:00Z".parse().unwrap()
}

fn every_kind() -> Rules {
    Rules { kinds: Kind::ALL.to_vec() }
}

fn submit(request: &Value) -> Result<Admitted, Refusal> {
    create_entry(request.to_string().as_bytes(), &every_kind(), now())
}

#[track_caller]
fn admitted(request: &Value) -> Admitted {
    submit(request).unwrap_or_else(|refusal| panic!("{refusal}"))
}

#[track_caller]
fn body(request: &Value) -> Value {
    serde_json::from_slice(admitted(request).leaf.as_bytes()).unwrap()
}

#[track_caller]
fn reason(request: &Value) -> Reason {
    match submit(request) {
        Err(Refusal::Entry(reason)) => reason,
        other => panic!("{other:?}"),
    }
}

/// Each change must be refused in its words.
#[track_caller]
fn check_changes(request: &Value, changes: &[Change<'_>]) {
    for (pointer, value, expected) in changes {
        let refused = reason(&changed(request.clone(), pointer, value.clone()));
        assert_eq!(refused.to_string(), *expected, "{pointer} {value:?}");
    }
}

fn list(lines: &str) -> String {
    format!("validation failure list:\n{lines}")
}

fn encode(bytes: impl AsRef<[u8]>) -> Value {
    STANDARD.encode(bytes).into()
}

#[track_caller]
fn decode(value: &Value) -> Vec<u8> {
    STANDARD.decode(value.as_str().unwrap()).unwrap()
}

/// A P-256 key made for one test.
struct Signer {
    key: EcdsaKeyPair,
    pem: Vec<u8>,
}

impl Signer {
    fn new() -> Self {
        let key = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_ASN1_SIGNING).unwrap();
        let spki: PublicKeyX509Der<'_> = key.public_key().as_der().unwrap();
        let pem = super::pem::encode("PUBLIC KEY", spki.as_ref());
        Self { key, pem }
    }

    fn sign(&self, message: &[u8]) -> Vec<u8> {
        self.key.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec()
    }
}

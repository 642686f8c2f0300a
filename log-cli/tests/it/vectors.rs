//! The answers that the reference server was recorded with.

use log_cli::artefact::Artefact;
use log_cli::log_entry::LogEntry;
use log_cli::trusted_root::verifier_key;
use log_core::{Leaf, Origin};
use serde_json::Value;

fn vectors() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/rekor-v2.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn accepted(vectors: &Value) -> Vec<&Value> {
    let cases = vectors["cases"].as_array().unwrap().iter();
    cases.filter(|case| case["status"] == 201).collect()
}

#[test]
fn every_recorded_answer_verifies() {
    let vectors = vectors();
    let key =
        log_cli::pem::pem_block(vectors["log_public_key_pem"].as_str().unwrap(), "PUBLIC KEY");
    let key = verifier_key("localhost", &key.unwrap()).unwrap();
    let id = log_cli::protojson::Bytes(key.full_id_hash().as_bytes().to_vec());
    assert_eq!(id.to_base64(), vectors["log_id_b64"].as_str().unwrap());
    let origin = Origin::parse("localhost").unwrap();
    let cases = accepted(&vectors);
    assert_eq!(cases.len(), 12);
    for case in cases {
        let entry: LogEntry = serde_json::from_value(case["response"].clone()).unwrap();
        let body = case["canonicalizedBody_utf8"].as_str().unwrap();
        let leaf = Leaf::new(body.as_bytes().to_vec()).unwrap();
        let included = entry.verify(&leaf, &origin, &key).unwrap();
        assert_eq!(included.index, entry.index().unwrap(), "{}", case["name"]);
        assert!(entry.verify_unsigned(&leaf).is_ok());
        let other = Leaf::new(b"{}".to_vec()).unwrap();
        assert!(entry.verify(&other, &origin, &key).is_err());
        let elsewhere = Origin::parse("localhost2").unwrap();
        assert!(entry.verify(&leaf, &elsewhere, &key).is_err());
    }
}

#[test]
fn the_vectors_name_the_digests_that_are_computed_here() {
    // The two digests of the empty file, which no case has, and their lengths.
    let empty = Artefact::of(b"");
    let hex = |algorithm| log_cli::artefact::hex(empty.digest(algorithm).as_ref());
    use log_core::entry::HashAlgorithm;
    assert!(hex(HashAlgorithm::Sha2_256).starts_with("e3b0c44298fc1c149afbf4c8996fb924"));
    assert!(hex(HashAlgorithm::Sha2_384).starts_with("38b060a751ac96384cd9327eb1b1e36a"));
    assert!(hex(HashAlgorithm::Sha2_512).starts_with("cf83e1357eefb8bdf1542850d66d8007"));
}

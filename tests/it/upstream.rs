//! Entries of the public logs. They are not in this repository: `CAIRN_EXTRA_VECTORS` may name a
//! directory that has them.

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use log_core::{KeyName, VerifierKey};
use log_tests::Acknowledged;
use serde_json::Value;

#[test]
fn entries_of_the_public_logs_verify() {
    let Some(directory) = std::env::var_os("CAIRN_EXTRA_VECTORS") else {
        return eprintln!("skipped: CAIRN_EXTRA_VECTORS is not set");
    };
    let path = PathBuf::from(directory).join("rekor-v2-upstream.json");
    let file = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let file: Value = serde_json::from_slice(&file).expect("JSON");
    let entries = file["realEntries"].as_array().expect("entries");
    assert!(!entries.is_empty());
    for real in entries {
        let spki = STANDARD.decode(real["logPublicKeyDer_b64"].as_str().expect("a key"));
        let public: [u8; 32] = *spki.expect("base64").last_chunk().expect("32 bytes");
        let name = KeyName::parse(real["origin"].as_str().expect("an origin")).expect("a name");
        let key = VerifierKey::ed25519(name, public).expect("a key");
        assert_eq!(key.full_id_hash().to_base64(), real["logId_b64"], "{}", real["name"]);
        let verified = Acknowledged::verify(&real["entry"], &key);
        let hash = verified.leaf.hash().to_string();
        assert_eq!(real["leafHash"], hash, "{}", real["name"]);
        let entry = log_core::Entry::parse(verified.leaf.as_bytes()).expect("a canonical entry");
        assert_eq!(real["entry"]["kindVersion"]["kind"], entry.kind(), "{}", real["name"]);
    }
}

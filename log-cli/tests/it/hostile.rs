//! Bytes from anywhere: refused with a reason, never a panic.

use log_cli::bundle::Bundle;
use log_cli::certificate::SigningCertificate;
use log_cli::legacy_bundle;
use log_cli::log_entry::LogEntry;
use log_cli::public_key::PublicKey;
use log_cli::signer::Signer;
use log_cli::timestamp::check_unsigned;
use log_cli::trusted_root::TrustedRoot;
use log_cli::v1::answer::{parse_ids, parse_many, parse_one};
use log_cli::v1::body::{Body, signers};

use crate::fixture::{TestLog, key_bundle, signer};

/// Garbage, and truncations of good documents.
fn inputs() -> Vec<Vec<u8>> {
    let mut log = TestLog::with_leaves("log.example", 2);
    let bundle = key_bundle(&signer(log_cli::signer::KeyAlgorithm::P256), &mut log).to_json();
    let mut inputs: Vec<Vec<u8>> = vec![
        vec![],
        b"null".to_vec(),
        b"[]".to_vec(),
        b"{}".to_vec(),
        b"\xff\xfe".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
        "[".repeat(100_000).into_bytes(),
        "{\"verificationMaterial\":".repeat(10_000).into_bytes(),
        b"{\"mediaType\":\"x\",\"mediaType\":\"x\"}".to_vec(),
        vec![0x30, 0x80, 0, 0],
        [0x30, 0x84, 0xff, 0xff, 0xff, 0xff].repeat(100),
    ];
    inputs.extend((0..bundle.len()).step_by(7).map(|end| bundle.as_bytes()[..end].to_vec()));
    inputs
}

#[test]
fn no_reader_takes_garbage() {
    for input in inputs() {
        assert!(Bundle::parse(&input).is_err());
        assert!(TrustedRoot::parse(&input).is_err());
        assert!(serde_json::from_slice::<LogEntry>(&input).is_err());
        assert!(parse_one(&input).is_err());
        assert!(parse_many(&input).map_or(true, |list| list.is_empty()));
        assert!(parse_ids(&input).map_or(true, |list| list.is_empty()));
        assert!(Body::parse(&input).is_err() && signers(&input).is_empty());
        assert!(legacy_bundle::parse(&input).is_err() && !legacy_bundle::is_legacy(&input));
        assert!(SigningCertificate::from_der(&input).is_err());
        assert!(PublicKey::from_spki_der(&input).is_err());
        assert!(Signer::from_pkcs8_der(&input).is_err());
        assert!(check_unsigned(&input, b"").is_err());
        let text = String::from_utf8_lossy(&input);
        assert!(PublicKey::from_pem(&text).is_err());
        assert!(Signer::from_pem(&text).is_err());
    }
}

#[test]
fn a_trusted_root_is_read_back_as_it_was_written() {
    let root = TestLog::new("log.example").trusted_root();
    let json = serde_json::to_string(&root).unwrap();
    let again = TrustedRoot::parse(json.as_bytes()).unwrap();
    assert_eq!(serde_json::to_string(&again).unwrap(), json);
    let id = &root.tlogs[0].log_id.as_ref().unwrap().key_id.0;
    assert!(again.log(id).unwrap().is_some());
    assert!(again.log(&id[1..]).unwrap().is_none());
    let other = json.replace("version=0.1", "version=7");
    assert!(TrustedRoot::parse(other.as_bytes()).is_err());
    let unknown = json.replacen('{', "{\"new\":1,", 1);
    assert!(TrustedRoot::parse(unknown.as_bytes()).is_err());
    let null = json.replace("\"ctlogs\":[]", "\"ctlogs\":null");
    assert!(TrustedRoot::parse(null.as_bytes()).is_ok());
}

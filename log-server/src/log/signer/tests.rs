//! The keys of a log, from files that are right and files that are not.

use super::*;

struct Files {
    _dir: tempfile::TempDir,
    files: KeyFiles,
}

fn files() -> Files {
    let dir = tempfile::tempdir().unwrap();
    let path = |name| dir.path().join(name);
    let files = KeyFiles { key: path("key.pem"), witness_key: path("witness-key.pem") };
    Files { _dir: dir, files }
}

fn origin(text: &str) -> Origin {
    Origin::parse(text).unwrap()
}

fn v1(files: &KeyFiles, personality: Personality, text: &str) -> Result<Signer, KeyError> {
    let keys = NewKeys::random(Personality::RekorV1)?;
    Signer::create(files, personality, &origin(text), &keys)
}

#[test]
fn a_rekor_v1_log_signs_with_both_keys_under_the_name_of_its_host() {
    let made = files();
    let text = "rekor.example - 17";
    let signer = v1(&made.files, Personality::RekorV1, text).unwrap();
    let again = Signer::load(&made.files, Personality::RekorV1, &origin(text)).unwrap();
    assert_eq!(again.verifier_key(), signer.verifier_key());
    assert_eq!(again.witness_key(), signer.witness_key());
    let lines = again.sign("a text\n");
    assert_eq!(lines.len(), 2);
    for (line, key) in lines.iter().zip([signer.verifier_key(), signer.witness_key()]) {
        assert_eq!(line.name.as_str(), "rekor.example");
        assert_eq!(line.id, key.id());
        assert_eq!(key.verify(b"a text\n", &line.signature), Ok(()));
    }
    let entry = EntryTimestamp {
        body: b"{}",
        integrated_time_s: 5,
        log_id: signer.verifier_key().full_id_hash(),
        index: log_core::LeafIndex::new(0),
    };
    let signature = again.sign_timestamp(&entry).unwrap();
    assert_eq!(entry.verify(&signer.verifier_key(), &signature), Ok(()));
    let secret = std::fs::read_to_string(&made.files.key).unwrap();
    let debug = format!("{signer:?}");
    assert!(secret.lines().all(|line| !debug.contains(line)), "{debug}");
    assert!(debug.contains("redacted"));
}

#[test]
fn a_recorded_key_keeps_its_public_half() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/rekor-v1.json");
    let vectors: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let pem = vectors["log_private_key_pkcs8_pem"].as_str().unwrap();
    let (_, pkcs8) = der::pem::decode_vec(pem.as_bytes()).unwrap();
    let keys = NewKeys::RekorV1 { ecdsa_p256: Zeroizing::new(pkcs8), ed25519: [3; 32] };
    let (made, origin) = (files(), origin(vectors["origin"].as_str().unwrap()));
    let signer = Signer::create(&made.files, Personality::RekorV1, &origin, &keys).unwrap();
    let log_id = signer.verifier_key().full_id_hash().to_string();
    assert_eq!(log_id, vectors["logID"].as_str().unwrap());
}

#[test]
fn other_personalities_have_one_key_and_promise_nothing() {
    let (made, origin) = (files(), origin("log.example"));
    let keys = NewKeys::random(Personality::RekorV2).unwrap();
    let signer = Signer::create(&made.files, Personality::RekorV2, &origin, &keys).unwrap();
    assert_eq!(signer.verifier_key(), signer.witness_key());
    assert_eq!(signer.sign("a text\n").len(), 1);
    assert!(!made.files.witness_key.exists());
    let entry = EntryTimestamp {
        body: b"{}",
        integrated_time_s: 5,
        log_id: signer.verifier_key().full_id_hash(),
        index: log_core::LeafIndex::new(0),
    };
    assert_eq!(signer.sign_timestamp(&entry), None);
}

#[test]
fn wrong_origins_and_keys_make_no_files() {
    let made = files();
    for text in ["rekor.example", "rekor.example - 0", "two words - 7", "a+b - 7"] {
        assert!(v1(&made.files, Personality::RekorV1, text).is_err(), "{text}");
    }
    assert!(matches!(v1(&made.files, Personality::Raw, "log.example"), Err(KeyError::OtherKeys)));
    let ed25519 = NewKeys::Ed25519([1; 32]);
    let created =
        Signer::create(&made.files, Personality::RekorV1, &origin("a.example - 7"), &ed25519);
    assert!(matches!(created, Err(KeyError::OtherKeys)));
    assert!(!made.files.key.exists() && !made.files.witness_key.exists());
}

#[test]
fn a_key_of_another_kind_is_refused() {
    let made = files();
    let v1_origin = origin("rekor.example - 17");
    let signer = v1(&made.files, Personality::RekorV1, v1_origin.as_str()).unwrap();
    drop(signer);
    let raw = Signer::load(&made.files, Personality::Raw, &origin("rekor.example"));
    assert!(matches!(raw, Err(KeyError::NotAKey { kind: "Ed25519", .. })));
    let swapped =
        KeyFiles { key: made.files.witness_key.clone(), witness_key: made.files.key.clone() };
    let loaded = Signer::load(&swapped, Personality::RekorV1, &v1_origin);
    assert!(matches!(loaded, Err(KeyError::NotAKey { kind: "ECDSA P-256", .. })));
    std::fs::write(&made.files.witness_key, "nothing").unwrap();
    let loaded = Signer::load(&made.files, Personality::RekorV1, &v1_origin);
    assert!(matches!(loaded, Err(KeyError::NotAKey { kind: "Ed25519", .. })));
    std::fs::remove_file(&made.files.witness_key).unwrap();
    let loaded = Signer::load(&made.files, Personality::RekorV1, &v1_origin);
    assert!(matches!(loaded, Err(KeyError::File { .. })));
}

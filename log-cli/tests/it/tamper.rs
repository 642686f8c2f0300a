//! Every field of a good bundle, changed: each change is noticed.

use log_cli::artefact::Artefact;
use log_cli::bundle::{Bundle, Envelope, EnvelopeSignature, VerificationMaterial};
use log_cli::protojson::Bytes;
use log_cli::signer::{KeyAlgorithm, Signer};
use log_cli::trusted_root::TrustedRoot;
use log_cli::verify::{Expected, verify_bundle};
use log_core::entry::{Dsse, HashAlgorithm, HashedRekord, KeyDetails, Signature, Verifier, dsse};
use log_core::hash::sha256;
use serde_json::{Value, json};

use crate::fixture::{FILE, TestLog, key_bundle, signer};

const IN_TOTO: &str = "application/vnd.in-toto+json";

pub(crate) fn verifies(bundle: &Value, file: &[u8], root: &TrustedRoot, key: &Signer) -> bool {
    let expected = Expected::Key(key.public_key().clone());
    let Ok(bundle) = Bundle::parse(bundle.to_string().as_bytes()) else {
        return false;
    };
    verify_bundle(&bundle, &Artefact::of(file), root, &expected).is_ok()
}

/// Calls `visit` with the JSON pointer of every leaf of a document.
fn for_each_leaf(value: &Value, pointer: &str, visit: &mut dyn FnMut(&str)) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                for_each_leaf(member, &format!("{pointer}/{name}"), visit);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                for_each_leaf(item, &format!("{pointer}/{index}"), visit);
            }
        }
        _ => visit(pointer),
    }
}

/// Other values for a leaf: one bit or digit away, empty, absurd.
fn variations(value: &Value) -> Vec<Value> {
    let text = value.as_str().unwrap();
    let mut variations = vec![json!(""), json!("AAAA"), json!("-1"), json!(7), json!(["x"])];
    if let Some(bytes) = Bytes::from_base64(text) {
        for at in [0, bytes.0.len() / 2, bytes.0.len().saturating_sub(1)] {
            let mut changed = bytes.clone();
            if let Some(byte) = changed.0.get_mut(at) {
                *byte ^= 1;
                variations.push(json!(changed.to_base64()));
            }
        }
        variations.push(json!(Bytes(bytes.0[..bytes.0.len() / 2].to_vec()).to_base64()));
    }
    for at in 0..text.len().min(400) {
        if text.is_ascii() {
            let mut changed = text.as_bytes().to_vec();
            changed[at] = if changed[at] == b'1' { b'2' } else { b'1' };
            variations.push(json!(String::from_utf8(changed).unwrap()));
        }
    }
    variations.retain(|variation| variation != value);
    variations
}

/// Fields that nothing protects, because nobody may believe them.
const HINTS: [&str; 2] =
    ["/verificationMaterial/publicKey/hint", "/dsseEnvelope/signatures/0/keyid"];

pub(crate) fn no_change_goes_unnoticed(bundle: &Bundle, root: &TrustedRoot, key: &Signer) {
    let good: Value = serde_json::from_str(&bundle.to_json()).unwrap();
    assert!(verifies(&good, FILE, root, key));
    assert!(!verifies(&good, b"another file", root, key));
    let other = signer(KeyAlgorithm::P256);
    assert!(!verifies(&good, FILE, root, &other));
    let mut changes = 0;
    for_each_leaf(&good, "", &mut |pointer| {
        if HINTS.contains(&pointer) {
            return;
        }
        for variation in variations(good.pointer(pointer).unwrap()) {
            let mut changed = good.clone();
            *changed.pointer_mut(pointer).unwrap() = variation.clone();
            // The same value in another spelling is no change.
            let reread = Bundle::parse(changed.to_string().as_bytes());
            if reread.is_ok_and(|reread| reread.to_json() == bundle.to_json()) {
                continue;
            }
            assert!(!verifies(&changed, FILE, root, key), "{pointer} = {variation}");
            changes += 1;
        }
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let mut without = good.clone();
        if let Some(Value::Object(members)) = without.pointer_mut(parent) {
            members.remove(name);
            // The digest of the message is for the reader's convenience; index 0 may be left out.
            let optional = good.pointer(pointer) == Some(&json!("0"));
            assert!(optional || !verifies(&without, FILE, root, key), "{pointer} removed");
        }
        let mut added = good.clone();
        if let Some(Value::Object(members)) = added.pointer_mut(parent) {
            members.insert("unknown".into(), json!("x"));
            assert!(!verifies(&added, FILE, root, key), "{parent}/unknown added");
        }
    });
    assert!(changes > 500, "{changes}");
}

#[test]
fn message_bundles_of_every_algorithm_resist() {
    for algorithm in
        [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::P521, KeyAlgorithm::Ed25519]
    {
        let mut log = TestLog::with_leaves("log.example", 5);
        let signer = signer(algorithm);
        let bundle = key_bundle(&signer, &mut log);
        no_change_goes_unnoticed(&bundle, &log.trusted_root(), &signer);
    }
}

fn statement(digest: Value) -> Vec<u8> {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "other", "digest": { "sha1": "00" } }, { "digest": digest }],
        "predicateType": "https://example.com/p",
        "predicate": {},
    })
    .to_string()
    .into_bytes()
}

/// An envelope around the payload, logged as the kind, in a bundle.
fn attestation(key: &Signer, payload: &[u8], kind: &str, log: &mut TestLog) -> Bundle {
    let pae = Artefact::of(&dsse::pae(IN_TOTO.as_bytes(), payload));
    let content = key.sign(&pae).unwrap();
    let signature = Signature {
        content: content.clone(),
        verifier: Verifier::PublicKey(key.public_key().spki_der().to_vec()),
        key_details: KeyDetails::PKIX_ECDSA_P256_SHA_256,
    };
    let leaf = if kind == "dsse" {
        Dsse { payload_hash: sha256(payload), signatures: vec![signature] }.to_leaf()
    } else {
        let digest = pae.digest(HashAlgorithm::Sha2_256).as_ref().to_vec();
        HashedRekord { algorithm: HashAlgorithm::Sha2_256, digest, signature }.to_leaf()
    };
    let index = log.add(leaf.unwrap());
    let mut bundle = key_bundle(key, &mut TestLog::new("x"));
    bundle.message_signature = None;
    bundle.dsse_envelope = Some(Envelope {
        payload: Bytes(payload.to_vec()),
        payload_type: IN_TOTO.into(),
        signatures: vec![EnvelopeSignature { sig: Bytes(content), keyid: "k".into() }],
    });
    let material: &mut VerificationMaterial = &mut bundle.verification_material;
    material.tlog_entries = vec![log.entry(index, kind)];
    bundle
}

fn file_digest() -> Value {
    json!({ "sha256": log_cli::artefact::hex(sha256(FILE).as_bytes()) })
}

#[test]
fn attestations_of_both_kinds_resist() {
    for kind in ["dsse", "hashedrekord"] {
        let mut log = TestLog::with_leaves("log.example", 2);
        let key = signer(KeyAlgorithm::P256);
        let bundle = attestation(&key, &statement(file_digest()), kind, &mut log);
        no_change_goes_unnoticed(&bundle, &log.trusted_root(), &key);
    }
}

#[test]
fn an_attestation_must_name_the_file() {
    let key = signer(KeyAlgorithm::P256);
    let mut wrong = file_digest();
    wrong["sha512"] = json!("00");
    let payloads =
        [statement(json!({})), statement(json!({ "md5": "x" })), statement(wrong), b"{}".to_vec()];
    for payload in payloads {
        let mut log = TestLog::new("log.example");
        let bundle = attestation(&key, &payload, "dsse", &mut log);
        let bundle = serde_json::from_str(&bundle.to_json()).unwrap();
        assert!(!verifies(&bundle, FILE, &log.trusted_root(), &key));
    }
}

#[test]
fn unhashed_ed25519_is_verified_in_the_older_kind() {
    use ed25519_dalek::Signer as _;
    let secret = ed25519_dalek::SigningKey::from_bytes(&[3; 32]);
    let spki = log_cli::public_key::ed25519_spki(secret.verifying_key().as_bytes());
    let payload = statement(file_digest());
    let content = secret.sign(&dsse::pae(IN_TOTO.as_bytes(), &payload)).to_bytes().to_vec();
    for key_details in [KeyDetails::PKIX_ED25519, KeyDetails::PKIX_ED25519_PH] {
        let mut log = TestLog::new("log.example");
        let verifier = Verifier::PublicKey(spki.clone());
        let signature = Signature { content: content.clone(), verifier, key_details };
        let entry = Dsse { payload_hash: sha256(&payload), signatures: vec![signature] };
        let index = log.add(entry.to_leaf().unwrap());
        let p256 = signer(KeyAlgorithm::P256);
        let mut bundle = attestation(&p256, &payload, "dsse", &mut TestLog::new("x"));
        bundle.dsse_envelope.as_mut().unwrap().signatures[0].sig = Bytes(content.clone());
        bundle.verification_material.tlog_entries = vec![log.entry(index, "dsse")];
        let key = log_cli::public_key::PublicKey::from_spki_der(&spki).unwrap();
        let (file, expected) = (Artefact::of(FILE), Expected::Key(key));
        let root = log.trusted_root();
        verify_bundle(&bundle, &file, &root, &expected).unwrap();
        bundle.verification_material.tlog_entries[0].kind_version.kind = "hashedrekord".into();
        assert!(verify_bundle(&bundle, &file, &root, &expected).is_err());
    }
}

#[test]
fn entries_of_unknown_logs_do_not_count_and_those_of_known_logs_must_be_good() {
    let mut log = TestLog::with_leaves("log.example", 1);
    let key = signer(KeyAlgorithm::P256);
    let mut bundle = key_bundle(&key, &mut log);
    let root = log.trusted_root();
    let good = bundle.verification_material.tlog_entries[0].clone();
    let mut unknown = good.clone();
    unknown.log_id.key_id.0[0] ^= 1;
    let mut broken = good.clone();
    broken.canonicalized_body.0[0] ^= 1;
    let (file, expected) = (Artefact::of(FILE), Expected::Key(key.public_key().clone()));
    let mut with = |entries| {
        bundle.verification_material.tlog_entries = entries;
        verify_bundle(&bundle, &file, &root, &expected).is_ok()
    };
    assert!(with(vec![good.clone()]));
    assert!(with(vec![unknown.clone(), good.clone()]));
    assert!(!with(vec![unknown]));
    assert!(!with(vec![good, broken]));
    assert!(!with(vec![]));
}

#[test]
fn a_trusted_root_with_another_key_host_or_no_log_refuses() {
    let mut log = TestLog::new("log.example");
    let key = signer(KeyAlgorithm::P256);
    let bundle = key_bundle(&key, &mut log);
    let bundle: Value = serde_json::from_str(&bundle.to_json()).unwrap();
    let good = log.trusted_root();
    assert!(verifies(&bundle, FILE, &good, &key));
    let mut other_host = good.clone();
    other_host.tlogs[0].base_url = "https://other.example".into();
    let mut no_scheme = good.clone();
    no_scheme.tlogs[0].base_url = "log.example".into();
    let mut other_key = good.clone();
    other_key.tlogs[0].public_key.raw_bytes.0[20] ^= 1;
    let mut no_log = good.clone();
    no_log.tlogs.clear();
    for root in [other_host, no_scheme, other_key, no_log] {
        assert!(!verifies(&bundle, FILE, &root, &key));
    }
}

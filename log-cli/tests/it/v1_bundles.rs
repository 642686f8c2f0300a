//! Bundles of Rekor v1, of today and of cosign: good ones verify, and every change is noticed.

use log_cli::artefact::Artefact;
use log_cli::bundle::{Bundle, Envelope, EnvelopeSignature, MEDIA_TYPE_V0_1};
use log_cli::legacy_bundle;
use log_cli::log_entry::{EntryRefusal, LogEntry};
use log_cli::pem::to_pem;
use log_cli::protojson::{Bytes, Int64};
use log_cli::signer::{KeyAlgorithm, Signer};
use log_cli::trusted_root::TrustedRoot;
use log_cli::v1::matching::MismatchError;
use log_cli::verify::{Expected, Refusal, Verified, verify_bundle};
use log_core::entry::dsse;
use log_core::hash::sha256;
use log_core::tree::{TreeHead, TreeSize};
use serde_json::{Value, json};

use crate::fixture::{FILE, TestLog, key_bundle, signer};
use crate::tamper::no_change_goes_unnoticed;
use crate::v1_fixture::{OFFSET, START_S, V1Log, base64, body_of, v1_bundle};

const IN_TOTO: &str = "application/vnd.in-toto+json";

fn judge(bundle: &Bundle, root: &TrustedRoot, key: &Signer) -> Result<Verified, Refusal> {
    let expected = Expected::Key(key.public_key().clone());
    verify_bundle(bundle, &Artefact::of(FILE), root, &expected)
}

#[test]
fn message_bundles_of_every_algorithm_resist() {
    for algorithm in
        [KeyAlgorithm::P256, KeyAlgorithm::P384, KeyAlgorithm::P521, KeyAlgorithm::Ed25519]
    {
        let mut log = V1Log::with_leaves("rekor.example", 5);
        let signer = signer(algorithm);
        let bundle = v1_bundle(&signer, &mut log);
        let root = log.trusted_root();
        let verified = judge(&bundle, &root, &signer).unwrap();
        let [entry] = verified.entries.as_slice() else { panic!("one entry") };
        assert_eq!((entry.index.get(), entry.promised), (OFFSET + 5, verified.time));
        assert_eq!(verified.time.unwrap().as_second() as u64, START_S + 5);
        let included = entry.included.as_ref().unwrap();
        assert_eq!((included.index.get(), &included.checkpoint.origin), (5, &log.origin()));
        no_change_goes_unnoticed(&bundle, &root, &signer);
        // The host of the log's URL is nobody's business: its key is.
        let mut elsewhere = root.clone();
        elsewhere.tlogs[0].base_url = "https://elsewhere.example".into();
        judge(&bundle, &elsewhere, &signer).unwrap();
    }
}

/// An envelope around a statement about `FILE`, and its signature.
fn envelope(signer: &Signer) -> (Envelope, Vec<u8>) {
    let digest = sha256(FILE).to_string();
    let statement = json!({ "subject": [{ "digest": { "sha256": digest } }] }).to_string();
    let message = dsse::pae(IN_TOTO.as_bytes(), statement.as_bytes());
    let signature = signer.sign_message(&message).unwrap();
    let sig = EnvelopeSignature { sig: Bytes(signature.clone()), keyid: String::new() };
    let envelope = Envelope {
        payload: Bytes(statement.into_bytes()),
        payload_type: IN_TOTO.into(),
        signatures: vec![sig],
    };
    (envelope, signature)
}

fn dsse_body(envelope: &Envelope, signer: &Signer) -> Value {
    let hash = |bytes: &[u8]| json!({ "algorithm": "sha256", "value": sha256(bytes).to_string() });
    let pem = to_pem("PUBLIC KEY", signer.public_key().spki_der());
    let signatures = envelope
        .signatures
        .iter()
        .map(|one| json!({ "signature": one.sig.to_base64(), "verifier": base64(pem.as_bytes()) }));
    json!({ "apiVersion": "0.0.1", "kind": "dsse", "spec": {
        "envelopeHash": hash(b"its text"),
        "payloadHash": hash(&envelope.payload.0),
        "signatures": signatures.collect::<Vec<_>>(),
    }})
}

fn in_toto_body(envelope: &Envelope, signer: &Signer) -> Value {
    let hash = |bytes: &[u8]| json!({ "algorithm": "sha256", "value": sha256(bytes).to_string() });
    let pem = to_pem("PUBLIC KEY", signer.public_key().spki_der());
    let signatures = envelope.signatures.iter().map(|one| {
        let twice = base64(one.sig.to_base64().as_bytes());
        json!({ "publicKey": base64(pem.trim_end().as_bytes()), "sig": twice })
    });
    json!({ "apiVersion": "0.0.2", "kind": "intoto", "spec": { "content": {
        "envelope": {
            "payloadType": envelope.payload_type,
            "signatures": signatures.collect::<Vec<_>>(),
        },
        "hash": hash(b"anything"),
        "payloadHash": hash(&envelope.payload.0),
    }}})
}

fn in_toto_hashes_body(envelope: &Envelope, signer: &Signer) -> Value {
    let hash = |bytes: &[u8]| json!({ "algorithm": "sha256", "value": sha256(bytes).to_string() });
    let pem = to_pem("PUBLIC KEY", signer.public_key().spki_der());
    let text = format!(
        r#"{{"payloadType":"{IN_TOTO}","payload":"{}","signatures":[{{"keyid":"","sig":"{}"}}]}}"#,
        envelope.payload.to_base64(),
        envelope.signatures[0].sig.to_base64()
    );
    json!({ "apiVersion": "0.0.1", "kind": "intoto", "spec": {
        "content": { "hash": hash(text.as_bytes()), "payloadHash": hash(&envelope.payload.0) },
        "publicKey": base64(pem.as_bytes()),
    }})
}

/// A bundle around an envelope whose entry has this body.
fn envelope_bundle(log: &mut V1Log, envelope: &Envelope, body: &Value) -> Bundle {
    let index = log.add(body.to_string().into_bytes());
    let other = signer(KeyAlgorithm::P256);
    let mut bundle = v1_bundle(&other, log);
    bundle.verification_material.tlog_entries = vec![log.entry(index)];
    bundle.message_signature = None;
    bundle.dsse_envelope = Some(envelope.clone());
    bundle
}

#[test]
fn attestations_of_all_kinds_resist() {
    for algorithm in [KeyAlgorithm::P256, KeyAlgorithm::Ed25519] {
        for body in [dsse_body, in_toto_body, in_toto_hashes_body] {
            let mut log = V1Log::with_leaves("rekor.example", 3);
            let signer = signer(algorithm);
            let (envelope, _) = envelope(&signer);
            let bundle = envelope_bundle(&mut log, &envelope, &body(&envelope, &signer));
            no_change_goes_unnoticed(&bundle, &log.trusted_root(), &signer);
        }
    }
}

/// A change of a body, and what it is refused for. The log takes anything here.
type Change = (&'static str, Value, fn(&MismatchError) -> bool);

#[test]
fn entries_about_something_else_are_refused_even_if_they_are_logged() {
    let key = signer(KeyAlgorithm::P256);
    let other = signer(KeyAlgorithm::P256);
    let (envelope, signature) = envelope(&key);
    let key_of = |signer: &Signer| {
        json!(base64(to_pem("PUBLIC KEY", signer.public_key().spki_der()).as_bytes()))
    };
    let rekord: Value = serde_json::from_slice(&body_of(&key, FILE, &signature)).unwrap();
    let dsse = dsse_body(&envelope, &key);
    let in_toto = in_toto_body(&envelope, &key);
    let hashes = in_toto_hashes_body(&envelope, &key);
    let with = |body: &Value, pointer: &str, value: Value| {
        let mut body = body.clone();
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    let twice = |value: &Value| json!([value, value]);
    let first = &dsse["spec"]["signatures"][0];
    let changes: [Change; 15] = [
        ("kind", rekord.clone(), |e| matches!(e, MismatchError::Content)),
        ("payload", with(&dsse, "/spec/payloadHash/value", json!("00".repeat(32))), |e| {
            matches!(e, MismatchError::Payload)
        }),
        ("hash", with(&dsse, "/spec/payloadHash/algorithm", json!("sha1")), |e| {
            matches!(e, MismatchError::Body(_))
        }),
        ("hex", with(&dsse, "/spec/payloadHash/value", json!("0\u{e9}")), |e| {
            matches!(e, MismatchError::Body(_))
        }),
        ("signature", with(&dsse, "/spec/signatures/0/signature", json!("AAAA")), |e| {
            matches!(e, MismatchError::Signature)
        }),
        ("key", with(&dsse, "/spec/signatures/0/verifier", key_of(&other)), |e| {
            matches!(e, MismatchError::Verifier)
        }),
        ("no key", with(&dsse, "/spec/signatures/0/verifier", json!("AAAA")), |e| {
            matches!(e, MismatchError::Verifier)
        }),
        ("none", with(&dsse, "/spec/signatures", json!([])), |e| {
            matches!(e, MismatchError::Signatures(0))
        }),
        ("two", with(&dsse, "/spec/signatures", twice(first)), |e| {
            matches!(e, MismatchError::Signatures(2))
        }),
        ("type", with(&in_toto, "/spec/content/envelope/payloadType", json!("text/x")), |e| {
            matches!(e, MismatchError::PayloadType)
        }),
        (
            "once",
            with(&in_toto, "/spec/content/envelope/signatures/0/sig", json!(base64(&signature))),
            |e| matches!(e, MismatchError::Body(_)),
        ),
        ("other text", with(&hashes, "/spec/content/hash/value", json!("00".repeat(32))), |e| {
            matches!(e, MismatchError::Signature)
        }),
        (
            "payload",
            with(&hashes, "/spec/content/payloadHash/value", json!("00".repeat(32))),
            |e| matches!(e, MismatchError::Payload),
        ),
        ("key", with(&hashes, "/spec/publicKey", key_of(&other)), |e| {
            matches!(e, MismatchError::Verifier)
        }),
        ("spec", with(&dsse, "/spec", json!({})), |e| matches!(e, MismatchError::Body(_))),
    ];
    refused(&key, &envelope, changes);
}

fn refused(key: &Signer, envelope: &Envelope, changes: impl IntoIterator<Item = Change>) {
    for (what, body, is_expected) in changes {
        let mut log = V1Log::with_leaves("rekor.example", 3);
        let bundle = envelope_bundle(&mut log, envelope, &body);
        match judge(&bundle, &log.trusted_root(), key).unwrap_err() {
            Refusal::Mismatch(error) => assert!(is_expected(&error), "{what}: {error:?}"),
            other => panic!("{what}: {other:?}"),
        }
    }
}

#[test]
fn a_promise_alone_is_enough_where_the_format_says_so() {
    let mut log = V1Log::with_leaves("rekor.example", 5);
    let key = signer(KeyAlgorithm::P256);
    let mut bundle = v1_bundle(&key, &mut log);
    let root = log.trusted_root();
    let entry = bundle.verification_material.tlog_entries[0].clone();
    let with = |bundle: &mut Bundle, change: fn(&mut LogEntry)| {
        let mut entry = entry.clone();
        change(&mut entry);
        bundle.verification_material.tlog_entries = vec![entry];
    };
    with(&mut bundle, |entry| entry.inclusion_proof = None);
    let refusal = judge(&bundle, &root, &key).unwrap_err();
    assert!(matches!(refusal, Refusal::Entry(EntryRefusal::NoProof)));
    bundle.media_type = MEDIA_TYPE_V0_1.into();
    let verified = judge(&bundle, &root, &key).unwrap();
    assert!(verified.entries[0].included.is_none() && verified.time.is_some());
    // A proof alone shows that it is logged, and not when.
    with(&mut bundle, |entry| {
        entry.inclusion_promise = None;
        entry.integrated_time = Int64(0);
    });
    let verified = judge(&bundle, &root, &key).unwrap();
    assert!(verified.entries[0].included.is_some() && verified.time.is_none());
    with(&mut bundle, |entry| entry.inclusion_promise = None);
    let refusal = judge(&bundle, &root, &key).unwrap_err();
    assert!(matches!(refusal, Refusal::Entry(EntryRefusal::UnsignedTime)));
    with(&mut bundle, |entry| {
        entry.inclusion_promise = None;
        entry.inclusion_proof = None;
        entry.integrated_time = Int64(0);
    });
    let refusal = judge(&bundle, &root, &key).unwrap_err();
    assert!(matches!(refusal, Refusal::Entry(EntryRefusal::NoProof)));
}

#[test]
fn roots_without_the_log_with_another_kind_of_key_or_another_time_refuse() {
    let mut log = V1Log::with_leaves("rekor.example", 5);
    let key = signer(KeyAlgorithm::P256);
    let bundle = v1_bundle(&key, &mut log);
    let of_v2 = TestLog::new("rekor.example").trusted_root();
    let refusal = judge(&bundle, &of_v2, &key).unwrap_err();
    let id = log.key().full_id_hash().to_string();
    let reason = refusal.to_string();
    assert!(reason.contains(&id) && reason.contains("Rekor v1"), "{reason}");
    // The id of the log beside a key that is not of a v1 log.
    let mut other_kind = of_v2;
    other_kind.tlogs[0].log_id = log.trusted_root().tlogs[0].log_id.clone();
    let refusal = judge(&bundle, &other_kind, &key).unwrap_err();
    assert!(matches!(refusal, Refusal::Entry(EntryRefusal::KeyKind)), "{refusal:?}");
    let mut other_key = log.trusted_root();
    let another = V1Log::with_leaves("rekor.example", 0).trusted_root();
    other_key.tlogs[0].public_key = another.tlogs[0].public_key.clone();
    let refusal = judge(&bundle, &other_key, &key).unwrap_err();
    assert!(matches!(refusal, Refusal::Entry(EntryRefusal::OtherLog)), "{refusal:?}");
    let mut ended = log.trusted_root();
    ended.tlogs[0].public_key.valid_for.end = Some("2021-01-01T00:00:00Z".into());
    assert!(matches!(judge(&bundle, &ended, &key).unwrap_err(), Refusal::LogTime));
}

#[test]
fn a_bundle_may_have_entries_of_both_apis_and_both_must_be_good() {
    let mut v1 = V1Log::with_leaves("log.example", 5);
    let mut v2 = TestLog::with_leaves("log.example", 5);
    // Signatures of Ed25519 repeat, so that both logs have the same one.
    let key = signer(KeyAlgorithm::Ed25519);
    let mut bundle = v1_bundle(&key, &mut v1);
    let of_v2 = key_bundle(&key, &mut v2).verification_material.tlog_entries;
    bundle.verification_material.tlog_entries.extend(of_v2);
    let mut both = v1.trusted_root();
    both.tlogs.extend(v2.trusted_root().tlogs);
    let verified = judge(&bundle, &both, &key).unwrap();
    let is_proved: Vec<_> = verified.entries.iter().map(|one| one.included.is_some()).collect();
    assert_eq!(is_proved, [true, true]);
    // Whoever trusts one of the logs alone takes its entry alone.
    for root in [v1.trusted_root(), v2.trusted_root()] {
        assert_eq!(judge(&bundle, &root, &key).unwrap().entries.len(), 1);
    }
    for broken in [0, 1] {
        let mut bundle = bundle.clone();
        let entry = &mut bundle.verification_material.tlog_entries[broken];
        entry.inclusion_proof.as_mut().unwrap().hashes[0].0[0] ^= 1;
        assert!(judge(&bundle, &both, &key).is_err());
        // An entry of one API under the id of the other's log.
        let entries = &mut bundle.verification_material.tlog_entries;
        entries[broken].log_id = entries[1 - broken].log_id.clone();
        assert!(judge(&bundle, &both, &key).is_err());
    }
    // A kind that no bundle carries, and an entry of v2 with the promise of v1.
    let entries = &mut bundle.verification_material.tlog_entries;
    entries[1].inclusion_promise = entries[0].inclusion_promise.clone();
    let refusal = judge(&bundle, &both, &key).unwrap_err();
    assert!(matches!(refusal, Refusal::EntryKind { .. }), "{refusal:?}");
}

#[test]
fn a_checkpoint_of_a_v2_shape_proves_nothing_in_v1() {
    let mut log = V1Log::with_leaves("rekor.example", 5);
    let key = signer(KeyAlgorithm::P256);
    let mut bundle = v1_bundle(&key, &mut log);
    let root = log.trusted_root();
    let entry = &mut bundle.verification_material.tlog_entries[0];
    let proof = entry.inclusion_proof.as_mut().unwrap();
    let head = TreeHead {
        size: TreeSize::new(proof.tree_size.to_u64().unwrap()),
        root_hash: log_core::Hash::from_slice(&proof.root_hash.0).unwrap(),
    };
    let origin = log_core::Origin::parse("rekor.example").unwrap();
    proof.checkpoint.as_mut().unwrap().envelope = log.checkpoint_of(head, &origin);
    let refusal = judge(&bundle, &root, &key).unwrap_err();
    assert!(matches!(refusal, Refusal::Entry(EntryRefusal::NotV1)), "{refusal:?}");
}

/// The bundle as cosign wrote it.
fn legacy(bundle: &Bundle) -> Value {
    serde_json::from_str(&legacy_bundle::write(bundle).unwrap()).unwrap()
}

fn judge_legacy(legacy: &Value, root: &TrustedRoot, key: &Signer) -> bool {
    let json = legacy.to_string();
    legacy_bundle::is_legacy(json.as_bytes())
        && legacy_bundle::parse(json.as_bytes()).is_ok_and(|b| judge(&b, root, key).is_ok())
}

#[test]
fn bundles_of_cosign_resist() {
    let mut log = V1Log::with_leaves("rekor.example", 5);
    let key = signer(KeyAlgorithm::P256);
    let good = legacy(&v1_bundle(&key, &mut log));
    // A root that names the key alone is enough, and one of another log is not.
    let root = TrustedRoot::of_log_key(log.spki());
    assert!(judge_legacy(&good, &root, &key));
    assert!(judge_legacy(&good, &log.trusted_root(), &key));
    assert!(!judge_legacy(&good, &V1Log::with_leaves("x", 0).trusted_root(), &key));
    assert!(!judge_legacy(&good, &TestLog::new("rekor.example").trusted_root(), &key));
    assert!(!judge_legacy(&good, &root, &signer(KeyAlgorithm::P256)));
    let payload = |name: &str| format!("/rekorBundle/Payload/{name}");
    let changes = [
        ("/base64Signature".to_owned(), json!("AAAA")),
        ("/base64Signature".to_owned(), json!("!")),
        ("/rekorBundle/SignedEntryTimestamp".to_owned(), json!("AAAA")),
        ("/rekorBundle/SignedEntryTimestamp".to_owned(), json!("")),
        (payload("body"), json!("e30=")),
        (payload("body"), json!("!")),
        (payload("integratedTime"), json!(START_S)),
        (payload("integratedTime"), json!(-1)),
        (payload("logIndex"), json!(OFFSET)),
        (payload("logIndex"), json!(-5)),
        (payload("logID"), json!("00".repeat(32))),
        (payload("logID"), json!("00")),
        ("/rekorBundle".to_owned(), json!({})),
        ("/rekorBundle".to_owned(), json!(null)),
    ];
    for (pointer, value) in changes {
        let mut changed = good.clone();
        *changed.pointer_mut(&pointer).unwrap() = value.clone();
        assert!(!judge_legacy(&changed, &root, &key), "{pointer} = {value}");
    }
    let body = Bytes::from_base64(good["rekorBundle"]["Payload"]["body"].as_str().unwrap());
    let mut body = body.unwrap().0;
    for at in (0..body.len()).step_by(5) {
        body[at] ^= 1;
        let mut changed = good.clone();
        changed["rekorBundle"]["Payload"]["body"] = json!(base64(&body));
        assert!(!judge_legacy(&changed, &root, &key), "byte {at} of the body");
        body[at] ^= 1;
    }
}

#[test]
fn bundles_of_cosign_may_name_their_key_in_every_way_it_wrote() {
    let mut log = V1Log::with_leaves("rekor.example", 5);
    let key = signer(KeyAlgorithm::P256);
    let root = TrustedRoot::of_log_key(log.spki());
    let mut bundle = legacy(&v1_bundle(&key, &mut log));
    let pem = to_pem("PUBLIC KEY", key.public_key().spki_der());
    for (cert, is_good) in [
        (json!(base64(pem.as_bytes())), true),
        (json!(pem), true),
        (json!(""), true),
        (json!(null), true),
        (json!("!"), false),
        (json!(base64(b"no key")), false),
        (json!(base64(&[0xff, 0xfe])), false),
    ] {
        bundle["cert"] = cert.clone();
        assert_eq!(judge_legacy(&bundle, &root, &key), is_good, "{cert}");
    }
    // An attestation stands where the signature of a file would.
    let (envelope, _) = envelope(&key);
    let attestation = envelope_bundle(&mut log, &envelope, &dsse_body(&envelope, &key));
    let good = legacy(&attestation);
    assert!(judge_legacy(&good, &root, &key));
    assert!(!legacy_bundle::is_legacy(attestation.to_json().as_bytes()));
    for no_bundle in ["", "{}", "[]", "{\"base64Signature\":\"AA==\"}"] {
        assert!(!legacy_bundle::is_legacy(no_bundle.as_bytes()));
        assert!(legacy_bundle::parse(no_bundle.as_bytes()).is_err());
    }
}

//! Canonical leaves: rebuilt from what Rekor was sent, equal to what Rekor logged.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use log_core::bundle::append_entry;
use log_core::entry::{
    Dsse, Entry, EntryError, HashAlgorithm, HashedRekord, KeyDetails, Signature, Verifier,
};
use log_core::hash::sha256;
use log_core::{
    Checkpoint, CompactRange, Hash, LEAF_BYTES_MAX, Leaf, LeafTooLong, NoteSigner, Origin,
    SignedNote, TreeHead,
};
use proptest::prelude::*;
use serde_json::Value;

use crate::{any_hash, edits, hex, mutate, rekor_signer, text, vectors};

// ---- the vectors ----

/// A member under its camelCase or its snake_case name.
fn member<'a>(value: &'a Value, camel: &str) -> &'a Value {
    let snake: String = camel
        .chars()
        .flat_map(|c| if c.is_uppercase() { vec!['_', c.to_ascii_lowercase()] } else { vec![c] })
        .collect();
    let found = value.get(camel).or_else(|| value.get(&snake));
    found.unwrap_or_else(|| panic!("{camel} is missing in {value}"))
}

fn bytes(value: &Value) -> Vec<u8> {
    let encoded = value.as_str().unwrap();
    [&STANDARD, &STANDARD_NO_PAD, &URL_SAFE, &URL_SAFE_NO_PAD]
        .iter()
        .find_map(|engine| engine.decode(encoded).ok())
        .unwrap()
}

fn verifier(value: &Value) -> (Verifier, KeyDetails) {
    let details = member(value, "keyDetails");
    let details = match details.as_str() {
        Some(name) => KeyDetails::from_name(name),
        None => KeyDetails::from_number(details.as_i64().unwrap().try_into().unwrap()),
    };
    let is_set = |name: &str| value.get(name).is_some_and(|v| !v.is_null());
    let verifier = if is_set("x509Certificate") || is_set("x509_certificate") {
        Verifier::Certificate(bytes(member(member(value, "x509Certificate"), "rawBytes")))
    } else {
        Verifier::PublicKey(bytes(member(member(value, "publicKey"), "rawBytes")))
    };
    (verifier, details.unwrap())
}

/// What admission makes of a request whose signatures it has verified.
fn entry(request: &str) -> Entry {
    let request: Value = serde_json::from_str(request).unwrap();
    if let Some(dsse) = request.get("dsseRequestV002") {
        let payload = bytes(&dsse["envelope"]["payload"]);
        let (verifier, key_details) = verifier(&dsse["verifiers"][0]);
        let signed = dsse["envelope"]["signatures"].as_array().unwrap().iter();
        let signatures = signed.map(|s| Signature {
            content: bytes(&s["sig"]),
            verifier: verifier.clone(),
            key_details,
        });
        return Entry::Dsse(Dsse {
            payload_hash: sha256(&payload),
            signatures: signatures.collect(),
        });
    }
    // Not a plain camelCase name: "V002" stays together.
    let request = request
        .get("hashedRekordRequestV002")
        .unwrap_or_else(|| &request["hashed_rekord_request_v002"]);
    let signature = member(request, "signature");
    let (verifier, key_details) = verifier(member(signature, "verifier"));
    Entry::HashedRekord(HashedRekord {
        algorithm: key_details.hash_algorithm().unwrap(),
        digest: bytes(member(request, "digest")),
        signature: Signature {
            content: bytes(member(signature, "content")),
            verifier,
            key_details,
        },
    })
}

fn accepted(rekor: &Value) -> Vec<&Value> {
    let cases = rekor["cases"].as_array().unwrap();
    cases.iter().filter(|case| case["status"] == 201).collect()
}

#[test]
fn every_accepted_request_gives_the_body_that_rekor_logged() {
    let rekor = vectors("rekor-v2.json");
    let cases = accepted(&rekor);
    assert_eq!(cases.len(), 12);
    for case in cases {
        let name = text(case, "name");
        let entry = entry(text(case, "request"));
        let leaf = entry.to_leaf().unwrap();
        let body = text(case, "canonicalizedBody_utf8");
        assert_eq!(std::str::from_utf8(leaf.as_bytes()).unwrap(), body, "{name}");
        assert_eq!(leaf.hash().to_string(), text(case, "leafHash_hex"), "{name}");
        assert_eq!(entry.kind(), text(&case["response"]["kindVersion"], "kind"), "{name}");
        assert_eq!(entry.api_version(), text(&case["response"]["kindVersion"], "version"));
        assert_eq!(Entry::parse(body.as_bytes()), Ok(entry), "{name}");
    }
}

#[test]
fn a_duplicate_in_another_spelling_has_the_same_body() {
    let rekor = vectors("rekor-v2.json");
    let first = text(&rekor["cases"][0], "canonicalizedBody_utf8");
    for duplicate in [&rekor["cases"][1], &rekor["cases"][2]] {
        let leaf = entry(text(duplicate, "request")).to_leaf().unwrap();
        assert_eq!(leaf.as_bytes(), first.as_bytes(), "{}", text(duplicate, "name"));
    }
}

#[test]
fn the_bodies_make_the_bundle_tile_and_checkpoint_that_rekor_published() {
    let rekor = vectors("rekor-v2.json");
    let (mut bundle, mut tile, mut range) = (Vec::new(), Vec::new(), CompactRange::new());
    for case in accepted(&rekor) {
        // The legacy case was recorded from an older server with a log of its own.
        if text(case, "server").contains("v2.2.1") {
            continue;
        }
        let leaf = entry(text(case, "request")).to_leaf().unwrap();
        append_entry(&mut bundle, leaf.as_bytes()).unwrap();
        tile.extend_from_slice(leaf.hash().as_bytes());
        range.append(leaf.hash());
    }
    assert_eq!(STANDARD.encode(bundle), text(&rekor, "final_entry_bundle_000_b64"));
    assert_eq!(tile, hex(text(&rekor, "final_tile_0_000_hex")));
    let signer: NoteSigner = rekor_signer(&rekor);
    let origin = Origin::parse(text(&rekor, "origin")).unwrap();
    let head = TreeHead { size: range.size(), root_hash: range.root() };
    let checkpoint = Checkpoint { origin, head, extensions: vec![] }.to_text();
    let line = signer.sign(&checkpoint);
    let note = SignedNote::new(checkpoint, vec![line]).unwrap();
    assert_eq!(note.to_string(), text(&rekor, "final_checkpoint"));
}

// ---- bad leaves ----

fn hashed_rekord() -> String {
    text(&vectors("rekor-v2.json")["cases"][0], "canonicalizedBody_utf8").to_owned()
}

fn dsse(contents: &[&[u8]]) -> Entry {
    let signature = |content: &&[u8]| Signature {
        content: content.to_vec(),
        verifier: Verifier::PublicKey(vec![1, 2, 3]),
        key_details: KeyDetails::PKIX_ED25519,
    };
    let signatures = contents.iter().map(signature).collect();
    Entry::Dsse(Dsse { payload_hash: Hash::EMPTY_ROOT, signatures })
}

#[test]
fn what_is_not_json_of_the_shape_is_refused() {
    let good = hashed_rekord();
    let nested = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_spec = good.replace(r#"{"hashedRekordV002""#, &format!(r#"{{"x":{nested},"y""#));
    let cases = [
        String::new(),
        "null".into(),
        "[]".into(),
        "{}".into(),
        nested,
        deep_spec,
        good[..good.len() - 1].into(),
        format!("{good}x"),
        format!("\u{feff}{good}"),
        good.replace(r#""kind""#, r#""Kind""#),
        good.replace(r#"{"apiVersion""#, r#"{"a":1,"apiVersion""#),
        good.replace(r#"{"rawBytes""#, r#"{"a":1,"rawBytes""#),
        good.replace(r#"{"content""#, r#"{"content":"AA==","content""#),
        good.replace(r#""PKIX_ECDSA_P256_SHA_256""#, "5"),
        good.replace("SHA2_256", r"\u0053HA2_256"),
        good.replace(r#""spec":{"#, r#""spec":[{"#),
    ];
    for leaf in cases {
        let refused = Entry::parse(leaf.as_bytes());
        let shown = &leaf[..leaf.len().min(120)];
        assert!(matches!(refused, Err(EntryError::BadJson { .. })), "{shown}: {refused:?}");
    }
    assert!(matches!(Entry::parse(b"\xff"), Err(EntryError::BadJson { .. })));
}

#[test]
fn other_kinds_and_values_are_refused() {
    let good = hashed_rekord();
    let key = r#","publicKey":{"rawBytes":""#;
    let both = good.replace(key, &format!(r#","x509Certificate":{{"rawBytes":"AA=="}}{key}"#));
    let none = format!("{}}}}}}}}}}}", good.split(key).next().unwrap());
    let digest = |d: &str| good.replace("oMp8F9ceN6Yz0FWBGZ9I7VUaTtkI5otWlTtecUxwW6Y=", d);
    let cases = [
        (good.replace("0.0.2", "0.0.1"), EntryError::UnknownKind),
        (good.replace(r#""hashedrekord""#, r#""dsse""#), EntryError::UnknownKind),
        (good.replace(r#""hashedrekord""#, r#""intoto""#), EntryError::UnknownKind),
        (r#"{"apiVersion":"0.0.2","kind":"dsse","spec":{}}"#.into(), EntryError::UnknownKind),
        (good.replace("SHA2_256", "SHA3_256"), EntryError::BadDigest),
        (good.replace("SHA2_256", "SHA2_384"), EntryError::BadDigest),
        (digest("AAAA"), EntryError::BadDigest),
        (digest(""), EntryError::BadBase64),
        (digest("oMp8F9ceN6Yz0FWBGZ9I7VUaTtkI5otWlTtecUxwW6Y"), EntryError::BadBase64),
        (digest("oMp8F9ceN6Yz0FWBGZ9I7VUaTtkI5otWlTtecUxwW6Z="), EntryError::BadBase64),
        (good.replace("743UgwzW3eC6A", "743Ugw-W3eC6A"), EntryError::BadBase64),
        (good.replace("_P256_SHA_256", "_P256"), EntryError::UnknownKeyDetails),
        (
            good.replace("PKIX_ECDSA_P256_SHA_256", "PUBLIC_KEY_DETAILS_UNSPECIFIED"),
            EntryError::UnknownKeyDetails,
        ),
        (both, EntryError::BadSignature),
        (none, EntryError::BadSignature),
    ];
    for (leaf, error) in cases {
        assert_ne!(leaf, good);
        assert_eq!(Entry::parse(leaf.as_bytes()), Err(error), "{leaf}");
    }
    let dsse = |leaf: Leaf| String::from_utf8(leaf.as_bytes().to_vec()).unwrap();
    let unsigned = dsse(self::dsse(&[]).to_leaf().unwrap());
    assert_eq!(Entry::parse(unsigned.as_bytes()), Err(EntryError::BadSignature));
    let short = dsse(self::dsse(&[b"a"]).to_leaf().unwrap()).replace("SHA2_256", "SHA2_512");
    let digest = STANDARD.encode([7; 64]);
    let long = short.replace(&Hash::EMPTY_ROOT.to_base64(), &digest);
    for payload in [short, long] {
        assert_eq!(Entry::parse(payload.as_bytes()), Err(EntryError::BadDigest), "{payload}");
    }
}

#[test]
fn another_spelling_of_the_same_entry_is_not_canonical() {
    let good = hashed_rekord();
    let kind = r#""kind":"hashedrekord","#;
    let cases = [
        format!(" {good}"),
        format!("{good}\n"),
        good.replace(":{", ": {"),
        good.replace(kind, "").replacen('{', &format!("{{{kind}"), 1),
        good.replace(r#"{"hashedRekordV002""#, r#"{"dsseV002":null,"hashedRekordV002""#),
        good.replace(r#""publicKey""#, r#""x509Certificate":null,"publicKey""#),
    ];
    for leaf in cases {
        assert_eq!(Entry::parse(leaf.as_bytes()), Err(EntryError::NotCanonical), "{leaf}");
    }
}

#[test]
fn the_signatures_of_an_envelope_are_sorted_by_their_bytes() {
    let sorted = dsse(&[b"\x01", b"\x01\x00", b"\x7f", b"\x80", b"\xff"]);
    let leaf = sorted.to_leaf().unwrap();
    let mixed = dsse(&[b"\xff", b"\x01\x00", b"\x80", b"\x01", b"\x7f"]);
    assert_eq!(mixed.to_leaf().unwrap(), leaf);
    assert_eq!(Entry::parse(leaf.as_bytes()), Ok(sorted));

    let pair = String::from_utf8(dsse(&[b"aa", b"bb"]).to_leaf().unwrap().as_bytes().to_vec());
    let swapped = pair.unwrap().replace("YWE=", "x").replace("YmI=", "YWE=").replace('x', "YmI=");
    assert_eq!(Entry::parse(swapped.as_bytes()), Err(EntryError::NotCanonical));
}

#[test]
fn a_body_that_no_bundle_can_hold_has_no_leaf() {
    let entry = |bytes: usize| HashedRekord {
        algorithm: HashAlgorithm::Sha2_256,
        digest: vec![0; 32],
        signature: Signature {
            content: vec![7; 64],
            verifier: Verifier::Certificate(vec![1; bytes]),
            key_details: KeyDetails::PKIX_ECDSA_P256_SHA_256,
        },
    };
    let without = entry(0).to_leaf().unwrap().as_bytes().len();
    let most = (LEAF_BYTES_MAX - without) / 4 * 3;
    assert!(entry(most).to_leaf().is_ok());
    let bytes = without + most / 3 * 4 + 4;
    assert_eq!(entry(most + 1).to_leaf(), Err(LeafTooLong { bytes }));

    let leaf = String::from_utf8(entry(1).to_leaf().unwrap().as_bytes().to_vec()).unwrap();
    let long = leaf.replace(r#""AQ==""#, &format!(r#""{}""#, "AAAA".repeat(100_000)));
    let bytes = leaf.len() - 4 + 400_000;
    assert_eq!(long.len(), bytes);
    assert_eq!(Entry::parse(long.as_bytes()), Err(EntryError::TooLong(LeafTooLong { bytes })));
}

// ---- round trips and hostile bytes ----

fn any_signature() -> impl Strategy<Value = Signature> {
    let some = || prop::collection::vec(any::<u8>(), 1..200);
    (some(), any::<bool>(), some(), 1..=23).prop_map(|(content, is_key, raw, number)| Signature {
        content,
        verifier: if is_key { Verifier::PublicKey(raw) } else { Verifier::Certificate(raw) },
        key_details: KeyDetails::from_number(number).unwrap(),
    })
}

fn any_entry() -> impl Strategy<Value = Entry> {
    let algorithms =
        vec![HashAlgorithm::Sha2_256, HashAlgorithm::Sha2_384, HashAlgorithm::Sha2_512];
    let hashed = (prop::sample::select(algorithms), any::<[u8; 32]>(), any_signature());
    let hashed = hashed.prop_map(|(algorithm, seed, signature)| {
        let digest = seed.repeat(2)[..algorithm.digest_len()].to_vec();
        Entry::HashedRekord(HashedRekord { algorithm, digest, signature })
    });
    let dsse = (any_hash(), prop::collection::vec(any_signature(), 1..10));
    let dsse = dsse.prop_map(|(payload_hash, mut signatures)| {
        signatures.sort_by(|a, b| a.content.cmp(&b.content));
        Entry::Dsse(Dsse { payload_hash, signatures })
    });
    prop_oneof![hashed, dsse]
}

/// The same entry as sorted JSON by a general encoder.
fn slow_leaf(entry: &Entry) -> Vec<u8> {
    let signature = |s: &Signature| {
        let (field, raw) = match &s.verifier {
            Verifier::PublicKey(raw) => ("publicKey", raw),
            Verifier::Certificate(raw) => ("x509Certificate", raw),
        };
        serde_json::json!({
            "content": STANDARD.encode(&s.content),
            "verifier": { field: { "rawBytes": STANDARD.encode(raw) },
                          "keyDetails": s.key_details.name() },
        })
    };
    let spec = match entry {
        Entry::HashedRekord(e) => serde_json::json!({ "hashedRekordV002": {
            "signature": signature(&e.signature),
            "data": { "digest": STANDARD.encode(&e.digest), "algorithm": e.algorithm.name() },
        }}),
        Entry::Dsse(e) => serde_json::json!({ "dsseV002": {
            "signatures": e.signatures.iter().map(signature).collect::<Vec<_>>(),
            "payloadHash": { "digest": e.payload_hash.to_base64(), "algorithm": "SHA2_256" },
        }}),
    };
    let body = serde_json::json!({ "spec": spec, "kind": entry.kind(), "apiVersion": "0.0.2" });
    serde_json::to_vec(&body).unwrap()
}

proptest! {
    #[test]
    fn leaves_are_sorted_json_and_read_back(entry in any_entry()) {
        let leaf = entry.to_leaf().unwrap();
        prop_assert_eq!(leaf.as_bytes(), slow_leaf(&entry));
        prop_assert_eq!(Entry::parse(leaf.as_bytes()), Ok(entry));
    }

    #[test]
    fn only_canonical_leaves_are_read(entry in any_entry(), edits in edits()) {
        let bytes = mutate(entry.to_leaf().unwrap().as_bytes(), &edits);
        if let Ok(read) = Entry::parse(&bytes) {
            let leaf = read.to_leaf().unwrap();
            prop_assert_eq!(leaf.as_bytes(), bytes);
        }
    }

    #[test]
    fn arbitrary_bytes_are_no_entry(bytes: Vec<u8>) {
        prop_assert!(Entry::parse(&bytes).is_err());
    }
}

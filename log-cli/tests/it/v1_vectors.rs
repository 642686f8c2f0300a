//! Rekor v1 as the reference server was recorded, and entries of the public logs where they are at
//! hand.

use log_cli::log_entry::{EntryRefusal, LogEntry};
use log_cli::pem::pem_block;
use log_cli::protojson::{Bytes, Int64};
use log_cli::trusted_root::verifier_key;
use log_cli::v1::answer::{AnsweredEntry, parse_many, parse_one};
use log_cli::v1::attested::Attested;
use log_cli::v1::body::{self, Body};
use log_cli::v1::shown;
use log_core::{EntryId, Hash, LeafIndex, VerifierKey};
use serde_json::{Value, json};

fn recorded() -> Value {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/vectors/rekor-v1.json");
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

fn key(vectors: &Value) -> VerifierKey {
    let pem = vectors["log_public_key_pem"].as_str().unwrap();
    verifier_key("any.example", &pem_block(pem, "PUBLIC KEY").unwrap()).unwrap()
}

fn answer(vectors: &Value, case: &Value) -> Value {
    json!({ case["entryID"].as_str().unwrap(): {
        "body": case["body_b64"],
        "integratedTime": case["integratedTime"],
        "logID": vectors["logID"],
        "logIndex": case["logIndex"],
        "verification": {
            "inclusionProof": case["inclusionProof"],
            "signedEntryTimestamp": case["signedEntryTimestamp_b64"],
        },
    }})
}

fn answered(vectors: &Value, case: &Value) -> AnsweredEntry {
    parse_one(answer(vectors, case).to_string().as_bytes()).unwrap()
}

#[test]
fn every_recorded_answer_verifies_and_is_shown() {
    let vectors = recorded();
    let key = key(&vectors);
    let cases = vectors["cases"].as_array().unwrap();
    assert!(cases.len() >= 40);
    for case in cases {
        let AnsweredEntry { id, entry } = answered(&vectors, case);
        let attested = Attested::verify_answer(&entry, &id, &key).unwrap();
        let index = LeafIndex::new(case["logIndex"].as_u64().unwrap());
        assert_eq!(attested.index, index, "{}", case["name"]);
        let time = attested.time.unwrap().as_second();
        assert_eq!(time, case["integratedTime"].as_i64().unwrap());
        let included = attested.included.as_ref().unwrap();
        assert_eq!(included.checkpoint.origin.as_str(), vectors["origin"].as_str().unwrap());
        assert_eq!(attested.key.name().as_str(), vectors["hostname"].as_str().unwrap());
        let kind = (case["kind"].as_str().unwrap(), case["apiVersion"].as_str().unwrap());
        let named = &entry.kind_version;
        assert_eq!((named.kind.as_str(), named.version.as_str()), kind);
        let kinds = [body::HASHED_REKORD, body::DSSE, body::IN_TOTO, body::IN_TOTO_HASHES];
        let bundled = kinds.contains(&kind);
        let parsed = Body::parse(&entry.canonicalized_body.0);
        assert_eq!(parsed.is_ok(), bundled, "{}: {parsed:?}", case["name"]);
        let text = shown::describe(&id, &entry, &attested);
        assert!(text.contains(&format!("kind       {} {}", kind.0, kind.1)), "{text}");
    }
}

#[test]
fn names_in_certificates_are_shown() {
    let vectors = recorded();
    let mut found_by_name = 0;
    for case in vectors["cases"].as_array().unwrap() {
        let body = Bytes::from_base64(case["body_b64"].as_str().unwrap()).unwrap();
        let names = shown::identities(&body.0);
        // Every kind but these names a key.
        let keyless = ["rfc3161", "tuf"].contains(&case["kind"].as_str().unwrap());
        assert_eq!(names.is_empty(), keyless, "{}: {names:?}", case["name"]);
        if !case["name"].as_str().unwrap().contains("certificate") {
            continue;
        }
        for found in case["index"]["found"].as_array().unwrap() {
            // A certificate's names are what the entry is found by.
            let query = &found["query"];
            if let Some(name) = query["email"].as_str().or(query["subject"].as_str()) {
                let is_shown = names.iter().any(|shown| shown.eq_ignore_ascii_case(name));
                assert!(is_shown, "{}: {name} not in {names:?}", case["name"]);
                found_by_name += 1;
            }
        }
    }
    assert!(found_by_name >= 5, "{found_by_name}");
}

/// A changed entry and what it is refused for.
type Change = (&'static str, fn(&mut LogEntry), fn(&EntryRefusal) -> bool);

#[test]
fn every_changed_part_of_an_answer_is_refused() {
    let changes: [Change; 14] = [
        ("SET", |e| set(e).0[20] ^= 1, |r| matches!(r, EntryRefusal::Promise(_))),
        ("empty SET", |e| set(e).0.clear(), |r| matches!(r, EntryRefusal::Promise(_))),
        ("time", |e| e.integrated_time.0 += 1, |r| matches!(r, EntryRefusal::Promise(_))),
        ("time before 1970", |e| e.integrated_time.0 = -1, |r| matches!(r, EntryRefusal::Time)),
        ("index", |e| e.log_index.0 += 1, |r| matches!(r, EntryRefusal::Promise(_))),
        ("no index", |e| e.log_index = Int64(-1), |r| matches!(r, EntryRefusal::Index)),
        ("kind", |e| e.kind_version.kind.push('x'), |r| matches!(r, EntryRefusal::OtherBody)),
        ("log", |e| e.log_id.key_id.0[0] ^= 1, |r| matches!(r, EntryRefusal::OtherLog)),
        ("no SET", |e| e.inclusion_promise = None, |r| matches!(r, EntryRefusal::UnsignedTime)),
        ("no proof", |e| e.inclusion_proof = None, |r| matches!(r, EntryRefusal::NoProof)),
        ("proof", |e| proof(e).hashes[0].0[0] ^= 1, |r| matches!(r, EntryRefusal::Inclusion(_))),
        ("size", |e| proof(e).tree_size.0 += 1, |r| matches!(r, EntryRefusal::OtherHead)),
        ("root", |e| proof(e).root_hash.0[0] ^= 1, |r| matches!(r, EntryRefusal::OtherHead)),
        ("tree index", |e| proof(e).log_index.0 -= 1, |r| matches!(r, EntryRefusal::Inclusion(_))),
    ];
    let vectors = recorded();
    let key = key(&vectors);
    let AnsweredEntry { id, entry } = answered(&vectors, &vectors["cases"][20]);
    for (what, change, is_expected) in changes {
        let mut changed = entry.clone();
        change(&mut changed);
        let refusal = Attested::verify_answer(&changed, &id, &key).unwrap_err();
        assert!(is_expected(&refusal), "{what}: {refusal:?}");
    }
    let mut unpromised = entry.clone();
    (unpromised.inclusion_promise, unpromised.integrated_time) = (None, Int64(0));
    let refusal = Attested::verify_answer(&unpromised, &id, &key).unwrap_err();
    assert!(matches!(refusal, EntryRefusal::NoPromise));
}

fn set(entry: &mut LogEntry) -> &mut Bytes {
    &mut entry.inclusion_promise.as_mut().unwrap().signed_entry_timestamp
}

fn proof(entry: &mut LogEntry) -> &mut log_cli::log_entry::EntryProof {
    entry.inclusion_proof.as_mut().unwrap()
}

#[test]
fn checkpoints_of_other_texts_names_and_keys_are_refused() {
    let vectors = recorded();
    let key = key(&vectors);
    let AnsweredEntry { id, entry } = answered(&vectors, &vectors["cases"][20]);
    let note = entry.proof().unwrap().1.to_owned();
    let host = vectors["hostname"].as_str().unwrap();
    let changes = [
        note.replacen(host, "other.example", 1),
        note.replace(host, "other.example"),
        note.replace(" - ", " "),
        note.replace("\n\n\u{2014} ", "\nextension\n\n\u{2014} "),
        note.replacen("\n21\n", "\n22\n", 1),
        note.trim_end().to_owned(),
        note.split_once("\n\n").unwrap().0.to_owned(),
        String::new(),
    ];
    for change in changes {
        assert_ne!(change, note);
        let mut changed = entry.clone();
        changed.inclusion_proof.as_mut().unwrap().checkpoint.as_mut().unwrap().envelope = change;
        assert!(Attested::verify_answer(&changed, &id, &key).is_err());
    }
    let mut bare = entry.clone();
    bare.inclusion_proof.as_mut().unwrap().checkpoint = None;
    let refusal = Attested::verify_answer(&bare, &id, &key).unwrap_err();
    assert!(matches!(refusal, EntryRefusal::NoCheckpoint));
    // Another leaf, and another tree.
    let other = answered(&vectors, &vectors["cases"][21]).id;
    let elsewhere = EntryId { tree: log_core::TreeId::new(1).unwrap(), ..id };
    for id in [other, elsewhere] {
        let refusal = Attested::verify_answer(&entry, &id, &key).unwrap_err();
        assert!(matches!(refusal, EntryRefusal::OtherId));
    }
}

#[test]
fn answers_of_other_shapes_are_refused() {
    let vectors = recorded();
    let good = answer(&vectors, &vectors["cases"][3]);
    let id = vectors["cases"][3]["entryID"].as_str().unwrap();
    let text = good.to_string();
    assert!(parse_one(text.as_bytes()).is_ok());
    assert_eq!(parse_many(format!("[{text},{text}]").as_bytes()).unwrap().len(), 2);
    assert!(parse_many(b"[]").unwrap().is_empty());
    let two = json!({ id: good[id], format!("{}0", &id[..79]): good[id] });
    let mut shapes = vec![
        String::new(),
        "null".into(),
        "[]".into(),
        "{}".into(),
        "{\"x\":1}".into(),
        two.to_string(),
        text.replace(id, &id[..64]),
        text.replace(id, "x"),
        "[".repeat(200_000),
    ];
    for pointer in ["body", "integratedTime", "logID", "logIndex", "verification"] {
        for value in [Value::Null, json!("!"), json!(1.5), json!([]), json!({})] {
            let mut changed = good.clone();
            *changed.pointer_mut(&format!("/{id}/{pointer}")).unwrap() = value;
            shapes.push(changed.to_string());
        }
    }
    for pointer in ["checkpoint", "hashes", "logIndex", "rootHash", "treeSize"] {
        for value in [Value::Null, json!(1.5), json!(["x"]), json!({})] {
            let mut changed = good.clone();
            let place = format!("/{id}/verification/inclusionProof/{pointer}");
            *changed.pointer_mut(&place).unwrap() = value;
            shapes.push(changed.to_string());
        }
    }
    for shape in shapes {
        // Without its promise and proof an answer has the right shape and proves nothing.
        let parsed = parse_one(shape.as_bytes());
        let proves_nothing = parsed.as_ref().is_ok_and(|answer| {
            Attested::verify_answer(&answer.entry, &answer.id, &key(&vectors)).is_err()
        });
        assert!(parsed.is_err() || proves_nothing, "{shape:.200}");
        assert!(parse_many(shape.as_bytes()).map_or(true, |list| list.is_empty()));
    }
}

#[test]
fn entries_of_the_public_logs_verify() {
    let Some(place) = std::env::var_os("CAIRN_EXTRA_VECTORS") else {
        eprintln!("skipped: CAIRN_EXTRA_VECTORS is not set");
        return;
    };
    let path = std::path::Path::new(&place).join("rekor-v1-upstream.json");
    let vectors: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let entries = vectors["realEntries"].as_array().unwrap();
    assert_eq!(entries.len(), 4);
    for real in entries {
        let der = Bytes::from_base64(real["logPublicKeyDer_b64"].as_str().unwrap()).unwrap();
        let key = verifier_key("any.example", &der.0).unwrap();
        let leaf_hash = Hash::from_hex(real["leafHash"].as_str().unwrap()).unwrap();
        // The one that comes without its id has a promise only.
        let id = real["entryID"].as_str();
        let member = match id {
            Some(id) => real["entry"][id].clone(),
            None => real["entry"].clone(),
        };
        let map = json!({ id.map_or(format!("{:016x}{leaf_hash}", 1), str::to_owned): member });
        let AnsweredEntry { id: parsed, entry } = parse_one(map.to_string().as_bytes()).unwrap();
        assert_eq!(parsed.leaf_hash, leaf_hash);
        let attested = Attested::verify(&entry, &key).unwrap();
        assert!(attested.time.is_some());
        assert_eq!(attested.included.is_some(), id.is_some(), "{}", real["name"]);
        if let Some(included) = attested.included {
            Attested::verify_answer(&entry, &parsed, &key).unwrap();
            assert!(included.index < attested.index, "{}", real["name"]);
        }
        let mut later = entry.clone();
        later.integrated_time.0 += 1;
        assert!(Attested::verify(&later, &key).is_err());
        Body::parse(&entry.canonicalized_body.0).unwrap();
    }
}

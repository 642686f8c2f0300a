//! The vectors: requests and what a real server made of them.

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::super::json::Json;
use super::super::search::{KeyFormat, hash_key, public_key_key, subject_key};
use super::super::{Admitted, Kind, Refusal, create_entry, create_quick_entry, look_up};
use super::{every_kind, now, recorded};

/// What is not at hand in this repository.
fn upstream() -> Option<Value> {
    let Some(directory) = std::env::var_os("CAIRN_EXTRA_VECTORS") else {
        eprintln!("skipped: CAIRN_EXTRA_VECTORS is not set");
        return None;
    };
    let path = PathBuf::from(directory).join("rekor-v1-upstream.json");
    let file = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(serde_json::from_slice(&file).unwrap())
}

fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

/// The body of a request: JSON that the file holds as such or as a text.
fn body(vector: &Value) -> String {
    match (&vector["requestText"], &vector["request"]) {
        (Value::String(text), _) | (_, Value::String(text)) => text.clone(),
        (_, request) => request.to_string(),
    }
}

fn admit(vector: &Value) -> Admitted {
    create_entry(body(vector).as_bytes(), &every_kind(), now())
        .unwrap_or_else(|refusal| panic!("{}: {refusal}", vector["name"]))
}

#[test]
fn every_recorded_body_is_made_again() {
    let file = recorded();
    let cases = list(&file["cases"]);
    let kinds: HashSet<_> = cases.iter().map(|case| text(&case["kind"])).collect();
    assert_eq!(kinds.len(), Kind::ALL.len(), "{kinds:?}");
    for case in cases {
        let admitted = admit(case);
        let expected = STANDARD.decode(text(&case["body_b64"])).unwrap();
        let actual = String::from_utf8_lossy(admitted.leaf.as_bytes()).into_owned();
        assert_eq!(actual, String::from_utf8_lossy(&expected), "{}", case["name"]);
        assert_eq!(admitted.leaf.hash().to_string(), case["leafHash"], "{}", case["name"]);
        assert_eq!(admitted.kind.name(), case["kind"]);
        assert_eq!(admitted.version, case["apiVersion"]);
    }
}

/// The search keys of a query; none if the query itself is refused.
#[test]
fn kinds_with_few_signatures_are_quick_and_admitted_the_same() {
    let mut quick = HashSet::new();
    for vector in list(&recorded()["cases"]) {
        let admitted = admit(vector);
        let text = body(vector);
        let at_once = create_quick_entry(text.as_bytes(), &every_kind(), now()).unwrap();
        if let Some(at_once) = at_once {
            quick.insert(at_once.kind.name());
            assert_eq!(at_once, admitted, "{}", vector["name"]);
        } else {
            assert!(!quick.contains(admitted.kind.name()), "{}", vector["name"]);
        }
    }
    assert_eq!(quick, HashSet::from(["hashedrekord", "dsse", "intoto"]));
    // What is refused before its kind is looked into is refused at once, whatever the kind.
    for refused in ["", "x", "{}", r#"{"kind":"jar"}"#] {
        let at_once = create_quick_entry(refused.as_bytes(), &every_kind(), now());
        assert_eq!(at_once, create_entry(refused.as_bytes(), &every_kind(), now()).map(Some));
        assert!(at_once.is_err(), "{refused}");
    }
}

fn query_keys(query: &Value) -> Vec<String> {
    let member = |name: &str| query[name].as_str();
    let key = &query["publicKey"];
    let format = key["format"].as_str().and_then(KeyFormat::from_name);
    let public_key = format.and_then(|format| {
        public_key_key(format, &STANDARD.decode(text(&key["content"])).unwrap(), now())
    });
    let keys = [
        member("hash").and_then(hash_key),
        member("email").map(subject_key),
        member("subject").map(subject_key),
        public_key,
    ];
    keys.into_iter().flatten().collect()
}

#[test]
fn every_recorded_query_finds_what_it_should() {
    let file = recorded();
    let mut checked = 0;
    for case in list(&file["cases"]) {
        let keys: HashSet<String> = admit(case).index_keys.into_iter().collect();
        let found = |query: &Value| query_keys(query).iter().any(|key| keys.contains(key));
        for query in list(&case["index"]["found"]) {
            assert!(found(&query["query"]), "{}: {query}\n{keys:?}", case["name"]);
            checked += 1;
        }
        for query in list(&case["index"]["notFound"]) {
            let differs = query.get("cairn").is_some();
            assert_eq!(found(&query["query"]), differs, "{}: {query}", case["name"]);
            checked += 1;
        }
    }
    assert!(checked > 50, "{checked}");
}

#[test]
fn the_same_entry_in_other_words_is_the_same_entry() {
    let file = recorded();
    for vector in list(&file["sameEntry"]) {
        let case = |case: &&Value| case["name"] == vector["sameEntryAs"];
        let case = list(&file["cases"]).iter().find(case).unwrap();
        assert_eq!(admit(vector).leaf, admit(case).leaf, "{}", vector["name"]);
    }
}

/// What a server of ours answers where it differs on purpose: its code, and no words to compare.
fn expected_code(vector: &Value, recorded: &Value) -> Value {
    vector["cairn"].as_str().map_or_else(|| recorded["code"].clone(), |code| code.parse().unwrap())
}

fn check_refusal(vector: &Value, refusal: &Refusal) {
    let (name, body) = (&vector["name"], &vector["body"]);
    assert_eq!(expected_code(vector, body), refusal.code(), "{name}");
    let (actual, expected) = (refusal.to_string(), text(&body["message"]));
    match vector["comparePrefix"].as_str() {
        Some(prefix) => assert!(actual.starts_with(prefix), "{name}: {actual}"),
        None if vector.get("cairn").is_some() => {}
        None => assert_eq!(actual, expected, "{name}"),
    }
}

#[test]
fn every_recorded_refusal_has_its_words() {
    let file = recorded();
    // The content type is looked at before the body.
    let vectors = list(&file["rejections"]).iter();
    for vector in vectors.filter(|vector| vector["name"] != "content-type") {
        let refused = create_entry(body(vector).as_bytes(), &every_kind(), now());
        check_refusal(vector, &refused.expect_err(text(&vector["name"])));
    }
}

/// Of the kinds that can be looked up in their stored form.
#[test]
fn a_stored_entry_is_found_by_itself() {
    let file = recorded();
    for case in list(&file["cases"]) {
        let stored = STANDARD.decode(text(&case["body_b64"])).unwrap();
        let found = look_up(Json::first(&stored).unwrap().unwrap(), now());
        let has_stored_form =
            matches!(text(&case["kind"]), "dsse" | "hashedrekord" | "intoto" | "rfc3161" | "tuf");
        match found {
            Ok(leaf) if has_stored_form => {
                assert_eq!(leaf.as_bytes(), stored, "{}", case["name"]);
            }
            Err(_) if !has_stored_form => {}
            other => panic!("{}: {other:?}", case["name"]),
        }
        let request = body(case);
        let proposed = Json::first(request.as_bytes()).unwrap().unwrap();
        assert_eq!(look_up(proposed, now()).unwrap().as_bytes(), stored, "{}", case["name"]);
    }
}

#[test]
fn upstreams_own_entries_are_made_again() {
    let Some(file) = upstream() else { return };
    let mut checked = 0;
    for (name, vector) in file["vectors"].as_object().unwrap() {
        let body = vector["request"].to_string();
        let admit = |now| create_entry(body.as_bytes(), &every_kind(), now);
        // That metadata has expired since.
        let in_its_days = "2021-12-01T00:00:00Z".parse().unwrap();
        let admitted = admit(if name == "tuf" { in_its_days } else { now() });
        let admitted = admitted.unwrap_or_else(|refusal| panic!("{name}: {refusal}"));
        assert_eq!(admit(now()).is_err(), name == "tuf", "{name}");
        let actual = String::from_utf8_lossy(admitted.leaf.as_bytes()).into_owned();
        assert_eq!(actual, vector["canonicalBody"], "{name}");
        assert_eq!(admitted.leaf.hash().to_string(), vector["uuid_leafHash"], "{name}");
        // An SSH comment is listed there by mistake: nothing stores it.
        let keys = list(&vector["indexKeys"]).iter().map(text).filter(|key| !key.contains('@'));
        let keys: Vec<_> = keys.collect();
        assert_eq!(admitted.index_keys[..keys.len()], keys, "{name}");
        checked += 1;
    }
    assert!(checked >= 5, "{checked}");
}

#[test]
fn upstreams_other_words_are_the_same_entry() {
    let Some(file) = upstream() else { return };
    for vector in list(&file["sameEntry"]) {
        let same = &file["vectors"][text(&vector["sameEntryAs"])];
        assert_eq!(admit(vector).leaf, admit(same).leaf, "{}", vector["name"]);
    }
}

#[test]
fn upstreams_refusals_have_their_words() {
    let Some(file) = upstream() else { return };
    for vector in list(&file["rejections"]) {
        let name = &vector["name"];
        let refusal =
            create_entry(body(vector).as_bytes(), &every_kind(), now()).expect_err(text(name));
        let expected = &vector["expected"];
        let status = if matches!(refusal.code(), 422 | 600..) { 422 } else { 400 };
        assert_eq!(expected["status"], status, "{name}");
        let (actual, body) = (refusal.to_string(), &expected["body"]["message"]);
        if let Some(message) = expected["message"].as_str().or(body.as_str()) {
            assert_eq!(actual, message, "{name}");
        }
        if let Some(prefix) = expected["messagePrefix"].as_str() {
            assert!(actual.starts_with(prefix), "{name}: {actual}");
        }
    }
}

#[test]
fn entries_of_the_public_logs_are_found() {
    let Some(file) = upstream() else { return };
    for real in list(&file["realEntries"]) {
        let entry = &real["entry"];
        let entry = entry.as_object().unwrap().values().find(|v| v.is_object()).unwrap_or(entry);
        let entry = if entry.get("body").is_some() { entry } else { &real["entry"] };
        let stored = STANDARD.decode(text(&entry["body"])).unwrap();
        let leaf = look_up(Json::first(&stored).unwrap().unwrap(), now()).unwrap();
        assert_eq!(leaf.as_bytes(), stored, "{}", real["name"]);
    }
}

//! Requests made of the reference project's own fixtures. They are not in this repository:
//! `CAIRN_EXTRA_VECTORS` may name a directory that has them.

use std::fs;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::recorded::{list, request, take_every_kind};
use super::*;

fn vectors() -> Option<Value> {
    let directory = std::env::var_os("CAIRN_EXTRA_VECTORS")?;
    let path = PathBuf::from(directory).join("rekor-v1-upstream.json");
    let file = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    Some(serde_json::from_slice(&file).expect("JSON"))
}

#[test]
fn entries_of_the_reference_project_are_logged_as_computed() {
    let Some(file) = vectors() else {
        return eprintln!("skipped: CAIRN_EXTRA_VECTORS is not set");
    };
    let scene = Scene::set(0, take_every_kind);
    let mut connection = scene.connect();
    let vectors = file["vectors"].as_object().expect("vectors");
    assert!(vectors.len() >= 15);
    for (name, vector) in vectors {
        let response = connection.send(&request(vector));
        if name == "tuf" {
            // Its metadata expired years ago.
            let refused = response.expect(400).json();
            let message = refused["message"].as_str().expect("text");
            assert!(message.contains("expired"), "{message}");
            continue;
        }
        let response = response.expect(201);
        assert_canonical(&response);
        let entry = scene.log.verify(&response.json());
        let body = vector["canonicalBody"].as_str().expect("text");
        assert_eq!(String::from_utf8_lossy(entry.said.leaf.as_bytes()), body, "{name}");
        assert_eq!(entry.id[16..], *vector["uuid_leafHash"].as_str().expect("hex"), "{name}");
        let read = connection.send(&Request::get(&below(ENTRIES, &entry.id[16..]))).expect(200);
        assert_eq!(scene.log.verify(&read.json()).id, entry.id, "{name}");
    }
    for vector in list(&file["sameEntry"]) {
        let same = vector["sameEntryAs"].as_str().or(vector["sameAs"].as_str());
        let same = same.unwrap_or_else(|| panic!("as which entry? {vector}"));
        let hash = vectors[same]["uuid_leafHash"].as_str().expect("hex");
        let known = connection.send(&request(vector)).expect(409);
        assert!(known.header("location").expect("a location").ends_with(hash), "{vector}");
    }
    for vector in list(&file["rejections"]) {
        let response = connection.send(&request(vector));
        let expected = &vector["expected"];
        let member = |name: &str| vector.get(name).or(expected.get(name));
        let status = member("status").and_then(Value::as_u64).expect("a status");
        assert_eq!(u64::from(response.status), status, "{vector}: {}", response.text());
        let answer = response.json();
        let message = answer["message"].as_str().expect("text");
        if let Some(whole) = member("message").and_then(Value::as_str) {
            assert_eq!(message, whole, "{vector}");
        } else if let Some(start) = member("messagePrefix").and_then(Value::as_str) {
            assert!(message.starts_with(start), "{vector}: {message}");
        }
    }
    scene.assert_goes_on();
}

/// The verifier of these tests agrees with the public logs.
#[test]
fn entries_of_the_public_logs_have_the_shape_that_is_answered_here() {
    let Some(file) = vectors() else {
        return eprintln!("skipped: CAIRN_EXTRA_VECTORS is not set");
    };
    let scene = Scene::of(1);
    let ours = scene.server.get(&format!("{ENTRIES}?logIndex=0")).expect(200).json();
    let shape = |entry: &Value| -> Vec<String> {
        let entry = entry.as_object().expect("an object");
        let proof = &entry["verification"]["inclusionProof"];
        let inner = proof.as_object().into_iter().flat_map(|proof| proof.keys().cloned());
        entry.keys().cloned().chain(inner).collect()
    };
    let ours = shape(&ours[&scene.entries[0].id]);
    let mut compared = 0;
    for real in list(&file["realEntries"]) {
        let entry = real["entry"].as_object().expect("an object");
        // One stands without the map around it, and without a proof.
        let Some((id, entry)) = entry.iter().next().filter(|(id, _)| id.len() == 80) else {
            continue;
        };
        assert_eq!(shape(entry), ours, "{}", real["name"]);
        let body = STANDARD.decode(entry["body"].as_str().expect("text")).expect("base64");
        assert_eq!(id[16..], log_core::hash_leaf(&body).to_string(), "{}", real["name"]);
        compared += 1;
    }
    assert!(compared >= 2, "{compared}");
}

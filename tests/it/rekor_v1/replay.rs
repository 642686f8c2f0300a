//! The recorded requests again, against a log with the same key and tree: ids, bodies, headers,
//! proofs and roots are equal byte for byte, and what is signed anew verifies.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use log_core::hash_leaf;
use log_tests::check_log_of;

use super::recorded::{Recorded, list, request};
use super::*;

#[test]
fn everything_recorded_is_answered_as_recorded() {
    let recorded = Recorded::load();
    let dir = recorded.log();
    let server = dir.start();
    let log = LogV1::of(&server);
    assert_eq!(log.origin().as_str(), recorded.text("origin"));
    assert_eq!(log.key().full_id_hash().to_string(), recorded.text("logID"));
    let key = server.get(PUBLIC_KEY).expect(200);
    assert_eq!(key.text(), recorded.text("log_public_key_pem"));

    let mut connection = server.connect();
    let times: Vec<u64> = recorded
        .list("cases")
        .iter()
        .map(|case| check_case(case, &recorded, &log, &mut connection))
        .collect();
    assert_eq!(times.len(), 40);
    assert!(times.is_sorted(), "times go back: {times:?}");
    for vector in recorded.list("sameEntry") {
        check_same_entry(vector, &mut connection);
    }
    for vector in recorded.list("rejections") {
        check_rejection(vector, &mut connection);
    }
    check_what_is_there(&recorded, &log, &times, &mut connection);

    // The same log after a restart says the same.
    let before = check_log_of(&format!("{}/logs/{NAME}", server.url()), log.origin(), log.key());
    assert_eq!(before.leaves.len(), 40);
    assert!(server.terminate().status.success());
    dir.assert_sound();
    let server = dir.start();
    check_what_is_there(&recorded, &log, &times, &mut server.connect());
}

/// Submits a case. Gives the time that was promised.
#[track_caller]
fn check_case(case: &Value, recorded: &Recorded, log: &LogV1, connection: &mut Connection) -> u64 {
    let name = case["name"].as_str().expect("a name");
    let response = connection.send(&request(case));
    assert_eq!(response.status, 201, "{name}: {}", response.text());
    assert_canonical(&response);
    for (header, value) in case["headers"].as_object().expect("headers") {
        let actual = response.header(&header.to_ascii_lowercase());
        assert_eq!(actual, value.as_str(), "{name}: {header}");
    }
    let answer = response.json();
    let entry = log.verify(&answer);
    assert_eq!(entry.id, case["entryID"], "{name}");
    assert_eq!(hash_leaf(entry.said.leaf.as_bytes()).to_string(), case["leafHash"], "{name}");
    check_entry(case, &answer[&entry.id], recorded);

    let (proof, expected) =
        (&answer[&entry.id]["verification"]["inclusionProof"], &case["inclusionProof"]);
    for member in ["hashes", "logIndex", "rootHash", "treeSize"] {
        assert_eq!(proof[member], expected[member], "{name}: {member}");
    }
    // Only the signature is another one.
    assert_eq!(note_text(&proof["checkpoint"]), note_text(&expected["checkpoint"]), "{name}");
    entry.time_s
}

/// What is said of an entry whenever it is read.
#[track_caller]
fn check_entry(case: &Value, entry: &Value, recorded: &Recorded) {
    let members: Vec<_> = entry.as_object().expect("an object").keys().collect();
    let all = ["body", "integratedTime", "logID", "logIndex", "verification"];
    assert_eq!(members, all, "{}", case["name"]);
    assert_eq!(entry["body"], case["body_b64"], "{}", case["name"]);
    assert_eq!(entry["logIndex"], case["logIndex"], "{}", case["name"]);
    assert_eq!(entry["logID"], recorded.text("logID"), "{}", case["name"]);
}

fn note_text(note: &Value) -> &str {
    note.as_str().and_then(|note| note.split("\n\n").next()).expect("a note")
}

#[track_caller]
fn check_same_entry(vector: &Value, connection: &mut Connection) {
    let name = &vector["name"];
    let response = connection.send(&request(vector));
    assert_eq!(response.status, vector["status"], "{name}: {}", response.text());
    assert_json(&response, &vector["body"]);
    let location = vector["headers"]["Location"].as_str();
    assert_eq!(response.header("location"), location, "{name}");
    for absent in list(&vector["absentHeaders"]) {
        let absent = absent.as_str().expect("a name").to_ascii_lowercase();
        assert_eq!(response.header(&absent), None, "{name}: {absent}");
    }
    connection.send(&Request::get(location.expect("a location"))).expect(200);
}

#[track_caller]
fn check_rejection(vector: &Value, connection: &mut Connection) {
    let name = &vector["name"];
    let response = connection.send(&request(vector));
    let ours = vector["cairn"].as_str().map(|status| status.parse::<u16>().expect("a status"));
    let status = vector["status"].as_u64().and_then(|status| status.try_into().ok());
    assert_eq!(Some(response.status), ours.or(status), "{name}: {}", response.text());
    assert_canonical(&response);
    let (answer, expected) = (response.json(), &vector["body"]);
    match (ours, vector["comparePrefix"].as_str()) {
        (None, None) => assert_eq!(answer, *expected, "{name}"),
        (_, prefix) => {
            let code = ours.map_or_else(|| expected["code"].clone(), Value::from);
            assert_eq!(answer["code"], code, "{name}");
            let message = answer["message"].as_str().expect("a message");
            assert!(message.starts_with(prefix.unwrap_or_default()), "{name}: {message}");
        }
    }
}

/// Reads every entry in every way, searches for everything, and asks for the recorded proofs.
#[track_caller]
fn check_what_is_there(
    recorded: &Recorded,
    log: &LogV1,
    times: &[u64],
    connection: &mut Connection,
) {
    for (case, time_s) in recorded.list("cases").iter().zip(times) {
        let (id, index) = (case["entryID"].as_str().expect("an id"), &case["logIndex"]);
        for path in
            [format!("{ENTRIES}?logIndex={index}"), below(ENTRIES, id), below(ENTRIES, &id[16..])]
        {
            let answer = connection.send(&Request::get(&path)).expect(200).json();
            let entry = log.verify(&answer);
            assert_eq!((entry.id.as_str(), entry.time_s), (id, *time_s), "{path}");
            check_entry(case, &answer[id], recorded);
        }
        check_index(case, id, connection);
    }
    for search in recorded.list("searches") {
        check_search(search, recorded, connection);
    }
    let (answer, expected) = (connection.send(&Request::get(LOG)), recorded.value("finalLog"));
    assert_canonical(&answer);
    let mut answer = answer.json();
    let note = answer["signedTreeHead"].take();
    assert_eq!(note_text(&note), note_text(&expected["signedTreeHead"]));
    log.head(note.as_str().expect("a note"));
    answer["signedTreeHead"] = expected["signedTreeHead"].clone();
    assert_eq!(answer, *expected);
    for proof in recorded.list("consistency") {
        let (first, last) = (&proof["firstSize"], &proof["lastSize"]);
        let path = format!("{PROOF}?firstSize={first}&lastSize={last}");
        let answer = connection.send(&Request::get(&path)).expect(200);
        assert_json(&answer, &json!({ "hashes": proof["hashes"], "rootHash": proof["rootHash"] }));
    }
}

/// The queries that found this entry, and those that did not. Where this server differs on
/// purpose, it finds more.
#[track_caller]
fn check_index(case: &Value, id: &str, connection: &mut Connection) {
    let found = list(&case["index"]["found"]).iter().map(|query| (query, true));
    let not_found = list(&case["index"]["notFound"]).iter();
    let not_found = not_found.map(|query| (query, query.get("cairn").is_some()));
    for (query, expected) in found.chain(not_found) {
        let response = connection.send(&post(SEARCH, &query["query"].to_string()));
        assert_canonical(&response);
        match query["status"].as_u64() {
            Some(status) => {
                assert_eq!(u64::from(response.status), status, "{}: {query}", case["name"]);
                assert_eq!(response.json(), query["body"], "{}: {query}", case["name"]);
            }
            None => {
                let ids = response.expect(200).json();
                let contains = list(&ids).contains(&id.into());
                assert_eq!(contains, expected, "{}: {query}: {ids}", case["name"]);
            }
        }
    }
}

#[track_caller]
fn check_search(search: &Value, recorded: &Recorded, connection: &mut Connection) {
    let why = &search["why"];
    let response = connection.send(&post(SEARCH, &search["query"].to_string()));
    assert_eq!(response.status, search["status"], "{why}: {}", response.text());
    let Some(names) = search["entries"].as_array() else {
        return assert_json(&response, &search["body"]);
    };
    assert_canonical(&response);
    // There in no order, here in the order of the entries.
    let ids = names.iter().map(|name| recorded.id_of(name.as_str().expect("a name")));
    let mut expected: Vec<&str> = ids.collect();
    let place = |id: &&str| recorded.list("cases").iter().position(|case| case["entryID"] == *id);
    expected.sort_by_key(place);
    assert_eq!(response.json(), json!(expected), "{why}");
}

#[test]
fn recorded_entries_are_looked_up_by_what_was_submitted() {
    let recorded = Recorded::load();
    let dir = recorded.log();
    let server = dir.start();
    let log = LogV1::of(&server);
    let mut connection = server.connect();
    for case in recorded.list("cases") {
        connection.send(&request(case)).expect(201);
    }
    for (case, at) in recorded.list("cases").iter().zip(0_u64..) {
        let body = json!({ "entries": [case["request"]], "logIndexes": [at] });
        let answer = connection.send(&post(RETRIEVE, &body.to_string())).expect(200).json();
        assert_eq!(list(&answer).len(), 2, "{}", case["name"]);
        for found in list(&answer) {
            assert_eq!(log.verify(found).id, case["entryID"], "{}", case["name"]);
        }
        // The stored form of some kinds says all that the leaf is made of.
        let body = STANDARD.decode(case["body_b64"].as_str().expect("text")).expect("base64");
        let stored: Value = serde_json::from_slice(&body).expect("JSON");
        let entries = json!({ "entries": [stored] }).to_string();
        let answer = connection.send(&post(RETRIEVE, &entries));
        match case["kind"].as_str() {
            Some("hashedrekord" | "dsse" | "rfc3161") => {
                let found = answer.expect(200).json();
                assert_eq!(log.verify(&found[0]).id, case["entryID"], "{}", case["name"]);
            }
            Some("rekord" | "alpine" | "cose") => {
                answer.expect(400);
            }
            _ => assert!([200, 400].contains(&answer.status), "{}", answer.text()),
        }
    }
}

//! Every route with its statuses, headers and shapes.

use log_core::{ConsistencyProof, Hash, TreeSize};
use log_tests::check::head_of;
use serde_json::Map;

use super::*;

const NO_CACHE: [(&str, &str); 4] = [
    ("cache-control", "no-cache, no-store, no-transform, must-revalidate, private, max-age=0"),
    ("pragma", "no-cache"),
    ("expires", "Thu, 01 Jan 1970 00:00:00 GMT"),
    ("x-accel-expires", "0"),
];

#[test]
fn ping_is_a_dot_and_there_is_no_other_health_check() {
    let scene = Scene::of(0);
    let mut connection = scene.connect();
    for path in ["/ping", "/ping/", "//ping"] {
        let answer = Answer::Text("text/plain", ".".into());
        row("ping", Request::get(path), 200, answer).check(&mut connection);
    }
    let head = connection.send(&Request::new("HEAD", "/ping")).expect(200);
    assert_eq!((head.header("content-type"), head.body.len()), (Some("text/plain"), 0));
    refusal("ping takes nothing", post("/ping", ""), 404, "path /ping was not found")
        .check(&mut connection);
    for path in ["/api/v1/version", "/api/v1/timestamp", "/api/v1", "/api/v1/log/nothing/"] {
        let message = format!("path {path} was not found");
        refusal("not served", Request::get(path), 404, &message).check(&mut connection);
    }
    connection.send(&Request::get("/version")).expect(404);
}

#[test]
fn an_empty_log_has_the_root_of_nothing() {
    let scene = Scene::of(0);
    let mut connection = scene.connect();
    let answer = connection.send(&Request::get(LOG)).expect(200).json();
    assert_eq!(answer["treeSize"], 0);
    assert_eq!(answer["rootHash"], Hash::EMPTY_ROOT.to_string());
    let nothing = || Answer::Nothing;
    let id = format!(
        "{}{}",
        &scene.log.entry_id(&SubmissionMakerV1::new().dsse().leaf)[..16],
        "0".repeat(64)
    );
    for path in [format!("{ENTRIES}?logIndex=0"), below(ENTRIES, &id), below(ENTRIES, &id[16..])] {
        row("nothing is there", Request::get(&path), 404, nothing()).check(&mut connection);
    }
    let none = Answer::Json(json!([]));
    row("nothing found", post(RETRIEVE, r#"{"logIndexes":[0]}"#), 200, none).check(&mut connection);
    let message = "the tree size requested(1) was greater than what is currently observable(0)";
    refusal("no proof", Request::get("/api/v1/log/proof?lastSize=1"), 400, message)
        .check(&mut connection);
}

#[test]
fn the_state_of_the_log_is_read_under_every_spelling_of_its_path() {
    let scene = Scene::of(3);
    let mut connection = scene.connect();
    let head = head_of(scene.entries.iter().map(|entry| entry.said.leaf.hash()));
    let tree = u64::from_str_radix(&scene.entries[0].id[..16], 16).expect("hex");
    for path in [LOG, "/api/v1/log/", "//api/v1/log", "/api//v1/log//", "/api/v1/log?stable=true&x"]
    {
        let request =
            Request::get(path).header("if-none-match", "*").header("accept-encoding", "gzip");
        let response = connection.send(&request).expect(200);
        assert_canonical(&response);
        for (name, value) in NO_CACHE {
            assert_eq!(response.header(name), Some(value), "{path}");
        }
        let answer = response.json();
        let members: Vec<_> = answer.as_object().expect("an object").keys().cloned().collect();
        let names = ["inactiveShards", "rootHash", "signedTreeHead", "treeID", "treeSize"];
        assert_eq!(members, names, "{path}");
        assert_eq!(answer["inactiveShards"], Value::Null);
        assert_eq!(answer["treeID"], tree.to_string());
        assert_eq!(answer["treeSize"], 3);
        assert_eq!(answer["rootHash"], head.root_hash.to_string());
        assert_eq!(scene.log.head(answer["signedTreeHead"].as_str().expect("a note")), head);
    }
}

#[test]
fn the_public_key_is_pem_or_a_string_of_it() {
    let scene = Scene::of(1);
    let mut connection = scene.connect();
    let plain = connection.send(&Request::get(PUBLIC_KEY)).expect(200);
    let pem = plain.text().to_owned();
    assert!(pem.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{pem}");
    assert!(pem.ends_with("\n-----END PUBLIC KEY-----\n"), "{pem}");
    assert!(pem.lines().all(|line| line.len() <= 64), "{pem}");
    let tree = u64::from_str_radix(&scene.entries[0].id[..16], 16).expect("hex");
    let file = "application/x-pem-file";
    let as_file = || Answer::Text(file, pem.clone());
    let path = |query: &str| Request::get(&format!("{PUBLIC_KEY}{query}"));
    let as_json = format!("{}\n", Value::from(pem.as_str()));
    for row in [
        row("any type", path("").header("accept", "*/*"), 200, as_file()),
        row("its tree", path(&format!("?treeID={tree}")), 200, as_file()),
        row("an empty tree id is none", path("?treeID="), 200, as_file()),
        row(
            "as JSON",
            path("").header("accept", "application/json"),
            200,
            Answer::Text("application/json", as_json),
        ),
        row(
            "another tree",
            path("?treeID=1"),
            400,
            Answer::Text(file, "{\"code\":400,\"message\":\"Bad Request\"}\n".into()),
        ),
        row(
            "no tree can have it",
            path("?treeID=99999999999999999999"),
            400,
            Answer::Text(file, "{\"code\":400,\"message\":\"Bad Request\"}\n".into()),
        ),
        invalid("no number", path("?treeID=-1"), 605, "treeID in query should match '^[0-9]+$'"),
        refusal(
            "no type that there is",
            path("").header("accept", "text/html"),
            406,
            "unsupported media type requested, only [application/x-pem-file application/json] \
             are available",
        ),
    ] {
        let response = row.check(&mut connection);
        assert_eq!(response.header("pragma"), Some("no-cache"), "{}", row.what);
    }
}

#[test]
fn consistency_proofs_verify_and_name_the_newest_root() {
    let scene = Scene::of(5);
    let mut connection = scene.connect();
    let tree = u64::from_str_radix(&scene.entries[0].id[..16], 16).expect("hex");
    let head = |size: usize| head_of(scene.entries[..size].iter().map(|e| e.said.leaf.hash()));
    let newest = head(5).root_hash.to_string();
    for last in 1..=5 {
        for first in 1..=last {
            let path = format!("{PROOF}?firstSize={first}&lastSize={last}&treeID={tree}");
            let response = connection.send(&Request::get(&path)).expect(200);
            assert_canonical(&response);
            let answer = response.json();
            assert_eq!(answer["rootHash"], newest, "{first} {last}");
            let hashes = answer["hashes"].as_array().expect("hashes").iter();
            let hashes: Vec<Hash> = hashes
                .map(|hash| Hash::from_hex(hash.as_str().expect("hex")).expect("hash"))
                .collect();
            ConsistencyProof::from_hashes(hashes)
                .verify(&head(first), &head(last))
                .unwrap_or_else(|error| panic!("{first} {last}: {error}"));
        }
    }
    let all = connection.send(&Request::get(&format!("{PROOF}/?lastSize=5"))).expect(200).json();
    let one = connection.send(&Request::get(&format!("{PROOF}?firstSize=1&lastSize=5"))).json();
    assert_eq!(all, one, "the first tree is that of one leaf unless another is named");
    assert_eq!(TreeSize::new(5), head(5).size);
}

#[test]
fn proofs_of_sizes_that_are_none() {
    let scene = Scene::of(3);
    let mut connection = scene.connect();
    let path = |query: &str| Request::get(&format!("{PROOF}?{query}"));
    for row in [
        invalid("last is missing", path(""), 602, "lastSize in query is required"),
        invalid("last is empty", path("lastSize="), 602, "lastSize in query is required"),
        invalid(
            "last is no number",
            path("lastSize=abc"),
            601,
            "lastSize in query must be of type int64: \"abc\"",
        ),
        invalid(
            "last is too large for a number",
            path("lastSize=9223372036854775808"),
            601,
            "lastSize in query must be of type int64: \"9223372036854775808\"",
        ),
        invalid(
            "last is 0",
            path("lastSize=0"),
            609,
            "lastSize in query should be greater than or equal to 1",
        ),
        invalid(
            "first is 0, and is looked at first",
            path("firstSize=0&lastSize=0"),
            609,
            "firstSize in query should be greater than or equal to 1",
        ),
        invalid(
            "first is below 0",
            path("firstSize=-1&lastSize=2"),
            609,
            "firstSize in query should be greater than or equal to 1",
        ),
    ] {
        row.check(&mut connection);
    }
}

#[test]
fn proofs_that_the_log_cannot_give() {
    let scene = Scene::of(3);
    let mut connection = scene.connect();
    let path = |query: &str| Request::get(&format!("{PROOF}?{query}"));
    for row in [
        invalid(
            "the tree is no number",
            path("lastSize=2&treeID=x"),
            605,
            "treeID in query should match '^[0-9]+$'",
        ),
        refusal(
            "the sizes are swapped",
            path("firstSize=3&lastSize=2"),
            400,
            "firstSize(3) must be less than lastSize(2)",
        ),
        refusal(
            "beyond the tree",
            path("lastSize=9223372036854775807"),
            400,
            "the tree size requested(9223372036854775807) was greater than what is currently \
             observable(3)",
        ),
        refusal(
            "another tree",
            path("lastSize=2&treeID=1"),
            400,
            "no log range found for tree ID 1",
        ),
        row(
            "no tree can have it",
            path("lastSize=2&treeID=9223372036854775808"),
            400,
            Answer::Starts(400, "invalid tree ID specified: "),
        ),
    ] {
        row.check(&mut connection);
    }
}

#[test]
fn an_entry_is_read_by_index_and_by_every_form_of_its_id() {
    let scene = Scene::of(3);
    let mut connection = scene.connect();
    for (at, known) in scene.entries.iter().enumerate() {
        let (id, leaf_hash) = (known.id.as_str(), scene.leaf_hash(at));
        for path in [
            format!("{ENTRIES}?logIndex={at}"),
            format!("{ENTRIES}/?logIndex=%30{at}&x=y"),
            below(ENTRIES, id),
            below(ENTRIES, &id.to_uppercase()),
            below(ENTRIES, leaf_hash),
            below(ENTRIES, &leaf_hash.to_uppercase()),
            format!("//api/v1/log//entries/{id}/"),
        ] {
            let response = connection.send(&Request::get(&path)).expect(200);
            assert_canonical(&response);
            for (name, value) in NO_CACHE {
                assert_eq!(response.header(name), Some(value), "{path}");
            }
            assert_eq!(response.header("etag"), None);
            let entry = scene.log.verify(&response.json());
            assert_eq!((&entry.id, entry.time_s), (&known.id, known.time_s), "{path}");
            assert_eq!(entry.said.index, known.said.index);
            assert_eq!(entry.said.leaf.as_bytes(), known.said.leaf.as_bytes());
            assert_eq!(entry.said.head.size.get(), 3, "the proof is of the newest tree");
            assert_eq!(response.json()[&entry.id].get("attestation"), None);
        }
    }
}

#[test]
fn an_entry_that_is_not_there_is_404_without_a_body() {
    let scene = Scene::of(1);
    let mut connection = scene.connect();
    let id = &scene.entries[0].id;
    let other_tree = format!("0000000000000001{}", scene.leaf_hash(0));
    let message = format!("entryUUID in path should match '{ID_PATTERN}'");
    let largest = "?logIndex=9223372036854775807";
    for row in [
        row("the next index", Request::get(&format!("{ENTRIES}?logIndex=1")), 404, Answer::Nothing),
        row("the last index", Request::get(&format!("{ENTRIES}{largest}")), 404, Answer::Nothing),
        row("another tree", Request::get(&below(ENTRIES, &other_tree)), 404, Answer::Nothing),
        row(
            "another leaf",
            Request::get(&below(ENTRIES, &format!("{}{}", &id[..16], "0".repeat(64)))),
            404,
            Answer::Nothing,
        ),
        row("no tree", Request::get(&below(ENTRIES, &"f".repeat(64))), 404, Answer::Nothing),
        refusal(
            "no tree can have this id",
            Request::get(&below(ENTRIES, &format!("ffffffffffffffff{}", &id[16..]))),
            400,
            "validation error: ffffffffffffffff is not a valid TreeID",
        ),
        refusal(
            "nor this one",
            Request::get(&below(ENTRIES, &format!("0000000000000000{}", &id[16..]))),
            400,
            "validation error: 0000000000000000 is not a valid TreeID",
        ),
        invalid("no id", Request::get(&below(ENTRIES, "abc")), 605, &message),
        invalid("not quite an id", Request::get(&below(ENTRIES, &id[1..])), 605, &message),
        invalid("no hex", Request::get(&below(ENTRIES, &"g".repeat(64))), 605, &message),
        invalid("a path of another method", Request::get(RETRIEVE), 605, &message),
        invalid("no index", Request::get(ENTRIES), 602, "logIndex in query is required"),
        invalid(
            "no number",
            Request::get(&format!("{ENTRIES}?logIndex=1x")),
            601,
            "logIndex in query must be of type int64: \"1x\"",
        ),
        invalid(
            "below 0",
            Request::get(&format!("{ENTRIES}?logIndex=-1")),
            609,
            "logIndex in query should be greater than or equal to 0",
        ),
    ] {
        let response = row.check(&mut connection);
        assert_eq!(response.header("x-accel-expires"), Some("0"), "{}", row.what);
    }
}

#[test]
fn a_new_entry_is_located_tagged_and_proven() {
    let scene = Scene::of(2);
    let mut connection = scene.connect();
    let mut maker = SubmissionMakerV1::new();
    for (sent, before, behind) in [
        ("/api/v1/log/entries", "/api/v1/log/entries/", ""),
        ("/api/v1/log/entries/", "/api/v1/log/entries//", ""),
        ("//api/v1/log/entries", "/api/v1/log/entries/", ""),
        ("/api/v1/log/entries?apiKey=secret&a=b", "/api/v1/log/entries/", "?a=b"),
    ] {
        let submission = maker.hashedrekord();
        let request = post(sent, &submission.request).header("accept-encoding", "gzip, br");
        let created = connection.send(&request).expect(201);
        assert_canonical(&created);
        let entry = scene.log.verify(&created.json());
        assert_eq!(entry.said.leaf.as_bytes(), submission.leaf.as_bytes());
        assert_eq!(entry.said.head.size.get(), entry.said.index.get() + 1);
        assert_eq!(created.header("etag"), Some(entry.id.as_str()), "without quotes");
        let location = format!("{before}{}{behind}", entry.id);
        assert_eq!(created.header("location"), Some(location.as_str()));
        let read = connection.send(&Request::get(&location)).expect(200).json();
        assert_eq!(scene.log.verify(&read).id, entry.id);

        let again = connection.send(&request).expect(409);
        assert_json(&again, &error(409, &exists(&entry.id)));
        assert_eq!(again.header("location"), Some(location.as_str()));
        assert_eq!(again.header("etag"), None);
    }
}

fn exists(id: &str) -> String {
    format!("an equivalent entry already exists in the transparency log with UUID {id}")
}

#[test]
fn every_answer_that_names_an_entry_says_the_same_of_it() {
    let scene = Scene::of(3);
    let mut connection = scene.connect();
    for (at, submission) in scene.submissions.iter().enumerate() {
        let id = &scene.entries[at].id;
        let bodies = [
            json!({ "logIndexes": [at] }),
            json!({ "entryUUIDs": [id] }),
            json!({ "entryUUIDs": [id.to_uppercase()] }),
            json!({ "entryUUIDs": [scene.leaf_hash(at)] }),
            json!({ "entries": [serde_json::from_str::<Value>(&submission.request).expect("JSON")] }),
        ];
        for body in bodies {
            let response = connection.send(&post(RETRIEVE, &body.to_string())).expect(200);
            assert_canonical(&response);
            let answer = response.json();
            assert_eq!(answer.as_array().expect("a list").len(), 1, "{body}");
            let entry = scene.log.verify(&answer[0]);
            assert_eq!((&entry.id, entry.time_s), (id, scene.entries[at].time_s), "{body}");
        }
    }
}

#[test]
fn a_list_is_answered_in_its_order_without_what_is_not_there() {
    let scene = Scene::of(3);
    let mut connection = scene.connect();
    let id = |at: usize| scene.entries[at].id.clone();
    let elsewhere = format!("0000000000000001{}", scene.leaf_hash(0));
    let entry: Value = serde_json::from_str(&scene.submissions[1].request).expect("JSON");
    let other: Value =
        serde_json::from_str(&SubmissionMakerV1::new().dsse().request).expect("JSON");
    let all = json!({
        "logIndexes": [2, 99],
        "entryUUIDs": [scene.leaf_hash(0), id(2), elsewhere, id(1), "0".repeat(64)],
        "entries": [entry, other],
        "nothing": "that anybody knows",
    });
    let found = |body: &Value, connection: &mut Connection| -> Vec<String> {
        let answer = connection.send(&post(RETRIEVE, &body.to_string())).expect(200).json();
        let list = answer.as_array().expect("a list");
        list.iter().map(|entry| scene.log.verify(entry).id).collect()
    };
    assert_eq!(found(&all, &mut connection), [id(2), id(1), id(0), id(1), id(2)]);
    for nothing in [json!(null), json!({}), json!({"entries": []}), json!({"entryUUIDs": null})] {
        assert!(found(&nothing, &mut connection).is_empty(), "{nothing}");
    }
    let twice = json!({ "logIndexes": [1, 1, 0] });
    assert_eq!(found(&twice, &mut connection), [id(1), id(1), id(0)]);
    let slash = connection.send(&post(&format!("{RETRIEVE}/"), r#"{"logIndexes":[0]}"#));
    assert_eq!(scene.log.verify(&slash.expect(200).json()[0]).id, id(0));
}

#[test]
fn a_search_finds_by_every_criterion_and_by_combinations() {
    let scene = Scene::of(6);
    let mut connection = scene.connect();
    let ids = |which: &[usize]| -> Vec<String> {
        which.iter().map(|at| scene.entries[*at].id.clone()).collect()
    };
    let search = |body: &Value, connection: &mut Connection| -> Value {
        let response = connection.send(&post(SEARCH, &body.to_string())).expect(200);
        assert_canonical(&response);
        response.json()
    };
    for (at, submission) in scene.submissions.iter().enumerate() {
        for query in &submission.searches {
            let query: Value = serde_json::from_str(query).expect("JSON");
            let found = search(&query, &mut connection);
            assert!(
                found.as_array().expect("ids").contains(&ids(&[at])[0].clone().into()),
                "{query}"
            );
        }
    }
    let key: Map<String, Value> = scene.submissions[0]
        .searches
        .iter()
        .map(|text| serde_json::from_str::<Map<String, Value>>(text).expect("JSON"))
        .find(|query| query.contains_key("publicKey"))
        .expect("a search for the key");
    let digest = serde_json::from_str::<Value>(&scene.submissions[0].searches[0]).expect("JSON");
    let with = |operator: &str, more: &Value| {
        let mut query = Value::Object(key.clone());
        query["operator"] = operator.into();
        for (name, value) in more.as_object().expect("an object") {
            query[name] = value.clone();
        }
        query
    };
    for (query, expected) in [
        (Value::Object(key.clone()), ids(&[0, 1, 3, 4])),
        (json!({ "email": EMAIL }), ids(&[2, 5])),
        (json!({ "email": EMAIL.to_lowercase() }), ids(&[2, 5])),
        (json!({ "subject": EMAIL.to_uppercase() }), ids(&[2, 5])),
        (with("or", &json!({ "email": EMAIL })), ids(&[0, 1, 2, 3, 4, 5])),
        (with("and", &json!({ "email": EMAIL })), ids(&[])),
        (with("and", &digest), ids(&[0])),
        (with("or", &digest), ids(&[0, 1, 3, 4])),
        (json!({ "email": EMAIL, "subject": EMAIL, "operator": "and" }), ids(&[2, 5])),
        (json!({ "email": "nobody@example.org" }), ids(&[])),
        (json!({ "operator": "and" }), ids(&[])),
        (json!({}), ids(&[])),
        (json!(null), ids(&[])),
    ] {
        assert_eq!(search(&query, &mut connection), json!(expected), "{query}");
    }
}

#[test]
fn pages_of_other_sites_may_ask() {
    let scene = Scene::of(0);
    let request = Request::new("OPTIONS", SEARCH)
        .header("origin", "https://search.example")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    let answer = scene.server.send(&request).expect(204);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert!(answer.header("access-control-allow-methods").expect("methods").contains("POST"));
    assert!(
        answer.header("access-control-allow-headers").expect("headers").contains("Content-Type")
    );
    let page = post(SEARCH, "{}").header("origin", "https://search.example");
    let answer = scene.server.send(&page).expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
}
